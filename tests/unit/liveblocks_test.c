/* SPDX-License-Identifier: MIT */
/*
 * Which blocks of a slab are free, which live, which OS pages each touches: slabs of every size class, made
 * by hand, against a slow model byte by byte. And lists that are damaged: the process stops.
 */
#include "../../src/slab/arenas.h"
#include "../../src/slab/liveblocks.h"

#include "../lib/check.h"
#include "../lib/stops.h"

#define SLAB_BYTES_MAX ((size_t)256 << 10)

static _Alignas(16384) char ground[16384 + SLAB_BYTES_MAX];
static char *const memory = ground + 16384; /* something lies before it */
static uint64_t seed;

typedef enum part { NOT_CARVED, LIVE, FREE, PUSHED, AWAY } part;
static part parts[FL_CAPACITY_MAX];

static bool bit(const uint64_t *bits, size_t i) {
    return bits[i / 64] >> (i % 64) & 1;
}

/* Lists end with their slab, which has to stay where it is. */
static fl_slab *make(unsigned size_class) {
    static fallow_arena arena = {.name = "test"};
    static fl_slab slab;
    const fl_class *sizes = &fl_classes[size_class];
    slab = (fl_slab){.carved = sizes->capacity,
                     .capacity = sizes->capacity,
                     .start = memory,
                     .arena = &arena,
                     .pages = sizes->slab_pages,
                     .block_bytes = sizes->block_bytes,
                     .size_class = (uint8_t)size_class,
                     .kind = FL_KIND_SLAB};
    slab.free = fl_list_end(&slab);
    CHECK((slab.pages << FL_PAGE_SHIFT) <= SLAB_BYTES_MAX);
    return &slab;
}

/* The units that lie between two bytes of the slab, one by one. */
static uint64_t slow_units(size_t first, size_t last, size_t unit_bytes) {
    uint64_t units = 0;
    for (size_t unit = 0; unit < 64; unit++)
        if (unit * unit_bytes <= last && (unit + 1) * unit_bytes > first)
            units |= UINT64_C(1) << unit;
    return units;
}

static void liveblocks_units_of_every_block(void) {
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        fl_slab *slab = make(size_class);
        size_t unit_bytes = (size_t)1 << fl_unit_shift(slab), block_bytes = slab->block_bytes;
        for (uint32_t i = 0; i < slab->capacity; i++)
            CHECK_EQUAL(fl_units_of(slab, i),
                        slow_units(i * block_bytes, (i + 1) * block_bytes - 1, unit_bytes));
        for (size_t page = 0; page < slab->pages; page++)
            CHECK_EQUAL(fl_units_of_page(slab, page),
                        slow_units(page << FL_PAGE_SHIFT, ((page + 1) << FL_PAGE_SHIFT) - 1, unit_bytes));
        CHECK_EQUAL(fl_units_of_pages(slab, UINT64_MAX >> (64 - slab->pages)),
                    slow_units(0, (slab->pages << FL_PAGE_SHIFT) - 1, unit_bytes));
        for (size_t unit = 0; unit << fl_unit_shift(slab) < slab->pages << FL_PAGE_SHIFT; unit++) {
            uint32_t first, end;
            fl_unit_blocks(slab, unit, slab->capacity, &first, &end);
            for (uint32_t i = 0; i < slab->capacity; i++)
                CHECK_EQUAL(i >= first && i < end, fl_units_of(slab, i) >> unit & 1);
            fl_unit_blocks(slab, unit, 1, &first, &end);
            CHECK(first <= end && end <= 1);
        }
    }
}

/* What each block is; the free ones are linked in an order of chance, some by the owner and some by others.
 * Returns the head. */
static uint32_t deal(fl_slab *slab, uint64_t *random) {
    void *pushed = fl_list_end(slab);
    slab->carved = 1 + (uint32_t)check_random(random) % slab->capacity;
    slab->decommitted = check_random(random) & check_random(random) & check_random(random);
    slab->decommitted &= fl_units_of_pages(slab, UINT64_MAX >> (64 - slab->pages));
    unsigned sparse = 1 + (unsigned)check_random(random) % 4;
    uint32_t factor = 2 * (uint32_t)check_random(random) + 1; /* odd: goes through all of a power of two */
    for (uint32_t i = 0; i < FL_CAPACITY_MAX; i++) {
        uint32_t block = i * factor % FL_CAPACITY_MAX;
        char *start = memory + (size_t)block * slab->block_bytes;
        part it = block >= slab->carved                          ? NOT_CARVED
                  : fl_units_of(slab, block) & slab->decommitted ? AWAY
                  : check_random(random) % 5 >= (uint64_t)sparse ? LIVE
                  : check_random(random) % 2                     ? FREE
                                                                 : PUSHED;
        parts[block] = it;
        if (it == FREE || it == PUSHED) {
            fl_link_set(start, it == FREE ? slab->free : pushed);
            *(it == FREE ? &slab->free : &pushed) = start;
        }
    }
    return pushed == fl_list_end(slab) ? 0 : (uint32_t)(((char *)pushed - memory) / 16 + 1);
}

static void liveblocks_random_against_model(void) {
    uint64_t random = seed;
    for (int round = 0; round < 1000; round++) {
        fl_blocks blocks;
        fl_slab *slab = make((unsigned)round % FL_CLASS_COUNT);
        uint32_t head = deal(slab, &random);
        fl_blocks_find(slab, head, &blocks);
        for (size_t i = 0; i < FL_CAPACITY_MAX; i++) {
            CHECK_EQUAL(bit(blocks.free, i), parts[i] == FREE || parts[i] == PUSHED);
            CHECK_EQUAL(bit(blocks.live, i), parts[i] == LIVE);
        }
        uint64_t units = check_random(&random) & fl_units_of_pages(slab, UINT64_MAX >> (64 - slab->pages));
        fl_blocks_clear(slab, units, blocks.free);
        for (uint32_t i = 0; i < slab->carved; i++)
            CHECK_EQUAL(bit(blocks.free, i),
                        (parts[i] == FREE || parts[i] == PUSHED) && !(fl_units_of(slab, i) & units));
    }
}

/* A slab of 112-byte blocks, of which three are in its list; then one of its links is wrong. */
static void with_link(size_t block, void *next) {
    fl_blocks blocks;
    fl_slab *slab = make(fl_sizeclass_of(112));
    slab->carved = 10;
    for (size_t i = 2; i < 5; i++) {
        fl_link_set(memory + i * 112, slab->free);
        slab->free = memory + i * 112;
    }
    fl_link_set(memory + 1120, fl_list_end(slab)); /* the first that is not carved */
    fl_link_set(memory + block * 112, next);
    fl_blocks_find(slab, 0, &blocks);
}

static void link_beyond_what_is_carved(void) {
    with_link(3, memory + 1120);
}
static void link_before_the_slab(void) {
    with_link(3, memory - 112);
}
static void link_back(void) {
    with_link(2, memory + 448);
}
static void pushed_and_free(void) {
    fl_blocks blocks;
    fl_slab *slab = make(fl_sizeclass_of(112));
    fl_link_set(memory, fl_list_end(slab));
    slab->free = memory;
    fl_blocks_find(slab, 1, &blocks);
}

static void liveblocks_damaged_lists_stop(void) {
    expect_stop(link_beyond_what_is_carved, "never handed out");
    expect_stop(link_before_the_slab, "no block of its slab");
    expect_stop(link_back, "freed twice");
    expect_stop(pushed_and_free, "freed twice");
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    fl_sizeclass_init();
    RUN(liveblocks_units_of_every_block);
    RUN(liveblocks_random_against_model);
    RUN(liveblocks_damaged_lists_stop);
    return 0;
}
