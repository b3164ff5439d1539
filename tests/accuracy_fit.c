/* Does fitting again give the committed profile, to six digits, and is it as good as results/calibration says? Needs
 * the timings in $TIERSIM_MEASURED or ../shared/measured. */
#include <math.h>
#include <unistd.h>

#include "tests/models.h"
#include "validate/fit.h"

static const char *measured(void) {
    const char *given = getenv("TIERSIM_MEASURED");
    return given && *given ? given : "../shared/measured";
}

static void same(const char *what, double fitted, double committed) {
    if (fabs(fitted - committed) > 1e-6 * fabs(committed))
        fail_msg("%s: fitted %.7e, committed %.7e; hint: make fit", what, fitted, committed);
}

/* All figures of a struct, by its own option table. */
static void same_figures(const char *what, const struct option *table, const void *fitted, const void *committed) {
    for (const struct option *option = table; option->name; option++) {
        const char *a = (const char *)fitted + option->offset, *b = (const char *)committed + option->offset;
        if (option->kind == OPTION_FIGURE)
            same(option->name, ((const struct figure *)(const void *)a)->value,
                 ((const struct figure *)(const void *)b)->value);
        if (option->kind == OPTION_STRUCT)
            same_figures(option->name, option->table, a, b);
        if (option->kind != OPTION_LIST)
            continue;
        const struct list *x = (const struct list *)(const void *)a, *y = (const struct list *)(const void *)b;
        assert_int_equal(x->count, y->count);
        for (size_t i = 0; i < x->count; i++)
            same_figures(what, option->table, (const char *)x->items + i * option->item_size,
                         (const char *)y->items + i * option->item_size);
    }
}

static void test_fit_again(void **state) {
    (void)state;
    if (access(measured(), R_OK) != 0) {
        print_message("no timings in %s: skipped\n", measured());
        skip();
    }
    struct models models = models_open("h100-sxm");
    struct kernel_profile *profile = arena_alloc(models.arena, sizeof *profile);
    struct fit_report report;
    struct error err;
    struct timing_source source;
    must_load(timings_open(measured(), models.arena, &source, &err), &err);
    struct fit_input in = {.source = &source, .gpu = models.gpu, .arena = models.arena, .report = &report};
    must_load(fit_profile(&in, profile, &err), &err);
    same_figures("profile", kernel_profile_options, profile, models.profile);
    for (size_t i = 0; i < report.count; i++) {
        if (strncmp(report.ops[i].op, "all-reduce", 10) == 0)
            continue;
        if (report.ops[i].median > 0.05)
            fail_msg("%s: median error %.1f %%", report.ops[i].op, 100 * report.ops[i].median);
    }
    arena_destroy(models.arena);
}

/* Steps that were made with small kernels of 2.5 us give these again; steps that no fit may see change nothing. */
static void test_fit_small(void **state) {
    (void)state;
    struct models h100 = models_open("h100-sxm"), h200 = models_open("h200-sxm");
    struct kernel_profile profile = *h200.profile;
    struct fit_report report;
    struct timing_source source;
    struct error err;
    struct points points[STEP_OPS];
    struct step_finder finder = {load_arch};
    must_load(timings_open("results/calibration/h200", h200.arena, &source, &err), &err);
    struct measured made[] = {
        {.group = "step", .variant = "graph", .params = "model=qwen2.5-7b kind=decode batch=1 context=1024"},
        {.group = "step", .variant = "graph", .params = "model=qwen2.5-7b kind=decode batch=1 context=16384"},
        {.group = "step", .variant = "graph", .params = "model=qwen2.5-7b kind=decode batch=8 context=1024"},
        {.group = "step", .variant = "graph", .params = "model=llama-3.1-8b kind=decode batch=1 context=1024"}};
    enum { MADE = sizeof made / sizeof *made };
    struct measured_rows rows = {made, MADE, 0};
    profile.small.kernel_s.value = 2.5e-6;
    must_load(predict_steps(&rows, h200.gpu, &profile, finder, h200.arena, points, &err), &err);
    for (int i = 0; i < MADE; i++)
        made[i].seconds = points[0].items[i].predicted_s * (i < 2 ? 1.0 : 3.0);
    profile.small.kernel_s.value = 9e-6;
    source.rows = rows;
    struct fit_input in = {.source = &source,
                           .gpu = h200.gpu,
                           .base = h100.profile,
                           .finder = finder,
                           .arena = h200.arena,
                           .report = &report};
    must_load(fit_small(&in, &profile, &err), &err);
    assert_float_equal(profile.small.kernel_s.value, 2.5e-6, 1e-11);
    made[0].seconds = made[1].seconds = 1e-4; /* less than its weights take to be read */
    assert_int_equal(fit_small(&in, &profile, &err), -1);
    assert_non_null(strstr(err.text, "less than the sum of their kernels"));
    arena_destroy(h200.arena);
    arena_destroy(h100.arena);
}

/* The H200's profile and its link, from the rows in the tree. */
static void test_fit_rows_again(void **state) {
    (void)state;
    struct models h100 = models_open("h100-sxm"), h200 = models_open("h200-sxm");
    struct kernel_profile *profile = arena_alloc(h200.arena, sizeof *profile);
    struct fit_report report;
    struct timing_source source;
    struct copy_fits copies;
    struct error err;
    must_load(timings_open("results/calibration/h200", h200.arena, &source, &err), &err);
    struct fit_input in = {.source = &source,
                           .gpu = h200.gpu,
                           .base = h100.profile,
                           .finder = {load_arch},
                           .arena = h200.arena,
                           .report = &report};
    must_load(fit_profile(&in, profile, &err), &err);
    same_figures("profile", kernel_profile_options, profile, h200.profile);
    must_load(fit_copies(&in, &copies, &err), &err);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    copies_write(out, &copies);
    assert_int_equal(fclose(out), 0);
    FILE *link = fopen("configs/nodes/links/h200-copy.yaml", "r");
    assert_non_null(link);
    char line[512];
    while (fgets(line, sizeof line, link)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] != '#' && !strstr(text, line))
            fail_msg("configs/nodes/links/h200-copy.yaml: '%s' is not what the rows give; hint: make fit", line);
    }
    fclose(link);
    free(text);
    arena_destroy(h100.arena);
    arena_destroy(h200.arena);
}

static void test_missing_timings(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    struct timings timings;
    struct error err;
    assert_int_equal(timings_published("/nonexistent", TIMING_GEMM, arena, &timings, &err), -1);
    assert_non_null(strstr(err.text, "hint:"));
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fit_again), cmocka_unit_test(test_fit_rows_again),
                                       cmocka_unit_test(test_fit_small), cmocka_unit_test(test_missing_timings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
