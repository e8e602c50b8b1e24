/* CUDA's words for a C++17 compiler, and a way to run a kernel on the CPU: walk() runs the threads one
 * after the other. A barrier ends the process: it would be passed unmet.
 */
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#define __global__
#define __device__ inline
#define __shared__ static /* one block at a time */
#define __launch_bounds__(threads)

struct Index {
    unsigned x, y, z;
};

static thread_local Index threadIdx, blockIdx;
static thread_local Index blockDim, gridDim;

static inline void __syncthreads()
{
    std::fprintf(stderr, "cuda_on_cpu: a barrier, and the threads run one after the other\n");
    std::abort();
}

template <class Call> static void walk(Index grid, Index block, Call call)
{
    gridDim = grid;
    blockDim = block;
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
                for (threadIdx.z = 0; threadIdx.z < block.z; threadIdx.z++)
                    for (threadIdx.y = 0; threadIdx.y < block.y; threadIdx.y++)
                        for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++)
                            call();
}
