"""LIST in all its forms: RFC 5258 (options, patterns, CHILDINFO), RFC 5819 (STATUS), RFC 8440 (MYRIGHTS), RFC 8438 (SIZE), RFC 6154
(special uses)."""

import re
import shutil
import tempfile

import pytest
from iatlas import Murder, direct, net
from iatlas.clients import message
from iatlas.murder import Frontend
from iatlas.node import ADMIN


@pytest.fixture(scope="module", params=["direct", "frontend"])
def listed(request):
    """One server for the module's tests: each makes users of its own, on two backends in turn behind the frontend."""
    directory, network = tempfile.mkdtemp(prefix="ia-"), net.Network()
    made = None
    try:
        if request.param == "direct":
            made = direct.Service(directory + "/i", network.address(), "imap", ["imapd"]).start()
            yield made
        else:
            made = Murder(directory, network).start()
            yield Frontend(made)
    finally:
        if made:
            made.cleanup()
        network.close()
        shutil.rmtree(directory, ignore_errors=True)


def lines(c, command, word=b"LIST"):
    """{name: (set of attributes, the rest of the line)} of a LIST, each name once."""
    found = {}
    for m in c.ok(command).find(rb'^\* %s \(([^)]*)\) "/" ("[^"]*"|[^ ]+)(.*)$' % word):
        name = m.group(2).strip(b'"').decode()
        assert name not in found, "%s is told twice" % name
        found[name] = (set(m.group(1).decode().split()), m.group(3).decode())
    return found


def attributes(c, command):
    return {name: " ".join(sorted(a)) for name, (a, _) in lines(c, command).items()}


CHILDINFO = ' ("CHILDINFO" ("SUBSCRIBED"))'


@pytest.fixture
def users(listed):
    """Two new users: with a frontend, on different backends."""
    number = getattr(listed, "made_users", 0)
    listed.made_users = number + 1
    names = ("fred%d" % number, "bob%d" % number)
    listed.make_users(*names)
    return names


@pytest.fixture
def garden(listed, users):
    """The hierarchy of RFC 5258's examples 1 to 8, with a mailbox of the other user beside it."""
    c, bob = listed.imap(users[0]), listed.imap(users[1])
    for name in ("Fruit", "Fruit/Apple", "Fruit/Banana", "Fruit/Peach", "Tofu", "Vegetable", "Vegetable/Corn", "far/off"):
        c.ok("CREATE " + name)
    for name in ("INBOX", "Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Corn"):
        c.ok("SUBSCRIBE " + name)
    c.ok("DELETE Fruit/Peach")
    bob.ok("CREATE shelf")
    bob.ok("SETACL shelf %s lr" % users[0])
    c.ok('SUBSCRIBE "Other Users/%s/shelf"' % users[1])
    c.shelf = "Other Users/%s/shelf" % users[1]
    return c


def test_subscribed_without_inbox(listed, users):
    """An administrator has no INBOX: what he lists says of nothing that he has subscribed to it."""
    c = listed.imap(ADMIN)
    assert c.ok('LSUB "" *').untagged == []
    both = c.ok('LIST "" user/%s RETURN (SUBSCRIBED CHILDREN)' % users[0]).untagged
    assert both == [b'* LIST (\\HasNoChildren) "/" user/%s' % users[0].encode()]
    assert c.ok('LIST (SUBSCRIBED) "" *').untagged == []


def test_subscribed(garden):
    """Example 2: what is subscribed, whether it exists or not; and what a mailbox of another user adds."""
    both = {"\\Subscribed", "\\HasNoChildren"}
    expected = {
        "INBOX": both,
        "Fruit/Banana": both,
        "Fruit/Peach": both | {"\\NonExistent"},
        "Vegetable": {"\\Subscribed", "\\HasChildren"},
        "Vegetable/Corn": both,
        garden.shelf: both,
    }
    for command in ('LIST (SUBSCRIBED) "" *', 'list (subscribed) "" "*" return (children)', 'LIST (SUBSCRIBED SUBSCRIBED) "" (*)'):
        assert {n: a for n, (a, more) in lines(garden, command).items() if more == ""} == expected
    # example 8: Fruit is there, not subscribed, and not told; a level that is not there is
    assert attributes(garden, 'LIST (SUBSCRIBED) "" %') == {
        "INBOX": "\\HasNoChildren \\Subscribed",
        "Vegetable": "\\HasChildren \\Subscribed",
        "Other Users": "\\HasChildren \\NonExistent",
    }
    # as a return option it adds nothing but the attribute (example 6)
    told = attributes(garden, 'LIST "" * RETURN (SUBSCRIBED)')
    assert "Fruit/Peach" not in told and told["Fruit"] == "\\HasChildren" and told["Vegetable"] == "\\HasChildren \\Subscribed"
    assert told[garden.shelf] == "\\HasNoChildren \\Subscribed" and told["Fruit/Apple"] == "\\HasNoChildren"
    assert sorted(garden.list("", "%", "LSUB")) == ["Fruit", "INBOX", "Other Users", "Vegetable"]


def test_children(garden):
    """Examples 3 and 11."""
    expected = {
        "INBOX": "\\HasNoChildren",
        "Fruit": "\\HasChildren",
        "Tofu": "\\HasNoChildren",
        "Vegetable": "\\HasChildren",
        "far": "\\HasChildren \\NonExistent",
        "Other Users": "\\HasChildren \\NonExistent",
    }
    assert attributes(garden, 'LIST () "" "%" RETURN (CHILDREN)') == expected
    assert attributes(garden, 'LIST "" (%)') == expected
    assert attributes(garden, 'LIST (REMOTE) "" % RETURN ()') == expected
    assert attributes(garden, 'LIST "" %')["far"] == "\\HasChildren \\Noselect"


def test_several_patterns(garden):
    assert set(lines(garden, 'LIST "" (INBOX "Fruit/%" Tofu tofu nope)')) == {"INBOX", "Fruit/Apple", "Fruit/Banana", "Tofu"}
    assert set(lines(garden, 'LIST "Fruit/" ("%" "A*" Apple)')) == {"Fruit/Apple", "Fruit/Banana"}
    assert set(lines(garden, ['LIST "" (', "Tofu", ' "%/Corn")'])) == {"Tofu", "Vegetable/Corn"}
    # what is empty or too long matches nothing (section 3)
    assert lines(garden, 'LIST "" ("")') == {} and lines(garden, 'LIST () "" ""') == {}
    assert set(lines(garden, 'LIST "" (%s Tofu "")' % ("a" * 1001))) == {"Tofu"}
    garden.ok('LIST "" ""').one(rb'^\* LIST \(\\Noselect\) "/" ""$')
    assert set(lines(garden, 'LIST "" (%s)' % " ".join(["Tofu"] * 32))) == {"Tofu"}
    assert "[LIMIT]" in garden.no('LIST "" (%s)' % " ".join(["Tofu"] * 33)).text
    assert "[LIMIT]" in garden.no('LIST "" ' + "a" * 1001).text


def test_recursivematch(garden):
    """Example 8, A to C."""
    sub, info = {"\\Subscribed"}, (CHILDINFO,)
    told = lines(garden, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (CHILDREN)')
    assert told == {
        "INBOX": (sub | {"\\HasNoChildren"}, ""),
        "Fruit": ({"\\HasChildren"}, *info),
        "Vegetable": (sub | {"\\HasChildren"}, *info),
        "Other Users": ({"\\NonExistent", "\\HasChildren"}, *info),
    }
    # everything below is told itself: no CHILDINFO but on what is subscribed (section 3.5)
    told = lines(garden, 'LIST (RECURSIVEMATCH SUBSCRIBED REMOTE) "" *')
    assert told["Vegetable"] == (sub | {"\\HasChildren"}, *info) and "Fruit" not in told and told["Vegetable/Corn"][1] == ""
    # the last subscription below one has gone: nothing to tell of it but that it has children
    garden.ok("UNSUBSCRIBE Vegetable/Corn")
    assert lines(garden, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" V*') == {"Vegetable": (sub | {"\\HasChildren"}, "")}
    # CHILDINFO does not mean \HasChildren (example 10)
    garden.ok("DELETE Fruit/Apple")
    garden.ok("DELETE Fruit/Banana")
    assert lines(garden, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" (Fruit)') == {"Fruit": ({"\\HasNoChildren"}, *info)}
    garden.ok("DELETE Fruit")
    assert lines(garden, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" Fruit') == {
        "Fruit": ({"\\HasNoChildren", "\\NonExistent"}, *info)
    }


def test_recursivematch_by_a_suffix(listed, users):
    """Example 9, of RFC 5258."""
    c = listed.imap(users[1])
    for name in ("foo2", "foo2/bar1", "foo2/bar2", "baz2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "eps2", "eps2/mamba", "qux2/bar2"):
        c.ok("CREATE " + name)
        if name not in ("foo2", "baz2"):
            c.ok("SUBSCRIBE " + name)
    c.ok("CREATE foo2.x")
    c.ok("SUBSCRIBE foo2.x")
    told = lines(c, 'LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"')
    assert {n for n, (a, more) in told.items() if more == ""} == {"foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222", "qux2/bar2"}
    assert {n for n, (a, more) in told.items() if more == CHILDINFO} == {"foo2", "eps2"}
    assert "\\Subscribed" not in told["foo2"][0] and "\\Subscribed" in told["eps2"][0]


def test_grammar(garden):
    for wrong in (
        '(RECURSIVEMATCH) "" *',
        '(RECURSIVEMATCH REMOTE) "" *',
        '(SUBSCRIBED  REMOTE) "" *',
        '(SUBSCRIBED"" *',
        '(FROB) "" *',
        '(SUBSCRIBED "" *',
        '"" ()',
        '"" (a b',
        '"" (a  b)',
        '"" * RETURN',
        '"" * RETURN CHILDREN',
        '"" * RETURN (FROB)',
        '"" * RETURN (CHILDREN',
        '"" * RETURN (CHILDREN) x',
        '"" * RETURN (REMOTE)',
        '"" * RETURN (STATUS)',
        '"" * RETURN (STATUS ())',
        '"" * RETURN (STATUS (MESSAGES FROB))',
        '"" * RETURN (STATUS MESSAGES)',
        '"" * (CHILDREN)',
    ):
        garden.bad("LIST " + wrong)


def test_status(listed, users, garden):
    garden.append("INBOX", message("one"), "\\Seen")
    garden.append("Tofu", message("two"), "\\Deleted")
    bob = listed.imap(users[1])
    bob.append("shelf", message("three"))
    bob.ok("CREATE dark")
    bob.ok("SETACL dark %s l" % users[0])
    dark = "Other Users/%s/dark" % users[1]
    r = garden.ok('LIST "" * RETURN (STATUS (MESSAGES UNSEEN DELETED) CHILDREN)')
    told = {m.group(1).strip(b'"').decode(): m.group(2).decode() for m in r.find(rb'^\* STATUS ("[^"]*"|\S+) \((.*)\)$')}
    assert told["INBOX"] == "MESSAGES 1 UNSEEN 0 DELETED 0" and told["Tofu"] == "MESSAGES 1 UNSEEN 1 DELETED 1"
    assert told[garden.shelf] == "MESSAGES 1 UNSEEN 1 DELETED 0" and told["Fruit"] == "MESSAGES 0 UNSEEN 0 DELETED 0"
    assert dark not in told and len(told) == 9
    # its LIST comes before, and says that it cannot be selected where that is why there is none
    r.one(rb'^\* LIST \(\\Noselect \\HasNoChildren\) "/" "%s"$' % dark.encode())
    at = {u: i for i, u in enumerate(r.untagged)}
    for name in ("INBOX", "Tofu"):
        first = [i for u, i in at.items() if u.startswith(b"* LIST") and u.endswith(b" " + name.encode())]
        assert first[0] < [i for u, i in at.items() if u.startswith(b"* STATUS %s " % name.encode())][0]
    # of those chosen only (RFC 5819 section 3)
    r = garden.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (UIDNEXT))')
    assert {m.group(1) for m in r.find(rb"^\* STATUS (\S+)")} == {b"INBOX", b"Vegetable"}
    r = garden.ok('LIST (SUBSCRIBED) "" Fruit/* RETURN (STATUS (UIDNEXT))')
    assert {m.group(1) for m in r.find(rb"^\* STATUS (\S+)")} == {b"Fruit/Banana"}


def test_status_of_the_selected_mailbox_and_others(listed, users, garden):
    garden.append("INBOX", message("one"))
    assert garden.select("INBOX") == 1
    with listed.imap(users[0]) as other:
        other.append("INBOX", message("two"))
    r = garden.ok('LIST "" * RETURN (STATUS (MESSAGES))')
    r.one(rb"^\* STATUS INBOX \(MESSAGES 2\)$")
    assert garden.ok("NOOP").find(rb"EXISTS") or r.find(rb"^\* 2 EXISTS$")
    garden.ok("FETCH 1:2 FLAGS")
    garden.ok('SELECT "%s"' % garden.shelf)
    assert len(garden.ok('LIST "" * RETURN (STATUS (MESSAGES))').find(rb"^\* STATUS ")) == 9


def test_size(garden):
    data = message("sized")
    garden.append("INBOX", data)
    garden.append("INBOX", data)
    garden.ok("STATUS INBOX (SIZE MESSAGES)").one(rb"^\* STATUS INBOX \(MESSAGES 2 SIZE %d\)$" % (2 * len(data)))
    garden.ok("STATUS INBOX (DELETED)").one(rb"^\* STATUS INBOX \(DELETED 0\)$")
    garden.ok('LIST "" INBOX RETURN (STATUS (SIZE))').one(rb"^\* STATUS INBOX \(SIZE %d\)$" % (2 * len(data)))


def test_myrights(garden):
    r = garden.ok('LIST "" * RETURN (MYRIGHTS)')
    rights = {m.group(1).strip(b'"').decode(): m.group(2).decode() for m in r.find(rb'^\* MYRIGHTS ("[^"]*"|\S+) (\w+)$')}
    assert set(rights) == set(lines(garden, 'LIST "" *'))
    for name, letters in rights.items():
        assert garden.ok('MYRIGHTS "%s"' % name).one(rb" (\w+)$").group(1).decode() == letters
    assert rights[garden.shelf] == "lr"
    # not of what is no mailbox, nor of what is told for its children's sake (RFC 8440 section 4)
    r = garden.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" (% Fruit/Peach) RETURN (MYRIGHTS)')
    assert {m.group(1) for m in r.find(rb"^\* MYRIGHTS (\S+)")} == {b"INBOX", b"Vegetable"}


def uses(c, command='LIST (SPECIAL-USE) "" *'):
    """{name: its special uses}."""
    known = {"\\Archive", "\\Drafts", "\\Important", "\\Junk", "\\Memos", "\\Scheduled", "\\Sent", "\\Snoozed", "\\Trash"}
    word = command.split()[0].encode()
    return {name: " ".join(sorted(a & known)) for name, (a, _) in lines(c, command, word).items() if a & known}


def test_special_use(listed, users):
    c = listed.imap(users[0])
    c.ok("CREATE Plain")
    c.ok("CREATE Out (USE (\\Sent))")
    c.ok("CREATE Plain/Both (USE (\\trash \\Drafts))")
    c.ok("CREATE Nothing (use ())")
    c.ok("CREATE Vital (USE (\\Important))")
    everything = {"Out": "\\Sent", "Plain/Both": "\\Drafts \\Trash", "Vital": "\\Important"}
    assert uses(c) == everything and set(lines(c, 'LIST (SPECIAL-USE) "" *')) == set(everything)
    assert uses(c, 'LIST "" * RETURN (SPECIAL-USE)') == everything
    assert "Nothing" in lines(c, 'LIST "" * RETURN (SPECIAL-USE)')
    assert uses(c, 'LIST (SPECIAL-USE) "" % RETURN (CHILDREN)') == {"Out": "\\Sent", "Vital": "\\Important"}
    assert "Plain" not in lines(c, 'LIST (SPECIAL-USE) "" %')
    c.ok("SUBSCRIBE Out")
    c.ok("SUBSCRIBE Plain")
    assert set(lines(c, 'LIST (SPECIAL-USE SUBSCRIBED) "" *')) == {"Out"}
    told = lines(c, 'LIST (SUBSCRIBED) "" * RETURN (SPECIAL-USE)')
    assert told["Out"][0] == {"\\Subscribed", "\\HasNoChildren", "\\Sent"} and "\\Sent" not in told["Plain"][0]
    # what Gmail had
    told = lines(c, 'XLIST "" *', b"XLIST")
    assert "\\Inbox" in told["INBOX"][0] and uses(c, 'XLIST "" *') == everything
    assert c.ok('XLIST "" ""').untagged == [b'* XLIST (\\Noselect) "/" ""']
    # they are this user's alone, and go with the mailbox
    c.ok("SETACL Out %s lr" % users[1])
    bob = listed.imap(users[1])
    assert uses(bob) == {} and "Other Users/%s/Out" % users[0] in bob.list("", "*")
    c.ok("RENAME Out Gone")
    assert uses(c)["Gone"] == "\\Sent"
    c.ok("DELETE Gone")
    assert "Gone" not in uses(c)
    c.ok("CREATE Out (USE (\\Sent))")


def test_special_use_refused(listed, users):
    c, admin = listed.imap(users[0]), listed.imap()
    c.ok("CREATE Out (USE (\\Sent))")
    for use in ("\\Sent", "\\Junk \\SENT", "\\All", "\\Flagged", "\\Frob", "\\HasChildren"):
        assert c.no("CREATE Second (USE (%s))" % use).text.startswith("[USEATTR]")
    assert c.no('CREATE "Other Users/%s/x" (USE (\\Junk))' % users[1]).text.startswith("[NOPERM]")
    assert c.no("CREATE Out (USE (\\Junk))").text.startswith("[ALREADYEXISTS]")
    assert "Second" not in c.list("", "*")
    admin.command("CREATE shared")
    assert admin.no("CREATE shared/%s (USE (\\Junk))" % users[0]).text.startswith("[USEATTR]")
    admin.ok("CREATE user/%s/Spam (USE (\\Junk))" % users[0])
    assert uses(c) == {"Out": "\\Sent", "Spam": "\\Junk"}
    for wrong in (
        "(USE \\Junk)",
        "(USE(\\Junk))",
        "(USE (Junk))",
        "(USE (\\Junk)",
        "(USE (\\Junk )",
        "(USE ( \\Junk))",
        "(FROB (\\Junk))",
        "()",
        "(USE (\\Junk)) x",
        "(USE (%s))" % " ".join(["\\Junk"] * 33),
    ):
        c.bad("CREATE new " + wrong)


def test_special_use_of_one_among_many_at_once(listed, users):
    """However many ask at a time, a use is one mailbox's."""
    sessions = [listed.imap(users[0]) for _ in range(4)]
    tags = [s.start("CREATE m%d (USE (\\Archive))" % n) for n, s in enumerate(sessions)]
    assert sorted(s.finish(t).status for s, t in zip(sessions, tags)) == ["NO", "NO", "NO", "OK"]
    assert list(uses(sessions[0]).values()) == ["\\Archive"]
    assert len(sessions[0].list("", "m*")) == 1


def test_special_uses_unasked(listed, users):
    """A frontend has them from the master: those of CREATE, and those that SETMETADATA set."""
    c, plain = listed.imap(users[0]), 'LIST "" *'
    c.ok("CREATE Out (USE (\\Sent))")
    c.ok("CREATE Bin")
    assert uses(c, plain) == {"Out": "\\Sent"}
    c.ok('SETMETADATA Bin (/private/specialuse "\\\\Trash")')
    direct.wait_for(lambda: uses(c, plain) == {"Out": "\\Sent", "Bin": "\\Trash"})
    assert uses(c) == uses(c, plain)
    c.ok("SETACL Out %s lr" % users[1])
    c.ok("RENAME Out Sent")
    c.ok("SETMETADATA Bin (/private/specialuse NIL)")
    direct.wait_for(lambda: uses(c, plain) == {"Sent": "\\Sent"})
    bob = listed.imap(users[1])
    assert "Other Users/%s/Sent" % users[0] in bob.list("", "*") and uses(bob, plain) == {}


def test_special_uses_without_being_asked(make_imapd):
    imapd = make_imapd()
    c = imapd.imap("fred")
    c.ok("CREATE Out (USE (\\Sent))")
    c.ok("SUBSCRIBE Out")
    c.ok('LIST "" *').one(rb'^\* LIST \(\\HasNoChildren \\Sent\) "/" Out$')
    c.ok('LSUB "" *').one(rb'^\* LSUB \(\\Sent\) "/" Out$')
    imapd.stop()
    imapd.conf["specialusealways"] = "no"
    imapd.start()
    c = imapd.imap("fred")
    c.ok('LIST "" *').one(rb'^\* LIST \(\\HasNoChildren\) "/" Out$')
    c.ok('LSUB "" *').one(rb'^\* LSUB \(\) "/" Out$')
    assert uses(c) == {"Out": "\\Sent"}


def test_many(listed, users):
    """More mailboxes than are asked about at a time, each told once."""
    c = listed.imap(users[0])
    for n in range(620):
        c.send("A%d CREATE n/%03d\r\n" % (n, n))
    done = 0
    while done < 620:
        done += not c.read_response().startswith(b"*")
    c.ok("SUBSCRIBE n/000")
    r = c.ok('LIST "" n/* RETURN (STATUS (MESSAGES) SUBSCRIBED)')
    names = [m.group(1) for m in r.find(rb"^\* STATUS (\S+) \(MESSAGES 0\)$")]
    assert len(names) == len(set(names)) == 620
    assert len(r.find(rb"^\* LIST ")) == 620 and len(r.find(rb"Subscribed")) == 1


def test_capabilities(listed, users):
    words = listed.imap(users[0]).ok("CAPABILITY").untagged[0].decode().split()
    assert {"LIST-EXTENDED", "LIST-STATUS", "LIST-MYRIGHTS", "STATUS=SIZE", "CHILDREN"} <= set(words)
    assert {"SPECIAL-USE", "CREATE-SPECIAL-USE", "XLIST", "MAILBOX-REFERRALS"} <= set(words)


def test_suppressed(make_imapd):
    imapd = make_imapd({"suppress_capabilities": "LIST-EXTENDED STATUS=SIZE"})
    c = imapd.imap("fred")
    assert "LIST-EXTENDED" not in c.ok("CAPABILITY").untagged[0].decode()
    for unknown in ('LIST (SUBSCRIBED) "" *', 'LIST "" (a b)', 'LIST "" * RETURN (CHILDREN)', "STATUS INBOX (SIZE)"):
        c.bad(unknown)
    assert c.list("", "*") == ["INBOX"]


def test_rlist(garden):
    """RFC 2193 5: what LIST and LSUB say."""
    assert garden.ok('RLIST "" *').untagged == garden.ok('LIST "" *').untagged
    assert garden.ok('RLSUB "" *').untagged == garden.ok('LSUB "" *').untagged
    garden.bad('RLIST (SUBSCRIBED) "" *')
    garden.bad('RLIST "" * RETURN (CHILDREN)')
    garden.bad('RLSUB ""')


def test_referrals(make_murder):
    murder = make_murder()
    murder.add_user("fred", 0)
    murder.add_user("bob", 1)
    with murder.imap("bob") as bob:
        bob.ok('CREATE "b &AOQ-"')
        bob.ok('SETACL "b &AOQ-" fred lr')
        bob.ok("CREATE closed")
    there, url = '"Other Users/bob/b &AOQ-"', "imap://fred;AUTH=*@%s/Other%%20Users/bob/b%%20%%C3%%A4" % murder.names[1]
    for command in ('RLIST "" *', 'RLSUB "" *', 'LIST (REMOTE) "" *'):
        with murder.imap("fred") as c:
            assert c.select(there) == 0
            c.ok(command)
            # the user's own server is where he is, and all but SELECT is done for him
            assert c.select("INBOX") == 0
            for select in ("SELECT", "EXAMINE"):
                assert c.no("%s %s" % (select, there)).text.startswith("[REFERRAL %s] " % url)
            c.bad("FETCH 1 FLAGS")
            c.ok("STATUS %s (MESSAGES)" % there)
            # what he may not know of he does not hear of
            assert "NONEXISTENT" in c.no('SELECT "Other Users/bob/closed"').text
            assert "NONEXISTENT" in c.no('SELECT "Other Users/nobody"').text
            remote = [m.group(1) for m in c.ok('LIST (REMOTE) "" *').find(rb'Remote.* "/" (.*)$')]
            assert remote == [there.encode()]
            assert c.ok('LIST "" *').find(b"Remote") == []


def test_referrals_disabled(make_murder):
    murder = make_murder(conf={"proxyd_disable_mailbox_referrals": "yes"})
    murder.add_user("fred", 0)
    murder.add_user("bob", 1)
    with murder.imap("bob") as bob:
        bob.ok("SETACL INBOX fred lr")
    c = murder.imap("fred")
    assert c.ok('LIST (REMOTE) "" *').find(b"Remote") == []
    c.ok('RLIST "" *')
    assert c.select('"Other Users/bob"') == 0


def test_backend_away(make_murder):
    """The mailboxes of a backend that is down or hangs are listed without STATUS, the others with it."""
    murder = make_murder(conf={"backend_timeout": "2s", "client_timeout": "2s"})
    murder.add_user("fred", 0)
    murder.add_user("bob", 1)
    with murder.imap("bob") as bob:
        bob.ok("SETACL INBOX fred lr")
    c = murder.imap("fred")
    both = rb'^\* STATUS (INBOX|"Other Users/bob") \(MESSAGES 0\)$'
    ask = 'LIST "" * RETURN (STATUS (MESSAGES))'
    assert len(c.ok(ask).find(both)) == 2
    murder.be[1].stop()
    r = c.ok(ask)
    assert r.one(both).group(1) == b"INBOX" and len(r.find(rb"^\* LIST ")) == 2
    # the subscriptions are the INBOX's server's to tell: only who asks for them hears that it is away
    murder.be[0].stop()
    assert len(c.ok('LIST "" *').untagged) == 2
    assert "UNAVAILABLE" in c.no('LIST (SUBSCRIBED) "" *').text
    assert re.search("UNAVAILABLE", c.no('LIST "" * RETURN (SUBSCRIBED)').text)
