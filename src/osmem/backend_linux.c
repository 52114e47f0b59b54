/* SPDX-License-Identifier: MIT */
/*
 * backend_linux.c: makes the moves between the four states in Linux system calls, and nothing else.
 *
 *   Reserved            private anonymous, PROT_NONE: not charged, not in core dumps
 *   Prepared and Ready  private anonymous, read-write; the kernel backs a page on first touch, and takes it
 *                       back on MADV_DONTNEED, after which it reads as zero
 *
 * It never maps over anything (MAP_FIXED, MREMAP_FIXED): kernels up to 6.12 take away what was there before
 * they find a reason to refuse, and the hole is anybody's until it is filled again. So mprotect makes
 * Prepared what is Reserved.
 *
 * The kernel charges a read-write mapping against the commit limit when it is made (also by mprotect:
 * MAP_NORESERVE would charge nothing and grant what cannot be had). MADV_DONTNEED and mprotect(PROT_NONE)
 * keep the charge; only munmap gives it back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../system/system.h"
#include "backend.h"
#include "fallow/osmem.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* A statistic: it orders nothing. */
static _Atomic uint64_t system_calls;

static void count_call(void) {
    atomic_fetch_add_explicit(&system_calls, 1, memory_order_relaxed);
}

uint64_t osmem_system_calls(void) {
    return atomic_load_explicit(&system_calls, memory_order_relaxed);
}

static osmem_result result_of(int code) {
    switch (code) {
    case 0:
        return OSMEM_OK;
    case ENOMEM:
    case EAGAIN: /* above the limit on locked memory, if mappings are locked at once */
        return OSMEM_NOMEM;
    default:
        return OSMEM_UNSUPPORTED;
    }
}

/* These leave errno alone, and return its value if they fail. */
static int call_mmap(void *start, size_t bytes, int protection, int flags, void **got) {
    int saved_errno = errno;
    count_call();
    *got = mmap(start, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    int code = *got == MAP_FAILED ? errno : 0;
    errno = saved_errno;
    return code;
}

static int call_munmap(void *start, size_t bytes) {
    int saved_errno = errno;
    count_call();
    int code = munmap(start, bytes) ? errno : 0;
    errno = saved_errno;
    return code;
}

static int call_mprotect(void *start, size_t bytes, int protection) {
    int saved_errno = errno;
    count_call();
    int code = mprotect(start, bytes, protection) ? errno : 0;
    errno = saved_errno;
    return code;
}

#define TRIES_MAX 16 /* if the kernel says EAGAIN */

static int call_madvise(void *start, size_t bytes, int advice) {
    int saved_errno = errno, code = EAGAIN;
    for (int tries = 0; code == EAGAIN && tries < TRIES_MAX; tries++) {
        count_call();
        code = madvise(start, bytes, advice) ? errno : 0;
    }
    errno = saved_errno;
    return code;
}

static void linux_traits(void *context, osmem_traits *out) {
    (void)context;
    *out = (osmem_traits){.os_page_bytes = fl_system_page_bytes(),
                          .huge_page_bytes = fl_system_huge_page_bytes(),
                          .zero_after_unused = true,
                          .prepared_is_charged = true};
}

/* Maps [start, start + bytes), if nothing of it is anybody's; else changes nothing. */
static osmem_result map_exactly(void *start, size_t bytes, int protection) {
    void *got;
    int code = call_mmap(start, bytes, protection, MAP_FIXED_NOREPLACE, &got);
    if (code)
        return code == EEXIST ? OSMEM_TAKEN : result_of(code);
    if (got == start)
        return OSMEM_OK;
    call_munmap(got, bytes); /* before Linux 4.17 the flag is a mere hint */
    return OSMEM_TAKEN;
}

static osmem_result linux_free(void *context, void *start, size_t bytes) {
    (void)context;
    return result_of(call_munmap(start, bytes));
}

static osmem_result map_anywhere(size_t bytes, int protection, void **got) {
    return result_of(call_mmap(NULL, bytes, protection, 0, got));
}

static osmem_result map_aligned(size_t bytes, size_t alignment, int protection, osmem_reservation *out) {
    return fl_backend_map_aligned(bytes, alignment, protection, map_anywhere, linux_free, out);
}

static void *linux_alloc(void *context, size_t bytes) {
    osmem_reservation got = {NULL, 0};
    (void)context;
    /* Nothing is trimmed here, so nothing can be left over, unless the page was said to be larger than it
     * is. */
    osmem_result result = map_aligned(bytes, fl_system_page_bytes(), PROT_READ | PROT_WRITE, &got);
    return result == OSMEM_OK ? got.start : NULL;
}

static osmem_result linux_reserve(void *context, const osmem_request *request, osmem_reservation *out) {
    int protection = request->mapped ? PROT_READ | PROT_WRITE : PROT_NONE;
    bool fits = request->hint && ((uintptr_t)request->hint & (request->alignment - 1)) == 0;
    osmem_result result = OSMEM_TAKEN;
    (void)context;
    if (fits)
        result = map_exactly(request->hint, request->bytes, protection);
    if (result == OSMEM_OK)
        out->start = request->hint;
    return result == OSMEM_OK || request->exactly
               ? result
               : map_aligned(request->bytes, request->alignment, protection, out);
}

/*
 * mprotect goes mapping by mapping, from the first on, and may have done some when it fails: these are taken
 * back. The way back charges nothing, and meets the same obstacle at the earliest, so it comes as far.
 */
static osmem_result protect(void *start, size_t bytes, int protection, int before) {
    int code = call_mprotect(start, bytes, protection);
    if (code)
        call_mprotect(start, bytes, before);
    return result_of(code);
}

static osmem_result linux_map(void *context, void *start, size_t bytes) {
    (void)context;
    return protect(start, bytes, PROT_READ | PROT_WRITE, PROT_NONE);
}

static osmem_result linux_used(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes; /* the first touch does it */
    return OSMEM_OK;
}

/* A range is what the kernel calls an iovec. */
_Static_assert(sizeof(osmem_range) == sizeof(struct iovec) &&
                   offsetof(osmem_range, start) == offsetof(struct iovec, iov_base) &&
                   offsetof(osmem_range, bytes) == offsetof(struct iovec, iov_len),
               "ranges go to the kernel as they are");

#define RANGES_IN_ONE_CALL 1024 /* UIO_MAXIOV */

/* Whether the kernel takes this advice for many ranges from the process itself (since Linux 6.13). */
static _Atomic bool takes_one_by_one;

/*
 * Gives back many scattered ranges in one call. Returns how many were done completely, from the first on.
 * *doubtful: the kernel said EINVAL: it does not know the call for that, or the first range is locked. Asking
 * about that range alone tells.
 */
static size_t unused_in_one_call(const osmem_range *ranges, size_t count, bool *doubtful) {
    *doubtful = false;
#ifdef SYS_process_madvise
    static const int self = -10000; /* PIDFD_SELF, since 6.14 */
    if (count < 2 || atomic_load_explicit(&takes_one_by_one, memory_order_relaxed) ||
        fl_system_keeps_to_memory())
        return 0;
    if (count > RANGES_IN_ONE_CALL)
        count = RANGES_IN_ONE_CALL;
    int saved_errno = errno;
    count_call();
    long bytes = syscall(SYS_process_madvise, self, ranges, count, MADV_DONTNEED, 0);
    int code = bytes < 0 ? errno : 0;
    errno = saved_errno;
    *doubtful = code == EINVAL;
    if (code && code != EAGAIN && code != EINTR && code != ENOMEM && code != EINVAL)
        atomic_store_explicit(&takes_one_by_one, true, memory_order_relaxed);
    size_t done = 0;
    for (size_t left = code ? 0 : (size_t)bytes; done < count && left >= ranges[done].bytes; done++)
        left -= ranges[done].bytes;
    return done;
#else
    (void)ranges, (void)count;
    return 0;
#endif
}

/* EINVAL: locked, or of huge TLB pages. Anything but a shortage will be the same the next time. */
static osmem_result result_of_advice(int code) {
    return code == 0 ? OSMEM_OK : code == ENOMEM || code == EAGAIN ? OSMEM_NOMEM : OSMEM_KEPT;
}

static osmem_result linux_unused(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    osmem_result result = OSMEM_OK;
    (void)context;
    for (*done = 0; *done < count && result == OSMEM_OK;) {
        bool doubtful;
        size_t together = unused_in_one_call(ranges + *done, count - *done, &doubtful);
        *done += together;
        if (together)
            continue;
        result = result_of_advice(call_madvise(ranges[*done].start, ranges[*done].bytes, MADV_DONTNEED));
        if (result == OSMEM_OK) {
            if (doubtful) /* alone it goes; together it did not */
                atomic_store_explicit(&takes_one_by_one, true, memory_order_relaxed);
            ++*done;
        }
    }
    return result;
}

/* Names it [anon:fallow <name>] in /proc/PID/maps, since Linux 5.17 if the kernel was built with it. */
static void linux_show_name(void *context, void *start, size_t bytes, const char *name) {
    static _Atomic bool refused;
    char text[48] = "fallow "; /* an arena's name fits */
    size_t length = strlen(text);
    (void)context;
    if (atomic_load_explicit(&refused, memory_order_relaxed) || fl_system_keeps_to_memory())
        return;
    for (; *name && length < sizeof text - 1; name++) /* the kernel does not take these */
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
    (void)context;
    for (*done = 0; *done < count; ++*done) {
        int code = call_madvise(ranges[*done].start, ranges[*done].bytes, MADV_FREE);
        if (code)
            return result_of_advice(code);
    }
    return OSMEM_OK;
}

/* The charge goes with the mapping; somebody quicker than we are may then have the addresses. */
static osmem_result linux_unmap(void *context, void *start, size_t bytes) {
    (void)context;
    int code = call_munmap(start, bytes);
    if (code)
        return result_of(code);
    return map_exactly(start, bytes, PROT_NONE) == OSMEM_OK ? OSMEM_OK : OSMEM_LOST;
}

static osmem_result linux_fault(void *context, void *start, size_t bytes) {
    (void)context;
    osmem_result result = protect(start, bytes, PROT_NONE, PROT_READ | PROT_WRITE);
    if (result != OSMEM_OK)
        return result;
    result = result_of_advice(call_madvise(start, bytes, MADV_DONTNEED));
    if (result != OSMEM_OK)
        call_mprotect(start, bytes, PROT_READ | PROT_WRITE);
    return result;
}

/* After a move that was not made: maps `to` again, if nobody was quicker. */
static osmem_result take_again(void *to, size_t bytes, osmem_result result) {
    return map_exactly(to, bytes, PROT_READ | PROT_WRITE) == OSMEM_OK ? result : OSMEM_LOST;
}

/* What the program has made of its pages goes along with them, and stays behind as well: there it would be
 * nobody's to undo. */
static void forget_what_moved(void *from, size_t bytes) {
    call_mprotect(from, bytes, PROT_READ | PROT_WRITE);
#ifdef MADV_DODUMP
    call_madvise(from, bytes, MADV_DODUMP);
#endif
#ifdef MADV_DOFORK
    call_madvise(from, bytes, MADV_DOFORK);
#endif
#ifdef MADV_KEEPONFORK
    call_madvise(from, bytes, MADV_KEEPONFORK);
#endif
}

/*
 * MREMAP_FIXED would take whatever lies at the target, ours or not, and may do so before it refuses. So this
 * gives up the target first and asks for it as a hint: if somebody else has it by then, the pages come to lie
 * elsewhere, and are copied back.
 */
static osmem_result linux_move(void *context, void *from, void *to, size_t bytes) {
    (void)context;
#ifdef MREMAP_DONTUNMAP
    static _Atomic bool unknown; /* guards nothing: two threads may find out at the same time */
    if (atomic_load_explicit(&unknown, memory_order_relaxed))
        return OSMEM_UNSUPPORTED;
    int code = call_munmap(to, bytes);
    if (code)
        return result_of(code);
    int saved_errno = errno;
    count_call();
    /* By number: the C library's mremap passes the target on only with MREMAP_FIXED. */
    long got = syscall(SYS_mremap, from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, to);
    code = got == -1 ? errno : 0;
    errno = saved_errno;
    if (code == EINVAL) /* before Linux 5.7 */
        atomic_store_explicit(&unknown, true, memory_order_relaxed);
    if (code)
        return take_again(to, bytes, result_of(code));
    if ((void *)got == to) {
        forget_what_moved(from, bytes);
        return OSMEM_OK;
    }
    memcpy(from, (void *)got, bytes);
    call_munmap((void *)got, bytes);
    return take_again(to, bytes, OSMEM_UNSUPPORTED);
#else
    (void)from, (void)to, (void)bytes;
    return OSMEM_UNSUPPORTED;
#endif
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

/* There are no guards (before Linux 6.13; a filter), or none any more: a filter can come at any time.
 * Protects nothing: two threads may find out at the same time. */
static _Atomic bool knows_no_guards;

static void note_no_guards(void) {
    atomic_store_explicit(&knows_no_guards, true, memory_order_relaxed);
}

/* If a part cannot be guarded (it is locked), those before it are by then: only EINVAL and ENOMEM can mean
 * that. */
bool fl_backend_guard(void *start, size_t bytes) {
    static _Atomic bool knows_guards;
    if (atomic_load_explicit(&knows_no_guards, memory_order_relaxed) || fl_system_keeps_to_memory())
        return false;
    int code = call_madvise(start, bytes, MADV_GUARD_INSTALL);
    if (code == 0 && !atomic_load_explicit(&knows_guards, memory_order_relaxed))
        atomic_store_explicit(&knows_guards, true, memory_order_relaxed);
    if (code == 0)
        return true;
    bool may_be_there =
        code == ENOMEM || (code == EINVAL && atomic_load_explicit(&knows_guards, memory_order_relaxed));
    if (!may_be_there)
        note_no_guards();
    return may_be_there && !fl_backend_unguard(start, bytes);
}

bool fl_backend_unguard(void *start, size_t bytes) {
    if (call_madvise(start, bytes, MADV_GUARD_REMOVE) == 0)
        return true;
    note_no_guards();
    return false;
}

static osmem_result linux_huge_page(void *context, void *start, size_t bytes) {
    (void)context;
    return result_of(call_madvise(start, bytes, MADV_HUGEPAGE));
}

static osmem_result linux_no_huge_page(void *context, void *start, size_t bytes) {
    (void)context;
    return result_of(call_madvise(start, bytes, MADV_NOHUGEPAGE));
}

static osmem_result linux_collapse(void *context, void *start, size_t bytes) {
    (void)context;
    return result_of(call_madvise(start, bytes, MADV_COLLAPSE));
}

/*
 * If a huge page lies in a range only in part, MADV_DONTNEED takes that part out of the process, but the
 * system has it back only when it splits the page: some day, when memory is short. MADV_COLD of any part
 * splits it at once.
 */
static osmem_result linux_split(void *context, void *start, size_t bytes) {
    uintptr_t first = (uintptr_t)start, end = first + bytes, huge = fl_system_huge_page_bytes();
    uintptr_t last = huge ? end / huge * huge : end;
    int code = 0;
    (void)context;
    if (huge && first % huge)
        code = call_madvise(start, 1, MADV_COLD);
    if (last != end && last >= first)
        code = call_madvise((void *)last, 1, MADV_COLD);
    return result_of(code);
}

/* What the two back ends share: they differ in how they give memory back, and in what is then true of it. */
#define LINUX_CALLS                                                                                          \
    .struct_bytes = sizeof(osmem_backend), .alloc = linux_alloc, .reserve = linux_reserve, .map = linux_map, \
    .used = linux_used, .unmap = linux_unmap, .fault = linux_fault, .free = linux_free,                      \
    .huge_page = linux_huge_page, .no_huge_page = linux_no_huge_page, .collapse = linux_collapse,            \
    .show_name = linux_show_name, .move = linux_move, .split = linux_split

static const osmem_backend linux_backend = {
    .name = "linux", .traits = linux_traits, .unused = linux_unused, LINUX_CALLS};

static const osmem_backend lazy_backend = {
    .name = "linux-lazy", .traits = lazy_traits, .unused = lazy_unused, LINUX_CALLS};

const osmem_backend *fl_backend_native(void) {
    return &linux_backend;
}

const osmem_backend *osmem_backend_system_lazy(void) {
    return &lazy_backend;
}
