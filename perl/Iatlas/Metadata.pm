package Iatlas::Metadata;

# Annotations of mailboxes and of the server (METADATA, RFC 5464).

use strict;
use warnings;

use Iatlas::Quote;

use constant VENDOR => '/vendor/cmu/cyrus-imapd/';

# Short names, and what they stand for below /private or /shared.
my %MAILBOX = (
    comment => '/comment',
    specialuse => '/specialuse',
    map { $_ => VENDOR . $_ } qw(expire news2mail pop3showafter sharedseen sieve squat),
);
my %SERVER = (
    admin => '/admin',
    comment => '/comment',
    motd => '/motd',
    map { $_ => VENDOR . $_ } qw(expire shutdown squat),
);

our $MAILBOX_NAMES = join '|', sort keys %MAILBOX;
our $SERVER_NAMES = join '|', sort keys %SERVER;

sub _connection {
    my ($shell) = @_;
    my $connection = $shell->connection;

    die "the server does not support METADATA\n" if !$connection->has('METADATA');
    return $connection;
}

# The entry that is meant: an explicit one with its scope, one without, or a short name.
sub entry {
    my ($name, $private, $short) = @_;
    my $scope = $private ? '/private' : '/shared';

    return $name if $name =~ m{^/(?:private|shared)/};
    return $scope . $name if $name =~ m{^/};
    die "$name: no such annotation\n" if !$short->{ lc $name };
    return $scope . $short->{ lc $name };
}

# Sets one entry of the mailbox (undef: of the server); the value `none` removes it.
sub set {
    my ($shell, $options, $mailbox, $name, $value) = @_;
    my $connection = _connection($shell);
    my $entry = entry($name, $options->{private}, defined $mailbox ? \%MAILBOX : \%SERVER);

    $value =~ s/^\\*/\\/ if $entry =~ m{/specialuse$} && lc $value ne 'none';
    $connection->command(
        sprintf 'SETMETADATA %s (%s %s)',
        Iatlas::Quote::name($mailbox // ''),
        Iatlas::Quote::quoted($entry),
        lc $value eq 'none' ? 'NIL' : Iatlas::Quote::string($value, $connection->has('LITERAL+')),
    );
}

sub show {
    my ($shell, $mailbox) = @_;
    my $command = 'GETMETADATA (DEPTH infinity) ' . Iatlas::Quote::name($mailbox // '') . ' (/private /shared)';
    my (%values, @order);

    for (_connection($shell)->answers($command, 'METADATA')) {
        my ($name, $pairs) = @$_;
        push @order, $name if !$values{$name};
        push @{ $values{$name} }, @{ $pairs // [] };
    }
    for my $name (@order) {
        $shell->out($name eq '' ? "{Server Wide}\n" : "{$name}:\n");
        _show_scope($shell, $_, @{ $values{$name} }) for qw(private shared);
    }
}

sub _show_scope {
    my ($shell, $scope, @pairs) = @_;
    my @lines;

    while (my ($entry, $value) = splice @pairs, 0, 2) {
        next if !defined $entry || $entry !~ s{^/$scope/}{};
        $entry =~ s{^vendor/cmu/cyrus-imapd/(?:.*/)?}{};
        push @lines, "    $entry: " . ($value // 'NIL') . "\n";
    }
    $shell->out("  $scope:\n", @lines) if @lines;
}

1;
