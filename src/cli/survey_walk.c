/* SPDX-License-Identifier: MIT */
/*
 * survey_walk.c: walks the pages, by what regions say of each, and what the table and the descriptors say of
 * those in use.
 */
#include <stdlib.h>
#include <string.h>

#include "../slab/slabword.h"
#include "survey.h"

#define REGION_PAGES 256
#define REGION_WORDS (REGION_PAGES / 64)
#define BATCH_REGIONS 64
#define LINE_BYTES ((size_t)4096) /* descriptors are read together: the next is likely to be wanted too */
#define LINES 1024
#define LOOKS 4 /* at a descriptor that changes all the time */
#define KIND_SLAB 1
#define KIND_LARGE 2
#define TRAP_LIVE 1
#define TRAPS_MAX 65536

typedef struct walk {
    const fl_survey *survey;
    fl_survey_visit *visit;
    void *context;
    char *regions, *lines;
    uint64_t *table;
    uint64_t line_at[LINES]; /* which stretch of memory a line holds; 0: none */
    fl_run run;              /* of pages that look alike, not shown yet; bytes 0: there is none */
    fl_run block;            /* the slab or block that pages belong to from here on */
    uint64_t block_end;      /* up to here */
    size_t span;             /* the first that ends behind here */
} walk;

uint64_t fl_run_decommitted_bytes(const fl_run *run) {
    uint64_t bytes = 0;
    if (run->use == FL_USE_PREPARED)
        return run->bytes;
    for (unsigned unit = 0; unit < 64 && run->decommitted >> unit; unit++) {
        uint64_t start = (uint64_t)unit << run->unit_shift;
        if ((run->decommitted >> unit & 1) && start < run->bytes)
            bytes += run->bytes - start < UINT64_C(1) << run->unit_shift ? run->bytes - start
                                                                         : UINT64_C(1) << run->unit_shift;
    }
    return bytes;
}

static void flush(walk *its) {
    if (its->run.bytes)
        its->visit(its->context, &its->run);
    its->run.bytes = 0;
}

/* Makes one run of what looks the same and lies side by side, in one region. */
static void show(walk *its, const fl_run *run) {
    fl_run *last = &its->run;
    bool same = last->bytes && last->use == run->use && last->arena == run->arena && last->tag == run->tag &&
                last->start + last->bytes == run->start && run->start % its->survey->region_bytes &&
                run->use != FL_USE_SLAB && (run->use != FL_USE_LARGE || run->continues);
    if (same) {
        last->bytes += run->bytes;
        return;
    }
    flush(its);
    *last = *run;
}

/* Reads a descriptor from lines that were read with its neighbours; or, if `afresh`, from the process. */
static bool read_descriptor(walk *its, uint64_t address, bool afresh, char *descriptor) {
    const fl_target *target = its->survey->target;
    size_t bytes = target->root.sizes[FL_OF_slab], offset = address % LINE_BYTES;
    uint64_t line = address - offset;
    size_t place = line / LINE_BYTES % LINES;
    char *at = its->lines + place * LINE_BYTES;
    if (afresh || offset + bytes > LINE_BYTES)
        return fl_target_read(target, address, descriptor, bytes);
    if (its->line_at[place] != line) {
        its->line_at[place] = 0;
        if (!fl_target_read(target, line, at, LINE_BYTES))
            return fl_target_read(target, address, descriptor, bytes);
        its->line_at[place] = line;
    }
    memcpy(descriptor, at + offset, bytes);
    return true;
}

static uint32_t live_of(const fl_target *target, const char *descriptor) {
    uint32_t used = (uint32_t)(fl_target_member(target, descriptor, FL_AT_slab_countdown) +
                               fl_target_member(target, descriptor, FL_AT_slab_threshold));
    return fl_word_live_with(fl_target_member(target, descriptor, FL_AT_slab_word), used);
}

/* Reads what begins at a page, by the descriptor that the table leads to. Returns false if that is nothing,
 * or by now another's. */
static bool look_at(walk *its, uint64_t address, uint64_t start, uint32_t arena, bool afresh, fl_run *block) {
    const fl_survey *survey = its->survey;
    const fl_target *target = survey->target;
    char descriptor[UINT16_MAX];
    if (!read_descriptor(its, address, afresh, descriptor) ||
        fl_target_member(target, descriptor, FL_AT_slab_start) != start)
        return false;
    uint64_t kind = fl_target_member(target, descriptor, FL_AT_slab_kind);
    uint64_t pages = fl_target_member(target, descriptor, FL_AT_slab_pages);
    uint64_t size_class = fl_target_member(target, descriptor, FL_AT_slab_size_class);
    uint64_t owner = fl_target_member(target, descriptor, FL_AT_slab_arena);
    if (pages == 0 || pages > survey->pages || fl_survey_arena(survey, owner) != arena)
        return false;
    *block = (fl_run){.start = start, .use = FL_USE_LARGE, .arena = arena, .whole_pages = pages};
    if (kind != KIND_SLAB)
        return kind == KIND_LARGE;
    if (size_class >= survey->class_count)
        return false;
    const fl_seen_class *of = &survey->classes[size_class];
    block->use = FL_USE_SLAB;
    block->size_class = (uint32_t)size_class;
    block->unit_shift = of->unit_shift;
    block->decommitted = fl_target_member(target, descriptor, FL_AT_slab_decommitted);
    block->tag = fl_word_owner(fl_target_member(target, descriptor, FL_AT_slab_word));
    block->live = live_of(target, descriptor);
    for (int i = 0; i < LOOKS && block->live > of->capacity; i++)
        if (read_descriptor(its, address, true, descriptor))
            block->live = live_of(target, descriptor);
    if (block->live > of->capacity)
        block->live = of->capacity;
    return true;
}

/* Returns the span that a heap keeps there; NULL if none does. Asked for rising pages. */
static const fl_seen_span *span_of(walk *its, uint64_t page) {
    const fl_survey *survey = its->survey;
    while (its->span < survey->span_count &&
           survey->spans[its->span].page + survey->spans[its->span].pages <= page)
        its->span++;
    const fl_seen_span *span = survey->spans + its->span;
    return its->span < survey->span_count && span->page <= page ? span : NULL;
}

static void show_in_use(walk *its, uint64_t page, uint64_t entry, uint32_t arena) {
    const fl_survey *survey = its->survey;
    const fl_root *root = &survey->target->root;
    uint64_t start = survey->base + page * survey->page_bytes;
    uint64_t address = entry << (64 - root->entry_high_shift) >> (64 - root->entry_high_shift) >>
                       root->entry_low_bits << root->entry_low_bits;
    fl_run run = {.start = start, .bytes = survey->page_bytes, .use = FL_USE_POOL, .arena = arena};
    const fl_seen_span *span;
    if (page >= its->block_end && address &&
        (look_at(its, address, start, arena, false, &its->block) ||
         look_at(its, address, start, arena, true, &its->block))) {
        its->block_end = page + its->block.whole_pages;
        run = its->block;
        run.bytes = survey->page_bytes;
    } else if (page < its->block_end && its->block.arena == arena) {
        run = its->block;
        run.continues = true;
        run.start = start;
        run.bytes = survey->page_bytes;
    } else if ((span = span_of(its, page)) != NULL) {
        run.use = FL_USE_SPAN;
        run.tag = span->tag;
    }
    /* A slab's run is the whole slab, across regions too: units count from its start. */
    if (run.use == FL_USE_SLAB && run.continues && its->run.bytes && its->run.use == FL_USE_SLAB &&
        its->run.start + its->run.bytes == start) {
        its->run.bytes += survey->page_bytes;
        return;
    }
    if (run.use == FL_USE_SLAB && run.continues)
        run.decommitted = 0, run.live = 0;
    show(its, &run);
}

static bool has(const fl_target *target, const char *region, fl_root_member member, unsigned page) {
    return fl_target_item(target, region, member, page / 64, sizeof(uint64_t)) >> (page % 64) & 1;
}

static void show_region(walk *its, uint64_t index, const char *region, const uint64_t *entries) {
    const fl_survey *survey = its->survey;
    const fl_target *target = survey->target;
    uint64_t owner = fl_target_member(target, region, FL_AT_region_arena);
    uint64_t mapped = fl_target_member(target, region, FL_AT_region_mapped);
    uint64_t reserved = fl_target_member(target, region, FL_AT_region_reserved);
    uint64_t growing = fl_target_member(target, region, FL_AT_region_growing);
    uint32_t arena = fl_survey_arena(survey, owner);
    for (unsigned page = 0; page < REGION_PAGES; page++) {
        unsigned chunk = page / target->root.chunk_pages;
        fl_run run = {.start = survey->base + index * survey->region_bytes + page * survey->page_bytes,
                      .bytes = survey->page_bytes,
                      .arena = arena};
        if (!(mapped >> chunk & 1)) {
            run.use = growing >> chunk & 1 ? FL_USE_GROWING : FL_USE_RESERVED;
            if ((growing | reserved) >> chunk & 1)
                show(its, &run);
        } else if (has(target, region, FL_AT_region_gone, page)) {
            ; /* None */
        } else if (has(target, region, FL_AT_region_in_use, page) && owner) {
            show_in_use(its, index * REGION_PAGES + page, entries[page], arena);
        } else {
            run.use = has(target, region, FL_AT_region_prepared, page)         ? FL_USE_PREPARED
                      : !owner || has(target, region, FL_AT_region_kept, page) ? FL_USE_STUCK
                                                                               : FL_USE_IDLE;
            show(its, &run);
        }
    }
}

static bool show_regions(walk *its) {
    const fl_survey *survey = its->survey;
    const fl_target *target = survey->target;
    size_t region_bytes = target->root.sizes[FL_OF_region], count = survey->pages / REGION_PAGES;
    for (size_t first = 0; first < count; first += BATCH_REGIONS) {
        size_t batch = count - first < BATCH_REGIONS ? count - first : BATCH_REGIONS;
        if (!fl_target_read(target, survey->regions_at + first * region_bytes, its->regions,
                            batch * region_bytes) ||
            !fl_target_read(target, survey->table_at + first * REGION_PAGES * sizeof(uint64_t), its->table,
                            batch * REGION_PAGES * sizeof(uint64_t)))
            return false;
        memset(its->line_at, 0, sizeof its->line_at); /* what was read must not grow old */
        for (size_t i = 0; i < batch; i++)
            show_region(its, first + i, its->regions + i * region_bytes, its->table + i * REGION_PAGES);
    }
    return true;
}

static void show_part(walk *its, uint64_t start, uint64_t bytes, fl_use use) {
    fl_run run = {.start = start, .bytes = bytes, .use = use, .arena = FL_NO_OWNER};
    flush(its);
    if (bytes)
        show(its, &run);
}

/* Shows a trap's page, if it is Ready. */
static void show_trap(walk *its, const char *trap, uint64_t page, uint64_t page_bytes) {
    const fl_target *target = its->survey->target;
    bool live = fl_target_member(target, trap, FL_AT_trap_state) == TRAP_LIVE;
    fl_run run = {.start = page,
                  .bytes = page_bytes,
                  .use = live ? FL_USE_LARGE : FL_USE_STUCK,
                  .arena = fl_survey_arena(its->survey, fl_target_member(target, trap, FL_AT_slab_arena)),
                  .whole_pages = 1};
    flush(its);
    show(its, &run);
}

/* Shows all traps: sampled blocks with pages of their own, and what is Reserved around these. *end: where
 * they end. */
static bool show_each_trap(walk *its, const char *traps, uint64_t *end) {
    const fl_survey *survey = its->survey;
    const fl_target *target = survey->target;
    uint64_t start = fl_target_member(target, traps, FL_AT_traps_start), at = start;
    uint64_t bytes = fl_target_member(target, traps, FL_AT_traps_bytes);
    uint64_t page_bytes = fl_target_member(target, traps, FL_AT_traps_page_bytes);
    uint64_t count = fl_target_member(target, traps, FL_AT_traps_count);
    size_t each = target->root.sizes[FL_OF_trap];
    if (start < *end || start > survey->base || bytes > survey->base - start || count > TRAPS_MAX ||
        page_bytes != survey->os_page_bytes || (2 * count + 1) * page_bytes > bytes)
        return false;
    char *all = malloc(count * each);
    bool read =
        all && fl_target_read(target, fl_target_member(target, traps, FL_AT_traps_all), all, count * each);
    for (uint64_t i = 0; read && i < count; i++) {
        uint64_t page = start + (2 * i + 1) * page_bytes;
        if (fl_target_member(target, all + i * each, FL_AT_trap_ready_bytes) != page_bytes)
            continue;
        show_part(its, at, page - at, FL_USE_RESERVED);
        show_trap(its, all + i * each, page, page_bytes);
        at = page + page_bytes;
    }
    free(all);
    *end = start + bytes;
    if (read)
        show_part(its, at, *end - at, FL_USE_RESERVED);
    return read;
}

/* Shows what lies between bookkeeping, which ends there, and the window. */
static bool show_aside(walk *its, uint64_t end) {
    const fl_survey *survey = its->survey;
    const fl_target *target = survey->target;
    char traps[UINT16_MAX];
    uint64_t at = (uint64_t)(uintptr_t)target->root.traps, start;
    bool any = at && fl_target_read(target, at, traps, target->root.sizes[FL_OF_traps]) &&
               fl_target_member(target, traps, FL_AT_traps_count);
    start = any ? fl_target_member(target, traps, FL_AT_traps_start) : survey->base;
    if (survey->reserved_whole && start > end)
        show_part(its, end, start - end, FL_USE_RESERVED);
    if (any && !show_each_trap(its, traps, &end))
        return false;
    if (any && survey->reserved_whole)
        show_part(its, end, survey->base - end, FL_USE_RESERVED);
    return true;
}

/* Shows bookkeeping, in reservations that grow from their start. */
static bool show_parts(walk *its) {
    const fl_survey *survey = its->survey;
    const fl_target *target = survey->target;
    char part[UINT16_MAX];
    uint64_t at[16], end = survey->start;
    uint32_t count = target->root.parts_count;
    if (!fl_target_read(target, (uint64_t)(uintptr_t)target->root.parts, at, count * sizeof *at))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!fl_target_read(target, at[i], part, target->root.sizes[FL_OF_reservation]))
            return false;
        uint64_t start = fl_target_member(target, part, FL_AT_reservation_start);
        uint64_t bytes = fl_target_member(target, part, FL_AT_reservation_bytes);
        uint64_t ready = fl_target_member(target, part, FL_AT_reservation_ready_bytes);
        uint64_t prepared = fl_target_member(target, part, FL_AT_reservation_prepared_bytes);
        if (start < end || start > survey->base || bytes > survey->base - start || prepared < ready ||
            bytes < prepared)
            return false;
        show_part(its, start, ready, FL_USE_META);
        show_part(its, start + ready, prepared - ready, FL_USE_PREPARED);
        if (survey->reserved_whole)
            show_part(its, start + prepared, bytes - prepared, FL_USE_RESERVED);
        end = start + bytes;
    }
    return show_aside(its, end);
}

bool fl_survey_walk(const fl_survey *survey, fl_survey_visit *visit, void *context) {
    fl_target *target = survey->target;
    walk *its = calloc(1, sizeof *its);
    bool done = its != NULL;
    if (done) {
        *its = (walk){.survey = survey, .visit = visit, .context = context};
        its->regions = malloc(BATCH_REGIONS * target->root.sizes[FL_OF_region]);
        its->table = malloc(BATCH_REGIONS * REGION_PAGES * sizeof *its->table);
        its->lines = malloc(LINES * LINE_BYTES);
        done = its->regions && its->table && its->lines && show_parts(its) && show_regions(its);
        flush(its);
        uint64_t reached = survey->base + survey->pages * survey->page_bytes;
        if (done && survey->reserved_whole)
            show_part(its, reached, survey->end - reached, FL_USE_RESERVED);
        flush(its);
        free(its->regions);
        free(its->table);
        free(its->lines);
    }
    free(its);
    return done || fl_target_give_up(target);
}
