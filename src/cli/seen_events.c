/* SPDX-License-Identifier: MIT */
/*
 * seen_events.c: reads the ring of events twice: one that is the same both times, its stamp in front, is
 * whole.
 */
#include "seen_events.h"

#include <stdlib.h>
#include <string.h>

#include "../arena/events.h"
#include "../embed/figures.h"

static const char *const give_causes[] = {FL_CAUSES_SHOWN};
static const char *const refusal_causes[] = {"never", "soft", "arena", "process", "system"};
#define CAUSES (sizeof give_causes / sizeof *give_causes)

/* Returns false if it is none. */
static bool understand(const fl_survey *survey, const char *event, fl_seen_event *seen) {
    const fl_target *target = survey->target;
    uint64_t what = fl_target_member(target, event, FL_AT_event_what);
    unsigned kind = what & 0xff, cause = what >> FL_EVENT_CAUSE_SHIFT & 0xff;
    if (kind < FL_EVENT_GRANT || kind > FL_EVENT_REFUSAL || cause >= CAUSES)
        return false;
    *seen = (fl_seen_event){
        .number = fl_target_member(target, event, FL_AT_event_stamp),
        .time_ns = fl_target_member(target, event, FL_AT_event_time_ns),
        .bytes = fl_target_member(target, event, FL_AT_event_bytes),
        .took_us = what >> FL_EVENT_TOOK_SHIFT & UINT32_MAX,
        .event = kind == FL_EVENT_GRANT  ? "grant"
                 : kind == FL_EVENT_GIVE ? "give_back"
                                         : "refusal",
        .cause = kind == FL_EVENT_GRANT  ? ""
                 : kind == FL_EVENT_GIVE ? give_causes[cause]
                                         : refusal_causes[cause],
        .arena = fl_survey_arena(survey, fl_target_member(target, event, FL_AT_event_arena) -
                                             target->root.places[FL_AT_arena_pages].offset),
    };
    return true;
}

static int by_number(const void *a, const void *b) {
    uint64_t left = ((const fl_seen_event *)a)->number, right = ((const fl_seen_event *)b)->number;
    return (left > right) - (left < right);
}

bool fl_events_read(const fl_survey *survey, fl_seen_event **events, size_t *count) {
    fl_target *target = survey->target;
    size_t event_bytes = target->root.sizes[FL_OF_event], kept = target->root.events_kept;
    size_t bytes = kept * event_bytes;
    char head[UINT16_MAX], *ring = malloc(bytes), *again = malloc(bytes);
    *events = calloc(kept, sizeof **events);
    *count = 0;
    bool read = ring && again && *events &&
                fl_target_read(target, (uint64_t)(uintptr_t)target->root.events, head,
                               target->root.sizes[FL_OF_events]);
    uint64_t at = read ? fl_target_member(target, head, FL_AT_events_ring) : 0;
    uint64_t first = read ? fl_target_member(target, head, FL_AT_events_first) : 0;
    if (at) /* if not, there was none yet */
        read = fl_target_read(target, at, ring, bytes) && fl_target_read(target, at, again, bytes);
    for (size_t i = 0; read && at && i < kept; i++) {
        const char *event = ring + i * event_bytes;
        uint64_t number = fl_target_member(target, event, FL_AT_event_stamp);
        if (number == 0 || (number & FL_EVENT_BUSY) || number < first || number % kept != i ||
            memcmp(event, again + i * event_bytes, event_bytes))
            continue;
        *count += understand(survey, event, &(*events)[*count]);
    }
    if (*count)
        qsort(*events, *count, sizeof **events, by_number);
    free(ring);
    free(again);
    if (read)
        return true;
    free(*events);
    *events = NULL;
    *count = 0;
    return fl_target_give_up(target);
}
