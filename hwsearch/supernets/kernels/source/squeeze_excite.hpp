// Squeeze-and-excitation: means over the pixels of an image, and its product with the gates. The small products between are torch's.
#pragma once
#include "vectors.hpp"

// out[image, c] = sum over pixels of x (times g, where given), times `factor`
static void image_sums(const float* x, const float* g, float* out, long images, long pixels, long channels, float factor,
                       long threads) {
#pragma omp parallel num_threads(threads)
  {
    const Share own = share(images, threads_here(), thread_here());
    Room<float> sums(padded(channels, LANES));
    for (long i = own.from; i < own.to; i++) {
      std::memset(sums.at, 0, channels * sizeof(float));
      for (long p = 0; p < pixels; p++)
        for (long c = 0; c < channels; c += LANES) {
          const long at = (i * pixels + p) * channels + c;
          Vec v = load_some(x + at, channels - c);
          if (g) v = v * load_some(g + at, channels - c);
          store(sums.at + c, load(sums.at + c) + v);
        }
      for (long c = 0; c < channels; c += LANES)
        store_some(out + i * channels + c, load(sums.at + c) * factor, channels - c);
    }
  }
}

// out = x * gate (+ pool, where given)
static void gated(const float* x, const float* gate, const float* pool, float* out, long images, long pixels, long channels,
                  long threads) {
#pragma omp parallel num_threads(threads)
  {
    const Share own = share(images * pixels, threads_here(), thread_here());
    for (long r = own.from; r < own.to; r++)
      for (long c = 0; c < channels; c += LANES) {
        const long n = channels - c, i = r / pixels * channels + c;
        Vec y = load_some(x + r * channels + c, n) * load_some(gate + i, n);
        if (pool) y = y + load_some(pool + i, n);
        store_some(out + r * channels + c, y, n);
      }
  }
}
