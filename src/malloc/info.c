/* SPDX-License-Identifier: MIT */
/*
 * info.c: malloc_info: glibc's layout for programs that parse it, and after that all figures known from
 * inside (../embed/figures.h), under the names that `fallow stats` has for them. Each is of some moment of
 * the call. The stream may allocate: nothing is written to it under a lock.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "../arena/charge.h"
#include "../arena/limits.h"
#include "../embed/arena_api.h"
#include "../embed/figures.h"
#include "../embed/livestats.h"
#include "../embed/process_api.h"
#include "../heap/startup.h"
#include "../system/arithmetic.h"
#include "fallow/version.h"

#ifdef __GLIBC__ /* other C libraries have none of this */

typedef struct sums {
    uint64_t process[FL_PROCESS_COUNT];
    uint64_t causes[FL_CAUSE_COUNT][FL_CAUSE_FIGURES];
    fallow_class_stats classes[FL_CLASS_COUNT];
} sums;

typedef struct seen_arena {
    uint32_t slot;
    char name[sizeof((fallow_arena *)NULL)->name];
    uint64_t values[FL_ARENA_COUNT];
} seen_arena;

/* What is subtracted may be of another moment: hence fl_above. */
static void see_held(fallow_arena *arena, const fallow_arena_figures *now, uint64_t *to, sums *all) {
    fl_live live = fl_stats_live(arena, all->classes);
    fl_heaps_seen heaps = fl_stats_heaps(arena);
    fl_lock_take(&arena->pages.lock);
    size_t stuck_bytes = arena->pages.kept_pages << FL_PAGE_SHIFT;
    fl_lock_drop(&arena->pages.lock);
    to[FL_ARENA_live_bytes] = live.bytes;
    to[FL_ARENA_live_blocks] = live.blocks;
    to[FL_ARENA_free_bytes] =
        fl_above(live.slab_bytes, live.decommitted_bytes + live.bytes - live.large_bytes);
    to[FL_ARENA_idle_bytes] = now->idle_bytes;
    to[FL_ARENA_span_bytes] = heaps.span_bytes;
    to[FL_ARENA_pool_bytes] =
        fl_above(now->granted_bytes + live.trap_bytes, live.slab_bytes + live.large_bytes + heaps.span_bytes);
    to[FL_ARENA_decommitted_bytes] = live.decommitted_bytes;
    to[FL_ARENA_large_bytes] = live.large_bytes;
    to[FL_ARENA_large_blocks] = live.large_blocks;
    to[FL_ARENA_stuck_bytes] = stuck_bytes + live.trap_stuck_bytes;
    to[FL_ARENA_slab_bytes] = live.slab_bytes;
    to[FL_ARENA_slabs] = live.slabs;
    all->process[FL_PROCESS_heaps] += heaps.count;
    all->process[FL_PROCESS_heaps_without_thread] += heaps.without_thread;
}

static uint64_t counted(const _Atomic uint64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#define SEE(all, name, ...)                      \
    to[FL_ARENA_##name] = counted(&pages->name); \
    all->process[FL_PROCESS_##name] += to[FL_ARENA_##name];
#define SEE_CAUSE(all, name, figure, ...)                     \
    for (unsigned cause = 0; cause < FL_CAUSE_COUNT; cause++) \
        all->causes[cause][FL_CAUSE_##figure] += counted(&pages->name[cause]);
#define SEE_SUM(all, name, ...)                               \
    for (unsigned cause = 0; cause < FL_CAUSE_COUNT; cause++) \
        to[FL_ARENA_##name] += counted(&pages->name[cause]);

/* Under the lock: most are counted under it. */
static void see_counters(fl_pagearena *pages, uint64_t *to, sums *all) {
    fl_lock_take(&pages->lock);
    FL_ARENA_COUNTERS(SEE, SEE_SUM, all)
    FL_CAUSE_COUNTERS(SEE_CAUSE, all)
    fl_lock_drop(&pages->lock);
}

static void see_arena(fallow_arena *arena, seen_arena *seen, sums *all) {
    fallow_arena_figures now = fl_arena_figures(arena);
    uint64_t *to = seen->values;
    *seen = (seen_arena){.slot = arena->slot};
    memcpy(seen->name, arena->name, sizeof seen->name - 1);
    see_held(arena, &now, to, all);
    to[FL_ARENA_ready_bytes] = now.ready_bytes;
    to[FL_ARENA_ready_peak_bytes] = now.ready_peak_bytes;
    to[FL_ARENA_soft_limit_bytes] = now.soft_limit_bytes;
    to[FL_ARENA_hard_limit_bytes] = now.limit_bytes;
    see_counters(&arena->pages, to, all);
    for (unsigned held = 0; held < FL_HELD_COUNT; held++)
        all->process[FL_PROCESS_live_bytes + held] += to[FL_ARENA_live_bytes + held];
    all->process[FL_PROCESS_arenas]++;
}

#define SEE_PROCESS(to, name, ...) \
    (to)[FL_PROCESS_##name] =      \
        fl_limit_shown(atomic_load_explicit(&fl_the_process.name, memory_order_relaxed));

static void see_process(uint64_t *to) {
    fallow_process_figures now = fl_process_figures();
    to[FL_PROCESS_ready_bytes] = now.ready_bytes;
    to[FL_PROCESS_prepared_bytes] = now.prepared_bytes;
    to[FL_PROCESS_reserved_bytes] = now.reserved_bytes;
    to[FL_PROCESS_ready_peak_bytes] = now.ready_peak_bytes;
    to[FL_PROCESS_meta_bytes] = now.meta_bytes;
    FL_PROCESS_COUNTERS(SEE_PROCESS, to)
}

/* Prints a figure as an attribute; its name may call for seconds. */
static void print_figure(FILE *stream, const char *name, uint64_t value) {
    size_t length = strlen(name);
    if (length > 8 && !strcmp(name + length - 8, "_seconds"))
        fprintf(stream, " %s=\"%" PRIu64 ".%09" PRIu64 "\"", name, value / 1000000000, value % 1000000000);
    else
        fprintf(stream, " %s=\"%" PRIu64 "\"", name, value);
}

#define PRINT(name, kind, help) print_figure(stream, #name, *value++);

static void print_arena(FILE *stream, const seen_arena *seen) {
    const uint64_t *value = seen->values;
    fprintf(stream, "<arena number=\"%u\" name=\"", (unsigned)seen->slot);
    for (const char *at = seen->name; *at; at++) {
        if (*at == '<' || *at == '>' || *at == '&' || *at == '"')
            fprintf(stream, "&#%d;", *at);
        else
            fputc(*at >= ' ' && *at <= '~' ? *at : '?', stream);
    }
    fputc('"', stream);
    FL_ARENA_STATISTICS(PRINT)
    fputs("/>\n", stream);
}

/* Only this lock keeps arenas from ending; it is held for one at a time. */
static void print_arenas(FILE *stream, sums *all) {
    uint32_t slot = 0;
    for (bool found = true; found;) {
        seen_arena seen;
        fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
        fallow_arena *arena = fl_arena_next_shown(&slot);
        found = arena != NULL;
        if (found)
            see_arena(arena, &seen, all);
        fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
        if (found)
            print_arena(stream, &seen);
    }
}

static void print_class(FILE *stream, const fallow_class_stats *of, size_t block_bytes) {
    uint64_t values[FL_CLASS_FIGURES] = {0}, *value = values;
    uint64_t live_bytes = of->live_blocks * block_bytes;
    values[FL_CLASS_live_bytes] = live_bytes;
    values[FL_CLASS_free_bytes] = fl_above(of->slab_bytes, of->decommitted_bytes + live_bytes);
    values[FL_CLASS_live_blocks] = of->live_blocks;
    values[FL_CLASS_decommitted_bytes] = of->decommitted_bytes;
    values[FL_CLASS_slabs] = of->slabs;
    values[FL_CLASS_slab_bytes] = of->slab_bytes;
    fprintf(stream, "<class block_bytes=\"%zu\"", block_bytes);
    FL_CLASS_STATISTICS(PRINT)
    fputs("/>\n", stream);
}

static void print_fallow(FILE *stream) {
    static const char *const causes[] = {FL_CAUSES_SHOWN};
    sums all = {0};
    fputs("<fallow format=\"1\" version=\"" FALLOW_VERSION "\">\n", stream);
    print_arenas(stream, &all);
    for (unsigned i = 0; i < FL_CLASS_COUNT; i++)
        print_class(stream, &all.classes[i], fl_classes[i].block_bytes);
    for (unsigned cause = 0; cause < FL_CAUSE_COUNT; cause++) {
        const uint64_t *value = all.causes[cause];
        fprintf(stream, "<given cause=\"%s\"", causes[cause]);
        FL_CAUSE_STATISTICS(PRINT)
        fputs("/>\n", stream);
    }
    see_process(all.process);
    const uint64_t *value = all.process;
    fputs("<process", stream);
    FL_TABLE_STATISTICS(PRINT)
    fputs("/>\n</fallow>\n", stream);
}

FALLOW_API int malloc_info(int options, FILE *stream) {
    if (options != 0)
        return EINVAL;
    fallow_process_figures process = fl_process_figures();
    struct mallinfo2 now = mallinfo2();
    fprintf(stream,
            "<malloc version=\"fallow-1\">\n"
            "<heap nr=\"0\">\n"
            "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n"
            "<aspace type=\"total\" size=\"%zu\"/>\n</heap>\n"
            "<total type=\"rest\" count=\"1\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n"
            "<aspace type=\"total\" size=\"%zu\"/>\n",
            now.arena, process.ready_peak_bytes, process.reserved_bytes, now.fordblks, now.arena,
            process.ready_peak_bytes, process.reserved_bytes);
    if (fl_process_init())
        print_fallow(stream);
    errno = 0;
    return fputs("</malloc>\n", stream) < 0 || ferror(stream) ? errno ? errno : EIO : 0;
}

#else
typedef int fl_no_info; /* a file must not be empty */
#endif
