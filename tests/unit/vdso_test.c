/* SPDX-License-Identifier: MIT */
/* The kernel's own code for clocks: found, right, and never out of the bounds of a damaged image. */
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../src/system/system.h"
#include "../../src/system/vdso.h"
#include "../lib/check.h"

#define IMAGE_BYTES_MAX ((size_t)64 << 10)

static char *image;
static size_t image_bytes; /* 0: this process has none */

/* The pages that the kernel lists for it. */
static void copy_image(void) {
    const char *start = (const char *)getauxval(AT_SYSINFO_EHDR);
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps);
    while (start && fgets(line, sizeof line, maps)) {
        uintptr_t first, end;
        if (strstr(line, "[vdso]") && sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &first, &end) == 2)
            image_bytes = end - first;
    }
    fclose(maps);
    CHECK(image_bytes <= IMAGE_BYTES_MAX);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (IMAGE_BYTES_MAX + page - 1) & ~(page - 1);
    /* What lies behind the image may not be read. */
    image = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(image != MAP_FAILED);
    CHECK_EQUAL(mprotect(image + room, page, PROT_NONE), 0);
    image += room - image_bytes;
    if (image_bytes)
        memcpy(image, start, image_bytes);
}

static void vdso_clock_is_found(void) {
    fl_vdso_clock *clock = fl_vdso_find_clock();
    if (!image_bytes) {
        CHECK(!clock);
        return;
    }
#ifdef __x86_64__
    CHECK_EQUAL((uintptr_t)clock - getauxval(AT_SYSINFO_EHDR),
                fl_vdso_find(image, image_bytes, "__vdso_clock_gettime"));
    CHECK(fl_vdso_find(image, image_bytes, "__vdso_getcpu") != 0);
#endif
    CHECK_EQUAL(fl_vdso_find(image, image_bytes, "__vdso_clock_gettim"), 0);
    CHECK_EQUAL(fl_vdso_find(image, image_bytes, "__vdso_clock_gettime64x"), 0);
    CHECK_EQUAL(fl_vdso_find(image, image_bytes, ""), 0);
}

static uint64_t ns_of(clockid_t clock) {
    struct timespec now;
    CHECK_EQUAL(clock_gettime(clock, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void clocks_are_those_of_the_system(void) {
    for (int i = 0; i < 1000; i++) {
        uint64_t before = ns_of(CLOCK_MONOTONIC), now = fl_system_now_ns();
        CHECK(before <= now && now <= ns_of(CLOCK_MONOTONIC));
        before = ns_of(CLOCK_PROCESS_CPUTIME_ID), now = fl_system_process_cpu_ns();
        CHECK(before <= now && now <= ns_of(CLOCK_PROCESS_CPUTIME_ID));
        before = ns_of(CLOCK_THREAD_CPUTIME_ID), now = fl_system_thread_cpu_ns();
        CHECK(before <= now && now <= ns_of(CLOCK_THREAD_CPUTIME_ID));
    }
    uint64_t date = fl_system_date_ns();
    CHECK(date - ns_of(CLOCK_REALTIME) + 1000000000u < 2000000000u);
    uint64_t start = fl_system_now_ns();
    fl_system_sleep_ns(20000000);
    CHECK(fl_system_now_ns() - start >= 20000000);
}

/* Cut off anywhere, with any bytes changed: an answer inside the image, or none. */
static void vdso_damaged_images_are_survived(void) {
    static char whole[IMAGE_BYTES_MAX];
    uint64_t random = 5;
    memcpy(whole, image, image_bytes);
    for (size_t bytes = 0; bytes < image_bytes; bytes += bytes < 2048 ? 1 : 64) {
        char *end = image + image_bytes, *start = (char *)((uintptr_t)(end - bytes) & ~(uintptr_t)15);
        memmove(start, whole, bytes);
        CHECK(fl_vdso_find(start, bytes, "__vdso_clock_gettime") <= bytes);
    }
    for (int round = 0; round < 200000; round++) {
        memcpy(image, whole, image_bytes < 2048 ? image_bytes : 2048);
        for (int i = 0; i < 4; i++) {
            size_t at = check_random(&random) % 1600;
            uint64_t value = check_random(&random) >> (8 * (check_random(&random) % 8));
            if (at + sizeof value <= image_bytes)
                memcpy(image + at, &value, 1 + check_random(&random) % 8);
        }
        CHECK(fl_vdso_find(image, image_bytes, "__vdso_clock_gettime") <= image_bytes);
    }
}

int main(void) {
    copy_image();
    RUN(vdso_clock_is_found);
    RUN(clocks_are_those_of_the_system);
    RUN(vdso_damaged_images_are_survived);
    return 0;
}
