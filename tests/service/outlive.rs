//! What runs goes on whatever is done to the daemon, in a control group of its own; when the machine goes down it is ended.

use serde_json::Value;

use crate::machine::{Install, Machine};

const TASKS: &str = "
stop_timeout = '1s'
[task.work]
shell = '''
echo $$ >> /var/tmp/pids
# Out of the process group, the session and the tree; not out of the control group.
(setsid sleep 4711 &)
until test -e /tmp/go; do sleep 0.05; done
echo done'''
";

const DROP_IN: (&str, &str) = (
    "test",
    // Each boot has an id of its own in this file; the sandbox would show the kernel's, which stays.
    "[Service]\nWatchdogSec=2\nRestartSec=100ms\nBindReadOnlyPaths=/etc/boot-id:/proc/sys/kernel/random/boot_id\n",
);

/// The control groups of attempts.
const GROUPS: &str = "find /sys/fs/cgroup/system.slice/daybook.service -mindepth 1 -type d";

#[track_caller]
fn show(machine: &mut Machine) -> Value {
    serde_json::from_str(&machine.ok("daybook show 1 --json")).unwrap()
}

fn begin(config: &str) -> Option<(Machine, String)> {
    let mut machine = Machine::new(&Install { config, drop_ins: &[DROP_IN] })?;
    machine.boot();
    machine.install();
    machine.ok("daybook add work");
    // The shell makes the file a moment before it writes to it.
    let pid = machine.until("test -s /var/tmp/pids && cat /var/tmp/pids");
    Some((machine, pid))
}

/// The attempt that has begun is the one that runs, and another daemon than `before` knows it.
#[track_caller]
fn check_goes_on(machine: &mut Machine, what: &str, pid: &str, before: &str) -> String {
    machine.until("systemctl is-active daybook.service && daybook status");
    let now = machine.property("MainPID");
    assert_ne!(now, before, "{what}: another daemon");
    let job = show(machine);
    assert_eq!((&job["state"], &job["attempts"]), (&"running".into(), &1.into()), "{what}");
    assert_eq!(machine.ok("cat /var/tmp/pids"), pid, "{what}: nothing was started again");
    machine.ok(&format!("kill -0 {pid}"));
    now
}

#[test]
fn what_runs_outlives_restarts_crashes_hangs_and_stops_of_the_daemon() {
    let Some((mut machine, pid)) = begin(TASKS) else { return };
    let group = machine.ok(GROUPS);
    assert!(!group.is_empty() && !group.contains('\n'), "one control group: {group}");
    let members = machine.ok(&format!("cat {group}/cgroup.procs"));
    assert!(members.lines().any(|member| member == pid), "{pid} is not in {members}");
    let daemon = machine.property("MainPID");

    machine.ok("systemctl reload daybook.service");
    assert_eq!(check_goes_on(&mut machine, "reload", &pid, ""), daemon);
    machine.ok("systemctl restart daybook.service");
    let daemon = check_goes_on(&mut machine, "restart", &pid, &daemon);
    machine.ok("systemctl kill -s KILL --kill-who=main daybook.service");
    machine.until("test \"$(systemctl show -P NRestarts daybook.service)\" = 1");
    let daemon = check_goes_on(&mut machine, "kill -9", &pid, &daemon);
    machine.ok(&format!("kill -STOP {daemon}"));
    machine.until("test \"$(systemctl show -P NRestarts daybook.service)\" = 2");
    let daemon = check_goes_on(&mut machine, "watchdog", &pid, &daemon);
    machine.ok("systemctl stop daybook.socket daybook.service");
    assert_eq!((machine.property("ActiveState"), machine.property("Result")), ("inactive".into(), "success".into()));
    machine.ok("systemctl start daybook.service");
    check_goes_on(&mut machine, "stop and start", &pid, &daemon);

    machine.ok("touch /tmp/go");
    machine.until("daybook show 1 --json | grep completed");
    assert_eq!((show(&mut machine)["attempts"].clone(), machine.ok("daybook output 1")), (1.into(), "done".into()));
    assert_eq!(machine.ok(GROUPS), "", "its control group is gone");
    assert_ne!(machine.run("pgrep -f '^sleep'").0, 0, "and with it all of its processes");
    machine.ok("daybook journal verify");
}

#[test]
fn what_ends_while_it_is_stopped_is_known_when_it_starts() {
    let Some((mut machine, pid)) = begin(TASKS) else { return };
    machine.ok("systemctl stop daybook.socket daybook.service");
    machine.ok(&format!("kill -0 {pid} && touch /tmp/go"));
    machine.until("! pgrep -f '^sleep'");
    machine.until("test -z \"$(find /sys/fs/cgroup/system.slice/daybook.service -mindepth 1 -type d 2>/dev/null)\"");
    machine.ok("systemctl start daybook.service");
    machine.until("daybook show 1 --json | grep completed");
    assert_eq!((show(&mut machine)["attempts"].clone(), machine.ok("daybook output 1")), (1.into(), "done".into()));
}

#[test]
fn what_runs_is_ended_and_noted_before_the_machine_is_off() {
    let Some((mut machine, _)) = begin(TASKS) else { return };
    if machine.run("test -S /run/dbus/system_bus_socket").0 != 0 {
        // Whoever is not root can ask systemd over the bus alone.
        return crate::skip("the machine has no D-Bus");
    }
    machine.halt();
    machine.boot();
    machine.until("test \"$(wc -l < /var/tmp/pids)\" = 2");
    let events = machine.ok("daybook journal --json");
    let lines: Vec<&str> = events.lines().collect();
    let at = |word: &str| lines.iter().rposition(|line| line.contains(word));
    let interrupted = at("\"job_interrupted\"").unwrap_or_else(|| panic!("{events}"));
    assert!(lines[interrupted].contains("\"shutdown\""), "{}", lines[interrupted]);
    // By the daemon that was there, and not found by the next one.
    assert!(Some(interrupted) < at("\"daemon_stopped\""), "{events}");
    assert_eq!(show(&mut machine)["attempts"], 2);
}
