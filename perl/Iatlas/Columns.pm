package Iatlas::Columns;

# Entries in columns, read downwards, as ls has them.

use strict;
use warnings;

use constant WIDTH => 80;

sub lay_out {
    my (@entries) = @_;
    my ($longest) = sort { $b <=> $a } map { length } @entries;
    my $text = '';

    return '' if !@entries;
    my $width = $longest + 2;
    my $columns = int(WIDTH / $width) || 1;
    my $rows = int((@entries + $columns - 1) / $columns);
    for my $row (0 .. $rows - 1) {
        for (my $i = $row; $i < @entries; $i += $rows) {
            $text .= sprintf '%-*s', $width, $entries[$i];
        }
        $text .= "\n";
    }
    return $text;
}

1;
