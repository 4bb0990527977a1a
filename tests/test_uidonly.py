"""UIDONLY (RFC 9586): to an imapd and through a frontend."""

import re

import pytest
from test_condstore import highest, uidvalidity, vanished
from test_imap_append import place  # noqa: F401

from iatlas import message

REQUIRED = "[UIDREQUIRED] "


@pytest.fixture
def c(place):  # noqa: F811
    with place.client() as c:
        c.ok(["APPEND INBOX ", *[x for i in range(5) for x in (message(subject="m%d" % i), " ")][:-1]])
        assert "UIDONLY" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
        assert c.ok("ENABLE UIDONLY").untagged == [b"* ENABLED UIDONLY"]
        yield c


def has_no_number(r, exists=True):
    """Nothing that the client hears is a sequence number."""
    for u in r.untagged:
        assert not re.match(rb"\* \d+ (FETCH|EXPUNGE)", u) and b"[UNSEEN" not in u, u
        assert exists or b"EXISTS" not in u


def another(place, c):
    """The same user again, who knows nothing of UIDONLY."""
    return place.server.imap("u%d" % place.users)


def test_select(c):
    r = c.ok("SELECT INBOX")
    has_no_number(r)
    r.one(rb"^\* 5 EXISTS$")
    r.one(rb"\[UIDNEXT 6\]")
    has_no_number(c.ok("EXAMINE INBOX"))


def test_required(c):
    c.select("INBOX")
    for command in (
        "FETCH 1 FLAGS",
        "FETCH $ FLAGS",
        "STORE 1 +FLAGS (x)",
        "COPY 1 INBOX",
        "MOVE 1 INBOX",
        "SEARCH ALL",
        "SEARCH RETURN () UID 1",
        "SORT (DATE) UTF-8 ALL",
        "THREAD REFS UTF-8 ALL",
        "UID SEARCH 1",
        "UID SEARCH *",
        "UID SEARCH OR UID 1 (SEEN 2:3)",
        "UID SORT (DATE) UTF-8 NOT 1",
        "UID THREAD REFS UTF-8 1:*",
        "ESEARCH IN (mailboxes INBOX) 1:2",
    ):
        assert c.bad(command).text.startswith(REQUIRED), command
    assert c.bad(["REPLACE 1 INBOX ", message()]).text.startswith(REQUIRED)
    # refused before the literal is asked for
    c.send("x REPLACE 1 INBOX {5}\r\n")
    assert c.read_line().startswith(b"x BAD [UIDREQUIRED]")
    # what is wrong all the same
    assert not c.bad("FETCHES 1 FLAGS").text.startswith("[")
    assert not c.bad("UID SEARCH NONSENSE").text.startswith("[")
    c.ok("UNSELECT")
    assert not c.bad("FETCH 1 FLAGS").text.startswith("[")


def test_fetch(c):
    c.select("INBOX")
    r = c.ok("UID FETCH 2:3 FLAGS")
    assert r.untagged == [b"* 2 UIDFETCH (FLAGS (\\Recent))", b"* 3 UIDFETCH (FLAGS (\\Recent))"]
    # UID only where it is asked for
    assert c.ok("UID FETCH 2 (UID FLAGS)").untagged == [b"* 2 UIDFETCH (UID 2 FLAGS (\\Recent))"]
    r = c.ok("UID FETCH * (BODY[HEADER.FIELDS (SUBJECT)])")
    assert r.one(rb"^\* 5 UIDFETCH \(BODY\[HEADER.FIELDS \(SUBJECT\)\] \{15\}\r\nSubject: m4\r\n\r\n FLAGS \(\\Recent \\Seen\)\)$")
    assert c.ok("UID FETCH 7 FLAGS").untagged == []
    assert c.ok("UID FETCH 1:* FLAGS (PARTIAL -1:-2)").untagged == [
        b"* 4 UIDFETCH (FLAGS (\\Recent))",
        b"* 5 UIDFETCH (FLAGS (\\Recent \\Seen))",
    ]


def test_store(c):
    c.select("INBOX")
    r = c.ok("UID STORE 3 +FLAGS (\\Flagged)")
    assert r.untagged == [b"* 3 UIDFETCH (FLAGS (\\Recent \\Flagged))"]
    assert c.ok("UID STORE 3 -FLAGS.SILENT (\\Flagged)").untagged == []
    # CONDSTORE
    c.ok("ENABLE CONDSTORE")
    r = c.ok("UID STORE 4 +FLAGS.SILENT (\\Answered)")
    modseq = int(r.one(rb"^\* 4 UIDFETCH \(MODSEQ \((\d+)\)\)$").group(1))
    r = c.ok("UID STORE 3:4 (UNCHANGEDSINCE %d) +FLAGS (\\Draft)" % (modseq - 1))
    assert r.text.startswith("[MODIFIED 4]")
    has_no_number(r)
    assert len(c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % modseq).find(rb"^\* 3 UIDFETCH \(FLAGS \(.*\) MODSEQ")) == 1


def test_expunge(c):
    c.select("INBOX")
    c.ok("UID STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    r = c.ok("UID EXPUNGE 4")
    assert vanished(r) == [4]
    has_no_number(r)
    r = c.ok("EXPUNGE")  # takes no number
    assert vanished(r) == [2]
    has_no_number(r)
    assert c.uids() == [1, 3, 5]
    c.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert c.ok("CLOSE").untagged == []


def test_move_copy_replace(c):
    c.ok("CREATE Other")
    c.select("INBOX")
    r = c.ok("UID COPY 2 Other")
    assert re.match(r"\[COPYUID \d+ 2 1\]", r.text)
    r = c.ok("UID MOVE 2:3 Other")
    assert vanished(r) == [2, 3]
    has_no_number(r)
    r = c.ok(["UID REPLACE 4 INBOX ", message()])
    assert vanished(r) == [4]
    r.one(rb"^\* 3 EXISTS$")
    has_no_number(r)
    r = c.ok(["UID REPLACE * Other ", message()])
    assert vanished(r) == [6]
    assert c.uids() == [1, 5]


def test_search(c):
    c.select("INBOX")
    assert c.uids("UID 2:9 NOT UID 3") == [2, 4, 5]
    c.ok("UID SEARCH RETURN (ALL COUNT) UID 2:3").one(rb"\) UID COUNT 2 ALL 2:3$")
    c.ok("UID SEARCH RETURN (PARTIAL 1:2) ALL").one(rb"\) UID PARTIAL \(1:2 1:2\)$")
    c.ok("UID SEARCH RETURN (SAVE) UID 4:5")
    assert c.uids("$") == [4, 5]
    assert len(c.ok("UID FETCH $ FLAGS").find(rb"^\* [45] UIDFETCH")) == 2
    c.ok("UID SORT (REVERSE SUBJECT) UTF-8 UID 1:3").one(rb"^\* SORT 3 2 1$")
    c.ok("UID THREAD ORDEREDSUBJECT UTF-8 $").one(rb"^\* THREAD \(4\)\(5\)$")


def test_news(place, c):  # noqa: F811
    """What others do: in UID commands, NOOP and IDLE."""
    c.select("INBOX")
    with another(place, c) as a:
        a.select("INBOX")
        a.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        a.ok("EXPUNGE")
        a.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
        r = c.ok("UID FETCH 5 (UID)")
        r = r if vanished(r) else c.ok("NOOP")
        assert vanished(r) == [1, 2]
        r.one(rb"^\* 3 UIDFETCH \(FLAGS \(\\Recent \\Flagged\)\)$")
        has_no_number(r, exists=False)
        c.send("i IDLE\r\n")
        assert c.read_line().startswith(b"+")
        a.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        a.ok("EXPUNGE")
        a.append("INBOX", message())
        seen = []
        while not any(b"EXISTS" in s for s in seen):
            seen.append(c.read_line())
        assert b"* VANISHED 4" in seen and not [s for s in seen if re.search(rb" (EXPUNGE|FETCH)", s)]
        c.send("DONE\r\n")
        c.finish("i")


def test_qresync(c):
    r = c.ok("SELECT INBOX")
    validity, known = uidvalidity(r), highest(r)
    c.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert vanished(c.ok("EXPUNGE")) == [2]
    c.ok("UID STORE 3 +FLAGS.SILENT (\\Answered)")
    c.ok("UNSELECT")
    c.ok("ENABLE QRESYNC")
    assert c.bad("SELECT INBOX (QRESYNC (%d %d 1:5 (1 1)))" % (validity, known)).text.startswith(REQUIRED)
    r = c.ok("SELECT INBOX (QRESYNC (%d %d 1:5))" % (validity, known))
    assert vanished(r, True) == [2]
    r.one(rb"^\* 3 UIDFETCH \(FLAGS \(\\Answered\) MODSEQ \(\d+\)\)$")
    has_no_number(r)
    r = c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % known)
    assert vanished(r, True) == [2] and r.find(rb"^\* 3 UIDFETCH")


def test_to_another_server(place, c):  # noqa: F811
    """It goes with the client from server to server, and messages that go from one to the other are read so."""
    with place.client() as b:
        other = "u%d" % place.users
        b.ok("SETACL INBOX u%d lrswite" % (place.users - 1))
        c.select("INBOX")
        assert c.ok("UID FETCH 1 FLAGS").untagged[0].startswith(b"* 1 UIDFETCH")
        r = c.ok('UID MOVE 2:3 "Other Users/%s"' % other)
        assert vanished(r) == [2, 3]
        has_no_number(r)
        r = c.ok(["UID REPLACE 4 ", "Other Users/%s" % other, " ", message()])
        assert vanished(r) == [4]
        r = c.ok('SELECT "Other Users/%s"' % other)
        has_no_number(r)
        r.one(rb"^\* 3 EXISTS$")
        assert c.ok("UID FETCH 1 FLAGS").untagged == [b"* 1 UIDFETCH (FLAGS (\\Recent))"]
        assert c.bad("UID SEARCH 1").text.startswith(REQUIRED)


def test_suppressed(make_imapd):
    imapd = make_imapd({"suppress_capabilities": "UIDONLY"})
    with imapd.imap("fred") as c:
        assert c.ok("ENABLE UIDONLY").untagged == [b"* ENABLED"]
        c.append("INBOX", message())
        c.select("INBOX")
        assert c.ok("FETCH 1 UID").untagged == [b"* 1 FETCH (UID 1)"]


def test_notify(place, c):  # noqa: F811
    """NOTIFY (RFC 5465): what it tells of the selected mailbox is told by UIDs too."""
    if place.over != "direct" and "NOTIFY" not in c.ok("CAPABILITY").untagged[0].decode():
        pytest.skip("no NOTIFY through a frontend yet")
    c.select("INBOX")
    r = c.ok("NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge FlagChange))")
    has_no_number(r)
    with another(place, c) as a:
        a.select("INBOX")
        a.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        a.ok("EXPUNGE")
        a.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
        a.append("INBOX", message())
        seen = []
        while not (any(b"UIDFETCH (UID 6" in s for s in seen) and any(b"VANISHED" in s for s in seen)):
            seen.append(c.read_line())
            assert not re.search(rb" (EXPUNGE|FETCH)", seen[-1]), seen
        assert b"* VANISHED 2" in seen
