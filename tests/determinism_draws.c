/* Is `run --draws` the same again whatever the threads, paired between variants, and are its intervals around what was
 * not drawn? */
#include "sim/cli/verbs.h"
#include "sim/workload/json.h"
#include "tests/run_verb.h"

#include <math.h>

#include "sim/cli/draws.h"

/* Nothing stays of what stands behind "wall_s". */
static void blank_wall(char *json) {
    static const char key[] = "\"wall_s\":";
    for (char *at = json; (at = strstr(at, key)) != NULL;) {
        at += sizeof key - 1;
        char *end = at + strcspn(at, ",}");
        *at++ = '0';
        memmove(at, end, strlen(end) + 1);
    }
}

static struct said run_drawn(const char *draws, const char *jobs, const char *seed) {
    struct said said =
        RUN_VERB(run, NULL, "configs/scenarios/smoke.yaml", "--draws", draws, "-j", jobs, "--seed", seed, "--json");
    assert_int_equal(said.code, EXIT_FINE);
    blank_wall(said.out);
    return said;
}

static void test_threads(void **state) {
    (void)state;
    struct said one = run_drawn("6", "1", "1"), three = run_drawn("6", "3", "1"), other = run_drawn("6", "2", "2");
    assert_string_equal(one.out, three.out);
    assert_string_not_equal(one.out, other.out);
    said_free(&one);
    said_free(&three);
    said_free(&other);
}

static double at(struct json_value value, const char *path) {
    char keys[128], *rest = keys;
    double number;
    snprintf(keys, sizeof keys, "%s", path);
    for (char *key; (key = strsep(&rest, ".")) != NULL;) {
        struct json_value inner;
        if (!json_get(value, key, &inner))
            fail_msg("no '%s' of '%s'", key, path);
        value = inner;
    }
    if (!json_real(value, &number))
        fail_msg("'%s' is no number", path);
    return number;
}

/* 40 draws: that all are on one side of the undrawn has a chance of 2^-39; the ranks inside of the outermost, little
 * more. What no model decides has no width. */
static bool around(void *self, struct json_value v) {
    static const char *const outputs[] = {"ttft_s.p50",
                                          "ttft_s.p99",
                                          "tpot_s.mean",
                                          "e2e_s.p90",
                                          "throughput.requests_per_s",
                                          "cost.usd_per_million_tokens"};
    ++*(int *)self;
    assert_true(at(v, "draws.count") == 40 && at(v, "draws.failed") == 0 && at(v, "draws.level") == 0.9);
    for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++) {
        char low[128], high[128];
        snprintf(low, sizeof low, "draws.intervals.%s.low", outputs[o]);
        snprintf(high, sizeof high, "draws.intervals.%s.high", outputs[o]);
        double undrawn = at(v, outputs[o]);
        if (at(v, low) >= at(v, high) || undrawn < at(v, low) || undrawn > at(v, high))
            fail_msg("%s: %g, interval %g to %g", outputs[o], undrawn, at(v, low), at(v, high));
    }
    assert_true(at(v, "draws.intervals.requests.arrived.low") == at(v, "draws.intervals.requests.arrived.high"));
    return true;
}

static void test_around(void **state) {
    (void)state;
    struct json_reader *reader = json_create();
    struct said said = run_drawn("40", "2", "1");
    struct json_value root, variants;
    const char *why;
    int seen = 0;
    size_t size = strlen(said.out);
    if (!json_parse(reader, said.out, size, &root, &why))
        fail_msg("not JSON: %s", why);
    assert_true(json_get(root, "variants", &variants));
    assert_true(json_each(variants, around, &seen));
    assert_int_equal(seen, 3);
    said_free(&said);
    json_destroy(reader);
}

/* Variants with the same profile, GPU and engine err alike; a GPU that only shares the profile, by that alone. */
static void test_paired(void **state) {
    (void)state;
    struct kernel_profile profile = {.name = "h100-sxm", .gpu = "h100-sxm"}, other = {.name = "other"};
    struct gpu h100 = {.name = "h100-sxm"}, h200 = {.name = "h200-sxm"};
    struct variant a = {.kernels = &profile, .gpu = &h100}, b = a, c = a, d = a;
    struct draw da, db, dc, dd, next;
    c.gpu = &h200;
    d.kernels = &other;
    draw_normals(&a, 1, 5, &da);
    draw_normals(&b, 1, 5, &db);
    draw_normals(&c, 1, 5, &dc);
    draw_normals(&d, 1, 5, &dd);
    draw_normals(&a, 1, 6, &next);
    assert_memory_equal(&da, &db, sizeof da);
    assert_memory_equal(da.common, dc.common, ERROR_HARDWARE * sizeof *da.common);
    assert_memory_equal(da.own, dc.own, sizeof da.own);
    for (int i = 0; i < SHARES; i++) {
        assert_true(da.common[ERROR_HARDWARE + i] != dc.common[ERROR_HARDWARE + i]);
        assert_true(da.common[ERROR_HARDWARE + i] == dd.common[ERROR_HARDWARE + i]);
    }
    for (int i = 0; i < ERROR_HARDWARE; i++)
        assert_true(da.common[i] != dd.common[i] && da.common[i] != next.common[i]);
}

/* They are standard normals: of 4000, mean and variance within four standard errors. */
static void test_normals(void **state) {
    (void)state;
    enum { DRAWS = 4000 };
    struct kernel_profile profile = {.name = "p"};
    struct gpu gpu = {.name = "g"};
    struct variant v = {.kernels = &profile, .gpu = &gpu};
    double sum[ERROR_SOURCES] = {0}, squares[ERROR_SOURCES] = {0};
    for (uint64_t k = 0; k < DRAWS; k++) {
        struct draw draw;
        draw_normals(&v, 1, k, &draw);
        for (int i = 0; i < ERROR_SOURCES; i++) {
            sum[i] += draw.common[i];
            squares[i] += draw.common[i] * draw.common[i];
        }
    }
    for (int i = 0; i < ERROR_SOURCES; i++) {
        assert_true(fabs(sum[i] / DRAWS) < 4 / sqrt(DRAWS));
        assert_true(fabs(squares[i] / DRAWS - 1) < 4 * sqrt(2.0 / DRAWS));
    }
}

static void test_table(void **state) {
    (void)state;
    struct said said = RUN_VERB(run, NULL, "smoke", "--draws", "2");
    assert_int_equal(said.code, EXIT_FINE);
    assert_non_null(strstr(said.out, "33 % interval of 2 draws"));
    assert_non_null(strstr(said.out, "of 2 draws.\n"));
    said_free(&said);
    static const char *const wrong[] = {"1", "0", "-3", "many", "", "10001", "2.5"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        said = RUN_VERB(run, NULL, "smoke", "--draws", wrong[i]);
        assert_int_equal(said.code, EXIT_BAD_INPUT);
        assert_non_null(strstr(said.err, "from 2 to 10000"));
        said_free(&said);
    }
}

/* A GPU that no profile was fitted on says so, and of which kind it is. */
static void test_not_measured(void **state) {
    (void)state;
    static const struct {
        const char *gpu, *says, *not ;
    } cases[] = {{"h100-sxm", "", "was not measured"},
                 {"gh200", "gh200 was not measured: constants of the h100-sxm by datasheet: off by", "architecture"},
                 {"b200-sxm", "of another architecture: off by", "by datasheet: off by"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char set[64], *said_once[2];
        snprintf(set, sizeof set, "gpu=%s", cases[i].gpu);
        struct said run = RUN_VERB(run, NULL, "smoke", "--no-search", "--set", set),
                    step = RUN_VERB(step, NULL, "-m", "llama-3.1-8b", "-g", cases[i].gpu, "-b", "1", "-c", "1024");
        assert_int_equal(run.code, EXIT_FINE);
        assert_int_equal(step.code, EXIT_FINE);
        said_once[0] = run.out;
        said_once[1] = step.out;
        for (int k = 0; k < 2; k++) {
            for (char *at = said_once[k]; (at = strstr(at, "\n    ")) != NULL;) { /* as if lines were not broken */
                size_t blanks = strspn(at + 1, " ");
                *at = ' ';
                memmove(at + 1, at + 1 + blanks, strlen(at + 1 + blanks) + 1);
            }
            assert_non_null(strstr(said_once[k], cases[i].says));
            assert_null(strstr(said_once[k], cases[i].not ));
        }
        said_free(&run);
        said_free(&step);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads), cmocka_unit_test(test_around),
                                       cmocka_unit_test(test_paired),  cmocka_unit_test(test_normals),
                                       cmocka_unit_test(test_table),   cmocka_unit_test(test_not_measured)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
