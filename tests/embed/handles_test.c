/* SPDX-License-Identifier: MIT */
/* Handles of arenas that have ended: each use of one stops the process with a line that says what was asked. */
#include "../lib/reading.h"
#include "../lib/stops.h"
#include "fallow/fallow.h"

static fallow_arena *ended(void) {
    fallow_arena *arena = fallow_arena_create("ended", 0);
    CHECK(arena && fallow_arena_alloc(arena, 100));
    fallow_arena_destroy(arena);
    return arena;
}

/* The same, and others have been made since. */
static fallow_arena *replaced(void) {
    fallow_arena *arena = ended();
    for (int i = 0; i < 20; i++) {
        fallow_arena *other = fallow_arena_create("other", 0);
        CHECK(other && other != arena && fallow_arena_alloc(other, 100));
        if (i % 2)
            fallow_arena_destroy(other);
    }
    return arena;
}

static void destroy(void) {
    fallow_arena_destroy(ended());
}
static void destroy_replaced(void) {
    fallow_arena_destroy(replaced());
}
static void alloc(void) {
    CHECK(fallow_arena_alloc(ended(), 100) == NULL);
}
static void alloc_replaced(void) {
    CHECK(fallow_arena_alloc(replaced(), 100) == NULL);
}
static void alloc_zeroed(void) {
    CHECK(fallow_arena_alloc_zeroed(replaced(), 100000) == NULL);
}
static void reset(void) {
    fallow_arena_reset(replaced(), 0);
}
static void limits(void) {
    fallow_arena_set_limits(replaced(), 0, 1 << 20);
}
static void figures(void) {
    (void)arena_figures(replaced());
}
static void statistics(void) {
    fallow_stats stats;
    fallow_arena_stats(replaced(), &stats, sizeof stats);
}
static void child(void) {
    CHECK(!fallow_arena_create_sized(&(fallow_arena_options){.parent = replaced()},
                                     sizeof(fallow_arena_options)));
}
static void pool(void) {
    CHECK(!fallow_pool_create(replaced()));
}
static bool visit(void *context, void *block, size_t bytes) {
    (void)context, (void)block, (void)bytes;
    return true;
}
static void walk(void) {
    fallow_arena_walk(replaced(), visit, NULL);
}
static void name(void) {
    puts(fallow_arena_name(replaced()));
}
static void shed(void) {
    fallow_arena_on_limit(replaced(), NULL, NULL);
}
static void child_of_an_ended_parent(void) {
    fallow_arena *parent = fallow_arena_create("parent", 0);
    fallow_arena *below =
        fallow_arena_create_sized(&(fallow_arena_options){.parent = parent}, sizeof(fallow_arena_options));
    CHECK(below);
    fallow_arena_destroy(parent);
    CHECK(fallow_arena_alloc(below, 10) == NULL);
}
static void none(void) {
    fallow_arena_reset(NULL, 0);
}

static void handles_of_ended_arenas_stop(void) {
    expect_stop(destroy, "destroy of arena");
    expect_stop(destroy_replaced, "destroy of arena");
    expect_stop(alloc, "allocation in arena");
    expect_stop(alloc_replaced, "allocation in arena");
    expect_stop(alloc_zeroed, "allocation in arena");
    expect_stop(reset, "reset of arena");
    expect_stop(limits, "limits of arena");
    expect_stop(figures, "figures of arena");
    expect_stop(statistics, "statistics of arena");
    expect_stop(child, "arena below arena");
    expect_stop(pool, "pool of arena");
    expect_stop(walk, "walk of arena");
    expect_stop(name, "name of arena");
    expect_stop(shed, "limits of arena");
    expect_stop(child_of_an_ended_parent, "allocation in arena");
    expect_stop(none, "none (NULL)");
}

int main(void) {
    RUN(handles_of_ended_arenas_stop);
    return 0;
}
