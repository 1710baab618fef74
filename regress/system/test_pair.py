# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Two daemons, mirror images of each other: through an outage and the recovery
of either side no prefix is ever steered to a site that does not announce it;
and that this is so because they wait for each other."""

import pytest

from checks import check_desired
from harness import SIDES, X, Y, wait_until

PAIR = """interval 0.2
health window 3 up 2 down 2
handover wait 1
drain 1
timeout bgp-update 10"""

OTHER = {"A": "B", "B": "A"}
LOCAL = {side: what["local"] for side, what in SIDES.items()}
ROUTER = {side: what["local_router"] for side, what in SIDES.items()}


class Pair:
    def __init__(self, place, clouds, top):
        self.clouds = clouds
        self.daemons = {side: place.daemon(clouds, side, top)
                        for side in "AB"}
        self.reach({"A": 1, "B": 1})

    def done(self, states):
        for side, state in states.items():
            self.daemons[side].check()
            cycles = self.daemons[side].cycles()
            details = cycles[-1]["details"] if cycles else None
            if details is None or details["state_code"] != state or \
                    details["current_state"] != state or \
                    details["plan"]["status"] != "done":
                return False
        try:
            for side, state in states.items():
                check_desired(self.clouds, state, side)
        except AssertionError:
            return False
        return True

    def reach(self, states, timeout=30):
        wait_until(lambda: self.done(states), timeout, f"states {states}")

    def holes(self):
        return self.clouds.clockwork()["holes"]


@pytest.mark.parametrize("side", "AB")
def test_outage_and_recovery(place, clouds, side):
    other = OTHER[side]
    pair = Pair(place, clouds, PAIR)
    clouds.health(LOCAL[side], "UNHEALTHY")
    pair.reach({side: 2, other: 3})
    assert set(clouds.ranges(ROUTER[other])) >= {X, Y}
    clouds.health(LOCAL[side], "HEALTHY")
    pair.reach({side: 1, other: 1})
    assert pair.holes() == []
    assert not pair.daemons[side].events("handover_stuck")


@pytest.mark.parametrize("side", "AB")
def test_region_lost(place, clouds, side):
    """A region and its sessions are lost and come back: the only hole is the
    one that the loss itself tears, and it is closed."""
    other = OTHER[side]
    pair = Pair(place, clouds, PAIR)
    clouds.health(LOCAL[side], "UNHEALTHY")
    clouds.bgp(ROUTER[side], "DOWN")
    pair.reach({side: 2, other: 7})
    hole, = pair.holes()
    assert hole["cause"] == "bgp" and hole["site"] == side
    assert hole["to"] is not None
    clouds.bgp(ROUTER[side], "UP")
    clouds.health(LOCAL[side], "HEALTHY")
    pair.reach({side: 1, other: 1})
    assert len(pair.holes()) == 1


def test_only_sessions_lost(place, clouds):
    """The sessions of a site go although its region is well: with them in the
    local verdict, the other side takes over."""
    pair = Pair(place, clouds, PAIR)
    clouds.bgp("router-a", "DOWN")
    pair.reach({"A": 2, "B": 6})
    clouds.bgp("router-a", "UP")
    pair.reach({"A": 1, "B": 1})
    assert [hole["cause"] for hole in pair.holes()] == ["bgp"]


def test_recovery_while_draining(place, clouds):
    """A region that recovers before its prefix is withdrawn has announced it
    all the time; the other side must not let go of it all the same before the
    traffic is steered back, which takes a while here."""
    pair = Pair(place, clouds, PAIR.replace("drain 1", "drain 60")
                .replace("wait 1", "wait 4"))
    clouds.health("region-a", "UNHEALTHY")
    wait_until(lambda: clouds.priority("mt-gcpd A primary") == 200,
               what="steered away")
    # Long enough for the other side to have seen it announced.
    pair.daemons["B"].wait_cycles(25)
    clouds.fault("delay", "/magic/routes", delay_ms=1500)
    clouds.health("region-a", "HEALTHY")
    pair.reach({"A": 1, "B": 1})
    assert pair.holes() == []


# The other side's router is slow: its operations and what its peers are told
# take their time, as they do in the great clouds.
SLOW = dict(action="op", path="routers/router-b[?]", method="PATCH",
            op_delay_ms=1500)


@pytest.mark.parametrize("handover", ["wait 5", "no"])
def test_handover_closes_a_hole(place, clouds, handover):
    """The same outage with and without: only waiting for the other side closes
    the hole that its slowness tears."""
    waits = handover != "no"
    clouds.settings(advert_lag_ms=500)
    clouds.fault(**SLOW)
    pair = Pair(place, clouds, PAIR.replace("wait 1", handover)
                if waits else PAIR.replace("wait 1", handover)
                .replace("drain 1", "drain 0"))
    clouds.health("region-a", "UNHEALTHY")
    pair.reach({"A": 2, "B": 3})
    holes = pair.holes()
    assert all(hole["to"] for hole in holes)
    if waits:
        assert holes == []
    else:
        hole, = holes
        assert hole["prefix"] == X and hole["site"] == "B"
        assert hole["cause"] == "steer"


@pytest.mark.parametrize("handover", ["wait 3", "no"])
def test_handover_closes_a_hole_on_return(place, clouds, handover):
    """The way back: the side that took over lets go only when the other one is
    seen to announce it again."""
    waits = handover != "no"
    pair = Pair(place, clouds, PAIR.replace("wait 1", handover))
    clouds.health("region-a", "UNHEALTHY")
    pair.reach({"A": 2, "B": 3})
    if not waits:
        assert {hole["cause"] for hole in pair.holes()} <= {"steer"}
        clouds.call("DELETE", "/clockwork")
    assert pair.holes() == []
    clouds.settings(advert_lag_ms=500)
    clouds.fault(action="op", path="routers/router-a[?]", method="PATCH",
                 op_delay_ms=1500)
    clouds.health("region-a", "HEALTHY")
    pair.reach({"A": 1, "B": 1})
    if waits:
        assert pair.holes() == []
    else:
        assert pair.holes()[0]["prefix"] == X
        assert pair.holes()[0]["cause"] == "withdraw"
