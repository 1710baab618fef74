# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Connectivity tests: with -t, at start-up, and that they change nothing."""

import collections
import copy
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from checks import check_desired, check_journal
from harness import ACCOUNT, BUILD, PROJECT, X, Y, configuration, wait_until

REGION_A = f"{PROJECT}/region-a"
REGION_B = f"{PROJECT}/region-b"
ROUTER_A = f"{REGION_A}/router-a"
ROUTER_B = f"{REGION_B}/router-b"

# Everything that is tested of the reference topology, in order.
TESTS = [
    ("prober", "token", "prober"),
    ("prober", "get_project", PROJECT),
    ("prober", "get_region", REGION_A),
    ("prober", "get_region", REGION_B),
    ("prober", "list_backend_services", REGION_A),
    ("prober", "get_health", f"{REGION_A}/svc-1"),
    ("prober", "list_backend_services", REGION_B),
    ("prober", "get_health", f"{REGION_B}/svc-1"),
    ("prober", "get_router", ROUTER_A),
    ("prober", "get_router_status", ROUTER_A),
    ("prober", "get_router", ROUTER_B),
    ("prober", "get_router_status", ROUTER_B),
    ("prober", "check_peers", ROUTER_A),
    ("actuator", "token", "actuator"),
    ("actuator", "get_router", ROUTER_A),
    ("actuator", "verify_token", ACCOUNT),
    ("actuator", "list_routes", ACCOUNT),
    ("actuator", "validate_routes", ACCOUNT),
]

Line = collections.namedtuple(
    "Line", "word failover process operation subject text")


def prepare(place, clouds, name):
    """A configuration for -t in a directory of its own."""
    directory = place.path / name
    directory.mkdir()
    (directory / "empty").mkdir(mode=0o755)
    conf = directory / "mt-gcpd.conf"
    conf.write_text(configuration(clouds, "A", directory))
    conf.chmod(0o600)
    return conf


class Trial:
    """A run of mt-gcpd -t."""

    def __init__(self, place, clouds, *arguments, side="A", top="", block="",
                 more="", ca="ca.pem", name="trial", timeout=60, **changes):
        self.directory = place.path / name
        self.directory.mkdir(exist_ok=True)
        (self.directory / "empty").mkdir(mode=0o755, exist_ok=True)
        conf = self.directory / "mt-gcpd.conf"
        text = configuration(clouds, side, self.directory,
                             "log level info\n" + top, block, **changes)
        conf.write_text(text.replace("/ca.pem", f"/{ca}") + more)
        conf.chmod(0o600)
        since = clouds.next_seq()
        started = time.monotonic()
        self.run = subprocess.run(
            [BUILD / "mt-gcpd", "-t", *arguments, "-f", str(conf)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, check=False)
        self.seconds = time.monotonic() - started
        self.status = self.run.returncode
        self.requests = [e for e in clouds.journal(since) if "method" in e]
        self.events = [e for e in clouds.journal(since) if "event" in e]
        self.lines = [self.parse(one) for one in
                      self.run.stdout.splitlines()]

    @staticmethod
    def parse(line):
        word, failover, process, operation, rest = line.split(None, 4)
        subject, _, text = rest.partition(": ")
        return Line(word, failover, process, operation, subject, text)

    def said(self, word):
        """What of has been tested with that result, in order."""
        return [one[2:5] for one in self.lines if one.word == word]

    def text(self, process, operation):
        """The texts of a test's lines."""
        return [one.text for one in self.lines
                if (one.process, one.operation) == (process, operation)]

    def check_only(self, failed, why, skipped=()):
        """These tests have failed for that reason, those could not be tried,
        and all others are well."""
        assert self.said("FAILED") == failed, self.run.stdout
        assert self.said("skipped") == list(skipped), self.run.stdout
        rest = [one for one in self.lines if one.word == "ok"]
        assert len(rest) == len(self.lines) - len(failed) - len(skipped)
        for one in self.lines:
            if one.word == "FAILED":
                assert why in one.text, one
        assert self.status == 1

    def check_nothing_written(self):
        """Nothing but reading, and asking whether a write would be taken."""
        check_journal(self.requests)
        for entry in self.requests:
            assert entry["method"] == "GET" \
                or entry["path"] == "/token" \
                or entry["path"].endswith("/getHealth") \
                or (entry["method"], entry["query"]) \
                == ("PUT", "validate_only=true"), entry
        assert sorted(p.name for p in self.directory.iterdir()) \
            == ["empty", "mt-gcpd.conf"]


@pytest.fixture
def trial(place, clouds):
    """Run mt-gcpd -t; whatever comes of it, it must not have written."""
    def run(*arguments, **more):
        before = clouds.world()
        done = Trial(place, clouds, *arguments, **more)
        done.check_nothing_written()
        assert clouds.world() == before
        assert not [e for e in done.events if e["event"] != "dns"]
        return done
    return run


def test_all_well(trial, clouds):
    done = trial()
    assert done.status == 0 and done.run.stderr == ""
    assert [(one[1],) + one[2:5] for one in done.lines] \
        == [("A",) + one for one in TESTS]
    assert done.said("ok") == TESTS
    assert done.text("prober", "list_backend_services") == ["2 services"] * 2
    assert done.text("actuator", "list_routes") \
        == ['1 route matches "mt-gcpd A primary"']
    # The columns stand below each other.
    column = done.run.stdout.splitlines()[0].index("prober")
    assert {line[column - 2:column] for line in
            done.run.stdout.splitlines()} == {"  "}


def test_calls(trial, clouds):
    """The calls are those that are needed, with the token that they need."""
    done = trial()
    seen = collections.Counter(
        (e["op"], e["scope"]) for e in done.requests)
    assert seen == {
        ("token", None): 2,
        ("projects.get", "compute.readonly"): 1,
        ("regions.get", "compute.readonly"): 2,
        ("regionBackendServices.list", "compute.readonly"): 2,
        ("regionBackendServices.getHealth", "compute.readonly"): 2,
        ("routers.get", "compute.readonly"): 2,
        ("routers.getRouterStatus", "compute.readonly"): 2,
        ("routers.get", "compute"): 1,
        ("tokens.verify", "cloudflare"): 1,
        ("magic.routes.list", "cloudflare"): 1,
        ("magic.routes.bulk", "cloudflare"): 1,
    }
    assert all("fields=" in e["query"] for e in done.requests
               if e["path"].startswith("/compute/"))
    put, = [e for e in done.requests if e["method"] == "PUT"]
    route, = [dict(r) for r in clouds.routes()
              if r.get("description") == "mt-gcpd A primary"]
    for read_only in ("created_on", "modified_on"):
        route.pop(read_only, None)
    assert put["request"] == {"routes": [route]}


DENIED = {
    "compute.projects.get": [("prober", "get_project", PROJECT)],
    "compute.regions.get": [("prober", "get_region", REGION_A),
                            ("prober", "get_region", REGION_B)],
    "compute.regionBackendServices.list": [
        ("prober", "list_backend_services", REGION_A),
        ("prober", "list_backend_services", REGION_B)],
    "compute.regionBackendServices.get": [
        ("prober", "get_health", f"{REGION_A}/svc-1"),
        ("prober", "get_health", f"{REGION_B}/svc-1")],
    "compute.routers.get": [
        ("prober", "get_router", ROUTER_A),
        ("prober", "get_router_status", ROUTER_A),
        ("prober", "get_router", ROUTER_B),
        ("prober", "get_router_status", ROUTER_B)],
}
WITHOUT = {
    "compute.regionBackendServices.list": [
        ("prober", "get_health", REGION_A),
        ("prober", "get_health", REGION_B)],
    "compute.routers.get": [("prober", "check_peers", ROUTER_A)],
}


def account(clouds, name):
    key = json.loads((clouds.directory / f"{name}.json").read_text())
    return key["client_email"]


@pytest.mark.parametrize("permission", DENIED)
def test_prober_denied(trial, clouds, permission):
    """Each permission that the prober lacks is named where it is needed."""
    clouds.patch({"accounts": {account(clouds, "prober"):
                               {"deny": [permission]}}})
    trial().check_only(
        DENIED[permission],
        f"HTTP 403 forbidden: Required '{permission}' permission",
        WITHOUT.get(permission, ()))


def test_actuator_denied(trial, clouds):
    clouds.patch({"accounts": {account(clouds, "actuator"):
                               {"deny": ["compute.routers.get"]}}})
    trial().check_only([("actuator", "get_router", ROUTER_A)],
                       "Required 'compute.routers.get' permission")


@pytest.mark.parametrize("role", ["prober", "actuator"])
def test_no_scope(trial, clouds, role):
    """Without a token nothing can be tested that needs it."""
    clouds.patch({"accounts": {account(clouds, role): {"scopes": []}}})
    done = trial()
    failed = done.said("FAILED")
    assert [one[:2] for one in failed] == [
        one[:2] for one in TESTS if one[0] == role
        and one[1] not in ("verify_token", "list_routes", "validate_routes")]
    assert all("unauthorized_client" in one.text for one in done.lines
               if one.word == "FAILED")
    assert done.status == 1
    assert "skipped" not in {one.word for one in done.lines}


def test_token_renewed(trial, clouds):
    """A token that is refused is replaced, once."""
    clouds.fault("status", "/routers/router-a", scope="compute", status=401,
                 count=1)
    done = trial()
    assert done.status == 0, done.run.stdout
    clouds.fault("status", "/routers/router-a", scope="compute", status=401)
    done = trial()
    done.check_only([("actuator", "get_router", ROUTER_A)], "HTTP 401")
    assert len([e for e in done.requests if e["op"] == "routers.get"
                and e["scope"] == "compute"]) == 2


WRONG = {
    "region": (dict(remote="region-z"), [
        ("prober", "get_region", f"{PROJECT}/region-z"),
        ("prober", "list_backend_services", f"{PROJECT}/region-z"),
        ("prober", "get_router", f"{PROJECT}/region-z/router-b"),
        ("prober", "get_router_status", f"{PROJECT}/region-z/router-b"),
    ], [("prober", "get_health", f"{PROJECT}/region-z")]),
    "remote router": (dict(remote_router="router-z"), [
        ("prober", "get_router", f"{REGION_B}/router-z"),
        ("prober", "get_router_status", f"{REGION_B}/router-z"),
    ], []),
    "local router": (dict(local_router="router-z"), [
        ("prober", "get_router", f"{REGION_A}/router-z"),
        ("prober", "get_router_status", f"{REGION_A}/router-z"),
        ("actuator", "get_router", f"{REGION_A}/router-z"),
    ], [("prober", "check_peers", f"{REGION_A}/router-z")]),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_name(trial, what):
    changes, failed, skipped = WRONG[what]
    trial(**changes).check_only(failed, "HTTP 404 notFound", skipped)


def test_router_project(trial, clouds):
    """The project of the routers is tested as well, where it is another."""
    done = trial(block='router project "other"')
    other = done.said("FAILED")
    assert ("prober", "get_project", "other") in other
    assert ("prober", "get_region", "other/region-a") in other
    assert ("actuator", "get_router", "other/region-a/router-a") in other
    assert all("other" in one[2] for one in other)
    assert ("prober", "get_project", PROJECT) in done.said("ok")
    assert done.status == 1


def test_named_service(trial):
    done = trial(block='health services { "svc-2" "svc-9" }')
    done.check_only([("prober", "list_backend_services", REGION_A),
                     ("prober", "list_backend_services", REGION_B)],
                    'the backend service "svc-9" does not exist')
    assert ("prober", "get_health", f"{REGION_A}/svc-2") in done.said("ok")


def test_no_health_check(trial, clouds):
    """Without a service that has a health check there is nothing to try."""
    world = clouds.world()
    for service in world["projects"][PROJECT]["regions"]["region-a"][
            "services"].values():
        service.pop("healthChecks")
    clouds.call("PUT", "/world", world)
    done = trial()
    assert done.said("skipped") == [("prober", "get_health", REGION_A)]
    assert done.said("FAILED") == [] and done.status == 0


def peers_of(clouds):
    return copy.deepcopy(clouds.router("router-a")["bgpPeers"])


def set_peers(clouds, peers):
    clouds.patch({"projects": {PROJECT: {"regions": {"region-a": {
        "routers": {"router-a": {"bgpPeers": peers}}}}}}})


def test_custom_peer(trial, clouds):
    """An enabled peer in CUSTOM mode must be one that is written."""
    peers = peers_of(clouds)
    peers[0]["advertiseMode"] = "CUSTOM"
    set_peers(clouds, peers)
    name = peers[0]["name"]
    done = trial()
    done.check_only([("prober", "check_peers", ROUTER_A)],
                    f'not named by "advertise on peer": {name}')
    done = trial(block=f'advertise on peer {{ "{name}" }}')
    assert done.status == 0, done.run.stdout
    peers[0]["enable"] = "FALSE"
    set_peers(clouds, peers)
    assert trial().status == 0


def test_missing_peer(trial):
    trial(block='advertise on peer { "peer-z" }').check_only(
        [("prober", "check_peers", ROUTER_A)],
        "no such peer on the router: peer-z")


def set_token(clouds, **members):
    """Say what the world knows of our token."""
    token = clouds.ready["cloudflare_token"]
    world = clouds.world()
    world["cloudflare"]["tokens"] = {token: dict(
        dict(id="1", kind="user", status="active", accounts=[ACCOUNT],
             permissions=["read", "write"]), **members)}
    clouds.call("PUT", "/world", world)


VERIFY = ("actuator", "verify_token", ACCOUNT)
LIST = ("actuator", "list_routes", ACCOUNT)
VALIDATE = ("actuator", "validate_routes", ACCOUNT)


def test_cloudflare_bad_token(trial, clouds):
    """A token that is unknown there fails where it is used; to be unknown to
    verify proves nothing."""
    world = clouds.world()
    world["cloudflare"]["tokens"] = {"another": {"id": "1"}}
    clouds.call("PUT", "/world", world)
    done = trial()
    done.check_only([LIST], "HTTP 401: 10000 Authentication error",
                    [VERIFY, VALIDATE])
    assert done.text("actuator", "verify_token") \
        == ["HTTP 401: 1000 Invalid API Token"]
    # Both places were asked, and the list again after the file was read.
    asked = [e["path"] for e in done.requests if e["op"] == "tokens.verify"]
    assert asked == ["/client/v4/user/tokens/verify",
                     f"/client/v4/accounts/{ACCOUNT}/tokens/verify"]
    assert len([e for e in done.requests
                if e["op"] == "magic.routes.list"]) == 2


def test_cloudflare_account_token(trial, clouds):
    set_token(clouds, kind="account")
    done = trial()
    assert done.status == 0 and done.said("ok") == TESTS


def test_cloudflare_expired(trial, clouds):
    set_token(clouds, status="expired", expires_on="2020-01-01T00:00:00Z")
    done = trial()
    assert done.said("FAILED") == [VERIFY, LIST]
    assert done.said("skipped") == [VALIDATE]
    assert done.text("actuator", "verify_token") \
        == ["the token's status is expired"]
    assert done.status == 1


@pytest.mark.parametrize("days", [0, 1, 30, 31, 4000])
def test_cloudflare_expires(trial, clouds, days):
    """The end of a token is told a month before."""
    date = time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400))
    set_token(clouds, expires_on=f"{date}T23:59:59.5-08:00")
    done = trial()
    assert done.status == 0
    text, = done.text("actuator", "verify_token")
    if days <= 30:
        assert text == f"the token expires on {date}T23:59:59.5-08:00, " \
            f"in {days} days"
    else:
        assert text == ""


@pytest.mark.parametrize("members, failed, skipped", [
    (dict(permissions=["read"]), [VALIDATE], []),
    (dict(permissions=["write"]), [LIST], [VALIDATE]),
    (dict(accounts=["ffffffffffffffffffffffffffffffff"]), [LIST],
     [VALIDATE]),
])
def test_cloudflare_denied(trial, clouds, members, failed, skipped):
    set_token(clouds, **members)
    trial().check_only(failed, "HTTP 403: 10000 Authentication error",
                       skipped)


def test_cloudflare_not_onboarded(trial, clouds):
    world = clouds.world()
    world["cloudflare"]["accounts"][ACCOUNT] = {}
    clouds.call("PUT", "/world", world)
    trial().check_only([LIST], "Account is not onboarded", [VALIDATE])


def test_verify_is_advisory(trial, clouds):
    """That the token cannot be verified fails nothing."""
    clouds.fault("status", "/tokens/verify", status=500)
    done = trial()
    assert done.status == 0
    assert done.said("skipped") == [VERIFY] and done.said("FAILED") == []
    assert "HTTP 500" in done.text("actuator", "verify_token")[0]


def test_token_replaced(trial, clouds):
    """A token that is refused is read again: its file may have changed."""
    clouds.fault("status", "/magic/routes$", method="GET", status=401,
                 count=1)
    done = trial()
    assert done.status == 0, done.run.stdout


def test_no_match(trial):
    trial(match="mt-gcpd Z primary").check_only(
        [LIST], 'no route matches "mt-gcpd Z primary"', [VALIDATE])


def test_expect(trial, clouds):
    done = trial(match='static backup" expect 2 #')
    assert done.status == 0, done.run.stdout
    assert done.text("actuator", "validate_routes") == ["2 routes"]
    trial(match='static backup" expect 3 #').check_only(
        [LIST], '2 routes match "static backup", expected 3', [VALIDATE])


def test_many_routes(trial, clouds):
    """More routes than one call may carry are validated in several."""
    routes = clouds.routes()
    routes += [dict(id=f"{i:032x}", prefix=f"10.{i // 256}.{i % 256}.0/24",
                    nexthop="10.0.0.1", priority=i % 7 + 1,
                    description="mt-gcpd many") for i in range(250)]
    clouds.patch({"cloudflare": {"accounts": {ACCOUNT:
                                              {"routes": routes}}}})
    done = trial(match="mt-gcpd many")
    assert done.text("actuator", "validate_routes") == ["250 routes"]
    assert done.status == 0
    puts = [e["request"]["routes"] for e in done.requests
            if e["method"] == "PUT"]
    assert [len(one) for one in puts] == [100, 100, 50]
    assert sum(puts, []) == routes[-250:]


def test_validate_ignored(trial, clouds):
    """If Cloudflare did store what it was to validate, nothing would change:
    the fixture compares the world."""
    clouds.settings(cf_validate=False)
    assert trial().status == 0


def test_validate_refused(trial, clouds):
    clouds.fault("body", "validate_only", body={
        "success": False, "errors": [{"code": 1020, "message": "no"}],
        "messages": [], "result": None})
    trial().check_only([VALIDATE], "HTTP 200: 1020 no")


def test_passive(trial):
    """What may write nothing asks for no right to."""
    done = trial(block="passive yes")
    assert done.status == 0 and done.said("skipped") == [VALIDATE]
    assert all(e["method"] != "PUT" for e in done.requests)


@pytest.mark.parametrize("mode", ["servfail", "silent", "nxdomain"])
def test_dns_dead(trial, clouds, mode):
    clouds.settings(dns_mode=mode)
    done = trial()
    assert done.status == 1 and done.seconds < 15
    assert done.said("ok") == []
    assert done.said("skipped") == [VERIFY]
    assert len(done.lines) == len(TESTS)
    assert all("no address" in one.text for one in done.lines)
    assert done.requests == []


@pytest.mark.parametrize("action", ["reset", "html", "garbage", "noise"])
def test_cloud_down(trial, clouds, action):
    """The clouds answer nothing of use: each test says so."""
    clouds.fault(action, "/compute/|/client/")
    done = trial()
    assert done.status == 1 and done.seconds < 15
    assert done.said("ok") == [TESTS[0], ("actuator", "token", "actuator")]
    assert ("actuator", "get_router", ROUTER_A) in done.said("FAILED")
    assert LIST in done.said("FAILED")
    assert all(one.text for one in done.lines if one.word != "ok")


def test_cloud_hangs(trial, clouds):
    """The timeouts of the configuration bound it all."""
    clouds.fault("hang", "/compute/|/client/")
    done = trial(top="timeout api 1\ntimeout health 1\ntimeout cloudflare 1")
    assert done.status == 1 and done.seconds < 10
    assert done.said("ok") == [TESTS[0], ("actuator", "token", "actuator")]
    assert all("timed out" in one.text for one in done.lines
               if one.word != "ok")


def test_token_hangs(trial, clouds):
    clouds.fault("hang", "^/token$")
    done = trial(top="timeout api 1\ntimeout health 1\ntimeout cloudflare 1\n"
                     "timeout cloudflare-bulk 1")
    assert done.status == 1 and done.seconds < 20
    assert done.text("prober", "token") == ["no access token in time"]
    assert done.said("ok") == [VERIFY, LIST, VALIDATE]


def test_wrong_key(trial, clouds):
    done = trial(**{"actuator.json": clouds.directory / "wrong.json"})
    assert done.said("FAILED") == [("actuator", "token", "actuator"),
                                   ("actuator", "get_router", ROUTER_A)]
    assert all("invalid_grant" in one.text for one in done.lines
               if one.word == "FAILED")
    assert done.status == 1


def test_wrong_ca(trial):
    done = trial(ca="wrong-ca.pem")
    assert done.status == 1 and done.said("ok") == []
    assert len(done.lines) == len(TESTS)
    assert all("certificate" in one.text for one in done.lines)
    assert done.requests == []


def test_errors_before(trial, clouds, place):
    """What is wrong before anything can be tested ends as without -t."""
    done = trial(more="nonsense\n")
    assert done.status == 2 and done.lines == [] and done.run.stderr
    done = trial(**{"prober.json": place.path / "missing.json"})
    assert done.status == 1 and done.lines == []
    assert "missing.json" in done.run.stderr
    empty = place.path / "empty.json"
    empty.write_text("{}")
    empty.chmod(0o600)
    done = trial(**{"prober.json": empty})
    assert done.status == 1 and done.lines == []
    assert "empty.json" in done.run.stderr


MORE = f"""failover "other-one" {{
    project "{PROJECT}"
    local region "region-b"
    remote region "region-a"
    local router "router-b"
    remote router "router-a"
    primary prefix {Y}
    secondary prefix {X}
    cloudflare routes matching "mt-gcpd B primary"
}}
"""


def test_several_failovers(trial, clouds):
    """Every failover is tested, and an account is not asked for each of
    them what it has said."""
    done = trial(more=MORE)
    assert done.status == 0, done.run.stdout
    assert [one.failover for one in done.lines] \
        == ["A"] * len(TESTS) + ["other-one"] * len(TESTS)
    seen = collections.Counter(e["op"] for e in done.requests)
    assert seen["tokens.verify"] == seen["magic.routes.list"] == 1
    assert seen["magic.routes.bulk"] == 2
    assert seen["token"] == 2
    columns = {line.index("prober" if " prober " in line else "actuator")
               for line in done.run.stdout.splitlines()}
    assert len(columns) == 1


def test_claimed_twice(trial, clouds):
    """A route that two failovers match is neither's."""
    routes = clouds.routes()
    for route in routes:
        if route.get("description") == "mt-gcpd A primary":
            route["description"] += ", mt-gcpd B primary"
    clouds.patch({"cloudflare": {"accounts": {ACCOUNT:
                                              {"routes": routes}}}})
    done = trial(more=MORE)
    assert done.said("FAILED") == [LIST, LIST]
    assert all(e["method"] != "PUT" for e in done.requests)


def test_standard_output(place, clouds):
    """Lines that cannot be written are no success."""
    conf = prepare(place, clouds, "full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([BUILD / "mt-gcpd", "-t", "-f", str(conf)],
                              stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=30, check=False)
    assert done.returncode == 1 and "standard output" in done.stderr


def test_beside_daemon(place, clouds):
    """-t with the configuration of a daemon that runs: neither notices."""
    daemon = place.daemon(clouds, "A")
    daemon.wait_state(1)
    wait_until(lambda: len(daemon.events("connectivity_test")) == len(TESTS),
               what="tests at start-up")
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    files = {p.name: p.stat().st_ino for p in daemon.directory.iterdir()}
    files.pop("state.json")
    started = len(daemon.events("daemon_lifecycle"))
    done = subprocess.run(
        [BUILD / "mt-gcpd", "-t", "-f", str(daemon.conf)],
        capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == len(TESTS)
    daemon.wait_cycles(3)
    now = {p.name: p.stat().st_ino for p in daemon.directory.iterdir()}
    now.pop("state.json")
    assert now == files
    assert len(daemon.events("daemon_lifecycle")) == started
    assert len(daemon.events("connectivity_test")) == len(TESTS)
    check_desired(clouds, 2)
    assert daemon.stop() == 0


def test_start_up(place, clouds):
    """A daemon that starts tests at once, and tells of it in events and
    log."""
    daemon = place.daemon(clouds, "A")
    daemon.wait_state(1)
    wait_until(lambda: len(daemon.events("connectivity_test")) == len(TESTS),
               what="tests at start-up")
    events = daemon.events("connectivity_test")
    assert sorted((e["details"]["process"], e["operation"],
                   e["details"]["target"]) for e in events) == sorted(TESTS)
    for event in events:
        assert event["result"] == "success" and event["failover"] == "A"
        assert event["correlation_id"] is None
        assert event["error_message"] is None
        assert event["duration_ms"] >= 0
        cloudflare = event["operation"] in ("verify_token", "list_routes",
                                            "validate_routes")
        assert event["component"] == ("cloudflare" if cloudflare else "gcp")
        assert event["details"]["http_status"] == (
            None if event["operation"] in ("token", "check_peers") else 200)
    log = (daemon.directory / "log").read_text()
    assert f"info A: test get_router {ROUTER_A} (actuator) ok" in log


def test_first_cycle_first(place, clouds):
    """Where requests are scarce, what the first cycle asks for goes before
    the tests."""
    daemon = place.daemon(
        clouds, "A", "interval 5\nlimit requests 10 per second burst 10")
    wait_until(lambda: len(daemon.events("connectivity_test")) == len(TESTS),
               what="tests at start-up")
    ops = [e["op"] for e in clouds.requests(path="/compute/")
           if e["scope"] == "compute.readonly"]
    # The prober may send eight at once, of which the cycle needs six.
    assert ops[:8].count("regionBackendServices.list") == 2
    assert ops[:8].count("routers.get") == 2
    assert ops[:8].count("routers.getRouterStatus") == 2
    assert ops.count("routers.getRouterStatus") == 4
    assert all(e["result"] == "success"
               for e in daemon.events("connectivity_test"))


def test_start_up_failed(place, clouds):
    """Tests that fail are errors, and stop nothing."""
    clouds.patch({"accounts": {account(clouds, "prober"):
                               {"deny": ["compute.projects.get"]}}})
    set_token(clouds, permissions=["read"])
    daemon = place.daemon(clouds, "A")
    daemon.wait_state(1)
    wait_until(lambda: len(daemon.events("connectivity_test")) == len(TESTS),
               what="tests at start-up")
    failed = [e for e in daemon.events("connectivity_test")
              if e["result"] == "failure"]
    assert sorted(e["operation"] for e in failed) \
        == ["get_project", "validate_routes"]
    assert all("HTTP 403" in e["error_message"]
               and e["details"]["http_status"] == 403 for e in failed)
    log = (daemon.directory / "log").read_text()
    assert f"error A: test get_project {PROJECT} (prober) failed: HTTP 403" \
        in log
    daemon.check()
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3)


def test_start_up_does_not_wait(place, clouds):
    """Tests that hang delay nothing."""
    clouds.fault("hang", f"/projects/{PROJECT}\\?|regions/region-.\\?"
                         "|validate_only|tokens/verify")
    daemon = place.daemon(clouds, "A")
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    check_desired(clouds, 2)


def test_stop_meanwhile(place, clouds):
    """A stop does not wait for tests."""
    clouds.fault("hang", "validate_only|tokens/verify")
    daemon = place.daemon(clouds, "A")
    daemon.wait_state(1)
    wait_until(lambda: [e for e in clouds.requests()
                        if e["query"] == "validate_only=true"],
               what="the validation")
    before = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - before < 3


def test_budget(place, clouds):
    """Cloudflare's refusals count for the tests as well: an account that has
    answered 429 is left alone."""
    clouds.fault("status", "/tokens/verify", status=429,
                 headers={"Retry-After": "100"}, count=1)
    clouds.fault("delay", "/magic/routes$", delay_ms=500, count=1)
    daemon = place.daemon(clouds, "A")
    wait_until(lambda: len(daemon.events("connectivity_test")) == len(TESTS),
               what="tests at start-up")
    skipped = [e for e in daemon.events("connectivity_test")
               if e["result"] == "skipped"]
    assert [e["operation"] for e in skipped] \
        == ["verify_token", "validate_routes"]
    assert "called too often" in skipped[1]["details"]["why"]
    assert skipped[1]["error_message"] is None
    assert [e for e in clouds.requests(path="/client/")
            if e["method"] != "GET"] == []


def reload(daemon, text=None):
    count = len(daemon.events("daemon_lifecycle"))
    if text is not None:
        daemon.conf.write_text(text)
    daemon.process.send_signal(signal.SIGHUP)
    return wait_until(lambda: [
        e for e in daemon.events("daemon_lifecycle")[count:]
        if e["operation"] == "reload"], what="reload")[0]


def test_reload(place, clouds):
    """What another configuration names is tested as well."""
    daemon = place.daemon(clouds, "A")
    daemon.wait_state(1)
    wait_until(lambda: len(daemon.events("connectivity_test")) == len(TESTS),
               what="tests at start-up")
    text = daemon.conf.read_text().replace('router "router-b"',
                                           'router "router-z"')
    assert reload(daemon, text)["result"] == "success"
    wait_until(lambda: len(daemon.events("connectivity_test"))
               == 2 * len(TESTS), what="tests after the reload")
    failed = [(e["operation"], e["details"]["target"])
              for e in daemon.events("connectivity_test")
              if e["result"] == "failure"]
    assert failed == [("get_router", f"{REGION_B}/router-z"),
                      ("get_router_status", f"{REGION_B}/router-z")]


def test_reload_meanwhile(place, clouds):
    """A reload does not wait for tests; those of before are forgotten."""
    clouds.fault("hang", "validate_only|tokens/verify|regions/region-.\\?")
    daemon = place.daemon(clouds, "A")
    daemon.wait_state(1)
    before = time.monotonic()
    assert reload(daemon)["result"] == "success"
    assert time.monotonic() - before < 3
    clouds.clear_faults()
    assert reload(daemon)["result"] == "success"
    wait_until(lambda: len(daemon.events("connectivity_test"))
               == len(TESTS), what="tests after the reload")
    assert {e["result"] for e in daemon.events("connectivity_test")} \
        == {"success"}
    daemon.wait_cycles(2)
    assert len(daemon.events("connectivity_test")) == len(TESTS)


def test_confined(place, clouds):
    """The processes of -t are those of a daemon, confined as they are
    there."""
    clouds.fault("hang", "/projects/")
    conf = prepare(place, clouds, "confined")
    process = subprocess.Popen([BUILD / "mt-gcpd", "-t", "-f", str(conf)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: [e for e in clouds.requests()
                            if e["op"] == "projects.get"], what="a test")
        path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = path.read_text().split()
        assert len(children) == 4
        for pid in children + [process.pid]:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
            assert re.search(r"^Seccomp:\s+2$", status, re.M)
            assert re.search(r"^CapEff:\s+0+$", status, re.M)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 1 and b"not all has been tested" in err
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_child_lost(place, clouds):
    """A process that dies meanwhile ends -t, with an error."""
    clouds.fault("hang", "/projects/")
    conf = prepare(place, clouds, "lost")
    process = subprocess.Popen([BUILD / "mt-gcpd", "-t", "-f", str(conf)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: [e for e in clouds.requests()
                            if e["op"] == "projects.get"], what="a test")
        path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        os.kill(int(path.read_text().split()[-1]), signal.SIGKILL)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 1 and b"killed by signal 9" in err
        assert out == b""
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
