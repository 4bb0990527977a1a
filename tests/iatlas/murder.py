"""A whole murder on loopback: one MUPDATE master, backends, frontends, each with its own master process."""

import os
import time

from . import net
from .clients import Imap, Lmtp
from .node import ADMIN, PROXY, PASSWORD, Node


class Murder:
    def __init__(self, directory, network, backends=2, frontends=1, conf=None):
        self.network = network
        self.extra = conf or {}
        addresses = [network.address() for _ in range(1 + backends + frontends)]
        self.dir = str(directory)
        self.names = [self._servername("be", i, a) for i, a in enumerate(addresses[1 : 1 + backends])]
        self.m = self._master(addresses[0])
        self.be = [self._backend(i, a) for i, a in enumerate(addresses[1 : 1 + backends])]
        self.fe = [self._frontend(i, a) for i, a in enumerate(addresses[1 + backends :])]
        self.nodes = [self.m, *self.be, *self.fe]

    def _servername(self, role, i, address):
        return "%s:%d" % (address, net.IMAP)

    def _make(self, name, address, conf, **kw):
        return Node(os.path.join(self.dir, name), address, conf, **kw)

    def _node(self, name, address, conf, **kw):
        conf.update(self.extra)
        node = self._make(name, address, conf, **kw)
        node.name = name
        node.add_user(ADMIN, PROXY)
        return node

    def _mupdate(self, **more):
        return dict(
            mupdate_server=self.m.address,
            mupdate_port=net.MUPDATE,
            mupdate_username=PROXY,
            mupdate_authname=PROXY,
            mupdate_password=PASSWORD,
            mupdate_retry_delay=1,
            **more,
        )

    def _master(self, address):
        node = self._node("m", address, {"admins": "%s %s" % (ADMIN, PROXY)})
        node.services["mupdate"] = 'cmd="mupdate -m" listen="%s:%d" prefork=1' % (address, net.MUPDATE)
        return node

    def _backend(self, i, address):
        node = self._node("be%d" % (i + 1), address, self._mupdate(proxyservers=PROXY, lmtp_admins=PROXY))
        node.start_entries["mupdatepush"] = 'cmd="ctl_mboxlist -m"'
        node.services["imap"] = 'cmd="imapd" listen="%s:%d" prefork=1' % (address, net.IMAP)
        node.services["lmtp"] = 'cmd="lmtpd" listen="%s:%d" prefork=1' % (address, net.LMTP)
        return node

    def _frontend(self, i, address):
        conf = self._mupdate(
            proxy_authname=PROXY,
            proxy_password=PASSWORD,
            serverlist=" ".join(self.names),
            defaultserver=self.names[0],
        )
        node = self._node("fe%d" % (i + 1), address, conf)
        node.services["mupdate"] = 'cmd="mupdate" listen="%s:%d" prefork=1' % (address, net.MUPDATE)
        node.services["imap"] = 'cmd="proxyd" listen="%s:%d" prefork=1' % (address, net.IMAP)
        node.services["lmtp"] = 'cmd="lmtpproxyd -a" listen="%s:%d" prefork=0' % (address, net.LMTP)
        node.services["lmtpunix"] = 'cmd="lmtpproxyd" listen="%s" prefork=1' % node.path("lmtp")
        return node

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.fe:
            self._wait_synced(node)
        return self

    @staticmethod
    def _wait_synced(frontend, timeout=60):
        """Until the frontend's slave has the list: before, its answers may be as old as the list."""
        deadline = time.monotonic() + timeout
        while frontend.SYNCED not in frontend.log():
            assert time.monotonic() < deadline, frontend.log()
            time.sleep(0.01)

    def cleanup(self):
        errors = []
        for node in reversed(self.nodes):
            try:
                node.cleanup()
            except Exception as e:
                errors.append(e)
        if errors:
            raise errors[0]

    # ---- what the tests do all the time ----

    def add_user(self, name, backend=0, mailbox=True):
        """A login on every node, and an INBOX on that backend, made through the frontend."""
        for node in self.nodes:
            node.add_user(name)
        if mailbox:
            with self.imap(ADMIN) as c:
                c.ok("CREATE user/%s %s" % (name, self.names[backend]))

    def imap(self, user, frontend=0):
        return Imap(self.fe[frontend].address).login(user)

    def lmtp(self, frontend=0):
        return Lmtp(self.fe[frontend].address)

    def wait_listed(self, name, frontend=0, present=True, timeout=60):
        """Waits until an administrator's LIST at a frontend shows (or no longer shows) the mailbox."""
        deadline = time.monotonic() + timeout
        with self.imap(ADMIN, frontend) as c:
            while (c.list("", name) != []) != present:
                assert time.monotonic() < deadline, "%s %s" % (name, "missing" if present else "still there")
                time.sleep(0.02)


class Frontend:
    """A murder's frontend with the face of direct.Service: the same checks run against both."""

    def __init__(self, murder):
        self.murder, self.made = murder, 0

    def connect(self, **kw):
        return Imap(self.murder.fe[0].address, **kw)

    def imap(self, user=ADMIN):
        return self.connect().login(user)

    def add_user(self, *names):
        for name in names:
            self.murder.add_user(name, mailbox=False)

    def make_users(self, *names):
        """Each with a password and an INBOX, on the backends in turn."""
        for name in names:
            self.murder.add_user(name, self.made % len(self.murder.be))
            self.made += 1
