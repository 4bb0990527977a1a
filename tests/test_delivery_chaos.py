"""Postfix and Exim deliver through two frontends to users with scripts, while processes and whole nodes are killed and started
again at random: what an MTA has accepted ends in its mailbox.

Longer by hand: IATLAS_CHAOS=3600 [IATLAS_SEED=n] /usr/bin/python3 -m pytest tests/test_delivery_chaos.py -s
"""

import collections
import hashlib
import os
import random
import re
import shutil
import signal
import tempfile
import threading
import time

import pytest
from test_corpus import CORPUS

from iatlas import Murder, exim, message, net, postfix, scripts, sink, storm
from iatlas.node import ADMIN, PASSWORD, PROXY

SEED = os.environ.get("IATLAS_SEED") or str(random.randrange(1 << 32))
SECONDS = float(os.environ.get("IATLAS_CHAOS", 15))
WHY_NOT = postfix.missing() or exim.missing()
pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

DOMAIN, SENDERS = "example.test", "sender.test"
FAR = "Shared Folders/far-%(user)s"
# What a user's script is, and where a message must be: in one of these places at least.
KINDS = {
    "keep": ("keep;", ("INBOX",)),
    "here": ('require "fileinto"; fileinto "Work";', ("Work", "INBOX")),
    "far": ('require "fileinto"; fileinto "%s";' % FAR, (FAR, "INBOX")),
    "twice": ('require ["fileinto", "copy"]; fileinto :copy "%s";' % FAR, ("INBOX",)),
    "away": ('redirect "%(user)s@sink.test";', ("sink", "INBOX")),
    "both": ('require "copy"; redirect :copy "%(user)s@sink.test";', ("INBOX",)),
    "absent": ('require "vacation"; vacation :days 7 "away";', ("INBOX",)),
}
USERS = {kind + str(i): (kind, i) for kind in KINDS for i in (0, 1)}


def corpus_bodies():
    """Real mail that may stand in a message's body as it is."""
    found = []
    for folder, _, names in os.walk(CORPUS) if CORPUS else ():
        for name in sorted(names):
            with open(os.path.join(folder, name), "rb") as f:
                text = f.read(65536).replace(b"\r\n", b"\n")
            if len(text) < 65536 and not re.search(rb"[\0\r]|[^\n]{900}", text):
                found.append(text.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n")
    return found


class Sender(threading.Thread):
    """Hands messages to an MTA; accepted: {token: recipients}."""

    def __init__(self, mx, name, bodies, over):
        super().__init__(daemon=True, name=name)
        self.mx, self.bodies, self.over = mx, bodies, over
        self.rng = random.Random("%s %s" % (SEED, name))
        self.accepted, self.error = {}, None

    def run(self):
        try:
            while not self.over.is_set():
                self.send("tok-%s-%d" % (self.name, len(self.accepted) + 1))
                time.sleep(self.rng.uniform(0, 0.3))
        except Exception as e:
            self.error = e

    def send(self, token):
        users = self.rng.sample(sorted(USERS), self.rng.choice((1, 1, 2, 3, 5)))
        addresses = ["%s@%s" % (u, DOMAIN) for u in users]
        body = self.rng.choice(self.bodies) if self.bodies and self.rng.random() < 0.5 else b"line\r\n.\r\n" * self.rng.choice((1, 50, 5000))
        head = message(token, "", to=", ".join(addresses), headers="X-Sum: %s\r\n" % hashlib.sha1(body).hexdigest())
        data = re.sub(rb"Message-ID: <[^>]*>", b"Message-ID: <%s@storm>" % token.encode(), head) + body
        with self.mx.smtp() as c:
            options = ["BODY=8BITMIME"] if re.search(rb"[\x80-\xff]", data) else []
            assert c.sendmail("s%d@%s" % (self.rng.randrange(20), SENDERS), addresses, data, mail_options=options) == {}
        self.accepted[token] = users


class Chaos:
    """Kills processes and nodes, and starts the nodes again."""

    def __init__(self, murder):
        self.murder, self.rng = murder, random.Random("%s chaos" % SEED)
        self.counts = collections.Counter()

    def rage(self, seconds):
        end = time.monotonic() + seconds
        down = []  # (when it starts again, node)
        while time.monotonic() < end:
            for start in [d for d in down if d[0] <= time.monotonic()]:
                down.remove(start)
                start[1].start()
            node, pause = self.rng.choice(self.murder.nodes), self.rng.uniform(0.2, 3)
            if any(node is n for _, n in down):
                pass
            elif self.rng.random() < 0.25:
                node.kill()
                self.counts["node " + node.name] += 1
                down.append((time.monotonic() + pause, node))
            else:
                self.kill(node)
            time.sleep(self.rng.uniform(0, 0.8))
        for _, node in down:
            node.start()

    def kill(self, node):
        name = self.rng.choice(("lmtpd", "lmtpd", "imapd") if node in self.murder.be else ("lmtpproxyd", "mupdate", "proxyd"))
        for pid in node.processes(name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            self.counts[name] += 1


@pytest.fixture
def place():
    directory, network, made = tempfile.mkdtemp(prefix="ia-"), net.Network(), []
    os.chmod(directory, 0o755)
    out = sink.Sink(network.address())
    conf = dict(out.conf(), sievedir=os.path.join(directory, "sieve"), proxy_authname=PROXY, proxy_password=PASSWORD)
    conf.update(client_timeout="3s", lmtptxn_timeout="6s", backend_timeout="6s")
    try:
        made.append(Murder(directory, network, frontends=2, conf=conf))
        yield directory, network, made[0].start(), made, out
    finally:
        for thing in reversed(made):
            (thing.stop if thing is not made[0] else thing.cleanup)()
        out.close()
        network.close()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


def start_mtas(directory, network, murder):
    """Each tries either frontend."""
    lmtp = ", ".join("[%s]:%d" % (fe.address, net.LMTP) for fe in murder.fe)
    conf = {
        "virtual_mailbox_domains": DOMAIN,
        "virtual_transport": "lmtp:inet:" + lmtp,
        "lmtp_destination_concurrency_failed_cohort_limit": "0",
        "transport_maps": "inline:{ {%s = discard:} }" % SENDERS,
        "queue_run_delay": "1s",
        "transport_retry_time": "1s",
    }
    routers = """
senders:
  driver = redirect
  domains = %s
  data = :blackhole:
murder:
  driver = manualroute
  domains = %s
  route_list = * "%s" byname
  self = send
  transport = murder
""" % (SENDERS, DOMAIN, " : ".join(fe.address for fe in murder.fe))
    transports = "murder:\n  driver = smtp\n  protocol = lmtp\n  max_rcpt = 50\n  port = %d\n" % net.LMTP
    one = postfix.Postfix(os.path.join(directory, "postfix"), network.address(), conf, {})
    yield one
    one.start()
    two = exim.Exim(os.path.join(directory, "exim"), network.address(), routers, transports)
    yield two
    two.start()


def make_users(murder):
    for user, (kind, backend) in USERS.items():
        murder.add_user(user, backend)
        text = KINDS[kind][0] % {"user": user}
        with murder.imap(ADMIN) as c:
            c.ok("CREATE far-%s %s" % (user, murder.names[1 - backend]))
            c.ok("SETACL far-%s %s lrswipkxte" % (user, user))
        with murder.imap(user) as c:
            c.ok("CREATE Work")
        scripts.put(murder.be[backend], user, text)


def drain(mtas, patience=60):
    deadline = time.monotonic() + patience
    while any(mx.queue() for mx in mtas):
        assert time.monotonic() < deadline, "\n".join(mx.queue() + mx.log() for mx in mtas)
        for mx in mtas:
            mx.flush()
        time.sleep(0.5)


def read_places(murder, out):
    """(user, place) -> how often each token is there."""
    found = collections.defaultdict(collections.Counter)
    for user in USERS:
        with murder.imap(user) as c:
            for box in ("INBOX", "Work", FAR % {"user": user}):
                for token, _, whole in storm.read_box(c, '"%s"' % box).values():
                    assert whole, (user, box, token)
                    found[user, box][token] += 1
    for envelope, data in out.mail:
        (user,) = re.findall(r"<(\w+)@", envelope[1])
        if "@sink.test" in envelope[1]:
            assert storm.is_whole(data)
            found[user, "sink"][storm.TOKEN.search(data).group(1).decode()] += 1
    return found


def vacations(out):
    """(whose, to whom) -> how often."""
    told = collections.Counter()
    for envelope, data in out.mail:
        if "@" + SENDERS in envelope[1]:
            told[re.search(rb"From: .*?(\w+)@", data).group(1), envelope[1]] += 1
    return told


def test_chaos(place):
    directory, network, murder, made, out = place
    mtas = []
    for mx in start_mtas(directory, network, murder):
        made.append(mx)
        mtas.append(mx)
    make_users(murder)
    over, chaos, bodies = threading.Event(), Chaos(murder), corpus_bodies()
    senders = [Sender(mx, "%s%d" % (type(mx).__name__.lower(), i), bodies, over) for mx in mtas for i in range(2)]
    for s in senders:
        s.start()
    try:
        chaos.rage(SECONDS)
    finally:
        over.set()
    for s in senders:
        s.join(60)
        assert not s.is_alive() and s.error is None, (s.name, s.error)
    drain(mtas)
    found, told = read_places(murder, out), vacations(out)

    accepted = {token: users for s in senders for token, users in s.accepted.items()}
    wanted = [(token, user) for token, users in accepted.items() for user in users]
    lost = []
    for token, user in wanted:
        places = [p % {"user": user} for p in KINDS[USERS[user][0]][1]]
        if not any(found[user, p][token] for p in places):
            lost.append((token, user))
    again = {kind: sum(n - 1 for (u, p), c in found.items() if (p == "sink") == (kind == "sink") for n in c.values() if n > 1)
             for kind in ("mailbox", "sink")}
    elsewhere = sum(found[user, "INBOX"][token] > 0 for token, user in wanted if "INBOX" != KINDS[USERS[user][0]][1][0])
    told_again = sum(n - 1 for n in told.values())
    report = dict(seed=SEED, seconds=SECONDS, accepted=len(accepted), deliveries=len(wanted), lost=len(lost), twice_in=again,
                  kept_instead=elsewhere, vacations=len(told), vacations_again=told_again, killed=dict(chaos.counts))
    print(report)
    assert not lost, (report, lost[:20])
    assert len(accepted) > SECONDS and sum(chaos.counts.values()) > SECONDS / 4, report
    assert not any(re.search(r"status=bounced|\*\* ", mx.log()) for mx in mtas), "\n".join(mx.log() for mx in mtas)
    # A server killed between doing something and remembering it does it again: what it had under way then, no more.
    deaths = chaos.counts["lmtpd"] + chaos.counts["node be1"] + chaos.counts["node be2"]
    assert again["mailbox"] + again["sink"] + told_again <= 20 * deaths, report
