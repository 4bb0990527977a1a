"""A certification authority of the test's own, servers' and clients' certificates from it, good ones and bad ones."""

import os
import subprocess

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(directory, *args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=directory)


class Authority:
    """directory/ca.pem is what clients are given to trust."""

    def __init__(self, directory):
        self.dir = directory
        os.makedirs(directory)
        self.ca = os.path.join(directory, "ca.pem")
        openssl(directory, "req", "-x509", *KEY, "-days", "2", "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.pem")

    def _sign(self, name, extensions, days):
        """(certificate, key) of that common name; days -1: no longer valid."""
        cert, key, file = (os.path.join(self.dir, "%s.%s" % (name, e)) for e in ("pem", "key", "ext"))
        with open(file, "w") as f:
            f.write(extensions + "\n")
        openssl(self.dir, "req", *KEY, "-subj", "/CN=" + name, "-keyout", key, "-out", name + ".csr")
        openssl(self.dir, "x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", str(days),
                "-CAcreateserial", "-extfile", file, "-out", cert)  # fmt: skip
        return cert, key

    def certify(self, name, address, days=2):
        """imapd.conf's lines for a server of that name and address."""
        cert, key = self._sign(name, "subjectAltName = DNS:%s, IP:%s" % (name, address), days)
        return {"tls_server_cert": cert, "tls_server_key": key}

    def client(self, name, days=2):
        """The paths of a client's certificate and key."""
        return self._sign(name, "extendedKeyUsage = clientAuth", days)
