/* HiCache write_through_selective: a block is written once it has been asked for twice.
 *
 * Rule     counts look-ups by id, for ever, and the hits that the block had where it comes from; admits from `hits` on.
 * Needs    look-ups, hits.
 * Cost     O(1) an id; 32 bytes an id ever asked for.
 * Source   SGLang hiradix_cache.py (write_through_selective: threshold 2).
 * Differs  a node's count there ends when it leaves the tree. second-hit is the same with a bounded table. */
#include <stddef.h>
#include <stdlib.h>

#include "policies/admit.h"
#include "sim/base/int_map.h"

struct hicache_selective_options {
    int64_t hits;
};
static const struct option hicache_selective_table[] = {{.name = "hits",
                                                         .kind = OPTION_INT,
                                                         .offset = offsetof(struct hicache_selective_options, hits),
                                                         .fallback = "2",
                                                         .min = 1,
                                                         .max = 1000000,
                                                         .help = "look-ups from which on a block is written"},
                                                        OPTION_END};
struct hicache_selective {
    struct int_map *asked; /* id -> look-ups */
    int64_t hits;
};

static void *hicache_selective_create(const struct admit_context *context) {
    struct hicache_selective *state = malloc(sizeof *state);
    MUST(state != NULL);
    state->asked = int_map_create();
    state->hits = context->options ? ((const struct hicache_selective_options *)context->options)->hits : 2;
    return state;
}
static void hicache_selective_destroy(void *self) {
    struct hicache_selective *state = self;
    int_map_destroy(state->asked);
    free(state);
}
static void hicache_selective_seen(void *self, const uint64_t *ids, uint32_t count, int64_t now) {
    (void)now;
    struct hicache_selective *state = self;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t times = int_map_get(state->asked, ids[i]);
        int_map_put(state->asked, ids[i], times == INT_MAP_NONE ? 1 : times + (times < INT_MAP_NONE - 1));
    }
}
static void hicache_selective_decide(void *self, const struct admit_view *view, bool *admit, int64_t now) {
    (void)now;
    const struct hicache_selective *state = self;
    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t times = int_map_get(state->asked, view->blocks[i].id);
        /* Where it comes from, its arrival was the first of its uses. */
        admit[i] = (times != INT_MAP_NONE && times >= state->hits) || view->blocks[i].hits + 1 >= state->hits;
    }
}

static const struct admit_policy hicache_selective = {
    .policy = {.abi = POLICY_ABI,
               .name = "hicache-selective",
               .rule = "written once asked for twice, counted for ever",
               .source = "SGLang hiradix_cache.py (write_through_selective)",
               .needs = NEED_HITS,
               .options = hicache_selective_table,
               .options_size = sizeof(struct hicache_selective_options)},
    .create = hicache_selective_create,
    .destroy = hicache_selective_destroy,
    .seen = hicache_selective_seen,
    .decide = hicache_selective_decide};
POLICY_REGISTER(admit, hicache_selective)
