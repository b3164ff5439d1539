/* Do the pages hold? Every relative link of every page leads somewhere, every `tiersim` line of the README runs, and
 * docs/extend.md and docs/own-measurements.md can be followed to the letter: their files are saved and their lines run
 * in an empty folder. */
#include "sim/cli/verbs.h"
#include "tests/run_verb.h"

#include <ctype.h>
#include <ftw.h>
#include <stdbool.h>

static char *read_page(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot read %s", path);
    return run_taken(file);
}

/* ---- links ---- */

static int links_seen, links_broken;

/* One (target) of a page; `size` without the brackets. */
static void check_link(const char *page, const char *target, size_t size) {
    const char *slash = strrchr(page, '/'), *hash = memchr(target, '#', size);
    if (hash)
        size = (size_t)(hash - target);
    if (size == 0 || memchr(target, ':', size) || memchr(target, ' ', size))
        return; /* within the page, or elsewhere in the world */
    char path[4096];
    snprintf(path, sizeof path, "%.*s/%.*s", (int)(slash - page), page, (int)size, target);
    links_seen++;
    if (access(path, R_OK) != 0) {
        print_error("%s: %.*s is not there\n", page, (int)size, target);
        links_broken++;
    }
}

static int check_page(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    const char *name = path + walk->base;
    if (kind == FTW_D && walk->level > 0 && (name[0] == '.' || strncmp(name, "build", 5) == 0))
        return FTW_SKIP_SUBTREE;
    size_t length = strlen(name);
    if (kind != FTW_F || length < 3 || strcmp(name + length - 3, ".md") != 0)
        return FTW_CONTINUE;
    char *text = read_page(path);
    for (const char *at = text; (at = strstr(at, "]("));) {
        at += 2;
        check_link(path, at, strcspn(at, ")\n"));
    }
    free(text);
    return FTW_CONTINUE;
}

static void links_lead_somewhere(void **state) {
    (void)state;
    assert_int_equal(nftw(".", check_page, 16, FTW_PHYS | FTW_ACTIONRETVAL), 0);
    assert_true(links_seen > 20);
    assert_int_equal(links_broken, 0);
}

/* ---- commands ---- */

static bool have_trace(const char *name) {
    char path[4096];
    const char *traces = getenv("TIERSIM_TRACES");
    snprintf(path, sizeof path, "%s/%s", traces ? traces : "../shared/traces", name);
    return access(path, R_OK) == 0;
}

static int (*find_verb(const char *name))(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*verb)(int argc, char **argv);
    } verbs[] = {{"run", verb_run},           {"step", verb_step}, {"transfer", verb_transfer}, {"cache", verb_cache},
                 {"validate", verb_validate}, {"list", verb_list}, {"fit", verb_fit},           {"trace", verb_trace},
                 {"docs", verb_docs},         {"why", verb_why}};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].verb;
    fail_msg("the page names a verb '%s'", name);
    return NULL;
}

/* The next word as a shell takes it: up to a space, or between single quotes; NULL after the last. */
static char *next_word(char **rest) {
    char *word = *rest + strspn(*rest, " ");
    if (!*word)
        return NULL;
    bool quoted = *word == '\'';
    word += quoted;
    char *end = word + strcspn(word, quoted ? "'" : " ");
    *rest = *end ? end + 1 : end;
    *end = 0;
    return word;
}

/* A line of a page, without its comment, as a user would give it; `more` words follow (NULL-ended). */
static void run_line(const char *folder, const char *line, const char *const *more) {
    char *copy = strdup(line), *rest = copy, *hash = strstr(copy, "  #");
    if (hash)
        *hash = 0;
    const char *words[VERB_WORDS_MAX] = {0};
    int count = 0;
    for (char *word; count < VERB_WORDS_MAX - 8 && (word = next_word(&rest));)
        words[count++] = word;
    assert_true(count >= 2);
    int (*verb)(int argc, char **argv) = find_verb(words[1]);
    char name[64];
    snprintf(name, sizeof name, "tiersim %s", words[1]);
    words[1] = name;
    bool runs = strcmp(name, "tiersim run") == 0, asks_why = strcmp(name, "tiersim why") == 0;
    for (; (runs || asks_why) && *more; more++)
        if (runs || strcmp(*more, "--no-search") != 0) /* which `why` does not do unasked */
            words[count++] = *more;
    struct said said = run_words(verb, folder, words + 1);
    if (said.code != EXIT_FINE)
        fail_msg("%s\n%s", line, said.err);
    assert_true(*said.out || strcmp(name, "tiersim fit") == 0); /* which writes files */
    said_free(&said);
    free(copy);
}

/* Calls `act` for each line of each fenced block of `kind`. */
static int each_line_of(const char *page, const char *kind, void (*act)(void *self, const char *line), void *self) {
    char *text = read_page(page), *rest = NULL, fence[32];
    snprintf(fence, sizeof fence, "```%s", kind);
    bool within = false;
    int lines = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "```", 3) == 0)
            within = !within && strcmp(line, fence) == 0;
        else if (within) {
            act(self, line);
            lines++;
        }
    }
    free(text);
    return lines;
}

/* What the README's runs take is cut short: that they can be given is asked here, what they say elsewhere. */
static void run_short(void *self, const char *line) {
    static const char *const cut[] = {"--no-search", "--set", "warmup=0", "--set", "stop_after=20 s", NULL};
    bool needs_trace = strstr(line, "mooncake") != NULL;
    if (strncmp(line, "tiersim ", 8) != 0)
        return;
    if (needs_trace && !have_trace("mooncake/conversation_trace.jsonl"))
        print_message("not asked, for want of its trace: %s\n", line);
    else
        run_line(self, line, cut);
}

/* ---- an empty folder ---- */

struct scratch {
    char here[2048], folder[64];
};

static int scratch_open(void **state) {
    struct scratch *scratch = calloc(1, sizeof *scratch);
    assert_non_null(scratch);
    assert_non_null(getcwd(scratch->here, sizeof scratch->here));
    strcpy(scratch->folder, "/tmp/tiersim-docs-XXXXXX");
    assert_non_null(mkdtemp(scratch->folder));
    char command[4096], traces[4096];
    snprintf(command, sizeof command, "cp -R configs '%s' && mkdir '%s/docs' && cp -R docs/examples '%s/docs'",
             scratch->folder, scratch->folder, scratch->folder);
    assert_int_equal(system(command), 0);
    snprintf(traces, sizeof traces, "%s/../shared/traces", scratch->here);
    setenv("TIERSIM_TRACES", traces, 0);
    setenv("CPATH", scratch->here, 1); /* for -I. of the plugin */
    *state = scratch;
    return 0;
}

static int scratch_close(void **state) {
    struct scratch *scratch = *state;
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch->folder);
    int failed = system(command);
    free(scratch);
    return failed;
}

static void readme_commands_run(void **state) {
    struct scratch *scratch = *state;
    assert_true(each_line_of("README.md", "sh", run_short, scratch->folder) >= 8);
}

/* ---- docs/extend.md ---- */

/* Saves each block that stands below a line "`NAME`:". Returns how many. */
static int save_blocks(const char *page, const char *folder) {
    char *text = read_page(page), name[256];
    int count = 0;
    for (char *at = text, *open; (open = strstr(at, "`:\n```"));) {
        char *begin = open;
        while (begin > text && begin[-1] != '\n')
            begin--;
        assert_int_equal(*begin, '`');
        snprintf(name, sizeof name, "%.*s", (int)(open - begin - 1), begin + 1);
        char *body = strchr(open + 6, '\n') + 1, *end = strstr(body, "\n```");
        assert_non_null(end);
        end[1] = 0;
        char command[512];
        const char *slash = strrchr(name, '/');
        snprintf(command, sizeof command, "mkdir -p '%s/%.*s'", folder, slash ? (int)(slash - name) : 0, name);
        assert_int_equal(system(command), 0);
        put_file(folder, name, body);
        at = end + 2;
        count++;
    }
    free(text);
    return count;
}

static void run_extend_line(void *self, const char *line) {
    static const char *const nothing[] = {NULL};
    struct scratch *scratch = self;
    if (strncmp(line, "tiersim ", 8) == 0) {
        run_line(scratch->folder, line, nothing);
        return;
    }
    char command[4096];
    snprintf(command, sizeof command, "cd '%s' && %s", scratch->folder, line);
    if (system(command) != 0)
        fail_msg("%s", line);
}

static void extend_can_be_followed(void **state) {
    struct scratch *scratch = *state;
    assert_true(save_blocks("docs/extend.md", scratch->folder) >= 8);
    assert_true(each_line_of("docs/extend.md", "sh", run_extend_line, scratch) >= 10);
}

static void own_measurements_can_be_followed(void **state) {
    struct scratch *scratch = *state;
    assert_int_equal(save_blocks("docs/own-measurements.md", scratch->folder), 2);
    assert_true(each_line_of("docs/own-measurements.md", "sh", run_extend_line, scratch) >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_lead_somewhere),
        cmocka_unit_test_setup_teardown(readme_commands_run, scratch_open, scratch_close),
        cmocka_unit_test_setup_teardown(extend_can_be_followed, scratch_open, scratch_close),
        cmocka_unit_test_setup_teardown(own_measurements_can_be_followed, scratch_open, scratch_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
