# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""More than one failover in one daemon: each looks after its own only, and
where two share a router they take turns."""

import copy
import itertools
import json
import subprocess

from checks import DESIRED, advertises, not_ours, same_prefix, set_verdicts
from harness import ACCOUNT, BUILD, PROJECT, SIDES, wait_until
from test_reporter import more_failovers

QUICK = """interval 0.1
handover no
drain 0
timeout api 1
timeout health 1"""

OTHER = "other-project"
PRIMARY, SECONDARY = "192.0.2.0/25", "192.0.2.128/25"
MATCH = "second primary"


def block(name, project):
    """The second failover, in the words of the configuration."""
    return f"""failover "{name}" {{
    project "{project}"
    local region "region-a"
    remote region "region-b"
    local router "router-a"
    remote router "router-b"
    primary prefix {PRIMARY}
    secondary prefix {SECONDARY}
    cloudflare routes matching "{MATCH}"
}}"""


def second_project(clouds):
    """A project that looks like the first one."""
    world = clouds.world()["projects"][PROJECT]
    text = json.dumps(world).replace(PROJECT, OTHER)
    other = json.loads(text)
    for region in other["regions"].values():
        for router in region["routers"].values():
            router["bgp"]["advertisedIpRanges"] = []
    clouds.patch({"projects": {OTHER: other}})


def second_route(clouds):
    """A managed route for the second failover's primary."""
    routes = clouds.routes()
    route = copy.deepcopy(next(
        one for one in routes
        if SIDES["A"]["match"] in (one.get("description") or "")))
    route.update(id="f" * 32, prefix=PRIMARY, description=MATCH)
    clouds.patch({"cloudflare": {"accounts": {ACCOUNT: {
        "routes": routes + [route]}}}})


def reached(daemon, name, state, since=0):
    return daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["failover"] == name
        and e["details"]["current_state"] == state
        and e["details"]["state_code"] == state
        and e["details"]["plan"]["status"] == "done",
        what=f"{name} in state {state}", since=since)


def check_second(clouds, project, state):
    """What the second failover looks after is as its state says."""
    region = clouds.world()["projects"][project]["regions"]["region-a"]
    bgp = region["routers"]["router-a"]["bgp"]
    primary, secondary, priority = DESIRED[state]
    assert advertises(bgp, PRIMARY) == primary, bgp
    assert advertises(bgp, SECONDARY) == secondary, bgp
    assert clouds.priority(MATCH) == priority


def check_first(clouds, state):
    primary, secondary, priority = DESIRED[state]
    bgp = clouds.router("router-a")["bgp"]
    assert advertises(bgp, SIDES["A"]["primary"]) == primary
    assert advertises(bgp, SIDES["A"]["secondary"]) == secondary
    assert clouds.priority(SIDES["A"]["match"]) == priority


def set_second(clouds, state, project=OTHER):
    local = "HEALTHY" if state in (1, 3) else "UNHEALTHY"
    remote = "HEALTHY" if state in (1, 2) else "UNHEALTHY"
    clouds.health("region-a", local, project=project)
    clouds.health("region-b", remote, project=project)


def test_two_projects(place, clouds):
    """Two failovers with nothing in common but names, the daemon and the
    account: what happens to one does not move the other."""
    second_project(clouds)
    second_route(clouds)
    daemon = place.daemon(clouds, "A", QUICK + "\n" + block("two", OTHER))
    reached(daemon, "A", 1)
    reached(daemon, "two", 1)
    check_first(clouds, 1)
    check_second(clouds, OTHER, 1)

    before = clouds.world()["projects"][PROJECT]
    events, since = len(daemon.events()), clouds.next_seq()
    for state in (2, 3, 1):
        set_second(clouds, state)
        reached(daemon, "two", state, events)
        check_second(clouds, OTHER, state)
        check_first(clouds, 1)
    assert clouds.world()["projects"][PROJECT] == before
    for entry in clouds.writes(since):
        if entry["method"] == "PATCH":
            assert f"/projects/{OTHER}/" in entry["path"]
        else:
            assert [one["id"] for one in entry["request"]["routes"]] \
                == ["f" * 32]

    before = clouds.world()["projects"][OTHER]
    events, since = len(daemon.events()), clouds.next_seq()
    untouched = not_ours(clouds.world())
    set_verdicts(clouds, 2)
    reached(daemon, "A", 2, events)
    check_first(clouds, 2)
    check_second(clouds, OTHER, 1)
    assert clouds.world()["projects"][OTHER] == before
    assert not_ours(clouds.world()) == untouched
    assert all(e["failover"] != "two" for e in daemon.events()[events:]
               if e["event_type"] == "state_transition")


def test_unknown_is_one_s_own(place, clouds):
    """What one failover does not know does not keep the other from acting."""
    second_project(clouds)
    second_route(clouds)
    clouds.fault("hang", f"/projects/{OTHER}/")
    daemon = place.daemon(clouds, "A", QUICK + "\n" + block("two", OTHER))
    reached(daemon, "A", 1)
    set_verdicts(clouds, 2)
    reached(daemon, "A", 2)
    check_first(clouds, 2)
    unknown = daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["failover"] == "two")
    assert unknown["details"]["state_code"] == 0
    assert clouds.requests(0, "PATCH", f"/projects/{OTHER}/") == []
    clouds.clear_faults()
    reached(daemon, "two", 1)
    check_first(clouds, 2)


def operations(clouds, since):
    """The PATCHes of the journal with the end of the operation of each."""
    begun, ended = [], {}
    for entry in clouds.journal(since):
        if entry.get("method") == "PATCH":
            assert entry["status"] == 200, entry
            begun.append((entry["seq"], entry["response"]["name"]))
        elif entry.get("event") == "operation":
            ended[entry["name"]] = entry["seq"]
    return [(seq, ended[name]) for seq, name in begun]


def test_shared_router(place, clouds):
    """Two failovers on one router write in turns: no write meets the other,
    and none undoes it."""
    second_route(clouds)
    clouds.settings(op_delay_ms=150)
    daemon = place.daemon(clouds, "A", QUICK + "\n" + block("two", PROJECT))
    reached(daemon, "A", 1)
    reached(daemon, "two", 1)
    check_first(clouds, 1)
    check_second(clouds, PROJECT, 1)
    router = clouds.router("router-a")
    for state in (3, 2, 3, 1):
        events, since = len(daemon.events()), clouds.next_seq()
        set_verdicts(clouds, state)
        reached(daemon, "A", state, events)
        reached(daemon, "two", state, events)
        check_first(clouds, state)
        check_second(clouds, PROJECT, state)
        writes = operations(clouds, since)
        assert len(writes) >= 2
        for one, next_one in itertools.pairwise(writes):
            assert one[1] < next_one[0], writes
    for entry in clouds.requests():
        assert entry["status"] == 200, entry
    ours = [SIDES["A"]["primary"], SIDES["A"]["secondary"], PRIMARY,
            SECONDARY]
    now = clouds.router("router-a")
    for one in (router, now):
        one["bgp"]["advertisedIpRanges"] = [
            r for r in one["bgp"]["advertisedIpRanges"]
            if not any(same_prefix(r["range"], prefix) for prefix in ours)]
        one.pop("peer_status")
    assert now == router


def test_shared_router_busy(place, clouds):
    """When somebody else's operation holds the router it is tried again."""
    daemon = place.daemon(clouds, "A", QUICK)
    reached(daemon, "A", 1)
    clouds.fault("status", "/routers/router-a", "PATCH", count=1, status=400,
                 reason="resourceNotReady")
    set_verdicts(clouds, 3)
    reached(daemon, "A", 3)
    check_first(clouds, 3)
    wait_until(lambda: len(clouds.requests(0, "PATCH")) == 2, what="again")


def test_ask_once(place, clouds):
    """What many want to know of the same regions and routers is asked once for
    all that begin together; and a failover that looks by itself asks all."""
    count = 8
    daemon = place.daemon(clouds, "A", f"""interval 3
handover no
drain 0
{more_failovers(count - 1)}""")
    daemon.wait_cycles(count)
    since = clouds.next_seq()
    before = len(daemon.cycles())
    daemon.wait_cycles(3 * count)
    cycles = daemon.cycles()[before:]
    assert {e["details"]["current_state"] for e in cycles} == {1}
    asked = clouds.requests(since)

    def made(what):
        return sum(what in f"{e['path']}?{e.get('query') or ''}"
                   for e in asked)
    groups = sum(len(service["backends"]) for region in ("region-a", "region-b")
                 for service in clouds.world()["projects"][PROJECT][
                     "regions"][region]["services"].values())
    assert made("backendServices?") <= len(cycles)  # of two each
    assert made("/getRouterStatus") <= len(cycles)
    assert made("/getHealth") >= (len(cycles) - count) * groups
    since = clouds.next_seq()
    subprocess.run([BUILD / "mt-gcpctl", "-s", daemon.directory / "sock",
                    "probe", "A"], check=True, timeout=20,
                   stdout=subprocess.DEVNULL)
    paths = [e["path"] for e in clouds.requests(since)]
    for region in ("region-a", "region-b"):
        assert f"/compute/v1/projects/{PROJECT}/regions/{region}/" \
            "backendServices" in paths
