/* SPDX-License-Identifier: MIT */
/*
 * simspace.h: the address space of a simulated system: a sorted array of mappings, and a bit for each page
 * that is resident. Pure: no locks, no rules, no memory of its own. Pages are numbers from the space's base.
 */
#ifndef FL_SIMSPACE_H
#define FL_SIMSPACE_H

#include "fallow/osmem.h"

typedef enum fl_kind { FL_NOTHING, FL_INACCESSIBLE, FL_ACCESSIBLE } fl_kind;

typedef struct fl_mapping {
    size_t first, end;
    fl_kind kind;
    uint32_t reservation; /* a number for each where they are apart, else 0 */
} fl_mapping;

typedef struct fl_simspace {
    size_t pages;         /* of the whole space */
    fl_mapping *mappings; /* sorted, apart or of different kinds or reservations; room for mappings_max + 5 */
    size_t count_of_mappings, mappings_max;
    uint64_t *resident; /* a bit for each page; NULL: a real system knows */
    size_t pages_of[3]; /* by kind */
    size_t resident_pages;
} fl_simspace;

/* Pages of one kind in [first, end). */
size_t fl_simspace_count(const fl_simspace *space, size_t first, size_t end, fl_kind kind);

size_t fl_simspace_resident(const fl_simspace *space, size_t first, size_t end);

/* Nothing of [first, end) is resident from now on. */
void fl_simspace_forget(fl_simspace *space, size_t first, size_t end);

/* A page becomes resident; false: it was already. */
bool fl_simspace_touch(fl_simspace *space, size_t page);

/* Makes a range of one kind and reservation, whatever it was, with nothing resident. OSMEM_NOMEM: too many
 * mappings. */
osmem_result fl_simspace_set(fl_simspace *space, size_t first, size_t end, fl_kind kind,
                             uint32_t reservation);

/* Is all of a range of one kind (FL_NOTHING: of any that is something), and of one reservation, whose number
 * is *reservation? */
bool fl_simspace_is_all(const fl_simspace *space, size_t first, size_t end, fl_kind kind,
                        uint32_t *reservation);

/* Is a range the whole of a reservation? */
bool fl_simspace_is_whole(const fl_simspace *space, size_t first, size_t end);

/* Is there nothing in a range, which may lie beyond the end? */
bool fl_simspace_is_free(const fl_simspace *space, size_t first, size_t pages);

/* The lowest free run that starts at a multiple of step. */
bool fl_simspace_find_gap(const fl_simspace *space, size_t pages, size_t step, size_t *first);

#endif
