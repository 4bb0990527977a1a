"""COMPRESS=DEFLATE (RFC 4978)."""

import os
import time

import pytest

from iatlas.clients import message
from iatlas.desk import keep_telemetry, telemetry
from iatlas.fake import GREETING, Fake, put


def refuse_compress(s, tag, text):
    if text.startswith("COMPRESS"):
        s.no(tag)
        return True


def test_compress(served):
    text = message("m", body="".join("line %d of a text that repeats itself\r\n" % i for i in range(20000)))
    with served.connect() as c:
        assert b"COMPRESS" not in c.greeting
        assert "login first" in c.bad("COMPRESS DEFLATE").text
        c.login("fred")
        assert b"COMPRESS=DEFLATE" in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
        for wrong in ("COMPRESS", "COMPRESS LZ4", "COMPRESS DEFLATE DEFLATE", 'COMPRESS "DEFLATE"'):
            c.bad(wrong)
        c.ok("NOOP")
        c.compress()
        c.bad("COMPRESS DEFLATE")
        c.append("INBOX", text)
        assert c.select("INBOX") == 1
        for _ in range(3):
            assert c.body(1) == text
        # many commands in one packet, answered one by one although nothing new comes on the descriptor
        c.send("".join("n%d NOOP\r\n" % i for i in range(3000)))
        for i in range(3000):
            assert c.read_response() == b"n%d OK Completed" % i
        # parked: the deflater goes, the next answer begins with another
        for _ in range(3):
            time.sleep(0.05)
            c.ok("NOOP")
        # IDLE, and a command's literal in small pieces
        with served.imap("fred") as d:
            tag = c.start("IDLE")
            assert c.read_line() == b"+ idling"
            d.append("INBOX", message("two"))
            while not c.read_response().endswith(b" EXISTS"):
                pass
            c.send("DO")
            c.send("NE\r\n")
            assert c.finish(tag).status == "OK"
        c.send("l1 SELECT {5}\r\n")
        assert c.read_line().startswith(b"+")
        for byte in b"INBOX\r\n":
            c.send(bytes([byte]))
        assert c.finish("l1").status == "OK"
        c.ok("LOGOUT")


@pytest.mark.parametrize("damage", [b"plain NOOP\r\n", os.urandom(2000) + b"\xff" * 64], ids=["plain", "noise"])
def test_what_is_not_compressed(imapd, damage):
    """The connection ends, the server goes on."""
    with imapd.imap("fred") as c:
        c.compress()
        c.sock.sock.sendall(damage + b"\xff" * 32)
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                c.read_line()
    with imapd.imap("fred") as c:
        c.ok("NOOP")


def test_suppressed(make_imapd):
    imapd = make_imapd({"suppress_capabilities": "COMPRESS=DEFLATE"})
    with imapd.imap("fred") as c:
        assert b"COMPRESS=DEFLATE" not in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
        c.bad("COMPRESS DEFLATE")


def test_to_the_backend(make_murder):
    """proxy_compress: what passes between frontend and backend is compressed, the client's own connection is not."""
    murder = make_murder(conf={"proxy_compress": "yes"}, backends=1)
    murder.add_user("fred", 0)
    keep_telemetry(murder.be[0], "fred")
    text = message("m", body="aaaaaaaa" * 5000 + "\r\n")
    with murder.imap("fred") as c:
        c.append("INBOX", text)
        c.select("INBOX")
        assert c.body(1) == text
    said = b"".join(telemetry(murder.be[0], "fred").values())
    assert b"Z01 COMPRESS DEFLATE" in said and b"Z01 OK" in said


def test_a_backend_that_does_not_want_to(make_murder):
    """Offered and refused: the connection goes on without."""
    murder = make_murder(conf={"proxy_compress": "yes"}, backends=1)
    fake = Fake(murder.network.address(), refuse_compress, GREETING.replace(b"IDLE", b"IDLE COMPRESS=DEFLATE"))
    try:
        murder.add_user("fred", mailbox=False)
        put(murder, fake, "user.fred")
        with murder.imap("fred") as c:
            assert c.select("INBOX") == 3
            assert fake.commands("^COMPRESS DEFLATE$")
            c.ok("FETCH 1 FLAGS")
    finally:
        fake.close()
