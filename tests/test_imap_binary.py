"""BINARY (RFC 3516): FETCH of decoded parts, APPEND of what has NUL bytes; to an imapd and through a frontend."""

import base64
import binascii
import os
import quopri
import re

import pytest
from test_imap_append import place  # noqa: F401

from iatlas import message

BLOB = bytes(range(256)) * 300
TEXT = "Stra\u00dfe=und Haus, zwei\r\n".encode() * 10


def part(body, encoding=None, ctype="application/octet-stream"):
    head = b"Content-Type: %s\r\n" % ctype.encode()
    if encoding:
        head += b"Content-Transfer-Encoding: %s\r\n" % encoding.encode()
    return head + b"\r\n" + body


def mixed(*parts):
    head = b'From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return head + b"".join(b"--b\r\n" + p + b"\r\n" for p in parts) + b"--b--\r\n"


INNER = b"Subject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(b"deep\0").replace(b"\n", b"\r\n")
MESSAGE = mixed(
    part(base64.encodebytes(BLOB).replace(b"\n", b"\r\n"), "BASE64"),
    part(quopri.encodestring(TEXT.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n"), "quoted-printable", "text/plain"),
    part(b"plain\r\ntext", None, "text/plain"),
    part(INNER, None, "message/rfc822"),
    part(b"=?", "x-frob"),
    part(b"", "base64"),
)


@pytest.fixture
def c(place):  # noqa: F811
    with place.client() as c:
        yield c


def fetch(c, item, answer=None, uid=1):
    """(was it a literal8, the bytes) of one BINARY item."""
    r = c.ok("UID FETCH %d (%s)" % (uid, item))
    whole = r.one(rb"^\* \d+ FETCH \((.*)\)$").group(1)
    name = (answer or item.replace(".PEEK", "")).encode()
    at = whole.index(name + b" ") + len(name) + 1
    m = re.match(rb"(~?)\{(\d+)\}\r\n", whole[at:])
    assert m, whole[at : at + 50]
    data = whole[at + m.end() :]
    assert len(data) >= int(m.group(2))
    return m.group(1) == b"~", data[: int(m.group(2))]


def test_fetch(c):
    c.append("INBOX", MESSAGE)
    c.select("INBOX")
    assert fetch(c, "BINARY.PEEK[1]") == (True, BLOB)
    assert fetch(c, "BINARY.PEEK[2]") == (False, TEXT)
    assert fetch(c, "BINARY.PEEK[3]") == (False, b"plain\r\ntext")
    assert fetch(c, "BINARY.PEEK[4]") == (False, INNER)
    assert fetch(c, "BINARY.PEEK[4.1]") == (True, b"deep\0")
    assert fetch(c, "BINARY.PEEK[6]") == (False, b"")
    assert fetch(c, "BINARY.PEEK[]") == (False, MESSAGE)
    assert c.uids("UNSEEN") == [1]
    c.ok("FETCH 1 (BINARY.PEEK[9] BINARY.PEEK[1.1])").one(rb"\(BINARY\[9\] NIL BINARY\[1\.1\] NIL\)$")
    # decoded bytes are what a partial fetch counts; whether there is a NUL among those sent decides the form
    for start, size in ((0, 1), (1, 255), (1, 256), (255, 2), (70000, 5000), (76799, 1), (76800, 1), (99999, 7)):
        wanted = BLOB[start : start + size]
        got = fetch(c, "BINARY.PEEK[1]<%d.%d>" % (start, size), "BINARY[1]<%d>" % start)
        assert got == (b"\0" in wanted, wanted)
    sizes = [(1, len(BLOB)), (2, len(TEXT)), (3, 11), (4, len(INNER)), (6, 0)]
    items = " ".join("BINARY.SIZE[%d]" % n for n, _ in sizes)
    c.ok("FETCH 1 (%s BINARY.SIZE[4.1] BINARY.SIZE[] UID)" % items).one(
        b" ".join(rb"BINARY\.SIZE\[%d\] %d" % s for s in sizes) + rb" BINARY\.SIZE\[4\.1\] 5 BINARY\.SIZE\[\] %d UID 1\)$" % len(MESSAGE)
    )
    # several in one answer, with others between; \Seen comes with the first that does not peek
    r = c.ok("FETCH 1 (BINARY[4.1] UID BINARY.PEEK[2]<0.6> BODY.PEEK[3])")
    assert r.untagged == [
        b"* 1 FETCH (BINARY[4.1] ~{5}\r\ndeep\0 UID 1 BINARY[2]<0> {6}\r\n%s BODY[3] {11}\r\nplain\r\ntext FLAGS (\\Recent \\Seen))" % TEXT[:6]
    ]


def test_uuencode(c):
    """No encoding of MIME's, but real mail has it."""
    text = b"begin 644 cat.bin\r\n" + b"".join(binascii.b2a_uu(BLOB[i : i + 45])[:-1] + b"\r\n" for i in range(0, len(BLOB), 45)) + b"`\r\nend\r\n"
    c.append("INBOX", mixed(part(text, "x-uuencode"), part(text, "X-UUE"), part(text, "x-unknown")))
    c.append("INBOX", b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: uuencode\r\n\r\n" + text)
    c.select("INBOX")
    for item in ("BINARY.PEEK[1]", "BINARY.PEEK[2]"):
        assert fetch(c, item) == (True, BLOB)
    c.ok("FETCH 1 BINARY.SIZE[2]").one(rb"BINARY\.SIZE\[2\] %d\)" % len(BLOB))
    c.ok("FETCH 2 BINARY.SIZE[1]").one(rb"BINARY\.SIZE\[1\] %d\)" % len(BLOB))
    assert "[UNKNOWN-CTE]" in c.no("FETCH 1 BINARY.PEEK[3]").text


def test_unknown_encoding(c):
    """NO [UNKNOWN-CTE]; the messages that can be decoded are told all the same."""
    c.append("INBOX", MESSAGE)
    c.append("INBOX", mixed(part(b"YQ==", "base64")))
    c.select("INBOX")
    for item in ("BINARY.PEEK[5]", "BINARY.SIZE[5]", "(UID BINARY.PEEK[5] FLAGS)"):
        assert c.no("FETCH 1 " + item).text.startswith("[UNKNOWN-CTE]")
    r = c.command("FETCH 1:2 (BINARY.PEEK[5] BINARY.PEEK[1])")
    assert r.status == "NO" and "[UNKNOWN-CTE]" in r.text
    assert r.untagged == [b"* 2 FETCH (BINARY[5] NIL BINARY[1] {1}\r\na)"]
    # \Seen was set before anybody looked: the client knows
    c.no("FETCH 1 BINARY[5]")
    assert c.uids("SEEN") == [1]


def test_syntax(c):
    c.append("INBOX", MESSAGE)
    c.select("INBOX")
    for item in ("BINARY", "BINARY[", "BINARY[HEADER]", "BINARY[1.MIME]", "BINARY[TEXT]", "BINARY[0]", "BINARY[1]<0>",
                 "BINARY[1]<0.0>", "BINARY.SIZE[1]<0.1>", "BINARY.SIZE", "BINARY.FROB[1]", "BINARY.PEEK[1.]"):
        c.bad("FETCH 1 " + item)


def test_large(c):
    """Longer than what any buffer holds, to a client that reads late."""
    blob = os.urandom(2 * 1024 * 1024)
    c.append("INBOX", mixed(part(base64.encodebytes(blob).replace(b"\n", b"\r\n"), "base64")))
    c.select("INBOX")
    assert fetch(c, "BINARY[1]") == (True, blob)
    c.ok("FETCH 1 BINARY.SIZE[1]").one(rb"BINARY\.SIZE\[1\] %d\)" % len(blob))


def literal8(data, plus="+"):
    return b"~{%d%s}\r\n%s" % (len(data), plus.encode(), data)


def say(c, command):
    c.count += 1
    c.send(b"b%d %s\r\n" % (c.count, command))
    return c.finish("b%d" % c.count)


def test_append(c):
    """A binary part with NULs becomes base64, and nothing else changes; what has none is stored as it is."""
    binary = mixed(
        part(b"one\0two\nthree" * 100, "binary"),
        part(b"8bit \xe9 text", "8bit", "text/plain"),
        part(b"\0", None, "image/png"),
        part(b"Subject: inner\r\n\r\nin\0ner", "binary", "message/rfc822"),
    )
    assert say(c, b"APPEND INBOX (\\Seen) " + literal8(binary)).status == "OK"
    clean = mixed(part(b"\xff\xfe\x01", "binary"))
    r = say(c, b"APPEND INBOX " + literal8(clean) + b" " + literal8(binary))  # beside others
    assert r.status == "OK" and "2:3" in r.text
    c.select("INBOX")
    stored = c.body(1)
    assert b"\0" not in stored and c.body(3) == stored and c.body(2) == clean
    assert stored.count(b"Content-Transfer-Encoding: base64\r\n") == 3
    assert b"8bit \xe9 text" in stored and b"Content-Transfer-Encoding: 8bit" in stored
    assert max(len(line) for line in stored.split(b"\r\n")) <= 78
    assert fetch(c, "BINARY.PEEK[1]") == (True, b"one\0two\nthree" * 100)
    assert fetch(c, "BINARY.PEEK[2]") == (False, b"8bit \xe9 text")
    assert fetch(c, "BINARY.PEEK[3]") == (True, b"\0")
    assert fetch(c, "BINARY.PEEK[4.1]") == (True, b"in\0ner")
    c.ok("UID FETCH 1 (BODYSTRUCTURE RFC822.SIZE)").one(rb'"BASE64".*"8BIT".*"BASE64".*"BASE64".*RFC822\.SIZE %d\)$' % len(stored))


def test_append_refused(c):
    """Where a NUL cannot be kept: NO [UNKNOWN-CTE], and nothing is stored."""
    for wrong in (
        b"Subject: a\0b\r\n\r\ntext\r\n",
        mixed(part(b"AAAA\0AAA=", "base64")),
        mixed(part(b"x", "binary")).replace(b"--b--", b"--b--\r\nepilogue\0"),
    ):
        r = say(c, b"APPEND INBOX " + literal8(wrong))
        assert r.status == "NO" and r.text.startswith("[UNKNOWN-CTE]"), r
    assert say(c, b"APPEND INBOX {6+}\r\na: b\0\n").status == "NO"
    assert say(c, b"APPEND INBOX ~ {6+}\r\na: b\r\n").status == "BAD"
    assert say(c, b"CREATE " + literal8(b"box")).status == "BAD"
    assert c.ok("STATUS INBOX (MESSAGES UIDNEXT)").one(rb"MESSAGES 0 UIDNEXT 1\)")
    # it waits where it is told to
    m = message()
    c.send(b"x APPEND INBOX ~{%d}\r\n" % len(m))
    assert c.read_line().startswith(b"+ ")
    c.send(m + b"\r\n")
    assert c.finish("x").status == "OK"


def test_suppressed(make_imapd):
    imapd = make_imapd({"suppress_capabilities": "BINARY"})
    with imapd.imap("fred") as c:
        assert b"BINARY" not in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1)
        assert say(c, b"APPEND INBOX " + literal8(message())).status == "BAD"
        c.append("INBOX", MESSAGE)
        c.select("INBOX")
        c.bad("FETCH 1 BINARY[1]")
        c.bad("FETCH 1 BINARY.SIZE[1]")


def test_backend_without(make_murder):
    murder = make_murder(backends=1)
    be = murder.be[0]
    be.stop()
    be.conf["suppress_capabilities"] = "BINARY"
    be.start()
    murder.add_user("anna", 0)
    with murder.imap("anna") as c:
        c.append("INBOX", MESSAGE)
        c.select("INBOX")
        assert c.no("FETCH 1 BINARY[1]").text.startswith("[CANNOT]")
        assert say(c, b"APPEND INBOX " + literal8(message())).text.startswith("[UNKNOWN-CTE]")
        assert c.uids() == [1]
    with murder.imap("anna") as c:
        assert b"BINARY" not in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1)
