/* SPDX-License-Identifier: MIT */
/*
 * faults.h: the simulated system for memory (osmem_sim.h, under the rules of one system or another), which
 * refuses when the seed says, or at the n-th call exactly.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdio.h>

#include "../../src/osmem/osmem_sim.h"
#include "world.h"

/* Makes the system that the seed draws, and lets it stand in for the real one. `plain`: Linux as it usually
 * is. */
void sim_system_begin(bool plain);

/* Refuses from here on, as the seed has drawn; no longer. */
void sim_faults_begin(void);
void sim_faults_end(void);

/* Instead: the nth call from now on (1: the next) is refused, nobody else. */
void sim_faults_at(uint64_t nth, osmem_result result);
bool sim_faults_has_happened(void);

/* Does the world refuse at all? Then a NULL is nothing to wonder at. */
bool sim_faults_are_there(void);

bool sim_fault_of_fence(void);
bool sim_fences_fail(void); /* now and then */
bool sim_fault_of_thread(void);

osmem_sim *sim_system(void);

/* What a seed has drawn, in words. */
void sim_faults_describe(char *text, size_t bytes);

#endif
