/* SPDX-License-Identifier: MIT */
/*
 * backend_posix.c: the moves in what POSIX, the BSDs and macOS have in common: mmap, mprotect, munmap. It is
 * built and tested on Linux too, so that it cannot rot.
 *
 * There is no advice that means the same everywhere, so memory is given back by a fresh mapping over the
 * range: it costs more than Linux's MADV_DONTNEED, and reads as zero on every system.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <sys/mman.h>

#include "fallow/osmem.h"

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

static void *map_pages(void *start, size_t bytes, int protection, int flags) {
    int saved_errno = errno;
    void *got = mmap(start, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    errno = saved_errno;
    return got == MAP_FAILED ? NULL : got;
}

static osmem_result replace(void *start, size_t bytes, int protection, int flags) {
    return map_pages(start, bytes, protection, MAP_FIXED | flags) == start ? OSMEM_OK : OSMEM_NOMEM;
}

static osmem_result result_of(int failed, int saved_errno) {
    int code = failed ? errno : 0;
    errno = saved_errno;
    return code == 0 ? OSMEM_OK : code == ENOMEM || code == EAGAIN ? OSMEM_NOMEM : OSMEM_UNSUPPORTED;
}

static void posix_traits(void *context, osmem_traits *out) {
    (void)context;
    *out = (osmem_traits){
        .os_page_bytes = osmem_os_page_bytes(), .zero_after_unused = true, .prepared_is_charged = true};
}

static void *posix_alloc(void *context, size_t bytes) {
    (void)context;
    return map_pages(NULL, bytes, PROT_READ | PROT_WRITE, 0);
}

static void *posix_reserve(void *context, void *hint, size_t bytes) {
    (void)context;
    return map_pages(hint, bytes, PROT_NONE, MAP_NORESERVE);
}

static osmem_result posix_map(void *context, void *start, size_t bytes) {
    (void)context;
    int saved_errno = errno;
    return result_of(mprotect(start, bytes, PROT_READ | PROT_WRITE), saved_errno);
}

static osmem_result posix_used(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes; /* the first touch does it */
    return OSMEM_OK;
}

static osmem_result posix_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    (void)context;
    for (*done = 0; *done < count; ++*done) {
        osmem_result result = replace(ranges[*done].start, ranges[*done].bytes, PROT_READ | PROT_WRITE, 0);
        if (result != OSMEM_OK)
            return result;
    }
    return OSMEM_OK;
}

static osmem_result posix_reserve_again(void *context, void *start, size_t bytes) {
    (void)context;
    return replace(start, bytes, PROT_NONE, MAP_NORESERVE);
}

static osmem_result posix_free(void *context, void *start, size_t bytes) {
    (void)context;
    int saved_errno = errno;
    return result_of(munmap(start, bytes), saved_errno);
}

static osmem_result posix_no_hint(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes;
    return OSMEM_UNSUPPORTED;
}

static const osmem_backend posix_backend = {
    .name = "posix",
    .traits = posix_traits,
    .alloc = posix_alloc,
    .reserve = posix_reserve,
    .map = posix_map,
    .used = posix_used,
    .unused = posix_unused,
    .unmap = posix_reserve_again,
    .fault = posix_reserve_again,
    .free = posix_free,
    .huge_page = posix_no_hint,
    .no_huge_page = posix_no_hint,
    .collapse = posix_no_hint,
};

const osmem_backend *osmem_backend_posix(void) {
    return &posix_backend;
}
