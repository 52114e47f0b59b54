/* SPDX-License-Identifier: MIT */
#include "trap.h"

fl_traps fl_the_traps;

void fl_traps_are_there(char *start, size_t bytes, size_t page_bytes, fl_trap *all) {
    fl_the_traps.start = start;
    fl_the_traps.bytes = bytes;
    fl_the_traps.page_bytes = page_bytes;
    fl_the_traps.all = all;
    atomic_store_explicit(&fl_the_traps.count, FL_TRAPS, memory_order_release);
}
