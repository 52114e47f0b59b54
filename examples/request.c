/* SPDX-License-Identifier: MIT */
/* Memory of a request: allocated by moving a pointer, thrown away all at once. */
#include <fallow/fallow.h>
#include <stdio.h>
#include <string.h>

static char *join(fallow_pool *pool, const char *one, const char *two) {
    size_t length = strlen(one);
    char *text = fallow_pool_alloc(pool, length + strlen(two) + 1);
    if (text)
        strcpy(strcpy(text, one) + length, two);
    return text;
}

int main(void) {
    fallow_pool *pool = fallow_pool_create(NULL);
    if (!pool)
        return 1;
    for (int request = 0; request < 3; request++) {
        char *text = "answer";
        for (int part = 0; part < 5 && text; part++)
            text = join(pool, text, " and more");
        if (!text)
            return 1;
        printf("%s (%zu bytes used)\n", text, fallow_pool_used_bytes(pool));
        fallow_pool_reset(pool); /* nothing to free one by one, nothing leaked on an error's way out */
    }
    fallow_pool_destroy(pool);
    return 0;
}
