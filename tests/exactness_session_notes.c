/* Does a run tell eviction policies of sessions what is true, and only those who asked? Its access log says what each
 * tier was told: two recorded sessions, one of which ends in a call of a tool. And a closed loop, which has no future,
 * refuses who needs one. */
#include <stdbool.h>

#include "tests/run_verb.h"

static char folder[] = "/tmp/tiersim-notes-XXXXXX";

/* A session of requests `gap` seconds apart, each with one block more; `stop` of all but the last. */
static void put_session(const char *name, double begin, double gap, int requests, const char *stop, int first_id) {
    char text[8192];
    int length = snprintf(text, sizeof text,
                          "{\"id\": \"%s\", \"models\": [\"m\"], \"block_size\": 64, \"hash_id_scope\": \"local\", "
                          "\"tool_tokens\": 0, \"system_tokens\": 0, \"requests\": [",
                          name);
    for (int r = 0; r < requests; r++) {
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "%s{\"t\": %g, \"type\": \"n\", \"in\": %d, \"out\": 8, \"hash_ids\": [", r ? ", " : "",
                           begin + r * gap, 64 * (r + 2));
        for (int b = 0; b < r + 2; b++)
            length += snprintf(text + length, sizeof text - (size_t)length, "%s%d", b ? ", " : "", first_id + b);
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "], \"stop\": \"%s\", \"api_time\": 1, \"think_time\": %g}",
                           r + 1 < requests ? stop : "end_turn", r ? gap - 1 : 0);
    }
    snprintf(text + length, sizeof text - (size_t)length, "]}");
    put_file(folder, name, text);
}

static int make_folder(void **unused) {
    (void)unused;
    char path[128];
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "mkdir %s/sessions", folder);
    if (system(path) != 0)
        return -1;
    put_session("sessions/a.json", 0, 10, 3, "tool_use", 1);
    put_session("sessions/b.json", 3, 14, 2, "end_turn", 100);
    return 0;
}
static int drop_folder(void **unused) {
    (void)unused;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void put_scenario(const char *policy, const char *loop) {
    char text[1024];
    snprintf(text, sizeof text,
             "name: notes\nmodel: llama-3.1-8b\nnode: hgx-h100\ninstances: 1\n"
             "serving: {block_tokens: 64, kv_capacity: 1 GB}\n"
             "workload: {trace: sessions, format: agentic%s}\n"
             "tiers: [{name: hbm, evict: %s}, {name: dram, capacity: 1 GB, write: eviction, evict: lru}]\n",
             loop, policy);
    put_file(folder, "notes.yaml", text);
}

/* The log's notes as `event position session context returns`, one a line, of the tier with number `unit`. */
static void notes_of(const char *policy, int unit, char *out, size_t size) {
    put_scenario(policy, "");
    struct said said = RUN_VERB(run, folder, "notes.yaml", "--access-log", "seen", "--json");
    if (said.code != 0)
        fail_msg("%s: %s", policy, said.err);
    said_free(&said);
    char path[128], line[65536];
    snprintf(path, sizeof path, "%s/seen", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = 0;
    out[0] = 0;
    while (fgets(line, sizeof line, file)) {
        int of, event;
        long long at;
        unsigned tool, position;
        unsigned long long session, context;
        double returns;
        if (sscanf(line, "%d %lld note event %d tool %u position %u session %llu context %llu returns %lf", &of, &at,
                   &event, &tool, &position, &session, &context, &returns) != 8 ||
            of != unit)
            continue;
        static const char *const names[] = {"queued", "started", "tool", "turn", "ended", "steps"};
        length += (size_t)snprintf(out + length, size - length, "%s %u %llu %llu %g\n", names[event], position, session,
                                   context, returns);
    }
    fclose(file);
}

/* Requests come as a0 b0 a1 b1 a2. kvflow needs the sessions' order: it is told how many requests lie between. */
static void told(void **unused) {
    (void)unused;
    char notes[8192];
    notes_of("kvflow", 0, notes, sizeof notes);
    assert_string_equal(notes, "started 0 0 128 -1\ntool 0 0 136 1\nsteps 2 0 136 1\n"
                               "started 0 1 128 -1\nturn 0 1 136 1\nsteps 2 1 136 1\n"
                               "started 0 0 192 -1\ntool 0 0 200 1\nsteps 2 0 200 1\n"
                               "started 0 1 192 -1\nturn 0 1 200 0\n"
                               "started 0 0 256 -1\nturn 0 0 264 0\n");
    notes_of("queue-window", 0, notes, sizeof notes);
    assert_ptr_equal(strstr(notes, "queued 0 0 128 -1\nstarted 0 0 128 -1\ntool 0 0 136 -1\nqueued 0 1 128 -1\n"),
                     notes);
    assert_null(strstr(notes, "steps"));
}

/* Without the future nobody knows who returns; and the log is told even where no policy listens. */
static void not_told(void **unused) {
    (void)unused;
    char notes[8192];
    notes_of("spare-tail", 0, notes, sizeof notes);
    assert_non_null(strstr(notes, "turn 0 1 200 -1\n"));
    assert_null(strstr(notes, "steps"));
    assert_null(strstr(notes, "queued"));
    notes_of("lru", 1, notes, sizeof notes);
    assert_non_null(strstr(notes, "tool 0 0 200 -1\n"));
}

static void closed_loop(void **unused) {
    (void)unused;
    static const char *const clairvoyant[] = {"belady", "kvflow", "continuation"};
    for (size_t i = 0; i < 3; i++) {
        put_scenario(clairvoyant[i], ", closed_loop: yes");
        struct said said = RUN_VERB(run, folder, "notes.yaml", "--json");
        if (!strstr(said.err, "a clairvoyant policy needs the future, which a closed loop does not have") &&
            !strstr(said.out, "a clairvoyant policy needs the future, which a closed loop does not have"))
            fail_msg("%s: %s%s", clairvoyant[i], said.err, said.out);
        said_free(&said);
    }
    static const char *const seeing[] = {"spare-tail", "queue-window", "marconi", "cost-per-idle"};
    for (size_t i = 0; i < 4; i++) {
        put_scenario(seeing[i], ", closed_loop: yes");
        struct said said = RUN_VERB(run, folder, "notes.yaml", "--json");
        if (said.code != 0)
            fail_msg("%s: %s", seeing[i], said.err);
        said_free(&said);
    }
}

/* Who sees the future is marked where its figures stand. */
static void marked(void **unused) {
    (void)unused;
    static const struct {
        const char *policy;
        bool sees;
    } cases[] = {{"lru", false}, {"belady", true}, {"kvflow", true}, {"continuation", true}, {"queue-window", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_scenario(cases[i].policy, "");
        struct said table = RUN_VERB(run, folder, "notes.yaml"), json = RUN_VERB(run, folder, "notes.yaml", "--json");
        assert_true(table.code == 0 && json.code == 0);
        assert_true((strstr(table.out, " ^ ") != NULL) == cases[i].sees);
        assert_true((strstr(table.out, "^ has a policy that sees the trace's future") != NULL) == cases[i].sees);
        assert_non_null(strstr(json.out, cases[i].sees ? "\"clairvoyant\":true" : "\"clairvoyant\":false"));
        said_free(&table);
        said_free(&json);
    }
}

int main(void) {
    catalogues_from_here();
    const struct CMUnitTest tests[] = {cmocka_unit_test(told), cmocka_unit_test(not_told),
                                       cmocka_unit_test(closed_loop), cmocka_unit_test(marked)};
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
