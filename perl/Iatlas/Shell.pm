package Iatlas::Shell;

# The administrator's shell: command lines in, commands' output out.

use strict;
use warnings;

use Iatlas::Commands;
use Iatlas::Connection;
use Iatlas::Terminal;

# user, authz, mechanisms (array reference), password: who logs in; connection: what Iatlas::Connection->new() takes
# beside the server; both are the defaults of the commands connect and authenticate.  out, err: other handles than the standard ones.
sub new {
    my ($class, %defaults) = @_;

    return bless {
        user => $defaults{user},
        authz => $defaults{authz},
        mechanisms => $defaults{mechanisms},
        password => $defaults{password},
        defaults => $defaults{connection} // {},
        out => $defaults{out} // \*STDOUT,
        err => $defaults{err} // \*STDERR,
        status => 0,     # of the last command
        failed => 0,     # has any failed?
        finished => undef, # the status that the command exit was given
    }, $class;
}

# ---- what commands use ----

sub out {
    my ($self, @text) = @_;

    print { $self->{out} } @text;
}

sub connection {
    my ($self) = @_;

    die "no connection to server\n" if !$self->{connection};
    return $self->{connection};
}

# The connection there is, or undef.
sub connected { return $_[0]{connection} }

sub connect_to {
    my ($self, $server, %how) = @_;

    $self->disconnect;
    $self->{connection} = Iatlas::Connection->new(
        %{ $self->{defaults} },
        %how,
        server => $server,
        alert => sub { print { $self->{err} } "$_[0]\n" },
    );
}

sub authenticate {
    my ($self, %who) = @_;

    $self->connection->authenticate(
        user => $who{user} // $self->{user},
        authz => $self->{authz},
        mechanisms => $who{mechanisms} // $self->{mechanisms},
        password => sub { $self->{password} // Iatlas::Terminal::ask_password() },
    );
}

sub disconnect {
    my ($self) = @_;

    $self->{connection}->logout if $self->{connection};
    delete $self->{connection};
}

sub finish {
    my ($self, $status) = @_;

    $self->{finished} = $status // '';
}

# ---- command lines ----

# What a line says: a list of commands, each { words => [...], redirections => [[stream, operator, file]...] }.
# Quotes and backslashes as in sh; `;` separates, an unquoted `#` where a word could begin starts a comment.
sub parse {
    my ($line) = @_;
    my @commands = ({ words => [], redirections => [] });

    pos($line) = 0;
    until ($line =~ /\G\s*(?:#.*)?\z/gcs) {
        $line =~ /\G\s+/gc;
        if ($line =~ /\G;/gc) {
            push @commands, { words => [], redirections => [] };
        }
        elsif ($line =~ /\G2>&1/gc) {
            push @{ $commands[-1]{redirections} }, [ 'err', '>&', 'out' ];
        }
        elsif ($line =~ /\G(2?)(>>?)\s*/gc) {
            my ($stream, $operator) = ($1 ? 'err' : 'out', $2);
            push @{ $commands[-1]{redirections} },
                [ $stream, $operator, _word(\$line) // die "$operator needs the name of a file\n" ];
        }
        else {
            push @{ $commands[-1]{words} }, _word(\$line) // die "cannot read this from: " . substr($line, pos($line)) . "\n";
        }
    }
    return grep { @{ $_->{words} } || @{ $_->{redirections} } } @commands;
}

sub _word {
    my ($line) = @_;
    my $word;

    while (1) {
        if ($$line =~ /\G'([^']*)'/gc) {
            $word .= $1;
        }
        elsif ($$line =~ /\G"((?:[^"\\]|\\.)*)"/gcs) {
            $word .= $1 =~ s/\\(.)/$1/gsr;
        }
        elsif ($$line =~ /\G['"]/gc) {
            die "a quote is not closed\n";
        }
        elsif ($$line =~ /\G\\(.)/gcs || $$line =~ /\G([^\s;>"'\\]+)/gc) {
            $word .= $1;
        }
        else {
            return $word;
        }
    }
}

# Runs a line; the status of its last command.
sub run_line {
    my ($self, $line) = @_;
    my @commands = eval { parse($line) };

    if ($@) {
        print { $self->{err} } "cyradm: $@";
        return $self->_ended(1);
    }
    for my $command (@commands) {
        $self->_run_redirected($command);
        last if defined $self->{finished};
    }
    return $self->{status};
}

sub _ended {
    my ($self, $status) = @_;

    $self->{failed} = 1 if $status != 0;
    return $self->{status} = $status;
}

sub _run_redirected {
    my ($self, $command) = @_;
    my $err = $self->{err};
    local @$self{qw(out err)} = @$self{qw(out err)};
    my @opened;

    for my $redirection (@{ $command->{redirections} }) {
        my ($stream, $operator, $file) = @$redirection;
        if ($operator eq '>&') {
            $self->{$stream} = $self->{$file};
            next;
        }
        my $handle;
        if (!open $handle, $operator, $file) {
            print { $self->{err} } "cyradm: $file: $!\n";
            return $self->_ended(1);
        }
        $self->{$stream} = $handle;
        push @opened, [ $handle, $file ];
    }
    $self->_ended($self->_run(@{ $command->{words} })) if @{ $command->{words} };
    for (@opened) {
        next if close $_->[0];
        print {$err} "cyradm: $_->[1]: $!\n";
        $self->_ended(1);
    }
    return;
}

sub _run {
    my ($self, $name, @arguments) = @_;
    my $command = Iatlas::Commands::find($name);

    if (!$command) {
        print { $self->{err} } "$name: no such command (try help)\n";
        return 1;
    }
    my $title = $command->{names}[0];
    my $options = eval { Iatlas::Commands::options($command, \@arguments) };
    if (!$options) {
        print { $self->{err} } "usage: $title $command->{usage}\n";
        return 1;
    }
    return 0 if eval { $command->{run}->($self, $options, @arguments); 1 };
    print { $self->{err} } "$title: $@";
    delete $self->{connection} if $self->{connection} && !$self->{connection}->alive;
    return 1;
}

# ---- where lines come from ----

# Runs the commands of a handle until it ends or says exit; the status to leave with: what exit was given, else 1 if any
# command failed.
sub run_script {
    my ($self, $handle) = @_;

    while (!defined $self->{finished} && defined(my $line = <$handle>)) {
        $self->run_line($line);
    }
    return $self->_status($self->{failed});
}

# The same with a person: prompt and history; without a number for exit, the last command's status.
sub run_interactive {
    my ($self) = @_;
    my $terminal = Iatlas::Terminal->new(Iatlas::Commands::names());

    while (!defined $self->{finished}) {
        my $line = $terminal->line(($self->{connection} ? $self->{connection}->name : 'cyradm') . '> ');
        if (!defined $line) {
            print "\n";
            last;
        }
        $self->run_line($line);
    }
    return $self->_status($self->{status});
}

sub _status {
    my ($self, $otherwise) = @_;
    my $finished = $self->{finished} // '';

    return $finished eq '' ? $otherwise : $finished;
}

1;
