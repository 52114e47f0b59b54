/* SPDX-License-Identifier: MIT */
/*
 * backend.h: the back ends by name, for this floor and for tests.
 */
#ifndef FL_BACKEND_H
#define FL_BACKEND_H

#include "fallow/osmem.h"

/* The system's own, whatever stands in for it. */
const osmem_backend *fl_backend_native(void);

/* From now on, osmem_backend_system and osmem_os_page_bytes mean this one: for running a whole program under the rules of
 * another system (osmem_sim.h). Before anything else of fallow is used. NULL: the system's own again. */
void fl_backend_stand_in(const osmem_backend *backend);

#endif
