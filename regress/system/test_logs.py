# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The logs as an administrator has them: rotated by the daemon itself or by
logrotate(8) without losing a line, filtered by level, in systemd's journal,
and without endless repeats."""

import gzip
import json
import re
import signal
import subprocess

import pytest

import harness

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
                  r"(error|warning|info|debug) ")
OPENED = "log files opened again"


def start(place, clouds, log="", events="", top="", arguments=()):
    """A daemon whose files have these options, and which writes everything on
    standard error as well."""
    directory = place.path / "A"
    directory.mkdir(exist_ok=True)
    text = harness.configuration(clouds, "A", directory,
                                 "log events stderr yes\n" + top)
    for name, options in (("log", log), ("events", events)):
        path = f'"{directory / name}"'
        assert path in text
        text = text.replace(path, f"{path} {options}")
    daemon = harness.Daemon(directory, text, *arguments)
    place.started.append(daemon)
    return daemon


def lines_of(text):
    assert text == "" or text.endswith("\n")
    return text.splitlines()


def pieces(daemon, name):
    """The files of a log, the oldest first."""
    found = []
    for path in daemon.directory.glob(f"{name}.*"):
        number = path.name.split(".")[1]
        assert number.isdigit(), path
        found.append((int(number), path))
    return ([path for _, path in sorted(found, reverse=True)]
            + [daemon.directory / name])


def joined(daemon, name):
    lines = []
    for path in pieces(daemon, name):
        text = (gzip.decompress(path.read_bytes()).decode()
                if path.suffix == ".gz" else path.read_text())
        lines += lines_of(text)
    return lines


def said(daemon):
    """The log lines and the events of standard error."""
    lines = lines_of(daemon.stderr())
    return ([line for line in lines if LINE.match(line)],
            [line for line in lines if line.startswith("{")])


def test_rotation(place, clouds):
    """By size: every line is whole and in one file, none is missing, and files
    have the mode of the first one."""
    (place.path / "A").mkdir()
    for name in ("log", "events"):
        (place.path / "A" / name).touch()
        (place.path / "A" / name).chmod(0o604)
    clouds.fault("status", "/compute", status=503)  # much to be told
    daemon = start(place, clouds, "max-size 4K keep 999", "max-size 8K keep 2")
    harness.wait_until(lambda: daemon.check() or
                       len(pieces(daemon, "log")) >= 4
                       and len(pieces(daemon, "events")) >= 3
                       and len(said(daemon)[1]) >= 60,
                       what="files are rotated")
    assert daemon.stop() == 0
    log, events = said(daemon)
    assert joined(daemon, "log") == log
    kept = joined(daemon, "events")
    assert kept == events[-len(kept):]
    assert len(kept) < len(events)
    assert len(pieces(daemon, "events")) == 3
    for name, size in (("log", 4096), ("events", 8192)):
        files = pieces(daemon, name)
        assert [path.name for path in files] == [
            f"{name}.{n}" for n in range(len(files) - 1, 0, -1)] + [name]
        for path in files:
            assert path.stat().st_mode & 0o777 == 0o604
            assert path.stat().st_size <= size \
                or len(lines_of(path.read_text())) == 1


def test_rotation_is_reloaded(place, clouds):
    """A size that is given later applies at once."""
    clouds.fault("status", "/compute", status=503)
    daemon = start(place, clouds)
    daemon.wait_cycles(2)
    log = daemon.directory / "log"
    harness.wait_until(lambda: log.stat().st_size > 4096, what="a log")
    assert pieces(daemon, "log") == [log]
    text = daemon.conf.read_text()
    daemon.conf.write_text(text.replace(f'"{log}"',
                                        f'"{log}" max-size 4K keep 1'))
    daemon.process.send_signal(signal.SIGHUP)
    harness.wait_until(lambda: daemon.check() or
                       len(pieces(daemon, "log")) == 2, what="rotation")
    assert daemon.stop() == 0


def rotated_by_logrotate(place, daemon):
    """Run logrotate(8) with what is installed, but for our own files and our
    own daemon."""
    text = (harness.ROOT / "etc" / "mt-gcpd.logrotate").read_text()
    text, changed = re.subn(r"^/var/log/.*\{$",
                            f"{daemon.directory}/log {daemon.directory}/events"
                            " {", text, flags=re.M)
    assert changed == 1
    text, changed = re.subn(r"(postrotate\n).*(\tendscript)",
                            rf"\1kill -USR1 {daemon.process.pid}\n\2", text,
                            flags=re.S)
    assert changed == 1
    conf = place.path / "logrotate.conf"
    conf.write_text(text)
    conf.chmod(0o644)
    subprocess.run(["logrotate", "--force", "--state",
                    str(place.path / "logrotate.state"), str(conf)],
                   check=True, timeout=30)


def test_logrotate(place, clouds):
    """While the daemon writes: no line is lost, split or written twice."""
    daemon = start(place, clouds, top="interval 0.1")
    log = daemon.directory / "log"
    daemon.wait_cycles(1)
    clouds.fault("status", "/compute", status=503)
    log_mode = log.stat().st_mode
    for _ in range(4):
        rotated_by_logrotate(place, daemon)
        harness.wait_until(lambda: daemon.check() or OPENED in log.read_text(),
                           what="the log is opened again")
        harness.wait_until(lambda: (daemon.directory / "events").read_text()
                           .count("health_check_cycle") >= 2,
                           what="cycles in the new file")
    assert daemon.stop() == 0
    assert len(pieces(daemon, "log")) == 5
    assert [path.suffix for path in pieces(daemon, "log")] \
        == [".gz", ".gz", ".gz", ".1", ""]
    assert log.stat().st_mode == log_mode
    logged, events = said(daemon)
    assert joined(daemon, "log") == logged
    assert joined(daemon, "events") == events


def test_logrotate_takes_it(place):
    """What is installed is understood as it is."""
    answer = subprocess.run(
        ["logrotate", "--debug", "--state", str(place.path / "state"),
         str(harness.ROOT / "etc" / "mt-gcpd.logrotate")],
        capture_output=True, text=True, check=False, timeout=30)
    assert answer.returncode == 0
    assert "error" not in answer.stderr
    script = re.search(r"postrotate\n(.*)endscript", (
        harness.ROOT / "etc" / "mt-gcpd.logrotate").read_text(), re.S).group(1)
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("level", ["error", "warning", "info", "debug", "-v"])
def test_level(place, clouds, level):
    """The level holds for what the children say, too."""
    order = ["error", "warning", "info", "debug"]
    top = f"log level {'error' if level == '-v' else level}"
    daemon = start(place, clouds, top=top,
                   arguments=["-v"] if level == "-v" else [])
    daemon.wait_state(1)
    clouds.fault("status", "/compute", status=503, count=2)
    daemon.wait_cycles(2)
    assert daemon.stop() == 0
    log, events = said(daemon)
    most = order.index("debug" if level == "-v" else level)
    levels = {LINE.match(line).group(1) for line in log}
    assert levels <= set(order[:most + 1])
    if most >= 2:
        assert order[most] in levels
    assert any("] prober: https" in line for line in log) == (most == 3)
    results = {json.loads(line)["result"] for line in events}
    assert ("no_change" in results) == (most == 3)


def test_journal(place, clouds, monkeypatch):
    """On standard error that is the journal, priorities take the place of times
    and levels; events stay what they are; the file stays as it is."""
    directory = place.path / "A"
    directory.mkdir()
    (directory / "stderr").touch()
    stat = (directory / "stderr").stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
    daemon = start(place, clouds)
    daemon.wait_state(1)
    assert daemon.stop() == 0
    priority = {"error": "<3>", "warning": "<4>", "info": "<6>",
                "debug": "<7>"}
    journal = [line for line in lines_of(daemon.stderr())
               if not line.startswith("{")]
    assert journal == [
        priority[LINE.match(line).group(1)] + line[LINE.match(line).end():]
        for line in joined(daemon, "log")]
    assert any(line.startswith("<7>prober: ") for line in journal)
    assert any(line.startswith("<6>[hc-") for line in journal)


def test_repeats(place, clouds):
    """The same line again and again is counted, and the count is complete."""
    daemon = start(place, clouds, top="log level info")
    daemon.wait_state(1)
    for last in ("check_peers", "validate_routes"):  # then it is quiet
        daemon.wait_event(lambda e: e["operation"] == last)
    log = daemon.directory / "log"
    for n in range(1, 8):
        log.rename(daemon.directory / f"log.{8 - n}")
        daemon.process.send_signal(signal.SIGUSR1)
        harness.wait_until(log.exists, what="the log is opened again")
    assert daemon.stop() == 0
    lines = joined(daemon, "log")
    assert lines == said(daemon)[0]
    shown = sum(OPENED in line for line in lines)
    repeats = [re.search(r"last message repeated (\d+) times?$", line)
               for line in lines]
    held = sum(int(match.group(1)) for match in repeats if match)
    assert shown + held == 7
    assert shown == 3
