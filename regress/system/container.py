# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""A machine with a service manager: systemd in a container on the files of
this one, which keeps what it changes in memory, with nothing but loopback."""

import ctypes
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import warnings

import pytest

import harness

CLONE_NEWNET = 0x40000000

# "/" itself is no root for a container.  What nspawn writes to /run goes, too.
PREPARE = """mount --bind / "$0" && mount -t tmpfs tmpfs /run || exit
for group in $CGROUPS; do echo $$ >"$group/cgroup.procs" || exit; done
exec "$@"
"""


def give_up(reason):
    """There can be no container here; nobody should overlook that."""
    warnings.warn(f"systemd is not tested: {reason}")
    pytest.skip(reason)


def own_cgroups():
    """Where this process is, in the hierarchies that systemd uses."""
    top = pathlib.Path("/sys/fs/cgroup")
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        number, name, path = line.split(":", 2)
        if name == "name=systemd":
            yield top / "systemd" / path.lstrip("/")
        elif number == "0":
            unified = top / "unified"
            yield (unified if unified.exists() else top) / path.lstrip("/")


def child(pid):
    """The first child of a process, or None."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return None
    return int(children.split()[0]) if children.split() else None


class Container:
    """systemd, booted; what is shared can be read at the same path inside."""

    def __init__(self, directory, *shared):
        if os.geteuid() != 0:
            give_up("a container needs root")
        for program in ("systemd-nspawn", "setpriv", "unshare", "nsenter"):
            if shutil.which(program) is None:
                give_up(f"no {program}")
        name = f"mt-gcpd-{os.getpid()}"
        self.root = pathlib.Path(directory) / "root"
        self.output = pathlib.Path(directory) / "console"
        self.cgroups = [group / name for group in own_cgroups()]
        self.nspawn = self.leader = None
        self.root.mkdir()
        try:
            for group in self.cgroups:
                group.mkdir()
        except OSError as error:
            self.remove_cgroups()
            give_up(f"no cgroup for a container: {error}")
        self.start(name, shared)
        try:
            harness.wait_until(self.up, 30, "the container is up", 0.1)
        except AssertionError:
            self.close()
            give_up("the container does not boot: "
                    + self.output.read_text(errors="replace")[-500:])

    def start(self, name, shared):
        """Nobody else has the mounts; and all processes end with the child of
        unshare, and that with us."""
        command = [
            "setpriv", "--pdeathsig", "KILL",
            "unshare", "--mount", "--propagation", "private", "--mount-proc",
            "--pid", "--fork", "--kill-child",
            "sh", "-c", PREPARE, str(self.root),
            "systemd-nspawn", "--quiet", "--directory", str(self.root),
            "--volatile=overlay", "--tmpfs=/var/log", "--private-network",
            "--register=no", "--keep-unit", "--machine", name,
            *[f"--bind-ro={path}" for path in shared],
            "--system-call-filter=landlock_create_ruleset landlock_add_rule "
            "landlock_restrict_self",
            "--boot", "--console=pipe", "systemd.unit=basic.target"]
        groups = " ".join(map(str, self.cgroups))
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                command, env=dict(os.environ, CGROUPS=groups),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def up(self):
        """Has systemd started all that it shall?  It is the child of nspawn,
        which is that of unshare."""
        if self.process.poll() is not None:
            raise AssertionError("the container has ended")
        self.nspawn = child(self.process.pid)
        self.leader = self.nspawn and child(self.nspawn)
        return self.leader and self.run(
            "systemctl", "is-active", "basic.target",
            check=False).returncode == 0

    def path(self, path):
        """Where a file of the container is for us."""
        return pathlib.Path(f"/proc/{self.leader}/root{path}")

    def run(self, *command, check=True, timeout=30, input=""):
        """Run a command inside, where no signal of its own reaches us."""
        ended = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-m", "-p", "-i", "-u", "-n",
             "-C", "-r", "-w", "env", "-i", "LC_ALL=C", "PATH=/usr/local/sbin:"
             "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *command],
            text=True, timeout=timeout, input=input, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if check:
            assert ended.returncode == 0, f"{command}: {ended.stdout}"
        return ended

    def show(self, unit, name):
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name,
                        unit).stdout.strip()

    def connect(self, port):
        """A connection to 127.0.0.1 there: a socket stays in the network of
        the thread that made it."""
        made = []
        libc = ctypes.CDLL(None)

        def make():
            with open(f"/proc/{self.leader}/ns/net", "rb") as net:
                if libc.setns(net.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.create_connection(
                        ("127.0.0.1", port), 10))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        assert made, f"no connection to port {port} in the container"
        return made[0]

    def close(self):
        """Shut it down, or at least make an end of it."""
        if self.process.poll() is None and self.nspawn:
            os.kill(self.nspawn, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        harness.wait_until(self.remove_cgroups, 10, "the cgroups are empty")

    def remove_cgroups(self):
        try:
            for top in self.cgroups:
                for group, _, _ in os.walk(top, topdown=False):
                    os.rmdir(group)
        except OSError:
            return False
        return True


class Clouds(harness.Clouds):
    """The simulated clouds on the loopback of a container."""

    def __init__(self, container, directory):
        self.container = container
        self.prefix = ["nsenter", "-t", str(container.leader), "-n"]
        super().__init__(directory)

    def connection(self):
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = self.container.connect(self.ready["control_port"])
        return connection
