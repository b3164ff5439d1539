/* What stands in front of a tier: whether a block that is offered to it is written there. */
#include <stdlib.h>
#include <string.h>

#include "sim/memory/hierarchy_impl.h"

void admission_create(struct bank *unit) {
    const struct tier_options *options = unit->h->levels[unit->level].options;
    const struct admit_policy *policy = options->admit_policy;
    struct admit_context context = {
        .capacity = unit->slots, .seed = unit->h->setup.seed, .options = options->admit_options};
    unit->admit = policy;
    unit->admit_wake = SIM_NEVER;
    if (!policy)
        return;
    /* Without state of its own self is the options, which it only reads. */
    if (policy->create)
        unit->admit_self = policy->create(&context);
    else
        memcpy(&unit->admit_self, &options->admit_options, sizeof unit->admit_self);
    if (policy->timer)
        unit->admit_wake = policy->timer(unit->admit_self, 0);
}

void admission_destroy(struct bank *unit) {
    if (unit->admit && unit->admit->destroy)
        unit->admit->destroy(unit->admit_self);
}

/* Decay and leases that have come due since it was last asked. */
static void wake(struct bank *unit, sim_time now) {
    while (unit->admit_wake <= now) {
        sim_time next = unit->admit->timer(unit->admit_self, unit->admit_wake);
        unit->admit_wake = next > unit->admit_wake ? next : unit->admit_wake + 1;
    }
}

void admission_hit(struct bank *unit, uint32_t slot, uint64_t id, sim_time now) {
    if (unit->hits && unit->hits[slot] < UINT16_MAX)
        unit->hits[slot]++;
    if (!unit->admit || !unit->admit->hit)
        return;
    wake(unit, now);
    unit->admit->hit(unit->admit_self, id, now);
}

void admission_evicted(struct bank *unit, uint64_t id, sim_time now) {
    if (!unit->admit || !unit->admit->evicted)
        return;
    wake(unit, now);
    unit->admit->evicted(unit->admit_self, id, now);
}

void kv_seen(struct hierarchy *h, uint32_t instance, const uint64_t *ids, uint32_t count, sim_time now) {
    for (uint32_t level = 1; level < h->level_count; level++) {
        struct bank *unit = level_bank(h, level, instance);
        if (!unit->admit || !unit->admit->seen)
            continue;
        wake(unit, now);
        unit->admit->seen(unit->admit_self, ids, count, now);
    }
}

/* As the policy sees a block; what it did not declare stays neutral. */
static struct admit_block block_for(const struct bank *source, const struct bank *target, uint32_t slot) {
    unsigned needs = target->admit->policy.needs;
    struct block_new block = block_describe(source, slot, SLOT_NONE);
    return (struct admit_block){.id = block.id,
                                .bytes = source->h->levels[target->level].block_bytes,
                                .hits = needs & NEED_HITS && source->hits ? source->hits[slot] : 0,
                                .depth = needs & NEED_LENGTH ? block.depth : 0,
                                .tokens = needs & NEED_LENGTH ? block.tokens : 1,
                                .tenant = block.tenant,
                                .category = needs & NEED_CATEGORY ? block.category : 0,
                                .priority = block.priority};
}

void admission_decide(struct bank *source, struct bank *target, enum admit_cause cause, const uint32_t *slots,
                      uint32_t count, bool *admit, sim_time now) {
    struct hierarchy *h = source->h;
    if (count == 0)
        return;
    if (h->offer_room < count) {
        h->offer_room = 2 * count;
        h->offers = realloc(h->offers, h->offer_room * sizeof *h->offers);
        MUST(h->offers != NULL);
    }
    for (uint32_t i = 0; i < count; i++) {
        h->offers[i] = block_for(source, target, slots[i]);
        admit[i] = false;
    }
    struct tier_counts counts = tier_counts(target->tier);
    struct admit_view view = {
        .cause = cause, .count = count, .blocks = h->offers, .capacity = target->slots, .free = counts.free};
    const struct route *route = route_of(h, h->acting, source->level, target->level);
    for (uint32_t i = 0; i < route->count; i++) {
        uint64_t queued = network_queued_bytes(h->network, route->hops[i].link, route->hops[i].direction);
        view.queued_bytes = queued > view.queued_bytes ? queued : view.queued_bytes;
    }
    wake(target, now);
    target->admit->decide(target->admit_self, &view, admit, now);
    for (uint32_t i = 0; i < count; i++)
        target->refused_blocks += !admit[i];
}

bool admission_takes(struct bank *source, struct bank *target, enum admit_cause cause, uint32_t slot, sim_time now) {
    bool admit = true;
    if (target->admit)
        admission_decide(source, target, cause, &slot, 1, &admit, now);
    return admit;
}
