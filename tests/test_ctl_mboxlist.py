"""ctl_mboxlist: what it makes of differences between a backend and the master; dump and load."""

import hashlib
import json
import os
import shutil

import pytest

from iatlas.mupdate import Mupdate
from iatlas.node import ADMIN, PASSWORD


@pytest.fixture
def murder(make_murder):
    m = make_murder(backends=1, frontends=1)
    m.add_user("anna")
    with m.imap("anna") as c:
        c.ok("CREATE Sent")
        c.ok("CREATE Drafts")
    return m


def master(murder):
    return Mupdate(murder.m.address).login(ADMIN, PASSWORD)


def push(murder, *args, **kw):
    return murder.be[0].command("ctl_mboxlist", "-m", *args, **kw)


def names(murder):
    return json.loads(murder.be[0].command("ctl_mboxlist", "-d").stdout)


def test_silent_when_there_is_nothing_to_say(murder):
    r = push(murder)
    assert (r.stdout, r.stderr) == ("", "")
    assert murder.be[0].command("ctl_mboxlist", "-v").stdout == ""


def test_verify(murder):
    """Mailboxes without files, and files without a mailbox."""
    be = murder.be[0]
    ids = {name: record["uniqueid"] for name, record in names(murder).items()}
    gone, kept = (be.command("mbpath", "user/anna/" + n).stdout.strip() for n in ("Sent", "Drafts"))
    place = hashlib.sha1(b"0123456789").hexdigest()
    stray = os.path.join(kept.rsplit("/", 3)[0], place[:2], place[2:4], "0123456789")
    shutil.copytree(kept, stray)
    os.makedirs(os.path.join(os.path.dirname(stray), "no id"))
    shutil.rmtree(gone)
    r = be.command("ctl_mboxlist", "-v", check=False)
    assert r.returncode == 65
    told = sorted(r.stdout.splitlines())
    assert told[0] == stray + ": no mailbox of the list"
    assert told[1].startswith("user.anna.Sent: ") and ids["user.anna.Sent"] in told[1]
    assert len(told) == 2
    shutil.rmtree(stray)
    assert be.command("ctl_mboxlist", "-v", check=False).stdout.splitlines() == told[1:]


def test_only_here_and_only_there(murder):
    own = murder.names[0]
    with master(murder) as c:
        before = c.find("user.anna")
        c.ok('DELETE "user.anna"')
        c.ok('ACTIVATE "user.anna.Sent" "%s!default" "anna\tl\t"' % own)
        c.ok('ACTIVATE "user.ghost" "%s!default" "ghost\tl\t"' % own)
        c.ok('RESERVE "user.half" "%s!default"' % own)
        c.ok('ACTIVATE "user.other" "be9.lab!default" ""')
        shown = push(murder, "-w").stdout
        assert sorted(line.split(":")[0] for line in shown.splitlines()) == [
            "user.anna",
            "user.anna.Sent",
            "user.ghost",
            "user.half",
        ]
        assert c.find("user.anna") is None and c.find("user.ghost")  # -w only shows
        push(murder)
        assert c.find("user.anna") == before
        assert c.find("user.anna.Sent")[2] == before[2]
        assert c.find("user.ghost") is None and c.find("user.half") is None
        assert c.find("user.other") == ("MAILBOX", "be9.lab!default", "")
        assert push(murder).stdout == ""


def test_the_frontend_knows_the_ids(murder):
    """What MUPDATE itself does not carry; a master that has lost it is told again."""

    def ids(node):
        with Mupdate(path=node.path("config", "socket", "mupdate.target")) as c:
            c.ok("NOOP")
            return {line[2]: line[5:] for line in c.ok("DETAILS") if line[2].startswith("user.anna")}

    def expected():
        return {n: (r["uniqueid"], "e", "") for n, r in names(murder).items() if n.startswith("user.anna")}

    fe = murder.fe[0]
    assert ids(fe) == expected() and len(expected()) == 3
    with murder.imap("anna") as c:
        c.ok("RENAME Drafts Old")
        assert ids(fe) == expected() and "user.anna.Old" in expected()
    with master(murder) as c:
        c.ok('ACTIVATE "user.anna.Old" "%s" "%s"' % c.find("user.anna.Old")[1:])  # as a Cyrus says it
        assert ids(fe)["user.anna.Old"] == ("", "", "")
    push(murder)
    assert ids(fe) == expected()


def test_active_elsewhere_is_set_aside(murder):
    """The mail is kept, in the DELETED hierarchy; the other server's mailbox is left alone."""
    with murder.imap("anna") as c:
        c.append("Sent", b"Subject: precious\r\n\r\nbody\r\n")
    with master(murder) as c:
        c.ok('DELETE "user.anna.Sent"')
        c.ok('ACTIVATE "user.anna.Sent" "be9.lab!default" "anna\tlrs\t"')
        asked = push(murder, "-i", input="n\n").stdout
        assert "user.anna.Sent" in asked and "user.anna.Sent" in names(murder)
        told = push(murder).stdout
        assert "user.anna.Sent" in told and "be9.lab" in told
        assert c.find("user.anna.Sent") == ("MAILBOX", "be9.lab!default", "anna\tlrs\t")
        here = names(murder)
        aside = [n for n in here if n.startswith("DELETED.user.anna.Sent.")]
        assert "user.anna.Sent" not in here and len(aside) == 1
        assert c.find(aside[0])[1].startswith(murder.names[0])
        assert "user.anna" in here and "user.anna.Drafts" in here
    assert push(murder).stdout == ""


def test_authoritative_never_removes(murder):
    with master(murder) as c:
        c.ok('DELETE "user.anna.Sent"')
        c.ok('ACTIVATE "user.anna.Sent" "be9.lab!default" ""')
        push(murder, "-a", check=False)
        assert "user.anna.Sent" in names(murder)
        assert c.find("user.anna.Sent")[1] == "be9.lab!default"  # the master refuses: mupdate_conflict


def test_master_away(murder):
    murder.m.stop()
    r = push(murder)
    assert r.returncode == 0 and "ctl_mboxlist.away" in murder.be[0].log()


def test_dump_and_load(murder):
    node = murder.be[0]
    text = node.command("ctl_mboxlist", "-d").stdout
    dump = json.loads(text)
    assert set(dump) == {"user.anna", "user.anna.Sent", "user.anna.Drafts"}
    entry = dump["user.anna"]
    assert entry["name"] == "user.anna" and entry["partition"] == "default" and entry["mbtype"] == "e"
    assert entry["acl"]["anna"].startswith("lrsw") and entry["uniqueid"] and entry["name_history"] == []
    assert "server" not in entry and int(entry["uidvalidity"]) > 0
    node.command("ctl_mboxlist", "-u", input=text)
    assert node.command("ctl_mboxlist", "-d").stdout == text
    murder.wait_listed("user/anna")
    remote = json.loads(murder.fe[0].command("ctl_mboxlist", "-d").stdout)["user.anna"]
    assert remote["server"] == murder.names[0] and remote["mbtype"] == "r"
    fe = murder.fe[0]  # a frontend's list is a copy of all names, and can be put in the place of what was lost
    fe.stop()
    text = fe.command("ctl_mboxlist", "-d").stdout
    shutil.rmtree(fe.path("config", "mailboxes"))
    fe.command("ctl_mboxlist", "-u", input=text)
    assert fe.command("ctl_mboxlist", "-d").stdout == text


def test_usage(murder):
    for args in ([], ["-d", "-u"], ["-m", "x"], ["-z"]):
        assert murder.be[0].command("ctl_mboxlist", *args, check=False).returncode == 64
    assert murder.m.command("ctl_mboxlist", "-m", check=False).returncode == 78


def test_a_list_that_shrank_stops(murder):
    """A list that was lost, or restored from long ago, is not what the master shall believe."""
    be, own = murder.be[0], murder.names[0]
    with master(murder) as c:
        for i in range(21):  # with anna's three mailboxes: 21 of 24
            c.ok('ACTIVATE "user.lost%d" "%s!default" ""' % (i, own))
        c.ok('DELETE "user.anna.Sent"')
        assert len(push(murder, "-w").stdout.splitlines()) == 22
        r = push(murder, check=False)
        assert r.returncode == 65 and "mupdate_remove_max" in r.stderr
        assert 'mboxop.shrunk count=21 total=23' in be.log()
        assert c.find("user.lost0") and not c.find("user.anna.Sent")  # nothing is done
        be.conf["mupdate_remove_max"] = "92"
        be.write_configuration()
        push(murder)
        assert not c.find("user.lost0") and c.find("user.anna.Sent")
        be.conf["mupdate_remove_max"] = "0"
        be.write_configuration()
        for i in range(20):  # so few may always go
            c.ok('ACTIVATE "user.lost%d" "%s!default" ""' % (i, own))
        push(murder)
        assert not c.find("user.lost0")


def test_a_renamed_server_stops(murder):
    """Under another servername every mailbox would be another server's: nothing may be moved."""
    be = murder.be[0]
    before = names(murder)
    be.conf["servername"] = "renamed." + be.servername
    be.write_configuration()
    r = push(murder, check=False)
    assert r.returncode != 0
    assert names(murder) == before
    assert "mboxop.servername" in be.log()
    with master(murder) as c:
        assert c.find("user.anna")[1] == murder.names[0] + "!default"
