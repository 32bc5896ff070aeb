//! The daemon's life under a real systemd: installed, started, reloaded, killed, hung, stopped, booted again.

use serde_json::Value;

use crate::machine::{Install, Machine};

const TASKS: &str = "
stop_timeout = '1s'
[task.nightly]
schedule = '30 2 * * *'
shell = 'true'
[task.long]
shell = 'touch /tmp/long; sleep 1000'
[task.escapes]
shell = 'setsid sleep 4711 & echo done'
leave_background = true
[task.boots]
schedule = '@reboot'
shell = 'true'
";

/// The state of a job.
#[track_caller]
fn job(machine: &mut Machine, job: u64) -> Value {
    serde_json::from_str(&machine.ok(&format!("daybook show {job} --json"))).unwrap()
}

#[track_caller]
fn add(machine: &mut Machine, task: &str) -> u64 {
    let added: Value = serde_json::from_str(&machine.ok(&format!("daybook add {task} --json"))).unwrap();
    added["id"].as_u64().unwrap()
}

fn replace_config(machine: &mut Machine, sed: &str) {
    machine.ok(&format!("sed -i '{sed}' /etc/daybook/daybook.toml"));
}

#[test]
fn it_is_installed_started_reloaded_and_killed() {
    let Some(mut machine) = Machine::new(&Install { config: TASKS, drop_ins: &[] }) else { return };
    machine.boot();
    machine.install();
    // `systemctl start` has waited for READY=1, so all of this is true at once.
    assert_eq!(machine.property("ActiveState"), "active");
    assert_eq!(machine.property("User"), "daybook");
    let status = machine.property("StatusText");
    let expected = "0 running, 0 waiting, next nightly at 02:30, last sweep just now: nothing found";
    // The occurrence of @reboot may still be running.
    assert!(status == expected || status.starts_with("1 running") || status.starts_with("0 running, 1"), "{status}");
    assert_eq!(
        machine.ok("stat -c '%U:%G %a' /var/lib/daybook /run/daybook/control.sock"),
        "daybook:daybook 700\ndaybook:daybook 660"
    );
    assert_eq!(machine.ok("systemctl is-enabled daybook.service daybook.socket"), "enabled\nenabled");
    // Nothing of the unit was ignored.
    let complaints =
        machine.run("journalctl -q -b -o cat _PID=1 | grep -F daybook | grep -iE 'unknown|failed to parse|ignoring'").1;
    assert_eq!(complaints, "");

    // Logs are in the journal, with their fields.
    let line = machine.ok("journalctl -q -o json -n 1 DAYBOOK_SOCKET=/run/daybook/control.sock");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["MESSAGE"], "daybook is ready socket=/run/daybook/control.sock tasks=4");
    assert_eq!((&line["PRIORITY"], &line["_SYSTEMD_UNIT"]), (&"6".into(), &"daybook.service".into()));
    assert_eq!((&line["SYSLOG_IDENTIFIER"], &line["_TRANSPORT"]), (&"daybook".into(), &"journal".into()));

    // A bad file: the reload fails and says why, the service stays, and so does the last good config.
    let pid = machine.property("MainPID");
    replace_config(&mut machine, "s/30 2/61 2/");
    let (code, _) = machine.run("systemctl reload daybook");
    assert_ne!(code, 0, "a bad file is refused");
    assert_eq!((machine.property("ActiveState"), machine.property("MainPID")), ("active".into(), pid.clone()));
    assert!(
        machine.property("StatusText").starts_with("PROBLEM: the config was refused"),
        "{}",
        machine.property("StatusText")
    );
    assert!(
        machine.ok("journalctl -q -b -u daybook.service -o cat").contains("daybook.toml:4:"),
        "the reason is in the journal"
    );
    assert!(machine.ok("daybook next nightly --count 1 --json").contains(":30:00"), "the good schedule stays");
    // A good one is in force when `systemctl reload` returns.
    replace_config(&mut machine, "s/61 2/45 2/");
    machine.ok("systemctl reload daybook");
    assert!(machine.ok("daybook next nightly --count 1 --json").contains(":45:00"));
    assert_eq!(machine.property("MainPID"), pid);
    assert!(machine.property("StatusText").contains("next nightly at 02:45"), "{}", machine.property("StatusText"));

    // Killed: it is back by itself, the socket is the same, and what ran has gone on.
    let long = add(&mut machine, "long");
    let process = machine.until("pgrep -f '^sleep 1000'");
    let inode = machine.ok("stat -c %i /run/daybook/control.sock");
    machine.ok("systemctl kill -s KILL --kill-who=main daybook.service");
    // It waits in the socket's queue until the next daemon answers.
    assert!(machine.ok("daybook status").contains("daybook "));
    assert_eq!(machine.property("NRestarts"), "1");
    assert_ne!(machine.property("MainPID"), pid);
    assert_eq!(machine.ok("stat -c %i /run/daybook/control.sock"), inode);
    machine.until(&format!("daybook show {long} --json | grep '\"running\"'"));
    assert_eq!(job(&mut machine, long)["attempts"], 1);
    assert_eq!(machine.ok("pgrep -f '^sleep 1000'"), process);
    machine.ok(&format!("daybook cancel {long}"));
    machine.until(&format!("daybook show {long} --json | grep '\"cancelled\"'"));
    assert_ne!(machine.run("pgrep -f '^sleep 1000'").0, 0, "and the next daemon can end it");
}

#[test]
fn a_hanging_daemon_is_replaced() {
    let drop_ins = [("watchdog", "[Service]\nWatchdogSec=2\nRestartSec=100ms\n")];
    let Some(mut machine) = Machine::new(&Install { config: TASKS, drop_ins: &drop_ins }) else { return };
    machine.boot();
    machine.install();
    let pid = machine.property("MainPID");
    machine.ok(&format!("kill -STOP {pid}"));
    machine.until("test \"$(systemctl show -P NRestarts daybook.service)\" = 1");
    machine.until("systemctl is-active daybook.service");
    assert_ne!(machine.property("MainPID"), pid);
    assert!(machine.ok("journalctl -q -b -u daybook.service -o cat").contains("Watchdog timeout"));
    // And while nothing hangs, nothing is replaced: it was fed since.
    machine.until("test \"$(systemctl show -P WatchdogTimestampMonotonic daybook.service)\" -gt 0");
}

#[test]
fn it_stops_and_is_there_again_after_a_boot() {
    // The sandbox shows the kernel's own boot id, which is that of the host and stays; each boot has one in this file.
    let drop_ins = [("boot", "[Service]\nBindReadOnlyPaths=/etc/boot-id:/proc/sys/kernel/random/boot_id\n")];
    let Some(mut machine) = Machine::new(&Install { config: TASKS, drop_ins: &drop_ins }) else { return };
    machine.boot();
    machine.install();
    let boots = |machine: &mut Machine| machine.ok("daybook occurrences boots --json | wc -l");
    machine.until("daybook occurrences boots --json | grep ran");
    assert_eq!(boots(&mut machine), "1");
    let long = add(&mut machine, "long");
    let escapes = add(&mut machine, "escapes");
    let process = machine.until("pgrep -f '^sleep 1000'");
    machine.until(&format!("daybook show {escapes} --json | grep completed"));
    machine.ok("pgrep -f '^sleep 4711'");

    // Stopped: cleanly, and what runs goes on until the next start.
    machine.ok("systemctl stop daybook.socket daybook.service");
    assert_eq!((machine.property("ActiveState"), machine.property("Result")), ("inactive".into(), "success".into()));
    assert_eq!(machine.ok("pgrep -f '^sleep 1000'"), process);
    machine.ok("systemctl start daybook.service");
    machine.until(&format!("daybook show {long} --json | grep '\"running\"'"));
    assert_eq!(job(&mut machine, long)["attempts"], 1);
    assert_eq!(machine.ok("pgrep -f '^sleep 1000'"), process);
    assert_eq!(boots(&mut machine), "1", "a restart is no boot");

    machine.halt();
    machine.boot();
    machine.until("systemctl is-active daybook.service");
    // Its shim has noted that the machine went down.
    machine.until(&format!("daybook show {long} --json | grep '\"running\"'"));
    assert_eq!(job(&mut machine, long)["attempts"], 2);
    machine.until("test \"$(daybook occurrences boots --json | grep -c ran)\" = 2");
    machine.ok("daybook journal verify");
}

#[test]
fn the_socket_starts_it_and_a_bad_config_does_not_loop() {
    let Some(mut machine) = Machine::new(&Install { config: TASKS, drop_ins: &[] }) else { return };
    machine.boot();
    machine.install();
    machine.ok("systemctl stop daybook.service");
    assert_eq!(machine.property("ActiveState"), "inactive");
    assert!(machine.ok("daybook status").contains("daybook "), "whoever connects starts it");
    // It answers a moment before it tells systemd that it is ready.
    machine.until("systemctl is-active daybook.service");

    // A start that is refused is not tried again, and says why.
    machine.ok("systemctl stop daybook.socket daybook.service");
    replace_config(&mut machine, "s/30 2/61 2/");
    let (code, _) = machine.run("systemctl start daybook.service");
    assert_ne!(code, 0);
    machine.until("test \"$(systemctl show -P ActiveState daybook.service)\" = failed");
    assert_eq!((machine.property("ExecMainStatus"), machine.property("NRestarts")), ("3".into(), "0".into()));
    assert!(machine.property("StatusText").contains("task.nightly.schedule"), "{}", machine.property("StatusText"));
    // Nor does a client that waits at the socket keep it starting for ever.
    assert_ne!(machine.run("timeout 20 daybook status").0, 0);
    machine.until("test \"$(systemctl show -P ActiveState daybook.service)\" = failed");
    // Once the file is right again, a start is all it takes.
    replace_config(&mut machine, "s/61 2/30 2/");
    machine.ok("systemctl reset-failed daybook.service daybook.socket; systemctl start daybook.service");
    assert!(machine.ok("daybook status").contains("is healthy"));
}

#[test]
fn a_credential_reaches_the_daemon_and_no_job() {
    let config = "
        [databases.app]
        url_file = '/run/credentials/daybook.service/app.url'
        [task.users]
        worker = 'passivate-users'
        database = 'app'
        inactive_after = '30d'
        attempts = 1
        [task.env]
        shell = 'env; id'
    ";
    let credentials = include_str!("../../systemd/drop-ins/credentials.conf");
    let Some(mut machine) = Machine::new(&Install { config, drop_ins: &[("credentials", credentials)] }) else {
        return;
    };
    machine.boot();
    machine.ok("systemd-sysusers && systemd-tmpfiles --create 2>&1");
    assert_eq!(machine.ok("stat -c '%U %a' /etc/daybook/credentials"), "root 700");
    machine.ok("echo sqlite:///var/lib/daybook/no-such.db > /etc/daybook/credentials/app.url; chmod 600 /etc/daybook/credentials/app.url");
    machine.install();
    let users = add(&mut machine, "users");
    machine.until(&format!("daybook show {users} --json | grep discarded"));
    let error = job(&mut machine, users)["error"].as_str().unwrap().to_owned();
    assert!(!error.contains("the address of database"), "the address was read: {error}");
    let env = add(&mut machine, "env");
    machine.until(&format!("daybook show {env} --json | grep completed"));
    let output = machine.ok(&format!("daybook output {env}"));
    assert!(output.contains("USER=daybook") && output.contains("(daybook)"), "{output}");
    for word in ["CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "INVOCATION_ID", "JOURNAL_STREAM"] {
        assert!(!output.contains(word), "{word}: {output}");
    }
}

/// What a job may do in the sandbox, as the unit's comments say, and with the two drop-ins that change it most.
#[test]
fn jobs_can_work_in_the_sandbox() {
    let config = "
        [task.work]
        attempts = 1
        shell = '''
        may() { if sh -c \"$2\" >/dev/null 2>&1; then echo \"$1 yes\"; else echo \"$1 no\"; fi; }
        may tmp 'echo > /tmp/work'
        may var-tmp 'echo > /var/tmp/work'
        may own-tmp 'echo > $TMPDIR/work'
        may cgroup 'grep daybook- /proc/self/cgroup'
        may etc 'echo > /etc/daybook/work'
        may proc 'cat /proc/loadavg /proc/meminfo /proc/1/comm'
        may socket 'daybook status'
        may pipe 'yes | head -n 1'
        may become-another 'runuser -u nobody -- true'
        may set-the-clock 'date -s @0'
        '''
    ";
    for (drop_in, can) in [
        (
            "",
            "tmp yes, var-tmp yes, own-tmp yes, cgroup yes, etc no, proc yes, socket yes, pipe yes, become-another no, set-the-clock no",
        ),
        (
            include_str!("../../systemd/drop-ins/strict.conf"),
            "tmp no, var-tmp no, own-tmp yes, cgroup yes, etc no, proc no, socket yes, pipe yes, become-another no, set-the-clock no",
        ),
        (
            include_str!("../../systemd/drop-ins/any-user.conf"),
            "tmp yes, var-tmp yes, own-tmp yes, cgroup yes, etc yes, proc yes, socket yes, pipe yes, become-another yes, set-the-clock no",
        ),
    ] {
        let Some(mut machine) = Machine::new(&Install { config, drop_ins: &[("test", drop_in)] }) else { return };
        machine.boot();
        machine.install();
        // Writable for everybody as far as modes go, so that the sandbox decides.
        machine.ok("chmod 777 /etc/daybook");
        let work = add(&mut machine, "work");
        machine.until(&format!("daybook show {work} --json | grep completed"));
        assert_eq!(machine.ok(&format!("daybook output {work}")).replace('\n', ", "), can, "{drop_in}");
    }
}
