"""Scripts send by SMTP (smtp_backend: host)."""

import socket
import threading


from iatlas import scripts
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
