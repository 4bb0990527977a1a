"""INPROGRESS (RFC 9585): a client hears that its command goes on."""

import os
import re
import shutil
import signal
import tempfile
import time
from contextlib import ExitStack

import pytest

from iatlas import Murder, net
from iatlas.clients import message
from iatlas.fake import Fake, put

SLOW = 1.3  # seconds, with an interval of one


@pytest.fixture(scope="module")
def murder():
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    murder = Murder(directory, network, backends=1, conf={"imap_inprogress_interval": "1s"})
    try:
        yield murder.start()
    finally:
        murder.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


def progress(r):
    return [m.group(1) for m in r.find(rb"^\* OK \[INPROGRESS \((.*)\)\] ")]


def test_a_slow_backend(murder):
    def slow(s, tag, text):
        if text.startswith("STATUS"):
            time.sleep(SLOW)
        elif text.startswith("UID SEARCH"):
            s.send('* OK [INPROGRESS ("%s" 17 900)] mine\r\n* OK [INPROGRESS] that all\r\n' % tag)
            time.sleep(SLOW)
        elif text.startswith("SEARCH"):
            s.send('* OK [INPROGRESS ("%s" 17 NIL)] mine\r\n' % tag)
            s.send('* OK [INPROGRESS ("%s" 3 NIL)] backwards\r\n' % tag)
            time.sleep(SLOW)
        elif text.startswith("FETCH"):  # in the middle of a literal nothing can be said, and while something comes nothing need be
            s.send("* 1 FETCH (BODY[] {4}\r\nab")
            time.sleep(SLOW)
            s.send("cd)\r\n")

    fake = Fake(murder.network.address(), slow)
    try:
        murder.add_user("slow", mailbox=False)
        put(murder, fake, "user.slow")
        with ExitStack() as stack:  # all at once: each takes its time
            status, uid_search, search, fetch, idle = [stack.enter_context(murder.imap("slow")) for _ in range(5)]
            assert b"INPROGRESS" in status.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
            for c in (uid_search, search, fetch, idle):
                assert c.select("INBOX") == 3
            idling = idle.start("IDLE")
            assert idle.read_line() == b"+ idling"
            tags = [
                status.start("STATUS INBOX (MESSAGES)"),
                uid_search.start("UID SEARCH ALL"),
                search.start("SEARCH ALL"),
                fetch.start("FETCH 1 BODY[]"),
            ]
            assert set(progress(status.finish(tags[0]))) == {b'"%s" NIL NIL' % tags[0].encode()}
            r = uid_search.finish(tags[1])
            assert set(progress(r)) == {b'"%s" 17 900' % tags[1].encode()} and not r.find(b"mine|that all|P[0-9]")
            assert set(progress(search.finish(tags[2]))) == {b'"%s" 17 NIL' % tags[2].encode()}
            r = fetch.finish(tags[3])
            assert r.one(rb"BODY\[\] \{4\}\r\nabcd\)$") and progress(r) == []
            idle.send("DONE\r\n")
            assert idle.finish(idling).untagged == []
    finally:
        fake.close()
    assert fake.errors == []


def test_a_wait_for_the_master(murder):
    """On a backend that waits itself, through the frontend."""
    murder.add_user("fred", 0)
    with murder.imap("fred") as c:
        c.ok("CREATE before")
        pids = [p for p in murder.m.processes("mupdate")]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            tag = c.start("CREATE meanwhile")
            line = c.read_line()
            assert re.match(rb'^\* OK \[INPROGRESS \("%s" NIL NIL\)\] ' % tag.encode(), line), line
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        c.finish(tag)
        c.append("INBOX", message("still"))
        assert c.select("INBOX") == 1


def test_never(make_imapd):
    imapd = make_imapd({"imap_inprogress_interval": "0"})
    with imapd.imap("fred") as c:
        assert b"INPROGRESS" not in c.ok("CAPABILITY").one(rb"CAPABILITY (.*)$").group(1).split()
