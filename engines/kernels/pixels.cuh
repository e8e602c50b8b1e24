// What every kernel shares: the sizes, what a frame's way leaves behind, and how one pixel of the
// camera's memory becomes red, green and blue. Integers only, so that a GPU and a CPU agree to the
// bit. Compiles as CUDA C++ (nvcc, NVRTC) and, for the tests, as C++17.
#pragma once

typedef unsigned char u8;

enum {
    CROP = 2016,   // edge.measure.preprocess.CROP_PX and so on: a test compares them
    SMALL = 512,
    PATCH = 224,
    GRID = 9,
    CELLS = GRID * GRID,
    MOST = 31,     // patches that are ever measured
    SAMPLE_STEP = 8,  // edge.measure.photometry looks at every eighth pixel of every eighth row
    SAMPLE = SMALL / SAMPLE_STEP
};

// All that the host needs of a frame, in one copy. engines/kernels/result.py names the fields.
struct Result {
    float scores[CELLS];
    float chosen[MOST];   // the best scores, falling; the first k are the choice
    float defocus_um[MOST];
    float spread_um[MOST];
    float optics[MOST][4];
    float novelty[MOST];
    int cells[MOST];      // where they are: row * GRID + column
    int above;            // scores above the threshold
    int k;                // patches that the class rule asks for
    int measured;         // of these, those that the DPN had room for
    int scores_finite;
    int answers_finite;   // of the measured patches
    u8 sample[SAMPLE][SAMPLE][3];  // of the RIN's picture, for edge.measure.photometry
};

struct Frame {
    const u8 *bytes;
    int width, height, pitch;  // px, px, bytes per row
    int red;  // RGB8 0, BGR8 2; Bayer: x + 2 * y of the red pixel in the top left 2 x 2
    // Resampled only. Of each row and column of the crop: the frame's first, then the weights.
    const int *rows = 0, *columns = 0;
    int row_taps = 0, column_taps = 0;
};

struct Rgb {
    int red, green, blue;
};

struct Byte {
    static __device__ int at(const Frame &frame, int x, int y)
    {
        return frame.bytes[(size_t)y * frame.pitch + x];
    }
};

// GenICam's "p" formats: least significant bit first, no gaps within a row. The top eight bits
// are what the camera's own 8-bit mode sends.
template <int BITS> struct Packed {
    static __device__ int at(const Frame &frame, int x, int y)
    {
        int bit = x * BITS + BITS - 8, shift = bit & 7;
        const u8 *byte = frame.bytes + (size_t)y * frame.pitch + (bit >> 3);
        int value = byte[0] >> shift;
        if (shift)  // else the next byte may lie behind the frame
            value |= byte[1] << (8 - shift);
        return value & 255;
    }
};

template <class Sample> struct Grey {
    static __device__ Rgb at(const Frame &frame, int x, int y)
    {
        int value = Sample::at(frame, x, y);
        return {value, value, value};
    }
};

struct Interleaved {
    static __device__ Rgb at(const Frame &frame, int x, int y)
    {
        const u8 *pixel = frame.bytes + (size_t)y * frame.pitch + 3 * x;
        return {pixel[frame.red], pixel[1], pixel[2 - frame.red]};
    }
};

// Bilinear: the mean of the two or four nearest pixels of the colour, halves rounded up. Beyond the
// frame's edge lies its mirror image about the edge pixel, which keeps the colours in their places.
template <class Sample> struct Bayer {
    static __device__ int mirror(int i, int size)
    {
        return i < 0 ? -i : i < size ? i : 2 * size - 2 - i;
    }

    static __device__ Rgb at(const Frame &frame, int x, int y)
    {
        int left = mirror(x - 1, frame.width), right = mirror(x + 1, frame.width);
        int up = mirror(y - 1, frame.height), down = mirror(y + 1, frame.height);
        int own = Sample::at(frame, x, y);
        int across = Sample::at(frame, left, y) + Sample::at(frame, right, y);
        int along = Sample::at(frame, x, up) + Sample::at(frame, x, down);
        bool red_column = ((x ^ frame.red) & 1) == 0, red_row = ((y ^ (frame.red >> 1)) & 1) == 0;
        if (red_column != red_row) {  // a green pixel
            across = (across + 1) >> 1;
            along = (along + 1) >> 1;
            return red_row ? Rgb{across, own, along} : Rgb{along, own, across};
        }
        int green = (across + along + 2) >> 2;
        int corners = (Sample::at(frame, left, up) + Sample::at(frame, right, up)
                       + Sample::at(frame, left, down) + Sample::at(frame, right, down) + 2) >> 2;
        return red_row ? Rgb{own, green, corners} : Rgb{corners, green, own};
    }
};

// A frame at the models' pixel size (edge.measure.resample): x and y are the crop's. The weights add up
// to 256 each way, and a pixel is rounded once.
template <class Source> struct Resampled {
    static __device__ int rounded(int sum)
    {
        sum >>= 16;
        return sum < 0 ? 0 : sum > 255 ? 255 : sum;
    }

    static __device__ Rgb at(const Frame &frame, int x, int y)
    {
        const int *row = frame.rows + y * (frame.row_taps + 1);
        const int *column = frame.columns + x * (frame.column_taps + 1);
        Rgb sum = {1 << 15, 1 << 15, 1 << 15};
        for (int i = 0; i < frame.row_taps; i++)
            for (int j = 0; j < frame.column_taps; j++) {
                int weight = row[1 + i] * column[1 + j];
                if (weight == 0)
                    continue;
                Rgb pixel = Source::at(frame, column[0] + j, row[0] + i);
                sum.red += weight * pixel.red;
                sum.green += weight * pixel.green;
                sum.blue += weight * pixel.blue;
            }
        return {rounded(sum.red), rounded(sum.green), rounded(sum.blue)};
    }
};
