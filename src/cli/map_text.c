/* SPDX-License-Identifier: MIT */
/*
 * map_text.c: the map for a terminal: a mark for each stretch of pages, by what most of it is, and what each
 * kind of mark sums up to.
 */
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "terminal.h"

#define LINES_MAX 40
#define LABEL_COLUMNS 16

#define SHARE(share, name, mark, colour, help) {name, mark, colour, help},
static const struct {
    const char *name;
    char mark;
    int colour;
    const char *help;
} shares[] = {FL_SHARES(SHARE)};

typedef struct cell {
    uint64_t bytes[FL_SHARE_COUNT];
} cell;

typedef struct picture {
    cell *cells;
    size_t count;
    uint64_t cell_bytes;
    unsigned columns;
} picture;

/* Fills cells of a power of two of pages from the window, as far as regions have been taken. */
static bool fill(picture *its, const fl_map *map) {
    const fl_survey *survey = &map->survey;
    uint64_t bytes = survey->pages * survey->page_bytes;
    its->cell_bytes = survey->page_bytes;
    while (bytes / its->cell_bytes > (uint64_t)its->columns * LINES_MAX)
        its->cell_bytes *= 2;
    its->count = bytes / its->cell_bytes + 1;
    its->cells = calloc(its->count, sizeof *its->cells);
    for (size_t i = 0; its->cells && i < map->count; i++) {
        const fl_run *run = &map->runs[i];
        uint64_t whole[FL_SHARE_COUNT] = {0}, end = run->start + run->bytes;
        if (run->start < survey->base || end > survey->base + bytes)
            continue;
        fl_map_add_shares(map, run, whole);
        for (uint64_t at = run->start; at < end;) { /* over as many cells as it lies in */
            uint64_t place = (at - survey->base) / its->cell_bytes;
            uint64_t cell_end = survey->base + (place + 1) * its->cell_bytes;
            uint64_t part = (cell_end < end ? cell_end : end) - at;
            for (int share = 0; share < FL_SHARE_COUNT; share++)
                its->cells[place].bytes[share] +=
                    (uint64_t)((double)whole[share] * (double)part / (double)run->bytes);
            at += part;
        }
    }
    return its->cells != NULL;
}

/* Returns what there is most of; FL_SHARE_COUNT if there is nothing. What is no memory weighs less than
 * memory. */
static int share_of(const cell *of) {
    int most = FL_SHARE_COUNT;
    for (int share = 0; share < FL_SHARE_COUNT; share++)
        if (of->bytes[share] && (most == FL_SHARE_COUNT || of->bytes[share] > of->bytes[most]))
            most = share;
    return most;
}

static void print_line(const picture *its, size_t first, bool colours, FILE *to) {
    int colour = -1;
    for (size_t i = first; i < first + its->columns && i < its->count; i++) {
        int share = share_of(&its->cells[i]);
        int wanted = share == FL_SHARE_COUNT ? -1 : shares[share].colour;
        if (colours && wanted != colour)
            fl_terminal_paint(to, wanted);
        colour = wanted;
        fputc(share == FL_SHARE_COUNT ? ' ' : shares[share].mark, to);
    }
    if (colours && colour != -1)
        fl_terminal_paint(to, -1);
    fputc('\n', to);
}

static bool is_empty(const picture *its, size_t first) {
    for (size_t i = first; i < first + its->columns && i < its->count; i++)
        if (share_of(&its->cells[i]) != FL_SHARE_COUNT)
            return false;
    return true;
}

static void print_bytes(uint64_t bytes, FILE *to) {
    fprintf(to, "%12.3f MiB", (double)bytes / (1 << 20));
}

static void print_sums(const fl_map *map, bool colours, FILE *to) {
    for (int share = 0; share < FL_SHARE_COUNT; share++) {
        if (!map->bytes[share])
            continue;
        if (colours)
            fl_terminal_paint(to, shares[share].colour);
        fputc(shares[share].mark, to);
        if (colours)
            fl_terminal_paint(to, -1);
        fprintf(to, " %-11s", shares[share].name);
        print_bytes(map->bytes[share], to);
        fprintf(to, "  %s\n", shares[share].help);
    }
    fprintf(to, "\n  %-11s", "the map"), print_bytes(map->on_map, to);
    fprintf(to, "  resident: %.3f MiB\n  %-11s", (double)map->resident_bytes / (1 << 20), "the kernel");
    print_bytes(map->in_smaps, to);
    fprintf(to, "  in %zu mappings of fallow's; resident: %.3f MiB\n", map->smaps.count,
            (double)map->smaps.sum.resident_bytes / (1 << 20));
    fprintf(to, "  difference: %llu bytes%s\n", (unsigned long long)(map->unexplained + map->absent),
            map->unexplained + map->absent ? " (the program was running meanwhile)" : "");
}

bool fl_map_print_text(const fl_map *map, FILE *to) {
    bool colours = fl_terminal_has_colours(to);
    picture its = {.columns = fl_terminal_columns(to) - LABEL_COLUMNS};
    its.columns -= its.columns % 16;
    if (!fill(&its, map))
        return false;
    fprintf(to, "process %d (%s): one character for %llu KiB\n\n", (int)map->target->process,
            map->target->program, (unsigned long long)its.cell_bytes >> 10);
    if (*map->target->others)
        fprintf(to, "showing the fallow in %s; the process also has one in %s, not shown\n\n",
                map->target->library, map->target->others);
    bool left_out = false;
    for (size_t first = 0; first < its.count; first += its.columns) {
        if (is_empty(&its, first)) {
            left_out = true;
            continue;
        }
        if (left_out)
            fputs("...\n", to);
        left_out = false;
        fprintf(to, "%-*llx", LABEL_COLUMNS, (unsigned long long)(map->survey.base + first * its.cell_bytes));
        print_line(&its, first, colours, to);
    }
    free(its.cells);
    fputc('\n', to);
    print_sums(map, colours, to);
    return true;
}
