"""A backend that says what a test wants: greeting and login as they should be, then a handler."""

import base64
import re
import socket
import threading

from . import net
from .clients import Imap
from .node import PASSWORD, PROXY

GREETING = b"* OK [CAPABILITY IMAP4rev1 LITERAL+ UNSELECT UIDPLUS IDLE SASL-IR AUTH=PLAIN] fake\r\n"
LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")


ACL = "%s\tlrswipkxtecdan\t"


def put(murder, fake, name, acl=None):
    """Registers a mailbox as the fake backend's."""
    with Imap(murder.m.address, net.MUPDATE) as c:
        while not c.greeting.startswith(b"* OK"):
            c.greeting = c.read_response()
        plain = base64.b64encode(("\0%s\0%s" % (PROXY, PASSWORD)).encode()).decode()
        c.ok('AUTHENTICATE "PLAIN" "%s"' % plain)
        acl = acl or ACL % name.split(".")[1]
        c.ok('ACTIVATE "%s" "%s!default" "%s"' % (name, fake.name, acl))
    murder.wait_listed(name.replace(".", "/"))


class Hangup(Exception):
    """Raised by a handler: the connection ends."""


class Session:
    """One connection of the frontend's: lines, literals, answers."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""
        self.user = None

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def drop(self):
        """The connection ends now."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Hangup
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def bytes(self, n):
        while len(self.buffer) < n:
            self._fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def rest_of(self, text):
        """The whole of a command that begins with this line: literals in place of their counts."""
        while (m := LITERAL.search(text)) is not None:
            if not m.group(2):
                self.send("+ go\r\n")
            text = text[: m.start()] + b"<" + self.bytes(int(m.group(1))) + b">" + self.line()
        return text

    def ok(self, tag, text="done"):
        self.send("%s OK %s\r\n" % (tag, text))

    def no(self, tag, text="no"):
        self.send("%s NO %s\r\n" % (tag, text))


class Fake:
    """handler(session, tag, text): True when it has answered; `text` is a command's first line behind the tag.
    What it leaves is answered as a backend with three messages would."""

    def __init__(self, address, handler=None, greeting=GREETING):
        self.address, self.handler, self.greeting = address, handler, greeting
        self.name = "%s:%d" % (address, net.IMAP)
        self.seen = []  # every command
        self.sessions = []  # every connection there has been
        self.errors = []
        self.listener = socket.create_server((address, net.IMAP))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()
        for s in self.sessions:
            s.drop()

    def commands(self, pattern):
        return [c for c in self.seen if re.search(pattern, c)]

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            s = Session(sock)
            self.sessions.append(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            s.send(self.greeting)
            while True:
                self._one(s)
        except (Hangup, OSError):
            pass
        except Exception as e:  # a bug of the test
            self.errors.append(e)
        finally:
            s.drop()
            s.sock.close()

    def _one(self, s):
        tag, _, text = s.line().partition(b" ")
        tag = tag.decode()
        if text.startswith(b"AUTHENTICATE PLAIN "):
            s.user = base64.b64decode(text.split(b" ")[2]).split(b"\0")[0].decode()
            s.ok(tag)
        elif text == b"LOGOUT":
            s.send("* BYE bye\r\n")
            s.ok(tag)
            raise Hangup
        elif text == b"CAPABILITY":
            s.send(b"* CAPABILITY " + re.search(rb"CAPABILITY ([^\]]*)", self.greeting).group(1) + b"\r\n")
            s.ok(tag)
        else:
            self.seen.append(text.decode("latin-1"))
            if self.handler is None or not self.handler(s, tag, text.decode("latin-1")):
                self.seen[-1] = s.rest_of(text).decode("latin-1")
                self._default(s, tag, self.seen[-1])

    def _default(self, s, tag, text):
        if text.startswith(("SELECT", "EXAMINE")):
            s.send("* 3 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Deleted)\r\n* OK [UIDVALIDITY 9] x\r\n")
            s.ok(tag, "[READ-WRITE] done")
        elif text.startswith("STATUS"):
            s.send("* STATUS %s (MESSAGES 3)\r\n" % text.split()[1])
            s.ok(tag)
        elif text.startswith("FETCH"):
            s.send("* 1 FETCH (FLAGS (\\Seen))\r\n")
            s.ok(tag)
        elif text == "IDLE":
            s.send("+ idling\r\n")
            s.line()
            s.ok(tag)
        else:
            s.ok(tag)
