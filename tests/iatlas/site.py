"""A site as its users see it, and a user at a desk with real mail programs."""

import os
import re

from . import net, node
from .clients import Imap, Lmtp, message
from .desk import Desk, keep_telemetry, refusals, telemetry
from .direct import wait_for
from .murder import Murder
from .node import ADMIN, PASSWORD
from .sieve import Sieve
from .tls import Authority

HOST = "mail.example.test"
MTA_LMTP = 2103  # where LMTP wants a login


class Site:
    """A server as its users see it: on backends behind a frontend, or one standalone server."""

    def __init__(self, kind, directory, network):
        self.dir, self.network = directory, network
        os.chmod(directory, 0o711)
        self.lmtp_socket = os.path.join(directory, "lmtp")
        self.authority = Authority(os.path.join(directory, "ca"))
        self.ca = self.authority.ca
        self.murder = None
        if kind == "frontend":
            self.murder = Murder(directory, network)
            self.node, program = self.murder.fe[0], "proxyd"
        else:
            self.node, program = node.standalone(os.path.join(directory, "s"), network.address()), "imapd"
        self.address = self.node.address
        self.node.conf.update(self.authority.certify(HOST, self.address), allowstarttls="yes", allowplaintext="no")
        self.node.services["imaps"] = 'cmd="%s -s" listen="%s:%d" prefork=1' % (program, self.address, net.IMAPS)
        lmtp = "lmtpproxyd" if self.murder else "lmtpd"
        self.node.services["mta"] = 'cmd="%s" listen="%s:%d" prefork=0' % (lmtp, self.address, MTA_LMTP)
        self.node.services["mtaunix"] = 'cmd="%s" listen="%s" prefork=0' % (lmtp, self.lmtp_socket)
        self.node.conf["lmtp_admins"] = "mta"
        for n in [self.node, *(self.murder.be if self.murder else [])]:
            n.services["sieve"] = 'cmd="timsieved" listen="%s:%d" prefork=0' % (n.address, net.SIEVE)
            n.conf["sievedir"] = n.path("sieve")
        self.node.add_user("mta")
        self.users = 0

    def start(self):
        (self.murder or self.node).start()
        with self.imap(ADMIN) as c:
            c.ok("CREATE team" + (" " + self.murder.names[0] if self.murder else ""))
            c.ok("SETACL team anyone lrswipkxte")
        return self

    def imap(self, user):
        return Imap(self.address, net.IMAPS, tls=True).login(user)

    def lmtp(self):
        return Lmtp(self.address)

    def sieve(self):
        """Not logged in."""
        return Sieve(self.address)

    def make_user(self, backend=1):
        """A new user's name; `team` is on the other backend, 0."""
        self.users += 1
        name = "user%d" % self.users
        for n in self.murder.nodes if self.murder else [self.node]:
            n.add_user(name)
        with self.imap(ADMIN) as c:
            c.ok("CREATE user/" + name + (" " + self.murder.names[backend] if self.murder else ""))
        return name

    def cleanup(self):
        (self.murder or self.node).cleanup()


class User:
    """A user of the site at a desk of his own."""

    def __init__(self, site, directory, backend):
        self.site, self.name = site, site.make_user(backend)
        keep_telemetry(site.node, self.name)
        self.desk = Desk(directory, {HOST: site.address})
        self.ca = self.desk.write("ca.pem", open(site.ca).read())
        self.expected = []  # patterns of refusals that are right
        self.path, self.run = self.desk.path, self.desk.run

    def config(self, name, text):
        """A configuration file with %(host)s and its like filled in."""
        words = dict(host=HOST, imap=net.IMAP, imaps=net.IMAPS, user=self.name, password=PASSWORD, ca=self.ca,
                     home=self.desk.home)  # fmt: skip
        return self.desk.write(name, text % words)

    def fill(self, mailbox, count, flags="", **kw):
        """Messages with the subjects `m0`, `m1`..."""
        with self.imap() as c:
            for i in range(count):
                c.append(mailbox, message(subject="m%d" % i, to=self.name + "@example.org", **kw), flags)

    def deliver(self, subject):
        with self.site.lmtp() as c:
            assert c.deliver("s@example.org", [self.name], message(subject=subject))[0][0] == 250

    def imap(self):
        return self.site.imap(self.name)

    def messages(self, mailbox):
        """[(subject, set of flags but \\Recent)] in the mailbox's order."""
        with self.imap() as c:
            if c.select(mailbox, "EXAMINE") == 0:
                return []
            found = c.ok("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").find(rb"FLAGS \((.*?)\).*Subject: (.*?)\r\n")
            return [(m.group(2).decode(), set(m.group(1).decode().split()) - {"\\Recent"}) for m in found]

    def subjects(self, mailbox):
        return [s for s, _ in self.messages(mailbox)]

    def mailboxes(self):
        with self.imap() as c:
            return set(c.list("", "*")) - {"Shared Folders/team"}

    def said(self, since=None):
        """{session: what this user's programs and the server said in it}, perhaps only what is new since an earlier one."""
        now = telemetry(self.site.node, self.name)
        return {s: now[s][len((since or {}).get(s, b"")) :] for s in now}

    def wait_said(self, pattern):
        wait_for(lambda: any(re.search(pattern, s) for s in self.said().values()))

    def check(self):
        """Nothing was refused but what the test expects."""
        odd = [r for r in refusals(self.site.node, self.name) if not any(re.search(e, "%s -> %s" % r) for e in self.expected)]
        assert not odd, odd
