/* SPDX-License-Identifier: MIT */
/*
 * new.c: C++'s operator new and delete, under the names that the Itanium C++ ABI gives them, so that no C++
 * compiler and no C++ library is needed.
 *
 * Defined are the forms that others are defined by. The nothrow forms are left to the C++ library, whose own
 * call the plain ones and catch what those throw, which C cannot.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "fallow/version.h"

#if SIZE_MAX != UINT64_MAX
#error "the mangled names below are those of a 64-bit size_t"
#endif

typedef void new_handler(void);

/* libstdc++ (or libc++, which has the same names). Absent in a program without C++, where nobody calls new. */
extern new_handler *_ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

/* The standard's loop: ask the handler to make room, try again; throw when there is none. The handler may
 * throw as well, straight through this file, which is compiled with unwind tables. */
static void *new_failed(size_t alignment, size_t bytes) {
    for (;;) {
        new_handler *handler = _ZSt15get_new_handlerv ? _ZSt15get_new_handlerv() : NULL;
        if (!handler) {
            if (_ZSt17__throw_bad_allocv)
                _ZSt17__throw_bad_allocv();
            abort();
        }
        handler();
        void *block = alignment ? aligned_alloc(alignment, bytes) : malloc(bytes);
        if (block)
            return block;
    }
}

static inline void *new_plain(size_t bytes) {
    void *block = malloc(bytes);
    return __builtin_expect(block != NULL, 1) ? block : new_failed(0, bytes);
}

static void *new_aligned(size_t bytes, size_t alignment) {
    void *block = aligned_alloc(alignment, bytes);
    return block ? block : new_failed(alignment, bytes);
}

#define EXPORT FALLOW_API

/* new, new[] */
EXPORT void *_Znwm(size_t bytes) {
    return new_plain(bytes);
}
EXPORT void *_Znam(size_t bytes) {
    return new_plain(bytes);
}
/* new, new[] (align_val_t) */
EXPORT void *_ZnwmSt11align_val_t(size_t bytes, size_t alignment) {
    return new_aligned(bytes, alignment);
}
EXPORT void *_ZnamSt11align_val_t(size_t bytes, size_t alignment) {
    return new_aligned(bytes, alignment);
}
/* delete, delete[] */
EXPORT void _ZdlPv(void *block) {
    free(block);
}
EXPORT void _ZdaPv(void *block) {
    free(block);
}
/* delete, delete[] (size_t) */
EXPORT void _ZdlPvm(void *block, size_t bytes) {
    (void)bytes;
    free(block);
}
EXPORT void _ZdaPvm(void *block, size_t bytes) {
    (void)bytes;
    free(block);
}
/* delete, delete[] (align_val_t), and with size_t */
EXPORT void _ZdlPvSt11align_val_t(void *block, size_t alignment) {
    (void)alignment;
    free(block);
}
EXPORT void _ZdaPvSt11align_val_t(void *block, size_t alignment) {
    (void)alignment;
    free(block);
}
EXPORT void _ZdlPvmSt11align_val_t(void *block, size_t bytes, size_t alignment) {
    (void)bytes, (void)alignment;
    free(block);
}
EXPORT void _ZdaPvmSt11align_val_t(void *block, size_t bytes, size_t alignment) {
    (void)bytes, (void)alignment;
    free(block);
}
