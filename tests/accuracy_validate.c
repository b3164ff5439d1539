/* How far are the models from what our own kernels and copies took on an H200? By the profile fitted to these rows, on
 * those that the fit did not see; and by the H100's, fitted to others' timings, by the ratio of the datasheets. The
 * bounds are what came out when the rows were measured, loosely: a change of the models that makes them worse is seen.
 */
#include <math.h>

#include "tests/models.h"
#include "validate/timings.h"

static struct timing_source rows_of(struct arena *arena) {
    struct timing_source source;
    struct error err = {0};
    if (timings_open("results/calibration/h200", arena, &source, &err) != 0)
        fail_msg("%s", err.text);
    return source;
}

struct expected {
    const char *op;
    double median, p90;
    size_t least;
};

static void held_to(const struct kernel_profile *profile, const struct gpu *gpu, enum point_set set,
                    const struct expected *expected, size_t count) {
    struct arena *arena = arena_create();
    struct timing_source source = rows_of(arena);
    struct points points[KERNEL_OPS];
    struct error err = {0};
    assert_int_equal(source.rows.failed, 0);
    if (predict_kernels(&source, gpu, profile, arena, points, &err) != 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < count; i++) {
        const struct points *op = points;
        while (strcmp(op->op, expected[i].op) != 0)
            op++;
        struct point_errors errors = point_errors(op, set, arena);
        print_message("%s: %zu points, median %.1f %%, p90 %.1f %%\n", op->op, errors.count, 100 * errors.median,
                      100 * errors.p90);
        assert_true(op->count >= expected[i].least && (set != POINTS_ALL || op->count == errors.count));
        assert_true(errors.median <= expected[i].median && errors.p90 <= expected[i].p90);
        assert_true(errors.median <= errors.p90 && errors.p90 <= errors.worst);
        struct point_errors held = point_errors(op, POINTS_HELD_OUT, arena);
        assert_true(5 * held.count > op->count && 3 * held.count < 2 * op->count); /* about a third */
    }
    arena_destroy(arena);
}

static void held_out_rows(void **state) {
    (void)state;
    static const struct expected expected[] = {
        {"gemm bf16", 0.05, 0.12, 350},           {"gemm fp8", 0.05, 0.12, 100},
        {"experts bf16", 0.05, 0.12, 50},         {"decode attention bf16", 0.02, 0.05, 140},
        {"decode attention fp8", 0.02, 0.08, 80}, {"prefill attention", 0.05, 0.12, 90}};
    struct models models = models_open("h200-sxm");
    assert_string_equal(models.profile->gpu, "h200-sxm");
    held_to(models.profile, models.gpu, POINTS_HELD_OUT, expected, sizeof expected / sizeof *expected);
    arena_destroy(models.arena);
}

static void h200_from_h100(void **state) {
    (void)state;
    static const struct expected expected[] = {{"gemm bf16", 0.08, 0.22, 350},
                                               {"decode attention bf16", 0.20, 0.38, 140},
                                               {"decode attention fp8", 0.22, 0.40, 80},
                                               {"prefill attention", 0.14, 0.31, 90}};
    struct models h100 = models_open("h100-sxm"), h200 = models_open("h200-sxm");
    held_to(h100.profile, h200.gpu, POINTS_ALL, expected, sizeof expected / sizeof *expected);
    arena_destroy(h100.arena);
    arena_destroy(h200.arena);
}

/* Whole steps, of which a fit sees Qwen2.5-7B's decode at batch 1 alone: by the H200's own profile, and by the H100's.
 */
static void whole_steps(void **state) {
    (void)state;
    static const struct {
        double own, own_p90, scaled;
        size_t least;
    } expected[STEP_OPS] = {
        {0.03, 0.06, 0.08, 40}, {0.03, 0.06, 0.14, 20}, {0.03, 0.07, 0.10, 36}, {0.03, 0.06, 0.09, 24}};
    struct models h100 = models_open("h100-sxm"), h200 = models_open("h200-sxm");
    struct timing_source source = rows_of(h200.arena);
    struct step_finder finder = {load_arch};
    struct error err = {0};
    for (int scaled = 0; scaled < 2; scaled++) {
        struct points points[STEP_OPS];
        must_load(predict_steps(&source.rows, h200.gpu, scaled ? h100.profile : h200.profile, finder, h200.arena,
                                points, &err),
                  &err);
        for (int i = 0; i < STEP_OPS; i++) {
            struct point_errors errors = point_errors(&points[i], POINTS_HELD_OUT, h200.arena);
            print_message("%s: %zu held out, median %.1f %%, p90 %.1f %%\n", points[i].op, errors.count,
                          100 * errors.median, 100 * errors.p90);
            assert_true(errors.count >= expected[i].least);
            assert_true(errors.median <= (scaled ? expected[i].scaled : expected[i].own));
            assert_true(scaled || errors.p90 <= expected[i].own_p90);
        }
    }
    arena_destroy(h100.arena);
    arena_destroy(h200.arena);
}

/* Errors by hand: three points that are 0, +10 and -50 % off. */
static void errors_by_hand(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    struct measured rows[3] = {
        {.params = "a", .seconds = 1}, {.params = "b", .seconds = 2}, {.params = "c", .seconds = 4}};
    struct point items[3] = {
        {&rows[0], 1, 0.9, 1.1, false}, {&rows[1], 2.2, 2.1, 2.3, true}, {&rows[2], 2, 1.5, 4.0, false}};
    struct points points = {"hand", items, 3};
    struct point_errors errors = point_errors(&points, POINTS_ALL, arena);
    assert_float_equal(errors.median, 0.1, 1e-12);
    assert_float_equal(errors.worst, 0.5, 1e-12);
    assert_float_equal(errors.bias, 0, 1e-12);
    assert_ptr_equal(errors.worst_at, &items[2]);
    assert_float_equal(errors.covered, 2.0 / 3.0, 1e-12);
    errors = point_errors(&points, POINTS_HELD_OUT, arena);
    assert_true(errors.count == 1 && errors.covered == 0 && errors.worst_at == &items[1]);
    arena_destroy(arena);
}

static void params_are_read(void **state) {
    (void)state;
    struct measured row = {.params = "batch=8 context=16384 tokens=131029 bf16 nhd splits=4", .at = {"rows.csv", 7, 1}};
    struct error err = {0};
    double value;
    assert_int_equal(measured_number(&row, "context", &value, &err), 0);
    assert_true(value == 16384 && measured_is(&row, "bf16") && measured_is(&row, "splits=4"));
    assert_false(measured_is(&row, "bf1") || measured_is(&row, "splits") || measured_is(&row, "e4m3"));
    assert_int_not_equal(measured_number(&row, "page", &value, &err), 0);
    assert_string_equal(err.text, "rows.csv:7:1: 'batch=8 context=16384 tokens=131029 bf16 nhd splits=4' has no number "
                                  "page=\n  hint: is the row of another version?");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(held_out_rows), cmocka_unit_test(h200_from_h100),
                                       cmocka_unit_test(whole_steps), cmocka_unit_test(errors_by_hand),
                                       cmocka_unit_test(params_are_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
