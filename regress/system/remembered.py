# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""State files by hand: what a daemon is to remember when it starts."""

import hashlib
import json
import time

FORMAT = 2
HISTORY_MAX = 200


def now_ms():
    return int(time.time() * 1000)


def checksum(state):
    rest = {key: value for key, value in state.items() if key != "checksum"}
    text = json.dumps(rest, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def side(*services):
    """What is remembered of a region and its router."""
    return dict(had_peers=True, services=[
        dict(name=name, empty_since=None) for name in services])


def order(seconds=None, reason=""):
    """Hold or force: until released, or for so many seconds."""
    until = 0 if seconds is None else now_ms() + int(seconds * 1000)
    return dict(until=until, reason=reason)


def contested(*ago):
    """An object that was repaired so many seconds ago, too often."""
    return repaired(*ago, contested=True)


def repaired(*ago, contested=False):
    return dict(repaired=[now_ms() - seconds * 1000 for seconds in ago],
                contested=contested)


def failover(name="A", state=1, since=None, **members):
    """One failover: in that state for so many seconds, and more members."""
    since = now_ms() - int((since or 60) * 1000)
    found = dict(name=name, state=state, since=since, braked=False, moves=[],
                 hold=None, force=None, force_state=0, drift={},
                 local=side("svc-1", "svc-2"), remote=side("svc-1", "svc-2"))
    assert set(members) <= set(found), members
    found.update(members)
    return found


def forced(to, seconds=None, **members):
    return failover(force=order(seconds), force_state=to, **members)


def write(place, *failovers, history=(), name="A"):
    """The state file of the daemon of that name, which does not run."""
    directory = place.path / name
    directory.mkdir(exist_ok=True)
    state = dict(format=FORMAT, failovers=list(failovers),
                 history=list(history))
    state["checksum"] = checksum(state)
    path = directory / "state.json"
    path.write_text(json.dumps(state, separators=(",", ":"),
                               ensure_ascii=False))
    path.chmod(0o600)


def read(daemon):
    """What the daemon's state file says; it must be whole."""
    state = json.loads((daemon.directory / "state.json").read_text())
    assert state["format"] == FORMAT
    assert state["checksum"] == checksum(state)
    return state


def read_failover(daemon, name="A"):
    found, = [one for one in read(daemon)["failovers"] if one["name"] == name]
    return found
