"""SORT and THREAD again and again in a mailbox that changes: what is kept from one to the next never shows."""

import itertools
import random

TOPICS = ["lunch", "Budget", "", "a", "ab", "=?utf-8?q?caf=C3=A9?=", "budget"]
DECODED = {"=?utf-8?q?caf=C3=A9?=": "cafe\u0301"}
NAMES = ["Ann", "bob", "Carla", "", "dora"]


class Message:
    serial = itertools.count()

    def __init__(self, rng, others):
        self.number = next(self.serial)
        self.topic, self.name = rng.choice(TOPICS), rng.choice(NAMES)
        self.parent = rng.choice(others) if others and rng.random() < 0.6 else None
        self.minute = self.number % 1440
        self.uid = 0

    def text(self):
        reply = "In-Reply-To: <%d@x>\r\nReferences: <%d@x>\r\n" % (self.parent.number, self.parent.number) if self.parent else ""
        return (
            "From: %s <%s%d@example.org>\r\nSubject: %s%s\r\nDate: Sat, 21 Nov 2026 %02d:%02d:00 +0000\r\nMessage-ID: <%d@x>\r\n%s\r\nx\r\n"
            % (self.name, self.name[:1], self.number % 3, "Re: " if self.parent else "", self.topic, *divmod(self.minute, 60), self.number, reply)
        ).encode()

    def subject(self):
        return DECODED.get(self.topic, self.topic).upper().encode()

    def sender(self):
        return ("%s%d" % (self.name[:1], self.number % 3)).upper().encode()

    def display(self):
        return (self.name or "%d@example.org" % (self.number % 3)).upper().encode()


class Mailbox:
    """What there is, and a session that changes it."""

    def __init__(self, server, seed):
        self.server, self.rng, self.messages, self.gone = server, random.Random(seed), [], []
        self.imap = server.imap("fred")
        self.imap.select("INBOX")

    def append(self, count):
        for _ in range(count):
            m = Message(self.rng, self.messages + self.gone)
            m.uid = self.uid_of(self.imap.append("INBOX", m.text()))
            self.messages.append(m)

    def uid_of(self, response):
        return int(response.text.partition("APPENDUID ")[2].split()[1].rstrip("]"))

    def expunge(self, count):
        leaving = self.rng.sample(self.messages, min(count, len(self.messages)))
        for m in leaving:
            self.imap.ok("UID STORE %d +FLAGS.SILENT (\\Deleted)" % m.uid)
            self.messages.remove(m)
        self.gone += leaving
        self.imap.ok("EXPUNGE")

    def sorted(self, *keys):
        return [m.uid for m in sorted(self.messages, key=lambda m: [k(m) for k in keys] + [m.uid])]

    def check(self, imap):
        imap.ok("NOOP")
        assert uids(imap, "SORT (SUBJECT)") == self.sorted(Message.subject)
        assert uids(imap, "SORT (FROM SUBJECT)") == self.sorted(Message.sender, Message.subject)
        assert uids(imap, "SORT (DISPLAYFROM DATE)") == self.sorted(Message.display, lambda m: m.minute)
        part = self.rng.sample(self.messages, len(self.messages) // 3)
        if part:
            among = ",".join(str(m.uid) for m in part)
            expected = [u for u in self.sorted(Message.subject) if u in {m.uid for m in part}]
            assert uids(imap, "SORT (SUBJECT)", "UID " + among) == expected


def uids(imap, command, criteria="ALL"):
    return [int(u) for m in imap.ok("UID %s UTF-8 %s" % (command, criteria)).find(rb"^\* SORT(.*)$") for u in m.group(1).split()]


def test_changing(imapd):
    box = Mailbox(imapd, 7)
    with imapd.imap("fred") as reader, box.imap:
        reader.select("INBOX")
        for count in (0, 3, 20, 1, 1, 30, 1):
            box.append(count)
            box.check(reader)
            box.expunge(count // 2)
            box.check(reader)


def test_made_anew(imapd):
    """The same name, with other messages under the same UIDs."""
    with imapd.imap("fred") as imap:
        for topics in (["b", "a", "c"], ["a", "c", "b"]):
            imap.ok("CREATE INBOX.New")
            for topic in topics:
                imap.append("INBOX.New", ("Subject: %s\r\n\r\nx\r\n" % topic).encode())
            imap.select("INBOX.New")
            assert uids(imap, "SORT (SUBJECT)") == [topics.index(t) + 1 for t in sorted(topics)]
            imap.ok("CLOSE")
            imap.ok("DELETE INBOX.New")


SORTS = ["SUBJECT", "FROM", "TO", "CC", "DISPLAYFROM", "DISPLAYTO", "REVERSE SUBJECT DATE", "FROM REVERSE SUBJECT SIZE"]
THREADS = ["ORDEREDSUBJECT", "REFERENCES", "REFS"]
ANSWERS = ["SORT (%s) UTF-8 %s" % (s, which) for s in SORTS for which in ("ALL", "1:10")]
ANSWERS += ["THREAD %s UTF-8 %s" % (t, which) for t in THREADS for which in ("ALL", "UNSEEN", "5:15")]


def answers(imap):
    return [imap.ok(command).find(rb"^\* (.*)$")[0].group(1) for command in ANSWERS]


def test_started_anew(imapd):
    """A process that has seen all of it come and go answers as one that begins."""
    box = Mailbox(imapd, 11)
    with box.imap:
        for count in (15, 1, 30, 1):
            box.append(count)
            box.expunge(count // 3)
            answers(box.imap)
        box.imap.ok("STORE 3:9 +FLAGS.SILENT (\\Seen)")
        kept = answers(box.imap)
    imapd.stop()
    imapd.start()
    with imapd.imap("fred") as imap:
        imap.select("INBOX")
        assert answers(imap) == kept
    assert len(set(kept)) > 15 and all(kept)
