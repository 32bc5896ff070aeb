# Takes no hint, and neither do its children.
trap '' TERM
sleep 1000 >/dev/null 2>&1 &
echo ready
[ "$1" = stay ] && while :; do sleep 1; done
exit 0
