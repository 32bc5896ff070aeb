#!/usr/bin/env bash
# A machine of its own with a real systemd: namespaces, a cgroup, and a file system that lies over this one's and is
# forgotten at the end. Started by machine.rs in a pid and mount namespace of its own; $1 is an empty folder.
# Reads orders from standard input, one a line, and answers each with `DONE <exit code>`; what was printed is in $1/out.
#
#   boot | halt | run <shell command>
#
# DAYBOOK_MACHINE_ROOT names the root of another distribution, such as debootstrap makes, to be used instead of this one's.
set -u
W=$1 R=$1/root
die() { echo "CANNOT $*"; exit 1; }

prepare_root() {
    mkdir -p "$W/top" "$R"
    mount -t tmpfs -o mode=755 tmpfs "$W/top" || die "no tmpfs"
    mkdir "$W/top/upper" "$W/top/work"
    mount -t overlay -o "lowerdir=${DAYBOOK_MACHINE_ROOT:-/},upperdir=$W/top/upper,workdir=$W/top/work" overlay "$R" 2>/dev/null || die "no overlay over this root"
    # A quiet machine with an identity of its own: none of the services that this root may have enabled.
    rm -rf "$R"/etc/systemd/system/*.wants "$R"/etc/systemd/system/*.requires 2>/dev/null
    find "$R/etc/systemd/system" -maxdepth 1 -type l -exec rm -f {} + 2>/dev/null
    : > "$R/etc/fstab"; : > "$R/etc/machine-id"; echo daybook-test > "$R/etc/hostname"; rm -f "$R/etc/resolv.conf"
    mkdir -p "$R"/{proc,sys,dev,run,tmp,mnt} "$R/etc/systemd/journald.conf.d"
    printf '[Journal]\nStorage=volatile\nForwardToSyslog=no\n' > "$R/etc/systemd/journald.conf.d/test.conf"
    local unit
    for unit in systemd-udevd.service systemd-udev-trigger.service systemd-modules-load.service systemd-resolved.service \
        systemd-timesyncd.service systemd-networkd-wait-online.service NetworkManager-wait-online.service \
        getty@tty1.service console-getty.service; do
        ln -sf /dev/null "$R/etc/systemd/system/$unit"
    done
    cp -r "$W/files/." "$R/" || die "no room for the files"
}

# One group for us, and one that the machine takes for the root of all.
prepare_cgroup() {
    mkdir -p "$W/cgroup"
    mount -t cgroup2 cgroup2 "$W/cgroup" || die "cgroup v2 cannot be mounted"
    local own; own=$(awk -F: '$1==0{print $3}' /proc/self/cgroup)
    [ -n "$own" ] && [ -d "$W/cgroup$own" ] || own=/
    GROUP=$W/cgroup${own%/}/daybook-${W##*/}
    echo "${own%/}/daybook-${W##*/}" > "$W/group"
    mkdir "$GROUP" "$GROUP/ours" "$GROUP/theirs" 2>/dev/null || die "no cgroup can be made here"
    echo 0 > "$GROUP/ours/cgroup.procs" || die "a new cgroup cannot be entered"
    local controller
    for controller in $(cat "$GROUP/cgroup.controllers"); do echo "+$controller" > "$GROUP/cgroup.subtree_control"; done 2>/dev/null
}

cat > "$W/init.sh" <<'INIT'
set -e
R=$1 BOOT=$2
mount --rbind "$R" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$R/run"
mount -t tmpfs -o mode=755,nosuid tmpfs "$R/dev"
mount -t tmpfs -o mode=1777,nosuid tmpfs "$R/tmp"
# Nodes of its own: through those of the host, this systemd would change their owners and modes there.
node() { mknod -m "$2" "$R/dev/$1" c "$3" "$4"; }
node null 666 1 3; node zero 666 1 5; node full 666 1 7; node random 666 1 8; node urandom 666 1 9; node tty 666 5 0
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$R/dev/pts"; ln -s pts/ptmx "$R/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$R/dev/shm"
ln -s /proc/self/fd "$R/dev/fd"; ln -s fd/0 "$R/dev/stdin"; ln -s fd/1 "$R/dev/stdout"; ln -s fd/2 "$R/dev/stderr"
mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
# The kernel's boot id is that of the host, and stays: each boot gets one of its own.
mount --bind "$BOOT" "$R/proc/sys/kernel/random/boot_id"
mount --rbind "$R/proc/sys" "$R/proc/sys"; mount -o remount,bind,ro "$R/proc/sys"
hostname daybook-test 2>/dev/null || :
cd "$R"; pivot_root . mnt; umount -l /mnt
# As on any machine. Without it, credentials are empty.
mount --make-rshared /
SYSTEMD=/lib/systemd/systemd; [ -x $SYSTEMD ] || SYSTEMD=/usr/lib/systemd/systemd
exec env -i container=daybook-test PATH=/usr/sbin:/usr/bin:/sbin:/bin $SYSTEMD --unit=multi-user.target </dev/null
INIT

inside() {
    nsenter -t "$LEADER" -m -u -i -n -p -C -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LANG=C.UTF-8 SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 timeout 120 sh -c "$1" </dev/null
}

boot() {
    local state= i
    tee "$W/boot-id" "$R/etc/boot-id" < /proc/sys/kernel/random/uuid > /dev/null
    # First into the group, then a namespace of cgroups, so that this group is its root.
    ( echo 0 > "$GROUP/theirs/cgroup.procs"
      exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child=KILL --propagation private \
          bash "$W/init.sh" "$R" "$W/boot-id" ) > "$W/boot.log" 2>&1 < /dev/null &
    BOOTED=$! LEADER=
    for ((i = 0; i < 600; i++)); do
        kill -0 $BOOTED 2>/dev/null || { echo "systemd has ended: $(tail -3 "$W/boot.log")"; return 1; }
        [ -n "$LEADER" ] || LEADER=$(awk -v parent=$BOOTED '$4==parent{print $1}' /proc/[0-9]*/stat 2>/dev/null | head -1)
        [ -z "$LEADER" ] || state=$(inside 'systemctl is-system-running' 2>/dev/null)
        case $state in running|degraded) break;; esac
        sleep 0.1
    done
    # A stranger in its root group would confuse it.
    echo $BOOTED > "$GROUP/ours/cgroup.procs"
    echo "$state"
    case $state in running|degraded) return 0;; *) return 1;; esac
}

halt() {
    inside 'systemctl poweroff' > /dev/null 2>&1
    local i
    for ((i = 0; i < 1200; i++)); do kill -0 $BOOTED 2>/dev/null || break; sleep 0.1; done
    if kill -0 $BOOTED 2>/dev/null; then echo "it does not power off"; return 1; fi
    wait $BOOTED 2>/dev/null
    return 0
}

prepare_root
prepare_cgroup
echo READY
while IFS= read -r order; do
    case $order in
        boot) boot;;
        halt) halt;;
        "run "*) inside "${order#run }";;
    esac > "$W/out" 2>&1
    echo "DONE $?"
done
