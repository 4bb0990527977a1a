"""One MUPDATE master is killed, paused and cut off while many clients want the same names; what it answered is looked at.

IATLAS_SEED decides what happens, IATLAS_HISTORY how long it lasts (seconds; an hour by hand, with -s for the counts)."""

import collections
import math
import os
import random
import shutil
import tempfile

import pytest

from iatlas import faults
from iatlas.history import ACTIVE, DONE, REFUSED, RESERVED, UNKNOWN, Command, Impossible, Round, after, consistent, of_members

SEED = os.environ.get("IATLAS_SEED") or str(random.randrange(1 << 32))
SECONDS = float(os.environ.get("IATLAS_HISTORY", 12))
WHY_NOT = faults.available()

# ---- the checker ----


def told(text):
    """Commands from lines such as "0 2 RESERVE be1 done": when sent and answered (- for never), the verb, the server, the outcome
    (for FIND what was found: a server with "?" for reserved, "!" for active; "-" for nothing)."""
    commands = []
    for line in text.strip().splitlines():
        sent, answered, verb, *rest = line.split()
        c = Command(verb, "user.a", sent=float(sent), answered=float("inf" if answered == "-" else answered))
        if verb == "FIND":
            c.outcome, c.stale = DONE, rest[-1] == "stale"
            c.found = None if rest[0] == "-" else state(rest[0])
        else:
            c.outcome = rest[-1]
            c.location = "" if verb == "DELETE" else rest[0] + "!p"
        commands.append(c)
    return commands


def state(text):
    location = text[:-1] + "!p"
    return (ACTIVE, location, "") if text[-1] == "!" else (RESERVED, location)


RIGHT = {
    "one after the other": """
        0 1 FIND -
        1 2 RESERVE be1 done
        2 3 FIND be1?
        3 4 RESERVE be2 refused
        4 5 ACTIVATE be1 done
        5 6 FIND be1!
        6 7 ACTIVATE be2 refused
        7 8 DEACTIVATE be2 refused
        8 9 DEACTIVATE be1 done
        9 10 ACTIVATE be2 done
        10 11 DELETE done
        11 12 DELETE refused
        12 13 DEACTIVATE be1 refused""",
    "at the same time, the later answer first": """
        0 9 RESERVE be1 refused
        0 5 RESERVE be2 done
        6 7 FIND be2?""",
    "a reader between two changes at the same time": """
        0 9 ACTIVATE be1 done
        0 9 DELETE done
        1 2 FIND be1!
        3 4 FIND -""",
    "unanswered, and done": """
        0 - RESERVE be1 unknown
        5 6 RESERVE be2 refused
        7 8 FIND be1?""",
    "unanswered, and done later": """
        0 - RESERVE be1 unknown
        5 6 FIND -
        7 8 FIND be1?""",
    "unanswered, and never done": """
        0 - RESERVE be1 unknown
        5 6 RESERVE be2 done
        7 8 FIND be2?""",
    "several unanswered, one of them seen": """
        0 - DELETE unknown
        0 - RESERVE be1 unknown
        0 - ACTIVATE be2 unknown
        0 - DELETE unknown
        1 2 FIND be1?
        3 4 FIND -
        5 6 FIND be2!
        7 8 FIND -""",
    "a stale reader": """
        0 1 ACTIVATE be1 done
        2 3 DELETE done
        4 5 FIND be1! stale
        6 7 FIND - stale""",
    "a stale reader between two that were at the same time": """
        0 - ACTIVATE be1 unknown
        1 2 DELETE refused
        1 3 ACTIVATE be2 refused
        4 5 DELETE done
        4 - RESERVE be3 unknown
        8 9 FIND - stale
        8 9 FIND be1! stale
        8 9 FIND be3?""",
}

WRONG = {
    "a change is lost": """
        0 1 RESERVE be1 done
        2 3 FIND -""",
    "a change is lost, and made good": """
        0 1 ACTIVATE be1 done
        2 3 FIND -
        4 5 FIND be1!""",
    "a deletion is lost": """
        0 1 ACTIVATE be1 done
        2 3 DELETE done
        4 5 FIND be1!""",
    "a reservation is given twice": """
        0 1 RESERVE be1 done
        2 3 RESERVE be2 done""",
    "a reservation is given twice, at the same time": """
        0 9 RESERVE be1 done
        0 9 RESERVE be2 done""",
    "active on two servers": """
        0 9 ACTIVATE be1 done
        0 9 ACTIVATE be2 done""",
    "active on two servers, with time between": """
        0 1 RESERVE be1 done
        2 3 ACTIVATE be1 done
        4 5 ACTIVATE be2 done""",
    "taken over without having been let go": """
        0 1 ACTIVATE be1 done
        2 3 FIND be2!
        2 - RESERVE be2 unknown""",
    "refused for no reason": """
        0 1 RESERVE be2 refused""",
    "refused for a reason that is over": """
        0 1 RESERVE be1 done
        2 3 DELETE done
        4 5 RESERVE be2 refused""",
    "seen before it was asked for": """
        0 1 FIND be1?
        2 3 RESERVE be1 done""",
    "two readers that disagree on the order": """
        0 9 ACTIVATE be1 done
        0 9 DELETE done
        1 2 FIND be1!
        3 4 FIND -
        5 6 FIND be1!""",
    "one that was not answered cannot be done twice": """
        0 - RESERVE be1 unknown
        1 2 FIND be1?
        3 4 DELETE done
        5 6 FIND be1?""",
    "unanswered, seen, and forgotten": """
        0 - ACTIVATE be1 unknown
        1 2 FIND be1!
        3 4 FIND -""",
    "not even a stale reader sees what never was": """
        0 1 ACTIVATE be1 done
        4 5 FIND be2! stale""",
    "not even a stale reader sees what is yet to come": """
        4 5 FIND be1! stale
        6 7 ACTIVATE be1 done""",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_accepted(text):
    consistent(told(text))


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_rejected(text):
    with pytest.raises(Impossible):
        consistent(told(text))


def play(rng):
    """What many clients of a list in memory are answered, if they are."""
    there, under_way, commands, now = None, [], [], 0
    for n in range(200):
        c = Command(rng.choice(("RESERVE", "ACTIVATE", "DEACTIVATE", "DELETE", "FIND", "FIND")), "user.a", sent=now)
        if c.verb not in ("DELETE", "FIND"):
            c.location = "be%d!p%d" % (rng.randrange(3), n)
        under_way.append(c)
        commands.append(c)
        now += 1
        while len(under_way) > rng.randrange(8):
            c = under_way.pop(rng.randrange(len(under_way)))
            now += 1
            is_answered = rng.random() < 0.9
            done, state = (True, there) if c.verb == "FIND" else after(there, c)
            if is_answered:
                c.answered, c.outcome, c.found = now, DONE if done else REFUSED, there
            there = state if is_answered or rng.random() < 0.5 else there
    return commands


def fall_back(commands):
    """A reader is shown again what was replaced: two that were answered before have seen that."""
    finds = [c for c in commands if c.verb == "FIND" and c.outcome == DONE]
    old = next(c for c in finds if c.found is not None)
    assert any(c.found != old.found and c.sent > old.answered for c in finds)
    return [*commands, Command("FIND", "user.a", sent=1000, answered=1001, outcome=DONE, found=old.found)]


@pytest.mark.parametrize("seed", range(10))
def test_played(seed):
    commands = play(random.Random(seed))
    consistent(commands)
    with pytest.raises(Impossible):
        consistent(fall_back(commands))


# ---- the master ----


@pytest.mark.slow
@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
@pytest.mark.timeout(5 * SECONDS + 300)
def test_one_master():
    kinds = ("RESERVE done", "RESERVE refused", "ACTIVATE done", "ACTIVATE refused", "DELETE done", "FIND done")
    storm(1, lambda addresses, i: {}, dict.fromkeys(kinds, 10))


def member(addresses, i):
    names = dict(mupdate_username="murder", mupdate_authname="murder", mupdate_password="secret")
    return dict(mupdate_group=" ".join(addresses), **names)


@pytest.mark.slow
@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
@pytest.mark.timeout(5 * SECONDS + 300)
def test_group_of_three():
    # A fault a second leaves little time with a quorum, now and then hardly any; that writes go on is test_mupdate_group.py's.
    storm(3, member, {"FIND done": 1})


def storm(count, conf, least):
    """`count` members with imapd.conf lines conf(addresses, i), in rounds of at most 20 seconds; at least so many answers of each of
    the kinds of `least`."""
    directory = tempfile.mkdtemp(prefix="ia-")
    members = of_members(directory, count, conf)
    total, rounds = collections.Counter(), math.ceil(SECONDS / 20)
    print("\nIATLAS_SEED=%s IATLAS_HISTORY=%g" % (SEED, SECONDS))
    try:
        with members.hub.inside():
            members.start()
            for i in range(rounds):
                total.update(one_round(members, "%s-%d" % (SEED, i), SECONDS / rounds))
    finally:
        members.cleanup()
        if not os.environ.get("IATLAS_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)
    print("\n".join("%7d %s" % (n, what) for what, n in sorted(total.items())), flush=True)
    for what, n in least.items():
        assert total["clerk: " + what] >= n, what
    assert total["faults"] > 0


def one_round(members, seed, seconds):
    round = Round(members, seed)
    try:
        round.rage(seconds)
        commands, unknown, widest = round.check()
    except BaseException:
        print("\n".join(["IATLAS_SEED=%s:" % seed, *round.storm.chaos.story]))
        raise
    chaos = round.storm.chaos.counts
    counts = {"commands": commands, "changes without an answer": unknown, "faults": sum(chaos.values())}
    print("%s: %d commands, %d changes without an answer, at most %d ways" % (seed, commands, unknown, widest), flush=True)
    return {**counts, **chaos, **round.storm.counts()}
