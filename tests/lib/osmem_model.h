/* SPDX-License-Identifier: MIT */
/*
 * osmem_model.h: a simple model of a range's pages, and random legal moves on it and on osmem together. The
 * ledger must say what the model says, and the kernel (or the sim) hold what the ledger says. For one test
 * program at a time: everything is static.
 */
#ifndef OSMEM_MODEL_H
#define OSMEM_MODEL_H

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/osmem/osmem_sim.h"
#include "check.h"
#include "fallow/osmem.h"

enum { NONE, RESERVED, PREPARED, READY };
#define PAGES 48

static const osmem_backend *backend;
static osmem_sim *sim;  /* NULL: a real back end */
static osmem_stat stat; /* of the model's range */
static size_t page;
static char *base;
static int state[PAGES];
static bool touched[PAGES];       /* since it became Ready */
static unsigned char mark[PAGES]; /* what was written then */

/* From /proc/self/maps: 0 nothing there, 1 no access, 2 read-write; of each page of the model. */
static void ask_kernel(int found[PAGES]) {
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    memset(found, 0, PAGES * sizeof *found);
    while (fgets(line, sizeof line, maps)) {
        unsigned long first, end;
        char permissions[5];
        CHECK_EQUAL(sscanf(line, "%lx-%lx %4s", &first, &end, permissions), 3);
        for (int i = 0; i < PAGES; i++)
            if ((uintptr_t)base + i * page >= first && (uintptr_t)base + i * page < end)
                found[i] = permissions[0] == 'r' ? 2 : 1;
    }
    fclose(maps);
}

static bool is_resident(int i) {
    unsigned char in_core;
    if (sim)
        return osmem_sim_resident_bytes(sim, base + i * page, page) > 0;
    CHECK_EQUAL(mincore(base + i * page, page, &in_core), 0);
    return in_core & 1;
}

static void check_ledger(void) {
    osmem_bytes wanted = {0}, got = osmem_stat_read(&stat, NULL);
    for (int i = 0; i < PAGES; i++) {
        wanted.reserved += state[i] == RESERVED ? page : 0;
        wanted.prepared += state[i] == PREPARED ? page : 0;
        wanted.ready += state[i] == READY ? page : 0;
    }
    CHECK_EQUAL(got.reserved, wanted.reserved);
    CHECK_EQUAL(got.prepared, wanted.prepared);
    CHECK_EQUAL(got.ready, wanted.ready);
}

static void check_system(void) {
    int found[PAGES];
    size_t ready_resident = 0, touched_pages = 0;
    if (sim) {
        osmem_bytes bytes = osmem_stat_read(&stat, NULL);
        osmem_sim_figures figures = osmem_sim_read(sim);
        CHECK_EQUAL(figures.inaccessible_bytes, bytes.reserved);
        CHECK_EQUAL(figures.accessible_bytes, bytes.prepared + bytes.ready);
        CHECK(figures.resident_bytes <= bytes.ready);
    } else
        ask_kernel(found);
    for (int i = 0; i < PAGES; i++) {
        if (!sim)
            CHECK_EQUAL(found[i], state[i] >= PREPARED ? 2 : state[i] == RESERVED ? 1 : 0);
        if (state[i] < PREPARED)
            continue;
        if (state[i] == PREPARED && stat.traits.zero_after_unused)
            CHECK(!is_resident(i));
        if (state[i] == READY) {
            touched_pages += touched[i];
            ready_resident += is_resident(i);
            if (touched[i] && !sim)
                CHECK_EQUAL((unsigned char)base[i * page + 7], mark[i]);
        }
    }
    CHECK(ready_resident >= touched_pages); /* and equal to Ready once everything Ready was touched */
    if (stat.traits.zero_after_unused)
        CHECK_EQUAL(ready_resident, touched_pages);
}

/* Must fault: in a child, which a signal ends. */
static inline void check_fault(int i) {
    if (sim) {
        CHECK_EQUAL(osmem_sim_touch(sim, base + i * page, page), OSMEM_SIM_FAULT);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        base[i * page] = 1;
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void touch(int i) {
    if (sim)
        CHECK_EQUAL(osmem_sim_touch(sim, base + i * page, page), OSMEM_SIM_FINE);
    else {
        volatile char *at = base + i * page + 7;
        if (!touched[i] && stat.traits.zero_after_unused)
            CHECK_EQUAL(*at, 0);
        *at = (char)++mark[i];
    }
    touched[i] = true;
}

static int run_of(int first, int length, bool (*holds)(int)) {
    int end = first;
    while (end < PAGES && end < first + length && holds(state[end]))
        end++;
    return end;
}

static bool none(int s) {
    return s == NONE;
}
static bool reserved(int s) {
    return s == RESERVED;
}
static bool prepared(int s) {
    return s == PREPARED;
}
static bool ready(int s) {
    return s == READY;
}
static bool mapped(int s) {
    return s >= PREPARED;
}
static bool any(int s) {
    return s != NONE;
}

static void become(int first, int end, int now) {
    for (int i = first; i < end; i++) {
        if (now != READY || state[i] != READY)
            touched[i] = false;
        state[i] = now;
    }
}

static osmem_bytes by_state(int first, int end) {
    osmem_bytes bytes = {0};
    for (int i = first; i < end; i++)
        *(state[i] == RESERVED   ? &bytes.reserved
          : state[i] == PREPARED ? &bytes.prepared
                                 : &bytes.ready) += page;
    return bytes;
}

/*
 * Where choices come from: a generator, or the bytes of a fuzzer's input as long as there are any.
 */
typedef struct choices {
    uint64_t random;
    const uint8_t *bytes;
    size_t left;
} choices;

static uint64_t choose(choices *from) {
    if (from->left < 2)
        return check_random(&from->random);
    from->left -= 2;
    from->bytes += 2;
    return from->bytes[-2] | (uint64_t)from->bytes[-1] << 8;
}

/* One move that is legal where it starts, if the choice falls on one. */
static void step(choices *from) {
    int first = (int)(choose(from) % PAGES), length = 1 + (int)(choose(from) % 12), end;
    char *start = base + first * page;
    switch (choose(from) % 9) {
    case 0:
        if ((end = run_of(first, length, none)) > first) {
            char *got = osmem_reserve(start, (end - first) * page, 0, &stat);
            CHECK(got == start); /* nobody else is there */
            become(first, end, RESERVED);
        }
        break;
    case 1:
        if ((end = run_of(first, length, reserved)) > first) {
            CHECK_EQUAL(osmem_map(start, (end - first) * page, &stat), OSMEM_OK);
            become(first, end, PREPARED);
        }
        break;
    case 2:
    case 3:
        if ((end = run_of(first, length, mapped)) > first) {
            size_t its = by_state(first, end).prepared;
            CHECK_EQUAL(osmem_used(start, (end - first) * page, its, &stat), OSMEM_OK);
            become(first, end, READY);
        }
        break;
    case 4:
        if ((end = run_of(first, length, ready)) > first) {
            CHECK_EQUAL(osmem_unused(start, (end - first) * page, &stat), OSMEM_OK);
            become(first, end, PREPARED);
        }
        break;
    case 5:
        if ((end = run_of(first, length, prepared)) > first) {
            CHECK_EQUAL(osmem_unmap(start, (end - first) * page, &stat), OSMEM_OK);
            become(first, end, RESERVED);
        }
        break;
    case 6:
        if (choose(from) % 4 == 0 && (end = run_of(first, length, ready)) > first) {
            CHECK_EQUAL(osmem_fault(start, (end - first) * page, &stat), OSMEM_OK);
            become(first, end, RESERVED);
        }
        break;
    case 7:
        if (choose(from) % 4 == 0 && (end = run_of(first, length, any)) > first) {
            CHECK_EQUAL(osmem_free(start, (end - first) * page, by_state(first, end), &stat), OSMEM_OK);
            become(first, end, NONE);
        }
        break;
    default:
        end = run_of(first, length, ready);
        for (int i = first; i < end; i++)
            touch(i);
    }
}

static void start_model(void) {
    osmem_stat_init(&stat, "model", backend, NULL);
    osmem_stat_check(&stat);
    page = stat.traits.os_page_bytes;
    base = osmem_reserve(NULL, PAGES * page, 0, &stat);
    CHECK(base);
    become(0, PAGES, RESERVED);
}

static void end_model(void) {
    for (int i = 0; i < PAGES; i++)
        if (state[i] != NONE)
            CHECK_EQUAL(osmem_free(base + i * page, page, by_state(i, i + 1), &stat), OSMEM_OK);
    become(0, PAGES, NONE);
    check_ledger();
    check_system();
}

#endif
