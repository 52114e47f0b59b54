/* SPDX-License-Identifier: MIT */
/*
 * guarded.h: blocks of arenas in a program that runs under a memory checker (poison.h). Behind each block
 * lies a gap that nobody may touch, and a freed block waits a while before it is handed out again.
 *
 *     ┌ block as the program asked for it ┬ gap ───┬ note ─────────┐
 *     │ n bytes                           │        │ n, and a seal │   all of it one block of the heap
 *     └───────────────────────────────────┴────────┴───────────────┘
 *
 * An arena is guarded for its life or not at all, and in one program all are or none. No thread has the heap
 * of a guarded arena at hand (thread.h), so every call leaves its fast path where it would look the heap up;
 * other programs' calls do not ask. Only arena_api.c, arena_life.c and walk.c use this.
 */
#ifndef FL_GUARDED_H
#define FL_GUARDED_H

#include "../slab/arenas.h"

static inline bool fl_is_guarded(const fallow_arena *arena) {
    return arena && arena->waiting;
}

/* Returns the arena that has a handle, if it is guarded; NULL if not, or if it no longer lives: looking up a
 * heap in it then says so. */
static inline fallow_arena *fl_guarded_find(const fallow_arena *handle) {
    fallow_arena *arena = handle ? fl_arena_find(handle) : NULL;
    return fl_is_guarded(arena) ? arena : NULL;
}

/* Returns the arena of a pointer that may be no block of ours, if it is guarded; else NULL. */
static inline fallow_arena *fl_guarded_of(const void *block) {
    fl_entry entry = fl_entry_of(block);
    fallow_arena *arena = entry ? fl_entry_slab(entry)->arena : NULL;
    return fl_is_guarded(arena) ? arena : NULL;
}

/* Has LeakSanitizer look through all memory that fallow hands out, for what only blocks and objects of pools
 * lead to. Called once the window has its place. */
void fl_show_leak_roots(void);

/* For a new arena that nobody knows yet. Returns false if there is no memory. */
bool fl_guarded_begin(fallow_arena *arena);

/* Leaves what was freed where it is: all of the arena goes, and nobody uses it. */
void fl_guarded_end(fallow_arena *arena);

/* Returns what was freed to the heaps at once. */
void fl_guarded_flush(fallow_arena *arena);

/* Like those of arena.h, for a guarded arena that a handle has led to. */
void *fl_guarded_alloc(fallow_arena *arena, size_t alignment, size_t bytes, bool zeroed);
void *fl_guarded_realloc(fallow_arena *arena, void *block, size_t alignment, size_t bytes);
bool fl_guarded_resize(fallow_arena *arena, void *block, size_t bytes);
void fl_guarded_free(fallow_arena *arena, void *block);

/* Returns the slab or run that a block lies in; `doing` says what was asked. Unlike fl_block_slab it touches
 * nothing in the block. Stops the process if the block is no start of one. */
fl_slab *fl_guarded_slab(const void *block, const char *doing);

/* Poisons what is free, after a reset, until it is handed out. */
void fl_guarded_forbid(const fallow_arena *arena);

/* Returns what the program asked for. */
size_t fl_guarded_bytes(const fl_slab *slab, const void *block);

#endif
