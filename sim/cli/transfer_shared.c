/* `tiersim transfer --gpus N`: what each GPU gets, what all get, and which of the stages that they share binds. */
#include "sim/cli/transfer_shared.h"

#include <stdlib.h>

#include "sim/cli/args.h"
#include "sim/output/json.h"
#include "sim/output/table.h"

enum { SHARED_COLUMNS = 98 };

enum basis transfer_basis(const struct lone_copy *copy, const struct lone_result *result) {
    double block = (double)copy->bytes / copy->blocks;
    bool outside = block < 4096 || block > 1073741824.0 || copy->blocks > 50000;
    return outside ? basis_weaker(result->basis, BASIS_EXTRAPOLATED) : result->basis;
}

static const char *bound_name(const struct shared_result *result, uint32_t gpu) {
    const struct shared_gpu *own = &result->gpus[gpu];
    return own->latency_bound ? "latency" : result->last.hops[own->bound].link->name;
}

static const char *way_name(const struct lone_hop *hop) {
    return hop->direction == NETWORK_READ ? "read" : "write";
}

static void json_gpus(struct json *json, const struct lone_copy *copy, const struct shared_result *result) {
    json_array(json, "gpus");
    for (uint32_t g = 0; g < result->count; g++) {
        json_object(json, NULL);
        json_integer(json, "gpu", g);
        json_number(json, "seconds", result->gpus[g].seconds);
        json_number(json, "bandwidth_bytes_per_s", (double)copy->bytes / result->gpus[g].seconds);
        json_string(json, "bound", bound_name(result, g));
        json_object_end(json);
    }
    json_array_end(json);
}

static void json_links(struct json *json, const struct shared_result *result) {
    json_array(json, "links");
    for (uint32_t i = 0; i < result->last.hop_count; i++) {
        const struct lone_hop *hop = &result->last.hops[i];
        json_object(json, NULL);
        json_string(json, "name", hop->link->name);
        json_string(json, "scope", scope_names[hop->link->scope]);
        json_string(json, "direction", way_name(hop));
        json_integer(json, "units", result->stages[i].units);
        json_integer(json, "sharers", result->stages[i].sharers);
        json_number(json, "alone_s", hop->service_s);
        json_number(json, "bandwidth_bytes_per_s", hop->bandwidth_bytes_per_s);
        json_number(json, "peak_bytes_per_s", hop->peak_bytes_per_s);
        json_string(json, "basis", basis_name((enum basis)hop->link->link.basis));
        json_string(json, "source", hop->link->link.source);
        json_object_end(json);
    }
    json_array_end(json);
}

static void print_json(const struct lone_copy *copy, const struct shared_result *result) {
    struct json json = json_begin(stdout);
    json_object(&json, NULL);
    json_number(&json, "seconds", result->last.seconds);
    json_number(&json, "bandwidth_bytes_per_s", result->bytes_per_s);
    json_number(&json, "peak_bytes_per_s", result->peak_bytes_per_s);
    json_string(&json, "basis", basis_name(transfer_basis(copy, &result->last)));
    json_string(&json, "node", copy->node->name);
    json_string(&json, "api", copy_kind_names[copy->kind]);
    json_string(&json, "bound", bound_name(result, result->last_gpu));
    json_number(&json, "host_s", result->last.host_s);
    json_gpus(&json, copy, result);
    json_links(&json, result);
    json_object_end(&json);
    json_end(&json);
}

/* The most that one unit of the stage gives the GPUs on it, each its share. */
static void print_stages(const struct shared_result *result) {
    const char *const columns[] = {"<stage", "<",     "<one a", "units",  "GPUs on one",
                                   "GB/s",   "a GPU", "<",      "<basis", NULL};
    struct table *table = table_create(columns);
    for (uint32_t i = 0; i < result->last.hop_count; i++) {
        const struct lone_hop *hop = &result->last.hops[i];
        table_row(table);
        table_cell(table, "%s", hop->link->name);
        table_cell(table, "%s", way_name(hop));
        table_cell(table, "%s", scope_names[hop->link->scope]);
        table_cell(table, "%u", result->stages[i].units);
        table_cell(table, "%u", result->stages[i].sharers);
        table_cell(table, "%.1f", hop->bandwidth_bytes_per_s / 1e9);
        table_cell(table, "%.1f",
                   hop->bandwidth_bytes_per_s / hop->crossings / (double)result->stages[i].sharers / 1e9);
        table_cell(table, "%s",
                   !result->last.latency_bound && i == result->last.bound ? "<- bounds"
                   : hop->crossings > 1                                   ? "crossed twice"
                                                                          : "");
        table_cell(table, "%s", basis_name((enum basis)hop->link->link.basis));
    }
    table_print(table, stdout);
}

static void print_gpus(const struct lone_copy *copy, const struct shared_result *result) {
    const char *const columns[] = {"GPU", "time", "GB/s", "<bound by", NULL};
    struct table *table = table_create(columns);
    for (uint32_t g = 0; g < result->count; g++) {
        char time[32];
        table_row(table);
        table_cell(table, "%u", g);
        table_cell(table, "%s", unit_format(time, sizeof time, result->gpus[g].seconds, UNIT_SECONDS, 5));
        table_cell(table, "%.1f", (double)copy->bytes / result->gpus[g].seconds / 1e9);
        table_cell(table, "%s", bound_name(result, g));
    }
    table_print(table, stdout);
}

static void print_table(const struct lone_copy *copy, const struct shared_result *result) {
    char size[32], block[32], time[32], rate[32], peak[32];
    const struct node_link *bound = result->last.hops[result->last.bound].link;
    printf("%s from %s to %s of each of %u GPUs at once on %s (%s), %u block%s of %s, %s\n\n",
           unit_format(size, sizeof size, (double)copy->bytes, UNIT_BYTES, 4), copy->from, copy->to, result->count,
           copy->node->name, copy->node->gpu, copy->blocks, copy->blocks == 1 ? "" : "s",
           unit_format(block, sizeof block, (double)copy->bytes / copy->blocks, UNIT_BYTES, 4),
           copy->kind == COPY_LOOP    ? "a call each"
           : copy->kind == COPY_BATCH ? "one call"
                                      : "by a kernel");
    print_stages(result);
    puts("");
    print_gpus(copy, result);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    MUST(out != NULL);
    fprintf(out, "\nall in %s; together %s of at most %s (%.0f %%); bound by %s; basis %s\n",
            unit_format(time, sizeof time, result->last.seconds, UNIT_SECONDS, 5),
            unit_format(rate, sizeof rate, result->bytes_per_s, UNIT_BYTES_PER_S, 4),
            unit_format(peak, sizeof peak, result->peak_bytes_per_s, UNIT_BYTES_PER_S, 4),
            100.0 * result->bytes_per_s / result->peak_bytes_per_s, bound_name(result, result->last_gpu),
            basis_name(transfer_basis(copy, &result->last)));
    fprintf(out, "%s: %s\n", bound->name, bound->link.source);
    fclose(out);
    print_wrapped(stdout, text, SHARED_COLUMNS, 4);
    free(text);
}

int transfer_shared(const struct lone_copy *copy, uint32_t gpus, bool as_json, struct error *err) {
    struct shared_gpu *each = calloc(gpus, sizeof *each);
    struct shared_result result;
    MUST(each != NULL);
    int failed = shared_copy_time(copy, gpus, each, &result, err);
    if (!failed && as_json)
        print_json(copy, &result);
    else if (!failed)
        print_table(copy, &result);
    free(each);
    return failed;
}
