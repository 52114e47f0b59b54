/* SPDX-License-Identifier: MIT */
/*
 * events.h: the last few thousand things that changed how much memory the process holds: spans that were granted
 * where memory had to be had from the system, what went back and why, requests that were refused. For who looks from
 * outside (../heap/root.h): nothing in the process reads them.
 *
 * Noted on slow paths only, each of which has cost a system call or faults, or has failed: a reading of the clock and
 * a few stores. No event waits for another: one whose place is still being written to is dropped. The ring comes with
 * the first grant, and its pages as they are written; where there is no memory for it, events are dropped.
 *
 * The child of a fork begins without events: it has a copy of its parent's and says from which number on they are its
 * own.
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
    FL_EVENT_GIVE,      /* so many went back; its cause is an fl_cause */
    FL_EVENT_REFUSAL    /* so many were asked for; its cause is an fl_refusal */
} fl_event_kind;

/*
 * Who writes takes the place by its stamp, and gives it the new one when all the rest is there (release): who reads
 * it twice, with the same stamp both times, has read one event.
 */
typedef struct fl_event {
    _Atomic uint64_t
        stamp; /* its number, from 1 on; FL_EVENT_BUSY and its number: being written; 0: none yet */
    _Atomic uint64_t time_ns; /* as fl_system_now_ns has it, at its end */
    _Atomic uint64_t bytes;
    _Atomic uint64_t arena; /* the address of its pages */
    _Atomic uint64_t what;  /* microseconds that it took, cause, kind: FL_EVENT_... */
} fl_event;

#define FL_EVENT_BUSY (UINT64_C(1) << 63)
#define FL_EVENT_TOOK_SHIFT 16 /* microseconds, of give-backs: 32 bits */
#define FL_EVENT_CAUSE_SHIFT 8

typedef struct fl_events {
    _Atomic(fl_event *) ring; /* of FL_EVENTS_KEPT; event n is at n modulo that */
    _Atomic uint64_t last;    /* its number */
    _Atomic uint64_t first;   /* of this process's own: those before are its parent's */
    _Atomic uint32_t making;  /* a thread is about to have the ring made */
} fl_events;

extern fl_events fl_the_events;

/* Takes no lock. started_ns, when it began; 0: that is not known. */
void fl_event_note(fl_event_kind kind, unsigned cause, uint64_t bytes, const struct fl_pagearena *arena,
                   uint64_t started_ns);

/* After a grant, without locks: of a span's pages, so many were not Ready. Makes the ring: others are too deep in the stack for it. */
void fl_event_note_grant(const struct fl_pagearena *arena, const char *start, size_t pages, size_t more);

/* In the child of a fork, while it has one thread. */
void fl_events_fork_child(void);

#endif
