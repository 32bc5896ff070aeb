//! What a reload changes, in words.

use daybook::config::{Config, after_restart, check_text, differences};

fn config(text: &str) -> Config {
    check_text("a.toml", text).unwrap()
}

#[test]
fn nothing_changed() {
    let text = include_str!("product.toml");
    assert_eq!(differences(&config(text), &config(text)), [""; 0]);
}

#[test]
fn changes_are_told_in_words() {
    let old = config(
        "
        socket = '/a.sock'
        [databases.app]
        url = 'postgres://app:old-secret@db/app'
        [task.backup]
        schedule = '30 2 * * *'
        shell = 'backup'
        env = { LANG = 'C', TOKEN = 'old-secret', GONE = '1' }
        limits = { nofile = '10:20', core = 0 }
        stdin = 'args'
        [task.gone]
        shell = 'true'
        [task.other]
        shell = 'true'
        [task.users]
        worker = 'passivate-users'
        database = 'app'
        ",
    );
    let new = config(
        "
        socket = '/b.sock'
        stop_timeout = '1m'
        journal = { keep = { age = '60d', size = '2GiB' } }
        log = { level = 'debug' }
        [databases.app]
        url = 'postgres://app:new-secret@db/app'
        [task.backup]
        schedule = ['0 3 * * *', '@reboot']
        command = ['backup', '--all']
        timeout = '90m'
        dst = 'wall-clock'
        overlap = 'allow'
        backoff = '200ms'
        env = { LANG = 'C', TOKEN = 'new-secret', HOME = '/x' }
        limits = { nofile = 20, as = '2GiB:unlimited' }
        stdin = 'file:/in'
        env_file = '/x.env'
        nice = 5
        ionice = 'best-effort'
        memory_max = '1GiB'
        tasks_max = 9
        from = 2026-12-01T00:00:00Z
        [task.cleanup]
        worker = 'clean-logs'
        paths = '/var/log/app/*.log'
        older_than = '30d'
        [task.other]
        worker = 'clean-logs'
        paths = '/var/log/app/*.log'
        keep_size = '2GB'
        [task.users]
        worker = 'passivate-users'
        database = 'stats'
        columns = { id = 'user_id', tenant = 'tenant_id' }
        set = { is_active = 'false', note = \"'gone'\" }
        where = 'tenant_id = 7'
        [databases.stats]
        url_file = '/stats.url'
        ",
    );
    let expected = "\
stop_timeout 30s → 1m
journal.keep 30d 1GB → 60d 2GiB
log.level info → debug
database app: address changed
database stats added
backup: schedule 30 2 * * * → 0 3 * * *, @reboot
backup: dst vixie → wall-clock
backup: from none → 2026-12-01T00:00:00.000Z
backup: overlap forbid → allow
backup: concurrency 1 → 16
backup: backoff.first 1m → 200ms
backup: backoff.factor 2 → 1
backup: backoff.max 2d → 200ms
backup: timeout none → 1h 30m
backup: shell backup → command backup --all
backup: env_file none → /x.env
backup: stdin args → file:/in
backup: nice none → 5
backup: ionice none → best-effort:4
backup: limits core 0B, nofile 10:20 → as 2GiB:unlimited, nofile 20
backup: memory_max none → 1GiB
backup: tasks_max none → 9
backup: env GONE removed
backup: env TOKEN changed
backup: env HOME added
task gone removed
other: shell true → worker clean-logs
users: database app → stats
users: columns.id id → user_id
users: columns.tenant none → tenant_id
users: set is_active = false → is_active = false, note = 'gone'
users: where none → tenant_id = 7
task cleanup added";
    assert_eq!(differences(&old, &new).join("\n"), expected);
    assert_eq!(after_restart(&old, &new), ["socket /a.sock → /b.sock takes a restart"]);
    assert_eq!(after_restart(&old, &old), [""; 0]);
}

#[test]
fn changes_of_batches_are_told_in_words() {
    let old = config(
        "
        [databases.app]
        url = 'sqlite:///a.db'
        [task.a]
        items = 'given'
        each = { shell = 'true', env = { TOKEN = 'old-secret' } }
        [task.b]
        items = { database = 'app', sql = 'select id from client where kind = :kind', args = { kind = 1 } }
        each = { http = 'https://me:old-secret@example.org/a?token=old-secret' }
        [task.c]
        shell = 'true'
        attempts = 5
        [task.d]
        items = { list = ['a'] }
        each = { http = 'https://example.org/a' }
        ",
    );
    let new = config(
        "
        [databases.app]
        url = 'sqlite:///a.db'
        [task.a]
        items = { file = '/items' }
        each = { shell = 'false', env = { TOKEN = 'new-secret' }, attempts = 3, timeout = '5s', backoff = '9s' }
        op = ['on', 'off']
        clears = 'off'
        lock = 'client:{item}'
        concurrency = 8
        chunk = 10
        rate = '500/s'
        hours = '22:00-06:00'
        max_failures = '50%'
        exclusive = 'client-auth'
        when_busy = 'refuse'
        repair_attempts = 3
        repair_backoff = '1h'
        [task.b]
        items = { database = 'app', sql = 'select id from client where kind = :kind', args = { kind = 2 } }
        [task.b.each.http]
        url = 'https://me:new-secret@example.org/a?token=new-secret'
        method = 'PUT'
        headers = { X-Token = 'new-secret' }
        body = '[1]'
        [task.c]
        items = 'given'
        each = { shell = 'true' }
        [task.d]
        items = { list = ['a', 'b'] }
        each = { http = 'https://other.example.org/b?token=new-secret' }
        ",
    );
    let expected = "\
a: concurrency 1 → 8
a: repair_attempts 10 → 3
a: repair_backoff.first 5m → 1h
a: repair_backoff.factor 2 → 1
a: repair_backoff.max 6h → 1h
a: lock none → client:{item}
a: clears none → off
a: items given → file /items
a: each.shell true → false
a: each.env TOKEN changed
a: each.timeout 1m → 5s
a: rate none → 500/s
a: hours none → 22:00-06:00
a: op none → on, off
a: exclusive none → client-auth
a: when_busy queue → refuse
a: each.attempts 1 → 3
a: chunk 1 → 10
a: max_failures none → 50%
a: each.backoff.first 1s → 9s
a: each.backoff.factor 2 → 1
a: each.backoff.max 1m → 9s
b: items.args kind changed
b: each.method POST → PUT
b: each.http changed
b: each.headers X-Token added
b: each.body changed
c: give_up_after 2d → 36600d
c: shell true → items given
d: items list a → list a, b
d: each.http example.org → other.example.org";
    assert_eq!(differences(&old, &new).join("\n"), expected);
    assert_eq!(differences(&new, &new), [""; 0]);
}

#[test]
fn long_values_are_cut() {
    let task = |shell: &str| config(&format!("[task.a]\nshell = '{shell}'"));
    let told = differences(&task("true"), &task(&"x".repeat(500)));
    assert_eq!(told, [format!("a: shell true → {}…", "x".repeat(80))]);
}
