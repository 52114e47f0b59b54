/* SPDX-License-Identifier: MIT */
/*
 * optiontable.h: every option there is, once. What holds at first (settings.c), the parser (options.c),
 * `fallow run --name=value` and `fallow options` (src/cli) are made from this.
 *
 *   X(name, kind, usual value (what holds when nothing is set), what it does)
 *   kinds: SWITCH 0 or 1 · NUMBER a number · PATH a file
 *          BYTES a number, with k, m, g or t behind it for powers of 1024; 0: none
 */
#ifndef FL_OPTIONTABLE_H
#define FL_OPTIONTABLE_H

#define FL_OPTIONS(X)                                                                                      \
    X(background_thread, SWITCH, 1,                                                                        \
      "return idle memory from a thread of fallow's own, which starts late and ends early")                \
    X(container, SWITCH, 1, "where no soft limit is set, use 90 % of the container's memory limit")        \
    X(give_back, SWITCH, 1,                                                                                \
      "return idle memory to the system unasked; with 0, only at limits and on request")                   \
    X(guard_sampling, NUMBER, 0,                                                                           \
      "put one allocation in this many between inaccessible pages, and report accesses to these; 0: none") \
    X(hard_limit, BYTES, 0, "limit all memory of the process; at the limit, allocations fail")             \
    X(huge_pages, SWITCH, 1,                                                                               \
      "ask for huge pages where a large heap grows, if the system grants them on request")                 \
    X(idle_max, BYTES, 0, "never keep more idle memory than this")                                         \
    X(profile, BYTES, 0,                                                                                   \
      "sample one point in this many allocated bytes, with the calls that led to it; 0: none")             \
    X(profile_file, PATH, "", "write the samples to this file when the process ends")                      \
    X(soft_limit, BYTES, 0, "limit all memory of the process; above the limit, no idle memory is kept")    \
    X(stats_file, PATH, "", "append figures to this file when the process ends")                           \
    X(verbose, SWITCH, 0, "when the process ends, report on standard error what the system refused")

/* The usual value as text. */
#define FL_USUAL_SWITCH(usual) #usual
#define FL_USUAL_NUMBER(usual) #usual
#define FL_USUAL_BYTES(usual) #usual
#define FL_USUAL_PATH(usual) usual

#define FL_ACCEPTED_SWITCH "0 or 1"
#define FL_ACCEPTED_NUMBER "a number up to 1000000000; 0: none"
#define FL_ACCEPTED_BYTES "a number of bytes, optionally with a suffix k, m, g or t"
#define FL_ACCEPTED_PATH "the path of a file, at most 255 bytes"

#endif
