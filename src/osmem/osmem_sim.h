/* SPDX-License-Identifier: MIT */
/*
 * osmem_sim.h: a simulated system under osmem: no memory, only its rules. For tests of what stands on osmem,
 * and for sizes that no machine has. It is a library of the tests' own (fallow-sim), in none that is
 * installed.
 *
 * Addresses of a sim are numbers: never read or write through them; osmem_sim_touch says what would happen.
 * They lie above 2^47, where no process has memory, so that a sim and the real system can be used side by
 * side. (Those of a real one are addresses like any other, from 2^45 on; there is one such sim at a time.)
 *
 * Threads: a sim may be used from several threads.
 */
#ifndef FL_OSMEM_SIM_H
#define FL_OSMEM_SIM_H

#include "fallow/osmem.h"

typedef struct osmem_sim osmem_sim;

/* As in vm.overcommit_memory of Linux: 0, 1, 2. */
typedef enum osmem_sim_overcommit {
    OSMEM_SIM_HEURISTIC, /* one mapping larger than all memory is refused */
    OSMEM_SIM_ALWAYS,
    OSMEM_SIM_STRICT /* what is mapped read-write is charged when it is mapped, against commit_limit_bytes */
} osmem_sim_overcommit;

typedef struct osmem_sim_config {
    size_t os_page_bytes;      /* 0: 4096; any power of two from there on */
    size_t huge_page_bytes;    /* 0: there are none */
    size_t address_bytes;      /* of the address space; 0: 4 TiB; at most 64 TiB */
    size_t memory_bytes;       /* that can be resident; 0: no bound */
    size_t commit_limit_bytes; /* for OSMEM_SIM_STRICT */
    size_t mappings_max;       /* as vm.max_map_count; 0: 65530 */
    osmem_sim_overcommit overcommit;
    bool dirty_after_unused; /* memory that was unused may read as its old contents */
    /* Rules of other systems, as in osmem_traits. A call that breaks one is OSMEM_INVALID, and counted. */
    size_t reserve_bytes; /* 0: the OS page */
    bool reservations_apart;
    bool never_frees;
    /* Memory of the program's own system stands behind it, at the same addresses, so that a whole program can
     * run under the rules. What is resident is not known then. With prepared_faults an access to Prepared
     * memory is a fault. */
    bool real;
    bool prepared_faults;
} osmem_sim_config;

/* NULL: no memory for it, or a config that breaks its rules. */
osmem_sim *osmem_sim_create(const osmem_sim_config *config) FALLOW_MUST_USE;
void osmem_sim_destroy(osmem_sim *sim);

/* The back end to give to osmem_stat_init; lives as long as the sim. */
const osmem_backend *osmem_sim_backend(osmem_sim *sim);

/* Where its addresses begin; they end config.address_bytes further on. */
uintptr_t osmem_sim_base(const osmem_sim *sim);

/* What an access to every page of a range would lead to. */
typedef enum osmem_sim_access {
    OSMEM_SIM_FINE,
    OSMEM_SIM_FAULT,    /* a page is not mapped read-write, or outside of the sim: SIGSEGV */
    OSMEM_SIM_NO_MEMORY /* memory_bytes are resident already: the process would be killed */
} osmem_sim_access;

osmem_sim_access osmem_sim_touch(osmem_sim *sim, void *start, size_t bytes);

typedef struct osmem_sim_figures {
    size_t inaccessible_bytes; /* mapped with no access: what should be Reserved */
    size_t accessible_bytes;   /* mapped read-write: what should be Prepared or Ready */
    size_t resident_bytes;
    size_t mappings; /* neighbours of one kind count once, as in the kernel */
    uint64_t faults; /* pages that became resident by a touch */
    uint64_t calls;  /* that the back end has been asked to make, refused ones included */
    uint64_t broken; /* of these, those that broke a rule: another kind, granularity, two reservations */
} osmem_sim_figures;

osmem_sim_figures osmem_sim_read(osmem_sim *sim);

/* Resident bytes of a range; what of it lies outside of the sim is none. */
size_t osmem_sim_resident_bytes(osmem_sim *sim, const void *start, size_t bytes);

/* Calls of a back end, for failing them. */
typedef enum osmem_sim_call {
    OSMEM_SIM_ANY,
    OSMEM_SIM_ALLOC,
    OSMEM_SIM_RESERVE,
    OSMEM_SIM_MAP,
    OSMEM_SIM_USED,
    OSMEM_SIM_UNUSED,
    OSMEM_SIM_UNMAP,
    OSMEM_SIM_FREE,
    OSMEM_SIM_HINT
} osmem_sim_call;

/*
 * From now on, the nth call of a kind (1: the next one) fails with result; nth 0: every one; result OSMEM_OK:
 * none any more. Before an unused over many ranges fails, it does partial_ranges of them. An unmap that fails
 * with OSMEM_LOST has lost the range: it is None.
 */
void osmem_sim_fail(osmem_sim *sim, osmem_sim_call call, uint64_t nth, osmem_result result,
                    size_t partial_ranges);

/* Has the failure that was asked for happened? */
bool osmem_sim_has_failed(const osmem_sim *sim);

/* The sim's clock: starts at 0, and moves when it is told to. */
uint64_t osmem_sim_now_ns(const osmem_sim *sim);
void osmem_sim_advance_ns(osmem_sim *sim, uint64_t duration_ns);

#endif
