"""Programs that keep a copy of a whole account, both ways, until nothing changes: mbsync and offlineimap.

IATLAS_MBSYNC=50000 is for how many messages mbsync is tried (by hand, with -s for the seconds)."""

import mailbox
import os
import pwd
import re
import time

import pytest

from iatlas import message

pytestmark = pytest.mark.peer

MANY = int(os.environ.get("IATLAS_MBSYNC", 400))  # messages of test_many, on both sides together

NAMES = {  # as IMAP has it: as the user sees it
    "INBOX": "INBOX",
    "Work": "Work",
    "Work/2026": "Work/2026",
    "Work/2026/&ANw-bung": "Work/2026/Übung",
    "&BB8EQAQ4BDIENQRC-": "Привет",
    "a&-b c": "a&b c",
    "New/&AOQ-": "New/ä",  # made later
}
FLAGS = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Deleted": "T", "\\Draft": "D"}

CHANGES = re.compile(rb"\\b(?:APPEND|STORE|EXPUNGE|CREATE|DELETE|COPY|MOVE|SUBSCRIBE) ")

MBSYNC = """
FSync no

IMAPAccount a
Host %(host)s
Port %(imap)s
User %(user)s
Pass %(password)s
SSLType STARTTLS
SystemCertificates no
CertificateFile %(ca)s
AuthMechs SCRAM-SHA-256

IMAPStore far
Account a

MaildirStore near
Path %(home)s/mail/
Inbox %(home)s/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns * !"Shared Folders*"
Create Both
Remove Both
Expunge Both
SyncState %(home)s/state/
"""

OFFLINEIMAP = """
[general]
accounts = a
ui = basic
metadata = %(home)s/state
[Account a]
localrepository = near
remoterepository = far
utf8foldernames = yes
maxsyncaccounts = 1
[Repository near]
type = Maildir
localfolders = %(home)s/mail
sep = /
[Repository far]
type = IMAP
remotehost = %(host)s
remoteport = %(imaps)s
remoteuser = %(user)s
remotepass = %(password)s
ssl = yes
sslcacertfile = %(ca)s
folderfilter = lambda name: not name.startswith("Shared Folders")
maxconnections = 2
"""


class Mbsync:
    def __init__(self, user):
        self.user, self.rc = user, user.config("mbsyncrc", MBSYNC)
        user.run("mkdir", user.path("mail"), user.path("state"))

    def name(self, mailbox):
        return mailbox

    def sync(self):
        return self.user.run("mbsync", "-c", self.rc, "-a")


class Offlineimap:
    def __init__(self, user):
        self.user, self.rc = user, user.config("offlineimaprc", OFFLINEIMAP)
        user.run("mkdir", user.path("mail"))

    def name(self, mailbox):
        return NAMES.get(mailbox, mailbox)

    def sync(self):
        return self.user.run("offlineimap", "-c", self.rc, "-o")


@pytest.fixture(params=[Mbsync, Offlineimap])
def client(request, user):
    return request.param(user)


def far(client):
    """{mailbox: sorted [(subject, flags as Maildir has them)]} on the server."""
    found = {}
    for name in client.user.mailboxes():
        messages = client.user.messages('"%s"' % name)
        found[client.name(name)] = sorted((s, "".join(sorted(FLAGS.get(f, "") for f in flags))) for s, flags in messages)
    return found


def near(client):
    """The same of the client's copy."""
    found, top = {}, client.user.path("mail")
    for folder, dirs, _ in os.walk(top):
        if "cur" in dirs:
            box = mailbox.Maildir(folder, create=False)
            found[os.path.relpath(folder, top)] = sorted((m["Subject"], m.get_flags()) for m in box)
        dirs[:] = [d for d in dirs if d not in ("cur", "new", "tmp")]
    return found


def local(client, name):
    return mailbox.Maildir(client.user.path("mail", client.name(name)), create=False)


def find(box, subject):
    return [k for k, m in box.iteritems() if m["Subject"] == subject][0]


def add(client, name, subject, flags=""):
    """A new message in the client's copy, written by its user."""
    path = client.user.path("mail", client.name(name))
    if not os.path.exists(path):
        client.user.run("mkdir", "-p", *(os.path.join(path, d) for d in ("cur", "new", "tmp")))
    file = client.user.desk.write("new-message", message(subject).replace(b"\r\n", b"\n"))
    client.user.run("mv", file, os.path.join(path, "cur", "1700000000.%s.here:2,%s" % (subject, flags)))


def test_both_ways(client):
    user = client.user
    names = [n for n in NAMES if not n.startswith("New")]
    with user.imap() as c:
        for name in names[1:]:
            c.ok('CREATE "%s"' % name)
    for name in names:
        user.fill('"%s"' % name, 4, "\\Answered")
    client.sync()
    assert far(client) == near(client)
    assert set(near(client)) == {client.name(n) for n in names}
    assert all(len(m) == 4 for m in near(client).values())

    with user.imap() as c:
        c.select("INBOX")
        c.ok("STORE 1 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("STORE 1 FLAGS (\\Seen \\Flagged)")
        c.ok("UID MOVE 3 Work")
        c.ok('CREATE "New/&AOQ-"')
        c.append('"New/&AOQ-"', message("made there"), "\\Draft")
    user.deliver("delivered")
    for name in ("Work/2026/&ANw-bung", "a&-b c"):
        box = local(client, name)
        box.remove(find(box, "m0"))
        key = find(box, "m1")
        m = box[key]
        m.set_flags("FS")
        box[key] = m
        add(client, name, "made-here", "F")
    user.expected.append("^CREATE Deep -> NO .ALREADYEXISTS")  # offlineimap makes Deep for Deep/er first
    add(client, "Deep", "top")
    add(client, "Deep/er", "first")
    client.sync()
    there = far(client)
    assert there == near(client)
    assert there["INBOX"] == [("delivered", ""), ("m1", "FS"), ("m3", "R")]
    assert there["Work"][2] == ("m2", "R") and len(there["Work"]) == 5
    for name in ("Work/2026/&ANw-bung", "a&-b c"):
        assert there[client.name(name)] == [("m1", "FS"), ("m2", "R"), ("m3", "R"), ("made-here", "F")]
    assert there["Deep/er"] == [("first", "")]
    assert there[client.name("New/&AOQ-")] == [("made there", "D")]

    said = user.said()
    client.sync()
    assert near(client) == far(client) == there
    assert not [s for s in user.said(since=said).values() if CHANGES.search(s)]


def test_removed_folders(user):
    """mbsync removes a folder here that was removed there, and the other way round, if it is empty."""
    client = Mbsync(user)
    with user.imap() as c:
        for name in ("Here", "Here/below", "There", "There/below"):
            c.ok("CREATE " + name)
    client.sync()
    with user.imap() as c:
        c.ok("DELETE There/below")
    user.run("rm", "-r", user.path("mail", "Here", "below"))
    client.sync()
    assert near(client) == far(client) == {"INBOX": [], "Here": [], "There": []}


@pytest.mark.slow
@pytest.mark.timeout(300 + MANY // 10)
def test_many(user):
    """Half of many messages come from each side; then each side changes some thousands at once."""
    client, half = Mbsync(user), MANY // 2
    folder, mine = client.user.path("mail", "INBOX"), pwd.getpwnam("nobody")
    user.run("mkdir", "-p", *(os.path.join(folder, d) for d in ("cur", "new", "tmp")))
    for i in range(half):
        path = os.path.join(folder, "cur", "1700000000.%d.here:2,%s" % (i, "F" if i % 3 == 0 else ""))
        with open(path, "wb") as f:
            f.write(message("near%d" % i, body="line of text\r\n" * 40).replace(b"\r\n", b"\n"))
        os.chown(path, mine.pw_uid, mine.pw_gid)
    user.fill("INBOX", half, "\\Answered", body="line of text\r\n" * 40)
    sync_many(client, "all new")
    there = far(client)
    assert there == near(client)
    assert [f for s, f in there["INBOX"] if s.startswith("near")].count("F") == (half + 2) // 3
    assert len(there["INBOX"]) == 2 * half

    with user.imap() as c:
        c.select("INBOX")
        c.ok("STORE 1:%d +FLAGS.SILENT (\\Seen)" % half)
        c.ok("STORE %d:%d +FLAGS.SILENT (\\Deleted)" % (half - half // 4 + 1, half))
        c.ok("EXPUNGE")
    kept = half - half // 4
    box = local(client, "INBOX")
    for key in [k for k, m in box.iteritems() if m["Subject"].startswith("near")][: half // 4]:
        box.remove(key)
    sync_many(client, "a quarter removed on each side, flags of many set")
    there = far(client)
    assert there == near(client)
    assert [sum(s.startswith(by) for s, _ in there["INBOX"]) for by in ("near", "m")] == [kept, kept]
    said = user.said()
    sync_many(client, "nothing new")
    assert near(client) == far(client) == there
    assert not [s for s in user.said(since=said).values() if CHANGES.search(s)]


def sync_many(client, what):
    began = time.monotonic()
    client.user.run("mbsync", "-c", client.rc, "-a", timeout=300 + MANY // 10)
    print("%d messages, %s: %.1f s" % (MANY, what, time.monotonic() - began), flush=True)
