package Iatlas::Commands;

# The commands: names, options, usage, what they do.

use strict;
use warnings;

use Iatlas::Columns;
use Iatlas::Metadata;
use Iatlas::Quote;

my %RIGHTS = (
    none => '',
    read => 'lrs',
    post => 'lrsp',
    append => 'lrsip',
    write => 'lrswipkxten',
    delete => 'lrxten',
    all => 'lrswipkxtean',
);

# A row: names, the first of which is the title; options, 1: takes a value; args: the least and the most arguments beside
# options; usage; what it does; the function, called with shell, options, arguments.
my @COMMANDS = (
    {   names => [qw(authenticate auth login)],
        options => { minssf => 1, maxssf => 1, mechanisms => 1, service => 1, tlskey => 1, notls => 0, cafile => 1, capath => 1 },
        args => [ 0, 1 ],
        usage => '[--mechanisms list] [user]',
        help => 'log in',
        run => \&_authenticate,
    },
    {   names => [qw(chdir cd)],
        args => [ 1, 1 ],
        usage => 'directory',
        help => 'change the current directory',
        run => sub { chdir $_[2] or die "$_[2]: $!\n" },
    },
    {   names => [qw(createmailbox create cm)],
        options => { partition => 1, specialuse => 1 },
        args => [ 1, 2 ],
        usage => '[--partition partition] [--specialuse use] mailbox [partition]',
        help => 'create a mailbox',
        run => \&_createmailbox,
    },
    {   names => [qw(deleteaclmailbox deleteacl dam)],
        args => [ 2, undef ],
        usage => 'mailbox id [id ...]',
        help => 'take rights on a mailbox away',
        run => \&_deleteaclmailbox,
    },
    {   names => [qw(deletemailbox delete dm)],
        args => [ 1, 1 ],
        usage => 'mailbox',
        help => 'delete a mailbox',
        run => sub { $_[0]->connection->command('DELETE ' . Iatlas::Quote::name($_[2])) },
    },
    {   names => [qw(disconnect disc)],
        args => [ 0, 0 ],
        usage => '',
        help => 'leave the server',
        run => sub { $_[0]->connection; $_[0]->disconnect },
    },
    {   names => [qw(exit quit)],
        args => [ 0, 1 ],
        usage => '[status]',
        help => 'leave cyradm',
        run => sub {
            die "$_[2]: not a number\n" if defined $_[2] && $_[2] !~ /^\d{1,3}$/;
            $_[0]->finish($_[2]);
        },
    },
    {   names => [qw(getmetadata getmd)],
        args => [ 0, 1 ],
        usage => '[mailbox]',
        help => 'show the annotations of a mailbox or of the server',
        run => sub { Iatlas::Metadata::show(@_[ 0, 2 ]) },
    },
    {   names => [ 'help', '?' ],
        args => [ 0, undef ],
        usage => '[command ...]',
        help => 'show commands',
        run => \&_help,
    },
    {   names => [qw(info)],
        args => [ 0, 1 ],
        usage => '[mailbox]',
        help => 'show the annotations of a mailbox or of the server',
        run => sub { Iatlas::Metadata::show(@_[ 0, 2 ]) },
    },
    {   names => [qw(listaclmailbox listacl lam)],
        args => [ 1, 1 ],
        usage => 'mailbox',
        help => 'list the rights on a mailbox',
        run => \&_listaclmailbox,
    },
    {   names => [qw(listmailbox list lm)],
        options => { subscribed => 0, specialuse => 0 },
        args => [ 0, 2 ],
        usage => '[--subscribed] [--specialuse] [pattern [reference]]',
        help => 'list mailboxes',
        run => \&_listmailbox,
    },
    {   names => [qw(listquota lq)],
        args => [ 1, 1 ],
        usage => 'root',
        help => 'list the quotas of a quota root',
        run => \&_listquota,
    },
    {   names => [qw(listquotaroot lqr lqm)],
        args => [ 1, 1 ],
        usage => 'mailbox',
        help => 'show the quota roots of a mailbox and their quotas',
        run => \&_listquotaroot,
    },
    {   names => [qw(mboxconfig mboxcfg)],
        options => { private => 0 },
        args => [ 3, 3 ],
        usage => "[--private] mailbox [$Iatlas::Metadata::MAILBOX_NAMES|/<explicit annotation>] value",
        help => 'configure a mailbox',
        run => sub { Iatlas::Metadata::set(@_) },
    },
    {   names => [qw(reconstruct)],
        options => { recursive => 0 },
        args => [ 1, 1 ],
        usage => '[--recursive] mailbox',
        help => 'reconstruct a mailbox (if the server can)',
        run => sub {
            my ($shell, $options, $mailbox) = @_;
            my $recursive = $options->{recursive} ? ' RECURSIVE' : '';
            $shell->connection->command('RECONSTRUCT ' . Iatlas::Quote::name($mailbox) . $recursive);
        },
    },
    {   names => [qw(renamemailbox rename renm rm)],
        options => { partition => 1 },
        args => [ 2, 3 ],
        usage => '[--partition partition] oldname newname [partition]',
        help => 'rename a mailbox, or move it to another partition',
        run => sub { _command_with_partition('RENAME', @_) },
    },
    {   names => [qw(server servername connect)],
        options => { noauthenticate => 0 },
        args => [ 0, 1 ],
        usage => '[--noauthenticate] [server]',
        help => 'show the current server, or connect to one',
        run => \&_server,
    },
    {   names => [qw(setaclmailbox setacl sam)],
        args => [ 3, undef ],
        usage => 'mailbox id rights [id rights ...]',
        help => 'give rights on a mailbox',
        run => \&_setaclmailbox,
    },
    {   names => [qw(setinfo)],
        args => [ 2, 2 ],
        usage => "[$Iatlas::Metadata::SERVER_NAMES|/<explicit annotation>] value",
        help => 'set an annotation of the server',
        run => sub { Iatlas::Metadata::set(@_[ 0, 1 ], undef, @_[ 2, 3 ]) },
    },
    {   names => [qw(setmetadata setmd)],
        options => { private => 0 },
        args => [ 3, 3 ],
        usage => "[--private] mailbox [$Iatlas::Metadata::MAILBOX_NAMES|/<explicit annotation>] value",
        help => 'set an annotation of a mailbox',
        run => sub { Iatlas::Metadata::set(@_) },
    },
    {   names => [qw(setquota sq)],
        args => [ 2, undef ],
        usage => 'root resource value [resource value ...]',
        help => 'set the quotas of a quota root',
        run => \&_setquota,
    },
    {   names => [qw(subscribe sub)],
        args => [ 1, 1 ],
        usage => 'mailbox',
        help => 'subscribe to a mailbox',
        run => sub { $_[0]->connection->command('SUBSCRIBE ' . Iatlas::Quote::name($_[2])) },
    },
    {   names => [qw(unsubscribe unsub)],
        args => [ 1, 1 ],
        usage => 'mailbox',
        help => 'unsubscribe from a mailbox',
        run => sub { $_[0]->connection->command('UNSUBSCRIBE ' . Iatlas::Quote::name($_[2])) },
    },
    {   names => [qw(version ver)],
        args => [ 0, 0 ],
        usage => '',
        help => 'show what the server says of itself',
        run => \&_version,
    },
    {   names => [qw(xfermailbox xfer)],
        options => { partition => 1 },
        args => [ 2, 3 ],
        usage => '[--partition partition] mailbox server [partition]',
        help => 'move a mailbox to another server',
        run => sub { _command_with_partition('XFER', @_) },
    },
);

my %BY_NAME = map { my $command = $_; map { $_ => $command } @{ $command->{names} } } @COMMANDS;

# The command of that name, or undef.
sub find { return $BY_NAME{ $_[0] } }

sub names { return sort keys %BY_NAME }

# Takes the options off the arguments: `--name` in full, or `-name`, which may be shortened.  Dies if they are not this
# command's, or if too few or too many arguments are left.
sub options {
    my ($command, $arguments) = @_;
    my $known = $command->{options} // {};
    my %given;

    while (@$arguments && $arguments->[0] =~ /^(--?)(.*)/) {
        my ($dashes, $word) = ($1, $2);
        last if $word eq '' && $dashes eq '-';
        shift @$arguments;
        last if $word eq '';
        my @match = grep { $_ eq $word || $dashes eq '-' && index($_, $word) == 0 } sort keys %$known;
        @match = ('subscribed') if $dashes eq '-' && $word eq 's' && exists $known->{subscribed}; # as Cyrus's shell
        die "-$word\n" if @match != 1;
        $given{ $match[0] } = $known->{ $match[0] } ? shift @$arguments // die "-$word needs a value\n" : 1;
    }
    my ($least, $most) = @{ $command->{args} };
    die "arguments\n" if @$arguments < $least || (defined $most && @$arguments > $most);
    return \%given;
}

# ---- connection ----

sub _server {
    my ($shell, $options, $server) = @_;

    if (!defined $server) {
        $shell->out($shell->connection->name, "\n");
        return;
    }
    $shell->connect_to($server);
    $shell->authenticate if !$options->{noauthenticate};
}

sub _authenticate {
    my ($shell, $options, $user) = @_;
    my $connection = $shell->connection;
    my $mechanisms = $options->{mechanisms};

    die "already authenticated\n" if $connection->authenticated;
    die "only the service imap is possible\n" if ($options->{service} // 'imap') ne 'imap';
    my %tls = map { exists $options->{$_} ? ($_ => $options->{$_}) : () } qw(cafile tlskey capath notls);
    if (%tls) {
        $shell->connect_to(
            $connection->name,
            (exists $tls{cafile} ? (cafile => $tls{cafile}) : ()),
            (exists $tls{capath} ? (cadir => $tls{capath}) : ()),
            (exists $tls{tlskey} ? (key => $tls{tlskey}) : ()),
            ($tls{notls} ? (tls => 'never') : ()),
        );
    }
    # Protection comes from TLS alone: no layer of SASL's is ever used.
    if (($options->{minssf} // 0) > 0 && !$shell->connection->secure) {
        die "the connection is not protected\n";
    }
    $shell->authenticate(user => $user, mechanisms => defined $mechanisms ? [ split /[\s,]+/, $mechanisms ] : undef);
}

sub _version {
    my ($shell) = @_;
    my ($answer) = $shell->connection->answers('ID NIL', 'ID');
    my @fields = @{ ($answer && $answer->[0]) // [] };

    while (my ($name, $value) = splice @fields, 0, 2) {
        next if !defined $value;
        $shell->out(sprintf "%-11s: %s\n", $name, join "\n             ", split /; /, $value);
    }
}

sub _help {
    my ($shell, $options, @names) = @_;

    if (!@names) {
        my %title = map { join(', ', @{ $_->{names} }) => $_ } @COMMANDS;
        my ($width) = sort { $b <=> $a } map { length } keys %title;
        $shell->out(sprintf "%-*s  %s\n", $width, $_, $title{$_}{help}) for sort keys %title;
        return;
    }
    for my $name (@names) {
        my $command = find($name) or die "unknown command: $name\n";
        my $title = $command->{names}[0];
        $shell->out($name eq $title ? $title : "$name, alias for $title", " $command->{usage}\n\t$command->{help}\n");
    }
}

# ---- mailboxes ----

# The partition, given as an option or as the last argument.
sub _partition {
    my ($options, $argument) = @_;

    die "the partition is given twice\n" if defined $options->{partition} && defined $argument;
    return $options->{partition} // $argument;
}

sub _createmailbox {
    my ($shell, $options, $mailbox, $last) = @_;
    my $connection = $shell->connection;
    my $partition = _partition($options, $last);
    my $command = 'CREATE ' . Iatlas::Quote::name($mailbox);

    if (defined $options->{specialuse}) {
        my $use = $options->{specialuse} =~ s/^\\*//r;
        die "$use: not a special use\n" if $use !~ /^[A-Za-z0-9-]+$/;
        die "the server does not support CREATE-SPECIAL-USE\n" if !$connection->has('CREATE-SPECIAL-USE');
        $command .= " (USE (\\$use)" . (defined $partition ? ' PARTITION ' . Iatlas::Quote::quoted($partition) : '') . ')';
    }
    elsif (defined $partition) {
        $command .= ' ' . Iatlas::Quote::quoted($partition);
    }
    $connection->command($command);
}

# RENAME and XFER: two names, and perhaps a partition.
sub _command_with_partition {
    my ($verb, $shell, $options, $mailbox, $to, $last) = @_;
    my $partition = _partition($options, $last);
    my $target = $verb eq 'XFER' ? Iatlas::Quote::quoted($to) : Iatlas::Quote::name($to);

    $shell->connection->command(
        "$verb " . Iatlas::Quote::name($mailbox) . " $target" . (defined $partition ? ' ' . Iatlas::Quote::quoted($partition) : ''));
}

sub _listmailbox {
    my ($shell, $options, $pattern, $reference) = @_;
    my $connection = $shell->connection;
    my $command = $options->{subscribed} ? 'LSUB' : 'LIST';
    my $names = join ' ', map { Iatlas::Quote::name($_) } $reference // '', $pattern // '*';
    my ($select, $return) = ('', '');

    if ($options->{specialuse}) {
        die "the server does not support SPECIAL-USE\n" if !$connection->has('SPECIAL-USE');
        ($command, $select) = ('LIST', '(SPECIAL-USE) ');
    }
    if ($command eq 'LIST' && $connection->has('LIST-EXTENDED')) {
        $return = ' RETURN (SUBSCRIBED CHILDREN)';
    }
    my @answers = $connection->answers("$command $select$names$return", $command);
    $shell->out(Iatlas::Columns::lay_out(map { _listed($_, $options->{subscribed}) } @answers));
}

sub _listed {
    my ($answer, $bare) = @_;
    my ($attributes, undef, $name) = @$answer;

    $name //= 'NIL';
    return $bare || !@{ $attributes // [] } ? $name : "$name (@$attributes)";
}

# ---- rights ----

sub _setaclmailbox {
    my ($shell, $options, $mailbox, @pairs) = @_;
    my $connection = $shell->connection;

    die "each identifier needs rights\n" if @pairs % 2;
    while (my ($identifier, $rights) = splice @pairs, 0, 2) {
        my ($sign, $given) = $rights =~ /^([-+]?)(.*)/s;
        $rights = $sign . ($RIGHTS{ lc $given } // $given);
        $connection->command(join ' ', 'SETACL', Iatlas::Quote::name($mailbox), map { Iatlas::Quote::quoted($_) } $identifier, $rights);
    }
}

sub _deleteaclmailbox {
    my ($shell, $options, $mailbox, @identifiers) = @_;

    for my $identifier (@identifiers) {
        $shell->connection->command('DELETEACL ' . Iatlas::Quote::name($mailbox) . ' ' . Iatlas::Quote::quoted($identifier));
    }
}

sub _listaclmailbox {
    my ($shell, $options, $mailbox) = @_;
    my ($answer) = $shell->connection->answers('GETACL ' . Iatlas::Quote::name($mailbox), 'ACL');
    my (undef, @pairs) = @{ $answer // [] };

    while (my ($identifier, $rights) = splice @pairs, 0, 2) {
        $shell->out("$identifier $rights\n");
    }
}

# ---- quota ----

# ` STORAGE 10/100 (10%)`, one resource behind the other.
sub _usage {
    my (@triplets) = @_;
    my $text = '';

    while (my ($resource, $used, $limit) = splice @triplets, 0, 3) {
        $text .= sprintf ' %s %s/%s (%s%%)', $resource, $used, $limit, $limit ? $used * 100 / $limit : 0;
    }
    return $text =~ s/(\.\d{2})\d+%/$1%/gr;
}

sub _listquota {
    my ($shell, $options, $root) = @_;
    my ($answer) = $shell->connection->answers('GETQUOTA ' . Iatlas::Quote::name($root), 'QUOTA');

    $shell->out(_usage(@{ ($answer && $answer->[1]) // [] }), "\n");
}

sub _listquotaroot {
    my ($shell, $options, $mailbox) = @_;
    my @answers = $shell->connection->answers('GETQUOTAROOT ' . Iatlas::Quote::name($mailbox), 'QUOTA');

    $shell->out("\n") if !@answers;
    for (@answers) {
        my ($root, $triplets) = @$_;
        $shell->out($root // 'NIL', _usage(@{ $triplets // [] }), "\n");
    }
}

# SETQUOTA replaces the whole list of limits (RFC 2087 4.1).
sub _setquota {
    my ($shell, $options, $root, @given) = @_;
    my @limits;

    if (@given == 1) {
        $shell->out(lc $given[0] eq 'none' ? "remove quota\n" : "quota:$given[0]\n");
        unshift @given, 'STORAGE';
    }
    die "each resource needs a value\n" if @given % 2;
    while (my ($resource, $value) = splice @given, 0, 2) {
        next if lc $value eq 'none';
        die "$resource: $value: not a number\n" if $value !~ /^\d+$/;
        die "$resource: not a resource\n" if $resource !~ /^[A-Za-z0-9-]+$/;
        push @limits, uc $resource, $value;
    }
    $shell->connection->command('SETQUOTA ' . Iatlas::Quote::name($root) . " (@limits)");
}

1;
