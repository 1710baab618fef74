# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Processes that are killed, or stopped for a while, at any moment, also
inside a write; a supervisor starts the daemon again, as systemd does.  In the
end everything is as the table of states says, nothing of ours is lost, and
nothing foreign has been touched.

MTGCPD_SEED=n	plays that seed only
MTGCPD_LONG=n	goes on with other seeds for n seconds
"""

import collections
import json
import os
import random
import signal
import time

import pytest

import checks
from checks import check_desired, not_ours, set_verdicts
from harness import Workplace, wait_until

ROLES = ["parent", "resolver", "signer", "prober", "actuator"]
SEEDS = [int(os.environ["MTGCPD_SEED"])] if "MTGCPD_SEED" in os.environ \
    else [1, 2]

TOP = """interval 0.2
handover no
drain 0
timeout connect 1
timeout health 1
timeout api 2
timeout cloudflare 2
timeout cloudflare-bulk 2
timeout bgp-update 4"""

OPERATION = 0.7  # seconds, at most

# What the clouds are doing while a process is hit: the settings and faults
# that make the moment last, and how it shows in the journal.
PHASES = {
    "any": None,
    "patch": (dict(action="delay", path="/routers/", method="PATCH",
                   delay_ms=900, count=1), {}),
    "patch answered": (dict(action="lost", path="/routers/", method="PATCH",
                            count=1), dict(op_delay_ms=600)),
    "operation": (None, dict(op_delay_ms=700)),
    "effect": (None, dict(advert_lag_ms=900)),
    "put": (dict(action="delay", path="/magic/routes", method="PUT",
                 delay_ms=900, count=1), {}),
}


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def events_of(daemon):
    """A daemon's events; a line may be broken where it was killed."""
    found = []
    path = daemon.directory / "events"
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return found


class Supervised:
    """A daemon that is started again whenever it ends."""

    def __init__(self, place, clouds):
        self.clouds = clouds
        self.hits = collections.Counter()
        self.daemon = place.daemon(clouds, "A", TOP)
        self.daemon.wait_state(1)

    def pids(self):
        """All processes by role, once they are all there."""
        def complete():
            self.revive()
            try:
                found = self.daemon.children()
            except FileNotFoundError:
                return None
            return found if len(found) == 4 else None
        return dict(wait_until(complete, what="all children"),
                    parent=self.daemon.process.pid)

    def revive(self):
        if self.daemon.process.poll() is not None:
            self.daemon.errors.close()
            self.daemon.start()

    def kill(self, role):
        """Kill it; the others go too, and the parent says why."""
        pids = self.pids()
        errors = len(self.daemon.stderr())
        os.kill(pids[role], signal.SIGKILL)
        status = self.daemon.process.wait(15)
        wait_until(lambda: all(gone(pid) for pid in pids.values()),
                   what="no process is left")
        if role == "parent":
            assert status == -signal.SIGKILL
        else:
            assert status == 1
            assert f"the {role} was killed by signal 9" in \
                self.daemon.stderr()[errors:]
        self.state_file()
        self.revive()

    def pause(self, role, seconds):
        """Stop it for a while: nobody dies of that."""
        pid = self.pids()[role]
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    def state_file(self):
        """Whatever is there, is whole."""
        path = self.daemon.directory / "state.json"
        json.loads(path.read_text().splitlines()[-1])
        assert not path.with_suffix(".json.bad").exists()

    def hit(self, dice, phase):
        role = dice.choice(ROLES)
        how = dice.choice(["kill", "kill", "pause"])
        if how == "kill":
            self.kill(role)
        else:
            self.pause(role, dice.choice([0.1, 0.6, 1.5]))
        self.hits[role, how, phase] += 1


def begin_write(clouds, state, phase):
    """Have the daemon write, and wait until it is in that phase."""
    fault, settings = PHASES[phase]
    since = clouds.next_seq()
    if fault:
        clouds.fault(**fault)
    clouds.settings(**settings)
    set_verdicts(clouds, state)

    def there():
        if phase in ("patch", "put"):  # it has come, and waits
            return clouds.call("GET", "/faults")["faults"][0]["remaining"] == 0
        return clouds.requests(since, "PATCH")
    wait_until(there, what=phase)


def play(clouds, seed):
    """The hits of a seed."""
    dice = random.Random(seed)
    place = Workplace()
    try:
        clouds.reset()
        clouds.settings(cf_rate_limit=0)
        first = not_ours(clouds.world())
        supervised = Supervised(place, clouds)
        daemon = supervised.daemon
        state = 1
        for _ in range(dice.randint(3, 5)):
            phase = dice.choice([*PHASES, "any"])
            state = dice.choice([s for s in (1, 2, 3, 4, 5, 6, 7, 8)
                                 if s != state])
            if phase == "any":
                set_verdicts(clouds, state)
                time.sleep(dice.uniform(0, 0.8))
            else:
                # One that has both to write.
                state = 4 if state in (1, 3, 6, 7) else 3
                begin_from(clouds, supervised, {3: 2, 4: 3}[state])
                begin_write(clouds, state, phase)
            supervised.hit(dice, phase)
            clouds.clear_faults()
            clouds.settings(op_delay_ms=100, advert_lag_ms=0)
        time.sleep(OPERATION)
        settle(clouds, supervised, state)
        supervised.state_file()
        check_desired(clouds, state)
        assert not_ours(clouds.world()) == first
        checks.check_journal(clouds.journal())
        transitions_follow(daemon)
        assert daemon.stop() == 0
        return supervised.hits
    finally:
        place.close()


def begin_from(clouds, supervised, state):
    """Be in that state, and let the operation end that a process which has
    been killed may have begun: until then the router is as it was, and then
    what it did has drifted."""
    set_verdicts(clouds, state)
    settle(clouds, supervised, state)
    time.sleep(OPERATION)
    settle(clouds, supervised, state)
    check_desired(clouds, state)


def settle(clouds, supervised, state):
    """Wait until the daemon has seen that state and done what it asks for."""
    daemon = supervised.daemon
    since = time.time()

    def there():
        supervised.revive()
        cycles = [e for e in events_of(daemon)
                  if e["event_type"] == "health_check_cycle"]
        return cycles and cycles[-1]["timestamp"] > since + 0.4 and \
            cycles[-1]["details"]["current_state"] == state and \
            cycles[-1]["details"]["state_code"] == state and \
            cycles[-1]["details"]["plan"]["status"] == "done"
    wait_until(there, 30, f"state {state}")


def transitions_follow(daemon):
    """Each transition starts from the state that the one before has led to:
    none is forgotten over a kill, and none made twice.  One that was decided
    but not yet written down may be lost with the parent."""
    moves = [(e["details"]["old_state"], e["details"]["new_state"])
             for e in events_of(daemon)
             if e["event_type"] == "state_transition"]
    for before, after in zip(moves, moves[1:]):
        assert after[0] == before[1] or after[0] == before[0], moves


@pytest.mark.parametrize("seed", SEEDS)
def test_hits(clouds, seed):
    assert sum(play(clouds, seed).values()) >= 3


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("phase", ["patch", "operation", "put"])
def test_killed_in_a_write(place, clouds, role, phase):
    """Whoever is killed in whatever part of a write: it is finished after the
    restart, and nothing foreign has changed."""
    first = not_ours(clouds.world())
    supervised = Supervised(place, clouds)
    state = 4 if phase == "put" else 3
    begin_write(clouds, state, phase)
    supervised.kill(role)
    clouds.clear_faults()
    clouds.settings(op_delay_ms=100)
    settle(clouds, supervised, state)
    check_desired(clouds, state)
    assert not_ours(clouds.world()) == first


def test_prober_is_stopped(place, clouds):
    """A prober that does not answer means that nothing is known: nothing is
    written, and when it goes on, so does everything."""
    supervised = Supervised(place, clouds)
    daemon = supervised.daemon
    pid = supervised.pids()["prober"]
    since, seen = clouds.next_seq(), len(daemon.events())
    os.kill(pid, signal.SIGSTOP)
    try:
        set_verdicts(clouds, 2)
        daemon.wait_event(
            lambda e: e["event_type"] == "health_check_cycle"
            and set(e["details"]["samples"].values()) == {None},
            what="an unknown cycle", since=seen)
        assert clouds.writes(since) == []
    finally:
        os.kill(pid, signal.SIGCONT)
    settle(clouds, supervised, 2)
    check_desired(clouds, 2)


def test_actuator_is_stopped(place, clouds):
    """An actuator that does not answer does not stop the cycles; what was
    decided meanwhile is done when it goes on."""
    supervised = Supervised(place, clouds)
    daemon = supervised.daemon
    pid = supervised.pids()["actuator"]
    os.kill(pid, signal.SIGSTOP)
    try:
        set_verdicts(clouds, 3)
        daemon.wait_state(3, plan="running")
        set_verdicts(clouds, 4)
        daemon.wait_state(4, plan="running")
        assert clouds.writes() == []
    finally:
        os.kill(pid, signal.SIGCONT)
    settle(clouds, supervised, 4)
    check_desired(clouds, 4)


def test_parent_is_stopped(place, clouds):
    """A parent that was stopped does not act on what it was told before: it
    looks again."""
    supervised = Supervised(place, clouds)
    pid = supervised.pids()["parent"]
    set_verdicts(clouds, 4)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(1)
        set_verdicts(clouds, 3)
    finally:
        os.kill(pid, signal.SIGCONT)
    settle(clouds, supervised, 3)
    check_desired(clouds, 3)


@pytest.mark.skipif("MTGCPD_LONG" not in os.environ, reason="takes long")
def test_many_hits(clouds, capsys):
    end = time.monotonic() + float(os.environ["MTGCPD_LONG"])
    first = seed = random.SystemRandom().randrange(1000, 1000000000)
    hits = collections.Counter()
    try:
        while time.monotonic() < end:
            hits += play(clouds, seed)
            seed += 1
    finally:
        with capsys.disabled():
            print(f"\n{sum(hits.values())} hits in {seed - first} plays from "
                  f"MTGCPD_SEED={first}")
            for role in ROLES:
                print(f"  {role}: " + ", ".join(
                    f"{how} in {phase} {count}" for (who, how, phase), count
                    in sorted(hits.items()) if who == role))
