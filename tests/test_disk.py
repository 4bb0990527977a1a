"""A partition that is full, read-only, damaged: who needs it is told, nobody else notices, and nothing is lost."""

import glob
import os
import resource
import subprocess
import tempfile

import pytest

from iatlas import Lmtp, message, mounts, net, node
from iatlas.node import ADMIN
from test_tools import directory, is_sound, login, make_user, wait

SMALL = 8 << 20
BIG = "x" * 70 + "\r\n"


class Disk:
    """A file system of its own for the partition `small` of a server."""

    def __init__(self, server):
        self.server, self.path = server, server.path("small")
        os.mkdir(self.path)
        self.holder = subprocess.Popen([*mounts.unshare(), "sleep", "infinity"])
        self.inside = ["nsenter", "-t", str(self.holder.pid), "-m"]
        server.wrap = self.inside
        own = os.stat("/proc/self/ns/mnt").st_ino
        wait(lambda: os.stat("/proc/%d/ns/mnt" % self.holder.pid).st_ino != own)
        wait(lambda: self.run("mount", "-t", "tmpfs", "-o", "size=%d,mode=700" % SMALL, "none", self.path).returncode == 0)

    def run(self, *argv):
        return subprocess.run([*self.inside, *argv], capture_output=True, text=True)

    def fill(self):
        self.run("sh", "-c", "head -c 100m /dev/zero > %s/filler" % self.path)

    def free(self):
        assert self.run("rm", self.path + "/filler").returncode == 0

    def writable(self, yes):
        """Fails as long as something there is open for writing."""
        wait(lambda: self.run("mount", "-o", "remount," + ("rw" if yes else "ro"), self.path).returncode == 0)

    def files(self):
        return self.run("find", self.path, "-name", "[0-9]*.").stdout.split()


@pytest.fixture
def place(workdir, network):
    """A server, and its partition `small` on a disk of its own; anna has Small there."""
    if os.getuid() != 0 or mounts.missing("mount -t tmpfs none /mnt"):
        pytest.skip("needs root and mount namespaces")
    server = node.standalone(os.path.join(workdir, "s"), network.address(), conf={})
    server.conf["partition-small"] = server.path("small")
    disk = Disk(server)
    try:
        server.start()
        make_user(server, "anna")
        with login(server, ADMIN) as c:
            c.ok("CREATE user/anna/Small small")
        with login(server, "anna") as c:
            c.ok("SETACL Small anyone p")
            for i in range(5):
                c.append("Small", message(subject="kept %d" % i, body=BIG * 3000), "key%d" % i)
                c.append("INBOX", message(subject="inbox %d" % i))
        yield server, disk
        server.cleanup()
    finally:
        disk.holder.kill()
        disk.holder.wait()


def refused(c, command, text):
    r = c.no(command)
    assert r.text.startswith("[") and text in r.text, (command, r)


def check_refused(server, text, code):
    """Nothing can be written to Small; all else works.  A message for both mailboxes gets to one, whichever is named first."""
    with login(server, "anna") as c, login(server, ADMIN) as admin:
        refused(c, [b"APPEND Small ", message(subject="lost", body=BIG * 3000)], text)
        c.select("INBOX")
        refused(c, "COPY 1 Small", text)
        refused(c, "MOVE 1 Small", text)
        refused(admin, "CREATE user/anna/More small", text)
        assert c.select("Small") == 5 and c.uids() == [1, 2, 3, 4, 5]
        assert b"kept 4" in c.body(5)
        c.ok("SEARCH BODY xxx")
        c.ok("FETCH 1:5 (ENVELOPE BODYSTRUCTURE)")
        c.append("INBOX", message(subject="more"))
        c.ok("UNSELECT")
    both = ["anna+Small", "anna"]
    with Lmtp(server.address) as lmtp:
        for rcpts in (both, both[::-1], both[:1]):
            data = message(subject="by LMTP", body=BIG * 3000)
            lmtp.docmd("MAIL FROM:<>")
            for rcpt in rcpts:
                assert lmtp.docmd("RCPT TO:<%s>" % rcpt)[0] == 250
            answers = {rcpts[0]: lmtp.docmd("DATA")}
            if len(rcpts) > 1:
                assert answers[rcpts[0]][0] == 354
                lmtp.send(data + b".\r\n")
                answers = {rcpt: lmtp.getreply() for rcpt in rcpts}
                assert answers["anna"][0] == 250
            assert answers["anna+Small"][0] == code[0] and answers["anna+Small"][1].startswith(code[1])
    assert "lmtp.failed mailbox=\"user.anna.Small\"" in server.log() and "lmtp.not_taken" in server.log()


def check_whole(server):
    """As if nothing had been; no UID comes twice."""
    is_sound(server)
    with login(server, "anna") as c:
        assert c.select("Small") == 5 and c.uids() == [1, 2, 3, 4, 5]
        for uid in c.uids():
            assert b"kept %d" % (uid - 1) in c.body(uid)
        c.append("Small", message())
        assert c.uids()[-1] > 5
        c.select("INBOX")
        c.ok("COPY 1 Small")
    is_sound(server)


def test_disk_full(place):
    server, disk = place
    disk.fill()
    check_refused(server, "No space left", (452, b"4.3.1"))
    with login(server, "anna") as c:
        c.select("Small")
        c.ok(r"STORE 1:3 +FLAGS (\Flagged)")  # in its place
        assert b"kept 0" in c.ok("UID FETCH 1 BODY[]").untagged[0]
    path = server.command("mbpath", "user/anna/Small").stdout.strip()
    server.command("reconstruct", "-n", "-G")
    disk.run("dd", "if=/dev/urandom", "of=%s/index" % path, "bs=4096", "count=2", "conv=notrunc")
    with login(server, "anna") as c:
        refused(c, "SELECT Small", "damaged")
        assert c.select("INBOX") >= 5
    r = server.command("reconstruct", "-r", "user/anna", check=False)
    assert r.returncode == 75 and "space" in r.stderr.lower()
    assert len(disk.files()) == 5
    disk.free()
    r = server.command("reconstruct", "-r", "user/anna")
    assert "new UIDVALIDITY" in r.stdout
    check_whole(server)
    assert server.log().count("imap.failed") >= 4 and "no space left on device" in server.log()


def test_disk_read_only(place):
    server, disk = place
    with login(server, ADMIN) as c:
        c.ok("CREATE user/anna/Gone small")
    with login(server, "anna") as c:  # a session that began before
        c.ok("SELECT Small")
        disk.writable(False)
        assert b"kept 4" in c.ok("UID FETCH 5 BODY[]").untagged[0] and "imap.seen" in server.log()
        refused(c, r"STORE 1 +FLAGS (x)", "read-only")
    check_refused(server, "read-only", (451, b"4.3.0"))
    with login(server, "anna") as c:
        r = c.ok("SELECT Small")
        assert r.text.startswith("[READ-ONLY]") and "imap.readonly mailbox=\"user.anna.Small\"" in server.log()
        for command in (r"STORE 1 +FLAGS (\Deleted)", "EXPUNGE", "MOVE 1 INBOX"):
            assert "read-only" in c.no(command).text
        assert b"kept 0" in c.ok("UID FETCH 1 BODY[]").untagged[0]
        c.ok("COPY 1 INBOX")
        c.ok("RENAME Small Other")  # in the list; the rest is done later
        refused(c, "RENAME Other Small", "read-only")
        refused(c, "DELETE Gone", "read-only")
        c.ok("UNSELECT")
    r = server.command("reconstruct", "-r", "user/anna", check=False)
    assert r.stderr == "" or "read-only" in r.stderr.lower()
    disk.writable(True)
    with login(server, "anna") as c:
        c.ok("RENAME Other Small")
        c.ok("DELETE Gone")
        assert c.ok("SELECT Small").text.startswith("[READ-WRITE]")
    check_whole(server)
    assert "read-only file system" in server.log()


def test_too_many_files(place):
    """A process without descriptors says so; with some it goes on, and so does every session."""
    server, _ = place
    with login(server, "anna") as c, login(server, "anna") as other:
        other.select("INBOX")
        assert c.select("Small") == 5
        pids = server.processes("imapd")
        before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
        for pid in pids:
            # those that stay open as long as it lives: no matter which of the others are closed meanwhile
            assert {"0", "1", "2", "3", "4"} <= set(os.listdir("/proc/%d/fd" % pid))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (5, before[pid][1]))
        text = "too many files open"
        refused(c, [b"APPEND Small ", message(subject="lost")], text)
        refused(c, "FETCH 1:2 BODY.PEEK[]", text)
        refused(c, "SEARCH BODY kept", text)
        refused(c, "COPY 1 INBOX", text)
        refused(c, "SELECT INBOX", text)
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before[pid])
        assert c.select("Small") == 5
        c.ok("FETCH 1:2 BODY.PEEK[]")
        other.ok("FETCH 1:5 (FLAGS BODY.PEEK[])")
    check_whole(server)
    assert "too many open files" in server.log()


# ---- damage: what the client, the log, reconstruct and the neighbours say ----


def overwrite(name, offset, size, truncate=None):
    def hurt(path):
        (file,) = glob.glob(os.path.join(path, name))
        if truncate is not None:
            os.truncate(file, truncate)
            return
        with open(file, "r+b") as f:
            f.seek(offset)
            f.write(b"\xa5" * size)

    return hurt


def remove(name):
    return lambda path: [os.unlink(f) for f in glob.glob(os.path.join(path, name))]


#   what is done, the messages that can be read before reconstruct and after it; None: SELECT is refused
HURTS = {
    "index scribbled": (overwrite("index", 0, 8192), None, 5),
    "index cut to nothing": (overwrite("index", 0, 0, truncate=0), None, 5),
    "index cut in its records": (overwrite("index", 0, 0, truncate=24576 + 2 * 160 + 80), (), 5),
    "a record scribbled": (overwrite("index", 24576 + 160, 160), (1, 2, 3, 4, 5), 5),
    "cache scribbled": (overwrite("cache.*", 0, 2000), (1, 2, 3, 4, 5), 5),
    "cache cut": (overwrite("cache.*", 0, 0, truncate=100), (1, 2, 3, 4, 5), 5),
    "cache gone": (remove("cache.*"), (1, 2, 3, 4, 5), 5),
    "message cut": (overwrite("3.", 0, 0, truncate=50), (1, 2, 4, 5), 5),
    "message cut to nothing": (overwrite("3.", 0, 0, truncate=0), (1, 2, 4, 5), 5),
    "message gone": (remove("3."), (1, 2, 4, 5), 4),
}


@pytest.fixture(scope="module")
def hurt_server():
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    server = node.standalone(os.path.join(directory, "s"), network.address(), conf={"expunge_mode": "immediate"})
    server.start()
    yield server
    server.cleanup()
    network.close()
    os.rmdir(directory)


def bodies(c, uids):
    """What can be read of them, one by one: {uid: message}; the rest is refused in words of its own."""
    found = {}
    for uid in uids:
        r = c.command("UID FETCH %d (UID BODY.PEEK[])" % uid)
        if r.status == "OK":
            found[uid] = r.untagged[0]
        else:
            assert r.text.startswith(("[CORRUPTION]", "[EXPUNGEISSUED]")) and r.untagged == []
    return found


@pytest.mark.parametrize("what", HURTS)
def test_damage(hurt_server, what):
    """The client is told, the log too, other mailboxes go on, and reconstruct brings back what can be."""
    hurt, readable, left = HURTS[what]
    server, user = hurt_server, "u%d" % list(HURTS).index(what)
    make_user(server, user)
    everything = range(1, 6)
    with login(server, user) as c:
        c.ok("CREATE Sub")
        for i in everything:
            c.append("INBOX", message(subject="number %d" % i), r"\Flagged key%d" % i)
            c.append("Sub", message(subject="sub %d" % i))
    hurt(directory(server, "user/" + user))
    before = len(server.log())
    with login(server, user) as c:
        if readable is None:
            refused(c, "SELECT INBOX", "damaged")
        else:
            c.select("INBOX")
            found = bodies(c, everything)
            assert set(found) == set(readable)
            assert all(b"number %d" % uid in found[uid] for uid in found)
            c.command("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)")
            c.command("SEARCH BODY text")
        assert c.select("Sub") == 5 and len(bodies(c, everything)) == 5
        c.append("Sub", message())
    said = server.log()[before:]
    if readable is None:
        assert 'imap.failed name="SELECT"' in said
    elif "message cut" in what:
        assert 'imap.message mailbox="user.%s" uid=3' % user in said
    elif what.startswith("index cut"):
        assert "store.recovered" in said and 'imap.failed name="FETCH"' in said
    assert server.command("reconstruct", "-q", "-n", "-G", "user/" + user, check=False).returncode in (0, 65)
    server.command("reconstruct", "-q", "-G", "user/" + user)
    is_sound(server)
    with login(server, user) as c:
        assert c.select("INBOX") == left
        kept = bodies(c, c.uids())
        assert len(kept) == left and sum(b"number" in text for text in kept.values()) >= left - 1
        uid = c.uids()[-1]
        c.append("INBOX", message(subject="after"))
        assert c.uids()[-1] > uid
