# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The reporter: metrics, the status page, events at Cloud Logging; and that
nobody waits for it."""

import calendar
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

from harness import BUILD, PROJECT, X, Y, configuration, wait_until
from test_connectivity import set_token
from test_process import (Unprivileged, copy_programs, descriptors, gone,
                          inet_sockets, log_of, needs_root, sockets, status)
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
    not turn, cycles, plans and reloads go on as ever."""
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
        assert reload(daemon)["result"] == "success"
        daemon.wait_cycles(3)
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


def test_metrics(place, clouds):
    """After a failover the metrics say what happened, in both formats."""
    served = Served()
    set_token(clouds, expires_on="2036-01-02T03:04:05-08:00")
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}")
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    clouds.bgp("router-b", "DOWN", peer="peer-b-1")
    daemon.wait_cycles(2)
    wait_metric(served, 0, "bgp_peer_up", failover="A", router="router-b",
                peer="peer-b-1")
    wait_metric(served, 0, "advertised", failover="A", prefix=X)
    m = served.metrics()
    a = dict(failover="A")
    assert of(m, "state", **a) == of(m, "state_read", **a) == 2
    assert 0 < of(m, "state_seconds", **a) < 30
    assert of(m, "verdict", check="local", **a) == 0
    assert of(m, "verdict", check="remote", **a) == 1
    assert of(m, "verdict", check="remote_bgp", **a) == 1
    sick = daemon.wait_event(lambda e: e["event_type"] == "health_check_result"
                             and e["details"].get("unhealthy"))["details"]
    assert of(m, "endpoints", region="region-a", state="unhealthy", **a) \
        == sick["endpoints"] == 8
    assert of(m, "endpoints", region="region-b", state="healthy", **a) == 8
    assert of(m, "bgp_peer_up", router="router-b", peer="peer-b-2", **a) == 1
    assert of(m, "remote_announces", prefix=X, **a) == 0
    assert of(m, "remote_announces", prefix=Y, **a) == 1
    assert of(m, "cloudflare_priority", **a) == 200
    assert of(m, "transitions_total", **{"from": "1", "to": "2"}, **a) == 1
    assert of(m, "cloudflare_token_expiry_timestamp_seconds") \
        == calendar.timegm((2036, 1, 2, 11, 4, 5))
    assert of(m, "starts_total") == 1
    assert of(m, "events_dropped_total") == 0
    assert abs(of(m, "last_cycle_timestamp_seconds", **a) - time.time()) < 30
    for phase in ("detect", "verify", "write", "effect"):
        assert of(m, "reaction_seconds_count", phase=phase) == 1, phase
    assert of(m, "reaction_seconds_sum", phase="effect") \
        >= of(m, "reaction_seconds_sum", phase="write")
    assert of(m, "api_requests_total", api="compute", method="PATCH",
              code="200") == 1
    assert of(m, "api_requests_total", api="oauth", method="POST",
              code="200") == 2
    assert abs(of(m, "clock_skew_seconds", api="compute")) < 2
    for service in ("gcp_bgp", "cloudflare", "gcp_health_local"):
        assert of(m, "breaker_state", service=service, **a) == 0
    cycles = of(m, "cycles_total", result="success", **a)
    assert 0 < cycles <= len(daemon.cycles())
    assert of(m, "cycle_duration_seconds_count") >= cycles
    answer, text = served.get("/metrics", Accept="application/openmetrics-text"
                              ";version=1.0.0,text/plain;q=0.5")
    assert answer.headers["Content-Type"].startswith(
        "application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert set(parse(text)) == set(served.metrics())


def test_requests_that_fail(place, clouds):
    """What the clouds refuse and what never answers is counted, and shows in
    what is not known, in breakers and in the checks."""
    served = Served()
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}",
                          block="health unknown-after 0.3\nretries health 0\n"
                          "breaker threshold 3 timeout 300")
    daemon.wait_state(1)
    assert served.get("/readyz")[0].status == 200
    clouds.fault("status", "/backendServices", status=503)
    wait_metric(served, 1, "breaker_state", failover="A",
                service="gcp_health_local")
    wait_metric(served, -1, "verdict", failover="A", check="local")
    m = served.metrics()
    assert of(m, "state", failover="A") == 1
    assert of(m, "state_read", failover="A") == 0
    assert of(m, "api_requests_total", api="compute", method="GET",
              code="503") > 0
    assert of(m, "cycles_total", failover="A", result="failure") > 0
    answer, text = served.get("/readyz")
    assert (answer.status, text) == (503, "A: reads state 0\n")
    assert served.get("/healthz")[0].status == 200
    assert daemon.stop() == 0


def test_starts_are_counted(place, clouds):
    served = Served()
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}")
    for count in (1, 2, 3):
        daemon.wait_state(1, since=len(daemon.events()) if count > 1 else 0)
        wait_metric(served, count, "starts_total")
        assert daemon.stop() == 0
        if count < 3:
            daemon.start()


PROMTOOL = shutil.which("promtool", path=f"{os.environ['PATH']}:{BUILD}")


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool")
def test_promtool(place, clouds):
    """Prometheus' own tool has nothing to say about the metrics."""
    served = Served()
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}")
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    ended = subprocess.run([PROMTOOL, "check", "metrics"], text=True,
                           input=served.get("/metrics")[1], timeout=30,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_server(place, clouds):
    """It reads, and does nothing else; and it has limits."""
    served = Served("::1")
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}")
    daemon.wait_state(1)
    for path, kind in (("/", "text/html"), ("/metrics", "text/plain"),
                       ("/healthz", "text/plain")):
        answer, text = served.get(path)
        assert answer.status == 200
        headers = answer.headers
        assert headers["Content-Type"].startswith(kind)
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        head, nothing = served.get(path, method="HEAD")
        assert (head.status, nothing) == (200, "")
        assert int(head.headers["Content-Length"]) > 0
    assert served.get("/favicon.ico")[0].status == 404
    assert served.get("/metrics/x")[0].status == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert served.get("/", method=method)[0].status in (405, 501)
    assert served.get("/", **{"X-Long": "x" * 10000})[0].status == 400
    since = len(daemon.cycles())
    slow = [socket.create_connection((served.address, served.port))
            for _ in range(40)]
    try:
        for one in slow:
            one.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        inodes = sockets(daemon.children()["reporter"])
        assert len(inodes) <= 32 + 2  # the channel, and what listens
        daemon.wait_cycles(5)
        for cycle in daemon.cycles()[since:]:
            assert cycle["duration_ms"] < 1000, cycle
    finally:
        for one in slow:
            one.close()
    wait_until(lambda: served.get("/healthz")[0].status == 200,
               what="it serves again")


def test_page(place, clouds):
    """The status page shows what there is, and text is nothing but text."""
    served = Served()
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}\n"
                          + more_failovers(1).replace('"0"', '"<i>&\'x"', 1))
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)

    def shown():
        _, text = served.get("/")
        return text if text.count("priority 200 seen") else None
    text = wait_until(shown, what="the page shows the priority")
    for part in ("State 2", X, Y, "peer-a-1", "router-b", "unhealthy",
                 "withdraw", "gcp_local_advertisement", "region-a",
                 "Transitions of the last 24 hours", "<svg", "passive",
                 "name=\"viewport\"", "&#60;i&#62;&#38;&#39;x"):
        assert part in text, part
    assert "<i>" not in text and "<script" not in text
    assert "http://" not in text and "https://" not in text


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize("width", [390, 1200])
def test_page_in_a_browser(place, clouds, width):
    """A browser shows it without a complaint, on a phone as on a desk."""
    served = Served()
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}")
    daemon.wait_state(1)
    picture = place.path / "page.png"
    ended = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
         "--enable-logging=stderr", f"--user-data-dir={place.path}/browser",
         f"--window-size={width},900", f"--screenshot={picture}",
         "--dump-dom", f"http://127.0.0.1:{served.port}/"],
        text=True, timeout=60, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert ended.returncode == 0, ended.stderr
    assert "CONSOLE" not in ended.stderr, ended.stderr
    assert "State 1" in ended.stdout and "peer-a-1" in ended.stdout
    assert picture.stat().st_size > 10000


@needs_root
def test_confined(place, clouds):
    """The reporter is confined as the others are, and holds the socket that
    it serves; the parent has closed it."""
    served = Served()
    daemon = place.daemon(clouds, "A",
                          f"{QUICK}\n{CLOUD}\n{served.statement}")
    daemon.wait_state(1)
    served.metrics()
    children = daemon.children()
    pid = children["reporter"]
    what = status(pid)
    assert what["Seccomp"] == "2" and what["NoNewPrivs"] == "1"
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(what[kind], 16) == 0, kind
    users = [status(one)["Uid"].split()[0] for one in children.values()]
    assert "0" not in users and len(set(users)) == len(users) == 5
    assert len(set(what["Uid"].split())) == 1
    assert what["Groups"].split() in ([], what["Gid"].split()[:1])
    empty = str(daemon.directory / "empty")
    assert os.readlink(f"/proc/{pid}/root") == empty
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0
    for name in descriptors(pid):
        assert name == "/dev/null" or name.startswith((
            "socket:", "pipe:", "anon_inode:")), name
    listening = os.readlink(f"/proc/{pid}/fd/4")
    assert int(listening[8:-1]) in inet_sockets()
    assert not sockets(daemon.process.pid) & inet_sockets()
    for role in ("resolver", "signer", "prober", "actuator"):
        assert listening not in descriptors(children[role])
    program = subprocess.run(
        ["ldd", pathlib.Path(f"/proc/{daemon.process.pid}/exe").resolve()],
        check=True, text=True, stdout=subprocess.PIPE).stdout
    assert "libevent_extra" not in program


def test_killed(place, clouds):
    """The end of the reporter is the end of the daemon."""
    served = Served()
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}")
    daemon.wait_state(1)
    children = daemon.children()
    os.kill(children["reporter"], signal.SIGKILL)
    assert daemon.process.wait(10) == 1
    wait_until(lambda: all(gone(pid) for pid in children.values()),
               what="no child is left")
    assert "the reporter was killed by signal 9" in log_of(daemon)
    daemon.start()
    daemon.wait_state(1, since=len(daemon.events()))


def test_port_is_taken(place, clouds):
    """A daemon that cannot serve what it should does not start."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        daemon = place.daemon(
            clouds, "A", f"{QUICK}\nmetrics listen on 127.0.0.1 port {port}")
        assert daemon.process.wait(10) == 1
    assert f"metrics listen on 127.0.0.1 port {port}: Address already in use" \
        in daemon.stderr()


def test_unprivileged(place, clouds):
    """It serves and writes without root as well."""
    copy_programs(place)
    served = Served()
    directory = place.path / "A"
    directory.mkdir()
    files = {}
    for name in ("prober.json", "actuator.json", "cloudflare.token"):
        files[name] = directory / name
        shutil.copy(clouds.directory / name, files[name])
    shutil.copy(clouds.directory / "ca.pem", directory)
    text = configuration(clouds, "A", directory,
                         f"{QUICK}\n{CLOUD}\n{served.statement}", **files)
    daemon = Unprivileged(directory, text.replace(
        str(clouds.directory / "ca.pem"), str(directory / "ca.pem")))
    place.started.append(daemon)
    daemon.wait_state(1)
    assert served.get("/readyz")[0].status == 200
    assert daemon.stop() == 0
    all_stored(clouds, daemon)


def test_without(place, clouds):
    """Where nothing is to be reported there is no reporter."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    assert "reporter" not in daemon.children()


def test_reload(place, clouds):
    """What is counted goes on under a new configuration; another listener, or
    the beginning of Cloud Logging, needs a restart."""
    served = Served()
    daemon = place.daemon(clouds, "A",
                          f"{QUICK}\n{CLOUD}\n{served.statement}")
    daemon.wait_state(1)
    text = daemon.conf.read_text()
    refused(daemon, text.replace(served.statement, ""),
            '"metrics listen" cannot change without a restart')
    refused(daemon, text.replace(f"port {served.port}", "port 9"),
            '"metrics listen" cannot change without a restart')
    refused(daemon, text.replace(CLOUD, ""),
            '"log cloud" cannot begin or end without a restart')
    refused(daemon, text.replace("/v2\"", ":9/v2\"").replace(
        f":{clouds.ready['logging'].split(':')[2].split('/')[0]}:9", ":9"),
        "cannot use another port")
    before = served.metrics()
    cycles = key("mtgcpd_cycles_total", failover="A", result="success")
    event = reload(daemon, more_failovers(1) + text.replace(
        CLOUD, f'{CLOUD} name "other"'))
    assert event["result"] == "success"
    for name in ("0", "A"):
        wait_metric(served, 1, "state", failover=name)
    after = served.metrics()
    assert after[cycles] >= before[cycles]
    assert of(after, "transitions_total", failover="A",
              **{"from": "0", "to": "1"}) == 1
    assert daemon.stop() == 0
    all_stored(clouds, daemon)
    names = {e["request"]["logName"].split("/")[-1]
             for e in clouds.requests(path="/v2/entries:write")}
    assert names == {"mt-gcpd", "other"}


NONSENSE = [
    b"\0" * 100,
    b"\r\n" * 100,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET http://[::1/ HTTP/1.1\r\n\r\n",
    b"GET //%00/../metrics?\xff HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nA\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nx",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"ffffffffffffffff\r\nx",
    b"CONNECT localhost:1 HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    b"GET /healthz HTTP/1.1\r\n\r\n" * 50,
]


def test_nonsense(place, clouds):
    """Whatever comes in, the reporter goes on; connections that are over are
    closed."""
    served = Served()
    daemon = place.daemon(clouds, "A", f"{QUICK}\n{served.statement}")
    daemon.wait_state(1)
    pid = daemon.children()["reporter"]
    before = len(descriptors(pid))
    for bytes_ in NONSENSE:
        with socket.create_connection((served.address, served.port),
                                      timeout=10) as one:
            try:
                one.sendall(bytes_)
                one.shutdown(socket.SHUT_WR)
                while one.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert served.get("/healthz")[0].status == 200, bytes_
    wait_until(lambda: len(descriptors(pid)) == before,
               what="all connections are closed")
    daemon.check()
