/* SPDX-License-Identifier: MIT */
/*
 * poison.h: tells memory checkers what may be touched. AddressSanitizer is found at run time, so the library
 * need not be compiled for it; valgrind's memcheck is told by a checking build (-Dchecks=1), if its header
 * was there. Nothing on a fast path may call this.
 */
#ifndef FL_POISON_H
#define FL_POISON_H

#include <stdbool.h>
#include <stddef.h>

#if FL_CHECKS >= 1 && defined __has_include
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define FL_KNOWS_MEMCHECK 1
#endif
#endif
#ifndef FL_KNOWS_MEMCHECK
#define FL_KNOWS_MEMCHECK 0
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_MAKE_MEM_NOACCESS(start, bytes) (void)0
#define VALGRIND_MAKE_MEM_UNDEFINED(start, bytes) (void)0
#define VALGRIND_MAKE_MEM_DEFINED(start, bytes) (void)0
#define VALGRIND_MALLOCLIKE_BLOCK(start, bytes, gap_bytes, zeroed) (void)0
#define VALGRIND_RESIZEINPLACE_BLOCK(start, had, bytes, gap_bytes) (void)0
#define VALGRIND_FREELIKE_BLOCK(start, gap_bytes) (void)0
#endif

/* True if the library itself is compiled for AddressSanitizer: its own accesses are then checked, so it
 * poisons only what it does not touch. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
#define FL_IS_INSTRUMENTED true
#else
#define FL_IS_INSTRUMENTED false
#endif

extern void __asan_poison_memory_region(const volatile void *start, size_t bytes) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *start, size_t bytes) __attribute__((weak));

static inline bool fl_memcheck_is_there(void) {
    return FL_KNOWS_MEMCHECK && RUNNING_ON_VALGRIND;
}

static inline bool fl_poison_is_there(void) {
    return __asan_poison_memory_region != NULL || fl_memcheck_is_there();
}

/* Returns whether memory may stay poisoned while the library holds it: nobody checks the library's own
 * accesses, and it unpoisons whatever it hands out. */
static inline bool fl_poison_may_stay(void) {
    return __asan_poison_memory_region != NULL && !FL_IS_INSTRUMENTED && !fl_memcheck_is_there();
}

/* Forbids all access. */
static inline void fl_poison(const void *start, size_t bytes) {
    if (__asan_poison_memory_region != NULL)
        __asan_poison_memory_region(start, bytes);
    if (fl_memcheck_is_there())
        VALGRIND_MAKE_MEM_NOACCESS(start, bytes);
}

/* Allows all access; the contents are defined. */
static inline void fl_unpoison(const void *start, size_t bytes) {
    if (__asan_unpoison_memory_region != NULL)
        __asan_unpoison_memory_region(start, bytes);
    if (fl_memcheck_is_there())
        VALGRIND_MAKE_MEM_DEFINED(start, bytes);
}

/* Allows all access; the contents are undefined until written. */
static inline void fl_unpoison_new(const void *start, size_t bytes) {
    if (__asan_unpoison_memory_region != NULL)
        __asan_unpoison_memory_region(start, bytes);
    if (fl_memcheck_is_there())
        VALGRIND_MAKE_MEM_UNDEFINED(start, bytes);
}

#endif
