"""One service without a master: the test holds the listening socket, as master would (descriptor 4, and 3 to tell)."""

import os
import signal
import socket
import subprocess
import time

from .clients import Imap
from .node import ADMIN, Node, program


class Service(Node):
    def __init__(self, directory, address, name, argv, conf=None):
        super().__init__(directory, address, conf)
        self.name, self.argv = name, argv
        self.process = None
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, 0))
        self.sock.listen(64)
        self.port = self.sock.getsockname()[1]
        self.add_user(ADMIN)

    def start(self):
        for d in ("config", "spool"):
            os.makedirs(self.path(d), exist_ok=True)
        self.write_configuration()
        self.status, told = os.pipe()

        def descriptors():
            os.dup2(self.sock.fileno(), 100)
            os.dup2(told, 101)
            os.dup2(100, 4)
            os.dup2(101, 3)
            os.closerange(5, 256)

        with open(self.path("stderr"), "ab") as err:
            self.process = subprocess.Popen(
                [program(self.argv[0]), "-C", self.path("imapd.conf"), *self.argv[1:]],
                env=self.environment(CYRUS_SERVICE=self.name),
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=err,
                close_fds=False,
                preexec_fn=descriptors,
            )
        os.close(told)
        return self

    def stop(self, sig=signal.SIGTERM, timeout=60):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(timeout)
        finally:
            self.process.kill()
            self.process = None
            os.close(self.status)
        return code

    def cleanup(self):
        self.sock.close()
        super().cleanup()

    # ---- what the tests do all the time ----

    def connect(self, **kw):
        return Imap(self.address, self.port, **kw)

    def imap(self, user=ADMIN):
        return self.connect().login(user)

    def make_users(self, *names):
        """Each with a password and an INBOX."""
        self.add_user(*names)
        with self.imap() as admin:
            for name in names:
                admin.ok("CREATE user/" + name)


def wait_for(condition, timeout=60):
    """Polls until it is true."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
