/* Copies downwards: at fill, at completion, on eviction. */
#include "sim/memory/hierarchy_impl.h"

static struct block_new copy_of(const struct hierarchy *h, const struct block_info *block, uint32_t parent) {
    return (struct block_new){.id = block->id, .next_use = block->next_use, .duration_ns = block->duration_ns, .parent = parent,
                              .tokens = h->setup.block_tokens, .tenant = block->tenant, .category = block->category, .priority = block->priority};
}

void offload(struct hierarchy *h, uint32_t instance, uint32_t from, uint32_t to, const uint32_t *slots, uint32_t count, sim_time now) {
    struct tier *source = level_tier(h, from, instance), *target = level_tier(h, to, instance);
    uint32_t transfer = NO_TRANSFER, parent = SLOT_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] == SLOT_NONE) {
            parent = SLOT_NONE;
            continue;
        }
        const struct block_info *block = tier_block(source, slots[i]);
        uint32_t there = tier_find(target, block->id);
        if (there == SLOT_NONE) {
            /* Pinned first: what makes room below may be looking for room itself. */
            tier_pin(source, slots[i], true, now);
            if (!tier_take(target, 1, now)) {
                tier_pin(source, slots[i], false, now);
                level_totals(h, to, instance)->skipped_blocks += count - i;
                break;
            }
            struct block_new new = copy_of(h, block, parent);
            there = tier_insert(target, &new, SLOT_ARRIVING, now);
            if (transfer == NO_TRANSFER) transfer = transfer_open(h, TRANSFER_STORE, instance, from, to, now);
            transfer_add(h, transfer, slots[i], there);
        }
        parent = there;
    }
    if (transfer != NO_TRANSFER) transfer_start(h, transfer, now);
}

void offload_all(struct hierarchy *h, uint32_t instance, uint32_t from, enum write_rule rule, const uint32_t *slots, uint32_t count, sim_time now) {
    for (uint32_t to = from + 1; to < h->level_count; to++)
        if (h->levels[to].options->write == (int)rule && h->levels[to].write_from == from) offload(h, instance, from, to, slots, count, now);
}

static uint32_t level_of_tier(const struct hierarchy *h, const struct tier *tier, uint32_t *instance) {
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t unit = 0; unit < h->levels[level].unit_count; unit++)
            if (h->levels[level].units[unit] == tier) {
                *instance = h->levels[level].totals[unit].first_instance;
                return level;
            }
    MUST(false);
    return 0;
}

/* Where blocks go that `from` evicts; UINT32_MAX: nowhere. */
static uint32_t eviction_target(const struct hierarchy *h, uint32_t from) {
    for (uint32_t to = from + 1; to < h->level_count; to++)
        if (h->levels[to].options->write == WRITE_EVICTION && h->levels[to].write_from == from) return to;
    return UINT32_MAX;
}

bool victim_leaves(void *self, struct tier *tier, uint32_t slot, sim_time now) {
    struct hierarchy *h = self;
    uint32_t instance;
    uint32_t from = level_of_tier(h, tier, &instance), to = eviction_target(h, from);
    if (to == UINT32_MAX) return false;
    struct tier *target = level_tier(h, to, instance);
    const struct block_info *block = tier_block(tier, slot);
    if (tier_find(target, block->id) != SLOT_NONE || !tier_take(target, 1, now)) return false;
    struct block_new new = copy_of(h, block, SLOT_NONE);
    uint32_t there = tier_insert(target, &new, SLOT_ARRIVING, now);
    uint32_t *open = &h->evicting[from * h->setup.instances + instance];
    if (*open == NO_TRANSFER) *open = transfer_open(h, TRANSFER_EVICT, instance, from, to, now);
    transfer_add(h, *open, slot, there);
    h->evictions_open = true;
    /* HBM's slot is free when the copy is done. A lower tier copies through a staging buffer: its slot is free at once. */
    return from == 0;
}

void evictions_start(struct hierarchy *h, sim_time now) {
    if (!h->evictions_open) return;
    h->evictions_open = false;
    for (uint32_t i = 0; i < h->level_count * h->setup.instances; i++) {
        uint32_t transfer = h->evicting[i];
        if (transfer == NO_TRANSFER) continue;
        h->evicting[i] = NO_TRANSFER;
        transfer_start(h, transfer, now);
    }
}
