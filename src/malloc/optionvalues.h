/* SPDX-License-Identifier: MIT */
/*
 * optionvalues.h: reads what is written behind an option's name, by kind (optiontable.h): for the library,
 * and for the command, which starts no program with a value that the library would ignore. Calls nothing.
 *
 * Each function returns false, and leaves *out untouched, if the text is no such value.
 */
#ifndef FL_OPTIONVALUES_H
#define FL_OPTIONVALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fl_option_kind {
    FL_OPTION_SWITCH,
    FL_OPTION_NUMBER,
    FL_OPTION_BYTES,
    FL_OPTION_PATH
} fl_option_kind;

#define FL_OPTION_NUMBER_MAX UINT32_C(1000000000)

#define FL_OPTION_PATH_BYTES 256 /* with the zero at its end */

bool fl_read_switch(const char *text, size_t length, bool *out);
bool fl_read_number(const char *text, size_t length, uint32_t *out);
bool fl_read_bytes(const char *text, size_t length, size_t *out);
bool fl_read_path(const char *text, size_t length, char out[FL_OPTION_PATH_BYTES]);

#endif
