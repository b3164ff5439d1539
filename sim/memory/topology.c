/* Which links lie between two tiers, and whether a node and a list of tiers make sense. */
#include "sim/memory/topology.h"

#include <string.h>

uint32_t topology_tier(const struct list *tiers, const char *name) {
    const struct tier_options *items = tiers->items;
    for (uint32_t t = 0; t < tiers->count; t++)
        if (strcmp(items[t].name, name) == 0)
            return t;
    return UINT32_MAX;
}

uint32_t topology_write_from(const struct list *tiers, uint32_t tier) {
    const struct tier_options *options = (const struct tier_options *)tiers->items + tier;
    if (options->write_from)
        return topology_tier(tiers, options->write_from);
    return options->write == WRITE_EVICTION ? tier - 1 : 0;
}

/* The link that "name", "name:read" or "name:write" means; *way stays as it is without a suffix. */
static const struct node_link *find_link(const struct node_options *node, const char *word,
                                         enum network_direction *way) {
    const char *colon = strchr(word, ':');
    size_t length = colon ? (size_t)(colon - word) : strlen(word);
    if (colon && strcmp(colon, ":read") != 0 && strcmp(colon, ":write") != 0)
        return NULL;
    const struct node_link *links = node->links.items;
    for (size_t i = 0; i < node->links.count; i++)
        if (strlen(links[i].name) == length && strncmp(links[i].name, word, length) == 0) {
            if (colon)
                *way = colon[1] == 'r' ? NETWORK_READ : NETWORK_WRITE;
            return &links[i];
        }
    return NULL;
}

static bool same(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const struct node_path *find_path(const struct node_options *node, const char *variant, const char *from,
                                         const char *to) {
    const struct node_path *paths = node->paths.items;
    for (size_t i = 0; i < node->paths.count; i++)
        if (same(paths[i].name, variant) && strcmp(paths[i].from, from) == 0 && strcmp(paths[i].to, to) == 0)
            return &paths[i];
    return NULL;
}

/* The entry that joins the two: the variant, either way round, before the usual one. */
static const struct node_path *choose_path(const struct node_options *node, const char *variant, const char *from,
                                           const char *to, bool *reversed) {
    for (int usual = variant == NULL; usual < 2; usual++)
        for (int back = 0; back < 2; back++) {
            const struct node_path *found = find_path(node, usual ? NULL : variant, back ? to : from, back ? from : to);
            *reversed = back;
            if (found)
                return found;
        }
    return NULL;
}

uint32_t topology_named(const struct node_options *node, const char *name, const char *from, const char *to,
                        struct topology_hop hops[TOPOLOGY_HOPS_MAX]) {
    const struct node_path *path = find_path(node, name, from, to);
    if (!path || path->via.count > TOPOLOGY_HOPS_MAX)
        return 0;
    const char *const *via = path->via.items;
    for (uint32_t i = 0; i < path->via.count; i++) {
        enum network_direction way = NETWORK_READ;
        const struct node_link *link = find_link(node, via[i], &way);
        if (!link)
            return 0;
        hops[i] = (struct topology_hop){link, way};
    }
    return (uint32_t)path->via.count;
}

uint32_t topology_hops(const struct node_options *node, const struct list *tiers, uint32_t from, uint32_t to,
                       struct topology_hop hops[TOPOLOGY_HOPS_MAX], const struct node_path **path) {
    const struct tier_options *items = tiers->items;
    bool reversed;
    const struct node_path *found =
        choose_path(node, items[from > to ? from : to].path, items[from].name, items[to].name, &reversed);
    if (path)
        *path = found;
    if (!found || found->via.count == 0 || found->via.count > TOPOLOGY_HOPS_MAX)
        return 0;
    bool up = reversed ? from < to : to < from; /* the way the entry is written: towards HBM? */
    const char *const *via = found->via.items;
    for (uint32_t i = 0; i < found->via.count; i++) {
        enum network_direction way = up ? NETWORK_READ : NETWORK_WRITE;
        const struct node_link *link = find_link(node, via[reversed ? found->via.count - 1 - i : i], &way);
        if (!link)
            return 0;
        /* "NAME:read" is meant for the way the entry is written; without a suffix `way` is so too. */
        hops[i] = (struct topology_hop){link, reversed ? (way == NETWORK_READ ? NETWORK_WRITE : NETWORK_READ) : way};
    }
    return (uint32_t)found->via.count;
}

static const char *const *link_names(const struct node_options *node, const char *names[], size_t most) {
    const struct node_link *links = node->links.items;
    for (size_t i = 0; i < node->links.count && i < most; i++)
        names[i] = links[i].name;
    return names;
}

static int check_path(const struct node_options *node, const struct node_path *path, struct error *err) {
    enum { NAMES_MAX = 64 };
    const char *const *via = path->via.items;
    if (path->via.count == 0 || path->via.count > TOPOLOGY_HOPS_MAX)
        return error_at(
            err, path->at,
            "the path from '%s' to '%s' names %zu links\n  hint: 1 to %d, in the order in which bytes cross them",
            path->from, path->to, path->via.count, TOPOLOGY_HOPS_MAX);
    if (strcmp(path->from, path->to) == 0)
        return error_at(err, path->at, "a path from '%s' to itself\n  hint: a path joins two tiers", path->from);
    for (size_t i = 0; i < path->via.count; i++) {
        enum network_direction way;
        if (find_link(node, via[i], &way))
            continue;
        const char *names[NAMES_MAX];
        size_t count = node->links.count < NAMES_MAX ? node->links.count : NAMES_MAX;
        const char *nearest = error_nearest(via[i], link_names(node, names, NAMES_MAX), count);
        return error_at(err, path->at,
                        "the path from '%s' to '%s' goes over '%s', and the node has no such link\n  hint: %s%s%s",
                        path->from, path->to, via[i],
                        nearest ? "did you mean '"
                                : "add it under links:, or name one that is there (NAME, NAME:read or NAME:write)",
                        nearest ? nearest : "", nearest ? "'?" : "");
    }
    return 0;
}

static int check_links(const struct node_options *node, struct error *err) {
    struct node_link *links = node->links.items;
    if (node->links.count == 0)
        return error_set(err, "node '%s' has no links\n  hint: links: [{name: pcie, scope: gpu, ...}]", node->name);
    for (size_t i = 0; i < node->links.count; i++) {
        if (link_check(&links[i].link, links[i].at, err) != 0)
            return -1;
        if (strchr(links[i].name, ':'))
            return error_at(err, links[i].at,
                            "the link name '%s' holds a colon\n  hint: paths write NAME:read and NAME:write",
                            links[i].name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(links[i].name, links[j].name) == 0)
                return error_at(err, links[i].at, "link '%s' is there twice\n  hint: give one of them another name",
                                links[i].name);
    }
    return 0;
}

/* Some path of the node is of the variant that the tier asks for. */
static int check_variant(const struct node_options *node, const struct tier_options *tier, struct error *err) {
    const struct node_path *paths = node->paths.items;
    const char *known = NULL;
    for (size_t i = 0; tier->path && i < node->paths.count; i++) {
        if (strcmp(paths[i].from, tier->name) != 0 && strcmp(paths[i].to, tier->name) != 0)
            continue;
        if (same(paths[i].name, tier->path))
            return 0;
        if (paths[i].name)
            known = paths[i].name;
    }
    if (!tier->path)
        return 0;
    return error_at(err, tier->at, "node '%s' has no path '%s' of tier '%s'\n  hint: %s%s%s", node->name, tier->path,
                    tier->name, known ? "it has '" : "leave `path` out: it has the usual one only", known ? known : "",
                    known ? "'" : "");
}

static int missing_path(const struct node_options *node, const struct tier_options *tier, const char *from,
                        const char *to, struct error *err) {
    return error_at(err, tier->at,
                    "node '%s' has no path from '%s' to '%s'\n  hint: add {from: %s, to: %s, via: [...]} to its paths",
                    node->name, from, to, from, to);
}

/* An exclusive tier that is not written when the one above loses a block would lose it at its first hit. */
static int check_inclusion(const struct tier_options *tier, bool first, struct error *err) {
    if (tier->inclusion != INCLUSION_EXCLUSIVE)
        return 0;
    if (first)
        return error_at(err, tier->at, "tier '%s' cannot be exclusive\n  hint: a tier below it can", tier->name);
    if (tier->write == WRITE_FILL || tier->write == WRITE_NONE)
        return error_at(err, tier->at,
                        "tier '%s' is exclusive, and would lose a block for good at its first hit\n  hint: write: "
                        "eviction (or completion), so that it comes again when the tier above loses it",
                        tier->name);
    if (tier->promote == PROMOTE_ALWAYS)
        return error_at(err, tier->at,
                        "tier '%s' is exclusive, and keeps what passes on its way up\n  hint: promote: never, or "
                        "inclusion: inclusive",
                        tier->name);
    return 0;
}

static int check_tier(const struct node_options *node, const struct list *tiers, uint32_t t, struct error *err) {
    const struct tier_options *items = tiers->items, *tier = &items[t];
    if (tier->scope == SCOPE_GPU || tier->scope == SCOPE_SOCKET || tier->scope == SCOPE_SWITCH)
        return error_at(err, tier->at, "tier '%s' cannot have scope %s\n  hint: instance, node or pod", tier->name,
                        scope_names[tier->scope]);
    if (topology_tier(tiers, tier->name) != t)
        return error_at(err, tier->at, "tier '%s' is there twice\n  hint: give one of them another name", tier->name);
    if (check_inclusion(tier, t == 0, err) != 0)
        return -1;
    if (t == 0)
        return 0;
    if (tier->capacity_bytes <= 0)
        return error_at(err, tier->at, "tier '%s' has no capacity\n  hint: capacity: 1 TB", tier->name);
    if (check_variant(node, tier, err) != 0)
        return -1;
    uint32_t from = topology_write_from(tiers, t);
    if (from == UINT32_MAX)
        return error_at(err, tier->at,
                        "tier '%s' is written from '%s', which is not there\n  hint: name a tier of the list",
                        tier->name, tier->write_from);
    if (from >= t)
        return error_at(
            err, tier->at,
            "tier '%s' is written from '%s', which is not above it\n  hint: tiers stand in order, the fastest first",
            tier->name, tier->write_from);
    if (tier->write == WRITE_COMPLETION && from != 0)
        return error_at(err, tier->at,
                        "tier '%s' is written at completion from '%s'\n  hint: requests complete in hbm: leave "
                        "`write_from` out, or write at fill or eviction",
                        tier->name, tier->write_from);
    struct topology_hop hops[TOPOLOGY_HOPS_MAX];
    if (topology_hops(node, tiers, t, 0, hops, NULL) == 0)
        return missing_path(node, tier, tier->name, items[0].name, err);
    if (tier->write != WRITE_NONE && topology_hops(node, tiers, from, t, hops, NULL) == 0)
        return missing_path(node, tier, items[from].name, tier->name, err);
    if (tier->drive_state == DRIVE_FRESH && topology_hops(node, tiers, t, 0, hops, NULL) > 0 &&
        hops[0].link->link.fresh_bytes_per_s <= 0)
        return error_at(err, tier->at,
                        "tier '%s' is fresh, and its link '%s' does not say what that is worth\n  hint: fresh_write: "
                        "bandwidth of writes to an empty drive",
                        tier->name, hops[0].link->name);
    return 0;
}

int topology_check(const struct node_options *node, const struct list *tiers, struct error *err) {
    const struct tier_options *items = tiers->items;
    if (check_links(node, err) != 0)
        return -1;
    const struct node_path *paths = node->paths.items;
    for (size_t i = 0; i < node->paths.count; i++)
        if (check_path(node, &paths[i], err) != 0)
            return -1;
    if (tiers->count == 0 || strcmp(items[0].name, "hbm") != 0)
        return error_at(err, tiers->count ? items[0].at : (struct place){0},
                        "the first tier must be hbm\n  hint: tiers: [{name: hbm}, {name: dram, capacity: 1 TB}]");
    if (tiers->count > RECORD_TIERS_MAX)
        return error_at(err, items[RECORD_TIERS_MAX].at, "more than %d tiers\n  hint: leave some out",
                        RECORD_TIERS_MAX);
    for (uint32_t t = 0; t < tiers->count; t++)
        if (check_tier(node, tiers, t, err) != 0)
            return -1;
    return 0;
}
