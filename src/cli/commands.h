/* SPDX-License-Identifier: MIT */
/*
 * commands.h: the commands of the `fallow` program; each gets the arguments after its name and returns the
 * exit status.
 */
#ifndef FL_COMMANDS_H
#define FL_COMMANDS_H

int fl_command_run(int count, char **arguments);

#endif
