/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "guest.h"

#include "call.h"
#include "lock.h"
#include "system.h"

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on every architecture */
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2u
#endif

#ifdef __GLIBC__
#pragma weak dlvsym /* in a library of its own before glibc 2.34 */
#endif

#define STACK_BYTES ((size_t)64 << 10) /* beside thread-local storage */
#define PROCESSORS_MAX 8192
#define AWAIT_NS UINT64_C(1000000000)
#define AWAIT_STEP_NS UINT64_C(50000)

/* Written at start, when there is one thread; read by all later ones. */
static size_t static_tls_bytes;
static unsigned long processors[PROCESSORS_MAX / (8 * sizeof(unsigned long))];
static long processors_bytes; /* of the mask; not above 0: unknown */

/* Likewise: the function that glibc calls, with a lock held, to free a thread's storage; 0 if unknown. */
static uintptr_t storage_freed_by;
#define STORAGE_FREED_BY_BYTES 512 /* its code, and a little more */

/* Reaches past this library's frames into its caller's: no path to here needs more stack
 * (tests/tree/stack_paths_test.sh). */
#define FRAMES_BYTES 2304

/* The kernel reads the set before it looks at what to do with it. */
static bool is_readable(uintptr_t address) {
    return fl_call(SYS_rt_sigprocmask, -1, (long)address, 0, 8) == -EINVAL;
}

/* Looks for return addresses among all words on the stack: one that lies there by accident merely delays a
 * start. A coroutine's stack may end before the last of them. */
__attribute__((noinline, no_sanitize("address", "thread"))) bool fl_guest_may_start(void) {
    if (!fl_locks_name_me_right())
        return false;
    if (!storage_freed_by)
        return true;
    uintptr_t at = (uintptr_t)__builtin_frame_address(0) & ~(sizeof(uintptr_t) - 1), end = at + FRAMES_BYTES;
    uintptr_t page_end = (at | (fl_system_page_bytes() - 1)) + 1;
    if (end > page_end && !is_readable(end - sizeof(uintptr_t)))
        end = page_end;
    for (; at < end; at += sizeof(uintptr_t)) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        if (word - storage_freed_by < STORAGE_FREED_BY_BYTES)
            return false;
    }
    return true;
}

/* Avoids dlsym, which libraries replace that may not have been initialized yet. */
static uintptr_t find_storage_freed_by(void) {
#ifdef __GLIBC__
    if (dlvsym)
        return (uintptr_t)dlvsym(RTLD_DEFAULT, "_dl_deallocate_tls", "GLIBC_PRIVATE");
#endif
    return 0;
}

static int add_tls(struct dl_phdr_info *object, size_t bytes, void *sum) {
    (void)bytes;
    for (size_t i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_TLS)
            *(size_t *)sum += object->dlpi_phdr[i].p_memsz + object->dlpi_phdr[i].p_align;
    return 0;
}

/* The C library places static thread-local storage in the stack it is asked for, and refuses a stack only if
 * that fills it. Libraries loaded later have storage of their own, or use a small surplus kept for them. */
void fl_guest_prepare(void) {
    fl_system_be_first_thread();
    static_tls_bytes = 0;
    storage_freed_by = find_storage_freed_by();
    dl_iterate_phdr(add_tls, &static_tls_bytes);
    processors_bytes = fl_call(SYS_sched_getaffinity, fl_call(SYS_getpid, 0, 0, 0, 0), sizeof processors,
                               (long)processors, 0);
}

bool fl_guest_start(void *(*body)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int saved_errno = errno;
    if (pthread_attr_init(&attributes))
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    size_t stack_bytes = STACK_BYTES + static_tls_bytes, page_bytes = fl_system_page_bytes();
    pthread_attr_setstacksize(&attributes, (stack_bytes + page_bytes - 1) & ~(page_bytes - 1));
    bool started = pthread_create(&thread, &attributes, body, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    errno = saved_errno;
    return started;
}

/* Avoids the attributes of pthread_create, which fails if one of them is refused; here each is applied as far
 * as it goes. */
bool fl_guest_settle_in(void) {
    struct sched_param normal = {0};
    fl_call(SYS_sched_setscheduler, 0, SCHED_OTHER, (long)&normal, 0);
    if (processors_bytes > 0)
        fl_call(SYS_sched_setaffinity, 0, processors_bytes, (long)processors, 0);
    /* The kernel makes the new table without the files to be closed, so many files take no longer than none.
     * */
    return fl_call(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE, 0) == 0;
}

/* The kernel's thread is the last part to end. */
void fl_guest_await_end(uint32_t thread) {
    for (uint64_t waited_ns = 0; waited_ns < AWAIT_NS; waited_ns += AWAIT_STEP_NS) {
        if (!fl_system_has_thread(thread))
            return;
        fl_system_sleep_ns(AWAIT_STEP_NS);
    }
}
