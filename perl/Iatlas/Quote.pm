package Iatlas::Quote;

# From what an administrator types to what goes on the wire.

use strict;
use warnings;

use Encode ();
use MIME::Base64 ();

# A mailbox's name as IMAP has it: modified UTF-7 (RFC 3501 5.1.3).  ASCII stays as it is, so that a name
# which is in that form already can be given too.
sub mailbox {
    my ($name) = @_;

    die "$name: a mailbox's name cannot have control characters\n" if $name =~ /[\x00-\x1f\x7f]/;
    return $name if $name !~ /[^\x20-\x7e]/;
    my $text = eval { Encode::decode('UTF-8', my $copy = $name, Encode::FB_CROAK) };
    die "$name: not UTF-8\n" if !defined $text;
    $text =~ s/&/&-/g;
    $text =~ s/([^\x20-\x7e]+)/'&' . _base64($1) . '-'/ge;
    return $text;
}

sub _base64 {
    my $coded = MIME::Base64::encode_base64(Encode::encode('UTF-16BE', $_[0]), '');

    return $coded =~ s/=+\z//r =~ tr{/}{,}r;
}

# A string of printable ASCII in quotes.
sub quoted {
    my ($text) = @_;

    die "$text: only printable ASCII is possible here\n" if $text =~ /[^\x20-\x7e]/;
    return '"' . $text =~ s/(["\\])/\\$1/gr . '"';
}

# Any string: in quotes where that is possible, else a literal; $plus: the server takes those without being asked
# (RFC 7888).
sub string {
    my ($text, $plus) = @_;

    return quoted($text) if $text !~ /[^\x20-\x7e]/;
    die "a value cannot have a NUL\n" if $text =~ /\0/;
    return '{' . length($text) . ($plus ? '+' : '') . "}\r\n$text";
}

sub name {
    return quoted(mailbox($_[0]));
}

1;
