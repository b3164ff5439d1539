/* Are models that cannot run refused with what is wrong and what to do? */
#include <unistd.h>

#include "tests/models.h"

static void refused(struct step_model_options options, const char *expected) {
    struct step_model *model;
    struct error err = {0};
    assert_int_equal(step_model_create(&options, &model, &err), -1);
    assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
    if (!strstr(err.text, expected))
        fail_msg("'%s' is not in: %s", expected, err.text);
    assert_non_null(strstr(err.text, "hint:"));
}

static void test_step_models(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    struct step_model_options options = {.arch = models_arch(&models, "llama-3.1-70b"),
                                         .gpu = models.gpu,
                                         .profile = models.profile,
                                         .tp = 1,
                                         .max_step_tokens = 2048,
                                         .page_tokens = 16};
    refused(options, "use tp 2 or more");
    options.tp = 3;
    refused(options, "do not divide over tp 3");
    options.tp = 4;
    options.kv_dtype = DTYPE_INT4;
    refused(options, "4-bit KV");
    options.kv_dtype = DTYPE_BF16;
    options.max_step_tokens = 0;
    refused(options, "max_step_tokens");
    options.max_step_tokens = 2048;
    options.tp = 16;
    refused(options, "no all-reduce constants for 16");
    struct arch odd = *options.arch;
    odd.kv_heads = 12;
    options.arch = &odd;
    refused(options, "do not divide over 12 KV heads");
    arena_destroy(models.arena);
}

static void refused_text(const struct models *models, const char *suffix, const char *text, const char *expected) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/tiersim-model-XXXXXX%s", suffix);
    int file = mkstemps(path, (int)strlen(suffix));
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
    struct arch *arch;
    struct error err = {0};
    int status = load_arch(path, (struct place){0}, models->arena, &arch, &err);
    unlink(path);
    assert_int_equal(status, -1);
    if (!strstr(err.text, expected))
        fail_msg("'%s' is not in: %s", expected, err.text);
    assert_non_null(strstr(err.text, "hint:"));
}

static void test_model_files(void **state) {
    (void)state;
    struct models models = models_open("h100-sxm");
    refused_text(&models, ".json", "{\"model_type\": \"llamma\", \"hidden_size\": 4096}", "did you mean 'llama'");
    refused_text(&models, ".json", "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 4096}", "model_type");
    refused_text(&models, ".json", "{\"model_type\": \"llama\", \"hidden_size\": 4096}", "num_hidden_layers");
    refused_text(
        &models, ".json",
        "{\"model_type\": \"qwen3_moe\", \"decoder_sparse_step\": 2, \"hidden_size\": 8, \"num_hidden_layers\": 2,"
        "\"num_attention_heads\": 2, \"vocab_size\": 8, \"max_position_embeddings\": 8}",
        "decoder_sparse_step");
    refused_text(&models, ".yaml",
                 "name: x\nsource: y\nlayers: 2\nhidden: 8\nq_heads: 3\nkv_heads: 2\nhead_dim: 4\nvocab: "
                 "8\nmax_context: 8\nffn: 4\n",
                 "multiple of kv_heads");
    refused_text(&models, ".yaml",
                 "name: x\nsource: y\nlayers: 2\nhidden: 8\nq_heads: 2\nkv_heads: 2\nhead_dim: 4\nvocab: "
                 "8\nmax_context: 8\nffn: 4\nwindow: 4\n",
                 "window_layers");
    arena_destroy(models.arena);
}

static void test_unknown_names(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    struct arch *arch;
    struct gpu *gpu;
    struct error err = {0};
    assert_int_equal(load_arch("llama-3.1-8", (struct place){0}, arena, &arch, &err), -1);
    assert_non_null(strstr(err.text, "llama-3.1-8b"));
    assert_int_equal(load_gpu("h100sxm", (struct place){0}, arena, &gpu, &err), -1);
    assert_non_null(strstr(err.text, "h100-sxm"));
    arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_step_models), cmocka_unit_test(test_model_files),
                                       cmocka_unit_test(test_unknown_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
