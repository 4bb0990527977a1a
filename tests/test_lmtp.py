"""lmtpd and lmtpproxyd: delivery, recipients, refusals, quota, dead backends, kills, the budget of syncs."""

import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from iatlas import net
from iatlas.clients import Imap, Lmtp, message
from iatlas.direct import wait_for
from iatlas.node import ADMIN, PASSWORD, PROXY


def make_user(node, name, *folders):
    node.add_user(name)
    with Imap(node.address).login(ADMIN) as c:
        c.ok("CREATE user/%s" % name)
        for f in folders:
            c.ok("CREATE user/%s/%s" % (name, f))


def inbox(address, user, mailbox="INBOX"):
    """The messages of a mailbox, whole."""
    with Imap(address).login(user) as c:
        c.select(mailbox)
        return [c.body(u) for u in c.uids()]


def codes(replies):
    return [r[0] for r in replies]


def raw(address, *lines, port=net.LMTP):
    """Sends lines one by one and returns every reply's first line, the greeting first."""
    with socket.create_connection((address, port), 30) as s:
        f = s.makefile("rwb")
        replies = [f.readline()]
        for line in lines:
            f.write(line + b"\r\n")
            f.flush()
            reply = f.readline()
            replies.append(reply)
            while reply[3:4] == b"-":
                reply = f.readline()
        return [r.decode().rstrip() for r in replies]


# ---- one server ----


def test_delivery(server):
    make_user(server, "fred")
    data = message("one", body=".dot\r\n..two\r\nend\r\n")
    with Lmtp(server.address) as c:
        assert codes(c.deliver("me@example.org", ["fred"], data)) == [250]
    (got,) = inbox(server.address, "fred")
    head, rest = got.split(b"From: ", 1)
    assert b"From: " + rest == data
    assert head.startswith(b"Return-Path: <me@example.org>\r\nReceived: from client.example.org")
    assert b"with LMTP;" in head


def test_lhlo(server):
    with Lmtp(server.address) as c:
        assert {"pipelining", "8bitmime", "smtputf8", "size", "enhancedstatuscodes", "ignorequota"} <= set(c.esmtp_features)
        assert "auth" not in c.esmtp_features  # lmtpd -a: nothing to prove
        code, text = c.docmd("NOOP")
        assert (code, text[:5]) == (250, b"2.0.0")


def test_recipients(server):
    make_user(server, "fred", "lists", "lists/cyrus", "private")
    make_user(server, "jane")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("CREATE archive")
        c.ok("SETACL archive fred lrs")
        c.ok("SETACL user/fred/lists anyone p")
        c.ok("SETACL user/fred/lists/cyrus anyone p")
        c.ok("CREATE shared")
        c.ok("SETACL shared anyone p")
    rows = [
        ("fred", 250, "INBOX"),
        ("FRED@Example.Org", 250, "INBOX"),
        ("fred+lists", 250, "lists"),
        ("fred+lists/cyrus", 250, "lists/cyrus"),
        ("fred+nowhere", 250, "INBOX"),
        ("fred+private", 250, "INBOX"),  # nobody may post there
        ("fred@internal", 250, "INBOX"),
        ('"fred"@x', 250, "INBOX"),
        ("+shared", 250, None),
        ("+archive", 550, None),
        ("+nowhere", 550, None),
        ("nobody", 550, None),
        ("nobody+lists", 550, None),
        ("fr%ed", 550, None),
    ]
    with Lmtp(server.address) as c:
        for i, (rcpt, code, mailbox) in enumerate(rows):
            (reply,) = c.deliver("", [rcpt], message("row %d" % i))
            assert reply[0] == code, (rcpt, reply)
            if mailbox is not None:
                assert b"Subject: row %d\r\n" % i in inbox(server.address, "fred", mailbox)[-1], rcpt
        assert b"5.1.1" in c.deliver("", ["nobody"], b"x\r\n")[0][1]


def test_fuzzy_and_catchall(make_server):
    server = make_server(conf={"lmtp_fuzzy_mailbox_match": "yes", "lmtp_catchall_mailbox": "post"})
    make_user(server, "fred", "lists")
    make_user(server, "post")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("SETACL user/fred/lists anyone p")
    with Lmtp(server.address) as c:
        got = c.deliver("", ["fred+lists/a/b", "fred+other/x", "nobody", "nobody+lists"], message("stray"))
        assert codes(got) == [250] * 4
    assert [len(inbox(server.address, "fred", m)) for m in ("lists", "INBOX")] == [1, 1]
    assert len(inbox(server.address, "post")) == 1


def test_posting_as_somebody(server):
    """The right p of whom AUTH= names."""
    make_user(server, "fred", "lists")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("SETACL user/fred/lists jane p")
    args = ("deliver", "-m", "lists", "fred")
    assert server.command(*args, input=message("anybody").decode()).returncode == 0
    assert server.command("deliver", "-a", "jane", *args[1:], input=message("jane").decode()).returncode == 0
    assert b"Subject: jane" in inbox(server.address, "fred", "lists")[0]
    assert b"Subject: anybody" in inbox(server.address, "fred")[0]


def test_answers_by_recipient(server):
    for name in ("a", "b", "c"):
        make_user(server, name)
    with Lmtp(server.address) as c:
        got = codes(c.deliver("me@x", ["a", "nobody", "b", "c+x"], message("all")))
    assert got == [250, 550, 250, 250]
    for name in ("a", "b", "c"):
        assert len(inbox(server.address, name)) == 1


def test_duplicates(server):
    make_user(server, "fred")
    make_user(server, "jane")
    data = message("once")
    without_id = re.sub(rb"Message-ID:.*\r\n", b"", data)
    with Lmtp(server.address) as c:
        # two recipients that mean one mailbox; the same message again; one without a Message-ID
        assert codes(c.deliver("", ["fred", "fred+x", "jane"], data)) == [250, 250, 250]
        assert codes(c.deliver("", ["fred"], data)) == [250]
        assert codes(c.deliver("", ["jane"], without_id)) == [250]
        assert codes(c.deliver("", ["jane"], without_id)) == [250]
    assert len(inbox(server.address, "fred")) == 1
    assert len(inbox(server.address, "jane")) == 3



def test_duplicates_that_are_wanted(server):
    """The annotation duplicatedeliver of a mailbox: there the same message comes as often as it is sent."""
    make_user(server, "fred")
    data = message("again")
    with Lmtp(server.address) as lmtp, Imap(server.address).login("fred") as c:
        for wanted, count in (("false", 1), ("true", 3), ("NIL", 3)):
            value = wanted if wanted == "NIL" else '"%s"' % wanted
            c.ok("SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/duplicatedeliver %s)" % value)
            for _ in range(2):
                assert codes(lmtp.deliver("a@example.org", ["fred"], data)) == [250]
            assert len(inbox(server.address, "fred")) == count


def test_quota(server):
    make_user(server, "fred")
    make_user(server, "jane")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("SETQUOTA user/fred (STORAGE 1)")
    with Lmtp(server.address) as c:
        big = message("big", body="x" * 70 + "\r\n" * 1000)
        assert codes(c.deliver("", ["fred"], big)) == [250]  # not over it yet
        replies = c.deliver("", ["fred", "jane"], message("more"))
        assert codes(replies) == [452, 250] and b"4.2.2" in replies[0][1]
        assert c.docmd("MAIL FROM:<>")[0] == 250
        assert c.docmd("RCPT TO:<fred> IGNOREQUOTA")[0] == 250
        assert c.docmd("DATA")[0] == 354
        c.send(message("ignored") + b".\r\n")
        assert c.getreply()[0] == 250
    assert len(inbox(server.address, "fred")) == 2


def test_quota_strict(make_server):
    server = make_server(conf={"lmtp_strict_quota": "yes", "lmtp_over_quota_perm_failure": "yes"})
    make_user(server, "fred")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("SETQUOTA user/fred (STORAGE 1)")
    with Lmtp(server.address) as c:
        assert c.docmd("MAIL FROM:<> SIZE=3000")[0] == 250
        assert c.docmd("RCPT TO:<fred>")[0] == 552
        c.docmd("RSET")
        assert codes(c.deliver("", ["fred"], message("big", body="x" * 70 + "\r\n" * 1000))) == [552]
        assert codes(c.deliver("", ["fred"], message("small"))) == [250]


def test_bytes(server):
    """NULs are refused; bare line ends become CRLF and end nothing."""
    make_user(server, "fred")
    with Lmtp(server.address) as c:
        assert codes(c.deliver("", ["fred"], message("nul", body="a\0b\r\n"))) == [554]
        data = b"Subject: smuggled\r\n\r\na\n.\nMAIL FROM:<evil>\n.\r\nb\rc\r\n"
        assert c.docmd("MAIL FROM:<>")[0] == 250
        assert c.docmd("RCPT TO:<fred>")[0] == 250
        assert c.docmd("DATA")[0] == 354
        c.send(data + b".\r\n")
        assert c.getreply()[0] == 250
        assert c.docmd("NOOP")[0] == 250
    (got,) = inbox(server.address, "fred")
    assert got.endswith(b"\r\n\r\na\r\n.\r\nMAIL FROM:<evil>\r\n.\r\nbc\r\n")


def test_header(server):
    """Return-Path fields of the message's own are left out, 8-bit characters become X."""
    make_user(server, "fred")
    data = message("Grüße", "hällo\r\nReturn-Path: kept\r\n", headers="Return-path: <x@y>\r\n more\r\nX: y\r\n")
    with Lmtp(server.address) as c:
        assert codes(c.deliver("me@example.org", ["fred"], data)) == [250]
    (got,) = inbox(server.address, "fred")
    head, body = got.split(b"\r\n\r\n", 1)
    assert head.startswith(b"Return-Path: <me@example.org>\r\n") and head.lower().count(b"return-path") == 1
    assert b"\r\nSubject: GrXXXXe\r\n" in head and head.endswith(b"\r\nX: y") and body == data.split(b"\r\n\r\n", 1)[1]


def test_header_left_alone(make_server):
    server = make_server(conf={"munge8bit": "no"})
    make_user(server, "fred")
    with Lmtp(server.address) as c:
        assert codes(c.deliver("", ["fred"], message("Grüße"))) == [250]
    assert "\r\nSubject: Grüße\r\n".encode() in inbox(server.address, "fred")[0]


def test_header_refused(make_murder):
    """reject8bit, here and at the frontend; what came as SMTPUTF8 may have it."""
    murder = make_murder(backends=1, conf={"reject8bit": "yes", "postuser": "bb", "lmtp_catchall_mailbox": "post"})
    for user in ("fred", "post"):
        murder.add_user(user, 0)
    with murder.imap(ADMIN) as c:
        c.ok("CREATE lists")
        c.ok("SETACL lists anyone p")
        c.ok("SETACL lists %s lrs" % ADMIN)
    with murder.lmtp() as c:
        got = c.deliver("", ["fred", "post"], message("Grüße"))
        assert codes(got) == [554, 554] and got[0][1].startswith(b"5.6.0")
        assert utf8_mail(c, "fred") == (250, "2.1.5")
        # who posts to a shared folder, and who does not exist
        got = c.deliver("", ["bb+lists", "BB+Lists", "nobody+x", "+nowhere", "fred", "noone"], message("plain"))
        assert codes(got) == [250, 550, 250, 550, 250, 250]
    check_utf8(inbox(murder.fe[0].address, "fred")[0])
    assert [len(inbox(murder.fe[0].address, u)) for u in ("fred", "post")] == [2, 1]
    assert b"Subject: plain" in inbox(murder.fe[0].address, ADMIN, "lists")[0]


def utf8_mail(c, recipient):
    """The answer to a message whose envelope and header are UTF-8."""
    c.command_encoding = "utf-8"
    assert c.docmd("MAIL FROM:<jörg@example.org> SMTPUTF8 BODY=8BITMIME")[0] == 250
    code, text = c.docmd("RCPT TO:<%s>" % recipient)
    if code == 250:
        c.docmd("DATA")
        c.send(message("Grüße", "hällo\r\n") + b".\r\n")
        code, text = c.getreply()
    return code, text[:5].decode()


def check_utf8(got):
    assert got.startswith("Return-Path: <jörg@example.org>\r\n".encode())
    assert b"with UTF8LMTP;" in got and "Subject: Grüße\r\n".encode() in got and got.endswith("hällo\r\n".encode())


def test_smtputf8(server):
    make_user(server, "fred", "&ANw-bung")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("SETACL user/fred/&ANw-bung anyone p")
    with Lmtp(server.address) as c:
        assert utf8_mail(c, "fred") == (250, "2.1.5")
        assert utf8_mail(c, "fred+Übung") == (250, "2.1.5")
        assert utf8_mail(c, "jörg")[0] == 550
    check_utf8(*inbox(server.address, "fred"))
    check_utf8(*inbox(server.address, "fred", "&ANw-bung"))


def test_size_limit(make_server):
    server = make_server(conf={"maxmessagesize": "4096"})
    make_user(server, "fred")
    with Lmtp(server.address) as c:
        assert c.esmtp_features["size"] == "4096"
        assert c.docmd("MAIL FROM:<> SIZE=5000")[0] == 552
        assert codes(c.deliver("", ["fred"], message("big", body="x" * 70 + "\r\n" * 10000))) == [552]
        assert codes(c.deliver("", ["fred"], message("small"))) == [250]
    assert len(inbox(server.address, "fred")) == 1


def test_syntax(server):
    rows = [
        (b"MAIL FROM:<a@b>", "250"),
        (b"MAIL FROM:<a@b>", "503"),
        (b"DATA", "503"),
        (b"RCPT TO:<>", "501"),
        (b"RCPT TO:fred", "501"),
        (b"RCPT TO:<fred> FOO=1", "555"),
        (b"RSET", "250"),
        (b"RCPT TO:<fred>", "503"),
        (b"mail from: <a@b> body=8bitmime size=10 auth=<>", "250"),
        (b"RSET", "250"),
        (b"MAIL FROM:<a@b> BODY=9BIT", "501"),
        (b"MAIL FROM:<a@b> SIZE=x", "501"),
        (b"MAIL FROM:<a@b> FOO", "555"),
        (b"MAIL FROM:<a@b>x", "501"),
        (b"MAIL FROM:a@b", "501"),
        (b"MAIL FROM:<\xc3\xbc@b>", "550"),
        (b"MAIL FROM:<\xff@b> SMTPUTF8", "550"),
        (b"MAIL FROM:<a@b> SMTPUTF8=yes", "501"),
        (b"MAIL FROM:<a@b> SMTPUTF8", "250"),
        (b"RCPT TO:<\xff>", "553"),
        (b"RSET", "250"),
        (b"EHLO x", "500"),
        (b"LHLO", "501"),
        (b"FOO", "500"),
        (b"", "500"),
        (b"AUTH PLAIN", "503"),
        (b"STARTTLS", "503"),
        (b"VRFY fred", "252"),
        (b"QUIT", "221"),
    ]
    replies = raw(server.address, b"LHLO x", *[r[0] for r in rows])
    assert replies[0].startswith("220 ")
    for (line, code), reply in zip(rows, replies[2:]):
        assert reply[:3] == code, (line, reply)


def test_errors_end_the_session(server):
    with socket.create_connection((server.address, net.LMTP), 30) as s:
        s.sendall(b"FOO\r\n" * 100)
        data = b""
        while True:
            piece = s.recv(4096)
            if not piece:
                break
            data += piece
    assert data.splitlines()[-1].startswith(b"421 ")


def test_recipient_limit(server):
    make_user(server, "fred")
    with Lmtp(server.address) as c:
        c.send(b"MAIL FROM:<>\r\n" + b"RCPT TO:<fred>\r\n" * 1001)
        replies = [c.getreply()[0] for _ in range(1002)]
        assert replies == [250] * 1001 + [452]
        assert c.docmd("DATA")[0] == 354
        c.send(message("thousand") + b".\r\n")
        assert [c.getreply()[0] for _ in range(1000)] == [250] * 1000
    assert len(inbox(server.address, "fred")) == 1


def test_long_line(server):
    with socket.create_connection((server.address, net.LMTP), 30) as s:
        s.sendall(b"MAIL FROM:<" + b"x" * 9000)
        assert s.makefile("rb").read().splitlines()[-1].startswith(b"421 ")


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_farewell(server, sig):
    """An idle client and one in the middle of a message hear 421 when the server stops."""
    make_user(server, "fred")
    idle = socket.create_connection((server.address, net.LMTP), 30)
    busy = socket.create_connection((server.address, net.LMTP), 30)
    busy.sendall(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<fred>\r\nDATA\r\nSubject: half\r\n")
    files = [idle.makefile("rb"), busy.makefile("rb")]
    files[0].readline()
    while not files[1].readline().startswith(b"354"):
        pass
    began = time.monotonic()
    server.stop(sig)
    assert time.monotonic() - began < 30
    for f in files:
        assert f.read().startswith(b"421 ")
    server.start()
    assert inbox(server.address, "fred") == []


def test_pipelining_byte_by_byte(server):
    """Everything in one go, and cut into single bytes."""
    make_user(server, "fred")
    for i, step in enumerate((100000, 1)):
        text = (
            b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<fred>\r\nRCPT TO:<nobody>\r\nDATA\r\n"
            + message("cut %d" % i)
            + b".\r\nRSET\r\nQUIT\r\n"
        )
        with socket.create_connection((server.address, net.LMTP), 30) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(text), step):
                s.sendall(text[at : at + step])
            f = s.makefile("rb")
            final = [line[:3] for line in f if line[3:4] == b" "]
        assert final == [b"220", b"250", b"250", b"250", b"550", b"354", b"250", b"250", b"221"]
    assert len(inbox(server.address, "fred")) == 2


def test_authentication(make_server):
    """Without -a a TCP client authenticates, as one of admins or lmtp_admins."""
    server = make_server(conf={"lmtp_admins": "mta"})
    server.stop()
    server.services["lmtp"] = 'cmd="lmtpd" listen="%s:%d" prefork=0' % (server.address, net.LMTP)
    server.start()
    server.add_user("mta")
    make_user(server, "fred")
    with Lmtp(server.address) as c:
        assert "PLAIN" in c.esmtp_features["auth"]
        assert c.docmd("MAIL FROM:<>")[0] == 430
        with pytest.raises(Exception):
            c.login("mta", "wrong", initial_response_ok=True)
    with Lmtp(server.address) as c:
        with pytest.raises(Exception):
            c.login("fred", "secret")  # right, but no administrator
    with Lmtp(server.address) as c:
        assert c.login("mta", "secret")[0] == 235
        assert codes(c.deliver("", ["fred"], message("in"))) == [250]
    assert len(inbox(server.address, "fred")) == 1


def test_unix_socket_and_deliver(server):
    make_user(server, "fred", "lists")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("SETACL user/fred/lists anyone p")
    with Lmtp(server.path("lmtp")) as c:
        assert codes(c.deliver("", ["fred"], message("socket"))) == [250]
    text = message("tool").replace(b"\r\n", b"\n").decode()
    assert server.command("deliver", "fred", input=text).returncode == 0
    assert server.command("deliver", "-m", "lists", "fred", input=message("folder").decode()).returncode == 0
    assert server.command("deliver", "nobody", input=text, check=False).returncode == 65
    got = inbox(server.address, "fred")
    assert len(got) == 2 and b"Subject: tool\r\n" in got[1]
    assert len(inbox(server.address, "fred", "lists")) == 1
    with Imap(server.address).login(ADMIN) as c:
        c.ok("SETQUOTA user/fred (STORAGE 0)")
    assert server.command("deliver", "fred", input=message("x").decode(), check=False).returncode == 75
    assert server.command("deliver", "-q", "fred", input=message("y").decode()).returncode == 0


def test_swaks(server):
    make_user(server, "fred")
    make_user(server, "jane")
    r = subprocess.run(
        ["swaks", "--protocol", "LMTP", "--server", server.address, "--port", str(net.LMTP)]
        + ["--to", "fred@x,jane@x", "--from", "me@x", "--h-Subject", "swaks"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert r.returncode == 0, r.stdout + r.stderr
    for user in ("fred", "jane"):
        assert b"Subject: swaks" in inbox(server.address, user)[0]


# ---- durability ----


def count_syncs(server, recipients, data):
    """The fsync and fdatasync calls of one delivery."""
    with Lmtp(server.address) as c:
        assert codes(c.deliver("", recipients, message("warm"))) == [250] * len(recipients)
        (pid,) = server.processes("lmtpd")
        trace = server.path("trace")
        s = subprocess.Popen(
            ["strace", "-f", "-o", trace, "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,msync", "-p", str(pid)],
            stderr=subprocess.PIPE,
        )
        while b"attached" not in s.stderr.readline():
            pass
        assert codes(c.deliver("", recipients, data)) == [250] * len(recipients)
        s.send_signal(signal.SIGINT)
        s.wait(30)
    with open(trace) as f:
        return len(re.findall(r"(?:fsync|fdatasync|msync|syncfs|sync_file_range)\(", f.read()))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_syncs(server, n):
    users = ["u%d" % i for i in range(n)]
    for u in users:
        make_user(server, u)
    assert count_syncs(server, users, message("counted")) == (2 if n == 1 else 2 + n)


def test_nothing_lost_by_kills(server):
    """lmtpd is killed while many deliver: what was acknowledged is there, once."""
    users = ["k1", "k2"]
    for u in users:
        make_user(server, u)
    acknowledged, lock, stop = set(), threading.Lock(), threading.Event()

    def work(who):
        n = 0
        while not stop.is_set():
            n += 1
            subject = "m-%d-%d" % (who, n)
            try:
                with Lmtp(server.address) as c:
                    replies = c.deliver("", users, message(subject, body="x" * 70 + "\r\n" * 50))
            except Exception:
                continue
            with lock:
                acknowledged.update((u, subject) for u, r in zip(users, replies) if r[0] == 250)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for _ in range(15):
        time.sleep(0.2)
        for pid in server.processes("lmtpd"):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    stop.set()
    for t in threads:
        t.join()
    assert len(acknowledged) > 20
    for u in users:
        subjects = [re.search(rb"Subject: (\S+)", m).group(1).decode() for m in inbox(server.address, u)]
        assert len(subjects) == len(set(subjects))
        assert {s for who, s in acknowledged if who == u} <= set(subjects)


# ---- the murder ----


def test_relay(murder):
    for i, name in enumerate(("u1", "u2", "u3")):
        murder.add_user(name, backend=i % 2)
    data = message("through", body=".stuffed\r\nline\r\n")
    with murder.lmtp() as c:
        got = c.deliver("me@example.org", ["u1", "u2", "nobody", "u1+sub", "u3@some.domain"], data)
        assert codes(got) == [250, 250, 550, 250, 250], got
        assert codes(c.deliver("", ["u2"], message("second"))) == [250]
    for name, n in (("u1", 1), ("u2", 2), ("u3", 1)):
        found = inbox(murder.fe[0].address, name)
        assert len(found) == n
        head, rest = found[0].split(b"From: ", 1)
        assert b"From: " + rest == data
        assert head.count(b"Return-Path:") == 1 and head.count(b"Received:") == 1


def test_relay_large(murder):
    """More than the spool keeps in memory, and than any buffer."""
    murder.add_user("u1", 0)
    murder.add_user("u2", 1)
    data = message("large", body="".join("line %d\r\n.dot\r\n" % i for i in range(200000)))
    with murder.lmtp() as c:
        assert codes(c.deliver("", ["u1", "u2"], data)) == [250, 250]
    for u in ("u1", "u2"):
        assert inbox(murder.fe[0].address, u)[0].endswith(data)


def test_new_mailbox_at_once(make_murder):
    """Mail for a mailbox made a moment ago, through a frontend that may not have heard of it."""
    murder = make_murder(frontends=2)
    for node in murder.nodes:
        node.add_user("fresh")
    with murder.imap(ADMIN) as c:
        c.ok("CREATE user/fresh %s" % murder.names[1])
    with murder.lmtp(1) as c:
        assert codes(c.deliver("", ["fresh"], message("early"))) == [250]


def test_dead_backend(murder):
    murder.add_user("u1", 0)
    murder.add_user("u2", 1)
    murder.be[1].stop()
    with murder.lmtp() as c:
        began = time.monotonic()
        got = c.deliver("", ["u1", "u2", "u1+x"], message("half"))
        assert codes(got) == [250, 451, 250] and b"4.4.3" in got[1][1]
        assert time.monotonic() - began < 30
    murder.be[1].start()
    deadline = time.monotonic() + 90
    with murder.lmtp() as c:
        while codes(c.deliver("", ["u2"], message("later"))) != [250]:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert len(inbox(murder.fe[0].address, "u2")) == 1


def test_hung_backend(make_murder):
    """A backend that accepts and says nothing costs its own recipients a 4xx after the limit."""
    murder = make_murder(conf={"lmtptxn_timeout": "10s", "client_timeout": "10s"})
    murder.add_user("u1", 0)
    murder.add_user("u2", 1)
    stopped = [p for p in murder.be[1].pids()]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        with murder.lmtp() as c:
            assert codes(c.deliver("", ["u1", "u2"], message("hung"))) == [250, 451]
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


class AsciiBackend(threading.Thread):
    """Takes what it is sent, but for SMTPUTF8, which it does not announce."""

    ANSWERS = {
        b"LHLO": b"250-old\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n",
        b"AUTH": b"235 in\r\n",
        b"DATA": b"354 go\r\n",
    }

    def __init__(self, address):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, net.LMTP))
        self.seen = []
        self.start()

    def run(self):
        sock, _ = self.listener.accept()
        f = sock.makefile("rwb", 0)
        f.write(b"220 old\r\n")
        for line in f:
            self.seen.append(line)
            word = line[:4].upper()
            if word == b"QUIT":
                return
            f.write(self.ANSWERS.get(word, b"250 2.0.0 ok\r\n"))
            while word == b"DATA":
                if f.readline() == b".\r\n":
                    f.write(b"250 2.0.0 ok\r\n")
                    break


def test_smtputf8_through_frontend(murder):
    """Passed on; refused for those whose server does not know it (RFC 6531 section 3.5), who get everything else."""
    murder.add_user("u1", 0)
    murder.add_user("u2", 1)
    murder.be[1].stop()
    old = AsciiBackend(murder.be[1].address)
    with murder.lmtp() as c:
        assert utf8_mail(c, "u1") == (250, "2.1.5")
        assert utf8_mail(c, "u2") == (550, "5.6.7")
        assert codes(c.deliver("me@example.org", ["u2"], message("plain"))) == [250]
    check_utf8(*inbox(murder.be[0].address, "u1"))
    old.listener.close()
    assert [line for line in old.seen if line.startswith(b"MAIL")] == [b"MAIL FROM:<me@example.org> AUTH=<>\r\n"]


def test_master_away(murder):
    """Known mailboxes get their mail; of others nothing final is said."""
    murder.add_user("u1", 0)
    murder.m.stop()
    with murder.lmtp() as c:
        assert codes(c.deliver("", ["u1", "nobody"], message("alone"))) == [250, 451]
    murder.m.start()
    deadline = time.monotonic() + 90
    with murder.lmtp() as c:
        while codes(c.deliver("", ["nobody"], b"x\r\n")) != [550]:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_over_quota_through_frontend(murder):
    murder.add_user("u1", 0)
    murder.add_user("u2", 1)
    with murder.imap(ADMIN) as c:
        c.ok("SETQUOTA user/u1 (STORAGE 0)")
    with murder.lmtp() as c:
        got = c.deliver("", ["u1", "u2"], message("full"))
        assert codes(got) == [452, 250] and b"4.2.2" in got[0][1]
        assert c.docmd("MAIL FROM:<>")[0] == 250
        assert c.docmd("RCPT TO:<u1> IGNOREQUOTA")[0] == 250
        assert c.docmd("DATA")[0] == 354
        c.send(message("ignored") + b".\r\n")
        assert c.getreply()[0] == 250


def test_backend_wants_authentication(murder):
    with Lmtp(murder.be[0].address) as c:
        assert c.docmd("MAIL FROM:<>")[0] == 430


def connections(address, port=net.LMTP):
    """TCP connections that lead to that port."""
    wanted = "%08X:%04X" % (struct.unpack("<I", socket.inet_aton(address))[0], port)
    with open("/proc/net/tcp") as f:
        return sum(1 for line in f if line.split()[1] == wanted and line.split()[3] == "01")


def test_connections_are_reused(murder):
    murder.add_user("u1", 0)
    with murder.lmtp() as c:
        for i in range(5):
            assert codes(c.deliver("", ["u1"], message("m%d" % i))) == [250]
        wait_for(lambda: connections(murder.be[0].address) == 1)
    for pid in murder.be[0].processes("lmtpd"):
        os.kill(pid, signal.SIGKILL)  # the resting connection dies unnoticed
    with murder.lmtp() as c:
        assert codes(c.deliver("", ["u1"], message("after"))) == [250]
    assert len(inbox(murder.fe[0].address, "u1")) == 6


def test_many_at_once(murder):
    """Sessions side by side, several recipients each: everything arrives, once, in every mailbox."""
    users = ["u1", "u2", "u3"]
    for i, u in enumerate(users):
        murder.add_user(u, backend=i % 2)
    failures = []

    def work(who):
        try:
            with murder.lmtp() as c:
                for n in range(10):
                    got = codes(c.deliver("", users, message("m-%d-%d" % (who, n))))
                    if got != [250, 250, 250]:
                        failures.append(got)
        except Exception as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    wanted = {"m-%d-%d" % (i, n) for i in range(8) for n in range(10)}
    for u in users:
        subjects = [re.search(rb"Subject: (\S+)", m).group(1).decode() for m in inbox(murder.fe[0].address, u)]
        assert len(subjects) == 80 and set(subjects) == wanted


def test_unified(murder):
    """A node that is frontend and backend delivers what is here and relays the rest."""
    murder.add_user("u1", 0)
    murder.add_user("u2", 1)
    node = murder.be[0]
    node.stop()
    node.conf.update(
        mupdate_config="unified",
        proxy_authname=PROXY,
        proxy_password=PASSWORD,
        serverlist=" ".join(murder.names),
    )
    node.services["mupdate"] = 'cmd="mupdate" listen="%s:%d" prefork=1' % (node.address, net.MUPDATE)
    node.start()
    with Lmtp(node.address) as c:
        assert c.login(PROXY, PASSWORD)[0] == 235
        got = c.deliver("me@x", ["u2", "u1", "nobody", "u2+x"], message("both"))
        assert codes(got) == [250, 250, 550, 250], got
        assert codes(c.deliver("", ["u2"], message("there"))) == [250]
        assert codes(c.deliver("", ["u1"], message("here"))) == [250]
    assert len(inbox(murder.be[0].address, "u1")) == 2
    assert len(inbox(murder.be[1].address, "u2")) == 2


def test_starttls(make_server, tmp_path):
    """STARTTLS, then AUTH; what LHLO offered before is offered anew."""
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    server = make_server(conf={"allowstarttls": "yes", "tls_server_cert": cert, "tls_server_key": key, "lmtp_admins": "mta"})
    server.stop()
    server.services["lmtp"] = 'cmd="lmtpd" listen="%s:%d" prefork=0' % (server.address, net.LMTP)
    server.start()
    server.add_user("mta")
    make_user(server, "fred")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with Lmtp(server.address) as c:
        assert "starttls" in c.esmtp_features
        c._host = "localhost"
        assert c.starttls(context=context)[0] == 220
        assert c.docmd("AUTH PLAIN")[0] == 503  # LHLO first
        assert c.ehlo("client.example.org")[0] == 250
        assert "starttls" not in c.esmtp_features
        assert c.login("mta", "secret")[0] == 235
        assert codes(c.deliver("", ["fred"], message("private"))) == [250]
    assert b"with LMTPSA;" in inbox(server.address, "fred")[0]
