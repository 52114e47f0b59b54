/* SPDX-License-Identifier: MIT */
/* standin.h: which back end is the system's: its own, or one that stands in for it. */
#ifndef FL_STANDIN_H
#define FL_STANDIN_H

#include "fallow/osmem.h"

/* From now on, osmem_backend_system and osmem_os_page_bytes mean this one: for running a whole program under the rules of
 * another system (osmem_sim.h). Before anything else of fallow is used. NULL: the system's own again. */
void fl_backend_stand_in(const osmem_backend *backend);

#endif
