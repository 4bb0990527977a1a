"""What a user gets who logs in for the first time (autocreate_*)."""

import pytest
from iatlas.murder import Frontend

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


@pytest.fixture(params=["direct", "frontend"])
def welcoming(request):
    """Users can log in and have nothing."""
    if request.param == "direct":
        server = request.getfixturevalue("make_imapd")(CONF, users=())
    else:
        server = Frontend(request.getfixturevalue("make_murder")(conf=CONF))
    server.add_user("fred", "bob", "carol")
    with server.imap() as admin:
        admin.ok("CREATE news")
    return server


def test_new_user(welcoming):
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
    # and nobody else
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
