/* SPDX-License-Identifier: MIT */
/*
 * figures.h: the one definition of each figure that fallow tells of a process: malloc_info from inside,
 * `fallow stats` and `fallow top` from outside. JSON, OpenMetrics, XML, the table for people and
 * docs/statistics.md are made from it.
 *
 * A figure has a name, which says its unit if it has one; whether it goes up and down (GAUGE) or only up
 * (COUNTER); and a sentence. Seconds are kept as nanoseconds. Names that also stand in the public headers
 * (fallow/stats.h, fallow/arena.h) mean the same here.
 *
 * What the library counts stands in ../arena/counters.h: its readers need no more than that list. All other
 * figures are worked out by who reads them, ../malloc/info.c from inside and ../cli/statistics.c from
 * outside.
 */
#ifndef FL_FIGURES_H
#define FL_FIGURES_H

#include "../arena/counters.h"

/* What figures are made of a counter's line. */
#define FL_SHOWN(X, name, kind, help) X(name, kind, help)
#define FL_SHOWN_OF_ARENA(X, name, kind, help, of_all) X(name, kind, help)
#define FL_SHOWN_OF_ALL(X, name, kind, help, of_all) X(name, kind, of_all)
#define FL_SHOWN_OF_CAUSE(X, counter, name, kind, help) X(name, kind, help)

/* Of all arenas together, and of one: what is live, and what is only held. */
#define FL_HELD_STATISTICS(X)                                                                               \
    X(live_bytes, GAUGE,                                                                                    \
      "in blocks handed out: counts each block's usable size, since nothing records what was requested")    \
    X(live_blocks, GAUGE, "allocated and not yet freed: large blocks included")                             \
    X(free_bytes, GAUGE,                                                                                    \
      "Ready but free, inside slabs: reused by later allocations; the price of fragmentation")              \
    X(idle_bytes, GAUGE,                                                                                    \
      "Ready but granted to nobody: returned to the system by itself, or by fallow_give_back")              \
    X(span_bytes, GAUGE,                                                                                    \
      "Ready, kept by threads for their next requests: at most 4 MiB for each thread in each arena")        \
    X(pool_bytes, GAUGE, "granted to pools: includes spans in transit between uses")                        \
    X(decommitted_bytes, GAUGE,                                                                             \
      "inside slabs, not backed by memory: Prepared, as it was never used or has been purged")              \
    X(large_bytes, GAUGE, "in live large blocks: those above 128 KiB, which have pages of their own")       \
    X(large_blocks, GAUGE, "live large blocks: also counted in live_blocks")                                \
    X(stuck_bytes, GAUGE, "idle, but the system refused to take it: locked, or locked at the last attempt") \
    X(slabs, GAUGE, "spans cut into blocks of one size")                                                    \
    X(slab_bytes, GAUGE, "total size of slabs: live, free and decommitted")

#define FL_TABLE_STATISTICS(X)                                                                         \
    X(ready_bytes, GAUGE, "readable and writable, may be resident: state Ready, bookkeeping included") \
    X(prepared_bytes, GAUGE, "mapped, but not backed by memory: state Prepared")                       \
    X(reserved_bytes, GAUGE, "address space only: state Reserved")                                     \
    X(ready_peak_bytes, GAUGE, "highest ready_bytes so far")                                           \
    X(meta_bytes, GAUGE, "fallow's own bookkeeping: part of ready_bytes")                              \
    FL_HELD_STATISTICS(X)                                                                              \
    X(arenas, GAUGE, "live arenas: malloc's is one of them")                                           \
    X(heaps, GAUGE, "threads' parts of arenas")                                                        \
    X(heaps_without_thread, GAUGE, "heaps whose thread has ended: each waits for a new thread")        \
    FL_PROCESS_COUNTERS(FL_SHOWN, X)                                                                   \
    FL_ARENA_COUNTERS(FL_SHOWN_OF_ALL, FL_NOT_COUNTED, X)

/* What the kernel says of the same: unknown from inside. */
#define FL_KERNEL_STATISTICS(X)                                                                            \
    X(resident_bytes, GAUGE, "fallow's resident memory: as the kernel counts it (Rss in /proc/PID/smaps)") \
    X(lazy_free_bytes, GAUGE, "resident, but the kernel may take it: LazyFree in smaps")                   \
    X(huge_bytes, GAUGE, "resident in huge pages: AnonHugePages in smaps")                                 \
    X(swapped_bytes, GAUGE, "fallow's memory that is swapped out: Swap in smaps")                          \
    X(locked_bytes, GAUGE, "fallow's memory that is locked: Locked in smaps")                              \
    X(mappings, GAUGE, "fallow's mappings: a process may have vm.max_map_count (65530) in all")            \
    X(process_resident_bytes, GAUGE,                                                                       \
      "resident memory of the whole process: fallow's, code, stacks and mapped files")                     \
    X(faults, COUNTER,                                                                                     \
      "minor page faults of the whole process: those that needed no disk (minflt in /proc/PID/stat)")

#define FL_PROCESS_STATISTICS(X) FL_TABLE_STATISTICS(X) FL_KERNEL_STATISTICS(X)

#define FL_CAUSE_STATISTICS(X) FL_CAUSE_COUNTERS(FL_SHOWN_OF_CAUSE, X)

#define FL_ARENA_STATISTICS(X)                                                                      \
    X(ready_bytes, GAUGE,                                                                           \
      "readable and writable, may be resident: includes arenas below it; its limits apply to this") \
    FL_HELD_STATISTICS(X)                                                                           \
    X(ready_peak_bytes, GAUGE, "highest ready_bytes so far")                                        \
    X(soft_limit_bytes, GAUGE, "above it, no idle memory is kept: 0 means none")                    \
    X(hard_limit_bytes, GAUGE, "at it, requests fail: 0 means none")                                \
    FL_ARENA_COUNTERS(FL_SHOWN_OF_ARENA, FL_SHOWN, X)

#define FL_CLASS_STATISTICS(X)                                                                            \
    X(live_bytes, GAUGE, "in live blocks of this size")                                                   \
    X(free_bytes, GAUGE, "Ready but free, inside slabs of this size")                                     \
    X(live_blocks, GAUGE, "allocated and not yet freed")                                                  \
    X(decommitted_bytes, GAUGE, "inside slabs of this size, not backed by memory: never used, or purged") \
    X(slabs, GAUGE, "spans cut into blocks of this size")                                                 \
    X(slab_bytes, GAUGE, "total size of these slabs")

#define FL_HEAP_STATISTICS(X)                                                                \
    X(live_bytes, GAUGE, "in live blocks of its slabs: other threads may use and free them") \
    X(free_bytes, GAUGE, "Ready but free, inside its slabs")                                 \
    X(slabs, GAUGE, "slabs that it owns")                                                    \
    X(slab_bytes, GAUGE, "total size of its slabs")                                          \
    X(span_bytes, GAUGE, "kept for its next requests")

/* The last few thousand events: only in JSON and in `fallow top`. */
#define FL_EVENT_STATISTICS(X)                                                                               \
    X(number, "counts from 1 in each process; a missing one was being written when it was read")             \
    X(time, "when the event ended: seconds since 1970")                                                      \
    X(event, "grant (a span was granted; this many bytes of it had no memory behind them), give_back (this " \
             "many bytes were returned to the system), refusal (a request for this many bytes failed)")      \
    X(cause, "of a give_back: as above; of a refusal: arena or process (whose hard limit it was), system "   \
             "(no memory left to map), soft (a limit, and idle memory could not be returned), never "        \
             "(larger than anything that can be granted, or than the arena's limit)")                        \
    X(bytes, "how many")                                                                                     \
    X(microseconds, "how long a give_back took; 0 for other events")                                         \
    X(arena, "the arena's number; -1 if it has ended")

/* The names of fl_cause, in its order. */
#define FL_CAUSES_SHOWN "goal", "quiet", "limit", "pressure", "request"

/* group, prefix of its names in OpenMetrics, labels of its rows, what it is about. A label that ends in
 * _bytes or is "tag" or "number" is a number. */
#define FL_STATISTICS_GROUPS(G)                                                                             \
    G(PROCESS, "process", "", "", "", "The process: the sum over all arenas, and what the kernel reports")  \
    G(CAUSE, "causes", "", "", "cause",                                                                     \
      "Why memory was returned to the system: goal (more was idle than the recent peak suggests will be "   \
      "used again), quiet (nothing was going on), limit (a limit was in the way), pressure (the system or " \
      "the container was short of memory), request (the program asked)")                                    \
    G(ARENA, "arenas", "arena_", "number", "name", "Arenas: malloc's, and those that the program created")  \
    G(CLASS, "classes", "class_", "block_bytes", "",                                                        \
      "Size classes: blocks of up to 128 KiB live in slabs of one size")                                    \
    G(HEAP, "heaps", "heap_", "tag", "name",                                                                \
      "Heaps: a thread's part of an arena. Slabs that no thread owns belong to none")

typedef enum fl_group {
    FL_GROUP_PROCESS,
    FL_GROUP_CAUSE,
    FL_GROUP_ARENA,
    FL_GROUP_CLASS,
    FL_GROUP_HEAP,
    FL_GROUP_COUNT
} fl_group;

#define FL_HELD_NAME(name, kind, help) FL_HELD_##name,
#define FL_PROCESS_NAME(name, kind, help) FL_PROCESS_##name,
#define FL_CAUSE_NAME(name, kind, help) FL_CAUSE_##name,
#define FL_ARENA_NAME(name, kind, help) FL_ARENA_##name,
#define FL_CLASS_NAME(name, kind, help) FL_CLASS_##name,
#define FL_HEAP_NAME(name, kind, help) FL_HEAP_##name,
enum { FL_HELD_STATISTICS(FL_HELD_NAME) FL_HELD_COUNT };
enum { FL_PROCESS_STATISTICS(FL_PROCESS_NAME) FL_PROCESS_COUNT };
enum { FL_CAUSE_STATISTICS(FL_CAUSE_NAME) FL_CAUSE_FIGURES };
enum { FL_ARENA_STATISTICS(FL_ARENA_NAME) FL_ARENA_COUNT };
enum { FL_CLASS_STATISTICS(FL_CLASS_NAME) FL_CLASS_FIGURES };
enum { FL_HEAP_STATISTICS(FL_HEAP_NAME) FL_HEAP_COUNT };

#endif
