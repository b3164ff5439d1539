/* Errors that end with the remedy.
 *
 * A function that can fail on bad input returns 0 on success and -1 on failure, and takes a
 * `struct error *` as its last argument. The text says where (file:line:column when there is a file),
 * what is wrong, and on a second line that begins with "  hint: " what to do about it.
 * MUST() is for what can only be false through a defect of ours; it is never compiled out. */
#ifndef SIM_BASE_ERROR_H
#define SIM_BASE_ERROR_H

#include <stdio.h>

enum exit_code { EXIT_FINE = 0, EXIT_RUN_FAILED = 1, EXIT_BAD_INPUT = 2 };

/* Where in an input file something stands. line and column count from 1; line 0: no line known;
 * file NULL: not from a file (then nothing is printed in front of the message). */
struct place {
    const char *file;
    int line, column;
};

struct error {
    enum exit_code exit_code;
    char text[2048];
};

/* Writes "WHAT" into err with exit code 2 and returns -1. `what` should end with "\n  hint: ...". */
int error_set(struct error *err, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* The same with "file:line:column: " in front. */
int error_at(struct error *err, struct place at, const char *what, ...) __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__ /* it does not look into other files, and must know that a refusal is one */
#define error_set(...) (error_set(__VA_ARGS__), -1)
#define error_at(...) (error_at(__VA_ARGS__), -1)
#endif

/* The name among names[0..count) nearest to `name` by edit distance, or NULL when none is near enough
 * (distance over 1 + length/3). For "did you mean" hints. */
const char *error_nearest(const char *name, const char *const *names, size_t count);

/* Prints the broken promise with its place on stderr and aborts. */
_Noreturn void must_fail(const char *file, int line, const char *condition);
#define MUST(condition) ((condition) ? (void)0 : must_fail(__FILE__, __LINE__, #condition))

#endif
