#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/config/read.h"

#ifndef TIERSIM_PREFIX
#define TIERSIM_PREFIX "/usr/local"
#endif

enum { ROOTS_MAX = 3, NAMES_MAX = 512 };

/* Where catalogues may lie, first come first served. */
static size_t catalogue_roots(const char *roots[ROOTS_MAX]) {
    size_t count = 0;
    roots[count++] = "configs";
    const char *given = getenv("TIERSIM_CONFIGS");
    if (given && *given)
        roots[count++] = given;
    roots[count++] = TIERSIM_PREFIX "/share/tiersim/configs";
    return count;
}

static bool has_suffix(const char *name, const char *suffix) {
    size_t length = strlen(name), tail = strlen(suffix);
    return length > tail && strcmp(name + length - tail, suffix) == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct list catalogue_names(const char *folder, struct arena *arena) {
    const char *roots[ROOTS_MAX];
    size_t root_count = catalogue_roots(roots), count = 0;
    const char **names = arena_alloc(arena, NAMES_MAX * sizeof *names);
    for (size_t r = 0; r < root_count; r++) {
        DIR *directory = opendir(arena_printf(arena, "%s/%s", roots[r], folder));
        if (!directory)
            continue;
        for (struct dirent *entry; (entry = readdir(directory)) && count < NAMES_MAX;) {
            if (!has_suffix(entry->d_name, ".yaml"))
                continue;
            const char *name = arena_printf(arena, "%.*s", (int)(strlen(entry->d_name) - 5), entry->d_name);
            bool known = false;
            for (size_t i = 0; i < count; i++)
                known |= strcmp(names[i], name) == 0;
            if (!known)
                names[count++] = name;
        }
        closedir(directory);
    }
    qsort(names, count, sizeof *names, by_name);
    return (struct list){names, count};
}

int catalogue_find(const char *folder, const char *name, struct place at, struct arena *arena, const char **path,
                   struct error *err) {
    if (strchr(name, '/') || has_suffix(name, ".yaml") || has_suffix(name, ".json")) {
        *path = arena_strdup(arena, name);
        if (access(name, R_OK) == 0)
            return 0;
        return error_at(err, at, "cannot read '%s'\n  hint: check the path; it counts from the working directory",
                        name);
    }
    const char *roots[ROOTS_MAX];
    size_t root_count = catalogue_roots(roots);
    for (size_t r = 0; r < root_count; r++) {
        *path = arena_printf(arena, "%s/%s/%s.yaml", roots[r], folder, name);
        if (access(*path, R_OK) == 0)
            return 0;
    }
    struct list names = catalogue_names(folder, arena);
    const char *nearest = error_nearest(name, (const char *const *)names.items, names.count);
    if (nearest)
        return error_at(err, at, "no '%s' in configs/%s\n  hint: did you mean '%s'?", name, folder, nearest);
    return error_at(
        err, at,
        "no '%s' in configs/%s\n  hint: `tiersim list` names what there is; set TIERSIM_CONFIGS to your own catalogue",
        name, folder);
}
