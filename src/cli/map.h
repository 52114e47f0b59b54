/* SPDX-License-Identifier: MIT */
/*
 * map.h: the picture that `fallow map` draws: every page of fallow's in a process, by what it is for, checked
 * against the kernel's mappings.
 */
#ifndef FL_MAP_H
#define FL_MAP_H

#include "smaps.h"
#include "survey.h"

/* What bytes are shown as: name, mark and colour on a terminal, meaning. The first ones are Ready. Colours
 * are numbers of the palette of 256 (terminal.h), with the page's hues: each has a contrast of at least 3 : 1
 * on white and on black, which top_test checks. */
#define FL_SHARES(X)                                                          \
    X(LIVE, "live", '#', 32, "in blocks handed out")                          \
    X(FREE, "free", '+', 166, "in slabs, between and behind live blocks")     \
    X(POOL, "pool", 'o', 30, "granted to pools, or on its way between uses")  \
    X(SPAN, "span", 's', 133, "kept by a thread for its next request")        \
    X(IDLE, "idle", '.', 100, "granted to nobody; goes back by itself")       \
    X(STUCK, "stuck", '!', 160, "idle, but the system does not take it back") \
    X(META, "meta", 'm', 65, "fallow's own bookkeeping")                      \
    X(DECOMMITTED, "decommitted", '-', 245,                                   \
      "in slabs, without memory behind it: not used yet, or given back")      \
    X(PREPARED, "prepared", '-', 245, "free, without memory behind it")       \
    X(RESERVED, "reserved", '_', 245, "address space alone")

#define FL_SHARE_NAME(share, name, mark, colour, help) FL_SHARE_##share,
typedef enum fl_share { FL_SHARES(FL_SHARE_NAME) FL_SHARE_COUNT } fl_share;

typedef struct fl_map {
    fl_target *target;
    fl_survey survey;
    fl_smaps smaps;
    fl_run *runs;
    uint64_t *resident; /* bytes of each run */
    size_t count;
    uint64_t bytes[FL_SHARE_COUNT];
    uint64_t on_map;      /* bytes of all of them */
    uint64_t in_smaps;    /* bytes of fallow's mappings */
    uint64_t unexplained; /* of these, those that are not on the map */
    uint64_t absent;      /* on the map, but in no mapping */
    uint64_t resident_bytes;
} fl_map;

/* Adds a run's bytes to the shares that they are shown as. */
void fl_map_add_shares(const fl_map *map, const fl_run *run, uint64_t shares[FL_SHARE_COUNT]);

/* Print the map on a terminal, or as one HTML page. Return false if out of memory. */
bool fl_map_print_text(const fl_map *map, FILE *to);
bool fl_map_print_page(const fl_map *map, FILE *to);

#endif
