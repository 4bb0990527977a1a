"""The administrator's tools on servers that run: cyr_expire, unexpunge, reconstruct, quota and their kin."""

import base64
import glob
import json
import os
import random
import re
import shutil
import subprocess
import time

import pytest

from iatlas import Imap, Lmtp, message
from iatlas.node import ADMIN, program

MODES = ("immediate", "delayed")


def login(node, user):
    return Imap(node.address).login(user)


def make_user(node, name):
    node.add_user(name)
    with login(node, ADMIN) as c:
        c.ok("CREATE user/" + name)


def impatient(node):
    """imapd.conf for a tool that takes what was expunged just now: without the time that a session has to hear of it."""
    path = node.path("impatient.conf")
    with open(path, "w") as f:
        for name, value in {**node.conf, "timeout": "0s"}.items():
            if value is not None:
                f.write("%s: %s\n" % (name, value))
    return ("-C", path)


def files(node, pattern="[0-9]*."):
    """The message files of a node's spool."""
    return sorted(glob.glob(os.path.join(node.path("spool"), "**", pattern), recursive=True))


def names(node):
    """Internal names of the mailbox list, and how many records are there."""
    return sorted(json.loads(node.command("ctl_mboxlist", "-d").stdout))


def wait(condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_second():
    """Until the wall clock shows another second."""
    now = int(time.time())
    wait(lambda: int(time.time()) > now)


# ---- cyr_expire ----


@pytest.mark.parametrize("mode", MODES)
def test_expire_expunged(make_server, mode):
    server = make_server(conf={"expunge_mode": mode})
    make_user(server, "anna")
    with login(server, "anna") as c:
        for i in range(4):
            c.append("INBOX", message(subject="number %d" % i), r"\Deleted" if i % 2 else "")
        c.select("INBOX")
        c.ok("EXPUNGE")
        assert len(files(server)) == (2 if mode == "immediate" else 4)
        # a session may not have heard of it: kept whatever is asked
        assert server.command("cyr_expire", "-X", "0").stderr == ""
        assert len(files(server)) == (2 if mode == "immediate" else 4)
        server.command("cyr_expire", *impatient(server), "-X", "1h")
        assert len(files(server)) == (2 if mode == "immediate" else 4)
        wait_second()
        r = server.command("cyr_expire", *impatient(server), "-v", "-u", "anna", "-X", "0")
        assert "user.anna: 2 messages" in r.stderr
        assert len(files(server)) == 2
        assert "removed" not in server.command("cyr_expire", *impatient(server), "-X", "0").stderr
        c.ok("NOOP")
        assert c.uids() == [1, 3]
        assert b"number 2" in c.body(3)
        c.append("INBOX", message())
        assert c.uids() == [1, 3, 5]


def test_expire_by_annotation(make_server):
    """The nearest expire entry counts: the mailbox's, one above it, the server's; 0 is for ever, and so is none."""
    server = make_server(conf={"expire_keep_flagged": "yes"})
    for user in ("anna", "ben"):
        make_user(server, user)
    expire = "(/shared/vendor/cmu/cyrus-imapd/expire %s)"
    old = "Date: Mon, 1 Jun 2020 10:00:00 +0000\r\nSubject: old\r\n\r\n"

    def run(*options):
        r = server.command("cyr_expire", *options)
        left = {}
        for name in mailboxes:
            anna.select(name)
            left[name] = anna.uids()
        return left, r.stderr

    with login(server, "anna") as anna, login(server, "ben") as ben, login(server, ADMIN) as admin:
        mailboxes = ["INBOX", "a", "a/b", "keep", "c"]
        for name in mailboxes:
            if name != "INBOX":
                anna.ok("CREATE " + name)
            anna.append(name, old.encode())
            anna.append(name, message())
        anna.append("a", old.encode(), "\\Flagged")
        ben.append("INBOX", old.encode())
        everything = {name: [1, 2, 3] if name == "a" else [1, 2] for name in mailboxes}
        assert run("-E", "3", "-X", "3")[0] == everything
        anna.ok('SETMETADATA a ' + expire % '"30"')
        anna.ok('SETMETADATA keep ' + expire % '"0"')
        for spared in (("-E", "3", "-a"), ("-D", "0"), ("-t",), ("-E", "3", "-u", "ben")):
            assert run(*spared)[0] == everything
        left, said = run("-v", "-E", "3")
        everything.update({"a": [2, 3], "a/b": [2]})
        assert left == everything
        assert "user.anna.a: 1 messages expired" in said and "user.anna.a.b: 1 messages expired" in said
        # what has been expunged can be had back
        server.command("unexpunge", "-a", "user/anna/a/b")
        anna.select("a/b")
        assert len(anna.uids()) == 2
        anna.ok('SETMETADATA a/b ' + expire % '"20000"')
        everything["a/b"] = anna.uids()
        admin.ok('SETMETADATA "" ' + expire % '"30"')
        everything.update({"INBOX": [2], "c": [2]})
        assert run("-X", "3d")[0] == everything
        assert ben.select("INBOX") == 0


@pytest.mark.parametrize("mode", MODES)
def test_expire_deleted(make_server, mode):
    server = make_server(conf={"delete_mode": mode})
    make_user(server, "anna")
    make_user(server, "ben")
    with login(server, "anna") as c:
        for name in ("Old", "Old/Below", "Kept"):
            c.ok("CREATE " + name)
            c.append(name, message(subject=name))
        c.ok("DELETE Old")
    deleted = [n for n in names(server) if n.startswith("DELETED.")]
    assert len(deleted) == (1 if mode == "delayed" else 0)
    if mode == "delayed":
        assert re.fullmatch(r"DELETED\.user\.anna\.Old\.[0-9A-F]{8,}", deleted[0])
    assert len(files(server)) == (3 if mode == "delayed" else 2)
    for options in (("-D", "1d"), ("-D", "0", "-u", "ben"), ("-E", "0"), ("-X", "0")):
        server.command("cyr_expire", *options)
        assert [n for n in names(server) if n.startswith("DELETED.")] == deleted
    r = server.command("cyr_expire", "-v", "-D", "0", "-u", "anna")
    assert r.stderr.count(": removed") == len(deleted)
    assert names(server) == ["user.anna", "user.anna.Kept", "user.anna.Old.Below", "user.ben"]
    assert len(files(server)) == 2
    assert len(files(server, "index")) == 4


def test_deleted_twice_within_a_second(server):
    make_user(server, "anna")
    texts = [message(subject="generation %d" % i) for i in range(5)]
    with login(server, "anna") as c:
        for text in texts:
            c.ok("CREATE Again")
            c.append("Again", text)
            c.ok("DELETE Again")
    deleted = [n for n in names(server) if n.startswith("DELETED.")]
    assert len(deleted) == 5
    with login(server, ADMIN) as c:
        found = []
        for name in deleted:
            c.ok("SETACL %s %s lr" % (name.replace(".", "/"), ADMIN))
            assert c.select(name.replace(".", "/"), "EXAMINE") == 1
            found.append(c.body(1))
    assert sorted(found) == sorted(texts)
    # stamps run ahead of the clock where they had to be counted up
    wait(lambda: server.command("cyr_expire", "-D", "0").stderr == "" and len(names(server)) == 1)
    assert files(server) == []


def test_expire_murder(murder):
    """The master and the frontends hear of what is removed; with the master away nothing is."""
    murder.add_user("anna", 0)
    with murder.imap("anna") as c:
        for name in ("One", "Two"):
            c.ok("CREATE " + name)
            c.append(name, message())
        c.ok("DELETE One")
    be, fe = murder.be[0], murder.fe[0]
    wait(lambda: len([n for n in names(fe) if n.startswith("DELETED.")]) == 1)
    be.command("cyr_expire", "-E", "1", "-D", "0", "-X", "0")
    assert names(be) == ["user.anna", "user.anna.Two"]
    wait(lambda: names(fe) == names(be))
    assert len(files(be)) == 1
    with murder.imap("anna") as c:
        c.ok("DELETE Two")
    before = names(be)
    murder.m.stop()
    r = be.command("cyr_expire", "-D", "0", "-X", "0", check=False)
    assert r.returncode == 75 and "master is away" in r.stderr
    assert names(be) == before and len(files(be)) == 1
    r = fe.command("cyr_expire", "-D", "0")
    assert "nothing to do" in r.stdout
    murder.m.start()
    wait(lambda: be.command("cyr_expire", "-D", "0", check=False).returncode == 0)
    wait(lambda: names(fe) == names(be) == ["user.anna"])


def test_expire_duplicates(server):
    make_user(server, "anna")
    text = message()
    with Lmtp(server.address) as c:
        assert [code for code, _ in c.deliver("a@b.c", ["anna"], text)] == [250]
        assert [code for code, _ in c.deliver("a@b.c", ["anna"], text)] == [250]
        assert len(files(server)) == 1
        server.command("cyr_expire", "-E", "1h")
        c.deliver("a@b.c", ["anna"], text)
        assert len(files(server)) == 1
        wait_second()
        assert "1 duplicate marks" in server.command("cyr_expire", "-v", "-E", "0").stderr
        c.deliver("a@b.c", ["anna"], text)
        assert len(files(server)) == 2


def test_expire_flags(server):
    make_user(server, "anna")
    with login(server, "anna") as c, login(server, "anna") as other:
        for i in range(3):
            c.append("INBOX", message(), "keyword%d" % i)
        c.select("INBOX")
        other.select("INBOX")
        c.ok("STORE 2 -FLAGS (keyword1)")
        r = server.command("cyr_expire", "-v", "-t")
        assert "user.anna: 0 messages, 1 flags" in r.stderr
        assert "removed" not in server.command("cyr_expire", "-t").stderr
        c.ok("STORE 1 +FLAGS (fresh)")  # takes the free place
        for session in (c, other):
            session.ok("NOOP")
            flags = [m.group(1) for m in session.ok("FETCH 1:3 (FLAGS)").find(rb"FLAGS \(([^)]*)\)")]
            assert [sorted(set(f.split()) - {rb"\Recent"}) for f in flags] == [[b"fresh", b"keyword0"], [], [b"keyword2"]]


@pytest.mark.parametrize("options", [(), ("-X",), ("-X", "3w"), ("-v",), ("-X", "-1"), ("-D", "3d", "more")])
def test_expire_usage(server, options):
    r = server.command("cyr_expire", *options, check=False)
    assert r.returncode == 64 and r.stderr != ""


# ---- unexpunge ----


@pytest.mark.parametrize("mode", MODES)
def test_unexpunge(make_server, mode):
    server = make_server(conf={"expunge_mode": mode})
    make_user(server, "anna")
    texts = [message(subject="number %d" % i, sender="s%d@example.org" % i) for i in range(4)]
    with login(server, "anna") as c:
        for i, text in enumerate(texts):
            c.append("INBOX", text, r"\Flagged keyword%d" % i)
        c.select("INBOX")
        dates = c.ok("FETCH 1:4 (INTERNALDATE)").find(rb'INTERNALDATE "([^"]*)"')
        c.ok(r"STORE 1:3 +FLAGS (\Deleted)")
        c.ok("EXPUNGE")
        listed = server.command("unexpunge", "-l", "user/anna").stdout
        if mode == "immediate":
            assert listed == ""
            assert "restored 0 " in server.command("unexpunge", "-a", "user/anna").stdout
            return
        assert re.findall(r"^UID: (\d+)$", listed, re.M) == ["1", "2", "3"]
        assert "\tSubj: number 1\n" in listed and "\tFrom: s2@example.org\n" in listed
        assert "\tSize: %d\n" % len(texts[0]) in listed
        assert "UID: 2\n" not in server.command("unexpunge", "-l", "user.anna", "1", "3").stdout
        r = server.command("unexpunge", "-u", "-v", "-d", "-f", "back", "user/anna", "2", "4", "99")
        assert r.stdout.splitlines()[1:] == ["Unexpunged user/anna: 2 => 5", "restored 1 expunged messages"]
        c.ok("NOOP")
        assert c.uids() == [4, 5]
        assert c.body(5) == texts[1]
        fetched = c.ok("UID FETCH 5 (FLAGS INTERNALDATE)").one(rb'FLAGS \(([^)]*)\).* INTERNALDATE "([^"]*)"')
        assert set(fetched.group(1).split()) - {rb"\Recent"} == {rb"\Flagged", b"keyword1", b"back"}
        assert fetched.group(2) == dates[1].group(1)
        assert len(files(server)) == 4
        assert "restored 2 " in server.command("unexpunge", "-t", "1h", "-f", r"\Seen", "user/anna").stdout
        assert "restored 0 " in server.command("unexpunge", "-a", "user/anna").stdout
        assert server.command("unexpunge", "-l", "user/anna").stdout == ""
        c.ok("NOOP")
        assert c.uids() == [4, 5, 6, 7] and c.uids("SEEN DELETED") == [6, 7]
        wait_second()
        server.command("cyr_expire", *impatient(server), "-X", "0")
        assert len(files(server)) == 4
        assert [c.body(u) for u in (6, 7)] == [texts[0], texts[2]]
        c.ok("EXPUNGE")
        assert c.uids() == [4, 5]
        wait_second()
        assert "restored 0 " in server.command("unexpunge", "-t", "0", "user/anna").stdout
        server.command("cyr_expire", *impatient(server), "-X", "0")
        assert "restored 0 " in server.command("unexpunge", "-a", "user/anna").stdout
    assert len(files(server)) == 2


def test_unexpunge_on_backend(murder):
    murder.add_user("anna", 1)
    with murder.imap("anna") as c:
        c.append("INBOX", message(subject="lost"), r"\Deleted")
        c.select("INBOX")
        c.ok("EXPUNGE")
        murder.be[1].command("unexpunge", "-a", "-d", "user/anna")
        c.ok("NOOP")
        assert b"lost" in c.body(2)
    assert murder.be[0].command("unexpunge", "-l", "user/anna", check=False).returncode == 66
    assert "nothing to do" in murder.fe[0].command("unexpunge", "-l", "user/anna").stdout


@pytest.mark.parametrize(
    "options", [(), ("-l",), ("-a", "-l", "x"), ("-u", "x"), ("-u", "x", "0"), ("-a", "-f", "a b", "x"), ("-t", "y", "x")]
)
def test_unexpunge_usage(server, options):
    assert server.command("unexpunge", *options, check=False).returncode == 64
    assert server.command("unexpunge", "-a", "user/nobody", check=False).returncode == 66


# ---- reconstruct ----


def filled(server):
    """anna with two mailboxes, some messages, flags, expunged messages of either kind, and quota."""
    make_user(server, "anna")
    with login(server, ADMIN) as c:
        c.ok("SETQUOTA user/anna (STORAGE 10000)")
    with login(server, "anna") as c:
        c.ok("CREATE Sub")
        for name in ("INBOX", "Sub"):
            for i in range(6):
                c.append(name, message(subject="%s %d" % (name, i)), r"\Flagged key%d" % i)
            c.select(name)
            c.ok(r"STORE 2:3 +FLAGS (\Deleted)")
            c.ok("EXPUNGE")
            c.ok(r"STORE 1 +FLAGS.SILENT (\Seen)")
            c.ok("UNSELECT")


def directory(server, name="user/anna"):
    return server.command("mbpath", name).stdout.strip()


def is_sound(server, *more):
    r = server.command("reconstruct", "-q", "-G", *more)
    assert r.stdout == r.stderr == ""


@pytest.mark.parametrize("mode", MODES)
def test_reconstruct_sound(make_server, mode):
    server = make_server(conf={"expunge_mode": mode})
    filled(server)
    before = [open(f, "rb").read() for f in files(server, "index")]
    is_sound(server)
    is_sound(server, "-n")
    is_sound(server, "-r", "user/anna")
    is_sound(server, "-V", "max", "user/%")
    is_sound(server, "-u", "anna")
    assert server.command("reconstruct").stdout == "user/anna\nuser/anna/Sub\n"
    assert server.command("reconstruct", "user/anna").stdout == "user/anna\n"
    assert server.command("reconstruct", "-P", directory(server) + "/").stdout == "user/anna\n"
    assert server.command("reconstruct", "-P", "-r", directory(server)).stdout == "user/anna\nuser/anna/Sub\n"
    assert server.command("reconstruct", "-s", "-r", "user.anna").stdout == "user/anna\nuser/anna/Sub\n"
    assert before == [open(f, "rb").read() for f in files(server, "index")]
    with login(server, "anna") as c:
        server.command("unexpunge", "-a", "user/anna")
        server.command("unexpunge", "-u", "user/anna/Sub", "3")
        is_sound(server, "-n")
        c.ok("DELETE Sub")
        server.command("cyr_expire", *impatient(server), "-X", "0", "-t", "-D", "0")
        is_sound(server, "-n")
    assert server.command("reconstruct", "user/nobody", check=False).returncode == 75
    for path in ("/nowhere", server.path("spool"), "user/anna"):
        assert server.command("reconstruct", "-P", path, check=False).returncode == 75


@pytest.mark.parametrize("option", ["-x", "-P", "-P -u x", "-P -p default x", "-p nowhere", "-V13", "-I", "-O", "-R", "-s -G", "-u", "-y"])
def test_reconstruct_refuses(server, option):
    r = server.command("reconstruct", *option.split(), check=False)
    assert r.returncode == 64 and r.stderr != "" and r.stdout == ""


def lose_message(path):
    os.unlink(os.path.join(path, "4."))


def stray_message(path):
    with open(os.path.join(path, "5."), "rb") as f, open(os.path.join(path, "70."), "wb") as to:
        to.write(f.read().replace(b" 4", b" x"))


def change_message(path):
    with open(os.path.join(path, "6."), "r+b") as f:
        f.seek(10)
        f.write(b"!")


def scribble(offset, size):
    def damage(path):
        with open(os.path.join(path, "index"), "r+b") as f:
            f.seek(offset)
            f.write(b"\xa5" * size)

    return damage


DAMAGES = {
    "message lost": (lose_message, "1 messages without a file", 3, "1 lost"),
    "message without a record": (stray_message, "1 message files without a record", 5, "1 from their files alone"),
    "message changed": (change_message, "1 message files that are not what their record says", 4, "1 from"),
    "record": (scribble(24576 + 3 * 160, 160), "1 damaged records", 4, None),
    "header copy": (scribble(100, 8), "one copy of the index header", 4, None),
    "both headers": (scribble(0, 8192), "no whole header", 4, "new UIDVALIDITY"),
    "no index": (lambda path: os.unlink(os.path.join(path, "index")), "no whole header", 4, "new UIDVALIDITY"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_reconstruct_damaged(make_server, damage):
    server = make_server(conf={"expunge_mode": "immediate"})
    filled(server)
    hurt, said, messages, done = DAMAGES[damage]
    hurt(directory(server))
    server.command("reconstruct", "-q", "-n", "-G", "user/anna/Sub")
    for _ in range(2):
        r = server.command("reconstruct", "-q", "-n", "-G", check=False)
        assert r.returncode == 65 and said in r.stdout and "Sub" not in r.stdout
    r = server.command("reconstruct", "-q", "-G", "user/anna")
    assert said in r.stdout and (done is None or done in r.stdout)
    is_sound(server)
    with login(server, "anna") as c:
        assert c.select("INBOX") == messages
        for uid in c.uids():
            c.body(uid)
        c.append("INBOX", message())
        assert len(c.uids()) == messages + 1
        c.ok("GETQUOTAROOT INBOX").one(rb"QUOTA user/anna \(STORAGE \d+ 10000\)|QUOTA INBOX \(STORAGE \d+ 10000\)")
    is_sound(server)


def test_mbexamine(server):
    """What stands in the index: both copies of the header, flags, records; of a damaged one what is left."""
    filled(server)
    whole = server.command("mbexamine", "user/anna").stdout
    assert len(re.findall("^header [AB]: whole$", whole, re.M)) == 2 and re.search(r"^flag \d+: key0$", whole, re.M)
    header = server.command("mbexamine", "-q", "user.anna").stdout
    assert header in whole and len(header) < len(whole)
    index = os.path.join(directory(server), "index")
    assert server.command("mbexamine", index).stdout.splitlines()[1:] == whole.splitlines()[1:]
    assert len(server.command("mbexamine", "-u", "4", "user/anna").stdout) < len(whole)
    before = open(index, "rb").read()
    DAMAGES["header copy"][0](directory(server))
    r = server.command("mbexamine", "user/anna", check=False)
    assert r.returncode == 1 and len(re.findall("^header [AB]: whole$", r.stdout, re.M)) == 1 and "damaged" in r.stdout
    assert server.command("mbexamine", "user/nobody", check=False).returncode == 1
    assert server.command("mbexamine", check=False).returncode == 64
    with open(index, "wb") as f:
        f.write(before)


def test_reconstruct_no_directory(server):
    filled(server)
    subprocess.run(["rm", "-r", directory(server, "user/anna/Sub")], check=True)
    r = server.command("reconstruct", "-q", check=False)
    assert r.returncode == 75 and "its directory is not there" in r.stdout
    is_sound(server, "user/anna")


# ---- quota ----


def usage(server, *more):
    return json.loads(server.command("quota", "-J", *more).stdout)


def test_quota(server):
    make_user(server, "ben")
    filled(server)
    with login(server, ADMIN) as c:
        c.ok("SETQUOTA user/ben (MESSAGE 10)")
    lines = server.command("quota").stdout.splitlines()
    assert lines[0].split() == ["Quota", "%", "Used", "Used", "Resource", "Root"]
    rows = [line.split() for line in lines[1:]]
    assert ["10", "0", "0", "MESSAGE", "user/ben"] in rows
    size = sum(os.path.getsize(f) for f in files(server) if os.path.basename(f) not in ("2.", "3."))
    assert ["10000", "0", str(size // 1024), "STORAGE", "user/anna"] in rows
    assert ["2", "X-NUM-FOLDERS", "user/anna"] in rows
    found = usage(server)
    assert found["user/anna"]["STORAGE"] == {"used": size, "limit": 10000 * 1024}
    assert found["user/anna"]["MESSAGE"] == {"used": 8}
    assert found["user/ben"]["MESSAGE"] == {"used": 0, "limit": 10}
    assert list(found["user/ben"]) == ["STORAGE", "MESSAGE", "X-ANNOTATION-STORAGE", "X-NUM-FOLDERS"]
    for names_given in (("user/anna",), ("user.anna",), ("-u", "anna")):
        assert list(usage(server, *names_given)) == ["user/anna"]
    assert set(usage(server, "user/anna", "user/ben")) == {"user/anna", "user/ben"}
    assert usage(server, "-d", "example.org") == {} == usage(server, "user/nobody")
    r = server.command("quota", "-f", "-q")
    assert r.stdout == r.stderr == ""
    assert usage(server, "-f") == found
    with login(server, "ben") as c:
        for _ in range(3):
            c.append("INBOX", message())
        assert usage(server, "-f")["user/ben"]["MESSAGE"]["used"] == 3
    assert server.command("quota", "a*", check=False).returncode == 64
    assert server.command("quota", "-z", check=False).returncode == 64


def swap(server, environment, saved):
    """Puts a database of the configuration directory back as it was; its state now goes where that was."""
    path = server.path("config", environment)
    shutil.move(path, path + ".now")
    shutil.move(saved, path)
    shutil.move(path + ".now", saved)


@pytest.mark.parametrize("environment", ["volatile", "mailboxes"])
def test_quota_fix(server, environment):
    """The sums, or the mailbox list, of some time ago: all is counted as it is."""
    filled(server)
    server.stop()
    saved = server.path("saved")
    shutil.copytree(server.path("config", environment), saved)
    server.start()
    with login(server, "anna") as c, login(server, ADMIN) as admin:
        c.append("INBOX", message(body="x" * 20000))
        c.append("Sub", message(body="x" * 20000))
        c.ok("CREATE New")
        c.append("New", message(body="x" * 20000))
        admin.ok("SETQUOTA user/anna/Sub (STORAGE 500)")
        admin.ok("SETQUOTA user/anna (STORAGE 10000 X-NUM-FOLDERS 9)")
    truth = usage(server)
    assert truth["user/anna/Sub"]["STORAGE"]["used"] > 20000
    server.stop()
    swap(server, environment, saved)
    said = server.command("quota", "-f", "-n", "-q").stdout
    assert said != "" and server.command("quota", "-f", "-n", "-q").stdout == said
    assert server.command("quota", "-f", "-q").stdout == said
    if environment == "volatile":
        assert "user/anna/Sub: STORAGE usage was 0, now " in said
        assert usage(server) == truth
    else:
        assert "user/anna/Sub: quota root user.anna.Sub --> user.anna\n" in said
        assert list(usage(server)) == ["user/anna"]
        assert 40000 < usage(server)["user/anna"]["STORAGE"]["used"] < 50000
    assert server.command("quota", "-f", "-q").stdout == ""
    is_sound(server)
    server.start()


# ---- cyr_info, cyr_buildinfo ----


def test_info_proc(server):
    make_user(server, "anna")
    make_user(server, "ben")
    pid = str(server.processes("imapd")[0])
    with login(server, "anna") as c, login(server, "ben") as other:
        c.select("INBOX")
        rows = [line.split(" ") for line in server.command("cyr_info", "proc").stdout.splitlines()]
        assert sorted(r[3] for r in rows) == ["anna", "ben"]
        assert [pid, "imap", "127.0.0.1", "anna", "user.anna"] in rows
        assert [pid, "imap", "127.0.0.1", "ben"] in rows
        c.no("SELECT Nowhere")  # and nothing is selected now
        assert "127.0.0.1 anna\n" in server.command("cyr_info", "proc").stdout
        c.select("INBOX")
        other.start("IDLE")
        assert other.read_response().startswith(b"+")
        c.start("IDLE")
        assert c.read_response().startswith(b"+")
        wait(lambda: "127.0.0.1 anna user.anna IDLE\n" in server.command("cyr_info", "proc").stdout)
        c.send("DONE\r\n")
        wait(lambda: "127.0.0.1 anna user.anna\n" in server.command("cyr_info", "proc").stdout)
        wait(lambda: "127.0.0.1 ben - IDLE\n" in server.command("cyr_info", "proc").stdout)
    wait(lambda: server.command("cyr_info", "proc").stdout == "")
    with login(server, "anna"):
        with open(server.path("config", "proc", "999999999-imap"), "wb") as f:
            f.write(b"imap\t1.2.3.4\tghost\t\t\n".ljust(512, b"\0"))
        assert "ghost" not in server.command("cyr_info", "proc").stdout


def test_info_conf(make_server):
    server = make_server(
        conf={"allowsetacl": "on", "timeout": "45", "imap_timeout": "50m", "nonsense_word": "x y", "expunge_mode": "immediate"}
    )
    conf = dict(line.split(": ", 1) for line in server.command("cyr_info", "conf").stdout.splitlines())
    assert conf["timeout"] == "45" and conf["imap_timeout"] == "50m" and conf["expunge_mode"] == "immediate"
    assert conf["partition-default"] == server.path("spool") and conf["servername"] == server.servername
    assert "allowsetacl" not in conf and "altnamespace" not in conf  # as by default
    everything = dict(line.split(":", 1) for line in server.command("cyr_info", "conf-all").stdout.splitlines())
    assert everything["allowsetacl"] == " on" and everything["altnamespace"] == " yes" and everything["timeout"] == " 45"
    defaults = dict(line.split(":", 1) for line in server.command("cyr_info", "conf-default").stdout.splitlines())
    assert defaults["timeout"] == " 32m" and "partition-default" not in defaults
    assert set(defaults) < set(everything)
    assert server.command("cyr_info", "version").stdout.startswith("iatlas ")
    assert "timeout: 50m" in server.command("cyr_info", "-n", "imap", "conf").stdout.splitlines()
    lint = server.command("cyr_info", "-M", server.path("cyrus.conf"), "conf-lint").stdout
    assert lint == "nonsense_word: x y\n"
    for options in ((), ("nothing",), ("conf", "proc"), ("-z", "conf")):
        assert server.command("cyr_info", *options, check=False).returncode == 64


def test_buildinfo(server):
    info = json.loads(server.command("cyr_buildinfo").stdout)
    assert set(info) == {"component", "dependency", "cyrusdb", "database", "search", "hardware", "version"}
    assert all(isinstance(part, dict) for part in info.values())
    assert info["component"]["murder"] is True and info["cyrusdb"]["lmdb"] is True
    assert re.fullmatch(r"\d+\.\d+.*", info["version"]["iatlas"])


# ---- cyr_deny ----


def goodbye(c):
    """The BYE that ends a session; what comes before it is passed over."""
    while True:
        line = c.read_response()
        if line.startswith(b"* BYE"):
            break
    with pytest.raises((EOFError, ConnectionError)):
        c.read_response()
    return line


def refused(address, user):
    with Imap(address) as c:
        return c.no("LOGIN %s secret" % user).text


def denials(server):
    lines = server.command("cyr_deny", "-l").stdout.splitlines()
    assert lines[0].split() == ["Username", "Service(s)", "Message"]
    return [line.split(None, 2) for line in lines[1:]]


def test_deny(server):
    for user in ("anna", "ben"):
        make_user(server, user)
    with login(server, "anna") as c, login(server, "anna") as idle, login(server, "ben") as other:
        idle.select("INBOX")
        idle.start("IDLE")
        c.ok("NOOP")
        time.sleep(1.1)  # the service has looked
        assert server.command("cyr_deny", "-m", "Gone for good", "anna").stdout == ""
        assert "Gone for good" in refused(server.address, "anna")
        assert b"Gone for good" in goodbye(c) and b"Gone for good" in goodbye(idle)
        other.ok("NOOP")
        assert denials(server) == [["anna", "*", "Gone for good"]]
        server.command("cyr_deny", "-a", "anna")
        assert denials(server) == []
        server.command("cyr_deny", "-a", "anna")
        other.ok("NOOP")
    with login(server, "anna") as c:
        server.command("cyr_deny", "-s", "pop", "anna")
        server.command("cyr_deny", "-s", "sieve", "-m", "a\nb", "anna")
        time.sleep(2.5)
        c.ok("NOOP")
        login(server, "anna").close()
        assert ["anna", "sieve", "a?b"] in denials(server)
        server.command("cyr_deny", "-s", "nntp,lm*,p?p", "anna")
        server.command("cyr_deny", "-s", "pop3,i*p", "anna")
        goodbye(c)
        assert "has been blocked" in refused(server.address, "anna")
        server.command("cyr_deny", "-a", "-s", "pop3,i*p", "anna")
        login(server, "anna").close()
        server.command("cyr_deny", "-a", "anna")
        assert os.listdir(server.path("config", "deny")) == []
    for options in ((), ("-l", "x"), ("a", "b"), ("-s", "a b", "anna")):
        assert server.command("cyr_deny", *options, check=False).returncode == 64
    assert server.command("cyr_deny", "a/b", check=False).returncode == 67


def test_deny_on_frontend(murder):
    murder.add_user("anna", 0)
    with murder.imap("anna") as c:
        c.select("INBOX")
        murder.fe[0].command("cyr_deny", "anna")
        goodbye(c)
    assert "blocked" in refused(murder.fe[0].address, "anna")
    murder.fe[0].command("cyr_deny", "-a", "anna")
    murder.be[0].command("cyr_deny", "anna")
    with murder.imap("anna") as c:
        c.no("SELECT INBOX")


# ---- cyr_dbtool ----


def test_dbtool(server):
    make_user(server, "anna")

    def tool(*argv, table="volatile/state", options=(), status=0, **kw):
        path = server.path("config", table)
        r = server.command("cyr_dbtool", *options, path, "skiplist", *argv, check=False, **kw)
        assert r.returncode == status, r
        return r.stdout

    for table in ("mailboxes", "mailboxes.db", "mailboxes/names"):
        shown = tool("show", table=table, options=("-b", "-R"))
        keys = [base64.b64decode(line.split("\t")[0]) for line in shown.splitlines()]
        assert keys == [b"user\x1fanna"]
    assert tool("consistent", table="mailboxes") == "Yes, consistent\n"
    assert tool("get", base64.b64encode(keys[0]).decode(), table="mailboxes", options=("-b",)) == shown.split("\t")[1]
    tool("set", "some", "thing", options=("-T",))
    tool("set", "some", "thing else")
    assert tool("get", "some") == "thing else\n"
    assert "some\tthing else\n" == tool("show", "so")
    tool("set", "some", "x", options=("-R",), status=75)
    tool("batch", input="BEGIN\nSET\ta b\tc\td\nDELETE\tsome\nABORT\n")
    assert tool("show", "a") == "" and tool("get", "some") == "thing else\n"
    assert tool("batch", input="BEGIN\nSET\ta b\tc\td\nDELETE\tsome\nGET\ta b\nCOMMIT\nGET\tnone\n") == "c\td\n"
    tool("get", "some", status=1)
    tool("delete", "a b")
    tool("delete", "a b", status=1)
    tool("batch", input="FROBNICATE\n", status=65)
    tool("get", "***", options=("-b",), status=65)
    tool("show", table="volatile", status=64)
    tool("show", table="volatile/none", status=64)
    tool("show", table="nothing", status=66)
    tool("get", status=64)
    tool("shine", status=64)
    with login(server, "anna") as c:
        c.append("INBOX", message())


# ---- killed at any moment ----


def test_tools_killed(server):
    """Tools that are killed under traffic leave every mailbox sound, and no message is lost."""
    make_user(server, "anna")
    kinds = (("cyr_expire", "-X", "0", "-D", "0", "-t"), ("unexpunge", "-a", "-d", "user/anna"), ("reconstruct", "-q", "-G"))
    argv = {k: [program(k[0]), *impatient(server), *k[1:]] for k in kinds}
    kept = [message(subject="kept %d" % i) for i in range(20)]
    with login(server, "anna") as c:
        for i, text in enumerate(kept):
            c.append("INBOX", text, "key%d" % i)
        c.select("INBOX")
        for n in range(24):
            c.append("INBOX", message(subject="gone %d" % n), r"\Deleted gone%d" % n)
            c.ok("EXPUNGE")
            c.ok("CREATE Old%d" % n)
            c.append("Old%d" % n, message())
            c.ok("DELETE Old%d" % n)
            with subprocess.Popen(argv[kinds[n % 3]], env=server.environment()) as tool:
                try:
                    tool.wait(random.uniform(0.001, 0.03))
                except subprocess.TimeoutExpired:
                    tool.kill()
        server.command("cyr_expire", "-D", "0")  # what a killed one has begun is ended with the next change
        is_sound(server)
        c.ok("NOOP")
        bodies = [c.body(uid) for uid in c.uids()]
    assert [b for b in bodies if b in kept] == kept
    is_sound(server, "-n")
    wait(lambda: server.command("cyr_expire", "-D", "0").stderr == "" and names(server) == ["user.anna"])


# ---- ipurge, ctl_deliver, and what has nothing to do ----


def dated(days, **kw):
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(time.time() - days * 86400 - 60))
    return re.sub(rb"(?m)^Date: .*\r\n", b"", message(**kw)).replace(b"Subject:", b"Date: %s\r\nSubject:" % date.encode(), 1)


@pytest.mark.parametrize(
    "options, gone",
    [
        (("-d", "3"), [3, 4, 5]),
        (("-d", "5"), [4, 5]),
        (("-d", "5", "-x"), [4]),
        (("-d", "5", "-x", "-i"), [1, 2, 3, 5]),
        (("-d", "2", "-i"), [1]),
        (("-d", "3", "-s"), [4, 5]),
        (("-d", "3", "-o"), [4]),
        (("-X", "-d", "3"), []),
        (("-k", "10"), [2]),
        (("-k", "10", "-d", "8"), [2, 5]),
        (("-b", "100000"), []),
        (("-b", "100000", "-i"), [1, 2, 3, 4, 5]),
        (("-m", "1", "-i", "user/anna"), [1, 2, 3, 4, 5]),
        (("-d", "3", "user/an%"), [3, 4, 5]),
        (("-d", "3", "user/ben"), []),
    ],
)
def test_ipurge(server, options, gone):
    make_user(server, "anna")
    ages = (0, 2, 4, 5, 9)
    with login(server, "anna") as c:
        for i, days in enumerate(ages):
            flags = {2: r"\Flagged", 3: r"\Deleted"}.get(i, "")
            c.append("INBOX", dated(days, subject="n%d" % i, body="x" * 20000 if i == 1 else "x"), flags)
        server.command("ipurge", "-v", *options)  # nobody's but with -f
        c.select("INBOX")
        assert c.uids() == [1, 2, 3, 4, 5]
        said = server.command("ipurge", "-n", "-f", *options).stdout
        assert said == "".join("user/anna: %d\n" % u for u in gone)
        said = server.command("ipurge", "-f", "-v", *options).stdout
        if "user/ben" not in options:
            assert re.search(r"^Deleted messages\s+%d$" % len(gone), said, re.M)
        c.ok("NOOP")
        assert c.uids() == [u for u in range(1, 6) if u not in gone]
    assert "restored %d " % len(gone) in server.command("unexpunge", "-a", "user/anna").stdout


def test_ipurge_names(server):
    make_user(server, "anna")
    with login(server, ADMIN) as c:
        for name in ("shared", "shared/below", "other"):
            c.ok("CREATE " + name)
            c.ok("SETACL %s anna lrsip" % name)
    with login(server, "anna") as c:
        c.ok("CREATE Sub")
        boxes = ("INBOX", "Sub", '"Shared Folders/shared"', '"Shared Folders/shared/below"', '"Shared Folders/other"')
        counts = lambda: [c.select(b) for b in boxes]  # noqa: E731
        for box in boxes:
            c.append(box, dated(5))
        server.command("ipurge", "-d", "3", "-M", "shared")
        assert counts() == [1, 1, 0, 1, 1]
        server.command("ipurge", "-d", "3", "sha*")
        assert counts() == [1, 1, 0, 0, 1]
        server.command("ipurge", "-d", "3")
        assert counts() == [1, 1, 0, 0, 0]
        server.command("ipurge", "-d", "3", "-f", "user/anna", "user/anna/%")
        assert counts() == [0, 0, 0, 0, 0]
    for options in ((), ("-v",), ("-d", "x"), ("-d", "-1"), ("-z", "-d", "1")):
        assert server.command("ipurge", *options, check=False).returncode == 64


def test_ctl_deliver(server):
    make_user(server, "anna")
    with Lmtp(server.address) as c:
        c.deliver("a@b.c", ["anna"], message())
    lines = server.command("ctl_deliver", "-d").stdout.splitlines()
    assert lines[0].startswith("it is NOW: ") and lines[2:] == ["got 1 entries"]
    assert re.fullmatch(r"id: <\S+>\s+to: user\.anna\s+at: \d+", lines[1])
    assert server.command("ctl_deliver", "-E", "3").stdout == ""
    assert "got 1 " in server.command("ctl_deliver", "-d").stdout
    wait_second()
    assert "got 0 " in server.command("ctl_deliver", "-E", "0", "-d").stdout
    for options in ((), ("-E", "x"), ("-d", "x")):
        assert server.command("ctl_deliver", *options, check=False).returncode == 64


def test_nothing_to_do(make_server):
    server = make_server()
    for name in ("tls_prune", "squatter"):
        assert name + ": nothing to do" in server.command(name, "-v", "user").stdout
    server.stop()
    server.daemons["search"] = 'cmd="squatter -R"'
    server.start()
    wait(lambda: server.processes("squatter"))
    (pid,) = server.processes("squatter")
    with login(server, ADMIN) as c:
        c.ok("NOOP")
    assert server.processes("squatter") == [pid]
    server.stop()
    assert server.processes("squatter") == []
