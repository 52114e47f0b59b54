// SPDX-License-Identifier: MIT
//
// documents.cpp: a store of documents for many tenants, each with all of its memory in an arena: strings,
// list and index, and the tenant itself. Above its soft limit a tenant loses its oldest documents; so it does
// at the hard one, in the middle of a put. A tenant that ends is not taken apart: its arena goes, and
// everything with it.
//
//     c++ -std=c++17 documents.cpp $(pkg-config --cflags --libs fallow) -o documents
//
//     open TENANT SOFT-KIB HARD-KIB | put TENANT KEY BYTES | get TENANT KEY | delete TENANT KEY | end TENANT
//     | metrics
//
// One command a line on standard input, one line or more (metrics: Prometheus text, to "# EOF") for each on
// standard output.
//
#include <fallow/fallow.h>
#include <fallow/pmr.hpp>

#include <cstdint>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace {

using text = std::basic_string<char, std::char_traits<char>, fallow::allocator<char>>;

struct document {
    text key, body;
};

class tenant {
    using list = std::list<document, fallow::allocator<document>>;
    using index = std::map<std::string_view, list::iterator, std::less<>,
                           fallow::allocator<std::pair<const std::string_view, list::iterator>>>;

  public:
    // In its own arena. Null: there is no memory.
    static tenant *open(const std::string &name, std::size_t soft_bytes, std::size_t hard_bytes) {
        fallow_arena_options options = {};
        options.name = name.c_str();
        options.soft_limit_bytes = soft_bytes;
        options.limit_bytes = hard_bytes;
        options.flags = FALLOW_ARENA_ONE_THREAD;
        fallow_arena *arena = fallow_arena_create_sized(&options, sizeof options);
        if (!arena)
            return nullptr;
        void *place = fallow_arena_alloc_aligned(arena, alignof(tenant), sizeof(tenant));
        tenant *made = nullptr;
        try {
            made = place ? new (place) tenant(arena, soft_bytes) : nullptr;
        } catch (const std::bad_alloc &) {
        }
        if (!made)
            fallow_arena_destroy(arena);
        return made;
    }

    // No destructor runs, not even the tenant's own: nothing in here owns anything but memory of the arena.
    void end() {
        fallow_arena_destroy(arena_);
    }

    // All that allocates does so in a list and an index of its own, which then become part of the tenant's
    // without an allocation: so these are whole whenever somebody is asked to take from them, which may be in
    // any allocation.
    bool put(std::string_view key, std::size_t bytes) {
        remove(key);
        try {
            list one(in_);
            one.push_front(document{text(key, in_), text(bytes, 'x', in_)});
            index place(in_);
            place.emplace(one.front().key, one.begin());
            held_bytes_ += one.front().body.capacity();
            documents_.splice(documents_.begin(), one);
            index_.insert(place.extract(place.begin()));
        } catch (const std::bad_alloc &) {
            return false;
        }
        evict_to(held_max_);
        return true;
    }

    const text *get(std::string_view key) {
        auto found = index_.find(key);
        if (found == index_.end())
            return nullptr;
        documents_.splice(documents_.begin(), documents_, found->second); // the newest again
        return &found->second->body;
    }

    bool remove(std::string_view key) {
        auto found = index_.find(key);
        bool is_there = found != index_.end();
        if (is_there)
            drop(found);
        return is_there;
    }

    void metrics(const std::string &name, std::ostream &out) const {
        fallow_arena_figures now;
        fallow_stats stats;
        if (!fallow_arena_read_sized(arena_, &now, sizeof now) ||
            !fallow_arena_stats(arena_, &stats, sizeof stats))
            return;
        auto line = [&](const char *what, const char *label, auto value) {
            out << what << "{tenant=\"" << name << '"' << label << "} " << value << '\n';
        };
        line("documents", "", documents_.size());
        line("documents_evicted_total", "", evicted_);
        line("documents_refused_total", "", now.refusals);
        line("documents_memory_bytes", ",state=\"live\"", stats.live_bytes);
        line("documents_memory_bytes", ",state=\"ready\"", now.ready_bytes);
        line("documents_memory_bytes", ",state=\"idle\"", now.idle_bytes);
        line("documents_limit_bytes", ",limit=\"soft\"", now.soft_limit_bytes);
        line("documents_limit_bytes", ",limit=\"hard\"", now.limit_bytes);
        line("documents_given_back_bytes_total", ",cause=\"limit\"", now.given[FALLOW_CAUSE_LIMIT].bytes);
        line("documents_given_back_bytes_total", ",cause=\"quiet\"", now.given[FALLOW_CAUSE_QUIET].bytes);
    }

  private:
    tenant(fallow_arena *arena, std::size_t soft_bytes)
        : arena_(arena), soft_bytes_(soft_bytes), in_(arena), documents_(in_), index_(in_) {
        fallow_arena_on_soft_limit(arena, soft_limit, this);
        fallow_arena_on_limit(arena, hard_limit, this);
    }

    // In fallow_tick; or, where nobody ticks, in the allocation that has crossed the limit. It asks once for
    // each time that the limit is crossed, by idle memory too, which goes back by itself: so it is what may
    // be held from now on that is lowered, by some more than the excess, down to half of the limit.
    static bool soft_limit(void *context, std::size_t excess_bytes) {
        tenant *it = static_cast<tenant *>(context);
        std::size_t less = excess_bytes + it->soft_bytes_ / 8, least = it->soft_bytes_ / 2;
        it->held_max_ = it->held_bytes_ > least + less ? it->held_bytes_ - less : least;
        return it->evict_to(it->held_max_);
    }

    // In the allocation that does not fit. Whether to try again is the answer.
    static bool hard_limit(void *context, std::size_t wanted_bytes) {
        tenant *it = static_cast<tenant *>(context);
        return it->evict_to(it->held_bytes_ > wanted_bytes ? it->held_bytes_ - wanted_bytes : 0);
    }

    void drop(index::iterator which) {
        held_bytes_ -= which->second->body.capacity();
        auto at = which->second;
        index_.erase(which);
        documents_.erase(at);
    }

    bool evict_to(std::size_t bytes) {
        bool some = false;
        while (held_bytes_ > bytes && !documents_.empty()) {
            drop(index_.find(documents_.back().key));
            evicted_++;
            some = true;
        }
        return some;
    }

    fallow_arena *arena_;
    std::size_t soft_bytes_;
    fallow::allocator<char> in_;
    list documents_; // the newest first
    index index_;
    std::size_t held_bytes_ = 0, held_max_ = SIZE_MAX; // in bodies
    unsigned long evicted_ = 0;
};

std::map<std::string, tenant *> tenants; // on malloc, as everything that is no tenant's

bool is_name(const std::string &name) {
    return !name.empty() && name.size() < 32 &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
}

void metrics(std::ostream &out) {
    out << "# TYPE documents gauge\n"
           "# TYPE documents_evicted_total counter\n"
           "# TYPE documents_refused_total counter\n"
           "# TYPE documents_memory_bytes gauge\n"
           "# TYPE documents_limit_bytes gauge\n"
           "# TYPE documents_given_back_bytes_total counter\n";
    for (const auto &[name, it] : tenants)
        it->metrics(name, out);
    out << "# EOF\n";
}

void command(std::istream &in, std::ostream &out) {
    std::string what, name, key;
    std::size_t soft_kib = 0, hard_kib = 0, bytes = 0;
    in >> what;
    if (what == "metrics")
        return metrics(out);
    in >> name;
    auto found = tenants.find(name);
    if (what == "open" && in >> soft_kib >> hard_kib && is_name(name) && found == tenants.end()) {
        tenant *made = tenant::open(name, soft_kib << 10, hard_kib << 10);
        if (made)
            tenants.emplace(name, made);
        out << (made ? "opened\n" : "no memory\n");
    } else if (found == tenants.end()) {
        out << "what?\n";
    } else if (what == "put" && in >> key >> bytes) {
        out << (found->second->put(key, bytes) ? "stored\n" : "no memory\n");
    } else if (what == "get" && in >> key) {
        const text *body = found->second->get(key);
        out << (body ? std::to_string(body->size()) + " bytes\n" : "none\n");
    } else if (what == "delete" && in >> key) {
        out << (found->second->remove(key) ? "deleted\n" : "none\n");
    } else if (what == "end") {
        found->second->end();
        tenants.erase(found);
        out << "ended\n";
    } else {
        out << "what?\n";
    }
}

} // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream in(line);
        command(in, std::cout);
        std::cout.flush();
        fallow_tick(); // idle memory goes back, and whoever is above his soft limit is asked
    }
    for (const auto &each : tenants)
        each.second->end();
}
