package SqlScript;
# Runs SQL scripts in the process of a test and answers as `psql -XAtq -v ON_ERROR_STOP=1 -f -` does. To start a psql
# costs more than most questions.
use strict;
use warnings;
use DBI ();
use DBD::Pg ();

my $token = qr{
    (?<space> \s+ | -- [^\n]* )
  | (?<comment> /\* (?: [^*/]++ | \*(?!/) | /(?!\*) | (?&comment) )*+ \*/ )
  | (?<word> (?![eE]') [A-Za-z_\x80-\xff] [\w\$\x80-\xff]*+ )
  | [eE] ' (?: [^'\\]++ | \\. )*+ '
  | ' [^']*+ '
  | " [^"]*+ "
  | (?<quote> \$ (?: [A-Za-z_\x80-\xff] [\w\x80-\xff]*+ )? \$ ) .*? \k<quote>
  | ::
  | (?<psql> \\ | ['"] | /\* | \$ (?!\d) | : (?= ['"\{A-Z] ) )
  | (?<sign> . )
}xs;

# The statements of a script with their line numbers, cut where psql cuts them. None if it takes psql itself: for its
# commands and variables, what COPY has to read or print, and notifications.
sub statements
{
    my ($script) = @_;
    my (@statements, $start, $has_code);
    my ($parentheses, $blocks, $first_words, $line) = (0, 0, '', 1);
    while ($script =~ /\G$token/g)
    {
        my ($word, $sign, $at, $end) = ($+{word}, $+{sign} // '', $-[0], $+[0]);
        return if defined $+{psql};
        $line += substr($script, $at, $end - $at) =~ tr/\n//;
        next if defined $+{space};
        $start //= $at;
        next if defined $+{comment};
        if (defined $word)
        {
            $word = lc $word;
            return if $word =~ /^(?:stdin|stdout|listen)$/;
            $first_words .= "$word " if length $first_words < 30;
            if (!$parentheses && $first_words =~ /^create (?:or replace )?(?:function|procedure) /)
            {
                $blocks++ if $word eq 'begin' || ($blocks && $word eq 'case');
                $blocks-- if $blocks && $word eq 'end';
            }
        }
        elsif ($sign eq '(') { $parentheses++; }
        elsif ($sign eq ')') { $parentheses-- if $parentheses; }
        elsif ($sign eq ';' && !$parentheses && !$blocks)
        {
            push @statements, [ substr($script, $start, $end - $start), $line ] if $has_code;
            ($start, $has_code, $first_words) = (undef, 0, '');
            next;
        }
        $has_code = 1;
    }
    push @statements, [ substr($script, $start), $line ] if $has_code;
    return @statements;
}

# A session of the node, which ends with the object; parameters are those of libpq.
sub new
{
    my ($class, $node, $db, $role, %parameters) = @_;
    my $conninfo = join(' ', $node->connstr($db), 'fallback_application_name=psql',
        map { "$_='" . $parameters{$_} =~ s/([\\'])/\\$1/gr . "'" } sort keys %parameters);
    my %raw = (pg_enable_utf8 => 0, pg_bool_tf => 1, pg_expand_array => 0);
    my $dbh = DBI->connect("dbi:Pg:$conninfo", $role // '', '',
        { PrintError => 0, PrintWarn => 1, AutoInactiveDestroy => 1, %raw })
      or die "psql: error: $DBI::errstr\n";
    return bless { dbh => $dbh }, $class;
}

# Runs statements, each in a transaction of its own unless they say otherwise, and returns their rows. Dies at the first
# error with the message that psql prints.
sub run
{
    my ($self, @statements) = @_;
    my $out = '';
    local $SIG{__WARN__} = sub { print @_ };  # notices
    for (@statements)
    {
        my ($sql, $line) = @$_;
        my $sth = $self->{dbh}->prepare($sql, { pg_direct => 1, pg_server_prepare => 0 });
        $sth && $sth->execute or die "psql:<stdin>:$line: " . $self->{dbh}->errstr . "\n";
        next unless $sth->{NUM_OF_FIELDS};
        my @types = @{ $sth->{pg_type} };
        while (my $row = $sth->fetchrow_arrayref)
        {
            $out .= join('|', map { as_text($row->[$_], $types[$_]) } 0 .. $#types) . "\n";
        }
    }
    chomp $out;
    return $out;
}

# What the server sent: the driver made bytes of bytea and a Perl number of float.
sub as_text
{
    my ($value, $type) = @_;
    return '' unless defined $value;
    return '\\x' . unpack('H*', $value) if $type eq 'bytea';
    return $value unless $type =~ /^float/;
    my ($shortest) = grep { $_ == $value } map { sprintf("%.${_}g", $value) } 15 .. 17;
    return ($shortest // 'NaN') =~ s/Inf/Infinity/r;
}

1;
