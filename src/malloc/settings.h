/* SPDX-License-Identifier: MIT */
/*
 * settings.h: what the options (optiontable.h) are set to, and what each does when it changes. It knows
 * nothing of their text.
 */
#ifndef FL_SETTINGS_H
#define FL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "optiontable.h"
#include "optionvalues.h"

#define FL_FIELD_SWITCH(name) bool name
#define FL_FIELD_NUMBER(name) uint32_t name
#define FL_FIELD_BYTES(name) size_t name
#define FL_FIELD_PATH(name) char name[FL_OPTION_PATH_BYTES]
#define FL_FIELD(name, kind, usual, what) FL_FIELD_##kind(name);

typedef struct fl_options {
    FL_OPTIONS(FL_FIELD)
} fl_options;

extern fl_options fl_the_options;

#define FL_OPTION(name, kind, usual, what) FL_OPTION_##name,
typedef enum fl_option { FL_OPTIONS(FL_OPTION) FL_OPTION_COUNT } fl_option;

/* Puts one option into effect, and leaves all else as it is, whoever set it. */
void fl_option_apply(fl_option which);

#endif
