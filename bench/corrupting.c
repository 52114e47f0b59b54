/* SPDX-License-Identifier: MIT */
/*
 * corrupting.c: a malloc that goes wrong, preloaded in tests: a workload that ends well on it does not check
 * its contents. Blocks lie one after another and are never used again, so that nothing but the workload can
 * notice: every fiftieth call changes the first or the last byte of the block before, and calloc of large
 * blocks does not clear.
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define GROUND_BYTES ((size_t)8 << 30)

typedef struct header {
    size_t bytes, unused;
} header;

static _Atomic(char *) ground;
static _Atomic size_t used, calls;
static _Atomic(char *) recent;

static char *ground_start(void) {
    char *start = ground, *none = NULL;
    if (start)
        return start;
    start =
        mmap(NULL, GROUND_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    return atomic_compare_exchange_strong(&ground, &none, start) ? start : none;
}

static size_t *bytes_of(void *block) {
    return &((header *)block - 1)->bytes;
}

void *malloc(size_t bytes) {
    char *start = ground_start();
    size_t need = (bytes + sizeof(header) + 15) & ~(size_t)15, at = atomic_fetch_add(&used, need);
    if (!start || at + need > GROUND_BYTES)
        return NULL;
    char *block = start + at + sizeof(header), *before = atomic_exchange(&recent, block);
    *bytes_of(block) = bytes;
    size_t call = atomic_fetch_add(&calls, 1);
    if (before && call % 50 == 0 && *bytes_of(before))
        before[call % 100 ? 0 : *bytes_of(before) - 1] ^= 0x55;
    return block;
}

void free(void *block) {
    (void)block;
}

void *calloc(size_t count, size_t bytes) {
    char *block = malloc(count * bytes);
    if (block && count * bytes >= (size_t)64 << 10)
        memset(block, 1, count * bytes);
    return block;
}

void *realloc(void *block, size_t bytes) {
    char *grown = malloc(bytes);
    if (grown && block)
        memcpy(grown, block, *bytes_of(block) < bytes ? *bytes_of(block) : bytes);
    return grown;
}
