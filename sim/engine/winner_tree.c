/* The winner tree: eight-way nodes, one 64-byte cache line of keys each, lowest level first.
 *
 * key[] of a lowest node are the times of eight neighbouring sources; above, key[i] is the smallest key of child i
 * and winner[] says whose it is. Equal keys go to the leftmost child, which is the smaller source id, so ids take
 * part in no comparison. The path from a source to the root follows from its id alone: its loads do not wait for one
 * another, and a replay ends at the first node whose winner stays. */
#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"
#include "sim/engine/queue.h"

enum { WAYS = 8, WAY_BITS = 3, LEVELS_MAX = 11 /* 8^11 > 2^32 */ };

struct keys {
    _Alignas(64) int64_t key[WAYS];
};

struct winner_tree {
    struct keys *level[LEVELS_MAX]; /* into one block; level[0] holds the sources */
    uint32_t *winner[LEVELS_MAX];   /* by node: the source of its smallest key */
    uint32_t sources;
    int levels;
};

struct winner_tree *winner_tree_create(uint32_t sources) {
    MUST(sources > 0);
    struct winner_tree *tree = calloc(1, sizeof *tree);
    MUST(tree);
    size_t count[LEVELS_MAX], total = 0, below = sources;
    do {
        below = (below + WAYS - 1) / WAYS;
        count[tree->levels++] = below;
        total += below;
    } while (below > 1);
    struct keys *keys = aligned_alloc(64, total * sizeof *keys);
    uint32_t *winners = malloc(total * sizeof *winners);
    MUST(keys && winners);
    for (size_t i = 0; i < total; i++)
        for (int way = 0; way < WAYS; way++)
            keys[i].key[way] = INT64_MAX;
    for (int l = 0; l < tree->levels; l++) {
        tree->level[l] = keys;
        tree->winner[l] = winners;
        for (size_t i = 0; i < count[l]; i++)
            winners[i] = (uint32_t)(i << WAY_BITS * (l + 1));
        keys += count[l];
        winners += count[l];
    }
    tree->sources = sources;
    return tree;
}

void winner_tree_destroy(struct winner_tree *tree) {
    if (!tree)
        return;
    free(tree->level[0]);
    free(tree->winner[0]);
    free(tree);
}

/* The way of the smallest key, the leftmost among equals. Three rounds of pairs, each a compare and two conditional
 * moves: times are as good as random, and a branch would be mispredicted every other time. */
static inline unsigned smallest(const int64_t *key) {
#define BEATS(a, b) (key[b] < key[a] ? (b) : (a))
    unsigned a = BEATS(0u, 1u), b = BEATS(2u, 3u), c = BEATS(4u, 5u), d = BEATS(6u, 7u);
    a = BEATS(a, b);
    c = BEATS(c, d);
    return BEATS(a, c);
#undef BEATS
}

void winner_tree_set(struct winner_tree *tree, uint32_t source, int64_t time) {
    uint32_t node = source >> WAY_BITS;
    struct keys *keys = &tree->level[0][node];
    keys->key[source % WAYS] = time;
    unsigned way = smallest(keys->key);
    int64_t key = keys->key[way];
    uint32_t winner = node << WAY_BITS | way;
    for (int l = 1;; l++) {
        /* The old winner of a node is kept with it, its old key in the parent. */
        uint32_t *kept = &tree->winner[l - 1][node];
        if (l == tree->levels) {
            *kept = winner;
            return;
        }
        struct keys *parent = &tree->level[l][node >> WAY_BITS];
        int64_t *kept_key = &parent->key[node % WAYS];
        if (*kept == winner && *kept_key == key)
            return;
        *kept = winner;
        *kept_key = key;
        way = smallest(parent->key);
        key = parent->key[way];
        node >>= WAY_BITS;
        winner = tree->winner[l - 1][node << WAY_BITS | way];
    }
}

int64_t winner_tree_get(const struct winner_tree *tree, uint32_t source) {
    return tree->level[0][source >> WAY_BITS].key[source % WAYS];
}

uint32_t winner_tree_first(const struct winner_tree *tree, int64_t *time) {
    uint32_t winner = tree->winner[tree->levels - 1][0];
    *time = winner_tree_get(tree, winner);
    return winner;
}
