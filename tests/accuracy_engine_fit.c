/* Does the fit of an engine's steps find the constants that made them, under noise and stalls, and refuse what tells
 * nothing? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/engine/random.h"
#include "validate/fit_engine.h"

static char folder[] = "/tmp/tiersim-steps-XXXXXX";
static char path[64];

static int begin(void **state) {
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/steps_test.csv", folder);
    return 0;
}
static int finish(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

/* 3 % of noise a step; one step in forty is stalled by 5 ms; one in fifty waits for work. */
static void write_steps(int count, double step_s, double per_sequence_s, bool asynchronous, int most) {
    gsl_rng *rng = gsl_rng_alloc(random_philox);
    random_seek(rng, 11, RANDOM_TEST, 0);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs("time_s,batch,new_tokens,context_tokens,host_s,device_s\n", out);
    double now = 100;
    for (int i = 0; i < count; i++) {
        int batch = 1 + (int)(gsl_rng_uniform(rng) * most);
        double host = (step_s + per_sequence_s * batch) * (1 + 0.03 * (2 * gsl_rng_uniform(rng) - 1));
        double device = 4e-4 + 1e-5 * batch;
        if (i % 40 == 7)
            host += 5e-3;
        fprintf(out, "%.9f,%d,%d,%d,%.9f,%.9f\n", now, batch, batch, batch * 1000, host, device);
        now += asynchronous ? fmax(host, device) : host + device;
        if (i % 50 == 9)
            now += 1;
    }
    fclose(out);
    gsl_rng_free(rng);
}

static void test_found(void **state) {
    (void)state;
    for (int asynchronous = 0; asynchronous < 2; asynchronous++) {
        struct arena *arena = arena_create();
        struct engine_fit fit;
        struct error err;
        write_steps(2000, 3e-4, 2e-6, asynchronous, 128);
        if (fit_engine(path, "test", "a test", arena, &fit, &err) != 0)
            fail_msg("%s", err.text);
        printf("step %.4g us, a sequence %.4g us; spread %.3f, median error %.3f\n", 1e6 * fit.profile.step_s.value,
               1e6 * fit.profile.per_sequence_s.value, fit.profile.spread, fit.median_error);
        assert_int_equal(fit.steps, 2000);
        assert_true(fabs(fit.profile.step_s.value / 3e-4 - 1) < 0.01);
        assert_true(fabs(fit.profile.per_sequence_s.value / 2e-6 - 1) < 0.01);
        assert_int_equal(fit.profile.asynchronous, asynchronous);
        assert_true(fit.profile.spread > 0.012 && fit.profile.spread < 0.022); /* 0.03/sqrt(3), its tail cut */
        assert_true(fit.worst_error > 0.5);                                    /* the stalls are not hidden */
        arena_destroy(arena);
    }
}

/* No host work by sequence, or none by step: never below zero. */
static void test_edges(void **state) {
    (void)state;
    static const double step_s[] = {5e-4, 0}, per_sequence_s[] = {0, 4e-6};
    for (int i = 0; i < 2; i++) {
        struct arena *arena = arena_create();
        struct engine_fit fit;
        struct error err;
        write_steps(400, step_s[i], per_sequence_s[i], false, 64);
        if (fit_engine(path, "test", "a test", arena, &fit, &err) != 0)
            fail_msg("%s", err.text);
        assert_true(fit.profile.step_s.value >= 0 && fit.profile.per_sequence_s.value >= 0);
        double at_32 = fit.profile.step_s.value + 32 * fit.profile.per_sequence_s.value;
        assert_true(fabs(at_32 / (step_s[i] + 32 * per_sequence_s[i]) - 1) < 0.01);
        arena_destroy(arena);
    }
}

/* The loop's own columns, in its order and another: the same constants as from time_s and batch. */
static void test_loop_form(void **state) {
    (void)state;
    struct engine_fit fits[3];
    struct arena *arena = arena_create();
    for (int form = 0; form < 3; form++) {
        struct error err;
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        fputs(form == 0   ? "time_s,batch,host_s,device_s\n"
              : form == 1 ? "start_s,decodes,decode_context,prefills,prefill_tokens,prefill_context,host_s,device_s,"
                            "step_s\n"
                          : "device_s,prefills,host_s,decodes,start_s\n",
              out);
        for (int i = 0; i < 200; i++) {
            int decodes = i * 7 % 64, prefills = 1 + i % 2;
            double host = 2e-4 + 3e-6 * (decodes + prefills) + 1e-6 * (i % 5), start = 0.01 * i;
            if (form == 0)
                fprintf(out, "%.9f,%d,%.9f,%.9f\n", start, decodes + prefills, host, 0.01 - host);
            else if (form == 1)
                fprintf(out, "%.9f,%d,9000,%d,512,700,%.9f,%.9f,0.01\n", start, decodes, prefills, host, 0.01 - host);
            else
                fprintf(out, "%.9f,%d,%.9f,%d,%.9f\n", 0.01 - host, prefills, host, decodes, start);
        }
        fclose(out);
        if (fit_engine(path, "test", "a test", arena, &fits[form], &err) != 0)
            fail_msg("%s", err.text);
        assert_true(fits[form].profile.step_s.value == fits[0].profile.step_s.value);
        assert_true(fits[form].profile.per_sequence_s.value == fits[0].profile.per_sequence_s.value);
        assert_true(fits[form].sum_error == fits[0].sum_error && !fits[form].profile.asynchronous);
    }
    assert_true(fabs(fits[0].profile.per_sequence_s.value / 3e-6 - 1) < 0.02);
    arena_destroy(arena);
}

static void refused(const char *words) {
    struct arena *arena = arena_create();
    struct engine_fit fit;
    struct error err;
    assert_int_equal(fit_engine(path, "test", "a test", arena, &fit, &err), -1);
    assert_non_null(strstr(err.text, "hint:"));
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
    arena_destroy(arena);
}

static void put(const char *text) {
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void test_refused(void **state) {
    (void)state;
    (void)unlink(path);
    refused("cannot read");
    put("time_s,batch,host_s\n1,1,1e-4\n");
    refused("device_s");
    put("time_s,batch,host_s,device_s\n1,1,1e-4,1e-3\n2,0,1e-4,1e-3\n");
    refused(":3");
    put("time_s,batch,host_s,device_s\n1,1,1e-4,1e-3\n2,many,1e-4,1e-3\n");
    refused(":3");
    put("start_s,decodes,host_s,device_s\n1,1,1e-4,1e-3\n");
    refused("prefills");
    put("time_s,batch,host_s,device_s\n");
    refused("0 steps");
    write_steps(ENGINE_FIT_STEPS_MIN - 1, 3e-4, 2e-6, false, 64);
    refused("29 steps");
    write_steps(100, 3e-4, 2e-6, false, 1);
    refused("different batches");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found), cmocka_unit_test(test_edges),
                                       cmocka_unit_test(test_loop_form), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, begin, finish);
}
