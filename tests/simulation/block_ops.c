/* SPDX-License-Identifier: MIT */
/*
 * block_ops.c: blocks are allocated, resized, freed, and handed from worker to worker.
 */
#include <errno.h>

#include "memory.h"
#include "ops.h"
#include "schedule.h"

/* src/malloc/malloc.c, under names that are not the C library's (see Makefile). */
void *front_malloc(size_t bytes);
void front_free(void *block);
void *front_calloc(size_t count, size_t bytes);
void *front_realloc(void *block, size_t bytes);
void *front_aligned_alloc(size_t alignment, size_t bytes);
size_t front_malloc_usable_size(void *block);

static block *take(worker *self, void *start, size_t bytes, size_t alignment, int arena) {
    ops_return(start);
    if (!start) {
        ops_refused(arena, bytes);
        if (alignment <= 16)
            ops_refused_at_limit(arena, bytes);
        return NULL;
    }
    block *it = blocks_add(start, bytes, alignment, arena, self->number);
    if (!it) {
        sim_op_begin("free at once");
        arena ? fallow_arena_free(slots[arena].arena, start) : front_free(start);
        ops_return(NULL);
    }
    return it;
}

#define FILL_MAX 40
#define LIVE_BYTES_MAX ((size_t)48 << 20)

block *ops_allocate(worker *self, int arena, size_t bytes) {
    if (blocks_bytes() + bytes > LIVE_BYTES_MAX || !arena_enter(arena))
        return NULL;
    ops_call("allocate", arena, bytes);
    errno = 0;
    void *start = arena ? fallow_arena_alloc(slots[arena].arena, bytes) : front_malloc(bytes);
    block *made = take(self, start, bytes, 16, arena);
    arena_leave(arena);
    return made;
}

void op_allocate(worker *self) {
    ops_allocate(self, arena_pick(), ops_a_size());
}

void op_allocate_many(worker *self) {
    int arena = arena_pick();
    size_t bytes = ops_a_size();
    for (uint64_t i = 2 + sim_below(SIM_WORK, 20); i-- > 0;)
        ops_allocate(self, arena, bytes);
}

void op_allocate_zeroed(worker *self) {
    int arena = arena_pick();
    size_t bytes = ops_a_size();
    if (bytes > 300000 || blocks_bytes() > LIVE_BYTES_MAX || !arena_enter(arena))
        return;
    ops_call("allocate zeroed", arena, bytes);
    void *start = arena ? fallow_arena_alloc_zeroed(slots[arena].arena, bytes) : front_calloc(1, bytes);
    sim_memory_settle();
    if (start)
        blocks_verify_zero(start, bytes);
    take(self, start, bytes, 16, arena);
    arena_leave(arena);
}

void op_allocate_aligned(worker *self) {
    int arena = arena_pick();
    size_t bytes = ops_a_size(),
           alignment = (size_t)16 << sim_below(SIM_WORK, sim_one_in(SIM_WORK, 4) ? 18 : 10);
    if (blocks_bytes() > LIVE_BYTES_MAX || !arena_enter(arena))
        return;
    ops_call("allocate aligned", arena, bytes);
    void *start = arena ? fallow_arena_alloc_aligned(slots[arena].arena, alignment, bytes)
                        : front_aligned_alloc(alignment, bytes);
    take(self, start, bytes, alignment, arena);
    arena_leave(arena);
}

void ops_free(block *it) {
    if (!arena_enter(it->arena))
        return;
    block was = blocks_remove(it);
    ops_call("free", was.arena, was.bytes);
    sim_note("  of %p", (void *)was.start);
    was.arena ? fallow_arena_free(slots[was.arena].arena, was.start) : front_free(was.start);
    ops_return(NULL);
    arena_leave(was.arena);
}

void op_free(worker *self) {
    block *it = blocks_pick(self->number, SIM_WORK);
    if (it)
        ops_free(it);
}

void op_free_many(worker *self) {
    block *it;
    for (uint64_t i = 2 + sim_below(SIM_WORK, 20);
         i-- > 0 && (it = blocks_pick(self->number, SIM_WORK)) != NULL;)
        ops_free(it);
}

/* A container is filled, and emptied from its start or from its end. */
void op_fill_and_drain(worker *self) {
    block *made[FILL_MAX];
    int arena = arena_pick();
    size_t bytes = ops_a_size(), count = 1 + sim_below(SIM_WORK, FILL_MAX), got = 0;
    bool from_start = sim_one_in(SIM_WORK, 2);
    while (got < count && (made[got] = ops_allocate(self, arena, bytes)) != NULL)
        got++;
    for (size_t i = 0; i < got; i++)
        ops_free(made[from_start ? i : got - 1 - i]);
}

static bool evict_one(worker *self, int arena) {
    block *old = blocks_pick_in(SHARED, arena);
    if (old) {
        old->owner = self->number;
        ops_free(old);
    }
    return old != NULL;
}

/* A cache that is full, of all workers: each value that is refused takes the place of others. Now and then
 * many go, so that the arena is far from its limit when somebody looks. */
void op_evict(worker *self) {
    static const size_t most[] = {800, 2000, 2000, 6000};
    int arena = ops_arena_small();
    size_t largest = most[sim_below(SIM_WORK, sizeof most / sizeof most[0])];
    bool alike = sim_one_in(SIM_WORK, 4);
    for (uint64_t i = arena ? 10 + sim_below(SIM_WORK, 30) : 0; i-- > 0;) {
        size_t bytes = alike ? largest : largest / 12 + sim_below(SIM_WORK, largest - largest / 12);
        block *new;
        while (!(new = ops_allocate(self, arena, bytes)) && evict_one(self, arena))
            ;
        sim_memory_release(sim.self);
        if (new)
            new->owner = SHARED;
    }
    if (!arena || !sim_one_in(SIM_WORK, 4))
        return;
    for (uint64_t i = sim_below(SIM_WORK, 80); i-- > 0 && evict_one(self, arena);)
        ;
    op_tick(self);
}

void op_free_shared(worker *self) {
    block *it;
    for (uint64_t i = 1 + sim_below(SIM_WORK, 12); i-- > 0 && (it = blocks_pick(SHARED, SIM_WORK)) != NULL;) {
        it->owner = self->number;
        ops_free(it);
    }
}

void op_share(worker *self) {
    block *it;
    sim_memory_release(sim.self);
    for (uint64_t i = 1 + sim_below(SIM_WORK, 12);
         i-- > 0 && (it = blocks_pick(self->number, SIM_WORK)) != NULL;)
        it->owner = SHARED;
}

void op_take(worker *self) {
    block *it = blocks_pick(SHARED, SIM_WORK);
    if (it)
        it->owner = self->number;
}

void op_resize(worker *self) {
    block *it = blocks_pick(self->number, SIM_WORK);
    size_t bytes =
        sim_one_in(SIM_WORK, 2) || !it ? ops_a_size() : it->bytes + sim_below(SIM_WORK, it->bytes + 1);
    if (!it || bytes > 6000000 || blocks_bytes() > LIVE_BYTES_MAX || !arena_enter(it->arena))
        return;
    block was = blocks_remove(it);
    ops_call("resize", was.arena, bytes);
    sim_note("  of %p, %zu bytes", (void *)was.start, was.bytes);
    void *start = was.arena ? fallow_arena_realloc(slots[was.arena].arena, was.start, bytes)
                            : front_realloc(was.start, bytes);
    ops_return(start);
    if (!start)
        ops_refused(was.arena, bytes);
    blocks_put_back(&was, start ? start : was.start, start ? bytes : was.bytes);
    arena_leave(was.arena);
}

void op_usable(worker *self) {
    const block *it = blocks_pick(self->number, SIM_WORK);
    if (!it || !arena_enter(it->arena))
        return;
    block was = *it;
    ops_call("usable size", was.arena, was.bytes);
    if (front_malloc_usable_size(was.start) < was.bytes)
        sim_fail("usable size of %p is less than the %zu bytes that were asked for", (void *)was.start,
                 was.bytes);
    ops_return(NULL);
    arena_leave(was.arena);
}
