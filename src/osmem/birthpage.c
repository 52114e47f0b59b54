/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "birthpage.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "../system/system.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

volatile char *fl_birth_page(void) {
    size_t bytes = fl_system_page_bytes();
    int saved_errno = errno;
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED && madvise(page, bytes, MADV_WIPEONFORK) != 0) {
        munmap(page, bytes);
        page = MAP_FAILED;
    }
    errno = saved_errno;
    return page == MAP_FAILED ? NULL : page;
}
