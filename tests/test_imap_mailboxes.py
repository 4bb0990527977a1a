"""Mailbox names: LIST and its kin, CREATE, DELETE, RENAME, STATUS, ACLs, quotas."""

import re

import pytest
from iatlas.clients import message


def test_list(served):
    c = served.imap("fred")
    for name in ("Sent", "Work", "Work/2026/May", "a&AOQ-"):
        c.ok("CREATE " + name)
    assert c.list("", "*") == ["INBOX", "Sent", "Work", "Work/2026/May", "a&AOQ-"]
    assert c.list("", "%") == ["INBOX", "Sent", "Work", "a&AOQ-"]
    assert c.list("Work/", "%") == ["Work/2026"]
    assert c.list("", "Work/%/%") == ["Work/2026/May"]
    assert c.list("", "inbox") == ["INBOX"]
    assert c.list("", "W*y") == ["Work/2026/May"]
    assert c.list("", "nope") == []
    lines = {m.group(2): m.group(1) for m in c.ok('LIST "" %').find(rb'LIST \((.*)\) "/" (\S+)')}
    assert lines[b"Work"] == rb"\HasChildren" and lines[b"Sent"] == rb"\HasNoChildren"
    assert lines[b"INBOX"] == rb"\HasNoChildren"
    c.ok('LIST "Work/" %').one(rb'^\* LIST \(\\Noselect \\HasChildren\) "/" Work/2026$')
    c.ok('LIST "" ""').one(rb'^\* LIST \(\\Noselect\) "/" ""$')


def test_namespaces(make_imapd):
    imapd = make_imapd({"altnamespace": "no", "unixhierarchysep": "no"}, users=())
    imapd.add_user("fred", "bob")
    admin = imapd.imap()
    for name in ("user.fred", "user.bob", "shared"):
        admin.ok("CREATE " + name)
    admin.ok("SETACL user.bob fred lr")
    c = imapd.imap("fred")
    c.ok("NAMESPACE").one(rb'\(\("INBOX\." "\."\)\) \(\("user\." "\."\)\) \(\("" "\."\)\)')
    c.ok("CREATE INBOX.Sent")
    assert c.ok('LIST "" *').find(rb'"\." (\S+)$') != []
    names = sorted(m.group(1) for m in c.ok('LIST "" *').find(rb'"\." (\S+)$'))
    assert names == [b"INBOX", b"INBOX.Sent", b"shared", b"user.bob"]
    c.ok("NAMESPACE")
    assert b"NIL" in admin.ok("NAMESPACE").untagged[0]


def test_others_and_shared(served):
    admin = served.imap()
    admin.ok("CREATE shared/list")
    admin.ok("SETACL user/bob fred lrs")
    c = served.imap("fred")
    assert sorted(c.list("", "*")) == ["INBOX", "Other Users/bob", "Shared Folders/shared/list"]
    assert sorted(c.list("", "%")) == ["INBOX", "Other Users", "Shared Folders"]
    assert c.list("Other Users/", "%") == ["Other Users/bob"]
    assert c.select('"Other Users/bob"') == 0
    assert served.imap("bob").list("", "*") == ["Shared Folders/shared/list", "INBOX"]


def test_subscriptions(served):
    c = served.imap("fred")
    c.ok("CREATE Sent")
    c.ok("CREATE Work/2026")
    assert c.list("", "*", "LSUB") == []
    for name in ("INBOX", "Sent", "Work/2026"):
        c.ok("SUBSCRIBE " + name)
    c.ok("SUBSCRIBE Sent")
    assert "NONEXISTENT" in c.no("SUBSCRIBE nope").text
    assert c.list("", "*", "LSUB") == ["INBOX", "Sent", "Work/2026"]
    c.ok('LSUB "" %').one(rb'^\* LSUB \(\\Noselect\) "/" Work$')
    c.ok("UNSUBSCRIBE Sent")
    c.ok("UNSUBSCRIBE never")
    assert c.list("", "*", "LSUB") == ["INBOX", "Work/2026"]
    # a deleted mailbox is not shown, its subscription stays (RFC 3501 6.3.6)
    c.ok("DELETE Work/2026")
    assert c.list("", "*", "LSUB") == ["INBOX"]
    c.ok("CREATE Work/2026")
    assert c.list("", "*", "LSUB") == ["INBOX", "Work/2026"]
    assert served.imap("bob").list("", "*", "LSUB") == []


def test_create_delete(served):
    c = served.imap("fred")
    c.ok("CREATE Work/")
    assert "ALREADYEXISTS" in c.no("CREATE Work").text
    assert "ALREADYEXISTS" in c.no("CREATE INBOX").text
    for bad in ("a//b", '"a*b"', '"a%b"', "&x-", '"Other Users/bob/x"', '"Shared Folders/x"'):
        c.no("CREATE " + bad)
    c.ok("DELETE Work")
    assert "NONEXISTENT" in c.no("DELETE Work").text
    assert "NOPERM" in c.no("DELETE INBOX").text
    c.no('DELETE "Other Users/bob"')
    assert c.list("", "*") == ["INBOX"]


def test_create_select_at_once(served):
    c = served.imap("fred")
    c.send("A001 CREATE new\r\nA002 SELECT new\r\nA003 DELETE new\r\nA004 NOOP\r\n")
    status = {}
    while b"A004" not in status:
        r = c.read_response()
        if not r.startswith(b"*"):
            status[r.split()[0]] = r.split()[1]
    assert set(status.values()) == {b"OK"}


def test_rename(served):
    c = served.imap("fred")
    c.ok("CREATE a")
    c.ok("CREATE a/b")
    c.append("a/b", message("kept"))
    uidvalidity = c.ok("STATUS a/b (UIDVALIDITY)").untagged
    r = c.ok("RENAME a x/y")
    r.one(rb"^\* OK rename a x/y$")
    r.one(rb"^\* OK rename a/b x/y/b$")
    assert c.list("", "*") == ["INBOX", "x/y", "x/y/b"]
    assert c.ok("STATUS x/y/b (UIDVALIDITY)").untagged[0].split()[-1] == uidvalidity[0].split()[-1]
    assert c.select("x/y/b") == 1
    assert "NONEXISTENT" in c.no("RENAME nope z").text
    assert "ALREADYEXISTS" in c.no("RENAME x/y INBOX").text
    # RENAME of INBOX moves its messages and leaves it empty
    c.append("INBOX", message("moved"))
    c.ok("RENAME INBOX old")
    assert c.select("old") == 1 and c.select("INBOX") == 0


def test_rename_of_what_is_hidden(served):
    """Whoever may not know of a mailbox is answered as if it were not there, on whichever server it is (RFC 4314 section 6)."""
    c, b = served.imap("fred"), served.imap("bob")
    b.ok("CREATE hidden")
    for to in ("taken", '"Other Users/nobody/x"', '"Other Users/bob/taken"'):
        assert c.no('RENAME "Other Users/bob/hidden" ' + to).text == c.no('RENAME "Other Users/bob/absent" ' + to).text
    b.ok("SETACL hidden fred l")
    assert c.no('RENAME "Other Users/bob/hidden" taken').text.startswith("[NOPERM] ")


def test_status(served):
    c = served.imap("fred")
    c.append("INBOX", message(), "\\Seen")
    c.append("INBOX", message())
    r = c.ok("STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)")
    m = r.one(rb"^\* STATUS INBOX \(MESSAGES 2 RECENT 2 UIDNEXT 3 UIDVALIDITY (\d+) UNSEEN 1\)$")
    c.select("INBOX")
    c.ok("SELECT INBOX").one(rb"UIDVALIDITY %s\]" % m.group(1))
    c.ok("STATUS inbox (unseen)").one(rb"^\* STATUS INBOX \(UNSEEN 1\)$")
    assert "NONEXISTENT" in c.no("STATUS nope (MESSAGES)").text


def test_acl(served):
    c, bob = served.imap("fred"), served.imap("bob")
    c.ok("GETACL INBOX").one(rb"^\* ACL INBOX fred lrswipkxtecdan$")
    assert "NONEXISTENT" in bob.no('SELECT "Other Users/fred"').text
    c.ok("SETACL INBOX bob l")
    assert "NOPERM" in bob.no('SELECT "Other Users/fred"').text
    assert "NOPERM" in bob.no('GETACL "Other Users/fred"').text
    c.ok("SETACL INBOX bob +rs")
    bob.ok('MYRIGHTS "Other Users/fred"').one(rb'^\* MYRIGHTS "Other Users/fred" lrs$')
    c.append("INBOX", message())
    r = bob.ok('SELECT "Other Users/fred"')
    assert "READ-WRITE" in r.text
    r.one(rb"PERMANENTFLAGS \(\\Seen\)")
    bob.ok("STORE 1 +FLAGS (\\Seen)")
    assert "NOPERM" in bob.no("STORE 1 +FLAGS (\\Deleted)").text
    assert "NOPERM" in bob.no("EXPUNGE").text
    assert "NOPERM" in bob.no(['APPEND "Other Users/fred" ', message()]).text
    # seen is private
    c.select("INBOX")
    assert c.uids("UNSEEN") == [1] and bob.uids("SEEN") == [1]
    c.ok("SETACL INBOX bob -s")
    c.ok("LISTRIGHTS INBOX bob").one(rb"^\* LISTRIGHTS INBOX bob ")
    c.ok("DELETEACL INBOX bob")
    c.ok("GETACL INBOX").one(rb"^\* ACL INBOX fred lrswipkxtecdan$")
    c.no("SETACL nope bob lr")
    bob2 = served.imap("bob")
    bob2.no('SETACL "Other Users/fred" bob lrswipkxtea')


def test_rights_revoked(imapd):
    """Who loses the right r while he has the mailbox selected is told BYE."""
    c, bob = imapd.imap("fred"), imapd.imap("bob")
    c.ok("SETACL INBOX bob lr")
    bob.select('"Other Users/fred"')
    c.ok("DELETEACL INBOX bob")
    tag = bob.start("NOOP")
    assert bob.read_line().startswith(b"* BYE"), tag
    with pytest.raises(EOFError):
        bob.read_line()


def test_selected_deleted_and_renamed(imapd):
    c, d = imapd.imap("fred"), imapd.imap("fred")
    c.ok("CREATE a")
    c.append("a", message())
    d.select("a")
    c.ok("RENAME a b")
    assert len(d.ok("FETCH 1 UID").untagged) == 1
    c.ok("DELETE b")
    d.start("NOOP")
    assert d.read_line().startswith(b"* BYE")
    # the own selected mailbox: the session goes on without one
    c.ok("CREATE a")
    c.select("a")
    c.ok("DELETE a")
    c.bad("FETCH 1 UID")
    c.ok("NOOP")


def test_selection_lost_through_the_frontend(murder):
    """The backend's BYE ends the selection, not the client's connection."""
    for i, name in enumerate(("fred", "bob")):
        murder.add_user(name, i)
    with murder.imap("fred") as c, murder.imap("bob") as bob:
        c.append("INBOX", message())
        c.ok("SETACL INBOX bob lr")
        assert bob.select('"Other Users/fred"') == 1
        c.ok("DELETEACL INBOX bob")
        met = bob.command("NOOP")  # the one that meets the BYE, unless it came before
        assert met.status == "OK" or "UNAVAILABLE" in met.text and "no address" not in met.text
        assert "UNAVAILABLE" in bob.no("FETCH 1 FLAGS").text
        bob.ok("NOOP")
        assert bob.list("", "*") == ["INBOX"]
        assert bob.select("INBOX") == 0


def test_quota(served):
    c, admin = served.imap("fred"), served.imap()
    assert c.ok("GETQUOTAROOT INBOX").untagged == [b"* QUOTAROOT INBOX"]
    assert "NOPERM" in c.no("SETQUOTA INBOX (STORAGE 100)").text
    assert "NONEXISTENT" in c.no("GETQUOTA INBOX").text
    admin.ok("SETQUOTA user/fred (STORAGE 4 MESSAGE 3)")
    c.ok("GETQUOTAROOT INBOX").one(rb"^\* QUOTAROOT INBOX INBOX$")
    c.append("INBOX", message(body="x" * 100 + "\r\n"))
    c.ok("GETQUOTA INBOX").one(rb"^\* QUOTA INBOX \(STORAGE 1 4 MESSAGE 1 3\)$")
    assert "OVERQUOTA" in c.no(["APPEND INBOX ", message(body="y" * 70 + "\r\n" + "x" * 5000 + "\r\n")]).text
    # what is below counts to the same root
    c.ok("CREATE sub")
    c.append("sub", message())
    c.append("sub", message())
    assert "OVERQUOTA" in c.no(["APPEND sub ", message()]).text
    c.select("sub")
    assert "OVERQUOTA" in c.no("COPY 1 INBOX").text
    c.ok("STORE 1 +FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    c.ok("GETQUOTA INBOX").one(rb"MESSAGE 2 3\)$")
    admin.ok("SETQUOTA user/fred ()")
    c.append("sub", message())
    assert "CANNOT" in admin.no("SETQUOTA user/fred (STORAGE 1 FOO 1)").text
    assert "LIMIT" in admin.no("SETQUOTA user/fred (STORAGE %d)" % (2**63 - 1)).text  # a number it is (RFC 9208 section 7)
    admin.bad("SETQUOTA user/fred (STORAGE %d)" % 2**63)
    assert "NONEXISTENT" in admin.no("GETQUOTA user/fred").text
    served.imap("bob").no('GETQUOTA "Other Users/fred"')


def test_what_expunge_would_give_back(served):
    """RFC 9208 4.1.4: DELETED and DELETED-STORAGE, of STATUS and of LIST."""
    c = served.imap("fred")
    said = c.ok("CAPABILITY").untagged[0].split()
    assert {b"QUOTASET", b"QUOTA=RES-STORAGE", b"QUOTA=RES-MESSAGE", b"QUOTA=RES-MAILBOX"} <= set(said)
    assert not [w for w in said if w.startswith(b"QUOTA=") and w[6:] not in (b"RES-STORAGE", b"RES-MESSAGE", b"RES-MAILBOX")]
    texts = [message(body="x" * (100 * i) + "\r\n") for i in range(1, 4)]
    for text in texts:
        c.append("INBOX", text)
    status = "STATUS INBOX (DELETED-STORAGE MESSAGES DELETED)"
    assert c.ok(status).untagged == [b"* STATUS INBOX (MESSAGES 3 DELETED 0 DELETED-STORAGE 0)"]
    c.select("INBOX")
    c.ok("STORE 1,3 +FLAGS (\\Deleted)")
    for expected in (len(texts[0]) + len(texts[2]), len(texts[2])):
        n = 2 if expected > len(texts[2]) else 1
        told = b"* STATUS INBOX (DELETED %d DELETED-STORAGE %d)" % (n, expected)
        assert told in c.ok("STATUS INBOX (DELETED DELETED-STORAGE)").untagged
        assert told in c.ok('LIST "" INBOX RETURN (STATUS (DELETED DELETED-STORAGE))').untagged
        c.ok("UID EXPUNGE 1")


def test_quota_of_mailboxes(served):
    """RFC 9208: the resource MAILBOX, what SETQUOTA says and takes, roots of mailboxes that are not there."""
    c, admin = served.imap("fred"), served.imap()
    c.ok("CREATE a")
    assert admin.ok("SETQUOTA user/fred (MAILBOX 4 MESSAGE 9)").untagged == [b"* QUOTA user/fred (MESSAGE 0 9 MAILBOX 2 4)"]
    assert admin.ok("SETQUOTA user/fred (X-NUM-FOLDERS 4)").untagged == [b"* QUOTA user/fred (MAILBOX 2 4)"]
    for name in ("a/b", "c"):
        c.ok("CREATE " + name)
    for said in ("CREATE d", "CREATE a/d", "RENAME INBOX d"):
        assert c.no(said).text.startswith("[OVERQUOTA] "), said
    assert admin.no("CREATE user/fred/d").text.startswith("[OVERQUOTA] ")
    assert c.list("", "*") == ["INBOX", "a", "a/b", "c"]
    # what stays under the root, or goes with it, needs no room; what comes does
    c.ok("RENAME a z")
    c.ok("DELETE c")
    c.ok("CREATE c")
    for name in ("shared", "shared/x"):
        admin.ok("CREATE " + name)
        admin.ok("SETACL %s fred lrswipkxte" % name)
    placed = admin.command("RENAME shared user/fred/shared")  # elsewhere for bob's server
    assert placed.status == "NO" and ("OVERQUOTA" in placed.text or "CANNOT" in placed.text)
    c.ok("DELETE c")
    c.ok("GETQUOTA INBOX").one(rb"\(MAILBOX 3 4\)$")
    assert admin.list("", "shared*") == ["shared", "shared/x"]
    admin.ok("SETQUOTA user/fred (MAILBOX 0)")
    assert c.no("CREATE d").text.startswith("[OVERQUOTA] ")
    # a mailbox that is not there has the root that it would have
    assert c.ok("GETQUOTAROOT none/such").untagged == [b"* QUOTAROOT none/such INBOX", b"* QUOTA INBOX (MAILBOX 3 0)"]
    assert c.ok("GETQUOTAROOT z/b").untagged[0] == b"* QUOTAROOT z/b INBOX"
    for other in ('"Other Users/bob/x"', '"Shared Folders/nonesuch"'):
        assert "NONEXISTENT" in c.no("GETQUOTAROOT " + other).text
    # no limit at all
    assert admin.ok("SETQUOTA user/fred ()").untagged == [b"* QUOTA user/fred ()"]
    c.ok("CREATE d")
    for wrong in ("(MAILBOX)", "(MAILBOX -1)", "MAILBOX 1", "(MAILBOX 1", "(MAILBOX 9223372036854775808)", "(MAILBOX 1 )"):
        admin.bad("SETQUOTA user/fred " + wrong)


def test_list_many(served):
    """LIST shows what the user may see, and does not grow with what others have."""
    admin = served.imap()
    data = b"".join(b"c%d CREATE user/fred/f%d\r\n" % (i, i) for i in range(300))
    admin.send(data)
    for i in range(300):
        assert re.fullmatch(rb"c%d OK \[MAILBOXID \([\w-]{8,64}\)\] Completed" % i, admin.read_response())
    assert len(served.imap("fred").list("", "*")) == 301
    assert len(served.imap("bob").list("", "*")) == 1
    assert len(admin.list("user/fred/", "%")) == 300
