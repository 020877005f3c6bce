# Worker processes die at every point of a task's life: by SIGKILL (the server restarts) and by SIGTERM (it does not).
# Afterwards no task is lost, what ran has its effect exactly once, attempts are counted, counters equal the rows and
# all places of workers are free again. A43, K13, K14, A40.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use CrashLoad;
use PgQueue;
use Test::More;

my $workers = 4;
my $node = new_loaded_node('crash_worker');

# Point, and whether the task runs there, so that the attempt counts.
my @points = (
    ['worker-popped', 0], ['worker-claiming', 0], ['worker-claimed', 0], ['worker-ran', 1], ['worker-releasing', 1],
    ['worker-failed', 1],
    ['worker-recording', 1],
);

for my $case (@points)
{
    my ($point, $runs) = @$case;
    my $holder = session($node);
    hold_point($holder, $point);
    fill(240, 0);
    my $pid = pid_at($node, 'postgres', $point, 30) or BAIL_OUT("no worker at $point");
    kill9($node, $pid);
    ok(wait_up($node, 30), "$point: the server is back");
    $holder->close;
    all_well("SIGKILL at $point", $runs, $runs * $workers);
}

for my $case (@points)
{
    my ($point, $runs) = @$case;
    my $holder = session($node);
    hold_point($holder, $point);
    fill(240, 0);
    my $pid = pid_at($node, 'postgres', $point, 30) or BAIL_OUT("no worker at $point");
    ok(terminate($node, $pid, 10), "A40: $point: the worker ends");
    is($holder->query('SELECT 1'), '1', "A40: $point: nobody else does");
    $holder->close;
    all_well("SIGTERM at $point", $runs, $runs);
}

$node->stop;
done_testing();
