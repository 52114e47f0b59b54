/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "smaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "grow.h"

static const struct {
    const char *name;
    size_t at;
} figures[] = {
    {"Rss:", offsetof(fl_mapping, resident_bytes)},
    {"LazyFree:", offsetof(fl_mapping, lazy_free_bytes)},
    {"AnonHugePages:", offsetof(fl_mapping, huge_bytes)},
    {"Swap:", offsetof(fl_mapping, swapped_bytes)},
    {"Locked:", offsetof(fl_mapping, locked_bytes)},
};

/* The kernel writes some mappings at a time, and goes on at the address where it was. A mapping that has
 * meanwhile grown over what lay before it, or has been joined with that, comes again, with all that is in
 * it. */
static void forget_what_comes_again(fl_smaps *smaps, uint64_t start) {
    while (smaps->count && smaps->mappings[smaps->count - 1].start >= start)
        smaps->count--;
}

static bool add_mapping(fl_smaps *smaps, uint64_t start, uint64_t end) {
    forget_what_comes_again(smaps, start);
    fl_mapping *last = smaps->count ? &smaps->mappings[smaps->count - 1] : NULL;
    if (last && last->end > start)
        last->end = start;
    fl_mapping *more = fl_grow(smaps->mappings, smaps->count, sizeof *more);
    if (!more)
        return false;
    smaps->mappings = more;
    smaps->mappings[smaps->count++] = (fl_mapping){.start = start, .end = end};
    return true;
}

static void add_figure(fl_mapping *to, const char *line) {
    unsigned long long kib;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        size_t length = strlen(figures[i].name);
        if (!strncmp(line, figures[i].name, length) && sscanf(line + length, "%llu", &kib) == 1)
            *(uint64_t *)((char *)to + figures[i].at) = kib << 10;
    }
}

/* Sums up all, and keeps those in [start, end). */
static void sum_up(fl_smaps *smaps, uint64_t start, uint64_t end) {
    size_t kept = 0;
    for (size_t m = 0; m < smaps->count; m++) {
        const fl_mapping *its = &smaps->mappings[m];
        smaps->process_resident_bytes += its->resident_bytes;
        if (its->start >= end || its->end <= start)
            continue;
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            *(uint64_t *)((char *)&smaps->sum + figures[i].at) +=
                *(const uint64_t *)((const char *)its + figures[i].at);
        smaps->mappings[kept++] = *its;
    }
    smaps->count = kept;
}

bool fl_smaps_parse(fl_smaps *smaps, FILE *file, uint64_t start, uint64_t end) {
    char line[4352];
    unsigned long long from, to;
    *smaps = (fl_smaps){0};
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
            if (!add_mapping(smaps, from, to)) {
                fl_smaps_free(smaps);
                return false;
            }
        } else if (smaps->count)
            add_figure(&smaps->mappings[smaps->count - 1], line);
    sum_up(smaps, start, end);
    return true;
}

bool fl_smaps_read(fl_smaps *smaps, fl_target *target, uint64_t start, uint64_t end) {
    *smaps = (fl_smaps){0};
    FILE *file = fl_target_file(target, "smaps");
    if (!file)
        return false;
    bool room = fl_smaps_parse(smaps, file, start, end);
    fclose(file);
    if (room && smaps->count)
        return true;
    fl_smaps_free(smaps);
    return room ? fl_target_give_up(target) : fl_target_wrong(target, strerror(ENOMEM));
}

void fl_smaps_free(fl_smaps *smaps) {
    free(smaps->mappings);
    *smaps = (fl_smaps){0};
}
