"""Real mail (../shared/corpus, where it is): appended, fetched back byte for byte, and every part that BODYSTRUCTURE
names taken out by its section and compared with the bytes of the whole."""

import base64
import binascii
import os
import quopri
import re

import pytest
from iatlas.node import TOP

PLACES = [os.path.join(TOP, "..", "shared", "corpus"), os.environ.get("IATLAS_CORPUS", "")]
CORPUS = next((p for p in PLACES if p and os.path.isdir(p)), None)
pytestmark = pytest.mark.skipif(CORPUS is None, reason="no corpus of real mail beside this tree")


def messages(folder):
    """[(name, bytes with CRLF)]; what IMAP cannot carry (NUL) is left out."""
    found = []
    for name in sorted(os.listdir(os.path.join(CORPUS, folder))):
        with open(os.path.join(CORPUS, folder, name), "rb") as f:
            data = re.sub(rb"\r*\n", b"\r\n", f.read())
        if data and b"\0" not in data:
            found.append((name, re.sub(rb"\r(?!\n)", b"\r\n", data)))
    return found


# ---- reading answers ----

TOKEN = re.compile(rb'\(|\)|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([^\s()"]+?)(?=[\s()]|$)')


def parse(data):
    """Lists, bytes (strings), numbers and None (NIL) of one parenthesized answer."""
    stack, at = [[]], 0
    while at < len(data):
        if data[at : at + 1] == b" ":
            at += 1
            continue
        m = TOKEN.match(data, at)
        assert m, data[at : at + 80]
        at = m.end()
        if m.group(0) == b"(":
            stack.append([])
        elif m.group(0) == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif m.group(2) is not None:
            stack[-1].append(data[at : at + int(m.group(2))])
            at += int(m.group(2))
        elif m.group(1) is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", m.group(1)))
        else:
            word = m.group(3)
            stack[-1].append(None if word == b"NIL" else int(word) if word.isdigit() else word)
    assert len(stack) == 1
    return stack[0]


def fetch(c, n, items):
    """{item: value}, items as the server names them."""
    r = c.ok("FETCH %d (%s)" % (n, items))
    (answer,) = [u for u in r.untagged if b" FETCH (" in u]
    found, data = {}, answer[answer.index(b"(") + 1 : -1]
    at = 0
    while at < len(data):
        m = re.compile(rb"([A-Z0-9.]+(?:\[[^\]]*\](?:<\d+>)?)?) ").match(data, at)
        assert m, data[at : at + 80]
        at = value = m.end()
        depth = 0
        while at < len(data):
            t = TOKEN.match(data, at)
            assert t, data[at : at + 80]
            at = t.end() + (int(t.group(2)) if t.group(2) is not None else 0)
            depth += (t.group(0) == b"(") - (t.group(0) == b")")
            if depth == 0:
                break
            while data[at : at + 1] == b" ":
                at += 1
        (found[m.group(1).decode()],) = parse(data[value:at])
        at += data[at : at + 1] == b" "
    return found


# ---- what a structure says ----


def parts(structure, at=()):
    """(section, structure, is it below a message) of every part that is no multipart."""
    if isinstance(structure[0], list):
        children = [x for x in structure if isinstance(x, list)]
        for i, child in enumerate(structure):
            if not isinstance(child, list):
                break
            yield from parts(child, at + (i + 1,))
        assert children
        return
    here = at or (1,)
    yield here, structure
    if structure[0].upper() == b"MESSAGE" and structure[1].upper() == b"RFC822":
        below = structure[8]
        if isinstance(below[0], list):
            yield from parts(below, here)
        else:
            yield from parts(below, here + (1,))


def lines_of(data):
    return data.count(b"\n") + (len(data) > 0 and not data.endswith(b"\n"))


def check_part(c, n, section, structure, whole):
    name = ".".join(map(str, section))
    wanted = ["BODY.PEEK[%s]" % name, "BODY.PEEK[%s.MIME]" % name]
    is_message = structure[0].upper() == b"MESSAGE" and structure[1].upper() == b"RFC822"
    if is_message:
        wanted += ["BODY.PEEK[%s.HEADER]" % name, "BODY.PEEK[%s.TEXT]" % name]
    got = fetch(c, n, " ".join(wanted))
    data = got["BODY[%s]" % name]
    if data is None:
        data = b""
    assert len(data) == structure[6], (section, structure[:7])
    assert data in whole
    mime = got["BODY[%s.MIME]" % name] or b""
    assert mime in whole or mime == b"\r\n"
    if structure[0].upper() == b"TEXT":
        assert abs(lines_of(data) - structure[7]) <= 1, (section, structure[:8])
    if is_message:
        head, text = got["BODY[%s.HEADER]" % name] or b"", got["BODY[%s.TEXT]" % name] or b""
        assert head + text == data or head == data + b"\r\n", section
    if not is_message and len(section) > 1:
        assert mime + data in whole, section
    check_partial(c, n, name, data)
    check_binary(c, n, name, structure, data)


def check_partial(c, n, name, data):
    """From the beginning, across the end, behind it."""
    end = len(data)
    places = {0: end + 1, 3: 5, max(end - 1, 0): end + 5, end: 5, end + 5: 1}
    r = fetch(c, n, " ".join("BODY.PEEK[%s]<%d.%d>" % (name, *place) for place in places.items()))
    for offset, length in places.items():
        assert (r["BODY[%s]<%d>" % (name, offset)] or b"") == data[offset : offset + length], (name, offset)


def decoded(encoding, data):
    """What RFC 2045 makes of it; None: that is not for this test to say."""
    if encoding == b"BASE64":
        try:
            return base64.b64decode(data)
        except binascii.Error:
            return None
    if encoding == b"QUOTED-PRINTABLE":
        return quopri.decodestring(re.sub(rb"[ \t]+(?=\r\n|$)", b"", data))
    return data if encoding in (b"7BIT", b"8BIT", b"BINARY") else None


def check_binary(c, n, name, structure, data):
    """RFC 3516 gives the same without its transfer encoding, and says its size."""
    r = c.command("FETCH %d (BINARY.SIZE[%s] BINARY.PEEK[%s])" % (n, name, name))
    if r.status == "NO":
        assert r.text.startswith("[UNKNOWN-CTE]") and decoded(structure[5].upper(), data) is None, (name, r)
        return
    m = r.one(rb'BINARY\[[\d.]*\] (?:~?\{(\d+)\}\r\n|NIL|"((?:[^"\\]|\\.)*)")')
    got = re.sub(rb"\\(.)", rb"\1", m.group(2) or b"")
    if m.group(1):
        got = m.string[m.end() : m.end() + int(m.group(1))]
    want = decoded(structure[5].upper(), data)
    assert want is None or got == want, (name, structure[5])
    assert int(r.one(rb"BINARY.SIZE\[[\d.]*\] (\d+)").group(1)) == len(got)


@pytest.mark.parametrize("folder", ["lists", "odd"])
def test_real_mail(served, folder):
    mail = messages(folder)
    assert mail
    with served.imap("fred") as c:
        c.ok("ENABLE UTF8=ACCEPT")  # there are 8-bit headers among them
        for name, data in mail:
            r = c.command(["APPEND INBOX ", data])
            assert r.status == "OK", (name, r)
        assert c.select("INBOX") == len(mail)
        for n, (name, data) in enumerate(mail, 1):
            try:
                check_message(c, n, data)
            except AssertionError as e:
                raise AssertionError("%s: %s" % (name, e)) from e


def check_message(c, n, data):
    got = fetch(c, n, "RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] RFC822.HEADER")
    assert got["BODY[]"] == data and got["RFC822.SIZE"] == len(data)
    assert got["BODY[HEADER]"] + got["BODY[TEXT]"] == data
    assert got["RFC822.HEADER"] == got["BODY[HEADER]"]
    assert len(got["ENVELOPE"]) == 10
    found = list(parts(got["BODYSTRUCTURE"]))
    assert [s for s, _ in found] == [s for s, _ in parts(got["BODY"])]
    for section, structure in found:
        assert all(x is None or len(x) % 2 == 0 for x in structure[2:3])
        check_part(c, n, section, structure, data)
    last = found[-1][0]
    beyond = ".".join(map(str, last[:-1] + (last[-1] + 1,)))
    assert fetch(c, n, "BODY.PEEK[%s]" % beyond)["BODY[%s]" % beyond] in (None, b"")
