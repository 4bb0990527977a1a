"""Messages: SELECT, APPEND, FETCH, STORE, SEARCH, COPY, MOVE, EXPUNGE and their UID forms."""

import re

import pytest
from iatlas.clients import message

MULTIPART = (
    b"From: Anna <anna@example.org>\r\nTo: ben@example.org\r\nCc: cara@example.org\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Tue, 3 Mar 2020 10:00:00 +0100\r\nMessage-ID: <m1@example.org>\r\nX-Spam: no\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n--b\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Stra=C3=9Fe und Haus\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"From: inner@example.org\r\nSubject: inner subject\r\n\r\ninner body\r\n--b\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\n"
)


@pytest.fixture
def c(served):
    return served.imap("fred")


def fetch(c, what, item):
    """The bytes of one literal or quoted item of one answer."""
    whole = c.ok("FETCH %s" % what).one(rb"^\* \d+ FETCH \((.*)\)$").group(1)
    at = whole.index(item.encode() + b" ") + len(item) + 1
    if (m := re.match(rb"\{(\d+)\}\r\n", whole[at:])) is not None:
        return whole[at + m.end() :][: int(m.group(1))]
    return whole[at:]


def test_select(c):
    r = c.ok("SELECT INBOX")
    assert r.text.startswith("[READ-WRITE]")
    r.one(rb"^\* FLAGS \(\\Answered \\Flagged \\Deleted \\Seen \\Draft\)$")
    r.one(rb"^\* OK \[PERMANENTFLAGS \(.*\\\*\)\]")
    r.one(rb"^\* 0 EXISTS$")
    r.one(rb"^\* 0 RECENT$")
    r.one(rb"\[UIDNEXT 1\]")
    assert r.find(rb"UNSEEN") == []
    c.append("INBOX", message(), "\\Seen")
    c.append("INBOX", message())
    c.append("INBOX", message(), "keyword")
    r = c.ok("SELECT INBOX")
    r.one(rb"^\* 3 EXISTS$")
    r.one(rb"\[UNSEEN 2\]")
    r.one(rb"\[UIDNEXT 4\]")
    r.one(rb"^\* FLAGS \(.* keyword\)$")
    # a failed SELECT leaves nothing selected
    c.no("SELECT nope")
    c.bad("FETCH 1 FLAGS")
    r = c.ok("EXAMINE inbox")
    assert r.text.startswith("[READ-ONLY]")
    r.one(rb"PERMANENTFLAGS \(\)")
    for command in ("STORE 1 FLAGS ()", "EXPUNGE", "UID EXPUNGE 1:*", "MOVE 1 INBOX"):
        c.no(command)
    c.ok("FETCH 2 BODY[]")
    assert c.uids("UNSEEN") == [2, 3]
    # CLOSE of an examined mailbox expunges nothing
    c.ok("CLOSE")
    assert c.select("INBOX") == 3


def test_append(c):
    m = message("one")
    r = c.append("INBOX", m, "\\Seen \\Flagged $x")
    uidvalidity, uid = re.match(r"\[APPENDUID (\d+) (\d+)\]", r.text).groups()
    assert uid == "1"
    c.ok("SELECT INBOX").one(rb"UIDVALIDITY %s\]" % uidvalidity.encode())
    c.ok("FETCH 1 (FLAGS RFC822.SIZE)").one(rb"FLAGS \(\\Recent \\Flagged \\Seen \$x\) RFC822\.SIZE %d\)" % len(m))
    r = c.ok(['APPEND INBOX () " 3-Feb-2001 04:05:06 -0730" ', m])
    r.one(rb"^\* 2 EXISTS$")
    c.ok("FETCH 2 INTERNALDATE").one(rb'INTERNALDATE " 3-Feb-2001 04:05:06 -0730"')
    assert c.body(2) == m
    assert "TRYCREATE" in c.no(["APPEND nope ", m]).text
    c.bad(['APPEND INBOX "3-Feb-2001" ', m])
    c.bad(["APPEND INBOX (\\Recent) ", m])
    c.bad(["APPEND INBOX (\\Seen ", m])
    c.no(["APPEND INBOX ", b""])
    c.no(["APPEND INBOX ", b"a: b\r\n\r\nnul \0 here\r\n"])
    c.no(["APPEND INBOX ", b"a: b\n\nbare newlines\n"])
    assert c.select("INBOX") == 2


def test_append_large(served):
    c = served.imap("fred")
    body = b"".join(b"%07d " % i + b"x" * 70 + b"\r\n" for i in range(250000))
    m = b"From: a@example.org\r\nSubject: big\r\n\r\n" + body
    c.append("INBOX", m)
    c.select("INBOX")
    assert c.body(1) == m
    assert fetch(c, "1 BODY.PEEK[TEXT]<1000000.100>", "BODY[TEXT]<1000000>") == body[1000000:1000100]


def test_maxmessagesize(make_imapd):
    c = make_imapd({"maxmessagesize": "1K"}).imap("fred")
    assert "TOOBIG" in c.no(["APPEND INBOX ", message(body="x" * 2000 + "\r\n")]).text
    c.append("INBOX", message())


def test_fetch_sections(c):
    c.append("INBOX", MULTIPART)
    c.select("INBOX")
    header, body = MULTIPART.split(b"\r\n\r\n", 1)
    header += b"\r\n\r\n"
    assert fetch(c, "1 BODY.PEEK[]", "BODY[]") == MULTIPART
    assert fetch(c, "1 BODY.PEEK[HEADER]", "BODY[HEADER]") == header
    assert fetch(c, "1 BODY.PEEK[TEXT]", "BODY[TEXT]") == body
    assert fetch(c, "1 BODY.PEEK[1]", "BODY[1]") == b"Stra=C3=9Fe und Haus"
    assert fetch(c, "1 BODY.PEEK[3]", "BODY[3]") == b"AAECAw=="
    assert fetch(c, "1 BODY.PEEK[2.HEADER]", "BODY[2.HEADER]").startswith(b"From: inner@")
    assert fetch(c, "1 BODY.PEEK[2.TEXT]", "BODY[2.TEXT]") == b"inner body"
    assert fetch(c, "1 BODY.PEEK[2.1]", "BODY[2.1]") == b"inner body"
    assert fetch(c, "1 BODY.PEEK[1.MIME]", "BODY[1.MIME]").startswith(b"Content-Type: text/plain")
    assert fetch(c, "1 BODY.PEEK[2.HEADER.FIELDS (SUBJECT)]", "BODY[2.HEADER.FIELDS (SUBJECT)]") == (
        b"Subject: inner subject\r\n\r\n"
    )
    for names in ("Subject", "subject x-spam", "X-Nope"):
        got = fetch(c, "1 BODY.PEEK[HEADER.FIELDS (%s)]" % names, "BODY[HEADER.FIELDS (%s)]" % names)
        lines = [x for x in header.split(b"\r\n") if x.split(b":")[0].lower() in names.lower().encode().split()]
        assert got == b"".join(x + b"\r\n" for x in lines) + b"\r\n"
    got = fetch(c, "1 BODY.PEEK[HEADER.FIELDS.NOT (Subject To)]", "BODY[HEADER.FIELDS.NOT (Subject To)]")
    assert b"Subject:" not in got and b"\r\nTo:" not in got and b"X-Spam: no" in got
    assert fetch(c, "1 BODY.PEEK[]<5.7>", "BODY[]<5>") == MULTIPART[5:12]
    assert fetch(c, "1 BODY.PEEK[]<99999.7>", "BODY[]<99999>") == b""
    assert fetch(c, "1 BODY.PEEK[HEADER.FIELDS (Subject)]<2.4>", "BODY[HEADER.FIELDS (Subject)]<2>") == b"bjec"
    assert fetch(c, "1 BODY.PEEK[7]", "BODY[7]") == b"NIL"
    assert fetch(c, "1 RFC822.HEADER", "RFC822.HEADER") == header
    assert c.uids("UNSEEN") == [1]
    # these set \Seen, and say so
    c.ok("FETCH 1 BODY[1]").one(rb"FLAGS \(\\Recent \\Seen\)")
    assert c.uids("SEEN") == [1]
    assert fetch(c, "1 RFC822", "RFC822") == MULTIPART
    assert fetch(c, "1 RFC822.TEXT", "RFC822.TEXT") == body
    for bad in ("BODY[", "BODY[FOO]", "BODY[0]", "BODY[1.]", "BODY[]<0.0>", "BODY[]<1>", "BODY[HEADER.FIELDS]",
                "BODY[HEADER.FIELDS ()]", "FOO", "()", "(FLAGS", "FLAGS UID", "BODY[MIME]", "ALL UID"):
        c.bad("FETCH 1 " + bad)


def test_fetch_structure(c):
    c.append("INBOX", MULTIPART)
    c.select("INBOX")
    r = c.ok("FETCH 1 (UID ENVELOPE BODYSTRUCTURE)").untagged[0]
    assert b'ENVELOPE ("Tue, 3 Mar 2020 10:00:00 +0100" "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=" (("Anna" NIL "anna" "example.org"))' in r
    assert b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT"' in r and b'"MIXED" ("BOUNDARY" "b")' in r
    for macro, items in (("FAST", 3), ("ALL", 4), ("FULL", 5)):
        r = c.ok("FETCH 1 " + macro).untagged[0]
        present = [n for n in (b"FLAGS ", b"INTERNALDATE ", b"RFC822.SIZE ", b"ENVELOPE ", b"BODY ") if n in r]
        assert len(present) == items
    c.ok("UID FETCH 1 FLAGS").one(rb"^\* 1 FETCH \(UID 1 FLAGS")
    assert c.ok("UID FETCH 2:3 FLAGS").untagged == []
    assert len(c.ok("UID FETCH 500:* FLAGS").untagged) == 1
    c.bad("FETCH 2 FLAGS")
    c.bad("FETCH 0 FLAGS")


def test_store(c):
    for _ in range(3):
        c.append("INBOX", message())
    c.select("INBOX")
    r = c.ok("STORE 1:2 FLAGS (\\Seen a)")
    assert r.untagged[-2:] == [b"* 1 FETCH (FLAGS (\\Recent \\Seen a))", b"* 2 FETCH (FLAGS (\\Recent \\Seen a))"]
    r.one(rb"^\* FLAGS \(.* a\)$")
    assert c.ok("STORE 1 +FLAGS \\Flagged A").untagged == [b"* 1 FETCH (FLAGS (\\Recent \\Flagged \\Seen a))"]
    assert c.ok("STORE 1 -FLAGS (\\Seen)").untagged == [b"* 1 FETCH (FLAGS (\\Recent \\Flagged a))"]
    assert c.ok("UID STORE 3 +FLAGS.SILENT (\\Draft)").untagged == []
    assert c.ok("UID STORE 3 +FLAGS (\\Answered)").untagged == [
        b"* 3 FETCH (UID 3 FLAGS (\\Recent \\Answered \\Draft))"
    ]
    assert c.ok("UID STORE 77 +FLAGS (\\Answered)").untagged == []
    c.ok("STORE 1 FLAGS ()")
    c.ok("FETCH 1 FLAGS").one(rb"FLAGS \(\\Recent\)")
    for bad in ("STORE 1 FOO (\\Seen)", "STORE 9 FLAGS ()", "STORE 1 FLAGS (\\Recent)", "STORE 1 FLAGS", "STORE 1 FLAGS (",
                "STORE x FLAGS ()", "STORE 1 FLAGS.LOUD ()"):
        c.bad(bad)
    # keywords end at some number: the 129th is refused and nothing is changed
    for i in range(8):
        c.ok("STORE 1 +FLAGS.SILENT (%s)" % " ".join("k%d" % k for k in range(i * 15, i * 15 + 15)))
    assert "LIMIT" in c.no("STORE 1 +FLAGS (%s)" % " ".join("l%d" % k for k in range(20))).text
    assert c.uids("KEYWORD l1") == []


def test_search(c):
    c.append("INBOX", MULTIPART, "\\Seen")
    c.ok(['APPEND INBOX (\\Flagged kw) "10-Jan-2015 12:00:00 +0000" ', message("second", "needle in text\r\n")])
    c.append("INBOX", message("third", "x" * 3000 + "\r\n"))
    c.select("INBOX")
    cases = {
        "ALL": [1, 2, 3], "1": [1], "2:*": [2, 3], "UID 2,3": [2, 3], "UID 9:*": [3],
        "SEEN": [1], "UNSEEN": [2, 3], "FLAGGED": [2], "UNFLAGGED": [1, 3], "KEYWORD kw": [2], "KEYWORD nope": [],
        "UNKEYWORD KW": [1, 3], "NEW": [2, 3], "RECENT": [1, 2, 3], "OLD": [], "ANSWERED": [], "DELETED": [],
        "UNDELETED UNDRAFT UNANSWERED": [1, 2, 3], "DRAFT": [],
        "FROM anna": [1], "TO ben@": [1], "CC cara": [1], "BCC x": [], "SUBJECT second": [2], 'SUBJECT ""': [1, 2, 3],
        "HEADER X-Spam no": [1], 'HEADER X-Spam ""': [1], "HEADER Message-ID m1@": [1],
        "BODY needle": [2], "BODY second": [], "TEXT second": [2], "TEXT NEEDLE": [2], "BODY Haus": [1],
        "LARGER 3000": [3], "SMALLER 3000": [1, 2], "LARGER 99999999": [],
        "BEFORE 1-Feb-2015": [2], "ON 10-Jan-2015": [2], 'SINCE "11-Jan-2015"': [1, 3],
        "SENTON 3-Mar-2020": [1], "SENTBEFORE 4-Mar-2020": [1], "SENTSINCE 4-Mar-2020": [2, 3],
        "OR SEEN FLAGGED": [1, 2], "NOT SEEN": [2, 3], "NOT NOT SEEN": [1], "(SEEN)": [1], "(OR 1 3) UNSEEN": [3],
        "OR (SEEN SUBJECT nope) (FLAGGED)": [2], "NOT (OR SEEN FLAGGED)": [3],
        "CHARSET UTF-8 ALL": [1, 2, 3], "CHARSET US-ASCII SEEN": [1],
    }  # fmt: skip
    for criteria, expected in cases.items():
        assert c.uids(criteria) == expected, criteria
        r = c.ok("SEARCH " + criteria).one(rb"^\* SEARCH(.*)$")
        assert [int(n) for n in r.group(1).split()] == expected, criteria
    # text beyond ASCII: in a decoded header and a decoded body
    for text in ("Grüße", "gRÜßE", "sTRAße"):
        key = "SUBJECT" if text[0] in "gG" else "BODY"
        r = c.ok(["UID SEARCH CHARSET UTF-8 %s " % key, text.encode()])
        assert r.one(rb"^\* SEARCH(.*)$").group(1) == b" 1", text
    for bad in ("", "FOO", "SEEN  SEEN", "(SEEN", "SEEN)", "OR SEEN", "NOT", "SUBJECT", "HEADER X", "BEFORE 2015",
                "LARGER x", "KEYWORD", "UID x", "CHARSET", "0", "(" * 100 + "ALL" + ")" * 100):
        c.bad("SEARCH " + bad)
    c.bad(["SEARCH SUBJECT ", b"\xff\xfe"])


def test_copy(c):
    for i in range(5):
        c.append("INBOX", message("m%d" % i), "\\Flagged k%d" % i if i % 2 else "")
    c.ok("CREATE there")
    c.append("there", message("already"))
    c.select("INBOX")
    uidvalidity = int(c.ok("STATUS there (UIDVALIDITY)").one(rb"UIDVALIDITY (\d+)").group(1))
    assert c.ok("COPY 1,3:4 there").text == "[COPYUID %d 1,3:4 2:4] Completed" % uidvalidity
    assert c.ok("UID COPY 5,77 there").text == "[COPYUID %d 5 5] Completed" % uidvalidity
    assert "COPYUID" not in c.ok("UID COPY 77 there").text
    assert "TRYCREATE" in c.no("COPY 1 nope").text
    c.bad("COPY 99 there")
    # into itself
    assert "COPYUID" in c.ok("COPY 1 INBOX").text
    original = {u: (c.body(u), c.ok("UID FETCH %d (INTERNALDATE)" % u).one(rb"INTERNALDATE (.*)\)").group(1)) for u in (1, 4)}
    assert c.select("there") == 5
    for source, copy in ((1, 2), (4, 4)):
        assert c.body(copy) == original[source][0]
        assert c.ok("UID FETCH %d (INTERNALDATE)" % copy).one(rb"INTERNALDATE (.*)\)").group(1) == original[source][1]
    c.ok("UID FETCH 4 FLAGS").one(rb"\\Flagged k3")


def test_move(c):
    for i in range(4):
        c.append("INBOX", message("m%d" % i))
    c.ok("CREATE there")
    c.select("INBOX")
    r = c.ok("MOVE 2:3 there")
    assert [u.split()[1:] for u in r.untagged if b"EXPUNGE" in u] in ([[b"3", b"EXPUNGE"], [b"2", b"EXPUNGE"]], [[b"2", b"EXPUNGE"]] * 2)
    assert re.match(rb"\* OK \[COPYUID \d+ 2:3 1:2\]", r.untagged[0])
    r = c.ok("UID MOVE 4 there")
    assert r.untagged[-1] == b"* 2 EXPUNGE"
    assert c.uids() == [1]
    assert "TRYCREATE" in c.no("MOVE 1 nope").text
    assert c.uids() == [1]
    assert c.select("there") == 3


def test_expunge(c):
    for _ in range(6):
        c.append("INBOX", message())
    c.select("INBOX")
    c.ok("STORE 1,3,5 +FLAGS.SILENT (\\Deleted)")
    r = c.ok("UID EXPUNGE 3:4")
    assert r.untagged == [b"* 3 EXPUNGE"]
    assert c.uids() == [1, 2, 4, 5, 6]
    numbers = [int(u.split()[1]) for u in c.ok("EXPUNGE").untagged]
    left = [1, 2, 4, 5, 6]
    for n in numbers:
        del left[n - 1]
    assert left == [2, 4, 6] == c.uids()
    assert c.ok("EXPUNGE").untagged == []
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert c.ok("CLOSE").untagged == []
    assert c.select("INBOX") == 2
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    c.ok("UNSELECT")
    assert c.select("INBOX") == 2
    # UIDs are never given again
    assert "APPENDUID" in c.append("INBOX", message()).text
    assert c.uids()[-1] == 7


def test_recent(served):
    """\\Recent is told to the first session that selects."""
    a, b = served.imap("fred"), served.imap("fred")
    a.append("INBOX", message())
    b.ok("EXAMINE INBOX").one(rb"^\* 1 RECENT")
    a.ok("SELECT INBOX").one(rb"^\* 1 RECENT")
    b.ok("SELECT INBOX").one(rb"^\* 0 RECENT")
    a.append("INBOX", message())
    b.ok("NOOP").one(rb"^\* 2 EXISTS")


def test_many_messages(c):
    """FETCH and SEARCH over several batches, and answers far larger than any buffer."""
    m = message("bulk", "x" * 1000 + "\r\n")
    n = 700
    c.send(b"".join(b"m%d APPEND INBOX {%d+}\r\n%s\r\n" % (i, len(m), m) for i in range(n)))
    for i in range(n):
        assert c.read_response().startswith(b"m%d OK" % i)
    assert c.select("INBOX") == n
    r = c.ok("FETCH 1:* (UID BODY.PEEK[])")
    assert len(r.untagged) == n and all(m in u for u in r.untagged)
    assert [int(u.split()[1]) for u in r.untagged] == list(range(1, n + 1))
    assert c.uids("SUBJECT bulk") == list(range(1, n + 1))
    r = c.ok("STORE 1:* +FLAGS (\\Seen)")
    assert len(r.untagged) == n
    c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    r = c.ok("EXPUNGE")
    assert len(r.untagged) == n
    assert c.uids() == []


def test_slow_reader(served):
    """A client that does not read its answer stops neither the server nor the others."""
    m = message("big", "x" * 990 + "\r\n" + ("y" * 998 + "\r\n") * 3000)
    slow, other = served.imap("fred"), served.imap("bob")
    slow.append("INBOX", m)
    slow.select("INBOX")
    tag = slow.start("FETCH 1 BODY[]")
    slow.start("FETCH 1 (BODY.PEEK[])")
    for _ in range(20):
        other.ok("NOOP")
    assert m in slow.finish(tag).untagged[0]
