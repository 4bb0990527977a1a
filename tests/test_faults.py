"""A murder under load whose processes are killed and stopped, whose disks fill up, whose machines are cut off and lose
their power: what was acknowledged is there, every list says the same, and nobody had to do anything.

IATLAS_SEED decides what happens, IATLAS_STORM how long it rages (seconds; an hour by hand)."""

import collections
import contextlib
import glob
import json
import math
import os
import random
import shutil
import signal
import socket
import tempfile
import time

import pytest

from iatlas import faults, message, storm
from iatlas.mupdate import Mupdate
from iatlas.node import ADMIN

WHY_NOT = faults.available()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

SEED = os.environ.get("IATLAS_SEED") or str(random.randrange(1 << 32))
SECONDS = float(os.environ.get("IATLAS_STORM", 60))
# Times that are minutes by default: a test has no patience.
CONF = {"client_timeout": "3s", "lmtptxn_timeout": "6s", "backend_timeout": "6s"}


@contextlib.contextmanager
def victim(**kw):
    """A murder that runs; this thread is in its network meanwhile."""
    directory = tempfile.mkdtemp(prefix="ia-")
    murder = faults.Victim(directory, **kw)
    try:
        with murder.hub.inside():
            yield murder.start()
    finally:
        murder.cleanup()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


def wait_for(condition, patience=30):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


# ---- what every list says ----


def acl_of(text):
    words = text.split("\t")
    return dict(zip(words[::2], words[1::2]))


def told(node):
    """name -> (location, ACL) as a MUPDATE server lists it; what is reserved under its location alone."""
    with Mupdate(node.address).login() as c:
        lines = c.ok("LIST")
    return {line[2]: (line[3], acl_of(line[4]) if line[1] == "MAILBOX" else "reserved") for line in lines}


def own(node):
    """The same of a backend's own list."""
    found = json.loads(node.command("ctl_mboxlist", "-d").stdout)
    return {n: ("%s!%s" % (node.servername, r["partition"]), r["acl"]) for n, r in found.items()}


def differences(murder):
    """What the lists do not agree in."""
    everywhere = {}
    for node in murder.be:
        for name, entry in own(node).items():
            if name in everywhere:
                return "%s is on two backends" % name
            everywhere[name] = entry
    for node in (murder.m, *murder.fe):
        there = told(node)
        if there != everywhere:
            names = [n for n in {*there, *everywhere} if there.get(n) != everywhere.get(n)]
            return {n: (node.name, there.get(n), "backends", everywhere.get(n)) for n in names[:5]}
    return None


def converge(murder, patience=60):
    """Seconds until every list says the same."""
    began = time.monotonic()
    while True:
        try:
            difference = differences(murder)
        except (OSError, EOFError) as e:
            difference = e
        if difference is None:
            return time.monotonic() - began
        assert time.monotonic() < began + patience, difference
        time.sleep(0.2)


def wait_served(murder, users):
    """Every frontend reaches every user's backend again: it leaves one that did not answer alone for ten seconds at most."""
    for frontend in range(len(murder.fe)):
        for user in users:
            with murder.imap(user, frontend) as c:
                wait_for(lambda: c.command("SELECT INBOX").status == "OK", 15)


def is_sound(node, lost_power):
    """Nothing is to be mended.  A loss of power leaves the cache, which is never synced and heals where it is read, and files of
    messages that were never acknowledged."""
    harmless = ("damaged cache entries", "message files without a record") if lost_power else ()
    found = node.command("reconstruct", "-q", "-G", "-n", check=False).stdout.splitlines()
    assert [x for x in found if not x.endswith(harmless)] == []
    node.command("quota", "-f", "-q")
    assert node.command("quota", "-f", "-q").stdout == ""
    assert node.command("ctl_mboxlist", "-m", "-w").stdout == ""


# ---- a server that says nothing ----


def freeze(murder, node):
    pids = node.processes("imapd") + node.processes("lmtpd")
    faults.send(pids, signal.SIGSTOP)
    return lambda: faults.send(pids, signal.SIGCONT)


def black_hole(murder, node):
    node.cut(murder.fe[0])
    murder.fe[0].cut(node)

    def heal():
        node.heal(murder.fe[0])
        murder.fe[0].heal(node)

    return heal


BYSTANDER = 15  # rounds, each far below a second unless it waits for the other backend


@pytest.mark.parametrize("hurt", [freeze, black_hole])
def test_silent_backend(hurt):
    """Nobody waits for longer than is written; the other backend's mailboxes are served as ever; and all is well afterwards."""
    conf = {"client_timeout": "1s", "backend_timeout": "1s", "lmtptxn_timeout": "1s"}
    with victim(backends=2, frontends=1, conf=conf) as murder:
        murder.add_user("anna", 0)
        murder.add_user("ben", 1)
        waiting, idling, resting, leaving = (murder.imap("ben") for _ in range(4))
        for c in (waiting, idling, resting, leaving):
            c.append("INBOX", message())
            c.select("INBOX")
        idle = idling.start("IDLE")
        assert idling.read_line().startswith(b"+")
        heal = hurt(murder, murder.be[1])
        began = time.monotonic()
        try:
            tag = waiting.start("FETCH 1 BODY[]")
            leaving.start("FETCH 1 BODY[]")
            leaving.close()
            for _ in range(BYSTANDER):
                with murder.imap("anna") as anna:
                    anna.append("INBOX", message())
                    anna.select("INBOX")
                with murder.lmtp() as lmtp:
                    assert lmtp.deliver("x@y.org", ["anna"], message())[0][0] == 250
            bystander = time.monotonic() - began
            assert waiting.finish(tag).status == "NO"
            assert 0.9 < time.monotonic() - began < 30
            began = time.monotonic()
            assert resting.command("STORE 1 +FLAGS (x)").status == "NO"
            assert resting.command("SELECT INBOX").status == "NO"
            with murder.lmtp() as lmtp:
                assert [code for code, _ in lmtp.deliver("x@y.org", ["ben", "anna"], message())] == [451, 250]
            assert time.monotonic() - began < 30
            while not (line := idling.read_line()).startswith(b"* NO [UNAVAILABLE]"):
                assert line.startswith(b"* ")
            idling.send("DONE\r\n")
            assert idling.finish(idle).status == "NO"
            wait_for(lambda: connections(murder.fe[0], "proxyd", murder.be[1]) == 0)
        finally:
            heal()
        assert bystander < BYSTANDER
        for c in (waiting, idling, resting):
            wait_for(lambda: c.command("SELECT INBOX").status == "OK")
            c.ok("FETCH 1 FLAGS")
            c.close()


def connections(node, program, peer):
    """How many a program has to (or from) another node."""
    (pid,) = node.processes(program)[:1]
    own = set()
    for fd in glob.glob("/proc/%d/fd/*" % pid):
        with contextlib.suppress(FileNotFoundError):  # closed since
            own.add(os.readlink(fd))
    address = "%08X" % int.from_bytes(socket.inet_aton(peer.address), "little")
    with open("/proc/%d/net/tcp" % pid) as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return sum(r[2].startswith(address) and r[3] == "01" and "socket:[%s]" % r[9] in own for r in rows)


def test_silent_subscribers():
    """A slave and a backend whose machines are gone without a word: the master lets go of them, and they come back."""
    probes = {"tcp_keepalive_idle": "1s", "tcp_keepalive_intvl": "1s", "tcp_keepalive_cnt": "2"}
    with victim(backends=1, frontends=1, conf=probes) as murder:
        murder.add_user("anna", 0)
        there = lambda node: connections(murder.m, "mupdate", node)  # noqa: E731
        nodes = (murder.be[0], murder.fe[0])
        assert all(there(n) for n in nodes)
        for node in nodes:
            node.link(False)
        wait_for(lambda: not any(there(n) for n in nodes), 10)
        for node in nodes:
            node.link(True)
        wait_for(lambda: all(there(n) for n in nodes))
        with murder.imap("anna") as c:
            c.ok("CREATE new")
            c.ok("SELECT new")


# ---- the storm ----


def load(murder, s):
    """Users on both backends, and what they do."""
    for i in (0, 1):
        murder.add_user("in%d" % i, i)
        murder.add_user("to%d" % i, i)
        murder.add_user("w%d" % i, i)
        murder.add_user("far%d" % i, 1 - i)
        with murder.imap("far%d" % i) as c:
            c.ok("SETACL INBOX w%d lrswipkxte" % i)
        with murder.imap("w%d" % i) as c:
            c.ok("CREATE a")
        with murder.imap(ADMIN) as c:
            for user in ("in%d" % i, "w%d" % i):
                c.ok("SETQUOTA user/%s (STORAGE 1000000)" % user)
    murder.add_user("reader", mailbox=False)
    for i in (0, 1):
        boxes = ["INBOX", "a", '"Other Users/far%d"' % i]
        s.actors.append(storm.Deliverer(s, "mta%d" % i, ["in0", "in1", "to0", "to1"]))
        s.actors.append(storm.Writer(s, "writer%d" % i, "w%d" % i, boxes))
        s.actors.append(storm.Reader(s, "reader%d" % i, "w%d" % i, boxes))
        s.actors.append(storm.Administrator(s, "admin%d" % i, murder.names))


def check_delivered(murder, s):
    """Acknowledged: there.  Duplicate suppression forgets nothing but by a loss of power."""
    expected = collections.defaultdict(set)
    for a in s.of(storm.Deliverer):
        for user, token in a.acknowledged:
            expected[user].add(token)
    second = 0
    for user, tokens in expected.items():
        with murder.imap(user) as c:
            found = storm.read_box(c, "INBOX").values()
        count = collections.Counter(token for token, _, _ in found)
        assert all(whole for _, _, whole in found)
        assert not tokens - set(count), "acknowledged and lost: %r" % (tokens - set(count))
        second += sum(count.values()) - len(count)
    assert second == 0 or s.chaos.counts["power loss"], "%d messages came twice" % second
    return second


def check(murder, s):
    """That everything is as it was acknowledged; what came twice."""
    converged = converge(murder)
    wait_served(murder, ["in0", "in1", "to0", "to1", "w0", "w1", "far0", "far1"])
    twice = {"second deliveries": check_delivered(murder, s), "second copies": 0}
    for writer in s.of(storm.Writer):
        with murder.imap(writer.user) as c:
            twice["second copies"] += writer.check(c)
    mailboxes = told(murder.m)
    with murder.imap(ADMIN) as c:
        for a in s.of(storm.Administrator):
            a.check(mailboxes, c)
    for node in murder.be:
        is_sound(node, s.chaos.counts["power loss"] > 0)
    for node in murder.nodes:
        died = [x for x in node.log().splitlines() if "signal " in x and not any(w in x for w in ("KILL", "TERM"))]
        assert not died, died[0]
    return converged, twice


def weather(seed, seconds):
    rng = random.Random("%s configuration" % seed)
    modes = {option: rng.choice(("immediate", "delayed")) for option in ("delete_mode", "expunge_mode")}
    with victim(backends=2, frontends=2, conf={**CONF, **modes}) as murder:
        s = storm.Storm(murder, seed)
        load(murder, s)
        try:
            s.rage(seconds)
            converged, twice = check(murder, s)
        except BaseException:
            print("IATLAS_SEED=%s: %s" % (seed, "\n".join(["", *s.chaos.story])))
            raise
        slowest = max((*a.slowest, a.name) for a in s.actors)
        print("IATLAS_SEED=%s: lists agreed after %.1f s; the longest turn took %.1f s (%s)" % (seed, converged, *slowest[:2]))
        return s.chaos.counts, s.counts(), collections.Counter(twice)


@pytest.mark.slow
@pytest.mark.timeout(5 * SECONDS + 400)
def test_storm():
    """In rounds of at most two minutes, each with a murder of its own: disks are small."""
    rounds = math.ceil(SECONDS / 120)
    total = [collections.Counter() for _ in range(3)]
    print("\nIATLAS_SEED=%s IATLAS_STORM=%g" % (SEED, SECONDS))
    for i in range(rounds):
        for sum_, new in zip(total, weather(SEED if i == 0 else "%s-%d" % (SEED, i), SECONDS / rounds)):
            sum_.update(new)
    for counts in total:
        print("\n".join("%7d %s" % (n, what) for what, n in sorted(counts.items())), flush=True)
