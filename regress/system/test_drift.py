# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What somebody else changes of ours is repaired, and told; but not for ever,
and nothing is repaired of which not enough is known."""

import copy
import time

import pytest

import checks
import harness
import remembered
from checks import check_desired, not_ours, set_verdicts
from harness import ACCOUNT, PROJECT, SIDES, X, Y, wait_until

QUICK = """interval 0.1
handover no
drain 0
timeout api 1
timeout health 1"""

MATCH = SIDES["A"]["match"]
LISTS = "/magic/routes"
LOOK = 60  # seconds between two looks at the routes, at least


def advertise(clouds, *ours, name="router-a", region="region-a"):
    """Somebody else writes a router: of X and Y it has just these."""
    ranges = [one for one in clouds.router(name)["bgp"]["advertisedIpRanges"]
              if one["range"] not in (X, Y)]
    ranges += [{"range": prefix} for prefix in ours]
    clouds.patch({"projects": {PROJECT: {"regions": {region: {"routers": {
        name: {"bgp": {"advertisedIpRanges": ranges}}}}}}}})


def prioritize(clouds, match, priority, account=ACCOUNT):
    """Somebody else writes the route with that description."""
    routes = clouds.world()["cloudflare"]["accounts"][account]["routes"]
    for route in routes:
        if match in (route.get("description") or ""):
            route["priority"] = priority
    clouds.patch({"cloudflare": {"accounts": {account: {"routes": routes}}}})


def repair(daemon, since, **details):
    """The repair of an object after the since'th event."""
    return daemon.wait_event(
        lambda e: e["event_type"] == "drift_repaired"
        and e["details"]["object"] == details["object"], since=since,
        what=f"repair of {details['object']}")


def settle(daemon):
    """Let a plan that runs end."""
    daemon.wait_state(1, since=len(daemon.events()))


def test_contested(place, clouds):
    """What goes on being changed is repaired twice more, and then left alone;
    not so what else is ours.  A transition makes it ours again."""
    clouds.settings(op_delay_ms=0, advert_lag_ms=0)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    untouched = not_ours(clouds.world())
    for repairs in (1, 2, 3):
        assert daemon.events("contested") == []
        events, since = len(daemon.events()), clouds.next_seq()
        advertise(clouds)
        found = repair(daemon, events, object=X)
        assert found["result"] == "success"
        assert found["details"] == dict(object=X, found="withdrawn",
                                        wanted="advertised", repairs=repairs)
        settle(daemon)
        assert len(clouds.writes(since)) == 1
        check_desired(clouds, 1)
    contested, = daemon.events("contested")
    assert contested["result"] == "failure" and contested["error_message"]
    assert contested["details"]["object"] == X
    assert contested["details"]["repairs"] == 3

    events, since = len(daemon.events()), clouds.next_seq()
    advertise(clouds)
    daemon.wait_cycles(5)
    assert clouds.writes(since) == []
    advertise(clouds, Y)
    found = repair(daemon, events, object=Y)
    assert found["details"] == dict(object=Y, found="advertised",
                                    wanted="withdrawn", repairs=1)
    settle(daemon)
    daemon.wait_cycles(3)
    assert X not in clouds.ranges("router-a")
    assert Y not in clouds.ranges("router-a")
    assert len(clouds.writes(since)) == 1
    assert len(daemon.events("drift_repaired")) == 4
    assert not_ours(clouds.world()) == untouched

    set_verdicts(clouds, 3)
    daemon.wait_state(3)
    check_desired(clouds, 3)
    set_verdicts(clouds, 1)
    settle(daemon)
    # What is decided is no drift; and the repairs are counted anew.
    assert len(daemon.events("drift_repaired")) == 4
    events = len(daemon.events())
    advertise(clouds)
    assert repair(daemon, events, object=X)["details"]["repairs"] == 1
    assert len(daemon.events("contested")) == 1


def test_both_at_once(place, clouds):
    """Both prefixes are repaired with one write."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    untouched = not_ours(clouds.world())
    events, since = len(daemon.events()), clouds.next_seq()
    advertise(clouds, Y)
    repair(daemon, events, object=X)
    repair(daemon, events, object=Y)
    settle(daemon)
    check_desired(clouds, 1)
    assert len(clouds.writes(since)) == 1
    assert not_ours(clouds.world()) == untouched
    changes = [e for e in daemon.events("bgp_advertisement_change")
               if e["result"] == "success"]
    assert {e["operation"] for e in changes} == {"advertise_prefix",
                                                 "withdraw_prefix"}


def test_passive(place, clouds):
    """In passive mode drift is shown, and stays."""
    daemon = place.daemon(clouds, "A", QUICK, "passive yes")
    daemon.wait_state(1)
    assert daemon.cycles()[-1]["result"] == "success"
    events = len(daemon.events())
    advertise(clouds)
    found = daemon.wait_event(
        lambda e: e["event_type"] == "bgp_advertisement_change"
        and e["result"] == "skipped", since=events)
    assert found["operation"] == "advertise_prefix"
    assert found["details"]["prefix"] == X
    assert found["details"]["why"] == "passive"
    cycle = daemon.wait_state(1, plan="skipped", since=events)
    assert cycle["result"] == "skipped"
    daemon.wait_cycles(3)
    assert clouds.writes() == []
    assert X not in clouds.ranges("router-a")
    assert daemon.events("drift_repaired") == []


def test_not_known(place, clouds):
    """While state 0 is read drift is not repaired, however plain it is."""
    clouds.fault("status", "region-b/backendServices", status=503)
    remembered.write(place, remembered.failover())
    advertise(clouds, Y)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_event(lambda e: e["event_type"] == "health_check_cycle"
                      and e["details"]["samples"]["local_healthy"])
    daemon.wait_cycles(3)
    assert {e["details"]["state_code"] for e in daemon.cycles()} == {0}
    assert clouds.writes() == []
    clouds.clear_faults()
    settle(daemon)
    check_desired(clouds, 1)


# The routes are looked at once a minute: meanwhile there are other tests.

MORE = {"two": ("192.0.2.0/26", "192.0.2.64/26"),
        "three": ("192.0.2.128/26", "192.0.2.192/26")}
BROKEN = "f" * 32


def block(name):
    primary, secondary = MORE[name]
    return f"""failover "{name}" {{
    project "{PROJECT}"
    local region "region-a"
    remote region "region-b"
    local router "router-a"
    remote router "router-b"
    primary prefix {primary}
    secondary prefix {secondary}
    cloudflare routes matching "route of {name}"
}}"""


def more_routes(clouds):
    """Routes for the other failovers of the account, and another account."""
    routes = clouds.routes()
    first = next(one for one in routes
                 if MATCH in (one.get("description") or ""))
    for number, name in enumerate(MORE):
        route = copy.deepcopy(first)
        route.update(id=str(number) * 32, prefix=MORE[name][0],
                     description=f"route of {name}")
        routes.append(route)
    other = [dict(one, priority=100) for one in clouds.routes()
             if SIDES["B"]["match"] in (one.get("description") or "")]
    clouds.patch({"cloudflare": {"accounts": {
        ACCOUNT: {"routes": routes}, BROKEN: {"routes": other}}}})


class Looking:
    """Daemons that have looked at their routes, and will again: one with three
    failovers of an account, one on its own on another account."""

    TOP = QUICK.replace("interval 0.1", "interval 1")

    def __init__(self, place):
        self.clouds = clouds = place.clouds()
        more_routes(clouds)
        remembered.write(place, remembered.failover(
            drift={"routes": remembered.repaired(500, 100)}))
        self.many = place.daemon(
            clouds, "A", "\n".join([self.TOP, block("two"), block("three")]))
        self.alone = place.daemon(
            clouds, "B", self.TOP + "\nbreaker threshold 2 timeout 300\n"
            "retries cloudflare 0",
            f'cloudflare account "{BROKEN}" token file '
            f'"{clouds.directory / "cloudflare.token"}"')
        self.began = time.time()

    def ready(self):
        """All plans of the start have ended, a minute ago or less."""
        for name in ("A", "two", "three"):
            self.many.wait_event(
                lambda e: e["event_type"] == "health_check_cycle"
                and e["failover"] == name
                and e["details"]["plan"]["status"] == "done")
        self.alone.wait_state(1)
        self.since = self.clouds.next_seq()
        self.events = len(self.many.events())


@pytest.fixture(scope="module", autouse=True)
def looking():
    workplace = harness.Workplace()
    found = Looking(workplace)
    found.ready()
    prioritize(found.clouds, MATCH, 175)
    prioritize(found.clouds, "route of two", 175)
    found.clouds.fault("status", f"{BROKEN}{LISTS}", status=503)
    yield found
    try:
        checks.check_journal(found.clouds.journal())
    finally:
        workplace.close()


def of(daemon, failover, event_type):
    return [e for e in daemon.events(event_type) if e["failover"] == failover]


def test_looks(looking):
    """The routes are looked at once a minute, with as few lists as will do for
    all failovers of the account, and nothing else is looked at with them; a
    third repair of them makes them contested, of this failover only."""
    clouds, daemon = looking.clouds, looking.many
    wait_until(lambda: len(daemon.events("drift_repaired")) >= 2, LOOK + 20,
               "two repairs")
    wait_until(lambda: daemon.events("contested"), what="contested")
    # What is called soon after the start is to test the connectivity.
    entries = [e for e in clouds.journal(looking.since)
               if e.get("scope") in ("cloudflare", "compute")
               and e["t"] >= looking.began + LOOK / 2
               and BROKEN not in e["path"] and "router-b" not in e["path"]]
    lists = [e for e in entries if e["method"] == "GET" and LISTS in e["path"]]
    puts = [e for e in entries if e["method"] == "PUT"]
    assert min(e["t"] for e in entries) >= looking.began + LOOK - 1
    assert 2 <= len(lists) <= 4
    # To change the routes does not take a look at the router, nor a write.
    last = puts[-1]["t"]
    assert all(LISTS in e["path"] for e in entries if e["t"] <= last)
    assert clouds.requests(looking.since, "PATCH") == []
    changed = [route["id"] for e in puts for route in e["request"]["routes"]]
    assert len(changed) == 2 and "1" * 32 not in changed
    assert clouds.priority(MATCH) == 100
    assert clouds.priority("route of two") == 100
    for name, repairs in (("A", 3), ("two", 1)):
        found, = of(daemon, name, "drift_repaired")
        assert found["details"]["object"] == "cloudflare routes"
        assert found["details"]["wanted"] == "priority 100"
        assert found["details"]["repairs"] == repairs
    assert of(daemon, "three", "drift_repaired") == []
    contested, = daemon.events("contested")
    assert contested["failover"] == "A"
    assert contested["details"]["object"] == "cloudflare routes"


def test_look_fails(looking):
    """A look at the routes that fails does not keep what has drifted on the
    router from being repaired."""
    clouds, daemon = looking.clouds, looking.alone
    opened = daemon.wait_event(
        lambda e: e["event_type"] == "circuit_breaker_event"
        and e["operation"] == "opened", LOOK + 20)
    assert opened["details"]["service"] == "cloudflare"
    for repairs in (1, 2):
        events = len(daemon.events())
        advertise(clouds, name="router-b", region="region-b")
        found = repair(daemon, events, object=Y)
        assert found["details"]["repairs"] == repairs
        assert Y in clouds.ranges("router-b")
