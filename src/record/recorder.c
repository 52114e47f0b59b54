/* SPDX-License-Identifier: MIT */
/*
 * recorder.c: libfallow-record: stands before any malloc (LD_PRELOAD), passes every call on, and writes what
 * happened to the file named by FALLOW_RECORD. See `fallow record`.
 *
 * The file is mapped and written in place, so that what was recorded survives however the process ends. A
 * child of fork, and a program that this one starts, write files of their own: FILE.PID. One lock orders the
 * events of all threads. A free is written before it happens and an allocation after, so that an address in
 * the file is never two blocks at once.
 *
 * Nothing is held around fork, so that no handler of the program's waits for this library, whatever it joins.
 * A child begins anew after fork, or at its first event before that; what others were writing in the parent
 * is no concern of its own.
 *
 * Recording must never allocate. It stands on the floors system and osmem, of which this library has its own
 * copy.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "../osmem/birthpage.h"
#include "../osmem/filewindow.h"
#include "../system/arithmetic.h"
#include "../system/line.h"
#include "../system/lock.h"
#include "../system/system.h"
#include "trace.h"

#define API __attribute__((visibility("default")))
#define STEP_BYTES ((size_t)4 << 20) /* the file grows by this much; the excess is cut off at the end */
#define PATH_BYTES 4096

/* The malloc behind us. */
static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void *(*next_memalign)(size_t, size_t);
static void (*next_free)(void *);

/* Looking them up, at the first call, may itself allocate: from here, for good. */
static _Alignas(16) char early[65536];
static _Atomic size_t early_used;

/* The lock of the record guards these. */
static int file = -1;
static fl_file_window window; /* a STEP_BYTES part of the file, and the one behind it */
static uint64_t used;
static uintptr_t last_address;
static unsigned last_thread, threads;
#define MINE static _Thread_local __attribute__((tls_model("initial-exec")))
MINE unsigned my_thread; /* 0: not known yet */

/* Set before the thread takes the lock, until it has dropped it. A signal handler knows it only by this: a
 * thread can have a lock before the lock names it as its owner. */
MINE volatile bool in_event;

/* 1 in the process that the file belongs to, 0 in a child; NULL: only the process's number tells. */
static volatile char *birth;
static _Atomic uint64_t owner; /* that process; 0: recording has not begun */
static _Atomic uint64_t heir;  /* the process and the thread that are beginning anew */
static _Atomic bool given_up;  /* this process records nothing any more */

static bool is_early(const void *block) {
    return (const char *)block >= early && (const char *)block < early + sizeof early;
}

static void *early_alloc(size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    size_t at = atomic_fetch_add_explicit(&early_used, bytes, memory_order_relaxed);
    return at + bytes <= sizeof early ? early + at : NULL;
}

/* Writes the name with the process's number. Returns false if that is too long for a path. */
static bool own_name(char *path, const char *name) {
    size_t length = strlen(name);
    fl_line end;
    fl_line_start(&end);
    fl_line_add(&end, ".");
    fl_line_add_number(&end, fl_system_process());
    fl_line_add_part(&end, "", 1);
    if (length + end.length > PATH_BYTES)
        return false;
    memcpy(path, name, length);
    memcpy(path + length, end.text, end.length);
    return true;
}

/* Recording ends if there can be no window. Caller holds the lock. */
static void open_file(void) {
    static char own[PATH_BYTES];
    const char *name = fl_system_environment("FALLOW_RECORD");
    file = -1;
    if (!name || !*name)
        return;
    /* The first process has the name itself: `fallow record` has removed what was there. */
    if (!fl_system_open_new(name, false, &file) &&
        !(own_name(own, name) && fl_system_open_new(own, true, &file)))
        return;
    if (fl_file_window_move(&window, file, 0, 2 * STEP_BYTES))
        memcpy(window.start, FL_TRACE_HEADER, FL_TRACE_HEADER_BYTES);
    used = FL_TRACE_HEADER_BYTES;
    last_address = 0;
    last_thread = 0;
}

static bool is_owner(void) {
    return birth ? *birth != 0 : atomic_load_explicit(&owner, memory_order_acquire) == fl_system_process();
}

static void become_owner(void) {
    /* A child of a child may have the same numbers, elsewhere. */
    atomic_store_explicit(&heir, 0, memory_order_relaxed);
    atomic_store_explicit(&owner, fl_system_process(), memory_order_release);
    if (birth)
        *birth = 1;
}

/* It depends on what the parent was doing at that moment. The mapping is shared with it: nothing may be
 * written through it. */
static void begin_anew(void) {
    if (in_event) {
        /* Forked by a signal handler that interrupted an event of its thread. If that was being written, both
         * processes write it to the end, the same; if it was about to be, it finds that it is too late. */
        atomic_store_explicit(&given_up, true, memory_order_relaxed);
        fl_lock_init(fl_lock_of(FL_LOCK_RECORD), FL_LOCK_RECORD);
        return;
    }
    if (fl_lock_try(fl_lock_of(FL_LOCK_RECORD))) {
        fl_file_window_end(&window);
        fl_lock_drop(fl_lock_of(FL_LOCK_RECORD));
    } else { /* another thread, which is not here, may have been moving it: it stays where it is */
        fl_lock_init(fl_lock_of(FL_LOCK_RECORD), FL_LOCK_RECORD);
        window = (fl_file_window){0};
    }
    if (file >= 0)
        fl_system_close(file);
    open_file();
}

/* Returns whether the process has a file of its own by now. In a child, the first thread to come makes it; a
 * signal handler that interrupts it there does not. */
static bool is_ready(void) {
    if (is_owner())
        return true;
    uint64_t me = fl_system_process() << 32 | fl_system_thread(), before = 0;
    if (atomic_load_explicit(&owner, memory_order_relaxed) == 0)
        return false;
    while (!is_owner()) {
        before = atomic_load_explicit(&heir, memory_order_relaxed);
        if (before == me)
            return false;
        if (before >> 32 == me >> 32)
            fl_system_sleep_ns(100000);
        else if (atomic_compare_exchange_strong_explicit(&heir, &before, me, memory_order_relaxed,
                                                         memory_order_relaxed)) {
            begin_anew();
            become_owner();
        }
    }
    return true;
}

static void fork_child(void) {
    is_ready(); /* also for a thread that waited for the lock when its signal handler forked */
}

static void find_next(void) {
    next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    next_memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
    next_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc"); /* last: whoever sees it sees the others */
}

/* Constructors of other libraries may come before ours, and want more than `early` has room for. Returns
 * false while the functions are being looked up. */
static bool has_next(void) {
    static _Atomic bool begun;
    if (!next_malloc && !atomic_exchange_explicit(&begun, true, memory_order_relaxed))
        find_next();
    return next_malloc != NULL;
}

__attribute__((constructor)) static void start(void) {
    has_next();
    open_file();
    birth = fl_birth_page();
    become_owner();
    pthread_atfork(NULL, NULL, fork_child);
}

__attribute__((destructor)) static void end(void) {
    if (in_event || !is_owner() || given_up)
        return; /* exit in a signal handler that interrupted an event: the zeroes behind that end it too */
    fl_lock_take(fl_lock_of(FL_LOCK_RECORD));
    fl_file_window_end(&window);
    if (file >= 0)
        fl_system_set_file_bytes(file, used + 1);
    fl_lock_drop(fl_lock_of(FL_LOCK_RECORD));
}

static uint8_t *put_address(uint8_t *at, const void *block) {
    intptr_t step = ((intptr_t)block - (intptr_t)last_address) / 16;
    last_address = (uintptr_t)block;
    return fl_trace_put(at, fl_trace_zigzag(step));
}

/* `before` and `after` may be NULL; log2_alignment and bytes are written for events that have them. Caller
 * holds the lock. */
static void put_event(fl_trace_what what, const void *before, unsigned log2_alignment, size_t bytes,
                      const void *after) {
    uint8_t *at = window.start + (used - window.at);
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
    used = window.at + (uint64_t)(at - window.start);
    if (used - window.at >= STEP_BYTES)
        fl_file_window_move(&window, file, window.at + STEP_BYTES, 2 * STEP_BYTES);
}

/* Records one event, unless a signal handler has interrupted an event of its own thread. */
static void record(fl_trace_what what, const void *before, unsigned log2_alignment, size_t bytes,
                   const void *after) {
    if (in_event || !is_ready())
        return;
    in_event = true;
    fl_lock_take(fl_lock_of(FL_LOCK_RECORD));
    if (window.start && !atomic_load_explicit(&given_up, memory_order_relaxed))
        put_event(what, before, log2_alignment, bytes, after);
    fl_lock_drop(fl_lock_of(FL_LOCK_RECORD));
    in_event = false;
}

API void *malloc(size_t bytes) {
    if (!has_next())
        return early_alloc(bytes);
    void *block = next_malloc(bytes);
    if (block)
        record(FL_TRACE_MALLOC, NULL, 0, bytes, block);
    return block;
}

API void *calloc(size_t count, size_t each) {
    if (!has_next())
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
    void *block = has_next() ? next_memalign(alignment, bytes) : NULL;
    if (block) /* the malloc behind us has made a power of two of one that is none; 0 counts as 1 */
        record(FL_TRACE_ALIGNED, NULL, 63 - (unsigned)__builtin_clzll(alignment | 1), bytes, block);
    return block;
}

API void *memalign(size_t alignment, size_t bytes) {
    return aligned(alignment, bytes);
}

API void *aligned_alloc(size_t alignment, size_t bytes) {
    return aligned(alignment, bytes);
}

API int posix_memalign(void **out, size_t alignment, size_t bytes) {
    if (alignment % sizeof(void *) || !fl_is_power_of_two(alignment))
        return EINVAL;
    int saved_errno = errno;
    void *block = aligned(alignment, bytes);
    errno = saved_errno;
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}
