"""Debian's imtest, lmtptest and mupdatetest against our daemons: every mechanism, TLS, security layers, scripts."""

import glob
import itertools
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from iatlas import Murder, fetched, message, net
from iatlas.node import ADMIN, PASSWORD
from iatlas.tls import Authority

ROOT = fetched.prefix("cyrus")
BIN = os.path.join(ROOT, "usr/lib/cyrus/bin")
MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
numbers = itertools.count()
LAYERS = [(0, 0), (1, 1), (0, 256), (128, 128)]  # least and most that the client takes

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not os.path.exists(BIN + "/imtest"), reason="no Cyrus: build-aux/fetch-peers cyrus"),
]


@pytest.fixture(scope="module")
def murder():
    """One whose nodes all know every mechanism, STARTTLS too, and let passwords pass in the clear."""
    directory, network, made = tempfile.mkdtemp(prefix="ia-"), net.Network(), None
    try:
        conf = Authority(os.path.join(directory, "ca")).certify("mail.example.test", "127.0.0.1")
        conf.update(allowstarttls="yes", sasl_mech_list=" ".join(MECHANISMS))
        made = Murder(directory, network, backends=1, conf=conf)
        yield made.start()
    finally:
        if made:
            made.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def user(murder):
    """Somebody new."""
    name = "user%d" % next(numbers)
    murder.add_user(name)
    return name


def run(program, *args, user, script="", folder=None, **more):
    """What it shows; script: what it sends once it is in, as -f where there is a folder for the file."""
    libraries = ":".join(glob.glob(ROOT + "/usr/lib/*-linux-gnu") + glob.glob(ROOT + "/lib/*-linux-gnu"))
    argv = [os.path.join(BIN, program), "-a", user, "-u", user, "-w", PASSWORD]
    if folder:
        path = os.path.join(folder, "script")
        with open(path, "w", newline="") as f:
            f.write(script)
        argv += ["-f", path]
    r = subprocess.run(
        [*argv, *args], input=script, env=dict(os.environ, LD_LIBRARY_PATH=libraries), capture_output=True, text=True, timeout=60, **more
    )
    return r.stdout + r.stderr


def at(node, port):
    return "-p", str(port), node.address


@pytest.mark.parametrize("tls", [(), ("-t", "")], ids=["plain", "tls"])
def test_imtest_mechanisms(murder, user, workdir, tls):
    """At a frontend and at a backend."""
    for node in (murder.fe[0], murder.be[0]):
        for mech in [*MECHANISMS, "login"]:
            out = run("imtest", "-m", mech, *tls, *at(node, net.IMAP), user=user, script="a SELECT INBOX\r\nb LOGOUT\r\n", folder=workdir)
            assert "Authenticated." in out and "a OK [READ-WRITE]" in out and "b OK" in out, (mech, out)
            assert ("TLS connection established" in out) == bool(tls), out
    assert all(node.log().count('mech="%s"' % m) >= 1 for node in (murder.fe[0], murder.be[0]) for m in MECHANISMS)


@pytest.mark.parametrize("least, most", LAYERS)
def test_imtest_layers(murder, user, workdir, least, most):
    """Much data through DIGEST-MD5's layers, both ways.  The LOGOUT is imtest's own at the end of its script: what it would send behind
    another one finds a closed connection, and the reset may take answers away that are still on their way."""
    lines = ["%07d" % i for i in range(20000)]
    body = message("layered", "\r\n".join(lines) + "\r\n").decode()
    script = "a APPEND INBOX {%d+}\r\n%s\r\nb SELECT INBOX\r\nc FETCH 1 BODY.PEEK[TEXT]\r\n" % (len(body), body)
    out = run("imtest", "-m", "DIGEST-MD5", "-k", str(least), "-l", str(most), *at(murder.fe[0], net.IMAP), user=user,
              script=script, folder=workdir)  # fmt: skip
    ssf = int(re.search(r"Security strength factor: (\d+)", out).group(1))
    assert least <= ssf <= most and (most < 2 or ssf >= 128)
    assert "a OK" in out and "c OK" in out
    assert re.findall(r"^\d{7}$", out.split("b OK")[1], re.M) == lines  # before it, what was sent is shown


def test_imtest_refused(murder, user):
    for args in (("-w", "wrong"), ("-m", "LOGIN", "-w", "wrong"), ("-m", "DIGEST-MD5", "-w", "wrong")):
        out = run("imtest", *args, *at(murder.fe[0], net.IMAP), user=user, script="a LOGOUT\r\n")
        assert "Authentication failed" in out, out


@pytest.mark.parametrize("mech", MECHANISMS)
def test_lmtptest(murder, user, mech):
    """At lmtpd, as an administrator of LMTP."""
    node = murder.be[0]
    body = message("by lmtptest").decode()
    script = "MAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\nQUIT\r\n" % (user, body)
    out = run("lmtptest", "-m", mech, *at(node, net.LMTP), user="murder", script=script)
    assert "Authenticated." in out and "250 2.1.5 Ok" in out, out
    with murder.imap(user) as c:
        assert c.select("INBOX") == 1


def test_lmtptest_tls(murder):
    out = run("lmtptest", "-t", "", "-m", "PLAIN", *at(murder.be[0], net.LMTP), user="murder", script="NOOP\r\nQUIT\r\n")
    assert "TLS connection established" in out and "Authenticated." in out and "250 2.0.0" in out, out


def test_sivtest(make_server, workdir):
    """All mechanisms.  With a layer of SASL's sivtest is no help behind the login: the capabilities that then come unasked
    (RFC 5804 2.1, not done by Cyrus) it takes for the answer to its own question; that they come, and the same ones, is seen."""
    server = make_server(conf={"sasl_mech_list": " ".join(MECHANISMS)})
    server.stop()
    server.services["sieve"] = 'cmd="timsieved" listen="%s:%d" prefork=0' % (server.address, net.SIEVE)
    server.start()
    server.add_user("fred")
    for mech in MECHANISMS:
        out = run("sivtest", "-m", mech, "-l", "0", *at(server, net.SIEVE), user="fred", script="LISTSCRIPTS\r\nLOGOUT\r\n")
        assert "Authenticated." in out and 'OK "Logout Complete"' in out, (mech, out)
    out = run("sivtest", "-m", "DIGEST-MD5", "-l", "1", *at(server, net.SIEVE), user="fred", script="LOGOUT\r\n", errors="replace")
    before, after = out.split("Authenticated.\r\n" if "Authenticated.\r\n" in out else "Authenticated.\n")
    assert "Security strength factor: 1" in after and "MITM" not in after, out
    sasl = re.search(r'"SASL" ".*"', before).group(0)
    assert sasl in after and '"OWNER" "fred"' in after, out


@pytest.mark.parametrize("tls", [(), ("-t", "")], ids=["plain", "tls"])
def test_mupdatetest(murder, user, tls):
    """At the master, which streams what is there."""
    for mech in MECHANISMS:
        script = 'X1 FIND "user.%s"\r\nX2 NOOP\r\nX3 LOGOUT\r\n' % user
        out = run("mupdatetest", "-m", mech, *tls, *at(murder.m, net.MUPDATE), user=ADMIN, script=script)
        assert "Authenticated." in out and 'X1 MAILBOX "user.%s"' % user in out and "X2 OK" in out and "X3" in out, (mech, out)
