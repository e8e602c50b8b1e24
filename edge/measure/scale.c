/* The RIN's picture from a crop of 2016 x 2016: means of 2 x 2, then bilinear to 512 x 512, halves
 * rounded up in each step. The same bytes as OpenCV's INTER_AREA and INTER_LINEAR_EXACT in turn
 * (edge.measure.preprocess), in one pass over the crop. engines/kernels/preprocess.cu has the same sums. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CROP = 2016, HALF = CROP / 2, SMALL = 512, STEP = HALF * 64 / SMALL, START = STEP / 2 - 32 };

/* Sums of two rows: a pixel and its right neighbour are added in `weigh`. */
static inline void sum_rows(const uint8_t *restrict upper, const uint8_t *restrict lower,
                            int length, uint16_t *restrict out)
{
    for (int i = 0; i < length; i++) {
        out[i] = (uint16_t)(upper[i] + lower[i]);
    }
}

/* Means of 2 x 2 of both pairs of rows, weighed. At full width: the compiler's wide registers are
 * faster than leaving out every second pixel, which is never read. */
static inline void weigh(const uint16_t *restrict upper, const uint16_t *restrict lower,
                         unsigned weight, int channels, uint16_t *restrict out)
{
    const uint16_t near = (uint16_t)(64U - weight), far = (uint16_t)weight;
    const int length = (CROP - 1) * channels;
    for (int i = 0; i < length; i++) {
        const uint16_t u = (uint16_t)((uint16_t)(upper[i] + upper[i + channels] + 2U) >> 2);
        const uint16_t l = (uint16_t)((uint16_t)(lower[i] + lower[i + channels] + 2U) >> 2);
        out[i] = (uint16_t)((uint16_t)(near * u) + (uint16_t)(far * l));
    }
}

/* Every 32 pixels advance by 63 means exactly, so that places and weights inside are constants. */
static inline void across(const uint16_t *restrict row, int channels, uint8_t *restrict out)
{
    for (int block = 0; block < SMALL / 32; block++) {
        const uint16_t *from = row + 2 * channels * 63 * block;
        uint8_t *to = out + 32 * channels * block;
#pragma GCC unroll 32
        for (int x = 0; x < 32; x++) {
            const int place = x * STEP + START;
            const unsigned weight = (unsigned)place & 63U;
            const uint16_t *at = from + 2 * channels * (place >> 6);
            for (int c = 0; c < channels; c++) {
                const unsigned sum = (64U - weight) * at[c] + weight * at[c + 2 * channels];
                to[x * channels + c] = (uint8_t)((sum + 2048U) >> 12);
            }
        }
    }
}

/* Rows first..last-1 of the small picture. `stride`: bytes from a row of the crop to the next. */
void scale_rows(const uint8_t *crop, ptrdiff_t stride, int channels, int first, int last,
                uint8_t *small)
{
    uint16_t upper[CROP * 3], lower[CROP * 3], row[CROP * 3];
    for (int y = first; y < last; y++) {
        const int place = y * STEP + START;
        const uint8_t *at = crop + (ptrdiff_t)(2 * (place >> 6)) * stride;
        const unsigned weight = (unsigned)place & 63U;
        if (channels == 3) { /* known to the compiler, so that it can use wide registers */
            sum_rows(at, at + stride, CROP * 3, upper);
            sum_rows(at + 2 * stride, at + 3 * stride, CROP * 3, lower);
            weigh(upper, lower, weight, 3, row);
            across(row, 3, small + (ptrdiff_t)y * SMALL * 3);
        } else {
            sum_rows(at, at + stride, CROP * 1, upper);
            sum_rows(at + 2 * stride, at + 3 * stride, CROP * 1, lower);
            weigh(upper, lower, weight, 1, row);
            across(row, 1, small + (ptrdiff_t)y * SMALL);
        }
    }
}
