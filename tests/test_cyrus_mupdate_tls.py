"""MUPDATE under TLS beside a real Cyrus 3.6: its nodes with our master, ours with its master. PLAIN is offered under TLS only."""

import os
import re

import pytest

from iatlas import message
from iatlas.tls import Authority

pytestmark = pytest.mark.peer


def under_tls(murder, workdir):
    """The master anew, with a certificate; in clear it lets nobody in."""
    m = murder.m
    m.stop()
    authority = Authority(os.path.join(workdir, "ca"))
    m.conf.update(authority.certify("m.lab", m.address))
    os.chmod(m.conf["tls_server_key"], 0o644)  # Cyrus runs as somebody else
    with open(m.path("log"), "w"):
        pass
    m.conf.update(allowstarttls="yes", allowplaintext="no", sasl_mech_list="PLAIN")
    for node in murder.be + murder.fe:
        node.stop()
        node.conf["tls_server_ca_file"] = authority.ca  # ours verify by it
    for node in murder.nodes:
        node.start()


def serves(murder):
    with murder.imap("cyrus") as admin:
        admin.ok("CREATE user/fred")
        admin.ok("SETACL user/fred bob lrs")
    with murder.imap("fred") as c:
        c.ok("CREATE a")
        c.ok("RENAME a b")
        assert c.list("", "*") == ["INBOX", "b"]
        c.append("b", message("secret"))
        assert c.select("b") == 1
        c.ok("DELETE b")


@pytest.mark.parametrize("kinds", [("ours", "cyrus"), ("cyrus", "ours")], ids="-".join)
def test_master_under_tls(make_mixed, workdir, kinds):
    master, others = kinds
    murder = make_mixed(master=master, backends=(others,), frontends=(others,))
    murder.add_user("fred", mailbox=False)
    murder.add_user("bob", mailbox=False)
    under_tls(murder, workdir)
    serves(murder)
    if master == "ours":
        logins = re.findall(r"mupdate.* login.ok .*authid=\"murder\".*", murder.m.log())
        assert logins and all('tls="TLS' in line for line in logins), logins
    else:  # it may die when connections under TLS end, as it does in the field
        for node in (*murder.fe, *murder.be, murder.m):
            node.stop()
        with open(murder.m.path("log"), "w"):
            pass
