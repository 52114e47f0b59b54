/* SPDX-License-Identifier: MIT */
#include "held.h"

typedef int fl_held_of_no_use_in_this_build; /* a file may not be empty */

#if FL_CHECKS >= 2

#include <stdatomic.h>
#include <stddef.h>

#include "line.h"

#define HELD_MAX 32

typedef struct held {
    const void *volatile lock; /* NULL: a signal handler has come in between */
    volatile fl_rank rank;
} held;

/* The order of writes lets a signal handler add and remove entries behind those it has interrupted, and leave
 * them as they were. */
static _Thread_local held mine[HELD_MAX];
static _Thread_local volatile unsigned count;

enum { ONE, MANY, NEST };

#define ROW(name, kind, text, what) {kind, text, what},
static const struct {
    int kind;
    const char *text;
    const char *what;
} table[] = {FL_LOCKS(ROW)};

static void add_name(fl_line *line, fl_rank rank) {
    fl_line_add(line, "'");
    fl_line_add(line, table[rank].text);
    fl_line_add(line, "' (");
    fl_line_add(line, table[rank].what);
    fl_line_add(line, ")");
}

static _Noreturn void stop(fl_rank wanted, fl_rank has) {
    fl_line line;
    fl_line_start(&line);
    add_name(&line, wanted);
    fl_line_add(&line, " taken while ");
    add_name(&line, has);
    fl_line_add(&line, " is held");
    fl_line_add_part(&line, "", 1);
    fl_fatal("wrong order of locks", NULL, line.text);
}

void fl_held_want(const void *lock, fl_rank rank) {
    if (fl_held_is(lock))
        return; /* the lock itself knows best what to say */
    for (unsigned i = 0; i < count; i++)
        if (mine[i].lock && (mine[i].rank > rank || (mine[i].rank == rank && table[rank].kind != NEST)))
            stop(rank, mine[i].rank);
}

void fl_held_add(const void *lock, fl_rank rank) {
    unsigned at = count;
    if (at == HELD_MAX)
        fl_fatal("locks", NULL, "more held by one thread than can be kept in mind");
    mine[at].lock = NULL;
    count = at + 1;
    mine[at].rank = rank;
    mine[at].lock = lock;
}

void fl_held_remove(const void *lock, fl_rank rank) {
    unsigned at = count;
    while (at > 0 && mine[at - 1].lock != lock)
        at--;
    if (at == 0)
        fl_fatal("lock dropped that is not held", NULL, table[rank].text);
    mine[at - 1].lock = NULL;
    while (count > 0 && !mine[count - 1].lock)
        count--;
}

bool fl_held_is(const void *lock) {
    for (unsigned i = 0; i < count; i++)
        if (mine[i].lock == lock)
            return true;
    return false;
}

#endif
