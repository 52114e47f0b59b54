/* SPDX-License-Identifier: MIT */
/* sandboxed.c: a program that ends if it makes a call which memory does not need, with callers on other pages
 * of its stack. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/refuse.h"

static __attribute__((noinline)) void allocate_deep(int depth) {
    volatile char frame[10000];
    memset((char *)frame, depth, sizeof frame);
    if (depth)
        allocate_deep(depth - 1);
    else
        *(void *volatile *)&frame[0] = malloc(100);
    frame[9999] = 1;
}

int main(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mprotect),
        ALLOW(madvise),
        ALLOW(mremap),
        ALLOW(futex),
        ALLOW(prctl),
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(77);
    for (int i = 0; i < 100; i++)
        allocate_deep(8);
    _exit(0);
}
