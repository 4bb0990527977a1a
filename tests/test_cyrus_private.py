"""What a Cyrus frontend or server says to a backend beyond the RFCs (doc/protocols/cyrus-private.md): sent as it sends it,
by the proxy user with the client's identity; unknown to everybody else."""

import re
from base64 import b64encode

import pytest

from iatlas import Imap, Lmtp, message, net
from iatlas.mupdate import Mupdate
from iatlas.node import ADMIN, PASSWORD, PROXY

CLASSIC = {"altnamespace": "no", "unixhierarchysep": "no"}
DATE = "01-Nov-2026 10:00:00 +0000"


def act(server, user="", proxy=PROXY):
    """A frontend's connection: the proxy authenticates and acts for the user."""
    c = Imap(server.address, getattr(server, "port", net.IMAP))
    plain = b64encode(("%s\0%s\0%s" % (user, proxy, PASSWORD)).encode()).decode()
    c.caps = c.ok("AUTHENTICATE PLAIN " + plain).text
    return c


@pytest.fixture
def backend(make_imapd):
    imapd = make_imapd(dict(CLASSIC, proxyservers=PROXY), users=())
    imapd.add_user(PROXY, "fred", "bob")
    with imapd.imap() as admin:
        admin.ok("CREATE user.fred")
        admin.ok("CREATE user.bob")
    return imapd


def lit(text):
    """A mailbox name as a frontend writes it."""
    return "{%d+}\r\n%s" % (len(text), text)


SAID = [
    "Localappend INBOX \"\" {1+}\r\nx",
    "LOCALCREATE user.zoe default",
    "LOCALDELETE user.bob",
    "MUPDATEPUSH user.bob",
    'GETANNOTATION "INBOX" (/private/comment)',
]


def test_unknown_to_others(backend):
    """A user hears exactly what he hears of a command that there is not; nothing is done."""
    with backend.imap("fred") as c:
        c.append("INBOX", message())
        unknown = c.bad("FROB x").text
        for said in SAID:
            assert c.bad(said).text == unknown, said
        assert c.select("INBOX") == 1
        assert c.bad("FETCH 1 (RFC822.PEEK)").text == c.bad("FETCH 1 (FROB)").text
    with backend.imap() as admin:
        assert admin.list("", "*") == ["user.bob", "user.fred"]


def test_unknown_before_login(backend):
    for said in SAID:
        with backend.connect() as c:
            assert c.bad(said).text == c.bad("FROB").text
            assert b"MULTIAPPEND" not in c.greeting and b"LIST-EXTENDED" not in c.greeting


def test_acting_for_a_user_makes_no_server(backend):
    """What moves mailboxes is for a server or an administrator itself, not for those that they act for."""
    for user in ("fred", ADMIN):
        with act(backend, user) as c:
            unknown = c.bad("FROB").text
            for said in SAID[1:4]:
                assert c.bad(said).text == unknown
            c.ok('GETANNOTATION "" (/private/comment)')
    with act(backend, "fred", ADMIN) as c:  # an administrator for a user
        c.bad(SAID[1])
        c.ok(SAID[4])


def test_localappend(backend):
    with act(backend, "fred") as c:
        data = message(subject="local")
        for i, selected in enumerate(('""', lit("INBOX"), "INBOX.x")):
            r = c.ok(["Localappend %s %s (\\Flagged $lab) \"%s\" " % (lit("INBOX"), selected, DATE), data])
            assert re.fullmatch(r"\[APPENDUID \d+ %d\] Completed" % (i + 1), r.text)
        c.ok(['Localappend INBOX "" ', data])
        # as APPEND, a synchronising literal is asked for, and what is refused is not
        c.send("z Localappend INBOX \"\" {%d}\r\n" % len(data))
        assert c.read_line().startswith(b"+ ")
        c.send(data + b"\r\n")
        assert re.match(rb"z OK \[APPENDUID \d+ 5\] Completed", c.read_response())
        assert "[TRYCREATE]" in c.no(["Localappend INBOX.nonesuch \"\" ", data]).text
        c.bad(["Localappend INBOX ", data])  # the second name is missing: that was it
        assert c.select("INBOX") == 5
        r = c.ok("FETCH 1 (FLAGS INTERNALDATE)")
        r.one(rb'^\* 1 FETCH \(FLAGS \(.*\\Flagged.* \$lab\) INTERNALDATE " 1-Nov-2026 10:00:00 \+0000"\)')
        assert c.body(5) == data
        # what is selected here is told of it
        r = c.ok(["Localappend INBOX \"\" (\\Seen) ", data])
        r.one(rb"^\* 6 EXISTS")
    with backend.imap() as c:
        c.ok("SETACL user.fred %s i" % ADMIN)  # an administrator may say it too
        c.ok(["Localappend user.fred \"\" ", data])


def test_rfc822_peek(backend):
    data = message(subject="peeked", body="line\r\n" * 3)
    with act(backend, "fred") as c:
        c.append("INBOX", data)
        c.select("INBOX")
        r = c.ok("Fetch 1 (Rfc822.peek)")
        assert [u for u in r.untagged if b"FETCH" in u] == [b"* 1 FETCH (RFC822 {%d}\r\n%s)" % (len(data), data)]
        r = c.ok("Uid Fetch 1:* (Rfc822.peek)")
        assert [u for u in r.untagged if b"FETCH" in u] == [b"* 1 FETCH (UID 1 RFC822 {%d}\r\n%s)" % (len(data), data)]
        assert b"\\Seen" not in c.ok("FETCH 1 FLAGS").untagged[0]
        c.ok("FETCH 1 RFC822")
        assert b"\\Seen" in c.ok("FETCH 1 FLAGS").untagged[0]


def test_freespace(backend):
    entry = "/shared/vendor/cmu/cyrus-imapd/freespace/total"
    with act(backend, ADMIN) as c:
        m = c.ok('GETMETADATA "" ("%s")' % entry).one(rb'^\* METADATA "" \("%s" "(\d+);(\d+)"\)$' % entry.encode())
        free, total = int(m.group(1)), int(m.group(2))
        assert 0 < free < total  # KiB, of all file systems
        most = "/shared/vendor/cmu/cyrus-imapd/freespace/percent/most"
        r = c.ok('GETMETADATA "" (%s /shared/comment)' % most)
        r.one(rb'^\* METADATA "" \("%s" "\d+;%d" "/shared/comment" NIL\)$' % (most.encode(), total))
        c.bad('GETMETADATA "" (/frob)')
        c.bad('GETMETADATA "" ()')
        c.bad('GETMETADATA ""')
        c.bad('GETMETADATA "" (%s' % entry)
        c.bad('GETMETADATA "" (%s)' % " ".join(["/shared/x"] * 101))
    with act(backend, "fred") as c:
        assert c.ok("GETMETADATA INBOX /private/comment").untagged == [b'* METADATA INBOX ("/private/comment" NIL)']
        assert "NONEXISTENT" in c.no("GETMETADATA user.bob /private/comment").text


def test_freespace_counts_a_file_system_once(make_imapd, workdir):
    totals = set()
    for more in ({}, {"partition-b": workdir}):
        imapd = make_imapd(dict(more, proxyservers=PROXY), users=())
        imapd.add_user(PROXY)
        with act(imapd) as c:
            r = c.ok('GETMETADATA "" /shared/vendor/cmu/cyrus-imapd/freespace/total')
            totals.add(r.one(rb'"\d+;(\d+)"').group(1))
    assert len(totals) == 1


def test_getannotation(backend):
    """A 3.6 frontend leaves the attributes out; nothing is known of mailboxes, so nothing is told."""
    with act(backend, "fred") as c:
        assert c.ok('GETANNOTATION "INBOX" (/private/comment)').untagged == []
        assert c.ok('GETANNOTATION "INBOX" "/comment" "value.shared"').untagged == []
        c.no('GETANNOTATION "INBOX.nonesuch" (/private/comment)')
        c.bad('GETANNOTATION "INBOX"')
        r = c.ok('GETANNOTATION "" "/vendor/cmu/cyrus-imapd/freespace/total" ("value.shared" "value.priv")')
        r.one(rb'^\* ANNOTATION "" "/vendor/cmu/cyrus-imapd/freespace/total" \("value.shared" "\d+;\d+"\)$')


def test_list(backend):
    """Each form that a frontend sends, and the answers in Cyrus's shape."""
    with act(backend, "fred") as c:
        for name in ("INBOX", "user.bob", "INBOX.a.b"):
            c.ok("SUBSCRIBE " + lit(name))
        c.ok("CREATE INBOX.a")
        c.append("INBOX", message())
        pattern = "{0+}\r\n {1+}\r\n"
        inbox, a = b'* LIST (\\Subscribed \\HasChildren) "." INBOX', b'* LIST (\\HasNoChildren) "." INBOX.a'
        bob = b'* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "." user.bob'
        b = b'* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "." INBOX.a.b'
        for said in ("* return (subscribed children)", "*"):
            assert sorted(c.ok("List (subscribed) " + pattern + said).untagged) == sorted([inbox, b, bob])
        level = b'* LIST (\\NonExistent \\HasChildren) "." user'
        assert sorted(c.ok("List (subscribed) " + pattern + "%").untagged) == sorted([inbox, level])
        status = b"* STATUS INBOX (MESSAGES 1)"
        plain = inbox.replace(b"\\Subscribed ", b"")
        r = c.ok("List " + pattern + "* return (children status (messages))")
        assert r.untagged == [plain, status, a, b"* STATUS INBOX.a (MESSAGES 0)"]
        r = c.ok("List (subscribed) " + pattern + "* return (status (messages uidnext))")
        assert [u for u in r.untagged if b"STATUS" in u] == [b"* STATUS INBOX (MESSAGES 1 UIDNEXT 2)"]
        assert c.ok("List " + pattern + "* return (subscribed)").untagged == [inbox, a]
        assert c.ok("List " + pattern + "* return ()").untagged == [plain, a]
        assert c.ok("List (special-use) " + pattern + "* return (children special-use)").untagged == []
        for wrong in (
            "(frob) {0+}\r\n *",
            "(subscribed {0+}\r\n *",
            '"" * return',
            '"" * return (frob)',
            '"" * return (children',
            '"" * return (status)',
            '"" * return (status (frob))',
            '"" * children',
        ):
            c.bad("LIST " + wrong)


def test_list_beside_inbox(make_imapd):
    """With altnamespace what an INBOX has below it in the list is told beside it."""
    imapd = make_imapd({"proxyservers": PROXY})
    imapd.add_user(PROXY)
    with act(imapd, "fred") as c:
        c.ok("SUBSCRIBE INBOX")
        c.ok("CREATE other")
        assert c.ok('LIST (subscribed) "" *').untagged == [b'* LIST (\\Subscribed \\HasNoChildren) "/" INBOX']
        c.ok("CREATE INBOX/x")
        assert c.ok('LIST (subscribed) "" *').untagged == [b'* LIST (\\Subscribed \\HasChildren) "/" INBOX']


def test_the_rest_of_a_frontends_words(backend):
    """Case, literals and NOOPs as in a recorded session."""
    with act(backend, "fred") as c:
        assert c.ok("NOOP").text == "Completed"
        c.ok("Enable Condstore")
        assert c.ok("Status {5+}\r\nINBOX (MESSAGES UIDNEXT UNSEEN)").untagged == [
            b"* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UNSEEN 0)"
        ]
        r = c.ok("Select {5+}\r\nINBOX")
        for line in (rb"^\* 0 EXISTS$", rb"^\* 0 RECENT$", rb"^\* FLAGS \(", rb"^\* OK \[PERMANENTFLAGS \(.*\\\*\)\]"):
            r.one(line)
        assert r.text == "[READ-WRITE] Completed"
        tag = c.start("IDLE")
        assert c.read_line().startswith(b"+ ")
        c.send("Done\r\n")
        assert c.finish(tag).status == "OK"
        for said in ("Check", "Noop", "Uid Search ALL", "Unselect", "Examine {5+}\r\nINBOX", "Close"):
            c.ok(said)
        c.ok("CREATE INBOX.new")
        r = c.ok('RENAME "INBOX.new" "INBOX.newer"')
        assert r.untagged == [b"* OK rename INBOX.new INBOX.newer"] and r.text == "Completed"
        c.ok("Setacl {11+}\r\nINBOX.newer {3+}\r\nbob {3+}\r\nlrs")
        c.ok("Getquotaroot {5+}\r\nINBOX")
        c.ok("Subscribe {11+}\r\nuser.nobody")  # the frontend knows
        assert c.ok("Lsub {0+}\r\n {1+}\r\n*").untagged[-1].endswith(b'"." user.nobody')
        c.ok("Unsubscribe {11+}\r\nuser.nobody")
        c.ok("DELETE {11+}\r\nINBOX.newer")
        c.bad('SETMETADATA "INBOX" (/private/comment hello)')
        r = c.ok("LOGOUT")
        r.one(rb"^\* BYE LOGOUT received$")
    with act(backend, ADMIN) as c:
        c.ok('Setquota "user.fred" (STORAGE 5000)')
        assert c.ok("Getquota {9+}\r\nuser.fred").untagged == [b"* QUOTA user.fred (STORAGE 0 5000)"]
        c.ok("CREATE user.wire5 default")


def test_moving(make_murder):
    """LOCALCREATE, MUPDATEPUSH, LOCALDELETE: as a server says them to another while a mailbox moves to it."""
    murder = make_murder(backends=2, frontends=0, conf=CLASSIC)
    for node in murder.nodes:
        node.add_user("zoe")
    be1, be2 = murder.be
    name, be2_name = "user.zoe", murder.names[1]
    with Mupdate(murder.m.address).login() as m, act(be2) as c, Imap(be2.address).login(ADMIN) as admin:
        m.ok('RESERVE "%s" "%s!default"' % (name, murder.names[0]))
        assert c.ok("LOCALCREATE %s default" % lit(name)).text.endswith("Completed")
        assert "NO" == c.command("LOCALCREATE %s default" % name).status
        assert "CANNOT" in c.no("LOCALCREATE user.zoe.x nonesuch").text
        assert m.find(name)[1] == murder.names[0] + "!default"
        assert "INUSE" in admin.no("SELECT user.zoe").text
        be2.command("ctl_mboxlist", "-m")
        assert m.find(name)[1] == murder.names[0] + "!default"  # a push is no reason to take it
        assert c.ok("MUPDATEPUSH " + lit(name)).text == "Completed"
        kind, location, acl = m.find(name)
        assert (kind, location) == ("MAILBOX", be2_name + "!default") and acl.startswith("zoe\t")
        with Imap(be2.address).login("zoe") as zoe:
            assert zoe.select("INBOX") == 0
        # gone from here, and the master is not told
        c.ok("LOCALDELETE " + lit(name))
        assert admin.list("", "user.zoe") == []
        assert m.find(name)[1] == be2_name + "!default"
        assert "NONEXISTENT" in c.no("LOCALDELETE " + lit(name)).text
        assert "NONEXISTENT" in c.no("MUPDATEPUSH " + lit(name)).text
        # not what another server has
        with Imap(be1.address).login(ADMIN) as other:
            other.ok("CREATE user.bob")
        c.ok("LOCALCREATE user.bob default")
        assert "ALREADYEXISTS" in c.no("MUPDATEPUSH user.bob").text
        c.ok("LOCALDELETE user.bob")
        assert m.find("user.bob")[1] == murder.names[0] + "!default"


def test_lmtp(make_server):
    """A frontend's lmtpd, as recorded: two transactions of one connection."""
    server = make_server(conf=dict(lmtp_admins=PROXY))
    server.stop()
    server.services["lmtp"] = server.services["lmtp"].replace("lmtpd -a", "lmtpd")
    server.add_user(PROXY, "fred")
    server.start()
    with Imap(server.address).login(ADMIN) as admin:
        for name in ("user/fred", "user/fred/sub", "user/bob"):
            admin.ok("CREATE " + name)
        admin.ok("SETACL user/fred/sub anyone p")
    put = b"Return-Path: <sender@example.org>\r\nReceived: from client.lab (localhost [127.0.0.1])\r\n\t by fe1.lab with LMTPA;\r\n"
    with Lmtp(server.address) as c:
        assert c.docmd("LHLO lmtpproxyd")[0] == 250
        assert c.docmd("MAIL FROM:<sender@example.org> AUTH=<>")[0] in (430, 530)
        plain = b64encode(("\0%s\0%s" % (PROXY, PASSWORD)).encode()).decode()
        assert c.docmd("AUTH PLAIN " + plain)[0] == 235
        for again in (False, True):
            if again:
                assert c.docmd("NOOP")[0] == 250
            assert c.docmd("RSET")[0] == 250
            assert c.docmd("MAIL FROM:<sender@example.org> AUTH=<>") == (250, b"2.1.0 ok")
            for rcpt in ("fred+sub", "fred", "bob"):
                assert c.docmd("RCPT TO:<%s@internal>" % rcpt) == (250, b"2.1.5 ok")
            assert c.docmd("RCPT TO:<nobody@internal>")[0] == 550
            assert c.docmd("DATA")[0] == 354
            c.send(put + message("m%d" % again) + b".\r\n")
            for _ in range(3):
                code, text = c.getreply()
                assert code == 250 and re.fullmatch(rb"2\.1\.5 .* SESSIONID=<.*>", text)
    with Imap(server.address).login("fred") as c:
        for name in ("INBOX", "sub"):
            assert c.select(name) == 2
            assert c.body(1).startswith(put + b"From: ")  # nothing put before it a second time


def test_multiappend(backend):
    """What a frontend copies from another server comes in one APPEND (RFC 3502): all of it or nothing."""
    texts = [message(subject="m%d" % i, body="x" * i + "\r\n") for i in range(1, 4)]
    with act(backend, "fred") as c:
        assert {"MULTIAPPEND", "LIST-EXTENDED"} <= set(c.caps.replace("]", " ").split())
        c.ok("CREATE INBOX.a")
        head = 'Append {7+}\r\nINBOX.a (\\Flagged \\Seen) "%s" ' % DATE
        r = c.ok([head, texts[0], ' (\\Flagged $lab) "%s" ' % DATE, texts[1], " ", texts[2]])
        assert re.fullmatch(r"\[APPENDUID \d+ 1:3\] Completed", r.text)
        assert c.select("INBOX.a") == 3
        assert [c.body(u) for u in (1, 2, 3)] == texts
        r = c.ok("FETCH 1:3 FLAGS")
        assert [b"\\Flagged" in u for u in r.untagged] == [True, True, False]
        assert [b"$lab" in u for u in r.untagged] == [False, True, False]
        # byte by byte, each literal asked for
        c.send("y Localappend INBOX.a \"\" ")
        for i, text in enumerate(texts):
            for byte in "%s{%d}\r\n" % ("" if i == 0 else " (\\Seen) ", len(text)):
                c.send(byte)
            line = c.read_line()
            while line.startswith(b"*"):
                line = c.read_line()
            assert line.startswith(b"+ ")
            c.send(text)
        c.send("\r\n")
        assert re.fullmatch(r"\[APPENDUID \d+ 4:6\] Completed", c.finish("y").text)
        for wrong, status in (
            (["APPEND INBOX.a ", texts[0], " (\\Frob) ", texts[1]], "BAD"),
            (["APPEND INBOX.a ", texts[0], " frob ", texts[1]], "BAD"),
            (["APPEND INBOX.a ", texts[0], "", texts[1]], "BAD"),
            (["APPEND INBOX.a ", texts[0], " "], "BAD"),
            (["APPEND INBOX.a ", texts[0], " (\\Seen)"], "BAD"),
            (["APPEND INBOX.a ", texts[0], ' "no date" ', texts[1]], "BAD"),
            (["APPEND INBOX.a ", texts[0], " ", b""], "NO"),
            (["APPEND INBOX.a ", texts[0], " ", b"a\0b\r\n"], "NO"),
            (["APPEND INBOX.a ", texts[0], " (%s) " % ("k" * 33000), texts[1]], "BAD"),
        ):
            assert c.command(wrong).status == status, wrong
            assert c.ok("NOOP").untagged == []  # in step, and nothing came of it
        assert c.ok("STATUS INBOX.a (MESSAGES)").one(rb"MESSAGES (\d+)").group(1) == b"6"
        many = ["APPEND INBOX.a "] + [b"x\r\n", " "] * 1000 + [b"x\r\n"]
        assert "LIMIT" in c.no(many).text
    with backend.imap() as admin:
        admin.ok("SETQUOTA user.fred (MESSAGE 7)")
    with act(backend, "fred") as c:
        assert "OVERQUOTA" in c.no(["APPEND INBOX ", texts[0], " ", texts[1]]).text
        assert c.select("INBOX") == 0
        c.ok(["APPEND INBOX ", texts[0]])


def test_multiappend_killed(backend):
    """Cut off between two messages: nothing of it is there."""
    with act(backend, "fred") as c:
        c.send(b"a APPEND INBOX {3+}\r\na\r\n {3+}\r\nb\r\n (\\Seen) {100+}\r\nc")
    with act(backend, "fred") as c:
        assert c.select("INBOX") == 0
