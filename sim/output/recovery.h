/* How long until hits come again after something went wrong, or a version was rolled out.
 *
 * The hit ratio of a window is its hit prompt tokens over its prompt tokens, of the requests whose first token falls
 * into it. Before: the window that ends as the event begins. It is regained at the end of the first window wholly after
 * the event's end whose ratio is at least a share of that; the time counts from the event's end, and is 0 when the very
 * first window after it has that already. Windows slide by a twentieth of their length, and times are known to that. */
#ifndef SIM_OUTPUT_RECOVERY_H
#define SIM_OUTPUT_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

struct recovery;
struct recovery *recovery_create(int64_t window_ns);
void recovery_destroy(struct recovery *recovery);
void recovery_take(struct recovery *recovery, int64_t first_token_ns, uint64_t prompt_tokens, uint64_t hit_tokens);

struct recovered {
    bool known;            /* there was a window with requests before the event, and one after it */
    bool regained;         /* before the run's end */
    double before, lowest; /* hit ratios; lowest: of the windows after the event's beginning until it is regained */
    double after_s;
};
struct recovered recovery_after(const struct recovery *recovery, int64_t begin_ns, int64_t end_ns, double share);

#endif
