/* `tiersim list CATALOGUE`: what there is. */
#include <stdlib.h>
#include <string.h>

#include "policies/evict.h"
#include "sim/cli/args.h"
#include "sim/cli/catalogue.h"
#include "sim/cli/verbs.h"
#include "sim/config/read.h"
#include "sim/output/json.h"
#include "sim/output/table.h"

#define CATALOGUES "policies, models, hardware, nodes, engines, connectors, prices, workloads or scenarios"
enum { COLUMNS_MAX = 10, LIST_COLUMNS = 98 };
/* A listing as text: the first column names the entry; numbers are printed by whoever fills it. `columns` are the
 * table's headings, `keys` the JSON's. */
struct listing {
    const char *what; /* "models" */
    const char *columns[COLUMNS_MAX], *keys[COLUMNS_MAX];
    bool number[COLUMNS_MAX]; /* in JSON; to the right in the table */
    size_t column_count, count;
    const char *(*rows)[COLUMNS_MAX];
};

struct arguments {
    const char *what;
    const char *plugin;
    bool json;
};

enum { KEY_JSON = 256, KEY_PLUGIN };
static const struct argp_option choices[] = {{"json", KEY_JSON, NULL, 0, "one JSON document on standard output", 0},
                                             {"plugin", KEY_PLUGIN, "FILE", 0, "load policies built outside first", 0},
                                             {0}};

static error_t parse(int key, char *text, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_PLUGIN:
        a->plugin = text;
        return 0;
    case ARGP_KEY_ARG:
        if (a->what)
            argp_error(state, "one catalogue, not two");
        a->what = text;
        return 0;
    case ARGP_KEY_END:
        if (!a->what)
            argp_error(state, "which catalogue: %s?", CATALOGUES);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void add_column(struct listing *listing, const char *heading, const char *key, bool number) {
    MUST(listing->column_count < COLUMNS_MAX);
    listing->columns[listing->column_count] = heading;
    listing->keys[listing->column_count] = key;
    listing->number[listing->column_count++] = number;
}

static const char *lift_text(unsigned lifts) {
    return lifts & LIFT_LEAF ? "leaf" : lifts & LIFT_ORPHAN ? "orphan" : lifts & LIFT_CASCADE ? "cascade" : "none";
}

/* Names, or names with their defaults. */
static const char *option_names(const struct option *table, bool defaults, struct arena *arena) {
    const char *text = "";
    for (const struct option *option = table; option && option->name; option++) {
        bool shown = defaults && option->fallback && *option->fallback;
        text = arena_printf(arena, "%s%s%s%s%s", text, *text ? ", " : "", option->name, shown ? " = " : "",
                            shown ? option->fallback : "");
    }
    return text;
}

static int list_policies(struct arena *arena, struct listing *out, struct error *err) {
    (void)err;
    add_column(out, "policy", "name", false);
    add_column(out, "decides", "kind", false);
    add_column(out, "rule", "rule", false);
    add_column(out, "semantics", "semantics", false);
    add_column(out, "lift", "lift", false);
    add_column(out, "needs", "needs", false);
    add_column(out, "clairvoyant", "clairvoyant", false);
    add_column(out, "options", "options", false);
    add_column(out, "source", "source", false);
    add_column(out, "defaults", "defaults", false);
    size_t total = 0;
    for (int kind = 0; kind < POLICY_KINDS; kind++)
        for (size_t i = 0; policy_at((enum policy_kind)kind, i); i++)
            total++;
    out->rows = arena_alloc(arena, (total + 1) * sizeof *out->rows);
    for (int kind = 0; kind < POLICY_KINDS; kind++) {
        const struct policy *policy;
        for (size_t i = 0; (policy = policy_at((enum policy_kind)kind, i)) != NULL; i++) {
            char needs[256];
            const char **row = out->rows[out->count++];
            bool evicts = kind == POLICY_EVICT;
            unsigned lifts = evicts ? ((const struct evict_policy *)policy)->lifts : 0;
            row[0] = policy->name;
            row[1] = policy_kind_names[kind];
            row[2] = policy->rule;
            row[3] = !evicts ? "" : lifts ? "flat, prefix" : "flat";
            row[4] = evicts ? lift_text(lifts) : "";
            row[5] = arena_strdup(arena, policy_needs_text(policy->needs, needs, sizeof needs));
            unsigned future = NEEDS_CLAIRVOYANT | (evicts ? NEED_AGENT_GRAPH : 0u);
            row[6] = policy->needs & future ? "yes" : "";
            row[7] = option_names(policy->options, false, arena);
            row[9] = option_names(policy->options, true, arena);
            row[8] = policy->source;
        }
    }
    return 0;
}

static int list_models(struct arena *arena, struct listing *out, struct error *err) {
    static const char *const headings[] = {"model", "params B",  "active B",   "layers",     "hidden",
                                           "heads", "attention", "KV B/token", "max context"};
    static const char *const keys[] = {"name",  "params_billion", "params_active_billion", "layers",     "hidden",
                                       "heads", "attention",      "kv_bytes_per_token",    "max_context"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        add_column(out, headings[i], keys[i], i != 0 && i != 5 && i != 6);
    struct list names = catalogue_names("models", arena);
    out->rows = arena_alloc(arena, (names.count + 1) * sizeof *out->rows);
    for (size_t i = 0; i < names.count; i++) {
        struct arch *a;
        if (load_arch(((const char *const *)names.items)[i], (struct place){0}, arena, &a, err) != 0)
            return -1;
        const char **row = out->rows[out->count++];
        row[0] = ((const char *const *)names.items)[i];
        row[1] = arena_printf(arena, "%.2f", arch_params(a) / 1e9);
        row[2] = arena_printf(arena, "%.2f", arch_params_active(a) / 1e9);
        row[3] = arena_printf(arena, "%lld", (long long)a->layers);
        row[4] = arena_printf(arena, "%lld", (long long)a->hidden);
        row[5] = arena_printf(arena, "%lld/%lld", (long long)a->q_heads, (long long)a->kv_heads);
        const char *kind = a->kv_lora > 0 ? "MLA" : a->kv_heads == a->q_heads ? "MHA" : "GQA";
        row[6] =
            arena_printf(arena, "%s%s%s", kind, a->window > 0 ? ", window" : "", a->index_topk > 0 ? ", sparse" : "");
        row[7] = arena_printf(arena, "%.0f", arch_kv_bytes_per_token(a, DTYPE_BF16, 1));
        row[8] = arena_printf(arena, "%lld", (long long)a->max_context);
    }
    return 0;
}

static int list_hardware(struct arena *arena, struct listing *out, struct error *err) {
    static const char *const headings[] = {"GPU",       "HBM GiB",   "HBM TB/s", "BF16 TF", "FP8 TF",
                                           "peer GB/s", "host GB/s", "TDP W",    "$/h",     "profile"};
    static const char *const keys[] = {"name",          "hbm_gib",       "hbm_tb_per_s", "bf16_tflops",  "fp8_tflops",
                                       "peer_gb_per_s", "host_gb_per_s", "tdp_w",        "usd_per_hour", "profile"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        add_column(out, headings[i], keys[i], i != 0 && i != 9);
    struct list names = catalogue_names("hardware", arena);
    out->rows = arena_alloc(arena, (names.count + 1) * sizeof *out->rows);
    for (size_t i = 0; i < names.count; i++) {
        struct gpu *g;
        if (load_gpu(((const char *const *)names.items)[i], (struct place){0}, arena, &g, err) != 0)
            return -1;
        const char **row = out->rows[out->count++];
        row[0] = ((const char *const *)names.items)[i];
        row[1] = arena_printf(arena, "%.1f", g->hbm_capacity_bytes.value / 1073741824.0);
        row[2] = arena_printf(arena, "%.3g", g->hbm_bandwidth_bytes_per_s.value / 1e12);
        row[3] = arena_printf(arena, "%.0f", g->bf16_flops.value / 1e12);
        row[4] = arena_printf(arena, "%.0f", g->fp8_flops.value / 1e12);
        row[5] = arena_printf(arena, "%.0f", g->nvlink_bytes_per_s.value / 1e9);
        row[6] = arena_printf(arena, "%.0f", g->pcie_bytes_per_s.value / 1e9);
        row[7] = arena_printf(arena, "%.0f", g->tdp_w.value);
        row[8] = arena_printf(arena, "%.2f", g->price_usd_per_hour.value);
        row[9] = g->profile ? g->profile : "h100-sxm, scaled";
    }
    return 0;
}

/* The text of the first of these keys that an entry has. */
static const char *first_text(const struct node *node, const char *const *keys) {
    for (; node->kind == NODE_MAPPING && *keys; keys++) {
        const struct node *text = node_get(node, *keys);
        if (text && text->kind == NODE_SCALAR)
            return text->text;
    }
    return "";
}

/* A folder of configs/: names, and what each says of itself. */
static int list_folder(const char *folder, struct arena *arena, struct listing *out, struct error *err) {
    static const char *const keys[] = {"description", "title", "date", NULL};
    add_column(out, "name", "name", false);
    add_column(out, "description", "description", false);
    struct list names = catalogue_names(folder, arena);
    out->rows = arena_alloc(arena, (names.count + 1) * sizeof *out->rows);
    for (size_t i = 0; i < names.count; i++) {
        const char *name = ((const char *const *)names.items)[i], *path;
        struct node *node;
        if (catalogue_find(folder, name, (struct place){0}, arena, &path, err) != 0 ||
            node_read_file(path, arena, &node, err) != 0)
            return -1;
        const char **row = out->rows[out->count++];
        row[0] = name;
        row[1] = first_text(node, keys);
    }
    return 0;
}

static void print_json(const struct listing *listing) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_array(&json, listing->what);
    for (size_t r = 0; r < listing->count; r++) {
        json_object(&json, NULL);
        for (size_t c = 0; c < listing->column_count; c++) {
            const char *text = listing->rows[r][c] ? listing->rows[r][c] : "";
            if (listing->number[c])
                json_number(&json, listing->keys[c], strtod(text, NULL));
            else
                json_string(&json, listing->keys[c], text);
        }
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void print_table(const struct listing *listing) {
    char headings[COLUMNS_MAX][64];
    const char *columns[COLUMNS_MAX + 1] = {0};
    for (size_t c = 0; c < listing->column_count; c++) {
        snprintf(headings[c], sizeof headings[c], "%s%s", listing->number[c] ? "" : "<", listing->columns[c]);
        columns[c] = headings[c];
    }
    struct table *table = table_create(columns);
    for (size_t r = 0; r < listing->count; r++) {
        table_row(table);
        for (size_t c = 0; c < listing->column_count; c++)
            table_cell(table, "%s", listing->rows[r][c] ? listing->rows[r][c] : "");
    }
    table_print(table, stdout);
}

/* Rules are sentences: policies are told kind by kind. */
static void print_policies(const struct listing *listing, struct arena *arena) {
    const char *kind = "";
    for (size_t r = 0; r < listing->count; r++) {
        const char *const *row = listing->rows[r];
        const char *facts = row[4][0]   ? arena_printf(arena, "%s (%s); ", row[3], row[4])
                            : row[3][0] ? arena_printf(arena, "%s; ", row[3])
                                        : "";
        if (row[5][0])
            facts = arena_printf(arena, "%sneeds %s; ", facts, row[5]);
        if (row[9][0])
            facts = arena_printf(arena, "%soptions: %s; ", facts, row[9]);
        if (strcmp(kind, row[1]) != 0)
            printf("%s%s\n", r ? "\n" : "", row[1]);
        kind = row[1];
        print_wrapped(stdout,
                      arena_printf(arena, "  %s%s: %s. [%s%s]\n", row[0], row[6][0] ? " *" : "", row[2], facts, row[8]),
                      LIST_COLUMNS, 6);
    }
    puts("\n* sees the trace's future, which no fleet does");
}

static void print_names(const struct listing *listing, struct arena *arena) {
    for (size_t r = 0; r < listing->count; r++) {
        const char *const *row = listing->rows[r];
        print_wrapped(stdout, arena_printf(arena, "%s%s%s\n", row[0], row[1][0] ? ": " : "", row[1]), LIST_COLUMNS, 4);
    }
}

static int list(const struct arguments *a, struct arena *arena, struct error *err) {
    static const struct {
        const char *what;
        int (*fill)(struct arena *arena, struct listing *out, struct error *err); /* NULL: a folder by its names */
    } catalogues[] = {{"policies", list_policies},
                      {"models", list_models},
                      {"hardware", list_hardware},
                      {"nodes", NULL},
                      {"engines", NULL},
                      {"connectors", NULL},
                      {"prices", NULL},
                      {"workloads", NULL},
                      {"scenarios", NULL}};
    enum { COUNT = sizeof catalogues / sizeof *catalogues };
    const char *names[COUNT];
    if (a->plugin && policy_load_plugin(a->plugin, err) != 0)
        return -1;
    for (size_t i = 0; i < COUNT; i++) {
        names[i] = catalogues[i].what;
        if (strcmp(names[i], a->what) != 0)
            continue;
        struct listing listing = {.what = a->what};
        if ((catalogues[i].fill ? catalogues[i].fill(arena, &listing, err)
                                : list_folder(names[i], arena, &listing, err)) != 0)
            return -1;
        if (a->json)
            print_json(&listing);
        else if (catalogues[i].fill == list_policies)
            print_policies(&listing, arena);
        else if (!catalogues[i].fill)
            print_names(&listing, arena);
        else
            print_table(&listing);
        return 0;
    }
    const char *nearest = error_nearest(a->what, names, COUNT);
    return error_set(err, "no catalogue '%s'\n  hint: %s%s%s", a->what, nearest ? "did you mean '" : CATALOGUES,
                     nearest ? nearest : "", nearest ? "'?" : "");
}

int verb_list(int argc, char **argv) {
    static const struct argp argp = {choices, parse, "CATALOGUE", "Lists what a catalogue holds: " CATALOGUES ".",
                                     NULL,    NULL,  NULL};
    struct arguments arguments = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int status = list(&arguments, arena, &err) == 0 ? EXIT_FINE : (int)err.exit_code;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
