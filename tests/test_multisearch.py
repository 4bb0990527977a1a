"""ESEARCH (RFC 7377): a search of several mailboxes, on one server and over the backends behind a frontend."""

import json
import re
import shutil
import tempfile
import threading

import pytest

from iatlas import Murder, direct, net
from iatlas.clients import message
from iatlas.fake import GREETING, Fake, put
from iatlas.murder import Frontend


@pytest.fixture(scope="module", params=["direct", "frontend"])
def served(request):
    """One server for the module's tests: each makes users of its own, on two backends in turn behind the frontend."""
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    made = None
    try:
        if request.param == "direct":
            made = direct.Service(directory + "/i", network.address(), "imap", ["imapd"]).start()
            yield made
        else:
            made = Murder(directory, network).start()
            yield Frontend(made)
    finally:
        if made:
            made.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def users(served):
    """Two new users: with a frontend, on different backends."""
    number = getattr(served, "made_users", 0)
    served.made_users = number + 1
    names = ("fred%d" % number, "bob%d" % number)
    served.make_users(*names)
    return names


RESPONSE = re.compile(rb'^\* ESEARCH \(TAG "([^"]+)" MAILBOX ("[^"]*"|[^ ]+) UIDVALIDITY (\d+)\) UID( .*)?$')


def results(r, tag):
    """{mailbox: what is told of it}, each mailbox once, nothing else told."""
    found = {}
    for line in r.untagged:
        m = RESPONSE.match(line)
        assert m and m.group(1) == tag.encode() and int(m.group(3)) > 0, line
        name = m.group(2).strip(b'"').decode()
        assert name not in found, "%s is told twice" % name
        found[name] = (m.group(4) or b"").decode().strip()
    return found


def ask(c, rest):
    tag = c.start("ESEARCH " + rest if isinstance(rest, str) else ["ESEARCH " + rest[0], *rest[1:]])
    r = c.finish(tag)
    assert r.status == "OK", r
    return results(r, tag)


@pytest.fixture
def garden(served, users):
    """fred's mailboxes, and three of bob's: a shelf that he may read, a drawer of which he may not know, and one that he may
    read and not see.  A red and a green message in each, the INBOX has three red ones between."""
    c, bob = served.imap(users[0]), served.imap(users[1])
    for name in ("Fruit", "Fruit/Apple", "Fruit/Apple/Red", "Tofu", "far/off"):
        c.ok("CREATE " + name)
    for name in ("shelf", "shelf/low", "drawer", "hidden"):
        bob.ok("CREATE " + name)
    bob.ok("SETACL shelf %s lr" % users[0])
    bob.ok("SETACL shelf/low %s lr" % users[0])
    bob.ok("SETACL hidden %s r" % users[0])
    for who, names in ((c, ("INBOX", "Fruit", "Fruit/Apple", "Fruit/Apple/Red", "far/off")), (bob, ("shelf", "shelf/low", "drawer", "hidden"))):
        for name in names:
            who.append(name, message(subject="red"))
            who.append(name, message(subject="green"))
    for _ in range(2):
        c.append("INBOX", message(subject="red"))
    c.bob, c.other = bob, "Other Users/%s/" % users[1]
    c.again = lambda: served.imap(users[0])
    return c


MINE = {"INBOX", "Fruit", "Fruit/Apple", "Fruit/Apple/Red", "far/off"}


def test_sources(garden):
    """RFC 5465 section 6, RFC 7377 section 2.2: each way to say which."""
    c, shelf = garden, garden.other + "shelf"
    green = dict.fromkeys(MINE, "ALL 2")
    assert ask(c, "IN (personal) SUBJECT green") == green
    assert ask(c, "in (Inboxes) return () subject green") == green
    assert ask(c, "IN (mailboxes (Fruit tofu inbox)) SUBJECT red") == {"Fruit": "ALL 1", "INBOX": "ALL 1,3:4"}
    assert ask(c, 'IN (mailboxes "Fruit") SUBJECT red') == {"Fruit": "ALL 1"}
    assert ask(c, 'IN (mailboxes (Fruit "%s" nope "%sdrawer")) ALL' % (shelf, c.other)) == {"Fruit": "ALL 1:2", shelf: "ALL 1:2"}
    assert ask(c, "IN (subtree Fruit) SUBJECT green") == dict.fromkeys(("Fruit", "Fruit/Apple", "Fruit/Apple/Red"), "ALL 2")
    assert ask(c, "IN (subtree-one Fruit) SUBJECT green") == dict.fromkeys(("Fruit", "Fruit/Apple"), "ALL 2")
    assert ask(c, "IN (subtree far/) SUBJECT green") == {"far/off": "ALL 2"}
    assert ask(c, "IN (subtree inbox) SUBJECT green") == {"INBOX": "ALL 2"}
    assert ask(c, 'IN (subtree "Other Users") 1') == {shelf: "ALL 1", shelf + "/low": "ALL 1"}
    assert ask(c, 'IN (subtree-one ("%s" Tofu)) 2' % shelf) == {shelf: "ALL 2", shelf + "/low": "ALL 2"}
    assert ask(c, 'IN (subtree "Fruit/%") ALL') == {}
    c.ok("SUBSCRIBE Fruit")
    c.ok('SUBSCRIBE "%s"' % shelf)
    c.ok("SUBSCRIBE Tofu")
    assert ask(c, "IN (subscribed) SUBJECT green") == {"Fruit": "ALL 2", shelf: "ALL 2"}
    # together, each once
    assert ask(c, "IN (subscribed personal subtree Fruit mailboxes (INBOX INBOX)) SUBJECT green") == {**green, shelf: "ALL 2"}


def test_rights(garden, users):
    """Named: r; found: l too; nothing tells what else there is.  Rights that change count at once."""
    c, hidden, drawer = garden, garden.other + "hidden", garden.other + "drawer"
    assert ask(c, 'IN (mailboxes ("%s" "%s" "%snone")) ALL' % (hidden, drawer, c.other)) == {hidden: "ALL 1:2"}
    assert ask(c, 'IN (subtree "%s") ALL' % hidden) == {hidden: "ALL 1:2"}
    c.bob.ok("SETACL drawer %s l" % users[0])
    assert ask(c, 'IN (subtree "Other Users") SUBJECT red').keys() == {c.other + "shelf", c.other + "shelf/low"}
    c.bob.ok("DELETEACL shelf %s" % users[0])
    c.ok("STATUS INBOX (MESSAGES)")
    assert ask(c, 'IN (mailboxes "%sshelf") ALL' % c.other) == {}


def test_selected(garden):
    """The selected mailbox, by its word, by default, and among others: as this session sees it; it stays selected."""
    c = garden
    c.select("INBOX", "EXAMINE")
    assert ask(c, "SUBJECT red") == ask(c, "IN (selected) SUBJECT red") == {"INBOX": "ALL 1,3:4"}
    assert ask(c, "IN (selected) RETURN (COUNT) SUBJECT blue") == ask(c, "SUBJECT blue") == {}
    assert ask(c, "IN (selected mailboxes INBOX subtree Fruit) SUBJECT green").keys() == {"INBOX", "Fruit", "Fruit/Apple", "Fruit/Apple/Red"}
    # message numbers are the mailbox's own, and may be beyond its end (section 2)
    assert ask(c, "IN (selected mailboxes (Fruit Tofu)) 3:100") == {"INBOX": "ALL 3:4"}
    assert ask(c, "101:200") == {}
    assert ask(c, "IN (selected mailboxes Fruit) *") == {"INBOX": "ALL 4", "Fruit": "ALL 2"}
    assert c.ok("SEARCH 1").untagged == [b"* SEARCH 1"]
    c.ok("UNSELECT")
    assert "select" in c.bad("ESEARCH ALL").text
    c.bad("ESEARCH IN (selected) ALL")
    c.bad("ESEARCH IN (personal selected) ALL")
    assert ask(c, "IN (mailboxes INBOX) SUBJECT green") == {"INBOX": "ALL 2"}
    c.ok("NOOP")


def test_view(garden):
    """No EXPUNGE is told before the answer (it may use message numbers), and numbers are those of before."""
    c = garden
    c.select("INBOX")
    with c.again() as other:
        other.select("INBOX")
        other.ok("STORE 1 +FLAGS (\\Deleted)")
        other.ok("EXPUNGE")
    r = c.ok("ESEARCH IN (selected mailboxes Fruit) 2")
    assert not any(b"EXPUNGE" in u for u in r.untagged)
    told = [u for u in r.untagged if b"ESEARCH" in u]
    assert sorted(RESPONSE.match(u).group(4) for u in told) == [b" ALL 2", b" ALL 2"]
    assert b"* 1 EXPUNGE" in c.ok("NOOP").untagged


def test_returns(garden):
    """RFC 4731, 9394, for each mailbox by itself; nothing of those without a hit."""
    c = garden
    assert ask(c, "IN (mailboxes (INBOX Fruit Tofu)) RETURN (MIN MAX COUNT) SUBJECT red") == {
        "INBOX": "MIN 1 MAX 4 COUNT 3",
        "Fruit": "MIN 1 MAX 1 COUNT 1",
    }
    assert ask(c, "IN (mailboxes (INBOX Fruit)) RETURN (MIN) ALL") == {"INBOX": "MIN 1", "Fruit": "MIN 1"}
    assert ask(c, "IN (mailboxes (INBOX Fruit Tofu)) RETURN (PARTIAL 2:3) SUBJECT red") == {
        "INBOX": "PARTIAL (2:3 3:4)",
        "Fruit": "PARTIAL (2:3 NIL)",
    }
    assert ask(c, "IN (mailboxes (INBOX Fruit)) RETURN (PARTIAL -1:-1 COUNT) ALL") == {
        "INBOX": "COUNT 4 PARTIAL (-1:-1 4)",
        "Fruit": "COUNT 2 PARTIAL (-1:-1 2)",
    }
    told = ask(c, "IN (mailboxes (INBOX Fruit)) MODSEQ 1")
    assert told.keys() == {"INBOX", "Fruit"} and all(re.fullmatch(r"ALL 1:\d MODSEQ \d+", v) for v in told.values())
    assert ask(c, "IN (mailboxes (INBOX Fruit)) YOUNGER 86400") == {"INBOX": "ALL 1:4", "Fruit": "ALL 1:2"}
    assert ask(c, "IN (mailboxes (INBOX Fruit)) OLDER 86400") == {}


def test_charsets(garden):
    """Literals and charsets go to each server as they came."""
    c = garden
    for name in ("Fruit", "Tofu"):
        c.append(name, message(subject="=?utf-8?q?Gr=C3=B6=C3=9Fe?="))
    c.bob.append("shelf", message(subject="=?utf-8?q?Gr=C3=B6=C3=9Fe?="))
    where = 'IN (personal mailboxes "%sshelf") ' % c.other
    expected = {"Fruit": "ALL 3", "Tofu": "ALL 1", c.other + "shelf": "ALL 3"}
    assert ask(c, [where + "CHARSET UTF-8 SUBJECT ", "GRÖßE"]) == expected
    assert ask(c, [where + "RETURN () CHARSET iso-8859-1 SUBJECT ", "größe".encode("latin-1"), " UNSEEN"]) == expected
    # a literal that waits to be asked for
    c.send(b"w1 ESEARCH " + where.encode() + b"CHARSET UTF-8 SUBJECT {5}\r\n")
    assert c.read_line().startswith(b"+")
    c.send("ößE".encode() + b"\r\n")
    assert results(c.finish("w1"), "w1") == expected
    r = c.no("ESEARCH " + where + "CHARSET x-nothing SUBJECT a")
    assert r.text.startswith("[BADCHARSET (") and r.untagged == []


def test_saved(garden):
    """RFC 5182: SAVE is for the selected mailbox alone; `$` is what it was there, and nothing elsewhere."""
    c = garden
    c.select("INBOX")
    tag = c.start("ESEARCH RETURN (SAVE) SUBJECT red")
    r = c.finish(tag)
    assert (r.status, r.untagged) == ("OK", [])
    assert c.uids("$") == [1, 3, 4]
    assert ask(c, "IN (selected) RETURN (SAVE MIN) SUBJECT green") == {"INBOX": "MIN 2"}
    assert c.uids("$") == [2]
    assert ask(c, "$") == {"INBOX": "ALL 2"}
    assert ask(c, "IN (selected mailboxes Fruit) $") == {"INBOX": "ALL 2"}
    for where in ("IN (mailboxes INBOX)", "IN (selected personal)", "IN (personal)"):
        c.bad("ESEARCH %s RETURN (SAVE) ALL" % where)
    assert c.uids("$") == [2]
    c.no("ESEARCH RETURN (SAVE) CHARSET x-nothing SUBJECT a")
    assert c.uids("$") == []  # RFC 5182 section 2.1


BAD = [
    "",
    "IN (personal)",
    "IN (personal) ",
    "IN () ALL",
    "IN personal ALL",
    "IN (personal ALL",
    "IN (personal)ALL",
    "IN (selected-delayed) ALL",
    "IN (all) ALL",
    "IN (mailboxes) ALL",
    "IN (mailboxes ()) ALL",
    "IN (mailboxes (INBOX) ALL",
    "IN (subtree-two INBOX) ALL",
    "IN (personal (fuzzy 1)) ALL",
    "IN (personal)  ALL",
    "IN (personal) RETURN (CONTEXT) ALL",
    "IN (personal) RETURN (ALL PARTIAL 1:2) ALL",
    "IN (personal) FROB",
    "IN (mailboxes nothing) FROB",
    "IN (personal) RETURN () CHARSET UTF-8",
    "IN (personal) NOT",
    'IN (mailboxes "INBOX) ALL',
    "IN (mailboxes IN%BOX) ALL",
]


def test_syntax(garden):
    c = garden
    for rest in BAD:
        r = c.bad("ESEARCH " + rest)
        assert r.untagged == [], rest
    c.bad("UID ESEARCH IN (personal) ALL")
    many = " ".join("m%d" % i for i in range(1000))
    assert ask(c, "IN (mailboxes (%s)) ALL" % many) == {}
    assert c.no("ESEARCH IN (mailboxes (%s INBOX)) ALL" % many).text.startswith("[LIMIT]")
    ask(c, "IN (%s) SUBJECT nothing" % " ".join(["personal"] * 100))
    assert c.no("ESEARCH IN (%s) ALL" % " ".join(["personal"] * 101)).text.startswith("[LIMIT]")
    assert "MULTISEARCH" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).decode().split()


def test_pipelined(garden):
    """Tags tell which response is whose."""
    c = garden
    one = c.start("ESEARCH IN (mailboxes (Fruit Tofu)) SUBJECT red")
    two = c.start('ESEARCH IN (subtree Fruit mailboxes "%sshelf") RETURN (COUNT) ALL' % c.other)
    assert results(c.finish(one), one) == {"Fruit": "ALL 1"}
    assert results(c.finish(two), two) == dict.fromkeys(("Fruit", "Fruit/Apple", "Fruit/Apple/Red", c.other + "shelf"), "COUNT 2")


def test_many(served, users):
    """More mailboxes than one command to a backend has; others' sessions have their turn meanwhile."""
    c = served.imap(users[0])
    names = ["m/%03d-%s" % (i, "x" * 80) for i in range(90)]
    tags = [c.start("CREATE " + n) for n in names]
    for tag in tags:
        assert c.finish(tag).status == "OK"
    for name in names[::20]:
        c.append(name, message(subject="needle"))
    expected = dict.fromkeys(names[::20], "ALL 1")
    assert ask(c, "IN (personal) SUBJECT needle") == expected
    c.select(names[20])
    assert ask(c, "IN (selected subtree m) SUBJECT needle") == expected
    assert ask(c, ["IN (subtree m) SUBJECT ", "needle", " TEXT ", "needle"]) == expected


def test_suppressed(make_imapd):
    with make_imapd(conf={"suppress_capabilities": "MULTISEARCH"}).imap("fred") as c:
        assert b"MULTISEARCH" not in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
        assert c.bad("ESEARCH IN (personal) ALL").text == "Unrecognized command"


@pytest.mark.slow
def test_bound(make_imapd):
    """Administrators see many mailboxes: too many are refused before anything is searched, others' at once."""
    imapd = make_imapd()
    entry = {"mbtype": "e", "uniqueid": "", "partition": "default", "acl": {"anyone": "lr"}, "uidvalidity": 1}
    many = {"many.%d" % i: dict(entry, uniqueid="00000000-0000-0000-0000-%012d" % i) for i in range(10001)}
    imapd.command("ctl_mboxlist", "-u", input=json.dumps(many))
    with imapd.imap("fred") as c:
        r = c.no('ESEARCH IN (subtree "Shared Folders") ALL')
        assert r.text == "[LIMIT] More than 10000 mailboxes" and r.untagged == []
        c.append("INBOX", message())
        assert ask(c, "IN (personal) ALL") == {"INBOX": "ALL 1"}


# ---- behind a frontend only ----


@pytest.fixture(scope="module")
def murder():
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    made = Murder(directory, network, conf={"imap_inprogress_interval": "1s", "backend_timeout": "20s"})
    try:
        yield made.start()
    finally:
        made.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


WITH = GREETING.replace(b"IMAP4rev1", b"IMAP4rev1 MULTISEARCH ESEARCH")


def test_interleaved(murder):
    """A server stops in the middle of a response: what the others say meanwhile waits for its end."""
    murder.add_user("ivan", 0)
    half, other = threading.Event(), threading.Event()
    uids = ",".join(str(2 * i) for i in range(1, 20000))
    head = '* ESEARCH (TAG "%s" MAILBOX "Other Users/far1/%s" UIDVALIDITY 7) UID ALL '

    def halting(s, tag, text):
        if not text.startswith("ESEARCH"):
            return False
        s.send(head % (tag, "a") + uids[:50000])
        half.set()
        assert other.wait(20)
        s.send(uids[50000:] + "\r\n%s OK done\r\n" % tag)
        return True

    def following(s, tag, text):
        if not text.startswith("ESEARCH"):
            return False
        assert half.wait(20)
        s.send(head % (tag, "b") + uids + "\r\n")
        s.send(head % (tag, "c") + "1\r\n%s OK done\r\n" % tag)
        other.set()
        return True

    fakes = [Fake(murder.network.address(), f, greeting=WITH) for f in (halting, following)]
    try:
        murder.add_user("far1", mailbox=False)
        for name, fake in (("a", fakes[0]), ("b", fakes[1]), ("c", fakes[1])):
            put(murder, fake, "user.far1." + name, acl="anyone\tlr\t")
        with murder.imap("ivan") as c:
            c.append("INBOX", message())
            for where in ('subtree "Other Users/far1" personal', 'personal mailboxes ("Other Users/far1/b" "Other Users/far1/a")'):
                half.clear()
                other.clear()
                assert ask(c, "IN (%s) ALL" % where) == {"INBOX": "ALL 1", **{"Other Users/far1/" + n: "ALL " + u for n, u in zip("abc", (uids, uids, "1"))}}
        assert not any(f.errors for f in fakes)
    finally:
        for fake in fakes:
            fake.close()


def test_one_server_fails(murder):
    """What the others find is told; the answer is a NO that says which is missing, and the session goes on."""
    murder.add_user("john", 0)
    murder.add_user("far2", mailbox=False)

    def handler(s, tag, text):
        if text.startswith("ESEARCH"):
            s.drop()
            return True
        return False

    fake = Fake(murder.network.address(), handler, greeting=WITH)
    try:
        put(murder, fake, "user.far2.x", acl="anyone\tlr\t")
        with murder.imap("john") as c:
            c.append("INBOX", message())
            tag = c.start('ESEARCH IN (personal mailboxes "Other Users/far2/x") ALL')
            r = c.finish(tag)
            assert r.status == "NO" and r.text.startswith("[UNAVAILABLE]"), r
            assert results(r, tag) == {"INBOX": "ALL 1"}
            assert ask(c, "IN (personal) ALL") == {"INBOX": "ALL 1"}
    finally:
        fake.close()


def test_lacking(murder):
    """A server without it: not announced, NO [CANNOT] for its mailboxes, and the rest is told."""
    murder.add_user("karl", 0)
    murder.add_user("far3", mailbox=False)
    fake = Fake(murder.network.address())
    try:
        put(murder, fake, "user.far3.x", acl="anyone\tlr\t")
        with murder.imap("karl") as c:
            c.append("INBOX", message())
            tag = c.start('ESEARCH IN (personal mailboxes "Other Users/far3/x") ALL')
            r = c.finish(tag)
            assert r.status == "NO" and r.text == "[CANNOT] Server %s does not have MULTISEARCH" % fake.name, r
            assert results(r, tag) == {"INBOX": "ALL 1"}
            assert fake.commands(b"ESEARCH") == []
            assert b"MULTISEARCH" not in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
            assert ask(c, "IN (personal) ALL") == {"INBOX": "ALL 1"}
    finally:
        fake.close()
