"""imtest and its family: against our servers, played ones, and a real Cyrus."""

import os
import re
import socket
import subprocess
import threading
from base64 import b64encode

import pytest

from iatlas import Imap, message, net
from iatlas.direct import wait_for
from iatlas.node import ADMIN, PASSWORD, program
from iatlas.tls import Authority

PLAIN = b64encode(b"\0fred\0secret").decode()


def talk(name, address, port, *args, text="", check=0, user="fred"):
    """The lines that it prints; check: its exit code."""
    argv = [program(name), "-p", str(port), *(["-a", user, "-w", PASSWORD] if user else []), *args, address]
    r = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=120)
    assert r.returncode == check, r
    return r.stdout.splitlines()


# ---- IMAP ----


MECHS = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"]


def test_mechanisms(make_imapd):
    imapd = make_imapd(conf={"sasl_mech_list": " ".join(MECHS)})
    for mech in MECHS:
        lines = talk("imtest", imapd.address, imapd.port, "-m", mech, text="x NOOP\n")
        assert lines[0].startswith("S: * OK [CAPABILITY "), mech
        assert any(line.startswith("C: A01 AUTHENTICATE " + mech) for line in lines)
        assert lines.index("Authenticated.") < lines.index("C: Q01 LOGOUT") < lines.index("Connection closed.")
        assert any(line.startswith("x OK") for line in lines) and any(line.startswith("Q01 OK") for line in lines)
        lines = talk("imtest", imapd.address, imapd.port, "-m", mech, "-w", "wrong", check=77)
        assert any(line.startswith("Authentication failed.") for line in lines)
    lines = talk("imtest", imapd.address, imapd.port, "-m", "login")
    assert "C: <omitted>" in lines and "Authenticated." in lines and PASSWORD not in str(lines)
    talk("imtest", imapd.address, imapd.port, "-k", "1", "-m", "PLAIN", check=77)


@pytest.mark.peer  # the SASL library's DIGEST-MD5 leaks what it asks of OpenSSL, on both sides
def test_layer(make_imapd):
    imapd = make_imapd(conf={"sasl_mech_list": "PLAIN DIGEST-MD5"})
    assert "Security strength factor: 0" in talk("imtest", imapd.address, imapd.port, "-l", "0", "-m", "DIGEST-MD5")
    lines = talk("imtest", imapd.address, imapd.port, "-k", "56", text="x NOOP\n")
    assert "Security strength factor: 128" in lines and any(line.startswith("x OK") for line in lines)
    assert "Security strength factor: 0" in talk("imtest", imapd.address, imapd.port, "-o", "maximum_layer=0", "-m", "DIGEST-MD5")


def test_initial_response(imapd):
    lines = talk("imtest", imapd.address, imapd.port, "-m", "PLAIN")
    assert "C: A01 AUTHENTICATE PLAIN " + PLAIN in lines
    lines = talk("imtest", imapd.address, imapd.port, "-m", "PLAIN", "-i")
    assert lines.index("C: A01 AUTHENTICATE PLAIN") + 2 == lines.index("C: " + PLAIN)


def test_for_another(imapd):
    lines = talk("imtest", imapd.address, imapd.port, "-u", "bob", text="x SUBSCRIBE INBOX\n", user=ADMIN)
    assert any(line.startswith("x OK") for line in lines)
    with imapd.imap("bob") as c:
        assert c.list("", "*", "LSUB") == ["INBOX"]


def test_file(imapd, workdir):
    """-f: a whole session, with a message in it; CRLF stays, LF becomes it."""
    data = message(body="one\r\ntwo\r\n")
    path = os.path.join(workdir, "session")
    with open(path, "wb") as f:
        f.write(b"a APPEND INBOX {%d+}\r\n" % len(data) + data + b"\r\nb SELECT INBOX\nc LOGOUT\n")
    lines = talk("imtest", imapd.address, imapd.port, "-f", path)
    assert "* 1 EXISTS" in lines and any(line.startswith("c OK") for line in lines)
    with imapd.imap("fred") as c:
        c.select("INBOX")
        assert c.body(1) == data
    talk("imtest", imapd.address, imapd.port, "-f", path + "x", check=69)


def test_times(imapd):
    lines = talk("imtest", imapd.address, imapd.port, "-n", "3", "-v")
    assert lines.count("Authenticated.") == lines.count("C: Q01 LOGOUT") == 3
    assert lines[0] == "Connected to %s port %d." % (imapd.address, imapd.port) and "Mechanism: SCRAM-SHA-256" in lines


def test_socket(imapd, workdir):
    """-x: the user's part is at a socket, which nobody else may open."""
    path, pid = os.path.join(workdir, "sock"), os.path.join(workdir, "pid")
    for option in ("-x", "-X"):
        argv = [program("imtest"), "-p", str(imapd.port), "-a", "fred", "-w", PASSWORD, option, path, "-I", pid, imapd.address]
        p = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(path) and os.path.exists(pid) and open(pid).read().endswith("\n"))
        assert os.stat(path).st_mode & 0o077 == 0
        number = int(open(pid).read())
        assert (number == p.pid) == (option == "-x")
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.settimeout(60)
            s.sendall(b"x NOOP\ny LOGOUT\n")
            said = b""
            while (data := s.recv(4096)) != b"":
                said += data
        assert b"x OK" in said and b"y OK" in said
        assert p.wait(60) == 0
        wait_for(lambda: not os.path.exists("/proc/%d" % number))
        assert not os.path.exists(path)
        os.unlink(pid)


def test_tls(make_imapd, make_server, workdir):
    authority = Authority(os.path.join(workdir, "ca"))
    conf = authority.certify("mail", "127.0.0.1")
    imapd = make_imapd(conf={**conf, "allowstarttls": "yes"})
    lines = talk("imtest", imapd.address, imapd.port, "-t", "", text="x NOOP\n")
    tls = [line for line in lines if line.startswith("TLS connection established: TLSv1.3 with cipher ")]
    assert len(tls) == 1 and lines.count("C: C01 CAPABILITY") == 1
    assert re.search(r"Security strength factor: (128|256)$", "\n".join(lines), re.M) and any(line.startswith("x OK") for line in lines)
    server = make_server(conf=conf)
    server.services["imaps"] = 'cmd="imapd -s" listen="%s:%d" prefork=1' % (server.address, net.IMAPS)
    server.stop()
    server.start()
    lines = talk("imtest", server.address, net.IMAPS, "-s", user=ADMIN)
    assert lines[0].startswith("TLS connection established") and "Authenticated." in lines
    talk("imtest", server.address, net.IMAP, "-t", "", check=69)
    talk("imtest", server.address, net.IMAP, "-s", check=69)


def test_wrong_usage(imapd):
    for args in (["-z"], ["-c"], ["-Y"], ["-h"], ["-n", "0"], ["-o", "x"], ["-k", "many"], ["-f", "a", "-x", "b"]):
        r = subprocess.run([program("imtest"), *args, imapd.address], capture_output=True, text=True, timeout=60)
        assert r.returncode == 64 and r.stderr, args
    for name in ("pop3test", "lmtptest", "sivtest"):
        assert subprocess.run([program(name), "-q", "localhost"], capture_output=True, timeout=60).returncode == 64
    assert talk("imtest", "127.0.0.1", 1, check=69) == []
    talk("imtest", imapd.address, imapd.port, "-C", "/nonexistent", check=78)


# ---- LMTP ----


def test_lmtp(make_server):
    """Over TCP with a login, and over a Unix socket without."""
    server = make_server()
    server.conf["lmtp_admins"] = "mta"
    server.services["mta"] = 'cmd="lmtpd" listen="%s:2103" prefork=0' % server.address
    server.stop()
    server.start()
    server.add_user("mta", "fred")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("CREATE user/fred")
    session = "MAIL FROM:<a@example.org>\nRCPT TO:<fred>\nDATA\nSubject: by hand\n\nhello\n.\nQUIT\n"
    lines = talk("lmtptest", server.address, 2103, "-m", "PLAIN", text=session, user="mta")
    assert "C: LHLO lmtptest" in lines and "Authenticated." in lines and any(line.startswith("250 2.1.5") for line in lines)
    lines = talk("lmtptest", server.path("lmtp"), 0, text=session, user=None)
    assert "The server asks for no login." in lines and any(line.startswith("250 2.1.5") for line in lines)
    with Imap(server.address).login("fred") as c:
        assert c.select("INBOX") == 2


# ---- played servers ----


class Played(threading.Thread):
    """Expects lines and answers: [(expected, answer)...]; `said` is what it heard."""

    def __init__(self, address, greeting, *script):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        self.greeting, self.script, self.said = greeting, script, []
        self.start()

    def run(self):
        with self.listener, self.listener.accept()[0] as s, s.makefile("rwb") as f:
            f.write(self.greeting.replace("\n", "\r\n").encode())
            f.flush()
            for expected, answer in self.script:
                self.said.append(f.readline().decode().rstrip("\r\n"))
                if self.said[-1] != expected:
                    return
                f.write(answer.replace("\n", "\r\n").encode())
                f.flush()


LOGIN_USER, LOGIN_PASS = b64encode(b"fred").decode(), b64encode(b"secret").decode()
CAPA = ("CAPA", "+OK\nSASL PLAIN LOGIN\nUSER\n.\n")
NNTP = ("CAPABILITIES", "101 list\nVERSION 2\nSASL PLAIN LOGIN\nAUTHINFO USER SASL\n.\n")
SIEVE = '"IMPLEMENTATION" "x"\n"SASL" "PLAIN LOGIN"\n"VERSION" "1.0"\nOK\n'
CSYNC = "* SASL PLAIN LOGIN\n* OK x sync server\n"
PLAYS = [
    ("pop3test", "PLAIN", "+OK hello\n", [CAPA, ("AUTH PLAIN " + PLAIN, "+OK in\n"), ("QUIT", "+OK bye\n")]),
    ("pop3test", "LOGIN", "+OK hello\n", [
        CAPA, ("AUTH LOGIN", "+ VXNlcm5hbWU6\n"), (LOGIN_USER, "+ UGFzc3dvcmQ6\n"), (LOGIN_PASS, "+OK\n"), ("QUIT", "+OK\n"),
    ]),
    ("pop3test", "user", "+OK hello\n", [CAPA, ("USER fred", "+OK\n"), ("PASS secret", "+OK in\n"), ("QUIT", "+OK bye\n")]),
    ("nntptest", "PLAIN", "200 hello\n", [NNTP, ("AUTHINFO SASL PLAIN " + PLAIN, "281 in\n"), ("QUIT", "205 bye\n")]),
    ("nntptest", "LOGIN", "201 hello\n", [
        NNTP, ("AUTHINFO SASL LOGIN", "383 VXNlcm5hbWU6\n"), (LOGIN_USER, "383 UGFzc3dvcmQ6\n"), (LOGIN_PASS, "281 in\n"),
        ("QUIT", "205 bye\n"),
    ]),
    ("nntptest", "user", "200 hello\n", [
        NNTP, ("AUTHINFO USER fred", "381 more\n"), ("AUTHINFO PASS secret", "281 in\n"), ("QUIT", "205 bye\n"),
    ]),
    ("sivtest", "PLAIN", SIEVE, [('AUTHENTICATE "PLAIN" {%d+}' % len(PLAIN), ""), (PLAIN, "OK\n"), ("LOGOUT", "OK\n")]),
    ("sivtest", "LOGIN", SIEVE, [
        ('AUTHENTICATE "LOGIN"', '"VXNlcm5hbWU6"\n'), ("{%d+}" % len(LOGIN_USER), ""), (LOGIN_USER, "{12}\nUGFzc3dvcmQ6\n"),
        ("{%d+}" % len(LOGIN_PASS), ""), (LOGIN_PASS, 'OK "in"\n'), ("LOGOUT", "OK\n"),
    ]),
    ("synctest", "PLAIN", CSYNC, [("AUTHENTICATE PLAIN " + PLAIN, "OK in\n"), ("EXIT", "OK bye\n")]),
    ("synctest", "LOGIN", CSYNC, [
        ("AUTHENTICATE LOGIN", "+ VXNlcm5hbWU6\n"), (LOGIN_USER, "+ UGFzc3dvcmQ6\n"), (LOGIN_PASS, "OK\n"), ("EXIT", "OK\n"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize("name,mech,greeting,script", PLAYS, ids=["%s-%s" % p[:2] for p in PLAYS])
def test_played(network, name, mech, greeting, script):
    server = Played(network.address(), greeting, *script)
    address = server.listener.getsockname()[0]
    lines = talk(name, address, server.port, "-m", mech)
    server.join(60)
    assert server.said == [expected for expected, _ in script]
    assert "Authenticated." in lines and lines[-1] == "Connection closed."
    assert "secret" not in "\n".join(lines)


REFUSALS = [
    ("pop3test", "-ERR go away\n", [], 69),
    ("pop3test", "+OK\n", [CAPA, ("AUTH PLAIN " + PLAIN, "-ERR no\n")], 77),
    ("nntptest", "502 go away\n", [], 69),
    ("nntptest", "200\n", [NNTP, ("AUTHINFO SASL PLAIN " + PLAIN, "481 no\n")], 77),
    ("sivtest", 'BYE "busy"\n', [], 69),
    ("sivtest", SIEVE, [('AUTHENTICATE "PLAIN" {%d+}' % len(PLAIN), ""), (PLAIN, 'NO "no"\n')], 77),
    ("synctest", "* BYE\n", [], 69),
    ("synctest", CSYNC, [("AUTHENTICATE PLAIN " + PLAIN, "NO no\n")], 77),
    ("lmtptest", "421 busy\n", [], 69),
    ("imtest", "* BYE busy\n", [], 69),
    ("imtest", "", [], 69),
    ("imtest", "* OK hi\n", [("C01 CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=X-NEW\nC01 OK\n")], 77),
]


@pytest.mark.parametrize("name,greeting,script,code", REFUSALS)
def test_refused(network, name, greeting, script, code):
    server = Played(network.address(), greeting, *script)
    address = server.listener.getsockname()[0]
    talk(name, address, server.port, "-m", "PLAIN", check=code)
    server.join(60)
    assert server.said == [expected for expected, _ in script]


# ---- a real Cyrus ----


@pytest.mark.peer
def test_cyrus(make_mixed, workdir):
    """Every protocol of a Cyrus, plain and under TLS."""
    be = make_mixed(backends=("cyrus",), frontends=()).be[0]
    be.stop()
    with open(be.path("log"), "w"):
        pass  # a process that it had just started died of being stopped
    be.conf.update(Authority(os.path.join(workdir, "ca")).certify("be1.lab", be.address))
    be.conf["sasl_mech_list"] = "PLAIN LOGIN SCRAM-SHA-256 DIGEST-MD5"
    be.conf["sievedir"] = be.path("config", "sieve")
    os.makedirs(be.conf["sievedir"])
    be._own()
    subprocess.run(["chmod", "-R", "a+rX", workdir], check=True)
    ports = {"pop3d": 2110, "timsieved": 4190, "nntpd": 2119, "sync_server": 2105}
    for name, port in ports.items():
        be.services[name.replace("_", "")] = 'cmd="%s" listen="%s:%d" prefork=0' % (name, be.address, port)
    be.start()
    be.add_user("fred")
    with Imap(be.address).login(ADMIN) as c:
        c.ok("CREATE user/fred")
    served = [("imtest", net.IMAP, "fred"), ("pop3test", 2110, "fred"), ("sivtest", 4190, "fred"), ("nntptest", 2119, "fred"),
              ("synctest", 2105, ADMIN), ("lmtptest", net.LMTP, "murder")]  # fmt: skip
    for name, port, user in served:
        for args in (["-m", "PLAIN"], ["-m", "SCRAM-SHA-256", "-t", ""], ["-m", "DIGEST-MD5", "-k", "56"]):
            lines = talk(name, be.address, port, *args, user=user)
            assert "Authenticated." in lines, (name, args)
            factor = int(re.search(r"Security strength factor: (\d+)", "\n".join(lines)).group(1))
            assert (factor == 0) == (args == ["-m", "PLAIN"]), (name, args)
    for name, port in (("imtest", net.IMAP), ("nntptest", 2119)):
        text = {"imtest": "x NOOP\n", "nntptest": "DATE\n"}[name]
        lines = talk(name, be.address, port, "-q", text=text)
        assert any(re.match(r"x OK|111 ", line) for line in lines), name
