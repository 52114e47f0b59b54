#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The statistics of tools/compare say nothing false of made-up times, and find what is true.
set -u
command -v python3 >/dev/null || { echo "skipped claims_test: no python3"; exit 77; }
exec python3 "$(dirname "$0")/claims_test.py" "$1"
