# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What etc/ has for other programs: that alerts and dashboard speak of metrics
that there are, that each alert comes when it should, and completion."""

import json
import os
import re
import shutil
import subprocess

import pytest

from harness import BUILD, ROOT

ETC = ROOT / "etc"
PROMTOOL = shutil.which("promtool", path=f"{os.environ['PATH']}:{BUILD}")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool")


def metrics():
    """The names that the daemon's manual has, which test_reporter.py compares
    with what is served."""
    return set(re.findall(r"mtgcpd_[a-z_]+[a-z]",
                          (ROOT / "mt-gcpd.8").read_text()))


@pytest.mark.parametrize("name", ["mt-gcpd.rules.yml",
                                  "mt-gcpd.dashboard.json"])
def test_metrics_are_there(name):
    used = set(re.findall(r"mtgcpd_[a-z_]+[a-z]", (ETC / name).read_text()))
    assert len(used) > 5
    used = {re.sub(r"_bucket$", "", one) for one in used}
    assert used - metrics() == set()


def test_dashboard():
    board = json.loads((ETC / "mt-gcpd.dashboard.json").read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert max(x for x, _ in cells) < 24 and not cells & taken
        taken |= cells
        assert all(target["expr"] for target in panel["targets"])


@needs_promtool
@pytest.mark.parametrize("command", [
    ["check", "rules", "etc/mt-gcpd.rules.yml"],
    ["test", "rules", "regress/alerts.yml"]], ids=["check", "test"])
def test_rules(command):
    ended = subprocess.run([PROMTOOL, *command], cwd=ROOT, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0, ended.stdout
    assert "SUCCESS" in ended.stdout


def test_every_alert_is_tested():
    alerts = set(re.findall(r"- alert: (\w+)",
                            (ETC / "mt-gcpd.rules.yml").read_text()))
    tests = (ROOT / "regress" / "alerts.yml").read_text()
    expected = set(re.findall(r"alertname: (\w+)\n        exp_alerts", tests))
    assert alerts == expected


def complete(line):
    """What bash offers for a line, the last word of which is being typed."""
    words = line.split(" ")
    script = (f"source {ETC}/mt-gcpd.bash-completion\n"
              f"COMP_WORDS=({' '.join(repr(word) for word in words)})\n"
              f"COMP_CWORD={len(words) - 1}\n"
              "_${COMP_WORDS[0]//-/_}\n"
              'printf "%s\\n" "${COMPREPLY[@]}"')
    ended = subprocess.run(["bash", "-c", script], text=True, check=True,
                           env=dict(os.environ, PATH=f"{BUILD}:"
                                    + os.environ["PATH"]),
                           stdout=subprocess.PIPE)
    return ended.stdout.split()


@pytest.mark.parametrize("line, offered", [
    ("mt-gcpctl rel", ["release", "reload"]),
    ("mt-gcpctl -j sh", ["show"]),
    ("mt-gcpctl show c", ["checks"]),
    ("mt-gcpctl log ", ["brief", "verbose", "reopen"]),
    ("mt-gcpctl force web s", ["state"]),
    ("mt-gcpctl force web state 4 a", ["anyway"]),
    ("mt-gcpctl show status ", []),
    ("mt-gcpd -", ["-D", "-d", "-e", "-f", "-n", "-p", "-r", "-t", "-V",
                   "-v"]),
    ("mt-gcpd -D ", []),
])
def test_completion(line, offered):
    assert complete(line) == offered


def test_completion_of_names(place, clouds):
    """The names of failovers are the running daemon's."""
    daemon = place.daemon(clouds, "A", "interval 0.2")
    daemon.wait_state(1)
    assert complete(f"mt-gcpctl -s {daemon.directory}/sock explain ") == ["A"]
