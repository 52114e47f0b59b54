/* SPDX-License-Identifier: MIT */
#include "family.h"

#include "charge.h"
#include "scarce.h"

void fl_family_count(fl_pagearena *arena, bool more) {
    for (fl_pagearena *it = fl_pagearena_above(arena); it; it = fl_pagearena_above(it))
        fl_pagearena_count(&it->arenas_below, 1, more);
}

bool fl_family_is_below(const fl_pagearena *arena, const fl_pagearena *other) {
    do
        arena = fl_pagearena_above(arena);
    while (arena && arena != other);
    return arena != NULL;
}

/* Returns `it` unless it is in another chain as well, with all above it. */
static fl_pagearena *apart(fl_pagearena *it, const fl_pagearena *other) {
    return it && it != other && !(other && fl_family_is_below(other, it)) ? it : NULL;
}

static void count(fl_pagearena *chain, const fl_pagearena *other, size_t bytes, size_t arenas, bool more) {
    for (fl_pagearena *it = apart(chain, other); it; it = apart(fl_pagearena_above(it), other)) {
        fl_pagearena_count_in_family(it, bytes, more);
        fl_pagearena_count(&it->arenas_below, arenas, more);
    }
}

/* Of what is counted already. An arena that has nothing may go below a limit that was lowered. */
static bool fits(fl_pagearena *chain, const fl_pagearena *other, size_t bytes, fl_shortage *shortage) {
    for (fl_pagearena *it = apart(chain, other); bytes && it; it = apart(fl_pagearena_above(it), other)) {
        size_t above = fl_above(atomic_load_explicit(&it->family_bytes, memory_order_relaxed),
                                atomic_load_explicit(&it->limits.hard_bytes, memory_order_relaxed));
        *shortage = (fl_shortage){FL_REFUSED_ARENA, above, it};
        if (above)
            return false;
    }
    return true;
}

bool fl_family_move(fl_pagearena *arena, fl_pagearena *parent, fl_shortage *shortage) {
    fl_pagearena *before = fl_pagearena_above(arena);
    size_t bytes = atomic_load_explicit(&arena->family_bytes, memory_order_relaxed);
    size_t arenas = 1 + atomic_load_explicit(&arena->arenas_below, memory_order_relaxed);
    /* Adds first and looks then, as everywhere. */
    count(parent, before, bytes, arenas, true);
    if (!fits(parent, before, bytes, shortage)) {
        count(parent, before, bytes, arenas, false);
        return false;
    }
    /* Moves the ledger in between: neither side shows more than its limit. */
    osmem_stat_set_parent(&arena->stat, parent ? &parent->stat : &fl_stat_process);
    count(before, parent, bytes, arenas, false);
    atomic_store_explicit(&arena->parent, parent, memory_order_seq_cst);
    /* There is room at the old parent; at the new one, something may be idle. */
    if (before)
        fl_scarce_changed(before);
    if (parent)
        fl_scarce_changed(parent);
    return true;
}
