/* Do architectures come to the parameters, KV bytes and weights that are published, and do a step's ops add up to it?
 */
#include <math.h>
#include <unistd.h>

#include "sim/config/read.h"
#include "tests/models.h"

/* Published totals in 1e9, and KV bytes a token in bf16 (sparse attention's index keys left out). */
static const struct {
    const char *name;
    double params, active, kv_bytes;
} published[] = {
    {"llama-3.1-8b", 8.03, 8.03, 131072},
    {"llama-3.1-70b", 70.55, 70.55, 327680},
    {"llama-3.1-405b", 405.85, 405.85, 516096},
    {"qwen3-8b", 8.19, 8.19, 147456},
    {"qwen3-32b", 32.76, 32.76, 262144},
    {"qwen3-30b-a3b", 30.53, 3.35, 98304},
    {"qwen3-235b-a22b", 235.09, 22.19, 192512},
    {"deepseek-v3", 671.03, 37.55, 70272},
    {"deepseek-v3.2", 671.03, 37.55, 70272},
    {"kimi-k2", 1026.41, 32.86, 70272},
    {"kimi-k2.5", 1026.41, 32.86, 70272},
    {"gpt-oss-20b", 20.91, 4.19, 49152},
    {"gpt-oss-120b", 116.79, 5.71, 73728},
    {"mixtral-8x7b", 46.70, 12.88, 131072},
    {"glm-5", 743.18, 41.05, 89856},
    {"qwen2.5-7b", 7.6, 7.6, 57344},
    {"qwen2.5-72b", 72.7, 72.7, 327680},
    {"mistral-7b", 7.24, 7.24, 131072},
    {"glm-4.5", 355, 0, 376832},
    {"gemma-3-27b", 27.0, 27.0, 507904},
};

static void test_published_sizes(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const struct arch *arch = models_arch(&models, published[i].name);
        double index = arch->index_dim > 0 ? (double)arch->layers * ((double)arch->index_dim + 4.0) : 0.0;
        if (fabs(arch_params(arch) / 1e9 / published[i].params - 1.0) > 0.01)
            fail_msg("%s has %.2f B parameters, published %.2f", arch->name, arch_params(arch) / 1e9,
                     published[i].params);
        if (published[i].active > 0 && fabs(arch_params_active(arch) / 1e9 / published[i].active - 1.0) > 0.01)
            fail_msg("%s reads %.2f B parameters, published %.2f", arch->name, arch_params_active(arch) / 1e9,
                     published[i].active);
        assert_true(arch_kv_bytes_per_token(arch, DTYPE_BF16, 1) - index == published[i].kv_bytes);
    }
    arena_destroy(models.arena);
}

static void test_sharding(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    /* 4 KV heads over 8 ranks: each rank still holds one, so the ranks together hold twice the bytes. */
    const struct arch *qwen = models_arch(&models, "qwen3-235b-a22b");
    assert_true(arch_kv_bytes_per_token(qwen, DTYPE_BF16, 4) == 192512.0 / 4);
    assert_true(arch_kv_bytes_per_token(qwen, DTYPE_BF16, 8) == 192512.0 / 4);
    assert_true(arch_kv_bytes_per_token_all(qwen, DTYPE_BF16, 8) == 2 * 192512.0);
    assert_true(arch_kv_bytes_per_token_stored(qwen, DTYPE_BF16) == 192512.0);
    /* Latents are on every rank, and once below. */
    const struct arch *deepseek = models_arch(&models, "deepseek-v3");
    assert_true(arch_kv_bytes_per_token(deepseek, DTYPE_BF16, 8) == 70272.0);
    assert_true(arch_kv_bytes_per_token_all(deepseek, DTYPE_BF16, 8) == 8 * 70272.0);
    assert_true(arch_kv_bytes_per_token_stored(deepseek, DTYPE_BF16) == 70272.0);
    assert_true(arch_kv_bytes_per_token(deepseek, DTYPE_FP8, 1) == 61.0 * 576.0);
    /* Sparse attention in fp8: 656 bytes a token and layer, and the index key. */
    assert_true(arch_kv_bytes_per_token(models_arch(&models, "deepseek-v3.2"), DTYPE_FP8, 1) == 61.0 * (656.0 + 132.0));
    arena_destroy(models.arena);
}

static void test_weights(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    const struct arch *llama = models_arch(&models, "llama-3.1-8b");
    assert_true(arch_weight_bytes(llama, DTYPE_BF16, 1) == 2.0 * arch_params(llama));
    assert_true(arch_weight_bytes(llama, DTYPE_BF16, 4) * 4.0 == arch_weight_bytes(llama, DTYPE_BF16, 1));
    /* fp8 halves all but embedding and output matrix. */
    double embedding = 2.0 * 128256.0 * 4096.0;
    assert_true(arch_weight_bytes(llama, DTYPE_FP8, 1) == arch_params(llama) + embedding);
    /* 16 ranks, 8 KV heads: the key and value matrices are there twice. */
    double kv = 32.0 * 2.0 * 4096.0 * 1024.0 * 2.0;
    assert_true(fabs(arch_weight_bytes(llama, DTYPE_BF16, 16) * 16.0 - 2.0 * arch_params(llama) - kv) < 1.0);
    arena_destroy(models.arena);
}

/* Every name that scenarios may use is there, is whole, and says where its figures come from. */
static void test_catalogue_names(void **state) {
    (void)state;
    static const char *const names[] = {"llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b", "qwen2.5-7b",
                                        "qwen3-8b",     "qwen3-32b",     "qwen3-30b-a3b",  "qwen3-235b-a22b",
                                        "gpt-oss-20b",  "gpt-oss-120b",  "deepseek-v3",    "kimi-k2",
                                        "mixtral-8x7b", "mistral-7b"};
    static const char *const gpus[] = {"a100-80-sxm", "h100-sxm", "h200-sxm",    "gh200",  "b200-sxm",
                                       "gb200",       "b300-sxm", "rubin",       "mi300x", "mi325x",
                                       "mi355x",      "l40s",     "rtx-pro-6000"};
    struct models models = models_open("h100-sxm");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct arch *arch = models_arch(&models, names[i]);
        assert_string_equal(arch->name, names[i]);
        assert_true(strlen(arch->source) > 0);
    }
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++) {
        struct models own = models_open(gpus[i]);
        assert_string_equal(own.gpu->name, gpus[i]);
        for (const struct option *option = gpu_options; option->name; option++) {
            if (option->kind != OPTION_FIGURE)
                continue;
            const struct figure *figure = (const struct figure *)((const char *)own.gpu + option->offset);
            if (strlen(figure->source) == 0)
                fail_msg("%s: %s has no source", gpus[i], option->name);
        }
        arena_destroy(own.arena);
    }
    arena_destroy(models.arena);
}

static struct arch *from_json(const struct models *models, const char *json) {
    char path[] = "/tmp/tiersim-config-XXXXXX.json";
    int file = mkstemps(path, 5);
    assert_true(file >= 0);
    assert_int_equal(write(file, json, strlen(json)), strlen(json));
    close(file);
    struct arch *arch;
    struct error err;
    must_load(load_arch(path, (struct place){0}, models->arena, &arch, &err), &err);
    unlink(path);
    return arch;
}

static void test_hugging_face(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    const struct arch *a = from_json(
        &models, "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 4096,"
                 "\"num_hidden_layers\": 32, \"num_attention_heads\": 32, \"num_key_value_heads\": 8, "
                 "\"intermediate_size\": 14336,"
                 "\"vocab_size\": 128256, \"max_position_embeddings\": 131072, \"rope_scaling\": {\"factor\": 8.0},"
                 "\"tie_word_embeddings\": false, \"head_dim\": null, \"rms_norm_eps\": 1e-05}");
    const struct arch *llama = models_arch(&models, "llama-3.1-8b");
    assert_true(arch_params(a) == arch_params(llama));
    assert_int_equal(a->head_dim, 128);
    /* Heads are 128 wide whatever the hidden size; use_sliding_window false. */
    a = from_json(
        &models,
        "{\"model_type\": \"qwen3\", \"hidden_size\": 5120, \"num_hidden_layers\": 64, \"num_attention_heads\": 64,"
        "\"num_key_value_heads\": 8, \"intermediate_size\": 25600, \"vocab_size\": 151936, "
        "\"max_position_embeddings\": 40960,"
        "\"sliding_window\": 4096, \"use_sliding_window\": false, \"max_window_layers\": 64}");
    assert_true(arch_params(a) == arch_params(models_arch(&models, "qwen3-32b")));
    assert_int_equal(a->window, 0);
    a = from_json(
        &models,
        "{\"model_type\": \"gpt_oss\", \"hidden_size\": 2880, \"num_hidden_layers\": 4, \"num_attention_heads\": 64, "
        "\"head_dim\": 64,"
        "\"num_key_value_heads\": 8, \"intermediate_size\": 2880, \"vocab_size\": 201088, \"max_position_embeddings\": "
        "131072,"
        "\"num_local_experts\": 32, \"num_experts_per_tok\": 4, \"sliding_window\": 128,"
        "\"layer_types\": [\"sliding_attention\", \"full_attention\", \"sliding_attention\", \"sliding_attention\"]}");
    assert_int_equal(a->window_layers, 3);
    assert_int_equal(a->moe_ffn, 2880);
    a = from_json(
        &models, "{\"model_type\": \"deepseek_v3\", \"hidden_size\": 7168, \"num_hidden_layers\": 61, "
                 "\"num_attention_heads\": 128,"
                 "\"num_key_value_heads\": 128, \"intermediate_size\": 18432, \"vocab_size\": 129280, "
                 "\"max_position_embeddings\": 163840,"
                 "\"n_routed_experts\": 256, \"n_shared_experts\": 1, \"num_experts_per_tok\": 8, "
                 "\"moe_intermediate_size\": 2048,"
                 "\"first_k_dense_replace\": 3, \"kv_lora_rank\": 512, \"q_lora_rank\": 1536, \"qk_rope_head_dim\": 64,"
                 "\"qk_nope_head_dim\": 128, \"v_head_dim\": 128}");
    assert_true(arch_params(a) == arch_params(models_arch(&models, "deepseek-v3")));
    assert_true(arch_kv_bytes_per_token(a, DTYPE_BF16, 1) == 70272.0);
    /* Experts as wide as intermediate_size; no key for heads' width; nested under text_config. */
    a = from_json(
        &models,
        "{\"model_type\": \"some_vision_model\", \"text_config\": {\"model_type\": \"mixtral\", \"hidden_size\": 4096,"
        "\"num_hidden_layers\": 32, \"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": "
        "14336,"
        "\"vocab_size\": 32000, \"max_position_embeddings\": 32768, \"num_local_experts\": 8, \"num_experts_per_tok\": "
        "2,"
        "\"sliding_window\": null}}");
    assert_true(arch_params(a) == arch_params(models_arch(&models, "mixtral-8x7b")));
    assert_int_equal(a->window, 0);
    arena_destroy(models.arena);
}

static void test_ops_add_up(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    for (int kind = 0; kind < MODELS_KINDS; kind++) {
        struct step_model *model = models_step(&models, models_kinds[kind].name, models_kinds[kind].tp,
                                               models_kinds[kind].weights, models_kinds[kind].kv);
        for (uint64_t i = 0; i < 300; i++) {
            struct step_shape shape = models_shape(i, models_arch(&models, models_kinds[kind].name)->window);
            struct step_cost cost = step_cost(model, &shape);
            struct step_op ops[STEP_OPS_MAX];
            int count = step_ops(model, &shape, ops);
            double seconds = 0, bytes = 0, flops = 0, all_bytes, all_flops;
            enum basis basis = BASIS_MEASURED;
            for (int k = 0; k < count; k++) {
                assert_true(ops[k].seconds >= 0 && ops[k].bytes >= 0 && ops[k].flops >= 0);
                assert_true(ops[k].low_s <= ops[k].seconds && ops[k].seconds <= ops[k].high_s);
                seconds += ops[k].seconds;
                bytes += ops[k].bytes;
                flops += ops[k].flops;
                if (ops[k].seconds > 0)
                    basis = basis_weaker(basis, ops[k].basis);
            }
            step_work(model, &shape, &all_bytes, &all_flops);
            double tp = (double)models_kinds[kind].tp;
            assert_true(fabs(seconds / cost.seconds - 1.0) < 1e-12);
            assert_true(fabs(tp * bytes / all_bytes - 1.0) < 1e-12 && fabs(tp * flops / all_flops - 1.0) < 1e-12);
            assert_true(cost.low_s < cost.seconds && cost.seconds < cost.high_s);
            assert_int_equal(basis, cost.basis);
        }
        step_model_destroy(model);
    }
    arena_destroy(models.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published_sizes), cmocka_unit_test(test_sharding),
                                       cmocka_unit_test(test_weights),         cmocka_unit_test(test_catalogue_names),
                                       cmocka_unit_test(test_hugging_face),    cmocka_unit_test(test_ops_add_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
