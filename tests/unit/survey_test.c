/* SPDX-License-Identifier: MIT */
/* The walk over tables that somebody has written over: what it shows stays within the bounds of the
 * survey. */
#include "../../src/cli/survey.h"

#include <unistd.h>

#include "../lib/check.h"

#define BASE (UINT64_C(1) << 40)
#define START (BASE - (1 << 20))

/* Of this process itself: one reservation of bookkeeping, below a window without regions. */
static struct reservation { uint64_t start, bytes, ready, prepared, reserved; } reservation;
static const void *parts[] = {&reservation};

static fl_target target;
static uint64_t shown_bytes;

static void count(void *unused, const fl_run *run) {
    (void)unused;
    CHECK(run->start >= START && run->start <= BASE && run->bytes <= BASE - run->start);
    shown_bytes += run->bytes;
}

static bool walk(struct reservation as) {
    fl_survey survey = {.target = &target,
                        .base = BASE,
                        .page_bytes = 16384,
                        .region_bytes = 4 << 20,
                        .start = START,
                        .end = BASE + (4 << 20)};
    reservation = as;
    shown_bytes = 0;
    return fl_survey_walk(&survey, count, NULL);
}

static void walk_shows_bookkeeping(void) {
    CHECK(walk((struct reservation){START, 1 << 20, 1 << 16, 1 << 18, 1}));
    CHECK_EQUAL(shown_bytes, 1 << 18);
    CHECK(walk((struct reservation){START, 1 << 20, 1 << 20, 1 << 20, 1}));
    CHECK_EQUAL(shown_bytes, 1 << 20);
}

static void walk_stops_at_bookkeeping_that_makes_no_sense(void) {
    static const struct reservation wrong[] = {
        {START, (1 << 20) + 1, 0, 0, 1},                                     /* beyond the window's start */
        {BASE + 4096, 0, 0, 0, 1},                                           /* all of it is */
        {START - 1, 4096, 0, 0, 1},                                          /* below what is fallow's */
        {START, 4096, 8192, 8192, 1},                                        /* more is Ready than there is */
        {START, 8192, 8192, 4096, 1},                                        /* than is mapped */
        {START, UINT64_MAX - START + 1, 1 << 20, 1 << 20, 1},                /* ends at address zero */
        {START, UINT64_MAX - 4095, UINT64_MAX - 8191, UINT64_MAX - 4095, 1}, /* goes round */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(!walk(wrong[i]));
        CHECK_EQUAL(shown_bytes, 0);
    }
}

static void attach_to_itself(void) {
    char number[16];
    snprintf(number, sizeof number, "%d", (int)getpid());
    CHECK(fl_target_attach(&target, number));
    target.root = (fl_root){.self = &target.root, .parts = parts, .parts_count = 1};
    for (size_t i = 0; i < FL_OF_COUNT; i++)
        target.root.sizes[i] = sizeof reservation;
#define PLACE(name, member)                        \
    target.root.places[FL_AT_reservation_##name] = \
        (fl_root_place){offsetof(struct reservation, member), sizeof(uint64_t)}
    PLACE(start, start);
    PLACE(bytes, bytes);
    PLACE(ready_bytes, ready);
    PLACE(prepared_bytes, prepared);
    PLACE(reserved, reserved);
}

int main(void) {
    attach_to_itself();
    RUN(walk_shows_bookkeeping);
    RUN(walk_stops_at_bookkeeping_that_makes_no_sense);
    fl_target_close(&target);
    return 0;
}
