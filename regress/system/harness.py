# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What the system tests and the demo share: the simulated clouds, the real
daemon, its configuration and its events.  Everything is on loopback, and every
process is ended by the pid that started it."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MTGCPD_BUILD", ROOT / "build"))

PROJECT = "demo-project"
ACCOUNT = "0123456789abcdef0123456789abcdef"
X = "203.0.113.0/24"  # lives at site A
Y = "198.51.100.0/24"  # lives at site B

# Memory that was released is overwritten: who still uses it is found out.
SPOILT = {"MALLOC_PERTURB_": "165"}

# The two sides, each as its own daemon sees it.
SIDES = {
    "A": dict(local="region-a", remote="region-b", local_router="router-a",
              remote_router="router-b", primary=X, secondary=Y,
              match="mt-gcpd A primary"),
    "B": dict(local="region-b", remote="region-a", local_router="router-b",
              remote_router="router-a", primary=Y, secondary=X,
              match="mt-gcpd B primary"),
}


def wait_until(condition, timeout=20.0, what="condition", step=0.02):
    """Return the first true value of condition(), or fail after timeout."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(step)


class Clouds:
    """The simulated clouds, and the control interface that tests use."""

    prefix = ()  # of the command that starts them

    def __init__(self, directory, *arguments):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [*self.prefix, BUILD / "cloudsim", "-d", str(self.directory),
             *arguments],
            stdin=subprocess.DEVNULL)
        ready = self.directory / "ready.json"
        wait_until(lambda: ready.exists() or self.process.poll() is not None,
                   what="cloudsim is ready")
        assert self.process.poll() is None, "cloudsim ended at start"
        self.ready = json.loads(ready.read_text())
        self.first = self.world()

    def reset(self):
        """Be as at the start, for the next test."""
        for what in ("/faults", "/operations", "/tokens"):
            self.call("DELETE", what)
        self.call("PUT", "/world", self.first)
        for what in ("/journal", "/clockwork", "/stats", "/logs"):
            self.call("DELETE", what)

    def connection(self):
        return http.client.HTTPConnection(
            "127.0.0.1", self.ready["control_port"], timeout=10)

    def call(self, method, path, body=None):
        connection = self.connection()
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body),
                {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status < 300, f"{method} {path}: {text}"
        return json.loads(text) if text else None

    def world(self):
        return self.call("GET", "/world")

    def patch(self, change):
        """Change the world by a JSON merge patch."""
        return self.call("PATCH", "/world", change)

    def settings(self, **settings):
        return self.patch({"settings": settings})

    def health(self, region, state, **more):
        return self.call("POST", "/health",
                         dict(region=region, state=state, **more))

    def bgp(self, router, status, **more):
        return self.call("POST", "/bgp",
                         dict(router=router, status=status, **more))

    def fault(self, action, path, method=None, scope=None, sa=None, count=0,
              skip=0, **more):
        match = {"path": path}
        if sa:
            match["sa"] = sa
        if method:
            match["method"] = method
        if scope:
            match["scope"] = scope
        return self.call("POST", "/faults", dict(
            match=match, count=count, skip=skip, action=action, **more))

    def clear_faults(self):
        return self.call("DELETE", "/faults")

    def journal(self, since=0):
        return self.call("GET", f"/journal?since={since}")["entries"]

    def next_seq(self):
        return self.call("GET", "/journal?since=999999999999")["next"]

    def requests(self, since=0, method=None, path=""):
        """The requests, of a method; those that ask whether a write would be
        taken are not among the writes."""
        return [e for e in self.journal(since)
                if "method" in e and path in e["path"]
                and (method is None or (
                    e["method"] == method
                    and "validate_only" not in (e.get("query") or "")))]

    def writes(self, since=0):
        return [e for e in self.journal(since)
                if e.get("method") in ("PATCH", "PUT", "DELETE")
                and "validate_only" not in (e.get("query") or "")]

    def logs(self):
        """What Cloud Logging has stored, each entry once."""
        return self.call("GET", "/logs")["entries"]

    def clockwork(self):
        return self.call("GET", "/clockwork")

    def router(self, name):
        for region in self.world()["projects"][PROJECT]["regions"].values():
            if name in region.get("routers", {}):
                return region["routers"][name]
        raise KeyError(name)

    def ranges(self, name):
        bgp = self.router(name).get("bgp", {})
        return [r["range"] for r in bgp.get("advertisedIpRanges", [])]

    def routes(self):
        return self.world()["cloudflare"]["accounts"][ACCOUNT]["routes"]

    def priority(self, match):
        found = [r["priority"] for r in self.routes()
                 if match in (r.get("description") or "")]
        assert len(found) == 1, found
        return found[0]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


def configuration(clouds, side, directory, top="", block="", **changes):
    """The configuration of one side's daemon, quick enough for tests.  top and
    block are statements added at the top and inside the failover; changes
    override what SIDES says."""
    values = dict(SIDES[side], **changes)
    directory = pathlib.Path(directory)
    ready = clouds.ready
    names = {}
    for name in ("actuator.json", "prober.json", "cloudflare.token"):
        names[name] = values.pop(name, clouds.directory / name)
    defaults = {
        "prober credentials":
            f'prober credentials file "{names["prober.json"]}"',
        "actuator credentials":
            f'actuator credentials file "{names["actuator.json"]}"',
        "interval": "interval 0.3",
        "health window": "health window 1 up 1 down 1",
        "health unknown-after": "health unknown-after 30",
        "bgp down-after": "bgp down-after 0",
        "return-after": "return-after 0",
        "brake": "brake no",
        "backoff": "backoff initial 0.02 max 0.1",
        "breaker": "breaker threshold 1000 timeout 300",
        "limit requests": "limit requests 10000 per second",
        "handover": "handover wait 1",
        "drain": "drain 1",
        "timeout bgp-update": "timeout bgp-update 5",
        "timeout health": "timeout health 3",
        "timeout api": "timeout api 3",
        "endpoint compute": f'endpoint compute "{ready["compute"]}"',
        "endpoint cloudflare": f'endpoint cloudflare "{ready["cloudflare"]}"',
        "endpoint logging": f'endpoint logging "{ready["logging"]}"',
        "nameserver": f'nameserver 127.0.0.1 port {ready["dns_port"]}',
        "control socket": f'control socket "{directory / "sock"}"',
        "log syslog": "log syslog no",
        "log level": "log level debug",
    }
    given = top + "\n" + block
    lines = [line for key, line in defaults.items()
             if not any(one.strip().startswith(key)
                        for one in given.splitlines())]
    return "\n".join([
        f'cloudflare account "{ACCOUNT}" token file '
        f'"{names["cloudflare.token"]}"',
        f'tls ca file "{clouds.directory / "ca.pem"}"',
        f'chroot "{directory / "empty"}"',
        f'log file "{directory / "log"}"',
        f'log events file "{directory / "events"}"',
        f'state file "{directory / "state.json"}"',
        *lines, top,
        f'failover "{side}" {{',
        f'    project "{PROJECT}"',
        f'    local region "{values["local"]}"',
        f'    remote region "{values["remote"]}"',
        f'    local router "{values["local_router"]}"',
        f'    remote router "{values["remote_router"]}"',
        f'    primary prefix {values["primary"]}',
        f'    secondary prefix {values["secondary"]}',
        f'    cloudflare routes matching "{values["match"]}"',
        block, "}", ""])


class Daemon:
    """A running mt-gcpd."""

    option = "-f"
    file = "mt-gcpd.conf"

    def __init__(self, directory, text, *arguments):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        (self.directory / "empty").mkdir(mode=0o755, exist_ok=True)
        self.conf = self.directory / self.file
        self.conf.write_text(text)
        self.conf.chmod(0o600)
        self.arguments = arguments
        self.start()

    def start(self):
        self.errors = open(self.directory / "stderr", "ab")
        self.process = subprocess.Popen(
            [BUILD / "mt-gcpd", "-d", *self.arguments, self.option,
             str(self.conf)], env=dict(os.environ, **SPOILT),
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)

    def stderr(self):
        return (self.directory / "stderr").read_text()

    def events(self, event_type=None):
        path = self.directory / "events"
        if not path.exists():
            return []
        events = [json.loads(line) for line in
                  path.read_text().splitlines(keepends=True)
                  if line.endswith("\n")]
        return [e for e in events
                if event_type is None or e["event_type"] == event_type]

    def cycles(self):
        return self.events("health_check_cycle")

    def check(self):
        assert self.process.poll() is None, \
            f"mt-gcpd ended with {self.process.returncode}:\n{self.stderr()}"

    def wait_event(self, condition, timeout=20.0, what="event", since=0):
        """The first event after the since'th for which condition holds."""
        def find():
            self.check()
            return next((e for e in self.events()[since:] if condition(e)),
                        None)
        return wait_until(find, timeout, what)

    def wait_state(self, state, timeout=20.0, plan="done", since=0):
        """The first cycle that shows the state with its plan ended so."""
        return self.wait_event(
            lambda e: e["event_type"] == "health_check_cycle"
            and e["details"]["current_state"] == state
            and e["details"]["state_code"] == state
            and (plan is None or e["details"]["plan"]["status"] == plan),
            timeout, f"state {state}, plan {plan}", since)

    def wait_cycles(self, count, timeout=20.0):
        """Let that many more cycles go by."""
        until = len(self.cycles()) + count

        def passed():
            self.check()
            return len(self.cycles()) >= until
        wait_until(passed, timeout, f"{count} cycles")

    def children(self):
        """The pids of the child processes, by role."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        found = {}
        for pid in pathlib.Path(path).read_text().split():
            title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            for role in ("resolver", "signer", "prober", "actuator",
                         "reporter"):
                if role.encode() in title:
                    found[role] = int(pid)
        return found

    def stop(self, timeout=15.0):
        """End the daemon as an administrator would; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
            raise
        finally:
            self.errors.close()
        return self.process.returncode


class Workplace:
    """A directory that unprivileged processes may look into, and all that was
    started in it; everything is gone when it is closed."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="mt-gcpd."))
        self.path.chmod(0o755)
        self.started = []

    def clouds(self, *arguments):
        clouds = Clouds(self.path / "clouds", *arguments)
        self.started.append(clouds)
        return clouds

    def daemon(self, clouds, side="A", top="", block="", arguments=(),
               name=None, **changes):
        directory = self.path / (name or side)
        directory.mkdir(exist_ok=True)
        daemon = Daemon(directory, configuration(
            clouds, side, directory, top, block, **changes), *arguments)
        self.started.append(daemon)
        return daemon

    def close(self):
        for one in reversed(self.started):
            if one.process.poll() is None:
                one.process.send_signal(signal.SIGTERM)
                try:
                    one.process.wait(15)
                except subprocess.TimeoutExpired:
                    one.process.kill()
                    one.process.wait(5)
        shutil.rmtree(self.path)
