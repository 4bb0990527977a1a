"""A real Cyrus with a machine to itself: what room.py is for ours. The same files serve both: BIN is where the programs are."""

import glob
import os
import re

from . import cyrus, syslog
from .room import BIN as TREE
from .room import Room
from .node import BUILD, program

BIN = "/opt"  # in every room the programs of its kind
ROOT = "/media"  # in a room of Cyrus its packages
PORTS = {"imap": 143, "lmtp": 2003, "mupdate": 3905, "pop3": 110, "sieve": 4190}


class Named:
    """Finds others as Cyrus must: by /etc/hosts and /etc/services."""

    def __init__(self, *args):
        super().__init__(*args)
        with open("/etc/services") as old, open(self.path("etc", "services"), "w") as f:
            f.write(old.read() + "lmtp 2003/tcp\nmupdate 3905/tcp\n")
        with open(self.path("etc", "nsswitch.conf"), "w") as f:
            f.write("passwd: files\ngroup: files\nhosts: files\nservices: files\n")


class OwnRoom(Named, Room):
    """Ours, with the programs in one folder as an installation has them."""

    PROGRAMS = "master imapd lmtpd mupdate ctl_cyrusdb ctl_mboxlist cyr_expire"

    def _mounts(self):
        os.makedirs(self.path("bin"))
        for name in self.PROGRAMS.split():
            os.symlink(program(name).replace(BUILD, TREE, 1), self.path("bin", name))
        return "mount --bind '%s' %s; %s" % (self.path("bin"), BIN, super()._mounts())


class CyrusRoom(Named, Room):
    MASTER_ARGUMENTS = ("-D", "-p", "/var/imap/master.pid")
    syslog = None

    def _mounts(self):
        os.makedirs(self.path("dev"))
        lines = [
            *syslog.mounts(self.path("dev"), self.path("devlog")),
            "mount --bind '%s' %s" % (cyrus.ROOT, ROOT),
            "mount --bind '%s/usr/lib/cyrus/bin' %s" % (cyrus.ROOT, BIN),
            super()._mounts(),
        ]
        return "\n".join(["set -e", *lines])

    def write_configuration(self):
        super().write_configuration()
        for name in ("db", "socket", "proc", "lock", "log", "user"):
            os.makedirs(self.path("var", "imap", name), exist_ok=True)
            os.chown(self.path("var", "imap", name), *self.user)

    def argv(self, name, *args):
        libraries = [d.replace(cyrus.ROOT, ROOT, 1) for d in glob.glob(cyrus.ROOT + "/*lib*/*-linux-gnu")]
        libraries += [d.replace(cyrus.ROOT, ROOT, 1) for d in glob.glob(cyrus.ROOT + "/usr/lib/*-linux-gnu")]
        enter = ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "env", "LD_LIBRARY_PATH=" + ":".join(libraries)]
        return [*enter, os.path.join(BIN, name), *args]

    def is_ready(self):
        """Whatever cyrus.conf lets listen on a port greets."""
        names = re.findall(r'listen="([^"/]*)"', self.cyrus_conf)
        with self.hub.inside():
            return all(cyrus.greets(self.address, PORTS[n.rsplit(":", 1)[-1]]) for n in names)

    def start(self, timeout=120):
        self.syslog = syslog.Syslog(self.path("devlog"), self.path("log"))
        return super().start(timeout)

    def log(self):
        return self._read("log")

    def stop(self, *args, **kw):
        self.died = cyrus.DIED.findall(self.log())
        super().stop(*args, **kw)
        if self.syslog is not None:
            self.syslog.close()
            self.syslog = None

    def cleanup(self):
        super().cleanup()
        assert not self.died, "of Cyrus in %s died: %s" % (self.name, self.died)
