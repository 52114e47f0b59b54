/* SPDX-License-Identifier: MIT */
/*
 * events.h: the last few thousand events that changed how much memory the process holds: spans granted where
 * memory had to come from the system, memory that went back and why, requests that were refused. They are for
 * a reader outside (../heap/root.h): nothing in the process reads them.
 *
 * Only slow paths that have cost a system call or faults, or have failed, write events: a reading of the
 * clock and a few stores each. No event waits for another: if the place of an event is still being written
 * to, it is dropped. The ring comes with the first grant, and its pages as they are written; if there is no
 * memory for it, events are dropped.
 *
 * The child of a fork begins without events: it has a copy of its parent's, and says with which number its
 * own begin.
 */
#ifndef FL_EVENTS_H
#define FL_EVENTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct fl_pagearena;

#define FL_EVENTS_KEPT 2048

typedef enum fl_event_kind {
    FL_EVENT_GRANT = 1, /* so many bytes of a new span were not Ready */
    FL_EVENT_GIVE,      /* so many went back; cause: an fl_cause */
    FL_EVENT_REFUSAL    /* so many were asked for; cause: an fl_refusal */
} fl_event_kind;

/*
 * A writer claims the place by its stamp, and stores the new stamp when all the rest is there (release). A
 * reader that finds the same stamp before and after has read one event.
 */
typedef struct fl_event {
    _Atomic uint64_t stamp;   /* its number, from 1 on; with FL_EVENT_BUSY: being written; 0: none yet */
    _Atomic uint64_t time_ns; /* when it ended, by fl_system_now_ns */
    _Atomic uint64_t bytes;
    _Atomic uint64_t arena; /* the address of its pages */
    _Atomic uint64_t what;  /* microseconds that it took, cause, kind (FL_EVENT_…) */
} fl_event;

#define FL_EVENT_BUSY (UINT64_C(1) << 63)
#define FL_EVENT_TOOK_SHIFT 16 /* microseconds, of give-backs: 32 bits */
#define FL_EVENT_CAUSE_SHIFT 8

typedef struct fl_events {
    _Atomic(fl_event *) ring; /* of FL_EVENTS_KEPT; event n is at n modulo that */
    _Atomic uint64_t last;    /* the number of the last event */
    _Atomic uint64_t first;   /* the number of this process's first; those before are its parent's */
    _Atomic uint32_t making;  /* a thread is having the ring made */
} fl_events;

extern fl_events fl_the_events;

/* Writes an event, without a lock. started_ns: when it began; 0: unknown. */
void fl_event_note(fl_event_kind kind, unsigned cause, uint64_t bytes, const struct fl_pagearena *arena,
                   uint64_t started_ns);

/* Writes that so many pages of a span granted just now were not Ready. Takes no lock. It makes the ring:
 * other callers are too deep in the stack for that. */
void fl_event_note_grant(const struct fl_pagearena *arena, const char *start, size_t pages, size_t more);

/* For the child of a fork, while it has one thread. */
void fl_events_fork_child(void);

#endif
