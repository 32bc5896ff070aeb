# The first process of a pid namespace: starts what it is told with its own standard streams, waits for it, and tells
# on standard error who is left then. All of them end with it.
exec 3<&0
[ -z "$PIDS" ] || echo 0 >"$PIDS/cgroup.procs"
[ -z "$HOME_CGROUP" ] || echo 0 >"$HOME_CGROUP/cgroup.procs"
"$@" <&3 3<&- 2>/dev/null &
wait $!
echo "code $?" >&2
for process in /proc/[0-9]*; do
    [ "$process" = /proc/1 ] && continue
    read -r state <"$process/stat" 2>/dev/null || continue
    case "$state" in
    *") Z "*) ;;
    *) echo "left $state" >&2 ;;
    esac
done
