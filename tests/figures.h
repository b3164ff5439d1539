/* For tests of scenarios: figures out of a run's JSON. */
#ifndef TESTS_FIGURES_H
#define TESTS_FIGURES_H

#include "sim/workload/json.h"
#include "tests/run_verb.h"

/* One figure of each variant: the number behind path[0].path[1]... */
struct figures {
    const char *const *path;
    double values[16];
    int count;
};

static inline bool add_figure(void *self, struct json_value variant) {
    struct figures *figures = self;
    struct json_value at = variant;
    for (const char *const *key = figures->path; *key; key++)
        assert_true(json_get(at, *key, &at));
    assert_true(figures->count < 16 && json_real(at, &figures->values[figures->count++]));
    return true;
}

static inline struct figures figures_of(const char *text, const char *const *path) {
    struct figures figures = {.path = path};
    struct json_reader *reader = json_create();
    struct json_value root, list;
    const char *why;
    assert_true(json_parse(reader, text, strlen(text), &root, &why));
    assert_true(json_get(root, "variants", &list) && json_each(list, add_figure, &figures));
    json_destroy(reader);
    return figures;
}

#endif
