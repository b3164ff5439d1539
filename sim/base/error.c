#include "sim/base/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SHOWN = 512 };

/* The last "\n  hint: " of a message; its end where there is none. */
static const char *remedy_of(const char *text) {
    static const char mark[] = "\n  hint: ";
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, mark)); at++)
        last = at;
    return last ? last : text + strlen(text);
}

/* Formats into err->text from `used` on. A message that is too long loses its middle, never its remedy: bad input can
 * be of any length, and is quoted. */
static int describe(struct error *err, size_t used, const char *what, va_list arguments) {
    char *full = NULL, *out = err->text + used;
    size_t room = sizeof err->text - used;
    err->exit_code = EXIT_BAD_INPUT;
    *out = 0;
    if (vasprintf(&full, what, arguments) < 0)
        return -1;
    size_t length = strlen(full);
    if (length < room) {
        memcpy(out, full, length + 1);
    } else {
        const char *remedy = remedy_of(full);
        size_t tail = strlen(remedy) < room / 2 ? strlen(remedy) : room / 2;
        size_t head = room - 1 - 3 - tail, before = (size_t)(remedy - full);
        if (head > before)
            head = before;
        snprintf(out, room, "%.*s...%.*s", (int)head, full, (int)tail, remedy);
    }
    free(full);
    return -1;
}

int(error_set)(struct error *err, const char *what, ...) {
    va_list arguments;
    va_start(arguments, what);
    describe(err, 0, what, arguments);
    va_end(arguments);
    return -1;
}

int(error_at)(struct error *err, struct place at, const char *what, ...) {
    int used = 0;
    if (at.file) {
        size_t length = strlen(at.file);
        const char *cut = length > PATH_SHOWN ? "..." : "", *file = at.file + (*cut ? length - PATH_SHOWN : 0);
        used = at.line > 0 ? snprintf(err->text, sizeof err->text, "%s%s:%d:%d: ", cut, file, at.line, at.column)
                           : snprintf(err->text, sizeof err->text, "%s%s: ", cut, file);
    }
    va_list arguments;
    va_start(arguments, what);
    describe(err, (size_t)used, what, arguments);
    va_end(arguments);
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
