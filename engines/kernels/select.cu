// The RIN's answer to the patches that are measured: the rule of edge.measure.importance. One block, one
// thread a cell; each counts for itself how many are better, which needs no barrier and no sort.
#include "pixels.cuh"

static __device__ bool is_finite(float value)
{
    return value - value == 0.0f;
}

// Whether score a of cell i comes before score b of cell j: falling, equals in reading order, NaN
// last.
static __device__ bool before(float a, int i, float b, int j)
{
    if (a != a || b != b)
        return (a != a) == (b != b) ? i < j : b != b;
    return a > b || (a == b && i < j);
}

static __device__ int wanted(int above, int dense, int sparse, int ex_sparse)
{
    int k = above >= dense ? dense : above >= sparse ? sparse : above < ex_sparse ? above : ex_sparse;
    return k < MOST ? k : MOST;
}

extern "C" __global__ void select_patches(const float *scores, float threshold, int dense,
                                          int sparse, int ex_sparse, Result *result)
{
    int cell = blockIdx.x * blockDim.x + threadIdx.x;
    if (cell >= CELLS)
        return;
    float own = scores[cell];
    int rank = 0, above = 0, finite = 1;
    for (int other = 0; other < CELLS; other++) {
        rank += before(scores[other], other, own, cell);
        above += scores[other] > threshold;
        finite &= is_finite(scores[other]);
    }
    result->scores[cell] = own;
    if (rank < MOST) {
        result->cells[rank] = cell;
        result->chosen[rank] = own;
    }
    if (cell == 0) {
        result->above = above;
        result->scores_finite = finite;
        result->k = finite ? wanted(above, dense, sparse, ex_sparse) : 0;
    }
}

// Nothing is of importance outside rows top..bottom-1 and columns left..right-1: there the frame has
// no picture (edge.measure.importance).
extern "C" __global__ void mask_scores(float *scores, int top, int bottom, int left, int right)
{
    int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= CELLS)
        return;
    int row = place / GRID, column = place % GRID;
    if (row < top || row >= bottom || column < left || column >= right)
        scores[place] = 0.0f;
}
