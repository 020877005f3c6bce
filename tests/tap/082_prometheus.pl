# View metric and prometheus(), read by Prometheus' own tools (C41, K06): promtool accepts the text and refuses a spoilt
# one, and histograms are what the queue's times say.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

needs_programs('promtool');
my $node = new_node('prometheus', conf => 'log_statement = none');
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }

# What promtool says about a text; empty: nothing.
sub promtool
{
    my ($text) = @_;
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run([qw(promtool check metrics)], '<', \$text, '>', \$out, '2>', \$err);
    return ($ok, "$out$err");
}

sql(<<~'SQL');
    SELECT pgqueue.create_namespace('other'), pgqueue.create_queue('q'),
        pgqueue.create_queue('q', namespace => 'other'), pgqueue.create_queue('srv', executor => 'server');
    SELECT count(*) FROM pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[3]));
    SELECT pgqueue.create_task('q', '1', namespace => 'other'), pgqueue.create_task('srv', command => 'SELECT 1');
    SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 2);
    CREATE ROLE "we""ird\x" LOGIN IN ROLE pgqueue_user;
    GRANT ALL ON SCHEMA public TO "we""ird\x";
    SELECT pgqueue.grant_namespace('default', 'use', 'we"ird\x');
    SET ROLE "we""ird\x";
    SELECT pgqueue.create_task('srv', command => 'SELECT 1')
    SQL
ok(wait_for($node, $db, q{SELECT released_total FROM pgqueue.queue_stat WHERE queue = 'srv'}, '2'), 'there was work');

my $text = sql('SELECT pgqueue.prometheus()');
my ($ok, $said) = promtool("$text\n");
ok($ok, 'promtool accepts the text') or diag($said);
is($said, '', 'without remarks');
for my $line ('# TYPE queue_tasks gauge', '# HELP queue_tasks Number of tasks in each queue by status',
    'queue_tasks{namespace="default",queue="q",status="new"} 1',
    'queue_tasks{namespace="default",queue="q",status="released"} 2',
    'queue_tasks{namespace="other",queue="q",status="new"} 1',
    'pgqueue_tasks_created_total{namespace="default",queue="q"} 3',
    'pgqueue_task_wait_seconds_bucket{namespace="default",queue="q",le="+Inf"} 2',
    'pgqueue_task_wait_seconds_count{namespace="default",queue="q"} 2',
    'pgqueue_queue_ready{namespace="other",queue="q"} 1')
{
    like($text, qr/^\Q$line\E$/m, "C41: $line");
}
like($text, qr/^pgqueue_workers\{role="we\\"ird\\\\x",state="\w+"\} 1$/m, 'the value of a label is escaped');
like($text, qr/^pgqueue_info\{version="[^"]+"\} 1$/m, 'the version');
is($text =~ s/^pgqueue_queue_oldest_ready_seconds\{namespace="other",queue="q"\} [0-9.e-]+$//mr eq $text, '',
    'the age of the first ready task');
unlike($text, qr/oldest_ready_seconds\{namespace="default",queue="srv"\}/, 'a queue without one has no sample');

my %spoilt = (
    'a name twice' => "$text\n# TYPE queue_tasks gauge\nqueue_tasks{a=\"b\"} 1\n",
    'no number' => "$text\nqueue_x{a=\"b\"} one\n",
    'a counter without _total' => "# HELP a_counter x.\n# TYPE a_counter counter\na_counter 1\n");
for my $what (sort keys %spoilt)
{
    my ($accepts, $why) = promtool($spoilt{$what});
    ok(!$accepts && $why ne '', "promtool refuses: $what");
}

# Buckets: each has those of the one before, and the last one all.
is(sql(<<~'SQL'), '0', 'buckets are cumulative');
    SELECT count(*) FROM (
        SELECT value, lag(value) OVER (PARTITION BY name, labels - 'le'
            ORDER BY replace(labels ->> 'le', '+Inf', 'Infinity')::float8) AS before
        FROM pgqueue.metric WHERE name LIKE '%\_bucket') b
    WHERE value < before
    SQL
is(sql(<<~'SQL'), 't', 'view and text have the same samples');
    SELECT count(*) = (SELECT count(*) FROM regexp_split_to_table(pgqueue.prometheus(), '\n') l WHERE l ~ '^[^#]')
    FROM pgqueue.metric
    SQL
is(sql(q{SELECT string_agg(DISTINCT type, ' ' ORDER BY type) FROM pgqueue.metric}), 'counter gauge histogram', 'types');
is(($node->psql($db, 'SELECT pgqueue.prometheus(true)'))[0] != 0, 1, 'K06: a fleet needs the wrapper');
$node->stop;
done_testing();
