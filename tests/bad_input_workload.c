/* Is a broken trace refused at its line, with what is wrong and the remedy? Through the readers, on text in memory;
 * what files alone can have (zstd, directories) through files. */
#include "tests/workload.h"

static void refused(const char *format, const char *text, const char *message) {
    struct trace *trace;
    struct error err = {0};
    if (trace_read_text(text, strlen(text), "t", format, true, &trace, &err) == 0)
        fail_msg("%s was taken", text);
    assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
    assert_string_equal(err.text, message);
}

#define LINE "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [1, 2]}\n"

static void mooncake(void **state) {
    (void)state;
    refused("mooncake", LINE LINE "{\"timestamp\": 1, \"input_le",
            "t:3:1: not a JSON line: A string is opened, but never closed.\n"
            "  hint: mend or drop the line; is the file cut off?");
    refused("mooncake",
            LINE "\n"
                 "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [1]}",
            "t:3:1: 1 hash_ids for 600 input tokens\n"
            "  hint: there is one for each 512 tokens, the last may be partial");
    refused("mooncake", "{\"timestamp\": 0, \"input_length\": 0, \"output_length\": 5, \"hash_ids\": []}",
            "t:1:1: 'input_length' is 0, outside 1 to 100000000\n  hint: mend or drop the line");
    refused("mooncake", "{\"timestamp\": -5, \"input_length\": 1, \"output_length\": 5, \"hash_ids\": [1]}",
            "t:1:1: 'timestamp' is not a time in milliseconds\n  hint: mend or drop the line");
    refused("mooncake", "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 5, \"hash_ids\": [1.5]}",
            "t:1:1: 'hash_ids' holds something that is not a whole number\n  hint: mend or drop the line");
    refused("mooncake", "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 5}",
            "t:1:1: 'hash_ids' is missing\n  hint: a list of block hashes, one for each 512 tokens");
}

static void azure(void **state) {
    (void)state;
    static const char head[] = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4808,10\n";
    static const char *const rows[] = {"2023-11-16 18:17", "2023-11-16 18:17:04,48", "2023-11-16 18:17:04,48,-1",
                                       "a,b,c", "2023-11-16 18:17:04,48,1,2"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s%s\n", head, rows[i]);
        refused("azure", text,
                "t:3:1: not 'TIMESTAMP,ContextTokens,GeneratedTokens'\n"
                "  hint: as in 2023-11-16 18:17:03.97,4808,10; mend or drop the line");
    }
}

static void azure_times(void **state) {
    (void)state;
    refused("azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-13-16 18:17:04,48,1\n",
            "t:2:1: '2023-13-16 18:17:04' is not a time\n  hint: as in 2023-11-16 18:17:03.97");
    refused("azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 24:17:04,48,1\n",
            "t:2:1: '2023-11-16 24:17:04' is not a time\n  hint: as in 2023-11-16 18:17:03.97");
}

static void bailian(void **state) {
    (void)state;
    refused(
        "bailian",
        "{\"chat_id\": 1, \"parent_chat_id\": -1, \"timestamp\": \"x\", \"input_length\": 40, \"output_length\": 9, "
        "\"type\": \"text\", \"turn\": 1, \"hash_ids\": [1, 2, 3]}",
        "t:1:1: 'timestamp' is not a time in seconds\n  hint: mend or drop the line");
}

static void agentic(void **state) {
    (void)state;
    struct trace *trace;
    struct error err = {0};
    static const char *const texts[] = {
        "{\"block_size\": 64, \"requests\": [{\"t\": 0.0, \"in\": 1", "{\"block_size\": 16, \"requests\": []}",
        "{\"block_size\": 64, \"tool_tokens\": 0, \"system_tokens\": 0, \"requests\": [{\"t\": -1, \"type\": \"n\", "
        "\"in\": 1, \"out\": 1, \"hash_ids\": [1]}]}",
        "{\"block_size\": 64, \"tool_tokens\": 0, \"system_tokens\": 0, \"requests\": [{\"t\": 0, \"type\": \"n\", "
        "\"in\": 0, \"out\": 1, \"hash_ids\": [1]}]}",
        "{\"block_size\": 64, \"tool_tokens\": 0, \"system_tokens\": 0, \"requests\": 7}"};
    static const char *const parts[] = {
        "t:1:1: not JSON: ", "t:1:1: block_size is not 64\n  hint: this reader takes 64-token blocks", "request 0: 't'",
        "'in'", "requests"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_not_equal(trace_read_text(texts[i], strlen(texts[i]), "t", "agentic", true, &trace, &err), 0);
        assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
        if (strncmp(err.text, "t:1:1: ", 7) != 0 || !strstr(err.text, parts[i]) || !strstr(err.text, "\n  hint: "))
            fail_msg("%s", err.text);
    }
}

static void unknown(void **state) {
    (void)state;
    static const char message[] = "t:1:1: no known trace format begins like this\n  hint: Mooncake or Bailian JSONL, "
                                  "Azure CSV, agentic JSON, plain or .zst; or give format:";
    refused(NULL, "hello\n", message);
    refused(NULL, "", message);
}

static void files(void **state) {
    (void)state;
    struct arena *arena = arena_create();
    struct trace *trace;
    struct error err = {0};
    char *path = arena_printf(arena, "/tmp/tiersim-cut-%d.zst", (int)getpid());
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fputs("\x28\xb5\x2f\xfd\x04", out);
    fclose(out);
    assert_int_not_equal(trace_load(path, NULL, true, &trace, &err), 0);
    assert_string_equal(err.text, arena_printf(arena,
                                               "%s:1:1: not whole zstd data: it ends too early, or is too large\n"
                                               "  hint: is the file cut off?",
                                               path));
    unlink(path);
    assert_int_not_equal(trace_load("/tmp/no/such/trace", NULL, true, &trace, &err), 0);
    assert_string_equal(err.text, "cannot read trace '/tmp/no/such/trace': No such file or directory\n"
                                  "  hint: check the path, or set TIERSIM_TRACES");
    struct trace_pace pace = {.load = 1};
    struct workload *workload = open_text(
        "{generate: {duration: 9 s, arrivals: {process: poisson, rate: 1/s}, first_prompt: {kind: constant, mean: 9}, "
        "output: {kind: constant, mean: 1}, turns: {kind: constant, mean: 1}}}",
        1, 1, arena);
    assert_int_not_equal(trace_write(workload, &pace, "/tmp/no/such/trace", &err), 0);
    assert_string_equal(err.text, "cannot write '/tmp/no/such/trace': No such file or directory\n"
                                  "  hint: is there room, and may you write there?");
    workload_close(workload);
    arena_destroy(arena);
}

static void opening(const char *text, const char *message) {
    struct arena *arena = arena_create();
    struct workload_options options = {0};
    struct workload *workload;
    struct node *node;
    struct error err = {0};
    assert_int_equal(node_read_text(text, strlen(text), "w", arena, &node, &err), 0);
    assert_true(load_workload(node, arena, &options, &err) != 0 || workload_open(&options, 1, 1, &workload, &err) != 0);
    assert_int_equal(err.exit_code, EXIT_BAD_INPUT);
    assert_string_equal(err.text, message);
    arena_destroy(arena);
}

static void workloads(void **state) {
    (void)state;
    opening("{trace: nowhere.jsonl}",
            "w:1:9: no trace 'nowhere.jsonl' here, in $TIERSIM_TRACES or in ../shared/traces\n"
            "  hint: check the name, or set TIERSIM_TRACES to the traces' directory");
    opening("{trace: a, format: monocake}",
            "w:1:20: unknown trace format 'monocake'\n  hint: did you mean 'mooncake'?");
    opening("{trace: a, generate: {}}", "w:1:22: a workload is a trace or a generator, not both\n"
                                        "  hint: leave out trace: or generate:");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mooncake), cmocka_unit_test(azure),     cmocka_unit_test(azure_times),
        cmocka_unit_test(bailian),  cmocka_unit_test(agentic),   cmocka_unit_test(unknown),
        cmocka_unit_test(files),    cmocka_unit_test(workloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
