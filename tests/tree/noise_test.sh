#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What else the machine does beside the runs of tools/compare is seen, and disturbed runs are
# repeated by rule.
set -u
command -v python3 >/dev/null || { echo "skipped noise_test: no python3"; exit 77; }
exec python3 "$(dirname "$0")/noise_test.py" "$1"
