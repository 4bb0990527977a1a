"""TLS between the nodes of a murder: verified where there is an authority, demanded by tls_required, certificates as
names (EXTERNAL), and nothing that was said in clear counts afterwards."""

import base64
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from iatlas import Imap, Murder, direct, message, net
from iatlas.mupdate import Mupdate
from iatlas.node import ADMIN, PROXY
from iatlas.tls import Authority


@pytest.fixture
def authority(workdir):
    return Authority(os.path.join(workdir, "ca"))


@pytest.fixture
def make_secure(workdir, network, authority):
    """A murder whose nodes have certificates and know the authority; tune(murder) before it starts."""
    made = []

    def make(tune=None, start=True, **conf):
        m = Murder(os.path.join(workdir, "m"), network)
        made.append(m)
        for node in m.nodes:
            node.conf.update(authority.certify(node.name, node.address), allowstarttls="yes", tls_server_ca_file=authority.ca)
            node.conf.update(conf)
        if tune is not None:
            tune(m)
        return m.start() if start else m

    yield make
    for m in made:
        m.cleanup()


def two_users(murder):
    murder.add_user("fred", 0)
    murder.add_user("bob", 1)


def deliver(murder, *users):
    with murder.lmtp() as c:
        return [code for code, _ in c.deliver("a@example.org", users, message("one"))]


def logins(node):
    return [line for line in node.log().splitlines() if "login.ok" in line and 'authid="murder"' in line]


def test_everything_encrypted(make_secure):
    """Frontend to backends (IMAP, LMTP), everybody to the MUPDATE master: TLS, though nobody demands it."""
    murder = make_secure()
    two_users(murder)
    assert deliver(murder, "fred", "bob") == [250, 250]
    for user in ("fred", "bob"):
        with murder.imap(user) as c:
            assert c.select("INBOX") == 1
            text = message() + b"z" * 300000 + b"\r\n"
            c.append("INBOX", text)
            c.ok("NOOP")
            assert c.body(2) == text
    for node in (murder.m, *murder.be):
        assert logins(node) and all('tls="TLSv1.3"' in line for line in logins(node)), node.log()


def broken(authority, workdir, how, node):
    """A certificate that must not be accepted, and what the log then says."""
    if how == "name":
        return authority.certify("other", "127.0.0.1"), "mismatch"
    if how == "expired":
        return authority.certify("old", node.address, days=-1), "expired"
    return Authority(os.path.join(workdir, "foreign")).certify("foreign", node.address), "unable to get local issuer"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["name", "expired", "authority"])
def test_backend_not_verified(make_secure, authority, workdir, how):
    """Its mailboxes are unavailable, the other's are not; mail for it is deferred; nobody has shown it a password."""
    murder = make_secure()
    two_users(murder)
    be, fe = murder.be[0], murder.fe[0]
    be.stop()
    conf, why = broken(authority, workdir, how, be)
    be.conf.update(conf)
    before = len(logins(be))
    be.start()
    with murder.imap("fred") as c:
        assert "[UNAVAILABLE]" in c.no("SELECT INBOX").text
        assert "[UNAVAILABLE]" in c.no(["APPEND INBOX ", message()]).text
        assert c.list("", "*") == ["INBOX"]
    with murder.imap("bob") as c:
        c.select("INBOX")
    assert deliver(murder, "fred", "bob")[1:] == [250]
    assert deliver(murder, "fred")[0] // 100 == 4
    lines = [line for line in fe.log().splitlines() if 'server="%s"' % murder.names[0] in line]
    for event in ("proxy.away", "lmtp.backend"):
        assert any(event in line and why in line for line in lines), fe.log()
    assert len(logins(be)) == before and "login.failed" not in be.log()
    # The same backend as it was: all is well again, without a restart of the frontend.
    be.stop()
    be.conf.update(authority.certify(be.name, be.address))
    be.start()
    with murder.imap("fred") as c:
        c.select("INBOX")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["name", "expired", "authority"])
def test_master_not_verified(make_secure, authority, workdir, how):
    """Neither frontend nor backend speaks to it; what needs no master goes on."""
    murder = make_secure()
    two_users(murder)
    m = murder.m
    m.stop()
    conf, why = broken(authority, workdir, how, m)
    m.conf.update(conf)
    before = len(logins(m))
    m.start()
    with murder.imap(ADMIN) as c:
        assert c.command("CREATE user/fred/new").status == "NO"
    for node in (murder.fe[0], murder.be[0]):
        direct.wait_for(lambda: any("-away" in line and why in line for line in node.log().splitlines()))
    with murder.imap("fred") as c:
        c.select("INBOX")
    assert deliver(murder, "fred") == [250]
    assert len(logins(m)) == before and "login.failed" not in m.log()


@pytest.mark.slow
@pytest.mark.parametrize("authority_known", [True, False])
def test_required_and_not_offered(make_secure, authority_known):
    """tls_required holds for what this node says to others too, whether it could verify them or not."""
    murder = make_secure()
    two_users(murder)
    be, fe = murder.be[0], murder.fe[0]
    for node in (be, fe):
        node.stop()
    be.conf["allowstarttls"] = "no"
    fe.conf["tls_required"] = "yes"
    if not authority_known:
        fe.conf["tls_server_ca_file"] = None
    for node in (be, fe):
        node.start()
    before = len(logins(be))
    with Imap(fe.address) as c:
        assert "PRIVACYREQUIRED" in c.no("LOGIN fred secret").text
    for user, works in (("fred", False), ("bob", True)):
        with Imap(fe.address) as c:
            c.ok("STARTTLS")
            c.start_tls_socket()
            c.login(user)
            if works:
                c.select("INBOX")
            else:
                assert "[UNAVAILABLE]" in c.no("SELECT INBOX").text
    assert deliver(murder, "fred", "bob")[1] == 250 and deliver(murder, "fred")[0] // 100 == 4
    assert "offers no TLS" in fe.log()
    assert len(logins(be)) == before and "login.failed" not in be.log()


class Recorder:
    """A server that records all that it is told in clear: says its lines in turn, an answer to each line."""

    def __init__(self, address, port, greeting, answers, context=None):
        self.heard, self.context, self.greeting, self.answers = [], context, greeting, answers
        self.listener = socket.create_server((address, port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.sendall(self.greeting)
            self._talk(sock, b"clear ")
        except OSError:
            pass
        finally:
            sock.close()

    def _talk(self, sock, mark):
        buffer = b""
        while data := sock.recv(65536):
            buffer += data
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                self.heard.append(mark + line)
                word = line.split()[1:2] or line.split()[:1]
                answer = self.answers(mark, line.split()[0], word[0].upper() if word else b"")
                sock.sendall(answer)
                if word == [b"STARTTLS"]:
                    sock = self.context.wrap_socket(sock, server_side=True)
                    buffer, mark = b"", b"tls "
        if buffer:
            self.heard.append(mark + buffer)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def recorder(authority):
    made = []

    def make(node, conf, *args):
        for old in made:
            old.close()
        made.clear()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(conf["tls_server_cert"], conf["tls_server_key"])
        made.append(Recorder(node.address, net.IMAP, *args, context))
        return made[-1]

    yield make
    for r in made:
        r.close()


def imap_answers(mark, tag, word):
    """A backend whose answer to STARTTLS has something behind it that was never protected."""
    if word == b"STARTTLS":
        return tag + b" OK go\r\n* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN INJECTED\r\nC01 OK injected\r\nA01 OK injected\r\n"
    if word == b"CAPABILITY":
        return b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n" + tag + b" OK done\r\n"
    if word == b"SELECT":
        return b"* 0 EXISTS\r\n* 0 RECENT\r\n* FLAGS ()\r\n* OK [UIDVALIDITY 1] x\r\n" + tag + b" OK [READ-WRITE] protected\r\n"
    return tag + b" OK done\r\n"


def test_only_starttls_in_clear(make_secure, authority, recorder):
    """What a backend hears in clear: STARTTLS and nothing else, be its certificate good or not; what it adds to its
    answer in clear is dropped."""
    murder = make_secure()
    two_users(murder)
    be = murder.be[0]
    be.stop()
    greeting = b"* OK [CAPABILITY IMAP4rev1 SASL-IR STARTTLS AUTH=PLAIN] fake\r\n"
    bad = recorder(be, authority.certify("bad", "127.0.0.1"), greeting, imap_answers)
    with murder.imap("fred") as c:
        assert "[UNAVAILABLE]" in c.no("SELECT INBOX").text
    assert bad.heard and set(bad.heard) == {b"clear S01 STARTTLS\r"}, bad.heard
    good = recorder(be, authority.certify("good", be.address), greeting, imap_answers)
    with murder.imap("fred") as c:
        assert "protected" in c.ok("SELECT INBOX").text
    assert [h for h in good.heard if h.startswith(b"clear")] == [b"clear S01 STARTTLS\r"], good.heard
    assert b"tls C01 CAPABILITY\r" in good.heard and any(h.startswith(b"tls A01 AUTHENTICATE PLAIN") for h in good.heard)


# ---- servers: STARTTLS ----


@pytest.fixture
def secure_server(make_server, authority):
    conf = authority.certify("server", "127.0.0.1")
    return make_server(conf=dict(conf, allowstarttls="yes", lmtp_admins="mta", sasl_mech_list="PLAIN"))


def wrapped(sock):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)


@pytest.mark.parametrize("ktls", ["yes", "no"])
def test_kernel_tls(make_server, authority, ktls):
    """tls_ktls: the kernel is asked to encrypt; whether it can or not, mail comes through."""
    server = make_server(conf=dict(authority.certify("server", "127.0.0.1"), allowstarttls="yes", tls_ktls=ktls))
    server.add_user("fred")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("CREATE user/fred")
    big = message("one", body="x" * 70 + "\r\n") + b"0123456789abcdef" * 65536
    (pid,), trace = server.processes("imapd"), server.path("trace")
    tracer = subprocess.Popen(["strace", "-f", "-o", trace, "-e", "trace=setsockopt", "-p", str(pid)], stderr=subprocess.PIPE)
    try:
        while b"attached" not in tracer.stderr.readline():
            pass
        with Imap(server.address) as c:
            c.ok("STARTTLS")
            c.start_tls_socket()
            c.login("fred")
            for n in (1, 2):
                c.append("INBOX", big)
                assert c.select("INBOX") == n
                assert c.body(n) == big
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
        tracer.stderr.close()
    with open(trace) as f:
        assert ("TCP_ULP" in f.read()) == (ktls == "yes")


def read_until(sock, end):
    data = b""
    while end not in data:
        more = sock.recv(65536)
        assert more, data
        data += more
    return data


def test_commands_behind_starttls(secure_server, make_murder):
    """What came in clear in one packet with STARTTLS is never done (IMAP, LMTP, MUPDATE)."""
    murder = make_murder(backends=1, frontends=1)
    murder.m.stop()
    with open(secure_server.path("imapd.conf")) as f:
        tls = dict(line.strip().split(": ", 1) for line in f if line.startswith("tls_server_"))
    murder.m.conf.update(tls, allowstarttls="yes")
    murder.m.start()
    rows = (
        (secure_server.address, net.IMAP, b"", b"x STARTTLS\r\ni NOOP\r\ni LOGIN fred secret\r\n", b"x OK", b"y NOOP\r\n", b"y OK", b"i "),
        (secure_server.address, net.IMAP, b"", b"x STARTTLS\r\ni LOGIN {4+}\r\nfr", b"x OK", b"y NOOP\r\n", b"y OK", b"i "),
        (murder.m.address, net.MUPDATE, b"", b"x STARTTLS\r\ni NOOP\r\n", b"x OK", b"y LOGOUT\r\n", b"y OK", b"i "),
    )
    for address, port, first, clear, go, protected, end, injected in rows:
        with socket.create_connection((address, port), 60) as s:
            read_until(s, b"\r\n* OK" if port == net.MUPDATE else b"ready\r\n")
            s.sendall(first + clear)
            assert injected not in read_until(s, go)
            s = wrapped(s)
            s.sendall(protected)
            assert injected not in read_until(s, end)


def test_lmtp_behind_starttls(make_murder, authority):
    murder = make_murder(backends=1, frontends=0, conf=dict(authority.certify("be", "127.0.0.1"), allowstarttls="yes"))
    with socket.create_connection((murder.be[0].address, net.LMTP), 60) as s:
        read_until(s, b"220 ")
        s.sendall(b"LHLO x\r\n")
        read_until(s, b"IGNOREQUOTA")
        s.sendall(b"STARTTLS\r\nNOOP\r\nRSET\r\n")
        assert b"250" not in read_until(s, b"220 2.0.0")
        s = wrapped(s)
        s.sendall(b"MAIL FROM:<>\r\nQUIT\r\n")
        answers = read_until(s, b"221 ").split(b"\r\n")
        assert [a[:3] for a in answers if a] == [b"430", b"221"], answers


# ---- certificates as names ----


def tls_socket(address, port, ca, pair=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca)
    if pair is not None:
        context.load_cert_chain(*pair)
    return context.wrap_socket(socket.create_connection((address, port), 60))


class TlsImap(Imap):
    def __init__(self, imapd, ca, pair=None):
        self.sock, self.buffer, self.count = tls_socket(imapd.address, imapd.port, ca, pair), b"", 0
        self.greeting = self.read_response()


@pytest.fixture
def make_imaps(workdir, network, authority, make_imapd):
    """An imapd -s over the users of a plain one."""
    plain = make_imapd()
    made = []

    def make(**conf):
        same = {k: plain.conf[k] for k in ("configdirectory", "partition-default", "sasl_sasldb_path", "servername")}
        conf = dict(authority.certify("imaps", "127.0.0.1"), sasl_mech_list="EXTERNAL PLAIN", **same, **conf)
        n = direct.Service(os.path.join(workdir, "t%d" % len(made)), network.address(), "imaps", ["imapd", "-s"], conf)
        made.append(n)
        return n.start()

    yield make
    for n in made:
        n.cleanup()


def external(authzid=""):
    return "AUTHENTICATE EXTERNAL " + (base64.b64encode(authzid.encode()).decode() or "=")


def test_client_certificate(make_imaps, authority, workdir):
    """EXTERNAL: the certificate's common name; only of our authority, only while it is valid."""
    imapd = make_imaps(tls_client_ca_file=authority.ca)
    with TlsImap(imapd, authority.ca, authority.client("fred")) as c:
        assert b"AUTH=EXTERNAL" in c.greeting
        c.ok(external())
        assert c.list("", "*") == ["INBOX"]
    with TlsImap(imapd, authority.ca, authority.client("fred")) as c:
        assert "AUTHORIZATIONFAILED" in c.no(external("bob")).text
        c.ok(external("fred"))
    with TlsImap(imapd, authority.ca, authority.client(ADMIN)) as c:
        c.ok(external("bob"))
    with TlsImap(imapd, authority.ca) as c:
        assert b"AUTH=EXTERNAL" not in c.greeting
        c.no(external("fred"))
        c.login("fred")
    foreign = Authority(os.path.join(workdir, "foreign"))
    for pair in (foreign.client("fred"), authority.client("fred", days=-1)):
        with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
            TlsImap(imapd, authority.ca, pair)
    assert 'login.ok user="fred" authid="fred" mech="EXTERNAL"' in imapd.log()
    direct.wait_for(lambda: imapd.log().count("login.tls") == 2)  # the client knows before the log does
    assert "expired" in imapd.log()


def test_client_certificate_demanded(make_imaps, authority):
    imapd = make_imaps(tls_client_ca_file=authority.ca, tls_client_certs="require")
    with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
        TlsImap(imapd, authority.ca)
    with TlsImap(imapd, authority.ca, authority.client("fred")) as c:
        c.ok(external())
    imapd = make_imaps(tls_client_ca_file=authority.ca, tls_client_certs="off")
    with TlsImap(imapd, authority.ca, authority.client("fred")) as c:
        assert b"AUTH=EXTERNAL" not in c.greeting
        c.no(external())


@pytest.mark.parametrize("demanded", ["optional", "require"])
def test_masters_clients_certificate(make_server, authority, demanded):
    """MUPDATE: an administrator's certificate is enough, another one is not, and none ends the handshake where one is demanded."""
    conf = authority.certify("m", "127.0.0.1")
    conf.update(tls_client_ca_file=authority.ca, tls_client_certs=demanded, allowstarttls="yes", sasl_mech_list="EXTERNAL PLAIN")
    server = make_server(conf=conf)
    server.services["mupdate"] = 'cmd="mupdate -m" listen="%s:%d" prefork=1' % (server.address, net.MUPDATE)
    server.stop()
    server.start()

    def connect(user):
        context = ssl.create_default_context(cafile=authority.ca)
        context.check_hostname = False
        if user is not None:
            context.load_cert_chain(*authority.client(user))
        c = Mupdate(server.address)
        assert ("*", "STARTTLS") in c.banner and "EXTERNAL" not in c.banner[0]
        c.starttls(context)
        assert ("*", "STARTTLS") not in c.banner
        assert c.result("STARTTLS")[0] == "NO"
        return c

    with connect(ADMIN) as c:
        assert "EXTERNAL" in c.banner[0]
        assert c.result('AUTHENTICATE "EXTERNAL" ""')[0] == "OK"
        c.ok('RESERVE "user.a" "be1!p"')
    with connect("mallory") as c:
        assert c.result('AUTHENTICATE "EXTERNAL" ""')[0] == "NO"
        assert c.result('FIND "user.a"') == ("BAD", "Please login first")
    if demanded == "require":
        with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
            connect(None)
    else:
        with connect(None) as c:
            assert "EXTERNAL" not in c.banner[0]
            assert c.result('AUTHENTICATE "EXTERNAL" ""')[0] == "NO"
            assert c.login().find("user.a")


@pytest.mark.parametrize("per_host", [False, True])
def test_frontends_certificate(make_secure, authority, per_host):
    """Between nodes no passwords at all: EXTERNAL, by tls_client_cert or <host>_client_cert."""

    def tune(murder):
        cert, key = authority.client(PROXY)
        for node in murder.nodes:
            node.conf.update(tls_client_ca_file=authority.ca, sasl_mech_list="EXTERNAL PLAIN")
            node.conf.update(mupdate_password=None, proxy_password=None)
            if not per_host:
                node.conf.update(tls_client_cert=cert, tls_client_key=key)
                continue
            for peer in (murder.m, *murder.be):
                host = peer.address.replace(".", "_")
                node.conf.update({host + "_client_cert": cert, host + "_client_key": key})

    murder = make_secure(tune)
    two_users(murder)
    assert deliver(murder, "fred", "bob") == [250, 250]
    with murder.imap("bob") as c:
        assert c.select("INBOX") == 1
    for node in (murder.m, *murder.be):
        assert logins(node) and all('mech="EXTERNAL"' in line for line in logins(node)), node.log()


def test_frontends_certificate_of_nobody(make_secure, authority):
    """A certificate of our authority with another name is no proxy."""

    def tune(murder):
        cert, key = authority.client("mallory")
        for node in murder.be:
            node.conf.update(tls_client_ca_file=authority.ca, sasl_mech_list="EXTERNAL PLAIN")
        murder.fe[0].conf.update(tls_client_cert=cert, tls_client_key=key)

    murder = make_secure(tune)
    for node in murder.nodes:
        node.add_user("fred")
    with Imap(murder.be[0].address) as c:
        c.login(ADMIN).ok("CREATE user/fred")
    with murder.imap("fred") as c:
        direct.wait_for(lambda: c.list("", "*") == ["INBOX"])
        assert "[UNAVAILABLE]" in c.no("SELECT INBOX").text
    assert 'user="mallory"' in murder.be[0].log() and "proxy.away" in murder.fe[0].log()
