/* Prefill here, decode there: the KV of a prompt goes to the instance that will decode it.
 *
 * Where it will be decoded is chosen, and its blocks there are held, before anything moves: with `layerwise` as its
 * first chunk begins, with `at-end` when its prompt is computed. Where there is no room it waits in order, its KV where
 * it was computed. What HBM there holds of the prompt already is not sent. Layer by layer, the bytes of a chunk set off
 * when its first layer is computed, the last layer's when the step ends: exact for a transfer that is alone, whether
 * computing or the links bind it. The prompt's last step gives the first token; decoding goes on where the KV has
 * landed whole. */
#ifndef SIM_SERVE_HANDOVER_H
#define SIM_SERVE_HANDOVER_H

#include "sim/serve/instance.h"

struct handovers;
struct handovers *handovers_create(struct fleet *fleet, struct instance *instances);
void handovers_destroy(struct handovers *handovers);
/* Whether what this instance computes is decoded elsewhere; and whether it computes step by step for that. */
bool handover_leaves(const struct instance *instance);
bool handover_steps(const struct instance *instance);
/* A run has been launched: chunks set off. */
void handover_launched(struct instance *instance, sim_time now);
/* A request's chunk is computed: its last layer sets off. */
void handover_computed(struct instance *instance, uint32_t request, sim_time now);
/* Its prompt is computed and its first token there: it waits until its KV is over there. */
void handover_prefilled(struct instance *instance, uint32_t request, sim_time now);
/* The instance may have room for those who wait to be handed over to it. */
void handover_room(struct instance *instance, sim_time now);
/* Bytes of the request have landed. */
void handover_landed(struct handovers *handovers, uint32_t request, sim_time now);

#endif
