/* SPDX-License-Identifier: MIT */
/*
 * osmem under hard conditions: the n-th call fails, memory and mappings run out, commit is strict, madvise is
 * forbidden, many threads move at once.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/osmem/osmem_sim.h"
#include "../lib/check.h"
#include "../lib/refuse.h"
#include "fallow/osmem.h"

#define PAGE ((size_t)4096)

static osmem_sim *sim;
static osmem_stat stat;

static void start_sim(osmem_sim_config config) {
    sim = osmem_sim_create(&config);
    CHECK(sim);
    osmem_stat_init(&stat, "hard", osmem_sim_backend(sim), NULL);
    osmem_stat_check(&stat);
}

static void ledger_agrees(void) {
    osmem_bytes bytes = osmem_stat_read(&stat, NULL);
    osmem_sim_figures figures = osmem_sim_read(sim);
    CHECK_EQUAL(bytes.reserved, figures.inaccessible_bytes);
    CHECK_EQUAL(bytes.prepared + bytes.ready, figures.accessible_bytes);
    CHECK(figures.resident_bytes <= bytes.ready);
}

static void osmem_sim_outside_is_not_resident(void) {
    start_sim((osmem_sim_config){.address_bytes = 64 * PAGE});
    char *base = (char *)osmem_sim_base(sim), *v = osmem_reserve(base, 64 * PAGE, 0, &stat);
    CHECK(v == base);
    CHECK_EQUAL(osmem_map(v, 64 * PAGE, &stat), OSMEM_OK);
    CHECK_EQUAL(osmem_used(v, 64 * PAGE, 64 * PAGE, &stat), OSMEM_OK);
    CHECK_EQUAL(osmem_sim_touch(sim, v, PAGE), OSMEM_SIM_FINE);
    CHECK_EQUAL(osmem_sim_touch(sim, v + 63 * PAGE, PAGE), OSMEM_SIM_FINE);
    CHECK_EQUAL(osmem_sim_resident_bytes(sim, v - 100 * PAGE, 264 * PAGE), 2 * PAGE);
    CHECK_EQUAL(osmem_sim_resident_bytes(sim, v - PAGE, 2 * PAGE), PAGE);
    CHECK_EQUAL(osmem_sim_resident_bytes(sim, v + 63 * PAGE, 2 * PAGE), PAGE);
    CHECK_EQUAL(osmem_sim_resident_bytes(sim, v - PAGE, PAGE), 0);
    CHECK_EQUAL(osmem_sim_resident_bytes(sim, v + 64 * PAGE, 1000 * PAGE), 0);
    CHECK_EQUAL(osmem_sim_resident_bytes(sim, NULL, 1000 * PAGE), 0);
    CHECK_EQUAL(osmem_sim_touch(sim, v - PAGE, PAGE), OSMEM_SIM_FAULT);
    CHECK_EQUAL(osmem_sim_touch(sim, v + 64 * PAGE, PAGE), OSMEM_SIM_FAULT);
    osmem_sim_destroy(sim);
}

/* Every call once; what fails is left out, and what was got is given back by what the results said. */
static void scenario(void) {
    osmem_bytes its = {0};
    char *v = osmem_reserve(NULL, 16 * PAGE, 16 * PAGE, &stat);
    ledger_agrees();
    if (v) {
        its.reserved = 16 * PAGE;
        if (osmem_map(v, 16 * PAGE, &stat) == OSMEM_OK) {
            its = (osmem_bytes){.prepared = 16 * PAGE};
            if (osmem_used(v, 12 * PAGE, 12 * PAGE, &stat) == OSMEM_OK) {
                its = (osmem_bytes){.prepared = 4 * PAGE, .ready = 12 * PAGE};
                CHECK_EQUAL(osmem_sim_touch(sim, v, 12 * PAGE), OSMEM_SIM_FINE);
                osmem_range ranges[3] = {{v, PAGE}, {v + 2 * PAGE, PAGE}, {v + 4 * PAGE, PAGE}};
                size_t done = 77;
                osmem_result result = osmem_unused_ranges(ranges, 3, &done, &stat);
                CHECK(result == OSMEM_OK ? done == 3 : done < 3);
                its.ready -= done * PAGE;
                its.prepared += done * PAGE;
                ledger_agrees();
                if (osmem_fault(v + 6 * PAGE, PAGE, &stat) == OSMEM_OK) {
                    its.ready -= PAGE;
                    its.reserved += PAGE;
                }
                (void)!osmem_no_huge_page(v + 8 * PAGE, PAGE, &stat);
                ledger_agrees();
            }
            if (osmem_unmap(v + 14 * PAGE, PAGE, &stat) == OSMEM_OK) {
                its.prepared -= PAGE;
                its.reserved += PAGE;
            }
            ledger_agrees();
        }
        if (osmem_free(v, 16 * PAGE, its, &stat) != OSMEM_OK)
            CHECK_EQUAL(osmem_free(v, 16 * PAGE, its, &stat), OSMEM_OK); /* later is early enough */
    }
    char *w = osmem_alloc(2 * PAGE, &stat);
    ledger_agrees();
    if (w && osmem_free(w, 2 * PAGE, (osmem_bytes){.ready = 2 * PAGE}, &stat) != OSMEM_OK)
        CHECK_EQUAL(osmem_free(w, 2 * PAGE, (osmem_bytes){.ready = 2 * PAGE}, &stat), OSMEM_OK);
    ledger_agrees();
}

static void osmem_nth_call_fails(void) {
    for (size_t partial = 0; partial < 3; partial++)
        for (int result = OSMEM_NOMEM; result <= OSMEM_UNSUPPORTED; result++) {
            uint64_t n = 0;
            do {
                n++;
                start_sim((osmem_sim_config){0});
                /* In the way, so that the aligned reserve has to trim. */
                char *in_the_way = osmem_reserve(NULL, PAGE, 0, &stat);
                osmem_sim_fail(sim, OSMEM_SIM_ANY, n, (osmem_result)result, partial);
                scenario();
                CHECK(n < 100);
                osmem_bytes left = osmem_stat_read(&stat, NULL);
                /* What aligning could not give back is address space, and counted; nothing else stays. */
                CHECK_EQUAL(left.prepared + left.ready, 0);
                CHECK(left.reserved == PAGE || osmem_sim_has_failed(sim));
                CHECK(in_the_way);
                if (!osmem_sim_has_failed(sim))
                    n = 0;
                osmem_sim_destroy(sim);
            } while (n > 0);
        }
}

static void osmem_strict_overcommit(void) {
    start_sim((osmem_sim_config){.overcommit = OSMEM_SIM_STRICT, .commit_limit_bytes = 100 * PAGE});
    CHECK(stat.traits.prepared_is_charged);
    char *v = osmem_reserve(NULL, 1000 * PAGE, 0, &stat); /* Reserved is never charged */
    CHECK(v);
    CHECK_EQUAL(osmem_map(v, 101 * PAGE, &stat), OSMEM_NOMEM);
    CHECK_EQUAL(osmem_map(v, 100 * PAGE, &stat), OSMEM_OK);
    CHECK_EQUAL(osmem_used(v, 100 * PAGE, 100 * PAGE, &stat), OSMEM_OK);
    CHECK_EQUAL(osmem_unused(v, 100 * PAGE, &stat), OSMEM_OK);
    CHECK_EQUAL(osmem_map(v + 100 * PAGE, PAGE, &stat), OSMEM_NOMEM); /* unused keeps the charge */
    CHECK(!osmem_alloc(PAGE, &stat));
    CHECK_EQUAL(osmem_unmap(v, 10 * PAGE, &stat), OSMEM_OK); /* unmap gives it back */
    CHECK_EQUAL(osmem_map(v + 100 * PAGE, 10 * PAGE, &stat), OSMEM_OK);
    ledger_agrees();
    osmem_sim_destroy(sim);
}

static void osmem_mappings_run_out(void) {
    start_sim((osmem_sim_config){.mappings_max = 8});
    char *v = osmem_alloc(32 * PAGE, &stat);
    size_t freed = 0;
    osmem_bytes one = {.ready = PAGE};
    /* Every second page: each hole takes a mapping more. */
    while (freed < 16 && osmem_free(v + (2 * freed + 1) * PAGE, PAGE, one, &stat) == OSMEM_OK)
        freed++;
    CHECK_EQUAL(freed, 7);
    ledger_agrees();
    CHECK_EQUAL(osmem_unused(v + 17 * PAGE, PAGE, &stat), OSMEM_OK); /* its memory can go all the same */
    /* Room again: what could not be done now is done later. */
    CHECK_EQUAL(osmem_free(v, PAGE, one, &stat), OSMEM_OK);
    CHECK_EQUAL(osmem_free(v + 17 * PAGE, PAGE, (osmem_bytes){.prepared = PAGE}, &stat), OSMEM_OK);
    ledger_agrees();
    osmem_sim_destroy(sim);
}

static void osmem_memory_and_addresses_run_out(void) {
    start_sim((osmem_sim_config){.memory_bytes = 10 * PAGE, .address_bytes = 64 * PAGE});
    CHECK(!osmem_reserve(NULL, 65 * PAGE, 0, &stat));
    CHECK(!osmem_alloc(11 * PAGE, &stat)); /* more than there is, at once */
    char *v = osmem_alloc(8 * PAGE, &stat), *w = osmem_alloc(8 * PAGE, &stat);
    CHECK(v && w);
    CHECK_EQUAL(osmem_sim_touch(sim, v, 8 * PAGE), OSMEM_SIM_FINE);
    CHECK_EQUAL(osmem_sim_touch(sim, w, 8 * PAGE), OSMEM_SIM_NO_MEMORY);
    CHECK_EQUAL(osmem_unused(v, 8 * PAGE, &stat), OSMEM_OK);
    CHECK_EQUAL(osmem_sim_touch(sim, w, 8 * PAGE), OSMEM_SIM_FINE);
    CHECK(!osmem_reserve(NULL, 49 * PAGE, 0, &stat));
    CHECK(osmem_reserve(NULL, 48 * PAGE, 0, &stat));
    ledger_agrees();
    osmem_sim_destroy(sim);
}

/* In a child: madvise and process_madvise answer ENOSYS, as in a sandbox. Memory stays, and nothing else
 * happens. */
static void osmem_without_madvise(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        osmem_stat real;
        unsigned char in_core[64];
        size_t page = osmem_os_page_bytes();
        CHECK(refuse_calls(SYS_madvise, SYS_process_madvise, ENOSYS));
        for (int lazy = 0; lazy < 2; lazy++) {
            osmem_stat_init(&real, "real", lazy ? osmem_backend_system_lazy() : NULL, NULL);
            char *v = osmem_alloc(64 * page, &real);
            memset(v, 1, 64 * page);
            osmem_range ranges[2] = {{v, 8 * page}, {v + 16 * page, 8 * page}};
            size_t done = 7;
            CHECK_EQUAL(osmem_unused_ranges(ranges, 2, &done, &real), OSMEM_KEPT);
            CHECK_EQUAL(done, 0);
            CHECK_EQUAL(osmem_stat_read(&real, NULL).ready, 64 * page);
            CHECK_EQUAL(mincore(v, 64 * page, in_core), 0);
            for (int i = 0; i < 64; i++)
                CHECK(in_core[i] & 1 && v[(size_t)i * page] == 1);
            (void)!osmem_huge_page(v, 64 * page, &real); /* a hint: nothing is lost */
        }
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

/* Each thread moves ranges of its own; one stat counts them all. */
static osmem_stat shared, of_all;

static void *move_own_ranges(void *argument) {
    uint64_t random = (uintptr_t)argument;
    size_t page = osmem_os_page_bytes();
    for (int round = 0; round < 300; round++) {
        size_t pages = 1 + check_random(&random) % 20, n = pages * page;
        char *v = osmem_reserve(NULL, n, 0, &shared);
        CHECK(v);
        CHECK_EQUAL(osmem_map(v, n, &shared), OSMEM_OK);
        CHECK_EQUAL(osmem_used(v, n, n, &shared), OSMEM_OK);
        v[0] = v[n - 1] = 1;
        CHECK_EQUAL(osmem_unused(v, page, &shared), OSMEM_OK);
        osmem_bytes one = osmem_stat_read(&shared, NULL), all = osmem_stat_read(&of_all, NULL);
        CHECK(one.prepared >= page && one.ready + page >= n);
        CHECK(all.prepared >= page);
        CHECK_EQUAL(osmem_free(v, n, (osmem_bytes){.prepared = page, .ready = n - page}, &shared), OSMEM_OK);
    }
    return NULL;
}

static void osmem_counts_are_exact_under_threads(void) {
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    osmem_stat_init(&of_all, "all", NULL, NULL);
    osmem_stat_init(&shared, "shared", NULL, &of_all);
    osmem_stat_check(&shared);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, move_own_ranges, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    osmem_bytes one = osmem_stat_read(&shared, NULL), all = osmem_stat_read(&of_all, NULL);
    CHECK_EQUAL(one.reserved + one.prepared + one.ready, 0);
    CHECK_EQUAL(all.reserved + all.prepared + all.ready, 0);
}

int main(void) {
    RUN(osmem_sim_outside_is_not_resident);
    RUN(osmem_nth_call_fails);
    RUN(osmem_strict_overcommit);
    RUN(osmem_mappings_run_out);
    RUN(osmem_memory_and_addresses_run_out);
    RUN(osmem_without_madvise);
    RUN(osmem_counts_are_exact_under_threads);
    return 0;
}
