/* Runs the firmware's motion through a script and reports the extremes. Test only. */
#include "motion.h"

/* script: rows of { ticks to run first, target nm, 1 = brake instead }.
 * out: lowest nm, highest nm, largest step nm, largest change of speed (nm * 256 per tick^2),
 * final nm, last target accepted, accepted moves, ticks until rest after the script (-1: never),
 * way of the last run in one direction nm, positive = up */
void motion_probe(const struct af_axis_limits *limits, const struct af_axis_settings *settings,
                  int32_t start_nm, const int32_t *script, int32_t rows, int64_t out[9]);

static int64_t magnitude(int64_t value)
{
    return (value < 0) ? -value : value;
}

static void step(struct af_motion *m, int64_t out[9])
{
    const int32_t before_nm = af_motion_position_nm(m);
    const int32_t before_v = m->velocity_q8;
    (void)af_motion_tick(m);
    const int32_t now_nm = af_motion_position_nm(m);
    const int64_t way = (int64_t)now_nm - before_nm;
    const int64_t change = magnitude((int64_t)m->velocity_q8 - before_v);
    out[0] = (now_nm < out[0]) ? now_nm : out[0];
    out[1] = (now_nm > out[1]) ? now_nm : out[1];
    out[2] = (magnitude(way) > out[2]) ? magnitude(way) : out[2];
    out[3] = (change > out[3]) ? change : out[3];
    if (way != 0) {
        out[8] = ((way > 0) == (out[8] > 0)) ? (out[8] + way) : way;
    }
}

void motion_probe(const struct af_axis_limits *limits, const struct af_axis_settings *settings,
                  int32_t start_nm, const int32_t *script, int32_t rows, int64_t out[9])
{
    struct af_motion m;
    af_motion_init(&m, limits, start_nm);
    for (int i = 0; i < 9; i++) {
        out[i] = 0;
    }
    out[7] = -2;
    if (!af_motion_configure(&m, settings)) {
        return;
    }
    out[0] = af_motion_position_nm(&m);
    out[1] = out[0];
    out[5] = out[0];
    for (int32_t row = 0; row < rows; row++) {
        const int32_t target = script[(row * 3) + 1];
        for (int32_t tick = 0; tick < script[row * 3]; tick++) {
            step(&m, out);
        }
        if (script[(row * 3) + 2] != 0) {
            af_motion_brake(&m);
        } else if (af_motion_allows(&m, target)) {
            const int32_t rounded = af_motion_round_nm(&m, target);
            if (af_motion_allows(&m, rounded)) {
                af_motion_start(&m, rounded);
                out[5] = rounded;
                out[6] += 1;
            }
        }
    }
    for (int32_t tick = 0; tick < 100000; tick++) {
        if (m.phase == AF_AT_REST) {
            out[7] = tick;
            break;
        }
        step(&m, out);
    }
    if (out[7] == -2) {
        out[7] = -1;
    }
    out[4] = af_motion_position_nm(&m);
}
