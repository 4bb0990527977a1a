import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from iatlas import Murder, cyrus, direct, net, node  # noqa: E402
from iatlas.murder import Frontend  # noqa: E402
from iatlas.site import Site, User  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; left out under the sanitizers")
    config.addinivalue_line("markers", "peer: shows what somebody else's server or client does; left out likewise")


@pytest.fixture
def workdir():
    """A short path (Unix sockets have 108 bytes), removed afterwards."""
    path = tempfile.mkdtemp(prefix="ia-")
    yield path
    if not os.environ.get("IATLAS_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def network():
    n = net.Network()
    yield n
    n.close()


@pytest.fixture
def make_murder(workdir, network):
    """make_murder(backends=2, frontends=1, conf={}) starts one; stopped and checked afterwards."""
    made = []

    def make(**kw):
        made.append(Murder(workdir, network, **kw))
        return made[-1].start()

    yield make
    for m in made:
        m.cleanup()


@pytest.fixture
def make_mixed(workdir, network):
    """make_mixed(master="ours", backends=("ours", "cyrus"), frontends=("ours",), conf={}): a murder with real Cyruses."""
    why_not = cyrus.missing()
    if why_not is not None:
        pytest.skip(why_not)
    made = []

    def make(**kw):
        made.append(cyrus.Mixed(workdir, network, **kw))
        return made[-1].start()

    yield make
    for m in made:
        m.cleanup()


@pytest.fixture
def make_server(workdir, network):
    """make_server(conf={}, services={}) starts a standalone server."""
    made = []

    def make(**kw):
        made.append(node.standalone(os.path.join(workdir, "s%d" % len(made)), network.address(), **kw))
        return made[-1].start()

    yield make
    for n in made:
        n.cleanup()


@pytest.fixture
def murder(make_murder):
    """One master, two backends, one frontend."""
    return make_murder()


@pytest.fixture
def server(make_server):
    """A standalone server."""
    return make_server()


@pytest.fixture
def make_imapd(workdir, network):
    """make_imapd(conf={}, users=("fred", "bob")) starts an imapd alone, without a master."""
    made = []

    def make(conf=None, users=("fred", "bob")):
        n = direct.Service(os.path.join(workdir, "i%d" % len(made)), network.address(), "imap", ["imapd"], conf)
        made.append(n)
        n.start()
        n.make_users(*users)
        return n

    yield make
    for n in made:
        n.cleanup()


@pytest.fixture
def imapd(make_imapd):
    """A standalone imapd with the users fred and bob."""
    return make_imapd()


@pytest.fixture(params=["direct", "frontend"])
def served(request):
    """The users fred and bob, on a standalone imapd, and on two backends behind a frontend."""
    if request.param == "direct":
        return request.getfixturevalue("imapd")
    frontend = Frontend(request.getfixturevalue("murder"))
    frontend.make_users("fred", "bob")
    return frontend


@pytest.fixture(scope="module", params=["direct", "frontend"])
def site(request):
    """A server with TLS for real clients: standalone, and a murder's frontend.  Kept for a module's tests."""
    directory, network, made = tempfile.mkdtemp(prefix="ia-"), net.Network(), None
    try:
        made = Site(request.param, directory, network)
        yield made.start()
    finally:
        if made:
            made.cleanup()
        network.close()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_user(site, workdir):
    """make_user() gives somebody new at the site, with a HOME; nothing may be refused that the test does not expect."""
    if os.getuid() != 0:
        pytest.skip("not root: clients get an /etc/hosts of their own")
    os.chmod(workdir, 0o711)
    made = []

    def make(backend=1):
        made.append(User(site, os.path.join(workdir, "home%d" % len(made)), backend))
        return made[-1]

    yield make
    for u in made:
        u.check()


@pytest.fixture
def user(make_user):
    return make_user()
