/* The RIN's picture from a crop of 2016 x 2016: means of 2 x 2, then bilinear to 512 x 512, halves
 * rounded up in each step. The same bytes as OpenCV's INTER_AREA and INTER_LINEAR_EXACT in turn
 * (edge.preprocess), in one pass over the crop. engines/kernels/preprocess.cu has the same sums. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CROP = 2016, HALF = CROP / 2, SMALL = 512, STEP = HALF * 64 / SMALL, START = STEP / 2 - 32 };

/* One row of means, at its full width: only every second pixel of it is ever read. */
static inline void half_row(const uint8_t *restrict upper, const uint8_t *restrict lower,
                            int channels, uint8_t *restrict out)
{
    const int length = (CROP - 1) * channels;
    for (int i = 0; i < length; i++) {
        const uint16_t left = (uint16_t)(upper[i] + lower[i]);
        const uint16_t right = (uint16_t)(upper[i + channels] + lower[i + channels]);
        out[i] = (uint8_t)((uint16_t)(left + right + 2U) >> 2);
    }
}

static void weigh(const uint8_t *restrict upper, const uint8_t *restrict lower, unsigned weight,
                  int length, uint16_t *restrict out)
{
    const uint16_t near = (uint16_t)(64U - weight), far = (uint16_t)weight;
    for (int i = 0; i < length; i++) {
        out[i] = (uint16_t)((uint16_t)(near * upper[i]) + (uint16_t)(far * lower[i]));
    }
}

static inline void across(const uint16_t *restrict row, int channels, uint8_t *restrict out)
{
    for (int x = 0; x < SMALL; x++) {
        const int place = x * STEP + START;
        const unsigned weight = (unsigned)place & 63U;
        const uint16_t *at = row + 2 * channels * (place >> 6);
        for (int c = 0; c < channels; c++) {
            const unsigned sum = (64U - weight) * at[c] + weight * at[c + 2 * channels];
            out[x * channels + c] = (uint8_t)((sum + 2048U) >> 12);
        }
    }
}

/* Rows first..last-1 of the small picture. `stride`: bytes from a row of the crop to the next. */
void scale_rows(const uint8_t *crop, ptrdiff_t stride, int channels, int first, int last,
                uint8_t *small)
{
    uint8_t upper[CROP * 3], lower[CROP * 3];
    uint16_t row[CROP * 3];
    const int length = (CROP - 1) * channels;
    for (int y = first; y < last; y++) {
        const int place = y * STEP + START;
        const uint8_t *at = crop + (ptrdiff_t)(2 * (place >> 6)) * stride;
        const unsigned weight = (unsigned)place & 63U;
        if (channels == 3) { /* known to the compiler, so that it can use wide registers */
            half_row(at, at + stride, 3, upper);
            half_row(at + 2 * stride, at + 3 * stride, 3, lower);
            weigh(upper, lower, weight, length, row);
            across(row, 3, small + (ptrdiff_t)y * SMALL * 3);
        } else {
            half_row(at, at + stride, 1, upper);
            half_row(at + 2 * stride, at + 3 * stride, 1, lower);
            weigh(upper, lower, weight, length, row);
            across(row, 1, small + (ptrdiff_t)y * SMALL);
        }
    }
}
