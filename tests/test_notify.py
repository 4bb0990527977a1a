"""NOTIFY (RFC 5465): directly and through a frontend, with mailboxes on two backends."""

import itertools
import os
import queue
import re
import shutil
import socket
import tempfile

import pytest
from iatlas import Murder, net
from iatlas.clients import Imap, message
from iatlas.direct import Service
from iatlas.fake import GREETING, Fake, put

names = ("u%d" % n for n in itertools.count())
ALL = "MessageNew MessageExpunge FlagChange"
SUPPORTED = (
    "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange"
)


class Place:
    """A standalone imapd, or a frontend before two backends, with users made as they are needed."""

    def __init__(self, kind, directory, network):
        self.kind, self.count = kind, 0
        if kind == "direct":
            self.node = Service(os.path.join(directory, "i"), network.address(), "imap", ["imapd"]).start()
        else:
            self.murder = Murder(directory, network, backends=2).start()

    def imap(self, user):
        return self.node.imap(user) if self.kind == "direct" else self.murder.imap(user)

    def admin(self):
        return self.node.imap() if self.kind == "direct" else self.murder.imap("cyrus")

    def make_user(self, backend=0):
        name = next(names)
        if self.kind == "direct":
            self.node.make_users(name)
        else:
            self.murder.add_user(name, backend=backend)
        return name

    def cleanup(self):
        (self.node if self.kind == "direct" else self.murder).cleanup()


@pytest.fixture(scope="module", params=["direct", "frontend"])
def place(request):
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    made = None
    try:
        made = Place(request.param, directory, network)
        yield made
    finally:
        if made:
            made.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


class Watcher:
    """A client that says nothing and is told."""

    def __init__(self, client):
        self.c = client

    def hear(self, pattern):
        """The next response, which must match."""
        r = self.c.read_response()
        m = re.search(pattern, r, re.S)
        assert m, "%r is not %r" % (r, pattern)
        return m

    def until(self, pattern):
        """Reads up to the one that matches: it, and those before."""
        before = []
        while True:
            r = self.c.read_response()
            m = re.search(pattern, r, re.S)
            if m:
                return m, before
            before.append(r)

    def quiet(self):
        """Nothing has been told that was not read."""
        assert self.c.ok("NOOP").untagged == []


@pytest.fixture
def fred(place):
    return place.make_user()


def open_two(place, user):
    return Watcher(place.imap(user)), place.imap(user)


# ---- the command ----


def test_grammar(place, fred):
    c = place.imap(fred)
    for command in (
        "NOTIFY",
        "NOTIFY NONE x",
        "NOTIFY SET",
        "NOTIFY SET STATUS",
        "NOTIFY SET (personal)",
        "NOTIFY SET (nowhere (MailboxName))",
        "NOTIFY SET (personal MailboxName)",
        "NOTIFY SET (personal ())",
        "NOTIFY SET (subtree (MailboxName))",
        "NOTIFY SET (mailboxes () (MailboxName))",
        "NOTIFY SET (personal (MessageNew))",
        "NOTIFY SET (personal (MessageExpunge))",
        "NOTIFY SET (personal (FlagChange))",
        "NOTIFY SET (personal (AnnotationChange))",
        "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "NOTIFY SET (selected (MailboxName))",
        "NOTIFY SET (selected (MessageNew (UID MessageExpunge))",
        "NOTIFY SET (selected (MessageNew (NOTHING) MessageExpunge))",
        "NOTIFY SET (selected (MessageNew (BODY.PEEK[HEADER) MessageExpunge))",
        "NOTIFY SET (selected (MessageNew MessageExpunge)) (selected-delayed (MessageNew MessageExpunge))",
        "NOTIFY SET  (personal (MailboxName))",
    ):
        c.bad(command)
    for command in (
        "NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))",
        "NOTIFY SET (selected (MessageNew MessageExpunge Sunrise))",
        "NOTIFY SET (personal (MailboxName X-Sunset))",
    ):
        assert c.no(command).text.startswith("[BADEVENT (%s)] " % SUPPORTED)
    for command in (
        "notify set status (PERSONAL (messagenew MESSAGEEXPUNGE))",
        'NOTIFY SET (mailboxes (INBOX "not there" "100%*") (MailboxName))',
        "NOTIFY SET (subtree INBOX (MailboxName SubscriptionChange)) (inboxes NONE) (subscribed NONE)",
        "NOTIFY SET (selected NONE)",
        "NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From \"To\")]<0.9> FLAGS) MessageExpunge))",
        "NOTIFY NONE",
    ):
        c.ok(command)
    assert "[NOTIFICATIONOVERFLOW]" in c.no("NOTIFY SET " + " ".join(["(personal (MailboxName))"] * 33)).text
    many = " ".join("m%d" % n for n in range(1001))
    assert "[NOTIFICATIONOVERFLOW]" in c.no("NOTIFY SET (mailboxes (%s) (MailboxName))" % many).text
    assert b" NOTIFY" in c.ok("CAPABILITY").untagged[0]


def test_initial_status(place, fred):
    c = place.imap(fred)
    c.ok("CREATE Sent")
    c.append("INBOX", message())
    r = c.ok("NOTIFY SET STATUS (personal (MessageNew MessageExpunge))")
    assert len(r.untagged) == 2
    r.one(rb"^\* STATUS INBOX \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+\)$")
    r.one(rb"^\* STATUS Sent \(MESSAGES 0 UIDNEXT 1 UIDVALIDITY \d+\)$")
    r = c.ok("NOTIFY SET STATUS (mailboxes INBOX (%s))" % ALL)
    r.one(rb"^\* STATUS INBOX \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+ UNSEEN 1 HIGHESTMODSEQ \d+\)$")
    assert c.ok("NOTIFY SET (personal (%s))" % ALL).untagged == []
    # of the selected mailbox only SELECTED speaks
    c.ok("SELECT INBOX")
    r = c.ok("NOTIFY SET STATUS (personal (MessageNew MessageExpunge)) (selected (%s))" % ALL)
    assert [u.split()[2] for u in r.untagged] == [b"Sent"]


# ---- the selected mailbox ----


def test_selected(place, fred):
    w, c = open_two(place, fred)
    c.append("INBOX", message("zero"))
    w.c.ok("SELECT INBOX")
    w.c.ok("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange))")
    c.append("INBOX", message("one"))
    w.hear(rb"^\* 2 EXISTS")
    w.hear(rb"^\* \d RECENT")
    w.hear(rb"^\* 2 FETCH \(UID 2 BODY\[HEADER.FIELDS \(Subject\)\] \{16\}\r\nSubject: one\r\n\r\n\)$")
    c.ok("SELECT INBOX")
    c.ok("STORE 2 +FLAGS ($lab)")
    w.until(rb"^\* 2 FETCH \((?=.*UID 2)(?=.*FLAGS \([^)]*\$lab)")
    c.ok("STORE 1 +FLAGS (\\Deleted)")
    w.until(rb"^\* 1 FETCH \(.*\\Deleted")
    c.ok("EXPUNGE")
    w.until(rb"^\* 1 EXPUNGE$")
    # what the client itself appends is not fetched for it
    r = w.c.append("INBOX", message("mine"))
    r.one(rb"^\* 2 EXISTS")
    c.append("INBOX", message("three"))
    m, before = w.until(rb"^\* 3 FETCH .*Subject: three")
    assert not [b for b in before if b"mine" in b]
    # a big one, in IDLE too
    tag = w.c.start("IDLE")
    w.until(rb"^\+ ")
    c.append("INBOX", message("four", body="x" * 70 + "\r\n"))
    w.until(rb"^\* 4 FETCH .*Subject: four")
    w.c.send("DONE\r\n")
    assert w.c.finish(tag).status == "OK"
    w.c.ok("NOTIFY SET (selected (MessageNew (BODY.PEEK[]) MessageExpunge))")
    c.append("INBOX", message("five", body=("y" * 70 + "\r\n") * 20000))
    m, _ = w.until(rb"^\* 5 FETCH \(UID 6 BODY\[\] \{14\d\d\d\d\d\}")
    assert m.string.count(b"y" * 70) == 20000
    # FlagChange is not wanted any more
    c.ok("STORE 1:* +FLAGS (\\Answered)")
    c.append("INBOX", message("six"))
    _, before = w.until(rb"^\* 6 FETCH")
    assert not [b for b in before if b"Answered" in b]


def test_fetch_is_whole_in_idle(place, fred):
    """What is new while a message is on its way to a client that idles and reads slowly comes behind that message."""
    w, c = open_two(place, fred)
    w.c.ok("SELECT INBOX")
    w.c.ok("NOTIFY SET (selected (MessageNew (BODY.PEEK[]) MessageExpunge))")
    w.c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    tag = w.c.start("IDLE")
    w.until(rb"^\+ ")
    c.append("INBOX", message("big", body=("y" * 70 + "\r\n") * 100000))
    w.until(rb"^\* 1 EXISTS")
    w.c.send("DONE\r\n")
    c.append("INBOX", message("small"))
    r = w.c.finish(tag)
    m = r.one(rb"(?s)^\* 1 FETCH \(UID 1 BODY\[\] \{\d+\}")
    assert m.string.count(b"y" * 70) == 100000 and b"EXISTS" not in m.string and m.string.endswith(b"\r\n)")
    if not r.find(rb"^\* 2 EXISTS"):
        w.until(rb"^\* 2 EXISTS")
    if not r.find(rb"(?s)^\* 2 FETCH .*Subject: small"):
        w.until(rb"^\* 2 FETCH .*Subject: small")


def test_vanished_between_commands(place, fred):
    w, c = open_two(place, fred)
    for n in range(4):
        c.append("INBOX", message("m%d" % n), "\\Deleted")
    w.c.ok("ENABLE QRESYNC")
    w.c.ok("SELECT INBOX")
    w.c.ok("NOTIFY SET (selected (%s))" % ALL)
    c.ok("SELECT INBOX")
    c.ok("UID EXPUNGE 2:3")
    w.until(rb"^\* VANISHED 2:3$")
    c.ok("STORE 1 +FLAGS (x)")
    w.until(rb"^\* 1 FETCH \((?=.*UID 1)(?=.*MODSEQ)")


def test_selected_delayed(place, fred):
    w, c = open_two(place, fred)
    for n in range(3):
        c.append("INBOX", message("m%d" % n), "\\Deleted")
    w.c.ok("SELECT INBOX")
    w.c.ok("NOTIFY SET (selected-delayed (%s))" % ALL)
    c.ok("SELECT INBOX")
    c.ok("UID EXPUNGE 1")
    c.append("INBOX", message("new"))
    m, before = w.until(rb"^\* (\d) EXISTS")
    assert m.group(1) == b"4" and not [b for b in before if b"EXPUNGE" in b]
    w.c.ok("FETCH 2 (UID)").one(rb"^\* 2 FETCH \(UID 2\)")  # numbers are as they were
    r = w.c.ok("NOOP")
    r.one(rb"^\* 1 EXPUNGE")
    c.ok("UID EXPUNGE 2")
    tag = w.c.start("IDLE")
    w.until(rb"^\* 1 EXPUNGE")
    w.c.send("DONE\r\n")
    w.c.finish(tag)


def test_selected_none(place, fred):
    """A snapshot: nothing is told until the client wants it again."""
    w, c = open_two(place, fred)
    c.append("INBOX", message(), "\\Deleted")
    c.append("INBOX", message())
    w.c.ok("SELECT INBOX")
    for command in ("NOTIFY NONE", "NOTIFY SET (selected NONE)", "NOTIFY SET (personal (MailboxName))"):
        w.c.ok(command)
        c.append("INBOX", message())
        c.ok("SELECT INBOX")
        c.ok("STORE 2 +FLAGS (k%d)" % len(command))
        if command == "NOTIFY NONE":
            c.ok("EXPUNGE")
        w.quiet()
        w.c.ok("UID FETCH 2 (UID)").one(rb"^\* 2 FETCH \(UID 2\)")
        tag = w.c.start("IDLE")
        w.until(rb"^\+ ")
        w.c.send("DONE\r\n")
        assert w.c.finish(tag).untagged == []
        # what has come together is told at once
        r = w.c.ok("NOTIFY SET (selected (%s))" % ALL)
        assert r.find(rb"EXISTS")
        if command == "NOTIFY NONE":
            r.one(rb"^\* 1 EXPUNGE")
            break
    # an own command is answered all the same
    w.c.ok("NOTIFY NONE")
    w.c.ok("STORE 1 +FLAGS (\\Deleted)").one(rb"^\* 1 FETCH")
    w.c.ok("EXPUNGE").one(rb"^\* 1 EXPUNGE")


# ---- other mailboxes ----


def test_other_mailboxes(place, fred):
    w, c = open_two(place, fred)
    c.ok("CREATE Lists")
    w.c.ok("SELECT INBOX")
    w.c.ok("NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge))")
    c.append("Lists", message())
    w.hear(rb"^\* STATUS Lists \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+\)$")
    c.ok("SELECT Lists")
    c.ok("STORE 1 +FLAGS (\\Deleted)")  # not asked for
    c.ok("EXPUNGE")
    w.hear(rb"^\* STATUS Lists \(MESSAGES 0 UIDNEXT 2 ")
    c.append("INBOX", message())
    w.hear(rb"^\* 1 EXISTS")
    w.hear(rb"^\* 1 RECENT")
    # the same in IDLE
    tag = w.c.start("IDLE")
    w.hear(rb"^\+ ")
    c.append("Lists", message())
    w.hear(rb"^\* STATUS Lists \(MESSAGES 1 UIDNEXT 3 ")
    w.c.send("DONE\r\n")
    w.c.finish(tag)
    # flags: with and without CONDSTORE
    w.c.ok("NOTIFY SET (mailboxes Lists (%s))" % ALL)
    c.ok("STORE 1 +FLAGS (\\Seen)")
    w.hear(rb"^\* STATUS Lists \(MESSAGES 1 UIDNEXT 3 UIDVALIDITY \d+ UNSEEN 0\)$")
    w.c.ok("ENABLE CONDSTORE")
    c.ok("STORE 1 +FLAGS (\\Flagged)")
    w.hear(rb"^\* STATUS Lists \(MESSAGES 1 UIDNEXT 3 UIDVALIDITY \d+ UNSEEN 0 HIGHESTMODSEQ \d+\)$")
    # what the client does itself is no news
    w.c.append("Lists", message())
    w.c.ok("COPY 1 Lists")
    w.quiet()
    c.append("Lists", message())
    w.hear(rb"^\* STATUS Lists \(MESSAGES 4 UIDNEXT 6 ")
    # once selected, SELECTED (which is NONE here) speaks of it; afterwards it is watched again
    w.c.ok("SELECT Lists")
    c.append("Lists", message())
    w.quiet()
    w.c.ok("UNSELECT")
    w.quiet()
    c.append("Lists", message())
    w.hear(rb"^\* STATUS Lists \(MESSAGES 6 UIDNEXT 8 ")


def test_groups(place, fred):
    """Several groups may mean a mailbox; NONE for it is NONE."""
    w, c = open_two(place, fred)
    for name in ("a", "a/b", "c", "d"):
        c.ok("CREATE " + name)
    c.ok("SUBSCRIBE d")
    new = "(MessageNew MessageExpunge)"
    r = w.c.ok('NOTIFY SET STATUS (subtree a %s) (mailboxes (c "a*") %s) (subscribed %s)' % (new, new, new))
    assert sorted(u.split()[2] for u in r.untagged) == [b"a", b"a/b", b"c", b"d"]
    r = w.c.ok("NOTIFY SET STATUS (personal %s) (mailboxes (INBOX c) NONE)" % new)
    assert sorted(u.split()[2] for u in r.untagged) == [b"a", b"a/b", b"d"]
    w.c.ok("NOTIFY SET (subscribed %s) (mailboxes c (SubscriptionChange))" % new)
    c.ok("SUBSCRIBE c")
    w.hear(rb'^\* LIST \(\\Subscribed \\HasNoChildren\) "/" c$')
    c.append("a", message())
    c.append("c", message())
    w.until(rb"^\* STATUS c \(MESSAGES 1 ")
    c.ok("UNSUBSCRIBE c")
    w.until(rb'^\* LIST \(\\HasNoChildren\) "/" c$')
    c.append("c", message())
    c.append("d", message())
    w.hear(rb"^\* STATUS d \(MESSAGES 1 ")
    # a mailbox that is made is watched
    w.c.ok("NOTIFY SET (subtree a %s)" % new)
    c.ok("CREATE a/new")
    c.append("a/new", message())
    w.until(rb"^\* STATUS a/new \(MESSAGES 1 ")
    c.ok("RENAME a/new a/newer")
    w.until(rb"^\* STATUS a/newer \(MESSAGES 1 ")
    c.append("a/newer", message())
    w.until(rb"^\* STATUS a/newer \(MESSAGES 2 ")
    c.ok("DELETE a/newer")
    c.append("a/b", message())
    w.until(rb"^\* STATUS a/b \(MESSAGES 1 ")


# ---- names ----


def test_names(place, fred):
    w, c = open_two(place, fred)
    w.c.ok("NOTIFY SET (personal (MailboxName))")
    c.ok("CREATE one")
    w.hear(rb'^\* LIST \(\\HasNoChildren\) "/" one$')
    c.ok("CREATE one/two")
    w.hear(rb'^\* LIST \(\\HasNoChildren\) "/" one/two$')
    w.hear(rb'^\* LIST \(\\HasChildren\) "/" one$')
    c.ok("SUBSCRIBE one/two")
    c.ok("RENAME one uno")
    w.hear(rb'^\* LIST \(\\HasChildren\) "/" uno \("OLDNAME" \(one\)\)$')
    c.ok("DELETE uno/two")
    w.hear(rb'^\* LIST \(\\NonExistent \\HasNoChildren\) "/" uno/two$')
    w.hear(rb'^\* LIST \(\\HasNoChildren\) "/" uno$')
    c.ok("DELETE uno")
    w.hear(rb'^\* LIST \(\\NonExistent \\HasNoChildren\) "/" uno$')
    c.ok("CREATE one")  # a name that was renamed away
    w.hear(rb'^\* LIST \(\\HasNoChildren\) "/" one$')
    c.ok("CREATE x/y")
    w.until(rb'^\* LIST \(\\NonExistent \\HasChildren\) "/" x$|^\* LIST \(\\HasChildren\) "/" x$')
    # INBOX: there is always one
    c.ok("RENAME INBOX old")
    w.hear(rb'^\* LIST \(\\HasNoChildren\) "/" old \("OLDNAME" \(INBOX\)\)$')
    # what one does oneself is no news
    w.c.ok("CREATE mine")
    w.c.ok("RENAME mine ours")
    w.c.ok("DELETE ours")
    w.quiet()
    c.ok('CREATE "Entw&APw-rfe (alt)"')
    w.hear(rb'^\* LIST \(\\HasNoChildren\) "/" "Entw&APw-rfe \(alt\)"$')


def test_name_filters(place, fred):
    w, c = open_two(place, fred)
    w.c.ok("NOTIFY SET (mailboxes (here far/away) (MailboxName)) (subtree tree (MailboxName))")
    for name in ("there", "here", "tree", "treetop", "tree/leaf", "here/child"):
        c.ok("CREATE " + name)
    told = []
    while b"here/child" not in told and len(told) < 5:
        told.append(w.hear(rb'^\* LIST \([^)]*\) "/" (\S+)$').group(1))
        if told[-2:] == [b"here", b"here"]:
            break
        if told.count(b"here") == 2:
            break
    assert told == [b"here", b"tree", b"tree/leaf", b"tree", b"here"]
    w.quiet()


def test_subscriptions(place, fred):
    w, c = open_two(place, fred)
    c.ok("CREATE box")
    w.c.ok("NOTIFY SET (personal (SubscriptionChange))")
    c.ok("SUBSCRIBE box")
    w.hear(rb'^\* LIST \(\\Subscribed \\HasNoChildren\) "/" box$')
    c.ok("SUBSCRIBE box")
    c.ok("UNSUBSCRIBE box")
    w.hear(rb'^\* LIST \(\\HasNoChildren\) "/" box$')
    w.c.ok("SUBSCRIBE box")
    w.quiet()
    c.ok("DELETE box")
    c.ok("UNSUBSCRIBE box")
    w.hear(rb'^\* LIST \(\\NonExistent \\HasNoChildren\) "/" box$')


# ---- annotations ----


def test_metadata(place, fred):
    w, c = open_two(place, fred)
    c.ok("CREATE box")
    w.c.ok("NOTIFY SET (personal (MailboxMetadataChange ServerMetadataChange))")
    c.ok('SETMETADATA box (/private/comment "mine")')
    w.hear(rb"^\* METADATA box /private/comment$")
    c.ok('SETMETADATA box (/shared/comment "ours")')
    w.hear(rb"^\* METADATA box /shared/comment$")
    c.ok("SETMETADATA box (/shared/comment NIL)")
    w.hear(rb"^\* METADATA box /shared/comment$")
    c.ok('SETMETADATA box (/private/specialuse "\\\\Sent")')
    w.hear(rb"^\* METADATA box /private/specialuse$")
    c.ok('SETMETADATA box (/shared/vendor/cmu/cyrus-imapd/sharedseen "true")')
    w.hear(rb"^\* METADATA box /shared/vendor/cmu/cyrus-imapd/sharedseen$")
    w.c.ok('SETMETADATA box (/private/comment "own")')
    w.quiet()
    c.ok('SETMETADATA "" (/private/comment "server")')
    w.hear(rb'^\* METADATA "" /private/comment$')
    w.c.ok("NOTIFY SET (mailboxes INBOX (MailboxMetadataChange))")
    c.ok('SETMETADATA box (/private/comment "x")')
    c.ok('SETMETADATA INBOX (/private/comment "x")')
    w.hear(rb"^\* METADATA INBOX /private/comment$")
    w.quiet()


# ---- rights ----


def test_rights(place, fred):
    """Nothing is told of what the user may not see; what he may see later is watched."""
    bob = place.make_user(backend=1)
    shared = "Other Users/" + bob
    w, b = Watcher(place.imap(fred)), place.imap(bob)
    b.ok("CREATE box")
    b.ok("CREATE hidden")
    b.ok("SETACL box %s l" % fred)
    new = "(MessageNew MessageExpunge)"
    r = w.c.ok('NOTIFY SET STATUS (mailboxes ("%s/box" "%s/hidden") %s)' % (shared, shared, new))
    assert len(r.untagged) == 1
    r.one(rb'^\* LIST \(\\NoAccess \\HasNoChildren\) "/" "%s/box"$' % shared.encode())
    b.append("box", message())
    b.append("hidden", message())
    w.quiet()
    b.ok("SETACL box %s lr" % fred)
    w.hear(rb'^\* LIST \(\\HasNoChildren\) "/" "%s/box"$' % shared.encode())
    w.hear(rb'^\* STATUS "%s/box" \(MESSAGES 1 ' % shared.encode())
    b.append("box", message())
    w.hear(rb'^\* STATUS "%s/box" \(MESSAGES 2 ' % shared.encode())
    b.ok("SETACL box %s l" % fred)
    w.hear(rb'^\* LIST \(\\NoAccess \\HasNoChildren\) "/" "%s/box"$' % shared.encode())
    b.append("box", message())
    b.ok("SETACL box %s lr" % fred)
    w.hear(rb"^\* LIST \(\\HasNoChildren\) ")
    w.hear(rb'^\* STATUS "%s/box" \(MESSAGES 3 ' % shared.encode())
    # names: granting and revoking `l` is making and removing
    w.c.ok('NOTIFY SET (subtree "%s" (MailboxName MailboxMetadataChange))' % shared)
    b.ok("DELETEACL box " + fred)
    w.until(rb'^\* LIST \(\\NonExistent \\HasNoChildren\) "/" "%s/box"$' % shared.encode())
    b.ok("CREATE box/below")
    b.ok("RENAME hidden hiddens")
    b.ok('SETMETADATA box (/shared/comment "psst")')
    b.ok("SETACL hiddens anyone lr")
    m, before = w.until(rb'^\* LIST \(\\HasNoChildren\) "/" "%s/hiddens"$' % shared.encode())
    assert not [x for x in before if b"box" in x or b"METADATA" in x], before


@pytest.mark.slow
def test_overflow(place, fred):
    """More mailboxes than are watched: refused, or given up when they become so many."""
    admin, w = place.admin(), Watcher(place.imap(fred))
    c = place.imap(fred)
    tags = [c.start("CREATE m%d" % n) for n in range(999)]
    for tag in tags:
        assert c.finish(tag).status == "OK"
    # some hundreds are taken in several steps, by name or not: the last of them is watched as the first is
    w.c.ok("NOTIFY SET (mailboxes (%s) (MessageNew MessageExpunge))" % " ".join("m%d" % n for n in range(450)))
    c.append("m449", message())
    w.hear(rb"^\* STATUS m449 \(MESSAGES 1 ")
    w.c.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")  # with INBOX a thousand
    c.append("m998", message())
    w.hear(rb"^\* STATUS m998 \(MESSAGES 1 ")
    c.ok("CREATE more")
    w.hear(rb"^\* OK \[NOTIFICATIONOVERFLOW\] ")
    c.append("m5", message())
    w.quiet()
    assert w.c.no("NOTIFY SET (personal (MessageNew MessageExpunge))").text.startswith("[NOTIFICATIONOVERFLOW] ")
    assert admin


def test_unauthenticated_and_logout(place, fred):
    c = place.imap(fred)
    c.ok("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))")
    assert c.ok("LOGOUT").untagged[0].startswith(b"* BYE")


# ---- a frontend and its servers ----


@pytest.fixture
def murder(place):
    if place.kind != "frontend":
        pytest.skip("one server only")
    return place.murder


def shared_inbox(place, fred, backend=1):
    bob = place.make_user(backend=backend)
    with place.imap(bob) as b:
        b.ok("SETACL INBOX %s lr" % fred)
    return bob, '"Other Users/%s"' % bob


def test_idle_over_servers(place, fred):
    """What is selected is on one server, what is watched on the other."""
    bob, name = shared_inbox(place, fred)
    w, c, b = Watcher(place.imap(fred)), place.imap(fred), place.imap(bob)
    new = "(MessageNew MessageExpunge)"
    w.c.ok("SELECT INBOX")
    w.c.ok("NOTIFY SET (selected %s) (mailboxes %s (%s))" % (new, name, ALL))
    b.append("INBOX", message())
    w.hear(rb"^\* STATUS %s \(MESSAGES 1 " % name.encode())
    for _ in range(2):
        tag = w.c.start("IDLE")
        w.hear(rb"^\+ ")
        b.append("INBOX", message())
        w.hear(rb"^\* STATUS %s \(MESSAGES \d " % name.encode())
        c.append("INBOX", message())
        w.hear(rb"^\* \d EXISTS")
        w.hear(rb"^\* \d RECENT")
        w.c.send("DONE\r\n")
        assert w.c.finish(tag).untagged == []
    # the selection goes to the other server, what is asked for with it
    w.c.ok("SELECT " + name)
    b.append("INBOX", message())
    w.hear(rb"^\* 4 EXISTS")
    w.hear(rb"^\* 4 RECENT")
    w.c.ok("NOTIFY NONE")
    b.append("INBOX", message())
    c.append("INBOX", message())
    w.quiet()
    w.c.ok("NOTIFY SET (selected-delayed %s)" % new)
    b.ok("SELECT INBOX")
    b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    b.ok("EXPUNGE")
    b.append("INBOX", message())
    _, before = w.until(rb"^\* 6 EXISTS")
    assert not [x for x in before if b"EXPUNGE" in x]
    w.c.ok("NOOP").one(rb"^\* 1 EXPUNGE")


def test_commands_meanwhile(place, fred):
    """Commands of the client's, while new messages are fetched for it."""
    w, c = open_two(place, fred)
    w.c.ok("SELECT INBOX")
    w.c.ok("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge)) (personal (MailboxName))")
    fetched = []
    for n in range(4):
        tag = c.start(["APPEND INBOX ", message("m%d" % n, body=("%d" % n * 70 + "\r\n") * 8000)])
        for _ in range(5):
            r = w.c.ok('LIST "" *')
            assert r.one(rb'^\* LIST \([^)]*\) "/" INBOX$')
            fetched += r.find(rb"^\* (\d) FETCH \(UID \d BODY\[\] \{5\d+\}")
        assert c.finish(tag).status == "OK"
    while len(fetched) < 4:
        fetched.append(w.until(rb"^\* (\d) FETCH \(UID \d BODY\[\] \{5\d+\}")[0])
    assert [m.group(1) for m in fetched] == [b"1", b"2", b"3", b"4"]
    for n, m in enumerate(fetched):
        assert m.string.count(b"%d" % n * 70) == 8000


def test_new_mailbox_in_idle(place, fred):
    """A mailbox that is made where the client idles: IDLE goes on, the mailbox is watched in it and afterwards."""
    w, c = open_two(place, fred)
    new = "(MessageNew MessageExpunge)"
    w.c.ok("SELECT INBOX")
    w.c.ok("NOTIFY SET (selected %s) (personal (MailboxName MessageNew MessageExpunge))" % new)
    tag = w.c.start("IDLE")
    w.hear(rb"^\+ ")
    c.ok("CREATE one")
    w.until(rb'^\* LIST .* "/" one$')
    c.append("one", message())
    w.until(rb"^\* STATUS one \(MESSAGES 1 ")
    c.append("INBOX", message())
    w.until(rb"^\* 1 EXISTS")
    c.ok("DELETE one")
    w.until(rb'^\* LIST \(\\NonExistent .* "/" one$')
    c.append("INBOX", message())
    w.until(rb"^\* 2 EXISTS")
    w.c.send("DONE\r\n")
    assert w.c.finish(tag).status == "OK"
    w.c.ok("FETCH 1 UID")
    c.ok("CREATE two")
    w.until(rb'^\* LIST .* "/" two$')
    c.append("two", message())
    w.until(rb"^\* STATUS two \(MESSAGES 1 ")


def test_nothing_is_lost_between_two(place, fred):
    """What happens while NOTIFY is said again: told by the old one or the new one, once."""
    w, c = open_two(place, fred)
    words = "NOTIFY SET (personal (SubscriptionChange))"
    folders = ["m%d" % n for n in range(15)]
    for name in folders:
        c.ok("CREATE " + name)
    w.c.ok(words)
    for command, attribute in (("SUBSCRIBE", "\\Subscribed "), ("UNSUBSCRIBE", "")):
        told = []
        for name in folders:
            tag = c.start("%s %s" % (command, name))
            told += w.c.ok(words).untagged
            assert c.finish(tag).status == "OK"
        while len(told) < len(folders):
            told.append(w.c.read_response())
        assert sorted(told) == sorted(b'* LIST (%s\\HasNoChildren) "/" %s' % (attribute.encode(), name.encode()) for name in folders)
    w.quiet()


def test_mailbox_made_anew(place, fred):
    """Deleted and made again before the watching session gets its turn: the new one is watched."""
    w, c = open_two(place, fred)
    c.ok("CREATE one")
    w.c.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
    c.append("one", message())
    w.until(rb"^\* STATUS one \(MESSAGES 1 ")
    w.c.send("x APPEND INBOX {4+}\r\n")  # no news while a command runs
    c.ok("DELETE one")
    c.ok("CREATE one")
    w.c.send("a: b\r\n")
    assert w.c.finish("x").status == "OK"
    c.append("one", message())
    w.until(rb"^\* STATUS one \(MESSAGES 1 ")


@pytest.mark.slow
def test_a_server_that_goes_away(murder, place, fred):
    """What happened while it was away is told when it is back; the others' mailboxes are watched meanwhile."""
    bob, name = shared_inbox(place, fred)
    w, c = open_two(place, fred)
    w.c.ok("NOTIFY SET (mailboxes (INBOX %s) (MessageNew MessageExpunge))" % name)
    murder.be[1].kill()
    c.append("INBOX", message())
    w.until(rb"^\* STATUS INBOX \(MESSAGES 1 ")
    w.c.ok("NOOP")
    murder.be[1].start()
    with Imap(murder.be[1].address) as b:
        b.login(bob).append("INBOX", message())
    w.until(rb"^\* STATUS %s \(MESSAGES 1 " % name.encode())
    with Imap(murder.be[1].address) as b:
        b.login(bob).append("INBOX", message())
    w.until(rb"^\* STATUS %s \(MESSAGES 2 " % name.encode())


def test_a_server_without_it(murder, place, fred):
    fake = Fake(murder.network.address())
    try:
        murder.add_user("plain", mailbox=False)
        put(murder, fake, "user.plain")
        with murder.imap("plain") as c:
            r = c.no("NOTIFY SET (personal (MessageNew MessageExpunge))")
            assert r.text.startswith("[CANNOT] "), r
            c.ok("NOOP")
            assert b" NOTIFY" not in c.ok("CAPABILITY").untagged[0]
        with murder.imap(fred) as c:  # whose mailboxes are elsewhere
            c.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
    finally:
        fake.close()


class Slow:
    """A server that answers NOTIFY when it is told to."""

    def __init__(self, murder, user):
        self.told, self.go = queue.Queue(), queue.Queue()
        self.fake = Fake(murder.network.address(), self.handle, GREETING.replace(b" UNSELECT", b" UNSELECT NOTIFY"))
        self.murder, self.user = murder, user
        murder.add_user(user, mailbox=False)
        self.make()

    def handle(self, s, tag, text):
        if text == 'LSUB "" "*"':
            s.send('* LSUB () "/" INBOX\r\n')
        elif text.startswith("NOTIFY "):
            self.told.put(text)
            s.send(self.go.get(timeout=60))
        else:
            return False
        s.ok(tag)
        return True

    def make(self, *name):
        put(self.murder, self.fake, ".".join(("user", self.user) + name))

    def hear(self, words, news=""):
        """The next NOTIFY has these words; its answer comes behind the news."""
        text = self.told.get(timeout=60)
        assert words in text, text
        self.go.put(news)


@pytest.fixture
def slow(murder, fred):
    made = Slow(murder, fred + "-slow")
    yield made
    made.fake.close()
    assert made.fake.errors == []


NEW_PERSONAL = "NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MailboxName MessageNew MessageExpunge))"


def watch_slow(murder, slow, *before):
    w = Watcher(murder.imap(slow.user))
    for command in before:
        w.c.ok(command)
    slow.go.put("")
    w.c.ok(NEW_PERSONAL)
    slow.told.get(timeout=60)
    return w


def test_asked_once_it_is_watched(murder, slow):
    """A mailbox that comes while its server is being told of another: how it stands is asked behind the words that name it."""
    w = watch_slow(murder, slow)
    slow.make("one")
    w.until(rb'^\* LIST .* "/" one$')
    text = slow.told.get(timeout=60)
    assert "(mailboxes (INBOX one) " in text
    slow.make("two")
    w.until(rb'^\* LIST .* "/" two$')
    slow.go.put("")
    w.hear(rb"^\* STATUS one \(MESSAGES 3\)$")
    slow.hear("(mailboxes (INBOX one two) ")
    w.hear(rb"^\* STATUS two \(MESSAGES 3\)$")
    w.quiet()


def test_command_while_told(murder, slow):
    """A client's command has its own answer, and what is told before NOTIFY's is not lost."""
    w = watch_slow(murder, slow, "SELECT INBOX")
    slow.make("one")
    w.until(rb'^\* LIST .* "/" one$')
    tag = w.c.start('LSUB "" *')
    slow.hear(" one) ", "* STATUS one (MESSAGES 1)\r\n* 4 EXISTS\r\n")
    r = w.c.finish(tag)
    r.one(rb'^\* LSUB \(\) "/" INBOX$')
    assert [u for u in r.untagged if b"LSUB" not in u] == [
        b"* STATUS one (MESSAGES 1)",
        b"* 4 EXISTS",
        b"* STATUS one (MESSAGES 3)",
    ]
    slow.make("two")
    w.until(rb'^\* LIST .* "/" two$')
    tag = w.c.start("IDLE")
    slow.hear(" two) ", "* 5 EXISTS\r\n")
    w.hear(rb"^\* 5 EXISTS$")
    w.hear(rb"^\* STATUS two \(MESSAGES 3\)$")
    w.hear(rb"^\+ ")
    w.c.send("DONE\r\n")
    assert w.c.finish(tag).status == "OK"
    w.quiet()
    assert slow.told.empty()


def test_new_mailbox_is_asked_in_idle(murder, slow):
    w = watch_slow(murder, slow, "SELECT INBOX")
    tag = w.c.start("IDLE")
    w.hear(rb"^\+ ")
    slow.make("one")
    slow.hear(" one) ", "* 4 EXISTS\r\n")
    w.hear(rb'^\* LIST .* "/" one$')
    w.hear(rb"^\* 4 EXISTS$")
    w.hear(rb"^\* STATUS one \(MESSAGES 3\)$")
    w.c.send("DONE\r\n")
    assert w.c.finish(tag).status == "OK"
    w.quiet()
    assert slow.told.empty()


@pytest.mark.slow
def test_a_server_that_stops_in_the_middle(make_murder):
    """Half a response of what is watched keeps everything else waiting, so that it is not awaited for ever."""
    murder = make_murder(conf={"backend_timeout": "2s"})

    def half(s, tag, text):
        if not text.startswith("NOTIFY "):
            return False
        s.ok(tag)
        s.send("* STATUS {100000}\r\n" + "x" * 50000)
        return True

    fake = Fake(murder.network.address(), half, GREETING.replace(b" UNSELECT", b" UNSELECT NOTIFY"))
    try:
        murder.add_user("half", mailbox=False)
        put(murder, fake, "user.half")
        with murder.imap("half") as c:
            c.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
            c.sock.settimeout(30)
            assert c.read_line() == b"* STATUS {100000}"
            assert c.read_line().startswith(b"x" * 50000 + b"* BYE [UNAVAILABLE] ")
    finally:
        fake.close()
