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
 * Nothing half done: a call moves its whole range, or leaves it as it was. Two results tell of what no system
 * can prevent: OSMEM_KEPT (the range is as it was, and asking again soon is in vain) and OSMEM_LOST (the
 * range is None now: the system took it away, and somebody else may have it). The counters follow in each
 * case.
 *
 * Units: all sizes are bytes and multiples of the OS page (osmem_os_page_bytes), all addresses are aligned to
 * it; a call that is given anything else returns OSMEM_INVALID (or NULL) and does nothing.
 *
 * Threads: every call may be made from any thread at any time, as long as no two calls are given overlapping
 * ranges at the same time. The counters are exact at every moment, and consistent with each other in any one
 * osmem_stat_read. No call changes errno.
 *
 * Misuse (a range in another state than the call needs, or counted in another stat) is undefined, as it is in
 * the contract; a stat that is checked (osmem_stat_check, or a build with -Dchecks=2) stops the process at
 * it. In every build the process stops where a stat would hold less than nothing.
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

/* What a call can say. Zero is success; nothing has changed after anything else but OSMEM_LOST. */
typedef enum osmem_result {
    OSMEM_OK = 0,
    OSMEM_NOMEM,             /* the system has no memory, address space or mappings left */
    OSMEM_UNSUPPORTED,       /* this system cannot do it; for hints, nothing is lost */
    OSMEM_INVALID,           /* the arguments break a rule above */
    OSMEM_TAKEN,             /* part of the range that was to be ours is somebody else's */
    OSMEM_KEPT,              /* the system keeps what was to go (it is locked, busy, or never goes) */
    OSMEM_LOST,              /* the range is None now, against the caller's will */
    OSMEM_ROOM_ = 0x7fffffff /* none: keeps the type as wide as an int */
} osmem_result;

/* The states that are counted. None is everything else. A value, as is a range: neither ever grows. */
typedef struct osmem_bytes {
    size_t reserved;
    size_t prepared;
    size_t ready;
} osmem_bytes;

typedef struct osmem_range {
    void *start;
    size_t bytes;
} osmem_range;

/* What is true of the memory that a back end provides; asked once, when a stat is set up. By system:
 * docs/osmem.md. */
typedef struct osmem_traits {
    size_t os_page_bytes;   /* a power of two */
    size_t huge_page_bytes; /* a power of two, or 0 where there are none */
    size_t
        reserve_bytes; /* reservations start at multiples of this (Windows: 64 KiB); a power of two, 0: the OS page */
    size_t address_bytes;     /* about so much can be reserved in all; 0: more than anybody needs */
    bool zero_after_unused;   /* Ready again after unused, untouched memory reads as zero */
    bool prepared_is_charged; /* Prepared counts against the system's commit limit; Reserved never does */
    bool reservations_apart; /* no call may span two reservations, and free takes whole ones only (Windows) */
    bool never_frees;        /* what was reserved stays ours: every free is OSMEM_KEPT (WebAssembly) */
} osmem_traits;

/* What a back end is asked to reserve. */
typedef struct osmem_request {
    void *hint;       /* where the caller would like it; NULL: anywhere */
    size_t bytes;     /* a multiple of the OS page */
    size_t alignment; /* a power of two, the OS page at least */
    bool exactly;     /* at the hint, or not at all */
    bool mapped;      /* Prepared, not Reserved */
} osmem_request;

/* What came of it. */
typedef struct osmem_reservation {
    void *start;
    size_t
        excess_bytes; /* Reserved as well, around it, since the system did not take it back: lost but for the ledger */
} osmem_reservation;

/*
 * A back end makes the moves happen; it neither checks nor counts, osmem does. Every function is given the
 * back end's own context and gets only arguments that keep the rules above. What it cannot do returns
 * OSMEM_UNSUPPORTED. All of them must be safe to call from several threads, must leave errno alone, must not
 * be cancellation points and must not call malloc. After each result the range is
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
 * What KEPT is said of would be refused again soon: it is not worth asking at every turn. What NOMEM is said
 * of may work a moment later. No call retries without a bound.
 *
 * What is written through `out` is all zero before. Both structures may be longer than the back end knows
 * them.
 */
typedef struct osmem_backend {
    size_t
        struct_bytes; /* sizeof(osmem_backend) as the back end knows it (0: as here); what may come behind that is not asked */
    const char *name;
    void *context;
    void (*traits)(void *context, osmem_traits *out);
    void *(*alloc)(void *context, size_t bytes); /* NULL: no memory */
    osmem_result (*reserve)(void *context, const osmem_request *request, osmem_reservation *out);
    osmem_result (*map)(void *context, void *start, size_t bytes);
    osmem_result (*used)(void *context, void *start, size_t bytes);
    /* In order; *done is how many ranges are Prepared. What is said of the first that is not is the result.
     * */
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
    /* May be NULL: a hint as the others. */
    osmem_result (*split)(void *context, void *start, size_t bytes);
} osmem_backend;

/* The system that the program runs on. */
FALLOW_API const osmem_backend *osmem_backend_system(void);

/* The same, but unused memory stays until the system needs it (MADV_FREE): cheaper to use again, not known to
 * be zero, and still counted as resident meanwhile. Where the system cannot, as osmem_backend_system. */
FALLOW_API const osmem_backend *osmem_backend_system_lazy(void);

/* What POSIX, the BSDs and macOS have in common, on any of them: to start a port from, and to compare with.
 * */
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
    osmem_bytes bytes;
    size_t ready_peak_bytes;
    bool checked;
    osmem_traits traits;
    size_t room[12]; /* for more traits and figures: the caller has the memory */
} osmem_stat;

/* Sets up a stat with nothing in it. backend NULL: the system. parent may be NULL. A back end whose
 * struct_bytes is no size that one had stops the process. */
FALLOW_API void osmem_stat_init(osmem_stat *stat, const char *name, const osmem_backend *backend,
                                osmem_stat *parent);

/* What is true of the memory of a back end: page sizes, whether it comes back zeroed, what is charged.
 * traits_bytes is sizeof *traits; false if no version had that. */
FALLOW_API bool osmem_backend_traits_sized(const osmem_backend *backend, osmem_traits *traits,
                                           size_t traits_bytes);

/* The same for who was compiled with this header. */
FALLOW_INLINE osmem_traits osmem_backend_traits(const osmem_backend *backend) {
    osmem_traits traits = FALLOW_ZEROS;
    (void)osmem_backend_traits_sized(backend, &traits, sizeof traits);
    return traits;
}

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
 * NULL when there is no address space. Costs one system call; more where it is not aligned at once.
 */
FALLOW_API void *osmem_reserve(void *hint, size_t bytes, size_t alignment, osmem_stat *stat) FALLOW_MUST_USE;

/* None → Reserved, exactly there. OSMEM_TAKEN: something else is in the way; it stays as it is. */
FALLOW_API osmem_result osmem_reserve_at(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* None → Prepared, exactly there, in one system call (and one for the name, where names are shown):
 * osmem_reserve_at and osmem_map in one. */
FALLOW_API osmem_result osmem_prepare(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* Reserved → Prepared. On Linux this is where the commit limit is charged. Never twice on the same range. */
FALLOW_API osmem_result osmem_map(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Prepared → Ready. The range may hold Ready memory already; prepared_bytes says exactly how much of it is
 * Prepared. Contents of what was Prepared: zero if the back end's traits say zero_after_unused, else
 * anything. On Linux this makes no system call.
 */
FALLOW_API osmem_result osmem_used(void *start, size_t bytes, size_t prepared_bytes,
                                   osmem_stat *stat) FALLOW_MUST_USE;

/* Ready → Prepared. The contents are forfeit. OSMEM_KEPT: Ready still, and it takes its memory (it is
 * locked). */
FALLOW_API osmem_result osmem_unused(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Ready → Prepared for many ranges, in as few system calls as the system allows. Ranges are done in order;
 * *done, where not NULL, is how many were: all of them exactly if the result is OSMEM_OK. After OSMEM_KEPT,
 * the ranges behind that one may well be had.
 */
FALLOW_API osmem_result osmem_unused_ranges(const osmem_range *ranges, size_t count, size_t *done,
                                            osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Prepared → Reserved: ours, not in the contract. The only way to have the commit charge back without giving
 * the address range to others. Where the system cannot do it in one step (Linux: munmap, and a new
 * reservation exactly there), somebody else's mapping may come in between: OSMEM_LOST, and the range is None.
 */
FALLOW_API osmem_result osmem_unmap(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* Ready → Reserved. Every later access faults; for finding bugs. On Linux the commit charge stays until the
 * range is freed. */
FALLOW_API osmem_result osmem_fault(void *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Any state → None. by_state says how many bytes of the range are in which state; they must add up to bytes.
 * OSMEM_NOMEM (vm.max_map_count): the caller may try again later. OSMEM_KEPT: not on this system, ever.
 */
FALLOW_API osmem_result osmem_free(void *start, size_t bytes, osmem_bytes by_state,
                                   osmem_stat *stat) FALLOW_MUST_USE;

/*
 * Both ranges Ready before and after: what `from` holds is in `to` afterwards, without being copied where the
 * system can move pages; `from` holds anything then, and takes no memory until it is touched. The ranges do
 * not overlap, and count in the same stat. Where pages cannot be moved, `from` is as it was, and `to` holds
 * anything; after OSMEM_LOST `to` is None. On Linux (mremap with MREMAP_DONTUNMAP) what lies at `to` is a
 * mapping of its own from then on: two more than before, of the 65,530 that a process may have, until the
 * range is freed or unmapped. Nothing here counts them: the caller keeps a bound.
 */
FALLOW_API osmem_result osmem_move(void *from, void *to, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

/* Moves the count of a range from one stat to another of the same back end; the memory stays as it is. Both
 * are checked, or neither. */
FALLOW_API void osmem_transfer(void *start, size_t bytes, osmem_bytes by_state, osmem_stat *from,
                               osmem_stat *to);

/*
 * Hints; no state changes, and any state but None may be given them. huge_page: this range would be better in
 * huge pages. no_huge_page: it would be worse. collapse: put it into huge pages now, if that can be done; may
 * take milliseconds, so never under a lock. The range is rounded inwards to whole huge pages for huge_page
 * and collapse. split: what lies in the range and belongs to a huge page that lies in it only in part is
 * about to go; so that the system has it back at once, and not only when it is short, the huge page is made
 * into small ones first.
 */
FALLOW_API osmem_result osmem_huge_page(void *start, size_t bytes, osmem_stat *stat);
FALLOW_API osmem_result osmem_no_huge_page(void *start, size_t bytes, osmem_stat *stat);
FALLOW_API osmem_result osmem_collapse(void *start, size_t bytes, osmem_stat *stat);
FALLOW_API osmem_result osmem_split(void *start, size_t bytes, osmem_stat *stat);

/* The page of the system's memory management: asked from the system, the same for the life of a process. */
FALLOW_API size_t osmem_os_page_bytes(void);

/* How many system calls for memory the system's back end has made in this process so far. */
FALLOW_API uint64_t osmem_system_calls(void);

#ifdef __cplusplus
}
#endif
#endif
