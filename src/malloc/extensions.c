/* SPDX-License-Identifier: MIT */
/*
 * extensions.c: what glibc offers beside malloc itself, under its names and, if fallow has something like it,
 * with its meaning. Programs that call these must not reach the C library's own heap, which nobody uses.
 */
#include <errno.h>
#include <malloc.h>

#include "../arena/limits.h"
#include "../embed/arena_api.h"
#include "../embed/livestats.h"
#include "../heap/startup.h"
#include "../system/line.h"
#include "fallow/arena.h"
#include "fallow/process.h"
#include "fallow/version.h"

#ifdef __GLIBC__ /* other C libraries have none of this */

#define EXPORT FALLOW_API

/* Gives back everything idle. pad, what glibc would keep at the top of its heap, has no meaning here. Returns
 * 1 if any went. */
EXPORT int malloc_trim(size_t pad) {
    (void)pad;
    int saved_errno = errno;
    size_t went = fallow_give_back();
    errno = saved_errno;
    return went > 0;
}

EXPORT struct mallinfo2 mallinfo2(void) {
    struct mallinfo2 info = {0};
    if (!fl_process_init())
        return info;
    fallow_arena_figures now = fl_arena_figures(fl_process_arena);
    fl_live live = fl_stats_live(fl_process_arena, NULL);
    info.arena = now.ready_bytes > live.bytes ? now.ready_bytes : live.bytes;
    info.uordblks = live.bytes;
    info.fordblks = info.arena - live.bytes;
    info.ordblks = live.free_blocks;
    info.hblks = live.large_blocks;
    info.hblkhd = live.large_bytes;
    info.keepcost = now.idle_bytes;
    return info;
}

static int as_int(size_t bytes) {
    return bytes > 0x7fffffff ? 0x7fffffff : (int)bytes;
}

/* The same in ints, which end at 2 GiB: a larger figure appears as just that. */
EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 now = mallinfo2();
    return (struct mallinfo){.arena = as_int(now.arena),
                             .ordblks = as_int(now.ordblks),
                             .hblks = as_int(now.hblks),
                             .hblkhd = as_int(now.hblkhd),
                             .uordblks = as_int(now.uordblks),
                             .fordblks = as_int(now.fordblks),
                             .keepcost = as_int(now.keepcost)};
}

static void add_figure(fl_line *line, const char *name, size_t bytes) {
    fl_line_add(line, name);
    fl_line_add_number(line, bytes);
}

/* Writes to standard error, in glibc's layout, without allocating. */
EXPORT void malloc_stats(void) {
    struct mallinfo2 now = mallinfo2();
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line, "Arena 0:\n");
    add_figure(&line, "system bytes     = ", now.arena);
    add_figure(&line, "\nin use bytes     = ", now.uordblks);
    fl_line_add(&line, "\nTotal (incl. mmap):\n");
    add_figure(&line, "system bytes     = ", now.arena);
    add_figure(&line, "\nin use bytes     = ", now.uordblks);
    fl_line_add(&line, "\n");
    fl_line_write(&line, 2);
}

#ifndef M_PURGE
#define M_PURGE (-101) /* Android's */
#endif

/*
 * Returns 1 for parameters that are known: M_TRIM_THRESHOLD bounds idle memory (-1: it stays), M_PURGE gives
 * back at once, and the others tune what fallow does not have, and change nothing. Returns 0 for parameters
 * that nobody knows.
 */
EXPORT int mallopt(int parameter, int value) {
    if (!fl_process_init())
        return 0;
    fl_pagearena *pages = &fl_process_arena->pages;
    switch (parameter) {
    case M_TRIM_THRESHOLD:
        fl_limits_set_policy(pages, value < 0, value == 0);
        if (value != 0)
            fl_limits_set_idle_max(pages, value < 0 ? 0 : (size_t)value);
        return 1;
    case M_PURGE:
        fallow_give_back();
        return 1;
    case M_MXFAST:
        return value >= 0 && value <= 80 * (int)sizeof(size_t) / 4;
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

#else
typedef int fl_no_extensions; /* a file must not be empty */
#endif
