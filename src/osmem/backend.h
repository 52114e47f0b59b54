/* SPDX-License-Identifier: MIT */
/*
 * backend.h: the back ends by name, for this floor and for tests.
 */
#ifndef FL_BACKEND_H
#define FL_BACKEND_H

#include <stddef.h>

#include "fallow/osmem.h"

#include "../system/system.h"

/* Returns whether a back end is long enough to have what came after the first version, and has it. */
static inline bool fl_backend_can_split(const osmem_backend *backend) {
    return (backend->struct_bytes == 0 ||
            backend->struct_bytes >= offsetof(osmem_backend, split) + sizeof backend->split) &&
           backend->split;
}

/* Returns whether it has all functions of the first version. */
static inline bool fl_backend_is_whole(const osmem_backend *backend) {
    return backend->struct_bytes == 0 ||
           backend->struct_bytes >= offsetof(osmem_backend, move) + sizeof backend->move;
}

/* Returns what is true of its memory. */
static inline osmem_traits fl_backend_traits(const osmem_backend *backend) {
    osmem_traits traits = {0};
    backend->traits(backend->context, &traits);
    return traits;
}

/* The system's own, whatever stands in for it. */
const osmem_backend *fl_backend_native(void);

/*
 * Make Ready memory fault, and undo that (MADV_GUARD_INSTALL, Linux 6.13). Its contents are gone, no mapping
 * is split, and it reads as zero once it is unguarded. The counters do not follow: they go on counting it as
 * Ready. What guard returns false for is accessible, and its contents may be gone; for true some of it may be
 * so as well. What unguard returns false for (a filter has come) may fault at any time from then on, so that
 * nobody may have it any more; nothing more is guarded after that.
 */
bool fl_backend_guard(void *start, size_t bytes);
bool fl_backend_unguard(void *start, size_t bytes);

/* Returns whether a mapping has room for an aligned range. It may not if the OS page was declared larger than
 * the kernel's. */
static inline bool fl_backend_has_room(const void *got, size_t got_bytes, size_t bytes, size_t alignment) {
    return (-(uintptr_t)got & (alignment - 1)) + bytes <= got_bytes;
}

/* Trims a mapping that has the room to an aligned one of `bytes`. What the system does not take back of the
 * rest is excess. */
static inline void fl_backend_trim(void *got, size_t got_bytes, size_t bytes, size_t alignment,
                                   osmem_result (*free)(void *context, void *start, size_t bytes),
                                   osmem_reservation *out) {
    size_t before = -(uintptr_t)got & (alignment - 1), behind = got_bytes - before - bytes;
    char *start = (char *)got + before;
    out->start = start;
    if (before && free(NULL, got, before) != OSMEM_OK)
        out->excess_bytes += before;
    if (behind && free(NULL, start + bytes, behind) != OSMEM_OK)
        out->excess_bytes += behind;
}

/* Maps `bytes` at an aligned address of the system's choice, given a function that maps anywhere and one that
 * frees. */
static inline osmem_result
fl_backend_map_aligned(size_t bytes, size_t alignment, int protection,
                       osmem_result (*map)(size_t bytes, int protection, void **got),
                       osmem_result (*free)(void *context, void *start, size_t bytes),
                       osmem_reservation *out) {
    size_t more = bytes + alignment - fl_system_page_bytes();
    void *got;
    if (more < bytes || more + alignment < more)
        return OSMEM_NOMEM;
    osmem_result result = map(more, protection, &got);
    if (result == OSMEM_OK && !fl_backend_has_room(got, more, bytes, alignment)) {
        result = free(NULL, got, more);
        if (result == OSMEM_OK) {
            more += alignment;
            result = map(more, protection, &got);
        } else
            out->excess_bytes = more;
    }
    if (result == OSMEM_OK)
        fl_backend_trim(got, more, bytes, alignment, free, out);
    return result;
}

#endif
