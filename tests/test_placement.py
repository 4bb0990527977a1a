"""Where a mailbox goes that nothing else places: serverlist_select_mode, serverlist_select_soft_usage_limit, partition_select_mode,
partition_select_soft_usage_limit, partition_select_exclude."""

import os

import pytest

from iatlas import mounts
from iatlas.direct import Service
from iatlas.fake import GREETING, Fake, Hangup, put
from iatlas.node import ADMIN, program

PREFIX = "/shared/vendor/cmu/cyrus-imapd/freespace/"
MANY, PERCENT = "total", "percent/most"


class Space(Fake):
    """A backend that says how much is free: {entry: "free;total"}; None: it goes away at the question."""

    def __init__(self, address, space):
        self.space, self.made = space, []
        super().__init__(address, self.handle, GREETING)

    def handle(self, s, tag, text):
        if text.startswith("GETMETADATA"):
            if self.space is None:
                raise Hangup
            entry = text.split('"')[3]
            assert entry.startswith(PREFIX), text
            value = self.space.get(entry[len(PREFIX) :])
            if value == "BAD":
                s.send("%s BAD what\r\n" % tag)
                return True
            s.send('* METADATA "" ("%s" %s)\r\n' % (entry, '"%s"' % value if value else "NIL"))
            s.send(self.space.get("news", ""))
        elif text.startswith("CREATE"):
            self.made.append(text.split()[1])
            s.no(tag, "enough seen")
            return True
        else:
            return None
        s.ok(tag)
        return True


@pytest.fixture
def placing(make_murder, network):
    """placing(a, b, **conf): which of two servers with such space gets a mailbox: 0, 1.  `selected`: by a client that has
    selected a mailbox of the first; what it is told meanwhile is in placing.told."""
    murder = make_murder(backends=1)
    fakes, count = [], [0]

    def place(*spaces, selected=False, **conf):
        made = [Space(network.address(), s) for s in spaces]
        fakes.extend(made)
        fe = murder.fe[0]
        fe.stop()
        fe.conf.update(conf, defaultserver=None, serverlist=" ".join(f.name for f in made))
        fe.start()
        murder._wait_synced(fe)
        count[0] += 1
        with murder.imap(ADMIN) as c:
            if selected:
                put(murder, made[0], "user.place%d" % count[0])
                c.ok("SELECT user/place%d" % count[0])
            r = c.no("CREATE place%d" % count[0])
            place.told, answer = r.untagged, r.text
        got = [i for i, f in enumerate(made) if f.made]
        assert len(got) <= 1
        return got[0] if got else answer

    yield place
    for f in fakes:
        f.close()
    assert [e for f in fakes for e in f.errors] == []


def test_select_mode(placing):
    much, little = {MANY: "900;1000", PERCENT: "10;1000"}, {MANY: "800;1000", PERCENT: "90;100"}
    assert placing(much, little) == 0  # freespace-most is the default
    assert placing(little, much, serverlist_select_mode="freespace-most") == 1
    assert placing(much, little, serverlist_select_mode="freespace-percent-most") == 1
    assert placing({PERCENT: "0;9"}, little, serverlist_select_mode="freespace-percent-weighted") == 1  # no chance
    assert placing(little, {MANY: "BAD", PERCENT: "BAD"}, serverlist_select_mode="freespace-most") == 0
    # nonsense, and no answer at all, is worse than little
    for odd in ("x", "5", "9;5", ";", None, "99999999999999999999;99999999999999999999"):
        assert placing({MANY: odd}, little) == 1
    # a server that is away is left out; if all are, nothing is made
    assert placing(None, little) == 1
    assert "UNAVAILABLE" in placing(None, None)
    # one server is not asked
    assert placing({MANY: "BAD"}) == 0
    # what a server says of the selected mailbox is for the client
    news = {MANY: "900;1000", "news": '* 4 EXISTS\r\n* METADATA "" /shared/comment\r\n'}
    assert placing(news, little, selected=True) == 0
    assert placing.told == [b"* 4 EXISTS", b'* METADATA "" /shared/comment']


def test_soft_usage_limit(placing):
    full, free = {MANY: "9000;100000", PERCENT: "9;100"}, {MANY: "500;1000", PERCENT: "50;100"}
    limit = {"serverlist_select_soft_usage_limit": "90"}
    assert placing(full, free) == 0
    assert placing(full, free, **limit) == 1
    assert placing(full, {MANY: "1;1000"}, **limit) == 0  # all are beyond it: the best of them
    assert placing(full, free, serverlist_select_mode="random", **limit) == 1
    assert placing(free, free, serverlist_select_mode="random") in (0, 1)


# ---- partitions ----

DISKS = """set -e
mount -t tmpfs -o size=16m none '{0}/big'
mount -t tmpfs -o size=3m none '{0}/small'
fallocate -l 12m '{0}/big/full'
exec '{1}' "$@"
"""


@pytest.fixture
def disks(workdir, network):
    """An imapd with two partitions: on `big` are 4 MB free, 25 percent; on `small` 3 MB, all."""
    why = "not root: disks of its own" if os.getuid() != 0 else mounts.missing("mount -t tmpfs none /mnt")
    if why:
        pytest.skip(why)
    for name in ("big", "small"):
        os.mkdir(os.path.join(workdir, name))
    inner, outer = os.path.join(workdir, "inner"), os.path.join(workdir, "outer")
    with open(inner, "w") as f:
        f.write(DISKS.format(workdir, program("imapd")))
    with open(outer, "w") as f:
        f.write("#!/bin/sh\nexec %s sh '%s' \"$@\"\n" % (" ".join(mounts.unshare()), inner))
    os.chmod(outer, 0o755)
    server = Service(os.path.join(workdir, "i"), network.address(), "imap", [outer])
    del server.conf["partition-default"]
    server.conf.update({"partition-" + name: os.path.join(workdir, name) for name in ("big", "small")})
    yield server
    server.cleanup()


def test_partitions(disks):
    count = 0

    def chosen(n, **conf):
        """Where n mailboxes go."""
        nonlocal count
        disks.stop()
        own = dict(disks.conf)
        disks.conf.update(conf)
        disks.start()
        disks.conf = own
        found = set()
        with disks.imap() as c:
            for _ in range(n):
                count += 1
                r = c.command("CREATE m%d" % count)
                if r.status != "OK":
                    return r.text
                c.ok("SETACL m%d %s lra" % (count, ADMIN))
                entry = "/shared/vendor/cmu/cyrus-imapd/partition"
                found.add(c.ok("GETMETADATA m%d %s" % (count, entry)).one(rb'partition" "?(\w+)"?\)$').group(1).decode())
        return found

    assert chosen(1) == {"big"}  # freespace-most is the default
    assert chosen(1, defaultpartition="small") == {"small"}
    assert chosen(1, partition_select_mode="freespace-percent-most") == {"small"}
    assert chosen(1, partition_select_soft_usage_limit="70") == {"small"}
    assert chosen(30, partition_select_mode="random") == {"big", "small"}
    assert chosen(1, partition_select_mode="random", partition_select_soft_usage_limit="70") == {"small"}
    assert chosen(1, partition_select_mode="freespace-percent-most", partition_select_exclude="none, Small") == {"big"}
    assert "CANNOT" in chosen(1, partition_select_exclude="small big")
