#include "validate/measured.h"

#include <stdlib.h>
#include <string.h>

#include "validate/csv.h"

static int read_row(const struct csv *csv, struct arena *arena, struct measured_rows *out, struct error *err) {
    const char *group = csv_text(csv, "group"), *variant = csv_text(csv, "variant"), *params = csv_text(csv, "params"),
               *note = csv_text(csv, "note");
    double us;
    if (!group || !variant || !params || !note)
        return error_at(err, csv->at,
                        "no columns group, variant, params, note\n  hint: is this the rows.csv of tiersim-calibrate?");
    if (strncmp(note, "SKIPPED", 7) == 0) /* the machine has not what the row needs, or its group's time was over */
        return 0;
    if (strstr(note, "FAILED")) {
        out->failed++;
        return 0;
    }
    if (csv_number(csv, "us_median", &us, err) != 0)
        return -1;
    if (!(us > 0))
        return error_at(err, csv->at, "a time of %g us\n  hint: mend or drop the line", us);
    out->rows[out->count++] = (struct measured){.group = arena_strdup(arena, group),
                                                .variant = arena_strdup(arena, variant),
                                                .params = arena_strdup(arena, params),
                                                .seconds = us * 1e-6,
                                                .at = csv->at};
    return 0;
}

int measured_read(const char *directory, struct arena *arena, struct measured_rows *out, struct error *err) {
    struct csv *csv = arena_alloc(arena, sizeof *csv);
    *out = (struct measured_rows){0};
    if (csv_open(csv, arena_printf(arena, "%s/rows.csv", directory), err) != 0)
        return -1;
    size_t lines = 0;
    while (fgets(csv->line, sizeof csv->line, csv->file))
        lines++;
    csv_rewind(csv);
    out->rows = arena_alloc(arena, (lines + 1) * sizeof *out->rows);
    int more, failed = 0;
    while (!failed && (more = csv_next(csv, err)) != 0)
        failed = more < 0 ? -1 : read_row(csv, arena, out, err);
    csv_close(csv);
    if (!failed && out->count == 0)
        failed = error_at(err, (struct place){csv->at.file, 1, 0}, "no measured row\n  hint: did the run end?");
    return failed;
}

/* Where the word that begins with `text` stands in params; NULL: nowhere. */
static const char *find_word(const char *params, const char *text, size_t length) {
    for (const char *at = params; *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (strncmp(at, text, length) == 0)
            return at;
    return NULL;
}

int measured_number(const struct measured *row, const char *key, double *value, struct error *err) {
    size_t length = strlen(key);
    for (const char *at = row->params; (at = find_word(at, key, length)); at++) {
        if (at[length] != '=')
            continue;
        char *end;
        *value = strtod(at + length + 1, &end);
        if (end > at + length + 1 && (*end == 0 || *end == ' '))
            return 0;
    }
    return error_at(err, row->at, "'%s' has no number %s=\n  hint: is the row of another version?", row->params, key);
}

bool measured_is(const struct measured *row, const char *word) {
    size_t length = strlen(word);
    const char *at = find_word(row->params, word, length);
    return at && (at[length] == 0 || at[length] == ' ');
}

/* Words that may differ between two runs of the same work: random lengths within a range, and how it was split. */
static bool may_differ(const char *word) {
    static const char *const keys[] = {"tokens=", "longest=", "splits="};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strncmp(word, keys[i], strlen(keys[i])) == 0)
            return true;
    return strncmp(word, "rule", 4) == 0 && (word[4] == ' ' || word[4] == 0);
}

static uint64_t hash_more(uint64_t hash, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash;
}

bool measured_held_out(const struct measured *row) {
    uint64_t hash = hash_more(0xcbf29ce484222325u, row->group, strlen(row->group));
    for (const char *at = row->params; *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (!may_differ(at))
            hash = hash_more(hash_more(hash, " ", 1), at, strcspn(at, " "));
    /* The low bits of FNV are the weakest. */
    return (hash >> 32) % 3 == 0;
}

bool measured_step_fitted(const struct measured *row) {
    return strcmp(row->group, "step") == 0 && measured_is(row, "model=qwen2.5-7b") && measured_is(row, "kind=decode") &&
           measured_is(row, "batch=1") && !measured_is(row, "offload=d2h") && !measured_is(row, "offload=h2d");
}

bool measured_same_work(const struct measured *a, const struct measured *b) {
    const char *x = a->params, *y = b->params;
    if (strcmp(a->group, b->group) != 0)
        return false;
    for (;;) {
        while (*x && may_differ(x))
            x += strcspn(x, " "), x += strspn(x, " ");
        while (*y && may_differ(y))
            y += strcspn(y, " "), y += strspn(y, " ");
        size_t length = strcspn(x, " ");
        if (length != strcspn(y, " ") || strncmp(x, y, length) != 0)
            return false;
        if (!*x)
            return true;
        x += length, x += strspn(x, " ");
        y += length, y += strspn(y, " ");
    }
}
