"""Plain clients that show what is on the wire.  (imaplib, curl, mbsync, swaks are used beside them.)"""

import re
import smtplib
import socket
import ssl
import zlib

from . import net

LITERAL = re.compile(rb"~?\{(\d+)\+?\}$")


class CommandFailed(AssertionError):
    pass


class Response:
    """A tagged answer: status, text, and the untagged responses before it as bytes, literals in place."""

    def __init__(self, status, text, untagged):
        self.status, self.text, self.untagged = status, text, untagged

    def find(self, pattern):
        """The untagged responses that match the regular expression (bytes), as match objects."""
        return [m for m in (re.search(pattern, u, re.S) for u in self.untagged) if m]

    def one(self, pattern):
        found = self.find(pattern)
        assert len(found) == 1, "%r: %d of %r" % (pattern, len(found), self.untagged)
        return found[0]

    def __repr__(self):
        return "<%s %s %r>" % (self.status, self.text, self.untagged)


class Deflated:
    """A socket under RFC 4978 (or RFC 8437's end of it)."""

    def __init__(self, sock):
        self.sock = sock
        self.out = zlib.compressobj(wbits=-15)
        self.into = zlib.decompressobj(wbits=-15)

    def sendall(self, data):
        self.sock.sendall(self.out.compress(data) + self.out.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, n):
        """At most n bytes, as a socket would; what is more stays in the inflater."""
        while True:
            data = self.into.unconsumed_tail or self.sock.recv(n)
            if not data:
                return b""
            plain = self.into.decompress(data, n)
            if plain:
                return plain

    def close(self):
        self.sock.close()


class Imap:
    def __init__(self, host, port=net.IMAP, timeout=90, tls=False):
        self.sock = socket.create_connection((host, port), timeout)
        if tls:
            self.start_tls_socket()
        self.buffer = b""
        self.count = 0
        self.greeting = self.read_response()

    def start_tls_socket(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    # ---- bytes ----

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("connection closed; unread: %r" % self.buffer)
        self.buffer += data

    def read_line(self):
        while b"\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def read_bytes(self, n):
        while len(self.buffer) < n:
            self._fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def read_response(self):
        """One whole response: a line, its literals and what follows them."""
        whole = line = self.read_line()
        while (m := LITERAL.search(line)) is not None:
            whole += b"\r\n" + self.read_bytes(int(m.group(1)))
            line = self.read_line()
            whole += line
        return whole

    # ---- commands ----

    def start(self, command):
        """Sends a command (str or bytes; a list alternates text and literals) and returns its tag."""
        self.count += 1
        tag = "a%d" % self.count
        parts = command if isinstance(command, list) else [command]
        out = tag.encode() + b" "
        for i, part in enumerate(parts):
            data = part if isinstance(part, bytes) else part.encode()
            out += b"{%d+}\r\n%s" % (len(data), data) if i % 2 else data
        self.send(out + b"\r\n")
        return tag

    def finish(self, tag):
        untagged, prefix = [], tag.encode() + b" "
        while True:
            r = self.read_response()
            if r.startswith(prefix):
                status, _, text = r[len(prefix) :].partition(b" ")
                return Response(status.decode(), text.decode("utf-8", "replace"), untagged)
            untagged.append(r)

    def command(self, command):
        return self.finish(self.start(command))

    def _expect(self, status, command):
        r = self.command(command)
        if r.status != status:
            raise CommandFailed("%r: %r" % (command, r))
        return r

    def ok(self, command):
        return self._expect("OK", command)

    def no(self, command):
        return self._expect("NO", command)

    def bad(self, command):
        return self._expect("BAD", command)

    # ---- shorthands ----

    def login(self, user, password="secret"):
        self.ok("LOGIN %s %s" % (user, password))
        return self

    def compress(self):
        self.ok("COMPRESS DEFLATE")
        assert self.buffer == b""
        self.sock = Deflated(self.sock)
        return self

    def append(self, mailbox, data, flags=""):
        return self.ok(["APPEND %s (%s) " % (mailbox, flags), data])

    def list(self, reference, pattern, command="LIST"):
        """The names listed, in order."""
        r = self.ok('%s "%s" "%s"' % (command, reference, pattern))
        names = []
        for m in r.find(rb'^\* L(?:IST|SUB) \([^)]*\) (?:"."|NIL) (.*)$'):
            name = m.group(1)
            if name.startswith(b"{"):
                name = name.split(b"\r\n", 1)[1]
            elif name.startswith(b'"'):
                name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
            names.append(name.decode())
        return names

    def select(self, mailbox, command="SELECT"):
        """The number of messages: the last said, for some may arrive meanwhile."""
        return int(self.ok("%s %s" % (command, mailbox)).find(rb"^\* (\d+) EXISTS")[-1].group(1))

    def uids(self, criteria="ALL"):
        r = self.ok("UID SEARCH " + criteria)
        return [int(u) for m in r.find(rb"^\* SEARCH(.*)$") for u in m.group(1).split()]

    def body(self, uid):
        r = self.ok("UID FETCH %d BODY.PEEK[]" % uid)
        whole = [u for u in r.untagged if b"BODY[]" in u][0]
        head, rest = whole.split(b"\r\n", 1)
        return rest[: int(LITERAL.search(head).group(1))]


class Lmtp(smtplib.LMTP):
    """LMTP over TCP or a Unix socket; deliver() gives one reply code per recipient."""

    def __init__(self, host, port=net.LMTP, timeout=120):
        smtplib.SMTP.__init__(self, host="", timeout=timeout)
        if host.startswith("/"):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(host)
            code, text = self.getreply()
        else:
            code, text = smtplib.SMTP.connect(self, host, port)
        assert code == 220, text
        assert self.ehlo("client.example.org")[0] == 250

    def deliver(self, sender, recipients, data):
        """[(code, text)] in the recipients' order; data with CRLF lines, not dot-stuffed."""
        code, text = self.docmd("MAIL FROM:<%s>" % sender)
        if code != 250:
            return [(code, text)] * len(recipients)
        replies = [self.docmd("RCPT TO:<%s>" % r) for r in recipients]
        accepted = [r for r in replies if r[0] == 250]
        if not accepted:
            self.docmd("RSET")
            return replies
        r = self.docmd("DATA")
        assert r[0] == 354, r
        stuffed = re.sub(rb"(?m)^\.", b"..", data)
        self.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        finals = [self.getreply() for _ in accepted]
        return [finals.pop(0) if r[0] == 250 else r for r in replies]


def message(subject="hello", body="text\r\n", sender="sender@example.org", to="user@example.org", headers=""):
    """A small message as bytes, CRLF line ends."""
    from email.utils import formatdate, make_msgid

    text = (
        "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: %s\r\n%s\r\n%s"
        % (sender, to, subject, formatdate(), make_msgid(domain="test.example.org"), headers, body)
    )
    return text.encode()
