# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What the service manager is told, see sd_notify(3)."""

import os
import signal
import socket
import subprocess
import time

import pytest

from harness import BUILD, Daemon, configuration, wait_until

QUICK = """interval 0.2
handover no
drain 0"""


class Notifying(Daemon):
    """A daemon and the socket of its service manager."""

    def start(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.said = []
        address = self.address()
        self.socket.bind(address)
        if isinstance(address, bytes):
            address = "@" + address[1:].decode()
        self.errors = open(self.directory / "stderr", "ab")
        self.process = subprocess.Popen(
            ["sh", "-c", f"WATCHDOG_PID=$$ exec {BUILD}/mt-gcpd -d -f "
             f"{self.conf}"], env=dict(
                 os.environ, NOTIFY_SOCKET=str(address),
                 WATCHDOG_USEC="600000"),
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)

    def address(self):
        return str(self.directory / "notify")

    def messages(self):
        while True:
            try:
                self.said.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.said

    def wait_said(self, text, since=0):
        return wait_until(
            lambda: next((m for m in self.messages()[since:] if text in m),
                         None), what=text)


class Abstract(Notifying):
    def address(self):
        return f"\0mt-gcpd-{os.getpid()}".encode()


def begin(kind, place, clouds, top=QUICK):
    directory = place.path / "A"
    directory.mkdir()
    daemon = kind(directory, configuration(clouds, "A", directory, top))
    place.started.append(daemon)
    return daemon


@pytest.mark.parametrize("kind", [Notifying, Abstract])
def test_told(place, clouds, kind):
    """Ready, the states, a reload, and the end."""
    daemon = begin(kind, place, clouds)
    daemon.wait_said("STATUS=A: state 1")
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_said("STATUS=A: state 3")
    told = len(daemon.messages())
    daemon.process.send_signal(signal.SIGHUP)
    before = time.monotonic()
    reloading = daemon.wait_said("RELOADING=1\nMONOTONIC_USEC=", told)
    assert abs(int(reloading.split("=")[-1]) / 1e6 - before) < 10
    daemon.wait_said("READY=1", told)
    assert daemon.stop() == 0
    plain = [m for m in daemon.messages() if m != "WATCHDOG=1"]
    assert plain.count("READY=1") == 2 and plain[-1] == "STOPPING=1"
    # Nothing is told twice running.
    assert all(a != b for a, b in zip(plain, plain[1:]))
    daemon.socket.close()


def test_refused_reload(place, clouds):
    """A reload that is refused is over, too."""
    daemon = begin(Notifying, place, clouds)
    daemon.wait_said("STATUS=A: state 1")
    told = len(daemon.messages())
    daemon.conf.write_text("nonsense\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_said("RELOADING=1", told)
    daemon.wait_said("READY=1", told)
    daemon.socket.close()


def test_watchdog(place, clouds):
    """It is told that all is well, but not while the daemon is stuck."""
    daemon = begin(Notifying, place, clouds)
    daemon.wait_said("STATUS=A: state 1")
    told = len(daemon.messages())
    daemon.wait_said("WATCHDOG=1", told)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        time.sleep(0.1)
        told = len(daemon.messages())
        time.sleep(1)
        assert daemon.messages()[told:] == []
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)
    daemon.wait_said("WATCHDOG=1", told)
    daemon.socket.close()


def test_children_know_nothing(place, clouds):
    """Nobody but the parent can tell the service manager anything."""
    daemon = begin(Notifying, place, clouds)
    daemon.wait_said("STATUS=A: state 1")
    for pid in daemon.children().values():
        with open(f"/proc/{pid}/environ", "rb") as environ:
            assert b"NOTIFY" not in environ.read()
    daemon.socket.close()
