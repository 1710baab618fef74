# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Who knows a secret: what is in the memory of each process, in use or left
behind, after a failover and after a reload."""

import base64
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from checks import check_desired
from harness import BUILD, wait_until
from test_reporter import CLOUD, Served
from test_tokens import secrets

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

QUICK = """interval 0.2
handover no
drain 0"""

ACCESS = re.compile(rb"ya29\.sim-[0-9a-f]{48}")
# Header, claims and signature of an assertion, which is as good as a token.
ASSERTION = re.compile(rb"eyJ[\w-]{10,200}\.(eyJ[\w-]{40,2000})\.[\w-]{300}")


def memory(pid):
    """All that a process could have written to, but for what it shares."""
    found = []
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            words = line.split()
            if words[1][3] != "p" or words[-1] in ("[vvar]", "[vsyscall]"):
                continue
            start, end = (int(one, 16) for one in words[0].split("-"))
            try:
                mem.seek(start)
                found.append(mem.read(end - start))
            except OSError:
                pass  # a guard page
    return b"\n".join(found)


def elements(der):
    """The integers of a DER sequence, in order."""
    found, at = [], 0
    while at < len(der):
        kind, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7f
            length = int.from_bytes(der[at:at + count], "big")
            at += count
        if kind == 2:
            found.append(der[at:at + length].lstrip(b"\0"))
        elif kind in (0x30, 0x04):
            found += elements(der[at:at + length])
        at += length
    return found


def key_numbers(path):
    """The private exponent and the primes of a key, as they may be kept."""
    text = json.loads(path.read_text())["private_key"]
    der = base64.b64decode("".join(text.splitlines()[1:-1]))
    _, _, _, _, exponent, p, q = elements(der)[:7]
    return [order for number in (exponent, p, q)
            for order in (number, number[::-1])]


def key_pieces(path):
    lines = json.loads(path.read_text())["private_key"].splitlines()
    return [line.encode() for line in lines[2:-1]]


class Known:
    """What each process of a daemon knows."""

    def __init__(self, daemon, clouds):
        pids = {"parent": daemon.process.pid, **daemon.children()}
        assert len(pids) == 6
        self.memory = {role: memory(pid) for role, pid in pids.items()}
        self.clouds = clouds

    def who(self, secret):
        return {role for role, text in self.memory.items() if secret in text}

    def matches(self, expression, role):
        return set(expression.findall(self.memory[role]))

    def check_keys(self):
        for name in ("prober.json", "actuator.json"):
            path = self.clouds.directory / name
            for piece in key_pieces(path):
                assert self.who(piece) <= {"signer"}, name
            found = [self.who(number) for number in key_numbers(path)]
            assert set().union(*found) == {"signer"}, name

    def check_cloudflare(self):
        path = self.clouds.directory / "cloudflare.token"
        assert self.who(path.read_bytes().strip()) == {"actuator"}

    def check_access(self):
        """Each has its own token, which nobody else has."""
        held = {role: self.matches(ACCESS, role) for role in self.memory}
        holders = ["prober", "actuator", "reporter"]
        for role in self.memory:
            if role in holders:
                assert held[role], role
            else:
                assert not held[role], role
        everything = [token for role in holders for token in held[role]]
        assert len(everything) == len(set(everything))

    def check_assertions(self):
        for role in ("parent", "resolver"):
            assert not self.matches(ASSERTION, role), role
        for role in ("prober", "actuator", "reporter"):
            for claims in self.matches(ASSERTION, role):
                text = base64.urlsafe_b64decode(claims + b"===")
                scope = json.loads(text)["scope"].rsplit("/", 1)[1]
                assert scope == {"prober": "compute.readonly",
                                 "actuator": "compute",
                                 "reporter": "logging.write"}[role]


def test_assertion_is_known():
    """One would be found if it were there."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).strip(b"=")
    one = b".".join([
        part({"alg": "RS256", "kid": "k" * 40, "typ": "JWT"}),
        part({"iss": "a@b.iam.gserviceaccount.com", "scope": "x/compute",
              "aud": "https://oauth2.googleapis.com/token", "iat": 1,
              "exp": 2}),
        base64.urlsafe_b64encode(bytes(range(256))).strip(b"=")])
    assert ASSERTION.search(b"\0assertion=" + one + b"\0")


CHECKS = ["keys", "cloudflare", "access", "assertions"]


@pytest.fixture
def daemon(place, clouds):
    served = Served()
    one = place.daemon(clouds, "A", f"{QUICK}\n{CLOUD}\n{served.statement}",
                       arguments=("-v",))
    one.wait_state(1)
    wait_until(lambda: len(one.children()) == 5 and clouds.logs(),
               what="the reporter has a token")
    return one


@pytest.mark.parametrize("what", CHECKS)
def test_after_failover(clouds, daemon, what):
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    check_desired(clouds, 2)
    getattr(Known(daemon, clouds), f"check_{what}")()


@pytest.mark.parametrize("what", CHECKS)
def test_after_reload(clouds, daemon, what):
    for _ in range(3):
        since = len(daemon.events())
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_event(lambda e: e["operation"] == "reload", since=since)
    daemon.wait_cycles(2)
    getattr(Known(daemon, clouds), f"check_{what}")()


def test_after_refusals(clouds, daemon):
    """A token that is replaced is forgotten by all, and a new one is its
    holder's alone."""
    first = Known(daemon, clouds)
    old = {role: first.matches(ACCESS, role) for role in first.memory}
    clouds.call("DELETE", "/tokens")
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    since = len(clouds.logs())
    wait_until(lambda: len(clouds.logs()) > since, what="the reporter goes on")
    known = Known(daemon, clouds)
    known.check_access()
    known.check_assertions()
    for role in ("prober", "actuator"):
        assert known.matches(ACCESS, role) != old[role]


def test_printed(clouds, daemon):
    """A configuration that is printed, and libraries, tell no secret; nor do
    the arguments and the environment of a process."""
    said = {}
    for option in ("-n", "-nv", "-p", "-V"):
        words = [f"-{one}" for one in option[1:]]
        ended = subprocess.run(
            [BUILD / "mt-gcpd", *words, "-f", daemon.conf],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=20)
        said[option] = ended.stdout
    for pid in [daemon.process.pid, *daemon.children().values()]:
        for what in ("cmdline", "environ"):
            path = pathlib.Path(f"/proc/{pid}/{what}")
            said[str(path)] = path.read_bytes()
    assert b"failover" in said["-p"]
    for secret in secrets(clouds):
        for name, text in said.items():
            assert secret not in text, name


def limits(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            return line[26:].split()[:2]
    raise KeyError(name)


def test_no_core(daemon):
    """Nobody may leave a core, nor be looked at by others."""
    for role, pid in {"parent": daemon.process.pid,
                      **daemon.children()}.items():
        assert limits(pid, "Max core file size") == ["0", "0"], role
        # What cannot be dumped is root's.
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0, role
