/* SPDX-License-Identifier: MIT */
/*
 * counters.h: what is counted, one line for each counter. All else follows from that line: the variable, its
 * place for readers from outside (../heap/root.h), and the figure in every format (../embed/figures.h). A
 * new counter is its line here and the statement that counts.
 *
 * A counter has a name; GAUGE if it goes up and down, COUNTER if only up; and a sentence for people. Its name
 * says its unit; a figure in seconds is counted in nanoseconds. Counters order nothing: fl_counter_add
 * counts, on slow paths only. (limits.c says in which order it sets limits.)
 *
 * C(X, ...) makes of a line what the includer wants; X is passed on to it.
 */
#ifndef FL_COUNTERS_H
#define FL_COUNTERS_H

#define FL_NOT_COUNTED(...)

/* Of the process, whichever arenas live: name, kind, help. A limit of SIZE_MAX is shown as 0. */
#define FL_PROCESS_COUNTERS(C, X)                                                                         \
    C(X, soft_limit_bytes, GAUGE,                                                                         \
      "above it, no idle memory is kept: 0 means none; where none is set, 90 % of the container's limit") \
    C(X, hard_limit_bytes, GAUGE, "at it, requests fail: 0 means none")

/* Of each arena: name, kind, help; and help for the sum over all arenas. S(X, ...), of name, kind and help,
 * is a figure of an arena that is the sum of a counter by cause. */
#define FL_ARENA_COUNTERS(C, S, X)                                                                     \
    C(X, grown_bytes, COUNTER, "became Ready, in total",                                               \
      "became Ready, in total: in live arenas; each OS page of it that was touched cost a page fault") \
    S(X, given_bytes, COUNTER, "returned to the system, in total: whatever the cause")                 \
    C(X, system_calls, COUNTER, "system calls for its memory: ranges returned together count as one",  \
      "system calls for memory: of live arenas; ranges returned together count as one")                \
    C(X, refusals, COUNTER, "requests that failed", "requests that failed: in live arenas")            \
    C(X, sheds, COUNTER, "times its shedder was asked to free memory",                                 \
      "times shedders were asked to free memory: those of live arenas")

/* Of each arena by cause (fl_cause), shown as sums over all arenas: name, the figure's name, kind, help. */
#define FL_CAUSE_COUNTERS(C, X)                                                                 \
    C(X, given_bytes, given_bytes, COUNTER, "returned to the system, in total: by live arenas") \
    C(X, given_ns, giving_seconds, COUNTER, "time spent returning it")

/* Their names: a reader from outside knows the layout if its own list is the same. */
#define FL_COUNTER_NAME(unused, name, ...) #name " "
#define FL_COUNTER_NAMES                   \
    FL_PROCESS_COUNTERS(FL_COUNTER_NAME, ) \
    FL_ARENA_COUNTERS(FL_COUNTER_NAME, FL_NOT_COUNTED, ) FL_CAUSE_COUNTERS(FL_COUNTER_NAME, )

#endif
