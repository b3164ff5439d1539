/* Perfect LFU: the block with the fewest uses ever goes first, those before it was last evicted included.
 *
 * Rule     a heap by (uses ever, last use). Its order of blocks does not depend on the size of the cache, so unlike LFU
 *          it is a stack policy: a larger cache holds whatever a smaller one does, and misses no more.
 * Needs    nothing. Lift: orphan.
 * Cost     O(log n) a hook; 44 bytes a slot, and 32 to 64 an id ever seen.
 * Source   classic ("perfect LFU" against "in-cache LFU": Breslau et al., INFOCOM'99). */
#include <stdlib.h>

#include "policies/evict/rank.h"
#include "sim/base/int_map.h"

struct lfu_perfect {
    struct ranking ranking; /* keys: uses ever, order of last use */
    struct int_map *uses;   /* id -> uses */
    int64_t clock;
};

static void *lfu_perfect_create(const struct evict_context *context) {
    struct lfu_perfect *state = calloc(1, sizeof *state);
    MUST(state != NULL);
    ranking_create(&state->ranking, context, false);
    state->uses = int_map_create();
    return state;
}
static void lfu_perfect_destroy(void *self) {
    struct lfu_perfect *state = self;
    ranking_destroy(&state->ranking);
    int_map_destroy(state->uses);
    free(state);
}
static void lfu_perfect_touch(void *self, uint32_t slot, int64_t now) {
    (void)now;
    struct lfu_perfect *state = self;
    uint64_t id = state->ranking.blocks[slot].id;
    uint32_t uses = int_map_get(state->uses, id);
    uses = uses == INT_MAP_NONE ? 1 : uses + 1;
    int_map_put(state->uses, id, uses);
    ranking_set(&state->ranking, slot, (struct slot_key){uses, state->clock++});
}

static const struct evict_policy lfu_perfect = {
    .policy = {.abi = POLICY_ABI,
               .name = "lfu-perfect",
               .rule = "the block with the fewest uses ever goes first, those of earlier stays included",
               .source = "Breslau et al., INFOCOM'99",
               .needs = NEED_NOTHING},
    .lifts = LIFT_ORPHAN,
    .create = lfu_perfect_create,
    .destroy = lfu_perfect_destroy,
    .insert = lfu_perfect_touch,
    .touch = lfu_perfect_touch,
    .hold = ranked_hold,
    .release = ranked_release,
    .ahead = ranked_ahead,
    .victim = ranked_victim,
    .remove = ranked_remove};
POLICY_REGISTER(evict, lfu_perfect)
