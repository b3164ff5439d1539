/* The winner tree. Sources stand in groups of four; above the groups is a binary tree of matches, node 1 the final,
 * nodes 2i and 2i+1 those below node i. Each node keeps the smallest time beneath it and whose it is.
 *
 * What makes it fast: which nodes a source's replay visits follows from its id alone, so their loads wait neither for
 * each other nor for a comparison, and what is left in sequence is one `min` a level. Times are as good as random,
 * so a branch would be mispredicted every other level: whose the time is follows by a mask. Groups of four
 * halve the memory against a binary tree down to the sources. Nodes are 12 bytes in two arrays, so that a cache
 * line of keys holds four pairs. Measured against eight-way nodes of one cache line, with tests/bench/queue.c:
 * those are slower, since comparing eight keys costs more than three levels of one comparison each. */
#include <stdlib.h>

#include "sim/base/error.h"
#include "sim/engine/queue.h"

enum { GROUP = 4, LINE = 64 };

struct winner_tree {
    int64_t *time;    /* by source, padded to whole groups */
    int64_t *key;     /* by node: the smallest time beneath it; a group's is node groups + its number */
    uint32_t *winner; /* by node: the source that has it */
    uint32_t groups;  /* a power of two */
};

static void *lines(size_t count, size_t size) {
    void *memory = aligned_alloc(LINE, (count * size + LINE - 1) / LINE * LINE);
    MUST(memory);
    return memory;
}

struct winner_tree *winner_tree_create(uint32_t sources) {
    MUST(sources > 0 && sources <= UINT32_C(1) << 31);
    struct winner_tree *tree = calloc(1, sizeof *tree);
    MUST(tree);
    tree->groups = 1;
    while ((uint64_t)tree->groups * GROUP < sources)
        tree->groups *= 2;
    size_t groups = tree->groups;
    tree->time = lines(groups * GROUP, sizeof *tree->time);
    tree->key = lines(groups * 2, sizeof *tree->key);
    tree->winner = lines(groups * 2, sizeof *tree->winner);
    for (size_t i = 0; i < groups * GROUP; i++)
        tree->time[i] = INT64_MAX;
    for (size_t node = groups * 2 - 1; node > 0; node--) {
        tree->key[node] = INT64_MAX;
        tree->winner[node] = node >= groups ? (uint32_t)((node - groups) * GROUP) : tree->winner[2 * node];
    }
    return tree;
}

void winner_tree_destroy(struct winner_tree *tree) {
    if (!tree)
        return;
    free(tree->time);
    free(tree->key);
    free(tree->winner);
    free(tree);
}

static inline int64_t min(int64_t a, int64_t b) {
    return b < a ? b : a;
}

/* b where `take`, else a. A mask, because the compiler makes a branch of a conditional. */
static inline uint32_t pick(uint32_t a, uint32_t b, int take) {
    return a ^ ((a ^ b) & -(uint32_t)take);
}

/* The order is (time, source): of equal times the left one wins, so the right one must be strictly less. */
void winner_tree_set(struct winner_tree *tree, uint32_t source, int64_t time) {
    uint32_t node = source / GROUP;
    int64_t *group = tree->time + (size_t)node * GROUP;
    group[source % GROUP] = time;
    int64_t left = min(group[0], group[1]), right = min(group[2], group[3]), key = min(left, right);
    uint32_t way = pick(group[1] < group[0], 2 + (group[3] < group[2]), right < left);
    uint32_t winner = node * GROUP + way;
    node += tree->groups;
    /* A group whose winner stays changes nothing above. Asking again on each level costs more than it saves. */
    if (tree->key[node] == key && tree->winner[node] == winner)
        return;
    tree->key[node] = key;
    tree->winner[node] = winner;
    while (node > 1) {
        int64_t other = tree->key[node ^ 1];
        uint32_t its = tree->winner[node ^ 1];
        /* Times are not negative: the subtraction makes "<=" of "<" where the other is the left one. */
        int loses = other - (int64_t)(node & 1) < key;
        winner = pick(winner, its, loses);
        key = min(key, other);
        node /= 2;
        tree->key[node] = key;
        tree->winner[node] = winner;
    }
}

int64_t winner_tree_get(const struct winner_tree *tree, uint32_t source) {
    return tree->time[source];
}

uint32_t winner_tree_first(const struct winner_tree *tree, int64_t *time) {
    *time = tree->key[1];
    return tree->winner[1];
}
