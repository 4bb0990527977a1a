package Iatlas::Connection;

# A connection to an IMAP server: TLS, authentication, a command and its answer.  On Mail::IMAPClient.
# What fails dies with a line of text.

use strict;
use warnings;

use Mail::IMAPClient;
use MIME::Base64 qw(encode_base64 decode_base64);

use Iatlas::Quote;
use Iatlas::Response;
use Iatlas::Sasl;

use constant {
    CONNECT_SECONDS => 60,
    COMMAND_SECONDS => 24 * 3600, # XFER moves whole users
};

# server: `host`, `host:port`, `[address]:port` or the path of a Unix socket; port, unless the name has one.
# imaps: TLS from the first byte; tls: 'must', 'may' (where the server offers it) or 'never'; key: a file with a certificate
# and its key; cafile, cadir: whom to trust (without them nothing is verified); alert: called with ALERT texts.
sub new {
    my ($class, %how) = @_;
    my $self = bless { how => \%how, alert => $how{alert} // sub { } }, $class;
    my $port = $how{port};

    $self->{name} = $how{server};
    if ($how{server} =~ m{^/}) {
        $self->{host} = 'localhost';
    }
    elsif ($how{server} =~ /^\[(.*)\](?::(\w+))?$/ || $how{server} =~ /^([^:]+):(\w+)$/) {
        ($self->{host}, $port) = ($1, $2 // $port);
    }
    else {
        $self->{host} = $how{server};
    }
    $how{imaps} //= defined $port && ($port eq '993' || $port eq 'imaps');
    $self->_connect(_port($port, $how{imaps}));
    return $self;
}

# A bare Debian has no /etc/services.
sub _port {
    my ($port, $imaps) = @_;

    return $imaps ? 993 : 143 if !defined $port || $port eq 'imap' || $port eq 'imaps';
    return $port if $port =~ /^\d+$/;
    return getservbyname($port, 'tcp') // die "$port: no such port\n";
}

sub _connect {
    my ($self, $port) = @_;
    my $how = $self->{how};
    my $unix = $how->{server} =~ m{^/};
    my $imap = Mail::IMAPClient->new(Timeout => CONNECT_SECONDS, Keepalive => 1);

    $imap->Server($unix ? $how->{server} : $self->{host});
    $imap->Port($port);
    $imap->Ssl([ $self->_tls_arguments ]) if $how->{imaps};
    $self->{imap} = $imap;
    $imap->connect or die "$self->{name}: cannot connect to server" . $self->_because . "\n";
    $self->{secure} = $how->{imaps} ? 1 : 0;
    $self->_start_tls if !$how->{imaps};
    $imap->Timeout(COMMAND_SECONDS);
}

sub _because {
    my ($self) = @_;
    my $error = $self->{imap}->LastError // '';

    $error =~ s/^Unable to connect to \S+: //;
    $error =~ s/^IO::Socket::\S+ //;
    $error =~ s/\s+\z//;
    return $error eq '' ? '' : ": $error";
}

sub _tls_arguments {
    my ($self) = @_;
    my $how = $self->{how};
    my @arguments = (Timeout => CONNECT_SECONDS);

    require IO::Socket::SSL;
    push @arguments, SSL_hostname => $self->{host} if $self->{host} =~ /[a-z]/i && $self->{host} !~ /:/;
    push @arguments, SSL_cert_file => $how->{key}, SSL_key_file => $how->{key} if $self->certificate;
    if (defined $how->{cafile} || defined $how->{cadir}) {
        push @arguments,
            SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_PEER(),
            SSL_verifycn_scheme => 'imap',
            SSL_verifycn_name => $self->{host};
        push @arguments, SSL_ca_file => $how->{cafile} if defined $how->{cafile};
        push @arguments, SSL_ca_path => $how->{cadir} if defined $how->{cadir};
    }
    else {
        push @arguments, SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE();
    }
    return @arguments;
}

sub _start_tls {
    my ($self) = @_;
    my $wish = $self->{how}{tls} // 'may';
    my $offered = $wish ne 'never' && $self->has('STARTTLS');

    die "$self->{name}: the server does not offer TLS\n" if $wish eq 'must' && !$offered;
    return if !$offered;
    $self->{imap}->Starttls([ $self->_tls_arguments ]);
    $self->{imap}->starttls or die "$self->{name}: cannot start TLS" . $self->_because . "\n";
    delete $self->{capabilities};
    $self->{secure} = 1;
}

sub certificate {
    my ($self) = @_;

    return defined $self->{how}{key} && $self->{how}{key} ne '';
}

sub name { return $_[0]{name} }
sub host { return $_[0]{host} }
sub secure { return $_[0]{secure} }
sub authenticated { return $_[0]{authenticated} }

# ---- commands ----

# The bytes that came, from Mail::IMAPClient's pieces: it cuts off what announces a literal.
sub _received {
    my (@pieces) = @_;
    my $text = '';

    while (defined(my $piece = shift @pieces)) {
        $text .= $piece;
        if ($piece !~ /\n\z/ && @pieces) {
            my $literal = shift @pieces;
            $text .= '{' . length($literal) . "}\r\n$literal";
        }
    }
    return $text;
}

# Sends it and gives { untagged => [responses], text => the tagged one's text }; dies with the text of NO or BAD.
sub command {
    my ($self, $command) = @_;
    my $imap = $self->{imap};
    my $ok = $imap->tag_and_run($command);
    my @responses = Iatlas::Response::split_responses(_received($imap->History));
    my @untagged = map { /^\* (.*)/s ? $1 : () } @responses;
    my $tagged = @responses && $responses[-1] =~ /^\d+ \w+ ?(.*?)\r?\n\z/s ? $1 : '';

    for (@responses) {
        $self->{alert}->($1) if /^\S+ (?:OK|NO|BAD|BYE) \[ALERT\] (.*?)\r?\n/i;
    }
    if (!$imap->IsConnected || !@responses) {
        delete $self->{imap};
        my ($bye) = map { /^BYE (?:\[[^\]]*\] )?(.*?)\r?\n/i ? ": $1" : () } @untagged;
        die 'the server closed the connection' . ($bye // '') . "\n";
    }
    die(($tagged eq '' ? 'the server refused' : $tagged) . "\n") if !$ok;
    return { untagged => \@untagged, text => $tagged };
}

# Is it still there?
sub alive {
    my ($self) = @_;

    return $self->{imap} && $self->{imap}->IsConnected;
}

sub capabilities {
    my ($self) = @_;

    if (!$self->{capabilities}) {
        my @words = map { /^CAPABILITY (.*?)\r?\n/i ? split(' ', $1) : () } @{ $self->command('CAPABILITY')->{untagged} };
        $self->{capabilities} = { map { uc $_ => 1 } @words };
    }
    return $self->{capabilities};
}

sub has {
    my ($self, $capability) = @_;

    return $self->capabilities->{ uc $capability };
}

# The words of each untagged response of that name, without the name.
sub answers {
    my ($self, $command, $name) = @_;

    return map { /^\Q$name\E (.*)/is ? [ Iatlas::Response::words($1) ] : () } @{ $self->command($command)->{untagged} };
}

sub logout {
    my ($self) = @_;

    $self->{imap}->logout if $self->alive;
    delete $self->{imap};
}

# ---- authentication ----

# user: whose password it is; authz: whom to act for (undef: the same); mechanisms: names to choose from (undef:
# any); password: a function that gives it, asked only if a mechanism needs one.
sub authenticate {
    my ($self, %who) = @_;
    my @offered = map { /^AUTH=(.+)/ ? $1 : () } keys %{ $self->capabilities };
    my @mechanisms = Iatlas::Sasl::choose(
        offered => \@offered,
        wished => $who{mechanisms},
        authz => $who{authz},
        certificate => $self->certificate,
    );
    my $why = '';

    die "already authenticated\n" if $self->{authenticated};
    for my $mechanism (@mechanisms) {
        $who{secret} //= $who{password}->() if $mechanism->{password};
        my $exchange = eval {
            Iatlas::Sasl::exchange(
                $mechanism,
                user => $who{user},
                authz => $who{authz},
                password => $who{secret},
                host => $self->{host},
            );
        };
        if ($exchange) {
            return $self->_run_exchange($mechanism->{name}, $exchange);
        }
        $why = " ($@" =~ s/\n//r . ')';
    }
    if (!@mechanisms && !$who{mechanisms} && !defined $who{authz} && !$self->has('LOGINDISABLED')) {
        return $self->_login($who{user}, $who{password}->());
    }
    die "no authentication mechanism in common$why\n";
}

sub _done {
    my ($self) = @_;

    delete $self->{capabilities};
    $self->{authenticated} = 1;
}

sub _login {
    my ($self, $user, $password) = @_;

    $self->command('LOGIN ' . Iatlas::Quote::quoted($user) . ' ' . Iatlas::Quote::string($password));
    $self->_done;
}

sub _run_exchange {
    my ($self, $name, $exchange) = @_;
    my $failure;
    my $step = sub {
        my ($challenge) = @_;
        my $response = $failure ? undef : eval { $exchange->(decode_base64($challenge)) };
        if (!defined $response) {
            $failure //= $@;
            return '*'; # RFC 3501 6.2.2: cancelled
        }
        return encode_base64($response, '');
    };

    # Mail::IMAPClient refuses the name LOGIN in capitals, to steer its callers elsewhere
    my $ok = $self->{imap}->authenticate($name eq 'LOGIN' ? 'login' : $name, $step);
    die $failure if $failure;
    die $self->_refusal . "\n" if !$ok;
    $self->_done;
}

sub _refusal {
    my ($self) = @_;
    my $error = $self->{imap}->LastError // '';

    $error =~ s/\s+\z//;
    return $error =~ /^(?:\d+|\*) (?:NO|BAD|BYE) (?:\[[^\]]*\] )?(.+)/ ? $1 : $error eq '' ? 'refused' : $error;
}

1;
