package Source;
# What the source checks share: the files, and C++ text without comments and literals.
use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(dirname);
use File::Find qw(find);
use Cwd qw(abs_path);
our @EXPORT = qw(files text code complain finish);

chdir(abs_path(dirname(__FILE__) . '/../..')) or die $!;
my $complaints = 0;

# The files below a folder whose name matches, sorted; products of builds are left out.
sub files
{
    my ($folder, $pattern) = @_;
    my @found;
    return () unless -e $folder;
    find({ no_chdir => 1, wanted => sub {
        if ($_ eq './build' || $_ eq './.git') { $File::Find::prune = 1; return; }
        push @found, $_ if -f $_ && !-l $_ && $_ =~ $pattern;
    } }, $folder);
    s{^\./}{} for @found;
    return sort @found;
}

sub text
{
    my ($file) = @_;
    open(my $in, '<', $file) or die "$file: $!\n";
    local $/;
    return scalar <$in>;
}

# The code of a C++ file: comments become blanks, and literals too unless $keep_literals; line numbers stay.
sub code
{
    my ($file, $keep_literals) = @_;
    my $text = text($file);
    $text =~ s{(//[^\n]*|/\*.*?\*/)|(R"(\w*)\(.*?\)\3"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+')}
              {defined $1 ? $1 =~ s/[^\n]/ /gr : $keep_literals ? $2 : '"' . $2 =~ s/[^\n]//gr . '"'}gse;
    return $text;
}

# Reports one fault; an offset in the text becomes a line number.
sub complain
{
    my ($file, $text, $offset, $message) = @_;
    my $line = 1 + (substr($text, 0, $offset) =~ tr/\n//);
    print "$file:$line: $message\n";
    $complaints++;
}

sub finish { exit($complaints ? 1 : 0); }

1;
