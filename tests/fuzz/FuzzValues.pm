package FuzzValues;
# Values for arguments and columns, as SQL expressions: by name what makes sense there, by type what lies at the edge.
use strict;
use warnings;
use Exporter 'import';
use FuzzTasks;

our @EXPORT = qw(one_of upto quoted value roles);

sub one_of { return $_[rand @_]; }
sub upto { return 1 + int(rand($_[0])); }
sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'"; }

# The roles of the fuzzer; fz_owner owns namespace a, fz_other namespace b, each other one has in both what its name
# says.
sub roles { return qw(fz_owner fz_other fz_manage fz_use fz_work fz_read fz_nobody fz_admin); }

# ===== what makes sense =====

my @queues = qw(q q q q fast fast srv srv lim hold dl dead arch v0 v1 v2 v3);
my %words = (
    queue => \@queues, dead_letter => [ 'dead', '', @queues ],
    namespace => [ qw(a a a b b default n0 n1 pgqueue pg_background_queue) ],
    topic => [ qw(red red blue) ],
    ticker => [ qw(t0 t1 t2 t3) ],
    worker => [ qw(w1 w2 w3) ],
    role => [ roles(), 'public' ], owner => [qw(fz_owner fz_owner fz_other fz_manage)],
    privileges => [ 'use', 'work', 'manage', 'read', 'all', 'use, work', 'read,read' ],
        privilege => [qw(use work manage read owner)],
    type => [ qw(work work.x work:y look other) ],
    function => [ 'public.fz_work', 'public.fz_look', 'fz_fail', 'pg_catalog.jsonb_pretty', 'public.fz_look(jsonb)' ],
    phase => [ qw(handle before after failed) ],
    cron => [ '* * * * *', '*/2 * * * * *', '@hourly', '@every 1 s', '0 0 29 2 *', '5 4 * * sun',
        '0-59/7 */3 1,15 * *' ],
    time_zone => [qw(UTC Europe/Berlin America/Sao_Paulo CET-1CEST)],
    on_conflict => [qw(skip nothing replace error)], on_failed_dependency => [qw(cancel hold ignore)],
    backoff => [qw(exponential linear quadratic fixed)], executor => [qw(outside server)],
        group_policy => [qw(hold pass)], on_finish => [qw(keep archive delete)],
    misfire => [qw(skip one all)], overlap => [qw(allow skip queue)],
        status => [qw(new retry retained released failed expired cancelled)],
    name => [qw(high default low)], dedup_key => [qw(d1 d2 d3)], group_key => [qw(g1 g2)], batch_key => [qw(b1 b2)],
        depends_on_batch => [qw(b1 b2)],
    rename_to => [qw(v0 v1 v2 v3)], error => [ 'boom', '%o%' ], reason => ['because'], forward_to => [''],
        description => [ 'some words', '' ],
    note => ['half of it'], paused_reason => ['because'], outcome => ['failed'],
);
$words{queues} = \@queues;
$words{ ${$_}[0] } = $words{ ${$_}[1] } for [ dedup_keys => 'dedup_key' ], [ group_keys => 'group_key' ],
    [ errors => 'error' ];
my %numbers = (
    max_tasks => [ 1, 5, 50 ], weight => [ 1, 3 ], max_running => [ 0, 2, 20 ], max_depth => [ 0, 1000, 100000 ],
        priority => [ 1, 50, 100, 101 ], retries => [ 0, 2, 5 ],
    max_slots => [ 1, 3 ], misfire_max => [ 1, 10 ], rate_burst => [ 1, 5 ], group_max_running => [ 1, 2 ],
        group_commit => [1], retry_jitter => [ 0, 0.5 ],
    rate_limit => [ 0, 100, 1000 ], group_rate_limit => [ 0, 100 ], rate => [ 0, 100 ], max_leases => [ 10, 1000 ],
    max_groups => [ 10, 1000 ], max_queues => [ 20, 100 ],
    max_priorities => [ 5, 100 ], max_dependencies => [ 10, 1000 ], done => [ 0.5, 1 ],
        total => [ 1, 2 ],
);
my %times = (
    timeout => [ '0', '1 ms', '20 ms' ], lease => [ '50 ms', '500 ms', '10 s' ], delay => [ '0', '5 ms', '50 ms' ],
        retry_in => [ '0', '5 ms', '20 ms' ],
    retry_delay => [ '1 ms', '10 ms' ], max_retry_delay => [ '20 ms', '1 s' ], ttl => [ '0', '500 ms', '1 h' ],
        run_limit => [ '0', '100 ms', '1 s' ],
    retention => [ '0', '1 ms', '1 h' ], period => [ '200 ms', '1 s', '0' ], jitter => [ '0', '50 ms' ],
        aging => [ '0', '10 ms' ], dedup_for => [ '10 ms', '1 s' ], older_than => [ '0', '1 s' ],
);
my %moments = (
    starts_at => [ 'now()', "now() + '1 s'" ], ends_at => ["now() + '1 h'"],
        until => [ "clock_timestamp() + '50 ms'", "clock_timestamp() + '1 s'" ],
    slot => [ 'now()', "'2026-03-29 02:30+01'" ], after => [ 'now()', "'2026-03-29 00:00+01'" ],
        delayed_at => [ "clock_timestamp() + '20 ms'", "now() + '1 s'" ],
    dies_at => [ "clock_timestamp() + '100 ms'", "now() + '1 h'" ],
);

# ===== what lies at the edge =====

my @texts = (
    "''", "' '", "'pgqueue'", "'default'", "'nosuch'", "' Q '", "'Bad Name'", "'1a'", "'a-b_c'", "'a''b'", "'a\"b'",
        "'%s%n%'", "'pg_catalog.pg_sleep'", "'../x'", "';'", "'NULL'", "'null'", "'PUBLIC'",
    "'cleanup'", "'pgqueue_admin'", "E'tab\\tline\\nend'", "E'\\u00e9\\u4e2d\\U0001F418'", "E'\\u0001'", "E'\\u202e'",
        "repeat('x', 63)", "repeat('y', 64)", "repeat('z', 65)", "repeat('long ', 20000)",
    "repeat('(', 5000)", "repeat(E'\\u00e9', 64)", "'61 * * * *'", "'0 0 30 2 *'", "'\@reboot'", "'* * * * * * *'",
        "repeat('* ', 2000)", "'Nowhere/City'", "'postgres'", "chr(127)",
);
my %edges = (
    'text' => \@texts,
    'boolean' => [qw(true false)],
    'drop_in.pg_background_queue_task_state' => [ map { "'$_'" } qw(pending running retrying failed finished) ],
    'regclass' => [ map { "'$_'" } 'fuzz.former', 'fuzz.scratch', 'pg_class', 'pgqueue.task', '0', '4294967295' ],
    'integer' => [ map { "$_" } 0, 1, 2, 255, 10000, 10001, 32767, 32768, 65536, 2147483647, '(-1)', '(-2147483648)' ],
    'bigint' => [ map { "$_" } 0, 1, 4294967296, '9223372036854775807', '(-1)', '(-9223372036854775808)', '987654321' ],
    'double precision' => [ 0, 1, '1e-300', '1e300', map { "'$_'" } '-1', '-0', 'NaN', 'Infinity', '-Infinity',
        '1e-9' ],
    'interval' => [ map { "'$_'" } '0', '1 us', '-1 us', '-1 s', '-1 day', '1 mon -30 days', '1 day -24:00:00',
        '900 years', '178000000 years', '-178000000 years', '2147483647 days', '106751991 days', '23:59:59.999999' ],
    'timestamp with time zone' => [ 'now()', 'clock_timestamp()', map { "'$_'" } 'infinity', '-infinity', 'epoch',
        '294276-12-31 23:59:59.999999+00', '4714-11-24 00:00:00+00 BC', '2000-01-01 00:00+00',
        '1999-12-31 23:59:59.999999+00', '2026-10-25 02:30+02' ],
    'jsonb' => [ map { ref $_ ? $$_ : "'$_'" } 'null', '{}', '[]', '0', '""', '"x"', '-1e400',
        '{"a": {"b": [1, null, "x"]}}', '{"id": 1, "queue": "q", "": ""}',
        \"(repeat('[', 500) || repeat(']', 500))", \"to_jsonb(repeat('x', 300000))",
            \"to_jsonb(E'\\u00e9\\u202e'::text)", \"(SELECT jsonb_object_agg(g, g) FROM generate_series(1, 2000) g)" ],
);

# The last tasks of the database are fuzz.id(0), fuzz.id(1) …; those of even number are held by somebody when there are
# such. `n` keeps id and receipt of one call together.
sub id { my ($s) = @_; return "fuzz.id($s->{n})"; }
sub receipt { my ($s) = @_; return "fuzz.receipt($s->{n})"; }

sub sensible
{
    my ($s, $type, $name) = @_;
    return one_of('true', 'false', 'false', 'false') if $type eq 'boolean';
    return quoted(hostile()) if $name =~ /^(commands?|sql|sql_statement)$/;
    return "'fuzz.former'" if $type eq 'regclass';
    return "localtimestamp + '20 ms'" if $name eq 'joined_at';
    return quoted($s->{namespaces}[ rand @{ $s->{namespaces} } ]) if $name eq 'namespace' && rand() < 0.8;
    return quoted(one_of(@{ $words{$name} })) if $words{$name} && $type eq 'text';
    return one_of(@{ $numbers{$name} }) if $numbers{$name};
    return quoted(one_of(@{ $times{$name} })) if $times{$name} && $type eq 'interval';
    return one_of(@{ $moments{$name} }) if $moments{$name} && $type =~ /^timestamp/;
    return id($s) if $name =~ /^(id|ids|depends_on|task_id|last_task)$/;
    return receipt($s) if $name =~ /^receipts?$/;
    return one_of(map { "'$_'" } '1', '"x"', '{"a": 1}', '{"n": [1, 2]}') if $type eq 'jsonb';
    return edge($s, $type);
}

# Without its zone a moment is the same words.
$edges{'timestamp without time zone'} = $edges{'timestamp with time zone'};

sub edge
{
    my ($s, $type) = @_;
    return 'NULL' if rand() < 0.25;
    return "fuzz.id($s->{n} + " . upto(3) . ')' if $type eq 'bigint' && rand() < 0.4;
    my $values = $edges{$type} or die "no values of type $type";
    return one_of(@$values);
}

# Arrays have the same length in most calls of a turn.
sub array
{
    my ($s, $type, $name) = @_;
    if (rand() < $s->{edge})
    {
        return "'{}'::$type\[]" if rand() < 0.2;
        return "ARRAY[[NULL, NULL], [NULL, NULL]]::$type\[]" if rand() < 0.1;
        return "array_fill(" . scalar_value($s, $type, $name) . "::$type, ARRAY[" . one_of(1, 2, 200) . '])'
            if rand() < 0.2;
    }
    if ($name =~ /^(ids|receipts|depends_on)$/ && rand() < 0.7)
    {
        my $call = $name eq 'receipts' ? 'receipt' : 'id';
        return "ARRAY(SELECT fuzz.$call($s->{n} + 2 * g) FROM generate_series(1, $s->{length}) g)";
    }
    my $length = rand() < $s->{edge} / 2 ? int(rand(4)) : $s->{length};
    return 'ARRAY[' . join(', ', map { scalar_value($s, $type, $name) } 1 .. $length) . "]::$type\[]";
}

sub scalar_value { my ($s, $type, $name) = @_; return rand() < $s->{edge} ? edge($s, $type)
    : sensible($s, $type, $name); }

# An expression of the type for what has this name. $s: edge (how often it lies at the edge, 0 to 1), n, length,
# namespaces.
sub value
{
    my ($s, $type, $name) = @_;
    return 'NULL' if rand() < $s->{edge} / 4;
    return array($s, $1, $name) if $type =~ /^(.*)\[\]$/;
    return 'CAST(' . scalar_value($s, $type, $name) . " AS $type)";
}

1;
