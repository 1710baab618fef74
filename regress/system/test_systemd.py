# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The daemon as a service, installed and run by a real systemd."""

import http.client

import pytest

import checks
import container
from harness import (BUILD, PROJECT, ROOT, X, Daemon, configuration,
                     wait_until)

UNIT = "mt-gcpd.service"
CONF = "/etc/mt-gcpd/mt-gcpd.conf"
LOGS = "/var/log/mt-gcpd"
SOCKET = "/run/mt-gcpd/mt-gcpd.sock"
PORT = 9100  # of a network that has nothing else
ROLES = ("resolver", "signer", "prober", "actuator", "reporter")
SECRETS = ("prober.json", "actuator.json", "cloudflare.token")

# What differs from the unit as it comes: less patience, and a group.
DROP_IN = """[Service]
WatchdogSec=3
RestartSec=100ms
SupplementaryGroups=adm
"""

TOP = f"""handover no
drain 0
log cloud project "{PROJECT}"
metrics listen on 127.0.0.1 port {PORT}"""


class Service(Daemon):
    """The daemon that systemd runs in a container."""

    def __init__(self, machine):
        self.machine = machine
        self.directory = machine.path(LOGS)

    def check(self):
        state = self.show("ActiveState")
        assert state != "failed", self.journal()

    def show(self, name):
        return self.machine.show(UNIT, name)

    def journal(self):
        return self.machine.run("journalctl", "-o", "cat", "-u",
                                UNIT).stdout

    def status(self, pid):
        text = self.machine.path(f"/proc/{pid}/status").read_text()
        return dict(line.split(":\t") for line in text.splitlines()
                    if ":\t" in line)


def settings(clouds):
    """The configuration: files where they are by default, and secrets by a
    name that is not a path."""
    text = configuration(clouds, "A", LOGS, TOP,
                         **{name: name for name in SECRETS})
    ours = ("chroot", "state file", "control socket", "tls ca file",
            "log syslog", "log stderr")
    lines = [line.replace(f"{LOGS}/log", f"{LOGS}/mt-gcpd.log")
             for line in text.splitlines() if not line.startswith(ours)]
    return "\n".join([f'control socket "{SOCKET}" group "adm"',
                      'tls ca file "/etc/mt-gcpd/ca.pem"', *lines, ""])


@pytest.fixture
def machine(place):
    machine = container.Container(place.path, ROOT, BUILD, place.path)
    yield machine
    machine.close()


@pytest.fixture
def clouds(place, machine):
    clouds = container.Clouds(machine, place.path / "clouds")
    yield clouds
    try:
        checks.check_journal(clouds.journal())
    finally:
        clouds.stop()


def put(machine, path, text):
    machine.run("install", "-D", "-m", "600", "/dev/stdin", path, input=text)


def install(machine, clouds):
    """All that an administrator does."""
    for role in ROLES:  # that this machine may have already
        machine.run("userdel", f"mtgcpd-{role}", check=False)
    machine.run("make", "-C", str(ROOT), "-o", "all", "install", f"B={BUILD}")
    machine.run("systemd-sysusers", "mt-gcpd.conf")
    machine.run("systemd-tmpfiles", "--create", "mt-gcpd.conf")
    for path in ("/run/mt-gcpd/empty", "/var/lib/mt-gcpd", LOGS):
        assert machine.path(path).is_dir()
    put(machine, "/etc/mt-gcpd/ca.pem",
        (clouds.directory / "ca.pem").read_text())
    put(machine, CONF, settings(clouds))
    secrets = "".join(f"LoadCredential={name}:{clouds.directory / name}\n"
                      for name in SECRETS)
    put(machine, f"/etc/systemd/system/{UNIT}.d/test.conf", DROP_IN + secrets)
    machine.run("systemctl", "daemon-reload")


def check_confinement(machine, service):
    """The parent: no capabilities, and no file but its own can be written.
    The children: in their empty directory."""
    pid = service.show("MainPID")
    status = service.status(pid)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert all(int(status[f"Cap{which}"], 16) == 0
               for which in ("Eff", "Prm", "Inh", "Amb"))
    for path, writable in (
            ("/etc", False), ("/etc/mt-gcpd", False), ("/usr", False),
            ("/run", False), ("/var/lib", False), ("/var/log", False),
            ("/run/mt-gcpd", True), ("/var/lib/mt-gcpd", True), (LOGS, True)):
        tried = machine.run("nsenter", "-t", pid, "-m", "test", "-w", path,
                            check=False)
        assert (tried.returncode == 0) == writable, path
    children = machine.path(f"/proc/{pid}/task/{pid}/children").read_text()
    users = set()
    for child in children.split():
        status = service.status(child)
        assert status["Seccomp"] == "2"
        users.add(status["Uid"])
        assert machine.run("readlink", f"/proc/{child}/root"
                           ).stdout.strip() == "/run/mt-gcpd/empty"
    assert len(users) == 5 and service.status(pid)["Uid"] not in users


def check_reporter(machine, clouds):
    """It serves a socket that it inherits, and writes to the cloud."""
    connection = http.client.HTTPConnection("127.0.0.1")
    connection.sock = machine.connect(PORT)
    connection.request("GET", "/metrics")
    assert b"mtgcpd_build_info" in connection.getresponse().read()
    connection.close()
    wait_until(clouds.logs, what="events in Cloud Logging")


def check_rotation(machine, service):
    """logrotate finds the service, and it goes on in a new file."""
    log = machine.path(f"{LOGS}/mt-gcpd.log")
    old = log.stat().st_ino
    machine.run("logrotate", "--force", "/etc/logrotate.d/mt-gcpd")
    wait_until(lambda: log.stat().st_ino != old
               and "opened again" in log.read_text(), what="a new log file")


def check_reload(machine, service, clouds):
    """Another configuration, with the same process; a refused one."""
    pid = service.show("MainPID")
    seen = len(service.events())
    put(machine, CONF, settings(clouds).replace("interval 0.3",
                                                "interval 0.2"))
    machine.run("systemctl", "reload", UNIT)
    service.wait_event(lambda e: e["operation"] == "reload"
                       and e["result"] == "success", since=seen)
    put(machine, CONF, "nonsense\n")
    machine.run("systemctl", "reload", UNIT)
    service.wait_event(lambda e: e["operation"] == "reload"
                       and e["result"] == "failure", since=seen)
    put(machine, CONF, settings(clouds))
    wait_until(lambda: service.show("ActiveState") == "active",
               what="the reload is over")
    assert service.show("MainPID") == pid


def check_watchdog(machine, service):
    """A daemon that is stuck is killed and started again, and knows what it
    knew."""
    told = service.show("WatchdogTimestampMonotonic")
    wait_until(lambda: service.show("WatchdogTimestampMonotonic") != told,
               what="a word that all is well")
    assert service.show("NRestarts") == "0"
    pid = service.show("MainPID")
    seen = len(service.events())
    machine.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", UNIT)
    wait_until(lambda: service.show("NRestarts") != "0", what="a restart")
    service.wait_state(2, since=seen)
    assert "state_transition" not in {e["event_type"]
                                      for e in service.events()[seen:]}
    assert "Watchdog timeout" in service.journal()
    assert service.show("MainPID") not in ("0", pid)
    wait_until(lambda: service.show("ActiveState") == "active",
               what="the service is up again")


def check_stop(machine, service):
    seen = len(service.events())
    machine.run("systemctl", "stop", UNIT)
    assert service.show("ActiveState") == "inactive"
    assert service.show("Result") == "success"
    assert service.show("ExecMainStatus") == "0"
    assert service.events()[seen:][-1]["operation"] == "shutdown"
    names = machine.run("ps", "-e", "-o", "comm=").stdout
    assert "mt-gcpd" not in names
    assert not machine.path(SOCKET).exists()


def test_service(machine, clouds):
    """Installed, started, a failover, a reload, a watchdog, and stopped."""
    install(machine, clouds)
    service = Service(machine)
    started = machine.run("systemctl", "start", UNIT, check=False)
    assert started.returncode == 0, service.journal()
    assert service.show("ActiveState") == "active"
    service.wait_state(1)
    assert service.show("StatusText") == "A: state 1"
    check_confinement(machine, service)
    check_reporter(machine, clouds)
    assert machine.run("stat", "-c", "%G %a", SOCKET).stdout == "adm 660\n"
    assert "A" in machine.run("mt-gcpctl", "show", "status").stdout

    clouds.health("region-a", "UNHEALTHY")
    service.wait_state(2)
    assert X not in clouds.ranges("router-a")
    assert clouds.priority("mt-gcpd A primary") == 200
    assert service.show("StatusText") == "A: state 2"
    check_rotation(machine, service)
    check_reload(machine, service, clouds)
    check_watchdog(machine, service)
    clouds.health("region-a", "HEALTHY")
    service.wait_state(1, since=len(service.events()))
    assert X in clouds.ranges("router-a")
    assert clouds.priority("mt-gcpd A primary") == 100
    lines = service.journal().splitlines()
    assert len([line for line in lines if "state 1 -> 2" in line]) == 1
    check_stop(machine, service)
