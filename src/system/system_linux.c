/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "system.h"
#include "vdso.h"

size_t fl_system_page_bytes(void) {
    static _Atomic size_t page_bytes; /* the same whoever writes it first */
    size_t bytes = atomic_load_explicit(&page_bytes, memory_order_relaxed);
    if (bytes == 0) {
        bytes = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&page_bytes, bytes, memory_order_relaxed);
    }
    return bytes;
}

size_t fl_system_read_file(const char *path, char *buffer, size_t bytes) {
    long file = fl_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
    long got = file < 0 ? 0 : fl_call(SYS_read, file, (long)buffer, (long)bytes, 0);
    if (file >= 0)
        fl_call(SYS_close, file, 0, 0, 0);
    return got > 0 ? (size_t)got : 0;
}

size_t fl_system_huge_page_bytes(void) {
    static _Atomic size_t huge_bytes; /* 1: none */
    size_t bytes = atomic_load_explicit(&huge_bytes, memory_order_relaxed);
    if (bytes == 0) {
        char text[32];
        size_t length =
            fl_system_read_file("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", text, sizeof text);
        for (size_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
            bytes = bytes * 10 + (size_t)(text[i] - '0');
        if (bytes == 0 || (bytes & (bytes - 1)))
            bytes = 1;
        atomic_store_explicit(&huge_bytes, bytes, memory_order_relaxed);
    }
    return bytes == 1 ? 0 : bytes;
}

static _Atomic bool huge_pages_always, huge_pages_asked; /* guard nothing */

void fl_system_follow_huge_pages(void) {
    char text[64];
    size_t length = fl_system_read_file("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
    atomic_store_explicit(&huge_pages_always, length > 8 && memcmp(text, "[always]", 8) == 0,
                          memory_order_relaxed);
    atomic_store_explicit(&huge_pages_asked, length > 16 && memcmp(text, "always [madvise]", 16) == 0,
                          memory_order_relaxed);
}

bool fl_system_huge_pages_asked(void) {
    return atomic_load_explicit(&huge_pages_asked, memory_order_relaxed);
}

bool fl_system_huge_pages_always(void) {
    return atomic_load_explicit(&huge_pages_always, memory_order_relaxed);
}

/* Defined in a program under ThreadSanitizer, which stops at a mapping outside the addresses it knows. */
extern void __tsan_init(void) __attribute__((weak));

void fl_system_quiet_addresses(uintptr_t *first, uintptr_t *end) {
    *first = *end = 0;
#if UINTPTR_MAX > 0xffffffffu
    if (__tsan_init)
        return;
    /* Linux places programs at the end of the second third of a 47-bit space or at its bottom, and
     * everything else downwards from its top. */
    *first = (uintptr_t)1 << 45;
    *end = (uintptr_t)5 << 44;
#endif
}

uint64_t fl_system_random(void) {
    /* The current one; of a system that does not say, a negative error. */
    long persona = fl_call(SYS_personality, 0xffffffff, 0, 0, 0);
    if (persona >= 0 && persona & ADDR_NO_RANDOMIZE)
        return 0;
    uint64_t number = fl_system_now_ns();
    const void *bytes = (const void *)getauxval(AT_RANDOM);
    if (bytes) {
        uint64_t given;
        memcpy(&given, bytes, sizeof given);
        number ^= given * 0x9e3779b97f4a7c15u; /* mixed, so as not to show the stack protector's canary */
    }
    return number ^ (number >> 29);
}

void fl_system_secret(uint64_t out[2]) {
    const void *bytes = (const void *)getauxval(AT_RANDOM);
    out[0] = out[1] = (uintptr_t)out ^ fl_system_now_ns(); /* of a system that gives nothing */
    if (bytes)
        memcpy(out, bytes, 2 * sizeof *out);
}

/* Other libraries replace the C library's clock_gettime, and theirs may allocate. */
static uint64_t read_clock(clockid_t clock, fl_vdso_clock *quick) {
    struct timespec now = {0};
    if (!quick || quick(clock, &now) != 0)
        fl_call(SYS_clock_gettime, clock, (long)&now, 0, 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t fl_system_now_ns(void) {
    return read_clock(CLOCK_MONOTONIC, fl_vdso_find_clock());
}

uint64_t fl_system_date_ns(void) {
    return read_clock(CLOCK_REALTIME, fl_vdso_find_clock());
}

static _Atomic bool keeps_to_memory; /* guards nothing */

void fl_system_keep_to_memory(bool keep) {
    atomic_store_explicit(&keeps_to_memory, keep, memory_order_relaxed);
}

bool fl_system_keeps_to_memory(void) {
    return atomic_load_explicit(&keeps_to_memory, memory_order_relaxed);
}

uint64_t fl_system_process_cpu_ns(void) {
    return fl_system_keeps_to_memory() ? fl_system_now_ns() : read_clock(CLOCK_PROCESS_CPUTIME_ID, NULL);
}

uint64_t fl_system_thread_cpu_ns(void) {
    return fl_system_keeps_to_memory() ? fl_system_now_ns() : read_clock(CLOCK_THREAD_CPUTIME_ID, NULL);
}

void fl_system_sleep_while(_Atomic uint32_t *word, uint32_t value, uint64_t duration_ns) {
    struct timespec duration = {(time_t)(duration_ns / 1000000000u), (long)(duration_ns % 1000000000u)};
    fl_call(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, value, (long)&duration);
}

void fl_system_wake(_Atomic uint32_t *word) {
    fl_call(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, INT_MAX, 0);
}

void fl_system_sleep_ns(uint64_t duration_ns) {
    static _Atomic uint32_t nothing;
    fl_system_sleep_while(&nothing, 0, duration_ns);
}

static _Atomic int fence_known; /* 0 unknown, 1 works, 2 does not; the same whoever writes it */

static void know_fence(bool works) {
    atomic_store_explicit(&fence_known, works ? 1 : 2, memory_order_relaxed);
}

bool fl_system_has_fence(void) {
    if (fl_system_keeps_to_memory())
        return false;
    if (atomic_load_explicit(&fence_known, memory_order_relaxed) == 0)
        know_fence(fl_call(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0, 0) == 0);
    return atomic_load_explicit(&fence_known, memory_order_relaxed) == 1;
}

bool fl_system_fence_everywhere(void) {
    if (!fl_system_has_fence())
        return false;
    long code = fl_call(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0);
    if (code == -EPERM || code == -ENOSYS)
        know_fence(false); /* a filter that came later */
    return code == 0;
}

bool fl_system_is_threaded(void) {
#ifdef __GLIBC__
    extern char __libc_single_threaded __attribute__((weak));
    if (&__libc_single_threaded)
        return !__libc_single_threaded;
#endif
    return true;
}

int fl_system_write(int descriptor, const char *text, size_t bytes) {
    while (bytes > 0) {
        long written = fl_call(SYS_write, descriptor, (long)text, (long)bytes, 0);
        if (written <= 0 && written != -EINTR)
            return written < 0 ? (int)-written : EIO; /* the descriptor takes nothing, and does not say why */
        text += written > 0 ? written : 0;
        bytes -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int fl_system_write_maps(int descriptor) {
    char piece[512];
    long got, maps = fl_call(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    if (maps < 0)
        return (int)-maps;
    int error;
    do {
        got = fl_call(SYS_read, maps, (long)piece, sizeof piece, 0);
        error = got < 0 ? (int)-got : fl_system_write(descriptor, piece, (size_t)got);
    } while (!error && got > 0);
    fl_call(SYS_close, maps, 0, 0, 0);
    return error;
}

bool fl_system_write_file(const char *path, const char *text, size_t bytes) {
    long file = fl_call(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    bool written = file >= 0 && fl_call(SYS_write, file, (long)text, (long)bytes, 0) == (long)bytes;
    if (file >= 0)
        fl_call(SYS_close, file, 0, 0, 0);
    return written;
}

bool fl_system_open_new(const char *path, bool replace, int *file) {
    long got = fl_call(SYS_openat, AT_FDCWD, (long)path,
                       O_RDWR | O_CREAT | O_CLOEXEC | (replace ? O_TRUNC : O_EXCL), 0600);
    if (got >= 0)
        *file = (int)got;
    return got >= 0;
}

bool fl_system_set_file_bytes(int file, uint64_t bytes) {
    return fl_call(SYS_ftruncate, file, (long)bytes, 0, 0) == 0;
}

void fl_system_close(int file) {
    fl_call(SYS_close, file, 0, 0, 0);
}

static char **first_environment; /* written before any other thread is there */

void fl_system_know_environment(char **environment) {
    first_environment = environment;
}

/* Avoids getenv: shells define their own, which works only once they have started. */
const char *fl_system_environment(const char *name) {
    size_t length = strlen(name);
    char **all = environ ? environ : first_environment;
    if (getauxval(AT_SECURE) || !all)
        return NULL;
    for (char **entry = all; *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

uint64_t fl_system_user(void) {
    return (uint64_t)fl_call(SYS_getuid, 0, 0, 0, 0);
}

const char *fl_system_program(void) {
#ifdef __GLIBC__
    return program_invocation_short_name;
#else
    return "?";
#endif
}

static pthread_t first; /* the thread that runs main; written where there is one thread */
static bool has_first;

bool fl_system_is_first_thread(void) {
    return has_first && pthread_equal(first, pthread_self());
}

void fl_system_be_first_thread(void) {
    first = pthread_self();
    has_first = true;
}

uint32_t fl_system_thread(void) {
    return (uint32_t)fl_call(SYS_gettid, 0, 0, 0, 0);
}

/* Uses a call that locks make as well, so that no filter kills the process for it: a wait for a word with
 * another value returns as soon as the kernel has read the word, or has failed to. */
bool fl_system_can_read(const void *word) {
    const struct timespec none = {0, 0};
    long answer = fl_call(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, 0x5a17c0de, (long)&none);
    return answer == -EAGAIN || answer == -ETIMEDOUT;
}

bool fl_system_has_thread(uint32_t thread) {
    return fl_call(SYS_tgkill, fl_call(SYS_getpid, 0, 0, 0, 0), thread, 0, 0) == 0;
}

uint64_t fl_system_process(void) {
    return (uint64_t)fl_call(SYS_getpid, 0, 0, 0, 0);
}

/* glibc's list of streams; its holder may take it again. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

static bool can_lock_streams(void) {
    return _IO_list_lock && _IO_list_unlock && _IO_list_resetlock;
}

void fl_system_fork_prepare(void) {
    if (can_lock_streams())
        _IO_list_lock();
}

void fl_system_fork_done(bool in_child) {
    if (!can_lock_streams())
        return;
    if (in_child)
        _IO_list_resetlock();
    else
        _IO_list_unlock();
}
