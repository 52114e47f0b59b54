/* SPDX-License-Identifier: MIT */
/*
 * commands.h: the commands of the `fallow` program; each gets the arguments after its name and returns the
 * exit status. And what they share.
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

/* "--name=value" for a name that is in the table of options: into FALLOW_OPTIONS. False: it is none, or not such a value, which
 * has been said. */
bool fl_pass_option(const char *argument);

/* One line on standard error; returns 2, the exit status for it. */
int fl_fail(const char *what, const char *why);

/* Puts one of our libraries first in LD_PRELOAD; where that fails, says so. */
bool fl_preload(const char *name);

/* name=value, behind what is there already and a separator; in front of it if first is set. */
bool fl_extend_environment(const char *name, const char *value, const char *separator, bool first);

/* Becomes a program; returns only where that fails, with the exit status for it. */
int fl_become(char **arguments);

#endif
