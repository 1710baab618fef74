#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

"""compare.py [-a] old.json new.json: what has changed between two runs, by at
least a tenth unless -a says all.  A ratio to a floor is compared as such: it
is less at the mercy of what else the machine was doing."""

import argparse
import json
import pathlib
import sys


def read(path):
    return json.loads(pathlib.Path(path).read_text())


def flat(figures):
    """Each figure, and each of its ratios, by name."""
    values = {}
    for name, figure in figures.items():
        values[name] = (figure["value"], figure["unit"])
        for key, value in figure.items():
            if key.startswith("over_"):
                values[f"{name} {key.replace('_', ' ')}"] = (value, "x")
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-a", action="store_true", help="all figures")
    parser.add_argument("old")
    parser.add_argument("new")
    given = parser.parse_args()
    runs = [read(given.old), read(given.new)]
    for name, run in zip(("old", "new"), runs):
        machine = run["machine"]
        print(f"{name}: {machine['version']}, {machine['time']}, load "
              f"{machine['load']:.1f}")
    old, new = (flat(run["figures"]) for run in runs)
    shown = 0
    for name in old:
        if name not in new:
            continue
        before, unit = old[name]
        after = new[name][0]
        if before == after:
            change = 1.0
        else:
            change = after / before if before else float("inf")
        if not given.a and 0.9 < change < 1.1:
            continue
        if not shown:
            print(f"{'figure':56} {'old':>10} {'new':>10} {'unit':>4} "
                  f"{'new/old':>8}")
        shown += 1
        print(f"{name:56} {before:10.4g} {after:10.4g} {unit:>4} "
              f"{change:8.3f}")
    only = len(set(old) ^ set(new))
    print(f"{shown} of {len(set(old) & set(new))} figures"
          + ("" if given.a else " changed by a tenth or more")
          + (f"; {only} are in one of the runs only" if only else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
