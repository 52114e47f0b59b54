/* SPDX-License-Identifier: MIT */
/*
 * new.c: C++'s operator new and delete, under the names that the Itanium C++ ABI gives them, so that no C++
 * compiler and no C++ library is needed.
 *
 * It defines the forms by which others are defined. The nothrow forms are left to the C++ library: its own
 * call the plain ones and catch what those throw, which C cannot do. The static archive has none of this:
 * there, only the C++ library itself can be counted on to know how to throw.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../profile/frames.h"
#include "fallow/version.h"
#include "hardened.h"

#if SIZE_MAX != UINT64_MAX
#error "the mangled names below are those of a 64-bit size_t"
#endif

typedef void new_handler(void);

/* libstdc++'s (or libc++'s, under the same names). Absent in a program in C. */
extern new_handler *_ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

/* Absent in a static program. (dlopen is looked up by name: linkers warn of any mention of it in one.) */
extern int dladdr(const void *, Dl_info *) __attribute__((weak));
extern void *dlsym(void *, const char *) __attribute__((weak));

FALLOW_API void *_Znwm(size_t bytes);
FALLOW_API void *_ZnwmSt11align_val_t(size_t bytes, size_t alignment);

/* A program in C may still load C++, later and for its own use. The library that called new has the C++
 * library's own new within its reach, or in itself, and that knows how to throw. Returns NULL if there is
 * none, or it is ours. */
static void *new_within_reach_of(const void *caller, const char *name, const void *ours) {
    Dl_info where;
    if (!dladdr || !dlsym || !dladdr(caller, &where) || !where.dli_fname)
        return NULL;
    void *(*open)(const char *, int) = (void *(*)(const char *, int))(uintptr_t)dlsym(RTLD_DEFAULT, "dlopen");
    void *library = open ? open(where.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    void *found = library ? dlsym(library, name) : NULL;
    return found != ours ? found : NULL;
}

static void *new_of_cxx(size_t alignment, size_t bytes, const void *caller) {
    if (alignment) {
        void *(*new)(size_t, size_t) = (void *(*)(size_t, size_t))(uintptr_t)new_within_reach_of(
            caller, "_ZnwmSt11align_val_t", (const void *)(uintptr_t)_ZnwmSt11align_val_t);
        return new ? new (bytes, alignment) : NULL;
    }
    void *(*new)(size_t) =
        (void *(*)(size_t))(uintptr_t)new_within_reach_of(caller, "_Znwm", (const void *)(uintptr_t)_Znwm);
    return new ? new (bytes) : NULL;
}

/* The standard's loop: ask the handler to make room, try again; throw if there is no handler. The handler may
 * throw too, straight through this file, which is compiled with unwind tables. */
static __attribute__((noinline)) void *new_failed(size_t alignment, size_t bytes, const void *caller) {
    void *block = NULL;
    while (!block) {
        new_handler *handler = _ZSt15get_new_handlerv ? _ZSt15get_new_handlerv() : NULL;
        if (!handler && _ZSt17__throw_bad_allocv)
            _ZSt17__throw_bad_allocv();
        if (!handler) {
            block = new_of_cxx(alignment, bytes, caller);
            if (!block)
                abort();
            return block;
        }
        handler();
        block = alignment ? aligned_alloc(alignment, bytes) : malloc(bytes);
    }
    return block;
}

static inline __attribute__((always_inline)) void *new_plain(size_t bytes) {
    void *block = malloc(bytes);
    return __builtin_expect(block != NULL, 1) ? block : new_failed(0, bytes, __builtin_return_address(0));
}

static inline __attribute__((always_inline)) void *new_aligned(size_t bytes, size_t alignment) {
    FL_KEEP_FRAME();
    void *block = aligned_alloc(alignment, bytes);
    return block ? block : new_failed(alignment, bytes, __builtin_return_address(0));
}

#define EXPORT FALLOW_API

/* new, new[] */
EXPORT void *_Znwm(size_t bytes) {
    return new_plain(bytes);
}
EXPORT void *_Znam(size_t bytes) {
    return new_plain(bytes);
}
static uintptr_t entries[3];

__attribute__((constructor)) static void tell_the_profile(void) {
    entries[0] = (uintptr_t)_Znwm;
    entries[1] = (uintptr_t)_Znam;
    fl_frames_know_new(entries);
}

/* new, new[] (align_val_t) */
EXPORT void *_ZnwmSt11align_val_t(size_t bytes, size_t alignment) {
    return new_aligned(bytes, alignment);
}
EXPORT void *_ZnamSt11align_val_t(size_t bytes, size_t alignment) {
    return new_aligned(bytes, alignment);
}
/* C23's; the C library need not declare it. */
FALLOW_API void free_sized(void *block, size_t bytes);

/* Only the hardened build checks what delete is told. */
static inline void delete_sized(void *block, size_t bytes) {
    if (FL_HARDENED)
        free_sized(block, bytes);
    else
        free(block);
}

static inline void delete_aligned(void *block, size_t alignment) {
    if (FL_HARDENED && block)
        fl_hardened_check_alignment(block, alignment);
    free(block);
}

static inline void delete_aligned_sized(void *block, size_t bytes, size_t alignment) {
    if (FL_HARDENED && block)
        fl_hardened_check_alignment(block, alignment);
    delete_sized(block, bytes);
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
    delete_sized(block, bytes);
}
EXPORT void _ZdaPvm(void *block, size_t bytes) {
    delete_sized(block, bytes);
}
/* delete, delete[] (align_val_t), and with size_t */
EXPORT void _ZdlPvSt11align_val_t(void *block, size_t alignment) {
    delete_aligned(block, alignment);
}
EXPORT void _ZdaPvSt11align_val_t(void *block, size_t alignment) {
    delete_aligned(block, alignment);
}
EXPORT void _ZdlPvmSt11align_val_t(void *block, size_t bytes, size_t alignment) {
    delete_aligned_sized(block, bytes, alignment);
}
EXPORT void _ZdaPvmSt11align_val_t(void *block, size_t bytes, size_t alignment) {
    delete_aligned_sized(block, bytes, alignment);
}
