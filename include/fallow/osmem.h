/* SPDX-License-Identifier: MIT */
/*
 * osmem.h: address space in four states, and the moves between them.
 *
 *     None ──reserve──▶ Reserved ──map──▶ Prepared ──used──▶ Ready
 *      ▲ ◀──────────────── free (from any state) ◀───────────── │
 *      │                  Reserved ◀─unmap─ Prepared ◀─unused── │
 *      └─────────alloc (None to Ready in one step)──▶           │
 *                         Reserved ◀───────────fault─────────── │
 *
 *   None      not ours; the default state of any address.
 *   Reserved  ours, but every access faults. Never backed by memory, never charged.
 *   Prepared  ours and mapped, meant to have no memory behind it. Access is undefined: it may fault, may
 *             find zeroes, may find old contents. Moves to Ready cheaply.
 *   Ready     may be read and written.
 *
 * The idea and the contract are those of the Go runtime's lower memory layer (runtime/mem.go). Where fallow
 * differs: errors are returned, never thrown; a counter moves after its system call succeeded, never before;
 * and free is told the state of what it gives back instead of assuming Ready.
 *
 * Units: all sizes are bytes and multiples of the OS page (osmem_os_page_bytes), all addresses are aligned
 * to it; a call that is given anything else returns OSMEM_INVALID (or NULL) and does nothing.
 *
 * Threads: every call may be made from any thread at any time, as long as no two calls are given
 * overlapping ranges at the same time. The counters are exact at every moment, and consistent with each
 * other in any one osmem_stat_read.
 *
 * Misuse (a range in another state than the call needs) is undefined, as it is in the contract; a stat that
 * is checked (osmem_stat_check, or a build with -Dchecks=2) stops the process at it.
 */
#ifndef FALLOW_OSMEM_H
#define FALLOW_OSMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a call can say. Zero is success; nothing has changed after anything else. */
typedef enum osmem_result {
    OSMEM_OK = 0,
    OSMEM_NOMEM,       /* the system has no memory, address space or mappings left */
    OSMEM_UNSUPPORTED, /* this system cannot do it; for hints, nothing is lost */
    OSMEM_INVALID      /* the arguments break a rule above */
} osmem_result;

/* The states that are counted. None is everything else. */
typedef struct osmem_bytes {
    size_t reserved;
    size_t prepared;
    size_t ready;
} osmem_bytes;

typedef struct osmem_range {
    void *start;
    size_t bytes;
} osmem_range;

/* What is true of the memory that a back end provides; asked once, when a stat is set up. */
typedef struct osmem_traits {
    size_t os_page_bytes;     /* a power of two */
    size_t huge_page_bytes;   /* a power of two, or 0 where there are none */
    bool zero_after_unused;   /* Ready again after unused, untouched memory reads as zero */
    bool prepared_is_charged; /* Prepared counts against the system's commit limit; Reserved never does */
} osmem_traits;

/*
 * A back end makes the moves happen; it neither checks nor counts, osmem does. Every function is given the
 * back end's own context, gets only arguments that keep the rules above, and either does all that it was
 * asked or reports an error with nothing changed. What it cannot do returns OSMEM_UNSUPPORTED. All of them
 * must be safe to call from several threads and must not call malloc.
 */
typedef struct osmem_backend {
    const char *name;
    void *context;
    void (*traits)(void *context, osmem_traits *out);
    void *(*alloc)(void *context, size_t bytes);               /* zeroed; NULL: no memory */
    void *(*reserve)(void *context, void *hint, size_t bytes); /* NULL: no address space */
    osmem_result (*map)(void *context, void *start, size_t bytes);
    osmem_result (*used)(void *context, void *start, size_t bytes);
    osmem_result (*unused)(void *context, const osmem_range *ranges, size_t count, size_t *done);
    osmem_result (*unmap)(void *context, void *start, size_t bytes);
    osmem_result (*fault)(void *context, void *start, size_t bytes);
    osmem_result (*free)(void *context, void *start, size_t bytes);
    osmem_result (*huge_page)(void *context, void *start, size_t bytes);
    osmem_result (*no_huge_page)(void *context, void *start, size_t bytes);
    osmem_result (*collapse)(void *context, void *start, size_t bytes);
    /* May be NULL: shows what a range is for, where the system has a place for that (/proc/PID/maps). */
    void (*show_name)(void *context, void *start, size_t bytes, const char *name);
    /* May be NULL: the pages behind one range come to lie behind another. */
    osmem_result (*move)(void *context, void *from, void *to, size_t bytes);
} osmem_backend;

/* The system that the program runs on. */
FALLOW_API const osmem_backend *osmem_backend_system(void);

/* The same, but unused memory stays until the system needs it (MADV_FREE): cheaper to use again, not known to
 * be zero, and still counted as resident meanwhile. Where the system cannot, as osmem_backend_system. */
FALLOW_API const osmem_backend *osmem_backend_system_lazy(void);

/* What POSIX, the BSDs and macOS have in common, on any of them: to start a port from, and to compare with. */
FALLOW_API const osmem_backend *osmem_backend_posix(void);

/*
 * A stat says what a range is for, who provides it, and how many bytes of it are in each state: the
 * contract's sysStat. A stat may have a parent, whose figures include it; the parent must outlive it. The
 * fields are osmem's own: set up with osmem_stat_init, read with osmem_stat_read. The memory of the struct
 * is the caller's and must stay in place as long as any byte is counted in it.
 */
typedef struct osmem_stat {
    const char *name; /* shown in figures; the caller's, must outlive the stat */
    const osmem_backend *backend;
    struct osmem_stat *parent;
    osmem_traits traits;
    osmem_bytes bytes;
    size_t ready_peak_bytes;
    bool checked;
} osmem_stat;

/* Sets up a stat with nothing in it. backend NULL: the system. parent may be NULL. */
FALLOW_API void osmem_stat_init(osmem_stat *stat, const char *name, const osmem_backend *backend,
                                osmem_stat *parent);

/* What is true of the memory of a back end: page sizes, whether it comes back zeroed, what is charged. */
FALLOW_API osmem_traits osmem_backend_traits(const osmem_backend *backend);

/*
 * From now on, the state of every OS page that this stat counts is kept, and a call that finds another state
 * than it needs stops the process with one line: call, range, page, state found and since which call, state
 * needed. To be called before anything is counted in the stat. Costs a byte for each OS page and a lock.
 */
FALLOW_API void osmem_stat_check(osmem_stat *stat);

/* Figures of a stat as they are at one moment, together. ready_peak_bytes may be NULL. */
FALLOW_API osmem_bytes osmem_stat_read(const osmem_stat *stat, size_t *ready_peak_bytes);

/* None → Ready. Zeroed memory at an address of the system's choice; NULL when there is none. Costs one
 * system call. */
FALLOW_API void *osmem_alloc(size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * None → Reserved. hint, where not NULL, is where the caller would like it; the result may lie elsewhere
 * if that is taken, and never replaces what is there. alignment is a power of two (0: the OS page).
 * NULL when there is no address space.
 */
FALLOW_API void *osmem_reserve(void *hint, size_t bytes, size_t alignment, osmem_stat *stat) FALLOW_MUST_USE;

/* Reserved → Prepared. On Linux this is where the commit limit is charged. Never twice on the same range. */
FALLOW_API osmem_result osmem_map(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Prepared → Ready. The range may hold Ready memory already; prepared_bytes says exactly how much of it is
 * Prepared. Contents of what was Prepared: zero if the back end's traits say zero_after_unused, else
 * anything. On Linux this makes no system call.
 */
FALLOW_API osmem_result osmem_used(void *start, size_t bytes, size_t prepared_bytes,
                                   osmem_stat *stat) FALLOW_MUST_USE;

/* Ready → Prepared. The contents are forfeit. */
FALLOW_API osmem_result osmem_unused(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Ready → Prepared for many ranges, in as few system calls as the system allows. Ranges are done in order;
 * *done, where not NULL, is how many were: all of them exactly if the result is OSMEM_OK.
 */
FALLOW_API osmem_result osmem_unused_ranges(const osmem_range *ranges, size_t count, size_t *done,
                                            osmem_stat *stat) FALLOW_MUST_USE;

/* Prepared → Reserved: ours, not in the contract. The only way to have the commit charge back without
 * losing the address range. */
FALLOW_API osmem_result osmem_unmap(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* Ready → Reserved. Every later access faults; for finding bugs. */
FALLOW_API osmem_result osmem_fault(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Any state → None. by_state says how many bytes of the range are in which state; they must add up to
 * bytes. Where the system refuses (vm.max_map_count), the range stays as it was and the caller may try
 * again later.
 */
FALLOW_API osmem_result osmem_free(void *start, size_t bytes, osmem_bytes by_state,
                                   osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Both ranges Ready before and after: what `from` holds is in `to` afterwards, without being copied where the system can
 * move pages; `from` holds anything then, and takes no memory until it is touched. The ranges do not overlap, and count in
 * the same stat. OSMEM_UNSUPPORTED where pages cannot be moved: nothing has changed. On Linux (mremap with
 * MREMAP_DONTUNMAP) each move may leave two mappings more, so that only the first 1,000 of a process are made.
 */
FALLOW_API osmem_result osmem_move(void *from, void *to, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* Moves the count of a range from one stat to another of the same back end; the memory stays as it is. Both
 * are checked, or neither. */
FALLOW_API void osmem_transfer(osmem_bytes by_state, osmem_stat *from, osmem_stat *to);

/*
 * Hints; no state changes. huge_page: this range would be better in huge pages. no_huge_page: it would be
 * worse. collapse: put it into huge pages now, if that can be done; may take milliseconds, so never under
 * a lock. The range is rounded inwards to whole huge pages for huge_page and collapse.
 */
FALLOW_API osmem_result osmem_huge_page(void *start, size_t bytes, osmem_stat *stat);
FALLOW_API osmem_result osmem_no_huge_page(void *start, size_t bytes, osmem_stat *stat);
FALLOW_API osmem_result osmem_collapse(void *start, size_t bytes, osmem_stat *stat);

/* The page of the system's memory management: asked from the system, the same for the life of a process. */
FALLOW_API size_t osmem_os_page_bytes(void);

/* How many system calls for memory the system's back end has made in this process so far. */
FALLOW_API uint64_t osmem_system_calls(void);

#ifdef __cplusplus
}
#endif
#endif
