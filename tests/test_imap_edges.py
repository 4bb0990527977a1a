"""The edges of RFC 3501, through imapd and through a frontend: odd names, odd sections, sessions side by side, limits."""

import re

import pytest
from iatlas.clients import message

NESTED = (
    b"From: out@example.org\r\nSubject: outer\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="o"\r\n\r\n--o\r\nContent-Type: message/rfc822\r\nX-Part: one\r\n\r\n'
    b"From: mid@example.org\r\nSubject: middle\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="m"\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nplain\r\n'
    b"--m\r\nContent-Type: message/rfc822\r\n\r\nFrom: in@example.org\r\nSubject: inner\r\n\r\ndeep\r\n--m--\r\n\r\n--o--\r\n"
)


@pytest.fixture
def c(served):
    with served.imap("fred") as c:
        yield c


def fetched(c, item, n=1):
    """The value of one section: bytes, or None for NIL."""
    (u,) = c.ok("FETCH %d BODY.PEEK%s" % (n, item)).untagged
    rest = u.split(b"BODY" + re.sub(r"(<\d+)\.\d+>", r"\1>", item).encode() + b" ", 1)[1]
    if rest == b"NIL)":
        return None
    m = re.match(rb'\{(\d+)\}\r\n', rest)
    assert m is not None, rest
    return rest[m.end() :][: int(m.group(1))]


# ---- names ----


def test_separator_and_roots(c):
    for command, root in (('LIST "" ""', '""'), ('LIST "x/y" ""', "x/"), ('LIST "/" ""', "/"), ('LSUB "" ""', '""')):
        (line,) = c.ok(command).untagged
        assert line == b'* %s (\\Noselect) "/" %s' % (command[:4].encode(), root.encode())
    for command in ("LIST inb ox", 'LIST "" i%', 'LIST "" "%"', 'LIST "" iNbOx'):
        c.ok(command).one(rb'^\* LIST \(\\HasNoChildren\) "/" INBOX$')


def test_odd_names(c):
    good = ["a b", 'q"uote', "back\\slash", "a&-b", "&AOQ-", "x.y", "{", ".x", "a.", "~x", "-x", "#x", "x" * 300]
    for name in good:
        c.ok(["CREATE ", name])
        c.ok(["STATUS ", name, " (MESSAGES)"])
    assert sorted(c.list("", "*")) == sorted(good + ["INBOX"])
    for name in good:
        r = c.ok(["DELETE ", name])
    assert c.list("", "*") == ["INBOX"]
    bad = ["a&b", "&AOQ", "&AOQ-&AOQ-", "&AGE-", "/a", "a//b", "", "a*", "a%", "\r\n", "x\x7f"]
    for name in bad:
        assert c.command(["CREATE ", name]).status == "NO", name
    for raw in (b"\xc3\xa4", b"\xe4"):
        assert c.command(["CREATE ", raw]).status in ("NO", "BAD")
        assert c.command(b'CREATE "' + raw + b'"').status in ("NO", "BAD")
    c.bad(["CREATE ", b"nul\0"])
    for name in ("x" * 500, "x" * 5000, "/".join("d%d" % i for i in range(400))):
        c.no(["CREATE ", name])
    assert c.list("", "*") == ["INBOX"]
    c.ok("CREATE a/")  # RFC 3501 6.3.3: a name that ends in the separator
    assert c.list("", "*") == ["INBOX", "a"]


def test_deep(c):
    name = "/".join("d%d" % i for i in range(60))
    c.ok("CREATE " + name)
    c.append(name, message("deep"))
    assert c.select(name) == 1
    c.ok('LIST "" %').one(rb'^\* LIST \(\\Noselect \\HasChildren\) "/" d0$')
    assert c.list("", "d0/%") == ["d0/d1"]
    c.ok("RENAME %s/d58/d59 flat" % name.rsplit("/", 2)[0])
    assert c.list("", "*") == ["INBOX", "flat"]


def test_below_inbox(c):
    """altnamespace: INBOX is told once, with its children."""
    c.ok("CREATE Drafts")
    c.ok("CREATE inbox/sub")
    lines = c.ok('LIST "" %').untagged
    assert sorted(lines) == [b'* LIST (\\HasChildren) "/" INBOX', b'* LIST (\\HasNoChildren) "/" Drafts']
    assert sorted(c.list("", "*")) == ["Drafts", "INBOX", "INBOX/sub"]
    assert c.list("INBOX/", "%") == ["INBOX/sub"]
    c.append("INBOX/sub", message())
    assert c.select("inbox/sub") == 1
    for name in ("INBOX", "INBOX/sub", "Drafts"):
        c.ok("SUBSCRIBE " + name)
    assert sorted(c.ok('LSUB "" %').untagged) == [b'* LSUB () "/" Drafts', b'* LSUB () "/" INBOX']
    c.ok("UNSUBSCRIBE INBOX")
    assert b'* LSUB (\\Noselect) "/" INBOX' in c.ok('LSUB "" %').untagged


def test_delete_and_rename_with_children(c):
    c.ok("CREATE p/q/r")
    assert "NONEXISTENT" in c.no("DELETE p").text  # only a level
    c.ok("CREATE p")
    c.append("p/q/r", message())
    c.ok("DELETE p")
    assert c.list("", "*") == ["INBOX", "p/q/r"]
    c.ok('LIST "" %').one(rb'^\* LIST \(\\Noselect \\HasChildren\) "/" p$')
    c.no("SELECT p")
    assert c.select("p/q/r") == 1
    c.no("RENAME p/q/r p/q/r/s")
    c.no("RENAME p/q/r p/q/r")
    c.no("RENAME p/q/r INBOX")
    assert c.select("p/q/r") == 1


def test_rename_inbox(c):
    c.ok("CREATE kept")
    for i in range(3):
        c.append("INBOX", message("m%d" % i), "\\Flagged" if i else "")
    c.ok("RENAME INBOX old")
    assert sorted(c.list("", "*")) == ["INBOX", "kept", "old"]
    assert c.select("INBOX") == 0
    c.append("INBOX", message("new"))
    assert c.select("old") == 3 and c.uids("FLAGGED") == [2, 3]


def test_lsub_percent(c):
    for name in ("a/b/c", "a/b/d", "e"):
        c.ok("CREATE " + name)
        c.ok("SUBSCRIBE " + name)
    assert sorted(c.ok('LSUB "" %').untagged) == [b'* LSUB () "/" e', b'* LSUB (\\Noselect) "/" a']
    assert c.ok('LSUB "" a/%').untagged == [b'* LSUB (\\Noselect) "/" a/b']
    assert c.ok('LSUB "a/" %').untagged == [b'* LSUB (\\Noselect) "/" a/b']
    assert c.list("", "a/b/%", "LSUB") == ["a/b/c", "a/b/d"]
    assert c.list("", "*", "LSUB") == ["a/b/c", "a/b/d", "e"]
    c.ok("CREATE a")
    c.ok("SUBSCRIBE a")
    assert b'* LSUB () "/" a' in c.ok('LSUB "" %').untagged


# ---- sections ----


def test_nested_sections(c):
    c.append("INBOX", NESTED)
    c.select("INBOX")
    middle = NESTED.split(b"X-Part: one\r\n\r\n", 1)[1].rsplit(b"\r\n--o--", 1)[0]
    head, text = middle.split(b"\r\n\r\n", 1)
    assert fetched(c, "[1]") == middle
    assert fetched(c, "[1.HEADER]") == head + b"\r\n\r\n"
    assert fetched(c, "[1.TEXT]") == text
    assert fetched(c, "[1.MIME]") == b"Content-Type: message/rfc822\r\nX-Part: one\r\n\r\n"
    assert fetched(c, "[1.1]") == b"plain"
    assert fetched(c, "[1.1.MIME]") == b"Content-Type: text/plain\r\n\r\n"
    assert fetched(c, "[1.2.HEADER]") == b"From: in@example.org\r\nSubject: inner\r\n\r\n"
    assert fetched(c, "[1.2.TEXT]") == fetched(c, "[1.2.1]") == b"deep"
    assert fetched(c, "[1.2.HEADER.FIELDS (subject)]") == b"Subject: inner\r\n\r\n"
    for absent in ("[2]", "[1.3]", "[1.1.1]", "[1.1.HEADER]", "[1.1.TEXT]", "[1.2.2]"):
        assert fetched(c, absent) is None, absent
    for bad in ("[0]", "[1.0]", "[1.]", "[.1]", "[01x]", "[HEADER.1]", "[TEXT.1]", "[MIME]", "[99999999999999999999]"):
        c.bad("FETCH 1 BODY.PEEK" + bad)


def test_partial(c):
    m = message("partial")
    c.append("INBOX", m)
    c.select("INBOX")
    size = len(m)
    for start, n in ((0, 1), (0, size), (0, size + 1), (size - 1, 10), (size, 1), (size + 1, 1), (4294967296, 1), (0, 9223372036854775807)):
        assert fetched(c, "[]<%d.%d>" % (start, n)) == m[start : start + n]
    for bad in ("<0.0>", "<0>", "<.1>", "<-1.1>", "<9223372036854775808.1>", "<0.9223372036854775808>", "<1.1"):
        c.bad("FETCH 1 BODY.PEEK[]" + bad)


# ---- sessions side by side ----


def test_silent_and_expunge_across_sessions(served):
    with served.imap("fred") as a, served.imap("fred") as b:
        for i in range(6):
            a.append("INBOX", message("m%d" % i))
        a.select("INBOX")
        b.select("INBOX")
        # .SILENT is of its own change: another session's is told (RFC 3501 6.4.6)
        b.ok("STORE 2 +FLAGS (\\Flagged)")
        told = a.ok("STORE 1 +FLAGS.SILENT (\\Seen)").untagged + a.ok("NOOP").untagged
        assert any(re.match(rb"\* 2 FETCH .*\\Flagged", u) for u in told)
        assert any(re.match(rb"\* 1 FETCH .*\\Seen", u) for u in b.ok("NOOP").untagged)
        # numbers stay until the other session is told
        b.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        b.ok("EXPUNGE")
        r = a.ok("FETCH 1:6 UID")
        assert not r.find(rb"EXPUNGE")
        assert not a.ok("STORE 6 +FLAGS.SILENT (late)").find(rb"EXPUNGE")
        assert not a.ok("SEARCH ALL").find(rb"EXPUNGE")
        b.append("INBOX", message("new"))
        gone = [int(m.group(1)) for m in a.ok("NOOP").find(rb"^\* (\d+) EXPUNGE")]
        left = [1, 2, 3, 4, 5, 6]
        for n in gone:
            del left[n - 1]
        assert left == [1, 3, 5, 6]
        assert a.uids() == [1, 3, 5, 6, 7] == b.uids()
        # the message that is gone for one and not yet for the other
        b.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
        b.ok("EXPUNGE")
        r = a.command("FETCH 1 BODY.PEEK[]")
        assert r.status in ("OK", "NO") and (r.status == "OK" or "EXPUNGEISSUED" in r.text)


def test_status_of_the_selected(c):
    c.select("INBOX")
    c.append("INBOX", message())
    c.ok("STATUS INBOX (MESSAGES UIDNEXT UNSEEN)").one(rb"STATUS INBOX \(MESSAGES 1 UIDNEXT 2 UNSEEN 1\)")
    c.ok("FETCH 1 FLAGS")


# ---- commands in odd shapes ----


def test_append_forms(c, served):
    m = message("forms")
    eight = b"Subject: \xe4\xff\r\nFrom: \xc3\xa4 <a@b>\r\n\r\n8bit \x80\xff\r\n"
    c.ok(["APPEND ", "INBOX", ' (\\Seen kw) "01-Feb-2020 23:59:59 +1400" ', m])
    c.no(["APPEND INBOX ", eight])  # RFC 6855 4
    with served.imap("fred") as utf8:
        utf8.ok("ENABLE UTF8=ACCEPT")
        utf8.ok(["APPEND INBOX ", eight])
    c.ok(["APPEND INBOX () ", m])
    for bad in ("30-Feb-2020 00:00:00 +0000", "1-Feb-2020 00:00:00 +0000", "01-Feb-2020 24:00:00 +0000", "01-Feb-2020 00:00 +0000"):
        assert c.command(['APPEND INBOX "%s" ' % bad, m]).status == "BAD", bad
    assert c.select("INBOX") == 3
    c.ok("FETCH 1 (FLAGS INTERNALDATE)").one(rb'\\Seen kw\) INTERNALDATE " ?0?1-Feb-2020 23:59:59 \+1400"')
    assert fetched(c, "[]", 2) == eight
    c.ok("FETCH 2 (ENVELOPE BODYSTRUCTURE)").one(rb"\{2\}\r\n\xe4\xff")


def test_literals_everywhere(served):
    with served.connect() as c:
        c.ok(["LOGIN ", "fred", " ", "secret"])
        c.ok(["CREATE ", "lit"])
        c.ok(["LIST ", "", " ", "%"]).one(rb" lit$")
        c.ok(["SELECT ", "lit"])
        c.ok(["APPEND ", "lit", " ", message("needle")])
        assert c.ok(["SEARCH SUBJECT ", "needle", " HEADER ", "subject", " ", "NEED"]).one(rb"^\* SEARCH(.*)").group(1) == b" 1"
        c.ok(["FETCH 1 BODY.PEEK[HEADER.FIELDS (", "Subject", " ", "to", ")]"]).one(rb"needle")
        c.bad(["FETCH ", "1", " FLAGS"])  # a set is no astring
        c.ok(["RENAME ", "lit", " ", "lit2"])
        # synchronising literals, one after the other
        c.send("s1 STATUS {4}\r\n")
        assert c.read_line().startswith(b"+")
        c.send("lit2 (MESSAGES)\r\n")
        assert c.finish("s1").status == "OK"
        c.send("s2 NOOP {99999999999}\r\n")
        assert c.read_line().startswith(b"s2 BAD")
        c.ok("NOOP")


def test_login_forms(served):
    for form in ("LOGIN fred secret", 'LOGIN "fred" "secret"', ["LOGIN ", "fred", " ", "secret"], ['LOGIN "fred" ', "secret"]):
        with served.connect() as c:
            c.ok(form)
    with served.connect() as c:
        for bad in ("LOGIN", "LOGIN fred", "LOGIN fred secret more", 'LOGIN "fred secret'):
            assert c.command(bad).status == "BAD", bad
        c.send("x AUTHENTICATE PLAIN\r\n")
        assert c.read_line().startswith(b"+")
        c.send("*\r\n")
        assert c.finish("x").status == "BAD"
        c.send("y AUTHENTICATE PLAIN\r\n")
        assert c.read_line().startswith(b"+")
        c.send("!!!\r\n")
        assert c.finish("y").status in ("BAD", "NO")
        c.ok("LOGIN fred secret")


def test_search_combinations(c):
    for i in range(5):
        c.append("INBOX", message("s%d" % i, headers="X-N: v%d\r\nX-Empty:\r\n" % i), "\\Seen" if i % 2 else "")
    c.select("INBOX")
    cases = {
        "(((ALL)))": [1, 2, 3, 4, 5], "NOT (OR SEEN (NOT UNDELETED))": [1, 3, 5], "OR OR 1 2 5": [1, 2, 5],
        "OR (1:2 SEEN) (UID 4:* UNSEEN)": [2, 5], "NOT 1:3": [4, 5], "UID *": [5], "*": [5], "5:4": [4, 5],
        "NOT UID 1,3,5,99": [2, 4], 'HEADER X-N ""': [1, 2, 3, 4, 5], 'HEADER X-Empty ""': [1, 2, 3, 4, 5],
        'HEADER X-Nope ""': [], "HEADER X-N V3": [4], 'HEADER x-n v HEADER Subject "s1"': [2], "NEW": [1, 3, 5], "1:3 NOT 2": [1, 3],
        'SUBJECT "" SEEN': [2, 4], "6": [], "4:9": [4, 5], "LARGER 0 SMALLER 4294967295": [1, 2, 3, 4, 5],
    }  # fmt: skip
    for criteria, expected in cases.items():
        assert c.uids(criteria) == expected, criteria
    for bad in ("0", "1:0", "NOT", "OR 1", "()", "(1", "1)", "ON 31-Feb-2020", "KEYWORD \\Seen", "ALL CHARSET UTF-8"):
        assert c.command("SEARCH " + bad).status == "BAD", bad


def test_quota_exactly_at_the_limit(served):
    """What fills it to the last unit fits; the next does not; what is over may be deleted and moved away."""
    with served.imap("fred") as c, served.imap() as admin:
        m = message(body="")
        m += b"x" * (1024 - len(m) - 2) + b"\r\n"
        admin.ok("SETQUOTA user/fred (STORAGE 2 MESSAGE 5)")
        c.append("INBOX", m)
        c.append("INBOX", m)
        c.ok("GETQUOTAROOT INBOX").one(rb"STORAGE 2 2 MESSAGE 2 5\)")
        assert "OVERQUOTA" in c.no(["APPEND INBOX ", b"a: b\r\n\r\n"]).text
        c.select("INBOX")
        assert "OVERQUOTA" in c.no("COPY 1 INBOX").text
        c.ok("CREATE other")
        c.ok("MOVE 1 other")  # no more than before
        assert c.uids() == [2]
        c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        c.append("INBOX", m)
        admin.ok("SETQUOTA user/fred (MESSAGE 2)")
        assert "OVERQUOTA" in c.no(["APPEND INBOX ", b"a: b\r\n\r\n"]).text
        admin.ok("SETQUOTA user/fred ()")
        c.append("INBOX", m)
        refused = admin.no('SETACL user/fred "" lr')
        assert "identifier" in refused.text
