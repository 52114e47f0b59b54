/* SPDX-License-Identifier: MIT */
/*
 * survey.c: what stands beside the pages: the window, size classes, arenas, heaps and the spans that these
 * keep. survey_walk.c walks the pages themselves.
 */
#include "survey.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "printable.h"

#define ARENAS_MAX 65536
#define HEAPS_MAX ((size_t)1 << 20) /* a longer list goes round in circles */

static bool read_word(const fl_target *target, const void *address, void *into, size_t bytes) {
    return fl_target_read(target, (uint64_t)(uintptr_t)address, into, bytes);
}

static bool read_window(fl_survey *survey) {
    fl_target *target = survey->target;
    const fl_root *root = &target->root;
    char window[UINT16_MAX];
    if (!read_word(target, root->window, window, root->sizes[FL_OF_window]))
        return false;
    survey->base = fl_target_member(target, window, FL_AT_window_base);
    survey->pages = fl_target_member(target, window, FL_AT_window_pages);
    survey->table_at = fl_target_member(target, window, FL_AT_window_table);
    survey->regions_at = fl_target_member(target, window, FL_AT_window_regions);
    survey->os_page_bytes = fl_target_member(target, window, FL_AT_window_os_page_bytes);
    survey->page_bytes = UINT64_C(1) << root->page_shift;
    survey->region_bytes = UINT64_C(1) << root->region_shift;
    return survey->base % survey->region_bytes == 0 && survey->base < UINT64_C(1) << 47 &&
           survey->pages < UINT64_C(1) << 32 &&
           survey->pages % (survey->region_bytes >> root->page_shift) == 0 && survey->os_page_bytes >= 4096 &&
           (survey->os_page_bytes & (survey->os_page_bytes - 1)) == 0;
}

/* Bookkeeping lies below the window; it begins with the table, which has an entry for each of the window's
 * pages. */
static bool read_extent(fl_survey *survey) {
    fl_target *target = survey->target;
    uint64_t first;
    char part[UINT16_MAX];
    if (!read_word(target, target->root.parts, &first, sizeof first) ||
        !fl_target_read(target, first, part, target->root.sizes[FL_OF_reservation]))
        return false;
    survey->start = fl_target_member(target, part, FL_AT_reservation_start);
    survey->end =
        survey->base +
        (fl_target_member(target, part, FL_AT_reservation_bytes) / sizeof(uint64_t)) * survey->page_bytes;
    survey->reserved_whole = fl_target_member(target, part, FL_AT_reservation_reserved) != 0;
    return survey->start < survey->base && survey->end > survey->base && survey->end < UINT64_C(1) << 48 &&
           survey->end - survey->base >= survey->pages * survey->page_bytes;
}

static bool read_classes(fl_survey *survey) {
    fl_target *target = survey->target;
    size_t bytes = target->root.sizes[FL_OF_class], count = target->root.class_count;
    char *all = malloc(bytes * count + 1);
    bool read = all && read_word(target, target->root.classes, all, bytes * count);
    for (size_t i = 0; read && i < count; i++) {
        const char *at = all + i * bytes;
        survey->classes[i] = (fl_seen_class){
            .block_bytes = fl_target_member(target, at, FL_AT_class_block_bytes),
            .capacity = (uint32_t)fl_target_member(target, at, FL_AT_class_capacity),
            .unit_shift = (uint32_t)fl_target_member(target, at, FL_AT_class_unit_shift) & 31,
        };
        read = survey->classes[i].block_bytes > 0;
    }
    free(all);
    survey->class_count = count;
    return read;
}

static bool read_arena(fl_survey *survey, uint64_t address, uint32_t slot) {
    fl_target *target = survey->target;
    size_t bytes = target->root.sizes[FL_OF_arena];
    fl_root_place name = target->root.places[FL_AT_arena_name];
    fl_seen_arena *arena = &survey->arenas[survey->arena_count];
    char *structure = malloc(bytes);
    if (!structure || !fl_target_read(target, address, structure, bytes)) {
        free(structure);
        return false;
    }
    if (!fl_target_member(target, structure, FL_AT_arena_handle)) { /* being made, or ended */
        free(structure);
        return true;
    }
    *arena = (fl_seen_arena){.address = address,
                             .parent_address = fl_target_member(target, structure, FL_AT_arena_parent),
                             .slot = slot,
                             .parent = FL_NO_OWNER,
                             .structure = structure};
    memcpy(arena->name, structure + name.offset,
           name.bytes < sizeof arena->name ? name.bytes : sizeof arena->name - 1);
    fl_make_printable(arena->name, sizeof arena->name);
    survey->arena_count++;
    return true;
}

static int by_address(const void *a, const void *b) {
    uint64_t left = ((const fl_seen_place *)a)->address, right = ((const fl_seen_place *)b)->address;
    return (left > right) - (left < right);
}

uint32_t fl_survey_arena(const fl_survey *survey, uint64_t address) {
    fl_seen_place wanted = {.address = address};
    const fl_seen_place *place =
        address && survey->arena_count
            ? bsearch(&wanted, survey->places, survey->arena_count, sizeof wanted, by_address)
            : NULL;
    return place ? place->index : FL_NO_OWNER;
}

static bool index_arenas(fl_survey *survey) {
    survey->places = malloc((survey->arena_count + 1) * sizeof *survey->places);
    for (uint32_t i = 0; survey->places && i < survey->arena_count; i++)
        survey->places[i] = (fl_seen_place){survey->arenas[i].address, i};
    if (survey->places && survey->arena_count)
        qsort(survey->places, survey->arena_count, sizeof *survey->places, by_address);
    for (size_t i = 0; survey->places && i < survey->arena_count; i++)
        survey->arenas[i].parent = fl_survey_arena(survey, survey->arenas[i].parent_address);
    return survey->places != NULL;
}

static bool read_arenas(fl_survey *survey) {
    fl_target *target = survey->target;
    uint32_t used = 0;
    if (!read_word(target, target->root.arenas_used, &used, sizeof used) || used > ARENAS_MAX)
        return false;
    uint64_t *addresses = malloc(used * sizeof *addresses + 1);
    survey->arenas = calloc(used + 1, sizeof *survey->arenas);
    bool read = addresses && survey->arenas &&
                read_word(target, target->root.arenas, addresses, used * sizeof *addresses);
    for (uint32_t slot = 0; read && slot < used; slot++)
        if (addresses[slot])
            read = read_arena(survey, addresses[slot], slot);
    free(addresses);
    return read && index_arenas(survey);
}

static bool add_spans(fl_survey *survey, const char *heap, uint32_t arena, uint32_t tag) {
    fl_target *target = survey->target;
    size_t slots = target->root.places[FL_AT_heap_spans].bytes / sizeof(uint64_t);
    for (size_t i = 0; i < slots; i++) {
        uint64_t word = fl_target_item(target, heap, FL_AT_heap_spans, i, sizeof word);
        if (!word)
            continue;
        fl_seen_span *more = fl_grow(survey->spans, survey->span_count, sizeof *more);
        if (!more)
            return false;
        survey->spans = more;
        more[survey->span_count++] =
            (fl_seen_span){.page = word >> 32, .pages = word & UINT32_MAX, .arena = arena, .tag = tag};
    }
    return true;
}

/* The list may change under our feet: where it cannot be followed further, we leave it at that. */
static bool read_heaps_of(fl_survey *survey, uint32_t arena, char *heap) {
    fl_target *target = survey->target;
    uint64_t at = fl_target_member(target, survey->arenas[arena].structure, FL_AT_arena_heaps);
    while (at && survey->heap_count < HEAPS_MAX) {
        if (!fl_target_read(target, at, heap, target->root.sizes[FL_OF_heap]))
            return true;
        uint32_t tag = (uint32_t)fl_target_member(target, heap, FL_AT_heap_tag);
        fl_seen_heap *more = fl_grow(survey->heaps, survey->heap_count, sizeof *more);
        if (!more)
            return false;
        survey->heaps = more;
        more[survey->heap_count++] = (fl_seen_heap){
            .arena = arena, .tag = tag, .has_thread = fl_target_member(target, heap, FL_AT_heap_thread) != 0};
        if (!add_spans(survey, heap, arena, tag))
            return false;
        at = fl_target_member(target, heap, FL_AT_heap_next);
    }
    return true;
}

static int by_tag(const void *a, const void *b) {
    uint32_t left = ((const fl_seen_heap *)a)->tag, right = ((const fl_seen_heap *)b)->tag;
    return (left > right) - (left < right);
}

static int by_page(const void *a, const void *b) {
    uint64_t left = ((const fl_seen_span *)a)->page, right = ((const fl_seen_span *)b)->page;
    return (left > right) - (left < right);
}

static bool read_heaps(fl_survey *survey) {
    char *heap = malloc(survey->target->root.sizes[FL_OF_heap]);
    bool read = heap != NULL;
    for (uint32_t i = 0; read && i < survey->arena_count; i++)
        read = read_heaps_of(survey, i, heap);
    free(heap);
    if (survey->heap_count)
        qsort(survey->heaps, survey->heap_count, sizeof *survey->heaps, by_tag);
    if (survey->span_count)
        qsort(survey->spans, survey->span_count, sizeof *survey->spans, by_page);
    return read;
}

bool fl_survey_begin(fl_survey *survey, fl_target *target) {
    *survey = (fl_survey){.target = target};
    if (read_window(survey) && read_extent(survey) && read_classes(survey) && read_arenas(survey) &&
        read_heaps(survey))
        return true;
    fl_survey_end(survey);
    return fl_target_give_up(target);
}

void fl_survey_end(fl_survey *survey) {
    for (size_t i = 0; i < survey->arena_count; i++)
        free(survey->arenas[i].structure);
    free(survey->arenas);
    free(survey->places);
    free(survey->heaps);
    free(survey->spans);
    *survey = (fl_survey){0};
}
