// The chosen patches, cut from the frame at full resolution: the DPN's input. One thread a pixel,
// blockIdx.z the slot. Slots beyond k hold the next best patches: a DPN of a fixed size needs some.
#include "pixels.cuh"

template <class Source>
__device__ void gather(const Frame &frame, int left, int top, const Result *result, u8 *patches)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    int slot = blockIdx.z;
    if (x >= PATCH || y >= PATCH || slot >= MOST)
        return;
    int cell = result->cells[slot];
    Rgb pixel = Source::at(frame, left + cell % GRID * PATCH + x, top + cell / GRID * PATCH + y);
    u8 *out = patches + (size_t)((slot * PATCH + y) * PATCH + x) * 3;
    out[0] = (u8)pixel.red;
    out[1] = (u8)pixel.green;
    out[2] = (u8)pixel.blue;
}

#define GATHER(name, ...)                                                                        \
    extern "C" __global__ void name(const u8 *frame, int width, int height, int pitch, int left, \
                                    int top, int red, const Result *result, u8 *patches)         \
    {                                                                                            \
        gather<__VA_ARGS__>({frame, width, height, pitch, red}, left, top, result, patches);     \
    }

GATHER(gather_mono8, Grey<Byte>)
GATHER(gather_mono10p, Grey<Packed<10>>)
GATHER(gather_mono12p, Grey<Packed<12>>)
GATHER(gather_rgb8, Interleaved)
GATHER(gather_bayer8, Bayer<Byte>)
GATHER(gather_bayer10p, Bayer<Packed<10>>)
GATHER(gather_bayer12p, Bayer<Packed<12>>)

#define GATHER_RESAMPLED(name, ...)                                                              \
    extern "C" __global__ void name(const u8 *frame, int width, int height, int pitch, int red,  \
                                    const int *rows, int row_taps, const int *columns,           \
                                    int column_taps, const Result *result, u8 *patches)          \
    {                                                                                            \
        gather<Resampled<__VA_ARGS__>>({frame, width, height, pitch, red, rows, columns,         \
                                        row_taps, column_taps}, 0, 0, result, patches);          \
    }

GATHER_RESAMPLED(gather_resampled_mono8, Grey<Byte>)
GATHER_RESAMPLED(gather_resampled_mono10p, Grey<Packed<10>>)
GATHER_RESAMPLED(gather_resampled_mono12p, Grey<Packed<12>>)
GATHER_RESAMPLED(gather_resampled_rgb8, Interleaved)
GATHER_RESAMPLED(gather_resampled_bayer8, Bayer<Byte>)
GATHER_RESAMPLED(gather_resampled_bayer10p, Bayer<Packed<10>>)
GATHER_RESAMPLED(gather_resampled_bayer12p, Bayer<Packed<12>>)
