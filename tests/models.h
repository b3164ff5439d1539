/* For the tests of models/: catalogue entries and random steps. */
#ifndef TESTS_MODELS_H
#define TESTS_MODELS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/cli/catalogue.h"

struct models {
    struct arena *arena;
    struct gpu *gpu;
    struct kernel_profile *profile;
};

static inline void must_load(int status, const struct error *err) {
    if (status != 0)
        fail_msg("%s", err->text);
}

static inline struct models models_open(const char *gpu) {
    struct models models = {.arena = arena_create()};
    struct error err;
    must_load(load_gpu(gpu, (struct place){0}, models.arena, &models.gpu, &err), &err);
    must_load(load_kernel_profile(models.gpu, (struct place){0}, models.arena, &models.profile, &err), &err);
    return models;
}

static inline struct arch *models_arch(const struct models *models, const char *name) {
    struct arch *arch;
    struct error err;
    must_load(load_arch(name, (struct place){0}, models->arena, &arch, &err), &err);
    return arch;
}

static inline struct step_model *models_step(const struct models *models, const char *name, int64_t tp,
                                             enum dtype weights, enum dtype kv) {
    struct step_model *model;
    struct error err;
    struct step_model_options options = {.arch = models_arch(models, name),
                                         .gpu = models->gpu,
                                         .profile = models->profile,
                                         .tp = tp,
                                         .weight_dtype = weights,
                                         .kv_dtype = kv,
                                         .max_step_tokens = 2048,
                                         .page_tokens = 16};
    must_load(step_model_create(&options, &model, &err), &err);
    return model;
}

/* A step of its own for each i: decode, prefill with and without a prefix, and both. */
static inline uint64_t models_mix(uint64_t x) { /* splitmix64 */
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}
static inline int64_t models_between(uint64_t *state, int64_t low, int64_t high) {
    *state = models_mix(*state);
    return low + (int64_t)(*state % (uint64_t)(high - low + 1));
}

static inline struct step_shape models_shape(uint64_t i, int64_t window) {
    uint64_t state = models_mix(i);
    struct step_shape shape = {0};
    int64_t kind = models_between(&state, 0, 2);
    if (kind != 1) {
        int64_t n = models_between(&state, 0, 1) ? models_between(&state, 1, 8) : models_between(&state, 1, 256);
        for (int64_t s = 0; s < n; s++) {
            int64_t context =
                models_between(&state, 0, 3) ? models_between(&state, 1, 4000) : models_between(&state, 1, 100000);
            shape.decode_seqs++;
            shape.decode_context += context;
            if (context > shape.decode_longest)
                shape.decode_longest = context;
            if (window > 0) {
                shape.decode_window += context < window ? context : window;
                shape.decode_growing += context < window;
            }
        }
    }
    if (kind != 0) {
        int64_t n = models_between(&state, 1, 4);
        for (int64_t s = 0; s < n; s++) {
            int64_t q = models_between(&state, 1, 2048),
                    context = q + (models_between(&state, 0, 1) ? models_between(&state, 0, 60000) : 0);
            shape.prefill_seqs++;
            shape.prefill_tokens += q;
            shape.prefill_context += context;
            shape.prefill_pairs += q * context - q * (q - 1) / 2;
            shape.prefill_squares += q * q;
        }
    }
    shape.logits = shape.decode_seqs + shape.prefill_seqs;
    return shape;
}

static const struct {
    const char *name;
    int64_t tp;
    enum dtype weights, kv;
} models_kinds[] = {{"llama-3.1-8b", 1, DTYPE_BF16, DTYPE_BF16}, {"llama-3.1-70b", 4, DTYPE_FP8, DTYPE_FP8},
                    {"gpt-oss-20b", 1, DTYPE_INT4, DTYPE_BF16},  {"qwen3-30b-a3b", 2, DTYPE_BF16, DTYPE_FP8},
                    {"gemma-3-27b", 2, DTYPE_BF16, DTYPE_BF16},  {"deepseek-v3", 8, DTYPE_INT4, DTYPE_BF16},
                    {"glm-5", 8, DTYPE_INT4, DTYPE_FP8}};
enum { MODELS_KINDS = sizeof models_kinds / sizeof *models_kinds };

/* sim/cli is not in the library; its loader is what users meet, so it is what is tested. */
#include "sim/cli/catalogue.c"

#endif
