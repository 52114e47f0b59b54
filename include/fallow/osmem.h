/* SPDX-License-Identifier: MIT */
/*
 * osmem.h: address space in four states, and the moves between them.
 *
 *     None ──reserve──▶ Reserved ──map──▶ Prepared ──used──▶ Ready
 *      ▲ ◀──────────────── free (from any state) ◀───────────── │
 *      │                  Reserved ◀─unmap─ Prepared ◀─unused── │
 *      ├──────────prepare──────────────────▶ Prepared           │
 *      └─────────alloc (None to Ready in one step)──▶           │
 *                         Reserved ◀───────────fault─────────── │
 *
 *   None      Not ours; the default state of any address.
 *   Reserved  Ours, but every access faults. Never backed by memory, never charged; but on Linux what a fault
 *             made Reserved keeps its charge until it is freed.
 *   Prepared  Ours and mapped, but not meant to be backed by memory. Access is undefined: it may fault, find
 *             zeroes or find old contents. Cheap to move to Ready.
 *   Ready     May be read and written.
 *
 * The idea and the contract are those of the Go runtime's lower memory layer (runtime/mem.go). fallow
 * differs in three points: it returns errors instead of throwing; it moves a counter after the system call
 * has succeeded, never before; and free is told the state of what it gives back instead of assuming Ready.
 *
 * Nothing is half done: a call moves its whole range or leaves it in the state that it was in. (What a failed
 * unused or fault was to give up may have lost its contents.) Two results report what no system can prevent.
 * OSMEM_KEPT: the range is in the same state, and asking again soon is in vain. OSMEM_LOST: the range is now
 * None; the system took it away, and somebody else may have it. The counters follow in each case.
 *
 * Units: all sizes are in bytes and multiples of the OS page (osmem_os_page_bytes), and all addresses are
 * aligned to it. A call that is given anything else returns OSMEM_INVALID (or NULL) and does nothing.
 *
 * Threads: any thread may make any call at any time, as long as no two calls have overlapping ranges at the
 * same time. The counters are exact at every moment, and one osmem_stat_read returns figures that are
 * consistent with each other. No call changes errno.
 *
 * Misuse (a range in another state than the call needs, or counted in another stat) is undefined, as in the
 * contract; a checked stat (osmem_stat_check, or a build with -Dchecks=2) stops the process at it. Every
 * build stops the process if a stat would hold less than nothing.
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

/* The result of a call. Zero is success; after any other result but OSMEM_LOST the range is in the state that
 * it was in, though its contents may be gone: the table at osmem_backend. */
typedef enum osmem_result {
    OSMEM_OK = 0,
    OSMEM_NOMEM,             /* the system has no memory, address space or mappings left */
    OSMEM_UNSUPPORTED,       /* this system cannot do it; for hints, nothing is lost */
    OSMEM_INVALID,           /* the arguments break a rule above */
    OSMEM_TAKEN,             /* part of the range asked for is somebody else's */
    OSMEM_KEPT,              /* the system keeps what should go (it is locked, busy, or never goes) */
    OSMEM_LOST,              /* the range is None now, against the caller's will */
    OSMEM_ROOM_ = 0x7fffffff /* no result: keeps the type as wide as an int */
} osmem_result;

/* The states that are counted; None is everything else. This struct and osmem_range never grow. */
typedef struct osmem_bytes {
    size_t reserved;
    size_t prepared;
    size_t ready;
} osmem_bytes;

typedef struct osmem_range {
    void *start;
    size_t bytes;
} osmem_range;

/* Properties of the memory that a back end provides, asked once, when a stat is set up. docs/osmem.md lists
 * them by system. */
typedef struct osmem_traits {
    size_t os_page_bytes;     /* a power of two */
    size_t huge_page_bytes;   /* a power of two; 0 if there are none */
    size_t reserve_bytes;     /* reservations start at multiples of this, a power of two; 0: the OS page */
    size_t address_bytes;     /* roughly how much can be reserved in all; 0: more than anybody needs */
    bool zero_after_unused;   /* memory that was unused and is Ready again reads as zero */
    bool prepared_is_charged; /* Prepared counts against the system's commit limit */
    bool reservations_apart; /* no call may span two reservations, and free takes whole ones only (Windows) */
    bool never_frees;        /* reservations stay ours: every free returns OSMEM_KEPT (WebAssembly) */
} osmem_traits;

/* What a back end is asked to reserve. */
typedef struct osmem_request {
    void *hint;       /* where the caller would like it; NULL for anywhere */
    size_t bytes;     /* a multiple of the OS page */
    size_t alignment; /* a power of two, at least the OS page */
    bool exactly;     /* at the hint or not at all */
    bool mapped;      /* Prepared rather than Reserved */
} osmem_request;

/* The result of that request. */
typedef struct osmem_reservation {
    void *start;
    size_t excess_bytes; /* Reserved around it: the system did not take it back; only the ledger knows */
} osmem_reservation;

/*
 * A back end makes the moves; osmem checks and counts. Each function receives the back end's context and only
 * arguments that keep the rules above, and returns OSMEM_UNSUPPORTED for what it cannot do. Each must be safe
 * to call from several threads, leave errno alone, be no cancellation point and not call malloc. After each
 * result the range is
 *
 *                   OK                   NOMEM, UNSUPPORTED     TAKEN    KEPT       LOST
 *   alloc           Ready, zeroed        None                   –        –          –
 *   reserve         Reserved, Prepared   None                   None     –          –
 *   map             Prepared             Reserved               –        –          –
 *   used            Ready                as it was              –        –          –
 *   unused          Prepared             Ready, any contents    –        the same   –
 *   unmap           Reserved             Prepared               –        Prepared   None
 *   fault           Reserved             Ready, any contents    –        the same   –
 *   free            None                 as it was              –        as it was  –
 *   move            both Ready           both Ready (to: any contents)   –          `to` is None
 *   hints, names    as it was, always
 *
 * KEPT means that asking again soon would be refused as well; NOMEM, that it may work a moment later. No call
 * retries without a bound.
 *
 * The structures behind `out` are all zero before the call, and may be longer than the back end knows.
 */
typedef struct osmem_backend {
    size_t struct_bytes; /* sizeof(osmem_backend) to the back end; 0: as here. Nothing behind it is used */
    const char *name;
    void *context;
    void (*traits)(void *context, osmem_traits *out);
    void *(*alloc)(void *context, size_t bytes); /* NULL: no memory */
    osmem_result (*reserve)(void *context, const osmem_request *request, osmem_reservation *out);
    osmem_result (*map)(void *context, void *start, size_t bytes);
    osmem_result (*used)(void *context, void *start, size_t bytes);
    /* In order. *done is the number of ranges that are Prepared; the result is that of the first that is
     * not. */
    osmem_result (*unused)(void *context, const osmem_range *ranges, size_t count, size_t *done);
    osmem_result (*unmap)(void *context, void *start, size_t bytes);
    osmem_result (*fault)(void *context, void *start, size_t bytes);
    osmem_result (*free)(void *context, void *start, size_t bytes);
    osmem_result (*huge_page)(void *context, void *start, size_t bytes);
    osmem_result (*no_huge_page)(void *context, void *start, size_t bytes);
    osmem_result (*collapse)(void *context, void *start, size_t bytes);
    /* May be NULL. Shows what a range is for, if the system has a place for that (/proc/PID/maps). */
    void (*show_name)(void *context, void *start, size_t bytes, const char *name);
    /* May be NULL. Moves the pages behind one range to another. */
    osmem_result (*move)(void *context, void *from, void *to, size_t bytes);
    /* May be NULL. A hint like the others. */
    osmem_result (*split)(void *context, void *start, size_t bytes);
} osmem_backend;

/* Returns the system that the program runs on. */
FALLOW_API const osmem_backend *osmem_backend_system(void);

/* The same, except that unused memory stays until the system needs it (MADV_FREE): cheaper to use again, not
 * known to be zero, and counted as resident meanwhile. If the system cannot do that: osmem_backend_system. */
FALLOW_API const osmem_backend *osmem_backend_system_lazy(void);

/* Returns a back end of what POSIX, the BSDs and macOS have in common, to start a port from and to compare
 * with. */
FALLOW_API const osmem_backend *osmem_backend_posix(void);

/*
 * A stat (the contract's sysStat) says what memory is for, who provides it, and how many bytes are in each
 * state. It may have a parent, whose figures include it and which must outlive it. The fields are osmem's
 * own: osmem_stat_init sets them up, osmem_stat_read reads them. The struct's memory is the caller's, and
 * must stay in place as long as any byte is counted in it.
 */
typedef struct osmem_stat {
    const char *name; /* shown in figures; the caller's, and must outlive the stat */
    const osmem_backend *backend;
    struct osmem_stat *parent;
    osmem_bytes bytes;
    size_t ready_peak_bytes;
    bool checked;
    osmem_traits traits;
    size_t room[12]; /* for later traits and figures, since the caller provides the memory */
} osmem_stat;

/* Sets up an empty stat. backend NULL means the system; parent may be NULL. Stops the process if the back
 * end's struct_bytes is a size that no version had. */
FALLOW_API void osmem_stat_init(osmem_stat *stat, const char *name, const osmem_backend *backend,
                                osmem_stat *parent);

/* Takes a stat, with all that it counts, to another parent (NULL: none): at one moment, the old parents no
 * longer count it and the new ones do. parent is neither the stat itself nor below it. */
FALLOW_API void osmem_stat_set_parent(osmem_stat *stat, osmem_stat *parent);

/* Fills in the properties of a back end's memory: page sizes, whether it comes back zeroed, what is charged.
 * traits_bytes is sizeof *traits. Returns false if no version had that size. */
FALLOW_API bool osmem_backend_traits_sized(const osmem_backend *backend, osmem_traits *traits,
                                           size_t traits_bytes);

/* The same for callers compiled with this header. */
FALLOW_INLINE osmem_traits osmem_backend_traits(const osmem_backend *backend) {
    osmem_traits traits = FALLOW_ZEROS;
    (void)osmem_backend_traits_sized(backend, &traits, sizeof traits);
    return traits;
}

/*
 * Makes osmem keep the state of every OS page that this stat counts, and stop the process with one line if a
 * call finds another state than it needs: call, range, page, state found and since which call, state needed.
 * Must be called before the stat counts anything. Costs four bytes for each OS page, and a lock.
 */
FALLOW_API void osmem_stat_check(osmem_stat *stat);

/* Returns a stat's figures, all of one moment. ready_peak_bytes may be NULL. */
FALLOW_API osmem_bytes osmem_stat_read(const osmem_stat *stat, size_t *ready_peak_bytes);

/* None → Ready. Returns zeroed memory at an address of the system's choice, or NULL if there is none. Costs
 * one system call. */
FALLOW_API void *osmem_alloc(size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * None → Reserved. `hint`, if not NULL, is where the caller would like it; if that is taken, the result lies
 * elsewhere and replaces nothing. `alignment` is a power of two (0: the OS page). Returns NULL if there is no
 * address space. Costs one system call, or more if the first address is not aligned.
 */
FALLOW_API void *osmem_reserve(void *hint, size_t bytes, size_t alignment, osmem_stat *stat) FALLOW_MUST_USE;

/* None → Reserved, exactly there. OSMEM_TAKEN: something is in the way, and stays as it is. */
FALLOW_API osmem_result osmem_reserve_at(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* None → Prepared, exactly there: osmem_reserve_at and osmem_map in one system call, and one more for the
 * name if names are shown. */
FALLOW_API osmem_result osmem_prepare(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* Reserved → Prepared. On Linux, this charges the commit limit. Never twice on the same range. */
FALLOW_API osmem_result osmem_map(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Prepared → Ready. The range may already contain Ready memory; prepared_bytes says exactly how much of it is
 * Prepared. What was Prepared reads as zero if the back end has the trait zero_after_unused, and as anything
 * otherwise. Makes no system call on Linux.
 */
FALLOW_API osmem_result osmem_used(void *start, size_t bytes, size_t prepared_bytes,
                                   osmem_stat *stat) FALLOW_MUST_USE;

/* Ready → Prepared. The contents are forfeit. OSMEM_KEPT: it is still Ready and takes its memory, because it
 * is locked. */
FALLOW_API osmem_result osmem_unused(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Ready → Prepared for many ranges, in as few system calls as the system allows. Ranges are done in order;
 * *done, unless NULL, becomes the number done, which is `count` exactly if the result is OSMEM_OK. After
 * OSMEM_KEPT, the ranges behind the one kept may still be had.
 */
FALLOW_API osmem_result osmem_unused_ranges(const osmem_range *ranges, size_t count, size_t *done,
                                            osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Prepared → Reserved; not in the contract. The only way to return the commit charge without giving up the
 * address range. If the system cannot do it in one step (Linux: munmap, then a reservation exactly there),
 * another mapping may come in between: OSMEM_LOST, and the range is None.
 */
FALLOW_API osmem_result osmem_unmap(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* Ready → Reserved, for finding bugs: every later access faults. On Linux, the commit charge stays until the
 * range is freed. */
FALLOW_API osmem_result osmem_fault(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Any state → None. by_state says how many bytes of the range are in each state; they must add up to `bytes`.
 * OSMEM_NOMEM (vm.max_map_count): the caller may try again later. OSMEM_KEPT: this system never frees.
 */
FALLOW_API osmem_result osmem_free(void *start, size_t bytes, osmem_bytes by_state,
                                   osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Moves the contents of `from` to `to` without copying, if the system can move pages. Both ranges are Ready
 * before and after; they do not overlap and count in the same stat. Afterwards `from` holds anything, and
 * takes no memory until it is touched. If pages cannot be moved, `from` is as it was and `to` holds anything;
 * after OSMEM_LOST, `to` is None. On Linux (mremap with MREMAP_DONTUNMAP), what lies at `to` is from then on
 * a mapping of its own: two more than before, of the 65,530 that a process may have, until the range is freed
 * or unmapped. osmem does not count them: the caller keeps a bound.
 */
FALLOW_API osmem_result osmem_move(void *from, void *to, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* Counts a range in another stat of the same back end; the memory stays as it is. Both stats are checked, or
 * neither is. */
FALLOW_API void osmem_transfer(void *start, size_t bytes, osmem_bytes by_state, osmem_stat *from,
                               osmem_stat *to);

/*
 * Hints: no state changes, and the range may be in any state but None.
 *
 *   huge_page     the range would be better off in huge pages
 *   no_huge_page  it would be worse off
 *   collapse      puts it into huge pages now, if possible; may take milliseconds, so never under a lock
 *   split         splits the huge pages that lie in the range only in part. What is given back of a huge page
 *                 stays charged until the system splits it, which it does only when memory is short
 *
 * For huge_page and collapse, the range is rounded inwards to whole huge pages.
 */
FALLOW_API osmem_result osmem_huge_page(void *start, size_t bytes, osmem_stat *stat);
FALLOW_API osmem_result osmem_no_huge_page(void *start, size_t bytes, osmem_stat *stat);
FALLOW_API osmem_result osmem_collapse(void *start, size_t bytes, osmem_stat *stat);
FALLOW_API osmem_result osmem_split(void *start, size_t bytes, osmem_stat *stat);

/* Returns the size of the system's page, which never changes during a process's life. */
FALLOW_API size_t osmem_os_page_bytes(void);

/* Returns how many system calls for memory the system's back end has made in this process so far. */
FALLOW_API uint64_t osmem_system_calls(void);

#ifdef __cplusplus
}
#endif
#endif
