"""Postfix delivers through lmtpproxyd (and to lmtpd): over TCP with TLS and a login, and through a Unix socket."""

import hashlib
import os
import re

import pytest

from iatlas import message, postfix
from iatlas.direct import wait_for
from iatlas.node import ADMIN, PASSWORD
from iatlas.site import HOST, MTA_LMTP

pytestmark = pytest.mark.peer

DOMAINS = {"tcp": "example.test", "unix": "local.test"}


@pytest.fixture(scope="module")
def mx(site):
    why_not = postfix.missing()
    if why_not:
        pytest.skip(why_not)
    tcp = "inet:%s:%d" % (HOST, MTA_LMTP)
    conf = {
        "virtual_mailbox_domains": DOMAINS["tcp"],
        "virtual_transport": "lmtp:" + tcp,
        "mydestination": DOMAINS["unix"],
        "mailbox_transport": "lmtp:unix:" + site.lmtp_socket,
        "local_recipient_maps": "",
        "alias_maps": "",
        "lmtp_tls_CAfile": site.ca,
        "lmtp_tls_policy_maps": "inline:{ {%s:%d = secure match=%s} }" % (HOST, MTA_LMTP, HOST),
        "lmtp_sasl_auth_enable": "yes",
        "lmtp_sasl_password_maps": "inline:{ {%s = mta:%s} }" % (HOST, PASSWORD),
        "lmtp_sasl_security_options": "noanonymous",
    }
    p = postfix.Postfix(os.path.join(site.dir, "mx"), site.network.address(), conf, {HOST: site.address})
    try:
        yield p.start()
    finally:
        p.stop()
    assert not re.search(r"(fatal|panic|error): .*|TLS.*(failed|not trusted)", p.log()), p.log()


@pytest.fixture(params=["tcp", "unix"])
def domain(request):
    return DOMAINS[request.param]


def send(mx, sender, recipients, data, options=()):
    with mx.smtp() as c:
        assert c.sendmail(sender, recipients, data, mail_options=options) == {}


def bodies(user, mailbox="INBOX"):
    with user.imap() as c:
        c.select(mailbox, "EXAMINE")
        return [c.body(u) for u in c.uids()]


def arrived(mx, user, *subjects):
    try:
        wait_for(lambda: sorted(user.subjects("INBOX")) == sorted(subjects), 30)
    except AssertionError:
        print(mx.log())
        raise


def deferred(mx, address, status):
    wait_for(lambda: mx.was_deferred(address, status))
    wait_for(lambda: address in mx.queue())


def empty(mx):
    return mx.queue() == ""


def test_several_recipients(mx, make_user, domain):
    users = [make_user() for _ in range(3)]
    text = "8-bit: Grüße\r\n.\r\n..two dots\r\n" + "x" * 900 + "\r\nend\r\n"
    addresses = ["%s@%s" % (u.name, domain) for u in users]
    send(mx, "s@example.org", addresses, message("all", text), ["BODY=8BITMIME"])
    for u in users:
        arrived(mx, u, "all")
        header, body = bodies(u)[0].split(b"\r\n\r\n", 1)
        assert body == text.encode()
        assert (b"with LMTPSA;" in header) == (domain == DOMAINS["tcp"])
        assert b"Return-Path: <s@example.org>" in header
    wait_for(lambda: empty(mx))


def test_unknown_recipient(mx, make_user, domain):
    """The one who is there gets it, the sender a bounce that says why."""
    sender, user = make_user(), make_user()
    send(mx, "%s@%s" % (sender.name, domain), ["nobody@" + domain, user.name + "@" + domain], message("some"))
    arrived(mx, user, "some")
    wait_for(lambda: sender.subjects("INBOX"))
    bounce = bodies(sender)[0]
    assert b"Return-Path: <>" in bounce
    assert b"Final-Recipient: rfc822; nobody@" in bounce and b"Status: 5.1.1" in bounce
    assert user.name.encode() + b"@" not in bounce.split(b"message/rfc822")[0]
    wait_for(lambda: empty(mx))


def test_over_quota(mx, site, make_user, domain):
    """Kept in the queue until there is room; the other recipient does not wait."""
    full, user = make_user(), make_user()
    full.fill("INBOX", 1, body="x" * 12000)
    with site.imap(ADMIN) as c:
        c.ok("SETQUOTA user/%s (STORAGE 10)" % full.name)
    addresses = ["%s@%s" % (u.name, domain) for u in (full, user)]
    send(mx, "s@example.org", addresses, message("more", "y" * 500 + "\r\n"))
    arrived(mx, user, "more")
    deferred(mx, addresses[0], "4.2.2")
    with site.imap(ADMIN) as c:
        c.ok("SETQUOTA user/%s (STORAGE 100)" % full.name)
    mx.flush()
    arrived(mx, full, "m0", "more")
    wait_for(lambda: empty(mx))


def test_dead_backend(mx, site, make_user, domain):
    """Who has his mailbox elsewhere gets his mail at once, the others once their server is back."""
    if site.murder is None:
        pytest.skip("for a murder")
    away, here = make_user(), make_user(0)
    site.murder.be[1].stop()
    try:
        addresses = ["%s@%s" % (u.name, domain) for u in (away, here)]
        send(mx, "s@example.org", addresses, message("patience"))
        arrived(mx, here, "patience")
        deferred(mx, addresses[0], "4.[0-9].[0-9]")
        assert addresses[1] not in mx.queue()
    finally:
        site.murder.be[1].start()

    def delivered():
        mx.flush()
        return empty(mx)

    wait_for(delivered)
    arrived(mx, away, "patience")
    assert here.subjects("INBOX") == ["patience"]


def test_utf8(mx, make_user, domain):
    """SMTPUTF8 (RFC 6531): addresses and header lines beyond ASCII."""
    user = make_user()
    data = message("Grüße", "hällo\r\n", sender="Jörg <jörg@example.org>")
    send(mx, "jörg@example.org", [user.name + "@" + domain], data, ["SMTPUTF8", "BODY=8BITMIME"])
    arrived(mx, user, "Grüße")
    assert "Return-Path: <jörg@example.org>".encode() in bodies(user)[0]


def test_many_messages(mx, make_user, domain):
    """Connections are used again, commands pipelined."""
    users = [make_user() for _ in range(4)]
    names = ["n%02d" % i for i in range(40)]
    with mx.smtp() as c:
        for name in names:
            c.sendmail("s@example.org", ["%s@%s" % (u.name, domain) for u in users], message(name))
    for u in users:
        arrived(mx, u, *names)


def test_large_message(mx, make_user, domain):
    user = make_user()
    text = "".join("%07d %s\r\n" % (i, "z" * 60) for i in range(150000))
    send(mx, "s@example.org", [user.name + "@" + domain], message("large", text))
    arrived(mx, user, "large")
    got = bodies(user)[0].split(b"\r\n\r\n", 1)[1]
    assert len(got) == len(text) and hashlib.sha256(got).digest() == hashlib.sha256(text.encode()).digest()
