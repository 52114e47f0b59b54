/* SPDX-License-Identifier: MIT */
#include "page_audit.h"

typedef int fl_page_audit_of_no_use_in_this_build; /* a file may not be empty */

#if FL_CHECKS >= 2

#include "../osmem/checker.h"
#include "../system/fatal.h"
#include "../system/line.h"
#include "charge.h"
#include "huge.h"
#include "moves.h"

void fl_audit_that(bool holds, const void *address, const char *otherwise) {
    if (!holds)
        fl_fatal("audit of", address, otherwise);
}

void fl_audit_equal(const void *address, const char *what, size_t is, const char *other, size_t comes_to) {
    if (is == comes_to)
        return;
    fl_line line;
    fl_line_start(&line);
    fl_line_add(&line, what);
    fl_line_add(&line, " is ");
    fl_line_add_number(&line, is);
    fl_line_add(&line, ", but ");
    fl_line_add(&line, other);
    fl_line_add(&line, " comes to ");
    fl_line_add_number(&line, comes_to);
    fl_line_add_part(&line, "", 1);
    fl_fatal("audit of", address, line.text);
}

/* The tree. */

static bool same_runs(fl_runs a, fl_runs b) {
    return a.first == b.first && a.longest == b.longest && a.last == b.last;
}

static size_t child_regions(const fl_branch *branch) {
    return (size_t)1 << 4 * branch->level;
}

static void audit_entry(const fl_branch *branch, size_t place, fl_runs runs, bool idle, bool vacant) {
    fl_audit_that(same_runs(branch->runs[place], runs), branch,
                  "the runs in an entry of this branch are not those of what lies below it");
    fl_audit_that((branch->idle >> place & 1) == idle, branch,
                  "a bit for idle pages in this branch is not what lies below it says");
    fl_audit_that((branch->vacant >> place & 1) == vacant, branch,
                  "a bit for vacant regions in this branch is not what lies below it says");
}

static void audit_leaf(const fl_pagearena *arena, const fl_branch *branch, size_t place, size_t index) {
    const fl_region *region = branch->child[place];
    fl_audit_that(region == &fl_the_window.regions[index], branch,
                  "a region in this branch is not the one for its place");
    fl_audit_that(region->branch == branch, fl_region_start(region),
                  "the region is in the tree, but names another branch");
    fl_audit_that(fl_region_is_of(region, arena), fl_region_start(region),
                  "the region is in the tree of an arena that does not own it");
    audit_entry(branch, place, fl_pagebits_runs(region->in_use, FL_REGION_PAGES), region->idle,
                region->vacant);
}

/* Returns how many regions lie below. As deep as the tree: six levels reach through the window. */
static size_t audit_branch(const fl_pagearena *arena, const fl_branch *branch, size_t first_region) {
    size_t regions = 0, width = child_regions(branch);
    for (size_t place = 0; place < FL_FANOUT; place++) {
        size_t index = first_region + place * width;
        const fl_branch *below = branch->child[place];
        if (!below)
            audit_entry(branch, place, (fl_runs){0, 0, 0}, false, false);
        else if (branch->level == 0) {
            audit_leaf(arena, branch, place, index);
            regions++;
        } else {
            fl_audit_that(below->parent == branch && below->place == place, below,
                          "the branch names another place in the tree than the one it is in");
            fl_audit_that(below->level + 1 == branch->level, below,
                          "the branch's level is not one below its parent's");
            audit_entry(branch, place,
                        fl_runs_join(below->runs, FL_FANOUT, child_regions(below) * FL_REGION_PAGES),
                        below->idle != 0, below->vacant != 0);
            regions += audit_branch(arena, below, index);
        }
    }
    return regions;
}

static size_t audit_tree(const fl_pagearena *arena) {
    const fl_branch *root = arena->tree.root;
    if (!root)
        return 0;
    fl_audit_that(!root->parent, root, "the root of a tree has a parent");
    fl_audit_that(arena->tree.base % (child_regions(root) * FL_FANOUT * FL_REGION_PAGES) == 0, root,
                  "the tree does not begin at a multiple of what its root covers");
    return audit_branch(arena, root, arena->tree.base / FL_REGION_PAGES);
}

/* Bits. */

/* Sums over all regions. */
typedef struct page_sums {
    size_t regions;
    size_t mapped; /* chunks */
    size_t ready;  /* pages */
    size_t used;
    size_t kept;
    size_t cuts;
    size_t advised; /* regions */
} page_sums;

static const char *page_at(const fl_region *region, size_t page) {
    return fl_region_start(region) + (page << FL_PAGE_SHIFT);
}

/* Checks 64 pages of a region; `bits` has one for each that must not be. */
static void audit_none(const fl_region *region, size_t word, uint64_t bits, const char *otherwise) {
    if (bits)
        fl_fatal("audit of", page_at(region, word * 64 + (size_t)__builtin_ctzll(bits)), otherwise);
}

static void audit_word(const fl_region *region, size_t word, page_sums *sums) {
    uint64_t in_use = region->in_use[word], prepared = region->prepared[word];
    uint64_t kept = region->kept[word], gone = region->gone[word];
    fl_region others = {.mapped = region->lost | region->growing};
    uint64_t mapped = fl_region_mapped_word(region, word), busy = fl_region_mapped_word(&others, word);
    audit_none(region, word, (prepared | kept | gone) & ~mapped,
               "the page is prepared, kept or gone, but its chunk is not mapped");
    audit_none(region, word, in_use & ~mapped & ~busy, "the page is in use, but its chunk is not mapped");
    audit_none(region, word, busy & ~in_use, "the page is in a lost or growing chunk, but not in use");
    audit_none(region, word, region->untouched[word] & (prepared | ~mapped),
               "the page is untouched since it is Ready, and is not Ready");
    audit_none(region, word, prepared & kept, "the page is prepared and kept at once");
    audit_none(region, word, prepared & gone, "the page is prepared and gone at once");
    audit_none(region, word, kept & in_use, "the page is kept and in use at once");
    uint64_t moved = region->moved[word], cuts = region->cuts[word];
    uint64_t behind = moved << 1 | (word > 0 ? region->moved[word - 1] >> 63 : 0);
    audit_none(region, word, moved & ~mapped, "the page was moved to, but its chunk is not mapped");
    audit_none(region, word, cuts & ~(moved | behind),
               "the page is a cut, but neither it nor the one before was moved to");
    audit_none(region, word, (moved ^ behind) & ~cuts & (word == 0 ? ~UINT64_C(1) : UINT64_MAX),
               "ground that was moved to ends at the page, but it is no cut");
    audit_none(region, word, gone & ~in_use, "the page is gone, but not in use");
    sums->ready += (size_t)__builtin_popcountll(mapped & ~(prepared | gone));
    /* Pages about to be returned with everything else may be in use and Prepared; these do not count as
     * granted. */
    sums->used += (size_t)__builtin_popcountll(in_use & mapped & ~gone & ~prepared);
    sums->kept += (size_t)__builtin_popcountll(kept);
    sums->cuts += (size_t)__builtin_popcountll(cuts);
}

static void audit_summary(const fl_region *region) {
    const char *start = fl_region_start(region);
    uint64_t idle = 0, used = 0;
    for (size_t word = 0; word < FL_REGION_WORDS; word++) {
        idle |= fl_region_mapped_word(region, word) &
                ~(region->in_use[word] | region->prepared[word] | region->kept[word]);
        used |= region->in_use[word];
    }
    fl_audit_that(region->idle == (idle != 0), start,
                  "the region's bit for idle pages is not what its bits say");
    fl_audit_that(region->vacant == (idle && !used), start,
                  "the region's bit for vacancy is not what its bits say");
}

static void audit_masks(const fl_pagearena *arena, const fl_region *region) {
    const char *start = fl_region_start(region);
    fl_audit_that(!(region->mapped & region->reserved), start, "a chunk is mapped and reserved at once");
    fl_audit_that(!(region->mapped & region->lost), start, "a chunk is mapped and lost at once");
    /* In a region that is one reservation, somebody else's may have gone since, so that all of it is ours. */
    fl_audit_that(!(region->reserved & region->lost) || arena->stat.traits.reservations_apart, start,
                  "a chunk is reserved and lost at once");
    fl_audit_that(!(region->growing & (region->mapped | region->lost)), start,
                  "a chunk is growing, and mapped or lost already");
    fl_audit_that(!region->small || region->mapped, start,
                  "a region that is to stay small has nothing mapped");
    fl_audit_that(!(region->advised || region->purged || region->huge) || region->mapped, start,
                  "a region that was advised or purged has nothing mapped");
}

/* What osmem's checker has recorded, page by page. */

typedef enum page_kind { IS_NONE, IS_RESERVED, IS_PREPARED, IS_READY, IS_GRANTED, IS_GROWING } page_kind;

/* The floor above may have given back a part of a granted page, or the scavenger be about to give back
 * all. */
static const struct {
    unsigned allowed; /* a bit for each fl_state */
    const char *otherwise[4];
} kinds[] = {
    [IS_NONE] = {1u << FL_NONE,
                 {"", "to the arena the page is None, to osmem Reserved",
                  "to the arena the page is None, to osmem Prepared",
                  "to the arena the page is None, to osmem Ready"}},
    [IS_RESERVED] = {1u << FL_RESERVED,
                     {"to the arena the page is Reserved, to osmem None, or another's", "",
                      "to the arena the page is Reserved, to osmem Prepared",
                      "to the arena the page is Reserved, to osmem Ready"}},
    [IS_PREPARED] = {1u << FL_PREPARED,
                     {"to the arena the page is Prepared, to osmem None, or another's",
                      "to the arena the page is Prepared, to osmem Reserved", "",
                      "to the arena the page is Prepared, to osmem Ready"}},
    [IS_READY] = {1u << FL_READY,
                  {"to the arena the page is free and Ready, to osmem None, or another's",
                   "to the arena the page is free and Ready, to osmem Reserved",
                   "to the arena the page is free and Ready, to osmem Prepared", ""}},
    [IS_GRANTED] = {1u << FL_READY | 1u << FL_PREPARED,
                    {"to the arena the page is granted, to osmem None, or another's",
                     "to the arena the page is granted, to osmem Reserved", "", ""}},
    [IS_GROWING] = {1u << FL_NONE | 1u << FL_RESERVED | 1u << FL_PREPARED,
                    {"", "", "", "to the arena the page's chunk is growing, to osmem the page is Ready"}},
};

static page_kind kind_of(const fl_region *region, size_t page) {
    size_t word = page / 64, bit = page % 64, chunk = page / FL_CHUNK_PAGES;
    /* In a region that is one reservation, all of it may be on its way to that. */
    bool growing = region->growing >> chunk & 1 || (region->growing && !region->mapped && !region->reserved);
    if (growing)
        return IS_GROWING;
    if (!(region->mapped >> chunk & 1))
        return region->reserved >> chunk & 1 ? IS_RESERVED : IS_NONE;
    if (region->gone[word] >> bit & 1)
        return IS_NONE;
    if (region->prepared[word] >> bit & 1)
        return IS_PREPARED;
    return region->in_use[word] >> bit & 1 ? IS_GRANTED : IS_READY;
}

static void audit_states(const fl_pagearena *arena, const char *start, size_t bytes, page_kind kind) {
    for (size_t at = 0, alike; at < bytes; at += alike) {
        alike = bytes - at;
        fl_state state = fl_checker_state_of(&arena->stat, start + at, &alike);
        fl_audit_that(kinds[kind].allowed >> state & 1, start + at, kinds[kind].otherwise[state]);
    }
}

static void audit_ground(const fl_pagearena *arena, const fl_region *region) {
    for (size_t page = 0, end; page < FL_REGION_PAGES; page = end) {
        page_kind kind = kind_of(region, page);
        for (end = page + 1; end < FL_REGION_PAGES && kind_of(region, end) == kind;)
            end++;
        audit_states(arena, page_at(region, page), (end - page) << FL_PAGE_SHIFT, kind);
    }
}

/* The arena. */

static size_t ready_bytes(const fl_pagearena *arena) {
    return (arena->ready_pages << FL_PAGE_SHIFT) -
           atomic_load_explicit(&arena->decommitted_bytes, memory_order_relaxed);
}

static void audit_region(const fl_pagearena *arena, const fl_region *region, page_sums *sums) {
    const char *start = fl_region_start(region);
    const fl_branch *branch = region->branch;
    fl_audit_that(fl_region_is_of(region, arena), start,
                  "the region is in the list of an arena that does not own it");
    fl_audit_that(branch && branch->child[fl_region_index(region) % FL_FANOUT] == region, start,
                  "the region is in its arena's list, but not in the tree");
    audit_masks(arena, region);
    for (size_t word = 0; word < FL_REGION_WORDS; word++)
        audit_word(region, word, sums);
    audit_summary(region);
    audit_ground(arena, region);
    sums->regions++;
    sums->mapped += (size_t)__builtin_popcount(region->mapped);
    sums->advised += region->advised;
}

/* Counts by the regions' owners: of others' regions the arena learns no more than that. */
static size_t count_owned(const fl_pagearena *arena) {
    size_t owned = 0;
    size_t regions = atomic_load_explicit(&fl_the_window.pages, memory_order_acquire) / FL_REGION_PAGES;
    for (size_t i = 0; i < regions; i++)
        owned += fl_region_is_of(&fl_the_window.regions[i], arena);
    return owned;
}

static void audit_sums(const fl_pagearena *arena, const page_sums *sums) {
    fl_audit_equal(arena, "regions that name the arena", count_owned(arena), "its list", sums->regions);
    fl_audit_equal(arena, "chunks_mapped", arena->chunks_mapped, "the bits of mapped chunks", sums->mapped);
    fl_audit_equal(arena, "ready_pages", arena->ready_pages,
                   "pages of mapped chunks neither prepared nor gone", sums->ready);
    fl_audit_equal(arena, "used_pages + leaving_pages", arena->used_pages + arena->leaving_pages,
                   "pages in use, neither gone nor prepared", sums->used);
    fl_audit_equal(arena, "kept_pages", arena->kept_pages, "the bits of kept pages", sums->kept);
    fl_audit_that(arena->used_pages + arena->leaving_pages + arena->kept_pages <= arena->ready_pages, arena,
                  "more pages are used, leaving and kept than are Ready");
    fl_audit_equal(arena, "idle_shown", atomic_load_explicit(&arena->idle_shown, memory_order_relaxed),
                   "the idle pages", fl_pagearena_idle_pages(arena));
    /* Pages of arenas below, and what is charged before it is granted, come on top. */
    for (const fl_pagearena *it = arena; it; it = fl_pagearena_above(it))
        fl_audit_that(atomic_load_explicit(&it->family_bytes, memory_order_relaxed) >= ready_bytes(arena), it,
                      "the family's Ready pages are fewer than one arena's of it");
    fl_audit_that(atomic_load_explicit(&fl_cuts, memory_order_relaxed) >= sums->cuts, arena,
                  "the process's cuts are fewer than the arena's");
    fl_audit_that(atomic_load_explicit(&fl_advised, memory_order_relaxed) >= sums->advised, arena,
                  "the process's advised regions are fewer than the arena's");
    fl_audit_that(atomic_load_explicit(&fl_process_ready_bytes, memory_order_relaxed) >= ready_bytes(arena),
                  arena, "the process's Ready pages are fewer than the arena's");
}

void fl_audit_pages(const fl_pagearena *arena) {
    page_sums sums = {0};
    const fl_region *previous = NULL;
    for (const fl_region *region = arena->regions; region; previous = region, region = region->next) {
        fl_audit_that(region->previous == previous, fl_region_start(region),
                      "the region's link back in its arena's list leads elsewhere");
        audit_region(arena, region, &sums);
    }
    fl_audit_equal(arena, "the number of regions in the tree", audit_tree(arena), "the list", sums.regions);
    audit_sums(arena, &sums);
}

/* Spans. */

void fl_audit_granted(const fl_pagearena *arena, const char *start, size_t pages, const char *otherwise) {
    size_t page = fl_page_of(start), limit = atomic_load_explicit(&fl_the_window.pages, memory_order_acquire);
    fl_audit_that(page < limit && pages <= limit - page, start, otherwise);
    for (size_t end = page + pages; page < end; page++) {
        const fl_region *region = &fl_the_window.regions[page / FL_REGION_PAGES];
        size_t word = page % FL_REGION_PAGES / 64, bit = page % 64;
        uint64_t granted = region->in_use[word] & ~(region->prepared[word] | region->gone[word]);
        fl_audit_that(fl_region_is_of(region, arena) && (granted >> bit & 1),
                      (char *)fl_the_window.base + (page << FL_PAGE_SHIFT), otherwise);
    }
}

static bool overlap(uint64_t a, uint64_t b) {
    return a >> 32 < (b >> 32) + (uint32_t)b && b >> 32 < (a >> 32) + (uint32_t)a;
}

void fl_audit_spans(const fl_spans *spans, const fl_pagearena *arena) {
    size_t all = 0;
    uint64_t slots[FL_SPANS_SLOTS];
    for (size_t i = 0; i < FL_SPANS_SLOTS; i++) {
        slots[i] = atomic_load_explicit(&spans->slots[i], memory_order_acquire);
        size_t page = (size_t)(slots[i] >> 32), pages = (uint32_t)slots[i];
        if (!slots[i])
            continue;
        const char *start = (char *)fl_the_window.base + (page << FL_PAGE_SHIFT);
        fl_audit_that(pages > 0, &spans->slots[i], "a span that is kept has no pages");
        fl_audit_granted(arena, start, pages, "a span that is kept is not granted to its heap's arena");
        for (size_t other = 0; other < i; other++)
            fl_audit_that(!overlap(slots[i], slots[other]), &spans->slots[i],
                          "two spans that are kept have pages in common");
        for (size_t at = 0; at < pages; at++)
            fl_audit_that(fl_entry_of(start + (at << FL_PAGE_SHIFT)) == 0, start + (at << FL_PAGE_SHIFT),
                          "a page of a span that is kept has an owner in the table");
        all += i == FL_SPANS_LARGE ? 0 : pages;
        fl_audit_that(i != FL_SPANS_LARGE || pages <= FL_SPANS_PAGES_MAX, spans,
                      "the long span that is kept is too long");
    }
    fl_audit_that(all <= FL_SPANS_PAGES_MAX, spans, "more pages are kept in spans than a heap may keep");
}

/* The window. */

static bool has_bit(const uint64_t *bits, size_t index) {
    return bits[index / 64] >> (index % 64) & 1;
}

static bool is_anybodys(const fl_region *region) {
    return !fl_region_is_of(region, NULL);
}

/* Returns how many are kept. */
static size_t audit_kept(const fl_window_books *books) {
    size_t kept = 0;
    for (const fl_region *region = books->kept; region; region = region->next) {
        const char *start = fl_region_start(region);
        fl_audit_that(++kept <= books->reached, start, "the list of kept regions is longer than the window");
        fl_audit_that(!is_anybodys(region), start, "the region is kept by the window, but has an owner");
        fl_audit_that(region->keeper, start, "the region is kept by the window, but for no back end");
        fl_audit_that(region->mapped | region->reserved, start,
                      "the region is kept by the window, but nothing is left in it");
        fl_audit_that(has_bit(books->taken, fl_region_index(region)), start,
                      "the region is kept by the window, but not taken");
    }
    return kept;
}

static void audit_free_region(const fl_region *region) {
    const char *start = fl_region_start(region);
    fl_audit_that(!is_anybodys(region), start, "the region has an owner, but is not taken");
    fl_audit_that(!region->mapped, start, "the region is not taken, but chunks of it are mapped");
    fl_audit_that(!region->reserved || fl_window_is_reserved(), start,
                  "the region is not taken, but chunks of it are reserved");
    fl_audit_that(fl_pagebits_next_set(region->gone, 0, FL_REGION_PAGES) == FL_REGION_PAGES, start,
                  "the region is not taken, but pages of it are gone");
}

size_t fl_audit_window(void) {
    fl_window_books books = fl_window_look();
    size_t nobodys = 0, cuts = 0, advised = 0, kept = audit_kept(&books);
    fl_audit_equal(fl_the_window.table, "the table's length in pages",
                   atomic_load_explicit(&fl_the_window.pages, memory_order_acquire),
                   "that of the regions that were ever taken", books.reached * FL_REGION_PAGES);
    fl_audit_that(fl_pagebits_next_set(books.taken, books.reached, books.max) == books.max,
                  &fl_the_window.regions[books.reached], "the region is taken, but has no header");
    for (size_t i = 0; i < books.reached; i++) {
        const fl_region *region = &fl_the_window.regions[i];
        cuts += fl_pagebits_count(region->cuts, 0, FL_REGION_PAGES);
        advised += region->advised;
        if (!has_bit(books.taken, i)) {
            audit_free_region(region);
            continue;
        }
        nobodys += !is_anybodys(region);
        fl_audit_that(!is_anybodys(region) || !region->keeper, fl_region_start(region),
                      "the region has an owner, and is kept for a back end");
    }
    fl_audit_equal(fl_the_window.regions, "the process's number of cuts",
                   atomic_load_explicit(&fl_cuts, memory_order_relaxed), "the regions' bits", cuts);
    fl_audit_equal(fl_the_window.regions, "the process's number of advised regions",
                   atomic_load_explicit(&fl_advised, memory_order_relaxed), "the regions", advised);
    fl_audit_that(kept <= nobodys, fl_the_window.regions,
                  "more regions are kept by the window than are nobody's");
    return nobodys - kept;
}

#endif
