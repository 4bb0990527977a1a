"""MUPDATE beside a real Cyrus 3.6: its slave of our master, its master with our slave and backend, its tools."""

import json
import os
import subprocess

import pytest

from iatlas import Imap, Node, cyrus, net
from iatlas.mupdate import Mupdate
from iatlas.node import PASSWORD
from test_mupdate import eventually

LINK = {
    "mupdate_authname": "murder",
    "mupdate_username": "murder",
    "mupdate_password": PASSWORD,
    "mupdate_port": str(net.MUPDATE),
    "mupdate_retry_delay": "4",  # Cyrus divides by a quarter of it
}

WHY_NOT = cyrus.missing()
pytestmark = [pytest.mark.peer, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]


@pytest.fixture
def peers(workdir, network):
    """make(name, **conf) gives a Cyrus; ours(name, mupdate command, **conf) a node of ours."""
    hosts = cyrus.Hosts(workdir)
    made = []

    class Peers:
        def cyrus(self, name, mupdate=None, **conf):
            address = network.address()
            conf = {"servername": address, "admins": "cyrus murder", **conf}
            node = cyrus.CyrusNode(os.path.join(workdir, name), address, conf, hosts)
            if mupdate is not None:
                node.services["mupdate"] = 'cmd="mupdate %s" listen="%s:%d" prefork=1' % (mupdate, address, net.MUPDATE)
            node.add_user("cyrus", "murder")
            made.append(node)
            return node.start() if mupdate is not None else node

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
        m.cleanup()


def admin(peer):
    return Mupdate(peer.address).login()


def test_cyrus_slave_of_our_master(peers):
    m = peers.ours("m", "mupdate -m")
    with admin(m) as w:
        w.ok('ACTIVATE "user.a" "be1!default" "a\tlrswipkxtecdan\t"')
        w.ok('RESERVE "user.r" "be1!default"')
        slave = peers.cyrus("s", "", mupdate_server=m.address, **LINK)
        s = eventually(lambda: admin(slave), 30)
        eventually(lambda: s.find("user.a") == ("MAILBOX", "be1!default", "a\tlrswipkxtecdan\t"))
        assert s.find("user.r") == ("RESERVE", "be1!default")
        w.ok('ACTIVATE "user.b" "be2!default" "b\tl\t"')
        eventually(lambda: s.find("user.b"))
        w.ok('DELETE "user.a"')
        eventually(lambda: s.find("user.a") is None)


def test_our_slave_and_backend_with_a_cyrus_master(peers):
    m = peers.cyrus("m", "-m")
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
    be.command("ctl_mboxlist", "-u", input=json.dumps({"user.cyr": entry}))
    with admin(m) as w:
        w.ok('ACTIVATE "user.gone" "%s!default" ""' % be.address)
        be.command("ctl_mboxlist", "-m")
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
    be.command("ctl_mboxlist", "-u", input=ours)
    theirs = json.loads(be.command("ctl_mboxlist", "-d").stdout)["user.cyr"]
    assert dict(theirs, mtime=entry["mtime"]) == entry  # Cyrus sets the time
