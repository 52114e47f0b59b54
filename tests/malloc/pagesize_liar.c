/* SPDX-License-Identifier: MIT */
/* pagesize_liar.c: a library whose sysconf says that OS pages are as large as PAGE_BYTES says; preloaded
 * before fallow. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

long sysconf(int name) {
    static long (*next)(int);
    const char *bytes = getenv("PAGE_BYTES");
    if (name == _SC_PAGESIZE && bytes)
        return atol(bytes);
    if (!next)
        next = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    return next(name);
}
