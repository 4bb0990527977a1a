"""A real Cyrus 3.6 frontend before our backends: whatever it offers its clients works, or is its own defect
(doc/compatibility.md)."""

import os
import re
import signal

import pytest

from iatlas import Imap, message, tls
from iatlas.node import ADMIN
from test_mupdate import eventually

DATE = '"01-Nov-2026 10:00:00 +0000"'
BOB, ZOE = '"Other Users/bob"', '"Other Users/zoe"'


def users(murder, **where):
    """Each with a login and an INBOX on the backend of that number.  A backend's name alone kills this frontend."""
    for name in where:
        murder.add_user(name, mailbox=False)
    with murder.imap(ADMIN) as admin:
        for name, backend in where.items():
            admin.ok("CREATE user/%s %s!default" % (name, murder.names[backend]))
    return murder


@pytest.fixture(params=["ours", "cyrus"])
def murder(make_mixed, request):
    """fred and bob on backends of ours, zoe on a Cyrus; the MUPDATE master ours, and a Cyrus."""
    made = make_mixed(master=request.param, backends=("ours", "ours", "cyrus"), frontends=("cyrus",))
    return users(made, fred=0, bob=1, zoe=2)


@pytest.fixture
def mixed(make_mixed):
    """The same with our master."""
    made = make_mixed(backends=("ours", "ours", "cyrus"), frontends=("cyrus",))
    return users(made, fred=0, bob=1, zoe=2)


def let(murder, user, whom, rights="lrswipkxte"):
    with murder.imap(user) as c:
        c.ok("SETACL INBOX %s %s" % (whom, rights))


def direct(murder, user, backend):
    return Imap(murder.be[backend].address).login(user)


def flags(c, uid):
    return set(c.ok("UID FETCH %d FLAGS" % uid).one(rb"FLAGS \(([^)]*)\)").group(1).decode().split()) - {"\\Recent"}


def test_session(murder):
    data = message(subject="one", body="line\r\n" * 100)
    with murder.imap("fred") as c:
        assert c.list("", "*") == ["INBOX"]
        assert c.ok("STATUS INBOX (MESSAGES UIDNEXT UNSEEN)").one(rb"\(MESSAGES 0 UIDNEXT 1 UNSEEN 0\)")
        c.ok("ENABLE CONDSTORE")
        r = c.ok("SELECT INBOX")
        assert r.text.startswith("[READ-WRITE]") and r.one(rb"^\* OK \[UIDVALIDITY \d+\]") and r.one(rb"^\* 0 EXISTS")
        r = c.ok(["APPEND INBOX (\\Flagged $lab) %s " % DATE, data])
        assert re.match(r"\[APPENDUID \d+ 1\]", r.text) and r.one(rb"^\* 1 EXISTS")
        r = c.ok(["APPEND INBOX (\\Seen) ", data, " %s " % DATE, data])
        assert re.match(r"\[APPENDUID \d+ 2:3\]", r.text) and r.one(rb"^\* 3 EXISTS")
        assert "[TRYCREATE]" in c.no(["APPEND nonesuch ", data]).text
        r = c.ok("FETCH 1:* (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
        assert len(r.find(rb"^\* \d FETCH .*RFC822\.SIZE %d " % len(data))) == 3
        assert len(r.find(rb'INTERNALDATE " 1-Nov-2026 10:00:00 \+0000"')) == 2
        assert c.body(1) == data
        assert flags(c, 1) == {"\\Flagged", "$lab"} and flags(c, 2) == {"\\Seen"}
        r = c.ok("STORE 1 +FLAGS (\\Answered)")
        r.one(rb"^\* 1 FETCH \(UID 1 FLAGS \((?:\\Recent )?\\Answered \\Flagged \$lab\) MODSEQ \(\d+\)\)$")
        c.ok("UID STORE 1 -FLAGS.SILENT (\\Flagged)")
        assert c.uids("FLAGGED") == [] and c.uids("ANSWERED SUBJECT one") == [1] and c.uids() == [1, 2, 3]
        c.ok("CHECK")
        c.ok("STORE 3 +FLAGS (\\Deleted)")
        assert c.ok("EXPUNGE").one(rb"^\* 3 EXPUNGE")
        c.ok("STORE 2 +FLAGS (\\Deleted)")
        c.ok("CLOSE")
        r = c.ok("EXAMINE INBOX")
        assert r.text.startswith("[READ-ONLY]") and r.one(rb"^\* 1 EXISTS")
        c.ok("UNSELECT")
        c.bad("FETCH 1 FLAGS")
        assert c.select("INBOX") == 1
        c.ok("LOGOUT").one(rb"^\* BYE")


def test_sort_through_it(mixed):
    """The frontend offers what a backend may not have: the backend's refusal is what its client hears."""
    with mixed.imap("fred") as c:
        c.select("INBOX")
        c.ok("SORT (SUBJECT) UTF-8 ALL").one(rb"^\* SORT")
        assert c.bad("SORT (MODSEQ) UTF-8 ALL").text
        c.ok("NOOP")


def test_idle(murder):
    with murder.imap("fred") as c:
        c.select("INBOX")
        tag = c.start("IDLE")
        assert c.read_line().startswith(b"+ ")
        with direct(murder, "fred", 0) as other:
            other.append("INBOX", message())
        seen = []
        while b"* 1 EXISTS" not in seen:
            seen.append(c.read_response())
        c.send("DONE\r\n")
        c.finish(tag)
        assert c.uids() == [1]


def serves(murder, separator="/"):
    """A login, a delivery and a new mailbox through the frontend; the user's mailboxes."""
    murder.add_user("fred", mailbox=False)
    with murder.imap(ADMIN) as admin:
        admin.ok("CREATE user%sfred %s!default" % (separator, murder.names[0]))
    with murder.lmtp() as lmtp:
        assert [code for code, _ in lmtp.deliver("a@example.org", ["fred"], message())] == [250]
    with murder.imap("fred") as c:
        assert c.select("INBOX") == 1
        c.ok("CREATE INBOX%sx" % separator)
        c.ok("SUBSCRIBE INBOX%sx" % separator)
        assert c.list("", "*", "LSUB") == ["INBOX%sx" % separator]
        return c.list("", "*")


def test_classic_names(make_mixed):
    classic = {"altnamespace": "no", "unixhierarchysep": "no"}
    murder = make_mixed(backends=("ours",), frontends=("cyrus",), conf=classic)
    assert serves(murder, ".") == ["INBOX", "INBOX.x"]


# DIGEST-MD5's plugin leaks what it has OpenSSL load: not under sanitizers.
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", pytest.param("DIGEST-MD5", marks=pytest.mark.slow)])
def test_mechanisms(make_mixed, mechanism):
    """What a frontend chooses when it is left to; the second may have a security layer."""
    conf = {"force_sasl_client_mech": None, "sasl_mech_list": "PLAIN " + mechanism}
    murder = make_mixed(backends=("ours",), frontends=("cyrus",), conf=conf)
    serves(murder)
    log = murder.be[0].log()
    assert re.search(r'imap.* login.ok user="fred" authid="murder" mech="%s"' % mechanism, log)
    assert re.search(r'lmtp.* login.ok user="murder" authid="murder" mech="%s"' % mechanism, log)


def test_starttls(make_mixed, workdir):
    """PLAIN is offered under TLS only: the frontend goes there."""
    murder = make_mixed(backends=("ours",), frontends=("cyrus",))
    (be,) = murder.be
    be.stop()
    be.conf.update(tls.Authority(os.path.join(workdir, "ca")).certify("be1.lab", be.address))
    be.conf.update(allowstarttls="yes", allowplaintext="no", sasl_mech_list="PLAIN")
    be.start()
    serves(murder)
    for service in ("imap", "lmtp"):
        assert re.search(r'%s.* login.ok .*authid="murder" mech="PLAIN".* tls="TLS' % service, be.log())


def test_large_message(mixed):
    data = message(body=("x" * 70 + "\r\n") * 40000)
    with mixed.imap("fred") as c:
        c.append("INBOX", data)
        c.select("INBOX")
        assert c.body(1) == data


def test_names(murder):
    with murder.imap("fred") as c:
        c.ok("CREATE a")
        assert "NO" == c.command("CREATE a").status
        c.ok("CREATE a/b")
        r = c.ok("RENAME a moved")
        assert {u for u in r.untagged} == {b"* OK rename a moved", b"* OK rename a/b moved/b"}
        assert c.list("", "*") == ["INBOX", "moved", "moved/b"]
        assert c.list("", "%") == ["INBOX", "moved"]
        c.append("moved/b", message())
        assert c.ok("STATUS moved/b (MESSAGES)").one(rb"^\* STATUS moved/b \(MESSAGES 1\)")
        c.ok("SETACL moved bob lrs")
        assert c.ok("GETACL moved").one(rb"^\* ACL moved fred (\w+) bob lrs$")
        assert c.ok("MYRIGHTS moved").one(rb"^\* MYRIGHTS moved lrswipkxte")
        c.ok("LISTRIGHTS moved bob")
        with murder.imap("bob") as bob:
            assert bob.list("", "*") == ["INBOX", "Other Users/fred/moved"]
            assert bob.select('"Other Users/fred/moved"', "EXAMINE") == 0
            assert bob.command('APPEND "Other Users/fred/moved" {1+}\r\nx').status == "NO"
        c.ok("DELETEACL moved bob")
        c.ok("DELETE moved/b")
        c.ok("DELETE moved")
        assert c.list("", "*") == ["INBOX"]
        c.no("SELECT moved")
    # the next session on the backend itself agrees
    with direct(murder, "fred", 0) as c:
        assert c.list("", "*") == ["INBOX"]


def test_subscriptions(mixed):
    let(mixed, "bob", "fred")
    with mixed.imap("fred") as c:
        c.ok("CREATE Sent")
        for name in ("INBOX", "Sent", BOB):
            c.ok("SUBSCRIBE " + name)
        assert sorted(c.list("", "*", "LSUB")) == ["INBOX", "Other Users/bob", "Sent"]
        r = c.ok('LIST (SUBSCRIBED) "" *')
        assert len(r.find(rb"^\* LIST \(\\Subscribed \\HasNoChildren\)")) == 3 and len(r.untagged) == 3
        c.ok("UNSUBSCRIBE " + BOB)
        assert sorted(c.list("", "*", "LSUB")) == ["INBOX", "Sent"]
        r = c.ok('LIST "" * RETURN (SUBSCRIBED CHILDREN)')
        assert len(r.find(rb"^\* LIST \(\\Subscribed")) == 2 and len(r.untagged) == 3
        c.append("Sent", message())
        r = c.ok('LIST "" * RETURN (STATUS (MESSAGES))')
        assert sorted(m.group(1) for m in r.find(rb"^\* STATUS (.*)$")) == [
            BOB.encode() + b" (MESSAGES 0)",
            b"INBOX (MESSAGES 0)",
            b"Sent (MESSAGES 1)",
        ]
        assert c.ok('LIST (SPECIAL-USE) "" *').untagged == []


def test_referral_mode(mixed):
    """A client that has said RLIST is sent to the backend, which takes it there."""
    with mixed.imap("fred") as c:
        c.ok('RLIST "" *')
        assert "[REFERRAL imap://;AUTH=*@be1.lab/INBOX]" in c.no("SELECT INBOX").text


def test_metadata_and_quota(mixed):
    """This frontend answers OK to metadata of a remote mailbox and gives none; no tag is lost over it."""
    with mixed.imap(ADMIN) as admin:
        admin.ok("SETQUOTA user/fred (STORAGE 100)")
        assert admin.ok("GETQUOTA user/fred").untagged == [b"* QUOTA user/fred (STORAGE 0 100)"]
    with mixed.imap("fred") as c:
        assert c.ok("GETQUOTAROOT INBOX").untagged == [b"* QUOTAROOT INBOX INBOX", b"* QUOTA INBOX (STORAGE 0 100)"]
        assert "OVERQUOTA" in c.no(["APPEND INBOX ", message(body="x" * 70 * 2000)]).text
        c.command("SETMETADATA INBOX (/private/comment \"x\")")
        c.command("GETMETADATA INBOX /private/comment")
        assert c.ok('GETMETADATA "" /shared/comment').one(rb"NIL")
        assert c.ok("NOOP").untagged == []


def copied(c, name, texts, n=1):
    """The mailbox has those messages, as they were, n times."""
    assert c.select(name) == len(texts) * n
    for i, uid in enumerate(c.uids()):
        assert c.body(uid) == texts[i % len(texts)]
        assert flags(c, uid) == {"\\Flagged", "$lab"}
        assert b" 1-Nov-2026 10:00:00 +0000" in c.ok("UID FETCH %d INTERNALDATE" % uid).untagged[0]


@pytest.mark.parametrize("source,target", [("fred", "fred"), ("fred", "bob"), ("fred", "zoe"), ("zoe", "fred")])
def test_copy(mixed, source, target):
    """Within a backend; between two of ours; from ours to a Cyrus and back: bytes, flags and dates are kept."""
    texts = [message(subject="m%d" % i, body="%d\r\n" % i * (i + 1)) for i in range(3)]
    if source != target:
        let(mixed, target, source)
    with mixed.imap(source) as c:
        name = '"Other Users/%s"' % target
        if source == target:
            name = "other"
            c.ok("CREATE other")
        for text in texts:
            c.ok(["APPEND INBOX (\\Flagged $lab) %s " % DATE, text])
        c.select("INBOX")
        r = c.ok("COPY 1:3 " + name)
        assert re.match(r"\[COPYUID \d+ (1:3 )?1:3\]", r.text)  # without the source set between two: its defect
        r = c.ok("UID COPY 1:* " + name)
        assert re.match(r"\[COPYUID \d+ (1:3 )?4:6\]", r.text)
        assert "[TRYCREATE]" in c.no("COPY 1 nonesuch").text
        copied(c, "INBOX", texts)
        copied(c, name, texts, 2)


def test_copy_of_more_than_the_frontend_sends_at_once(mixed):
    """One APPEND of many messages, or nothing."""
    let(mixed, "bob", "fred")
    text = message(body="x" * 1000)
    with mixed.imap("fred") as c:
        c.ok(["APPEND INBOX ", text] + [" ", text] * 9)
        c.select("INBOX")
        for n in (10, 20, 40, 80, 160, 320, 640):
            c.ok("COPY 1:%d INBOX" % n)
            c.ok("NOOP")
        c.ok("COPY 1:200 " + BOB)
        assert "LIMIT" in c.no("COPY 1:1001 " + BOB).text
        assert c.ok("STATUS %s (MESSAGES)" % BOB).one(rb"MESSAGES (\d+)").group(1) == b"200"


def test_move(mixed):
    """Within a backend a move; between two this frontend only copies."""
    let(mixed, "bob", "fred")
    texts = [message(subject="m%d" % i) for i in range(2)]
    with mixed.imap("fred") as c:
        c.ok("CREATE other")
        for text in texts:
            c.ok(["APPEND INBOX (\\Flagged $lab) %s " % DATE, text])
        c.select("INBOX")
        r = c.ok("MOVE 1 other")
        assert r.one(rb"^\* OK \[COPYUID \d+ 1 1\]") and r.one(rb"^\* 1 EXPUNGE")
        c.ok("MOVE 1 " + BOB)
        assert c.uids() == [2]
        copied(c, "other", texts[:1])
        copied(c, BOB, texts[1:])


def test_create_without_a_parent(make_mixed):
    """It asks every backend how much is free; ours and a Cyrus answer alike."""
    murder = make_mixed(backends=("ours", "cyrus"), frontends=("cyrus",), conf={"defaultserver": None})
    with murder.imap(ADMIN) as admin:
        for i in range(3):
            admin.ok("CREATE user/u%d" % i)
        assert admin.list("", "user/*") == ["user/u0", "user/u1", "user/u2"]
    asked = [direct(murder, ADMIN, i) for i in (0, 1)]
    entries = [
        [
            c.ok('GETMETADATA "" ("/shared/vendor/cmu/cyrus-imapd/freespace/%s")' % e).one(rb'"(\d+);(\d+)"').groups()
            for e in ("total", "percent/most")
        ]
        for c in asked
    ]
    # the same disk: the same size, and about as much free
    for ours, theirs in zip(*entries):
        assert ours[1] == theirs[1]
        assert abs(int(ours[0]) - int(theirs[0])) < int(ours[1]) / 100


def test_administrator(murder):
    with murder.imap(ADMIN) as admin:
        assert admin.list("", "*") == ["user/bob", "user/fred", "user/zoe"]
        admin.ok("CREATE user/fred/Sent")
        admin.ok("CREATE shared %s!default" % murder.names[1])
        admin.ok("SETACL shared fred lrs")
        admin.ok("RENAME user/fred/Sent user/fred/Gone")
        admin.ok("SETACL user/fred/Gone %s x" % ADMIN)
        admin.ok("DELETE user/fred/Gone")
        admin.ok("SETACL user/bob %s x" % ADMIN)
        admin.ok("DELETE user/bob")
        names = [n for n in admin.list("", "*") if not n.startswith("DELETED/")]
        assert sorted(names) == ["shared", "user/fred", "user/zoe"]
        r = admin.no("CREATE user/fred %s!default" % murder.names[1])  # it is on the other
        assert r.text
    with murder.imap("fred") as c:
        assert c.list("", "*") == ["INBOX", "Shared Folders/shared"]
        assert c.select('"Shared Folders/shared"', "EXAMINE") == 0


def test_lmtp(murder):
    """The frontend's lmtpd to ours: who is on which backend, details, who is unknown; two messages of one connection.
    The second copy for bob is a duplicate."""
    with murder.imap("fred") as c:
        c.ok("CREATE sub")
        c.ok("SETACL sub anyone p")
    texts = [message(subject="d%d" % i, body=".dot\r\n" * i + "end\r\n") for i in range(2)]
    with murder.lmtp() as lmtp:
        for text in texts:
            to = ["fred", "bob", "fred+sub", "nobody", "zoe", "bob+nowhere"]
            assert [code for code, _ in lmtp.deliver("a@example.org", to, text)] == [250, 250, 250, 550, 250, 250]
    for user, name, n in (("fred", "INBOX", 2), ("fred", "sub", 2), ("bob", "INBOX", 2), ("zoe", "INBOX", 2)):
        with murder.imap(user) as c:
            assert c.select(name) == n, (user, name)
            got = c.body(1)
            assert got.startswith(b"Return-Path: <a@example.org>\r\nReceived: ") and got.endswith(texts[0])
            assert got.count(b"Return-Path:") == 1


def test_backend_killed_and_back(mixed):
    """It costs its own mailboxes only, for as long as it is away; what was acknowledged is there again."""
    let(mixed, "bob", "fred")
    text = message(subject="kept")
    with mixed.imap("fred") as fred, mixed.imap("bob") as bob:
        fred.append("INBOX", text)
        bob.append("INBOX", text)
        fred.select("INBOX")
        mixed.be[1].kill()
        assert fred.uids() == [1] and fred.body(1) == text
        assert fred.command("STATUS %s (MESSAGES)" % BOB).status == "NO"
        assert fred.command("COPY 1 " + BOB).status == "NO"
        assert fred.list("", "*") == ["INBOX", "Other Users/bob"]
        with mixed.lmtp() as lmtp:
            assert [code for code, _ in lmtp.deliver("a@example.org", ["fred", "bob"], text)] == [250, 451]
        mixed.be[1].start()
        assert fred.ok("STATUS %s (MESSAGES)" % BOB).one(rb"MESSAGES 1")
        fred.ok("COPY 1 " + BOB)
    with mixed.imap("bob") as bob:
        assert bob.select("INBOX") == 2 and bob.body(1) == text
        with mixed.lmtp() as lmtp:
            assert [code for code, _ in lmtp.deliver("a@example.org", ["fred", "bob"], text)] == [250, 250]


def test_imapd_killed(mixed):
    """A process of the backend dies under the frontend's connections: the next session is served by another."""
    with mixed.imap("fred") as c:
        c.append("INBOX", message())
        c.select("INBOX")
        (pid,) = mixed.be[0].processes("imapd")
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: mixed.be[0].processes("imapd") not in ([], [pid]))
    with mixed.imap("fred") as c:
        assert c.select("INBOX") == 1


def test_master_away(mixed):
    """Reading goes on; what changes names is refused, and nothing of it is done."""
    with mixed.imap("fred") as c:
        mixed.m.stop()
        assert c.select("INBOX") == 0
        c.append("INBOX", message())
        assert "MUPDATE" in c.no("CREATE lost").text
        assert "MUPDATE" in c.no("SETACL INBOX bob lr").text
        with direct(mixed, "fred", 0) as own:
            assert own.list("", "*") == ["INBOX"] and b"bob" not in own.ok("GETACL INBOX").untagged[0]
        mixed.m.start()
        assert eventually(lambda: c.command("CREATE found").status == "OK")
        assert eventually(lambda: c.list("", "*") == ["INBOX", "found"])
