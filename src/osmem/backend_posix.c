/* SPDX-License-Identifier: MIT */
/*
 * backend_posix.c: makes the moves in what the BSDs, macOS and Linux have in common: mmap, mprotect, munmap,
 * and MADV_FREE. It is built and tested on Linux too, so that it cannot rot. Like backend_linux.c, it never
 * maps over anything (MAP_FIXED).
 *
 * Memory given back stays until the system needs it, and may read as its old contents until then.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <sys/mman.h>

#include "fallow/osmem.h"

#include "../system/system.h"
#include "backend.h"

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

static int map_pages(void *start, size_t bytes, int protection, void **got) {
    int saved_errno = errno;
    *got = mmap(start, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int code = *got == MAP_FAILED ? errno : 0;
    errno = saved_errno;
    return code;
}

static osmem_result result_of(int failed, int saved_errno) {
    int code = failed ? errno : 0;
    errno = saved_errno;
    return code == 0 ? OSMEM_OK : code == ENOMEM || code == EAGAIN ? OSMEM_NOMEM : OSMEM_UNSUPPORTED;
}

static osmem_result unmap_pages(void *start, size_t bytes) {
    int saved_errno = errno;
    return result_of(munmap(start, bytes), saved_errno);
}

/* All of these systems obey a hint if nothing is in the way. */
static osmem_result map_exactly(void *start, size_t bytes, int protection) {
    void *got;
    if (map_pages(start, bytes, protection, &got))
        return OSMEM_NOMEM;
    if (got == start)
        return OSMEM_OK;
    (void)unmap_pages(got, bytes);
    return OSMEM_TAKEN;
}

static void posix_traits(void *context, osmem_traits *out) {
    (void)context;
    *out = (osmem_traits){.os_page_bytes = fl_system_page_bytes(), .prepared_is_charged = true};
}

static osmem_result posix_free(void *context, void *start, size_t bytes) {
    (void)context;
    return unmap_pages(start, bytes);
}

static osmem_result map_anywhere(size_t bytes, int protection, void **got) {
    return map_pages(NULL, bytes, protection, got) ? OSMEM_NOMEM : OSMEM_OK;
}

static osmem_result map_aligned(size_t bytes, size_t alignment, int protection, osmem_reservation *out) {
    return fl_backend_map_aligned(bytes, alignment, protection, map_anywhere, posix_free, out);
}

static void *posix_alloc(void *context, size_t bytes) {
    osmem_reservation got = {NULL, 0};
    (void)context;
    osmem_result result = map_aligned(bytes, fl_system_page_bytes(), PROT_READ | PROT_WRITE, &got);
    return result == OSMEM_OK ? got.start : NULL;
}

static osmem_result posix_reserve(void *context, const osmem_request *request, osmem_reservation *out) {
    int protection = request->mapped ? PROT_READ | PROT_WRITE : PROT_NONE;
    bool fits = request->hint && ((uintptr_t)request->hint & (request->alignment - 1)) == 0;
    (void)context;
    osmem_result result = fits ? map_exactly(request->hint, request->bytes, protection) : OSMEM_TAKEN;
    if (result == OSMEM_OK)
        out->start = request->hint;
    return result == OSMEM_OK || request->exactly
               ? result
               : map_aligned(request->bytes, request->alignment, protection, out);
}

/* mprotect may have done a part when it fails: that is taken back. The way back comes at least as far. */
static osmem_result protect(void *start, size_t bytes, int protection, int before) {
    int saved_errno = errno;
    osmem_result result = result_of(mprotect(start, bytes, protection), saved_errno);
    if (result != OSMEM_OK)
        (void)result_of(mprotect(start, bytes, before), saved_errno);
    return result;
}

static osmem_result posix_map(void *context, void *start, size_t bytes) {
    (void)context;
    return protect(start, bytes, PROT_READ | PROT_WRITE, PROT_NONE);
}

static osmem_result posix_used(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes; /* the first touch does it */
    return OSMEM_OK;
}

/* Anything but a shortage will be the same the next time. */
static osmem_result advise_free(void *start, size_t bytes) {
    int saved_errno = errno;
    osmem_result result = result_of(madvise(start, bytes, MADV_FREE), saved_errno);
    return result == OSMEM_UNSUPPORTED ? OSMEM_KEPT : result;
}

static osmem_result posix_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    (void)context;
    for (*done = 0; *done < count; ++*done) {
        osmem_result result = advise_free(ranges[*done].start, ranges[*done].bytes);
        if (result != OSMEM_OK)
            return result;
    }
    return OSMEM_OK;
}

static osmem_result posix_unmap(void *context, void *start, size_t bytes) {
    (void)context;
    osmem_result result = unmap_pages(start, bytes);
    if (result != OSMEM_OK)
        return result;
    return map_exactly(start, bytes, PROT_NONE) == OSMEM_OK ? OSMEM_OK : OSMEM_LOST;
}

static osmem_result posix_fault(void *context, void *start, size_t bytes) {
    (void)context;
    osmem_result result = protect(start, bytes, PROT_NONE, PROT_READ | PROT_WRITE);
    if (result == OSMEM_OK && (result = advise_free(start, bytes)) != OSMEM_OK)
        (void)protect(start, bytes, PROT_READ | PROT_WRITE, PROT_NONE);
    return result;
}

static osmem_result posix_no_hint(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes;
    return OSMEM_UNSUPPORTED;
}

static const osmem_backend posix_backend = {
    .struct_bytes = sizeof(osmem_backend),
    .name = "posix",
    .traits = posix_traits,
    .alloc = posix_alloc,
    .reserve = posix_reserve,
    .map = posix_map,
    .used = posix_used,
    .unused = posix_unused,
    .unmap = posix_unmap,
    .fault = posix_fault,
    .free = posix_free,
    .huge_page = posix_no_hint,
    .no_huge_page = posix_no_hint,
    .collapse = posix_no_hint,
};

const osmem_backend *osmem_backend_posix(void) {
    return &posix_backend;
}
