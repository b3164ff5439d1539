/* Does docs/scenarios/context-as-load.md say what its scenario says? At a smaller size: 7 minutes, contexts of 12 k. */
#include <math.h>

#include "sim/cli/verbs.h"
#include "tests/figures.h"

enum { FETCH, RECOMPUTE, CHEAPEST, BOTH_ENDS };
static const char *const mean_ttft[] = {"ttft_s", "mean", NULL}, *const decided[] = {"decisions", "count", NULL},
                         *const fetched[] = {"decisions", "fetched", NULL},
                         *const partly[] = {"decisions", "partial", NULL};

static struct said run_at(const char *rate, const char *variants, const char *context) {
    struct said said =
        RUN_VERB(run, NULL, "configs/scenarios/context-as-load.yaml", "--no-search", "--json", "--set", rate, "--set",
                 variants, "--set", context, "--set", "warmup=3 min", "--set", "stop_after=7 min", "--set",
                 "workload.generate.duration=7 min", "--set", "workload.generate.think_time.median=60");
    if (said.code != 0)
        fail_msg("%s", said.err);
    return said;
}

/* Whichever rule is best, cheapest is no more than 2 % worse; and which is best changes with load, as its answer does.
 */
static void cheapest_is_best(void **state) {
    (void)state;
    static const char *const rates[] = {"workload.generate.arrivals.rate=0.6/s", "workload.generate.arrivals.rate=2/s",
                                        "workload.generate.arrivals.rate=3.5/s", "workload.generate.arrivals.rate=5/s"};
    double first_ratio = 0, last_ratio = 0, first_share = 0, last_share = 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct said said = run_at(rates[i],
                                  "variants=[{name: fetch, serving: {reuse: fetch}}, "
                                  "{name: recompute, serving: {reuse: recompute}}, {name: cheapest}]",
                                  "workload.generate.first_prompt.median=12000");
        struct figures ttft = figures_of(said.out, mean_ttft), count = figures_of(said.out, decided),
                       took = figures_of(said.out, fetched), part = figures_of(said.out, partly);
        assert_int_equal(ttft.count, 3);
        double best = fmin(ttft.values[FETCH], ttft.values[RECOMPUTE]),
               share = (took.values[CHEAPEST] + part.values[CHEAPEST]) / count.values[CHEAPEST];
        print_message("%s: fetch %.3f, recompute %.3f, cheapest %.3f s; %.0f %% fetch\n", strchr(rates[i], '=') + 1,
                      ttft.values[FETCH], ttft.values[RECOMPUTE], ttft.values[CHEAPEST], 100 * share);
        assert_true(count.values[CHEAPEST] > 100 && ttft.values[CHEAPEST] <= 1.02 * best);
        last_ratio = ttft.values[FETCH] / ttft.values[RECOMPUTE];
        last_share = share;
        if (i == 0) {
            first_ratio = last_ratio;
            first_share = share;
        }
        said_free(&said);
    }
    assert_true(first_ratio < 0.9 && last_ratio > 1.2);
    assert_true(first_share > 0.7 && last_share < first_share - 0.15);
}

/* Prompts in chunks keep the gaps between tokens short where pauses for whole prompts are more than one in a hundred of
 * them; where they are fewer, the 99th percentile does not see them, and the requests that met them do. */
static void chunks_keep_gaps_short(void **state) {
    (void)state;
    static const char *const itl[] = {"itl_s", "p99", NULL}, *const tpot[] = {"tpot_s", "p99", NULL},
                             *const rate[] = {"throughput", "output_tokens_per_s", NULL};
    static const char *const at[][2] = {
        {"workload.generate.arrivals.rate=18/s", "workload.generate.first_prompt.median=2000"},
        {"workload.generate.arrivals.rate=6.75/s", "workload.generate.first_prompt.median=8000"},
        {"workload.generate.arrivals.rate=1.2/s", "workload.generate.first_prompt.median=30000"}};
    for (size_t i = 0; i < 3; i++) {
        struct said said = run_at(
            at[i][0], "variants=[{name: chunked}, {name: prompts first, serving: {batch: prefill-first}}]", at[i][1]);
        struct figures gaps = figures_of(said.out, itl), request = figures_of(said.out, tpot),
                       out = figures_of(said.out, rate);
        print_message("%s: ITL p99 %.1f and %.1f ms, TPOT p99 %.1f and %.1f ms\n", strchr(at[i][1], '=') + 1,
                      1e3 * gaps.values[0], 1e3 * gaps.values[1], 1e3 * request.values[0], 1e3 * request.values[1]);
        assert_true(fabs(out.values[1] / out.values[0] - 1) < 0.01); /* at equal throughput */
        assert_true(i < 2 ? 1.5 * gaps.values[0] < gaps.values[1] : gaps.values[0] > 2 * gaps.values[1]);
        assert_true(1.1 * request.values[0] < request.values[1]);
        said_free(&said);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cheapest_is_best), cmocka_unit_test(chunks_keep_gaps_short)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
