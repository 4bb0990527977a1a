"""Our frontend, our MUPDATE master, and of two backends the first a real Cyrus 3.6."""

import re
import signal

import pytest

from iatlas import message
from iatlas.mupdate import Mupdate
from test_mupdate import eventually

pytestmark = pytest.mark.peer

FRED, BOB = 0, 1  # the backends: fred's is Cyrus, bob's is ours


@pytest.fixture
def mixed(make_mixed):
    """fred lives on Cyrus, bob on ours."""
    murder = make_mixed(backends=("cyrus", "ours"))
    murder.add_user("fred", FRED)
    murder.add_user("bob", BOB)
    return murder


def flags(c, uid):
    return set(c.ok("UID FETCH %d FLAGS" % uid).one(rb"FLAGS \(([^)]*)\)").group(1).decode().split()) - {"\\Recent"}


def test_messages(mixed):
    text = message("one", body="".join("line %d\r\n" % i for i in range(2000)))
    with mixed.imap("fred") as c:
        r = c.ok(["APPEND INBOX (\\Seen $Own) \"01-Feb-2020 03:04:05 +0000\" ", text])
        validity, uid = re.search(r"\[APPENDUID (\d+) (\d+)\]", r.text).groups()
        assert c.select("INBOX") == 1
        r = c.ok("UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        fetched = r.one(rb"^\* 1 FETCH (.*)").group(1)
        assert b'" 1-Feb-2020 03:04:05 +0000"' in fetched and b"$Own" in fetched and b"Subject: one" in fetched
        assert b"RFC822.SIZE %d" % len(text) in fetched
        assert c.body(int(uid)) == text
        c.ok("STORE 1 +FLAGS (\\Flagged)")
        assert flags(c, 1) == {"\\Seen", "\\Flagged", "$Own"}
        assert c.uids("FLAGGED") == [1] and c.uids("SUBJECT two") == []
        c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        assert c.ok("EXPUNGE").find(rb"^\* 1 EXPUNGE")
        assert c.uids() == []
        c.ok("CLOSE")
        r = c.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)")
        assert r.one(rb"UIDVALIDITY (\d+)").group(1) == validity.encode()
        assert r.one(rb"MESSAGES (\d+)").group(1) == b"0" and r.one(rb"UIDNEXT (\d+)").group(1) == b"2"


def test_append_without_waiting_and_with(mixed):
    with mixed.imap("fred") as c:
        text = message("sync")
        c.send("s1 APPEND INBOX {%d}\r\n" % len(text))
        assert c.read_line().startswith(b"+")
        c.send(text + b"\r\n")
        assert "APPENDUID" in c.finish("s1").text
        r = c.no(["APPEND Nowhere () ", text])
        assert "[TRYCREATE]" in r.text, r
        assert c.select("INBOX") == 1
        big = message("big", body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 100000)
        c.append("INBOX", big)
        assert c.body(2) == big


@pytest.mark.parametrize("command", ["COPY", "MOVE"])
@pytest.mark.parametrize("source,target", [("fred", "fred"), ("fred", "bob"), ("bob", "fred")])
def test_copy_and_move(mixed, command, source, target):
    """Within the Cyrus, from it and to it: one COPYUID, flags and dates kept, no message twice or lost."""
    texts = [message("m%d" % i, body="%d\r\n" % i * 1000) for i in range(3)]
    with mixed.imap(target) as t:
        t.ok("CREATE Target")
        if source != target:
            t.ok("SETACL Target %s lrswipkxte" % source)
    with mixed.imap(source) as c:
        for i, text in enumerate(texts):
            c.ok(['APPEND INBOX (\\Flagged k%d) "0%d-Feb-2020 03:04:05 +0000" ' % (i, i + 1), text])
        c.select("INBOX")
        name = "Target" if source == target else '"Other Users/%s/Target"' % target
        r = c.ok("%s 1,3 %s" % (command, name))
        code = r.one(rb"COPYUID (\d+) (\S+) ([^]]+)") if command == "MOVE" else re.search(r"COPYUID (\d+) (\S+) ([^]]+)", r.text)
        assert [x.decode() if isinstance(x, bytes) else x for x in code.groups()[1:]] == ["1,3", "1:2"]
        assert c.uids() == ([2] if command == "MOVE" else [1, 2, 3])
        assert c.select(name) == 2
        assert [c.body(1), c.body(2)] == [texts[0], texts[2]]
        assert flags(c, 2) == {"\\Flagged", "k2"}
        assert c.ok("FETCH 2 INTERNALDATE").one(rb'" 3-Feb-2020 03:04:05 \+0000"')
        c.no("%s 1:2 Nowhere" % command)
        assert c.uids() == [1, 2]


def test_catenate(mixed):
    """CATENATE in either direction: a Cyrus reads URLs of its own mailboxes itself, for another's it is read."""
    m = b"From: a@example.org\r\nSubject: parts\r\n\r\nbody text\r\n"
    with mixed.imap("fred") as fred, mixed.imap("bob") as bob:
        for c, other in ((fred, "bob"), (bob, "fred")):
            c.append("INBOX", m)
            c.ok("SETACL INBOX %s lr" % other)
            c.ok("CREATE Entw&APw-rfe")
            c.append("Entw&APw-rfe", m)
        for c, other in ((fred, "bob"), (bob, "fred")):
            there = "/Other%%20Users/%s/;UID=" % other
            whole = ((url, m) for url in ("/INBOX/;UID=1", "/Entw%C3%BCrfe/;UID=1", there + "1"))
            pieces = (
                ("/INBOX/;UID=1/;SECTION=HEADER", m[:-11]),
                ("/INBOX/;UID=1/;PARTIAL=0.5", m[:5]),
                (there + "1/;SECTION=TEXT/;PARTIAL=1.3", b"ody"),
                (there + "1/;SECTION=HEADER.FIELDS%20(Subject)", b"Subject: parts\r\n\r\n"),
            )
            for url, data in (*whole, *pieces):
                r = c.ok(["APPEND INBOX CATENATE (TEXT ", b"A: b\r\n", ' URL "%s")' % url])
                c.select("INBOX")
                assert c.body(int(re.search(r" (\d+)\]", r.text).group(1))) == b"A: b\r\n" + data, url
            for url in ("/INBOX/;UID=99", there + "99"):
                r = c.no(["APPEND INBOX CATENATE (TEXT ", b"A: b\r\n", ' URL "%s")' % url])
                assert r.text.startswith('[BADURL "%s"]' % url), r


def test_names(mixed):
    with mixed.imap("fred") as c:
        c.ok("CREATE Work")
        c.ok("CREATE Work/2026")
        c.ok(["APPEND Work/2026 () ", message("kept")])
        c.ok("RENAME Work Archive")
        assert c.list("", "*") == ["INBOX", "Archive", "Archive/2026"]
        assert c.select("Archive/2026") == 1
        c.ok("UNSELECT")
        c.ok("CREATE &AOk-t&AOk-")
        assert c.list("", "&AOk*") == ["&AOk-t&AOk-"]
        c.no("CREATE Archive")
        c.ok("DELETE Archive/2026")
        c.ok("DELETE Archive")
        c.no("DELETE Archive")
        assert c.list("", "*") == ["INBOX", "&AOk-t&AOk-"]
        c.ok("SUBSCRIBE INBOX")
        c.ok("SUBSCRIBE &AOk-t&AOk-")
        assert c.list("", "*", "LSUB") == ["INBOX", "&AOk-t&AOk-"]
        c.ok("UNSUBSCRIBE INBOX")
        assert c.list("", "*", "LSUB") == ["&AOk-t&AOk-"]
    with Mupdate(mixed.m.address).login() as m:
        assert m.find("user.fred.Archive") is None and m.find("user.fred.&AOk-t&AOk-")[1] == "be1.lab!default"


def test_acl_is_seen_everywhere(mixed):
    with mixed.imap("fred") as c, mixed.imap("bob") as b:
        c.ok("CREATE Shared")
        assert b.list("", "*") == ["INBOX"]
        b.no('SELECT "Other Users/fred/Shared"')
        c.ok("SETACL Shared bob lrs")
        c.ok("SETACL Shared anyone l")
        acl = c.ok("GETACL Shared").one(rb"^\* ACL Shared (.*)").group(1).decode().split()
        acl = dict(zip(acl[::2], acl[1::2]))
        assert acl["bob"] == "lrs" and acl["anyone"] == "l" and set("lrswip") < set(acl["fred"])
        eventually(lambda: "Other Users/fred/Shared" in b.list("", "*"))
        assert b.ok('MYRIGHTS "Other Users/fred/Shared"').one(rb"lrs")
        b.select('"Other Users/fred/Shared"')
        b.no(['APPEND "Other Users/fred/Shared" () ', message("refused")])
        b.no('DELETE "Other Users/fred/Shared"')
        assert c.ok("LISTRIGHTS Shared bob").find(rb"^\* LISTRIGHTS Shared bob")
        c.ok("DELETEACL Shared anyone")
        assert b"anyone" not in c.ok("GETACL Shared").one(rb"^\* ACL Shared (.*)").group(1)


def test_quota(mixed):
    with mixed.imap("cyrus") as a:
        a.ok("SETQUOTA user/fred (STORAGE 50)")
        assert a.ok("GETQUOTA user/fred").one(rb"^\* QUOTA user/fred \(STORAGE 0 50\)")
    with mixed.imap("fred") as c:
        assert c.ok("GETQUOTAROOT INBOX").find(rb"^\* QUOTA .*\(STORAGE 0 50\)")
        c.no("SETQUOTA INBOX (STORAGE 5000)")
        c.append("INBOX", message("fits"))
        c.no(["APPEND INBOX () ", message("large", body="x" * 100 + "\r\n" + "y\r\n" * 40000)])
        assert c.select("INBOX") == 1
    with mixed.lmtp() as lmtp:
        large = message("large", body="z\r\n" * 40000)
        # By default Cyrus lets the message in that exceeds the limit, and none after it.
        assert [code for code, _ in lmtp.deliver("a@example.org", ["fred", "bob"], large)] == [250, 250]
        assert [code for code, _ in lmtp.deliver("a@example.org", ["fred", "bob"], message())] == [452, 250]


def test_idle(mixed):
    with mixed.imap("fred") as c, mixed.imap("fred") as d:
        c.select("INBOX")
        tag = c.start("IDLE")
        assert c.read_line().startswith(b"+")
        d.append("INBOX", message("new"))
        while not (line := c.read_response()).endswith(b"EXISTS"):
            pass
        assert line == b"* 1 EXISTS"
        c.send("DONE\r\n")
        assert c.finish(tag).status == "OK"
        assert c.uids() == [1]


def test_lmtp(mixed):
    text = message("delivered")
    with mixed.lmtp() as lmtp:
        replies = lmtp.deliver("a@example.org", ["fred", "bob", "nobody", "fred+Lists"], text)
        assert [code for code, _ in replies] == [250, 250, 550, 250], replies
    with mixed.imap("fred") as c:
        assert c.select("INBOX") in (1, 2)  # the second is of a folder that is not there: duplicate or not
        assert c.body(1).endswith(text)
    mixed.be[FRED].stop()
    with mixed.lmtp() as lmtp:
        replies = lmtp.deliver("a@example.org", ["fred", "bob"], message("again"))
        assert replies[0][0] // 100 == 4 and replies[1][0] == 250, replies
    mixed.be[FRED].start()
    eventually(lambda: delivered(mixed, "fred"))


def delivered(mixed, user):
    with mixed.lmtp() as lmtp:
        return lmtp.deliver("a@example.org", [user], message("more"))[0][0] == 250


def test_dead_and_restarted(mixed):
    with mixed.imap("fred") as c, mixed.imap("bob") as b:
        c.append("INBOX", message("before"))
        c.select("INBOX")
        mixed.be[FRED].kill()
        assert "[UNAVAILABLE]" in c.no("FETCH 1 FLAGS").text
        assert c.list("", "*") == ["INBOX"]
        assert "[UNAVAILABLE]" in c.no("SELECT INBOX").text
        b.append("INBOX", message("bob's"))
        assert b.select("INBOX") == 1
        mixed.be[FRED].start()
        eventually(lambda: c.command("SELECT INBOX").status == "OK")
        assert c.uids() == [1]


def test_graceful_restart_of_cyrus(mixed):
    """Cyrus says BYE to whom it serves."""
    with mixed.imap("fred") as c:
        c.append("INBOX", message("before"))
        c.select("INBOX")
        mixed.be[FRED].stop(signal.SIGQUIT)
        mixed.be[FRED].start()
        c.command("NOOP")
        eventually(lambda: c.command("SELECT INBOX").status == "OK")
        assert c.uids() == [1]


def test_admin_places_and_removes(mixed):
    with mixed.imap("cyrus") as a:
        a.ok("CREATE shared be1.lab")
        a.ok("CREATE shared/on-partition be1.lab!default")
        a.no("CREATE elsewhere be1.lab!nowhere")
        a.no("CREATE elsewhere be9.lab")
        assert a.list("", "shared*") == ["shared", "shared/on-partition"]
        a.ok("SETACL shared/on-partition cyrus lrswipkxtecda")
        a.ok("DELETE shared/on-partition")
        assert a.list("", "shared*") == ["shared"]
        a.ok("SETACL user/fred cyrus lrswipkxtecda")
        a.ok("DELETE user/fred")
        assert a.list("", "user/*") == ["user/bob"]
    with mixed.imap("fred") as c:
        assert c.list("", "*") == ["Shared Folders/shared"]
