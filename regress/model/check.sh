#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The mt-gcpd authors

# Check the model of a pair, with these parameters for spin(1), in a directory:
#	check.sh directory [-DNAME=value ...]
# What contradicts it is shown step by step.

set -eu
model=$(realpath "$(dirname "$0")/pair.pml")
mkdir -p "$1"
cd "$1"
shift
cp "$model" pair.pml
rm -f pair.pml.trail

echo "spin $*"
spin "$@" -a pair.pml
${CC:-cc} -O2 -w -DSAFETY -DHC4 -DVECTORSZ=512 -DMEMLIM=6000 -o pan pan.c
./pan -m2000000 -w26 >pan.out
grep -E 'states, stored|elapsed time' pan.out
if [ -f pair.pml.trail ]; then
	grep 'pan:1:' pan.out
	spin "$@" -t pair.pml | grep -E '^ *(daemon|round)' | tail -n 60
	exit 1
fi
grep -q 'errors: 0' pan.out
! grep -E 'search depth too small|not completed|MEMLIM' pan.out
