/* SPDX-License-Identifier: MIT */
/*
 * profiled.h: a profile as the command has it, of a running process or from a file that a process has written
 * (fallow/profile.h); and the forms in which it is shown.
 */
#ifndef FL_PROFILED_H
#define FL_PROFILED_H

#include <stdio.h>

#include "../profile/sites.h"
#include "target.h"

typedef enum fl_measure { FL_LIVE, FL_TOTAL, FL_PEAK, FL_MEASURES } fl_measure;

typedef struct fl_amount {
    double blocks, bytes;
} fl_amount;

typedef struct fl_stack {
    fl_amount of[FL_MEASURES];
    char arena[FL_SITE_NAME_BYTES];
    uint64_t site; /* its address in the process; 0: of a file */
    unsigned depth;
    uint64_t calls[FL_FRAMES_MAX]; /* return addresses, the newest first */
} fl_stack;

typedef struct fl_mapping {
    uint64_t start, end, offset;
    bool is_code;
    char path[512];
    char build_id[48]; /* hexadecimal; empty if unknown */
} fl_mapping;

typedef struct fl_profile {
    fl_stack *stacks;
    size_t stack_count;
    fl_mapping *mappings; /* of files, by address */
    size_t mapping_count;
    uint64_t mean_bytes; /* 0: sampling is off */
    uint64_t pool_bytes; /* of a process: in its pools, which are not sampled; 0: little, or unknown */
} fl_profile;

/* Return false if that fails, and have said why. */
bool fl_profile_read_file(fl_profile *profile, const char *path);
bool fl_profile_read_target(fl_profile *profile, fl_target *target);

/* Adds one without anything. It may move the others. */
fl_stack *fl_profile_add_stack(fl_profile *profile);

/* Drops the library's own calls, and what is behind a call that is none: a frame that was no frame. */
void fl_profile_trim(const fl_profile *profile, fl_stack *stack);

/* Leaves what has come since: subtracts from all amounts those of an earlier profile of the same process. */
void fl_profile_subtract(fl_profile *profile, const fl_profile *before);

/* Returns the code that an address is in, or NULL. */
const fl_mapping *fl_profile_mapping(const fl_profile *profile, uint64_t address);

/* A function and a line for an address, as far as binutils' addr2line has them; it knows separate symbols
 * too. */
typedef struct fl_place {
    char function[160];
    char line[160]; /* file:line; empty if unknown */
} fl_place;
void fl_profile_place(const fl_profile *profile, uint64_t call, fl_place *place);

void fl_profile_print(const fl_profile *profile, fl_measure measure, FILE *out);
void fl_profile_print_collapsed(const fl_profile *profile, fl_measure measure, FILE *out);

/* Prints in pprof's format (profile.proto), uncompressed, which pprof also reads. Returns false if there is
 * no memory for it. */
bool fl_profile_print_pprof(const fl_profile *profile, FILE *out);

#endif
