/* SPDX-License-Identifier: MIT */
/*
 * ops.h: what the operations that workers draw are made of. An operation enters its arena (program.h), says
 * what it calls by ops_call and ops_return, and tells the blocks (blocks.h) what it got.
 */
#ifndef OPS_H
#define OPS_H

#include "program.h"

/* One of the sizes of this life, or a little less. */
size_t ops_a_size(void);

/* A call of the library begins and ends. At its end no lock is held, and now and then the books are looked
 * at. */
void ops_call(const char *name, int arena, size_t bytes);
void ops_return(const void *result);

/* Nobody else has run since the operation began, and none is in the middle of one. */
bool ops_was_alone(void);

/* It was refused: for a reason? */
void ops_refused(int arena, size_t bytes);
void ops_refused_at_limit(int arena, size_t bytes);

/* NULL: it was refused, or the program keeps to its own bounds. */
block *ops_allocate(worker *self, int arena, size_t bytes);

/* One with a small limit, for all workers; it is made where there is none. 0: it could not. */
int ops_arena_small(void);

/* An arena ends with all below it, if it can. */
void ops_arena_end(int which);

/* The operations, each with a line in the table of ops.c. */
void op_allocate(worker *self);
void op_allocate_aligned(worker *self);
void op_allocate_many(worker *self);
void op_allocate_zeroed(worker *self);
void op_arena_create(worker *self);
void op_arena_destroy(worker *self);
void op_arena_limits(worker *self);
void op_arena_idle_max(worker *self);
void op_arena_move(worker *self);
void op_arena_reset(worker *self);
void op_arena_walk(worker *self);
void op_background(worker *self);
void op_evict(worker *self);
void op_fill_and_drain(worker *self);
void op_fork(worker *self);
void op_free(worker *self);
void op_free_many(worker *self);
void op_free_shared(worker *self);
void op_give_back(worker *self);
void op_more_threads(worker *self);
void op_pool_alloc(worker *self);
void op_pool_create(worker *self);
void op_pool_destroy(worker *self);
void op_pool_reset(worker *self);
void op_pool_rewind(worker *self);
void op_resize(worker *self);
void op_share(worker *self);
void op_take(worker *self);
void op_tick(worker *self);
void op_profile(worker *self);
void op_time(worker *self);
void op_trap(worker *self);
void op_usable(worker *self);

#endif
