# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""mt-gcpd -r: what the daemon has recorded leads to the same decisions again,
and to others under another configuration."""

import json
import re
import signal
import subprocess

from checks import set_verdicts
from harness import BUILD, wait_until

POLICY = """interval 0.1
handover no
drain 0
health window 3 up 2 down 2
health unknown-after 5
bgp down-after 1
return-after 1
brake 3 per 600
verify 2
dwell 1 except { 3 }"""

ROW = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z  (\S+) +"
    r"(-|\d -> \d) +(-|\d -> \d) *(differs)?")


def replay(conf, record, stdin=None):
    """Replay; the exit status, the rows, the summaries by failover, and what
    was said on standard error."""
    done = subprocess.run(
        [BUILD / "mt-gcpd", "-r", str(record), "-f", str(conf)], text=True,
        input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True, timeout=20)
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["time", "failover", "recorded", "replayed"]
    rows = [ROW.fullmatch(line).groups() for line in lines
            if ROW.fullmatch(line)]
    summaries = {line.split(":")[0]: line for line in lines[len(rows):]}
    return done.returncode, rows, summaries, done.stderr


def moves(daemon, since=0):
    return [f"{e['details']['old_state']} -> {e['details']['new_state']}"
            for e in daemon.events()[since:]
            if e["event_type"] == "state_transition"]


def in_state(daemon, state, since=0):
    return daemon.wait_state(state, plan=None, since=since)


def identical(daemon, conf=None):
    status, rows, summaries, errors = replay(conf or daemon.conf,
                                             daemon.directory / "events")
    assert errors == ""
    assert [row[1] for row in rows] == moves(daemon)
    assert all(row[0] == "A" and row[1] == row[2] and row[3] is None
               for row in rows), rows
    assert len(summaries) == 1
    assert f" {len(rows)} recorded, {len(rows)} replayed, 0 different" in \
        summaries["A"]
    assert status == 0


def other(daemon, name, old, new):
    """Another configuration, with a statement changed."""
    text = daemon.conf.read_text()
    assert text.count(old) == 1
    path = daemon.directory / name
    path.write_text(text.replace(old, new))
    path.chmod(0o600)
    return path


def incident(place, clouds):
    """An outage, a crash, recovery, a rotation, and an outage elsewhere."""
    daemon = place.daemon(clouds, "A", POLICY)
    in_state(daemon, 1)
    clouds.bgp("router-b", "DOWN")
    in_state(daemon, 6)
    set_verdicts(clouds, 2)
    in_state(daemon, 2)
    daemon.wait_cycles(2)
    daemon.process.kill()
    daemon.process.wait(5)
    daemon.errors.close()
    # The last transition may be told without its cycle: not before this.
    since = len(daemon.events())
    daemon.start()
    in_state(daemon, 2, since)
    set_verdicts(clouds, 1)
    in_state(daemon, 1, since)
    return daemon


def test_incident(place, clouds):
    daemon = incident(place, clouds)
    first = (daemon.directory / "events")
    assert daemon.stop() == 0
    assert moves(daemon)[:2] == ["0 -> 1", "1 -> 6"]
    assert moves(daemon)[-1] == "2 -> 1"
    identical(daemon)
    began = [e["details"]["inputs"]["began"] for e in daemon.cycles()]
    assert began.count("start") == 2
    for event in daemon.cycles():
        inputs = event["details"]["inputs"]
        assert list(event["details"])[-1] == "inputs"
        assert (inputs["memory"] is not None) == (inputs["began"] == "start")

    # Neither root nor credentials, which are not there.
    conf = other(daemon, "elsewhere.conf", "prober.json", "missing.json")
    identical(daemon, conf)

    # It would have returned later, and says so.
    conf = other(daemon, "late.conf", "return-after 1", "return-after 600")
    status, rows, summaries, errors = replay(conf, first)
    assert status == 1 and errors == ""
    assert rows[-1][1:] == ("2 -> 1", "-", "differs")
    assert [row[3] for row in rows].count("differs") == 1
    assert f"{len(rows)} recorded, {len(rows) - 1} replayed, 1 different" in \
        summaries["A"]

    # It would have verified for longer: the same, but later.
    conf = other(daemon, "slow.conf", "verify 2\n", "verify 4\n")
    status, rows, _, errors = replay(conf, first)
    assert status == 1 and errors == ""
    assert rows[0][1:] == ("0 -> 1", "-", "differs")
    assert rows[1][1:] == ("-", "0 -> 1", "differs")

    # Standard input, what is broken in it, and failovers of others.
    lines = first.read_text().splitlines()
    stranger = daemon.cycles()[-1]
    stranger["failover"] = "B\u001b[2J"
    lines[1:1] = ["", "{\u001b[2J", "[1]", '{"event_type": "health_check_cycle"}',
                  json.dumps(stranger), json.dumps(stranger), '{"a": 1}',
                  '{"event_type": "health_check_cycle", "failover": "A", '
                  '"timestamp": 1, "details": {"current_state": 9}}',
                  '{"event_type": "of a later version"}', '"\udcff"']
    text = "\n".join(lines)
    done = subprocess.run(
        [BUILD / "mt-gcpd", "-r", "-", "-f", str(daemon.conf)],
        input=text.encode("utf-8", "surrogateescape"), capture_output=True,
        timeout=20)
    assert done.returncode == 0, done
    said = done.stderr.decode().splitlines()
    assert [line.split(": ")[0] for line in said] == [
        f"stdin:{n}" for n in (2, 3, 4, 5, 6, 8, 9, 11)]
    assert all(line.isprintable() for line in said), said
    assert said[4] == \
        'stdin:6: failover "B\\u001B[2J" is not in the configuration'
    assert all(line.endswith("; skipped") for line in
               said[:4] + said[5:]), said

    # A record that begins amid a life says that it does.
    amid = [json.dumps(event) for event in daemon.cycles()[4:]]
    status, _, summaries, errors = replay(daemon.conf, "-", "\n".join(amid))
    assert "what came before is not recorded" in errors.splitlines()[0]
    assert f"A: {len(amid)} cycles" in summaries["A"]

    # A transition whose cycle is missing is no transition of the replay.
    lines = first.read_text().splitlines()
    last = max(i for i, line in enumerate(lines) if "state_transition" in line)
    status, rows, _, errors = replay(
        daemon.conf, "-", "\n".join(lines[:last + 1]))
    assert status == 1
    assert rows[-1][1:] == ("2 -> 1", "-", "differs")
    assert errors == \
        f"stdin:{last + 1}: the cycle of this transition is missing\n"


def test_rotation(place, clouds):
    """Each file of a record can be replayed by itself."""
    daemon = place.daemon(clouds, "A", POLICY)
    in_state(daemon, 1)
    set_verdicts(clouds, 2)
    daemon.wait_event(lambda e: e["event_type"] == "verification_pending"
                      and e["details"]["candidate"] == 2)
    events = daemon.directory / "events"
    events.rename(daemon.directory / "events.1")
    daemon.process.send_signal(signal.SIGUSR1)
    wait_until(events.exists, what="a new file")
    in_state(daemon, 2)
    set_verdicts(clouds, 1)
    in_state(daemon, 1)
    assert daemon.stop() == 0
    identical(daemon)
    assert [e["details"]["inputs"]["memory"] is not None
            for e in daemon.cycles()].count(True) == 1
    status, rows, _, errors = replay(daemon.conf,
                                     daemon.directory / "events.1")
    assert status == 0 and errors == ""
    assert [row[1] for row in rows][0] == "0 -> 1"


def test_reload(place, clouds):
    """A daemon that looks after another place knows nothing of it yet."""
    daemon = place.daemon(clouds, "A", POLICY)
    in_state(daemon, 1)
    text = daemon.conf.read_text()
    for what in ("region", "router"):
        text = text.replace(f'local {what} "{what}-a"',
                            f'local {what} "{what}-b"')
        text = text.replace(f'remote {what} "{what}-b"',
                            f'remote {what} "{what}-a"')
    daemon.conf.write_text(text)
    since = len(daemon.events())
    daemon.process.send_signal(signal.SIGHUP)
    done = daemon.wait_event(lambda e: e["operation"] == "reload",
                             since=since)
    assert done["result"] == "success"
    since = len(daemon.events())
    set_verdicts(clouds, 3)
    in_state(daemon, 2, since)
    assert daemon.stop() == 0
    identical(daemon)
    assert [e["details"]["inputs"]["began"] for e in daemon.cycles()
            if e["details"]["inputs"]["began"]] == ["start", "reload"]


def test_nothing(place, clouds):
    """A record that cannot be read, and one with nothing in it."""
    daemon = place.daemon(clouds, "A", POLICY)
    in_state(daemon, 1)
    assert daemon.stop() == 0
    missing = subprocess.run(
        [BUILD / "mt-gcpd", "-r", str(daemon.directory / "none"), "-f",
         str(daemon.conf)], text=True, capture_output=True, timeout=20)
    assert missing.returncode == 1
    assert missing.stderr == \
        f"mt-gcpd: {daemon.directory}/none: No such file or directory\n"
    status, rows, summaries, errors = replay(daemon.conf, "-", "")
    assert (status, rows, errors) == (1, [], "stdin: no cycle to replay\n")
    assert "A: 0 cycles" in summaries["A"]
    status, _, _, errors = replay(daemon.conf, daemon.directory)
    assert status == 1
    assert errors.startswith(f"{daemon.directory}: Is a directory\n")
    usage = subprocess.run([BUILD / "mt-gcpd", "-r"], capture_output=True,
                           text=True, timeout=20)
    assert usage.returncode == 2 and "[-r events]" in usage.stderr
