/* What does one kernel for all batches cost? Products by the kernel that the library picks for another batch, or with
 * their depth split by force, against the library's own choice, as measured (results/calibration/h200, group
 * one_kernel); and what the models' plain kernel, derived and not fitted, says of the first. */
#include "models/ops.h"
#include "tests/models.h"
#include "validate/csv.h"
#include "validate/measured.h"

enum { SHAPES = 4, DEEP = 3, BATCHES = 9, FOR_MANY = 0, FOR_FEW, SPLITS_1, SPLITS_2, SPLITS_4, LIBRARY, VARIANTS };
static const char *const shapes[SHAPES] = {"llama8b_qkv", "llama8b_o", "llama8b_gate_up", "llama8b_down"},
                         *const variants[VARIANTS] = {"chosen_for_512", "chosen_for_8", "splits_1",
                                                      "splits_2",       "splits_4",     "cublaslt"};
static const double batches[BATCHES] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

struct table {
    double seconds[SHAPES][BATCHES][VARIANTS], n[SHAPES], k[SHAPES]; /* 0: not measured */
};

static void add_row(struct table *table, const struct measured *row) {
    double m, n, k;
    struct error err;
    int shape = 0, batch = 0, variant = 0;
    for (char word[64]; shape < SHAPES; shape++) {
        snprintf(word, sizeof word, "shape=%s", shapes[shape]);
        if (measured_is(row, word))
            break;
    }
    while (variant < VARIANTS && strcmp(row->variant, variants[variant]) != 0)
        variant++;
    if (shape == SHAPES || variant == VARIANTS || !measured_is(row, "bf16"))
        return;
    must_load(measured_number(row, "m", &m, &err), &err);
    must_load(measured_number(row, "n", &n, &err), &err);
    must_load(measured_number(row, "k", &k, &err), &err);
    while (batch < BATCHES && batches[batch] != m)
        batch++;
    if (batch == BATCHES)
        return;
    table->seconds[shape][batch][variant] = row->seconds;
    table->n[shape] = n;
    table->k[shape] = k;
}

static void read_table(struct arena *arena, struct table *table) {
    struct measured_rows rows;
    struct error err;
    must_load(measured_read("results/calibration/h200", arena, &rows, &err), &err);
    memset(table, 0, sizeof *table);
    for (size_t i = 0; i < rows.count; i++)
        if (strcmp(rows.rows[i].group, "one_kernel") == 0 || strcmp(rows.rows[i].group, "gemm") == 0)
            add_row(table, &rows.rows[i]);
}

/* A layer's four products: time by the variant over the library's own choice. */
static double loss(const struct table *table, int batch, int variant) {
    double one = 0, own = 0;
    for (int s = 0; s < SHAPES; s++) {
        assert_true(table->seconds[s][batch][variant] > 0 && table->seconds[s][batch][LIBRARY] > 0);
        one += table->seconds[s][batch][variant];
        own += table->seconds[s][batch][LIBRARY];
    }
    return one / own;
}

static void one_kernel_loses(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    struct table table;
    read_table(arena, &table);
    for (int b = 0; b < BATCHES; b++) {
        double many = loss(&table, b, FOR_MANY), few = loss(&table, b, FOR_FEW);
        print_message("%.0f tokens: the kernel for 512 takes %.2f, the one for 8 %.2f of the library's choice\n",
                      batches[b], many, few);
        assert_true(many > (batches[b] <= 32 ? 1.9 : 1.15));
        assert_true(few > 0.97 && few < (batches[b] <= 8 ? 1.02 : 10));
        if (batches[b] > 16)
            assert_true(few > 1.9);
        if (batches[b] > 16)
            continue;
        /* Splitting all of them, or none, costs little beside that; the deep product alone wants it. */
        for (int splits = SPLITS_1; splits <= SPLITS_4; splits++)
            assert_true(loss(&table, b, splits) > 1.03 && loss(&table, b, splits) < 1.12);
        assert_true(table.seconds[DEEP][b][SPLITS_1] > 1.15 * table.seconds[DEEP][b][SPLITS_2]);
    }
    arena_destroy(arena);
}

static void plain_as_measured(void **state) {
    (void)state;
    struct models models = models_open("h200-sxm");
    struct table table;
    read_table(models.arena, &table);
    struct step_model_options options = {.arch = models_arch(&models, "llama-3.1-8b"),
                                         .gpu = models.gpu,
                                         .profile = models.profile,
                                         .tp = 1,
                                         .weight_dtype = DTYPE_BF16,
                                         .kv_dtype = DTYPE_BF16,
                                         .max_step_tokens = 2048,
                                         .page_tokens = 16};
    struct machine machine;
    struct error err;
    must_load(machine_resolve(&options, &machine, &err), &err);
    for (int b = 0; b < BATCHES; b++) {
        double measured = 0, priced = 0;
        for (int s = 0; s < SHAPES; s++) {
            measured += table.seconds[s][b][FOR_MANY];
            priced +=
                gemm_kernel_price(&machine, GEMM_PLAIN, DTYPE_BF16, batches[b], table.n[s], table.k[s], 1).seconds;
        }
        print_message("%.0f tokens: plain products of a layer, derived / measured %.2f\n", batches[b],
                      priced / measured);
        assert_true(priced > 0.7 * measured && priced < 1.15 * measured);
    }
    arena_destroy(models.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_kernel_loses), cmocka_unit_test(plain_as_measured)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
