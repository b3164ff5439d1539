/* What breaks in the memory: a tier is lost and cold again, a link slows down or stops, an instance's memory goes with
 * its process. Nothing that waits is left behind.
 *
 * A transfer whose source or target is lost fails at once. What has landed of a load by then stays; whoever waited for
 * the rest is told (on_failed) and must let go of it within the call: he will look his prefix up anew, and finds it
 * elsewhere or computes it. Copies that fail are undone, as if they had not been begun. Over a link that is down
 * nothing moves: transfers under way wait until it is up, as retries on PCIe and RDMA do, or until somebody gives them
 * up; new ones are not begun, and a tier that can only be read over it holds nothing for a look-up. */
#ifndef SIM_MEMORY_FAULTS_H
#define SIM_MEMORY_FAULTS_H

#include "sim/memory/hierarchy.h"

/* Units of a tier; and how many instances share one. */
uint32_t hierarchy_units(const struct hierarchy *hierarchy, uint32_t level, uint32_t *sharing);
/* One unit of a tier (not HBM) is lost: its blocks are gone, none come until it is regained as often as lost. */
void hierarchy_lose(struct hierarchy *hierarchy, uint32_t level, uint32_t unit, sim_time now);
void hierarchy_regain(struct hierarchy *hierarchy, uint32_t level, uint32_t unit);
/* Unit `unit` of a link of the node file, both ways: see network_change. Returns how many links of the network that is,
 * 0: no transfer goes over it. */
uint32_t hierarchy_change_link(struct hierarchy *hierarchy, const char *name, uint32_t unit, double slow, bool down);
/* Drives that begin fresh, from now on; and one that has been written as often as it holds is steady. */
void drives_begin(struct hierarchy *hierarchy);
struct bank;
void drive_written(struct hierarchy *hierarchy, struct bank *unit, uint32_t instance);
/* Loads under way over it fail. */
void hierarchy_give_up(struct hierarchy *hierarchy, const char *name, uint32_t unit, sim_time now);
/* The process of an instance has ended, and nobody of its requests holds anything any more: HBM is empty, and tiers
 * that serve it alone are, unless they are persistent. Swaps under way end first; what they held goes by another call.
 */
void hierarchy_crash(struct hierarchy *hierarchy, uint32_t instance, sim_time now);

#endif
