"""ANNOTATE-EXPERIMENT-1 (RFC 5257): annotations of messages, on one server and through the frontend."""

import os
import re
import shutil
import tempfile

import pytest

from iatlas import Murder, direct, net
from iatlas.clients import message
from iatlas.fake import Fake, put
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


MIXED = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\n"


@pytest.fixture
def c(served, users):
    """fred, with three messages in his INBOX; bob may read and annotate it."""
    c = served.imap(users[0])
    for i in range(2):
        c.append("INBOX", message(subject="m%d" % i))
    c.append("INBOX", MIXED)
    c.ok("SETACL INBOX %s lrsn" % users[1])
    c.select("INBOX")
    c.fred, c.bob = users
    c.other = served.imap(users[1])
    c.inbox = '"Other Users/%s"' % users[0]
    c.again = lambda: served.imap(users[0])
    c.bobs = '"Other Users/%s/box"' % users[1]
    return c


def told(c, n, what, uid=False):
    """What FETCH tells of a message's annotations; None: nothing."""
    r = c.ok("%sFETCH %d (ANNOTATION %s)" % ("UID " if uid else "", n, what))
    found = [u for u in r.untagged if b" FETCH (" in u and b"FLAGS (" not in u]  # beside the news
    assert len(found) == 1, r
    m = re.search(rb"ANNOTATION (\(.*\))\)$", found[0], re.S)
    return m.group(1).decode() if m else None


def test_announced(c):
    assert b"ANNOTATE-EXPERIMENT-1" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
    assert b"* OK [ANNOTATIONS 16384] Ok" in c.ok("SELECT INBOX").untagged
    assert b"* OK [ANNOTATIONS READ-ONLY] Ok" in c.ok("EXAMINE INBOX (ANNOTATE)").untagged
    assert b"* OK [ANNOTATIONS 16384] Ok" in c.ok("SELECT INBOX (CONDSTORE ANNOTATE)").untagged
    c.bad("SELECT INBOX (ANNOTATE ANNOTATE)")


def test_examples(c):
    """Sections 4.3 to 4.5."""
    assert c.ok('STORE 1 ANNOTATION (/comment (value.priv "My comment"))').untagged == []
    assert told(c, 1, "(/comment value)") == '(/comment (value.priv "My comment" value.shared NIL))'
    assert told(c, 1, "(/comment (value size))") == '(/comment (value.priv "My comment" value.shared NIL size.priv "10" size.shared "0"))'
    c.ok('STORE 1 ANNOTATION (/comment (value.shared "Group note" value.priv "Get tix Tuesday") /altsubject (value.priv "Wots On"))')
    assert told(c, 1, "((/comment /altsubject) value.priv)") == '(/comment (value.priv "Get tix Tuesday") /altsubject (value.priv "Wots On"))'
    assert told(c, 1, "(/% value.shared)") == '(/comment (value.shared "Group note"))'
    assert told(c, 1, "(/* size.priv)") == '(/altsubject (size.priv "7") /comment (size.priv "15"))'
    c.ok("STORE 1 ANNOTATION (/comment (value.shared NIL))")
    assert told(c, 1, "(/* value.shared)") is None
    assert told(c, 2, "(/altsubject (value.shared size))") == '(/altsubject (value.shared NIL size.priv "0" size.shared "0"))'
    assert c.ok("FETCH 2 (ANNOTATION (/* value))").untagged == [b"* 2 FETCH (UID 2)"]
    # a pattern in a command that is refused, or in what NOTIFY fetches, leaves nothing behind
    c.bad("FETCH 1 (ANNOTATION (/* value) NOTHING)")
    c.bad("FETCH 1 (ANNOTATION (/* value)) (PARTIAL 1:2)")
    c.ok("NOTIFY SET (selected (MessageNew (ANNOTATION (/* value)) MessageExpunge))")
    c.bad("NOTIFY SET (selected (MessageNew (ANNOTATION (/* value) NOTHING) MessageExpunge))")
    c.ok("NOTIFY NONE")
    assert c.ok("FETCH 2 (UID ANNOTATION (/* value) RFC822.SIZE)").find(rb"^\* 2 FETCH \(UID 2 RFC822.SIZE \d+\)$")
    assert c.ok("UID FETCH 2 (ANNOTATION (* value))").untagged == [b"* 2 FETCH (UID 2)"]
    assert b"ANNOTATION" in c.ok("UID FETCH 1 (BODY.PEEK[] ANNOTATION (* value) RFC822.SIZE)").untagged[0]


def test_names(c):
    """Section 3.2: which may be, in which commands."""
    for entry in ("comment", "/", "//comment", "/comment/", "/a//b", "/com*", "/flags", "/flags/x", '"/a b"', '"/\\""', "/" + "x" * 255):
        c.bad('STORE 1 ANNOTATION (%s (value.priv "x"))' % entry)
    for entry in ("/", "//x", "/x/", "/flags/seen", '"/a b"'):
        c.bad("FETCH 1 (ANNOTATION (%s value))" % entry)
    for entry in ("/other", "/Comment", "/vendor", "/vendor/", "/1", "/1/altsubject", "/01/comment", "/1/flags/recent", "/comment/x"):
        c.bad('STORE 1 ANNOTATION (%s (value.priv "x"))' % entry)  # nobody has registered them
    for attribute in ("value", "size", "size.priv", "Value.priv", "value.priv.priv", "content-type.shared"):
        c.bad('STORE 1 ANNOTATION (/comment (%s "x"))' % attribute)
    for attribute in ("", "Value", "value.*", "content-type", "value.priv.shared", "()"):
        c.bad("FETCH 1 (ANNOTATION (/comment %s))" % attribute)
    for rest in ("", "()", "(/comment)", "(/comment ())", '(/comment value.priv "x")', '(/comment (value.priv "x")', '(/comment (value.priv x))', '(/comment (value.priv "x")) x', "(/comment (value.priv))"):
        c.bad("STORE 1 ANNOTATION " + rest)
    for sign in "+-":
        c.bad('STORE 1 %sANNOTATION (/comment (value.priv "x"))' % sign)
    c.bad("FETCH 1 ANNOTATION")
    c.bad("FETCH 1 (ANNOTATION /comment)")
    c.ok('STORE 1 ANNOTATION ("/vendor/x/y" (value.priv "v"))')
    assert told(c, 1, "(/vendor/% value.priv)") is None
    assert told(c, 1, "(/vendor/%/% value.priv)") == '(/vendor/x/y (value.priv "v"))'
    assert told(c, 1, "(/nothing value.priv)") == "(/nothing (value.priv NIL))"


def test_parts(c):
    """Entries of body parts: the part must be there."""
    c.ok('STORE 3 ANNOTATION (/2/comment (value.shared "second") /1/flags/seen (value.priv "1"))')
    assert told(c, 3, "(/2/comment value.shared)") == '(/2/comment (value.shared "second"))'
    assert told(c, 3, "(/%/flags/* value.priv)") == '(/1/flags/seen (value.priv "1"))'
    c.bad('STORE 3 ANNOTATION (/3/comment (value.shared "x"))')
    c.bad('STORE 1:3 ANNOTATION (/2/comment (value.shared "x"))')
    c.bad('STORE 3 ANNOTATION (/1/flags/seen (value.priv "2"))')
    c.bad("FETCH 3 (ANNOTATION (/3/comment value))")
    assert told(c, 3, "(/2/comment value.shared)") == '(/2/comment (value.shared "second"))'
    c.ok("STORE 3 ANNOTATION (/1/flags/seen (value.priv NIL))")


def test_binary(c):
    """Values of any bytes, as literals; what has NULs is told as a literal8."""
    c.ok(["STORE 1 ANNOTATION (/comment (value.priv ", "Größe\r\nzwei", "))"])
    assert told(c, 1, "(/comment value.priv)") == "(/comment (value.priv {13}\r\nGröße\r\nzwei))"
    c.send(b"b1 STORE 1 ANNOTATION (/comment (value.priv ~{3+}\r\na\0b))\r\n")
    assert c.finish("b1").status == "OK"
    c.send(b"b2 FETCH 1 (ANNOTATION (/comment (value.priv size.priv)))\r\n")
    assert c.read_line() == b"* 1 FETCH (ANNOTATION (/comment (value.priv ~{3}"
    assert c.read_bytes(3) == b"a\0b"
    assert c.read_line() == b' size.priv "3")))'
    assert c.finish("b2").status == "OK"
    c.ok('STORE 1 ANNOTATION (/comment (value.priv ""))')
    assert told(c, 1, "(/comment (value.priv size.priv))") == '(/comment (value.priv "" size.priv "0"))'


def test_bounds(c):
    r = c.no(["STORE 1 ANNOTATION (/comment (value.priv ", "x" * 16385, "))"])
    assert r.text.startswith("[ANNOTATE TOOBIG]")
    c.ok(["STORE 1 ANNOTATION (/comment (value.priv ", "x" * 16384, "))"])
    many = " ".join('/vendor/x/%d (value.shared "x")' % i for i in range(50))
    c.ok("STORE 2 ANNOTATION (%s)" % many)
    r = c.no('STORE 1:2 ANNOTATION (/comment (value.shared "x"))')
    assert r.text.startswith("[ANNOTATE TOOMANY]")
    assert told(c, 1, "(/comment value.shared)") == "(/comment (value.shared NIL))"
    c.ok('STORE 2 ANNOTATION (/vendor/x/0 (value.shared NIL) /comment (value.shared "x"))')
    c.ok('STORE 2 ANNOTATION (/comment (value.priv "mine"))')


def test_private_and_shared(c):
    """Section 3.4: one's own are one's own; shared ones are changed by right n, and read by all who read."""
    bob = c.other
    c.ok('STORE 1 ANNOTATION (/comment (value.priv "fred" value.shared "all"))')
    bob.select(c.inbox)
    assert told(bob, 1, "(/comment value)") == '(/comment (value.priv NIL value.shared "all"))'
    bob.ok('STORE 1 ANNOTATION (/comment (value.priv "bob" value.shared "ours"))')
    assert told(c, 1, "(/comment value)") == '(/comment (value.priv "fred" value.shared "ours"))'
    c.ok("SETACL INBOX %s lr" % c.bob)
    bob.ok("SELECT " + c.inbox)  # [READ-ONLY]: no right to change what is shared
    assert bob.no('STORE 1 ANNOTATION (/comment (value.shared "no"))').text.startswith("[NOPERM]")
    assert bob.no('STORE 1 ANNOTATION (/comment (value.priv "no") /altsubject (value.shared "no"))').text.startswith("[NOPERM]")
    bob.ok('STORE 1 ANNOTATION (/comment (value.priv "still"))')
    assert told(bob, 1, "(/* value)") == '(/comment (value.priv "still" value.shared "ours"))'
    bob.ok("EXAMINE " + c.inbox)
    bob.no('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    c.ok("EXAMINE INBOX")
    c.no('STORE 1 ANNOTATION (/comment (value.shared "x"))')


def test_told_to_others(c):
    """Section 4.4: sessions that selected with ANNOTATE hear which entries have changed, the others of the modseq."""
    with c.again() as one, c.again() as two:
        one.ok("SELECT INBOX (ANNOTATE)")
        two.ok("ENABLE CONDSTORE")
        two.ok("SELECT INBOX")
        c.ok('STORE 2 ANNOTATION (/comment (value.shared "x") /altsubject (value.priv "y"))')
        news = one.ok("NOOP").untagged
        assert any(re.fullmatch(rb"\* 2 FETCH \(UID 2 FLAGS \([^)]*\) ANNOTATION \(/altsubject /comment\)\)", u) for u in news), news
        assert any(re.match(rb"\* 2 FETCH \(.*MODSEQ \(\d+\)\)", u) for u in two.ok("NOOP").untagged)
        c.other.select(c.inbox)
        c.other.ok('STORE 2 ANNOTATION (/altsubject (value.priv "his") /comment (value.shared NIL))')
        news = one.ok("NOOP").untagged
        assert any(b"ANNOTATION (/comment)" in u for u in news)
        assert c.ok("NOOP").untagged and one.ok("NOOP").untagged == []


def test_conditional(c):
    """With CONDSTORE: the modseq is told, and UNCHANGEDSINCE obeyed (RFC 7162)."""
    c.ok("ENABLE CONDSTORE")
    r = c.ok('STORE 1:2 ANNOTATION (/comment (value.shared "x"))')
    modseqs = [int(m.group(1)) for m in r.find(rb"^\* \d FETCH \(UID \d MODSEQ \((\d+)\)\)$")]
    assert len(modseqs) == 2 and modseqs[0] == modseqs[1]
    c.ok('STORE 2 ANNOTATION (/comment (value.shared "y"))')
    r = c.ok('STORE 1:2 (UNCHANGEDSINCE %d) ANNOTATION (/comment (value.shared "z"))' % modseqs[0])
    assert r.text.startswith("[MODIFIED 2]")
    assert told(c, 1, "(/comment value.shared)") == '(/comment (value.shared "z"))'
    assert told(c, 2, "(/comment value.shared)") == '(/comment (value.shared "y"))'
    assert c.ok('SEARCH MODSEQ %d' % (modseqs[0] + 1)).find(rb"^\* SEARCH 1 2 ")


def test_search(c):
    c.ok(["STORE 1 ANNOTATION (/comment (value.priv ", "About IMAP4", " value.shared ", "shared Größe", "))"])
    c.ok('STORE 2 ANNOTATION (/altsubject (value.shared "imap4 too"))')

    def search(rest):
        return [int(n) for n in c.ok(rest).one(rb"^\* SEARCH(.*)$").group(1).split()]

    assert search('SEARCH ANNOTATION /comment value "imap4"') == [1]
    assert search('SEARCH ANNOTATION * value "IMAP4"') == [1, 2]
    assert search('SEARCH ANNOTATION * value.priv "IMAP4"') == [1]
    assert search('SEARCH ANNOTATION "/%" value.shared "IMAP4"') == [2]
    assert search('SEARCH NOT ANNOTATION * value "IMAP4"') == [3]
    assert search('SEARCH OR ANNOTATION /comment value.shared "shared" ANNOTATION /altsubject value "too"') == [1, 2]
    assert search('SEARCH ANNOTATION /comment value ""') == [1]
    assert search("SEARCH ANNOTATION /comment value NIL") == [2, 3]
    assert search(["SEARCH CHARSET UTF-8 ANNOTATION * value ", "GRÖSSE"[:3] + "ßE"]) == [1]
    assert search(["SEARCH CHARSET ISO-8859-1 ANNOTATION * value ", "größe".encode("latin-1")]) == [1]
    c.other.select(c.inbox)
    assert c.other.uids('ANNOTATION * value "IMAP4"') == [2]
    for rest in ("/comment", "/comment value", '/comment size "1"', '/comment value.x "1"', 'comment value "1"', '"" value "x"'):
        c.bad("SEARCH ANNOTATION " + rest)
    r = c.ok('ESEARCH IN (mailboxes INBOX) ANNOTATION * value.shared "imap"')
    assert r.untagged and r.untagged[0].endswith(b"UID ALL 2")


def test_sort(c):
    for n, value in ((1, "zebra"), (2, "Apple"), (3, "mango")):
        c.ok('STORE %d ANNOTATION (/altsubject (value.shared "%s"))' % (n, value))
    c.ok('STORE 1 ANNOTATION (/altsubject (value.priv "a"))')
    assert c.ok("SORT (ANNOTATION /altsubject value.shared) UTF-8 ALL").untagged == [b"* SORT 2 3 1"]
    assert c.ok("SORT (REVERSE ANNOTATION /altsubject value.shared) UTF-8 ALL").untagged == [b"* SORT 1 3 2"]
    assert c.ok("SORT (ANNOTATION /altsubject value.priv REVERSE ARRIVAL) UTF-8 ALL").untagged[0].endswith(b" 1")
    for rest in ("/altsubject value", "/altsubject size.priv", "/% value.priv", "altsubject value.priv", "/altsubject"):
        c.bad("SORT (ANNOTATION %s) UTF-8 ALL" % rest)


def test_append(c):
    text = message(subject="new")
    c.ok(['APPEND INBOX (\\Seen) ANNOTATION (/comment (value.priv "Don\'t send") /altsubject (value.shared "x")) ', text])
    assert c.select("INBOX") == 4
    assert told(c, 4, "(/* value)") == '(/altsubject (value.priv NIL value.shared "x") /comment (value.priv "Don\'t send" value.shared NIL))'
    # values as literals, before any of the messages, and between two
    c.ok(["APPEND INBOX ANNOTATION (/comment (value.priv ", "one\r\nline", ' value.shared "s")) ', text, " (\\Flagged) ANNOTATION (/altsubject (value.priv ", "two", ")) ", text])
    assert c.select("INBOX") == 6
    assert told(c, 5, "(/comment value)") == '(/comment (value.priv {9}\r\none\r\nline value.shared "s"))'
    assert told(c, 6, "(* value.priv)") == '(/altsubject (value.priv "two"))'
    c.send(b"w1 APPEND INBOX ANNOTATION (/comment (value.priv {3}\r\n")
    assert c.read_line().startswith(b"+")
    c.send(b"abc)) {%d}\r\n" % len(text))
    assert c.read_line().startswith(b"+")
    c.send(text + b"\r\n")
    assert c.finish("w1").status == "OK"
    assert c.select("INBOX") == 7
    assert told(c, 7, "(* value.priv)") == '(/comment (value.priv "abc"))'
    for args in ("ANNOTATION () ", 'ANNOTATION (/comment (value "x")) ', 'ANNOTATION (/other (value.priv "x")) ', '"25-Dec-2025 00:00:00 +0000" ANNOTATION (/comment (value.priv "x") '):
        assert c.command(["APPEND INBOX " + args, text]).status == "BAD"
    r = c.command(["APPEND INBOX ANNOTATION (/comment (value.priv ", "x" * 20000, ")) ", text])
    assert r.status == "NO" and r.text.startswith("[ANNOTATE TOOBIG]"), r
    assert c.command(["APPEND INBOX ANNOTATION (/comment (value.priv ", "x" * 70000, ")) ", text]).status == "NO"
    assert c.command("NOOP").status == "OK" and c.select("INBOX") == 7


def test_append_rights(c):
    text = message(subject="new")
    c.ok("SETACL INBOX %s li" % c.bob)
    r = c.other.command(["APPEND %s ANNOTATION (/comment (value.shared \"x\")) " % c.inbox, text])
    assert r.status == "NO" and r.text.startswith("[NOPERM]"), r
    c.ok("SETACL INBOX %s lin" % c.bob)
    c.other.ok(["APPEND %s ANNOTATION (/comment (value.shared \"x\")) " % c.inbox, text])
    assert c.select("INBOX") == 4
    assert told(c, 4, "(* value)") == '(/comment (value.priv NIL value.shared "x"))'


def test_copy(c):
    """Section 4.6: to the same server and to another, what is shared and one's own, not others'; as far as rights go."""
    c.ok('STORE 1 ANNOTATION (/comment (value.priv "mine" value.shared "ours"))')
    c.ok(["STORE 2 ANNOTATION (/comment (value.priv ", "two\r\nlines", "))"])
    c.other.select(c.inbox)
    c.other.ok('STORE 1 ANNOTATION (/comment (value.priv "his"))')
    c.ok("CREATE near")
    c.other.ok("CREATE box")
    c.other.ok("SETACL box %s lrin" % c.fred)
    for box in ("near", c.bobs):
        c.ok("COPY 1:3 " + box)
        with c.again() as reader:
            assert reader.select(box) == 3
            assert told(reader, 1, "(* value)") == '(/comment (value.priv "mine" value.shared "ours"))'
            assert told(reader, 2, "(* value.priv)") == "(/comment (value.priv {10}\r\ntwo\r\nlines))"
            assert told(reader, 3, "(* value)") is None
    c.other.select("box")
    assert told(c.other, 1, "(* value)") == '(/comment (value.priv NIL value.shared "ours"))'
    c.other.ok("SETACL box %s li" % c.fred)
    c.ok("NOOP")
    c.ok("COPY 1 " + c.bobs)  # neither may be set there: the message goes without
    assert c.other.select("box") == 4
    assert told(c.other, 4, "(* value)") is None
    c.other.ok("SETACL box %s lrin" % c.fred)
    c.ok("MOVE 1 " + c.bobs)
    assert c.other.select("box") == 5
    assert told(c.other, 5, "(* value)") == '(/comment (value.priv NIL value.shared "ours"))'


def test_lasting(c, served):
    """Beyond the session, a RENAME and an expunge of others."""
    c.ok("CREATE box")
    c.append("box", message())
    c.append("box", message())
    c.select("box")
    c.ok('STORE 2 ANNOTATION (/comment (value.priv "x" value.shared "y"))')
    c.ok("STORE 1 +FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    assert told(c, 1, "(/comment value)") == '(/comment (value.priv "x" value.shared "y"))'
    c.ok("UNSELECT")
    c.ok("RENAME box other")
    c.select("other")
    assert told(c, 2, "(/comment value)", uid=True) == '(/comment (value.priv "x" value.shared "y"))'


def test_suppressed(make_imapd):
    with make_imapd(conf={"suppress_capabilities": "ANNOTATE-EXPERIMENT-1"}).imap("fred") as c:
        c.append("INBOX", message())
        assert not any(b"ANNOTATIONS" in u for u in c.ok("SELECT INBOX").untagged)
        c.bad("SELECT INBOX (ANNOTATE)")
        c.select("INBOX")
        c.bad("FETCH 1 (ANNOTATION (/comment value))")
        c.bad('STORE 1 ANNOTATION (/comment (value.priv "x"))')
        c.bad('SEARCH ANNOTATION * value "x"')
        c.bad("SORT (ANNOTATION /comment value.priv) UTF-8 ALL")
        assert c.command(['APPEND INBOX ANNOTATION (/comment (value.priv "x")) ', message()]).status == "BAD"


def test_damaged(make_imapd):
    """What cannot be read is said to be so; the rest of the message is told, and new ones are taken."""
    imapd = make_imapd()
    with imapd.imap("fred") as c:
        for _ in range(2):
            c.append("INBOX", message())
        c.select("INBOX")
        c.ok('STORE 1:2 ANNOTATION (/comment (value.shared "fragile"))')
        (path,) = [os.path.join(d, f) for d, _, fs in os.walk(imapd.dir) for f in fs if f.startswith("annotations.")]
        with open(path, "r+b") as f:
            data = f.read()
            f.seek(data.index(b"fragile"))
            f.write(b"X")
        r = c.no("FETCH 1:2 (UID ANNOTATION (* value.shared))")
        assert r.text.startswith("[CORRUPTION]")
        assert r.untagged == [b"* 1 FETCH (UID 1)", b'* 2 FETCH (UID 2 ANNOTATION (/comment (value.shared "fragile")))']
        assert c.uids('ANNOTATION * value ""') == [2]
        c.ok('STORE 1 ANNOTATION (/comment (value.shared "new"))')
        assert told(c, 1, "(* value.shared)") == '(/comment (value.shared "new"))'


def test_lacking(murder):
    """A server without it: not announced; NO [CANNOT] for what needs it; a copy goes without."""
    seen = []

    def handler(s, tag, text):
        if text.startswith("APPEND"):
            seen.append(text)
            s.rest_of(text.encode())
            s.ok(tag)
            return True
        if "ANNOT" in text:
            s.send("%s BAD what\r\n" % tag)
            return True
        return False

    murder.add_user("carl", 0)
    murder.add_user("far", mailbox=False)
    fake = Fake(murder.network.address(), handler)
    try:
        put(murder, fake, "user.far.x", acl="anyone\tlrswin\t")
        with murder.imap("carl") as c:
            c.append("INBOX", message())
            c.select("INBOX")
            c.ok('STORE 1 ANNOTATION (/comment (value.shared "x"))')
            far = '"Other Users/far/x"'
            r = c.command(['APPEND %s ANNOTATION (/comment (value.shared "x")) ' % far, message()])
            assert r.status == "NO" and r.text.startswith("[CANNOT]"), r
            assert seen == []
            c.ok("COPY 1 " + far)
            assert len(seen) == 1 and "ANNOTATION" not in seen[0]
            assert b"ANNOTATE-EXPERIMENT-1" not in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
            assert c.no("SELECT %s (ANNOTATE)" % far).text.startswith("[CANNOT]")
            c.select(far)
            assert c.no("FETCH 1 (ANNOTATION (* value))").text.startswith("[CANNOT]")
        assert not fake.errors
    finally:
        fake.close()
