/* Tables for people, over libsmartcols: columns as wide as their widest cell, text to the left and numbers to the
 * right. */
#ifndef SIM_OUTPUT_TABLE_H
#define SIM_OUTPUT_TABLE_H

#include <stdio.h>

struct table;
/* `columns`: headings, NULL-ended; one that begins with '<' is text and stands to the left, without the '<'. */
struct table *table_create(const char *const *columns);
void table_row(struct table *table);
/* The next cell of the row that was begun last; cells that are not written stay empty. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the table, without trailing blanks, and frees it. */
void table_print(struct table *table, FILE *out);

/* Prints text in lines of at most `columns` characters: each of its lines is broken where it must be, and goes on
 * indented by `indent`. Blanks at the beginning of a line stay. */
void print_wrapped(FILE *out, const char *text, int columns, int indent);

#endif
