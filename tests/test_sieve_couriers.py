"""Mail that scripts send to servers that hang keeps nobody else waiting; a login and TLS at the server that takes it."""

import contextlib
import socket
import time

import pytest

from iatlas import message, net, scripts, sink
from iatlas.clients import Imap, Lmtp
from iatlas.direct import wait_for
from iatlas.node import ADMIN, PASSWORD, PROXY

SLOW = 8  # users; each may have 8 messages under way


@pytest.fixture
def out(network):
    s = sink.Sink(network.address(), hangs="@hang")
    yield s
    s.close()


def begin(murder, user, n):
    """Connections on which a message for that user has been sent and nothing heard yet."""
    made = []
    for _ in range(n):
        s = socket.create_connection((murder.fe[0].address, net.LMTP), 60)
        s.sendall(b"LHLO x\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n%s.\r\nQUIT\r\n" % (user.encode(), message("slow")))
        made.append(s)
    return made


def answers(connections):
    return [s.makefile("rb").read().split(b"\r\n")[-3][:9] for s in connections]


def count(murder, user, mailbox):
    with murder.imap(user) as c:
        return c.select('"%s"' % mailbox)


@pytest.mark.slow
def test_others_do_not_wait(make_murder, out, tmp_path):
    conf = dict(out.conf(), sievedir=str(tmp_path / "sieve"), proxy_authname=PROXY, proxy_password=PASSWORD)
    murder = make_murder(conf=conf)
    for i in range(SLOW):
        murder.add_user("slow%d" % i)
        scripts.put(murder.be[0], "slow%d" % i, 'redirect "x@hang%d.test";' % i)
    for user in ("anna", "ben"):
        murder.add_user(user)
    with murder.imap(ADMIN) as c:
        c.ok("CREATE far %s" % murder.names[1])
        c.ok("SETACL far ben lrswip")
    scripts.put(murder.be[0], "anna", 'redirect "anna@quick.test";')
    scripts.put(murder.be[0], "ben", 'require "fileinto"; fileinto "Shared Folders/far";')

    def deliver(user):
        began = time.monotonic()
        with murder.lmtp() as c:
            assert [r[0] for r in c.deliver("s@example.org", [user], message("quick"))] == [250]
        assert time.monotonic() - began < 15  # a slow one takes 30 s

    with contextlib.ExitStack() as stack:
        # all of it before the first of them has hung for 30 s (SIEVEHOST_ACTION_MS): no more of them than it takes
        slow = [stack.enter_context(s) for s in begin(murder, "slow0", 10)]
        wait_for(lambda: out.hanging == 8)  # one user's share
        deliver("anna")
        wait_for(lambda: len(out.mail) == 1)
        for i in range(1, SLOW):
            slow += [stack.enter_context(s) for s in begin(murder, "slow%d" % i, 8)]
        wait_for(lambda: out.hanging == 48)  # all that may wait for it
        deliver("ben")
        assert count(murder, "ben", "Shared Folders/far") == 1 and count(murder, "ben", "INBOX") == 0
        assert out.hanging == 48
        out.release()
        assert answers(slow) == [b"250 2.1.5"] * len(slow)
    assert len(out.mail) == 1 + len(slow)


def test_one_message_at_a_time(make_server, out, tmp_path):
    """The same message comes again while its redirect is still under way: it is sent once."""
    server = make_server(conf=dict(out.conf(), sievedir=str(tmp_path / "sieve")))
    server.add_user("fred")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("CREATE user/fred")
        c.ok("CREATE user/jane")
    scripts.put(server, "fred", 'redirect "x@hang.test";')
    data = message("again")
    with contextlib.ExitStack() as stack:
        both = [stack.enter_context(socket.create_connection((server.address, net.LMTP), 60)) for _ in range(2)]
        for s in both:
            s.sendall(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<fred>\r\nDATA\r\n" + data + b".\r\nQUIT\r\n")
            wait_for(lambda: out.hanging == 1)
        with Lmtp(server.address) as c:  # time enough for the second to wait too, if it could
            assert [r[0] for r in c.deliver("", ["jane"], message("other"))] == [250]
        assert out.hanging == 1
        out.release()
        assert answers(both) == [b"250 2.1.5"] * 2
    assert len(out.mail) == 1

