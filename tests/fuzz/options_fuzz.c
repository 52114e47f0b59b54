/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target over the text of FALLOW_OPTIONS, and over fallow_option_set: what is set and what is
 * reported, against a reader of its own, which cuts the text up first and looks at it then. What an option
 * does is left out.
 */
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "../../src/malloc/options.h"
#include "../../src/malloc/settings.h"
#include "../../src/system/fatal.h"
#include "../../src/system/system.h"
#include "../lib/fuzz_main.h"
#include "fallow/malloc.h"

#define TEXT_BYTES 4096
#define SHOWN_BYTES 100 /* of a name, and of a value, in a report */

fl_options fl_the_options;
static char text[TEXT_BYTES];
static unsigned applied[FL_OPTION_COUNT], wanted_applied[FL_OPTION_COUNT];
static unsigned reports, wanted_reports;
static char last_report[TEXT_BYTES], wanted_report[TEXT_BYTES];

/* In place of the library's: what stands in the environment, what is applied, what is reported. */
const char *fl_system_environment(const char *name) {
    CHECK_EQUAL(strcmp(name, "FALLOW_OPTIONS"), 0);
    return text;
}

void fl_option_apply(fl_option which) {
    applied[which]++;
}

void fl_warn(const char *what, const char *detail, const char *accepted) {
    CHECK_EQUAL(strcmp(what, "option"), 0);
    CHECK(strlen(accepted) > 10);
    CHECK(strlen(detail) < sizeof last_report);
    strcpy(last_report, detail);
    reports++;
}

#define ROW(name, kind, usual, what) {#name, FL_OPTION_##kind, offsetof(fl_options, name)},
static const struct row {
    const char *name;
    fl_option_kind kind;
    size_t place;
} rows[] = {FL_OPTIONS(ROW)};

static fl_options wanted;

/* A number with a unit, by arithmetic too wide to run over. */
static bool bytes_of(const char *value, size_t *out) {
    static const char units[] = "kKmMgGtT";
    size_t digits = strspn(value, "0123456789");
    const char *unit = value[digits] ? strchr(units, value[digits]) : NULL;
    unsigned __int128 sum = 0;
    if (!digits || (value[digits] && (!unit || value[digits + 1])))
        return false;
    for (size_t i = 0; i < digits; i++)
        sum = sum >> 100 ? sum : sum * 10 + (unsigned)(value[i] - '0');
    for (long i = unit ? (unit - units) / 2 + 1 : 0; i > 0; i--)
        sum = sum >> 100 ? sum : sum * 1024;
    *out = (size_t)sum;
    return sum <= SIZE_MAX;
}

static bool takes(const struct row *row, const char *value) {
    void *field = (char *)&wanted + row->place;
    size_t bytes;
    switch (row->kind) {
    case FL_OPTION_SWITCH:
        if (strcmp(value, "0") && strcmp(value, "1"))
            return false;
        *(bool *)field = *value == '1';
        return true;
    case FL_OPTION_NUMBER:
        if (!bytes_of(value, &bytes) || bytes > 1000000000 || !strchr("0123456789", value[strlen(value) - 1]))
            return false;
        *(uint32_t *)field = (uint32_t)bytes;
        return true;
    case FL_OPTION_BYTES:
        if (!bytes_of(value, &bytes))
            return false;
        *(size_t *)field = bytes;
        return true;
    case FL_OPTION_PATH:
        if (!*value || strlen(value) > 255)
            return false;
        strcpy(field, value);
        return true;
    }
    return false;
}

/* value NULL: there is no colon. */
static bool expect_one(const char *name, const char *value) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name) && value && takes(&rows[i], value)) {
            wanted_applied[i]++;
            return true;
        }
    snprintf(wanted_report, sizeof wanted_report, "%.*s%s%.*s", SHOWN_BYTES, name, value ? ":" : "",
             SHOWN_BYTES, value ? value : "");
    wanted_reports++;
    return false;
}

static void expect_text(char *all) {
    for (char *item = all, *after; item; item = after) {
        if ((after = strchr(item, ',')) != NULL)
            *after++ = '\0';
        char *colon = strchr(item, ':');
        if (colon)
            *colon++ = '\0';
        if (*item || colon)
            expect_one(item, colon);
    }
}

static void compare(void) {
    CHECK_EQUAL(reports, wanted_reports);
    CHECK_EQUAL(strcmp(last_report, wanted_report), 0);
    for (size_t i = 0; i < FL_OPTION_COUNT; i++)
        CHECK_EQUAL(applied[i], wanted_applied[i]);
#define COMPARE(name, kind, usual, what) COMPARE_##kind(name);
#define COMPARE_SWITCH(name) CHECK_EQUAL(fl_the_options.name, wanted.name)
#define COMPARE_NUMBER(name) CHECK_EQUAL(fl_the_options.name, wanted.name)
#define COMPARE_BYTES(name) CHECK_EQUAL(fl_the_options.name, wanted.name)
#define COMPARE_PATH(name) CHECK_EQUAL(strcmp(fl_the_options.name, wanted.name), 0)
    FL_OPTIONS(COMPARE)
}

/* What a text is likely to be made of: names that exist, and pieces of values, for bytes that are no text of
 * their own. */
static size_t piece(char *out, size_t room, unsigned byte) {
    static const char *const pieces[] = {":",  ",", "0", "1", "k", "t", "18446744073709551615", "16777216",
                                         "/a", "g", ";", "=", "M", " ", "00000000000000000000", "-"};
    size_t count = sizeof rows / sizeof *rows;
    const char *it = byte % 32 < 16 ? pieces[byte % 16] : rows[byte % count].name;
    size_t length = strlen(it);
    if (length > room)
        return 0;
    memcpy(out, it, length);
    return length;
}

static void make_text(fuzz_rest *from) {
    size_t length = 0;
    while (from->left && length < TEXT_BYTES - 1) {
        unsigned byte = fuzz_byte(from);
        if (byte >= 128)
            length += piece(text + length, TEXT_BYTES - 1 - length, byte);
        else if (byte)
            text[length++] = (char)byte;
    }
    text[length] = '\0';
}

static void clear(void) {
    fl_the_options = wanted = (fl_options){0};
    memset(applied, 0, sizeof applied);
    memset(wanted_applied, 0, sizeof wanted_applied);
    reports = wanted_reports = 0;
    last_report[0] = wanted_report[0] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    fuzz_rest from = {bytes, count};
    static char copy[TEXT_BYTES];
    make_text(&from);
    clear();
    expect_text(strcpy(copy, text));
    fl_options_init();
    compare();
    char *colon = strchr(strcpy(copy, text), ':');
    if (colon) { /* the same text as one name and one value, commas and all */
        *colon = '\0';
        CHECK_EQUAL(fallow_option_set(copy, colon + 1), expect_one(copy, colon + 1));
        compare();
    }
    return 0;
}

#ifndef FUZZER
int main(int argc, char **argv) {
    fuzz_main(argc, argv, 20000, 60);
    puts("ok options_fuzz_random_inputs");
    return 0;
}
#endif
