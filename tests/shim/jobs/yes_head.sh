# The first of the two dies of SIGPIPE, or writes an error for ever if that is ignored.
{ yes 2>/dev/null; echo $? >&2; } | head -n 1
