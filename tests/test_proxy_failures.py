"""The frontend between clients and backends that misbehave: scripted backends, stopped and killed ones."""

import os
import re
import shutil
import signal
import tempfile
import threading
import time

import pytest

from iatlas import Murder, message, net
from iatlas.fake import GREETING, Fake, Hangup, put
from iatlas.node import ADMIN

TICKS = os.sysconf("SC_CLK_TCK")


class Stage:
    """A murder with one real backend; each test adds a backend of its own, with a user on it."""

    def __init__(self, murder, network):
        self.murder, self.network = murder, network
        self.fakes, self.count = [], 0

    def user(self, name):
        """A login, and an INBOX on the real backend."""
        self.murder.add_user(name, 0)

    def fake(self, handler=None, **kw):
        self.fakes.append(Fake(self.network.address(), handler, **kw))
        return self.fakes[-1]

    def put(self, fake, name, acl=None):
        put(self.murder, fake, name, acl)

    def client(self, handler=None, **kw):
        """A new user whose INBOX is on a new fake backend: the client and the backend."""
        self.count += 1
        name = "user%d" % self.count
        fake = self.fake(handler, **kw)
        self.murder.add_user(name, mailbox=False)
        self.put(fake, "user." + name)
        fake.user = name
        return self.murder.imap(name), fake

    # ---- the frontend's process ----

    def pid(self):
        return self.murder.fe[0].processes("proxyd")[0]

    def cpu(self, seconds=1.0):
        """CPU seconds that the frontend uses in that time."""

        def used():
            with open("/proc/%d/stat" % self.pid()) as f:
                return sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:13]) / TICKS

        before = used()
        time.sleep(seconds)
        return used() - before

    def memory(self):
        with open("/proc/%d/statm" % self.pid()) as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid()))


@pytest.fixture(scope="module")
def module_stage():
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    murder = Murder(directory, network, backends=1)
    try:
        murder.start()
        murder.imap(ADMIN).close()  # proxyd runs
        yield Stage(murder, network)
    finally:
        murder.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def stage(module_stage):
    pid = module_stage.pid()
    yield module_stage
    errors = [e for f in module_stage.fakes for e in f.errors]
    for f in module_stage.fakes:
        f.close()
    module_stage.fakes.clear()
    assert module_stage.pid() == pid, "the frontend died"
    assert errors == []


def wait_for(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_away(response):
    assert response.status == "NO" and "UNAVAILABLE" in response.text, response


def select(c):
    assert c.select("INBOX") == 3


# ---- what a backend may say ----


@pytest.mark.parametrize(
    "greeting",
    [b"", b"220 mail.example.org ESMTP\r\n", b"* BYE too busy\r\n", b"x" * 200000, b"* OK\0\r\n", b"* NO\r\n", b"\r\n" * 9],
    ids=["closed", "smtp", "bye", "long", "nul", "no", "empty"],
)
def test_greeting(stage, greeting):
    def greet(s, tag, text):
        raise Hangup

    c, fake = stage.client(greet, greeting=GREETING if greeting == b"" else greeting)
    with c:
        if greeting == b"":
            fake.close()
        is_away(c.command("SELECT INBOX"))
        is_away(c.command("STATUS INBOX (MESSAGES)"))
        c.ok("NOOP")


def test_death_at_each_byte_of_an_answer(stage):
    whole = b"* 1 FETCH (UID 7 BODY[] {11}\r\nP1 OK done\n FLAGS ())\r\n* 3 EXISTS\r\n"
    cut = [0]

    def fetch(s, tag, text):
        if text.startswith("FETCH"):
            s.send((whole + tag.encode() + b" OK done\r\n")[: cut[0]])
            raise Hangup

    literal = whole.index(b"\r\n") + 2, whole.index(b"())\r\n") + 5
    c, fake = stage.client(fetch)
    for cut[0] in range(len(whole) + len("P1 OK done")):
        with stage.murder.imap(fake.user) as c:
            select(c)
            if literal[0] <= cut[0] < literal[1]:
                with pytest.raises(EOFError):  # nothing can be said any more: the connection ends
                    c.command("FETCH 1 BODY[]")
            else:
                is_away(c.command("FETCH 1 BODY[]"))
                c.ok("NOOP")


@pytest.mark.parametrize(
    "words",
    [
        b"nonsense\r\n",
        b"\r\n",
        b"+ what\r\n",
        b"* BYE gone\r\n",
        b"* \r\n",
        b"* 12\r\n",
        b"P999 OK not yours\r\n",
        b"P1 OK again\r\n",
        b"P-1 OK\r\n",
        b"a1 OK forged\r\n",
        b"P2 LIST\r\n",
        b"\0\0\0\r\n",
        b"* 1 FETCH (BODY[] {99999999999999999999}\r\n",
        b"P2 OK " + b"x" * 100000 + b"\r\n",
    ],
)
def test_nonsense_in_an_answer(stage, words):
    def fetch(s, tag, text):
        if text.startswith("FETCH") and len(fake.sessions) == 1:
            s.send(words)
            return True

    c, fake = stage.client(fetch)
    with c:
        select(c)
        assert not is_away(c.command("FETCH 1 FLAGS"))
        is_away(c.command("FETCH 1 FLAGS"))
        select(c)
        c.ok("FETCH 1 FLAGS")


@pytest.mark.parametrize("words", [b"nonsense\r\n", b"P1 OK again\r\n", b"+ what\r\n", b"* 1 EXPUNGE\r\n", b"* 1 FETCH (X {5}\r\nab"])
def test_nonsense_between_commands(stage, words):
    c, fake = stage.client()
    with c:
        select(c)
        fake.sessions[0].send(words)
        time.sleep(0.2)
        try:
            is_away(c.command("FETCH 1 FLAGS"))
        except EOFError:
            assert b"{" in words
            return
        assert stage.cpu(0.5) < 0.25


def test_huge_line_and_text_that_looks_like_a_literal(stage):
    numbers = b" ".join(b"%d" % i for i in range(300000))

    def search(s, tag, text):
        if text.startswith("SEARCH"):
            s.send(b"* SEARCH " + numbers + b"\r\n")
            s.ok(tag, "found {7}")
            return True

    c, fake = stage.client(search)
    with c:
        select(c)
        c.send("x1 SEARCH ALL\r\n")
        assert c.read_line() == b"* SEARCH " + numbers
        assert c.read_line() == b"x1 OK found {7}"
        c.ok("FETCH 1 FLAGS")


def test_only_the_selection_speaks_of_messages(stage):
    def status(s, tag, text):
        if text.startswith("STATUS"):
            s.send("* 9 EXISTS\r\n* 1 EXPUNGE\r\n* CAPABILITY X\r\n* OK [CAPABILITY X] x\r\n* FLAGS (x)\r\n")

    stage.user("sel")
    fake = stage.fake(status)
    stage.put(fake, "user.sel.away")
    with stage.murder.imap("sel") as c:
        assert c.select("INBOX") == 0
        assert [u.split()[1] for u in c.ok("STATUS away (MESSAGES)").untagged] == [b"STATUS"]


def test_expunge_is_not_told_out_of_place(stage):
    def handler(s, tag, text):
        if re.match("(UID )?(FETCH|STORE|SEARCH)|NOOP|CLOSE", text):
            s.send("* 1 EXPUNGE\r\n")

    c, fake = stage.client(handler)
    with c:
        for command in ("FETCH 1 FLAGS", "STORE 1 +FLAGS (x)", "SEARCH ALL"):
            select(c)
            r = c.command(command)
            assert not r.find(b"EXPUNGE")
            is_away(r)
        select(c)
        assert len(c.ok("UID FETCH 1 FLAGS").find(b"EXPUNGE")) == 1
        assert len(c.ok("NOOP").find(b"EXPUNGE")) == 1
        assert c.ok("CLOSE").untagged == []


# ---- connections that end ----


@pytest.mark.parametrize("farewell", [b"", b"* BYE idle for too long\r\n", b"* OK news\r\n* BYE now\r\n"])
def test_kept_connection_is_renewed(stage, farewell):
    c, fake = stage.client()
    with c:
        for i in range(1, 4):
            c.ok("STATUS INBOX (MESSAGES)")
            assert len(fake.sessions) == i
            assert fake.sessions[-1].user == fake.user
            fake.sessions[-1].send(farewell)
            fake.sessions[-1].drop()
            time.sleep(0.05)


def lose_selection(c, fake):
    select(c)
    fake.sessions[-1].send("* BYE crashed\r\n")
    fake.sessions[-1].drop()


def test_selection_is_lost_until_the_client_selects_again(stage):
    c, fake = stage.client()
    with c:
        lose_selection(c, fake)
        for command in ("FETCH 1 FLAGS", "UID SEARCH ALL", "COPY 1 INBOX", "IDLE", "CHECK", "CLOSE", "UNSELECT"):
            is_away(c.command(command))
        assert c.ok("NOOP").find(rb"^\* NO \[UNAVAILABLE\]")
        c.ok("STATUS INBOX (MESSAGES)")
        is_away(c.command("FETCH 1 FLAGS"))
        select(c)
        c.ok("FETCH 1 FLAGS")


def test_selection_is_lost_at_the_very_moment(stage):
    """A command that arrives together with the end must not reach a new connection without the selection."""
    c, fake = stage.client()
    with c:
        for _ in range(20):
            lose_selection(c, fake)
            is_away(c.command("FETCH 1 FLAGS"))
            r = c.command("NOOP")
            assert r.status == "OK" and r.find(rb"UNAVAILABLE")
    starts = [t for t in fake.seen if t.startswith("FETCH")]
    assert len(starts) <= 20


def test_selection_is_lost_in_idle(stage):
    c, fake = stage.client()
    with c:
        select(c)
        tag = c.start("IDLE")
        assert c.read_line().startswith(b"+")
        fake.sessions[0].send("* 4 EXISTS\r\n* 1 EXPUNGE\r\n")
        assert [c.read_line(), c.read_line()] == [b"* 4 EXISTS", b"* 1 EXPUNGE"]
        fake.sessions[0].drop()
        assert c.read_line().startswith(b"* NO [UNAVAILABLE]")
        assert stage.cpu(0.5) < 0.25
        c.send("DONE\r\n")
        is_away(c.finish(tag))
        is_away(c.command("IDLE"))
        select(c)


@pytest.mark.slow
def test_idle_is_tried(make_murder, network):
    """A backend that is silent in IDLE for long must answer to a new one, unseen by the client; one that does not has gone."""
    slow = threading.Event()

    def idle(s, tag, text):
        if text != "IDLE":
            return False
        count = len(fake.commands("IDLE"))
        if count == 2:
            slow.wait(20)  # then the client's DONE must wait for the "+"
        if count == 4:
            s.line()
            time.sleep(20)
        s.send("+ idling\r\n* %d EXISTS\r\n" % (count + 3))
        assert s.line() == b"DONE"
        s.ok(tag)
        return True

    stage = Stage(make_murder(backends=1, conf={"backend_timeout": "1s"}), network)
    c, fake = stage.client(idle)
    with c:
        select(c)
        began = time.monotonic()
        tag = c.start("IDLE")
        assert c.read_line().startswith(b"+")
        assert c.read_line() == b"* 4 EXISTS"
        wait_for(lambda: len(fake.commands("IDLE")) == 2, "not tried")
        assert 4.5 < time.monotonic() - began < 8
        c.send("DONE\r\n")
        time.sleep(0.3)
        slow.set()
        r = c.finish(tag)
        assert r.status == "OK" and r.untagged == [b"* 5 EXISTS"]
        c.ok("FETCH 1 FLAGS")
        tag = c.start("IDLE")
        assert [c.read_line()[:1], c.read_line()] == [b"+", b"* 6 EXISTS"]
        wait_for(lambda: len(fake.commands("IDLE")) == 4, "not tried")
        assert c.read_line().startswith(b"* NO [UNAVAILABLE]")
        assert 10 < time.monotonic() - began < 16
        c.send("DONE\r\n")
        is_away(c.finish(tag))
    for f in stage.fakes:
        f.close()
        assert f.errors == []


# ---- who reads nothing ----


def test_client_that_reads_nothing(stage):
    """Neither a busy loop nor memory: FETCH, IDLE and LIST with a full pipe to the client."""
    size = 12 * 1024 * 1024

    def handler(s, tag, text):
        if text.startswith("FETCH"):
            s.send("* 1 FETCH (BODY[] {%d}\r\n" % size)
            for _ in range(size // 65536):
                s.send(b"x" * 65536)
            s.send(")\r\n")
            s.ok(tag)
            return True
        if text == "IDLE":
            s.send("+ idling\r\n" + "* 4 EXISTS\r\n" * 500000)
            s.line()
            s.ok(tag)
            return True

    c, fake = stage.client(handler)
    with c, stage.murder.imap(fake.user) as idler:
        select(c)
        select(idler)
        before = stage.memory()
        tag = c.start("FETCH 1 BODY[]")
        idle = idler.start("IDLE")
        wait_for(lambda: stage.cpu(1.5) < 0.4, "a busy loop")
        assert stage.memory() < before + 8 * 1024 * 1024
        r = c.finish(tag)
        assert r.status == "OK" and len(r.untagged[0]) > size
        idler.send("DONE\r\n")
        assert idler.finish(idle).status == "OK"


def test_news_of_the_selection_while_another_server_is_awaited(stage):
    go = threading.Event()

    def slow(s, tag, text):
        if text.startswith("STATUS"):
            go.wait(10)

    c, fake = stage.client()
    other = stage.fake(slow)
    stage.put(other, "user.%s.away" % fake.user)
    with c:
        select(c)
        tag = c.start("STATUS away (MESSAGES)")
        fake.sessions[0].send("* 4 EXISTS\r\n")
        assert stage.cpu(1) < 0.3
        go.set()
        r = c.finish(tag)
        assert r.status == "OK" and r.find(b"^. 4 EXISTS") and r.find(b"STATUS")


def test_answers_that_nobody_awaits(stage):
    """The server of the mailbox selected before goes on talking."""

    def unselect(s, tag, text):
        if text == "UNSELECT":
            s.send("* 5 EXISTS\r\n" * 1000)

    c, fake = stage.client(unselect)
    other = stage.fake()
    stage.put(other, "user.%s.away" % fake.user)
    with c:
        for _ in range(3):
            select(c)
            assert c.select("away") == 3
        assert stage.cpu(1) < 0.3
        fake.sessions[0].send("* 5 EXISTS\r\n")
        assert c.ok("NOOP").untagged == []


def upload(c, literal):
    """Sends an APPEND in the background: its answer, after all of it has been sent."""
    c.count += 1
    tag = "a%d" % c.count

    def send():
        try:
            c.send(b"%s APPEND INBOX {%d+}\r\n" % (tag.encode(), len(literal)))
            c.send(literal)
            c.send("\r\n")
        except OSError:
            pass

    thread = threading.Thread(target=send, daemon=True)
    thread.start()

    def answer():
        r = c.finish(tag)
        thread.join()
        return r

    return answer


BIG = b"Subject: big\r\n\r\n" + b"z DELETE INBOX\r\n" * 1000000


def test_backend_that_reads_nothing(stage):
    go = threading.Event()

    def append(s, tag, text):
        if text.startswith("APPEND"):
            go.wait(20)

    c, fake = stage.client(append)
    with c:
        before = stage.memory()
        answer = upload(c, BIG)
        time.sleep(0.5)
        assert stage.cpu(1) < 0.3
        assert stage.memory() < before + 4 * 1024 * 1024
        go.set()
        assert answer().status == "OK"
        assert fake.seen[-1] == "APPEND INBOX <%s>" % BIG.decode()


def test_backend_that_talks_instead_of_reading(stage):
    """Both pipes full at once."""

    def append(s, tag, text):
        if text.startswith("APPEND"):
            s.send(b"* OK still there\r\n" * 500000)

    c, fake = stage.client(append)
    with c:
        r = upload(c, BIG)()
        assert r.status == "OK" and len(r.untagged) == 500000


def test_refusal_in_the_middle_of_a_message(stage):
    """What is left of the message must not be taken for commands."""

    def append(s, tag, text):
        if text.startswith("APPEND"):
            s.bytes(100000)
            s.no(tag, "[OVERQUOTA] full")
            return True

    c, fake = stage.client(append)
    with c:
        r = upload(c, BIG)()
        assert r.status == "NO"
        assert c.ok("STATUS INBOX (MESSAGES)").untagged
        assert len(fake.sessions) == 2


def test_backend_that_dies_in_an_upload(stage):
    def append(s, tag, text):
        if text.startswith("APPEND"):
            s.bytes(1000)
            raise Hangup

    c, fake = stage.client(append)
    with c:
        is_away(upload(c, BIG)())
        # also while the client says nothing
        c.send("x1 APPEND INBOX {100000+}\r\n" + "x" * 2000)
        time.sleep(0.2)
        assert stage.cpu(0.5) < 0.25
        c.send("x" * 98000 + "\r\n")
        is_away(c.finish("x1"))
        c.ok("NOOP")


# ---- what a client may say ----


def test_literals_behind_a_bare_lf(stage):
    c, fake = stage.client()
    with c:
        select(c)
        c.send("x1 SEARCH SUBJECT {23+}\nfoo\r\nx DELETE INBOX\r\nbar BODY y\n")
        assert c.finish("x1").status == "OK"
        assert fake.seen[-1] == "SEARCH SUBJECT <foo\r\nx DELETE INBOX\r\nba>r BODY y"


def test_commands_behind_an_open_quote(stage):
    c, fake = stage.client()
    with c:
        select(c)
        seen = len(fake.seen)
        for text in ('SEARCH SUBJECT "x {17+}\r\n\r\nP3 DELETE INBOX', 'STATUS "INBOX {3+}\r\nabc" (MESSAGES)'):
            c.bad(text)
        assert len(fake.seen) == seen
        c.ok('SEARCH SUBJECT "a\\"b\\\\"')
        assert fake.seen[-1] == 'SEARCH SUBJECT "a\\"b\\\\"'


def test_client_that_leaves(stage):
    """In the middle of each kind of command: nothing of it stays."""
    hold = threading.Event()

    def handler(s, tag, text):
        if text.startswith("FETCH"):
            s.send("* 1 FETCH (BODY[] {100000000}\r\n" + "x" * 1000000)
            hold.wait(5)
            raise Hangup

    c, fake = stage.client(handler)
    stage.user("leaver")
    c.close()
    wait_for(lambda: stage.cpu(0.2) < 0.1, "busy")
    before = stage.descriptors()
    for command in (
        "SELECT INBOX\r\n",
        "FETCH 1 BODY[]\r\n",
        "APPEND INBOX {100000+}\r\n" + "x" * 5000,
        "APPEND INBOX {10",
        "IDLE\r\n",
        "STATUS INBOX (MESSAGES)\r\nx NOOP\r\nx FETCH 1 BODY[]\r\n",
        'COPY 1:3 "Other Users/leaver"\r\n',
    ):
        for wait in (0, 0.1):
            c = stage.murder.imap(fake.user)
            select(c)
            c.send("y " + command)
            time.sleep(wait)
            c.close()
    hold.set()
    wait_for(lambda: stage.descriptors() <= before, "descriptors stay open")


# ---- copies from and to such a backend ----


def copy_source(date="01-Jan-2026 00:00:00 +0000", body=b"hello", size=5, flags="\\Seen"):
    def handler(s, tag, text):
        if text == "FETCH 1:3 (UID)":
            s.send("* 1 FETCH (UID 11)\r\n* 2 FETCH (UID 12)\r\n* 3 FETCH (UID 13)\r\n")
        elif "RFC822.SIZE" in text:
            quoted = date if date.startswith("{") else '"%s"' % date
            for i in (1, 2, 3):
                s.send("* %d FETCH (UID 1%d FLAGS (%s) INTERNALDATE %s RFC822.SIZE %d)\r\n" % (i, i, flags, quoted, size))
        elif "BODY.PEEK" in text:
            for i in (1, 2, 3):
                b = body[i - 1] if isinstance(body, list) else body
                if b is None:
                    raise Hangup
                s.send(b"* 7 EXISTS\r\n* %d FETCH (UID 1%d BODY[] {%d}\r\n%s)\r\n" % (i, i, len(b), b))
        else:
            return False
        s.ok(tag)
        return True

    return handler


@pytest.mark.parametrize(
    "source, status",
    [
        (dict(), "OK"),
        (dict(date='01-Jan-2026" {3+}\r\nabc\r\nz DELETE user/target\r\n'), "NO"),
        (dict(date="{39}\r\n01-Jan-2026\" {3+}\r\nabc\r\nz DELETE INBOX\r\n"), "NO"),
        (dict(size=6), "NO"),
        (dict(size=4), "NO"),
        (dict(body=[b"hello", b"hello", None]), "NO"),
        (dict(body=[b"hello", b"hello", b"hell"]), "NO"),
        (dict(flags="\\Seen) {1+} x"), "NO"),
    ],
    ids=["good", "quote", "literal", "bigger", "smaller", "dies", "short", "flags"],
)
def test_copy_from(stage, source, status):
    c, fake = stage.client(copy_source(**source))
    target = "target%d" % stage.count
    stage.user(target)
    with c, stage.murder.imap(target) as t:
        t.ok("SETACL INBOX %s lrswipkxte" % fake.user)
        select(c)
        assert c.command('COPY 1:3 "Other Users/%s"' % target).status == status
        assert t.select("INBOX") == (3 if status == "OK" else 0)
        c.ok("NOOP")


@pytest.mark.parametrize("refused", [1, 3])
def test_copy_to_is_undone(stage, refused):
    count = [0]

    def append(s, tag, text):
        if text.startswith("APPEND"):
            s.rest_of(text.encode())
            count[0] += 1
            if count[0] == refused:
                s.no(tag, "[OVERQUOTA] full")
            else:
                s.ok(tag, "[APPENDUID 9 %d] done" % (100 + count[0]))
            return True

    fake = stage.fake(append)
    user = "source%d" % refused
    stage.user(user)
    stage.put(fake, "user.%s.away" % user)
    with stage.murder.imap(user) as c:
        for _ in range(3):
            c.append("INBOX", message())
        c.select("INBOX")
        for _ in range(2):  # and once more: nothing of the first stays behind
            count[0] = 0
            fake.seen.clear()
            assert "OVERQUOTA" in c.no("COPY 1:3 away").text
            undo = [] if refused == 1 else ["SELECT away", "UID STORE 101:102 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 101:102"]
            assert [x.replace("INBOX/", "") for x in fake.seen if not x.startswith("APPEND")] == undo
        assert c.uids() == [1, 2, 3]


# ---- real backends, stopped and killed ----


def test_stopped_and_killed_backend(make_murder):
    murder = make_murder()
    murder.add_user("anna", 0)
    murder.add_user("ben", 1)
    with murder.imap("anna") as anna, murder.imap("ben") as ben, murder.imap("ben") as idler:
        for c in (ben, idler):
            c.append("INBOX", message())
            c.select("INBOX")
        idle = idler.start("IDLE")
        assert idler.read_line().startswith(b"+")
        frozen = murder.be[1].processes("imapd")
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            tag = ben.start("FETCH 1 FLAGS")
            for _ in range(20):
                anna.append("INBOX", message())
                anna.select("INBOX")
                anna.ok("FETCH 1:* (FLAGS ENVELOPE)")
                with murder.imap("anna") as again:
                    again.select("INBOX")
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert ben.finish(tag).status == "OK"
        for pid in frozen:
            os.kill(pid, signal.SIGKILL)
        while not (line := idler.read_line()).startswith(b"* NO [UNAVAILABLE]"):
            assert line.startswith(b"* ")
        idler.send("DONE\r\n")
        is_away(idler.finish(idle))
        is_away(ben.command("FETCH 1 FLAGS"))
        for c in (ben, idler):
            wait_for(lambda: c.command("SELECT INBOX").status == "OK", "the backend does not come back")
            c.ok("FETCH 1 FLAGS")


@pytest.mark.slow
def test_descriptors_of_many_sessions(make_murder):
    murder = make_murder(conf={"proxy_pool_size": "1"})
    murder.add_user("anna", 0)
    murder.add_user("ben", 1)
    with murder.imap("ben") as ben:
        ben.ok("SETACL INBOX anna lrswipkxte")
    stage = Stage(murder, None)
    nodes = [(murder.fe[0], "proxyd"), (murder.be[0], "imapd"), (murder.be[1], "imapd")]

    def count():
        return [sum(len(os.listdir("/proc/%d/fd" % p)) for p in n.processes(name)) for n, name in nodes]

    def one():
        c = murder.imap("anna")
        c.select('"Other Users/ben"')
        c.ok('STATUS "INBOX" (MESSAGES)')
        c.select("INBOX")
        return c

    one().close()
    time.sleep(0.5)
    before = count()
    clients = [one() for _ in range(200)]
    proxyd, be1, be2 = (a - b for a, b in zip(count(), before))
    assert 400 <= proxyd <= 610, "one connection per user and server"
    assert be1 <= 450 and be2 <= 450
    # that to the server without the selection is given back
    wait_for(lambda: count()[0] - before[0] <= 410, "connections that nobody needs are kept")
    assert stage.cpu(1) < 0.2
    for c in clients:
        c.close()
    wait_for(lambda: all(a <= b + 3 for a, b in zip(count(), before)), "descriptors stay open: %r %r" % (before, count()))


# ---- what a backend lacks ----


def test_words_that_a_backend_does_not_know(stage):
    """BAD for what the client was offered: the reason is the server's want, not the client's grammar."""

    def bad(s, tag, text):
        if "EXPUNGE" in text or "FETCH" in text:
            s.send("%s BAD what\r\n" % tag)
            return True

    c, fake = stage.client(bad, greeting=GREETING.replace(b" UIDPLUS", b""))
    with c:
        select(c)
        assert c.no("UID EXPUNGE 1").text == "[CANNOT] Server %s does not have UIDPLUS" % fake.name
        assert c.bad("EXPUNGE").text == "what"
        assert c.bad("UID FETCH 1 FLAGS").text == "what"
        c.ok("NOOP")
