"""IMAP4rev2 (RFC 9051), by its appendix E: to an imapd and through a frontend; and that nothing changes for who has not enabled it."""

import re

import pytest
from test_imap_append import place  # noqa: F401

from iatlas import message


def words(c):
    return c.ok("CAPABILITY").one(rb"^\* CAPABILITY (.*)$").group(1).decode().split()


@pytest.fixture
def c(place):  # noqa: F811
    with place.client() as c:
        assert c.ok("ENABLE IMAP4rev2").untagged == [b"* ENABLED IMAP4rev2"]
        yield c


@pytest.fixture
def old(place):  # noqa: F811
    with place.client() as c:
        yield c


def fill(c, n, mailbox="INBOX"):
    c.ok(["APPEND %s " % mailbox, *[x for i in range(n) for x in (message(subject="m%d" % i), " ")][:-1]])


def names(c, *list_args):
    return [m.group(1).decode() for m in c.ok(*list_args or ['LIST "" *']).find(rb'^\* LIST \([^)]*\) "/" (.*)$')]


def test_announced(place, old):  # noqa: F811
    """Beside IMAP4rev1, before login too; ENABLE does not change what is announced (6.3.1)."""
    with place.server.connect() as c:
        assert b" IMAP4rev2 " in c.greeting and b" IMAP4rev1 " in c.greeting
        assert {"IMAP4rev1", "IMAP4rev2"} <= set(words(c))
    before = words(old)
    assert {"IMAP4rev1", "IMAP4rev2"} <= set(before)
    old.ok("ENABLE IMAP4rev2")
    assert words(old) == before


def test_search(c):
    """4: ESEARCH without being asked."""
    fill(c, 4)
    c.select("INBOX")
    tag = c.start("SEARCH ALL")
    assert c.finish(tag).untagged == [b'* ESEARCH (TAG "%s") ALL 1:4' % tag.encode()]
    tag = c.start("UID SEARCH NOT 2")
    assert c.finish(tag).untagged == [b'* ESEARCH (TAG "%s") UID ALL 1,3:4' % tag.encode()]
    tag = c.start("SEARCH SUBJECT nothing")
    assert c.finish(tag).untagged == [b'* ESEARCH (TAG "%s")' % tag.encode()]
    c.ok("SEARCH RETURN (COUNT MIN) ALL").one(rb"\) MIN 1 COUNT 4$")
    assert c.ok("SEARCH RETURN (SAVE) 2:3").untagged == []
    c.ok("SEARCH $").one(rb"\) ALL 2:3$")
    # 4: a string is UTF-8 without CHARSET
    c.ok(["APPEND INBOX ", message(subject="=?utf-8?q?=D0=BE=D1=82=D0=BF?=")])
    c.ok(['SEARCH SUBJECT "отп"']).one(rb"\) ALL 5$")
    assert "[BADCHARSET" in c.no("SEARCH CHARSET x-none ALL").text


def test_select(c):
    """9 to 12: CLOSED, LIST, and neither UNSEEN nor RECENT."""
    fill(c, 2)
    c.ok("CREATE Drafts (USE (\\Drafts))")
    r = c.ok("SELECT INBOX")
    kinds = [re.match(rb"\* (?:\d+ |OK \[)?(\w+)", u).group(1).decode() for u in r.untagged]
    assert sorted(kinds) == sorted("FLAGS PERMANENTFLAGS EXISTS UIDVALIDITY UIDNEXT HIGHESTMODSEQ MAILBOXID ANNOTATIONS LIST".split())
    assert r.one(rb"^\* LIST .*").group(0) == b'* LIST (\\HasNoChildren) "/" INBOX'
    r = c.ok("SELECT Drafts")
    assert r.untagged[0].startswith(b"* OK [CLOSED]")
    assert r.one(rb"^\* LIST .*").group(0) == b'* LIST (\\HasNoChildren \\Drafts) "/" Drafts'
    c.ok("CREATE Drafts/a")
    r = c.ok("EXAMINE Drafts/")
    assert r.text.startswith("[READ-ONLY]")
    assert r.one(rb"^\* LIST .*").group(0) == b'* LIST (\\HasChildren \\Drafts) "/" Drafts ("OLDNAME" (Drafts/))'
    r = c.ok("EXAMINE iNbox")
    assert r.one(rb"^\* LIST .*").group(0) == b'* LIST (\\HasNoChildren) "/" INBOX ("OLDNAME" (iNbox))'
    r = c.no("SELECT Nowhere")
    r.one(rb"^\* OK \[CLOSED\]")
    assert r.find(rb"LIST") == []


def test_recent(c):
    """12: no \\Recent, nor RECENT."""
    c.select("INBOX")
    fill(c, 2)
    r = c.ok("NOOP")
    assert r.find(rb"RECENT") == []
    assert c.ok("FETCH 1:2 FLAGS").untagged == [b"* 1 FETCH (FLAGS ())", b"* 2 FETCH (FLAGS ())"]
    assert c.ok("STORE 1 +FLAGS (\\Flagged)").untagged == [b"* 1 FETCH (FLAGS (\\Flagged))"]
    # 21: FETCH that was not asked for has a UID
    c.ok("FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]").one(rb"^\* 1 FETCH \(UID 1 BODY\[.* FLAGS \(\\Flagged \\Seen\)\)$")
    c.ok("FETCH 2 BINARY[1]").one(rb"^\* 2 FETCH \(UID 2 BINARY\[1\] ")


def test_status(c):
    """3: SIZE and DELETED."""
    fill(c, 3)
    c.select("INBOX")
    c.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)")
    size = sum(int(m.group(1)) for m in c.ok("FETCH 1:3 RFC822.SIZE").find(rb"SIZE (\d+)"))
    r = c.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE)")
    r.one(rb"^\* STATUS INBOX \(MESSAGES 3 UIDNEXT 4 UIDVALIDITY \d+ UNSEEN 3 DELETED 2 SIZE %d\)$" % size)
    c.ok('LIST "" INBOX RETURN (STATUS (DELETED SIZE))').one(rb"^\* STATUS INBOX \(DELETED 2 SIZE %d\)$" % size)


def test_names(place, c):  # noqa: F811
    """16: names in UTF-8; another client of the same user sees modified UTF-7."""
    c.ok('CREATE "Grüße"')
    c.ok('CREATE "Grüße/日本"')
    assert names(c) == ["INBOX", '"Grüße"', '"Grüße/日本"']
    assert names(c, 'LIST "" (% "Gr*/日*") RETURN (CHILDREN)') == ["INBOX", '"Grüße"', '"Grüße/日本"']
    r = c.ok('SELECT "Grüße"')
    r.one('^\\* LIST \\(\\\\HasChildren\\) "/" "Grüße"$'.encode())
    r = c.ok(["APPEND ", "Grüße", " ", message()])
    assert r.text.startswith("[APPENDUID")
    c.ok('STATUS "Grüße" (MESSAGES)').one('^\\* STATUS "Grüße" \\(MESSAGES 1\\)$'.encode())
    c.ok('SUBSCRIBE "Grüße"')
    c.ok('LIST (SUBSCRIBED) "" *').one('"Grüße"$'.encode())
    assert "[TRYCREATE]" in c.no('UID COPY 1 "Gänse"').text
    c.ok('MOVE 1 "Grüße/日本"').one(rb"^\* OK \[COPYUID \d+ 1 1\]")
    c.ok('RENAME "Grüße/日本" "Grüße/한국"')
    with place.server.imap("u%d" % place.users) as o:
        assert names(o) == ["INBOX", "Gr&APwA3w-e", "Gr&APwA3w-e/&1VytbQ-"]
        o.ok("SELECT Gr&APwA3w-e/&1VytbQ-")
    # what is no Net-Unicode is refused: not UTF-8, controls, not in normal form C
    c.bad(b'CREATE "\xff\xfe"')
    for name in ("a\u0085b", "a\u2028b", "u\u0308ber"):
        assert "[CANNOT]" in c.no('CREATE "%s"' % name).text, name
        assert "[CANNOT]" in c.no('RENAME "Grüße" "%s"' % name).text, name
    # "&" is just a character
    c.ok('CREATE "a&b"')
    assert "a&b" in names(c)
    c.ok('DELETE "Grüße/한국"')


def test_copy_move(c):
    """7, 8: COPYUID of MOVE; nothing is made that is not there."""
    fill(c, 3)
    c.ok("CREATE Away")
    c.select("INBOX")
    c.ok("MOVE 1 Away").one(rb"^\* OK \[COPYUID \d+ 1 1\]")
    c.ok("UID MOVE 2 Away").one(rb"^\* OK \[COPYUID \d+ 2 2\]")
    for command in ("COPY 1 Nowhere", "MOVE 1 Nowhere", "UID COPY 3 Nowhere", "UID MOVE 3 Nowhere"):
        assert c.no(command).text.startswith("[TRYCREATE]")
    assert names(c) == ["INBOX", "Away"]


def test_keywords(c):
    """15: keywords of RFC 9051 2.3.2."""
    fill(c, 1)
    c.select("INBOX")
    every = b"$MDNSent $Forwarded $Junk $NotJunk $Phishing"
    r = c.ok(b"STORE 1 +FLAGS (%s)" % every)
    assert set(r.one(rb"^\* 1 FETCH \(FLAGS \((.*)\)\)$").group(1).split()) == set(every.split())
    c.ok("SEARCH KEYWORD $Phishing KEYWORD $junk").one(rb"ALL 1$")


def test_sizes(c):
    """1: numbers of 63 bits."""
    fill(c, 1)
    c.select("INBOX")
    c.ok("SEARCH SMALLER 9223372036854775807 LARGER 1").one(rb"ALL 1$")
    c.bad("SEARCH LARGER 9223372036854775808")
    c.ok("FETCH 1 BODY.PEEK[]<9223372036854775806.9223372036854775807>").one(rb'BODY\[\]<9223372036854775806> (""|\{0\}\r\n)')
    c.bad("FETCH 1 BODY.PEEK[]<9223372036854775808.1>")
    c.bad("FETCH 1 BODY.PEEK[]<0.0>")


NESTED = (
    b"From: a@example.org\r\nSubject: outside\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/global\r\n\r\n"
    b"From: b@example.org\r\nSubject: inside\r\n\r\ntext\r\n--b\r\n"
    b"Content-Type: application/x-y; name*0=\"one\"; name*1=\"two\"\r\n\r\n--b--\r\n"
)


def test_structure(c):
    """6, and MESSAGE/GLOBAL, which is a message as RFC822 is."""
    c.append("INBOX", NESTED)
    c.select("INBOX")
    r = c.ok("FETCH 1 BODYSTRUCTURE")
    r.one(rb'\(\("MESSAGE" "GLOBAL" NIL NIL NIL "7BIT" \d+ \(NIL "inside" ')
    r.one(rb'\("APPLICATION" "X-Y" \("NAME" "onetwo"\)')
    c.ok("FETCH 1 BODY.PEEK[1.HEADER.FIELDS (SUBJECT)]").one(rb"\r\nSubject: inside\r\n")


def test_headers(c):
    """16: headers in UTF-8."""
    c.append("INBOX", "From: Jürgen <j@example.org>\r\nSubject: Grüße\r\n\r\ntext\r\n".encode())
    c.select("INBOX")
    assert "Grüße".encode() in c.ok("FETCH 1 ENVELOPE").untagged[0]
    c.ok('SEARCH SUBJECT "GRÜß" FROM "JÜRGEN"').one(rb"ALL 1$")
    c.bad(b'SEARCH SUBJECT "\xff"')


def test_news_through_another(place, c):  # noqa: F811
    """12, 20, 21: what others do, and IDLE."""
    fill(c, 3)
    c.select("INBOX")
    with place.server.imap("u%d" % place.users) as o:
        o.select("INBOX")
        o.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
        o.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
        o.ok("EXPUNGE")
        r = c.ok("NOOP")
        assert sorted(r.untagged) == [b"* 1 FETCH (UID 1 FLAGS (\\Answered))", b"* 3 EXPUNGE"]
        c.send("i IDLE\r\n")
        assert c.read_line().startswith(b"+")
        fill(o, 1)
        assert c.read_line() == b"* 3 EXISTS"
        c.send("DONE\r\n")
        c.finish("i")


def test_servers(place, c):  # noqa: F811
    """It goes with the client from server to server."""
    with place.client() as b:
        other = "u%d" % place.users
        b.ok("SETACL INBOX u%d lrswiteakx" % (place.users - 1))
        b.ok("CREATE W&APwA3w-e")
        b.ok("SETACL W&APwA3w-e u%d lrswite" % (place.users - 1))
        fill(b, 2)
        fill(c, 2)
        c.select("INBOX")
        there = "Other Users/%s/Wüße" % other
        assert '"%s"' % there in names(c)
        c.ok('MOVE 2 "%s"' % there).one(rb"^\* OK \[COPYUID \d+ 2 1\]")
        r = c.ok('SELECT "Other Users/%s"' % other)
        assert r.find(rb"RECENT|UNSEEN") == []
        r.one(rb'^\* LIST \([^)]*\) "/" "Other Users/%s"$' % other.encode())
        c.ok("SEARCH ALL").one(rb"\) ALL 1:2$")
        r = c.ok('SELECT "%s"' % there)
        r.one(b'^\\* LIST \\(.*\\) "/" "%s"$' % there.encode())
        c.ok('STATUS "%s" (MESSAGES)' % there).one(rb"\(MESSAGES 1\)$")


def test_old(old):
    """A client that has not enabled it sees IMAP4rev1."""
    fill(old, 2)
    r = old.ok("SELECT INBOX")
    assert r.find(rb"^\* LIST") == []
    r.one(rb"^\* 2 RECENT$")
    r.one(rb"^\* OK \[UNSEEN 1\]")
    assert old.ok("SEARCH ALL").untagged == [b"* SEARCH 1 2"]
    assert old.ok("FETCH 1 FLAGS").untagged == [b"* 1 FETCH (FLAGS (\\Recent))"]
    assert old.ok("FETCH 2 BODY[TEXT]").untagged[0].startswith(b"* 2 FETCH (BODY[TEXT] ")
    old.ok("STATUS INBOX (RECENT)").one(rb"\(RECENT \d\)$")
    for command in ("CHECK", 'LSUB "" *', "SEARCH NEW", "FETCH 1 RFC822.HEADER"):
        old.ok(command)


def test_a_server_without(make_murder):
    """A server that was not known to lack it: IMAP4rev2's names would be other names there, and who has enabled UIDONLY
    cannot be shown a mailbox by UIDs alone."""
    murder = make_murder()
    murder.add_user("fred", 0)
    be = murder.be[1]
    be.stop()
    be.conf.update(suppress_capabilities="IMAP4rev2 UIDONLY")
    be.start()
    bob = '"Other Users/bob"'
    with murder.imap("fred") as c, murder.imap("fred") as u:
        c.ok("ENABLE IMAP4rev2")
        u.ok("ENABLE UIDONLY")
        murder.add_user("bob", 1)
        with murder.imap("bob") as b:
            assert "IMAP4rev2" not in words(b)
            b.ok("SETACL INBOX fred lrswite")
        c.append("INBOX", message())
        c.select("INBOX")
        for command in ("STATUS %s (MESSAGES)", "COPY 1 %s", "SELECT %s"):
            assert c.no(command % bob).text == "[CANNOT] Server %s does not have IMAP4rev2" % murder.names[1]
        c.select("INBOX")
        c.ok("SEARCH ALL").one(rb"^\* ESEARCH")
        u.ok("STATUS %s (MESSAGES)" % bob)
        assert u.no("SELECT " + bob).text == "[CANNOT] Server %s does not have UIDONLY" % murder.names[1]
        u.select("INBOX")
        assert u.ok("UID FETCH 1 (UID)").untagged == [b"* 1 UIDFETCH (UID 1)"]
        assert u.ok("ENABLE UIDONLY IMAP4rev2").untagged == [b"* ENABLED"]
        assert not {"IMAP4rev2", "UIDONLY"} & set(words(u))


@pytest.mark.parametrize("part", ["IMAP4rev2", "SEARCHRES"])
def test_suppressed(make_imapd, part):
    """Without one of its parts it is not IMAP4rev2."""
    imapd = make_imapd({"suppress_capabilities": part})
    with imapd.imap("fred") as c:
        assert "IMAP4rev2" not in words(c) and "IMAP4rev1" in words(c)
        assert c.ok("ENABLE IMAP4rev2").untagged == [b"* ENABLED"]
        c.ok("SELECT INBOX").one(rb"RECENT")
        assert c.ok("SEARCH ALL").untagged == [b"* SEARCH"]
