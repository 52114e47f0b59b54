/* SPDX-License-Identifier: MIT */
/*
 * ops.c: which operation a worker draws, and what all of them have in common.
 */
#include "ops.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "memory.h"
#include "oracle.h"
#include "schedule.h"

size_t ops_a_size(void) {
    size_t bytes = the_program.size[sim_below(SIM_WORK, the_program.sizes)];
    return sim_one_in(SIM_WORK, 8) ? bytes - bytes / 16 : bytes;
}

/* A refusal has to have a reason. */
void ops_refused(int arena, size_t bytes) {
    if (errno != ENOMEM)
        sim_fail("refused with errno %d, not ENOMEM", errno);
    for (int at = arena; at > 0; at = slots[at].parent)
        if (slots[at].limited)
            return;
    if (!sim_faults_are_there() && !the_program.limits)
        sim_fail("refused: %zu bytes, where nothing is in the way", bytes);
}

static uint64_t switches_when_called;

bool ops_was_alone(void) {
    for (unsigned i = 0; i < sim.threads; i++)
        if (&sim.thread[i] != sim.self && sim.thread[i].op)
            return false;
    return sim.switches == switches_when_called;
}

static bool has_family(int which) {
    for (int i = 0; i < ARENAS_MAX; i++)
        if (slots[i].arena && slots[i].parent == which)
            return true;
    return slots[which].parent >= 0;
}

/* OS pages in which a block of an arena lies, as bytes. */
static size_t live_page_bytes(int arena) {
    static uint64_t seen[(1 << 18) / 64];
    size_t page_bytes = fl_the_window.os_page_bytes, pages = 0;
    memset(seen, 0, sizeof seen);
    BLOCKS_EACH(it)
    if (it->start && it->arena == arena) {
        size_t first = ((uintptr_t)it->start - fl_the_window.base) / page_bytes;
        size_t last = ((uintptr_t)it->start + fallow_arena_usable_bytes(it->start) - 1 - fl_the_window.base) /
                      page_bytes;
        for (size_t page = first; page <= last && page < sizeof seen * 8; page++) {
            pages += !(seen[page / 64] >> page % 64 & 1);
            seen[page / 64] |= UINT64_C(1) << page % 64;
        }
    }
    return pages * page_bytes;
}

/* What a limit means (tests/embed/limit_model_test.c): of one arena, asked by a thread that was alone, and
 * where no fence fails. (Who is about to free a block has entered the arena, and taken it off the books.) */
void ops_refused_at_limit(int arena, size_t bytes) {
    size_t limit = arena > 0 ? slots[arena].limit_bytes : 0;
    if (!limit || has_family(arena) || program_has_pools(arena) || the_program.process_limit_bytes ||
        sim_faults_are_there() || sim_fences_fail() || slots[arena].users > 1 || !ops_was_alone())
        return;
    sim.deaf++;
    size_t live = live_page_bytes(arena), grain = 16384;
    size_t needed = (bytes + bytes / 4 + grain) / grain * grain + fl_the_window.os_page_bytes;
    if (live + needed <= limit)
        sim_fail(
            "refused: %zu bytes, which need %zu at most, with %zu in pages of live blocks and a limit of %zu",
            bytes, needed, live, limit);
    sim.deaf--;
}

void ops_call(const char *name, int arena, size_t bytes) {
    sim_op_begin(name);
    switches_when_called = sim.switches;
    sim_note("%s, arena %d (%p), %zu bytes", name, arena, (void *)slots[arena].arena, bytes);
}

/* The child of a signal handler's fork comes to the end of what was interrupted. More is not asked of it: who
 * was interrupted with a lock cannot wait for those who wait for it, so that what other threads had in hand
 * may be half done there. */
void ops_look_if_child(void) {
    if (sim.is_child && !the_program.child_looks)
        _exit(0);
}

void ops_return(const void *result) {
    sim_memory_settle();
    sim_note("  -> %p", result);
    sim_op_end();
    ops_look_if_child();
    oracle_after_operation();
}

static const struct {
    const char *name;
    void (*body)(worker *self);
    unsigned weight;
} table[] = {
    {"allocate", op_allocate, 30},
    {"allocate many", op_allocate_many, 12},
    {"allocate zeroed", op_allocate_zeroed, 4},
    {"allocate aligned", op_allocate_aligned, 4},
    {"free", op_free, 30},
    {"free many", op_free_many, 10},
    {"fill and drain", op_fill_and_drain, 8},
    {"evict", op_evict, 8},
    {"free shared", op_free_shared, 20},
    {"share", op_share, 20},
    {"take", op_take, 8},
    {"resize", op_resize, 10},
    {"usable", op_usable, 1},
    {"arena create", op_arena_create, 8},
    {"arena reset", op_arena_reset, 3},
    {"arena destroy", op_arena_destroy, 4},
    {"arena limits", op_arena_limits, 2},
    {"arena idle max", op_arena_idle_max, 1},
    {"arena move", op_arena_move, 4},
    {"arena walk", op_arena_walk, 1},
    {"pool create", op_pool_create, 3},
    {"pool allocate", op_pool_alloc, 8},
    {"pool reset", op_pool_reset, 2},
    {"pool rewind", op_pool_rewind, 2},
    {"pool destroy", op_pool_destroy, 2},
    {"give back", op_give_back, 4},
    {"tick", op_tick, 6},
    {"profile", op_profile, 2},
    {"trap", op_trap, 2},
    {"time", op_time, 4},
    {"background", op_background, 1},
    {"threads", op_more_threads, 3},
    {"fork", op_fork, 2},
};
#define OPS (sizeof table / sizeof table[0])

static unsigned weights[OPS], all_weights;

/* Each life does some things often, others never: what is rare in the mean is common in some. */
void ops_begin(const char *only) {
    static const unsigned factor[] = {0, 1, 1, 1, 4, 16};
    bool found = false;
    for (size_t i = 0; i < OPS; i++) {
        found |= only && strncmp(table[i].name, only, strlen(only)) == 0;
        weights[i] = table[i].weight * factor[sim_below(SIM_WORK, 6)];
        if (table[i].body == op_fork && !sim_one_in(SIM_WORK, 3))
            weights[i] = 0;
        if (only && strncmp(table[i].name, only, strlen(only)) != 0 && i > 0)
            weights[i] = 0;
    }
    if (only && !found)
        sim_fail("no operation's name begins with '%s'", only);
    weights[0] += 4; /* something happens */
    for (size_t i = 0; i < OPS; i++)
        all_weights += weights[i];
}

void ops_one(worker *self) {
    uint64_t drawn = sim_below(SIM_WORK, all_weights);
    size_t i = 0;
    for (; drawn >= weights[i]; i++)
        drawn -= weights[i];
    the_program.operations++;
    table[i].body(self);
}
