# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What a process that has been taken over cannot do.  Each act is performed
inside the running, confined processes of the daemon, by having them make the
system calls, and outside of any confinement, where it must succeed: what does
not succeed there says nothing, and is named and not counted."""

import collections
import concurrent.futures
import errno
import os
import pathlib
import platform
import pwd
import resource
import select
import signal
import socket
import subprocess
import threading

import pytest

import acts
from harness import BUILD, wait_until
from test_process import status
from test_reporter import CLOUD, Served

INJECT = BUILD / "inject"
ROLES = ["parent", "resolver", "signer", "prober", "actuator", "reporter"]
# What a filter or Landlock answers; whatever else comes back comes from a
# kernel that has begun to do it.
REFUSALS = (errno.EACCES, errno.EPERM, errno.ENOSYS)
QUICK = """interval 0.2
handover no
drain 0"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="needs x86-64"),
]


class Inside:
    """A process that is made to act."""

    def __init__(self, *arguments, directory=None, **more):
        self.tool = subprocess.Popen(
            [INJECT, *map(str, arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, cwd=directory, **more)
        assert self.line() == "ready"
        self.number = 0

    def line(self):
        ready, _, _ = select.select([self.tool.stdout], [], [], 10)
        if not ready:
            self.tool.kill()
            return "stuck"
        return self.tool.stdout.readline().decode().strip()

    def call(self, text):
        """What came of it: a number, or how the process ended."""
        first = self.number
        words = [f"={first + int(word[1:])}" if word[0] == "=" else word
                 for word in text.split()]
        self.tool.stdin.write((" ".join(words) + "\n").encode())
        self.tool.stdin.flush()
        answer = self.line()
        assert answer, text
        return int(answer[2:]) if answer.startswith("=") else answer

    def act(self, calls):
        """Perform an act.  The number of its last call, or how it ended."""
        results = []
        for text in calls:
            for number, result in enumerate(results):
                text = text.replace(f"<{number}>", acts.word(
                    result % (1 << 64)))
            result = self.call(text)
            if not isinstance(result, int):
                return result
            results.append(result)
            if -4096 < result < 0:
                break
        self.number += len(results)
        return result

    def close(self):
        self.tool.stdin.close()
        try:
            self.tool.wait(10)
        except subprocess.TimeoutExpired:
            self.tool.kill()
            self.tool.wait()
        self.tool.stdout.close()


def memory_of(pid):
    """The address of some memory that can be read and written."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.split()[1].startswith("rw"):
            return int(line.split("-")[0], 16)
    raise AssertionError(pid)


class Site:
    """Files, a port and the like that acts need, for one process at a time."""

    def __init__(self, directory, port):
        self.directory = pathlib.Path(directory)
        self.port = port
        self.count = 0

    def values(self, pid, sibling, parent, uid, fd, tty=0):
        self.count += 1
        place = self.directory / f"site{self.count}"
        place.mkdir()
        (place / "there").touch()
        (place / "dir").mkdir()
        for path in (place, place / "there", place / "dir"):
            os.chown(path, uid, uid)
        remote = memory_of(sibling)
        return {
            "sibling": sibling, "parent": parent, "uid": uid, "self": pid,
            "fd": fd, "tty": tty,
            "file": acts.data(str(place / "file")),
            "new": acts.data(str(place / "new")),
            "there": acts.data(str(place / "there")),
            "dir": acts.data(str(place / "dir")),
            "mem": acts.data(f"/proc/{sibling}/mem"),
            "remote": acts.numbers("QQ", remote, 64),
            "remote_byte": acts.numbers("QQ", remote, 1),
            "port": acts.data(acts.ipv4(self.port)),
        }


def fill(act, values):
    return [text.format_map(values) for text in act.calls]


def succeeded(result):
    return isinstance(result, int) and not -4096 < result < 0


def outcome(act, result):
    """How an act ended inside: the word for it, and whether it was refused."""
    if succeeded(result):
        return "succeeded", False
    if result == "killed 31":
        return "killed", True
    if act.calls[-1] == "segv":
        return result, result == "killed 11"
    if not isinstance(result, int):
        return result, False
    name = errno.errorcode.get(-result, str(-result))
    return name, -result in REFUSALS + act.errnos


def worked(act, result):
    """Did the act succeed outside?"""
    if act.calls[-1] == "segv":
        return result == "killed 11 core"
    if act.reaches is not None and result == -act.reaches:
        return True
    return succeeded(result)


class Victims:
    """Processes that others may try to get at, by user."""

    def __init__(self):
        self.processes = {}

    def get(self, uid):
        if uid not in self.processes:
            process = subprocess.Popen(["sleep", "600"], user=uid, group=uid)
            wait_until(lambda: b"sleep" in pathlib.Path(
                f"/proc/{process.pid}/cmdline").read_bytes(), what="sleep")
            self.processes[uid] = process
        return self.processes[uid].pid

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


def outside(act, site, victims, uid):
    """What came of an act where nothing is confined."""
    one = Inside("-n", uid, directory=site.directory)
    try:
        victim = victims.get(uid)
        values = site.values(one.tool.pid, victim, victim, uid, 3)
        return one.act(fill(act, values))
    finally:
        one.close()


@pytest.fixture
def listener():
    """A port that no process of mt-gcpd has any business with."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as one:
        yield one.getsockname()[1]


@pytest.fixture
def cores(place):
    """Whoever starts a daemon may have no limit to what it may leave; nothing
    is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    before = os.getcwd()
    directory = place.path / "cwd"
    directory.mkdir()
    os.chdir(directory)
    yield
    os.chdir(before)
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert os.listdir(directory) == []


class Rounds:
    """A daemon has to be started anew after each act that ends a process of
    it, but may lose all of them at once: while its parent is held in a system
    call it does not see that."""

    def __init__(self, place, clouds, port, top, wanted):
        self.place, self.clouds, self.top = place, clouds, top
        self.site = Site(place.path, port)
        self.lock = threading.Lock()
        self.left = {role: collections.deque(listed)
                     for role, listed in wanted.items()}
        self.results = {}
        self.started = 0
        self.victims = Victims()

    def take(self, role):
        with self.lock:
            left = self.left.get(role)
            return left.popleft() if left else None

    def start(self):
        with self.lock:
            self.started += 1
            name = f"round{self.started}"
            served = Served()
            daemon = self.place.daemon(
                self.clouds, "A", f"{self.top}\n{served.statement}",
                name=name)
        daemon.wait_state(1)
        wait_until(lambda: len(daemon.children()) == 5 and all(
            status(pid)["Seccomp"] == "2"
            for pid in daemon.children().values()), what="all are confined")
        return daemon

    def values(self, role, pids):
        # The next one, which still lives; the last one has only the parent,
        # whose turn comes when it has no child any more.
        if role == "parent":
            sibling = self.victims.get(pwd.getpwnam("mtgcpd-prober").pw_uid)
        else:
            sibling = pids[(ROLES + ROLES)[ROLES.index(role) + 1]]
        uid = 0 if role == "parent" \
            else pwd.getpwnam(f"mtgcpd-{role}").pw_uid
        fd = 3
        if role == "parent":
            fd = min(int(entry.name) for entry
                     in os.scandir(f"/proc/{pids[role]}/fd")
                     if os.readlink(entry.path).startswith("socket:"))
        parent = os.getpid() if role == "parent" else pids["parent"]
        with self.lock:
            return self.site.values(pids[role], sibling, parent, uid, fd)

    def turn(self, role, inside, pids):
        """Acts, until one is the end of the process."""
        try:
            while (act := self.take(role)) is not None:
                result = inside.act(fill(act, self.values(role, pids)))
                self.results[role, act.name] = (act, result)
                if not isinstance(result, int):
                    break
        finally:
            inside.close()

    def once(self):
        daemon = self.start()
        pids = {"parent": daemon.process.pid, **daemon.children()}
        parent = Inside(pids["parent"])
        try:
            for role in self.left:
                if role != "parent" and self.left[role]:
                    self.turn(role, Inside(pids[role]), pids)
            self.turn("parent", parent, pids)
        finally:
            parent.close()
        if daemon.process.poll() is None:
            daemon.process.send_signal(signal.SIGTERM)
        daemon.process.wait(15)

    def all(self):
        def work():
            while any(self.left.values()):
                self.once()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for one in [pool.submit(work) for _ in range(3)]:
                one.result()
        self.victims.close()
        return self.results


def judge(results, witnessed, capsys):
    """Tell what was seen, and return what should not have been."""
    wrong, counts = [], collections.Counter()
    for (role, name), (act, result) in results.items():
        word, refused = outcome(act, result)
        if role in act.may:
            counts["its business"] += 1
        elif not refused:
            wrong.append(f"{role}: {name}: {word} ({result})")
        elif name not in witnessed:
            counts["without a witness"] += 1
        else:
            counts["killed" if word == "killed" else "refused"] += 1
    with capsys.disabled():
        print("\n" + ", ".join(f"{n} {what}" for what, n in counts.items()))
    return wrong


def witnesses(place, port, listed, capsys):
    """The acts that succeed where nothing is confined, and who it took."""
    site, victims = Site(place.path, port), Victims()
    user = pwd.getpwnam("mtgcpd-prober").pw_uid
    found, missing = {}, []
    site.directory = place.path / "outside"
    site.directory.mkdir()
    site.directory.chmod(0o777)
    try:
        for act in listed:
            seen = []
            for uid in (user, 0):
                seen.append(outside(act, site, victims, uid))
                if worked(act, seen[-1]):
                    found[act.name] = uid
                    break
            else:
                missing.append(f"{act.name}: {seen}")
    finally:
        victims.close()
        for path in site.directory.glob("*/dir"):
            subprocess.run(["umount", "-q", path], check=False)
    with capsys.disabled():
        print(f"\n{len(found)} acts succeed outside, "
              f"{sum(uid != 0 for uid in found.values())} of them for "
              "anybody")
        for line in missing:
            print(f"NOT TESTED, it does not succeed outside either: {line}")
    return found


def test_acts(place, clouds, listener, cores, capsys):
    """Every process, every act."""
    witnessed = witnesses(place, listener, acts.ACTS, capsys)
    assert len(witnessed) > 0.9 * len(acts.ACTS)
    rounds = Rounds(place, clouds, listener, f"{QUICK}\n{CLOUD}",
                    {role: acts.ACTS for role in ROLES})
    results = rounds.all()
    assert len(results) == len(ROLES) * len(acts.ACTS)
    wrong = judge(results, witnessed, capsys)
    assert not wrong, "\n".join(wrong)


def test_quiet_reporter(place, clouds, listener, cores, capsys):
    """A reporter that only serves makes no connection at all."""
    listed = acts.SOCKETS
    witnessed = witnesses(place, listener, listed, capsys)
    rounds = Rounds(place, clouds, listener, QUICK, {"reporter": listed})
    results = {("quiet reporter", name): result
               for (_, name), result in rounds.all().items()}
    wrong = judge(results, witnessed, capsys)
    assert not wrong, "\n".join(wrong)
