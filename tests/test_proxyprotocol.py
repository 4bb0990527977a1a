"""The PROXY protocol on a service of cyrus.conf: limits and logs see the client; nobody else may say who he is."""

import os
import re
import socket
import ssl
import struct

import pytest

from iatlas import Murder, net
from iatlas.clients import Imap
from iatlas.direct import wait_for
from iatlas.tls import Authority

BALANCER = "127.0.0.9"
V2 = b"\r\n\r\n\0\r\nQUIT\n"


class Through(Imap):
    """A client whose bytes come over a balancer, behind these."""

    def __init__(self, host, header, port=net.IMAP, source=BALANCER, tls=False):
        self.header, self.tls = header, tls
        self.sock = socket.create_connection((host, port), 30, (source, 0))
        self.sock.sendall(header)
        if tls:
            self.start_tls_socket()
        self.buffer, self.count = b"", 0
        self.greeting = self.read_response()


def v1(client, port=4000):
    return b"PROXY TCP4 %s 198.51.100.1 %d 143\r\n" % (client.encode(), port)


def v2(client, more=b""):
    body = socket.inet_aton(client) + socket.inet_aton("198.51.100.1") + struct.pack(">HH", 4000, 143) + more
    return V2 + b"\x21\x11" + struct.pack(">H", len(body)) + body


@pytest.fixture(params=["imapd", "proxyd"])
def node(request, workdir, network):
    """A server that a balancer at 127.0.0.9 speaks to, with a limit for each address."""
    murder = Murder(workdir, network, backends=1)
    node = murder.fe[0] if request.param == "proxyd" else murder.be[0]
    authority = Authority(os.path.join(workdir, "ca"))
    os.chmod(workdir, 0o711)
    node.conf.update(authority.certify("mail.example.test", node.address), maxlogins_per_host="2")
    node.services["imap"] += ' proxyprotocol="%s 192.0.2.0/24"' % BALANCER
    node.services["imaps"] = 'cmd="%s -s" listen="%s:%d" prefork=1 proxyprotocol=%s' % (
        request.param,
        node.address,
        net.IMAPS,
        BALANCER,
    )
    try:
        for n in murder.nodes if request.param == "proxyd" else [murder.m, node]:
            n.start()
        for n in murder.nodes:
            n.add_user("fred")
        yield node
    finally:
        murder.cleanup()


def test_proxyprotocol(node):
    # the log sees the client, in both versions
    for header, address in ((v1("203.0.113.5"), "203.0.113.5"), (v2("203.0.113.6", b"\x04\0\x02hi"), "203.0.113.6")):
        with Through(node.address, header) as c:
            c.login("fred")
            wait_for(lambda: re.search(r'login\.ok user="fred".* peer="%s"' % address, node.log()))
    # a check of the balancer's own, and what it says of no address: it is the peer
    for header in (b"PROXY UNKNOWN\r\n", V2 + b"\x20\0\0\0"):
        with Through(node.address, header) as c:
            c.no("LOGIN fred wrong")
            assert re.findall(r'login\.failed peer="([^"]*)"', node.log())[-1] == BALANCER
    # the limit is each client's
    with Through(node.address, v1("203.0.113.7")) as a, Through(node.address, v2("203.0.113.7")) as b:
        a.login("fred")
        b.login("fred")
        with Through(node.address, v1("203.0.113.7")) as c:
            assert "LIMIT" in c.no("LOGIN fred secret").text
        with Through(node.address, v1("203.0.113.8")) as c:
            c.login("fred")
    # TLS begins right behind the header, in the same packet or not
    with Through(node.address, v1("203.0.113.9"), port=net.IMAPS, tls=True) as c:
        c.login("fred")
        assert isinstance(c.sock, ssl.SSLSocket)
    wait_for(lambda: 'peer="203.0.113.9"' in node.log())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(into, out)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection((node.address, net.IMAPS), 30, (BALANCER, 0)) as s:
        s.sendall(v2("203.0.113.10") + out.read())
        assert s.recv(1) == b"\x16"
    # a byte at a time
    with socket.create_connection((node.address, net.IMAP), 30, (BALANCER, 0)) as s:
        for byte in v1("203.0.113.11"):
            s.sendall(bytes([byte]))
        assert s.recv(5) == b"* OK "


def test_who_may_say_so(node):
    # the balancer has to
    for text in (b"a LOGIN fred secret\r\n", b"\x16\x03\x01", b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n", V2 + b"\x21\x11\xff\xff"):
        with socket.create_connection((node.address, net.IMAP), 30, (BALANCER, 0)) as s:
            s.sendall(text)
            try:
                assert s.recv(1) == b""
            except ConnectionResetError:
                pass
    wait_for(lambda: node.log().count('login.proxy peer="%s"' % BALANCER) == 4)
    # others are clients: what they say is no header
    with Imap(node.address) as c:
        c.send(v1("203.0.113.5"))
        assert c.read_line().startswith(b"PROXY BAD")
        c.login("fred")
    assert 'peer="203.0.113.5"' not in node.log()


def test_a_program_that_does_not_know_it(make_server):
    server = make_server()
    server.stop()
    server.services["lmtp"] = 'cmd="lmtpd" listen="%s" prefork=1 proxyprotocol=127.0.0.1' % server.path("sock")
    server.start()
    wait_for(lambda: "proxyprotocol of cyrus.conf is not for this program" in server.log() + server.stderr())
