/* SPDX-License-Identifier: MIT */
/*
 * pooltext.c: copies and strings in pools, with nothing but what pool.h offers.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fallow/pool.h"

void *fallow_pool_alloc_zeroed(fallow_pool *pool, size_t bytes) {
    void *object = fallow_pool_alloc(pool, bytes);
    return object ? memset(object, 0, bytes) : NULL;
}

void *fallow_pool_copy(fallow_pool *pool, const void *from, size_t bytes) {
    void *object = fallow_pool_alloc(pool, bytes);
    return object && bytes ? memcpy(object, from, bytes) : object;
}

char *fallow_pool_strndup(fallow_pool *pool, const char *text, size_t bytes) {
    size_t length = strnlen(text, bytes);
    char *copy = length < SIZE_MAX ? fallow_pool_alloc(pool, length + 1) : NULL;
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *fallow_pool_strdup(fallow_pool *pool, const char *text) {
    return fallow_pool_copy(pool, text, strlen(text) + 1);
}

char *fallow_pool_vprintf(fallow_pool *pool, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : fallow_pool_alloc(pool, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *fallow_pool_printf(fallow_pool *pool, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = fallow_pool_vprintf(pool, format, arguments);
    va_end(arguments);
    return text;
}
