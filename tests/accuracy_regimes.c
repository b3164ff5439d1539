/* Does the page on kernels by regime (docs/scenarios/kernels-by-regime.md) say what its scenarios and the measured
 * kernels say? The scenarios run at a small size: one round of regimes after warm-up. */
#include "sim/cli/verbs.h"
#include "sim/workload/json.h"
#include "tests/run_verb.h"

enum { VARIANTS_MAX = 8, REGIMES = 3 };
enum { QUIET, BURST, LONG };
struct regimes_said {
    struct {
        double step_s[REGIMES], tpot_s[REGIMES], tpot_p99_s[REGIMES], split[REGIMES];
        double worst_ttft_s, worst_tpot_s;
    } of[VARIANTS_MAX];
    int count, regime;
};

static double number(struct json_value at, const char *key) {
    double value;
    assert_true(json_get(at, key, &at) && json_real(at, &value));
    return value;
}

static bool add_regime(void *self, struct json_value regime) {
    struct regimes_said *all = self;
    struct json_value kernels;
    int r = all->regime++;
    assert_true(r < REGIMES && number(regime, "requests") > 20);
    all->of[all->count].step_s[r] = number(regime, "step_s");
    all->of[all->count].tpot_s[r] = number(regime, "tpot_mean_s");
    all->of[all->count].tpot_p99_s[r] = number(regime, "tpot_p99_s");
    assert_true(json_get(regime, "decode_kernels", &kernels));
    struct json_value split;
    double splits = 0;
    if (json_get(kernels, "split", &split))
        assert_true(json_real(split, &splits));
    all->of[all->count].split[r] = splits / number(regime, "steps");
    return true;
}

static bool add_variant(void *self, struct json_value variant) {
    struct regimes_said *all = self;
    struct json_value regimes, worst;
    assert_true(all->count < VARIANTS_MAX);
    all->regime = 0;
    assert_true(json_get(variant, "regimes", &regimes) && json_each(regimes, add_regime, all));
    assert_int_equal(all->regime, REGIMES);
    assert_true(json_get(variant, "worst_minute", &worst));
    all->of[all->count].worst_ttft_s = number(worst, "ttft_p99_s");
    all->of[all->count].worst_tpot_s = number(worst, "tpot_p99_s");
    all->count++;
    return true;
}

static struct regimes_said said_of(const char *path) {
    struct regimes_said all = {0};
    struct said said = RUN_VERB(run, NULL, path, "--json", "--set", "stop_after=8 min");
    assert_int_equal(said.code, 0);
    struct json_reader *reader = json_create();
    struct json_value root, list;
    const char *why;
    assert_true(json_parse(reader, said.out, strlen(said.out), &root, &why));
    assert_true(json_get(root, "variants", &list) && json_each(list, add_variant, &all));
    json_destroy(reader);
    said_free(&said);
    return all;
}

static void kernels(void **state) {
    (void)state;
    struct regimes_said all = said_of("configs/scenarios/kernels-by-regime.yaml");
    enum { BY_REGIME, ORACLE, THROUGHPUT, LATENCY, SPLIT, SINGLE, PLAIN, COUNT };
    assert_int_equal(all.count, COUNT);
    for (int v = 0; v < COUNT; v++)
        print_message("variant %d: step over the oracle's in quiet, burst, long: %.3f %.3f %.3f\n", v,
                      all.of[v].step_s[QUIET] / all.of[ORACLE].step_s[QUIET],
                      all.of[v].step_s[BURST] / all.of[ORACLE].step_s[BURST],
                      all.of[v].step_s[LONG] / all.of[ORACLE].step_s[LONG]);
    for (int r = 0; r < REGIMES; r++) {
        const double *oracle = &all.of[ORACLE].tpot_s[r];
        assert_true(all.of[BY_REGIME].step_s[r] < 1.02 * all.of[ORACLE].step_s[r]);
        assert_true(all.of[BY_REGIME].tpot_s[r] < 1.02 * *oracle && *oracle < 1.02 * all.of[BY_REGIME].tpot_s[r]);
        assert_true(all.of[SPLIT].step_s[r] < 1.02 * all.of[ORACLE].step_s[r]);
    }
    /* Each set of single kernels loses where it was not made for, and products alone lose too. */
    assert_true(all.of[THROUGHPUT].tpot_s[QUIET] > 1.5 * all.of[BY_REGIME].tpot_s[QUIET]);
    assert_true(all.of[LATENCY].tpot_s[BURST] > 1.3 * all.of[BY_REGIME].tpot_s[BURST]);
    assert_true(all.of[SINGLE].tpot_s[QUIET] > 1.1 * all.of[BY_REGIME].tpot_s[QUIET]);
    assert_true(all.of[SINGLE].tpot_s[LONG] > 2 * all.of[BY_REGIME].tpot_s[LONG]);
    assert_true(all.of[PLAIN].tpot_s[QUIET] > 1.4 * all.of[BY_REGIME].tpot_s[QUIET]);
    assert_true(all.of[SINGLE].tpot_s[BURST] < 1.02 * all.of[BY_REGIME].tpot_s[BURST]);
    /* The rule changes kernels with the regime. */
    assert_true(all.of[BY_REGIME].split[QUIET] > 0.7 && all.of[BY_REGIME].split[BURST] < 0.2);
    assert_true(all.of[SPLIT].split[BURST] > 0.9 && all.of[SINGLE].split[QUIET] == 0);
}

static void batches(void **state) {
    (void)state;
    struct regimes_said all = said_of("configs/scenarios/batches-by-regime.yaml");
    enum { STATIC, PREFILL_FIRST, CHUNKED, CHUNKED_2K, SLO_AWARE, APART, COUNT };
    assert_int_equal(all.count, COUNT);
    for (int v = 0; v < COUNT; v++)
        print_message("variant %d: worst minute TTFT p99 %.2f s, TPOT p99 %.1f ms; burst TPOT p99 %.1f ms\n", v,
                      all.of[v].worst_ttft_s, 1e3 * all.of[v].worst_tpot_s, 1e3 * all.of[v].tpot_p99_s[BURST]);
    assert_true(all.of[STATIC].worst_ttft_s > 2 * all.of[CHUNKED].worst_ttft_s);
    assert_true(all.of[CHUNKED].tpot_p99_s[BURST] < all.of[PREFILL_FIRST].tpot_p99_s[BURST]);
    assert_true(all.of[SLO_AWARE].tpot_p99_s[BURST] < 0.9 * all.of[CHUNKED].tpot_p99_s[BURST]);
    assert_true(all.of[APART].worst_tpot_s < 0.7 * all.of[CHUNKED].worst_tpot_s);
}

/* What the measured rows say of choosing: the library's first choice against the best of its first four, and the rule
 * for attention against every number of splits that was timed beside it. */

static double param(const char *params, const char *key) {
    const char *at = strstr(params, key);
    return at ? strtod(at + strlen(key), NULL) : 0;
}

/* Calls take(group, variant, params, us) for each row. */
static void each_row(void (*take)(void *self, const char *, const char *, const char *, double), void *self) {
    char line[4096];
    FILE *file = fopen("results/calibration/h200/rows.csv", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char group[64], variant[64], params[512];
        double us;
        if (sscanf(line, "%63[^,],%63[^,],%511[^,],%*[^,],%*[^,],%lf", group, variant, params, &us) == 4)
            take(self, group, variant, params, us);
    }
    fclose(file);
}

struct products {
    struct {
        char params[128];
        double first_us, best_us;
    } rows[600];
    int count;
};

static void take_product(void *self, const char *group, const char *variant, const char *params, double us) {
    struct products *all = self;
    if (strcmp(group, "gemm") != 0)
        return;
    int i = 0;
    while (i < all->count && strcmp(all->rows[i].params, params) != 0)
        i++;
    if (i == all->count) {
        assert_true(all->count < 600);
        snprintf(all->rows[all->count++].params, sizeof all->rows[0].params, "%s", params);
        all->rows[i].first_us = all->rows[i].best_us = 1e9;
    }
    if (strcmp(variant, "cublaslt") == 0)
        all->rows[i].first_us = us;
    if (us < all->rows[i].best_us)
        all->rows[i].best_us = us;
}

static double product_loss(const struct products *all, double from, double to) {
    double first = 0, best = 0;
    int rows = 0;
    for (int i = 0; i < all->count; i++) {
        double m = param(all->rows[i].params, " m=");
        if (m < from || m > to || all->rows[i].first_us > 1e8)
            continue;
        first += all->rows[i].first_us;
        best += all->rows[i].best_us;
        rows++;
    }
    assert_true(rows > 50);
    print_message("products of %g to %g rows: the first choice takes %.2f %% longer than the best (%d)\n", from, to,
                  100 * (first / best - 1), rows);
    return first / best - 1;
}

static void measured_products(void **state) {
    (void)state;
    struct products *all = calloc(1, sizeof *all);
    assert_non_null(all);
    each_row(take_product, all);
    assert_true(product_loss(all, 1, 8) < 0.02);
    assert_true(product_loss(all, 9, 64) < 0.035);
    assert_true(product_loss(all, 65, 1e9) < 0.02);
    free(all);
}

enum { BATCHES = 64 };
struct splits {
    double rule_us[BATCHES + 1], best_us[BATCHES + 1], single_us[BATCHES + 1];
};

static void take_split(void *self, const char *group, const char *variant, const char *params, double us) {
    struct splits *all = self;
    (void)variant;
    if (strcmp(group, "decode") != 0 || !strstr(params, "kv_heads=8 group=4 head=128 page=16 bf16 nhd skew=1 ") ||
        !strstr(params, "context=8192 "))
        return;
    int batch = (int)param(params, "batch=");
    if (batch > BATCHES)
        return;
    if (strstr(params, " rule"))
        all->rule_us[batch] = us;
    if (param(params, "splits=") == 1)
        all->single_us[batch] = us;
    if (all->best_us[batch] == 0 || us < all->best_us[batch])
        all->best_us[batch] = us;
}

static void measured_attention(void **state) {
    (void)state;
    struct splits all = {0};
    each_row(take_split, &all);
    static const int batches_timed[] = {1, 2, 4, 8, 16, 32};
    for (size_t i = 0; i < sizeof batches_timed / sizeof *batches_timed; i++) {
        int b = batches_timed[i];
        print_message("batch %d at 8k: the rule %.3f of the best, single pass %.2f\n", b,
                      all.rule_us[b] / all.best_us[b], all.single_us[b] / all.best_us[b]);
        assert_true(all.rule_us[b] > 0 && all.rule_us[b] < 1.02 * all.best_us[b]);
    }
    assert_true(all.single_us[1] > 4 * all.best_us[1] && all.single_us[4] > 2 * all.best_us[4]);
    assert_true(all.single_us[16] < 1.02 * all.best_us[16]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernels), cmocka_unit_test(batches),
                                       cmocka_unit_test(measured_products), cmocka_unit_test(measured_attention)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
