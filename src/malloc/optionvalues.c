/* SPDX-License-Identifier: MIT */
#include "optionvalues.h"

#include <stdint.h>
#include <string.h>

bool fl_read_switch(const char *text, size_t length, bool *out) {
    if (length != 1 || (*text != '0' && *text != '1'))
        return false;
    *out = *text == '1';
    return true;
}

bool fl_read_bytes(const char *text, size_t length, size_t *out) {
    size_t bytes = 0, i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
        if (bytes > (SIZE_MAX - 9) / 10)
            return false;
        bytes = bytes * 10 + (size_t)(text[i] - '0');
    }
    static const char units[] = "kmgt";
    const char *unit = i && i + 1 == length ? strchr(units, text[i] | 0x20) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (i == 0 || (i < length && !unit) || bytes > SIZE_MAX >> shift)
        return false;
    *out = bytes << shift;
    return true;
}

bool fl_read_path(const char *text, size_t length, char out[FL_OPTION_PATH_BYTES]) {
    if (length == 0 || length >= FL_OPTION_PATH_BYTES)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}
