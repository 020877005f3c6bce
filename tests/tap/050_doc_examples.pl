# The documentation is true: its sql blocks run, its example workers work, the reference is that of the catalog.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::Bin/../..";
plan skip_all => 'the documentation is not beside the tests' unless -d "$root/docs";
my $examples = "$root/docs/examples";

# With fewer processes a scheduler that has nothing to do makes room for that of the next page's database, perhaps
# before anybody has seen it.
my $node = new_node('docs', conf => 'max_worker_processes = 48');
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGSSLMODE} = 'disable';    # lib/pq asks for SSL otherwise
local $ENV{PGCONNECT_TIMEOUT} = 30;
my $scratch = PostgreSQL::Test::Utils::tempdir();

# A person types slower than a new scheduler starts; before it is there next_task finds nothing.
my $until_served = <<~'SQL';
    DO $$BEGIN
        FOR i IN 1 .. 3000 LOOP
            PERFORM pg_stat_clear_snapshot();
            IF EXISTS (
                SELECT FROM pg_stat_activity
                WHERE backend_type = 'pgqueue scheduler' AND datname = current_database() AND state = 'idle'
            ) THEN
                RETURN;
            END IF;
            PERFORM pg_sleep(0.01);
        END LOOP;
        RAISE 'no scheduler in 30 seconds';
    END$$;
    SQL

sub database
{
    my ($name, $extension) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0");
    $node->safe_psql($name, "CREATE EXTENSION pgqueue;\n$until_served") if $extension;
    return $name;
}

# Runs a program; returns what it says when it fails, undef when all is well.
sub fault
{
    my (@command) = @_;
    my $said = '';
    my $ok = eval { IPC::Run::run(\@command, '<', \undef, '>', \$said, '2>&1', IPC::Run::timeout(120)) };
    return $ok ? undef : "@command: " . ($@ || $said);
}

sub works
{
    my ($what, @command) = @_;
    my $fault = fault(@command);
    ok(!defined $fault, $what) or diag($fault);
    return !defined $fault;
}

# Each page in a database of its own, its sql blocks one after another; a page about installation creates the extension
# itself.
for my $file ("$root/README.md", sort glob "$root/docs/*.md")
{
    my $text = slurp_file($file);
    my @blocks = $text =~ /^```sql\n(.*?)^```$/gms;
    next unless @blocks;
    my ($page) = $file =~ m{([^/]+)$};
    (my $db = lc $page) =~ s/[^a-z]/_/g;
    database($db, $text !~ /^CREATE EXTENSION pgqueue;$/m);
    for my $i (0 .. $#blocks)
    {
        my $script = "$scratch/$db-$i.sql";
        append_to_file($script, $blocks[$i] =~ s/^(CREATE EXTENSION pgqueue;\n)/$1$until_served/mr);
    }
    # One session, so that blocks may go on with what the ones before made.
    works("sql of $page", 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $db,
        map { ('-f', "$scratch/$db-$_.sql") } 0 .. $#blocks);
}

# The example workers: five mails that can be sent, and one without an address, which is tried twice.
database('examples', 1);
$node->safe_psql('examples', 'CREATE TABLE mail (recipient text NOT NULL)');
$ENV{PGDATABASE} = 'examples';

# The first of some python interpreters that has the library.
my ($python) = grep { !defined fault($_, '-c', 'import psycopg2') } 'python3', '/usr/bin/python3';
my $node_path = join(':', grep { defined && length } $ENV{NODE_PATH}, '/usr/share/nodejs');
# Not pg_config: that of a private copy of the server names folders that are not there.
my @include = split(' ', `pkg-config --cflags libpq 2>/dev/null`);
my @gopath = ('env', 'GO111MODULE=off', "GOPATH=$scratch/go:/usr/share/gocode", "GOCACHE=$scratch/gocache",
    "HOME=$scratch");

my %worker = (
    'worker.sql' => sub {
        return ('bash', '-c',
            qq{while cat '$examples/worker.sql' 2>/dev/null; do :; done | psql -Xq -v queue=\$0 -v idle=\$1});
    },
    'worker.py' => sub { return $python ? ($python, "$examples/worker.py") : () },
    'worker.cpp' => sub {
        append_to_file("$scratch/include.cpp", "#include <libpq-fe.h>\n");
        return if defined fault('g++', @include, '-fsyntax-only', "$scratch/include.cpp");
        works('worker.cpp compiles', 'g++', '-std=c++17', '-Wall', '-Wextra', '-Werror', @include,
            "$examples/worker.cpp", '-o', "$scratch/worker-cpp", '-lpq');
        return "$scratch/worker-cpp";
    },
    'worker.go' => sub {
        return if defined fault(@gopath, 'go', 'list', 'github.com/lib/pq');
        works('worker.go compiles', @gopath, 'go', 'build', '-o', "$scratch/worker-go", "$examples/worker.go");
        return "$scratch/worker-go";
    },
    'worker.js' => sub {
        my @node = ('env', "NODE_PATH=$node_path", 'node');
        return defined fault(@node, '-e', "require('pg')") ? () : (@node, "$examples/worker.js");
    },
);
is_deeply([ sort keys %worker ], [ map { m{([^/]+)$} } sort glob "$examples/*" ], 'every example is run');

for my $name (sort keys %worker)
{
  SKIP: {
        my @command = $worker{$name}->();
        skip("what $name needs is not installed", 1) unless @command;
        (my $queue = $name) =~ s/.*\.//;
        $node->safe_psql('examples', <<~"SQL");
            SELECT pgqueue.create_queue('$queue', retries => 1, retry_delay => '0');
            SELECT pgqueue.create_task('$queue', jsonb_build_object('to', n::text)) FROM generate_series(1, 5) n;
            SELECT pgqueue.create_task('$queue', '{"subject": "to nobody"}');
            SQL
        works("$name runs until nothing comes", @command, $queue, '2');
        is($node->safe_psql('examples', <<~"SQL"), "failed|2|1\nreleased|1|5",
            SELECT status, attempt, count(*) FROM pgqueue.task WHERE queue = '$queue' GROUP BY 1, 2 ORDER BY 1
            SQL
            "$name has released five and tried the sixth twice");
    }
}
is($node->safe_psql('examples', 'SELECT count(*) FROM mail'), '5', 'the work of worker.sql is in the database');

works('outside-workers.md shows the examples as they are', "$root/tests/docs/examples", '--check');

# Links lead to files that are there, and the index has every page.
my @broken;
for my $file ("$root/README.md", glob "$root/docs/*.md")
{
    my ($folder) = $file =~ m{(.*)/};
    my @links = slurp_file($file) =~ /\]\((?!https?:|#)([^)#\s]+)/g;
    push @broken, map { "$file: $_" } grep { !-e "$folder/$_" } @links;
}
is_deeply(\@broken, [], 'links lead to files');
my $index = slurp_file("$root/docs/README.md");
is_deeply([ grep { $index !~ /\(\Q$_\E\)/ } map { m{([^/]+)$} } glob "$root/docs/[a-z]*.md" ], [],
    'docs/README.md names every page');

# The reference is what the catalog says.
$ENV{PGDATABASE} = database('reference', 1);
my ($out, $err) = ('', '');
IPC::Run::run([ "$root/tests/docs/reference", '--print' ], '>', \$out, '2>', \$err);
is($err, '', 'the reference can be made');
ok($out eq slurp_file("$root/docs/reference.md"), 'docs/reference.md is up to date; else run tests/docs/reference');

done_testing();
