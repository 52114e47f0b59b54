/* SPDX-License-Identifier: MIT */
/* What is made of the kernel's list of mappings. */
#define _GNU_SOURCE
#include "../../src/cli/smaps.h"

#include <string.h>

#include "../lib/check.h"

static fl_smaps smaps;

static void parse(const char *text) {
    FILE *file = fmemopen((char *)(uintptr_t)text, strlen(text), "r");
    CHECK(file && fl_smaps_parse(&smaps, file, 0x20000, 0x80000));
    fclose(file);
}

static void smaps_of_a_range_are_summed_up(void) {
    parse("10000-20000 rw-p 00000000 00:00 0 [heap]\nRss: 4 kB\nSwap: 4 kB\n"
          "20000-40000 rw-p 00000000 00:00 0\nRss: 8 kB\nAnonHugePages: 0 kB\nSwap: 12 kB\nVmFlags: rd wr\n"
          "60000-90000 ---p 00000000 00:00 0\nRss: 16 kB\nLocked: 16 kB\n"
          "90000-a0000 r--p 00000000 08:01 7 /lib/of dead beef\nRss: 32 kB\n");
    CHECK_EQUAL(smaps.count, 2);
    CHECK(smaps.mappings[1].start == 0x60000 && smaps.mappings[1].end == 0x90000);
    CHECK_EQUAL(smaps.sum.resident_bytes, 24 << 10);
    CHECK_EQUAL(smaps.sum.swapped_bytes, 12 << 10);
    CHECK_EQUAL(smaps.sum.locked_bytes, 16 << 10);
    CHECK_EQUAL(smaps.process_resident_bytes, 60 << 10);
    fl_smaps_free(&smaps);
}

/* The kernel has written the first three, has gone on behind them, and finds one mapping in place of the last
 * two. */
static void smaps_that_have_grown_together_count_once(void) {
    parse("20000-30000 rw-p 00000000 00:00 0\nRss: 4 kB\n"
          "30000-40000 rw-p 00000000 00:00 0\nRss: 8 kB\n"
          "40000-50000 ---p 00000000 00:00 0\nRss: 16 kB\n"
          "30000-60000 rw-p 00000000 00:00 0\nRss: 32 kB\n"
          "58000-70000 rw-p 00000000 00:00 0\nRss: 64 kB\n");
    CHECK_EQUAL(smaps.count, 3);
    CHECK(smaps.mappings[1].start == 0x30000 && smaps.mappings[1].end == 0x58000);
    CHECK(smaps.mappings[2].start == 0x58000 && smaps.mappings[2].end == 0x70000);
    CHECK_EQUAL(smaps.sum.resident_bytes, 100 << 10);
    CHECK_EQUAL(smaps.process_resident_bytes, 100 << 10);
    fl_smaps_free(&smaps);
}

int main(void) {
    RUN(smaps_of_a_range_are_summed_up);
    RUN(smaps_that_have_grown_together_count_once);
    return 0;
}
