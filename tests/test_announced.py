"""What a frontend offers its clients follows what the servers behind it were seen to have."""

import os
import time

import pytest

from iatlas.direct import wait_for


def words(c):
    return set(c.ok("CAPABILITY").one(rb"^\* CAPABILITY (.*)$").group(1).decode().split())


def restart(node, **conf):
    node.stop()
    node.conf.update(conf)
    node.start()


@pytest.fixture
def lacking(make_murder):
    """A murder whose second backend, with bob on it, is without QUOTA; fred is on the first."""
    murder = make_murder()
    murder.add_user("fred", 0)
    restart(murder.be[1], suppress_capabilities="QUOTA")
    murder.add_user("bob", 1)
    return murder


def test_what_one_server_lacks(lacking):
    murder = lacking
    with murder.imap("bob") as b, murder.imap("fred") as f:
        b.select("INBOX")
        f.select("INBOX")
        for c in (b, f):
            assert "QUOTA" not in words(c) and {"ACL", "UIDPLUS", "MOVE"} <= words(c)
        r = b.no("GETQUOTAROOT INBOX")
        assert r.text == "[CANNOT] Server %s does not have QUOTA" % murder.names[1], r
        f.ok("GETQUOTAROOT INBOX")
        b.ok("NOOP")
        # it gets it: as soon as somebody is there again, all are offered it
        restart(murder.be[1], suppress_capabilities="")
        b.no("CHECK")
        b.select("INBOX")
        b.ok("GETQUOTAROOT INBOX")
        assert "QUOTA" in words(b) and "QUOTA" in words(f)
    with murder.imap("fred") as f:
        assert "QUOTA" in words(f)


def test_a_new_process_knows(lacking):
    """What was learnt outlives the frontend; a server that is gone for a day is no reason any more."""
    murder = lacking
    fe = murder.fe[0]
    with murder.imap("bob") as b:
        b.select("INBOX")
    restart(fe)
    with murder.imap("fred") as f:
        assert "QUOTA" not in words(f)
        path = fe.path("config/servers/" + murder.names[1])
        assert "QUOTA" not in open(path).read().split()
        past = time.time() - 25 * 3600
        os.utime(path, (past, past))
        wait_for(lambda: "QUOTA" in words(f))
        assert not os.path.exists(path)
