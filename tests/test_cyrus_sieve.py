"""A user's scripts move from a real Cyrus 3.6 to ours by ManageSieve: its timsieved keeps their text in a mailbox and only byte code in
files, so there is no folder to copy (older versions' folders are ours as they are: tests/test_sieve.py)."""

import os

import pytest

from iatlas import message, net
from iatlas.clients import Imap, Lmtp
from iatlas.node import ADMIN
from iatlas.sieve import Sieve

pytestmark = pytest.mark.peer

SCRIPTS = {
    "main": 'require "fileinto";\r\nfileinto "INBOX.never";\r\n',
    "work-2": 'require ["fileinto", "imap4flags", "variables"];\r\nset "box" "work";\r\nsetflag "\\\\Flagged";\r\n'
    'if header :contains "subject" "moved" { fileinto "INBOX.${box}"; }\r\n',
    "dots.in.it": "# nothing\r\nkeep;\r\n",
}
ACTIVE = "work-2"


def speak(address):
    c = Sieve(address)
    assert c.authenticate("fred").status == "OK"
    return c


def make_user(address):
    with Imap(address).login(ADMIN) as c:
        c.ok("CREATE user.fred")
    with Imap(address).login("fred") as c:
        c.ok("CREATE INBOX.work")


def check_delivery(c, address):
    """What the active script does."""
    assert [code for code, _ in c.deliver("s@example.org", ["fred"], message("moved"))] == [250]
    with Imap(address).login("fred") as imap:
        assert imap.select("INBOX") == 0 and imap.select("INBOX.work") == 1
        assert b"\\Flagged" in b"".join(imap.ok("UID FETCH 1:* FLAGS").untagged)


def test_scripts_move(make_mixed, make_server):
    conf = {"unixhierarchysep": "no", "altnamespace": "no"}
    murder = make_mixed(backends=("cyrus",), conf=conf)
    be = murder.be[0]
    be.stop()
    be.services["sieve"] = 'cmd="timsieved" listen="%s:%d" prefork=0' % (be.address, net.SIEVE)
    be.conf["sievedir"] = be.path("sieve")
    os.makedirs(be.path("sieve"))
    be.start()
    murder.add_user("fred", mailbox=False)
    make_user(be.address)
    with speak(be.address) as c:
        for name, text in SCRIPTS.items():
            assert c.put(name, text).status == "OK"
        c.ok('SETACTIVE "%s"' % ACTIVE)
        c.ok("LOGOUT")
    with murder.lmtp() as c:
        check_delivery(c, be.address)
    names = [name for _, _, names in os.walk(be.path("sieve")) for name in names]
    assert ACTIVE + ".bc" in names and not any(name.endswith(".script") for name in names)

    server = make_server(conf=conf)
    server.stop()
    server.services["sieve"] = 'cmd="timsieved" listen="%s:%d" prefork=0' % (server.address, net.SIEVE)
    server.conf["sievedir"] = server.path("sieve")
    server.start()
    server.add_user("fred")
    make_user(server.address)
    with speak(be.address) as old, speak(server.address) as new:
        listed = old.scripts()
        for name in listed:
            assert new.put(name, old.get(name)).status == "OK"
        new.ok('SETACTIVE "%s"' % next(name for name, active in listed.items() if active))
        assert new.scripts() == listed == {name: name == ACTIVE for name in SCRIPTS}
        assert all(new.get(name) == text for name, text in SCRIPTS.items())
        old.ok("LOGOUT")
    with Lmtp(server.address) as c:
        check_delivery(c, server.address)
