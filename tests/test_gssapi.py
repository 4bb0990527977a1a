"""GSSAPI with a KDC of the test's own: clients to servers and frontends, frontends to backends and the MUPDATE master."""

import base64
import json
import os
import subprocess
import sys
import time

import pytest

from iatlas import Imap, Murder, direct, fetched, kerberos, message, net
from iatlas.node import ADMIN, PROXY
from iatlas.tls import Authority

pytestmark = pytest.mark.skipif(kerberos.available() is not None, reason=kerberos.available() or "")
HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def realm(workdir, network):
    r = kerberos.Realm(os.path.join(workdir, "realm"), network.address()).start()
    yield r
    r.stop()


def principals(realm, *names):
    """Users with a ticket each."""
    for name in names:
        realm.principal(name, keytab=name + ".keytab")
        realm.ticket(name, name + ".keytab", "cache-" + name)


def accept(realm, node, **variables):
    """The node takes tickets for its own services, and has these further variables of Realm.environment()."""
    keytab = "%s.keytab" % node.address
    for service in ("imap", "lmtp", "mupdate"):
        realm.principal("%s/%s" % (service, node.address), keytab=keytab)
    node.variables = realm.environment(keytab=keytab, **variables)
    node.conf["sasl_mech_list"] = "GSSAPI PLAIN"


class Client:
    """iatlas.saslclient as a process that has the user's ticket; `name`: what it takes the server for."""

    def __init__(self, realm, user, host, port=net.IMAP, authzid="", max_ssf=256, name=None, tls=False):
        argv = [sys.executable, "-m", "iatlas.saslclient", host, str(port), name or host, "GSSAPI", authzid, str(max_ssf)]
        self.process = subprocess.Popen(
            argv + ["tls"] * tls,
            env=dict(os.environ, **realm.environment(cache="cache-" + user)),
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.__dict__.update(json.loads(line))

    def command(self, text):
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.communicate(timeout=60)

    def works(self):
        """Something of everything, and much through the layer both ways."""
        assert self.command("NOOP")[-1].startswith("b OK")
        assert any("INBOX" in line for line in self.command('LIST "" *'))
        text = message().decode() + ("y" * 70 + "\r\n") * 3000
        assert self.command("SELECT INBOX")[-1].startswith("b OK")
        answer = self.command("APPEND INBOX {%d+}\r\n%s" % (len(text), text))
        assert answer[-1].startswith("b OK [APPENDUID"), answer
        got = self.command("FETCH * BODY.PEEK[]")
        assert sum(line.startswith("yyy") for line in got) == 3000


@pytest.fixture
def make_kerberized(workdir, network, realm):
    """An imapd alone, with the users fred and bob, that takes tickets of the realm."""
    made = []

    def make(argv=("imapd",), **conf):
        n = direct.Service(os.path.join(workdir, "k%d" % len(made)), network.address(), "imap", list(argv), conf)
        made.append(n)
        accept(realm, n)
        n.start()
        if len(argv) == 1:
            n.make_users("fred", "bob")
        return n

    yield make
    for n in made:
        n.cleanup()


# ---- clients ----


def test_client(make_kerberized, realm):
    """With the strongest layer, with integrity alone, with none."""
    imapd = make_kerberized()
    principals(realm, "fred")
    for max_ssf in (256, 1, 0):
        c = Client(realm, "fred", imapd.address, imapd.port, max_ssf=max_ssf)
        assert c.answer.startswith("a OK"), c.answer
        assert c.ssf == 1 if max_ssf == 1 else (c.ssf > 55) == (max_ssf > 0)
        # Under a layer the capabilities that count are those asked for there (RFC 3501 6.2.2).
        assert ("[CAPABILITY" in c.answer) == (c.ssf == 0)
        c.works()
        c.close()
    assert 'user="fred" authid="fred" mech="GSSAPI"' in imapd.log()


def test_layers_that_the_server_wants(make_kerberized, realm):
    principals(realm, "fred")
    imapd = make_kerberized(sasl_maximum_layer="0")
    c = Client(realm, "fred", imapd.address, imapd.port)
    assert c.answer.startswith("a OK") and c.ssf == 0
    c.works()
    c.close()
    imapd = make_kerberized(sasl_maximum_layer="1")
    c = Client(realm, "fred", imapd.address, imapd.port)
    assert c.answer.startswith("a OK") and c.ssf == 1
    c.works()
    c.close()


def test_minimum_layer(make_kerberized, realm):
    """What offers less is not offered, nor taken."""
    principals(realm, "fred")
    imapd = make_kerberized()
    imapd.stop()
    imapd.conf["sasl_minimum_layer"] = "56"
    imapd.start()
    with imapd.connect() as c:
        assert b"AUTH=GSSAPI" in c.greeting and b"AUTH=PLAIN" not in c.greeting
        c.no("LOGIN fred secret")
    c = Client(realm, "fred", imapd.address, imapd.port)
    assert c.answer.startswith("a OK") and c.ssf >= 56
    c.works()
    c.close()
    # A client that insists on none does not get in.
    with pytest.raises(AssertionError):
        c = Client(realm, "fred", imapd.address, imapd.port, max_ssf=0)
        assert c.answer.startswith("a OK"), c.answer


def test_within_tls(make_kerberized, realm, workdir):
    """TLS is layer enough."""
    authority = Authority(os.path.join(workdir, "ca"))
    principals(realm, "fred")
    plain = make_kerberized()
    conf = {k: plain.conf[k] for k in ("configdirectory", "partition-default", "sasl_sasldb_path")}
    imapd = make_kerberized(("imapd", "-s"), **conf, **authority.certify("imapd", "127.0.0.1"))
    c = Client(realm, "fred", imapd.address, imapd.port, tls=True)
    assert c.answer.startswith("a OK") and c.ssf == 0, c.answer
    assert "[CAPABILITY" in c.answer
    c.works()
    c.close()


def test_refused(make_kerberized, realm, network):
    """Another's name, a ticket for another server, what is no ticket."""
    imapd = make_kerberized()
    principals(realm, "fred", "bob")
    c = Client(realm, "fred", imapd.address, imapd.port, authzid="bob")
    assert c.answer.startswith("a NO [AUTHORIZATIONFAILED]"), c.answer
    other = network.address()
    realm.principal("imap/" + other, keytab="other.keytab")
    c = Client(realm, "fred", imapd.address, imapd.port, name=other)
    assert c.answer.startswith("a NO"), c.answer
    with imapd.connect() as c:
        for garbage in (b"garbage", b"", b"\x60\x82\xff\xff" + b"x" * 20000, b"\0" * 30000):
            tag = c.start("AUTHENTICATE GSSAPI")
            while (line := c.read_line()).startswith(b"+"):
                c.send(base64.b64encode(garbage) + b"\r\n")
            assert line.split()[:2] in ([tag.encode(), b"NO"], [tag.encode(), b"BAD"]), line
        c.login("fred")
    assert "GSSAPI" in imapd.log()


def test_another_realm(make_kerberized, network, workdir, request):
    """fred of a realm that ours trusts is not our fred; loginrealms lets him in as who he is."""
    abroad = kerberos.Realm(os.path.join(workdir, "abroad"), network.address(), "ABROAD.IATLAS")
    home = kerberos.Realm(os.path.join(workdir, "home"), network.address(), "HOME.IATLAS", trusts=abroad)
    for r in (abroad, home):
        request.addfinalizer(r.stop)
        r.start()
    principals(home, "fred")
    abroad.principal("fred", keytab="fred.keytab")
    home.ticket("fred@ABROAD.IATLAS", abroad.path("fred.keytab"), "cache-stranger")
    imapd = direct.Service(os.path.join(workdir, "s"), network.address(), "imap", ["imapd"])
    request.addfinalizer(imapd.cleanup)
    accept(home, imapd)
    imapd.start()
    imapd.make_users("fred")
    c = Client(home, "fred", imapd.address, imapd.port)
    assert c.answer.startswith("a OK") and any("INBOX" in line for line in c.command('LIST "" *')), c.answer
    c.close()
    c = Client(home, "stranger", imapd.address, imapd.port)
    assert c.answer.startswith("a NO [AUTHORIZATIONFAILED]"), c.answer
    imapd.stop()
    imapd.conf["loginrealms"] = "ABROAD.IATLAS"
    imapd.start()
    c = Client(home, "stranger", imapd.address, imapd.port)
    assert c.answer.startswith("a OK"), c.answer
    assert not any("INBOX" in line for line in c.command('LIST "" *'))
    c.close()
    assert 'login.ok user="fred@abroad.iatlas"' in imapd.log()


def test_imtest(make_kerberized, realm):
    """Debian's imtest, with a layer of its own choice."""
    root = fetched.prefix("cyrus")
    imtest = os.path.join(root, "usr/lib/cyrus/bin/imtest")
    if not os.path.exists(imtest):
        pytest.skip("no Cyrus: build-aux/fetch-peers cyrus")
    imapd = make_kerberized()
    principals(realm, "fred")
    env = dict(os.environ, **realm.environment(cache="cache-fred"))
    env["LD_LIBRARY_PATH"] += "".join(":" + d for d in kerberos.libraries(root))
    r = subprocess.run(
        [imtest, "-m", "GSSAPI", "-u", "fred", "-a", "fred", "-p", str(imapd.port), imapd.address],
        input='x LIST "" *\r\nx LOGOUT\r\n',
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Authenticated." in r.stdout and "* LIST (\\HasNoChildren) \"/\" INBOX" in r.stdout, r.stdout + r.stderr
    assert "Security strength factor: 0" not in r.stdout, r.stdout


# ---- a murder ----


class KerberosMurder(Murder):
    """Everything between nodes by tickets: there is no password of the frontends'."""

    def __init__(self, directory, network, realm, **conf):
        super().__init__(directory, network)
        realm.principal(PROXY, keytab="murder.keytab")
        for node in self.nodes:
            accept(realm, node, client_keytab="murder.keytab", cache="cache-" + node.name)
            node.conf.update(mupdate_password=None, proxy_password=None)
            node.conf.update(conf)


def deliver_and_read(murder):
    with murder.lmtp() as c:
        assert c.deliver("a@example.org", ["fred"], message("one"))[0][0] == 250
    with murder.imap("fred") as c:
        assert c.select("INBOX") == 1
        assert b"Subject: one" in c.body(1)
        text = message() + b"z" * 300000 + b"\r\n"
        c.append("INBOX", text)
        c.ok("NOOP")
        assert c.body(2) == text


@pytest.fixture
def make_kerberos_murder(workdir, network, realm):
    made = []

    def make(**conf):
        made.append(KerberosMurder(os.path.join(workdir, "m"), network, realm, **conf))
        return made[-1]

    yield make
    for m in made:
        m.cleanup()


@pytest.mark.parametrize("conf", [{}, {"sasl_maximum_layer": "0"}, {"force_sasl_client_mech": "GSSAPI"}], ids=["layer", "no-layer", "forced"])
def test_murder(make_kerberos_murder, realm, conf):
    """Frontend to backends by IMAP and LMTP, everybody to the MUPDATE master, a client at the frontend."""
    murder = make_kerberos_murder(**conf).start()
    murder.add_user("fred", 0)
    murder.add_user("bob", 1)
    deliver_and_read(murder)
    for node, services in ((murder.m, ("mupdate",)), (murder.be[0], ("imap", "lmtp"))):
        for service in services:
            lines = [line for line in node.log().splitlines() if "login.ok" in line and '"murder"' in line and service in line]
            assert lines and all('mech="GSSAPI"' in line for line in lines), node.log()
    assert 'user="fred" authid="murder" mech="GSSAPI"' in murder.be[0].log()
    principals(realm, "fred")
    c = Client(realm, "fred", murder.fe[0].address)
    assert c.answer.startswith("a OK"), c.answer
    c.works()
    c.close()


def test_choice_of_mechanism(make_kerberos_murder, realm):
    """<host>_mechs wins; where there is no ticket the next mechanism is tried."""
    murder = make_kerberos_murder()
    fe = murder.fe[0]
    names = [n.rsplit(":", 1)[0].replace(".", "_") for n in murder.names]
    for name in names:
        fe.conf[name + "_password"] = "secret"
    fe.conf[names[0] + "_mechs"] = "PLAIN"
    murder.start()
    murder.add_user("fred", 0)
    murder.add_user("bob", 1)
    for user in ("fred", "bob"):
        with murder.imap(user) as c:
            c.select("INBOX")
    assert 'user="fred" authid="murder" mech="PLAIN"' in murder.be[0].log()
    assert 'user="bob" authid="murder" mech="GSSAPI"' in murder.be[1].log()
    # The same without tickets: PLAIN everywhere, also to the MUPDATE master.
    fe.stop()
    fe.conf["mupdate_password"] = "secret"
    fe.variables.update(realm.environment(cache="none"))
    fe.start()
    with murder.imap("bob") as c:
        c.select("INBOX")
    assert 'user="bob" authid="murder" mech="PLAIN"' in murder.be[1].log()


def test_without_kdc(make_kerberos_murder, realm):
    """Who has no ticket and cannot get one: UNAVAILABLE, and a line in the log that says why; then all is well."""
    murder = make_kerberos_murder(force_sasl_client_mech="GSSAPI", client_timeout="2s").start()
    murder.add_user("fred", 0)
    fe = murder.fe[0]
    realm.stop()
    os.unlink(realm.path("cache-fe1"))
    old = fe.processes("proxyd")  # a new one, without what they have in memory
    for pid in old:
        os.kill(pid, 15)
    direct.wait_for(lambda: not set(old) & set(fe.processes("proxyd")))
    began = time.monotonic()
    with murder.imap("fred") as c:
        assert "[UNAVAILABLE]" in c.no("SELECT INBOX").text
        c.ok("NOOP")
    assert time.monotonic() - began < 60
    assert "Kerberos" in fe.log() or "GSS" in fe.log() or "KDC" in fe.log()
    realm.start()
    deadline = time.monotonic() + 90
    with murder.imap("fred") as c:
        while c.command("SELECT INBOX").status != "OK":
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_mupdatetest(make_kerberos_murder, realm):
    """Our own mupdatetest, as an administrator with a ticket."""
    murder = make_kerberos_murder().start()
    principals(realm, ADMIN)
    node = murder.m
    node.variables = realm.environment(cache="cache-" + ADMIN)
    r = node.command(
        "mupdatetest", "-m", "GSSAPI", "-a", ADMIN, "-p", str(net.MUPDATE), node.address, input="x NOOP\nx LOGOUT\n", check=False
    )
    assert "Authenticated" in r.stdout and 'x OK "Noop done"' in r.stdout, r.stdout + r.stderr
