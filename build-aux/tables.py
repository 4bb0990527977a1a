"""tables.py: reading the .def tables and the sources, for the checkers and generators."""

import os
import re
import sys

ROOMS = ("lib", "imap", "mupdate", "master")

ARGUMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_]+))\s*(,|$)')


def parse_arguments(text):
    """The arguments of one macro call: strings unescaped, words as they stand."""
    out, at = [], 0
    while at < len(text):
        m = ARGUMENT.match(text, at)
        if m is None:
            raise ValueError(text)
        if m.group(2) is not None:
            out.append(m.group(2))
        else:
            out.append(re.sub(r"\\(.)", r"\1", m.group(1)))
        at = m.end()
    return out


def read_rows(path, macro):
    """The rows of a .def file: a row stands on one line."""
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            m = re.match(macro + r"\((.*)\)\s*$", line)
            if m is not None:
                try:
                    rows.append(parse_arguments(m.group(1)))
                except ValueError:
                    sys.exit(f"{path}:{number}: not a row of {macro}")
    return rows


def sources(top, roots=ROOMS, suffixes=(".c", ".h")):
    """Paths below `top` of the source files, sorted."""
    found = []
    for root in roots:
        for folder, folders, files in os.walk(os.path.join(top, root)):
            folders.sort()
            for name in files:
                if name.endswith(suffixes):
                    found.append(os.path.relpath(os.path.join(folder, name), top))
    return sorted(found)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as f:
        return f.read()


def without_comments(text):
    """C text with comments blanked, line ends kept."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def finish(name, problems):
    for p in problems:
        print(f"{name}: {p}")
    sys.exit(1 if problems else 0)
