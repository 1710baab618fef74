# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The reporter: metrics, the status page, events at Cloud Logging; and that
nobody waits for it."""

import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import PROJECT, X, Y, wait_until
from test_process import (descriptors, gone, inet_sockets, log_of, needs_root,
                          sockets, status)
from test_reload import refused, reload

QUICK = """interval 0.1
handover no
drain 0"""

CLOUD = f'log cloud project "{PROJECT}"'


def free_port(family=socket.AF_INET, address="127.0.0.1"):
    with socket.socket(family) as one:
        one.bind((address, 0))
        return one.getsockname()[1]


class Served:
    """What a daemon serves."""

    def __init__(self, address="127.0.0.1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.address = address
        self.port = free_port(family, address)
        self.statement = f"metrics listen on {address} port {self.port}"

    def get(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection(self.address, self.port,
                                                timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer, answer.read().decode()
        finally:
            connection.close()

    def metrics(self, **headers):
        answer, text = self.get("/metrics", **headers)
        assert answer.status == 200
        return parse(text)


SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\[\\"n])*",?)*)\})?'
                    r' (-?[0-9.]+(?:e[+-]?[0-9]+)?)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\[\\"n])*)"')


def parse(text):
    """Every sample, by name and labels; what is not the text format fails."""
    assert text.endswith("\n")
    families, found, current = set(), {}, None
    for line in text.splitlines():
        if line == "# EOF":
            continue
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in families, f"{current} comes twice"
            families.add(current)
        elif line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name == current
            assert kind in ("gauge", "counter", "histogram", "info")
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            assert name.startswith(current), line
            key = (name, *sorted(LABEL.findall(labels or "")))
            assert key not in found, line
            found[key] = float(value)
    return found


def key(name, **labels):
    return (name, *sorted(labels.items()))


def of(metrics, name, **labels):
    return metrics.get(key(f"mtgcpd_{name}", **labels))


def wait_metric(served, value, name, **labels):
    """Scrape until that is the value."""
    def same():
        return of(served.metrics(), name, **labels) == value
    wait_until(same, what=f"{name} is {value}", step=0.05)


def stored(clouds):
    """The events that Cloud Logging has, and that each is there once."""
    entries = clouds.logs()
    ids = [e["insertId"] for e in entries]
    assert len(set(ids)) == len(ids)
    return [e["jsonPayload"] for e in entries]


def all_stored(clouds, daemon, timeout=20.0):
    """Wait until Cloud Logging has the very events of the event file."""
    def same():
        return stored(clouds) == daemon.events()
    wait_until(same, timeout, "all events at Cloud Logging")


def test_cloud(place, clouds):
    """Every event goes to Cloud Logging, in order, with its time, how
    important it is and whom it is about; the last one, too."""
    daemon = place.daemon(clouds, "A", f'{QUICK}\n{CLOUD} name "edge/events"')
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    assert daemon.stop() == 0
    assert daemon.events()[0]["operation"] == "startup"
    assert daemon.events()[-1]["operation"] == "shutdown"
    all_stored(clouds, daemon)
    severities = {}
    for entry in clouds.logs():
        event = entry["jsonPayload"]
        severities[event["event_type"], event["result"]] = entry["severity"]
        assert entry.get("labels", {}).get("failover") == event["failover"]
        second = time.strftime("%Y-%m-%dT%H:%M:%S",
                               time.gmtime(event["timestamp"]))
        assert entry["timestamp"].startswith(second)
    assert severities["state_transition", "success"] == "NOTICE"
    assert severities["health_check_result", "success"] == "INFO"
    assert severities["health_check_result", "failure"] == "WARNING"
    request = clouds.requests(path="/v2/entries:write")[0]["request"]
    assert request["logName"] == f"projects/{PROJECT}/logs/edge%2Fevents"
    assert request["resource"]["type"] == "generic_node"
    assert request["resource"]["labels"]["location"] == "region-a"
    assert request["resource"]["labels"]["node_id"] == socket.gethostname()


FAULTS = [
    dict(action="status", status=503),
    dict(action="status", status=429, headers={"Retry-After": "0"}),
    dict(action="status", status=403, reason="forbidden"),
    dict(action="status", status=401),
    dict(action="garbage", apply=True),
    dict(action="html"),
    dict(action="lost"),
    dict(action="truncate"),
    dict(action="reset"),
]


def test_cloud_fails(place, clouds):
    """Whatever goes wrong at Cloud Logging: later every event is there, once,
    and in the meantime nothing else has been disturbed."""
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{CLOUD}")
    daemon.wait_state(1)
    for fault in FAULTS:
        since = clouds.next_seq()
        clouds.fault(path="/v2/entries:write", count=2, **fault)
        wait_until(lambda: len([
            e for e in clouds.requests(since, path="/v2/entries:write")
            if e.get("fault")]) == 2, what=str(fault))
    daemon.wait_cycles(3)
    assert daemon.stop() == 0
    all_stored(clouds, daemon)
    assert {e["result"] for e in daemon.cycles()} == {"success"}
    text = log_of(daemon)
    assert "events cannot be written to Cloud Logging" in text
    assert "events are written to Cloud Logging again" in text
    assert "dropped" not in text


def test_cloud_refuses(place, clouds):
    """An event that Cloud Logging refuses does not hold up the others, and is
    counted."""
    served = Served()
    daemon = place.daemon(clouds, "A",
                          f"{QUICK}\n{CLOUD}\n{served.statement}")
    daemon.wait_state(1)
    clouds.fault("status", "/v2/entries:write", status=400, count=1,
                 apply=False)
    wait_until(lambda: "events cannot be written" in log_of(daemon),
               what="a batch is refused")
    daemon.wait_cycles(3)
    clouds.fault("status", "/v2/entries:write", status=400, count=2,
                 apply=False)
    wait_until(lambda: len([
        e for e in clouds.requests(path="/v2/entries:write")
        if e.get("fault")]) == 3, what="three refusals")
    daemon.wait_cycles(3)
    dropped = of(served.metrics(), "events_dropped_total")
    assert 1 <= dropped <= 3
    assert daemon.stop() == 0
    have = stored(clouds)
    assert len([e for e in daemon.events() if e not in have]) == dropped
    assert "an event was refused by Cloud Logging" in log_of(daemon)


def more_failovers(count):
    """As many failovers that look at the same, and would change nothing."""
    return "".join(f"""failover "{number}" {{
    project "{PROJECT}"
    local region "region-a"
    remote region "region-b"
    local router "router-a"
    remote router "router-b"
    primary prefix 10.0.{number}.0/25
    secondary prefix 10.0.{number}.128/25
    cloudflare routes matching "number {number}."
    passive yes
}}
""" for number in range(count))


def test_cloud_overflows(place, clouds):
    """An outage that lasts too long costs the oldest events, which are
    counted, and said once."""
    served = Served()
    clouds.fault("status", "/v2/entries:write", status=503)
    daemon = place.daemon(
        clouds, "A", f"{QUICK}\n{CLOUD}\n{served.statement}\n"
        f"backoff initial 0.05 max 0.1\n{more_failovers(7)}")
    daemon.wait_cycles(1)
    wait_until(lambda: of(served.metrics(), "events_dropped_total"), 30,
               "events are dropped")
    daemon.wait_cycles(5)
    clouds.clear_faults()
    wait_until(lambda: "written to Cloud Logging again" in log_of(daemon),
               what="events are written again")
    assert log_of(daemon).count("events are dropped") == 1
    daemon.wait_cycles(5)
    dropped = of(served.metrics(), "events_dropped_total")
    assert daemon.stop() == 0
    have, events = stored(clouds), daemon.events()
    assert len(have) == len(events) - dropped
    assert len(have) >= 2000
    # What was being written when room was needed is kept.
    assert have[500:] == events[500 - len(have):]


def test_cloud_is_stuck(place, clouds):
    """While Cloud Logging does not answer, and while the reporter itself does
    not turn, cycles and plans go on as ever; what is too much is counted."""
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{CLOUD}\ntimeout api 1")
    daemon.wait_state(1)
    clouds.fault("hang", "/v2/entries:write")
    reporter = daemon.children()["reporter"]
    os.kill(reporter, signal.SIGSTOP)
    try:
        since = len(daemon.events())
        clouds.health("region-a", "UNHEALTHY")
        daemon.wait_state(2, since=since)
        daemon.wait_cycles(10)
        for cycle in daemon.cycles():
            assert cycle["duration_ms"] < 1000, cycle
    finally:
        os.kill(reporter, signal.SIGCONT)
    clouds.clear_faults()
    all_stored(clouds, daemon)


def test_no_right_to_write_logs(place, clouds):
    """A key that may not write logs is an error in the log, and no more."""
    served = Served()
    daemon = place.daemon(clouds, "A",
                          f"{QUICK}\n{CLOUD}\n{served.statement}")
    clouds.fault("status", "/v2/entries:write", status=403,
                 reason="forbidden")
    daemon.wait_state(1)
    wait_until(lambda: "cannot be written to Cloud Logging: HTTP 403"
               in log_of(daemon), what="a line in the log")
    assert served.get("/readyz")[0].status == 200
    assert log_of(daemon).count("info events cannot") == 0
