/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdatomic.h>

#include "system.h"

#define AWHILE_NS UINT64_C(1000000)
#define WHILES 1000

/* Written by the thread that has set `speaking`. */
static _Atomic bool speaking;
static fl_line report;

fl_line *fl_report_begin(void) {
    for (unsigned i = 0; atomic_exchange_explicit(&speaking, true, memory_order_acquire) && i < WHILES; i++)
        fl_system_sleep_ns(AWHILE_NS);
    fl_line_start(&report);
    return &report;
}

void fl_report_end(void) {
    atomic_store_explicit(&speaking, false, memory_order_release);
}

void fl_report_add_access(fl_line *line, const fl_fault *fault) {
    fl_line_add(line, "fallow: ");
    fl_line_add(line, !fault->instruction ? "access to " : fault->writes ? "write to " : "read of ");
    fl_line_add_address(line, fault->address);
    fl_line_add(line, ": ");
}
