/* --csv of `tiersim cache`: a line for each policy and size; with --by, more of them. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "sim/cli/cache.h"

static double share(uint64_t part, uint64_t whole) {
    return whole ? (double)part / (double)whole : 0;
}

static void write_job(FILE *out, const struct cache_work *work, const struct cache_job *job) {
    const struct replay_result *r = &job->result;
    const struct shards_estimate *e = &job->estimate;
    bool sampled = job->method == CACHE_SAMPLED;
    double missed = share(r->misses, r->accesses), tokens = share(r->hit_tokens, r->tokens);
    fprintf(out, "%s,%s,%llu,%s,%s,%llu,%llu,%.6f,%.6f,%.6f", job->policy->policy.name,
            cache_sees_future(job) ? "yes" : "no",
            (unsigned long long)(job->size.bytes ? job->size.bytes : job->size.blocks),
            job->size.bytes ? "bytes" : "blocks", cache_method_names[job->method], (unsigned long long)r->accesses,
            (unsigned long long)r->misses, missed, sampled ? e->low : missed, sampled ? e->high : missed);
    if (work->arguments->prefix)
        fprintf(out, ",%.6f,%.6f,%.6f", tokens, sampled ? e->token_low : tokens, sampled ? e->token_high : tokens);
    if (work->bounds && work->arguments->prefix)
        fprintf(out, ",%.9g", cache_saved_s(work, job));
    if (work->bounds && isnan(cache_bound_share(work, job)))
        fprintf(out, ",");
    else if (work->bounds)
        fprintf(out, ",%.6f", cache_bound_share(work, job));
    if (work->roles)
        for (uint32_t i = 0; i < ROLES; i++)
            fprintf(out, ",%llu,%llu", (unsigned long long)job->by[i].accesses, (unsigned long long)job->by[i].hits);
    for (uint32_t i = 0; i < work->tenants; i++)
        fprintf(out, ",%llu,%llu", (unsigned long long)job->by[ROLES + i].accesses,
                (unsigned long long)job->by[ROLES + i].hits);
    fprintf(out, "\n");
}

static void write_all(FILE *out, const struct cache_work *work) {
    fprintf(out, "policy,clairvoyant,size,size_unit,method,accesses,misses,miss_ratio,miss_ratio_low,miss_ratio_high");
    if (work->arguments->prefix)
        fprintf(out, ",token_hit_ratio,token_hit_ratio_low,token_hit_ratio_high");
    if (work->bounds && work->arguments->prefix)
        fprintf(out, ",saved_s");
    if (work->bounds)
        fprintf(out, ",share_of_bound");
    if (work->roles)
        for (uint32_t i = 0; i < ROLES; i++)
            fprintf(out, ",%s_accesses,%s_hits", role_names[i], role_names[i]);
    for (uint32_t i = 0; i < work->tenants; i++)
        fprintf(out, ",tenant_%u_accesses,tenant_%u_hits", i, i);
    fprintf(out, "\n");
    for (size_t i = 0; i < work->job_count; i++)
        write_job(out, work, &work->jobs[i]);
}

int cache_write_csv(const struct cache_work *work, const char *path, struct error *err) {
    if (strcmp(path, "-") == 0) {
        write_all(stdout, work);
        return 0;
    }
    FILE *out = fopen(path, "w");
    bool whole = out != NULL;
    if (out) {
        write_all(out, work);
        whole = !ferror(out);
        whole = fclose(out) == 0 && whole;
    }
    return whole ? 0
                 : error_set(err, "cannot write '%s': %s\n  hint: is there room, and may you write there?", path,
                             strerror(errno));
}
