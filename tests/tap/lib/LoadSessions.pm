package LoadSessions;
# Psql sessions with a random load, and what the server told them. A process of its own feeds each session. What a
# session does follows from its seed alone.
use strict;
use warnings;
use Exporter 'import';
use Fcntl ();
use IO::Handle;
use POSIX ();

our @EXPORT = qw(start_sessions stop_sessions sessions_stopped session_errors);

my $parent = $$;
my @children;

# Writes turns into a psql, and into a new one when that one is gone. Ends by SIGTERM, and when the test is gone.
sub run_session
{
    my ($s, $command, $file) = @_;
    my $connection = 0;
    local $SIG{PIPE} = 'IGNORE';
    local $SIG{TERM} = sub { $s->{over} = 1; };
    # What the test has open must end with the test.
    POSIX::close($_) for 3 .. 255;
    open(STDERR, '>>', $file) or POSIX::_exit(1);
    open(STDOUT, '>', '/dev/null') or POSIX::_exit(1);
    until ($s->{over})
    {
        my $pid = open(my $psql, '|-', @$command) or POSIX::_exit(1);
        my $script;
        if ($s->{keep}) { open($script, '>', "$file." . ++$connection) or POSIX::_exit(1); }
        fcntl($psql, 1031, 4096);    # F_SETPIPE_SZ: what is written is done soon
        $_->autoflush(1) for grep { $_ } $psql, $script;
        my $text = <<~"SQL";
            \\warn connection $connection
            \\set VERBOSITY verbose
            SET application_name = 'load';
            SET client_min_messages = warning;
            $s->{begin}
            SQL
        do
        {
            print $script $text if $script;
            $s->{over} = 1 if getppid() != $parent;
        } while (print($psql $text) && !$s->{over} && defined($text = $s->{turn}->($s)));
        close($psql);
    }
    POSIX::_exit(0);
}

# Starts sessions: each has role, seed, begin (SQL), turn (a function that gives the next SQL), keep (true: what it does
# is written to a file as well).
sub start_sessions
{
    my ($node, $db, $folder, @sessions) = @_;
    @children = ();
    for my $i (0 .. $#sessions)
    {
        my $s = $sessions[$i];
        my $pid = fork() // die "fork: $!";
        if ($pid == 0)
        {
            srand($s->{seed});
            run_session($s, [ 'psql', '-Xq', '-d', $node->connstr($db) . " user=$s->{role}", '-f', '-' ],
                "$folder/load.$i");
        }
        push @children, $pid;
    }
    return;
}

sub stop_sessions { kill('TERM', @children); return; }
# True when all of them have ended.
sub sessions_stopped { @children = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @children; return !@children; }
END { stop_sessions() if $$ == $parent; }

# A line of a kept script, without its end.
sub script_line
{
    my ($file, $line) = @_;
    open(my $in, '<', $file) or return '';
    while (<$in>) { chomp; return $_ if $. == $line; }
    return '';
}

# What the sessions were told and $expected does not allow, each with how often it came and, of kept sessions, the last
# statement that brought it.
sub session_errors
{
    my ($folder, $expected) = @_;
    my (%seen, %statement);
    for my $file (glob("$folder/load.*"))
    {
        next if $file =~ /load\.\d+\.\d+$/;
        open(my $in, '<', $file) or next;
        my $connection = 0;
        while (my $line = <$in>)
        {
            $connection = $1 if $line =~ /^connection (\d+)/;
            next unless $line =~ /^(?:psql:<stdin>:(\d+): )?.*?(?:ERROR|FATAL|WARNING|PANIC):  (.*)/;
            my ($number, $what) = ($1, $2);
            next if $expected->($what);
            $what =~ s/(?<!^)\b\d+/N/g;
            $seen{$what}++;
            $statement{$what} = script_line("$file.$connection", $number) if $number && $connection;
        }
    }
    return map { "$seen{$_} x $_" . ($statement{$_} ? "\n    $statement{$_}" : '') } sort keys %seen;
}

1;
