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
fn long_values_are_cut() {
    let task = |shell: &str| config(&format!("[task.a]\nshell = '{shell}'"));
    let told = differences(&task("true"), &task(&"x".repeat(500)));
    assert_eq!(told, [format!("a: shell true → {}…", "x".repeat(80))]);
}
