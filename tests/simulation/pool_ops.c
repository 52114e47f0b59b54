/* SPDX-License-Identifier: MIT */
/*
 * pool_ops.c: pools, each of one worker.
 */
#include <errno.h>

#include "memory.h"
#include "ops.h"
#include "schedule.h"

static void forget_objects(const void *pool) {
    BLOCKS_EACH(it)
    if (it->start && it->pool == pool) {
        blocks_verify(it, "before its pool is emptied");
        it->start = NULL;
    }
}

void op_pool_create(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    int arena = arena_pick();
    if (self->pool[which] || !arena_enter(arena))
        return;
    ops_call("create a pool", arena, 0);
    errno = 0;
    self->pool[which] = fallow_pool_create(slots[arena].arena);
    self->pool_arena[which] = arena;
    self->pool_limit[which] = sim_one_in(SIM_WORK, 3) ? (size_t)sim_log_uniform(SIM_WORK, 16, 19) : 0;
    self->child[which] = NULL;
    if (self->pool[which] && self->pool_limit[which])
        fallow_pool_set_limit(self->pool[which], self->pool_limit[which]);
    if (self->pool[which] && sim_one_in(SIM_WORK, 3))
        self->child[which] = fallow_pool_create_child(self->pool[which]);
    ops_return(self->pool[which]);
    if (!self->pool[which])
        ops_refused(arena, 0);
    arena_leave(arena);
}

/* A pool with its child holds no more than its limit; its first chunk it has whatever that is. */
static void check_pool(const worker *self, unsigned which) {
    size_t held = fallow_pool_held_bytes(self->pool[which]);
    size_t limit = self->pool_limit[which] < 32768 ? 32768 : self->pool_limit[which];
    if (self->pool_limit[which] && held > limit)
        sim_fail("a pool holds %zu bytes, and its limit is %zu", held, self->pool_limit[which]);
}

void op_pool_alloc(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    int arena = self->pool_arena[which];
    if (!self->pool[which] || !arena_enter(arena))
        return;
    for (uint64_t i = 1 + sim_below(SIM_WORK, 8); i-- > 0;) {
        size_t bytes = ops_a_size() % 220000 + 1;
        ops_call("allocate in a pool", arena, bytes);
        errno = 0;
        fallow_pool *from =
            self->child[which] && sim_one_in(SIM_WORK, 2) ? self->child[which] : self->pool[which];
        void *object = fallow_pool_alloc(from, bytes);
        check_pool(self, which);
        ops_return(object);
        if (!object && !self->pool_limit[which])
            ops_refused(arena, bytes);
        block *it = object ? blocks_add(object, bytes, 16, arena, self->number) : NULL;
        if (it)
            it->pool = self->pool[which];
    }
    arena_leave(arena);
}

/* A mark, a few objects, and back to it. */
void op_pool_rewind(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    int arena = self->pool_arena[which];
    if (!self->pool[which] || !arena_enter(arena))
        return;
    block *made[4] = {NULL};
    ops_call("mark and rewind", arena, 0);
    fallow_pool_mark mark = fallow_pool_mark_here(self->pool[which]);
    for (unsigned i = 0; i < 4; i++) {
        size_t bytes = ops_a_size() % 220000 + 1, alignment = (size_t)16 << sim_below(SIM_WORK, 8);
        void *object = fallow_pool_alloc_aligned(self->pool[which], alignment, bytes);
        sim_memory_settle();
        made[i] = object ? blocks_add(object, bytes, alignment, arena, self->number) : NULL;
        if (made[i])
            made[i]->pool = self->pool[which];
    }
    for (unsigned i = 0; i < 4; i++)
        if (made[i])
            blocks_remove(made[i]);
    fallow_pool_rewind(self->pool[which], mark);
    ops_return(NULL);
    arena_leave(arena);
}

void op_pool_reset(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    int arena = self->pool_arena[which];
    if (!self->pool[which] || !arena_enter(arena))
        return;
    forget_objects(self->pool[which]);
    ops_call("reset a pool", arena, 0);
    fallow_pool_reset(self->pool[which]);
    self->child[which] = NULL;
    ops_return(NULL);
    arena_leave(arena);
}

void ops_pool_end(worker *self, unsigned which) {
    int arena = self->pool_arena[which];
    while (!arena_enter(arena))
        sim_yield();
    forget_objects(self->pool[which]);
    ops_call("destroy a pool", arena, 0);
    fallow_pool_destroy(self->pool[which]);
    ops_return(NULL);
    self->pool[which] = NULL;
    arena_leave(arena);
}

void op_pool_destroy(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    if (self->pool[which] && arena_enter(self->pool_arena[which])) {
        arena_leave(self->pool_arena[which]);
        ops_pool_end(self, which);
    }
}
