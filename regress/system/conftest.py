# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

import pytest

import harness


@pytest.fixture
def place():
    """A workplace of the test's own, cleared away afterwards."""
    workplace = harness.Workplace()
    yield workplace
    workplace.close()


@pytest.fixture
def clouds(place):
    """The simulated clouds in the reference topology, all well."""
    return place.clouds()
