/* SPDX-License-Identifier: MIT */
#include "simspace.h"

#include <string.h>

/* Finds the first mapping that ends behind a page. */
static size_t find(const fl_simspace *space, size_t page) {
    size_t low = 0, high = space->count_of_mappings;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (space->mappings[middle].end <= page)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t fl_simspace_count(const fl_simspace *space, size_t first, size_t end, fl_kind kind) {
    size_t pages = 0;
    for (size_t i = find(space, first); i < space->count_of_mappings && space->mappings[i].first < end; i++) {
        const fl_mapping *it = &space->mappings[i];
        size_t from = it->first > first ? it->first : first, to = it->end < end ? it->end : end;
        pages += it->kind == kind ? to - from : 0;
    }
    return pages;
}

size_t fl_simspace_resident(const fl_simspace *space, size_t first, size_t end) {
    size_t pages = 0;
    for (size_t page = first; page < end;) {
        if (page % 64 == 0 && end - page >= 64) {
            pages += (size_t)__builtin_popcountll(space->resident[page / 64]);
            page += 64;
        } else {
            pages += space->resident[page / 64] >> (page % 64) & 1;
            page++;
        }
    }
    return pages;
}

void fl_simspace_forget(fl_simspace *space, size_t first, size_t end) {
    if (!space->resident)
        return;
    space->resident_pages -= fl_simspace_resident(space, first, end);
    for (size_t page = first; page < end;) {
        if (page % 64 == 0 && end - page >= 64) {
            if (space->resident[page / 64]) /* untouched parts of the bitmap stay so */
                space->resident[page / 64] = 0;
            page += 64;
        } else {
            space->resident[page / 64] &= ~(UINT64_C(1) << page % 64);
            page++;
        }
    }
}

/* Writes what stays of the mappings i to j - 1 outside [first, end), and what is new, in order; at most
 * three. */
static size_t pieces_for(const fl_simspace *space, size_t i, size_t j, fl_mapping new, fl_mapping pieces[3]) {
    size_t count = 0;
    if (i < j && space->mappings[i].first < new.first)
        pieces[count++] = (fl_mapping){space->mappings[i].first, new.first, space->mappings[i].kind,
                                       space->mappings[i].reservation};
    if (new.kind != FL_NOTHING)
        pieces[count++] = new;
    if (i < j && space->mappings[j - 1].end > new.end)
        pieces[count++] = (fl_mapping){new.end, space->mappings[j - 1].end, space->mappings[j - 1].kind,
                                       space->mappings[j - 1].reservation};
    return count;
}

/* Neighbours of one kind, and of one reservation, become one. */
static size_t merged(fl_mapping *pieces, size_t count) {
    size_t kept = 0;
    for (size_t k = 0; k < count; k++) {
        fl_mapping *last = kept ? &pieces[kept - 1] : NULL;
        if (last && last->end == pieces[k].first && last->kind == pieces[k].kind &&
            last->reservation == pieces[k].reservation)
            last->end = pieces[k].end;
        else
            pieces[kept++] = pieces[k];
    }
    return kept;
}

osmem_result fl_simspace_set(fl_simspace *space, size_t first, size_t end, fl_kind kind,
                             uint32_t reservation) {
    size_t i = find(space, first), j = i;
    while (j < space->count_of_mappings && space->mappings[j].first < end)
        j++;
    fl_mapping pieces[5];
    size_t count = 0;
    /* The neighbours too, which may be of the same kind. */
    size_t from = i > 0 ? i - 1 : i, to = j < space->count_of_mappings ? j + 1 : j;
    if (from < i)
        pieces[count++] = space->mappings[from];
    count += pieces_for(space, i, j, (fl_mapping){first, end, kind, reservation}, pieces + count);
    if (to > j)
        pieces[count++] = space->mappings[j];
    count = merged(pieces, count);
    if (space->count_of_mappings - (to - from) + count > space->mappings_max)
        return OSMEM_NOMEM;
    for (int k = FL_INACCESSIBLE; k <= FL_ACCESSIBLE; k++)
        space->pages_of[k] -= fl_simspace_count(space, first, end, (fl_kind)k);
    space->pages_of[kind] += kind != FL_NOTHING ? end - first : 0;
    fl_simspace_forget(space, first, end);
    memmove(&space->mappings[from + count], &space->mappings[to],
            (space->count_of_mappings - to) * sizeof(fl_mapping));
    memcpy(&space->mappings[from], pieces, count * sizeof(fl_mapping));
    space->count_of_mappings = space->count_of_mappings - (to - from) + count;
    return OSMEM_OK;
}

bool fl_simspace_is_all(const fl_simspace *space, size_t first, size_t end, fl_kind kind,
                        uint32_t *reservation) {
    size_t i = find(space, first), at = first;
    *reservation = i < space->count_of_mappings ? space->mappings[i].reservation : 0;
    for (; i < space->count_of_mappings && at < end; i++) {
        const fl_mapping *it = &space->mappings[i];
        if (it->first > at || (kind != FL_NOTHING && it->kind != kind) || it->reservation != *reservation)
            return false;
        at = it->end;
    }
    return at >= end;
}

bool fl_simspace_is_whole(const fl_simspace *space, size_t first, size_t end) {
    uint32_t reservation;
    size_t i = find(space, first), j = find(space, end);
    return fl_simspace_is_all(space, first, end, FL_NOTHING, &reservation) &&
           space->mappings[i].first == first &&
           (i == 0 || space->mappings[i - 1].reservation != reservation ||
            space->mappings[i - 1].end < first) &&
           (j == space->count_of_mappings || space->mappings[j].first > end ||
            (space->mappings[j].first == end && space->mappings[j].reservation != reservation));
}

bool fl_simspace_find_gap(const fl_simspace *space, size_t pages, size_t step, size_t *first) {
    size_t all = space->pages;
    if (pages > all)
        return false;
    *first = 0;
    for (size_t i = 0; i < space->count_of_mappings; i++) {
        if (space->mappings[i].first >= *first + pages)
            break;
        *first = (space->mappings[i].end + step - 1) / step * step;
    }
    return *first <= all - pages;
}

bool fl_simspace_is_free(const fl_simspace *space, size_t first, size_t pages) {
    size_t i = find(space, first);
    return pages <= space->pages && first <= space->pages - pages &&
           (i == space->count_of_mappings || space->mappings[i].first >= first + pages);
}

bool fl_simspace_touch(fl_simspace *space, size_t page) {
    uint64_t bit = UINT64_C(1) << page % 64;
    if (space->resident[page / 64] & bit)
        return false;
    space->resident[page / 64] |= bit;
    space->resident_pages++;
    return true;
}
