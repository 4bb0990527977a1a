"""Names whose order servers may see differently (blanks, dashes, digits, capitals beside the separator), beside a real Cyrus 3.6: its
tools and slave merge our list with their own, ours merge its."""

import json

import pytest

from iatlas import Imap
from iatlas.mupdate import Mupdate
from test_cyrus_mupdate import LINK, admin, peers  # noqa: F401
from test_mupdate import eventually

pytestmark = pytest.mark.peer

ENDS = ["", ".b", "-b", " b", "b", "0", "C", "b.c", "+b", ".-", ". x", "^b", "^b.c", "^1", "&AOk-", "~", "_"]
NAMES = ["user.a" + end for end in ENDS] + ["shared" + end for end in ENDS]


def entries(names):
    text = {}
    for i, name in enumerate(names):
        entry = dict(name=name, mtime="1616475293", uidvalidity="1616475293", createdmodseq="4", foldermodseq="4")
        entry.update(mbtype="e", partition="default", acl={"a": "lrs"}, uniqueid="%024d" % i, name_history=[])
        text[name] = entry
    return json.dumps(text)


def listed(m, prefix=""):
    return sorted(line[2] for line in m.ok("LIST" + prefix) if line[1] == "MAILBOX")


def test_a_cyrus_backend_pushes_twice(peers):  # noqa: F811
    """What is there already stays, what it has not goes, what others have is left alone."""
    m = peers.ours("m", "mupdate -m")
    be = peers.cyrus("be", mupdate_server=m.address, proxyservers="murder", **LINK)
    be.command("ctl_mboxlist", "-u", input=entries(NAMES))
    with admin(m) as w:
        w.ok('ACTIVATE "user.a.other" "elsewhere!p" ""')
        w.ok('ACTIVATE "user.a/ghost" "%s!default" ""' % be.address)
        for _ in range(2):
            be.command("ctl_mboxlist", "-m")
            assert listed(w, ' "%s!"' % be.address) == sorted(NAMES)
            assert w.find("user.a.other")
    assert sorted(json.loads(be.command("ctl_mboxlist", "-d").stdout)) == sorted(NAMES)


@pytest.mark.parametrize("master", ["ours", "cyrus"])
def test_slaves_merge(peers, master):  # noqa: F811
    """A slave of the other kind, with half of the list from before, some of it gone meanwhile. Names with a dot in them stay: a
    Cyrus slave, of whatever master, drops others when these change."""
    m = peers.ours("m", "mupdate -m") if master == "ours" else peers.cyrus("m", "-m")
    other = peers.cyrus if master == "ours" else peers.ours
    stay, rest = [n for n in NAMES if "^" in n], [n for n in NAMES if "^" not in n]
    w = eventually(lambda: admin(m), 30)
    for name in stay + rest[::2]:
        w.ok('ACTIVATE "%s" "be1!default" "a\tlrs\t"' % name)
    slave = other("s", "mupdate" if master == "cyrus" else "", mupdate_server=m.address, **LINK)
    s = eventually(lambda: admin(slave), 30)
    eventually(lambda: listed(s) == sorted(stay + rest[::2]))
    assert [line[2] for line in s.ok("LIST")] == [line[2] for line in w.ok("LIST")]
    slave.stop()
    for name in rest[1::2]:
        w.ok('ACTIVATE "%s" "be2!default" "a\tlrs\t"' % name)
    for name in rest[::4]:
        w.ok('DELETE "%s"' % name)
    slave.start()
    s = eventually(lambda: admin(slave), 30)
    eventually(lambda: listed(s) == listed(w))
    assert len(listed(w)) == len(NAMES) - len(rest[::4])


def test_our_backend_pushes_to_a_cyrus_master(peers):  # noqa: F811
    m = peers.cyrus("m", "-m")
    w = eventually(lambda: admin(m), 30)
    be = peers.ours("be", mupdate_server=m.address, proxyservers="murder", **LINK)
    with Imap(be.address).login("cyrus") as c:
        for name in NAMES:
            c.ok('CREATE "%s"' % name.replace(".", "/").replace("^", "."))
        there = listed(w)
        assert there == sorted(NAMES)
        w.ok('ACTIVATE "user.a/ghost" "%s!default" ""' % be.servername)
        for _ in range(2):
            be.command("ctl_mboxlist", "-m")
            assert listed(w) == there
        assert len(c.list("", "*")) == len(NAMES)
