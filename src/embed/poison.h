/* SPDX-License-Identifier: MIT */
/*
 * poison.h: tells AddressSanitizer, where the program runs under it, what may be touched. Found at run time: the library need
 * not be compiled for it.
 */
#ifndef FL_POISON_H
#define FL_POISON_H

#include <stdbool.h>
#include <stddef.h>

extern void __asan_poison_memory_region(const volatile void *start, size_t bytes) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *start, size_t bytes) __attribute__((weak));

static inline bool fl_poison_is_there(void) {
    return __asan_poison_memory_region != NULL;
}

static inline void fl_poison(const void *start, size_t bytes) {
    if (fl_poison_is_there())
        __asan_poison_memory_region(start, bytes);
}

static inline void fl_unpoison(const void *start, size_t bytes) {
    if (fl_poison_is_there())
        __asan_unpoison_memory_region(start, bytes);
}

#endif
