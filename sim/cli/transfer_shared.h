/* `tiersim transfer --gpus N`: the same copy of several GPUs of a node at once. */
#ifndef SIM_CLI_TRANSFER_SHARED_H
#define SIM_CLI_TRANSFER_SHARED_H

#include "sim/memory/lone_copy.h"

/* Times and prints it, as tables or one JSON document. Bad input: shared_copy_time's. */
int transfer_shared(const struct lone_copy *copy, uint32_t gpus, bool as_json, struct error *err);
/* The result's, weaker outside of what the figures were measured on: blocks of 4 KiB to 1 GiB, up to 50000 of them. */
enum basis transfer_basis(const struct lone_copy *copy, const struct lone_result *result);

#endif
