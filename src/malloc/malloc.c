/* SPDX-License-Identifier: MIT */
/*
 * malloc.c: replaces the C library's allocator: with what C and POSIX promise, and glibc's habits where they
 * leave a choice. errno is ENOMEM after a failure and untouched otherwise.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../heap/alloc.h"
#include "../heap/block.h"
#include "../heap/free.h"
#include "../heap/thread.h"
#include "../profile/frames.h"
#include "../system/arithmetic.h"
#include "../system/fatal.h"
#include "fallow/version.h"
#include "hardened.h"

#define EXPORT FALLOW_API

EXPORT void *malloc(size_t bytes) {
    return FL_HARDENED ? fl_hardened_alloc(bytes) : fl_heap_alloc(fl_thread_heap, bytes);
}

EXPORT void free(void *block) {
    if (FL_HARDENED)
        fl_hardened_free(block);
    else
        fl_heap_free(fl_thread_heap, block);
}

static __attribute__((noinline)) void *calloc_more(size_t bytes) {
    FL_KEEP_FRAME();
    fl_heap *heap = fl_thread_heap_of_process();
    if (!heap)
        return fl_no_memory();
    void *block = fl_block_alloc_zeroed(heap, bytes);
    fl_thread_heap_done(heap);
    return block ? block : fl_no_memory();
}

EXPORT void *calloc(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return fl_no_memory();
    if (FL_HARDENED)
        return fl_hardened_alloc_zeroed(total);
    if (total > FL_DIRECT_BYTES_MAX) /* here it pays to know what is zero already */
        return calloc_more(total);
    void *block = fl_heap_alloc_at_hand(fl_thread_heap, total);
    return __builtin_expect(block != NULL, 1) ? memset(block, 0, total) : calloc_more(total);
}

/* Apart: realloc ends in a jump to it, and has needed less of the stack by then. */
static __attribute__((noinline)) void *done(fl_heap *heap, void *block) {
    fl_thread_heap_done(heap);
    return block ? block : fl_no_memory();
}

static __attribute__((noinline)) void *realloc_more(void *block, size_t bytes) {
    FL_KEEP_FRAME();
    if (!block)
        return malloc(bytes);
    if (bytes == 0) { /* as glibc does */
        free(block);
        return NULL;
    }
    if (FL_HARDENED)
        return fl_hardened_resize(block, bytes);
    fl_slab *slab = fl_block_slab(block, "realloc of");
    if (fl_block_resize(slab, bytes))
        return block;
    fl_heap *heap = fl_thread_heap_of_process();
    if (!heap)
        return fl_no_memory();
    return done(heap, fl_block_move(heap, slab, block, bytes));
}

/* Both end in a jump: the stack has just what realloc_more may need. */
EXPORT void *realloc(void *block, size_t bytes) {
    return !FL_HARDENED && fl_block_fits(fl_thread_heap, block, bytes) ? block : realloc_more(block, bytes);
}

EXPORT void *reallocarray(void *block, size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return fl_no_memory();
    return !FL_HARDENED && fl_block_fits(fl_thread_heap, block, total) ? block : realloc_more(block, total);
}

/* (Without a frame, to spare the stack: the calls of a thread's first allocation, if it is aligned, may be
 * wrong.) */
static __attribute__((noinline)) void *alloc_aligned_first(size_t alignment, size_t bytes) {
    fl_heap *heap = fl_thread_heap_of_process();
    return heap ? done(heap, fl_block_alloc_aligned(heap, alignment, bytes)) : fl_no_memory();
}

static inline void *alloc_aligned(size_t alignment, size_t bytes) {
    if (FL_HARDENED)
        return fl_hardened_alloc_aligned(alignment, bytes);
    fl_heap *heap = fl_thread_heap;
    return __builtin_expect(heap != &fl_empty_heap, 1) ? fl_block_alloc_aligned(heap, alignment, bytes)
                                                       : alloc_aligned_first(alignment, bytes);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes) {
    if (!fl_is_power_of_two(alignment) || alignment % sizeof(void *))
        return EINVAL;
    FL_KEEP_FRAME();
    void *block =
        alloc_aligned(alignment, bytes); /* sets errno too, as glibc does; not for a bad alignment */
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes) {
    if (!fl_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return alloc_aligned(alignment, bytes);
}

/* glibc rounds an alignment up that is no power of two. */
EXPORT void *memalign(size_t alignment, size_t bytes) {
    size_t rounded = 16;
    while (rounded < alignment && rounded <= SIZE_MAX / 4)
        rounded *= 2;
    if (rounded < alignment) {
        errno = EINVAL;
        return NULL;
    }
    return aligned_alloc(rounded, bytes);
}

EXPORT void *valloc(size_t bytes) {
    return aligned_alloc(osmem_os_page_bytes(), bytes);
}

EXPORT void *pvalloc(size_t bytes) {
    size_t page = osmem_os_page_bytes();
    if (bytes > SIZE_MAX - page)
        return fl_no_memory();
    return aligned_alloc(page, (bytes + page - 1) & ~(page - 1));
}

EXPORT size_t malloc_usable_size(void *block) {
    if (FL_HARDENED)
        return block ? fl_hardened_bytes(block) : 0;
    return block ? fl_block_usable_bytes(fl_block_slab(block, "malloc_usable_size of")) : 0;
}

/* What the caller says of a block must be true. Only a checking build looks, and the hardened one, to the
 * byte: in others a wrong size is as good as none. */
static void check_size(const void *block, size_t alignment, size_t bytes) {
    if (FL_HARDENED && block)
        fl_hardened_check_size(block, alignment, bytes);
    if (FL_HARDENED || FL_CHECKS == 0 || !block)
        return;
    fl_slab *slab = fl_block_slab(block, "sized free of");
    bool is_right = bytes <= fl_block_usable_bytes(slab) && (uintptr_t)block % alignment == 0;
    if (is_right && alignment == 1 && slab->kind == FL_KIND_SLAB && bytes <= FL_CLASS_BYTES_MAX)
        /* A block that realloc left in place may have been asked for with half of its size. */
        is_right = bytes >= slab->block_bytes / 2 || fl_sizeclass_of(bytes) == slab->size_class;
    if (!is_right)
        fl_fatal("sized free of", block, "not of the size, or the alignment, that was said");
}

EXPORT void free_sized(void *block, size_t bytes) {
    check_size(block, 1, bytes);
    free(block);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t bytes) {
    check_size(block, alignment ? alignment : 1, bytes);
    free(block);
}

EXPORT void cfree(void *block) {
    free(block);
}

/* glibc's own names for these, which some programs and libraries call. */
#define ALIAS(result, name, of, ...) EXPORT result name(__VA_ARGS__) __attribute__((alias(#of)))
ALIAS(void *, __libc_malloc, malloc, size_t bytes);
ALIAS(void, __libc_free, free, void *block);
ALIAS(void, __libc_cfree, free, void *block);
ALIAS(void *, __libc_calloc, calloc, size_t count, size_t bytes);
ALIAS(void *, __libc_realloc, realloc, void *block, size_t bytes);
ALIAS(void *, __libc_reallocarray, reallocarray, void *block, size_t count, size_t bytes);
ALIAS(void *, __libc_memalign, memalign, size_t alignment, size_t bytes);
ALIAS(void *, __libc_valloc, valloc, size_t bytes);
ALIAS(void *, __libc_pvalloc, pvalloc, size_t bytes);
ALIAS(int, __posix_memalign, posix_memalign, void **out, size_t alignment, size_t bytes);
