// Depth-wise convolution with odd kernel K, stride S of 1 or 2 and padding K / 2: one image and 2 * LANES channels at a time, laid
// out with zeros beside the rows, so that all of it stays in the first cache and no tap needs a test of its column.
#pragma once
#include "norm.hpp"

constexpr long GROUP = 2 * LANES;  // channels at a time
constexpr int AHEAD = 4;           // outputs at a time

struct Geometry {
  long images, height, width, channels, out_height, out_width;
  long groups() const { return (channels + GROUP - 1) / GROUP; }
};

// Rows of pixels of one group of channels, with zeros left and right.
struct Laid {
  long height, width, left, wide;
  Room<float> at;
  Laid(long height, long width, long left, long right)
      : height(height), width(width), left(left), wide(left + width + right), at(height * wide * GROUP) {}
  // The lines of a group's pixels lie far apart, which no processor foresees: those of the next image are called for meanwhile.
  void fill(const Pixels& pixels, long image, long c) {
    const long n = smaller(GROUP, pixels.channels - c), all = height * width;
    const long ahead = (image + 1) * all * pixels.channels + c * all;
    for (long h = 0; h < height; h++)
      pixels.fill((image * height + h) * width, width, c, n, at.at + (h * wide + left) * GROUP, GROUP, ahead + h * width * GROUP);
  }
};

// Weights by group and tap, in the order of the kernel or turned round.
struct Taps {
  long count;
  Room<float> at;
  Taps(const float* w, long channel, long tap, long count, const Geometry& s, bool turned)
      : count(count), at(s.groups() * count * GROUP) {
    for (long c = 0; c < s.channels; c++)
      for (long t = 0; t < count; t++)
        at.at[(c / GROUP * count + t) * GROUP + c % GROUP] = w[c * channel + (turned ? count - 1 - t : t) * tap];
  }
  const float* group(long g) const { return at.at + g * count * GROUP; }
};

// N neighbouring outputs of a row
template <int K, int S, int N>
INLINE void convolved(const Laid& x, const float* w, long oh, long ow, Vec (&sums)[N][2]) {
  UNROLL for (int b = 0; b < N; b++) sums[b][0] = sums[b][1] = Vec{};
  for (int dy = 0; dy < K; dy++) {
    const long h = oh * S - K / 2 + dy;
    if (h < 0 || h >= x.height) continue;
    const float *from = x.at.at + (h * x.wide + ow * S) * GROUP, *tap = w + dy * K * GROUP;
    UNROLL for (int k = 0; k < K; k++) {
      const Vec one = load(tap + k * GROUP), two = load(tap + k * GROUP + LANES);
      UNROLL for (int b = 0; b < N; b++) {
        sums[b][0] += one * load(from + (b * S + k) * GROUP);
        sums[b][1] += two * load(from + (b * S + k) * GROUP + LANES);
      }
    }
  }
}

// N inputs of a row, two apart, whose gradients come from every other tap
template <int K, int PHASE, int N>
INLINE void returned(const Laid& g, const float* w, long h, long j, Vec (&sums)[N][2]) {
  UNROLL for (int b = 0; b < N; b++) sums[b][0] = sums[b][1] = Vec{};
  for (int dy = 0; dy < K; dy++) {
    const long twice = h + K / 2 - dy;
    if (twice < 0 || (twice & 1) || twice / 2 >= g.height) continue;
    const float *from = g.at.at + (twice / 2 * g.wide + g.left + j) * GROUP, *tap = w + dy * K * GROUP;
    UNROLL for (int k = 0; k < K; k++) {
      if ((PHASE + K / 2 - k) & 1) continue;
      const Vec one = load(tap + k * GROUP), two = load(tap + k * GROUP + LANES);
      UNROLL for (int b = 0; b < N; b++) {
        const float* at = from + (b + (PHASE + K / 2 - k) / 2) * GROUP;
        sums[b][0] += one * load(at);
        sums[b][1] += two * load(at + LANES);
      }
    }
  }
}

INLINE void put(float* y, const Vec (&sums)[2], long n) {
  store_some(y, sums[0], n);
  if (n > LANES) store_some(y + LANES, sums[1], n - LANES);
}

struct Tally {
  Vec shift[2], sum[2], square[2];
};
INLINE void tally(Tally& t, const Vec (&sums)[2]) {
  for (int v = 0; v < 2; v++) {
    const Vec d = sums[v] - t.shift[v];
    t.sum[v] += d;
    t.square[v] += d * d;
  }
}

template <int K, int S>
static void depthwise(const Pixels& x, const float* w, long channel, long tap, float* y, const Geometry& s, Moments* m,
                      long threads) {
  const Taps all_taps(w, channel, tap, K * K, s, false);
#pragma omp parallel num_threads(threads)
  {
    const long part = thread_here(), pixels = s.out_height * s.out_width;
    const Share own = share(s.images * s.groups(), threads_here(), part);
    Laid laid(s.height, s.width, K / 2, K / 2 + AHEAD * S);
    for (long i = own.from; i < own.to; i++) {
      const long image = i / s.groups(), group = i % s.groups(), c = group * GROUP, n = s.channels - c;
      const float* weights = all_taps.group(group);
      laid.fill(x, image, c);
      float* out = y + image * pixels * s.channels + c;
      Tally t = {};
      const long at = m ? part * m->wide + c : 0;
      if (m) {
        if (m->count.at[at] == 0) {
          Vec first[1][2];
          convolved<K, S, 1>(laid, weights, 0, 0, first);
          store(m->shift.at + at, first[0][0]);
          store(m->shift.at + at + LANES, first[0][1]);
        }
        t.shift[0] = load(m->shift.at + at);
        t.shift[1] = load(m->shift.at + at + LANES);
      }
      for (long oh = 0; oh < s.out_height; oh++) {
        long ow = 0;
#define OUTPUTS(N)                                                                               \
  for (; ow + N <= s.out_width; ow += N) {                                                       \
    Vec sums[N][2];                                                                              \
    convolved<K, S, N>(laid, weights, oh, ow, sums);                                          \
    UNROLL for (int b = 0; b < N; b++) {                                                         \
      put(out + (oh * s.out_width + ow + b) * s.channels, sums[b], n);                           \
      if (m) tally(t, sums[b]);                                                                  \
    }                                                                                            \
  }
        OUTPUTS(AHEAD)
        OUTPUTS(2)
        OUTPUTS(1)
#undef OUTPUTS
      }
      if (m) {
        store(m->near.at + at, t.sum[0]);
        store(m->near.at + at + LANES, t.sum[1]);
        store(m->near_square.at + at, t.square[0]);
        store(m->near_square.at + at + LANES, t.square[1]);
        m->settle(part, c, c + GROUP, pixels);
      }
    }
  }
}

// dx and dw; either may be left out. Input and output gradient are computed as they are laid out; `then` gets dx.
template <int K, int S>
static void depthwise_backward(const Pixels& dy, const Pixels& x, const float* w, long channel, long tap, float* dx, float* dw,
                               const Geometry& s, long threads, const Through* then = nullptr) {
  const long wide = s.groups() * GROUP;
  Room<float> parts(dw ? threads * K * K * wide : 0);
  const Taps all_taps(w, channel, tap, K * K, s, S == 1);
#pragma omp parallel num_threads(threads)
  {
    const long part = thread_here();
    const Share own = share(s.images * s.groups(), threads_here(), part);
    Laid g(s.out_height, s.out_width, K / 2, K / 2 + AHEAD), laid(s.height, s.width, K / 2, K / 2 + AHEAD * S);
    for (long i = own.from; i < own.to; i++) {
      const long image = i / s.groups(), group = i % s.groups(), c = group * GROUP, n = s.channels - c;
      const float* weights = all_taps.group(group);
      g.fill(dy, image, c);
      float* back = dx + image * s.height * s.width * s.channels + c;
      for (long h = 0; dx && h < s.height; h++) {
        if (S == 1) {
          long ow = 0;
#define INPUTS(N)                                                                                                   \
  for (; ow + N <= s.width; ow += N) {                                                                              \
    Vec sums[N][2];                                                                                                 \
    convolved<K, 1, N>(g, weights, h, ow, sums);                                                                 \
    UNROLL for (int b = 0; b < N; b++) put(back + (h * s.width + ow + b) * s.channels, sums[b], n);                 \
  }
          INPUTS(AHEAD)
          INPUTS(2)
          INPUTS(1)
#undef INPUTS
        } else {
#define INPUTS(PHASE, N)                                                                                            \
  for (; j + N <= (s.width + 1 - PHASE) / 2; j += N) {                                                              \
    Vec sums[N][2];                                                                                                 \
    returned<K, PHASE, N>(g, weights, h, j, sums);                                                               \
    UNROLL for (int b = 0; b < N; b++) put(back + (h * s.width + 2 * (j + b) + PHASE) * s.channels, sums[b], n);    \
  }
          long j = 0;
          INPUTS(0, AHEAD)
          INPUTS(0, 1)
          j = 0;
          INPUTS(1, AHEAD)
          INPUTS(1, 1)
#undef INPUTS
        }
      }
      if (then) then->run(*then, image * s.height * s.width, s.height * s.width, c, smaller(GROUP, n), dx, part);
      if (!dw) continue;
      laid.fill(x, image, c);
      for (int row = 0; row < K; row++) {
        Vec sums[K][2] = {};
        for (long oh = 0; oh < s.out_height; oh++) {
          const long h = oh * S - K / 2 + row;
          if (h < 0 || h >= s.height) continue;
          const float *from = laid.at.at + h * laid.wide * GROUP, *grad = g.at.at + (oh * g.wide + g.left) * GROUP;
          for (long ow = 0; ow < s.out_width; ow++) {
            const Vec one = load(grad + ow * GROUP), two = load(grad + ow * GROUP + LANES);
            UNROLL for (int k = 0; k < K; k++) {
              sums[k][0] += one * load(from + (ow * S + k) * GROUP);
              sums[k][1] += two * load(from + (ow * S + k) * GROUP + LANES);
            }
          }
        }
        float* to = parts.at + (part * K * K + row * K) * wide + c;
        UNROLL for (int k = 0; k < K; k++) {
          store(to + k * wide, load(to + k * wide) + sums[k][0]);
          store(to + k * wide + LANES, load(to + k * wide + LANES) + sums[k][1]);
        }
      }
    }
  }
  for (long c = 0; dw && c < s.channels; c++)
    for (long t = 0; t < K * K; t++) {
      float sum = 0;
      for (long part = 0; part < threads; part++) sum += parts.at[(part * K * K + t) * wide + c];
      dw[c * K * K + t] = sum;
    }
}

// Calls `body` with kernel and stride as constants of the compiler.
template <class Body>
static void with_kernel(long kernel, long stride, Body body) {
  if (stride == 1) {
    if (kernel == 3) body.template operator()<3, 1>();
    if (kernel == 5) body.template operator()<5, 1>();
    if (kernel == 7) body.template operator()<7, 1>();
  } else {
    if (kernel == 3) body.template operator()<3, 2>();
    if (kernel == 5) body.template operator()<5, 2>();
    if (kernel == 7) body.template operator()<7, 2>();
  }
}
