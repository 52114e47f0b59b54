#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ghostscript renders a page: the same pixels.
source=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/common.sh" "$1"
need gs
work() {
  gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=ppmraw -r72 -sOutputFile=out.ppm \
    "$source/bench/programs/drawing.ps" && sha256sum <out.ppm
}
same page work
