"""Sessions that watch one another: news between commands, IDLE, sequence numbers that stay as told."""

import random
import re
import threading
import time

import pytest
from iatlas.clients import message
from iatlas.place import places

place = places()


@pytest.fixture
def fred(place):
    return place.user()


class Mirror:
    """What a client knows of its selected mailbox, kept up from untagged responses alone; checks them as it goes."""

    def __init__(self, c):
        self.c = c
        self.flags = []
        r = c.ok("SELECT INBOX")
        self.take(r.untagged)

    def take(self, untagged, expunge_allowed=True):
        for u in untagged:
            if (m := re.match(rb"\* (\d+) EXISTS$", u)) is not None:
                n = int(m.group(1))
                assert n >= len(self.flags), "EXISTS shrank"
                self.flags += [None] * (n - len(self.flags))
            elif (m := re.match(rb"\* (\d+) EXPUNGE$", u)) is not None:
                assert expunge_allowed, u
                del self.flags[int(m.group(1)) - 1]
            elif (m := re.match(rb"(?s)\* (\d+) FETCH \(.*FLAGS \(([^)]*)\)", u)) is not None:
                words = set(m.group(2).split()) - {b"\\Recent"}
                self.flags[int(m.group(1)) - 1] = words

    def command(self, text, expunge_allowed=True):
        r = self.c.command(text)
        self.take(r.untagged, expunge_allowed)
        return r

    def check(self):
        """When all is quiet: everything known agrees with what the server says now."""
        self.command("NOOP")
        known = list(self.flags)
        self.command("FETCH 1:* FLAGS", False)
        assert len(self.flags) == len(known)
        for told, now in zip(known, self.flags):
            assert told is None or told == now


def test_news(place, fred):
    a, b = place.imap(fred), place.imap(fred)
    a.append("INBOX", message())
    a.append("INBOX", message())
    a.select("INBOX")
    b.select("INBOX")
    a.append("INBOX", message())
    assert b"* 3 EXISTS" in b.ok("NOOP").untagged
    a.ok("STORE 2 +FLAGS (\\Flagged fresh)")
    r = b.ok("NOOP")
    assert re.match(rb"\* FLAGS \(.* fresh\)$", r.untagged[0])
    assert b"* 2 FETCH (UID 2 FLAGS (\\Flagged fresh))" in r.untagged
    assert b.ok("NOOP").untagged == []
    a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    # not during FETCH, STORE, SEARCH (RFC 3501 7.4.1): the numbers stay as they were told
    assert b.ok("FETCH 1:3 UID").untagged == [b"* %d FETCH (UID %d)" % (i, i) for i in (1, 2, 3)]
    assert not b.ok("SEARCH ALL").find(rb"EXPUNGE")
    assert not b.ok("STORE 3 +FLAGS (\\Seen)").find(rb"EXPUNGE")
    assert b"* 1 EXPUNGE" in b.ok("NOOP").untagged
    assert b.ok("FETCH 1 UID").untagged == [b"* 1 FETCH (UID 2)"]
    # a UID command may tell it
    a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    assert b"* 1 EXPUNGE" in b.ok("UID SEARCH ALL").untagged


def test_expunged_by_another(place, fred):
    """The body of a message that another session expunged: the one who knows it gets it or NO, never a lie."""
    a, b = place.imap(fred), place.imap(fred)
    for i in range(3):
        a.append("INBOX", message("m%d" % i))
    a.select("INBOX")
    b.select("INBOX")
    a.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    a.ok("EXPUNGE")
    r = b.command("FETCH 1:3 (UID BODY.PEEK[])")
    uids = [int(m.group(1)) for m in r.find(rb"UID (\d+) BODY")]
    assert (r.status == "OK" and uids == [1, 2, 3]) or (r.status == "NO" and "EXPUNGEISSUED" in r.text and uids == [1, 3])
    r = b.command("STORE 2 +FLAGS (\\Seen)")
    assert r.status == "OK" or "EXPUNGEISSUED" in r.text
    b.ok("NOOP").one(rb"^\* 2 EXPUNGE$")


def test_idle(place, fred):
    a, b = place.imap(fred), place.imap(fred)
    b.select("INBOX")
    b.send("i IDLE\r\n")
    assert b.read_line() == b"+ idling"
    began = time.monotonic()
    a.append("INBOX", message())
    assert b.read_line() == b"* 1 EXISTS"
    assert time.monotonic() - began < 20  # imapidlepoll is 60 s
    b.read_line()  # RECENT
    a.select("INBOX")
    a.ok("STORE 1 +FLAGS (\\Flagged)")
    assert b.read_line() == b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Flagged))"
    a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    b.read_line()
    a.ok("EXPUNGE")
    assert b.read_line() == b"* 1 EXPUNGE"
    b.send("DONE\r\n")
    assert b.read_line().startswith(b"i OK")
    # without a selected mailbox, and with something else than DONE
    c = place.client()
    c.send("i IDLE\r\n")
    assert c.read_line() == b"+ idling"
    c.send("done\r\nj NOOP\r\n")
    assert c.read_line().startswith(b"i OK") and c.read_line().startswith(b"j OK")
    c.send("i IDLE\r\nWHAT\r\n")
    assert c.read_line() == b"+ idling"
    assert c.read_line().startswith(b"i BAD")


def test_idle_rights(make_imapd):
    """A session in IDLE whose right r is taken is ended, at the latest after imapidlepoll."""
    imapd = make_imapd({"imapidlepoll": "1s"})
    a, b = imapd.imap("fred"), imapd.imap("bob")
    a.ok("SETACL INBOX bob lrs")
    b.select('"Other Users/fred"')
    b.send("i IDLE\r\n")
    assert b.read_line() == b"+ idling"
    a.ok("DELETEACL INBOX bob")
    assert b.read_line().startswith(b"* BYE")


def test_idle_many(place, fred):
    """Fifty sessions in IDLE hear of one message."""
    sessions = [place.imap(fred) for _ in range(50)]
    for s in sessions:
        s.select("INBOX")
        s.send("i IDLE\r\n")
        assert s.read_line() == b"+ idling"
    place.imap(fred).append("INBOX", message())
    for s in sessions:
        assert s.read_line() == b"* 1 EXISTS"
    # they end without DONE
    for s in sessions:
        s.close()
    assert place.imap(fred).select("INBOX") == 1


@pytest.mark.parametrize("seed", range(3))
def test_random(place, fred, seed):
    """Four clients do anything to one mailbox; each keeps its own picture from what it is told."""
    errors, mirrors = [], [Mirror(place.imap(fred)) for _ in range(4)]

    def client(number):
        rnd = random.Random(seed * 100 + number)
        m = mirrors[number]
        c = m.c
        try:
            for _ in range(60):
                n = len(m.flags)
                pick = rnd.randint(1, n) if n else 0
                action = rnd.randrange(10)
                if action < 3 or n < 3:
                    m.take(c.append("INBOX", message("c%d" % number)).untagged)
                elif action < 5:
                    flag = rnd.choice(["\\Seen", "\\Flagged", "kw%d" % rnd.randrange(3)])
                    m.command("STORE %d %sFLAGS (%s)" % (pick, rnd.choice("+-"), flag), False)
                elif action == 5:
                    m.command("STORE %d +FLAGS (\\Deleted)" % pick, False)
                    m.command("EXPUNGE")
                elif action == 6:
                    m.command("FETCH %d (UID BODY[TEXT])" % pick, False)
                elif action == 7:
                    m.command("SEARCH UNSEEN", False)
                elif action == 8:
                    m.command("COPY %d INBOX" % pick)
                else:
                    m.command("NOOP")
        except Exception as e:  # noqa: BLE001 - reported by the main thread
            errors.append((number, repr(e)))

    threads = [threading.Thread(target=client, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert errors == []
    for m in mirrors:
        m.check()
    c = place.imap(fred)
    exists = c.select("INBOX")
    assert len(c.uids()) == exists == len(c.ok("FETCH 1:* UID").untagged)


def test_kill(imapd):
    """kill -9 in the middle of appends: every message that was answered OK is there after a restart."""
    acknowledged = []

    def client(number):
        try:
            c = imapd.imap("fred")
            for i in range(1000):
                subject = "k%d-%d" % (number, i)
                c.append("INBOX", message(subject))
                acknowledged.append(subject)
        except (EOFError, OSError):
            pass

    threads = [threading.Thread(target=client, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    while len(acknowledged) < 30:
        time.sleep(0.01)
    imapd.process.kill()
    for t in threads:
        t.join(30)
    imapd.stop()
    imapd.start()
    c = imapd.imap("fred")
    c.select("INBOX")
    text = b"".join(c.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject)]").untagged)
    present = set(re.findall(rb"Subject: (\S+)\r", text))
    assert {s.encode() for s in acknowledged} <= present
    c.append("INBOX", message("after"))
