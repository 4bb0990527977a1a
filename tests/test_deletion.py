"""Deleted mailboxes and expunged messages, on a server and through a murder: nothing is lost before cyr_expire says so."""


import pytest

from iatlas import message
from iatlas.node import ADMIN
from test_tools import files, impatient, login, make_user, names, usage, wait, wait_second


def deleted(node):
    return [n for n in names(node) if n.startswith("DELETED.")]


def external(name):
    return name.replace(".", "/")


@pytest.fixture(params=["server", "murder"])
def place(request, make_server, make_murder):
    """(backend, users' client, administrator's client, settled): a server, or a backend behind a frontend."""
    if request.param == "server":
        server = make_server()
        make_user(server, "anna")
        yield server, lambda: login(server, "anna"), lambda: login(server, ADMIN), lambda: True
        return
    murder = make_murder(backends=2)
    murder.add_user("anna", 1)
    be, fe = murder.be[1], murder.fe[0]

    def settled():
        """The frontend's list, and so the master's, has what the backend has."""
        return names(fe) == names(be)

    yield be, lambda: murder.imap("anna"), lambda: murder.imap(ADMIN), settled


def test_seen_by_administrators_alone(place):
    backend, anna, admin, settled = place
    with anna() as c:
        c.ok("CREATE Old")
        c.append("Old", message(subject="old"))
        c.ok("DELETE Old")
    (name,) = deleted(backend)
    wait(settled)
    with anna() as c:
        assert c.list("", "*") == ["INBOX"] and c.list("", "DELETED*") == []
        assert c.list("", "Other Users/*") == [] and c.list("", "Shared Folders/*") == []
        for there in (external(name), "DELETED/user/anna/Old"):
            c.no("SELECT " + there)
            c.no("STATUS %s (MESSAGES)" % there)
            c.no("DELETE " + there)
    with admin() as c:
        assert c.list("", "DELETED/*") == [external(name)]
        # undelete
        c.ok("RENAME %s user/anna/Old" % external(name))
    wait(settled)
    with anna() as c:
        assert c.select("Old") == 1
        assert b"old" in c.body(1)
        # and what is back can be deleted again
        c.ok("DELETE Old")
    assert len(deleted(backend)) == 1


def test_user_undeleted(place):
    """A user who was deleted with all that is his comes back mailbox by mailbox."""
    backend, anna, admin, settled = place
    with anna() as c:
        for name in ("Sent", "Sent/2026"):
            c.ok("CREATE " + name)
        for name in ("INBOX", "Sent", "Sent/2026"):
            c.append(name, message(subject="in " + name))
    with admin() as c:
        c.ok("SETACL user/anna %s x" % ADMIN)
        c.ok("DELETE user/anna")
    gone = deleted(backend)
    assert len(gone) == 3 and names(backend) == gone
    wait(settled)
    with admin() as c:
        assert sorted(c.list("", "DELETED/*")) == sorted(external(n) for n in gone)
        for name in gone:
            former = external(name)[len("DELETED/") :].rsplit("/", 1)[0]
            c.ok("RENAME %s %s" % (external(name), former))
    wait(settled)
    assert deleted(backend) == [] and len(names(backend)) == 3
    with anna() as c:
        for name in ("INBOX", "Sent", "Sent/2026"):
            assert c.select(name) == 1
            assert b"in " + name.encode() in c.body(1)


def test_twice_within_a_second(place):
    """A mailbox and a whole user: each deletion keeps its own."""
    backend, anna, admin, settled = place
    with anna() as c:
        for i in range(3):
            c.ok("CREATE Again")
            c.append("Again", message(subject="mailbox %d" % i))
            c.ok("DELETE Again")
    assert len(deleted(backend)) == 3
    with admin() as c:
        for i in range(3):
            if i > 0:
                c.ok("CREATE user/anna" + ("" if backend.conf.get("mupdate_server") is None else " " + backend.servername))
            c.ok("SETACL user/anna %s xi" % ADMIN)
            c.append("user/anna", message(subject="user %d" % i))
            c.ok("DELETE user/anna")
    gone = deleted(backend)
    assert len(gone) == 6 == len(set(gone)) and names(backend) == gone
    wait(settled)
    found = set()
    with admin() as c:
        for name in gone:
            c.ok("SETACL %s %s lr" % (external(name), ADMIN))
            assert c.select(external(name), "EXAMINE") == 1
            found.add(c.body(1).split(b"Subject: ")[1].split(b"\r\n")[0])
    assert found == {b"%s %d" % (what, i) for what in (b"mailbox", b"user") for i in range(3)}


def test_expire_killed(place):
    """cyr_expire -D dies in the middle, again and again: what it began is ended, here and at the master."""
    import random
    import subprocess

    from iatlas.node import environment, program

    backend, anna, admin, settled = place
    with anna() as c:
        for i in range(12):
            c.ok("CREATE Old%d" % i)
            c.append("Old%d" % i, message())
            c.ok("DELETE Old%d" % i)
    wait_second()
    rng = random.Random(5)
    argv = [program("cyr_expire"), "-C", backend.path("imapd.conf"), "-D", "0"]
    for _ in range(8):
        with subprocess.Popen(argv, env=environment(IATLAS_TEST=backend.id), stderr=subprocess.DEVNULL) as tool:
            try:
                tool.wait(rng.uniform(0.01, 0.15))
            except subprocess.TimeoutExpired:
                tool.kill()
    wait(lambda: backend.command("cyr_expire", "-D", "0", check=False).returncode == 0 and deleted(backend) == [], 60)
    wait(settled, 60)
    wait(lambda: len(files(backend, "index")) == 1, 60)
    assert files(backend) == []
    assert backend.command("reconstruct", "-q", "-G").stdout == ""


def test_quota_of_what_is_gone(make_server):
    """Expunged and deleted mail counts for nobody; what comes back counts again."""
    server = make_server()
    make_user(server, "anna")
    with login(server, ADMIN) as c:
        c.ok("SETQUOTA user/anna (STORAGE 1000 MESSAGE 5)")
    with login(server, "anna") as c:
        c.ok("CREATE Old")
        for _ in range(2):
            c.append("INBOX", message(), r"\Deleted")
            c.append("Old", message())
        used = lambda: usage(server)["user/anna"]["MESSAGE"]["used"]  # noqa: E731
        assert used() == 4
        c.select("INBOX")
        c.ok("EXPUNGE")
        assert used() == 2
        c.ok("DELETE Old")
        assert used() == 0 == usage(server)["user/anna"]["STORAGE"]["used"]
        assert usage(server)["user/anna"]["X-NUM-FOLDERS"]["used"] == 1
        # an administrator's tool is not held up by a quota
        for _ in range(4):
            c.append("INBOX", message())
        server.command("unexpunge", "-a", "user/anna")
        assert used() == 6
        assert "OVERQUOTA" in c._expect("NO", ["APPEND INBOX () ", message()]).text
    (name,) = deleted(server)
    with login(server, ADMIN) as c:
        c.ok("RENAME %s user/anna/Old" % external(name))
    assert used() == 8 and usage(server)["user/anna"]["X-NUM-FOLDERS"]["used"] == 2
    assert server.command("quota", "-f", "-q").stdout == ""
    wait_second()
    server.command("cyr_expire", *impatient(server), "-X", "0", "-D", "0")
    assert server.command("quota", "-f", "-q").stdout == "" and used() == 8


@pytest.mark.parametrize("mode", ["immediate", "semidelayed", "delayed"])
def test_modes(make_server, mode):
    """expunge_mode by value; deletedprefix; delete_mode: immediate leaves nothing."""
    server = make_server(
        conf={"expunge_mode": mode, "deletedprefix": "TRASHED", "delete_mode": "immediate" if mode == "immediate" else "delayed"}
    )
    make_user(server, "anna")
    with login(server, "anna") as c:
        c.ok("CREATE Old")
        c.append("Old", message())
        c.append("INBOX", message(), r"\Deleted")
        c.select("INBOX")
        c.ok("EXPUNGE")
        c.ok("DELETE Old")
    kept = mode != "immediate"
    assert len(files(server)) == 2 * kept
    assert [n.startswith("TRASHED.user.anna.Old.") for n in names(server) if n != "user.anna"] == [True] * kept
    with login(server, ADMIN) as c:
        assert len(c.list("", "TRASHED/*")) == kept and c.list("", "DELETED/*") == []
    wait_second()
    server.command("cyr_expire", *impatient(server), "-X", "0", "-D", "0")
    assert names(server) == ["user.anna"] and files(server) == []
