"""Sieve at delivery: what scripts decide is done, direct and through lmtpproxyd."""

import os
import re
import select
import shutil
import tempfile
import threading
from email import message_from_string

import pytest

from iatlas import Murder, net, node, scripts
from iatlas.clients import Imap, Lmtp, message
from iatlas.direct import wait_for
from iatlas.node import ADMIN, PASSWORD, PROXY

FOLDERS = ("work", "work/deep", "Junk mail")


class Place:
    """Users with scripts, on a standalone server or on the first backend behind lmtpproxyd."""

    def __init__(self, kind, directory, network):
        self.sendmail = scripts.Sendmail(directory)
        conf = {
            "sievedir": os.path.join(directory, "scripts"),
            "lmtptxn_timeout": "60s",
            "proxy_authname": PROXY,
            "proxy_password": PASSWORD,
            "sieve_vacation_min_response": "1d",
            "sieve_spamtest_header": "X-Score",
            "sieve_spamtest_max": "5",
            "sieve_virustest_header": "X-Virus",
            **self.sendmail.conf(),
        }
        self.count = 0
        if kind == "direct":
            self.made = self.home = node.standalone(os.path.join(directory, "s"), network.address(), conf=conf)
            self.made.start()
            self.address = self.home.address
        else:
            self.made = Murder(directory, network, conf=conf)
            self.made.start()
            self.home = self.made.be[0]
            self.address = self.made.fe[0].address
        self.kind = kind

    def imap(self, user=ADMIN):
        return Imap(self.address).login(user)

    def user(self, *folders, name=None):
        """A new user with these folders; his name."""
        self.count += 1
        name = name or "user%d" % self.count
        for n in [self.home] if self.kind == "direct" else self.made.nodes:
            n.add_user(name)
        with self.imap() as c:
            where = "" if self.kind == "direct" else " " + self.home.servername
            c.ok("CREATE user/%s%s" % (name, where))
            for f in folders:
                c.ok('CREATE "user/%s/%s"' % (name, f))
        return name

    def script(self, user, text, **kw):
        scripts.put(self.home, user, text, **kw)

    def deliver(self, users, data=None, sender="sender@example.org"):
        """The codes and texts of the answers."""
        users = [users] if isinstance(users, str) else users
        with Lmtp(self.address) as c:
            return c.deliver(sender, users, data if data is not None else message("a message"))

    def has(self, user, mailbox="INBOX"):
        with self.imap(user) as c:
            c.select('"%s"' % mailbox)
            return [c.body(u) for u in c.uids()]

    def counts(self, user, *mailboxes):
        return [len(self.has(user, m)) for m in mailboxes]

    def log(self):
        return self.home.log()


@pytest.fixture(scope="module", params=["direct", "lmtpproxyd"])
def place(request):
    directory, network, made = tempfile.mkdtemp(prefix="ia-"), net.Network(), None
    try:
        made = Place(request.param, directory, network)
        yield made
    finally:
        if made:
            made.made.cleanup()
        network.close()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_sent(request):
    if "place" in request.fixturenames:
        request.getfixturevalue("place").sendmail.take()


def ok(replies):
    assert [r[0] for r in replies] == [250] * len(replies), replies


def flags_of(c, uid):
    return set(re.search(rb"FLAGS \(([^)]*)\)", b"".join(c.ok("UID FETCH %d FLAGS" % uid).untagged)).group(1).split()) - {rb"\Recent"}


# ---- filing ----


def test_fileinto(place):
    u = place.user(*FOLDERS)
    place.script(
        u,
        """
        require ["fileinto", "copy", "imap4flags", "variables"];
        if header :contains "subject" "work" { fileinto :flags ["\\\\Seen", "$urgent"] "work"; }
        elsif header :contains "subject" "both" { fileinto :copy "work/deep"; }
        elsif header :contains "subject" "blank" { fileinto "Junk mail"; }
        elsif header :contains "subject" "gone" { discard; }
        elsif header :contains "subject" "inbox" { fileinto "INBOX"; keep :flags "\\\\Flagged"; }
        elsif header :contains "subject" "nowhere" { fileinto "nowhere"; }
        """,
    )
    for subject in ("work", "both", "blank", "gone", "inbox", "nowhere", "other"):
        ok(place.deliver(u, message(subject)))
    assert place.counts(u, "INBOX", "work", "work/deep", "Junk mail") == [4, 1, 1, 1]
    assert [re.search(rb"Subject: (\w+)", m).group(1) for m in place.has(u)] == [b"both", b"inbox", b"nowhere", b"other"]
    with place.imap(u) as c:
        c.select("work")
        assert flags_of(c, 1) == {rb"\Seen", b"$urgent"}
        c.select("INBOX")
        assert flags_of(c, 2) == {rb"\Flagged"}
    assert 'sieve.trouble user="%s" name="fileinto" value="nowhere"' % u in place.log()


def test_no_script_and_broken_ones(place):
    u = place.user("work")
    ok(place.deliver(u))
    place.script(u, "require [\"fileinto\"]; fileinto \"work\"", active=True)  # no semicolon
    ok(place.deliver(u))
    assert "sieve.script user=\"%s\"" % u in place.log() and "line 1:" in place.log()
    place.script(u, 'require ["ihave", "fileinto"]; fileinto "work"; error "oh no";')
    ok(place.deliver(u))
    assert "oh no" in place.log()
    assert place.counts(u, "INBOX", "work") == [3, 0]
    place.script(u, 'require "fileinto"; fileinto "work";')  # and mended: seen at once
    ok(place.deliver(u))
    assert place.counts(u, "INBOX", "work") == [3, 1]


def test_create_and_tests_of_mailboxes(place):
    u = place.user("work")
    place.script(
        u,
        """
        require ["fileinto", "mailbox", "special-use", "mailboxid", "environment"];
        if not environment :is "phase" "during" { discard; stop; }
        if allof (mailboxexists "work", not mailboxexists ["work", "none"]) { fileinto :create "made/deep"; }
        fileinto :specialuse "\\\\Archive" :create "Archive";
        fileinto :mailboxid "no-such-id-here" "work";
        """,
    )
    ok(place.deliver(u))
    ok(place.deliver(u, message("again")))
    assert place.counts(u, "INBOX", "made/deep", "Archive", "work") == [0, 2, 2, 2]


def test_special_use(place):
    u = place.user("Archive")
    place.script(u, 'require ["fileinto", "special-use", "mailbox"]; fileinto :specialuse "\\\\Junk" :create "Spam";')
    ok(place.deliver(u))
    place.script(
        u,
        """
        require ["fileinto", "special-use"];
        if not specialuse_exists "\\\\Junk" { stop; }
        if specialuse_exists "Archive" "\\\\Junk" { stop; }
        if specialuse_exists "\\\\Trash" { stop; }
        fileinto :specialuse "\\\\Junk" "Archive";
        """,
    )
    ok(place.deliver(u, message("second")))
    assert place.counts(u, "INBOX", "Archive", "Spam") == [0, 0, 2]


def test_edited_header(place):
    u = place.user("work")
    place.script(
        u,
        """
        require ["editheader", "fileinto", "copy"];
        fileinto :copy "work";
        addheader "X-Seen-By" "the script";
        deleteheader "X-Secret";
        """,
    )
    ok(place.deliver(u, message(headers="X-Secret: 42\r\n", body="body\r\n.\r\n")))
    (before,), (after,) = place.has(u, "work"), place.has(u)
    assert b"X-Secret" in before and b"X-Seen-By" not in before
    assert b"X-Seen-By: the script\r\n" in after and b"X-Secret" not in after
    assert before.split(b"\r\n\r\n", 1)[1] == after.split(b"\r\n\r\n", 1)[1] == b"body\r\n.\r\n"


def test_detail_and_envelope(place):
    u = place.user("lists")
    with place.imap() as c:
        c.ok("SETACL user/%s/lists anyone p" % u)
    place.script(
        u,
        """
        require ["envelope", "subaddress", "fileinto", "mailbox"];
        if envelope :detail "to" "cat" { fileinto :create "cats"; }
        if envelope :domain "to" "example.net" { fileinto :create "net"; }
        """,
    )
    ok(place.deliver(u + "+lists"))  # what the script leaves is delivered as without one
    ok(place.deliver(u + "+cat@example.org", message("cat")))
    ok(place.deliver(u + "@example.net", message("net")))
    assert place.counts(u, "INBOX", "lists", "cats", "net") == [0, 1, 1, 1]


def test_many_recipients(place):
    users = [place.user("work") for _ in range(3)]
    place.script(users[0], 'require "fileinto"; fileinto "work";')
    place.script(users[1], 'require "reject"; reject "not\\r\\nme";')
    replies = place.deliver([*users, "nobody"])
    assert [r[0] for r in replies] == [250, 550, 250, 550]
    assert b"5.7.1 not" in replies[1][1] and b"me" in replies[1][1]
    assert [place.counts(u, "INBOX", "work") for u in users] == [[0, 1], [0, 0], [1, 0]]


def test_include_and_duplicate(place):
    u = place.user("work")
    scripts.put_global(place.home, "everybody", 'require ["fileinto"]; if header :is "subject" "global" { fileinto "work"; }')
    place.script(
        u,
        """
        require ["include", "duplicate"];
        if duplicate :header "X-Id" { discard; stop; }
        include :global "everybody";
        include :personal :optional "mine";
        """,
    )
    place.script(u, "if true { discard; }", name="mine", active=False)
    ok(place.deliver(u, message("global")))
    ok(place.deliver(u, message("one")))
    assert place.counts(u, "INBOX", "work") == [0, 1]
    place.script(u, "keep;", name="mine", active=False)
    ok(place.deliver(u, message("two", headers="X-Id: 5\r\n")))
    ok(place.deliver(u, message("three", headers="X-Id: 5\r\n")))
    assert place.counts(u, "INBOX", "work") == [1, 1]


# ---- what goes out ----


def test_redirect(place):
    u = place.user()
    place.script(u, 'require "copy"; if header :is "subject" "both" { redirect :copy "a@else.where"; } else { redirect "b@else.where"; }')
    first = message("both")
    for _ in range(2):  # the sender has missed the answer: nothing is done twice
        ok(place.deliver(u, first))
    ok(place.deliver(u, message("one", body="a\r\n.\r\nb\r\n"), sender=""))
    sent = place.sendmail.take()
    assert sorted(s[0] for s in sent) == ["-i -f <> -- b@else.where", "-i -f sender@example.org -- a@else.where"]
    text = [s[1] for s in sent if "b@" in s[0]][0]
    assert "Return-Path" not in text and "Received: " in text and text.endswith("\n\na\n.\nb\n")
    assert place.counts(u, "INBOX") == [1]


def test_redirect_in_a_circle(place):
    """What was sent to somebody who sends it back is kept: it must be somewhere."""
    u = place.user()
    place.script(u, 'redirect "a@else.where";')
    first = message("circle")
    ok(place.deliver(u, first))
    back = b"Received: from else.where by here; Mon, 1 Jan 2024 00:00:00 +0000\r\n" + first
    for _ in range(2):
        ok(place.deliver(u, back))
    ok(place.deliver(u, first))
    assert [s[0] for s in place.sendmail.take()] == ["-i -f sender@example.org -- a@else.where"]
    assert place.counts(u, "INBOX") == [1]
    assert re.search('sieve.trouble user="%s" .*has come another way" session="[^"]+"' % u, place.log())


def test_redirect_fails(place):
    u = place.user()
    place.script(u, 'redirect "a@else.where";')
    place.sendmail.fails()
    try:
        ok(place.deliver(u))
    finally:
        place.sendmail.fails(False)
    assert place.counts(u, "INBOX") == [1]
    assert 'name="redirect" value="a@else.where"' in place.log()
    ok(place.deliver(u, message(headers="Received: from x by y; Mon, 1 Jan 2024 00:00:00 +0000\r\n" * 60)))
    assert place.counts(u, "INBOX") == [2] and not place.sendmail.take()


def test_vacation(place):
    u = place.user()
    place.script(
        u,
        """
        require ["vacation", "fcc", "fileinto", "mailbox"];
        vacation :days 3 :addresses ["%s@alias.org"] :fcc "Sent" :create "Bin im Urlaub: \u00fc";
        """
        % u,
    )
    to_me = "%s@example.org" % u
    for subject, to, sender, headers in (
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", to_me, "Other@example.org", "References: <a@b>\r\n"),
        ("again", to_me, "other@example.org", ""),
        ("list", to_me, "list@example.org", "List-Id: <x>\r\n"),
        ("not to me", "else@example.org", "third@example.org", ""),
        ("bounce", to_me, "", ""),
        ("alias", "%s@alias.org" % u, "fourth@example.org", ""),
    ):
        ok(place.deliver(to_me, message(subject, to=to, headers=headers), sender=sender))
    sent = sorted(place.sendmail.take())
    assert [s[0] for s in sent] == ["-i -f <> -- Other@example.org", "-i -f <> -- fourth@example.org"]
    m = message_from_string(sent[0][1])
    assert m["To"] == "<Other@example.org>" and m["From"] == "<%s>" % to_me
    assert m["Auto-Submitted"].startswith("auto-replied") and m["In-Reply-To"] and m["References"].startswith("<a@b>")
    from email.header import decode_header, make_header

    assert str(make_header(decode_header(m["Subject"]))) == "Auto: Gr\u00fc\u00dfe"
    assert m.get_payload(decode=True).decode() == "Bin im Urlaub: \u00fc\r\n"
    assert place.counts(u, "INBOX", "Sent") == [6, 2]


def test_reject(place):
    u = place.user()
    place.script(
        u,
        """
        require ["reject", "ereject"];
        if header :is "subject" "e" { ereject "nein, \u00fc"; }
        elsif header :is "subject" "ascii" { reject "no\r\nnever"; }
        else { reject "nein, \u00fc"; }
        """,
    )
    assert place.deliver(u, message("ascii"))[0][0] == 550
    (code, text) = place.deliver(u, message("e"))[0]
    assert code == 550 and b"nein" not in text and text.isascii()
    first = message("u")
    for _ in range(2):
        ok(place.deliver(u, first))
    ((arguments, text),) = place.sendmail.take()
    assert arguments == "-i -f <> -- sender@example.org"
    m = message_from_string(text)
    assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "disposition-notification"
    human, machine, original = m.get_payload()
    assert "nein, \u00fc" in human.get_payload(decode=True).decode()
    assert "automatic-action/MDN-sent-automatically; deleted" in machine.as_string()
    assert "Subject: u" in original.get_payload()
    assert place.counts(u, "INBOX") == [0]


def test_notify(place):
    u = place.user()
    place.script(
        u,
        """
        require ["enotify", "variables"];
        notify :importance "1" :message "You have mail" "mailto:pager@else.where?cc=b%40else.where&body=Look%21";
        """,
    )
    ok(place.deliver(u, message("x")))
    ok(place.deliver(u, message("y", headers="Auto-Submitted: auto-generated\r\n")))
    ((arguments, text),) = place.sendmail.take()
    assert arguments.endswith("-- pager@else.where b@else.where")
    m = message_from_string(text)
    assert m["Subject"] == "You have mail" and m["X-Priority"].startswith("1") and m.get_payload() == "Look!\n"
    assert m["Auto-Submitted"].startswith("auto-notified; owner-email=")
    assert place.counts(u, "INBOX") == [2]


# ---- what scripts ask ----


def test_annotations(place):
    """RFC 5490: of mailboxes and the server, with the owner's rights, computed ones too."""
    u, other = place.user("work"), place.user("private")
    with place.imap(u) as c:
        c.ok('SETMETADATA work (/private/comment "mine" /shared/comment "ours")')
        c.ok('SETMETADATA "" (/private/comment "my server")')
        (uid,) = [x for x in c.ok("GETMETADATA work /shared/vendor/cmu/cyrus-imapd/uniqueid").untagged if b"METADATA" in x]
    with place.imap(other) as c:
        c.ok('SETMETADATA private (/shared/comment "secret")')
    with Imap(place.home.address).login(ADMIN) as c:
        c.ok('SETMETADATA "" (/shared/comment "the server")')
    tests = [
        ('metadata "work" "/private/comment" "MINE"', True),
        ('metadata :matches "work" "/SHARED/Comment" "o*s"', True),
        ('metadata "INBOX" "/private/comment" "mine"', False),
        ('metadataexists "work" ["/private/comment", "/shared/comment"]', True),
        ('metadataexists "work" ["/private/comment", "/shared/admin"]', False),
        ('metadata "work" "/shared/vendor/cmu/cyrus-imapd/uniqueid" "%s"' % uid.split(b" ")[-1].strip(b'")').decode(), True),
        ('metadata "work" "/shared/vendor/cmu/cyrus-imapd/sharedseen" "false"', True),
        ('metadataexists "Other Users/%s/private" "/shared/comment"' % other, False),
        ('metadataexists "missing" "/shared/comment"', False),
        ('metadataexists "work" "/comment"', False),
        ('metadataexists "work" "/private"', False),
        ('servermetadata "/private/comment" "my server"', True),
        ('servermetadata "/shared/comment" "the server"', True),
        ('servermetadataexists "/shared/vendor/cmu/cyrus-imapd/freespace/total"', True),
        ('servermetadataexists ["/shared/comment", "/shared/admin"]', False),
    ]
    rules = "".join('if %s { set "got" "${got}1"; } else { set "got" "${got}0"; }' % t for t, _ in tests)
    place.script(
        u,
        'require ["mboxmetadata", "servermetadata", "variables", "editheader"];%s addheader "X-Got" "${got}";' % rules,
    )
    ok(place.deliver(u))
    (text,) = place.has(u)
    assert re.search(rb"X-Got: (\d+)", text).group(1).decode() == "".join("01"[want] for _, want in tests)


def put_list(place, user, name, text):
    """A list of a user, or (None) of the server."""
    where = scripts.directory(place.home, user) if user else os.path.join(place.home.conf["sievedir"], "global")
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, name + ".list"), "w") as f:
        f.write(text)


def test_lists(place):
    """RFC 6134: the owner's own and the server's."""
    u = place.user("friends", "staff", "known")
    put_list(place, u, "default", "# my friends\n\n  Ann@Example.ORG \r\nbob@example.org\n")
    put_list(place, None, "tag:example.org,2026:staff", "boss@example.org\nJ\u00fcrgen\n")
    place.script(
        u,
        """
        require ["extlists", "fileinto", "envelope", "variables"];
        if not valid_ext_list [":addrbook:default", "tag:example.org,2026:staff"] { discard; stop; }
        if valid_ext_list ":addrbook:missing" { discard; stop; }
        if not valid_ext_list ["URN:ietf:params:sieve:addrbook:default", ":addrbook:DEFAULT"] { discard; stop; }
        if header :list "subject" "tag:example.org,2026:staff" { fileinto "known"; }
        elsif address :list "from" "urn:ietf:params:sieve:addrbook:Default" {
            if string "${0}" "ann@example.org" { fileinto "friends"; }
        }
        elsif envelope :list "from" [":addrbook:default", "tag:example.org,2026:staff"] { fileinto "staff"; }
        """,
    )
    ok(place.deliver(u, message("a", sender="Ann <ann@example.org>")))
    ok(place.deliver(u, message("b", sender="x@example.org"), sender="boss@example.org"))
    ok(place.deliver(u, message("c", sender="# my friends@example.org"), sender="boss2@example.org"))
    ok(place.deliver(u, message("=?utf-8?q?J=C3=9CRGEN?=")))
    assert place.counts(u, "friends", "staff", "INBOX", "known") == [1, 1, 1, 1]


def test_unknown_list(place):
    """What cannot be read is an error of the script at its line, and the message is kept."""
    u = place.user()
    place.script(u, 'require "extlists";\nif address :list "from" "tag:example.org,2026:none" { discard; }\ndiscard;\n')
    ok(place.deliver(u))
    assert place.counts(u, "INBOX") == [1]
    assert 'line 2: the list \\"tag:example.org,2026:none\\" cannot be read' in place.log()


def test_redirect_to_list(place):
    """One message to all of them; the owner gets his by staying."""
    u = place.user()
    put_list(place, u, "team", "Ann <ann@else.where>\nbob@else.where\nno address\n%s@%s\n" % (u, place.home.servername))
    put_list(place, u, "many", "".join("a%d@else.where\n" % i for i in range(101)))
    place.script(
        u,
        """
        require ["extlists"];
        if header :is "subject" "many" { redirect :list ":addrbook:many"; }
        elsif header :is "subject" "none" { redirect :list ":addrbook:none"; }
        else { redirect :list ":addrbook:team"; }
        """,
    )
    ok(place.deliver(u, message("team")))
    ((arguments, text),) = place.sendmail.take()
    assert arguments.split()[-2:] == ["ann@else.where", "bob@else.where"] and "Subject: team" in text
    assert place.counts(u, "INBOX") == [1]
    for subject in ("many", "none"):
        ok(place.deliver(u, message(subject)))
    assert place.sendmail.take() == [] and place.counts(u, "INBOX") == [3]


def test_spam_and_virus(place):
    """RFC 5235, by the fields of filters; the one that was put there last counts."""
    u = place.user("spam", "maybe", "virus")
    place.script(
        u,
        """
        require ["spamtest", "spamtestplus", "virustest", "relational", "comparator-i;ascii-numeric", "fileinto", "editheader"];
        deleteheader "X-Score";
        if virustest :value "ge" :comparator "i;ascii-numeric" "4" { fileinto "virus"; }
        elsif spamtest :value "eq" :comparator "i;ascii-numeric" "10" { fileinto "spam"; }
        elsif spamtest :percent :value "ge" :comparator "i;ascii-numeric" "50" { fileinto "maybe"; }
        elsif spamtest :percent :count "eq" :comparator "i;ascii-numeric" "0" { keep; }
        else { discard; }
        """,
    )
    for headers in ("X-Score: 7.1\r\nX-Score: 0\r\n", "X-Score: ***\r\n", "", "X-Score: 0.2\r\n", "X-Virus: Infected (eicar)\r\n"):
        ok(place.deliver(u, message("m", headers=headers)))
    assert place.counts(u, "spam", "maybe", "INBOX", "virus") == [1, 1, 1, 1]


# ---- bounds, tools ----


def test_many_rules_big_message(place):
    """A thousand rules over ten megabytes."""
    u = place.user("work")
    rules = ['if header :contains "subject" "none%d" { discard; stop; }' % i for i in range(950)]
    rules += ['if body :text :contains "none%d" { discard; stop; }' % i for i in range(50)]
    place.script(u, 'require ["body", "fileinto"];\n' + "\n".join(rules) + '\nfileinto "work";\n')
    ok(place.deliver(u, message("big", body="a line of some length, again and again\r\n" * 250000)))
    assert sum(place.counts(u, "INBOX", "work")) == 1  # slow machines may need more than a script's time


def test_tools(place, tmp_path):
    script, mail = tmp_path / "x.script", tmp_path / "mail"
    script.write_text('require ["fileinto", "mailbox"];\nif mailboxexists "work" { fileinto "work"; }\nredirect "a@b.c";\n')
    mail.write_bytes(b"Subject: x\n\nbody\n")
    assert place.home.command("sievec", str(script), "out.bc").stdout == ""
    run = place.home.command("sieve-test", "-m", "work", str(script), str(mail))
    assert run.stdout == 'fileinto (line 2) "work"\nredirect (line 3) to a@b.c\n'
    assert place.home.command("sieve-test", str(script), str(mail)).stdout == "redirect (line 3) to a@b.c\n"
    assert place.home.command("masssievec", str(tmp_path)).returncode == 0
    shown = place.home.command("sieved", str(script)).stdout
    assert shown == 'require ["fileinto", "mailbox"];\nif mailboxexists "work" {\n    fileinto "work";\n}\nredirect "a@b.c";\n'
    (tmp_path / "x.bc").write_bytes(b"CyrSBytecode\0\0\0\x01")
    assert "byte code" in place.home.command("sieved", str(tmp_path / "x.bc"), check=False).stderr
    script.write_text("keep;\nkep;\n")
    for argv in (["sievec", str(script)], ["sieved", str(script)], ["sieve-test", str(script), str(mail)], ["masssievec", str(tmp_path)]):
        run = place.home.command(*argv, check=False)
        assert run.returncode == 65 and "line 2: " in run.stderr, argv
    assert place.home.command("sievec", check=False).returncode == 64


# ---- slow scripts ----


@pytest.mark.slow  # a run's whole time
def test_slow_script_holds_no_session(make_server, tmp_path):
    """A process with four workers goes on serving others while four scripts take all the time they may."""
    s = make_server(conf={"sievedir": str(tmp_path / "scripts"), "worker_threads_max": "4"})
    s.add_user("slow", "quick")
    with Imap(s.address).login(ADMIN) as c:
        c.ok("CREATE user/slow")
        c.ok("CREATE user/quick")
    scripts.put(s, "slow", 'require ["body", "regex"];' + 50 * 'if body :raw :regex "(a|x)+[bc]" { discard; }')
    slow = []
    for i in range(4):
        slow.append(Lmtp(s.address))
        for command in ("MAIL FROM:<a@example.org>", "RCPT TO:<slow>"):
            assert slow[i].docmd(command)[0] == 250
        assert slow[i].docmd("DATA")[0] == 354
    for c in slow:
        c.send(message("slow", body=("a" * 500 + "\r\n") * 200) + b".\r\n")
    for _ in range(5):
        with Lmtp(s.address) as c:
            ok(c.deliver("sender@example.org", ["quick"], message("quick")))
    assert select.select([c.sock for c in slow], [], [], 0)[0] == []  # all are at work still
    for c in slow:
        assert c.getreply()[0] == 250
        c.close()
    assert s.log().count("sieve.failed") == 4 and "takes too long" in s.log()
