"""Real clients at a standalone imapd: imaplib, curl, mbsync."""

import imaplib
import os
import subprocess

from iatlas.clients import message
from iatlas.node import PASSWORD


def run(*argv):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, "%s\n%s%s" % (" ".join(argv), r.stdout, r.stderr)
    return r.stdout


def test_imaplib(imapd):
    c = imaplib.IMAP4(imapd.address, imapd.port)
    c.authenticate("PLAIN", lambda _: ("\0fred\0" + PASSWORD).encode())
    assert c.create("Work")[0] == "OK"
    assert c.append("Work", r"(\Flagged)", None, message("by imaplib"))[0] == "OK"
    assert c.select("Work") == ("OK", [b"1"])
    assert c.search(None, "FLAGGED") == ("OK", [b"1"])
    assert b"by imaplib" in c.fetch("1", "(RFC822)")[1][0][1]
    assert c.store("1", "+FLAGS", r"\Deleted")[0] == "OK"
    assert c.expunge() == ("OK", [b"1"])
    assert c.namespace()[0] == "OK" and c.getacl("Work")[0] == "OK" and c.getquotaroot("Work")[0] == "OK"
    assert c.subscribe("Work")[0] == "OK" and b"Work" in c.lsub()[1][0]
    assert c.close()[0] == "OK" and c.rename("Work", "Play")[0] == "OK" and c.delete("Play")[0] == "OK"
    assert c.logout()[0] == "BYE"


def test_curl(imapd, workdir):
    path = os.path.join(workdir, "message")
    with open(path, "wb") as f:
        f.write(message("by curl", "x" * 70000 + "\r\n"))
    url = "imap://%s:%d/" % (imapd.address, imapd.port)
    login = ("curl", "-sS", "--max-time", "60", "-u", "fred:" + PASSWORD)
    run(*login, url + "INBOX", "-T", path)
    assert "INBOX" in run(*login, url)
    assert "by curl" in run(*login, url + "INBOX;MAILINDEX=1")
    assert "by curl" in run(*login, url + "INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert "1 EXISTS" in run(*login, "-X", "EXAMINE INBOX", url)


def test_mbsync(imapd, workdir):
    """A mailbox synchronised down, changed on both sides, synchronised again."""
    for i in range(30):
        imapd.imap("fred").append("INBOX", message("number %d" % i), "\\Seen" if i % 3 else "")
    maildir, conf = os.path.join(workdir, "mail"), os.path.join(workdir, "mbsyncrc")
    os.makedirs(maildir)
    with open(conf, "w") as f:
        f.write(
            "IMAPAccount a\nHost %s\nPort %d\nUser fred\nPass %s\nSSLType None\nAuthMechs LOGIN\n\n"
            "IMAPStore far\nAccount a\n\nMaildirStore near\nPath %s/\nInbox %s/INBOX\nSubFolders Verbatim\n\n"
            "Channel c\nFar :far:\nNear :near:\nPatterns * !\"Shared Folders*\"\nCreate Both\nExpunge Both\nSyncState *\n"
            % (imapd.address, imapd.port, PASSWORD, maildir, maildir)
        )
    run("mbsync", "-c", conf, "-a")
    inbox = os.path.join(maildir, "INBOX")
    files = os.listdir(inbox + "/cur") + os.listdir(inbox + "/new")
    assert len(files) == 30
    c = imapd.imap("fred")
    c.select("INBOX")
    c.ok("STORE 1:10 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")
    with open(os.path.join(inbox, "new", "1.local"), "wb") as f:
        f.write(message("from here").replace(b"\r\n", b"\n"))
    run("mbsync", "-c", conf, "-a")
    c.ok("NOOP")
    assert len(c.uids()) == 21
    assert len(os.listdir(inbox + "/cur") + os.listdir(inbox + "/new")) == 21
    assert b"from here" in c.body(c.uids("SUBJECT here")[0])
