// Frame to the RIN's input: crop, 2 x 2 means, bilinear to 512 x 512. One thread an output pixel;
// it reads the 4 x 4 pixels that edge.measure.preprocess.CpuPreprocessor reads for it, and rounds where
// that rounds.
#include "pixels.cuh"

enum {
    HALF = CROP / 2,
    STEP = HALF * 64 / SMALL,   // of the half-size picture, in 1/64 px: exact
    START = STEP / 2 - 32       // pixel centres lie at one half
};

static_assert(STEP * SMALL == HALF * 64, "the weights are exact in 1/64 px");

// One pixel of the half-size picture.
template <class Source> __device__ Rgb half_pixel(const Frame &frame, int x, int y)
{
    Rgb sum = {2, 2, 2};
    for (int dy = 0; dy < 2; dy++)
        for (int dx = 0; dx < 2; dx++) {
            Rgb pixel = Source::at(frame, x + dx, y + dy);
            sum.red += pixel.red;
            sum.green += pixel.green;
            sum.blue += pixel.blue;
        }
    return {sum.red >> 2, sum.green >> 2, sum.blue >> 2};
}

template <class Source>
__device__ void prepare(const Frame &frame, int left, int top, u8 *small, Result *result)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= SMALL || y >= SMALL)
        return;
    int place_x = x * STEP + START, place_y = y * STEP + START;
    Rgb sum = {2048, 2048, 2048};
    for (int dy = 0; dy < 2; dy++)
        for (int dx = 0; dx < 2; dx++) {
            int weight_x = dx ? place_x & 63 : 64 - (place_x & 63);
            int weight_y = dy ? place_y & 63 : 64 - (place_y & 63);
            Rgb half = half_pixel<Source>(frame, left + 2 * ((place_x >> 6) + dx),
                                          top + 2 * ((place_y >> 6) + dy));
            sum.red += weight_x * weight_y * half.red;
            sum.green += weight_x * weight_y * half.green;
            sum.blue += weight_x * weight_y * half.blue;
        }
    u8 rgb[3] = {(u8)(sum.red >> 12), (u8)(sum.green >> 12), (u8)(sum.blue >> 12)};
    bool sampled = x % SAMPLE_STEP == SAMPLE_STEP / 2 && y % SAMPLE_STEP == SAMPLE_STEP / 2;
    for (int channel = 0; channel < 3; channel++) {
        small[(y * SMALL + x) * 3 + channel] = rgb[channel];
        if (sampled)
            result->sample[y / SAMPLE_STEP][x / SAMPLE_STEP][channel] = rgb[channel];
    }
}

#define PREPARE(name, ...)                                                                       \
    extern "C" __global__ void name(const u8 *frame, int width, int height, int pitch, int left, \
                                    int top, int red, u8 *small, Result *result)                 \
    {                                                                                            \
        prepare<__VA_ARGS__>({frame, width, height, pitch, red}, left, top, small, result);      \
    }

PREPARE(prepare_mono8, Grey<Byte>)
PREPARE(prepare_mono10p, Grey<Packed<10>>)
PREPARE(prepare_mono12p, Grey<Packed<12>>)
PREPARE(prepare_rgb8, Interleaved)
PREPARE(prepare_bayer8, Bayer<Byte>)
PREPARE(prepare_bayer10p, Bayer<Packed<10>>)
PREPARE(prepare_bayer12p, Bayer<Packed<12>>)

#define PREPARE_RESAMPLED(name, ...)                                                             \
    extern "C" __global__ void name(const u8 *frame, int width, int height, int pitch, int red,  \
                                    const int *rows, int row_taps, const int *columns,           \
                                    int column_taps, u8 *small, Result *result)                  \
    {                                                                                            \
        prepare<Resampled<__VA_ARGS__>>({frame, width, height, pitch, red, rows, columns,        \
                                         row_taps, column_taps}, 0, 0, small, result);           \
    }

PREPARE_RESAMPLED(prepare_resampled_mono8, Grey<Byte>)
PREPARE_RESAMPLED(prepare_resampled_mono10p, Grey<Packed<10>>)
PREPARE_RESAMPLED(prepare_resampled_mono12p, Grey<Packed<12>>)
PREPARE_RESAMPLED(prepare_resampled_rgb8, Interleaved)
PREPARE_RESAMPLED(prepare_resampled_bayer8, Bayer<Byte>)
PREPARE_RESAMPLED(prepare_resampled_bayer10p, Bayer<Packed<10>>)
PREPARE_RESAMPLED(prepare_resampled_bayer12p, Bayer<Packed<12>>)
