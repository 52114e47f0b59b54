/* SPDX-License-Identifier: MIT */
/*
 * arena_list.c: shows the program the arenas that live, one after the other. Each is kept from ending while
 * the program is shown it, and no lock is held, so the program may ask for its figures beside threads that
 * make and destroy arenas.
 */
#include "../arena/shed.h"
#include "../heap/startup.h"
#include "../slab/arenas.h"
#include "fallow/arena.h"

static fallow_arena *arena_of(const fl_upkeep *upkeep) {
    return (fallow_arena *)fl_pagearena_of_upkeep(upkeep); /* its first member */
}

static bool is_child(const fl_upkeep *upkeep, const void *parent) {
    return !parent || fl_arena_parent(arena_of(upkeep)) == parent;
}

bool fallow_arena_each(const fallow_arena *parent, fallow_arena_visit *visit, void *context) {
    if (!fl_process_init())
        return true;
    const fallow_arena *above = parent ? fl_arena_at(parent, "children of arena") : NULL;
    bool on = true;
    size_t place = 0;
    for (fl_upkeep *it; on && (it = fl_upkeep_hold_next(&place, is_child, above)) != NULL;) {
        fl_call_back here;
        fl_call_back_begin(&here, fl_pagearena_of_upkeep(it), above ? &above->pages : NULL, false);
        on = visit(context, fl_arena_handle(arena_of(it)));
        fl_call_back_end(&here);
        fl_upkeep_let_go(it);
    }
    return on;
}
