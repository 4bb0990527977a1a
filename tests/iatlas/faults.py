"""A murder whose machines can be hurt: each node has a network and disks of its own, and processes that may be killed.

What a fault does is what the world does: a process dies or stands still, a disk is full, a cable is out or swallows what
one side says, a machine loses its power.  Nobody repairs anything afterwards: masters are started again, as an init
system would, and that is all.  Needs root.
"""

import contextlib
import fcntl
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from . import room
from .murder import Murder
from .node import Node

NOBODY = "02:00:00:00:00:99"  # no card has this address: what is sent to it vanishes
BOOT_ID = "/proc/sys/kernel/random/boot_id"
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, b"\2\0\0\0"
DISK_KB = {"config": 48 * 1024, "spool": 64 * 1024}
MADE = """set -e
mount --bind '{dir}/boot-id' {boot_id}
mount -t tmpfs -o size=800m none '{dir}/images'
for d in {disks}; do
    truncate -s "$(cat '{dir}/'$d.size)"k '{dir}/images/'$d
    mkfs.ext4 -q -F -m 0 -O ^resize_inode -J size=4 -N 16384 '{dir}/images/'$d
    mount -o loop '{dir}/images/'$d '{dir}/'$d
    rmdir '{dir}/'$d/lost+found
done
exec sleep infinity"""


def available():
    """None, or why there can be no such murder here."""
    why = room.available()
    if why is None and shutil.which("mkfs.ext4") is None:
        why = "needs mkfs.ext4"
    if why is not None:
        return why
    with tempfile.TemporaryDirectory() as d:
        script = "cd %s && truncate -s 8M i && mkfs.ext4 -q i && mkdir m && mount -o loop i m && umount m" % d
        tried = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True)
    return None if tried.returncode == 0 else "no loop devices here: " + tried.stderr.strip()


class Machine(Node):
    """configdirectory and partition are file systems (ext4) of this node's own, on a disk that forgets, when the power goes,
    what was not synced."""

    def __init__(self, directory, address, hub, conf=None, disk_kb=DISK_KB, **kw):
        super().__init__(directory, address, conf, **kw)
        self.hub = hub
        self.disks = {"config": self.path("config"), "spool": self.path("spool")}
        for d in ("images", *self.disks):
            os.makedirs(self.path(d))
        for d in self.disks:
            with open(self.path(d + ".size"), "w") as f:
                f.write(str(disk_kb[d]))
        self.new_boot()
        script = MADE.format(dir=self.dir, boot_id=BOOT_ID, disks=" ".join(self.disks))
        self.holder = room.spawn("unshare", "-m", "-n", "sh", "-c", script)
        self.wrap = ["nsenter", "-t", str(self.holder.pid), "-m", "-n"]
        hub.plug(self.holder.pid, address)

    def inside(self, *argv):
        return [*self.wrap, *argv]

    def seen(self, path):
        """One of this node's paths, as the tests can open it."""
        return "/proc/%d/root%s" % (self.holder.pid, path)

    def cleanup(self):
        try:
            super().cleanup()
        finally:
            self.holder.kill()
            self.holder.wait()

    # ---- processes ----

    def boot(self, timeout=90):
        """Starts master until it stays, as an init system would."""
        deadline = time.monotonic() + timeout
        while True:
            ready = self.launch()
            while self.master.poll() is None and not os.path.exists(ready):
                assert time.monotonic() < deadline, "%s does not start:\n%s" % (self.name, self.log()[-2000:])
                time.sleep(0.02)
            if self.master.poll() is None:
                return self
            assert time.monotonic() < deadline, "%s does not stay:\n%s" % (self.name, self.log()[-2000:])
            time.sleep(0.2)

    def start(self, timeout=120):
        return self.boot(timeout)

    def is_up(self):
        return self.master is not None and self.master.poll() is None

    def impatient(self):
        """imapd.conf for cyr_expire: what was expunged just now is removed, sessions that have not heard of it end."""
        with open(self.path("imapd.conf")) as f, open(self.path("impatient.conf"), "w") as to:
            to.write(f.read() + "timeout: 0s\n")
        return self.path("impatient.conf")

    # ---- disks ----

    def fill(self, disk):
        """Not a byte is left."""
        with open(self.seen(os.path.join(self.disks[disk], "filler")), "ab", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        f.write(b"x" * size)

    def free(self, disk):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.seen(os.path.join(self.disks[disk], "filler")))

    def new_boot(self):
        with open(self.path("boot-id"), "w") as f:
            f.write("%032x\n" % random.getrandbits(128))

    def lose_power(self):
        """Every process ends, what was not synced is gone, and the machine knows that it was started anew."""
        self.kill()
        for path in self.disks.values():
            with self.open_directory(self.seen(path)) as fd:
                fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
            self.unmount(path)
            image = self.path("images", os.path.basename(path))
            subprocess.run(self.inside("mount", "-o", "loop", image, path), check=True)
        self.new_boot()

    def unmount(self, path):
        """The threads of a process that was killed may end a moment after it."""
        deadline = time.monotonic() + 30
        while subprocess.run(self.inside("umount", path), capture_output=True).returncode != 0:
            assert time.monotonic() < deadline, "%s stays busy" % path
            time.sleep(0.02)

    @staticmethod
    @contextlib.contextmanager
    def open_directory(path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    # ---- network ----

    def cut(self, *others):
        """What this node says to them is swallowed; it can hear them."""
        for other in others:
            entry = ["ip", "neigh", "replace", other.address, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0"]
            subprocess.run(self.inside(*entry), check=True)

    def heal(self, *others):
        for other in others:
            subprocess.run(self.inside("ip", "neigh", "del", other.address, "dev", "eth0"), capture_output=True)

    def link(self, up):
        """The cable, in or out."""
        subprocess.run(self.inside("ip", "link", "set", "eth0", "up" if up else "down"), check=True)


class Victim(Murder):
    """A murder of such machines.  All that talks to it does so in `hub.inside()`."""

    def __init__(self, directory, **kw):
        self.hub = room.Hub()
        super().__init__(directory, self.hub, **kw)

    def _make(self, name, address, conf, **kw):
        return Machine(os.path.join(self.dir, name), address, self.hub, conf, **kw)

    def cleanup(self):
        try:
            super().cleanup()
        finally:
            self.hub.close()


class Outside:
    """Where the clients are, as something that can be cut off from machines."""

    name = "clients"

    def __init__(self, hub):
        self.hub, self.address = hub, hub.prefix + ".1"

    def _neigh(self, *args):
        command = ["nsenter", "-t", str(self.hub.process.pid), "-n", "ip", "neigh", *args, "dev", "hub"]
        subprocess.run(command, capture_output=True)

    def cut(self, *others):
        for other in others:
            self._neigh("replace", other.address, "lladdr", NOBODY, "nud", "permanent")

    def heal(self, *others):
        for other in others:
            self._neigh("del", other.address)


def send(pids, signo):
    """How many it reached."""
    reached = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signo)
            reached += 1
    return reached


def program_of(pid):
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink("/proc/%d/exe" % pid))
    return "gone"
