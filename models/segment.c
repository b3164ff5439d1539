/* Runs of steps as straight lines. The cost of step i is smooth in i but for a few places (the decode kernel's choice,
 * a window filling up, host and GPU trading places); a line is laid through the first and last step and kept only if
 * the full model agrees between them. */
#include "models/step_model.h"

/* Checked at a few points against this. A bend between two of them deviates at most 1.5 times as much there; near the
 * start, where a prefix first appears, it is checked closer. */
static const double tolerance = 0.003;

struct step_shape step_shape_later(const struct step_shape *shape, int64_t i) {
    struct step_shape later = *shape;
    later.decode_context += i * shape->decode_seqs;
    if (shape->decode_seqs > 0)
        later.decode_longest += i;
    later.decode_window += i * shape->decode_growing;
    later.prefill_context += i * shape->prefill_tokens;
    later.prefill_pairs += i * shape->prefill_squares;
    return later;
}

static int64_t steps_within(const struct decode_machine *d, const struct decode_load *load, int64_t steps) {
    if (load->sequences * load->tiles_per_sequence >= d->split_below_tiles || load->longest > d->split_min_tokens)
        return steps;
    int64_t until = (int64_t)(d->split_min_tokens - load->longest) + 1;
    return until < steps ? until : steps;
}

/* The kernels of the layers with full context and of those with a window, as one number. */
static int kernels_at(const struct step_model *model, const struct step_shape *shape, int64_t step) {
    struct step_shape later = step_shape_later(shape, step);
    struct decode_load load;
    int full = decode_load_full(model, &later, &load) ? load.chosen : 0;
    int window = decode_load_window(model, &later, &load) ? load.chosen : 0;
    return full * (DECODE_KERNELS + 1) + window;
}

/* Steps before the chooser changes its mind, looked for by halves: where it changes more than once within a run, one
 * of the changes is found, and others only bend the line (which `straight` holds). */
static int64_t steps_of_one_choice(const struct step_model *model, const struct step_shape *shape, int64_t steps) {
    int first = kernels_at(model, shape, 0);
    if (steps <= 1 || kernels_at(model, shape, steps - 1) == first)
        return steps;
    int64_t same = 0, other = steps - 1;
    while (other - same > 1) {
        int64_t middle = same + (other - same) / 2;
        if (kernels_at(model, shape, middle) == first)
            same = middle;
        else
            other = middle;
    }
    return other;
}

/* Steps before the decode kernel changes: it does when the longest context passes the split kernel's least. */
static int64_t steps_of_one_kernel(const struct step_model *model, const struct step_shape *shape, int64_t steps) {
    struct decode_load load;
    if (model->kernels.choose)
        return shape->decode_seqs > 0 ? steps_of_one_choice(model, shape, steps) : steps;
    if (decode_load_full(model, shape, &load))
        steps = steps_within(&model->machine.decode, &load, steps);
    /* Layers with a window follow the same rule until it is full. */
    if (decode_load_window(model, shape, &load) && (double)model->arch.window > model->machine.decode.split_min_tokens)
        steps = steps_within(&model->machine.decode, &load, steps);
    return steps;
}

static int64_t fixed_of(double seconds) {
    return (int64_t)(seconds * 1e9 * (double)STEP_FIXED_ONE + 0.5);
}

/* Steps until the sliding windows are full, where the cost bends; 0: it does not. */
static int64_t steps_to_full_windows(const struct step_model *model, const struct step_shape *shape) {
    if (shape->decode_growing == 0 || model->window_layers == 0)
        return 0;
    int64_t room = shape->decode_seqs * model->arch.window - shape->decode_window;
    return room > 0 ? room / shape->decode_growing : 0;
}

static bool straight(const struct step_model *model, const struct step_shape *shape, const struct step_segment *line) {
    const int64_t n = line->steps,
                  points[] = {n / 2, n / 4, n * 3 / 4, n / 8, 1, 2, steps_to_full_windows(model, shape)};
    for (size_t p = 0; p < sizeof points / sizeof *points; p++) {
        if (points[p] <= 0 || points[p] >= n - 1)
            continue;
        struct step_shape later = step_shape_later(shape, points[p]);
        double exact = (double)fixed_of(step_seconds(model, &later));
        double off = (double)(line->a + line->b * points[p]) - exact;
        if (off > tolerance * exact || off < -tolerance * exact)
            return false;
    }
    return true;
}

struct step_segment step_segment(const struct step_model *model, const struct step_shape *shape, int64_t max_steps) {
    struct step_segment line = {.a = fixed_of(step_seconds(model, shape)), .steps = 1};
    if (line.a < 1)
        line.a = 1;
    if (max_steps <= 1)
        return line;
    for (int64_t steps = steps_of_one_kernel(model, shape, max_steps); steps > 1; steps = steps / 2) {
        struct step_shape later = step_shape_later(shape, steps - 1);
        double end = (double)fixed_of(step_seconds(model, &later));
        int64_t rise = (int64_t)end - line.a;
        line.b = rise > 0 ? (rise + (steps - 1) / 2) / (steps - 1) : 0;
        line.steps = steps;
        double off = (double)(line.a + line.b * (steps - 1)) - end; /* a falling cost leaves b at 0 */
        if (off <= tolerance * end && off >= -tolerance * end && straight(model, shape, &line))
            return line;
    }
    line.b = 0;
    line.steps = 1;
    return line;
}
