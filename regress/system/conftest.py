# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

import pytest

import checks
import harness


@pytest.fixture
def place():
    """A workplace of the test's own, cleared away afterwards.  Whatever the
    test was about, its clouds must have seen nothing but what mt-gcpd may
    send."""
    workplace = harness.Workplace()
    workplace.watched = []
    yield workplace
    try:
        for one in workplace.watched + workplace.started:
            if isinstance(one, harness.Clouds) and one.process.poll() is None:
                checks.check_journal(one.journal())
    finally:
        workplace.close()


@pytest.fixture(scope="session")
def running_clouds():
    """To make their keys anew for every test would take too long."""
    workplace = harness.Workplace()
    yield workplace.clouds()
    workplace.close()


@pytest.fixture
def clouds(place, running_clouds):
    """The simulated clouds in the reference topology, all well."""
    running_clouds.reset()
    # The limit is that of a real account in five minutes, not of all tests.
    running_clouds.settings(cf_rate_limit=0)
    place.watched.append(running_clouds)
    return running_clouds
