# The same, and every generation leaves a child behind. Two hundred of them at most.
use POSIX;
$| = 1;
unless (fork) {
    $SIG{TERM} = 'IGNORE';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    for (1 .. 200) {
        setsid;
        my $child = fork;
        exit if $child;
        unless (fork) {
            setsid;
            exec 'sleep', '1000';
        }
        select undef, undef, undef, 0.0002;
    }
    sleep 1000;
}
print "ready\n";
sleep 1000 if $ARGV[0] eq 'stay';
