"""OBJECTID (RFC 8474), SAVEDATE (RFC 8514), PREVIEW (RFC 8970) and FETCH's PARTIAL (RFC 9394): directly and through a
frontend."""

import re
import time

import pytest
from iatlas.clients import message


@pytest.fixture
def c(served):
    return served.imap("fred")


def ids(c, uids="1:*"):
    r = c.ok("UID FETCH %s (EMAILID THREADID)" % uids)
    for u in r.untagged:
        assert re.search(rb"THREADID \(T[0-9a-f]{16}\)\)$", u)
    return {int(m.group(1)): m.group(2).decode() for m in r.find(rb"UID (\d+) EMAILID \(([A-Za-z0-9_-]{1,255})\)")}


def threads(c):
    """{uid: THREADID} of the selected mailbox."""
    return {int(m.group(1)): m.group(2).decode() for m in c.ok("UID FETCH 1:* THREADID").find(rb"UID (\d+) THREADID \((\S+)\)\)$")}


def test_threadid(served):
    """One name for what belongs together, in whichever mailbox, on whichever server."""

    def mail(own, **fields):
        head = "".join("%s: %s\r\n" % (k.replace("_", "-"), v) for k, v in fields.items())
        head += "Message-ID: <%s@example.org>\r\n" % own if own else ""
        return ("From: a@example.org\r\nSubject: s\r\n%s\r\ntext\r\n" % head).encode()

    c, b = served.imap("fred"), served.imap("bob")
    b.ok("SETACL INBOX fred lrswite")
    for data in (
        mail("root"),
        mail("first", In_Reply_To="<root@example.org>"),
        mail("second", References="<root@example.org> <first@example.org>", In_Reply_To="<first@example.org>"),
        mail("other"),
        mail("third", References="\r\n <root@example.org>\r\n\t<second@example.org>"),
        mail(""),
        mail("", X="y"),
        mail("odd", References="nothing", In_Reply_To="your message of Monday <other@example.org>"),
    ):
        c.append("INBOX", data)
    c.ok("SELECT INBOX")
    t = threads(c)
    assert t[1] == t[2] == t[3] == t[5]
    assert t[4] == t[8]
    assert len({t[1], t[4], t[6], t[7]}) == 4
    assert c.uids("THREADID " + t[1]) == [1, 2, 3, 5]
    assert c.uids("NOT THREADID %s NOT THREADID %s" % (t[1], t[4])) == [6, 7]
    # as they are elsewhere
    c.ok("CREATE There")
    c.ok("COPY 6 There")
    c.ok('UID COPY 3,6 "Other Users/bob"')
    b.append("INBOX", mail("fourth", References="<root@example.org> <lost@example.org>"))
    c.ok("SELECT There")
    assert threads(c) == {1: t[6]}
    c.ok('SELECT "Other Users/bob"')
    assert threads(c) == {1: t[1], 2: t[6], 3: t[1]}


def test_objectid(served):
    c = served.imap("fred")
    code = re.match(r"\[MAILBOXID \(([A-Za-z0-9_-]+)\)\]", c.ok("CREATE Thing").text).group(1)
    assert c.ok("STATUS Thing (MAILBOXID)").untagged == [b"* STATUS Thing (MAILBOXID (%s))" % code.encode()]
    assert c.ok("STATUS Thing (MESSAGES mailboxid)").one(rb"MAILBOXID \((.*?)\)").group(1).decode() == code
    c.ok("RENAME Thing Other")
    r = c.ok("SELECT Other")
    assert r.one(rb"^\* OK \[MAILBOXID \((\S+)\)\]").group(1).decode() == code
    assert code not in c.ok("CREATE Thing").text
    same, other = message("same"), message("other")
    for m in (same, other, same):
        c.append("Other", m)
    c.ok("SELECT Other")
    found = ids(c)
    assert found[1] == found[3] != found[2]
    c.ok("COPY 2 Thing")
    assert c.ok("SEARCH EMAILID %s" % found[1]).untagged == [b"* SEARCH 1 3"]
    assert c.ok("UID SEARCH NOT EMAILID %s" % found[1]).untagged == [b"* SEARCH 2"]
    assert c.ok("SEARCH EMAILID Mnone").untagged == [b"* SEARCH"]
    assert c.ok("SEARCH EMAILID %s" % found[1].lower()).untagged == [b"* SEARCH"]
    assert c.ok("SEARCH THREADID T1").untagged == [b"* SEARCH"]
    assert c.ok("SEARCH THREADID T0000000000000000").untagged == [b"* SEARCH"]
    assert c.ok("SEARCH OR EMAILID %s THREADID %s" % ("M" * 255, "T" * 255)).untagged == [b"* SEARCH"]
    c.bad("SEARCH EMAILID %s" % ("M" * 256))
    c.bad("SEARCH THREADID %s" % ("T" * 256))
    for command in ("SEARCH EMAILID", "SEARCH EMAILID a.b", "SEARCH THREADID (x)", "FETCH 1 (EMAILIDS)", "STATUS Thing (MAILBOXIDS)"):
        c.bad(command)
    c.ok("SELECT Thing")
    assert ids(c) == {1: found[2]}


def test_savedate(c):
    c.ok(['APPEND INBOX () " 3-Feb-2001 04:05:06 -0730" ', message("old")])
    c.ok("SELECT INBOX")
    r = c.ok("FETCH 1 (SAVEDATE INTERNALDATE)")
    saved = r.one(rb'^\* 1 FETCH \(SAVEDATE "([ \d]\d-\w{3}-\d{4} [\d:]{8} \+0000)" INTERNALDATE " 3-Feb-2001 04:05:06 -0730"\)$')
    then = time.strptime(saved.group(1).decode().strip(), "%d-%b-%Y %H:%M:%S +0000")
    day = time.strftime("%d-%b-%Y", then)
    assert c.ok("SEARCH SAVEDON %s" % day).untagged == [b"* SEARCH 1"]
    assert c.ok("SEARCH SAVEDSINCE 4-Feb-2001").untagged == [b"* SEARCH 1"]
    assert c.ok("SEARCH SAVEDBEFORE 4-Feb-2001").untagged == [b"* SEARCH"]
    assert c.ok("SEARCH SAVEDBEFORE 1-Jan-2100 BEFORE 4-Feb-2001 SAVEDATESUPPORTED").untagged == [b"* SEARCH 1"]
    assert c.ok("SEARCH NOT SAVEDATESUPPORTED").untagged == [b"* SEARCH"]
    for command in ("SEARCH SAVEDON", "SEARCH SAVEDON x", "FETCH 1 (SAVEDATE x)"):
        c.bad(command)


def mime(*lines):
    return "\r\n".join(("From: a@example.org", "MIME-Version: 1.0") + lines).encode("latin-1")


PREVIEWS = [
    (mime("", "Hello", " \t there,  ", "", "world.", ""), "Hello there, world."),
    (mime("", "> quoted", "an answer", ">> more", "end"), "an answer end"),
    (mime("Content-Type: text/plain; charset=iso-8859-1", "", "Gr\xfc\xdfe"), "Grüße"),
    (
        mime("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "", "R3LDvMOfZSDigqw="),
        "Grüße €",
    ),
    (mime("Content-Type: text/html", "", "<html><head><title>no</title></head><style>p {}</style><p>One<b>two</b>&amp;&#8364;<br>three<!-- x > y -->"), "Onetwo&€ three"),
    (
        mime(
            'Content-Type: multipart/alternative; boundary="x"', "", "--x", "Content-Type: text/html", "", "<p>rich",
            "--x", "Content-Type: text/plain", "", "plain", "--x--", "",
        ),
        "plain",
    ),
    (
        mime(
            'Content-Type: multipart/mixed; boundary="x"', "", "--x", "Content-Type: text/plain",
            "Content-Disposition: attachment", "", "no", "--x", "Content-Type: message/rfc822", "", "Subject: in", "", "not mine",
            "--x", "Content-Type: text/plain", "", "mine", "--x--", "",
        ),
        "mine",
    ),
    (mime("Content-Type: image/png", "Content-Transfer-Encoding: base64", "", "AAAA"), ""),
    (mime("", ""), ""),
    (mime("", "word " * 100), ("word " * 40).strip()),
    (mime("Content-Type: text/plain; charset=utf-8", "", "\xe2\x82\xac" * 300), "€" * 200),
    (mime("Content-Type: text/plain; charset=x-nobody-knows", "", "as it is"), "as it is"),
]


def preview(c, n, item="PREVIEW"):
    u = c.ok("FETCH %d (%s)" % (n, item)).untagged[0]
    m = re.match(rb'(?s)\* \d+ FETCH \(PREVIEW (?:"(.*)"|\{\d+\}\r\n(.*)|(NIL))\)$', u)
    assert m is not None, u
    if m.group(3):
        return None
    return (m.group(1) if m.group(1) is not None else m.group(2)).decode().replace('\\"', '"')


def test_preview(c):
    for text, _ in PREVIEWS:
        c.append("INBOX", text)
    c.ok("SELECT INBOX")
    for n, (_, wanted) in enumerate(PREVIEWS, 1):
        assert preview(c, n) == wanted, n
        assert preview(c, n, "PREVIEW (LAZY)") == wanted, n
    # a preview has not seen the message
    c.ok("FETCH 1 FLAGS").one(rb"FLAGS \(\\Recent\)")
    c.ok("FETCH 1 PREVIEW").one(rb'PREVIEW "Hello there, world."')
    c.ok("FETCH 1 PREVIEW (LAZY)").one(rb'PREVIEW "Hello')
    c.ok("FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 1)").one(rb'PREVIEW "Hello')
    c.ok("FETCH 1 PREVIEW (CHANGEDSINCE 1)").one(rb'PREVIEW "Hello')
    c.ok("FETCH 1 (PREVIEW (LAZY) UID)").one(rb'PREVIEW "Hello.*" UID 1')
    for what in ("PREVIEW (LAZIER)", "(PREVIEW (LAZY FUZZY))", "(PREVIEW ())", "(PREVIEW(LAZY))", "(PREVIEW (FUZZY=UTF8))"):
        c.bad("FETCH 1 " + what)


def test_preview_parts(make_imapd):
    """A message of thousands of attachments is not read through: the text behind them is not found."""
    c = make_imapd().imap("fred")
    attached = "--x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nno\r\n"
    for n in (49, 50):
        parts = attached * n + "--x\r\n\r\nmine\r\n--x--\r\n"
        c.append("INBOX", mime('Content-Type: multipart/mixed; boundary="x"', "", parts))
    c.ok("SELECT INBOX")
    assert [preview(c, n) for n in (1, 2)] == ["mine", ""]


def test_preview_lazy(make_imapd):
    """More than a screen of them at once is not waited for."""
    c = make_imapd().imap("fred")
    c.append("INBOX", message("x", body="text\r\n"))
    c.ok("SELECT INBOX")
    for _ in range(7):
        c.ok("COPY 1:* INBOX")
    c.ok("NOOP")
    r = c.ok("FETCH 1:* (PREVIEW (LAZY))")
    assert len(r.untagged) == 128 and len(r.find(rb"PREVIEW NIL\)$")) == 28
    assert not c.ok("FETCH 1:* (PREVIEW)").find(rb"NIL")


# ---- PARTIAL ----


def uids(r):
    return [int(m.group(1)) for m in r.find(rb"FETCH \(.*UID (\d+)")]


def test_partial(served):
    c = served.imap("fred")
    for i in range(9):
        c.append("INBOX", message("m%d" % i))
    c.ok("SELECT INBOX")
    c.ok("STORE 2,5 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")  # leaves the UIDs 1,3,4,6:9
    for given, part, wanted in (
        ("1:*", "1:2", [1, 3]),
        ("1:*", "2:1", [1, 3]),
        ("1:*", "-1:-3", [7, 8, 9]),
        ("1:*", "-3:-1", [7, 8, 9]),
        ("1:*", "-3:-3", [7]),
        ("1:*", "6:4294967295", [8, 9]),
        ("1:*", "8:9", []),
        ("1:*", "-7:-4294967295", [1]),
        ("1:*", "-8:-9", []),
        ("2:7", "2:3", [4, 6]),  # of the messages that the set has, not of UIDs or of the mailbox
        ("2:7", "-1:-2", [6, 7]),
        ("9,7,1:3,6", "2:4", [3, 6, 7]),  # in the mailbox's order whatever the set's is
        ("9,7,1:3,6", "-2:-4", [3, 6, 7]),
        ("9,9,9,8", "1:2", [8, 9]),  # each once
        ("2,5", "1:1", []),
        ("100:200", "1:1", []),
        ("100:*", "1:1", [9]),
    ):
        assert uids(c.ok("UID FETCH %s (UID) (PARTIAL %s)" % (given, part))) == wanted, (given, part)
    c.ok("UID SEARCH RETURN (SAVE) UID 3:8")
    assert uids(c.ok("UID FETCH $ (UID) (PARTIAL -1:-2)")) == [7, 8]
    # \Seen is set on what is told, on nothing else
    assert uids(c.ok("UID FETCH 1:* (BODY[TEXT] UID) (PARTIAL 3:4)")) == [4, 6]
    assert c.ok("UID SEARCH SEEN").untagged == [b"* SEARCH 4 6"]
    for bad in ("1", "1:*", "0:1", "1:-2", "-1:2", "1:2,4", "1:2 PARTIAL 1:2", "(1:2)"):
        c.bad("UID FETCH 1:* (UID) (PARTIAL %s)" % bad)
    c.bad("FETCH 1:* (UID) (PARTIAL 1:2)")
    c.bad("UID FETCH 1:* (UID) PARTIAL 1:2")


def test_partial_changed(served):
    """RFC 9394 3.4: the range is taken first, what of it has changed is told; RFC 7162 3.2.6: VANISHED comes before."""
    c = served.imap("fred")
    for i in range(6):
        c.append("INBOX", message("m%d" % i))
    c.ok("ENABLE QRESYNC")
    since = int(c.ok("SELECT INBOX").one(rb"HIGHESTMODSEQ (\d+)").group(1))
    c.ok("STORE 1,4,6 +FLAGS.SILENT (\\Flagged)")
    for modifiers, wanted in (
        ("PARTIAL -1:-3 CHANGEDSINCE %d", [4, 6]),
        ("CHANGEDSINCE %d PARTIAL -1:-3", [4, 6]),
        ("CHANGEDSINCE %d PARTIAL 1:3", [1]),
        ("CHANGEDSINCE %d PARTIAL 2:3", []),
    ):
        r = c.ok("UID FETCH 1:* (UID) (%s)" % (modifiers % since))
        assert uids(r) == wanted, modifiers
        assert len(r.find(rb"MODSEQ \(\d+\)")) == len(wanted), modifiers
    c.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")
    r = c.ok("UID FETCH 1:* (UID) (PARTIAL -1:-2 CHANGEDSINCE %d VANISHED)" % since)
    assert r.untagged[0] == b"* VANISHED (EARLIER) 2,4" and uids(r) == [6]


def test_partial_suppressed(make_imapd):
    c = make_imapd({"suppress_capabilities": "PARTIAL"}).imap("fred")
    assert b"PARTIAL" not in c.ok("CAPABILITY").untagged[0].split()
    c.ok("SELECT INBOX")
    c.bad("UID FETCH 1:* (UID) (PARTIAL 1:2)")
