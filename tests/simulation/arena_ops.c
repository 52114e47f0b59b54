/* SPDX-License-Identifier: MIT */
/*
 * arena_ops.c: arenas are made, limited, emptied, walked and ended, by who has them to itself.
 */
#include <errno.h>

#include "memory.h"
#include "ops.h"
#include "schedule.h"

static size_t a_limit(void) {
    return sim_one_in(SIM_WORK, 2) ? 0 : (size_t)sim_log_uniform(SIM_WORK, 16, 23);
}

/* Asked for memory, the program frees some of its blocks there. */
static bool shed(void *context, size_t bytes) {
    slot *it = context;
    int arena = (int)(it - slots);
    size_t freed = 0;
    block *mine;
    while (freed < bytes && (mine = blocks_pick_in(SHARED, arena)) != NULL) {
        freed += mine->bytes;
        block was = blocks_remove(mine);
        fallow_arena_free(it->arena, was.start);
        sim_memory_settle();
    }
    return freed > 0;
}

/* At a soft limit: whoever makes a tick, or has crossed it. Of an arena that somebody has to himself, nothing
 * is freed. */
static bool shed_softly(void *context, size_t bytes) {
    slot *it = context;
    it->soft_asked++;
    if (bytes == 0 || sim.self->background)
        sim_fail("a shedder is asked for %zu bytes above its soft limit, by %s", bytes,
                 sim.self->background ? "the library's own thread" : "a thread of the program");
    if (!arena_enter((int)(it - slots)))
        return false;
    bool freed = shed(context, bytes);
    arena_leave((int)(it - slots));
    return freed;
}

/* In a slot that is free; parent: 0: below none. */
static void create(int which, int parent, size_t limit_bytes, bool one_thread) {
    bool below = parent && parent != which && arena_enter(parent);
    slots[which].exclusive = true; /* nobody else makes one there */
    fallow_arena_options options = {.name = "of the simulation",
                                    .limit_bytes = limit_bytes,
                                    .soft_limit_bytes = a_limit(),
                                    .parent = below ? slots[parent].arena : NULL,
                                    .flags = one_thread ? FALLOW_ARENA_ONE_THREAD : 0,
                                    .idle_max_bytes = sim_one_in(SIM_WORK, 8) ? 65536 : 0,
                                    .give_back = (fallow_give_back_policy)sim_below(SIM_WORK, 3)};
    ops_call("create", which, options.limit_bytes);
    errno = 0;
    fallow_arena *arena = fallow_arena_create_sized(&options, sizeof options);
    ops_return(arena);
    if (!arena)
        ops_refused(which, 0);
    /* Of one for one thread, another might be asked to free, who allocates below it. */
    if (arena && !options.flags && sim_one_in(SIM_WORK, 3))
        fallow_arena_on_limit(arena, shed, &slots[which]);
    bool has_soft_shedder = arena && !options.flags && options.soft_limit_bytes;
    if (has_soft_shedder)
        fallow_arena_on_soft_limit(arena, shed_softly, &slots[which]);
    sim_memory_release(sim.self);
    slots[which] = (slot){.arena = arena,
                          .inside = arena ? fl_arena_find(arena) : NULL,
                          .parent = below ? parent : -1,
                          .one_thread = options.flags & FALLOW_ARENA_ONE_THREAD,
                          .limited = options.limit_bytes != 0,
                          .limit_bytes = options.limit_bytes,
                          .has_soft_shedder = has_soft_shedder};
    if (below)
        arena_leave(parent);
}

static bool is_free(int which) {
    return !slots[which].arena && !slots[which].exclusive;
}

void op_arena_create(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1), parent = (int)sim_below(SIM_WORK, ARENAS_MAX);
    (void)self;
    if (is_free(which))
        create(which, sim_one_in(SIM_WORK, 2) ? parent : 0, a_limit(), sim_one_in(SIM_WORK, 4));
}

#define SMALL_LIMIT_BYTES ((size_t)128 << 10) /* a part of the blocks that the program remembers fills it */

int ops_arena_small(void) {
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena && !slots[i].one_thread && slots[i].limit_bytes &&
            slots[i].limit_bytes <= SMALL_LIMIT_BYTES)
            return i;
    for (int i = 1; i < ARENAS_MAX; i++)
        if (is_free(i)) {
            create(i, 0, SMALL_LIMIT_BYTES >> sim_below(SIM_WORK, 3), false);
            return i;
        }
    return 0;
}

/* What lived there is gone. */
static void forget_blocks(int which) {
    BLOCKS_EACH(it)
    if (it->start && it->arena > 0 && it->arena == which)
        it->start = NULL;
}

static bool has_children(int which) {
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena && slots[i].parent == which)
            return true;
    return false;
}

void op_arena_reset(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    (void)self;
    if (!slots[which].arena || program_has_pools(which) || !arena_enter_alone(which))
        return;
    forget_blocks(which);
    ops_call("reset", which, 0);
    fallow_arena_reset(slots[which].arena, sim_one_in(SIM_WORK, 2) ? 0 : (size_t)1 << 20);
    ops_return(NULL);
    arena_leave_alone(which);
}

/* By who has it, and those below it, alone. */
static void destroy(int which) {
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena && arena_is_below(i, which)) {
            forget_blocks(i);
            slots[i].ends = true;
        }
    ops_call("destroy", which, 0);
    fallow_arena_destroy(slots[which].arena);
    ops_return(NULL);
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].ends && arena_is_below(i, which))
            slots[i].arena = NULL;
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].ends && !slots[i].arena)
            slots[i] = (slot){.parent = -1};
}

void ops_arena_end(int which) {
    if (slots[which].arena && slots[which].parent <= 0 && arena_enter_alone(which))
        destroy(which);
}

void op_arena_destroy(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    (void)self;
    if (slots[which].arena && !slots[which].stays && !has_children(which) && !program_has_pools(which) &&
        arena_enter_alone(which))
        destroy(which);
}

/* Who is in it now may be refused by the limits there are above it, before and after. */
static void note_limits(int which, int above) {
    for (; above > 0; above = slots[above].parent)
        slots[which].limited |= slots[above].limited;
}

static bool is_somebody_in(int which, bool itself) {
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena && arena_is_below(i, which) &&
            (i == which ? itself && slots[i].users > 1 : slots[i].users > 0))
            return true;
    return false;
}

/* One with somebody at work below it, if there is one. */
static int pick_to_move(void) {
    int first = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    for (int i = 1; i < ARENAS_MAX; i++)
        if (slots[i].arena && !slots[i].exclusive && is_somebody_in(i, false))
            return i;
    return first;
}

/* With the three of them entered. */
static void set_parent(int which, int to, int before) {
    bool circle = to > 0 && arena_is_below(to, which);
    note_limits(which, before);
    note_limits(which, to);
    /* A request in there may ask it yet. */
    if (before > 0 && is_somebody_in(which, true))
        slots[before].stays = true;
    the_program.moves++;
    ops_call("set the parent", which, (size_t)to);
    errno = 0;
    bool moved = fallow_arena_set_parent(slots[which].arena, to > 0 ? slots[to].arena : NULL);
    if (moved ? circle : errno != (circle ? EINVAL : ENOMEM))
        sim_fail("to another parent: %d, errno %d", moved, errno);
    if (moved)
        slots[which].parent = to > 0 ? to : -1;
    else if (!circle)
        ops_refused(to, 0);
    the_program.moves--;
    ops_return(NULL);
}

void op_arena_move(worker *self) {
    int which = pick_to_move(), to = (int)sim_below(SIM_WORK, ARENAS_MAX);
    (void)self;
    /* One at a time, so that the program knows what is below what. */
    if (the_program.moves || which == to || !arena_enter(which))
        return;
    int before = slots[which].parent;
    bool with_before = before <= 0 || before == to || arena_enter(before);
    bool with_to = to == 0 || arena_enter(to);
    if (with_before && with_to)
        set_parent(which, to, before);
    if (with_to && to)
        arena_leave(to);
    if (with_before && before > 0 && before != to)
        arena_leave(before);
    arena_leave(which);
}

void op_arena_idle_max(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    (void)self;
    if (!arena_enter(which))
        return;
    ops_call("set the most idle", which, 0);
    fallow_arena_set_idle_max(slots[which].arena, sim_one_in(SIM_WORK, 2) ? 0 : (size_t)1 << 17);
    fallow_arena_figures now;
    if (!fallow_arena_read_sized(slots[which].arena, &now, sizeof now) || now.ready_bytes > (size_t)1 << 40)
        sim_fail("an arena says that it has more than a TiB");
    ops_return(NULL);
    arena_leave(which);
}

void op_arena_limits(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    (void)self;
    if (!arena_enter(which))
        return;
    size_t limit = a_limit();
    ops_call("set limits", which, limit);
    /* What is used already may stay above a limit that comes later. */
    if (limit < slots[which].limit_bytes)
        limit = 0;
    slots[which].limit_bytes = slots[which].limit_bytes ? limit : 0;
    slots[which].limited |= limit != 0;
    fallow_arena_set_limits(slots[which].arena, sim_one_in(SIM_WORK, 2) ? limit / 2 : 0, limit);
    ops_return(NULL);
    arena_leave(which);
}

typedef struct visits {
    int arena;
    bool again; /* the first block that is shown leads to a walk inside this one */
    bool seen[BLOCKS_MAX];
} visits;

static bool pass(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes;
    return true;
}

static bool visit(void *context, void *start, size_t bytes) {
    visits *it = context;
    if (it->again)
        fallow_arena_walk(slots[it->arena].arena, pass, NULL);
    it->again = false;
    BLOCKS_EACH(mine)
    if (mine->start == start && mine->arena == it->arena) {
        size_t index = (size_t)(mine - blocks_first());
        if (it->seen[index] || bytes < mine->bytes)
            sim_fail("a walk shows %p of %zu bytes twice, or as %zu bytes", start, mine->bytes, bytes);
        it->seen[index] = true;
    }
    return true;
}

void op_arena_walk(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    static visits each[SIM_THREADS_MAX];
    visits *seen = &each[self->number];
    if (!slots[which].arena || !arena_enter_alone(which))
        return;
    ops_call("walk", which, 0);
    *seen = (visits){.arena = which, .again = sim_one_in(SIM_WORK, 4)};
    fallow_arena_walk(slots[which].arena, visit, seen);
    ops_return(NULL);
    BLOCKS_EACH(it)
    if (it->start && it->arena == which && !it->pool && !seen->seen[it - blocks_first()])
        sim_fail("a walk does not show %p of %zu bytes, of %p", (void *)it->start, it->bytes,
                 (void *)fallow_arena_of(it->start));
    arena_leave_alone(which);
}
