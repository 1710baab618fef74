# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Tokens of the machine's metadata server: the actuator fetches them for all,
each for the scope of its process, and there is no key anywhere."""

import http.server
import json
import signal
import threading
import urllib.parse
import urllib.request

import pytest

from checks import check_desired
from harness import wait_until

QUICK = """interval 0.1
handover no
drain 0
timeout api 1
timeout health 1"""

ACCOUNT = "mt-gcpd@demo-project.iam.gserviceaccount.com"
TOKENS = "/computeMetadata/v1/instance/service-accounts/"
SCOPE = "https://www.googleapis.com/auth/"


def log_of(daemon):
    return (daemon.directory / "log").read_text()


def metadata(endpoint, prober="credentials metadata",
             actuator="credentials metadata"):
    return "\n".join([QUICK, f"prober {prober}", f"actuator {actuator}",
                      f'endpoint metadata "{endpoint}"'])


def asked(clouds, since=0):
    """What the metadata server was asked: path and scopes of each request."""
    return [(e["path"], urllib.parse.parse_qs(e["query"])["scopes"][0])
            for e in clouds.requests(since, "GET", "/computeMetadata/")]


class Server(http.server.ThreadingHTTPServer):
    """A metadata server that answers as a test wants it: with the status and
    the headers that it says, and the token of the simulated one."""

    daemon_threads = True

    def __init__(self, clouds):
        super().__init__(("127.0.0.1", 0), Answer)
        self.clouds = clouds
        self.status = 200
        self.flavor = "Google"
        self.body = None
        self.seen = []
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.seen.append((self.path, dict(self.headers)))
        body = server.body
        if body is None:
            with urllib.request.urlopen(urllib.request.Request(
                    server.clouds.ready["metadata"] + self.path,
                    headers={"Metadata-Flavor": "Google"})) as answer:
                body = answer.read()
        self.send_response(server.status)
        if server.flavor is not None:
            self.send_header("Metadata-Flavor", server.flavor)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(clouds):
    server = Server(clouds)
    yield server
    server.close()


def test_scopes(place, clouds):
    """A failover without any key: each process has a token of its own scope,
    and nobody asks the token endpoint."""
    daemon = place.daemon(clouds, "A", metadata(clouds.ready["metadata"]))
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    check_desired(clouds, 2)
    compute = clouds.requests(path="/compute/")
    for entry in compute:
        reads = entry["method"] == "GET" \
            or entry["path"].endswith("/getHealth")
        assert entry["scope"] in (("compute", "compute.readonly") if reads
                                  else ("compute",)), entry
    assert {e["scope"] for e in compute} == {"compute", "compute.readonly"}
    assert clouds.requests(path="/token", method="POST") == []
    assert set(asked(clouds)) == {
        (TOKENS + "default/token", SCOPE + "compute"),
        (TOKENS + "default/token", SCOPE + "compute.readonly")}
    # One that can write goes to nobody else: the prober's calls are reads.
    assert {e["scope"] for e in compute
            if e["path"].endswith("/getHealth")} == {"compute.readonly"}


def test_account(place, clouds):
    """The accounts that the statements name are the ones asked for, and one
    process may have a key while another has none."""
    daemon = place.daemon(clouds, "A", "\n".join([
        QUICK, f'actuator credentials metadata account "{ACCOUNT}"',
        f'endpoint metadata "{clouds.ready["metadata"]}/"']))
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    assert set(asked(clouds)) == {
        (TOKENS + ACCOUNT + "/token", SCOPE + "compute")}
    assert len(clouds.requests(path="/token", method="POST")) == 1


def test_cloud_logging(place, clouds):
    daemon = place.daemon(
        clouds, "A", metadata(clouds.ready["metadata"])
        + '\nlog cloud project "demo-project" credentials metadata')
    daemon.wait_state(1)
    wait_until(clouds.logs, what="an entry at Cloud Logging")
    assert (TOKENS + "default/token", SCOPE + "logging.write") in asked(clouds)
    assert {e["scope"] for e in clouds.requests(path="entries:write")} == \
        {"logging.write"}


def test_renewed(place, clouds):
    """A token that lives for a moment only is replaced before it ends."""
    clouds.settings(token_ttl=2)
    daemon = place.daemon(clouds, "A", metadata(clouds.ready["metadata"]))
    daemon.wait_state(1)
    since = len(daemon.events())
    first = len(asked(clouds))
    wait_until(lambda: len(asked(clouds)) >= first + 8,
               what="four more tokens for each of two")
    for cycle in daemon.events()[since:]:
        if cycle["event_type"] == "health_check_cycle":
            assert None not in cycle["details"]["samples"].values(), cycle


def test_request(place, clouds, server):
    """The request says what it is, and carries no credential."""
    daemon = place.daemon(clouds, "A", metadata(server.url))
    daemon.wait_state(1)
    assert len(server.seen) == 2
    for path, headers in server.seen:
        assert path.startswith(TOKENS + "default/token?scopes=")
        assert headers["Metadata-Flavor"] == "Google"
        assert "Authorization" not in headers


@pytest.mark.parametrize("status, flavor, body, says", [
    (200, None, None, "without \"Metadata-Flavor: Google\""),
    (200, "Giggle", None, "without \"Metadata-Flavor: Google\""),
    (403, "Google", b"{}", "access scopes do not allow it"),
    (404, "Google", b"{}", "no such service account"),
    (503, "Google", b"", "HTTP 503"),
    (200, "Google", b"[]", "the answer is not JSON"),
    (200, "Google", b"{}", "no access token that can be used"),
    (200, "Google", json.dumps({"access_token": "a\nb"}).encode(),
     "no access token that can be used"),
    (302, "Google", b"", "HTTP 302"),
], ids=["no-flavor", "other-flavor", "scopes", "account", "unavailable",
        "array", "empty", "characters", "elsewhere"])
def test_refused(place, clouds, server, status, flavor, body, says):
    """No token: nothing is known and nothing is done, and the log says why;
    as soon as there is one, all goes on."""
    server.status, server.flavor, server.body = status, flavor, body
    daemon = place.daemon(clouds, "A", metadata(server.url))
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_cycles(3)
    wait_until(lambda: says in log_of(daemon), what=says)
    for cycle in daemon.cycles():
        assert set(cycle["details"]["samples"].values()) == {None}
    assert clouds.writes() == []
    server.status, server.flavor, server.body = 200, "Google", None
    daemon.wait_state(2)
    check_desired(clouds, 2)


def test_reload(place, clouds):
    """Another account, and key files, and back, come with a reload."""
    daemon = place.daemon(clouds, "A", metadata(clouds.ready["metadata"]))
    daemon.wait_state(1)
    text = daemon.conf.read_text()

    def reload(new):
        since = len(daemon.events())
        daemon.conf.write_text(new)
        daemon.process.send_signal(signal.SIGHUP)
        return daemon.wait_event(
            lambda e: e["event_type"] == "daemon_lifecycle"
            and e["operation"] == "reload", since=since)

    named = text.replace("prober credentials metadata",
                         f'prober credentials metadata account "{ACCOUNT}"')
    assert reload(named)["result"] == "success"
    daemon.wait_cycles(2)
    assert (TOKENS + ACCOUNT + "/token", SCOPE + "compute.readonly") in \
        asked(clouds)
    files = text.replace(
        "prober credentials metadata",
        f'prober credentials file "{clouds.directory / "prober.json"}"')
    files = files.replace(
        "actuator credentials metadata",
        f'actuator credentials file "{clouds.directory / "actuator.json"}"')
    seq = clouds.next_seq()
    assert reload(files)["result"] == "success"
    since = len(daemon.events())
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2, since=since)
    assert len(clouds.requests(seq, "POST", "/token")) == 2
    assert asked(clouds, seq) == []
    assert reload(text)["result"] == "success"
    since = len(daemon.events())
    clouds.health("region-a", "HEALTHY")
    daemon.wait_state(1, since=since)


def test_reload_cannot_reach(place, clouds):
    """Who was started with key files has no way to the metadata server."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    since = len(daemon.events())
    daemon.conf.write_text(daemon.conf.read_text().replace(
        f'actuator credentials file "{clouds.directory / "actuator.json"}"',
        "actuator credentials metadata\n"
        f'endpoint metadata "{clouds.ready["metadata"]}"'))
    daemon.process.send_signal(signal.SIGHUP)
    event = daemon.wait_event(
        lambda e: e["event_type"] == "daemon_lifecycle"
        and e["operation"] == "reload", since=since)
    assert event["result"] == "failure"
    assert "the actuator cannot use another port" in event["error_message"]
    daemon.wait_cycles(2)
