/* SPDX-License-Identifier: MIT */
/*
 * map_page.c: the map as one page for a browser: map_page.html with the data in it. It has the runs as they
 * are if there are few enough to look at one by one; if there are more, cells of as many pages as keep the
 * page below 2 MiB.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "map.h"

#define RUNS_MAX 16384
#define PAGES_MAX 32768 /* each a square */
#define CELLS_MAX 12288
#define ARENAS_SHOWN 2000

static const char template[] =
#include "map_page.inc"
    ;

#define SHARE(share, name, mark, colour, help) {name, help},
static const struct { const char *name, *help; } shares[] = {FL_SHARES(SHARE)};

/* A run, or what many sum up to. */
typedef struct cell {
    uint64_t page, pages, resident, live, tag;
    uint32_t arena, size_class;
    uint64_t largest; /* bytes of the run whose arena and class stand for the cell */
    uint64_t bytes[FL_SHARE_COUNT];
} cell;

typedef struct writer {
    const fl_map *map;
    FILE *to;
    uint64_t next_page; /* the one after the last cell written */
    uint64_t cell_pages;
    bool any;
} writer;

/* Prints a printable text as a string of JavaScript, within HTML. */
static void print_text(FILE *to, const char *text) {
    fputc('"', to);
    for (const char *at = text; *at; at++)
        if (strchr("\"\\<>&", *at))
            fprintf(to, "\\u%04x", (unsigned)*at);
        else
            fputc(*at, to);
    fputc('"', to);
}

/* Returns a size's index; that of large blocks comes after all classes. */
static uint32_t size_of(const fl_map *map, const fl_run *run) {
    return run->use == FL_USE_SLAB    ? run->size_class
           : run->use == FL_USE_LARGE ? (uint32_t)map->survey.class_count
                                      : FL_NO_OWNER;
}

/* Returns the number that `fallow stats`, too, gives an arena: its place in the survey changes when others
 * end. */
static int number_of(const fl_map *map, uint32_t arena) {
    return arena == FL_NO_OWNER ? -1 : (int)map->survey.arenas[arena].slot;
}

static void write_cell(writer *its, const cell *of) {
    fprintf(its->to, "%s[%llu,%llu,%llu,%d,%d,%llu,%llu", its->any ? ",\n" : "",
            (unsigned long long)(of->page - its->next_page), (unsigned long long)of->pages,
            (unsigned long long)of->resident, number_of(its->map, of->arena), (int)of->size_class,
            (unsigned long long)of->live, (unsigned long long)of->tag);
    for (int share = 0; share < FL_SHARE_COUNT; share++)
        if (of->bytes[share])
            fprintf(its->to, ",%d,%llu", share, (unsigned long long)of->bytes[share]);
    fputc(']', its->to);
    its->any = true;
    its->next_page = of->page + of->pages;
}

static cell cell_of(const fl_map *map, size_t i) {
    const fl_run *run = &map->runs[i];
    cell its = {.page = (run->start - map->survey.base) / map->survey.page_bytes,
                .pages = run->bytes / map->survey.page_bytes,
                .resident = map->resident[i],
                .live = run->use == FL_USE_LARGE ? run->whole_pages * map->survey.page_bytes : run->live,
                .tag = run->tag,
                .arena = run->arena,
                .size_class = size_of(map, run)};
    fl_map_add_shares(map, run, its.bytes);
    return its;
}

static void add_part(cell *to, const cell *of, uint64_t part_pages) {
    double part = (double)part_pages / (double)of->pages;
    to->resident += (uint64_t)((double)of->resident * part);
    for (int share = 0; share < FL_SHARE_COUNT; share++)
        to->bytes[share] += (uint64_t)((double)of->bytes[share] * part);
    if (part_pages > to->largest && of->size_class != FL_NO_OWNER) {
        to->largest = part_pages;
        to->arena = of->arena;
        to->size_class = of->size_class;
    }
}

static void write_rows(writer *its) {
    const fl_map *map = its->map;
    cell sum = {.pages = 0};
    for (size_t i = 0; i < map->count; i++) {
        if (map->runs[i].start < map->survey.base)
            continue; /* bookkeeping */
        cell of = cell_of(map, i);
        if (its->cell_pages == 1) {
            write_cell(its, &of);
            continue;
        }
        for (uint64_t page = of.page, end = of.page + of.pages; page < end;) {
            uint64_t first = page - page % its->cell_pages, next = first + its->cell_pages;
            if (sum.pages && sum.page != first)
                write_cell(its, &sum);
            if (!sum.pages || sum.page != first)
                sum = (cell){
                    .page = first, .pages = its->cell_pages, .arena = of.arena, .size_class = FL_NO_OWNER};
            uint64_t stop = next < end ? next : end;
            add_part(&sum, &of, stop - page);
            page = stop;
        }
    }
    if (its->cell_pages > 1 && sum.pages)
        write_cell(its, &sum);
}

/* Live, free, other Ready, resident, blocks. */
typedef struct group {
    uint64_t figures[5];
} group;

static void add_to_group(group *to, const fl_map *map, size_t i, const uint64_t bytes[FL_SHARE_COUNT]) {
    const fl_run *run = &map->runs[i];
    to->figures[0] += bytes[FL_SHARE_LIVE];
    to->figures[1] += bytes[FL_SHARE_FREE];
    for (int share = FL_SHARE_POOL; share < FL_SHARE_DECOMMITTED; share++)
        to->figures[2] += bytes[share];
    to->figures[3] += map->resident[i];
    to->figures[4] += run->use == FL_USE_SLAB ? run->live : run->use == FL_USE_LARGE && !run->continues;
}

static void write_groups(FILE *to, const char *name, const group *groups, size_t count) {
    fprintf(to, "%s:[", name);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ",[" : "[", to);
        for (int figure = 0; figure < 5; figure++)
            fprintf(to, "%s%llu", figure ? "," : "", (unsigned long long)groups[i].figures[figure]);
        fputc(']', to);
    }
    fputs("],\n", to);
}

/* Writes sums by arena, and last for all arenas that are not shown; by class, and last for large blocks. */
static bool write_sums(const fl_map *map, size_t arenas, FILE *to) {
    const fl_survey *survey = &map->survey;
    group *by_arena = calloc(arenas + 1, sizeof *by_arena);
    group *by_class = calloc(survey->class_count + 1, sizeof *by_class);
    bool room = by_arena && by_class;
    for (size_t i = 0; room && i < map->count; i++) {
        const fl_run *run = &map->runs[i];
        uint64_t bytes[FL_SHARE_COUNT] = {0};
        fl_map_add_shares(map, run, bytes);
        if (run->arena != FL_NO_OWNER)
            add_to_group(&by_arena[run->arena < arenas ? run->arena : arenas], map, i, bytes);
        if (size_of(map, run) <= survey->class_count)
            add_to_group(&by_class[size_of(map, run)], map, i, bytes);
    }
    if (room) {
        write_groups(to, "byArena", by_arena, arenas + 1);
        write_groups(to, "byClass", by_class, survey->class_count + 1);
    }
    free(by_arena);
    free(by_class);
    return room;
}

static bool write_data(writer *its) {
    const fl_map *map = its->map;
    const fl_survey *survey = &map->survey;
    size_t arenas = survey->arena_count < ARENAS_SHOWN ? survey->arena_count : ARENAS_SHOWN;
    FILE *to = its->to;
    fprintf(to, "const D = {pid:%d,program:", (int)map->target->process);
    print_text(to, map->target->program);
    fprintf(to, ",version:");
    print_text(to, map->target->root.version);
    fprintf(to, ",library:");
    print_text(to, map->target->library);
    fprintf(to, ",others:");
    print_text(to, map->target->others);
    fprintf(to, ",time:%lld,base:\"0x%llx\",pageBytes:%llu,regionPages:%llu,cellPages:%llu,exact:%d,\n",
            (long long)time(NULL), (unsigned long long)survey->base, (unsigned long long)survey->page_bytes,
            (unsigned long long)(survey->region_bytes / survey->page_bytes),
            (unsigned long long)its->cell_pages, its->cell_pages == 1);
    fprintf(to, "onMap:%llu,inSmaps:%llu,unexplained:%llu,absent:%llu,mappings:%zu,\nshares:[",
            (unsigned long long)map->on_map, (unsigned long long)map->in_smaps,
            (unsigned long long)map->unexplained, (unsigned long long)map->absent, map->smaps.count);
    for (int share = 0; share < FL_SHARE_COUNT; share++) {
        fprintf(to, "%s{name:\"%s\",bytes:%llu,help:", share ? "," : "", shares[share].name,
                (unsigned long long)map->bytes[share]);
        print_text(to, shares[share].help);
        fputc('}', to);
    }
    fputs("],\narenas:[", to);
    for (size_t i = 0; i < arenas; i++) {
        fprintf(to, "%s[%d,", i ? "," : "", number_of(map, (uint32_t)i));
        print_text(to, survey->arenas[i].name);
        fputc(']', to);
    }
    fprintf(to, "],\nmoreArenas:%zu,\nclasses:[", survey->arena_count - arenas);
    for (size_t i = 0; i < survey->class_count; i++)
        fprintf(to, "%s%llu", i ? "," : "", (unsigned long long)survey->classes[i].block_bytes);
    fputs("],\n", to);
    bool room = write_sums(map, arenas, to);
    fputs("rows:[\n", to);
    write_rows(its);
    fputs("]};\n", to);
    return room;
}

/* Chooses a page for each square if that can be looked at; else as many as leave few enough cells. */
static uint64_t choose_cell(const fl_map *map) {
    uint64_t pages = 0, cells = 0, cell_pages = 1;
    for (size_t i = 0; i < map->count; i++)
        pages += map->runs[i].start < map->survey.base ? 0 : map->runs[i].bytes / map->survey.page_bytes;
    if (map->count <= RUNS_MAX && pages <= PAGES_MAX)
        return 1;
    do {
        uint64_t last = UINT64_MAX;
        cell_pages *= 2;
        cells = 0;
        for (size_t i = 0; i < map->count && cells <= CELLS_MAX; i++) {
            const fl_run *run = &map->runs[i];
            uint64_t first = (run->start - map->survey.base) / map->survey.page_bytes / cell_pages;
            uint64_t end =
                (run->start + run->bytes - map->survey.base - 1) / map->survey.page_bytes / cell_pages;
            if (run->start < map->survey.base)
                continue;
            cells += end - first + (first != last);
            last = end;
        }
    } while (cells > CELLS_MAX);
    return cell_pages;
}

bool fl_map_print_page(const fl_map *map, FILE *to) {
    static const char mark[] = "/*DATA*/\n";
    const char *rest = strstr(template, mark);
    writer its = {.map = map, .to = to, .cell_pages = choose_cell(map)};
    fwrite(template, 1, (size_t)(rest - template), to);
    bool room = write_data(&its);
    fputs(rest + sizeof mark - 1, to);
    return room;
}
