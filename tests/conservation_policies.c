/* Does every registered eviction policy keep the contract? Random requests on a small tree of texts, with transfers,
 * deletions and timers, under every semantics the policy supports. A wrapper stands between the tier and the policy: it
 * checks that the tier calls the hooks as policies/evict.h says, that a victim may go, and asks an obvious reference
 * where there is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/policies_world.h"

/* Under sanitizers, and with TIERSIM_LONG, a policy goes through a million operations under each semantics, else
 * through about 120,000. */
enum { SLOTS_MAX = 64, STEPS = 4000, STEPS_LONG = 34000 };
#ifdef __SANITIZE_ADDRESS__
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* An obvious reference: slots in a plain array, in order. */
struct reference {
    enum { REFERENCE_NONE, REFERENCE_LRU, REFERENCE_FIFO } kind;
    uint32_t order[SLOTS_MAX], count;
    bool asked[SLOTS_MAX];
};
struct checked_options {
    const struct evict_policy *policy;
    const void *options;
    struct reference *reference;
    uint64_t *hash; /* of the victims, in order */
};
enum life { GONE, UNHELD, HELD };
struct checked {
    struct checked_options with;
    struct evict_context context;
    void *inner;
    enum life life[SLOTS_MAX];
    unsigned reading[SLOTS_MAX];
    int64_t wants, now;
};

static void leave(struct reference *r, uint32_t slot) {
    for (uint32_t i = 0; i < r->count; i++)
        if (r->order[i] == slot) {
            memmove(&r->order[i], &r->order[i + 1], (r->count - i - 1) * sizeof r->order[0]);
            r->count--;
            return;
        }
}
static bool is_in(const struct reference *r, uint32_t slot) {
    for (uint32_t i = 0; i < r->count; i++)
        if (r->order[i] == slot)
            return true;
    return false;
}
static void join(struct reference *r, uint32_t slot, bool at_head) {
    leave(r, slot);
    uint32_t at = at_head ? 0 : r->count;
    memmove(&r->order[at + 1], &r->order[at], (r->count - at) * sizeof r->order[0]);
    r->order[at] = slot;
    r->count++;
}
static void reference_asked(struct reference *r, uint32_t slot, bool held, bool new) {
    if (r->kind == REFERENCE_FIFO && new)
        join(r, slot, false);
    if (r->kind != REFERENCE_LRU)
        return;
    r->asked[slot] = held;
    if (!held)
        join(r, slot, false);
}
static void reference_released(struct reference *r, uint32_t slot) {
    if (r->kind != REFERENCE_LRU)
        return;
    if (r->asked[slot])
        join(r, slot, false);
    else if (!is_in(r, slot))
        join(r, slot, true);
    r->asked[slot] = false;
}
static uint32_t reference_victim(struct reference *r, const struct block_info *blocks) {
    for (uint32_t i = 0; i < r->count; i++)
        if (blocks[r->order[i]].refs == 0)
            return r->order[i];
    return EVICT_NONE;
}
/* Under LRU, what is held and was met at the head has left the list. */
static void reference_step_aside(struct reference *r, const struct block_info *blocks) {
    while (r->kind == REFERENCE_LRU && r->count > 0 && blocks[r->order[0]].refs > 0)
        leave(r, r->order[0]);
}

static void clock_to(struct checked *c, int64_t now) {
    assert_true(now >= c->now);
    c->now = now;
}
static void *checked_create(const struct evict_context *context) {
    struct checked *c = calloc(1, sizeof *c);
    c->with = *(const struct checked_options *)context->options;
    c->context = *context;
    assert_true(context->slots <= SLOTS_MAX && context->capacity <= context->slots);
    struct evict_context inner = *context;
    inner.options = c->with.options;
    c->inner = c->with.policy->create(&inner);
    c->wants = EVICT_NEVER;
    return c;
}
static void checked_destroy(void *self) {
    struct checked *c = self;
    c->with.policy->destroy(c->inner);
    free(c);
}
static void checked_insert(void *self, uint32_t slot, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    bool held = c->context.blocks[slot].refs > 0;
    assert_int_equal(c->life[slot], GONE);
    assert_int_equal(c->context.blocks[slot].state, SLOT_RESIDENT);
    c->life[slot] = held ? HELD : UNHELD;
    c->with.policy->insert(c->inner, slot, now);
    reference_asked(c->with.reference, slot, held, true);
}
static void checked_touch(void *self, uint32_t slot, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    assert_int_not_equal(c->life[slot], GONE);
    c->with.policy->touch(c->inner, slot, now);
    reference_asked(c->with.reference, slot, c->life[slot] == HELD, false);
}
static void checked_hold(void *self, uint32_t slot, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    assert_int_equal(c->life[slot], UNHELD);
    assert_int_equal(c->context.blocks[slot].refs, 1);
    c->life[slot] = HELD;
    if (c->with.policy->hold)
        c->with.policy->hold(c->inner, slot, now);
}
static void checked_release(void *self, uint32_t slot, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    assert_int_equal(c->life[slot], HELD);
    assert_int_equal(c->context.blocks[slot].refs, 0);
    assert_int_equal(c->reading[slot], 0);
    c->life[slot] = UNHELD;
    if (c->with.policy->release)
        c->with.policy->release(c->inner, slot, now);
    reference_released(c->with.reference, slot);
}
static void checked_in_flight(void *self, uint32_t slot, bool begins, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    assert_int_equal(c->life[slot], HELD);
    assert_true(begins || c->reading[slot] > 0);
    c->reading[slot] += begins ? 1u : -1u;
    if (c->with.policy->in_flight)
        c->with.policy->in_flight(c->inner, slot, begins, now);
}
static int64_t checked_timer(void *self, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    c->wants = c->with.policy->timer ? c->with.policy->timer(c->inner, now) : EVICT_NEVER;
    assert_true(c->wants > now);
    return c->wants;
}
static uint32_t checked_victim(void *self, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    assert_true(c->wants > now); /* nothing that was due is left undone */
    uint32_t slot = c->with.policy->victim(c->inner, now);
    struct reference *r = c->with.reference;
    if (r->kind != REFERENCE_NONE) {
        assert_int_equal(slot, reference_victim(r, c->context.blocks));
        reference_step_aside(r, c->context.blocks);
    }
    if (slot == EVICT_NONE)
        return slot;
    assert_true(slot < c->context.slots);
    assert_int_equal(c->life[slot], UNHELD);
    assert_int_equal(c->context.blocks[slot].in_flight, 0);
    if (c->context.prefix && c->with.policy->lifts & LIFT_LEAF)
        assert_int_equal(c->context.facts[slot].children, 0);
    *c->with.hash = (*c->with.hash ^ slot) * UINT64_C(0x100000001b3);
    return slot;
}
static void checked_remove(void *self, uint32_t slot, bool evicted, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    assert_int_equal(c->life[slot], UNHELD);
    c->life[slot] = GONE;
    c->with.policy->remove(c->inner, slot, evicted, now);
    leave(c->with.reference, slot);
}
static void checked_miss(void *self, uint64_t id, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    if (c->with.policy->miss)
        c->with.policy->miss(c->inner, id, now);
}
static void checked_note(void *self, const struct session_note *note, int64_t now) {
    struct checked *c = self;
    clock_to(c, now);
    if (c->with.policy->note)
        c->with.policy->note(c->inner, note, now);
}
static uint32_t checked_surplus(void *self, int64_t now) {
    struct checked *c = self;
    return c->with.policy->surplus ? c->with.policy->surplus(c->inner, now) : 0;
}

static struct evict_policy checked_policy(const struct evict_policy *inner) {
    struct evict_policy wrapper = {.policy = inner->policy,
                                   .lifts = inner->lifts,
                                   .create = checked_create,
                                   .destroy = checked_destroy,
                                   .insert = checked_insert,
                                   .touch = checked_touch,
                                   .hold = checked_hold,
                                   .release = checked_release,
                                   .in_flight = checked_in_flight,
                                   .timer = checked_timer,
                                   .victim = checked_victim,
                                   .remove = checked_remove,
                                   .miss = checked_miss,
                                   .surplus = checked_surplus,
                                   .note = checked_note};
    return wrapper;
}

/* Returns the hash of the victims. */
static uint64_t exercise(const struct evict_policy *policy, const void *options, uint32_t capacity, uint32_t slack,
                         bool prefix, uint64_t seed) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    struct reference reference = {.kind = strcmp(policy->policy.name, "lru") == 0    ? REFERENCE_LRU
                                          : strcmp(policy->policy.name, "fifo") == 0 ? REFERENCE_FIFO
                                                                                     : REFERENCE_NONE};
    struct checked_options with = {policy, options, &reference, &hash};
    struct evict_policy wrapper = checked_policy(policy);
    struct tier_setup setup = {.name = policy->policy.name,
                               .capacity_blocks = capacity,
                               .slack_blocks = slack,
                               .prefix = prefix,
                               .policy = &wrapper,
                               .policy_options = &with,
                               .seed = seed};
    struct world w = {.tier = tier_create(&setup), .random = seed};
    int steps = sanitized || getenv("TIERSIM_LONG") ? STEPS_LONG : STEPS;
    for (int i = 0; i < steps; i++) {
        step(&w, capacity + slack);
        if (i % 16 == 0)
            tier_audit(w.tier);
    }
    empty(&w);
    tier_destroy(w.tier);
    return hash;
}

static void every_policy(void **unused) {
    (void)unused;
    static const uint32_t capacities[] = {1, 2, 7, 24, 60};
    struct arena *arena = arena_create();
    const struct policy *found;
    size_t count = 0;
    for (; (found = policy_at(POLICY_EVICT, count)); count++) {
        const struct evict_policy *policy = (const struct evict_policy *)found;
        assert_true(found->name && found->rule && found->source);
        assert_true(!(policy->lifts & LIFT_LEAF) || found->needs & NEED_TREE);
        const void *options = default_options(found, arena);
        for (int prefix = 0; prefix <= (policy->lifts != LIFT_NONE); prefix++)
            for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++)
                for (uint64_t seed = 1; seed <= 3; seed++) {
                    uint32_t slack = seed == 3 ? 4 : 0;
                    uint64_t hash = exercise(policy, options, capacities[c], slack, prefix, seed);
                    assert_true(hash == exercise(policy, options, capacities[c], slack, prefix, seed));
                }
    }
    assert_true(count >= 5);
    arena_destroy(arena);
}

/* Every kind is listed by name, each name once, and a misspelt one is answered with the nearest. */
static void registry(void **unused) {
    (void)unused;
    static const struct {
        enum policy_kind kind;
        const char *misspelt, *meant;
    } cases[] = {{POLICY_EVICT, "lruu", "'lru'"},
                 {POLICY_BATCH, "chunkd", "'chunked'"},
                 {POLICY_ROUTE, "least_loaded", "'least-loaded'"},
                 {POLICY_REUSE, "fetsh", "'fetch'"},
                 {POLICY_ADMIT, "second-hits", "'second-hit'"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct policy *before = NULL, *policy;
        for (size_t p = 0; (policy = policy_at(cases[i].kind, p)); before = policy, p++) {
            assert_true(!before || strcmp(before->name, policy->name) < 0);
            assert_ptr_equal(policy_find(cases[i].kind, policy->name, NULL), policy);
        }
        assert_non_null(before);
        struct error err = {0};
        assert_null(policy_find(cases[i].kind, cases[i].misspelt, &err));
        assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
        assert_non_null(strstr(err.text, cases[i].meant));
    }
    char text[64];
    assert_string_equal(policy_needs_text(NEED_FUTURE | NEED_TREE | NEED_GROUP, text, sizeof text),
                        "future, tree, group");
    assert_string_equal(policy_needs_text(NEED_NOTHING, text, sizeof text), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_policy), cmocka_unit_test(registry)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
