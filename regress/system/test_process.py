# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The processes: how they are confined and what they are made of, how they
start and end, and what outlives them."""

import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess

import pytest

from checks import check_desired
from harness import BUILD, Daemon, X, configuration, wait_until

ROLES = ["resolver", "signer", "prober", "actuator"]
NOBODY = 65534
QUICK = """interval 0.1
handover no
drain 0
timeout api 1
timeout health 1"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Unprivileged(Daemon):
    """A daemon of a user who may do nothing in particular."""

    def start(self):
        if os.geteuid() != 0:
            super().start()
            return
        for path in [self.directory, *self.directory.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        self.errors = open(self.directory / "stderr", "ab")
        self.process = subprocess.Popen(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
             "--clear-groups", self.directory.parent / "copy" / "mt-gcpd",
             "-d", "-f", str(self.conf)],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)


def log_of(daemon):
    return (daemon.directory / "log").read_text()


def copy_programs(place):
    """The daemon and its child programs in a directory of the test's own."""
    copy = place.path / "copy"
    (copy / "libexec").mkdir(parents=True)
    shutil.copy(BUILD / "mt-gcpd", copy)
    for role in ROLES + ["reporter"]:
        shutil.copy(BUILD / "libexec" / f"mt-gcpd-{role}", copy / "libexec")
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755)
    return copy


def fails_to_start(place, clouds, program):
    """Start a daemon that ends at once; what it says."""
    directory = place.path / "A"
    directory.mkdir()
    (directory / "empty").mkdir()
    conf = directory / "mt-gcpd.conf"
    conf.write_text(configuration(clouds, "A", directory))
    conf.chmod(0o600)
    ended = subprocess.run([program, "-d", "-f", conf], text=True, timeout=20,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
    assert ended.returncode == 1, ended.stdout
    return ended.stdout


def status(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines()
                if ":\t" in line)


def descriptors(pid):
    found = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(entry.path))
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def sockets(pid):
    """The inodes of the sockets of a process."""
    return {int(name[8:-1]) for name in descriptors(pid)
            if name.startswith("socket:[")}


def listed(name, column):
    """The inodes in a file of /proc/net."""
    try:
        lines = pathlib.Path(f"/proc/net/{name}").read_text().splitlines()
    except FileNotFoundError:
        return set()
    return {int(line.split()[column]) for line in lines[1:]}


def inet_sockets():
    return set().union(*(listed(name, 9) for name in (
        "tcp", "tcp6", "udp", "udp6", "raw", "raw6")))


def gone(pid):
    try:
        return status(pid)["State"].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def check_confined(daemon):
    children = daemon.children()
    assert sorted(children) == sorted(ROLES)
    for pid in [daemon.process.pid, *children.values()]:
        what = status(pid)
        assert what["Seccomp"] == "2", what["Name"]
        assert what["NoNewPrivs"] == "1", what["Name"]
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(what[kind], 16) == 0, (what["Name"], kind)
    return children


@needs_root
def test_confined(place, clouds):
    """Every child is a user of its own, without privileges, in an empty
    directory, and has no file but /dev/null."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    children = check_confined(daemon)
    users = set()
    for role, pid in children.items():
        what = status(pid)
        uids, gids = what["Uid"].split(), what["Gid"].split()
        assert len(set(uids)) == 1 and len(set(gids)) == 1
        assert "0" not in uids + gids
        assert what["Groups"].split() in ([], gids[:1])
        users.add(uids[0])
        empty = str(daemon.directory / "empty")
        assert os.readlink(f"/proc/{pid}/root") == empty, role
        assert os.readlink(f"/proc/{pid}/cwd") == empty, role
        for name in descriptors(pid):
            assert name == "/dev/null" or name.startswith((
                "socket:", "pipe:", "anon_inode:")), (role, name)
        # What cannot be dumped is root's.
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0, role
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        # A build for developers has one wish there.
        assert "MTGCPD_SECCOMP" in os.environ \
            or environment.strip(b"\0") == b"", role
    assert len(users) == len(ROLES)
    assert os.listdir(daemon.directory / "empty") == []


@pytest.mark.skipif("MTGCPD_SECCOMP" in os.environ,
                    reason="a build for developers")
def test_no_other_filter():
    """Nothing in the environment changes a filter: what would read it is not
    there."""
    for path in [BUILD / "mt-gcpd", *(BUILD / "libexec").iterdir()]:
        assert b"MTGCPD_SECCOMP" not in path.read_bytes(), path


@needs_root
@pytest.mark.skipif("MTGCPD_SECCOMP" not in os.environ
                    or platform.machine() != "x86_64",
                    reason="not a build for developers, or not x86-64")
@pytest.mark.parametrize("role", ["parent"] + ROLES)
def test_names_the_call(place, clouds, role):
    """The build for developers says which call a filter does not have."""
    from test_oracle import Inside
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    pid = daemon.process.pid if role == "parent" else daemon.children()[role]
    process = Inside(pid)
    assert process.call("call 110") == "trapped"
    process.close()
    wait_until(lambda: "does not have getppid (110)"
               in (daemon.directory / "log").read_text(), what="the name")


def test_keys_are_locked(place, clouds):
    """The signer's keys are in memory that is never paged out."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    locked = int(status(daemon.children()["signer"])["VmLck"].split()[0])
    assert locked >= 1024 + 256
    assert "paged out" not in (daemon.directory / "log").read_text()


def test_sockets(place, clouds):
    """The parent and the signer speak to nobody but their own."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    children = daemon.children()
    parent, signer = sockets(daemon.process.pid), sockets(children["signer"])
    network = sockets(children["prober"]) | sockets(children["actuator"])
    inet, unix = inet_sockets(), listed("unix", 6)
    assert network & inet
    assert len(parent) == len(ROLES) + 1  # where mt-gcpctl is heard
    assert len(signer) == 1
    assert not (parent | signer) & inet
    assert parent | signer <= unix
    assert len(sockets(children["resolver"]) & unix) == 1


NEVER = {
    "mt-gcpd": ["curl", "ssl", "crypto", "cares"],
    "libexec/mt-gcpd-resolver": ["curl", "ssl", "crypto", "jansson"],
    "libexec/mt-gcpd-signer": ["curl", "ssl", "cares"],
    "libexec/mt-gcpd-prober": ["cares"],
    "libexec/mt-gcpd-actuator": ["cares"],
    "libexec/mt-gcpd-reporter": ["cares"],
}


@pytest.mark.parametrize("program", NEVER)
def test_linked(program):
    """A program is linked with nothing that it has no use for."""
    text = subprocess.run(["ldd", BUILD / program], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    assert "libevent_core" in text
    for library in NEVER[program]:
        assert f"lib{library}.so" not in text


@pytest.mark.parametrize("role", ROLES)
def test_child_killed(place, clouds, role):
    """The end of a child is the end of the daemon and of the others, and the
    log names it and how it ended; the clouds stay as they are."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    before = clouds.world()
    children = daemon.children()
    os.kill(children[role], signal.SIGKILL)
    assert daemon.process.wait(10) == 1
    wait_until(lambda: all(gone(pid) for pid in children.values()),
               what="no child is left")
    line = f"the {role} was killed by signal 9 (Killed)"
    assert line in log_of(daemon) and line in daemon.stderr()
    lost, = [e for e in daemon.events("daemon_lifecycle")
             if e["operation"] == "child_lost"]
    assert lost["result"] == "failure" and role in lost["error_message"]
    assert clouds.world() == before
    daemon.start()
    daemon.wait_state(1, since=len(daemon.events()))


def test_only_one(place, clouds):
    """A second daemon with the same state file does not start, and does not
    disturb the first."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    second = subprocess.run(
        [BUILD / "mt-gcpd", "-d", "-f", daemon.conf], text=True, timeout=20,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert second.returncode == 1
    assert "already running" in second.stdout
    daemon.wait_cycles(2)
    assert daemon.stop() == 0


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_stopped(place, clouds, signo):
    """When the daemon is stopped the clouds stay as they are, and no child
    is left."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    children, before = daemon.children(), clouds.world()
    daemon.process.send_signal(signo)
    assert daemon.process.wait(10) == 0
    wait_until(lambda: all(gone(pid) for pid in children.values()),
               what="no child is left")
    assert clouds.world() == before
    assert clouds.writes() == []
    assert daemon.events()[-1]["operation"] == "shutdown"


def test_stopped_writing(place, clouds):
    """The write in flight is awaited, but no other one begun."""
    clouds.health("region-a", "UNHEALTHY")
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(2)
    clouds.settings(op_delay_ms=1500)
    since = clouds.next_seq()
    clouds.health("region-a", "HEALTHY")
    wait_until(lambda: clouds.requests(since, "PATCH"), what="a write")
    assert X not in clouds.ranges("router-a")
    assert daemon.stop() == 0
    assert X in clouds.ranges("router-a")
    assert clouds.priority("mt-gcpd A primary") == 200
    assert len(clouds.writes(since)) == 1
    daemon.start()
    daemon.wait_state(1, since=len(daemon.events()))
    check_desired(clouds, 1)


def test_stopped_writing_for_ever(place, clouds):
    """What never ends is waited for no longer than its time."""
    clouds.settings(op_delay_ms=-1)
    daemon = place.daemon(clouds, "A", QUICK + "\ntimeout bgp-update 2")
    daemon.wait_state(1)
    clouds.health("region-b", "UNHEALTHY")
    wait_until(lambda: clouds.requests(0, "PATCH"), what="a write")
    assert daemon.stop(timeout=10) == 0
    assert len(clouds.writes()) == 1


def test_state_is_kept(place, clouds):
    """The current state and its age survive a restart; but nothing is written
    before the clouds have been seen again."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    old = daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle"
        and e["details"]["time_in_state_seconds"] > 1)
    assert daemon.stop() == 0
    clouds.fault("status", "/backendServices", status=503)
    clouds.health("region-a", "UNHEALTHY")
    clouds.bgp("router-b", "DOWN")
    events, since = len(daemon.events()), clouds.next_seq()
    daemon.start()
    first = daemon.wait_event(
        lambda e: e["event_type"] == "health_check_cycle", since=events)
    assert first["details"]["current_state"] == 1
    assert first["details"]["state_code"] == 0
    assert first["details"]["time_in_state_seconds"] \
        >= old["details"]["time_in_state_seconds"]
    daemon.wait_cycles(4)
    assert daemon.events("state_transition")[1:] == []
    assert clouds.writes(since) == []
    clouds.clear_faults()
    daemon.wait_state(5)
    moved = daemon.events("state_transition")[1]
    assert moved["details"]["old_state"] == 1


def flip(text):
    state = json.loads(text)
    state["failovers"][0]["state"] = 2
    return json.dumps(state)


def newer(text):
    return text.replace('"format":2', '"format":99')


@pytest.mark.parametrize("damage", [
    flip, newer, lambda text: text[:-20], lambda text: "",
    lambda text: "[1, 2]", lambda text: "\0" * 100],
    ids=["changed", "newer", "cut", "empty", "other", "zeros"])
def test_state_is_damaged(place, clouds, damage):
    """A state file that cannot be understood is kept aside, and the daemon
    starts from nothing."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    assert daemon.stop() == 0
    path = daemon.directory / "state.json"
    bad = damage(path.read_text())
    path.write_text(bad)
    events = len(daemon.events())
    daemon.start()
    daemon.wait_state(1, since=events)
    assert path.with_name("state.json.bad").read_text() == bad
    assert "starting from unknown" in log_of(daemon)
    moves = [e for e in daemon.events()[events:]
             if e["event_type"] == "state_transition"]
    assert [e["details"]["old_state"] for e in moves] == [0]
    assert daemon.stop() == 0
    assert json.loads(path.read_text())["failovers"][0]["state"] == 1
    assert clouds.writes() == []


def test_reopened(place, clouds):
    """After a rename and SIGUSR1 log and events go to new files."""
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    for name in ("log", "events"):
        path = daemon.directory / name
        path.rename(path.with_suffix(".1"))
    daemon.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: daemon.cycles(), what="events in a new file")
    old = {name: (daemon.directory / f"{name}.1").read_bytes()
           for name in ("log", "events")}
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    assert "opened again" in log_of(daemon)
    assert "state 1 -> 2" in log_of(daemon)
    for name, text in old.items():
        assert text.endswith(b"\n")
        assert (daemon.directory / f"{name}.1").read_bytes() == text


def test_unprivileged(place, clouds):
    """It works without root as well, as confined as is possible then."""
    copy_programs(place)
    directory = place.path / "A"
    directory.mkdir()
    files = {}
    for name in ("prober.json", "actuator.json", "cloudflare.token"):
        files[name] = directory / name
        shutil.copy(clouds.directory / name, files[name])
    text = configuration(clouds, "A", directory, QUICK, **files)
    shutil.copy(clouds.directory / "ca.pem", directory)
    text = text.replace(str(clouds.directory / "ca.pem"),
                        str(directory / "ca.pem"))
    daemon = Unprivileged(directory, text)
    place.started.append(daemon)
    daemon.wait_state(1)
    for pid in check_confined(daemon).values():
        assert set(status(pid)["Uid"].split()) \
            == {str(os.geteuid() or NOBODY)}
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3)
    check_desired(clouds, 3)
    assert daemon.stop() == 0


def test_wrong_ca(place, clouds):
    """Servers that cannot prove who they are are not spoken to."""
    directory = place.path / "A"
    text = configuration(clouds, "A", directory, QUICK)
    daemon = Daemon(directory, text.replace("/ca.pem", "/wrong-ca.pem"))
    place.started.append(daemon)
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_cycles(4)
    for cycle in daemon.cycles():
        assert set(cycle["details"]["samples"].values()) == {None}
    assert "certificate" in log_of(daemon)
    assert clouds.requests() == []


def test_no_address(place, clouds):
    """While a name cannot be looked up nothing is known, and the log says so;
    later all is well without a restart."""
    clouds.settings(dns_mode="nxdomain")
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_cycles(2)
    for cycle in daemon.cycles():
        assert set(cycle["details"]["samples"].values()) == {None}
    assert "oauth.sim.test" in log_of(daemon)
    assert "no address" in log_of(daemon)
    assert clouds.requests() == []
    clouds.settings(dns_mode="ok")
    daemon.wait_state(1)


@pytest.mark.parametrize("mode", ["servfail", "nxdomain", "silent"])
def test_addresses_are_kept(place, clouds, mode):
    """Names are not looked up for a connection: what is known stays in use
    when the name servers fail."""
    clouds.settings(keepalive_max=1)
    daemon = place.daemon(clouds, "A", QUICK)
    daemon.wait_state(1)
    clouds.settings(dns_mode=mode)
    since = clouds.next_seq()
    clouds.health("region-a", "UNHEALTHY")
    daemon.wait_state(2)
    assert len({e["conn"] for e in clouds.requests(since)}) > 5
    assert not [e for e in clouds.journal(since) if e.get("event") == "dns"]


@pytest.mark.parametrize("what", ["", *(f"mt-gcpd-{one}" for one in ROLES)],
                         ids=["directory", *ROLES])
def test_unsafe_program(place, clouds, what):
    """A child program that others could have written is not started."""
    copy = copy_programs(place)
    (copy / "libexec" / what).chmod(0o757)
    text = fails_to_start(place, clouds, copy / "mt-gcpd")
    assert "libexec" in text and what in text
    assert "not permitted" in text
    assert clouds.requests() == []


@pytest.mark.parametrize("role", ROLES)
def test_parts_of_different_builds(place, clouds, role):
    """Programs of two builds do not work together."""
    copy = copy_programs(place)
    path = copy / "libexec" / f"mt-gcpd-{role}"
    program = path.read_bytes()
    version, = set(re.findall(rb"\d+\.\d+\.\d+\+[0-9a-f]{12}\0", program))
    other = version[:-2] + (b"0" if version[-2:-1] != b"0" else b"1") + b"\0"
    path.write_bytes(program.replace(version, other))
    text = fails_to_start(place, clouds, copy / "mt-gcpd")
    assert role in text
    assert version[:-1].decode() in text and other[:-1].decode() in text
    assert clouds.requests() == []


@pytest.mark.parametrize("role", ROLES + ["reporter"])
def test_child_by_hand(role):
    """A child program is of no use to anybody else."""
    ended = subprocess.run([BUILD / "libexec" / f"mt-gcpd-{role}"], text=True,
                           timeout=20, stdin=subprocess.DEVNULL,
                           stderr=subprocess.PIPE)
    assert ended.returncode == 2
    assert "mt-gcpd(8)" in ended.stderr
