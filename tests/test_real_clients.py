"""Mail programs that fetch, read and send: over TLS with our certificate verified, through a frontend and at a standalone
server.  What the server refuses them (any NO or BAD in the user's telemetry) fails the test, unless the test expects it."""

import imaplib
import os
import pty
import re
import select
import ssl
import time

import pytest

from iatlas import message, net
from iatlas.direct import wait_for
from iatlas.node import PASSWORD
from iatlas.site import HOST, MTA_LMTP

pytestmark = pytest.mark.peer

PORTS = pytest.mark.parametrize("tls", ["imaps", "starttls"])
UMLAUT = "&ANw-bung"  # modified UTF-7

# ---- fetchmail ----

FETCHMAIL = """
poll %%(host)s service %s protocol imap
    user %%(user)s password %%(password)s %s sslcertck sslcertfile %%(ca)s
    %s
    mda "cat >>%%(home)s/got"
"""
FETCHMAIL_TLS = {"imaps": ("%(imaps)s", "ssl"), "starttls": ("%(imap)s", 'sslproto "tls1.2+"')}


def got(user):
    """The subjects of what a client has delivered."""
    try:
        with open(user.path("got")) as f:
            return re.findall(r"^Subject: (.*)$", f.read(), re.M)
    except FileNotFoundError:
        return []


@PORTS
def test_fetchmail(user, tls):
    user.fill("INBOX", 5, body=".\r\n..dots\r\n")
    rc = user.config("rc", FETCHMAIL % (*FETCHMAIL_TLS[tls], "keep"))
    user.run("fetchmail", "-f", rc)
    assert got(user) == ["m0", "m1", "m2", "m3", "m4"]
    assert [f for _, f in user.messages("INBOX")] == [{"\\Seen"}] * 5
    user.run("fetchmail", "-f", rc, code=1)  # nothing new
    user.deliver("last")
    user.run("fetchmail", "-f", user.config("rc", FETCHMAIL % (*FETCHMAIL_TLS[tls], "fetchall")))
    assert got(user)[5:] == ["m0", "m1", "m2", "m3", "m4", "last"]
    assert user.subjects("INBOX") == []


def test_fetchmail_idle(user):
    user.fill("INBOX", 1)
    rc = user.config("rc", FETCHMAIL % (*FETCHMAIL_TLS["imaps"], "idle"))
    p = user.desk.popen("fetchmail", "--nodetach", "--nosyslog", "-f", rc)
    try:
        user.wait_said(rb"IDLE\r\n>\d+>\+")
        user.deliver("while idle")
        wait_for(lambda: got(user) == ["m0", "while idle"])
        wait_for(lambda: user.subjects("INBOX") == [])
    finally:
        p.terminate()
        p.wait(30)


# ---- getmail ----

GETMAIL = """
[retriever]
type = SimpleIMAPSSLRetriever
server = %(host)s
port = %(imaps)s
username = %(user)s
password = %(password)s
mailboxes = ("INBOX", "Übung/deep")
ca_certs = %(ca)s
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat >>%(home)s/got; sleep 1")  # it misses the end of a child that is too quick
unixfrom = false
[options]
read_all = false
delivered_to = false
received = false
"""


def getmail_rc(user, delete="false"):
    return user.config("getmailrc", GETMAIL + "delete = %s\n" % delete)


def test_getmail(user):
    with user.imap() as c:
        c.ok("CREATE %s/deep" % UMLAUT)
    user.fill("INBOX", 2, body="x" * 200000 + "\r\n")
    getmail = ("getmail", "-g", user.desk.home, "-r")
    user.run(*getmail, getmail_rc(user))
    assert got(user) == ["m0", "m1"]
    user.fill(UMLAUT + "/deep", 1)
    user.run(*getmail, getmail_rc(user))
    assert got(user) == ["m0", "m1", "m0"]
    rc = getmail_rc(user, delete="true")
    user.run(*getmail, rc)
    user.run(*getmail, rc)
    assert got(user) == ["m0", "m1", "m0"]
    assert user.subjects("INBOX") == [] and user.subjects(UMLAUT + "/deep") == []


def test_getmail_idle(user):
    with user.imap() as c:
        c.ok("CREATE %s/deep" % UMLAUT)
    p = user.desk.popen("getmail", "-g", user.desk.home, "-r", getmail_rc(user), "--idle=INBOX")
    try:
        user.wait_said(rb"IDLE\r\n>\d+>\+")
        user.deliver("while idle")
        wait_for(lambda: got(user) == ["while idle"])
        user.wait_said(rb"(?s)FETCH.*IDLE\r\n>\d+>\+")
    finally:
        p.kill()  # it may go on after SIGTERM
        p.wait()


# ---- curl, openssl, Python ----


@PORTS
def test_curl(user, tls):
    url = {"imaps": "imaps://%s:%d/" % (HOST, net.IMAPS), "starttls": "imap://%s:%d/" % (HOST, net.IMAP)}[tls]
    base = ("curl", "-sS", "--max-time", "60", "--ssl-reqd", "-u", user.name + ":" + PASSWORD)
    user.run(*base, url, code=60)  # not our authority
    curl = (*base, "--cacert", user.ca)
    path = user.desk.write("message", message("by curl", "x" * 300000 + "\r\n"))
    user.run(*curl, url, "-X", "CREATE " + UMLAUT)
    user.run(*curl, url + UMLAUT.replace("&", "%26"), "-T", path)
    assert UMLAUT in user.run(*curl, url)
    assert "* SEARCH 1\r\n" in user.run(*curl, url + UMLAUT, "-X", "SEARCH SUBJECT curl")
    with open(path, newline="") as f:
        assert f.read() == user.run(*curl, url + UMLAUT + ";UID=1")
    assert "x" * 80 in user.run(*curl, url + UMLAUT + ";MAILINDEX=1;SECTION=TEXT")
    assert "MESSAGES 1" in user.run(*curl, url, "-X", "STATUS %s (MESSAGES)" % UMLAUT)
    user.run(*curl, url, "-X", "DELETE " + UMLAUT)


@PORTS
def test_openssl(user, tls):
    connect = ["-starttls", "imap", "-connect", "%s:%d" % (HOST, net.IMAP)] if tls == "starttls" else []
    connect = connect or ["-connect", "%s:%d" % (HOST, net.IMAPS)]
    commands = b"a1 LOGIN %s %s\r\na2 SELECT INBOX\r\na3 LOGOUT\r\n" % (user.name.encode(), PASSWORD.encode())
    out = user.run("openssl", "s_client", "-quiet", "-verify_return_error", "-verify_hostname", HOST, "-CAfile",
                   user.ca, *connect, stdin=None, input=commands)  # fmt: skip
    assert re.search(r"a1 OK.*\n.*a2 OK \[READ-WRITE\].*\* BYE.*a3 OK", out, re.S)


@PORTS
def test_imaplib(user, tls):
    context = ssl.create_default_context(cafile=user.ca)
    if tls == "imaps":
        c = imaplib.IMAP4_SSL(user.site.address, net.IMAPS, ssl_context=context)
    else:
        c = imaplib.IMAP4(user.site.address, net.IMAP)
        with pytest.raises(imaplib.IMAP4.error):
            c.login(user.name, PASSWORD)
        assert "LOGINDISABLED" in c.capabilities
        c.starttls(context)
    assert "LOGINDISABLED" not in c.capabilities and "STARTTLS" not in c.capabilities
    c.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (user.name, PASSWORD)).encode())
    for command in (
        lambda: c.enable("CONDSTORE"),
        lambda: c.create("Work"),
        lambda: c.append("Work", r"(\Flagged)", imaplib.Time2Internaldate(1e9), message("by imaplib")),
        lambda: c.select("Work"),
        lambda: c.uid("COPY", "1", '"Shared Folders/team"'),
        lambda: c.uid("MOVE", "1", "INBOX"),
        lambda: c.getquotaroot("INBOX"),
        lambda: c.setacl("Work", "anyone", "lrs"),
        lambda: c.deleteacl("Work", "anyone"),
        lambda: c.myrights("Work"),
        lambda: c.unselect(),
        lambda: c.rename("Work", "Play"),
        lambda: c.delete("Play"),
    ):
        assert command()[0] == "OK"
    assert c.select("INBOX", readonly=True) == ("OK", [b"1"])
    assert c.fetch("1", "(INTERNALDATE)")[1][0].find(b" 9-Sep-2001 ") > 0
    c.logout()


# ---- LMTP ----


def subjects_of_both(user, other):
    return user.subjects("INBOX"), other.subjects("INBOX")


def test_msmtp(user, make_user):
    other = make_user()
    rc = user.config(
        "msmtprc",
        "account default\nprotocol lmtp\nhost %(host)s\nport " + str(MTA_LMTP) + "\nfrom s@example.org\n"
        "tls on\ntls_starttls on\ntls_trust_file %(ca)s\nauth plain\nuser mta\npassword %(password)s\n",
    )
    body = message("by msmtp", ".\r\n..\r\nlast\r\n")
    user.run("msmtp", "-C", rc, user.name, other.name, stdin=None, input=body)
    for u in (user, other):
        with u.imap() as c:
            assert c.select("INBOX") == 1
            assert c.body(1).endswith(b"\r\n\r\n.\r\n..\r\nlast\r\n")
    out = user.run("msmtp", "-C", rc, user.name, "nobody", code=65, stdin=None, input=body)
    assert "550" in out and user.subjects("INBOX") == ["by msmtp"]


def test_swaks(user, make_user):
    other = make_user()
    out = user.run(
        "swaks", "--protocol", "LMTP", "--server", HOST, "--port", str(MTA_LMTP), "--auth-user", "mta", "--auth-password",
        PASSWORD, "--tls", "--tls-verify", "--tls-ca-path", user.ca, "--pipeline", "--from", "s@example.org", "--to",
        user.name + "," + other.name, "--h-Subject", "by swaks", "--attach", "@" + user.desk.write("attached", "y" * 100000),
    )  # fmt: skip
    assert "TLS started" in out
    assert subjects_of_both(user, other) == (["by swaks"], ["by swaks"])


# ---- mutt ----

MUTT = """
set folder="imaps://%(host)s:%(imaps)s/" spoolfile="=INBOX" imap_user="%(user)s" imap_pass="%(password)s"
set ssl_ca_certificates_file="%(ca)s" ssl_verify_host=yes
set header_cache="%(home)s/cache" message_cachedir="%(home)s/bodies" tmpdir="%(home)s"
set confirmappend=no confirmcreate=no delete=yes move=no mark_old=no quit=yes wait_key=no sort=mailbox-order
set imap_check_subscribed=yes imap_condstore=yes imap_qresync=yes charset=utf-8 realname="Somebody"
"""


def mutt(user, push, timeout=60):
    """Runs it on a terminal of its own, and gives what it showed."""
    rc = user.config("muttrc", MUTT)
    ours, theirs = pty.openpty()
    p = user.desk.popen("mutt", "-n", "-F", rc, "-e", 'push "%s"' % push, stdin=theirs, stdout=theirs, stderr=theirs,
                        start_new_session=True)  # fmt: skip
    os.close(theirs)
    shown, deadline = b"", time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    shown += os.read(ours, 65536)
                except OSError:
                    break
        assert p.wait(10) == 0, shown.decode("utf-8", "replace")
    finally:
        p.kill()
        os.close(ours)
    return shown.decode("utf-8", "replace")


def test_mutt(user):
    with user.imap() as c:
        c.ok("CREATE " + UMLAUT)
    user.fill("INBOX", 6)
    mutt(user, "<tag-pattern>~s m[12]<enter><tag-prefix><copy-message>=Übung<enter>"
               "<untag-pattern>~A<enter><limit>all<enter>"
               "<tag-pattern>~s m3<enter><tag-prefix><flag-message><untag-pattern>~A<enter>"
               "<delete-pattern>~s m4<enter><search>m0<enter><display-message><exit><quit>")  # fmt: skip
    assert user.subjects(UMLAUT) == ["m1", "m2"]
    assert user.messages("INBOX") == [("m0", {"\\Seen"}), ("m1", set()), ("m2", set()), ("m3", {"\\Flagged"}), ("m5", set())]
    user.expected += ['"Neu".*NONEXISTENT', 'COPY 6 "Neu".*TRYCREATE']
    mutt(user, "<search>m5<enter><save-message>=Neu<enter><delete-pattern>~s m1<enter><quit>")
    assert user.subjects("Neu") == ["m5"]
    assert user.subjects("INBOX") == ["m0", "m2", "m3"]
    mutt(user, "<change-folder>=Neu<enter><save-message>=Shared<quote-char><space>Folders/team<enter><quit>")
    assert user.subjects("Neu") == []
    assert "m5" in user.subjects('"Shared Folders/team"')
