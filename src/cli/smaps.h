/* SPDX-License-Identifier: MIT */
/*
 * smaps.h: what the kernel says of a process's memory: its mappings, with what is resident in them.
 */
#ifndef FL_SMAPS_H
#define FL_SMAPS_H

#include "target.h"

typedef struct fl_mapping {
    uint64_t start, end;
    uint64_t resident_bytes, lazy_free_bytes, huge_bytes, swapped_bytes, locked_bytes;
} fl_mapping;

typedef struct fl_smaps {
    fl_mapping *mappings; /* in [start, end), the lowest first */
    size_t count;
    fl_mapping sum;
    uint64_t process_resident_bytes; /* of all mappings, wherever they are */
} fl_smaps;

/* Reads the mappings that lie in [start, end). Returns false, and target->wrong says why, if that fails or
 * there are none. */
bool fl_smaps_read(fl_smaps *smaps, fl_target *target, uint64_t start, uint64_t end);

/* The same from a file written like /proc/PID/smaps. Returns false if out of memory. */
bool fl_smaps_parse(fl_smaps *smaps, FILE *file, uint64_t start, uint64_t end);
void fl_smaps_free(fl_smaps *smaps);

#endif
