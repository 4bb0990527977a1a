"""Scripts that run for what IMAP does to messages (RFC 6785): on one server, and over the servers of a murder."""

import os
import re

import pytest

from iatlas import scripts
from iatlas.clients import Imap, Lmtp, message
from iatlas.direct import wait_for
from iatlas.node import ADMIN, PASSWORD, PROXY

ENTRY = "/shared/imapsieve/script"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    import shutil
    import tempfile

    from iatlas import net, node

    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    sendmail = scripts.Sendmail(directory)
    server = node.standalone(directory + "/s", network.address(), conf={"sievedir": directory + "/scripts", **sendmail.conf()})
    server.sendmail, server.users = sendmail, 0
    try:
        server.start()
        yield server
    finally:
        server.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


def imap(server, user=ADMIN):
    return Imap(server.address).login(user)


def make_user(server, *folders):
    server.users += 1
    user = "user%d" % server.users
    server.add_user(user)
    with imap(server) as c:
        for name in ("user/" + user, *("user/%s/%s" % (user, f) for f in folders)):
            c.ok('CREATE "%s"' % name)
    return user


def append(c, mailbox, data=None, flags=""):
    c.ok(b"APPEND %s %s{%d+}\r\n%s" % (mailbox.encode(), flags.encode(), len(data or message("m")), data or message("m")))


def subjects(c, mailbox):
    c.ok("EXAMINE " + mailbox)
    found = c.command("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").untagged
    return re.findall(r"Subject: (.*?)\r\n", b"".join(found).decode())


def flags(c, mailbox):
    """{subject: flags}"""
    c.ok("EXAMINE " + mailbox)
    found = b"".join(c.command("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").untagged).decode()
    return {s: set(f.split()) - {r"\Recent"} for f, s in re.findall(r"FLAGS \((.*?)\).*?Subject: (.*?)\r\n", found, re.S)}


TELL = """
require ["imapsieve", "environment", "variables", "editheader", "fileinto", "imap4flags", "copy"];
if not environment "location" "MS" { stop; }
if not environment "phase" "post" { stop; }
if environment :matches "imap.user" "*" { set "t" "${1}"; }
if environment :matches "imap.email" "*" { set "t" "${t} ${1}"; }
if environment :matches "imap.cause" "*" { set "t" "${t} ${1}"; }
if environment :matches "imap.mailbox" "*" { set "t" "${t} ${1}"; }
if environment :matches "imap.changedflags" "*" { set "t" "${t} [${1}]"; }
if hasflag "\\\\Flagged" { set "t" "${t} flagged"; }
deleteheader "subject";
addheader "Subject" "${t}";
fileinto :copy "log";
"""


def test_events(place):
    """APPEND, COPY, MOVE, STORE and the \\Seen of FETCH: what a script is told; the message itself stays as it is."""
    u = make_user(place, "box", "log", "other")
    scripts.put(place, u, TELL, name="tell", active=False)
    who = "%s %s@%s" % (u, u, place.servername.split(":")[0])
    with imap(place, u) as c, imap(place, u) as d:
        assert "IMAPSIEVE=sieve://" + place.servername.split(":")[0] in c.ok("CAPABILITY").untagged[0].decode().split()
        c.ok('SETMETADATA box (%s "tell")' % ENTRY)

        def told(*events):
            wait_for(lambda: len(subjects(d, "log")) >= len(told.all) + len(events))
            new = subjects(d, "log")[len(told.all) :]
            assert sorted(new) == sorted("%s %s" % (who, e) for e in events)
            told.all += new

        told.all = []
        append(c, "box", message("one"), r"(\Flagged) ")
        told("APPEND box [] flagged")
        append(c, "other", message("two"))
        c.select("other")
        c.ok("COPY 1 box")
        told("COPY box []")
        c.ok("MOVE 1 box")
        told("COPY box []")
        c.select("box")
        c.ok("STORE 1:* +FLAGS.SILENT (\\Flagged kw)")
        told("FLAG box [kw] flagged", "FLAG box [\\Flagged kw] flagged", "FLAG box [\\Flagged kw] flagged")
        c.ok("STORE 1 FLAGS (kw)")
        told("FLAG box [\\Flagged]")
        c.ok("STORE 1 FLAGS (kw)")  # nothing changes
        c.ok("FETCH 2 BODY[]")
        told("FLAG box [\\Seen] flagged")
        assert subjects(d, "box") == ["one", "two", "two"]


def test_flags_of_new_messages(place):
    """What a script changes of a new message's flags is an event (RFC 6785 2.2.3): one, and not for what nothing keeps."""
    u = make_user(place, "box", "log", "other")
    script = """
        require ["imapsieve", "environment", "variables", "editheader", "fileinto", "imap4flags", "copy"];
        if environment :matches "imap.cause" "*" { set "t" "${1}"; }
        if environment :matches "imap.changedflags" "*" { set "t" "${t} [${1}]"; }
        if string :is "${t}" "FLAG [kw \\\\Flagged]" { addflag "again"; }
        elsif header "subject" "gone" { discard; }
        elsif environment "imap.cause" ["APPEND", "COPY"] { addflag "kw"; removeflag "\\\\Flagged"; }
        deleteheader "subject";
        addheader "Subject" "${t}";
        fileinto :copy "log";
    """
    scripts.put(place, u, script, name="tell", active=False)
    with imap(place, u) as c, imap(place, u) as d:
        c.ok('SETMETADATA box (%s "tell")' % ENTRY)
        append(c, "box", message("gone"))
        append(c, "box", message("one"), r"(\Flagged) ")
        for i in range(300):
            append(c, "other", message("many"))
        c.select("other")
        c.ok("COPY 1:* box")
        wanted = ["APPEND []"] * 2 + [r"FLAG [kw \Flagged]"] + ["COPY []"] * 300 + ["FLAG [kw]"] * 300
        wait_for(lambda: len(subjects(d, "log")) >= len(wanted))
        c.ok("SETMETADATA box (%s NIL)" % ENTRY)
        assert sorted(subjects(d, "log")) == sorted(wanted)
        assert flags(d, "box") == {"gone": {r"\Deleted"}, "one": {"kw", "again"}, "many": {"kw"}}


def test_broken_file(place):
    """A message whose file has become too short has no script, and does no harm."""
    u = make_user(place, "box")
    scripts.put(place, u, 'require ["imap4flags"]; addflag "ran";', name="mark", active=False)
    with imap(place, u) as c:
        mark = b"only here " + u.encode()
        append(c, "box", message("broken", body=mark.decode() + "\r\n" + "x" * 100 + "\r\n" * 4000))
        files = [os.path.join(d, f) for d, _, fs in os.walk(place.path("spool")) for f in fs]
        (file,) = [f for f in files if mark in open(f, "rb").read() and os.path.getsize(f) > 8000]
        os.truncate(file, 50)
        append(c, "box", message("whole"))
        c.ok('SETMETADATA box (%s "mark")' % ENTRY)
        c.select("box")
        c.ok(r"STORE 1:* +FLAGS (\Answered)")

        def ran(n):
            found = c.command("FETCH %d FLAGS" % n).untagged
            return any(u.startswith(b"* %d FETCH" % n) and b"ran" in u for u in found)

        wait_for(lambda: ran(2))
        assert not ran(1)


def test_actions(place):
    """What is not kept is marked; flags are set."""
    u = make_user(place, "box", "filed")
    script = """
        require ["imapsieve", "fileinto", "imap4flags", "environment", "copy", "enotify"];
        if header "subject" "keep" { addflag ["seen-it", "\\\\Answered"]; removeflag "\\\\Flagged"; }
        elsif header "subject" "only" { keep :flags ["only"]; }
        elsif header "subject" "discard" { discard; }
        elsif header "subject" "file" { fileinto :flags "filed" "filed"; }
        elsif header "subject" "copy" { fileinto :copy "filed"; }
        elsif header "subject" "send" { redirect "a@else.where"; }
        elsif header "subject" "tell" { notify "mailto:b@else.where"; }
        elsif header "subject" "lost" { fileinto "missing"; }
    """
    scripts.put(place, u, script, name="do", active=False)
    place.sendmail.take()
    with imap(place, u) as c:
        c.ok('SETMETADATA box (%s "do")' % ENTRY)
        for subject in ("keep", "only", "discard", "file", "copy", "send", "tell", "lost"):
            append(c, "box", message(subject), r"(\Flagged) ")
        wanted = {
            "keep": {"seen-it", r"\Answered"},
            "only": {"only"},
            "discard": {r"\Flagged", r"\Deleted"},
            "file": {r"\Flagged", r"\Deleted"},
            "copy": {r"\Flagged"},
            "send": {r"\Flagged", r"\Deleted"},
            "tell": {r"\Flagged"},
            "lost": {r"\Flagged"},
        }
        wait_for(lambda: flags(c, "box") == wanted)
        wait_for(lambda: flags(c, "filed") == {"file": {"filed"}, "copy": {r"\Flagged"}})
        sent = []
        wait_for(lambda: sent.extend(place.sendmail.take()) or len(sent) >= 2)
        assert sorted(a.split()[-1] for a, _ in sent) == ["a@else.where", "b@else.where"]
        assert "-f %s@" % u in " ".join(a for a, _ in sent)
        wait_for(lambda: 'sieve.trouble user="%s" name="fileinto"' % u in place.log())


def test_errors(place):
    """What is for new messages ends the script; a script that is not there is none."""
    u = make_user(place, "box", "mark")
    scripts.put(place, u, 'require ["imap4flags"]; addflag "marked";', name="mark", active=False)
    bad = {
        "envelope": ('require ["imap4flags", "envelope"];addflag "x";\nif envelope "from" "a" {}', "line 2: envelope is for new messages"),
        "reject": ('require ["reject", "imap4flags"]; addflag "x";', 'line 1: \\"reject\\" is for new messages'),
        "vacation": ('require ["vacation", "imap4flags"]; addflag "x";', 'line 1: \\"vacation\\" is for new messages'),
        "inner": ('require ["include", "imap4flags"];addflag "x"; include "reject";', 'script \\"reject\\", line 1: \\"reject\\" is for new messages'),
        "syntax": ("kep;", "line 1: unknown command"),
        "absent": (None, None),
    }
    with imap(place, u) as c:
        c.ok('SETMETADATA mark (%s "mark")' % ENTRY)
        for name, (text, error) in bad.items():
            if text:
                scripts.put(place, u, text, name=name, active=False)
            c.ok('SETMETADATA box (%s "%s")' % (ENTRY, name))
            append(c, "box", message(name))
            if error:
                wait_for(lambda: error in place.log())
        append(c, "mark", message("last"))
        wait_for(lambda: flags(c, "mark") == {"last": {"marked"}})
        assert flags(c, "box") == {name: set() for name in bad}


def test_which_script(place):
    """The mailbox's own, else the server's; an empty one is none. Only administrators of a mailbox set it."""
    u, friend = make_user(place, "box", "quiet"), make_user(place)
    scripts.put_global(place, "all", 'require ["imap4flags"]; addflag "global";')
    scripts.put(place, u, 'require ["imap4flags"]; addflag "own";', name="all", active=False)
    with imap(place) as admin, imap(place, u) as c, imap(place, friend) as f:
        c.no('SETMETADATA "" (%s "all")' % ENTRY)
        c.ok("SETACL box %s lrswi" % friend)
        f.no('SETMETADATA "Other Users/%s/box" (%s "all")' % (u, ENTRY))
        admin.ok("CREATE shared-box")
        admin.ok("SETACL shared-box %s lrswipt" % u)
        try:
            admin.ok('SETMETADATA "" (%s "all")' % ENTRY)
            c.ok('SETMETADATA quiet (%s "")' % ENTRY)
            c.ok('SETMETADATA box (%s "all")' % ENTRY)
            append(c, "INBOX", message("inbox"))
            append(c, "quiet", message("quiet"))
            append(f, '"Other Users/%s/box"' % u, message("box"))
            append(c, '"Shared Folders/shared-box"', message("shared"))
            wait_for(lambda: flags(c, "box") == {"box": {"own"}})
            wait_for(lambda: flags(c, "INBOX") == {"inbox": {"global"}})
            wait_for(lambda: flags(c, '"Shared Folders/shared-box"') == {"shared": {"global"}})
            assert flags(c, "quiet") == {"quiet": set()}
        finally:
            admin.ok('SETMETADATA "" (%s NIL)' % ENTRY)


def test_delivery_is_no_event(place):
    """LMTP runs the active script, whose imap.* are empty, and not the mailbox's."""
    u = make_user(place)
    scripts.put(place, u, 'require ["imap4flags"]; addflag "event";', name="event", active=False)
    scripts.put(place, u, 'require ["imap4flags", "environment"]; if environment "imap.cause" "" { addflag "delivery"; }')
    with imap(place, u) as c:
        c.ok('SETMETADATA INBOX (%s "event")' % ENTRY)
        with Lmtp(place.address) as lmtp:
            assert lmtp.deliver("a@example.org", [u], message("delivered"))[0][0] == 250
        append(c, "INBOX", message("appended"))
        wait_for(lambda: flags(c, "INBOX") == {"delivered": {"delivery"}, "appended": {"event"}})


@pytest.mark.slow
def test_stop(make_server, tmp_path):
    """Events that wait do not keep a process that ends: those that have had no script are told, all of them."""
    sendmail = tmp_path / "sendmail"
    go = tmp_path / "go"  # the first event lasts until all others wait: what it changes has its event behind them
    sendmail.write_text("#!/bin/sh\ncat > /dev/null\nuntil [ -e %s ]; do sleep 0.05; done\nsleep 0.5\n" % go)
    sendmail.chmod(0o755)
    server = make_server(conf={"sievedir": str(tmp_path / "scripts"), "sendmail": str(sendmail)})
    u = "fred"
    server.add_user(u)
    scripts.put(server, u, 'require ["imap4flags", "copy"]; redirect :copy "a@else.where"; addflag "ran";', name="do", active=False)
    with imap(server) as c:
        c.ok("CREATE user/" + u)
    with imap(server, u) as c:
        c.ok('SETMETADATA INBOX (%s "do")' % ENTRY)
        for _ in range(60):
            append(c, "INBOX", message("m"))
    go.touch()
    server.stop()
    lost = sum(map(int, re.findall(r"sieve\.events .*?count=(\d+)", server.log())))
    server.start()
    with imap(server, u) as c:
        c.select("INBOX")
        ran = len(c.command("SEARCH KEYWORD ran").untagged[0].split()) - 2
    assert (ran < 40, lost) == (True, 60), ran  # what has run has changed a flag


def test_off(make_server):
    server = make_server(conf={"sieve_extensions": "fileinto"})
    with imap(server) as c:
        assert b"IMAPSIEVE" not in c.ok("CAPABILITY").untagged[0]


def test_two_servers(make_murder, tmp_path):
    """Through a frontend; what a script files into another server's mailbox is no event there: two cannot go on for ever."""
    conf = {"sievedir": str(tmp_path / "scripts"), "proxy_authname": PROXY, "proxy_password": PASSWORD}
    murder = make_murder(backends=2, frontends=1, conf=conf)
    murder.add_user("anna")
    script = 'require ["fileinto", "copy", "imapsieve"]; fileinto :copy "%s";'
    with murder.imap(ADMIN) as c:
        for i in range(2):
            c.ok("CREATE shared-%d %s" % (i, murder.names[i]))
            c.ok("SETACL shared-%d anna lrswipt" % i)
            c.ok('SETMETADATA shared-%d (%s "to-%d")' % (i, ENTRY, 1 - i))
            scripts.put_global(murder.be[0], "to-%d" % i, script % ("Shared Folders/shared-%d" % i))
    with murder.imap("anna") as c:
        append(c, '"Shared Folders/shared-0"', message("one"))
        wait_for(lambda: subjects(c, '"Shared Folders/shared-1"') == ["one"])
        append(c, '"Shared Folders/shared-1"', message("two"))
        wait_for(lambda: subjects(c, '"Shared Folders/shared-0"') == ["one", "two"])
        assert subjects(c, '"Shared Folders/shared-1"') == ["one", "two"]
