# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Tokens and keys: who gets which scope, how they are renewed, what a refusal
leads to, and that no secret is to be seen anywhere."""

import json
import pathlib
import time

import pytest

from checks import check_desired
from harness import wait_until

QUICK = """interval 0.1
handover no
drain 0
timeout api 1
timeout health 1"""

# A 401 says nothing against a token that came in the last second.
SETTLED = 1.1  # seconds

PROBER = "mtgcpd-prober@demo-project.iam.gserviceaccount.com"
ACTUATOR = "mtgcpd-actuator@demo-project.iam.gserviceaccount.com"
COMPUTE = "https://www.googleapis.com/auth/compute"


def log_of(daemon):
    return (daemon.directory / "log").read_text()


def own_copy(place, clouds, name, to=None):
    """A credential file that only this test looks at."""
    path = place.path / (to or name)
    replace(path, (clouds.directory / name).read_bytes())
    return path


def replace(path, content):
    """Put a new credential file in the place of an old one."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.chmod(0o600)
    new.rename(path)


def all_unknown(since=0):
    def check(event):
        return (event["event_type"] == "health_check_cycle"
                and set(event["details"]["samples"].values()) == {None})
    return check


def exchanges(clouds, since=0):
    return clouds.requests(since, "POST", "/token")


@pytest.mark.parametrize("one_key", [True, False], ids=["one-key", "two-keys"])
def test_scopes(place, clouds, one_key):
    """The prober's token is a read-only one and only reads; writes are made
    with the actuator's, even where both come from the same key."""
    changes = {}
    if one_key:
        changes["actuator.json"] = clouds.directory / "prober.json"
    daemon = place.daemon(clouds, "A", QUICK, **changes)
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    check_desired(clouds, 2)
    compute = clouds.requests(path="/compute/")
    writer = PROBER if one_key else ACTUATOR
    assert {e["scope"] for e in compute} == {"compute", "compute.readonly"}
    for entry in compute:
        if entry["scope"] == "compute.readonly":
            assert entry["sa"] == PROBER
            assert entry["method"] == "GET" \
                or entry["path"].endswith("/getHealth")
        else:
            assert entry["sa"] == writer
        if entry["method"] == "PATCH" or "/operations/" in entry["path"]:
            assert entry["scope"] == "compute", entry
        if "backendServices" in entry["path"] or "region-b" in entry["path"]:
            assert entry["scope"] == "compute.readonly", entry
    claims = [e["request"] for e in exchanges(clouds)]
    assert {(c["iss"], c["scope"]) for c in claims} \
        == {(PROBER, f"{COMPUTE}.readonly"), (writer, COMPUTE)}
    assert len(claims) == 2


def test_renewed_ahead(place, clouds):
    """Tokens are renewed before they end: no call is refused."""
    clouds.settings(token_ttl=2)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    wait_until(lambda: len(exchanges(clouds)) >= 8, what="four renewals")
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    assert all(e["status"] == 200 for e in clouds.requests())
    scopes = [e["request"]["scope"] for e in exchanges(clouds)]
    assert len(set(scopes)) == 2
    assert all(set(c["details"]["samples"].values()) != {None}
               for c in daemon.cycles())


def test_long_tokens(place, clouds):
    """A token may be long."""
    clouds.settings(token_pad=4000)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3)


def test_refused_once(place, clouds):
    """A call that is answered with 401 is repeated with a new token, and the
    cycle knows all that there is to know."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    time.sleep(SETTLED)
    since, events = clouds.next_seq(), len(daemon.events())
    clouds.fault("status", "/compute/", count=1, status=401)
    wait_until(lambda: [e for e in clouds.requests(since)
                        if e["status"] == 401], what="a 401")
    daemon.wait_cycles(2)
    assert len(exchanges(clouds, since)) == 1
    for event in daemon.events()[events:]:
        if event["event_type"] == "health_check_cycle":
            assert set(event["details"]["samples"].values()) == {True}
            assert event["result"] == "success"


def test_refused_once_writing(place, clouds):
    """The same for the actuator: a write that is refused for its token has
    not been made, and is made with the next one."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    time.sleep(SETTLED)
    since = clouds.next_seq()
    clouds.fault("status", "/compute/", "PATCH", count=1, status=401)
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3)
    check_desired(clouds, 3)
    patches = clouds.requests(since, "PATCH", "/compute/")
    assert [e["status"] for e in patches] == [401, 200]
    claims = [e["request"] for e in exchanges(clouds, since)]
    assert [c["iss"] for c in claims] == [ACTUATOR]


def test_all_revoked(place, clouds):
    """When every token becomes unknown, both roles get new ones at once."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    since, events = clouds.next_seq(), len(daemon.events())
    clouds.call("DELETE", "/tokens")
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2, since=events)
    check_desired(clouds, 2)
    claims = [e["request"]["iss"] for e in exchanges(clouds, since)]
    assert sorted(claims) == [ACTUATOR, PROBER]


def test_wrong_key(place, clouds):
    """A key that its account does not have: nothing is known and nothing
    written, the log says why; the right one in its place is found without a
    restart."""
    key = own_copy(place, clouds, "wrong.json")
    clouds.health("region-a", "UNHEALTHY")
    daemon = place.daemon(clouds, "A", QUICK, **{"prober.json": key})
    daemon.wait_event(all_unknown(), what="unknown")
    daemon.wait_cycles(3)
    assert all(set(c["details"]["samples"].values()) == {None}
               for c in daemon.cycles())
    assert "Invalid JWT Signature" in log_of(daemon)
    assert clouds.writes() == []
    replace(key, (clouds.directory / "prober.json").read_bytes())
    daemon.wait_state(2)
    check_desired(clouds, 2)


def test_key_exchanged(place, clouds):
    """A key is exchanged for another one, and the old account is closed: the
    new one is found when the old one is refused."""
    clouds.settings(token_ttl=1)
    key = own_copy(place, clouds, "prober.json")
    daemon = place.daemon(clouds, "A", QUICK, **{"prober.json": key})
    daemon.wait_state(1)
    clouds.patch({"accounts": {PROBER: {"disabled": True}}})
    replace(key, (clouds.directory / "actuator.json").read_bytes())
    wait_until(lambda: ACTUATOR in {
        e["sa"] for e in clouds.requests(path="/compute/")
        if e["scope"] == "compute.readonly"}, what="the other account")
    daemon.wait_state(1, since=len(daemon.events()))


@pytest.mark.parametrize("bad", ["not a key", '{"type": "authorized_user"}'])
def test_key_spoiled(place, clouds, bad):
    """A file that has become useless leaves the old key in use."""
    key = own_copy(place, clouds, "prober.json")
    daemon = place.daemon(clouds, "A", QUICK, **{"prober.json": key})
    daemon.wait_state(1)
    replace(key, bad.encode())
    clouds.call("DELETE", "/tokens")
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    assert str(key) in log_of(daemon)


def test_cloudflare_token_exchanged(place, clouds):
    """Cloudflare does not know the token any more: the file is read again,
    and the write is made with what is there now."""
    token = own_copy(place, clouds, "cloudflare.token")
    daemon = place.daemon(clouds, "A", QUICK, **{"cloudflare.token": token})
    daemon.wait_state(1)
    known = clouds.world()["cloudflare"]["tokens"]
    (old, what), = known.items()
    new = "N" * len(old)
    clouds.patch({"cloudflare": {"tokens": {old: None, new: what}}})
    replace(token, new.encode() + b"\n")
    since = clouds.next_seq()
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    check_desired(clouds, 2)
    statuses = [e["status"] for e in clouds.requests(since, path="/client/")]
    assert statuses[0] in (400, 401, 403)
    assert set(statuses[1:]) == {200}
    assert "reading" in log_of(daemon)


def test_cloudflare_token_late(place, clouds):
    """As long as there is none that is good nothing is written to Cloudflare,
    nor to the router after it; then all is made up for."""
    token = own_copy(place, clouds, "cloudflare.token")
    good = token.read_bytes()
    replace(token, b"x" * 40 + b"\n")
    daemon = place.daemon(clouds, "A", QUICK, **{"cloudflare.token": token})
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_event(
        lambda e: e["event_type"] == "cloudflare_route_update"
        and e["result"] == "failure", what="a refusal")
    daemon.wait_cycles(3)
    assert clouds.writes() == []
    replace(token, good)
    daemon.wait_state(2)
    check_desired(clouds, 2)


def secrets(clouds):
    """Pieces of everything that nobody may see."""
    found = [b"ya29.", b"Bearer ey", b"BEGIN PRIVATE", b"BEGIN RSA"]
    for name in ("prober.json", "actuator.json"):
        key = json.loads((clouds.directory / name).read_text())
        lines = key["private_key"].splitlines()
        # The first line is much the same in all keys.
        found += [line.encode() for line in lines[2:-1]]
    found.append((clouds.directory / "cloudflare.token").read_bytes().strip())
    return found


def test_no_secret_is_told(place, clouds):
    """Keys and tokens are in no log, no event, no file of the daemon, and not
    among the arguments or the environment of a process; not even with the
    most talkative log, and when calls fail."""
    daemon = place.daemon(clouds, "A", QUICK, arguments=("-v",))
    daemon.wait_state(1)
    for fault in ("garbage", "truncate", "html"):
        clouds.fault(fault, "/compute/|/token|/client/", count=3)
    clouds.fault("status", "/compute/|/client/", count=4, status=401)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    texts = {}
    for pid in [daemon.process.pid, *daemon.children().values()]:
        for what in ("cmdline", "environ"):
            path = pathlib.Path(f"/proc/{pid}/{what}")
            texts[str(path)] = path.read_bytes()
    assert daemon.stop() == 0
    for path in daemon.directory.iterdir():
        if path.is_file():
            texts[path.name] = path.read_bytes()
    assert {"log", "events", "stderr", "state.json"} <= set(texts)
    for secret in secrets(clouds):
        for name, text in texts.items():
            assert secret not in text, name
