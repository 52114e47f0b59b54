/* SPDX-License-Identifier: MIT */
/*
 * process_ops.c: what concerns the whole process: memory given back, time, threads, forks.
 */
#include <unistd.h>

#include "../../src/arena/driver.h"
#include "../../src/heap/sampled.h"
#include "../../src/profile/sites.h"
#include "fallow/profile.h"
#include "faults.h"
#include "memory.h"
#include "ops.h"
#include "oracle.h"
#include "schedule.h"
#include "threads.h"

void op_give_back(worker *self) {
    (void)self;
    ops_call("give back", 0, 0);
    fallow_give_back();
    if (ops_was_alone() && !sim.is_child && !sim_faults_are_there())
        oracle_given_back();
    ops_return(NULL);
}

void op_tick(worker *self) {
    (void)self;
    ops_call("tick", 0, 0);
    fallow_tick();
    ops_return(NULL);
}

/* With means that sample every block, some, and hardly any; and the wish of another process, which is
 * followed later. */
void op_profile(worker *self) {
    (void)self;
    unsigned shift = (unsigned)sim_below(SIM_WORK, 24);
    ops_call("profile", 0, (size_t)1 << shift);
    if (sim_below(SIM_WORK, 3) == 0)
        atomic_store_explicit(&fl_the_sampling.wanted, (uint8_t)shift, memory_order_relaxed);
    else if (sim_below(SIM_WORK, 2))
        fallow_profile_stop();
    else
        (void)!fallow_profile_start((size_t)1 << shift);
    ops_return(NULL);
}

/* One of malloc's blocks in so many lies between inaccessible pages from here on; or none. */
void op_trap(worker *self) {
    static const uint32_t means[] = {0, 1, 4, 64};
    (void)self;
    uint32_t mean = means[sim_below(SIM_WORK, 4)];
    ops_call("trap", 0, mean);
    fl_sampling_trap(mean);
    ops_return(NULL);
}

void op_time(worker *self) {
    (void)self;
    sim_jump_ns(sim_log_uniform(SIM_WORK, 17, 34));
    sim_yield();
}

void op_background(worker *self) {
    (void)self;
    ops_call("allow a thread", 0, 0);
    fl_driver_allow_thread(sim_one_in(SIM_WORK, 2));
    ops_return(NULL);
}

void op_more_threads(worker *self) {
    (void)self;
    if (sim.threads >= SIM_THREADS_MAX - 12)
        return;
    worker *other = program_new_worker(1 + (unsigned)sim_below(SIM_WORK, 60));
    sim_memory_release(sim.self);
    if (other)
        sim_thread_new(program_worker, other, false);
}

/* The child is alone in them, whoever was in the middle of something. One that was being destroyed is gone,
 * whatever is left of it; of one that was on its way to another parent, the program does not know which it
 * has. */
static void leave_arenas(void) {
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].ends)
            slots[i] = (slot){.parent = -1};
        else if (!the_program.moves)
            slots[i].half_done = slots[i].exclusive, slots[i].users = 0, slots[i].exclusive = false;
}

/* It allocates where that is its own affair, and ends all. */
static void use_arenas(worker *self) {
    for (int i = 1; i < ARENAS_MAX; i++)
        if (!slots[i].one_thread)
            ops_allocate(self, i, ops_a_size());
    leave_arenas();
    for (int i = 1; i < ARENAS_MAX; i++)
        ops_arena_end(i);
}

/* In the child of a fork, alone: everything is still there, and the heap can be used to the end. */
_Noreturn void ops_child(worker *self) {
    the_program.child_looks = true;
    sim_faults_end();
    oracle_full();
    BLOCKS_EACH(it)
    if (it->start)
        blocks_verify(it, "in the child of a fork");
    for (unsigned i = 0; i < 4; i++)
        ops_allocate(self, 0, ops_a_size());
    BLOCKS_EACH(it)
    if (it->start && !it->pool && it->arena == 0)
        ops_free(it);
    use_arenas(self);
    op_give_back(self);
    op_tick(self);
    oracle_full();
    _exit(0);
}

/* A handler that forks, and returns in the child too. */
void ops_signal(void) {
    sim_note("a signal");
    (void)sim_fork();
}

void op_fork(worker *self) {
    ops_call("fork", 0, 0);
    if (sim_fork()) {
        sim_op_end();
        ops_child(self);
    }
    ops_return(NULL);
}
