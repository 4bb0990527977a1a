"""Who is a member of a group of MUPDATE masters: how one begins, grows, shrinks and ends, who was away for long, and what a
member's node has besides."""

import glob
import os
import random
import re
import shutil
import threading

import pytest

from iatlas.mupdate import Mupdate
from test_mupdate_group import REPLICATION, Group, Writers, client, eventually, names_of, own_group, running_group, slave_of, status

__all__ = ["own_group"]

pytestmark = pytest.mark.slow  # processes that start and stop, elections


def copy_of(node, *parts):
    return node.path("config", "mupdate.group", *parts)


def stopped(group):
    """All of them, as an administrator does it."""
    for node in group.nodes:
        node.stop()


def add(group):
    """A node that is to be a member, not started yet; all know of it once they are started again."""
    address = group.network.address()
    group.addresses.append(address)
    group.nodes.append(group.make(address))
    return group.nodes[-1]


def configure(group, nodes=None):
    """mupdate_group is what it should be on all of them."""
    for node in nodes or group.nodes:
        node.conf["mupdate_group"] = " ".join("%s:%d" % (a, REPLICATION) for a in group.addresses)
        node.write_configuration()


def remove(group, node):
    """By any other member.  The elected one must be stopped before."""
    name = "%s:%d" % (node.address, REPLICATION)
    others = group.others(node)
    refused = others[-1].command("ctl_mupdate", "-r", name, check=False)
    if refused.returncode != 0:
        assert "it is the elected one: stop it first" in refused.stderr
        node.stop()
        group.writer(others)
        others[-1].command("ctl_mupdate", "-r", name)
    else:
        eventually(lambda: status(node)[1] == "removed")
    group.nodes.remove(node)
    group.addresses.remove(node.address)
    eventually(lambda: all(len(status(n)[0]) == len(others) for n in others))
    node.cleanup()


@pytest.fixture
def lone(workdir, network):
    """Three machines, of which the first is a lone master with some names."""
    group = Group(workdir, network)
    first = group.nodes[0]
    first.conf["mupdate_group"] = None
    try:
        first.start()
        with client(first) as c:
            for i in range(50):
                assert c.result('ACTIVATE "user.l%d" "be1!p" "anyone\tlrs\t"' % i)[0] == "OK"
            assert c.result('RESERVE "user.r" "be2!p"')[0] == "OK"
            assert c.result('DELETE "user.l7"')[0] == "OK"
        yield group
    finally:
        group.cleanup()


def test_a_lone_masters_list_becomes_a_groups_and_back(lone, workdir):
    """Nothing is lost, a slave goes on from where it was, and nobody begins with an empty list by mistake."""
    group, first = lone, lone.nodes[0]
    slave = slave_of(group, workdir)
    slave.start()
    try:
        eventually(lambda: "mupdate.slave-synced" in slave.log())
        running = first.command("ctl_mupdate", "-n", check=False)
        assert running.returncode == 75 and "imapd.conf has no mupdate_group" in running.stderr
        configure(group)
        running = first.command("ctl_mupdate", "-n", check=False)
        assert running.returncode == 75 and "mupdate runs" in running.stderr
        first.stop()
        first.launch()
        eventually(lambda: "is the list of a lone master: ctl_mupdate -n takes it over" in first.log())
        first.stop()
        # The others do not begin without it.
        for node in group.nodes[1:]:
            node.start()
        first.command("ctl_mupdate", "-n")
        first.start()
        eventually(lambda: status(first)[1] == "writes")
        group.settle()
        for node in group.nodes:
            with client(node) as c:
                assert c.result("NOOP")[0] == "OK"
                assert len(names_of(c, "user.l")) == 49
                assert c.find("user.l8") == ("MAILBOX", "be1!p", "anyone\tlrs\t")
                assert c.find("user.r") == ("RESERVE", "be2!p")
                assert c.result('RESERVE "user.l8" "be2!p"')[0] == "NO"
        again = first.command("ctl_mupdate", "-n", check=False)
        assert again.returncode == 75 and "there is no list" in again.stderr
        with client(group.nodes[2]) as c:
            assert c.result('ACTIVATE "user.new" "be1!p" ""')[0] == "OK"
        with client(slave) as c:
            eventually(lambda: c.result("NOOP")[0] == "OK" and c.find("user.new"))
        assert slave.log().count("mupdate.slave-synced") == 1 and "mupdate.slave-resumed" in slave.log()

        back_to_one(group)
        with client(slave) as c:
            eventually(lambda: c.result("NOOP")[0] == "OK" and c.find("user.last"))
        assert slave.log().count("mupdate.slave-synced") == 1
    finally:
        slave.cleanup()


def back_to_one(group):
    """The first member is the lone master again."""
    first = group.nodes[0]
    too_early = first.command("ctl_mupdate", "-a", check=False)
    assert "imapd.conf has mupdate_group" in too_early.stderr
    remove(group, group.nodes[2])
    remove(group, group.nodes[1])
    eventually(lambda: len(status(first)[0]) == 1)
    with client(first) as c:  # of the three that there are to be it is no majority
        assert c.find("user.new")
        assert c.result('RESERVE "user.early" "be1!p"')[1].startswith("no quorum: ")
    first.stop()
    first.conf["mupdate_group"] = None
    first.launch()
    eventually(lambda: "is the list of a group: ctl_mupdate -a takes it over" in first.log())
    first.stop()
    first.command("ctl_mupdate", "-a")
    assert glob.glob(first.path("config", "mupdate.group*")) == []
    first.start()
    with client(first) as c:
        assert c.find("user.new") and c.find("user.early") is None
        assert c.result('ACTIVATE "user.last" "be1!p" ""') == ("OK", "done")
        assert len(names_of(c, "user.l")) == 50


def test_a_member_of_several_is_no_lone_master(own_group):
    """Not without force: another one may know more."""
    group = own_group
    writer = group.settle()
    with client(writer) as c:
        assert c.result('ACTIVATE "user.a" "be1!p" ""')[0] == "OK"
    node = group.others(writer)[0]
    with client(node) as c:
        assert c.result("NOOP")[0] == "OK"
    node.stop()
    node.conf["mupdate_group"] = None
    node.write_configuration()
    refused = node.command("ctl_mupdate", "-a", check=False)
    assert refused.returncode == 75 and "the group has other members" in refused.stderr
    assert os.path.exists(copy_of(node, "names.db"))
    node.command("ctl_mupdate", "-a", "-f")
    node.start()
    with client(node) as c:
        assert c.find("user.a") == ("MAILBOX", "be1!p", "")
        assert c.result('ACTIVATE "user.b" "be1!p" ""')[0] == "OK"
    node.stop()
    configure(group)


def test_three_five_three(own_group):
    """While clients write: two more are taken in, then the writer and another one are taken out.  Nothing acknowledged is lost."""
    group = own_group
    group.settle()
    old = list(group.nodes)
    with Writers(group, "user.w") as writers:
        writers.more()
        added = [add(group), add(group)]
        configure(group)
        for node in added:
            node.start()
            eventually(lambda: status(node)[1] in ("follows", "writes"))
            writers.more()
        assert len(status(old[0])[0]) == 5
        writer = group.settle()
        other = next(n for n in old if n is not writer)
        for gone in (other, writer):
            remove(group, gone)
            group.settle()
            writers.more()
        configure(group)
        for node in added:  # that the file says three again is known after a restart
            node.stop()
            node.start()
            group.settle()
        writers.more()
    for node in group.nodes:
        assert len(status(node)[0]) == 3
        assert not writers.missing(node)
    print("%d acknowledged, %d unknown" % (len(writers.acknowledged), len(writers.unknown)))


ACL = "".join("u%04d\tlrswipkxtecdan\t" % i for i in range(2000))  # 42 kB
MANY = 1000  # more than a log of twice 16 MB (GROUP_KEPT_BYTES)


def write_much(node):
    with client(node) as c:
        for base in range(0, MANY, 50):
            tags = [c.start('ACTIVATE "user.m%d" "be1!p" "%s"' % (i, ACL)) for i in range(base, base + 50)]
            for tag in tags:
                assert c.finish(tag)[-1][1:] == ("OK", "done")


def has_forgotten(node, index):
    """Is it too late to fetch from there?  (Who says that he is of another election is not waited for.)"""
    with client(node) as c:
        c.ok("XMEMBER")
        lines = c.command('XFOLLOW "gone:1" "0" "7777" "0" "0" "0" "0" "%d" "0" "0"' % (index + 1))
        return lines[0][1] == "XCOPY"


class Changers:
    """Clients that change the same names at each member, all the time."""

    def __init__(self, nodes):
        self.stop, self.done = threading.Event(), 0
        self.threads = [threading.Thread(target=self._run, args=(n, i)) for i, n in enumerate(nodes)]
        for t in self.threads:
            t.start()

    def _run(self, node, number):
        rng = random.Random(number)
        with client(node) as c:
            while not self.stop.is_set():
                name = "user.%s%d" % rng.choice((("m", rng.randrange(MANY)), ("old", rng.randrange(20)), ("c", rng.randrange(100))))
                verb = rng.choice(('RESERVE "%s" "be%d!p"', 'ACTIVATE "%s" "be%d!p" "a\tl\t"', 'DELETE "%s"'))
                self.done += c.result(verb % ((name, number) if verb[0] != "D" else name))[0] == "OK"

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join()


def test_a_member_that_was_away_for_long(own_group):
    """What has happened is no longer in anybody's log: it is given the whole copy, which changes meanwhile, and shows none of
    it half."""
    group = own_group
    writer = group.settle()
    with client(writer) as c:
        for i in range(20):
            assert c.result('ACTIVATE "user.old%d" "be1!p" ""' % i)[0] == "OK"
    away = group.others(writer)[0]
    with client(away) as c:
        assert c.result("NOOP")[0] == "OK"
    index = status(away)[2][1]
    away.kill()
    others = group.others(away)
    write_much(writer)
    eventually(lambda: has_forgotten(writer, index))
    changers = Changers(others)
    try:
        eventually(lambda: changers.done > 20)
        away.launch()

        def seen():
            with client(away) as c:
                lines = c.command("LIST")
                return lines if lines[-1][1] == "OK" else None

        first = {w[2] for w in eventually(seen)[:-1]}
        assert len(first) > MANY / 4 or not any(n.startswith("user.m") for n in first)
        group.settle()
        more = changers.done + 20
        eventually(lambda: changers.done > more)
    finally:
        changers.end()
    assert "mupdate.group-copy" in away.log()
    eventually(lambda: len({n for node in group.nodes for n in status(node)[2]}) == 1)
    lists = []
    for node in group.nodes:
        with client(node) as c:
            lists.append([w[1:] for w in c.ok("DETAILS")])
    assert lists[0] == lists[1] == lists[2]


@pytest.mark.parametrize("which", ["the first", "the last"])
def test_a_member_with_an_emptied_directory(own_group, which):
    """It asks to be taken in again, alone or with nobody elected too, and founds no group of its own."""
    group = own_group
    writer = group.settle()
    with client(writer) as c:
        assert c.result('ACTIVATE "user.a" "be1!p" ""')[0] == "OK"
    emptied = group.nodes[0 if which == "the first" else -1]
    for node in group.nodes:
        with client(node) as c:
            eventually(lambda: c.result("NOOP")[0] == "OK" and c.find("user.a"))
    for node in group.nodes:
        node.kill()
    shutil.rmtree(copy_of(emptied))
    emptied.start()
    eventually(lambda: status(emptied)[1] == "no quorum")
    with client(emptied) as c:
        assert c.result("LIST")[0] == "NO"
        assert c.result('FIND "user.a"')[0] == "NO"
        assert c.result('RESERVE "user.a" "be2!p"')[0] == "NO"
    others = group.others(emptied)
    for node in others:
        node.start()
    group.writer(others)
    eventually(lambda: status(emptied)[1] == "follows", 90)
    with client(emptied) as c:
        assert c.find("user.a") == ("MAILBOX", "be1!p", "")
        assert c.result('RESERVE "user.a" "be2!p"')[0] == "NO"
        assert c.result('RESERVE "user.b" "be2!p"')[0] == "OK"
    assert [len(status(n)[0]) for n in group.nodes] == [3, 3, 3]


def test_a_member_keeps_its_nodes_list(network, workdir):
    """Each shares its machine with a frontend: the list follows at the elected one and at another, over an election too."""
    with running_group(conf={"mupdate_server": "127.0.0.9"}) as group:
        writer = group.settle()
        nodes = [writer, group.others(writer)[0]]

        def listed(node):
            with Mupdate(path=node.path("config", "socket", "mupdate.target")) as c:
                assert c.result("NOOP")[0] == "OK"
            return re.findall(r'"(user\.[a-z0-9]+)"\s*:', node.command("ctl_mboxlist", "-d").stdout)

        with client(nodes[1]) as c:
            for i in range(5):
                assert c.result('ACTIVATE "user.a%d" "be1!p" ""' % i)[0] == "OK"
            assert c.result('DELETE "user.a3"')[0] == "OK"
        for node in nodes:
            assert listed(node) == ["user.a0", "user.a1", "user.a2", "user.a4"]
        writer.kill()
        group.writer(group.others(writer))
        with client(nodes[1]) as c:
            assert c.result('ACTIVATE "user.b" "be1!p" ""')[0] == "OK"
            assert listed(nodes[1])[-1] == "user.b"
        writer.start()
        group.settle()
        eventually(lambda: listed(writer)[-1] == "user.b")
        for node in nodes:
            assert "mupdate.follow" not in node.log()
