/* SPDX-License-Identifier: MIT */
/*
 * script.c: reads a trace into a script. A trace may be cut off, damaged or something else: no byte of it is
 * believed before it was looked at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../record/trace.h"
#include "script.h"

#define ALIGNMENT_MOST 40 /* log2 */

static const char no_memory[] = "not enough memory to read it";
static const char damaged[] = "a damaged trace";
static const char cut_off[] = "a truncated trace";

/* Returns zeroed memory outside of any malloc, whose pages come as they are touched; NULL if there is
 * none. */
static void *outside(size_t bytes) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *start = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, flags, -1, 0);
    return start == MAP_FAILED ? NULL : start;
}

/* From addresses to the slots of the blocks that live there: open addressing, half full at most. */
typedef struct place {
    uint64_t address;
    uint32_t slot, taken;
} place;

typedef struct table {
    place *places;
    size_t mask, count;
} table;

static size_t home(const table *its, uint64_t address) {
    return (size_t)((address * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & its->mask;
}

static place *look_up(const table *its, uint64_t address) {
    size_t i = home(its, address);
    while (its->places[i].taken && its->places[i].address != address)
        i = (i + 1) & its->mask;
    return &its->places[i];
}

static bool grow(table *its) {
    size_t places = its->places ? its->mask + 1 : 0, more = places ? 2 * places : 1024;
    table bigger = {outside(more * sizeof(place)), more - 1, its->count};
    if (!bigger.places)
        return false;
    for (size_t i = 0; i < places; i++)
        if (its->places[i].taken)
            *look_up(&bigger, its->places[i].address) = its->places[i];
    if (places)
        munmap(its->places, places * sizeof(place));
    *its = bigger;
    return true;
}

static bool put_in(table *its, uint64_t address, uint32_t slot) {
    if (2 * its->count >= its->mask && !grow(its))
        return false;
    place *it = look_up(its, address);
    its->count += !it->taken;
    *it = (place){address, slot, 1};
    return true;
}

/* What stands behind the hole moves up, unless that would be before its home. */
static uint32_t take_out(table *its, uint64_t address) {
    place *it = look_up(its, address);
    if (!it->taken)
        return FL_NONE;
    uint32_t slot = it->slot;
    size_t hole = (size_t)(it - its->places);
    for (size_t i = (hole + 1) & its->mask; its->places[i].taken; i = (i + 1) & its->mask)
        if (((i - home(its, its->places[i].address)) & its->mask) >= ((i - hole) & its->mask)) {
            its->places[hole] = its->places[i];
            hole = i;
        }
    its->places[hole].taken = 0;
    its->count--;
    return slot;
}

typedef struct reader {
    fl_script *script;
    const uint8_t *at, *end;
    uint64_t address;                  /* the last one read */
    uint64_t thread;                   /* as recorded */
    uint32_t *moving;                  /* by recorded thread: 1 + the slot that its last REALLOC moves into */
    size_t most;                       /* events, threads and slots, by the length of the file */
    uint32_t *makers;                  /* by slot: the event that allocates it */
    uint32_t *next[FL_SCRIPT_THREADS]; /* where to put the thread's next event */
    table table;
    size_t live;
    const char *wrong;
} reader;

static void is_wrong(reader *its, const char *why) {
    if (!its->wrong)
        its->wrong = why;
}

/* The last byte of the file is an END, which also ends a number: none is read from beyond it. */
static uint64_t read_number(reader *its) {
    uint64_t number = 0;
    if (its->at < its->end)
        its->at = fl_trace_get(its->at, &number);
    else
        is_wrong(its, cut_off);
    return number;
}

static uint64_t read_address(reader *its) {
    its->address += (uint64_t)fl_trace_unzigzag(read_number(its)) * 16;
    return its->address;
}

static void frees(reader *its, fl_event *it) {
    fl_script *script = its->script;
    it->from = take_out(&its->table, read_address(its));
    if (it->from == FL_NONE) {
        script->unknown++;
        return;
    }
    fl_event *maker = &script->events[its->makers[it->from]];
    maker->handed_on = maker->handed_on || maker->thread != it->thread;
    it->was_cleared = maker->what == FL_TRACE_CALLOC;
    its->live -= script->slots[it->from].bytes;
}

static void allocates(reader *its, fl_event *it) {
    fl_script *script = its->script;
    it->to = (uint32_t)script->slot_count++;
    its->makers[it->to] = (uint32_t)script->event_count;
    script->slots[it->to].bytes = read_number(its);
    its->live += script->slots[it->to].bytes;
    if (its->live > script->live_peak_bytes)
        script->live_peak_bytes = its->live;
}

static void lives_at(reader *its, uint64_t address, uint32_t slot) {
    if (!put_in(&its->table, address, slot))
        is_wrong(its, no_memory);
}

static uint8_t read_log2_alignment(reader *its) {
    uint64_t log2 = read_number(its);
    if (log2 > ALIGNMENT_MOST)
        is_wrong(its, damaged);
    return (uint8_t)log2;
}

static void read_thread(reader *its) {
    its->thread = read_number(its);
    if (its->thread >= its->most) {
        is_wrong(its, damaged);
        its->thread = 0;
    }
}

/* Reads what follows the byte that says what. Returns whether that is an event to be played. */
static bool read_event(reader *its, fl_event *it) {
    switch (it->what) {
    case FL_TRACE_THREAD:
        read_thread(its);
        return false;
    case FL_TRACE_ALIGNED:
        it->log2_alignment = read_log2_alignment(its);
        /* fall through */
    case FL_TRACE_MALLOC:
    case FL_TRACE_CALLOC:
        allocates(its, it);
        lives_at(its, read_address(its), it->to);
        return true;
    case FL_TRACE_FREE:
        frees(its, it);
        return it->from != FL_NONE;
    case FL_TRACE_REALLOC: /* from before the trace: what it becomes is ours */
        frees(its, it);
        allocates(its, it);
        its->moving[its->thread] = it->to + 1;
        return true;
    case FL_TRACE_MOVED:
        if (its->moving[its->thread])
            lives_at(its, read_address(its), its->moving[its->thread] - 1);
        else
            is_wrong(its, damaged);
        its->moving[its->thread] = 0;
        return false;
    default:
        is_wrong(its, damaged);
        return false;
    }
}

static void append(reader *its, const fl_event *it) {
    fl_script *script = its->script;
    uint32_t index = (uint32_t)script->event_count++;
    script->events[index] = *it;
    if (it->thread >= script->thread_count)
        script->thread_count = it->thread + 1u;
    *its->next[it->thread] = index;
    its->next[it->thread] = &script->events[index].next;
}

static void read_events(reader *its) {
    fl_script *script = its->script;
    for (size_t i = 0; i < FL_SCRIPT_THREADS; i++) {
        script->first[i] = FL_NONE;
        its->next[i] = &script->first[i];
    }
    while (!its->wrong && its->at < its->end && *its->at != FL_TRACE_END) {
        fl_event it = {.what = *its->at++, .from = FL_NONE, .to = FL_NONE, .next = FL_NONE};
        it.thread = (uint8_t)(its->thread % FL_SCRIPT_THREADS);
        if (read_event(its, &it))
            append(its, &it);
    }
    if (its->at >= its->end)
        is_wrong(its, cut_off);
    script->live_end_bytes = its->live;
}

static const char *load_text(fl_script *script, const uint8_t *text, size_t bytes) {
    /* No event is shorter than two bytes. */
    reader its = {
        .script = script, .at = text + FL_TRACE_HEADER_BYTES, .end = text + bytes, .most = bytes / 2};
    script->events = outside(its.most * sizeof(fl_event));
    script->slots = outside(its.most * sizeof(fl_slot));
    its.moving = outside(its.most * sizeof *its.moving);
    its.makers = outside(its.most * sizeof *its.makers);
    if (!script->events || !script->slots || !its.moving || !its.makers || !grow(&its.table))
        return no_memory;
    read_events(&its);
    munmap(its.table.places, (its.table.mask + 1) * sizeof(place));
    munmap(its.moving, its.most * sizeof *its.moving);
    munmap(its.makers, its.most * sizeof *its.makers);
    return its.wrong;
}

static const char *check_header(const uint8_t *text, size_t bytes) {
    if (bytes < FL_TRACE_HEADER_BYTES || memcmp(text, FL_TRACE_HEADER, FL_TRACE_KIND_BYTES))
        return "not a trace";
    if (memcmp(text, FL_TRACE_HEADER, FL_TRACE_HEADER_BYTES))
        return "a trace of another version; this fallow replays version 1";
    return text[bytes - 1] == FL_TRACE_END ? NULL : cut_off;
}

static const char *load_file(fl_script *script, int file) {
    struct stat about;
    if (fstat(file, &about) < 0)
        return strerror(errno);
    if (!S_ISREG(about.st_mode))
        return S_ISDIR(about.st_mode) ? strerror(EISDIR) : "not a regular file";
    size_t bytes = (size_t)about.st_size;
    if (bytes == 0)
        return "an empty file";
    if (bytes / 2 >= FL_NONE)
        return "a trace that is too long";
    const uint8_t *text = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (text == MAP_FAILED)
        return strerror(errno);
    const char *wrong = check_header(text, bytes);
    if (!wrong)
        wrong = load_text(script, text, bytes);
    munmap((void *)text, bytes);
    return wrong;
}

const char *fl_script_load(fl_script *script, const char *path) {
    *script = (fl_script){0};
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return strerror(errno);
    const char *wrong = load_file(script, file);
    close(file);
    return wrong;
}
