/* SPDX-License-Identifier: MIT */
/*
 * A Lua machine in a MiB. It makes tables until its memory is used up, drops them, and makes as many again,
 * and again: what was refused once costs nothing later. Its allocator is fallow_arena_realloc as it is: a
 * block never fails to become smaller.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

#define LIMIT ((size_t)1 << 20)
#define ROUNDS 20

static void *alloc_for_lua(void *arena, void *block, size_t old_bytes, size_t bytes) {
    (void)old_bytes;
    if (bytes == 0) {
        fallow_arena_free(arena, block);
        return NULL;
    }
    return fallow_arena_realloc(arena, block, bytes);
}

/* How many documents fit: a table of fields, a string of its own, an entry in a list. */
static const char *script =
    "made = 0\n"
    "function fill()\n"
    "  local all = {}\n"
    "  made = 0\n"
    "  while true do\n"
    "    all[#all + 1] = {id = made, name = 'document ' .. made, text = string.rep('x', made * 7 % 600)}\n"
    "    made = made + 1\n"
    "  end\n"
    "end\n";

static long fill(lua_State *lua) {
    lua_getglobal(lua, "fill");
    CHECK_EQUAL(lua_pcall(lua, 0, 0, 0), LUA_ERRMEM);
    lua_settop(lua, 0);
    lua_gc(lua, LUA_GCCOLLECT, 0);
    lua_getglobal(lua, "made");
    long made = (long)lua_tointeger(lua, -1);
    lua_settop(lua, 0);
    return made;
}

static void limit_serves_a_lua_machine(void) {
    fallow_arena *arena = fallow_arena_create("lua", LIMIT);
    lua_State *lua = lua_newstate(alloc_for_lua, arena);
    CHECK(lua);
    luaL_openlibs(lua);
    CHECK_EQUAL(luaL_dostring(lua, script), LUA_OK);
    long first = fill(lua), least = first, most = first;
    for (int round = 1; round < ROUNDS; round++) {
        long made = fill(lua);
        least = made < least ? made : least;
        most = made > most ? made : most;
        CHECK(arena_figures(arena).ready_bytes <= LIMIT);
    }
    printf("# %ld documents at first, %ld to %ld in %d rounds\n", first, least, most, ROUNDS);
    CHECK(least >= first - first / 10);
    CHECK(first > 800);
    fallow_arena_destroy(arena); /* no lua_close: all of it goes with the arena */
}

int main(void) {
    RUN(limit_serves_a_lua_machine);
    return 0;
}
