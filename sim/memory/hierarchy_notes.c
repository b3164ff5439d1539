/* News of sessions on their way to the policies of an instance's tiers, and what losing a block costs there. */
#include <math.h>

#include "sim/memory/access_log.h"
#include "sim/memory/hierarchy_impl.h"

void notes_create(struct hierarchy *h) {
    for (uint32_t level = 0; level < h->level_count; level++)
        if (h->levels[level].options->evict_policy->note)
            h->hears |= h->levels[level].needs;
    h->hears &= NEED_SESSION | NEED_QUEUE | NEED_AGENT_GRAPH;
    if (h->setup.access_log) /* for other policies, in a replay */
        h->hears |= NEED_SESSION;
}

unsigned hierarchy_hears(const struct hierarchy *h) {
    return h->hears;
}

void hierarchy_note(struct hierarchy *h, uint32_t instance, const struct session_note *note, sim_time now) {
    h->acting = instance;
    for (uint32_t level = 0; level < h->level_count; level++) {
        struct session_note own = *note;
        /* Steps are counted where the policy stands: a tier sees its own instances' requests only. */
        if (note->event == SESSION_STEPS) {
            uint64_t steps = (uint64_t)note->position * h->levels[level].per_unit / h->setup.instances;
            own.position = steps > 0 ? (uint32_t)steps : 1;
        }
        tier_note(level_tier(h, level, instance), &own, now);
    }
    evictions_start(h);
    timers_update(h);
}

/* A block of `level` is fetched back from the first tier that is written from there: as on an idle path. */
static void find_fetch(struct hierarchy *h, uint32_t level, uint32_t instance, struct loss_costs *costs) {
    enum { MANY = 256 };
    costs->fetch_first_s = costs->fetch_block_s = HUGE_VAL;
    for (uint32_t below = level + 1; below < h->level_count; below++) {
        if (h->levels[below].write_from != level || !can_copy(h, instance, below, 0))
            continue;
        double one_s = kv_predict_fetch_s(h, instance, below, 1), many_s = kv_predict_fetch_s(h, instance, below, MANY);
        costs->fetch_block_s = (many_s - one_s) / (MANY - 1);
        costs->fetch_first_s = one_s - costs->fetch_block_s;
        return;
    }
}

void costs_create(struct hierarchy *h) {
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t i = 0; h->levels[level].needs & NEED_COST && i < h->levels[level].unit_count; i++) {
            struct bank *unit = &h->levels[level].units[i];
            unit->loss.token_s = h->setup.token_s;
            unit->loss.pair_s = h->setup.pair_s;
            unit->loss.block_bytes = h->levels[level].block_bytes;
            find_fetch(h, level, unit->first_instance, &unit->loss);
            unit->costs = loss_costs_view(&unit->loss);
            if (h->setup.access_log)
                tier_log_costs(unit->log, &unit->loss);
        }
}
