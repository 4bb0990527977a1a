"""metapartition-NAME and metapartition_files: index, cache and annotations on another disk than the messages."""

import glob
import json
import os

import pytest
from iatlas import message
from iatlas.node import ADMIN
from test_tools import directory, is_sound, login, make_user


def conf(workdir):
    return {
        "delete_mode": "immediate",
        "metapartition-default": os.path.join(workdir, "fast"),
        "metapartition_files": "header index cache expunge squat annotations lock dav archivecache",
        "partition-second": os.path.join(workdir, "second"),
        "metapartition-second": os.path.join(workdir, "fast2"),
    }


@pytest.fixture
def server(make_server, workdir):
    server = make_server(conf=conf(workdir))
    server.fast, server.second, server.fast2 = (os.path.join(workdir, d) for d in ("fast", "second", "fast2"))
    return server


def below(root):
    """The names of the files below a directory, those of mailboxes alone."""
    return sorted(os.path.basename(f) for f in glob.glob(root + "/??/??/*/*"))


def fill(server):
    make_user(server, "anna")
    with login(server, "anna") as c:
        for i in range(3):
            c.append("INBOX", message(subject="number %d" % i), r"\Flagged kw%d" % i)
        c.select("INBOX")
        c.ok('STORE 2 ANNOTATION (/comment (value.shared "hers"))')


def picture(server):
    with login(server, "anna") as c:
        r = c.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)").untagged
        c.select("INBOX")
        return r + c.ok("UID FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE ANNOTATION (/comment value.shared) MODSEQ)").untagged


METADATA = ["annotations.1", "cache.1", "index"]
MESSAGES = ["1.", "2.", "3."]


def test_life(server):
    fill(server)
    place = directory(server)
    meta = place.replace(server.path("spool"), server.fast)
    assert below(server.path("spool")) == MESSAGES and below(server.fast) == METADATA
    assert server.command("mbpath", "-M", "user/anna").stdout.strip() == meta
    shown = json.loads(server.command("mbpath", "-j", "user/anna").stdout)
    assert (shown["data"], shown["meta"]) == (place, meta)
    assert server.command("mbpath", "-p", meta).stdout.strip() == place
    assert server.command("mbexamine", "-q", "user/anna").stdout.startswith(meta)
    is_sound(server)
    assert server.command("ctl_mboxlist", "-v").stdout == ""
    with login(server, "anna") as c, login(server, "anna") as other:
        other.select("INBOX")
        tag = other.start("IDLE")
        assert other.read_line().startswith(b"+")
        c.append("INBOX", message(subject="new"))
        while other.read_response() != b"* 4 EXISTS":
            pass
        other.send("DONE\r\n")
        assert other.finish(tag).status == "OK"
        c.ok("CREATE Copy")
        c.select("INBOX")
        c.ok("COPY 1:3 Copy")
        c.ok(r"STORE 4 +FLAGS (\Deleted)")
        c.ok("EXPUNGE")
    before = picture(server)
    with login(server, ADMIN) as c:
        c.ok("RENAME user/anna user/anna second")
    assert picture(server) == before
    assert below(server.path("spool")) == below(server.fast) == []
    assert below(server.fast2).count("index") == 2
    is_sound(server)
    with login(server, ADMIN) as c:
        c.ok("SETACL user/anna %s x" % ADMIN)
        c.ok("DELETE user/anna")
    assert glob.glob(server.second + "/??/??/*") == glob.glob(server.fast2 + "/??/??/*") == []


def test_option_comes_and_goes(make_server, workdir):
    """A mailbox goes on where it is, and reconstruct moves it, while it is selected."""
    server = make_server()
    fast = os.path.join(workdir, "fast")
    fill(server)
    before = picture(server)
    options = conf(workdir)
    for files_named in (options["metapartition_files"], None):
        server.stop()
        server.conf.update({"metapartition-default": fast, "metapartition_files": files_named})
        server.start()
        assert picture(server) == before
        with login(server, "anna") as c:
            c.select("INBOX")
            assert "metapartition_files" in server.command("reconstruct", "-n", check=False).stdout
            assert "metapartition_files" in server.command("reconstruct", check=False).stdout
            is_sound(server)
            assert len(c.ok("FETCH 1:* (FLAGS ENVELOPE)").untagged) == 3
            c.append("INBOX", message(subject="more"))
            c.ok("NOOP")
            assert len(c.ok("FETCH 4 (UID)").untagged) == 1
            c.ok(r"STORE 4 +FLAGS (\Deleted)")
            c.ok("EXPUNGE")
        beside, apart = below(server.path("spool")), below(fast)
        if files_named:
            assert "index" not in beside and "index" in apart
        else:
            assert "index" in beside and apart == []
        assert server.command("ctl_mboxlist", "-v").stdout == ""
        before = picture(server)
    server.stop()
    del server.conf["metapartition-default"]
    server.start()
    assert picture(server) == before
