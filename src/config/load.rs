//! Reads the files of a config, one after the other, and puts them together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::de::DeTable;

use super::keys::{DATABASE, MAIN, TASK, nearest};
use super::model::{Config, Keep, Logs};
use super::outside::{self, Thing};
use super::problem::{Errors, Place, Report, quoted};
use super::source::{FILES_BYTES_MAX, FILES_MAX, Seen, Source, expand};
use super::state_folder;
use super::table::{Context, Named, Table, did_you_mean, full_name};
use super::task::{self, DatabaseUse, Statements};
use super::value::{Wrong, Zones};
use crate::core::limits;
use crate::database::{Address, Kind};

/// Mistakes of syntax that are told for one file: after the first few, they follow from one another.
const SYNTAX_ERRORS_MAX: usize = 10;
/// Bytes of a socket's path: `sun_path`, less the final zero.
const SOCKET_BYTES_MAX: usize = 107;
/// How the address of a database begins.
const SCHEMES: [&str; 5] = ["sqlite", "postgres", "postgresql", "mysql", "mariadb"];
/// Files that change while they are read are read again after these waits, in milliseconds: whoever writes to them gets
/// time to finish.
const READ_AGAIN_AFTER: [u64; 4] = [5, 20, 80, 320];

/// Reads the config: `main`, and the files that it includes. It blocks, for half a second at most where they keep changing.
///
/// Relative paths in a file start at that file's folder. The files are taken as they stood at one instant: what is
/// replaced or written to meanwhile is read again. What they name outside of themselves is looked at, and what seems
/// wrong there is in [`Config::warnings`].
///
/// # Errors
/// All that is wrong in all files, each problem with its place. Only where a file is not TOML at all, problems
/// behind that are found when it is.
pub fn load(main: &Path) -> Result<Config, Errors> {
    let (mut loader, mut changed) = Loader::files(main);
    for wait in READ_AGAIN_AFTER {
        if changed.is_none() {
            break;
        }
        std::thread::sleep(Duration::from_millis(wait));
        (loader, changed) = Loader::files(main);
    }
    if let Some(place) = changed {
        let hint = "reload when whoever writes to it has finished";
        loader.report.add(place, "", "was changed while it was read, again and again", hint);
    }
    std::mem::take(&mut loader.named).look(&loader.report, &loader.warnings);
    loader.finish()
}

/// Reads a config from text, as if from a file of that name; it includes nothing.
///
/// # Errors
/// All that is wrong in it.
pub fn check_text(name: impl AsRef<Path>, text: impl Into<String>) -> Result<Config, Errors> {
    let mut loader = Loader::new(TimeZone::system());
    loader.read(Source::new(name.as_ref(), text.into()));
    loader.finish()
}

/// What to do about a wrong name.
pub(super) const NAME_HINT: &str = "use letters, digits, `-`, `_` and `.`, a letter or digit first";

/// A glob of the main file, with where it stands.
struct Include {
    pattern: String,
    /// `None` for the default.
    place: Option<Place>,
}

struct Loader {
    report: Report,
    warnings: Report,
    sources: Vec<Source>,
    /// What each glob named.
    listed: Vec<(Place, String, Vec<PathBuf>)>,
    bytes: usize,
    seen: Seen,
    zones: Zones,
    config: Config,
    /// Where each task and database was defined, by its full name.
    defined: HashMap<String, Place>,
    uses: Vec<DatabaseUse>,
    named: outside::Named,
    /// A file could not be read: what it defines is not known.
    incomplete: bool,
}

impl Loader {
    fn new(system: TimeZone) -> Loader {
        Loader {
            report: Report::default(),
            warnings: Report::default(),
            sources: Vec::new(),
            listed: Vec::new(),
            bytes: 0,
            seen: Seen::default(),
            zones: Zones::new(system),
            config: Config::default(),
            defined: HashMap::new(),
            uses: Vec::new(),
            named: outside::Named::default(),
            incomplete: false,
        }
    }

    /// Reads the main file and what it includes, and says where something has changed since.
    fn files(main: &Path) -> (Loader, Option<Place>) {
        let mut loader = Loader::new(TimeZone::system());
        match Source::read(main) {
            Ok(source) => {
                for pattern in loader.read(source) {
                    loader.include(&pattern);
                }
            }
            Err(unreadable) => loader.unreadable(main, unreadable),
        }
        let changed = loader.changed();
        (loader, changed)
    }

    /// Where something is not any more as it was when it was read: a file, or what a glob names.
    fn changed(&self) -> Option<Place> {
        let file = self.sources.iter().position(Source::has_changed);
        let listed = || {
            let folder = &self.sources[0].folder;
            let same = |pattern: &str, paths: &[PathBuf]| expand(folder, pattern).is_ok_and(|now| now == paths);
            self.listed.iter().find(|(_, pattern, paths)| !same(pattern, paths)).map(|(place, ..)| *place)
        };
        file.map(|file| Place { file, offset: None }).or_else(listed)
    }

    /// Reads one file, the first one as the main file; answers what it includes.
    fn read(&mut self, source: Source) -> Vec<Include> {
        self.seen.insert(&source.path);
        self.bytes += source.text.len();
        self.config.sources.push(source.path.clone());
        self.sources.push(source);
        let file = self.sources.len() - 1;
        // Taken out for the time of reading, so that the tables can borrow them beside `self`.
        let (report, sources) = (std::mem::take(&mut self.report), std::mem::take(&mut self.sources));
        let named = std::mem::take(&mut self.named);
        let context = Context { report: &report, source: &sources[file], file, named: &named };
        let includes = self.read_text(context);
        (self.report, self.sources, self.named) = (report, sources, named);
        includes
    }

    fn read_text(&mut self, context: Context<'_>) -> Vec<Include> {
        let (document, errors) = DeTable::parse_recoverable(&context.source.text);
        if !errors.is_empty() {
            self.incomplete = true;
            for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
                let span = error.span().unwrap_or_default();
                let mut message = error.message().trim().replace('\n', ", ");
                if let ("duplicate key", Some(key)) = (message.as_str(), context.source.text.get(span.clone())) {
                    message.push_str(&format!(" {}", quoted(key)));
                }
                context.report.add(context.place(span.start), "", message, "");
            }
            // What is readable still tells which further files there are to check.
            let ignored = Report::default();
            let context = Context { report: &ignored, ..context };
            return includes(&Table::new(context, &MAIN, String::new(), context.place(0), document.get_ref()));
        }
        let table = Table::new(context, &MAIN, String::new(), context.place(0), document.get_ref());
        let mut includes = Vec::new();
        if context.file == 0 {
            includes = self.main(&table);
        } else {
            for (key, place) in table.keys().filter(|(key, _)| !matches!(key.name, "databases" | "task")) {
                table.report(place, key.name, "belongs in the main file", "included files hold tasks and databases");
            }
        }
        for named in table.named("databases") {
            self.database(&table, &named);
        }
        for named in table.named("task") {
            self.task(&table, &named);
        }
        includes
    }

    /// The keys of the daemon itself.
    fn main(&mut self, table: &Table<'_>) -> Vec<Include> {
        let config = &mut self.config;
        let (state_dir, socket) = (table.path("state_dir"), table.path("socket"));
        config.state_dir = state_dir.unwrap_or_else(|| config.state_dir.clone());
        config.socket = socket.unwrap_or_else(|| config.socket.clone());
        if let Err(Wrong { message, hint }) = state_folder::check(&config.state_dir) {
            table.report(table.value_place("state_dir"), "state_dir", message, &hint);
        }
        table.names("state_dir", Thing::StateFolder(config.state_dir.clone()));
        table.names("socket", Thing::Socket(config.socket.clone()));
        if config.socket.as_os_str().len() > SOCKET_BYTES_MAX {
            let message =
                format!("its full path has {} bytes, more than {SOCKET_BYTES_MAX}", config.socket.as_os_str().len());
            table.report(
                table.value_place("socket"),
                "socket",
                message,
                "Linux takes no longer one: choose a shorter path",
            );
        }
        config.execution = table.flag("execution").unwrap_or(config.execution);
        config.stop_timeout = table.duration("stop_timeout").unwrap_or(config.stop_timeout);
        if let Some(repair) = table.table("repair") {
            config.repair_every = repair.duration("every").unwrap_or(config.repair_every);
        }
        for (key, keep) in [
            ("journal", &mut config.journal_keep),
            ("history", &mut config.history_keep),
            ("outputs", &mut config.outputs_keep),
        ] {
            if let Some(inner) = table.table(key).and_then(|section| section.table("keep")) {
                *keep = Keep {
                    age: inner.duration("age").unwrap_or(keep.age),
                    size: inner.size("size").unwrap_or(keep.size),
                };
            }
        }
        if let Some(log) = table.table("log") {
            let Logs { level, format, .. } = config.log;
            let (level, format) = (log.choice("level").unwrap_or(level), log.choice("format").unwrap_or(format));
            let parts = log.table("levels");
            let parts = parts.iter().flat_map(|parts| parts.keys().map(move |(key, _)| (parts, key.name)));
            let levels = parts.filter_map(|(parts, part)| Some((part, parts.choice(part)?))).collect();
            config.log = Logs { level, levels, format };
        }
        includes(table)
    }

    fn database(&mut self, main: &Table<'_>, named: &Named<'_>) {
        if !self.name_is_right(main, "databases", "database", named) {
            return;
        }
        let Some(table) = main.named_table(&DATABASE, full_name("databases", named.name), named) else { return };
        let url = table.text("url");
        if let Some(url) = url {
            let scheme = url.split_once(':').map(|(scheme, _)| scheme);
            if !scheme.is_some_and(|scheme| SCHEMES.contains(&scheme)) {
                // The url itself may hold a password and is not quoted.
                let near = scheme.and_then(|scheme| nearest(scheme, SCHEMES.into_iter()));
                let hint = match near {
                    Some(near) => format!("did you mean `{near}:`?"),
                    None => "begin it with `sqlite:`, `postgres:` or `mysql:`".into(),
                };
                table.report(table.value_place("url"), "url", "is not the address of a known kind of database", hint);
            }
        }
        let address =
            match ["url", "url_file", "credential"].into_iter().filter(|key| table.has(key)).collect::<Vec<_>>()[..] {
                ["url"] => url.map(|url| Address::Url(url.to_owned())),
                ["url_file"] => table.path("url_file").map(|file| {
                    table.names("url_file", Thing::AddressFile(file.clone()));
                    Address::UrlFile(file)
                }),
                ["credential"] => credential(&table).map(Address::Credential),
                [first, second, ..] => {
                    let hint = "a database has exactly one of `url`, `url_file` and `credential`";
                    table.report(table.key_place(second), second, format!("stands beside `{first}`"), hint);
                    None
                }
                _ => {
                    table.report_whole("has no address", "give it one of `url`, `url_file` and `credential`");
                    None
                }
            };
        // Entered even where its address is wrong: it exists, for those who name it.
        self.config.databases.insert(named.name.to_owned(), address.unwrap_or(Address::Url(String::new())));
    }

    fn task(&mut self, main: &Table<'_>, named: &Named<'_>) {
        if !self.name_is_right(main, "task", "task", named) {
            return;
        }
        let Some(table) = main.named_table(&TASK, full_name("task", named.name), named) else { return };
        let Some(task) = task::read(&table, &self.zones, &mut self.uses) else { return };
        if self.config.tasks.len() == limits::TASKS_MAX {
            return table.report_whole(format!("is one task too many: at most {} are taken", limits::TASKS_MAX), "");
        }
        self.config.tasks.insert(named.name.to_owned(), task);
    }

    /// Checks the name of a task or database, and that it is defined once.
    fn name_is_right(&mut self, main: &Table<'_>, section: &str, what: &str, named: &Named<'_>) -> bool {
        let full = full_name(section, named.name);
        if let Err(message) = check_name(named.name) {
            let hint = NAME_HINT;
            main.context.report.add(named.place, full, message, hint);
            return false;
        }
        match self.defined.entry(full) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(named.place);
                true
            }
            std::collections::hash_map::Entry::Occupied(earlier) => {
                let message = format!("this {what} is already defined at");
                let (key, earlier) = (earlier.key().clone(), *earlier.get());
                main.context.report.add_with_other(named.place, key, &message, earlier, "rename or remove one of them");
                false
            }
        }
    }

    /// Reads the files that a glob of the main file names.
    fn include(&mut self, include: &Include) {
        let place = include.place.unwrap_or(Place { file: 0, offset: None });
        let paths = match expand(&self.sources[0].folder, &include.pattern) {
            Ok(paths) => paths,
            Err(wrong) => {
                self.incomplete = true;
                return self.report.add(place, "include", wrong.message, wrong.hint);
            }
        };
        if paths.is_empty() && include.place.is_some() {
            let message = format!("{} matches no file", quoted(&include.pattern));
            self.warnings.add(place, "include", message, "nothing is included by it");
        }
        self.listed.push((place, include.pattern.clone(), paths.clone()));
        let shown = self.sources[0].path.parent().unwrap_or(Path::new("")).to_owned();
        for path in paths {
            if !self.seen.insert(&path) {
                continue;
            }
            if self.sources.len() > FILES_MAX || self.bytes > FILES_BYTES_MAX {
                let message = format!("names more than {FILES_MAX} files, or files of more than 256 MiB");
                self.incomplete = true;
                return self.report.add(place, "include", message, "put more tasks into one file, or remove some");
            }
            // Shown as the main file is: relative where that is.
            let path = path.strip_prefix(&self.sources[0].folder).map(|rest| shown.join(rest)).unwrap_or(path);
            match Source::read(&path) {
                Ok(source) => drop(self.read(source)),
                Err(unreadable) => self.unreadable(&path, unreadable),
            }
        }
    }

    fn unreadable(&mut self, path: &Path, unreadable: super::source::Unreadable) {
        self.incomplete = true;
        let offset = unreadable.valid.as_ref().map(String::len);
        self.sources.push(Source::unread(path, unreadable.valid.unwrap_or_default()));
        let place = Place { file: self.sources.len() - 1, offset };
        self.report.add(place, "", unreadable.message, unreadable.hint);
    }

    fn finish(mut self) -> Result<Config, Errors> {
        if !self.incomplete {
            self.check_databases();
        }
        if !self.report.is_empty() {
            return Err(self.report.into_errors(&self.sources));
        }
        self.config.warnings = self.warnings.into_errors(&self.sources).problems;
        Ok(self.config)
    }

    /// Every database that a task names must be there.
    fn check_databases(&mut self) {
        let databases = &self.config.databases;
        for usage in self.uses.iter().filter(|usage| !databases.contains_key(&usage.database)) {
            let hint = match self.report.is_full() {
                true => String::new(),
                false => {
                    let known = || databases.keys().map(String::as_str);
                    did_you_mean(&usage.database, known, "add a `[databases.NAME]` with this name")
                }
            };
            let message = format!("there is no database {}", quoted(&usage.database));
            self.report.add(usage.place, format!("{}.database", usage.task), message, hint);
        }
        for usage in &self.uses {
            if let (Some(statements), Some(address)) = (&usage.statements, databases.get(&usage.database)) {
                check_statements(&self.report, &usage.task, statements, address);
            }
        }
    }
}

/// Statements are checked where the config itself says for what kind of database they are.
fn check_statements(report: &Report, task: &str, statements: &Statements, address: &Address) {
    let Address::Url(url) = address else { return };
    let Some(kind) = Kind::of_url(url) else { return };
    for (number, place) in statements.places.iter().enumerate() {
        let empty = statements.sql.statements[number].trim().is_empty();
        if let Some(problem) = statements.sql.problem(number, kind).filter(|_| !empty) {
            report.add(*place, format!("{task}.sql"), problem, "");
        }
    }
    if let (Some(unused), Some(place)) = (statements.sql.unused(kind), statements.places.first()) {
        report.add(
            *place,
            format!("{task}.args.{unused}"),
            format!("no statement has `:{unused}`"),
            "remove one or add the other",
        );
    }
}

/// The name of a credential, which is that of a file.
fn credential(table: &Table<'_>) -> Option<String> {
    let name = table.text("credential")?;
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        let hint = "write it as in the unit: `LoadCredential=NAME:...`";
        table.report(table.value_place("credential"), "credential", "is not the name of a credential", hint);
        return None;
    }
    Some(name.to_owned())
}

/// The globs of the main file, or the default.
fn includes(table: &Table<'_>) -> Vec<Include> {
    match table.texts("include") {
        Some(patterns) => {
            let include = |(pattern, place): (&str, Place)| Include { pattern: pattern.to_owned(), place: Some(place) };
            patterns.into_iter().map(include).collect()
        }
        None => vec![Include { pattern: "tasks.d/*.toml".into(), place: None }],
    }
}

/// A name of a task, a database, an operation or a group; see [`limits::TASK_NAME_BYTES_MAX`].
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.len() > limits::TASK_NAME_BYTES_MAX {
        return Err(format!("the name has {} bytes, more than {}", name.len(), limits::TASK_NAME_BYTES_MAX));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match name.bytes().next() {
        None => Err("the name is empty".into()),
        Some(first) if !first.is_ascii_alphanumeric() => Err("the name does not begin with a letter or digit".into()),
        Some(_) if !name.bytes().all(plain) => Err("the name has a character that names do not have".into()),
        Some(_) => Ok(()),
    }
}
