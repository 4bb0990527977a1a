package Iatlas::Response;

# What an IMAP server says (RFC 3501 7), from bytes to words.

use strict;
use warnings;

use constant DEPTH_MAX => 50; # lists in lists

# The responses in what was received: a line each, with the literals that it announces.
sub split_responses {
    my ($text) = @_;
    my @responses;

    pos($text) = 0;
    while ($text =~ /\G([^\n]*\n)/gc) {
        my $response = $1;
        while ($response =~ /\{(\d+)\+?\}\r\n\z/) {
            my $n = $1;
            die "the server ended in the middle of a literal\n" if length($text) - pos($text) < $n;
            $response .= substr($text, pos($text), $n);
            pos($text) += $n;
            $response .= $1 if $text =~ /\G([^\n]*\n)/gc;
        }
        push @responses, $response;
    }
    return @responses;
}

# The words of a response: atoms and strings as scalars, NIL as undef, lists as array references.
sub words {
    my ($text) = @_;

    pos($text) = 0;
    return @{ _list(\$text, 0) };
}

sub _list {
    my ($text, $depth) = @_;
    my @items;

    die "the server's answer is nested too deeply\n" if $depth > DEPTH_MAX;
    while (1) {
        $$text =~ /\G +/gc;
        if ($$text =~ /\G\(/gc) {
            push @items, _list($text, $depth + 1);
        }
        elsif ($$text =~ /\G\)/gc) {
            die "the server's answer has a stray parenthesis\n" if $depth == 0;
            return \@items;
        }
        elsif ($$text =~ /\G"((?:[^"\\]|\\.)*)"/gcs) {
            push @items, $1 =~ s/\\(.)/$1/gsr;
        }
        elsif ($$text =~ /\G\{(\d+)\+?\}\r\n/gc) {
            die "the server ended in the middle of a literal\n" if length($$text) - pos($$text) < $1;
            push @items, substr($$text, pos($$text), $1);
            pos($$text) += $1;
        }
        elsif ($$text =~ /\G([^ ()"\r\n]+)/gc) {
            push @items, uc $1 eq 'NIL' ? undef : $1;
        }
        else {
            die "the server's answer ends in the middle of a list\n" if $depth > 0;
            return \@items;
        }
    }
}

1;
