"""METADATA (RFC 5464): annotations of mailboxes and of the server, and the entries that have an effect."""

import os
import re
import shutil
import tempfile

import pytest

from iatlas import Murder, direct, net
from iatlas.clients import message
from iatlas.murder import Frontend
from iatlas.node import ADMIN

VENDOR = "/shared/vendor/cmu/cyrus-imapd/"


@pytest.fixture(scope="module", params=["direct", "frontend"])
def site(request):
    """Where everything may be set: one imapd, or two backends behind a frontend."""
    directory, network, made = tempfile.mkdtemp(prefix="ia-"), net.Network(), None
    conf = {"annotation_allow_undefined": "yes", "allowusermoves": "yes"}
    try:
        if request.param == "direct":
            made = direct.Service(os.path.join(directory, "i"), network.address(), "imap", ["imapd"], conf).start()
            yield made
        else:
            made = Murder(directory, network, conf=conf)
            yield Frontend(made.start())
    finally:
        if made:
            made.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def users(site, request):
    """Two users of this test's own, on different backends where there are two."""
    name = re.sub(r"\W", "", request.node.originalname.replace("test_", ""))
    names = ["a" + name, "b" + name]
    site.make_users(*names)
    return names


def get(c, mailbox, entry, options=""):
    """{entry: value or None}"""
    values = {}
    r = c.ok("GETMETADATA %s%s %s" % (options, mailbox, entry))
    for m in r.find(rb"^\* METADATA (?:\"[^\"]*\"|\S+) \((.*)\)$"):
        for e, quoted, literal in re.findall(rb'"(/[^"]*)" (?:NIL|"((?:[^"\\]|\\.)*)"|~?\{\d+\}\r\n(.*?)(?= "/|$))', m[1], re.S):
            text = literal or re.sub(rb"\\(.)", rb"\1", quoted)
            nil = re.search(re.escape(b'"' + e + b'" NIL'), m[1])
            values[e.decode()] = None if nil else text.decode("latin-1")
    return values


def test_capability(site):
    c = site.imap()
    assert b" METADATA" in c.ok("CAPABILITY").untagged[0]
    assert b"METADATA" not in site.connect().greeting


def test_set_and_get(site, users):
    c = site.imap(users[0])
    assert c.ok("GETMETADATA INBOX /private/comment").untagged == [b'* METADATA INBOX ("/private/comment" NIL)']
    assert c.ok('SETMETADATA INBOX (/private/comment "My new comment" /shared/comment "for \\"you\\"")').untagged == []
    assert c.ok("GETMETADATA inbox (/shared/comment /Private/COMMENT)").untagged == [
        b'* METADATA INBOX ("/shared/comment" "for \\"you\\"" "/Private/COMMENT" "My new comment")'
    ]
    c.ok(["SETMETADATA INBOX (/private/comment ", "My new comment across\r\ntwo lines.\r\n", ")"])
    assert c.ok("GETMETADATA INBOX /private/comment").untagged == [
        b'* METADATA INBOX ("/private/comment" {35}\r\nMy new comment across\r\ntwo lines.\r\n)'
    ]
    # a literal that the client waits with, and one that is binary
    tag = c.start("SETMETADATA INBOX (/private/comment {2}")
    assert c.read_line().startswith(b"+")
    c.send("ab)\r\n")
    assert c.finish(tag).status == "OK"
    c.ok(b"SETMETADATA INBOX (/private/vendor/test/bytes ~{3+}\r\n\0\xff\n)")
    r = c.ok("GETMETADATA INBOX (/private/vendor/test/bytes /private/comment)")
    assert r.untagged == [b'* METADATA INBOX ("/private/vendor/test/bytes" ~{3}\r\n\0\xff\n "/private/comment" "ab")']
    # an empty value is a value, NIL is none; what is not there can be removed
    c.ok('SETMETADATA INBOX (/private/comment "" /shared/comment NIL /shared/vendor/test/none NIL)')
    assert get(c, "INBOX", "(/private/comment /shared/comment)") == {"/private/comment": "", "/shared/comment": None}
    # in another session, and behind a connection of its own
    assert get(site.imap(users[0]), "INBOX", "/private/comment") == {"/private/comment": ""}


def test_syntax(site, users):
    c = site.imap(users[0])
    for wrong in (
        "GETMETADATA",
        "GETMETADATA INBOX",
        "GETMETADATA INBOX ()",
        "GETMETADATA INBOX /comment",
        "GETMETADATA INBOX (/private/a//b)",
        "GETMETADATA INBOX (/private/a/)",
        'GETMETADATA INBOX "/private/a*"',
        "GETMETADATA (DEPTH 3) INBOX /private",
        "GETMETADATA (DEPTH infinity INBOX /private",
        "GETMETADATA INBOX (MAXSIZE x) /private",
        "GETMETADATA INBOX (%s)" % " ".join(["/shared/x"] * 101),
        "SETMETADATA INBOX",
        "SETMETADATA INBOX ()",
        "SETMETADATA INBOX /private/comment NIL",
        "SETMETADATA INBOX (/private/comment)",
        "SETMETADATA INBOX (/private/comment atom)",
        "SETMETADATA INBOX (/private NIL)",
        "SETMETADATA INBOX (/shared/vendor/token NIL)",
        "SETMETADATA INBOX (%s)" % " ".join(["/shared/x NIL"] * 101),
    ):
        c.bad(wrong)
    for missing in ('GETMETADATA nonesuch /shared/comment', "SETMETADATA nonesuch (/shared/comment NIL)"):
        assert "NONEXISTENT" in c.no(missing).text
    c.ok("NOOP")


def test_maxsize_and_depth(site, users):
    c = site.imap(users[0])
    c.ok('SETMETADATA INBOX (/private/filters/values/small "SMALLER 5000" /private/filters/values/boss "FROM")')
    c.ok('SETMETADATA INBOX (/private/filters/values/boss/x "deep" /private/filters/valuesx "no" /private/filters/values ".")')
    base = "(/private/filters/values)"
    small, boss = {"/private/filters/values/small": "SMALLER 5000"}, {"/private/filters/values/boss": "FROM"}
    deep, itself = {"/private/filters/values/boss/x": "deep"}, {"/private/filters/values": "."}
    assert get(c, "INBOX", base) == get(c, "INBOX (DEPTH 0)", base) == itself
    assert get(c, "INBOX (DEPTH 1)", base) == {**itself, **small, **boss}
    assert get(c, "INBOX", base, "(DEPTH infinity) ") == {**itself, **small, **boss, **deep}
    # the sizes: what is over the limit is left out, and the greatest of them told
    r = c.ok("GETMETADATA INBOX (DEPTH infinity MAXSIZE 4) " + base)
    assert r.text.startswith("[METADATA LONGENTRIES 12] ") and b"SMALLER" not in b"".join(r.untagged)
    assert b'"FROM"' in r.untagged[0] and b'"deep"' in r.untagged[0]
    assert "LONGENTRIES" not in c.ok("GETMETADATA INBOX (MAXSIZE 12 DEPTH 1) " + base).text
    r = c.ok("GETMETADATA (MAXSIZE 0) INBOX /private/filters/values")
    assert r.untagged == [] and "[METADATA LONGENTRIES 1]" in r.text
    # nothing below: some response is due; and what is asked for twice is told once
    assert get(c, "INBOX (DEPTH infinity)", "(/private/nothing)") == {"/private/nothing": None}
    r = c.ok("GETMETADATA INBOX (DEPTH infinity) (/private/filters /private/filters/values)")
    assert b"".join(r.untagged).count(b'"SMALLER 5000"') == 1
    everything = get(c, "INBOX (DEPTH infinity)", "(/private /shared)")
    assert everything["/private/filters/valuesx"] == "no" and everything[VENDOR + "size"] == "0"


def test_limits(site, users):
    c = site.imap(users[0])
    c.ok(["SETMETADATA INBOX (/private/comment ", b"x" * 65536, ")"])
    r = c.no(["SETMETADATA INBOX (/shared/comment \"not set\" /private/comment ", b"y" * 65537, ")"])
    assert r.text.startswith("[METADATA MAXSIZE 65536] ")
    assert get(c, "INBOX", "(/shared/comment)") == {"/shared/comment": None}
    assert len(get(c, "INBOX", "/private/comment")["/private/comment"]) == 65536
    for start in (0, 100):
        c.ok("SETMETADATA INBOX (%s)" % " ".join('/private/e%d "v"' % i for i in range(start, start + 100)))
    c.ok("SETMETADATA INBOX (%s)" % " ".join('/private/e%d "v"' % i for i in range(200, 249)))
    # one too many, and none of the others is set
    assert c.no('SETMETADATA INBOX (/private/e0 "changed" /private/one "more")').text.startswith("[METADATA TOOMANY] ")
    assert get(c, "INBOX", "/private/e0") == {"/private/e0": "v"}
    c.ok('SETMETADATA INBOX (/private/e1 NIL /private/one "more")')
    c.ok('SETMETADATA INBOX (/shared/one "more")')
    assert len(get(c, "INBOX (DEPTH infinity MAXSIZE 100)", "/private")) == 249


def test_rights(site, users):
    anna, admin, ben = (site.imap(u) for u in (users[0], ADMIN, users[1]))
    anna.ok("CREATE work")
    work = '"Other Users/%s/work"' % users[0]
    anna.ok('SETMETADATA work (/shared/comment "all" /private/comment "mine")')
    for ask in ("GETMETADATA %s /shared/comment" % work, "SETMETADATA %s (/private/comment \"x\")" % work):
        assert "NONEXISTENT" in ben.no(ask).text
    # `l` alone is not enough (RFC 5464 3.3); with `r` he sees, and has what is private to him
    anna.ok("SETACL work %s l" % users[1])
    assert "NOPERM" in ben.no("GETMETADATA %s /shared/comment" % work).text
    assert "NOPERM" in ben.no('SETMETADATA %s (/private/comment "his")' % work).text
    anna.ok("SETACL work %s lr" % users[1])
    assert get(ben, work, "(/shared/comment /private/comment)") == {"/shared/comment": "all", "/private/comment": None}
    ben.ok('SETMETADATA %s (/private/comment "his")' % work)
    assert "NOPERM" in ben.no('SETMETADATA %s (/shared/comment "x")' % work).text
    assert "NOPERM" in ben.no('SETMETADATA %s (/private/comment "y" /shared/comment "x")' % work).text
    assert get(ben, work, "/private/comment") == {"/private/comment": "his"}
    assert get(anna, "work", "/private/comment") == {"/private/comment": "mine"}
    anna.ok("SETACL work %s lrw" % users[1])
    ben.ok('SETMETADATA %s (/shared/comment "changed")' % work)
    assert "NOPERM" in ben.no('SETMETADATA %s (%sexpire "1")' % (work, VENDOR)).text
    anna.ok('SETMETADATA work (%sexpire "1")' % VENDOR)
    # an administrator sees and sets what is shared, whatever the list says
    assert get(admin, "user/%s/work" % users[0], "/shared/comment") == {"/shared/comment": "changed"}
    admin.ok("SETMETADATA user/%s/work (%sexpire NIL)" % (users[0], VENDOR))
    assert get(anna, "work", VENDOR + "expire") == {VENDOR + "expire": None}


def test_names_that_change(site, users):
    """Annotations follow a mailbox, the INBOX keeps its own, a new mailbox of an old name has none."""
    c = site.imap(users[0])
    c.ok("CREATE old")
    c.ok('SETMETADATA old (/private/comment "p" /shared/comment "s")')
    c.ok("RENAME old new")
    assert get(c, "new", "(/private/comment /shared/comment)") == {"/private/comment": "p", "/shared/comment": "s"}
    c.ok("CREATE old")
    assert get(c, "old", "/shared/comment") == {"/shared/comment": None}
    c.ok("DELETE new")
    c.ok("CREATE new")
    assert get(c, "new", "(/private/comment /shared/comment)") == {"/private/comment": None, "/shared/comment": None}
    c.ok('SETMETADATA INBOX (/private/comment "in")')
    c.ok("RENAME INBOX kept")
    assert get(c, "kept", "/private/comment") == get(c, "INBOX", "/private/comment") == {"/private/comment": "in"}
    c.ok('SETMETADATA INBOX (/private/comment "other")')
    assert get(c, "kept", "/private/comment") == {"/private/comment": "in"}


def test_users_that_change(site, users):
    """A user's private ones go with him, those of his mailboxes and of others'."""
    anna, ben, admin = site.imap(users[0]), site.imap(users[1]), site.imap()
    ben.ok("SETACL INBOX anyone lr")
    anna.ok('SETMETADATA INBOX (/private/comment "mine")')
    anna.ok('SETMETADATA "Other Users/%s" (/private/comment "of his")' % users[1])
    anna.close()
    renamed = "c" + users[0]
    site.add_user(renamed)
    admin.ok("RENAME user/%s user/%s" % (users[0], renamed))
    with site.imap(renamed) as c:
        assert get(c, "INBOX", "/private/comment") == {"/private/comment": "mine"}
        here = get(c, '"Other Users/%s"' % users[1], "/private/comment")
        assert here == {"/private/comment": None if hasattr(site, "murder") else "of his"}
    admin.ok("CREATE user/" + users[0])
    with site.imap(users[0]) as c:
        assert get(c, "INBOX", "/private/comment") == {"/private/comment": None}


def test_users_that_change_messages(site, users):
    """So do those of messages (RFC 5257): in his mailboxes, and in others' of the same server."""

    def told(c, mailbox):
        c.select(mailbox)
        return c.ok("FETCH 1 (ANNOTATION (/comment value.priv))").one(rb"value.priv (\S+?)\)").group(1).decode()

    anna, ben, admin = site.imap(users[0]), site.imap(users[1]), site.imap()
    renamed, bens = "d" + users[0], '"Other Users/%s"' % users[1]
    ben.ok("SETACL INBOX anyone lr")
    anna.append("INBOX", message())
    ben.append("INBOX", message())
    for c, mailbox, value in ((anna, "INBOX", "mine"), (anna, bens, "ofhis"), (ben, "INBOX", "ben")):
        c.select(mailbox)
        c.ok('STORE 1 ANNOTATION (/comment (value.priv "%s"))' % value)
    anna.close()
    site.add_user(renamed)
    admin.ok("RENAME user/%s user/%s" % (users[0], renamed))
    with site.imap(renamed) as c:
        assert told(c, "INBOX") == '"mine"'
        assert told(c, bens) == ("NIL" if hasattr(site, "murder") else '"ofhis"')
    assert told(ben, "INBOX") == '"ben"'


def test_server_entries(site, users):
    c, admin = site.imap(users[0]), site.imap()
    assert get(c, '""', "/shared/comment") == {"/shared/comment": None}
    assert "NOPERM" in c.no('SETMETADATA "" (/shared/comment "x")').text
    c.ok('SETMETADATA "" (/private/vendor/test/x "mine" /private/comment "my server")')
    other = site.imap(users[1])
    assert get(c, '""', "/private/vendor/test/x") == {"/private/vendor/test/x": "mine"}
    assert get(other, '""', "/private/vendor/test/x") == {"/private/vendor/test/x": None}
    free = get(c, '"" (DEPTH infinity)', "(/private /shared)")
    assert free["/private/comment"] == "my server" and re.fullmatch(r"\d+;\d+", free[VENDOR + "freespace/total"])
    if hasattr(site, "murder"):
        # there the server is the INBOX's: who has none has no server
        assert "CANNOT" in admin.no('GETMETADATA "" /shared/comment').text
        assert "CANNOT" in admin.no('SETMETADATA "" (/shared/comment "x")').text
        return
    admin.ok('SETMETADATA "" (/shared/comment "Welcome" /shared/admin "mailto:root@example.org")')
    assert get(c, '""', "(/shared/comment /shared/admin)") == {
        "/shared/comment": "Welcome",
        "/shared/admin": "mailto:root@example.org",
    }
    assert "CANNOT" in admin.no('SETMETADATA "" (/shared/admin "no address")').text
    admin.ok('SETMETADATA "" (/shared/comment NIL /shared/admin NIL)')


def test_what_the_server_knows(site, users):
    c, admin = site.imap(users[0]), site.imap()
    c.append("INBOX", message())
    size = int(c.ok("STATUS INBOX (MESSAGES)") and c.select("INBOX") and c.ok("FETCH 1 RFC822.SIZE").one(rb"SIZE (\d+)")[1])
    known = get(c, "INBOX (DEPTH 1)", VENDOR[:-1])
    assert known[VENDOR + "size"] == str(size) and known[VENDOR + "partition"] == "default"
    assert re.fullmatch(r"[ \d]\d-\w{3}-\d{4} \d\d:\d\d:\d\d \+0000", known[VENDOR + "lastupdate"])
    assert re.fullmatch(r"[A-Za-z0-9-]{8,64}", known[VENDOR + "uniqueid"]) and known[VENDOR + "server"]
    assert known[VENDOR + "sharedseen"] == known[VENDOR + "duplicatedeliver"] == "false"
    assert VENDOR + "expire" not in known
    for name in ("size", "partition", "server", "lastupdate", "uniqueid"):
        assert "CANNOT" in admin.no('SETMETADATA user/%s (%s%s "1")' % (users[0], VENDOR, name)).text
    # what would have no effect is not there, whatever may be set otherwise
    for name in ("lastpop", "pop3newuidl", "news2mail", "nonesuch"):
        assert "CANNOT" in admin.no('SETMETADATA user/%s (%s%s "true")' % (users[0], VENDOR, name)).text
        assert get(admin, "user/" + users[0], VENDOR + name) == {VENDOR + name: None}
    # what administrators' scripts set all the same is kept
    for name, value in (("squat", "true"), ("pop3showafter", " 1-Jan-2026 00:00:00 +0000")):
        admin.ok('SETMETADATA user/%s (%s%s "%s")' % (users[0], VENDOR, name, value))
        assert get(c, "INBOX", VENDOR + name) == {VENDOR + name: value}
        c.ok("SETMETADATA INBOX (%s%s NIL)" % (VENDOR, name))
    for name, wrong in (("squat", "perhaps"), ("pop3showafter", "2026-01-01"), ("expire", "soon"), ("sharedseen", "perhaps"), ("duplicatedeliver", "")):
        assert "CANNOT" in c.no('SETMETADATA INBOX (%s%s "%s")' % (VENDOR, name, wrong)).text
    # an option and an annotation in one command: all, or nothing
    assert "CANNOT" in c.no('SETMETADATA INBOX (%ssharedseen "true" /shared/comment "x" %ssize "1")' % (VENDOR, VENDOR)).text
    assert get(c, "INBOX", "(/shared/comment %ssharedseen)" % VENDOR) == {"/shared/comment": None, VENDOR + "sharedseen": "false"}
    c.ok('SETMETADATA INBOX (%ssharedseen "true" /shared/comment "x")' % VENDOR)
    c.ok('SETMETADATA INBOX (%sduplicatedeliver "1")' % VENDOR)
    assert get(c, "INBOX", "(%ssharedseen %sduplicatedeliver)" % (VENDOR, VENDOR)) == {
        VENDOR + "sharedseen": "true",
        VENDOR + "duplicatedeliver": "true",
    }
    c.ok("SETMETADATA INBOX (%ssharedseen NIL)" % VENDOR)
    assert get(c, "INBOX", VENDOR + "sharedseen") == {VENDOR + "sharedseen": "false"}


def test_list_metadata(site, users):
    """RFC 9590: LIST ... RETURN (METADATA ...), of mailboxes on several servers."""
    c, other = site.imap(users[0]), site.imap(users[1])
    assert b" LIST-METADATA" in c.ok("CAPABILITY").untagged[0]
    for name in ("a", '"b c"'):
        c.ok("CREATE " + name)
    c.ok('SETMETADATA a (/private/comment "p" /shared/comment "s")')
    long = b"line\r\n" * 9000
    other.ok(["SETMETADATA INBOX (/shared/comment ", long, ")"])
    other.ok("SETACL INBOX %s lr" % users[0])
    other.ok("CREATE dim")
    other.ok("SETACL dim %s l" % users[0])
    theirs = b'"Other Users/%s"' % users[1].encode()
    ask = 'LIST "" ("%%" "Other Users/%s*") RETURN (METADATA (/private/comment /shared/comment))' % users[1]
    untagged = c.ok(ask).untagged
    assert sorted(u for u in untagged if not u.startswith(b"* LIST")) == sorted(
        [
            b'* METADATA INBOX ("/private/comment" NIL "/shared/comment" NIL)',
            b'* METADATA a ("/private/comment" "p" "/shared/comment" "s")',
            b'* METADATA "b c" ("/private/comment" NIL "/shared/comment" NIL)',
            b'* METADATA %s ("/private/comment" NIL "/shared/comment" {%d}\r\n%s)' % (theirs, len(long), long),
        ]
    )
    listed = [u.split(b'" ', 1)[1].strip() for u in untagged if u.startswith(b"* LIST")]
    assert {b"INBOX", b"a", b'"b c"', theirs} <= set(listed) and any(b"dim" in name for name in listed)
    for name in (b"INBOX", b"a", b'"b c"', theirs):  # behind its LIST
        where = [i for i, u in enumerate(untagged) if name + b" (" in u or u.endswith(b" " + name)]
        assert len(where) == 2 and untagged[where[0]].startswith(b"* LIST")
    r = c.ok('LIST "" a RETURN (STATUS (MESSAGES) METADATA /shared/comment CHILDREN)')
    r.one(rb'^\* METADATA a \("/shared/comment" "s"\)$')
    r.one(rb"^\* STATUS a \(MESSAGES 0\)$")
    for wrong in ("METADATA", "METADATA ()", "METADATA (/comment)", "METADATA (/shared/comment", "METADATA (/shared/a*)"):
        c.bad('LIST "" * RETURN (%s)' % wrong)
    # more than the output holds
    for i in range(12):
        c.ok("CREATE m%d" % i)
        c.ok(["SETMETADATA m%d (/private/vendor/test/x " % i, b"%02d" % i * 30000, ")"])
    values = c.ok('LIST "" m* RETURN (METADATA /private/vendor/test/x)').find(rb"^\* METADATA m(\d+) .*\{60000\}\r\n(\d+)\)$")
    assert sorted(int(m[1]) for m in values) == list(range(12)) and all(m[2] == b"%02d" % int(m[1]) * 30000 for m in values)


def test_special_use(site, users):
    """RFC 6154 section 4: the entry is what LIST shows."""
    c, other, admin = site.imap(users[0]), site.imap(users[1]), site.imap()
    entry = "/private/specialuse"
    for name in ("Sent", "Old", "Odd"):
        c.ok("CREATE " + name)
    assert get(c, "Sent", entry) == {entry: None}
    c.ok('SETMETADATA Sent (%s "\\\\sent" /private/comment "c")' % entry)
    c.ok('SETMETADATA Odd (%s "\\\\Junk \\\\Trash")' % entry)
    assert get(c, "Sent (DEPTH infinity)", "/private") == {entry: "\\Sent", "/private/comment": "c"}
    if not hasattr(site, "murder") or b" SPECIAL-USE" in c.ok("CAPABILITY").untagged[0]:
        r = c.ok('LIST "" * RETURN (SPECIAL-USE)')
        r.one(rb"^\* LIST \([^)]*\\Sent[^)]*\) \S+ Sent$")
        r.one(rb"^\* LIST \([^)]*\\Junk \\Trash[^)]*\) \S+ Odd$")
    # what it cannot be, and nothing else of the command is done then
    for name, uses in (("Old", "\\\\Sent"), ("Old", "\\\\Nonesuch"), ("Old", "\\\\All"), ("Old", "Sent"), ("INBOX", "\\\\Drafts")):
        said = c.no('SETMETADATA %s (/private/comment "x" %s "%s")' % (name, entry, uses)).text
        assert said.startswith("[USEATTR] "), (name, uses, said)
        assert get(c, name, "(%s /private/comment)" % entry) == {entry: None, "/private/comment": None}
    # it goes with the mailbox, and is its owner's alone
    c.ok("RENAME Sent Sent2")
    c.ok("SETACL Sent2 %s lrswip" % users[1])
    theirs = '"Other Users/%s/Sent2"' % users[0]
    assert get(other, theirs, entry) == {entry: None}
    assert "NOPERM" in other.no('SETMETADATA %s (%s "\\\\Sent")' % (theirs, entry)).text
    assert get(admin, "user/%s/Sent2" % users[0], entry) == {entry: "\\Sent"}
    admin.ok("SETMETADATA user/%s/Sent2 (%s NIL)" % (users[0], entry))
    c.ok('SETMETADATA Old (%s "\\\\Sent")' % entry)
    assert get(c, "Sent2", entry) == {entry: None} and get(c, "Old", entry) == {entry: "\\Sent"}


def test_shared_seen(site, users):
    """What one has read all have read; without it each reader has his own."""
    anna, ben = (site.imap(u) for u in users)
    anna.ok("CREATE pool")
    pool = '"Other Users/%s/pool"' % users[0]
    anna.ok("SETACL pool %s lrs" % users[1])
    for _ in range(2):
        anna.append("pool", message())
    ben.select(pool)
    ben.ok("STORE 1 +FLAGS (\\Seen)")
    ben.ok("UNSELECT")
    unseen = rb"UNSEEN (\d)"
    assert ben.ok("STATUS %s (UNSEEN)" % pool).one(unseen)[1] == b"1"
    assert anna.ok("STATUS pool (UNSEEN)").one(unseen)[1] == b"2"
    anna.ok('SETMETADATA pool (%ssharedseen "true")' % VENDOR)
    assert ben.ok("STATUS %s (UNSEEN)" % pool).one(unseen)[1] == b"2"
    ben.select(pool)
    ben.ok("STORE 2 +FLAGS (\\Seen)")
    assert anna.ok("STATUS pool (UNSEEN)").one(unseen)[1] == b"1"
    anna.select("pool")
    assert anna.uids("SEEN") == [2]


def test_while_selected(site, users):
    """Beside a selected mailbox, pipelined, and with a name that must be quoted."""
    c = site.imap(users[0])
    c.ok('CREATE "a b"')
    c.select("INBOX")
    c.send('x1 SETMETADATA "a b" (/shared/comment "1")\r\nx2 GETMETADATA "a b" /shared/comment\r\nx3 FETCH 1:* FLAGS\r\n')
    assert [c.read_response() for _ in range(4)][1] == b'* METADATA "a b" ("/shared/comment" "1")'
    c.ok("NOOP")
    c.ok("EXAMINE INBOX")
    c.ok('SETMETADATA INBOX (/private/comment "read-only is the selection")')


def test_what_is_defined(make_imapd, workdir):
    """annotation_definitions; nothing else unless annotation_allow_undefined."""
    path = os.path.join(workdir, "definitions")
    with open(path, "w") as f:
        f.write(
            "/vendor/acme/color,mailbox,string,backend,value.shared value.priv,\n"
            "/vendor/acme/count,mailbox,uint,backend,value.shared,a\n"
            "/vendor/acme/motto,server,string,backend,value.priv,\n"
        )
    with make_imapd({"annotation_definitions": path}).imap("fred") as c:
        c.ok('SETMETADATA INBOX (/shared/vendor/acme/Color "red" /private/vendor/acme/color "blue")')
        assert get(c, "INBOX (DEPTH 1)", "/shared/vendor/acme") == {"/shared/vendor/acme/color": "red"}
        c.ok('SETMETADATA INBOX (/shared/vendor/acme/count "7")')
        assert "CANNOT" in c.no('SETMETADATA INBOX (/shared/vendor/acme/count "many")').text
        assert "CANNOT" in c.no('SETMETADATA INBOX (/private/vendor/acme/count "7")').text
        assert "CANNOT" in c.no('SETMETADATA INBOX (/shared/vendor/acme/other "7")').text
        c.ok('SETMETADATA "" (/private/vendor/acme/motto "x")')
        assert "CANNOT" in c.no('SETMETADATA "" (/private/vendor/acme/color "x")').text
    imapd = make_imapd({"annotation_definitions": "/nonesuch", "suppress_capabilities": "METADATA LIST-METADATA"})
    with imapd.imap("fred") as c:
        assert b"METADATA" not in c.ok("CAPABILITY").untagged[0]
        c.bad('LIST "" * RETURN (METADATA (/shared/comment))')
        c.bad("GETMETADATA INBOX /shared/comment")
        c.bad("SETMETADATA INBOX (/shared/comment NIL)")
