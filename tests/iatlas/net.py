"""Loopback addresses that no other test has: each test takes a whole 127.a.b.0/24.

A connection to 127.a.b.c leaves from 127.0.0.1, so fixed ports on such an address collide with nothing.
"""

import fcntl
import os
import random
import tempfile

IMAP, IMAPS, LMTP, MUPDATE, SIEVE = 2143, 2993, 2003, 3905, 4190


class Network:
    """A /24 of loopback, held by a lock file as long as the object is open."""

    def __init__(self):
        for _ in range(1000):
            self.prefix = "127.%d.%d" % (random.randint(10, 250), random.randint(1, 250))
            path = os.path.join(tempfile.gettempdir(), "iatlas-net-%s.lock" % self.prefix)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._fd)
                continue
            self._path, self._next = path, 1
            return
        raise RuntimeError("no free loopback network")

    def address(self):
        self._next += 1
        return "%s.%d" % (self.prefix, self._next)

    def close(self):
        os.unlink(self._path)
        os.close(self._fd)
