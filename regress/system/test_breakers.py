# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The circuit breakers: what opens each of them and what does not, what is
called meanwhile and what is not, and what goes on all the same."""

import re

import pytest

from checks import check_desired, set_verdicts
from harness import PROJECT, X, Y, wait_until

QUICK = """interval 0.1
handover no
drain 0
timeout bgp-update 2
timeout api 1
timeout health 1
retries health 0
retries bgp-check 0
retries bgp-update 0
retries cloudflare 0"""

READS, WRITES = "compute.readonly", "compute"


class Service:
    """What a breaker stands before: its name and region in events, the calls
    behind it, those of them that are to fail, and how often a cycle or a plan
    makes these; for a plan, the state that takes it."""

    def __init__(self, name, region, scope, path, fails=None, times=1,
                 state=None, sample=None):
        self.name, self.region = name, region
        self.scope, self.path = scope, path
        self.fails = fails or dict(path=path)
        self.times = times
        self.state, self.sample = state, sample

    def fault(self, clouds):
        clouds.fault("status", scope=self.scope, status=503, **self.fails)

    def calls(self, clouds, since=0):
        """The requests behind the breaker, in the order of their times."""
        return [e for e in clouds.requests(since)
                if e["scope"] == self.scope and re.search(
                    self.path, e["path"])
                and "validate_only" not in (e["query"] or "")]

    def events(self, daemon):
        return [e for e in daemon.events("circuit_breaker_event")
                if e["details"]["service"] == self.name
                and e["details"]["region"] == self.region]


SERVICES = {
    # Both groups of both services fail.
    "health local": Service(
        "gcp_health", "region-a", READS, "region-a/backendServices",
        dict(path="region-a/backendServices/.*/getHealth"), 4,
        sample="local_healthy"),
    "health remote": Service(
        "gcp_health", "region-b", READS, "region-b/backendServices",
        dict(path="region-b/backendServices[?]"),
        sample="remote_healthy"),
    "bgp": Service(
        "gcp_bgp", None, READS, "/routers/",
        dict(path="routers/router-b/getRouterStatus"),
        sample="remote_bgp_up"),
    "advertisement": Service(
        "gcp_local_advertisement", "region-a", WRITES, "/routers/router-a",
        dict(path="/routers/router-a", method="PATCH"), state=3),
    "cloudflare": Service(
        "cloudflare", None, "cloudflare", "/magic/routes", state=2),
}


def told(service, daemon, operation, count=1):
    """Wait for the so-manieth event of the breaker of that kind."""
    def found():
        daemon.check()
        events = [e for e in service.events(daemon)
                  if e["operation"] == operation]
        return events[count - 1] if len(events) >= count else None
    return wait_until(found, 20, f"{service.name} {operation} {count}")


def faulted(entries):
    return [e for e in entries if e.get("fault")]


@pytest.mark.parametrize("name", SERVICES)
def test_breaker(place, clouds, name):
    """Two failing cycles open the breaker, however many calls fail in one;
    nothing is called while it is open; a trial that fails opens it again, one
    that succeeds closes it, and all is well.  Nobody else notices."""
    service = SERVICES[name]
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nbreaker threshold 2 timeout 1")
    daemon.wait_state(1)
    daemon.wait_cycles(5)
    events, since = len(daemon.events()), clouds.next_seq()
    service.fault(clouds)
    if service.state:
        set_verdicts(clouds, service.state)

    opened = told(service, daemon, "opened")
    assert opened["result"] == "failure" and opened["error_message"]
    assert opened["details"]["failure_count"] == 2
    assert 0.9 < opened["details"]["retry_in_seconds"] <= 1
    half = told(service, daemon, "half_open")
    assert half["result"] == "success"
    assert half["details"]["failure_count"] == 2
    assert half["details"]["retry_in_seconds"] is None
    assert 0.95 <= half["timestamp"] - opened["timestamp"] < 5
    again = told(service, daemon, "opened", 2)
    assert again["details"]["failure_count"] == 3
    # Not more than what is configured.
    assert 0.9 < again["details"]["retry_in_seconds"] <= 1

    calls = service.calls(clouds, since)
    before = [e for e in calls if e["t"] < opened["timestamp"] + 0.5]
    assert len(faulted(before)) == 2 * service.times
    assert not [e for e in calls if opened["timestamp"] + 0.01 < e["t"]
                < half["timestamp"] - 0.01]
    trial = [e for e in calls if half["timestamp"] - 0.01 < e["t"]
             < again["timestamp"] + 0.5]
    assert len(faulted(trial)) == service.times
    blocked = [e for e in service.events(daemon)
               if e["operation"] == "call_blocked"]
    assert blocked
    assert all(e["result"] == "skipped" for e in blocked)
    assert 0 < blocked[0]["details"]["retry_in_seconds"] < 1

    while_open = [e for e in daemon.cycles()
                  if opened["timestamp"] < e["timestamp"] < half["timestamp"]]
    assert while_open
    for cycle in while_open:
        unknown = [key for key, sample in cycle["details"]["samples"].items()
                   if sample is None]
        assert unknown == ([service.sample] if service.sample else [])
        assert cycle["details"]["current_state"] == (service.state or 1)
    for other in SERVICES.values():
        if other is service:
            continue
        assert other.events(daemon) == []
        if other.scope == READS:
            assert [e for e in other.calls(clouds, since)
                    if opened["timestamp"] < e["t"] < half["timestamp"]]

    clouds.clear_faults()
    closed = told(service, daemon, "closed")
    assert closed["result"] == "success"
    assert closed["details"] == dict(
        service=service.name, region=service.region, failure_count=0,
        retry_in_seconds=None)
    state = service.state or 1
    daemon.wait_state(state, since=len(daemon.events()))
    check_desired(clouds, state)
    assert service.events(daemon)[-1] == closed
    assert len([e for e in daemon.events()[events:]
                if e["event_type"] == "state_transition"]) \
        == (1 if service.state else 0)


@pytest.mark.parametrize("top,seconds", [
    ("timeout 300", 15), ("timeout 5", 5), ("timeout 300\ninterval 20", 20)],
    ids=["least", "most", "interval"])
def test_first_trial(place, clouds, top, seconds):
    """The first trial comes after the interval, but after 15 seconds at least,
    unless less is configured.  That calls are blocked is for debugging."""
    clouds.fault("status", "region-b/backendServices", status=503)
    if "interval" in top:
        quick = QUICK.replace("interval 0.1\n", "")
    else:
        quick = QUICK
    daemon = place.daemon(clouds, "A", quick + "\nlog level info"
                          "\nbreaker threshold 1 " + top)
    service = SERVICES["health remote"]
    opened = told(service, daemon, "opened")
    assert opened["details"]["failure_count"] == 1
    assert seconds - 0.5 < opened["details"]["retry_in_seconds"] <= seconds
    if "interval" not in top:
        daemon.wait_cycles(3)
    assert service.events(daemon) == [opened]


def test_sick_is_no_failure(place, clouds):
    """That a region is sick, a session down, or that nobody can tell opens
    nothing."""
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nbreaker threshold 1 timeout 300")
    daemon.wait_state(1)
    for state in (4, 8, 3):
        set_verdicts(clouds, state)
        daemon.wait_state(state)
    for health in ("DRAINING", "TIMEOUT", "UNKNOWN", None):
        clouds.health("region-b", health)
        daemon.wait_cycles(2)
    clouds.bgp("router-b", "UNKNOWN")
    daemon.wait_cycles(2)
    assert daemon.cycles()[-1]["details"]["samples"] == dict(
        local_healthy=True, remote_healthy=None, remote_bgp_up=None)
    assert daemon.events("circuit_breaker_event") == []


def test_success_forgets(place, clouds):
    """Only failures running count."""
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nbreaker threshold 3 timeout 300")
    daemon.wait_state(1)
    for count in (2, 2, 2):
        events = len(daemon.events())
        clouds.fault("status", "router-b/getRouterStatus", status=503,
                     count=count)
        for result in ("failure", "success"):
            failing = daemon.wait_event(
                lambda e: e["event_type"] == "health_check_cycle"
                and e["result"] == result, since=events)
            events = daemon.events().index(failing)
    assert daemon.events("circuit_breaker_event") == []


def quiet(daemon, clouds, state):
    """What can be done is done: the rest waits, without a call or an event in
    every cycle.  The number of events then."""
    daemon.wait_state(state, plan="waiting")
    events, since = len(daemon.events()), clouds.next_seq()
    daemon.wait_cycles(5)
    assert [e for e in clouds.requests(since) if e["scope"] != READS] == []
    assert [e for e in daemon.events()[events:] if e["event_type"] in (
        "bgp_advertisement_change", "cloudflare_route_update")] == []
    return events


def without(clouds, prefix):
    """A change of the world: the local router does not have the prefix."""
    return {"projects": {PROJECT: {"regions": {"region-a": {"routers": {
        "router-a": {"bgp": {"advertisedIpRanges": [
            {"range": one} for one in clouds.ranges("router-a")
            if one != prefix]}}}}}}}}


def test_router_goes_on(place, clouds):
    """While Cloudflare is not called the router still gets what state 3 has it
    advertise."""
    service = SERVICES["cloudflare"]
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nbreaker threshold 1 timeout 300")
    daemon.wait_state(1)
    service.fault(clouds)
    set_verdicts(clouds, 2)
    told(service, daemon, "opened")
    since = clouds.next_seq()
    set_verdicts(clouds, 3)
    wait_until(lambda: Y in clouds.ranges("router-a"), what="the secondary")
    assert X in clouds.ranges("router-a")
    assert len(clouds.requests(since, "PATCH")) == 1
    events = quiet(daemon, clouds, 3)
    assert service.calls(clouds, since) == []
    clouds.patch(without(clouds, Y))
    daemon.wait_event(lambda e: e["event_type"] == "drift_repaired"
                      and e["details"]["object"] == Y, since=events)
    assert Y in clouds.ranges("router-a")
    # Nothing is withdrawn that is still steered to.
    set_verdicts(clouds, 2)
    quiet(daemon, clouds, 2)
    assert X in clouds.ranges("router-a")
    assert service.calls(clouds, since) == []


def test_cloudflare_goes_on(place, clouds):
    """While the router is not written traffic is still steered away in state
    2; the withdrawals follow later."""
    service = SERVICES["advertisement"]
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nbreaker threshold 1 timeout 300")
    daemon.wait_state(1)
    service.fault(clouds)
    set_verdicts(clouds, 3)
    told(service, daemon, "opened")
    since = clouds.next_seq()
    set_verdicts(clouds, 2)
    wait_until(lambda: clouds.priority("mt-gcpd A primary") == 200,
               what="steered away")
    quiet(daemon, clouds, 2)
    assert X in clouds.ranges("router-a")
    assert service.calls(clouds, since) == []
    assert len(clouds.requests(since, "PUT")) == 1
