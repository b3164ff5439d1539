#include "validate/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int split(char *line, const char **fields) {
    int count = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at && count < CSV_FIELDS_MAX; count++) {
        fields[count] = at;
        at = strchr(at, ',');
        if (at)
            *at++ = 0;
    }
    return count;
}

int csv_open(struct csv *csv, const char *path, struct error *err) {
    csv->at = (struct place){.file = path, .line = 1};
    csv->file = fopen(path, "r");
    if (!csv->file)
        return error_set(err, "cannot read '%s': %s\n  hint: give the directory that holds the timing tables", path,
                         strerror(errno));
    if (!fgets(csv->header, sizeof csv->header, csv->file)) {
        csv_close(csv);
        return error_at(err, csv->at, "no header line\n  hint: the file is empty");
    }
    csv->columns = split(csv->header, csv->names);
    return 0;
}

void csv_close(struct csv *csv) {
    fclose(csv->file);
    csv->file = NULL;
}

int csv_next(struct csv *csv, struct error *err) {
    if (!fgets(csv->line, sizeof csv->line, csv->file))
        return 0;
    csv->at.line++;
    int count = split(csv->line, csv->fields);
    if (count == csv->columns)
        return 1;
    return error_at(err, csv->at, "%d fields where the header has %d\n  hint: the line is cut or has a stray comma",
                    count, csv->columns);
}

void csv_rewind(struct csv *csv) {
    rewind(csv->file);
    MUST(fgets(csv->line, sizeof csv->line, csv->file) != NULL);
    csv->at.line = 1;
}

const char *csv_text(const struct csv *csv, const char *name) {
    for (int i = 0; i < csv->columns; i++)
        if (strcmp(csv->names[i], name) == 0)
            return csv->fields[i];
    return NULL;
}

int csv_number(const struct csv *csv, const char *name, double *value, struct error *err) {
    const char *text = csv_text(csv, name);
    if (!text)
        return error_at(err, csv->at, "no column '%s'\n  hint: is this the table of another kernel?", name);
    char *end;
    *value = strtod(text, &end);
    if (end == text || *end)
        return error_at(err, csv->at, "'%s' is not a number (column %s)\n  hint: mend or drop the line", text, name);
    return 0;
}
