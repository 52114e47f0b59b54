/* SPDX-License-Identifier: MIT */
/*
 * lockranks.h: all of fallow's locks, in the order in which they may be taken. A thread that holds a lock may
 * take only locks further down; a checking build (held.h) stops the process at the first wrong order.
 *
 * ONE   one in the process: fl_lock_of(FL_LOCK_…)
 * MANY  one in each object of a kind; a thread holds at most one of the kind. (But for PAGES, of an arena and
 *       all below it, in fl_arena_set_parent: see fl_lock_take_unseen in lock.h.)
 * NEST  one in each object of a kind; a thread that holds one may take another object's
 */
#ifndef FL_LOCKRANKS_H
#define FL_LOCKRANKS_H

#define FL_LOCKS(X)                                                                                        \
    X(FORK, ONE, "fork", "forks: who forks finds all that stand below free, one rank after the other")     \
    X(SHED, NEST, "shed", "a shedder that is asked to free something: what it does may take any of these") \
    X(ASKING, ONE, "asking", "call-backs under way: shedders that are asked for memory, and visitors")     \
    X(THREADS, ONE, "threads", "which heaps threads have")                                                 \
    X(ARENAS, ONE, "arenas", "arenas that exist, and their families")                                      \
    X(UPKEEP, MANY, "upkeep", "one arena's upkeep, with its system calls")                                 \
    X(HEAPS, MANY, "heaps", "an arena's list of heaps")                                                    \
    X(HEAP, MANY, "heap", "one heap's lists of parked slabs")                                              \
    X(LISTS, MANY, "lists", "an arena's lists of slabs that belong to nobody")                             \
    X(POOLS, MANY, "pools", "an arena's list of pools")                                                    \
    X(MOVE, ONE, "move", "pages of a large block on their way to another place")                           \
    X(GROUND, MANY, "ground", "an arena's regions and their mappings, while they change")                  \
    X(TRAPS, ONE, "traps", "sampled blocks between inaccessible pages")                                    \
    X(PAGES, MANY, "pages", "an arena's pages")                                                            \
    X(QUEUE, ONE, "queue", "arenas that are looked after, and whose turn it is")                           \
    X(BRANCHES, ONE, "branches", "branches of arenas' trees, to be used again")                            \
    X(RECYCLED, ONE, "recycled", "heaps that wait to be used again")                                       \
    X(DESCRIPTORS, ONE, "descriptors", "descriptors of slabs that wait to be used again")                  \
    X(WINDOW, ONE, "window", "regions of the window")                                                      \
    X(PROFILE, ONE, "profile", "what was sampled, and where")                                              \
    X(META, ONE, "meta", "memory for fallow's own bookkeeping")                                            \
    X(CHECKER, ONE, "checker", "the state of every OS page")                                               \
    X(SIM, MANY, "sim", "a simulated system's memory")                                                     \
    X(SIMS, ONE, "sims", "addresses of simulated systems")                                                 \
    X(LEDGER, ONE, "ledger", "the counters of osmem")                                                      \
    X(RECORD, ONE, "record", "the trace that libfallow-record writes")                                     \
    X(FILES, ONE, "files", "the place where files of the system are read into")                            \
    X(FIXED, MANY, "fixed", "an allocator in memory that the caller gave")

#define FL_LOCK_CONSTANT(name, kind, text, what) FL_LOCK_##name,
typedef enum fl_rank { FL_LOCKS(FL_LOCK_CONSTANT) FL_LOCK_COUNT } fl_rank;

#endif
