/* SPDX-License-Identifier: MIT */
/* Options: one that is set changes nothing else, whoever set that; a wrong value changes nothing at all. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/check.h"

#define MIB ((size_t)1 << 20)

static bool (*option_set)(const char *, const char *);
static void (*set_limits)(size_t, size_t);

static bool gets(size_t bytes) {
    void *block = malloc(bytes);
    bool got = block != NULL;
    free(block);
    return got;
}

static void option_changes_no_limit_of_the_programs(void) {
    static const char *const others[][2] = {{"stats_file", "/dev/null"}, {"idle_max", "1m"},
                                            {"give_back", "1"},          {"container", "0"},
                                            {"background_thread", "1"},  {"soft_limit", "1g"}};
    set_limits(0, 64 * MIB);
    CHECK(!gets(100 * MIB));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        CHECK(option_set(others[i][0], others[i][1]));
        CHECK(!gets(100 * MIB));
        CHECK(gets(30 * MIB));
    }
    CHECK(option_set("hard_limit", "200m"));
    CHECK(gets(100 * MIB));
    set_limits(0, 0);
    CHECK(option_set("soft_limit", "0"));
}

static void option_with_a_wrong_value_is_named_and_ignored(void) {
    static const char *const wrong[][2] = {{"hard_limit", "64x"},
                                           {"hard_limit", ""},
                                           {"background_thread", "2"},
                                           {"idle_max", "-1"},
                                           {"no_such_option", "1"}};
    int ends[2];
    char text[4096];
    CHECK_EQUAL(pipe(ends), 0);
    int before = dup(2);
    dup2(ends[1], 2);
    set_limits(0, 64 * MIB);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!option_set(wrong[i][0], wrong[i][1]));
    dup2(before, 2);
    close(ends[1]);
    ssize_t length = read(ends[0], text, sizeof text - 1);
    CHECK(length > 0);
    text[length] = '\0';
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(strstr(text, wrong[i][0]));
    CHECK(strstr(text, "64x"));
    CHECK(!gets(100 * MIB));
    set_limits(0, 0);
}

int main(void) {
    *(void **)&option_set = dlsym(RTLD_DEFAULT, "fallow_option_set");
    *(void **)&set_limits = dlsym(RTLD_DEFAULT, "fallow_set_limits");
    CHECK(option_set && set_limits);
    RUN(option_changes_no_limit_of_the_programs);
    RUN(option_with_a_wrong_value_is_named_and_ignored);
    return 0;
}
