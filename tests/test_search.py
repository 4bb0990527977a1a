"""SEARCH, SORT and THREAD: charsets (RFC 5255), ESEARCH (4731), SEARCHRES (5182), WITHIN (5032), SORT (5256, 5957), ESORT (5267)."""

import base64
import re
from email.header import Header

import pytest

from iatlas import message


@pytest.fixture
def c(site):
    """Somebody new at the site, logged in; `c.name` is who."""
    name = site.make_user()
    with site.imap(name) as client:
        client.name = name
        yield client


def esearch(r, uid=False):
    """The one ESEARCH response as {item: value}, its tag checked."""
    m = r.one(rb'^\* ESEARCH \(TAG "([^"]+)"\)( UID)?(.*)$')
    assert m.group(1) == b"a%d" % int(r.tag[1:]) and bool(m.group(2)) == uid, r
    words = re.findall(r"(\w+) (\([^)]*\)|\S+)", m.group(3).decode())
    return {k: v if k in ("ALL", "PARTIAL") else int(v) for k, v in words}


def ask(c, command, uid=False):
    tag = c.start(("UID " if uid else "") + command)
    r = c.finish(tag)
    r.tag = tag
    assert r.status == "OK", r
    return esearch(r, uid)


def hits(c, command):
    r = c.ok(command).one(rb"^\* SEARCH(.*)$")
    return [int(n) for n in r.group(1).split()]


TEXTS = {  # charset: (as mail has it, another case of it)
    "utf-8": ("Größe", "GRÖßE"),
    "iso-8859-1": ("Müller", "mÜLLER"),
    "iso-8859-15": ("prix: 5 €", "PRIX: 5 €"),
    "windows-1252": ("„quoted“", "QUOTED“"),
    "iso-8859-2": ("Žižka", "žIŽKA"),
    "koi8-r": ("Привет", "пРИВЕТ"),
    "windows-1251": ("Привет", "пРИВЕТ"),
    "iso-8859-7": ("Καλημέρα", "ΚΑΛΗΜΈΡΑ"),
    "windows-1255": ("שלום", "שלום"),
    "windows-1256": ("سلام", "سلام"),
    "iso-2022-jp": ("日本語", "日本語"),
    "shift_jis": ("日本語", "日本語"),
    "euc-jp": ("日本語", "日本語"),
    "gb2312": ("中文", "中文"),
    "gb18030": ("中文𠀀", "文𠀀"),
    "big5": ("中文", "中文"),
    "euc-kr": ("한국어", "한국어"),
    "tis-620": ("ภาษา", "ภาษา"),
    "utf-16": ("Größe", "gRÖSSE"[:3] + "ßE"),
}


def test_charsets(c):
    """Each text in a body of its charset and in a Subject's encoded words, asked for in UTF-8 and in that charset."""
    names = list(TEXTS)
    for charset in names:
        text = TEXTS[charset][0]
        body = text.encode(charset)
        encoding = "base64" if charset == "utf-16" else "8bit"
        if encoding == "base64":
            body = base64.encodebytes(body).replace(b"\n", b"\r\n")
        subject = Header(text, charset if charset != "utf-16" else "utf-8").encode()
        m = message(subject=subject, headers="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n" % (charset, encoding), body="")
        c.append("INBOX", m + body + b"\r\n")
    c.select("INBOX")
    for i, charset in enumerate(names):
        key = TEXTS[charset][1]
        for where in ("BODY", "SUBJECT", "TEXT"):
            found = hits(c, ["SEARCH CHARSET UTF-8 %s " % where, key.encode()])
            assert i + 1 in found, (charset, where, found)
            assert all(TEXTS[names[n - 1]][0].casefold().find(key.casefold()) >= 0 for n in found), (charset, where, found)
        try:
            own = key.encode(charset)
        except UnicodeEncodeError:
            continue
        if b"\0" not in own:
            assert i + 1 in hits(c, ["SEARCH CHARSET %s BODY " % charset, own]), charset
    r = c.no("SEARCH CHARSET X-UNHEARD-OF ALL")
    listed = re.match(r"\[BADCHARSET \(([^)]*)\)\]", r.text).group(1).upper().split()
    assert {"UTF-8", "US-ASCII", "KOI8-R", "ISO-2022-JP", "GB18030", "WINDOWS-1252"} <= set(listed)
    assert "I18NLEVEL=1" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
    # what is not in the charset that it is said to be in
    c.bad(["SEARCH CHARSET US-ASCII SUBJECT ", "ü".encode()])
    c.bad(["SEARCH CHARSET ISO-2022-JP SUBJECT ", b"\x1b$B\xff\xff"])
    c.bad("SEARCH CHARSET")


@pytest.fixture
def ten(c):
    """Ten messages, of which 2, 4:6 and 9 are flagged; UIDs are 10 above their numbers."""
    for i in range(10):
        c.append("INBOX", message("junk"), "\\Deleted")
    for i in range(1, 11):
        c.append("INBOX", message("s%d" % i, body="x" * i * 50 + "\r\n"), "\\Flagged" if i in (2, 4, 5, 6, 9) else "")
    c.select("INBOX")
    c.ok("EXPUNGE")
    return c


def test_esearch(ten):
    c = ten
    assert ask(c, "SEARCH RETURN (MIN MAX COUNT ALL) FLAGGED") == {"MIN": 2, "MAX": 9, "COUNT": 5, "ALL": "2,4:6,9"}
    assert ask(c, "SEARCH RETURN (MIN MAX COUNT ALL) FLAGGED", True) == {"MIN": 12, "MAX": 19, "COUNT": 5, "ALL": "12,14:16,19"}
    assert ask(c, "SEARCH RETURN () FLAGGED") == {"ALL": "2,4:6,9"}
    assert ask(c, "SEARCH RETURN (MIN) FLAGGED") == {"MIN": 2}
    assert ask(c, "SEARCH RETURN (MIN) SUBJECT s9", True) == {"MIN": 19}
    assert ask(c, "SEARCH RETURN (MAX) CHARSET UTF-8 UNFLAGGED") == {"MAX": 10}
    assert ask(c, "SEARCH RETURN (MIN MAX ALL) SUBJECT nowhere") == {}
    assert ask(c, "SEARCH RETURN (MIN COUNT) SUBJECT nowhere", True) == {"COUNT": 0}
    for bad in ("RETURN FLAGGED", "RETURN (MIN)", "RETURN (NONSENSE) ALL", "RETURN (MIN ALL", "RETURN (SAVE SAVE2) ALL"):
        c.bad("SEARCH " + bad)


def test_partial(ten):
    """RFC 9394 section 3.1; what is beyond the hits is left out."""
    c = ten
    assert "PARTIAL" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)").group(1).decode().split()
    for command, expected in (
        ("PARTIAL 1:2", "(1:2 2,4)"), ("PARTIAL 4:2", "(4:2 4:6)"), ("PARTIAL 5:9", "(5:9 9)"), ("PARTIAL 6:9", "(6:9 NIL)"),
        ("PARTIAL -1:-2", "(-1:-2 6,9)"), ("PARTIAL -9:-4", "(-9:-4 2,4)"), ("PARTIAL -6:-9", "(-6:-9 NIL)"),
    ):  # fmt: skip
        assert ask(c, "SEARCH RETURN (%s) FLAGGED" % command) == {"PARTIAL": expected}, command
    assert ask(c, "SEARCH RETURN (PARTIAL 2:3 SAVE COUNT) FLAGGED", True) == {"COUNT": 5, "PARTIAL": "(2:3 14:15)"}
    c.ok("SEARCH RETURN (PARTIAL 2:3 SAVE MIN) FLAGGED")
    assert hits(c, "SEARCH $") == [2, 4, 5]
    for bad in ("PARTIAL", "PARTIAL 1", "PARTIAL 1:-2", "PARTIAL 0:1", "PARTIAL 1:2 ALL", "PARTIAL 1:2 PARTIAL 3:4"):
        c.bad("SEARCH RETURN (%s) ALL" % bad)


def test_saved(ten):
    c = ten

    def dollar():
        return ask(c, "SEARCH RETURN (ALL) $", True).get("ALL")

    assert dollar() is None
    assert not c.ok("SEARCH RETURN (SAVE) FLAGGED").find(rb"SEARCH")
    assert dollar() == "12,14:16,19"
    assert hits(c, "SEARCH $ SMALLER 600") == hits(c, "SEARCH UID $ SMALLER 600") != []
    assert hits(c, "SEARCH (OR $ 1,3000:3021)") == [1, 2, 4, 5, 6, 9]
    assert hits(c, "SEARCH NOT $") == [1, 3, 7, 8, 10]
    assert len(c.ok("FETCH $ (UID)").find(rb"FETCH \(UID 1[24569]\)")) == 5
    assert len(c.ok("UID FETCH $ (FLAGS)").find(rb"FETCH")) == 5
    for command, saved in (
        ("SEARCH RETURN (SAVE MIN) FLAGGED", "12"),
        ("UID SEARCH RETURN (SAVE MAX) FLAGGED", "19"),
        ("SEARCH RETURN (MAX SAVE MIN) FLAGGED", "12,19"),
        ("SEARCH RETURN (SAVE COUNT MIN) FLAGGED", "12,14:16,19"),
        ("UID SEARCH RETURN (SAVE ALL) 3", "13"),
    ):
        c.ok(command)
        assert dollar() == saved, command
    # what must not change it, and what empties it (section 2.1)
    c.ok("SEARCH RETURN (SAVE) FLAGGED")
    c.bad("SEARCH RETURN (SAVE) NONSENSE")
    c.no("SEARCH CHARSET X-UNHEARD-OF ALL")
    c.ok("SEARCH RETURN (MIN) 1")
    assert dollar() == "12,14:16,19"
    c.no("SEARCH RETURN (SAVE) CHARSET X-UNHEARD-OF (OR $ 1)")
    assert dollar() is None
    assert not c.ok("FETCH $ FLAGS").find(rb"FETCH") and not c.ok("UID STORE $ +FLAGS (x)").find(rb"FETCH")
    # pipelined; numbers that expunges have moved
    tags = [c.start(s) for s in ("SEARCH RETURN (SAVE) FLAGGED", "STORE $ +FLAGS (kw)", "UID STORE 14 +FLAGS (\\Deleted)",
                                 "UID EXPUNGE $", "FETCH $ (UID)")]  # fmt: skip
    answers = [c.finish(t) for t in tags]
    assert [r.status for r in answers] == ["OK"] * 5, answers
    assert len(answers[1].find(rb"FETCH.*kw")) == 5 and answers[3].one(rb"^\* 4 EXPUNGE")
    assert [m.group(1) for m in answers[4].find(rb"^\* (\d+) FETCH")] == [b"2", b"4", b"5", b"8"]
    assert dollar() == "12,15:16,19"
    c.select("INBOX")
    assert dollar() is None
    for bad in ("FETCH $:3 FLAGS", "FETCH 1,$ FLAGS", "SEARCH $,1", "SEARCH 1:$"):
        c.bad(bad)


def test_saved_copied(ten):
    """COPY and MOVE of `$`, to a mailbox of the same server and, behind a frontend, of another."""
    c = ten
    c.ok("CREATE Near")
    team = '"Shared Folders/team"'
    before = c.select(team)
    for name in ("Near", team):
        c.select("INBOX")
        c.ok("SEARCH RETURN (SAVE) FLAGGED")
        assert "COPYUID" in c.ok("COPY $ " + name).text
    assert c.select("Near") == 5 and c.select(team) == before + 5
    c.select("INBOX")
    c.ok("UID SEARCH RETURN (SAVE MIN) FLAGGED")
    assert c.ok("MOVE $ " + team).one(rb"^\* 2 EXPUNGE")
    c.ok("SEARCH RETURN (SAVE MAX) FLAGGED")
    assert c.ok("UID MOVE $ Near").one(rb"^\* 8 EXPUNGE")
    assert c.select("Near") == 6 and c.select(team) == before + 6


def test_within(c):
    c.ok(['APPEND INBOX "10-Jan-2015 12:00:00 +0000" ', message("old")])
    c.append("INBOX", message("new"))
    c.select("INBOX")
    assert hits(c, "SEARCH OLDER 86400") == [1]
    assert hits(c, "SEARCH YOUNGER 86400") == [2]
    assert hits(c, "SEARCH NOT YOUNGER 86400 OLDER 4294967295") == []
    for bad in ("OLDER", "OLDER 0", "YOUNGER x", "YOUNGER 4294967296"):
        c.bad("SEARCH " + bad)


def test_other_sessions(site, ten):
    """Expunges are not told during SEARCH, and numbers keep their meaning; with UID they may be told."""
    c = ten
    with site.imap(c.name) as other:
        other.select("INBOX")
        c.ok("SEARCH RETURN (SAVE) ALL")
        other.ok("STORE 3 +FLAGS (\\Deleted)")
        other.ok("EXPUNGE")
        r = c.ok("SEARCH RETURN (COUNT) FLAGGED")
        assert not r.find(rb"EXPUNGE")
        assert hits(c, "SEARCH SUBJECT s4") == [4]
        assert c.ok("UID SEARCH RETURN (COUNT) ALL").find(rb"^\* 3 EXPUNGE")
        assert hits(c, "SEARCH SUBJECT s4") == [3]
        assert ask(c, "SEARCH RETURN (COUNT) $") == {"COUNT": 9}


# ---- SORT, THREAD ----


def raw(n, subject="", sender="x@example.org", to="y@example.org", date="1 Jan 2026 00:00:00 +0000", headers=""):
    text = "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <m%d@x>\r\n%s\r\n%s\r\n"
    return (text % (sender, to, subject, date, n, headers, "x" * 10 * n)).encode()


def numbers(c, command, word="SORT"):
    m = c.ok(command).one(rb"^\* " + word.encode() + rb"(.*)$")
    return [int(n) for n in m.group(1).split()]


@pytest.fixture
def box(c):
    rows = [
        (("Zebra", "carl@example.org", "anna@x", "3 Jan 2026 10:00:00 +0000"), "05-Feb-2026 00:00:00 +0000"),
        (("=?utf-8?q?=C3=84pfel?=", '"Zoe" <adam@example.org>', "ben@x", "3 Jan 2026 10:30:00 +0100"), "04-Feb-2026 00:00:00 +0000"),
        (("Re: apple", "=?utf-8?q?=C3=81bel?= <zed@example.org>", "cara@x", "1 Jan 2026 00:00:00 +0000"), "03-Feb-2026 00:00:00 +0000"),
        (("[list] Fwd: APPLE (fwd)", "Bert <BERT@example.org>", "", "5 Jan 2026 00:00:00 +0000"), "02-Feb-2026 00:00:00 +0000"),
        (("", "noone", "Team: ;", "nonsense"), "01-Feb-2026 00:00:00 +0000"),
    ]  # fmt: skip
    for i, (fields, arrival) in enumerate(rows):
        c.ok(['APPEND INBOX (%s) "%s" ' % ("\\Flagged" if i % 2 else "", arrival), raw(5 - i, *fields, headers="Cc: c%d@x\r\n" % (i % 2))])
    c.select("INBOX")
    return c


def test_sort(box):
    cases = {
        "(ARRIVAL)": [5, 4, 3, 2, 1], "(REVERSE ARRIVAL)": [1, 2, 3, 4, 5], "(SIZE)": [5, 1, 3, 4, 2],
        "(DATE)": [3, 2, 1, 4, 5], "(SUBJECT)": [5, 3, 4, 2, 1], "(REVERSE SUBJECT)": [1, 2, 3, 4, 5],
        "(SUBJECT REVERSE DATE)": [5, 4, 3, 2, 1], "(FROM)": [2, 4, 1, 5, 3], "(TO)": [4, 1, 2, 3, 5],
        "(CC)": [1, 3, 5, 2, 4], "(CC REVERSE ARRIVAL)": [1, 3, 5, 2, 4], "(REVERSE CC ARRIVAL)": [4, 2, 5, 3, 1],
        "(DISPLAYFROM)": [3, 4, 1, 5, 2], "(DISPLAYTO)": [4, 1, 2, 3, 5], "(reverse displayfrom)": [2, 5, 1, 4, 3],
    }  # fmt: skip
    sizes = {int(m.group(1)): int(m.group(2)) for m in box.ok("FETCH 1:* RFC822.SIZE").find(rb"^\* (\d+) FETCH \(RFC822.SIZE (\d+)")}
    cases["(SIZE)"] = sorted(sizes, key=lambda n: (sizes[n], n))
    for criteria, expected in cases.items():
        assert numbers(box, "SORT %s UTF-8 ALL" % criteria) == expected, criteria
    assert numbers(box, "SORT (SUBJECT) US-ASCII FLAGGED") == [4, 2]
    assert numbers(box, 'SORT (ARRIVAL) "utf-8" TEXT "not in mailbox"') == []
    assert numbers(box, ["SORT (SUBJECT) UTF-8 SUBJECT ", "äpf".encode()]) == [2]
    for bad in ("SORT SUBJECT UTF-8 ALL", "SORT () UTF-8 ALL", "SORT (NONSENSE) UTF-8 ALL", "SORT (REVERSE) UTF-8 ALL", "SORT (SUBJECT) UTF-8 ",
                "SORT (SUBJECT) UTF-8", "SORT (SUBJECT SUBJECT  DATE) UTF-8 ALL", "SORT (%s) UTF-8 ALL" % " ".join(["DATE"] * 17)):  # fmt: skip
        box.bad(bad)
    assert "BADCHARSET" in box.no("SORT (SUBJECT) X-UNHEARD-OF ALL").text


def test_extended(box):
    def ask(command):
        tag = box.start(command)
        r = box.finish(tag)
        assert r.status == "OK", r
        m = r.one(rb'^\* ESEARCH \(TAG "([^"]+)"\)(.*)$')
        assert m.group(1).decode() == tag
        return m.group(2).decode().strip()

    assert ask("SORT RETURN () (REVERSE ARRIVAL) UTF-8 ALL") == "ALL 1:5"
    assert ask("SORT RETURN (ALL) (ARRIVAL) UTF-8 ALL") == "ALL 5,4,3,2,1"
    assert ask("UID SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 ALL") == "UID MIN 5 MAX 1 COUNT 5"
    assert ask("SORT RETURN (MIN COUNT ALL) (SUBJECT) UTF-8 SUBJECT nowhere") == "COUNT 0"
    assert ask("SORT RETURN (SAVE MIN MAX) (SUBJECT) UTF-8 ALL") == "MIN 5 MAX 1"
    assert hits(box, "SEARCH $") == [1, 5]
    assert not box.ok("UID SORT RETURN (SAVE) (DATE) UTF-8 FLAGGED").find(rb"S(EARCH|ORT)")
    assert numbers(box, "SORT (ARRIVAL) UTF-8 $") == [4, 2]
    box.bad("SORT RETURN (PARTIAL 1:2) (SUBJECT) UTF-8 ALL")
    box.bad("SORT RETURN (MIN (SUBJECT) UTF-8 ALL")


def test_many(c):
    """More rows than are sorted at once, by COPY of some; equal ones stay in the mailbox's order."""
    for i in range(8):
        c.append("INBOX", raw(i, "s%d" % (i * 5 % 8)))
    c.select("INBOX")
    for _ in range(9):
        c.ok("COPY 1:* INBOX")
    total = 8 * 2**9
    assert c.select("INBOX") == total
    expected = [n for s in range(8) for n in range(1, total + 1) if ((n - 1) % 8) * 5 % 8 == s]
    assert numbers(c, "SORT (SUBJECT) UTF-8 ALL") == expected
    assert numbers(c, "UID SORT (REVERSE SUBJECT DATE) UTF-8 ALL")[: total // 8] == [n for n in range(1, total + 1) if ((n - 1) % 8) * 5 % 8 == 7]
    m = c.ok("THREAD REFS UTF-8 ALL").one(rb"^\* THREAD (.*)$")
    assert len(re.findall(rb"\d+", m.group(1))) == total


def test_thread(c):
    mail = [
        ("Lunch", "1 Jan 2026 10:00:00 +0000", ""),
        ("Re: Lunch", "1 Jan 2026 12:00:00 +0000", "References: <m1@x>\r\n"),
        ("Re: Lunch", "1 Jan 2026 11:00:00 +0000", "In-Reply-To: <\"m1\"@x> from somebody <z@x>\r\n"),
        ("Budget", "2 Jan 2026 10:00:00 +0000", ""),
        ("re: lunch", "1 Jan 2026 13:00:00 +0000", "References:\r\n <m1@x>\r\n <m2@x>\r\n"),
        ("Fwd: BUDGET", "3 Jan 2026 10:00:00 +0000", ""),
        ("Other", "3 Jan 2026 11:00:00 +0000", "References: <gone@x>\r\n"),
        ("Another", "3 Jan 2026 12:00:00 +0000", "References: <gone@x>\r\n"),
    ]
    for i, (subject, date, headers) in enumerate(mail):
        c.ok(['APPEND INBOX "0%d-Mar-2026 00:00:00 +0000" ' % (9 - i), raw(i + 1, subject, date=date, headers=headers)])
    c.select("INBOX")

    def thread(arguments):
        return c.ok(arguments).one(rb"^\* THREAD (.*)$").group(1).decode()

    assert thread("THREAD REFERENCES UTF-8 ALL") == "(1 (3)(2 5))(4 6)((7)(8))"
    assert thread("THREAD REFS UTF-8 ALL") == "((7)(8))(6)(4)(1 (3)(2 5))"
    assert thread("THREAD ORDEREDSUBJECT US-ASCII ALL") == "(1 (3)(2)(5))(4 6)(7)(8)"
    assert c.ok("THREAD REFERENCES UTF-8 SUBJECT nowhere").untagged == [b"* THREAD"]  # no blank behind it
    # messages that do not match are as if they were not there
    assert thread("THREAD REFERENCES UTF-8 NOT 1 NOT 8") == "((3)(2 5))(4 6)(7)"
    c.ok("STORE 1 +FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    assert thread("UID THREAD REFS UTF-8 UID 4:*") == "((7)(8))(6)(5)(4)"
    for bad in ("THREAD", "THREAD NONSENSE UTF-8 ALL", "THREAD REFS UTF-8", "THREAD REFS UTF-8 FOO", "THREAD RETURN () REFS UTF-8 ALL"):
        c.bad(bad)
    assert "BADCHARSET" in c.no("THREAD REFS X-UNHEARD-OF ALL").text


def test_announced_words(c):
    words = set(c.ok("CAPABILITY").one(rb"^\* CAPABILITY (.*)$").group(1).decode().split())
    assert {"ESEARCH", "ESORT", "I18NLEVEL=1", "SEARCHRES", "SORT", "SORT=DISPLAY", "THREAD=ORDEREDSUBJECT",
            "THREAD=REFERENCES", "THREAD=REFS", "WITHIN"} <= words  # fmt: skip
    assert not {"CONTEXT=SEARCH", "CONTEXT=SORT"} & words


def test_suppressed(make_imapd):
    words = "ESORT SORT=DISPLAY THREAD=REFS WITHIN SEARCHRES"
    with make_imapd(conf={"suppress_capabilities": words}).imap("fred") as s:
        s.append("INBOX", message())
        s.select("INBOX")
        for bad in ("SORT RETURN (MIN) (SUBJECT) UTF-8 ALL", "SORT (DISPLAYTO) UTF-8 ALL", "THREAD REFS UTF-8 ALL", "SEARCH OLDER 5",
                    "SEARCH RETURN (SAVE) ALL"):  # fmt: skip
            s.bad(bad)
        s.ok("SORT (SUBJECT) UTF-8 ALL")
        s.ok("THREAD REFERENCES UTF-8 ALL")
        s.ok("SEARCH RETURN (MIN) ALL")
