/* SPDX-License-Identifier: MIT */
/*
 * The audits of a checking build: sound books pass, after a mix of everything; and each kind of entry,
 * damaged in a process of its own, is found and named.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/arena/charge.h"
#include "../../src/arena/grant.h"
#include "../../src/arena/huge.h"
#include "../../src/arena/moves.h"
#include "../../src/arena/page_audit.h"
#include "../../src/arena/pages.h"
#include "../../src/heap/heap_audit.h"
#include "../../src/heap/registry.h"
#include "../../src/slab/arenas.h"
#include "../../src/slab/descriptors.h"
#include "../../src/slab/slab_audit.h"
#include "../../src/slab/tally.h"
#include "../lib/check.h"

#if FL_CHECKS >= 2

#include "../lib/audited.h"

/* Audits. */

static void pages(void) {
    fl_audit_pages(&fl_arena_find(arena)->pages);
}
static void spans(void) {
    fl_audit_spans(&heap->kept.spans, &fl_arena_find(arena)->pages);
}
static void window(void) {
    fl_audit_window();
}
static void lists(void) {
    fl_audit_lists(fl_arena_find(arena));
}
static void heaps(void) {
    fl_audit_heap(heap);
}
static void quiet(void) {
    fl_audit_arena_quiet(fl_arena_find(arena));
}
static fl_slab *slab_audited;
static void slab(void) {
    fl_audit_slab(slab_audited);
}

/* Damage. */

#define DAMAGE(name, ...)    \
    static void name(void) { \
        __VA_ARGS__;         \
    }

static void set(uint64_t *bits, size_t page) {
    fl_pagebits_set(bits, page, 1);
}
static char *page_start(size_t page) {
    return fl_region_start(region) + (page << FL_PAGE_SHIFT);
}
static fl_branch *branch(void) {
    return region->branch;
}
static size_t place(void) {
    return fl_region_index(region) % FL_FANOUT;
}

DAMAGE(previous_region, fl_arena_find(arena)->pages.regions->previous = fl_arena_find(arena)->pages.regions)
DAMAGE(region_of_another, region->arena = &fl_arena_find(other)->pages)
DAMAGE(region_not_in_tree, branch()->child[place()] = NULL)
DAMAGE(mapped_and_reserved, region->reserved |= 1)
DAMAGE(mapped_and_lost, region->lost |= 1)
DAMAGE(growing_and_mapped, region->growing |= 1)
static void small_and_not_mapped(void) {
    bare_region->small = true;
}
DAMAGE(advised_and_not_mapped, bare_region->advised = true)
DAMAGE(moved_and_not_mapped, set(bare_region->moved, LAST_PAGE))
DAMAGE(cut_and_not_moved, set(region->cuts, used_page))
DAMAGE(moved_and_not_cut, set(region->moved, used_page))
DAMAGE(cuts_of_process, fl_cuts++)
DAMAGE(advised_of_process, fl_advised++)
DAMAGE(advised_of_arena, region->advised = true)
DAMAGE(cuts_of_arena, set(region->moved, used_page); set(region->cuts, used_page);
       set(region->cuts, used_page + 1))
DAMAGE(prepared_and_not_mapped, set(bare_region->prepared, LAST_PAGE))
DAMAGE(in_use_and_not_mapped, set(bare_region->in_use, LAST_PAGE))
static void lost_and_not_in_use(void) {
    bare_region->reserved = 0;
    bare_region->lost |= 1u << LAST_CHUNK;
}
DAMAGE(prepared_and_kept, set(region->kept, prepared_page))
DAMAGE(prepared_and_gone, set(region->gone, prepared_page))
DAMAGE(kept_and_in_use, set(region->kept, used_page))
DAMAGE(gone_and_not_in_use, set(region->gone, idle_page))
DAMAGE(idle_of_region, region->idle = !region->idle)
DAMAGE(vacant_of_region, region->vacant = !region->vacant)
DAMAGE(runs_of_branch, branch()->runs[place()].first++)
DAMAGE(idle_of_branch, branch()->idle ^= 1u << place())
DAMAGE(vacant_of_branch, branch()->vacant ^= 1u << place())
DAMAGE(root_has_parent, fl_arena_find(arena)->pages.tree.root->parent = branch())
DAMAGE(base_of_tree, fl_arena_find(arena)->pages.tree.base += FL_REGION_PAGES)
static void region_in_tree_twice(void) {
    size_t empty = 0;
    while (empty < FL_FANOUT && branch()->child[empty])
        empty++;
    CHECK(empty < FL_FANOUT);
    branch()->child[empty] = region;
}
DAMAGE(region_not_in_list, fl_arena_find(arena)->pages.regions = NULL)
DAMAGE(chunks_mapped, fl_arena_find(arena)->pages.chunks_mapped++)
DAMAGE(ready_pages, fl_arena_find(arena)->pages.ready_pages++)
DAMAGE(used_pages, fl_arena_find(arena)->pages.used_pages--)
DAMAGE(kept_pages, fl_arena_find(arena)->pages.kept_pages++)
DAMAGE(idle_shown, fl_arena_find(arena)->pages.idle_shown++)
DAMAGE(family_bytes, fl_arena_find(arena)->pages.family_bytes = 0)
DAMAGE(process_bytes, fl_process_ready_bytes = 0)
static void given_back_in_secret(void) {
    size_t grain = fl_the_window.grain_pages, first = idle_page / grain * grain;
    CHECK_EQUAL(osmem_unused(page_start(first), grain << FL_PAGE_SHIFT, &fl_arena_find(arena)->pages.stat),
                OSMEM_OK);
}
static void used_in_secret(void) {
    size_t grain = fl_the_window.grain_pages, first = prepared_page / grain * grain;
    CHECK_EQUAL(osmem_used(page_start(first), grain << FL_PAGE_SHIFT, grain << FL_PAGE_SHIFT,
                           &fl_arena_find(arena)->pages.stat),
                OSMEM_OK);
}
static void freed_in_secret(void) {
    size_t bytes = current->pages << FL_PAGE_SHIFT;
    if (osmem_free(current->start, bytes, (osmem_bytes){.ready = bytes}, &fl_arena_find(arena)->pages.stat) !=
        OSMEM_OK)
        skip_case();
}
static void reserved_in_secret(void) {
    char *start = fl_region_start(bare_region);
    if (bare_region->reserved ||
        osmem_reserve_at(start, FL_CHUNK_BYTES, &fl_arena_find(arena)->pages.stat) != OSMEM_OK)
        skip_case();
}
static void mapped_in_secret(void) {
    region->mapped &= ~1u;
    fl_pagebits_clear(region->prepared, 0, FL_CHUNK_PAGES);
    fl_pagebits_clear(region->in_use, 0, FL_CHUNK_PAGES);
    fl_pagetree_update(region);
}

DAMAGE(span_twice, heap->kept.spans.slots[0] = *span)
DAMAGE(span_without_pages, *span &= ~(uint64_t)UINT32_MAX)
DAMAGE(span_of_free_pages, *span = (uint64_t)fl_page_of(page_start(idle_page)) << 32 | 1)
DAMAGE(span_with_owner, fl_entries_write((char *)fl_the_window.base + (*span >> 32 << FL_PAGE_SHIFT), 1,
                                         fl_entry_make(current, 0)))
static void span_too_long(void) {
    bool zeroed;
    size_t pages_of_it = FL_SPANS_PAGES_MAX + 8;
    char *start = fl_grant(&fl_arena_find(arena)->pages, pages_of_it, 1, FL_FILLED_PERHAPS, &zeroed);
    *span = (uint64_t)fl_page_of(start) << 32 | pages_of_it;
}

static uint64_t *taken(void) {
    return (uint64_t *)fl_window_look().taken;
}
DAMAGE(owned_and_not_taken, fl_pagebits_clear(taken(), fl_region_index(region), 1))
DAMAGE(taken_out_of_reach, set(taken(), fl_window_look().max - 1))
DAMAGE(owned_and_kept, region->keeper = osmem_backend_system())
DAMAGE(length_of_table, fl_the_window.pages -= FL_REGION_PAGES)
static void free_and_mapped(void) {
    if (!free_region)
        skip_case();
    free_region->mapped = 1;
}

static void change_state(fl_slab *it, fl_slab_state state) {
    it->word = fl_word_with_state(it->word, state);
}
static void change_owner(fl_slab *it, uint32_t owner) {
    it->word = (it->word & ~(FL_WORD_OWNER_MASK << FL_WORD_OWNER_SHIFT)) | (fl_word)owner
                                                                               << FL_WORD_OWNER_SHIFT;
}

DAMAGE(previous_listed, listed->previous = current)
DAMAGE(class_of_listed, listed->size_class++)
DAMAGE(arena_of_listed, listed->arena = fl_arena_find(other))
DAMAGE(kind_of_listed, listed->kind = FL_KIND_LARGE)
DAMAGE(listed_as_purged, listed->purged_live = 5)
DAMAGE(listed_with_owner, change_owner(listed, heap->tag))
DAMAGE(listed_and_floating, change_state(listed, FL_FLOATING))
static void more_live_than_purged(void) {
    need_purged();
    purged->purged_live = 0;
}
DAMAGE(tag_of_listed, fl_slab_tag(listed, heap->tag))
DAMAGE(last_listed, fl_arena_find(arena)->listed[listed->size_class].last = current)
DAMAGE(listed_count, fl_arena_find(arena)->listed_count++)
DAMAGE(purged_bytes, fl_arena_find(arena)->pages.purged_bytes++)

DAMAGE(parked_and_not_linked, full->linked = 0)
DAMAGE(full_as_partial, full->partial = 1)
DAMAGE(parked_of_another, change_owner(partial, heap->tag + 1))
DAMAGE(parked_and_current, change_state(full, FL_CURRENT))
DAMAGE(tag_of_parked, fl_slab_tag(full, 0))
DAMAGE(previous_parked, heap->partial[partial->size_class].first->previous = full)
DAMAGE(last_parked, heap->full.last = current)
static void class_of_parked(void) {
    heap->partial[0] = heap->partial[partial->size_class];
    heap->partial[partial->size_class] = (fl_parked){NULL, NULL};
}
DAMAGE(partial_bytes, heap->partial_bytes++)
DAMAGE(current_of_another_class, heap->current[0] = current)
DAMAGE(current_and_parked, change_state(current, FL_PARKED))
DAMAGE(tag_of_current, fl_entries_write(current->start + FL_PAGE_BYTES, 1, 0))
DAMAGE(direct, heap->direct[48 / 16] = &fl_empty_slab)
DAMAGE(notified_and_parked, change_state(notified, FL_PARKED))
DAMAGE(notified_in_circles, notified->notified_next = notified)
DAMAGE(tag_of_heap, heap->entry_tag ^= 1)
DAMAGE(block_of_empty_slab, fl_empty_slab.free = blocks[0])

DAMAGE(too_much_carved, (slab_audited = current)->carved = current->capacity + 1)
DAMAGE(blocks_of_class, (slab_audited = current)->block_bytes += 16)
DAMAGE(pages_of_slab, (slab_audited = current)->pages *= 2)
DAMAGE(dead, change_state(slab_audited = floating, FL_DEAD))
DAMAGE(current_of_nobody, change_owner(slab_audited = current, 0))
DAMAGE(floating_with_owner, change_owner(slab_audited = floating, heap->tag))
static void away_in_secret(void) {
    need_purged();
    (slab_audited = purged)->decommitted &= purged->decommitted - 1;
}
DAMAGE(there_in_secret, (slab_audited = current)->decommitted |= 1)
static void units_without_slab(void) {
    const fl_class *sizes = &fl_classes[current->size_class];
    if ((size_t)sizes->slab_pages << FL_PAGE_SHIFT >> sizes->unit_shift == 64)
        skip_case(); /* it has as many as there are bits */
    (slab_audited = current)->decommitted = UINT64_C(1) << 63;
}
static void link_out_of_slab(void) {
    slab_audited = partial;
    fl_link_set(partial->free, current->start);
}
static void link_into_block(void) {
    slab_audited = partial;
    fl_link_set(partial->free, (char *)partial->free + 16);
}
static void link_to_itself(void) {
    slab_audited = partial;
    fl_link_set(partial->free, partial->free);
}
static void link_to_what_is_away(void) {
    need_purged();
    size_t last = (size_t)(63 - __builtin_clzll(purged->decommitted));
    size_t index = (last << fl_classes[purged->size_class].unit_shift) / purged->block_bytes;
    (slab_audited = purged)->free = purged->start + index * purged->block_bytes;
}
static void free_lost(void) {
    slab_audited = partial;
    partial->free = fl_link_get(partial->free);
}
DAMAGE(used_count, (slab_audited = current)->countdown--)
DAMAGE(push_count, (slab_audited = notified)->word -= FL_WORD_COUNT_ONE)
DAMAGE(live_count, (slab_audited = listed)->word += FL_WORD_COUNT_ONE)
DAMAGE(listed_and_full, change_state(slab_audited = floating, FL_LISTED))
DAMAGE(floating_and_empty, change_state(slab_audited = listed, FL_FLOATING))

static void tally_too_high(void) {
    uint32_t live[64];
    for (size_t unit = 0; unit < 64; unit++)
        live[unit] = listed->capacity;
    fl_scarce_begin(&listed->arena->pages);
    fl_tally_set(slab_audited = listed, live);
}

DAMAGE(current_nowhere, fl_heap_set_current(heap, current->size_class, &fl_empty_slab))
DAMAGE(parked_nowhere, heap->full = (fl_parked){NULL, NULL})
DAMAGE(notified_nowhere, heap->notified = NULL)
static void listed_nowhere(void) {
    fl_arena_find(arena)->listed[listed->size_class] = (fl_slab_list){NULL, NULL};
    fl_arena_find(arena)->listed_count--;
}
DAMAGE(claimed_nowhere, change_state(floating, FL_CLAIMED))
static void unsettled_and_listed(void) {
    listed->next = NULL;
    fl_arena_find(arena)->unsettled = listed;
}
DAMAGE(owned, heap->owned++)
DAMAGE(heap_count, fl_arena_find(arena)->pages.heap_count++)
DAMAGE(previous_heap, fl_arena_find(arena)->heaps->previous = heap)
DAMAGE(arena_of_heap, heap->arena = fl_arena_find(other))
DAMAGE(pool_pages, fl_arena_find(arena)->pool_pages--)
DAMAGE(decommitted_bytes, fl_arena_find(arena)->pages.decommitted_bytes++)
DAMAGE(filled_bytes, fl_arena_find(arena)->pages.filled_bytes++)
DAMAGE(reclaimable_bytes, fl_arena_find(arena)->pages.reclaimable_bytes++)
static void leaving_pages(void) {
    fl_arena_find(arena)->pages.used_pages--;
    fl_arena_find(arena)->pages.leaving_pages++;
}
DAMAGE(slab_not_granted, fl_pages_return(&fl_arena_find(arena)->pages, floating->start, floating->pages))
DAMAGE(large_not_granted,
       fl_pages_return(&fl_arena_find(arena)->pages, large->start, fl_the_window.grain_pages))
DAMAGE(slab_of_another_arena, floating->arena = fl_arena_find(other))
DAMAGE(entry_of_other_pages, fl_entries_write(page_start(idle_page), 1, fl_entry_make(large, 0)))
DAMAGE(entry_of_nothing, fl_entries_write(page_start(idle_page), 1, 128))
DAMAGE(tag_of_large, fl_entries_write(large->start, 1, fl_entry_make(large, heap->tag)))
DAMAGE(tag_of_floating, fl_slab_tag(floating, heap->tag))

static const struct damage {
    const char *name;
    void (*make)(void);
    void (*audit)(void);
    const char *wanted; /* in the line */
} damages[] = {
#define CASE(function, audit, wanted) \
    { #function, function, audit, wanted }
    CASE(previous_region, pages, "link back in its arena's list"),
    CASE(region_of_another, pages, "in the list of an arena that does not own it"),
    CASE(region_not_in_tree, pages, "in its arena's list, but not in the tree"),
    CASE(mapped_and_reserved, pages, "mapped and reserved at once"),
    CASE(mapped_and_lost, pages, "mapped and lost at once"),
    CASE(growing_and_mapped, pages, "growing, and mapped or lost already"),
    CASE(small_and_not_mapped, pages, "to stay small has nothing mapped"),
    CASE(advised_and_not_mapped, pages, "advised or purged has nothing mapped"),
    CASE(moved_and_not_mapped, pages, "moved to, but its chunk is not mapped"),
    CASE(cut_and_not_moved, pages, "neither it nor the one before was moved to"),
    CASE(moved_and_not_cut, pages, "but it is no cut"),
    CASE(cuts_of_process, window, "number of cuts is 1, but the regions' bits comes to 0"),
    CASE(advised_of_process, window, "number of advised regions is 1"),
    CASE(advised_of_arena, pages, "advised regions are fewer than the arena's"),
    CASE(cuts_of_arena, pages, "cuts are fewer than the arena's"),
    CASE(prepared_and_not_mapped, pages, "prepared, kept or gone, but its chunk is not mapped"),
    CASE(in_use_and_not_mapped, pages, "in use, but its chunk is not mapped"),
    CASE(lost_and_not_in_use, pages, "in a lost or growing chunk, but not in use"),
    CASE(prepared_and_kept, pages, "prepared and kept at once"),
    CASE(prepared_and_gone, pages, "prepared and gone at once"),
    CASE(kept_and_in_use, pages, "kept and in use at once"),
    CASE(gone_and_not_in_use, pages, "gone, but not in use"),
    CASE(idle_of_region, pages, "the region's bit for idle pages"),
    CASE(vacant_of_region, pages, "the region's bit for vacancy"),
    CASE(runs_of_branch, pages, "the runs in an entry of this branch"),
    CASE(idle_of_branch, pages, "a bit for idle pages in this branch"),
    CASE(vacant_of_branch, pages, "a bit for vacant regions in this branch"),
    CASE(root_has_parent, pages, "the root of a tree has a parent"),
    CASE(base_of_tree, pages, "at a multiple of what its root covers"),
    CASE(region_in_tree_twice, pages, "not the one for its place"),
    CASE(region_not_in_list, pages, "the number of regions in the tree is "),
    CASE(chunks_mapped, pages, "chunks_mapped is"),
    CASE(ready_pages, pages, "ready_pages is"),
    CASE(used_pages, pages, "used_pages + leaving_pages is"),
    CASE(kept_pages, pages, "kept_pages is 1, but the bits of kept pages comes to 0"),
    CASE(idle_shown, pages, "idle_shown is"),
    CASE(family_bytes, pages, "the family's Ready pages are fewer"),
    CASE(process_bytes, pages, "the process's Ready pages are fewer"),
    CASE(given_back_in_secret, pages, "free and Ready, to osmem Prepared"),
    CASE(used_in_secret, pages, "to the arena the page is Prepared, to osmem Ready"),
    CASE(freed_in_secret, pages, "to the arena the page is granted, to osmem None"),
    CASE(reserved_in_secret, pages, "to the arena the page is None, to osmem Reserved"),
    CASE(mapped_in_secret, pages, "to the arena the page is "),
    CASE(span_twice, spans, "have pages in common"),
    CASE(span_without_pages, spans, "has no pages"),
    CASE(span_of_free_pages, spans, "a span that is kept is not granted"),
    CASE(span_with_owner, spans, "has an owner in the table"),
    CASE(span_too_long, spans, "than a heap may keep"),
    CASE(owned_and_not_taken, window, "has an owner, but is not taken"),
    CASE(taken_out_of_reach, window, "taken, but has no header"),
    CASE(owned_and_kept, window, "has an owner, and is kept"),
    CASE(length_of_table, window, "the table's length in pages is"),
    CASE(free_and_mapped, window, "not taken, but chunks of it are mapped"),
    CASE(previous_listed, lists, "link back in its arena's list"),
    CASE(class_of_listed, lists, "in the list of another class"),
    CASE(arena_of_listed, lists, "in a list of another arena"),
    CASE(kind_of_listed, lists, "the descriptor is of no slab"),
    CASE(listed_as_purged, lists, "among the purged ones and was not purged, or the other way"),
    CASE(listed_with_owner, lists, "listed as abandoned, but has an owner"),
    CASE(listed_and_floating, lists, "neither LISTED nor claimed"),
    CASE(more_live_than_purged, lists, "than when it was purged"),
    CASE(tag_of_listed, lists, "the page's entry in the table"),
    CASE(last_listed, lists, "the list's last slab"),
    CASE(listed_count, lists, "listed_count is"),
    CASE(purged_bytes, lists, "purged_bytes is"),
    CASE(parked_and_not_linked, heaps, "not marked as linked"),
    CASE(full_as_partial, heaps, "among the full ones and marked as partial"),
    CASE(parked_of_another, heaps, "in the list of a heap that does not own it"),
    CASE(parked_and_current, heaps, "neither PARKED nor NOTIFIED"),
    CASE(tag_of_parked, heaps, "the page's entry in the table"),
    CASE(previous_parked, heaps, "link back in its heap's list"),
    CASE(last_parked, heaps, "the list's last slab"),
    CASE(class_of_parked, heaps, "in the list of another class"),
    CASE(partial_bytes, heaps, "partial_bytes is"),
    CASE(current_of_another_class, heaps, "current for another class"),
    CASE(current_and_parked, heaps, "current in a heap, but not CURRENT"),
    CASE(tag_of_current, heaps, "the page's entry in the table"),
    CASE(direct, heaps, "the slab for a size is not the current one"),
    CASE(notified_and_parked, heaps, "but not NOTIFIED"),
    CASE(notified_in_circles, heaps, "more slabs are notified of than the heap owns"),
    CASE(tag_of_heap, heaps, "two tags"),
    CASE(block_of_empty_slab, heaps, "the empty slab has a free block"),
    CASE(too_much_carved, slab, "more blocks are carved"),
    CASE(blocks_of_class, slab, "not those of its class"),
    CASE(pages_of_slab, slab, "not as many as its class needs"),
    CASE(dead, slab, "DEAD, or in no state"),
    CASE(current_of_nobody, slab, "but names none"),
    CASE(floating_with_owner, slab, "but names an owner"),
    CASE(away_in_secret, slab, "the unit is there to its slab, to osmem it is not Ready"),
    CASE(there_in_secret, slab, "the unit is decommitted to its slab, to osmem it is not Prepared"),
    CASE(units_without_slab, slab, "units are decommitted that the slab does not have"),
    CASE(link_out_of_slab, slab, "leads out of the slab"),
    CASE(link_into_block, slab, "not the start of a block that was carved"),
    CASE(link_to_itself, slab, "in lists of free blocks twice"),
    CASE(link_to_what_is_away, slab, "touches a unit that is decommitted"),
    CASE(free_lost, slab, "the owner's count of used blocks (countdown + threshold) is"),
    CASE(used_count, slab, "the owner's count of used blocks (countdown + threshold) is"),
    CASE(push_count, slab, "the word's count of pushes is"),
    CASE(live_count, slab, "the word's count of live blocks is 6, but"),
    CASE(listed_and_full, slab, "LISTED, but has no free block"),
    CASE(floating_and_empty, slab, "enough free blocks to be listed"),
    CASE(tally_too_high, slab, "tally is higher than the number of live blocks"),
    CASE(current_nowhere, quiet, "the number of CURRENT slabs in the table"),
    CASE(parked_nowhere, quiet, "the number of PARKED and NOTIFIED slabs in the table"),
    CASE(notified_nowhere, quiet, "the number of NOTIFIED slabs in the table is 1, but"),
    CASE(listed_nowhere, quiet, "the number of LISTED slabs in the table"),
    CASE(claimed_nowhere, quiet, "the number of CLAIMED slabs in the table is 1, but"),
    CASE(unsettled_and_listed, quiet, "waits to be settled, but is not CLAIMED"),
    CASE(owned, quiet, "what heaps own by their own count is"),
    CASE(heap_count, quiet, "heap_count is"),
    CASE(previous_heap, quiet, "the heap's link back"),
    CASE(arena_of_heap, quiet, "the heap is in the list of another arena"),
    CASE(pool_pages, quiet, "used_pages is"),
    CASE(decommitted_bytes, quiet, "decommitted_bytes is"),
    CASE(filled_bytes, quiet, "filled_bytes is"),
    CASE(reclaimable_bytes, quiet, "reclaimable_bytes is"),
    CASE(leaving_pages, quiet, "leaving_pages of an arena that nobody uses is 1"),
    CASE(slab_not_granted, quiet, "the page is a slab's, but not granted"),
    CASE(large_not_granted, quiet, "the page is a large block's, but not granted"),
    CASE(slab_of_another_arena, quiet, "its slab in another arena"),
    CASE(entry_of_other_pages, quiet, "a descriptor of other pages"),
    CASE(entry_of_nothing, quiet, "leads to no descriptor"),
    CASE(tag_of_large, quiet, "neither of a slab nor of a large block"),
    CASE(tag_of_floating, quiet, "one in the table, another in its word"),
};

static _Noreturn void commit(const struct damage *it, int descriptor) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    set_up();
    quiet();
    heaps();
    if (fl_audit_window() != 0)
        _exit(3);
    dup2(descriptor, 2);
    it->make();
    it->audit();
    _exit(2);
}

static void expect_stop(const struct damage *it) {
    int ends[2], status;
    char text[2048];
    size_t length = 0;
    CHECK_EQUAL(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        commit(it, ends[1]);
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    close(ends[0]);
    text[length] = '\0';
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("skipped audit_finds_%s\n", it->name);
        return;
    }
    bool stopped = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    if (!stopped || !strstr(text, it->wanted))
        fprintf(stderr, "%s: status %x, wrote: %s\n", it->name, (unsigned)status, text);
    CHECK(stopped && !strncmp(text, "fallow: audit of 0x", 19) && strstr(text, it->wanted));
    printf("ok audit_finds_%s\n", it->name);
}

/* Sound books. */

#define THREADS 4
#define STEPS 20000
#define SLOTS 512

static uint64_t seed;
static _Atomic(void *) slots[SLOTS];

/* Blocks of all sizes, freed by whoever comes by. */
static void *mix(void *argument) {
    uint64_t random = seed + (uintptr_t)argument;
    for (int step = 0; step < STEPS; step++) {
        uint64_t r = check_random(&random);
        size_t bytes = r % 64 == 0 ? r / 64 % (512 << 10) : r % 8 == 0 ? r / 64 % 20000 : r / 64 % 600;
        void *old = slots[r >> 40 & (SLOTS - 1)], *block = r >> 60 < 9 ? alloc(bytes + 1) : NULL;
        old = atomic_exchange(&slots[r >> 40 & (SLOTS - 1)], block);
        fallow_arena_free(arena, old);
    }
    return NULL;
}

static void mix_in_threads(void) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, mix, (void *)i), 0);
    mix((void *)THREADS);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

static void audit_everything(void) {
    quiet();
    lists();
    for (const fl_heap *it = fl_arena_find(arena)->heaps; it; it = it->next)
        fl_audit_heap(it);
    CHECK_EQUAL(fl_audit_window(), 0);
    fl_audit_pages(&fl_process_arena->pages);
}

static bool see(void *context, void *block, size_t bytes) {
    (void)block, (void)bytes;
    ++*(size_t *)context;
    return true;
}

static void audit_passes_sound_books(void) {
    fallow_arena *unused = fallow_arena_create("first", 0); /* makes what a thread has for good */
    CHECK(fallow_arena_alloc(unused, 1));
    fallow_arena_destroy(unused);
    size_t descriptors = fl_audit_descriptors_out(), heaps_before = fl_audit_heaps_out(), seen = 0;
    arena = fallow_arena_create("sound", 0);
    audit_everything();
    for (int round = 0; round < 6; round++) {
        mix_in_threads();
        audit_everything();
        fl_scavenger_give_back(&fl_arena_find(arena)->pages, SIZE_MAX, FL_CAUSE_REQUEST, true);
        audit_everything();
        if (round == 2) {
            memset(slots, 0, sizeof slots);
            fallow_arena_reset(arena, 1 << 20);
            audit_everything();
        }
    }
    CHECK(fallow_arena_walk(arena, see, &seen));
    for (size_t i = 0; i < SLOTS; i++)
        fallow_arena_free(arena, slots[i]);
    CHECK(seen > 0);
    audit_everything();
    fallow_arena_destroy(arena);
    CHECK_EQUAL(fl_audit_window(), 0);
    CHECK_EQUAL(fl_audit_descriptors_out(), descriptors);
    CHECK_EQUAL(fl_audit_heaps_out(), heaps_before);
}

/* Of an arena that lives on in the child of a fork nothing is said. */
static void audit_leaves_forked_arenas_alone(void) {
    set_up();
    pid_t child = fork();
    if (child == 0) {
        reclaimable_bytes();
        quiet();
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fallow_arena_destroy(arena);
    fallow_arena_destroy(other);
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
#ifdef __SANITIZE_THREAD__
    printf("one thread each, and a fork each: nothing for ThreadSanitizer, and minutes\n");
    return 77;
#endif
    /* First, so that each process begins with a fallow of its own. */
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++)
        expect_stop(&damages[i]);
    RUN(audit_passes_sound_books);
    RUN(audit_leaves_forked_arenas_alone);
    return 0;
}

#else

int main(void) {
    printf("skipped: no audits in this build\n");
    return 77;
}

#endif
