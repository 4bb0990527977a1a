"""UNAUTHENTICATE (RFC 8437), and a frontend's pool of connections to backends, which lives by it: nothing of one user's
session may reach the next."""

import os
import re
import shutil
import signal
import tempfile
from base64 import b64encode
from contextlib import ExitStack

import pytest

from iatlas import Murder, net
from iatlas.clients import message
from iatlas.direct import wait_for
from iatlas.fake import GREETING, Fake, Hangup, put
from iatlas.node import ADMIN, PASSWORD, PROXY


def plain(authzid, authid=PROXY):
    return "AUTHENTICATE PLAIN " + b64encode(("%s\0%s\0%s" % (authzid, authid, PASSWORD)).encode()).decode()


def words(c):
    return c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()


@pytest.fixture
def imapd(make_imapd):
    imapd = make_imapd({"proxyservers": PROXY})
    imapd.add_user(PROXY)
    return imapd


# ---- the command ----


def test_who_may(served):
    with served.connect() as c:
        assert b"UNAUTHENTICATE" not in words(c)
        c.bad("UNAUTHENTICATE")
        c.login("fred")
        assert b"UNAUTHENTICATE" not in words(c)
        c.bad("UNAUTHENTICATE")
        c.ok("NOOP")
    with served.imap(ADMIN) as c:
        assert b"UNAUTHENTICATE" in words(c)
        c.bad("UNAUTHENTICATE x")
        c.ok("CREATE user/fred/seen")
        c.ok("UNAUTHENTICATE")
        assert b"UNAUTHENTICATE" not in words(c) and b"AUTH=PLAIN" in words(c)
        assert "login first" in c.bad("SELECT user/fred").text
        c.bad("UNAUTHENTICATE")
        assert "AUTHENTICATIONFAILED" in c.no("LOGIN fred wrong").text
        c.login("fred")
        assert c.list("", "*") == ["INBOX", "seen"]
        c.bad("UNAUTHENTICATE")
        assert c.select("INBOX") == 0


def test_nothing_is_left(imapd):
    """Selection, identity, rights, names, telemetry, layers: all new; and each time again."""
    os.makedirs(imapd.path("config/log/fred"))
    os.makedirs(imapd.path("config/log/bob"))
    for user in ("fred", "bob"):
        with imapd.imap(user) as c:
            c.append("INBOX", message("%s's own" % user))
            c.append("INBOX", message("%s's second" % user), "\\Deleted")
    with imapd.connect() as c:
        for turn, user in enumerate(["fred", "bob"] * 3):
            c.ok(plain(user))
            assert b"UNAUTHENTICATE" in words(c)
            for command in ("FETCH 1 FLAGS", "CLOSE", "CHECK"):
                assert "select a mailbox" in c.bad(command).text
            assert c.list("", "*") == ["INBOX"]
            c.ok("STATUS INBOX (MESSAGES)")
            assert c.select("INBOX") == 2
            assert b"%s's own" % user.encode() in c.body(1)
            other = {"fred": "bob", "bob": "fred"}[user]
            c.no('SELECT "Other Users/%s"' % other)
            assert c.select("INBOX") == 2
            if turn % 2:
                c.compress()
            r = c.ok("UNAUTHENTICATE")
            assert not r.find(rb"EXPUNGE")
            if turn % 2:
                assert c.sock.into.unconsumed_tail == b""
                c.sock = c.sock.sock
        c.login("bob")
        assert c.select("INBOX") == 2  # nothing was expunged
    for user in ("fred", "bob"):
        folder = imapd.path("config/log/" + user)
        texts = [open(os.path.join(folder, f), "rb").read() for f in os.listdir(folder)]
        assert sum(user.encode() + b"'s own" in t for t in texts) == 4  # a file each time
        text = b"".join(texts)
        other = {"fred": b"bob", "bob": b"fred"}[user]
        assert text.count(b"AUTHENTICATE PLAIN") == 0 and other + b"'s own" not in text
        assert user.encode() + b"'s own" in text


def test_pipelined(imapd):
    """With the next AUTHENTICATE in one packet, and ended in the middle of IDLE's peer."""
    with imapd.connect() as c:
        c.ok(plain("fred"))
        c.select("INBOX")
        for user in ("bob", "fred", "bob"):
            c.send("u UNAUTHENTICATE\r\nv %s\r\nw LIST \"\" *\r\nx SELECT INBOX\r\n" % plain(user))
            assert c.finish("u").status == "OK"
            assert c.finish("v").status == "OK"
            assert c.finish("w").status == "OK"
            assert c.finish("x").status == "OK"
    with imapd.connect() as c:
        c.ok(plain("fred"))
        c.compress()
        c.send("u UNAUTHENTICATE\r\nw NOOP\r\n")  # more under the layer that ends
        assert c.finish("u").status == "OK"
        with pytest.raises((EOFError, ConnectionError)):
            c.finish("w")


@pytest.mark.slow  # under the sanitizers freed memory is kept
def test_many_turns_cost_nothing(imapd):
    """A thousand users over one connection: memory and entries in proc do not grow."""

    def memory():
        with open("/proc/%d/statm" % imapd.process.pid) as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    with imapd.connect() as c:
        for turn in range(600):
            c.send("v %s\r\nw SELECT INBOX\r\nu UNAUTHENTICATE\r\n" % plain(("fred", "bob")[turn % 2]))
            for tag in "vwu":
                assert c.finish(tag).status == "OK"
            if turn == 100:
                before = memory()
        assert memory() < before + 400 * 1024
        shown = imapd.path("config/proc/%d-imap" % imapd.process.pid)
        wait_for(lambda: not open(shown).read().replace("\0", ""))


def test_limits_begin_anew(imapd):
    """The limits of before login hold after it, failures count on."""
    with imapd.connect() as c:
        for _ in range(4):
            c.no("LOGIN fred wrong")
        c.ok(plain("fred"))
        c.ok("UNAUTHENTICATE")
        c.no("LOGIN fred wrong")
        with pytest.raises(EOFError):
            while True:
                c.read_line()


# ---- the frontend's pool ----


def sessions(node):
    """{session id: [users]} that logged in on a backend's imapd over the frontend, in order."""
    found = {}
    for line in node.log().splitlines():
        m = re.search(r'login\.ok.*user="?(\w+)"? authid="?%s' % PROXY, line)
        if m:
            found.setdefault(re.search(r"session=\"?([^\" ]+)", line).group(1), []).append(m.group(1))
    return found


@pytest.fixture(scope="module")
def stage():
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    murder = Murder(directory, network, backends=1)
    try:
        murder.start()
        for user in ("fred", "bob", "eve"):
            murder.add_user(user, 0)
            with murder.imap(user) as c:
                c.append("INBOX", message("%s's own" % user))
                c.append("INBOX", message("%s's deleted" % user), "\\Deleted")
        yield murder
    finally:
        murder.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


def served_since(node, before):
    """{session id: [users]}: those who came after sessions() was `before`."""
    later = {id: users[len(before.get(id, [])) :] for id, users in sessions(node).items()}
    return {id: users for id, users in later.items() if users}


def shown(node, user):
    """Sessions of a user in a backend's proc."""
    folder = node.path("config/proc")
    text = "".join(open(os.path.join(folder, f)).read() for f in os.listdir(folder))
    return len(re.findall("\t%s\t" % user, text))


def test_users_share_a_connection(stage):
    before = sessions(stage.be[0])
    for turn in range(4):
        for user in ("fred", "bob", "eve"):
            with stage.imap(user) as c:
                assert "select a mailbox" in c.bad("FETCH 1 FLAGS").text
                assert c.select("INBOX", "EXAMINE" if turn % 2 else "SELECT") == 2
                assert b"%s's own" % user.encode() in c.body(1)
                if turn < 2:
                    c.ok("LOGOUT")
    shared = served_since(stage.be[0], before)
    assert len(shared) <= 3 and max(len(set(u)) for u in shared.values()) >= 2, shared


@pytest.mark.slow  # for the five seconds after which a session counts as resting
def test_a_resting_session_gives_back(stage):
    """After STATUS, with nothing selected: the connection goes to whoever comes next; the session goes on."""
    be, before = stage.be[0], sessions(stage.be[0])
    with stage.imap("fred") as f, ExitStack() as others:
        f.ok("STATUS INBOX (MESSAGES)")
        (fred,) = served_since(be, before)
        wait_for(lambda: not shown(be, "fred"))
        while sessions(be)[fred][-1] != "bob":  # each takes one of the pool, which is empty in the end
            b = others.enter_context(stage.imap("bob"))
            b.ok("STATUS INBOX (MESSAGES)")
            assert shown(be, "bob") <= 20
        assert f.ok("STATUS INBOX (MESSAGES)").one(rb"MESSAGES 2")
        assert f.select("INBOX") == 2


def test_the_backend_restarts(stage):
    for user in ("fred", "bob"):
        with stage.imap(user) as c:
            c.select("INBOX")
    stage.be[0].stop()
    stage.be[0].start()
    for user in ("bob", "fred", "eve"):
        with stage.imap(user) as c:
            assert c.select("INBOX") == 2


class Scripted:
    """A backend that offers UNAUTHENTICATE, and does on it what the test says."""

    count = 0

    def __init__(self, murder, on_reset=None):
        self.murder, self.on_reset = murder, on_reset
        self.fake = Fake(murder.network.address(), self.handle, GREETING.replace(b"IDLE", b"IDLE UNAUTHENTICATE"))
        self.users = ["scripted%d%s" % (Scripted.count, x) for x in "ab"]
        Scripted.count += 1
        self.served = []  # who each SELECT was for
        for user in self.users:
            murder.add_user(user, mailbox=False)
            put(murder, self.fake, "user." + user)

    def handle(self, s, tag, text):
        if text.startswith("SELECT"):
            self.served.append(s.user)
        if text == "UNAUTHENTICATE" and self.on_reset is not None:
            return self.on_reset(s, tag)
        return None

    def select(self, user):
        with self.murder.imap(user) as c:
            r = c.command("SELECT INBOX")
            c.ok("LOGOUT")
        return r


def answer(text, hang_up=False):
    def reset(s, tag):
        s.send(text.replace("TAG", tag))
        if hang_up:
            raise Hangup
        return True

    return reset


@pytest.mark.parametrize(
    "reset, reused",
    [
        (None, True),
        (answer("* 9 EXISTS\r\n* 1 FETCH (BODY[] {9}\r\nTAG OK \r\n)\r\nTAG OK done\r\n"), True),
        (answer("P9 OK stray\r\n+ go\r\nTAG OK done\r\n"), True),
        (answer("* 1 FETCH (BODY[] {9}\r\nTAG OK \r\n"), False),
        (answer("TAG NO never\r\n"), False),
        (answer("TAG BAD what\r\n"), False),
        (answer("TAG OK done\r\n* 3 EXISTS\r\n"), False),
        (answer("TAG OK done\r\nTAG OK twice\r\n"), False),
        (answer("* BYE no\r\n", hang_up=True), False),
        (answer("", hang_up=True), False),
        (answer("TAG OK done\r\n", hang_up=True), False),
        (answer(""), False),
        (answer("* OK " + "x" * 100000 + "\r\nTAG OK\r\n"), False),
    ],
    ids="plain dropped stray literal no bad unread twice bye closed closed-after silent flood".split(),
)
def test_what_a_backend_says_to_it(stage, reset, reused):
    s = Scripted(stage, reset)
    try:
        order = [s.users[0], s.users[1], s.users[0]]
        for turn, user in enumerate(order):
            r = s.select(user)
            assert r.status == "OK" and r.find(rb"^\* 3 EXISTS"), r
            assert not r.find(rb"9 EXISTS|FETCH|stray"), r
            wait_for(lambda: len(s.fake.commands("^UNAUTHENTICATE")) > turn)
        n = len(s.fake.sessions)
        assert n == 3 if not reused else n < 3, n
        assert s.served == order
    finally:
        s.fake.close()
    assert s.fake.errors == []


def test_a_hung_backend(stage):
    """Connections of the pool whose server stops cost the next user one timeout, and no one else his session."""
    for node in stage.fe:
        node.stop()
        node.conf["client_timeout"] = "1s"
        node.start()
    for user in ("fred", "bob"):
        with stage.imap(user) as c:
            c.select("INBOX")
            c.ok("LOGOUT")
    pids = stage.be[0].processes("imapd")
    with stage.imap("fred") as c:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert "UNAVAILABLE" in c.no("SELECT INBOX").text
            c.ok("NOOP")
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        wait_for(lambda: c.command("SELECT INBOX").status == "OK")
        assert b"fred's own" in c.body(1)
