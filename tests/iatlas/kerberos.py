"""A Kerberos realm of a test's own: KDC on loopback, principals, keytabs, tickets.

The programs are Debian's (krb5-kdc, krb5-user) and so is the mechanism (libsasl2-modules-gssapi-mit), unpacked by
`build-aux/fetch-peers kerberos`, not installed. Nothing of the machine's own configuration is read.
"""

import glob
import os
import socket
import subprocess
import time

from .node import TOP

ROOT = os.path.join(os.environ.get("IATLAS_PEERS", os.path.join(TOP, "build", "peers")), "kerberos")
REALM = "TEST.IATLAS"


def available():
    """None, or why there can be no realm here."""
    return None if os.path.exists(os.path.join(ROOT, "usr/sbin/krb5kdc")) else "build-aux/fetch-peers kerberos was not run"


def libraries(root=ROOT):
    """The folders of what was unpacked beside its programs."""
    return sorted({os.path.dirname(p) for p in glob.glob(root + "/**/*.so*", recursive=True) if "/sasl2/" not in p and "/plugins/" not in p})


def base_environment():
    """What a process needs to load the mechanism."""
    plugins = glob.glob(ROOT + "/usr/lib/*/sasl2") + glob.glob("/usr/lib/*-linux-gnu*/sasl2")
    return {"SASL_PATH": ":".join(plugins), "LD_LIBRARY_PATH": ":".join(libraries())}


class Realm:
    """trusts: another realm, whose principals may come here."""

    def __init__(self, directory, address, name=REALM, trusts=None):
        self.dir, self.address, self.name, self.kdc = directory, address, name, None
        os.makedirs(directory, mode=0o700)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((address, 0))
            self.port = s.getsockname()[1]
        # A client that wants no layer acquires credentials that libgssapiv2 2.1.28 does not release (doc/security.md).
        self._write("lsan", "leak:libgssapi_krb5\n")
        module = glob.glob(ROOT + "/usr/lib/*/krb5/plugins/kdb")[0]
        self._write(
            "krb5.conf",
            "[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n"
            " dns_canonicalize_hostname = false\n udp_preference_limit = 1\n plugin_base_dir = %s\n"
            "[dbmodules]\n db_module_dir = %s\n[realms]\n%s"
            % (name, self.path("noplugins"), module, "".join(r.entry() for r in (self, trusts) if r)),
        )
        self._write(
            "kdc.conf",
            "[kdcdefaults]\n kdc_listen = %s:%d\n kdc_tcp_listen = %s:%d\n"
            "[realms]\n %s = {\n  database_name = %s\n  key_stash_file = %s\n  max_life = 1d\n }\n[logging]\n kdc = FILE:%s\n"
            % (address, self.port, address, self.port, name, self.path("principal"), self.path("stash"), self.path("kdc.log")),
        )
        self.run("kdb5_util", "create", "-s", "-r", name, "-P", "master key")
        for side in (self, trusts) if trusts else ():
            side.run("kadmin.local", "-r", side.name, "-q", "addprinc -pw shared krbtgt/%s@%s" % (name, trusts.name))

    def entry(self):
        return " %s = {\n  kdc = %s:%d\n }\n" % (self.name, self.address, self.port)

    def _write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def environment(self, **more):
        """keytab, client_keytab, cache: file names in the realm's directory."""
        env = dict(base_environment(), KRB5_CONFIG=self.path("krb5.conf"), KRB5_KDC_PROFILE=self.path("kdc.conf"))
        env["KRB5RCACHEDIR"] = self.dir
        env["LSAN_OPTIONS"] = "suppressions=%s:print_suppressions=0" % self.path("lsan")
        env["KRB5CCNAME"] = "FILE:" + self.path(more.get("cache", "no-cache"))
        env["KRB5_KTNAME"] = "FILE:" + self.path(more.get("keytab", "no-keytab"))
        env["KRB5_CLIENT_KTNAME"] = "FILE:" + self.path(more.get("client_keytab", "no-keytab"))
        return env

    def run(self, program, *args, **env):
        where = [p for d in ("usr/sbin", "usr/bin") for p in [os.path.join(ROOT, d, program)] if os.path.exists(p)]
        r = subprocess.run(
            [where[0], *args], env=dict(os.environ, **self.environment(**env)), capture_output=True, text=True, timeout=60
        )
        assert r.returncode == 0, "%s %r: %s%s" % (program, args, r.stdout, r.stderr)
        return r.stdout

    def principal(self, name, keytab=None):
        """A principal with a random key, which goes into the keytab of that name."""
        self.run("kadmin.local", "-r", self.name, "-q", "addprinc -randkey %s" % name)
        if keytab is not None:
            self.run("kadmin.local", "-r", self.name, "-q", "ktadd -k %s %s" % (self.path(keytab), name))

    def ticket(self, name, keytab, cache):
        """keytab: also the path of another realm's."""
        self.run("kinit", "-k", "-t", self.path(keytab), name, cache=cache)

    def start(self):
        env = dict(os.environ, **self.environment())
        argv = [os.path.join(ROOT, "usr/sbin/krb5kdc"), "-n", "-r", self.name, "-P", self.path("kdc.pid")]
        with open(self.path("kdc.out"), "wb") as out:
            self.kdc = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((self.address, self.port), 5).close()
                return self
            except OSError:
                with open(self.path("kdc.out")) as f:
                    assert self.kdc.poll() is None and time.monotonic() < deadline, f.read()
                time.sleep(0.02)

    def stop(self):
        if self.kdc is not None:
            self.kdc.terminate()
            self.kdc.wait()
            self.kdc = None
