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
 * figures are worked out by who reads them, ../malloc/info.c from inside and ../cli/statistics.c from outside.
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
#define FL_HELD_STATISTICS(X)                                                                                \
    X(live_bytes, GAUGE,                                                                                     \
      "in blocks that were handed out: by what may be used of each; that a program asked for less is "       \
      "recorded nowhere")                                                                                    \
    X(live_blocks, GAUGE, "handed out and not freed: large ones among them")                                 \
    X(free_bytes, GAUGE,                                                                                     \
      "between live blocks: Ready and in slabs, to be allocated again; the price of fragmentation")          \
    X(idle_bytes, GAUGE, "granted to nobody: Ready; goes back by itself, or by fallow_give_back")            \
    X(span_bytes, GAUGE,                                                                                     \
      "kept by threads for their next requests: Ready; 4 MiB at most for a thread in an arena")              \
    X(pool_bytes, GAUGE, "granted to pools: or on its way between uses")                                     \
    X(decommitted_bytes, GAUGE, "in slabs, without memory behind it: Prepared; not used yet, or given back") \
    X(large_bytes, GAUGE, "live, in blocks above 128 KiB: which have pages of their own")                    \
    X(large_blocks, GAUGE, "how many these are: live blocks among others")                                   \
    X(stuck_bytes, GAUGE, "idle, and the system keeps it: it is locked, or was when it was to go")           \
    X(slabs, GAUGE, "spans cut into blocks of one size")                                                     \
    X(slab_bytes, GAUGE, "that these span: live, free and decommitted together")

#define FL_TABLE_STATISTICS(X)                                                                      \
    X(ready_bytes, GAUGE, "can be resident: state Ready, may be read and written; bookkeeping too") \
    X(prepared_bytes, GAUGE, "mapped, without memory behind it: state Prepared")                    \
    X(reserved_bytes, GAUGE, "address space alone: state Reserved")                                 \
    X(ready_peak_bytes, GAUGE, "the most that was ever Ready")                                      \
    X(meta_bytes, GAUGE, "fallow's own bookkeeping: Ready")                                         \
    FL_HELD_STATISTICS(X)                                                                           \
    X(arenas, GAUGE, "that live: malloc's is one")                                                  \
    X(heaps, GAUGE, "threads' parts of arenas")                                                     \
    X(heaps_without_thread, GAUGE, "of these, without a thread: until the next one comes")          \
    FL_PROCESS_COUNTERS(FL_SHOWN, X)                                                                \
    FL_ARENA_COUNTERS(FL_SHOWN_OF_ALL, FL_NOT_COUNTED, X)

/* What the kernel says of the same: unknown from inside. */
#define FL_KERNEL_STATISTICS(X)                                                                         \
    X(resident_bytes, GAUGE, "resident, of fallow's: as the kernel counts it (Rss in /proc/PID/smaps)") \
    X(lazy_free_bytes, GAUGE, "of it, the kernel's for the taking: LazyFree in smaps")                  \
    X(huge_bytes, GAUGE, "of it, in huge pages: AnonHugePages in smaps")                                \
    X(swapped_bytes, GAUGE, "swapped out, of fallow's: Swap in smaps")                                  \
    X(locked_bytes, GAUGE, "locked into memory, of fallow's: Locked in smaps")                          \
    X(mappings, GAUGE, "fallow's mappings: a process may have vm.max_map_count (65530) in all")         \
    X(process_resident_bytes, GAUGE,                                                                    \
      "resident, of the whole process: fallow's, its code, its stacks, files that it has mapped")       \
    X(faults, COUNTER, "page faults of the whole process: those that took no disk (minflt in /proc/PID/stat)")

#define FL_PROCESS_STATISTICS(X) FL_TABLE_STATISTICS(X) FL_KERNEL_STATISTICS(X)

#define FL_CAUSE_STATISTICS(X) FL_CAUSE_COUNTERS(FL_SHOWN_OF_CAUSE, X)

#define FL_ARENA_STATISTICS(X)                                                                        \
    X(ready_bytes, GAUGE, "can be resident: Ready, with the arenas below it; what its limits are on") \
    FL_HELD_STATISTICS(X)                                                                             \
    X(ready_peak_bytes, GAUGE, "the most that was ever Ready")                                        \
    X(soft_limit_bytes, GAUGE, "above it no idle memory is kept: 0 is none")                          \
    X(hard_limit_bytes, GAUGE, "at it requests fail: 0 is none")                                      \
    FL_ARENA_COUNTERS(FL_SHOWN_OF_ARENA, FL_SHOWN, X)

#define FL_CLASS_STATISTICS(X)                                                                          \
    X(live_bytes, GAUGE, "in blocks of this size that were handed out")                                 \
    X(free_bytes, GAUGE, "between live blocks of this size: Ready and in slabs")                        \
    X(live_blocks, GAUGE, "handed out and not freed")                                                   \
    X(decommitted_bytes, GAUGE, "in such slabs, without memory behind it: not used yet, or given back") \
    X(slabs, GAUGE, "spans cut into blocks of this size")                                               \
    X(slab_bytes, GAUGE, "that these span")

#define FL_HEAP_STATISTICS(X)                                                                        \
    X(live_bytes, GAUGE, "in live blocks of the heap's slabs: which other threads may use and free") \
    X(free_bytes, GAUGE, "between these: Ready")                                                     \
    X(slabs, GAUGE, "that it owns")                                                                  \
    X(slab_bytes, GAUGE, "that these span")                                                          \
    X(span_bytes, GAUGE, "kept for its next requests")

/* The last few thousand events: only in JSON and in `fallow top`. */
#define FL_EVENT_STATISTICS(X)                                                                               \
    X(number, "from 1 on in each process; one that is missing was dropped, as it was being written to")      \
    X(time, "of the event's end: seconds since 1970")                                                        \
    X(event, "grant (a span was granted of which so many bytes had no memory behind them), give_back (so "   \
             "many went "                                                                                    \
             "back to the system), refusal (a request of so many bytes failed)")                             \
    X(cause, "of a give_back: as above; of a refusal: arena, process (whose hard limit), system (it has no " \
             "memory to "                                                                                    \
             "map), soft (a limit, and what is idle could not go), never (more than there could ever be, "   \
             "or than the limit of its arena)")                                                              \
    X(bytes, "how many")                                                                                     \
    X(microseconds, "that a give_back took; 0 of others")                                                    \
    X(arena, "the number of the arena; -1: it has ended")

/* The names of fl_cause, in its order. */
#define FL_CAUSES_SHOWN "goal", "quiet", "limit", "pressure", "request"

/* group, prefix of its names in OpenMetrics, labels of its rows, what it is about. A label that ends in
 * _bytes or is "tag" or "number" is a number. */
#define FL_STATISTICS_GROUPS(G)                                                                             \
    G(PROCESS, "process", "", "", "", "The process: all arenas together, and what the kernel says")         \
    G(CAUSE, "causes", "", "", "cause",                                                                     \
      "Why memory went back: goal (more was idle than the recent peak makes likely to be used again), "     \
      "quiet "                                                                                              \
      "(nothing went on), limit (one was in the way), pressure (the system or the container was short), "   \
      "request (the program asked)")                                                                        \
    G(ARENA, "arenas", "arena_", "number", "name", "Arenas: malloc's, and those that the program has made") \
    G(CLASS, "classes", "class_", "block_bytes", "",                                                        \
      "Size classes: blocks up to 128 KiB live in slabs of one size")                                       \
    G(HEAP, "heaps", "heap_", "tag", "name",                                                                \
      "Heaps: a thread's part of an arena. Slabs that are no thread's are in none")

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
