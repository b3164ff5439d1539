/* Second hit: a block is written once it has been asked for so many times lately.
 *
 * Rule     counts look-ups by id in a table of the `entries` ids asked for last; admits from `hits` look-ups on.
 * Needs    look-ups.
 * Cost     O(1) an id; 24 bytes an entry.
 * Source   vLLM v1 kv_offload/reuse_manager.py (2 look-ups, 64,000 entries). SGLang HiCache's
 *          write_through_selective is the same with hits counted in the radix tree. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/admit.h"
#include "policies/evict/list.h"
#include "sim/base/index.h"

struct second_hit_options {
    int64_t hits, entries;
};
static const struct option second_hit_table[] = {{.name = "hits",
                                                  .kind = OPTION_INT,
                                                  .offset = offsetof(struct second_hit_options, hits),
                                                  .fallback = "2",
                                                  .min = 1,
                                                  .max = 1000000,
                                                  .help = "look-ups from which on a block is written"},
                                                 {.name = "entries",
                                                  .kind = OPTION_INT,
                                                  .offset = offsetof(struct second_hit_options, entries),
                                                  .fallback = "64000",
                                                  .min = 1,
                                                  .max = 1 << 30,
                                                  .help = "ids whose look-ups are remembered"},
                                                 OPTION_END};

struct second_hit {
    struct second_hit_options options;
    struct block_index entry_of; /* id -> entry */
    uint64_t *ids;               /* by entry */
    uint32_t *counts;
    struct slot_link *links;
    struct slot_list recent; /* head: asked for longest ago */
    uint32_t used;
};

static void *second_hit_create(const struct admit_context *context) {
    struct second_hit *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    state->options = context->options ? *(const struct second_hit_options *)context->options
                                      : (struct second_hit_options){.hits = 2, .entries = 64000};
    size_t entries = (size_t)state->options.entries;
    index_create(&state->entry_of);
    state->ids = lazy_alloc(entries, sizeof *state->ids);
    state->counts = lazy_alloc(entries, sizeof *state->counts);
    state->links = links_create((uint32_t)entries);
    return state;
}
static void second_hit_destroy(void *self) {
    struct second_hit *state = self;
    size_t entries = (size_t)state->options.entries;
    index_destroy(&state->entry_of);
    lazy_free(state->ids, entries, sizeof *state->ids);
    lazy_free(state->counts, entries, sizeof *state->counts);
    links_destroy(state->links, (uint32_t)entries);
    free(state);
}
static uint32_t entry_for(struct second_hit *state, uint64_t id) {
    uint32_t entry = index_find(&state->entry_of, id);
    if (entry != EVICT_NONE) {
        list_unlink(&state->recent, state->links, entry);
        return entry;
    }
    if (state->used < (uint32_t)state->options.entries) {
        entry = state->used++;
    } else {
        entry = list_first(&state->recent);
        list_unlink(&state->recent, state->links, entry);
        index_remove(&state->entry_of, state->ids[entry]);
    }
    MUST(index_add(&state->entry_of, id, entry, true) == EVICT_NONE);
    state->ids[entry] = id;
    state->counts[entry] = 0;
    return entry;
}
static void second_hit_seen(void *self, const uint64_t *ids, uint32_t count, int64_t now) {
    (void)now;
    struct second_hit *state = self;
    for (uint32_t i = 0; i < count; i++) {
        index_ahead(&state->entry_of, ids, i, count);
        uint32_t entry = entry_for(state, ids[i]);
        list_push_back(&state->recent, state->links, entry);
        if (state->counts[entry] < UINT32_MAX)
            state->counts[entry]++;
    }
}
static void second_hit_decide(void *self, const struct admit_view *view, bool *admit, int64_t now) {
    (void)now;
    const struct second_hit *state = self;
    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t entry = index_find(&state->entry_of, view->blocks[i].id);
        admit[i] = entry != EVICT_NONE && state->counts[entry] >= state->options.hits;
    }
}

static const struct admit_policy second_hit = {.policy = {.abi = POLICY_ABI,
                                                          .name = "second-hit",
                                                          .rule = "written once asked for twice lately",
                                                          .source = "vLLM v1 kv_offload/reuse_manager.py",
                                                          .options = second_hit_table,
                                                          .options_size = sizeof(struct second_hit_options)},
                                               .create = second_hit_create,
                                               .destroy = second_hit_destroy,
                                               .seen = second_hit_seen,
                                               .decide = second_hit_decide};
POLICY_REGISTER(admit, second_hit)
