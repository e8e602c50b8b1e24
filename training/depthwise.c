/* Weight gradient of a depthwise convolution on channels-last data.
 *
 * PyTorch's own (oneDNN) takes half of a training step for 7 x 7 kernels on small maps. Here eight
 * channels go side by side through one row of the kernel, whose sums stay in registers.
 */
#include <stddef.h>
#include <string.h>

typedef float v8 __attribute__((vector_size(32), aligned(4)));

/* x: padded (n, (h - 1) stride + K, (w - 1) stride + K, c); g: (n, h, w, c); out: (c / 8, K, K, 8) */
#define DEFINE(K)                                                                                  \
    static void depthwise_##K(const float *x, const float *g, float *out, ptrdiff_t n,             \
                              ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, ptrdiff_t stride)             \
    {                                                                                              \
        const ptrdiff_t hp = (h - 1) * stride + K, wp = (w - 1) * stride + K;                      \
        for (ptrdiff_t i = 0; i < n; i++)                                                          \
            for (ptrdiff_t b = 0; b < c; b += 8)                                                   \
                for (ptrdiff_t ky = 0; ky < K; ky++) {                                             \
                    float *o = out + (b * K + ky * 8) * K;                                         \
                    v8 sum[K];                                                                     \
                    for (int kx = 0; kx < K; kx++) sum[kx] = *(const v8 *)(o + 8 * kx);            \
                    for (ptrdiff_t y = 0; y < h; y++) {                                            \
                        const float *gr = g + (i * h + y) * w * c + b;                             \
                        const float *xr = x + (i * hp + y * stride + ky) * wp * c + b;             \
                        for (ptrdiff_t p = 0; p < w; p++) {                                        \
                            const v8 gv = *(const v8 *)(gr + p * c);                               \
                            const float *q = xr + p * stride * c;                                  \
                            _Pragma("GCC unroll 8") for (int kx = 0; kx < K; kx++)                 \
                                sum[kx] += gv * *(const v8 *)(q + kx * c);                         \
                        }                                                                          \
                    }                                                                              \
                    for (int kx = 0; kx < K; kx++) *(v8 *)(o + 8 * kx) = sum[kx];                  \
                }                                                                                  \
    }
DEFINE(3)
DEFINE(5)
DEFINE(7)

/* 0, or 1 when the shape is not covered (c not a multiple of 8, k not 3, 5 or 7). */
int depthwise_weight_gradient(const float *x, const float *g, float *out, ptrdiff_t n, ptrdiff_t h,
                              ptrdiff_t w, ptrdiff_t c, ptrdiff_t k, ptrdiff_t stride)
{
    if (c % 8 != 0) return 1;
    memset(out, 0, (size_t)(c * k * k) * sizeof(float));
    if (k == 3) depthwise_3(x, g, out, n, h, w, c, stride);
    else if (k == 5) depthwise_5(x, g, out, n, h, w, c, stride);
    else if (k == 7) depthwise_7(x, g, out, n, h, w, c, stride);
    else return 1;
    return 0;
}
