/* Is what stands in YAML what lands in the struct, whatever the way there: defaults, includes, --set, printing, JSON?
 */
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

/* A struct with every kind of option. */
struct inner {
    double latency_s;
    int64_t depth;
};
struct item {
    const char *name;
    double size_bytes;
};
struct everything {
    bool flag;
    int64_t count, tokens;
    double bandwidth_bytes_per_s;
    struct figure price;
    const char *title;
    struct place title_at;
    int color;
    struct inner inner;
    struct list items; /* struct item */
    struct list shares;
    struct list words;
    const struct node *policy;
    struct place policy_at;
};

static const char *const colors[] = {"red", "green", "blue", NULL};
#define AT(member) offsetof(struct everything, member)
static const struct option inner_table[] = {
    {.name = "latency",
     .kind = OPTION_REAL,
     .offset = offsetof(struct inner, latency_s),
     .unit = UNIT_SECONDS,
     .fallback = "5 us"},
    {.name = "depth", .kind = OPTION_INT, .offset = offsetof(struct inner, depth), .fallback = "3", .min = 1, .max = 9},
    OPTION_END};
static const struct option item_table[] = {{.name = "name", .kind = OPTION_TEXT, .offset = offsetof(struct item, name)},
                                           {.name = "size",
                                            .kind = OPTION_REAL,
                                            .offset = offsetof(struct item, size_bytes),
                                            .unit = UNIT_BYTES,
                                            .fallback = "1 kB"},
                                           OPTION_END};
static const struct option table[] = {
    {.name = "flag", .kind = OPTION_BOOL, .offset = AT(flag), .fallback = "true"},
    {.name = "count", .kind = OPTION_INT, .offset = AT(count), .fallback = "-7"},
    {.name = "tokens", .kind = OPTION_INT, .offset = AT(tokens), .unit = UNIT_TOKENS, .fallback = "8k"},
    {.name = "bandwidth",
     .kind = OPTION_REAL,
     .offset = AT(bandwidth_bytes_per_s),
     .unit = UNIT_BYTES_PER_S,
     .fallback = "50 GB/s"},
    {.name = "price", .kind = OPTION_FIGURE, .offset = AT(price), .unit = UNIT_USD_PER_HOUR, .fallback = "$2/h"},
    {.name = "title", .kind = OPTION_TEXT, .offset = AT(title), .fallback = "", .place_follows = true},
    {.name = "color", .kind = OPTION_CHOICE, .offset = AT(color), .fallback = "green", .choices = colors},
    {.name = "inner", .kind = OPTION_STRUCT, .offset = AT(inner), .fallback = "", .table = inner_table},
    {.name = "items",
     .kind = OPTION_LIST,
     .offset = AT(items),
     .fallback = "[{name: only}]",
     .table = item_table,
     .item_size = sizeof(struct item)},
    {.name = "shares", .kind = OPTION_REALS, .offset = AT(shares), .unit = UNIT_RATIO, .fallback = "[50 %, 0.25]"},
    {.name = "words", .kind = OPTION_TEXTS, .offset = AT(words), .fallback = ""},
    {.name = "policy", .kind = OPTION_NODE, .offset = AT(policy), .fallback = "", .place_follows = true},
    OPTION_END};
#undef AT

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

static struct node *tree(const char *text) {
    struct error err;
    struct node *node;
    if (node_read_text(text, strlen(text), "test.yaml", arena, &node, &err) != 0)
        fail_msg("%s", err.text);
    return node;
}

static struct everything read_tree(const struct node *node) {
    struct everything out;
    struct error err;
    memset(&out, 0xa5, sizeof out); /* whatever was there */
    if (options_read(node, table, &out, arena, &err) != 0)
        fail_msg("%s", err.text);
    return out;
}

static void file(const char *name, const char *text) {
    FILE *out = fopen(arena_printf(arena, "%s/%s", folder, name), "wb");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static struct node *tree_of_file(const char *name) {
    struct error err;
    struct node *node;
    if (node_read_file(arena_printf(arena, "%s/%s", folder, name), arena, &node, &err) != 0)
        fail_msg("%s", err.text);
    return node;
}

/* Flow style says a tree in a line: what a tree holds, for comparison. */
static void flatten(FILE *out, const struct node *node) {
    if (node->kind == NODE_SCALAR) {
        fprintf(out, "%s%s", node_is_null(node) ? "~" : "'", node_is_null(node) ? "" : node->text);
        fputs(node_is_null(node) ? "" : "'", out);
        return;
    }
    fputs(node->kind == NODE_MAPPING ? "{" : "[", out);
    for (size_t i = 0; i < node->count; i++) {
        fprintf(out, "%s%s%s", i ? "," : "", node->kind == NODE_MAPPING ? node->keys[i] : "",
                node->kind == NODE_MAPPING ? ":" : "");
        flatten(out, node->items[i]);
    }
    fputs(node->kind == NODE_MAPPING ? "}" : "]", out);
}
static const char *flat(const struct node *node) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    flatten(out, node);
    fclose(out);
    const char *kept = arena_strdup(arena, text);
    free(text);
    return kept;
}

static void check_defaults(struct everything e) {
    assert_true(e.flag && e.count == -7 && e.tokens == 8000 && e.bandwidth_bytes_per_s == 50e9);
    assert_true(e.price.value == 2 && e.price.basis == BASIS_SPEC);
    assert_string_equal(e.price.source, "default");
    assert_true(e.title == NULL && e.title_at.file == NULL && e.color == 1);
    assert_true(e.inner.latency_s == 5e-6 && e.inner.depth == 3);
    assert_int_equal(e.items.count, 1);
    assert_string_equal(((const struct item *)e.items.items)->name, "only");
    assert_true(((const struct item *)e.items.items)->size_bytes == 1000);
    assert_int_equal(e.shares.count, 2);
    assert_true(((double *)e.shares.items)[0] == 0.5 && ((double *)e.shares.items)[1] == 0.25);
    assert_true(e.words.count == 0 && e.policy == NULL);
}

static void defaults(void **state) {
    (void)state;
    check_defaults(read_tree(NULL));
    check_defaults(read_tree(tree("")));
    check_defaults(read_tree(tree("---\n# nothing\n")));
    check_defaults(read_tree(tree("{}")));
    /* A key with nothing behind it is not there. */
    check_defaults(read_tree(tree(
        "flag:\ncount: ~\ntokens: null\nprice:\ntitle:\ncolor: ~\ninner:\nitems:\nshares: null\nwords:\npolicy:\n")));
}

static void every_kind(void **state) {
    (void)state;
    struct everything e = read_tree(tree("flag: no\n"
                                         "count: 9000000000000000\n"
                                         "tokens: 60k\n"
                                         "bandwidth: 52.6 GB/s\n"
                                         "price: {value: $2.95/h, source: a price list, basis: measured, note: dear}\n"
                                         "title: \"null\"\n"
                                         "color: blue\n"
                                         "inner: {depth: 9}\n"
                                         "items:\n"
                                         "  - name: a\n"
                                         "    size: 2 GiB\n"
                                         "  - {name: b}\n"
                                         "shares: [7 %, 1, 0.125]\n"
                                         "words: [x, 'y z', 5]\n"
                                         "policy: {name: lru, options: [1, 2]}\n"));
    assert_true(!e.flag && e.count == INT64_C(9000000000000000) && e.tokens == 60000);
    assert_true(e.bandwidth_bytes_per_s == 52.6e9);
    assert_true(e.price.value == 2.95 && e.price.basis == BASIS_MEASURED);
    assert_string_equal(e.price.source, "a price list");
    assert_string_equal(e.title, "null"); /* in quotes it is a word */
    assert_string_equal(e.title_at.file, "test.yaml");
    assert_true(e.title_at.line == 6 && e.title_at.column == 8);
    assert_true(e.color == 2 && e.inner.depth == 9 && e.inner.latency_s == 5e-6);
    const struct item *items = e.items.items;
    assert_int_equal(e.items.count, 2);
    assert_true(strcmp(items[0].name, "a") == 0 && items[0].size_bytes == 2.0 * (1 << 30));
    assert_true(strcmp(items[1].name, "b") == 0 && items[1].size_bytes == 1000);
    const double *shares = e.shares.items;
    assert_true(e.shares.count == 3 && shares[0] == 0.07 && shares[1] == 1 && shares[2] == 0.125);
    const char *const *words = e.words.items;
    assert_int_equal(e.words.count, 3);
    assert_true(strcmp(words[0], "x") == 0 && strcmp(words[1], "y z") == 0 && strcmp(words[2], "5") == 0);
    assert_string_equal(flat(e.policy), "{name:'lru',options:['1','2']}");
    assert_true(e.policy_at.line == 15 && e.policy_at.column == 9);
}

static void words_for_yes_and_no(void **state) {
    (void)state;
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    for (int i = 0; i < 8; i++)
        assert_int_equal(read_tree(tree(arena_printf(arena, "flag: %s", words[i]))).flag, i < 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(read_tree(tree(arena_printf(arena, "color: %s", colors[i]))).color, i);
}

static void yaml_itself(void **state) {
    (void)state;
    assert_string_equal(flat(tree("a: &x {p: 1}\nb: *x\nc: [*x, 2]\n")), "{a:{p:'1'},b:{p:'1'},c:[{p:'1'},'2']}");
    assert_string_equal(flat(tree("a: |\n  x\n  y\nb: >-\n  x\n  y\n")), "{a:'x\ny\n',b:'x y'}");
    assert_string_equal(flat(tree("\xef\xbb\xbf"
                                  "a: \"\\u00b5\"\r\nb: 'it''s'\r\n")),
                        "{a:'\xc2\xb5',b:'it's'}");
    /* An alias is a copy: to change one is not to change the other. */
    struct node *node = tree("a: &x {p: 1}\nb: *x\n");
    struct error err;
    assert_int_equal(node_set(node, "a.p=2", arena, &err), 0);
    assert_string_equal(flat(node), "{a:{p:'2'},b:{p:'1'}}");
}

/* config.json of a Hugging Face model is YAML too. */
static void json(void **state) {
    (void)state;
    const struct node *node =
        tree("{\n\t\"architectures\": [\"LlamaForCausalLM\"],\n\t\"rms_norm_eps\": 1e-05,\"head_dim\":128,\n"
             "  \"rope_scaling\": {\"factor\": 8.0, \"rope_type\": \"llama3\"}, \"sliding_window\": null,\n"
             "  \"tie_word_embeddings\": false, \"path\": \"a\\/b\\n\\\"c\\\" \\u00e9\", \"eos_token_id\": [1, 2], "
             "\"empty\": {}, \"none\": []\n}\n");
    assert_string_equal(flat(node),
                        "{architectures:['LlamaForCausalLM'],rms_norm_eps:'1e-05',head_dim:'128',"
                        "rope_scaling:{factor:'8.0',rope_type:'llama3'},sliding_window:~,tie_word_embeddings:'false',"
                        "path:'a/b\n\"c\" \xc3\xa9',eos_token_id:['1','2'],empty:{},none:[]}");
    assert_int_equal(node_get(node, "head_dim")->at.line, 3);
    assert_int_equal(node_get(node, "head_dim")->at.column, 35);
    assert_null(node_get(node, "absent"));
    assert_null(node_get(node_get(node, "architectures"), "head_dim"));
    assert_null(node_get(NULL, "x"));
}

static void merging(void **state) {
    (void)state;
    struct node
        *base =
            tree("a: 1\nb: {x: 1, y: {p: 1, q: 2}}\nc: [1, 2, 3]\nd: word\nonly: {base: {has: 1}, list: [{z: 1}]}\n"),
        *over = tree("b: {y: {q: 5, r: 6}, z: 3}\nc: [{t: 9}]\nd: {now: mapping}\nnew: {over: {has: 2}}\n");
    const char *before = flat(base), *over_before = flat(over);
    struct node *merged = node_merge(base, over, arena);
    assert_string_equal(flat(merged), "{a:'1',b:{x:'1',y:{p:'1',q:'5',r:'6'},z:'3'},c:[{t:'9'}],d:{now:'mapping'},"
                                      "only:{base:{has:'1'},list:[{z:'1'}]},new:{over:{has:'2'}}}");
    /* Neither was changed, nor is by what happens to the result. */
    struct error err;
    static const char *const paths[] = {
        "a",     "b.x",           "b.y.p",          "b.z",           "b.y.new",     "c.0.t",
        "d.now", "only.base.has", "only.base.more", "only.list.0.z", "new.over.has"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(node_set(merged, arena_printf(arena, "%s=#", paths[i]), arena, &err), 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(node_set(merged, arena_printf(arena, "%s=100", paths[i]), arena, &err), 0);
    assert_string_equal(flat(merged),
                        "{a:'100',b:{x:'100',y:{p:'100',q:'5',r:'6',new:'100'},z:'100'},c:[{t:'100'}],d:{now:'100'},"
                        "only:{base:{has:'100',more:'100'},list:[{z:'100'}]},new:{over:{has:'100'}}}");
    assert_string_equal(flat(base), before);
    assert_string_equal(flat(over), over_before);
    assert_string_equal(flat(node_without(base, "b", arena)),
                        "{a:'1',c:['1','2','3'],d:'word',only:{base:{has:'1'},list:[{z:'1'}]}}");
    assert_string_equal(flat(node_without(base, "absent", arena)), before);
}

/* The including file wins over the included, a later include over an earlier one; places stay those of the lines. */
static void including(void **state) {
    (void)state;
    assert_int_equal(mkdir(arena_printf(arena, "%s/sub", folder), 0700), 0);
    file("sub/base.yaml", "color: red\ncount: 1\ninner: {latency: 1 us, depth: 1}\n");
    file("sub/middle.yaml", "include: base.yaml\ncount: 2\ninner: {depth: 2}\n");
    file("other.yaml", "tokens: 5\ncount: 3\n");
    file("top.yaml", "title: mine\ninclude: [sub/middle.yaml, other.yaml]\ninner: {depth: 4}\n");
    struct node *node = tree_of_file("top.yaml");
    struct everything e = read_tree(node);
    assert_true(e.color == 0 && e.count == 3 && e.tokens == 5 && e.inner.depth == 4 && e.inner.latency_s == 1e-6);
    assert_null(node_get(node, "include"));
    assert_string_equal(node_get(node, "color")->at.file, arena_printf(arena, "%s/sub/base.yaml", folder));
    assert_int_equal(node_get(node, "count")->at.line, 2);
    assert_string_equal(node_get(node, "inner")->at.file, arena_printf(arena, "%s/top.yaml", folder));
    /* Inside a mapping, and twice the same file: not a cycle. */
    file("nested.yaml", "a: {include: sub/base.yaml, count: 8}\nb: {include: sub/base.yaml}\n");
    assert_string_equal(flat(tree_of_file("nested.yaml")),
                        "{a:{color:'red',count:'8',inner:{latency:'1 us',depth:'1'}},"
                        "b:{color:'red',count:'1',inner:{latency:'1 us',depth:'1'}}}");
    file("empty.yaml", "");
    assert_string_equal(flat(tree_of_file("empty.yaml")), "{}");
}

static const char *set(const char *text, const char *assignment) {
    struct node *node = tree(text);
    struct error err;
    if (node_set(node, assignment, arena, &err) != 0)
        fail_msg("%s", err.text);
    return flat(node);
}

static void setting(void **state) {
    (void)state;
    static const char text[] = "a: {b: {c: 1}}\ntiers: [{name: hbm}, {name: dram, capacity: 1 TB}]\nnothing:\n";
    assert_string_equal(set("{}", "a=1"), "{a:'1'}");
    assert_string_equal(set("", "a.b.c=x=y"), "{a:{b:{c:'x=y'}}}");
    assert_string_equal(set(text, "a.b.c=2"),
                        "{a:{b:{c:'2'}},tiers:[{name:'hbm'},{name:'dram',capacity:'1 TB'}],nothing:~}");
    assert_string_equal(set(text, "a.b=2"), "{a:{b:'2'},tiers:[{name:'hbm'},{name:'dram',capacity:'1 TB'}],nothing:~}");
    assert_string_equal(set(text, "tiers.dram.capacity=2 TB"),
                        "{a:{b:{c:'1'}},tiers:[{name:'hbm'},{name:'dram',capacity:'2 TB'}],nothing:~}");
    assert_string_equal(set(text, "tiers.1.capacity=2 TB"),
                        "{a:{b:{c:'1'}},tiers:[{name:'hbm'},{name:'dram',capacity:'2 TB'}],nothing:~}");
    assert_string_equal(set(text, "tiers.0=[1, {x: 2}]"),
                        "{a:{b:{c:'1'}},tiers:[['1',{x:'2'}],{name:'dram',capacity:'1 TB'}],nothing:~}");
    assert_string_equal(set("tiers: [{name: hbm}]", "tiers.hbm.evict={name: lru, k: 2}"),
                        "{tiers:[{name:'hbm',evict:{name:'lru',k:'2'}}]}");
    assert_string_equal(set("", "\xc2\xb5.+ \xf0\x9f\x98\x80=1"), "{\xc2\xb5:{+ \xf0\x9f\x98\x80:'1'}}");
    assert_string_equal(set("nothing:\n", "nothing.below=1"), "{nothing:{below:'1'}}");
    assert_string_equal(set("a: 5\n", "a="), "{a:~}"); /* the default again */
    assert_string_equal(set("a: 5\n", "a=\"\""), "{a:''}");
    struct node *node = tree("");
    struct error err;
    assert_int_equal(node_set(node, "title=here", arena, &err), 0);
    assert_string_equal(read_tree(node).title_at.file, "--set title=here");
}

static void printing(void **state) {
    (void)state;
    assert_string_equal(node_print(tree("{a: 1, b: {c: [x, 'y: z', {d: }], e: {}}, f: []}"), arena),
                        "a: 1\nb:\n  c:\n    - x\n    - \"y: z\"\n    -\n      d:\n  e: {}\nf: []\n");
    /* What is printed reads back the same, whatever is in it. */
    static const char *const texts[] = {
        "a: 1\nb: [1, [2, [3, {c: {d: e}}]]]\n",
        "title: \"null\"\nother: '~'\nempty: ''\nnothing:\nlist: [null, '', ~]\n",
        "a: |\n  - not a list\n  key: no\n\n  end  \nb: '- x'\nc: '? y'\nd: '--- z'\ne: ' padded '\nf: -5\ng: -.5\nh: "
        "'...'\n",
        "'- key': 1\n'a: b': 2\n'': 3\n'null': 4\n' x': 5\n'?': 6\n'#': 7\n? long\n: 8\n",
        "a: \"\\x01\\t\\r\\n\\e\\x7f\\x85\\u2028 x \\u2029 \\x85 \\ufeff\\U0001f600\\\\\\\"\"\nb: \xc2\xb5s "
        "\xe2\x82\xac "
        "\xf0\x9f\x98\x80\n",
        "a: 12:30\nb: 50 %\nc: $2.95/h\nd: '@x'\ne: 'a, b'\nf: \"it's\"\ng: '%'\nh: '`'\ni: '!t'\nj: '&a'\nk: '*a'\nl: "
        "'<<'\nm: '='\n",
        "[1, {a: b}, [], {}, [[]], [{}], -, ?x, <, =]\n",
        "word\n",
        "\"\"\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct node *node = tree(texts[i]);
        const char *printed = node_print(node, arena);
        assert_string_equal(flat(tree(printed)), flat(node));
        assert_string_equal(node_print(tree(printed), arena), printed);
    }
}

static void catalogues(void **state) {
    (void)state;
    char home[4096], *given = getenv("TIERSIM_CONFIGS");
    assert_non_null(getcwd(home, sizeof home));
    if (given)
        given = arena_strdup(arena, given);
    assert_int_equal(mkdir(arena_printf(arena, "%s/configs", folder), 0700), 0);
    assert_int_equal(mkdir(arena_printf(arena, "%s/configs/gadgets", folder), 0700), 0);
    assert_int_equal(mkdir(arena_printf(arena, "%s/more", folder), 0700), 0);
    assert_int_equal(mkdir(arena_printf(arena, "%s/more/gadgets", folder), 0700), 0);
    file("configs/gadgets/zeta.yaml", "");
    file("configs/gadgets/both.yaml", "");
    file("configs/gadgets/README.md", "");
    file("more/gadgets/both.yaml", "");
    file("more/gadgets/alpha.yaml", "");
    assert_int_equal(chdir(folder), 0);
    setenv("TIERSIM_CONFIGS", arena_printf(arena, "%s/more", folder), 1);
    struct list names = catalogue_names("gadgets", arena);
    const char *const *name = names.items;
    assert_int_equal(names.count, 3);
    assert_true(!strcmp(name[0], "alpha") && !strcmp(name[1], "both") && !strcmp(name[2], "zeta"));
    assert_int_equal(catalogue_names("nothing", arena).count, 0);
    const char *path;
    struct error err;
    struct place at = {"s.yaml", 2, 6};
    assert_int_equal(catalogue_find("gadgets", "both", at, arena, &path, &err), 0);
    assert_string_equal(path, "configs/gadgets/both.yaml"); /* the working directory first */
    assert_int_equal(catalogue_find("gadgets", "alpha", at, arena, &path, &err), 0);
    assert_string_equal(path, arena_printf(arena, "%s/more/gadgets/alpha.yaml", folder));
    assert_int_equal(catalogue_find("gadgets", "more/gadgets/alpha.yaml", at, arena, &path, &err), 0);
    assert_string_equal(path, "more/gadgets/alpha.yaml");
    assert_int_equal(catalogue_find("gadgets", "alpa", at, arena, &path, &err), -1);
    assert_string_equal(err.text, "s.yaml:2:6: no 'alpa' in configs/gadgets\n  hint: did you mean 'alpha'?");
    assert_int_equal(catalogue_find("gadgets", "something", at, arena, &path, &err), -1);
    assert_non_null(strstr(err.text, "s.yaml:2:6: no 'something' in configs/gadgets\n  hint: "));
    assert_int_equal(catalogue_find("gadgets", "alpha.yaml", at, arena, &path, &err), -1);
    assert_string_equal(
        err.text, "s.yaml:2:6: cannot read 'alpha.yaml'\n  hint: check the path; it counts from the working directory");
    if (given)
        setenv("TIERSIM_CONFIGS", given, 1);
    else
        unsetenv("TIERSIM_CONFIGS");
    assert_int_equal(chdir(home), 0);
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
        TEST(defaults),    TEST(every_kind), TEST(words_for_yes_and_no),
        TEST(yaml_itself), TEST(json),       TEST(merging),
        TEST(including),   TEST(setting),    TEST(printing),
        TEST(catalogues),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
