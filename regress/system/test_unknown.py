# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What is not known moves nothing: whatever goes wrong with any call gives an
unknown, is told, and is over with the first good cycle.  And the lists are
read to their ends."""

import email.utils
import time

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


def many(clouds, region, count):
    """So many services in the region, all like the first."""
    services = clouds.world()["projects"][PROJECT]["regions"][region][
        "services"]
    extra = {f"svc-{number}": dict(services["svc-1"], name=f"svc-{number}")
             for number in range(3, count + 1)}
    clouds.patch({"projects": {PROJECT: {"regions": {region: {
        "services": extra}}}}})


def test_many_services(place, clouds):
    """Regions with hundreds of services."""
    for region in ("region-a", "region-b"):
        many(clouds, region, 250)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    clouds.patch({"projects": {PROJECT: {"regions": {"region-a": {"services": {
        "svc-77": None}}}}}})
    daemon.wait_cycles(3)
    clouds.health("region-a", "UNHEALTHY", service="svc-250")
    daemon.wait_state(2)
    assert daemon.stop() == 0


PAGES = {
    "one-a-page": dict(page_size=1),
    "empty-page": dict(empty_page=True),
    "both": dict(page_size=1, empty_page=True),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages(place, clouds, name):
    """The sick service is the last one on the last page."""
    many(clouds, "region-a", 7)
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


SLOWLY = """interval 2
handover no
drain 0
timeout health 2"""


def of_router(event, router="router-b"):
    return event["details"].get("router") == router


def result_of(daemon, since, condition, what="result", timeout=20):
    """The first health_check_result after the since'th event that is so."""
    return daemon.wait_event(
        lambda e: e["event_type"] == "health_check_result" and condition(e),
        timeout, what, since)


def cycle_of(daemon, event):
    """The cycle that an event belongs to."""
    return daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["correlation_id"] == event["correlation_id"])


def times(clouds, path, since):
    """When that was called, in milliseconds."""
    return [e["t_mono_ms"] for e in clouds.requests(since, path=path)]


@pytest.mark.parametrize("fault", ["503", "429", "403 rate limit", "reset",
                                   "truncate", "html 200", "wrong_json"])
def test_repeated(place, clouds, fault):
    """What goes wrong twice is repeated twice, within the cycle, and nobody
    has to know."""
    daemon = place.daemon(clouds, "A", SLOWLY)
    daemon.wait_state(1)
    daemon.wait_cycles(1)
    events = len(daemon.events())
    for path in (LIST_B, HEALTH_B, ROUTER_B, STATUS_B):
        clouds.fault(path=path, count=2, **FAULTS[fault])
    seq = clouds.next_seq()
    daemon.wait_cycles(1)
    for path in ("region-b/backendServices", "routers/router-b",
                 "router-b/getRouterStatus"):
        found = [e for e in clouds.requests(seq) if e["path"].endswith(path)]
        assert [bool(e.get("fault")) for e in found] == [True, True, False], path
    assert all(e["result"] == "success" for e in daemon.events()[events:])
    assert clouds.writes() == []


def test_permanent_once(place, clouds):
    """What will not be well by itself is called once in a cycle, and what is
    missing is named."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    events = len(daemon.events())
    seq = clouds.next_seq()
    clouds.fault(path=STATUS_B, **FAULTS["403 permission"])
    error = result_of(daemon, events, lambda e: of_router(e)
                      and e["details"]["sample"] is None)["error_message"]
    assert "compute.any.get" in error and "tried" not in error
    daemon.wait_cycles(3)
    called = times(clouds, "router-b/getRouterStatus", seq)
    other = times(clouds, "router-a/getRouterStatus", seq)
    assert abs(len(called) - len(other)) <= 1


def test_tried(place, clouds):
    """As often as is configured; the reason says how often."""
    daemon = place.daemon(clouds, "A", SLOWLY + "\nretries bgp-check 2\n"
                          "retries health 0")
    daemon.wait_state(1)
    daemon.wait_cycles(1)
    events = len(daemon.events())
    seq = clouds.next_seq()
    clouds.fault(path=STATUS_B, **FAULTS["503"])
    clouds.fault(path=LIST_B, **FAULTS["503"])
    error = result_of(daemon, events, lambda e: of_router(e)
                      and e["details"]["sample"] is None)["error_message"]
    assert error.startswith("getRouterStatus: HTTP 503 backendError: ")
    assert error.endswith(" (tried 3 times)")
    assert len(times(clouds, "router-b/getRouterStatus", seq)) == 3
    error = result_of(
        daemon, events, lambda e: e["details"].get("region") == "region-b"
        and "list" in (e["error_message"] or ""))["error_message"]
    assert "tried" not in error


@pytest.mark.parametrize("date", [False, True], ids=["seconds", "date"])
def test_retry_after(place, clouds, date):
    """A server that says when is not asked before."""
    daemon = place.daemon(clouds, "A", SLOWLY.replace("health 2", "health 5"))
    daemon.wait_state(1)
    daemon.wait_cycles(1)
    seq = clouds.next_seq()
    instant = int(time.time() + 3)  # a date has no fraction
    after = email.utils.formatdate(instant, usegmt=True) if date else "2"
    clouds.fault(path=STATUS_B, count=1, headers={"Retry-After": after},
                 **FAULTS["503"])
    daemon.wait_cycles(2)
    called = [e for e in clouds.requests(seq, path="router-b/getRouter")]
    assert called[0].get("fault") and not called[1].get("fault")
    waited = called[1]["t_mono_ms"] - called[0]["t_mono_ms"]
    if date:  # the request before it may have come at any time
        assert called[1]["t"] >= max(instant, called[0]["t"]), called
    else:
        assert waited > 1990, called
    assert daemon.cycles()[-1]["result"] == "success"


def test_retry_after_too_long(place, clouds):
    """One that asks for more than the cycle has is not asked again in it, and
    the cycle does not wait."""
    daemon = place.daemon(clouds, "A", SLOWLY)
    daemon.wait_state(1)
    events = len(daemon.events())
    clouds.fault(path=STATUS_B, headers={"Retry-After": "86400"},
                 **FAULTS["503"])
    result = result_of(daemon, events, lambda e: of_router(e)
                       and e["details"]["sample"] is None)
    assert "asks to wait for 86400 s" in result["error_message"]
    assert cycle_of(daemon, result)["duration_ms"] < 1000


@pytest.mark.parametrize("fault", [
    dict(action="hang"), dict(action="drip", delay_ms=50),
    dict(action="delay", delay_ms=60000)], ids=lambda f: f["action"])
def test_slow_alone(place, clouds, fault):
    """What hangs, or comes a byte at a time, is given up in time, and nobody
    else waits for it: all the rest of that cycle is known."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    events = len(daemon.events())
    clouds.fault(path=STATUS_B, **fault)
    result = result_of(daemon, events, lambda e: of_router(e)
                       and e["details"]["sample"] is None)
    assert "waiting for the answer: timed out after" in \
        result["error_message"]
    assert ("in the middle of it" in result["error_message"]) == \
        (fault["action"] == "drip")
    cycle = cycle_of(daemon, result)
    assert 900 < cycle["duration_ms"] < 1200
    assert cycle["details"]["samples"] == dict(
        local_healthy=True, remote_healthy=True, remote_bgp_up=None)
    others = [e for e in daemon.events("health_check_result")
              if e["correlation_id"] == result["correlation_id"]
              and e is not result and not of_router(e)]
    assert len(others) == 3
    assert all(e["duration_ms"] < 500 for e in others)


def test_hanging_groups(place, clouds):
    """All groups of one region hang; the other is read."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    events = len(daemon.events())
    many(clouds, "region-a", 150)
    clouds.fault("hang", "regions/region-a/backendServices/[^/]*/getHealth")
    result = result_of(daemon, events, lambda e:
                       e["details"]["region"] == "region-a"
                       and e["details"]["sample"] is None)
    assert cycle_of(daemon, result)["details"]["samples"] == dict(
        local_healthy=None, remote_healthy=True, remote_bgp_up=True)
    clouds.health("region-b", "UNHEALTHY")
    read(daemon, events, lambda s: s["remote_healthy"] is False, "sick")


def test_too_large(place, clouds):
    """An answer beyond all measure is none, however good it is."""
    daemon = place.daemon(clouds, "A", QUICK + "\nretries bgp-check 0")
    daemon.wait_state(1)
    events = len(daemon.events())
    clouds.fault("body", STATUS_B, body=dict(
        result=dict(bgpPeerStatus=[]), padding="x" * (16 << 20)))
    result = result_of(daemon, events, lambda e: of_router(e)
                       and e["details"]["sample"] is None)
    assert "larger than 16 MiB" in result["error_message"]


def test_reasons(place, clouds):
    """The reason says how far the call came."""
    daemon = place.daemon(clouds, "A", QUICK + "\nretries bgp-check 0")
    daemon.wait_state(1)
    for fault, reason in (
            ("reset", "compute.sim.test: the connection was lost"),
            ("truncate", "compute.sim.test: the answer is cut off"),
            ("noise", "compute.sim.test: the answer is not HTTP"),
            ("html", "HTTP 502: the answer is not JSON (text/html"),
            ("html 200", "HTTP 200: the answer is not JSON (text/html"),
            ("wrong_json", "the answer is no status"),
            ("401", "HTTP 401 authError")):
        events = len(daemon.events())
        clouds.fault(path=STATUS_B, **FAULTS[fault])
        error = result_of(daemon, events, lambda e: of_router(e)
                          and e["details"]["sample"] is None,
                          fault)["error_message"]
        assert error.startswith("getRouterStatus: " + reason), (fault, error)
        clouds.clear_faults()
        read(daemon, len(daemon.events()),
             lambda s: s["remote_bgp_up"] is True, fault)


def test_refused(place):
    """A cloud that is not there refuses connections."""
    clouds = place.clouds()
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    events = len(daemon.events())
    clouds.stop()
    error = result_of(daemon, events, lambda e: of_router(e)
                      and "refused" in (e["error_message"] or ""))
    assert "compute.sim.test: connecting: Connection refused" in \
        error["error_message"]


def test_wrong_authority(place, clouds):
    """Who is not trusted is not spoken to, and once is enough to know."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    daemon.stop()
    events = len(daemon.events())
    daemon.conf.write_text(
        daemon.conf.read_text().replace("/ca.pem", "/wrong-ca.pem"))
    seq = clouds.next_seq()
    daemon.start()
    error = result_of(daemon, events, lambda e: of_router(e)
                      and e["details"]["sample"] is None)["error_message"]
    assert "oauth.sim.test: TLS: certificate: unable to get local issuer" in \
        error
    assert clouds.requests(seq) == []


def test_limit(place, clouds):
    """Never more requests than the limit allows, whatever is configured; and
    those that there is room for are made."""
    limit = "limit requests 20 per second burst 30"
    daemon = place.daemon(clouds, "A", QUICK.replace("health 1", "health 3")
                          + "\n" + limit)
    daemon.wait_state(1)
    daemon.wait_cycles(5)
    called = sorted(e["t_mono_ms"] for e in clouds.requests(path="/compute/")
                    if e["scope"] == "compute.readonly")
    assert len(called) > 50
    for i, first in enumerate(called):
        for j in range(i + 1, len(called)):
            # four fifths are the prober's; a call may take a while to arrive
            most = 24 + 16 * (called[j] - first + 100) / 1000
            assert j - i + 1 <= most + 1, (i, j, called)
    seconds = (called[-1] - called[0]) / 1000
    assert len(called) > 16 * seconds * 0.8
    assert all(c["result"] == "success" for c in daemon.cycles())


def test_limit_too_low(place, clouds):
    """What there is no room for under the limit is unknown, and says so."""
    many(clouds, "region-b", 40)
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nlimit requests 10 per second burst 15")
    result = result_of(daemon, 0, lambda e:
                       e["details"]["region"] == "region-b"
                       and e["details"]["sample"] is None)
    assert result["error_message"]
    daemon.wait_cycles(3)
    log = (daemon.directory / "log").read_text()
    assert "under the limit of requests" in log
    assert log.count('"limit requests" leaves 8.0 per second for reading, and '
                     "the failovers need ") == 1
    assert clouds.writes() == []


def test_limit_high_enough(place, clouds):
    """Nothing is said of a limit that does."""
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nlimit requests 10000 per second")
    daemon.wait_state(1)
    daemon.wait_cycles(3)
    assert '"limit requests"' not in (daemon.directory / "log").read_text()


def test_open_breaker(place, clouds):
    """What is behind an open breaker is not called, and is unknown; the rest
    is read as ever."""
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nbreaker threshold 2 timeout 60")
    daemon.wait_state(1)
    for path, fault, key, error, other in (
            ("/compute/.*/region-b/routers", "routers/", "remote_bgp_up",
             "circuit breaker gcp_bgp is open", "backendServices"),
            ("/compute/.*/region-b/backendServices",
             "region-b/backendServices", "remote_healthy",
             "circuit breaker gcp_health is open",
             "region-a/backendServices")):
        events = len(daemon.events())
        clouds.fault(path=path, **FAULTS["404"])
        result = result_of(daemon, events,
                           lambda e: error in (e["error_message"] or ""))
        assert result["details"]["sample"] is None
        seq = clouds.next_seq()
        daemon.wait_cycles(3)
        assert daemon.cycles()[-1]["details"]["samples"][key] is None
        assert times(clouds, fault, seq) == []
        assert len(times(clouds, other, seq)) >= 2
    assert clouds.writes() == []
