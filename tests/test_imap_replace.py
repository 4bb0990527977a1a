"""REPLACE and UID REPLACE (RFC 8508): within a mailbox, to another, to one on another server."""

import re

import pytest
from test_imap_append import lacking, place, small  # noqa: F401

from iatlas import message


@pytest.fixture
def c(place):  # noqa: F811
    with place.client() as c:
        for i in range(3):
            c.append("INBOX", message(subject="old%d" % i), "\\Flagged $k")
        c.select("INBOX")
        yield c


def order(r):
    """The kinds of the untagged answers, in order."""
    kinds = [re.match(rb"\* (?:OK \[)?(?:\d+ )?([A-Z]+)", u).group(1) for u in r.untagged]
    return [k for k in kinds if k in (b"APPENDUID", b"EXPUNGE", b"EXISTS", b"VANISHED")]


def test_replace(c):
    assert "REPLACE" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
    new = message(subject="new")
    r = c.ok(['REPLACE 2 INBOX (\\Draft) " 3-Feb-2001 04:05:06 -0730" ', new])
    assert r.one(rb"^\* OK \[APPENDUID \d+ (\d+)\]").group(1) == b"4"
    assert order(r)[0] == b"APPENDUID" and sorted(order(r)) in ([b"APPENDUID", b"EXISTS", b"EXPUNGE"],)
    r.one(rb"^\* 2 EXPUNGE$")
    assert "APPENDUID" not in r.text
    assert c.uids() == [1, 3, 4]
    # nothing is inherited, nothing said of \Deleted
    assert r.find(rb"Deleted") == []
    c.ok("UID FETCH 4 (FLAGS INTERNALDATE)").one(rb'\* 3 FETCH \(UID 4 FLAGS \(\\Recent \\Draft\) INTERNALDATE " 3-Feb-2001')
    assert c.body(4) == new
    r = c.ok(["UID REPLACE 1 INBOX ", new])
    r.one(rb"^\* 1 EXPUNGE$")
    assert c.uids() == [3, 4, 5]
    c.ok(["REPLACE * INBOX ", new])
    assert c.uids() == [3, 4, 6]


def test_other_messages_stay(c):
    """What is \\Deleted already is not what goes."""
    c.ok("STORE 1 +FLAGS (\\Deleted)")
    c.ok(["REPLACE 2 INBOX ", message()])
    assert c.uids() == [1, 3, 4]
    assert c.uids("DELETED") == [1]


def test_to_another_mailbox(c):
    c.ok("CREATE Sent")
    new = message(subject="sent")
    r = c.ok(["UID REPLACE 2 ", "Sent", " (\\Seen) ", new])
    r.one(rb"^\* OK \[APPENDUID \d+ 1\]")
    r.one(rb"^\* 2 EXPUNGE$")
    assert r.find(rb"EXISTS") == [] or order(r)[-1] == b"EXISTS"
    assert c.uids() == [1, 3]
    assert c.select("Sent") == 1
    assert c.body(1) == new


def test_synchronising(c):
    m = message()
    c.send("x REPLACE 1 {5}\r\n")
    assert c.read_line().startswith(b"+ ")
    c.send("INBOX (\\Seen) {%d}\r\n" % len(m))
    assert c.read_line().startswith(b"+ ")
    c.send(m + b"\r\n")
    assert c.finish("x").status == "OK"
    assert c.uids() == [2, 3, 4]
    c.send("y REPLACE 1 nope {%d}\r\n" % len(m))  # not asked for
    assert "[TRYCREATE]" in c.finish("y").text


@pytest.mark.parametrize(
    "wrong, status, code",
    [
        (["REPLACE 4 INBOX ", 0], "NO", ""),
        (["UID REPLACE 9 INBOX ", 0], "NO", "[NONEXISTENT]"),
        (["REPLACE 1 nope ", 0], "NO", "[TRYCREATE]"),
        (["REPLACE 1 INBOX ", b""], "NO", ""),
        (["REPLACE 1 INBOX ", b"a: b\r\n\r\n\0"], "NO", ""),
        (["REPLACE 1 INBOX ", 0, " ", 0], "BAD", ""),
        (["REPLACE 1:2 INBOX ", 0], "BAD", ""),
        (["REPLACE 0 INBOX ", 0], "BAD", ""),
        (["REPLACE INBOX ", 0], "BAD", ""),
        (["REPLACE 1 ", 0], "BAD", ""),
        (["REPLACE 1 INBOX (\\Frob) ", 0], "BAD", ""),
        (["REPLACE 1 INBOX"], "BAD", ""),
        (["REPLACE"], "BAD", ""),
    ],
)
def test_refused(c, wrong, status, code):
    """Nothing is there and nothing is gone, the selection goes on."""
    r = c.command([message() if x == 0 else x for x in wrong])
    assert r.status == status and r.text.startswith(code), r
    assert order(r) == []
    assert c.uids() == [1, 2, 3]
    c.ok("STATUS INBOX (UIDNEXT)").one(rb"UIDNEXT 4\)")


def test_states_and_rights(place):  # noqa: F811
    owner, other = place.user(), place.user()
    with place.server.imap(owner) as c, place.server.imap(other) as o:
        m = message()
        c.append("INBOX", m)
        c.bad(["REPLACE 1 INBOX ", m])  # nothing selected
        c.ok("EXAMINE INBOX")
        c.no(["REPLACE 1 INBOX ", m])
        c.ok("SETACL INBOX %s lrsi" % other)
        o.select('"Other Users/%s"' % owner)
        assert "[NOPERM]" in o.no(["REPLACE 1 INBOX ", m]).text
        assert o.select("INBOX") == 0
        assert c.select("INBOX") == 1


def test_quota(place):  # noqa: F811
    """Only the growth counts: one who is at his limit can replace a draft by one as long."""
    user = place.user()
    with place.server.imap() as admin, place.server.imap(user) as c:
        c.append("INBOX", message(body="x" * 1500))
        admin.ok("SETQUOTA user/%s (STORAGE 2)" % user)
        c.select("INBOX")
        assert "[OVERQUOTA]" in c.no(["APPEND INBOX ", message(body="y" * 1500)]).text
        c.ok(["REPLACE 1 INBOX ", message(body="y" * 1500)])
        assert "[OVERQUOTA]" in c.no(["REPLACE 1 INBOX ", message(body="z" * 4000)]).text
        assert c.uids() == [2]


def test_gone_meanwhile(place):  # noqa: F811
    """Another session expunges the old message while the new one comes: neither is there afterwards."""
    m, user = message(), place.user()
    with place.server.imap(user) as c, place.server.imap(user) as other:
        c.append("INBOX", m)
        c.select("INBOX")
        c.send("x REPLACE 1 INBOX {%d}\r\n" % len(m))
        assert c.read_line().startswith(b"+ ")
        other.select("INBOX")
        other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        other.ok("EXPUNGE")
        c.send(m + b"\r\n")
        r = c.finish("x")
        assert r.status == "NO" and r.text.startswith("[EXPUNGEISSUED]")
        assert c.select("INBOX") == 0


def test_across_servers(lacking):  # noqa: F811
    """The message is on the other server before the old one goes; if it is refused there, all is as it was."""
    with lacking.imap("anna") as anna, lacking.imap("ben") as ben, lacking.imap("cyrus") as admin:
        for i in range(3):
            anna.append("INBOX", message(subject="m%d" % i))
        anna.select("INBOX")
        new = message(subject="new", body="y" * 3000)
        r = anna.ok(['UID REPLACE 2 "Other Users/ben" (\\Flagged) ', new])
        assert order(r) == [b"APPENDUID", b"EXPUNGE"]
        assert anna.uids() == [1, 3]
        assert ben.select("INBOX") == 1 and ben.body(1) == new and ben.uids("FLAGGED") == [1]
        admin.ok("SETQUOTA user/ben (STORAGE 4)")
        assert "[OVERQUOTA]" in anna.no(['REPLACE 1 "Other Users/ben" ', new]).text
        assert anna.uids() == [1, 3]
        ben.ok("NOOP")
        assert ben.uids() == [1]


def test_backend_without(make_murder):
    """The frontend appends, then expunges."""
    murder = make_murder(backends=1)
    be = murder.be[0]
    be.stop()
    be.conf["suppress_capabilities"] = "REPLACE"
    be.start()
    murder.add_user("anna", 0)
    with murder.imap("anna") as c:
        for i in range(3):
            c.append("INBOX", message())
        c.select("INBOX")
        r = c.ok(["REPLACE 2 INBOX ", message()])
        assert order(r)[0] == b"APPENDUID" or order(r)[:2] == [b"EXISTS", b"APPENDUID"]
        r.one(rb"^\* 2 EXPUNGE$")
        assert c.uids() == [1, 3, 4]
    with murder.imap("anna") as c:
        assert b"REPLACE" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).split()
