/* SPDX-License-Identifier: MIT */
/*
 * stats.c: `fallow stats`: the figures of a process that runs on fallow, read out of it from here: the
 * process is not stopped, and need not be told beforehand.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "statistics.h"
#include "target.h"

int fl_command_stats(int count, char **arguments) {
    static fl_target target;
    void (*print)(const fl_statistics *, FILE *) = fl_print_table;
    const char *number = NULL;
    fl_statistics all;
    for (int i = 0; i < count; i++)
        if (!strcmp(arguments[i], "--json"))
            print = fl_print_json;
        else if (!strcmp(arguments[i], "--metrics"))
            print = fl_print_metrics;
        else if (!strcmp(arguments[i], "--explain")) {
            fl_print_explanation(stdout);
            return 0;
        } else if (arguments[i][0] == '-' || number)
            return fl_fail(arguments[i], "unknown argument; accepted: PID, --json, --metrics, --explain");
        else
            number = arguments[i];
    if (!number)
        return fl_fail("stats", "no process given; expected a PID");
    bool told = fl_target_open(&target, number) && fl_statistics_gather(&all, &target);
    if (told) {
        print(&all, stdout);
        fl_statistics_free(&all);
    } else
        fprintf(stderr, "fallow: %s\n", target.wrong);
    fl_target_close(&target);
    return told ? 0 : 1;
}
