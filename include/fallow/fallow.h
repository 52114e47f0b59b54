/* SPDX-License-Identifier: MIT */
/*
 * fallow.h: everything that libfallow offers.
 *
 *   arena.h   heaps with a limit, figures and an end of their own
 *   pool.h    memory of a request
 *   fixed.h   an allocator inside memory that you have
 *   process.h all of it together: limits, figures, giving back
 *   profile.h which calls hold memory
 *   stats.h   what of an arena is live, by size class
 *   osmem.h   address space in four states
 */
#ifndef FALLOW_FALLOW_H
#define FALLOW_FALLOW_H

#include "arena.h"
#include "fixed.h"
#include "osmem.h"
#include "pool.h"
#include "process.h"
#include "profile.h"
#include "stats.h"
#include "version.h"

#endif
