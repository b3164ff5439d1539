/* Whose blocks are hit, until when, and how many there may be: held against what the namespaces' terms say. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "tests/text_scenario.h"

#define TIERS "tiers: [{name: hbm}, {name: dram, scope: node, capacity: 40 GB, write: fill}]\n"
/* Sessions of one request of 3,072 tokens, of which 2,048 are the system prompt, one after another. */
#define ONCE                                                                                                           \
    "workload: {generate: {duration: 60 s, arrivals: {process: poisson, rate: 1/s}, system_tokens: 2048,"              \
    " first_prompt: {kind: constant, mean: 1024}, output: {kind: constant, mean: 4}, turns: {kind: constant, mean: "   \
    "1},"                                                                                                              \
    " tenants: 3}}\n"
/* Sessions of several turns, ten seconds between an answer and the next question. */
#define TURNS(tenants, think)                                                                                          \
    "workload: {generate: {duration: 100 s, arrivals: {process: poisson, rate: 1/s}, first_prompt: {kind: constant,"   \
    " mean: 1024}, turn: {kind: constant, mean: 128}, output: {kind: constant, mean: 64}, turns: {kind: constant,"     \
    " mean: 3}, think_time: {kind: constant, mean: " think "}, tenants: " tenants "}}\n"

/* The first of each tenant has nothing to hit; whoever comes later has the system prompt of his own tenant. */
static void tenants_never_meet(void **state) {
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        struct taken taken = text_run(TEXT_FLEET TIERS ONCE "namespaces: {share: %s}\n", shared ? "all" : "tenant");
        bool seen[3] = {false};
        uint32_t cold = 0;
        for (size_t i = 0; i < taken.count; i++) {
            const struct request_record *record = &taken.requests[i];
            uint64_t hits = taken_hits(record);
            assert_true(hits == 0 || hits == 2048);
            cold += hits == 0;
            assert_true(shared || hits == 0 || seen[record->tenant]);
            seen[record->tenant] = true;
        }
        assert_true(taken.count > 30 && cold >= (shared ? 1 : 3) && cold <= (shared ? 2 : 5));
        taken_free(&taken);
    }
}

/* Two adapters of one tenant are as apart as two tenants. */
static void adapters_never_meet(void **state) {
    (void)state;
    struct taken taken = text_run(TEXT_FLEET TIERS ONCE "namespaces: {share: all, adapters: 2}\n");
    bool seen[2] = {false};
    for (size_t i = 0; i < taken.count; i++) {
        const struct request_record *record = &taken.requests[i];
        uint64_t adapter = record->session / 3 % 2; /* a tenant's sessions in turn */
        assert_true(taken_hits(record) == 0 || seen[adapter]);
        seen[adapter] = true;
    }
    taken_free(&taken);
}

static void old_blocks_are_not_hit(void **state) {
    (void)state;
    static const char *const purges[] = {"yes", "no"};
    const int64_t at_ns = INT64_C(60000000000);
    for (int purge = 0; purge < 2; purge++) {
        struct taken taken =
            text_run(TEXT_FLEET TIERS TURNS("1", "10") "namespaces: {rollouts: [{at: 60 s, version: v2, purge: %s}]}\n",
                     purges[purge]);
        uint32_t cold = 0, warm = 0;
        for (size_t i = 0; i < taken.count; i++) {
            const struct request_record *record = &taken.requests[i];
            if (record->turn == 0)
                continue;
            const struct request_record *before = taken_turn(&taken, record->session, record->turn - 1);
            if (before->end_ns < at_ns && record->arrival_ns >= at_ns) {
                assert_int_equal(taken_hits(record), 0);
                cold++;
            } else if (before->arrival_ns >= at_ns || record->first_token_ns < at_ns) {
                assert_true(taken_hits(record) >= before->prompt_tokens / 64 * 64);
                warm++;
            }
        }
        assert_true(cold >= 5 && warm >= 50);
        taken_free(&taken);
    }
}

/* A block lives from when it is let go: ten seconds later it is there with 10.5 s to live, and with 10 s it is not. */
static void blocks_expire(void **state) {
    (void)state;
    static const char *const ttls[] = {"10 s", "10.5 s"};
    for (int longer = 0; longer < 2; longer++) {
        struct taken taken = text_run(
            TEXT_FLEET TIERS TURNS("1", "10") "namespaces: {rules: [{tier: hbm, ttl: %s}, {tier: dram, ttl: %s}]}\n",
            ttls[longer], ttls[longer]);
        uint32_t seen = 0;
        for (size_t i = 0; i < taken.count; i++) {
            const struct request_record *record = &taken.requests[i];
            if (record->turn == 0)
                continue;
            seen++;
            if (longer)
                assert_true(taken_hits(record) >= 1024);
            else
                assert_int_equal(taken_hits(record), 0);
        }
        assert_true(seen > 50);
        taken_free(&taken);
    }
}

/* Expired blocks free their space: a tier that would fill up with dead sessions does not. */
static void expiry_frees(void **state) {
    (void)state;
    uint64_t peak[2];
    for (int ttl = 0; ttl < 2; ttl++) {
        struct taken taken = text_run(
            TEXT_FLEET TIERS ONCE "namespaces: {share: all, rules: [{tier: dram, ttl: %d s}]}\n", ttl ? 3 : 1000);
        peak[ttl] = taken.tiers[1].peak_used_bytes;
        taken_free(&taken);
    }
    assert_true(3 * peak[1] < peak[0]);
}

/* Two tenants with a quota of 300 MB each, in a tier of 40 GB: no more than 600 MB is ever there, and a tenant within
 * its own quota loses nothing to one that is not. */
static void quotas_hold(void **state) {
    (void)state;
    struct taken taken = text_run(TEXT_FLEET TIERS TURNS(
        "2", "10") "namespaces: {rules: [{tier: hbm, quota: 1 MB}, {tier: dram, quota: 300 MB}]}\n");
    assert_true(taken.tiers[1].peak_used_bytes <= 600000000 && taken.tiers[1].peak_used_bytes > 400000000);
    taken_free(&taken);
    uint64_t hits[2][2] = {{0}};
    for (int limited = 0; limited < 2; limited++) {
        taken = text_run(
            "name: text\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\n"
            "serving: {block_tokens: 64, kv_capacity: 2 GB}\n"
            "tiers: [{name: hbm}, {name: dram, scope: node, capacity: 3 GB, write: fill}]\n" TURNS(
                "2", "10") "namespaces: {rules: [{tier: hbm, quota: 1 MB}, {tenant: 0, tier: dram, quota: %s}]}\n",
            limited ? "100 MB" : "0");
        for (size_t i = 0; i < taken.count; i++)
            hits[limited][taken.requests[i].tenant] += taken_hits(&taken.requests[i]);
        taken_free(&taken);
    }
    assert_true(hits[1][1] > 11 * hits[0][1] / 10);
}

/* Twenty tenants in turn, and room for the text of five: nobody finds his system prompt again but tenant 0, whose is
 * pinned; of his texts no more than that. */
static void pinned_blocks_stay(void **state) {
    (void)state;
    for (int pinned = 0; pinned < 2; pinned++) {
        struct taken taken = text_run(
            "name: text\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\n"
            "serving: {block_tokens: 64, kv_capacity: 1.6 GB}\n"
            "workload: {generate: {duration: 100 s, arrivals: {process: poisson, rate: 1/s}, system_tokens: 2048,"
            " first_prompt: {kind: constant, mean: 1024}, output: {kind: constant, mean: 4}, turns: {kind: constant,"
            " mean: 1}, tenants: 20}}\n"
            "namespaces: {rules: [{tenant: 0, tier: hbm, pin: %s, pin_tokens: 2048}]}\n",
            pinned ? "600 MB" : "0");
        uint32_t own = 0;
        for (size_t i = 0; i < taken.count; i++) {
            const struct request_record *record = &taken.requests[i];
            bool again = record->tenant == 0 && record->session > 0;
            assert_int_equal(taken_hits(record), pinned && again ? 2048 : 0);
            own += again;
        }
        assert_true(own >= 3);
        taken_free(&taken);
    }
}

/* Tenant 0's blocks are deleted at 60 s: what it asks next it computes; the other tenant does not notice. */
static void deleted_blocks_are_gone(void **state) {
    (void)state;
    const int64_t at_ns = INT64_C(60000000000);
    struct taken taken = text_run(TEXT_FLEET TIERS TURNS("2", "10") "namespaces: {deletes: [{at: 60 s, tenant: 0}]}\n");
    uint32_t seen[2] = {0};
    for (size_t i = 0; i < taken.count; i++) {
        const struct request_record *record = &taken.requests[i];
        const struct request_record *before =
            record->turn > 0 ? taken_turn(&taken, record->session, record->turn - 1) : NULL;
        if (!before || before->end_ns >= at_ns || record->arrival_ns < at_ns)
            continue;
        seen[record->tenant]++;
        if (record->tenant == 0)
            assert_int_equal(taken_hits(record), 0);
        else
            assert_true(taken_hits(record) >= 1024);
    }
    assert_true(seen[0] > 2 && seen[1] > 2);
    taken_free(&taken);
}

/* Nothing is asked for: to the bit what it was without. */
static void off_is_off(void **state) {
    (void)state;
    struct taken with = text_run(TEXT_FLEET TIERS TURNS("2", "10") "namespaces: {share: all}\n"),
                 one = text_run(TEXT_FLEET TIERS TURNS("1", "10"));
    assert_int_equal(with.result.order_hash, one.result.order_hash);
    taken_free(&with);
    taken_free(&one);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tenants_never_meet),
                                       cmocka_unit_test(adapters_never_meet),
                                       cmocka_unit_test(old_blocks_are_not_hit),
                                       cmocka_unit_test(blocks_expire),
                                       cmocka_unit_test(expiry_frees),
                                       cmocka_unit_test(quotas_hold),
                                       cmocka_unit_test(pinned_blocks_stay),
                                       cmocka_unit_test(deleted_blocks_are_gone),
                                       cmocka_unit_test(off_is_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
