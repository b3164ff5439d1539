#include "sim/base/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int error_set(struct error *err, const char *what, ...) {
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(err->text, sizeof err->text, what, arguments);
    va_end(arguments);
    err->exit_code = EXIT_BAD_INPUT;
    return -1;
}

int error_at(struct error *err, struct place at, const char *what, ...) {
    size_t used = 0;
    if (at.file && at.line > 0)
        used = (size_t)snprintf(err->text, sizeof err->text, "%s:%d:%d: ", at.file, at.line, at.column);
    else if (at.file)
        used = (size_t)snprintf(err->text, sizeof err->text, "%s: ", at.file);
    if (used >= sizeof err->text)
        used = sizeof err->text - 1;
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(err->text + used, sizeof err->text - used, what, arguments);
    va_end(arguments);
    err->exit_code = EXIT_BAD_INPUT;
    return -1;
}

enum { NAME_MAX_LENGTH = 64 };

/* Levenshtein's distance with one row kept. */
static size_t edit_distance(const char *a, const char *b) {
    size_t la = strlen(a), lb = strlen(b);
    if (la > NAME_MAX_LENGTH || lb > NAME_MAX_LENGTH)
        return la + lb;
    size_t row[NAME_MAX_LENGTH + 1];
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *error_nearest(const char *name, const char *const *names, size_t count) {
    const char *nearest = NULL;
    size_t best = 1 + strlen(name) / 3;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(name, names[i]);
        if (distance < best || (distance == best && !nearest)) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

_Noreturn void must_fail(const char *file, int line, const char *condition) {
    fprintf(stderr,
            "%s:%d: this must hold and does not: %s\n  hint: a defect of tiersim; please report it with the command "
            "that led here\n",
            file, line, condition);
    abort();
}
