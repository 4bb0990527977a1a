"""One node: a directory, an address, imapd.conf and cyrus.conf, and a running master."""

import getpass
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid

from . import net

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("IATLAS_BUILD", os.path.join(TOP, "build")))
PASSWORD = "secret"
ADMIN = "cyrus"
PROXY = "murder"
# What a healthy process never writes to its standard error.
COMPLAINTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Can't open file|^bug: ", re.M)
# What a leak check says when the process is killed meanwhile.
CUT_SHORT = re.compile(r"^==\d+==Unable to get registers from thread \d+\.\n", re.M)
# The password, plain and in base64 at each of its three offsets; the SASL library has a property of a similar name.
SECRETS = re.compile(r"(?<!cmusasl)secret|c2VjcmV0|NlY3Jld|zZWNyZX")


def _scan():
    found = {}
    for top, dirs, files in os.walk(BUILD):
        dirs[:] = [d for d in dirs if d not in ("cunit", ".deps", "inst", "fuzz", "peers")]
        for f in files:
            path = os.path.join(top, f)
            if "." not in f and os.access(path, os.X_OK):
                found.setdefault(f, path)
    return found


_programs = None


def program(name):
    """The path of a program of the build tree; a path is one already."""
    global _programs
    if name.startswith("/"):
        return name
    if _programs is None:
        _programs = _scan()
    if name not in _programs:
        raise FileNotFoundError("no program %s below %s: build first" % (name, BUILD))
    return _programs[name]


def environment(**more):
    program("master")
    dirs = sorted({os.path.dirname(p) for p in _programs.values()})
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CYRUS_", "IATLAS_"))}
    env["IATLAS_BINDIR"] = ":".join(dirs)
    env["PATH"] = ":".join(dirs + [env.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin"])
    env.update(more)
    return env


class Node:
    """conf: imapd.conf lines (None removes one); the rest are cyrus.conf entries, name -> text."""

    REPORTS = "sanitizer"  # each process's report has its id behind this

    SYNCED = "mupdate.slave-synced"  # what a frontend logs once it has the list

    def __init__(self, directory, address, conf=None, start=None, services=None, events=None, daemons=None):
        self.dir = str(directory)
        self.address = address
        self.servername = "%s:%d" % (address, net.IMAP)
        self.id = uuid.uuid4().hex
        self.master = None
        self.variables = {}  # of its processes' environment
        self.wrap = []  # what to put before a command that is to run on this node
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o700)
        self.conf = {
            "configdirectory": self.path("config"),
            "partition-default": self.path("spool"),
            "servername": self.servername,
            "admins": ADMIN,
            "allowplaintext": "yes",
            "sasl_pwcheck_method": "auxprop",
            "sasl_auxprop_plugin": "sasldb",
            "sasl_sasldb_path": self.path("sasldb2"),
            "sasl_mech_list": "PLAIN LOGIN SCRAM-SHA-256",
            "log_target": "file:" + self.path("log"),
            "db_map_size": "1G",
            "failedloginpause": "0s",
            "cyrus_user": getpass.getuser(),
        }
        if os.getuid() == 0:
            self.conf["cyrus_user"] = "root"
        self.conf.update(conf or {})
        self.start_entries = start if start is not None else {"recover": 'cmd="ctl_cyrusdb -r"'}
        self.services = services or {}
        self.events = events or {}
        self.daemons = daemons or {}

    # ---- files ----

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write_configuration(self):
        lines = ["%s: %s" % kv for kv in self.conf.items() if kv[1] is not None]
        with open(self.path("imapd.conf"), "w") as f:
            f.write("\n".join(lines) + "\n")
        with open(self.path("cyrus.conf"), "w") as f:
            for section, entries in (
                ("START", self.start_entries),
                ("SERVICES", self.services),
                ("EVENTS", self.events),
                ("DAEMON", self.daemons),
            ):
                f.write("%s {\n" % section)
                f.writelines("    %s %s\n" % e for e in entries.items())
                f.write("}\n")

    def add_user(self, *names, password=PASSWORD):
        realm = self.conf["servername"].rsplit(":", 1)[0]
        for name in names:
            subprocess.run(
                ["/usr/sbin/saslpasswd2", "-p", "-c", "-f", self.conf["sasl_sasldb_path"], "-u", realm, name],
                input=password.encode(),
                check=True,
            )

    def log(self):
        return self._read("log")

    def stderr(self):
        return self._read("stderr")

    def _read(self, name):
        try:
            with open(self.path(name), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    # ---- processes ----

    def environment(self, **more):
        """What each of this node's processes is given: the mark, and where a sanitizer writes its report."""
        for kind in ("ASAN", "TSAN", "UBSAN"):
            name = kind + "_OPTIONS"
            more[name] = "%s:log_path=%s" % (os.environ.get(name, ""), self.path(self.REPORTS))
        return environment(IATLAS_TEST=self.id, **self.variables, **more)

    def complaints(self):
        """What no healthy process would have written."""
        text = self.stderr() if COMPLAINTS.search(self.stderr()) else ""
        reports = "".join(self._read(f) for f in sorted(glob.glob(self.path(self.REPORTS + ".*"))))
        return text + CUT_SHORT.sub("", reports)

    def command(self, *argv, check=True, **kw):
        """Runs one of our tools with this node's imapd.conf; the completed process."""
        kw.setdefault("timeout", 120)
        kw.setdefault("capture_output", True)
        kw.setdefault("text", True)
        args = [*self.wrap, program(argv[0]), "-C", self.path("imapd.conf"), *argv[1:]]
        r = subprocess.run(args, env=self.environment(), **kw)
        if check and r.returncode != 0:
            raise AssertionError("%s: exit %d\n%s%s" % (" ".join(argv), r.returncode, r.stdout, r.stderr))
        return r

    def launch(self):
        """Starts the master; the file that tells when it is ready."""
        self.write_configuration()
        ready = self.path("ready")
        if os.path.exists(ready):
            os.unlink(ready)
        with open(self.path("stderr"), "ab") as err:
            self.master = subprocess.Popen(
                [*self.wrap, program("master"), "-C", self.path("imapd.conf"), "-M", self.path("cyrus.conf")]
                + ["-p", self.path("pid"), "-r", ready],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=err,
                start_new_session=True,
            )
        return ready

    def start(self, timeout=120):
        ready = self.launch()
        deadline = time.monotonic() + timeout
        while not os.path.exists(ready):
            if self.master.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError("%s did not start:\n%s\n%s" % (self.dir, self.stderr(), self.log()))
            time.sleep(0.01)
        return self

    def pids(self):
        """Every process of this node that is alive, by the mark in its environment."""
        mark = ("IATLAS_TEST=" + self.id).encode()
        found = []
        for p in os.listdir("/proc"):
            if not p.isdigit():
                continue
            try:
                with open("/proc/%s/environ" % p, "rb") as f:
                    if mark not in f.read().split(b"\0"):
                        continue
                with open("/proc/%s/stat" % p) as f:
                    if f.read().rsplit(")", 1)[1].split()[0] != "Z":
                        found.append(int(p))
            except OSError:
                continue
        return found

    def processes(self, name):
        """The pids of this node's processes that run the program of that name."""
        found = []
        for pid in self.pids():
            try:
                if os.path.basename(os.readlink("/proc/%d/exe" % pid)) == name:
                    found.append(pid)
            except OSError:
                continue
        return found

    def status(self):
        """What master says of itself."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(self.path("config", "socket", "master"))
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    def stop(self, sig=signal.SIGTERM, timeout=60):
        """Stops the master as an administrator would and waits for every process to go."""
        if self.master is None:
            return
        if self.master.poll() is None:
            self.master.send_signal(sig)
        try:
            self.master.wait(timeout)
        finally:
            self.kill()

    def kill(self):
        """SIGKILL to everything at once: a crash of the node."""
        for _ in range(100):
            pids = self.pids()
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)
        if self.master is not None:
            self.master.wait()
            self.master = None

    def cleanup(self):
        """Stops, checks that no process complained, removes the directory."""
        self.stop()
        complaints = self.complaints()
        told = SECRETS.search(self.log())
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        assert not complaints, complaints
        assert not told, "a password in the log: %s" % told


def standalone(directory, address, conf=None, services=None):
    """A server without a murder: IMAP and LMTP over TCP and a Unix socket."""
    node = Node(directory, address, conf)
    node.services = {
        "imap": 'cmd="imapd" listen="%s:%d" prefork=1' % (address, net.IMAP),
        "lmtp": 'cmd="lmtpd -a" listen="%s:%d" prefork=0' % (address, net.LMTP),
        "lmtpunix": 'cmd="lmtpd" listen="%s" prefork=0' % node.path("lmtp"),
    }
    node.services.update(services or {})
    node.conf.setdefault("lmtpsocket", node.path("lmtp"))
    node.add_user(ADMIN)
    return node
