/* SPDX-License-Identifier: MIT */
/*
 * map_shares.c: what the bytes of a run of pages are shown as, for the map's sums, its text and its page.
 */
#include "map.h"

void fl_map_add_shares(const fl_map *map, const fl_run *run, uint64_t shares[FL_SHARE_COUNT]) {
    static const fl_share whole[FL_USE_COUNT] = {
        [FL_USE_LARGE] = FL_SHARE_LIVE,       [FL_USE_POOL] = FL_SHARE_POOL,
        [FL_USE_SPAN] = FL_SHARE_SPAN,        [FL_USE_IDLE] = FL_SHARE_IDLE,
        [FL_USE_STUCK] = FL_SHARE_STUCK,      [FL_USE_PREPARED] = FL_SHARE_PREPARED,
        [FL_USE_GROWING] = FL_SHARE_PREPARED, [FL_USE_RESERVED] = FL_SHARE_RESERVED,
        [FL_USE_META] = FL_SHARE_META,
    };
    if (run->use != FL_USE_SLAB) {
        shares[whole[run->use]] += run->bytes;
        return;
    }
    uint64_t decommitted = fl_run_decommitted_bytes(run),
             live = run->live * map->survey.classes[run->size_class].block_bytes;
    if (live > run->bytes - decommitted)
        live = run->bytes - decommitted;
    shares[FL_SHARE_LIVE] += live;
    shares[FL_SHARE_FREE] += run->bytes - decommitted - live;
    shares[FL_SHARE_DECOMMITTED] += decommitted;
}
