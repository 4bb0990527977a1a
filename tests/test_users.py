"""What imapd.conf says of users: virtual domains, prefixes, groups; and how much and how long a client may."""

import time
from base64 import b64encode

import pytest

from iatlas.clients import message
from iatlas.node import ADMIN, PASSWORD
from iatlas.place import places

CONF = {
    "virtdomains": "userid",
    "defaultdomain": "Example.ORG",
    "userprefix": "People",
    "sharedprefix": "Common",
    "admins": "%s murder boss@one.net group:bin" % ADMIN,
}
LIMITS = {"maxargssize": "600", "maxliteral": "300", "maxmessagesize": "2000", "literalminus": "yes"}

place = places(CONF)


@pytest.fixture(scope="module")
def people(place):
    """Users of three domains, of whom daemon and bin are in groups of the system (/etc/group) that have their names."""
    names = ("fred", "ben", "ann@one.net", "fred@one.net", "eve@two.net", "daemon", "bin")
    place.server.make_users(*names)
    place.server.add_user("boss@one.net")
    with place.imap(ADMIN) as c:
        for name in ("news", "plans@one.net", "user/ann/Sub@one.net"):
            c.ok("CREATE " + name)
    return place


def folders(place, user, pattern="*"):
    with place.imap(user) as c:
        return set(c.list("", pattern))


def acl(c, mailbox="INBOX"):
    words = c.ok("GETACL " + mailbox).one(rb"^\* ACL (.*)$").group(1).decode().split()[1:]
    return dict(zip(words[::2], words[1::2]))


# ---- virtual domains, prefixes ----


def test_domains(people):
    assert folders(people, "fred") == {"INBOX", "Common/news"}
    assert folders(people, "fred@one.net") == {"INBOX", "Common/plans"}
    assert folders(people, "ann@one.net") == {"INBOX", "Sub", "Common/plans"}
    assert folders(people, "eve@two.net") == {"INBOX"}
    with people.imap("fred@one.net") as c, people.imap("fred") as d:
        c.append("INBOX", message())
        assert (c.select("INBOX"), d.select("INBOX")) == (1, 0)
        assert acl(c).keys() == {"fred@one.net"} and acl(d).keys() == {"fred"}
        for wrong in ('"Common/plans@one.net"', '"People/ann@one.net"', '"Common/news"'):
            assert "NONEXISTENT" in c.no("SELECT " + wrong).text
    # an administrator of one domain sees that, one of all sees all
    assert folders(people, "boss@one.net") == {"plans", "user/ann", "user/ann/Sub", "user/fred"}
    everything = folders(people, ADMIN)
    assert {"news", "plans@one.net", "user/ann@one.net", "user/ann/Sub@one.net", "user/fred", "user/eve@two.net"} <= everything
    with people.imap("boss@one.net") as c:
        c.no("SELECT user/eve@two.net")
        for name in ("user/ann/Sub", "user/ann/Sub@one.net", "user/ann/Sub@One.Net"):
            c.ok("SETACL %s boss@one.net lr" % name)
            assert c.select(name) == 0


@pytest.mark.parametrize("how", ["LOGIN", "AUTHENTICATE"])
def test_default_domain(people, how):
    """Who writes it is the same user; his password is kept without."""
    for name in ("fred@example.org", "FRED@Example.Org"):
        plain = b64encode(("\0%s\0%s" % (name, PASSWORD)).encode()).decode()
        with people.connect() as c:
            c.ok("LOGIN %s %s" % (name, PASSWORD) if how == "LOGIN" else "AUTHENTICATE PLAIN " + plain)
            assert acl(c).keys() == {"fred"}
    with people.connect() as c:
        c.no("LOGIN fred@example.net " + PASSWORD)


def test_prefixes(people):
    with people.imap("ben") as c:
        c.ok("NAMESPACE").one(rb'^\* NAMESPACE \(\("" "/"\)\) \(\("People/" "/"\)\) \(\("Common/" "/"\)\)$')
        c.ok("SETACL INBOX fred lr")
    assert folders(people, "fred", "People/%") == {"People/ben"}
    assert folders(people, "fred", "Other Users/*") == set() == folders(people, "fred", "Shared Folders/*")
    with people.imap("fred") as c:
        assert c.select("People/ben") == 0
        assert c.select("Common/news") == 0
        c.no("SELECT \"Other Users/ben\"")
    with people.imap("ben") as c:
        c.ok("DELETEACL INBOX fred")


# ---- identifiers, groups ----


def test_identifiers(people):
    """An entry means the user whom its name is another name of."""
    with people.imap("ben") as c, people.imap("fred") as d:
        for name in ("fred@example.org", "Fred", "FRED@EXAMPLE.ORG"):
            c.ok("SETACL INBOX %s lr" % name)
            assert acl(c) == {"ben": "lrswipkxtecdan", "fred": "lr"}
            d.ok("MYRIGHTS People/ben").one(rb" lr$")
            c.ok("SETACL INBOX -%s r" % name)
            d.ok("MYRIGHTS People/ben").one(rb" l$")
            c.ok("DELETEACL INBOX -" + name)
            c.ok("DELETEACL INBOX " + name)
            assert acl(c).keys() == {"ben"}
        c.ok("SETACL INBOX Fred@ONE.net lr")
        assert acl(c).keys() == {"ben", "fred@one.net"}
        assert "NONEXISTENT" in d.no("SELECT People/ben").text
        c.ok("DELETEACL INBOX fred@one.net")
        c.ok("LISTRIGHTS INBOX BEN@example.org").one(rb"LISTRIGHTS INBOX \S+ lkxca")


def test_groups(people):
    with people.imap("ben") as c, people.imap("daemon") as d, people.imap("fred") as other:
        for session in (d, other):
            assert "NONEXISTENT" in session.no("SELECT People/ben").text
        c.ok("SETACL INBOX group:daemon lrs")
        assert d.list("", "People/*") == ["People/ben"] and d.select("People/ben") == 0
        assert other.list("", "People/*") == [] and "NONEXISTENT" in other.no("SELECT People/ben").text
        d.ok("MYRIGHTS People/ben").one(rb" lrs$")
        # what he has himself is added, what the group or he is denied is taken
        c.ok("SETACL INBOX daemon i")
        d.ok("MYRIGHTS People/ben").one(rb" lrsi$")
        c.ok("SETACL INBOX -group:daemon s")
        d.ok("MYRIGHTS People/ben").one(rb" lri$")
        assert acl(c) == {"ben": "lrswipkxtecdan", "group:daemon": "lrs", "daemon": "i", "-group:daemon": "s"}
        for name in ("group:daemon", "daemon", "-group:daemon"):
            c.ok("DELETEACL INBOX " + name)
        assert "NONEXISTENT" in d.no("SELECT People/ben").text
        # nobody can be in these
        for name in ("group:nosuchgroup", '"group:no such"', "-group:nosuchgroup", "group:", "group:DAEMON"):
            assert "CANNOT" in c.no("SETACL INBOX %s l" % name).text
        c.ok("DELETEACL INBOX group:nosuchgroup")
        c.ok("SETACL INBOX group:nosuchgroup -l")
        assert acl(c).keys() == {"ben"}


def test_group_of_administrators(people):
    assert "user/ben" in folders(people, "bin")
    assert "user/ben" not in folders(people, "daemon")


def test_no_groups(make_imapd):
    server = make_imapd({"unix_group_enable": "no", "admins": ADMIN + " group:bin"}, users=("fred", "daemon", "bin"))
    with server.imap("fred") as c:
        c.ok("SETACL INBOX group:daemon lrs")
    for user in ("daemon", "bin"):
        assert folders(server, user) == {"INBOX"}


def test_no_domains(make_imapd):
    """Names with an @ are of other realms, which have to be named; mailboxes may have one."""
    server = make_imapd({"loginrealms": "one.net", "defaultdomain": "example.org"}, users=("fred",))
    server.add_user("ann@one.net", "eve@two.net", "fred@example.org")
    with server.imap() as c:
        c.ok("CREATE user/ann@one.net")
    assert folders(server, "ann@one.net") == {"INBOX"}
    for name in ("eve@two.net", "fred@example.org"):
        with server.connect() as c:
            c.no("LOGIN %s %s" % (name, PASSWORD))


# ---- how much ----


def test_limits(make_imapd):
    with make_imapd(LIMITS).imap("fred") as c:
        words = c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
        assert b"APPENDLIMIT=2000" in words or b"APPENDLIMIT" in words
        # a command, in one line and with its literals
        c.no("STATUS %s (MESSAGES)" % ("x" * 480))
        assert c.bad("STATUS %s (MESSAGES)" % ("x" * 600)).text == "Command too long"
        c.no(["STATUS ", b"x" * 300, " (MESSAGES)"])
        c.bad(["STATUS ", b"x" * 300, " (MESSAGES%s)" % (b" MESSAGES" * 40)])
        # a literal
        assert "Literal too big" in c.bad(["STATUS ", b"x" * 301, " (MESSAGES)"]).text
        c.send("x STATUS {301}\r\n")
        assert c.read_response().startswith(b"x BAD")
        # LITERAL-: of a message too
        assert "TOOBIG" in c.bad(["APPEND INBOX ", b"x" * 4097]).text
        # a message: APPENDLIMIT
        text = message()
        c.ok(["APPEND INBOX ", text + b"x" * (2000 - len(text))])
        for size in (2001, 4096):
            assert "TOOBIG" in c.no(["APPEND INBOX ", text + b"x" * (size - len(text))]).text
            c.send("x APPEND INBOX {%d}\r\n" % size)
            assert c.read_response().startswith(b"x NO [TOOBIG]")
        c.ok("STATUS INBOX (APPENDLIMIT MESSAGES)").one(rb"\((APPENDLIMIT 2000 MESSAGES 1|MESSAGES 1 APPENDLIMIT 2000)\)")


# ---- how long ----


def test_silence(make_imapd):
    """timeout, and imapidletimeout for who idles: each counts from the last word."""
    server = make_imapd({"timeout": "1s", "imapidletimeout": "2s"}, users=())
    server.add_user("fred")
    began = time.monotonic()
    with server.connect() as silent, server.connect() as idle:
        silent.send("a LOGIN fred %s\r\n" % PASSWORD)
        idle.send("a LOGIN fred %s\r\nb IDLE\r\n" % PASSWORD)
        assert silent.finish("a").status == "OK" == idle.finish("a").status
        assert idle.read_line() == b"+ idling"
        for c, least in ((silent, 1), (idle, 2)):
            assert c.read_response().startswith(b"* BYE ")
            assert time.monotonic() - began >= least
            with pytest.raises((EOFError, ConnectionError)):
                c.read_line()
