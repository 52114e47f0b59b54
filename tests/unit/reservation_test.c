/* SPDX-License-Identifier: MIT */
/* fallow's own tables grow piece by piece, also where each piece is a mapping of its own and some calls are
 * refused. */
#include "../../src/arena/reservation.h"
#include "../../src/osmem/osmem_sim.h"
#include "../lib/check.h"

#define STEP ((size_t)65536)

static osmem_sim *sim;
static osmem_stat stat;
static fl_reservation table;

static void start(bool apart) {
    osmem_sim_config config = {.reservations_apart = apart, .reserve_bytes = apart ? STEP : 0};
    sim = osmem_sim_create(&config);
    CHECK(sim);
    osmem_stat_init(&stat, "table", osmem_sim_backend(sim), NULL);
    table = (fl_reservation){(char *)osmem_sim_base(sim) + STEP, 64 * STEP, STEP, 0, 0, false, &stat};
}

/* All that it says is Ready can be used, and no call broke a rule. */
static void expect(size_t steps) {
    CHECK_EQUAL(table.ready_bytes, steps * STEP);
    CHECK_EQUAL(osmem_sim_touch(sim, table.start, steps * STEP), OSMEM_SIM_FINE);
    CHECK_EQUAL(osmem_sim_read(sim).broken, 0);
}

static void end(bool apart) {
    if (!apart) { /* pieces that are apart would be released one by one: nobody has to, once it has grown */
        fl_reservation_release(&table);
        CHECK_EQUAL(osmem_sim_read(sim).accessible_bytes, 0);
    }
    osmem_sim_destroy(sim);
}

static void grows(bool apart) {
    start(apart);
    CHECK(fl_reservation_grow(&table, 1));
    expect(1);
    osmem_sim_fail(sim, OSMEM_SIM_USED, 1, OSMEM_NOMEM, 0); /* prepared, and not Ready */
    CHECK(!fl_reservation_grow(&table, 2 * STEP));
    expect(1);
    CHECK(fl_reservation_grow(&table, 4 * STEP));
    expect(4);
    osmem_sim_fail(sim, OSMEM_SIM_RESERVE, 1, OSMEM_NOMEM, 0);
    CHECK(!fl_reservation_grow(&table, 5 * STEP));
    expect(4);
    CHECK(!fl_reservation_grow(&table, 65 * STEP));
    expect(4);
    end(apart);
}

static void reservation_grows_where_mappings_merge(void) {
    grows(false);
}

static void reservation_grows_where_each_is_apart(void) {
    grows(true);
}

int main(void) {
    RUN(reservation_grows_where_mappings_merge);
    RUN(reservation_grows_where_each_is_apart);
    return 0;
}
