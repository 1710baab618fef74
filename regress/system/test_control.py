# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The control socket and mt-gcpctl: what they show, what they order, who may,
and that nobody can hold the daemon up with them."""

import grp
import json
import os
import pathlib
import re
import signal
import socket
import stat
import struct
import subprocess

import pytest

from checks import check_desired
from harness import BUILD, wait_until

QUICK = """interval 0.2
handover no
drain 0
timeout api 1
timeout health 1"""

SLOW = """interval 0.3
dwell 3
handover no
drain 0"""

LOOKS = ["show status", "show failover", "show checks", "show routes",
         "show breakers", "show history", "explain"]
ORDERS = ["hold", "force A state 4", "release", "ack", "probe", "reload",
          "log brief", "log verbose", "log reopen"]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def ctl(daemon, *words, sock="sock", **options):
    return subprocess.run(
        [BUILD / "mt-gcpctl", "-s", daemon.directory / sock, *words],
        text=True, timeout=20, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def said(daemon, line):
    """What a command answers, which has to be carried out."""
    ended = ctl(daemon, *line.split())
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def asked(daemon, line):
    """The same as JSON."""
    return json.loads(said(daemon, "-j " + line))


def one(daemon, line):
    failover, = asked(daemon, line)["failovers"]
    return failover


def commands(daemon):
    return daemon.events("operator_command")


def test_show(place, clouds):
    """What is shown is what the events say, as text and as JSON."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3)
    status = said(daemon, "show status").splitlines()
    assert len(status) == 3
    assert re.match(r"A +3 +\d+s +3 +healthy +unhealthy +up +done +0s",
                    status[2])
    failover = one(daemon, "show failover")
    assert failover["state"]["current"] == failover["state"]["read"] == 3
    assert failover["state"]["remote_healthy"] is False
    checks = failover["checks"]
    assert checks["remote_services"]["window"]["samples"] == "-"
    assert checks["local_services"]["healthy_endpoints"] == \
        checks["local_services"]["endpoints"] > 0
    assert checks["remote_services"]["unhealthy"][0]["state"] == "UNHEALTHY"
    assert set(checks["remote_bgp"]["peers"].values()) == {"up"}
    routes = one(daemon, "show routes A")["routes"]
    assert routes["secondary"]["wanted"] is True
    wait_until(lambda: one(daemon, "show routes")["routes"]["secondary"][
        "announced"] is True, what="the announcement is seen")
    assert routes["cloudflare"]["wanted_priority"] == 100
    assert {b["state"] for b in one(daemon, "show breakers")["breakers"]} == \
        {"closed"}
    history = asked(daemon, "show history")["transitions"]
    assert [(t["old_state"], t["new_state"]) for t in history] == \
        [(0, 1), (1, 3)]
    assert "1 -> 3" in said(daemon, "show history A").splitlines()[1]
    assert "svc-1" in said(daemon, "show checks")
    # Ten failovers fit a screen: a line each.
    assert max(map(len, status)) < 100


def test_stale(place, clouds):
    """What has not been seen for long is marked so."""
    daemon = place.daemon(clouds, "A", QUICK + "\nhealth unknown-after 60")
    daemon.wait_state(1)
    assert "STALE" not in said(daemon, "show checks")
    clouds.fault("status", "/compute/", status=503)
    wait_until(lambda: "STALE" in said(daemon, "show checks"),
               what="stale checks")
    assert one(daemon, "show checks")["checks"]["local_bgp"]["stale"]
    assert "calls failed" in said(daemon, "show status")


def test_hold(place, clouds):
    """Hold keeps everything as it is, survives a restart, and release acts at
    once on what has been computed."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    out = ctl(daemon, "hold", "A", "for", "600", "reason", "two words")
    assert out.returncode == 0 and "held for 600 s" in out.stdout
    event, = commands(daemon)
    assert event["operation"] == "hold" and event["result"] == "success"
    assert event["failover"] == "A"
    assert event["details"]["uid"] == os.getuid()
    assert event["details"]["reason"] == "two words"
    assert event["details"]["arguments"] == "A for 600"
    since = clouds.next_seq()
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3, plan="waiting")
    daemon.stop()
    daemon.start()
    daemon.wait_cycles(3)
    hold = one(daemon, "show status")["orders"]["hold"]
    assert hold["reason"] == "two words"
    assert 500 < hold["seconds_left"] <= 600
    assert "HELD for 9m" in said(daemon, "show status")
    assert clouds.writes(since) == []
    assert "hold: no new step begins" in said(daemon, "explain")
    assert "released from hold; acts as state 3" in said(daemon, "release")
    daemon.wait_state(3)
    check_desired(clouds, 3)


def test_force(place, clouds):
    """Force acts as another state; one that nobody would announce the prefix
    in is refused, or has to be asked for twice."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    ended = ctl(daemon, "force", "A", "state", "2")
    assert ended.returncode == 1
    assert "which the remote side is not seen to announce" in ended.stderr
    assert commands(daemon)[-1]["result"] == "failure"
    assert "not seen to announce" in commands(daemon)[-1]["error_message"]
    ended = ctl(daemon, "-j", "force", "A", "state", "2")
    assert "not seen" in json.loads(ended.stdout)["error"]
    check_desired(clouds, 1)
    out = said(daemon, "force A state 4")
    assert "forced until released; acts as state 4" in out
    wait_until(lambda: clouds.priority("mt-gcpd A primary") == 200,
               what="steered away")
    assert "FORCED to state 4" in said(daemon, "show status")
    said(daemon, "force A state 2 anyway")
    wait_until(lambda: "203.0.113.0/24" not in clouds.ranges("router-a"),
               what="withdrawn")
    assert "released from force; acts as state 1" in said(daemon, "release A")
    daemon.wait_state(1)
    wait_until(lambda: clouds.priority("mt-gcpd A primary") == 100,
               what="steered back")


def test_orders_in_the_dark(place, clouds):
    """Orders are taken in passive mode, and while the clouds are down."""
    clouds.fault("status", "/", status=503)
    daemon = place.daemon(clouds, "A", QUICK, "passive yes")
    wait_until(daemon.cycles, what="a cycle")
    assert "passive: nothing is written" in said(daemon, "force A state 3")
    assert "held until released, but forced" in said(daemon, "hold")
    assert "released from hold and force" in said(daemon, "release")
    assert "nothing to acknowledge" in said(daemon, "ack")
    assert "was neither" in said(daemon, "release")
    assert clouds.writes() == []


def test_ack(place, clouds):
    """The brake holds state 1 back until it is acknowledged."""
    daemon = place.daemon(clouds, "A", QUICK + "\nbrake 2 per 3600")
    daemon.wait_state(1)
    for state, health in [(3, "UNHEALTHY"), (1, "HEALTHY"),
                          (3, "UNHEALTHY")]:
        since = len(daemon.events())
        clouds.health("region-b", health)
        daemon.wait_state(state, since=since)
    clouds.health("region-b", "HEALTHY")
    daemon.wait_event(lambda e: e["event_type"] == "brake_latched",
                      what="the brake")
    wait_until(lambda: "brake: too many transitions" in
               said(daemon, "explain"), what="the explanation")
    assert "BRAKED" in said(daemon, "show status")
    assert said(daemon, "ack").startswith("A: brake ended")
    daemon.wait_state(1, since=len(daemon.events()) - 1)
    assert "nothing to acknowledge" in said(daemon, "ack")


def test_probe(place, clouds):
    """A probe looks now, and shows what it has seen."""
    daemon = place.daemon(clouds, "A",
                          "interval 60\nhealth unknown-after 180")
    wait_until(daemon.cycles, what="a cycle")
    before = len(daemon.cycles())
    clouds.health("region-b", "UNHEALTHY")
    failover = one(daemon, "probe A")
    assert failover["checks"]["remote_services"]["sample"] is False
    assert len(daemon.cycles()) > before
    assert commands(daemon)[-1]["operation"] == "probe"


def test_reload(place, clouds):
    """A reload answers with what became of it."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    assert "reloaded" in said(daemon, "reload")
    good = daemon.conf.read_text()
    daemon.conf.write_text(good + "nonsense\n")
    ended = ctl(daemon, "reload")
    assert ended.returncode == 1 and "not valid" in ended.stderr
    # It is told so at once, not with the next event.
    seldom = place.daemon(clouds, "B",
                          "interval 600\nhealth unknown-after 1800")
    wait_until(seldom.cycles, what="a cycle")
    wait_until(lambda: [e for e in seldom.events("connectivity_test")
                        if e["operation"] == "validate_routes"],
               what="the tests at the start")
    seldom.conf.write_text("nonsense\n")
    ended = ctl(seldom, "reload")
    assert ended.returncode == 1 and "not valid" in ended.stderr
    daemon.conf.write_text(good.replace("/sock", "/other"))
    ended = ctl(daemon, "reload")
    assert ended.returncode == 1
    assert '"control socket" cannot change' in ended.stderr
    daemon.wait_cycles(2)


def test_log(place, clouds):
    """The level changes, and files are reopened."""
    daemon = place.daemon(clouds, "A", QUICK + "\nlog level warning")
    daemon.wait_state(1)
    log = daemon.directory / "log"
    said(daemon, "release")
    assert "debug" not in log.read_text() and "info" not in log.read_text()
    assert "debug messages are logged" in said(daemon, "log verbose")
    clouds.fault("status", "/getHealth", count=4, status=404)
    wait_until(lambda: " debug [hc-" in log.read_text(), what="debug messages")
    said(daemon, "release")
    assert 'info control: "release"' in log.read_text()
    said(daemon, "log brief")
    size = len(log.read_text())
    said(daemon, "release")
    assert "info" not in log.read_text()[size:]
    log.rename(daemon.directory / "log.1")
    assert "opened again" in said(daemon, "log reopen")
    assert log.exists()


def test_explain(place, clouds):
    """What is foretold happens, at the time that was said."""
    daemon = place.daemon(clouds, "A", SLOW)
    daemon.wait_state(1)
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_event(lambda e: e["event_type"] == "dwell_time_enforced",
                      what="dwell time")
    answer = asked(daemon, "explain A")
    failover, = answer["failovers"]
    assert any("dwell: state 1 is kept" in text for text in failover["waits"])
    changes = failover["forecast"]["changes"]
    change = next(c for c in changes if c["current_state"] == 3)
    assert failover["forecast"]["settled"]
    assert change["planned_actions"] == {
        "advertise_primary": True, "advertise_secondary": True,
        "cloudflare_priority": 100}
    event = daemon.wait_event(
        lambda e: e["event_type"] == "state_transition"
        and e["details"]["new_state"] == 3, what="the transition")
    foretold = answer["daemon"]["now"] + change["in_seconds"]
    assert abs(event["timestamp"] - foretold) < 0.3 + 0.5
    assert event["details"]["planned_actions"] == change["planned_actions"]


def test_explain_calls(place, clouds):
    """The calls that are named are those that are made once it may begin."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    said(daemon, "hold")
    clouds.health("region-a", "UNHEALTHY")
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(4, plan="waiting")
    following = one(daemon, "explain A")["next"]
    assert following["may_begin"] is False and following["why"] == "decided"
    foretold = [call.split(":")[0] for call in following["calls"]]
    assert [call.split()[0] for call in foretold] == ["GET", "GET", "PUT"]
    since = clouds.next_seq()
    said(daemon, "release")
    daemon.wait_state(4)
    made = [f"{e['method']} {e['path']}" for e in clouds.requests(since)
            if e.get("scope") != "compute.readonly" and "token" not in
            e["path"]]
    for call in foretold:
        method, path = call.split()
        assert any(one.startswith(method) and one.endswith(path)
                   for one in made), (call, made)
    assert one(daemon, "explain A")["next"]["calls"] == []


def test_monitor(place, clouds):
    """The events as they come."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    following = subprocess.Popen(
        [BUILD / "mt-gcpctl", "-j", "-s", daemon.directory / "sock",
         "monitor"], text=True, stdout=subprocess.PIPE)
    try:
        json.loads(following.stdout.readline())
        clouds.health("region-b", "UNHEALTHY")
        for line in following.stdout:
            event = json.loads(line)
            if event["event_type"] == "state_transition":
                break
        assert event in daemon.events()
    finally:
        following.send_signal(signal.SIGTERM)
        following.wait(10)
        following.stdout.close()


def test_sockets(place, clouds):
    """Who may what: the group, everybody, nobody."""
    group = grp.getgrgid(os.getgid()).gr_name
    sock = place.path / "A" / "sock"
    looks = place.path / "A" / "looks"
    control = f'control socket "{sock}" group "{group}" read-only "{looks}"'
    daemon = place.daemon(clouds, "A", QUICK + "\n" + control)
    daemon.wait_state(1)
    assert stat.S_IMODE(sock.stat().st_mode) == 0o660
    assert stat.S_IMODE(looks.stat().st_mode) == 0o666
    for line in LOOKS:
        assert ctl(daemon, *line.split(), sock="looks").returncode == 0, line
    for line in ORDERS:
        ended = ctl(daemon, *line.split(), sock="looks")
        assert ended.returncode == 1, line
        assert "this socket is read-only" in ended.stderr
    assert commands(daemon) == []
    daemon.stop()
    assert not sock.exists() and not looks.exists()


@needs_root
def test_nobody(place, clouds):
    """Somebody else cannot connect at all."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    ended = ctl(daemon, "show", "status", user=65534, group=65534,
                extra_groups=[])
    assert ended.returncode == 1 and "Permission denied" in ended.stderr


def test_already_there(place, clouds):
    """The socket of a daemon that runs is not taken from it; one that a killed
    daemon has left is."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    other = place.daemon(
        clouds, "B", QUICK + f'\ncontrol socket "{daemon.directory}/sock"')
    assert other.process.wait(10) == 1
    assert "another daemon listens there" in other.stderr()
    daemon.process.kill()
    daemon.process.wait(10)
    assert (daemon.directory / "sock").exists()
    daemon.start()
    daemon.wait_cycles(2)
    assert one(daemon, "show status")["name"] == "A"


def header(kind, size, length=None):
    return struct.pack("=IIII", kind, size if length is None else length, 0,
                       os.getpid())


def connected(daemon):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(daemon.directory / "sock"))
    sock.settimeout(20)
    return sock


def request(version=1, command=0, failover=b"", seconds=0, state=0, anyway=0,
            reason=b""):
    body = struct.pack("=II64sIII128s", version, command, failover, seconds,
                       state, anyway, reason)
    return header(1, 16 + len(body)) + body


BROKEN = {
    "version": (request(version=2), b"different versions"),
    "command": (request(command=99), b"unknown command"),
    "name": (request(failover=b"x" * 64), b"malformed"),
    "reason": (request(reason=b"x" * 128), b"malformed"),
    "anyway": (request(anyway=2), b"malformed"),
    "encoding": (request(command=8, reason=b"\xff"), b"expected UTF-8"),
    "forged": (request(command=8, reason=b"a\n2026 error b"),
               b"expected UTF-8"),
    "escape": (request(failover=b"\x1b[2J"), b"expected UTF-8"),
    "type": (header(2, 16), b"not a request"),
    "short": (header(1, 20) + b"abcd", b"not a request"),
    "length": (header(1, 0, 1000000), b""),
    "tiny": (header(1, 0, 3), b""),
    "two": (request() + b"x", None),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_requests(place, clouds, what):
    """Whatever comes, the answer is a refusal or none, and the daemon goes
    on."""
    daemon = place.daemon(clouds, "A", QUICK)
    wait_until((daemon.directory / "sock").exists, what="the socket")
    data, answer = BROKEN[what]
    with connected(daemon) as sock:
        sock.sendall(data)
        got = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                break
            got += piece
    if answer is not None:
        assert answer in got
        assert bool(got) == bool(answer)
    assert one(daemon, "show status")["name"] == "A"
    daemon.check()


def test_stuck_clients(place, clouds):
    """Clients who say nothing, and monitors who do not read, hold nobody up;
    the silent ones are let go after a while, and then there is room again."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    silent = [connected(daemon) for _ in range(40)]
    deaf = None
    try:
        daemon.wait_cycles(5)
        # There is a limit, and it is over once they have been let go.
        assert silent[0].recv(1) == b""
        said(daemon, "show status")
        deaf = connected(daemon)
        deaf.sendall(request(command=7))
        daemon.wait_cycles(5)
        said(daemon, "show status")
    finally:
        for sock in [*silent, *([deaf] if deaf else [])]:
            sock.close()
    daemon.check()


def test_usage(place, clouds):
    """The exit status tells a wrong line from a daemon that is not there."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    for line in ["", "stop", "show", "force A", "hold for x"]:
        ended = ctl(daemon, *line.split())
        assert ended.returncode == 2 and "usage" in ended.stderr, line
    ended = ctl(daemon, "hold", "B")
    assert ended.returncode == 1 and 'no failover "B"' in ended.stderr
    ended = ctl(daemon, "show", "status", sock="absent")
    assert ended.returncode == 1 and "is mt-gcpd running?" in ended.stderr
    assert pathlib.Path(daemon.directory / "sock").exists()
