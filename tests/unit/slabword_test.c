/* SPDX-License-Identifier: MIT */
/* The word of a slab: its fields, which pushes change its state, and what is live after any number of
 * them. */
#include "../../src/slab/slabword.h"

#include "../lib/check.h"

#define OWNER_MAX ((1u << 24) - 1)
#define COUNT_MAX ((1u << 20) - 1)
#define HEAD_MAX ((1u << 17) - 1)

static void expect(fl_word word, fl_slab_state state, uint32_t owner, uint32_t count, uint32_t head) {
    CHECK_EQUAL(fl_word_state(word), state);
    CHECK_EQUAL(fl_word_owner(word), owner);
    CHECK_EQUAL(fl_word_live(word), count);
    CHECK_EQUAL(fl_word_head(word), head);
}

/* Each field at its ends, with all others at theirs. */
static void slabword_fields_do_not_touch(void) {
    static const uint32_t owners[] = {0, 1, OWNER_MAX}, counts[] = {0, 1, COUNT_MAX},
                          heads[] = {0, 1, HEAD_MAX};
    for (int i = 0; i < 27; i++)
        for (int state = FL_DEAD; state <= FL_CLAIMED; state++) {
            uint32_t owner = owners[i % 3], count = counts[i / 3 % 3], head = heads[i / 9];
            fl_word word = fl_word_make((fl_slab_state)state, owner, count, head);
            expect(word, (fl_slab_state)state, owner, count, head);
            for (int other = FL_DEAD; other <= FL_CLAIMED; other++)
                expect(fl_word_with_state(word, (fl_slab_state)other), (fl_slab_state)other, owner, count,
                       head);
        }
}

/* Of an owned slab the count is minus the pushes; of one that nobody owns it is the live blocks. */
static const struct push_case {
    const char *name;
    fl_slab_state state;
    uint32_t count; /* before the push */
    fl_slab_state wanted;
} push_cases[] = {
    /* A slab of 100 blocks; told with 6 free, listed with 12 free. */
    {"dead stays", FL_DEAD, 50, FL_DEAD},
    {"current stays with the first", FL_CURRENT, 0, FL_CURRENT},
    {"current stays with the reuse minimum", FL_CURRENT, -5 & COUNT_MAX, FL_CURRENT},
    {"parked, the first", FL_PARKED, 0, FL_PARKED},
    {"parked, one below the reuse minimum", FL_PARKED, -4 & COUNT_MAX, FL_PARKED},
    {"parked, the reuse minimum", FL_PARKED, -5 & COUNT_MAX, FL_NOTIFIED},
    {"parked, one above the reuse minimum", FL_PARKED, -6 & COUNT_MAX, FL_PARKED},
    {"told stays", FL_NOTIFIED, -6 & COUNT_MAX, FL_NOTIFIED},
    {"floating, full", FL_FLOATING, 100, FL_FLOATING},
    {"floating, one below a list's number", FL_FLOATING, 90, FL_FLOATING},
    {"floating, a list's number", FL_FLOATING, 89, FL_CLAIMED},
    {"floating, the last", FL_FLOATING, 1, FL_CLAIMED},
    {"listed, two live", FL_LISTED, 2, FL_LISTED},
    {"listed, the last", FL_LISTED, 1, FL_CLAIMED},
    {"claimed stays with the last", FL_CLAIMED, 1, FL_CLAIMED},
};

static void slabword_push_cases(void) {
    for (size_t i = 0; i < sizeof push_cases / sizeof *push_cases; i++) {
        const struct push_case *it = &push_cases[i];
        for (int anew = 0; anew < 2; anew++) { /* which means something of a listed slab alone */
            fl_slab_state wanted = anew && it->state == FL_LISTED ? FL_CLAIMED : it->wanted;
            fl_word got = fl_word_push(fl_word_make(it->state, OWNER_MAX, it->count, HEAD_MAX), 77, 1, 6, 12,
                                       100, anew);
            if (fl_word_state(got) != wanted)
                fprintf(stderr, "case '%s', anew %d\n", it->name, anew);
            expect(got, wanted, OWNER_MAX, (it->count - 1) & COUNT_MAX, 77);
        }
    }
}

/* A model in plain numbers: an owner with so many blocks out, pushes by others, then nobody's. */
static uint64_t seed;

static void slabword_random_against_model(void) {
    uint64_t random = seed;
    for (int round = 0; round < 3000; round++) {
        uint32_t owner = 1 + (uint32_t)check_random(&random) % OWNER_MAX;
        uint32_t capacity = 2 + (uint32_t)check_random(&random) % 4095;
        uint32_t used = 1 + (uint32_t)check_random(&random) % capacity, pushed = 0, head = 0;
        uint32_t published_at = (uint32_t)check_random(&random) % (used + 1);
        fl_word word = fl_word_make(FL_CURRENT, owner, 0, 0);
        for (; pushed < published_at; pushed++) {
            head = 1 + (uint32_t)check_random(&random) % HEAD_MAX;
            word = fl_word_push(word, head, 1, capacity + 1, capacity + 1, capacity, false);
            CHECK_EQUAL(fl_word_pushed(word), pushed + 1);
            expect(word, FL_CURRENT, owner, -(pushed + 1) & COUNT_MAX, head);
        }
        word = fl_word_published(word, used);
        expect(word, FL_CLAIMED, 0, used - pushed, head);
        for (word = fl_word_with_state(word, FL_LISTED); pushed < used; pushed++) {
            CHECK_EQUAL(fl_word_state(word), FL_LISTED);
            word = fl_word_push(word, 1, 1, 1, 1, capacity, false);
            CHECK_EQUAL(fl_word_live(word), used - pushed - 1);
        }
        CHECK_EQUAL(fl_word_state(word), used == published_at ? FL_LISTED : FL_CLAIMED);
    }
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    RUN(slabword_fields_do_not_touch);
    RUN(slabword_push_cases);
    RUN(slabword_random_against_model);
    return 0;
}
