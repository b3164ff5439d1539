/* Is every option table of the tree sound, and do the pages and the schema that are made from it say all of it? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/arch.h"
#include "models/cost.h"
#include "models/hardware.h"
#include "models/hf.h"
#include "models/profile.h"
#include "policies/registry.h"
#include "sim/cli/scenario.h"
#include "sim/config/read.h"
#include "sim/memory/topology.h"
#include "sim/output/metrics.h"
#include "sim/serve/cluster.h"
#include "sim/workload/options.h"

static const struct named_table {
    const char *name;
    const struct option *table;
} rooms[] = {
    {"scenario", scenario_options_table},
    {"serving", serve_options_table},
    {"slo", slo_options_table},
    {"workload", workload_option_table},
    {"generator", generator_option_table},
    {"node", node_options_table},
    {"tier", tier_options_table},
    {"model", arch_options},
    {"hardware", gpu_options},
    {"profile", kernel_profile_options},
    {"engine", engine_profile_options},
    {"connector", connector_profile_options},
    {"prices", prices_options},
    {"hf", hf_options},
};
enum { ROOMS = sizeof rooms / sizeof *rooms, ROOM_BYTES = 1 << 16 };

static void each_table(void (*visit)(const char *name, const struct option *table)) {
    for (size_t i = 0; i < ROOMS; i++)
        visit(rooms[i].name, rooms[i].table);
    for (int kind = 0; kind < POLICY_KINDS; kind++)
        for (size_t i = 0; policy_at((enum policy_kind)kind, i); i++)
            if (policy_at((enum policy_kind)kind, i)->options)
                visit(policy_at((enum policy_kind)kind, i)->name, policy_at((enum policy_kind)kind, i)->options);
}

static bool has_table(const struct option *option) {
    return option->kind == OPTION_STRUCT || option->kind == OPTION_LIST;
}

/* The default alone is read as if nothing stood there: it must have the unit and lie in the range. */
static void default_is_good(const char *name, const struct option *option) {
    static _Alignas(max_align_t) char room[ROOM_BYTES];
    const struct option one[] = {*option, OPTION_END};
    struct arena *arena = arena_create();
    struct error err;
    assert_true(option->offset < ROOM_BYTES / 2);
    if (options_read(NULL, one, room, arena, &err) != 0)
        fail_msg("%s.%s: %s", name, option->name, err.text);
    arena_destroy(arena);
}

static void sound(const char *name, const struct option *table) {
    for (const struct option *option = table; option->name; option++) {
        if (!option->help || !*option->help || option->help[strlen(option->help) - 1] == '.')
            fail_msg("%s.%s: help is one sentence without its full stop", name, option->name);
        if (!option->name[0] || strpbrk(option->name, " .=:") || strcmp(option->name, "include") == 0)
            fail_msg("%s.%s cannot be written, or set by --set", name, option->name);
        for (const struct option *other = table; other < option; other++)
            assert_string_not_equal(other->name, option->name);
        assert_true(option->min <= option->max);
        assert_true(!option->place_follows || option->kind == OPTION_TEXT || option->kind == OPTION_NODE);
        assert_int_equal(option->kind == OPTION_CHOICE, option->choices != NULL);
        assert_int_equal(has_table(option), option->table != NULL);
        assert_int_equal(option->kind == OPTION_LIST, option->item_size > 0);
        if (option->kind == OPTION_INT)
            assert_true(option->unit == UNIT_NONE || option->unit == UNIT_TOKENS);
        if (option->kind == OPTION_CHOICE)
            assert_true(option->choices[0] != NULL);
        if (!option_is_required(option))
            default_is_good(name, option);
        if (has_table(option))
            sound(option->name, option->table);
    }
}

static void tables(void **state) {
    (void)state;
    each_table(sound);
}

static char *printed(void (*print)(FILE *, const char *, const struct option *), const char *name,
                     const struct option *table) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    print(out, name, table);
    fclose(out);
    return text;
}

/* Each key has its row, each table its heading, each row five cells. */
static void rows_of(const char *text, const char *name, const struct option *table) {
    char row[256];
    for (const struct option *option = table; option->name; option++) {
        snprintf(row, sizeof row, "\n| `%s` | ", option->name);
        if (!strstr(text, row))
            fail_msg("%s.%s is not on the page", name, option->name);
        if (has_table(option))
            rows_of(text, option->name, option->table);
    }
}

static void page(const char *name, const struct option *table) {
    char *text = printed(options_print_markdown, name, table);
    assert_memory_equal(text, "## ", 3);
    assert_memory_equal(text + 3, name, strlen(name));
    rows_of(text, name, table);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        size_t cells = 0;
        for (const char *at = line; *at; at++)
            cells += *at == '|';
        if (*line == '|' && cells != 6)
            fail_msg("%s: a row of %zu cells: %s", name, cells - 1, line);
    }
    free(text);
}

static void pages(void **state) {
    (void)state;
    each_table(page);
}

static void schema_says(const struct node *schema, const struct option *table) {
    const struct node *properties = node_get(schema, "properties"), *required = node_get(schema, "required");
    assert_non_null(properties);
    assert_string_equal(node_get(schema, "additionalProperties")->text, "false");
    size_t keys = 1, needed = 0; /* include */
    assert_non_null(node_get(properties, "xnclude"));
    for (const struct option *option = table; option->name; option++, keys++) {
        const struct node *property = node_get(properties, option->name);
        assert_non_null(property);
        assert_string_equal(node_get(property, "description")->text, option->help);
        if (option->kind == OPTION_STRUCT)
            schema_says(property, option->table);
        if (option->kind == OPTION_LIST)
            schema_says(node_get(property, "items"), option->table);
        if (option->kind == OPTION_CHOICE)
            for (size_t i = 0; option->choices[i]; i++)
                assert_string_equal(node_get(property, "enum")->items[i]->text, option->choices[i]);
        if (option_is_required(option))
            assert_string_equal(required->items[needed++]->text, option->name);
    }
    assert_int_equal(properties->count, keys);
    assert_int_equal(required ? required->count : 0, needed);
}

static void schema(const char *name, const struct option *table) {
    char *text = printed(options_print_schema, name, table);
    struct arena *arena = arena_create();
    struct error err;
    struct node *node;
    /* The reader would include what stands under this key. */
    for (char *at = text; (at = strstr(at, "\"include\":"));)
        at[1] = 'x';
    if (node_read_text(text, strlen(text), name, arena, &node, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(node_get(node, "title")->text, name);
    schema_says(node, table);
    arena_destroy(arena);
    free(text);
}

static void schemas(void **state) {
    (void)state;
    each_table(schema);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables), cmocka_unit_test(pages), cmocka_unit_test(schemas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
