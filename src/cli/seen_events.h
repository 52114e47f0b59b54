/* SPDX-License-Identifier: MIT */
/* seen_events.h: the last events of another process's fallow (../arena/events.h). */
#ifndef FL_SEEN_EVENTS_H
#define FL_SEEN_EVENTS_H

#include "survey.h"

typedef struct fl_seen_event {
    uint64_t number;  /* from 1 on; a missing one was dropped or is being written */
    uint64_t time_ns; /* of the clock that never goes back */
    uint64_t bytes, took_us;
    const char *event; /* grant, give_back, refusal */
    const char *cause; /* "": none */
    uint32_t arena;    /* its index in the survey; FL_NO_OWNER: it has ended */
} fl_seen_event;

/* Reads all that are there, the oldest first; the caller frees them. Returns false if that fails;
 * target->wrong says why. */
bool fl_events_read(const fl_survey *survey, fl_seen_event **events, size_t *count);

#endif
