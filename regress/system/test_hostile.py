# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The actuator under a parent that has been taken over: what is outside of its
list, or no message at all, is refused, is told of or is its end, and the
clouds see nothing of it."""

import json
import os
import pathlib
import queue
import struct
import subprocess
import threading
import time
import urllib.parse

import pytest

from harness import ACCOUNT, BUILD, PROJECT, X, Y, wait_until
from test_process import needs_root, status

KEEP, ADVERTISE, WITHDRAW = range(3)
PRIORITY, FAILED = 1, 2
REFUSED = "3"
MATCH = "mt-gcpd A primary"
OTHER = "mt-gcpd B primary"

pytestmark = needs_root


class Parent:
    """Says to an actuator of its own what it wants."""

    def __init__(self, clouds, directory, rate=10000):
        self.clouds = clouds
        ready = clouds.ready
        empty = directory / "empty"
        empty.mkdir(mode=0o755, exist_ok=True)
        urls = [ready[one] for one in ("compute", "cloudflare", "token_uri")]
        ports = {urllib.parse.urlsplit(one).port for one in urls}
        self.process = subprocess.Popen(
            [BUILD / "hostile", BUILD / "libexec",
             clouds.directory / "actuator.json", clouds.directory / "ca.pem",
             empty, *map(str, ports)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said = []
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.pid = int(self.until("ready")[1])
        for one in urls:
            self.say("address", urllib.parse.urlsplit(one).hostname,
                     "127.0.0.1")
        self.rate = rate

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n").split("\t"))
        self.lines.put(None)

    def say(self, *words):
        """It may have ended of what was said before; that is told by itself."""
        try:
            self.process.stdin.write("\t".join(map(str, words)) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def until(self, *first, timeout=20):
        """The next line that begins so."""
        end = time.monotonic() + timeout
        while True:
            line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            assert line is not None, self.said
            self.said.append(line)
            if line[:len(first)] == [str(one) for one in first]:
                return line
            if line[0] in ("exited", "killed"):
                raise AssertionError(self.said)

    def ended(self):
        """How the actuator ended, and what it said of that."""
        while True:
            line = self.lines.get(timeout=10)
            assert line is not None, self.said
            self.said.append(line)
            if line[0] in ("exited", "killed"):
                said = "\n".join(one[2] for one in self.said
                                 if one[0] == "log")
                return line, said

    def begin(self):
        ready = self.clouds.ready
        token = self.clouds.directory / "cloudflare.token"
        self.say("begin")
        self.say("url", 0, ready["compute"])
        self.say("url", 1, ready["cloudflare"])
        self.say("token-uri", ready["token_uri"])
        self.say("limit", self.rate * 1000, self.rate)
        self.say("account", 0, ACCOUNT)
        self.say("token", 0, token)

    def act(self, index=0, **changes):
        members = dict(project=PROJECT, region="region-a", router="router-a",
                       primary=X, secondary=Y, match=MATCH, account=0,
                       priority=100, failed=200, passive=0)
        members.update(changes)
        self.say("act", index, *(f"{k}={v}" for k, v in members.items()))

    def configure(self, **changes):
        self.begin()
        self.act(**changes)
        self.say("commit")
        self.until("IMSG_CONF_IN_USE")

    def plan(self, index, number, primary, secondary, steer, *more):
        self.say("plan", index, number, primary, secondary, steer, *more)

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
        self.process.wait(10)
        self.reader.join(10)
        self.process.stdout.close()


@pytest.fixture
def parent(place, clouds):
    one = Parent(clouds, place.path)
    yield one
    one.stop()


def whole(clouds):
    return json.dumps([clouds.world()[one]
                       for one in ("projects", "cloudflare")], sort_keys=True)


def written(clouds):
    return [(e["method"], e["path"]) for e in clouds.writes()]


def test_honest(parent, clouds):
    """What is on the list is done: the other tests could fail."""
    parent.configure()
    parent.plan(0, 1, WITHDRAW, KEEP, FAILED)
    done = parent.until("done", 0, 1)
    assert done[3] == "0", done
    assert X not in clouds.ranges("router-a")
    assert clouds.priority(MATCH) == 200
    assert {path.rsplit("/", 1)[1] for _, path in written(clouds)} \
        == {"router-a", "routes"}
    parent.say("close")
    assert parent.ended()[0] == ["exited", "0"]


@pytest.mark.parametrize("failover", [1, 7, 99999, 100000, 0xffffffff])
def test_unknown_failover(parent, clouds, failover):
    """A failover that is not on the list is refused, and told of."""
    parent.configure()
    before = whole(clouds)
    parent.plan(failover, 5, WITHDRAW, WITHDRAW, FAILED)
    done = parent.until("done", failover, 5)
    assert done[3] == REFUSED and done[5] == "allow-list"
    assert any(one[0] == "log" and "refused" in one[2] for one in parent.said)
    parent.say("permit", failover, 5, 1)
    parent.plan(0, 6, KEEP, KEEP, 0)
    assert parent.until("done", 0, 6)[3] == "0"  # it goes on
    assert whole(clouds) == before and not written(clouds)


def test_before_configuration(parent, clouds):
    """Without a list nothing is on it."""
    before = whole(clouds)
    parent.plan(0, 1, WITHDRAW, WITHDRAW, FAILED)
    assert parent.until("done", 0, 1)[3] == REFUSED
    parent.begin()
    parent.act()
    parent.plan(0, 2, WITHDRAW, WITHDRAW, FAILED)  # not before it is whole
    assert parent.until("done", 0, 2)[3] == REFUSED
    assert whole(clouds) == before and not clouds.requests()


@pytest.mark.parametrize("plan", [
    (3, 0, 0), (-1, 0, 0), (0, 77, 0), (0, 0, 3), (0, 0, -1),
    (2, 2, 2, 2), (2, 2, 2, 0, 4), (0x7fffffff, 0, 0)])
def test_impossible_plan(parent, clouds, plan):
    """Who sends what cannot be is not listened to any more."""
    parent.configure()
    before = whole(clouds)
    parent.plan(0, 1, *plan)
    assert parent.ended()[0] == ["exited", "1"]
    assert whole(clouds) == before and not written(clouds)


FOREIGN = {
    "IMSG_HELLO": None, "IMSG_NAMESERVER": None, "IMSG_RESOLVE": None,
    "IMSG_KEY_CHUNK": None, "IMSG_PROBE": None, "IMSG_PLAN_DONE": None,
    "IMSG_READY": None, "IMSG_CONF_PROBE": None, "IMSG_CONF_CLOUD": None,
    "IMSG_EVENT_CHUNK": None, "IMSG_CF_REFUSED": None,
}


def types():
    """The numbers of the messages, as the header has them."""
    text = (pathlib.Path(__file__).parents[2] / "common/proto.h").read_text()
    body = text.split("enum imsg_type {")[1].split("};")[0]
    names = [line.strip().split(",")[0] for line in body.splitlines()
             if line.strip().startswith("IMSG_")]
    return {name: number for number, name in enumerate(names)}


TYPES = types()


@pytest.mark.parametrize("name", sorted(FOREIGN))
@pytest.mark.parametrize("length", [0, 1, 64, 8192])
def test_message_of_others(parent, clouds, name, length):
    """Messages that only others get, or only the actuator sends."""
    parent.configure()
    before = whole(clouds)
    parent.say("message", TYPES[name], 0, length)
    (how, code), said = parent.ended()
    assert (how, code) == ("exited", "1"), said
    assert whole(clouds) == before and not written(clouds)


@pytest.mark.parametrize("number,length", [
    (0, 0), (TYPES["IMSG_MAX"], 0), (60000, 8), (0xffffffff, 16000),
    (TYPES["IMSG_PLAN"], 0), (TYPES["IMSG_PLAN"], 4),
    (TYPES["IMSG_PLAN"], 16000), (TYPES["IMSG_CONF_ACT"], 12),
    (TYPES["IMSG_CONF_CF_TOKEN"], 0), (TYPES["IMSG_CONF_CF_TOKEN"], 8193),
    (TYPES["IMSG_ADDRESSES"], 1), (TYPES["IMSG_CONF_COMMIT"], 1)])
def test_wrong_message(parent, clouds, number, length):
    """Unknown ones, and ones that are too long or too short."""
    parent.configure()
    before = whole(clouds)
    parent.say("message", number, 0, length)
    assert parent.ended()[0] == ["exited", "1"]
    assert whole(clouds) == before and not written(clouds)


@pytest.mark.parametrize("length", [0, 15, 16385, 0x7fffffff, 0xffffffff])
def test_impossible_length(parent, clouds, length):
    parent.configure()
    header = struct.pack("=IIII", TYPES["IMSG_PLAN"], length, 0, 0)
    parent.say("bytes", header.hex())
    assert parent.ended()[0] == ["exited", "1"]
    assert not written(clouds)


def test_cut_short(parent, clouds):
    """Half a message, and then the end: nothing comes of it."""
    parent.configure()
    before = whole(clouds)
    header = struct.pack("=IIII", TYPES["IMSG_PLAN"], 104, 0, 0)
    parent.say("bytes", (header + bytes(40)).hex())
    parent.say("close")
    assert parent.ended()[0] == ["exited", "0"]
    assert whole(clouds) == before and not written(clouds)


def test_descriptor(parent, clouds):
    """A descriptor that comes with a message does not arrive."""
    def links():
        found = []
        for entry in os.scandir(f"/proc/{parent.pid}/fd"):
            found.append(os.readlink(entry.path))
        return sorted(one for one in found if not one.startswith("socket:"))
    parent.configure()
    before = links()
    for number in range(50):
        parent.say("descriptor", 0, number)
    parent.plan(0, 9, KEEP, KEEP, 0)
    parent.until("done", 0, 9)
    assert links() == before


BAD_ACTS = {
    "another project by its path": (
        dict(project="demo-project/regions/region-a/routers/x?"), "project"),
    "project": (dict(project="Demo"), "project"),
    "no project": (dict(project=""), "project"),
    "region that leads elsewhere": (dict(region="../region-b"), "region"),
    "no region": (dict(region=""), "region"),
    "router that leads elsewhere": (
        dict(router="../../region-b/routers/router-b"), "router"),
    "router with a query": (dict(router="router-a?x="), "router"),
    "router with a fragment": (dict(router="router-b#"), "router"),
    "encoded router": (dict(router="router%2db"), "router"),
    "no router": (dict(router=""), "router"),
    "all routes": (dict(match=""), "every route"),
    "host bits": (dict(primary="203.0.113.7/24"), "prefix"),
    "overlapping prefixes": (dict(secondary="203.0.113.0/25"), "overlap"),
    "a shorter prefix that holds ours": (dict(secondary="203.0.112.0/20"),
                                         "overlap"),
    "equal priorities": (dict(priority=200), "priority"),
    "priorities the wrong way round": (dict(priority=300), "priority"),
    "an unknown account": (dict(account=1), "account"),
    "an account far off": (dict(account=0xffffffff >> 1), "account"),
}


@pytest.mark.parametrize("what", BAD_ACTS)
def test_impossible_list(parent, clouds, what):
    """A list that no configuration makes is not taken."""
    changes, why = BAD_ACTS[what]
    parent.configure()
    before = whole(clouds)
    parent.begin()
    parent.act(**changes)
    parent.say("commit")
    parent.plan(0, 1, WITHDRAW, WITHDRAW, FAILED)
    how, said = parent.ended()
    assert how == ["exited", "1"] and "failover 0" in said and why in said
    assert whole(clouds) == before and not written(clouds)


@pytest.mark.parametrize("priorities", [
    dict(priority=0), dict(failed=1001), dict(failed=0)])
def test_priority_out_of_range(parent, clouds, priorities):
    parent.configure()
    parent.begin()
    parent.act(**priorities)
    assert parent.ended()[0] == ["exited", "1"]
    assert not written(clouds)


BAD_PAIRS = {
    "the same prefix": (dict(match=OTHER), "prefix"),
    "a shorter prefix": (dict(match=OTHER, primary="203.0.112.0/23",
                              secondary="192.0.2.0/24"), "prefix"),
    "a longer prefix": (dict(match=OTHER, primary="192.0.2.0/24",
                             secondary="198.51.100.128/25"), "prefix"),
    "the same text": (dict(router="router-c"), "routes"),
    "a text in a text": (dict(router="router-c", match="mt-gcpd"), "routes"),
    "a longer text": (dict(router="router-c", match=MATCH + "s"), "routes"),
}


@pytest.mark.parametrize("what", BAD_PAIRS)
def test_overlapping_failovers(parent, clouds, what):
    """Nothing belongs to two failovers."""
    changes, why = BAD_PAIRS[what]
    parent.begin()
    parent.act(0)
    parent.act(1, **changes)
    parent.say("commit")
    how, said = parent.ended()
    assert how == ["exited", "1"] and why in said
    assert not clouds.requests(path="/compute/")


@pytest.mark.parametrize("url", [
    "http://compute.sim.test", "https://", "https:///x", "file:///etc/passwd",
    "https://user@compute.sim.test", "https://compute.sim.test/?x=",
    "https://compute.sim.test/#", "https://compute.sim.test/ x"])
@pytest.mark.parametrize("api", [0, 1])
def test_impossible_endpoint(parent, clouds, url, api):
    """A token is shown to nobody over a line that can be read, and no
    endpoint swallows what comes after it."""
    parent.begin()
    parent.say("url", api, url)
    parent.act()
    parent.say("commit")
    how, said = parent.ended()
    assert how == ["exited", "1"] and "endpoint" in said
    assert not clouds.requests(path="/compute/")


@pytest.mark.parametrize("account", ["../x", "a/b", "a?b", "a b", "%2e"])
def test_impossible_account(parent, clouds, account):
    parent.begin()
    parent.say("account", 0, account)
    parent.act()
    parent.say("commit")
    how, said = parent.ended()
    assert how == ["exited", "1"] and "account 0" in said


@pytest.mark.parametrize("changes", [
    dict(router="router-x"), dict(project="other-project"),
    dict(region="region-b")])
def test_nothing_there(parent, clouds, changes):
    """A router that is not there, or not ours in the eyes of the cloud."""
    before = whole(clouds)
    parent.configure(**changes)
    parent.plan(0, 1, WITHDRAW, WITHDRAW, 0)
    assert parent.until("done", 0, 1)[3] == "1"
    assert whole(clouds) == before and not written(clouds)


def test_other_prefixes_stay(parent, clouds):
    """What is advertised besides is not touched, however near it is."""
    near = ["203.0.112.0/20", "203.0.113.0/25", "203.0.113.128/25",
            "203.0.112.0/24"]
    router = clouds.router("router-a")
    ranges = router["bgp"]["advertisedIpRanges"] + [
        {"range": one, "description": "not ours"} for one in near]
    clouds.patch({"projects": {PROJECT: {"regions": {"region-a": {"routers": {
        "router-a": {"bgp": {"advertisedIpRanges": ranges}}}}}}}})
    parent.configure()
    parent.plan(0, 1, WITHDRAW, WITHDRAW, 0)
    assert parent.until("done", 0, 1)[3] == "0"
    left = clouds.ranges("router-a")
    assert X not in left and Y not in left
    assert set(near) <= set(left)


def test_blocked(parent, clouds):
    """Halves that must not be called are not called."""
    parent.configure()
    before = whole(clouds)
    parent.plan(0, 1, WITHDRAW, WITHDRAW, FAILED, 0, 3)
    assert parent.until("done", 0, 1)[3] == "1"
    assert whole(clouds) == before and not clouds.requests(path="/compute/")


def test_passive(parent, clouds):
    parent.configure(passive=1)
    before = whole(clouds)
    parent.plan(0, 1, WITHDRAW, WITHDRAW, FAILED)
    assert parent.until("done", 0, 1)[3] == "4"
    assert whole(clouds) == before and not written(clouds)


def resident(pid):
    return int(status(pid)["VmRSS"].split()[0])


def test_flood(parent, clouds):
    """Ten thousand plans a second that contradict each other: each is
    answered, none is kept, and the accounts are called no more often than
    they may be."""
    clouds.settings(op_delay_ms=20, advert_lag_ms=20)
    others = set(clouds.ranges("router-a")) - {X, Y}
    parent.configure()
    parent.plan(0, 1, KEEP, KEEP, PRIORITY)
    parent.until("done", 0, 1)
    before = resident(parent.pid)
    parent.say("flood", 30000, 10000, 0)
    took = int(parent.until("flooded", timeout=60)[1])
    assert took < 15000
    after = resident(parent.pid)
    assert after - before < 8192, "kB"

    def ended():
        parent.say("counts")
        counts = parent.until("counts", timeout=30)
        return sum(map(int, counts[1:])) == 30001
    wait_until(ended, 60, "each plan has an end")
    calls = clouds.requests(path="/client/")
    assert len(calls) <= 600
    for _, path in written(clouds):
        assert path.endswith(("/routers/router-a", "/magic/routes"))
    assert set(clouds.ranges("router-a")) - {X, Y} == others


def test_budget(parent, clouds):
    """Plans one after another, as fast as they end: the account's budget is
    the last word."""
    parent.configure()
    for number in range(1, 1000):
        parent.plan(0, number, KEEP, KEEP, 1 + number % 2)
        done = parent.until("done", 0, number)
        if done[3] != "0":
            break
    assert "600 calls in 300 s" in done[6]
    assert 550 < len(clouds.requests(path="/client/")) <= 600


def test_limit(parent, clouds):
    """The same for Compute: five requests a second, and not one more."""
    parent.rate = 5
    parent.configure()
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < 3:
        number += 1
        parent.plan(0, number, 1 + number % 2, KEEP, 0)
        time.sleep(0.005)
    took = time.monotonic() - began
    calls = len(clouds.requests(path="/compute/"))
    assert 5 < calls <= 5 + 5 * took + 1


def test_flood_of_refusals(parent, clouds):
    parent.configure()
    before = whole(clouds), resident(parent.pid)
    parent.say("flood", 20000, 10000, 17)
    parent.until("flooded", timeout=60)

    def ended():
        parent.say("counts")
        return parent.until("counts", timeout=30)[4] == "20000"
    wait_until(ended, 60, "each plan was refused")
    assert whole(clouds) == before[0] and not written(clouds)
    assert resident(parent.pid) - before[1] < 8192, "kB"


def test_deaf(parent, clouds):
    """A parent that asks and does not listen does not fill the memory."""
    parent.configure()
    parent.say("deaf")
    parent.say("flood", 200000, 100000, 17)
    most = 0

    def ended():
        nonlocal most
        try:
            most = max(most, resident(parent.pid))
        except (FileNotFoundError, ProcessLookupError, KeyError):
            pass
        assert most < 128 * 1024, "kB"
        return parent.process.poll() is not None
    wait_until(ended, 20, "it does not go on")
    assert parent.ended()[0] == ["exited", "1"]
    assert not written(clouds)
