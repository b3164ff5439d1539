/* Does a policy see what it declared it needs, and nothing else? Every registered eviction policy runs twice through
 * the same random world: once as it is, once behind a wrapper that shows it copies of the blocks in which every field
 * that it did not declare holds noise (time, seed and the tier's own marks too). Both must choose the same victims. And
 * a policy that declares nothing of the tree sees no tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/policies_world.h"

enum { SLOTS_MAX = 64, STEPS = 3000 };

struct shown {
    const struct evict_policy *policy;
    const void *options;
    uint64_t *hash;
    bool poison;
};
struct glass {
    struct shown with;
    struct evict_context context;
    struct block_info blocks[SLOTS_MAX];
    struct block_facts facts[SLOTS_MAX];
    void *inner;
    uint64_t noise;
};

static uint64_t noise(struct glass *g) {
    g->noise = g->noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return g->noise >> 29;
}
static void poison_facts(struct glass *g, struct block_facts *f, unsigned needs) {
    if (!(needs & NEED_SESSION)) {
        f->owner = noise(g);
        f->tenant = (uint32_t)noise(g);
    }
    if (!(needs & NEED_FUTURE))
        f->next_use = (int64_t)noise(g);
    if (!(needs & NEED_TIME))
        f->duration_ns = (int64_t)noise(g);
    if (!(needs & NEED_TREE)) {
        f->parent = (uint32_t)noise(g) % SLOTS_MAX;
        f->children = (uint32_t)noise(g) % 3;
    }
    if (!(needs & (NEED_TREE | NEED_LENGTH)))
        f->depth = (uint32_t)noise(g);
    if (!(needs & NEED_LENGTH))
        f->tokens = (uint32_t)noise(g);
    if (!(needs & NEED_GROUP))
        f->group = (uint32_t)noise(g);
}
/* Before each hook: what the policy sees is drawn anew. */
static int64_t look(struct glass *g, int64_t now) {
    unsigned needs = g->with.policy->policy.needs;
    memcpy(g->blocks, g->context.blocks, g->context.slots * sizeof *g->blocks);
    if (g->context.facts)
        memcpy(g->facts, g->context.facts, g->context.slots * sizeof *g->facts);
    if (!g->with.poison)
        return now;
    for (uint32_t i = 0; i < g->context.slots; i++) {
        g->blocks[i].state = (uint8_t)noise(g);
        if (!(needs & NEED_CATEGORY))
            g->blocks[i].category = (uint8_t)noise(g);
        if (g->context.facts)
            poison_facts(g, &g->facts[i], needs);
    }
    return needs & NEED_TIME ? now : (int64_t)noise(g);
}
static void *glass_create(const struct evict_context *context) {
    struct glass *g = calloc(1, sizeof *g);
    g->with = *(const struct shown *)context->options;
    g->context = *context;
    struct evict_context inner = *context;
    inner.options = g->with.options;
    inner.blocks = g->blocks;
    inner.facts = context->facts ? g->facts : NULL;
    if (g->with.poison && !(g->with.policy->policy.needs & NEED_RANDOM))
        inner.seed = 999;
    g->inner = g->with.policy->create(&inner);
    return g;
}
static void glass_destroy(void *self) {
    struct glass *g = self;
    g->with.policy->destroy(g->inner);
    free(g);
}
static void glass_insert(void *self, uint32_t slot, int64_t now) {
    struct glass *g = self;
    g->with.policy->insert(g->inner, slot, look(g, now));
}
static void glass_touch(void *self, uint32_t slot, int64_t now) {
    struct glass *g = self;
    g->with.policy->touch(g->inner, slot, look(g, now));
}
static void glass_hold(void *self, uint32_t slot, int64_t now) {
    struct glass *g = self;
    if (g->with.policy->hold)
        g->with.policy->hold(g->inner, slot, look(g, now));
}
static void glass_release(void *self, uint32_t slot, int64_t now) {
    struct glass *g = self;
    if (g->with.policy->release)
        g->with.policy->release(g->inner, slot, look(g, now));
}
static int64_t glass_timer(void *self, int64_t now) {
    struct glass *g = self;
    return g->with.policy->timer ? g->with.policy->timer(g->inner, look(g, now)) : EVICT_NEVER;
}
static uint32_t glass_victim(void *self, int64_t now) {
    struct glass *g = self;
    uint32_t slot = g->with.policy->victim(g->inner, look(g, now));
    *g->with.hash = (*g->with.hash ^ slot) * UINT64_C(0x100000001b3);
    return slot;
}
static void glass_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    struct glass *g = self;
    g->with.policy->remove(g->inner, slot, evicted, look(g, now));
}
static void glass_miss(void *self, uint64_t id, int64_t now) {
    struct glass *g = self;
    if (g->with.policy->miss)
        g->with.policy->miss(g->inner, id, look(g, now));
}
static void glass_note(void *self, const struct session_note *note, int64_t now) {
    struct glass *g = self;
    if (g->with.policy->note)
        g->with.policy->note(g->inner, note, look(g, now));
}
static uint32_t glass_surplus(void *self, int64_t now) {
    struct glass *g = self;
    return g->with.policy->surplus ? g->with.policy->surplus(g->inner, look(g, now)) : 0;
}

/* The hash of the victims of a policy, seen through the glass. */
static uint64_t victims(const struct evict_policy *policy, const void *options, bool prefix, bool poison) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    struct shown with = {policy, options, &hash, poison};
    struct evict_policy wrapper = {.policy = policy->policy,
                                   .lifts = policy->lifts,
                                   .create = glass_create,
                                   .destroy = glass_destroy,
                                   .insert = glass_insert,
                                   .touch = glass_touch,
                                   .hold = glass_hold,
                                   .release = glass_release,
                                   .timer = glass_timer,
                                   .victim = glass_victim,
                                   .remove = glass_remove,
                                   .miss = glass_miss,
                                   .surplus = glass_surplus,
                                   .note = glass_note};
    struct tier_setup setup = {.name = "glass",
                               .capacity_blocks = 24,
                               .prefix = prefix,
                               .policy = &wrapper,
                               .policy_options = &with,
                               .seed = 5};
    struct world w = {.tier = tier_create(&setup), .random = 11};
    for (int i = 0; i < STEPS; i++)
        step(&w, 24);
    empty(&w);
    tier_destroy(w.tier);
    return hash;
}

static void undeclared_fields_change_nothing(void **unused) {
    (void)unused;
    struct arena *arena = arena_create();
    const struct policy *found;
    size_t count = 0;
    for (; (found = policy_at(POLICY_EVICT, count)); count++) {
        const struct evict_policy *policy = (const struct evict_policy *)found;
        const void *options = default_options(found, arena);
        for (int prefix = 0; prefix <= (policy->lifts != LIFT_NONE); prefix++)
            if (victims(policy, options, prefix, false) != victims(policy, options, prefix, true))
                fail_msg("%s looks at what it did not declare (%s semantics)", found->name, prefix ? "prefix" : "flat");
    }
    assert_true(count > 30);
    arena_destroy(arena);
}

/* The glass must be able to see: a policy that does look is found out. */
static void *peeking_create(const struct evict_context *context) {
    struct evict_context *own = malloc(sizeof *own);
    *own = *context;
    return own;
}
static void peeking_insert(void *self, uint32_t slot, int64_t now) {
    (void)self, (void)slot, (void)now;
}
static uint32_t peeking_victim(void *self, int64_t now) {
    (void)now;
    const struct evict_context *context = self;
    uint32_t best = EVICT_NONE;
    for (uint32_t i = 0; i < context->slots; i++)
        if (context->blocks[i].id && context->blocks[i].refs == 0 && !context->blocks[i].in_flight &&
            context->blocks[i].state &&
            (best == EVICT_NONE || context->facts[i].next_use > context->facts[best].next_use))
            best = i;
    return best;
}
static void peeking_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    (void)self, (void)slot, (void)evicted, (void)now;
}
static void a_peek_is_found_out(void **unused) {
    (void)unused;
    struct evict_context context = {0};
    static struct block_info blocks[2] = {{.id = 1, .state = 2}, {.id = 2, .state = 2}};
    static struct block_facts facts[2] = {{.next_use = 5}, {.next_use = 9}};
    context.blocks = blocks;
    context.facts = facts;
    context.slots = 2;
    struct evict_policy peeking = {.policy = {.abi = POLICY_ABI, .name = "peeking", .needs = NEED_LENGTH},
                                   .create = peeking_create,
                                   .destroy = free,
                                   .insert = peeking_insert,
                                   .touch = peeking_insert,
                                   .victim = peeking_victim,
                                   .remove = peeking_remove};
    uint64_t hash = 0;
    bool differs = false;
    for (int i = 0; i < 20; i++) {
        struct shown with = {&peeking, NULL, &hash, true};
        context.options = &with;
        struct glass *g = glass_create(&context);
        g->noise = (uint64_t)i;
        differs = differs || glass_victim(g, 0) != 1;
        glass_destroy(g);
    }
    assert_true(differs);
}

/* News of sessions: who hears of what, by what it declared. */
static unsigned heard;
static double returns_heard;
static void hearing_note(void *self, const struct session_note *note, int64_t now) {
    (void)self, (void)now;
    heard |= 1u << note->event;
    if (note->returns >= 0)
        returns_heard = note->returns;
}
static void news_only_to_who_asked(void **unused) {
    (void)unused;
    enum {
        QUEUED = 1 << SESSION_QUEUED,
        STARTED = 1 << SESSION_STARTED,
        STEPS_ = 1 << SESSION_STEPS,
        ENDS = 1 << SESSION_TOOL | 1 << SESSION_TURN | 1 << SESSION_ENDED
    };
    static const struct {
        unsigned needs, hears;
        double returns;
    } cases[] = {{NEED_LENGTH | NEED_TREE | NEED_TIME, 0, -1}, {NEED_FUTURE, 0, -1},
                 {NEED_SESSION, STARTED | ENDS, -1},           {NEED_SESSION | NEED_FUTURE, STARTED | ENDS, 1},
                 {NEED_QUEUE, QUEUED | STARTED, -1},           {NEED_AGENT_GRAPH, STARTED | STEPS_, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct evict_policy hearing = {.policy = {.abi = POLICY_ABI, .name = "hearing", .needs = cases[i].needs},
                                       .create = peeking_create,
                                       .destroy = free,
                                       .insert = peeking_insert,
                                       .touch = peeking_insert,
                                       .victim = peeking_victim,
                                       .remove = peeking_remove,
                                       .note = hearing_note};
        struct tier_setup setup = {.name = "ear", .capacity_blocks = 4, .policy = &hearing};
        struct tier *tier = tier_create(&setup);
        heard = 0;
        returns_heard = -1;
        for (enum session_event event = SESSION_QUEUED; event <= SESSION_STEPS; event++)
            tier_note(tier, &(struct session_note){.event = event, .returns = 1}, 1);
        assert_int_equal(heard, cases[i].hears);
        assert_true(returns_heard == cases[i].returns);
        tier_destroy(tier);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(undeclared_fields_change_nothing),
                                       cmocka_unit_test(a_peek_is_found_out), cmocka_unit_test(news_only_to_who_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
