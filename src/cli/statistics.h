/* SPDX-License-Identifier: MIT */
/*
 * statistics.h: what `fallow stats` tells of another process: the figures that ../embed/figures.h defines,
 * and their formats.
 */
#ifndef FL_STATISTICS_H
#define FL_STATISTICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../embed/figures.h"

typedef struct fl_row {
    char name[32];   /* of an arena, a cause */
    uint64_t number; /* of an arena, a heap; bytes of a block */
    uint64_t values[FL_PROCESS_COUNT];
} fl_row;

typedef struct fl_statistics {
    pid_t process;
    char program[32];
    char version[16]; /* of its fallow; which file that is; files with others, not shown */
    char library[64];
    char others[256];
    fl_row *rows[FL_GROUP_COUNT];
    size_t counts[FL_GROUP_COUNT];
    struct fl_seen_event *events; /* the oldest first; arenas in them by row */
    size_t event_count;
} fl_statistics;

struct fl_target;

/* Reads all of it. Returns false if that fails; target->wrong says why. */
bool fl_statistics_gather(fl_statistics *all, struct fl_target *target);
void fl_statistics_free(fl_statistics *all);

void fl_print_table(const fl_statistics *all, FILE *to);
void fl_print_json(const fl_statistics *all, FILE *to);
void fl_print_metrics(const fl_statistics *all, FILE *to);

/* Writes bytes with a unit: 1.5 MiB. */
void fl_format_bytes(uint64_t value, char *text, size_t bytes);

/* Prints what each figure means, as Markdown. */
void fl_print_explanation(FILE *to);

#endif
