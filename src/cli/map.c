/* SPDX-License-Identifier: MIT */
/*
 * map.c: `fallow map`: gathers the runs of pages and what is resident of each, and compares them with the
 * kernel's mappings.
 */
#define _GNU_SOURCE
#include "map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "grow.h"
#include "pagemap.h"

static void add_run(void *context, const fl_run *run) {
    fl_map *map = context;
    fl_run *more = fl_grow(map->runs, map->count, sizeof *more);
    if (!more) {
        fl_fail("map", strerror(ENOMEM));
        exit(1);
    }
    map->runs = more;
    map->runs[map->count++] = *run;
}

static uint64_t lower(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Both are in order of addresses. */
static void reckon(fl_map *map) {
    uint64_t both = 0;
    size_t next = 0;
    for (size_t i = 0; i < map->count; i++) {
        const fl_run *run = &map->runs[i];
        uint64_t end = run->start + run->bytes;
        fl_map_add_shares(map, run, map->bytes);
        map->on_map += run->bytes;
        while (next < map->smaps.count && map->smaps.mappings[next].end <= run->start)
            next++;
        for (size_t m = next; m < map->smaps.count && map->smaps.mappings[m].start < end; m++)
            both += lower(end, map->smaps.mappings[m].end) - higher(run->start, map->smaps.mappings[m].start);
    }
    for (size_t m = 0; m < map->smaps.count; m++)
        map->in_smaps += map->smaps.mappings[m].end - map->smaps.mappings[m].start;
    map->unexplained = map->in_smaps - both;
    map->absent = map->on_map - both;
}

static bool look_behind(fl_map *map) {
    fl_pagemap pages;
    fl_pagemap_open(&pages, map->target);
    map->resident = calloc(map->count + 1, sizeof *map->resident);
    for (size_t i = 0; map->resident && i < map->count; i++) {
        map->resident[i] = fl_pagemap_resident(&pages, map->runs[i].start, map->runs[i].bytes);
        map->resident_bytes += map->resident[i];
    }
    fl_pagemap_close(&pages);
    return map->resident != NULL;
}

static bool draw(fl_map *map, fl_target *target) {
    *map = (fl_map){.target = target};
    if (!fl_survey_begin(&map->survey, target))
        return false;
    bool done = fl_survey_walk(&map->survey, add_run, map) &&
                fl_smaps_read(&map->smaps, target, map->survey.start, map->survey.end) && look_behind(map) &&
                !fl_target_lost(target);
    if (done)
        reckon(map);
    return done;
}

static void forget(fl_map *map) {
    free(map->runs);
    free(map->resident);
    fl_smaps_free(&map->smaps);
    fl_survey_end(&map->survey);
}

static int write_page(const fl_map *map, const char *path) {
    FILE *file = fopen(path, "we");
    if (!file)
        return fl_fail(path, strerror(errno));
    bool room = fl_map_print_page(map, file), written = !ferror(file);
    if (fclose(file) != 0 || !written)
        return fl_fail(path, strerror(errno));
    return room ? 0 : fl_fail(path, strerror(ENOMEM));
}

int fl_command_map(int count, char **arguments) {
    static fl_target target;
    const char *number = NULL, *page = NULL;
    int status = 1;
    fl_map map;
    for (int i = 0; i < count; i++)
        if (!strcmp(arguments[i], "--html") && i + 1 < count)
            page = arguments[++i];
        else if (arguments[i][0] == '-' || number)
            return fl_fail(arguments[i], "unknown argument; accepted: PID, --html FILE");
        else
            number = arguments[i];
    if (!number)
        return fl_fail("map", "no process given; expected a PID");
    if (!fl_target_open(&target, number))
        fprintf(stderr, "fallow: %s\n", target.wrong);
    else {
        if (!draw(&map, &target))
            fprintf(stderr, "fallow: %s\n", target.wrong);
        else if (page)
            status = write_page(&map, page);
        else
            status = fl_map_print_text(&map, stdout) ? 0 : fl_fail("map", strerror(ENOMEM));
        forget(&map);
    }
    fl_target_close(&target);
    return status;
}
