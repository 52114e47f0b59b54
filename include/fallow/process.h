/* SPDX-License-Identifier: MIT */
/*
 * process.h: the memory of the whole process: what all arenas have together, limits on it, and how it goes back.
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
 * Limits in bytes on what all arenas of the process can have resident (Ready), malloc's among them; fallow's own
 * bookkeeping is not counted. 0: none.
 *
 *   soft  never refuses: above it, what is idle goes back before anything grows, and no idle memory is kept. Without
 *         one, 90 % of the container's memory limit (control groups 1 and 2) stands in for it, read at start; for
 *         later changes see fallow_tick.
 *   hard  at it, what is idle goes back, in all arenas, and every page that no live block touches; then the arena's owner is
 *         asked (fallow_arena_on_limit); then the request fails with ENOMEM. Lowered below what is Ready, it has that go at once.
 */
FALLOW_API void fallow_set_limits(size_t soft_bytes, size_t hard_bytes);

/*
 * Gives idle memory back to the system: what fallow's own thread does in libfallow-malloc. A program that embeds fallow
 * calls this from its own loop, ten times a second or so; one call works for at most a millisecond. Returns 0 when
 * nothing is left to do. A program that never calls it has the same done on slow paths of its own allocations, but
 * not while it allocates nothing.
 *
 * It also looks, every 30 seconds, whether the container's limit or the system's huge pages have changed, and every second whether
 * tasks had to wait for memory. That opens files for a moment, and so takes a number for a descriptor. In libfallow-malloc
 * fallow's own thread does that, with a file table of its own, and this call does not, unless there can be no such thread (option
 * background_thread:0, or the system refuses it or its table). Without either, nobody follows a limit that changes: no allocation
 * opens a file.
 */
FALLOW_API int fallow_tick(void);

/* Gives everything back that is idle, at once, of all arenas, whatever it takes. Returns how many bytes went. */
FALLOW_API size_t fallow_give_back(void);

/* All figures in bytes, together at one moment but for the last. */
typedef struct fallow_process_figures {
    size_t reserved_bytes; /* address space only */
    size_t prepared_bytes; /* mapped, meant to have no memory behind it */
    size_t ready_bytes;    /* can be resident: arenas and bookkeeping */
    size_t ready_peak_bytes;
    size_t meta_bytes;       /* of the Ready bytes: fallow's own bookkeeping */
    size_t soft_limit_bytes; /* the one in force, the container's for instance; 0: none */
    size_t limit_bytes;      /* the hard one; 0: none */
    uint64_t system_calls;   /* for memory, so far */
} fallow_process_figures;

/* figures_bytes is sizeof *figures; false with errno EINVAL if no version had that. */
FALLOW_API bool fallow_process_read_sized(fallow_process_figures *figures, size_t figures_bytes);

/* The same for who was compiled with this header. */
FALLOW_INLINE fallow_process_figures fallow_process_read(void) {
    fallow_process_figures figures = FALLOW_ZEROS;
    (void)fallow_process_read_sized(&figures, sizeof figures);
    return figures;
}

#ifdef __cplusplus
}
#endif
#endif
