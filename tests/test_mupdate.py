"""The MUPDATE server: master and slave, on the wire."""

import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

from iatlas import Node, net, program
from iatlas.mupdate import Mupdate

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def nodes(workdir, network):
    """make(name, conf, command) starts a node that runs mupdate and nothing else."""
    made = []

    def make(name, command, **conf):
        address = network.address()
        conf.setdefault("admins", "cyrus murder")
        node = Node(os.path.join(workdir, name), address, conf, start={})
        node.services["mupdate"] = 'cmd="%s" listen="%s:%d" prefork=1' % (command, address, net.MUPDATE)
        node.add_user("cyrus", "murder", "user1")
        made.append(node)
        return node.start()

    yield make
    for node in made:
        node.cleanup()


@pytest.fixture
def master(nodes):
    return nodes("m", "mupdate -m")


def slave_of(master, nodes, name="fe", **more):
    return nodes(
        name,
        "mupdate",
        mupdate_server=master.address,
        mupdate_port=str(net.MUPDATE),
        mupdate_authname="murder",
        mupdate_username="murder",
        mupdate_password="secret",
        mupdate_retry_delay="1",
        **more,
    )


def client(node):
    return Mupdate(node.address).login()


def local(node):
    return Mupdate(path=node.path("config", "socket", "mupdate.target"))


def eventually(what, timeout=60):
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = what()
        except (OSError, EOFError):
            value = None
        if value or time.monotonic() > deadline:
            assert value
            return value
        time.sleep(0.01)


def test_banner_and_login(master):
    with Mupdate(master.address) as c:
        names = [b[1] for b in c.banner]
        assert c.banner[0][:2] == ("*", "AUTH") and "PLAIN" in c.banner[0]
        assert "PARTIAL-UPDATE" in names and "X-RESUME" in names
        assert ("*", "COMPRESS", "DEFLATE") in c.banner
        assert c.banner[-1][:5] == ("*", "OK", "MUPDATE", master.servername, "iatlas")
        assert c.banner[-1][-1] == "(master)"
        assert c.result("NOOP") == ("BAD", "Please login first")
        assert c.result('FIND "user.user1"') == ("BAD", "Please login first")
        assert c.result('AUTHENTICATE "PLAIN" "AHVzZXIxAHNlY3JldA=="')[0] == "NO"  # no administrator
        assert c.result('AUTHENTICATE "PLAIN" {20+}\r\nAG11cmRlcgB3cm9uZw==')[0] == "NO"
        assert c.result('AUTHENTICATE "FROB"')[0] == "NO"
        c.login("murder")
        assert c.result("NOOP") == ("OK", "Noop done")
        assert c.result("LOGOUT") == ("OK", "bye-bye")
        with pytest.raises(EOFError):
            c.read()


def test_wire_forms(master):
    with client(master) as c:
        c.send('X1 RESERVE "user.a" {7+}\r\nbe1.lab\r\nX2 FIND {6}\r\n')
        assert c.read() == ("X1", "OK", "done")
        assert c.read() == ("+", "go", "ahead")
        c.send("user.a\r\n")
        assert c.finish("X2") == [("X2", "RESERVE", "user.a", "be1.lab"), ("X2", "OK", "Search completed")]
        for i, byte in enumerate(b'Y1 aCtIvAtE "user.a" "be1.lab!default" "user1\tlrs\t"\r\n'):
            c.send(bytes([byte]))
        assert c.finish("Y1") == [("Y1", "OK", "done")]
        assert c.find("user.a") == ("MAILBOX", "be1.lab!default", "user1\tlrs\t")
        assert c.result("FROB") == ("BAD", "Unrecognized command")
        assert c.result('FIND "a" "b"') == ("BAD", "Extra arguments")
        assert c.result("FIND") == ("BAD", "Missing arguments")
        c.send("\r\n")
        assert c.read()[:2] == ("*", "BAD")
        c.send("X3 ACTIVATE {6}\r\n")  # one command, three literals that wait, the last one empty
        for literal in ("user.z {6}\r\n", "be1!pq {0}\r\n", "\r\n"):
            assert c.read() == ("+", "go", "ahead")
            c.send(literal)
        assert c.read() == ("X3", "OK", "done")
        assert c.find("user.z") == ("MAILBOX", "be1!pq", "")
        c.ok('ACTIVATE "user.z" "be1!p" {0+}\r\n')
        assert c.ok("LIST {6+}\r\nbe1!pq") == []
        assert [line[2:] for line in c.ok("LIST {5+}\r\nbe1!p")] == [("user.z", "be1!p", "")]
        assert c.result("STARTTLS")[0] == "BAD" and c.result('AUTHENTICATE "PLAIN" "AG11cmRlcgBzZWNyZXQ="')[0] == "BAD"
        assert c.result('RESERVE "user..a" "be1.lab!"')[0] == "NO"
        assert c.result('RESERVE "user.b" {6+}\r\nbe1\r\n!')[0] == "NO"
        assert c.result('ACTIVATE "user.b" {7+}\r\nbe1!a\r\n ""')[0] == "NO"
        assert c.result('RESERVE "user.a b&AOk-" "be1.lab!"') == ("OK", "done")
        long = "x" * 5000
        assert c.result('ACTIVATE "user.long" "be1!p" {%d+}\r\n%s' % (len(long), long))[0] == "OK"
        assert c.find("user.long") == ("MAILBOX", "be1!p", long)
        c.send("Z FIND {999999+}\r\n")
        assert c.read() == ("*", "BYE", "Command too long")


def test_answers_come_in_order(master):
    """Behind changes that are on their way to the disk: reads, mistakes, a literal that waits, the end."""
    with client(master) as c:
        for round in range(20):
            c.send(
                'A1 RESERVE "user.a" "be1!p"\r\nA2 ACTIVATE "user.a" "be1!p" "r%d"\r\nF1 FIND "user.a"\r\nfrob\r\n'
                'A3 DELETE "user.a"\r\nA4 DELETE "user.a"\r\nF2 FIND "user.a"\r\nA5 FROB\r\nA6 RESERVE "user.b" "be1!p"\r\n'
                'A7 ACTIVATE "user.b" "be1!p" {3}\r\n' % round
            )
            assert [c.read() for _ in range(11)] == [
                ("A1", "OK", "done"),
                ("A2", "OK", "done"),
                ("F1", "MAILBOX", "user.a", "be1!p", "r%d" % round),
                ("F1", "OK", "Search completed"),
                ("frob", "BAD", "Need Command"),
                ("A3", "OK", "done"),
                ("A4", "NO", "no such mailbox"),
                ("F2", "OK", "Search completed"),
                ("A5", "BAD", "Unrecognized command"),
                ("A6", "OK", "done"),
                ("+", "go", "ahead"),
            ]
            c.send('xyz\r\nN1 NOOP\r\nA8 DELETE "user.b"\r\n')
            assert [c.read() for _ in range(3)] == [
                ("A7", "OK", "done"),
                ("N1", "OK", "Noop done"),
                ("A8", "OK", "done"),
            ]
        c.send('A1 RESERVE "user.a" "be1!p"\r\nA2 LOGOUT\r\nA3 NOOP\r\n')
        assert [c.read() for _ in range(2)] == [("A1", "OK", "done"), ("A2", "OK", "bye-bye")]
        with pytest.raises(EOFError):
            c.read()
    with client(master) as c:  # gone before the answer: done all the same
        c.send('A1 RESERVE "user.c" "be1!p"\r\n')
    with client(master) as c:
        eventually(lambda: c.find("user.c"))


def test_many_writers_and_readers(master):
    """Each session's answers are its own, each list is whole, each stream has every change once it is over."""
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(client(master)) for _ in range(10)]
        readers = [stack.enter_context(client(master)) for _ in range(20)]
        for w, c in enumerate(writers):
            c.send("".join('A%d ACTIVATE "w%d.u%d" "be%d!p" ""\r\n' % (i, w, i, w) for i in range(100)))
        tags = [c.start("UPDATE" if i % 2 else 'XUPDATE "0" "0"') for i, c in enumerate(readers)]
        for c in writers:
            assert [c.read() for _ in range(100)] == [("A%d" % i, "OK", "done") for i in range(100)]
        for c, tag in zip(readers, tags):
            noop = c.start("NOOP")
            seen = {line[2] for line in c.finish(noop) if line[1] == "MAILBOX"}
            assert len(seen) == 1000


def test_silence(nodes):
    """However short `timeout` is for others: who has logged in may be silent for a quarter of an hour (RFC 3656 2)."""
    master = nodes("m", "mupdate -m", timeout="1s")
    with client(master) as c:
        time.sleep(1.5)
        assert c.result("NOOP") == ("OK", "Noop done")


def table():
    """The rows of transitions.def."""
    with open(os.path.join(HERE, "..", "mupdate", "transitions.def")) as f:
        rows = re.findall(r"^TRANSITION\((\w+), (\w+), (\w+), (\w+)\)", f.read(), re.M)
    assert len(rows) == 20
    return rows


@pytest.mark.parametrize("config", ["standard", "unified", "replicated"])
def test_every_transition(nodes, config):
    """The table is the same in every kind of murder."""
    master = nodes("m", "mupdate -m", mupdate_config=config)
    own, other = "be1.lab!default", "be2.lab!default"
    texts = {"DONE": "OK", "EXISTS": "NO", "CONFLICT": "NO", "NO_SUCH": "NO", "NOT_ACTIVE": "NO"}
    with client(master) as c:
        for i, (verb, there, result, then) in enumerate(table()):
            name = "user.t%d" % i
            location = own if there.endswith("OWN") else other
            if there.startswith("RESERVED"):
                c.ok('RESERVE "%s" "%s"' % (name, location))
            elif there.startswith("ACTIVE"):
                c.ok('ACTIVATE "%s" "%s" "u\tlrs\t"' % (name, location))
            before = c.find(name)
            args = {"DELETE": "", "ACTIVATE": ' "%s" "u\tl\t"' % own}.get(verb, ' "%s"' % own)
            assert c.result('%s "%s"%s' % (verb, name, args))[0] == texts[result], (verb, there)
            after = {
                "SAME": before,
                "ABSENT": None,
                "RESERVED": ("RESERVE", own),
                "ACTIVE": ("MAILBOX", own, "u\tl\t"),
            }[then]
            assert c.find(name) == after, (verb, there)
    conflicts = [line for line in master.log().splitlines() if "mupdate.conflict" in line]
    assert len(conflicts) == 1 and 'holder="be2.lab!default"' in conflicts[0]


def test_conflicts(master):
    """Who claims what is active elsewhere is told of, until the name is given up."""

    def told():
        r = master.command("ctl_mboxlist", "-v", check=False)
        return r.returncode, r.stdout

    assert told() == (0, "")
    with client(master) as c:
        c.ok('ACTIVATE "user.a" "be1!p" ""')
        c.ok('ACTIVATE "user.b" "be1!p" ""')
        for name, location in (("a", "be2!p"), ("b", "be2!q"), ("a", "be3!p"), ("a", "be2!q")):
            assert c.result('ACTIVATE "user.%s" "%s" ""' % (name, location))[0] == "NO"
        lines = [line[1:-1] for line in c.ok("CONFLICTS")]
        assert lines == [
            ("CONFLICT", "user.a", "be1!p", "be2!q", "2"),
            ("CONFLICT", "user.b", "be1!p", "be2!q", "1"),
            ("CONFLICT", "user.a", "be1!p", "be3!p", "1"),
        ]
        status, text = told()
        assert status == 65 and len(text.splitlines()) == 3
        assert "user.b: active at be1!p, claimed by be2!q (times: 1; " in text
        c.ok('DELETE "user.a"')
        c.ok('ACTIVATE "user.a" "be3!p" ""')
        c.ok('DEACTIVATE "user.b" "be1!p"')
        assert [line[1:4] for line in c.ok("CONFLICTS")] == [("CONFLICT", "user.a", "be3!p")]
        c.ok('DELETE "user.a"')
        assert c.ok("CONFLICTS") == []
        c.ok('ACTIVATE "user.a" "be1!p" ""')
        assert c.ok("CONFLICTS") == []  # an old one does not come back
    assert told() == (0, "")


def test_conflict_accepted(nodes):
    m = nodes("m", "mupdate -m", mupdate_conflict="accept")
    with client(m) as c:
        c.ok('ACTIVATE "user.a" "be1!p" ""')
        c.ok('ACTIVATE "user.a" "be2!p" ""')
        assert c.find("user.a") == ("MAILBOX", "be2!p", "")
        assert c.ok("CONFLICTS") == []


def test_unknown_names_do_not_crash(master):
    with client(master) as c:
        assert c.result('DELETE "user.nonesuch"') == ("NO", "no such mailbox")
        assert c.result('DEACTIVATE "user.nonesuch" "be1!p"') == ("NO", "no such mailbox")
        assert c.ok('FIND "user.nonesuch"') == []
        assert c.ok('FIND "%s"' % ("x" * 3000)) == []


def test_list(master):
    with client(master) as c:
        for i in range(1500):
            c.send('A%d ACTIVATE "user.u%04d" "be%d.lab!default" "u\tlrs\t"\r\n' % (i, i, i % 2 + 1))
        for i in range(1500):
            assert c.read() == ("A%d" % i, "OK", "done")
        names = [w[2] for w in c.ok("LIST")]
        assert names == ["user.u%04d" % i for i in range(1500)]
        assert len(c.ok('LIST "be1.lab!"')) == 750
        assert c.ok('LIST "be3.lab!"') == []
        assert c.command("LIST")[-1][1:] == ("OK", "list complete")


def test_update_stream(master):
    with client(master) as writer, client(master) as c:
        writer.ok('ACTIVATE "user.a" "be1!p" "a\tl\t"')
        writer.ok('RESERVE "user.b" "be2!p"')
        tag = c.start("UPDATE")
        assert c.finish(tag) == [
            (tag, "MAILBOX", "user.a", "be1!p", "a\tl\t"),
            (tag, "RESERVE", "user.b", "be2!p"),
            (tag, "OK", "streaming starts"),
        ]
        writer.ok('ACTIVATE "user.c" "be1!p" ""')
        assert c.read() == (tag, "MAILBOX", "user.c", "be1!p", "")
        writer.ok('DELETE "user.a"')
        noop = c.start("NOOP")
        assert c.finish(noop) == [(tag, "DELETE", "user.a"), (noop, "OK", "Noop done")]
        assert c.result('FIND "user.c"')[0] == "BAD"
        assert c.result("UPDATE")[0] == "BAD"
        assert c.result('DELETE "user.c"')[0] == "BAD"
        assert c.result("LOGOUT")[0] == "OK"


def test_partial_update(master):
    with client(master) as writer, client(master) as c:
        writer.ok('ACTIVATE "user.a" "be1.lab!p" ""')
        writer.ok('ACTIVATE "user.b" "be2.lab!p" ""')
        writer.ok('ACTIVATE "user.d" "be22.lab!p" ""')
        tag = c.start('UPDATE "be2.lab" "be3.lab"')
        assert [line[2] for line in c.finish(tag)[:-1]] == ["user.b"]
        writer.ok('ACTIVATE "user.c" "be3.lab!p" ""')
        assert c.read() == (tag, "MAILBOX", "user.c", "be3.lab!p", "")


def test_partial_update_tells_what_left(master):
    with client(master) as writer, client(master) as c:
        writer.ok('ACTIVATE "user.a" "be1.lab!p" ""')
        tag = c.start('UPDATE "be1.lab"')
        c.finish(tag)
        writer.ok('DELETE "user.a"')
        assert c.read() == (tag, "DELETE", "user.a")
        writer.ok('RESERVE "user.b" "be1.lab!p"')
        assert c.read() == (tag, "RESERVE", "user.b", "be1.lab!p")
        writer.ok('ACTIVATE "user.b" "be2.lab!p" ""')  # as XFER does it
        assert c.read() == (tag, "DELETE", "user.b")


def test_compress(master):
    with client(master) as c:
        assert c.result('COMPRESS "GZIP"')[0] == "NO"
        c.compress()
        assert c.result('COMPRESS "DEFLATE"')[0] == "NO"
        for i in range(100):
            c.send('A%d ACTIVATE "user.u%03d" "be1.lab!p" "u\tlrs\t"\r\n' % (i, i))
        for i in range(100):
            assert c.read() == ("A%d" % i, "OK", "done")
        tag = c.start("UPDATE")
        assert len(c.finish(tag)) == 101
        with client(master) as writer:
            writer.ok('DELETE "user.u000"')
        assert c.read() == (tag, "DELETE", "user.u000")
        assert c.result('COMPRESS "DEFLATE"')[0] == "BAD"
        assert c.result("LOGOUT")[0] == "OK"


def position(line):
    return '"%s" "%s"' % line[2:]


def test_resume(master):
    with client(master) as w:
        with client(master) as c:
            for bad in ("", ' "1"', ' "x" "1"', ' "1" "-1"', ' "1" "1" "1"'):
                assert c.result("XUPDATE" + bad)[0] == "BAD"
            w.ok('ACTIVATE "user.a" "be1!p" "a\tl\t"')
            tag = c.start('XUPDATE "0" "0"')
            first, *rest = c.finish(tag)
            assert first[:2] == (tag, "XLIST")
            assert rest == [
                (tag, "MAILBOX", "user.a", "be1!p", "a\tl\t", "", "", ""),
                (tag, "OK", "streaming starts"),
            ]
            w.ok('RESERVE "user.b" "be1!p"')
            assert c.read() == (tag, "RESERVE", "user.b", "be1!p")
            at = c.read()
            assert at[:3] == (tag, "XPOSITION", first[2]) and int(at[3]) == int(first[3]) + 1
            assert c.result('XUPDATE "0" "0"')[0] == "BAD"
        w.ok('DELETE "user.a"')
        w.ok('ACTIVATE "user.b" "be1!p" ""')
        for again in range(2):
            if again:
                for pid in master.processes("mupdate"):
                    os.kill(pid, signal.SIGKILL)
                eventually(lambda: client(master).close() or True)
            with client(master) as c:
                tag = c.start("XUPDATE " + position(at))
                assert c.finish(tag) == [(tag, "XCHANGES") + at[2:], (tag, "OK", "streaming starts")]
                assert c.read() == (tag, "DELETE", "user.a")
                assert c.read() == (tag, "MAILBOX", "user.b", "be1!p", "", "", "", "")
                last = c.read()
                assert last == (tag, "XPOSITION", at[2], str(int(at[3]) + 2))
                noop = c.start("NOOP")
                assert c.read() == (noop, "OK", "Noop done")
    with client(master) as c:  # another epoch, and a sequence that this one has not given yet
        for epoch, sequence in ((int(at[2]) ^ 1, 0), (at[2], int(last[3]) + 1)):
            tag = c.start('XUPDATE "%s" "%s"' % (epoch, sequence))
            assert c.finish(tag)[0] == (tag, "XLIST") + last[2:]
            c.close()
            c = client(master)


def test_details(master, nodes):
    with client(master) as w:
        assert ("*", "X-DETAILS") in w.banner
        for bad in ('"i"', '"i" "e"', '"i" "e" "" ""'):
            assert w.result('ACTIVATE "user.a" "be1!p" "" ' + bad)[0] == "BAD"
        assert w.result('ACTIVATE "user.a" "be1!p" "" "%s" "e" ""' % ("x" * 65))[0] == "NO"
        assert w.result('ACTIVATE "user.a" "be1!p" "" "id" "toolong-x" ""')[0] == "NO"
        w.ok('ACTIVATE "user.a" "be1!p" "a\tl\t" "id-of-a" "e" "a\t"')
        w.ok('ACTIVATE "user.b" "be1!p" ""')
        a = ("user.a", "be1!p", "a\tl\t")
        assert w.ok("LIST")[0][2:] == a and w.find("user.a") == ("MAILBOX",) + a[1:]
        assert [line[2:] for line in w.ok('DETAILS "be1!"')] == [
            a + ("id-of-a", "e", "a\t"),
            ("user.b", "be1!p", "", "", "", ""),
        ]
        fe = slave_of(master, nodes)
        with client(fe) as s:  # a slave hands on what it was told
            eventually(lambda: s.find("user.b"))
            assert [line[5:] for line in s.ok("DETAILS")] == [("id-of-a", "e", "a\t"), ("", "", "")]
            w.ok('ACTIVATE "user.c" "be1!p" "a\tl\t" "id-of-a" "e" "a\tSent\t"')
            w.ok('DELETE "user.a"')  # a rename
            w.ok('ACTIVATE "user.x" "be1!p" "" "id-of-x" "c" ""')  # no mail in it
            eventually(lambda: s.find("user.a") is None)
            with local(fe) as l:
                l.ok("NOOP")
            assert [line[2:] for line in s.ok("DETAILS")] == [
                ("user.b", "be1!p", "", "", "", ""),
                ("user.c", "be1!p", "a\tl\t", "id-of-a", "e", "a\tSent\t"),
            ]
        w.ok('ACTIVATE "user.c" "be1!p" ""')  # by a server that does not tell
        assert w.ok("DETAILS")[1][2:] == ("user.c", "be1!p", "", "", "", "")


def test_slave_resumes(master, nodes):
    """After its own end, and after the master's."""
    fe = slave_of(master, nodes)
    with client(master) as w:
        w.ok('ACTIVATE "user.a" "be1!p" ""')
        eventually(lambda: client(fe).find("user.a"))
    fe.stop()
    with client(master) as w:
        w.ok('ACTIVATE "user.b" "be1!p" ""')
        w.ok('DELETE "user.a"')
    fe.start()
    eventually(lambda: client(fe).find("user.b") and not client(fe).find("user.a"))
    for pid in master.processes("mupdate"):
        os.kill(pid, signal.SIGKILL)
    with eventually(lambda: client(master)) as w:
        w.ok('ACTIVATE "user.c" "be1!p" ""')
    eventually(lambda: client(fe).find("user.c"))
    log = fe.log()
    assert log.count("mupdate.slave-synced") == 1 and log.count("mupdate.slave-resumed") == 2


def test_slow_reader_does_not_stop_others(master):
    acl = "x" * 4000
    with client(master) as writer, client(master) as slow:
        slow.ok("UPDATE")
        began = time.monotonic()
        for i in range(2000):  # 8 MB that nobody reads
            writer.send('A%d ACTIVATE "user.u%d" "be1!p" {4000+}\r\n%s\r\n' % (i, i, acl))
            if i % 100 == 99:
                while writer.read()[0] != "A%d" % i:
                    pass
        assert time.monotonic() - began < 60
        seen = set()
        while len(seen) < 2000:
            seen.add(slow.read()[2])


def test_master_keeps_everything_over_a_kill(master):
    with client(master) as c:
        for i in range(50):
            c.ok('ACTIVATE "user.u%d" "be1!p" ""' % i)
        c.ok('RESERVE "user.r" "be1!p"')
    for pid in master.processes("mupdate"):
        os.kill(pid, signal.SIGKILL)
    c = eventually(lambda: client(master))
    assert len(c.ok("LIST")) == 51
    assert c.find("user.r") == ("RESERVE", "be1!p")
    assert c.result('RESERVE "user.r" "be2!p"')[0] == "NO"
    c.ok('RESERVE "user.r" "be1!p"')
    c.close()


def test_slave_follows_at_once(master, nodes):
    fe = slave_of(master, nodes)
    with client(master) as w, client(fe) as s:
        assert s.banner[-1][-1] == "mupdate://" + master.address
        assert s.result('RESERVE "user.x" "fe1.lab!default"') == ("BAD", "read-only session")
        eventually(lambda: "mupdate.slave-synced" in fe.log())
        delays = []
        for i in range(20):
            name = "user.u%d" % i
            w.ok('ACTIVATE "%s" "be1!p" "u\tlrs\t"' % name)
            began = time.monotonic()
            eventually(lambda: s.find(name) == ("MAILBOX", "be1!p", "u\tlrs\t"))
            delays.append(time.monotonic() - began)
        assert sorted(delays)[10] < 1
        w.ok('DELETE "user.u0"')
        w.ok('DEACTIVATE "user.u1" "be1!p"')
        eventually(lambda: s.find("user.u0") is None)
        eventually(lambda: s.find("user.u1") == ("RESERVE", "be1!p"))


def test_barrier(master, nodes):
    """A NOOP at a slave: what the master had acknowledged before is there."""
    fe = slave_of(master, nodes)
    eventually(lambda: "mupdate.slave-synced" in fe.log())
    with client(master) as w, local(fe) as s:
        for i in range(100):
            w.ok('ACTIVATE "user.u%d" "be1!p" ""' % i)
            s.ok("NOOP")
            assert s.find("user.u%d" % i) is not None
        assert s.result('DELETE "user.u1"') == ("BAD", "read-only session")


def test_slave_serves_its_own_slaves(master, nodes):
    fe = slave_of(master, nodes)
    with client(master) as w, client(fe) as s:
        w.ok('ACTIVATE "user.a" "be1!p" ""')
        eventually(lambda: s.find("user.a"))
        tag = s.start("UPDATE")
        assert s.finish(tag)[0] == (tag, "MAILBOX", "user.a", "be1!p", "")
        w.ok('ACTIVATE "user.b" "be1!p" ""')
        assert s.read() == (tag, "MAILBOX", "user.b", "be1!p", "")
        w.ok('DELETE "user.a"')
        noop = s.start("NOOP")
        assert (tag, "DELETE", "user.a") in s.finish(noop)


def test_master_restart(master, nodes):
    """The list serves meanwhile; afterwards it is the master's again, what went and what came."""
    fe = slave_of(master, nodes)
    with client(master) as w:
        w.ok('ACTIVATE "user.a" "be1!p" ""')
        w.ok('ACTIVATE "user.b" "be1!p" ""')
    s = client(fe)
    eventually(lambda: s.find("user.b"))
    fe.stop()
    with client(master) as w:
        w.ok('DELETE "user.a"')
        w.ok('ACTIVATE "user.c" "be1!p" ""')
    master.stop()
    fe.start()
    s = eventually(lambda: client(fe))
    assert s.find("user.a") and s.find("user.b")  # the master is away: as it was
    began = time.monotonic()
    s.ok("NOOP")
    assert time.monotonic() - began < 10  # nothing to wait for
    master.start()
    eventually(lambda: s.find("user.c"))
    eventually(lambda: s.find("user.a") is None)
    assert s.find("user.b")


def test_slave_restart(master, nodes):
    fe = slave_of(master, nodes)
    w = client(master)
    w.ok('ACTIVATE "user.a" "be1!p" ""')
    eventually(lambda: client(fe).find("user.a"))
    for pid in fe.processes("mupdate"):
        os.kill(pid, signal.SIGKILL)
    w.ok('ACTIVATE "user.b" "be1!p" ""')
    eventually(lambda: client(fe).find("user.b"))


def test_sighup_hands_the_database_over(master):
    with client(master) as streaming, client(master) as w:
        w.ok('ACTIVATE "user.a" "be1!p" ""')
        streaming.ok("UPDATE")
        old = master.processes("mupdate")
        master.master.send_signal(signal.SIGHUP)
        with pytest.raises(EOFError):
            while True:
                streaming.read()
    c = eventually(lambda: client(master), 40)
    assert c.find("user.a")
    assert not set(old) & set(master.processes("mupdate"))


def test_master_on_a_frontend_keeps_the_list(nodes, network):
    """-a, in the same instance as a frontend: the node's own list follows without the network."""
    address = network.address()
    node = nodes("m", "mupdate -a", servername=address, mupdate_server=address, mupdate_password="secret")
    with client(node) as c, local(node) as l:
        assert c.banner[-1][-1] == "(master)"
        for i in range(20):
            c.ok('ACTIVATE "user.u%d" "be1!p" ""' % i)
        l.ok("NOOP")
        c.ok('DELETE "user.u3"')
        l.ok("NOOP")
    names = node.command("ctl_mboxlist", "-d").stdout
    assert '"user.u2"' in names and '"user.u3"' not in names


def private_bytes(node):
    """Of its MUPDATE server: what it holds for itself."""
    (pid,) = node.processes("mupdate")
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return 1024 * sum(int(line.split()[1]) for line in f if line.startswith("Private_Dirty"))


@pytest.mark.slow
def test_a_hundred_thousand_names(master, nodes):
    count = 100000
    with client(master) as w:
        for base in range(0, count, 1000):
            w.send(
                "".join(
                    'A%d ACTIVATE "user.u%06d" "be%d.lab!default" "u%d\tlrswipkxtecdan\t"\r\n' % (i, i, i % 7, i)
                    for i in range(base, base + 1000)
                )
            )
            while w.read()[0] != "A%d" % (base + 999):
                pass
        fe = slave_of(master, nodes)
        eventually(lambda: "mupdate.slave-synced" in fe.log(), 60)
        synced = re.search(r"slave-synced.*count=(\d+).*ms=(\d+)", fe.log())
        assert int(synced.group(1)) == count
        with client(fe) as s:
            assert s.find("user.u099999")
            assert len(s.ok("LIST")) == count
        # 27 and 12 MB; a copy of the list would take another 15
        assert private_bytes(master) < 40e6 and private_bytes(fe) < 20e6
        w.ok('DELETE "user.u000000"')
        with local(fe) as s:
            s.ok("NOOP")
            assert s.find("user.u000000") is None


def run_mupdatetest(node, *args, text="", check=True):
    argv = [program("mupdatetest"), "-p", str(net.MUPDATE), *args, node.address]
    r = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=120)
    assert not check or r.returncode == 0, r.stdout + r.stderr
    return r


@pytest.mark.parametrize("mech", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_mupdatetest(master, mech):
    commands = 'X1 ACTIVATE "user.a" "be1!p" "a\tl\t"\nX2 FIND "user.a"\n'
    out = run_mupdatetest(master, "-m", mech, "-a", "cyrus", "-w", "secret", text=commands).stdout
    lines = out.splitlines()
    assert lines[0].startswith('S: * AUTH "')
    assert any(line.startswith("S: * OK MUPDATE") for line in lines)
    assert any(line.startswith('C: A01 AUTHENTICATE "%s"' % mech) for line in lines)
    assert "Authenticated." in lines and "Security strength factor: 0" in lines
    assert 'X2 MAILBOX "user.a" "be1!p" "a\tl\t"' in lines
    assert "C: Q01 LOGOUT" in lines
    assert lines[-2:] == ['Q01 OK "bye-bye"', "Connection closed."]


def test_mupdatetest_refused(master):
    r = run_mupdatetest(master, "-m", "PLAIN", "-a", "user1", "-w", "secret", check=False)
    assert r.returncode == 77 and "Authentication failed." in r.stdout
    r = run_mupdatetest(master, "-t", "", "-a", "cyrus", "-w", "secret", check=False)
    assert r.returncode != 0  # no certificate is configured
