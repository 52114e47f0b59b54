/* SPDX-License-Identifier: MIT */
/* Memory limits and stalls of control groups, read from trees of files made here. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/system/container.h"
#include "../lib/check.h"

static char root[64];

/* A file under the root, and the folders that it lies in. */
static void write_file(const char *path, const char *text) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    CHECK(file);
    fputs(text, file);
    fclose(file);
}

static void start(void) {
    strcpy(root, "/tmp/fallow-container-XXXXXX");
    CHECK(mkdtemp(root));
}

static void end(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK_EQUAL(system(command), 0);
}

static void container_without_files_there_is_no_limit(void) {
    start();
    CHECK_EQUAL(fl_container_limit(root), 0);
    CHECK_EQUAL(fl_container_stalls_ns(root), 0);
    write_file("/proc/self/cgroup", "nonsense\n\n::\n0:\n");
    CHECK_EQUAL(fl_container_limit(root), 0);
    write_file("/proc/self/cgroup", "0::/");
    write_file("/sys/fs/cgroup/memory.max", "");
    CHECK_EQUAL(fl_container_limit(root), 0);
    end();
}

static void container_version_2(void) {
    start();
    write_file("/proc/self/cgroup", "0::/shop.slice/cart.service\n");
    write_file("/sys/fs/cgroup/shop.slice/memory.max", "2147483648\n");
    write_file("/sys/fs/cgroup/shop.slice/memory.high", "max\n");
    write_file("/sys/fs/cgroup/shop.slice/cart.service/memory.max", "max\n");
    CHECK_EQUAL(fl_container_limit(root), 2147483648); /* of the group above */
    write_file("/sys/fs/cgroup/shop.slice/cart.service/memory.max", "1073741824\n");
    CHECK_EQUAL(fl_container_limit(root), 1073741824);
    write_file("/sys/fs/cgroup/shop.slice/cart.service/memory.high", "805306368\n");
    CHECK_EQUAL(fl_container_limit(root), 805306368);
    end();
}

/* A container sees its own group as the root, or is told a path of the host's. */
static void container_in_a_namespace(void) {
    start();
    write_file("/proc/self/cgroup", "0::/\n");
    write_file("/sys/fs/cgroup/memory.max", "536870912\n");
    CHECK_EQUAL(fl_container_limit(root), 536870912);
    write_file("/proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    CHECK_EQUAL(fl_container_limit(root), 536870912);
    write_file("/proc/self/cgroup", "0::/../../else/where\n");
    CHECK_EQUAL(fl_container_limit(root), 536870912);
    end();
}

static void container_version_1_and_both(void) {
    start();
    write_file("/proc/self/cgroup", "9:name=systemd:/\n5:cpu,memory,freezer:/jobs/7\n0::/\n");
    write_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file("/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "4294967296\n");
    write_file("/sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", "9223372036854771712\n");
    CHECK_EQUAL(fl_container_limit(root), 4294967296);
    write_file("/sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", "268435456\n");
    CHECK_EQUAL(fl_container_limit(root), 268435456);
    write_file("/sys/fs/cgroup/unified/memory.max", "134217728\n");
    CHECK_EQUAL(fl_container_limit(root), 134217728);
    end();
}

static void container_numbers_too_long_are_none(void) {
    start();
    write_file("/proc/self/cgroup", "0::/\n");
    write_file("/sys/fs/cgroup/memory.max", "99999999999999999999999999999999\n");
    CHECK_EQUAL(fl_container_limit(root), 0);
    end();
}

static void container_stalls(void) {
    start();
    write_file("/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234\n"
                                        "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n");
    CHECK_EQUAL(fl_container_stalls_ns(root), 1234000);
    write_file("/proc/self/cgroup", "0::/a\n");
    CHECK_EQUAL(fl_container_stalls_ns(root), 1234000);
    write_file("/sys/fs/cgroup/a/memory.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=77\n");
    CHECK_EQUAL(fl_container_stalls_ns(root), 77000);
    end();
}

int main(void) {
    RUN(container_without_files_there_is_no_limit);
    RUN(container_version_2);
    RUN(container_in_a_namespace);
    RUN(container_version_1_and_both);
    RUN(container_numbers_too_long_are_none);
    RUN(container_stalls);
    return 0;
}
