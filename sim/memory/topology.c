#include "sim/memory/topology.h"

#include <string.h>

static const char *const scope_names[] = {"gpu", "socket", "node", "pod", "instance", NULL};
static const char *const write_names[] = {"none", "fill", "completion", "eviction", NULL};

static const struct option link_table[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = offsetof(struct node_link, name), .help = "what paths call it"},
    {.name = "scope", .kind = OPTION_CHOICE, .offset = offsetof(struct node_link, scope), .choices = scope_names,
     .help = "one such link per gpu, socket, node, pod or instance; of gpu links an instance uses one a rank, in lock-step"},
    LINK_OPTION_ROWS(struct node_link, link),
    OPTION_END};

static const struct option path_table[] = {
    {.name = "from", .kind = OPTION_TEXT, .offset = offsetof(struct node_path, from), .help = "tier that is read", .place_follows = false},
    {.name = "to", .kind = OPTION_TEXT, .offset = offsetof(struct node_path, to), .place_follows = true, .help = "tier that is written"},
    {.name = "via", .kind = OPTION_TEXTS, .offset = offsetof(struct node_path, via),
     .help = "links in order, NAME or NAME:read or NAME:write; a link that is crossed twice stands twice"},
    {.name = "stages", .kind = OPTION_TEXTS, .offset = offsetof(struct node_path, stages), .fallback = "",
     .help = "tiers that the bytes pass through on their way up; blocks that are read stay there"},
    OPTION_END};

const struct option node_options_table[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = offsetof(struct node_options, name), .help = "the file's name without .yaml"},
    {.name = "description", .kind = OPTION_TEXT, .offset = offsetof(struct node_options, description), .fallback = "", .help = "one line for people"},
    {.name = "gpu", .kind = OPTION_TEXT, .offset = offsetof(struct node_options, gpu), .help = "its GPUs, a name of configs/hardware"},
    {.name = "gpus", .kind = OPTION_INT, .offset = offsetof(struct node_options, gpus), .min = 1, .max = 1024, .help = "GPUs in a node"},
    {.name = "sockets", .kind = OPTION_INT, .offset = offsetof(struct node_options, sockets), .fallback = "1", .min = 1, .max = 64, .help = "CPU sockets, each with its own DRAM"},
    {.name = "links", .kind = OPTION_LIST, .offset = offsetof(struct node_options, links), .table = link_table, .item_size = sizeof(struct node_link),
     .help = "what bytes move over: copy engines, buses, drives, NICs"},
    {.name = "paths", .kind = OPTION_LIST, .offset = offsetof(struct node_options, paths), .table = path_table, .item_size = sizeof(struct node_path),
     .help = "how bytes get from tier to tier"},
    OPTION_END};

const struct option tier_options_table[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = offsetof(struct tier_options, name), .place_follows = true,
     .help = "hbm, dram, ssd, flash, object, peer, or a name of your own that the node's paths know"},
    {.name = "device", .kind = OPTION_TEXT, .offset = offsetof(struct tier_options, device), .fallback = "",
     .help = "what it is bought as, a name of the price file; default: the tier's name"},
    {.name = "scope", .kind = OPTION_CHOICE, .offset = offsetof(struct tier_options, scope), .fallback = "node", .choices = scope_names,
     .help = "one such tier per instance, node or pod; hbm is per instance"},
    {.name = "capacity", .kind = OPTION_REAL, .offset = offsetof(struct tier_options, capacity_bytes), .unit = UNIT_BYTES, .fallback = "0", .min = 0, .max = 1e18,
     .help = "of one such tier; hbm may leave it out: what weights and activations leave"},
    {.name = "evict", .kind = OPTION_NODE, .offset = offsetof(struct tier_options, evict), .fallback = "", .place_follows = true,
     .help = "eviction policy, NAME or {name: NAME, its options}; default lru"},
    {.name = "write", .kind = OPTION_CHOICE, .offset = offsetof(struct tier_options, write), .fallback = "fill", .choices = write_names,
     .help = "when blocks are copied here: as they fill, when their request completes, when the tier they come from evicts them, or never"},
    {.name = "write_from", .kind = OPTION_TEXT, .offset = offsetof(struct tier_options, write_from), .fallback = "",
     .help = "the tier they come from; default hbm, for eviction the tier above"},
    {.name = "format_ratio", .kind = OPTION_REAL, .offset = offsetof(struct tier_options, format_ratio), .unit = UNIT_RATIO, .fallback = "1", .min = 0.01, .max = 4,
     .help = "bytes of a block here over its bytes in HBM: fp8 copies of a bf16 cache are 0.5"},
    {.name = "codec", .kind = OPTION_REAL, .offset = offsetof(struct tier_options, codec_bytes_per_s), .unit = UNIT_BYTES_PER_S, .fallback = "0", .min = 0, .max = 1e16,
     .help = "speed of the format's codec on uncompressed bytes; 0: it costs nothing"},
    {.name = "endurance_dwpd", .kind = OPTION_REAL, .offset = offsetof(struct tier_options, endurance_dwpd), .fallback = "0", .min = 0, .max = 1000,
     .help = "drive writes a day over its life; 0: it does not wear"},
    OPTION_END};

uint32_t topology_tier(const struct list *tiers, const char *name) {
    const struct tier_options *items = tiers->items;
    for (uint32_t t = 0; t < tiers->count; t++)
        if (strcmp(items[t].name, name) == 0) return t;
    return UINT32_MAX;
}

uint32_t topology_write_from(const struct list *tiers, uint32_t tier) {
    const struct tier_options *options = (const struct tier_options *)tiers->items + tier;
    if (options->write_from) return topology_tier(tiers, options->write_from);
    return options->write == WRITE_EVICTION ? tier - 1 : 0;
}

/* The link that "name", "name:read" or "name:write" means; *way stays as it is without a suffix. */
static const struct node_link *find_link(const struct node_options *node, const char *word, enum network_direction *way) {
    const char *colon = strchr(word, ':');
    size_t length = colon ? (size_t)(colon - word) : strlen(word);
    if (colon && strcmp(colon, ":read") != 0 && strcmp(colon, ":write") != 0) return NULL;
    const struct node_link *links = node->links.items;
    for (size_t i = 0; i < node->links.count; i++)
        if (strlen(links[i].name) == length && strncmp(links[i].name, word, length) == 0) {
            if (colon) *way = colon[1] == 'r' ? NETWORK_READ : NETWORK_WRITE;
            return &links[i];
        }
    return NULL;
}

static const struct node_path *find_path(const struct node_options *node, const char *from, const char *to) {
    const struct node_path *paths = node->paths.items;
    for (size_t i = 0; i < node->paths.count; i++)
        if (strcmp(paths[i].from, from) == 0 && strcmp(paths[i].to, to) == 0) return &paths[i];
    return NULL;
}

uint32_t topology_hops(const struct node_options *node, const struct list *tiers, uint32_t from, uint32_t to,
                       struct topology_hop hops[TOPOLOGY_HOPS_MAX], const struct node_path **path) {
    const struct tier_options *items = tiers->items;
    const struct node_path *found = find_path(node, items[from].name, items[to].name);
    bool reversed = !found;
    if (reversed) found = find_path(node, items[to].name, items[from].name);
    if (path) *path = found;
    if (!found || found->via.count == 0 || found->via.count > TOPOLOGY_HOPS_MAX) return 0;
    bool up = reversed ? from < to : to < from; /* the way the entry is written: towards HBM? */
    const char *const *via = found->via.items;
    for (uint32_t i = 0; i < found->via.count; i++) {
        enum network_direction way = up ? NETWORK_READ : NETWORK_WRITE;
        const struct node_link *link = find_link(node, via[reversed ? found->via.count - 1 - i : i], &way);
        if (!link) return 0;
        hops[i] = (struct topology_hop){link, reversed ? (way == NETWORK_READ ? NETWORK_WRITE : NETWORK_READ) : way};
    }
    return (uint32_t)found->via.count;
}

static int check_path(const struct node_options *node, const struct node_path *path, struct error *err) {
    const char *const *via = path->via.items;
    if (path->via.count == 0 || path->via.count > TOPOLOGY_HOPS_MAX)
        return error_at(err, path->at, "the path from '%s' to '%s' names %zu links\n  hint: 1 to %d, in the order in which bytes cross them", path->from, path->to,
                        path->via.count, TOPOLOGY_HOPS_MAX);
    for (size_t i = 0; i < path->via.count; i++) {
        enum network_direction way;
        if (!find_link(node, via[i], &way))
            return error_at(err, path->at, "the path from '%s' to '%s' goes over '%s', and the node has no such link\n  hint: add it under links:, or name one that is there (NAME, NAME:read or NAME:write)",
                            path->from, path->to, via[i]);
    }
    return 0;
}

static int check_tier(const struct node_options *node, const struct list *tiers, uint32_t t, struct error *err) {
    const struct tier_options *items = tiers->items, *tier = &items[t];
    if (tier->scope == SCOPE_GPU || tier->scope == SCOPE_SOCKET)
        return error_at(err, tier->at, "tier '%s' cannot have scope %s\n  hint: instance, node or pod", tier->name, scope_names[tier->scope]);
    if (topology_tier(tiers, tier->name) != t) return error_at(err, tier->at, "tier '%s' is there twice\n  hint: give one of them another name", tier->name);
    if (t == 0) return 0;
    if (tier->capacity_bytes <= 0) return error_at(err, tier->at, "tier '%s' has no capacity\n  hint: capacity: 1 TB", tier->name);
    uint32_t from = topology_write_from(tiers, t);
    if (from == UINT32_MAX) return error_at(err, tier->at, "tier '%s' is written from '%s', which is not there\n  hint: name a tier of the list", tier->name, tier->write_from);
    if (from >= t) return error_at(err, tier->at, "tier '%s' is written from '%s', which is not above it\n  hint: tiers stand in order, the fastest first", tier->name, tier->write_from);
    struct topology_hop hops[TOPOLOGY_HOPS_MAX];
    if (topology_hops(node, tiers, t, 0, hops, NULL) == 0)
        return error_at(err, tier->at, "node '%s' has no path from '%s' to '%s'\n  hint: add {from: %s, to: %s, via: [...]} to its paths", node->name, tier->name, items[0].name,
                        tier->name, items[0].name);
    if (tier->write != WRITE_NONE && topology_hops(node, tiers, from, t, hops, NULL) == 0)
        return error_at(err, tier->at, "node '%s' has no path from '%s' to '%s'\n  hint: add {from: %s, to: %s, via: [...]} to its paths", node->name, items[from].name,
                        tier->name, items[from].name, tier->name);
    return 0;
}

int topology_check(const struct node_options *node, const struct list *tiers, struct error *err) {
    const struct tier_options *items = tiers->items;
    struct node_link *links = node->links.items;
    for (size_t i = 0; i < node->links.count; i++)
        if (link_check(&links[i].link, (struct place){node->name, 0, 0}, err) != 0) return -1;
    const struct node_path *paths = node->paths.items;
    for (size_t i = 0; i < node->paths.count; i++)
        if (check_path(node, &paths[i], err) != 0) return -1;
    if (tiers->count == 0 || strcmp(items[0].name, "hbm") != 0)
        return error_at(err, tiers->count ? items[0].at : (struct place){0}, "the first tier must be hbm\n  hint: tiers: [{name: hbm}, {name: dram, capacity: 1 TB}]");
    if (tiers->count > RECORD_TIERS_MAX) return error_at(err, items[RECORD_TIERS_MAX].at, "more than %d tiers\n  hint: leave some out", RECORD_TIERS_MAX);
    for (uint32_t t = 0; t < tiers->count; t++)
        if (check_tier(node, tiers, t, err) != 0) return -1;
    return 0;
}
