/* SPDX-License-Identifier: MIT */
/*
 * program.h: the simulated program: workers that draw operations of the public API, the arenas and pools that
 * they share, and the rules that a program has to keep (an arena that is destroyed is used by nobody, and so
 * on).
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "../../src/slab/arenas.h"
#include "blocks.h"
#include "fallow/arena.h"
#include "fallow/pool.h"
#include "fallow/process.h"
#include "world.h"

#define ARENAS_MAX 8 /* slot 0 is malloc's */
#define POOLS_MAX 2
#define SIZES_MAX 4

typedef struct worker {
    int number;
    unsigned operations_left;
    fallow_pool *pool[POOLS_MAX];
    int pool_arena[POOLS_MAX];
    size_t pool_limit[POOLS_MAX];  /* 0: none */
    fallow_pool *child[POOLS_MAX]; /* below it, or NULL */
} worker;

typedef struct slot {
    fallow_arena *arena;  /* NULL: none */
    fallow_arena *inside; /* what that is the handle of */
    int parent;           /* a slot; -1: none */
    int users;            /* operations that are under way in it */
    bool exclusive;       /* for one of them alone */
    bool half_done;       /* in a fork's child: another thread was in it alone; hands off until it ends */
    bool one_thread;
    bool ends;             /* it is being destroyed */
    bool stays;            /* until all stand still: somebody may be at its limit who is below it no more */
    bool limited;          /* may be refused for a limit of its own */
    size_t limit_bytes;    /* which was never higher, so that no more can be Ready; 0: not known */
    bool has_soft_shedder; /* a shedder is asked at its soft limit */
    unsigned soft_asked,
        soft_asked_below; /* how often he was; and by when it was last seen below the limit */
} slot;

extern slot slots[ARENAS_MAX];

/* What the seed has drawn. */
typedef struct program {
    size_t size[SIZES_MAX];
    unsigned sizes;
    unsigned workers;
    bool child_looks; /* in the child of a fork: at itself */
    bool limits;      /* somebody may be refused for one */
    unsigned moves;   /* of arenas to other parents, under way */
    uint64_t operations;
    size_t process_limit_bytes;
} program;

extern program the_program;

/* Draws it; only: operations whose name begins so, NULL: all. */
void program_begin(const char *only, bool signals);

/* Body of a worker's thread; its argument is the worker. */
void *program_worker(void *argument);
worker *program_new_worker(unsigned operations);

/* Frees everything that is still held, ends all arenas but malloc's. Body of a thread. */
void *program_clean_up(void *unused);

/* Between two operations: waits where everybody is to stand still for a look. */
void program_pause_if_wanted(void);

/* May a thread use an arena now? If so it does, until arena_leave. */
bool arena_enter(int which);
void arena_leave(int which);

bool arena_is_below(int which, int above);

/* May it have it, and those below it, to itself? */
bool arena_enter_alone(int which);
void arena_leave_alone(int which);

bool program_has_pools(int arena);

/* Some arena, malloc's most often. */
int arena_pick(void);

/* ops.c: one operation, of those that have a weight in this life. */
void ops_begin(const char *only);
void ops_one(worker *self);
void ops_free(block *it);
void ops_pool_end(worker *self, unsigned which);
_Noreturn void ops_child(worker *self);
void ops_signal(void);

/* The child of a fork that came from a signal has finished what was interrupted. */
void ops_look_if_child(void);

#endif
