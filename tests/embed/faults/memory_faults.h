/* SPDX-License-Identifier: MIT */
/* memory_faults.h: what of memory_faults.c lies in units that are compiled in another way. */
#ifndef MEMORY_FAULTS_H
#define MEMORY_FAULTS_H

#include <fallow/fallow.h>

#ifdef __cplusplus
extern "C" {
#endif

/* elsewhere.c: never compiled for a checker. */
char *elsewhere_alloc(fallow_arena *arena, size_t bytes);
void elsewhere_fill(char *block, size_t bytes);
void elsewhere_free(fallow_arena *arena, void *block);

/* containers.cpp */
void containers_use(fallow_arena *arena, fallow_pool *pool);
void containers_after_free(fallow_arena *arena);
void containers_beyond_reserved(fallow_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
