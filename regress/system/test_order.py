# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What is written, and in which order: in both directions, with each step
failing in turn, and waiting for the other side where it has to take over."""

import pytest

from checks import check_desired, not_ours, set_verdicts
from harness import PROJECT, SIDES, X, Y, wait_until

QUICK = """interval 0.1
handover no
drain 0
timeout bgp-update 1
timeout api 1
timeout cloudflare 1
timeout cloudflare-bulk 1"""

# Of the actuator, where the scope says so.
ROUTER = "routers/router-a($|[?])"
STATUS = "routers/router-a/getRouterStatus[?]"
OPERATION = "/operations/"
ROUTES = "/magic/routes$"


def kinds(clouds, since):
    """The journal since then, as what it means: the actuator's requests and
    the events that its writes cause."""
    found = []
    names = {("routers.get", "compute"): "read router",
             ("routers.patch", "compute"): "patch",
             ("routers.getRouterStatus", "compute"): "status",
             ("magic.routes.list", "cloudflare"): "list",
             ("magic.routes.bulk", "cloudflare"): "put"}
    for entry in clouds.journal(since):
        if entry.get("event") in ("operation", "advertised", "withdrawn",
                                  "route_priority"):
            found.append((entry["event"], entry))
        elif entry.get("method") == "PUT":
            found.append(("put", entry))
        elif (entry.get("op"), entry.get("scope")) in names:
            found.append((names[entry["op"], entry["scope"]], entry))
        elif OPERATION in entry.get("path", ""):
            found.append(("poll", entry))
    return found


def order(clouds, since):
    """The same, names only, without repetitions."""
    names = []
    for name, _ in kinds(clouds, since):
        if not names or names[-1] != name:
            names.append(name)
    return names


def in_order(names, *wanted):
    """Do the wanted names appear in names in this order?"""
    rest = iter(names)
    return all(one in rest for one in wanted)


def settled(daemon, clouds, state):
    """Let the daemon reach a state; the journal's number then."""
    events = len(daemon.events())
    set_verdicts(clouds, state)
    daemon.wait_state(state, since=events)
    check_desired(clouds, state)
    return clouds.next_seq()


def failures(daemon, since=0):
    """All events after the since'th that say that a step failed."""
    return [e for e in daemon.events()[since:] if e["result"] == "failure" and
            e["event_type"] in ("bgp_advertisement_change",
                                "cloudflare_route_update")]


def failure(daemon, since=0):
    """The first event after the since'th that says that a step failed."""
    def found():
        daemon.check()
        return failures(daemon, since)
    event = wait_until(found, what="a failure")[0]
    assert event["error_message"], event
    return event


def test_to_priority(place, clouds):
    """Router first, until the peers have been told; then Cloudflare."""
    clouds.settings(op_delay_ms=150, advert_lag_ms=300)
    daemon = place.daemon(clouds, "A", QUICK.replace("update 1", "update 5"))
    since = settled(daemon, clouds, 2)
    settled(daemon, clouds, 1)
    names = order(clouds, since)
    assert names.count("patch") == names.count("put") == 1
    assert in_order(names, "read router", "patch", "poll", "operation",
                    "poll", "read router", "status", "advertised", "status",
                    "list", "put", "route_priority", "list"), names
    event = [e for e in daemon.events("bgp_advertisement_change")
             if e["result"] == "success"][-1]
    assert event["operation"] == "advertise_prefix"
    assert event["details"]["prefix"] == X
    assert event["details"]["effect_seen"] is True
    assert event["details"]["http_status"] == 200
    patch = clouds.requests(since, "PATCH")[0]
    assert event["details"]["operation_id"] == patch["response"]["name"]
    assert patch["query"] == "requestId=" + event["details"]["request_id"]
    assert X not in event["details"]["ranges_before"]
    assert X in event["details"]["ranges_after"]


def test_to_failed(place, clouds):
    """Cloudflare first, read back; then, after a while, the withdrawal."""
    clouds.settings(op_delay_ms=150, advert_lag_ms=300)
    daemon = place.daemon(clouds, "A", QUICK.replace("drain 0", "drain 1")
                          .replace("update 1", "update 5"))
    since = settled(daemon, clouds, 1)
    settled(daemon, clouds, 2)
    names = order(clouds, since)
    assert names.count("patch") == names.count("put") == 1
    assert in_order(names, "list", "put", "route_priority", "list",
                    "read router", "patch", "operation", "read router",
                    "status", "withdrawn", "status"), names
    times = {name: entry["t"] for name, entry in kinds(clouds, since)}
    assert times["patch"] - times["route_priority"] >= 0.99
    event = daemon.events("cloudflare_route_update")[-1]
    assert event["details"]["routes_modified"] == 1
    assert event["details"]["matching_routes"] == 1


def test_one_patch_for_both(place, clouds):
    """Two prefixes that may change at once change at once."""
    daemon = place.daemon(clouds, "A", QUICK)
    since = settled(daemon, clouds, 2)
    then = settled(daemon, clouds, 3)
    settled(daemon, clouds, 2)
    there, back = clouds.requests(since, "PATCH")
    assert there["seq"] < then < back["seq"]
    ranges = [{one["range"] for one in
               patch["request"]["bgp"]["advertisedIpRanges"]}
              for patch in (there, back)]
    assert {X, Y} <= ranges[0] and not {X, Y} & ranges[1]


# For each step that can fail: the fault, and the writes that may be sent all
# the same before it.
TO_PRIORITY = {
    "router read": (dict(action="status", path=ROUTER, status=500), []),
    "patch refused": (dict(action="status", path=ROUTER, method="PATCH",
                           status=403), ["PATCH"]),
    "patch rate": (dict(action="status", path=ROUTER, method="PATCH",
                        status=403, reason="rateLimitExceeded"), ["PATCH"]),
    "patch hangs": (dict(action="hang", path=ROUTER, method="PATCH"),
                    ["PATCH"]),
    "operation error": (dict(action="op", path=ROUTER, method="PATCH",
                             op_error={"code": "INTERNAL_ERROR",
                                       "message": "no",
                                       "http_status": 500}), ["PATCH"]),
    "operation for ever": (dict(action="op", path=ROUTER, method="PATCH",
                                op_delay_ms=-1), ["PATCH"]),
    # Done all the same, as the next plan sees when it reads the router.
    "operation unread": (dict(action="status", path=OPERATION, status=403),
                         ["PATCH", "PUT"]),
    "status": (dict(action="status", path=STATUS, status=500), ["PATCH"]),
    "cloudflare list": (dict(action="status", path=ROUTES, method="GET",
                             status=500), ["PATCH"]),
    "cloudflare put": (dict(action="status", path=ROUTES, method="PUT",
                            status=500), ["PATCH", "PUT"]),
}

TO_FAILED = {
    "cloudflare list": (dict(action="status", path=ROUTES, method="GET",
                             status=403), []),
    "cloudflare 429": (dict(action="status", path=ROUTES, method="GET",
                            status=429, headers={"Retry-After": "1"}), []),
    "cloudflare put": (dict(action="status", path=ROUTES, method="PUT",
                            status=403), ["PUT"]),
    "cloudflare hangs": (dict(action="hang", path=ROUTES, method="PUT"),
                         ["PUT"]),
    "cloudflare html": (dict(action="html", path=ROUTES, method="PUT"),
                        ["PUT"]),
    "read-back": (dict(action="status", path=ROUTES, method="GET", skip=1,
                       status=500), ["PUT"]),
    "router read": (dict(action="status", path=ROUTER, status=500), ["PUT"]),
    "patch": (dict(action="status", path=ROUTER, method="PATCH", status=400),
              ["PUT", "PATCH"]),
}


@pytest.mark.parametrize("table,begin,end", [(TO_PRIORITY, 2, 1),
                                             (TO_FAILED, 1, 2)],
                         ids=["to-priority", "to-failed"])
def test_each_step_fails(place, clouds, table, begin, end):
    """What comes after the step that fails is not written while it does, the
    failure is told; and when it is over all is done."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK)
    for name, (fault, allowed) in table.items():
        since = settled(daemon, clouds, begin)
        events = len(daemon.events())
        scope = "cloudflare" if fault["path"] == ROUTES else "compute"
        clouds.fault(scope=scope, **fault)
        set_verdicts(clouds, end)
        failure(daemon, events)
        daemon.wait_cycles(2)
        written = {e["method"] for e in clouds.writes(since)}
        assert written == set(allowed), (name, written)
        clouds.clear_faults()
        clouds.call("DELETE", "/operations")
        settled(daemon, clouds, end)


def test_peers_never_told(place, clouds):
    """DONE is not told: without the effect, Cloudflare is not written."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK)
    since = settled(daemon, clouds, 2)
    clouds.settings(advert_lag_ms=1_000_000)
    set_verdicts(clouds, 1)
    event = failure(daemon)
    assert "not been told" in event["error_message"]
    assert event["details"]["effect_seen"] is False
    daemon.wait_cycles(2)
    assert len(clouds.requests(since, "PATCH")) == 1
    assert clouds.requests(since, "PUT") == []


def test_no_session(place, clouds):
    """Without any session that is up, an advertisement cannot be seen, and
    that is said."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK + "\nbgp local ignore")
    since = settled(daemon, clouds, 2)
    clouds.bgp("router-a", "DOWN")
    set_verdicts(clouds, 1)
    event = failure(daemon)
    assert "no UP peer" in event["error_message"]
    assert event["details"]["effect_seen"] is False
    assert clouds.requests(since, "PUT") == []
    clouds.bgp("router-a", "UP")
    daemon.wait_state(1, since=len(daemon.events()))
    check_desired(clouds, 1)


def test_status_without_routes(place, clouds):
    """Where no session's status says what it is told, the configuration that
    was read back has to do."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0, bgp_members=False)
    for peer in ("peer-a-1", "peer-a-2"):  # which are not up only just now
        clouds.bgp("router-a", "UP", peer=peer)
        clouds.patch({"projects": {PROJECT: {"regions": {"region-a": {
            "routers": {"router-a": {"peer_status": {peer: {
                "uptimeSeconds": "61773"}}}}}}}}})
    daemon = place.daemon(clouds, "A", QUICK)
    for state in (2, 1, 2, 1):
        settled(daemon, clouds, state)
    changes = [e for e in daemon.events("bgp_advertisement_change")
               if e["result"] == "success"]
    assert len(changes) == 4
    assert all(e["details"]["effect_seen"] is None for e in changes)
    log = (daemon.directory / "log").read_text()
    assert log.count("does not say what its peers are told") == 1


@pytest.mark.parametrize("apply", [True, False], ids=["done", "not-done"])
def test_lost_answers(place, clouds, apply):
    """Where nobody can know what became of a write it is read back, and a
    PATCH is repeated as the same change, so that it is made once."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK.replace("update 1", "update 5"))
    since = settled(daemon, clouds, 2)
    clouds.fault("lost", ROUTER, method="PATCH", count=1, apply=apply)
    clouds.fault("lost", ROUTES, method="PUT", count=1, apply=apply)
    settled(daemon, clouds, 1)
    assert failures(daemon) == []
    patches = clouds.requests(since, "PATCH")
    assert len({e["query"] for e in patches}) == 1
    assert len([e for e in clouds.journal(since)
                if e.get("event") == "operation"]) == 1
    assert len([e for e in clouds.journal(since)
                if e.get("event") == "route_priority"]) == 1
    names = order(clouds, since)
    assert in_order(names, "patch", "read router", "put", "list"), names
    if not apply:
        assert len(patches) >= 2


def test_not_ready(place, clouds):
    """A router that another operation is changing is tried again a little
    later, read anew, and as a new request."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK.replace("update 1", "update 9"))
    since = settled(daemon, clouds, 1)
    clouds.fault("status", ROUTER, method="PATCH", count=1, status=400,
                 reason="resourceNotReady")
    settled(daemon, clouds, 3)
    assert order(clouds, since)[:4] == ["read router", "patch", "read router",
                                        "patch"]
    assert len({e["query"] for e in clouds.requests(since, "PATCH")}) == 2


def test_other_writer(place, clouds):
    """Another program writes the router right after us, from what it had read
    before: both its range and ours are there in the end."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK.replace("update 1", "update 5"))
    settled(daemon, clouds, 1)
    theirs = clouds.router("router-a")["bgp"]["advertisedIpRanges"] + [
        {"range": "10.66.0.0/16", "description": "theirs"}]
    clouds.fault("foreign_write", ROUTER, method="PATCH", count=1, patch={
        "projects": {PROJECT: {"regions": {"region-a": {"routers": {
            "router-a": {"bgp": {"advertisedIpRanges": theirs}}}}}}}})
    since = settled(daemon, clouds, 3)
    ranges = clouds.router("router-a")["bgp"]["advertisedIpRanges"]
    assert ranges[:len(theirs)] == theirs
    assert [one["range"] for one in ranges[len(theirs):]] == [Y]
    settled(daemon, clouds, 2)
    ranges = clouds.router("router-a")["bgp"]["advertisedIpRanges"]
    assert ranges == [one for one in theirs if one["range"] != X]
    assert len(clouds.requests(since, "PATCH")) == 1


def test_other_writer_for_ever(place, clouds):
    """Another program that undoes us again and again: three times in a plan we
    write what it has just written and ours, then the failure says so, and
    nothing of what it writes is lost."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK.replace("update 1", "update 5"))
    settled(daemon, clouds, 1)
    theirs = clouds.router("router-a")["bgp"]["advertisedIpRanges"] + [
        {"range": "10.66.0.0/16", "description": "theirs"}]
    clouds.fault("foreign_write", ROUTER, method="PATCH", patch={
        "projects": {PROJECT: {"regions": {"region-a": {"routers": {
            "router-a": {"bgp": {"advertisedIpRanges": theirs}}}}}}}})
    since = clouds.next_seq()
    set_verdicts(clouds, 3)
    event = failure(daemon)
    assert "another writer keeps changing the router" \
        in event["error_message"]
    plan = clouds.requests(since, "PATCH")[:3]
    assert len({e["query"] for e in plan}) == 3
    for entry in plan[1:]:
        assert entry["request"]["bgp"]["advertisedIpRanges"][:-1] == theirs
    clouds.clear_faults()
    daemon.wait_state(3, since=len(daemon.events()))
    check_desired(clouds, 3)
    ranges = clouds.router("router-a")["bgp"]["advertisedIpRanges"]
    assert ranges[:len(theirs)] == theirs


def with_routes(clouds, change):
    """A change of the world: the routes as a function makes them."""
    account, = clouds.world()["cloudflare"]["accounts"]
    return {"cloudflare": {"accounts": {account: {
        "routes": change(clouds.routes())}}}}


def test_other_writer_of_routes(place, clouds):
    """Somebody deletes one of our routes after we have listed them, and changes
    and adds others: ours is not made again, and theirs are as they wrote
    them."""
    extra_routes(clouds, *OURS, *THEIRS)
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    gone = f"{1:032x}"

    def change(routes):
        kept = [dict(one) for one in routes if one["id"] != gone]
        kept[-1].update(description="changed by them", weight=3, priority=4)
        return kept + [dict(kept[-1], id="e" * 32, description="new")]
    after = change(clouds.routes())
    clouds.fault("foreign_write", ROUTES, method="GET", count=1,
                 patch=with_routes(clouds, change))
    since = clouds.next_seq()
    set_verdicts(clouds, 2)
    daemon.wait_state(2)
    first, second = clouds.requests(since, "PUT")
    assert first["status"] == 404 and second["status"] == 200
    assert gone in [one["id"] for one in first["request"]["routes"]]
    assert [one["id"] for one in second["request"]["routes"]] == [
        one["id"] for one in first["request"]["routes"] if one["id"] != gone]
    for old, new in zip(after, clouds.routes(), strict=True):
        if SIDES["A"]["match"] in (old.get("description") or ""):
            assert new["priority"] == 200
            for one in (old, new):
                one.pop("priority")
                one.pop("modified_on")
        assert new == old
    assert failures(daemon) == []


def test_other_writer_of_our_routes(place, clouds):
    """Somebody gives our routes another priority and weight right after us:
    once we set the priority again, and only that; then it is said."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK)
    settled(daemon, clouds, 1)

    def change(routes):
        return [dict(one, priority=300, weight=9)
                if SIDES["A"]["match"] in (one.get("description") or "")
                else one for one in routes]
    clouds.fault("foreign_write", ROUTES, method="PUT", count=2,
                 patch=with_routes(clouds, change))
    since = clouds.next_seq()
    set_verdicts(clouds, 2)
    event = failure(daemon)
    assert "do not have the priority" in event["error_message"]
    daemon.wait_state(2, since=len(daemon.events()))
    check_desired(clouds, 2)
    puts = clouds.requests(since, "PUT")
    assert len(puts) == 3
    assert puts[0]["request"]["routes"][0].get("weight") != 9
    for entry in puts[1:]:
        assert entry["request"]["routes"][0]["weight"] == 9


# What fails for a reason that passes: the fault, and the requests in order.
AGAIN = {
    "router read": (dict(path=ROUTER, method="GET", status=503,
                         scope="compute"),
                    ["read router", "read router", "patch"]),
    "poll": (dict(path=OPERATION, status=503),
             ["patch", "poll", "poll", "read router"]),
    "status": (dict(path=STATUS, status=500, scope="compute"),
               ["status", "status", "list"]),
    "list": (dict(path=ROUTES, method="GET", status=502),
             ["list", "list", "put"]),
    "patch unavailable": (dict(path=ROUTER, method="PATCH", status=503),
                          ["patch", "read router", "patch", "put"]),
    "patch rate": (dict(path=ROUTER, method="PATCH", status=403,
                        reason="rateLimitExceeded"),
                   ["patch", "read router", "patch", "put"]),
    "put": (dict(path=ROUTES, method="PUT", status=503),
            ["put", "list", "put", "list"]),
}


@pytest.mark.parametrize("name", AGAIN)
def test_again(place, clouds, name):
    """What fails once for a reason that passes is done in the same plan, and
    nobody is told of a failure."""
    fault, wanted = AGAIN[name]
    clouds.settings(op_delay_ms=200, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK.replace("update 1", "update 9")
                          .replace("cloudflare 1", "cloudflare 9")
                          .replace("bulk 1", "bulk 9"))
    since = settled(daemon, clouds, 2)
    clouds.fault("status", count=1, **fault)
    settled(daemon, clouds, 1)
    assert failures(daemon) == []
    names = [one for one, _ in kinds(clouds, since)]
    assert in_order(names, *wanted), names
    patches = clouds.requests(since, "PATCH")
    assert len({e["query"] for e in patches}) == len(patches)


def test_not_again(place, clouds):
    """Where no repetition is configured, there is none within a plan."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK + "\nretries bgp-update 0"
                          "\nretries cloudflare 0")
    for path, method in ((ROUTER, "PATCH"), (ROUTES, "PUT"), (ROUTES, "GET")):
        settled(daemon, clouds, 2)
        events = len(daemon.events())
        scope = "cloudflare" if path == ROUTES else "compute"
        clouds.fault("status", path, method=method, scope=scope, count=1,
                     status=503)
        set_verdicts(clouds, 1)
        assert "HTTP 503" in failure(daemon, events)["error_message"]
        daemon.wait_state(1, since=events)


def breaker(daemon, what, since=0):
    return daemon.wait_event(
        lambda e: e["event_type"] == "circuit_breaker_event"
        and e["operation"] == what, what=f"breaker {what}", since=since)


# The half of a plan that fails and what is called there; the other half.
HALVES = {
    "gcp_local_advertisement": (
        dict(path=ROUTER, method="PATCH", scope="compute"),
        ("read router", "patch", "poll", "status")),
    "cloudflare": (dict(path=ROUTES, method="PUT"), ("list", "put")),
}


@pytest.mark.parametrize("name", HALVES)
def test_breaker(place, clouds, name):
    """After so many failing plans nothing of that half is called for a while,
    then once; and all is done when it is well again."""
    fault, blocked = HALVES[name]
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK + "\nretries bgp-update 0"
                          "\nretries cloudflare 0"
                          "\nbreaker threshold 2 timeout 2")
    settled(daemon, clouds, 2)
    clouds.fault("status", status=503, **fault)
    events, since = len(daemon.events()), clouds.next_seq()
    set_verdicts(clouds, 1)
    event = breaker(daemon, "opened", events)
    assert event["details"]["service"] == name
    assert event["details"]["failure_count"] == 2
    assert len([e for e in clouds.writes(since)
                if e["method"] == fault["method"]]) == 2
    opened = clouds.next_seq()
    breaker(daemon, "half_open", events)
    names = [one for one, entry in kinds(clouds, opened)
             if entry["t"] < event["timestamp"] + 1.9]
    assert not set(names) & set(blocked), names
    clouds.clear_faults()
    breaker(daemon, "closed", events)
    daemon.wait_state(1, since=events)
    check_desired(clouds, 1)


def test_no_breaker(place, clouds):
    """That all was answered but is not as it should be opens none."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=1_000_000)
    daemon = place.daemon(clouds, "A", QUICK
                          + "\nbreaker threshold 2 timeout 2",
                          match="nobody has this")
    set_verdicts(clouds, 2)
    wait_until(lambda: len(failures(daemon)) >= 4, what="no route matches")
    set_verdicts(clouds, 3)
    wait_until(lambda: len([e for e in failures(daemon)
                            if "been told" in e["error_message"]]) >= 3,
               what="not told")
    assert not daemon.events("circuit_breaker_event")


def test_read_right_before_write(place, clouds):
    """A range that appears after the prober has looked, but before the
    actuator does, stays; and between the reading and the writing of the
    actuator there is nothing."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK)
    since = settled(daemon, clouds, 1)
    theirs = clouds.router("router-a")["bgp"]["advertisedIpRanges"] + [
        {"range": "10.66.0.0/16", "description": "theirs"}]
    clouds.fault("foreign_write", "region-b/backendServices/svc-2/getHealth",
                 patch={"projects": {PROJECT: {"regions": {"region-a": {
                     "routers": {"router-a": {"bgp": {
                         "advertisedIpRanges": theirs}}}}}}}}, count=1)
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3)
    ranges = clouds.router("router-a")["bgp"]["advertisedIpRanges"]
    assert ranges[:len(theirs)] == theirs
    names = [name for name, _ in kinds(clouds, since)]
    assert names[names.index("patch") - 1] == "read router"


def peer_change(world, name, **change):
    """A world in which a peer of router-a is changed."""
    router = (world["projects"][PROJECT]["regions"]["region-a"]["routers"]
              ["router-a"])
    peers = [dict(peer, **(change if peer["name"] == name else {}))
             for peer in router["bgpPeers"]]
    return {"projects": {PROJECT: {"regions": {"region-a": {"routers": {
        "router-a": {"bgpPeers": peers,
                     "bgp": {"advertisedIpRanges": [{"range": X}]}}}}}}}}


CUSTOM = dict(advertiseMode="CUSTOM", advertisedGroups=["ALL_SUBNETS"],
              advertisedIpRanges=[{"range": "192.0.2.64/26",
                                   "description": "their own"}],
              md5AuthenticationKeyName="key-1", futureMember={"a": [1, None]})


def test_named_peer(place, clouds):
    """A peer in CUSTOM mode that is named is written, it alone, and all that
    is not ours of all peers is sent back as it was."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    clouds.patch(peer_change(clouds.world(), "peer-a-2", **CUSTOM))
    named = ("peer-a-2",)
    before = not_ours(clouds.world(), peers=named)
    daemon = place.daemon(clouds, "A", QUICK,
                          block='advertise on peer { "peer-a-2" }')
    for state in (1, 2, 3, 4, 1):
        set_verdicts(clouds, state)
        daemon.wait_state(state, since=len(daemon.events()))
        check_desired(clouds, state, peers=named)
        assert not_ours(clouds.world(), peers=named) == before
    patches = clouds.requests(0, "PATCH")
    assert patches and all(list(e["request"]) == ["bgpPeers"]
                           for e in patches)
    assert not daemon.events("daemon_error")


def test_unnamed_custom_peer(place, clouds):
    """A peer in CUSTOM mode that is not named is an error that is told once,
    and is not written."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    clouds.patch(peer_change(clouds.world(), "peer-a-2", **CUSTOM))
    daemon = place.daemon(clouds, "A", QUICK)
    for state in (1, 3, 2):
        settled(daemon, clouds, state)
    error, = daemon.events("daemon_error")
    assert "peer-a-2" in error["error_message"]
    assert error["details"] == {"router": "router-a", "peer": "peer-a-2"}
    patches = clouds.requests(0, "PATCH")
    assert patches and all(list(e["request"]) == ["bgp"] for e in patches)


def test_missing_named_peer(place, clouds):
    """A named peer that the router does not have: an error, no write."""
    daemon = place.daemon(clouds, "A", QUICK,
                          block='advertise on peer { "peer-z" }')
    set_verdicts(clouds, 3)
    assert "named peers" in failure(daemon)["error_message"]
    daemon.wait_cycles(2)
    assert clouds.writes() == []


def test_passive(place, clouds):
    """In passive mode everything is planned and told, and nothing written."""
    daemon = place.daemon(clouds, "A", QUICK + "\npassive yes")
    for state in (1, 2, 3, 4, 5, 6, 7, 8):
        set_verdicts(clouds, state)
        plan = "done" if state == 1 else "skipped"
        cycle = daemon.wait_state(state, plan=plan,
                                  since=len(daemon.events()))
        assert cycle["details"]["passive_mode"] is True
        assert cycle["result"] == ("success" if state == 1 else "skipped")
    assert clouds.writes() == []
    told = {e["event_type"]: e for e in daemon.events()
            if e["result"] == "skipped"}
    for kind in ("bgp_advertisement_change", "cloudflare_route_update"):
        assert told[kind]["details"]["why"] == "passive"


def extra_routes(clouds, *routes):
    account, = clouds.world()["cloudflare"]["accounts"]
    old = clouds.routes()
    clouds.patch({"cloudflare": {"accounts": {account: {"routes": old + [
        {"id": f"{number:032x}", "prefix": f"10.{number}.0.0/16",
         "nexthop": "10.1.1.1", "created_on": "2025-01-01T00:00:00Z",
         "modified_on": "2025-01-01T00:00:00Z", **route}
        for number, route in enumerate(routes, 1)]}}}})


OURS = [{"description": "also mt-gcpd A primary, and more", "priority": 100,
         "weight": 7},
        {"description": "mt-gcpd A primary", "priority": 200},
        {"description": "mt-gcpd A primary ", "priority": 17,
         "scope": {"colo_names": ["den01"]}}]
THEIRS = [{"description": "MT-GCPD A PRIMARY", "priority": 100},
          {"description": "mt-gcpd A", "priority": 100},
          {"description": None, "priority": 100}, {"priority": 100}]


@pytest.mark.parametrize("mode", ["ok", "partial", "not_modified"])
def test_routes(place, clouds, mode):
    """Every route whose description has the text, case and all, gets the
    priority, those that have it already are left alone, and what was not
    taken the first time is sent again."""
    extra_routes(clouds, *OURS, *THEIRS)
    before = clouds.routes()
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK + "\nlog level debug")
    daemon.wait_state(1)
    first, = clouds.requests(0, "PUT")
    assert [r["id"][-1] for r in first["request"]["routes"]] == ["2", "3"]
    clouds.settings(cf_mode=mode)
    set_verdicts(clouds, 2)
    if mode == "not_modified":
        failure(daemon)
        assert clouds.requests(0, "PATCH") == []
        clouds.settings(cf_mode="ok")
    daemon.wait_state(2)
    ours = [before[0]["id"]] + [f"{number:032x}" for number in (1, 2, 3)]
    for old, new in zip(before, clouds.routes(), strict=True):
        if new["id"] in ours:
            assert new["priority"] == 200
        else:
            assert new == old
        for member in ("priority", "modified_on"):
            old.pop(member, None)
            new.pop(member, None)
        assert new == old


@pytest.mark.parametrize("match", [
    'mt-gcpd A primary" priority 100 failed 200 expect 2 #',
    "nobody has this"], ids=["expect", "no-match"])
def test_routes_that_are_not_written(place, clouds, match):
    """Not as many routes as expected, or none at all: an error, no write, and
    no withdrawal either."""
    daemon = place.daemon(clouds, "A", QUICK, match=match)
    set_verdicts(clouds, 2)
    event = failure(daemon)
    assert event["event_type"] == "cloudflare_route_update"
    daemon.wait_cycles(2)
    assert clouds.writes() == []
    log = (daemon.directory / "log").read_text()
    assert event["error_message"] in log


def remote_announces(clouds, *prefixes):
    clouds.patch({"projects": {PROJECT: {"regions": {"region-b": {"routers": {
        "router-b": {"bgp": {"advertisedIpRanges": [
            {"range": one} for one in prefixes]}}}}}}}})


def test_handover_takeover(place, clouds):
    """State 2 is acted on once the other side announces our primary."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK.replace("handover no",
                                                     "handover wait 3600"))
    daemon.wait_state(1)
    set_verdicts(clouds, 2)
    daemon.wait_state(2, plan="waiting")
    daemon.wait_cycles(5)
    assert clouds.writes() == []
    assert daemon.cycles()[-1]["details"]["plan"]["status"] == "waiting"
    assert daemon.cycles()[-1]["details"]["remote_announces"] == {
        "primary": False, "secondary": True}
    remote_announces(clouds, X, Y)
    daemon.wait_state(2)
    check_desired(clouds, 2)
    assert not daemon.events("handover_stuck")


def test_handover_stuck(place, clouds):
    """It is acted on without the other side after a while, with an error."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK.replace("handover no",
                                                     "handover wait 1"))
    daemon.wait_state(1)
    set_verdicts(clouds, 2)
    daemon.wait_state(2)
    check_desired(clouds, 2)
    stuck, = daemon.events("handover_stuck")
    assert stuck["result"] == "failure" and X in stuck["error_message"]
    decided, = [e for e in daemon.events("state_transition")
                if e["details"]["new_state"] == 2]
    assert stuck["timestamp"] - decided["timestamp"] >= 0.99
    assert clouds.writes()[0]["t"] >= stuck["timestamp"] - 0.1


def test_handover_secondary(place, clouds):
    """The secondary prefix is let go only after the other side has announced
    it for a while, without interruption; whatever else there is to do is done
    meanwhile."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    remote_announces(clouds)
    daemon = place.daemon(clouds, "A", QUICK.replace("handover no",
                                                     "handover wait 2"))
    settled(daemon, clouds, 3)
    set_verdicts(clouds, 1)
    daemon.wait_state(1)
    skipped = [e for e in daemon.events("bgp_advertisement_change")
               if e["result"] == "skipped"]
    assert len(skipped) == 1 and skipped[0]["details"]["prefix"] == Y
    assert "handover" in skipped[0]["details"]["why"]

    def announced(value):
        return daemon.wait_event(
            lambda e: e["event_type"] == "health_check_cycle"
            and e["details"]["remote_announces"]["secondary"] is value,
            since=len(daemon.events()))

    # Announced, interrupted, and announced again.
    remote_announces(clouds, Y)
    announced(True)
    remote_announces(clouds)
    announced(False)
    daemon.wait_cycles(25)
    assert Y in clouds.ranges("router-a")
    remote_announces(clouds, Y)
    first = announced(True)
    wait_until(lambda: Y not in clouds.ranges("router-a"), 10, "withdrawn")
    patch = clouds.requests(0, "PATCH")[-1]
    assert patch["t"] - first["timestamp"] >= 1.9
    daemon.wait_state(1, since=len(daemon.events()))
    check_desired(clouds, 1)


def test_newer_decision(place, clouds):
    """A newer decision replaces what an older one has not begun: sick and well
    again while draining, the withdrawal is not made."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK.replace("drain 0", "drain 60"))
    settled(daemon, clouds, 1)
    set_verdicts(clouds, 2)
    wait_until(lambda: clouds.priority("mt-gcpd A primary") == 200,
               what="steered away")
    daemon.wait_state(2, plan="running")
    settled(daemon, clouds, 1)
    assert clouds.requests(0, "PATCH") == []
    assert len(clouds.requests(0, "PUT")) == 2


def test_unknown_pauses(place, clouds):
    """Half-done work waits while nothing is known: the withdrawal comes only
    when it is known again."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(
        clouds, "A", QUICK.replace("drain 0", "drain 2")
        + "\nhealth unknown-after 0.3\nretries health 0"
        + "\nretries bgp-check 0")
    settled(daemon, clouds, 1)
    set_verdicts(clouds, 2)
    wait_until(lambda: clouds.priority("mt-gcpd A primary") == 200,
               what="steered away")
    clouds.fault("status", "/compute/", status=503, scope="compute.readonly")
    daemon.wait_event(lambda e: e["event_type"] == "health_check_cycle"
                      and e["details"]["state_code"] == 0
                      and e["details"]["plan"]["status"] == "waiting")
    daemon.wait_cycles(25)
    assert clouds.requests(0, "PATCH") == []
    clouds.clear_faults()
    settled(daemon, clouds, 2)
