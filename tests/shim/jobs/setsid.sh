# A session, and so a group, of its own.
setsid sleep 1000 >/dev/null 2>&1 &
# It is this shell until it is `setsid`, and that until it is `sleep`.
until read -r name <"/proc/$!/comm" && [ "$name" = sleep ]; do :; done
echo ready
[ "$1" = stay ] && sleep 1000
exit 0
