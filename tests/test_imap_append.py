"""APPEND in all its forms (RFC 3502, 7888, 7889, 4315), to an imapd and through a frontend."""

import re

import pytest

from iatlas import differences, message
from iatlas.place import Place, places


place = places()
small = places({"maxmessagesize": "2000B", "literalminus": "yes"})


@pytest.fixture
def c(place):
    with place.client() as c:
        yield c


def texts(n, **kw):
    return [message(subject="m%d" % i, **kw) for i in range(n)]


# ---- MULTIAPPEND ----


def test_multiappend(c):
    """Several messages: flags and dates of each, the set of their UIDs in one code."""
    assert "MULTIAPPEND" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
    a, b, d = texts(3)
    date = '" 3-Feb-2001 04:05:06 -0730"'
    r = c.ok(["APPEND INBOX ", a, " (\\Seen $x) ", b, " (\\Flagged) %s " % date, d])
    assert re.fullmatch(r"\[APPENDUID \d+ 1:3\] Completed", r.text)
    assert c.select("INBOX") == 3
    r = c.ok("FETCH 1:3 FLAGS")
    for i, flags in enumerate((rb"\\Recent", rb"\\Recent \\Seen \$x", rb"\\Recent \\Flagged")):
        r.one(rb"^\* %d FETCH \(FLAGS \(%s\)\)$" % (i + 1, flags))
    c.ok("FETCH 3 INTERNALDATE").one(date.encode())
    assert [c.body(uid) for uid in (1, 2, 3)] == [a, b, d]


def test_multiappend_to_the_selected(c):
    c.select("INBOX")
    r = c.ok(["APPEND INBOX ", texts(1)[0], " ", texts(1)[0]])
    r.one(rb"^\* 2 EXISTS$")
    assert "APPENDUID" in r.text
    # what failed changes nothing, and the selection stays
    c.bad(["APPEND INBOX ", texts(1)[0], " (\\Nonsense) ", texts(1)[0]])
    c.no(["APPEND INBOX ", texts(1)[0], " ", b""])
    assert c.uids() == [1, 2]
    assert c.ok("NOOP").find(rb"EXISTS") == []
    c.ok(["APPEND INBOX ", texts(1)[0]]).one(rb"^\* 3 EXISTS$")


def test_multiappend_synchronising(c):
    """Each message is asked for by itself, and what cannot be is not."""
    a, b = texts(2)
    c.send("x APPEND INBOX (\\Seen) {%d}\r\n" % len(a))
    assert c.read_line().startswith(b"+ ")
    c.send(a + b" {%d}\r\n" % len(b))
    assert c.read_line().startswith(b"+ ")
    c.send(b + b"\r\n")
    assert re.match(r"\[APPENDUID \d+ 1:2\]", c.finish("x").text)
    # an empty one cancels
    c.send("y APPEND INBOX {%d}\r\n" % len(a))
    assert c.read_line().startswith(b"+ ")
    c.send(a + b" {0}\r\n")
    assert c.finish("y").status == "NO"
    # nonsense behind a message: nobody waits for the next
    c.send("z APPEND INBOX {%d}\r\n" % len(a))
    assert c.read_line().startswith(b"+ ")
    c.send(a + b" frob {10}\r\n")
    assert c.finish("z").status == "BAD"
    assert c.select("INBOX") == 2


@pytest.mark.parametrize(
    "wrong, status",
    [
        ([" (\\Frob) ", 0], "BAD"),
        ([" frob ", 0], "BAD"),
        (["", 0], "BAD"),
        (["  ", 0], "BAD"),
        ([" "], "BAD"),
        ([" (\\Seen)"], "BAD"),
        ([' "no date" ', 0], "BAD"),
        ([' "32-Jan-2026 00:00:00 +0000" ', 0], "BAD"),
        ([' " 1-Jan-2026 00:00:00 +0000"'], "BAD"),
        ([" (%s) " % ("k" * 33000), 0], "BAD"),
        ([" ", b""], "NO"),
        ([" ", b"a: b\r\n\r\nnul \0\r\n"], "NO"),
        ([" ", b"a: b\n\n"], "NO"),
        ([" (\\Seen) ", 0, " (", 0], "BAD"),
    ],
)
def test_all_or_nothing(c, wrong, status):
    """Whatever is wrong with one of them, none is there, and the connection goes on."""
    a = message()
    r = c.command(["APPEND INBOX ", a] + [a if x == 0 else x for x in wrong])
    assert r.status == status, r
    assert c.ok("STATUS INBOX (MESSAGES UIDNEXT)").one(rb"MESSAGES 0 UIDNEXT 1\)")
    c.append("INBOX", a)


def test_errors_before_the_bytes(c):
    a = message()
    assert "TRYCREATE" in c.no(["APPEND nope ", a, " ", a]).text
    c.send("x APPEND nope {%d}\r\n" % len(a))
    assert "TRYCREATE" in c.finish("x").text
    c.bad("APPEND INBOX")
    c.bad("APPEND INBOX (\\Seen)")
    c.bad(["APPEND ", b"INBOX"])
    c.bad("APPEND")


def test_too_many(c):
    parts = []
    for _ in range(251):
        parts += [" ", b"a: b\r\n\r\n"]
    r = c.no(["APPEND INBOX" + parts[0]] + parts[1:])
    assert r.text.startswith("[LIMIT]")
    r = c.ok(["APPEND INBOX" + parts[0]] + parts[1:-2])
    assert re.match(r"\[APPENDUID \d+ 1:250\]", r.text)


def test_over_quota(place):
    user = place.user()
    with place.server.imap() as admin, place.server.imap(user) as c:
        admin.ok("SETQUOTA user/%s (STORAGE 1)" % user)
        a = message(body="x" * 500)
        assert "[OVERQUOTA]" in c.no(["APPEND INBOX ", a, " ", a, " ", a]).text
        assert c.select("INBOX") == 0
        c.append("INBOX", a)


def test_byte_by_byte(c):
    a, b = texts(2)
    for byte in b"x APPEND INBOX (\\Seen) {%d+}\r\n%s (\\Draft) {%d+}\r\n%s\r\n" % (len(a), a, len(b), b):
        c.send(bytes([byte]))
    assert re.match(r"\[APPENDUID \d+ 1:2\]", c.finish("x").text)
    c.select("INBOX")
    assert [c.body(1), c.body(2)] == [a, b]


def test_client_gone(place):
    """Between two messages, and in the second: nothing is there."""
    user, a = place.user(), message()
    for sent in (b" {100+}\r\nabc", b" (\\Seen) ", b""):
        with place.server.imap(user) as c:
            c.send(b"x APPEND INBOX {%d+}\r\n%s" % (len(a), a) + sent)
    with place.server.imap(user) as c:
        assert c.select("INBOX") == 0


# ---- APPENDLIMIT, LITERAL- ----


def test_no_appendlimit(c):
    assert "APPENDLIMIT" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
    assert c.ok("STATUS INBOX (APPENDLIMIT MESSAGES)").one(rb"STATUS INBOX \((.*)\)").group(1) in (
        b"APPENDLIMIT NIL MESSAGES 0",
        b"MESSAGES 0 APPENDLIMIT NIL",
    )


def test_appendlimit(small):
    with small.client() as c:
        caps = c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
        assert ("APPENDLIMIT=2000" if differences.has("APPENDLIMIT=n", small.over == "frontend") else "APPENDLIMIT") in caps
        c.ok("STATUS INBOX (APPENDLIMIT)").one(rb"\(APPENDLIMIT 2000\)$")
        big = message(body="x" * 2000)
        for command in (["APPEND INBOX ", big], ["APPEND INBOX ", message(), " ", big]):
            assert c.no(command).text.startswith("[TOOBIG]")
        c.send("x APPEND INBOX {2001}\r\n")  # not asked for
        assert c.finish("x").text.startswith("[TOOBIG]")
        c.append("INBOX", message(body="x" * 1500))


def test_literal_minus(small):
    """RFC 7888 5: 4096 bytes without being asked for, in any place of any command."""
    with small.client() as c:
        caps = c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
        assert "LITERAL-" in caps and "LITERAL+" not in caps
        big = b"a: b\r\n\r\n" + b"x" * 4100
        for command in (["APPEND INBOX ", big], ["APPEND INBOX ", message(), " ", big], ["CREATE ", big]):
            assert c.bad(command).text.startswith("[TOOBIG]")
        assert "[TOOBIG]" not in c.no(["SELECT ", b"x" * 4096]).text
        c.send(b"x APPEND INBOX {%d}\r\n" % len(big))
        assert c.finish("x").text.startswith("[TOOBIG]")  # by maxmessagesize, and not as BAD
        assert c.select("INBOX") == 0
        c.append("INBOX", message())


# ---- a backend that takes one message at a time; COPY together ----


@pytest.fixture
def lacking(make_murder):
    """anna on a backend with everything, ben on one without MULTIAPPEND; each may write into the other's INBOX."""
    murder = make_murder()
    be = murder.be[1]
    be.stop()
    be.conf["suppress_capabilities"] = "MULTIAPPEND"
    be.start()
    murder.add_user("anna", 0)
    murder.add_user("ben", 1)
    with murder.imap("anna") as anna, murder.imap("ben") as ben:
        anna.ok("SETACL INBOX ben lrswipkxte")
        ben.ok("SETACL INBOX anna lrswipkxte")
    return murder


def test_without_multiappend(lacking):
    a, b = texts(2)
    with lacking.imap("ben") as ben, lacking.imap("anna") as anna, lacking.imap("cyrus") as admin:
        r = ben.no(["APPEND INBOX ", a, " ", b])
        assert r.text.startswith("[CANNOT]")
        ben.select("INBOX")
        assert ben.no(["APPEND INBOX ", a, " ", b]).text.startswith("[CANNOT]")
        assert ben.uids() == []  # still selected, in step
        ben.ok(["APPEND INBOX ", a]).one(rb"^\* 1 EXISTS$")
        # COPY there goes one by one, and what was copied is taken back when one is refused
        for i in range(3):
            anna.append("INBOX", message(subject="m%d" % i, body="x" * 1500))
        anna.select("INBOX")
        admin.ok("SETQUOTA user/ben (STORAGE 4)")
        assert "[OVERQUOTA]" in anna.no('COPY 1:3 "Other Users/ben"').text
        ben.ok("NOOP")
        assert ben.uids() == [1]
        r = anna.ok('MOVE 1:2 "Other Users/ben"')
        assert r.one(rb"^\* OK \[COPYUID \d+ 1:2 (\S+)\]").group(1) == b"4:5"
        assert anna.uids() == [3]


def test_copy_together(lacking):
    """To a server that takes them together: one APPEND, so a refused one leaves no trace, not even UIDs used."""
    with lacking.imap("ben") as ben, lacking.imap("anna") as anna, lacking.imap("cyrus") as admin:
        sent = [message(subject="m%d" % i, body="x" * 1500) for i in range(3)]
        for i, m in enumerate(sent):
            ben.append("INBOX", m, "\\Flagged k%d" % i)
        ben.select("INBOX")
        admin.ok("SETQUOTA user/anna (STORAGE 4)")
        assert "[OVERQUOTA]" in ben.no('COPY 1:3 "Other Users/anna"').text
        anna.ok("STATUS INBOX (MESSAGES UIDNEXT)").one(rb"MESSAGES 0 UIDNEXT 1\)")
        admin.ok("SETQUOTA user/anna ()")
        r = ben.ok('UID MOVE 1,3 "Other Users/anna"')
        assert r.one(rb"^\* OK \[COPYUID \d+ (\S+) (\S+)\]").groups() == (b"1,3", b"1:2")
        assert ben.uids() == [2]
        assert anna.select("INBOX") == 2
        assert [anna.body(1), anna.body(2)] == [sent[0], sent[2]]
        assert anna.uids("FLAGGED KEYWORD k2") == [2]


@pytest.mark.slow
def test_copy_more_than_go_together(lacking):
    with lacking.imap("ben") as ben, lacking.imap("anna") as anna:
        for _ in range(5):
            parts = []
            for _ in range(250):
                parts += [" ", b"a: b\r\n\r\n"]
            anna.ok(["APPEND INBOX "] + parts[1:])
        anna.select("INBOX")
        r = anna.ok('COPY 1:1100 "Other Users/ben"')
        assert re.search(r"\[COPYUID \d+ 1:1100 1:1100\]", r.text)
        ben.select("INBOX")
        r = ben.ok('COPY 1:1050 "Other Users/anna"')
        assert re.search(r"\[COPYUID \d+ 1:1050 1251:2300\]", r.text)
