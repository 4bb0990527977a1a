"""The IMAP front: states, parsing, literals, limits, pipelining, the end of sessions."""

import base64
import os
import re
import signal
import time

import pytest
from iatlas.clients import message
from iatlas.place import places

place = places()


@pytest.fixture
def fred(place):
    return place.user()


def test_greeting_and_capabilities(imapd):
    c = imapd.connect()
    assert re.match(rb"\* OK \[CAPABILITY IMAP4rev1 LITERAL\+ .*\] %s" % imapd.servername.encode(), c.greeting)
    before = c.ok("CAPABILITY").one(rb"^\* CAPABILITY (.*)$").group(1).split()
    assert {b"IMAP4rev1", b"LITERAL+", b"ID", b"ENABLE", b"AUTH=PLAIN", b"SASL-IR"} <= set(before)
    assert b"ACL" not in before and b"LOGINDISABLED" not in before
    r = c.ok("LOGIN fred secret")
    after = c.ok("CAPABILITY").one(rb"^\* CAPABILITY (.*)$").group(1).decode()
    assert "[CAPABILITY %s]" % after in r.text
    assert len(set(after.split())) == len(after.split())
    words = "ACL CHILDREN CONDSTORE IDLE MOVE NAMESPACE QRESYNC QUOTA MULTIAPPEND APPENDLIMIT RIGHTS=kxten UIDPLUS UNSELECT"
    assert set(words.split()) <= set(after.split())
    for absent in ("AUTH=PLAIN", "STARTTLS"):
        assert absent not in after.split()


def test_suppressed_capabilities(make_imapd):
    imapd = make_imapd({"suppress_capabilities": "IDLE MOVE", "literalminus": "yes"})
    c = imapd.imap("fred")
    words = c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
    assert b"IDLE" not in words and b"MOVE" not in words and b"LITERAL-" in words and b"LITERAL+" not in words
    c.bad("IDLE")
    c.select("INBOX")
    c.bad("MOVE 1 INBOX")


def test_states(place, fred):
    c = place.connect()
    for command in ("SELECT INBOX", "LIST \"\" *", "FETCH 1 FLAGS", "NAMESPACE", "ENABLE X", "IDLE"):
        assert "login first" in c.bad(command).text
    c.ok("NOOP")
    c.ok("ID NIL")
    c.bad("STARTTLS")
    assert "AUTHENTICATIONFAILED" in c.no("LOGIN %s wrong" % fred).text
    assert re.search(r'peer="127[.0-9]*" mech="LOGIN" user="%s"' % fred, place.log())
    c.no("AUTHENTICATE NONESUCH")
    c.login(fred)
    for command in ("LOGIN fred secret", "AUTHENTICATE PLAIN", "STARTTLS"):
        c.bad(command)
    for command in ("FETCH 1 FLAGS", "STORE 1 FLAGS ()", "SEARCH ALL", "EXPUNGE", "CLOSE", "CHECK", "COPY 1 X", "UNSELECT"):
        assert "select a mailbox" in c.bad(command).text
    c.select("INBOX")
    c.ok("UNSELECT")
    c.bad("FETCH 1 FLAGS")
    r = c.ok("LOGOUT")
    r.one(rb"^\* BYE")
    with pytest.raises(EOFError):
        c.read_line()


def test_authenticate_plain(place, fred):
    plain = base64.b64encode(b"\0%s\0secret" % fred.encode()).decode()
    c = place.connect()
    c.ok("AUTHENTICATE PLAIN " + plain)
    c = place.connect()
    c.send("x AUTHENTICATE PLAIN\r\n")
    assert c.read_line() == b"+ "
    c.send(plain + "\r\n")
    assert c.read_line().startswith(b"x OK [CAPABILITY")
    c = place.connect()
    c.send("x AUTHENTICATE PLAIN\r\n")
    c.read_line()
    c.send("*\r\n")
    assert c.read_line().startswith(b"x BAD")
    c.ok("NOOP")


@pytest.mark.parametrize(
    "line, answer",
    [
        ("", b"* BAD"),
        (" NOOP", b"* BAD"),
        ("a+b NOOP", b"* BAD"),
        ("a", b"a BAD"),
        ("a ", b"a BAD"),
        ("a FOO", b"a BAD"),
        ("a UID", b"a BAD"),
        ("a UID NOOP", b"a BAD"),
        ("a NOOP x", b"a BAD"),
        ("a NOOP  ", b"a OK"),
        ("a noop", b"a OK"),
        ("a LIST", b"a BAD"),
        ('a LIST ""', b"a BAD"),
        ('a LIST "" * x', b"a BAD"),
        ('a LIST "', b"a BAD"),
        ("a SELECT", b"a BAD"),
        ("a SELECT INBOX (CONDSTORES)", b"a BAD"),
        ("a STATUS INBOX", b"a BAD"),
        ("a STATUS INBOX ()", b"a BAD"),
        ("a STATUS INBOX (FOO)", b"a BAD"),
        ("a APPEND INBOX", b"a BAD"),
        ("a GETQUOTA", b"a BAD"),
        ("a ENABLE", b"a BAD"),
        ("a ID (x)", b"a BAD"),
        ('a ID ("name" "x" "version" NIL)', b"* ID"),
        ("a CREATE", b"a BAD"),
        ("a RENAME x", b"a BAD"),
        ("a SETACL INBOX bob +q", b"a BAD"),
    ],
)
def test_syntax(place, fred, line, answer):
    c = place.imap(fred)
    c.send(line + "\r\nz NOOP\r\n")
    assert c.read_response().startswith(answer)
    while (r := c.read_response()) != b"z OK Completed":
        assert r.startswith(b"a OK")


def test_pipelining(place, fred):
    """A hundred commands in one packet: answered in their order, each once."""
    c = place.connect()
    data = b"l LOGIN %s secret\r\ns SELECT INBOX\r\n" % fred.encode()
    m = message("pipelined")
    for i in range(50):
        data += b"p%d APPEND INBOX {%d+}\r\n%s\r\nn%d NOOP\r\n" % (i, len(m), m, i)
    c.send(data + b"f FETCH 1:* (UID BODY.PEEK[])\r\nz LOGOUT\r\n")
    tags = []
    while not tags or tags[-1] != b"z":
        r = c.read_response()
        if not r.startswith(b"*"):
            tags.append(r.split()[0])
            assert r.split()[1] == b"OK", r
    want = [b"l", b"s"] + [t for i in range(50) for t in (b"p%d" % i, b"n%d" % i)] + [b"f", b"z"]
    assert tags == want


def test_byte_by_byte(place, fred):
    c = place.connect()
    m = message("slow", body="x\r\n" * 5)
    script = (
        b"a LOGIN {%d+}\r\n%s {6+}\r\nsecret\r\n" % (len(fred), fred.encode())
        + b"b APPEND {5+}\r\nINBOX (\\Seen) {%d+}\r\n%s\r\n" % (len(m), m)
        + b"c SELECT {5+}\r\nINBOX\r\nd SEARCH ALL\r\ne UID FETCH 1 BODY.PEEK[]\r\nf LOGOUT\r\n"
    )
    for i in range(len(script)):
        c.send(script[i : i + 1])
        if i % 64 == 0:
            time.sleep(0.001)
    answers = {}
    while b"f" not in answers:
        r = c.read_response()
        answers[r.split()[0]] = r
        if b"BODY[]" in r:
            assert m in r
    assert all(answers[t].split()[1] == b"OK" for t in (b"a", b"b", b"c", b"d", b"e", b"f"))


def test_literals(place, fred):
    c = place.imap(fred)
    c.send("a SELECT {5}\r\n")
    assert c.read_line().startswith(b"+ ")
    c.send("INBOX\r\n")
    while not (r := c.read_response()).startswith(b"a "):
        pass
    assert r.startswith(b"a OK")
    # refused before it is sent: an unknown command, no such state, too big
    for command in ("FOO {5}", "LOGIN {5}", "SELECT {200000}", "SELECT {99999999999999999999999}"):
        c.send("b %s\r\n" % command)
        assert c.read_line().startswith(b"b BAD")
        c.ok("NOOP")
    # LITERAL+ that is too big, or for nothing, is read and dropped
    for command in ("SELECT {200000+}", "FOO {200000+}"):
        c.send(b"b " + command.encode() + b"\r\n" + b"x" * 200000 + b"\r\n")
        assert c.read_line().startswith(b"b BAD")
        c.ok("NOOP")
    # NUL is not allowed in a literal that is no message
    c.send(b"b SELECT {3+}\r\na\0b\r\n")
    assert c.read_line().startswith(b"b BAD")


def test_append_literal_refused_before_it_is_sent(place, fred):
    c = place.imap(fred)
    c.send("a APPEND Nope {1000000}\r\n")
    assert b"TRYCREATE" in c.read_line()
    c.ok("NOOP")
    c.send(b"b APPEND Nope {1000+}\r\n" + b"y NOOP\r\n" * 125 + b"\r\n")
    assert b"TRYCREATE" in c.read_line()
    c.ok("NOOP")


def test_command_too_long(place, fred):
    c = place.imap(fred)
    c.send(b"a SELECT " + b"x" * 3000000 + b"\r\n")
    assert c.read_line().startswith(b"a BAD")
    c.ok("NOOP")
    # many literals that are each small enough
    c.send(b"b SELECT " + b"{100000+}\r\n" % () + b"x" * 100000)
    for _ in range(20):
        c.send(b" {100000+}\r\n" + b"x" * 100000)
    c.send(b"\r\n")
    assert c.read_line().startswith(b"b BAD")
    c.ok("NOOP")


def test_long_line_before_login(place, fred):
    c = place.connect()
    c.send(b"a LOGIN " + b"x" * 100000 + b" y\r\n")
    assert c.read_line().startswith(b"a BAD")
    c.ok("NOOP")


def test_long_set(place, fred):
    """A set of 20,000 numbers fits; the answer comes."""
    c = place.imap(fred)
    c.append("INBOX", message())
    c.select("INBOX")
    numbers = ",".join(str(i) for i in range(1, 40001, 2))
    assert len(c.ok("UID FETCH %s (UID)" % numbers).untagged) == 1


def test_timeout(make_imapd):
    imapd = make_imapd({"timeout": "5s"})
    c = imapd.imap("fred")
    line = c.read_line()
    assert line.startswith(b"* BYE"), line
    with pytest.raises(EOFError):
        c.read_line()


def test_shutdown(make_imapd):
    """SIGQUIT: idle sessions and those in IDLE get BYE, the process ends with 0."""
    imapd = make_imapd()
    c, d = imapd.imap("fred"), imapd.imap("fred")
    d.select("INBOX")
    d.send("i IDLE\r\n")
    assert d.read_line() == b"+ idling"
    imapd.process.send_signal(signal.SIGQUIT)
    assert c.read_line().startswith(b"* BYE")
    assert d.read_line().startswith(b"* BYE")
    assert imapd.stop() == 0


def test_client_vanishes(place, fred):
    """In the middle of anything; the process lives on and nothing is stored."""
    m = message()
    pid = place.process()
    for text in ("a", "a NOOP", "a SELECT {10}\r\nIN", "a IDLE\r\n", "a APPEND INBOX {%d+}\r\n" % len(m) + "From: x"):
        c = place.imap(fred)
        c.send(text)
        c.close()
    c = place.imap(fred)
    assert c.select("INBOX") == 0
    assert place.process() == pid


def test_readonly_server(make_imapd):
    imapd = make_imapd()
    imapd.imap("fred").append("INBOX", message())
    imapd.stop()
    imapd.conf["readonly"] = "yes"
    imapd.start()
    c = imapd.imap("fred")
    assert "READ-ONLY" in c.ok("SELECT INBOX").text
    c.no("STORE 1 FLAGS (\\Seen)")
    c.no("CREATE x")
    c.no(["APPEND INBOX ", message()])
    assert c.body(1).startswith(b"From: ")


def test_long_words(make_imapd):
    c = make_imapd({"maxword": "100", "maxquoted": "200"}).imap("fred")
    for name in ("x" * 101, '"%s"' % ("x" * 201), '"%s"' % ("\\\\" * 101)):
        c.bad("STATUS %s (MESSAGES)" % name)
    c.no("STATUS %s (MESSAGES)" % ("x" * 100))
    c.no('STATUS "%s" (MESSAGES)' % ("x" * 200))
    c.no(["STATUS ", b"x" * 201, " (MESSAGES)"])


def keepalive_timer(server, client):
    """The seconds that the kernel waits before it probes the client; None: it does not (proc(5), tcp)."""
    while True:
        with open("/proc/net/tcp") as f:
            rows = [line.split() for line in f.readlines()[1:]]
        row = next(r for r in rows if [int(a.split(":")[1], 16) for a in r[1:3]] == [server, client])
        timer, when = row[5].split(":")
        if timer != "01":  # the last answer has been acknowledged
            return int(when, 16) // os.sysconf("SC_CLK_TCK") if timer == "02" else None
        time.sleep(0.02)


@pytest.mark.parametrize("conf, least, most", [
    ({}, None, None),
    ({"tcp_keepalive": "yes"}, 3600, 7200),
    ({"tcp_keepalive": "yes", "tcp_keepalive_idle": "90s"}, 60, 90),
])
def test_keepalive(make_imapd, conf, least, most):
    imapd = make_imapd(conf)
    c = imapd.imap("fred")
    timer = keepalive_timer(imapd.port, c.sock.getsockname()[1])
    assert timer is None if least is None else least < timer <= most


def test_behind_logout(place, fred):
    """What comes behind LOGOUT is not read, and does not cost the client the answers before it."""
    with place.imap(fred) as c:
        c.append("INBOX", message(body=("x" * 70 + "\r\n") * 20000))
        c.select("INBOX")
        c.send(b"f FETCH 1 BODY.PEEK[]\r\nz LOGOUT\r\n" + b"x NOOP\r\n" * 16000)
        assert c.read_response().startswith(b"* 1 FETCH ")
        rest = b""
        while data := c.sock.recv(65536):
            rest += data
    assert re.search(rb"^z OK ", c.buffer + rest, re.M) and b"x " not in rest
