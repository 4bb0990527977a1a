"""CATENATE (RFC 4469), URL-PARTIAL (RFC 5550), alone and with MULTIAPPEND, REPLACE: to an imapd and through a frontend, from
mailboxes of the same server and of another."""

import re

import pytest
from test_imap_append import place, small  # noqa: F401

from iatlas import message

MULTIPART = (
    b"From: a@example.org\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="==_b"\r\n\r\n'
    b"--==_b\r\nContent-Type: text/plain\r\n\r\nfirst part\r\n"
    b"--==_b\r\nContent-Type: application/x-zip\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n"
    b"--==_b--\r\n"
)


class Source:
    """A mailbox of a user's, here or on the other backend, and URLs of what is in it."""

    def __init__(self, place, far):  # noqa: F811
        user, self.keeper = place.user(), place.user()
        self.c = place.server.imap(user)
        self.owner = place.server.imap(self.keeper) if far else self.c
        self.owner.ok('CREATE "&APw- b"')
        self.owner.ok("CREATE Drafts")
        if far:
            self.owner.ok("SETACL Drafts %s lr" % user)
        self.name = "Other Users/%s/Drafts" % self.keeper if far else "Drafts"
        self.encoded = self.name.replace(" ", "%20")
        self.owner.append("Drafts", message(subject="gone"))
        self.owner.append("Drafts", MULTIPART)
        self.big = message(subject="big", body="0123456789\r\n" * 20000)
        self.owner.append("Drafts", self.big)
        self.owner.select("Drafts")
        self.owner.ok("STORE 1 +FLAGS (\\Deleted)")
        self.owner.ok("EXPUNGE")
        self.owner.ok("UNSELECT")
        status = self.c.ok('STATUS "%s" (UIDVALIDITY)' % self.name)
        self.validity = int(status.one(rb"UIDVALIDITY (\d+)").group(1))

    def url(self, uid=2, more="", validity=None):
        return "/%s;UIDVALIDITY=%d/;UID=%d%s" % (self.encoded, validity or self.validity, uid, more)

    def close(self):
        self.c.close()
        self.owner.close()


@pytest.fixture(params=["near", "far"])
def source(place, request):  # noqa: F811
    source = Source(place, request.param == "far")
    yield source
    source.close()


@pytest.fixture
def near(place):  # noqa: F811
    source = Source(place, False)
    yield source
    source.close()


def appended(r):
    return [int(u) for u in re.match(r"\[APPENDUID \d+ ([\d,:]+)\]", r.text).group(1).split(",")]


def seen(source):
    source.owner.ok("EXAMINE Drafts")
    found = source.owner.uids("SEEN")
    source.owner.ok("UNSELECT")
    return found


def test_capabilities(near):
    words = near.c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
    assert "CATENATE" in words and "URL-PARTIAL" in words


def test_text_and_urls(source):
    """RFC 4469 appendix A, example 1: an attachment is replaced."""
    new = b"\r\n--==_b\r\nContent-Type: text/plain\r\n\r\nnew text\r\n--==_b\r\n"
    c = source.c
    r = c.ok(
        ['APPEND INBOX (\\Draft $x) " 3-Feb-2001 04:05:06 -0730" CATENATE (URL "%s" TEXT ' % source.url(2, "/;section=HEADER"), new]
        + [' URL "%s" TEXT ' % source.url(2, "/;SECTION=2.MIME"), b"\r\n"]
        + [' URL "%s" TEXT ' % source.url(2, "/;section=2"), b"\r\n--==_b--\r\n", ")"]
    )
    assert appended(r) == [1]
    header = MULTIPART[: MULTIPART.index(b"\r\n\r\n") + 4]
    zipped = b"Content-Type: application/x-zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    c.select("INBOX")
    assert c.body(1) == header + new + zipped + b"\r\n" + b"QUJD" + b"\r\n--==_b--\r\n"
    c.ok("FETCH 1 (FLAGS INTERNALDATE)").one(rb'FLAGS \(\\Recent \\Draft \$x\) INTERNALDATE " 3-Feb-2001 04:05:06 -0730"')
    assert seen(source) == []


def test_sections_and_partial(source):
    c = source.c
    big = source.big
    cases = [
        ("", MULTIPART),
        ("/;SECTION=1", b"first part"),
        ("/;SECTION=HEADER.FIELDS%20(%22Subject%22%20X-No)", b"Subject: parts\r\n\r\n"),
        ("/;SECTION=HEADER.FIELDS.NOT%20(Subject%20MIME-Version%20Content-Type)", b"From: a@example.org\r\n\r\n"),
        ("/;SECTION=TEXT/;PARTIAL=8.7", MULTIPART[MULTIPART.index(b"\r\n\r\n") + 12 :][:7]),
        ("/;PARTIAL=5.3", MULTIPART[5:8]),
        ("/;PARTIAL=%d" % (len(MULTIPART) - 4), MULTIPART[-4:]),
        ("/;PARTIAL=99999.5", b""),
    ]
    for i, (more, bytes_) in enumerate(cases):
        c.ok(["APPEND INBOX CATENATE (TEXT ", b"a: b\r\n\r\n[", ' URL "%s" TEXT ' % source.url(2, more), b"]\r\n", ")"])
        c.select("INBOX")
        assert c.body(i + 1) == b"a: b\r\n\r\n[" + bytes_ + b"]\r\n"
        c.ok("UNSELECT")
    # a message of 240 kB twice, and the same by URLs alone
    c.ok('APPEND INBOX CATENATE (URL "%s" URL "%s")' % (source.url(3), source.url(3, "/;SECTION=TEXT")))
    c.select("INBOX")
    assert c.body(len(cases) + 1) == big + big[big.index(b"\r\n\r\n") + 4 :]


def test_selected_mailbox(source):
    """A URL without a mailbox is of the selected one; the selection stays as it was."""
    c = source.c
    c.ok("APPEND INBOX CATENATE (URL \"%s\")" % source.url())
    c.bad('UID FETCH 2 BODY[1]')
    assert "[BADURL \";UID=2\"]" in c.no('APPEND INBOX CATENATE (URL ";UID=2")').text
    assert c.select('"%s"' % source.name) == 2
    c.ok('APPEND INBOX CATENATE (URL ";UID=2/;SECTION=HEADER" URL ";UID=2/;SECTION=TEXT")')
    c.ok("UID FETCH 2 FLAGS").one(rb"\* 1 FETCH")
    c.ok('APPEND INBOX CATENATE (URL "/INBOX/;UID=1")')
    c.select("INBOX")
    assert [c.body(u) for u in (1, 2, 3)] == [MULTIPART] * 3
    r = c.ok('APPEND INBOX CATENATE (URL ";UID=1")')
    r.one(rb"^\* 4 EXISTS$")


def test_synchronising(source):
    """Each TEXT is asked for by itself; what is behind a bad URL is not."""
    c = source.c
    c.send('x APPEND INBOX CATENATE (URL "%s" TEXT {3}\r\n' % source.url(2, "/;SECTION=HEADER"))
    assert c.read_line().startswith(b"+ ")
    c.send(b"abc TEXT {0}\r\n")
    assert c.read_line().startswith(b"+ ")
    c.send(b" URL {%d}\r\n" % len(source.url()))
    assert c.read_line().startswith(b"+ ")
    c.send(source.url().encode() + b" TEXT {2}\r\n")
    assert c.read_line().startswith(b"+ ")
    c.send(b"\r\n)\r\n")
    assert c.finish("x").status == "OK"
    c.send('y APPEND INBOX CATENATE (TEXT {6}\r\n')
    assert c.read_line().startswith(b"+ ")
    url = source.url(9)
    c.send(b'a: b\r\n URL "%s" TEXT {3}\r\n' % url.encode())
    line = c.read_line()
    while line.startswith(b"+ "):  # a frontend may learn it only from the other server
        c.send(b"abc)\r\n")
        line = c.read_line()
    assert line.startswith(b'y NO [BADURL "%s"]' % url.encode())
    c.select("INBOX")
    header = MULTIPART[: MULTIPART.index(b"\r\n\r\n") + 4]
    assert c.uids() == [1] and c.body(1) == header + b"abc" + MULTIPART + b"\r\n"


@pytest.mark.parametrize("more", ["2:gone", "validity", "section", "mailbox", "foreign"])
def test_bad_urls(source, more):
    """[BADURL] with the client's own words; nothing is there, and the next command is understood."""
    c = source.c
    url = {
        "2:gone": source.url(1),
        "validity": source.url(2, validity=source.validity + 1),
        "section": source.url(2, "/;SECTION=3"),
        "mailbox": "/%6Eope/;UID=1",
        "foreign": "/Other%%20Users/%s/%%C3%%BC%%20b/;UID=1" % source.keeper,
    }[more]
    r = c.no(["APPEND INBOX CATENATE (TEXT ", b"a: b\r\n\r\n", ' URL "%s" TEXT ' % url, b"x", ' URL "%s")' % source.url(99)])
    assert r.text.startswith('[BADURL "%s"]' % url), r
    assert c.select("INBOX") == 0


@pytest.mark.parametrize(
    "url",
    [
        "imap://localhost/INBOX/;UID=1",
        "//localhost/INBOX/;UID=1",
        "http://localhost/",
        "/INBOX",
        "/INBOX?ALL",
        "INBOX/;UID=1",
        "",
        "/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(a%0D%0Ab)",
        "/INBOX/;UID=1/;SECTION=1%5D)%0D%0Ax%20DELETE%20Drafts%0D%0A",
        "/INBOX/;UID=1%0D%0Ax%20DELETE%20Drafts",
        "/a%0D%0Ax%20DELETE%20Drafts%0D%0A/;UID=1",
        "/a%22%20%7B5%2B%7D/;UID=1",
        "/a%5C/;UID=1",
        "/INBOX/;UID=1;URLAUTH=anonymous:internal:91354a473744909de610943775f92038",
        "/" + "a" * 5000 + "/;UID=1",
    ],
)
def test_no_urls_of_messages_here(near, url):
    c = near.c
    r = c.no('APPEND INBOX CATENATE (URL "%s")' % url)
    assert r.text.startswith('[BADURL "%s' % url[:4096]), r
    r = c.no(["APPEND INBOX CATENATE (TEXT ", b"a: b\r\n\r\n", ' URL "%s")' % url])
    assert r.text.startswith("[BADURL")
    c.ok('STATUS INBOX (MESSAGES)').one(rb"MESSAGES 0\)")
    c.ok("STATUS Drafts (MESSAGES)")


@pytest.mark.parametrize("url", [b"/a\r\nx LOGOUT\r\n/;UID=1", b"/\xc3\xbc]/;UID=1", b'/a"\\/;UID=1', b"/a b/;UID=1"])
def test_urls_with_anything(near, url):
    """As literals they may hold what they like; the answer is one line of ASCII."""
    c = near.c
    text = c.no(["APPEND INBOX CATENATE (URL ", url, ")"]).text
    assert re.match(r'\[BADURL "[!-~]+"\] ', text) and "]" not in text[1 : text.index('"] ')]
    c.ok("NOOP")


@pytest.mark.parametrize(
    "wrong",
    [
        ["CATENATE"],
        ["CATENATE ()"],
        ["CATENATE (TEXT)"],
        ['CATENATE TEXT ', b"a"],
        ['CATENATE (TEXT "a")'],
        ['CATENATE (URL)'],
        ['CATENATE ( URL ";UID=1")'],
        ['CATENATE (URL ";UID=1" )'],
        ['CATENATE (URL ";UID=1"'],
        ['CATENATE (URL  ";UID=1")'],
        ['CATENATE (FROB ";UID=1")'],
        ['CATENATE (URL ";UID=1") x'],
        ['CATENATE (URL ";UID=1")(URL ";UID=1")'],
        ["CATENATE (TEXT ", b"a"],
        ["CATENATE (TEXT ", b"a", "))"],
        ["CATENATE (TEXT ", b"a", "x)"],
        ["CATENATE (TEXT ", b"a", " )"],
        ["CATENATE (TEXT ~{1+}\r\na)"],
    ],
)
def test_syntax(near, wrong):
    c = near.c
    c.select("Drafts")
    c.bad(["APPEND INBOX " + wrong[0].replace(";UID=1", ";UID=2")] + wrong[1:])
    c.ok("STATUS INBOX (UIDNEXT)").one(rb"UIDNEXT 1\)")


def test_bad_behind_good(near):
    """What is wrong behind the last part is BAD, and undone."""
    c = near.c
    for wrong in (")x", ") x", ") CATENATE", " )", " x)"):
        c.bad(["APPEND INBOX CATENATE (TEXT ", b"a: b\r\n\r\nc\r\n", ' URL "%s"%s' % (near.url(), wrong)])
    assert c.select("INBOX") == 0


def test_empty(near):
    assert "empty" in near.c.no(["APPEND INBOX CATENATE (TEXT ", b"", ")"]).text
    assert near.c.select("INBOX") == 0


def test_multiappend(source):
    """All messages or none."""
    c = source.c
    r = c.ok(
        ['APPEND INBOX (\\Seen) CATENATE (URL "%s") ' % source.url(), message(subject="whole")]
        + [' (\\Flagged) CATENATE (TEXT ', b"a: b\r\n\r\n", ' URL "%s")' % source.url(2, "/;SECTION=1")]
    )
    assert "APPENDUID" in r.text and "1:3" in r.text
    c.no(["APPEND INBOX ", message(), ' CATENATE (URL "%s") CATENATE (URL "%s")' % (source.url(), source.url(1))])
    c.select("INBOX")
    assert c.uids() == [1, 2, 3] and c.uids("SEEN") == [1] and c.uids("FLAGGED") == [3]
    assert [c.body(1), c.body(3)] == [MULTIPART, b"a: b\r\n\r\nfirst part"]


def test_replace(source):
    """RFC 8508 4.2: a message is replaced by one that is made of itself."""
    c = source.c
    c.append("INBOX", MULTIPART)
    c.append("INBOX", message())
    c.select("INBOX")
    r = c.ok(
        ['UID REPLACE 1 INBOX (\\Draft) CATENATE (TEXT ', b"X-New: y\r\n", ' URL "/INBOX/;UID=1" URL "%s")' % source.url(2, "/;SECTION=1")]
    )
    assert r.one(rb"^\* OK \[APPENDUID \d+ 3\]")
    r.one(rb"^\* 1 EXPUNGE$")
    assert c.uids() == [2, 3] and c.body(3) == b"X-New: y\r\n" + MULTIPART + b"first part"
    assert "BADURL" in c.no('REPLACE 1 INBOX CATENATE (URL "%s")' % source.url(1)).text
    assert c.uids() == [2, 3]


def test_too_big(small):  # noqa: F811
    """The whole is judged, before a byte is asked for where that can be known."""
    with small.server.imap(small.user()) as c:
        c.append("INBOX", message(body="x" * 1500))
        assert "[TOOBIG]" in c.no(["APPEND INBOX CATENATE (TEXT ", b"a: b\r\n\r\n" + b"y" * 700, ' URL "/INBOX/;UID=1")']).text
        assert "[TOOBIG]" in c.no('APPEND INBOX CATENATE (URL "/INBOX/;UID=1" URL "/INBOX/;UID=1")').text
        c.send('x APPEND INBOX CATENATE (URL "/INBOX/;UID=1" TEXT {9000}\r\n')
        assert b"[TOOBIG]" in c.read_line()
        c.ok(["APPEND INBOX CATENATE (TEXT ", b"a: b\r\n", ' URL "/INBOX/;UID=1/;PARTIAL=0.99")'])
        assert c.select("INBOX") == 2


def test_quota(place):  # noqa: F811
    user = place.user()
    with place.server.imap() as admin, place.server.imap(user) as c:
        c.append("INBOX", message(body="x" * 1500))
        admin.ok("SETQUOTA user/%s (STORAGE 3)" % user)
        assert "[OVERQUOTA]" in c.no('APPEND INBOX CATENATE (URL "/INBOX/;UID=1" URL "/INBOX/;UID=1")').text
        assert c.select("INBOX") == 1


def test_many_parts(near):
    c = near.c
    url = ' URL "%s"' % near.url(2, "/;SECTION=1/;PARTIAL=0.1")
    c.ok(["APPEND INBOX CATENATE (TEXT ", b"a: b\r\n\r\n", url * 200 + ")"])
    c.select("INBOX")
    assert c.body(1) == b"a: b\r\n\r\n" + b"f" * 200
    assert "[LIMIT]" in c.no("APPEND INBOX CATENATE (%s)" % (url * 1001)[1:]).text
    assert c.uids() == [1]


def test_to_where_it_comes_from(place):  # noqa: F811
    """From a mailbox here into one of another user's, on the other backend."""
    owner, user = place.user(), place.user()
    with place.server.imap(owner) as o, place.server.imap(user) as c:
        o.ok("SETACL INBOX %s lrsip" % user)
        c.append("INBOX", MULTIPART)
        c.select("INBOX")
        name = "Other Users/%s" % owner
        c.ok(['APPEND "%s" CATENATE (TEXT ' % name, b"X-A: b\r\n", ' URL ";UID=1" URL "/%s/;UID=1")' % "INBOX"])
        assert "BADURL" in c.no('APPEND "%s" CATENATE (URL "/INBOX/;UID=7")' % name).text
        assert "[TRYCREATE]" in c.no('APPEND "%s/nope" CATENATE (URL "/INBOX/;UID=1")' % name).text
        assert c.uids() == [1]
        assert o.select("INBOX") == 1 and o.body(1) == b"X-A: b\r\n" + MULTIPART * 2
