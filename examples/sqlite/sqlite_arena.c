/* SPDX-License-Identifier: MIT */
/*
 * sqlite_arena.c: SQLite with all of its memory in one arena: it fails with SQLITE_NOMEM at the limit, and
 * goes on.
 *
 *     cc sqlite_arena.c $(pkg-config --cflags --libs fallow sqlite3) -o sqlite_arena && ./sqlite_arena
 */
#include <fallow/fallow.h>
#include <sqlite3.h>
#include <stdio.h>

static fallow_arena *arena;

static void *arena_malloc(int bytes) {
    return fallow_arena_alloc(arena, (size_t)bytes);
}
static void arena_free(void *block) {
    fallow_arena_free(arena, block);
}
static void *arena_realloc(void *block, int bytes) {
    return fallow_arena_realloc(arena, block, (size_t)bytes);
}
static int arena_size(void *block) {
    return block ? (int)fallow_arena_usable_bytes(block) : 0;
}
static int arena_roundup(int bytes) {
    return (bytes + 15) & ~15;
}
static int arena_init(void *unused) {
    (void)unused;
    return SQLITE_OK;
}
static void arena_shutdown(void *unused) {
    (void)unused;
}

static void show(const char *when) {
    fallow_arena_figures now;
    if (!fallow_arena_read_sized(arena, &now, sizeof now))
        return;
    printf("%-28s %5zu KiB Ready of %zu, %zu KiB idle\n", when, now.ready_bytes >> 10, now.limit_bytes >> 10,
           now.idle_bytes >> 10);
}

static int run(sqlite3 *database, const char *sql) {
    char *message = NULL;
    int code = sqlite3_exec(database, sql, NULL, NULL, &message);
    if (code != SQLITE_OK)
        printf("SQLite says: %s\n", message ? message : sqlite3_errstr(code));
    sqlite3_free(message);
    return code;
}

int main(void) {
    static const sqlite3_mem_methods methods = {arena_malloc,  arena_free, arena_realloc,  arena_size,
                                                arena_roundup, arena_init, arena_shutdown, NULL};
    sqlite3 *database;
    arena = fallow_arena_create("sqlite", (size_t)8 << 20);
    if (!arena || sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
        sqlite3_open(":memory:", &database) != SQLITE_OK)
        return 1;
    run(database, "CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)");
    show("empty");
    run(database, "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 20000) "
                  "INSERT INTO t SELECT n, hex(randomblob(50)) FROM i");
    show("20,000 rows");
    int code =
        run(database, "WITH RECURSIVE i(n) AS (SELECT 20001 UNION ALL SELECT n + 1 FROM i WHERE n < 900000) "
                      "INSERT INTO t SELECT n, hex(randomblob(50)) FROM i");
    show("900,000 do not fit");
    int after = run(database, "SELECT count(*), max(length(text)) FROM t"); /* all that was there is there */
    run(database, "DELETE FROM t");
    run(database, "VACUUM");
    fallow_give_back();
    show("deleted, given back");
    sqlite3_close(database);
    sqlite3_shutdown();
    fallow_arena_destroy(arena);
    return code == SQLITE_NOMEM && after == SQLITE_OK ? 0 : 1;
}
