/* `tiersim step`: what one step costs, op by op. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/draw.h"
#include "sim/cli/args.h"
#include "sim/cli/catalogue.h"
#include "sim/cli/verbs.h"
#include "sim/output/json.h"
#include "sim/output/table.h"

struct arguments {
    const char *model, *gpu, *engine, *profile;
    int64_t tp, batch, context, query, page;
    int weight_dtype, kv_dtype;
    bool json;
};

enum { STEP_COLUMNS = 98, KEY_TP = 256, KEY_KV, KEY_WEIGHT, KEY_JSON, KEY_ENGINE, KEY_PAGE, KEY_PROFILE };
static const struct argp_option choices[] = {
    {"model", 'm', "NAME", 0, "a model of `tiersim list models`, or a path to a model file or config.json", 0},
    {"gpu", 'g', "NAME", 0, "a GPU of `tiersim list hardware`, or a path", 0},
    {"tp", KEY_TP, "N", 0, "tensor-parallel GPUs (default 1)", 0},
    {"batch", 'b', "B", 0, "sequences in the step", 0},
    {"context", 'c', "C", 0, "tokens that each sequence's last query token attends to, the new ones included", 0},
    {"query", 'q', "Q", 0, "new tokens a sequence: 1 (default) is decode, more is prefill", 0},
    {"kv-dtype", KEY_KV, "bf16|fp8", 0, "of the KV cache (default bf16)", 0},
    {"weight-dtype", KEY_WEIGHT, "bf16|fp8|int4", 0, "of the weights (default bf16)", 0},
    {"engine", KEY_ENGINE, "NAME", 0, "add the host work of configs/engines/NAME, and pad decode to its graphs", 0},
    {"page", KEY_PAGE, "N", 0, "tokens a KV page, as the kernel sees it (default 16)", 0},
    {"profile", KEY_PROFILE, "NAME", 0, "kernel constants other than the GPU's own", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on standard output", 0},
    {0}};

static int64_t whole(const char *option, const char *text, int64_t least, struct argp_state *state) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == 0 && value >= least && value <= (1LL << 40))
        return value;
    argp_error(state, "--%s '%s' is not a whole number of at least %lld", option, text, (long long)least);
    return 0;
}

static int dtype_of(const char *option, const char *text, struct argp_state *state) {
    for (int i = 0; dtype_names[i]; i++)
        if (strcmp(dtype_names[i], text) == 0)
            return i;
    argp_error(state, "--%s '%s' is not a dtype; hint: bf16, fp8 or int4", option, text);
    return 0;
}

static error_t parse(int key, char *text, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'm':
        a->model = text;
        return 0;
    case 'g':
        a->gpu = text;
        return 0;
    case 'b':
        a->batch = whole("batch", text, 1, state);
        return 0;
    case 'c':
        a->context = whole("context", text, 1, state);
        return 0;
    case 'q':
        a->query = whole("query", text, 1, state);
        return 0;
    case KEY_TP:
        a->tp = whole("tp", text, 1, state);
        return 0;
    case KEY_PAGE:
        a->page = whole("page", text, 1, state);
        return 0;
    case KEY_KV:
        a->kv_dtype = dtype_of("kv-dtype", text, state);
        return 0;
    case KEY_WEIGHT:
        a->weight_dtype = dtype_of("weight-dtype", text, state);
        return 0;
    case KEY_ENGINE:
        a->engine = text;
        return 0;
    case KEY_PROFILE:
        a->profile = text;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' belongs to no option", text);
        return 0;
    case ARGP_KEY_END:
        if (!a->model || !a->gpu || !a->batch || !a->context)
            argp_error(state, "--model, --gpu, --batch and --context are needed");
        if (a->query > a->context)
            argp_error(state, "--query %lld exceeds --context %lld, which counts it", (long long)a->query,
                       (long long)a->context);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static struct step_shape shape_of(const struct arguments *a, const struct arch *arch) {
    int64_t b = a->batch, c = a->context, q = a->query;
    if (q > 1)
        return (struct step_shape){.prefill_seqs = b,
                                   .prefill_tokens = b * q,
                                   .prefill_context = b * c,
                                   .prefill_pairs = b * (q * c - q * (q - 1) / 2),
                                   .prefill_squares = b * q * q,
                                   .logits = b};
    struct step_shape shape = {.decode_seqs = b, .decode_context = b * c, .decode_longest = c, .logits = b};
    if (arch->window > 0)
        shape.decode_window = b * (c < arch->window ? c : arch->window); /* one step: nothing grows */
    return shape;
}

struct loaded {
    struct arch *arch;
    struct gpu *gpu;
    const struct kernel_profile *profile;
    struct step_model *model;
    struct step_shape shape;
};

static int load(const struct arguments *a, struct arena *arena, struct loaded *out, struct error *err) {
    struct place nowhere = {0};
    struct kernel_profile *profile;
    struct engine_profile *engine = NULL;
    if (load_arch(a->model, nowhere, arena, &out->arch, err) != 0 ||
        load_gpu(a->gpu, nowhere, arena, &out->gpu, err) != 0)
        return -1;
    int status = a->profile ? load_profile_named(a->profile, nowhere, arena, &profile, err)
                            : load_kernel_profile(out->gpu, nowhere, arena, &profile, err);
    if (status != 0 || (a->engine && load_engine_profile(a->engine, nowhere, arena, &engine, err) != 0))
        return -1;
    out->profile = profile;
    int64_t tokens = a->batch * a->query;
    struct step_model_options options = {.arch = out->arch,
                                         .gpu = out->gpu,
                                         .profile = profile,
                                         .engine = engine,
                                         .tp = a->tp,
                                         .weight_dtype = (enum dtype)a->weight_dtype,
                                         .kv_dtype = (enum dtype)a->kv_dtype,
                                         .max_step_tokens = tokens < 256 ? tokens : 256,
                                         .page_tokens = a->page};
    if (step_model_create(&options, &out->model, err) != 0)
        return -1;
    out->shape = shape_of(a, out->arch);
    return 0;
}

/* What the figures do not say by themselves; for people, on stderr. */
static void warn(const struct arguments *a, const struct loaded *l) {
    if (a->context > l->arch->max_context)
        fprintf(stderr, "tiersim: note: context %lld exceeds the %lld that %s was made for\n", (long long)a->context,
                (long long)l->arch->max_context, l->arch->name);
    double kv =
        (double)a->batch * (double)a->context * arch_kv_bytes_per_token_all(l->arch, (enum dtype)a->kv_dtype, a->tp);
    double room = step_model_kv_capacity_bytes(l->model, 1.0, 0.0);
    if (kv > room)
        fprintf(stderr,
                "tiersim: note: the KV of this step takes %.1f GiB of the %.1f GiB that weights leave: it could not "
                "run at once\n",
                kv / 1073741824.0, room / 1073741824.0);
}

static void print_json(const struct step_cost *cost, const struct step_op *ops, int count) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_number(&json, "seconds", cost->seconds);
    json_number(&json, "low_s", cost->low_s);
    json_number(&json, "high_s", cost->high_s);
    json_string(&json, "basis", basis_name(cost->basis));
    json_array(&json, "ops");
    for (int i = 0; i < count; i++) {
        json_object(&json, NULL);
        json_string(&json, "name", ops[i].name);
        json_number(&json, "seconds", ops[i].seconds);
        json_number(&json, "bytes", ops[i].bytes);
        json_number(&json, "flops", ops[i].flops);
        json_string(&json, "bound", step_bound_names[ops[i].bound]);
        json_string(&json, "kernel", ops[i].kernel);
        json_number(&json, "peak_share", ops[i].peak_share);
        json_number(&json, "low_s", ops[i].low_s);
        json_number(&json, "high_s", ops[i].high_s);
        json_string(&json, "basis", basis_name(ops[i].basis));
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

/* "1.05 GB", "39.6 GFLOP": three digits with a prefix. */
static void scaled(struct table *table, double value, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
    size_t i = 0;
    for (; value >= 999.5 && i < 5; i++)
        value /= 1e3;
    if (value > 0)
        table_cell(table, "%.3g %s%s", value, prefixes[i], unit);
    else
        table_cell(table, "%s", "");
}

static void print_table(const struct arguments *a, const struct loaded *l, const struct step_cost *cost,
                        const struct step_op *ops, int count) {
    printf("%s on %lld x %s: %lld sequence%s, context %lld, %s\n\n", l->arch->name, (long long)a->tp, l->gpu->name,
           (long long)a->batch, a->batch == 1 ? "" : "s", (long long)a->context, a->query == 1 ? "decode" : "prefill");
    const char *const columns[] = {"<op",   "<kernel",   "ms",      "of step", "bytes",
                                   "FLOPs", "<bound by", "of peak", "<basis",  NULL};
    struct table *table = table_create(columns);
    double bytes = 0, flops = 0;
    for (int i = 0; i < count; i++) {
        if (ops[i].seconds == 0)
            continue;
        table_row(table);
        table_cell(table, "%s", ops[i].name);
        table_cell(table, "%s", ops[i].kernel);
        table_cell(table, "%.3f", 1e3 * ops[i].seconds);
        table_cell(table, "%.1f %%", 100.0 * ops[i].seconds / cost->seconds);
        scaled(table, ops[i].bytes, "B");
        scaled(table, ops[i].flops, "FLOP");
        table_cell(table, "%s", step_bound_names[ops[i].bound]);
        if (ops[i].peak_share > 0)
            table_cell(table, "%.0f %%", 100.0 * ops[i].peak_share);
        else
            table_cell(table, "%s", "");
        table_cell(table, "%s", basis_name(ops[i].basis));
        bytes += ops[i].bytes;
        flops += ops[i].flops;
    }
    table_row(table);
    table_cell(table, "step");
    table_cell(table, "%s", "");
    table_cell(table, "%.3f", 1e3 * cost->seconds);
    table_cell(table, "100 %%");
    scaled(table, bytes, "B");
    scaled(table, flops, "FLOP");
    table_cell(table, "%s", "");
    table_cell(table, "%s", "");
    table_cell(table, "%s", basis_name(cost->basis));
    table_print(table, stdout);
}

/* What would shorten the op that takes most. */
static const char *remedy(const struct arguments *a, const struct step_op *op) {
    bool weights = strcmp(op->name, "elementwise") != 0 && strncmp(op->name, "attention", 9) != 0;
    if (op->bound == BOUND_LINK)
        return "a smaller --tp or a faster link would shorten it";
    if (op->bound == BOUND_LATENCY)
        return "a larger --batch costs little more";
    if (op->bound == BOUND_COMPUTE)
        return weights && a->weight_dtype == DTYPE_BF16 ? "--weight-dtype fp8 or more GPUs (--tp) would shorten it"
                                                        : "more GPUs (--tp) would shorten it";
    if (strcmp(op->name, "attention_decode") == 0)
        return a->kv_dtype == DTYPE_BF16 ? "--kv-dtype fp8 or a smaller --batch would shorten it"
                                         : "a smaller --batch would shorten it";
    if (!weights)
        return "fewer tokens a step (--batch, --query) would shorten it";
    return a->weight_dtype == DTYPE_BF16   ? "--weight-dtype fp8 would shorten it; a larger --batch costs little more"
           : a->weight_dtype == DTYPE_INT4 ? "a larger --batch costs little more"
                                           : "--weight-dtype int4 would shorten it; a larger --batch costs little more";
}

/* How sure that is, where the time goes, and what to ask next. */
static void print_hint(const struct arguments *a, const struct loaded *l, const struct step_cost *cost,
                       const struct step_op *ops, int count) {
    int most = 0;
    for (int i = 1; i < count; i++)
        if (ops[i].seconds > ops[most].seconds)
            most = i;
    printf("\n90 %% interval %.3f to %.3f ms; %.0f tokens/s. Host work is %s.\n", 1e3 * cost->low_s, 1e3 * cost->high_s,
           (double)(a->batch * a->query) / cost->seconds,
           a->engine ? "the engine's" : "left out (--engine vllm adds it)");
    char hint[256];
    snprintf(hint, sizeof hint, "hint: %s takes %.0f %%, bound by %s; %s\n", ops[most].name,
             100.0 * ops[most].seconds / cost->seconds, step_bound_names[ops[most].bound], remedy(a, &ops[most]));
    print_wrapped(stdout, hint, STEP_COLUMNS, 6);
    if (*hardware_spread_text(l->profile, l->gpu, hint, sizeof hint))
        print_wrapped(stdout, hint, STEP_COLUMNS, 6);
}

static int step(const struct arguments *a, struct arena *arena, struct error *err) {
    struct loaded loaded = {0};
    if (load(a, arena, &loaded, err) != 0)
        return -1;
    warn(a, &loaded);
    struct step_cost cost = step_cost(loaded.model, &loaded.shape);
    struct step_op ops[STEP_OPS_MAX];
    int count = step_ops(loaded.model, &loaded.shape, ops);
    if (a->json) {
        print_json(&cost, ops, count);
    } else {
        print_table(a, &loaded, &cost, ops, count);
        print_hint(a, &loaded, &cost, ops, count);
    }
    step_model_destroy(loaded.model);
    return 0;
}

int verb_step(int argc, char **argv) {
    static const struct argp argp = {choices, parse, NULL, "Prices one step of a model on a GPU, op by op.",
                                     NULL,    NULL,  NULL};
    struct arguments arguments = {.tp = 1, .query = 1, .page = 16};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int status = step(&arguments, arena, &err) == 0 ? EXIT_FINE : (int)err.exit_code;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
