/* SPDX-License-Identifier: MIT */
/*
 * reading.h: figures of the public interface as values, for tests that want one of them in the middle of an
 * expression.
 */
#ifndef READING_H
#define READING_H

#include "check.h"
#include "fallow/fallow.h"

static inline fallow_arena_figures arena_figures(const fallow_arena *arena) {
    fallow_arena_figures figures;
    CHECK(fallow_arena_read_sized(arena, &figures, sizeof figures));
    return figures;
}

static inline fallow_process_figures process_figures(void) {
    fallow_process_figures figures;
    CHECK(fallow_process_read_sized(&figures, sizeof figures));
    return figures;
}

static inline fallow_fixed_figures fixed_figures(fallow_fixed *fixed) {
    fallow_fixed_figures figures;
    CHECK(fallow_fixed_read_sized(fixed, &figures, sizeof figures));
    return figures;
}

/* Of one that may be damaged: zeroes where it cannot be read, and errno. */
static inline fallow_fixed_figures any_fixed_figures(fallow_fixed *fixed) {
    fallow_fixed_figures figures = {0};
    (void)fallow_fixed_read_sized(fixed, &figures, sizeof figures);
    return figures;
}

#endif
