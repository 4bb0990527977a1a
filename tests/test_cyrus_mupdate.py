"""MUPDATE beside a real Cyrus 3.6: its slave of our master, its master with our slave and backend, its tools.

Run as root: Cyrus finds its peers' port in /etc/services, a copy of which is mounted for it alone.
"""

import json
import os
import subprocess

import pytest

from iatlas import Imap, Node, fetched, net
from iatlas.mupdate import Mupdate
from iatlas.node import PASSWORD
from test_mupdate import eventually

ROOT = fetched.prefix("cyrus")
BIN = os.path.join(ROOT, "usr/lib/cyrus/bin")
USER = "nobody"
LINK = {
    "mupdate_authname": "murder",
    "mupdate_username": "murder",
    "mupdate_password": PASSWORD,
    "mupdate_port": str(net.MUPDATE),
    "mupdate_retry_delay": "4",  # Cyrus divides by a quarter of it
}

pytestmark = pytest.mark.skipif(
    not os.path.exists(os.path.join(BIN, "mupdate")) or os.getuid() != 0, reason="needs root, and build-aux/fetch-peers cyrus"
)


class Cyrus:
    """A directory, an address, and its programs."""

    def __init__(self, directory, address, **conf):
        self.dir, self.address, self.process = directory, address, None
        for name in ("db", "socket", "proc", "lock", "log"):
            os.makedirs(self.path("config", name))
        os.makedirs(self.path("spool"))
        self.conf = {
            "configdirectory": self.path("config"),
            "partition-default": self.path("spool"),
            "defaultpartition": "default",
            "servername": address,
            "admins": "cyrus murder",
            "allowplaintext": "yes",
            "sasl_pwcheck_method": "auxprop",
            "sasl_auxprop_plugin": "sasldb",
            "sasl_sasldb_path": self.path("sasldb2"),
            "sasl_mech_list": "PLAIN",
            "cyrus_user": USER,
        }
        self.conf.update(conf)
        for name in ("cyrus", "murder"):
            subprocess.run(
                ["/usr/sbin/saslpasswd2", "-p", "-c", "-f", self.path("sasldb2"), "-u", address, name],
                input=PASSWORD.encode(),
                check=True,
            )
        self.write("imapd.conf", "".join("%s: %s\n" % kv for kv in self.conf.items()))
        services = open("/etc/services").read() if os.path.exists("/etc/services") else ""
        self.write("services", services + "\nmupdate 3905/tcp\nlmtp 2003/tcp\n")
        subprocess.run(["chown", "-R", USER, self.dir], check=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def argv(self, *argv, user=None):
        script = 'mount --bind %s /etc/services && exec "$@"' % self.path("services")
        libs = ":".join(os.path.join(ROOT, d) for d in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/cyrus"))
        become = ["runuser", "-u", user, "--"] if user else []
        program = [os.path.join(BIN, argv[0]), *argv[1:]]
        return ["unshare", "-m", "sh", "-c", script, "cyrus", *become, "env", "LD_LIBRARY_PATH=" + libs, *program]

    def start(self, mupdate):
        self.write(
            "cyrus.conf",
            'START {\n r cmd="%s/ctl_cyrusdb -C %s -r"\n}\nSERVICES {\n'
            ' mupdate cmd="%s/mupdate %s -C %s" listen="%s:%d" prefork=1 proto="tcp4"\n}\n'
            % (BIN, self.path("imapd.conf"), BIN, mupdate, self.path("imapd.conf"), self.address, net.MUPDATE),
        )
        argv = self.argv("master", "-C", self.path("imapd.conf"), "-M", self.path("cyrus.conf"), "-p", self.path("pid"), "-D")
        with open(self.path("out"), "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        return self

    def tool(self, name, *args, **kw):
        argv = self.argv(name, "-C", self.path("imapd.conf"), *args, user=USER)
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, **kw)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)


@pytest.fixture
def peers(workdir, network):
    """make(name, **conf) gives a Cyrus; ours(name, mupdate command, **conf) a node of ours."""
    os.chmod(workdir, 0o755)
    made = []

    class Peers:
        def cyrus(self, name, **conf):
            made.append(Cyrus(os.path.join(workdir, name), network.address(), **conf))
            return made[-1]

        def ours(self, name, command=None, **conf):
            node = Node(os.path.join(workdir, name), network.address(), {"admins": "cyrus murder", **conf}, start={})
            if command:
                node.services["mupdate"] = 'cmd="%s" listen="%s:%d" prefork=1' % (command, node.address, net.MUPDATE)
            else:
                node.services["imap"] = 'cmd="imapd" listen="%s:%d" prefork=1' % (node.address, net.IMAP)
            node.add_user("cyrus", "murder")
            made.append(node)
            return node.start()

    yield Peers()
    for m in reversed(made):
        m.cleanup() if isinstance(m, Node) else m.stop()


def admin(peer):
    return Mupdate(peer.address).login()


def test_cyrus_slave_of_our_master(peers):
    m = peers.ours("m", "mupdate -m")
    with admin(m) as w:
        w.ok('ACTIVATE "user.a" "be1!default" "a\tlrswipkxtecdan\t"')
        w.ok('RESERVE "user.r" "be1!default"')
        slave = peers.cyrus("s", mupdate_server=m.address, **LINK).start("")
        s = eventually(lambda: admin(slave), 30)
        eventually(lambda: s.find("user.a") == ("MAILBOX", "be1!default", "a\tlrswipkxtecdan\t"))
        assert s.find("user.r") == ("RESERVE", "be1!default")
        w.ok('ACTIVATE "user.b" "be2!default" "b\tl\t"')
        eventually(lambda: s.find("user.b"))
        w.ok('DELETE "user.a"')
        eventually(lambda: s.find("user.a") is None)


def test_our_slave_and_backend_with_a_cyrus_master(peers):
    m = peers.cyrus("m").start("-m")
    w = eventually(lambda: admin(m), 30)
    w.ok('ACTIVATE "user.x" "be1!default" "x\tlrs\t"')
    fe = peers.ours("fe", "mupdate", mupdate_server=m.address, **LINK)
    with admin(fe) as s, Mupdate(path=fe.path("config", "socket", "mupdate.target")) as local:
        eventually(lambda: s.find("user.x") == ("MAILBOX", "be1!default", "x\tlrs\t"))
        w.ok('ACTIVATE "user.y" "be1!default" ""')
        local.ok("NOOP")
        assert local.find("user.y")
        w.ok('DELETE "user.x"')
        local.ok("NOOP")
        assert local.find("user.x") is None
    be = peers.ours("be", mupdate_server=m.address, proxyservers="murder", **LINK)
    with Imap(be.address).login("cyrus") as c:
        c.ok("CREATE user/z")
        c.ok("CREATE user/z/sub")
        assert w.find("user.z.sub")[1] == be.servername + "!default"
        c.ok("SETACL user/z/sub cyrus lrx")
        c.ok("DELETE user/z/sub")
        assert w.find("user.z.sub") is None
    w.ok('ACTIVATE "user.ghost" "%s!default" ""' % be.servername)
    w.ok('DELETE "user.z"')
    be.command("ctl_mboxlist", "-m")
    assert w.find("user.z") and w.find("user.ghost") is None  # and the master is still alive: it dies of a DELETE of nothing


def test_cyrus_tools_with_our_master(peers):
    m = peers.ours("m", "mupdate -m")
    be = peers.cyrus("be", mupdate_server=m.address, proxyservers="murder", **LINK)
    entry = dict(name="user.cyr", mtime="1616475293", uidvalidity="1616475293", createdmodseq="4", foldermodseq="4")
    entry.update(mbtype="e", partition="default", acl={"cyr": "lrswipkxtecdan"}, uniqueid="a" * 24, name_history=[])
    assert be.tool("ctl_mboxlist", "-u", input=json.dumps({"user.cyr": entry})).returncode == 0
    with admin(m) as w:
        w.ok('ACTIVATE "user.gone" "%s!default" ""' % be.address)
        assert be.tool("ctl_mboxlist", "-m").returncode == 0
        assert w.find("user.cyr") == ("MAILBOX", be.address + "!default", "cyr\tlrswipkxtecdan\t")
        assert w.find("user.gone") is None
    argv = be.argv("mupdatetest", "-p", str(net.MUPDATE), "-m", "PLAIN", "-a", "cyrus", "-u", "cyrus", "-w", PASSWORD, m.address)
    r = subprocess.run(argv, input='X1 FIND "user.cyr"\n', capture_output=True, text=True, timeout=30)
    assert "Authenticated." in r.stdout and "S: * OK MUPDATE" in r.stdout


def test_dumps_are_exchanged(peers):
    be = peers.cyrus("be")
    node = peers.ours("m", "mupdate -m")
    entry = dict(name="user.cyr", mtime="1616475293", uidvalidity="1616475293", createdmodseq="4", foldermodseq="4")
    entry.update(mbtype="e", partition="default", acl={"cyr": "lrs", "-bob": "w"}, uniqueid="a" * 24, name_history=[])
    node.command("ctl_mboxlist", "-u", input=json.dumps({"user.cyr": entry}))
    ours = node.command("ctl_mboxlist", "-d").stdout
    assert json.loads(ours)["user.cyr"] == entry
    assert be.tool("ctl_mboxlist", "-u", input=ours).returncode == 0
    theirs = json.loads(be.tool("ctl_mboxlist", "-d").stdout)["user.cyr"]
    assert dict(theirs, mtime=entry["mtime"]) == entry  # Cyrus sets the time
