"""A program at a terminal."""

import os
import pty
import select
import signal
import termios
import time


class Terminal:
    """What the program writes is in `text`, without carriage returns."""

    def __init__(self, argv, env):
        self.text, self.seen = "", 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)

    def expect(self, what, timeout=60):
        """Reads on until that text appears behind what was expected before."""
        deadline = time.monotonic() + timeout
        while (at := self.text.find(what, self.seen)) < 0:
            assert self._read(deadline), "%r not seen in %r" % (what, self.text)
        self.seen = at + len(what)

    def _read(self, deadline):
        ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
        try:
            data = os.read(self.fd, 65536) if ready else b""
        except OSError:  # EIO: the program has gone
            data = b""
        self.text += data.decode(errors="replace").replace("\r", "")
        return data != b""

    def send(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def send_unseen(self, line, timeout=60):
        """Once the terminal shows no more what is typed."""
        deadline = time.monotonic() + timeout
        while termios.tcgetattr(self.fd)[3] & termios.ECHO:
            assert time.monotonic() < deadline, "the terminal still echoes"
            time.sleep(0.01)
        self.send(line)

    def wait(self, timeout=60):
        """Reads to the end; the exit status."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        while (ended := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        status = ended[1]
        os.close(self.fd)  # not before: it would be hung up on
        return os.waitstatus_to_exitcode(status)
