"""An SMTP server for what scripts send: it keeps what it takes, and can want TLS and a login, refuse, hang."""

import base64
import socket
import threading


class Sink(threading.Thread):
    """mail: [(MAIL and RCPT lines, message)]; seen: the first words of all commands, by connection.

    tls: a context, STARTTLS is offered; login: (user, password), wanted by AUTH PLAIN or LOGIN before MAIL;
    hangs: recipients with this in their address get no answer until release() is called; refused: RCPT gets a 550."""

    def __init__(self, address, tls=None, login=None, hangs=None, refused="<no@", mechanisms="PLAIN LOGIN"):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, 0), backlog=200)
        self.address = "%s:%d" % self.listener.getsockname()
        self.tls, self.login, self.hangs, self.refused, self.mechanisms = tls, login, hangs, refused, mechanisms
        self.mail, self.seen, self.lock = [], [], threading.Lock()
        self.hanging, self.released = 0, threading.Event()
        self.start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def close(self):
        self.released.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def release(self):
        self.released.set()

    def conf(self):
        return {"smtp_backend": "host", "smtp_host": self.address}

    def _serve(self, s):
        try:
            _Session(self, s).run()
        except (OSError, EOFError):
            pass
        finally:
            s.close()


class _Session:
    def __init__(self, sink, s):
        self.sink, self.s, self.f = sink, s, s.makefile("rwb")
        self.secure = self.authenticated = False
        self.envelope, self.words = [], []
        sink.seen.append(self.words)

    def say(self, text):
        self.f.write(text.encode() + b"\r\n")
        self.f.flush()

    def line(self):
        line = self.f.readline()
        if not line:
            raise EOFError
        return line.strip().decode("utf-8", "surrogateescape")

    def run(self):
        self.say("220 sink")
        while True:
            line = self.line()
            word = line.split(" ")[0].upper()
            self.words.append(word)
            if word == "QUIT":
                return self.say("221 bye")
            getattr(self, "do_" + word, self.unknown)(line)

    def unknown(self, line):
        self.say("250 ok")

    def do_EHLO(self, line):
        lines = ["sink", "8BITMIME", "SIZE"]
        if self.sink.tls and not self.secure:
            lines.append("STARTTLS")
        if self.sink.login and (self.secure or not self.sink.tls):
            lines.append("AUTH " + self.sink.mechanisms)
        for i, text in enumerate(lines):
            self.say("250%s%s" % ("-" if i < len(lines) - 1 else " ", text))

    def do_STARTTLS(self, line):
        self.say("220 go")
        self.s = self.sink.tls.wrap_socket(self.s, server_side=True)
        self.f, self.secure = self.s.makefile("rwb"), True

    def do_AUTH(self, line):
        words = line.split(" ")
        if words[1].upper() == "LOGIN":
            given = []
            for prompt in (b"Username:", b"Password:"):
                self.say("334 " + base64.b64encode(prompt).decode())
                given.append(base64.b64decode(self.line()).decode())
            given = tuple(given)
        else:
            if len(words) < 3:
                self.say("334 ")
                words.append(self.line())
            given = tuple(base64.b64decode(words[2]).decode().split("\0")[1:])
        self.authenticated = given == self.sink.login
        self.say("235 2.7.0 in" if self.authenticated else "535 5.7.8 no")

    def do_MAIL(self, line):
        if self.sink.login and not self.authenticated:
            return self.say("530 5.7.0 who are you")
        self.envelope = [line]
        self.say("250 ok")

    def do_RCPT(self, line):
        if self.sink.hangs and self.sink.hangs in line:
            with self.sink.lock:
                self.sink.hanging += 1
            self.sink.released.wait()
        if self.sink.refused in line:
            return self.say("550 5.1.1 no")
        self.envelope.append(line)
        self.say("250 ok")

    def do_DATA(self, line):
        self.say("354 go")
        data = b""
        while (piece := self.f.readline()) != b".\r\n":
            if not piece:
                raise EOFError
            data += piece[1:] if piece.startswith(b".") else piece
        with self.sink.lock:
            self.sink.mail.append((self.envelope, data))
        self.envelope = []
        self.say("250 2.0.0 queued")
