/* SPDX-License-Identifier: MIT */
#include "top_picture.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "seen_events.h"

#define NAME_COLUMNS_MIN 18 /* a number and a name */
#define NAME_COLUMNS_MAX 39
#define VALUE_COLUMNS 11
#define WIDE_COLUMNS 160 /* from so many on, events stand beside the rows */
#define EVENT_COLUMNS 62

typedef struct table_column {
    const char *heading;
    unsigned figure;
    bool is_bytes, is_rate; /* is_rate: a figure that only goes up */
} table_column;

static const table_column of_arenas[] = {
    {"live", FL_ARENA_live_bytes, true, false},    {"free", FL_ARENA_free_bytes, true, false},
    {"idle", FL_ARENA_idle_bytes, true, false},    {"grown/s", FL_ARENA_grown_bytes, true, true},
    {"given/s", FL_ARENA_given_bytes, true, true}, {"blocks", FL_ARENA_live_blocks, false, false},
    {"refused", FL_ARENA_refusals, false, false}};
static const table_column of_classes[] = {{"live", FL_CLASS_live_bytes, true, false},
                                          {"free", FL_CLASS_free_bytes, true, false},
                                          {"decommit", FL_CLASS_decommitted_bytes, true, false},
                                          {"blocks", FL_CLASS_live_blocks, false, false},
                                          {"slabs", FL_CLASS_slabs, false, false}};
static const table_column of_heaps[] = {{"live", FL_HEAP_live_bytes, true, false},
                                        {"free", FL_HEAP_free_bytes, true, false},
                                        {"span", FL_HEAP_span_bytes, true, false},
                                        {"slabs", FL_HEAP_slabs, false, false}};

#define COUNT(array) (unsigned)(sizeof(array) / sizeof *(array))

static const table_column *columns_of(fl_group view, unsigned *count) {
    *count = view == FL_GROUP_ARENA   ? COUNT(of_arenas)
             : view == FL_GROUP_CLASS ? COUNT(of_classes)
                                      : COUNT(of_heaps);
    return view == FL_GROUP_ARENA ? of_arenas : view == FL_GROUP_CLASS ? of_classes : of_heaps;
}

unsigned fl_top_columns(fl_group view) {
    unsigned count;
    columns_of(view, &count);
    return count;
}

/* By second. What went down began anew: an arena has ended meanwhile. */
static uint64_t rate(const fl_top *top, uint64_t now, uint64_t before) {
    return top->seconds > 0 && now > before ? (uint64_t)((double)(now - before) / top->seconds) : 0;
}

static const fl_row *row_before(const fl_top *top, const fl_row *row) {
    const fl_statistics *before = &top->before;
    for (size_t i = 0; i < before->counts[top->view]; i++)
        if (before->rows[top->view][i].number == row->number)
            return &before->rows[top->view][i];
    return NULL;
}

static uint64_t value_of(const fl_top *top, const fl_row *row, const table_column *of) {
    const fl_row *before = of->is_rate ? row_before(top, row) : NULL;
    if (!of->is_rate)
        return row->values[of->figure];
    return before ? rate(top, row->values[of->figure], before->values[of->figure]) : 0;
}

#define NAME(share, name, mark, colour, help) name,
#define MARK(share, name, mark, colour, help) mark,
static const char *const names[] = {FL_SHARES(NAME)};
static const char marks[] = {FL_SHARES(MARK)};

/* Draws parts of `whole` in so many columns: as many marks of each as is its share, within these columns. */
static void draw_bar(fl_frame *frame, unsigned line, unsigned column, unsigned columns, const uint64_t *parts,
                     uint64_t whole) {
    uint64_t sum = 0;
    fl_frame_put(frame, line, column, FL_STYLE_PLAIN, "[");
    for (unsigned share = 0; share < FL_SHARE_COUNT && whole; share++) {
        unsigned from = (unsigned)((double)sum / (double)whole * columns);
        sum += parts[share];
        unsigned to = (unsigned)((double)sum / (double)whole * columns + 0.5);
        to = to > columns ? columns : to;
        if (to > from)
            fl_frame_fill(frame, line, column + 1 + from, to - from, share, marks[share]);
    }
    fl_frame_put(frame, line, column + 1 + columns, FL_STYLE_PLAIN, "]");
}

static void shares_of_process(const uint64_t *values, uint64_t *shares) {
    shares[FL_SHARE_LIVE] = values[FL_PROCESS_live_bytes];
    shares[FL_SHARE_FREE] = values[FL_PROCESS_free_bytes];
    shares[FL_SHARE_POOL] = values[FL_PROCESS_pool_bytes];
    shares[FL_SHARE_SPAN] = values[FL_PROCESS_span_bytes];
    shares[FL_SHARE_IDLE] = values[FL_PROCESS_idle_bytes];
    shares[FL_SHARE_STUCK] = values[FL_PROCESS_stuck_bytes];
    shares[FL_SHARE_META] = values[FL_PROCESS_meta_bytes];
    shares[FL_SHARE_PREPARED] = values[FL_PROCESS_prepared_bytes];
}

/* Puts it behind what is there, or on the next line if it does not fit. */
static void put_next(fl_frame *frame, unsigned *line, unsigned *at, fl_style style, const char *text) {
    if (*at && *at + strlen(text) > frame->columns)
        ++*line, *at = 0;
    *at = fl_frame_put(frame, *line, *at, style, "%s", text) + 2;
}

static unsigned draw_process(const fl_top *top, fl_frame *frame) {
    const uint64_t *now = top->now.rows[FL_GROUP_PROCESS]->values;
    uint64_t shares[FL_SHARE_COUNT] = {0}, whole = 0;
    char text[3][32], whole_text[64];
    unsigned line = 3, at = 0;
    shares_of_process(now, shares);
    for (unsigned share = 0; share < FL_SHARE_COUNT; share++)
        whole += shares[share];
    fl_format_bytes(now[FL_PROCESS_ready_bytes], text[0], sizeof text[0]);
    fl_format_bytes(now[FL_PROCESS_resident_bytes], text[1], sizeof text[1]);
    fl_format_bytes(now[FL_PROCESS_prepared_bytes], text[2], sizeof text[2]);
    fl_frame_put(frame, 1, 0, FL_STYLE_PLAIN, "Ready %s (resident %s), Prepared %s", text[0], text[1],
                 text[2]);
    draw_bar(frame, 2, 0, frame->columns - 2, shares, whole);
    for (unsigned share = 0; share < FL_SHARE_COUNT; share++) {
        if (!shares[share])
            continue;
        fl_format_bytes(shares[share], text[0], sizeof text[0]);
        snprintf(whole_text, sizeof whole_text, "%c %s %s", marks[share], names[share], text[0]);
        put_next(frame, &line, &at, (fl_style)share, whole_text);
    }
    return line + 1;
}

static unsigned draw_rates(const fl_top *top, fl_frame *frame, unsigned line) {
    const uint64_t *now = top->now.rows[FL_GROUP_PROCESS]->values;
    const uint64_t *before = top->before.rows[FL_GROUP_PROCESS]->values;
    static const struct {
        const char *name;
        unsigned figure;
    } counts[] = {
        {"faults", FL_PROCESS_faults}, {"calls", FL_PROCESS_system_calls}, {"refused", FL_PROCESS_refusals}};
    char bytes[32], text[64];
    unsigned at = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        snprintf(text, sizeof text, "%s %llu/s", counts[i].name,
                 (unsigned long long)rate(top, now[counts[i].figure], before[counts[i].figure]));
        put_next(frame, &line, &at, FL_STYLE_PLAIN, text);
    }
    fl_format_bytes(rate(top, now[FL_PROCESS_grown_bytes], before[FL_PROCESS_grown_bytes]), bytes,
                    sizeof bytes);
    snprintf(text, sizeof text, "grown %s/s", bytes);
    put_next(frame, &line, &at, FL_STYLE_PLAIN, text);
    for (size_t i = 0; i < top->now.counts[FL_GROUP_CAUSE]; i++) {
        const fl_row *row = &top->now.rows[FL_GROUP_CAUSE][i];
        uint64_t given = rate(top, row->values[FL_CAUSE_given_bytes],
                              top->before.rows[FL_GROUP_CAUSE][i].values[FL_CAUSE_given_bytes]);
        fl_format_bytes(given, bytes, sizeof bytes);
        snprintf(text, sizeof text, "given (%.16s) %s/s", row->name, bytes);
        if (given)
            put_next(frame, &line, &at, FL_STYLE_STRONG, text);
    }
    return line + 1;
}

typedef struct sorted {
    const fl_row *row;
    uint64_t key;
} sorted;

static int by_key(const void *a, const void *b) {
    uint64_t left = ((const sorted *)a)->key, right = ((const sorted *)b)->key;
    return (left < right) - (left > right);
}

/* Which columns of a view are shown, and where: as many as there is room for, with the one to sort by. */
typedef struct table {
    const table_column *columns;
    unsigned first, end;
    unsigned name_columns, width;
} table;

static table lay_out(const fl_top *top, const fl_frame *frame) {
    unsigned count, room = frame->columns - (frame->columns >= WIDE_COLUMNS ? EVENT_COLUMNS + 2 : 0);
    table its = {.columns = columns_of(top->view, &count)};
    unsigned shown = room > NAME_COLUMNS_MIN ? (room - NAME_COLUMNS_MIN) / VALUE_COLUMNS : 0;
    shown = shown < count ? shown : count;
    its.first = top->sort < shown || !shown ? 0 : top->sort - shown + 1;
    its.end = its.first + shown;
    its.name_columns = room - shown * VALUE_COLUMNS;
    if (its.name_columns > NAME_COLUMNS_MAX)
        its.name_columns = NAME_COLUMNS_MAX;
    its.width = its.name_columns + shown * VALUE_COLUMNS;
    return its;
}

static unsigned place_of(const table *its, unsigned column) {
    return its->name_columns + (column - its->first) * VALUE_COLUMNS;
}

static void draw_row(const fl_top *top, const table *its, fl_frame *frame, unsigned line, const fl_row *row) {
    fl_frame_put(frame, line, 0, FL_STYLE_PLAIN, "%6llu %.*s", (unsigned long long)row->number,
                 (int)its->name_columns - 7, row->name);
    for (unsigned i = its->first; i < its->end; i++) {
        const table_column *of = &its->columns[i];
        char text[32];
        uint64_t value = value_of(top, row, of);
        snprintf(text, sizeof text, value ? "%llu" : "-", (unsigned long long)value);
        if (of->is_bytes && value)
            fl_format_bytes(value, text, sizeof text);
        fl_frame_put(frame, line, place_of(its, i), i == top->sort ? FL_STYLE_STRONG : FL_STYLE_PLAIN, "%*s",
                     VALUE_COLUMNS, text);
    }
}

static void draw_rows(const fl_top *top, fl_frame *frame, unsigned line, unsigned end) {
    static const char *const views[] = {
        [FL_GROUP_ARENA] = "arenas", [FL_GROUP_CLASS] = "size classes", [FL_GROUP_HEAP] = "heaps"};
    unsigned count;
    const table_column *columns = columns_of(top->view, &count);
    table its = lay_out(top, frame);
    size_t rows = top->now.counts[top->view], listed = 0;
    sorted *order = calloc(rows + 1, sizeof *order);
    fl_frame_put(frame, line, 0, FL_STYLE_STRONG, "%s", views[top->view]);
    for (unsigned i = its.first; i < its.end; i++) {
        char heading[VALUE_COLUMNS + 1];
        snprintf(heading, sizeof heading, "%s%s", i == top->sort ? "*" : "", columns[i].heading);
        fl_frame_put(frame, line, place_of(&its, i), i == top->sort ? FL_STYLE_CHOSEN : FL_STYLE_STRONG,
                     "%*s", VALUE_COLUMNS, heading);
    }
    for (size_t i = 0; order && i < rows; i++) {
        const fl_row *row = &top->now.rows[top->view][i];
        bool any = top->view != FL_GROUP_CLASS;
        for (unsigned figure = 0; figure < count; figure++)
            any = any || row->values[columns[figure].figure];
        if (any)
            order[listed++] = (sorted){row, value_of(top, row, &columns[top->sort])};
    }
    if (listed)
        qsort(order, listed, sizeof *order, by_key);
    for (size_t i = 0; i < listed && line + 1 + i < end; i++)
        draw_row(top, &its, frame, line + 1 + (unsigned)i, order[i].row);
    if (listed && line + 1 + listed > end && end > line + 1) {
        fl_frame_fill(frame, end - 1, 0, its.width, FL_STYLE_PLAIN, ' ');
        fl_frame_put(frame, end - 1, 0, FL_STYLE_PLAIN, "... and %zu more", listed - (end - line - 2));
    }
    free(order);
}

/* The newest first. */
static void draw_events(const fl_top *top, fl_frame *frame, unsigned line, unsigned end, unsigned column) {
    const fl_statistics *all = &top->now;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    fl_frame_put(frame, line++, column, FL_STYLE_STRONG, "%11s %-20s%12s%10s  %s", "ago", "event", "bytes",
                 "us", "arena");
    for (size_t i = all->event_count; i-- > 0 && line < end; line++) {
        const fl_seen_event *it = &all->events[i];
        char bytes[32], what[32], took[32] = "";
        double ago = now_ns > it->time_ns ? (double)(now_ns - it->time_ns) / 1e9 : 0;
        fl_format_bytes(it->bytes, bytes, sizeof bytes);
        snprintf(what, sizeof what, "%s%s%s", it->event, *it->cause ? " " : "", it->cause);
        if (it->took_us)
            snprintf(took, sizeof took, "%llu", (unsigned long long)it->took_us);
        fl_frame_put(
            frame, line, column, *it->event == 'r' ? FL_STYLE_STRONG : FL_STYLE_PLAIN,
            ago < 1e5 ? "%9.3f s %-20s%12s%10s  %.12s" : "%9.0f s %-20s%12s%10s  %.12s", ago, what, bytes,
            took, it->arena < all->counts[FL_GROUP_ARENA] ? all->rows[FL_GROUP_ARENA][it->arena].name : "-");
    }
}

void fl_top_draw(const fl_top *top, fl_frame *frame) {
    unsigned last = frame->lines - 1;
    fl_frame_put(frame, 0, 0, FL_STYLE_STRONG, "process %d (%s), fallow %s%s%s", (int)top->now.process,
                 top->now.program, top->now.version, *top->now.others ? ", in it also " : "",
                 top->now.others);
    unsigned line = draw_process(top, frame);
    line = draw_rates(top, frame, line) + 1;
    if (frame->columns >= WIDE_COLUMNS) {
        draw_events(top, frame, line, last - 1, frame->columns - EVENT_COLUMNS);
        draw_rows(top, frame, line, last - 1);
    } else {
        unsigned events = (last - line) / 3;
        draw_rows(top, frame, line, last - 2 - events);
        draw_events(top, frame, last - 1 - events, last - 1, 0);
    }
    fl_frame_put(frame, last, 0, FL_STYLE_CHOSEN, "%s",
                 top->paused ? "paused: space resumes   a arenas  c classes  h heaps  s sort  q quit"
                             : "a arenas  c classes  h heaps  s sort  space pause  l processes  q quit");
}
