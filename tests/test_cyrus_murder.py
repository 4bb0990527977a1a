"""Murders of which some nodes are a real Cyrus 3.6."""

import itertools
import os
import signal

import pytest

from iatlas import message
from test_mupdate import eventually

pytestmark = pytest.mark.peer

# master, backend, frontend
MIXTURES = [m for m in itertools.product(("ours", "cyrus"), repeat=3) if m != ("ours", "ours", "ours")]


@pytest.mark.parametrize("mixture", MIXTURES, ids="-".join)
def test_every_mixture_serves(make_mixed, mixture):
    murder = make_mixed(master=mixture[0], backends=mixture[1:2], frontends=mixture[2:])
    murder.add_user("fred", mailbox=False)
    text = message("mixed")
    with murder.imap("cyrus") as admin:
        admin.ok("CREATE user/fred")
    with murder.imap("fred") as c:
        assert c.list("", "*") == ["INBOX"]
        c.ok("CREATE Sent")
        assert c.list("", "*") == ["INBOX", "Sent"]
        c.append("Sent", text)
        assert c.select("Sent") == 1
        assert c.body(1) == text
    with murder.lmtp() as lmtp:
        assert [code for code, _ in lmtp.deliver("a@example.org", ["fred", "nobody"], text)] == [250, 550]
    with murder.imap("fred") as c:
        assert c.select("INBOX") == 1


def test_a_death_is_noticed(make_mixed):
    """The harness: a Cyrus that crashes fails the test that made it."""
    murder = make_mixed(backends=("cyrus",))
    be = murder.be[0]
    assert be.deaths() == []
    os.kill(be.processes("imapd")[0], signal.SIGSEGV)
    assert eventually(be.deaths)
    be.stop()
    with open(be.path("log"), "w"):
        pass
