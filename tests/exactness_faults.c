/* What is gone when something breaks, what is there again, and when? Worked out by hand. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sim/cli/wear.h"
#include "sim/memory/faults.h"
#include "sim/output/recovery.h"
#include "tests/hierarchy_world.h"
#include "tests/text_scenario.h"

/* One byte a ns down, two while the drive is fresh. */
static const char node_text[] = "name: n\ngpu: g\ngpus: 1\n"
                                "links:\n"
                                "  - {name: drive, scope: node, read: {bandwidth: 1 GB/s}, write: {bandwidth: 1 GB/s}, "
                                "fresh_write: 2 GB/s, source: test}\n"
                                "paths:\n  - {from: ssd, to: hbm, via: [drive]}\n";

static void a_fresh_drive_is_steady_once_it_is_written(void **state) {
    (void)state;
    struct world *world = world_open(
        node_text, "tiers: [{name: hbm}, {name: ssd, capacity: 10 kB, write: fill, state: fresh}]", 10, 1000);
    world_start(world);
    for (uint64_t i = 0; i < 4; i++) {
        sim_time begin = engine_now(world->engine);
        world_seed(world, 100 * (i + 1), 5);
        assert_int_equal(world->transfer[i].end_ns - begin, i < 2 ? 2500 : 5000);
    }
    world_close(world);
}

static uint32_t failed;
static void lets_go(void *self, uint32_t instance, uint64_t tag, sim_time now) {
    struct world *world = self;
    (void)instance;
    failed++;
    struct asker *asker = (struct asker *)(uintptr_t)tag;
    kv_drop(world->hierarchy, 0, &asker->kv, now);
}

/* Six blocks on their way, a us each; the tier is lost after 2.5: two have landed and stay, and nothing else is found.
 */
static void a_lost_tier_fails_its_loads(void **state) {
    (void)state;
    struct world *world =
        world_open(node_text, "tiers: [{name: hbm}, {name: ssd, capacity: 10 kB, write: fill}]", 10, 1000);
    world->setup.on_failed = lets_go;
    world_start(world);
    world->alarm = engine_add(world->engine, world_alarm, world);
    world_seed(world, 100, 6);
    struct kv all = {0};
    assert_true(kv_extend(world->hierarchy, 0, &all, 10, engine_now(world->engine)));
    kv_shrink(world->hierarchy, 0, &all, 10, engine_now(world->engine));
    sim_time begin = engine_now(world->engine);
    struct asker *asker = asker_open(100);
    failed = 0;
    assert_int_equal(asker_begin(world, asker, 6, (uint64_t)(uintptr_t)asker), KV_LOADING);
    world_run(world, begin + 2500);
    hierarchy_lose(world->hierarchy, 1, 0, begin + 2500);
    assert_int_equal(failed, 1);
    engine_run(world->engine, SIM_NEVER - 1);
    struct kv_lookup found;
    kv_lookup(world->hierarchy, 0, asker->ids, 6, &found);
    assert_int_equal(found.hbm_blocks, 2);
    assert_int_equal(found.lower_blocks, 0);
    assert_int_equal(world->loaded, 0);
    /* Nothing is written to it until it is back; then it is cold. */
    world_seed(world, 500, 3);
    assert_int_equal(tier_counts(hierarchy_tier(world->hierarchy, 1, 0)).resident, 0);
    hierarchy_regain(world->hierarchy, 1, 0);
    world_seed(world, 600, 3);
    assert_int_equal(tier_counts(hierarchy_tier(world->hierarchy, 1, 0)).resident, 3);
    free(asker);
    world_close(world);
}

/* Down from 2.5 us to 10: the load waits, and is there 7.5 us later; a look-up meanwhile leaves the tier out. */
static void a_load_waits_for_its_link(void **state) {
    (void)state;
    struct world *world =
        world_open(node_text, "tiers: [{name: hbm}, {name: ssd, capacity: 10 kB, write: fill}]", 10, 1000);
    world_start(world);
    world->alarm = engine_add(world->engine, world_alarm, world);
    world_seed(world, 100, 3);
    world_seed(world, 200, 3);
    struct kv all = {0};
    assert_true(kv_extend(world->hierarchy, 0, &all, 10, engine_now(world->engine)));
    kv_shrink(world->hierarchy, 0, &all, 10, engine_now(world->engine));
    sim_time begin = engine_now(world->engine);
    struct asker *asker = asker_open(100);
    assert_int_equal(asker_begin(world, asker, 3, 1), KV_LOADING);
    world_run(world, begin + 2500);
    assert_int_equal(hierarchy_change_link(world->hierarchy, "drive", 0, 1, true), 1);
    struct kv_lookup found;
    uint64_t ids[] = {200, 201, 202};
    kv_lookup(world->hierarchy, 0, ids, 3, &found);
    assert_int_equal(found.lower_blocks, 0);
    world_run(world, begin + 10000);
    hierarchy_change_link(world->hierarchy, "drive", 0, 1, false);
    kv_lookup(world->hierarchy, 0, ids, 3, &found);
    assert_int_equal(found.lower_blocks, 3);
    engine_run(world->engine, SIM_NEVER - 1);
    assert_int_equal(world->loaded_at[0] - begin, 3000 + 7500);
    asker_end(world, asker);
    free(asker);
    world_close(world);
}

/* A restart takes HBM and what serves the instance alone, unless it persists. */
static void what_persists_is_there(void **state) {
    (void)state;
    static const char *const kept[] = {"no", "yes"};
    for (int persists = 0; persists < 2; persists++) {
        struct taken taken = text_run(
            TEXT_FLEET
            "tiers: [{name: hbm}, {name: ssd, scope: instance, capacity: 40 GB, write: fill, persistent: %s}]\n"
            "workload: {generate: {duration: 60 s, arrivals: {process: poisson, rate: 1/s}, first_prompt: "
            "{kind: constant, mean: 1024}, turn: {kind: constant, mean: 128}, output: {kind: constant, mean: 16},"
            " turns: {kind: constant, mean: 2}, think_time: {kind: constant, mean: 10}}}\n"
            "faults: [{kind: restart, at: 30 s, for: 2 s}]\n",
            kept[persists]);
        uint32_t seen = 0;
        for (size_t i = 0; i < taken.count; i++) {
            const struct request_record *record = &taken.requests[i];
            if (record->turn == 0 || record->arrival_ns < INT64_C(30500000000))
                continue;
            const struct request_record *before = taken_turn(&taken, record->session, 0);
            if (before->end_ns >= INT64_C(30000000000))
                continue;
            seen++;
            assert_int_equal(record->hit_tokens[0], 0);
            if (persists)
                assert_true(record->hit_tokens[1] >= 1024);
            else
                assert_int_equal(record->hit_tokens[1], 0);
        }
        assert_true(seen > 3);
        taken_free(&taken);
    }
}

/* With a second instance nobody waits for the first: its requests go over. */
static void others_take_over(void **state) {
    (void)state;
    double slowest_s[2];
    for (int instances = 1; instances <= 2; instances++) {
        struct taken taken =
            text_run("name: text\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: %d\n"
                     "serving: {block_tokens: 64, kv_capacity: 4 GB}\n"
                     "workload: {generate: {duration: 60 s, arrivals: {process: poisson, rate: 4/s}, first_prompt: "
                     "{kind: constant, "
                     "mean: 1024}, output: {kind: constant, mean: 200}, turns: {kind: constant, mean: 1}}}\n"
                     "faults: [{kind: restart, unit: 0, at: 30 s, for: 20 s}]\n",
                     instances);
        slowest_s[instances - 1] = 0;
        for (size_t i = 0; i < taken.count; i++) {
            double e2e_s = (double)(taken.requests[i].end_ns - taken.requests[i].arrival_ns) * 1e-9;
            slowest_s[instances - 1] = e2e_s > slowest_s[instances - 1] ? e2e_s : slowest_s[instances - 1];
        }
        taken_free(&taken);
    }
    assert_true(slowest_s[0] > 20 && slowest_s[1] < 10);
}

/* Half of a token is hit until 100 s, a tenth until 200 s, half again from then on; windows of 20 s slide by a second.
 */
static void recovery_is_as_defined(void **state) {
    (void)state;
    const int64_t second = 1000000000;
    struct recovery *recovery = recovery_create(20 * second);
    for (int64_t s = 0; s < 400; s++)
        recovery_take(recovery, s * second + second / 2, 100, s < 100 || s >= 200 ? 50 : 10);
    struct recovered back = recovery_after(recovery, 100 * second, 100 * second, 0.9);
    assert_true(back.known && back.regained && back.before == 0.5 && back.lowest == 0.1);
    /* k seconds of the low kind among 20: 50 - 2k >= 45, so k = 2: the window from 198 s to 218 s. */
    assert_true(back.after_s > 117.999999 && back.after_s < 118.000001);
    back = recovery_after(recovery, 100 * second, 210 * second, 0.9);
    assert_true(back.regained && back.after_s == 0);
    back = recovery_after(recovery, 100 * second, 390 * second, 0.9);
    assert_true(!back.known && !back.regained);
    assert_false(recovery_after(recovery, 10 * second, 10 * second, 0.9).known);
    recovery_destroy(recovery);
}

/* Written x amplification / rated amplification over capacity a day is the wear; the rating's five years (of the price
 * file) shrink by it, and the price is paid over what is left. */
static void drives_wear(void **state) {
    (void)state;
    struct scenario scenario;
    struct error error = {0};
    if (text_load(TEXT_FLEET
                  "tiers: [{name: hbm}, {name: ssd, capacity: 2 TB, write: fill, endurance_dwpd: 3, "
                  "write_amplification: 1.5, rated_amplification: 2}]\n"
                  "workload: {generate: {duration: 60 s, arrivals: {process: poisson, rate: 2/s}, first_prompt: {kind: "
                  "constant, mean: 4096}, output: {kind: constant, mean: 16}, turns: {kind: constant, mean: 1}}}\n",
                  &scenario, &error) != 0)
        fail_msg("%s", error.text);
    struct taken taken;
    struct wear wear;
    text_simulate(&scenario, false, &taken);
    struct outcome outcome = {.metrics = taken.metrics, .result = taken.result};
    assert_false(wear_of(&scenario.variants[0], &outcome, 0, &wear));
    assert_true(wear_of(&scenario.variants[0], &outcome, 1, &wear));
    double day = (double)taken.tiers[1].written_bytes / result_simulated_s(&taken.result) * 86400;
    double dwpd = day * 1.5 / 2 / 2e12, years = 5 * 3 / dwpd, usd = 2000 * 0.25 / years;
    assert_true(dwpd > 1 && wear.written_bytes_per_day == day);
    assert_true(wear.dwpd > dwpd * 0.999999 && wear.dwpd < dwpd * 1.000001);
    assert_true(wear.years > years * 0.99 && wear.years < years * 1.01); /* a year is 365 or 365.25 days */
    assert_true(wear.usd_per_year > usd * 0.99 && wear.usd_per_year < usd * 1.01);
    taken_free(&taken);
    scenario_free(&scenario);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_fresh_drive_is_steady_once_it_is_written),
                                       cmocka_unit_test(a_lost_tier_fails_its_loads),
                                       cmocka_unit_test(a_load_waits_for_its_link),
                                       cmocka_unit_test(what_persists_is_there),
                                       cmocka_unit_test(others_take_over),
                                       cmocka_unit_test(recovery_is_as_defined),
                                       cmocka_unit_test(drives_wear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
