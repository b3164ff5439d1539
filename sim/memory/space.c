#include "sim/memory/space.h"

#include <stdlib.h>

#include "sim/memory/hierarchy_impl.h"

enum { QUEUED = 1, PINNED = 2 };

struct space_queue {
    bool known, retired;
    uint32_t head, tail; /* slots + 1; 0: none */
    uint64_t blocks;     /* with identity, arriving or resident */
    struct space_terms terms;
};

struct shelf {
    struct bank *unit;
    struct tier_watch watch;
    uint32_t *before, *after; /* by slot, + 1 */
    sim_time *since;          /* when it was let go or touched */
    uint8_t *state;
    struct space_queue *queues; /* by namespace */
    uint32_t queue_count;
    uint64_t pinned[SPACE_RULES_MAX];
    bool closing; /* nothing is pinned, nor sent away for a quota */
    struct space_counts counts;
};

static const struct space_source *source_of(const struct shelf *shelf) {
    return shelf->unit->h->setup.spaces;
}
static uint32_t space_at(const struct shelf *shelf, uint32_t slot) {
    return space_of_id(tier_block(shelf->unit->tier, slot)->id);
}

static struct space_queue *queue_of(struct shelf *shelf, uint32_t space) {
    MUST(space < SPACES_MAX);
    if (space >= shelf->queue_count) {
        uint32_t count = space + 8;
        shelf->queues = realloc(shelf->queues, count * sizeof *shelf->queues);
        MUST(shelf->queues != NULL);
        for (uint32_t i = shelf->queue_count; i < count; i++)
            shelf->queues[i] = (struct space_queue){0};
        shelf->queue_count = count;
    }
    struct space_queue *queue = &shelf->queues[space];
    if (!queue->known) {
        queue->known = true;
        queue->terms = source_of(shelf)->terms(source_of(shelf)->self, space, shelf->unit->level);
    }
    return queue;
}

static void append(struct shelf *shelf, struct space_queue *queue, uint32_t slot, sim_time now) {
    shelf->before[slot] = queue->tail;
    shelf->after[slot] = 0;
    *(queue->tail ? &shelf->after[queue->tail - 1] : &queue->head) = slot + 1;
    queue->tail = slot + 1;
    shelf->since[slot] = now;
    shelf->state[slot] |= QUEUED;
    if (queue->terms.ttl_ns > 0)
        source_of(shelf)->wake(source_of(shelf)->self, now + queue->terms.ttl_ns);
}

static void unlink_slot(struct shelf *shelf, struct space_queue *queue, uint32_t slot) {
    uint32_t before = shelf->before[slot], after = shelf->after[slot];
    *(before ? &shelf->after[before - 1] : &queue->head) = after;
    *(after ? &shelf->before[after - 1] : &queue->tail) = before;
    shelf->state[slot] &= (uint8_t)~QUEUED;
}

static uint64_t blocks_in(const struct shelf *shelf, double bytes) {
    return (uint64_t)(bytes / (double)shelf->unit->h->levels[shelf->unit->level].block_bytes);
}

/* Blocks of the tenant, in all its namespaces. */
static uint64_t tenant_blocks(const struct shelf *shelf, uint32_t tenant) {
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < shelf->queue_count; i++)
        if (shelf->queues[i].known && shelf->queues[i].terms.tenant == tenant)
            blocks += shelf->queues[i].blocks;
    return blocks;
}

/* Evicts the tenant's own block that was let go longest ago. false: it has none. */
static bool evict_own(struct shelf *shelf, uint32_t tenant, sim_time now) {
    uint32_t oldest = SLOT_NONE;
    for (uint32_t i = 0; i < shelf->queue_count; i++) {
        const struct space_queue *queue = &shelf->queues[i];
        if (!queue->known || queue->terms.tenant != tenant || queue->head == 0)
            continue;
        if (oldest == SLOT_NONE || shelf->since[queue->head - 1] < shelf->since[oldest])
            oldest = queue->head - 1;
    }
    if (oldest == SLOT_NONE)
        return false;
    shelf->counts.over++;
    tier_evict_slot(shelf->unit->tier, oldest, now);
    return true;
}

/* Whether a block that has just come is to stay. What stands on one that may go may go itself: a policy that evicts
 * leaves only could not reach that one. */
static bool pins(struct shelf *shelf, const struct space_queue *queue, uint32_t slot) {
    const struct space_terms *terms = &queue->terms;
    if (shelf->closing || queue->retired || terms->pin_bytes <= 0 ||
        shelf->pinned[terms->rule] >= blocks_in(shelf, terms->pin_bytes))
        return false;
    uint32_t parent = tier_parent(shelf->unit->tier, slot);
    if (parent != SLOT_NONE && !(shelf->state[parent] & PINNED))
        return false;
    return terms->pin_blocks == 0 || block_describe(shelf->unit, slot, SLOT_NONE).depth < terms->pin_blocks;
}

static void came(void *self, uint32_t slot, sim_time now) {
    struct shelf *shelf = self;
    (void)now;
    shelf->state[slot] = 0;
    queue_of(shelf, space_at(shelf, slot))->blocks++;
}

static void idle(void *self, uint32_t slot, sim_time now) {
    struct shelf *shelf = self;
    struct space_queue *queue = queue_of(shelf, space_at(shelf, slot));
    if (queue->retired) {
        shelf->counts.deleted++;
        append(shelf, queue, slot, now);
        tier_delete(shelf->unit->tier, slot, now);
        return;
    }
    append(shelf, queue, slot, now);
    if (shelf->closing || shelf->unit->level > 0 || queue->terms.quota_bytes <= 0)
        return;
    uint32_t tenant = queue->terms.tenant;
    uint64_t quota = blocks_in(shelf, queue->terms.quota_bytes);
    while (tenant_blocks(shelf, tenant) > quota)
        if (!evict_own(shelf, tenant, now))
            break;
}

static void busy(void *self, uint32_t slot, sim_time now) {
    struct shelf *shelf = self;
    (void)now;
    if (shelf->state[slot] & QUEUED)
        unlink_slot(shelf, queue_of(shelf, space_at(shelf, slot)), slot);
}

static void gone(void *self, uint32_t slot, sim_time now) {
    struct shelf *shelf = self;
    struct space_queue *queue = queue_of(shelf, space_at(shelf, slot));
    (void)now;
    if (shelf->state[slot] & QUEUED)
        unlink_slot(shelf, queue, slot);
    MUST(queue->blocks > 0 && !(shelf->state[slot] & PINNED));
    queue->blocks--;
}

struct shelf *shelf_create(struct bank *unit) {
    struct shelf *shelf = calloc(1, sizeof *shelf);
    MUST(shelf != NULL);
    shelf->unit = unit;
    shelf->watch = (struct tier_watch){shelf, came, idle, busy, gone};
    shelf->before = lazy_alloc(unit->slots, sizeof *shelf->before);
    shelf->after = lazy_alloc(unit->slots, sizeof *shelf->after);
    shelf->since = lazy_alloc(unit->slots, sizeof *shelf->since);
    shelf->state = lazy_alloc(unit->slots, sizeof *shelf->state);
    return shelf;
}

void shelf_destroy(struct shelf *shelf) {
    if (!shelf)
        return;
    uint64_t slots = shelf->unit->slots;
    lazy_free(shelf->before, slots, sizeof *shelf->before);
    lazy_free(shelf->after, slots, sizeof *shelf->after);
    lazy_free(shelf->since, slots, sizeof *shelf->since);
    lazy_free(shelf->state, slots, sizeof *shelf->state);
    free(shelf->queues);
    free(shelf);
}

const struct tier_watch *shelf_watch(const struct shelf *shelf) {
    return shelf ? &shelf->watch : NULL;
}

void shelf_pin(struct shelf *shelf, const uint32_t *slots, uint32_t count, sim_time now) {
    for (uint32_t i = 0; shelf && i < count; i++) {
        if (slots[i] == SLOT_NONE || shelf->state[slots[i]] & PINNED)
            continue;
        struct space_queue *queue = queue_of(shelf, space_at(shelf, slots[i]));
        if (!pins(shelf, queue, slots[i]))
            continue;
        tier_hold(shelf->unit->tier, slots[i], now);
        shelf->state[slots[i]] |= PINNED;
        shelf->pinned[queue->terms.rule]++;
        shelf->counts.pinned++;
    }
}

void shelf_touched(struct shelf *shelf, uint32_t slot, sim_time now) {
    if (!shelf || !(shelf->state[slot] & QUEUED))
        return;
    struct space_queue *queue = queue_of(shelf, space_at(shelf, slot));
    unlink_slot(shelf, queue, slot);
    append(shelf, queue, slot, now);
}

uint32_t shelf_room(struct shelf *shelf, uint64_t id, uint32_t want, sim_time now) {
    if (!shelf)
        return want;
    const struct space_queue *queue = queue_of(shelf, space_of_id(id));
    struct space_terms terms = queue->terms;
    if (queue->retired)
        return 0;
    if (terms.quota_bytes <= 0)
        return want;
    uint64_t quota = blocks_in(shelf, terms.quota_bytes), have;
    while ((have = tenant_blocks(shelf, terms.tenant)) + want > quota)
        if (!evict_own(shelf, terms.tenant, now))
            break;
    return have >= quota ? 0 : quota - have < want ? (uint32_t)(quota - have) : want;
}

static void unpin_space(struct shelf *shelf, uint32_t space, sim_time now) {
    for (uint32_t slot = 0; shelf->counts.pinned > 0 && slot < shelf->unit->slots; slot++) {
        if (!(shelf->state[slot] & PINNED) || (space != SPACES_MAX && space_at(shelf, slot) != space))
            continue;
        shelf->state[slot] &= (uint8_t)~PINNED;
        shelf->pinned[queue_of(shelf, space_at(shelf, slot))->terms.rule]--;
        shelf->counts.pinned--;
        tier_release(shelf->unit->tier, slot, now);
    }
}

void shelf_close(struct shelf *shelf, bool closing, sim_time now) {
    if (!shelf)
        return;
    shelf->closing = closing;
    if (closing)
        unpin_space(shelf, SPACES_MAX, now);
}

/* Slots have come free without a transfer: whoever waits for some may try again. */
static void tell_space(struct hierarchy *h, const struct bank *unit, sim_time now) {
    if (unit->level == 0 && h->hungry[unit->first_instance])
        h->setup.on_space(h->setup.self, unit->first_instance, now);
}

static sim_time expire_unit(struct hierarchy *h, struct bank *unit, sim_time now) {
    struct shelf *shelf = unit->shelf;
    sim_time next = SIM_NEVER;
    bool any = false;
    h->acting = unit->first_instance;
    for (uint32_t i = 0; i < shelf->queue_count; i++) {
        int64_t ttl_ns = shelf->queues[i].terms.ttl_ns;
        for (uint32_t head; ttl_ns > 0 && (head = shelf->queues[i].head) != 0;) {
            sim_time at = shelf->since[head - 1] + ttl_ns;
            if (at > now) {
                next = at < next ? at : next;
                break;
            }
            shelf->counts.expired++;
            tier_delete(unit->tier, head - 1, now);
            any = true;
        }
    }
    if (any)
        tell_space(h, unit, now);
    return next;
}

sim_time hierarchy_expire(struct hierarchy *h, sim_time now) {
    sim_time next = SIM_NEVER;
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t i = 0; i < h->levels[level].unit_count; i++) {
            sim_time at = expire_unit(h, &h->levels[level].units[i], now);
            next = at < next ? at : next;
        }
    evictions_start(h);
    timers_update(h);
    return next;
}

static void retire_in(struct hierarchy *h, struct bank *unit, uint32_t space, sim_time now) {
    struct shelf *shelf = unit->shelf;
    struct space_queue *queue = queue_of(shelf, space);
    h->acting = unit->first_instance;
    queue->retired = true;
    unpin_space(shelf, space, now);
    /* Deleting may move the queues. */
    for (uint32_t head; (head = shelf->queues[space].head) != 0;) {
        shelf->counts.deleted++;
        tier_delete(unit->tier, head - 1, now);
    }
    tell_space(h, unit, now);
}

void hierarchy_retire(struct hierarchy *h, uint32_t space, sim_time now) {
    for (uint32_t level = 0; level < h->level_count; level++)
        for (uint32_t i = 0; i < h->levels[level].unit_count; i++)
            retire_in(h, &h->levels[level].units[i], space, now);
    evictions_start(h);
    timers_update(h);
}

struct space_counts hierarchy_space_counts(const struct hierarchy *h, uint32_t level, uint32_t unit, uint32_t space) {
    const struct shelf *shelf = h->levels[level].units[unit].shelf;
    struct space_counts counts = shelf->counts;
    counts.blocks = space < shelf->queue_count ? shelf->queues[space].blocks : 0;
    return counts;
}
