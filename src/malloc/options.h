/* SPDX-License-Identifier: MIT */
/*
 * options.h: what a user may set, by FALLOW_OPTIONS="name:value,name:value" or fallow_option_set. A wrong
 * name or value is reported by name, with what is accepted, and ignored.
 */
#ifndef FL_OPTIONS_H
#define FL_OPTIONS_H

/* Reads the environment. Called once, by the library's constructor. */
void fl_options_init(void);

#endif
