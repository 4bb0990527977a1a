"""ctl_mboxlist -m: its three findings under every option, on a backend and a master that disagree; round trips."""

import json
import os
import shutil
import time

import pytest

from iatlas import Imap, message
from iatlas.mupdate import Mupdate
from iatlas.node import ADMIN

ACL = "anna\tlrswipkxtecda\t"


def master(murder):
    return Mupdate(murder.m.address).login()


def backend(murder, user=ADMIN, i=0):
    return Imap(murder.be[i].address).login(user)


@pytest.fixture
def disagreeing(make_murder):
    """The first backend has user.anna and below it `here`, which the master does not have, and `taken`, which is active on the
    second; of `there`, the master says that it is here."""
    murder = make_murder(frontends=0)
    for node in murder.nodes:
        node.add_user("anna")
    with backend(murder) as admin:
        admin.ok("CREATE user/anna")
    with backend(murder, "anna") as c:
        c.ok("CREATE here")
        c.ok("CREATE taken")
        c.append("taken", message(subject="kept"))
    with master(murder) as m:
        m.ok('DELETE "user.anna.here"')
        m.ok('DEACTIVATE "user.anna.taken" "%s!default"' % murder.names[0])
        m.ok('DELETE "user.anna.taken"')
        m.ok('ACTIVATE "user.anna.taken" "%s!default" "%s"' % (murder.names[1], ACL))
        m.ok('ACTIVATE "user.anna.there" "%s!default" "%s"' % (murder.names[0], ACL))
    return murder


def state(murder):
    """(here is at the master, taken is whose, there is at the master, the backend's own names)"""
    with master(murder) as m:
        here, taken, there = (m.find("user.anna." + n) for n in ("here", "taken", "there"))
    with backend(murder) as c:
        own = sorted(c.list("", "*"))
    return here is not None, murder.names.index(taken[1].split("!")[0]), there is not None, own


OWN = ["user/anna", "user/anna/here", "user/anna/taken"]


def push(murder, *options, **kw):
    return murder.be[0].command("ctl_mboxlist", "-m", *options, **kw).stdout


def test_show_changes_nothing(disagreeing):
    before = state(disagreeing)
    assert before == (False, 1, True, OWN)
    shown = push(disagreeing, "-w").splitlines()
    assert sorted(line.split(":")[0] for line in shown) == ["user.anna.here", "user.anna.taken", "user.anna.there"]
    (taken,) = [line for line in shown if "taken" in line]
    assert disagreeing.names[1] in taken
    assert state(disagreeing) == before
    assert sorted(push(disagreeing, "-w").splitlines()) == sorted(shown)


def test_push(disagreeing):
    out = push(disagreeing)
    assert "user.anna.taken" in out and disagreeing.names[1] in out
    assert "user.anna.here" not in out and "user.anna.there" not in out
    here, taken, there, own = state(disagreeing)
    assert (here, taken, there) == (True, 1, False)
    (aside,) = [n for n in own if n.startswith("DELETED/")]
    assert aside.startswith("DELETED/user/anna/taken/")
    assert [n for n in own if n != aside] == ["user/anna", "user/anna/here"]
    with backend(disagreeing) as c:
        c.ok("SETACL %s %s lr" % (aside, ADMIN))
        assert c.select(aside) == 1
        assert b"Subject: kept" in c.body(1)
    # the master knows where it went, and there is nothing more to say
    with master(disagreeing) as m:
        assert m.find(aside.replace("/", "."))[1] == disagreeing.names[0] + "!default"
    assert push(disagreeing) == ""
    assert push(disagreeing, "-w") == ""


def test_push_authoritative(disagreeing):
    """-a never removes what is here; a master that takes no name from its holder says so."""
    push(disagreeing, "-a", check=False)
    assert state(disagreeing) == (True, 1, False, OWN)


def test_push_authoritative_where_the_master_accepts(disagreeing):
    m = disagreeing.m
    m.stop()
    m.conf["mupdate_conflict"] = "accept"
    m.start()
    deadline = time.monotonic() + 20
    while state(disagreeing)[1] != 0:
        push(disagreeing, "-a", check=False)
        assert time.monotonic() < deadline
    assert state(disagreeing) == (True, 0, False, OWN)


def test_push_asks(disagreeing):
    out = push(disagreeing, "-i", input="n\nn\nn\n")
    assert out.count("[y/N]") == 3
    assert state(disagreeing) == (False, 1, True, OWN)
    assert push(disagreeing, "-i", input="").count("[y/N]") == 3  # no answer is no
    assert state(disagreeing) == (False, 1, True, OWN)
    push(disagreeing, "-i", input="y\ny\ny\n")
    here, taken, there, own = state(disagreeing)
    assert (here, taken, there) == (True, 1, False) and "user/anna/taken" not in own


def test_dump_and_undump(server):
    server.add_user("anna")
    with Imap(server.address).login(ADMIN) as c:
        for name in ("user/anna", "user/anna/Sent", '"user/anna/with blank &AOQ-"', "shared/a.b"):
            c.ok("CREATE " + name)
        c.ok("SETACL user/anna/Sent ben lrs")
        c.ok("SETACL shared/a.b anyone p")
    first = server.command("ctl_mboxlist", "-d").stdout
    records = json.loads(first)
    assert sorted(records) == ["shared.a^b", "user.anna", "user.anna.Sent", "user.anna.with blank &AOQ-"]
    assert records["user.anna.Sent"]["acl"]["ben"] == "lrs"
    keys = {"name", "mtime", "uidvalidity", "createdmodseq", "foldermodseq", "mbtype", "partition", "acl"}
    assert keys | {"uniqueid", "name_history"} <= set(records["user.anna"])
    server.stop()
    with open(server.path("dump"), "w") as f:
        f.write(first)
    shutil.rmtree(server.path("config", "mailboxes"))
    assert json.loads(server.command("ctl_mboxlist", "-d").stdout) == {}
    server.command("ctl_mboxlist", "-u", "-f", server.path("dump"))
    assert server.command("ctl_mboxlist", "-d").stdout == first
    assert server.command("ctl_mboxlist", "-u", input=first).stdout == ""
    assert server.command("ctl_mboxlist", "-d").stdout == first
    server.start()
    with Imap(server.address).login("anna") as c:
        c.ok("SELECT Sent")


@pytest.mark.parametrize("how", [[], ["-7"], ["-j"]])
def test_mbpath(server, how):
    server.add_user("anna")
    with Imap(server.address).login(ADMIN) as c:
        c.ok("CREATE user/anna")
    out = server.command("mbpath", *how, "user/anna").stdout
    path = json.loads(out)["data"] if how == ["-j"] else out.strip()
    assert os.path.exists(os.path.join(path, "index"))
    lost = server.command("mbpath", *how, "user/nobody", check=False)
    assert lost.returncode != 0 and lost.stderr + lost.stdout != ""


def test_ctl_cyrusdb(server):
    for option in ("-r", "-c"):
        r = server.command("ctl_cyrusdb", option)
        assert (r.stdout, r.stderr) == ("", "")
