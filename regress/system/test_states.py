# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""All eight states from every kind of router that there is to begin with: what
is ours becomes as the state says, and nothing else changes, anywhere."""

import pytest

from checks import (DESIRED, check_desired, not_ours, set_verdicts,
                    without_invented)
from harness import PROJECT, X, Y

QUICK = """interval 0.1
handover no
drain 0"""

FOREIGN = [
    {"range": "192.0.2.128/25", "description": "of another team; \u00e4\u20ac"},
    {"range": "2001:db8:1::/48"},
    {"range": "192.0.2.0/28", "description": ""},
    {"range": "10.1.0.0/16", "description": "a \"quoted\" one"},
]


def bgp(mode="CUSTOM", groups=("ALL_SUBNETS",), ranges=()):
    """The change that makes a router advertise so; None: the member is
    absent."""
    return {"bgp": {
        "advertiseMode": mode,
        "advertisedGroups": None if groups is None else list(groups),
        "advertisedIpRanges": None if ranges is None else list(ranges)}}


def peers(world, change):
    """The peers of router-a with a change to each, by its name."""
    router = (world["projects"][PROJECT]["regions"]["region-a"]["routers"]
              ["router-a"])
    return {"bgpPeers": [dict(peer, **change.get(peer["name"], {}))
                         for peer in router["bgpPeers"]]}


NATS = {
    "nats": [{"name": "nat-1", "natIpAllocateOption": "AUTO_ONLY",
              "sourceSubnetworkIpRangesToNat":
                  "ALL_SUBNETWORKS_ALL_IP_RANGES",
              "minPortsPerVm": 64, "logConfig": {"enable": False}}],
    "md5AuthenticationKeys": [{"name": "key-1"}],
    "description": "a router with everything",
    "futureSetting": {"level": 3, "of": ["things", "unknown"]},
}

ALL = {
    "peer-a-1": {"md5AuthenticationKeyName": "key-1",
                 "customLearnedIpRanges": [{"range": "10.77.0.0/16"}],
                 "customLearnedRoutePriority": 50,
                 "futurePeerSetting": [1, {"two": None}, "three"]},
    "peer-a-2": {"enable": "FALSE", "managementType":
                 "MANAGED_BY_ATTACHMENT"},
}

BEGINNINGS = {
    "default": lambda world: bgp("DEFAULT", None, None),
    "default-by-absence": lambda world: bgp(None, None, None),
    "reference": lambda world: {},
    "ours-and-foreign": lambda world: bgp(ranges=[
        FOREIGN[0], {"range": Y, "description": "left behind"}, FOREIGN[1],
        {"range": X, "description": "primary"}, *FOREIGN[2:]]),
    "foreign-only": lambda world: bgp(ranges=FOREIGN),
    "empty-list": lambda world: bgp(ranges=[]),
    "absent-list": lambda world: bgp(ranges=None),
    "no-groups": lambda world: bgp(groups=None, ranges=FOREIGN),
    "empty-groups": lambda world: bgp(groups=[], ranges=[{"range": X}]),
    "host-bits": lambda world: bgp(ranges=[
        {"range": "192.0.2.129/25", "description": "host bits"},
        {"range": "198.51.100.77/24"}, {"range": "203.0.113.1/24"},
        {"range": "2001:DB8::1/32"}]),
    "everything": lambda world: {
        **bgp(ranges=FOREIGN[:2]), **NATS, **peers(world, ALL)},
}

# Every state is entered from another one than in the next walk.
WALKS = [(1, 2, 3, 4, 5, 6, 7, 8, 1), (2, 1, 3, 2, 8, 6, 5, 7, 4),
         (8, 2, 6, 3, 7, 1, 4, 1, 5)]


def comparable(world, began_default):
    """What has to stay as it was.  A router in DEFAULT mode must become
    CUSTOM, with its subnets, to advertise anything; an absent list is an
    empty one."""
    rest = not_ours(world)
    router = (rest["projects"][PROJECT]["regions"]["region-a"]["routers"]
              ["router-a"])
    if began_default:
        router["bgp"]["advertiseMode"] = "CUSTOM"
        router["bgp"]["advertisedGroups"] = ["ALL_SUBNETS"]
    router["bgp"].setdefault("advertisedGroups", [])
    return rest


@pytest.mark.parametrize("name,walk", [
    (name, WALKS[number % len(WALKS)])
    for number, name in enumerate(BEGINNINGS)], ids=list(BEGINNINGS))
def test_all_states(place, clouds, name, walk):
    assert {*walk} == {*DESIRED}
    world = clouds.world()
    change = BEGINNINGS[name](world)
    clouds.settings(op_delay_ms=0, advert_lag_ms=0, host_bits=True)
    clouds.patch({"projects": {PROJECT: {"regions": {"region-a": {
        "routers": {"router-a": change}}}}}})
    began_default = name.startswith("default")
    before = comparable(clouds.world(), began_default)
    set_verdicts(clouds, walk[0])
    daemon = place.daemon(clouds, "A", QUICK)
    events = 0
    for state in walk:
        set_verdicts(clouds, state)
        daemon.wait_state(state, since=events)
        events = len(daemon.events())
        check_desired(clouds, state)
        assert comparable(clouds.world(), began_default) == before, state
    assert daemon.stop() == 0
    check_desired(clouds, walk[-1])
    assert comparable(clouds.world(), began_default) == before


@pytest.mark.parametrize("state", DESIRED)
def test_nothing_to_do(place, clouds, state):
    """What is as it should be already is not written."""
    primary, secondary, priority = DESIRED[state]
    ranges = [{"range": X}] * primary + [{"range": Y}] * secondary
    world = clouds.world()
    account = world["cloudflare"]["accounts"]
    for routes in account.values():
        for route in routes["routes"]:
            if route.get("description") == "mt-gcpd A primary":
                route["priority"] = priority
    clouds.patch({
        "projects": {PROJECT: {"regions": {"region-a": {"routers": {
            "router-a": {"bgp": {"advertisedIpRanges": ranges}}}}}}},
        "cloudflare": {"accounts": account}})
    set_verdicts(clouds, state)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(state)
    daemon.wait_cycles(3)
    assert clouds.writes() == []
    assert not [e for e in daemon.events("drift_repaired")]


def test_drift_is_repaired(place, clouds):
    """What somebody else changed of ours is put right, and that is told; what
    they changed of theirs stays."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    theirs = {"range": "10.9.0.0/16", "description": "theirs"}
    clouds.patch({"projects": {PROJECT: {"regions": {"region-a": {"routers": {
        "router-a": {"bgp": {"advertisedIpRanges": [theirs]}}}}}}}})
    event = daemon.wait_event(lambda e: e["event_type"] == "drift_repaired")
    assert event["details"]["object"] == X
    check_desired(clouds, 1)
    assert clouds.router("router-a")["bgp"]["advertisedIpRanges"][0] == theirs
    assert len(clouds.writes()) == 1


def test_invented_members_are_marked():
    """The helper that hides invented members from the schemas hides no
    others."""
    value = {"name": "n", "futureX": 1, "list": [{"future": 2, "a": 3}]}
    assert without_invented(value) == {"name": "n", "list": [{"a": 3}]}
