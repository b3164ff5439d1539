/* Is bad YAML refused at file:line:column, with what is wrong and the remedy, to the letter? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/config/read.h"

struct link {
    const char *name;
    double bandwidth_bytes_per_s, latency_s;
};
struct fields {
    const char *title;
    int64_t tp;
    bool fifo;
    double share;
    struct figure power;
    int scope;
    struct link main;
    struct list links, sizes, words;
    const struct node *policy;
};

static const char *const scopes[] = {"gpu", "node", "pod", NULL};
static const struct option link_table[] = {
    {.name = "name", .kind = OPTION_TEXT, .offset = offsetof(struct link, name), .help = "what paths call it"},
    {.name = "bandwidth",
     .kind = OPTION_REAL,
     .offset = offsetof(struct link, bandwidth_bytes_per_s),
     .unit = UNIT_BYTES_PER_S,
     .min = 1,
     .max = 1e15,
     .help = "sustained"},
    {.name = "latency",
     .kind = OPTION_REAL,
     .offset = offsetof(struct link, latency_s),
     .unit = UNIT_SECONDS,
     .fallback = "0",
     .max = 3600},
    OPTION_END};
#define AT(member) offsetof(struct fields, member)
static const struct option table[] = {
    {.name = "title", .kind = OPTION_TEXT, .offset = AT(title), .fallback = ""},
    {.name = "tp",
     .kind = OPTION_INT,
     .offset = AT(tp),
     .fallback = "1",
     .min = 1,
     .max = 64,
     .help = "ranks of an instance"},
    {.name = "fifo", .kind = OPTION_BOOL, .offset = AT(fifo), .fallback = "no", .help = "one after another"},
    {.name = "share", .kind = OPTION_REAL, .offset = AT(share), .unit = UNIT_RATIO, .fallback = "90 %", .max = 1},
    {.name = "power", .kind = OPTION_FIGURE, .offset = AT(power), .unit = UNIT_WATTS, .fallback = "0"},
    {.name = "scope",
     .kind = OPTION_CHOICE,
     .offset = AT(scope),
     .fallback = "gpu",
     .choices = scopes,
     .help = "how many there are"},
    {.name = "main",
     .kind = OPTION_STRUCT,
     .offset = AT(main),
     .fallback = "",
     .table = link_table,
     .help = "the main link"},
    {.name = "links",
     .kind = OPTION_LIST,
     .offset = AT(links),
     .fallback = "",
     .table = link_table,
     .item_size = sizeof(struct link),
     .help = "other links"},
    {.name = "sizes", .kind = OPTION_REALS, .offset = AT(sizes), .unit = UNIT_BYTES, .fallback = "", .help = "sizes"},
    {.name = "words", .kind = OPTION_TEXTS, .offset = AT(words), .fallback = "", .help = "words"},
    {.name = "policy", .kind = OPTION_NODE, .offset = AT(policy), .fallback = "", .help = "a policy"},
    OPTION_END};
#undef AT
#define MAIN "main: {name: pcie, bandwidth: 50 GB/s}\n"

static struct arena *arena;
static char folder[] = "/tmp/tiersim-config-XXXXXX";

static int begin(void **state) {
    (void)state;
    arena = arena_create();
    return 0;
}
static int finish(void **state) {
    (void)state;
    arena_destroy(arena);
    return 0;
}

static int read_all(const char *text, size_t size, struct error *err) {
    struct node *node;
    struct fields fields;
    *err = (struct error){0};
    return node_read_text(text, size, "s.yaml", arena, &node, err) ? -1
                                                                   : options_read(node, table, &fields, arena, err);
}

static void refused(const char *text, const char *message) {
    struct error err;
    if (read_all(text, strlen(text), &err) == 0)
        fail_msg("accepted: %s", text);
    assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
    assert_string_equal(err.text, message);
}

static void keys(void **state) {
    (void)state;
    struct error err;
    assert_int_equal(read_all(MAIN, strlen(MAIN), &err), 0);
    refused(MAIN "titel: x\n", "s.yaml:2:1: unknown key 'titel'\n  hint: did you mean 'title'?");
    refused("main:\n  name: pcie\n  bandwith: 50 GB/s\n",
            "s.yaml:3:3: unknown key 'bandwith'\n  hint: did you mean 'bandwidth'?");
    refused("main: {name: pcie, bandwidth: 1 GB/s, colour: red}\n",
            "s.yaml:1:39: unknown key 'colour'\n  hint: known here: name, bandwidth, latency");
    refused(MAIN "links:\n  - name: a\n    bandwidth: 1 GB/s\n    latence: 5 us\n",
            "s.yaml:5:5: unknown key 'latence'\n  hint: did you mean 'latency'?");
    refused("tp: 1\ntp: 2\n", "s.yaml:2:1: key 'tp' is given twice\n  hint: keep one of the two");
    refused("main: {name: a, name: b}\n", "s.yaml:1:17: key 'name' is given twice\n  hint: keep one of the two");
    refused("[a, b]: 1\n", "s.yaml:1:1: a key must be a plain word\n  hint: write 'name: value'");
}

static void missing(void **state) {
    (void)state;
    refused(MAIN "links:\n  - name: a\n", "s.yaml:3:5: 'bandwidth' is missing\n  hint: add it: sustained (3.35 TB/s)");
    refused("main: {bandwidth: 1 GB/s}\n", "s.yaml:1:7: 'name' is missing\n  hint: add it: what paths call it (text)");
    refused("main: {name: , bandwidth: 1 GB/s}\n",
            "s.yaml:1:7: 'name' is missing\n  hint: add it: what paths call it (text)");
    refused("tp: 2\n", "s.yaml:1:1: 'main' is missing\n  hint: add it: the main link (a mapping)");
    static const char *const needs[] = {"flag", "list", "map", "pick", "price", "node", "count"};
    static const char *const written[] = {"true or false", "a list", "a mapping", "gpu", "{value: ..., source: ...}",
                                          "text",          "8"};
    const struct option required[] = {{.name = "flag", .kind = OPTION_BOOL},
                                      {.name = "list", .kind = OPTION_TEXTS},
                                      {.name = "map", .kind = OPTION_STRUCT, .table = link_table},
                                      {.name = "pick", .kind = OPTION_CHOICE, .choices = scopes},
                                      {.name = "price", .kind = OPTION_FIGURE},
                                      {.name = "node", .kind = OPTION_NODE},
                                      {.name = "count", .kind = OPTION_INT}};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        const struct option one[] = {required[i], OPTION_END};
        struct fields room;
        struct error err;
        assert_int_equal(options_read(NULL, one, &room, arena, &err), -1);
        assert_string_equal(
            err.text, arena_printf(arena, "'%s' is missing\n  hint: add it: %s (%s)", needs[i], needs[i], written[i]));
    }
}

static void values(void **state) {
    (void)state;
    refused("main: {name: a, bandwidth: 64GB}\n",
            "s.yaml:1:28: 'bandwidth': '64GB' is not bytes per second\n  hint: write it like 3.35 TB/s");
    refused("main:\n  name: a\n  bandwidth: 64\n",
            "s.yaml:3:14: 'bandwidth': '64' is not bytes per second\n  hint: write it like 3.35 TB/s");
    refused("main: {name: a, bandwidth: 0}\n",
            "s.yaml:1:28: 'bandwidth: 0' is out of range\n  hint: it goes from 1 B/s to 1 PB/s");
    refused("main: {name: a, bandwidth: 1 GB/s, latency: 2 h}\n",
            "s.yaml:1:45: 'latency: 2 h' is out of range\n  hint: it goes from 0 s to 1 h");
    refused("main: {name: a, bandwidth: 1 GB/s, latency: -1 us}\n",
            "s.yaml:1:45: 'latency: -1 us' is out of range\n  hint: it goes from 0 s to 1 h");
    refused("main: {name: a, bandwidth: [1 GB/s]}\n",
            "s.yaml:1:28: 'bandwidth' must be a single value\n  hint: sustained");
    refused("tp: 0\n", "s.yaml:1:5: 'tp: 0' is out of range\n  hint: it goes from 1 to 64");
    refused("tp: 65\n", "s.yaml:1:5: 'tp: 65' is out of range\n  hint: it goes from 1 to 64");
    refused("tp: 2.5\n", "s.yaml:1:5: 'tp' must be a whole number\n  hint: ranks of an instance");
    refused("tp: four\n", "s.yaml:1:5: 'tp': 'four' is not a number\n  hint: write it like 8");
    refused("share: 101 %\n", "s.yaml:1:8: 'share: 101 %' is out of range\n  hint: it goes from 0 % to 100 %");
    refused("fifo: maybe\n", "s.yaml:1:7: 'fifo' must be true or false\n  hint: one after another");
    refused("fifo: []\n", "s.yaml:1:7: 'fifo' must be true or false\n  hint: one after another");
    refused("title: [x]\n", "s.yaml:1:8: 'title' must be one word or text\n  hint: see docs/config.md");
    refused("scope: nod\n",
            "s.yaml:1:8: 'scope: nod' is not known\n  hint: did you mean 'node'? one of gpu, node, pod");
    refused("scope: everywhere\n", "s.yaml:1:8: 'scope: everywhere' is not known\n  hint: one of gpu, node, pod");
    refused("scope: {a: b}\n", "s.yaml:1:8: 'scope' must be one word\n  hint: how many there are");
}

static void figures(void **state) {
    (void)state;
    static const char remedy[] = "write power: {value: 700 W, source: \"where it is from\", basis: spec}";
    refused("power: 700 W\n", arena_printf(arena, "s.yaml:1:8: 'power' needs its source\n  hint: %s", remedy));
    refused("power: {value: 700 W}\n",
            arena_printf(arena, "s.yaml:1:8: 'power' needs a value and a source\n  hint: %s", remedy));
    refused("power: {value: 700 W, source: \"\"}\n",
            arena_printf(arena, "s.yaml:1:8: 'power' needs a value and a source\n  hint: %s", remedy));
    refused("power: {value: 700 W, source: [x]}\n",
            arena_printf(arena, "s.yaml:1:8: 'power' needs a value and a source\n  hint: %s", remedy));
    refused("power: {value: 700, source: x}\n",
            "s.yaml:1:16: 'power': '700' is not watts\n  hint: write it like 700 W");
    refused("power: {value: 7 W, source: x, basis: guess}\n",
            "s.yaml:1:39: unknown basis\n  hint: measured, extrapolated or spec");
    refused("power: {value: 7 W, source: x, base: spec}\n",
            "s.yaml:1:32: unknown key 'base'\n  hint: a figure has value, source, basis and note");
}

static void lists(void **state) {
    (void)state;
    refused("main: pcie\n",
            "s.yaml:1:7: a mapping is expected here\n  hint: write 'key: value' lines; the first key is 'name'");
    refused(MAIN "links: {name: a}\n", "s.yaml:2:8: 'links' must be a list\n  hint: other links");
    refused(MAIN "links: [a]\n",
            "s.yaml:2:9: a mapping is expected here\n  hint: write 'key: value' lines; the first key is 'name'");
    refused(MAIN "sizes: 1 GB\n", "s.yaml:2:8: 'sizes' must be a list\n  hint: sizes");
    refused(MAIN "sizes: [1 GB, 2]\n", "s.yaml:2:15: 'sizes': '2' is not bytes\n  hint: write it like 80 GiB");
    refused(MAIN "words: [a, [b]]\n", "s.yaml:2:12: 'words' must be a list of words\n  hint: words");
    refused("- a\n",
            "s.yaml:1:1: a mapping is expected here\n  hint: write 'key: value' lines; the first key is 'title'");
    refused("just text\n",
            "s.yaml:1:1: a mapping is expected here\n  hint: write 'key: value' lines; the first key is 'title'");
}

static void not_yaml(void **state) {
    (void)state;
    static const char remedy[] = "check indentation, quotes and colons there";
    static const char *const texts[][2] = {
        {"a: [1, 2\nb: 3\n",
         "s.yaml:2:2: this is not YAML: while parsing a flow sequence: did not find expected ',' or ']'"},
        {"title: \"open\n",
         "s.yaml:2:1: this is not YAML: while scanning a quoted scalar: found unexpected end of stream"},
        {"a: b: c\n", "s.yaml:1:5: this is not YAML: mapping values are not allowed in this context"},
        {"a: *nobody\n", "s.yaml:1:4: this is not YAML: found undefined alias"},
        {"tp: 1\n\tfifo: no\n", "s.yaml:2:1: this is not YAML: while scanning a plain scalar: found a tab character "
                                "that violates indentation"},
        {"tp: 1\nt\xc3\xa4g: \xff\n", "s.yaml:2:6: this is not YAML: invalid leading UTF-8 octet"},
        {"tp: 1\ntitle: \x01\n", "s.yaml:2:8: this is not YAML: control characters are not allowed"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refused(texts[i][0], arena_printf(arena, "%s\n  hint: %s", texts[i][1], remedy));
    struct error err;
    assert_int_equal(read_all("tp: \0 1", 7, &err), -1);
    assert_non_null(strstr(err.text, "s.yaml:1:5: this is not YAML: control characters"));
    refused("tp: 1\n---\ntp: 2\n",
            "s.yaml:3:1: a second document begins here\n  hint: one a file; remove the --- before it");
    refused("title: \"a\\0b\"\n", "s.yaml:1:8: text with a zero byte\n  hint: leave the \\0 out");
    refused("\"a\\0b\": 1\n", "s.yaml:1:1: text with a zero byte\n  hint: leave the \\0 out");
    refused("include: x.yaml\n", "s.yaml:1:10: include is not possible here\n  hint: put it into a file");
}

/* Little text that would be a tree without end. */
static void bombs(void **state) {
    (void)state;
    refused("a: &a [*a]\n", "s.yaml:1:4: nested more than 64 deep\n  hint: an alias may stand inside its own anchor");
    /* Each level holds ten of the one before: five levels are 111,111 values, six more than a million. */
    static char text[4000] = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n";
    struct error err;
    struct node *node;
    for (int i = 1; i < 6; i++) {
        char *at = text + strlen(text);
        at += sprintf(at, "l%d: &l%d [", i, i);
        for (int k = 0; k < 10; k++)
            at += sprintf(at, "*l%d%s", i - 1, k < 9 ? ", " : "]\n");
        if (i < 5)
            assert_int_equal(node_read_text(text, strlen(text), "s.yaml", arena, &node, &err), 0);
    }
    assert_int_equal(node_read_text(text, strlen(text), "s.yaml", arena, &node, &err), -1);
    assert_non_null(strstr(err.text, "s.yaml:1:"));
    assert_non_null(
        strstr(err.text, ": more than 1000000 values\n  hint: aliases of aliases multiply; write less of them"));
    memset(text, '[', 200);
    text[200] = 0;
    for (int i = 0; i < 200; i++)
        strcat(text, "]");
    refused(text, "s.yaml:1:66: nested more than 64 deep\n  hint: an alias may stand inside its own anchor");
    static char key[2000];
    memset(key, 'k', 600);
    strcpy(key + 600, ": 1\n");
    refused(key, "s.yaml:1:1: a key must be a plain word\n  hint: write 'name: value'");
}

static const char *file(const char *name, const char *text) {
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    return path;
}

static void expect(const char *path, const char *message) {
    struct node *node;
    struct error err = {0};
    assert_int_equal(node_read_file(path, arena, &node, &err), -1);
    assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
    assert_string_equal(err.text, message);
}

static void includes(void **state) {
    (void)state;
    expect("/nowhere/at/all.yaml", "cannot read '/nowhere/at/all.yaml': No such file or directory\n  hint: check the "
                                   "path; relative ones count from the working directory");
    expect(
        folder,
        arena_printf(
            arena,
            "cannot read '%s': Is a directory\n  hint: check the path; relative ones count from the working directory",
            folder));
    const char *path = file("lost.yaml", "tp: 1\ninclude: gone.yaml\n");
    expect(path, arena_printf(arena,
                              "%s:2:10: cannot read '%s/gone.yaml': No such file or directory\n  hint: check the path; "
                              "relative ones count from the file that names them",
                              path, folder));
    path = file("self.yaml", "include: ./self.yaml\n");
    expect(path,
           arena_printf(
               arena,
               "%s:1:10: '%s/./self.yaml' includes itself, directly or through another file\n  hint: break the cycle",
               path, folder));
    file("b.yaml", "x: {include: [c.yaml]}\n");
    file("c.yaml", "include: a.yaml\n");
    path = file("a.yaml", "include: b.yaml\n");
    expect(path,
           arena_printf(
               arena,
               "%s/c.yaml:1:10: '%s/a.yaml' includes itself, directly or through another file\n  hint: break the cycle",
               folder, folder));
    file("list.yaml", "- 1\n");
    path = file("takes-list.yaml", "include: list.yaml\n");
    expect(path, arena_printf(
                     arena, "%s:1:10: 'list.yaml' is not a mapping\n  hint: an included file holds 'key: value' lines",
                     path));
    path = file("odd.yaml", "include: {a: b}\n");
    expect(path,
           arena_printf(arena, "%s:1:10: include takes a file name or a list of them\n  hint: include: ../base.yaml",
                        path));
    path = file("twice.yaml", "include: list.yaml\ninclude: list.yaml\n");
    expect(path, arena_printf(arena, "%s:2:1: key 'include' is given twice\n  hint: keep one of the two", path));
    file("broken.yaml", "a: [\n");
    path = file("takes-broken.yaml", "include: broken.yaml\n");
    expect(path,
           arena_printf(
               arena,
               "%s/broken.yaml:2:1: this is not YAML: while parsing a flow node: did not find expected node content\n"
               "  hint: check indentation, quotes and colons there",
               folder));
}

static void refused_set(const char *assignment, const char *message) {
    struct node *node;
    struct error err;
    assert_int_equal(node_read_text("tp: 1\nlinks: [{name: a}]\n", 24, "s.yaml", arena, &node, &err), 0);
    const char *before = node_print(node, arena);
    assert_int_equal(node_set(node, assignment, arena, &err), -1);
    assert_string_equal(err.text, message);
    assert_string_equal(node_print(node, arena), before); /* and nothing has changed */
}

static void settings(void **state) {
    (void)state;
    refused_set("tp", "--set 'tp' is not PATH=VALUE\n  hint: --set serving.block_tokens=64");
    refused_set("=5", "--set '=5' is not PATH=VALUE\n  hint: --set serving.block_tokens=64");
    refused_set("tp.x=5", "--set tp.x=5: 'x' stands under a plain value\n  hint: check the path");
    refused_set(
        "links.b.name=c",
        "--set links.b.name=c: the list has no item 'b'\n  hint: use its number from 0, or the name of the item");
    refused_set(
        "links.1.name=c",
        "--set links.1.name=c: the list has no item '1'\n  hint: use its number from 0, or the name of the item");
    refused_set("links.99999999999999999999.name=c",
                "--set links.99999999999999999999.name=c: the list has no item '99999999999999999999'\n"
                "  hint: use its number from 0, or the name of the item");
    static const char *const paths[] = {"a..b",
                                        ".a",
                                        "a.",
                                        ".",
                                        "a.b..",
                                        "\x7f",
                                        "\xff",
                                        "\xc3",
                                        "\xed\xa0\x80",
                                        "\xc0\xaf",
                                        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.0.1.2.3.4.5.6"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        refused_set(
            arena_printf(arena, "%s=1", paths[i]),
            arena_printf(arena, "--set '%s=1' is not PATH=VALUE\n  hint: --set serving.block_tokens=64", paths[i]));
    refused_set("x.include=a.yaml", "--set x.include=a.yaml: include is not possible here\n  hint: put it into a file");
    refused_set("x={include: a.yaml}",
                "--set x={include: a.yaml}:1:11: include is not possible here\n  hint: put it into a file");
    refused_set("tp=[1",
                "--set tp=[1:2:1: this is not YAML: while parsing a flow sequence: did not find expected ',' or ']'\n"
                "  hint: check indentation, quotes and colons there");
    char longer[700] = "";
    memset(longer, 'k', sizeof longer - 3);
    strcpy(longer + sizeof longer - 3, "=1");
    refused_set(longer,
                arena_printf(arena, "--set '%s' is not PATH=VALUE\n  hint: --set serving.block_tokens=64", longer));
    /* The value that is set is wrong: the message names the option. */
    struct node *node;
    struct fields fields;
    struct error err;
    assert_int_equal(node_read_text(MAIN, strlen(MAIN), "s.yaml", arena, &node, &err), 0);
    assert_int_equal(node_set(node, "main.bandwidth=64GB", arena, &err), 0);
    assert_int_equal(options_read(node, table, &fields, arena, &err), -1);
    assert_string_equal(
        err.text,
        "--set main.bandwidth=64GB: 'bandwidth': '64GB' is not bytes per second\n  hint: write it like 3.35 TB/s");
    assert_int_equal(node_set(node, "main.bandwidth=64 GB/s", arena, &err), 0);
    assert_int_equal(node_set(node, "main.latencies=1 us", arena, &err), 0);
    assert_int_equal(options_read(node, table, &fields, arena, &err), -1);
    assert_string_equal(err.text,
                        "--set main.latencies=1 us: unknown key 'latencies'\n  hint: did you mean 'latency'?");
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}
static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(keys),     TEST(missing), TEST(values),   TEST(figures),  TEST(lists),
        TEST(not_yaml), TEST(bombs),   TEST(includes), TEST(settings),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
