/* Runs a verb as a user would: in a process of its own, from a folder, and with what it says taken down. */
#ifndef TESTS_RUN_VERB_H
#define TESTS_RUN_VERB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/base/error.h"
#include "sim/cli/args.h"
#include "sim/cli/verbs.h"

enum { VERB_WORDS_MAX = 48, RUN_PADDING = 65 }; /* the JSON reader looks beyond the end */
/* What a verb said; free it with said_free. */
struct said {
    int code; /* exit code; -1: a signal ended it */
    char *out, *err;
};

static inline char *run_taken(FILE *file) {
    long size = ftell(file) < 0 || fseek(file, 0, SEEK_END) != 0 ? 0 : ftell(file);
    char *text = calloc(1, (size_t)size + RUN_PADDING);
    assert_non_null(text);
    rewind(file);
    assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    return text;
}

/* `words`: the arguments, NULL-ended; words[0] is "tiersim VERB". `folder` NULL: where the test runs. */
static inline struct said run_words(int (*verb)(int argc, char **argv), const char *folder, const char *const *words) {
    FILE *out = tmpfile(), *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *arguments[VERB_WORDS_MAX] = {0};
        int count = 0;
        for (; words[count] && count < VERB_WORDS_MAX - 1; count++)
            arguments[count] = strdup(words[count]);
        if (dup2(fileno(out), 1) < 0 || dup2(fileno(err), 2) < 0 || (folder && chdir(folder) != 0))
            _exit(99);
        argp_err_exit_status = EXIT_BAD_INPUT; /* as main() does */
        int code = verb(count, arguments);
        for (int i = 0; i < count; i++)
            free(arguments[i]);
        exit(code); /* with the sanitizers' last look */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    struct said said = {.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
    said.out = run_taken(out);
    said.err = run_taken(err);
    return said;
}
#define RUN_VERB(verb, folder, ...)                                                                                    \
    run_words(verb_##verb, folder, (const char *const[]){"tiersim " #verb, __VA_ARGS__, NULL})

static inline void said_free(struct said *said) {
    free(said->out);
    free(said->err);
    *said = (struct said){0};
}

/* Writes a file of a test. */
static inline void put_file(const char *folder, const char *name, const char *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The catalogues are found from any folder. */
static inline void catalogues_from_here(void) {
    char here[2048], path[4096];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "%s/configs", here);
    assert_int_equal(setenv("TIERSIM_CONFIGS", path, 1), 0);
}

#endif
