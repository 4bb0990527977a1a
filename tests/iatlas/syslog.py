"""A /dev/log for programs that log nowhere else."""

import os
import socket
import threading


def mounts(dev, log):
    """Lines of shell that give a mount namespace a /dev of its own, made in the folder `dev`, whose /dev/log is `log`."""
    os.makedirs(dev, exist_ok=True)
    return [
        "mount -t tmpfs -o mode=755 dev '%s' && cd '%s'" % (dev, dev),
        "for f in null zero full random urandom tty; do touch $f && mount --bind /dev/$f $f; done",
        "mkdir -m 1777 shm && ln -s /proc/self/fd fd && ln -s '%s' log" % log,
        "cd / && mount --move '%s' /dev" % dev,
    ]


class Syslog:
    """What a node says to /dev/log, in a file."""

    def __init__(self, path, file):
        self.path, self.file = path, file
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o666)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        with open(self.file, "ab", 0) as f:
            while (line := self.sock.recv(65536)) != b"":
                f.write(line.rstrip(b"\0\n") + b"\n")

    def close(self):
        """Whatever was said before is in the file then."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self.path)
        self.thread.join()
        self.sock.close()
        os.unlink(self.path)
