/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "smaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    if (!(smaps->count & (smaps->count - 1))) {
        size_t room = smaps->count ? smaps->count * 2 : 1;
        fl_mapping *more = realloc(smaps->mappings, room * sizeof *more);
        if (!more)
            return false;
        smaps->mappings = more;
    }
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
    if (!room)
        snprintf(target->wrong, sizeof target->wrong, "process %d: %s", (int)target->process,
                 strerror(ENOMEM));
    if (!room)
        fl_smaps_free(smaps);
    return room;
}

void fl_smaps_free(fl_smaps *smaps) {
    free(smaps->mappings);
    *smaps = (fl_smaps){0};
}

uint64_t fl_pagemap_resident(fl_pagemap *pages, uint64_t start, uint64_t bytes) {
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), resident = 0;
    for (uint64_t page = start / page_bytes, end = (start + bytes) / page_bytes; page < end; page++) {
        if (page - pages->first >= pages->count) {
            ssize_t got =
                pread(pages->file, pages->words, sizeof pages->words, (off_t)(page * sizeof(uint64_t)));
            pages->first = page;
            pages->count = got > 0 ? (size_t)got / sizeof(uint64_t) : 0;
            if (pages->count == 0)
                return resident;
        }
        resident += pages->words[page - pages->first] >> 63 & 1 ? page_bytes : 0;
    }
    return resident;
}

bool fl_smaps_faults(fl_target *target, uint64_t *faults) {
    char text[1024];
    FILE *file = fl_target_file(target, "stat");
    if (!file)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 10; field++)
        at = strchr(at + 1, ' ');
    *faults = at ? strtoull(at, NULL, 10) : 0;
    return at != NULL;
}
