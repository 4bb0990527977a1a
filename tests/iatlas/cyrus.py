"""Real Cyrus 3.6 nodes in every role, beside ours, on loopback.

A `Mixed` is a Murder of which some nodes are Cyrus. All nodes of one find each other by name (be1.lab) and by the
ports of net.py, as Cyrus must: through /etc/hosts and /etc/services of their own, mounted for each. Needs root.
"""

import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from . import fetched, mounts, net, syslog
from .murder import Murder
from .node import Node

ROOT = fetched.prefix("cyrus")
SEEN = "/mnt"  # where a node sees ROOT, so that USER can read it wherever the tree is
BIN = SEEN + "/usr/lib/cyrus/bin"
USER = "nobody"
DIED = re.compile(r".*(?:signaled to death(?! by signal 15)|terminated abnormally|assertion failed).*")


def missing():
    """None, or why there can be no Cyrus here."""
    if not os.path.exists(ROOT + "/usr/lib/cyrus/bin/mupdate"):
        return "no Cyrus: build-aux/fetch-peers cyrus"
    if os.getuid() != 0:
        return "needs root"
    for f in ("/etc/services", "/etc/hosts"):
        if not os.path.exists(f):
            return "needs " + f
    return mounts.missing("mount -t tmpfs none " + SEEN)


class Hosts:
    """The names and ports that the nodes of one murder know, and the namespaces in which they do."""

    SERVICES = {"imap": net.IMAP, "imaps": net.IMAPS, "lmtp": net.LMTP, "mupdate": net.MUPDATE}

    def __init__(self, directory):
        self.hosts, self.services, self.nsswitch = (
            os.path.join(directory, f) for f in ("hosts", "services", "nsswitch.conf")
        )
        os.chmod(directory, 0o755)
        with open(self.hosts, "w") as f:
            f.write("127.0.0.1 localhost %s\n" % socket.gethostname())
        # Cyrus looks itself up whenever it connects: a DNS that loses a packet would cost it five seconds.
        with open(self.nsswitch, "w") as f:
            f.write("passwd: files\ngroup: files\nhosts: files\nservices: files\n")
        with open("/etc/services") as old, open(self.services, "w") as f:
            f.writelines(line for line in old if not set(line.split("#")[0].split()) & set(self.SERVICES))
            f.writelines("%s %d/tcp\n" % s for s in self.SERVICES.items())

    def add(self, name, address):
        with open(self.hosts, "a") as f:
            f.write("%s %s\n" % (address, name))

    def wrap(self, *more):
        """What to put before a command; more: further lines of shell."""
        binds = ["mount --bind '%s' '/etc/%s'" % (f, os.path.basename(f)) for f in (self.hosts, self.services, self.nsswitch)]
        return [*mounts.unshare(), "sh", "-ec", "\n".join([*binds, *more, 'exec "$@"']), "node"]


class CyrusNode(Node):
    """A node of Cyrus, configured as ours are: command names in cyrus.conf are found and get their -C."""

    ALIASES = {"proxyd": "imapd", "lmtpproxyd": "lmtpd"}  # Debian's has one program for both
    SYNCED = "mailbox list synchronization complete"
    OURS_ONLY = ("log_target", "db_map_size", "failedloginpause")

    def __init__(self, directory, address, conf=None, hosts=None, **kw):
        super().__init__(directory, address, conf, **kw)
        for option in self.OURS_ONLY:
            self.conf.pop(option, None)
        self.conf["cyrus_user"] = USER
        self.conf.setdefault("defaultpartition", "default")
        # Between the nodes; its own choice would be one that proves nothing more and takes longer.
        self.conf.setdefault("force_sasl_client_mech", "PLAIN")
        self.hosts = hosts
        self.syslog = None
        for name in ("db", "socket", "proc", "lock", "log"):
            os.makedirs(self.path("config", name), exist_ok=True)
        os.makedirs(self.path("spool"), exist_ok=True)

    # ---- files ----

    def _command(self, entry):
        def whole(m):
            name, _, args = m.group(1).partition(" ")
            name = self.ALIASES.get(name, name)
            return 'cmd="%s/%s -C %s %s"' % (BIN, name, self.path("imapd.conf"), args)

        text = re.sub(r'cmd="([^"]*)"', whole, entry)
        listen = re.search(r'listen="([^"]*)"', text)
        return text + (' proto="tcp4"' if listen and not listen.group(1).startswith("/") else "")

    def write_configuration(self):
        entries = [self.start_entries, self.services, self.events, self.daemons]
        self.start_entries, self.services, self.events, self.daemons = (
            {k: self._command(v) for k, v in section.items()} for section in entries
        )
        try:
            super().write_configuration()
        finally:
            self.start_entries, self.services, self.events, self.daemons = entries
        self._own()

    def _own(self):
        subprocess.run(["chown", "-R", USER, self.dir], check=True)

    def add_user(self, *names, **kw):
        super().add_user(*names, **kw)
        self._own()

    def telemetry(self, user):
        """From now on new connections of that user are recorded; recorded() gives the text."""
        os.makedirs(self.path("config", "log", user), exist_ok=True)
        self._own()

    def recorded(self, user):
        text = ""
        for f in sorted(glob.glob(self.path("config", "log", user, "*"))):
            with open(f, errors="replace") as file:
                text += file.read()
        return text

    # ---- processes ----

    def _wrap(self, user=None):
        """In its own view of the machine: the programs at SEEN, a /dev with a log."""
        lines = ["mount --bind '%s' %s" % (ROOT, SEEN), *syslog.mounts(self.path("dev"), self.path("devlog"))]
        libraries = [os.path.relpath(d, ROOT) for d in glob.glob(ROOT + "/usr/lib/*-linux-gnu")]
        libraries += [os.path.relpath(d, ROOT) for d in glob.glob(ROOT + "/lib/*-linux-gnu")]
        path = ":".join(os.path.join(SEEN, d) for d in libraries)
        become = ["runuser", "-u", user, "--"] if user else []
        return [*self.hosts.wrap(*lines), *become, "env", "LD_LIBRARY_PATH=" + path, "IATLAS_TEST=" + self.id]

    def argv(self, name, *args, user=USER):
        """How a program of Cyrus is run on this node; without -C."""
        return [*self._wrap(user), os.path.join(BIN, name), *args]

    def command(self, *argv, check=True, **kw):
        """One of Cyrus's tools with this node's imapd.conf."""
        kw = {"timeout": 120, "capture_output": True, "text": True, **kw}
        self.write_configuration()
        r = subprocess.run(self.argv(argv[0], "-C", self.path("imapd.conf"), *argv[1:]), **kw)
        if check and r.returncode != 0:
            raise AssertionError("%s: exit %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr))
        return r

    def launch(self):
        self.write_configuration()
        if self.syslog is None:
            self.syslog = syslog.Syslog(self.path("devlog"), self.path("log"))
        args = ["-C", self.path("imapd.conf"), "-M", self.path("cyrus.conf"), "-p", self.path("pid"), "-D"]
        with open(self.path("stderr"), "ab") as err:
            self.master = subprocess.Popen(
                self.argv("master", *args, user=None),
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=err,
                start_new_session=True,
            )

    def start(self, timeout=120):
        self.launch()
        self._wait_ready(time.monotonic() + timeout)
        return self

    def _wait_ready(self, deadline):
        """Until every TCP service greets: a frontend's mupdate does once it has the list."""
        for entry in self.services.values():
            listen = re.search(r'listen="([\d.]+):(\d+)"', entry)
            while listen and not greets(listen.group(1), int(listen.group(2))):
                if self.master.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise AssertionError("%s did not start:\n%s\n%s" % (self.dir, self.stderr(), self.log()))
                time.sleep(0.02)

    def stop(self, sig=signal.SIGTERM, timeout=60):
        super().stop(sig, timeout)
        if self.syslog is not None:
            self.syslog.close()
            self.syslog = None

    def deaths(self):
        """What the log says of processes that crashed."""
        return DIED.findall(self.log())

    def cleanup(self):
        died = self.deaths()
        self.stop()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        assert not died, "of Cyrus on %s died: %s" % (self.dir, died)


def greets(host, port):
    try:
        with socket.create_connection((host, port), 5) as s:
            return s.recv(1) != b""
    except OSError:
        return False


class Mixed(Murder):
    """kinds: "ours" or "cyrus", for the master, for each backend, for each frontend."""

    def __init__(self, directory, network, master="ours", backends=("ours", "cyrus"), frontends=("ours",), conf=None):
        self.hosts = Hosts(directory)
        self.kinds = {"m": master}
        self.kinds.update(("be%d" % (i + 1), kind) for i, kind in enumerate(backends))
        self.kinds.update(("fe%d" % (i + 1), kind) for i, kind in enumerate(frontends))
        super().__init__(directory, network, len(backends), len(frontends), conf)

    def _servername(self, role, i, address):
        return "%s%d.lab" % (role, i + 1)

    def _make(self, name, address, conf, **kw):
        host = name + ".lab"
        self.hosts.add(host, address)
        conf = {**conf, "servername": host}
        path = os.path.join(self.dir, name)
        if self.kinds[name] == "cyrus":
            # Cyrus divides by a quarter of it
            conf["mupdate_retry_delay"] = 4
            conf["allowallsubscribe"] = "yes"
            node = CyrusNode(path, address, conf, hosts=self.hosts, **kw)
            node.daemons["idled"] = 'cmd="idled"'
        else:
            node = Node(path, address, conf, **kw)
            node.wrap = self.hosts.wrap()
        node.servername = host
        return node
