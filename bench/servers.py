"""The servers that the benchmarks compare: a murder of ours, one of Cyrus (Debian's 3.6), and Dovecot (Debian's 2.3)."""

import contextlib
import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import time

import mail
from groups import Group
from iatlas import Imap, Murder, cyrus, fetched, net, node
from iatlas.mupdate import Mupdate
from iatlas.sieve import Sieve
from names import ADMIN as LIST_ADMIN
from names import FOLDERS, Names
from names import VIEWER as LISTER
from nginx import Nginx

MESSAGE = (
    b"From: Bench <bench@example.org>\r\nTo: Fred <fred@example.org>\r\nSubject: benchmark %d\r\n"
    b"Date: Sat, 21 Nov 2026 22:00:00 +0000\r\nMessage-ID: <%d@bench>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + b"A line of text.\r\n" * 120
)
DISTINCT = 1000  # messages that differ; larger mailboxes are made of copies
USERS = ["reader0", "varied0"] + ["user%d" % i for i in range(10)] + ["%s%d" % (kind, i) for kind in ("post", "script") for i in range(20)]
SCRIPT = """require ["fileinto", "envelope", "relational", "comparator-i;ascii-numeric"];
if anyof (header :contains ["subject", "x-spam-flag"] ["viagra", "yes"], size :over 50M) { discard; }
elsif address :domain :is ["to", "cc"] ["lists.example.org", "lists.example.com"] { fileinto "INBOX.lists"; }
elsif envelope :is "from" "boss@example.org" { fileinto "INBOX.boss"; }
elsif header :value "ge" :comparator "i;ascii-numeric" "x-score" "5" { fileinto "INBOX.junk"; }
"""
PATIENCE = 600  # seconds in which a list is there
GROUP_TARGETS = {"group", "group.other", "group.members"}
BUSY = 200  # messages that each user has whose sessions do this and that


def certificate(directory):
    """A certificate of our own; the options of imapd.conf that name it, for the service imaps alone."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench"]
        + ["-keyout", key, "-out", cert],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    os.chmod(key, 0o644)
    return {"tls_server_cert": cert, "tls_server_key": key}


def connect(target, user):
    return Imap(*target).login(user)


def fill(target, user, messages):
    """An INBOX of that many: some are appended, then copied upon themselves."""
    with connect(target, user) as imap:
        for i in range(min(messages, DISTINCT)):
            imap.append("INBOX", MESSAGE % (i, i))
        count = min(messages, DISTINCT)
        while count < messages:
            imap.select("INBOX")
            more = min(count, messages - count)
            imap.ok("COPY 1:%d INBOX" % more)
            count += more


def private_bytes(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(x.split()[1]) for x in f if x.startswith("Private_"))
        except OSError:
            continue
    return total * 1024


def own_bytes(pids):
    """Memory that no file is behind: what is mapped of a database is the kernel's cache of it."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(x.split()[1]) for x in f if x.startswith("Anonymous:"))
        except OSError:
            continue
    return total * 1024


class Aggregator:
    """A murder (a master, a backend, a frontend), a MUPDATE master with slaves alone, and a group of masters; kind: "ours" or
    "cyrus"."""

    def __init__(self, name, kind, directory, network, slaves=1):
        self.name, self.kind, self.dir = name, kind, directory
        self.murder = self._murder("murder", network)
        self.alone = self._murder("alone", network, slaves)
        self.backend, self.frontend = self.murder.be[0], self.murder.fe[0]
        self.targets = {
            "imap": (self.backend.address, net.IMAP),
            "imaps": (self.backend.address, net.IMAPS),
            "lmtp": (self.backend.address, net.LMTP + 1),
            "frontend": (self.frontend.address, net.IMAP),
            "lmtp.frontend": (self.frontend.address, net.LMTP),
            "mupdate": (self.alone.m.address, net.MUPDATE),
            "names": None,
            "names.admin": None,
        }
        self.targets["slave"] = (self.alone.fe[0].address, net.MUPDATE)
        self.targets["group"] = self.targets["group.other"] = self.targets["mupdate"]  # of who has no group
        self.fresh = itertools.count()  # for names
        self.network, self.names, self.group = network, None, None

    def _murder(self, name, network, frontends=1):
        path = os.path.join(self.dir, name)
        os.makedirs(path)
        if self.kind == "cyrus":
            return cyrus.Mixed(path, network, self.kind, (self.kind,), (self.kind,) * frontends)
        return Murder(path, network, 1, frontends, {"defaultpartition": "default", "db_map_size": "16G"})

    def start(self, messages, names, targets):
        """What those targets need."""
        self.alone.m.start()
        self._fill(names)
        if self.kind == "ours" and targets & GROUP_TARGETS:
            self.group = Group(os.path.join(self.dir, "group"), self.network, names)
            self.targets["group.members"] = None
        if targets - {"mupdate", "slave", "names", "names.admin"} - GROUP_TARGETS:
            self._start_murder(messages)

    def _start_murder(self, messages):
        services = self.backend.services
        port = "imaps" if self.kind == "cyrus" else net.IMAPS  # a name: one that does not greet is not waited for
        services["imaps"] = 'cmd="imapd -s" listen="%s:%s" prefork=1' % (self.backend.address, port)
        services["lmtpdirect"] = 'cmd="lmtpd -a" listen="%s:%d" prefork=1' % self.targets["lmtp"]
        services["sieve"] = 'cmd="timsieved" listen="%s:%d" prefork=0' % (self.backend.address, net.SIEVE)
        self.backend.conf["sievedir"] = self.backend.path("sieve")
        os.makedirs(self.backend.conf["sievedir"])
        for option, path in certificate(self.dir).items():
            self.backend.conf["imaps_" + option] = path
        self.murder.start()
        self._make_users(messages)

    def _make_users(self, messages):
        for n in self.murder.nodes:
            n.add_user(*USERS)
        with connect(self.targets["imap"], node.ADMIN) as imap:
            for user in USERS:
                imap.ok("CREATE user/" + user)
        prepare_mail(self.targets["imap"], messages)
        self._put_scripts()
        self.murder.wait_listed("user/" + USERS[-1])

    def _put_scripts(self):
        for user in USERS:
            if user.startswith("script"):
                with Sieve(self.backend.address) as c:
                    assert c.authenticate(user).status == "OK"
                    c.ok('PUTSCRIPT "bench" {%d+}\r\n%s' % (len(SCRIPT), SCRIPT))
                    c.ok('SETACTIVE "bench"')
                    c.ok("LOGOUT")

    def _fill(self, names):
        """Ours with details, as its backends tell them."""
        if names == 0:
            return
        argv = ["-H", self.alone.m.address, "-P", str(net.MUPDATE), "-T", "mupdate", "-u", node.PROXY, "-w", node.PASSWORD]
        argv += ["-M", str(names), "-n", "4", "-p", "details" if self.kind == "ours" else "fill"]
        subprocess.run([node.program("loadgen"), *argv], check=True, stdout=subprocess.DEVNULL)
        with self.mupdate() as m:
            assert m.find("user.bench0") and m.find("user.bench%d" % (names - 1))

    def mupdate(self):
        return Mupdate(self.alone.m.address, timeout=PATIENCE).login(node.PROXY)

    def find_group(self):
        """Who is elected now, and one who is not."""
        if self.group is not None:
            self.targets["group"], self.targets["group.other"] = self.group.elected(), self.group.other()

    @staticmethod
    def _empty(slave):
        """It has no list and no other services."""
        slave.services = {n: s for n, s in slave.services.items() if n == "mupdate"}
        slave.daemons = {}
        shutil.rmtree(slave.path("config", "mailboxes"), ignore_errors=True)  # ours
        for path in glob.glob(slave.path("config", "mailboxes.db*")):  # Cyrus's
            os.unlink(path)

    @staticmethod
    def _end(slave):
        slave.stop()
        open(slave.path("log"), "w").close()  # Cyrus's calls its end a death

    def sync_slave(self, names):
        """Seconds in which a slave without a list gets the whole one, and its own memory then, in bytes."""
        slave, last = self.alone.fe[0], max("user.bench%d" % i for i in range(names))
        self._empty(slave)
        began = time.monotonic()
        slave.launch()
        while not self._has_list(slave):
            time.sleep(0.02)
        self._wait_for(slave, last)
        value = time.monotonic() - began, own_bytes(slave.processes("mupdate"))
        self._end(slave)
        return value

    @staticmethod
    def _has_list(slave):
        """As it says: nobody connects before, since Cyrus's master starts one more process then, which asks for the list, too."""
        assert slave.master.poll() is None, slave.stderr()
        return slave.SYNCED in slave.log()

    @contextlib.contextmanager
    def all_slaves(self):
        """All of them start at once, without a list.  A function that says how many have it not."""
        for slave in self.alone.fe:
            self._empty(slave)
        waiting = list(self.alone.fe)

        def count():
            waiting[:] = [slave for slave in waiting if not self._has_list(slave)]
            return len(waiting)

        for slave in self.alone.fe:
            slave.launch()
        yield count
        for slave in self.alone.fe:
            self._end(slave)

    def slave_memory(self):
        """Of the largest one."""
        return max(own_bytes(slave.processes("mupdate")) for slave in self.alone.fe)

    def master_memory(self):
        return own_bytes(self.alone.m.processes("mupdate"))

    def restart_master(self):
        """It is killed: seconds from the start until it answers."""
        self.alone.m.kill()
        began = time.monotonic()
        self.alone.m.start(timeout=PATIENCE)
        self._wait_for(self.alone.m, "user.bench0")
        return time.monotonic() - began

    def _wait_for(self, which, name):
        deadline = time.monotonic() + PATIENCE
        while not self._has(which, name):
            assert time.monotonic() < deadline, "%s has no %s" % (which.dir, name)
            time.sleep(0.02)

    def _has(self, which, name):
        try:
            with Mupdate(which.address) as m:
                return m.login(node.ADMIN).find(name) is not None
        except (OSError, EOFError):
            return False

    def make_names(self, count):
        """The first time, the server for LIST."""
        if self.names is None:
            self.names = Names(self.kind, os.path.join(self.dir, "names"), self.network, count)
            self.targets["names"] = self.targets["names.admin"] = self.names.target

    def pids(self, target):
        n = self.frontend if target == "frontend" else self.backend
        return n.processes("imapd") + n.processes("proxyd")

    def memory(self, target):
        return private_bytes(self.pids(target))

    def all_pids(self):
        return self.backend.pids()

    def stop(self):
        if self.names is not None:
            self.names.stop()
        try:
            self.murder.cleanup()
        finally:
            self.alone.cleanup()
            if self.group is not None:
                self.group.stop()


def prepare_mail(address, messages):
    fill(address, "reader0", messages)
    with connect(address, "reader0") as imap:  # who caches at the first reading has done so
        imap.select("INBOX")
        imap.ok("FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    fill(address, "user0", min(messages, DISTINCT))
    for number in range(10):
        with connect(address, "user%d" % number) as imap:
            for name in ("New", "Copies", "Busy"):
                imap.ok("CREATE " + name)
            for i in range(BUSY):
                imap.append("Busy", mail.varied(number * BUSY + i))


def fill_varied(address, count):
    """An INBOX of mail as lists have it; read once.  The bytes of all of it."""
    size = 0
    with connect(address, "varied0") as imap:
        for i in range(count):
            text = mail.varied(i)
            size += len(text)
            imap.append("INBOX", text)
        imap.select("INBOX")
        imap.ok("FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (REFERENCES)])")
    return size


class Dovecot:
    """One process a session, as it comes; every write synced; nginx before it."""

    LOCATIONS = {"dovecot": "maildir:~/Maildir", "sdbox": "sdbox:~/sdbox"}
    CONF = """
base_dir = %(dir)s/run
state_dir = %(dir)s/run
protocols = imap lmtp
listen = %(address)s
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
default_process_limit = 100
default_client_limit = 14000
log_path = %(dir)s/log
mail_location = %(location)s
mail_fsync = always
disable_plaintext_auth = no
auth_mechanisms = plain login
ssl = yes
ssl_cert = <%(tls_server_cert)s
ssl_key = <%(tls_server_key)s
mail_max_userip_connections = 0
service auth {
  unix_listener auth-userdb {
  }
}
service imap-login {
  inet_listener imap {
    port = 2143
  }
  inet_listener imaps {
    port = 2993
  }
  service_count = 0
  process_min_avail = 2
  client_limit = 12000
  process_limit = 4
}
service imap {
  process_limit = 12000
}
service lmtp {
  inet_listener lmtp {
    port = 2003
  }
}
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%(dir)s/mail/%%n
}
"""

    def __init__(self, name, directory, network):
        self.name, self.dir, self.address, self.process = name, directory, network.address(), None
        self.targets = {"imap": (self.address, 2143), "imaps": (self.address, 2993), "lmtp": (self.address, 2003)}
        self.nginx = Nginx(directory + "/nginx", network, self.targets["imap"])
        self.targets["frontend"] = self.nginx.target
        self.targets["names"] = self.targets["imap"]

    def start(self, messages, names, targets):
        values = certificate(self.dir)
        values.update(dir=self.dir, address=self.address, location=self.LOCATIONS[self.name])
        os.makedirs(self.dir + "/mail")
        nobody = pwd.getpwnam("nobody")
        os.chown(self.dir + "/mail", nobody.pw_uid, nobody.pw_gid)
        for user in USERS:
            if user.startswith("script"):
                home = os.path.join(self.dir, "mail", user)
                os.makedirs(home)
                with open(home + "/.dovecot.sieve", "w") as f:
                    f.write(SCRIPT)
                os.chown(home, nobody.pw_uid, nobody.pw_gid)
        with open(self.dir + "/dovecot.conf", "w") as f:
            f.write(self.CONF % values)
        # its packages are laid over /usr, in a mount namespace of its own
        script = 'mount -t overlay -o "lowerdir=$0/usr:/usr" overlay /usr && exec "$@"'
        argv = ["/usr/sbin/dovecot", "-F", "-c", self.dir + "/dovecot.conf"]
        self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", script, fetched.prefix("dovecot"), *argv])
        self._wait()
        self.nginx.start()
        prepare_mail(self.targets["imap"], messages)

    def _wait(self, seconds=20):
        deadline = time.monotonic() + seconds
        while not cyrus.greets(*self.targets["imap"]):
            assert time.monotonic() < deadline and self.process.poll() is None, "Dovecot does not start"
            time.sleep(0.1)

    def make_names(self, count):
        """It has no list of all mailboxes: each user's are looked for where they are."""
        with connect(self.targets["imap"], LISTER + "0") as imap:
            there = len(imap.ok('LIST "" *').untagged)
            for folder in FOLDERS[1:] if there < len(FOLDERS) else []:
                imap.ok("CREATE " + folder)

    def pids(self, target):
        if target == "frontend":
            return self.nginx.pids()
        pids = []
        for exe in glob.glob("/proc/[0-9]*/exe"):
            try:
                if os.readlink(exe) in ("/usr/lib/dovecot/imap", "/usr/lib/dovecot/imap-login"):
                    pids.append(int(exe.split("/")[2]))
            except OSError:
                continue
        return pids

    def memory(self, target):
        return private_bytes(self.pids(target))

    def all_pids(self):
        """Dovecot's master and what it has started."""
        found, left = [], [self.process.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            try:
                with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                    left += [int(child) for child in f.read().split()]
            except OSError:
                continue
        return found

    def stop(self):
        self.nginx.stop()
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
