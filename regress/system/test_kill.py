# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Every process of the daemon is killed and stopped, at random moments and
inside of writes, and the daemon is started again whenever it has ended, as
systemd(1) does.  Nothing of ours is lost, nothing foreign is touched, no
process is left over, and in the end the clouds are as the table says.

MTGCPD_SEED=n	plays the script of that seed only
MTGCPD_LONG=n	goes on with scripts of other seeds for n seconds
"""

import collections
import ctypes
import hashlib
import json
import os
import pathlib
import random
import select
import signal
import subprocess
import time

import pytest

import checks
from checks import DESIRED, check_desired, not_ours, set_verdicts
from harness import (BUILD, SIDES, Daemon, Workplace, X, Y, configuration,
                     wait_until)
from judge import is_write

SEEDS = [int(os.environ["MTGCPD_SEED"])] if "MTGCPD_SEED" in os.environ \
    else [1, 2, 3]

ROLES = ["parent", "resolver", "signer", "prober", "actuator"]
QUICK = """interval 0.1
handover no
drain 0
timeout connect 1
timeout api 1
timeout health 1
timeout cloudflare 1
timeout cloudflare-bulk 1
timeout bgp-update 3"""

MATCH = SIDES["A"]["match"]
PATCH = dict(path="routers/router-a[?]", method="PATCH")
PUT = dict(path="/magic/routes$", method="PUT")
OPERATION = dict(path="/operations/", method="GET")
READ = dict(path="routers/router-a$", method="GET", scope="compute")

# Inside of which call a process is hit: the arguments of the fault that holds
# the call.  A request that hangs is not carried out, one with a delay is.
CALLS = {
    "patch asked": dict(PATCH, action="hang"),
    "patch done": dict(PATCH, action="delay", delay_ms=900),
    "operation": dict(OPERATION, action="delay", delay_ms=900),
    "read": dict(READ, action="delay", delay_ms=900),
    "read back": dict(READ, action="delay", delay_ms=900, skip=1),
    "put asked": dict(PUT, action="hang"),
    "put done": dict(PUT, action="delay", delay_ms=900),
}
PHASES = ["start", "rest", "turn", "save", *CALLS]
MANNERS = ["KILL", "KILL", "STOP and CONT", "STOP and KILL", "KILL beside"]

# What was asked for so many seconds ago is not taken any more: the budget of
# a cycle here, and what a prober may be late.
OLD = 1 + 5.1

IN_CREATE = 0x100


class Watch:
    """Tells when a file is made in a directory."""

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init()
        assert self.fd >= 0
        assert libc.inotify_add_watch(
            self.fd, str(directory).encode(), IN_CREATE) >= 0

    def wait(self, name, timeout):
        """Until a file of that name is made; False: none was."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.1)[0] and \
                    name.encode() + b"\0" in os.read(self.fd, 65536):
                return True
        return False

    def close(self):
        os.close(self.fd)


def gone(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return text.rsplit(")", 1)[1].split()[0] == "Z"


def is_stopped(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text.rsplit(")", 1)[1].split()[0] == "T"


def child_pids(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in text.split()]


def pid_of(daemon, role):
    """The process of the role, None while there is none."""
    return daemon.process.pid if role == "parent" \
        else daemon.children().get(role)


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(pid), what=f"{pid} is stopped", step=0.001)


def saved_state(daemon):
    """The state in the state file, which must be whole; None: no file yet."""
    path = daemon.directory / "state.json"
    assert not path.with_name("state.json.bad").exists()
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    body, found = text[:-1].rsplit(',"checksum":', 1)
    digest = hashlib.sha256((body + "}").encode()).hexdigest()
    assert found == f'"{digest}"', text
    return json.loads(text)["failovers"][0]["state"]


def fault_hits(clouds, number):
    return next(one["hits"] for one in clouds.call("GET", "/faults")["faults"]
                if one["id"] == number)


def await_hit(daemon, clouds, number):
    """The fault holds a call."""
    def hit():
        daemon.check()
        return fault_hits(clouds, number)
    wait_until(hit, what=f"fault {number} holds a call", step=0.005)


def is_last_test(event):
    """The last thing that is tested at start-up."""
    return event["event_type"] == "connectivity_test" \
        and event["operation"] == "validate_routes"


def settle(daemon, clouds, state, timeout=25):
    """Wait until a daemon has made the state of the clouds that it has to
    read there."""
    def settled():
        daemon.check()
        cycle = daemon.cycles()[-1:]
        if not cycle or cycle[0]["timestamp"] < asked or \
                cycle[0]["details"]["state_code"] != state or \
                cycle[0]["details"]["current_state"] != state or \
                cycle[0]["details"]["plan"]["status"] != "done":
            return False
        try:
            check_desired(clouds, state)
        except AssertionError:
            return False
        return True
    asked = time.time()
    wait_until(settled, timeout, f"state {state}", 0.05)


class Life:
    """One life of the daemon, from a start to an end."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.events = len(daemon.events())
        self.saved = saved_state(daemon)

    def end(self, victim, signo=signal.SIGKILL):
        """The daemon ends because a process of it was killed: as it should,
        and with all its children."""
        daemon = self.daemon
        log = daemon.directory / "log"
        status = daemon.process.wait(10)
        daemon.errors.close()
        self.ended = time.time()
        wait_until(lambda: all(gone(pid) for pid in self.children),
                   what="no child is left")
        if victim == "parent":
            assert status == -signo
        else:
            line = f"the {victim} was killed by signal {int(signo)} "
            assert status == 1, (victim, status)
            assert line in log.read_text()[self.logged:], victim
            assert line in daemon.stderr()
        self.judge(victim)

    def hit(self, pid, signo=signal.SIGKILL):
        self.children = child_pids(self.daemon.process.pid)
        log = self.daemon.directory / "log"
        self.logged = len(log.read_text()) if log.exists() else 0
        os.kill(pid, signo)

    def judge(self, victim):
        """What was decided is remembered: as it was left by the life before
        it is taken up, and as it is left the next one will find it.  Only a
        parent that is killed may forget what it has not yet acted upon."""
        after = saved_state(self.daemon)
        state = self.saved or 0
        self.unsaved = None
        moves = [e for e in self.daemon.events()[self.events:]
                 if e["event_type"] == "state_transition"]
        for move in moves:
            assert move["details"]["old_state"] == state, moves
            assert move["details"]["new_state"] != state, moves
            state = move["details"]["new_state"]
        if (after or 0) != state:
            assert victim == "parent", (after, moves)
            last, before = moves[-1], moves[-1]["details"]["old_state"]
            assert (after or 0) == before, (after, moves)
            self.unsaved = last["timestamp"]


def needless(journal):
    """The writes that asked for what was so already, and nothing else was
    under way."""
    have = {X: True, Y: False}
    priority, under_way, found = 100, {}, []
    for entry in journal:
        if entry.get("method") == "PATCH":
            want = {prefix: checks.advertises(entry["request"]["bgp"], prefix)
                    for prefix in have}
            if want == have and not under_way:
                found.append(entry)
            name = (entry.get("response") or {}).get("name")
            if name:
                under_way[name] = want
        elif is_write(entry):
            if {one["priority"] for one in entry["request"]["routes"]} \
                    == {priority}:
                found.append(entry)
        elif entry.get("event") == "operation" and entry["name"] in under_way:
            want = under_way.pop(entry["name"])
            if not entry["error"]:
                have = want
        elif entry.get("event") == "route_priority" \
                and entry["description"] == MATCH:
            priority = entry["to"]
    return found


class Script:
    """What happens, made of the seed alone: whom to hit, when and how."""

    def __init__(self, seed):
        self.seed = seed
        dice = random.Random(seed)
        self.settings = dict(op_delay_ms=dice.choice([100, 300]),
                             advert_lag_ms=dice.choice([0, 100]))
        roles = ROLES[:]
        dice.shuffle(roles)
        roles.append(dice.choice(["parent", "actuator"]))
        self.steps = [self.step(dice, role) for role in roles]
        self.last = dice.randint(1, 8)

    def step(self, dice, role):
        phases = PHASES
        if role in ("parent", "actuator") and dice.random() < 0.5:
            phases = list(CALLS)
        return dict(
            role=role, phase=dice.choice(phases), manner=dice.choice(MANNERS),
            beside=dice.choice([one for one in ROLES[1:] if one != role]),
            moment=round(dice.choice([0.05, 0.3, 0.7]) * dice.random(), 3),
            pause=round(dice.choice([0.1, 0.5, 1.2]) * dice.random(), 3),
            restart=dice.choice([0, 0, 0.2]), state=dice.random())

    def __str__(self):
        return "\n".join([f"MTGCPD_SEED={self.seed}: {self.settings}",
                          *(f"  {step}" for step in self.steps),
                          f"  end: state {self.last}"])


class Play:
    """A script carried out."""

    def __init__(self, place, clouds, script):
        clouds.reset()
        clouds.settings(cf_rate_limit=0, **script.settings)
        self.clouds = clouds
        self.script = script
        self.first = clouds.world()
        self.state = 1
        self.hits = collections.Counter()
        self.lives = []
        self.daemon = place.daemon(clouds, "A", QUICK,
                                   name=f"kill{script.seed}")
        self.started = time.monotonic()
        self.life = Life(self.daemon)

    def another(self, step, differs=lambda a, b: True):
        """A state that differs from the one that is to be reached now."""
        states = [state for state in DESIRED if state != self.state
                  and differs(DESIRED[state], DESIRED[self.state])]
        return states[int(step["state"] * len(states))]

    def turn(self, state):
        self.state = state
        set_verdicts(self.clouds, state)

    def run(self):
        for step in self.script.steps:
            self.step(step)
        self.clouds.clear_faults()
        self.turn(self.script.last)
        settle(self.daemon, self.clouds, self.state)
        assert self.daemon.stop() == 0
        self.judge()

    def step(self, step):
        getattr(self, "phase_" + step["phase"].split()[0],
                self.phase_call)(step)
        self.strike(step)

    # The moments.

    def phase_start(self, step):
        """While the daemon starts."""
        if time.monotonic() - self.started > 0.5:
            settle(self.daemon, self.clouds, self.state)
            assert self.daemon.stop() == 0
            self.life.judge("nobody")
            self.begin()
        time.sleep(step["moment"])

    def phase_rest(self, step):
        time.sleep(step["moment"])

    def phase_turn(self, step):
        self.turn(self.another(step))
        time.sleep(step["moment"])

    def phase_save(self, step):
        """While the state file is being written."""
        settle(self.daemon, self.clouds, self.state)
        watch = Watch(self.daemon.directory)
        try:
            self.turn(self.another(step))
            assert watch.wait("state.json.new", 10)
        finally:
            watch.close()

    def phase_call(self, step):
        """Inside of a call of a plan."""
        settle(self.daemon, self.clouds, self.state)
        part = slice(2, 3) if step["phase"].startswith("put") else slice(0, 2)
        state = self.another(step, lambda a, b: a[part] != b[part])
        fault = self.clouds.fault(count=1, **CALLS[step["phase"]])["id"]
        self.turn(state)
        await_hit(self.daemon, self.clouds, fault)

    # The blows.

    def strike(self, step):
        daemon, role, manner = self.daemon, step["role"], step["manner"]
        daemon.check()
        pid = pid_of(daemon, role)
        if pid is None:  # it has not started so far
            role, pid = "parent", daemon.process.pid
        beside = pid_of(daemon, step["beside"])
        self.hits[role, step["phase"], manner] += 1
        if manner.startswith("STOP"):
            stop(pid)
            time.sleep(step["pause"])
        if manner == "STOP and CONT":
            os.kill(pid, signal.SIGCONT)
            time.sleep(step["pause"] / 4)
            return
        if manner == "KILL beside" and beside is not None:
            stop(beside)
        self.life.hit(pid)
        self.life.end(role)
        self.lives.append(self.life)
        time.sleep(step["restart"])
        self.begin()

    def begin(self):
        self.life = Life(self.daemon)
        self.started = time.monotonic()
        self.daemon.start()

    # What must be so.

    def judge(self):
        assert not_ours(self.clouds.world()) == not_ours(self.first)
        journal = self.clouds.journal()
        checks.check_journal(journal)
        assert needless(journal) == []
        for life in self.lives:
            if life.unsaved is None:
                continue
            early = [entry for entry in journal if is_write(entry)
                     and life.unsaved <= entry["t"] <= life.ended]
            assert early == [], "acted upon before it was written down"


def play(clouds, script):
    """Play a script; what it hit."""
    place = Workplace()
    try:
        told = Play(place, clouds, script)
        try:
            told.run()
        except AssertionError:
            log = told.daemon.directory / "log"
            print(script)
            if log.exists():
                print(log.read_text()[-20000:])
            raise
        return told.hits
    finally:
        place.close()


@pytest.mark.parametrize("victim", ["parent", "actuator"])
def test_nobody_is_left(place, clouds, victim):
    """Not even those who are stopped and cannot notice."""
    daemon = place.daemon(clouds, "A", QUICK)
    settle(daemon, clouds, 1)
    life = Life(daemon)
    for role, pid in daemon.children().items():
        if role != victim:
            stop(pid)
    life.hit(pid_of(daemon, victim))
    life.end(victim)
    assert clouds.writes() == []


def test_stopped_actuator(place, clouds):
    """A plan does not end, but cycles do; and what was replaced meanwhile is
    not begun afterwards."""
    daemon = place.daemon(clouds, "A", QUICK)
    settle(daemon, clouds, 1)
    actuator = daemon.children()["actuator"]
    daemon.wait_event(is_last_test)
    since = clouds.next_seq()
    fault = clouds.fault(count=1, action="delay", delay_ms=300, **READ)["id"]
    set_verdicts(clouds, 3)
    await_hit(daemon, clouds, fault)
    stop(actuator)
    wait_until(lambda: [e for e in clouds.requests(since, "GET", "/router-a")
                        if e.get("fault") and e["status"] == 200],
               what="the answer waits for it")
    daemon.wait_cycles(3)
    for cycle in daemon.cycles()[-3:]:
        assert cycle["details"]["state_code"] == 3
        assert cycle["details"]["plan"]["status"] == "running"
    set_verdicts(clouds, 1)
    daemon.wait_state(1, plan="running", since=len(daemon.events()))
    os.kill(actuator, signal.SIGCONT)
    settle(daemon, clouds, 1)
    assert clouds.writes(since) == []


def test_stopped_prober(place, clouds):
    """What it does not see is unknown, and nothing is written; it sees again
    as soon as it goes on."""
    daemon = place.daemon(clouds, "A", QUICK.replace(
        "interval 0.1", "interval 0.5") + "\nhealth unknown-after 1")
    settle(daemon, clouds, 1)
    prober = daemon.children()["prober"]
    since, events = clouds.next_seq(), len(daemon.events())
    daemon.wait_cycles(1)
    stop(prober)  # so that what it is asked meanwhile waits for it
    set_verdicts(clouds, 2)
    cycle = daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["details"]["samples"]["local_healthy"] is None, since=events)
    assert cycle["result"] == "failure"
    assert cycle["details"]["state_code"] == 0
    assert cycle["details"]["current_state"] == 1
    assert clouds.writes(since) == []
    os.kill(prober, signal.SIGCONT)
    settle(daemon, clouds, 2)
    log = (daemon.directory / "log").read_text()
    assert log.count("the prober is late") == 1


class Blocked(Daemon):
    """A daemon whose standard error is a pipe that can be full."""

    def start(self):
        self.pipe, end = os.pipe()
        self.errors = open(end, "wb")
        self.process = subprocess.Popen(
            [BUILD / "mt-gcpd", "-d", "-f", str(self.conf)],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)

    def block(self):
        """Have the parent wait until somebody reads what it says."""
        end = os.open(f"/proc/self/fd/{self.errors.fileno()}",
                      os.O_WRONLY | os.O_NONBLOCK)
        try:
            while True:
                os.write(end, b"x")
        except BlockingIOError:
            pass
        finally:
            os.close(end)
        self.process.send_signal(signal.SIGUSR1)
        log = self.directory / "log"
        wait_until(lambda: "opened again" in log.read_text(),
                   what="it is about to say so")

    def unblock(self):
        os.set_blocking(self.pipe, False)
        try:
            while os.read(self.pipe, 65536):
                pass
        except BlockingIOError:
            pass

    def stderr(self):
        return ""


def test_stopped_parent(place, clouds):
    """It goes on, but not with what was seen before it was stopped: not even
    when it was stopped where it did not wait for events."""
    directory = place.path / "A"
    daemon = Blocked(directory, configuration(clouds, "A", directory, QUICK))
    place.started.append(daemon)
    settle(daemon, clouds, 1)
    parent, moves = daemon.process.pid, len(daemon.events("state_transition"))
    clouds.fault(action="delay", delay_ms=400, path="region-b.*/getHealth")
    since = clouds.next_seq()
    set_verdicts(clouds, 3)
    wait_until(lambda: len({e["path"] for e in clouds.requests(
        since, "POST", "regions/region-b/")}) == 2, what="calls of a cycle")
    daemon.block()
    stop(parent)
    stopped = time.monotonic()
    wait_until(lambda: [e for e in clouds.requests(since, "POST", "region-b")
                        if e["status"] == 200], what="they are answered")
    clouds.clear_faults()
    set_verdicts(clouds, 1)
    time.sleep(max(0, stopped + OLD - time.monotonic()))
    since = len(daemon.events())
    daemon.unblock()
    os.kill(parent, signal.SIGCONT)
    daemon.wait_event(lambda e: e["event_type"] == "health_check_cycle"
                      and e["result"] == "failure", since=since)
    settle(daemon, clouds, 1)
    daemon.wait_cycles(2)
    assert len(daemon.events("state_transition")) == moves
    assert clouds.writes() == []


def test_half_written(place, clouds):
    """What a killed one left of a new state file does not disturb."""
    clouds.health("region-b", "UNHEALTHY")
    daemon = place.daemon(clouds, "A", QUICK)
    settle(daemon, clouds, 3)
    life = Life(daemon)
    life.hit(daemon.process.pid)
    assert daemon.process.wait(10) == -signal.SIGKILL
    assert saved_state(daemon) == 3
    left = daemon.directory / "state.json.new"
    left.write_text((daemon.directory / "state.json").read_text()[:-20] * 2)
    daemon.start()
    settle(daemon, clouds, 3)
    assert len(daemon.events("state_transition")) == 1
    clouds.health("region-b", "HEALTHY")
    settle(daemon, clouds, 1)
    assert saved_state(daemon) == 1
    assert not left.exists()


@pytest.mark.parametrize("seed", SEEDS)
def test_kills(clouds, seed):
    play(clouds, Script(seed))


@pytest.mark.skipif("MTGCPD_LONG" not in os.environ, reason="takes long")
def test_many_kills(clouds, capsys):
    end = time.monotonic() + float(os.environ["MTGCPD_LONG"])
    first = seed = random.SystemRandom().randrange(1000, 1000000000)
    hits, bad = collections.Counter(), []
    while time.monotonic() < end:
        try:
            hits += play(clouds, Script(seed))
        except AssertionError as error:
            bad.append((seed, str(error)[:1000]))
        seed += 1
    by_phase = collections.Counter()
    for (role, phase, _), count in hits.items():
        by_phase[role, phase] += count
    with capsys.disabled():
        print(f"\n{seed - first} scripts from MTGCPD_SEED={first}, "
              f"{len(bad)} bad; kills and stops by process and phase:")
        for role in ROLES:
            print(f"  {role:9}", ", ".join(
                f"{phase} {by_phase[role, phase]}" for phase in PHASES))
    assert bad == []
