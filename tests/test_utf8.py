"""UTF8=ACCEPT (RFC 6855, RFC 9755): to an imapd and through a frontend."""

import re

import pytest
from test_imap_append import place  # noqa: F401

from iatlas import message

DRAFTS = '"Entwürfe"'.encode()
HEADER = "From: Jürgen <j@example.org>\r\nSubject: Grüße aus Köln\r\n\r\n".encode()
MAIL = HEADER + "Schöne Grüße\r\n".encode()


def text(s):
    return s.encode() if isinstance(s, str) else s


def raw(c, command):
    """A command in bytes, to its answer."""
    c.send(b"u1 " + text(command) + b"\r\n")
    return c.finish("u1")


def ok(c, command):
    r = raw(c, command)
    assert r.status == "OK", (command, r)
    return r


@pytest.fixture
def c(place):  # noqa: F811
    with place.client() as c:
        c.ok("ENABLE UTF8=ACCEPT").one(rb"^\* ENABLED UTF8=ACCEPT$")
        yield c


@pytest.fixture
def pair(place):  # noqa: F811
    """The same user: one session with UTF-8, one without."""
    user = place.user()
    with place.server.imap(user) as new, place.server.imap(user) as old:
        new.ok("ENABLE UTF8=ACCEPT")
        yield new, old


def test_names(pair):
    c, old = pair
    ok(c, b"CREATE " + DRAFTS)
    ok(c, 'CREATE "a & b"')
    assert ok(c, 'LIST "" "Entwü%"').one(rb'^\* LIST \(.*\) "/" (.*)$').group(1) == DRAFTS
    assert ok(c, 'LIST "" "En%"').one(rb"^\* LIST .*").group(0).endswith(DRAFTS)
    assert ok(c, 'LIST "" "a &%"').one(rb'^\* LIST .* "a & b"$')
    old.ok('LIST "" "En%"').one(rb'^\* LIST .* Entw&APw-rfe$')
    old.ok('LIST "" "a%"').one(rb'^\* LIST .* "a &- b"$')
    ok(c, b"SUBSCRIBE " + DRAFTS)
    assert ok(c, 'LSUB "" *').one(rb"^\* LSUB .*").group(0).endswith(DRAFTS)
    old.ok('LSUB "" *').one(rb"Entw&APw-rfe$")
    assert ok(c, 'LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES))').one(rb"^\* STATUS (.*) \(MESSAGES 0\)").group(1) == DRAFTS
    for command, answer in (
        (b"STATUS %s (MESSAGES)", rb"^\* STATUS (.*) \(MESSAGES 0\)$"),
        (b"GETQUOTAROOT %s", rb"^\* QUOTAROOT ([^ ]+)"),
        (b"GETACL %s", rb"^\* ACL ([^ ]+) "),
        (b"MYRIGHTS %s", rb"^\* MYRIGHTS ([^ ]+) "),
    ):
        assert ok(c, command % DRAFTS).one(answer).group(1) == DRAFTS
    ok(c, b"SETMETADATA %s (/private/comment \"x\")" % DRAFTS)
    assert ok(c, b"GETMETADATA %s /private/comment" % DRAFTS).one(rb"^\* METADATA ([^ ]+) ").group(1) == DRAFTS
    # a literal says the same; modified UTF-7 is a name like another
    ok(c, b"STATUS {9+}\r\n%s (MESSAGES)" % DRAFTS.strip(b'"'))
    raw_no = raw(c, "STATUS Entw&APw-rfe (MESSAGES)")
    assert raw_no.status == "NO"
    ok(c, 'RENAME "Entwürfe" "日本語/台北"')
    old.ok("STATUS &ZeVnLIqe-/&U,BTFw- (MESSAGES)").one(rb"^\* STATUS &ZeVnLIqe-/&U,BTFw- ")
    ok(c, 'DELETE "日本語/台北"')


@pytest.mark.parametrize(
    "bad, status",
    [
        (b'CREATE "a\xc3"', "BAD"),
        (b'CREATE "a\xe4"', "BAD"),
        (b'STATUS "\xed\xa0\x80" (MESSAGES)', "BAD"),
        (b'SEARCH SUBJECT "\xfc"', "BAD"),
        (b'CREATE "a\xc2\x80"', "NO"),
        (b'CREATE "a\xe2\x80\xa8"', "NO"),
        (b'CREATE {2+}\r\na\xe4', "NO"),
        (b"CREATE a\xc3\xbc", "BAD"),
    ],
)
def test_bad_names(c, bad, status):
    c.select("INBOX")
    assert raw(c, bad).status == status
    assert len(c.ok('LIST "" *').find(rb"^\* LIST")) == 1


def test_append(pair):
    """8-bit text in a header only from who has enabled it; in a body from anybody."""
    c, old = pair
    r = old.no(["APPEND INBOX ", MAIL])
    assert "UTF8=ACCEPT" in r.text
    assert old.no(["APPEND INBOX ", message(), " ", MAIL]).status == "NO"
    assert raw(old, b"APPEND INBOX UTF8 (~{%d+}\r\n%s)" % (len(MAIL), MAIL)).status == "NO"
    late = b"X: " + b"y" * 70000 + b"\r\n" + HEADER
    old.no(["APPEND INBOX ", late])
    old.no(["APPEND INBOX CATENATE (TEXT ", HEADER[:30], " TEXT ", HEADER[30:], ")"])
    body = message(body="Schöne Grüße\r\n")
    old.ok(["APPEND INBOX ", body])
    ok(c, b"APPEND INBOX (\\Seen) UTF8 (~{%d+}\r\n%s) {%d+}\r\n%s" % (len(MAIL), MAIL, len(MAIL), MAIL))
    ok(c, b'APPEND INBOX CATENATE (UTF8 (~{%d+}\r\n%s) TEXT {3+}\r\nx\r\n URL "/INBOX/;UID=2/;SECTION=TEXT")' % (len(HEADER), HEADER))
    assert c.select("INBOX") == 4
    assert [c.body(u) for u in (2, 3, 4)] == [MAIL, MAIL, HEADER + b"x\r\n" + MAIL[len(HEADER) :]]
    # what is there may be used again by anybody
    old.ok('APPEND INBOX CATENATE (URL "/INBOX/;UID=2")')
    old.ok(["APPEND INBOX CATENATE (URL \"/INBOX/;UID=2/;SECTION=HEADER\" TEXT ", "grün\r\n".encode(), ")"])
    for session in pair:
        session.select("INBOX")
        assert "Grüße aus Köln".encode() in session.ok("FETCH 2 ENVELOPE").one(rb"(?s)ENVELOPE .*").group(0)


def test_append_syntax(c):
    for wrong in (
        b"UTF8 {1+}\r\na",
        b"UTF8 ({1+}\r\na)",
        b"UTF8 (~{1+}\r\na",
        b"UTF8 (~{1+}\r\na) x",
        b"UTF8 ~{1+}\r\na",
        b"UTF8 ()",
        b"CATENATE (UTF8 ({1+}\r\na))",
        b"CATENATE (UTF8 (~{1+}\r\na)",
        b"CATENATE (UTF8 ~{1+}\r\na)",
    ):
        assert raw(c, b"APPEND INBOX " + wrong).status == "BAD", wrong
    assert c.select("INBOX") == 0


def test_synchronising(c):
    c.send(b"x APPEND INBOX UTF8 (~{%d}\r\n" % len(MAIL))
    assert c.read_line().startswith(b"+ ")
    c.send(MAIL + b")\r\n")
    assert c.finish("x").status == "OK"
    c.select("INBOX")
    assert c.body(1) == MAIL


def test_charsets(c):
    """RFC 6855 3 and its erratum 4029: all is UTF-8."""
    ok(c, b"APPEND INBOX UTF8 (~{%d+}\r\n%s)" % (len(MAIL), MAIL))
    c.select("INBOX")
    for key in ('SUBJECT "grüsse"', 'SUBJECT "GRÜSSE"', 'SUBJECT {7+}\r\nGrüße', 'FROM "jürgen"', 'BODY "schöne"'):
        r = ok(c, "SEARCH " + key)
        assert r.find(rb"^\* SEARCH( 1)?$"), key
    assert c.uids() == [1]
    assert ok(c, 'SEARCH SUBJECT "Grüße"').one(rb"^\* SEARCH 1$")
    for wrong in ('SEARCH CHARSET UTF-8 SUBJECT "x"', "SEARCH RETURN (ALL) CHARSET US-ASCII ALL", "SORT (DATE) US-ASCII ALL"):
        assert raw(c, wrong).status == "BAD", wrong
    assert raw(c, "THREAD REFERENCES ISO-8859-1 ALL").status == "BAD"
    assert ok(c, "SORT (DATE) UTF-8 ALL").one(rb"^\* SORT 1$")
    assert ok(c, 'THREAD REFERENCES utf-8 SUBJECT "Grüße"').one(rb"^\* THREAD \(1\)$")


def test_other_users(place):  # noqa: F811
    """On the other backend the names are the same, and messages go there and come from there."""
    owner, user = place.user(), place.user()
    with place.server.imap(owner) as o, place.server.imap(user) as c:
        o.ok("CREATE Entw&APw-rfe")
        o.ok("SETACL Entw&APw-rfe %s lrswipkxte" % user)
        c.ok("ENABLE UTF8=ACCEPT")
        name = '"Other Users/%s/Entwürfe"' % owner
        ok(c, b"APPEND %s UTF8 (~{%d+}\r\n%s)" % (name.encode(), len(MAIL), MAIL))
        assert ok(c, "STATUS %s (MESSAGES)" % name).one(rb"^\* STATUS (.*) \(MESSAGES 1\)").group(1) == name.encode()
        ok(c, "SELECT " + name)
        ok(c, "COPY 1 INBOX")
        assert raw(c, "SEARCH CHARSET UTF-8 ALL").status == "BAD"
        ok(c, 'APPEND INBOX CATENATE (URL "/Other%%20Users/%s/Entw%%C3%%BCrfe/;UID=1")' % owner)
        c.select("INBOX")
        assert [c.body(1), c.body(2)] == [MAIL, MAIL]
        ok(c, "UID MOVE 1 " + name)
        found = ok(c, 'LIST "" "Other Users/%s/Ent%%"' % owner).one(rb"^\* LIST .*").group(0)
        assert found.endswith(name.encode())
        ok(c, "CREATE " + name[:-1] + '/ä"')
        ok(c, "DELETE " + name[:-1] + '/ä"')
        o.ok("STATUS Entw&APw-rfe (MESSAGES)").one(rb"MESSAGES 2\)")


def test_copies_need_no_enable(place):  # noqa: F811
    """What a client without UTF-8 copies to another server is not refused there."""
    owner, user = place.user(), place.user()
    with place.server.imap(owner) as o, place.server.imap(user) as c, place.server.imap(user) as new:
        new.ok("ENABLE UTF8=ACCEPT")
        ok(new, b"APPEND INBOX UTF8 (~{%d+}\r\n%s)" % (len(MAIL), MAIL))
        o.ok("SETACL INBOX %s lrsi" % user)
        c.select("INBOX")
        c.ok('COPY 1 "Other Users/%s"' % owner)
        assert o.select("INBOX") == 1 and o.body(1) == MAIL


def test_suppressed(make_imapd):
    """Then there are no rules of RFC 6855."""
    with make_imapd(conf={"suppress_capabilities": "UTF8=ACCEPT"}).imap("fred") as c:
        assert b"UTF8=ACCEPT" not in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1)
        c.ok("ENABLE UTF8=ACCEPT").one(rb"^\* ENABLED ?$")
        c.ok(["APPEND INBOX ", MAIL])
        assert raw(c, b"APPEND INBOX UTF8 (~{1+}\r\na)").status == "BAD"


def test_backend_without(make_murder):
    """Where one server lacks it nobody is offered it, and nobody has to have enabled it."""
    murder = make_murder()
    murder.add_user("anna", 0)
    murder.add_user("ben", 1)
    be = murder.be[1]
    be.stop()
    be.conf["suppress_capabilities"] = "UTF8=ACCEPT"
    be.start()
    with murder.imap("ben") as ben:
        ben.ok("SETACL INBOX anna lr")
    with murder.imap("anna") as c:
        words = c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).split()
        assert b"UTF8=ACCEPT" not in words
        c.ok("ENABLE UTF8=ACCEPT").one(rb"^\* ENABLED ?$")
        c.ok('STATUS "Other Users/ben" (MESSAGES)')
        c.ok(["APPEND INBOX ", MAIL])  # nobody could enable it
