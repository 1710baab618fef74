# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What the measurements share: worlds of any size, a proxy that speaks HTTP/2,
the daemon on them, a minimal client as the floor, and the clocks."""

import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import harness  # noqa: E402
from harness import BUILD, wait_until  # noqa: E402
from proxy import Proxy  # noqa: E402

REGIONS = ("region-a", "region-b")
PER_PROJECT = 20  # services of a project, each one failover's
ROLES = ("parent", "resolver", "signer", "prober", "actuator")

# What the daemon asks for, in a cycle; also what the minimal client does.
LIST = ("?maxResults=500&prettyPrint=false&fields=items(name,healthChecks,"
        "backends(group,capacityScaler,failover)),nextPageToken,"
        "warning(code,message)")
HEALTH = ("?prettyPrint=false&fields=healthStatus(healthState,"
          "ipv6HealthState,instance,ipAddress,ipv6Address,port,"
          "forwardingRule)")
ROUTER = ("?prettyPrint=false&fields=name,bgp(advertiseMode,"
          "advertisedIpRanges(range)),bgpPeers(name,enable,advertiseMode,"
          "advertisedIpRanges(range))")
STATUS = ("?prettyPrint=false&fields=result(bgpPeerStatus(name,status,state,"
          "statusReason,advertisedRoutes(destRange)))")

LINKS = "https://www.googleapis.com/compute/v1/projects/"


def middle(values):
    """The mean of the middle half: finer than the clock's steps, and deaf to
    what else the machine was doing."""
    values = sorted(values)
    cut = len(values) // 4
    return statistics.fmean(values[cut:len(values) - cut])


def project_of(number):
    return f"bench-{number // PER_PROJECT:03d}"


def account_of(number):
    return f"{number // PER_PROJECT + 1:032x}"


def prefixes(number):
    """The primary and the secondary prefix of a failover."""
    return (f"10.{number // 128}.{number % 128 * 2}.0/24",
            f"10.{number // 128}.{number % 128 * 2 + 1}.0/24")


def group(project, region, service, number):
    return (f"{LINKS}{project}/zones/{region}-b/networkEndpointGroups/"
            f"neg-{service}-{number}")


class World:
    """failovers of them, with a service each; PER_PROJECT share a project, a
    pair of routers and an account.  The services have groups groups in each
    region, of two endpoints.  A project is whole even if there are fewer
    failovers, so that answers are of the same size at any number."""

    def __init__(self, failovers, groups, services=PER_PROJECT):
        self.failovers = failovers
        self.groups = groups
        self.services = services

    def service(self, project, region, number):
        name = f"svc-{number:04d}"
        links = [group(project, region, number, i) for i in range(self.groups)]
        place = f"{LINKS}{project}/regions/{region}"
        return name, {
            "kind": "compute#backendService", "id": str(10 ** 17 + number),
            "name": name, "protocol": "HTTP", "port": 80, "timeoutSec": 30,
            "loadBalancingScheme": "EXTERNAL_MANAGED",
            "selfLink": f"{place}/backendServices/{name}", "region": place,
            "healthChecks": [f"{place}/healthChecks/{name}"],
            "backends": [{"group": link, "balancingMode": "RATE",
                          "maxRatePerEndpoint": 100, "capacityScaler": 1.0}
                         for link in links],
            "health": {link: [
                {"healthState": "HEALTHY", "port": 8080,
                 "ipAddress": f"10.{number % 256}.{i % 256}.{n}",
                 "instance": f"{LINKS}{project}/zones/{region}-b/instances/"
                             f"node-{number}-{i}-{n}"}
                for n in range(2)] for i, link in enumerate(links)}}

    def build(self, like):
        """Such a world, with routers like those of the reference topology."""
        projects, accounts = {}, {}
        last = max(1, -(-self.failovers // PER_PROJECT)) * PER_PROJECT
        old = like["projects"][harness.PROJECT]["regions"]
        for first in range(0, last, PER_PROJECT):
            project = project_of(first)
            numbers = range(first, first + self.services)
            regions = json.loads(json.dumps(old).replace(
                harness.PROJECT, project))
            for side, (region, one) in enumerate(regions.items()):
                one["services"] = dict(self.service(project, region, number)
                                       for number in numbers)
                for router in one["routers"].values():
                    router["bgp"]["advertisedIpRanges"] = [
                        {"range": prefixes(number)[side]}
                        for number in numbers]
            projects[project] = {"regions": regions}
            accounts[account_of(first)] = {"routes": [
                {"id": f"{number + 1:032x}", "prefix": prefixes(number)[0],
                 "nexthop": "10.213.0.9", "priority": 100,
                 "description": f"bench {number:04d} primary"}
                for number in numbers]}
        return {"settings": {"cf_rate_limit": 0, "op_delay_ms": 0,
                             "advert_lag_ms": 0, "journal": False},
                "projects": projects,
                "cloudflare": {"accounts": accounts,
                               "tokens": like["cloudflare"]["tokens"]}}


class Rig:
    """Clouds of a shape, reached over HTTP/2 or HTTP/1.1."""

    def __init__(self, failovers=1, groups=10, services=PER_PROJECT, http=2,
                 **settings):
        self.place = harness.Workplace()
        try:
            self.clouds = self.place.clouds()
            self.shape = World(failovers, groups, services)
            world = self.shape.build(self.clouds.first)
            world["settings"].update(settings)
            self.clouds.call("PUT", "/world", world)
            self.proxy = None
            port = self.clouds.ready["https_port"]
            if http == 2:
                self.proxy = Proxy(self.clouds)
                self.place.started.append(self.proxy)
                port = self.proxy.port
            self.compute = f"https://compute.sim.test:{port}/compute/v1"
            self.cloudflare = f"https://api.sim.test:{port}/client/v4"
            self.daemon = None
            self.http = http
            self.write_tokens()
        except BaseException:
            self.place.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.place.close()

    def write_tokens(self):
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.clouds.ready["control_port"], timeout=10)
        connection.request(
            "GET", "/computeMetadata/v1/instance/service-accounts/default/"
            "token?scopes=compute.readonly", headers={
                "Metadata-Flavor": "Google"})
        token = json.loads(connection.getresponse().read())["access_token"]
        connection.close()
        self.tokens = self.place.path / "tokens"
        self.tokens.write_text(
            f"{token}\n{self.clouds.ready['cloudflare_token']}\n")

    def calls(self):
        """Those of a cycle of a failover."""
        return len(self.plan())

    def latency(self, milliseconds):
        self.clouds.settings(latency_ms=milliseconds)

    # The daemon.

    def failover(self, number):
        project = project_of(number)
        primary, secondary = prefixes(number)
        return f"""failover "f{number:04d}" {{
    project "{project}"
    health services {{ "svc-{number:04d}" }}
    local region "region-a"
    remote region "region-b"
    local router "router-a"
    remote router "router-b"
    primary prefix {primary}
    secondary prefix {secondary}
    cloudflare account "{account_of(number)}" token file \
"{self.clouds.directory / 'cloudflare.token'}"
    cloudflare routes matching "bench {number:04d} primary"
}}"""

    def configuration(self, directory, top):
        ready = self.clouds.ready
        place = self.clouds.directory
        return "\n".join([
            f'prober credentials file "{place / "prober.json"}"',
            f'actuator credentials file "{place / "actuator.json"}"',
            f'tls ca file "{place / "ca.pem"}"',
            f'chroot "{directory / "empty"}"',
            f'log file "{directory / "log"}"',
            f'log events file "{directory / "events"}"',
            f'state file "{directory / "state.json"}"',
            f'control socket "{directory / "sock"}"',
            f'nameserver 127.0.0.1 port {ready["dns_port"]}',
            f'endpoint compute "{self.compute}"',
            f'endpoint cloudflare "{self.cloudflare}"',
            "log syslog no",
            "limit requests 100000 per second", top,
            *(self.failover(i) for i in range(self.shape.failovers)), ""])

    QUICK = "health window 1 up 1 down 1\nreturn-after 0\nbrake no\n" \
            "handover no\ndrain 0\nbgp down-after 0\n"

    def start(self, top, name="daemon"):
        """Start the daemon; QUICK and the interval are usual in top."""
        directory = self.place.path / name
        directory.mkdir()
        self.daemon = harness.Daemon(directory,
                                     self.configuration(directory, top))
        self.place.started.append(self.daemon)
        self.events = Events(self.daemon)
        return self.daemon

    def stop(self):
        self.daemon.stop()

    def pids(self):
        return {"parent": self.daemon.process.pid, **self.daemon.children()}

    def cycles(self, count, timeout=60):
        """The next so many cycles, as events."""
        seen = []

        def enough():
            self.daemon.check()
            seen.extend(e for e in self.events.more()
                        if e["event_type"] == "health_check_cycle")
            return len(seen) >= count
        wait_until(enough, timeout, f"{count} cycles")
        return seen

    # The floor.

    def plan(self, number=0, chain=True):
        """The calls of a cycle of a failover: where chain is set, the health
        of groups is asked for when they have been listed."""
        lines = []
        base = f"{self.compute}/projects/{project_of(number)}/regions/"
        for region in REGIONS:
            router = f"{base}{region}/routers/router-{region[-1]}"
            lines.append((-1, 0, "GET", router + ROUTER))
            lines.append((-1, 0, "GET", f"{router}/getRouterStatus{STATUS}"))
        for region in REGIONS:
            lines.append((-1, 0, "GET", f"{base}{region}/backendServices"
                          + LIST))
        for n, region in enumerate(REGIONS):
            lines.extend(self.health(region, number, 4 + n if chain else -1))
        return lines

    def health(self, region, number=0, parent=-1):
        project = project_of(number)
        url = (f"{self.compute}/projects/{project}/regions/{region}"
               f"/backendServices/svc-{number:04d}/getHealth{HEALTH}")
        return [(parent, 0, "POST", url, json.dumps(
                    {"group": group(project, region, number, i)}))
                for i in range(self.shape.groups)]

    def client(self, lines, rounds=10, warm=3, window=None, gap=0,
               connections=None):
        """Have the minimal client make these calls."""
        path = self.place.path / "plan"
        path.write_text("".join("\t".join(map(str, line)) + "\n"
                                for line in lines))
        more = ["-W", str(window)] if window else []
        more += [] if self.http == 2 else ["-1"]
        connections = connections or (
            64 if self.http == 2 else min(len(lines), window or 1000))
        ended = subprocess.run(
            [BUILD / "bench-client", "-c", self.clouds.directory / "ca.pem",
             "-t", self.tokens, "-n", str(rounds), "-w", str(warm), "-g",
             str(gap), "-m", str(connections), *more, path],
            stdout=subprocess.PIPE, check=True, timeout=180)
        answer = json.loads(ended.stdout)
        assert answer["http"] == self.http and answer["failed"] == 0, answer
        answer["ms"] = middle(answer["us"]) / 1000
        answer["cpu_call"] = answer["cpu_us"] / rounds / answer["calls"]
        answer["rate"] = answer["calls"] * rounds / sum(answer["us"]) * 1e6
        return answer


class Events:
    """What has been added to a daemon's events."""

    def __init__(self, daemon):
        self.path = daemon.directory / "events"
        self.at = 0

    def more(self):
        if not self.path.exists():
            return []
        with open(self.path, "rb") as file:
            file.seek(self.at)
            text = file.read()
        text = text[:text.rfind(b"\n") + 1]
        self.at += len(text)
        return [json.loads(line) for line in text.splitlines()]


def cpu(pid):
    """Microseconds that the threads of a process have been running."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def cpus(pids):
    return {name: cpu(pid) for name, pid in pids.items()}


def spent(before, after):
    return {name: after[name] - before[name] for name in before}


def memory(pid):
    """Rss and Pss of a process, in kB."""
    found = {}
    for line in pathlib.Path(
            f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        words = line.split()
        if words[0] in ("Rss:", "Pss:", "Private_Dirty:"):
            found[words[0][:-1]] = int(words[1])
    return found


def machine():
    """What this was measured on."""
    model = next((line.split(":", 1)[1].strip() for line in
                  pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown")
    version = subprocess.run(
        [BUILD / "mt-gcpd", "-V"], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=30).stdout
    return {"cpu": model, "cpus": os.cpu_count(),
            "load": os.getloadavg()[0],
            "kernel": os.uname().release,
            "version": version.splitlines()[0] if version else "",
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
