/* SPDX-License-Identifier: MIT */
/* resident.h: what the kernel says of the calling process. No allocation in the asking. */
#ifndef RESIDENT_H
#define RESIDENT_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Sanitizers keep memory of their own for every thread and block: what is resident then says nothing of
 * us. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RESIDENT_IS_OURS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RESIDENT_IS_OURS 0
#endif
#endif
#ifndef RESIDENT_IS_OURS
#define RESIDENT_IS_OURS 1
#endif

/* Resident bytes, from /proc/self/statm; 0 if it cannot be read. */
static inline size_t resident_bytes(void) {
    char text[128];
    int file = open("/proc/self/statm", O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    size_t pages = 0, field = 0;
    for (ssize_t i = 0; i < length && field < 2; i++) {
        if (text[i] == ' ')
            field++;
        else if (field == 1)
            pages = pages * 10 + (size_t)(text[i] - '0');
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static inline void rest_ms(long ms) {
    struct timespec duration = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&duration, &duration))
        ;
}

#endif
