/* SPDX-License-Identifier: MIT */
/* standin.h: chooses the system's back end: its own, or one that stands in for it. */
#ifndef FL_STANDIN_H
#define FL_STANDIN_H

#include "fallow/osmem.h"

/* Makes osmem_backend_system and osmem_os_page_bytes refer to this back end, so that a whole program runs
 * under the rules of another system (osmem_sim.h). Must come before any other use of fallow. NULL: the
 * system's own again. */
void fl_backend_stand_in(const osmem_backend *backend);

#endif
