"""Debian's Exim, unpacked by build-aux/fetch-peers, on a loopback address: as a user of its own, with its queue, configuration and
log in a directory of the test's; in mount and process namespaces (so that whatever it starts ends with it), as root only."""

import os
import re
import smtplib
import subprocess

from . import fetched, mounts
from .direct import wait_for
from .postfix import SEEN, SMTP

ROOT = fetched.prefix("exim")
USER = 7146
PROGRAM = SEEN + "/usr/sbin/exim4"

MAIN = """
exim_path = %(program)s
spool_directory = %(dir)s/spool
log_file_path = %(dir)s/log/%%slog
log_selector = +smtp_confirmation
pid_file_path = %(dir)s/exim.pid
primary_hostname = mx.example.test
local_interfaces = %(address)s
daemon_smtp_ports = %(smtp)d
deliver_drop_privilege
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
queue_run_max = 5
message_size_limit = 0
tls_advertise_hosts =
rfc1413_query_timeout = 0s
host_lookup =
dns_ipv4_lookup = *
keep_environment =
acl_smtp_rcpt = yes
bounce_return_size_limit = 0
begin acl
yes:
  accept
begin retry
* * F,1d,1s
"""


def missing():
    """None, or why there can be no Exim here."""
    if not os.path.exists(ROOT + "/usr/sbin/exim4"):
        return "no Exim: build-aux/fetch-peers exim"
    if os.getuid() != 0:
        return "needs root"
    return mounts.missing("mount -t tmpfs none " + SEEN, "-pf")


class Exim:
    """conf: main options; routers, transports, authenticators: text; hosts: name -> address."""

    def __init__(self, directory, address, routers, transports, authenticators="", conf="", hosts=None):
        self.dir, self.address, self.process = directory, address, None
        for d in ("", "spool", "log"):
            os.makedirs(self.path(d), exist_ok=True)
            os.chown(self.path(d), USER, USER)
        words = dict(dir=directory, address=address, smtp=SMTP, program=PROGRAM)
        sections = (("routers", routers), ("transports", transports), ("authenticators", authenticators))
        text = conf + MAIN % words + "".join("begin %s\n%s\n" % s for s in sections)
        self.write("exim.conf", text)
        self.write("hosts", "127.0.0.1 localhost\n" + "".join("%s %s\n" % (a, n) for n, a in (hosts or {}).items()))
        for name, line in (("passwd", "Debian-exim:x:%d:%d::/nonexistent:/usr/sbin/nologin\n"), ("group", "Debian-exim:x:%d:\n")):
            with open("/etc/" + name) as f:
                self.write(name, f.read() + line % ((USER,) * line.count("%d")))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def argv(self, *args, more=()):
        binds = ["mount --bind '%s' /etc/%s" % (self.path(f), f) for f in ("hosts", "passwd", "group")]
        # without its setuid bit, with which it would not look for libraries in ROOT
        binds += ["mount --bind '%s' %s" % (ROOT, SEEN), "mount -o remount,bind,nosuid %s" % SEEN]
        script = "\n".join([*binds, 'exec setpriv --reuid %d --regid %d --clear-groups "$@"' % (USER, USER)])
        return [*mounts.unshare(*more), "sh", "-ec", script, "exim", PROGRAM, "-C", self.path("exim.conf"), *args]

    def environment(self):
        lib = SEEN + "/usr/lib/x86_64-linux-gnu"
        return {"LD_LIBRARY_PATH": lib + ":" + SEEN + "/lib/x86_64-linux-gnu", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def start(self):
        with open(self.path("stderr"), "wb") as err:
            argv = self.argv("-bdf", "-q1s", more=("-pf", "--kill-child"))
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
            self.process.kill()
            self.process.wait()

    def command(self, *args):
        r = subprocess.run(self.argv(*args), env=self.environment(), capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stdout + r.stderr
        return r.stdout

    def smtp(self):
        return smtplib.SMTP(self.address, SMTP, local_hostname="client.example.test", timeout=60)

    def log(self):
        try:
            with open(self.path("log", "mainlog")) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    # ---- what Postfix has too ----

    def queue(self):
        """Addresses that wait are in this text; "" when there is no message."""
        lines = self.command("-bp").splitlines()
        return "\n".join(line for line in lines if not line.strip().startswith("D "))

    def flush(self):
        """Its queue is run every second."""

    def was_deferred(self, address, status):
        """Did a server say that it is to be tried again later, with that enhanced code (a regular expression)?"""
        return re.search(r"== %s.* (4\d\d %s|Connection|defer)" % (re.escape(address), status), self.log())
