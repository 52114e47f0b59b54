/* SPDX-License-Identifier: MIT */
/*
 * The table of options and who reads it: values by kind, what holds when nothing is set, texts of the
 * environment. Whether an option does what it says is for tests/malloc; here what is applied is only written
 * down.
 */
#include <string.h>
#include <unistd.h>

#include "../../src/malloc/options.h"
#include "../../src/malloc/settings.h"
#include "../lib/check.h"
#include "fallow/malloc.h"

#define LENGTH(table) (sizeof(table) / sizeof *(table))

#define PLACE(name) offsetof(fl_options, name), sizeof fl_the_options.name
#define ROW(name, kind, usual, what) {#name, FL_USUAL_##kind(usual), what, FL_OPTION_##kind, PLACE(name)},
static const struct row {
    const char *name, *usual, *what;
    fl_option_kind kind;
    size_t place, bytes;
} rows[] = {FL_OPTIONS(ROW)};

static unsigned applied[FL_OPTION_COUNT];

/* In place of fl_option_apply, by the linker. */
void __wrap_fl_option_apply(fl_option which);

void __wrap_fl_option_apply(fl_option which) {
    applied[which]++;
}

static const struct value_case {
    fl_option_kind kind;
    const char *text;
    bool accepted;
    size_t value;
} value_cases[] = {
    {FL_OPTION_SWITCH, "0", true, 0},
    {FL_OPTION_SWITCH, "1", true, 1},
    {FL_OPTION_SWITCH, "", false, 0},
    {FL_OPTION_SWITCH, "2", false, 0},
    {FL_OPTION_SWITCH, "01", false, 0},
    {FL_OPTION_SWITCH, "on", false, 0},
    {FL_OPTION_NUMBER, "0", true, 0},
    {FL_OPTION_NUMBER, "5000", true, 5000},
    {FL_OPTION_NUMBER, "0001", true, 1},
    {FL_OPTION_NUMBER, "1000000000", true, 1000000000},
    {FL_OPTION_NUMBER, "1000000001", false, 0},
    {FL_OPTION_NUMBER, "4294967297", false, 0},
    {FL_OPTION_NUMBER, "99999999999999999999", false, 0},
    {FL_OPTION_NUMBER, "", false, 0},
    {FL_OPTION_NUMBER, "5k", false, 0},
    {FL_OPTION_NUMBER, "-1", false, 0},
    {FL_OPTION_BYTES, "0", true, 0},
    {FL_OPTION_BYTES, "4097", true, 4097},
    {FL_OPTION_BYTES, "1k", true, (size_t)1 << 10},
    {FL_OPTION_BYTES, "1K", true, (size_t)1 << 10},
    {FL_OPTION_BYTES, "12m", true, (size_t)12 << 20},
    {FL_OPTION_BYTES, "3G", true, (size_t)3 << 30},
    {FL_OPTION_BYTES, "2t", true, (size_t)2 << 40},
    {FL_OPTION_BYTES, "007", true, 7},
    {FL_OPTION_BYTES, "18446744073709551609", true, SIZE_MAX - 6},
    {FL_OPTION_BYTES, "18446744073709551615", true, SIZE_MAX},
    {FL_OPTION_BYTES, "18446744073709551616", false, 0},
    {FL_OPTION_BYTES, "99999999999999999999", false, 0},
    {FL_OPTION_BYTES, "16777215t", true, (size_t)16777215 << 40},
    {FL_OPTION_BYTES, "16777216t", false, 0},
    {FL_OPTION_BYTES, "", false, 0},
    {FL_OPTION_BYTES, "k", false, 0},
    {FL_OPTION_BYTES, "1kb", false, 0},
    {FL_OPTION_BYTES, "1kk", false, 0},
    {FL_OPTION_BYTES, "1x", false, 0},
    {FL_OPTION_BYTES, "-1", false, 0},
    {FL_OPTION_BYTES, "+1", false, 0},
    {FL_OPTION_BYTES, " 1", false, 0},
    {FL_OPTION_BYTES, "1 ", false, 0},
    {FL_OPTION_BYTES, "1.5g", false, 0},
    {FL_OPTION_BYTES, "0x10", false, 0},
};

static void values_of_each_kind(void) {
    for (size_t i = 0; i < LENGTH(value_cases); i++) {
        const struct value_case *it = &value_cases[i];
        char text[64];
        size_t length = strlen(it->text), bytes = 77;
        bool on = true, accepted;
        snprintf(text, sizeof text, "%s9,", it->text); /* what lies behind the value is not looked at */
        if (it->kind == FL_OPTION_SWITCH) {
            accepted = fl_read_switch(text, length, &on);
            bytes = accepted ? on : 77;
            CHECK(accepted || on);
        } else if (it->kind == FL_OPTION_NUMBER) {
            uint32_t number = 77;
            accepted = fl_read_number(text, length, &number);
            bytes = number;
        } else
            accepted = fl_read_bytes(text, length, &bytes);
        if (accepted != it->accepted)
            fprintf(stderr, "value '%s'\n", it->text);
        CHECK_EQUAL(accepted, it->accepted);
        CHECK_EQUAL(bytes, accepted ? it->value : 77);
    }
}

static void values_that_are_paths(void) {
    char text[FL_OPTION_PATH_BYTES + 1], path[FL_OPTION_PATH_BYTES] = "as it was";
    memset(text, 'p', sizeof text);
    CHECK(!fl_read_path(text, 0, path));
    CHECK(!fl_read_path(text, FL_OPTION_PATH_BYTES, path));
    CHECK_EQUAL(strcmp(path, "as it was"), 0);
    CHECK(fl_read_path(text, FL_OPTION_PATH_BYTES - 1, path));
    CHECK_EQUAL(strlen(path), FL_OPTION_PATH_BYTES - 1);
    CHECK(fl_read_path("/a:b, c", 4, path));
    CHECK_EQUAL(strcmp(path, "/a:b"), 0);
}

/* Is the option's field as this text says? */
static bool holds(const struct row *row, const char *text) {
    const char *field = (const char *)&fl_the_options + row->place;
    bool on;
    uint32_t number;
    size_t bytes;
    switch (row->kind) {
    case FL_OPTION_SWITCH:
        return fl_read_switch(text, strlen(text), &on) && memcmp(field, &on, sizeof on) == 0;
    case FL_OPTION_NUMBER:
        return fl_read_number(text, strlen(text), &number) && memcmp(field, &number, sizeof number) == 0;
    case FL_OPTION_BYTES:
        return fl_read_bytes(text, strlen(text), &bytes) && memcmp(field, &bytes, sizeof bytes) == 0;
    case FL_OPTION_PATH:
        return strcmp(field, text) == 0;
    }
    return false;
}

static void table_says_what_holds_and_is_in_order(void) {
    for (size_t i = 0; i < LENGTH(rows); i++) {
        if (!holds(&rows[i], rows[i].usual))
            fprintf(stderr, "option '%s' is not '%s'\n", rows[i].name, rows[i].usual);
        CHECK(holds(&rows[i], rows[i].usual));
        CHECK(rows[i].what[0] && !strpbrk(rows[i].name, ":,= "));
        CHECK(i == 0 || strcmp(rows[i - 1].name, rows[i].name) < 0);
    }
}

/* One is set: it alone changes, and it alone is applied, once. */
static void setting_one_changes_no_other(void) {
    static const char *const values[][2] = {[FL_OPTION_SWITCH] = {"0", "1"},
                                            [FL_OPTION_NUMBER] = {"7", "5000"},
                                            [FL_OPTION_BYTES] = {"3m", "5k"},
                                            [FL_OPTION_PATH] = {"/a", "/b:c"}};
    for (size_t i = 0; i < LENGTH(rows); i++)
        for (int k = 0; k < 2; k++) {
            fl_options wanted = fl_the_options;
            memset(applied, 0, sizeof applied);
            CHECK(fallow_option_set(rows[i].name, values[rows[i].kind][k]));
            CHECK(holds(&rows[i], values[rows[i].kind][k]));
            for (size_t other = 0; other < LENGTH(rows); other++)
                CHECK_EQUAL(applied[other], other == i);
            memcpy((char *)&wanted + rows[i].place, (char *)&fl_the_options + rows[i].place, rows[i].bytes);
            CHECK_EQUAL(memcmp(&wanted, &fl_the_options, sizeof wanted), 0);
        }
}

/* What holds afterwards, in k; and what is named on standard error, once each. */
static const struct text_case {
    const char *text;
    size_t soft_k, idle_k;
    const char *named[3];
} text_cases[] = {
    {"", 0, 0, {NULL}},
    {"soft_limit:1k,idle_max:2k", 1, 2, {NULL}},
    {",,soft_limit:1k,,idle_max:2k,", 1, 2, {NULL}},
    {"soft_limit:1k,soft_limit:3k", 3, 0, {NULL}},
    {"soft_limit:1k,soft_limit:x", 1, 0, {"'soft_limit:x'"}},
    {"soft_limit", 0, 0, {"'soft_limit'"}},
    {"soft_limit:", 0, 0, {"'soft_limit:'"}},
    {"soft_limit:1k:2k,idle_max:2k", 0, 2, {"'soft_limit:1k:2k'"}},
    {"soft:1k,soft_limits:1k,Soft_limit:1k", 0, 0, {"'soft:1k'", "'soft_limits:1k'", "'Soft_limit:1k'"}},
    {":1k,idle_max:2k", 0, 2, {"':1k'"}},
    {"idle_max=2k,soft_limit:1k", 1, 0, {"'idle_max=2k'"}},
    {" soft_limit:1k", 0, 0, {"' soft_limit:1k'"}},
};

static void read_environment(const char *text, char *said, size_t bytes) {
    int ends[2], before = dup(2);
    CHECK_EQUAL(pipe(ends), 0);
    CHECK_EQUAL(setenv("FALLOW_OPTIONS", text, 1), 0);
    fl_the_options.soft_limit = fl_the_options.idle_max = 0;
    dup2(ends[1], 2);
    fl_options_init();
    dup2(before, 2);
    close(before);
    close(ends[1]);
    ssize_t got = read(ends[0], said, bytes - 1);
    CHECK(got >= 0);
    said[got] = '\0';
    close(ends[0]);
}

static size_t lines(const char *text) {
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void environment_cases(void) {
    char said[4096];
    for (size_t i = 0; i < LENGTH(text_cases); i++) {
        const struct text_case *it = &text_cases[i];
        size_t named = 0;
        read_environment(it->text, said, sizeof said);
        if (fl_the_options.soft_limit != it->soft_k << 10 || fl_the_options.idle_max != it->idle_k << 10)
            fprintf(stderr, "text '%s'\n", it->text);
        CHECK_EQUAL(fl_the_options.soft_limit, it->soft_k << 10);
        CHECK_EQUAL(fl_the_options.idle_max, it->idle_k << 10);
        for (; named < LENGTH(it->named) && it->named[named]; named++)
            CHECK(strstr(said, it->named[named]));
        CHECK_EQUAL(lines(said), named);
    }
}

int main(void) {
    RUN(values_of_each_kind);
    RUN(values_that_are_paths);
    RUN(table_says_what_holds_and_is_in_order);
    RUN(setting_one_changes_no_other);
    RUN(environment_cases);
    return 0;
}
