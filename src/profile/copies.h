/* SPDX-License-Identifier: MIT */
/*
 * copies.h: copies of stacks, one a sample, for a program whose functions keep no frame pointers. While
 * `fallow profile PID --unwind` looks on, each sample's registers and the upper part of its stack are copied
 * into a ring. The command takes each copy out, wipes it, and unwinds it by tables that only it reads.
 *
 * A place is written while it is free, and never over a copy that waits: if all are full, the sample has
 * none. Only the thread's own stack is copied, as far as it is known to end: on another one (of a signal, of
 * a coroutine) nobody can say what lies above, and whether it stays there. Nothing here reads what may not be
 * there, waits, or asks the system for more than whether pages can be read.
 *
 * Threads: those that hold the profile's lock; and one reader in another process, who sets `reader`, and
 * frees places.
 */
#ifndef FL_COPIES_H
#define FL_COPIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __x86_64__
#define FL_COPIES_ARE_MADE 1
#else
#define FL_COPIES_ARE_MADE 0
#endif

#define FL_COPIES 32
#define FL_COPY_BYTES 8192
#define FL_COPY_REGISTERS 17 /* by their numbers in DWARF; the last is the program counter */

typedef struct fl_copy {
    _Atomic uint32_t full; /* released by the thread that has filled it; 0 again by the reader */
    uint32_t bytes;        /* of the stack, from the stack pointer on */
    uint64_t number;       /* the sample's, while that lives */
    const void *sample, *site;
    uint64_t sample_blocks, sample_bytes;
    uint64_t registers[FL_COPY_REGISTERS];
    unsigned char stack[FL_COPY_BYTES - 184];
} fl_copy;

typedef struct fl_copies {
    _Atomic uint32_t reader; /* the process that reads; 0: none. Written from outside, and at once */
    _Atomic(fl_copy *) ring; /* NULL until first wanted */
    uint64_t number;         /* of the last copy */
    uint64_t late;           /* so many samples found no free place, or no memory */
    uint64_t foreign;        /* so many were not on their thread's own stack */
} fl_copies;

extern fl_copies fl_the_copies;

static inline bool fl_copies_are_wanted(void) {
    return FL_COPIES_ARE_MADE && atomic_load_explicit(&fl_the_copies.reader, memory_order_relaxed) != 0;
}

/* Where a process begins to use the library: mostly in its main thread, which is known from then on. */
void fl_copies_know_main(void);

/* Copies the caller's stack. Returns the copy, whose last step is fl_copies_finish; or NULL if there is
 * none. */
fl_copy *fl_copies_take(void);
void fl_copies_finish(fl_copy *copy);

/* Wipes all, and makes no more: in a fork's child, at which nobody looks. */
void fl_copies_drop(void);

#endif
