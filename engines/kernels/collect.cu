// The DPN's answers into Result, and whether they are finite; medians are made of them on the host
// (edge.measure.aggregate), on a GPU as on a CPU. One block of 32 threads, one a patch. `slots` is how
// many patches the DPN was run on; the first k of them count. `optics` and `novelty` are null where the
// network has no such output.
#include "pixels.cuh"

enum { LANES = 32 };

static __device__ bool all_finite(const float *values, int count)
{
    bool finite = true;
    for (int i = 0; values && i < count; i++)
        finite = finite && values[i] - values[i] == 0.0f;
    return finite;
}

extern "C" __global__ void __launch_bounds__(LANES)
    collect(const float *defocus_um, const float *spread_um, const float *optics,
            const float *novelty, int slots, Result *result)
{
    int lane = threadIdx.x;
    if (lane < slots && lane < MOST) {
        result->defocus_um[lane] = defocus_um[lane];
        result->spread_um[lane] = spread_um[lane];
        for (int i = 0; optics && i < 4; i++)
            result->optics[lane][i] = optics[lane * 4 + i];
        if (novelty)
            result->novelty[lane] = novelty[lane];
    }
    if (lane == 0) {
        int k = result->k < slots ? result->k : slots;
        result->measured = k;
        result->answers_finite = all_finite(defocus_um, k) && all_finite(spread_um, k)
                                 && all_finite(optics, 4 * k) && all_finite(novelty, k);
    }
}
