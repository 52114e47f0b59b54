/* SPDX-License-Identifier: MIT */
/*
 * commands.h: the commands of the `fallow` program, and what they share. Each gets the arguments after its
 * name and returns the exit status.
 */
#ifndef FL_COMMANDS_H
#define FL_COMMANDS_H

#include <stdbool.h>

int fl_command_run(int count, char **arguments);
int fl_command_record(int count, char **arguments);
int fl_command_replay(int count, char **arguments);
int fl_command_stats(int count, char **arguments);
int fl_command_top(int count, char **arguments);
int fl_command_profile(int count, char **arguments);
int fl_command_map(int count, char **arguments);
int fl_command_options(void);

/* Puts "--name=value" into FALLOW_OPTIONS if the table of options has the name. Returns false if it has not,
 * or if the value is wrong, which it has then said. */
bool fl_pass_option(const char *argument);

/* Writes one line to standard error; returns 2, the exit status for that. */
int fl_fail(const char *what, const char *why);

/* Puts one of our libraries first in LD_PRELOAD. Returns false if that fails, and has said so. */
bool fl_preload(const char *name);

/* Appends a value to a variable of the environment, behind a separator if there is a value already; prepends
 * it if `first`. */
bool fl_extend_environment(const char *name, const char *value, const char *separator, bool first);

/* Becomes a program. Returns only if that fails, with the exit status for it. */
int fl_become(char **arguments);

#endif
