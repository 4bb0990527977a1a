"""A group of MUPDATE masters that is founded while its members are killed and lose their power: whatever comes first, it is one
group of three in the end, and has every name that was given meanwhile.

IATLAS_SEED decides what happens, IATLAS_FOUNDING how many rounds there are (by hand, with -s for what was done)."""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time

import pytest

from iatlas import faults, history
from iatlas.mupdate import Mupdate
from test_history import member
from test_mupdate_group import client, eventually, status

WHY_NOT = faults.available()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

SEED = os.environ.get("IATLAS_SEED") or str(random.randrange(1 << 32))
ROUNDS = int(os.environ.get("IATLAS_FOUNDING", 3))


class Founding:
    """Three blank members, each of which begins some time and dies now and then, and a client at each that wants names."""

    def __init__(self, machines, seed):
        self.machines, self.rng, self.story = machines, random.Random(seed), []
        self.given, self.over, self.errors = {}, threading.Event(), []
        self.began = time.monotonic()

    def tell(self, node, what):
        self.story.append("%.3f %s %s" % (time.monotonic() - self.began, node.name, what))

    def live(self, node, plan):
        """plan: how long until it is started, and then what happens how long after it was, again and again."""
        try:
            for pause, what in plan:
                time.sleep(pause)
                self.tell(node, what)
                if what == "kill":
                    node.kill()
                elif what == "power":
                    node.lose_power()
                else:
                    node.boot()
        except BaseException as e:
            self.errors.append(e)

    def plan(self):
        rng = self.rng
        plan = [(rng.choice((0, 0, rng.random(), 3 * rng.random())), "start")]
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            # it is 0.5 s before one founds a group, and the others are taken in at once
            plan.append((rng.choice((0.5 + 0.3 * rng.random(), rng.random(), 2 * rng.random())), rng.choice(("kill", "power"))))
            plan.append((rng.choice((0, 0.3 * rng.random())), "start"))
        return plan

    def want(self, node, number):
        count = 0
        with self.machines.hub.inside():
            while not self.over.is_set():
                with contextlib.suppress(OSError, EOFError, AssertionError), Mupdate(node.address, timeout=3).login() as c:
                    while not self.over.is_set():
                        name, location = "user.f%d-%d" % (number, count), "be%d!p" % number
                        count += 1
                        if c.result('RESERVE "%s" "%s"' % (name, location)) == ("OK", "done"):
                            self.given[name] = ("RESERVE", location)
                        time.sleep(0.01)
                time.sleep(0.05)

    def run(self):
        nodes = self.machines.nodes
        clients = [threading.Thread(target=self.want, args=(n, i)) for i, n in enumerate(nodes)]
        lives = [threading.Thread(target=self.live, args=(n, self.plan())) for n in nodes]
        try:
            for t in clients + lives:
                t.start()
            for t in lives:
                t.join()
            assert not self.errors, self.errors
            self.is_one()
        finally:
            self.over.set()
            for t in clients:
                t.join()
        self.has_all()

    def is_one(self):
        def settled():
            seen = [status(n) for n in self.machines.nodes]
            return sorted(does for _, does, _ in seen) == ["follows", "follows", "writes"] and all(len(members) == 3 for members, _, _ in seen)

        eventually(settled, 40)
        self.tell(self.machines.nodes[0], "and all are one")

    def has_all(self):
        for node in self.machines.nodes:
            with client(node) as c:
                assert c.result('ACTIVATE "user.last" "be1!p" "a\tl\t"') == ("OK", "done")
                assert c.result("NOOP")[0] == "OK"
                there = {w[2]: (w[1], w[3]) for w in c.ok("LIST")}
                assert {name: there.get(name) for name in self.given} == self.given


def begin_anew(node):
    node.kill()
    subprocess.run(node.inside("sh", "-c", "rm -rf '%s'/mupdate.group*; sync" % node.path("config")), check=True)


def test_founded_amid_faults():
    directory = tempfile.mkdtemp(prefix="ia-")
    machines = history.of_members(directory, 3, member)
    print("\nIATLAS_SEED=%s IATLAS_FOUNDING=%d" % (SEED, ROUNDS))
    try:
        with machines.hub.inside():
            for i in range(ROUNDS):
                for node in machines.nodes:
                    begin_anew(node)
                founding = Founding(machines, "%s-%d" % (SEED, i))
                try:
                    founding.run()
                except BaseException:
                    print("\n".join(["round %d" % i, *founding.story]))
                    raise
                print("%d: %s; %d names" % (i, "; ".join(founding.story), len(founding.given)), flush=True)
    finally:
        machines.cleanup()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)
