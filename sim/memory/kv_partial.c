/* Loads that are not had whole: from both ends, and cut short. */
#include "sim/memory/hierarchy_impl.h"

/* A mark on an entry of h->arriving: its load has not begun with this block. Transfers are fewer. */
enum { NOT_COMING = INT32_MIN };

static bool not_coming(const struct hierarchy *h, uint32_t instance, uint32_t slot) {
    return slot != SLOT_NONE && (h->arriving[instance][slot] & (uint32_t)NOT_COMING) != 0;
}

/* The loads that slots[0..count) are part of, each once, into the scratch. Returns their number. */
static uint32_t loads_of(struct hierarchy *h, uint32_t instance, const uint32_t *slots, uint32_t count) {
    uint32_t loads = 0;
    scratch_reserve(h, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t load = slots[i] == SLOT_NONE ? 0 : h->arriving[instance][slots[i]];
        bool known = load == 0;
        for (uint32_t k = loads; !known && k-- > 0;)
            known = h->slots[k] == load - 1;
        if (!known)
            h->slots[loads++] = load - 1;
    }
    return loads;
}

/* Sets or takes back the mark on the blocks of the scratch's loads that have not begun to move. */
static void mark(struct hierarchy *h, uint32_t instance, uint32_t loads, bool set, sim_time now) {
    for (uint32_t k = 0; k < loads; k++) {
        const struct transfer *transfer = &h->transfers[h->slots[k]];
        for (uint32_t i = network_committed_blocks(h->network, transfer->flow, now); i < transfer->count; i++)
            h->arriving[instance][transfer->target[i]] = (h->slots[k] + 1) | (set ? (uint32_t)NOT_COMING : 0);
    }
}

/* Has the request wait only for loads that bring some of what it still has, and cuts the others of the scratch. */
static enum kv_result wait_for_less(struct hierarchy *h, uint32_t instance, struct kv *kv, uint32_t loads,
                                    sim_time now) {
    uint32_t wait = wait_named(h, kv->wait);
    for (uint32_t k = 0; k < loads; k++) {
        bool wanted = false;
        for (uint32_t i = 0; !wanted && i < kv->count; i++)
            wanted = kv->slots[i] != SLOT_NONE && h->arriving[instance][kv->slots[i]] == h->slots[k] + 1;
        for (uint32_t i = 0; !wanted && i < kv->tail_count; i++) {
            uint32_t slot = kv->slots[kv->tail_first + i];
            wanted = slot != SLOT_NONE && h->arriving[instance][slot] == h->slots[k] + 1;
        }
        if (!wanted && wait != NO_WAIT)
            wait_leave(h, wait, h->slots[k]);
        transfer_cut(h, h->slots[k], now);
    }
    if (wait == NO_WAIT)
        return KV_READY;
    if (h->waits[wait].pending > 0)
        return KV_LOADING;
    wait_close(h, wait);
    kv->wait = 0;
    return KV_READY;
}

void kv_join(struct hierarchy *h, uint32_t instance, struct kv *kv) {
    (void)instance;
    MUST(kv->tail_count > 0 && kv->count == kv->tail_first && wait_named(h, kv->wait) == NO_WAIT);
    kv->count += kv->tail_count;
    kv->tail_first = kv->tail_count = 0;
}

uint32_t kv_tail_open(struct hierarchy *h, uint32_t instance, const struct kv *kv) {
    const uint32_t *tail = kv->slots + kv->tail_first;
    sim_time now = engine_now(h->setup.engine);
    uint32_t loads = loads_of(h, instance, tail, kv->tail_count), open = 0;
    mark(h, instance, loads, true, now);
    while (open < kv->tail_count && not_coming(h, instance, tail[open]))
        open++;
    mark(h, instance, loads, false, now);
    return open;
}

enum kv_result kv_tail_give(struct hierarchy *h, uint32_t instance, struct kv *kv, uint32_t blocks, sim_time now) {
    MUST(blocks <= kv->tail_count);
    uint32_t *tail = kv->slots + kv->tail_first;
    h->acting = instance;
    uint32_t loads = loads_of(h, instance, tail, kv->tail_count);
    tier_release_all(level_tier(h, 0, instance), tail, blocks, now);
    for (uint32_t i = 0; i < blocks; i++)
        tail[i] = SLOT_NONE;
    kv->tail_first += blocks;
    kv->tail_count -= blocks;
    enum kv_result result = wait_for_less(h, instance, kv, loads, now);
    if (kv->tail_count == 0)
        kv->tail_first = 0;
    evictions_start(h);
    timers_update(h);
    return result;
}

enum kv_result kv_cut(struct hierarchy *h, uint32_t instance, struct kv *kv, sim_time now) {
    MUST(kv->tail_count == 0 && kv->swapped == 0);
    h->acting = instance;
    uint32_t loads = loads_of(h, instance, kv->slots, kv->count), keep = 0;
    mark(h, instance, loads, true, now);
    while (keep < kv->count && !not_coming(h, instance, kv->slots[keep]))
        keep++;
    mark(h, instance, loads, false, now);
    tier_release_all(level_tier(h, 0, instance), kv->slots + keep, kv->count - keep, now);
    kv->count = keep;
    enum kv_result result = wait_for_less(h, instance, kv, loads, now);
    evictions_start(h);
    timers_update(h);
    return result;
}
