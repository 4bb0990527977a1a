"""A replicated group of MUPDATE masters: three members, of which some are killed, paused and cut off."""

import concurrent.futures
import contextlib
import itertools
import json
import os
import shutil
import signal
import tempfile
import threading
import time

import pytest

from iatlas import Node, net
from iatlas.mupdate import Mupdate

REPLICATION = 3906

pytestmark = pytest.mark.slow  # elections, and processes that are silent until they are given up


def eventually(what, timeout=60):
    """The first true value of what()."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = what()
        except (OSError, EOFError):
            value = None
        if value or time.monotonic() > deadline:
            assert value
            return value
        time.sleep(0.02)


def client(node):
    return Mupdate(node.address, timeout=60).login()


def status(node):
    """({member's address: (role, "self" or how it is seen)}, what this member does, numbers of changes)"""
    with client(node) as c:
        lines = c.ok("XGROUP")
        members = {words[2].rsplit(":", 1)[0]: words[3:5] for words in lines if words[1] == "XMEMBER"}
        return members, lines[-1][2], [int(n) for n in lines[-1][3:]]


def is_quiet(node):
    """Has the member nothing more to write, be it only that the last change is settled?"""
    return len(set(status(node)[2])) == 1


class Group:
    def __init__(self, directory, network, count=3, conf=None):
        self.dir, self.network, self.conf = str(directory), network, conf or {}
        self.addresses = [network.address() for _ in range(count)]
        self.nodes = [self.make(a) for a in self.addresses]
        self.paused = []

    def make(self, address, addresses=None):
        members = " ".join("%s:%d" % (a, REPLICATION) for a in addresses or self.addresses)
        conf = {"admins": "cyrus murder", "mupdate_group": members, "mupdate_port": net.MUPDATE}
        conf.update(mupdate_username="murder", mupdate_authname="murder", mupdate_password="secret", **self.conf)
        node = Node(os.path.join(self.dir, address), address, conf, start={})
        node.services["mupdate"] = 'cmd="mupdate -m" listen="%s:%d" prefork=1' % (address, net.MUPDATE)
        node.add_user("cyrus", "murder")
        return node

    def start(self):
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            eventually(lambda: os.path.exists(node.path("ready")))
        self.writer()
        return self

    def writer(self, among=None):
        """The member that writes, once there is one."""
        nodes = self.nodes if among is None else among
        return eventually(lambda: next((n for n in nodes if status(n)[1] == "writes"), None))

    def others(self, node):
        return [n for n in self.nodes if n is not node]

    def settle(self):
        """The one that writes, once all others follow: of all at once, since somebody may be elected meanwhile."""

        def writer():
            does = [status(n)[1] for n in self.nodes]
            return does.count("follows") == len(does) - 1 and "writes" in does and self.nodes[does.index("writes")]

        return eventually(writer)

    def pause(self, *nodes):
        self.paused = [pid for n in nodes for pid in n.processes("mupdate")]
        for pid in self.paused:
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in self.paused:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.paused = []

    def mend(self):
        """After a test, whatever it has left."""
        self.resume()
        for node in self.nodes:
            if not node.pids():
                node.start()
        return self.settle()

    def cleanup(self):
        self.resume()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(node.cleanup) for node in self.nodes]:
                done.result()


@contextlib.contextmanager
def running_group(**kw):
    directory, network, made = tempfile.mkdtemp(prefix="ia-"), net.Network(), None
    try:
        made = Group(directory, network, **kw)
        yield made.start()
    finally:
        if made:
            made.cleanup()
        network.close()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_group():
    with running_group() as made:
        yield made


@pytest.fixture
def group(shared_group):
    yield shared_group
    shared_group.mend()


@pytest.fixture
def own_group():
    with running_group() as made:
        yield made


def names_of(client, prefix):
    return [w[2] for w in client.ok("LIST") if w[2].startswith(prefix)]


def test_any_member_takes_any_client(group):
    writer = group.settle()
    for i, node in enumerate(group.nodes):
        with client(node) as c:
            assert c.banner[-1][-1] == "(master)"
            assert c.result('RESERVE "user.a%d" "be1!p"' % i) == ("OK", "done")
            assert c.find("user.a%d" % i) == ("RESERVE", "be1!p")
            assert c.result('ACTIVATE "user.a%d" "be1!p" "anyone\tlrs\t"' % i) == ("OK", "done")
            assert c.result('RESERVE "user.a%d" "be2!p"' % i)[0] == "NO"
            assert c.result('DELETE "user.none"') == ("NO", "no such mailbox")
            for other in group.nodes:
                with client(other) as d:
                    assert d.find("user.a%d" % i) == ("MAILBOX", "be1!p", "anyone\tlrs\t")
    for node in group.nodes:
        with client(node) as c:
            assert c.result("NOOP")[0] == "OK"
            assert names_of(c, "user.a") == ["user.a0", "user.a1", "user.a2"]
    members, does, _ = status(writer)
    assert does == "writes" and sorted(m[0] for m in members.values()) == ["elected", "follows", "follows"]


class Writers:
    """Clients that RESERVE one name after the other, each at a member, and go to the next when it is away."""

    def __init__(self, group, prefix, count=3):
        self.group, self.prefix, self.stop = group, prefix, threading.Event()
        self.acknowledged, self.times, self.unknown = set(), [], set()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(count)]
        for t in self.threads:
            t.start()

    def _run(self, number):
        at, done = number, 0
        while not self.stop.is_set():
            try:
                with Mupdate(self.group.nodes[at % len(self.group.nodes)].address, timeout=15).login() as c:
                    while not self.stop.is_set():
                        name = "%s%d.m%d" % (self.prefix, number, done)
                        done += 1
                        word, text = c.result('RESERVE "%s" "be%d!p"' % (name, number))
                        if word == "OK":
                            self.acknowledged.add(name)
                            self.times.append(time.monotonic())
                        elif "try again" not in text:
                            self.unknown.add(name)
            except (OSError, EOFError, AssertionError):
                time.sleep(0.05)
            at += 1

    def more(self, count=20):
        """Waits until so many more have been acknowledged."""
        wanted = len(self.times) + count
        eventually(lambda: len(self.times) >= wanted)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join()

    def missing(self, node):
        """What was acknowledged and is not there."""
        with client(node) as c:
            assert c.result("NOOP")[0] == "OK"
            return self.acknowledged - {w[2] for w in c.ok("LIST") if w[1] == "RESERVE"}


def test_kill_of_the_writer(group):
    """No acknowledged change is lost, others go on, and the member comes back and catches up."""
    writer = group.settle()
    for node in group.others(writer):  # members that are gone leave room for those that are there
        with client(node) as c:
            c.ok("XMEMBER")
            for i in range(9):
                c.ok('XFOLLOW "gone%d:1" "0" "0" "0"' % i)
    with Writers(group, "user.k") as writers:
        writers.more()
        killed = time.monotonic()
        writer.kill()
        others = group.others(writer)
        group.writer(others)
        writers.more()
        first = next(t for t in writers.times if t > killed + 0.2)
        writer.start()
        eventually(lambda: status(writer)[1] == "follows")
        writers.more()
    print("writes again after %.1f s; %d acknowledged, %d unknown" % (first - killed, len(writers.acknowledged), len(writers.unknown)))
    for node in group.nodes:
        assert not writers.missing(node)


def test_conflicts_are_known_to_all(group):
    """Claimed at a member that is not elected; whoever is asked tells of it, over an election and a restart, until it is none."""
    writer = group.settle()
    others = group.others(writer)

    def conflicts(node):
        with client(node) as c:
            return [(w[2], w[3], w[4], w[5]) for w in c.ok("CONFLICTS") if w[2] == "user.x1"]

    with client(others[0]) as c:
        assert c.result('ACTIVATE "user.x1" "be1!p" ""')[0] == "OK"
        for _ in range(2):
            assert c.result('ACTIVATE "user.x1" "be2!p" ""') == ("NO", "mailbox is active on another server")
    one = [("user.x1", "be1!p", "be2!p", "2")]
    for node in group.nodes:
        eventually(lambda: conflicts(node) == one)
    writer.kill()
    group.writer(others)
    assert [conflicts(node) for node in others] == [one, one]
    writer.start()
    group.settle()
    eventually(lambda: conflicts(writer) == one)
    with client(others[1]) as c:
        assert c.result('DELETE "user.x1"')[0] == "OK"
    for node in group.nodes:
        eventually(lambda: conflicts(node) == [])


def test_two_of_three_lost(group):
    """Without a quorum nothing is changed, and what is there is read; with it everything goes on."""
    writer = group.settle()
    with client(writer) as c:
        assert c.result('RESERVE "user.t1" "be1!p"')[0] == "OK"
    lost = group.others(writer)
    for node in lost:
        node.kill()
    eventually(lambda: status(writer)[1] == "no quorum")
    with client(writer) as c:
        word, text = c.result('RESERVE "user.t2" "be1!p"')
        assert word == "NO" and text.startswith("no quorum: ")
        assert c.find("user.t1") == ("RESERVE", "be1!p")
        assert c.result('FIND "user.t3"') == ("NO", "no quorum: what is here may be old")  # not that it is nowhere
        assert names_of(c, "user.t") == ["user.t1"]
    lost[0].start()
    eventually(lambda: any(status(n)[1] == "writes" for n in (writer, lost[0])))
    with client(writer) as c:
        assert c.result('RESERVE "user.t2" "be1!p"')[0] == "OK"


@pytest.mark.parametrize("which", ["the writer", "another"])
def test_pause_of_one(group, which):
    writer = group.settle()
    paused = writer if which == "the writer" else group.others(writer)[0]
    others = group.others(paused)
    with Writers(group, "user.p-%s" % which[-1]) as writers:
        writers.more()
        group.pause(paused)
        group.writer(others)
        writers.more()
        group.resume()
        eventually(lambda: status(paused)[1] == "follows")
        writers.more()
    for node in group.nodes:
        assert not writers.missing(node)


def say(node, command):
    """Over a connection of its own, in a thread: the future last line."""

    def run():
        with client(node) as c:
            return c.result(command)

    pool = concurrent.futures.ThreadPoolExecutor(1)
    answer = pool.submit(run)
    pool.shutdown(wait=False)
    return answer


def test_pause_of_two(group):
    """A connection stands, and nobody answers: the change's outcome is unknown, and nobody is shown it before it is settled."""
    writer = group.settle()
    with client(writer) as c:
        assert c.result('RESERVE "user.q1" "be1!p"')[0] == "OK"
        eventually(lambda: is_quiet(writer))
        group.pause(*group.others(writer))
        assert c.result('RESERVE "user.q2" "be1!p"') == ("NO", "no quorum: outcome unknown")
        waiting = [say(writer, command) for command in ('FIND "user.q2"', "LIST")]
        change = say(writer, 'RESERVE "user.q3" "be1!p"')
        assert c.find("user.q1") == ("RESERVE", "be1!p")
        for answer in waiting:
            assert answer.result(30) == ("NO", "no quorum: outcome unknown")
        assert change.result(30)[1].startswith("no quorum: ")
        group.resume()
    # Those who come back may elect another one: until then nothing is refused for good.
    later = ("user.r%d" % i for i in itertools.count())
    eventually(lambda: say(writer, 'RESERVE "%s" "be1!p"' % next(later)).result(30)[0] == "OK")
    with client(group.settle()) as c:
        names = names_of(c, "user.q")
        assert names in (["user.q1"], ["user.q1", "user.q2"])
        assert (c.find("user.q2") is not None) == ("user.q2" in names)


def test_a_member_is_added_and_one_removed(own_group):
    """A fourth joins with an empty database and has everything; one that is taken out takes part no more."""
    group = own_group
    writer = group.settle()
    with client(writer) as c:
        assert c.result('ACTIVATE "user.a" "be1!p" "anyone\tlrs\t"')[0] == "OK"
    address = group.network.address()
    added = group.make(address, group.addresses + [address])
    group.nodes.append(added)
    added.start()
    eventually(lambda: status(added)[1] == "follows")
    with client(added) as c:
        assert c.find("user.a") == ("MAILBOX", "be1!p", "anyone\tlrs\t")
        assert c.result('RESERVE "user.b" "be1!p"') == ("OK", "done")
    said = json.loads(added.command("ctl_mupdate", "-j").stdout)
    assert said["state"] == "follows" and len(said["members"]) == 4
    assert "%s:%d" % (address, REPLICATION) in writer.command("ctl_mupdate").stdout

    gone = next(n for n in group.nodes if n not in (writer, added))
    writer.command("ctl_mupdate", "-r", "%s:%d" % (gone.address, REPLICATION))
    eventually(lambda: status(gone)[1] == "removed")
    eventually(lambda: len(status(added)[0]) == 3 and status(writer)[1] == "writes")
    with client(gone) as c:
        assert c.result('RESERVE "user.c" "be1!p"')[1].startswith("no quorum: ")
    with client(added) as c:
        assert c.result('RESERVE "user.c" "be1!p"') == ("OK", "done")
    refused = writer.command("ctl_mupdate", "-r", "127.0.0.9:1", check=False)
    assert refused.returncode == 75 and "not found" in refused.stderr


def slave_of(group, directory):
    conf = {
        "mupdate_server": " ".join(group.addresses),
        "mupdate_port": net.MUPDATE,
        "mupdate_authname": "murder",
        "mupdate_username": "murder",
        "mupdate_password": "secret",
        "mupdate_retry_delay": 1,
        "admins": "cyrus murder",
    }
    slave = Node(os.path.join(str(directory), "fe"), group.network.address(), conf, start={})
    slave.services["mupdate"] = 'cmd="mupdate" listen="%s:%d" prefork=1' % (slave.address, net.MUPDATE)
    slave.add_user("cyrus", "murder")
    return slave


def test_slave_of_several(group, workdir):
    """A slave takes the next member when its own is gone, goes on from where it was, and a position is good at any of them."""
    group.settle()
    slave = slave_of(group, workdir)
    try:
        slave.start()
        eventually(lambda: "mupdate.slave-synced" in slave.log())
        with client(slave) as c:
            for node in list(group.nodes[:2]):
                with client(group.nodes[-1]) as d:
                    assert d.result('ACTIVATE "user.%s" "be1!p" ""' % node.address.replace(".", "-"))[0] == "OK"
                eventually(lambda: c.result("NOOP")[0] == "OK" and c.find("user.%s" % node.address.replace(".", "-")))
                if node is group.nodes[0]:
                    node.kill()
                    group.writer(group.nodes[1:])
                    eventually(lambda: "mupdate.slave-resumed" in slave.log())
        assert slave.log().count("mupdate.slave-synced") == 1
    finally:
        slave.cleanup()


def test_configuration_that_cannot_be(workdir, network):
    address = network.address()
    for members, why in (
        ("%s:3906 127.0.0.2:3906" % address, "3 to 7 members"),
        ("127.0.0.2 127.0.0.3 127.0.0.4", "none of the members is this machine"),
    ):
        node = Node(os.path.join(str(workdir), why.split()[0]), address, {"mupdate_group": members}, start={})
        node.services["mupdate"] = 'cmd="mupdate -m" listen="%s:%d" prefork=1' % (address, net.MUPDATE)
        node.launch()
        eventually(lambda: why in node.log() + node.stderr())
        node.cleanup()


def test_nobody_follows_who_lacks_what_he_has(own_group):
    """A member that has had more than the elected one's copy does not become like it, and says so to both."""
    writer = own_group.settle()
    other = own_group.others(writer)[0]
    with client(writer) as c:
        assert c.result('RESERVE "user.a" "be1!p"')[0] == "OK"
    other.stop()
    path = other.path("config", "mupdate.group.reached")
    with open(path, "w") as f:
        f.write("%d 1\n" % (2**63))
    other.start()
    eventually(lambda: all("mupdate.group-behind" in n.log() for n in own_group.nodes if n is other))
    eventually(lambda: any("mupdate.group-behind" in n.log() for n in own_group.others(other)))
    assert status(other)[1] == "no quorum"
    other.stop()
    os.unlink(path)
    other.start()
    own_group.settle()
    with client(other) as c:
        assert c.find("user.a") == ("RESERVE", "be1!p")
        assert c.result('ACTIVATE "user.a" "be1!p" ""')[0] == "OK"


def test_what_a_member_may_say(group):
    """Of one that nobody has elected nobody's copy becomes the like; lines that cannot be are refused."""
    writer = group.settle()
    with client(group.others(writer)[0]) as c:
        assert c.result('XADOPT "1" "0" "0"')[0] == "BAD"
        c.ok("XMEMBER")
        assert c.result('XADOPT "1" "0" "0"') == ("NO", "no quorum: not elected")
        for wrong in ('"x" "0" "0"', '"4294967296" "0" "0"', '"1" "0" "-1"'):
            assert c.result("XADOPT " + wrong)[0] == "BAD"
    with client(writer) as c:
        c.ok("XMEMBER")
        assert c.result('XADOPT "0" "0" "0"')[0] == "NO"  # of another election
