"""The discrete murder: one MUPDATE master, two backends, frontends, seen by clients of a frontend."""

import os
import re
import shutil
import signal
import time

import pytest

from iatlas import Imap, Lmtp, Murder, message, net
from iatlas.mupdate import Mupdate
from iatlas.node import ADMIN, PASSWORD, PROXY

NEW = message(subject="one")


def two_users(murder):
    """anna on the first backend, ben on the second."""
    murder.add_user("anna", 0)
    murder.add_user("ben", 1)


def directly(murder, backend, user):
    """The same user at a backend, past the frontend."""
    return Imap(murder.be[backend].address).login(user)


# ---- every command, on both backends ----


@pytest.mark.parametrize("backend", [0, 1])
def test_mailbox_commands(murder, backend):
    murder.add_user("anna", backend)
    with murder.imap("anna") as c:
        c.ok("CREATE Sent")
        c.ok("CREATE Lists/c")
        assert c.list("", "*") == ["INBOX", "Lists/c", "Sent"]
        assert c.list("", "%") == ["INBOX", "Lists", "Sent"]
        c.ok("RENAME Sent Gone")
        c.ok("SUBSCRIBE Gone")
        assert c.list("", "*", "LSUB") == ["Gone"]
        c.ok("UNSUBSCRIBE Gone")
        assert c.list("", "*", "LSUB") == []
        c.append("Gone", NEW, r"\Seen")
        status = c.ok("STATUS Gone (MESSAGES UNSEEN UIDNEXT UIDVALIDITY RECENT)")
        assert status.find(rb"MESSAGES 1\b") and status.find(rb"UNSEEN 0\b")
        c.ok("DELETE Gone")
        assert c.list("", "*") == ["INBOX", "Lists/c"]
        c.no("SELECT Gone")
        c.no("DELETE Gone")
        c.no("CREATE INBOX")


@pytest.mark.parametrize("backend", [0, 1])
def test_message_commands(murder, backend):
    murder.add_user("anna", backend)
    with murder.imap("anna") as c:
        c.ok("CREATE Other")
        for i in range(3):
            c.append("INBOX", message(subject="number %d" % i, body="word%d\r\n" % i))
        assert c.select("INBOX") == 3
        assert c.uids("SUBJECT number") == [1, 2, 3]
        assert c.uids("BODY word1") == [2]
        fetched = c.ok("FETCH 1:3 (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE INTERNALDATE)")
        assert len(fetched.find(rb"FETCH \(")) == 3
        assert b"word2" in c.body(3)
        stored = c.ok(r"STORE 1 +FLAGS (\Deleted $mark)")
        assert stored.one(rb"\* 1 FETCH .*FLAGS \((.*?)\)").group(1).split().count(b"$mark") == 1
        assert re.search(r"\[COPYUID \d+ 2:3 1:2\]", c.ok("COPY 2:3 Other").text)
        moved = c.ok("MOVE 3 Other")
        assert moved.find(rb"^\* 3 EXPUNGE")
        assert c.ok("EXPUNGE").find(rb"^\* 1 EXPUNGE")
        assert c.uids() == [2]
        c.ok("CHECK")
        c.ok("NOOP")
        c.ok("CLOSE")
        assert c.select("Other", "EXAMINE") == 3
        c.no(r"STORE 1 +FLAGS (\Seen)")
        c.ok("UNSELECT")
        c.bad("FETCH 1 FLAGS")


@pytest.mark.parametrize("backend", [0, 1])
def test_rights_and_quota(murder, backend):
    murder.add_user("anna", backend)
    murder.add_user("ben", 1 - backend)
    with murder.imap("anna") as anna, murder.imap("ben") as ben, murder.imap(ADMIN) as admin:
        anna.ok("CREATE Shared")
        assert ben.list("", "*") == ["INBOX"]
        ben.no('SELECT "Other Users/anna/Shared"')
        anna.ok("SETACL Shared ben lrsi")
        assert '"ben" "lrsi"' in quoted(anna.ok("GETACL Shared").one(rb"^\* ACL (.*)").group(1))
        assert sorted(ben.list("", "*")) == ["INBOX", "Other Users/anna/Shared"]
        assert ben.ok('MYRIGHTS "Other Users/anna/Shared"').one(rb"MYRIGHTS .* \"?lrsi\"?$")
        ben.append('"Other Users/anna/Shared"', NEW)
        assert ben.select('"Other Users/anna/Shared"') == 1
        ben.no("EXPUNGE")
        anna.ok("DELETEACL Shared ben")
        assert ben.list("", "*") == ["INBOX"]
        admin.ok("SETQUOTA user/anna (STORAGE 1)")
        assert admin.ok("GETQUOTA user/anna").one(rb"STORAGE \d+ 1\)")
        assert anna.ok("GETQUOTAROOT INBOX").find(rb"^\* QUOTAROOT")
        assert "OVERQUOTA" in anna.no(["APPEND INBOX ", message(body="x" * 3000)]).text


def quoted(acl):
    """An ACL response's words, each in quotes."""
    return " ".join('"%s"' % w.strip('"') for w in acl.decode().split())


def test_idle_through_the_frontend(murder):
    two_users(murder)
    with murder.imap("anna") as c, murder.imap("anna") as other:
        c.select("INBOX")
        tag = c.start("IDLE")
        assert c.read_line().startswith(b"+")
        other.append("INBOX", NEW)
        assert c.read_response() == b"* 1 EXISTS"
        c.send("DONE\r\n")
        assert c.finish(tag).status == "OK"


def test_pipelined_commands(murder):
    two_users(murder)
    with murder.imap("anna") as c:
        c.append("INBOX", NEW)
        tags = [c.start(x) for x in ("SELECT INBOX", "FETCH 1 FLAGS", "NOOP", "STATUS INBOX (MESSAGES)", "UNSELECT")]
        assert [c.finish(t).status for t in tags] == ["OK"] * 5


def test_byte_by_byte(murder):
    two_users(murder)
    with murder.imap("ben") as c:
        for b in b"x1 APPEND INBOX {%d+}\r\n%s\r\n" % (len(NEW), NEW):
            c.send(bytes([b]))
        c.count = 0
        assert c.finish("x1").status == "OK"
        c.select("INBOX")
        assert c.body(1) == NEW


# ---- what spans servers ----


def test_copy_across_backends(murder):
    two_users(murder)
    bodies = [message(subject="m%d" % i, body="line\r\n" * (i * 1000)) for i in range(5)]
    with murder.imap("anna") as anna, murder.imap("ben") as ben:
        ben.ok("SETACL INBOX anna lrswipkxte")
        for i, b in enumerate(bodies):
            anna.append("INBOX", b, r"\Flagged $lab" if i % 2 else "")
        anna.select("INBOX")
        m = re.search(r"\[COPYUID (\d+) (\S+) (\S+)\]", anna.ok('COPY 1:5 "Other Users/ben"').text)
        assert m.group(2) == "1:5" and m.group(3) == "1:5"
        assert ben.select("INBOX") == 5
        assert [ben.body(u) for u in range(1, 6)] == bodies
        assert ben.uids("KEYWORD $lab") == [2, 4]
        dates = rb"INTERNALDATE \"([^\"]+)\""
        assert [x.group(1) for x in anna.ok("FETCH 1:* INTERNALDATE").find(dates)] == [
            x.group(1) for x in ben.ok("FETCH 1:* INTERNALDATE").find(dates)
        ]
        assert "TRYCREATE" in anna.no('COPY 1 "Other Users/ben/nonesuch"').text
        anna.ok('UID MOVE 2:3 "Other Users/ben"')
        assert anna.uids() == [1, 4, 5]
        ben.ok("NOOP")
        assert len(ben.uids()) == 7


def test_copy_undone_when_it_fails(murder):
    """The third message does not fit: the first two must not stay behind."""
    two_users(murder)
    with murder.imap("anna") as anna, murder.imap("ben") as ben, murder.imap(ADMIN) as admin:
        ben.ok("SETACL INBOX anna lrswipkxte")
        admin.ok("SETQUOTA user/ben (STORAGE 4)")
        for size in (100, 100, 8000):
            anna.append("INBOX", message(body="x" * size))
        anna.select("INBOX")
        anna.no('COPY 1:3 "Other Users/ben"')
        assert ben.select("INBOX") == 0
        assert anna.uids() == [1, 2, 3]


# ---- own writes are seen ----


def test_create_then_select_at_once(make_murder):
    murder = make_murder(frontends=2, conf={"altnamespace": "no", "unixhierarchysep": "no"})
    for node in murder.nodes:
        node.add_user("anna")
    with murder.imap(ADMIN) as admin:
        admin.ok("CREATE user.anna %s" % murder.names[1])
    with murder.imap("anna") as c, murder.imap("anna", 1) as other:
        for i in range(20):
            c.send("A001 CREATE INBOX.new%d\r\nA002 SELECT INBOX.new%d\r\n" % (i, i))
            assert c.finish("A001").status == "OK"
            assert c.finish("A002").status == "OK"
            other.ok("SELECT INBOX.new%d" % i)


def test_login_elsewhere_lists_the_change(make_murder):
    murder = make_murder(frontends=2)
    two_users(murder)
    with murder.imap("anna") as c:
        for i in range(10):
            c.ok("CREATE f%d" % i)
            with murder.imap("anna", 1) as other:
                assert "f%d" % i in other.list("", "*")


# ---- one name, one server ----


def test_name_of_the_other_backend_is_refused(murder):
    two_users(murder)
    with directly(murder, 1, ADMIN) as c:
        refused = c.no("CREATE user/anna")
        assert "exist" in refused.text.lower() or "other server" in refused.text.lower()
        c.no("CREATE user/anna")
    with murder.imap(ADMIN) as c:
        c.no("CREATE user/anna %s" % murder.names[1])
        assert c.list("", "user/anna") == ["user/anna"]
    with murder.imap("anna") as c:
        c.append("INBOX", NEW)


# ---- size ----


def activate(murder, names, location, acl):
    """Writes names to the master as a backend would, past any backend."""
    from base64 import b64encode

    with Imap(murder.m.address, net.MUPDATE) as c:
        while not c.greeting.startswith(b"* OK"):
            c.greeting = c.read_response()
        plain = b64encode(("\0%s\0%s" % (PROXY, PASSWORD)).encode()).decode()
        c.ok('AUTHENTICATE "PLAIN" "%s"' % plain)
        for i in range(0, len(names), 500):
            tags = [c.start('ACTIVATE "%s" "%s" "%s"' % (n, location, acl)) for n in names[i : i + 500]]
            assert all(c.finish(t).status == "OK" for t in tags)


def test_list_of_10000_mailboxes(murder):
    murder.add_user("anna", 0)
    names = ["user.anna.f%05d" % i for i in range(10000)]
    activate(murder, names, murder.names[0] + "!default", "anna\tlrswipkxtecdan\t")
    murder.wait_listed("user/anna/f09999")
    with murder.imap("anna") as c:
        assert len(c.list("", "*")) == 10001
        assert len(c.list("", "f0999%")) == 10
        assert len(c.list("", "f*7")) == 1000
    with murder.imap(ADMIN) as c:
        assert len(c.list("", "user/*")) == 10001


# ---- failures ----


def away(frontend):
    """What a frontend's status says of servers that it does not reach: (server, protocol)."""
    return set(re.findall(r"^server (\S+) state=away protocol=(\w+) since=\d+ tried=\d+ reason=.+$", frontend.status(), re.M))


def test_backend_stopped(murder):
    two_users(murder)
    fe = murder.fe[0]
    assert away(fe) == set()
    with murder.imap("anna") as anna, murder.imap("ben") as ben:
        ben.select("INBOX")
        murder.be[1].stop()
        assert "UNAVAILABLE" in ben.no("FETCH 1:* FLAGS").text
        assert "UNAVAILABLE" in ben.no("SELECT INBOX").text
        assert ben.list("", "*") == ["INBOX"]
        anna.append("INBOX", NEW)
        assert anna.select("INBOX") == 1
        with murder.imap("anna") as again:
            assert again.select("INBOX") == 1
        with murder.lmtp() as lmtp:
            replies = lmtp.deliver("s@example.org", ["anna", "ben", "nobody"], NEW)
        assert [c // 100 for c, _ in replies] == [2, 4, 5]
        assert away(fe) == {(murder.names[1], "imap"), (murder.names[1], "lmtp")}
        murder.be[1].start()
        deadline = time.monotonic() + 90
        while ben.command("SELECT INBOX").status != "OK":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with murder.lmtp() as lmtp:
            while lmtp.deliver("s@example.org", ["ben"], NEW)[0][0] != 250:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert away(fe) == set()


def test_master_stopped_and_started(murder):
    two_users(murder)
    with murder.imap("anna") as anna:
        murder.m.stop()
        for command in ("CREATE new", "SETACL INBOX ben lrs", "RENAME INBOX other"):
            refused = anna.no(command)
            assert "mupdate" in refused.text.lower(), refused
        assert anna.list("", "*") == ["INBOX"]
        assert anna.no("SELECT missing").text.startswith("[UNAVAILABLE]")  # it may exist
        anna.append("INBOX", NEW)
        assert anna.select("INBOX") == 1
        with murder.lmtp() as lmtp:
            replies = lmtp.deliver("s@example.org", ["anna", "ben"], message(subject="two"))
        assert [c for c, _ in replies] == [250, 250]
        with murder.lmtp() as lmtp:
            assert lmtp.deliver("s@example.org", ["nobody"], NEW)[0][0] // 100 == 4
        murder.m.start()
        deadline = time.monotonic() + 90
        while anna.command("CREATE new").status != "OK":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        murder.wait_listed("user/anna/new")
        assert anna.list("", "*") == ["INBOX", "new"]


def test_backend_starts_without_the_master(murder):
    """ctl_mboxlist -m in START exits 0; the node converges later."""
    two_users(murder)
    murder.m.stop()
    murder.be[0].stop()
    murder.be[0].start()
    with directly(murder, 0, "anna") as c:
        c.append("INBOX", NEW)
    murder.m.start()
    deadline = time.monotonic() + 90
    with murder.imap("anna") as c:
        while c.command("CREATE after").status != "OK":
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_frontend_that_never_had_the_list(murder):
    """It may not tell a client that there is nothing: he would drop what he has."""
    two_users(murder)
    fe = murder.fe[0]
    fe.kill()
    shutil.rmtree(fe.path("config"))
    murder.m.stop()
    fe.start()
    with murder.imap("anna") as c:
        for command in ('LIST "" *', 'LSUB "" *', "SELECT INBOX", "STATUS INBOX (MESSAGES)"):
            assert c.no(command).text.startswith("[UNAVAILABLE]"), command
        murder.m.start()
        deadline = time.monotonic() + 90
        while c.command('LIST "" *').status != "OK":
            assert time.monotonic() < deadline
        assert c.list("", "*") == ["INBOX"]
        assert c.select("INBOX") == 0


def test_frontend_killed_and_started_empty(murder):
    two_users(murder)
    fe = murder.fe[0]
    with murder.imap("anna") as c:
        c.append("INBOX", NEW)
    fe.kill()
    shutil.rmtree(fe.path("config"))
    fe.start()
    murder.wait_listed("user/ben")
    with murder.imap("anna") as c:
        assert c.select("INBOX") == 1


def test_lost_master_database_is_rebuilt_by_the_backends(murder):
    two_users(murder)
    murder.m.stop()
    shutil.rmtree(murder.m.path("config"))
    murder.m.start()
    deadline = time.monotonic() + 90
    with murder.imap("anna") as c:
        while c.command("CREATE after").status != "OK":
            assert time.monotonic() < deadline
            time.sleep(0.2)
    for i in (0, 1):
        murder.be[i].command("ctl_mboxlist", "-m")
    murder.wait_listed("user/ben")


# ---- delivery ----


def test_lmtp_to_both_backends(murder):
    two_users(murder)
    murder.add_user("carla", 1)
    with murder.lmtp() as lmtp:
        for i in range(5):
            replies = lmtp.deliver("s@example.org", ["anna", "ben", "carla", "nobody"], message(subject="s%d" % i))
            assert [c for c, _ in replies] == [250, 250, 250, 550]
    for user in ("anna", "ben", "carla"):
        with murder.imap(user) as c:
            assert c.select("INBOX") == 5
            assert b"Subject: s4" in c.body(5)


def test_lmtp_over_the_unix_socket(murder):
    two_users(murder)
    with Lmtp(murder.fe[0].path("lmtp")) as lmtp:
        assert lmtp.deliver("s@example.org", ["anna", "ben"], NEW) != []
    with murder.imap("ben") as c:
        assert c.select("INBOX") == 1


def test_large_message(murder):
    two_users(murder)
    big = message(body=("x" * 70 + "\r\n") * 100000)
    with murder.lmtp() as lmtp:
        assert [c for c, _ in lmtp.deliver("s@example.org", ["anna", "ben"], big)] == [250, 250]
    with murder.imap("ben") as c:
        c.select("INBOX")
        assert c.body(1).endswith(big)
        c.append("INBOX", big)
        c.ok("NOOP")
        assert c.body(2) == big


# ---- the stop ----


def test_graceful_stop_says_bye(murder):
    two_users(murder)
    with murder.imap("anna") as c:
        c.select("INBOX")
        murder.fe[0].master.send_signal(signal.SIGQUIT)
        assert c.read_response().startswith(b"* BYE")


# ---- roles are configuration ----


def test_imapd_and_lmtpd_on_a_frontend(workdir, network):
    """The ordinary programs on a node with mupdate_server and without proxyservers are the frontend."""
    murder = Murder(workdir, network)
    fe = murder.fe[0]
    for name in ("imap", "lmtp", "lmtpunix"):
        fe.services[name] = fe.services[name].replace("proxyd", "imapd" if name == "imap" else "d")
    assert "lmtpd" in fe.services["lmtp"]
    try:
        murder.start()
        two_users(murder)
        with murder.lmtp() as lmtp:
            assert [c for c, _ in lmtp.deliver("s@example.org", ["anna", "ben"], NEW)] == [250, 250]
        with murder.imap("anna") as anna, murder.imap("ben") as ben:
            assert anna.select("INBOX") == 1 and ben.select("INBOX") == 1
            ben.ok("SETACL INBOX anna lrswipkxte")
            assert "COPYUID" in anna.ok('COPY 1 "Other Users/ben"').text
        assert not [d for d, _, files in os.walk(fe.dir) if any(f.endswith(".") for f in files)]
    finally:
        murder.cleanup()


def test_unified_node_serves_its_own_and_proxies_the_rest(workdir, network):
    murder = Murder(workdir, network, conf={"mupdate_config": "unified"}, frontends=0)
    try:
        for node in murder.be:
            node.services["mupdate"] = 'cmd="mupdate" listen="%s:%d" prefork=1' % (node.address, net.MUPDATE)
            node.conf.update({"proxy_authname": PROXY, "proxy_password": PASSWORD})
        murder.start()
        unified_nodes(murder)
    finally:
        murder.cleanup()


def unified_nodes(murder):
    for node in murder.nodes:
        node.add_user("anna", "ben")
    for i, user in enumerate(("anna", "ben")):
        with Imap(murder.be[i].address).login(ADMIN) as c:
            c.ok("CREATE user/%s" % user)
    for i in (0, 1):
        for user in ("anna", "ben"):
            deadline = time.monotonic() + 20
            with Imap(murder.be[i].address).login(user) as c:
                while c.command("SELECT INBOX").status != "OK":
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                c.append("INBOX", NEW)
    with Imap(murder.be[1].address).login("anna") as c:
        assert c.select("INBOX") == 2


def test_default_server_alone(make_murder):
    """A defaultserver needs no serverlist; a server that neither names gets nothing."""
    murder = make_murder(conf={"serverlist": None})
    with murder.imap("cyrus") as admin:
        admin.ok("CREATE user/carl")
        assert "serverlist" in admin.no("CREATE user/dora %s" % murder.names[1]).text
    with Imap(murder.be[0].address).login("cyrus") as admin:
        assert admin.list("", "user/carl") == ["user/carl"]


def test_create_on_a_server_and_partition(murder):
    """CREATE's third argument in Cyrus's forms: a server, server!partition, !partition."""
    with murder.imap("cyrus") as admin:
        admin.ok("CREATE user/carl %s!default" % murder.names[1])
        admin.ok("CREATE user/dora !default")
        assert "CANNOT" in admin.no("CREATE user/eve %s!nowhere" % murder.names[1]).text
        assert "serverlist" in admin.no("CREATE user/eve 127.0.0.1!default").text
    for i, name in ((1, "user/carl"), (0, "user/dora")):
        with Imap(murder.be[i].address).login("cyrus") as admin:
            assert admin.list("", "user/*") == [name]


def test_create_stays_with_the_parent(murder):
    with murder.imap(ADMIN) as admin:
        admin.ok("CREATE user/ann %s!default" % murder.names[1])
        admin.ok("CREATE user/ann/a %s!default" % murder.names[1])
        admin.ok("CREATE user/ann/b %s" % murder.names[1])
        admin.ok("CREATE user/ann/c !default")
        for elsewhere in (murder.names[0], murder.names[0] + "!default"):
            assert "[CANNOT]" in admin.no("CREATE user/ann/d " + elsewhere).text
        assert admin.list("", "user/*") == ["user/ann", "user/ann/a", "user/ann/b", "user/ann/c"]
    with Mupdate(murder.m.address).login() as m:
        for name in "abc":
            assert m.find("user.ann." + name)[1] == murder.names[1] + "!default"
