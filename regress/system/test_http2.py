# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The clouds over HTTP/2, as the real ones are reached."""

import shutil

import pytest

from checks import check_desired, set_verdicts
from harness import PROJECT, wait_until
from proxy import Proxy

pytestmark = pytest.mark.skipif(
    shutil.which("nghttpx") is None,
    reason="HTTP/2 IS NOT TESTED: there is no nghttpx")

QUICK = """interval 0.2
handover no
drain 0"""


@pytest.fixture
def proxy(place, clouds):
    proxy = Proxy(clouds)
    place.started.append(proxy)
    return proxy


def start(place, clouds, proxy):
    return place.daemon(
        clouds, "A", f"""{QUICK}
endpoint compute "https://compute.sim.test:{proxy.port}/compute/v1"
endpoint cloudflare "https://api.sim.test:{proxy.port}/client/v4\"""")



def test_failover(place, clouds, proxy):
    """There and back; nothing goes past the proxy but requests for tokens."""
    daemon = start(place, clouds, proxy)
    for state in (1, 2, 1):
        since = len(daemon.events())
        set_verdicts(clouds, state)
        daemon.wait_state(state, since=since)
        check_desired(clouds, state)
    assert {e["result"] for e in daemon.cycles()} == {"success"}
    assert daemon.stop() == 0


def test_large_answers(place, clouds, proxy):
    """Lists of hundreds of services, and the health of all of them at once,
    over few connections: every answer comes whole and in time."""
    for region in ("region-a", "region-b"):
        services = clouds.world()["projects"][PROJECT]["regions"][region][
            "services"]
        clouds.patch({"projects": {PROJECT: {"regions": {region: {"services": {
            f"svc-{n:03d}-{'x' * 40}": dict(services["svc-1"],
                                            name=f"svc-{n:03d}-{'x' * 40}")
            for n in range(300)}}}}}})
    daemon = start(place, clouds, proxy)
    daemon.wait_state(1, timeout=60)
    since = len(daemon.cycles())
    wait_until(lambda: len(daemon.cycles()) >= since + 15, 60, "15 cycles")
    assert {e["result"] for e in daemon.cycles()} == {"success"}
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2, timeout=60)
    check_desired(clouds, 2)
