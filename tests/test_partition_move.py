"""RENAME of a mailbox to itself on another partition of the same server."""

import glob
import json
import os
import random
import re
import shutil
import signal
import threading
import time

import pytest
from iatlas import Lmtp, message
from iatlas.node import ADMIN
from test_tools import files, is_sound, login, wait


def partitions(node):
    listed = json.loads(node.command("ctl_mboxlist", "-d").stdout)
    return {name: e["partition"] for name, e in listed.items()}


@pytest.fixture
def two(make_server, workdir):
    """A server with a second partition, and anna with two mailboxes."""
    server = make_server(conf={"defaultpartition": "default", "partition-second": os.path.join(workdir, "second")})
    server.second = os.path.join(workdir, "second")
    server.add_user("anna", "ben")
    with login(server, ADMIN) as c:
        for name in ("anna", "anna/Sub", "anna/Sub/Deep", "ben"):
            c.ok("CREATE user/" + name)
            c.ok("SETACL user/%s %s lrswipkxtea" % (name, ADMIN))
        c.ok("SETACL user/anna ben lrs")
        c.ok("SETQUOTA user/anna (STORAGE 1000)")
    return server


def kill_imapd(server):
    """The processes of now; the connection of who comes next belongs to another."""
    pids = server.processes("imapd")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in pids))


def index_files(server):
    return [len(glob.glob(d + "/*/*/*/index*")) for d in (server.path("spool"), server.second)]


def test_move(two):
    texts = [message(subject="number %d" % i) for i in range(30)]
    with login(two, "anna") as c:
        for text in texts:
            c.append("INBOX", text, r"\Flagged kw")
        c.append("Sub", texts[0])
        c.select("INBOX")
        c.ok(r"STORE 2 +FLAGS (\Deleted)")
        c.ok("EXPUNGE")
        status = c.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)").untagged
        fetched = c.ok("UID FETCH 1:* (FLAGS INTERNALDATE ENVELOPE RFC822.SIZE)").untagged
    with login(two, "ben") as c:
        c.select('"Other Users/anna"')
        c.ok(r"STORE 5 +FLAGS (\Seen)")
    quota = two.command("quota").stdout
    selected = login(two, "anna")
    selected.select("INBOX")
    with login(two, ADMIN) as c:
        r = c.ok("RENAME user/anna user/anna second")
        assert [m.group(1) for m in r.find(rb"^\* OK rename (\S+ \S+)$")] == [
            b"user/%s user/%s" % (n, n) for n in (b"anna", b"anna/Sub", b"anna/Sub/Deep")
        ]
    # who has it selected hears of it and may select it again
    with pytest.raises((EOFError, ConnectionError)):
        selected.ok("NOOP")
        selected.ok("NOOP")
    assert partitions(two) == {
        "user.anna": "second",
        "user.anna.Sub": "second",
        "user.anna.Sub.Deep": "second",
        "user.ben": "default",
    }
    assert index_files(two) == [1, 3]
    assert files(two) == []
    assert two.command("mbpath", "user/anna").stdout.startswith(two.second)
    assert two.command("quota").stdout == quota
    assert two.command("quota", "-f", "-q").stdout == ""
    is_sound(two)
    with login(two, "anna") as c:
        assert c.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)").untagged == status
        c.select("INBOX")
        now = c.ok("UID FETCH 1:* (FLAGS INTERNALDATE ENVELOPE RFC822.SIZE)").untagged
        strip = re.compile(rb"\\Recent ?")
        assert [strip.sub(b"", f) for f in now if b"FETCH" in f] == [strip.sub(b"", f) for f in fetched if b"FETCH" in f]
        assert c.body(30) == texts[29]
        c.append("INBOX", texts[1])
    with login(two, "ben") as c:
        c.select('"Other Users/anna"')
        assert c.uids("SEEN") == [6]
    assert "restored 1 " in two.command("unexpunge", "-a", "user/anna").stdout
    with login(two, ADMIN) as c:
        c.ok("RENAME user/anna/Sub user/anna/Sub default")
    assert partitions(two)["user.anna.Sub.Deep"] == "default" and partitions(two)["user.anna"] == "second"


def test_refused(two):
    before = partitions(two)
    with login(two, ADMIN) as c:
        for command, why in (
            ("user/anna/Sub user/anna/Sub default", "ALREADYEXISTS"),
            ("user/anna/Sub user/anna/Sub nowhere", "CANNOT"),
            ("user/anna/Sub user/anna/New second", "CANNOT"),
            ("user/anna/No user/anna/No second", "NONEXISTENT"),
        ):
            assert why in c.no("RENAME " + command).text
    with login(two, "anna") as c:
        assert "NOPERM" in c.no("RENAME Sub Sub second").text
    assert partitions(two) == before


def test_disk_full(two):
    """The new place cannot be written: everything stays where it was, and can go later."""
    with login(two, "anna") as c:
        c.append("INBOX", message())
    shutil.rmtree(two.second, ignore_errors=True)
    with open(two.second, "w"):
        pass
    with login(two, ADMIN) as c:
        c.no("RENAME user/anna user/anna second")
        assert set(partitions(two).values()) == {"default"}
        os.unlink(two.second)
        c.ok("RENAME user/anna user/anna second")
    is_sound(two)


def test_murder(make_murder):
    """The master and the frontends know where it is; a move asked for at the frontend."""
    murder = make_murder(backends=1)
    be, fe = murder.be[0], murder.fe[0]
    second = be.path("second")
    be.stop()
    be.conf.update({"defaultpartition": "default", "partition-second": second})
    be.start()
    murder.add_user("anna", 0)
    with murder.imap(ADMIN) as c:
        c.ok("SETACL user/anna %s lrswipkxtea" % ADMIN)
    with murder.imap("anna") as c:
        c.ok("CREATE Sub")
        c.append("INBOX", message(subject="here"))
        c.append("Sub", message())
        c.select("INBOX")
        with murder.imap(ADMIN) as admin:
            admin.ok("SETACL user/anna/Sub %s lrswipkxtea" % ADMIN)
            admin.ok("RENAME user/anna user/anna second")
        # the frontend keeps its client, who selects again
        assert c.command("FETCH 1 FLAGS").status == "NO"
        wait(lambda: c.command("SELECT INBOX").status == "OK")
        assert b"here" in c.body(1)
    assert set(partitions(be).values()) == {"second"}
    wait(lambda: set(partitions(fe).values()) == {"second"})
    murder.m.stop()
    with murder.imap(ADMIN) as c:
        assert "UNAVAILABLE" in c.no("RENAME user/anna user/anna default").text
    assert set(partitions(be).values()) == {"second"}


def deliver_until(server, stop, acknowledged):
    n = 0
    while not stop.is_set():
        n += 1
        subject = "delivery %d" % n
        try:
            with Lmtp(server.address) as c:
                answers = c.deliver("a@b.c", ["anna", "anna+Sub"], message(subject=subject))
            for box, (code, text) in zip(("INBOX", "Sub"), answers):
                assert code // 100 in (2, 4), text  # never refused for good
                if code == 250:
                    acknowledged.add((box, subject))
        except (OSError, AssertionError) as e:
            if isinstance(e, AssertionError):
                raise
        time.sleep(0.01)


def found(server):
    subjects = []
    with login(server, "anna") as c:
        for box in ("INBOX", "Sub"):
            if c.select(box) == 0:
                continue
            r = c.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            subjects += [(box, m.group(1).decode()) for m in r.find(rb"Subject: ([^\r]*)")]
    return subjects


def test_killed(two):
    """imapd dies anywhere in a move while mail is delivered: no message that was acknowledged is lost, and each
    mailbox is whole on one partition without anybody's help."""
    rng, stop, acknowledged, failed = random.Random(3), threading.Event(), set(), []

    def deliver():
        try:
            deliver_until(two, stop, acknowledged)
        except BaseException as e:
            failed.append(e)

    with login(two, ADMIN) as c:
        c.ok("SETACL user/anna/Sub anyone p")
    thread = threading.Thread(target=deliver)
    thread.start()
    moved = 0
    try:
        for i in range(12):
            goal = "second" if partitions(two)["user.anna"] == "default" else "default"
            try:
                with login(two, ADMIN) as c:
                    c.start("RENAME user/anna user/anna " + goal)
                    time.sleep(rng.uniform(0, 0.04))
                    kill_imapd(two)
            except (OSError, EOFError):
                pass
            with login(two, ADMIN) as c:
                # the next operation on the tree brings the dead one's to its end
                wait(lambda: c.command("SETACL user/anna/Sub ben lr").status == "OK")
            moved += partitions(two)["user.anna"] == goal
            assert sum(index_files(two)) == 4, partitions(two)
    finally:
        stop.set()
        thread.join()
    assert failed == []
    assert len(acknowledged) > 5
    have = found(two)
    assert acknowledged <= set(have)
    is_sound(two)


def test_killed_and_left_alone(two):
    """Nobody works on the name afterwards: the keeper brings it to its end."""
    with login(two, "anna") as c:
        for i in range(40):
            c.append("INBOX", message())
    for attempt in range(5):
        goal = "second" if partitions(two)["user.anna"] == "default" else "default"
        try:
            with login(two, ADMIN) as c:
                c.start("RENAME user/anna user/anna " + goal)
                time.sleep(0.01)
                kill_imapd(two)
        except (OSError, EOFError):
            pass
        wait(lambda: sum(index_files(two)) == 4, 60)
        with login(two, "anna") as c:
            wait(lambda: c.command("SELECT INBOX").status == "OK", 60)
            assert c.select("INBOX") == 40
