"""reconstruct -f: mailboxes that are on disk and that the mailbox list does not know."""

import glob
import hashlib
import os
import shutil

import pytest

from iatlas import message
from iatlas.node import ADMIN
from test_tools import directory, files, is_sound, login, make_user, names, wait


@pytest.fixture
def server(make_server):
    return make_server(conf={"allowusermoves": "yes"})


BOBS = '"Other Users/anna/Sub"'  # as bob sees it


def fill(node):
    """Anna's mailboxes, with what must come back; her INBOX was another's first."""
    make_user(node, "old")
    node.add_user("anna", "bob")
    with login(node, ADMIN) as c:
        c.ok("SETQUOTA user/old (STORAGE 10000 MESSAGE 77)")
        c.ok("RENAME user/old user/anna")
        c.ok("CREATE shared")
        c.ok("CREATE shared/closed")
        c.ok("SETACL shared bob lrs")
        c.ok("DELETEACL shared/closed anyone")
    with login(node, "anna") as c:
        c.ok(r"CREATE Sub")
        c.ok(r"CREATE Post (USE (\Sent))")
        c.ok("CREATE Gone")
        c.ok("SETACL Sub bob lrs")
        for name in ("INBOX", "Sub", "Gone"):
            for i in range(4):
                c.append(name, message(subject="%s %d" % (name, i)), r"\Flagged key%d" % i)
        c.select("Sub")
        c.ok(r"STORE 2 +FLAGS (\Deleted)")
        c.ok("EXPUNGE")
        c.ok("DELETE Gone")
    with login(node, "bob") as c:
        c.select(BOBS)
        c.ok(r"STORE 1 +FLAGS (\Seen)")


def picture(node):
    """What users and administrators see."""
    seen = {}
    for user in ("anna", "bob", ADMIN):
        with login(node, user) as c:
            listed = c.ok('LIST "" "*" RETURN (SPECIAL-USE)').untagged
            seen[user] = sorted(bytes(u) if isinstance(u, (bytes, bytearray)) else repr(u) for u in listed)
    with login(node, ADMIN) as c:
        seen["quota"] = repr(c.ok("GETQUOTA user/anna").untagged)
        for name in ("user/anna", "user/anna/Sub", "user/anna/Post", "shared", "shared/closed"):
            seen[name] = repr(c.ok("GETACL " + name).untagged)
    with login(node, "anna") as c:
        for name in ("INBOX", "Sub", "Post"):
            seen[name] = repr(c.ok("STATUS %s (MESSAGES UIDNEXT UIDVALIDITY MAILBOXID)" % name).untagged)
    for user, name in (("anna", "INBOX"), ("anna", "Sub"), ("bob", BOBS)):
        with login(node, user) as c:
            c.ok("EXAMINE " + name)
            seen[user, name] = repr(c.ok("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])").untagged)
    return seen


def drop(node):
    """The mailbox list is lost, and nothing else."""
    node.stop()
    shutil.rmtree(os.path.join(node.conf["configdirectory"], "mailboxes"))


def place_of(node, name, of=None):
    """Where the directory of a mailbox with that id belongs."""
    digest = hashlib.sha1(name.encode()).hexdigest()
    return os.path.join(node.conf["partition-default"], digest[:2], digest[2:4], name)


def test_list_lost(server):
    fill(server)
    before = picture(server)
    deleted = [n for n in names(server) if n.startswith("DELETED")]
    all_names = names(server)
    messages = len(files(server))
    assert len(deleted) == 1
    drop(server)
    r = server.command("reconstruct", "-r", "-f", "-n", check=False)
    assert r.returncode == 65 and r.stdout.count("not in the list") == len(all_names) and names(server) == []
    r = server.command("reconstruct", "-r", "-f")
    assert r.stdout.count("added to the list") == len(all_names) and r.stderr == ""
    assert names(server) == all_names
    is_sound(server)
    is_sound(server, "-f")
    server.start()
    after = picture(server)
    assert before == after
    assert len(files(server)) == messages
    with login(server, "anna") as c:
        c.append("INBOX", message())


def test_user_alone(server):
    fill(server)
    drop(server)
    r = server.command("reconstruct", "-r", "-f", "user.anna.Sub")
    assert names(server) == ["user.anna.Sub"] and r.stdout.count("added") == 1
    r = server.command("reconstruct", "-f", "-q", "-u", "anna")
    assert [n for n in names(server) if not n.startswith("DELETED")] == ["user.anna", "user.anna.Post", "user.anna.Sub"]
    assert len(names(server)) == 4
    r = server.command("reconstruct", "-p", "default", "sha%")
    assert names(server)[1] == "shared" and len(names(server)) == 5
    assert server.command("reconstruct", "-f", "user/nobody", check=False).returncode == 75
    server.start()


def test_name_taken(server):
    """What has the name by now keeps it; nothing is overwritten."""
    fill(server)
    ident = os.path.basename(directory(server, "user/anna/Sub"))
    drop(server)
    server.start()
    with login(server, ADMIN) as c:
        c.ok("CREATE user/anna")
        c.ok("CREATE user/anna/Sub")
    r = server.command("reconstruct", "-f", "user/anna/Sub")
    assert "another mailbox has that name" in r.stdout
    assert "user.anna.Sub.recovered-" + ident in names(server)
    with login(server, "anna") as c:
        assert c.select("Sub") == 0
        assert c.select("Sub/recovered-" + ident) == 3
        assert "10000" not in repr(c.ok("GETQUOTAROOT Sub").untagged)  # a tree that goes on without a root keeps none
    is_sound(server, "-r", "user/anna")


def test_afresh(server):
    fill(server)
    ident, path = os.path.basename(directory(server, "user/anna/Sub")), directory(server, "user/anna/Sub")
    before = picture(server)
    drop(server)
    server.command("reconstruct", "-f", "user/anna/%")
    server.command("reconstruct", "-f", "-x", "user/anna")
    assert "user.anna" in names(server)
    assert os.path.isdir(path) and os.path.basename(directory(server)) != ident
    is_sound(server)
    server.start()
    with login(server, "anna") as c:
        assert c.select("INBOX") == 4
        assert b"INBOX 3" in c.body(c.uids()[3])
        assert b"Flagged" not in repr(c.ok("FETCH 1:4 (FLAGS)").untagged).encode()
        assert repr(c.ok("STATUS INBOX (UIDVALIDITY MAILBOXID)").untagged) != before["INBOX"]


def test_files_alone(server):
    """Directories of message files and nothing else: one that the list knows, one that has no name, one put there."""
    fill(server)
    path = directory(server, "user/anna/Sub")
    for f in glob.glob(os.path.join(path, "[a-z]*")):
        os.unlink(f)
    assert "4 messages" in server.command("reconstruct", "user/anna/Sub").stdout  # the expunged one's file was still there
    drop(server)
    for f in glob.glob(os.path.join(path, "[a-z]*")):
        os.unlink(f)
    put = place_of(server, "restored-from-backup")
    os.makedirs(put)
    for uid in (3, 17):
        with open(os.path.join(put, "%d." % uid), "wb") as f:
            f.write(message(subject="restored %d" % uid))
    r = server.command("reconstruct", "-r", "-f", check=False)
    assert r.returncode == 75 and r.stdout.count("its name is not known") == 2
    assert "user.anna" in names(server) and "user.anna.Sub" not in names(server)
    r = server.command("reconstruct", "-f", "-P", path + "=user/anna/Sub", put + "=user/anna/Back")
    assert {"user.anna.Sub", "user.anna.Back"} <= set(names(server))
    is_sound(server)
    for wrong in ("/nowhere=user/x", path + "/=user/%", server.path("spool") + "=user/x"):
        r = server.command("reconstruct", "-f", "-P", wrong, check=False)
        assert r.returncode == 75, wrong
    server.start()
    with login(server, "anna") as c:
        assert c.select("Sub") == 4 and c.select("Back") == 2 and c.uids() == [3, 17]
        c.append("Back", message())
    with login(server, ADMIN) as c:
        assert "anyone" not in repr(c.ok("GETACL user/anna/Back").untagged)


def test_long_acl(server):
    """What the index cannot hold opens nothing to anybody."""
    make_user(server, "anna")
    with login(server, ADMIN) as c:
        c.ok("CREATE shared")
        for i in range(40):
            server.add_user("reader%d" % i)
            c.ok("SETACL shared reader%d lrs" % i)
            c.ok("SETACL user/anna reader%d lrs" % i)
    drop(server)
    server.command("reconstruct", "-f")
    server.start()
    with login(server, ADMIN) as c:
        shared, own = (repr(c.ok("GETACL " + n).untagged) for n in ("shared", "user/anna"))
    assert "reader" not in shared + own and "anyone" not in shared and "anna lrswipkxtecd" in own
    assert server.log().count("mboxop.acl") == 2


def test_in_murder(murder):
    """What is active on another server by now stays out; the rest is known to the master and the frontends again."""
    be = murder.be[0]
    for name in ("anna", "ben"):
        murder.add_user(name, 0)
        with murder.imap(name) as c:
            c.append("INBOX", message(subject=name))
    drop(be)
    be.start()
    for name in ("anna", "ben"):
        murder.wait_listed("user/" + name, present=False)
    with murder.imap(ADMIN) as c:
        c.ok("CREATE user/ben " + murder.names[1])
    murder.m.stop()
    r = be.command("reconstruct", "-f", check=False)
    assert r.returncode == 75 and "master is away" in r.stderr and names(be) == []
    murder.m.start()
    wait(lambda: "already exists on another server" in be.command("reconstruct", "-f", check=False).stderr)
    assert names(be) == ["user.anna"] and len(files(be)) == 2
    murder.wait_listed("user/anna")
    for name, count in (("anna", 1), ("ben", 0)):
        with murder.imap(name) as c:
            assert c.select("INBOX") == count
    assert names(murder.be[1]) == ["user.ben"]
