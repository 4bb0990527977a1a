package Iatlas::Terminal;

# The person at the terminal.

use strict;
use warnings;

use IO::Handle;
use POSIX ();
use Term::ReadLine;

# names: what a command line can begin with.
sub new {
    my ($class, @names) = @_;
    my $readline = Term::ReadLine->new('cyradm', \*STDIN, \*STDOUT);

    $readline->ornaments(0);
    $readline->Attribs->{completion_function} = sub {
        my ($word, $line, $start) = @_;
        return substr($line, 0, $start) =~ /\S/ ? () : grep { index($_, $word) == 0 } @names;
    };
    $readline->MinLine(undef); # what is remembered is decided below
    return bless { readline => $readline, last => '' }, $class;
}

# A line without its end; undef: no more.
sub line {
    my ($self, $prompt) = @_;
    my $line = $self->{readline}->readline($prompt);

    return if !defined $line;
    if ($line =~ /\S/ && $line ne $self->{last} && $self->{readline}->Features->{addHistory}) {
        $self->{readline}->addhistory($line);
        $self->{last} = $line;
    }
    return $line;
}

# From the terminal, unseen; where standard input is a script, its next line.
sub ask_password {
    my $terminal;
    my $password;

    if (!-t STDIN || !open $terminal, '+<', '/dev/tty') {
        $password = <STDIN>;
    }
    else {
        $password = _read_unseen($terminal, 'Password: ');
        close $terminal;
    }
    die "no password given\n" if !defined $password;
    return $password =~ s/\r?\n\z//r;
}

sub _read_unseen {
    my ($terminal, $prompt) = @_;
    my $mode = POSIX::Termios->new;
    my $fd = fileno $terminal;

    $mode->getattr($fd);
    my $before = $mode->getlflag;
    my $restore = sub {
        $mode->setlflag($before);
        $mode->setattr($fd, POSIX::TCSANOW());
    };
    local $SIG{INT} = sub { $restore->(); print {$terminal} "\n"; exit 130 };
    local $SIG{TERM} = sub { $restore->(); exit 143 };
    $mode->setlflag($before & ~POSIX::ECHO());
    $mode->setattr($fd, POSIX::TCSANOW());
    print {$terminal} $prompt;
    $terminal->flush;
    my $line = <$terminal>;
    $restore->();
    print {$terminal} "\n";
    return $line;
}

1;
