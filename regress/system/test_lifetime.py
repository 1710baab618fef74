# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What comes over a daemon in its life: clouds that are not there when it
starts, an end in the middle of its work, clocks that are set, full disks."""

import json
import os
import pathlib
import signal
import struct
import subprocess

import pytest

from checks import check_desired
from harness import BUILD, Daemon, X, configuration, wait_until

QUICK = """interval 0.2
handover no
drain 0
timeout connect 1
timeout api 2
timeout health 1"""


def log_of(daemon):
    return (daemon.directory / "log").read_text()


# Start-up.

def test_black_hole(place):
    """Clouds that take connections and say nothing: the daemon goes on, knows
    nothing, writes nothing and says so, but not in every cycle; as soon as they
    answer it does what is to be done."""
    clouds = place.clouds()
    clouds.health("region-b", "UNHEALTHY")
    os.kill(clouds.process.pid, signal.SIGSTOP)
    try:
        daemon = place.daemon(clouds, "A", QUICK + "\nlog level info")
        daemon.wait_cycles(6, timeout=40)
        assert {e["details"]["state_code"] for e in daemon.cycles()} == {0}
        lines = [line.split(" ", 2)[2] for line in
                 log_of(daemon).splitlines() if " error " in line
                 or " warning " in line]
        assert lines
        assert max(lines.count(line) for line in lines) < 4
    finally:
        os.kill(clouds.process.pid, signal.SIGCONT)
    assert clouds.writes() == []
    daemon.wait_state(3, timeout=60)
    check_desired(clouds, 3)


# The end.

def test_stopped_steering(place, clouds):
    """The update of the routes that is under way is finished; the withdrawal
    that would have followed is not begun, and is made after the restart."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    since = clouds.next_seq()
    clouds.fault("delay", "/magic/routes", "PUT", count=1, delay_ms=800)
    clouds.health("region-a", "UNHEALTHY")
    wait_until(lambda: clouds.call("GET", "/faults")["faults"][0]["remaining"]
               == 0, what="an update")
    assert daemon.stop() == 0
    assert clouds.priority("mt-gcpd A primary") == 200
    assert X in clouds.ranges("router-a")
    assert [e["method"] for e in clouds.writes(since)] == ["PUT"]
    json.loads((daemon.directory / "state.json").read_text().splitlines()[-1])
    daemon.start()
    daemon.wait_state(2, since=len(daemon.events()))
    check_desired(clouds, 2)


def test_stopped_draining(place, clouds):
    """Nobody waits for the drain to end; it is waited for after the restart,
    before the withdrawal."""
    daemon = place.daemon(clouds, "A", QUICK.replace("drain 0", "drain 2"))
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    wait_until(lambda: clouds.priority("mt-gcpd A primary") == 200,
               what="steered away")
    assert daemon.stop(timeout=1.5) == 0
    assert X in clouds.ranges("router-a")
    daemon.start()

    def happened(what):
        return [e["t"] for e in clouds.journal() if e.get("event") == what]
    wait_until(lambda: happened("withdrawn"), what="withdrawn")
    steered, = happened("route_priority")
    withdrawn, = happened("withdrawn")
    assert withdrawn - steered >= 2
    daemon.wait_state(2, since=len(daemon.events()) - 1)


# Clocks.

class Jumping(Daemon):
    """A daemon whose wall clock can be set."""

    def start(self):
        self.ahead = self.directory / "ahead"
        if not self.ahead.exists():
            self.jump(0)
        self.errors = open(self.directory / "stderr", "ab")
        self.process = subprocess.Popen(
            [BUILD / "mt-gcpd", "-d", "-f", str(self.conf)],
            env=dict(os.environ, LD_PRELOAD=str(BUILD / "clockjump.so"),
                     CLOCKJUMP=str(self.ahead)),
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)

    def jump(self, hours):
        with open(self.ahead, "r+b" if self.ahead.exists() else "wb") as file:
            file.write(struct.pack("=q", int(hours * 3600 * 1000)))


def jumping(place, clouds, top):
    directory = place.path / "A"
    directory.mkdir()
    daemon = Jumping(directory, configuration(clouds, "A", directory, top))
    place.started.append(daemon)
    return daemon


def moments(clouds, since):
    """When the daemon listed services, by the clock of the clouds."""
    return [e["t"] for e in clouds.requests(since, "GET", "/region-a/"
                                            "backendServices")]


@pytest.mark.parametrize("hours", [5, -5])
def test_clock_is_set(place, clouds, hours):
    """The clock that people read is set: cycles keep their pace, and nothing
    that is waited for comes sooner or later."""
    daemon = jumping(place, clouds, """interval 0.2
handover no
drain 0
dwell 4
return-after 1""")
    daemon.wait_state(1)
    started = clouds.next_seq()
    clouds.health("region-b", "UNHEALTHY")
    first = daemon.wait_event(
        lambda e: e["event_type"] == "dwell_time_enforced", what="dwell time")
    left = first["details"]["seconds_left"]
    since = clouds.next_seq()
    daemon.jump(hours)
    daemon.wait_event(
        lambda e: abs(e["timestamp"] - first["timestamp"] - hours * 3600) <
        100, what="the jump")
    daemon.wait_state(3)
    announced = next(e for e in clouds.journal(since)
                     if e.get("event") == "advertised")
    sick = next(e for e in clouds.journal(started)
                if e.get("event") == "health")
    assert announced["t"] - sick["t"] > left - 0.5
    paces = moments(clouds, since)
    gaps = [b - a for a, b in zip(paces, paces[1:])]
    assert min(gaps) > 0.05 and max(gaps) < 2
    entered = daemon.cycles()[-1]["details"]["time_in_state_seconds"]
    assert entered < 60
    assert daemon.stop() == 0


# Disks.

SMALL = 64  # KiB


class Cramped(Daemon):
    """A daemon with a small disk of its own, which nobody else sees but by its
    process."""

    def start(self):
        self.errors = open(self.directory / "stderr", "ab")
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c",
             f"mount -t tmpfs -o size={SMALL}k tmpfs {self.directory}/disk && "
             f"exec {BUILD}/mt-gcpd -d -f {self.conf}"],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)

    @property
    def disk(self):
        return pathlib.Path(f"/proc/{self.process.pid}/root"
                            f"{self.directory}/disk")

    def fill(self):
        with open(self.disk / "fill", "wb", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    pass

    def status(self):
        ended = subprocess.run(
            [BUILD / "mt-gcpctl", "-j", "-s", self.directory / "sock", "show",
             "status"], timeout=20, text=True, stdout=subprocess.PIPE)
        return json.loads(ended.stdout)["failovers"][0] \
            if ended.returncode == 0 else None

    def chatter(self):
        """Have something logged."""
        subprocess.run([BUILD / "mt-gcpctl", "-s", self.directory / "sock",
                        "release"], timeout=20, check=True,
                       stdout=subprocess.DEVNULL)
        return True

    def shows(self, state):
        def there():
            self.check()
            status = self.status()
            return status and status["state"]["current"] == state and \
                status["plan"]["status"] == "done"
        return there


FULL = ("/events: events are being lost", "/log: lines are being lost",
        "/state.json: cannot be written")


def may_mount():
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="NO FULL DISK IS TESTED: this "
                    "machine lets nobody mount")
def test_full_disk(place, clouds):
    """The disk under the log, the events and the state file is full: failovers
    still happen, it is said once, and all three go on when there is room."""
    directory = place.path / "A"
    (directory / "disk").mkdir(parents=True)
    text = configuration(clouds, "A", directory, QUICK)
    for name in ("log", "events", "state.json"):
        text = text.replace(f'"{directory}/{name}"',
                            f'"{directory}/disk/{name}"')
    daemon = Cramped(directory, text)
    place.started.append(daemon)
    wait_until(daemon.shows(1), what="state 1")
    daemon.fill()
    clouds.health("region-b", "UNHEALTHY")
    wait_until(daemon.shows(3), what="state 3")
    check_desired(clouds, 3)
    clouds.health("region-b", "HEALTHY")
    wait_until(daemon.shows(1), what="state 1 again")
    # The last pages of the files have still to be filled.
    wait_until(lambda: daemon.chatter() and all(
        what in daemon.stderr() for what in FULL), what="all said")
    daemon.chatter()
    for what in FULL:
        assert daemon.stderr().count(what) == 1, what
    (daemon.disk / "fill").unlink()
    clouds.health("region-b", "UNHEALTHY")
    wait_until(daemon.shows(3), what="state 3 again")
    wait_until(lambda: daemon.chatter() and
               daemon.stderr().count("again") >= 3, what="all said")
    for what in ("/events: can be written again", "/log: can be written again",
                 "/state.json: written again"):
        assert daemon.stderr().count(what) == 1, what
    assert "state 1 -> 3" in (daemon.disk / "log").read_text()
    assert '"state_transition"' in (daemon.disk / "events").read_text()
    state = json.loads((daemon.disk / "state.json").read_text()
                       .splitlines()[-1])
    assert '"state": 3' in json.dumps(state)
