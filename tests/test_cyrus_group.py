"""A backend and a frontend of real Cyrus 3.6, each with its own member of a group of our masters."""

import pytest

from iatlas import Imap, cyrus
from iatlas.node import ADMIN
from test_mupdate_group import Group, eventually, status

WHY_NOT = cyrus.missing()
pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]


class Grouped(cyrus.Mixed):
    """be1 asks one member and fe1 another one, neither of which is elected at first."""

    def __init__(self, directory, network, group):
        self.group = group
        super().__init__(directory, network, backends=("cyrus",), frontends=("cyrus",))
        for node, member in zip((self.be[0], self.fe[0]), group.others(group.settle())):
            node.conf["mupdate_server"] = member.address
        self.nodes.remove(self.m)


@pytest.fixture
def murder(workdir, network):
    group = Group(workdir, network)
    made = None
    try:
        made = Grouped(workdir, network, group.start())
        yield made.start()
    finally:
        try:
            if made:
                made.cleanup()
        finally:
            group.cleanup()


def test_create_is_seen_at_the_frontend(murder):
    """Through members that follow; then one of the two is elected, since who was it is gone."""
    group, elected = murder.group, murder.group.settle()
    with Imap(murder.be[0].address).login(ADMIN) as backend:
        backend.ok("CREATE user/a")
        murder.wait_listed("user/a")
        backend.ok("CREATE user/a/sub")
        murder.wait_listed("user/a/sub")
        elected.kill()
        writer = group.writer(group.others(elected))
        assert writer.address in [n.conf["mupdate_server"] for n in murder.nodes]
        backend.ok("CREATE user/b")
        murder.wait_listed("user/b")
        backend.ok("SETACL user/a/sub %s x" % ADMIN)
        backend.ok("DELETE user/a/sub")
        murder.wait_listed("user/a/sub", present=False)
    elected.start()
    eventually(lambda: status(elected)[1] == "follows")
    with murder.imap(ADMIN) as admin:
        admin.ok("CREATE user/c %s!default" % murder.names[0])
        assert sorted(admin.list("", "user/*")) == ["user/a", "user/b", "user/c"]
    murder.add_user("c", mailbox=False)
    with murder.imap("c") as c:
        assert c.select("INBOX") == 0
