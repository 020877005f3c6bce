# docs/monitoring with the real programs: Prometheus reads the same series in three ways (prometheus() over HTTP,
# postgres_exporter, sql_exporter), and its alert rules pass their tests (C40, C41, K06).
use strict;
use warnings;
use File::Basename;
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use IO::Socket::INET;
use IPC::Run ();
use JSON::PP qw(decode_json);
use PgQueue;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

needs_programs('prometheus', 'promtool', 'prometheus-postgres-exporter', 'prometheus-sql-exporter');
my $node = new_node('monitoring', conf => "log_statement = none\nlisten_addresses = '127.0.0.1'");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
my $docs = dirname(__FILE__) . '/../../docs/monitoring';
my $dir = PostgreSQL::Test::Utils::tempdir();

# The exporters' role has pg_monitor and nothing else.
sql(<<~'SQL');
    CREATE ROLE exporter LOGIN IN ROLE pg_monitor;
    SELECT pgqueue.create_queue('q', retries => 0), pgqueue.create_queue('srv', executor => 'server'),
        pgqueue.create_queue('paused');
    SELECT count(*) FROM pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[7]));
    SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 4);
    SELECT pgqueue.fail_task(id, receipt, 'no') FROM pgqueue.next_task('w', 'q');
    SELECT pgqueue.create_task('srv', command => 'SELECT 1');
    SELECT pgqueue.pause_queue('paused'), pgqueue.create_task('paused', '1')
    SQL
ok(wait_for($node, $db, q{SELECT released_total FROM pgqueue.queue_stat WHERE queue = 'srv'}, '1'), 'there was work');

for my $check ([qw(check rules alerts.yml)], [qw(test rules alerts_test.yml)])
{
    my $said = '';
    my $ok = IPC::Run::run([ 'promtool', @$check ], '>&', \$said, init => sub { chdir $docs });
    ok($ok, "promtool @$check") or diag($said);
}

# The configuration of the documentation, with the ports of this test.
my %port = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } qw(9187 9188 9237 prometheus);
my %text = map { $_ => slurp_file("$docs/$_") } qw(prometheus.yml alerts.yml sql_exporter.yml postgres_exporter.yaml);
$text{'prometheus.yml'} =~ s/127\.0\.0\.1:(\d+)/127.0.0.1:$port{$1}/g;
$text{'prometheus.yml'} =~ s/_interval: 15s/_interval: 1s/g;
$text{'sql_exporter.yml'} =~ s/127\.0\.0\.1:5432/'127.0.0.1:' . $node->port/e;
$text{'sql_exporter.yml'} =~ s/interval: 15s/interval: 1s/;
append_to_file("$dir/$_", $text{$_}) for keys %text;

# Serves prometheus() to whom asks.
sub serve_metrics
{
    my $socket = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => $port{9187}, ReuseAddr => 1)
      or die "no port: $!";
    while (my $client = $socket->accept)
    {
        while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n/ }
        my ($host, $port) = ($node->host, $node->port);
        my $body = `psql -XAtqU exporter -h $host -p $port -d $db -c 'SELECT pgqueue.prometheus()'`;
        print $client "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n$body\n";
        close($client);
    }
    exit(0);
}
my @started;
END { my $rc = $?; kill('KILL', @started) if @started; waitpid($_, 0) for @started; $? = $rc; }
sub start
{
    my ($name, $environment, @command) = @_;
    my $pid = fork() // die "fork: $!";
    if ($pid == 0)
    {
        @started = ();
        delete @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} if %$environment;
        $ENV{$_} = $environment->{$_} for keys %$environment;
        open(STDOUT, '>', "$dir/$name.log") or die;
        open(STDERR, '>&', \*STDOUT) or die;
        serve_metrics() if !@command;
        exec(@command) or die "$name: $!";
    }
    push(@started, $pid);
    return;
}
start('metrics', {});
start('postgres_exporter',
    { DATA_SOURCE_NAME => "postgresql://exporter\@127.0.0.1:@{[ $node->port ]}/$db?sslmode=disable" },
    'prometheus-postgres-exporter', "--web.listen-address=127.0.0.1:$port{9188}", '--disable-default-metrics',
    '--disable-settings-metrics', '--no-collector.database', '--no-collector.bgwriter',
    "--extend.query-path=$dir/postgres_exporter.yaml");
start('sql_exporter', { LOGLEVEL => 'WARN' }, 'prometheus-sql-exporter', "-config.file=$dir/sql_exporter.yml",
    "-web.listen-address=127.0.0.1:$port{9237}");
start('prometheus', { LOGLEVEL => '' }, 'prometheus', "--config.file=$dir/prometheus.yml",
    "--storage.tsdb.path=$dir/data", "--web.listen-address=127.0.0.1:$port{prometheus}", '--log.level=warn');

# What Prometheus' own interface answers; undef: nothing yet.
sub ask
{
    my ($path, %args) = @_;
    my $http = HTTP::Tiny->new(timeout => 5);
    my $url = "http://127.0.0.1:$port{prometheus}/api/v1/$path";
    $url .= '?' . $http->www_form_urlencode(\%args) if %args;
    my $answer = $http->get($url);
    return $answer->{success} ? decode_json($answer->{content})->{data} : undef;
}
sub all_up
{
    my $targets = (ask('targets') // return)->{activeTargets};
    return @$targets == 3 && !grep { $_->{health} ne 'up' } @$targets;
}
ok(wait_until(\&all_up), 'Prometheus reads all three') or do {
    diag(explain(ask('targets')));
    diag(slurp_file("$dir/$_.log")) for qw(metrics postgres_exporter sql_exporter prometheus);
};

# The values of an expression, by job.
sub by_job
{
    my ($expression) = @_;
    my $data = ask('query', query => $expression) // return '';
    return join(' ', sort map { "$_->{metric}{job}=$_->{value}[1]" } @{ $data->{result} });
}
my %of_queue = (
    'queue_tasks{queue="q",status="failed"}' => 1, 'pgqueue_queue_ready{queue="q"}' => 2,
    'pgqueue_queue_blocked{queue="paused"}' => 1, 'pgqueue_tasks_created_total{queue="q"}' => 7,
    'pgqueue_tasks_released_total{queue="q"}' => 4, 'pgqueue_tasks_failed_total{queue="q"}' => 1,
    'pgqueue_health_problems{problem="queue_paused"}' => 1);
for my $expression (sort keys %of_queue)
{
    my $value = $of_queue{$expression};
    my $expected = join(' ', map { "$_=$value" } qw(pgqueue postgres_exporter sql_exporter));
    my $seen;
    ok(wait_until(sub { ($seen = by_job($expression)) eq $expected }), "K06: $expression is the same in three ways")
      or diag($seen);
}
for my $time (qw(wait run))
{
    my $seen;
    ok(wait_until(sub {
            $seen = by_job("histogram_quantile(0.5, pgqueue_task_${time}_seconds_bucket{queue=\"q\"}) > 0");
            $seen =~ /^pgqueue=[0-9.e-]+ postgres_exporter=[0-9.e-]+$/;
        }), "K06: Prometheus' own quantile of the $time time, from two of them") or diag($seen);
}
# The dashboards: every expression finds series, every statement runs.
sub panels { my ($file) = @_; return @{ decode_json(slurp_file("$docs/$file"))->{panels} }; }
sub replaced
{
    my ($text) = @_;
    $text =~ s/\$__rate_interval/15s/g;
    $text =~ s/\$__timeFilter\((\w+)\)/$1 > now() - interval '1 hour'/g;
    $text =~ s/\$(?:namespace|queue)\b/.*/g;
    return $text;
}
for my $panel (panels('grafana-prometheus.json'))
{
    for my $target (@{ $panel->{targets} })
    {
        my $expression = replaced($target->{expr});
        ok(wait_until(sub { @{ (ask('query', query => $expression) // {})->{result} // [] } }),
            "dashboard: $panel->{title}: $target->{legendFormat}") or diag($expression);
    }
}
for my $panel (panels('grafana-sql.json'))
{
    my $query = replaced($panel->{targets}[0]{rawSql});
    my $err;
    is($node->psql($db, $query, stderr => \$err, extra_params => [ '-U', 'exporter' ]), 0,
        "dashboard in SQL: $panel->{title}") or diag($err);
}
SKIP:
{
    my $modules = $ENV{NODE_PATH} // '';
    skip 'no npm, so no types of Grafana', 2 unless -d "$modules/\@grafana/schema";
    for my $name (qw(grafana-prometheus grafana-sql))
    {
        # An enumeration of the types, a string in the file.
        my $json = slurp_file("$docs/$name.json") =~ s/"mode": "absolute"/"mode": ThresholdsMode.Absolute/gr;
        $json =~ s/\s+\z//;
        append_to_file("$dir/$name.ts", "import { type Dashboard, ThresholdsMode } from '\@grafana/schema';\n"
              . "const d = $json satisfies Dashboard; export default d;\n");
        symlink($modules, "$dir/node_modules");
        my $said = '';
        ok(IPC::Run::run([ "$modules/.bin/tsc", qw(--noEmit --strict --skipLibCheck --module esnext --moduleResolution
                bundler), "$name.ts" ], '>&', \$said, init => sub { chdir $dir }), "Grafana's types accept $name.json")
          or diag($said);
    }
}

my @rules = @{ ask('rules')->{groups}[0]{rules} };
is(join(' ', sort { $a cmp $b } map { $_->{name} } grep { $_->{type} eq 'alerting' } @rules),
    'PgqueueDeadLetters PgqueueFailing PgqueueLate PgqueueLeasesLost PgqueueNobodyWorks PgqueueProblem PgqueueWarning',
    'it has our alerts');
my $pending;
ok(wait_until(sub {
        $pending = join(' ', map { "$_->{labels}{problem}:$_->{state}" }
              grep { $_->{labels}{alertname} eq 'PgqueueWarning' } @{ (ask('alerts') // {})->{alerts} // [] });
        $pending =~ /queue_paused:pending/;
    }), 'C40: a problem of health becomes an alert') or diag($pending);
done_testing();
