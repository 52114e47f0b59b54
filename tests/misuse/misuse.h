/* SPDX-License-Identifier: MIT */
/*
 * misuse.h: what a case of misuse is, and what the cases share. A case makes one mistake with malloc's
 * memory, in a process of its own, goes on as a program would that does not know of it, and returns. It must
 * never depend on what an allocator keeps where: sizes are measured from malloc_usable_size, so that no case
 * is within its rights on one allocator and a mistake on another.
 */
#ifndef MISUSE_H
#define MISUSE_H

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct misuse {
    const char *name;
    void (*commit)(size_t bytes, size_t extent);
    size_t bytes;  /* of the blocks that it is about */
    size_t extent; /* how far a write goes, or how far a pointer is off; 0 where that means nothing */
} misuse;

#define CASE(function, bytes, extent) \
    { #function, function, bytes, extent }

typedef struct misuse_kind {
    const char *name;
    const misuse *cases;
    size_t count;
} misuse_kind;

#define KIND(name, cases) \
    { name, cases, sizeof(cases) / sizeof *(cases) }

extern const misuse_kind double_frees, bad_frees, overflows, underflows, writes_after_free, reads_after_free,
    bad_calls, mismatches, bad_sizes;

/* The call has said no, as it should: that is as good as to stop. */
#define REFUSED_STATUS 42
#define REFUSED() _exit(REFUSED_STATUS)

#define KiB ((size_t)1 << 10)
#define MiB ((size_t)1 << 20)

/* A pointer that the compiler knows nothing of, and a use of one. */
void *unknown(void *pointer);
void use(const volatile char *byte);

/* A block with a program's data in it: no byte of it is zero. */
char *filled(size_t bytes);

/* What may be used of a block. */
size_t usable(void *block);

/* So many others of a size that live on, and so many that come and go. */
void others(size_t bytes, size_t count);
void others_come_and_go(size_t bytes, size_t count);

/* What a program does next with blocks of that size: takes some, writes to them, frees them. */
void goes_on(size_t bytes);

void in_a_thread(void *(*run)(void *), void *argument);
void *free_it(void *block);

#ifdef __cplusplus
}
#endif

#endif
