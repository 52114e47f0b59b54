#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The report of tools/compare says what the results bear, on any machine, and again from what was stored.
set -u
command -v python3 >/dev/null || { echo "skipped report_test: no python3"; exit 77; }
exec python3 "$(dirname "$0")/report_test.py" "$1"
