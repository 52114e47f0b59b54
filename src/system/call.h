/* SPDX-License-Identifier: MIT */
/*
 * call.h: a system call and nothing else: no errno, no cancellation point, and no function of the C library
 * in between, which another library could have replaced. Returns what the kernel does: a value, or the
 * negative error.
 *
 * Not for memory (osmem's back ends call mmap and its kin by name, which tools have to know of).
 */
#ifndef FL_CALL_H
#define FL_CALL_H

#include <sys/syscall.h>

#ifdef __x86_64__

static inline long fl_call(long number, long a, long b, long c, long d) {
    register long fourth __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}

#else

#include <errno.h>
#include <unistd.h>

static inline long fl_call(long number, long a, long b, long c, long d) {
    int saved_errno = errno;
    long result = syscall(number, a, b, c, d);
    if (result < 0)
        result = -errno;
    errno = saved_errno;
    return result;
}

#endif

#endif
