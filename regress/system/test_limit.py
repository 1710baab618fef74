# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""No more is asked of the clouds than they allow: reading leaves Compute room
for a failover, and an account at Cloudflare that has had enough is left
alone."""

import copy
import datetime
import re

from checks import check_desired, set_verdicts
from harness import ACCOUNT, PROJECT, SIDES, wait_until

QUICK = """interval 0.1
handover no
drain 0
timeout api 5
timeout health 10"""

MATCH = SIDES["A"]["match"]
SECOND = "second primary"
OTHER = "f" * 32
ROUTES = "/magic/routes"


def block(more=""):
    """A second failover on the same routers, with statements of its own."""
    return f"""failover "two" {{
    project "{PROJECT}"
    local region "region-a"
    remote region "region-b"
    local router "router-a"
    remote router "router-b"
    primary prefix 192.0.2.64/26
    secondary prefix 192.0.2.128/26
    cloudflare routes matching "{SECOND}"
    {more}
}}"""


def second_route(clouds, account=ACCOUNT):
    """A managed route for the second failover, in that account."""
    routes = clouds.routes()
    route = copy.deepcopy(next(
        one for one in routes if MATCH in (one.get("description") or "")))
    route.update(id="e" * 32, prefix="192.0.2.64/26", description=SECOND)
    routes = routes + [route] if account == ACCOUNT else [route]
    clouds.patch({"cloudflare": {"accounts": {account: {"routes": routes}}}})


def entered(daemon, name, state, since=0, plan=None):
    return daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["failover"] == name
        and e["details"]["current_state"] == state
        and plan in (None, e["details"]["plan"]["status"]),
        what=f"{name} in state {state}", since=since)


def compute(clouds):
    """All requests to Compute, with either token."""
    return [e for e in clouds.requests()
            if e["scope"] in ("compute", "compute.readonly")]


def test_compute(place, clouds):
    """However much there is to read, Compute never gets more requests than the
    limit, of both processes together; and of that reading leaves enough for
    writing at once."""
    rate, burst = 10, 20
    # What such a limit may come to in a minute, and not one more.
    clouds.settings(compute_quota=burst + 60 * rate, op_delay_ms=0,
                    advert_lag_ms=0)
    clouds.patch({"projects": {PROJECT: {"regions": {
        region: {"services": {"svc-2": None}}
        for region in ("region-a", "region-b")}}}})
    second_route(clouds)
    daemon = place.daemon(clouds, "A", "\n".join([
        QUICK, f"limit requests {rate} per second burst {burst}", block()]))
    for name in ("A", "two"):
        entered(daemon, name, 1, plan="done")
    read = len(compute(clouds))
    wait_until(lambda: len(compute(clouds)) > read + 30, what="more reading")
    events, since = len(daemon.events()), clouds.next_seq()
    set_verdicts(clouds, 3)
    moved = daemon.wait_event(lambda e: e["event_type"] == "state_transition",
                              since=events)
    patch = wait_until(lambda: clouds.requests(since, "PATCH"),
                       what="a write")[0]
    assert patch["status"] == 200
    assert patch["t"] - moved["timestamp"] < 2
    for name in ("A", "two"):
        entered(daemon, name, 3, events, "done")
    check_desired(clouds, 3)
    calls = compute(clouds)
    assert {e["status"] for e in calls} == {200}
    times = sorted(e["t_mono_ms"] / 1000 for e in calls)
    for i, first in enumerate(times):
        for n, last in enumerate(times[i:], 1):
            # A request may take a while to arrive.
            assert n <= burst + rate * (last - first + 0.2) + 1, (i, n)
    # The limit is there to be used.
    assert len(times) > 0.6 * rate * (times[-1] - times[0])


def test_cloudflare(place, clouds):
    """An account that answers 429 and does not say for how long is left alone
    for five minutes; another one is not.  The router still gets what needs no
    steering first."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    second_route(clouds, OTHER)
    token = clouds.directory / "cloudflare.token"
    daemon = place.daemon(clouds, "A", "\n".join([QUICK, block(
        f'cloudflare account "{OTHER}" token file "{token}"')]))
    for name in ("A", "two"):
        entered(daemon, name, 1, plan="done")
    daemon.wait_cycles(5)
    clouds.fault("status", ACCOUNT + ROUTES, count=1, status=429)
    events, since = len(daemon.events()), clouds.next_seq()
    set_verdicts(clouds, 2)
    entered(daemon, "two", 2, events, "done")
    assert clouds.priority(MATCH) == 100
    assert clouds.world()["cloudflare"]["accounts"][OTHER]["routes"][0][
        "priority"] == 200
    failed = daemon.wait_event(
        lambda e: e["event_type"] == "cloudflare_route_update"
        and "not called until" in (e["error_message"] or ""), since=events)
    assert failed["failover"] == "A"
    until = re.search(r"until (\S+)", failed["error_message"])[1]
    until = datetime.datetime.fromisoformat(until.replace("Z", "+00:00"))
    assert 290 < until.timestamp() - failed["timestamp"] <= 301
    set_verdicts(clouds, 3)
    entered(daemon, "two", 3, events, "done")
    wait_until(lambda: SIDES["A"]["secondary"] in clouds.ranges("router-a"),
               what="the secondary prefix")
    daemon.wait_cycles(5)
    called, = clouds.requests(since, path=ACCOUNT + ROUTES)
    assert called["status"] == 429


def test_cloudflare_goes_on(place, clouds):
    """When the time that Cloudflare has asked for is over all is done, and
    nothing before."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    daemon.wait_cycles(5)
    clouds.fault("status", ROUTES, method="PUT", count=1, status=429,
                 headers={"Retry-After": "2"})
    since = clouds.next_seq()
    set_verdicts(clouds, 2)
    daemon.wait_state(2)
    check_desired(clouds, 2)
    calls = clouds.requests(since, path=ROUTES)
    assert [e["method"] for e in calls] == ["GET", "PUT", "GET", "PUT", "GET"]
    assert calls[1]["status"] == 429
    assert 1.95 < calls[2]["t"] - calls[1]["t"] < 4
