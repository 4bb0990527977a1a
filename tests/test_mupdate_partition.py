"""A group of MUPDATE masters whose members have networks of their own, of which cables are cut: both ways, one way, and a
writer that stands still for longer than it may."""

import os
import shutil
import signal
import tempfile
import threading
import time

import pytest

from iatlas import faults, history
from iatlas.mupdate import Mupdate
from test_history import member
from test_mupdate_group import eventually, status

WHY_NOT = faults.available()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

QUIET = "no quorum: "


@pytest.fixture(scope="module")
def machines():
    directory = tempfile.mkdtemp(prefix="ia-")
    made = history.of_members(directory, 3, member)
    try:
        with made.hub.inside():
            yield made.start()
    finally:
        made.cleanup()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def group(machines):
    """(who writes, the two others), with every cable in."""
    nodes = machines.nodes
    try:
        yield settle(nodes)
    finally:
        for node in nodes:
            faults.send(node.processes("mupdate"), signal.SIGCONT)
            node.heal(*(n for n in nodes if n is not node))
        machines.outside.heal(*nodes)


def settle(nodes):
    def writer():
        does = [status(n)[1] for n in nodes]
        return sorted(does) == ["follows", "follows", "writes"] and nodes[does.index("writes")]

    writer = eventually(writer, 90)
    return (writer, *(n for n in nodes if n is not writer))


def writes(nodes):
    return eventually(lambda: next((n for n in nodes if status(n)[1] == "writes"), None), 90)


def client(node):
    return Mupdate(node.address, timeout=60).login()


def part(one, *others):
    """No packet either way."""
    one.cut(*others)
    for other in others:
        other.cut(one)


def mend(one, *others):
    one.heal(*others)
    for other in others:
        other.heal(one)


def agree(nodes, names):
    """All say the same of all names once they are one again."""
    settle(nodes)
    found = []
    for node in nodes:
        with client(node) as c:
            assert c.result("NOOP")[0] == "OK"
            found.append({name: c.find(name) for name in names})
    assert found[0] == found[1] == found[2]
    return found[0]


def stale(c, name):
    """FIND's answer, which must say that it may be old."""
    lines = c.command('FIND "%s"' % name)
    assert lines[-1][1] == "OK" and "stale" in lines[-1][2], lines
    return lines[0][1:] if len(lines) > 1 else None


def test_the_writer_is_cut_off(machines, group):
    """Its clients are refused and may read; the other side elects, writes, and is right when all is healed."""
    writer, *others = group
    with client(writer) as c:
        assert c.result('RESERVE "user.c1" "be1!p"')[0] == "OK"
        part(writer, *others)
        other = writes(others)
        word, text = c.result('RESERVE "user.c2" "be1!p"')
        assert word == "NO" and text.startswith(QUIET), text
        assert stale(c, "user.c1") == ("RESERVE", "user.c1", "be1!p")
        with client(other) as d:
            assert d.result('RESERVE "user.c2" "be2!p"') == ("OK", "done")
            assert d.result('DELETE "user.c1"') == ("OK", "done")
        assert c.result('FIND "user.c2"') == ("NO", QUIET + "what is here may be old")  # not that it is nowhere
        assert c.result('RESERVE "user.c3" "be1!p"')[1].startswith(QUIET)
        mend(writer, *others)
    found = agree(machines.nodes, ["user.c1", "user.c2", "user.c3"])
    assert found["user.c1"] is None and found["user.c2"] == ("RESERVE", "be2!p")


def test_another_is_cut_off(machines, group):
    """The majority goes on without an election; the lone one refuses, reads, and catches up."""
    writer, lone, third = group
    with client(lone) as c, client(third) as d:
        assert d.result('RESERVE "user.o1" "be1!p"')[0] == "OK"
        assert c.find("user.o1")
        part(lone, writer, third)
        eventually(lambda: status(lone)[1] == "no quorum")
        assert d.result('RESERVE "user.o2" "be1!p"') == ("OK", "done")
        assert c.result('RESERVE "user.o2" "be2!p"')[1].startswith(QUIET)
        assert stale(c, "user.o1") == ("RESERVE", "user.o1", "be1!p")
        assert status(writer)[1] == "writes"
        mend(lone, writer, third)
        eventually(lambda: status(lone)[1] != "no quorum")
        eventually(lambda: c.result("NOOP")[0] == "OK" and c.find("user.o2") == ("RESERVE", "be1!p"))
        eventually(lambda: c.result('RESERVE "user.o2" "be2!p"') == ("NO", "mailbox already exists"))
    agree(machines.nodes, ["user.o1", "user.o2"])


@pytest.mark.parametrize("way", ["is not heard", "hears nothing"])
def test_one_way(machines, group, way):
    """Packets of the writer vanish, or those to it: nobody gives a name twice, and nothing acknowledged is lost."""
    writer, *others = group
    given, stop = {}, threading.Event()
    prefix = "user.w%d" % len(way)

    def want(node, server):
        n = 0
        with machines.hub.inside():
            while not stop.is_set():
                try:
                    with Mupdate(node.address, timeout=10).login() as c:
                        while not stop.is_set():
                            name = "%s.m%d" % (prefix, n // 2)
                            n += 1
                            if c.result('RESERVE "%s" "%s!p"' % (name, server)) == ("OK", "done"):
                                given.setdefault(name, set()).add(server)
                except (OSError, EOFError, AssertionError):
                    time.sleep(0.05)

    threads = [threading.Thread(target=want, args=(n, "be%d" % i)) for i, n in enumerate(machines.nodes)]
    for t in threads:
        t.start()
    try:
        eventually(lambda: len(given) > 5)
        if way == "is not heard":
            writer.cut(*others)
        else:
            for node in others:
                node.cut(writer)
        if way == "is not heard":
            writes(others)
        else:
            eventually(lambda: status(writer)[1] == "no quorum")
        before = len(given)
        mend(writer, *others)
        eventually(lambda: len(given) > before + 5, 90)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert all(len(servers) == 1 for servers in given.values())
    found = agree(machines.nodes, list(given))
    assert found == {name: ("RESERVE", "%s!p" % next(iter(servers))) for name, servers in given.items()}


def test_the_writer_stands_still(machines, group):
    """For longer than it is waited for, with a change under way; what it does when it goes on neither undoes nor repeats."""
    writer, *others = group
    with client(writer) as c:
        assert c.result('ACTIVATE "user.s1" "be1!p" "a\tl\t"')[0] == "OK"
        faults.send(writer.processes("mupdate"), signal.SIGSTOP)
        asked = [(name, c.start('RESERVE "%s" "be1!p"' % name)) for name in ("user.s2", "user.s3")]
        looked = c.start('FIND "user.s4"')
        other = writes(others)
        with client(other) as d:
            assert d.result('RESERVE "user.s2" "be2!p"') == ("OK", "done")
            assert d.result('DELETE "user.s1"') == ("OK", "done")
            assert d.result('RESERVE "user.s4" "be2!p"') == ("OK", "done")
        faults.send(writer.processes("mupdate"), signal.SIGCONT)
        said = {name: c.finish(tag)[-1][1:] for name, tag in asked}
        seen = c.finish(looked)
    assert said["user.s2"] != ("OK", "done")
    # Nobody is shown what was, unless it is said that it may be old.
    assert len(seen) > 1 or seen[-1][1] == "NO" or "stale" in seen[-1][2], seen
    found = agree(machines.nodes, ["user.s1", "user.s2", "user.s3", "user.s4"])
    assert found["user.s1"] is None and found["user.s2"] == ("RESERVE", "be2!p") and found["user.s4"] == ("RESERVE", "be2!p")
    assert found["user.s3"] == ("RESERVE", "be1!p") or said["user.s3"] != ("OK", "done")


@pytest.fixture
def small():
    """A group whose members have small disks."""
    directory = tempfile.mkdtemp(prefix="ia-")
    made = history.of_members(directory, 3, member, disk_kb={"config": 64 * 1024, "spool": 16 * 1024})
    try:
        with made.hub.inside():
            made.start()
            yield made
    finally:
        made.cleanup()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


def put_many(c, prefix, count=100):
    acl = "".join("u%04d\tlrswipkxtecdan\t" % i for i in range(1000))
    tags = [c.start('ACTIVATE "%s%d" "be1!p" "%s"' % (prefix, i, acl)) for i in range(count)]
    return [c.finish(tag)[-1][1] for tag in tags]


@pytest.mark.parametrize("which", ["another", "the writer"])
def test_a_disk_is_full(small, which):
    """Of one member: the others go on without it, it is not damaged, and with room again it has everything."""
    writer, *others = settle(small.nodes)
    full = writer if which == "the writer" else others[0]
    rest = [n for n in small.nodes if n is not full]
    with client(rest[0]) as c:
        assert set(put_many(c, "user.before", 10)) == {"OK"}
    full.fill("config")
    with client(rest[0]) as c:
        for i in range(20):
            eventually(lambda: put_many(c, "user.full%d-" % i, 5) == ["OK"] * 5)
    writes(rest)
    full.free("config")
    told = 0

    def is_there():
        nonlocal told
        disabled = full.log().count("master.disabled")
        if disabled > told:  # it could not begin anew, again and again: then master waits to be told
            full.master.send_signal(signal.SIGHUP)
            told = disabled
        return status(full)[1] != "no quorum"

    eventually(is_there)
    settle(small.nodes)
    eventually(lambda: len({n for node in small.nodes for n in status(node)[2]}) == 1)
    found = []
    for node in small.nodes:
        with client(node) as c:
            found.append(sorted(w[1:] for w in c.ok("LIST")))
    assert found[0] == found[1] == found[2] and len(found[0]) == 110
