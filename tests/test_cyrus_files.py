"""A site's files: the cyrus.conf and imapd.conf of a whole murder as an administrator of Cyrus 3.6 has them, with either's
programs. The same text serves both, but for the folder that the programs are in; so a site changes one node at a time."""

import pytest

from iatlas import Imap, Lmtp, cyrus, cyrus_room, message, room
from iatlas.cyrus_room import BIN

WHY_NOT = room.available() or cyrus.missing()
pytestmark = [pytest.mark.peer, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

IMAPD = """\
# %(name)s.lab
configdirectory: /var/imap
partition-default: /var/spool/imap
defaultpartition: default
servername: %(name)s.lab
admins: cyrus murder
altnamespace: no
unixhierarchysep: no
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /etc/sasldb2
sasl_mech_list: PLAIN LOGIN
force_sasl_client_mech: PLAIN
hashimapspool: yes
sievedir: /var/imap/sieve
client_bind: yes
popminpoll: 0
expunge_mode: delayed
lmtpsocket: /var/imap/socket/lmtp
idlesocket: /var/imap/socket/idle
syslog_prefix: cyrus
"""

MUPDATE = """\
mupdate_server: mupdate.lab
mupdate_username: murder
mupdate_authname: murder
mupdate_password: secret
proxy_authname: murder
proxy_password: secret
mupdate_retry_delay: 4
"""

BACKEND = IMAPD + MUPDATE + "proxyservers: murder\nlmtp_admins: murder\nallowallsubscribe: yes\nallowusermoves: yes\n"
FRONTEND = IMAPD + MUPDATE + "serverlist: be1.lab be2.lab\ndefaultserver: be1.lab\nallowallsubscribe: yes\n"

CYRUS_MASTER = """\
START {
  # do not delete this entry!
  recover       cmd="%(bin)s/ctl_cyrusdb -C /etc/imapd.conf -r"
}
SERVICES {
  mupdate       cmd="%(bin)s/mupdate -C /etc/imapd.conf -m" listen="mupdate" prefork=1 proto="tcp4"
}
EVENTS {
  checkpoint    cmd="%(bin)s/ctl_cyrusdb -C /etc/imapd.conf -c" period=30
}
"""

CYRUS_BACKEND = """\
START {
  recover       cmd="%(bin)s/ctl_cyrusdb -C /etc/imapd.conf -r"
  # this is necessary if using a murder
  mupdatepush   cmd="%(bin)s/ctl_mboxlist -C /etc/imapd.conf -m"
}
SERVICES {
  imap          cmd="%(bin)s/imapd -C /etc/imapd.conf -U 30" listen="imap" prefork=1 maxchild=100 proto="tcp4"
  lmtp          cmd="%(bin)s/lmtpd -C /etc/imapd.conf" listen="lmtp" prefork=1 maxchild=20 proto="tcp4"
  lmtpunix      cmd="%(bin)s/lmtpd -C /etc/imapd.conf" listen="/var/imap/socket/lmtp" prefork=0 maxchild=20
}
EVENTS {
  checkpoint    cmd="%(bin)s/ctl_cyrusdb -C /etc/imapd.conf -c" period=30
  delprune      cmd="%(bin)s/cyr_expire -C /etc/imapd.conf -E 3 -D 7 -X 7" at=0401
  tlsprune      cmd="%(bin)s/tls_prune -C /etc/imapd.conf" at=0402
}
DAEMON {
  idled         cmd="%(bin)s/idled -C /etc/imapd.conf"
}
"""

CYRUS_FRONTEND = """\
START {
  recover       cmd="%(bin)s/ctl_cyrusdb -C /etc/imapd.conf -r"
}
SERVICES {
  mupdate       cmd="%(bin)s/mupdate -C /etc/imapd.conf" listen="mupdate" prefork=1 proto="tcp4"
  imap          cmd="%(bin)s/imapd -C /etc/imapd.conf -U 30" listen="imap" prefork=1 maxchild=100 proto="tcp4"
  pop3          cmd="%(bin)s/pop3d -C /etc/imapd.conf" listen="pop3" prefork=0 maxchild=20 proto="tcp4"
  lmtp          cmd="%(bin)s/lmtpd -C /etc/imapd.conf -a" listen="lmtp" prefork=0 maxchild=20 proto="tcp4"
}
EVENTS {
  checkpoint    cmd="%(bin)s/ctl_cyrusdb -C /etc/imapd.conf -c" period=30
}
"""

FILES = {
    "mupdate": (IMAPD, CYRUS_MASTER),
    "be1": (BACKEND, CYRUS_BACKEND),
    "be2": (BACKEND, CYRUS_BACKEND),
    "fe1": (FRONTEND, CYRUS_FRONTEND),
}
# What ours alone have besides: a log that the test can read, and less disk.
OURS = "log_target: file:/var/imap/log.txt\ndb_map_size: 1G\n"

MIXTURES = {
    "cyrus": "mupdate be1 be2 fe1",
    "ours": "",
    "frontend-first": "mupdate be1 be2",
    "backend-first": "mupdate be1 fe1",
    "master-first": "be1 be2 fe1",
    "last-backend": "be2",
}


@pytest.fixture(params=MIXTURES.values(), ids=MIXTURES.keys())
def site(workdir, request):
    """The rooms by name, started, and the hub; Cyrus's are those of the parameter."""
    rooms = {}
    hub = room.Hub()
    hosts = {name + ".lab": hub.address() for name in FILES}
    try:
        for name, (imapd, conf) in FILES.items():
            theirs = name in request.param.split()
            kind = cyrus_room.CyrusRoom if theirs else cyrus_room.OwnRoom
            imapd = imapd % {"name": name} + ("" if theirs else OURS)
            host = name + ".lab"
            rooms[name] = kind(workdir + "/" + name, hub, host, hosts[host], hosts, imapd, conf % {"bin": BIN})
            rooms[name].add_user("cyrus", "murder", "anna", "ben")
        for r in rooms.values():
            r.start()
        yield hub, rooms
    finally:
        for r in reversed(rooms.values()):
            r.cleanup()
        hub.close()


def test_the_same_files(site):
    hub, rooms = site
    fe = rooms["fe1"].address
    text = message("files", body="through the murder\r\n")
    with hub.inside():
        with Imap(fe, 143).login("cyrus") as admin:
            admin.ok("CREATE user.anna be1.lab!default")
            admin.ok("CREATE user.ben be2.lab!default")
            admin.ok("SETQUOTA user.anna (STORAGE 1000)")
            admin.ok("SETACL user.ben anna lrswi")
            assert admin.list("", "user.*") == ["user.anna", "user.ben"]
        with Lmtp(fe, 2003) as lmtp:
            replies = lmtp.deliver("s@example.org", ["anna", "ben", "nobody"], text)
            assert [code for code, _ in replies] == [250, 250, 550], replies
        with Imap(fe, 143).login("anna") as c:
            assert c.ok("NAMESPACE").one(rb'^\* NAMESPACE \(\("INBOX\." "\."\)\) \(\("user\." "\."\)\) \(\("" "\."\)\)')
            assert c.select("INBOX") == 1
            assert c.body(1).endswith(text)
            c.ok("CREATE INBOX.Sent")
            c.ok("SUBSCRIBE INBOX.Sent")
            c.ok("COPY 1 INBOX.Sent")
            c.ok("COPY 1 user.ben")
            assert c.list("", "*") == ["INBOX", "INBOX.Sent", "user.ben"]
            assert c.list("", "*", "LSUB") == ["INBOX.Sent"]
            assert c.ok("GETQUOTAROOT INBOX").find(rb"STORAGE \d+ 1000")
            c.ok("RENAME INBOX.Sent INBOX.Kept")
            assert c.select("INBOX.Kept") == 1
            c.ok("UNSELECT")
            c.ok("DELETE INBOX.Kept")
        with Imap(fe, 143).login("ben") as c:
            assert c.select("INBOX") == 2
            assert c.body(2).endswith(text)
        with Imap(rooms["be2"].address, 143).login("ben") as c:
            assert c.select("INBOX") == 2
    for name, r in rooms.items():
        if isinstance(r, cyrus_room.OwnRoom):
            assert " error: " not in r.log(), r.log()
