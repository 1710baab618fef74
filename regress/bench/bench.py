# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""How fast and how small the daemon is, all of its processes confined, against
the simulated clouds; wherever that is possible beside a floor that was
measured in the same run.  Nothing here fails because something is slow."""

import argparse
import calendar
import json
import math
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import rig  # noqa: E402
from rig import Rig, cpus, middle, spent  # noqa: E402
from harness import wait_until  # noqa: E402

FAST = Rig.QUICK + "log level info\ninterval 0.1 fast 0.1"
LATENCIES = (1, 20, 50, 200)
GROUPS = (1, 10, 100)
FLEETS = (1, 10, 100, 1000)


class Report:
    """The figures: a table for people, and by name for programs."""

    def __init__(self):
        self.figures = {}
        self.notes = []

    def section(self, title, text):
        print(f"\n{title}\n    {text}\n", flush=True)

    def head(self, *names):
        self.widths = [max(len(name), 9) for name in names]
        self.row(*names)

    def row(self, *values):
        cells = [text(value).rjust(width) for value, width
                 in zip(values, self.widths)]
        print("  " + "  ".join(cells), flush=True)

    def figure(self, name, value, unit, **floors):
        """floors: what to compare with, in the same unit."""
        figure = {"value": value, "unit": unit}
        figure.update({f"{key}": floor for key, floor in floors.items()})
        figure.update({f"over_{key}": value / floor
                       for key, floor in floors.items() if floor})
        self.figures[name] = figure

    def note(self, text_):
        print(f"    note: {text_}", flush=True)
        self.notes.append(text_)


def text(value):
    if isinstance(value, float):
        if value >= 10000:
            return f"{value:.0f}"
        return f"{value:.3g}" if value < 100 else f"{value:.1f}"
    return str(value)


class Bench:
    def __init__(self, fleets):
        self.report = Report()
        self.fleets = fleets
        self.measured = {}
        self.rate = {}

    def failures(self, cycles, where, daemon_rig):
        """Cycles in which a call failed are counted, and told of."""
        failed = [e for e in cycles if e["result"] != "success"]
        if not failed:
            return
        why = next((line for line in reversed(
            (daemon_rig.daemon.directory / "events").read_text().splitlines())
            if failed[0]["correlation_id"] in line
            and '"error_message":null' not in line
            and "health_check_result" in line), "{}")
        self.report.note(
            f"{where}: {len(failed)} of {len(cycles)} cycles with calls that "
            f"failed: {json.loads(why).get('error_message')}")

    # 1 and 7

    def cells(self, groups, latencies, http):
        """The times of cycles and their floors, by latency."""
        missing = [ms for ms in latencies
                   if (groups, ms, http) not in self.measured]
        if not missing:
            return
        with Rig(1, groups, 1, http) as one:
            floors = {}
            for ms in missing:
                one.latency(ms)
                rounds = max(6, min(40, int(600 / (2 * ms + groups / 5))))
                floors[ms] = (one.client(one.plan(chain=False), rounds)["ms"],
                              one.client(one.plan(), rounds)["ms"])
            one.start(FAST)
            one.cycles(3)
            for ms in missing:
                one.latency(ms)
                one.cycles(2)
                cycles = one.cycles(
                    max(7, min(20, int(2000 / max(2 * ms, 100)))))
                self.failures(cycles, f"{groups} groups, {ms} ms, HTTP/{http}",
                              one)
                self.measured[groups, ms, http] = (
                    middle(e["duration_ms"] for e in cycles), *floors[ms])
            one.stop()

    def cycle(self):
        self.report.section(
            "cycle: a health check cycle, HTTP/2, milliseconds",
            "floor 1: a minimal client makes all calls at once; floor 2: it "
            "lists services,\n    then asks for the health of their groups; "
            "on the same warm connections")
        self.report.head("groups", "latency", "cycle", "floor 1", "floor 2",
                         "over 1", "over 2", "over 1 rtt", "over 2 rtt")
        for groups in GROUPS:
            self.cells(groups, LATENCIES, 2)
            for ms in LATENCIES:
                took, one, two = self.measured[groups, ms, 2]
                self.report.row(groups, ms, took, one, two, took / one,
                                took / two, took / ms, took / ms / 2)
                self.report.figure(
                    f"cycle/groups={groups}/latency={ms}", took, "ms",
                    floor1=one, floor2=two)

    def http(self):
        self.report.section(
            "http: the same cycle over HTTP/1.1 and HTTP/2, milliseconds",
            "each over the minimal client's two round trips of that version")
        self.report.head("groups", "latency", "1.1", "floor", "over", "2",
                         "floor", "over", "1.1 to 2")
        for groups in (10, 100):
            for http in (1, 2):
                self.cells(groups, (20,), http)
            one, two = (self.measured[groups, 20, http] for http in (1, 2))
            self.report.row(groups, 20, one[0], one[2], one[0] / one[2],
                            two[0], two[2], two[0] / two[2], one[0] / two[0])
            self.report.figure(f"http/1.1/groups={groups}", one[0], "ms",
                               floor1=one[1], floor2=one[2])
            self.report.figure(f"http/2/groups={groups}", two[0], "ms",
                               floor1=two[1], floor2=two[2], http1=one[0])

    # 2

    DETECT = (
        # name, latency, settings, samples that it takes, fast interval, times
        ("at once", 20, "interval 0.1 fast 0.1", 1, 0.1, 10),
        ("at once", 100, "interval 0.1 fast 0.1", 1, 0.1, 6),
        ("every second", 20, "interval 1 fast 1", 1, 1, 6),
        ("2 of 3", 20, "interval 1 fast 0.25\nhealth window 3 up 2 down 2", 2,
         0.25, 6),
        ("2 of 3, verify 2", 20, "interval 1 fast 0.25\n"
         "health window 3 up 2 down 2\nverify 2", 3, 0.25, 5),
    )
    # The defaults in all that matters on the way down.
    DEFAULTS = ("defaults", 20, "interval 15 fast 5\n"
                "health window 5 up 4 down 3", 3, 5, 1)

    def detect(self):
        self.report.section(
            "detect: from a sick region to the write at Cloudflare, "
            "milliseconds",
            "imposed: until the next sample, and the samples that window and "
            "verify want;\n    floor: that, and what a minimal client needs "
            "to ask for the health, list the\n    routes and write; own: what "
            "is not imposed, and its ratio to the client's")
        self.report.head("settings         ", "latency", "took", "imposed",
                         "client", "floor", "over", "own", "own over")
        # It waits most of the time: the others run meanwhile.
        slow = self.detect_start(*self.DEFAULTS)
        try:
            for case in self.DETECT:
                self.detect_case(*case)
            self.detect_case(*self.DEFAULTS, one=slow)
        finally:
            slow.place.close()

    def detect_start(self, name, ms, settings, samples, fast, times):
        lines = [line for line in Rig.QUICK.splitlines()
                 if line.split()[:2] != ["health", "window"]
                 or "health window" not in settings]
        one = Rig(1, 10, 1, journal=True)
        try:
            one.latency(ms)
            one.route = self.detect_floor(one, ms)
            one.start("\n".join([*lines, "log level info", settings]))
        except BaseException:
            one.place.close()
            raise
        return one

    def detect_floor(self, one, ms):
        """Until the request that writes arrives: its answer is not needed."""
        lines = one.health("region-a")
        url = (f"{one.cloudflare}/accounts/{rig.account_of(0)}/magic/routes")
        lines.append((len(lines) - 1, 1, "GET", url))
        lines.append((len(lines) - 1, 1, "PUT", url + "?validate_only=true",
                      json.dumps({"routes": [{
                          "id": f"{1:032x}", "prefix": rig.prefixes(0)[0],
                          "nexthop": "10.213.0.9", "priority": 200,
                          "description": "bench 0000 primary"}]})))
        return one.client(lines, 8)["ms"] - ms

    def detect_case(self, name, ms, settings, samples, fast, times, one=None):
        took, imposed = [], []
        mine = one is None
        one = one or self.detect_start(name, ms, settings, samples, fast,
                                       times)
        try:
            for _ in range(times):
                result = self.detect_once(one, samples, fast)
                took.append(result[0])
                imposed.append(result[1])
            one.stop()
        finally:
            if mine:
                one.place.close()
        own = middle(a - b for a, b in zip(took, imposed))
        took, imposed = middle(took), middle(imposed)
        floor = imposed + one.route
        self.report.row(name.ljust(17), ms, took, imposed, one.route, floor,
                        took / floor, own, own / one.route)
        key = f"detect/{name.replace(' ', '_')}/latency={ms}"
        self.report.figure(key, took, "ms", floor=floor)
        self.report.figure(key + "/own", own, "ms", client=one.route)

    def detect_once(self, one, samples, fast):
        """Turn region A sick, and well again: how long the write took, and
        how long it had to take."""
        def priority():
            world = one.clouds.call(
                "GET", f"/world/cloudflare/accounts/{rig.account_of(0)}")
            return world["routes"][0]["priority"]

        def state(wanted):
            one.daemon.check()
            cycles = [e for e in one.events.more()
                      if e["event_type"] == "health_check_cycle"]
            return cycles and (cycles[-1]["details"]["current_state"],
                               cycles[-1]["details"]["plan"]["status"]) == (
                                   wanted, "done")
        project = rig.project_of(0)
        wait_until(lambda: state(1) and priority() == 100, 60, "state 1")
        time.sleep(random.uniform(0, fast))
        since = one.clouds.next_seq()
        one.clouds.health("region-a", "UNHEALTHY", project=project,
                          service="svc-0000")
        wait_until(lambda: priority() == 200, 60, "the write")
        entries = one.clouds.journal(since)
        sick = next(e for e in entries if e.get("event") == "health")
        write = next(e for e in entries if e.get("method") == "PUT")
        sample = next(e for e in entries
                      if e["seq"] > sick["seq"]
                      and e.get("path", "").endswith("/getHealth")
                      and "/region-a/" in e["path"])
        one.clouds.health("region-a", "HEALTHY", project=project,
                          service="svc-0000")
        return (write["t_mono_ms"] - sick["t_mono_ms"],
                sample["t_mono_ms"] - sick["t_mono_ms"]
                + (samples - 1) * fast * 1000)

    # 3

    def calls(self):
        self.report.section(
            "calls: of 400 groups a region, without latency",
            "calls a second while a cycle runs; microseconds of CPU for a "
            "call; the client\n    has the daemon's window of 48 calls")
        self.report.head("HTTP", "calls/s", "client", "ratio", "prober us",
                         "client us", "ratio", "parent us", "others us")
        for http in (1, 2):
            with Rig(1, 400, 1, http, latency_ms=0) as one:
                client = one.client(one.plan(), 12, window=48)
                one.start(FAST)
                one.cycles(3)
                pids, before = one.pids(), cpus(one.pids())
                cycles = one.cycles(15)
                used = spent(before, cpus(pids))
                self.failures(cycles, f"calls, HTTP/{http}", one)
                one.stop()
            count = client["calls"]
            took = middle(e["duration_ms"] for e in cycles)
            rate = count / took * 1000
            self.rate[http] = rate
            total = count * len(cycles)
            others = sum(used[name] for name in used
                         if name not in ("prober", "parent"))
            prober, parent = used["prober"] / total, used["parent"] / total
            self.report.row("1.1" if http == 1 else "2", rate, client["rate"],
                            client["rate"] / rate, prober, client["cpu_call"],
                            prober / client["cpu_call"], parent,
                            others / total)
            self.report.figure(f"calls/http={http}/rate", rate, "1/s",
                               client=client["rate"])
            self.report.figure(f"calls/http={http}/prober", prober, "us",
                               client=client["cpu_call"])
            self.report.figure(f"calls/http={http}/parent", parent, "us")

    # 4 and 5

    def fleet(self, failovers):
        """The memory of each process, and the CPU that one cycle of all
        failovers takes."""
        if ("fleet", failovers) in self.measured:
            return self.measured["fleet", failovers]
        interval = 30 if failovers > 200 else 5 if failovers > 20 else 1
        with Rig(failovers, 10) as one:
            began = time.monotonic()
            one.start(Rig.QUICK + f"log level info\n"
                      f"interval {interval} fast {interval}")
            seen, cycles = set(), []
            while len(seen) < failovers:
                for event in one.cycles(1, 120):
                    seen.add(event["failover"])
                if time.monotonic() - began > 150:
                    self.report.note(
                        f"{failovers} failovers: only {len(seen)} had a "
                        "cycle in 150 s")
                    break
            pids = one.pids()
            clouds = {"cloudsim": one.clouds.process.pid,
                      "nghttpx": one.proxy.process.pid}
            one.events.more()
            one.clouds.call("DELETE", "/stats")
            before, around = cpus(pids), cpus(clouds)
            start = time.monotonic()
            while time.monotonic() - start < max(interval, 4):
                time.sleep(0.2)
                cycles += [e for e in one.events.more()
                           if e["event_type"] == "health_check_cycle"]
                one.daemon.check()
            elapsed = time.monotonic() - start
            used = spent(before, cpus(pids))
            around = spent(around, cpus(clouds))
            made = sum(one.clouds.call("GET", "/stats")["calls"].values())
            self.failures(cycles, f"{failovers} failovers", one)
            result = {
                "memory": {name: rig.memory(pid)
                           for name, pid in pids.items()},
                "cpu": {name: us / len(cycles) * failovers
                        for name, us in used.items()},
                "clouds": {name: us / len(cycles) * failovers
                           for name, us in around.items()},
                "calls": made / len(cycles), "cycles": len(cycles),
                "wanted": one.calls(),
                "expected": failovers * elapsed / interval,
                "busy": {name: us / elapsed / 1e6
                         for name, us in (used | around).items()},
                "took": middle(e["duration_ms"] for e in cycles),
                "state": (one.daemon.directory / "state.json").stat().st_size}
            started = time.monotonic()
            one.stop()
            result["stop"] = time.monotonic() - started
        self.measured["fleet", failovers] = result
        return result

    SHAPE = (f"each failover has a service of its own with 10 groups a "
             f"region; {rig.PER_PROJECT} failovers share a\n    project, its "
             f"lists of {rig.PER_PROJECT} services, a pair of routers and an "
             "account")

    def memory(self):
        self.report.section("memory: Rss (Pss) of each process, kB",
                            self.SHAPE)
        self.report.head("failovers", *(f"{role:>14}" for role in rig.ROLES),
                         f"{'all':>16}")
        for failovers in self.fleets:
            found = self.fleet(failovers)["memory"]
            total = {what: sum(one[what] for one in found.values())
                     for what in ("Rss", "Pss")}
            self.report.row(failovers, *(
                f"{found[role]['Rss']} ({found[role]['Pss']})"
                for role in rig.ROLES), f"{total['Rss']} ({total['Pss']})")
            for role in rig.ROLES:
                for what in ("Rss", "Pss"):
                    self.report.figure(
                        f"memory/failovers={failovers}/{role}/{what}",
                        found[role][what], "kB")
            for what in total:
                self.report.figure(f"memory/failovers={failovers}/all/{what}",
                                   total[what], "kB")
        if len(self.fleets) < 2:
            return
        a, b = self.fleets[0], self.fleets[-1]
        each = {role: (self.fleet(b)["memory"][role]["Pss"]
                       - self.fleet(a)["memory"][role]["Pss"]) / (b - a)
                for role in rig.ROLES}
        self.report.row("kB each", *(text(each[role]) for role in rig.ROLES),
                        text(sum(each.values())))
        for role in rig.ROLES:
            self.report.figure(f"memory/each/{role}", each[role], "kB")

    def size(self):
        self.report.section(
            "size: CPU milliseconds of one cycle of all failovers, HTTP/2",
            self.SHAPE + "\n    answers: that all want; calls: that were made; "
            "us/call: of prober and parent;\n    cycles: of those that the "
            "interval asks for")
        self.report.head("failovers", "answers", "calls", "prober", "parent", "both",
                         "us/call", "cloudsim", "nghttpx", "cycle ms",
                         "cycles")
        both = {}
        for failovers in self.fleets:
            found = self.fleet(failovers)
            used = {name: us / 1000 for name, us in
                    (found["cpu"] | found["clouds"]).items()}
            calls = failovers * found["calls"]
            both[failovers] = used["prober"] + used["parent"]
            self.report.figure(f"size/failovers={failovers}/calls", calls, "",
                               wanted=failovers * found["wanted"])
            self.report.row(
                failovers, failovers * found["wanted"], calls, used["prober"], used["parent"],
                both[failovers], both[failovers] * 1000 / calls,
                used["cloudsim"], used["nghttpx"], found["took"],
                found["cycles"] / found["expected"])
            for name in used:
                self.report.figure(f"size/failovers={failovers}/{name}",
                                   used[name], "ms")
        for name in ("prober", "parent"):
            exponent = fit([(n, self.fleet(n)["cpu"][name])
                            for n in self.fleets])
            if exponent is not None:
                print(f"\n    CPU of the {name} grows with the number to the "
                      f"power of {exponent:.3f}")
                self.report.figure(f"size/exponent/{name}", exponent, "",
                                   linear=1.0)

    SOAK = (40, 1000)  # samples of memory, cycles before each

    def soak(self):
        """The memory of each process over many cycles, with transitions,
        reloads and answers that fail in between."""
        failovers = 20
        samples, each = self.SOAK
        self.report.section(
            "soak: private memory of each process over "
            f"{samples * each} cycles, kB",
            f"of {failovers} failovers, a transition and a reload every "
            f"{each}; kept: the middle of the last third\n    over that of "
            "the second")
        found = {role: [] for role in rig.ROLES}
        with Rig(failovers, 4) as one:
            one.start(FAST)
            for number in range(samples):
                one.clouds.health("region-a", ("UNHEALTHY", "HEALTHY")[
                    number % 2], project=rig.project_of(0))
                one.clouds.call("DELETE", "/journal")
                if number % 3 == 0:
                    one.clouds.fault("status", "getRouterStatus", status=503,
                                     count=failovers)
                one.cycles(each, 600)
                one.daemon.process.send_signal(signal.SIGHUP)
                one.cycles(failovers)
                for role, pid in one.pids().items():
                    found[role].append(rig.memory(pid)["Private_Dirty"])
            one.stop()
        third = samples // 3
        self.report.head("process", "first", "second", "last", "most", "kept")
        for role in rig.ROLES:
            second = middle(found[role][third:2 * third])
            last = middle(found[role][2 * third:])
            self.report.row(role, found[role][0], second, last,
                            max(found[role]), last / second)
            self.report.figure(f"soak/{role}", last, "kB", second=second)

    # 6

    def start(self):
        self.report.section(
            "start: milliseconds from the start of the program, at 20 ms "
            "latency, HTTP/2, 10 groups",
            "floor: a minimal client from its start, connecting, with three "
            "round trips in turn: for a token,\n    the lists, and the health")
        ready, decided, floors = {}, [], []
        for n in range(5):
            with Rig(1, 10, 1, latency_ms=20) as one:
                lines = [(-1, 0, "GET", f"{one.compute}/projects/"
                          f"{rig.project_of(0)}")]
                lines += [(parent + 1 if parent >= 0 else 0, *rest)
                          for parent, *rest in one.plan()]
                before = time.monotonic()
                one.client(lines, 1, 0)
                floors.append((time.monotonic() - before) * 1000)
                began = time.time()
                one.start(Rig.QUICK + "log level debug\n"
                          "interval 1 fast 1")
                cycles = one.cycles(1)
                decided.append((cycles[0]["timestamp"] - began) * 1000)
                for role, at in self.ready(one.daemon, began).items():
                    ready.setdefault(role, []).append(at)
                one.stop()
        self.report.head("what            ", "took", "floor", "over")
        for role, times in sorted(ready.items(), key=lambda i: middle(i[1])):
            self.report.row(f"{role} ready".ljust(16), middle(times), "", "")
            self.report.figure(f"start/{role}", middle(times), "ms")
        took, floor = middle(decided), middle(floors)
        self.report.row("first decision".ljust(16), took, floor, took / floor)
        self.report.figure("start/decision", took, "ms", floor=floor)

    @staticmethod
    def ready(daemon, began):
        """When the children said that they were ready."""
        found = {}
        for line in (daemon.directory / "log").read_text().splitlines():
            stamp, _, rest = line.partition(" ")
            words = rest.split()
            if "is ready" not in rest or words[1] not in rig.ROLES:
                continue
            at = time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")
            seconds = calendar.timegm(at) + float(stamp[19:-1])
            found[words[1]] = (seconds - began) * 1000
        return found

    # 8

    def cloudsim(self):
        self.report.section(
            "cloudsim: is it fast enough to measure with?",
            "calls a second that a minimal client gets of it, the CPU of "
            "each for a call; headroom:\n    over what the daemon asks for "
            "(as section calls found it; 1000 failovers: within\n    30 s); "
            "if alone: the same by the CPU of cloudsim alone")
        if not self.rate:
            self.calls()
        self.report.head("through ", "groups", "calls/s", "cloudsim us",
                         "proxy us", "client us", "daemon", "headroom",
                         "if alone")
        for http, failovers, groups in ((1, 1, 100), (2, 1, 100),
                                        (1, 1000, 10), (2, 1000, 10)):
            with Rig(failovers, groups, 1 if failovers == 1 else
                     rig.PER_PROJECT, http) as one:
                lines = []
                for number in range(0, failovers, max(1, failovers // 20)):
                    lines += one.plan(number, chain=False)
                pids = {"cloudsim": one.clouds.process.pid}
                if one.proxy:
                    pids["nghttpx"] = one.proxy.process.pid
                one.client(lines, 2, 2, window=64, connections=64)
                before = cpus(pids)
                rounds = 8000 // len(lines)
                client = one.client(lines, rounds, 0, window=64,
                                    connections=64)
                used = spent(before, cpus(pids))
            total = client["calls"] * rounds
            mine = used["cloudsim"] / total
            daemon = (self.rate[http] if failovers == 1 else
                      failovers * one.calls() / 30)
            self.report.row(
                "TLS" if http == 1 else "nghttpx", failovers * groups * 2,
                client["rate"], mine, used.get("nghttpx", 0) / total,
                client["cpu_call"], daemon, client["rate"] / daemon,
                1e6 / mine / daemon)
            self.report.figure(
                f"cloudsim/http={http}/groups={failovers * groups * 2}",
                client["rate"], "1/s", daemon=daemon)
            self.report.figure(
                f"cloudsim/http={http}/groups={failovers * groups * 2}/cpu",
                mine, "us")


def fit(points):
    """The slope of a straight line through the logarithms."""
    if len(points) < 2:
        return None
    x = [math.log(n) for n, _ in points]
    y = [math.log(value) for _, value in points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return (sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
            / sum((a - mean_x) ** 2 for a in x))


SECTIONS = ("cycle", "http", "detect", "calls", "memory", "size", "soak",
            "start", "cloudsim")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", metavar="file", help="write the figures as JSON")
    parser.add_argument("-n", metavar="failovers", type=int, action="append",
                        help="sizes for memory and size, instead of "
                        + ", ".join(map(str, FLEETS)))
    parser.add_argument("section", nargs="*",
                        help=f"of {', '.join(SECTIONS)}; default: all")
    given = parser.parse_args()
    for name in given.section:
        if name not in SECTIONS:
            parser.error(f"no such section: {name}")
    bench = Bench(tuple(given.n or FLEETS))
    machine = rig.machine()
    print(f"{machine['version']}; {machine['cpus']} CPUs, {machine['cpu']}; "
          f"load {machine['load']:.1f}")
    began = time.monotonic()
    times = {}
    for name in given.section or SECTIONS:
        start = time.monotonic()
        getattr(bench, name)()
        times[name] = time.monotonic() - start
    print(f"\n    {time.monotonic() - began:.0f} s: " + ", ".join(
        f"{name} {seconds:.0f}" for name, seconds in times.items()))
    if given.o:
        pathlib.Path(given.o).write_text(json.dumps(
            {"machine": machine, "seconds": times,
             "notes": bench.report.notes, "figures": bench.report.figures},
            indent=1) + "\n")
        print(f"    {given.o} has the figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
