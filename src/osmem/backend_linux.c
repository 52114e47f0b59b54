/* SPDX-License-Identifier: MIT */
/*
 * backend_linux.c: the moves between the four states in Linux system calls, and nothing else.
 *
 *   Reserved            private anonymous, PROT_NONE: not charged, not in core dumps
 *   Prepared and Ready  private anonymous, read-write; the kernel backs a page on first touch, and takes it
 *                       back on MADV_DONTNEED, after which it reads as zero
 *
 * A read-write mapping is charged against the commit limit when it is made. MADV_DONTNEED and
 * mprotect(PROT_NONE) keep the charge; only a fresh PROT_NONE mapping over the range gives it back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../system/fatal.h"
#include "../system/system.h"
#include "fallow/osmem.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* A statistic; nothing is ordered by it. */
static _Atomic uint64_t system_calls;

static void count_call(void) {
    atomic_fetch_add_explicit(&system_calls, 1, memory_order_relaxed);
}

uint64_t osmem_system_calls(void) {
    return atomic_load_explicit(&system_calls, memory_order_relaxed);
}

static osmem_result result_of(int code) {
    if (code == 0)
        return OSMEM_OK;
    switch (code) {
    case ENOMEM:
    case EAGAIN:
        return OSMEM_NOMEM;
    default:
        return OSMEM_UNSUPPORTED;
    }
}

/* mmap that leaves errno alone; NULL where it failed. */
static void *call_mmap(void *start, size_t bytes, int protection, int flags) {
    int saved_errno = errno;
    count_call();
    void *got = mmap(start, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (got == MAP_FAILED)
        got = NULL;
    errno = saved_errno;
    return got;
}

static osmem_result call_madvise(void *start, size_t bytes, int advice) {
    int saved_errno = errno;
    int failed;
    do {
        count_call();
        failed = madvise(start, bytes, advice);
    } while (failed && errno == EAGAIN && advice == MADV_DONTNEED);
    osmem_result result = result_of(failed ? errno : 0);
    errno = saved_errno;
    return result;
}

static void linux_traits(void *context, osmem_traits *out) {
    (void)context;
    *out = (osmem_traits){.os_page_bytes = osmem_os_page_bytes(),
                          .huge_page_bytes = fl_system_huge_page_bytes(),
                          .zero_after_unused = true,
                          .prepared_is_charged = true};
}

static void *linux_alloc(void *context, size_t bytes) {
    (void)context;
    return call_mmap(NULL, bytes, PROT_READ | PROT_WRITE, 0);
}

static void *linux_reserve(void *context, void *hint, size_t bytes) {
    (void)context;
    void *got = NULL;
    if (hint) /* kernels before 4.17 take the flag for a mere hint: the caller looks at where it lies */
        got = call_mmap(hint, bytes, PROT_NONE, MAP_NORESERVE | MAP_FIXED_NOREPLACE);
    return got ? got : call_mmap(NULL, bytes, PROT_NONE, MAP_NORESERVE);
}

static osmem_result replace(void *start, size_t bytes, int protection, int flags) {
    return call_mmap(start, bytes, protection, MAP_FIXED | flags) == start ? OSMEM_OK : OSMEM_NOMEM;
}

static osmem_result linux_map(void *context, void *start, size_t bytes) {
    (void)context;
    return replace(start, bytes, PROT_READ | PROT_WRITE, 0);
}

static osmem_result linux_used(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes; /* the first touch does it */
    return OSMEM_OK;
}

#define RANGES_IN_ONE_CALL 64

/* A list of ranges is a list of iovec as it is. */
_Static_assert(sizeof(osmem_range) == sizeof(struct iovec) &&
                   offsetof(osmem_range, start) == offsetof(struct iovec, iov_base) &&
                   offsetof(osmem_range, bytes) == offsetof(struct iovec, iov_len),
               "the kernel reads ranges");

/*
 * Many scattered ranges in one call. The kernel takes advice that destroys memory from the process itself
 * only (since 6.13). Returns how many ranges were done completely; none where the kernel refuses.
 */
static size_t unused_in_one_call(const osmem_range *ranges, size_t count) {
#ifdef SYS_process_madvise
    static _Atomic bool refused;
    static const int self = -10000; /* PIDFD_SELF, since 6.14 */
    if (count < 2 || atomic_load_explicit(&refused, memory_order_relaxed))
        return 0;
    if (count > RANGES_IN_ONE_CALL)
        count = RANGES_IN_ONE_CALL;
    int saved_errno = errno;
    count_call();
    long bytes = syscall(SYS_process_madvise, self, ranges, count, MADV_DONTNEED, 0);
    int code = bytes < 0 ? errno : 0;
    errno = saved_errno;
    if (code) {
        if (code != EAGAIN && code != EINTR && code != ENOMEM)
            atomic_store_explicit(&refused, true, memory_order_relaxed);
        return 0;
    }
    size_t done = 0;
    for (size_t left = (size_t)bytes; done < count && left >= ranges[done].bytes; done++)
        left -= ranges[done].bytes;
    return done;
#else
    (void)ranges, (void)count;
    return 0;
#endif
}

static osmem_result linux_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    (void)context;
    for (*done = 0; *done < count;) {
        size_t together = unused_in_one_call(ranges + *done, count - *done);
        *done += together;
        if (together)
            continue;
        const osmem_range *range = &ranges[*done];
        if (call_madvise(range->start, range->bytes, MADV_DONTNEED) != OSMEM_OK) {
            /* madvise refused (a sandbox): a fresh mapping does the same, for more. */
            osmem_result result = replace(range->start, range->bytes, PROT_READ | PROT_WRITE, 0);
            if (result != OSMEM_OK)
                return result;
        }
        ++*done;
    }
    return OSMEM_OK;
}

/* [anon:fallow <name>] in /proc/PID/maps, since Linux 5.17 where the kernel was built with it. */
static void linux_show_name(void *context, void *start, size_t bytes, const char *name) {
    static _Atomic bool refused;
    char text[80] = "fallow ";
    size_t length = strlen(text);
    (void)context;
    if (atomic_load_explicit(&refused, memory_order_relaxed))
        return;
    for (; *name && length < sizeof text - 1; name++) /* these the kernel does not take */
        text[length++] = *name < ' ' || *name > '~' || strchr("\\`$[]", *name) ? '_' : *name;
    text[length] = '\0';
    int saved_errno = errno;
    count_call();
    if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, bytes, text) && errno == EINVAL)
        atomic_store_explicit(&refused, true, memory_order_relaxed);
    errno = saved_errno;
}

static void lazy_traits(void *context, osmem_traits *out) {
    linux_traits(context, out);
    out->zero_after_unused = false;
}

static osmem_result lazy_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    for (*done = 0; *done < count; ++*done)
        if (call_madvise(ranges[*done].start, ranges[*done].bytes, MADV_FREE) != OSMEM_OK)
            break;
    size_t rest = 0;
    osmem_result result = linux_unused(context, ranges + *done, count - *done, &rest);
    *done += rest;
    return result;
}

static osmem_result linux_reserve_again(void *context, void *start, size_t bytes) {
    (void)context;
    return replace(start, bytes, PROT_NONE, MAP_NORESERVE);
}

static osmem_result linux_free(void *context, void *start, size_t bytes) {
    (void)context;
    int saved_errno = errno;
    count_call();
    osmem_result result = result_of(munmap(start, bytes) ? errno : 0);
    errno = saved_errno;
    return result;
}

/* Each may leave two mappings that do not merge with their neighbours, of 65,530 that a process may have. */
#define MOVES_MAX 1000

static osmem_result linux_move(void *context, void *from, void *to, size_t bytes) {
    (void)context;
#ifdef MREMAP_DONTUNMAP
    static _Atomic unsigned moves;
    if (atomic_fetch_add_explicit(&moves, 1, memory_order_relaxed) >= MOVES_MAX) {
        atomic_store_explicit(&moves, MOVES_MAX, memory_order_relaxed);
        return OSMEM_UNSUPPORTED;
    }
    int saved_errno = errno;
    count_call();
    void *got = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    int code = got == to ? 0 : errno;
    errno = saved_errno;
    if (code == 0)
        return OSMEM_OK;
    if (code == EINVAL) /* before Linux 5.7 */
        atomic_store_explicit(&moves, MOVES_MAX, memory_order_relaxed);
    /* The kernel may have taken away what was at the target before it found a reason to refuse. */
    if (replace(to, bytes, PROT_READ | PROT_WRITE, 0) != OSMEM_OK)
        fl_fatal("move of pages to", to, "the system refused, and took the range away");
#else
    (void)from, (void)to, (void)bytes;
#endif
    return OSMEM_UNSUPPORTED;
}

static osmem_result linux_huge_page(void *context, void *start, size_t bytes) {
    (void)context;
    return call_madvise(start, bytes, MADV_HUGEPAGE);
}

static osmem_result linux_no_huge_page(void *context, void *start, size_t bytes) {
    (void)context;
    return call_madvise(start, bytes, MADV_NOHUGEPAGE);
}

static osmem_result linux_collapse(void *context, void *start, size_t bytes) {
    (void)context;
    return call_madvise(start, bytes, MADV_COLLAPSE);
}

/* What the two back ends share: they differ in how memory is given back, and in what is true of it then. */
#define LINUX_CALLS                                                                               \
    .alloc = linux_alloc, .reserve = linux_reserve, .map = linux_map, .used = linux_used,         \
    .unmap = linux_reserve_again, .fault = linux_reserve_again, .free = linux_free,               \
    .huge_page = linux_huge_page, .no_huge_page = linux_no_huge_page, .collapse = linux_collapse, \
    .show_name = linux_show_name, .move = linux_move

static const osmem_backend linux_backend = {
    .name = "linux", .traits = linux_traits, .unused = linux_unused, LINUX_CALLS};

static const osmem_backend lazy_backend = {
    .name = "linux-lazy", .traits = lazy_traits, .unused = lazy_unused, LINUX_CALLS};

const osmem_backend *osmem_backend_system(void) {
    return &linux_backend;
}

const osmem_backend *osmem_backend_system_lazy(void) {
    return &lazy_backend;
}
