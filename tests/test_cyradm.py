"""cyradm against our servers, and against a real Cyrus beside the cyradm of Cyrus."""

import glob
import os
import re
import subprocess

import pytest

from iatlas import Imap, cyrus, differences, fetched, net
from iatlas.node import ADMIN, PASSWORD, TOP
from iatlas.pty import Terminal
from iatlas.tls import Authority

CYRADM = os.path.join(TOP, "perl", "cyradm")


def perl_has(*modules):
    tried = subprocess.run(["perl", *["-M" + m for m in modules], "-e1"], capture_output=True)
    return tried.returncode == 0


pytestmark = pytest.mark.skipif(
    not perl_has("Mail::IMAPClient", "Authen::SASL"), reason="perl's Mail::IMAPClient or Authen::SASL is missing"
)


def address(server):
    """host:port of a standalone imapd, a node, a murder's frontend."""
    node = server.murder.fe[0] if hasattr(server, "murder") else server
    return "%s:%d" % (node.address, getattr(node, "port", net.IMAP))


def cyradm(server, script, *args, user=ADMIN, password=PASSWORD):
    """The finished process; script: lines of standard input, the password before them."""
    argv = ["perl", "-w", CYRADM, "--norc", "--user", user, *args, server if isinstance(server, str) else address(server)]
    stdin = (password + "\n" if password else "") + script
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120)


def ok(server, script, *args, **kw):
    """What it printed."""
    r = cyradm(server, script, *args, **kw)
    assert (r.returncode, r.stderr) == (0, ""), r
    return r.stdout


# ---- what an administrator does ----


def test_a_day(served):
    """Every command that our servers have, directly and through a frontend."""
    assert ok(served, "cm user/zoe\ncm user/zoe/Sent\ncm 'user/zoe/two words'") == ""
    listed = ["user/zoe (\\HasChildren)", "user/zoe/Sent (\\HasNoChildren)", "user/zoe/two words (\\HasNoChildren)"]
    assert re.split(r" {2,}\n?", ok(served, "lm user/zoe*")) == [listed[0], listed[2], listed[1], ""]
    assert ok(served, "sam user/zoe fred read %s all\nsam user/zoe fred -s\nlam user/zoe" % ADMIN).split("\n") == [
        "zoe lrswipkxtecdan", "fred lr", "cyrus lrswipkxtecdan", "",
    ]  # fmt: skip
    assert "fred" not in ok(served, "dam user/zoe fred; lam user/zoe")
    assert ok(served, "sq user/zoe STORAGE 5000\nlq user/zoe\nlqr user/zoe/Sent") == " STORAGE 0/5000 (0%)\nuser/zoe STORAGE 0/5000 (0%)\n"
    assert ok(served, "sq user/zoe none; lqr user/zoe/Sent") == "remove quota\n\n"
    ok(served, "sam user/zoe/Sent %s all; rm user/zoe/Sent user/zoe/Gone; dm user/zoe/Gone" % ADMIN)
    assert ok(served, "lm user/zoe/%") == "user/zoe/two words (\\HasNoChildren)  \n"
    assert ok(served, "sub INBOX; lm --subscribed; unsub INBOX; lm -s", "--authz", "fred") == "INBOX  \n"
    assert ok(served, "ver").startswith("name       : iatlas\nversion    : ")
    assert ok(served, "cm \"user/zoe/Entw\u00fcrfe & mehr\"; lm user/zoe/E%") == "user/zoe/Entw&APw-rfe &- mehr (\\HasNoChildren)  \n"


def test_placing(murder):
    """At a frontend the partition says which backend."""
    node = murder.fe[0]
    ok(node, "cm user/anna %s\ncm --partition %s!default 'the team'" % (murder.names[1], murder.names[1]))
    with Imap(murder.be[1].address).login(ADMIN) as c:
        assert c.list("", "*") == ["the team", "user/anna"]
    assert cyradm(node, "cm other %s!nosuch" % murder.names[1]).returncode == 1
    assert cyradm(node, "cm other 192.0.2.1!default").returncode == 1
    ok(node, "cm other '!default'")


def test_authz(imapd):
    ok(imapd, "sub INBOX", "--authz", "fred")
    with imapd.imap("fred") as c:
        assert c.list("", "*", "LSUB") == ["INBOX"]


# ---- scripts ----


def test_failures_count(imapd, workdir):
    r = cyradm(imapd, "cm user/fred\ncm user/new\ndm nosuch\n")
    assert (r.returncode, r.stdout) == (1, "")
    lines = r.stderr.splitlines()
    assert re.match(r"createmailbox: .*already exists", lines[0]) and re.match(r"deletemailbox: .*does not exist", lines[1])
    assert len(lines) == 2
    assert cyradm(imapd, "dm nosuch\nexit 0").returncode == 0
    assert cyradm(imapd, "exit 5\ndm nosuch").returncode == 5
    script = os.path.join(workdir, "script")
    with open(script, "w") as f:
        f.write("# from a file\nlm user/new\n")
    assert ok(imapd, "not read", "--file", script) == "user/new (\\HasNoChildren)  \n"
    assert cyradm(imapd, "", "--file", script + "x").returncode == 66


def test_rc(imapd, workdir):
    rc = os.path.join(workdir, "rc")
    with open(rc, "w") as f:
        f.write("lm user/fred\n")
    assert ok(imapd, "server", "--rc", "--userrc", rc) == "user/fred (\\HasNoChildren)  \n%s\n" % address(imapd)
    assert ok(imapd, "server", "--userrc", rc, "--norc") == address(imapd) + "\n"
    assert cyradm(imapd, "", "--rc", "--userrc", rc + "x").returncode == 66


def test_servers(imapd, make_imapd):
    """Without a server, with several."""
    argv = ["perl", CYRADM, "--user", ADMIN, "--password", PASSWORD]
    other = address(make_imapd())
    script = "lm\nserver %s\ncm user/there; disc\nserver --noauthenticate %s; lm; auth; lm user/t%%\nauth" % (other, other)
    r = subprocess.run(argv, input=script, capture_output=True, text=True, timeout=120)
    assert r.stdout == "user/there (\\HasNoChildren)  \n"
    failed = [line.split(":")[0] for line in r.stderr.splitlines()]
    assert failed == ["listmailbox", "listmailbox", "authenticate"] and r.returncode == 1
    assert ok(imapd, "server %s\n%s\nlm user/there\nserver" % (other, PASSWORD)) == "user/there (\\HasNoChildren)  \n%s\n" % other
    assert cyradm("127.0.0.1:1", "").returncode == 69
    assert subprocess.run(["perl", CYRADM, "--nosuch"], capture_output=True).returncode == 64


# ---- logging in ----


MECHS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]


def test_mechanisms(make_imapd):
    imapd = make_imapd(conf={"sasl_mech_list": " ".join(MECHS)})
    for mech in MECHS:
        if not mech.startswith("SCRAM") or perl_has("Authen::SCRAM::Client"):
            assert ok(imapd, "lm user/fred", "--auth", mech) == "user/fred (\\HasNoChildren)  \n", mech
            r = cyradm(imapd, "lm", "--auth", mech, password="wrong")
            assert (r.returncode, r.stdout) == (77, ""), mech
    assert cyradm(imapd, "lm", "--auth", "X-NONE").returncode == 77
    assert ok(imapd, "lm user/fred", "--auth", "X-NONE,PLAIN") == "user/fred (\\HasNoChildren)  \n"


@pytest.mark.peer  # the SASL library's DIGEST-MD5 leaks
def test_digest_md5(make_imapd):
    imapd = make_imapd(conf={"sasl_mech_list": "DIGEST-MD5"})
    assert ok(imapd, "lm user/fred") == "user/fred (\\HasNoChildren)  \n"
    assert cyradm(imapd, "lm", password="wrong").returncode == 77


def test_passwords(imapd, workdir):
    file = os.path.join(workdir, "password")
    with open(file, "w") as f:
        f.write(PASSWORD + "\nmore\n")
    assert ok(imapd, "server", "--passfile", file, password=None) == address(imapd) + "\n"
    assert ok(imapd, "server", "--password", PASSWORD, password=None) == address(imapd) + "\n"
    assert cyradm(imapd, "", "--passfile", file + "x", password=None).returncode == 66
    assert cyradm(imapd, "", password=None).returncode == 77


def test_terminal(imapd):
    """The password is asked for and not shown; there is a prompt; lines can be edited."""
    t = Terminal(["perl", CYRADM, "--norc", "--user", ADMIN, address(imapd)], dict(os.environ, TERM="vt100"))
    t.expect("Password: ")
    t.send(PASSWORD)
    prompt = address(imapd) + "> "
    t.expect(prompt)
    assert PASSWORD not in t.text
    t.send("lm user/fred")
    t.expect("user/fred (\\HasNoChildren)")
    t.expect(prompt)
    t.send("nosuch")
    t.expect("nosuch: no such command")
    t.expect(prompt)
    t.send("disc")
    t.expect("cyradm> ")
    t.send("exit 4")
    assert t.wait() == 4


def test_history(imapd):
    gnu = subprocess.run(["perl", "-MTerm::ReadLine", "-e", "exit Term::ReadLine->new('x')->ReadLine ne 'Term::ReadLine::Gnu'"])
    if gnu.returncode != 0:
        pytest.skip("perl's Term::ReadLine::Gnu is missing")
    t = Terminal(["perl", CYRADM, "--norc", "--user", ADMIN, "--password", PASSWORD, address(imapd)], dict(os.environ, TERM="vt100"))
    t.expect("> ")
    with open("/proc/%d/cmdline" % t.pid) as f:
        assert PASSWORD not in f.read()
    t.send("lm user/fred")
    t.expect("(\\HasNoChildren)")
    t.expect("> ")
    t.send("\x10")  # the line before
    t.expect("(\\HasNoChildren)")
    t.expect("> ")  # or the terminal, not the editor, takes what comes
    t.send("\x04")
    assert t.wait() == 0


# ---- TLS ----


def test_tls(make_imapd, workdir):
    authority, other = (Authority(os.path.join(workdir, name)) for name in ("ca", "other"))
    plain = make_imapd()
    wrong = make_imapd(conf={**authority.certify("wrong", "192.0.2.1"), "allowstarttls": "yes"})
    secure = make_imapd()
    secure.stop()
    secure.conf.update(authority.certify("right", secure.address), allowstarttls="yes", allowplaintext="no")
    secure.start()
    said = address(secure) + "\n"
    assert ok(secure, "server") == ok(secure, "server", "--tls") == ok(secure, "server", "--cafile", authority.ca) == said
    assert cyradm(secure, "", "--notls", "--auth", "PLAIN").returncode == 77
    for ca in (["--cafile", other.ca], ["--cafile", "/nonexistent"]):
        assert cyradm(secure, "", *ca).returncode == 69
    assert cyradm(wrong, "", "--cafile", authority.ca).returncode == 69
    assert ok(wrong, "server")
    assert cyradm(plain, "", "--tls").returncode == 69
    assert ok(secure, "disc; server --noauthenticate %s; auth --cafile %s --minssf 1\n%s\nserver" % (said.strip(), authority.ca, PASSWORD)) == said


def test_imaps(workdir, make_server):
    authority = Authority(os.path.join(workdir, "ca"))
    server = make_server(conf=authority.certify("mail", "127.0.0.1"))
    server.services["imaps"] = 'cmd="imapd -s" listen="%s:%d" prefork=1' % (server.address, net.IMAPS)
    server.stop()
    server.start()
    imaps = "%s:%d" % (server.address, net.IMAPS)
    assert ok(imaps, "server", "--imaps") == imaps + "\n"
    assert cyradm(imaps, "", "--imaps", "--cafile", authority.ca).returncode == 69  # the name is another


# ---- beside Cyrus's ----


def their_cyradm(node, commands, directory):
    """Debian's cyradm: what each command prints, through its own redirection."""
    root = fetched.prefix("cyrus")
    perl5 = glob.glob(root + "/usr/share/perl5") + glob.glob(root + "/usr/lib/*/perl5/*")
    libraries = glob.glob(root + "/usr/lib/*-linux-gnu")
    env = dict(os.environ, PERL5LIB=":".join(perl5), LD_LIBRARY_PATH=":".join(libraries), TERM="dumb", PERL_RL="Stub")
    argv = ["perl", root + "/usr/bin/cyradm", "--user", ADMIN, "--auth", "PLAIN", "--port", str(net.IMAP), "--norc", node.address]
    t = Terminal(argv, env)
    t.expect("assword:")
    t.send_unseen(PASSWORD)
    for i, command in enumerate(commands):
        t.expect(node.address + "> ")
        t.send("%s > %s/%d" % (command, directory, i))
    t.expect(node.address + "> ")
    t.send("exit")
    t.wait()
    out = []
    for i in range(len(commands)):
        with open("%s/%d" % (directory, i)) as f:
            out.append(f.read())
    return out


def test_annotations(served):
    """info, getmetadata, mboxcfg, setmetadata; setinfo where the server is one."""
    ok(served, "cm user/zoe; cm user/zoe/Sent; mboxcfg user/zoe expire 30; setmd user/zoe comment 'two words'")
    ok(served, "setmd --private user/zoe comment mine; mboxcfg user/zoe sharedseen true")
    shown = ok(served, "info user/zoe").splitlines()
    private, shared = shown.index("  private:"), shown.index("  shared:")
    assert shown[0] == "{user/zoe}:" and shown[private + 1 : shared] == ["    comment: mine"]
    assert {"    comment: two words", "    expire: 30", "    partition: default", "    sharedseen: true"} <= set(shown[shared:])
    ok(served, "mboxcfg user/zoe squat true; mboxcfg user/zoe pop3showafter ' 1-Jan-2026 00:00:00 +0000'")
    ok(served, "setmd user/zoe comment none; setmd user/zoe /vendor/cmu/cyrus-imapd/duplicatedeliver true")
    shown = ok(served, "getmd user/zoe")
    assert "two words" not in shown and "    duplicatedeliver: true\n" in shown
    for refused in ("mboxcfg user/zoe squat maybe", "setmd user/zoe size 1", "setinfo motd hello"):
        r = cyradm(served, refused)
        assert r.returncode == 1 and r.stderr, r
    if differences.has("SETMETADATA of the server", hasattr(served, "murder")):
        ok(served, "setinfo comment 'our server'; setinfo admin mailto:postmaster@example.org")
        assert {"    comment: our server", "    admin: mailto:postmaster@example.org"} <= set(ok(served, "info").splitlines())


SHOWN = ["ver", "lm", "lm user/%", "lm user/fred*", "lm -s", "lq user/fred", "lqr user/fred/Sent", "lqr user/zoe", "server"]


@pytest.mark.peer
def test_prints_as_cyrus_does(make_mixed, workdir):
    """What scripts parse, line for line, from a Cyrus server."""
    be = make_mixed(backends=("cyrus",), frontends=()).be[0]
    setup = "".join("cm user/%s\n" % m for m in ("fred", "fred/Sent", "fred/a-rather-long-name", "zoe", "zoe/x")) + (
        "sq user/fred STORAGE 1000\nsub user/zoe\nsam user/fred zoe lrs\n"
    )
    ok(be, setup)
    theirs = their_cyradm(be, SHOWN, workdir)
    for command, text in zip(SHOWN, theirs, strict=True):
        assert text, command
        assert ok(be, command).replace(address(be), be.address) == text, command


@pytest.mark.peer
def test_annotations_of_cyrus(make_mixed):
    be = make_mixed(backends=("cyrus",), frontends=()).be[0]
    ok(be, "cm user/fred; cm user/fred/Junk; sam user/fred/Junk %s all" % ADMIN)
    ok(be, 'setinfo motd "gr\u00fc\u00df \\"euch\\""; mboxcfg user/fred comment "two words"; setmd user/fred expire 30')
    ok(be, "setmd --private user/fred comment mine; setmd user/fred/Junk /private/comment Junk")
    info = ok(be, "info").splitlines()
    assert info[0] == "{Server Wide}" and '    motd: gr\u00fc\u00df "euch"' in info
    assert any(line.startswith("    freespace: ") for line in info)
    of_fred = ok(be, "getmd user/fred").splitlines()
    private, shared = of_fred.index("  private:"), of_fred.index("  shared:")
    assert of_fred[0] == "{user/fred}:" and private < of_fred.index("    comment: mine") < shared
    assert {"    comment: two words", "    expire: 30", "    partition: default"} <= set(of_fred[shared:])
    assert "    comment: Junk" in ok(be, "info user/fred/Junk").splitlines()
    ok(be, "mboxcfg user/fred comment none")
    assert "    comment: two words" not in ok(be, "info user/fred")
    assert ok(be, "cm --specialuse Archive user/fred/Archive; cm --specialuse '\\Trash' user/fred/Trash") == ""
    r = cyradm(be, "info; cm --specialuse Archive x", password=PASSWORD)
    assert r.returncode == 1 and "special-use" in r.stderr.lower()
