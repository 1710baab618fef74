#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""Run fuzz targets, two at a time, each for a while, and say what came of it.

Beside the targets' own directories of inputs, which are only read, what is new
goes to OUTPUT/TARGET/new, findings go to OUTPUT/TARGET/found, and what libFuzzer
says to OUTPUT/TARGET/log.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LENGTHS = {"imsg": 70000, "replay": 32768}  # bytes; the others: 16384


def run(program, seconds, output):
    name = os.path.basename(program).removeprefix("fuzz_")
    kept = os.path.join(HERE, "corpus", name)
    crashes = os.path.join(HERE, "crashes", name)
    room = os.path.join(output, name)
    new, found = os.path.join(room, "new"), os.path.join(room, "found")
    os.makedirs(new, exist_ok=True)
    os.makedirs(found, exist_ok=True)
    before = set(os.listdir(found))
    inputs = [new] + [d for d in (kept, crashes) if os.path.isdir(d)]
    words = os.path.join(HERE, "words", name)
    command = [
        os.path.abspath(program),
        f"-max_total_time={seconds}",
        f"-max_len={LENGTHS.get(name, 16384)}",
        f"-artifact_prefix={found}/",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]
    if os.path.exists(words):
        command.append(f"-dict={words}")
    with open(os.path.join(room, "log"), "wb") as log:
        status = subprocess.run(
            command + inputs, stdout=log, stderr=log, cwd=room,
            env=dict(os.environ, TMPDIR=room),
        ).returncode
    with open(os.path.join(room, "log"), errors="replace") as log:
        text = log.read()
    return name, status, text, len(set(os.listdir(found)) - before)


def last(pattern, text):
    found = re.findall(pattern, text)
    return found[-1] if found else "-"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-t", type=int, default=60, help="seconds for each")
    parser.add_argument("-o", default="run", help="directory of the output")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    bad = 0
    print(f"findings are kept in {options.o}/TARGET/found")
    print(f"{'target':12} {'executions':>11} {'cov':>6} {'ft':>7} "
          f"{'new':>6} {'findings':>8}", flush=True)
    output = os.path.abspath(options.o)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run, p, options.t, output)
                for p in options.programs]
        for job in concurrent.futures.as_completed(jobs):
            name, status, text, found = job.result()
            # One that a finding has ended is a finding, kept or not.
            found = max(found, 1 if status != 0 else 0)
            bad += found
            print(f"{name:12} "
                  f"{last(r'number_of_executed_units: *([0-9]+)', text):>11} "
                  f"{last(r' cov: ([0-9]+)', text):>6} "
                  f"{last(r' ft: ([0-9]+)', text):>7} "
                  f"{last(r'new_units_added: *([0-9]+)', text):>6} "
                  f"{found:>8}", flush=True)
    return 1 if bad else 0


sys.exit(main())
