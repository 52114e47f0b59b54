/* SPDX-License-Identifier: MIT */
/*
 * process_api.c: the public face of what concerns all arenas.
 */
#include "fallow/process.h"

#include <errno.h>

#include "../arena/charge.h"
#include "../arena/driver.h"
#include "../arena/limits.h"
#include "../arena/scavenger.h"
#include "../arena/shed.h"
#include "../heap/startup.h"
#include "../system/sized.h"
#include "process_api.h"

#define TICK_BUDGET_NS UINT64_C(1000000)

void fallow_set_limits(size_t soft_bytes, size_t hard_bytes) {
    fl_limits_set_process_soft(soft_bytes);
    fl_limits_set_process_hard(hard_bytes);
}

int fallow_tick(void) {
    if (!fl_process_init())
        return 0;
    fl_shed_tick();
    return fl_driver_tick(TICK_BUDGET_NS);
}

size_t fallow_give_back(void) {
    return fl_process_init() ? fl_scavenger_give_back(NULL, SIZE_MAX, FL_CAUSE_REQUEST, true) : 0;
}

extern int fl_own_tick(void) __attribute__((alias("fallow_tick"), visibility("hidden")));

bool fl_process_api_is_own(void) {
    return fallow_tick == fl_own_tick;
}

fallow_process_figures fl_process_figures(void) {
    fallow_process_figures figures = {0};
    if (!fl_process_init())
        return figures;
    osmem_bytes bytes = osmem_stat_read(&fl_stat_process, &figures.ready_peak_bytes);
    figures.reserved_bytes = bytes.reserved;
    figures.prepared_bytes = bytes.prepared;
    figures.ready_bytes = bytes.ready;
    figures.meta_bytes = osmem_stat_read(&fl_stat_meta, NULL).ready;
    figures.soft_limit_bytes =
        fl_limit_shown(atomic_load_explicit(&fl_the_process.soft_limit_bytes, memory_order_relaxed));
    figures.limit_bytes =
        fl_limit_shown(atomic_load_explicit(&fl_the_process.hard_limit_bytes, memory_order_relaxed));
    figures.system_calls = osmem_system_calls();
    return figures;
}

bool fallow_process_read_sized(fallow_process_figures *figures, size_t figures_bytes) {
    fallow_process_figures ours = fl_process_figures();
    if (fl_sized_fill(figures, figures_bytes, &ours, sizeof ours, sizeof ours))
        return true;
    errno = EINVAL;
    return false;
}

const char *fallow_version(void) {
    return FALLOW_VERSION;
}
