/* SPDX-License-Identifier: MIT */
/*
 * script.h: a trace (../record/trace.h) made ready to be played: events of fixed size whose addresses are
 * resolved to slots, one slot for each block that ever was. What can be known beforehand is worked out here,
 * so that playing takes little time beside the malloc under test. A script lies in mappings of its own:
 * nothing here calls malloc.
 */
#ifndef FL_SCRIPT_H
#define FL_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FL_SCRIPT_THREADS 64 /* if more were recorded, several share one */
#define FL_NONE UINT32_MAX   /* no slot, no event */

typedef struct fl_event {
    uint8_t what; /* a fl_trace_what */
    uint8_t log2_alignment;
    uint8_t thread;
    bool handed_on : 1;   /* another thread frees or moves the block that this event allocates */
    bool was_cleared : 1; /* the block that it frees or moves comes from calloc */
    bool sampled : 1;     /* for the player */
    uint32_t from, to;    /* slots of the block that it frees or moves, and of the one it allocates */
    uint32_t next;        /* the next event of the same thread */
} fl_event;

typedef struct fl_slot {
    _Atomic uintptr_t block; /* 0: not allocated yet; odd: the waiter for it */
    size_t bytes;
} fl_slot;

typedef struct fl_script {
    fl_event *events;
    fl_slot *slots;
    size_t event_count, slot_count, thread_count;
    uint32_t first[FL_SCRIPT_THREADS];      /* first event of each thread */
    size_t live_peak_bytes, live_end_bytes; /* in the order recorded */
    size_t unknown;                         /* frees and moves of blocks from before the trace */
} fl_script;

/* Reads a trace. Returns NULL, or why it cannot be played. */
const char *fl_script_load(fl_script *script, const char *path);

#endif
