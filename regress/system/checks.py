# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What must be true of every scenario: which requests the clouds may ever have
seen, what a state means for the clouds, and that nothing changed there but
what is ours."""

import copy
import ipaddress
import json
import pathlib
import re

import jsonschema

from harness import ACCOUNT, PROJECT, ROOT, SIDES

# What each state announces of primary and secondary, and the priority at
# Cloudflare.
DESIRED = {
    1: (True, False, 100),
    2: (False, False, 200),
    3: (True, True, 100),
    4: (True, False, 200),
    5: (True, False, 200),
    6: (True, True, 100),
    7: (True, True, 100),
    8: (True, False, 200),
}

# Health of the local and of the remote region, and the remote BGP.
VERDICTS = {
    1: ("HEALTHY", "HEALTHY", "UP"),
    2: ("UNHEALTHY", "HEALTHY", "UP"),
    3: ("HEALTHY", "UNHEALTHY", "UP"),
    4: ("UNHEALTHY", "UNHEALTHY", "UP"),
    5: ("UNHEALTHY", "HEALTHY", "DOWN"),
    6: ("HEALTHY", "HEALTHY", "DOWN"),
    7: ("HEALTHY", "UNHEALTHY", "DOWN"),
    8: ("UNHEALTHY", "UNHEALTHY", "DOWN"),
}

# How a world of a test marks a member that no schema has.
INVENTED = "future"

UUID = re.compile(r"requestId=[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}"
                  r"-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ROUTER = re.compile(r"/compute/v1/projects/[a-z-]+/regions/[a-z-]+"
                    r"/routers/[a-z-]+")
ROUTES = re.compile(r"/client/v4/accounts/[0-9a-f]{32}/magic/routes")


def load_schema(name):
    path = ROOT / "regress" / "schema" / f"{name}.json"
    schema = json.loads(pathlib.Path(path).read_text())
    return jsonschema.Draft7Validator(schema)


PATCH = load_schema("router.patch.request.ours")
PUT = load_schema("magic.routes.bulk.request")
HEALTH = load_schema("backendService.getHealth.request")
CLAIMS = load_schema("jwt.claims")
LOG = load_schema("logging.entries.write.request")


def without_invented(value):
    """A value without the members that only a test's world has."""
    if isinstance(value, dict):
        return {key: without_invented(one) for key, one in value.items()
                if not key.startswith(INVENTED)}
    if isinstance(value, list):
        return [without_invented(one) for one in value]
    return value


def check_patch(entry, ids):
    assert ROUTER.fullmatch(entry["path"]), entry
    assert UUID.fullmatch(entry["query"]), entry
    assert entry["scope"] == "compute", entry
    assert entry["content_type"] == "application/json", entry
    PATCH.validate(without_invented(entry["request"]))
    # An id is used again only where nobody can know what became of it.
    before = ids.get(entry["query"])
    assert before is None or before.get("fault"), (before, entry)
    assert before is None or before["request"] == entry["request"]
    ids[entry["query"]] = entry


def check_put(entry):
    assert ROUTES.fullmatch(entry["path"]), entry
    assert entry["query"] in ("", "validate_only=true"), entry
    assert entry["scope"] == "cloudflare", entry
    assert entry["content_type"] == "application/json", entry
    PUT.validate(entry["request"])


def check_post(entry):
    if entry["path"] == "/token":
        claims = entry["request"]
        if claims is None and entry.get("fault"):
            return  # nobody has looked at it
        CLAIMS.validate(claims)
        assert claims["exp"] - claims["iat"] <= 3600, entry
        assert "sub" not in claims, entry
        return
    if entry["path"] == "/v2/entries:write":
        if entry["status"] != 401:  # else the token was not looked at
            assert entry["scope"] == "logging.write", entry
        LOG.validate(entry["request"])
        return
    assert entry["path"].endswith("/getHealth"), entry
    HEALTH.validate(entry["request"])


def check_journal(entries):
    """Every request of a journal is one that mt-gcpd may send."""
    ids = {}
    for entry in entries:
        if "method" not in entry:
            continue
        assert "forbidden" not in entry, entry
        if entry["method"] == "PATCH":
            check_patch(entry, ids)
        elif entry["method"] == "PUT":
            check_put(entry)
        elif entry["method"] == "POST":
            check_post(entry)
        else:
            assert entry["method"] == "GET", entry


def same_prefix(text, prefix):
    return (ipaddress.ip_network(text, strict=False)
            == ipaddress.ip_network(prefix))


def advertises(level, prefix):
    """Is the prefix among the ranges of a router's bgp or of a peer?"""
    return any(same_prefix(one["range"], prefix)
               for one in level.get("advertisedIpRanges", []))


def not_ours(world, side="A", peers=()):
    """The world without what the daemon of a side looks after: its prefixes
    on its router (or on the named peers of it), and the priority of its
    routes."""
    what = SIDES[side]
    world = copy.deepcopy(world)
    world.pop("settings", None)
    region = world["projects"][PROJECT]["regions"][what["local"]]
    router = region["routers"][what["local_router"]]
    levels = [peer for peer in router["bgpPeers"] if peer["name"] in peers]
    for level in levels or [router["bgp"]]:
        level["advertisedIpRanges"] = [
            one for one in level.get("advertisedIpRanges", [])
            if not same_prefix(one["range"], what["primary"])
            and not same_prefix(one["range"], what["secondary"])]
    for part in world["projects"][PROJECT]["regions"].values():
        for service in part["services"].values():
            service.pop("health", None)
        for one in part["routers"].values():
            one.pop("peer_status", None)
    for route in world["cloudflare"]["accounts"][ACCOUNT]["routes"]:
        if what["match"] in (route.get("description") or ""):
            route.pop("priority")
            route.pop("modified_on")
    return world


def set_verdicts(clouds, state, side="A"):
    """Make the clouds such that the daemon of a side has to read a state."""
    local, remote, bgp = VERDICTS[state]
    what = SIDES[side]
    clouds.health(what["local"], local)
    clouds.health(what["remote"], remote)
    clouds.bgp(what["remote_router"], bgp)


def check_desired(clouds, state, side="A", peers=()):
    """Router and routes are as the state says."""
    what = SIDES[side]
    primary, secondary, priority = DESIRED[state]
    router = clouds.router(what["local_router"])
    levels = [peer for peer in router["bgpPeers"] if peer["name"] in peers]
    for level in levels or [router["bgp"]]:
        assert advertises(level, what["primary"]) == primary, level
        assert advertises(level, what["secondary"]) == secondary, level
    assert clouds.priority(what["match"]) == priority
