/* SPDX-License-Identifier: MIT */
/*
 * The window: which regions are taken and how they come back, the entries of its table, memory for
 * bookkeeping. Nothing is mapped in a region here; what "is kept" of one is only said.
 */
#include "../../src/arena/window.h"

#include <string.h>

#include "../lib/check.h"

static const osmem_backend one_backend, other_backend;

static fl_region *take(size_t count) {
    fl_region *first = fl_window_take(count, &one_backend);
    CHECK(first);
    return first;
}

static void give(fl_region *first, size_t count) {
    for (size_t i = 0; i < count; i++)
        fl_window_give(&first[i], &one_backend);
}

/* A step takes so many and finds them at a place, or gives back what a step before it took. */
static const struct step {
    size_t takes, at;
    int gives; /* that of this step; -1: none */
} steps[] = {
    {1, 0, -1},  {3, 1, -1}, {2, 4, -1}, {0, 0, 1},  /* a hole of three behind the first */
    {4, 6, -1},                                      /* does not go into it */
    {2, 1, -1},                                      /* the lowest place */
    {2, 10, -1},                                     /* one is left in the hole */
    {1, 3, -1},  {0, 0, 0},  {0, 0, 5},  {3, 0, -1}, /* two holes that lie side by side are one */
    {0, 0, 2},   {0, 0, 4},  {0, 0, 6},  {0, 0, 7},  {0, 0, 10},
};

static void window_lowest_place_that_fits(void) {
    fl_region *taken[sizeof steps / sizeof *steps] = {NULL};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct step *it = &steps[i];
        if (it->gives >= 0) {
            give(taken[it->gives], steps[it->gives].takes);
            continue;
        }
        taken[i] = take(it->takes);
        if (fl_region_index(taken[i]) != it->at)
            fprintf(stderr, "step %zu\n", i);
        CHECK_EQUAL(fl_region_index(taken[i]), it->at);
    }
    fl_region *all = take(12);
    CHECK_EQUAL(fl_region_index(all), 0); /* all have come back */
    give(all, 12);
}

static void window_is_not_endless(void) {
    size_t regions = fl_window_pages_max() / FL_REGION_PAGES;
    CHECK(!fl_window_take(regions + 1, &one_backend));
    fl_region *one = take(1);
    CHECK(!fl_window_take(regions, &one_backend));
    give(one, 1);
}

static void window_regions_come_clean(void) {
    fl_region *region = take(1);
    memset(region->in_use, 0xff, sizeof region->in_use);
    memset(region->kept, 0xff, sizeof region->kept);
    region->growing = region->lost = 5;
    region->idle = region->vacant = true;
    give(region, 1);
    CHECK(take(1) == region);
    CHECK_EQUAL(fl_pagebits_count(region->in_use, 0, FL_REGION_PAGES), 0);
    CHECK_EQUAL(fl_pagebits_count(region->kept, 0, FL_REGION_PAGES), 0);
    CHECK(!region->growing && !region->lost && !region->idle && !region->vacant);
    region->gone[0] = 6; /* what the system took away stays so */
    give(region, 1);
    CHECK(take(1) == region);
    CHECK_EQUAL(region->in_use[0], 6);
    region->gone[0] = 0;
    give(region, 1);
}

/* What the system did not take back is for the same back end alone, and can be tried again in the order in
 * which it came. */
static void window_keeps_what_is_still_mapped(void) {
    fl_region *first = take(4);
    first[0].mapped = first[2].mapped = 1;
    give(first, 4);
    CHECK(!fl_window_take_kept(&other_backend));
    fl_region *others = fl_window_take(1, &other_backend);
    CHECK(others == first + 1); /* between the two */
    fl_window_give(others, &other_backend);
    CHECK(take(4) == first); /* for its own back end they are as good as free */
    CHECK_EQUAL(first[2].mapped, 1);
    CHECK(!fl_window_take_kept(&one_backend));
    give(first, 4);
    CHECK(take(1) == first);
    CHECK(fl_window_take(1, &other_backend) == first + 1);
    CHECK(fl_window_take(1, &other_backend) == first + 3); /* what is between them is still kept */
    CHECK(take(1) == first + 2);
    fl_window_give(&first[2], &one_backend);
    fl_window_give(&first[0], &one_backend);
    CHECK(fl_window_take_kept(&one_backend) == first + 2);
    CHECK(fl_window_take_kept(&one_backend) == first);
    CHECK(!fl_window_take_kept(&one_backend));
    first[0].mapped = first[2].mapped = 0;
    give(first, 4);
    CHECK(take(4) == first);
    give(first, 4);
}

static void window_places_by_address(void) {
    fl_region *first = take(3);
    for (size_t i = 0; i < 3; i++) {
        char *start = fl_region_start(&first[i]);
        CHECK_EQUAL((uintptr_t)start % FL_REGION_BYTES, 0);
        CHECK(fl_region_of(start) == &first[i]);
        CHECK(fl_region_of(start + FL_REGION_BYTES - 1) == &first[i]);
        CHECK_EQUAL(fl_page_of(start), (fl_region_index(first) + i) * FL_REGION_PAGES);
        CHECK_EQUAL(fl_page_of(start + FL_REGION_BYTES - 1), fl_page_of(start) + FL_REGION_PAGES - 1);
    }
    give(first, 3);
}

/* Who has the tag finds the descriptor's address, and anybody else something with a bit of a tag in it. */
static void window_entries_of_every_tag(void) {
    static const uint32_t tags[] = {0, 1, 127, 128, 129, 0x5a5a5a, 0x800000, FL_TAG_MAX - 1, FL_TAG_MAX};
    static const uintptr_t places[] = {128, 0x7fffffffff80, 0x555555555500, 0x2aaaaaaaaa80};
    enum { TAGS = sizeof tags / sizeof *tags };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t a = 0; a < TAGS; a++) {
            fl_entry entry = places[i] | fl_entry_tag(tags[a]);
            CHECK_EQUAL((uintptr_t)fl_entry_descriptor(entry), places[i]);
            for (size_t b = 0; b < TAGS; b++) {
                fl_entry left = entry ^ fl_entry_tag(tags[b]);
                CHECK_EQUAL((left & FL_ENTRY_TAG_BITS) == 0, a == b);
                CHECK(a != b || left == places[i]);
            }
        }
}

static void window_table_says_whose_a_page_is(void) {
    fl_region *first = take(2);
    char *start = fl_region_start(&first[1]) - 2 * FL_PAGE_BYTES; /* across the border */
    fl_entries_write(start, 5, 0x1280);
    for (size_t page = 0; page < 7; page++) {
        const char *at = start + (ptrdiff_t)(page - 1) * (ptrdiff_t)FL_PAGE_BYTES;
        fl_entry wanted = page >= 1 && page < 6 ? 0x1280 : 0;
        CHECK_EQUAL(fl_entry_of(at), wanted);
        CHECK_EQUAL(fl_entry_of(at + FL_PAGE_BYTES - 1), wanted);
    }
    fl_entries_write(start, 5, 0);
    int local;
    CHECK_EQUAL(fl_entry_of(&local), 0);
    CHECK_EQUAL(fl_entry_of(NULL), 0);
    CHECK_EQUAL(fl_entry_of((void *)UINTPTR_MAX), 0);
    CHECK_EQUAL(fl_entry_of((char *)fl_the_window.base - 1), 0);
    CHECK_EQUAL(fl_entry_of((char *)fl_the_window.base + (fl_window_pages_max() << FL_PAGE_SHIFT)), 0);
    give(first, 2);
}

static void window_bookkeeping_is_zeroed_and_apart(void) {
    static const size_t sizes[] = {1, 63, 64, 65, 100000, 8};
    char *end = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *got = fl_meta_alloc(sizes[i]);
        CHECK(got && (uintptr_t)got % 64 == 0 && got >= end);
        end = got + sizes[i];
        for (size_t k = 0; k < sizes[i]; k++)
            CHECK_EQUAL(got[k], 0);
        memset(got, 1, sizes[i]);
    }
    CHECK(!fl_meta_alloc(fl_window_pages_max() << FL_PAGE_SHIFT)); /* more than there is room for */
    CHECK(fl_meta_alloc(1));
    CHECK(fl_window_grow_descriptors(1000, 128));
    memset(fl_the_window.descriptors, 1, (size_t)1000 * 128);
}

int main(void) {
    CHECK(fl_window_init());
    RUN(window_lowest_place_that_fits);
    RUN(window_is_not_endless);
    RUN(window_regions_come_clean);
    RUN(window_keeps_what_is_still_mapped);
    RUN(window_places_by_address);
    RUN(window_entries_of_every_tag);
    RUN(window_table_says_whose_a_page_is);
    RUN(window_bookkeeping_is_zeroed_and_apart);
    return 0;
}
