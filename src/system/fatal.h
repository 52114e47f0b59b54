/* SPDX-License-Identifier: MIT */
/*
 * fatal.h: how fallow stops a process, and the assertions that lead there.
 *
 * One line on standard error says what, where and how it was found; then abort(). Nothing is allocated.
 */
#ifndef FL_FATAL_H
#define FL_FATAL_H

#include "line.h"

/* "fallow: <what> <address>: <how it was found>". address may be NULL: then it is left out. */
_Noreturn void fl_fatal(const char *what, const void *address, const char *found);

/* The same in two steps, for who has more to say: what is added to the line in between stands behind it. */
void fl_fatal_begin(fl_line *line, const char *what, const void *address, const char *found);
_Noreturn void fl_fatal_end(fl_line *line);

/* One line on standard error that does not stop the process: bad options and the like. */
void fl_warn(const char *what, const char *detail, const char *accepted);

/*
 * Internal mistakes. FL_CHECKS comes from the build option `checks`: 0 none, 1 what costs next to nothing,
 * 2 walks over structures as well.
 */
#ifndef FL_CHECKS
#define FL_CHECKS 0
#endif
#define FL_TEXT_(x) #x
#define FL_TEXT(x) FL_TEXT_(x)
#define FL_ASSERT_AT(level, condition)                                                     \
    do {                                                                                   \
        if (FL_CHECKS >= (level) && !(condition))                                          \
            fl_fatal("internal error", 0, __FILE__ ":" FL_TEXT(__LINE__) ": " #condition); \
    } while (0)
#define FL_ASSERT(condition) FL_ASSERT_AT(1, condition)

#endif
