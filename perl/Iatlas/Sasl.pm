package Iatlas::Sasl;

# The client's side of SASL mechanisms (RFC 4422): Authen::SASL's, and SCRAM (RFC 5802, 7677) by Authen::SCRAM.
# Modules are loaded when a mechanism needs them; no security layer is ever asked for.

use strict;
use warnings;

# From the best to the last.  authz: can name another user to act for; password: needs one; step: see exchange().
my @MECHANISMS = (
    { name => 'EXTERNAL', authz => 1, make => \&_authen_sasl },
    { name => 'GSSAPI', authz => 1, make => \&_authen_sasl, modules => ['GSSAPI'] },
    (   map { { name => "SCRAM-$_", authz => 1, password => 1, make => \&_scram, modules => ['Authen::SCRAM::Client'] } }
            qw(SHA-512 SHA-256 SHA-1)
    ),
    { name => 'DIGEST-MD5', authz => 1, password => 1, make => \&_authen_sasl, modules => ['Digest::HMAC_MD5'] },
    { name => 'CRAM-MD5', password => 1, make => \&_authen_sasl, modules => ['Digest::HMAC_MD5'] },
    { name => 'PLAIN', authz => 1, password => 1, make => \&_authen_sasl },
    { name => 'LOGIN', password => 1, make => \&_authen_sasl },
);

# The mechanisms to try, best first: offered by the server, wished (undef: any), possible here.
sub choose {
    my (%how) = @_;
    my %offered = map { uc $_ => 1 } @{ $how{offered} };
    my %wished = map { uc $_ => 1 } @{ $how{wished} // [] };

    return grep {
        $offered{ $_->{name} }
            && (!$how{wished} || $wished{ $_->{name} })
            && (!defined $how{authz} || $_->{authz})
            && ($_->{name} ne 'EXTERNAL' || $how{certificate})
            && _loads('Authen::SASL', @{ $_->{modules} // [] })
    } @MECHANISMS;
}

sub _loads {
    for my $module (@_) {
        return 0 if !eval "require $module; 1";
    }
    return 1;
}

# A function from the server's challenge to our response, both as bytes; it dies with the reason when there is
# none.  The first call's challenge is empty unless the server speaks first.
sub exchange {
    my ($mechanism, %who) = @_;

    return $mechanism->{make}->($mechanism->{name}, %who);
}

sub _authen_sasl {
    my ($name, %who) = @_;
    my $sasl = Authen::SASL->new(
        mechanism => $name,
        callback => {
            user => $name eq 'EXTERNAL' ? $who{authz} // '' : $who{user},
            pass => $who{password},
            (defined $who{authz} ? (authname => $who{authz}) : ()),
        },
    );
    my $client = $sasl->client_new('imap', $who{host}) or die "$name: " . $sasl->error . "\n";
    my $begun;

    $client->property(maxssf => 0, minssf => 0);
    my $check = sub {
        my ($response) = @_;
        die "$name: " . $client->error . "\n" if defined $client->error;
        die "$name: cannot go on\n" if !defined $response;
        return $response;
    };
    my $first = $check->($client->client_start);
    return sub {
        my ($challenge) = @_;
        if (!$begun++ && $challenge eq '') {
            return $first;
        }
        # Authen::SASL has no answer left to a server's last word
        return $check->($client->client_step($challenge) // '');
    };
}

sub _scram {
    my ($name, %who) = @_;
    my $client = Authen::SCRAM::Client->new(
        username => $who{user},
        password => $who{password},
        digest => $name =~ s/^SCRAM-//r,
        (defined $who{authz} ? (authorization_id => $who{authz}) : ()),
    );
    my @steps = (sub { $client->first_msg }, sub { $client->final_msg($_[0]) }, sub { $client->validate($_[0]); '' });

    return sub {
        my $step = shift @steps or die "$name: the server goes on too long\n";
        my $response = eval { $step->($_[0]) };
        die "$name: the server did not prove that it knows the password, or spoke nonsense\n" if !defined $response;
        return $response;
    };
}

1;
