"""Sieve scripts on a node's disk, and a program `sendmail` that keeps what it is given."""

import os
import textwrap

SENDMAIL = """#!/bin/sh
[ -e "$0.fails" ] && exit 75
f=$(mktemp "$0.d/XXXXXX") || exit 75
{ echo "$*"; cat; } > "$f" && mv "$f" "$f.mail"
"""


class Sendmail:
    """What scripts have sent: [(arguments, message)]."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "sendmail")
        os.makedirs(self.path + ".d", exist_ok=True)
        with open(self.path, "w") as f:
            f.write(SENDMAIL)
        os.chmod(self.path, 0o755)

    def conf(self):
        return {"sendmail": self.path}

    def fails(self, yes=True):
        if yes:
            open(self.path + ".fails", "w").close()
        else:
            os.unlink(self.path + ".fails")

    def take(self):
        """What has come since the last call."""
        found = []
        for name in sorted(os.listdir(self.path + ".d")):
            if name.endswith(".mail"):
                path = os.path.join(self.path + ".d", name)
                with open(path, encoding="utf-8", errors="surrogateescape") as f:
                    arguments, text = f.read().split("\n", 1)
                found.append((arguments, text))
                os.unlink(path)
        return found


def directory(node, user):
    return os.path.join(node.conf["sievedir"], user[0], user)


def put(node, user, text, name="test", active=True):
    """Gives a user a script, as ManageSieve or an administrator would."""
    where = directory(node, user)
    os.makedirs(where, exist_ok=True)
    path = os.path.join(where, name + ".script")
    with open(path + ".new", "w") as f:
        f.write(textwrap.dedent(text))
    os.rename(path + ".new", path)
    if active:
        os.symlink(name + ".bc", os.path.join(where, "new"))
        os.rename(os.path.join(where, "new"), os.path.join(where, "defaultbc"))


def put_global(node, name, text):
    where = os.path.join(node.conf["sievedir"], "global")
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, name + ".script"), "w") as f:
        f.write(textwrap.dedent(text))
