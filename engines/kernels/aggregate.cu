// The DPN's answers to medians, in double as edge.measure.aggregate does. One block of 32 threads, one a
// patch. `slots` is how many patches the DPN was run on; the medians are over the first k of them.
// `optics` and `novelty` are null where the network has no such output.
#include "pixels.cuh"

enum { LANES = 32 };

static __device__ bool all_finite(const float *values, int count)
{
    bool finite = true;
    for (int i = 0; values && i < count; i++)
        finite = finite && values[i] - values[i] == 0.0f;
    return finite;
}

// Of one value from each of the first k threads; the whole block must call it, with the same k > 0.
static __device__ double median(double own, int k)
{
    __shared__ double values[LANES], middle[2];
    int lane = threadIdx.x;
    if (lane < k)
        values[lane] = own;
    __syncthreads();
    if (lane < k) {
        int rank = 0;
        for (int i = 0; i < k; i++)
            rank += values[i] < own || (values[i] == own && i < lane);
        if (rank == (k - 1) / 2)
            middle[0] = own;
        if (rank == k / 2)
            middle[1] = own;
    }
    __syncthreads();  // the next call writes `middle` only behind its own first barrier
    return (middle[0] + middle[1]) * 0.5;
}

extern "C" __global__ void __launch_bounds__(LANES)
    aggregate(const float *defocus_um, const float *spread_um, const float *optics,
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
    int k = result->k < slots ? result->k : slots;
    bool finite = all_finite(defocus_um, k) && all_finite(spread_um, k)
                  && all_finite(optics, 4 * k) && all_finite(novelty, k);
    double middle = nan(""), between = middle, network = middle, importance = middle;
    if (k > 0 && finite) {  // alike in all threads: the barriers need that
        double own = lane < k ? defocus_um[lane] : 0.0;
        middle = median(own, k);
        between = 1.4826 * median(fabs(own - middle), k);
        network = median(lane < k ? spread_um[lane] : 0.0, k);
        importance = 0.0;
        for (int i = 0; i < k; i++)
            importance += result->chosen[i];
        importance /= k;
    }
    if (lane == 0) {
        result->median_um = middle;
        result->between_um = between;
        result->network_um = network;
        result->importance = importance;
        result->measured = k;
        result->answers_finite = finite;
    }
}
