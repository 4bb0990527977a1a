# What each command says to a server, and what it shows of the answers.  The server is a child that plays a script: it expects
# each line, and answers.
use strict;
use warnings;

use IO::Socket::INET;
use Test::More;

use Iatlas::Shell;

my $CAPABILITY = 'IMAP4rev1 AUTH=PLAIN LITERAL+ METADATA SPECIAL-USE CREATE-SPECIAL-USE';

# A pair a command: what it must be, without its tag; what is answered, `T` for the tag.
sub serve {
    my ($listener, @script) = @_;
    my $client = $listener->accept or exit 1;

    print {$client} "* OK hello\r\n";
    while (my ($expected, $answer) = splice @script, 0, 2) {
        my $line = <$client> // '';
        my ($tag, $rest) = $line =~ /^(\d+) (.*?)\r\n/s;
        while (defined $rest && $rest =~ /\{(\d+)(\+?)\}\z/) {
            my ($n, $plus, $literal) = ($1, $2);
            print {$client} "+ go on\r\n" if !$plus;
            read $client, $literal, $n;
            my $more = <$client> // '';
            $rest .= "\n$literal" . $more =~ s/\r\n//r;
        }
        if (!defined $rest || $rest ne $expected) {
            print {$client} ($tag // '*') . ' NO expected ' . $expected . ' and not ' . ($rest // 'nothing') . "\r\n";
            last;
        }
        print {$client} $answer =~ s/^T /$tag /mr;
        last if $answer =~ /^\* BYE/m;
    }
    my $last = <$client>;
    print {$client} "* BYE\r\n" . $last =~ s/ .*//sr . " OK\r\n" if defined $last;
    close $client;
    exit 0;
}

# What the shell writes to its output and its errors, and the status.
sub played {
    my ($lines, $script, %shell) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "$!";
    my $port = $listener->sockport;
    my $child = fork // die "$!";
    my ($out, $err) = ('', '');

    serve($listener, @$script) if $child == 0;
    close $listener;
    open my $input, '<', \$lines or die;
    open my $out_handle, '>', \$out or die;
    open my $err_handle, '>', \$err or die;
    my $shell = Iatlas::Shell->new(
        user => 'cyrus',
        password => 'pass word',
        out => $out_handle,
        err => $err_handle,
        %shell,
    );
    $shell->run_line("server --noauthenticate 127.0.0.1:$port");
    my $status = $shell->run_script($input);
    $shell->disconnect;
    waitpid $child, 0;
    return [ $status, $out, $err ];
}

# The beginning of every script: Iatlas asks for TLS first.
my @CAPABLE = (CAPABILITY => "* CAPABILITY $CAPABILITY\r\nT OK\r\n");

sub command_is {
    my ($line, $expected, $answer, $shown) = @_;

    is_deeply(played($line, [ @CAPABLE, $expected => $answer ]), [ 0, $shown // '', '' ], $line);
}

my @simple = (
    [ 'cm user/fred', 'CREATE "user/fred"' ],
    [ 'cm user/fred p', 'CREATE "user/fred" "p"' ],
    [ 'cm --partition p user/fred', 'CREATE "user/fred" "p"' ],
    [ 'cm --specialuse \Sent user/fred/Sent', 'CREATE "user/fred/Sent" (USE (\Sent))' ],
    [ "cm --specialuse '\\Sent' --partition p x", 'CREATE "x" (USE (\Sent) PARTITION "p")' ],
    [ "cm Entw\xc3\xbcrfe", 'CREATE "Entw&APw-rfe"' ],
    [ 'cm "a \"b\" \\\\ c"', 'CREATE "a \"b\" \\\\ c"' ],
    [ 'dm user/fred', 'DELETE "user/fred"' ],
    [ 'rm a b', 'RENAME "a" "b"' ],
    [ 'renm a b p', 'RENAME "a" "b" "p"' ],
    [ 'rename --partition p a b', 'RENAME "a" "b" "p"' ],
    [ 'xfer user/fred be2:2143', 'XFER "user/fred" "be2:2143"' ],
    [ 'xfer --partition p user/fred be2', 'XFER "user/fred" "be2" "p"' ],
    [ 'sam x fred read', 'SETACL "x" "fred" "lrs"' ],
    [ 'sam x fred none', 'SETACL "x" "fred" ""' ],
    [ 'sam x fred all', 'SETACL "x" "fred" "lrswipkxtean"' ],
    [ 'sam x fred +write', 'SETACL "x" "fred" "+lrswipkxten"' ],
    [ 'sam x -fred -w', 'SETACL "x" "-fred" "-w"' ],
    [ 'dam x fred', 'DELETEACL "x" "fred"' ],
    [ 'sq x STORAGE 10 message 5', 'SETQUOTA "x" (STORAGE 10 MESSAGE 5)' ],
    [ 'sq x STORAGE none', 'SETQUOTA "x" ()' ],
    [ 'sub x', 'SUBSCRIBE "x"' ],
    [ 'unsub x', 'UNSUBSCRIBE "x"' ],
    [ 'reconstruct x', 'RECONSTRUCT "x"' ],
    [ 'reconstruct -r x', 'RECONSTRUCT "x" RECURSIVE' ],
);
command_is($_->[0], $_->[1], "T OK done\r\n") for @simple;

command_is('sq x 10', 'SETQUOTA "x" (STORAGE 10)', "T OK\r\n", "quota:10\n");
command_is('sq x none', 'SETQUOTA "x" ()', "T OK\r\n", "remove quota\n");
command_is('lq x', 'GETQUOTA "x"', "* QUOTA x (STORAGE 256 1024 MESSAGE 1 3)\r\nT OK\r\n", " STORAGE 256/1024 (25%) MESSAGE 1/3 (33.33%)\n");
command_is('lq x', 'GETQUOTA "x"', "* QUOTA x ()\r\nT OK\r\n", "\n");
command_is('lqr x', 'GETQUOTAROOT "x"', "* QUOTAROOT x r\r\n* QUOTA {1}\r\nr (STORAGE 1 0)\r\nT OK\r\n", "r STORAGE 1/0 (0%)\n");
command_is('lqm x', 'GETQUOTAROOT "x"', "* QUOTAROOT x\r\nT OK\r\n", "\n");
command_is('lam x', 'GETACL "x"', "* ACL x fred lrs \"group:all staff\" l\r\nT OK\r\n", "fred lrs\ngroup:all staff l\n");
command_is('lm', 'LIST "" "*"', "* LIST (\\HasNoChildren) \"/\" {3}\r\na\"b\r\n* LIST () NIL c\r\nT OK\r\n", "a\"b (\\HasNoChildren)  c" . ' ' x 21 . "\n");
command_is('lm % user/', 'LIST "user/" "%"', "T OK\r\n");
command_is('lm --subscribed', 'LSUB "" "*"', "* LSUB (\\Noselect) \"/\" a\r\nT OK\r\n", "a  \n");
command_is('lm --specialuse', 'LIST (SPECIAL-USE) "" "*"', "* LIST (\\Sent) \"/\" s\r\nT OK\r\n", "s (\\Sent)  \n");
command_is('version', 'ID NIL', "* ID (\"name\" \"x\" \"none\" NIL \"environment\" \"a; b\")\r\nT OK\r\n", "name       : x\nenvironment: a\n             b\n");
command_is('version', 'ID NIL', "* ID NIL\r\nT OK\r\n");

# ---- annotations ----

command_is(
    'info', 'GETMETADATA (DEPTH infinity) "" (/private /shared)',
    "* METADATA \"\" (/shared/motd {5}\r\na\r\nb) /private/comment NIL /shared/vendor/cmu/cyrus-imapd/freespace/total \"9\")\r\nT OK\r\n",
    "{Server Wide}\n  private:\n    comment: NIL\n  shared:\n    motd: a\r\nb)\n    total: 9\n",
);
command_is(
    'getmd x', 'GETMETADATA (DEPTH infinity) "x" (/private /shared)',
    "* METADATA x (/shared/comment \"c\")\r\n* METADATA y (/shared/vendor/a/b NIL)\r\nT OK\r\n",
    "{x}:\n  shared:\n    comment: c\n{y}:\n  shared:\n    vendor/a/b: NIL\n",
);
my @set = (
    [ 'mboxcfg x comment "a b"', '"x" (/shared/comment "a b")' ],
    [ 'mboxcfg --private x comment none', '"x" (/private/comment NIL)' ],
    [ 'setmd x expire 30', '"x" (/shared/vendor/cmu/cyrus-imapd/expire "30")' ],
    [ 'setmd --private x specialuse Junk', '"x" (/private/specialuse "\\\\Junk")' ],
    [ "setinfo motd gr\xc3\xbcn", "\"\" (/shared/motd {5+}\ngr\xc3\xbcn)" ],
);
command_is($_->[0], "SETMETADATA $_->[1]" =~ s{(/\S+)}{"$1"}r, "T OK\r\n") for @set;

# ---- what goes wrong ----

is_deeply(
    played("dm x\nsub y\n", [ @CAPABLE, 'DELETE "x"' => "T NO [NOPERM] Not yours\r\n", 'SUBSCRIBE "y"' => "T OK\r\n" ]),
    [ 1, '', "deletemailbox: [NOPERM] Not yours\n" ],
    'a refusal is told, the script goes on',
);
is_deeply(
    played("sub x\nsub y\n", [ @CAPABLE, 'SUBSCRIBE "x"' => "* BYE going down\r\n" ]),
    [ 1, '', "subscribe: the server closed the connection: going down\nsubscribe: no connection to server\n" ],
    'a server that goes away',
);
is_deeply(
    played('sub x', [ @CAPABLE, 'SUBSCRIBE "x"' => "* OK [ALERT] fire\r\nT OK\r\n" ]),
    [ 0, '', "fire\n" ],
    'an alert is shown',
);
is_deeply(
    played('lam x', [ @CAPABLE, 'GETACL "x"' => "* ACL x (a\r\nT OK\r\n" ]),
    [ 1, '', "listaclmailbox: the server's answer ends in the middle of a list\n" ],
    'nonsense',
);
my @PLAIN = (CAPABILITY => "* CAPABILITY IMAP4rev1\r\nT OK\r\n");
is_deeply(
    played("cm --specialuse Sent x\nlm --specialuse\ninfo", \@PLAIN),
    [   1, '',
        join '',
        map { "$_->[0]: the server does not support $_->[1]\n" }[ createmailbox => 'CREATE-SPECIAL-USE' ],
        [ listmailbox => 'SPECIAL-USE' ],
        [ info => 'METADATA' ]
    ],
    'what the server does not announce is not sent',
);
for my $line ('sq x STORAGE ten', 'sq x STORAGE', 'sam x fred', "cm --partition p x p", 'sq x "a b" 5', "sam x fr\xc3\xa9d lr") {
    is((played($line, \@CAPABLE))->[0], 1, "refused here: $line");
}

# ---- logging in ----

is_deeply(
    played('auth', [ @PLAIN, 'LOGIN "cyrus" "pass word"' => "T OK\r\n" ]),
    [ 0, '', '' ],
    'LOGIN, where there is nothing else',
);
is((played('auth', [ CAPABILITY => "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nT OK\r\n" ]))->[2],
    "authenticate: no authentication mechanism in common\n", 'LOGINDISABLED');
is((played('auth --minssf 1', \@PLAIN))->[2], "authenticate: the connection is not protected\n", 'minssf without TLS');
is((played('x', [ CAPABILITY => "* BAD no\r\n* BYE\r\n" ], connection => { tls => 'must' }))->[0], 1, 'a server that does not answer');
is((played('', \@CAPABLE, connection => { tls => 'must' }))->[0], 1, 'no TLS where it must be');

done_testing;
