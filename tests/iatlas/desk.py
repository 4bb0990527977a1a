"""Where a user's programs run: a HOME and an /etc/hosts of its own; and what those programs said to a server.

As root only: the programs are started as `nobody` in a mount namespace (getmail does not deliver as root, fetchmail
grumbles)."""

import os
import re
import shutil
import socket
import subprocess

import pytest

from . import mounts
from .node import environment

NOBODY = (65534, 65534)


class Desk:
    """names: host name -> address, for the programs started here (they check certificates against names)."""

    def __init__(self, directory, names):
        self.home = str(directory)
        os.makedirs(self.home, exist_ok=True)
        os.chown(self.home, *NOBODY)
        known = "".join("%s %s\n" % (a, n) for n, a in names.items())
        os.chmod(self.write("hosts", "127.0.0.1 localhost %s\n%s" % (socket.gethostname(), known)), 0o644)

    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def write(self, name, text):
        """A file in HOME; its path."""
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, 0o600)
        os.chown(path, *NOBODY)
        return path

    def argv(self, *argv):
        if shutil.which(argv[0]) is None:
            pytest.skip("no %s here" % argv[0])
        why_not = mounts.missing("true")
        if why_not:
            pytest.skip(why_not)
        script = 'mount --bind "$HOME/hosts" /etc/hosts && exec setpriv --reuid %d --regid %d --clear-groups "$@"' % NOBODY
        return [*mounts.unshare(), "sh", "-c", script, "desk", *argv]

    def environment(self):
        return environment(HOME=self.home, LC_ALL="C.UTF-8", TERM="vt100", TMPDIR=self.home, MAILDIR=self.home)

    def popen(self, *argv, **kw):
        return subprocess.Popen(self.argv(*argv), env=self.environment(), cwd=self.home, **kw)

    def run(self, *argv, code=0, timeout=120, **kw):
        """Its output and errors; it must exit with `code`."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        r = subprocess.run(self.argv(*argv), env=self.environment(), cwd=self.home, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=timeout, **kw)  # fmt: skip
        out = r.stdout.decode("utf-8", "replace")
        assert r.returncode == code, "%s: exit %d\n%s" % (" ".join(argv), r.returncode, out)
        return out


def keep_telemetry(node, user):
    os.makedirs(node.path("config", "log", user), exist_ok=True)


def telemetry(node, user):
    """{session: what was said in it, both ways}"""
    folder, found = node.path("config", "log", user), {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            found[name] = f.read()
    return found


def refusals(node, user):
    """What the server refused this user, from its telemetry (keep_telemetry() before the login): [(command, answer)]."""
    found = []
    for session in telemetry(node, user).values():
        parts = re.split(rb"([<>])\d+\1", session)
        said = {mark: b"".join(p for m, p in zip(parts[1::2], parts[2::2]) if m == mark) for mark in (b"<", b">")}
        for tag, answer in re.findall(rb"^(\S+) ((?:NO|BAD)\b.*)\r$", said[b">"], re.M):
            command = re.search(rb"^%s (.*?)\r?$" % re.escape(tag), said[b"<"], re.M)
            found.append((command.group(1).decode("latin-1") if command else "?", answer.decode("latin-1")))
    return found
