/* SPDX-License-Identifier: MIT */
/*
 * statistics_print.c: prints the figures as JSON, as OpenMetrics text, as a table for people, and what each
 * of them means: all from the definition in ../embed/figures.h.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "seen_events.h"
#include "statistics.h"
#include "terminal.h"

typedef enum kind { GAUGE, COUNTER } kind;

typedef struct statistic {
    const char *name;
    kind kind;
    const char *help;
} statistic;

#define DEFINED(name, kind, help) {#name, kind, help},
static const statistic of_process[] = {FL_PROCESS_STATISTICS(DEFINED)};
static const statistic of_cause[] = {FL_CAUSE_STATISTICS(DEFINED)};
static const statistic of_arena[] = {FL_ARENA_STATISTICS(DEFINED)};
static const statistic of_class[] = {FL_CLASS_STATISTICS(DEFINED)};
static const statistic of_heap[] = {FL_HEAP_STATISTICS(DEFINED)};

#define PROCESS of_process
#define CAUSE of_cause
#define ARENA of_arena
#define CLASS of_class
#define HEAP of_heap
#define GROUP(group, name, prefix, number, text, about) \
    {name, prefix, number, text, about, group, sizeof group / sizeof *group},
static const struct group {
    const char *name, *prefix, *number, *text, *about;
    const statistic *statistics;
    size_t count;
} groups[] = {FL_STATISTICS_GROUPS(GROUP)};

static bool ends_with(const char *name, const char *end) {
    size_t length = strlen(name), its = strlen(end);
    return length >= its && !strcmp(name + length - its, end);
}

static void print_value(FILE *to, const statistic *of, uint64_t value) {
    if (ends_with(of->name, "_seconds"))
        fprintf(to, "%llu.%09llu", (unsigned long long)value / 1000000000,
                (unsigned long long)value % 1000000000);
    else
        fprintf(to, "%llu", (unsigned long long)value);
}

/* Prints a printable text within quotes, which breaks neither format. */
static void print_name(FILE *to, const char *name) {
    for (; *name; name++)
        fprintf(to, *name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
}

static void print_row_as_json(FILE *to, const struct group *group, const fl_row *row) {
    const char *before = "{";
    if (*group->number)
        fprintf(to, "{\"%s\": %llu", group->number, (unsigned long long)row->number), before = ", ";
    if (*group->text) {
        fprintf(to, "%s\"%s\": \"", before, group->text), before = ", ";
        print_name(to, row->name);
        fputc('"', to);
    }
    for (size_t i = 0; i < group->count; i++) {
        fprintf(to, "%s%s\"%s\": ", before, *group->number || *group->text ? "" : "\n  ",
                group->statistics[i].name);
        print_value(to, &group->statistics[i], row->values[i]);
        before = ", ";
    }
    fputc('}', to);
}

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void print_events_as_json(FILE *to, const fl_statistics *all) {
    uint64_t since = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
    fputs(" \"events\": [", to);
    for (size_t i = 0; i < all->event_count; i++) {
        const fl_seen_event *it = &all->events[i];
        uint64_t time_ns = since + it->time_ns;
        fprintf(to, "%s{\"number\": %llu, \"time\": %llu.%09llu, \"event\": \"%s\", \"cause\": \"%s\"",
                i ? ",\n  " : "\n  ", (unsigned long long)it->number,
                (unsigned long long)time_ns / 1000000000, (unsigned long long)time_ns % 1000000000, it->event,
                it->cause);
        fprintf(to, ", \"bytes\": %llu, \"microseconds\": %llu, \"arena\": %lld}",
                (unsigned long long)it->bytes, (unsigned long long)it->took_us,
                it->arena < all->counts[FL_GROUP_ARENA]
                    ? (long long)all->rows[FL_GROUP_ARENA][it->arena].number
                    : -1LL);
    }
    fputs("]}\n", to);
}

void fl_print_json(const fl_statistics *all, FILE *to) {
    fprintf(to, "{\"format\": 1, \"fallow\": \"");
    print_name(to, all->version);
    fprintf(to, "\", \"pid\": %d, \"program\": \"", (int)all->process);
    print_name(to, all->program);
    fprintf(to, "\", \"library\": \"");
    print_name(to, all->library);
    fprintf(to, "\", \"others\": \"");
    print_name(to, all->others);
    fprintf(to, "\", \"time\": %lld,\n", (long long)time(NULL));
    for (size_t g = 0; g < FL_GROUP_COUNT; g++) {
        fprintf(to, " \"%s\": %s", groups[g].name, g ? "[" : "");
        for (size_t i = 0; i < all->counts[g]; i++) {
            fprintf(to, "%s", i ? ",\n  " : g ? "\n  " : "");
            print_row_as_json(to, &groups[g], &all->rows[g][i]);
        }
        fprintf(to, "%s,\n", g ? "]" : "");
    }
    print_events_as_json(to, all);
}

static const char *unit_of(const statistic *of) {
    return ends_with(of->name, "_bytes") ? "bytes" : ends_with(of->name, "_seconds") ? "seconds" : "";
}

static void print_sample(FILE *to, const struct group *group, const statistic *of, const fl_row *row,
                         uint64_t value) {
    fprintf(to, "fallow_%s%s%s", group->prefix, of->name, of->kind == COUNTER ? "_total" : "");
    if (*group->number)
        fprintf(to, "{%s=\"%llu\"", group->number, (unsigned long long)row->number);
    if (*group->text) {
        fprintf(to, "%s%s=\"", *group->number ? "," : "{", group->text);
        print_name(to, row->name);
        fputc('"', to);
    }
    fputs(*group->number || *group->text ? "} " : " ", to);
    print_value(to, of, value);
    fputc('\n', to);
}

void fl_print_metrics(const fl_statistics *all, FILE *to) {
    fputs("# TYPE fallow info\n# HELP fallow The library in the process.\nfallow_info{version=\"", to);
    print_name(to, all->version);
    fprintf(to, "\",pid=\"%d\",program=\"", (int)all->process);
    print_name(to, all->program);
    fputs("\",library=\"", to);
    print_name(to, all->library);
    fputs("\",others=\"", to);
    print_name(to, all->others);
    fputs("\"} 1\n", to);
    for (size_t g = 0; g < FL_GROUP_COUNT; g++)
        for (size_t i = 0; i < groups[g].count; i++) {
            const statistic *of = &groups[g].statistics[i];
            fprintf(to, "# TYPE fallow_%s%s %s\n", groups[g].prefix, of->name,
                    of->kind == COUNTER ? "counter" : "gauge");
            if (*unit_of(of))
                fprintf(to, "# UNIT fallow_%s%s %s\n", groups[g].prefix, of->name, unit_of(of));
            fprintf(to, "# HELP fallow_%s%s %s.\n", groups[g].prefix, of->name, of->help);
            for (size_t row = 0; row < all->counts[g]; row++)
                print_sample(to, &groups[g], of, &all->rows[g][row], all->rows[g][row].values[i]);
        }
    fputs("# EOF\n", to);
}

void fl_format_bytes(uint64_t value, char *text, size_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double shown = (double)value;
    size_t unit = 0;
    for (; shown >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        shown /= 1024;
    snprintf(text, bytes, unit ? "%.1f %s" : "%.0f %s", shown, units[unit]);
}

/* For people: bytes with a unit. */
static void format_value(const statistic *of, uint64_t value, char *text, size_t bytes) {
    if (value == 0)
        snprintf(text, bytes, "-");
    else if (ends_with(of->name, "_seconds"))
        snprintf(text, bytes, "%.3f s", (double)value / 1e9);
    else if (!ends_with(of->name, "_bytes"))
        snprintf(text, bytes, "%llu", (unsigned long long)value);
    else
        fl_format_bytes(value, text, bytes);
}

#define NAME_COLUMNS 18
#define VALUE_COLUMNS 13
#define ROWS_SHOWN 20

static void format_heading(const char *name, char *text, size_t bytes) {
    size_t length = strlen(name) - (ends_with(name, "_bytes") ? 6 : ends_with(name, "_seconds") ? 8 : 0);
    snprintf(text, bytes, "%.*s", (int)length, name);
}

static bool is_all_zero(const fl_row *rows, size_t count, size_t figure) {
    for (size_t i = 0; i < count; i++)
        if (rows[i].values[figure])
            return false;
    return true;
}

/* Compares by the first two figures, the largest first. */
static int by_size(const void *a, const void *b) {
    const fl_row *left = *(const fl_row *const *)a, *right = *(const fl_row *const *)b;
    uint64_t its = left->values[0] + left->values[1], others = right->values[0] + right->values[1];
    return (its < others) - (its > others);
}

static void print_row(FILE *to, const struct group *group, const fl_row *row, const bool *shown) {
    char text[40], *at = text;
    if (*group->number)
        at += snprintf(text, sizeof text, "%llu ", (unsigned long long)row->number);
    snprintf(at, (size_t)(text + sizeof text - at), "%s", row->name);
    fprintf(to, "%-*.*s", NAME_COLUMNS, NAME_COLUMNS, text);
    for (size_t i = 0; i < group->count; i++)
        if (shown[i]) {
            format_value(&group->statistics[i], row->values[i], text, sizeof text);
            fprintf(to, "%*s", VALUE_COLUMNS, text);
        }
    fputc('\n', to);
}

/* Prints as many columns as there is room for, without those that are zero throughout, and the rows that hold
 * most. */
static void print_group(FILE *to, const struct group *group, const fl_row *rows, size_t count,
                        unsigned columns) {
    bool shown[FL_PROCESS_COUNT] = {false};
    size_t fit = (columns - NAME_COLUMNS) / VALUE_COLUMNS, more = 0, listed = 0;
    const fl_row **sorted = malloc((count + 1) * sizeof *sorted);
    for (size_t i = 0; sorted && i < count; i++) {
        bool any = false;
        for (size_t figure = 0; figure < group->count; figure++)
            any = any || rows[i].values[figure];
        if (any)
            sorted[listed++] = &rows[i];
    }
    if (!sorted || listed == 0) {
        free(sorted);
        return;
    }
    qsort(sorted, listed, sizeof *sorted, by_size);
    fprintf(to, "\n%-*s", NAME_COLUMNS, group->name);
    for (size_t i = 0; i < group->count; i++) {
        char text[40];
        shown[i] = !is_all_zero(rows, count, i) && fit > 0;
        more += !shown[i] && !is_all_zero(rows, count, i);
        fit -= shown[i];
        format_heading(group->statistics[i].name, text, sizeof text);
        if (shown[i])
            fprintf(to, "%*.*s", VALUE_COLUMNS, VALUE_COLUMNS, text);
    }
    fputc('\n', to);
    for (size_t i = 0; i < listed && i < ROWS_SHOWN; i++)
        print_row(to, group, sorted[i], shown);
    if (listed > ROWS_SHOWN)
        fprintf(to, "... and %zu more that hold less (--json shows all)\n", listed - ROWS_SHOWN);
    if (more)
        fprintf(to, "(%zu more columns in a wider terminal, or with --json)\n", more);
    free(sorted);
}

void fl_print_table(const fl_statistics *all, FILE *to) {
    unsigned columns = fl_terminal_columns(to);
    fprintf(to, "process %d (%s), fallow %s\n", (int)all->process, all->program, all->version);
    if (*all->others)
        fprintf(to, "showing the fallow in %s; the process also has one in %s, not shown\n", all->library,
                all->others);
    fputc('\n', to);
    for (size_t i = 0; i < groups[0].count; i++) {
        char text[40];
        if (!all->rows[0]->values[i])
            continue;
        format_value(&groups[0].statistics[i], all->rows[0]->values[i], text, sizeof text);
        fprintf(to, "%-25s%12s", groups[0].statistics[i].name, text);
        /* In few words, and no more of them than there is room for. */
        const char *help = groups[0].statistics[i].help;
        int room = (int)columns - 39, length = (int)strcspn(help, ":");
        if (length > room)
            for (length = room; length > 0 && help[length] != ' '; length--)
                ;
        fprintf(to, length > 0 ? "  %.*s\n" : "\n", length, help);
    }
    for (size_t g = 1; g < FL_GROUP_COUNT; g++)
        print_group(to, &groups[g], all->rows[g], all->counts[g], columns);
    fputs("\nFigures that are zero are left out. fallow stats --explain explains them all.\n", to);
}

#define EXPLAINED_COLUMNS 130 /* of docs/statistics.md, which ends with what is printed here */

static void print_paragraph(FILE *to, const char *text) {
    for (size_t column = 0; *text;) {
        size_t word = strcspn(text, " ");
        bool fits = column + 1 + word <= EXPLAINED_COLUMNS;
        fprintf(to, "%s%.*s", column == 0 ? "" : fits ? " " : "\n", (int)word, text);
        column = column == 0 || !fits ? word : column + 1 + word;
        text += word + (text[word] == ' ');
    }
    fputs("\n", to);
}

static void explain_group(FILE *to, const struct group *its) {
    bool both = *its->number && *its->text, either = *its->number || *its->text;
    char text[1024];
    snprintf(text, sizeof text, "%s. In JSON: `%s`; in OpenMetrics: `fallow_%s...`%s%s%s%s%s.", its->about,
             its->name, its->prefix, either ? ", by `" : "", *its->number ? its->number : its->text,
             both ? "` and `" : "", both ? its->text : "", either ? "`" : "");
    print_paragraph(to, text);
    fputs("\n| figure | | |\n|---|---|---|\n", to);
    for (size_t i = 0; i < its->count; i++)
        fprintf(to, "| `%s` | %s | %s |\n", its->statistics[i].name,
                its->statistics[i].kind == COUNTER ? "counter" : "gauge", its->statistics[i].help);
}

void fl_print_explanation(FILE *to) {
    for (size_t g = 0; g < FL_GROUP_COUNT; g++) {
        fprintf(to, "%s## %s\n\n", g ? "\n" : "", groups[g].name);
        explain_group(to, &groups[g]);
    }
    fputs("\n## events\n\n", to);
    print_paragraph(
        to, "The last few thousand times that memory was granted, returned or refused; a forked child "
            "starts a list of its own. In JSON: `events`; in `fallow top`.");
    fputs("\n| | |\n|---|---|\n", to);
#define EXPLAIN(name, help) fputs("| `" #name "` | " help " |\n", to);
    FL_EVENT_STATISTICS(EXPLAIN)
}
