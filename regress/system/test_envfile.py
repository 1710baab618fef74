# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The environment file of the predecessor: the daemon runs with it as it is,
behaves alike with what it is printed as, and gives the token away nowhere."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from checks import check_desired, set_verdicts
from harness import ACCOUNT, BUILD, PROJECT, SIDES, Daemon, Workplace, \
    wait_until

CHROOT = pathlib.Path("/run/mt-gcpd/empty")  # no key names another one


class Environment(Daemon):
    """A daemon with an environment file."""

    option = "-e"
    file = ".env"


@pytest.fixture(scope="module")
def by_address():
    """Clouds that no DNS is needed for: no key names a name server."""
    workplace = Workplace()
    yield workplace.clouds("-a")
    workplace.close()


@pytest.fixture
def clouds(place, by_address):
    reset(by_address)
    place.watched.append(by_address)
    return by_address


def reset(clouds):
    """All well, and so small that 10 requests a second, which no key changes,
    are enough for short intervals."""
    clouds.reset()
    clouds.settings(cf_rate_limit=0)
    regions = clouds.first["projects"][PROJECT]["regions"]
    clouds.patch({"projects": {PROJECT: {"regions": {name: {"services": {
        "svc-1": {"backends": regions[name]["services"]["svc-1"]["backends"][
            :1]}, "svc-2": None}} for name in ("region-a", "region-b")}}}})
    clouds.call("DELETE", "/journal")


@pytest.fixture(autouse=True)
def chroot():
    """Root's daemon makes the directory."""
    missing = [path for path in (CHROOT, CHROOT.parent) if not path.exists()]
    yield
    for path in missing:
        if path.exists():
            path.rmdir()


def token_of(clouds):
    return (clouds.directory / "cloudflare.token").read_text().strip()


def environment(clouds, token=None, **changes):
    """An environment file like the predecessor's, quick enough for tests."""
    side = SIDES["A"]
    values = {
        "LOGGER_NAME": "failover # in the syslog",
        "LOG_LEVEL": "DEBUG",
        "LOG_FILE": "log",
        "LOG_MAX_BYTES": "  # 10485760",
        "STRUCTURED_LOG_FILE": "'events'   # beside this file",
        "GCP_PROJECT": f'"{PROJECT}"',
        "GOOGLE_APPLICATION_CREDENTIALS": "./key.json",
        "LOCAL_GCP_REGION": side["local"],
        "REMOTE_GCP_REGION": side["remote"],
        "BGP_PEER_PROJECT": "",
        "LOCAL_BGP_ROUTER": side["local_router"],
        "REMOTE_BGP_ROUTER": side["remote_router"],
        "PRIMARY_PREFIX": side["primary"],
        "SECONDARY_PREFIX": side["secondary"],
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "DESCRIPTION_SUBSTRING": side["match"],
        "CHECK_INTERVAL_SECONDS": "0.7",
        "INITIAL_BACKOFF_SECONDS": "0.02",
        "MAX_BACKOFF_SECONDS": "0.1",
        "MAX_RETRIES": "1",
        "CIRCUIT_BREAKER_THRESHOLD": "1000",
        "MTGCPD_COMPUTE_ENDPOINT": clouds.ready["compute_ip"],
        "MTGCPD_CLOUDFLARE_ENDPOINT": clouds.ready["cloudflare_ip"],
        "MTGCPD_CA_FILE": clouds.directory / "ca.pem",
        "MTGCPD_STATE_FILE": "state.json",
        "MTGCPD_CONTROL_SOCKET": "sock",
        **changes,
        # Last, so that no later line covers what a reader leaves behind.
        "CLOUDFLARE_API_TOKEN": token or token_of(clouds)}
    return "# of the predecessor\r\n" + "".join(
        f"export {key}={value}\r\n" for key, value in values.items())


def start(place, clouds, kind=Environment, text=None, arguments=()):
    directory = place.path / "A"
    directory.mkdir(exist_ok=True)
    key = directory / "key.json"
    shutil.copyfile(clouds.directory / "actuator.json", key)
    key.chmod(0o600)
    daemon = kind(directory, text or environment(clouds), *arguments)
    place.started.append(daemon)
    return daemon


def run(*arguments):
    return subprocess.run([BUILD / "mt-gcpd", *map(str, arguments)], cwd="/",
                          text=True, capture_output=True, timeout=30,
                          check=False)


def log_of(daemon):
    return (daemon.directory / "log").read_text()


def walk(daemon, clouds):
    """Fail over; what the daemon decided and wrote."""
    for state in (1, 2):
        since = len(daemon.events())
        set_verdicts(clouds, state)
        daemon.wait_state(state, since=since)
        check_desired(clouds, state)
    moves = [(e["failover"], e["details"]["old_state"],
              e["details"]["new_state"])
             for e in daemon.events("state_transition")]
    writes = [(e["method"], e["path"], e["request"])
              for e in clouds.writes()]
    assert daemon.stop() == 0
    return moves, writes


def test_migration(place, clouds):
    """-e works, and -f does the same with what -p prints of it."""
    daemon = start(place, clouds)
    before = walk(daemon, clouds)
    assert before[0] == [("default", 0, 1), ("default", 1, 2)]
    assert {method for method, _, _ in before[1]} == {"PATCH", "PUT"}
    printed = run("-p", "-e", daemon.conf)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert "To be filled in" in printed.stdout
    text, count = re.subn(
        'token file ""',
        f'token file "{clouds.directory / "cloudflare.token"}"',
        printed.stdout)
    assert count == 1
    for name in ("log", "events", "state.json"):
        (daemon.directory / name).unlink()
    reset(clouds)
    daemon = start(place, clouds, Daemon, text)
    assert walk(daemon, clouds) == before


def test_connectivity(place, clouds):
    """-t with an environment file."""
    daemon = start(place, clouds)
    daemon.wait_state(1)
    assert daemon.stop() == 0
    answer = run("-t", "-e", daemon.conf)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    results = {line.split()[0] for line in answer.stdout.splitlines()}
    assert "ok" in results and "FAILED" not in results


def memory_of(pid):
    """What the process has written to: its heap, stack and data."""
    found = []
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps.splitlines():
            area, modes = line.split()[:2]
            if modes.startswith("rw"):
                begin, end = (int(one, 16) for one in area.split("-"))
                mem.seek(begin)
                found.append(mem.read(end - begin))
    return b"".join(found)


def reload(daemon, text):
    """Reload with another file, and return the event of it."""
    def reloads():
        daemon.check()
        return [e for e in daemon.events("daemon_lifecycle")
                if e["operation"] == "reload"]
    count = len(reloads())
    daemon.conf.write_text(text)
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(reloads()) > count, what="reload")
    return reloads()[-1]


def exchange_token(clouds, new):
    """From now on Cloudflare knows the new one only."""
    (old, what), = clouds.world()["cloudflare"]["tokens"].items()
    clouds.patch({"cloudflare": {"tokens": {old: None, new: what}}})


def test_token(place, clouds):
    """A refused token is looked up in the file again, without a signal; a
    file without one leaves everything as it is.  No token is in a log, an
    event or another file, among arguments and environment of a process, or in
    what the options print; the parent has forgotten them."""
    tokens = [token_of(clouds), "another-token-" + 4 * "0123456789"]
    daemon = start(place, clouds, arguments=("-v",))
    daemon.wait_state(1)
    exchange_token(clouds, tokens[1])
    text = environment(clouds, f"'{tokens[1]}'")
    daemon.conf.write_text(text.replace("CLOUDFLARE_API_TOKEN", "NO_TOKEN"))
    clouds.health("region-a", "UNHEALTHY")
    wait_until(lambda: "no usable CLOUDFLARE_API_TOKEN in it"
               in log_of(daemon), what="a message")
    assert clouds.writes() == []
    daemon.conf.write_text(text)
    daemon.wait_state(2)
    check_desired(clouds, 2)
    assert reload(daemon, text)["result"] == "success"
    texts = {}
    for pid in [daemon.process.pid, *daemon.children().values()]:
        for what in ("cmdline", "environ"):
            path = pathlib.Path(f"/proc/{pid}/{what}")
            texts[str(path)] = path.read_bytes()
    if os.geteuid() == 0:
        memory = memory_of(daemon.children()["actuator"])
        assert tokens[1].encode() in memory
        texts["the parent's memory"] = memory_of(daemon.process.pid)
    assert daemon.stop() == 0
    for path in daemon.directory.iterdir():
        if path.is_file() and path != daemon.conf:
            texts[path.name] = path.read_bytes()
    assert {"log", "events", "stderr", "state.json"} <= set(texts)
    for option in ("-n", "-p", "-t"):
        answer = run(option, "-v", "-e", daemon.conf)
        texts[option] = (answer.stdout + answer.stderr).encode()
        assert answer.returncode == 0, texts[option]
        assert texts[option]
    for name, content in texts.items():
        for token in tokens:
            # The end is what is left of memory that was freed.
            assert token[-20:].encode() not in content, name


def test_reload(place, clouds):
    """What is wrong is told and refused; a right file is taken over, and the
    token that is in it by then."""
    daemon = start(place, clouds, text=environment(clouds, RUN_PASSIVE="yes"))
    clouds.health("region-b", "UNHEALTHY")
    daemon.wait_state(3, plan="skipped")
    event = reload(daemon, environment(clouds, RUN_PASSIVE="perhaps",
                                       WHAT="ever"))
    assert event["result"] == "failure"
    assert event["error_message"] == "the configuration is not valid"
    lines = log_of(daemon)
    assert re.search(r" error .*\.env:\d+: RUN_PASSIVE: expected true or "
                     r"false", lines)
    assert re.search(r" warning .*\.env:\d+: warning: WHAT: unknown key",
                     lines)
    assert clouds.writes() == []
    exchange_token(clouds, "new-token")
    event = reload(daemon, environment(clouds, "'new-token'"))
    assert event["result"] == "success"
    daemon.wait_state(3)
    check_desired(clouds, 3)
    assert {e["status"] for e in clouds.requests(path="/client/")} == {200}
