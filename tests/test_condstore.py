"""ENABLE (RFC 5161), CONDSTORE and QRESYNC (RFC 7162): directly and through a frontend."""

import random
import re
import threading

import pytest
from iatlas.clients import message


@pytest.fixture
def c(served):
    return served.imap("fred")


def fill(c, n, mailbox="INBOX"):
    for i in range(n):
        c.append(mailbox, message("m%d" % i))


def highest(r):
    return int(r.one(rb"^\* OK \[HIGHESTMODSEQ (\d+)\]").group(1))


def uidvalidity(r):
    return int(r.one(rb"\[UIDVALIDITY (\d+)\]").group(1))


def modseqs(r):
    """{uid: modseq} of the FETCH responses that have both."""
    found = {}
    for u in r.untagged:
        uid, modseq = re.search(rb"[( ]UID (\d+)", u), re.search(rb"[( ]MODSEQ \((\d+)\)", u)
        if u.split(b" ")[2:3] == [b"FETCH"] and uid and modseq:
            found[int(uid.group(1))] = int(modseq.group(1))
    return found


def vanished(r, earlier=False):
    pattern = rb"^\* VANISHED \(EARLIER\) (\S+)$" if earlier else rb"^\* VANISHED ([\d:,]+)$"
    return [n for m in r.find(pattern) for n in numbers(m.group(1).decode())]


def numbers(text):
    out = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        out += range(int(first), int(last or first) + 1)
    return out


# ---- ENABLE ----


def test_enable(c):
    assert c.ok("ENABLE X-NOT-THERE").untagged == [b"* ENABLED"]
    assert c.ok("ENABLE condstore x y").untagged == [b"* ENABLED CONDSTORE"]
    assert c.ok("ENABLE QRESYNC CONDSTORE").untagged == [b"* ENABLED CONDSTORE QRESYNC"]
    assert c.ok("ENABLE IMAP4rev1 MOVE").untagged == [b"* ENABLED"]
    c.bad("ENABLE")
    c.bad("ENABLE ")
    c.bad("ENABLE CONDSTORE  QRESYNC")
    c.bad("ENABLE (CONDSTORE)")


def test_suppressed(make_imapd):
    imapd = make_imapd({"suppress_capabilities": "CONDSTORE QRESYNC"})
    c = imapd.imap("fred")
    assert not re.search("CONDSTORE|QRESYNC", c.ok("CAPABILITY").untagged[0].decode())
    assert c.ok("ENABLE QRESYNC CONDSTORE").untagged == [b"* ENABLED"]
    assert not c.ok("SELECT INBOX").find(rb"MODSEQ")
    for command in (
        "FETCH 1:* (MODSEQ)",
        "FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
        "STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (x)",
        "SEARCH MODSEQ 1",
        "SELECT INBOX (CONDSTORE)",
        "STATUS INBOX (HIGHESTMODSEQ)",
    ):
        c.bad(command)


# ---- CONDSTORE ----


def test_condstore(c):
    fill(c, 3)
    r = c.ok("SELECT INBOX")
    before = highest(r)
    assert not r.find(rb"CLOSED")
    # not a client that knows mod-sequences yet: it is told of none
    assert c.ok("STORE 1 +FLAGS.SILENT (\\Seen)").untagged == []
    c.ok("FETCH 2 BODY[]").one(rb"\\Seen\)\)$")
    r = c.ok("FETCH 1:3 (UID MODSEQ)")
    seen = modseqs(r)
    assert sorted(seen) == [1, 2, 3] and seen[1] > before and seen[2] > seen[1] and 0 < seen[3] <= before
    # now it is one
    r = c.ok("STORE 3 +FLAGS (\\Answered)")
    flagged = modseqs(r)[3]
    assert flagged > seen[2] and b"FLAGS (\\Recent \\Answered)" in r.untagged[0]
    r = c.ok("STORE 3 +FLAGS.SILENT (\\Answered)")
    assert r.untagged == [b"* 3 FETCH (UID 3 MODSEQ (%d))" % flagged]  # nothing new: nothing changed
    assert modseqs(c.ok("FETCH 3 BODY[]"))[3] > flagged  # \Seen
    # CHANGEDSINCE
    r = c.ok("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % seen[2])
    assert [u.split()[1] for u in r.untagged] == [b"3"] and b"MODSEQ (" in r.untagged[0]
    assert c.ok("UID FETCH 1:* FLAGS (CHANGEDSINCE 999999)").untagged == []
    assert sorted(modseqs(c.ok("UID FETCH 1:* (UID MODSEQ FLAGS) (changedsince 1)"))) == [1, 2, 3]
    # SELECT of another closes this one; every SELECT says HIGHESTMODSEQ
    c.ok("CREATE Other")
    r = c.ok("SELECT Other (CONDSTORE)")
    assert r.untagged[0].startswith(b"* OK [CLOSED]")
    highest(r)
    r = c.ok("EXAMINE INBOX (condstore)")
    assert highest(r) >= modseqs(c.ok("FETCH 3 (MODSEQ UID)"))[3]
    r = c.ok("STATUS INBOX (HIGHESTMODSEQ MESSAGES)")
    assert r.one(rb"HIGHESTMODSEQ (\d+)") and int(r.one(rb"HIGHESTMODSEQ (\d+)").group(1)) >= flagged


def test_condstore_elsewhere(served):
    """What enables it in one mailbox counts in the next one, wherever that is."""
    c, b = served.imap("fred"), served.imap("bob")
    fill(c, 1)
    b.append("INBOX", message())
    b.ok("SETACL INBOX fred lrswite")
    c.ok("SELECT INBOX (CONDSTORE)")
    highest(c.ok('SELECT "Other Users/bob"'))
    assert modseqs(c.ok("STORE 1 +FLAGS.SILENT (\\Flagged)"))[1] > 0
    assert modseqs(c.ok("FETCH 1 BODY[]"))[1] > 0  # fred's \Seen is his own there
    d = served.imap("fred")
    d.ok("STATUS INBOX (HIGHESTMODSEQ)")
    d.ok('SELECT "Other Users/bob"')
    assert modseqs(d.ok("STORE 1 -FLAGS.SILENT (\\Flagged)"))[1] > 0
    for how in ("ENABLE CONDSTORE", "ENABLE QRESYNC"):
        e = served.imap("fred")
        e.ok("SELECT INBOX")
        e.ok(how)  # too late, but no reason not to do it
        r = e.ok("STORE 1 +FLAGS.SILENT (t%d)" % len(how))
        assert modseqs(r)[1] > 0, how
        e.ok('SELECT "Other Users/bob"')
        assert modseqs(e.ok("STORE 1 +FLAGS.SILENT (u%d)" % len(how)))[1] > 0


def test_enabled_by_search(c):
    fill(c, 1)
    c.ok("SELECT INBOX")
    c.ok("SEARCH MODSEQ 1")
    assert modseqs(c.ok("STORE 1 +FLAGS.SILENT (\\Flagged)"))


def test_unchangedsince(c):
    fill(c, 4)
    c.ok("SELECT INBOX")
    start = modseqs(c.ok("FETCH 1:4 (UID MODSEQ)"))
    c.ok("STORE 2 +FLAGS (\\Flagged)")
    top = max(start.values())
    r = c.ok("STORE 1:4 (UNCHANGEDSINCE %d) +FLAGS.SILENT (\\Deleted)" % top)
    assert r.text.startswith("[MODIFIED 2]")
    r.one(rb"^\* 1 FETCH \(UID 1 MODSEQ \(\d+\)\)$")
    r.one(rb"^\* 2 FETCH \(UID 2 FLAGS \(\\Recent \\Flagged\) MODSEQ \(\d+\)\)$")  # why it failed
    c.ok("FETCH 2 FLAGS").one(rb"FLAGS \(\\Recent \\Flagged\)")
    # numbers, or UIDs with UID
    c.ok("STORE 1 -FLAGS (\\Deleted)")
    c.ok("UID EXPUNGE 4")
    c.ok("STORE 3 -FLAGS (\\Deleted)")
    c.append("INBOX", message())
    c.ok("NOOP")
    assert c.ok("UID STORE 1:5 (UNCHANGEDSINCE %d) +FLAGS (x)" % start[1]).text.startswith("[MODIFIED 1:3,5]")
    assert c.ok("STORE 1:4 (unchangedsince %d) FLAGS (x)" % start[1]).text.startswith("[MODIFIED 1:4]")
    # 0: is that keyword new?  System flags are always there.
    assert c.ok("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($Done)").text.startswith("Completed")
    assert c.ok("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($Done)").text.startswith("[MODIFIED 1]")
    assert c.ok("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Flagged)").text.startswith("[MODIFIED 1]")
    for command in (
        "STORE 1 (UNCHANGEDSINCE) FLAGS (x)",
        "STORE 1 (UNCHANGEDSINCE -1) FLAGS (x)",
        "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (x)",
        "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) FLAGS (x)",
        "STORE 1 () FLAGS (x)",
        "STORE 1 (CHANGEDSINCE 1) FLAGS (x)",
        "STORE 1 (UNCHANGEDSINCE 1)FLAGS (x)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 0)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 9223372036854775808)",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        "FETCH 1 (FLAGS) ()",
        "FETCH 1 (FLAGS)(CHANGEDSINCE 1)",
        "SEARCH MODSEQ",
        "SEARCH MODSEQ x",
        'SEARCH MODSEQ "/x/y" all 1',
        'SEARCH MODSEQ "/flags/x" some 1',
        "SELECT INBOX (CONDSTORE CONDSTORE)",
        "SELECT INBOX ()",
        "SELECT INBOX (CONDSTORE",
        "SELECT INBOX (X-WHAT)",
    ):
        c.bad(command)


def test_search_modseq(c):
    fill(c, 5)
    c.ok("SELECT INBOX")
    start = modseqs(c.ok("FETCH 1:5 (UID MODSEQ)"))
    two = modseqs(c.ok("STORE 2 +FLAGS (\\Flagged)"))[2]
    four = modseqs(c.ok("STORE 4 +FLAGS (\\Flagged)"))[4]
    assert c.ok("SEARCH MODSEQ %d" % two).untagged == [b"* SEARCH 2 4 (MODSEQ %d)" % four]
    assert c.ok('SEARCH 1:3 MODSEQ "/flags/\\\\flagged" all %d' % two).untagged == [b"* SEARCH 2 (MODSEQ %d)" % two]
    assert c.ok("UID SEARCH NOT MODSEQ %d" % two).untagged == [b"* SEARCH 1 3 5 (MODSEQ %d)" % max(start[i] for i in (1, 3, 5))]
    assert c.ok("SEARCH MODSEQ %d" % (four + 1)).untagged == [b"* SEARCH"]
    assert c.ok("SEARCH ALL").untagged == [b"* SEARCH 1 2 3 4 5"]
    assert c.ok("SORT (REVERSE ARRIVAL) UTF-8 MODSEQ %d" % two).one(rb"\* SORT .*\(MODSEQ (\d+)\)$").group(1) == b"%d" % four
    assert c.ok("UID SORT RETURN (COUNT) (ARRIVAL) UTF-8 MODSEQ %d" % two).find(rb"COUNT 2 MODSEQ %d$" % four)
    # with RETURN: of what MIN and MAX ask for, or of all
    for options, answer, modseq in (
        ("ALL", " ALL 2,4", four),
        ("MIN", " MIN 2", two),
        ("MAX", " MAX 4", four),
        ("MIN COUNT", " MIN 2 COUNT 2", four),
        ("PARTIAL 1:1", " PARTIAL (1:1 2)", four),
    ):
        r = c.ok("SEARCH RETURN (%s) MODSEQ %d" % (options, two))
        assert r.one(rb"^\* ESEARCH \(TAG \S+\)(.*)$").group(1).decode() == "%s MODSEQ %d" % (answer, modseq)
    assert not c.ok("SEARCH RETURN (ALL) MODSEQ %d" % (four + 1)).find(rb"MODSEQ")
    c.ok("ENABLE QRESYNC")
    c.ok("SEARCH RETURN (SAVE) 1:3")
    c.ok("STORE 3 +FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    assert vanished(c.ok("UID FETCH $ (FLAGS) (CHANGEDSINCE %d VANISHED)" % four), True) == [3]
    c.bad("SELECT INBOX (QRESYNC (1 1 $))")


# ---- QRESYNC ----


def test_qresync(c):
    fill(c, 9)
    c.bad("SELECT INBOX (QRESYNC (1 1))")  # not enabled
    r = c.ok("SELECT INBOX")
    validity, known = uidvalidity(r), highest(r)
    c.bad("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)")
    c.ok("UNSELECT")
    c.ok("ENABLE QRESYNC")
    r = c.ok("SELECT INBOX (QRESYNC (%d %d))" % (validity, known))
    assert not vanished(r, True) and not r.find(rb"FETCH")
    c.ok("STORE 2,4:5,9 +FLAGS.SILENT (\\Deleted)")
    r = c.ok("EXPUNGE")
    assert vanished(r) == [2, 4, 5, 9] and not r.find(rb"EXPUNGE")
    after = int(re.match(r"\[HIGHESTMODSEQ (\d+)\]", r.text).group(1))
    assert after > known
    assert not c.ok("EXPUNGE").text.startswith("[")
    c.ok("UID STORE 7 +FLAGS.SILENT (\\Answered)")
    fill(c, 1)
    c.ok("UNSELECT")
    # what was missed, of all and of what is known
    r = c.ok("SELECT INBOX (QRESYNC (%d %d))" % (validity, known))
    assert vanished(r, True) == [2, 4, 5, 9] and sorted(modseqs(r)) == [7, 10]
    i = [n for n, u in enumerate(r.untagged) if b"EARLIER" in u or b" FETCH " in u or b"HIGHESTMODSEQ" in u]
    assert b"HIGHESTMODSEQ" in r.untagged[i[0]] and b"EARLIER" in r.untagged[i[1]] and b" FETCH " in r.untagged[i[2]]
    assert r.text.startswith("[READ-WRITE]")
    r = c.ok("EXAMINE INBOX (QRESYNC (%d %d 3:5,7))" % (validity, known))
    assert vanished(r, True) == [4, 5] and sorted(modseqs(r)) == [7] and r.text.startswith("[READ-ONLY]")
    # the others are as the client knows them up to UID 6 (its fourth message is then UID 7, not 6)
    r = c.ok("SELECT INBOX (QRESYNC (%d %d 1:9 (1:2,4 1,3,7)))" % (validity, known))
    assert vanished(r, True) == [9] and sorted(modseqs(r)) == [7]
    r = c.ok("SELECT INBOX (QRESYNC (%d %d (1:4 1:4)))" % (validity, known))
    assert vanished(r, True) == [2, 4, 5, 9]
    # since the expunge; another UIDVALIDITY
    assert vanished(c.ok("SELECT INBOX (QRESYNC (%d %d))" % (validity, after)), True) == []
    r = c.ok("SELECT INBOX (CONDSTORE QRESYNC (%d %d))" % (validity + 1, known))
    assert not vanished(r, True) and not r.find(rb"FETCH")
    # UID FETCH
    r = c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % known)
    assert vanished(r, True) == [2, 4, 5, 9] and sorted(modseqs(r)) == [7, 10] and b"VANISHED" in r.untagged[0]
    assert vanished(c.ok("UID FETCH 3:4,9:99 FLAGS (VANISHED CHANGEDSINCE %d)" % known), True) == [4, 9]
    assert vanished(c.ok("UID FETCH 1:* FLAGS (CHANGEDSINCE %d VANISHED)" % after), True) == []


def test_qresync_syntax(c):
    c.ok("ENABLE QRESYNC")
    fill(c, 2)
    c.ok("SELECT INBOX")
    for command in (
        "SELECT INBOX (QRESYNC)",
        "SELECT INBOX (QRESYNC (1))",
        "SELECT INBOX (QRESYNC (0 1))",
        "SELECT INBOX (QRESYNC (1 0))",
        "SELECT INBOX (QRESYNC (1 9223372036854775808))",
        "SELECT INBOX (QRESYNC (1 1 1:*))",
        "SELECT INBOX (QRESYNC (1 1 ()))",
        "SELECT INBOX (QRESYNC (1 1 1:2 (1:2)))",
        "SELECT INBOX (QRESYNC (1 1 1:2 (1:2 1)))",
        "SELECT INBOX (QRESYNC (1 1 1:2 (1 *)))",
        "SELECT INBOX (QRESYNC (1 1 1:2 (1 1) x))",
        "SELECT INBOX (QRESYNC (1 1) QRESYNC (1 1))",
        "FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1:* (FLAGS) (VANISHED)",
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED VANISHED)",
    ):
        c.bad(command)
    # nothing of this has closed the mailbox
    assert c.uids() == [1, 2]
    c.ok("SELECT INBOX (QRESYNC (4294967295 9223372036854775807 1:4294967295 (1:4294967295 1:4294967295)))")


def test_vanished_by_others(served):
    a, b = served.imap("fred"), served.imap("fred")
    fill(a, 6)
    b.ok("ENABLE QRESYNC")
    start = highest(b.ok("SELECT INBOX"))
    a.select("INBOX")
    a.ok("STORE 2,5 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    a.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    # not during FETCH, STORE, SEARCH with numbers; what may be told then is ahead of what is known
    r = b.ok("FETCH 6 (FLAGS)")
    assert not vanished(r)
    told = modseqs(r)
    if told:
        assert highest(r) == start or highest(r) < told[1]
    r = b.ok("SEARCH ALL")
    assert not vanished(r)
    r = b.ok("NOOP")
    assert vanished(r) == [2, 5] and not r.find(rb"EXPUNGE")
    if told:
        assert highest(r) >= told[1]
    assert len(b.ok("FETCH 1:* (UID)").untagged) == 4
    # MOVE, by itself and by another
    a.ok("CREATE Away")
    a.ok("MOVE 1 Away")
    assert vanished(b.ok("NOOP")) == [1]
    r = b.ok("UID MOVE 3:4 Away")
    assert vanished(r) == [3, 4]
    assert highest(r) > start
    # IDLE
    b.send("i IDLE\r\n")
    assert b.read_line().startswith(b"+")
    a.ok("NOOP")
    a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    while not (line := b.read_line()).startswith(b"* VANISHED"):
        assert b"FETCH" in line or b"HIGHESTMODSEQ" in line
    assert line == b"* VANISHED 6"
    b.send("DONE\r\n")
    assert b.read_line().startswith(b"i OK")


def test_close_tells_nothing(c):
    fill(c, 2)
    c.ok("ENABLE QRESYNC")
    r = c.ok("SELECT INBOX")
    validity, known = uidvalidity(r), highest(r)
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    r = c.ok("CLOSE")
    assert r.untagged == [] and "HIGHESTMODSEQ" not in r.text
    assert vanished(c.ok("SELECT INBOX (QRESYNC (%d %d))" % (validity, known)), True) == [1]


def test_move_elsewhere(served):
    """MOVE to another server: the source's client hears VANISHED and HIGHESTMODSEQ."""
    c, b = served.imap("fred"), served.imap("bob")
    fill(c, 3)
    b.ok("SETACL INBOX fred lrswite")
    c.ok("ENABLE QRESYNC")
    start = highest(c.ok("SELECT INBOX"))
    r = c.ok('MOVE 2 "Other Users/bob"')
    assert vanished(r) == [2]
    assert max(int(m.group(1)) for m in r.find(rb"HIGHESTMODSEQ (\d+)")) > start


class Believer:
    """A client that keeps a copy by QRESYNC alone; what it believes must be true when all is quiet."""

    def __init__(self, c):
        self.c, self.flags, self.modseq = c, {}, 0
        c.ok("ENABLE QRESYNC")
        r = c.ok("SELECT INBOX")
        self.validity = uidvalidity(r)
        self.take(r)
        self.take(c.ok("UID FETCH 1:* (FLAGS MODSEQ)"))

    def take(self, r):
        told, best = None, 0
        for u in r.untagged:
            if (m := re.match(rb"\* VANISHED (?:\(EARLIER\) )?(\S+)$", u)) is not None:
                for uid in numbers(m.group(1).decode()):
                    self.flags.pop(uid, None)
            elif b" FETCH (" in u:
                uid = int(re.search(rb"UID (\d+)", u).group(1))
                m = re.search(rb"FLAGS \(([^)]*)\)", u)
                if m is not None:
                    self.flags[uid] = frozenset(m.group(1).split()) - {b"\\Recent"}
                best = max(best, int(re.search(rb"MODSEQ \((\d+)\)", u).group(1)))
            elif (m := re.search(rb"HIGHESTMODSEQ (\d+)", u)) is not None:
                told = int(m.group(1))
        if (m := re.match(r"\[HIGHESTMODSEQ (\d+)\]", r.text)) is not None:
            told = int(m.group(1))
        self.modseq = told if told is not None else max(self.modseq, best)

    def again(self, c):
        """The connection is lost, and another made."""
        self.c = c
        c.ok("ENABLE QRESYNC")
        if self.modseq:
            self.take(c.ok("SELECT INBOX (QRESYNC (%d %d))" % (self.validity, self.modseq)))
        else:
            c.ok("SELECT INBOX")


@pytest.mark.parametrize("seed", range(2))
def test_believers(served, seed):
    """Clients change a mailbox and lose their connections; each keeps up by what it is told, and misses nothing."""
    errors, believers = [], [Believer(served.imap("fred")) for _ in range(3)]

    def client(number):
        rnd, b = random.Random(seed * 100 + number), believers[number]
        try:
            for i in range(50):
                uids = sorted(b.flags)
                pick = rnd.choice(uids) if uids else 1
                action = rnd.randrange(9)
                if action < 3 or len(uids) < 3:
                    b.take(b.c.append("INBOX", message("b%d-%d" % (number, i))))
                elif action < 5:
                    word = "%sFLAGS%s (%s)" % (rnd.choice("+-"), rnd.choice(["", ".SILENT"]), rnd.choice(["\\Seen", "k1", "k2"]))
                    r = b.c.ok("UID STORE %d %s" % (pick, word))
                    b.take(r)
                    if "SILENT" in word:
                        b.take(b.c.ok("UID FETCH %d (FLAGS MODSEQ)" % pick))
                elif action == 5:
                    b.take(b.c.ok("UID STORE %d +FLAGS (\\Deleted)" % pick))
                    b.take(b.c.ok("EXPUNGE"))
                elif action == 6:
                    b.take(b.c.ok("SEARCH MODSEQ 1"))
                elif action == 7:
                    b.take(b.c.ok("NOOP"))
                else:
                    b.c.close()
                    b.again(served.imap("fred"))
        except Exception as e:  # noqa: BLE001 - reported by the main thread
            errors.append((number, repr(e)))

    threads = [threading.Thread(target=client, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert errors == []
    truth = Believer(served.imap("fred"))
    for b in believers:
        b.c.close()
        b.again(served.imap("fred"))
        assert b.flags == truth.flags
