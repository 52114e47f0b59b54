/* SPDX-License-Identifier: MIT */
/* Each move between the states, on the back ends linux and posix, with the kernel asked what it made of
 * it. */
#include "fallow/osmem.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/check.h"

static size_t page;
static const osmem_backend *backend;
static osmem_stat total, heap;

/* "---p", "rw-p" or "" of the mapping that holds an address, from /proc/self/maps. */
static const char *permissions_at(const void *address) {
    static char permissions[5];
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    permissions[0] = '\0';
    while (fgets(line, sizeof line, maps)) {
        unsigned long first, end;
        char read[5];
        if (sscanf(line, "%lx-%lx %4s", &first, &end, read) == 3 && first <= (uintptr_t)address &&
            (uintptr_t)address < end)
            strcpy(permissions, read);
    }
    fclose(maps);
    return permissions;
}

static size_t resident_pages(void *start, size_t bytes) {
    unsigned char in_core[1024];
    CHECK(bytes / page <= sizeof in_core);
    CHECK_EQUAL(mincore(start, bytes, in_core), 0);
    size_t pages = 0;
    for (size_t i = 0; i < bytes / page; i++)
        pages += in_core[i] & 1;
    return pages;
}

static size_t count_mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    size_t lines = 0;
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

/* Tried in a child: the signal that ends it, or 0. */
static int signal_on_read(const volatile char *address) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        (void)*address;
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void expect_bytes(size_t reserved, size_t prepared, size_t ready) {
    osmem_bytes its = osmem_stat_read(&heap, NULL), all = osmem_stat_read(&total, NULL);
    CHECK_EQUAL(its.reserved, reserved);
    CHECK_EQUAL(its.prepared, prepared);
    CHECK_EQUAL(its.ready, ready);
    CHECK_EQUAL(all.reserved, reserved);
    CHECK_EQUAL(all.prepared, prepared);
    CHECK_EQUAL(all.ready, ready);
}

static void osmem_whole_life_of_a_range(void) {
    size_t n = 16 * page;
    char *v = osmem_reserve(NULL, n, 0, &heap);
    CHECK(v);
    expect_bytes(n, 0, 0);
    CHECK(!strcmp(permissions_at(v), "---p"));
    CHECK_EQUAL(signal_on_read(v), SIGSEGV);

    CHECK_EQUAL(osmem_map(v, n, &heap), OSMEM_OK);
    expect_bytes(0, n, 0);
    CHECK_EQUAL(resident_pages(v, n), 0);

    CHECK_EQUAL(osmem_used(v, 8 * page, 8 * page, &heap), OSMEM_OK);
    expect_bytes(0, 8 * page, 8 * page);
    CHECK(!strcmp(permissions_at(v), "rw-p"));
    CHECK_EQUAL(resident_pages(v, n), 0);
    memset(v, 1, 8 * page);
    CHECK_EQUAL(resident_pages(v, n), 8);

    /* The whole range: half of it is Ready already, and keeps its contents. */
    CHECK_EQUAL(osmem_used(v, n, 8 * page, &heap), OSMEM_OK);
    expect_bytes(0, 0, n);
    CHECK_EQUAL(v[0], 1);
    memset(v, 2, n);
    CHECK_EQUAL(resident_pages(v, n), 16);

    CHECK_EQUAL(osmem_unused(v + 4 * page, 4 * page, &heap), OSMEM_OK);
    expect_bytes(0, 4 * page, 12 * page);
    CHECK_EQUAL(heap.traits.zero_after_unused, backend == osmem_backend_system());
    if (heap.traits.zero_after_unused)
        CHECK_EQUAL(resident_pages(v, n), 12);
    CHECK_EQUAL(osmem_used(v + 4 * page, 4 * page, 4 * page, &heap), OSMEM_OK);
    for (size_t i = 4 * page; i < 8 * page; i++)
        CHECK(v[i] == 0 || !heap.traits.zero_after_unused);
    CHECK_EQUAL(v[4 * page - 1], 2);

    CHECK_EQUAL(osmem_fault(v, page, &heap), OSMEM_OK);
    expect_bytes(page, 0, 15 * page);
    CHECK_EQUAL(signal_on_read(v), SIGSEGV);

    CHECK_EQUAL(osmem_unused(v + page, page, &heap), OSMEM_OK);
    CHECK_EQUAL(osmem_unmap(v + page, page, &heap), OSMEM_OK);
    expect_bytes(2 * page, 0, 14 * page);
    CHECK_EQUAL(signal_on_read(v + page), SIGSEGV);

    size_t peak;
    osmem_stat_read(&heap, &peak);
    CHECK_EQUAL(peak, n);
    osmem_bytes by_state = {.reserved = 2 * page, .ready = 14 * page};
    CHECK_EQUAL(osmem_free(v, n, by_state, &heap), OSMEM_OK);
    expect_bytes(0, 0, 0);
    CHECK(!strcmp(permissions_at(v), ""));
}

static void osmem_alloc_is_ready_and_zero(void) {
    char *v = osmem_alloc(4 * page, &heap);
    CHECK(v);
    expect_bytes(0, 0, 4 * page);
    for (size_t i = 0; i < 4 * page; i++)
        CHECK_EQUAL(v[i], 0);
    CHECK_EQUAL(osmem_free(v, 4 * page, (osmem_bytes){.ready = 4 * page}, &heap), OSMEM_OK);
    expect_bytes(0, 0, 0);
}

/* All that a stat counts goes along, with what is below it, and what comes later. */
static void osmem_stat_goes_to_another_parent(void) {
    osmem_stat other, below;
    size_t peak;
    osmem_stat_init(&other, "other", backend, &total);
    osmem_stat_init(&below, "below", backend, &heap);
    char *v = osmem_alloc(4 * page, &heap), *w = osmem_reserve(NULL, 8 * page, 0, &below);
    CHECK(v && w);
    expect_bytes(8 * page, 0, 4 * page);
    osmem_stat_set_parent(&heap, &other);
    expect_bytes(8 * page, 0, 4 * page); /* below the same in the end */
    osmem_bytes its = osmem_stat_read(&other, &peak);
    CHECK(its.reserved == 8 * page && its.ready == 4 * page && peak == 4 * page);
    osmem_stat_set_parent(&heap, NULL);
    its = osmem_stat_read(&other, &peak);
    CHECK(its.reserved == 0 && its.ready == 0 && peak == 4 * page);
    CHECK(osmem_stat_read(&total, NULL).reserved == 0 && osmem_stat_read(&heap, NULL).reserved == 8 * page);
    CHECK_EQUAL(osmem_free(v, 4 * page, (osmem_bytes){.ready = 4 * page}, &heap), OSMEM_OK);
    osmem_stat_set_parent(&heap, &total);
    CHECK_EQUAL(osmem_free(w, 8 * page, (osmem_bytes){.reserved = 8 * page}, &below), OSMEM_OK);
    expect_bytes(0, 0, 0);
}

static void osmem_reserve_takes_hint_and_alignment(void) {
    size_t alignment = (size_t)4 << 20;
    char *v = osmem_reserve(NULL, 2 * page, alignment, &heap);
    CHECK(v && (uintptr_t)v % alignment == 0);
    expect_bytes(2 * page, 0, 0);
    /* What was reserved too much to align it is given back. */
    CHECK(!strcmp(permissions_at(v + 2 * page), "") || strcmp(permissions_at(v + 2 * page), "---p"));
    /* A hint that is taken is not obeyed, and what is there stays. */
    char *other = osmem_reserve(v, page, 0, &heap);
    CHECK(other && other != v && other != v + page);
    CHECK_EQUAL(osmem_free(v, 2 * page, (osmem_bytes){.reserved = 2 * page}, &heap), OSMEM_OK);
    /* A hint that is free is. */
    char *again = osmem_reserve(v, page, 0, &heap);
    CHECK_EQUAL((uintptr_t)again, (uintptr_t)v);
    CHECK_EQUAL(osmem_free(again, page, (osmem_bytes){.reserved = page}, &heap), OSMEM_OK);
    CHECK_EQUAL(osmem_free(other, page, (osmem_bytes){.reserved = page}, &heap), OSMEM_OK);
    expect_bytes(0, 0, 0);
}

/* "Exactly there" is there or not at all, mapped or not, and never over what somebody else has. */
static void osmem_exactly_there_or_not_at_all(void) {
    char *v = osmem_reserve(NULL, 8 * page, 0, &heap);
    CHECK(v);
    CHECK_EQUAL(osmem_free(v, 8 * page, (osmem_bytes){.reserved = 8 * page}, &heap), OSMEM_OK);
    char *theirs = mmap(v + 4 * page, page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(theirs == v + 4 * page);
    *theirs = 9;
    CHECK_EQUAL(osmem_reserve_at(v, 8 * page, &heap), OSMEM_TAKEN);
    CHECK_EQUAL(osmem_prepare(v, 8 * page, &heap), OSMEM_TAKEN);
    expect_bytes(0, 0, 0);
    CHECK(!strcmp(permissions_at(v), "") && !strcmp(permissions_at(v + 5 * page), ""));
    CHECK_EQUAL(osmem_prepare(v, 2 * page, &heap), OSMEM_OK);
    expect_bytes(0, 2 * page, 0);
    CHECK(!strcmp(permissions_at(v), "rw-p"));
    CHECK_EQUAL(osmem_prepare(v + 2 * page, 3 * page, &heap), OSMEM_TAKEN);
    expect_bytes(0, 2 * page, 0);
    CHECK_EQUAL(osmem_prepare(v + 2 * page, 2 * page, &heap), OSMEM_OK);
    expect_bytes(0, 4 * page, 0);
    CHECK_EQUAL(osmem_used(v, 4 * page, 4 * page, &heap), OSMEM_OK);
    memset(v, 1, 4 * page);
    CHECK_EQUAL(*theirs, 9);
    CHECK_EQUAL(munmap(theirs, page), 0);
    CHECK_EQUAL(osmem_reserve_at(v + 4 * page, page, &heap), OSMEM_OK);
    osmem_bytes by_state = {.reserved = page, .ready = 4 * page};
    CHECK_EQUAL(osmem_free(v, 5 * page, by_state, &heap), OSMEM_OK);
    expect_bytes(0, 0, 0);
}

/* Growth by a step is one mapping with what was there, and reserving and mapping is one call less than
 * apart. */
static void osmem_growth_in_one_call(void) {
    if (backend != osmem_backend_system())
        return;
    size_t step = (size_t)4 << 20;
    char *v = osmem_reserve(NULL, 8 * step, 0, &heap);
    CHECK(v);
    CHECK_EQUAL(osmem_free(v, 8 * step, (osmem_bytes){.reserved = 8 * step}, &heap), OSMEM_OK);
    uint64_t before = osmem_system_calls();
    CHECK_EQUAL(osmem_reserve_at(v, step, &heap), OSMEM_OK);
    CHECK_EQUAL(osmem_map(v, step, &heap), OSMEM_OK);
    uint64_t apart = osmem_system_calls() - before;
    CHECK_EQUAL(osmem_free(v, step, (osmem_bytes){.prepared = step}, &heap), OSMEM_OK);
    before = osmem_system_calls();
    CHECK_EQUAL(osmem_prepare(v, step, &heap), OSMEM_OK);
    CHECK_EQUAL(osmem_system_calls() - before, apart - 1);
    size_t mappings = count_mappings();
    for (size_t i = 1; i < 8; i++)
        CHECK_EQUAL(osmem_prepare(v + i * step, step, &heap), OSMEM_OK);
    CHECK_EQUAL(count_mappings(), mappings);
    CHECK_EQUAL(osmem_free(v, 8 * step, (osmem_bytes){.prepared = 8 * step}, &heap), OSMEM_OK);
}

/* Locked memory stays: the call says so, ranges behind it go, and it goes once it is no longer locked. */
static void osmem_locked_memory_is_kept(void) {
    char *v = osmem_alloc(8 * page, &heap);
    CHECK(v);
    memset(v, 5, 8 * page);
    CHECK_EQUAL(syscall(SYS_mlock, v + 2 * page, 2 * page), 0); /* sanitizers make mlock do nothing */
    size_t mappings = count_mappings(), done;
    osmem_range ranges[] = {{v, page}, {v + 2 * page, page}, {v + 6 * page, page}};
    CHECK_EQUAL(osmem_unused_ranges(ranges, 3, &done, &heap), OSMEM_KEPT);
    CHECK_EQUAL(done, 1);
    CHECK_EQUAL(osmem_unused_ranges(ranges + 2, 1, &done, &heap), OSMEM_OK);
    CHECK_EQUAL(osmem_fault(v + 3 * page, page, &heap), OSMEM_KEPT);
    expect_bytes(0, 2 * page, 6 * page);
    CHECK_EQUAL(resident_pages(v + 2 * page, 2 * page), 2);
    CHECK_EQUAL(v[2 * page], 5);
    CHECK_EQUAL(count_mappings(), mappings);
    CHECK_EQUAL(syscall(SYS_munlock, v, 8 * page), 0);
    CHECK_EQUAL(osmem_unused(v + 2 * page, page, &heap), OSMEM_OK);
    osmem_bytes by_state = {.prepared = 3 * page, .ready = 5 * page};
    CHECK_EQUAL(osmem_free(v, 8 * page, by_state, &heap), OSMEM_OK);
    expect_bytes(0, 0, 0);
}

/* A range of several mappings, the last of which cannot be had: all of it is Reserved still. */
static void osmem_map_in_part_is_taken_back(void) {
    char *v = osmem_reserve(NULL, 8 * page, 0, &heap);
    CHECK(v);
    CHECK_EQUAL(munmap(v + 6 * page, 2 * page), 0); /* behind our back */
    CHECK_EQUAL(osmem_map(v, 8 * page, &heap), OSMEM_NOMEM);
    expect_bytes(8 * page, 0, 0);
    CHECK(!strcmp(permissions_at(v), "---p") && !strcmp(permissions_at(v + 5 * page), "---p"));
    CHECK_EQUAL(osmem_free(v, 8 * page, (osmem_bytes){.reserved = 8 * page}, &heap), OSMEM_OK);
}

/* Parts that add up by wrapping around, and a range counted in another stat. */
static void osmem_free_of_what_is_not_so(void) {
    char *v = osmem_alloc(4 * page, &heap);
    osmem_bytes wraps = {.reserved = SIZE_MAX - page + 1, .prepared = page, .ready = 4 * page};
    CHECK_EQUAL(osmem_free(v, 4 * page, wraps, &heap), OSMEM_INVALID);
    expect_bytes(0, 0, 4 * page);
    for (int checked = 0; checked < 2; checked++) {
        int ends[2], status;
        char text[512] = "";
        CHECK_EQUAL(pipe(ends), 0);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            osmem_stat other;
            osmem_stat_init(&other, "other", backend, &total);
            dup2(ends[1], 2);
            if (checked) {
                osmem_stat_check(&heap);
                osmem_stat_check(&other);
            }
            char *w = osmem_alloc(4 * page, &heap), *enough = osmem_alloc(checked ? 8 * page : page, &other);
            CHECK(w && enough);
            _exit(osmem_free(w, 4 * page, (osmem_bytes){.ready = 4 * page}, &other));
        }
        close(ends[1]);
        CHECK(read(ends[0], text, sizeof text - 1) > 0);
        close(ends[0]);
        CHECK_EQUAL(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        CHECK(strstr(text, checked || FL_CHECKS >= 2 ? "not in another one" : "'other', which holds fewer"));
    }
    CHECK_EQUAL(osmem_free(v, 4 * page, (osmem_bytes){.ready = 4 * page}, &heap), OSMEM_OK);
}

static void osmem_unused_over_many_ranges(void) {
    enum { RANGES = 150 }; /* more than one call takes */
    size_t n = RANGES * 2 * page;
    char *v = osmem_alloc(n, &heap);
    osmem_range ranges[RANGES];
    memset(v, 3, n);
    for (size_t i = 0; i < RANGES; i++)
        ranges[i] = (osmem_range){v + i * 2 * page, page};
    size_t done = 0;
    CHECK_EQUAL(osmem_unused_ranges(ranges, RANGES, &done, &heap), OSMEM_OK);
    CHECK_EQUAL(done, RANGES);
    expect_bytes(0, RANGES * page, RANGES * page);
    if (heap.traits.zero_after_unused)
        CHECK_EQUAL(resident_pages(v, n), RANGES);
    for (size_t i = 0; i < RANGES; i++)
        CHECK_EQUAL(v[i * 2 * page + page], 3);
    osmem_bytes by_state = {.prepared = RANGES * page, .ready = RANGES * page};
    CHECK_EQUAL(osmem_free(v, n, by_state, &heap), OSMEM_OK);
    expect_bytes(0, 0, 0);
}

static void osmem_illegal_arguments_change_nothing(void) {
    char *v = osmem_alloc(4 * page, &heap);
    CHECK(!osmem_alloc(page + 1, &heap));
    CHECK(!osmem_alloc(0, &heap));
    CHECK(!osmem_reserve(NULL, page, 3 * page, &heap));
    CHECK(!osmem_reserve(NULL, page, 3, &heap));
    CHECK_EQUAL(osmem_unused(v + 1, page, &heap), OSMEM_INVALID);
    CHECK_EQUAL(osmem_unused(v, page / 2, &heap), OSMEM_INVALID);
    CHECK_EQUAL(osmem_unused(v, 0, &heap), OSMEM_INVALID);
    CHECK_EQUAL(osmem_used(v, page, 2 * page, &heap), OSMEM_INVALID);
    CHECK_EQUAL(osmem_free(v, 4 * page, (osmem_bytes){.ready = page}, &heap), OSMEM_INVALID);
    expect_bytes(0, 0, 4 * page);
    CHECK_EQUAL(osmem_free(v, 4 * page, (osmem_bytes){.ready = 4 * page}, &heap), OSMEM_OK);
}

/* A back end that refuses everything: nothing is counted, and the error comes through. */
static osmem_result refuse_range(void *context, void *start, size_t bytes) {
    (void)context, (void)start, (void)bytes;
    return OSMEM_NOMEM;
}

static osmem_result refuse_after_one(void *context, const osmem_range *ranges, size_t count, size_t *done) {
    (void)context, (void)ranges;
    *done = count > 1 ? 1 : 0;
    return OSMEM_NOMEM;
}

static void *refuse_alloc(void *context, size_t bytes) {
    (void)context, (void)bytes;
    return NULL;
}

static void osmem_counts_only_what_succeeded(void) {
    osmem_backend refusing = *backend;
    refusing.alloc = refuse_alloc;
    refusing.map = refusing.used = refusing.unmap = refusing.fault = refusing.free = refuse_range;
    refusing.unused = refuse_after_one;
    char *v = osmem_alloc(4 * page, &heap), *r = osmem_reserve(NULL, 2 * page, 0, &heap);
    CHECK_EQUAL(osmem_map(r + page, page, &heap), OSMEM_OK);
    heap.backend = &refusing;
    CHECK(!osmem_alloc(page, &heap));
    CHECK_EQUAL(osmem_map(r, page, &heap), OSMEM_NOMEM);
    CHECK_EQUAL(osmem_used(r + page, page, page, &heap), OSMEM_NOMEM);
    CHECK_EQUAL(osmem_unused(v, page, &heap), OSMEM_NOMEM);
    CHECK_EQUAL(osmem_unmap(r + page, page, &heap), OSMEM_NOMEM);
    CHECK_EQUAL(osmem_fault(v, page, &heap), OSMEM_NOMEM);
    CHECK_EQUAL(osmem_free(v, 4 * page, (osmem_bytes){.ready = 4 * page}, &heap), OSMEM_NOMEM);
    expect_bytes(page, page, 4 * page);
    osmem_range two[] = {{v, page}, {v + 2 * page, page}};
    size_t done;
    CHECK_EQUAL(osmem_unused_ranges(two, 2, &done, &heap), OSMEM_NOMEM);
    CHECK_EQUAL(done, 1);
    expect_bytes(page, 2 * page, 3 * page);
    heap.backend = backend;
    CHECK_EQUAL(osmem_free(v, 4 * page, (osmem_bytes){.prepared = page, .ready = 3 * page}, &heap), OSMEM_OK);
    CHECK_EQUAL(osmem_free(r, 2 * page, (osmem_bytes){.reserved = page, .prepared = page}, &heap), OSMEM_OK);
    expect_bytes(0, 0, 0);
}

static void osmem_no_memory_is_an_error(void) {
    size_t far_too_much = (size_t)1 << 60;
    errno = 0;
    CHECK(!osmem_alloc(far_too_much, &heap));
    CHECK(!osmem_reserve(NULL, far_too_much, 0, &heap));
    CHECK_EQUAL(errno, 0);
    expect_bytes(0, 0, 0);
}

/* Every call from every state that it does not start from: stopped, with one line that says all. */
static char *in_state(int state) {
    char *v = osmem_reserve(NULL, 2 * page, 0, &heap);
    CHECK(v);
    if (state >= 1)
        CHECK_EQUAL(osmem_map(v, 2 * page, &heap), OSMEM_OK);
    if (state >= 2)
        CHECK_EQUAL(osmem_used(v, 2 * page, 2 * page, &heap), OSMEM_OK);
    if (state == 3) /* None again */
        CHECK_EQUAL(osmem_free(v, 2 * page, (osmem_bytes){.ready = 2 * page}, &heap), OSMEM_OK);
    return v;
}

static osmem_result move(int call, char *v) {
    size_t n = 2 * page;
    switch (call) {
    case 0:
        return osmem_map(v, n, &heap);
    case 1:
        return osmem_used(v, n, n, &heap);
    case 2:
        return osmem_unused(v, n, &heap);
    case 3:
        return osmem_unmap(v, n, &heap);
    case 4:
        return osmem_fault(v, n, &heap);
    case 5:
        return osmem_used(v, n, page, &heap); /* half of it Prepared: true of none of the ranges */
    case 6:
        return osmem_free(v, n, (osmem_bytes){.reserved = page, .ready = page}, &heap);
    case 7:
        return osmem_huge_page(v, n, &heap);
    default:
        return osmem_collapse(v, n, &heap);
    }
}

static void osmem_checker_stops_each_wrong_move(void) {
    static const char *const calls[] = {"map",  "used", "unused", "unmap", "fault",
                                        "used", "free", "a hint", "a hint"};
    static const char *const states[] = {"Reserved", "Prepared", "Ready", "None"};
    static const int starts_from[] = {0, 1, 2, 1, 2, -1, -1, -2, -2}; /* -2: all but None */
    for (int call = 0; call < 9; call++)
        for (int state = 0; state < 4; state++) {
            bool legal = starts_from[call] == state || (starts_from[call] == -2 && state != 3);
            int ends[2], status;
            char text[512] = "", wanted[64];
            CHECK_EQUAL(pipe(ends), 0);
            fflush(stdout);
            pid_t child = fork();
            if (child == 0) {
                dup2(ends[1], 2);
                osmem_stat_check(&heap);
                move(call, in_state(state));
                _exit(0);
            }
            close(ends[1]);
            ssize_t length = read(ends[0], text, sizeof text - 1);
            close(ends[0]);
            CHECK_EQUAL(waitpid(child, &status, 0), child);
            if (legal) {
                CHECK(length == 0 && status == 0);
                continue;
            }
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
            snprintf(wanted, sizeof wanted, "wrong move: %s of [0x", calls[call]);
            CHECK(strstr(text, wanted));
            snprintf(wanted, sizeof wanted, " is %s since ", states[state]);
            if (call < 5 || call > 6)
                CHECK(strstr(text, wanted));
            CHECK(strstr(text, "; needed: ") && strchr(text, '\n') == text + length - 1);
        }
}

/* A stat that is taken more from than it holds: every build stops at it. */
static void osmem_ledger_underflow_is_found(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        osmem_stat empty;
        osmem_stat_init(&empty, "empty", backend, NULL);
        fclose(stderr);
        char *v = osmem_alloc(page, &heap);
        osmem_transfer(v, page, (osmem_bytes){.ready = page}, &empty, &heap);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Pages move, bytes are not copied: what was resident at one place is at the other, with the same
 * contents. */
static void osmem_move_takes_pages_along(void) {
    size_t bytes = 512 * page;
    char *v = osmem_alloc(4 * bytes, &heap), *from = v, *to = v + 2 * bytes;
    osmem_result expected = backend->move ? OSMEM_OK : OSMEM_UNSUPPORTED;
    CHECK(v);
    for (size_t i = 0; i < bytes; i += 8)
        memcpy(from + i, &i, 8);
    memset(to, 7, page);
    osmem_bytes before = osmem_stat_read(&heap, NULL);
    CHECK_EQUAL(osmem_move(from, from + bytes / 2, bytes, &heap), OSMEM_INVALID);
    CHECK_EQUAL(osmem_move(from, to, bytes, &heap), expected);
    osmem_bytes after = osmem_stat_read(&heap, NULL);
    CHECK(!memcmp(&before, &after, sizeof before));
    char *holds = expected == OSMEM_OK ? to : from;
    for (size_t i = 0; i < bytes; i += 8)
        CHECK(!memcmp(holds + i, &i, 8));
    CHECK_EQUAL(resident_pages(holds, bytes), 512);
    if (expected == OSMEM_OK) {
        CHECK_EQUAL(resident_pages(from, bytes), 0);
        memset(from, 1, bytes); /* still there to be used */
    }
    CHECK_EQUAL(to[-1] | to[bytes], 0); /* the neighbours are untouched */
    CHECK_EQUAL(osmem_free(v, 4 * bytes, (osmem_bytes){.ready = 4 * bytes}, &heap), OSMEM_OK);
}

/* The lazy back end: the kernel knows that it may take the pages, though it has not yet. */
static void osmem_lazy_memory_may_be_taken(void) {
    osmem_stat lazy;
    char line[256];
    bool here = false;
    size_t lazy_kib = 0, kib;
    osmem_stat_init(&lazy, "lazy", osmem_backend_system_lazy(), NULL);
    CHECK(!lazy.traits.zero_after_unused);
    char *v = osmem_alloc(1024 * page, &lazy);
    memset(v, 1, 1024 * page);
    CHECK_EQUAL(osmem_unused(v, 512 * page, &lazy), OSMEM_OK);
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long first, end;
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            here = first <= (uintptr_t)v && (uintptr_t)v < end;
        if (here && sscanf(line, "LazyFree: %zu kB", &kib) == 1)
            lazy_kib += kib;
    }
    fclose(maps);
    CHECK(lazy_kib >= 400 * page >> 10); /* not all: the kernel keeps the last few in a queue */
    CHECK_EQUAL(v[512 * page], 1);
    osmem_bytes by_state = {.prepared = 512 * page, .ready = 512 * page};
    CHECK_EQUAL(osmem_free(v, 1024 * page, by_state, &lazy), OSMEM_OK);
}

int main(void) {
    const osmem_backend *backends[] = {osmem_backend_system(), osmem_backend_posix()};
    page = osmem_os_page_bytes();
    for (int i = 0; i < 2; i++) {
        backend = backends[i];
        printf("# %s\n", backend->name);
        osmem_stat_init(&total, "total", backend, NULL);
        osmem_stat_init(&heap, "heap", backend, &total);
        CHECK_EQUAL(heap.traits.os_page_bytes, (size_t)sysconf(_SC_PAGESIZE));
        RUN(osmem_whole_life_of_a_range);
        RUN(osmem_alloc_is_ready_and_zero);
        RUN(osmem_stat_goes_to_another_parent);
        RUN(osmem_reserve_takes_hint_and_alignment);
        RUN(osmem_exactly_there_or_not_at_all);
        RUN(osmem_growth_in_one_call);
        RUN(osmem_locked_memory_is_kept);
        RUN(osmem_map_in_part_is_taken_back);
        RUN(osmem_free_of_what_is_not_so);
        RUN(osmem_unused_over_many_ranges);
        RUN(osmem_illegal_arguments_change_nothing);
        RUN(osmem_counts_only_what_succeeded);
        RUN(osmem_no_memory_is_an_error);
        RUN(osmem_checker_stops_each_wrong_move);
        RUN(osmem_move_takes_pages_along);
        RUN(osmem_ledger_underflow_is_found);
    }
    RUN(osmem_lazy_memory_may_be_taken);
    return 0;
}
