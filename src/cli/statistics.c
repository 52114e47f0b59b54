/* SPDX-License-Identifier: MIT */
/*
 * statistics.c: the figures of another process, added up from one survey of its tables and from what the
 * kernel says.
 */
#include "statistics.h"

#include <stdlib.h>
#include <string.h>

#include "seen_events.h"
#include "smaps.h"
#include "survey.h"

typedef struct sums {
    const fl_survey *survey;
    fl_statistics *all;
} sums;

/* For all arenas, and for one of them. The figures of both lists have the same order. */
static void add(sums *to, uint32_t arena, unsigned held, uint64_t amount) {
    to->all->rows[FL_GROUP_PROCESS]->values[FL_PROCESS_live_bytes + held] += amount;
    if (arena < to->all->counts[FL_GROUP_ARENA])
        to->all->rows[FL_GROUP_ARENA][arena].values[FL_ARENA_live_bytes + held] += amount;
}

static int by_tag(const void *tag, const void *heap) {
    uint32_t its = ((const fl_seen_heap *)heap)->tag;
    return (*(const uint32_t *)tag > its) - (*(const uint32_t *)tag < its);
}

/* Returns the heap's row; NULL if no live heap has the tag. */
static fl_row *heap_row(const sums *to, uint32_t tag) {
    const fl_survey *survey = to->survey;
    const fl_seen_heap *heap = tag && survey->heap_count ? bsearch(&tag, survey->heaps, survey->heap_count,
                                                                   sizeof *survey->heaps, by_tag)
                                                         : NULL;
    return heap ? &to->all->rows[FL_GROUP_HEAP][heap - survey->heaps] : NULL;
}

static void add_slab(sums *to, const fl_run *run) {
    const fl_seen_class *of = &to->survey->classes[run->size_class];
    fl_row *row = &to->all->rows[FL_GROUP_CLASS][run->size_class], *heap = heap_row(to, run->tag);
    uint64_t decommitted = fl_run_decommitted_bytes(run), ready = run->bytes - decommitted,
             live = run->live * of->block_bytes;
    if (live > ready) /* they are of two moments */
        live = ready;
    uint64_t blocks = live / of->block_bytes, first = !run->continues;
    live = blocks * of->block_bytes;
    add(to, run->arena, FL_HELD_live_bytes, live);
    add(to, run->arena, FL_HELD_live_blocks, blocks);
    add(to, run->arena, FL_HELD_free_bytes, ready - live);
    add(to, run->arena, FL_HELD_decommitted_bytes, decommitted);
    add(to, run->arena, FL_HELD_slabs, first);
    add(to, run->arena, FL_HELD_slab_bytes, run->bytes);
    row->values[FL_CLASS_live_bytes] += live;
    row->values[FL_CLASS_live_blocks] += blocks;
    row->values[FL_CLASS_free_bytes] += ready - live;
    row->values[FL_CLASS_decommitted_bytes] += decommitted;
    row->values[FL_CLASS_slabs] += first;
    row->values[FL_CLASS_slab_bytes] += run->bytes;
    if (heap) {
        heap->values[FL_HEAP_live_bytes] += live;
        heap->values[FL_HEAP_free_bytes] += ready - live;
        heap->values[FL_HEAP_slabs] += first;
        heap->values[FL_HEAP_slab_bytes] += run->bytes;
    }
}

static void add_run(void *context, const fl_run *run) {
    sums *to = context;
    fl_row *heap;
    switch (run->use) {
    case FL_USE_SLAB:
        add_slab(to, run);
        break;
    case FL_USE_LARGE:
        add(to, run->arena, FL_HELD_live_bytes, run->bytes);
        add(to, run->arena, FL_HELD_live_blocks, !run->continues);
        add(to, run->arena, FL_HELD_large_bytes, run->bytes);
        add(to, run->arena, FL_HELD_large_blocks, !run->continues);
        break;
    case FL_USE_POOL:
        add(to, run->arena, FL_HELD_pool_bytes, run->bytes);
        break;
    case FL_USE_SPAN:
        add(to, run->arena, FL_HELD_span_bytes, run->bytes);
        if ((heap = heap_row(to, run->tag)) != NULL)
            heap->values[FL_HEAP_span_bytes] += run->bytes;
        break;
    case FL_USE_IDLE:
        add(to, run->arena, FL_HELD_idle_bytes, run->bytes);
        break;
    case FL_USE_STUCK:
        if (run->arena != FL_NO_OWNER) /* if the arena has ended, it counts as bookkeeping */
            add(to, run->arena, FL_HELD_stuck_bytes, run->bytes);
        break;
    default: /* the ledger counts these */
        break;
    }
}

static const char *const causes[] = {FL_CAUSES_SHOWN};
#define CAUSES (sizeof causes / sizeof *causes)

static uint64_t shown_limit(uint64_t bytes) {
    return bytes == SIZE_MAX ? 0 : bytes;
}

/* A member of an arena, and the figures that it is: its own, and in the sum over all arenas. */
typedef struct counted {
    fl_root_member member;
    unsigned of_arena, of_all; /* FL_PROCESS_COUNT: no sum */
} counted;

#define COUNTED_OF_PROCESS(unused, name, ...) {FL_AT_process_##name, FL_PROCESS_##name},
#define COUNTED(unused, name, ...) {FL_AT_arena_##name, FL_ARENA_##name, FL_PROCESS_##name},
#define COUNTED_BY_CAUSE(unused, name, figure, ...) {FL_AT_arena_##name, FL_CAUSE_##figure},
#define SUMMED(unused, name, ...) {FL_AT_arena_##name, FL_ARENA_##name},

static void add_causes(sums *to, const fl_seen_arena *arena, fl_row *row) {
    static const struct {
        fl_root_member member;
        unsigned of_cause;
    } counters[] = {FL_CAUSE_COUNTERS(COUNTED_BY_CAUSE, )};
    static const struct {
        fl_root_member member;
        unsigned of_arena;
    } summed[] = {FL_ARENA_COUNTERS(FL_NOT_COUNTED, SUMMED, )};
    for (size_t cause = 0; cause < CAUSES; cause++)
        for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
            uint64_t value =
                fl_target_item(to->survey->target, arena->structure, counters[i].member, cause, 8);
            to->all->rows[FL_GROUP_CAUSE][cause].values[counters[i].of_cause] += value;
            for (size_t k = 0; k < sizeof summed / sizeof *summed; k++)
                if (summed[k].member == counters[i].member)
                    row->values[summed[k].of_arena] += value;
        }
}

static void add_arena(sums *to, uint32_t index) {
    const fl_seen_arena *arena = &to->survey->arenas[index];
    uint64_t *of_all = to->all->rows[FL_GROUP_PROCESS]->values;
    fl_row *row = &to->all->rows[FL_GROUP_ARENA][index];
    static const counted figures[] = {
        {FL_AT_arena_stat_ready, FL_ARENA_ready_bytes, FL_PROCESS_COUNT},
        {FL_AT_arena_stat_ready_peak, FL_ARENA_ready_peak_bytes, FL_PROCESS_COUNT},
        {FL_AT_arena_soft_bytes, FL_ARENA_soft_limit_bytes, FL_PROCESS_COUNT},
        {FL_AT_arena_hard_bytes, FL_ARENA_hard_limit_bytes, FL_PROCESS_COUNT},
        FL_ARENA_COUNTERS(COUNTED, FL_NOT_COUNTED, )};
    memcpy(row->name, arena->name, sizeof row->name);
    row->number = arena->slot;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        uint64_t value =
            shown_limit(fl_target_member(to->survey->target, arena->structure, figures[i].member));
        row->values[figures[i].of_arena] = value;
        if (figures[i].of_all != FL_PROCESS_COUNT)
            of_all[figures[i].of_all] += value;
    }
    add_causes(to, arena, row);
}

static bool add_process(sums *to) {
    static const struct {
        fl_root_member member;
        unsigned of_all;
    } figures[] = {FL_PROCESS_COUNTERS(COUNTED_OF_PROCESS, )};
    const fl_target *target = to->survey->target;
    const fl_root *root = &target->root;
    uint64_t *of_all = to->all->rows[FL_GROUP_PROCESS]->values;
    char stat[UINT16_MAX], meta[UINT16_MAX], counters[UINT16_MAX];
    if (!fl_target_read(target, (uint64_t)(uintptr_t)root->process, stat, root->sizes[FL_OF_stat]) ||
        !fl_target_read(target, (uint64_t)(uintptr_t)root->meta, meta, root->sizes[FL_OF_stat]) ||
        !fl_target_read(target, (uint64_t)(uintptr_t)root->counters, counters, root->sizes[FL_OF_counters]))
        return false;
    of_all[FL_PROCESS_ready_bytes] = fl_target_member(target, stat, FL_AT_stat_ready);
    of_all[FL_PROCESS_prepared_bytes] = fl_target_member(target, stat, FL_AT_stat_prepared);
    of_all[FL_PROCESS_reserved_bytes] = fl_target_member(target, stat, FL_AT_stat_reserved);
    of_all[FL_PROCESS_ready_peak_bytes] = fl_target_member(target, stat, FL_AT_stat_ready_peak);
    of_all[FL_PROCESS_meta_bytes] = fl_target_member(target, meta, FL_AT_stat_ready);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        of_all[figures[i].of_all] = shown_limit(fl_target_member(target, counters, figures[i].member));
    return true;
}

static bool add_kernel(sums *to) {
    fl_target *target = to->survey->target;
    uint64_t *of_all = to->all->rows[FL_GROUP_PROCESS]->values;
    fl_smaps smaps;
    if (!fl_smaps_read(&smaps, target, to->survey->start, to->survey->end))
        return false;
    of_all[FL_PROCESS_resident_bytes] = smaps.sum.resident_bytes;
    of_all[FL_PROCESS_lazy_free_bytes] = smaps.sum.lazy_free_bytes;
    of_all[FL_PROCESS_huge_bytes] = smaps.sum.huge_bytes;
    of_all[FL_PROCESS_swapped_bytes] = smaps.sum.swapped_bytes;
    of_all[FL_PROCESS_locked_bytes] = smaps.sum.locked_bytes;
    of_all[FL_PROCESS_mappings] = smaps.count;
    of_all[FL_PROCESS_process_resident_bytes] = smaps.process_resident_bytes;
    fl_smaps_free(&smaps);
    return fl_target_faults(target, &of_all[FL_PROCESS_faults]);
}

static bool make_rows(fl_statistics *all, const fl_survey *survey) {
    size_t counts[FL_GROUP_COUNT] = {1, CAUSES, survey->arena_count, survey->class_count, survey->heap_count};
    for (int i = 0; i < FL_GROUP_COUNT; i++) {
        all->counts[i] = counts[i];
        all->rows[i] = calloc(counts[i] + 1, sizeof(fl_row));
        if (!all->rows[i])
            return false;
    }
    for (size_t i = 0; i < CAUSES; i++)
        strcpy(all->rows[FL_GROUP_CAUSE][i].name, causes[i]);
    for (size_t i = 0; i < survey->class_count; i++)
        all->rows[FL_GROUP_CLASS][i].number = survey->classes[i].block_bytes;
    for (size_t i = 0; i < survey->heap_count; i++) {
        const fl_seen_heap *heap = &survey->heaps[i];
        fl_row *row = &all->rows[FL_GROUP_HEAP][i];
        memcpy(row->name, survey->arenas[heap->arena].name, sizeof row->name);
        row->number = heap->tag;
        all->rows[FL_GROUP_PROCESS]->values[FL_PROCESS_heaps_without_thread] += !heap->has_thread;
    }
    all->rows[FL_GROUP_PROCESS]->values[FL_PROCESS_arenas] = survey->arena_count;
    all->rows[FL_GROUP_PROCESS]->values[FL_PROCESS_heaps] = survey->heap_count;
    return true;
}

bool fl_statistics_gather(fl_statistics *all, fl_target *target) {
    fl_survey survey;
    *all = (fl_statistics){.process = target->process};
    memcpy(all->program, target->program, sizeof all->program);
    memcpy(all->version, target->root.version, sizeof all->version - 1);
    memcpy(all->library, target->library, sizeof all->library);
    memcpy(all->others, target->others, sizeof all->others);
    if (!fl_survey_begin(&survey, target))
        return false;
    sums to = {&survey, all};
    bool done = make_rows(all, &survey) && add_process(&to) && fl_survey_walk(&survey, add_run, &to);
    for (uint32_t i = 0; done && i < survey.arena_count; i++)
        add_arena(&to, i);
    done = done && fl_events_read(&survey, &all->events, &all->event_count);
    done = done && add_kernel(&to) && !fl_target_lost(target);
    if (!done && !*target->wrong)
        fl_target_give_up(target);
    if (!done)
        fl_statistics_free(all);
    fl_survey_end(&survey);
    return done;
}

void fl_statistics_free(fl_statistics *all) {
    for (int i = 0; i < FL_GROUP_COUNT; i++) {
        free(all->rows[i]);
        all->rows[i] = NULL;
    }
    free(all->events);
    all->events = NULL;
}
