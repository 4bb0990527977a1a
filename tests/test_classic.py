"""The configurations of the classic installation guide, as printed: standard ports, /var/imap, /etc/imapd.conf,
no paths in cmd=. Each node has network and mount namespaces of its own; the third is the MUPDATE master."""

import subprocess

import pytest

from iatlas import Imap, Lmtp, message, room

WHY_NOT = room.available()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

# What every server has beside what is printed: where it is, who may log in, and a log that the test can read.
COMMON = """\
configdirectory: /var/imap
partition-default: /var/spool/imap
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_mech_list: PLAIN
allowplaintext: yes
log_target: file:/var/imap/log.txt
db_map_size: 1G
"""

MUPDATE = """\
mupdate_server: mupdate.lab
mupdate_port: 3905
mupdate_username: murder
mupdate_authname: murder
mupdate_password: secret
"""

MASTER = (
    "servername: mupdate.lab\nadmins: cyrus murder\n",
    """
START {
  recover       cmd="ctl_cyrusdb -r"
}
SERVICES {
  mupdate       cmd="mupdate -m" listen=3905 prefork=1
}
""",
)

BACKEND = (
    "servername: %s.lab\nadmins: cyrus\nproxyservers: murder\nlmtp_admins: murder\n" + MUPDATE,
    """
START {
  recover       cmd="ctl_cyrusdb -r"
  mupdatepush   cmd="ctl_mboxlist -m"
}
SERVICES {
  imap          cmd="imapd" listen="imap" prefork=5
  lmtp          cmd="lmtpd" listen="lmtp" prefork=1
}
""",
)

FRONTEND = (
    "servername: fe1.lab\nadmins: cyrus\nproxy_authname: murder\nbe1_password: secret\nbe2_password: secret\n"
    "serverlist: be1.lab be2.lab\ndefaultserver: be1.lab\n"
    "tls_server_cert: /etc/server.pem\ntls_server_key: /etc/server.key\n" + MUPDATE,
    """
START {
  recover       cmd="ctl_cyrusdb -r"
}
SERVICES {
  mupdate       cmd="mupdate" listen=3905 prefork=1
  imap          cmd="proxyd" listen="imap" prefork=5
  imaps         cmd="proxyd -s" listen="imaps" prefork=1
  lmtp          cmd="lmtpproxyd" listen="/var/imap/socket/lmtp" prefork=0
}
""",
)


@pytest.fixture
def classic(workdir):
    """The rooms by name, started, and the hub."""
    rooms = {}
    hub = room.Hub()
    hosts = {name + ".lab": hub.address() for name in ("mupdate", "be1", "be2", "fe1")}
    files = {"mupdate": MASTER, "be1": BACKEND, "be2": BACKEND, "fe1": FRONTEND}
    try:
        for name, (imapd, cyrus) in files.items():
            text = COMMON + (imapd % name if "%s" in imapd else imapd)
            rooms[name] = room.Room(
                workdir + "/" + name, hub, name + ".lab", hosts[name + ".lab"], hosts, text, cyrus
            )
            rooms[name].add_user("cyrus", "murder", "anna", "ben")
        certificate(rooms["fe1"])
        for r in rooms.values():
            r.start()
        yield hub, rooms
    finally:
        for r in reversed(rooms.values()):
            r.cleanup()
        hub.close()


def certificate(r):
    key, cert = r.path("etc", "server.key"), r.path("etc", "server.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=fe1.lab"]
        + ["-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    subprocess.run(["chown", "%d:%d" % r.user, key, cert], check=True)


def test_classic_guide(classic):
    hub, rooms = classic
    fe = rooms["fe1"].address
    text = message("classic", body="through the murder\r\n")
    with hub.inside():
        with Imap(fe, 143).login("cyrus") as admin:
            admin.ok("CREATE user/anna")  # without a place: the defaultserver
            admin.ok("CREATE user/ben be2.lab")
        with Lmtp(rooms["fe1"].path("var", "imap", "socket", "lmtp")) as lmtp:
            replies = lmtp.deliver("s@example.org", ["anna", "ben", "nobody"], text)
            assert [code for code, _ in replies] == [250, 250, 550], replies
        with Imap(fe, 143).login("anna") as c:
            assert c.select("INBOX") == 1
            assert c.body(1).endswith(text)
            c.ok("CREATE Sent")
            c.ok("SELECT Sent")
        with Imap(fe, 993, tls=True).login("ben") as c:
            assert c.select("INBOX") == 1
            assert c.body(1).endswith(text)
        url = ["curl", "-sk", "--user", "ben:secret", "imaps://%s/INBOX;UID=1" % fe]
        assert subprocess.run(url, capture_output=True, check=True).stdout.endswith(text)
        with Imap(rooms["be2"].address, 143).login("ben") as c:
            assert c.select("INBOX") == 1
    for name, server in (("be1", "anna"), ("be2", "ben")):
        assert '"user.%s"' % server in rooms[name].command("ctl_mboxlist", "-d").stdout
    for r in rooms.values():
        assert " error: " not in r.log(), r.log()
