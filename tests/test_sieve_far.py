"""Scripts that file into mailboxes of other servers (IMAP APPEND as the owner), and what becomes of it when that server is away."""

import os
import re
import shutil
import tempfile

import pytest

from iatlas import Murder, net, scripts
from iatlas.clients import Imap, message
from iatlas.direct import wait_for
from iatlas.node import ADMIN, PASSWORD, PROXY


@pytest.fixture(scope="module")
def far():
    """Two backends; a user's INBOX is on the first."""
    directory, network, made = tempfile.mkdtemp(prefix="ia-"), net.Network(), None
    try:
        conf = {
            "sievedir": os.path.join(directory, "scripts"),
            "proxy_authname": PROXY,
            "proxy_password": PASSWORD,
            "client_timeout": "5s",
        }
        made = Murder(directory, network, conf=conf)
        made.start()
        yield made
    finally:
        if made:
            made.cleanup()
        network.close()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


def bodies(murder, user, mailbox):
    with murder.imap(user) as c:
        c.select(mailbox)
        return [c.body(u) for u in c.uids()]


def deliver(murder, user, data):
    with murder.lmtp() as c:
        replies = c.deliver("sender@example.org", [user], data)
    assert [r[0] for r in replies] == [250], replies


def until_filed(murder, user, mailbox):
    """Messages come until one is filed there: a server that did not answer is left alone for a second or more."""
    before = len(bodies(murder, user, mailbox))

    def filed():
        deliver(murder, user, message("back"))
        return len(bodies(murder, user, mailbox)) > before

    wait_for(filed)


def make(murder, user, *acl):
    """The user, on the first backend, and a shared mailbox on the second."""
    murder.add_user(user)
    with murder.imap(ADMIN) as c:
        c.ok("CREATE shared-%s %s" % (user, murder.names[1]))
        for rights in acl:
            c.ok("SETACL shared-%s %s %s" % (user, user, rights))


SCRIPT = """
require ["fileinto", "copy", "imap4flags", "editheader", "mailbox"];
if not mailboxexists "Shared Folders/shared-%s" { stop; }
addheader "X-Filed" "far";
fileinto :flags ["\\\\Flagged", "kw"] "Shared Folders/shared-%s";
"""


def test_far_mailbox(far):
    make(far, "anna", "lrswip")
    scripts.put(far.be[0], "anna", SCRIPT % ("anna", "anna"))
    data = message("far away", body="line\r\n.dot\r\n" * 20000)
    for _ in range(2):  # the same message comes again: it is there already
        deliver(far, "anna", data)
    (got,) = bodies(far, "anna", '"Shared Folders/shared-anna"')
    assert b"X-Filed: far\r\n" in got and got.split(b"\r\n\r\n", 1)[1] == data.split(b"\r\n\r\n", 1)[1]
    with far.imap("anna") as c:
        c.select('"Shared Folders/shared-anna"')
        flags = b"".join(c.ok("UID FETCH 1 FLAGS").untagged)
        assert rb"\Flagged" in flags and b"kw" in flags
    assert bodies(far, "anna", "INBOX") == []


def test_far_mailbox_without_right(far):
    make(far, "bert", "lr")
    scripts.put(far.be[0], "bert", 'require "fileinto"; fileinto "Shared Folders/shared-bert";')
    deliver(far, "bert", message("kept"))
    assert len(bodies(far, "bert", "INBOX")) == 1
    assert 'sieve.trouble user="bert" name="fileinto"' in far.be[0].log()


def test_far_backend_away(far):
    """What cannot be filed there is kept here, at once; when it is back messages go there again."""
    make(far, "carl", "lrswip")
    scripts.put(far.be[0], "carl", 'require "fileinto"; fileinto "Shared Folders/shared-carl";')
    far.be[1].kill()
    try:
        deliver(far, "carl", message("kept"))
        assert len(bodies(far, "carl", "INBOX")) == 1
    finally:
        far.be[1].start()
    until_filed(far, "carl", '"Shared Folders/shared-carl"')


def test_master_away(far):
    """A name that nobody can be asked about: kept; what is here is filed as ever."""
    far.add_user("dora")
    with far.imap("dora") as c:
        c.ok("CREATE here")
    scripts.put(
        far.be[0],
        "dora",
        'require "fileinto"; if header :is "subject" "here" { fileinto "here"; } else { fileinto "Shared Folders/x"; }',
    )
    far.m.kill()
    try:
        deliver(far, "dora", message("here"))
        deliver(far, "dora", message("there"))
    finally:
        far.m.start()
    assert [len(bodies(far, "dora", m)) for m in ("here", "INBOX")] == [1, 1]


def test_far_annotation(far):
    """RFC 5490: of a mailbox elsewhere, with the owner's rights; when its server is away the script fails, and the message is kept."""
    make(far, "emil", "lrswip")
    with far.imap("emil") as c:
        c.ok('CREATE seen')
        c.ok('SETMETADATA "Shared Folders/shared-emil" (/private/comment {3+}\r\na"b /shared/comment "ours")')
    scripts.put(
        far.be[0],
        "emil",
        """
        require ["mboxmetadata", "fileinto"];
        if not allof (metadata "Shared Folders/shared-emil" "/private/comment" "a\\"b",
                      metadataexists "Shared Folders/shared-emil" ["/shared/comment", "/private/comment"],
                      not metadataexists "Shared Folders/shared-emil" "/shared/a b",
                      not metadataexists "Shared Folders/missing" "/shared/comment") { discard; stop; }
        fileinto "seen";
        """,
    )
    deliver(far, "emil", message("seen"))
    assert [len(bodies(far, "emil", m)) for m in ("INBOX", "seen")] == [0, 1]
    far.be[1].kill()
    try:
        deliver(far, "emil", message("kept"))
    finally:
        far.be[1].start()
    assert [len(bodies(far, "emil", m)) for m in ("INBOX", "seen")] == [1, 1]
    assert 'sieve.failed user="emil"' in far.be[0].log()
    until_filed(far, "emil", "seen")
