/* SPDX-License-Identifier: MIT */
#include "pagetree.h"

#include "../system/lock.h"

static fl_branch *branches_free; /* linked by parent; guarded by the lock of branches */

static fl_branch *branch_new(unsigned level) {
    fl_lock_take(fl_lock_of(FL_LOCK_BRANCHES));
    fl_branch *branch = branches_free;
    if (branch)
        branches_free = branch->parent;
    fl_lock_drop(fl_lock_of(FL_LOCK_BRANCHES));
    if (branch)
        *branch = (fl_branch){.parent = NULL};
    else
        branch = fl_meta_alloc(sizeof *branch);
    if (branch)
        branch->level = (uint8_t)level;
    return branch;
}

/* Returns how many regions one child of a branch of this level covers, as a shift. */
static unsigned child_shift(unsigned level) {
    return 4 * level;
}

static size_t child_pages(unsigned level) {
    return FL_REGION_PAGES << child_shift(level);
}

static size_t place_in(const fl_branch *branch, size_t region_index) {
    return (region_index >> child_shift(branch->level)) % FL_FANOUT;
}

static bool covers(const fl_pagetree *tree, size_t region_index) {
    size_t pages = child_pages(tree->root->level) * FL_FANOUT;
    return region_index * FL_REGION_PAGES - tree->base < pages; /* unsigned: also false below the base */
}

static void set_bit(uint16_t *mask, size_t bit, bool on) {
    *mask = (uint16_t)(on ? *mask | 1u << bit : *mask & ~(1u << bit));
}

static bool same_runs(fl_runs a, fl_runs b) {
    return a.first == b.first && a.longest == b.longest && a.last == b.last;
}

/* Copies a child's summary into an entry of its branch. Returns whether that changed the entry. */
static bool set_entry(fl_branch *branch, size_t place, fl_runs runs, bool idle, bool vacant) {
    fl_runs *entry = &branch->runs[place];
    uint16_t idle_before = branch->idle, vacant_before = branch->vacant;
    set_bit(&branch->idle, place, idle);
    set_bit(&branch->vacant, place, vacant);
    bool same = same_runs(*entry, runs);
    *entry = runs;
    return !same || branch->idle != idle_before || branch->vacant != vacant_before;
}

/* Goes upwards from an entry of a branch, until nothing changes any more. */
static void propagate(fl_branch *branch, size_t place, fl_runs runs, bool idle, bool vacant) {
    while (set_entry(branch, place, runs, idle, vacant) && branch->parent) {
        runs = fl_runs_join(branch->runs, FL_FANOUT, child_pages(branch->level));
        idle = branch->idle != 0;
        vacant = branch->vacant != 0;
        place = branch->place;
        branch = branch->parent;
    }
}

static void propagate_region(fl_region *region) {
    propagate(region->branch, fl_region_index(region) % FL_FANOUT,
              fl_pagebits_runs(region->in_use, FL_REGION_PAGES), region->idle, region->vacant);
}

static bool raise_root(fl_pagetree *tree) {
    fl_branch *old = tree->root, *root = branch_new(old->level + 1u);
    if (!root)
        return false;
    size_t pages = child_pages(root->level);
    old->place = (uint8_t)(tree->base / pages % FL_FANOUT);
    root->child[old->place] = old;
    root->runs[old->place] = fl_runs_join(old->runs, FL_FANOUT, child_pages(old->level));
    set_bit(&root->idle, old->place, old->idle != 0);
    set_bit(&root->vacant, old->place, old->vacant != 0);
    tree->base = tree->base / (pages * FL_FANOUT) * (pages * FL_FANOUT);
    tree->root = root;
    old->parent = root;
    return true;
}

static bool reach(fl_pagetree *tree, size_t region_index) {
    if (!tree->root) {
        tree->root = branch_new(0);
        tree->base = region_index / FL_FANOUT * FL_FANOUT * FL_REGION_PAGES;
    }
    if (!tree->root)
        return false;
    while (!covers(tree, region_index))
        if (!raise_root(tree))
            return false;
    return true;
}

bool fl_pagetree_insert(fl_pagetree *tree, fl_region *region) {
    size_t index = fl_region_index(region);
    if (!reach(tree, index))
        return false;
    fl_branch *branch = tree->root;
    while (branch->level) {
        size_t place = place_in(branch, index);
        if (!branch->child[place]) {
            fl_branch *made = branch_new(branch->level - 1u);
            if (!made)
                return false;
            made->parent = branch;
            made->place = (uint8_t)place;
            branch->child[place] = made;
        }
        branch = branch->child[place];
    }
    branch->child[place_in(branch, index)] = region;
    region->branch = branch;
    fl_pagetree_update(region);
    return true;
}

void fl_pagetree_remove(fl_region *region) {
    fl_branch *branch = region->branch;
    size_t place = fl_region_index(region) % FL_FANOUT;
    branch->child[place] = NULL;
    region->branch = NULL;
    propagate(branch, place, (fl_runs){0, 0, 0}, false, false);
}

/* The deepest first. The depth is bounded: six levels reach through the window. */
static void clear_below(fl_branch *branch) {
    for (size_t i = 0; branch->level && i < FL_FANOUT; i++)
        if (branch->child[i])
            clear_below(branch->child[i]);
    branch->parent = branches_free;
    branches_free = branch;
}

void fl_pagetree_clear(fl_pagetree *tree) {
    fl_lock_take(fl_lock_of(FL_LOCK_BRANCHES));
    if (tree->root)
        clear_below(tree->root);
    fl_lock_drop(fl_lock_of(FL_LOCK_BRANCHES));
    tree->root = NULL;
}

uint64_t fl_region_idle_word(const fl_region *region, size_t word) {
    return fl_region_mapped_word(region, word) &
           ~(region->in_use[word] | region->prepared[word] | region->kept[word]);
}

void fl_pagetree_update(fl_region *region) {
    uint64_t idle = 0, used = 0;
    for (size_t word = 0; word < FL_REGION_WORDS; word++) {
        idle |= fl_region_idle_word(region, word);
        used |= region->in_use[word];
    }
    region->idle = idle != 0;
    region->vacant = idle && !used;
    propagate_region(region);
}

/* Finds the entry that a run lies in (*inside), or the page at which a run starts that crosses entries;
 * FL_PAGEBITS_NONE if there is neither, which is so only at the root: below, a run was seen one level
 * higher. */
static size_t look_through(const fl_runs *entries, size_t base, size_t width, size_t pages, size_t *inside) {
    size_t run = 0;
    *inside = FL_FANOUT;
    for (size_t i = 0; i < FL_FANOUT; i++, base += width) {
        if (run + entries[i].first >= pages)
            return base - run;
        if (entries[i].longest >= pages) {
            *inside = i;
            return base;
        }
        run = entries[i].first == width ? run + width : entries[i].last;
    }
    return FL_PAGEBITS_NONE;
}

size_t fl_pagetree_find(const fl_pagetree *tree, size_t pages) {
    const fl_branch *branch = tree->root;
    if (!branch)
        return FL_PAGEBITS_NONE;
    size_t at = tree->base, inside;
    for (;;) {
        at = look_through(branch->runs, at, child_pages(branch->level), pages, &inside);
        if (inside == FL_FANOUT)
            return at;
        if (branch->level == 0)
            break;
        branch = branch->child[inside];
    }
    const fl_region *region = branch->child[inside];
    return at + fl_pagebits_find(region->in_use, FL_REGION_PAGES, pages, 1);
}

static size_t highest_bit(uint16_t mask) {
    return 31 - (size_t)__builtin_clz(mask);
}

/* below: in regions, from the start of what the mask covers; width: regions to a bit. */
static uint16_t bits_below(uint16_t mask, size_t below, size_t width) {
    if (below >= FL_FANOUT * width)
        return mask;
    return (uint16_t)(mask & ((1u << ((below + width - 1) / width)) - 1));
}

static fl_region *last_idle_in(const fl_branch *branch, size_t first, size_t below, bool vacant) {
    size_t width = (size_t)1 << child_shift(branch->level);
    uint16_t mask = bits_below(vacant ? branch->vacant : branch->idle, below - first, width);
    for (; mask; mask = (uint16_t)(mask & ~(1u << highest_bit(mask)))) {
        size_t place = highest_bit(mask);
        fl_region *found = branch->level
                               ? last_idle_in(branch->child[place], first + place * width, below, vacant)
                               : branch->child[place];
        if (found)
            return found;
    }
    return NULL;
}

fl_region *fl_pagetree_last_idle(const fl_pagetree *tree, size_t below, bool vacant) {
    size_t first = tree->base / FL_REGION_PAGES;
    return tree->root && below > first ? last_idle_in(tree->root, first, below, vacant) : NULL;
}

static fl_region *first_in(const fl_branch *branch, size_t first, size_t from) {
    size_t width = (size_t)1 << child_shift(branch->level);
    for (size_t place = from > first ? (from - first) / width : 0; place < FL_FANOUT; place++) {
        void *child = branch->child[place];
        fl_region *found = child && branch->level ? first_in(child, first + place * width, from) : child;
        if (found)
            return found;
    }
    return NULL;
}

fl_region *fl_pagetree_next(const fl_pagetree *tree, size_t from) {
    return tree->root ? first_in(tree->root, tree->base / FL_REGION_PAGES, from) : NULL;
}

size_t fl_pagetree_longest(const fl_pagetree *tree) {
    return tree->root ? fl_runs_join(tree->root->runs, FL_FANOUT, child_pages(tree->root->level)).longest : 0;
}
