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

static bool add_mapping(fl_smaps *smaps, uint64_t start, uint64_t end) {
    fl_mapping *more = fl_grow(smaps->mappings, smaps->count, sizeof *more);
    if (!more)
        return false;
    smaps->mappings = more;
    smaps->mappings[smaps->count++] = (fl_mapping){.start = start, .end = end};
    return true;
}

static void add_figure(fl_smaps *smaps, bool ours, const char *line) {
    unsigned long long kib;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        size_t length = strlen(figures[i].name);
        if (strncmp(line, figures[i].name, length) || sscanf(line + length, "%llu", &kib) != 1)
            continue;
        if (i == 0)
            smaps->process_resident_bytes += kib << 10;
        if (ours) {
            memcpy((char *)&smaps->mappings[smaps->count - 1] + figures[i].at, &(uint64_t){kib << 10}, 8);
            *(uint64_t *)((char *)&smaps->sum + figures[i].at) += kib << 10;
        }
        return;
    }
}

bool fl_smaps_read(fl_smaps *smaps, fl_target *target, uint64_t start, uint64_t end) {
    char line[4352];
    bool ours = false, room = true;
    *smaps = (fl_smaps){0};
    FILE *file = fl_target_file(target, "smaps");
    if (!file)
        return false;
    while (room && fgets(line, sizeof line, file)) {
        unsigned long long from, to;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
            ours = from < end && to > start;
            room = !ours || add_mapping(smaps, from, to);
        } else
            add_figure(smaps, ours, line);
    }
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
