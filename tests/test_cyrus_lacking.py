"""What our frontend says to a Cyrus backend: nothing that it has not announced, nothing that kills it."""

import re

import pytest

from iatlas import message
from iatlas.mupdate import Mupdate

pytestmark = pytest.mark.peer


def said(recorded):
    """What the telemetry of a Cyrus has of its peer's lines."""
    return "".join(re.findall(r"<\d+<([^>]*(?:>(?!\d+>)[^>]*)*)", recorded))


def lacking(make_mixed, words, **conf):
    """A murder whose Cyrus backend, with fred on it, announces less."""
    murder = make_mixed(backends=("cyrus", "ours"), conf={"imapidlepoll": "1s"})
    be = murder.be[0]
    be.stop()
    be.conf.update(conf, suppress_capabilities=words)
    be.start()
    murder.add_user("fred", 0)
    murder.add_user("bob", 1)
    be.telemetry("fred")
    return murder, be


def test_literals_wait(make_mixed):
    murder, be = lacking(make_mixed, "LITERAL+")
    text = message("one", body="x\r\n" * 3000)
    with murder.imap("fred") as c:
        c.append("INBOX", text)
        c.ok(["CREATE ", b"lit"])
        c.select("INBOX")
        assert c.body(1) == text
        c.ok("COPY 1 lit")
    with murder.imap("bob") as b:
        b.append("INBOX", text)
        b.select("INBOX")
    record = said(be.recorded("fred"))
    assert "APPEND INBOX" in record and "+}" not in record, record


def test_move_without_move(make_mixed):
    murder, be = lacking(make_mixed, "MOVE")
    texts = [message("m%d" % i) for i in range(4)]
    with murder.imap("fred") as c:
        c.ok("CREATE &AOk-t&AOk-")
        for t in texts:
            c.append("INBOX", t)
        c.select("INBOX")
        r = c.ok("MOVE 2,4 &AOk-t&AOk-")
        assert r.one(rb"^\* OK \[COPYUID \d+ 2,4 1:2\]")
        assert r.find(rb"^\* 4 EXPUNGE") or r.find(rb"^\* 2 EXPUNGE")
        assert c.uids() == [1, 3]
        c.ok(["UID MOVE 3 ", b"&AOk-t&AOk-"])
        assert c.uids() == [1]
        c.ok("UID MOVE 9 &AOk-t&AOk-")
        assert c.no("MOVE 1 Nowhere")
        assert c.uids() == [1]
        assert c.select("&AOk-t&AOk-") == 3
        assert [c.body(u) for u in (1, 2, 3)] == [texts[1], texts[3], texts[2]]
    assert "MOVE" not in said(be.recorded("fred"))


def test_nothing_is_removed_without_uidplus(make_mixed):
    murder, be = lacking(make_mixed, "MOVE UIDPLUS")
    with murder.imap("bob") as b:
        b.ok("CREATE Target")
        b.ok("SETACL Target fred lrswipkxte")
    with murder.imap("fred") as c:
        c.ok("CREATE Here")
        for i in range(2):
            c.append("INBOX", message("m%d" % i))
        c.select("INBOX")
        c.ok("STORE 2 +FLAGS (\\Deleted)")
        for name in ("Here", '"Other Users/bob/Target"'):
            assert "[CANNOT]" in c.no("MOVE 1 " + name).text
        assert c.uids() == [1, 2]
        assert c.select("Here") == 0
        assert c.select('"Other Users/bob/Target"') == 0
    assert "EXPUNGE" not in said(be.recorded("fred"))


def test_idle_without_idle(make_mixed):
    murder, be = lacking(make_mixed, "XMOVE", imapidlepoll="0")
    with murder.imap("fred") as c, murder.imap("fred") as d:
        c.select("INBOX")
        tag = c.start("IDLE")
        assert c.read_line().startswith(b"+")
        for n in (1, 2):
            d.append("INBOX", message("m%d" % n))
            while not (line := c.read_response()).endswith(b"EXISTS"):
                pass
            assert line == b"* %d EXISTS" % n
        c.send("DONE\r\n")
        assert c.finish(tag).status == "OK"
        tag = c.start("IDLE")
        assert c.read_line().startswith(b"+")
        c.send("DONE\r\n")
        assert c.finish(tag).status == "OK"
        assert c.uids() == [1, 2]
    record = said(be.recorded("fred"))
    assert "NOOP" in record and "IDLE" not in record and "DONE" not in record


def test_unselect_without_unselect(make_mixed):
    murder, be = lacking(make_mixed, "UNSELECT")
    with murder.imap("fred") as c:
        c.append("INBOX", message("kept"))
        c.select("INBOX")
        c.ok("STORE 1 +FLAGS (\\Deleted)")
        c.ok("UNSELECT")
        c.bad("FETCH 1 FLAGS")
        assert c.select("INBOX") == 1
        c.no("SELECT Nowhere")
        assert c.select("INBOX") == 1
    assert "UNSELECT" not in said(be.recorded("fred"))


def test_without_anything(make_mixed):
    """A Cyrus of long ago: the base protocol goes on."""
    murder, be = lacking(make_mixed, "LITERAL+ SASL-IR MOVE UNSELECT ENABLE NAMESPACE CHILDREN ID UIDPLUS", imapidlepoll="0")
    text = message("m", body="x\r\n" * 2000)
    with murder.imap("fred") as c:
        c.ok("CREATE Sent")
        c.append("Sent", text)
        assert c.select("Sent") == 1
        assert c.body(1) == text
        c.ok("COPY 1 INBOX")
        assert c.list("", "*") == ["INBOX", "Sent"]
        assert c.ok("STATUS INBOX (MESSAGES)").one(rb"MESSAGES 1")
    with murder.imap("bob") as b:
        b.append("INBOX", text)
        b.select("INBOX")
    with murder.imap("fred") as c:
        c.ok("SETACL Sent bob lrsi")
    with murder.imap("bob") as b:
        b.select("INBOX")
        b.ok('COPY 1 "Other Users/fred/Sent"')
    with murder.imap("fred") as c:
        assert c.select("Sent") == 2


def test_no_transfer_is_begun(make_mixed):
    """RENAME with a server would have Cyrus move the mailbox, and die of it."""
    murder = make_mixed(backends=("cyrus", "ours"))
    murder.add_user("fred", 0)
    with murder.imap("cyrus") as a, Mupdate(murder.m.address).login() as m:
        a.ok("CREATE shared be1.lab")
        a.ok("SETACL shared cyrus lrswipkxtecda")
        for place in ("be2.lab!default", "be2.lab", "be1.lab!default", '"be2.lab"'):
            for name in ("shared", "user/fred"):
                assert "[CANNOT]" in a.no("RENAME %s %s %s" % (name, name, place)).text
        a.ok("RENAME shared shared2")
        assert m.find("shared2")[:2] == ("MAILBOX", "be1.lab!")  # as Cyrus says it
        assert m.find("user.fred")[:2] == ("MAILBOX", "be1.lab!default")
    with murder.imap("fred") as c:
        c.select("INBOX")
