"""A certification authority of the test's own, and a server's certificate from it."""

import os
import subprocess


def openssl(directory, *args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=directory)


class Authority:
    """directory/ca.pem is what clients are given to trust."""

    def __init__(self, directory):
        self.dir = directory
        os.makedirs(directory)
        self.ca = os.path.join(directory, "ca.pem")
        openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip

    def certify(self, name, address):
        """imapd.conf's lines for a server of that name and address."""
        cert, key, extensions = (os.path.join(self.dir, "%s.%s" % (name, e)) for e in ("pem", "key", "ext"))
        with open(extensions, "w") as f:
            f.write("subjectAltName = DNS:%s, IP:%s\n" % (name, address))
        openssl(self.dir, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                "-keyout", key, "-out", name + ".csr")  # fmt: skip
        openssl(self.dir, "x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                "-CAcreateserial", "-extfile", extensions, "-out", cert)  # fmt: skip
        return {"tls_server_cert": cert, "tls_server_key": key}
