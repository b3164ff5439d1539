/* Does a file of one's own timings (docs/own-measurements.md) make the profile that it was written from? The rows are
 * what the models say of the H100's profile, so the fit can be exact: what it predicts must come back, on the rows and
 * on work that is not among them. */
#include <math.h>
#include <unistd.h>

#include "tests/models.h"
#include "validate/fit.h"
#include "validate/op_timings.h"

struct writing {
    struct models models;
    FILE *out;
};

/* What the profile says of the row, as the simulator would ask it. */
static double priced(const struct models *models, const struct kernel_profile *profile, enum timing_kind kind,
                     const struct timing *row) {
    struct machine machine;
    struct error err;
    struct step_model_options options = {.gpu = models->gpu,
                                         .profile = profile,
                                         .tp = kind == TIMING_COMM ? (int64_t)row->gpus : 1,
                                         .kv_dtype = row->fp8 ? DTYPE_FP8 : DTYPE_BF16,
                                         .page_tokens = 16};
    must_load(machine_resolve(&options, &machine, &err), &err);
    return timing_seconds(&machine, kind, row);
}

static void put_gemm(struct writing *w, bool fp8) {
    static const double shapes[][2] = {{6144, 4096},  {4096, 4096},  {28672, 4096}, {4096, 14336},
                                       {10240, 8192}, {57344, 8192}, {8192, 28672}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (double m = 1; m <= 16384; m *= 2) {
            struct timing row = {.m = m, .n = shapes[i][0], .k = shapes[i][1], .fp8 = fp8};
            fprintf(w->out, "gemm,%s,%.0f,%.0f,%.0f,,,,,,,,,,,%.12g\n", fp8 ? "fp8" : "bf16", m, row.n, row.k,
                    1e6 * priced(&w->models, w->models.profile, TIMING_GEMM, &row));
        }
}

static void put_decode(struct writing *w, bool fp8) {
    for (double batch = 1; batch <= 256; batch *= 2)
        for (double context = 256; context <= 131072 && batch * context <= 4194304; context *= 2)
            for (double kv_heads = 4; kv_heads <= 8; kv_heads *= 2) {
                struct timing row = {.batch = batch,
                                     .q_heads = 4 * kv_heads,
                                     .kv_heads = kv_heads,
                                     .head_dim = 128,
                                     .context = context,
                                     .fp8 = fp8};
                fprintf(w->out, "decode,%s,,,,%.0f,%.0f,%.0f,128,%.0f,,,,,,%.12g\n", fp8 ? "fp8" : "bf16", batch,
                        row.q_heads, kv_heads, context,
                        1e6 * priced(&w->models, w->models.profile, TIMING_DECODE, &row));
            }
}

static void put_prefill(struct writing *w) {
    for (double batch = 1; batch <= 8; batch *= 2)
        for (double length = 128; length <= 16384; length *= 2)
            for (double prefix = 0; prefix <= 65536; prefix = prefix > 0 ? 4 * prefix : 4096) {
                struct timing row = {
                    .batch = batch, .q_heads = 32, .kv_heads = 8, .head_dim = 128, .context = length, .prefix = prefix};
                fprintf(w->out, "prefill,,,,,%.0f,32,8,128,,%.0f,%.0f,,,,%.12g\n", batch, length, prefix,
                        1e6 * priced(&w->models, w->models.profile, TIMING_PREFILL, &row));
            }
}

/* One implementation a group of GPUs: the last of the profile's. */
static void put_all_reduce(struct writing *w) {
    const struct list *list = &w->models.profile->collectives;
    const struct collective_fit *fits = list->items;
    for (size_t i = 0; i < list->count; i++) {
        if (i + 1 < list->count && fits[i + 1].gpus == fits[i].gpus)
            continue;
        for (double bytes = 1024; bytes <= 268435456; bytes *= 2) {
            double line_s = fits[i].alpha2_s.value + bytes / fits[i].beta_bytes_per_s.value;
            fprintf(w->out, "allreduce,,,,,,,,,,,,%lld,%.0f,nccl,%.12g\n", (long long)fits[i].gpus, bytes,
                    1e6 * fmax(fits[i].alpha_s.value, line_s));
        }
    }
}

static int write_timings(void **state) {
    static char folder[64];
    char path[128];
    strcpy(folder, "/tmp/tiersim-own-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/timings.csv", folder);
    struct writing w = {models_open("h100-sxm"), fopen(path, "w")};
    if (!w.out)
        return -1;
    fprintf(w.out, "# source: the models themselves, by the profile of an H100\n"
                   "op,dtype,m,n,k,batch,q_heads,kv_heads,head_dim,context,length,prefix,gpus,bytes,api,time_us\n");
    for (int fp8 = 0; fp8 < 2; fp8++) {
        put_gemm(&w, fp8);
        put_decode(&w, fp8);
    }
    put_prefill(&w);
    put_all_reduce(&w);
    arena_destroy(w.models.arena);
    *state = folder;
    return fclose(w.out);
}

static int remove_timings(void **state) {
    char path[128];
    snprintf(path, sizeof path, "%s/timings.csv", (char *)*state);
    return unlink(path) != 0 || rmdir(*state) != 0;
}

/* Of the same work, once by the profile that the rows are from, once by the fitted. */
static double apart(const struct models *models, const struct kernel_profile *fitted, enum timing_kind kind,
                    const struct timing *row) {
    return fabs(priced(models, fitted, kind, row) / priced(models, models->profile, kind, row) - 1);
}

/* Work that is on no grid, within the fitted ranges. */
static double worst_elsewhere(const struct models *models, const struct kernel_profile *fitted) {
    double worst = 0;
    uint64_t random = 7;
    for (int i = 0; i < 300; i++) {
        bool fp8 = models_between(&random, 0, 1);
        struct timing gemm = {.m = (double)models_between(&random, 1, 8000),
                              .n = (double)models_between(&random, 4096, 30000),
                              .k = (double)models_between(&random, 4096, 16000),
                              .fp8 = fp8};
        struct timing decode = {.batch = (double)models_between(&random, 1, 60),
                                .q_heads = 32,
                                .kv_heads = 8,
                                .head_dim = 128,
                                .context = (double)models_between(&random, 256, 60000),
                                .fp8 = fp8};
        struct timing prefill = {.batch = 1,
                                 .q_heads = 32,
                                 .kv_heads = 8,
                                 .head_dim = 128,
                                 .context = (double)models_between(&random, 200, 16000),
                                 .prefix = (double)models_between(&random, 0, 60000)};
        worst = fmax(worst, apart(models, fitted, TIMING_GEMM, &gemm));
        worst = fmax(worst, apart(models, fitted, TIMING_DECODE, &decode));
        worst = fmax(worst, apart(models, fitted, TIMING_PREFILL, &prefill));
    }
    return worst;
}

static void the_profile_comes_back(void **state) {
    struct models models = models_open("h100-sxm");
    struct kernel_profile *fitted = arena_alloc(models.arena, sizeof *fitted);
    struct timing_source source;
    struct fit_report report;
    struct points points[KERNEL_OPS];
    struct error err;
    must_load(timings_open(*state, models.arena, &source, &err), &err);
    assert_int_equal(source.format, TIMINGS_OWN);
    assert_string_equal(source.source, "the models themselves, by the profile of an H100");
    struct fit_input in = {
        .source = &source, .gpu = models.gpu, .base = models.profile, .arena = models.arena, .report = &report};
    must_load(fit_profile(&in, fitted, &err), &err);
    must_load(predict_kernels(&source, models.gpu, fitted, models.arena, points, &err), &err);
    for (int op = 0; op < KERNEL_OPS; op++) {
        struct point_errors all = point_errors(&points[op], POINTS_ALL, models.arena),
                            held = point_errors(&points[op], POINTS_HELD_OUT, models.arena);
        if (all.count == 0)
            continue;
        print_message("%s: %zu points, %zu held out, median %.3f %%, worst %.3f %% at %s\n", points[op].op, all.count,
                      held.count, 100 * all.median, 100 * all.worst, all.worst_at->row->params);
        assert_true(held.count * 5 > all.count && held.count * 2 < all.count);
        /* All-reduce is a floor and a line, whose kink the solver does not always find. */
        bool kinked = strcmp(points[op].op, "all-reduce") == 0;
        assert_true(all.median < (kinked ? 0.05 : 0.001));
        assert_true(kinked || all.worst < 0.01);
    }
    double worst = worst_elsewhere(&models, fitted);
    print_message("elsewhere: worst %.3f %%\n", 100 * worst);
    assert_true(worst < 0.01);
    arena_destroy(models.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_profile_comes_back, write_timings, remove_timings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
