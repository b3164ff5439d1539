#include "validate/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* A field without blanks and quotes around it. */
static char *trim(char *field) {
    while (is_blank(*field))
        field++;
    size_t length = strlen(field);
    while (length > 0 && is_blank(field[length - 1]))
        field[--length] = 0;
    if (length > 1 && field[0] == '"' && field[length - 1] == '"') {
        field[length - 1] = 0;
        field++;
    }
    return field;
}

/* The comma that ends the field; NULL: it is the last. One within quotes does not. */
static char *field_end(char *field) {
    while (is_blank(*field))
        field++;
    if (*field == '"') {
        char *quote = strchr(field + 1, '"');
        while (quote && quote[1] == '"') /* a doubled one stands for itself */
            quote = strchr(quote + 2, '"');
        field = quote ? quote : field;
    }
    return strchr(field, ',');
}

/* Fields of the line, CSV_FIELDS_MAX + 1 where there are more than can be held. */
static int split(char *line, const char **fields, int *field_at) {
    int count = 0;
    for (char *at = line; at; count++) {
        char *begin = at;
        if (count == CSV_FIELDS_MAX)
            return count + 1;
        at = field_end(at);
        if (at)
            *at++ = 0;
        fields[count] = trim(begin);
        field_at[count] = (int)(fields[count] - line) + 1;
    }
    return count;
}

/* The next line that says something: 1, 0 at the end, -1. */
static int read_line(struct csv *csv, char *line, struct error *err) {
    while (fgets(line, CSV_LINE_MAX, csv->file)) {
        csv->at.line++;
        size_t length = strcspn(line, "\r\n");
        if (length == CSV_LINE_MAX - 1)
            return error_at(err, csv->at, "a line of %d characters or more\n  hint: is this a table?",
                            CSV_LINE_MAX - 1);
        line[length] = 0;
        if (csv->at.line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0)
            memmove(line, line + 3, length - 2);
        if (line[0] && line[0] != '#')
            return 1;
    }
    return 0;
}

int csv_open(struct csv *csv, const char *path, struct error *err) {
    csv->at = (struct place){.file = path};
    csv->columns = 0;
    csv->file = fopen(path, "r");
    if (!csv->file)
        return error_set(err, "cannot read '%s': %s\n  hint: is the path right?", path, strerror(errno));
    int status = read_line(csv, csv->header, err);
    csv->header_line = csv->at.line;
    if (status == 0) {
        csv->at.line = 1;
        status = error_at(err, csv->at, "no header line\n  hint: the file is empty");
    } else if (status == 1) {
        csv->columns = split(csv->header, csv->names, csv->field_at);
        if (csv->columns > CSV_FIELDS_MAX)
            status = error_at(err, csv->at, "more than %d columns\n  hint: keep those that are needed", CSV_FIELDS_MAX);
    }
    if (status < 0)
        csv_close(csv);
    return status < 0 ? -1 : 0;
}

void csv_close(struct csv *csv) {
    fclose(csv->file);
    csv->file = NULL;
}

int csv_next(struct csv *csv, struct error *err) {
    int status = read_line(csv, csv->line, err);
    if (status != 1)
        return status;
    int count = split(csv->line, csv->fields, csv->field_at);
    if (count == csv->columns)
        return 1;
    return error_at(err, csv->at, "%d fields where the header has %d\n  hint: the line is cut or has a stray comma",
                    count, csv->columns);
}

void csv_rewind(struct csv *csv) {
    struct error never;
    rewind(csv->file);
    csv->at.line = 0;
    while (csv->at.line < csv->header_line)
        MUST(read_line(csv, csv->line, &never) == 1);
}

size_t csv_lines(struct csv *csv) {
    size_t lines = 0;
    while (fgets(csv->line, sizeof csv->line, csv->file))
        lines++;
    csv_rewind(csv);
    return lines;
}

static int find(const struct csv *csv, const char *name) {
    for (int i = 0; i < csv->columns; i++)
        if (strcmp(csv->names[i], name) == 0)
            return i;
    return -1;
}

const char *csv_text(const struct csv *csv, const char *name) {
    int i = find(csv, name);
    return i < 0 ? NULL : csv->fields[i];
}

bool csv_has(const struct csv *csv, const char *name) {
    return find(csv, name) >= 0;
}

struct place csv_place(const struct csv *csv, const char *name) {
    int i = find(csv, name);
    return (struct place){csv->at.file, csv->at.line, i < 0 ? 1 : csv->field_at[i]};
}

int csv_number(const struct csv *csv, const char *name, double *value, struct error *err) {
    const char *text = csv_text(csv, name);
    if (!text)
        return error_at(err, csv->at, "no column '%s'\n  hint: is this the table of another kernel?", name);
    char *end;
    *value = strtod(text, &end);
    if (end == text || *end)
        return error_at(err, csv_place(csv, name), "'%s' is not a number (column %s)\n  hint: mend or drop the line",
                        text, name);
    return 0;
}
