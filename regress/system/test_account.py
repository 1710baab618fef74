# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Many failovers on one account at Cloudflare: one list serves them all, the
trouble of one is its own, and what Cloudflare asks for is obeyed."""

import copy
import json

import pytest

from checks import set_verdicts
from harness import ACCOUNT, PROJECT, wait_until

QUICK = """interval 0.1
handover no
drain 0
timeout api 5
timeout health 5
timeout cloudflare 5"""

ROUTES = "/magic/routes$"
OTHERS = ("two", "three", "four")


def block(name):
    """A failover that looks like the first one, in the words of the
    configuration."""
    number = OTHERS.index(name)
    return f"""failover "{name}" {{
    project "project-{name}"
    local region "region-a"
    remote region "region-b"
    local router "router-a"
    remote router "router-b"
    primary prefix 192.0.{number}.0/25
    secondary prefix 192.0.{number}.128/25
    cloudflare routes matching "{name} primary"
}}"""


def route(clouds, name):
    """A managed route like the first one's."""
    like = next(one for one in clouds.routes()
                if "mt-gcpd A primary" in (one.get("description") or ""))
    return dict(copy.deepcopy(like), id=f"{OTHERS.index(name) + 1:032x}",
                description=f"{name} primary")


@pytest.fixture
def daemon(place, clouds):
    """Four failovers in four projects, all in state 1."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    text = json.dumps(clouds.world()["projects"][PROJECT])
    clouds.patch({"projects": {
        f"project-{name}": json.loads(text.replace(PROJECT, f"project-{name}"))
        for name in OTHERS}})
    set_routes(clouds, clouds.routes()
               + [route(clouds, name) for name in OTHERS])
    daemon = place.daemon(clouds, "A", "\n".join(
        [QUICK] + [block(name) for name in OTHERS]))
    for name in ("A",) + OTHERS:
        reached(daemon, name, 1)
    return daemon


def set_routes(clouds, routes):
    clouds.patch({"cloudflare": {"accounts": {ACCOUNT: {"routes": routes}}}})


def reached(daemon, name, state, since=0):
    return daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["failover"] == name
        and e["details"]["current_state"] == state
        and e["details"]["state_code"] == state
        and e["details"]["plan"]["status"] == "done",
        what=f"{name} in state {state}", since=since)


def set_all(clouds, state, names=OTHERS):
    """Have all failovers, or the named ones and the first, read a state."""
    set_verdicts(clouds, state)
    for name in names:
        clouds.health("region-a", "HEALTHY" if state == 1 else "UNHEALTHY",
                      project=f"project-{name}")


def set_all_together(clouds, state):
    """The same, but so that all of them wait for the account, behind a list
    that is slow."""
    clouds.fault("delay", ROUTES, method="GET", count=1, delay_ms=1500)
    set_all(clouds, state)


def calls(clouds, since):
    """The requests to Cloudflare: "list", or the routes of an update."""
    return ["list" if e["method"] == "GET" else
            {one["description"]: one["priority"]
             for one in e["request"]["routes"]}
            for e in clouds.requests(since)
            if e.get("scope") == "cloudflare"]


def failures(daemon, since):
    return {e["failover"]: e["error_message"] for e in daemon.events()[since:]
            if e["event_type"] == "cloudflare_route_update"
            and e["result"] == "failure"}


def wait_failure(daemon, since, count=1):
    def found():
        daemon.check()
        some = failures(daemon, since)
        return some if len(some) >= count else None
    return wait_until(found, what="a failure")


def test_one_list_for_all(daemon, clouds):
    """Two lists and one update for all who wait while the account is busy,
    each with its own routes; and nothing else changes."""
    events, since = len(daemon.events()), clouds.next_seq()
    before = clouds.routes()
    set_all_together(clouds, 2)
    for name in ("A",) + OTHERS:
        reached(daemon, name, 2, events)
    seen = calls(clouds, since)
    lists = [n for n, one in enumerate(seen) if one == "list"]
    updates = [one for one in seen if one != "list"]
    # Whoever decided first was alone.
    assert len(updates) <= 2 and len(lists) == 2 * len(updates), seen
    assert seen[0] == "list" and seen[-1] == "list", seen
    assert sorted(name for one in updates for name in one) == sorted(
        ["mt-gcpd A primary"] + [f"{name} primary" for name in OTHERS])
    for old, new in zip(before, clouds.routes(), strict=True):
        if "primary" in (old["description"] or "") \
                and "B" not in old["description"]:
            assert new["priority"] == 200
            for one in (old, new):
                one.pop("priority")
                one.pop("modified_on")
        assert new == old
    assert failures(daemon, events) == {}


def test_trouble_is_one_s_own(daemon, clouds):
    """Routes that are missing, or that two have a claim to, fail those alone
    whose they are."""
    kept = [one for one in clouds.routes()
            if one["description"] != "two primary"]
    for one in kept:
        if one["description"] == "three primary":
            one["description"] = "three primary or four primary"
    set_routes(clouds, kept)
    events, since = len(daemon.events()), clouds.next_seq()
    set_all_together(clouds, 2)
    failed = wait_failure(daemon, events, 3)
    reached(daemon, "A", 2, events)
    assert "no route matches" in failed["two"]
    assert "written by neither" in failed["three"]
    assert "written by neither" in failed["four"]
    assert "A" not in failed
    updates = [one for one in calls(clouds, since) if one != "list"]
    assert updates == [{"mt-gcpd A primary": 200}]
    for entry in clouds.writes(since):
        if entry["method"] == "PATCH":
            assert f"/projects/{PROJECT}/" in entry["path"]


def test_update_is_lost(daemon, clouds):
    """Nobody knows what became of the update of all: the list tells."""
    events, since = len(daemon.events()), clouds.next_seq()
    clouds.fault("lost", ROUTES, method="PUT", count=1)
    set_all_together(clouds, 2)
    for name in ("A",) + OTHERS:
        reached(daemon, name, 2, events)
    assert failures(daemon, events) == {}
    changed = [e["description"] for e in clouds.journal(since)
               if e.get("event") == "route_priority"]
    assert sorted(changed) == sorted(
        ["mt-gcpd A primary"] + [f"{name} primary" for name in OTHERS])
    assert calls(clouds, since)[-1] == "list"


def test_too_many_requests(daemon, clouds):
    """After a 429 nothing is called until it is allowed again, for nobody, and
    that is said; then all is done."""
    events, since = len(daemon.events()), clouds.next_seq()
    clouds.fault("status", ROUTES, method="GET", count=1, status=429,
                 headers={"Retry-After": "3"})
    set_all(clouds, 2)
    failed = wait_failure(daemon, events, 4)
    assert set(failed) == {"A", *OTHERS}
    wait_until(lambda: any("is not called until 20" in text for text in
                           failures(daemon, events).values()), what="until")
    for name in ("A",) + OTHERS:
        reached(daemon, name, 2, events)
    seen = [e for e in clouds.requests(since)
            if e.get("scope") == "cloudflare"]
    assert seen[0]["status"] == 429
    assert seen[1]["t"] - seen[0]["t"] >= 2.9


def test_none_left(daemon, clouds):
    """Nothing is called before the time at which there will be requests left
    again."""
    events, since = len(daemon.events()), clouds.next_seq()
    answer = {"success": True, "errors": [], "messages": [],
              "result": {"routes": clouds.routes()}}
    clouds.fault("body", ROUTES, method="GET", count=1, body=answer,
                 headers={"Ratelimit": '"default";r=0;t=3'})
    set_all(clouds, 2, names=())
    failed = wait_failure(daemon, events)
    assert "no calls are left" in failed["A"]
    reached(daemon, "A", 2, events)
    seen = [e for e in clouds.requests(since)
            if e.get("scope") == "cloudflare"]
    assert [e["method"] for e in seen] == ["GET", "GET", "PUT", "GET"]
    assert seen[1]["t"] - seen[0]["t"] >= 2.9
