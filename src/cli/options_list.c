/* SPDX-License-Identifier: MIT */
/*
 * options_list.c: `fallow options`, and options on the command line of `fallow run`: both from the library's own table.
 */
#include <stdio.h>
#include <string.h>

#include "../malloc/optiontable.h"
#include "commands.h"

#define ROW(name, kind, usual, what) {#name, usual, FL_ACCEPTED_##kind, what},

static const struct row { const char *name, *usual, *accepted, *what; } rows[] = {FL_OPTIONS(ROW)};

int fl_command_options(void) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("%-18s %s\n%18s accepted: %s; usual: %s\n", rows[i].name, rows[i].what, "", rows[i].accepted,
               *rows[i].usual ? rows[i].usual : "none");
    printf(
        "\nFALLOW_OPTIONS=name:value,name:value, or fallow run --name=value, or fallow_option_set in C.\n");
    return 0;
}

bool fl_pass_option(const char *argument) {
    const char *equals = strchr(argument, '=');
    if (strncmp(argument, "--", 2) || !equals)
        return false;
    size_t length = (size_t)(equals - argument) - 2;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char option[512];
        if (strlen(rows[i].name) != length || memcmp(rows[i].name, argument + 2, length))
            continue;
        return snprintf(option, sizeof option, "%s:%s", rows[i].name, equals + 1) < (int)sizeof option &&
               !strchr(equals, ',') && fl_extend_environment("FALLOW_OPTIONS", option, ",", false);
    }
    return false;
}
