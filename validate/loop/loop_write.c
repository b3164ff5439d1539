/* The tables: a line a request, as docs/own-measurements.md has it, and a line a step. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "validate/loop/loop.h"

static void write_requests(const struct loop *loop, FILE *out) {
    fprintf(out, "request,arrival_s,input_tokens,output_tokens,hbm_tokens,dram_tokens,ssd_tokens,ttft_s,tpot_s,e2e_s,"
                 "computed_tokens,preemptions,finish\n");
    for (uint32_t i = 0; i < loop->trace->count; i++) {
        const struct loop_request *r = &loop->requests[i];
        double arrival_s = r->spec->arrival_s;
        fprintf(out, "%u,%.6f,%u,%u,%u,%u,%u,%.6f,", i, arrival_s, r->spec->input_tokens, r->spec->output_tokens,
                r->hit_tokens[LOOP_HBM], r->hit_tokens[LOOP_DRAM], r->hit_tokens[LOOP_SSD],
                r->first_token_s - arrival_s);
        if (r->spec->output_tokens > 1)
            fprintf(out, "%.7f", (r->end_s - r->first_token_s) / (r->spec->output_tokens - 1));
        fprintf(out, ",%.6f,%u,%u,%u\n", r->end_s - arrival_s, r->computed_tokens, r->preemptions, r->finish_order);
    }
}

static void write_steps(const struct loop *loop, FILE *out) {
    fprintf(out, "start_s,decodes,decode_context,prefills,prefill_tokens,prefill_context,host_s,device_s,step_s\n");
    for (uint32_t i = 0; i < loop->step_count; i++) {
        const struct loop_step *s = &loop->steps[i];
        fprintf(out, "%.6f,%u,%llu,%u,%u,%llu,%.7f,%.7f,%.7f\n", s->start_s, s->decodes,
                (unsigned long long)s->decode_context, s->prefills, s->prefill_tokens,
                (unsigned long long)s->prefill_context, s->launched_s - s->start_s, s->device_s, s->end_s - s->start_s);
    }
}

static bool write_whole(const struct loop *loop, const char *dir, const char *what, const char *name,
                        void (*rows)(const struct loop *loop, FILE *out), char *text) {
    char path[400], part[410];
    snprintf(path, sizeof path, "%s/%s_%s.csv", dir, what, name);
    snprintf(part, sizeof part, "%s.part", path);
    FILE *out = fopen(part, "w");
    bool fine = out != NULL;
    if (fine) {
        rows(loop, out);
        fine = !ferror(out);
        fine = fclose(out) == 0 && fine && rename(part, path) == 0;
    }
    if (!fine)
        snprintf(text, LOOP_TEXT, "%s: %s\n  hint: is the disk full?", part, strerror(errno));
    return fine;
}

bool loop_write(const struct loop *loop, const char *dir, const char *name, char *text) {
    return write_whole(loop, dir, "loop", name, write_requests, text) &&
           write_whole(loop, dir, "steps", name, write_steps, text);
}
