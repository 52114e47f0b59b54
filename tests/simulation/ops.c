/* SPDX-License-Identifier: MIT */
/*
 * ops.c: the operations that workers draw: one function and one line of the table for each.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../../src/arena/scavenger.h"
#include "faults.h"
#include "memory.h"
#include "oracle.h"
#include "program.h"
#include "schedule.h"
#include "threads.h"

/* src/malloc/malloc.c, under names that are not the C library's (see Makefile). */
void *front_malloc(size_t bytes);
void front_free(void *block);
void *front_calloc(size_t count, size_t bytes);
void *front_realloc(void *block, size_t bytes);
void *front_aligned_alloc(size_t alignment, size_t bytes);
size_t front_malloc_usable_size(void *block);

static size_t a_size(void) {
    size_t bytes = the_program.size[sim_below(SIM_WORK, the_program.sizes)];
    return sim_one_in(SIM_WORK, 8) ? bytes - bytes / 16 : bytes;
}

/* A refusal has to have a reason. */
static void refused(int arena, size_t bytes) {
    if (errno != ENOMEM)
        sim_fail("refused with errno %d, not ENOMEM", errno);
    for (int at = arena; at > 0; at = slots[at].parent)
        if (slots[at].limited)
            return;
    if (!sim_faults_are_there() && !the_program.limits)
        sim_fail("refused: %zu bytes, where nothing is in the way", bytes);
}

static void begin(const char *name, int arena, size_t bytes) {
    sim_op_begin(name);
    sim_note("%s, arena %d (%p), %zu bytes", name, arena, (void *)slots[arena].arena, bytes);
}

/* The child of a signal handler's fork comes to the end of what was interrupted. More is not asked of it: who was interrupted with
 * a lock cannot wait for those who wait for it, so that what other threads had in hand may be half done there. */
static bool looks_at_itself;

void ops_look_if_child(void) {
    if (sim.is_child && !looks_at_itself)
        _exit(0);
}

static void end(const void *result) {
    sim_memory_settle();
    sim_note("  -> %p", result);
    sim_op_end();
    ops_look_if_child();
    oracle_after_operation();
}

static block *take(worker *self, void *start, size_t bytes, size_t alignment, int arena) {
    end(start);
    if (!start) {
        refused(arena, bytes);
        return NULL;
    }
    block *it = blocks_add(start, bytes, alignment, arena, self->number);
    if (!it) {
        sim_op_begin("free at once");
        arena ? fallow_arena_free(slots[arena].arena, start) : front_free(start);
        end(NULL);
    }
    return it;
}

#define LIVE_BYTES_MAX ((size_t)48 << 20)

static void allocate(worker *self, int arena, size_t bytes) {
    if (blocks_bytes() + bytes > LIVE_BYTES_MAX || !arena_enter(arena))
        return;
    begin("allocate", arena, bytes);
    errno = 0;
    void *start = arena ? fallow_arena_alloc(slots[arena].arena, bytes) : front_malloc(bytes);
    take(self, start, bytes, 16, arena);
    arena_leave(arena);
}

static void do_allocate(worker *self) {
    allocate(self, arena_pick(), a_size());
}

static void do_allocate_many(worker *self) {
    int arena = arena_pick();
    size_t bytes = a_size();
    for (uint64_t i = 2 + sim_below(SIM_WORK, 20); i-- > 0;)
        allocate(self, arena, bytes);
}

static void do_allocate_zeroed(worker *self) {
    int arena = arena_pick();
    size_t bytes = a_size();
    if (bytes > 300000 || blocks_bytes() > LIVE_BYTES_MAX || !arena_enter(arena))
        return;
    begin("allocate zeroed", arena, bytes);
    void *start = arena ? fallow_arena_alloc_zeroed(slots[arena].arena, bytes) : front_calloc(1, bytes);
    sim_memory_settle();
    if (start)
        blocks_verify_zero(start, bytes);
    take(self, start, bytes, 16, arena);
    arena_leave(arena);
}

static void do_allocate_aligned(worker *self) {
    int arena = arena_pick();
    size_t bytes = a_size(), alignment = (size_t)16 << sim_below(SIM_WORK, sim_one_in(SIM_WORK, 4) ? 18 : 10);
    if (blocks_bytes() > LIVE_BYTES_MAX || !arena_enter(arena))
        return;
    begin("allocate aligned", arena, bytes);
    void *start = arena ? fallow_arena_alloc_aligned(slots[arena].arena, alignment, bytes)
                        : front_aligned_alloc(alignment, bytes);
    take(self, start, bytes, alignment, arena);
    arena_leave(arena);
}

void ops_free(worker *self, block *it) {
    (void)self;
    if (!arena_enter(it->arena))
        return;
    block was = blocks_remove(it);
    begin("free", was.arena, was.bytes);
    sim_note("  of %p", (void *)was.start);
    was.arena ? fallow_arena_free(slots[was.arena].arena, was.start) : front_free(was.start);
    end(NULL);
    arena_leave(was.arena);
}

static void do_free(worker *self) {
    block *it = blocks_pick(self->number, SIM_WORK);
    if (it)
        ops_free(self, it);
}

static void do_free_many(worker *self) {
    block *it;
    for (uint64_t i = 2 + sim_below(SIM_WORK, 20);
         i-- > 0 && (it = blocks_pick(self->number, SIM_WORK)) != NULL;)
        ops_free(self, it);
}

static void do_free_shared(worker *self) {
    block *it;
    for (uint64_t i = 1 + sim_below(SIM_WORK, 12); i-- > 0 && (it = blocks_pick(SHARED, SIM_WORK)) != NULL;) {
        it->owner = self->number;
        ops_free(self, it);
    }
}

static void do_share(worker *self) {
    block *it;
    sim_memory_release(sim.self);
    for (uint64_t i = 1 + sim_below(SIM_WORK, 12);
         i-- > 0 && (it = blocks_pick(self->number, SIM_WORK)) != NULL;)
        it->owner = SHARED;
}

static void do_take(worker *self) {
    block *it = blocks_pick(SHARED, SIM_WORK);
    if (it)
        it->owner = self->number;
}

static void do_resize(worker *self) {
    block *it = blocks_pick(self->number, SIM_WORK);
    size_t bytes = sim_one_in(SIM_WORK, 2) || !it ? a_size() : it->bytes + sim_below(SIM_WORK, it->bytes + 1);
    if (!it || bytes > 6000000 || blocks_bytes() > LIVE_BYTES_MAX || !arena_enter(it->arena))
        return;
    block was = blocks_remove(it);
    begin("resize", was.arena, bytes);
    sim_note("  of %p, %zu bytes", (void *)was.start, was.bytes);
    void *start = was.arena ? fallow_arena_realloc(slots[was.arena].arena, was.start, bytes)
                            : front_realloc(was.start, bytes);
    end(start);
    if (!start)
        refused(was.arena, bytes);
    blocks_put_back(&was, start ? start : was.start, start ? bytes : was.bytes);
    arena_leave(was.arena);
}

static void do_usable(worker *self) {
    const block *it = blocks_pick(self->number, SIM_WORK);
    if (!it || !arena_enter(it->arena))
        return;
    block was = *it;
    begin("usable size", was.arena, was.bytes);
    if (front_malloc_usable_size(was.start) < was.bytes)
        sim_fail("usable size of %p is less than the %zu bytes that were asked for", (void *)was.start,
                 was.bytes);
    end(NULL);
    arena_leave(was.arena);
}

/* --- arenas ------------------------------------------------------------------------------------------------------------------------- */

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

static void do_arena_create(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1), parent = (int)sim_below(SIM_WORK, ARENAS_MAX);
    (void)self;
    if (slots[which].arena || slots[which].exclusive)
        return;
    bool below = parent && parent != which && sim_one_in(SIM_WORK, 2) && arena_enter(parent);
    slots[which].exclusive = true; /* nobody else makes one there */
    fallow_arena_options options = {.name = "of the simulation",
                                    .limit_bytes = a_limit(),
                                    .parent = below ? slots[parent].arena : NULL,
                                    .flags = sim_one_in(SIM_WORK, 4) ? FALLOW_ARENA_ONE_THREAD : 0,
                                    .idle_max_bytes = sim_one_in(SIM_WORK, 8) ? 65536 : 0,
                                    .give_back = (fallow_give_back_policy)sim_below(SIM_WORK, 3)};
    begin("create", which, options.limit_bytes);
    errno = 0;
    fallow_arena *arena = fallow_arena_create_with(&options);
    end(arena);
    if (!arena)
        refused(which, 0);
    if (arena && sim_one_in(SIM_WORK, 3))
        fallow_arena_on_limit(arena, shed, &slots[which]);
    sim_memory_release(sim.self);
    slots[which] = (slot){.arena = arena,
                          .parent = below ? parent : -1,
                          .one_thread = options.flags & FALLOW_ARENA_ONE_THREAD,
                          .limited = options.limit_bytes != 0,
                          .limit_bytes = options.limit_bytes};
    if (below)
        arena_leave(parent);
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

static void do_arena_reset(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    (void)self;
    if (!slots[which].arena || program_has_pools(which) || !arena_enter_alone(which))
        return;
    forget_blocks(which);
    begin("reset", which, 0);
    fallow_arena_reset(slots[which].arena, sim_one_in(SIM_WORK, 2) ? 0 : (size_t)1 << 20);
    end(NULL);
    arena_leave_alone(which);
}

static void do_arena_destroy(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    (void)self;
    if (!slots[which].arena || has_children(which) || program_has_pools(which) || !arena_enter_alone(which))
        return;
    forget_blocks(which);
    begin("destroy", which, 0);
    fallow_arena_destroy(slots[which].arena);
    end(NULL);
    slots[which] = (slot){.parent = -1};
}

static void do_arena_limits(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    (void)self;
    if (!arena_enter(which))
        return;
    size_t limit = a_limit();
    begin("set limits", which, limit);
    /* What is used already may stay above a limit that comes later. */
    if (limit < slots[which].limit_bytes)
        limit = 0;
    slots[which].limit_bytes = slots[which].limit_bytes ? limit : 0;
    slots[which].limited |= limit != 0;
    fallow_arena_set_limits(slots[which].arena, sim_one_in(SIM_WORK, 2) ? limit / 2 : 0, limit);
    end(NULL);
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

static void do_arena_walk(worker *self) {
    int which = 1 + (int)sim_below(SIM_WORK, ARENAS_MAX - 1);
    static visits each[SIM_THREADS_MAX];
    visits *seen = &each[self->number];
    if (!slots[which].arena || !arena_enter_alone(which))
        return;
    begin("walk", which, 0);
    *seen = (visits){.arena = which, .again = sim_one_in(SIM_WORK, 4)};
    fallow_arena_walk(slots[which].arena, visit, seen);
    end(NULL);
    BLOCKS_EACH(it)
    if (it->start && it->arena == which && !it->pool && !seen->seen[it - blocks_first()])
        sim_fail("a walk does not show %p of %zu bytes, of %p", (void *)it->start, it->bytes,
                 (void *)fallow_arena_of(it->start));
    arena_leave_alone(which);
}

/* --- pools -------------------------------------------------------------------------------------------------------------------------- */

static void forget_objects(const void *pool) {
    BLOCKS_EACH(it)
    if (it->start && it->pool == pool) {
        blocks_verify(it, "before its pool is emptied");
        it->start = NULL;
    }
}

static void do_pool_create(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    int arena = arena_pick();
    if (self->pool[which] || !arena_enter(arena))
        return;
    begin("create a pool", arena, 0);
    errno = 0;
    self->pool[which] = fallow_pool_create(slots[arena].arena);
    self->pool_arena[which] = arena;
    self->pool_limit[which] = sim_one_in(SIM_WORK, 3) ? (size_t)sim_log_uniform(SIM_WORK, 16, 19) : 0;
    self->child[which] = NULL;
    if (self->pool[which] && self->pool_limit[which])
        fallow_pool_set_limit(self->pool[which], self->pool_limit[which]);
    if (self->pool[which] && sim_one_in(SIM_WORK, 3))
        self->child[which] = fallow_pool_create_child(self->pool[which]);
    end(self->pool[which]);
    if (!self->pool[which])
        refused(arena, 0);
    arena_leave(arena);
}

/* A pool with its child holds no more than its limit; its first chunk it has whatever that is. */
static void check_pool(const worker *self, unsigned which) {
    size_t held = fallow_pool_held_bytes(self->pool[which]);
    size_t limit = self->pool_limit[which] < 32768 ? 32768 : self->pool_limit[which];
    if (self->pool_limit[which] && held > limit)
        sim_fail("a pool holds %zu bytes, and its limit is %zu", held, self->pool_limit[which]);
}

static void do_pool_alloc(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    int arena = self->pool_arena[which];
    if (!self->pool[which] || !arena_enter(arena))
        return;
    for (uint64_t i = 1 + sim_below(SIM_WORK, 8); i-- > 0;) {
        size_t bytes = a_size() % 100000 + 1;
        begin("allocate in a pool", arena, bytes);
        errno = 0;
        fallow_pool *from =
            self->child[which] && sim_one_in(SIM_WORK, 2) ? self->child[which] : self->pool[which];
        void *object = fallow_pool_alloc(from, bytes);
        check_pool(self, which);
        end(object);
        if (!object && !self->pool_limit[which])
            refused(arena, bytes);
        block *it = object ? blocks_add(object, bytes, 16, arena, self->number) : NULL;
        if (it)
            it->pool = self->pool[which];
    }
    arena_leave(arena);
}

static void do_pool_reset(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    int arena = self->pool_arena[which];
    if (!self->pool[which] || !arena_enter(arena))
        return;
    forget_objects(self->pool[which]);
    begin("reset a pool", arena, 0);
    fallow_pool_reset(self->pool[which]);
    self->child[which] = NULL;
    end(NULL);
    arena_leave(arena);
}

void ops_pool_end(worker *self, unsigned which) {
    int arena = self->pool_arena[which];
    while (!arena_enter(arena))
        sim_yield();
    forget_objects(self->pool[which]);
    begin("destroy a pool", arena, 0);
    fallow_pool_destroy(self->pool[which]);
    end(NULL);
    self->pool[which] = NULL;
    arena_leave(arena);
}

static void do_pool_destroy(worker *self) {
    unsigned which = (unsigned)sim_below(SIM_WORK, POOLS_MAX);
    if (self->pool[which] && arena_enter(self->pool_arena[which])) {
        arena_leave(self->pool_arena[which]);
        ops_pool_end(self, which);
    }
}

/* --- the process ------------------------------------------------------------------------------------------------------------------- */

static void do_give_back(worker *self) {
    (void)self;
    begin("give back", 0, 0);
    fallow_give_back();
    end(NULL);
}

static void do_tick(worker *self) {
    (void)self;
    begin("tick", 0, 0);
    fallow_tick();
    end(NULL);
}

static void do_time(worker *self) {
    (void)self;
    sim_jump_ns(sim_log_uniform(SIM_WORK, 17, 34));
    sim_yield();
}

static void do_background(worker *self) {
    (void)self;
    begin("allow a thread", 0, 0);
    fl_scavenger_allow_thread(sim_one_in(SIM_WORK, 2));
    end(NULL);
}

static void do_more_threads(worker *self) {
    (void)self;
    if (sim.threads >= SIM_THREADS_MAX - 12)
        return;
    worker *other = program_new_worker(1 + (unsigned)sim_below(SIM_WORK, 60));
    sim_memory_release(sim.self);
    if (other)
        sim_thread_new(program_worker, other, false);
}

/* In the child of a fork, alone: everything is still there, and the heap can be used to the end. */
_Noreturn void ops_child(worker *self) {
    looks_at_itself = true;
    sim_faults_end();
    oracle_full();
    BLOCKS_EACH(it)
    if (it->start)
        blocks_verify(it, "in the child of a fork");
    for (unsigned i = 0; i < 4; i++)
        allocate(self, 0, a_size());
    BLOCKS_EACH(it)
    if (it->start && !it->pool && it->arena == 0)
        ops_free(self, it);
    do_give_back(self);
    do_tick(self);
    oracle_full();
    _exit(0);
}

/* A handler that forks, and returns in the child too. */
void ops_signal(void) {
    sim_note("a signal");
    (void)sim_fork();
}

static void do_fork(worker *self) {
    begin("fork", 0, 0);
    if (sim_fork()) {
        sim_op_end();
        ops_child(self);
    }
    end(NULL);
}

/* --- the table ---------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*body)(worker *self);
    unsigned weight;
} table[] = {
    {"allocate", do_allocate, 30},
    {"allocate many", do_allocate_many, 12},
    {"allocate zeroed", do_allocate_zeroed, 4},
    {"allocate aligned", do_allocate_aligned, 4},
    {"free", do_free, 30},
    {"free many", do_free_many, 10},
    {"free shared", do_free_shared, 20},
    {"share", do_share, 20},
    {"take", do_take, 8},
    {"resize", do_resize, 10},
    {"usable", do_usable, 1},
    {"arena create", do_arena_create, 8},
    {"arena reset", do_arena_reset, 3},
    {"arena destroy", do_arena_destroy, 4},
    {"arena limits", do_arena_limits, 2},
    {"arena walk", do_arena_walk, 1},
    {"pool create", do_pool_create, 3},
    {"pool allocate", do_pool_alloc, 8},
    {"pool reset", do_pool_reset, 2},
    {"pool destroy", do_pool_destroy, 2},
    {"give back", do_give_back, 4},
    {"tick", do_tick, 6},
    {"time", do_time, 4},
    {"background", do_background, 1},
    {"threads", do_more_threads, 3},
    {"fork", do_fork, 1},
};
#define OPS (sizeof table / sizeof table[0])

static unsigned weights[OPS], all_weights;

/* Each life does some things often, others never: what is rare in the mean is common in some. */
void ops_begin(const char *only) {
    static const unsigned factor[] = {0, 1, 1, 1, 4, 16};
    for (size_t i = 0; i < OPS; i++) {
        weights[i] = table[i].weight * factor[sim_below(SIM_WORK, 6)];
        if (table[i].body == do_fork && !sim_one_in(SIM_WORK, 4))
            weights[i] = 0;
        if (only && strncmp(table[i].name, only, strlen(only)) != 0 && i > 0)
            weights[i] = 0;
    }
    weights[0] += 4; /* something happens */
    for (size_t i = 0; i < OPS; i++)
        all_weights += weights[i];
}

void ops_one(worker *self) {
    uint64_t drawn = sim_below(SIM_WORK, all_weights);
    size_t i = 0;
    for (; drawn >= weights[i]; i++)
        drawn -= weights[i];
    the_program.operations++;
    table[i].body(self);
}
