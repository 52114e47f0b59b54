/* SPDX-License-Identifier: MIT */
#include "oracle.h"

#include "../../src/arena/charge.h"
#include "../../src/arena/page_audit.h"
#include "../../src/heap/heap_audit.h"
#include "../../src/heap/registry.h"
#include "../../src/heap/thread.h"
#include "../../src/osmem/checker.h"
#include "../../src/slab/arenas.h"
#include "../../src/slab/descriptors.h"
#include "../../src/slab/tally.h"
#include "../../src/slab/trap.h"
#include "blocks.h"
#include "faults.h"
#include "program.h"
#include "threads.h"

#define FULL_EVERY 64 /* operations */

static bool is_free(const fl_lock *lock) {
    return sim_lock_owner(&lock->mutex) == NULL;
}

static bool is_free_of(fl_rank rank) {
    return is_free(fl_lock_of(rank));
}

void oracle_no_pages_lock(const char *what) {
    for (unsigned i = 0; i < ARENAS_MAX; i++)
        if (slots[i].arena && sim.self && !sim.deaf &&
            sim_lock_owner(&slots[i].inside->pages.lock.mutex) == sim.self)
            sim_fail("%s with the lock of an arena's pages held", what);
}

/* By the ledger, not by the arena's own count. */
static void check_limits(void) {
    size_t all = 0;
    if (!is_free_of(FL_LOCK_LEDGER))
        return;
    for (unsigned i = 0; i < ARENAS_MAX; i++) {
        if (!slots[i].arena || slots[i].exclusive || slots[i].half_done)
            continue;
        size_t ready = slots[i].inside->pages.stat.bytes.ready, limit = slots[i].limit_bytes;
        all += slots[i].parent < 0 ? ready : 0;
        if (limit && ready > limit)
            sim_fail("arena %u has %zu bytes Ready, and its limit is %zu", i, ready, limit);
    }
    if (the_program.process_limit_bytes && !the_program.moves && all > the_program.process_limit_bytes)
        sim_fail("%zu bytes are Ready (%zu by the library's count), and the limit of the process is %zu", all,
                 fl_process_ready_bytes, the_program.process_limit_bytes);
}

/* Books whose lock is free; of an arena that is being made or ended nothing can be said. */
static void audit(const slot *it) {
    const fallow_arena *arena = it->inside;
    if (is_free(&arena->pages.lock))
        fl_audit_pages(&arena->pages);
    if (is_free(&arena->lists_lock))
        fl_audit_lists(arena);
    if (is_free(&arena->heaps_lock))
        for (const fl_heap *heap = arena->heaps; heap; heap = heap->next)
            if (is_free(&heap->lock))
                (void)fl_audit_parked(heap);
}

/* Regions' bits and what the process counts of them change together, under their arena's lock; where a region
 * comes or leaves, in the hands of who holds another one of the arena's, or ends it. */
static bool are_still(const fl_pagearena *pages) {
    return is_free(&pages->lock) && is_free(&pages->ground_lock) && is_free(&pages->upkeep.lock);
}

static bool pages_are_still(void) {
    for (unsigned i = 0; i < ARENAS_MAX; i++)
        if (slots[i].exclusive || slots[i].half_done ||
            (slots[i].arena && !are_still(&slots[i].inside->pages)))
            return false;
    return are_still(&fl_process_arena->pages);
}

void oracle_full(void) {
    sim.deaf++;
    check_limits();
    for (unsigned i = 0; i < ARENAS_MAX; i++)
        if (slots[i].arena && !slots[i].exclusive && !slots[i].half_done)
            audit(&slots[i]);
    if (is_free_of(FL_LOCK_WINDOW) && pages_are_still())
        (void)fl_audit_window();
    sim.deaf--;
}

void oracle_after_operation(void) {
    static unsigned count;
    if (sim.self->locks_held)
        sim_fail("an operation has ended with %u locks held", sim.self->locks_held);
    if (++count % FULL_EVERY == 0)
        oracle_full();
}

static void check_ledger(void) {
    osmem_sim_figures truth = osmem_sim_read(sim_system());
    osmem_bytes ledger = osmem_stat_read(&fl_stat_process, NULL);
    if (truth.broken)
        sim_fail("%llu calls of the system broke a rule", (unsigned long long)truth.broken);
    if (ledger.reserved != truth.inaccessible_bytes)
        sim_fail("the ledger has %zu bytes Reserved, the system %zu", ledger.reserved,
                 truth.inaccessible_bytes);
    if (ledger.prepared + ledger.ready != truth.accessible_bytes)
        sim_fail("the ledger has %zu bytes Prepared and %zu Ready, the system %zu", ledger.prepared,
                 ledger.ready, truth.accessible_bytes);
}

/* The library's own thread is in the middle of nothing either. */
static bool nobody_gives_back(void) {
    if (!is_free(&fl_process_arena->pages.upkeep.lock))
        return false;
    for (unsigned i = 0; i < ARENAS_MAX; i++)
        if (slots[i].arena && !is_free(&slots[i].inside->pages.upkeep.lock))
            return false;
    return true;
}

/* What limits go by: an arena counts what it and those below it have, and nothing else. (In the child of a
 * fork, one that was being ended may be below it as well.) */
static void check_families(void) {
    for (int i = 1; i < ARENAS_MAX && !sim.is_child; i++) {
        size_t bytes = 0;
        for (int k = 1; k < ARENAS_MAX && slots[i].arena; k++)
            if (slots[k].arena && arena_is_below(k, i))
                bytes += (slots[k].inside->pages.ready_pages << FL_PAGE_SHIFT) -
                         slots[k].inside->pages.decommitted_bytes;
        if (slots[i].arena && slots[i].inside->pages.family_bytes != bytes)
            sim_fail("arena %d counts %zu bytes, and has %zu with those below it", i,
                     (size_t)slots[i].inside->pages.family_bytes, bytes);
    }
}

/* The shedder of a soft limit has been asked since the arena was last below it, or the next tick sees that it
 * must be. */
static void check_soft_shedders(void) {
    for (slot *it = slots; it < slots + ARENAS_MAX; it++) {
        const fl_limits *limits = it->arena ? &it->inside->pages.limits : NULL;
        if (!limits || !it->has_soft_shedder)
            continue;
        if (it->inside->pages.family_bytes <= limits->soft_bytes)
            it->soft_asked_below = it->soft_asked;
        else if (it->soft_asked <= it->soft_asked_below && !(limits->soft_crossed && fl_soft_limit_crossed))
            sim_fail(
                "arena %d is %zu bytes above its soft limit, and its shedder has not been asked, nor will be",
                (int)(it - slots), it->inside->pages.family_bytes - limits->soft_bytes);
    }
}

/* Has any of its groups of pages changed since somebody looked? */
static bool is_noted(const fl_slab *slab) {
    for (size_t page = 0; page < slab->pages; page++) {
        const char *at = slab->start + (page << FL_PAGE_SHIFT);
        if (fl_region_of(at)->changed >> (fl_page_of(at) % FL_REGION_PAGES / FL_GROUP_PAGES) & 1)
            return true;
    }
    return false;
}

static uint64_t idle_units(const fl_slab *slab) {
    static fl_blocks blocks;
    size_t units = (slab->pages << FL_PAGE_SHIFT) >> fl_unit_shift(slab);
    uint64_t idle = fl_unit_bits(0, units - 1) & ~slab->decommitted;
    fl_blocks_find(slab, fl_word_head(slab->word), &blocks);
    for (uint32_t block = 0; block < slab->carved; block++)
        if (blocks.live[block / 64] >> (block % 64) & 1)
            idle &= ~fl_units_of(slab, block);
    return idle;
}

/* At a limit, who wants memory finds each idle page of slabs that nobody owns: something has changed there,
 * and what is known of the slab allows it. */
static void check_found(const fallow_arena *arena, const fl_slab *slab) {
    uint64_t idle = idle_units(slab);
    uint32_t live = fl_word_live(slab->word);
    if (idle && !is_noted(slab))
        sim_fail("units %llx of the slab at %p of %s are idle, and nobody has said so",
                 (unsigned long long)idle, (void *)slab->start, arena->name);
    if (idle && (live > slab->idle_below || live == slab->purged_live ||
                 !fl_slab_may_have_idle_unit(slab, live) || !fl_tally_allows_idle(slab)))
        sim_fail("units %llx of the slab at %p are idle, %u blocks live, and nobody looks (%u, %u)",
                 (unsigned long long)idle, (void *)slab->start, live, slab->idle_below, slab->purged_live);
}

static void check_given(const fallow_arena *arena, const fl_slab *slab) {
    uint64_t idle = idle_units(slab);
    if (idle)
        sim_fail("units %llx of the slab at %p of %s are idle (%u blocks live, %u when purged), and "
                 "everything was to go",
                 (unsigned long long)idle, (void *)slab->start, arena->name, fl_word_live(slab->word),
                 slab->purged_live);
}

/* Looks at each slab that nobody owns. (What the system does not take back, as some do, stays and is said
 * once.) */
static void check_abandoned(const fallow_arena *arena,
                            void check(const fallow_arena *arena, const fl_slab *slab)) {
    for (const fl_region *region = arena->pages.regions; region; region = region->next)
        for (size_t page = 0; page < FL_REGION_PAGES; page++) {
            const char *start = fl_region_start(region) + (page << FL_PAGE_SHIFT);
            const fl_slab *slab = fl_entry_slab(fl_entry_of(start));
            if (!fl_entry_of(start) || slab->start != start || slab->kind != FL_KIND_SLAB)
                continue;
            fl_slab_state state = fl_word_state(slab->word);
            if (state == FL_LISTED || state == FL_FLOATING)
                check(arena, slab);
        }
}

void oracle_given_back(void) {
    sim.deaf++;
    check_abandoned(fl_process_arena, check_given);
    for (unsigned i = 0; i < ARENAS_MAX; i++)
        if (slots[i].arena)
            check_abandoned(slots[i].inside, check_given);
    sim.deaf--;
}

void oracle_quiet(void) {
    oracle_full();
    for (unsigned i = 0; i < ARENAS_MAX; i++)
        slots[i].stays = false;
    sim.deaf++;
    if (nobody_gives_back()) {
        check_ledger();
        check_families();
        check_soft_shedders();
        for (unsigned i = 0; i < ARENAS_MAX; i++)
            if (slots[i].arena) {
                fl_audit_arena_quiet(slots[i].inside);
                if (fl_pagearena_is_scarce(&slots[i].inside->pages) && !sim_faults_are_there() &&
                    !sim.is_child)
                    check_abandoned(slots[i].inside, check_found);
            }
    }
    BLOCKS_EACH(it)
    if (it->start)
        blocks_verify(it, "while everybody stands still");
    sim.deaf--;
}

static void show_use(const fl_pagearena *pages) {
    for (const fl_region *region = pages->regions; region; region = region->next)
        for (size_t page = 0; page < FL_REGION_PAGES; page++) {
            const char *start = fl_region_start(region) + (page << FL_PAGE_SHIFT);
            if (!(region->in_use[page / 64] >> (page % 64) & 1))
                continue;
            const fl_slab *slab = fl_entry_slab(fl_entry_of(start));
            sim_note("page %p is in use, entry %llx", start, (unsigned long long)fl_entry_of(start));
            if (slab)
                sim_note("    slab %p of class %d, word state %d live %u owner %u, %u used, decommitted %llx",
                         (void *)slab, slab->size_class, fl_word_state(slab->word), fl_word_live(slab->word),
                         fl_word_owner(slab->word), fl_slab_used(slab),
                         (unsigned long long)slab->decommitted);
        }
}

/* What no arena has takes no memory, unless the system insisted. */
static void check_nobodys_regions(void) {
    size_t regions = fl_the_window.pages / FL_REGION_PAGES;
    for (size_t i = 0; i < regions && !sim_faults_are_there(); i++) {
        const fl_region *region = &fl_the_window.regions[i];
        for (size_t at = 0, alike; at < FL_REGION_BYTES && !region->arena; at += alike) {
            alike = FL_REGION_BYTES - at;
            if (fl_checker_state_of(&fl_stat_meta, fl_region_start(region) + at, &alike) == FL_READY)
                sim_fail("at the end, %p of a region that is nobody's is Ready",
                         (void *)(fl_region_start(region) + at));
        }
    }
}

/* Pages of freed blocks that the system has not taken. */
static size_t kept_by_traps(void) {
    size_t bytes = 0;
    for (size_t i = 0; i < fl_the_traps.count; i++)
        bytes += fl_the_traps.all[i].ready_bytes;
    return sim_faults_are_there() ? bytes : 0;
}

void oracle_end(void) {
    const fl_pagearena *pages = &fl_process_arena->pages;
    oracle_quiet();
    sim.deaf++;
    check_ledger();
    if (pages->used_pages || pages->ready_pages || pages->kept_pages || pages->leaving_pages)
        show_use(&fl_process_arena->pages);
    if (pages->used_pages || pages->ready_pages || pages->kept_pages || pages->leaving_pages)
        sim_fail("at the end, %zu pages are in use, %zu Ready, %zu kept, %zu leaving", pages->used_pages,
                 pages->ready_pages, pages->kept_pages, pages->leaving_pages);
    osmem_bytes left = osmem_stat_read(&pages->stat, NULL);
    size_t kept = kept_by_traps();
    if (left.ready != kept)
        sim_fail("at the end, %zu bytes of malloc's arena are Ready", left.ready);
    if (pages->family_bytes != kept || fl_process_ready_bytes != kept || pages->decommitted_bytes)
        sim_fail("at the end, %zu bytes count in the arena, %zu in the process, %zu bytes are decommitted",
                 pages->family_bytes, fl_process_ready_bytes, pages->decommitted_bytes);
    check_nobodys_regions();
    if (fl_audit_descriptors_out() || fl_audit_heaps_out())
        sim_fail("at the end, %zu descriptors and %zu heaps are not to be used again",
                 fl_audit_descriptors_out(), fl_audit_heaps_out());
    for (unsigned i = 0; i < sim.threads; i++)
        if (sim.thread[i].state != SIM_ENDED && &sim.thread[i] != sim.self)
            sim_fail("at the end, thread %u is still there", i);
    sim.deaf--;
}
