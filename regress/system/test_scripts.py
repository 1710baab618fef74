# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Two daemons, mirror images of each other, under random scripts of outages:
regions that are sick, sessions that are lost, clouds that fail in all manners,
other writers, daemons that are stopped, killed, started again, held and made
passive.  Then all of that ends, and the world stays as it is.

What has to hold is read from what the clouds have seen; see the judge.

MTGCPD_SEED=n	plays the script of that seed only
MTGCPD_LONG=n	goes on with scripts of other seeds for n seconds
"""

import json
import os
import random
import signal
import subprocess
import time

import pytest

import checks
from checks import DESIRED
from harness import BUILD, PROJECT, SIDES, Workplace, wait_until
from judge import Judge

SEEDS = [int(os.environ["MTGCPD_SEED"])] if "MTGCPD_SEED" in os.environ \
    else [1, 2, 3, 4]
SETTLE = 30  # seconds to reach what the end of a script asks for

OTHER = {"A": "B", "B": "A"}
REGION = {side: what["local"] for side, what in SIDES.items()}
ROUTER = {side: what["local_router"] for side, what in SIDES.items()}
MATCH = {side: what["match"] for side, what in SIDES.items()}


def row(side, regions, sessions):
    """The row of the table for a side when all is known."""
    other = OTHER[side]
    local = regions[side] and sessions[side]
    if regions[other]:
        return (1 if local else 2) if sessions[other] else \
            (6 if local else 5)
    return (3 if local else 4) if sessions[other] else (7 if local else 8)


# How requests fail: the arguments of a fault.
FAILURES = {
    "500": dict(action="status", status=500),
    "503": dict(action="status", status=503),
    "401": dict(action="status", status=401),
    "429": dict(action="status", status=429, headers={"Retry-After": "1"}),
    "rate limit": dict(action="status", status=403,
                       reason="rateLimitExceeded"),
    "forbidden": dict(action="status", status=403),
    "reset": dict(action="reset"),
    "lost": dict(action="lost"),
    "truncate": dict(action="truncate"),
    "garbage": dict(action="garbage"),
    "html": dict(action="html"),
    "hang": dict(action="hang"),
    "slow": dict(action="delay", delay_ms=400),
    "too slow": dict(action="delay", delay_ms=1500),
}

# Of which requests: the arguments of a match.
TARGETS = {
    "compute": dict(path="/compute/"),
    "prober": dict(path="/compute/", scope="compute.readonly"),
    "actuator": dict(path="/compute/", scope="compute"),
    "patch": dict(path="/routers/", method="PATCH"),
    "operations": dict(path="/operations/"),
    "health": dict(path="/getHealth"),
    "region-a": dict(path="regions/region-a/"),
    "region-b": dict(path="regions/region-b/"),
    "status": dict(path="/getRouterStatus"),
    "cloudflare": dict(path="/magic/routes"),
    "put": dict(path="/magic/routes", method="PUT"),
    "oauth": dict(path="^/token$"),
}

OPERATIONS = {
    "operation error": dict(op_error={
        "code": "INTERNAL_ERROR", "message": "Injected.",
        "http_status": 500}),
    "not ready": dict(op_error={
        "code": "RESOURCE_NOT_READY", "message": "Injected.",
        "http_status": 400}),
    "slow operation": dict(op_delay_ms=1500),
}


# Those of writes are more interesting.
WEIGHTS = [3 if name in ("actuator", "patch", "operations", "cloudflare",
                         "put") else 2 for name in TARGETS]


class Script:
    """What happens, made of the seed alone."""

    def __init__(self, seed):
        self.seed = seed
        dice = random.Random(seed)
        self.window = dice.choice(["1 up 1 down 1", "3 up 2 down 2"])
        self.handover = dice.choice([1, 1, 2])
        self.drain = dice.choice([0, 1])
        self.settings = dict(op_delay_ms=dice.choice([0, 100, 300]),
                             advert_lag_ms=dice.choice([0, 200, 500]))
        self.foreign = 0
        self.steps = [self.step(dice) for _ in range(dice.randint(4, 8))]
        self.regions = {side: dice.random() < 0.6 for side in "AB"}
        self.sessions = {side: dice.random() < 0.7 for side in "AB"}

    def step(self, dice):
        kind = dice.choices(
            ["region", "session", "fault", "operation", "foreign", "heal",
             "daemon", "order"], [6, 4, 6, 2, 1, 2, 4, 3])[0]
        side = dice.choice("AB")
        pause = round(dice.choice([0.05, 0.3, 0.8, 1.5, 2.5])
                      * dice.uniform(0.6, 1.4), 2)
        if kind == "region":
            what = (side, dice.choice(["UNHEALTHY", "UNHEALTHY", "TIMEOUT",
                                       "HEALTHY", "HEALTHY"]))
        elif kind == "session":
            what = (side, dice.choice(["DOWN", "DOWN", "UP"]))
        elif kind == "fault":
            what = (dice.choices(list(TARGETS), WEIGHTS)[0],
                    dice.choice(list(FAILURES)), dice.choice([0, 0, 1, 3]))
        elif kind == "operation":
            what = (side, dice.choice(list(OPERATIONS)),
                    dice.choice([0, 1, 2]))
        elif kind == "foreign":
            self.foreign += 1
            what = (side, dice.choice(["router", "ranges", "routes"]),
                    dice.choice(["read", "write"]), self.foreign)
            if self.foreign > 2:  # the third repair is not made
                kind, what = "heal", ()
        elif kind == "heal":
            what = ()
        elif kind == "order":
            what = (side, dice.choice(["hold", "hold", "release", "passive",
                                       "active"]))
        else:
            what = (side, dice.choice(["TERM", "KILL", "KILL", "start",
                                       "start"]))
        return kind, what, pause

    def __str__(self):
        lines = [f"MTGCPD_SEED={self.seed}: window {self.window}, "
                 f"handover wait {self.handover}, drain {self.drain}, "
                 f"{self.settings}"]
        lines += [f"  {kind} {' '.join(map(str, what))}; {pause} s"
                  for kind, what, pause in self.steps]
        lines.append(f"  end: regions {self.regions}, "
                     f"sessions {self.sessions}")
        return "\n".join(lines)

    def configuration(self):
        return f"""interval 0.2
health window {self.window}
health unknown-after 2
handover wait {self.handover}
drain {self.drain}
backoff initial 0.05 max 0.2
breaker threshold 1000 timeout 1
timeout connect 1
timeout health 1
timeout api 1
timeout cloudflare 1
timeout cloudflare-bulk 1
timeout bgp-update 3
passive no"""


class Play:
    """A script carried out, and what is kept of it for the judge."""

    def __init__(self, place, clouds, script):
        self.clouds = clouds
        self.script = script
        clouds.reset()
        clouds.settings(cf_rate_limit=0, **script.settings)
        self.first = clouds.world()
        self.lives = {side: [] for side in "AB"}  # [from, to]
        self.daemons = {}
        for side in "AB":
            self.lives[side].append([time.time(), None])
            self.daemons[side] = place.daemon(
                clouds, side, script.configuration(),
                name=f"{side}{script.seed}")

    def running(self, side):
        return self.lives[side][-1][1] is None

    def end(self, side, how):
        daemon = self.daemons[side]
        daemon.check()
        if how == "KILL":
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait(10)
            daemon.errors.close()
        else:
            assert daemon.stop() == 0, f"{side} ended badly"
        self.lives[side][-1][1] = time.time()

    def start(self, side):
        self.lives[side].append([time.time(), None])
        self.daemons[side].start()

    def step(self, kind, what):
        if kind == "region":
            side, state = what
            self.clouds.health(REGION[side], state)
        elif kind == "session":
            side, state = what
            self.clouds.bgp(ROUTER[side], state)
        elif kind == "fault":
            target, failure, count = what
            self.clouds.fault(count=count, **TARGETS[target],
                              **FAILURES[failure])
            if target == "oauth":  # else the tokens would last
                self.clouds.call("DELETE", "/tokens")
        elif kind == "operation":
            side, failure, count = what
            self.clouds.fault("op", f"routers/{ROUTER[side]}[?]",
                              method="PATCH", count=count,
                              **OPERATIONS[failure])
        elif kind == "foreign":
            self.foreign(*what)
        elif kind == "heal":
            self.clouds.clear_faults()
        elif kind == "order":
            self.order(*what)
        else:
            side, how = what
            if how == "start" and not self.running(side):
                self.start(side)
            elif how != "start" and self.running(side):
                self.end(side, how)

    def order(self, side, what):
        """What an administrator may do; one who comes while the daemon starts
        or reloads is sent away."""
        daemon = self.daemons[side]
        if what in ("passive", "active"):
            text = daemon.conf.read_text().replace("passive yes", "passive no")
            if what == "passive":
                text = text.replace("passive no", "passive yes")
            daemon.conf.write_text(text)
            what = "reload"
        if self.running(side):
            subprocess.run([BUILD / "mt-gcpctl", "-s",
                            daemon.directory / "sock", what], timeout=20,
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

    def obey_nobody(self, side):
        """End all orders, and wait until that is so."""
        self.order(side, "active")

        def free():
            self.order(side, "release")
            last = self.daemons[side].cycles()[-1:]
            if last and last[0]["details"]["passive_mode"]:
                self.order(side, "active")
            return last and last[0]["timestamp"] > self.ended and not (
                last[0]["details"]["passive_mode"]
                or last[0]["details"]["held"])
        wait_until(free, what="no orders", step=0.3)

    def foreign(self, side, what, when, number):
        """Another program writes what it has read now, and something of its
        own, right after a request of ours."""
        router = self.clouds.router(ROUTER[side])
        path, method = f"routers/{ROUTER[side]}[?]", "GET"
        if when == "write":
            method = "PATCH"
        change = {"description": f"changed by them {number}"}
        if what == "ranges":
            change = {"bgp": {"advertisedIpRanges": [
                *router["bgp"]["advertisedIpRanges"],
                {"range": f"10.66.{number}.0/24", "description": "theirs"}]}}
        patch = {"projects": {PROJECT: {"regions": {REGION[side]: {
            "routers": {ROUTER[side]: change}}}}}}
        if what == "routes":
            path, method = "/magic/routes", "GET" if when == "read" else "PUT"
            account, = self.clouds.world()["cloudflare"]["accounts"]
            # The managed and the unmanaged route of the prefix.
            routes = [dict(one, weight=number)
                      if one["prefix"] == SIDES[side]["primary"] else one
                      for one in self.clouds.routes()]
            patch = {"cloudflare": {"accounts": {account: {
                "routes": routes}}}}
        self.clouds.fault("foreign_write", path, method=method, count=1,
                          patch=patch)

    def run(self):
        for daemon in self.daemons.values():
            wait_until(daemon.cycles, what="a first cycle")
        for kind, what, pause in self.script.steps:
            self.step(kind, what)
            time.sleep(pause)
            for side in "AB":
                if self.running(side):
                    self.daemons[side].check()
        self.settle()

    def settle(self):
        script = self.script
        self.clouds.clear_faults()
        for side in "AB":
            self.clouds.health(REGION[side], "HEALTHY"
                               if script.regions[side] else "UNHEALTHY")
            self.clouds.bgp(ROUTER[side],
                            "UP" if script.sessions[side] else "DOWN")
            if not self.running(side):
                self.start(side)
        self.ended = time.time()
        for side in "AB":
            self.obey_nobody(side)
        self.rows = {side: row(side, script.regions, script.sessions)
                     for side in "AB"}
        self.settling = Settling(self)
        wait_until(self.settling.settled, self.patience(),
                   f"rows {self.rows}", 0.1)

    def patience(self):
        """Nobody looks at Cloudflare for drift more than once a minute."""
        drift = any(entry.get("event") == "route_priority"
                    and entry["by"] != "put" for entry in self.clouds.journal())
        return SETTLE + (65 if drift else 0)

    def record(self):
        """All that there is to judge by; the daemons have ended."""
        return dict(seed=self.script.seed, journal=self.clouds.journal(),
                    clockwork=self.clouds.clockwork(), lives=self.lives,
                    events={side: self.events(side) for side in "AB"},
                    first=self.first, last=self.clouds.world(),
                    ended=self.ended, rows=self.rows)

    def events(self, side):
        """A daemon's events; a line may be broken where it was killed."""
        path = self.daemons[side].directory / "events"
        found = []
        for line in path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
        return found


class Settling:
    def __init__(self, play):
        self.play = play
        self.clouds = play.clouds

    def wrong(self):
        """What is not yet as the end state says."""
        wrong = []
        good = [side for side in "AB" if self.play.script.regions[side]
                and self.play.script.sessions[side]]
        for side, state in self.play.rows.items():
            wrong += self.wrong_side(side, state)
        for one in self.clouds.clockwork()["prefixes"].values():
            if good and not set(one["announcers"]) & set(good):
                wrong.append(f"{one['prefix']}: no good side announces it")
            if good and not one["announced"]:
                wrong.append(f"{one['prefix']}: steered into a hole")
        return wrong

    def wrong_side(self, side, state):
        primary, secondary, priority = DESIRED[state]
        bgp = self.clouds.router(ROUTER[side])["bgp"]
        found = (checks.advertises(bgp, SIDES[side]["primary"]),
                 checks.advertises(bgp, SIDES[side]["secondary"]),
                 self.clouds.priority(MATCH[side]))
        if found == (primary, secondary, priority):
            return []
        # The other side has no session, so nobody has seen it announce our
        # secondary prefix: what we may announce of it, stays.
        if state in (5, 8) and found == (primary, True, priority):
            return []
        return [f"{side}: {found} in row {state}"]

    def settled(self):
        wrong = self.wrong()
        self.last_wrong = wrong
        if wrong:
            return False
        for side, state in self.play.rows.items():
            daemon = self.play.daemons[side]
            daemon.check()
            cycles = [e for e in self.play.events(side)
                      if e["event_type"] == "health_check_cycle"]
            if not cycles or \
                    cycles[-1]["timestamp"] < self.play.ended + 0.5 or \
                    cycles[-1]["details"]["state_code"] != state or \
                    cycles[-1]["details"]["current_state"] != state:
                return False
        return True


def play(clouds, script):
    """What is wrong with a script, and the story."""
    place = Workplace()
    wrong, told = [], Play(place, clouds, script)
    try:
        try:
            told.run()
        except AssertionError as error:
            wrong.append(str(error))
        for side in "AB":
            if told.running(side):
                told.end(side, "TERM")
        judge = Judge(told.record(), script)
        return wrong + judge.verdict(), judge.story()
    finally:
        place.close()


def report(script, problems, story):
    return "\n".join([str(script), "", *problems, "", story])


@pytest.mark.parametrize("seed", SEEDS)
def test_script(clouds, seed):
    script = Script(seed)
    wrong, story = play(clouds, script)
    print(report(script, wrong, story))
    assert wrong == []


@pytest.mark.skipif("MTGCPD_LONG" not in os.environ, reason="takes long")
def test_many_scripts(clouds, capsys):
    end = time.monotonic() + float(os.environ["MTGCPD_LONG"])
    first = seed = random.SystemRandom().randrange(1000, 1000000000)
    bad = []
    while time.monotonic() < end:
        script = Script(seed)
        wrong, story = play(clouds, script)
        if wrong:
            bad.append(seed)
            print(report(script, wrong, story))
        seed += 1
    with capsys.disabled():
        print(f"\n{seed - first} scripts from MTGCPD_SEED={first}: "
              f"{len(bad)} bad")
    assert bad == []
