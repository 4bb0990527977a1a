"""A server for a module's tests, each with new users: an imapd, and two backends behind a frontend."""

import shutil
import tempfile

import pytest

from . import direct, net
from .murder import Frontend, Murder


class Place:
    """One server for the module's tests, each with a new user; `over` says what it is."""

    def __init__(self, over, directory, network, conf=None):
        self.over, self.users = over, 0
        if over == "direct":
            self.node = direct.Service(directory, network.address(), "imap", ["imapd"], conf).start()
            self.server = self.node
        else:
            self.node = Murder(directory, network, conf=conf).start()
            self.server = Frontend(self.node)

    def user(self):
        self.users += 1
        name = "u%d" % self.users
        self.server.make_users(name)
        return name

    def client(self):
        return self.server.imap(self.user())

    def connect(self):
        return self.server.connect()

    def imap(self, user):
        return self.server.imap(user)

    def process(self):
        """The pid of the program that serves the clients."""
        if self.over == "direct":
            return self.node.process.pid
        (pid,) = self.node.fe[0].processes("proxyd")
        return pid

    def log(self):
        return self.node.log() if self.over == "direct" else self.node.fe[0].log()


def places(conf=None):
    @pytest.fixture(scope="module", params=["direct", "frontend"])
    def fixture(request):
        directory, network, place = tempfile.mkdtemp(prefix="ia-"), net.Network(), None
        try:
            place = Place(request.param, directory, network, conf)
            yield place
        finally:
            if place is not None:
                place.node.cleanup()
            network.close()
            shutil.rmtree(directory, ignore_errors=True)

    return fixture
