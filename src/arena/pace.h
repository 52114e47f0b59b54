/* SPDX-License-Identifier: MIT */
/*
 * pace.h: how much of an arena's idle memory goes back, and how fast: arithmetic on observations, with the
 * time passed in. It has no locks and makes no system calls; the caller does both.
 *
 * Two regimes, because one pace cannot serve both:
 *   active  the number of pages in use moves: what was in use at the recent peak (half-life 10 s) and a
 *           tenth more is kept; giving back takes at most a hundredth of the process's CPU time
 *   quiet   the number has not moved for 300 ms, or for 150 ms in which the process worked with what it had:
 *           everything idle goes, at up to half of one core (four fifths if the program does nothing)
 *
 * A program at work grants and returns pages all the time. While their number keeps coming back to where it
 * was, and the way up to what is idle is short, that is stir, not a move: the program does not want back what
 * is idle above it. As much as the number stirs is kept, and what little is idle besides is left alone.
 *
 * A program that again and again comes back for what was given back in a quiet moment pays a page fault for
 * each page. From the third time in a row (each within ten seconds) the arena is more patient: it has to be
 * quiet twice as long as the time before, up to ten seconds, until a give-back is not regretted.
 *
 * What is free inside slabs can be churned while the number of pages stands still. So a slab goes by its own
 * quiet: nobody has allocated from it for ten seconds, or, in a quiet moment, for as long as a program at
 * work has to be quiet.
 */
#ifndef FL_PACE_H
#define FL_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fl_pace {
    uint64_t looked_ns;
    uint64_t busy_ns;     /* when activity was last seen */
    uint64_t busy_cpu_ns; /* the process's CPU time then */
    uint64_t activity_seen;
    bool stirs;                   /* pages were granted or returned between the last two looks */
    size_t low_pages, high_pages; /* in use, since then */
    size_t before_low_pages,
        before_high_pages; /* in use at that time: with and without what upkeep has returned since */
    size_t upkeep_low_pages, upkeep_high_pages, upkeep_used_pages; /* when upkeep began */
    size_t peak_pages;                                             /* in use, recent: it decays */
    uint64_t gave_ns;    /* when what was idle began to go, in a quiet moment; 0: not lately */
    size_t gave_pages;   /* so much has gone since */
    uint64_t grown_seen; /* grown_pages then: if half as many again became Ready, that is regretted */
    unsigned regrets;    /* in a row */
} fl_pace;

typedef struct fl_look {
    uint64_t now_ns;
    uint64_t process_cpu_ns;
    uint64_t activity; /* changes whenever pages are granted or returned */
    size_t used_pages; /* what fl_pace_use was told last */
    size_t ready_pages;
    uint64_t grown_pages; /* became Ready, so far */
    size_t spare_pages;   /* what may go: idle, or in slabs that are not full */
} fl_look;

/* Records how many pages are in use from here on: keeps the peak, and the bounds. */
static inline void fl_pace_use(fl_pace *pace, size_t used_pages) {
    if (used_pages > pace->peak_pages)
        pace->peak_pages = used_pages;
    if (used_pages > pace->high_pages)
        pace->high_pages = used_pages;
    if (used_pages < pace->low_pages)
        pace->low_pages = used_pages;
}

/* Bracket what upkeep returns: that is no move of the program's. */
void fl_pace_upkeep_begins(fl_pace *pace, size_t used_pages);
void fl_pace_upkeep_ends(fl_pace *pace, size_t used_pages);

/* Follows the arena; returns whether it is quiet. */
bool fl_pace_look(fl_pace *pace, const fl_look *look);

/* Return how many idle pages to keep: in the active regime, and in a quiet moment. */
size_t fl_pace_keep(const fl_pace *pace, size_t used_pages);
size_t fl_pace_keep_quiet(const fl_pace *pace, size_t used_pages);

/* Returns for how long a slab must have lain unused to lose pages. */
uint64_t fl_pace_unused_ns(const fl_pace *pace, bool quiet);

/* Records that so many pages have gone in a quiet moment, and how many had become Ready by then. */
void fl_pace_gave(fl_pace *pace, uint64_t now_ns, size_t gone_pages, uint64_t grown_pages);

/* Whether a program is at work: it uses this part of a processor or more. What uses less would not notice. */
#define FL_WORK_PART 16
typedef struct fl_work {
    uint64_t seen_ns, seen_cpu_ns;
    bool goes_on;
} fl_work;

/* Returns whether it was at work, by the last 300 ms or more that have been looked at; at first, that it is.
 * The CPU time is without upkeep's. */
bool fl_work_look(fl_work *work, uint64_t now_ns, uint64_t process_cpu_ns);

/* The active regime's allowance of CPU time. */
typedef struct fl_allowance {
    uint64_t cpu_seen_ns;
    int64_t left_ns;
} fl_allowance;

/* Returns what may be spent now that the process has used so much CPU time in all. */
uint64_t fl_allowance_look(fl_allowance *allowance, uint64_t process_cpu_ns);

/* Spends. An excess is made up for later, within bounds: where the clock is the wall's, a process that was
 * stopped seems to have been at work. */
void fl_allowance_spend(fl_allowance *allowance, uint64_t spent_ns);

#endif
