/* SPDX-License-Identifier: MIT */
/*
 * rules.c: runs the test program that it is linked into under the rules of another system:
 * RULES=windows:65536, a name and an OS page. A simulated system stands in for the real one, with the real
 * one's memory behind it (osmem_sim.h). At the end no call may have broken a rule, and the ledger must say
 * what the simulated system says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/arena/window.h"
#include "../../src/osmem/osmem_sim.h"
#include "../../src/osmem/standin.h"

static osmem_sim *sim;
static pid_t process;

static const struct {
    const char *name;
    osmem_sim_config config;
} systems[] = {
    {"linux", {.real = true}},
    /* VirtualAlloc: 64 KiB apart, nothing spans two reservations, a commit step, decommitted memory
     * faults. */
    {"windows", {.real = true, .reserve_bytes = 65536, .reservations_apart = true, .prepared_faults = true}},
    /* WebAssembly: what was reserved stays. */
    {"neverfrees", {.real = true, .never_frees = true}},
    {"32bit", {.real = true, .address_bytes = (size_t)3 << 30}},
};

static void fail(const char *what, size_t got, size_t wanted) {
    fprintf(stderr, "rules: %s: %zu, wanted %zu\n", what, got, wanted);
    _exit(1);
}

static void judge(void) {
    osmem_sim_figures truth = osmem_sim_read(sim);
    if (getpid() != process)
        return;
    printf("rules: %llu calls, %llu broke a rule\n", (unsigned long long)truth.calls,
           (unsigned long long)truth.broken);
    fflush(stdout);
    if (truth.broken)
        fail("calls that broke a rule", truth.broken, 0);
    if (!fl_the_window.table)
        return;
    osmem_bytes ledger = osmem_stat_read(&fl_stat_process, NULL);
    if (ledger.reserved != truth.inaccessible_bytes)
        fail("Reserved bytes in the ledger", ledger.reserved, truth.inaccessible_bytes);
    if (ledger.prepared + ledger.ready != truth.accessible_bytes)
        fail("Prepared and Ready bytes in the ledger", ledger.prepared + ledger.ready,
             truth.accessible_bytes);
}

__attribute__((constructor)) static void stand_in(void) {
    const char *rules = getenv("RULES"), *page = rules ? strchr(rules, ':') : NULL;
    for (size_t i = 0; page && i < sizeof systems / sizeof systems[0]; i++) {
        osmem_sim_config config = systems[i].config;
        if (strlen(systems[i].name) != (size_t)(page - rules) ||
            strncmp(systems[i].name, rules, (size_t)(page - rules)) != 0)
            continue;
        config.os_page_bytes = strtoul(page + 1, NULL, 10);
        if (!config.address_bytes)
            config.address_bytes = (size_t)1 << 46;
        sim = osmem_sim_create(&config);
    }
    if (!rules)
        return;
    if (!sim) {
        fprintf(stderr, "rules: '%s' is not a name and a page size\n", rules);
        exit(1);
    }
    process = getpid();
    fl_backend_stand_in(osmem_sim_backend(sim));
    atexit(judge);
}
