"""The servers that the benchmarks are compared with, run from where their packages were unpacked, and what the
benchmarks do to any server by IMAP."""

import glob
import imaplib
import os
import pwd
import signal
import subprocess
import time

MESSAGE = b"From: a@example.org\r\nSubject: benchmark %d\r\nMessage-ID: <%d@bench>\r\n\r\n" + b"A line of text.\r\n" * 100


def certificate(directory):
    """A certificate of our own; the options of imapd.conf that name it."""
    os.makedirs(directory, exist_ok=True)
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench"]
        + ["-keyout", key, "-out", cert],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return {"tls_server_cert": cert, "tls_server_key": key}


def create_inboxes(address, admin, password, users, separator="/"):
    with imaplib.IMAP4(*address) as imap:
        imap.login(admin, password)
        for user in users:
            imap.create("user%s%s" % (separator, user))


def fill_inbox(address, user, password, count):
    with imaplib.IMAP4(*address) as imap:
        imap.login(user, password)
        for i in range(count):
            typ, data = imap.append("INBOX", None, None, MESSAGE % (i, i))
            assert typ == "OK", data


def wait_for(address, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        try:
            imaplib.IMAP4(*address).logout()
            return
        except (OSError, imaplib.IMAP4.error):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def processes(programs):
    """The pids of running programs, by their paths."""
    found = []
    for exe in glob.glob("/proc/[0-9]*/exe"):
        try:
            if os.readlink(exe) in programs:
                found.append(int(exe.split("/")[2]))
        except OSError:
            continue
    return found


def start_over_usr(prefix, argv):
    """Runs a program that finds its packages below /usr: in a mount namespace of its own, as root."""
    script = 'mount -t overlay -o "lowerdir=$0/usr:/usr" overlay /usr && exec "$@"'
    return subprocess.Popen(["unshare", "-m", "sh", "-c", script, os.path.abspath(prefix), *argv])


class Dovecot:
    """Debian's dovecot-core, dovecot-imapd and dovecot-lmtpd (2.3)."""

    name = "dovecot"
    CONF = """
base_dir = %(dir)s/run
state_dir = %(dir)s/run
protocols = imap lmtp
listen = %(address)s
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
default_process_limit = 100
default_client_limit = 14000
log_path = %(dir)s/log
mail_location = maildir:~/Maildir
disable_plaintext_auth = no
auth_mechanisms = plain login
ssl = yes
ssl_cert = <%(tls_server_cert)s
ssl_key = <%(tls_server_key)s
mail_max_userip_connections = 0
service auth {
  unix_listener auth-userdb {
  }
}
service imap-login {
  inet_listener imap {
    port = 2143
  }
  inet_listener imaps {
    port = 2993
  }
  service_count = 0
  process_min_avail = 2
  client_limit = 12000
  process_limit = 4
}
service imap {
  process_limit = 12000
}
service lmtp {
  inet_listener lmtp {
    port = 2003
  }
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=%(dir)s/mail/%%n
}
"""

    def __init__(self, directory, network, prefix):
        self.dir, self.prefix, self.address = directory, prefix, network.address()
        self.user, self.domain = "user%d", ""
        self.imap, self.imaps, self.lmtp = ((self.address, p) for p in (2143, 2993, 2003))
        self.process = None

    def start(self):
        values = certificate(self.dir)
        values.update(dir=self.dir, address=self.address)
        os.makedirs(self.dir + "/mail")
        nobody = pwd.getpwnam("nobody")
        os.chown(self.dir + "/mail", nobody.pw_uid, nobody.pw_gid)
        with open(self.dir + "/dovecot.conf", "w") as f:
            f.write(self.CONF % values)
        self.process = start_over_usr(self.prefix, ["/usr/sbin/dovecot", "-F", "-c", self.dir + "/dovecot.conf"])
        wait_for(self.imap)

    def processes(self):
        return processes(("/usr/lib/dovecot/imap", "/usr/lib/dovecot/imap-login"))

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()


class Cyrus:
    """Debian's cyrus-imapd and cyrus-common (3.6), run as nobody."""

    name = "cyrus"
    BIN = "/usr/lib/cyrus/bin/"

    def __init__(self, directory, network, prefix):
        self.dir, self.prefix, self.address = directory, prefix, network.address()
        self.user, self.domain = "user%d", ""
        self.imap, self.imaps, self.lmtp = ((self.address, p) for p in (2143, 2993, 2003))
        self.process = None

    def write_configuration(self, users):
        conf = certificate(self.dir)
        conf.update(
            {
                "configdirectory": self.dir + "/config",
                "partition-default": self.dir + "/spool",
                "defaultpartition": "default",
                "servername": "bench",
                "admins": "cyrus",
                "allowplaintext": "yes",
                "sasl_pwcheck_method": "auxprop",
                "sasl_auxprop_plugin": "sasldb",
                "sasl_sasldb_path": self.dir + "/sasldb2",
                "sasl_mech_list": "PLAIN LOGIN",
                "cyrus_user": "nobody",
            }
        )
        service = '  %s cmd="' + self.BIN + "%s -C " + self.dir + '/imapd.conf" listen="%s:%d" proto="tcp4" prefork=1\n'
        with open(self.dir + "/imapd.conf", "w") as f:
            f.writelines("%s: %s\n" % kv for kv in conf.items())
        with open(self.dir + "/cyrus.conf", "w") as f:
            f.write('START {\n  recover cmd="%sctl_cyrusdb -C %s/imapd.conf -r"\n}\nSERVICES {\n' % (self.BIN, self.dir))
            f.write(service % ("imap", "imapd", *self.imap))
            f.write(service % ("imaps", "imapd -s", *self.imaps))
            f.write(service % ("lmtp", "lmtpd -a", *self.lmtp))
            f.write("}\nEVENTS {\n}\n")
        for user in users:
            args = ["/usr/sbin/saslpasswd2", "-p", "-c", "-f", self.dir + "/sasldb2", "-u", "bench", user]
            subprocess.run(args, input=b"secret", check=True)

    def start(self):
        users = [self.user % i for i in range(10)]
        for d in ("config", "config/socket", "config/proc", "config/log", "spool"):
            os.makedirs(os.path.join(self.dir, d))
        self.write_configuration(users + ["cyrus"])
        subprocess.run(["chown", "-R", "nobody", self.dir], check=True)
        args = [self.BIN + "master", "-C", self.dir + "/imapd.conf", "-M", self.dir + "/cyrus.conf"]
        self.process = start_over_usr(self.prefix, args + ["-p", self.dir + "/pid"])
        wait_for(self.imap)
        create_inboxes(self.imap, "cyrus", "secret", users)

    def processes(self):
        return processes((self.BIN + "imapd",))

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
