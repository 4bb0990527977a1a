"""Limits before and after login (doc/limits.md), names that are none, how many may be logged in, what the log and
the disk tell others."""

import base64
import os
import re
import signal
import socket
import stat
import time

import pytest

from iatlas import Imap, Lmtp, direct, message, net
from iatlas.mupdate import Mupdate
from iatlas.node import ADMIN, PROXY
from iatlas.tls import Authority


def plain(user, password="secret", authzid=b""):
    user = user if isinstance(user, bytes) else user.encode()
    return base64.b64encode(authzid + b"\0" + user + b"\0" + password.encode()).decode()


def closed(c):
    """The rest of what the server says before it closes."""
    lines = []
    try:
        while True:
            lines.append(c.read_line())
    except (EOFError, ConnectionError):
        return lines


# ---- before login ----


def test_words_before_login(served):
    """What talks much and says nothing is not listened to for long."""
    c = served.connect()
    c.send(b"POST / HTTP/1.1\r\nHost: imap\r\nUser-Agent: x\r\nAccept: */*\r\nOrigin: null\r\n\r\na LOGIN fred secret\r\n")
    answers = closed(c)
    assert answers[-1] == b"* BYE Too many invalid commands" and not any(a.startswith(b"a ") for a in answers)
    c = served.connect()
    c.send(b"a NOOP\r\n" * 60)
    answers = closed(c)
    assert answers.count(b"a OK Completed") == 50 and answers[-1] == b"* BYE Too many commands before login"
    c = served.connect()
    for _ in range(5):
        c.no("LOGIN fred wrong")
    assert closed(c) == [b"* BYE Too many failed logins"]


def test_sizes_before_login(served):
    for size in (8193, 10**7, 10**30):
        with served.connect() as c:
            c.send(b"a LOGIN {%d}\r\n" % size)
            assert c.read_line().startswith(b"a BAD"), size
            c.login("fred")
    with served.connect() as c:
        c.send(b"a LOGIN fred " + b"x" * 60000 + b"\r\n")
        assert c.read_line() == b"a BAD Command too long"
        c.login("fred")
    with served.connect() as c:
        c.send(b"a LOGIN {8000+}\r\n" + b"x" * 8000 + b" {8000+}\r\n" + b"y" * 8000 + b"\r\n")
        assert c.read_line().startswith(b"a NO")
        c.login("fred")
    with served.connect() as c:
        c.send(b"x" * 200000)
        c.send(b"\r\n")
        assert c.read_line() == b"* BAD Invalid tag"
        c.login("fred")
    with served.connect() as c:
        c.send(b"a AUTHENTICATE PLAIN\r\n")
        assert c.read_line() == b"+ "
        c.send(b"A" * 49200)
        assert closed(c)[-1].startswith(b"* BYE")
    # A long initial response (a Kerberos ticket) is no longer than a long response.
    with served.connect() as c:
        c.send(b"a AUTHENTICATE PLAIN " + b"A" * 40000 + b"\r\n")
        assert c.read_line().split()[:2] in ([b"a", b"NO"], [b"a", b"BAD"])
        c.login("fred")


def test_sizes_before_login_lmtp_and_mupdate(murder):
    with socket.create_connection((murder.be[0].address, net.LMTP), 60) as s:
        s.sendall(b"LHLO " + b"x" * 9000 + b"\r\n")
        data = b""
        while more := s.recv(65536):
            data += more
        assert b"\r\n421 " in data, data
    with Mupdate(murder.m.address) as c:
        c.send(b'a AUTHENTICATE "PLAIN" {50000+}\r\n' + b"A" * 50000 + b"\r\n")
        with pytest.raises((EOFError, ConnectionError)):
            assert c.read()[:2] == ("*", "BYE")
            c.read()
    with Mupdate(murder.m.address) as c:
        for _ in range(5):
            c.send("a NONSENSE\r\n")
        answers = []
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                answers.append(c.read())
        assert answers[-1] == ("*", "BYE", "Too many invalid commands"), answers


def test_failure_holds_nobody_up(make_imapd):
    """failedloginpause parks: 60 who wait for their answers keep neither worker nor process from others."""
    imapd = make_imapd({"failedloginpause": "3s", "worker_threads_max": "8"})
    began = time.monotonic()
    waiting = [imapd.connect() for _ in range(60)]
    tags = [c.start("LOGIN fred wrong") for c in waiting]
    with imapd.imap("fred") as c:
        c.ok("NOOP")
    assert time.monotonic() - began < 3
    for c, tag in zip(waiting, tags):
        assert c.finish(tag).status == "NO"
        c.close()
    assert time.monotonic() - began >= 3


# ---- names ----

NAMES = [
    b"",
    b"x" * 256,
    b"x" * 8000,
    b"fr\xe9d",
    b"\xff\xfe",
    b"fr\x01ed",
    b"fred\r\ninjected: line",
    b"fred\ninjected",
    b"fr*d",
    b"%",
    b"../../etc/passwd",
    b"..",
    b"/",
    b"fred/x",
    b"user.fred",
    b"fred!x",
    b"fred@example.org",
    b"anonymous",
    b"anyone",
    b"group:cyrus",
    b"\x1b[2J",
    b"\xe2\x80\xaefred",
]


@pytest.mark.parametrize("as_literal", [True, False])
def test_names_that_are_none(served, as_literal):
    """LOGIN and AUTHENTICATE PLAIN: refused, the connection goes on, one line a name in the log without what could end it."""
    for name in NAMES + [b"fred\0x", b"\0"]:
        c = served.connect()
        if as_literal:
            r = c.command(["LOGIN ", name, " ", b"secret"])
            assert r.status == ("BAD" if b"\0" in name else "NO"), (name, r)
        else:
            r = c.command("AUTHENTICATE PLAIN " + plain(name))
            assert r.status in ("NO", "BAD"), (name, r)
        c.login("fred").close()
    node = served.murder.fe[0] if hasattr(served, "murder") else served
    for line in node.log().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT", line), line
        assert not re.search(r"[\x00-\x1f\x7f]", line), line
    assert node.log().count("login.failed") >= len(NAMES) - 3


def test_name_with_every_right_but_one(make_imapd):
    """Of those who have a password: names that cannot be a mailbox's are nobody, whatever the password."""
    imapd = make_imapd()
    for name in ("fr*d", "a/b", "x!y", "b%c", "e^f"):
        imapd.add_user(name)
        with imapd.connect() as c:
            assert "AUTHORIZATIONFAILED" in c.no("AUTHENTICATE PLAIN " + plain(name)).text
    for name in ("..", ".hidden", "a..b"):
        imapd.add_user(name)
        with imapd.connect() as c:
            c.ok(["LOGIN ", name.encode(), " ", b"secret"])
            assert c.list("", "*") == []


def test_acting_for_others(murder):
    """At a backend: proxyservers may, users and strangers may not; at the frontend the frontends' own name may not."""
    murder.add_user("fred")
    murder.add_user("bob")
    be, fe = murder.be[0], murder.fe[0]
    for node, who, whom, status in (
        (be, PROXY, b"fred", "OK"),
        (be, ADMIN, b"fred", "OK"),
        (be, "bob", b"fred", "NO"),
        (be, PROXY, b"fr*d", "NO"),
        (be, PROXY, b"anonymous", "NO"),
        (be, PROXY, b"fr\xe9d", "NO"),
        (be, PROXY, b"x" * 300, "NO"),
        (be, PROXY, b"fred\r\nx", "NO"),
        (fe, PROXY, b"fred", "NO"),
        (fe, "bob", b"fred", "NO"),
        (fe, ADMIN, b"fred", "OK"),
    ):
        with Imap(node.address) as c:
            r = c.command("AUTHENTICATE PLAIN " + plain(who, authzid=whom))
            assert r.status == status, (node.name, who, whom, r)
    with Lmtp(be.address) as c:
        for who, whom, code in (("bob", b"", 535), (PROXY, b"x\r\ny", 535), ("fr\x01d", b"", 535), (PROXY, b"", 235)):
            assert c.docmd("AUTH PLAIN " + plain(who, authzid=whom))[0] == code, (who, whom)
    with Mupdate(murder.m.address) as c:
        for who, whom in (("bob", b""), ("bob", ADMIN.encode()), ("x\r\ny", b""), ("x" * 300, b"")):
            assert c.result('AUTHENTICATE "PLAIN" "%s"' % plain(who, authzid=whom))[0] in ("NO", "BAD")
        c.login(PROXY)
    for node in murder.nodes:
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", node.log())


def test_virtual_domains(make_imapd):
    """The same user by another name has no other rights (proxy_admins, a frontend's own identity)."""
    imapd = make_imapd(
        {"virtdomains": "userid", "defaultdomain": "example.org", "proxyservers": "murder", "admins": "cyrus murder", "proxy_admins": "no"},
        users=("fred",),
    )
    imapd.add_user("murder", "fred@example.org", "fred@example.com", "fred@bad..domain@", "murder@example.org")
    with imapd.connect() as c:
        c.login("fred@Example.ORG")
        assert c.list("", "*") == ["INBOX"]
    with imapd.connect() as c:
        c.login("fred@example.com")
        assert c.list("", "*") == []
    for name in ("fred@", "@example.org", "@", "fred@.", "fred@a/b", "fred@*"):
        with imapd.connect() as c:
            c.no("AUTHENTICATE PLAIN " + plain(name))
    for whom in (b"cyrus", b"cyrus@example.org", b"CYRUS@EXAMPLE.ORG"):
        for who in ("murder", "murder@example.org"):
            with imapd.connect() as c:
                c.no("AUTHENTICATE PLAIN " + plain(who, authzid=whom))
    for who, whom in (("murder", b""), ("murder", b"murder@example.org"), ("murder@example.org", b"murder")):
        with imapd.connect() as c:
            c.ok("AUTHENTICATE PLAIN " + plain(who, authzid=whom))
            c.no("SETQUOTA user/fred (STORAGE 1)")  # no administrator


def test_login_by_rights(make_murder):
    """loginuseacl: who has the right a on an INBOX is that user where he asks to be, at a frontend too."""
    murder = make_murder(
        backends=1,
        conf={"loginuseacl": "yes", "maxlogins_per_user": "1", "admins": "%s %s boss" % (ADMIN, PROXY)},
    )
    for user in ("fred", "bob", "ann", "boss"):
        murder.add_user(user, mailbox=user != "ann")
    with murder.imap(ADMIN) as c:
        for owner, who, rights in (("fred", "bob", "lra"), ("boss", "bob", "lra"), ("bob", "fred", "lrswipkxten")):
            c.ok("SETACL user/%s %s %s" % (owner, who, rights))

    def acts_for(address, who, whom):
        with Imap(address) as c:
            r = c.command("AUTHENTICATE PLAIN " + plain(who, authzid=whom.encode()))
            if r.status == "OK":
                assert c.ok("MYRIGHTS INBOX").one(rb"^\* MYRIGHTS INBOX lrswipkxtecda")
                c.no("SETQUOTA user/fred (STORAGE 1)")
            return r.status == "OK"

    others = ["boss", PROXY, ADMIN, "ann", "nobody", "anonymous"]  # administrators, and where bob has no rights
    for node in (murder.fe[0], murder.be[0]):
        assert acts_for(node.address, "bob", "fred")
        assert [whom for whom in others if acts_for(node.address, "bob", whom)] == []
        assert not acts_for(node.address, "fred", "bob")  # all rights but a
    with Imap(murder.fe[0].address) as c:
        c.ok("AUTHENTICATE PLAIN " + plain("bob", authzid=b"fred"))
        with Imap(murder.fe[0].address) as full:
            assert "[LIMIT]" in full.no("LOGIN fred secret").text
        c.ok("SETACL INBOX bob lr")
    direct.wait_for(lambda: not acts_for(murder.fe[0].address, "bob", "fred"))


# ---- how many ----


def test_sessions_of_a_user_and_a_host(make_server):
    """Over all processes of a service; the sessions of a killed process count no more; administrators come in."""
    server = make_server(conf={"maxlogins_per_user": "3", "maxlogins_per_host": "5"})
    server.add_user("fred", "bob", "ann")
    sessions = [Imap(server.address).login("fred") for _ in range(3)]
    with Imap(server.address) as c:
        assert c.no("LOGIN fred secret").text == "[LIMIT] Too many sessions of this user"
        c.login("bob")
        with Imap(server.address).login("ann"), Imap(server.address) as d:
            assert d.no("LOGIN ann secret").text == "[LIMIT] Too many sessions from this host"
            d.login(ADMIN)
    old = server.processes("imapd")
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    direct.wait_for(lambda: set(server.processes("imapd")) - set(old))
    for c in sessions:
        c.close()
    sessions = [Imap(server.address).login("fred") for _ in range(3)]
    with Imap(server.address) as c:
        c.no("LOGIN fred secret")
        sessions.pop().ok("LOGOUT")

        def in_again():
            with Imap(server.address) as d:
                return d.command("LOGIN fred secret").status == "OK"

        direct.wait_for(in_again)
    for c in sessions:
        c.close()


def test_sessions_over_processes(make_server):
    """A process a connection (maxsessions=1): the limit is the node's."""
    server = make_server(conf={"maxlogins_per_user": "4"})
    server.stop()
    server.services["imap"] += " maxsessions=1"
    server.start()
    server.add_user("fred")
    sessions = [Imap(server.address).login("fred") for _ in range(4)]
    assert len(server.processes("imapd")) >= 4
    with Imap(server.address) as c:
        assert "[LIMIT]" in c.no("LOGIN fred secret").text
    for c in sessions:
        c.close()


def test_frontends_are_not_counted(make_murder):
    """A backend sees its frontends only, which count their own clients."""
    murder = make_murder(conf={"maxlogins_per_host": "2", "maxlogins_per_user": "1"})
    for user in ("fred", "bob", "ann"):
        murder.add_user(user)
    murder.fe[0].stop()
    murder.fe[0].conf.update(maxlogins_per_host="0", maxlogins_per_user="2")
    murder.fe[0].start()
    sessions = [murder.imap(user) for user in ("fred", "fred", "bob", "ann")]
    for c in sessions:
        c.select("INBOX")
    with Imap(murder.fe[0].address) as c:
        assert "[LIMIT]" in c.no("LOGIN fred secret").text
    with Imap(murder.be[0].address) as c:
        c.login("fred")
        with Imap(murder.be[0].address) as d:
            assert "[LIMIT]" in d.no("LOGIN fred secret").text
    for c in sessions:
        c.close()


# ---- after login ----


def test_sizes_after_login(served):
    with served.imap("fred") as c:
        for text, answer in (
            (b"LIST {131073}\r\n", b"BAD Literal too big"),
            (b"STATUS " + b"x" * 131073 + b" (MESSAGES)\r\n", b"BAD"),
            (b'STATUS "' + b"x" * 131073 + b'" (MESSAGES)\r\n', b"BAD"),
            (b"LIST " + b"x" * 1100000 + b"\r\n", b"BAD Command too long"),
            (b'LIST "" "' + b"*%" * 2000 + b'"\r\n', b"OK"),
            (b'LIST "" "' + b"x" * 1001 + b'"\r\n', b"NO [LIMIT]"),
            (b'LIST "" "' + b"*a" * 400 + b'"\r\n', b"OK"),
            (b"CREATE " + b"x" * 500 + b"\r\n", b"NO"),
            (b"CREATE " + b"a/" * 244 + b"a\r\n", b"NO"),
            (b"ID (" + b'"a" "b" ' * 31 + b'"a" NIL)\r\n', b"BAD"),
            (b"ENABLE " + b"X " * 1000 + b"Y\r\n", b"OK"),
            (b"x" * 300 + b"\r\n", b""),
        ):
            began = time.monotonic()
            c.send(b"a " + text)
            line = c.read_line()
            while line.startswith(b"* ") and not line.startswith(b"* BAD"):
                line = c.read_line()
            assert line.startswith((b"a " + answer).strip()) or line.startswith(b"a BAD") and not answer, (text[:60], line)
            assert time.monotonic() - began < 20
        c.ok("NOOP")


def test_lists_and_depth(served):
    """SEARCH keys, sets, flags, FETCH items: many and deep."""
    with served.imap("fred") as c:
        c.append("INBOX", message())
        c.select("INBOX")
        c.ok("SEARCH " + "(" * 20 + "ALL" + ")" * 20)
        c.bad("SEARCH " + "(" * 40 + "ALL" + ")" * 40)
        c.bad("SEARCH " + "(" * 100000)
        c.bad("SEARCH " + "NOT " * 40 + "ALL")
        c.bad("SEARCH " + "OR ALL " * 40 + "ALL")
        c.ok("SEARCH " + "UNSEEN " * 900 + "ALL")
        assert "Too many" in c.bad("SEARCH " + "UNSEEN " * 1100 + "ALL").text
        c.ok("UID FETCH %s FLAGS" % ",".join("%d:*" % i for i in range(1, 9000)))
        c.ok("UID FETCH %s FLAGS" % ",".join(str(2 * i + 1) for i in range(9000)))
        c.bad("FETCH 1 (" + "FLAGS " * 1100 + "UID)")
        c.bad("FETCH 1 BODY[HEADER.FIELDS (" + "x " * 1100 + "y)]")
        c.bad("FETCH 1 BODY[" + "1." * 60000 + "1]")
        assert "Too many flags" in c.bad("STORE 1 +FLAGS (%s)" % " ".join("f%d" % i for i in range(60000))).text
        assert c.command("STORE 1 +FLAGS (%s)" % " ".join("f%d" % i for i in range(200))).status == "NO"
        c.ok("STORE 1 +FLAGS (%s)" % " ".join("f%d" % i for i in range(128)))
        c.no("STORE 1 +FLAGS (one-more)")
        c.no("STORE 1 +FLAGS (%s)" % ("x" * 111))
        c.ok("NOOP")


def test_access_lists(served):
    """An ACL has an end, and an identifier a length."""
    with served.imap("fred") as c:
        assert c.command("SETACL INBOX %s lrs" % ("x" * 257)).status in ("NO", "BAD")
        c.ok("SETACL INBOX %s lrs" % ("x" * 250))
    with served.imap(ADMIN) as c:
        n = 0
        while c.command("SETACL user/fred %s lrs" % ("%03d" % n + "y" * 240)).status == "OK":
            n += 1
            assert n < 400
        assert n > 200
        c.ok("SETACL user/fred 000%s \"\"" % ("y" * 240))
        c.ok("NOOP")


@pytest.mark.slow  # a sanitizer keeps what was freed
def test_client_that_does_not_read(imapd):
    """Pipelined commands whose answers nobody takes fill neither memory nor workers."""
    with imapd.imap("fred") as c:
        c.append("INBOX", message() + b"x" * 1000000 + b"\r\n")
    idle = sum(rss(pid) for pid in imapd.pids())
    stuck = []
    for _ in range(20):
        c = imapd.imap("fred")
        c.select("INBOX")
        c.sock.setblocking(False)
        try:
            for _ in range(200):
                c.send(b"a FETCH 1 BODY.PEEK[]\r\n")
        except BlockingIOError:
            pass
        stuck.append(c)
    with imapd.imap("bob") as c:
        for _ in range(10):
            c.ok("NOOP")
    assert sum(rss(pid) for pid in imapd.pids()) - idle < 20 * 1024 * 1024
    for c in stuck:
        c.close()


def rss(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * 4096


# ---- what others may read ----

SECRET = "Zu7-xQ.9kleefoot"
ANYWHERE = re.compile("|".join(re.escape(base64.b64encode(b"\0" * i + SECRET.encode()).decode()[4 if i else 0 : -4]) for i in range(3)) + "|kleefoot")


def tree(*tops):
    for top in tops:
        for folder, dirs, files in os.walk(top):
            for f in [*dirs, *files]:
                yield os.path.join(folder, f)


@pytest.fixture
def exercised(make_murder):
    """A murder that has done something of everything at its most talkative, with a password to look for."""
    murder = make_murder(conf={"debug": "yes", "chatty": "yes", "auditlog": "yes", "sasl_mech_list": "PLAIN LOGIN SCRAM-SHA-256"})
    for node in murder.nodes:
        node.add_user("fred", password=SECRET)
        for name in ("", "fred", ADMIN, PROXY):
            os.makedirs(node.path("config", "log", name), mode=0o700, exist_ok=True)
    with murder.imap(ADMIN) as c:
        c.ok("CREATE user/fred")
        c.ok("SETQUOTA user/fred (STORAGE 100000)")
        c.ok("SETACL user/fred bob lrs")
    fe = murder.fe[0].address
    with murder.lmtp() as c:
        assert c.deliver("a@example.org", ["fred"], message())[0][0] == 250
    for how in (
        "LOGIN fred %s" % SECRET,
        ["LOGIN ", b"fred", " ", SECRET.encode()],
        'LOGIN "fred" "%s"' % SECRET,
        "AUTHENTICATE PLAIN " + plain("fred", SECRET),
    ):
        with Imap(fe) as c:
            c.ok(how)
            c.select("INBOX")
            c.ok("COPY 1 INBOX")
            c.ok("LOGOUT")
    for how in (
        "LOGIN fred x%s" % SECRET,
        "LOGIN %s fred" % SECRET[:3],
        "LOGIN fred %s extra" % SECRET,
        "LOGIN fred",
        "LOGON fred %s" % SECRET,
        "AUTHENTICATE PLAIN " + plain("fred", SECRET + "x"),
        "AUTHENTICATE PLAIN " + plain("fred", SECRET, authzid=b"bob"),
        "AUTHENTICATE PLAIN " + plain("fr*d", SECRET),
        "AUTHENTICATE NONESUCH " + plain("fred", SECRET),
        "AUTHENTICATE PLAIN %s %s" % (plain("fred", SECRET), SECRET),
    ):
        for node in (murder.fe[0], murder.be[0]):
            with Imap(node.address) as c:
                assert c.command(how).status in ("NO", "BAD"), how
    with Imap(fe) as c:
        c.send("a AUTHENTICATE LOGIN\r\n")
        c.read_line()
        c.send(base64.b64encode(b"fred") + b"\r\n")
        c.read_line()
        c.send(base64.b64encode(SECRET.encode()) + b"\r\n")
        assert c.read_line().startswith(b"a OK")
    with Lmtp(murder.be[0].address) as c:
        assert c.docmd("AUTH PLAIN " + plain("fred", SECRET))[0] == 535
        assert c.docmd("AUTH PLAIN " + plain("fred", SECRET) + "=x")[0] // 100 == 5
    with Mupdate(murder.m.address) as c:
        assert c.result('AUTHENTICATE "PLAIN" "%s"' % plain("fred", SECRET))[0] == "NO"
        assert c.result('LOGIN "fred" "%s"' % SECRET)[0] == "BAD"
    return murder


def test_no_secret_anywhere(exercised):
    """Logs, telemetry, proc, databases, standard error: no node has kept a password, nor the frontends' own."""
    looked = 0
    for node in exercised.nodes:
        assert " debug: " in node.log()
        for path in tree(node.dir):
            if not os.path.isfile(path) or path == node.path("sasldb2") or path == node.path("imapd.conf"):
                continue
            if os.path.getsize(path) > 64 * 1024 * 1024 or os.path.basename(path) == "lock.mdb":
                continue
            with open(path, "rb") as f:
                text = f.read().decode("latin-1")
            assert not ANYWHERE.search(text), (path, ANYWHERE.search(text))
            looked += 1
    assert looked > 30
    assert any("/log/fred/" in p for p in tree(exercised.fe[0].path("config")))


def test_everything_private(exercised):
    """umask 077: nobody else reads or enters anything but the directory of sockets, so that an MTA can be given the
    way to LMTP's (doc/security.md)."""
    sockets = 0
    for node in exercised.nodes:
        for path in tree(node.path("config"), node.path("spool")):
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                continue
            sockets += stat.S_ISSOCK(mode)
            if path == node.path("config", "socket"):
                assert mode & 0o777 == 0o755, oct(mode)
            elif path != node.path("config", "socket", "lmtp"):
                assert mode & 0o077 == 0, (path, oct(mode))
    assert sockets > 0
