# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What is not known moves nothing: whatever goes wrong with any call gives an
unknown, is told, and is over with the first good cycle.  And the lists are
read to their ends."""

import pytest

from checks import check_desired
from harness import PROJECT

QUICK = """interval 0.1
handover no
drain 0
timeout api 1
timeout connect 1
timeout health 1"""

LIST_A = "regions/region-a/backendServices[?]"
LIST_B = "regions/region-b/backendServices[?]"
HEALTH_A = "regions/region-a/backendServices/svc-2/getHealth"
HEALTH_B = "regions/region-b/backendServices/svc-1/getHealth"
ROUTER_A = "routers/router-a[?]"
ROUTER_B = "routers/router-b[?]"
STATUS_A = "routers/router-a/getRouterStatus"
STATUS_B = "routers/router-b/getRouterStatus"

# What goes wrong, as arguments of a fault.
FAULTS = {
    "500": dict(action="status", status=500),
    "503": dict(action="status", status=503),
    "403 permission": dict(
        action="status", status=403, reason="forbidden",
        message="Required 'compute.any.get' permission for 'projects/x'"),
    "403 rate limit": dict(action="status", status=403,
                           reason="rateLimitExceeded"),
    "404": dict(action="status", status=404),
    "429": dict(action="status", status=429),
    "401": dict(action="status", status=401),
    "reset": dict(action="reset"),
    "truncate": dict(action="truncate"),
    "garbage": dict(action="garbage"),
    "noise": dict(action="noise"),
    "html": dict(action="html"),
    "html 200": dict(action="html", status=200),
    "wrong_json": dict(action="wrong_json"),
    "list": dict(action="body", body=[1, 2, 3]),
    "empty": dict(action="body", body=""),
    "lost": dict(action="lost"),
    "hang": dict(action="hang"),
}


def read(daemon, since, condition, what):
    """The first cycle after the since'th event whose samples are so."""
    return daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and condition(e["details"]["samples"]), 20, what, since)


def suffer(daemon, clouds, endpoint, name):
    """One fault: the sample becomes unknown, and although what is hidden
    behind the fault turns bad, nothing is written; then all is well again."""
    path, key, hide = endpoint
    events = len(daemon.events())
    clouds.fault(path=path, **FAULTS[name])
    hide(clouds, True)
    cycle = read(daemon, events, lambda s: s[key] is None, f"{name}: unknown")
    assert cycle["result"] == "failure", (name, cycle)
    failed = daemon.wait_event(
        lambda e: e["event_type"] == "health_check_result"
        and e["details"]["sample"] is None, 10, name, events)
    assert failed["result"] == "failure"
    assert failed["error_message"], (name, failed)
    daemon.wait_cycles(1)
    bad = [c for c in daemon.cycles()
           if c["timestamp"] >= cycle["timestamp"]]
    assert all(c["details"]["samples"][key] is None for c in bad), name
    hide(clouds, False)
    forget(daemon, clouds)
    events = len(daemon.events())
    read(daemon, events, lambda s: s[key] is True, f"{name}: healed")


def forget(daemon, clouds):
    """End the faults, when no cycle is left that has seen what they hid: its
    calls may be repeated yet."""
    daemon.wait_cycles(2)
    clouds.clear_faults()


def health(region, **only):
    def hide(clouds, bad):
        clouds.health(region, "UNHEALTHY" if bad else "HEALTHY", **only)
    return hide


def session(router):
    def hide(clouds, bad):
        clouds.bgp(router, "DOWN" if bad else "UP")
    return hide


ENDPOINTS = {
    "list-local": (LIST_A, "local_healthy", health("region-a")),
    "list-remote": (LIST_B, "remote_healthy", health("region-b")),
    # Of a service, half the endpoints are enough: all groups must fail.
    "health-local": (HEALTH_A, "local_healthy",
                     health("region-a", service="svc-2")),
    "health-remote": (HEALTH_B, "remote_healthy",
                      health("region-b", service="svc-1")),
    # A session that is up says enough by itself; one that is down may be a
    # disabled one, which only the configuration tells.
    "router-remote": (ROUTER_B, "remote_bgp_up", session("router-b")),
    "status-remote": (STATUS_B, "remote_bgp_up", session("router-b")),
}

# Those that hang take their time.
QUICKLY = [fault for fault in FAULTS if fault != "hang"]
FEW = ["500", "403 permission", "403 rate limit", "reset", "truncate",
       "wrong_json"]


@pytest.mark.parametrize("name,faults", [
    ("list-local", FAULTS), ("list-remote", FEW), ("health-local", FEW),
    ("health-remote", QUICKLY), ("router-remote", FEW),
    ("status-remote", QUICKLY)], ids=list(ENDPOINTS))
def test_every_fault(place, clouds, name, faults):
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    for fault in faults:
        suffer(daemon, clouds, ENDPOINTS[name], fault)
    assert clouds.writes() == []
    assert len(daemon.events("state_transition")) == 1


@pytest.mark.parametrize("path", [ROUTER_A, STATUS_A],
                         ids=["router-local", "status-local"])
def test_local_router(place, clouds, path):
    """The local router's sessions are part of the local verdict, which their
    samples alone do not show: the verdict becomes unknown after a while."""
    daemon = place.daemon(clouds, "A", QUICK + "\nhealth unknown-after 0.5")
    daemon.wait_state(1)
    for fault in ("500", "403 permission", "404", "reset", "truncate",
                  "wrong_json"):
        events = len(daemon.events())
        clouds.fault(path=path, method="GET", **FAULTS[fault])
        clouds.bgp("router-a", "DOWN")
        cycle = daemon.wait_event(
            lambda e: e["event_type"] == "health_check_cycle"
            and e["details"]["health_status"]["local_healthy"] is None, 20,
            fault, events)
        assert cycle["details"]["samples"]["local_healthy"] is True
        assert cycle["details"]["state_code"] == 0
        assert cycle["details"]["current_state"] == 1
        clouds.bgp("router-a", "UP")
        forget(daemon, clouds)
        daemon.wait_state(1, since=len(daemon.events()))
    assert clouds.writes() == []


def test_nothing_known_at_all(place, clouds):
    """Verdicts become unknown after a while, the state that is read 0, the
    current state stays, and so do the clouds, whatever is hidden there."""
    daemon = place.daemon(clouds, "A", QUICK + "\nhealth unknown-after 1")
    daemon.wait_state(1)
    clouds.fault("status", "/compute/", status=503)
    clouds.health("region-a", "UNHEALTHY")
    clouds.bgp("router-b", "DOWN")
    cycle = daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["details"]["state_code"] == 0)
    assert cycle["details"]["current_state"] == 1
    daemon.wait_cycles(5)
    cycle = daemon.cycles()[-1]
    assert set(cycle["details"]["health_status"].values()) == {None}
    assert set(cycle["details"]["planned_actions"].values()) == {None}
    assert clouds.writes() == []
    clouds.clear_faults()
    daemon.wait_state(5)
    check_desired(clouds, 5)


def test_no_token_from_the_start(place, clouds):
    """Without a token nothing is known, and nothing is written; the reason is
    in the log and in the events."""
    clouds.fault("status", "/token", status=503)
    clouds.health("region-a", "UNHEALTHY")
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_cycles(3)
    cycle = daemon.cycles()[-1]
    assert cycle["details"]["state_code"] == 0
    assert cycle["details"]["current_state"] == 0
    assert cycle["result"] == "failure"
    assert "no access token" in (daemon.directory / "log").read_text()
    result = daemon.events("health_check_result")[-1]
    assert "token endpoint" in result["error_message"]
    assert clouds.writes() == []
    clouds.clear_faults()
    daemon.wait_state(2)
    check_desired(clouds, 2)


@pytest.mark.parametrize("fault", ["403 permission", "reset", "wrong_json",
                                   "hang"])
def test_token_faults_at_renewal(place, clouds, fault):
    """When tokens run out and no other can be had, nothing is known."""
    clouds.settings(token_ttl=1)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    clouds.fault(path="/token", **FAULTS[fault])
    events = len(daemon.events())
    read(daemon, events, lambda s: set(s.values()) == {None}, fault)
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_cycles(2)
    assert daemon.cycles()[-1]["details"]["current_state"] == 1
    assert clouds.writes() == []


PAGES = {
    "one-a-page": dict(page_size=1),
    "empty-page": dict(empty_page=True),
    "both": dict(page_size=1, empty_page=True),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages(place, clouds, name):
    """The sick service is the last one on the last page."""
    services = clouds.world()["projects"][PROJECT]["regions"]["region-a"][
        "services"]
    extra = {}
    for number in range(3, 8):
        extra[f"svc-{number}"] = dict(services["svc-1"],
                                      name=f"svc-{number}")
    clouds.patch({"projects": {PROJECT: {"regions": {"region-a": {
        "services": extra}}}}})
    clouds.settings(**PAGES[name])
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    assert daemon.events("health_check_result")[0]["details"]["services"] \
        in (2, 7)
    clouds.health("region-a", "UNHEALTHY", service="svc-7")
    daemon.wait_state(2)
    sick = [e for e in daemon.events("health_check_result")
            if e["details"].get("unhealthy")][0]
    assert sick["result"] == "failure"
    assert {one["service"] for one in sick["details"]["unhealthy"]} \
        == {"svc-7"}
    assert sick["details"]["services"] == 7
    check_desired(clouds, 2)


@pytest.mark.parametrize("warning", ["PARTIAL_SUCCESS", "UNREACHABLE"])
def test_partial_list(place, clouds, warning):
    """A list that says that it is not whole says nothing: not even what is
    sick in it."""
    clouds.settings(list_warning=warning)
    clouds.health("region-a", "UNHEALTHY", service="svc-1")
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_cycles(3)
    details = daemon.cycles()[-1]["details"]
    assert details["samples"]["remote_healthy"] is None
    assert details["current_state"] == 0
    assert clouds.writes() == []
    assert any(warning in (e["error_message"] or "")
               for e in daemon.events("health_check_result"))
    clouds.settings(list_warning="")
    daemon.wait_state(2)


def test_slow_is_not_sick(place, clouds):
    """Answers that come after the time for reading are unknown; those within
    it are taken."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    events = len(daemon.events())
    clouds.fault("delay", HEALTH_B, delay_ms=300)
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3, since=events)
    clouds.clear_faults()
    events = len(daemon.events())
    clouds.fault("delay", HEALTH_B, delay_ms=5000)
    clouds.health("region-b", "HEALTHY")
    read(daemon, events, lambda s: s["remote_healthy"] is None, "unknown")
    daemon.wait_cycles(1)
    assert daemon.cycles()[-1]["details"]["current_state"] == 3
    clouds.clear_faults()
    daemon.wait_state(1, since=len(daemon.events()))


def test_one_group_short(place, clouds):
    """A service with a group that does not answer is not known; but the known
    sickness of another one settles the region."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    events = len(daemon.events())
    clouds.fault("status", HEALTH_B, status=500, skip=1)
    read(daemon, events, lambda s: s["remote_healthy"] is None, "unknown")
    clouds.health("region-b", "UNHEALTHY", service="svc-2")
    daemon.wait_state(3, since=events)
    check_desired(clouds, 3)
