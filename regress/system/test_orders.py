# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What an administrator has ordered, the brake, and all else that outlives a
restart: hold and force with and without an end, contested objects, ages and
transitions."""

import remembered
from checks import check_desired, set_verdicts
from harness import ACCOUNT, PROJECT, SIDES, X, Y, wait_until

QUICK = """interval 0.1
handover no
drain 0
timeout api 1
timeout health 1"""

READS = "compute.readonly"


def cycle(daemon, condition, what, since=0):
    """The first cycle after the since'th event with such details."""
    return daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and condition(e["details"]), 20, what, since)


def in_state(daemon, state, since=0):
    """The first cycle in the state, whatever its plan."""
    return daemon.wait_state(state, plan=None, since=since)


def moves(daemon, since=0):
    return [(e["details"]["old_state"], e["details"]["new_state"])
            for e in daemon.events()[since:]
            if e["event_type"] == "state_transition"]


def again(daemon):
    """End the daemon as a crash would, and start it; the number of events
    until then."""
    daemon.process.kill()
    daemon.process.wait(5)
    daemon.errors.close()
    since = len(daemon.events())
    daemon.start()
    return since


def saved(daemon, condition, what):
    return wait_until(lambda: condition(remembered.read_failover(daemon)),
                      5, what)


def test_hold(place, clouds):
    """Under a hold transitions are computed, told and remembered, but not
    acted on, and they do not count for the brake."""
    remembered.write(place, remembered.failover(
        since=1000, hold=remembered.order(reason="maintenance")))
    clouds.health("region-a", "UNHEALTHY")
    daemon = place.daemon(clouds, "A", QUICK + "\nbrake 3 per 600")
    found = in_state(daemon, 2)
    assert found["details"]["held"] is True
    assert found["result"] == "skipped"
    assert found["details"]["plan"]["status"] == "waiting"
    assert found["details"]["planned_actions"] == {
        "advertise_primary": False, "advertise_secondary": False,
        "cloudflare_priority": 200}
    daemon.wait_cycles(3)
    for state in (3, 6):
        set_verdicts(clouds, state)
        assert in_state(daemon, state)["result"] == "skipped"
    assert moves(daemon) == [(1, 2), (2, 3), (3, 6)]
    assert all(e["details"]["held"] for e in daemon.cycles())
    saved(daemon, lambda one: one["state"] == 6 and one["moves"] == [],
          "no moves that count")
    since = again(daemon)
    assert in_state(daemon, 6, since)["details"]["held"] is True
    assert remembered.read_failover(daemon)["hold"] == {
        "until": 0, "reason": "maintenance"}
    assert moves(daemon, since) == []
    assert clouds.writes() == []


def test_hold_ends(place, clouds):
    """When the time of a hold is over what it held back is done, without
    anybody's help."""
    remembered.write(place, remembered.failover(hold=remembered.order(1.5)))
    clouds.health("region-a", "UNHEALTHY")
    daemon = place.daemon(clouds, "A", QUICK)
    assert in_state(daemon, 2)["details"]["held"] is True
    assert clouds.writes() == []
    end = remembered.read_failover(daemon)["hold"]["until"] / 1000
    found = daemon.wait_state(2)
    assert found["details"]["held"] is False
    assert found["timestamp"] >= end
    assert all(entry["t"] >= end for entry in clouds.writes())
    check_desired(clouds, 2)
    saved(daemon, lambda one: one["hold"] is None, "no hold")
    assert moves(daemon) == [(1, 2)]


def router(clouds, ours, name="router-a", region="region-a"):
    """A change of the world: the ranges of a router, X and Y aside, and those
    of ours."""
    bgp = clouds.router(name)["bgp"]
    ranges = [one for one in bgp["advertisedIpRanges"]
              if one["range"] not in (X, Y)]
    ranges += [{"range": prefix} for prefix in ours]
    return {"projects": {PROJECT: {"regions": {region: {
        "routers": {name: {"bgp": {"advertisedIpRanges": ranges}}}}}}}}


def test_force(place, clouds):
    """A forced state is acted as while nothing at all is known, and while the
    hand-over rules would have it wait."""
    clouds.fault("status", "/compute/", scope=READS, status=503)
    top = QUICK.replace("handover no", "handover wait 60")
    top += "\nretries health 0\nretries bgp-check 0"
    daemon = None
    for state in (3, 1, 2, 4, 7):
        # State 2 would wait for the other side, whose health is not known.
        remembered.write(place, remembered.forced(state, state=2))
        events = since = 0
        if daemon is None:
            daemon = place.daemon(clouds, "A", top)
        else:
            events, since = len(daemon.events()), clouds.next_seq()
            daemon.start()
        found = cycle(daemon, lambda d: d["plan"]["status"] == "done",
                      f"forced to {state}", events)
        assert found["details"]["state_code"] == 0
        assert found["details"]["current_state"] == 2
        assert set(found["details"]["samples"].values()) == {None}
        check_desired(clouds, state)
        assert len(clouds.writes(since)) == (2 if state in (2, 7) else 1)
        daemon.process.kill()
        daemon.process.wait(5)
        daemon.errors.close()
    assert moves(daemon) == []


def test_force_ends(place, clouds):
    """The machine goes on computing under a force, over a restart too; when
    the time of the force is over what was computed is acted on."""
    remembered.write(place, remembered.forced(4, 4))
    clouds.health("region-b", "UNHEALTHY")
    daemon = place.daemon(clouds, "A", QUICK + "\nbrake 3 per 600")
    daemon.wait_state(3)
    check_desired(clouds, 4)
    since, events = clouds.next_seq(), again(daemon)
    daemon.wait_state(3, since=events)
    set_verdicts(clouds, 6)
    in_state(daemon, 6, events)
    assert moves(daemon) == [(1, 3), (3, 6)]
    assert clouds.writes(since) == []
    check_desired(clouds, 4)
    end = remembered.read_failover(daemon)["force"]["until"] / 1000
    wait_until(lambda: clouds.writes(since), what="the end")
    daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["timestamp"] > end and e["details"]["plan"]["status"] == "done")
    assert all(entry["t"] >= end for entry in clouds.writes(since))
    check_desired(clouds, 6)
    saved(daemon, lambda one: one["force"] is None and one["moves"] == [],
          "no force")
    assert moves(daemon) == [(1, 3), (3, 6)]


def test_precedence(place, clouds):
    """Passive is stronger than force, and force is stronger than hold."""
    remembered.write(place, remembered.forced(2, hold=remembered.order()))
    daemon = place.daemon(clouds, "A", QUICK, "passive yes")
    found = cycle(daemon, lambda d: d["plan"]["status"] == "skipped",
                  "a plan that is not carried out")
    assert found["result"] == "skipped"
    assert found["details"]["passive_mode"] is True
    assert found["details"]["planned_actions"]["cloudflare_priority"] == 200
    assert clouds.writes() == []
    assert daemon.stop() == 0
    text = daemon.conf.read_text()
    daemon.conf.write_text(text.replace("passive yes", "passive no"))
    events = len(daemon.events())
    daemon.start()
    found = daemon.wait_state(1, since=events)
    assert found["details"]["held"] is True
    assert found["result"] == "success"
    check_desired(clouds, 2)


def braked(daemon, events):
    """The brake keeps the daemon from entering state 1."""
    return cycle(daemon, lambda d: d["state_code"] == 1 and d["pending"]
                 and d["pending"]["waits_for"] == "acknowledgement", "the brake", events)


def test_brake_is_kept(place, clouds):
    """A brake that has latched before a restart keeps the daemon from state 1,
    but from no other."""
    remembered.write(place, remembered.failover(
        state=3, braked=True,
        moves=[remembered.now_ms() - 1000 * n for n in (9, 8, 7, 6)]))
    daemon = place.daemon(clouds, "A", QUICK + "\nbrake 3 per 600")
    found = braked(daemon, 0)
    assert found["details"]["current_state"] == 3
    assert found["details"]["pending"]["candidate"] == 1
    for state in (2, 3):
        events = len(daemon.events())
        set_verdicts(clouds, state)
        daemon.wait_state(state, since=events)
        check_desired(clouds, state)
    events = len(daemon.events())
    set_verdicts(clouds, 1)
    braked(daemon, events)
    daemon.wait_cycles(3)
    assert moves(daemon) == [(3, 2), (2, 3)]
    check_desired(clouds, 3)
    assert daemon.events("brake_latched") == []


def test_brake_latches(place, clouds):
    """One transition more than allowed, and state 1 is not entered again;
    that is told once, and outlives the daemon."""
    daemon = place.daemon(clouds, "A", QUICK + "\nbrake 3 per 600")
    for state in (1, 3, 1, 3):
        assert daemon.events("brake_latched") == []
        events = len(daemon.events())
        set_verdicts(clouds, state)
        daemon.wait_state(state, since=events)
    # That was the third that counts: the first state is entered from none.
    set_verdicts(clouds, 1)
    daemon.wait_state(1, since=len(daemon.events()))
    latched, = daemon.events("brake_latched")
    assert latched["result"] == "failure" and latched["error_message"]
    assert latched["details"]["count"] == 4
    assert latched["details"]["current_state"] == 1
    for state in (2, 3):
        events = len(daemon.events())
        set_verdicts(clouds, state)
        daemon.wait_state(state, since=events)
        check_desired(clouds, state)
    for events in (len(daemon.events()), None):
        if events is None:
            events = again(daemon)
        set_verdicts(clouds, 1)
        braked(daemon, events)
        daemon.wait_cycles(2)
        assert daemon.cycles()[-1]["details"]["current_state"] == 3
    assert len(daemon.events("brake_latched")) == 1
    assert moves(daemon) == [(0, 1), (1, 3), (3, 1), (1, 3), (3, 1), (1, 2),
                             (2, 3)]
    check_desired(clouds, 3)


def test_contested_is_kept(place, clouds):
    """What was contested before a restart is left alone after it, until the
    next transition; the age of the state is as it was."""
    remembered.write(place, remembered.failover(
        since=1000, drift={"primary": remembered.contested(90, 60, 30),
                           "routes": remembered.contested(300, 200, 100)}))
    clouds.patch(router(clouds, [Y]))
    routes = clouds.routes()
    for route in routes:
        if SIDES["A"]["match"] in (route["description"] or ""):
            route["priority"] = 175
    clouds.patch({"cloudflare": {"accounts": {ACCOUNT: {"routes": routes}}}})
    daemon = place.daemon(clouds, "A", QUICK)
    for events in (0, None):
        if events is None:
            events = again(daemon)
        found = daemon.wait_state(1, since=events)
        assert 1000 <= found["details"]["time_in_state_seconds"] < 1060
        daemon.wait_cycles(3)
        # Of what is not contested the clouds are as they should be.
        assert X not in clouds.ranges("router-a")
        assert Y not in clouds.ranges("router-a")
        assert clouds.priority(SIDES["A"]["match"]) == 175
    drift = remembered.read_failover(daemon)["drift"]
    assert drift["primary"]["contested"] and drift["routes"]["contested"]
    set_verdicts(clouds, 3)
    daemon.wait_state(3)
    check_desired(clouds, 3)
    saved(daemon, lambda one: one["drift"] == {}, "nothing contested")


def test_history(place, clouds):
    """As many transitions as can be remembered are; then the oldest go."""
    old = [[1000 + n, "A", n % 2 + 1, 2 - n % 2, 1, 1, 1]
           for n in range(remembered.HISTORY_MAX)]
    remembered.write(place, remembered.failover(state=3), history=old)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3)
    assert daemon.stop() == 0
    kept = remembered.read(daemon)["history"]
    assert kept[:-2] == old[2:]
    there, back = daemon.events("state_transition")
    for entry, event in zip(kept[-2:], (there, back)):
        assert abs(entry[0] / 1000 - event["timestamp"]) < 0.1
    assert [entry[1:4] for entry in kept[-2:]] == [["A", 3, 1], ["A", 1, 3]]
