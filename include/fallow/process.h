/* SPDX-License-Identifier: MIT */
/*
 * process.h: the memory of the whole process: what all arenas have together, its limits, and giving it back.
 *
 * Threads: every function may be called from any thread.
 */
#ifndef FALLOW_PROCESS_H
#define FALLOW_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Set limits, in bytes, on what all arenas of the process together, malloc's included, can have resident
 * (Ready). fallow's own bookkeeping does not count. 0: no limit.
 *
 *   soft  Never refuses anything. Above it, idle memory goes back before an arena grows, and none is kept. If
 *         there is none, 90 % of the container's memory limit (control groups 1 and 2), read at start, takes
 *         its place; fallow_tick follows later changes.
 *   hard  At it, fallow gives back idle memory in all arenas, and every page that no live block touches; then
 *         it asks the arena's shedder (fallow_arena_on_limit); then the request fails with ENOMEM. A limit
 *         set below what is Ready gives memory back at once.
 */
FALLOW_API void fallow_set_limits(size_t soft_bytes, size_t hard_bytes);

/*
 * Gives idle memory back to the system, as fallow's own thread does in libfallow-malloc. A program that
 * embeds fallow calls it from its main loop some ten times a second; one call works for a millisecond, and
 * then ends what it has begun, which seldom takes as long again. Returns 0 once nothing is left to do. In a
 * program that never calls it, slow paths of allocations do the same work, but only while the program
 * allocates.
 *
 * It also looks, every 30 seconds, whether the container's limit or the system's use of huge pages has
 * changed, and every second whether tasks had to wait for memory. This opens files for a moment, and so uses
 * a descriptor number. In libfallow-malloc, fallow's own thread does this with a file table of its own, and
 * the call does not, unless there can be no such thread (option background_thread:0, or the system refuses
 * the thread or its table). With neither, nobody follows a limit that changes: no allocation opens a file.
 */
FALLOW_API int fallow_tick(void);

/* Gives back at once everything that is idle in all arenas, whatever it takes. Returns the number of bytes
 * given back. */
FALLOW_API size_t fallow_give_back(void);

/* Figures in bytes, all of one moment but for the last. */
typedef struct fallow_process_figures {
    size_t reserved_bytes; /* address space only */
    size_t prepared_bytes; /* mapped, but not meant to be backed by memory */
    size_t ready_bytes;    /* can be resident: arenas and bookkeeping */
    size_t ready_peak_bytes;
    size_t meta_bytes;       /* the part of the Ready bytes that is fallow's own bookkeeping */
    size_t soft_limit_bytes; /* the one in force, be it the container's; 0: none */
    size_t limit_bytes;      /* the hard one; 0: none */
    uint64_t system_calls;   /* made for memory so far */
} fallow_process_figures;

/* figures_bytes is sizeof *figures. Returns false with errno EINVAL if no version had that size. */
FALLOW_API bool fallow_process_read_sized(fallow_process_figures *figures, size_t figures_bytes);

/* The same for callers compiled with this header. */
FALLOW_INLINE fallow_process_figures fallow_process_read(void) {
    fallow_process_figures figures = FALLOW_ZEROS;
    (void)fallow_process_read_sized(&figures, sizeof figures);
    return figures;
}

#ifdef __cplusplus
}
#endif
#endif
