"""ManageSieve (RFC 5804): the users' scripts, on their server and through a frontend."""

import os
import re
import subprocess

import pytest

from iatlas import Imap, differences, net, node
from iatlas.direct import wait_for
from iatlas.node import ADMIN, PASSWORD
from iatlas.sieve import Sieve, plain, quoted
from iatlas.site import HOST

GOOD = 'require "fileinto";\r\nif header :contains "subject" "x" { fileinto "Work"; }\r\n'
BAD = 'require "fileinto";\r\nkeep;\r\nfrobnicate;\r\n'


@pytest.fixture
def user(site):
    return site.make_user()


@pytest.fixture
def sieve(site, user):
    with site.sieve() as c:
        yield c.login(user)


def server_of(site):
    """The node that has the scripts of a user on backend 1."""
    return site.murder.be[1] if site.murder else site.node


# ---- before the login ----


def test_capabilities(site, user):
    with site.sieve() as c:
        before = c.capabilities(c.greeting)
        assert before["IMPLEMENTATION"].startswith("iatlas") and before["VERSION"] == "1.0"
        assert "PLAIN" not in before["SASL"].split() and "STARTTLS" in before and "OWNER" not in before
        assert {"fileinto", "vacation", "include"} <= set(before["SIEVE"].split())
        assert before["EXTLISTS"] == "tag urn:ietf:params:sieve:addrbook" and {"extlists", "mboxmetadata", "servermetadata"} <= set(before["SIEVE"].split())
        assert not {"spamtest", "virustest"} & set(before["SIEVE"].split())
        assert before["NOTIFY"] == "mailto" and int(before["MAXREDIRECTS"]) > 0
        assert c.capabilities() == before
        secure = c.starttls()
        assert "PLAIN" in secure["SASL"].split() and "STARTTLS" not in secure
        assert c.authenticate(user).status == "OK"
        after = c.capabilities()
        assert after["OWNER"] == user and after["SIEVE"] == before["SIEVE"]
        assert "SASL" not in after and "STARTTLS" not in after


def test_login_by_rights(make_server, network):
    """loginuseacl, on a server that needs no list otherwise."""
    address = network.address()
    server = make_server(
        conf={"loginuseacl": "yes"},
        services={"sieve": 'cmd="timsieved" listen="%s:%d" prefork=0' % (address, net.SIEVE)},
    )
    server.add_user("fred", "bob")
    with Imap(server.address).login(ADMIN) as c:
        for user in ("fred", "bob"):
            c.ok("CREATE user/%s" % user)
        c.ok("SETACL user/fred bob lra")
    for who, whom, status in (("bob", "fred", "OK"), ("fred", "bob", "NO"), ("bob", ADMIN, "NO"), ("bob", "nobody", "NO")):
        with Sieve(address) as c:
            assert c.command('AUTHENTICATE "PLAIN" "%s"' % plain(who, authzid=whom)).status == status, (who, whom)
            if status == "OK":
                assert c.capabilities()["OWNER"] == whom


def test_states(site, user):
    with site.sieve() as c:
        for command in ("LISTSCRIPTS", 'GETSCRIPT "x"', "UNAUTHENTICATE", "XYZZY"):
            c.no(command)
        assert c.no('AUTHENTICATE "PLAIN" "%s"' % plain(user)).code == "ENCRYPT-NEEDED"
        c.starttls()
        c.no("STARTTLS")
        assert c.authenticate(user, "wrong").status == "NO"
        c.send('AUTHENTICATE "PLAIN"\r\n')
        assert c.words() == [""]
        assert c.command('"*"').status == "NO"
        c.send('AUTHENTICATE "PLAIN"\r\n')
        assert c.words() == [""]
        c.send("{%d+}\r\n%s\r\n" % (len(plain(user)), plain(user)))
        assert c.answer().status == "OK"
        c.no('AUTHENTICATE "PLAIN" "%s"' % plain(user))
        assert c.ok('NOOP "a \\"tag\\""').code == 'TAG "a \\"tag\\""'
        assert c.ok("NOOP").code is None
        c.ok("LOGOUT")
        with pytest.raises(EOFError):
            c.words()


def test_unauthenticate(site, user):
    """RFC 5804 2.14.1, where the scripts are; a frontend's client has a connection of his own to lose."""
    with site.sieve() as c:
        c.login(user)
        has = differences.has("ManageSieve UNAUTHENTICATE", site.murder is not None)
        assert ("UNAUTHENTICATE" in c.capabilities()) == has
        assert c.put("mine", "keep;").status == "OK"
        if not has:
            assert c.command("UNAUTHENTICATE").status == "BYE"
            return
        c.ok("UNAUTHENTICATE")
        c.no("LISTSCRIPTS")
        assert "OWNER" not in c.capabilities() and "STARTTLS" not in c.capabilities()
        other = site.make_user()
        assert c.authenticate(other).status == "OK"
        assert c.capabilities()["OWNER"] == other and c.scripts() == {}


def test_pipelined(site, user):
    """Commands behind an AUTHENTICATE with an initial response, in one piece and byte by byte."""
    for piece in (10000, 1):
        with site.sieve() as c:
            c.starttls()
            data = 'AUTHENTICATE "PLAIN" "%s"\r\nNOOP "1"\r\nLISTSCRIPTS\r\nCHECKSCRIPT {5+}\r\nkeep;\r\nLOGOUT\r\n' % plain(user)
            for i in range(0, len(data), piece):
                c.send(data[i : i + piece])
            assert [c.answer().status for _ in range(5)] == ["OK"] * 5


def test_nonsense(site):
    with site.sieve() as c, pytest.raises((EOFError, ConnectionError)):
        for _ in range(100):
            r = c.command(b"GET / HTTP/1.0 \xff {7+}\r\n1234567")
            if r.status == "BYE":
                c.words()
            assert r.status == "NO"


# ---- scripts ----


def test_life_of_a_script(sieve):
    assert sieve.scripts() == {}
    assert sieve.put("a", GOOD).status == "OK"
    assert sieve.scripts() == {"a": False} and sieve.get("a") == GOOD
    sieve.ok('SETACTIVE "a"')
    assert sieve.put("b", "keep;").status == "OK"
    assert sieve.scripts() == {"a": True, "b": False}
    assert sieve.no('DELETESCRIPT "a"').code == "ACTIVE"
    sieve.ok('RENAMESCRIPT "a" "c"')
    assert sieve.scripts() == {"b": False, "c": True} and sieve.get("c") == GOOD
    assert sieve.no('RENAMESCRIPT "b" "c"').code == "ALREADYEXISTS"
    sieve.ok('SETACTIVE "b"')
    assert sieve.scripts() == {"b": True, "c": False}
    sieve.ok('DELETESCRIPT "c"')
    for _ in range(2):
        sieve.ok('SETACTIVE ""')
    sieve.ok('DELETESCRIPT "b"')
    assert sieve.scripts() == {}


def test_missing(sieve):
    for command in ('SETACTIVE "x"', 'GETSCRIPT "x"', 'DELETESCRIPT "x"', 'RENAMESCRIPT "x" "y"'):
        assert sieve.no(command).code == "NONEXISTENT"


def test_bad_script(sieve):
    """The line of the error is named; what was there stays."""
    assert sieve.put("a", GOOD).status == "OK"
    r = sieve.put("a", BAD)
    assert r.status == "NO" and "line 3" in r.text
    assert sieve.get("a") == GOOD
    assert sieve.put("b", BAD).status == "NO" and sieve.scripts() == {"a": False}
    assert "line 3" in sieve.no(b"CHECKSCRIPT {%d+}\r\n%s" % (len(BAD), BAD.encode())).text
    assert sieve.no('CHECKSCRIPT "require \\"nosuchthing\\";"').status == "NO"
    sieve.ok('CHECKSCRIPT "require \\"ihave\\"; if ihave \\"nosuchthing\\" { keep; }"')
    sieve.no(b"CHECKSCRIPT {5+}\r\nke\0p;")
    assert sieve.scripts() == {"a": False}


def test_names(sieve):
    """Whatever RFC 5804 1.6 lets a script be called, and nothing of it leaves the directory."""
    names = ["plain", 'qu"ote\\', "../../etc/x", ".hidden", "Grüße 📬", "x" * 128]
    for name in names[:5]:
        assert sieve.put(name, "keep;").status == "OK", name
    assert sorted(sieve.scripts()) == sorted(names[:5])
    sieve.ok(b"SETACTIVE " + quoted(names[2]))
    assert sieve.scripts()[names[2]]
    sieve.ok('DELETESCRIPT "plain"')
    assert sieve.put(names[5], "keep;").status == "OK" and sieve.get(names[5]) == "keep;"
    for name in (b'""', b'"a\x01b"', b'"\xff"', b'"a\x7f"', b"{3+}\r\na\nb", quoted("x" * 2000)):
        assert sieve.command(b"PUTSCRIPT " + name + b' "keep;"').status == "NO", name


def test_limits(site, sieve):
    """sieve_maxscripts (5) and sieve_maxscriptsize (32K) hold; the connection is in step after a literal too long."""
    for i in range(5):
        assert sieve.put("s%d" % i, "keep;").status == "OK"
    assert sieve.put("more", "keep;").code == "QUOTA/MAXSCRIPTS"
    assert sieve.no('HAVESPACE "more" 10').code == "QUOTA/MAXSCRIPTS"
    assert sieve.put("s0", "discard;").status == "OK"
    sieve.ok('HAVESPACE "s0" 32768')
    assert sieve.no('HAVESPACE "s0" 32769').code == "QUOTA/MAXSIZE"
    large = "#" + "x" * 32766 + "\n"
    assert sieve.put("s0", large).status == "OK" and sieve.get("s0") == large
    assert sieve.put("s1", large + "#").code == "QUOTA/MAXSIZE"
    assert sieve.put("s1", "#" * 3000000).code == "QUOTA/MAXSIZE"
    assert sieve.get("s1") == "keep;"
    sieve.no('HAVESPACE "s0" 4294967296')


def test_wrong_arguments(sieve):
    for command in ('HAVESPACE "x"', 'HAVESPACE "x" "1"', "PUTSCRIPT", 'PUTSCRIPT "x"', 'LISTSCRIPTS "x"', "SETACTIVE x",
                    'GETSCRIPT "x" "y"', 'NOOP "x" "y"', '"NOOP"', "", 'PUTSCRIPT "x" "a" "b" "c"'):  # fmt: skip
        assert sieve.command(command).status == "NO", command
    sieve.ok("NOOP")


def test_private(site, user, sieve):
    """Each has his own, and others' files cannot be read."""
    assert sieve.put("mine", "keep;").status == "OK"
    with site.sieve() as c:
        assert c.login(site.make_user()).scripts() == {}
    for top, _, files in os.walk(server_of(site).path("sieve")):
        assert os.stat(top).st_mode & 0o077 == 0
        for f in (os.path.join(top, f) for f in files):
            assert os.path.islink(f) or os.stat(f).st_mode & 0o077 == 0


# ---- through the frontend ----


def test_both_backends(site):
    """Who is where does not show."""
    if site.murder is None:
        pytest.skip("for a murder")
    for i in (0, 1):
        with site.sieve() as c:
            assert c.login(site.make_user(i)).put("s", "keep;").status == "OK"
        assert os.path.isdir(site.murder.be[i].path("sieve"))
    assert not os.path.exists(site.node.path("sieve"))


def test_server_away(site, user):
    if site.murder is None:
        pytest.skip("for a murder")
    here = site.make_user(0)
    site.murder.be[1].stop()
    try:
        with site.sieve() as c:
            c.starttls()
            r = c.authenticate(user)
            assert (r if r.status == "BYE" else c.answer()).code == "TRYLATER"
        with site.sieve() as c:
            assert c.login(here).scripts() == {}
    finally:
        site.murder.be[1].start()

    def is_back():
        with site.sieve() as c:
            c.starttls()
            return c.authenticate(user).status == "OK" and c.command("LISTSCRIPTS").status == "OK"

    wait_for(is_back)


def test_no_mailbox(site):
    """Nobody's scripts are nowhere: on a frontend it says so and ends."""
    if site.murder is None:
        pytest.skip("for a murder")
    for n in site.murder.nodes:
        n.add_user("ghost")
    with site.sieve() as c:
        c.starttls()
        assert c.authenticate("ghost").status == "OK"
        assert c.answer().status == "BYE"


def test_referral(make_murder):
    m = make_murder(backends=1, conf={"sieve_allowreferrals": "yes"})
    fe = m.fe[0]
    fe.services["sieve"] = 'cmd="timsieved" listen="%s:%d" prefork=0' % (fe.address, net.SIEVE)
    fe.stop()
    fe.start()
    for n in m.nodes:
        n.add_user("fred")
    with m.imap(ADMIN) as c:
        c.ok("CREATE user/fred " + m.names[0])
    with Sieve(fe.address) as c:
        r = c.authenticate("fred")
        assert (r.status, r.code) == ("BYE", 'REFERRAL "sieve://%s"' % m.be[0].address)
        with pytest.raises(EOFError):
            c.words()


# ---- real clients ----


@pytest.mark.peer
def test_sieve_connect(site, make_user):
    """Debian's sieve-connect, with STARTTLS and the certificate verified."""
    u = make_user()
    script = u.desk.write("good.siv", GOOD)
    bad = u.desk.write("bad.siv", BAD)
    u.desk.write("password", PASSWORD)
    argv = ["sieve-connect", "--server", HOST, "--port", "4190", "--user", u.name, "--tlscafile", u.ca, "--passwordfd", "0"]

    def connect(*more, code=0):
        with open(u.path("password")) as f:
            return u.run(*argv, *more, code=code, stdin=f)

    connect("--localsieve", script, "--remotesieve", "first", "--upload")
    connect("--remotesieve", "first", "--activate")
    assert re.search(r'"?first"?.*ACTIVE', connect("--list"))
    connect("--localsieve", u.path("back.siv"), "--remotesieve", "first", "--download")
    with open(u.path("back.siv"), newline="") as f:
        assert f.read().replace("\r\n", "\n") == GOOD.replace("\r\n", "\n")
    with pytest.raises(AssertionError, match="line 3"):
        connect("--localsieve", bad, "--remotesieve", "first", "--upload")
    connect("--deactivate")
    connect("--remotesieve", "first", "--delete")
    assert "first" not in connect("--list")


@pytest.mark.parametrize("mech", ["PLAIN", "SCRAM-SHA-256"])
def test_sivtest(site, user, mech):
    """SCRAM's last word goes with the OK."""
    r = subprocess.run([node.program("sivtest"), "-m", mech, "-a", user, "-u", user, "-w", PASSWORD, "-t", "", "-p", "4190",
                        site.address], input=b"LISTSCRIPTS\r\nLOGOUT\r\n", capture_output=True, env=node.environment(),
                       timeout=60)  # fmt: skip
    assert b"Authenticated." in r.stdout and r.returncode == 0, r.stdout + r.stderr
