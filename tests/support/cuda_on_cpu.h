/* CUDA's words for a C++17 compiler, and two ways to run a kernel on the CPU.
 *
 * walk():  the threads one after the other. A barrier ends the process: it would be passed unmet.
 * march(): the threads of a block as threads of the system, so that barriers are met and a data
 *          race is a real one. A thread that returns while others wait ends the process too.
 */
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#define __global__
#define __device__ inline
#define __shared__ static /* one block at a time */
#define __launch_bounds__(threads)

struct Index {
    unsigned x, y, z;
};

static thread_local Index threadIdx, blockIdx;
static thread_local Index blockDim, gridDim;

class Barrier {
public:
    explicit Barrier(unsigned threads) : running(threads) {}

    void wait()
    {
        std::unique_lock<std::mutex> lock(mutex);
        unsigned long now = round;
        if (++waiting == running)
            open();
        else
            changed.wait(lock, [&] { return round != now; });
    }

    void leave()
    {
        std::lock_guard<std::mutex> lock(mutex);
        running--;
        left++;
        if (waiting)
            fail("a thread returned while others wait at a barrier");
    }

    void fail(const char *why)
    {
        std::fprintf(stderr, "cuda_on_cpu: %s\n", why);
        std::abort();
    }

    void check()
    {
        std::lock_guard<std::mutex> lock(mutex);
        if (left)
            fail("a thread waits at a barrier where others have returned");
    }

private:
    void open()
    {
        waiting = 0;
        round++;
        changed.notify_all();
    }

    std::mutex mutex;
    std::condition_variable changed;
    unsigned running, waiting = 0, left = 0;
    unsigned long round = 0;
};

static thread_local Barrier *barrier;

static inline void __syncthreads()
{
    if (!barrier) {
        std::fprintf(stderr, "cuda_on_cpu: a barrier in a kernel that is said to have none\n");
        std::abort();
    }
    barrier->check();
    barrier->wait();
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

/* One block along x: what a kernel with barriers is launched with here. */
template <class Call> static void march(Index grid, Index block, Call call)
{
    Barrier met(block.x);
    std::vector<std::thread> threads;
    for (unsigned x = 0; x < block.x; x++)
        threads.emplace_back([&, x] {
            gridDim = grid;
            blockDim = block;
            blockIdx = {0, 0, 0};
            threadIdx = {x, 0, 0};
            barrier = &met;
            call();
            met.leave();
        });
    for (std::thread &thread : threads)
        thread.join();
}
