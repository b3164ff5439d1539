#include "sim/output/table.h"

#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/error.h"

enum { CELL_MAX = 512 };

struct table {
    struct libscols_table *rows;
    struct libscols_line *line;
    size_t column;
};

struct table *table_create(const char *const *columns) {
    struct table *table = calloc(1, sizeof *table);
    MUST(table != NULL);
    table->rows = scols_new_table();
    MUST(table->rows != NULL);
    scols_table_set_termforce(table->rows, SCOLS_TERMFORCE_NEVER); /* the same in a pipe and on a terminal */
    for (size_t c = 0; columns[c]; c++) {
        bool left = columns[c][0] == '<';
        MUST(scols_table_new_column(table->rows, columns[c] + left, 0, left ? 0 : SCOLS_FL_RIGHT) != NULL);
    }
    return table;
}

void table_row(struct table *table) {
    table->line = scols_table_new_line(table->rows, NULL);
    MUST(table->line != NULL);
    table->column = 0;
}

void table_cell(struct table *table, const char *format, ...) {
    char text[CELL_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    MUST(table->column < scols_table_get_ncols(table->rows));
    MUST(scols_line_set_data(table->line, table->column++, text) == 0);
}

void table_print(struct table *table, FILE *out) {
    char *text = NULL;
    MUST(scols_print_table_to_string(table->rows, &text) == 0);
    for (char *line = text; *line;) {
        size_t length = strcspn(line, "\n"), kept = length;
        while (kept > 0 && line[kept - 1] == ' ')
            kept--;
        fprintf(out, "%.*s\n", (int)kept, line);
        line += length + (line[length] == '\n');
    }
    free(text);
    scols_unref_table(table->rows);
    free(table);
}

/* One line of the text; returns where the next begins. */
static const char *print_line(FILE *out, const char *line, int columns, int indent) {
    size_t length = strcspn(line, "\n"), at = strspn(line, " ");
    int column = (int)at;
    bool first = true;
    fprintf(out, "%*s", column, "");
    while (at < length) {
        size_t word = strcspn(line + at, " \n");
        if (!first && column + 1 + (int)word > columns)
            column = fprintf(out, "\n%*s", indent, "") - 1;
        else if (!first)
            column += fprintf(out, " ");
        column += fprintf(out, "%.*s", (int)word, line + at);
        at += word;
        while (at < length && line[at] == ' ')
            at++;
        first = false;
    }
    fputc('\n', out);
    return line + length + (line[length] == '\n');
}

void print_wrapped(FILE *out, const char *text, int columns, int indent) {
    while (*text)
        text = print_line(out, text, columns, indent);
}
