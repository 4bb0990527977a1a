"""Scripts send by SMTP (smtp_backend: host)."""

import os
import shutil
import socket
import ssl
import tempfile
import threading

import pytest

from iatlas import net, node, scripts, sink, tls
from iatlas.clients import Imap, Lmtp, message
from iatlas.node import ADMIN


class Smtp(threading.Thread):
    """Takes mail on a port of its own; refuses recipients called `no`; hangs after EHLO when told to."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        self.mail = []
        self.start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s:
                self.serve(s.makefile("rwb"))

    def serve(self, f):
        def say(text):
            f.write(text.encode() + b"\r\n")
            f.flush()

        say("220 smtp")
        envelope = []
        for line in f:
            word = line[:4].upper()
            if word == b"EHLO":
                say("250-smtp\r\n250 8BITMIME")
            elif word == b"DATA":
                say("354 go")
                data = b""
                for piece in f:
                    if piece == b".\r\n":
                        break
                    data += piece
                self.mail.append((envelope, data))
                envelope = []
                say("250 2.0.0 queued")
            elif word == b"QUIT":
                return say("221 bye")
            elif b"<no@" in line:
                say("550 5.1.1 no")
            else:
                envelope.append(line.strip())
                say("250 ok")


def test_smtp_host(make_server, network, tmp_path):
    smtp = Smtp(network.address())
    conf = {"smtp_backend": "host", "smtp_host": "%s:%d" % smtp.listener.getsockname(), "sievedir": str(tmp_path / "sieve")}
    server = make_server(conf=conf)
    server.add_user("fred")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("CREATE user/fred")
    scripts.put(server, "fred", 'if header :is "subject" "no" { redirect "no@else.where"; } else { redirect "a@else.where"; }')

    def deliver(subject):
        with Lmtp(server.address) as c:
            assert [r[0] for r in c.deliver("s@x.org", ["fred"], message(subject, body=".dot\r\n..\r\n"))] == [250]
        with Imap(server.address).login("fred") as c:
            return c.select("INBOX")

    assert deliver("yes") == 0
    ((envelope, data),) = smtp.mail
    assert envelope[0].startswith(b"MAIL FROM:<s@x.org>") and envelope[1] == b"RCPT TO:<a@else.where>"
    assert data.startswith(b"Received: ") and data.endswith(b"\r\n\r\n..dot\r\n...\r\n")
    assert deliver("no") == 1  # refused there: kept
    smtp.listener.shutdown(socket.SHUT_RDWR)
    smtp.listener.close()
    assert deliver("away") == 2
    assert len(smtp.mail) == 1


@pytest.fixture(scope="module")
def mail_server():
    """A server with a user fred whose script sends everything on; at() says by which sink."""
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    made, sinks = [], []
    authority = tls.Authority(os.path.join(directory, "tls"))

    def at(conf, flags, with_tls=False, **kw):
        address = network.address()
        if with_tls:
            files = authority.certify("sink%d" % len(sinks), address)
            kw["tls"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            kw["tls"].load_cert_chain(files["tls_server_cert"], files["tls_server_key"])
        sinks.append(sink.Sink(address, **kw))
        conf = dict(conf, sievedir=os.path.join(directory, "sieve"), tls_client_ca_file=authority.ca, **sinks[-1].conf())
        conf["smtp_host"] += flags
        if not made:
            made.append(node.standalone(os.path.join(directory, "s"), network.address(), conf=conf).start())
            made[0].add_user("fred")
            with Imap(made[0].address).login(ADMIN) as c:
                c.ok("CREATE user/fred")
            scripts.put(made[0], "fred", 'redirect "a@else.where";')
        else:
            made[0].stop()
            for name in [n for n in made[0].conf if n.startswith("smtp_")]:
                del made[0].conf[name]
            made[0].conf.update(conf)
            made[0].start()
        return made[0], sinks[-1]

    try:
        yield at
    finally:
        for n in made:
            n.cleanup()
        for s in sinks:
            s.close()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


AUTH = {"smtp_auth_authname": "poster", "smtp_auth_password": "geheim42"}
LOGIN = ("poster", "geheim42")


@pytest.mark.parametrize(
    "conf, flags, server, sent, seen",
    [
        (AUTH, "", dict(login=LOGIN), True, ["EHLO", "AUTH", "MAIL"]),
        (AUTH, "", dict(login=LOGIN, mechanisms="LOGIN"), True, ["EHLO", "AUTH", "MAIL"]),
        (AUTH, "/tls", dict(login=LOGIN, with_tls=True), True, ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL"]),
        ({}, "/tls", dict(with_tls=True), True, ["EHLO", "STARTTLS", "EHLO", "MAIL"]),
        ({}, "/tls", dict(), False, ["EHLO"]),  # no TLS, no mail
        (AUTH, "/noauth", dict(), True, ["EHLO", "MAIL"]),
        (AUTH, "/noauth", dict(login=LOGIN), False, ["EHLO", "MAIL"]),
        ({}, "", dict(login=LOGIN), False, ["EHLO", "MAIL"]),
        (dict(AUTH, smtp_auth_password="falsch"), "", dict(login=LOGIN), False, ["EHLO", "AUTH"]),
        (AUTH, "", dict(), False, ["EHLO"]),  # no login there
        ({"proxy_authname": "poster", "proxy_password": "geheim42"}, "", dict(login=LOGIN), False, ["EHLO", "MAIL"]),
    ],
)
def test_login_and_tls(mail_server, conf, flags, server, sent, seen):
    """smtp_auth_authname, /tls, /noauth; what cannot be sent is kept."""
    there, out = mail_server(conf, flags, **server)
    with Lmtp(there.address) as c:
        assert [r[0] for r in c.deliver("s@x.org", ["fred"], message("m"))] == [250]
    with Imap(there.address).login("fred") as c:
        if kept := c.select("INBOX"):
            c.ok("STORE 1:* +FLAGS (\\Deleted)")
            c.ok("EXPUNGE")
    assert (len(out.mail), kept) == ((1, 0) if sent else (0, 1))
    (words,) = out.seen
    assert words[: len(seen)] == seen and (sent or "DATA" not in words), words
