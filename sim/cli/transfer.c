/* `tiersim transfer`: what one copy between two tiers costs, link by link. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli/args.h"
#include "sim/cli/catalogue.h"
#include "sim/cli/transfer_shared.h"
#include "sim/cli/verbs.h"
#include "sim/config/read.h"
#include "sim/memory/lone_copy.h"
#include "sim/output/json.h"
#include "sim/output/table.h"

struct arguments {
    const char *from, *to, *gpu, *node, *path;
    uint64_t bytes;
    uint32_t blocks, ctas, gpus;
    int kind;
    bool json;
};

enum {
    TRANSFER_COLUMNS = 98,
    TRANSFER_GPUS_MAX = 1024, /* of any node: its option table's */
    KEY_FROM = 256,
    KEY_TO,
    KEY_BYTES,
    KEY_BLOCKS,
    KEY_API,
    KEY_NODE,
    KEY_PATH,
    KEY_CTAS,
    KEY_GPUS,
    KEY_JSON
};
static const struct argp_option choices[] = {
    {"from", KEY_FROM, "TIER", 0, "tier that is read: hbm, dram, ssd, flash, object, peer or one of the node's own", 0},
    {"to", KEY_TO, "TIER", 0, "tier that is written", 0},
    {"gpu", 'g', "NAME", 0, "a GPU of `tiersim list hardware`", 0},
    {"bytes", KEY_BYTES, "N", 0, "how much, as a number or like 64MiB", 0},
    {"blocks", KEY_BLOCKS, "K", 0, "in so many equal blocks, scattered on both sides (default 1)", 0},
    {"api", KEY_API, "loop|batch|kernel", 0, "a call a block, one call for all (default), or a copying kernel", 0},
    {"node", KEY_NODE, "NAME", 0, "a node of configs/nodes, or a path (default: the first with that GPU)", 0},
    {"path", KEY_PATH, "VARIANT", 0, "one of several paths that the node has between the two, such as direct", 0},
    {"ctas", KEY_CTAS, "N", 0, "thread blocks of the copying kernel (default 32)", 0},
    {"gpus", KEY_GPUS, "N", 0, "so many GPUs of the node at once, each with this copy (default 1)", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON document on standard output", 0},
    {0}};

static uint64_t whole(const char *option, const char *text, uint64_t most, struct argp_state *state) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == 0 && text[0] != '-' && value >= 1 && value <= most)
        return value;
    argp_error(state, "--%s '%s' is not a whole number from 1 to %llu%s", option, text, (unsigned long long)most,
               strcmp(option, "gpus") == 0 ? "\n  hint: --gpus 1 is one GPU alone" : "");
    return 1;
}

static uint64_t parse_bytes(const char *text, struct argp_state *state) {
    static const double most = (double)(UINT64_C(1) << 60);
    struct error err;
    double value;
    if (text[strspn(text, "0123456789")] == 0)
        return whole("bytes", text, UINT64_C(1) << 60, state);
    if (unit_parse(text, UNIT_BYTES, &value, &err) != 0)
        argp_error(state, "--bytes: %s", err.text);
    else if (!(value >= 1 && value <= most))
        argp_error(state, "--bytes '%s' is not from 1 byte to 1 EiB", text);
    else
        return (uint64_t)value;
    return 1;
}

static int parse_api(const char *text, struct argp_state *state) {
    for (int i = 0; copy_kind_names[i]; i++)
        if (strcmp(copy_kind_names[i], text) == 0)
            return i;
    argp_error(state, "--api '%s' is none of loop, batch, kernel", text);
    return COPY_BATCH;
}

static error_t parse(int key, char *text, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case KEY_FROM:
        a->from = text;
        return 0;
    case KEY_TO:
        a->to = text;
        return 0;
    case 'g':
        a->gpu = text;
        return 0;
    case KEY_NODE:
        a->node = text;
        return 0;
    case KEY_PATH:
        a->path = text;
        return 0;
    case KEY_BYTES:
        a->bytes = parse_bytes(text, state);
        return 0;
    case KEY_BLOCKS:
        a->blocks = (uint32_t)whole("blocks", text, 100000000, state);
        return 0;
    case KEY_CTAS:
        a->ctas = (uint32_t)whole("ctas", text, 100000, state);
        return 0;
    case KEY_API:
        a->kind = parse_api(text, state);
        return 0;
    case KEY_GPUS:
        a->gpus = (uint32_t)whole("gpus", text, TRANSFER_GPUS_MAX, state);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' belongs to no option", text);
        return 0;
    case ARGP_KEY_END:
        if (!a->from || !a->to || !(a->gpu || a->node) || !a->bytes)
            argp_error(state, "--from, --to, --gpu and --bytes are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int load_node(const char *name, struct arena *arena, struct node_options *out, struct error *err) {
    struct place nowhere = {0};
    struct node *node;
    const char *path;
    if (catalogue_find("nodes", name, nowhere, arena, &path, err) != 0 || node_read_file(path, arena, &node, err) != 0)
        return -1;
    return options_read(node, node_options_table, out, arena, err);
}

/* The node that was named, or the first in the catalogue with that GPU, and with as many as copy at once. */
static int find_node(const struct arguments *a, struct arena *arena, struct node_options *out, struct error *err) {
    struct gpu *gpu = NULL;
    if (a->gpu && load_gpu(a->gpu, (struct place){0}, arena, &gpu, err) != 0)
        return -1;
    if (a->node) {
        if (load_node(a->node, arena, out, err) != 0)
            return -1;
        if (gpu && strcmp(out->gpu, gpu->name) != 0)
            return error_set(err, "node '%s' has GPUs %s, not %s\n  hint: leave one of --node and --gpu out", a->node,
                             out->gpu, gpu->name);
        return 0;
    }
    MUST(gpu != NULL); /* one of the two was given */
    struct list names = catalogue_names("nodes", arena);
    for (size_t i = 0; i < names.count; i++) {
        if (load_node(((const char *const *)names.items)[i], arena, out, err) != 0)
            return -1;
        if (strcmp(out->gpu, gpu->name) == 0 && (int64_t)a->gpus <= out->gpus)
            return 0;
    }
    if (a->gpus > 1)
        return error_set(err,
                         "no node of configs/nodes has %u GPUs '%s'\n  hint: fewer --gpus, or name a node with --node",
                         a->gpus, gpu->name);
    return error_set(err, "no node of configs/nodes has GPU '%s'\n  hint: add one there, or name a node with --node",
                     gpu->name);
}

static const char *way_name(const struct lone_hop *hop) {
    return hop->direction == NETWORK_READ ? "read" : "write";
}

static void print_json(const struct arguments *a, const struct lone_copy *copy, const struct lone_result *result) {
    const struct node_options *node = copy->node;
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_number(&json, "seconds", result->seconds);
    json_number(&json, "bandwidth_bytes_per_s", (double)a->bytes / result->seconds);
    json_number(&json, "peak_bytes_per_s", result->peak_bytes_per_s);
    json_string(&json, "basis", basis_name(transfer_basis(copy, result)));
    json_string(&json, "node", node->name);
    json_string(&json, "api", copy_kind_names[a->kind]);
    json_string(&json, "bound", result->latency_bound ? "latency" : result->hops[result->bound].link->name);
    json_number(&json, "host_s", result->host_s);
    json_array(&json, "links");
    for (uint32_t i = 0; i < result->hop_count; i++) {
        const struct lone_hop *hop = &result->hops[i];
        json_object(&json, NULL);
        json_string(&json, "name", hop->link->name);
        json_string(&json, "direction", way_name(hop));
        json_number(&json, "bytes", (double)hop->bytes);
        json_number(&json, "latency_s", hop->latency_s);
        json_number(&json, "descriptors_s", hop->descriptors_s);
        json_number(&json, "seconds", hop->service_s);
        json_number(&json, "bandwidth_bytes_per_s", hop->bandwidth_bytes_per_s);
        json_number(&json, "peak_bytes_per_s", hop->peak_bytes_per_s);
        json_number(&json, "peak_share", (double)hop->bytes / result->seconds / hop->peak_bytes_per_s);
        json_string(&json, "basis", basis_name((enum basis)hop->link->link.basis));
        json_string(&json, "source", hop->link->link.source);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

/* In the handiest unit; nothing where it is nothing. */
static void seconds(struct table *table, double value) {
    char text[32];
    table_cell(table, "%s", value > 0 ? unit_format(text, sizeof text, value, UNIT_SECONDS, 4) : "");
}

static void print_links(const struct lone_result *result) {
    const char *const columns[] = {"<link", "<",       "latency", "descriptors", "alone", "GB/s",
                                   "peak",  "of peak", "<",       "<basis",      NULL};
    struct table *table = table_create(columns);
    for (uint32_t i = 0; i < result->hop_count; i++) {
        const struct lone_hop *hop = &result->hops[i];
        table_row(table);
        table_cell(table, "%s", hop->link->name);
        table_cell(table, "%s", way_name(hop));
        seconds(table, hop->latency_s);
        seconds(table, hop->descriptors_s > 1e-9 ? hop->descriptors_s : 0);
        seconds(table, hop->service_s);
        table_cell(table, "%.1f", hop->bandwidth_bytes_per_s / 1e9);
        table_cell(table, "%.1f", hop->peak_bytes_per_s / 1e9);
        table_cell(table, "%.0f %%", 100.0 * (double)hop->bytes / result->seconds / hop->peak_bytes_per_s);
        table_cell(table, "%s",
                   !result->latency_bound && i == result->bound ? "<- bounds"
                   : hop->crossings > 1                         ? "crossed twice"
                                                                : "");
        table_cell(table, "%s", basis_name((enum basis)hop->link->link.basis));
    }
    table_print(table, stdout);
}

static void print_table(const struct arguments *a, const struct lone_copy *copy, const struct lone_result *result) {
    const struct node_options *node = copy->node;
    char size[32], block[32], time[32], host[32], rate[32], peak[32];
    unit_format(size, sizeof size, (double)a->bytes, UNIT_BYTES, 4);
    unit_format(block, sizeof block, (double)a->bytes / a->blocks, UNIT_BYTES, 4);
    printf("%s from %s to %s on %s (%s), %u block%s of %s, %s\n\n", size, a->from, a->to, node->name, node->gpu,
           a->blocks, a->blocks == 1 ? "" : "s", block,
           a->kind == COPY_LOOP    ? "a call each"
           : a->kind == COPY_BATCH ? "one call"
                                   : "by a kernel");
    print_links(result);
    const struct node_link *bound = result->hops[result->bound].link;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    MUST(out != NULL);
    fprintf(out, "\n%s, of which the host's own %s; %s of at most %s (%.0f %%); bound by %s; basis %s\n",
            unit_format(time, sizeof time, result->seconds, UNIT_SECONDS, 5),
            unit_format(host, sizeof host, result->host_s, UNIT_SECONDS, 3),
            unit_format(rate, sizeof rate, (double)a->bytes / result->seconds, UNIT_BYTES_PER_S, 4),
            unit_format(peak, sizeof peak, result->peak_bytes_per_s, UNIT_BYTES_PER_S, 4),
            100.0 * (double)a->bytes / result->seconds / result->peak_bytes_per_s,
            result->latency_bound ? "latency" : bound->name, basis_name(transfer_basis(copy, result)));
    fprintf(out, "%s: %s\n", bound->name, bound->link.source);
    fclose(out);
    print_wrapped(stdout, text, TRANSFER_COLUMNS, 4);
    free(text);
}

static int transfer(const struct arguments *a, struct arena *arena, struct error *err) {
    struct node_options node;
    struct lone_result result;
    if (find_node(a, arena, &node, err) != 0)
        return -1;
    struct lone_copy copy = {.node = &node,
                             .from = a->from,
                             .to = a->to,
                             .variant = a->path,
                             .bytes = a->bytes,
                             .blocks = a->blocks,
                             .kind = (enum copy_kind)a->kind,
                             .ctas = a->ctas};
    if (a->gpus > 1)
        return transfer_shared(&copy, a->gpus, a->json, err);
    if (lone_copy_time(&copy, &result, err) != 0)
        return -1;
    if (a->json)
        print_json(a, &copy, &result);
    else
        print_table(a, &copy, &result);
    return 0;
}

int verb_transfer(int argc, char **argv) {
    static const struct argp argp = {choices,
                                     parse,
                                     NULL,
                                     "Times one copy between two tiers over idle links, from the first submission to "
                                     "its completion as the host sees it; with --gpus, that of several GPUs at once.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments arguments = {.blocks = 1, .gpus = 1, .ctas = 32, .kind = COPY_BATCH};
    argp_err_exit_status = EXIT_BAD_INPUT;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct arena *arena = arena_create();
    struct error err;
    int status = transfer(&arguments, arena, &err) == 0 ? EXIT_FINE : (int)err.exit_code;
    if (status != EXIT_FINE)
        fprintf(stderr, "tiersim: %s\n", err.text);
    arena_destroy(arena);
    return status;
}
