# What goes over the wire, both ways: responses, names, strings, columns.
use strict;
use warnings;

use Test::More;

use Iatlas::Columns;
use Iatlas::Quote;
use Iatlas::Response;

sub dies(&) {
    my ($code) = @_;

    return !eval { $code->(); 1 };
}

# ---- words ----

my @words = (
    [ 'one two', [ 'one', 'two' ] ],
    [ '(\HasNoChildren \Marked) "/" user/fred', [ [ '\HasNoChildren', '\Marked' ], '/', 'user/fred' ] ],
    [ '() NIL "a \"b\" \\\\c"', [ [], undef, 'a "b" \c' ] ],
    [ "\"\" (STORAGE 0 10)\r\n", [ '', [ 'STORAGE', 0, 10 ] ] ],
    [ "({4}\r\na)\"b x)", [ [ 'a)"b', 'x' ] ] ],
    [ "{0}\r\n x", [ '', 'x' ] ],
    [ '((a) (b (c)))', [ [ ['a'], [ 'b', ['c'] ] ] ] ],
    [ '"NIL" nil', [ 'NIL', undef ] ],
    [ '', [] ],
);
for (@words) {
    my ($text, $expected) = @$_;
    is_deeply([ Iatlas::Response::words($text) ], $expected, "words of $text");
}
for my $text ('(', ')', '(a (b)', '"a" )', "{5}\r\nab", '(' x 60 . ')' x 60) {
    ok(dies { Iatlas::Response::words($text) }, "no words: $text");
}

# every truncation either gives words or dies with a line of text
my $whole = "(\\Noselect) \"/\" {5}\r\nab\"cd (x \"y\\\"\" NIL)\r\n";
for my $n (0 .. length $whole) {
    my $failed = dies { Iatlas::Response::words(substr $whole, 0, $n) };
    ok(!$failed || $@ =~ /^the server.*\n\z/, "truncated after $n bytes");
}

# ---- responses ----

is_deeply(
    [ Iatlas::Response::split_responses("* LIST () \"/\" {3}\r\na\r\n\r\n* X {1}\r\n){2}\r\nyy z\r\n1 OK done\r\n") ],
    [ "* LIST () \"/\" {3}\r\na\r\n\r\n", "* X {1}\r\n){2}\r\nyy z\r\n", "1 OK done\r\n" ],
    'responses with literals',
);
ok(dies { Iatlas::Response::split_responses("* X {9}\r\nabc\r\n") }, 'a literal that is not all there');

# ---- names and strings ----

my @names = (
    [ 'user/fred', 'user/fred' ],
    [ 'a & b', 'a & b' ],
    [ "Entw\xc3\xbcrfe", 'Entw&APw-rfe' ],
    [ "\xc3\xa4&\xc3\xb6", '&AOQ-&-&APY-' ],
    [ "\xe5\x8f\xb0\xe5\x8c\x97", '&U,BTFw-' ],
);
for (@names) {
    is(Iatlas::Quote::mailbox($_->[0]), $_->[1], "name $_->[0]");
}
for my $name ("a\nb", "a\0b", "\xff\xfe", "\xc3") {
    ok(dies { Iatlas::Quote::mailbox($name) }, 'no name');
}
is(Iatlas::Quote::quoted('a"b\c'), '"a\"b\\\\c"', 'quoted');
ok(dies { Iatlas::Quote::quoted("a\r\nb") }, 'a line end is never quoted');
is(Iatlas::Quote::string("\xc3\xa4", 0), "{2}\r\n\xc3\xa4", 'a literal');
is(Iatlas::Quote::string("a\nb", 1), "{3+}\r\na\nb", 'a literal that needs no leave');
ok(dies { Iatlas::Quote::string("a\0b", 1) }, 'a NUL has no form');

# ---- columns ----

is(Iatlas::Columns::lay_out(), '', 'nothing');
is(Iatlas::Columns::lay_out('one'), "one  \n", 'one entry');
is(Iatlas::Columns::lay_out(map { "entry-of-24-bytes------$_$_" } 1 .. 4),
    join('', map { "$_\n" } map { my $row = $_; join '', map { "entry-of-24-bytes------$_$_  " } @$row } [ 1, 3 ], [ 2, 4 ]),
    'two columns, read downwards');
is(Iatlas::Columns::lay_out('x' x 90, 'y'), 'x' x 90 . "  \n" . 'y' . ' ' x 91 . "\n", 'wider than the screen');

done_testing;
