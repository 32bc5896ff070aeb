# Has nothing in its environment that would say whose it is.
env -i setsid sleep 1000 >/dev/null 2>&1 &
echo ready
[ "$1" = stay ] && sleep 1000
exit 0
