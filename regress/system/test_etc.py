# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""What etc/ has for other programs: that alerts and dashboard speak of metrics
that there are, that each alert comes when it should, and completion; and that
all of it is installed, and nothing stays."""

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
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None,
                                   reason="no systemd")


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


def make(target, root, *settings):
    """Run make on what is built, and build nothing."""
    subprocess.run(["make", "-s", "-o", "all", target, f"DESTDIR={root}",
                    f"B={BUILD}", *settings], cwd=ROOT, check=True,
                   env=dict(os.environ, MAKEFLAGS=""), timeout=60)


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*")
            if not path.is_dir()}


def test_install(tmp_path):
    """Everything has its place, and goes again; what was there before, and
    what others have put there since, stays."""
    mine = {"etc/mt-gcpd/mt-gcpd.conf", "usr/sbin/mine"}
    for name in mine:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = set(tmp_path.rglob("*"))
    make("install", tmp_path, "PREFIX=/usr")
    installed = files(tmp_path) - mine
    assert {
        "etc/logrotate.d/mt-gcpd", "etc/mt-gcpd/mt-gcpd.conf.sample",
        "usr/lib/systemd/system/mt-gcpd.service",
        "usr/lib/sysusers.d/mt-gcpd.conf", "usr/lib/tmpfiles.d/mt-gcpd.conf",
        "usr/libexec/mt-gcpd/mt-gcpd-actuator", "usr/sbin/mt-gcpctl",
        "usr/sbin/mt-gcpd", "usr/share/man/man8/mt-gcpd.8"} <= installed
    assert all("mt-gcp" in name for name in installed)
    assert len([n for n in installed if n.startswith("usr/libexec")]) == 5
    unit = (tmp_path / "usr/lib/systemd/system/mt-gcpd.service").read_text()
    assert "ExecStart=/usr/sbin/mt-gcpd -d\n" in unit
    assert "@SBINDIR@" not in unit
    make("uninstall", tmp_path, "PREFIX=/usr")
    assert files(tmp_path) == mine
    # Directories that others use, too, may be left.
    left = {str(path.relative_to(tmp_path))
            for path in set(tmp_path.rglob("*")) - before}
    assert not [name for name in left if "mt-gcpd" in name]


@pytest.fixture
def unit(tmp_path):
    """The unit as it is installed, with its programs."""
    make("install", tmp_path, "SYSTEMDDIR=/etc")
    return tmp_path / "etc/systemd/system/mt-gcpd.service"


def systemd_analyze(*arguments):
    ended = subprocess.run(["systemd-analyze", *arguments], text=True,
                           env=dict(os.environ, LC_ALL="C",
                                    SYSTEMD_COLORS="0"),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@needs_systemd
def test_unit_is_hardened(unit):
    said = systemd_analyze("security", "--no-pager", "--offline=true",
                           str(unit))
    score = re.search(r"Overall exposure level for .*: ([0-9.]+) ", said)
    assert float(score[1]) <= 2.2, said


@needs_systemd
def test_unit_is_understood(tmp_path, unit):
    """systemd has nothing to say about it."""
    text = unit.read_text().replace("=/usr/local/", f"={tmp_path}/usr/local/")
    unit.write_text(text)
    assert systemd_analyze("verify", "--man=no", str(unit)) == ""
