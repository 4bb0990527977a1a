"""A replicated group of three MUPDATE masters, and what happens to its members."""

import os
import shutil
import subprocess
import threading
import time

from iatlas import net, node
from iatlas.group import Group as Members
from iatlas.group import client, eventually, status
from iatlas.mupdate import Mupdate

LULL = 0.5  # seconds in which changes go well before and behind what happens


class Changes:
    """One client at each member changes names, and at once the next time; when each change was acknowledged, by any."""

    def __init__(self, nodes, names):
        self.names, self.over, self.times = names, threading.Event(), []
        self.threads = [threading.Thread(target=self._run, args=(n, i)) for i, n in enumerate(nodes)]

    def _run(self, at, number):
        count = 0
        while not self.over.is_set():
            try:
                with Mupdate(at.address, timeout=15).login(node.PROXY) as c:
                    while not self.over.is_set():
                        count += 1
                        name = (count * 7919 + number) % self.names
                        command = 'ACTIVATE "user.bench%d" "be1.lab!default" "anyone\tlrs\tbench%d.%d\tl\t"'
                        if c.result(command % (name, number, count))[0] == "OK":
                            self.times.append(time.monotonic())
                        time.sleep(0.001)
            except (OSError, EOFError, AssertionError):
                time.sleep(0.02)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        for t in self.threads:
            t.join()

    def longest_gap(self, since):
        """In milliseconds, of those that end behind that."""
        times = sorted(self.times)
        return max(1000 * (b - a) for a, b in zip(times, times[1:]) if b >= since)


class Group:
    def __init__(self, directory, network, names):
        os.makedirs(directory)
        self.names = names
        self.members = Members(directory, network, conf={"db_map_size": "16G"})
        self.members.start()
        self._fill()

    def _fill(self):
        elected = self.members.settle()
        argv = ["-H", elected.address, "-P", str(net.MUPDATE), "-T", "mupdate", "-u", node.PROXY, "-w", node.PASSWORD]
        argv += ["-M", str(self.names), "-n", "4", "-p", "details"]
        subprocess.run([node.program("loadgen"), *argv], check=True, stdout=subprocess.DEVNULL)

    def elected(self):
        return self.members.settle().address, net.MUPDATE

    def other(self):
        return self.members.others(self.members.settle())[0].address, net.MUPDATE

    def outages(self, what, count):
        """Milliseconds without an acknowledged change when the elected member is killed ("killed": it is started again) or does not run
        for a while ("stopped"), that often."""
        found = []
        for _ in range(count):
            elected = self.members.settle()
            with Changes(self.members.nodes, self.names) as changes:
                eventually(lambda: len(changes.times) > 100)
                time.sleep(LULL)
                began = time.monotonic()
                if what == "killed":
                    elected.kill()
                else:
                    self.members.pause(elected)
                eventually(lambda: self.members.writer(self.members.others(elected)))
                time.sleep(LULL)
                self.members.resume()
            found.append(changes.longest_gap(began))
            self.members.mend()
        return found

    def copy(self):
        """Seconds from the start of a member that has lost its copy until it follows and has the last name; the longest that changes
        at the elected one waited meanwhile, in milliseconds."""
        elected = self.members.settle()
        lost = self.members.others(elected)[0]
        lost.stop()
        shutil.rmtree(lost.path("config", "mupdate.group"))
        with Changes([elected], self.names) as changes:
            eventually(lambda: len(changes.times) > 10)
            began = time.monotonic()
            lost.launch()
            eventually(lambda: self._has_all(lost), timeout=600)
            seconds = time.monotonic() - began
        return seconds, changes.longest_gap(began)

    def _has_all(self, member):
        last = max("user.bench%d" % i for i in range(max(self.names - 20, 0), self.names))
        with client(member) as c:
            return status(member)[1] == "follows" and c.find(last) is not None

    def stop(self):
        self.members.cleanup()
