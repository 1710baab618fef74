# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The matrix: every way in which a call can end, of the table that the daemon
itself goes by, at every endpoint that it calls, while it reads and while it
writes.  No write follows what is not known, the reason is the table's, and
with the first good cycle all is well.

One daemon has a failover for every endpoint, each with a project and an
account of its own, so that a row of the table can go wrong in all places at
once and yet be told apart."""

import json
import subprocess

import pytest

from checks import DESIRED, advertises
from harness import ACCOUNT, BUILD, PROJECT, SIDES, wait_until

QUICK = """interval 0.25
handover no
drain 0
retries health 0
retries bgp-check 0
retries bgp-update 0
retries cloudflare 0
timeout api 1
timeout connect 1
timeout health 1
timeout bgp-update 2
timeout cloudflare 1
timeout cloudflare-bulk 1
log level info"""

A = SIDES["A"]
LOCAL, REMOTE = A["local"], A["remote"]

# Endpoints that are read in every cycle: the path, and how the cycle tells
# what it saw there.
READ = {
    "list-local": (rf"regions/{LOCAL}/backendServices[?]", LOCAL),
    "list-remote": (rf"regions/{REMOTE}/backendServices[?]", REMOTE),
    "health-local": (rf"regions/{LOCAL}/.*/getHealth", LOCAL),
    "health-remote": (rf"regions/{REMOTE}/.*/getHealth", REMOTE),
    "router-local": (r"routers/router-a[?]", "router-a"),
    "router-remote": (r"routers/router-b[?]", "router-b"),
    "status-local": (r"routers/router-a/getRouterStatus", "router-a"),
    "status-remote": (r"routers/router-b/getRouterStatus", "router-b"),
}

# Those of a change: method, path, scope.
WRITE = {
    "router-get": ("GET", r"routers/router-a$", "compute"),
    "router-patch": ("PATCH", r"routers/router-a[?]", "compute"),
    "operation": ("GET", r"/operations/", "compute"),
    "effect": ("GET", r"routers/router-a/getRouterStatus", "compute"),
    "routes-list": ("GET", r"/magic/routes$", "cloudflare"),
    "routes-put": ("PUT", r"/magic/routes$", "cloudflare"),
}

# What cloudsim does for each reason why there is no answer.  The others come
# about inside the daemon, or need another server: the unit tests of the HTTP
# client and test_tokens.py have them.
TRANSPORT = {
    "timeout": dict(action="hang"),
    "lost": dict(action="reset"),
    "truncated": dict(action="truncate"),
    "garbled": dict(action="noise"),
    "other": None, "request": None, "address": None, "queue": None,
    "limit": None, "connect": None, "slow": None, "tls": None,
    "certificate": None, "body": None, "header": None,
}


def table():
    out = subprocess.run([BUILD / "outcomes"], stdout=subprocess.PIPE,
                         check=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def fault_of(row):
    """The arguments of a fault that lets a call end as the row says; None:
    cloudsim cannot."""
    if row["transport"]:
        return TRANSPORT[row["transport"]]
    status, content = row["status"], row["content"]
    wait = {"headers": {"Retry-After": "1"}} if status == 429 else {}
    if content == "not_json":
        if status < 300:
            return dict(action="garbage")
        return dict(action="html", status=status)
    if content == "type":
        return dict(action="body", body={"kind": "page"},
                    headers={"Content-Type": "text/html"})
    if content == "shape":
        return dict(action="wrong_json")
    if content == "failure":
        return dict(action="body", body={
            "success": False, "errors": [{"code": 1, "message": "no"}],
            "messages": [], "result": None})
    if content in ("partial", "loop", "pages") or row["answer"] == "ok":
        return None
    if content == "any":
        return dict(action="html", status=status)
    return dict(action="status", status=status,
                reason=row["code"] or "anyReason",
                message=row["message"] or "any message", **wait)


ROWS = [row for row in table() if fault_of(row)]
LEFT_OUT = {row["name"] for row in table()} - {row["name"] for row in ROWS}


class Field:
    """A daemon with a failover for each of the endpoints, and one that never
    has any trouble."""

    def __init__(self, place, clouds, names, top=QUICK):
        self.clouds = clouds
        self.names = list(names)
        world = clouds.world()
        text = json.dumps(world["projects"][PROJECT])
        routes = json.dumps(world["cloudflare"]["accounts"][ACCOUNT])
        projects, accounts, blocks = {}, {}, []
        for number, name in enumerate(self.names):
            projects[name] = json.loads(text.replace(PROJECT, name))
            account = f"{number:032x}"
            accounts[account] = json.loads(routes)
            blocks.append(f"""failover "{name}" {{
    project "{name}"
    local region "{LOCAL}"
    remote region "{REMOTE}"
    local router "router-a"
    remote router "router-b"
    primary prefix {A['primary']}
    secondary prefix {A['secondary']}
    cloudflare account "{account}" token file "{
        clouds.directory / 'cloudflare.token'}"
    cloudflare routes matching "{A['match']}"
}}""")
        self.accounts = dict(zip(self.names, accounts))
        clouds.patch({"projects": projects,
                      "cloudflare": {"accounts": accounts}})
        self.daemon = place.daemon(clouds, "A", top + "\n" + "\n".join(blocks))
        self.reached(1, self.names + ["A"])

    def tail(self, since, names, condition, what, timeout=30):
        """Wait until every failover has had such an event since then; these
        events."""
        found = {}

        def all_found():
            self.daemon.check()
            for event in self.daemon.events()[since:]:
                name = event["failover"]
                if name in names and name not in found and condition(event):
                    found[name] = event
            return len(found) == len(names)
        try:
            wait_until(all_found, timeout, what, 0.05)
        except AssertionError as error:
            missing = set(names) - set(found)
            raise AssertionError(f"{what}: {missing}") from error
        return found

    def reached(self, state, names, since=0):
        self.tail(since, names, lambda e:
                  e["event_type"] == "health_check_cycle"
                  and e["details"]["state_code"] == state
                  and e["details"]["current_state"] == state
                  and e["details"]["plan"]["status"] == "done",
                  f"state {state}")

    def cycles(self, names, count=2):
        """Let each failover begin and end that many cycles more."""
        for _ in range(count):
            self.tail(len(self.daemon.events()), names, lambda e:
                      e["event_type"] == "health_check_cycle", "a cycle")

    def health(self, names, region, state):
        for name in names:
            self.clouds.health(region, state, project=name)

    def bgp(self, names, router, status):
        for name in names:
            self.clouds.bgp(router, status, project=name)

    def check(self, names, state):
        world = self.clouds.world()
        primary, secondary, priority = DESIRED[state]
        for name in names:
            router = world["projects"][name]["regions"][LOCAL]["routers"][
                "router-a"]
            assert advertises(router["bgp"], A["primary"]) == primary, name
            assert advertises(router["bgp"], A["secondary"]) == secondary
            found = [one["priority"] for one in world["cloudflare"][
                "accounts"][self.accounts[name]]["routes"]
                if A["match"] in (one.get("description") or "")]
            assert found == [priority], name

    def requests(self, name, since):
        """The requests about one failover, in order."""
        marks = (f"/projects/{name}/", f"/accounts/{self.accounts[name]}/")
        return [e for e in self.clouds.requests(since)
                if any(mark in e["path"] for mark in marks)]


def names_for(endpoints, row):
    """The endpoints at which the row can occur."""
    def api(name):
        return "cloudflare" if name.startswith("routes") else "compute"
    return [name for name in endpoints if api(name) in row["apis"]]


def check_reason(row, text, name):
    """The text that operators see is the table's."""
    assert text, (row["name"], name)
    if row["text"]:
        assert row["text"] in text, (row["name"], name, text)
    if not row["transport"] and row["content"] == "json":
        assert f"HTTP {row['status']}" in text, (row["name"], name, text)


def read_row(field, row):
    """One row at all endpoints that are read."""
    clouds, daemon = field.clouds, field.daemon
    names = names_for(READ, row)
    if not names:
        return 0
    start = clouds.next_seq()
    for name in names:
        clouds.fault(path=f"/projects/{name}/.*{READ[name][0]}",
                     scope="compute.readonly", **fault_of(row))
    field.cycles(names)
    # Now everything turns bad where nobody can see it.
    for name in names:
        if name.startswith(("list", "health")):
            field.health([name], READ[name][1], "UNHEALTHY")
        else:
            field.bgp([name], READ[name][1], "DOWN")
    since = len(daemon.events())

    def unknown(event):
        where = READ[event["failover"]][1] if event["failover"] in READ else ""
        return (event["event_type"] == "health_check_result"
                and event["details"]["sample"] is None
                and where in (event["details"]["region"],
                              event["details"].get("router")))
    found = field.tail(since, names, unknown, f"{row['name']}: unknown")
    for name, event in found.items():
        check_reason(row, event["error_message"], name)
    field.cycles(names, 1)
    writes = clouds.writes(start)
    assert writes == [], (row["name"], writes)
    for name in names:
        if name.startswith(("list", "health")):
            field.health([name], READ[name][1], "HEALTHY")
        else:
            field.bgp([name], READ[name][1], "UP")
    clouds.clear_faults()
    since = len(daemon.events())
    field.tail(since, names, lambda e: e["event_type"] == "health_check_cycle"
               and e["result"] == "success"
               and all(v is True for v in e["details"]["samples"].values()),
               f"{row['name']}: healed")
    return len(names)


def check_writes(requests, since, row, name):
    """No PATCH without a reading right before it, and none after one whose
    outcome is not known, but that its effect was looked for; the same of
    PUT."""
    seen = {"PATCH": False, "PUT": False}
    for one in requests:
        if one["seq"] < since:
            continue
        if one["method"] == "GET" and one["scope"] == "compute" and \
                one["path"].endswith("routers/router-a") and \
                one["status"] == 200 and not one.get("fault"):
            seen["PATCH"] = True
        elif one["method"] == "GET" and one["path"].endswith("magic/routes") \
                and one["status"] == 200 and not one.get("fault"):
            seen["PUT"] = True
        elif one["method"] in seen:
            assert seen[one["method"]], (row["name"], name, [
                (e["method"], e["path"].rpartition("/")[2], e["query"],
                 e["status"], e["conn"], (e.get("fault") or {}).get("action"))
                for e in requests if e["seq"] <= one["seq"]
                and e["scope"] in ("compute", "cloudflare")][-6:])
            # A new token may be tried at once: nothing was done.
            seen[one["method"]] = one["status"] == 401


def may_be_done(row, name):
    """May the change be found done all the same?  A write without a usable
    answer is; and operations are not kept for ever."""
    if WRITE[name][0] == "GET":
        return name == "operation" and row["name"] == "404"
    return row["write"] == "unknown"


def write_row(field, row, state):
    """One row at all endpoints of a change, on the way to a state."""
    clouds, daemon = field.clouds, field.daemon
    names = names_for(WRITE, row)
    if not names:
        return 0
    start, since = clouds.next_seq(), len(daemon.events())
    for name in names:
        method, path, scope = WRITE[name]
        clouds.fault(path=f"/(projects/{name}|accounts/{field.accounts[name]})"
                     f"/.*{path}" if scope == "compute" else
                     f"/accounts/{field.accounts[name]}{path}",
                     method=method, scope=scope, **fault_of(row))
    field.health(names, LOCAL, "UNHEALTHY" if state == 2 else "HEALTHY")
    # What may have been done is looked for, and may turn out to be done.
    found = field.tail(since, names, lambda e:
                       e["event_type"] in ("bgp_advertisement_change",
                                           "cloudflare_route_update")
                       and e["result"] == "failure"
                       or (may_be_done(row, e["failover"])
                           and e["event_type"] == "health_check_cycle"
                           and e["details"]["current_state"] == state
                           and e["details"]["plan"]["status"] == "done"),
                       f"{row['name']}: a failure")
    for name, event in found.items():
        if not may_be_done(row, name):
            check_reason(row, event["error_message"], name)
    clouds.clear_faults()
    since = len(daemon.events())
    field.reached(state, names, since)
    field.check(names, state)
    entries = {name: field.requests(name, start) for name in names}
    for name in names:
        check_writes(entries[name], start, row, name)
        if name in ("router-get", "routes-list"):
            method = "PATCH" if name == "router-get" else "PUT"
            faulty = [e["seq"] for e in entries[name] if e.get("fault")]
            assert not [e for e in entries[name] if e["method"] == method
                        and e["seq"] < max(faulty)], (row["name"], name)
    return len(names)


def test_reading(place, clouds):
    field = Field(place, clouds, READ)
    clouds.call("DELETE", "/journal")
    cells = sum(read_row(field, row) for row in ROWS)
    print(f"{cells} cells of the matrix, reading")
    assert cells > 250
    assert clouds.writes() == []
    transitions = field.daemon.events("state_transition")
    assert len(transitions) == len(READ) + 1


def test_writing(place, clouds):
    field = Field(place, clouds, WRITE)
    cells = 0
    state = 1
    for row in ROWS:
        state = 3 - state
        cells += write_row(field, row, state)
        # Those at which the row cannot occur, too.
        since = len(field.daemon.events())
        field.health(field.names, LOCAL,
                     "UNHEALTHY" if state == 2 else "HEALTHY")
        field.reached(state, field.names, since)
    print(f"{cells} cells of the matrix, writing")
    assert cells > 180


# The exchange of an assertion for a token is an endpoint of its own: no token,
# no calls.  Each role has one, from an account of its own.
TOKEN_QUICK = """interval 0.25
handover no
drain 0
retries bgp-update 0
retries cloudflare 0
timeout connect 1
timeout api 1
timeout health 1
timeout bgp-update 2
log level info"""

PROBER, ACTUATOR = (f"mtgcpd-{role}@demo-project.iam.gserviceaccount.com"
                    for role in ("prober", "actuator"))

# An exchange has 30 s; that one which hangs fails is in test_unknown.py.
TOKEN_ROWS = [row for row in ROWS if "token" in row["apis"]
              and row["transport"] != "timeout"]


def token_says(row, text):
    """The reason is that there is no token, and why."""
    assert "token" in text, (row["name"], text)
    if not row["transport"] and row["status"] >= 400:
        assert f"HTTP {row['status']}" in text, (row["name"], text)


@pytest.mark.parametrize("row", TOKEN_ROWS, ids=lambda row: row["name"])
def test_no_token_to_read(place, clouds, row):
    """Without the prober's token nothing is known and nothing written."""
    clouds.fault(path="^/token$", sa=PROBER, **fault_of(row))
    clouds.health(LOCAL, "UNHEALTHY")
    daemon = place.daemon(clouds, "A", TOKEN_QUICK)
    event = daemon.wait_event(
        lambda e: e["event_type"] == "health_check_result"
        and e["error_message"] and "token" in e["error_message"]
        and "has not" not in e["error_message"], what="no token")
    token_says(row, event["error_message"])
    daemon.wait_cycles(2)
    assert {e["details"]["state_code"] for e in daemon.cycles()} == {0}
    assert clouds.writes() == []
    clouds.clear_faults()
    daemon.wait_state(2)


@pytest.mark.parametrize("row", TOKEN_ROWS, ids=lambda row: row["name"])
def test_no_token_to_write(place, clouds, row):
    """Without the actuator's token what is decided cannot be done; the routes
    do not change either, if the router comes first."""
    clouds.fault(path="^/token$", sa=ACTUATOR, **fault_of(row))
    clouds.health(REMOTE, "UNHEALTHY")
    daemon = place.daemon(clouds, "A", TOKEN_QUICK)
    event = daemon.wait_event(
        lambda e: e["event_type"] == "bgp_advertisement_change"
        and e["result"] == "failure", what="a failure")
    token_says(row, event["error_message"])
    assert clouds.writes() == []
    clouds.clear_faults()
    daemon.wait_state(3)
    assert advertises(clouds.router("router-a")["bgp"], A["secondary"])


def test_nothing_is_left_out():
    """Rows that the matrix cannot make are those that are tested otherwise."""
    assert LEFT_OUT == {
        "no answer", "request cannot be sent", "no address", "behind others",
        "behind the limit", "connection refused", "connect timeout",
        "TLS failure", "wrong certificate", "body too large",
        "header too large", "partial list",
        "page loop", "too many pages", "success"}
