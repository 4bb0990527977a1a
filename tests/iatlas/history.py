"""What many clients asked MUPDATE masters for and were answered, and whether that can be true.

Clerks change and look up few names at any of the masters while these are hurt, and note when each command was sent, when
and how it was answered.  consistent() then looks for one order of a name's commands, each between its sending and its answer, in
which every answer is right.  If there is one, the name was active on at most one server, nothing acknowledged was lost, and no
reservation was given twice.  What was not answered, or with a NO that says nothing about the name, happened at some time
after it was sent, or never; a FIND that calls itself stale may tell of any state that has been.

Each change has a location and an ACL of its own, so that a state tells who made it.
"""

import collections
import contextlib
import dataclasses
import itertools
import time

from . import faults, room, storm
from .mupdate import Mupdate
from .net import MUPDATE
from .node import ADMIN, PROXY

RESERVED, ACTIVE = "RESERVE", "MAILBOX"  # as FIND says it; a name that is absent is None
# The NOs that are about the name; all others leave open what was done.
REFUSALS = (
    "mailbox already exists",
    "mailbox is active on another server",
    "no such mailbox",
    "mailbox is not active",
)
DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"
DISK_KB = {"config": 512 * 1024, "spool": 64 * 1024}  # between two checkpoints Berkeley DB's log takes 128 MB and more
WIDEST = 200000  # configurations of one name that are followed


@dataclasses.dataclass
class Command:
    verb: str  # RESERVE, ACTIVATE, DEACTIVATE, DELETE, FIND
    name: str
    location: str = ""
    acl: str = ""
    sent: float = 0.0
    answered: float = float("inf")
    outcome: str = UNKNOWN
    found: tuple = None  # FIND's answer
    stale: bool = False  # FIND: of any time before
    by: str = ""

    def __str__(self):
        what = "%s %s %s" % (self.verb, self.name, self.location)
        answer = "found %r%s" % (self.found, " (stale)" * self.stale) if self.verb == "FIND" else self.outcome
        return "%.6f .. %.6f %s: %s: %s" % (self.sent, self.answered, self.by, what.strip(), answer)


# ---- what a name may become ----


def server_of(location):
    return location.partition("!")[0]


def after(state, c):
    """(is it done, the state then)."""
    active = state is not None and state[0] == ACTIVE
    elsewhere = state is not None and server_of(state[1]) != server_of(c.location)
    done = {
        "RESERVE": not elsewhere,
        "ACTIVATE": not (active and elsewhere),
        "DEACTIVATE": active and not elsewhere,
        "DELETE": state is not None,
    }[c.verb]
    return (done, state_of(c) if done else state)


def agrees(state, c):
    """Can a command that changes nothing have been answered so?"""
    return state == c.found if c.verb == "FIND" else not after(state, c)[0]


def state_of(c):
    """What a change makes of a name."""
    if c.verb == "DELETE":
        return None
    return (ACTIVE, c.location, c.acl) if c.verb == "ACTIVATE" else (RESERVED, c.location)


def changes(c):
    return c.verb != "FIND" and c.outcome != REFUSED


# ---- one order that explains all answers ----


class Impossible(AssertionError):
    pass


class TooWide(Exception):
    """More unanswered commands on one name than can be gone through: neither right nor wrong."""


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A state that the name may be in, and which of the commands under way that takes as done."""

    state: tuple
    writes: frozenset  # changes whose answers are still to come
    reads: frozenset  # likewise what changes nothing
    spent: frozenset  # changes that were never answered

    def covers(self, other):
        return self.writes == other.writes and self.reads >= other.reads and self.spent <= other.spent


def prepared(commands):
    """In the order of their sending, without what tells nothing.  What nobody has ever seen is alike, and need not be told apart."""
    seen = {c.found for c in commands if c.verb == "FIND" and c.outcome == DONE}
    made, found, rest = {}, {}, []  # state -> since when it may have been; what stale readers have found, and when first; all else
    for c in commands:
        if c.verb == "FIND" and c.stale and c.outcome == DONE:
            found[c.found] = min(found.get(c.found, c), c, key=lambda c: c.answered)
        elif changes(c):
            state = state_of(c)
            made[state] = min(made.get(state, c.sent), c.sent)
            rest.append(c if state in seen else dataclasses.replace(c, location=server_of(c.location) + "!", acl=""))
        elif c.verb != "FIND" or c.outcome == DONE:
            rest.append(c)
    stale = [dataclasses.replace(c, sent=made.get(s, c.sent)) for s, c in found.items() if s is not None]
    return sorted(rest + stale, key=lambda c: c.sent)


class Search:
    """Goes through one name's commands in time (after J. Wing and C. Gong, and G. Lowe's just-in-time linearization)."""

    def __init__(self, commands):
        self.commands = prepared(commands)
        self.writes, self.reads = {}, {}  # sent and not answered yet, by index; unanswered changes stay
        self.configurations = [Configuration(None, frozenset(), frozenset(), frozenset())]
        self.widest = 1

    def run(self):
        events = [(c.sent, 0, i) for i, c in enumerate(self.commands)]
        events += [(c.answered, 1, i) for i, c in enumerate(self.commands) if c.outcome != UNKNOWN]
        for _, is_answer, i in sorted(events):
            if is_answer:
                self._answered(i)
            elif changes(self.commands[i]):
                self.writes[i] = self.commands[i]
            else:
                self.reads[i] = self.commands[i]
                self.configurations = [self._absorb(x, {i: self.commands[i]}) for x in self.configurations]
        return self.widest

    @staticmethod
    def _absorb(x, reads):
        """What changes nothing and is right now is taken as done at once: nothing is gained by waiting."""
        new = {i for i, c in reads.items() if i not in x.reads and agrees(x.state, c)}
        return dataclasses.replace(x, reads=x.reads | new) if new else x

    def _next(self, x):
        """Every configuration that is one change further."""
        tried = set()
        for i, c in self.writes.items():
            if i in x.writes or i in x.spent:
                continue
            if c.outcome == UNKNOWN:  # of those that are alike, the one that was sent first
                alike = (c.verb, c.location, c.acl)
                if alike in tried:
                    continue
                tried.add(alike)
            done, state = after(x.state, c)
            if done and c.outcome == UNKNOWN:
                yield self._absorb(Configuration(state, x.writes, x.reads, x.spent | {i}), self.reads)
            elif done:
                yield self._absorb(Configuration(state, x.writes | {i}, x.reads, x.spent), self.reads)

    def _answered(self, i):
        """Only what takes the command as done goes on."""
        reached, level, known = [], self.configurations, collections.defaultdict(list)
        while level:
            following = []
            for x in level:
                if any(other.covers(x) for other in known[x.state]):
                    continue
                known[x.state].append(x)
                if i in x.writes or i in x.reads:
                    reached.append(x)
                else:
                    following.extend(self._next(x))
                if sum(map(len, known.values())) > WIDEST:
                    raise TooWide(str(self.commands[i]))
            level = following
        if not reached:
            raise Impossible(self._story(i))
        (self.writes if i in self.writes else self.reads).pop(i)
        self.configurations = self._fewest(
            dataclasses.replace(x, writes=x.writes - {i}, reads=x.reads - {i}) for x in reached
        )
        self.widest = max(self.widest, len(self.configurations))

    @staticmethod
    def _fewest(configurations):
        kept = collections.defaultdict(list)
        for x in sorted(set(configurations), key=lambda x: (len(x.spent), -len(x.reads))):
            if not any(other.covers(x) for other in kept[x.state]):
                kept[x.state].append(x)
        return [x for same in kept.values() for x in same]

    def _story(self, i):
        before = [str(c) for c in self.commands if c.sent <= self.commands[i].answered][-40:]
        states = sorted({str(x.state) for x in self.configurations})
        return "no order explains\n  %s\nbehind\n  %s\nwhere the name was one of\n  %s" % (
            *(self.commands[i], "\n  ".join(before), "\n  ".join(states)),
        )


def consistent(commands):
    """Raises Impossible, or TooWide; the most configurations that a name had at a time."""
    names = collections.defaultdict(list)
    for c in commands:
        names[c.name].append(c)
    return max((Search(own).run() for own in names.values()), default=0)


# ---- who asks ----


class Clerk(storm.Actor):
    """A client of the masters: a backend that wants names which others want too."""

    PATIENCE = 3  # seconds for an answer: then it asks elsewhere

    def __init__(self, storm, number, names, numbers):
        super().__init__(storm, "clerk%d" % number)
        self.names, self.numbers = names, numbers
        self.server = "be%d.lab" % (number % 3 + 1)
        self.commands = []

    def turn(self):
        self.doing = "asking"
        try:
            self.ask([self.draw() for _ in range(self.rng.choice((1, 1, 1, 2, 4)))])
        except TimeoutError:
            self.counts["silence"] += 1
            self.hang_up()

    def draw(self):
        number = next(self.numbers)
        verb = self.rng.choice(("RESERVE",) * 3 + ("ACTIVATE",) * 3 + ("DEACTIVATE",) + ("DELETE",) * 2 + ("FIND",) * 3)
        c = Command(verb, self.rng.choice(self.names), by=self.name)
        if verb not in ("DELETE", "FIND"):
            c.location = "%s!p%d" % (self.server, number)
        if verb == "ACTIVATE":
            c.acl = "u%d\tl\t" % number
        return c

    def connection(self):
        if self.c is None:
            self.member = self.rng.choice(self.murder.members)
            self.c = Mupdate(self.member.address, MUPDATE, timeout=self.PATIENCE)
            self.c.login()
        return self.c

    def ask(self, commands):
        connection = self.connection()
        tags = []
        for c in commands:
            c.by = "%s at %s" % (self.name, self.member.name)
            c.sent = time.monotonic()
            self.commands.append(c)
            tags.append(connection.start(line_of(c)))
        for c, tag in zip(commands, tags):
            note(c, connection.finish(tag))
            self.counts["%s %s" % (c.verb, c.outcome)] += 1


def line_of(c):
    words = [c.name, *([c.location] if c.location else []), *([c.acl] if c.verb == "ACTIVATE" else [])]
    return " ".join([c.verb, *('"%s"' % w for w in words)])


def note(c, lines):
    c.answered = time.monotonic()
    word, text = lines[-1][1], lines[-1][-1]
    assert word in ("OK", "NO"), "%s: %r" % (c, lines)
    if word == "OK":
        c.outcome = DONE
        if c.verb == "FIND":
            c.found = (lines[0][1],) + lines[0][3:] if len(lines) > 1 else None
            c.stale = "stale" in text
    elif text in REFUSALS:
        c.outcome = REFUSED


class Subscriber(storm.Actor):
    """Follows one member's stream: what it tells has been at some time, and in the end it tells what is."""

    def __init__(self, storm, member, names):
        super().__init__(storm, "subscriber of " + member.name)
        self.member, self.names = member, set(names)
        self.commands, self.picture, self.tag = [], {}, None

    def turn(self):
        self.doing = "UPDATE"
        try:
            if self.c is None:
                self.picture = {}
                self.c = Mupdate(self.member.address, MUPDATE, timeout=1)
                self.c.login()
                self.tag = self.c.start("UPDATE")
            while not self.storm.over.is_set():
                self.take(self.c.read())
        except TimeoutError:  # nothing new, or nothing at all
            if not self.picture:
                self.hang_up()

    def take(self, line):
        if line[0] != self.tag or line[2] not in self.names:
            return
        state = None if line[1] == "DELETE" else (line[1],) + line[3:]
        self.picture[line[2]] = state
        self.counts["told"] += 1
        now = time.monotonic()
        self.commands.append(Command("FIND", line[2], sent=now, answered=now, outcome=DONE, found=state, stale=True, by=self.name))

    def settle(self):
        """The picture that a stream of the member ends in, once nobody changes anything any more."""
        with Mupdate(self.member.address).login() as c:
            self.picture, self.tag = {}, c.start("UPDATE")
            noop = c.start("NOOP")
            for line in c.finish(noop):
                self.take(line)
        return {name: state for name, state in self.picture.items() if state is not None}


class Members:
    """Machines that run a MUPDATE master each, and the clients' place: what faults.Victim is for a whole murder.

    confs: imapd.conf lines of each; addresses are known from `hub.address()` before.
    """

    def __init__(self, directory, hub, addresses, confs, disk_kb=DISK_KB):
        self.hub, self.dir, self.disk_kb = hub, directory, disk_kb
        self.nodes = [self._member(i, a, dict(conf)) for i, (a, conf) in enumerate(zip(addresses, confs))]
        self.members = self.nodes  # that clients may ask
        self.outside = faults.Outside(hub)

    def _member(self, i, address, conf):
        conf.setdefault("admins", "%s %s" % (ADMIN, PROXY))
        node = faults.Machine("%s/m%d" % (self.dir, i + 1), address, self.hub, conf, disk_kb=self.disk_kb)
        node.name = "m%d" % (i + 1)
        node.add_user(ADMIN, PROXY)
        node.services["mupdate"] = 'cmd="mupdate -m" listen="%s:%d" prefork=1' % (address, MUPDATE)
        return node

    def start(self):
        for node in self.nodes:
            node.start()
        return self

    def cleanup(self):
        for node in self.nodes:
            node.cleanup()
        self.hub.close()


class Faults(storm.Chaos):
    """Processes are killed and paused, cables cut, between members and between them and the clients, power is lost."""

    KINDS = ("kill",) * 4 + ("stop",) * 4 + ("cut",) * 4 + ("unplug", "crash", "power")

    def peers(self):
        return [*self.murder.nodes, self.murder.outside]


class Round:
    """Clerks, subscribers and faults for some seconds, on names of its own; then what was said is looked at."""

    def __init__(self, members, seed, clerks=8, names=4, pause=0.01, long=(4, 6)):
        self.members = members
        self.names = ["user.%s.n%d" % (seed.replace(".", "-"), i) for i in range(names)]
        self.storm = storm.Storm(members, seed, pause=pause, long=long, chaos=Faults)
        numbers = itertools.count(1)
        self.storm.actors += [Clerk(self.storm, i, self.names, numbers) for i in range(clerks)]
        self.storm.actors += [Subscriber(self.storm, m, self.names) for m in members.members]

    def rage(self, seconds):
        self.storm.rage(seconds)

    def ask(self, member, name):
        """A FIND after the end, answered for sure: after faults that takes a while."""
        deadline = time.monotonic() + 90
        while True:
            command = Command("FIND", name, sent=time.monotonic(), by="the end at " + member.name)
            with contextlib.suppress(OSError, EOFError), Mupdate(member.address).login() as c:
                note(command, c.command(line_of(command)))
            if command.outcome == DONE and not command.stale:
                return command
            assert time.monotonic() < deadline, "%s: %s %s" % (member.name, command, member.log()[-2000:])
            self.storm.chaos.heal()  # a master may have died late
            time.sleep(0.1)

    def ask_all(self):
        """Every member's FIND of every name, until its stream says the same; as commands.  (A change that had no answer may still be
        done meanwhile.)"""
        every, deadline = [], time.monotonic() + 60
        while True:
            asked = [(member, self.ask(member, name)) for member in self.members.members for name in self.names]
            every += [c for _, c in asked]
            found = {m.name: {c.name: c.found for member, c in asked if member is m and c.found} for m in self.members.members}
            told = {s.member.name: s.settle() for s in self.storm.of(Subscriber)}
            if told == found:
                return every
            assert time.monotonic() < deadline, "%r, %r" % (told, found)
            time.sleep(0.2)

    def check(self):
        """How many commands, of which unanswered, and the most configurations of a name."""
        asked = self.ask_all()
        commands = [c for actor in self.storm.actors for c in actor.commands] + asked
        widest = consistent(commands)
        clerks = [c for actor in self.storm.of(Clerk) for c in actor.commands]
        unknown = sum(c.outcome == UNKNOWN and c.verb != "FIND" for c in clerks)
        return len(clerks), unknown, widest


def of_members(directory, count, conf, **kw):
    """Members in a network of their own; conf(addresses, i): the i-th one's imapd.conf lines."""
    hub = room.Hub()
    addresses = [hub.address() for _ in range(count)]
    return Members(directory, hub, addresses, [conf(addresses, i) for i in range(count)], **kw)
