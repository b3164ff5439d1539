/* Catalogue entries as structs: finds the file, reads it by its table, checks it. */
#ifndef SIM_CLI_CATALOGUE_H
#define SIM_CLI_CATALOGUE_H

#include "models/profile.h"
#include "models/step.h"
#include "sim/base/arena.h"

struct node;

/* Each takes a name as the user wrote it (an entry of configs/, or a path) and the place where it was written, and
 * returns 0 with *out in the arena, or -1 with the nearest names or the file's own fault. */

/* configs/models; a Hugging Face config.json is recognised by its model_type and translated. */
int load_arch(const char *name, struct place at, struct arena *arena, struct arch **out, struct error *err);
/* configs/hardware. */
int load_gpu(const char *name, struct place at, struct arena *arena, struct gpu **out, struct error *err);
/* The same by a scenario's `gpu:`, a name or a mapping: figures laid over those of its `base`. A GPU that was changed
 * is not the one that was measured: its name ends in a star unless the mapping gives one. *name: of the base. */
int load_gpu_changed(const struct node *node, struct arena *arena, struct gpu **out, const char **name,
                     struct error *err);
/* configs/profiles: the GPU's own, or h100-sxm's, whose constants are then scaled by datasheet. */
int load_kernel_profile(const struct gpu *gpu, struct place at, struct arena *arena, struct kernel_profile **out,
                        struct error *err);
int load_profile_named(const char *name, struct place at, struct arena *arena, struct kernel_profile **out,
                       struct error *err);
/* configs/engines and configs/connectors. */
int load_engine_profile(const char *name, struct place at, struct arena *arena, struct engine_profile **out,
                        struct error *err);
int load_connector_profile(const char *name, struct place at, struct arena *arena, struct connector_profile **out,
                           struct error *err);

#endif
