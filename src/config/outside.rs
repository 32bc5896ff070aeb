//! What the config names outside of its files: working directories, programs, address files, its own places. They are
//! looked at when files are loaded, and never opened for writing or run. What may be right by the time it is needed
//! is a warning; what only a mistake explains, or hurts who runs the daemon, is an error.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::keys::nearest;
use super::problem::{Place, Report, quoted};
use super::state_folder;
use super::trust;
use super::value::Wrong;
use crate::database::Address;
use crate::exec::{self, cgroups};

/// Something that a key names.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Thing {
    /// A working directory.
    Folder(PathBuf),
    /// The first word of a `command`, with the PATH by which it is found and the folder in which it is started.
    Program {
        name: String,
        path: Option<String>,
        cwd: PathBuf,
    },
    /// A file that holds an address, and with it perhaps a password.
    AddressFile(PathBuf),
    /// A file of environment variables, for a job of root or not.
    EnvironmentFile {
        path: PathBuf,
        is_root: bool,
    },
    User(String),
    Group(String),
    /// What cgroups of attempts must be able to bound.
    Controller(&'static str),
    StateFolder(PathBuf),
    Socket(PathBuf),
}

/// The things that were named, with their places, until they are looked at.
#[derive(Default)]
pub(super) struct Named(RefCell<Vec<(Place, String, Thing)>>);

impl Named {
    pub fn add(&self, place: Place, key: String, thing: Thing) {
        self.0.borrow_mut().push((place, key, thing));
    }

    /// Looks at each.
    pub fn look(self, errors: &Report, warnings: &Report) {
        // Many tasks name the same things.
        let mut looked: HashMap<Thing, Option<Wrong>> = HashMap::new();
        for (place, key, thing) in self.0.into_inner() {
            if let Thing::AddressFile(file) | Thing::EnvironmentFile { path: file, is_root: true } = &thing
                && let Ok(metadata) = file.metadata()
                && let Err(Wrong { message, hint }) = trust::file(file, &metadata)
            {
                errors.add(place, key, format!("{}: {message}", quoted(&file.to_string_lossy())), hint);
                continue;
            }
            let is_error = matches!(thing, Thing::User(_) | Thing::Group(_) | Thing::Controller(_));
            let wrong = match looked.get(&thing) {
                Some(wrong) => wrong.clone(),
                None => {
                    let wrong = thing.wrong();
                    looked.insert(thing, wrong.clone());
                    wrong
                }
            };
            if let Some(Wrong { message, hint }) = wrong {
                let report = if is_error { errors } else { warnings };
                report.add(place, key, message, hint);
            }
        }
    }
}

impl Thing {
    /// What is wrong with it now.
    fn wrong(&self) -> Option<Wrong> {
        match self {
            Thing::Folder(path) => {
                let hint = "make it, or jobs of this task cannot start";
                match path.metadata() {
                    Ok(found) if found.is_dir() => None,
                    Ok(_) => Some(Wrong::new(format!("{} is not a folder", shown(path)), hint)),
                    Err(error) => Some(Wrong::new(format!("{}: {error}", shown(path)), hint)),
                }
            }
            Thing::Program { name, path, cwd } => program(name, path.as_deref(), cwd),
            Thing::AddressFile(path) => address_file(path),
            Thing::EnvironmentFile { path, .. } => {
                let why = exec::read_env_file(path).err()?;
                Some(Wrong::new(why, "attempts of this task will fail"))
            }
            Thing::User(name) => {
                let why = exec::find_user(name).err()?;
                Some(Wrong::new(why, nearest_of("/etc/passwd", name)))
            }
            Thing::Group(name) => {
                let why = exec::find_group(name).err()?;
                Some(Wrong::new(why, nearest_of("/etc/group", name)))
            }
            Thing::Controller(name) => {
                let why = cgroups::site().and_then(|site| site.require(name)).err()?;
                Some(Wrong::new(
                    why,
                    "remove it, or let systemd delegate: `Delegate=yes` and `DelegateSubgroup=daemon`",
                ))
            }
            Thing::StateFolder(path) if path.metadata().is_ok_and(|found| !found.is_dir()) => {
                Some(Wrong::new(format!("{} is there and is not a folder", shown(path)), "the daemon could not start"))
            }
            Thing::StateFolder(path) => state_folder::strangers(path),
            Thing::Socket(path) => {
                path.symlink_metadata().ok().filter(|found| !found.file_type().is_socket())?;
                Some(Wrong::new(format!("{} is there and is not a socket", shown(path)), "the daemon could not start"))
            }
        }
    }
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A hint for a name that the system does not know, by the names that a file of it has.
fn nearest_of(file: &str, name: &str) -> String {
    let known = std::fs::read_to_string(file).unwrap_or_default();
    let nearest = nearest(name, known.lines().filter_map(|line| line.split(':').next()));
    nearest.map_or_else(String::new, |nearest| format!("did you mean `{nearest}`?"))
}

/// As an attempt would look for it.
fn program(name: &str, path: Option<&str>, cwd: &Path) -> Option<Wrong> {
    let path = path.unwrap_or(exec::PATH_DEFAULT);
    let hint = "jobs of this task cannot start";
    let program = match exec::find_program(name, path.as_ref(), Some(cwd)) {
        Ok(program) => program,
        Err(why) => return Some(Wrong::new(format!("{}: {why}", quoted(name)), hint)),
    };
    let why = match program.metadata() {
        Err(error) => error.to_string(),
        Ok(found) if !found.is_file() => "is not a file".to_owned(),
        Ok(_) if rustix::fs::access(&program, Access::EXEC_OK).is_err() => "is not executable".to_owned(),
        Ok(_) => return None,
    };
    Some(Wrong::new(format!("{}: {why}", shown(&program)), hint))
}

fn address_file(path: &Path) -> Option<Wrong> {
    let url = match Address::UrlFile(path.to_owned()).url() {
        Ok(url) => url,
        Err(error) => {
            let message = format!("{} cannot be read: {error}", shown(path));
            return Some(Wrong::new(message, "whoever uses this database will fail"));
        }
    };
    let mode = path.metadata().ok()?.permissions().mode() & 0o7777;
    // The address of a file is no secret.
    if mode & 0o004 == 0 || url.starts_with("sqlite:") {
        return None;
    }
    let message = format!("{} may be read by everybody (mode {mode:04o})", shown(path));
    Some(Wrong::new(message, format!("it may hold a password: `chmod o-rwx {}`", path.display())))
}
