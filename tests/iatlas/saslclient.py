"""The client's side of SASL for tests, security layers included: libsasl2 by ctypes.

    python3 -m iatlas.saslclient HOST PORT NAME MECH AUTHZID MAXSSF [tls]

authenticates to an IMAP server that Kerberos knows by NAME and then takes commands from standard input, a JSON string
in a line each, and shows the lines of their answers as a JSON list. (A process of its own: the library
reads its mechanisms and Kerberos its configuration from the environment, once.)
"""

import base64
import ctypes
import json
import socket
import ssl
import sys

SASL_OK, SASL_CONTINUE, SASL_INTERACT = 0, 1, 2
SASL_CB_USER, SASL_CB_AUTHNAME, SASL_CB_LIST_END = 0x4001, 0x4002, 0
SASL_SSF, SASL_SSF_EXTERNAL, SASL_SEC_PROPS = 1, 100, 101

GET_SIMPLE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_uint)
)


class Callback(ctypes.Structure):
    _fields_ = [("id", ctypes.c_ulong), ("proc", GET_SIMPLE), ("context", ctypes.c_void_p)]


class Properties(ctypes.Structure):
    _fields_ = [
        ("min_ssf", ctypes.c_uint),
        ("max_ssf", ctypes.c_uint),
        ("maxbufsize", ctypes.c_uint),
        ("security_flags", ctypes.c_uint),
        ("names", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
    ]


class Sasl:
    def __init__(self, service, server, local, peer, authzid, max_ssf, tls):
        self.lib = ctypes.CDLL("libsasl2.so.2")
        self.lib.sasl_errdetail.restype = ctypes.c_char_p
        self.authzid = ctypes.create_string_buffer(authzid.encode())
        get = GET_SIMPLE(self._get)
        self.callbacks = (Callback * 3)((SASL_CB_USER, get, None), (SASL_CB_AUTHNAME, get, None), (SASL_CB_LIST_END, GET_SIMPLE(), None))
        self.conn = ctypes.c_void_p()
        self._check(self.lib.sasl_client_init(None))
        self._check(
            self.lib.sasl_client_new(
                service.encode(), server.encode(), local.encode(), peer.encode(), self.callbacks, 0, ctypes.byref(self.conn)
            )
        )
        if tls:
            external = ctypes.c_uint(128)
            self._check(self.lib.sasl_setprop(self.conn, SASL_SSF_EXTERNAL, ctypes.byref(external)))
        properties = Properties(0, max_ssf, 16384, 0, None, None)
        self._check(self.lib.sasl_setprop(self.conn, SASL_SEC_PROPS, ctypes.byref(properties)))

    def _get(self, context, which, result, length):
        result[0] = ctypes.cast(self.authzid, ctypes.c_char_p) if which == SASL_CB_USER else b""
        return SASL_OK

    def _check(self, r):
        if r not in (SASL_OK, SASL_CONTINUE):
            raise RuntimeError("SASL: %d %s" % (r, self.lib.sasl_errdetail(self.conn) if self.conn else ""))
        return r

    def start(self, mech):
        out, n, chosen = ctypes.POINTER(ctypes.c_char)(), ctypes.c_uint(), ctypes.c_char_p()
        self._check(
            self.lib.sasl_client_start(self.conn, mech.encode(), None, ctypes.byref(out), ctypes.byref(n), ctypes.byref(chosen))
        )
        return out[: n.value] if out else None

    def step(self, challenge):
        out, n = ctypes.POINTER(ctypes.c_char)(), ctypes.c_uint()
        self._check(
            self.lib.sasl_client_step(self.conn, challenge, len(challenge), None, ctypes.byref(out), ctypes.byref(n))
        )
        return out[: n.value] if out else b""

    def ssf(self):
        value = ctypes.POINTER(ctypes.c_uint)()
        self._check(self.lib.sasl_getprop(self.conn, SASL_SSF, ctypes.byref(value)))
        return value[0]

    def _code(self, function, data):
        out, n = ctypes.POINTER(ctypes.c_char)(), ctypes.c_uint()
        self._check(function(self.conn, data, len(data), ctypes.byref(out), ctypes.byref(n)))
        return out[: n.value] if n.value else b""

    def encode(self, data):
        return self._code(self.lib.sasl_encode, data)

    def decode(self, data):
        return self._code(self.lib.sasl_decode, data)


class Client:
    def __init__(self, host, port, name, mech, authzid="", max_ssf=256, tls=False):
        self.sock = socket.create_connection((host, port), 60)
        ends = ["%s;%d" % self.sock.getsockname(), "%s;%d" % self.sock.getpeername()]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
        self.sasl, self.buffer, self.layer = Sasl("imap", name, *ends, authzid, max_ssf, tls), b"", False
        self.greeting = self.line()
        self.answer = self.authenticate(mech)
        self.ssf = self.sasl.ssf() if self.answer.startswith("a OK") else 0
        self.layer = self.ssf > 0

    def fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self.buffer += self.sasl.decode(data) if self.layer else data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode()

    def send(self, data):
        for at in range(0, len(data), 8000):
            part = data[at : at + 8000]
            self.sock.sendall(self.sasl.encode(part) if self.layer else part)

    def authenticate(self, mech):
        initial = self.sasl.start(mech)
        first = "" if initial is None else " " + (base64.b64encode(initial).decode() or "=")
        self.send(("a AUTHENTICATE %s%s\r\n" % (mech, first)).encode())
        while (line := self.line()).startswith("+"):
            self.send(base64.b64encode(self.sasl.step(base64.b64decode(line[2:]))) + b"\r\n")
        return line

    def command(self, text):
        self.send(("b %s\r\n" % text).encode())
        lines = [self.line()]
        while not lines[-1].startswith("b "):
            lines.append(self.line())
        return lines


def main():
    host, port, name, mech, authzid, max_ssf = sys.argv[1:7]
    c = Client(host, int(port), name, mech, authzid, int(max_ssf), sys.argv[7:] == ["tls"])
    print(json.dumps({"greeting": c.greeting, "answer": c.answer, "ssf": c.ssf}), flush=True)
    for line in sys.stdin:
        print(json.dumps(c.command(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
