"""What administrators of aggregators suffer from in the directory, one by one, and the tests that show it is not so here."""

import contextlib
import os
import re
import signal
import socket
import threading
import time

import pytest

from iatlas import message, net
from iatlas.mupdate import Mupdate
from iatlas.node import ADMIN

HERE = os.path.dirname(os.path.abspath(__file__))

PAINS = {
    "with the one master away nothing works": "test_murder.test_master_stopped_and_started test_lmtp.test_master_away "
    "test_mupdate_group.test_kill_of_the_writer",
    "delivery asks the master": "test_lmtp.test_master_away",
    "the master's and slaves' memory grows with the list": "test_mupdate.test_a_hundred_thousand_names",
    "who reconnects gets the whole list": "test_mupdate.test_resume test_mupdate.test_slave_resumes",
    "a storm of slaves stalls writers": "test_mupdate.test_slow_reader_does_not_stop_others "
    "test_mupdate.test_many_writers_and_readers",
    "changes reach frontends after seconds": "test_mupdate.test_slave_follows_at_once test_mupdate.test_barrier "
    "test_murder.test_create_then_select_at_once test_murder.test_login_elsewhere_lists_the_change",
    "TLS kills the master": "test_peers_tls.test_everything_encrypted test_peers_tls.test_master_not_verified "
    "test_peers_tls.test_required_and_not_offered test_peers_tls.test_masters_clients_certificate "
    "test_cyrus_mupdate_tls.test_master_under_tls",
    "128 connections, and one for every operation": "test_pains.test_connections",
    "words that kill the master": "test_mupdate.test_unknown_names_do_not_crash test_mupdate.test_every_transition",
    "nobody synchronizes after an outage": "test_murder.test_lost_master_database_is_rebuilt_by_the_backends "
    "test_mupdate.test_master_restart test_cyrus_master.test_our_master_loses_its_list",
    "ctl_mboxlist -m destroys mail": "test_ctl_mboxlist.test_active_elsewhere_is_set_aside "
    "test_ctl_mboxlist.test_a_renamed_server_stops test_ctl_mboxlist.test_a_list_that_shrank_stops "
    "test_ctl_mboxlist.test_authoritative_never_removes test_push.test_push_asks",
    "versions disagree on order and literals": "test_mupdate.test_wire_forms test_mupdate.test_list "
    "test_cyrus_mupdate.test_our_slave_and_backend_with_a_cyrus_master test_cyrus_mupdate.test_cyrus_tools_with_our_master "
    "test_cyrus_order.test_a_cyrus_backend_pushes_twice test_cyrus_order.test_slaves_merge",
    "a backend does not start without the master": "test_murder.test_backend_starts_without_the_master "
    "test_ctl_mboxlist.test_master_away",
    "reservations are lost when the master restarts": "test_mupdate.test_master_keeps_everything_over_a_kill "
    "test_history.test_one_master",
    "a dump does not bring a lost list back": "test_ctl_mboxlist.test_dump_and_load test_push.test_dump_and_undump "
    "test_cyrus_mupdate.test_dumps_are_exchanged",
    "a mailbox of two backends moves to and fro": "test_mupdate.test_conflicts test_mupdate.test_every_transition "
    "test_cyrus_master.test_a_name_that_is_taken",
    "a lock is held while the master is asked": "test_pains.test_silent_master",
    "what the master refuses is done halfway": "test_pains.test_refused_rename test_history.test_one_master "
    "test_cyrus_master.test_a_backend_is_killed_again_and_again",
    "no more is told than name, place and ACL": "test_mupdate.test_details test_ctl_mboxlist.test_the_frontend_knows_the_ids",
}


@pytest.mark.parametrize("pain", PAINS)
def test_has_tests(pain):
    for test in PAINS[pain].split():
        file, name = test.split(".")
        with open(os.path.join(HERE, file + ".py")) as f:
            assert re.search(r"^def %s\(" % name, f.read(), re.M), test


def connected(node):
    """How many connections to a MUPDATE server that node's imapd has."""
    (pid,) = node.processes("imapd")
    own = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        with contextlib.suppress(OSError):
            own.add(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
    with open("/proc/%d/net/tcp" % pid) as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return sum(r[2].endswith(":%04X" % net.MUPDATE) and "socket:[%s]" % r[9] in own for r in rows)


def at_once(count, what):
    """what(i) by as many threads; what they raised."""
    errors = []

    def run(i):
        try:
            what(i)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return errors


@pytest.mark.slow
def test_connections(murder):
    """Three hundred clients of the master; all that a backend's process asks goes over one of them."""
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(Mupdate(murder.m.address)) for _ in range(300)]
        for c in crowd:
            c.login()
        for c in crowd:
            c.ok("NOOP")
        murder.add_user("anna")

        def create(i):
            with murder.imap("anna") as c:
                for j in range(5):
                    c.ok("CREATE box%d-%d" % (i, j))

        assert at_once(10, create) == []
        assert connected(murder.be[0]) == 1
        for c in crowd:
            assert c.find("user.anna.box9-4")


def test_silent_master(murder):
    """It stands still while it is asked for a name: that name waits, nothing else does."""
    murder.add_user("anna")
    with murder.imap("anna") as waiting, murder.imap("anna") as other:
        pids = murder.m.processes("mupdate")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            tag = waiting.start("CREATE new")
            waiting.sock.settimeout(0.3)
            with pytest.raises((TimeoutError, socket.timeout)):
                waiting.read_response()
            other.append("INBOX", message())
            assert other.select("INBOX") == 1
            other.ok("SUBSCRIBE INBOX")
            assert other.list("", "*") == ["INBOX"]
            with murder.lmtp() as lmtp:
                assert lmtp.deliver("s@example.org", ["anna"], message())[0][0] == 250
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        waiting.sock.settimeout(90)
        stopped = time.monotonic() - stopped
        created = waiting.finish(tag)
        if created.status != "OK" and stopped > 1.5:  # after two seconds (doc/limits.md) it is told that the master is away
            assert "[UNAVAILABLE]" in str(created)
            waiting.ok("CREATE new")
        else:
            assert created.status == "OK", created
        other.ok("SELECT new")


def test_refused_rename(murder):
    """One of the new names is another server's: nothing has happened, here or at the master."""
    murder.add_user("anna")
    with murder.imap("anna") as c, Mupdate(murder.m.address).login(ADMIN) as m:
        for name in ("a", "a/b", "a/c"):
            c.ok("CREATE " + name)
        c.append("a/b", message())
        m.ok('ACTIVATE "user.anna.z.c" "be9.lab!default" ""')
        before = sorted(m.ok("LIST"), key=lambda line: line[2])
        assert c.command("RENAME a z").status == "NO"
        assert c.list("", "a*") == ["a", "a/b", "a/c"]
        assert c.select("a/b") == 1
        m.ok("NOOP")
        assert [line[1:] for line in sorted(m.ok("LIST"), key=lambda line: line[2])] == [line[1:] for line in before]
        m.ok('DELETE "user.anna.z.c"')
        c.ok("RENAME a z")
        assert c.select("z/b") == 1
