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

bool fl_read_number(const char *text, size_t length, uint32_t *out) {
    uint32_t number = 0;
    size_t i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9' && number <= FL_OPTION_NUMBER_MAX / 10; i++)
        number = number * 10 + (uint32_t)(text[i] - '0');
    if (i == 0 || i < length || number > FL_OPTION_NUMBER_MAX)
        return false;
    *out = number;
    return true;
}

bool fl_read_bytes(const char *text, size_t length, size_t *out) {
    size_t bytes = 0, i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        if (__builtin_mul_overflow(bytes, 10, &bytes) ||
            __builtin_add_overflow(bytes, (size_t)(text[i] - '0'), &bytes))
            return false;
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
