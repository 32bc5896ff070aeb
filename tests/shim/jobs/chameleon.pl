# A new process, session and group every 0.2 ms: never there any more when it is looked for. For ten seconds at most.
use POSIX;
$| = 1;
my $end = time + 10;
unless (fork) {
    $SIG{TERM} = 'IGNORE';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    while (time < $end) {
        setsid;
        my $child = fork;
        exit if $child;
        select undef, undef, undef, 0.0002;
    }
    exit;
}
print "ready\n";
sleep 1000 if $ARGV[0] eq 'stay';
