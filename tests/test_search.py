"""SEARCH with its extensions: charsets (RFC 5255), ESEARCH (4731), SEARCHRES (5182), WITHIN (5032)."""

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
