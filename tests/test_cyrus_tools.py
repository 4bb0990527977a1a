"""The administrator's tools of a real Cyrus 3.6 and ours, after the same commands: what they print has one shape."""

import json
import os
import re
import shutil
import tempfile

import pytest

from iatlas import Imap, cyrus, net
from iatlas.node import ADMIN, standalone

pytestmark = pytest.mark.peer

IMAPD_CONF = {"nosuchoption": "7", "maxmessagesize": "5000000", "autocreate_quota": "77"}


def text(n, size=10):
    head = "From: a%d@example.org\r\nTo: b@example.org\r\nDate: Mon, 05 Jan 2026 10:00:00 +0000\r\n" % n
    return (head + "Subject: n%d\r\nMessage-ID: <%d@example.org>\r\n\r\n%s\r\n" % (n, n, "x" * size)).encode()


def work(node):
    """What an administrator and two users did on each."""
    with Imap(node.address).login(ADMIN) as c:
        for name in ("user/anna", "user/ben", "shared"):
            c.ok("CREATE " + name)
        c.ok("SETQUOTA user/anna (STORAGE 10000 MESSAGE 50)")
    with Imap(node.address).login("anna") as c:
        for name in ("Sub", "Sub/Deep", "Gone"):
            c.ok("CREATE " + name)
        for n in range(5):
            c.append("INBOX", text(n, 1500), r"\Deleted" if n in (1, 2) else "")
        c.append("Sub", text(9))
        c.select("INBOX")
        c.ok("EXPUNGE")
        c.ok("DELETE Gone")


@pytest.fixture(scope="module")
def both():
    why = cyrus.missing()
    if why:
        pytest.skip(why)
    top, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    hosts, address = cyrus.Hosts(top), network.address()
    hosts.add("cyr.lab", address)
    conf = dict(IMAPD_CONF)
    services = {"imap": 'cmd="imapd" listen="%s:%d" prefork=1' % (address, net.IMAP)}
    theirs = cyrus.CyrusNode(os.path.join(top, "cyrus"), address, {**conf, "servername": "cyr.lab"}, hosts=hosts, services=services)
    ours = standalone(os.path.join(top, "ours"), network.address(), conf)
    nodes = (theirs, ours)
    try:
        for node in nodes:
            node.add_user(ADMIN, "anna", "ben")
            node.start()
            work(node)
        yield nodes
    finally:
        for node in nodes:
            node.cleanup()
        network.close()
        shutil.rmtree(top, ignore_errors=True)


def run(both, *argv, **kw):
    """What each says on standard output, and that both are content, or neither."""
    theirs, ours = (node.command(*argv, check=False, **kw) for node in both)
    assert (theirs.returncode == 0) == (ours.returncode == 0), (theirs, ours)
    return theirs.stdout, ours.stdout


def stamp(text):
    return re.sub(r"(DELETED[./]\S*[./])[0-9A-F]{8}\b", r"\1STAMP", text)


def test_ctl_mboxlist(both):
    theirs, ours = (json.loads(stamp(said)) for said in run(both, "ctl_mboxlist", "-d"))
    # Cyrus dumps the tombstones of names that were deleted, too
    theirs = {name: entry for name, entry in theirs.items() if "d" not in entry["mbtype"]}
    assert list(theirs) == list(ours)
    for name, entry in theirs.items():
        assert set(entry) == set(ours[name])
        assert {k: type(v) for k, v in entry.items()} == {k: type(v) for k, v in ours[name].items()}
        for key in ("name", "mbtype", "partition", "acl", "name_history"):
            assert entry[key] == ours[name][key], (name, key)


def test_mbpath(both):
    for argv in (["user/anna"], ["-u", "anna"], ["-7", "shared"], ["-A", "user/anna"], ["user/anna", "user/ben"]):
        theirs, ours = (said.splitlines() for said in run(both, "mbpath", *argv))
        assert len(theirs) == len(ours) and all(os.path.isdir(p) for p in theirs + ours)
    for argv in (["user/nobody"], ["-q", "user/nobody"], ["-s", "user/nobody", "user/anna"], ["-p", "/nowhere"]):
        theirs, ours = run(both, "mbpath", *argv)
        assert theirs == ours == ""
    theirs, ours = (re.findall(r"^(\w+): /", said, re.M) for said in run(both, "mbpath", "-a", "user/anna"))
    assert theirs == ours
    for node in both:
        path = node.command("mbpath", "user/anna").stdout
        assert node.command("mbpath", "-p", path.strip()).stdout == path


@pytest.mark.parametrize("name", ["user/anna", "user/anna/Sub", "shared"])
def test_mbpath_json(both, name):
    theirs, ours = (json.loads(said) for said in run(both, "mbpath", "-j", name))
    assert theirs["mbname"] == ours["mbname"]
    assert set(ours) <= set(theirs) and set(theirs) - set(ours) <= {"xapian"}
    assert set(ours.get("user", ())) == set(theirs.get("user", ())) & {"seen", "sub", "sieve"}


def rows(said):
    return [line for line in said.splitlines() if "Quota" in line or "user/anna" in line]


@pytest.mark.parametrize("argv", [[], ["user/anna"], ["-u", "anna"], ["-f"], ["-f", "-q"], ["user/nobody"]])
def test_quota(both, argv):
    theirs, ours = run(both, "quota", *argv)
    assert rows(theirs) == rows(ours)
    assert len(rows(ours)) == (0 if "-q" in argv else 1 if "user/nobody" in argv else 5)


def test_quota_json(both):
    theirs, ours = (json.loads(said) for said in run(both, "quota", "-J"))
    assert theirs["user/anna"] == ours["user/anna"]
    assert ours["user/anna"]["MESSAGE"] == {"used": 4, "limit": 50}


def test_unexpunge(both):
    def listed(said):
        return re.findall(r"^(UID: .*|\tSize: .*|\t....: )", said, re.M)

    theirs, ours = run(both, "unexpunge", "-l", "user/anna")
    assert listed(theirs) == listed(ours) and theirs.count("UID: ") == 2
    theirs, ours = run(both, "unexpunge", "-l", "user/anna", "3")
    assert listed(theirs) == listed(ours) and theirs.count("UID: ") == 1
    for argv in (["-v", "-d", "-u", "user/anna", "2"], ["-t", "1h", "user/anna"], ["-a", "user/anna"]):
        theirs, ours = run(both, "unexpunge", *argv)
        assert theirs == ours
    for argv in ([], ["-a", "user/nobody"], ["-u", "user/anna"]):
        run(both, "unexpunge", *argv)
    for node in both:  # as before, for the others
        with Imap(node.address).login("anna") as c:
            c.select("INBOX")
            c.ok(r"STORE 4:5 +FLAGS (\Deleted)")
            c.ok("EXPUNGE")


def test_deny(both):
    for argv in (["ben"], ["-s", "imap,pop*", "-m", "go away", "anna"], ["-l"], ["-a", "nobody"], ["-a", "ben"], ["-l"]):
        theirs, ours = run(both, "cyr_deny", *argv)
        assert theirs == ours
    assert "imap,pop*" in ours
    for node in both:
        with Imap(node.address) as c:
            c.no("LOGIN anna secret")
        node.command("cyr_deny", "-a", "anna")
    run(both, "cyr_deny")


def test_info_proc(both):
    sessions = [Imap(node.address).login("anna") for node in both]
    for c in sessions:
        c.select("Sub")
    theirs, ours = (said.split("\n") for said in run(both, "cyr_info", "proc"))
    fields = [[line.split() for line in said if " anna " in line] for said in (theirs, ours)]
    for (found,) in fields:
        assert found[0].isdigit() and found[1] == "imap" and found[-2:] == ["anna", "user.anna.Sub"]
    for c in sessions:
        c.close()


def test_info_conf(both):
    cyrus_conf = [["-M", node.path("cyrus.conf")] for node in both]
    for action in ("conf", "conf-all", "conf-default", "conf-lint"):
        theirs, ours = (
            node.command("cyr_info", *more, action).stdout.splitlines() for node, more in zip(both, cyrus_conf)
        )
        assert all(re.match(r"[\w-]+:( |$)", line) for line in theirs + ours)
        if action == "conf-lint":
            assert "nosuchoption: 7" in theirs and ours == ["nosuchoption: 7"]
        if action == "conf":
            for line in ("maxmessagesize: 5000000", "autocreate_quota: 77", "nosuchoption: 7"):
                assert line in theirs and line in ours
    run(both, "cyr_info", "nonsense")
    run(both, "cyr_info", "version")


# Where our default is not 3.6's (doc/compatibility.md); the last line: the same, written otherwise.
OTHER_DEFAULTS = {"lmtp_exclude_specialuse", "sieve_allowreferrals", "sieve_extensions", "tls_versions"}
OTHER_DEFAULTS |= {"maxliteral", "maxquoted", "maxword", "sieve_maxscriptsize", "plaintextloginpause", "popminpoll", "proc_path"}


def test_defaults(both):
    theirs, ours = (
        dict(line.split(":", 1) for line in said.splitlines()) for said in run(both, "cyr_info", "conf-default")
    )
    differ = {o: (theirs[o].strip(), ours[o].strip()) for o in set(theirs) & set(ours) if theirs[o].strip() != ours[o].strip()}
    assert len(set(theirs) & set(ours)) > 150
    assert set(differ) == OTHER_DEFAULTS, differ


def test_buildinfo(both):
    theirs, ours = (json.loads(said) for said in run(both, "cyr_buildinfo"))
    for part in ("component", "dependency", "database"):
        assert set(theirs[part]) <= set(ours[part])
        assert {type(v) for v in ours[part].values()} == {bool}
    assert set(theirs) <= set(ours)


def test_expire(both):
    for argv in (["-E", "3", "-D", "60", "-X", "60"], ["-A", "7d", "-x", "-c"], ["-t"], ["-X", "0.5d", "-p", "user.an"]):
        theirs, ours = run(both, "cyr_expire", *argv)
        assert theirs == ours == ""
    for argv in ([], ["-v"], ["-X", "nonsense"]):
        theirs, ours = (node.command("cyr_expire", *argv, check=False).returncode for node in both)
        assert theirs == ours == 64
    for node in both:
        with Imap(node.address).login(ADMIN) as c:
            assert len(c.list("", "DELETED/*")) == 1
        node.command("cyr_expire", "-D", "0", "-u", "anna")
        with Imap(node.address).login(ADMIN) as c:
            assert c.list("", "DELETED/*") == []


def test_reconstruct(both):
    for argv in (["user/anna"], ["-r", "user/anna"], ["-n", "user/%"], ["-u", "ben"], ["-V", "max", "shared"], ["-q", "user/ben"]):
        theirs, ours = run(both, "reconstruct", *argv)
        assert theirs == ours


def test_purge(both):
    for argv in (["-v", "-f", "-b", "100", "user/anna/Sub"], ["-d", "3"], ["-v", "-d", "3", "nobody"]):
        theirs, ours = (said.split() for said in run(both, "ipurge", *argv))
        assert theirs == ours


def test_small(both):
    """Exit codes, and what a script greps for."""
    theirs, ours = run(both, "ctl_deliver", "-d")
    assert re.sub(r"\d+", "N", theirs) == re.sub(r"\d+", "N", ours)
    for argv in (["ctl_cyrusdb", "-c"], ["tls_prune"], ["mbexamine", "user/anna"]):
        run(both, *argv)
