# Whoever waits for the end of its output waits long.
setsid sleep 1000 &
echo ready
[ "$1" = stay ] && sleep 1000
exit 0
