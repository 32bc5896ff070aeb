# An orphan from its first moment.
(sleep 1000 >/dev/null 2>&1 &)
echo ready
[ "$1" = stay ] && sleep 1000
exit 0
