"""A MUPDATE client that shows what is on the wire (RFC 3656)."""

import base64
import re
import socket
import zlib

from . import net

TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|\{(\d+)\+?\}\r\n|([^\s"{]+)')


class Mupdate:
    """`path`: a Unix socket in place of an address."""

    def __init__(self, host=None, port=net.MUPDATE, path=None, timeout=90):
        if path is None:
            self.sock = socket.create_connection((host, port), timeout)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(path)
        self.buffer = b""
        self.count = 0
        self.deflate = self.inflate = None
        self._read_banner()

    def _read_banner(self):
        self.banner = []
        while not self.banner or self.banner[-1][:3] != ("*", "OK", "MUPDATE"):
            self.banner.append(self.read())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.sock.sendall(data)

    def starttls(self, context):
        """`context`: an ssl.SSLContext that does not check the server's name."""
        self.ok("STARTTLS")
        self.sock = context.wrap_socket(self.sock)
        self._read_banner()

    def compress(self):
        self.ok('COMPRESS "DEFLATE"')
        self.deflate = zlib.compressobj(wbits=-15)
        self.inflate = zlib.decompressobj(wbits=-15)
        self.buffer = self.inflate.decompress(self.buffer)

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("connection closed; unread: %r" % self.buffer[:200])
        self.buffer += self.inflate.decompress(data) if self.inflate else data

    def _take(self, at):
        """The words of the line that begins at `at`, and where it ends; None: not complete."""
        words = []
        while True:
            while self.buffer[at : at + 1] == b" ":
                at += 1
            if self.buffer[at : at + 1] == b"\n":
                return words, at + 1
            if self.buffer[at : at + 2] == b"\r\n":
                return words, at + 2
            m = TOKEN.match(self.buffer, at)
            if not m:
                return None
            at = m.end()
            if m.group(2) is not None:
                n = int(m.group(2))
                if len(self.buffer) < at + n:
                    return None
                words.append(self.buffer[at : at + n].decode())
                at += n
            elif m.group(1) is not None:
                words.append(re.sub(rb"\\(.)", rb"\1", m.group(1)).decode())
            elif at == len(self.buffer):
                return None
            else:
                words.append(m.group(3).decode())

    def read(self):
        """One line as a tuple of words."""
        while True:
            taken = self._take(0) if b"\n" in self.buffer else None
            if taken:
                words, end = taken
                self.buffer = self.buffer[end:]
                return tuple(words)
            self._fill()

    def login(self, user="cyrus", password="secret"):
        secret = base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()
        answer = self.command('AUTHENTICATE "PLAIN" "%s"' % secret)
        assert answer[-1][1:] == ("OK", "Authenticated"), answer
        return self

    def start(self, command):
        """Sends a command; its tag."""
        self.count += 1
        tag = "T%d" % self.count
        self.send("%s %s\r\n" % (tag, command))
        return tag

    def finish(self, tag):
        """The lines up to the answer with that tag."""
        lines = []
        while not lines or lines[-1][0] != tag or lines[-1][1] not in ("OK", "NO", "BAD", "BYE"):
            lines.append(self.read())
        return lines

    def command(self, command):
        return self.finish(self.start(command))

    def ok(self, command):
        lines = self.command(command)
        assert lines[-1][1] == "OK", "%s: %r" % (command, lines)
        return lines[:-1]

    def result(self, command):
        """(OK or NO or BAD, text)"""
        return self.command(command)[-1][1:]

    def find(self, name):
        """None, or what FIND says: (MAILBOX, location, acl) or (RESERVE, location)."""
        lines = self.ok('FIND "%s"' % name)
        return (lines[0][1],) + lines[0][3:] if lines else None
