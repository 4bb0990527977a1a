"""Load on a murder while it is hurt, and a ledger of what it has acknowledged.

Each actor has mailboxes that nobody else changes, so that it knows what must be in them: what was acknowledged for certain,
what was not answered perhaps.  Everything random comes from one seed.
"""

import collections
import contextlib
import hashlib
import random
import re
import signal
import smtplib
import subprocess
import threading
import time

from . import faults, room
from .clients import Imap, Lmtp, message
from .node import ADMIN

TOKEN = re.compile(rb"Message-ID: <(tok-[\w.-]+)@storm>\r\n")
SUM = re.compile(rb"X-Sum: (\w+)\r\n")
LOST = (OSError, EOFError, smtplib.SMTPException)


def make_message(token, rng):
    body = "".join("%032x\r\n" % rng.getrandbits(128) for _ in range(rng.choice((1, 5, 40, 400))))
    text = message(subject=token, body=body, headers="X-Sum: %s\r\n" % hashlib.sha1(body.encode()).hexdigest())
    return re.sub(rb"Message-ID: <[^>]*>", b"Message-ID: <%s@storm>" % token.encode(), text)


def is_whole(text):
    head, _, body = text.partition(b"\r\n\r\n")
    return hashlib.sha1(body).hexdigest().encode() == SUM.search(head + b"\r\n").group(1)


def outcome_of(response):
    """True: done; False: refused; None: lost on the way, between client, frontend and backend."""
    if response is None or re.search(r"\[UNAVAILABLE\] (Server|The mailbox's server)", response.text):
        return None
    return response.status == "OK"


class Actor(threading.Thread):
    """turn() is called again and again; what ends a connection ends nothing else."""

    patience = 60  # seconds that an answer may take in the worst of all faults

    def __init__(self, storm, name):
        super().__init__(name=name, daemon=True)
        self.storm, self.murder = storm, storm.murder
        self.rng = random.Random("%s %s" % (storm.seed, name))
        self.error, self.counts, self.slowest, self.number = None, collections.Counter(), (0, ""), 0
        self.c = None

    def run(self):
        room.setns(self.murder.hub.net)
        try:
            while not self.storm.over.is_set():
                began = time.monotonic()
                try:
                    self.turn()
                except TimeoutError as e:
                    raise AssertionError("%s: no answer within %d s: %s" % (self.name, self.patience, self.doing)) from e
                except LOST:
                    self.counts["connections lost"] += 1
                    self.hang_up()
                    time.sleep(0.1)
                self.slowest = max(self.slowest, (time.monotonic() - began, getattr(self, "doing", "")))
                time.sleep(self.storm.pause * self.rng.random())
        except BaseException as e:
            self.error = e
        finally:
            self.hang_up()

    def hang_up(self):
        if self.c is not None:
            self.c.close()
            self.c = None

    def token(self):
        self.number += 1
        return "tok-%s-%d" % (self.name, self.number)

    def imap(self, user):
        """A connection that stays until it is lost, then another, to any frontend."""
        if self.c is None:
            self.doing = "connecting"
            frontend = self.rng.choice(self.murder.fe)
            c = Imap(frontend.address, timeout=self.patience)
            self.c = c
            self.doing = "LOGIN"
            if c.command("LOGIN %s secret" % user).status != "OK":
                raise EOFError("no login")
        return self.c

    def command(self, user, text):
        """The answer; None: the connection was lost, the outcome is unknown."""
        self.doing = text if isinstance(text, str) else text[0]
        try:
            return self.imap(user).command(text)
        except TimeoutError:
            raise
        except LOST:
            self.counts["answers lost"] += 1
            self.hang_up()
            return None


class Deliverer(Actor):
    """An MTA: what is not acknowledged is sent again, with the same Message-ID."""

    def __init__(self, storm, name, users):
        super().__init__(storm, name)
        self.users = users
        self.acknowledged = set()  # (user, token)
        self.queue = []  # (token, text, users)

    def turn(self):
        self.doing = "LMTP"
        if not self.queue or self.rng.random() < 0.5:
            token = self.token()
            recipients = self.rng.sample(self.users, self.rng.choice((1, 1, 2, 4)))
            self.queue.append((token, make_message(token, self.rng), recipients))
        token, text, users = self.queue.pop(0)
        left = list(users)
        try:
            with Lmtp(self.rng.choice(self.murder.fe).address, timeout=self.patience) as c:
                for user, (code, answer) in zip(users, self.deliver(c, users, text)):
                    assert code // 100 in (2, 4), "%s for %s: %s" % (code, user, answer)
                    self.counts["delivered" if code == 250 else "deferred"] += 1
                    if code == 250:
                        self.acknowledged.add((user, token))
                        left.remove(user)
        finally:
            if left:
                self.queue.append((token, text, left))

    def deliver(self, c, users, text):
        try:
            return c.deliver("sender@example.org", users, text)
        except AssertionError as e:  # the helper's: something else than 250, 354
            raise EOFError(str(e)) from e


class Writer(Actor):
    """One user's client: APPEND, COPY, MOVE, STORE, EXPUNGE in mailboxes of his, on both backends."""

    def __init__(self, storm, name, user, boxes):
        super().__init__(storm, name)
        self.user = user
        self.boxes = {box: {} for box in boxes}  # token -> [least, most] of copies
        self.unclear = set()  # tokens of which something went unanswered: left alone
        self.appended = set()  # acknowledged
        self.flagged = set()  # (box, uid) with \Flagged for certain

    def turn(self):
        self.rng.choice((self.append,) * 4 + (self.copy,) * 2 + (self.move,) * 2 + (self.store,) * 2 + (self.expunge,))()

    def does(self, text):
        return self.command(self.user, text)

    def append(self):
        box, token = self.rng.choice(list(self.boxes)), self.token()
        r = self.does(["APPEND %s " % box, make_message(token, self.rng)])
        self.settle(token, r, [(box, 1)])
        if r is not None and r.status == "OK":
            self.appended.add(token)

    def settle(self, token, response, changes):
        """Notes what an answer means: each box's number of copies is another now, or perhaps, or it is not."""
        outcome = outcome_of(response)
        self.counts[{True: "changes", False: "refused", None: "unknown"}[outcome]] += 1
        if outcome is None:
            self.unclear.add(token)
        for box, n in changes if outcome is not False else ():
            least, most = self.boxes[box].get(token, (0, 0))
            self.boxes[box][token] = [least + (n if outcome else min(n, 0)), most + (n if outcome else max(n, 0))]

    def pick(self):
        """A box that is selected now, a token that is clear and in it, one of its uids; or None."""
        box = self.rng.choice(list(self.boxes))
        tokens = sorted(t for t, (least, _) in self.boxes[box].items() if least > 0 and t not in self.unclear)
        if not tokens:
            return None
        token = self.rng.choice(tokens)
        r = self.does("SELECT %s" % box)
        if r is None or r.status != "OK":
            return None
        r = self.does('UID SEARCH HEADER MESSAGE-ID "%s@"' % token)
        if r is None or r.status != "OK":
            return None
        uids = [int(u) for m in r.find(rb"^\* SEARCH(.*)$") for u in m.group(1).split()]
        least, most = self.boxes[box][token]
        assert least <= len(uids) <= most, "%s in %s: %d, not %d to %d" % (token, box, len(uids), least, most)
        return box, token, self.rng.choice(uids)

    def copy(self):
        if (picked := self.pick()) is not None:
            box, token, uid = picked
            to = self.rng.choice(list(self.boxes))
            self.settle(token, self.does("UID COPY %d %s" % (uid, to)), [(to, 1)])

    def move(self):
        if (picked := self.pick()) is not None:
            box, token, uid = picked
            to = self.rng.choice([b for b in self.boxes if b != box])
            self.settle(token, self.does("UID MOVE %d %s" % (uid, to)), [(box, -1), (to, 1)])

    def store(self):
        if (picked := self.pick()) is not None:
            box, token, uid = picked
            r = self.does("UID STORE %d +FLAGS.SILENT (\\Flagged)" % uid)
            if r is not None and r.status == "OK":
                self.counts["changes"] += 1
                self.flagged.add((box, uid))

    def expunge(self):
        if (picked := self.pick()) is not None:
            box, token, uid = picked
            self.appended.discard(token)
            r = self.does("UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
            if r is not None and r.status == "OK":
                self.settle(token, self.does("UID EXPUNGE %d" % uid), [(box, -1)])
            else:
                self.unclear.add(token)

    def check(self, c):
        """What is there in the end; second copies of messages whose answer was lost."""
        found = collections.Counter()
        second = 0
        for box, ledger in self.boxes.items():
            there = read_box(c, box)
            tokens = collections.Counter(token for token, _, _ in there.values())
            assert set(tokens) <= set(ledger), "%s: unknown %r" % (box, set(tokens) - set(ledger))
            for token, (least, most) in ledger.items():
                assert least <= tokens[token] <= most, "%s in %s: %d copies, not %d to %d" % (
                    *(token, box, tokens[token], least, most),
                )
                second += tokens[token] - least
            for uid, (token, flags, whole) in there.items():
                assert whole, "%s in %s is not as it was sent" % (token, box)
                assert b"\\Flagged" in flags or (box, uid) not in self.flagged, "%s in %s: not flagged" % (token, box)
            found += tokens
        lost = {t for t in self.appended if found[t] == 0}
        assert not lost, "acknowledged and lost: %r" % lost
        return second


class Reader(Actor):
    """Selects, reads, idles in the writers' mailboxes."""

    def __init__(self, storm, name, user, boxes):
        super().__init__(storm, name)
        self.user, self.boxes = user, boxes

    def turn(self):
        r = self.command(self.user, "SELECT %s" % self.rng.choice(self.boxes))
        if r is None or r.status != "OK":
            return
        n = int(r.find(rb"^\* (\d+) EXISTS")[-1].group(1))
        if n > 0:
            r = self.command(self.user, "FETCH %d (UID FLAGS BODY.PEEK[])" % self.rng.randint(1, n))
            for m in r.find(rb"BODY\[\] \{(\d+)\}\r\n(.*)$") if r is not None and r.status == "OK" else ():
                assert is_whole(m.group(2)[: int(m.group(1))]), "a damaged message was read"
                self.counts["read"] += 1
        if self.c is not None and self.rng.random() < 0.3:
            self.idle()

    def idle(self):
        self.doing = "IDLE"
        tag = self.c.start("IDLE")
        while not (line := self.c.read_line()).startswith(b"+"):
            if line.startswith(tag.encode()):
                return
        time.sleep(self.rng.random())
        self.c.send("DONE\r\n")
        self.c.finish(tag)


GONE = "gone"


class Administrator(Actor):
    """CREATE, SETACL, RENAME, DELETE of shared mailboxes, each of which has one message in it, its soul."""

    def __init__(self, storm, name, servers):
        super().__init__(storm, name)
        self.servers = servers
        self.states = {}  # name -> what it may be: GONE, or the rights of the user anyone
        self.souls = {}  # name -> token
        self.renames = []  # of which nobody knows whether they were done
        self.made = 0

    def turn(self):
        self.rng.choice((self.create, self.create, self.setacl, self.setacl, self.rename, self.delete))()

    def does(self, text):
        """True: done; False: not; None: unknown."""
        r = self.command(ADMIN, text)
        if r is not None and r.status == "OK":
            self.counts["changes"] += 1
            return True
        self.counts["unknown" if r is None else "refused"] += 1
        return False if r is not None and "nothing was changed" in r.text else None

    def new_name(self):
        self.made += 1
        return "%s/m%d" % (self.name, self.made)

    def certain(self):
        names = sorted(n for n, s in self.states.items() if len(s) == 1 and GONE not in s)
        return self.rng.choice(names) if names else None

    def settle(self, name, outcome, state):
        before = self.states.get(name, {GONE})
        self.states[name] = {True: {state}, False: before, None: before | {state}}[outcome]

    def create(self):
        name, token = self.new_name(), self.token()
        outcome = self.does("CREATE %s %s" % (name, self.rng.choice(self.servers)))
        self.settle(name, outcome, "")
        if outcome:
            outcome = self.does("SETACL %s %s lrswipkxtecda" % (name, ADMIN))
            if outcome and self.does(["APPEND %s " % name, make_message(token, self.rng)]):
                self.souls[name] = token

    def setacl(self):
        if (name := self.certain()) is not None:
            rights = self.rng.choice(("l", "lr", "lrs", "p"))
            self.settle(name, self.does("SETACL %s reader %s" % (name, rights)), rights)

    def rename(self):
        if (name := self.certain()) is None:
            return
        to = self.new_name()
        (state,) = self.states[name]
        outcome = self.does("RENAME %s %s" % (name, to))
        self.settle(name, outcome, GONE)
        self.settle(to, outcome, state)
        if outcome is not False and name in self.souls:
            self.souls[to] = self.souls[name]
        if outcome is None:
            self.renames.append((name, to))

    def delete(self):
        if (name := self.certain()) is not None and self.rng.random() < 0.7:
            self.settle(name, self.does("DELETE %s" % name), GONE)

    def check(self, mailboxes, c):
        """`mailboxes`: name -> (location, {identifier: rights})."""
        for name, states in self.states.items():
            there = mailboxes.get(name.replace("/", "."))
            state = GONE if there is None else there[1].get("reader", "")
            assert state in states, "%s is %r, not %r" % (name, state, states)
            if there is not None and name in self.souls:
                found = [token for token, _, whole in read_box(c, name).values() if whole]
                assert found == [self.souls[name]], "%s: %r, not %s" % (name, found, self.souls[name])
        for name, to in self.renames:
            there = [n for n in (name, to) if n.replace("/", ".") in mailboxes]
            assert len(there) == 1, "RENAME %s %s left %r" % (name, to, there)


def read_box(c, box):
    """uid -> (token, flags, is it whole, its envelope too)"""
    if c.select(box) == 0:
        return {}
    found = {}
    for u in c.ok("UID FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[])").untagged:
        if (m := re.search(rb"FETCH \(.*UID (\d+)", u, re.S)) is None:
            continue
        size = re.search(rb"BODY\[\] \{(\d+)\}\r\n", u)
        text = u[size.end() : size.end() + int(size.group(1))]
        flags = re.search(rb"FLAGS \(([^)]*)\)", u[: size.start()] + u[size.end() + int(size.group(1)) :]).group(1)
        token = TOKEN.search(text).group(1)
        whole = is_whole(text) and b'"%s" ((' % token in u
        found[int(m.group(1))] = (token.decode(), flags, whole)
    return found


class Chaos:
    """Faults, one after the other, some of them at the same time, in an order that the seed decides."""

    KINDS = ("kill",) * 6 + ("stop",) * 3 + ("fill",) * 2 + ("cut",) * 3 + ("unplug", "crash", "power", "tool")

    def __init__(self, murder, seed, long):
        self.murder, self.long = murder, long
        self.rng = random.Random("%s chaos" % seed)
        self.counts, self.story = collections.Counter(), []
        self.under_way = []  # (when it ends, how, nodes concerned)
        self.busy = set()

    def say(self, text, *args):
        self.story.append("%s %s" % (time.strftime("%H:%M:%S"), text % args))

    def step(self):
        """Ends what is over and begins something new, on nodes that are not hurt already."""
        now = time.monotonic()
        for fault in [f for f in self.under_way if f[0] <= now]:
            self.end(fault)
        for node in self.murder.nodes:
            if node not in self.busy and not node.is_up():
                self.say("%s starts", node.name)
                node.boot()
        node, kind, seconds = self.draw()
        if node not in self.busy and len(self.under_way) < 3:
            kind(self, node, seconds)

    def draw(self):
        """Always the same numbers of the generator, whatever they come to."""
        node = self.rng.choice(self.murder.nodes)
        kind = getattr(type(self), self.rng.choice(self.KINDS))
        seconds = self.rng.uniform(*self.long) if self.rng.random() < 0.25 else self.rng.uniform(0.1, 3)
        self.luck = [self.rng.random() for _ in range(4)]
        return node, kind, seconds

    def peers(self):
        """Whom a node may be cut off from."""
        return self.murder.nodes

    def choose(self, items):
        items = list(items)
        return items[int(self.luck.pop() * len(items))]

    def begin(self, nodes, seconds, undo):
        fault = (time.monotonic() + seconds, undo, nodes)
        self.busy.update(nodes)
        self.under_way.append(fault)

    def end(self, fault):
        self.under_way.remove(fault)
        fault[1]()
        self.busy.difference_update(fault[2])

    def heal(self):
        """Everything is as it was: cables in, disks with room, all masters up."""
        while self.under_way:
            self.end(self.under_way[0])
        for node in self.murder.nodes:
            if not node.is_up():
                node.boot()

    # ---- faults ----

    def programs(self, node):
        """(program, pid) of what runs there now."""
        return sorted((faults.program_of(pid), pid) for pid in node.pids())

    def kill(self, node, seconds):
        running = self.programs(node)
        if not running:
            return
        name = self.choose(sorted({n for n, _ in running}))
        pid = self.choose(p for n, p in running if n == name)
        self.say("%s: kill %s", node.name, name)
        self.counts["kill " + name] += faults.send([pid], signal.SIGKILL)

    def stop(self, node, seconds):
        running = self.programs(node)
        names = sorted({n for n, _ in running})
        if not names:
            return
        name = self.choose([*names, "everything"])
        pids = [p for n, p in running if name in (n, "everything")]
        self.say("%s: stop %s for %.1f s", node.name, name, seconds)
        self.counts["stop " + name] += faults.send(pids, signal.SIGSTOP)
        self.begin([node], seconds, lambda: faults.send(pids, signal.SIGCONT))

    def fill(self, node, seconds):
        disk = self.choose(node.disks)
        self.say("%s: %s is full for %.1f s", node.name, disk, seconds)
        self.counts["fill " + disk] += 1
        node.fill(disk)
        self.begin([node], seconds, lambda: node.free(disk))

    def cut(self, node, seconds):
        other = self.choose(n for n in self.peers() if n is not node)
        both = self.choose((True, False))
        if other in self.busy:
            return
        self.say("%s and %s: cut%s for %.1f s", node.name, other.name, "" if both else " on one side", seconds)
        self.counts["cut" if both else "cut on one side"] += 1
        node.cut(other)
        if both:
            other.cut(node)

        def undo():
            node.heal(other)
            other.heal(node)

        self.begin([node, other], seconds, undo)

    def unplug(self, node, seconds):
        self.say("%s: unplugged for %.1f s", node.name, seconds)
        self.counts["unplug"] += 1
        node.link(False)
        self.begin([node], seconds, lambda: node.link(True))

    def crash(self, node, seconds):
        self.say("%s: everything is killed", node.name)
        self.counts["crash"] += 1
        node.kill()

    def power(self, node, seconds):
        self.say("%s: power is lost", node.name)
        self.counts["power loss"] += 1
        node.lose_power()

    def tool(self, node, seconds):
        if node not in self.murder.be:
            return
        expire = ("cyr_expire", "-C", node.impatient(), "-E", "0", "-X", "0", "-D", "0")
        argv = self.choose((("ctl_mboxlist", "-m"), ("reconstruct", "-q", "-G"), ("quota", "-f", "-q"), expire))
        self.say("%s: %s, killed", node.name, argv[0])
        self.counts["kill " + argv[0]] += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.command(*argv, check=False, timeout=seconds / 10)


class Storm:
    """Actors and chaos for some seconds; then everything is whole, and rests."""

    def __init__(self, murder, seed, pause=0.1, long=(8, 14), chaos=Chaos):
        self.murder, self.seed, self.pause = murder, seed, pause
        self.over = threading.Event()
        self.actors = []
        self.chaos = chaos(murder, seed, long)

    def rage(self, seconds, between=0.6):
        for actor in self.actors:
            actor.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and not any(a.error for a in self.actors):
                self.chaos.step()
                time.sleep(self.chaos.rng.uniform(0, 2 * between))
        finally:
            self.chaos.heal()
        time.sleep(2)
        self.over.set()
        for actor in self.actors:
            actor.join(actor.patience + 30)
            assert not actor.is_alive(), "%s hangs in %s" % (actor.name, actor.doing)
        for actor in self.actors:
            if actor.error is not None:
                raise actor.error

    def of(self, kind):
        return [a for a in self.actors if isinstance(a, kind)]

    def counts(self):
        total = collections.Counter()
        for actor in self.actors:
            for what, n in actor.counts.items():
                total["%s: %s" % (type(actor).__name__.lower(), what)] += n
        return total
