/* SPDX-License-Identifier: MIT */
#include "program.h"

#include "../../src/heap/thread.h"
#include "../../src/slab/arenas.h"
#include "faults.h"
#include "memory.h"
#include "ops.h"
#include "oracle.h"
#include "schedule.h"
#include "threads.h"

slot slots[ARENAS_MAX];
program the_program;

static worker workers[SIM_THREADS_MAX];
static int worker_count;
static unsigned running;
static bool pause_wanted;
static unsigned paused;

/* Of few sizes, so that slabs fill and drain: of many blocks each, and of sixteen down to two; runs that a
 * heap keeps when they are freed; and those that fill a region, or are longer. */
static const size_t small[] = {16, 48, 512, 1024, 2048, 4096};
static const size_t middle[] = {4096, 8192, 16384, 24576, 32768, 65536, 98304, 131072};
static const size_t large[] = {65536, 131072, 140000, 200000, 260000, 600000};
static const size_t longest[] = {260000, 1048576, 2097152, 5000000, 5000000};

#define THEME(sizes) \
    { sizes, sizeof sizes / sizeof sizes[0] }
static const struct {
    const size_t *sizes;
    size_t count;
} themes[] = {THEME(small), THEME(middle), THEME(middle), THEME(large), THEME(large), THEME(longest)};
#define THEMES (sizeof themes / sizeof themes[0])

static void draw_sizes(void) {
    size_t theme = sim_below(SIM_WORK, THEMES);
    the_program.sizes = 1 + (unsigned)sim_below(SIM_WORK, SIZES_MAX);
    for (unsigned i = 0; i < the_program.sizes; i++) {
        size_t from = sim_one_in(SIM_WORK, 4) ? sim_below(SIM_WORK, THEMES) : theme;
        the_program.size[i] = themes[from].sizes[sim_below(SIM_WORK, themes[from].count)];
    }
}

void program_begin(const char *only, bool signals) {
    slots[0] = (slot){.arena = fl_arena_handle(fl_process_arena), .inside = fl_process_arena, .parent = -1};
    draw_sizes();
    the_program.workers = 2 + (unsigned)(sim_below(SIM_WORK, 3) * sim_below(SIM_WORK, 3));
    if (signals)
        sim.signal = ops_signal;
    if (sim_one_in(SIM_WORK, 8)) {
        the_program.limits = true;
        the_program.process_limit_bytes = (size_t)1 << (20 + sim_below(SIM_WORK, 4));
        fallow_set_limits(sim_one_in(SIM_WORK, 2) ? the_program.process_limit_bytes / 2 : 0,
                          the_program.process_limit_bytes);
    }
    ops_begin(only);
}

worker *program_new_worker(unsigned operations) {
    if (worker_count == SIM_THREADS_MAX)
        return NULL;
    worker *it = &workers[worker_count];
    *it = (worker){.number = worker_count++, .operations_left = operations};
    return it;
}

/* --- standing still ------------------------------------------------------------------------------------- */

static void look_if_all_stand(void) {
    if (!pause_wanted || paused < running)
        return;
    pause_wanted = false;
    sim_memory_release_all();
    oracle_quiet();
    sim_wake(&paused);
}

void program_pause_if_wanted(void) {
    if (!pause_wanted && sim_one_in(SIM_WORK, 100))
        pause_wanted = true;
    if (!pause_wanted)
        return;
    paused++;
    look_if_all_stand();
    if (pause_wanted)
        sim_wait(&paused, 0);
    paused--;
}

/* --- workers -------------------------------------------------------------------------------------------- */

/* What it holds is for others to free. */
static void leave_blocks(const worker *self) {
    sim_memory_release(sim.self);
    BLOCKS_EACH(it)
    if (it->start && it->owner == self->number && !it->pool)
        it->owner = SHARED;
}

void *program_worker(void *argument) {
    worker *self = argument;
    running++;
    sim.self->takes_signals = true;
    while (self->operations_left > 0) {
        self->operations_left--;
        ops_one(self);
        program_pause_if_wanted();
    }
    for (unsigned i = 0; i < POOLS_MAX; i++)
        if (self->pool[i])
            ops_pool_end(self, i);
    leave_blocks(self);
    sim_op_begin("end of a thread");
    sim_keys_end();
    sim_op_end();
    ops_look_if_child();
    /* A destructor of a library that ends later. */
    if (sim_one_in(SIM_WORK, 2))
        for (unsigned i = 0; i < 6; i++)
            sim_one_in(SIM_WORK, 8) ? op_fork(self) : ops_one(self);
    leave_blocks(self);
    for (unsigned i = 0; i < POOLS_MAX; i++)
        if (self->pool[i])
            ops_pool_end(self, i);
    sim_op_begin("end of a thread");
    sim_keys_end();
    sim_op_end();
    ops_look_if_child();
    running--;
    sim.self->takes_signals = false;
    look_if_all_stand();
    return NULL;
}

void *program_clean_up(void *unused) {
    (void)unused;
    for (int i = 1; i < ARENAS_MAX; i++)
        ops_arena_end(i);
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena)
            sim_fail("an arena is in use at the end");
    BLOCKS_EACH(it)
    if (it->start)
        ops_free(it);
    sim_keys_end();
    return NULL;
}

/* --- arenas --------------------------------------------------------------------------------------------- */

bool arena_is_below(int which, int above) {
    while (which > 0 && which != above)
        which = slots[which].parent;
    return which == above;
}

bool arena_enter(int which) {
    slot *it = &slots[which];
    if (!it->arena || it->exclusive || (it->one_thread && it->users))
        return false;
    it->users++;
    return true;
}

void arena_leave(int which) {
    if (slots[which].one_thread) /* the program's lock */
        sim_memory_release(sim.self);
    slots[which].users--;
}

bool arena_enter_alone(int which) {
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena && arena_is_below(i, which) && (slots[i].users || slots[i].exclusive))
            return false;
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena && arena_is_below(i, which))
            slots[i].exclusive = true;
    /* The program has a lock, or has joined the others: what they have done is seen. */
    sim_memory_release_all();
    return true;
}

void arena_leave_alone(int which) {
    sim_memory_release(sim.self);
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena && arena_is_below(i, which))
            slots[i].exclusive = false;
}

bool program_has_pools(int arena) {
    for (int i = 0; i < worker_count; i++)
        for (unsigned pool = 0; pool < POOLS_MAX; pool++)
            if (workers[i].pool[pool] && workers[i].pool_arena[pool] == arena)
                return true;
    return false;
}

int arena_pick(void) {
    return sim_one_in(SIM_WORK, 2) ? 0 : (int)sim_below(SIM_WORK, ARENAS_MAX);
}
