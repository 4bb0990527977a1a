"""A replicated group of MUPDATE masters: three members, of which some are killed, paused and cut off."""

import concurrent.futures
import contextlib
import itertools
import json
import os
import shutil
import tempfile
import threading
import time

import pytest

from iatlas import Node, net
from iatlas.group import REPLICATION, Group, client, eventually, is_quiet, status
from iatlas.mupdate import Mupdate

pytestmark = pytest.mark.slow  # elections, and processes that are silent until they are given up


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
    with client(writer) as c:  # who has fetched once, and is gone, leaves room for those that are there
        c.ok("XMEMBER")
        for i in range(30):
            c.ok('XFOLLOW "gone%d:1" "0" "%d" "0" "0" "0" "0" "0" "0" "0"' % (i, i + 1))
    with Writers(group, "user.k") as writers:
        writers.more()
        killed = time.monotonic()
        writer.kill()
        others = group.others(writer)
        group.writer(others)
        writers.more()
        writer.start()
        eventually(lambda: status(writer)[1] == "follows")
        writers.more()
    times = [killed] + sorted(t for t in writers.times if t > killed)
    gap = max(b - a for a, b in zip(times, times[1:]))
    print("nothing was written for %.1f s; %d acknowledged, %d unknown" % (gap, len(writers.acknowledged), len(writers.unknown)))
    for node in group.nodes:
        assert not writers.missing(node)


def test_conflicts_are_known_to_all(group):
    """Claimed at a member that is not elected; whoever is asked tells of it, over an election and a restart, until it is none."""
    writer = group.settle()
    others = group.others(writer)

    def conflicts(node):
        with client(node) as c:
            return [w[2:6] for w in c.ok("CONFLICTS") if w[2] == "user.x1"]

    def told(node):
        """(What is sent again while another one is elected counts again.)"""
        found = conflicts(node)
        return [w[:3] for w in found] == [("user.x1", "be1!p", "be2!p")] and int(found[0][3]) >= 2

    with client(others[0]) as c:
        assert c.result('ACTIVATE "user.x1" "be1!p" ""')[0] == "OK"
        for _ in range(2):
            assert c.result('ACTIVATE "user.x1" "be2!p" ""') == ("NO", "mailbox is active on another server")
    for node in group.nodes:
        eventually(lambda: told(node))
    writer.kill()
    group.writer(others)
    assert all(told(node) for node in others)
    writer.start()
    group.settle()
    eventually(lambda: told(writer))
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
        assert c.result('RESERVE "user.t2" "be1!p"') == ("OK", "done")


def test_an_old_connection(group):
    """The one that writes was killed and is elected again: who has sent changes to it before sends them over a new connection."""
    writer = group.settle()
    sender, third = group.others(writer)
    with client(sender) as c:
        assert c.result('RESERVE "user.v1" "be1!p"') == ("OK", "done")
    group.pause(sender)  # it lacks something, and is not elected
    with client(writer) as c:
        for i in range(3):  # an answer to it may be on its way
            assert c.result('RESERVE "user.w%d" "be1!p"' % i) == ("OK", "done")
    third.kill()
    writer.kill()
    group.resume()
    writer.start()
    assert group.writer([writer, sender]) is writer
    with client(sender) as c:
        assert c.result('RESERVE "user.v3" "be1!p"') == ("OK", "done")


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


def test_a_change_waits_for_nobody_who_is_stopped(group):
    """It was sent to the elected one. Once another one is elected its outcome is unknown, and the next one does not wait for it."""
    writer = group.settle()
    others = group.others(writer)
    with client(others[0]) as c, client(others[1]) as d:
        for i, x in enumerate((c, d)):
            assert x.result('RESERVE "user.w%d" "be1!p"' % i)[0] == "OK"
        group.pause(writer)
        tags = [x.start('RESERVE "user.x%d" "be1!p"' % i) for i, x in enumerate((c, d))]
        group.writer(others)
        began = time.monotonic()
        for x, tag in zip((c, d), tags):
            assert x.finish(tag)[-1][1:] == ("NO", "no quorum: outcome unknown")
        assert time.monotonic() - began < 2
        for i, x in enumerate((c, d)):
            assert x.result('RESERVE "user.y%d" "be1!p"' % i) == ("OK", "done")


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
        waiting = say(writer, 'FIND "user.q2"')
        change = say(writer, 'RESERVE "user.q3" "be1!p"')
        assert c.find("user.q1") == ("RESERVE", "be1!p")
        assert waiting.result(30) == ("NO", "no quorum: what is here may be old")
        assert names_of(c, "user.q") == ["user.q1"]
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
        ("%s:3905 127.0.0.2:3905" % address, "3 to 7 members"),
        ("127.0.0.2 127.0.0.3 127.0.0.4", "none of the members is this machine"),
    ):
        node = Node(os.path.join(str(workdir), why.split()[0]), address, {"mupdate_group": members}, start={})
        node.services["mupdate"] = 'cmd="mupdate -m" listen="%s:%d" prefork=1' % (address, net.MUPDATE)
        node.launch()
        eventually(lambda: why in node.log() + node.stderr())
        node.cleanup()
