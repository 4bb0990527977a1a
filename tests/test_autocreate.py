"""What a user gets who logs in for the first time (autocreate_*)."""

import os

import pytest
from iatlas.clients import Imap, Lmtp, message
from iatlas.murder import Frontend
from iatlas.node import PASSWORD, PROXY

CONF = {
    "autocreate_quota": "5000",
    "autocreate_inbox_folders": "Sent Items | Drafts|Lists/iatlas | Trash",
    "autocreate_subscribe_folders": "Sent Items|Drafts | nope",
    "autocreate_subscribe_sharedfolders": "news | none",
    "autocreate_acl": "Drafts bob lrs Drafts anyone p Trash nobody l",
    "xlist-sent": "Sent Items",
    "xlist-drafts": "Drafts",
    "xlist-trash": "Trash",
    "xlist-frob": "Trash",
    "autocreate_users": "fred bob",
}
SCRIPT = "require \"fileinto\";\r\nif header \"X-Spam\" \"yes\" { fileinto \"Junk\"; }\r\n"


def sieve_conf(workdir, text):
    """Scripts are kept, and there is one for new users."""
    file = os.path.join(workdir, "first.sieve")
    with open(file, "w", newline="") as f:
        f.write(text)
    return {"sievedir": os.path.join(workdir, "scripts"), "autocreate_sieve_script": file}


@pytest.fixture(params=["direct", "frontend"])
def welcoming(request, workdir):
    """Users can log in and have nothing."""
    conf = {**CONF, **sieve_conf(workdir, SCRIPT)}
    if request.param == "direct":
        server = request.getfixturevalue("make_imapd")(conf, users=())
    else:
        server = Frontend(request.getfixturevalue("make_murder")(conf=conf))
    server.add_user("fred", "bob", "carol")
    with server.imap() as admin:
        admin.ok("CREATE news")
    return server


def test_new_user(welcoming, workdir):
    c = welcoming.imap("fred")
    assert sorted(c.list("", "*")) == ["Drafts", "INBOX", "Lists/iatlas", "Sent Items", "Shared Folders/news", "Trash"]
    c.ok("GETQUOTAROOT INBOX").one(rb"STORAGE 0 5000\)")
    assert sorted(c.list("", "*", "LSUB")) == ["Drafts", "INBOX", "Sent Items", "Shared Folders/news"]
    found = {m.group(2): m.group(1) for m in c.ok('LIST (SPECIAL-USE) "" *').find(rb'(\\\S+)\) "/" (.*)$')}
    assert found == {b'"Sent Items"': b"\\Sent", b"Drafts": b"\\Drafts", b"Trash": b"\\Trash"}
    acl = c.ok("GETACL Drafts").untagged[0].decode()
    assert " bob lrs" in acl and " anyone p" in acl
    assert " nobody l" in c.ok("GETACL Trash").untagged[0].decode() and "bob" not in c.ok("GETACL Trash").untagged[0].decode()
    # only what is not there is made: a folder that he deletes stays away
    c.ok("DELETE Trash")
    assert "Trash" not in welcoming.imap("fred").list("", "*")
    # whoever else has been named gets his own, with sessions that begin at the same time
    two = [welcoming.imap("bob") for _ in range(2)]
    tags = [s.start("SELECT INBOX") for s in two]
    assert "OK" in [s.finish(t).status for s, t in zip(two, tags)]
    assert two[0].select("INBOX") == two[1].select("INBOX") == 0
    # the script is there once, and active
    place = os.path.join(workdir, "scripts", "b", "bob")
    assert os.readlink(os.path.join(place, "defaultbc")) == "autocreated.bc"
    with open(os.path.join(place, "autocreated.script"), newline="") as f:
        assert f.read() == SCRIPT
    assert [n for n in os.listdir(place) if n.endswith(".script")] == ["autocreated.script"]
    # and nobody else
    assert not os.path.exists(os.path.join(workdir, "scripts", "c"))
    assert welcoming.imap("carol").list("", "*") == ["Shared Folders/news"]
    welcoming.imap().ok("NOOP")
    assert "carol" not in " ".join(welcoming.imap().list("", "*"))


def test_place(make_murder):
    """Where serverlist_select_mode says, and nowhere else: to ask a server for its space makes nothing there."""
    murder = make_murder(conf={"autocreate_quota": "0", "serverlist_select_mode": "freespace-most"})
    del murder.fe[0].conf["defaultserver"]
    murder.fe[0].stop()
    murder.fe[0].start()
    frontend = Frontend(murder)
    frontend.add_user("fred")
    assert frontend.imap("fred").select("INBOX") == 0
    made = [be.log().count("autocreate ") for be in murder.be]
    assert sorted(made) == [0, 1], made


def test_script_that_does_not_compile(make_imapd, workdir):
    """The INBOX does not depend on it."""
    server = make_imapd({"autocreate_quota": "0", **sieve_conf(workdir, 'fileinto "no require";')}, users=())
    server.add_user("fred")
    assert server.imap("fred").select("INBOX") == 0
    assert 'sieve.autocreate user="fred"' in server.log()
    assert not os.path.lexists(os.path.join(workdir, "scripts", "f", "fred", "defaultbc"))


def test_nothing_is_made_by_default(imapd):
    imapd.add_user("carol")
    c = imapd.imap("carol")
    assert c.list("", "*") == []
    assert "NONEXISTENT" in c.no("SELECT INBOX").text


def test_without_the_master(make_murder):
    """A new user waits for his INBOX until it can be made, and does not lose his session for it."""
    murder = make_murder(conf={"autocreate_quota": "0"})
    frontend = Frontend(murder)
    frontend.add_user("fred")
    murder.m.stop()
    c = frontend.imap("fred")
    assert "UNAVAILABLE" in c.no("SELECT INBOX").text
    c.ok("NOOP")
    murder.m.start()
    c = frontend.imap("fred")
    while c.command("SELECT INBOX").status != "OK":
        c = frontend.imap("fred")
    assert "QUOTA" not in "".join(u.decode() for u in c.ok("GETQUOTAROOT INBOX").untagged if u.startswith(b"* QUOTA "))


def deliver(address, *users, proxy=False):
    with Lmtp(address) as c:
        if proxy:
            c.login(PROXY, PASSWORD)
        return [code for code, text in c.deliver("sender@example.org", users, message("first"))]


def test_first_message(make_server, workdir):
    """autocreate_post: the first message makes what a first login does, and the first script runs on it."""
    script = 'require ["fileinto"]; if header "subject" "first" { fileinto "Trash"; }'
    server = make_server(conf={**CONF, "autocreate_post": "yes", "admins": "cyrus", **sieve_conf(workdir, script)})
    assert deliver(server.address, "fred+Trash", "bob", "carol", "cyrus", "+nowhere", "fred") == [250, 250, 550, 550, 550, 250]
    server.add_user("fred", "bob")
    for user in ("fred", "bob"):
        with Imap(server.address).login(user) as c:
            assert {"Drafts", "INBOX", "Lists/iatlas", "Sent Items", "Trash"} <= set(c.list("", "*"))
            assert [c.select(m) for m in ("INBOX", "Trash")] == [0, 1], user
    assert not os.path.exists(os.path.join(workdir, "scripts", "c"))


def test_first_message_is_refused_by_default(make_server):
    server = make_server(conf={"autocreate_quota": "0"})
    assert deliver(server.address, "fred") == [550]


def test_first_message_in_a_murder(make_murder):
    """The master decides which server makes it; while it is away the message has to wait."""
    murder = make_murder(backends=2, frontends=1, conf={"autocreate_quota": "0", "autocreate_post": "yes"})
    assert deliver(murder.be[0].address, "fred", proxy=True) == [250]
    assert deliver(murder.be[1].address, "fred", proxy=True)[0] // 100 == 4
    assert deliver(murder.fe[0].address, "fred", "bob") == [250, 550]
    murder.m.stop()
    assert deliver(murder.be[0].address, "carol", "fred", proxy=True) == [451, 250]
    murder.m.start()
