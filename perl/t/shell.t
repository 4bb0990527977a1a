# Command lines, options, redirection, statuses; no server needed.
use strict;
use warnings;

use File::Temp;
use Test::More;

use Iatlas::Commands;
use Iatlas::Metadata;
use Iatlas::Sasl;
use Iatlas::Shell;

# ---- lines ----

sub said {
    return [ map { $_->{words} } Iatlas::Shell::parse($_[0]) ];
}

my @lines = (
    [ 'lm user/%', [ [ 'lm', 'user/%' ] ] ],
    [ "  cm 'a b'\"c \\\" d\"\\ e  ", [ [ 'cm', 'a bc " d e' ] ] ],
    [ 'lm; lq "x;y" ;;', [ ['lm'], [ 'lq', 'x;y' ] ] ],
    [ 'sam x "" lr # why', [ [ 'sam', 'x', '', 'lr' ] ] ],
    [ 'lm user/#sieve', [ [ 'lm', 'user/#sieve' ] ] ],
    [ '# nothing', [] ],
    [ "\n", [] ],
    [ 'a\#b', [ ['a#b'] ] ],
    [ '2 3', [ [ '2', '3' ] ] ],
    [ 'user2', [ ['user2'] ] ],
);
for (@lines) {
    is_deeply(said($_->[0]), $_->[1], "line $_->[0]");
}
is_deeply(
    (Iatlas::Shell::parse('lm > out 2>>"e r" x'))[0],
    { words => [ 'lm', 'x' ], redirections => [ [ 'out', '>', 'out' ], [ 'err', '>>', 'e r' ] ] },
    'redirections',
);
is_deeply((Iatlas::Shell::parse('lm>o 2>&1'))[0]{redirections}, [ [ 'out', '>', 'o' ], [ 'err', '>&', 'out' ] ], 'both in one file');
for my $line ('"', "a 'b", 'a >', 'lm >;', 'a\\') {
    ok(!eval { Iatlas::Shell::parse($line); 1 }, "refused: $line");
}

# ---- options ----

sub taken {
    my ($name, @arguments) = @_;
    my $options = eval { Iatlas::Commands::options(Iatlas::Commands::find($name), \@arguments) };

    return $options && [ $options, @arguments ];
}

my @options = (
    [ [ 'cm', 'x' ], [ {}, 'x' ] ],
    [ [ 'cm', '--partition', 'p', 'x' ], [ { partition => 'p' }, 'x' ] ],
    [ [ 'cm', '-part', 'p', '-s', '\Sent', 'x' ], [ { partition => 'p', specialuse => '\Sent' }, 'x' ] ],
    [ [ 'cm', '--', '--x' ], [ {}, '--x' ] ],
    [ [ 'sam', 'x', '-fred', 'lr' ], [ {}, 'x', '-fred', 'lr' ] ],
    [ [ 'lm', '-s' ], [ { subscribed => 1 } ] ],
    [ [ 'lm', '-sp', '%', 'ref' ], [ { specialuse => 1 }, '%', 'ref' ] ],
    [ [ 'cm', '--part', 'p', 'x' ], undef ],
    [ [ 'cm', '--partition' ], undef ],
    [ [ 'cm', '--nosuch', 'x' ], undef ],
    [ ['cm'], undef ],
    [ [ 'cm', 'a', 'b', 'c' ], undef ],
);
for (@options) {
    is_deeply(taken(@{ $_->[0] }), $_->[1], "options @{ $_->[0] }");
}
ok(Iatlas::Commands::find($_), "command $_")
    for qw(createmailbox cm create deletemailbox dm delete renamemailbox rm rename renm listmailbox lm list setaclmailbox sam
    setacl deleteaclmailbox dam deleteacl listaclmailbox lam listacl setquota sq listquota lq listquotaroot lqr lqm subscribe
    sub unsubscribe unsub reconstruct xfermailbox xfer server servername connect disconnect disc authenticate auth login
    getmetadata getmd setmetadata setmd info mboxconfig mboxcfg setinfo version ver help ? exit quit cd chdir);

# ---- annotations ----

my %short = (comment => '/comment');
my @entries = (
    [ 'comment', 0, '/shared/comment' ],
    [ 'Comment', 1, '/private/comment' ],
    [ '/x/y', 0, '/shared/x/y' ],
    [ '/private/x', 0, '/private/x' ],
    [ '/shared/x', 1, '/shared/x' ],
);
for (@entries) {
    is(Iatlas::Metadata::entry($_->[0], $_->[1], \%short), $_->[2], "entry $_->[0]");
}
ok(!eval { Iatlas::Metadata::entry('motto', 0, \%short) }, 'an unknown short name');

# ---- mechanisms ----

sub chosen {
    return join ' ', map { $_->{name} } Iatlas::Sasl::choose(@_);
}

is(chosen(offered => [qw(LOGIN PLAIN)]), 'PLAIN LOGIN', 'the better first');
is(chosen(offered => [qw(login PLAIN X-NEW)], wished => ['Login']), 'LOGIN', 'the one that is wished');
is(chosen(offered => [qw(LOGIN PLAIN)], authz => 'fred'), 'PLAIN', 'one that can act for another');
is(chosen(offered => ['PLAIN'], wished => ['GSSAPI']), '', 'none in common');
is(chosen(offered => [qw(EXTERNAL PLAIN)]), 'PLAIN', 'EXTERNAL needs a certificate');
is(chosen(offered => [qw(EXTERNAL PLAIN)], certificate => 1), 'EXTERNAL PLAIN', 'EXTERNAL with a certificate');

# ---- running ----

my $folder = File::Temp->newdir;

sub run {
    my ($script) = @_;
    my ($out, $err) = ('', '');

    open my $lines, '<', \$script or die;
    open my $out_handle, '>', \$out or die;
    open my $err_handle, '>', \$err or die;
    my $status = Iatlas::Shell->new(user => 'cyrus', out => $out_handle, err => $err_handle)->run_script($lines);
    return ($status, $out, $err);
}

sub content {
    open my $file, '<', "$folder/$_[0]" or return;
    return join '', <$file>;
}

is_deeply([ run('') ], [ 0, '', '' ], 'an empty script');
is_deeply([ run("help sub\nexit\nnosuch\n") ], [ 0, "sub, alias for subscribe mailbox\n\tsubscribe to a mailbox\n", '' ], 'exit ends it');
is_deeply([ run("nosuch\nexit 3\n") ], [ 3, '', "nosuch: no such command (try help)\n" ], 'exit with a status');
is_deeply([ run("lm\nhelp sub > $folder/x") ], [ 1, '', "listmailbox: no connection to server\n" ], 'a failure before the last command counts');
is(content('x'), "sub, alias for subscribe mailbox\n\tsubscribe to a mailbox\n", 'output in a file');
is_deeply([ run("lm 2> $folder/y; server 2>> $folder/y") ], [ 1, '', '' ], 'errors in a file');
is(content('y'), "listmailbox: no connection to server\nserver: no connection to server\n", 'both are there');
is_deeply([ run("server > $folder/z 2>&1; lm") ], [ 1, '', "listmailbox: no connection to server\n" ], 'redirections end with their command');
is(content('z'), "server: no connection to server\n", 'errors with the output');
is((run("help > $folder/no/such"))[0], 1, 'a file that cannot be written');
is((run("help > /dev/full"))[0], 1, 'a full disk') if -e '/dev/full';
is_deeply([ run("cm\n") ], [ 1, '', "usage: createmailbox [--partition partition] [--specialuse use] mailbox [partition]\n" ], 'usage');
is((run("help nosuch"))[2], "help: unknown command: nosuch\n", 'help for what is not there');
my @table = split /\n/, (run('help'))[1];
is(scalar @table, 26, 'a line a command');

done_testing;
