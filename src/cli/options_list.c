/* SPDX-License-Identifier: MIT */
/*
 * options_list.c: `fallow options`, and options on the command line of `fallow run`; both come from the
 * library's own table.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../malloc/optiontable.h"
#include "../malloc/optionvalues.h"
#include "commands.h"

#define ROW(name, kind, usual, what) \
    {#name, FL_USUAL_##kind(usual), FL_ACCEPTED_##kind, what, FL_OPTION_##kind},

static const struct row {
    const char *name, *usual, *accepted, *what;
    fl_option_kind kind;
} rows[] = {FL_OPTIONS(ROW)};

int fl_command_options(void) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("%-18s %s\n%18s accepted: %s; default: %s\n", rows[i].name, rows[i].what, "", rows[i].accepted,
               *rows[i].usual ? rows[i].usual : "none");
    printf("\nSet them with FALLOW_OPTIONS=name:value,name:value, fallow run --name=value, or "
           "fallow_option_set in C.\n");
    return 0;
}

static bool is_value(fl_option_kind kind, const char *text) {
    bool on;
    uint32_t number;
    size_t bytes;
    char path[FL_OPTION_PATH_BYTES];
    switch (kind) {
    case FL_OPTION_SWITCH:
        return fl_read_switch(text, strlen(text), &on);
    case FL_OPTION_NUMBER:
        return fl_read_number(text, strlen(text), &number);
    case FL_OPTION_BYTES:
        return fl_read_bytes(text, strlen(text), &bytes);
    case FL_OPTION_PATH:
        return !strchr(text, ',') && fl_read_path(text, strlen(text), path);
    }
    return false;
}

bool fl_pass_option(const char *argument) {
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && strncmp(argument, "--", 2) == 0; i++) {
        char option[512];
        if (strlen(rows[i].name) != length - 2 || memcmp(rows[i].name, argument + 2, length - 2))
            continue;
        if (!equals || !is_value(rows[i].kind, equals + 1)) {
            fl_fail(argument, rows[i].accepted);
            return false;
        }
        snprintf(option, sizeof option, "%s:%s", rows[i].name, equals + 1);
        if (fl_extend_environment("FALLOW_OPTIONS", option, ",", false))
            return true;
        fl_fail("environment", strerror(errno));
        return false;
    }
    fl_fail(argument, "unknown option; accepted: --stats, --hardened, and --name=value for each option that "
                      "`fallow options` lists");
    return false;
}
