/* How fast is the program as people run it? Each tests/bench/NAME.args holds one command of tiersim: a line `# what it
 * measures`, then the arguments, separated by white space. The commands take turns, so that what disturbs the machine
 * disturbs all, each on one core; medians of wall time, CPU time and peak memory go out as JSON, and requests a CPU
 * second where the command says how many arrived. Usage: cli [ROUNDS [FOLDER]]; $TIERSIM is the program
 * (build/tiersim). A command with a line `# needs FILE` for a file that is not here is left out, and said. */
#include <errno.h>
#include <glob.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/base/error.h"

enum { ROUNDS_MAX = 99, ARGS_MAX = 64, COMMANDS_MAX = 64 };

struct command {
    char name[64], what[256], text[4096];
    char *argv[ARGS_MAX + 1];
    double wall_s[ROUNDS_MAX], cpu_s[ROUNDS_MAX], peak_bytes[ROUNDS_MAX];
    double requests; /* arrived, over all variants; 0 where the command does not say */
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds(struct timeval t) {
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

/* Whether the file that a command needs is here: as given, or in the folder of traces. */
static bool present(const char *file) {
    const char *traces = getenv("TIERSIM_TRACES");
    char *path;
    MUST(asprintf(&path, "%s/%s", traces ? traces : "../shared/traces", file) > 0);
    bool here = access(file, R_OK) == 0 || access(path, R_OK) == 0;
    free(path);
    return here;
}

/* Reads one .args file. False: what it needs is not here. */
static bool read_command(struct command *command, const char *path, char *program) {
    FILE *file = fopen(path, "r");
    MUST(file);
    char *slash = strrchr(path, '/'), line[sizeof command->text];
    snprintf(command->name, sizeof command->name, "%.*s", (int)strcspn(slash + 1, "."), slash + 1);
    bool here = true;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "# needs ", 8) == 0)
            here = here && present(line + 8);
        else if (strncmp(line, "# ", 2) == 0)
            snprintf(command->what, sizeof command->what, "%.250s", line + 2);
        else if (strlen(command->text) + strlen(line) + 2 < sizeof command->text)
            strcat(strcat(command->text, line), " ");
    }
    fclose(file);
    int count = 0;
    command->argv[count++] = program;
    for (char *word = strtok(command->text, " \t"); word && count < ARGS_MAX; word = strtok(NULL, " \t"))
        command->argv[count++] = word;
    return here;
}

/* The sum of all `"arrived": N` in a command's output. */
static double count_requests(FILE *output) {
    char *text = NULL;
    size_t size = 0;
    double sum = 0;
    if (getdelim(&text, &size, 0, output) > 0)
        for (char *at = text; (at = strstr(at, "\"arrived\":")); at++)
            sum += strtod(at + strlen("\"arrived\":"), NULL);
    free(text);
    return sum;
}

static void in_child(const struct command *command, FILE *output) {
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) /* the last: the first takes most interrupts */
        if (CPU_ISSET(cpu, &all)) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
        }
    sched_setaffinity(0, sizeof one, &one);
    setenv("OMP_NUM_THREADS", "1", 1);
    dup2(fileno(output), STDOUT_FILENO);
    execv(command->argv[0], command->argv);
    fprintf(stderr, "cli: %s: %s\n", command->argv[0], strerror(errno));
    _exit(127);
}

/* Runs the command once; its figures go to place `round`. Returns its exit code. */
static int measure(struct command *command, int round) {
    FILE *output = tmpfile();
    MUST(output);
    double start = now_s();
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        in_child(command, output);
    int status;
    struct rusage usage;
    while (wait4(child, &status, 0, &usage) < 0)
        MUST(errno == EINTR);
    command->wall_s[round] = now_s() - start;
    command->cpu_s[round] = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    command->peak_bytes[round] = 1024.0 * (double)usage.ru_maxrss;
    rewind(output);
    if (round == 0)
        command->requests = count_requests(output);
    fclose(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void print_result(struct command *command, int rounds, bool first) {
    double cpu_s = median(command->cpu_s, rounds);
    printf("%s\n  {\"name\": \"%s\", \"measures\": \"%s\", \"runs\": %d, \"wall_s\": %.4f, \"cpu_s\": %.4f, "
           "\"peak_mib\": %.1f",
           first ? "" : ",", command->name, command->what, rounds, median(command->wall_s, rounds), cpu_s,
           median(command->peak_bytes, rounds) / 1048576.0);
    if (command->requests > 0)
        printf(", \"requests\": %.0f, \"requests_per_cpu_s\": %.0f", command->requests, command->requests / cpu_s);
    printf("}");
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 5;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: cli [ROUNDS [FOLDER]]\n  hint: ROUNDS is 1 to %d\n", ROUNDS_MAX);
        return EXIT_BAD_INPUT;
    }
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/*.args", argc > 2 ? argv[2] : "tests/bench");
    char *program = getenv("TIERSIM");
    static struct command commands[COMMANDS_MAX];
    int count = 0;
    glob_t files;
    if (glob(pattern, 0, NULL, &files) != 0)
        files.gl_pathc = 0;
    for (size_t i = 0; i < files.gl_pathc && count < COMMANDS_MAX; i++) {
        memset(&commands[count], 0, sizeof *commands);
        if (read_command(&commands[count], files.gl_pathv[i], program ? program : "build/tiersim"))
            count++;
        else
            fprintf(stderr, "cli: %s is left out: a file that it needs is not here\n", files.gl_pathv[i]);
    }
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            int code = measure(&commands[i], round);
            if (code != 0) {
                fprintf(stderr, "cli: %s ended with exit code %d\n", commands[i].name, code);
                return EXIT_FAILURE;
            }
        }
    printf("{\"benchmark\": \"cli\", \"results\": [");
    for (int i = 0; i < count; i++)
        print_result(&commands[i], rounds, i == 0);
    printf("\n]}\n");
    return 0;
}
