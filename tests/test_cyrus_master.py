"""The MUPDATE master's side: a Cyrus master of our nodes, and ours of Cyrus's, when things go wrong.

A Cyrus 3.6 master dies of DELETE or DEACTIVATE of a name that it does not have, and the harness fails a test in which it did."""

import shutil
import threading

import pytest

from iatlas import Imap, message
from iatlas.mupdate import Mupdate
from test_mupdate import eventually

pytestmark = pytest.mark.peer


def admin(node):
    return Mupdate(node.address).login()


def test_it_never_hears_of_what_it_does_not_have(make_mixed):
    """Names vanish at the master behind our backend's back."""
    murder = make_mixed(master="cyrus", backends=("ours",), conf={"delete_mode": "immediate"})
    murder.add_user("fred")
    be = murder.be[0]
    with Imap(be.address).login("fred") as c, admin(murder.m) as m:
        for name in "abcd":
            c.ok("CREATE " + name)
            m.ok('DELETE "user.fred.%s"' % name)
        c.ok("DELETE a")
        c.ok("RENAME b e")
        c.ok("SETACL c bob lrs")
        assert m.find("user.fred.a") is None and m.find("user.fred.b") is None
        assert m.find("user.fred.e")[:2] == ("MAILBOX", "be1.lab!default")
        assert "bob\tlrs" in m.find("user.fred.c")[2]
        m.ok('ACTIVATE "user.ghost" "be1.lab!default" ""')
        be.command("ctl_mboxlist", "-m")
        assert m.find("user.fred.d") and m.find("user.ghost") is None
        be.command("ctl_mboxlist", "-m")
    assert murder.m.deaths() == []


def test_a_backend_is_killed_again_and_again(make_mixed):
    """What it finishes or undoes afterwards says nothing to the master that kills it."""
    murder = make_mixed(master="cyrus", backends=("ours",))
    murder.add_user("fred")
    be = murder.be[0]
    for turn in range(4):
        with Imap(be.address).login("fred") as c:
            killer = threading.Timer(0.02 * turn, be.kill)
            try:
                for i in range(1000):
                    c.ok("CREATE m%d" % i)
                    c.ok("RENAME m%d n%d" % (i, i))
                    if i == 2:
                        killer.start()
                    c.ok("DELETE n%d" % i)
            except (EOFError, OSError, AssertionError):
                pass
            killer.join()
        be.start()
        with Imap(be.address).login("fred") as c:
            for name in c.list("", "*"):
                if name != "INBOX":
                    c.ok("DELETE " + name)
    be.command("ctl_mboxlist", "-m")
    with admin(murder.m) as m:
        listed = [line[2] for line in m.ok("LIST") if not line[2].startswith("DELETED.")]
    assert listed == ["user.fred"]
    assert murder.m.deaths() == []


def changes_are_refused_and_mail_goes_on(murder):
    """While the master is away, and the end of that."""
    with murder.imap("fred") as c:
        c.append("INBOX", message("before"))
        murder.m.kill()
        c.no("CREATE New")
        assert c.list("", "*") == ["INBOX"]
        assert c.select("INBOX") == 1
        with murder.lmtp() as lmtp:
            assert [code for code, _ in lmtp.deliver("a@example.org", ["fred"], message("meanwhile"))] == [250]
        murder.m.start()
        eventually(lambda: c.command("CREATE New").status == "OK")
        eventually(lambda: c.list("", "*") == ["INBOX", "New"])
        assert c.select("INBOX") == 2
    with admin(murder.m) as m:
        assert m.find("user.fred.New")[:2] == ("MAILBOX", "be1.lab!default")


def test_a_cyrus_master_is_away(make_mixed):
    murder = make_mixed(master="cyrus", backends=("ours",))
    murder.add_user("fred")
    changes_are_refused_and_mail_goes_on(murder)


def test_our_master_is_away_for_a_cyrus_backend(make_mixed):
    murder = make_mixed(backends=("cyrus",))
    murder.add_user("fred")
    changes_are_refused_and_mail_goes_on(murder)


def test_our_master_loses_its_list(make_mixed):
    """A Cyrus backend's ctl_mboxlist -m fills it again, and a Cyrus frontend hears of it."""
    murder = make_mixed(backends=("cyrus",), frontends=("ours", "cyrus"))
    murder.add_user("fred")
    murder.wait_listed("user/fred", frontend=1)
    murder.m.stop()
    shutil.rmtree(murder.m.path("config", "mupdate"))
    murder.m.start()
    with admin(murder.m) as m:
        assert m.find("user.fred") is None
        murder.be[0].command("ctl_mboxlist", "-m")
        assert m.find("user.fred")[1] == "be1.lab!default"
    for frontend in (0, 1):
        murder.wait_listed("user/fred", frontend=frontend)
        with murder.imap("fred", frontend) as c:
            eventually(lambda: c.command("SELECT INBOX").status == "OK")


def test_a_name_that_is_taken(make_mixed):
    """Our master refuses a Cyrus backend the name that another has."""
    murder = make_mixed(backends=("cyrus", "ours"))
    murder.add_user("fred", 0)
    murder.add_user("bob", 1)
    with Imap(murder.be[0].address).login("cyrus") as c, admin(murder.m) as m:
        c.no("CREATE user/bob")
        assert m.find("user.bob")[1] == "be2.lab!default"
        with Imap(murder.be[1].address).login("cyrus") as o:
            o.no("CREATE user/fred")
        assert m.find("user.fred")[1] == "be1.lab!default"
    with murder.imap("bob") as c:
        assert c.select("INBOX") == 0
