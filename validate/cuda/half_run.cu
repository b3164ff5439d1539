/* A run that was cut off goes on after the groups that ended. Half a group, or half a run, is never taken for whole. */
#include "validate/cuda/run.cuh"

#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

static bool complain(const std::string &path, const char *why, const char *hint) {
    fprintf(stderr, "tiersim-calibrate: %s: %s\n", path.c_str(), why);
    if (hint)
        fprintf(stderr, "  hint: %s\n", hint);
    return false;
}
static bool exists(const std::string &path) {
    struct stat s;
    return stat(path.c_str(), &s) == 0;
}
static std::vector<std::string> lines_of(const std::string &path) {
    std::vector<std::string> lines;
    char *line = nullptr;
    size_t room = 0;
    ssize_t length;
    FILE *in = fopen(path.c_str(), "r");
    while (in && (length = getline(&line, &room, in)) > 0)
        if (line[length - 1] == '\n') /* the last one may be torn */
            lines.emplace_back(line, (size_t)length - 1);
    free(line);
    if (in)
        fclose(in);
    return lines;
}
/* The whole file or none of it. */
static bool write_whole(const std::string &path, const std::vector<std::string> &lines) {
    std::string fresh = path + ".new";
    FILE *out = fopen(fresh.c_str(), "w");
    bool bad = !out;
    for (size_t i = 0; out && i < lines.size(); i++)
        bad |= fprintf(out, "%s\n", lines[i].c_str()) < 0;
    if (out && (fflush(out) || fsync(fileno(out))))
        bad = true;
    if (out && fclose(out))
        bad = true;
    if (bad || rename(fresh.c_str(), path.c_str()))
        return complain(path, strerror(errno), errno == ENOSPC ? "the disk is full" : nullptr);
    return true;
}
static std::string options_of(const struct arguments *a) {
    return text("options quick=%d only=%s", a->quick, a->only ? a->only : "");
}

bool half_run_open(const struct arguments *a, struct half_run *out) {
    *out = {};
    out->rows = std::string(a->dir) + "/rows.csv";
    out->part = out->rows + ".part";
    out->done = out->rows + ".done";
    if (!exists(out->part))
        return true;
    if (!a->go_on)
        return complain(out->part, "a run that did not end",
                        "--continue goes on after the groups that are whole; or remove the file");
    for (const std::string &line : lines_of(out->done)) {
        char name[64];
        int bad;
        struct ceilings *k = &out->ceilings;
        if (!line.compare(0, 8, "options ") && line != options_of(a))
            return complain(out->done, ("the run before was of '" + line.substr(8) + "'").c_str(),
                            "give --quick and --only as it had them");
        if (sscanf(line.c_str(), "done %63s %d %lg %lg %lg %lg", name, &bad, &k->hbm_read_bytes_per_s, &k->bf16_flops,
                   &k->h2d_bytes_per_s, &k->d2h_bytes_per_s) == 6) {
            out->groups.emplace_back(name);
            out->bad += bad;
        }
    }
    return true;
}

static std::string value_of(const std::vector<std::string> &lines, const char *key) {
    for (const std::string &line : lines)
        if (!line.compare(0, strlen(key), key))
            return line;
    return "";
}

bool half_run_ready(const struct arguments *a, struct half_run *run, const std::string &machine) {
    std::vector<std::string> now = lines_of(machine + ".part"), before = lines_of(machine), rows = lines_of(run->part);
    if (run->groups.empty()) {
        if (!write_whole(run->part, {rows_header}) || !write_whole(run->done, {options_of(a)}))
            return false;
    } else {
        for (const char *key : {"gpu: ", "gpus: ", "driver: ", "cpu: "})
            if (value_of(now, key) != value_of(before, key))
                return complain(run->part, ("of another machine: '" + value_of(before, key) + "' there").c_str(),
                                "measure into another directory, or remove the file");
        std::vector<std::string> kept = {rows_header};
        for (const std::string &row : rows)
            if (half_run_has(run, row.substr(0, row.find(',')).c_str()))
                kept.push_back(row);
        if (!write_whole(run->part, kept))
            return false;
        printf("going on after %zu groups with %zu rows; %zu rows of a group that did not end are dropped\n",
               run->groups.size(), kept.size() - 1, rows.size() - std::min(rows.size(), kept.size()));
    }
    if (rename((machine + ".part").c_str(), machine.c_str()))
        return complain(machine, strerror(errno), nullptr);
    return true;
}

bool half_run_has(const struct half_run *run, const char *group) {
    for (const std::string &name : run->groups)
        if (name == group)
            return true;
    return false;
}

bool half_run_note(struct half_run *run, const char *group, bool failed, const struct ceilings *k) {
    run->groups.emplace_back(group);
    FILE *out = fopen(run->done.c_str(), "a");
    bool bad = !out || fprintf(out, "done %s %d %.9g %.9g %.9g %.9g\n", group, failed, k->hbm_read_bytes_per_s,
                               k->bf16_flops, k->h2d_bytes_per_s, k->d2h_bytes_per_s) < 0;
    if (out && fclose(out))
        bad = true;
    return bad ? complain(run->done, strerror(errno), "is the disk full?") : true;
}

bool half_run_end(const struct half_run *run) {
    if (rename(run->part.c_str(), run->rows.c_str()))
        return complain(run->rows, strerror(errno), nullptr);
    unlink(run->done.c_str());
    return true;
}
