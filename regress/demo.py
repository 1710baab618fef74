# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The main job, for people to watch: two confined daemons, mirror images of
each other, against the simulated clouds through an outage, a recovery, and the
loss of a whole region.  Ends with 0 if everything went as it should."""

import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "system"))

import harness  # noqa: E402
from harness import X, Y, wait_until  # noqa: E402

NAMES = {X: f"X ({X})", Y: f"Y ({Y})"}

TIMING = """interval 1 fast 0.25
health window 3 up 2 down 2
return-after 2
handover wait 2
drain 1"""

MEANING = {1: "all well", 2: "local sick", 3: "remote sick",
           6: "remote BGP down", 7: "remote sick, and its BGP down"}


SEEN = (("local", "local_healthy", "healthy", "sick"),
        ("remote", "remote_healthy", "healthy", "sick"),
        ("remote BGP", "remote_bgp_up", "up", "down"))


class Demo:
    def __init__(self, place):
        self.place = place
        self.clouds = place.clouds()
        self.began = time.time()
        self.told = 0
        self.seen = {}
        self.failures = []
        top = TIMING + "\nlog level info"
        self.daemons = {side: place.daemon(self.clouds, side, top)
                        for side in "AB"}

    def say(self, when, who, text):
        print(f"{when - self.began:7.2f}s  {who:<10} {text}", flush=True)

    def check(self, good, text):
        self.say(time.time(), "check", ("ok      " if good else "FAILED  ")
                 + text)
        if not good:
            self.failures.append(text)

    def daemon_lines(self, side, event):
        """What one event of a daemon is worth telling, if anything."""
        details = event["details"]
        if event["event_type"] == "state_transition":
            new = details["new_state"]
            sees = ", ".join(
                f"{name} {yes if details[key] else no}"
                for name, key, yes, no in SEEN if details[key] is not None)
            return (f"sees {sees}: state {details['old_state']} -> {new} "
                    f"({MEANING.get(new, '')})")
        if event["event_type"] == "bgp_advertisement_change":
            what = event["operation"].split("_")[0]
            text = f"{what} {NAMES[details['prefix']]}: {event['result']}"
            if details["why"]:
                text += f" ({details['why']})"
            return text
        if event["event_type"] == "cloudflare_route_update":
            return (f"routes to priority {details['desired_priority']}: "
                    f"{event['result']}")
        if event["event_type"] in ("handover_stuck", "daemon_error"):
            return event["error_message"]
        return None

    def cloud_lines(self, entry):
        """The same for what happened in the clouds to our prefixes."""
        kind = entry.get("event")
        prefix = NAMES.get(entry.get("prefix"))
        if not prefix or entry["t"] < self.began:
            return None
        if kind in ("advertised", "withdrawn"):
            router = entry["router"].split("/")[-1]
            return f"{prefix} is {kind} by {router}"
        if kind == "route_priority":
            return (f"the route of {prefix} to its home has priority "
                    f"{entry['to']}")
        if kind == "steered":
            return (f"traffic to {prefix} is steered to site "
                    f"{' and '.join(entry['to'])}")
        return None

    def tell(self):
        """Print what has happened since the last time, in its order."""
        lines = []
        for entry in self.clouds.journal(self.told):
            self.told = max(self.told, entry["seq"])
            text = self.cloud_lines(entry)
            if text:
                lines.append((entry["t"], "clouds", text))
        for side, daemon in self.daemons.items():
            events = daemon.events()
            for event in events[self.seen.get(side, 0):]:
                text = self.daemon_lines(side, event)
                if text:
                    lines.append((event["timestamp"], f"daemon {side}", text))
            self.seen[side] = len(events)
        for line in sorted(lines):
            self.say(*line)

    def act(self, text):
        self.tell()
        print()
        self.say(time.time(), "demo", text)
        return time.time()

    def ctl(self, side, *words):
        """Ask a daemon as its administrator would, and show the answer."""
        self.say(time.time(), "operator", f"mt-gcpctl {' '.join(words)}"
                 f"  (at site {side})")
        ended = subprocess.run(
            [harness.BUILD / "mt-gcpctl", "-s",
             self.daemons[side].directory / "sock", *words], timeout=10,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in ended.stdout.splitlines():
            print(f"{'':10}{line}", flush=True)
        if ended.returncode != 0:
            self.failures.append(f"mt-gcpctl {' '.join(words)}")

    def monitor(self, side):
        """Begin to follow the events of a daemon."""
        return subprocess.Popen(
            [harness.BUILD / "mt-gcpctl", "-s",
             self.daemons[side].directory / "sock", "monitor"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def show_monitor(self, side, follower):
        """End that, and show what was to be seen, but for the checks."""
        follower.terminate()
        lines = follower.communicate(timeout=10)[0].splitlines()
        self.say(time.time(), "operator",
                 f"mt-gcpctl monitor  (at site {side}), without the checks")
        for line in lines:
            if "health_check" not in line:
                print(f"{'':10}{line}", flush=True)
        if not any("state_transition" in line for line in lines):
            self.failures.append("mt-gcpctl monitor")

    def expect(self, states, adverts, priorities, timeout=25):
        """Wait until the daemons and the clouds are as they should be."""
        def reached():
            for side, daemon in self.daemons.items():
                daemon.check()
                cycles = daemon.cycles()
                details = cycles[-1]["details"] if cycles else None
                if not details or details["current_state"] != states[side] \
                        or details["plan"]["status"] != "done":
                    return False
            for router, wanted in adverts.items():
                ours = set(self.clouds.ranges(router)) & {X, Y}
                if ours != set(wanted):
                    return False
            return all(self.clouds.priority(match) == priority
                       for match, priority in priorities.items())
        try:
            wait_until(reached, timeout)
            good = True
        except AssertionError:
            good = False
        self.tell()
        wanted = ", ".join(f"{side} in state {state}"
                           for side, state in states.items())
        self.check(good, wanted + "; " + "; ".join(
            f"{router} announces {' and '.join(NAMES[p][0] for p in prefixes) or 'neither'}"
            for router, prefixes in adverts.items()))

    def reaction(self, since):
        """How long it took from sick to the write that steers away."""
        writes = [e for e in self.clouds.journal()
                  if e.get("method") == "PUT" and e["t"] >= since]
        if writes:
            self.say(time.time(), "time", f"{(writes[0]['t'] - since) * 1000:.0f}"
                     " ms from sick to steered away at Cloudflare")

    def confinement(self):
        """How the children are confined, as the kernel says."""
        for side, daemon in self.daemons.items():
            roles = daemon.children()
            self.check(len(roles) == 4, f"daemon {side} has four children")
            for role, pid in sorted(roles.items()):
                status = dict(
                    line.split(":\t", 1) for line in pathlib.Path(
                        f"/proc/{pid}/status").read_text().splitlines()
                    if ":\t" in line)
                uid = status["Uid"].split()[0]
                good = (status["Seccomp"], status["NoNewPrivs"],
                        int(status["CapEff"], 16)) == ("2", "1", 0)
                self.check(
                    good, f"{side} {role:<8} uid {uid}, Seccomp "
                    f"{status['Seccomp']}, NoNewPrivs {status['NoNewPrivs']}"
                    f", no capabilities, {int(status['VmRSS'].split()[0])} "
                    "kB resident")

    def holes(self, allowed):
        """No prefix was steered to a side that did not announce it."""
        holes = self.clouds.clockwork()["holes"]
        for hole in holes:
            end = hole["to"] or time.time()
            self.say(time.time(), "clockwork",
                     f"{NAMES[hole['prefix']]} was steered to site "
                     f"{hole['site']}, which did not announce it, for "
                     f"{end - hole['from']:.2f} s; cause: {hole['cause']}")
        ours = [hole for hole in holes if hole["cause"] not in allowed]
        self.check(not ours, "no prefix was ever steered to a side that did "
                   "not announce it" + (", but by the fault itself"
                                        if holes and not ours else ""))

    def play(self):
        print("Prefix X lives at site A, prefix Y at site B; lower priority "
              "wins, the backups are at 150.\n")
        clouds = self.clouds
        self.say(time.time(), "demo", "all well")
        self.expect({"A": 1, "B": 1}, {"router-a": [X], "router-b": [Y]},
                    {"A primary": 100, "B primary": 100})
        self.confinement()

        sick = self.act("region A falls sick")
        clouds.health("region-a", "UNHEALTHY")
        self.expect({"A": 2, "B": 3}, {"router-a": [], "router-b": [X, Y]},
                    {"A primary": 200, "B primary": 100})
        self.reaction(sick)
        self.ctl("A", "show", "status")
        self.ctl("B", "explain")

        self.act("region A recovers")
        follower = self.monitor("A")
        clouds.health("region-a", "HEALTHY")
        self.expect({"A": 1, "B": 1}, {"router-a": [X], "router-b": [Y]},
                    {"A primary": 100, "B primary": 100})
        self.show_monitor("A", follower)
        self.holes(())

        sick = self.act("region B is lost, and its BGP sessions with it")
        clouds.health("region-b", "UNHEALTHY")
        clouds.bgp("router-b", "DOWN")
        self.expect({"A": 7, "B": 2}, {"router-a": [X, Y], "router-b": []},
                    {"A primary": 100, "B primary": 200})
        self.reaction(sick)
        self.holes(("bgp",))


def main():
    place = harness.Workplace()
    try:
        demo = Demo(place)
        demo.play()
    finally:
        place.close()
    print()
    if demo.failures:
        print(f"demo: {len(demo.failures)} checks FAILED")
        return 1
    print("demo: everything went as it should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
