# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""SIGHUP: another configuration is taken over whole, or not at all."""

import json
import re
import shutil
import signal

import pytest

from checks import check_desired, set_verdicts
from harness import ACCOUNT, PROJECT, SIDES, wait_until

QUICK = """interval 0.1
handover no
drain 0"""


def log_of(daemon):
    return (daemon.directory / "log").read_text()


def reload(daemon, text=None):
    """Reload, and return the event of it."""
    count = len(reloads(daemon))
    if text is not None:
        daemon.conf.write_text(text)
    daemon.process.send_signal(signal.SIGHUP)

    def done():
        daemon.check()
        return len(reloads(daemon)) > count
    wait_until(done, 20, "reload")
    return reloads(daemon)[-1]


def reloads(daemon):
    return [e for e in daemon.events("daemon_lifecycle")
            if e["operation"] == "reload"]


def refused(daemon, text, why):
    """The reload is refused for that reason, and changes nothing."""
    event = reload(daemon, text)
    assert event["result"] == "failure"
    assert why in event["error_message"], event
    assert why in log_of(daemon)


def second(name, match):
    """Another failover block: the mirror image on the other router."""
    b = SIDES["B"]
    return f"""failover "{name}" {{
    project "{PROJECT}"
    local region "{b['local']}"
    remote region "{b['remote']}"
    local router "{b['local_router']}"
    remote router "{b['remote_router']}"
    primary prefix {b['primary']}
    secondary prefix {b['secondary']}
    cloudflare routes matching "{match}"
}}
"""


def test_same(place, clouds):
    """The same configuration: memory stays, nothing is written, no window is
    lost."""
    daemon = place.daemon(clouds, "A", QUICK + """
health window 5 up 3 down 3
dwell 600""")
    daemon.wait_state(1)
    before = daemon.cycles()[-1]["details"]["time_in_state_seconds"]
    children = daemon.children()
    event = reload(daemon)
    assert event["result"] == "success"
    assert event["details"]["added"] == event["details"]["removed"] == []
    since = len(daemon.events())
    cycle = daemon.wait_state(1, since=since)
    assert cycle["details"]["time_in_state_seconds"] >= before
    assert set(cycle["details"]["health_status"].values()) == {True}
    assert daemon.children() == children
    assert len(daemon.events("state_transition")) == 1
    assert clouds.writes() == []


def test_failovers_come_and_go(place, clouds):
    """What is added is looked after from now on, what is removed is left as it
    is, and the one in between keeps its memory although its number changes."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    one = daemon.conf.read_text()
    start = one.index('failover "A"')
    both = one[:start] + second("first", SIDES["B"]["match"]) + one[start:]
    event = reload(daemon, both)
    assert event["details"]["added"] == ["first"]
    since = len(daemon.events())
    for name in ("A", "first"):
        daemon.wait_event(lambda e: e["event_type"] == "health_check_cycle"
                          and e["failover"] == name
                          and e["details"]["plan"]["status"] == "done",
                          what=name, since=since)
    assert [e["failover"] for e in daemon.events("state_transition")] \
        == ["A", "first"]
    event = reload(daemon, one)
    assert event["details"]["removed"] == ["first"]
    since = len(daemon.events())
    set_verdicts(clouds, 3)
    daemon.wait_state(3, since=since)
    assert all(e["failover"] == "A" for e in daemon.events()[since:]
               if e["event_type"] == "health_check_cycle")
    check_desired(clouds, 3)
    state = json.loads((daemon.directory / "state.json").read_text())
    assert [one["name"] for one in state["failovers"]] == ["A"]


def test_new_values(place, clouds):
    """Every kind of value is new after it: the policy, the prefixes, the text
    that our routes are found by, the priorities, the log level."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    text = daemon.conf.read_text()
    clouds.patch({"projects": {PROJECT: {"regions": {"region-a": {
        "routers": {"router-a": {"bgp": {"keepaliveInterval": 21}}}}}}}})
    text = text.replace("interval 0.1", "interval 0.2")
    text = text.replace('matching "mt-gcpd A primary"',
                        'matching "mt-gcpd A primary" priority 90 failed 210')
    text = text.replace("primary prefix 203.0.113.0/24",
                        "primary prefix 192.0.2.0/25", 1)
    text = text.replace("log level debug", "log level info")
    event = reload(daemon, text)
    assert event["result"] == "success", event
    daemon.wait_state(1, since=len(daemon.events()))
    assert clouds.priority("mt-gcpd A primary") == 90
    assert "192.0.2.0/25" in clouds.ranges("router-a")
    # What was ours before is not ours any more, so it stays.
    assert "203.0.113.0/24" in clouds.ranges("router-a")
    lines = log_of(daemon)
    daemon.wait_cycles(5)
    assert not [line for line in log_of(daemon)[len(lines):].splitlines()
                if " debug " in line]


def test_another_region(place, clouds):
    """Of another region nothing is known yet: the verdicts of the old one are
    worth nothing."""
    daemon = place.daemon(clouds, "A", QUICK + "\nhealth window 5 up 4 down 4")
    daemon.wait_state(1)
    clouds.fault("hang", "regions/region-c/")
    text = daemon.conf.read_text().replace('remote region "region-b"',
                                           'remote region "region-c"')
    text = text.replace('remote router "router-b"',
                        'remote router "router-b" region "region-b"')
    assert reload(daemon, text)["result"] == "success"
    since = len(daemon.events())
    cycle = daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle", since=since)
    assert cycle["details"]["health_status"]["remote_healthy"] is None
    assert cycle["details"]["state_code"] == 0
    assert cycle["details"]["current_state"] == 1


@pytest.mark.parametrize("change,why", [
    (lambda t: t + "nonsense\n", "the configuration is not valid"),
    (lambda t: t.replace("drain 0", ""), None),
    (lambda t: t.replace('chroot "', 'chroot "/other'), '"chroot"'),
    (lambda t: t + 'user prober "daemon"\n', '"user prober"'),
    (lambda t: re.sub('state file "', 'state file "/other', t),
     '"state file"'),
    (lambda t: re.sub(r"nameserver (\S+) port \d+", r"nameserver \1 port 1",
                      t), "another port (1)"),
    (lambda t: re.sub(r'(endpoint compute "https://[^:]*):\d+', r"\1:4", t),
     "another port (4)"),
    (lambda t: re.sub(r'token file "[^"]*"', 'token file "/nowhere"', t),
     "a file that it names cannot be used"),
], ids=["grammar", "fine", "chroot", "user", "state-file", "nameserver-port",
        "endpoint-port", "token-file"])
def test_refused(place, clouds, change, why):
    """What cannot be taken over is refused and named, and the daemon goes on
    as before."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    text = daemon.conf.read_text()
    if why is None:
        assert reload(daemon, change(text))["result"] == "success"
    else:
        refused(daemon, change(text), why)
    since = len(daemon.events())
    set_verdicts(clouds, 3)
    daemon.wait_state(3, since=since)
    check_desired(clouds, 3)


def test_every_error_is_told(place, clouds):
    """The log names the place of each error, as at the start."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    text = daemon.conf.read_text()
    refused(daemon, text + "nonsense\ninterval x\n",
            "the configuration is not valid")
    lines = [line for line in log_of(daemon).splitlines()
             if f"{daemon.conf}:" in line]
    assert len(lines) == 2, lines


def test_bad_key(place, clouds):
    """A key that the signer cannot use: the old keys go on, both of them."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    bad = daemon.directory / "bad.json"
    bad.write_text('{"type": "service_account"}')
    bad.chmod(0o600)
    text = daemon.conf.read_text()
    for role in ("prober", "actuator"):
        refused(daemon, re.sub(rf'{role} credentials file "[^"]*"',
                               f'{role} credentials file "{bad}"', text),
                f"{bad}: has no")
    clouds.call("DELETE", "/tokens")
    since = len(daemon.events())
    set_verdicts(clouds, 3)
    daemon.wait_state(3, since=since)
    check_desired(clouds, 3)
    assert reload(daemon, text)["result"] == "success"


def test_credentials_are_read_again(place, clouds):
    """A new key, a new token and other authorities are in use after it."""
    keys = place.path / "keys"
    shutil.copytree(clouds.directory, keys)
    for path in keys.iterdir():
        path.chmod(0o600)
    daemon = place.daemon(clouds, "A", QUICK, **{
        "prober.json": keys / "prober.json",
        "cloudflare.token": keys / "cloudflare.token"})
    daemon.wait_state(1)
    token = "new-token-of-the-operators"
    clouds.patch({"cloudflare": {"tokens": {
        token: {"id": "t2", "kind": "user", "status": "active",
                "accounts": [ACCOUNT], "permissions": ["read", "write"]}}}})
    (keys / "cloudflare.token").write_text(token + "\n")
    shutil.copy(clouds.directory / "actuator.json", keys / "prober.json")
    assert reload(daemon)["result"] == "success"
    since = clouds.next_seq()
    set_verdicts(clouds, 2)
    daemon.wait_state(2, since=len(daemon.events()))
    check_desired(clouds, 2)
    # The authorities: with others every call fails, with a reason.
    text = daemon.conf.read_text()
    wrong = text.replace("ca.pem", "wrong-ca.pem")
    assert reload(daemon, wrong)["result"] == "success"
    clouds.call("DELETE", "/stats")
    events = len(daemon.events())
    assert clouds.writes(since)
    reload(daemon, text)
    daemon.wait_state(2, since=events)


def test_write_in_flight(place, clouds):
    """A reload waits for the write under way, and one that comes meanwhile is
    refused, with a message."""
    clouds.settings(op_delay_ms=1500)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    since = clouds.next_seq()
    set_verdicts(clouds, 3)
    wait_until(lambda: clouds.requests(since, "PATCH"), what="the PATCH")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "again" in log_of(daemon), what="reading again")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "still under way" in log_of(daemon), what="refused")
    assert reloads(daemon) == []
    wait_until(lambda: reloads(daemon), what="reloaded")
    changed, = [e for e in daemon.events("bgp_advertisement_change")
                if e["result"] == "success"]
    assert changed["timestamp"] <= reloads(daemon)[0]["timestamp"]
    daemon.wait_state(3, since=len(daemon.events()))
    assert len(clouds.requests(since, "PATCH")) == 1
    check_desired(clouds, 3)


def test_many(place, clouds):
    """Again and again, while the clouds change: nothing is lost."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    for state in (3, 2, 1, 3, 1):
        since = len(daemon.events())
        set_verdicts(clouds, state)
        reload(daemon)
        daemon.wait_state(state, since=since)
        reload(daemon)
        check_desired(clouds, state)


def files(*directories):
    return {path for one in directories for path in one.rglob("*")}


def test_removes_only_its_sockets(place, clouds):
    """At its end it removes what it has made, also after a reload."""
    sockets = {place.path / "A" / name for name in ("sock", "looks")}
    control = 'control socket "{}" read-only "{}"'.format(
        place.path / "A" / "sock", place.path / "A" / "looks")
    daemon = place.daemon(clouds, "A", QUICK + "\n" + control)
    daemon.wait_state(1)
    for _ in range(3):
        assert reload(daemon)["result"] == "success"
    daemon.wait_cycles(2)
    before = files(place.path, clouds.directory)
    assert sockets < before
    assert daemon.stop() == 0
    assert before - files(place.path, clouds.directory) == sockets
