/* SPDX-License-Identifier: MIT */
/*
 * The tally of a slab at a limit, for slabs of every size class, made by hand: against a model that counts
 * each unit's live blocks, over random takes and frees; and when nothing is known.
 */
#include <string.h>

#include "../../src/arena/pages.h"
#include "../../src/slab/abandoned.h"
#include "../../src/slab/arenas.h"
#include "../../src/slab/tally.h"

#include "../lib/sim_arena.h"

static sim_system sys;
static fallow_arena arena = {.name = "test"};
static _Alignas(128) fl_slab slab; /* as descriptors lie */
static uint64_t seed;
static bool live[FL_CAPACITY_MAX];
static uint32_t model[64]; /* live blocks of each unit */

static void start(void) {
    osmem_sim_config config = {.address_bytes = (size_t)1 << 44};
    sim_start(&sys, &config);
    fl_pagearena_init(&arena.pages, "test", &sys.backend, NULL);
    fl_scarce_begin(&arena.pages);
}

static void end(void) {
    fl_pagearena_end(&arena.pages);
    sim_end(&sys);
}

static void make(unsigned size_class) {
    const fl_class *sizes = &fl_classes[size_class];
    bool zeroed;
    fl_shortage shortage;
    slab = (fl_slab){
        .carved = sizes->capacity,
        .capacity = sizes->capacity,
        .start = fl_pages_try(&arena.pages, sizes->slab_pages, 1, FL_FILLED_PERHAPS, &zeroed, &shortage),
        .arena = &arena,
        .pages = sizes->slab_pages,
        .block_bytes = sizes->block_bytes,
        .size_class = (uint8_t)size_class,
        .kind = FL_KIND_SLAB};
    CHECK(slab.start);
    memset(live, 0, sizeof live);
    memset(model, 0, sizeof model);
}

static void unmake(void) {
    fl_pages_return(&arena.pages, slab.start, slab.pages);
}

static void change(uint32_t block, bool lives) {
    live[block] = lives;
    for (uint64_t units = fl_units_of(&slab, block); units; units &= units - 1)
        model[fl_unit_first(units)] += lives ? 1 : -1u;
}

static char *at(uint32_t block) {
    return slab.start + (size_t)block * slab.block_bytes;
}

static bool is_empty(uint64_t units) {
    for (; units; units &= units - 1)
        if (model[fl_unit_first(units)] == 0)
            return true;
    return false;
}

static uint64_t all_units(void) {
    return fl_unit_bits(0, ((slab.pages << FL_PAGE_SHIFT) >> fl_unit_shift(&slab)) - 1);
}

static void look(void) {
    fl_tally_set(&slab, model);
}

/* Exactly, or, where a unit may hold more blocks than there is room for, no less often. */
static void check(bool says, bool is_empty_now) {
    bool exact = fl_classes[slab.size_class].unit_blocks + 1 <= UINT8_MAX;
    CHECK(exact ? says == is_empty_now : says || !is_empty_now);
}

static void tally_random_against_model(void) {
    uint64_t random = seed;
    start();
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        make(size_class);
        for (uint32_t i = 0; i < slab.carved; i++)
            if (check_random(&random) % 4)
                change(i, true);
        CHECK(fl_tally_allows_idle(&slab)); /* nothing is known */
        look();
        for (int step = 0; step < 3000; step++) {
            uint32_t block = (uint32_t)check_random(&random) % slab.carved;
            uint64_t units = fl_units_of(&slab, block);
            change(block, !live[block]);
            if (live[block])
                fl_tally_take(&slab, at(block));
            else
                check(fl_tally_free(&arena.pages, slab.start, at(block), at(block)), is_empty(units));
            if (step % 16 == 0)
                check(fl_tally_allows_idle(&slab), is_empty(all_units()));
        }
        fl_tally_forget(slab.start);
        unmake();
    }
    end();
}

static void all_live(void) {
    make(fl_sizeclass_of(1024));
    for (uint32_t i = 0; i < slab.carved; i++)
        change(i, true);
    look();
    CHECK(!fl_tally_allows_idle(&slab));
}

static void tally_is_forgotten(void) {
    start();
    all_live();
    CHECK(!fl_tally_free(&arena.pages, slab.start, at(0), at(0)));
    fl_tally_forget(slab.start);
    CHECK(fl_tally_allows_idle(&slab));
    CHECK(fl_tally_free(&arena.pages, slab.start, at(1), at(1)));
    unmake();
    end();
}

/* Between two of its times a free was told nobody. */
static void tally_is_of_one_time(void) {
    start();
    all_live();
    fl_scarce_end(&arena.pages);
    fl_scarce_begin(&arena.pages);
    CHECK(fl_tally_allows_idle(&slab));
    CHECK(fl_tally_free(&arena.pages, slab.start, at(0), at(0)));
    look();
    CHECK(!fl_tally_allows_idle(&slab));
    unmake();
    end();
}

/* Of blocks that come together only the ends are known. */
static void tally_several_at_once(void) {
    start();
    all_live();
    CHECK(fl_tally_free(&arena.pages, slab.start, at(0), at(1)));
    CHECK(fl_tally_allows_idle(&slab));
    unmake();
    end();
}

/* What has gone is no news; what has come back is. */
static void tally_leaves_out_what_has_gone(void) {
    start();
    make(fl_sizeclass_of(1024));
    look();
    CHECK(fl_tally_allows_idle(&slab));
    slab.decommitted = all_units();
    CHECK(!fl_tally_allows_idle(&slab));
    slab.decommitted &= ~fl_units_of(&slab, 0);
    CHECK(fl_tally_allows_idle(&slab));
    fl_tally_take(&slab, at(0));
    CHECK(!fl_tally_allows_idle(&slab));
    CHECK(fl_tally_free(&arena.pages, slab.start, at(0), at(0)));
    unmake();
    end();
}

static void settle(uint32_t head) {
    slab.free = fl_list_end(&slab);
    slab.tallied = true; /* by a look that has just ended */
    atomic_store(&slab.word, fl_word_make(FL_CLAIMED, 0, slab.capacity - 1, head));
    fl_slab_settle(&slab, NULL);
    memset(arena.listed, 0, sizeof arena.listed);
}

/* Somebody pushed while the slab was looked through: the look may have missed that. */
static void tally_of_a_look_beside_a_push(void) {
    start();
    fl_lock_init(&arena.lists_lock, FL_LOCK_LISTS);
    all_live();
    settle(0);
    CHECK(!fl_tally_allows_idle(&slab));
    settle(1);
    CHECK(fl_tally_allows_idle(&slab));
    unmake();
    end();
}

/* Who looks for what can go does not forget a slab that somebody has in hand, but looks again later. */
static void look_skips_what_is_in_hand(void) {
    uint64_t groups;
    start();
    all_live();
    fl_slab_tag(&slab, 0);
    while (fl_scarce_next(&arena.pages, &groups))
        ;
    for (int claimed = 1; claimed >= 0; claimed--) {
        size_t page = fl_page_of(slab.start), end = page + slab.pages;
        atomic_store(&slab.word, fl_word_make(claimed ? FL_CLAIMED : FL_FLOATING, 0, slab.capacity, 0));
        CHECK(fl_slab_claim_at_limit(&arena.pages, &page, end) == NULL);
        fl_scarce_look_ends(&arena.pages);
        CHECK_EQUAL(fl_scarce_next(&arena.pages, &groups) != NULL, claimed);
    }
    fl_slab_untable(&slab);
    unmake();
    end();
}

int main(int argc, char **argv) {
    CHECK(fl_window_init());
    sim_skip_unless_possible();
    fl_sizeclass_init();
    seed = check_seed(argc, argv);
    RUN(tally_random_against_model);
    RUN(tally_is_forgotten);
    RUN(tally_is_of_one_time);
    RUN(tally_several_at_once);
    RUN(tally_leaves_out_what_has_gone);
    RUN(tally_of_a_look_beside_a_push);
    RUN(look_skips_what_is_in_hand);
    return 0;
}
