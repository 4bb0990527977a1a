"""Debian's Postfix, unpacked by build-aux/fetch-peers, on a loopback address: its queue, its configuration and its users
are its own.  It runs in mount and process namespaces (so that whatever it starts ends with it), as root only."""

import os
import re
import signal
import smtplib
import subprocess

from . import fetched, mounts, syslog
from .direct import wait_for

ROOT = fetched.prefix("postfix")
SEEN = "/mnt"  # where it finds ROOT, which its own user could not read everywhere
USER, GROUP = 7144, 7145
SMTP = 2525

MAIN = """
compatibility_level = 3.6
queue_directory = %(dir)s/queue
data_directory = %(dir)s/data
daemon_directory = /mnt/usr/lib/postfix/sbin
command_directory = /mnt/usr/sbin
shlib_directory = /mnt/usr/lib/postfix
meta_directory = /mnt/etc/postfix
mail_owner = postfix
setgid_group = postdrop
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
export_environment = LD_LIBRARY_PATH
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
lmtp_host_lookup = native
smtp_host_lookup = native
myhostname = mx.example.test
mynetworks = 127.0.0.0/8
message_size_limit = 0
mailbox_size_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
lmtp_destination_recipient_limit = 50
"""

MASTER = """
%(address)s:%(smtp)d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
local unix - n n - - local
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
pickup unix n - n 60 1 pickup
"""
QUEUES = ("active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace").split()


def missing():
    """None, or why there can be no Postfix here."""
    if not os.path.exists(ROOT + "/usr/lib/postfix/sbin/master"):
        return "no Postfix: build-aux/fetch-peers postfix"
    if os.getuid() != 0:
        return "needs root"
    return mounts.missing("mount -t tmpfs none " + SEEN, "-pf")


class Postfix:
    """conf: further lines of main.cf; hosts: name -> address."""

    def __init__(self, directory, address, conf, hosts):
        self.dir, self.address = directory, address
        self.process = self.syslog = None
        for d in ("", "etc", "data", "queue", *("queue/" + q for q in QUEUES)):
            os.makedirs(self.path(d), exist_ok=True)
            os.chmod(self.path(d), 0o755)
        for d in ["data", *("queue/" + q for q in QUEUES if q != "pid")]:
            os.chown(self.path(d), USER, GROUP if d.endswith(("maildrop", "public")) else USER)
        words = dict(dir=directory, address=address, smtp=SMTP)
        self.write("etc/main.cf", MAIN % words + "".join("%s = %s\n" % c for c in conf.items()))
        self.write("etc/master.cf", MASTER % words)
        self.write("hosts", "127.0.0.1 localhost\n" + "".join("%s %s\n" % (a, n) for n, a in hosts.items()))
        self._add("passwd", "postfix:x:%d:%d::/nonexistent:/usr/sbin/nologin\n" % (USER, USER))
        self._add("group", "postfix:x:%d:\npostdrop:x:%d:\n" % (USER, GROUP))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def _add(self, name, text):
        with open("/etc/" + name) as f:
            self.write(name, f.read() + text)

    def argv(self, program, *args, more=()):
        binds = ["mount --bind '%s' /etc/%s" % (self.path(f), f) for f in ("hosts", "passwd", "group")]
        binds += ["mount --bind '%s' %s" % (ROOT, SEEN), *syslog.mounts(self.path("dev"), self.path("devlog"))]
        script = "\n".join([*binds, 'exec "$@"'])
        return [*mounts.unshare(*more), "sh", "-ec", script, "postfix", SEEN + program, "-c", self.path("etc"), *args]

    def environment(self):
        return {"LD_LIBRARY_PATH": SEEN + "/usr/lib/postfix", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def start(self):
        self.syslog = syslog.Syslog(self.path("devlog"), self.path("log"))
        argv = self.argv("/usr/lib/postfix/sbin/master", "-i", more=("-pf",))
        with open(self.path("stderr"), "wb") as err:
            self.process = subprocess.Popen(argv, env=self.environment(), stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        wait_for(self._listening)
        return self

    def _listening(self):
        assert self.process.poll() is None, open(self.path("stderr")).read()
        try:
            self.smtp().close()
        except OSError:
            return False
        return True

    def stop(self):
        if self.process:
            # unshare's --kill-child is forgotten when Postfix's master changes its user
            with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as f:
                for pid in f.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        if self.syslog:
            self.syslog.close()

    def command(self, name, *args):
        """postqueue and its like."""
        r = subprocess.run(self.argv("/usr/sbin/" + name, *args), env=self.environment(), capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stdout + r.stderr
        return r.stdout

    def smtp(self):
        return smtplib.SMTP(self.address, SMTP, local_hostname="client.example.test", timeout=60)

    def queue(self):
        """Addresses that wait are in this text; "" when there is no message."""
        text = self.command("postqueue", "-p")
        return "" if text.startswith("Mail queue is empty") else text

    def flush(self):
        self.command("postqueue", "-f")

    def was_deferred(self, address, status):
        """Did a server say that it is to be tried again later, with that enhanced code (a regular expression)?"""
        return re.search(r"to=<%s>.* dsn=%s, status=deferred" % (re.escape(address), status), self.log())

    def log(self):
        with open(self.path("log")) as f:
            return f.read()
