/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdint.h>
#include <string.h>

#include "../slab/hardening.h"
#include "../system/fatal.h"
#include "../system/line.h"
#include "../system/system.h"
#include "fallow/malloc.h"
#include "optionvalues.h"
#include "settings.h"

#define ROW(name, kind, usual, what) \
    {#name, FL_OPTION_##kind, &fl_the_options.name, #name ":" FL_ACCEPTED_##kind},
#define NAME(name, kind, usual, what) " " #name

static const struct option {
    const char *name;
    fl_option_kind kind;
    void *value;
    const char *accepted;
} options[] = {FL_OPTIONS(ROW)};

#define OPTION_COUNT (sizeof options / sizeof *options)

/* Every kind is named: one that is not handled does not compile. */
static bool set_value(const struct option *option, const char *value, size_t length) {
    switch (option->kind) {
    case FL_OPTION_SWITCH:
        return fl_read_switch(value, length, option->value);
    case FL_OPTION_NUMBER:
        return fl_read_number(value, length, option->value);
    case FL_OPTION_BYTES:
        return fl_read_bytes(value, length, option->value);
    case FL_OPTION_PATH:
        return fl_read_path(value, length, option->value);
    }
    return false;
}

/* Reports all that was written, as far as a line holds it. */
static bool report(const char *name, size_t name_length, const char *value, size_t value_length,
                   const char *accepted) {
    fl_line detail;
    fl_line_start(&detail);
    fl_line_add_part(&detail, name, name_length < 100 ? name_length : 100);
    if (value) {
        fl_line_add(&detail, ":");
        fl_line_add_part(&detail, value, value_length < 100 ? value_length : 100);
    }
    fl_line_add_part(&detail, "", 1);
    fl_warn("option", detail.text, accepted);
    return false;
}

static bool set_one(const char *name, size_t name_length, const char *value, size_t value_length) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(options[i].name) != name_length || memcmp(options[i].name, name, name_length))
            continue;
        if (FL_HARDENED &&
            (i == FL_OPTION_profile || i == FL_OPTION_profile_file || i == FL_OPTION_guard_sampling))
            return report(name, name_length, value, value_length,
                          "none; libfallow-malloc-hardened does not sample");
        if (!value || !set_value(&options[i], value, value_length))
            return report(name, name_length, value, value_length, options[i].accepted);
        fl_option_apply((fl_option)i);
        return true;
    }
    return report(name, name_length, value, value_length, "the options" FL_OPTIONS(NAME));
}

void fl_options_init(void) {
    const char *text = fl_system_environment("FALLOW_OPTIONS");
    while (text && *text) {
        size_t length = strcspn(text, ",");
        const char *colon = memchr(text, ':', length);
        if (length && colon)
            set_one(text, (size_t)(colon - text), colon + 1, length - (size_t)(colon - text) - 1);
        else if (length)
            set_one(text, length, NULL, 0);
        text += length;
        if (*text == ',')
            text++;
    }
}

bool fallow_option_set(const char *name, const char *value) {
    return set_one(name, strlen(name), value, strlen(value));
}
