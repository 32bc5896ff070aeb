# A daemon by the book: forks, leads a session, forks again, and is nobody's child.
use POSIX;
$| = 1;
unless (fork) {
    setsid;
    exit if fork;
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    exec 'sleep', '1000';
}
wait;
print "ready\n";
sleep 1000 if $ARGV[0] eq 'stay';
