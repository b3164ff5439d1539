/* Fitted constants, three files with a basis each: kernel profile (GPU), engine profile (host work of the serving
 * engine), connector profile (software cost of moving KV). Kept apart because they are measured apart. The
 * structs are the option tables' targets; forms and sources stand in results/ and in each profile file. */
#ifndef MODELS_PROFILE_H
#define MODELS_PROFILE_H

#include "models/arch.h"
#include "models/hardware.h"

struct kernel_profile; /* defined by the owner of models/: see profile.c */
extern const struct option kernel_profile_options[];
extern const struct option engine_profile_options[];
extern const struct option connector_profile_options[];

/* Host work of an engine: step = max(GPU, host) when asynchronous, GPU + host otherwise. */
struct engine_profile {
    const char *name;
    bool asynchronous;
    struct figure step_s, per_sequence_s; /* host time a step = step_s + per_sequence_s x sequences */
    struct figure request_s;              /* host time a request, before its first step (tokenise, schedule) */
    struct list graph_sizes;              /* double: batch sizes that decode steps pad to; empty: none */
};

/* Software cost of a KV connector: a load or store of n tokens costs load_s + per_token_s x n beside the wire. */
struct connector_profile {
    const char *name;
    struct figure load_s, load_per_token_s, store_s, store_per_token_s;
};

#endif
