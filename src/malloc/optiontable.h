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

#define FL_OPTIONS(X)                                                                                    \
    X(background_thread, SWITCH, 1,                                                                      \
      "idle memory goes back by a thread of fallow's own, which comes late and goes early")              \
    X(container, SWITCH, 1, "90 % of the container's memory limit is the soft limit where none is set")  \
    X(give_back, SWITCH, 1, "idle memory goes back by itself; with 0 only at limits and on request")     \
    X(guard_sampling, NUMBER, 0,                                                                         \
      "one in so many allocations lies between inaccessible pages, which explain what touches them; 0: " \
      "none")                                                                                            \
    X(hard_limit, BYTES, 0, "all memory of the process; at it, allocations fail")                        \
    X(huge_pages, SWITCH, 1,                                                                             \
      "a large heap asks for huge pages where it grows, as far as the system has them for who asks")     \
    X(idle_max, BYTES, 0, "never keep more idle memory than this")                                       \
    X(profile, BYTES, 0,                                                                                 \
      "one point in so many allocated bytes is sampled, with the calls that led to it; 0: none")         \
    X(profile_file, PATH, "", "what was sampled is written to this file when the process ends")          \
    X(soft_limit, BYTES, 0, "all memory of the process; above it, nothing idle is kept")                 \
    X(stats_file, PATH, "", "figures are appended to this file when the process ends")                   \
    X(verbose, SWITCH, 0, "a line on standard error, when the process ends, says what the system has refused")

/* The usual value as text. */
#define FL_USUAL_SWITCH(usual) #usual
#define FL_USUAL_NUMBER(usual) #usual
#define FL_USUAL_BYTES(usual) #usual
#define FL_USUAL_PATH(usual) usual

#define FL_ACCEPTED_SWITCH "0 or 1"
#define FL_ACCEPTED_NUMBER "a number, 1000000000 at most; 0: none"
#define FL_ACCEPTED_BYTES "a number of bytes, with k, m, g or t behind it if you like"
#define FL_ACCEPTED_PATH "the path of a file, of at most 255 bytes"

#endif
