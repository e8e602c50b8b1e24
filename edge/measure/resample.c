/* Rows of a frame at the models' pixel size (edge.measure.resample): sums of a few neighbouring pixels
 * down and across, with weights that add up to 256 each way, rounded once. engines/kernels/pixels.cuh has
 * the same sums. `..._first`, `..._weights`: of each row or column, the first pixel of the frame and
 * `..._taps` weights. Columns first_column..last_column-1 are computed; the others are a mirror image of
 * these and copied from `same`. `line`: memory for one row of the frame. */
#include <stddef.h>
#include <stdint.h>

static inline void across(const int32_t *restrict line, const int32_t *restrict first,
                          const int32_t *restrict weights, int taps, int channels, int from, int to,
                          uint8_t *restrict out)
{
    for (int x = from; x < to; x++) {
        const int32_t *at = line + (ptrdiff_t)first[x] * channels;
        const int32_t *weight = weights + (ptrdiff_t)x * taps;
        for (int c = 0; c < channels; c++) {
            int32_t sum = 1 << 15;
            for (int t = 0; t < taps; t++) {
                sum += weight[t] * at[t * channels + c];
            }
            sum >>= 16;
            out[x * channels + c] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
    }
}

static inline void down(const uint8_t *restrict at, ptrdiff_t stride, const int32_t *restrict weight,
                        int taps, int length, int32_t *restrict line)
{
    for (int i = 0; i < length; i++) {
        line[i] = weight[0] * at[i];
    }
    for (int t = 1; t < taps; t++) {
        const uint8_t *restrict next = at + t * stride;
        const int32_t share = weight[t];
        if (share != 0) {
            for (int i = 0; i < length; i++) {
                line[i] += share * next[i];
            }
        }
    }
}

void resample_rows(const uint8_t *frame, ptrdiff_t stride, int channels, int width,
                   const int32_t *row_first, const int32_t *row_weights, int row_taps, int first,
                   int last, const int32_t *column_first, const int32_t *column_weights,
                   int column_taps, int first_column, int last_column, int columns,
                   const int32_t *same, int32_t *line, uint8_t *out)
{
    for (int y = first; y < last; y++) {
        uint8_t *to = out + (ptrdiff_t)y * columns * channels;
        down(frame + (ptrdiff_t)row_first[y] * stride, stride, row_weights + (ptrdiff_t)y * row_taps,
             row_taps, width * channels, line);
        if (channels == 3 && column_taps == 2) { /* known to the compiler, so that it can unroll */
            across(line, column_first, column_weights, 2, 3, first_column, last_column, to);
        } else if (channels == 3 && column_taps == 3) {
            across(line, column_first, column_weights, 3, 3, first_column, last_column, to);
        } else if (channels == 3 && column_taps == 4) {
            across(line, column_first, column_weights, 4, 3, first_column, last_column, to);
        } else if (channels == 3) {
            across(line, column_first, column_weights, column_taps, 3, first_column, last_column, to);
        } else {
            across(line, column_first, column_weights, column_taps, 1, first_column, last_column, to);
        }
        for (int x = 0; x < columns; x++) {
            if (x >= first_column && x < last_column) {
                x = last_column - 1;
                continue;
            }
            for (int c = 0; c < channels; c++) {
                to[x * channels + c] = to[same[x] * channels + c];
            }
        }
    }
}
