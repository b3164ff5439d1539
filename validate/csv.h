/* Comma-separated tables of numbers and words: the first line names the columns. A field may stand in double quotes
 * (a comma within them is its own); empty lines and lines that begin with '#' are left out. */
#ifndef VALIDATE_CSV_H
#define VALIDATE_CSV_H

#include <stdbool.h>
#include <stdio.h>

#include "sim/base/error.h"

enum { CSV_FIELDS_MAX = 64, CSV_LINE_MAX = 4096 };

struct csv {
    FILE *file;
    struct place at; /* the line read last */
    char header[CSV_LINE_MAX], line[CSV_LINE_MAX];
    const char *names[CSV_FIELDS_MAX], *fields[CSV_FIELDS_MAX];
    int columns, header_line;
    int field_at[CSV_FIELDS_MAX]; /* column of the line where the field begins, from 1 */
};
/* 0, or -1 with nothing open. */
int csv_open(struct csv *csv, const char *path, struct error *err);
void csv_close(struct csv *csv);
/* 1: a row; 0: end; -1: a line of another width, or one that cannot be read. */
int csv_next(struct csv *csv, struct error *err);
/* Back to before the first row. */
void csv_rewind(struct csv *csv);
/* Lines of the file, so that an array can hold its rows; then as csv_rewind. */
size_t csv_lines(struct csv *csv);
/* The row's field in column `name`, valid until the next row; NULL: no such column. */
const char *csv_text(const struct csv *csv, const char *name);
/* Whether the file has the column. */
bool csv_has(const struct csv *csv, const char *name);
/* Where the field of column `name` stands in the row read last; its line where there is no such column. */
struct place csv_place(const struct csv *csv, const char *name);
int csv_number(const struct csv *csv, const char *name, double *value, struct error *err);

#endif
