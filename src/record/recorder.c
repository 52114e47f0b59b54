/* SPDX-License-Identifier: MIT */
/*
 * recorder.c: libfallow-record: stands before any malloc (LD_PRELOAD), passes every call on, and writes what happened
 * into the file named by FALLOW_RECORD. See `fallow record`.
 *
 * The file is mapped and written in place, so that what was recorded survives however the process ends. A child of fork,
 * and a program that this one starts, write files of their own: FILE.PID. One lock orders the events of all threads: a
 * free is written before it happens and an allocation after, so that an address in the file is never two blocks at once.
 * Recording must never allocate.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace.h"

#define API __attribute__((visibility("default")))
#define STEP_BYTES ((size_t)4 << 20) /* the file grows by this much; what is too much is cut off at the end */

/* The malloc behind us. */
static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void *(*next_memalign)(size_t, size_t);
static void (*next_free)(void *);

/* Looking them up may itself allocate: from here, for good. */
static _Alignas(16) char early[65536];
static _Atomic size_t early_used;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int file = -1;
static uint8_t *window; /* a STEP_BYTES part of the file, and the one behind it */
static size_t window_at, used;
static uintptr_t last_address;
static unsigned last_thread, threads;
static _Thread_local unsigned my_thread __attribute__((tls_model("initial-exec"))); /* 0: not known yet */

static bool is_early(const void *block) {
    return (const char *)block >= early && (const char *)block < early + sizeof early;
}

static void *early_alloc(size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    size_t at = atomic_fetch_add_explicit(&early_used, bytes, memory_order_relaxed);
    return at + bytes <= sizeof early ? early + at : NULL;
}

/* Maps the part of the file that events go into next; recording ends where that cannot be. Holds the lock. */
static void map_window(size_t at) {
    if (window)
        munmap(window, 2 * STEP_BYTES);
    window = NULL;
    if (ftruncate(file, (off_t)(at + 2 * STEP_BYTES)) == 0) {
        void *mapped = mmap(NULL, 2 * STEP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)at);
        window = mapped == MAP_FAILED ? NULL : mapped;
    }
    window_at = at;
}

static void open_file(void) {
    const char *name = getenv("FALLOW_RECORD");
    char own[4096];
    if (!name || !*name)
        return;
    /* Who comes first has the name itself: `fallow record` has removed what was there. */
    file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        snprintf(own, sizeof own, "%s.%ld", name, (long)getpid());
        file = open(own, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    if (file < 0)
        return;
    map_window(0);
    if (window)
        memcpy(window, FL_TRACE_HEADER, FL_TRACE_HEADER_BYTES);
    used = FL_TRACE_HEADER_BYTES;
    last_address = 0;
    last_thread = 0;
}

static void fork_prepare(void) {
    pthread_mutex_lock(&lock);
}

static void fork_parent(void) {
    pthread_mutex_unlock(&lock);
}

/* The mapping is shared with the parent: nothing may be written through it. */
static void fork_child(void) {
    if (window)
        munmap(window, 2 * STEP_BYTES);
    window = NULL;
    if (file >= 0)
        close(file);
    open_file();
    pthread_mutex_unlock(&lock);
}

static void find_next(void) {
    next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    next_memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
    next_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc"); /* last: whoever sees it sees the others */
}

__attribute__((constructor)) static void start(void) {
    if (!next_malloc)
        find_next();
    pthread_mutex_lock(&lock);
    open_file();
    pthread_mutex_unlock(&lock);
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

__attribute__((destructor)) static void end(void) {
    pthread_mutex_lock(&lock);
    if (file >= 0 && ftruncate(file, (off_t)(used + 1)) != 0)
        errno = 0; /* it stays long: zeroes are its end as well */
    if (window)
        munmap(window, 2 * STEP_BYTES);
    window = NULL;
    pthread_mutex_unlock(&lock);
}

static uint8_t *put_address(uint8_t *at, const void *block) {
    intptr_t step = ((intptr_t)block - (intptr_t)last_address) / 16;
    last_address = (uintptr_t)block;
    return fl_trace_put(at, fl_trace_zigzag(step));
}

/* One event: before and after may be NULL, log2_alignment and bytes are written for what has them. */
static void record(fl_trace_what what, const void *before, unsigned log2_alignment, size_t bytes,
                   const void *after) {
    int saved_errno = errno;
    pthread_mutex_lock(&lock);
    if (window) {
        uint8_t *at = window + (used - window_at);
        if (my_thread == 0)
            my_thread = ++threads;
        if (my_thread != last_thread) {
            *at++ = FL_TRACE_THREAD;
            at = fl_trace_put(at, my_thread - 1);
            last_thread = my_thread;
        }
        *at++ = (uint8_t)what;
        if (before)
            at = put_address(at, before);
        if (what == FL_TRACE_ALIGNED)
            at = fl_trace_put(at, log2_alignment);
        if (what != FL_TRACE_FREE && what != FL_TRACE_MOVED)
            at = fl_trace_put(at, bytes);
        if (after)
            at = put_address(at, after);
        used = window_at + (size_t)(at - window);
        if (used - window_at >= STEP_BYTES)
            map_window(window_at + STEP_BYTES);
    }
    pthread_mutex_unlock(&lock);
    errno = saved_errno;
}

API void *malloc(size_t bytes) {
    if (!next_malloc)
        return early_alloc(bytes);
    void *block = next_malloc(bytes);
    if (block)
        record(FL_TRACE_MALLOC, NULL, 0, bytes, block);
    return block;
}

API void *calloc(size_t count, size_t each) {
    if (!next_malloc)
        return early_alloc(count * each);
    void *block = next_calloc(count, each);
    if (block)
        record(FL_TRACE_CALLOC, NULL, 0, count * each, block);
    return block;
}

API void free(void *block) {
    if (!block || is_early(block))
        return;
    record(FL_TRACE_FREE, block, 0, 0, NULL);
    next_free(block);
}

API void *realloc(void *block, size_t bytes) {
    if (!block)
        return malloc(bytes);
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    if (is_early(block)) {
        void *moved = malloc(bytes);
        size_t room = (size_t)(early + sizeof early - (char *)block);
        return moved ? memcpy(moved, block, bytes < room ? bytes : room) : NULL;
    }
    /* Two events: another thread may be given the old address before this one could write the new. */
    record(FL_TRACE_REALLOC, block, 0, bytes, NULL);
    void *moved = next_realloc(block, bytes);
    record(FL_TRACE_MOVED, NULL, 0, 0, moved ? moved : block);
    return moved;
}

static void *aligned(size_t alignment, size_t bytes) {
    void *block = next_memalign ? next_memalign(alignment, bytes) : NULL;
    if (block)
        record(FL_TRACE_ALIGNED, NULL, 63 - (unsigned)__builtin_clzll(alignment), bytes, block);
    return block;
}

API void *memalign(size_t alignment, size_t bytes) {
    return aligned(alignment, bytes);
}

API void *aligned_alloc(size_t alignment, size_t bytes) {
    return aligned(alignment, bytes);
}

API int posix_memalign(void **out, size_t alignment, size_t bytes) {
    if (alignment % sizeof(void *) || (alignment & (alignment - 1)) || !alignment)
        return EINVAL;
    int saved_errno = errno;
    void *block = aligned(alignment, bytes);
    errno = saved_errno;
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}
