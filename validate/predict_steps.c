/* What the step model says of whole steps that a real decoder took: the check of the composition. */
#include <string.h>

#include "models/step.h"
#include "validate/measured.h"

static const char *const op_names[STEP_OPS] = {"step, decode", "step, prefill", "step, mixed", "step beside copies"};
enum { MODELS_MAX = 8, NAME_MAX_ = 64, STEP_TOKENS_MAX = 16384 };

struct stepping {
    const struct gpu *gpu;
    const struct kernel_profile *profile;
    struct step_finder finder;
    struct arena *arena;
    struct error *err;
    struct {
        char name[NAME_MAX_];
        struct step_model *model;
    } models[MODELS_MAX];
    size_t count;
};

/* The word behind `key=` of the row's params. */
static int read_word(const struct measured *row, const char *key, char word[NAME_MAX_], struct error *err) {
    size_t length = strlen(key);
    for (const char *at = row->params; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        if (strncmp(at, key, length) != 0 || at[length] != '=')
            continue;
        size_t size = strcspn(at + length + 1, " ");
        if (size > 0 && size < NAME_MAX_) {
            memcpy(word, at + length + 1, size);
            word[size] = 0;
            return 0;
        }
    }
    return error_at(err, row->at, "'%s' has no word %s=\n  hint: is the row of another version?", row->params, key);
}

static int model_of(struct stepping *s, const struct measured *row, const struct step_model **out) {
    char name[NAME_MAX_];
    struct arch *arch;
    if (read_word(row, "model", name, s->err) != 0)
        return -1;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->models[i].name, name) == 0) {
            *out = s->models[i].model;
            return 0;
        }
    if (s->count == MODELS_MAX)
        return error_at(s->err, row->at, "more than %d models\n  hint: split the directory", MODELS_MAX);
    if (s->finder.find(name, row->at, s->arena, &arch, s->err) != 0)
        return -1;
    struct step_model_options options = {.arch = arch,
                                         .gpu = s->gpu,
                                         .profile = s->profile,
                                         .tp = 1,
                                         .weight_dtype = DTYPE_BF16,
                                         .kv_dtype = DTYPE_BF16,
                                         .max_step_tokens = STEP_TOKENS_MAX,
                                         .page_tokens = 16};
    if (step_model_create(&options, &s->models[s->count].model, s->err) != 0)
        return -1;
    memcpy(s->models[s->count].name, name, NAME_MAX_);
    *out = s->models[s->count++].model;
    return 0;
}

static void add_decodes(struct step_shape *shape, double batch, double context) {
    shape->decode_seqs = (int64_t)batch;
    shape->decode_context = (int64_t)(batch * context);
    shape->decode_longest = (int64_t)context;
    shape->logits += (int64_t)batch;
}

static void add_chunk(struct step_shape *shape, double chunk, double prefix) {
    int64_t q = (int64_t)chunk, context = (int64_t)(chunk + prefix);
    shape->prefill_seqs = 1;
    shape->prefill_tokens = q;
    shape->prefill_context = context;
    shape->prefill_pairs = q * context - q * (q - 1) / 2;
    shape->prefill_squares = q * q;
    shape->logits += 1;
}

/* Which of the ops the row is of, and the shape of its step. Contexts are counted with the new token, as in struct
 * step_shape. */
static int shape_of(const struct measured *row, struct step_shape *shape, int *op, struct error *err) {
    double batch, context, chunk, prefix = 0;
    struct error none;
    *shape = (struct step_shape){0};
    if (measured_is(row, "kind=decode")) {
        if (measured_number(row, "batch", &batch, err) != 0 || measured_number(row, "context", &context, err) != 0)
            return -1;
        add_decodes(shape, batch, context);
        *op = 0;
    } else {
        if (measured_number(row, "chunk", &chunk, err) != 0)
            return -1;
        if (measured_number(row, "prefix", &prefix, &none) != 0)
            prefix = 0;
        *op = 1;
        if (measured_is(row, "kind=mixed")) {
            if (measured_number(row, "decodes", &batch, err) != 0 ||
                measured_number(row, "context", &context, err) != 0)
                return -1;
            add_decodes(shape, batch, context);
            *op = 2;
        }
        add_chunk(shape, chunk, prefix);
    }
    if (measured_is(row, "offload=d2h") || measured_is(row, "offload=h2d"))
        *op = 3;
    return 0;
}

static int add_step(struct stepping *s, const struct measured *row, struct points out[STEP_OPS]) {
    const struct step_model *model = NULL;
    struct step_shape shape;
    int op;
    if (shape_of(row, &shape, &op, s->err) != 0 || model_of(s, row, &model) != 0)
        return -1;
    struct step_cost cost = step_cost(model, &shape);
    out[op].items[out[op].count++] = (struct point){.row = row,
                                                    .predicted_s = cost.seconds,
                                                    .low_s = cost.low_s,
                                                    .high_s = cost.high_s,
                                                    .held_out = !measured_step_fitted(row)};
    return 0;
}

int predict_steps(const struct measured_rows *rows, const struct gpu *gpu, const struct kernel_profile *profile,
                  struct step_finder finder, struct arena *arena, struct points out[STEP_OPS], struct error *err) {
    struct stepping s = {.gpu = gpu, .profile = profile, .finder = finder, .arena = arena, .err = err};
    int failed = 0;
    for (int op = 0; op < STEP_OPS; op++)
        out[op] = (struct points){op_names[op], arena_alloc(arena, (rows->count + 1) * sizeof *out->items), 0};
    for (size_t i = 0; i < rows->count && !failed; i++)
        if (strcmp(rows->rows[i].group, "step") == 0 && strstr(rows->rows[i].params, "kind="))
            failed = add_step(&s, &rows->rows[i], out);
    for (size_t i = 0; i < s.count; i++)
        step_model_destroy(s.models[i].model);
    return failed;
}
