"""What a desktop program such as Thunderbird says, in its order and spelling: several connections of one user, one waiting in IDLE
for each folder looked at, headers first and bodies part by part, copies of what was sent, a junk folder, folders made and removed."""

import pytest

from iatlas.clients import message

HEADERS = (
    "UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Resent-Message-ID Subject Date Message-ID Priority X-Priority "
    "References Newsgroups In-Reply-To Content-Type Reply-To)]"
)
MIXED = (
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n',
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nthe text\r\n"
    "--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n" + "QUJD" * 15000 + "\r\n--b--\r\n",
)


class Desktop:
    """One account; its connections begin alike."""

    def __init__(self, user):
        self.user, self.connections = user, []

    def connect(self):
        c = self.user.imap()
        self.connections.append(c)
        said = c.ok("capability").one(rb"CAPABILITY (.*)$").group(1).decode().split()
        assert {"IMAP4rev1", "ID", "NAMESPACE", "IDLE", "CONDSTORE", "ENABLE", "UIDPLUS", "MOVE", "LIST-EXTENDED", "SPECIAL-USE"} < set(said)
        assert c.ok('ID ("name" "Thunderbird" "version" "115.4.1")').one(rb"^\* ID (.*)$")
        c.compress()
        return c

    def open(self, folder):
        c = self.connect()
        r = c.ok('select "%s" (CONDSTORE)' % folder)
        assert r.one(rb"UIDVALIDITY (\d+)") and r.one(rb"HIGHESTMODSEQ (\d+)") and r.one(rb"PERMANENTFLAGS \(.*\\\*\)")
        return c

    def close(self):
        for c in self.connections:
            c.ok("logout")
            c.close()


@pytest.fixture
def desktop(user):
    d = Desktop(user)
    yield d
    d.close()


def uids(response):
    return [int(m.group(1)) for m in response.find(rb"FETCH \(.*?UID (\d+)")]


def idle(c):
    tag = c.start("IDLE")
    assert c.read_line().startswith(b"+")
    return tag


def done(c, tag):
    c.send("DONE\r\n")
    r = c.finish(tag)
    assert r.status == "OK"
    return r


def until(c, wanted):
    """Everything said in IDLE up to a response that contains `wanted`."""
    said = []
    while not said or wanted not in said[-1]:
        said.append(c.read_response())
    return said


def test_a_morning(desktop):
    user = desktop.user
    user.deliver("first")
    c = desktop.connect()
    assert c.ok("namespace").one(rb"^\* NAMESPACE \(\(\"\" ")
    assert c.ok('list (subscribed) "" "*" return (special-use)').status == "OK"
    assert c.ok('list "" "INBOX"').one(rb"LIST \(.*\) \"?.\"? \"?INBOX")
    for folder, use in (("Sent", "\\Sent"), ("Trash", "\\Trash"), ("Junk", "\\Junk"), ("Drafts", "\\Drafts")):
        c.ok('create "%s" (USE (%s))' % (folder, use))
        c.ok('subscribe "%s"' % folder)
    listed = c.ok('list (subscribed) "" "*" return (special-use)')
    assert {m.group(1) for m in listed.find(rb"(\\Sent|\\Trash|\\Junk|\\Drafts)\b.*\"?.\"? \"?\w+")} == {b"\\Sent", b"\\Trash", b"\\Junk", b"\\Drafts"}

    inbox = desktop.open("INBOX")
    inbox.ok('getquotaroot "INBOX"')
    assert inbox.ok('myrights "INBOX"').one(rb"MYRIGHTS \"?INBOX\"? \S*lrsw")
    assert uids(inbox.ok("UID fetch 1:* (FLAGS)")) == [1]
    assert inbox.ok("UID fetch 1 (%s)" % HEADERS).one(rb"Subject: first")

    tag = idle(inbox)
    user.deliver("second")
    until(inbox, b" EXISTS")
    done(inbox, tag)
    inbox.ok("noop")
    assert uids(inbox.ok("UID fetch 2:* (FLAGS)")) == [2]
    assert inbox.ok("UID fetch 2 (%s)" % HEADERS).one(rb"Subject: second")
    assert inbox.ok("UID fetch 2 (UID RFC822.SIZE BODY[])").one(rb"Subject: second")
    assert inbox.ok("UID fetch 1:* (FLAGS)").find(rb"UID 2\b.*\\Seen|\\Seen.*UID 2\b")

    # an answer is written: draft, then the copy of what was sent, marked as answered; the draft goes
    drafts = desktop.open("Drafts")
    draft = message("Re: second", headers="In-Reply-To: <x@y>\r\n")
    r = drafts.ok(["append \"Drafts\" (\\Draft \\Seen) \"22-Nov-2026 10:00:00 +0100\" ", draft])
    assert "[APPENDUID " in r.text
    c.ok(["append \"Sent\" (\\Seen) ", draft])
    drafts.ok("uid store 1 +Flags (\\Deleted)")
    drafts.ok("expunge")
    inbox.ok("uid store 2 +Flags (\\Answered)")
    sent = desktop.open("Sent")
    (found,) = sent.uids("UNDELETED HEADER Message-ID %s" % draft.split(b"Message-ID: ")[1].split(b"\r\n")[0].decode())
    assert sent.ok("UID fetch %d (%s)" % (found, HEADERS)).one(rb"Subject: Re: second")

    # another connection (a telephone) changes flags and moves mail away: the folder looked at hears of both
    tag = idle(inbox)
    with user.imap() as phone:
        phone.ok("SELECT INBOX")
        phone.ok("uid store 1 +Flags (Junk \\Flagged)")
        until(inbox, b"Junk")
        assert phone.ok('uid move 1 "Junk"').one(rb"\[COPYUID \d+ 1 1\]")
    until(inbox, b"1 EXPUNGE")
    done(inbox, tag)
    assert uids(inbox.ok("UID fetch 1:* (FLAGS)")) == [2]
    junk = desktop.open("Junk")
    assert junk.ok("UID fetch 1:* (FLAGS)").one(rb"Junk.*UID|UID.*Junk")


def test_parts_on_demand(desktop):
    """The structure first, the text at once, the attachment in pieces when it is opened."""
    user = desktop.user
    user.deliver("plain")
    with user.imap() as c:
        c.append("INBOX", message("with attachment", headers=MIXED[0], body=MIXED[1]))
    inbox = desktop.open("INBOX")
    known = inbox.ok("UID fetch 2 (UID RFC822.SIZE BODYSTRUCTURE)").one(rb"RFC822.SIZE (\d+).*\"APPLICATION\" \"PDF\"")
    assert inbox.ok("UID fetch 2 (BODY.PEEK[HEADER] BODY.PEEK[1.MIME] BODY.PEEK[1] BODY.PEEK[2.MIME])").one(rb"the text")
    pieces, chunk = b"", 20000
    while True:
        m = inbox.ok("UID fetch 2 (UID BODY.PEEK[2]<%d.%d>)" % (len(pieces), chunk)).one(rb"BODY\[2\]<(\d+)> (?:\"(.*?)\"|\{(\d+)\}\r\n(.*))")
        piece = (m.group(4) or b"")[: int(m.group(3) or 0)] or m.group(2) or b""
        assert int(m.group(1)) == len(pieces)
        pieces += piece
        if len(piece) < chunk:
            break
    assert pieces == b"QUJD" * 15000
    whole = inbox.body(2)
    assert len(whole) == int(known.group(1)) and pieces in whole
    assert not inbox.ok("UID fetch 2 (FLAGS)").find(rb"\\Seen")


def test_resume(desktop):
    """After sleep: what changed since the modseq known, what is gone, then what is new."""
    user = desktop.user
    for i in range(5):
        user.deliver("m%d" % i)
    inbox = desktop.open("INBOX")
    validity = inbox.ok("status \"INBOX\" (UIDNEXT MESSAGES UNSEEN RECENT UIDVALIDITY HIGHESTMODSEQ)")
    known = int(validity.one(rb"HIGHESTMODSEQ (\d+)").group(1))
    with user.imap() as phone:
        phone.ok("SELECT INBOX")
        phone.ok("STORE 2 +FLAGS (\\Seen)")
        phone.ok("STORE 4 +FLAGS (\\Deleted)")
        phone.ok("UID EXPUNGE 4")
    user.deliver("m5")
    inbox.ok("noop")
    changed = inbox.ok("UID fetch 1:* (FLAGS) (CHANGEDSINCE %d)" % known)
    assert uids(changed) == [2, 6]
    again = desktop.connect()
    again.ok("ENABLE QRESYNC")
    number = int(validity.one(rb"UIDVALIDITY (\d+)").group(1))
    r = again.ok('select "INBOX" (QRESYNC (%d %d))' % (number, known))
    assert r.one(rb"^\* VANISHED \(EARLIER\) 4$")
    assert uids(r) == [2, 6]


def test_folders(desktop):
    """Made, renamed with what is below, moved into the trash, emptied."""
    user = desktop.user
    c = desktop.connect()
    for folder in ("Trash", "Work", "Work/2026", "Work/&ZeVnLIqe-"):
        c.ok('create "%s"' % folder)
        c.ok('subscribe "%s"' % folder)
    user.fill("Work/2026", 3)
    year = desktop.open("Work/2026")
    assert "[COPYUID " in year.ok('uid copy 1:3 "INBOX"').text
    c.ok('rename "Work" "Trash/Work"')
    for folder in ("Work", "Work/2026", "Work/&ZeVnLIqe-"):
        c.ok('unsubscribe "%s"' % folder)
        c.ok('subscribe "Trash/%s"' % folder)
    assert [n for n in c.list("", "Trash/*")] == ["Trash/Work", "Trash/Work/&ZeVnLIqe-", "Trash/Work/2026"]
    assert sorted(c.list("", "*", "lsub")) == ["Trash", "Trash/Work", "Trash/Work/&ZeVnLIqe-", "Trash/Work/2026"]
    assert len(uids(year.ok("UID fetch 1:* (FLAGS)"))) == 3  # the folder that is open goes on
    year.ok("close")
    trash = desktop.open("Trash")
    for folder in ("Trash/Work/2026", "Trash/Work/&ZeVnLIqe-", "Trash/Work"):
        c.ok('delete "%s"' % folder)
        c.ok('unsubscribe "%s"' % folder)
    trash.ok('uid store 1:* +Flags (\\Deleted \\Seen)')
    trash.ok("close")
    assert c.list("", "*", "lsub") == ["Trash"]
    inbox = desktop.open("INBOX")
    assert inbox.uids('UNDELETED OR (SUBJECT "m1") (FROM "nobody")') == [2]
    assert inbox.uids("CHARSET UTF-8 UNDELETED BODY text") == [1, 2, 3]
