"""CHUNKING and BINARYMIME (RFC 3030): BDAT to lmtpd, and through lmtpproxyd to servers that know it and others."""

import re

import pytest

from iatlas import message, net
from iatlas.clients import Imap, Lmtp
from iatlas.node import ADMIN
from test_imap_binary import fetch, mixed, part
from test_lmtp import AsciiBackend, codes, inbox


@pytest.fixture(scope="module")
def to(site):
    """Connects to the LMTP server that the site's mail comes in by."""
    return lambda: Lmtp(site.lmtp_socket)


def reply(c, command, data=b""):
    c.send(command.encode() + b"\r\n" + data)
    code, text = c.getreply()
    return "%d %s" % (code, text[:5].decode())


def begin(c, *recipients, body=""):
    assert c.docmd("MAIL FROM:<me@example.org>" + body)[0] == 250
    for r in recipients:
        assert c.docmd("RCPT TO:<%s>" % r)[0] == 250


def bdat(c, data, size, n=1):
    """The message in pieces of that size, pipelined; the last replies."""
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    c.send(b"".join(b"BDAT %d%s\r\n%s" % (len(p), b"" if i < len(pieces) - 1 else b" LAST", p) for i, p in enumerate(pieces)))
    for _ in pieces[1:]:
        assert c.getreply()[0] == 250
    return codes(c.getreply() for _ in range(n))


def stored(user):
    """Message bytes behind the trace fields, the latest message first."""
    with user.imap() as c:
        c.select("INBOX", "EXAMINE")
        return [re.sub(rb"^Return-Path: .*?\r\n(?=From: |MIME)", b"", c.body(u), flags=re.S) for u in reversed(c.uids())]


def test_pieces(to, make_user):
    """Any pieces make the same message; dots at line beginnings are text."""
    users = [make_user(), make_user()]
    texts = [message("chunks", ".\r\n..\r\n.x\r\n" + "line\r\n" * 3000) for _ in range(4)]
    with to() as c:
        assert {"chunking", "binarymime"} <= set(c.esmtp_features)
        for data, size in zip(texts, (7, 1000, 100000)):
            begin(c, *[u.name for u in users])
            assert bdat(c, data, size, 2) == [250, 250]
        data = texts[3]
        begin(c, users[0].name, body=" BODY=8BITMIME")
        assert reply(c, "BDAT 0") == "250 2.0.0"
        assert reply(c, "bdat %d" % len(data), data) == "250 2.0.0"
        assert reply(c, "BDAT 0 last") == "250 2.1.5"
        assert codes(c.deliver("", [users[1].name], message("by DATA"))) == [250]
    assert stored(users[0]) == texts[::-1]
    assert len(stored(users[1])) == 4


def test_text_is_text(to, make_user):
    """Without BINARYMIME bare line ends become CRLF and NULs are refused, as with DATA."""
    user = make_user()
    data = message("text", "a\nb\rc\r\n.\r\n")
    with to() as c:
        begin(c, user.name)
        assert bdat(c, data, 3) == [250]
        begin(c, user.name, user.name)
        assert reply(c, "BDAT 1", b"\0") == "554 5.6.0"
        assert reply(c, "BDAT 4", b"a: b") == "554 5.6.0"  # whatever follows
        assert reply(c, "BDAT 0 LAST") == "554 5.6.0"
        assert c.getreply()[0] == 554
        assert c.docmd("NOOP")[0] == 250
    assert stored(user) == [data.replace(b"a\nb\rc", b"a\r\nbc")]


def test_binary(to, make_user):
    """Every byte of a part is there; the mailbox has it as base64 where IMAP could not show it."""
    user = make_user()
    odd = bytes(range(256)) * 300 + b"\r\n.\r\n\n.\n"
    data = message("binary").split(b"\r\n\r\n")[0] + b"\r\n" + mixed(part(odd, "binary"), part(b"a\nb\rc\x01", "binary"))
    with to() as c:
        begin(c, user.name, body=" BODY=BINARYMIME")
        assert reply(c, "DATA") == "503 5.5.1"
        assert bdat(c, data, 10000) == [250]
        begin(c, user.name, body=" BODY=BINARYMIME")
        assert bdat(c, message("a\0b"), 5000) == [554]  # in no part
    (got,) = stored(user)
    assert b"\0" not in got and b"a\nb\rc\x01" in got
    with user.imap() as c:
        c.select("INBOX")
        assert fetch(c, "BINARY.PEEK[1]") == (True, odd)


def test_sequence(to, make_user):
    """What comes out of turn is read to its end and refused; the connection goes on."""
    user = make_user()
    with to() as c:
        assert reply(c, "BDAT 6", b"NOOP\r\n") == "503 5.5.1"
        assert c.docmd("MAIL FROM:<>")[0] == 250
        assert reply(c, "BDAT 6 LAST", b"NOOP\r\n") == "503 5.5.1"  # no recipients: one answer
        assert c.docmd("RCPT TO:<%s>" % user.name)[0] == 250
        assert reply(c, "BDAT 6", b"half: ") == "250 2.0.0"
        for command in ("DATA", "RCPT TO:<%s>" % user.name, "MAIL FROM:<>"):
            assert reply(c, command) == "503 5.5.1"
        assert reply(c, "RSET") == "250 2.0.0"
        begin(c, user.name)
        assert bdat(c, message("whole"), 50) == [250]
        assert reply(c, "BDAT 6 LAST", b"NOOP\r\n") == "503 5.5.1"  # after LAST
        begin(c, user.name)
        assert reply(c, "BDAT 4", b"a: b") == "250 2.0.0"
        assert c.docmd("LHLO again")[0] == 250  # is a RSET
        assert reply(c, "DATA") == "503 5.5.1"
    assert [re.search(rb"Subject: (\w+)", m).group(1) for m in stored(user)] == [b"whole"]


@pytest.mark.parametrize("line", ["BDAT", "BDAT x", "BDAT 5 FIRST", "BDAT -1", "BDAT 5  LAST", "BDAT 99999999999999999999"])
def test_syntax(to, line):
    """What follows may be a message: it is not taken for commands."""
    with to() as c:
        assert reply(c, line, b"NOOP\r\n") == "501 5.5.4"
        assert c.sock.recv(1) == b""


def test_limits(make_server):
    """Too large is told at the piece that makes it so, by its length; what is announced and does not come costs nothing."""
    server = make_server(conf={"maxmessagesize": "4096"})
    server.add_user("fred")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("CREATE user/fred")
    with Lmtp(server.address) as c:
        begin(c, "fred", "fred")
        assert reply(c, "BDAT 3000", b"a: b\r\n" * 500) == "250 2.0.0"
        assert reply(c, "BDAT 3000", b"a: b\r\n" * 500) == "552 5.3.4"
        assert reply(c, "BDAT 0 LAST") == "552 5.3.4"
        assert c.getreply()[0] == 552
        begin(c, "fred")
        assert reply(c, "BDAT 1000000 LAST", b"x" * 1000000) == "552 5.3.4"
        begin(c, "fred")
        assert bdat(c, message("small"), 100) == [250]
    assert len(inbox(server.address, "fred")) == 1
    c = Lmtp(server.address)
    begin(c, "fred")
    c.send(b"BDAT 1000 LAST\r\nhalf")
    c.close()
    server.stop()  # sees to the end of it
    server.start()
    assert len(inbox(server.address, "fred")) == 1


def test_who_may(murder):
    """Who has not authenticated is refused, behind the bytes."""
    with Lmtp(murder.be[0].address) as c:
        assert reply(c, "BDAT 6", b"NOOP\r\n") == "430 4.7.0"
        assert c.docmd("NOOP")[0] == 250


def test_backend_without(murder):
    """A backend that does not announce CHUNKING gets DATA, and nothing binary; who is elsewhere gets everything."""
    murder.add_user("u1", 0)
    murder.add_user("u2", 1)
    murder.be[1].stop()
    old = AsciiBackend(murder.be[1].address)
    binary = message("b").split(b"\r\n\r\n")[0] + b"\r\n" + mixed(part(b"\0", "binary"))
    with murder.lmtp() as c:
        begin(c, "u1", "u2", body=" BODY=BINARYMIME")
        c.send(b"BDAT %d LAST\r\n" % len(binary) + binary)
        got = [c.getreply() for _ in range(2)]
        assert codes(got) == [250, 554] and got[1][1].startswith(b"5.6.3")
        begin(c, "u1", "u2")
        assert bdat(c, message("text", ".dot\r\n"), 30, 2) == [250, 250]
    assert len(inbox(murder.be[0].address, "u1")) == 2
    old.listener.close()
    assert b"DATA\r\n" in old.seen and not any(line.startswith(b"BDAT") for line in old.seen)


@pytest.mark.peer
def test_cyrus_backend(make_mixed):
    """A real Cyrus behind our frontend: text arrives by DATA, binary messages are refused."""
    murder = make_mixed(backends=("ours", "cyrus"))
    for i, user in enumerate(("fred", "bob")):
        murder.add_user(user, i)
    data = message("text", ".dot\r\n..\r\n" + "x\r\n" * 50000)
    with murder.lmtp() as c:
        begin(c, "fred", "bob")
        assert bdat(c, data, 4096, 2) == [250, 250]
        begin(c, "bob", "fred", body=" BODY=BINARYMIME")
        assert bdat(c, message("binary").split(b"\r\n\r\n")[0] + b"\r\n" + mixed(part(b"\0", "binary")), 99, 2) == [554, 250]
    for user, n in (("fred", 2), ("bob", 1)):
        with murder.imap(user) as c:
            assert c.select("INBOX") == n
            assert c.body(1).endswith(data.split(b"\r\n\r\n", 1)[1])
