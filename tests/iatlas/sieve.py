"""A plain ManageSieve client (RFC 5804) that shows what is on the wire."""

import base64
import re
import socket
import ssl

from . import net
from .node import PASSWORD

LITERAL = re.compile(rb"\{(\d+)\}$")


class Answer:
    """status "OK", "NO" or "BYE", code (without parentheses, or None) and text; lines: those before, as lists of words:
    str where it was a string, bytes where it was not."""

    def __init__(self, status, code, text, lines):
        self.status, self.code, self.text, self.lines = status, code, text, lines

    def __repr__(self):
        return "<%s %s %r %r>" % (self.status, self.code, self.text, self.lines)


class Sieve:
    def __init__(self, host, port=net.SIEVE, timeout=90):
        self.sock = socket.create_connection((host, port), timeout)
        self.buffer = b""
        self.greeting = self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    # ---- bytes ----

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("connection closed; unread: %r" % self.buffer)
        self.buffer += data

    def _take(self, n):
        while len(self.buffer) < n:
            self._more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def words(self):
        """One line's."""
        words, rest = [], self._line()
        while rest:
            m = re.match(rb'"((?:[^"\\]|\\.)*)"', rest)
            if m:
                words.append(re.sub(rb"\\(.)", rb"\1", m.group(1)).decode())
            elif rest[:1] == b"{":
                words.append(self._take(int(LITERAL.match(rest).group(1))).decode())
                rest = self._line()
                continue
            else:
                m = re.match(rb"\((?:[^\"()]|\"(?:[^\"\\]|\\.)*\")*\)|[^ ]+", rest)
                words.append(m.group(0))
            rest = rest[m.end() :].lstrip(b" ")
        return words

    def answer(self):
        lines = []
        while True:
            w = self.words()
            if w and w[0] in (b"OK", b"NO", b"BYE"):
                code = w[1][1:-1].decode() if len(w) > 1 and isinstance(w[1], bytes) else None
                text = w[-1] if len(w) > 1 and isinstance(w[-1], str) else ""
                return Answer(w[0].decode(), code, text, lines)
            lines.append(w)

    # ---- commands ----

    def command(self, text):
        self.send(text.encode() + b"\r\n" if isinstance(text, str) else text + b"\r\n")
        return self.answer()

    def ok(self, text):
        r = self.command(text)
        assert r.status == "OK", "%s: %r" % (text, r)
        return r

    def no(self, text):
        r = self.command(text)
        assert r.status == "NO", "%s: %r" % (text, r)
        return r

    def capabilities(self, answer=None):
        lines = (answer or self.ok("CAPABILITY")).lines
        assert len({w[0].upper() for w in lines}) == len(lines)
        return {w[0].upper(): (w[1] if len(w) > 1 else None) for w in lines}

    def starttls(self):
        """The capabilities that the server says then."""
        self.ok("STARTTLS")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)
        return self.capabilities(self.answer())

    def authenticate(self, user, password=PASSWORD):
        return self.command('AUTHENTICATE "PLAIN" "%s"' % plain(user, password))

    def login(self, user):
        self.starttls()
        r = self.authenticate(user)
        assert r.status == "OK", r
        return self

    def put(self, name, text):
        data = text.encode()
        return self.command(b"PUTSCRIPT %s {%d+}\r\n%s" % (quoted(name), len(data), data))

    def scripts(self):
        """{name: is it the active one?}"""
        return {w[0]: w[1:] == [b"ACTIVE"] for w in self.ok("LISTSCRIPTS").lines}

    def get(self, name):
        return self.ok(b"GETSCRIPT " + quoted(name)).lines[0][0]


def quoted(text):
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text.encode()) + b'"'


def plain(user, password=PASSWORD, authzid=""):
    return base64.b64encode(b"%s\0%s\0%s" % (authzid.encode(), user.encode(), password.encode())).decode()
