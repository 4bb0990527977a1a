"""A node that has a machine to itself: network and mount namespaces of its own, with its own /etc, /var and ports.

For configurations that name standard ports and absolute paths. Needs root.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time

from . import node
from .node import BUILD, Node

CLONE_NEWNET = 0x40000000
BIN = "/mnt"  # where a room sees the build tree, so that user cyrus can read it


def available():
    """None, or why there can be no rooms here."""
    if os.getuid() != 0:
        return "needs root"
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            return "needs " + tool
    script = "ip link add va type veth peer name vb && ip link add bridge type bridge && mount -t tmpfs none /mnt"
    tried = subprocess.run(["unshare", "-mn", "sh", "-c", script], capture_output=True, text=True)
    return None if tried.returncode == 0 else "no namespaces here: " + tried.stderr.strip()


def sh(*argv):
    subprocess.run(argv, check=True, capture_output=True, text=True)


class Hub:
    """A network of its own, with a bridge that rooms are plugged into. The clients' place is in it."""

    def __init__(self, prefix="10.77.0"):
        self.prefix, self.count = prefix, 1
        self.process = spawn("unshare", "-n", "sleep", "infinity")
        self.own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.net = os.open("/proc/%d/ns/net" % self.process.pid, os.O_RDONLY)
        self._ip("link", "add", "hub", "type", "bridge")
        self._ip("address", "add", prefix + ".1/24", "dev", "hub")
        self._ip("link", "set", "hub", "up")

    def _ip(self, *args):
        sh("nsenter", "-t", str(self.process.pid), "-n", "ip", *args)

    def plug(self, pid, address):
        name = "p%s" % address.rsplit(".", 1)[1]
        self._ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        self._ip("link", "set", name, "master", "hub", "up")
        for args in (["address", "add", address + "/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            sh("nsenter", "-t", str(pid), "-n", "ip", *args)

    def address(self):
        self.count += 1
        return "%s.%d" % (self.prefix, self.count)

    @contextlib.contextmanager
    def inside(self):
        """What this thread opens or starts meanwhile is in the hub's network."""
        setns(self.net)
        try:
            yield
        finally:
            setns(self.own)

    def close(self):
        os.close(self.own)
        os.close(self.net)
        self.process.kill()
        self.process.wait()


def setns(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def spawn(*argv):
    """Starts it and waits until it is past unshare, in namespaces of its own."""
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
    while os.readlink("/proc/%d/exe" % p.pid).rsplit("/", 1)[1] != "sleep":
        if p.poll() is not None:
            raise AssertionError("%r failed" % (argv,))
        time.sleep(0.01)
    return p


class Room(Node):
    """hosts: name -> address of everybody; imapd_conf, cyrus_conf: the files' text."""

    MASTER_ARGUMENTS = ("-r", "/var/imap/ready")

    REPORTS = "var/tmp/sanitizer"

    def __init__(self, directory, hub, name, address, hosts, imapd_conf, cyrus_conf):
        super().__init__(directory, address)
        self.hub, self.name = hub, name
        self.imapd_conf, self.cyrus_conf = imapd_conf, cyrus_conf
        self.conf["servername"] = name
        self.conf["sasl_sasldb_path"] = self.path("etc", "sasldb2")
        shutil.copytree("/etc", self.path("etc"), symlinks=True)
        for gone in ("services", "imapd.conf", "cyrus.conf", "sasldb2"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path("etc", gone))
        with open(self.path("etc", "hosts"), "w") as f:
            f.write("127.0.0.1 localhost\n" + "".join("%s %s\n" % (a, n) for n, a in hosts.items()))
        with open(self.path("etc", "hostname"), "w") as f:
            f.write(name + "\n")
        self._account()
        for d, mode in (("imap", 0o750), ("spool/imap", 0o750), ("run", 0o755), ("tmp", 0o1777)):
            os.makedirs(self.path("var", d))
            os.chmod(self.path("var", d), mode)
        for d in ("imap", "spool/imap"):
            os.chown(self.path("var", d), *self.user)
        self.holder = spawn("unshare", "-m", "-n", "sh", "-c", self._mounts())
        hub.plug(self.holder.pid, address)

    def _account(self):
        """The user cyrus of this room."""
        self.user = (7143, 7143)
        with open(self.path("etc", "passwd"), "a") as f:
            f.write("cyrus:x:7143:7143::/var/imap:/usr/sbin/nologin\n")
        with open(self.path("etc", "group"), "a") as f:
            f.write("cyrus:x:7143:\n")

    def _mounts(self):
        binds = ((self.path("etc"), "/etc"), (self.path("var"), "/var"), (BUILD, BIN))
        return "set -e; %s; exec sleep infinity" % "; ".join("mount --bind '%s' '%s'" % b for b in binds)

    def write_configuration(self):
        for name, text in (("imapd.conf", self.imapd_conf), ("cyrus.conf", self.cyrus_conf)):
            with open(self.path("etc", name), "w") as f:
                f.write(text)
            os.chown(self.path("etc", name), *self.user)
        with contextlib.suppress(FileNotFoundError):
            os.chown(self.path("etc", "sasldb2"), *self.user)

    def argv(self, name, *args):
        enter = ["nsenter", "-t", str(self.holder.pid), "-m", "-n"]
        return [*enter, node.program(name).replace(BUILD, BIN, 1), *args]

    def environment(self, **more):
        env = super().environment(**more)
        for variable in ("PATH", "IATLAS_BINDIR"):
            env[variable] = env[variable].replace(BUILD, BIN)
        return {name: value.replace(self.path("var"), "/var") for name, value in env.items()}

    def start(self, timeout=120):
        self.write_configuration()
        with open(self.path("stderr"), "ab") as err:
            self.master = subprocess.Popen(
                self.argv("master", *self.MASTER_ARGUMENTS),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=err,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self.master.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("%s did not start:\n%s\n%s" % (self.name, self.stderr(), self.log()))
            time.sleep(0.01)
        return self

    def is_ready(self):
        return os.path.exists(self.path("var", "imap", "ready"))

    def command(self, *argv, check=True, **kw):
        """A tool, started as user cyrus would in this room, without -C."""
        r = subprocess.run(
            self.argv(*argv), env=self.environment(), capture_output=True, text=True, timeout=60, user=None, **kw
        )
        assert not check or r.returncode == 0, "%r: %d\n%s%s" % (argv, r.returncode, r.stdout, r.stderr)
        return r

    def log(self):
        return self._read(os.path.join("var", "imap", "log.txt"))

    def cleanup(self):
        try:
            super().cleanup()
        finally:
            self.holder.send_signal(signal.SIGKILL)
            self.holder.wait()
