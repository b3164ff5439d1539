/* A run as a picture in time: a sink that writes the JSON trace events that Perfetto (ui.perfetto.dev) and Chrome open.
 * A variant is a process. An instance has a lane for its steps; lanes for the transfers between each pair of tiers, and
 * for the requests that it answered, as many as overlap. Slices carry their bytes, blocks, tokens and causes. A
 * direction of a link has a counter: its GB/s. Times are simulated. Equal runs write equal files: variants come in the
 * order of the scenario, whatever thread ran them. */
#ifndef SIM_OUTPUT_TIMELINE_H
#define SIM_OUTPUT_TIMELINE_H

#include "sim/base/error.h"
#include "sim/base/record.h"

struct timeline;
/* Opens `path` and room for `variants`. Nothing stands at the path until timeline_close: what was half written is left
 * beside it as PATH.part where the program is killed. -1: it cannot be written. */
int timeline_open(const char *path, size_t variants, struct timeline **out, struct error *err);
/* The sink of one variant; `next` takes the same records after it (NULL: nobody). Each variant may run in a thread of
 * its own. Names belong to the caller until timeline_close. */
struct sink *timeline_sink(struct timeline *timeline, size_t variant, const char *name, const char *const *tier_names,
                           uint32_t tiers, struct sink *next);
/* Writes the lanes of all variants and closes the file. -1: it could not be written (disk full ...): then there is
 * none. Frees either way. */
int timeline_close(struct timeline *timeline, struct error *err);

#endif
