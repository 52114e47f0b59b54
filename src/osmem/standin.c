/* SPDX-License-Identifier: MIT */
#include "standin.h"

#include "../system/sized.h"
#include "backend.h"

static const osmem_backend *stand_in; /* written before anybody else is there to read it */

void fl_backend_stand_in(const osmem_backend *backend) {
    stand_in = backend;
}

const osmem_backend *osmem_backend_system(void) {
    return stand_in ? stand_in : fl_backend_native();
}

size_t osmem_os_page_bytes(void) {
    return stand_in ? fl_backend_traits(stand_in).os_page_bytes : fl_system_page_bytes();
}

bool osmem_backend_traits_sized(const osmem_backend *backend, osmem_traits *traits, size_t traits_bytes) {
    osmem_traits ours = fl_backend_traits(backend);
    return fl_sized_fill(traits, traits_bytes, &ours, sizeof ours, sizeof ours);
}
