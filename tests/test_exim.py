"""Exim delivers through lmtpproxyd, as Postfix does in test_postfix.py: the same tests; over TCP, by BDAT, but for one."""

import os
import re

import pytest
import test_postfix
from test_postfix import (  # noqa: F401
    DOMAINS,
    test_dead_backend,
    test_large_message,
    test_many_messages,
    test_over_quota,
    test_several_recipients,
    test_utf8,
)

from iatlas import exim, message
from iatlas.direct import wait_for
from iatlas.node import PASSWORD
from iatlas.site import HOST, MTA_LMTP

pytestmark = [pytest.mark.peer, pytest.mark.parametrize("site", ["frontend"], indirect=True, scope="module")]

ROUTERS = """
tcp:
  driver = manualroute
  domains = %(tcp)s
  route_list = * %(host)s byname
  self = send
  transport = tcp
unix:
  driver = accept
  domains = %(unix)s
  transport = unix
"""
TRANSPORTS = """
tcp:
  driver = smtp
  protocol = lmtp
  port = %(port)d
  max_rcpt = 50
  hosts_require_auth = *
  hosts_require_tls = *
  tls_verify_certificates = %(ca)s
  tls_verify_hosts = *
unix:
  driver = lmtp
  socket = %(socket)s
  batch_max = 50
  user = %(user)d
  group = %(user)d
"""
AUTHENTICATORS = """
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^mta^%s
"""


@pytest.fixture(scope="module")
def mx(site):
    why_not = exim.missing()
    if why_not:
        pytest.skip(why_not)
    words = dict(DOMAINS, host=HOST, port=MTA_LMTP, ca=site.ca, socket=site.lmtp_socket, user=exim.USER)
    e = exim.Exim(
        os.path.join(site.dir, "exim"),
        site.network.address(),
        ROUTERS % words,
        TRANSPORTS % words,
        AUTHENTICATORS % PASSWORD,
        hosts={HOST: site.address},
    )
    try:
        yield e.start()
    finally:
        e.stop()
    assert not re.search(r"panic|TLS error|certificate", e.log()), e.log()


@pytest.fixture
def domain():
    return DOMAINS["tcp"]


def test_unix_socket(mx, make_user):
    test_several_recipients(mx, make_user, DOMAINS["unix"])


def test_chunking(mx, make_user, domain):  # noqa: F811
    """Messages are handed on by BDAT, since that is announced."""
    user = make_user()
    test_postfix.send(mx, "s@example.org", ["%s@%s" % (user.name, domain)], message("chunk", ".\r\n"))
    test_postfix.arrived(mx, user, "chunk")
    wait_for(lambda: re.search(r"=> %s@.* R=tcp T=tcp .* K " % user.name, mx.log()))


def test_unknown_recipient(mx, make_user, domain):  # noqa: F811
    """The one who is there gets it, the sender a bounce that says why."""
    sender, user = make_user(), make_user()
    addresses = ["nobody@" + domain, user.name + "@" + domain]
    test_postfix.send(mx, "%s@%s" % (sender.name, domain), addresses, message("some"))
    test_postfix.arrived(mx, user, "some")
    wait_for(lambda: sender.subjects("INBOX"))
    (bounce,) = test_postfix.bodies(sender)
    assert b"Return-Path: <>" in bounce and b"Action: failed\r\nFinal-Recipient: rfc822;nobody@" in bounce
    assert b"550 5.1.1 User unknown" in bounce
    wait_for(lambda: test_postfix.empty(mx))
