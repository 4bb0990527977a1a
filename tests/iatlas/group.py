"""A replicated group of MUPDATE masters: members that can be killed and paused."""

import concurrent.futures
import contextlib
import os
import signal
import time

from . import net
from .mupdate import Mupdate
from .node import Node

REPLICATION = net.MUPDATE


def eventually(what, timeout=60):
    """The first true value of what()."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = what()
        except (OSError, EOFError):
            value = None
        if value or time.monotonic() > deadline:
            assert value
            return value
        time.sleep(0.02)


def client(node):
    return Mupdate(node.address, timeout=60).login()


def status(node):
    """({member's address: (role, "self" or how it is seen)}, what this member does, numbers of entries)"""
    with client(node) as c:
        lines = c.ok("XGROUP")
        members = {words[2].rsplit(":", 1)[0]: words[3:5] for words in lines if words[1] == "XMEMBER"}
        return members, lines[-1][2], [int(n) for n in lines[-1][3:]]


def is_quiet(node):
    """Has the member nothing more to do of its log, nor to hear that it is settled?"""
    return len(set(status(node)[2])) == 1


class Group:
    def __init__(self, directory, network, count=3, conf=None):
        self.dir, self.network, self.conf = str(directory), network, conf or {}
        self.addresses = [network.address() for _ in range(count)]
        self.nodes = [self.make(a) for a in self.addresses]
        self.paused = []

    def make(self, address, addresses=None):
        members = " ".join("%s:%d" % (a, REPLICATION) for a in addresses or self.addresses)
        conf = {"admins": "cyrus murder", "mupdate_group": members, "mupdate_port": net.MUPDATE}
        conf.update(mupdate_username="murder", mupdate_authname="murder", mupdate_password="secret", **self.conf)
        node = Node(os.path.join(self.dir, address), address, conf, start={})
        node.services["mupdate"] = 'cmd="mupdate -m" listen="%s:%d" prefork=1' % (address, net.MUPDATE)
        node.add_user("cyrus", "murder")
        return node

    def start(self):
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            eventually(lambda: os.path.exists(node.path("ready")))
        self.writer()
        return self

    def writer(self, among=None):
        """The member that writes, once there is one."""
        nodes = self.nodes if among is None else among
        return eventually(lambda: next((n for n in nodes if status(n)[1] == "writes"), None))

    def others(self, node):
        return [n for n in self.nodes if n is not node]

    def settle(self):
        """The one that writes, once all others follow: of all at once, since somebody may be elected meanwhile."""

        def writer():
            does = [status(n)[1] for n in self.nodes]
            return does.count("follows") == len(does) - 1 and "writes" in does and self.nodes[does.index("writes")]

        return eventually(writer)

    def pause(self, *nodes):
        self.paused = [pid for n in nodes for pid in n.processes("mupdate")]
        for pid in self.paused:
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in self.paused:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.paused = []

    def mend(self):
        """After a test, whatever it has left."""
        self.resume()
        for node in self.nodes:
            if not node.pids():
                node.start()
        return self.settle()

    def cleanup(self):
        self.resume()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(node.cleanup) for node in self.nodes]:
                done.result()
