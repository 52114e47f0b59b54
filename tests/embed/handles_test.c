/* SPDX-License-Identifier: MIT */
/*
 * Handles that are used when they are none: each call with NULL, with what never was a handle, after its
 * arena's end, after others have come in its place, after its parent's end; each wrong order of calls. Each
 * stops the process with a line that says what was asked, or does what its header says. In every build.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "../lib/reading.h"
#include "../lib/stops.h"
#include "fallow/fallow.h"

static fallow_arena *arena; /* the one that is misused */
static fallow_pool *pool;

static bool see(void *context, void *block, size_t bytes) {
    (void)context, (void)block, (void)bytes;
    return true;
}
static bool see_arena(void *context, fallow_arena *it) {
    (void)context, (void)it;
    return true;
}
static void nothing(void *context) {
    (void)context;
}
static fallow_arena *below(fallow_arena *parent) {
    return fallow_arena_create_with(&(fallow_arena_options){.name = "below", .parent = parent});
}

/* --- every call that takes an arena --------------------------------------------------------------------- */

static void call_alloc(void) {
    CHECK(!fallow_arena_alloc(arena, 100));
}
static void call_alloc_large(void) {
    CHECK(!fallow_arena_alloc(arena, 1 << 20));
}
static void call_alloc_zeroed(void) {
    CHECK(!fallow_arena_alloc_zeroed(arena, 100));
}
static void call_alloc_aligned(void) {
    CHECK(!fallow_arena_alloc_aligned(arena, 64, 100));
}
static void call_alloc_at_least(void) {
    size_t got;
    CHECK(!fallow_arena_alloc_at_least(arena, 100, &got));
}
static void call_alloc_array(void) {
    CHECK(!fallow_arena_alloc_array(arena, 10, 10));
}
static void call_alloc_zeroed_array(void) {
    CHECK(!fallow_arena_alloc_zeroed_array(arena, 10, 10));
}
static void call_realloc_none(void) {
    CHECK(!fallow_arena_realloc(arena, NULL, 100));
}
static void call_free_none(void) {
    fallow_arena_free(arena, NULL);
}
static void call_give_back(void) {
    fallow_arena_give_back(arena);
}
static void call_name(void) {
    puts(fallow_arena_name(arena));
}
static void call_parent(void) {
    CHECK(!fallow_arena_parent(arena));
}
static void call_set_limits(void) {
    fallow_arena_set_limits(arena, 0, 1 << 20);
}
static void call_set_idle_max(void) {
    fallow_arena_set_idle_max(arena, 1 << 20);
}
static void call_on_limit(void) {
    fallow_arena_on_limit(arena, NULL, NULL);
}
static void call_on_soft_limit(void) {
    fallow_arena_on_soft_limit(arena, NULL, NULL);
}
static void call_last_refusal(void) {
    fallow_arena_last_refusal(arena, NULL);
}
static void call_reset(void) {
    fallow_arena_reset(arena, 0);
}
static void call_walk(void) {
    fallow_arena_walk(arena, see, NULL);
}
static void call_read(void) {
    (void)arena_figures(arena);
}
static void call_ready_bytes(void) {
    (void)fallow_arena_ready_bytes(arena);
}
static void call_used_bytes(void) {
    (void)fallow_arena_used_bytes(arena);
}
static void call_detach(void) {
    fallow_arena_detach(arena);
}
static void call_destroy(void) {
    fallow_arena_destroy(arena);
}
static void call_stats(void) {
    fallow_stats stats;
    fallow_arena_stats(arena, &stats, sizeof stats);
}
static void call_below(void) {
    CHECK(!below(arena));
}
static void call_set_parent(void) {
    CHECK(!fallow_arena_set_parent(arena, NULL));
}
static void call_set_parent_to(void) {
    fallow_arena *other = fallow_arena_create("other", 0);
    CHECK(!fallow_arena_set_parent(other, arena));
}
static bool see_pool(void *context, fallow_pool *it, const fallow_pool_figures *figures) {
    (void)context, (void)it, (void)figures;
    return true;
}
static void call_pools(void) {
    fallow_pool_each(arena, see_pool, NULL);
}
static void call_each(void) {
    fallow_arena_each(arena, see_arena, NULL);
}
static void call_pool(void) {
    CHECK(!fallow_pool_create(arena));
}

static const struct {
    void (*call)(void);
    const char *says;
    bool null_is_right; /* NULL is something there, or nothing to do */
} calls[] = {
    {call_alloc, "allocation in arena", false},
    {call_alloc_large, "allocation in arena", false},
    {call_alloc_zeroed, "allocation in arena", false},
    {call_alloc_aligned, "allocation in arena", false},
    {call_alloc_at_least, "allocation in arena", false},
    {call_alloc_array, "allocation in arena", false},
    {call_alloc_zeroed_array, "allocation in arena", false},
    {call_realloc_none, "allocation in arena", false},
    {call_free_none, "free in arena", false},
    {call_give_back, "give-back of arena", false},
    {call_name, "name of arena", false},
    {call_parent, "parent of arena", false},
    {call_set_limits, "limits of arena", false},
    {call_set_idle_max, "limits of arena", false},
    {call_on_limit, "limits of arena", false},
    {call_on_soft_limit, "limits of arena", false},
    {call_last_refusal, "figures of arena", false},
    {call_reset, "reset of arena", false},
    {call_walk, "walk of arena", false},
    {call_read, "figures of arena", false},
    {call_ready_bytes, "figures of arena", false},
    {call_used_bytes, "figures of arena", false},
    {call_detach, "detaching from arena", false},
    {call_destroy, "destroy of arena", true},
    {call_stats, "statistics of arena", true},
    {call_below, "arena below arena", true},
    {call_each, "children of arena", true},
    {call_pool, "pool of arena", true},
    {call_pools, "pools of arena", true},
    {call_set_parent, "another parent for arena", false},
    {call_set_parent_to, "arena below arena", true},
};
#define CALLS (sizeof calls / sizeof calls[0])

static unsigned cases;

static void stops(void (*call)(void), const char *says) {
    expect_stop(call, says);
    cases++;
}

static void each_call_stops(const char *found) {
    for (size_t i = 0; i < CALLS; i++) {
        char line[100];
        int signal_number;
        snprintf(line, sizeof line, "fallow: %s", calls[i].says);
        const char *text = last_words(calls[i].call, &signal_number);
        if (signal_number != SIGABRT || strncmp(text, line, strlen(line)) != 0 || !strstr(text, found) ||
            strchr(text, '\n') != text + strlen(text) - 1) {
            fprintf(stderr, "wanted '%s … %s', got '%s'\n", line, found, text);
            CHECK(false);
        }
        cases++;
    }
}

static void ended_handles_stop(void) {
    arena = fallow_arena_create("ended", 0);
    CHECK(arena && fallow_arena_alloc(arena, 100)); /* this thread's last one, too */
    fallow_arena_destroy(arena);
    each_call_stops("does not live");
}

/* Thousands have been made and ended since, in its very place; the last one lives, and is this thread's last
 * one. */
static void replaced_handles_stop(void) {
    for (unsigned flags = 0; flags <= FALLOW_ARENA_ONE_THREAD; flags++) {
        fallow_arena *other;
        arena = fallow_arena_create_with(&(fallow_arena_options){.flags = flags});
        CHECK(arena);
        fallow_arena_destroy(arena);
        for (int i = 0; i < 5000; i++) {
            other = fallow_arena_create_with(&(fallow_arena_options){.flags = flags});
            CHECK(other && other != arena && fallow_arena_alloc(other, 100));
            if (i < 4999)
                fallow_arena_destroy(other);
        }
        each_call_stops("does not live");
        fallow_arena_destroy(other);
    }
}

static void handles_below_an_ended_parent_stop(void) {
    fallow_arena *top = fallow_arena_create("top", 0), *middle = below(top);
    arena = below(middle);
    CHECK(middle && arena && fallow_arena_alloc(arena, 100));
    fallow_arena_destroy(top);
    each_call_stops("does not live");
}

/* A block, a pool, a variable, an odd number. */
static void what_is_no_handle_stops(void) {
    int here;
    fallow_arena *other = fallow_arena_create("other", 0);
    void *wrong[] = {fallow_arena_alloc(other, 100), fallow_pool_create(other), &here, (void *)-1L};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        arena = wrong[i];
        each_call_stops("never was an arena");
    }
    fallow_arena_destroy(other);
}

static void null_stops_or_is_something(void) {
    arena = NULL;
    for (size_t i = 0; i < CALLS; i++) {
        int signal_number;
        if (!calls[i].null_is_right) {
            stops(calls[i].call, "NULL");
            continue;
        }
        last_words(calls[i].call, &signal_number);
        CHECK(signal_number == 0 || calls[i].call == call_below || calls[i].call == call_pool ||
              calls[i].call == call_set_parent_to);
        cases++;
    }
}

/* --- in the middle of something ------------------------------------------------------------------------- */

static fallow_arena *child;

static bool destroys(void *of, size_t bytes) {
    (void)bytes;
    fallow_arena_destroy(*(fallow_arena **)of);
    return true;
}
static bool resets(void *of, size_t bytes) {
    (void)bytes;
    fallow_arena_reset(*(fallow_arena **)of, 0);
    return true;
}
static bool detaches(void *of, size_t bytes) {
    (void)bytes;
    CHECK(!fallow_arena_detach(*(fallow_arena **)of)); /* the request goes on with its heap */
    return false;
}

static void want(fallow_arena *in, fallow_shed *shed, fallow_arena **of) {
    fallow_arena_set_limits(arena, 0, 1 << 20);
    fallow_arena_on_limit(arena, shed, of);
    while (fallow_arena_alloc(in, 10000))
        ;
}
static void shed_destroys(void) {
    want(arena, destroys, &arena);
}
static void shed_resets(void) {
    want(arena, resets, &arena);
}
static void shed_of_parent_destroys_child(void) {
    want(child, destroys, &child);
}
static void shed_of_parent_destroys_parent(void) {
    want(child, destroys, &arena);
}
static void shed_of_parent_resets_child(void) {
    want(child, resets, &child);
}
static void soft_shed_destroys(void) {
    fallow_arena_set_limits(arena, 1 << 20, 0);
    fallow_arena_on_soft_limit(arena, destroys, &arena);
    CHECK(fallow_arena_alloc(arena, 2 << 20));
    fallow_tick();
}
static bool visitor_allocates(void *unused, void *block, size_t bytes) {
    (void)unused, (void)block;
    return fallow_arena_alloc(arena, bytes) != NULL;
}
static bool visitor_frees(void *unused, void *block, size_t bytes) {
    (void)unused, (void)bytes;
    fallow_arena_free(arena, block);
    return true;
}
static bool visitor_resets(void *unused, void *block, size_t bytes) {
    (void)block, (void)unused, (void)bytes;
    fallow_arena_reset(arena, 0);
    return true;
}
static bool visitor_destroys(void *unused, void *block, size_t bytes) {
    (void)block, (void)unused, (void)bytes;
    fallow_arena_destroy(arena);
    return true;
}
static void walk_allocates(void) {
    fallow_arena_walk(arena, visitor_allocates, NULL);
}
static void walk_frees(void) {
    fallow_arena_walk(arena, visitor_frees, NULL);
}
static void walk_resets(void) {
    fallow_arena_walk(arena, visitor_resets, NULL);
}
static void walk_destroys(void) {
    fallow_arena_walk(arena, visitor_destroys, NULL);
}
static bool destroys_shown(void *unused, fallow_arena *it) {
    (void)unused;
    fallow_arena_destroy(it);
    return true;
}
static bool destroys_above(void *unused, fallow_arena *it) {
    (void)unused, (void)it;
    fallow_arena_destroy(arena);
    return true;
}
static void each_destroys(void) {
    fallow_arena_each(arena, destroys_shown, NULL);
}
static void each_destroys_parent(void) {
    fallow_arena_each(arena, destroys_above, NULL);
}

static void move_with(fallow_shed *shed, fallow_arena **of) {
    fallow_arena *parent = fallow_arena_create("parent", 1 << 16);
    CHECK(fallow_arena_alloc(arena, 3 << 17)); /* more than there, whatever the OS page is */
    fallow_arena_on_limit(parent, shed, of ? of : &parent);
    CHECK(!fallow_arena_set_parent(arena, parent));
}
static void move_destroys(void) {
    move_with(destroys, &arena);
}
static void move_resets(void) {
    move_with(resets, &arena);
}
static void move_destroys_parent(void) {
    move_with(destroys, NULL);
}
static bool pool_visitor_destroys(void *unused, fallow_pool *it, const fallow_pool_figures *figures) {
    (void)unused, (void)it, (void)figures;
    fallow_arena_destroy(arena);
    return true;
}
static bool pool_visitor_resets(void *unused, fallow_pool *it, const fallow_pool_figures *figures) {
    (void)unused, (void)it, (void)figures;
    fallow_arena_reset(arena, 0);
    return true;
}
static void pools_destroy(void) {
    CHECK(fallow_pool_create(arena));
    fallow_pool_each(arena, pool_visitor_destroys, NULL);
}
static void pools_reset(void) {
    CHECK(fallow_pool_create(arena));
    fallow_pool_each(arena, pool_visitor_resets, NULL);
}

static void arenas_in_use_stop(void) {
    arena = fallow_arena_create("in use", 0);
    child = below(arena);
    for (int i = 0; i < 100; i++)
        CHECK(fallow_arena_alloc(arena, 1000));
    stops(shed_destroys, "destroy of arena");
    stops(shed_resets, "reset of arena");
    stops(shed_of_parent_destroys_child, "destroy of arena");
    stops(shed_of_parent_destroys_parent, "destroy of arena");
    stops(shed_of_parent_resets_child, "reset of arena");
    stops(soft_shed_destroys, "destroy of arena");
    stops(walk_allocates, "walk of arena");
    stops(walk_frees, "walk of arena");
    stops(walk_resets, "reset of arena");
    stops(walk_destroys, "destroy of arena");
    stops(each_destroys, "destroy of arena");
    stops(each_destroys_parent, "destroy of arena");
    stops(move_destroys, "destroy of arena");
    stops(move_resets, "reset of arena");
    stops(move_destroys_parent, "destroy of arena");
    stops(pools_destroy, "destroy of arena");
    stops(pools_reset, "reset of arena");
    want(arena, detaches, &arena);
    CHECK(fallow_arena_detach(arena));
    fallow_arena_destroy(arena);
}

/* --- pools ---------------------------------------------------------------------------------------------- */

static void pool_child(void) {
    CHECK(!fallow_pool_create_child(pool));
}
static void pool_limit(void) {
    fallow_pool_set_limit(pool, 1 << 20);
}
static void pool_alloc(void) {
    CHECK(!fallow_pool_alloc(pool, 1 << 20));
}
static void pool_mark(void) {
    (void)fallow_pool_mark_here(pool);
}
static void pool_reset(void) {
    fallow_pool_reset(pool);
}
static void pool_rewind(void) {
    fallow_pool_rewind(pool, (fallow_pool_mark){0});
}
static void pool_destroy(void) {
    fallow_pool_destroy(pool);
}
static void pool_take_over(void) {
    fallow_pool_take_over(pool);
}
static void pool_used(void) {
    (void)fallow_pool_used_bytes(pool);
}
static void pool_held(void) {
    (void)fallow_pool_held_bytes(pool);
}
static void pool_cancel(void) {
    fallow_pool_cancel_clean_up(pool, nothing, NULL);
}
static void pool_move(void) {
    fallow_pool_move_clean_up(pool, pool, nothing, NULL);
}
static void (*const pool_calls[])(void) = {pool_child,  pool_limit,   pool_mark,      pool_reset,
                                           pool_rewind, pool_destroy, pool_take_over, pool_used,
                                           pool_held,   pool_cancel,  pool_move,      pool_alloc};
#define POOL_CALLS (sizeof pool_calls / sizeof pool_calls[0])

static void each_pool_call_stops(void) {
    for (size_t i = 0; i < POOL_CALLS; i++)
        if (pool_calls[i] != pool_alloc)
            stops(pool_calls[i], "of pool 0x");
}

static void ended_pools_stop(void) {
    fallow_arena *of = fallow_arena_create("of pools", 0);
    pool = fallow_pool_create(of);
    fallow_pool_destroy(pool);
    each_pool_call_stops();
    stops(pool_alloc, "in pool 0x");
    /* Another one is in its memory, or objects are. */
    pool = fallow_pool_create(of);
    fallow_pool_destroy(pool);
    fallow_pool *other = fallow_pool_create(of);
    memset(fallow_pool_alloc(other, 8000), 0, 8000);
    each_pool_call_stops();
    stops(pool_alloc, "in pool 0x");
    /* Below one that has ended. */
    fallow_pool *parent = fallow_pool_create(of);
    pool = fallow_pool_create_child(parent);
    fallow_pool_reset(parent);
    each_pool_call_stops();
    /* Of an arena that was reset, with its memory still there: nobody has ended the pool itself. */
    pool = fallow_pool_create(of);
    fallow_arena_reset(of, 64 << 20);
    each_pool_call_stops();
    stops(pool_alloc, "in pool 0x");
    pool = fallow_pool_create(of);
    fallow_arena_destroy(of);
    each_pool_call_stops(); /* an allocation reads the pool first: there is no memory there */
    int signal_number;
    last_words(pool_alloc, &signal_number);
    CHECK(signal_number == SIGSEGV || signal_number == SIGABRT);
    cases++;
}

static fallow_pool *another;
static fallow_pool_mark mark;

static void rewind_to_mark(void) {
    fallow_pool_rewind(pool, mark);
}
static void resets_pool(void *of) {
    fallow_pool_reset(of);
}
static void destroys_pool(void *of) {
    fallow_pool_destroy(of);
}
static void rewinds_pool(void *of) {
    fallow_pool_rewind(of, mark);
}
static void clean_up_resets(void) {
    CHECK(fallow_pool_on_clean_up(pool, resets_pool, pool));
    fallow_pool_reset(pool);
}
static void clean_up_destroys(void) {
    CHECK(fallow_pool_on_clean_up(pool, destroys_pool, pool));
    fallow_pool_destroy(pool);
}
static void clean_up_rewinds(void) {
    mark = fallow_pool_mark_here(pool);
    CHECK(fallow_pool_on_clean_up(pool, rewinds_pool, pool));
    fallow_pool_reset(pool);
}

static void marks_and_clean_ups_stop(void) {
    pool = fallow_pool_create(NULL);
    another = fallow_pool_create(NULL);
    mark = fallow_pool_mark_here(another);
    stops(rewind_to_mark, "to a mark of another pool");
    mark = fallow_pool_mark_here(pool);
    fallow_pool_reset(pool);
    stops(rewind_to_mark, "from before its reset");
    fallow_pool_mark first = fallow_pool_mark_here(pool);
    CHECK(fallow_pool_alloc(pool, 100));
    mark = fallow_pool_mark_here(pool);
    fallow_pool_rewind(pool, first);
    stops(rewind_to_mark, "has invalidated");
    stops(clean_up_resets, "by one of its own clean-ups");
    stops(clean_up_destroys, "by one of its own clean-ups");
    stops(clean_up_rewinds, "by one of its own clean-ups");
    fallow_pool_destroy(pool);
    fallow_pool_destroy(another);
    pool = NULL;
    for (size_t i = 0; i < POOL_CALLS - 1; i++)
        if (pool_calls[i] != pool_destroy)
            stops(pool_calls[i], "NULL");
    fallow_pool_destroy(NULL);
}

int main(void) {
    RUN(ended_handles_stop);
    RUN(replaced_handles_stop);
    RUN(handles_below_an_ended_parent_stop);
    RUN(what_is_no_handle_stops);
    RUN(null_stops_or_is_something);
    RUN(arenas_in_use_stop);
    RUN(ended_pools_stop);
    RUN(marks_and_clean_ups_stop);
    printf("    # %u cases\n", cases);
    CHECK(cases >= 77);
    return 0;
}
