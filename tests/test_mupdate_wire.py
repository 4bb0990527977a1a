"""What members of a group of MUPDATE masters say to one another, on the wire: what is refused, and whom nobody has to do with."""

import base64
import contextlib

import pytest

from iatlas import Node, net
from iatlas.mupdate import Mupdate
from test_mupdate_group import client, eventually, names_of, running_group, status

pytestmark = pytest.mark.slow  # a group that is founded

HUGE = 1 << 64
QUIET = "no quorum: "
# One that is right, but for who says it.
MEMBERS_ONLY = (
    "XMEMBER",
    "XVISIBLE",
    "XWHERE",
    'XVOTE "1" "would" "1" "1" "1" "1"',
    'XLEADS "1" "1" "1" "h:1"',
    'XFOLLOW "h:1" "1" "1" "0" "0" "1" "1" "1" "1" "1"',
    'XCOPY "1" "1"',
    'XROWS "1" "1" "0" ""',
)
WRONG = (
    'XVOTE "x" "would" "1" "1" "1" "1"',
    'XVOTE "1" "maybe" "1" "1" "1" "1"',
    'XVOTE "1" "would" "-1" "1" "1" "1"',
    'XVOTE "1" "real" "1" "1" "1" "%d"' % HUGE,
    'XVOTE "1" "real" "1" "" "1" "1"',
    'XLEADS "1" "1" "0" "h:1"',
    'XLEADS "1" "1" "1" ""',
    'XLEADS "1" "1" "1" "%s"' % ("h" * 256),
    'XLEADS "1" "1" "1" "h h"',
    'XLEADS "1" "1x" "1" "h:1"',
    'XFOLLOW "h:1" "1" "0" "0" "0" "1" "1" "1" "1" "1"',
    'XFOLLOW "" "0" "1" "0" "0" "1" "1" "1" "1" "1"',
    'XFOLLOW "h\\"h" "0" "1" "0" "0" "1" "1" "1" "1" "1"',
    'XFOLLOW "%s" "0" "1" "0" "0" "1" "1" "1" "1" "1"' % ("h" * 256),
    *('XFOLLOW "h:1" %s' % " ".join('"%s"' % ("1x" if i == j else "1") for i in range(9)) for j in range(9)),
    'XCOPY "1" "x"',
    'XCOPY "1" "%d"' % HUGE,
    'XROWS "1" "1" "2" ""',
    'XROWS "1" "1" "x" ""',
    'XROWS "x" "1" "0" ""',
    'XROWS "1" "1" "0" "%%%"',
    'XROWS "1" "1" "0" "%s"' % base64.b64encode(b"k" * 5000).decode(),
    "XGROUP REMOVE",
    'XGROUP "ADD" "h:1"',
)


def short(command):
    """The same without its last word."""
    return command.rpartition(" ")[0]


@pytest.fixture(scope="module")
def group():
    """Each has its node's list, too: a local socket."""
    with running_group(conf={"mupdate_server": "127.0.0.9"}) as made:
        made.settle()
        yield made


@pytest.fixture
def c(group):
    """A member's session with whoever is elected."""
    with client(group.settle()) as made:
        made.ok("XMEMBER")
        yield made


def term(c):
    """Of the last election, by a vote nobody is asked for."""
    return int(c.command('XVOTE "0" "would" "0" "0" "0" "0"')[-1][3])


def last(node):
    return status(node)[2][1]


def follow(c, at_term, index, epoch=0, who=7777, joins=0, in_term=None):
    """The lines of an answer to XFOLLOW."""
    words = ("h:1", epoch, who, joins, 0, term(c) if in_term is None else in_term, at_term, index, 0, 0)
    return c.command("XFOLLOW " + " ".join('"%s"' % w for w in words))


def test_only_members(group, network, workdir):
    """Neither who has not said that it is one, nor a lone master, nor a local socket, nor who is nobody."""
    writer = group.settle()
    with client(writer) as c:
        for command in MEMBERS_ONLY[1:]:
            assert c.result(command) == ("BAD", "for members of a group"), command
    with Mupdate(path=writer.path("config", "socket", "mupdate.target")) as c:
        for command in MEMBERS_ONLY:
            assert c.result(command) == ("BAD", "for members of a group"), command
    writer.add_user("fred")
    with pytest.raises(AssertionError, match="only administrators"):
        Mupdate(writer.address).login("fred")
    for command in (*MEMBERS_ONLY, "XGROUP"):
        with Mupdate(writer.address) as c:
            assert c.result(command)[0] == "BAD", command
    lone = Node(workdir + "/lone", network.address(), {"admins": "cyrus"}, start={})
    lone.services["mupdate"] = 'cmd="mupdate -m" listen="%s:%d" prefork=1' % (lone.address, net.MUPDATE)
    lone.add_user("cyrus")
    try:
        lone.start()
        with client(lone) as c:
            for command in MEMBERS_ONLY:
                assert c.result(command) == ("BAD", "for members of a group"), command
            for command in ("XGROUP", 'XGROUP "REMOVE" "h:1"'):
                assert c.result(command) == ("BAD", "no member of a group"), command
    finally:
        lone.cleanup()


def test_wrong_words(group, c):
    """Nothing of it changes anything: the same one is elected, and writes."""
    before = term(c), [status(n)[1] for n in group.nodes]
    for command in WRONG:
        assert c.result(command)[0] == "BAD", command
    for command in MEMBERS_ONLY:
        assert c.result(command + ' "1"') == ("BAD", "Extra arguments"), command
        if " " in command:
            assert c.result(short(command)) == ("BAD", "Missing arguments"), command
    assert c.result('XGROUP "REMOVE" "h:1" "1"') == ("BAD", "Extra arguments")
    assert (term(c), [status(n)[1] for n in group.nodes]) == before
    assert c.result('RESERVE "user.wrong" "be1!p"') == ("OK", "done")


def test_who_is_not_elected(group):
    with client(group.others(group.settle())[0]) as c:
        c.ok("XMEMBER")
        for command in ("XWHERE", 'XCOPY "1" "1"', 'XROWS "1" "1" "0" ""', 'XFOLLOW "h:1" "0" "7777" "0" "0" "1" "1" "1" "0" "0"'):
            assert c.result(command) == ("NO", QUIET + "not elected"), command
        assert c.result("XVISIBLE")[0] == "OK"
        # what is to be changed is not sent on for another member
        assert c.result('RESERVE "user.on" "be1!p"') == ("NO", QUIET + "nothing was changed, try again")


def test_another_groups_epoch(group, c):
    """Who is a member of another group is given no vote, believed nothing, and nothing of the list."""
    epoch, now = int(c.ok('XCOPY "7777" "0"') and c.command('XCOPY "7777" "0"')[-1][2]), term(c)
    for others in (epoch + 1, epoch ^ 1):
        assert c.result('XVOTE "%d" "real" "%d" "7777" "%d" "%d"' % (others, now + 5, now + 5, 1 << 40)) == ("NO", QUIET + "not now")
        assert c.result('XLEADS "%d" "%d" "7777" "h:1"' % (others, now + 5)) == ("NO", QUIET + "not now")
        assert follow(c, 0, 0, epoch=others)[-1][1:] == ("NO", QUIET + "not elected")
    assert term(c) == now
    assert c.result('XVOTE "%d" "would" "%d" "7777" "%d" "%d"' % (epoch, now + 5, now + 5, 1 << 40))[:2] == ("OK", "0")  # it is led


def test_follow(group, c):
    """From where it is: the rest; from ahead of it, or of another term: back; from before what is kept: a copy."""
    writer = group.settle()
    assert c.result('RESERVE "user.followed" "be1!p"') == ("OK", "done")
    eventually(lambda: len(set(status(writer)[2])) == 1)
    now, end = term(c), last(writer)
    lines = follow(c, now, end - 1)
    assert [w[1] for w in lines] == ["XENTRY", "XROW", "OK"] and lines[0][2:4] == (str(now), str(end)), lines
    assert lines[-1][2] == str(now)
    lines = follow(c, now, end)  # there is nothing
    assert [w[1] for w in lines] == ["OK"], lines
    lines = follow(c, now, end + 5)
    assert [w[1:] for w in lines[:-1]] == [("XBACK", str(end))] and lines[-1][1] == "OK"
    lines = follow(c, now + 9, end)  # of a term that never was
    assert [w[1:] for w in lines[:-1]] == [("XBACK", str(end - 1))]
    assert [w[1] for w in follow(c, 0, 0)] == ["XCOPY", "OK"]
    with client(writer) as d:  # a name is given in base64, and comes once
        d.ok("XMEMBER")
        rows = [w for w in d.ok('XROWS "7777" "%d" "0" ""' % now) if w[1] == "XROW"]
        keys = [base64.b64decode(w[2]) for w in rows]
        assert keys == sorted(set(keys)) and len(keys) == len(names_of(d, ""))
        assert d.command('XROWS "7777" "%d" "0" "%s"' % (now, rows[-1][2]))[-1][1:] == ("OK", "0")
    with client(writer) as d:  # who joins with the copy of a group that he was no member of begins anew
        d.ok("XMEMBER")
        epoch = int(d.command('XCOPY "7778" "%d"' % now)[-1][2])
        assert [w[1] for w in follow(d, now, end, epoch=epoch ^ 1, who=7778, joins=1)] == ["XCOPY", "OK"]


def test_a_later_term(group, c):
    """Whoever says that it is a later one has the elected one step down, and somebody is elected again."""
    writer, now = group.settle(), term(c)
    assert follow(c, now, last(writer), in_term=now + 3)[-1][1:] == ("NO", QUIET + "not elected")
    eventually(lambda: term(c) > now + 3)
    with client(group.settle()) as d:
        assert d.result('RESERVE "user.later" "be1!p"')[0] == "OK"


def test_remove(group, c):
    """Nobody, and the elected one itself: at any of them."""
    writer = group.settle()
    for node in (writer, group.others(writer)[0]):
        with client(node) as d:
            assert d.result('XGROUP "REMOVE" "127.0.0.9:1"') == ("NO", "not found")
            assert d.result('XGROUP "REMOVE" "%s:%d"' % (writer.address, net.MUPDATE)) == ("NO", "it is the elected one: stop it first")
    assert [len(status(n)[0]) for n in group.nodes] == [3, 3, 3]


def test_cut_lines(group, c):
    """A session that ends in the middle of whatever it says leaves the group as it was."""
    before = term(c)
    for command in MEMBERS_ONLY:
        for end in ("", " ", ' "', " {10+}\r\nab"):
            with contextlib.suppress(OSError), Mupdate(group.nodes[0].address) as d:
                d.login()
                d.ok("XMEMBER")
                d.send("A1 " + short(command) + end)
    assert term(c) == before
    assert c.result('RESERVE "user.cut" "be1!p"') == ("OK", "done")
