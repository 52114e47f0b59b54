/* SPDX-License-Identifier: MIT */
/*
 * Every system call of the Linux back end refused, with every errno that it can give: the result is the one
 * that osmem.h promises, the ledger says what /proc/self/maps says, and contents that should stay have
 * stayed. Each case is a child with a filter on its system calls that knows the test's range by its length.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"
#include "fallow/osmem.h"

#define PAGES 37 /* nobody else asks for so many */

static size_t page, bytes;
static osmem_stat stat;

/* Answers a call with an errno where one of its arguments has a value; with `always`, whatever its arguments
 * are. */
typedef struct refusal {
    int call;
    unsigned argument;
    size_t value;
    bool always;
} refusal;

static void refuse(refusal what, int code) {
    uint32_t offset = (uint32_t)(offsetof(struct seccomp_data, args) + what.argument * sizeof(uint64_t));
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)what.call, 0, what.always ? 1 : 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, what.always ? offsetof(struct seccomp_data, nr) : offset),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, what.always ? (uint32_t)what.call : (uint32_t)what.value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)code),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQUAL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQUAL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

enum { NONE, RESERVED, MAPPED };

/* What all of a range is, from the kernel. */
static int kernel_says(const char *start) {
    char line[512];
    size_t reserved = 0, mapped = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps)) {
        uintptr_t first, end, from = (uintptr_t)start, to = from + bytes;
        char permissions[5];
        CHECK_EQUAL(sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &first, &end, permissions), 3);
        first = first > from ? first : from;
        end = end < to ? end : to;
        if (first < end)
            *(permissions[0] == 'r' ? &mapped : &reserved) += end - first;
    }
    fclose(maps);
    CHECK(reserved == bytes || mapped == bytes || reserved + mapped == 0); /* never half of it */
    return mapped ? MAPPED : reserved ? RESERVED : NONE;
}

static void expect(const char *start, int kernel, size_t reserved, size_t prepared, size_t ready) {
    osmem_bytes its = osmem_stat_read(&stat, NULL);
    CHECK_EQUAL(kernel_says(start), kernel);
    CHECK_EQUAL(its.reserved, reserved);
    CHECK_EQUAL(its.prepared, prepared);
    CHECK_EQUAL(its.ready, ready);
}

/* A free range of addresses. */
static char *nowhere(void) {
    char *v = osmem_reserve(NULL, bytes, 0, &stat);
    CHECK(v);
    CHECK_EQUAL(osmem_free(v, bytes, (osmem_bytes){.reserved = bytes}, &stat), OSMEM_OK);
    return v;
}

static char *ready(void) {
    char *v = osmem_alloc(bytes, &stat);
    CHECK(v);
    memset(v, 7, bytes);
    return v;
}

static void expect_contents(const char *v, char wanted) {
    for (size_t i = 0; i < bytes; i++)
        CHECK_EQUAL(v[i], wanted);
}

/* By the length of the range, where the call has it. */
static refusal by_length(int call) {
    return (refusal){.call = call, .argument = 1, .value = bytes};
}

static osmem_result shortage_or(int code, osmem_result other) {
    return code == ENOMEM || code == EAGAIN ? OSMEM_NOMEM : other;
}

static void alloc_refused(int code) {
    char *v = nowhere();
    refuse(by_length(SYS_mmap), code);
    CHECK(!osmem_alloc(bytes, &stat));
    CHECK(!osmem_reserve(NULL, bytes, 0, &stat));
    expect(v, NONE, 0, 0, 0);
}

static void exactly_refused(int code) {
    char *v = nowhere();
    refuse(by_length(SYS_mmap), code);
    osmem_result wanted = code == EEXIST ? OSMEM_TAKEN : shortage_or(code, OSMEM_UNSUPPORTED);
    CHECK_EQUAL(osmem_reserve_at(v, bytes, &stat), wanted);
    CHECK_EQUAL(osmem_prepare(v, bytes, &stat), wanted);
    expect(v, NONE, 0, 0, 0);
}

static void map_refused(int code) {
    char *v = osmem_reserve(NULL, bytes, 0, &stat);
    refuse(by_length(SYS_mprotect), code);
    CHECK_EQUAL(osmem_map(v, bytes, &stat), shortage_or(code, OSMEM_UNSUPPORTED));
    expect(v, RESERVED, bytes, 0, 0);
}

static void unused_refused(int code) {
    char *v = ready();
    refuse(by_length(SYS_madvise), code);
    CHECK_EQUAL(osmem_unused(v, bytes, &stat), shortage_or(code, OSMEM_KEPT));
    expect(v, MAPPED, 0, 0, bytes);
    expect_contents(v, 7);
}

/* The call for many ranges at once is refused: one by one they go. */
static void unused_of_many_refused(int code) {
    char *v = ready();
    osmem_range ranges[] = {{v, page}, {v + 2 * page, page}, {v + 4 * page, page}};
    size_t done;
    refuse((refusal){.call = SYS_process_madvise, .always = true}, code);
    CHECK_EQUAL(osmem_unused_ranges(ranges, 3, &done, &stat), OSMEM_OK);
    CHECK_EQUAL(done, 3);
    expect(v, MAPPED, 0, 3 * page, bytes - 3 * page);
    for (size_t i = 0; i < 6; i++)
        CHECK_EQUAL(v[i * page], i % 2 ? 7 : 0);
}

static char *prepared(void) {
    char *v = osmem_reserve(NULL, bytes, 0, &stat);
    CHECK(v);
    CHECK_EQUAL(osmem_map(v, bytes, &stat), OSMEM_OK);
    return v;
}

static void unmap_refused(int code) {
    char *v = prepared();
    refuse(by_length(SYS_munmap), code);
    CHECK_EQUAL(osmem_unmap(v, bytes, &stat), shortage_or(code, OSMEM_UNSUPPORTED));
    expect(v, MAPPED, 0, bytes, 0);
}

/* The range has gone, and does not come back. */
static void unmap_loses(int code) {
    char *v = prepared();
    refuse(by_length(SYS_mmap), code);
    CHECK_EQUAL(osmem_unmap(v, bytes, &stat), OSMEM_LOST);
    expect(v, NONE, 0, 0, 0);
}

static void fault_refused(int code) {
    char *v = ready();
    refuse(by_length(SYS_mprotect), code);
    CHECK_EQUAL(osmem_fault(v, bytes, &stat), shortage_or(code, OSMEM_UNSUPPORTED));
    expect(v, MAPPED, 0, 0, bytes);
    expect_contents(v, 7);
}

static void fault_kept(int code) {
    char *v = ready();
    refuse(by_length(SYS_madvise), code);
    CHECK_EQUAL(osmem_fault(v, bytes, &stat), shortage_or(code, OSMEM_KEPT));
    expect(v, MAPPED, 0, 0, bytes);
    expect_contents(v, 7);
}

static void free_refused(int code) {
    char *v = ready();
    refuse(by_length(SYS_munmap), code);
    CHECK_EQUAL(osmem_free(v, bytes, (osmem_bytes){.ready = bytes}, &stat),
                shortage_or(code, OSMEM_UNSUPPORTED));
    expect(v, MAPPED, 0, 0, bytes);
    expect_contents(v, 7);
}

static void move_refused(int code) {
    char *from = ready(), *to = ready();
    refuse((refusal){.call = SYS_mremap, .argument = 2, .value = bytes}, code);
    CHECK_EQUAL(osmem_move(from, to, bytes, &stat), shortage_or(code, OSMEM_UNSUPPORTED));
    expect(from, MAPPED, 0, 0, 2 * bytes);
    expect(to, MAPPED, 0, 0, 2 * bytes);
    expect_contents(from, 7);
    memset(to, 1, bytes);
}

static void move_target_refused(int code) {
    char *from = ready(), *to = ready();
    refuse(by_length(SYS_munmap), code);
    CHECK_EQUAL(osmem_move(from, to, bytes, &stat), shortage_or(code, OSMEM_UNSUPPORTED));
    expect(to, MAPPED, 0, 0, 2 * bytes);
    expect_contents(from, 7);
    expect_contents(to, 7);
}

static void move_loses(int code) {
    char *from = ready(), *to = ready();
    refuse((refusal){.call = SYS_mremap, .argument = 2, .value = bytes}, ENOMEM);
    refuse(by_length(SYS_mmap), code);
    CHECK_EQUAL(osmem_move(from, to, bytes, &stat), OSMEM_LOST);
    expect(from, MAPPED, 0, 0, bytes);
    expect(to, NONE, 0, 0, bytes);
    expect_contents(from, 7);
}

static void hint_refused(int code) {
    char *v = ready();
    refuse(by_length(SYS_madvise), code);
    CHECK_EQUAL(osmem_no_huge_page(v, bytes, &stat), shortage_or(code, OSMEM_UNSUPPORTED));
    expect(v, MAPPED, 0, 0, bytes);
    expect_contents(v, 7);
}

typedef struct sweep {
    const char *name;
    void (*body)(int code);
    int codes[6];
} sweep;

static const sweep sweeps[] = {
    {"alloc", alloc_refused, {ENOMEM, EAGAIN, EPERM}},
    {"exactly", exactly_refused, {EEXIST, ENOMEM, EAGAIN, EPERM, EINVAL}},
    {"map", map_refused, {ENOMEM, EACCES, EPERM, EINVAL}},
    {"unused", unused_refused, {EINVAL, ENOMEM, EAGAIN, EPERM, ENOSYS}},
    {"unused of many", unused_of_many_refused, {ENOSYS, EPERM, EINVAL, EBADF, ESRCH, EAGAIN}},
    {"unmap", unmap_refused, {ENOMEM, EINVAL, EPERM}},
    {"unmap, reserving again", unmap_loses, {ENOMEM, EAGAIN, EEXIST, EPERM}},
    {"fault, protection", fault_refused, {ENOMEM, EACCES, EPERM}},
    {"fault, memory", fault_kept, {EINVAL, ENOMEM, EPERM, ENOSYS}},
    {"free", free_refused, {ENOMEM, EINVAL, EPERM}},
    {"move", move_refused, {ENOMEM, EAGAIN, EFAULT, EINVAL, ENOSYS, EPERM}},
    {"move, target", move_target_refused, {ENOMEM, EINVAL, EPERM}},
    {"move, target again", move_loses, {ENOMEM, EAGAIN, EEXIST, EPERM}},
    {"hint", hint_refused, {EINVAL, ENOMEM, EAGAIN, EPERM, ENOSYS}},
};

static void run_case(const sweep *it, int code) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        osmem_stat_init(&stat, "refused", NULL, NULL);
        osmem_stat_check(&stat);
        it->body(code);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (status) {
        fprintf(stderr, "in '%s', errno %d (%s)\n", it->name, code, strerror(code));
        exit(1);
    }
}

int main(void) {
    unsigned cases = 0;
    page = osmem_os_page_bytes();
    bytes = PAGES * page;
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        for (size_t k = 0; k < 6 && sweeps[i].codes[k]; k++, cases++)
            run_case(&sweeps[i], sweeps[i].codes[k]);
        printf("ok osmem_errno_%s\n", sweeps[i].name);
    }
    printf("%u refusals\n", cases);
    return 0;
}
