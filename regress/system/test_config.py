# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""The configuration language, through -n and -p.  regress/config has files
that are right, NAME.conf with the canonical form in NAME.ok, and files that
are wrong, NAME.conf with every message in NAME.err.  Environment files are
NAME.env; warnings about one that is right are in NAME.warn."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "regress" / "config"
BUILD = pathlib.Path(os.environ.get("MTGCPD_BUILD", ROOT / "build"))
MTGCPD = os.environ.get("MTGCPD", str(BUILD / "mt-gcpd"))

GOOD = sorted(path.stem for path in CONFIG.glob("*.ok"))
BAD = sorted(path.stem for path in CONFIG.glob("*.err"))
ENV = {path.stem for path in CONFIG.glob("*.env")}
GOOD_ENV = sorted(ENV & set(GOOD))
GOOD = sorted(set(GOOD) - ENV)


def run(*arguments, cwd, **more):
    environment = {key: value for key, value in os.environ.items()
                   if key != "CREDENTIALS_DIRECTORY"}
    environment.update(more.pop("environment", {}))
    return subprocess.run([MTGCPD, *map(str, arguments)], cwd=cwd, text=True,
                          capture_output=True, env=environment, timeout=30,
                          check=False, **more)


@pytest.fixture
def files(tmp_path):
    """A copy with safe modes, whatever the umask was at check-out."""
    tmp_path.chmod(0o755)
    for path in CONFIG.iterdir():
        shutil.copyfile(path, tmp_path / path.name)
        (tmp_path / path.name).chmod(0o600 if path.suffix == ".env" else 0o644)
    return tmp_path


def source(name):
    """The option and the file."""
    return ("-e", f"{name}.env") if name in ENV else ("-f", f"{name}.conf")


@pytest.fixture
def complete(files):
    """A configuration whose credential files exist, as a function that writes
    it with more text behind it."""
    for name in ("key.json", "cloudflare.token"):
        (files / name).write_text("{}\n")
        (files / name).chmod(0o600)

    def write(more=""):
        text = (files / "minimal.conf").read_text()
        text = text.replace("/etc/mt-gcpd/", f"{files}/") + more
        (files / "this.conf").write_text(text)
        (files / "this.conf").chmod(0o644)
        return files
    return write


def test_every_file_is_used():
    confs = {path.stem for path in CONFIG.glob("*.conf")}
    assert confs == (set(GOOD) | set(BAD)) - ENV
    assert len(BAD) >= 30
    assert ENV == set(GOOD_ENV) | (ENV & set(BAD))
    assert len(GOOD_ENV) >= 3


@pytest.mark.parametrize("name", GOOD)
def test_good(name, files):
    answer = run("-p", "-f", f"{name}.conf", cwd=files)
    assert answer.stderr == ""
    assert answer.returncode == 0
    assert answer.stdout == (files / f"{name}.ok").read_text()


@pytest.mark.parametrize("name", GOOD)
def test_canonical_form_is_a_fixpoint(name, files):
    answer = run("-p", "-f", f"{name}.ok", cwd=files)
    assert answer.stderr == ""
    assert answer.stdout == (files / f"{name}.ok").read_text()


@pytest.mark.parametrize("name", BAD)
def test_bad(name, files):
    for option in ("-n", "-p"):
        answer = run(option, *source(name), cwd=files)
        assert answer.stderr == (files / f"{name}.err").read_text()
        assert answer.stdout == ""
        assert answer.returncode == 2


@pytest.mark.parametrize("name", BAD)
def test_every_message_names_file_and_line(name):
    text = (CONFIG / f"{name}.err").read_text()
    for line in text.splitlines():
        assert re.match(r"[a-z-]+\.(conf|inc|env):[1-9][0-9]*: .", line)


def filled_in(text, files):
    """The canonical form of an environment file, with a file for the token."""
    assert text.count('token file ""\n') == 1
    (files / "token").write_text("x\n")
    (files / "token").chmod(0o600)
    return text.replace('token file ""', f'token file "{files}/token"')


@pytest.mark.parametrize("name", GOOD_ENV)
def test_good_environment(name, files):
    answer = run("-p", "-e", f"{name}.env", cwd=files)
    warnings = files / f"{name}.warn"
    assert answer.stderr == (
        warnings.read_text() if warnings.exists() else "")
    assert answer.returncode == 0
    assert answer.stdout.replace(str(files), "/DIRECTORY") == \
        (files / f"{name}.ok").read_text()
    assert "SECRET" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("name", GOOD_ENV)
def test_environment_printed_is_a_configuration(name, files):
    """It parses back to the same, but not before the token is filled in."""
    printed = run("-p", "-e", f"{name}.env", cwd=files).stdout
    conf = files / "this.conf"
    conf.write_text(printed)
    conf.chmod(0o600)
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert answer.stderr.endswith(": \"\": expected the path of a file\n")
    assert answer.returncode == 2
    conf.write_text(filled_in(printed, files))
    answer = run("-p", "-f", "this.conf", cwd=files)
    assert answer.stderr == ""
    assert answer.stdout == "".join(
        line + "\n" for line in conf.read_text().splitlines()
        if not line.lstrip().startswith("#"))


@pytest.mark.parametrize("name", sorted(ENV & set(BAD)))
def test_messages_about_environments_tell_no_secret(name):
    assert "SECRET" in (CONFIG / f"{name}.env").read_text() or \
        name == "env-bad-empty"
    assert "SECRET" not in (CONFIG / f"{name}.err").read_text()


@pytest.fixture
def environment(files):
    """An environment file whose key file exists."""
    (files / "key.json").write_text("{}\n")
    (files / "key.json").chmod(0o600)
    shutil.copyfile(files / "env-warnings.env", files / "this.env")
    text = (files / "this.env").read_text().split("DESCRIPTION")[0]
    (files / "this.env").write_text(text + "DESCRIPTION_SUBSTRING=site A\n")
    (files / "this.env").chmod(0o600)
    return files


def test_environment_ok(environment):
    answer = run("-n", "-e", environment / "this.env", cwd="/")
    assert (answer.stderr, answer.stdout) == ("configuration OK\n", "")
    assert answer.returncode == 0


def test_unsafe_modes_of_an_environment_are_warnings(environment):
    (environment / "this.env").chmod(0o664)
    (environment / "key.json").chmod(0o644)
    answer = run("-n", "-e", "this.env", cwd=environment)
    assert answer.stderr == (
        "warning: this.env: unsafe mode: 0664, expected no access for group "
        "and others (0600)\n"
        "warning: GOOGLE_APPLICATION_CREDENTIALS: "
        f"{environment}/key.json: unsafe mode: 0644, expected no access for "
        "group and others (0600)\nconfiguration OK\n")
    assert answer.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_owner_of_an_environment(environment):
    os.chown(environment / "this.env", 12345, 0)
    answer = run("-n", "-e", "this.env", cwd=environment)
    assert answer.stderr == ("this.env: unsafe owner: uid 12345, expected "
                             "root\n")
    assert answer.returncode == 1


def test_missing_files_of_an_environment(environment):
    (environment / "key.json").unlink()
    answer = run("-n", "-e", "this.env", cwd=environment)
    assert answer.stderr == ("GOOGLE_APPLICATION_CREDENTIALS: "
                             f"{environment}/key.json: No such file or "
                             "directory\n")
    assert answer.returncode == 1
    answer = run("-n", "-e", "no.env", cwd=environment)
    assert answer.stderr == "no.env: No such file or directory\n"
    assert answer.returncode == 1


@pytest.mark.parametrize("arguments", [
    ("-e", "this.env", "-f", "this.conf"),
    ("-f", "this.conf", "-e", "this.env"),
])
def test_environment_or_configuration(arguments, environment, complete):
    complete()
    answer = run("-n", *arguments, cwd=environment)
    assert answer.stderr.startswith("usage: mt-gcpd ")
    assert answer.stdout == ""
    assert answer.returncode == 2


def test_every_key_is_in_the_manual():
    source_text = (ROOT / "src" / "envfile.c").read_text()
    keys = re.findall(r'\.name = "([A-Z0-9_]+)"', source_text)
    assert len(keys) > 50
    manual = (ROOT / "mt-gcpd.8").read_text()
    words = set(re.findall(r"[A-Z0-9_]+", manual))
    assert [key for key in keys if key not in words] == []


def test_ok(complete):
    files = complete()
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert (answer.stderr, answer.stdout) == ("configuration OK\n", "")
    assert answer.returncode == 0


def test_sample(files):
    """The sample that is installed needs only its files."""
    text = (ROOT / "etc" / "mt-gcpd.conf").read_text()
    text = text.replace("/etc/mt-gcpd/", f"{files}/")
    for name in set(re.findall(rf'file "{files}/([^"]+)"', text)):
        (files / name).write_text("{}\n")
        (files / name).chmod(0o600)
    (files / "sample.conf").write_text(text)
    (files / "sample.conf").chmod(0o600)
    answer = run("-n", "-f", "sample.conf", cwd=files)
    assert answer.stderr == "configuration OK\n"
    assert answer.returncode == 0


def test_macro_of_the_command_line_wins(complete):
    files = complete("seconds = 5\ninterval $seconds\n")
    answer = run("-p", "-f", "this.conf", cwd=files)
    assert "\tinterval 5 fast 5\n" in answer.stdout
    answer = run("-D", "seconds=7", "-p", "-f", "this.conf", cwd=files)
    assert "\tinterval 7 fast 5\n" in answer.stdout


def test_include_is_relative_to_the_file(complete):
    files = complete('include "sub/one.inc"\n')
    (files / "sub").mkdir()
    (files / "sub" / "one.inc").write_text('include "two.inc"')
    (files / "sub" / "two.inc").write_text("drain 5")
    for path in (files / "sub").iterdir():
        path.chmod(0o644)
    answer = run("-p", "-f", files / "this.conf", cwd="/")
    assert answer.stderr == ""
    assert "\n\tdrain 5\n" in answer.stdout
    (files / "sub" / "two.inc").write_text("drain five")
    answer = run("-p", "-f", files / "this.conf", cwd="/")
    assert answer.stderr == (f'{files}/sub/two.inc:1: expected a whole '
                             'number, got "five"\n')


def test_missing_configuration(files):
    answer = run("-n", "-f", "no.conf", cwd=files)
    assert answer.stderr == "no.conf: No such file or directory\n"
    assert answer.returncode == 1


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_configuration_that_others_may_write(complete, mode):
    files = complete()
    (files / "this.conf").chmod(mode)
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert answer.stderr == (
        f"this.conf: unsafe mode: {mode:04o}, expected no writing for group "
        f"and others ({mode & ~0o22:04o})\n")
    assert answer.returncode == 1


def test_unsafe_include(complete):
    files = complete('include "block.inc"\n')
    (files / "block.inc").chmod(0o666)
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert "this.conf:15: include: block.inc: unsafe mode" in answer.stderr
    assert answer.returncode == 1


@pytest.mark.parametrize("name,what", [
    ("key.json", "prober credentials"),
    ("cloudflare.token", "cloudflare account token"),
])
def test_unsafe_credentials(complete, name, what):
    files = complete()
    (files / name).chmod(0o640)
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert (f"{what}: {files}/{name}: unsafe mode: 0640, expected no access "
            "for group and others (0600)\n") in answer.stderr
    assert answer.returncode == 1


def test_missing_credentials(complete):
    files = complete()
    (files / "cloudflare.token").unlink()
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert answer.stderr == (f"cloudflare account token: {files}/"
                             "cloudflare.token: No such file or directory\n")
    assert answer.returncode == 1


def test_empty_credentials(complete):
    files = complete()
    (files / "cloudflare.token").write_text("")
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert "the file is empty" in answer.stderr
    assert answer.returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_owner(complete):
    files = complete()
    os.chown(files / "key.json", 12345, 0)
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert "key.json: unsafe owner: uid 12345, expected root" in answer.stderr
    assert answer.returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_credentials_that_may_not_be_read_are_a_warning():
    with_others = pathlib.Path(
        subprocess.check_output(["mktemp", "-d"], text=True).strip())
    try:
        with_others.chmod(0o755)
        program = shutil.copy(MTGCPD, with_others)
        key = with_others / "key.json"
        key.write_text("{}\n")
        key.chmod(0o600)
        conf = with_others / "this.conf"
        conf.write_text(re.sub(r'/etc/mt-gcpd/[^"]*', str(key), (
            CONFIG / "minimal.conf").read_text()))
        conf.chmod(0o644)
        answer = subprocess.run(
            [program, "-n", "-f", conf], text=True, capture_output=True,
            user=65534, group=65534, extra_groups=[], check=False)
    finally:
        shutil.rmtree(with_others)
    assert f"warning: prober credentials: {key}: Permission denied" in \
        answer.stderr
    assert answer.stderr.endswith("configuration OK\n")
    assert answer.returncode == 0


def test_credentials_directory(complete):
    files = complete()
    where = files / "credentials"
    where.mkdir()
    (files / "cloudflare.token").rename(where / "cloudflare.token")
    (files / "key.json").rename(where / "key.json")
    text = (files / "this.conf").read_text().replace(f"{files}/", "")
    (files / "this.conf").write_text(text)
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert answer.returncode == 1
    answer = run("-n", "-f", "this.conf", cwd=files,
                 environment={"CREDENTIALS_DIRECTORY": str(where)})
    assert answer.stderr == "configuration OK\n"
    assert answer.returncode == 0


def test_every_keyword_is_in_the_manual():
    grammar = (ROOT / "src" / "parse.y").read_text()
    keywords = re.findall(r'^\t\{ "([a-z-]+)", T_[A-Z]+ \},$', grammar,
                          re.MULTILINE)
    assert len(keywords) > 80
    assert keywords == sorted(keywords)
    manual = (ROOT / "mt-gcpd.conf.5").read_text()
    words = set(re.findall(r"[a-z-]+", manual))
    assert [word for word in keywords if word not in words] == []


def test_example_of_the_manual(files):
    manual = (ROOT / "mt-gcpd.conf.5").read_text()
    text = manual.split("daemon in us-east1:\n")[1]
    text = text.split("-offset indent\n")[1].split("\n.Ed")[0]
    (files / "this.conf").write_text(text.replace("\\e", "\\"))
    (files / "this.conf").chmod(0o600)
    answer = run("-p", "-f", "this.conf", cwd=files)
    assert answer.stderr == ""
    assert 'cloudflare routes matching "site A" priority' in answer.stdout


def test_thousands_of_failovers(complete):
    block = (CONFIG / "base.inc").read_text().split("\n\n", 1)[1]
    more = ""
    for number in range(3000):
        more += (block.replace('"web"', f'"web {number}"')
                 .replace("site A", f"place {number:04d}.")
                 .replace("192.0.2.0/24", f"10.{number // 256}."
                          f"{number % 256}.0/25")
                 .replace("198.51.100.0/24", f"10.{number // 256}."
                          f"{number % 256}.128/25"))
    more += "limit requests 500 per second\n"
    files = complete(more)
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert answer.stderr == "configuration OK\n"
    more = more.replace("10.3.4.0/25", "10.3.3.0/26")
    complete(more)
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert answer.stderr.count("\n") == 1
    assert 'overlap, and both share the router "router-a"' in answer.stderr
    assert answer.returncode == 2


def test_limit_too_low(complete):
    """No failover can be read with fewer than two requests in an interval."""
    files = complete("interval 0.1\nlimit requests 25 per second\n")
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert answer.stderr == "configuration OK\n"
    complete("interval 0.1\nlimit requests 24 per second\n")
    answer = run("-n", "-f", "this.conf", cwd=files)
    assert answer.stderr == (
        'warning: "limit requests" leaves 19.2 per second for reading, and '
        "the failovers need 20.0 at least\nconfiguration OK\n")
    assert answer.returncode == 0
