"""Real clients through a frontend: curl, mbsync, Python's imaplib, swaks."""

import imaplib
import os
import subprocess

import pytest

from iatlas import message, net
from iatlas.node import ADMIN, PASSWORD


@pytest.fixture
def users(murder):
    murder.add_user("anna", 0)
    murder.add_user("ben", 1)
    with murder.imap(ADMIN) as c:
        c.ok("CREATE team %s" % murder.names[1])
        c.ok("SETACL team anyone lrswipte")
    return murder


def run(*argv, **kw):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=120, **kw)
    assert r.returncode == 0, "%s\n%s%s" % (" ".join(argv), r.stdout, r.stderr)
    return r.stdout


def curl(murder, user, path, *options):
    url = "imap://%s:%d/%s" % (murder.fe[0].address, net.IMAP, path)
    return run("curl", "-sS", "--max-time", "60", "-u", "%s:%s" % (user, PASSWORD), url, *options)


def test_curl(users, workdir):
    path = os.path.join(workdir, "message")
    with open(path, "wb") as f:
        f.write(message(subject="by curl"))
    for user in ("anna", "ben"):
        curl(users, user, "INBOX", "-T", path)
        assert "by curl" in curl(users, user, "INBOX;MAILINDEX=1")
        assert "EXISTS" in curl(users, user, "", "-X", "EXAMINE INBOX")
        assert "INBOX" in curl(users, user, "")


def test_imaplib(users):
    c = imaplib.IMAP4(users.fe[0].address, net.IMAP)
    c.authenticate("PLAIN", lambda _: ("\0anna\0" + PASSWORD).encode())
    assert c.create("Work")[0] == "OK"
    assert c.append("Work", r"(\Flagged)", None, message(subject="by imaplib"))[0] == "OK"
    assert c.select("Work") == ("OK", [b"1"])
    assert c.search(None, "FLAGGED") == ("OK", [b"1"])
    assert c.copy("1", '"Shared Folders/team"')[0] == "OK"
    assert b"by imaplib" in c.fetch("1", "(RFC822)")[1][0][1]
    assert c.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert c.expunge() == ("OK", [b"1"])
    assert c.logout()[0] == "BYE"


def test_swaks(users):
    out = run(
        "swaks", "--protocol", "LMTP", "--server", "%s:%d" % (users.fe[0].address, net.LMTP),
        "--from", "s@example.org", "--to", "anna,ben", "--header", "Subject: by swaks",
    )  # fmt: skip
    assert out.count("250 2.1.5") >= 2
    for user in ("anna", "ben"):
        with users.imap(user) as c:
            assert c.select("INBOX") == 1
            assert b"Subject: by swaks" in c.body(1)


MBSYNC = """
IMAPAccount fe
Host {host}
Port {port}
User anna
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore remote
Account fe

MaildirStore local
Path {dir}/
Inbox {dir}/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns * "Shared Folders/team"
Create Both
Expunge Both
SyncState *
"""


def test_mbsync_both_ways(users, workdir):
    maildir = os.path.join(workdir, "mail")
    os.mkdir(maildir)
    rc = os.path.join(workdir, "mbsyncrc")
    with open(rc, "w") as f:
        f.write(MBSYNC.format(host=users.fe[0].address, port=net.IMAP, password=PASSWORD, dir=maildir))
    with users.imap("anna") as c:
        for i in range(50):
            c.append("INBOX", message(subject="m%d" % i))
        c.append('"Shared Folders/team"', message(subject="for all"))
    run("mbsync", "-c", rc, "-a")
    new = os.listdir(os.path.join(maildir, "INBOX", "new")) + os.listdir(os.path.join(maildir, "INBOX", "cur"))
    assert len(new) == 50
    cur = os.path.join(maildir, "INBOX", "cur")
    with open(os.path.join(cur, "1700000000.x.here:2,F"), "wb") as f:
        f.write(message(subject="from the client").replace(b"\r\n", b"\n"))
    with users.imap("anna") as c:
        c.select("INBOX")
        c.ok(r"STORE 1:10 +FLAGS (\Deleted)")
        c.ok("EXPUNGE")
    run("mbsync", "-c", rc, "-a")
    with users.imap("anna") as c:
        assert c.select("INBOX") == 41
        assert len(c.uids("FLAGGED SUBJECT client")) == 1
    left = sum(len(os.listdir(os.path.join(maildir, "INBOX", d))) for d in ("new", "cur"))
    assert left == 41
