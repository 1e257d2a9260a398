// Batch normalisation with an activation behind it, over rows (pixels) of channels.
#pragma once
#include "activations.hpp"

// Sums of x - shift and of its square for each channel, one set a thread. Blocks of rows are summed in float, blocks in double;
// the shift, a value of the channel's own, keeps the variance of channels with a large mean.
struct Moments {
  long channels, wide, parts;
  Room<float> shift, near, near_square;
  Room<double> sum, square, count;
  Moments(long channels, long parts)
      : channels(channels), wide(padded(channels, 2 * LANES)), parts(parts), shift(wide * parts), near(wide * parts),
        near_square(wide * parts), sum(wide * parts), square(wide * parts), count(wide * parts) {}

  // moves the float sums of `rows` rows of channels [from, to) into the double ones
  void settle(long part, long from, long to, long rows) {
    float *n = near.at + part * wide, *q = near_square.at + part * wide;
    double *s = sum.at + part * wide, *t = square.at + part * wide, *c = count.at + part * wide;
    for (long i = from; i < to; i++) {
      s[i] += n[i];
      t[i] += q[i];
      c[i] += static_cast<double>(rows);
      n[i] = q[i] = 0.0f;
    }
  }
  // joins the threads' sums in their order: mean and biased variance (Chan, Golub, LeVeque, 1979)
  void join(float* mean, float* variance) const {
    for (long c = 0; c < channels; c++) {
      double n = 0, m = 0, q = 0;
      for (long part = 0; part < parts; part++) {
        const long i = part * wide + c;
        const double k = count.at[i];
        if (k == 0) continue;
        const double own = shift.at[i] + sum.at[i] / k, spread = square.at[i] - sum.at[i] * (sum.at[i] / k);
        const double apart = own - m, both = n + k;
        m += apart * (k / both);
        q += (spread < 0 ? 0 : spread) + apart * apart * (n * k / both);
        n = both;
      }
      mean[c] = static_cast<float>(m);
      variance[c] = static_cast<float>(n > 0 ? q / n : 0);
    }
  }
};

// What the normalisation multiplies and adds: z = (x - mean) * scale + bias.
struct Scales {
  long wide;
  Room<float> mean, scale, bias, first, second;
  Scales(long channels, const float* m, const float* variance, const float* weight, const float* shift, double eps)
      : wide(padded(channels, 2 * LANES)), mean(wide), scale(wide), bias(wide), first(wide), second(wide) {
    for (long c = 0; c < channels; c++) {
      mean.at[c] = m[c];
      scale.at[c] = static_cast<float>(weight[c] / __builtin_sqrt(variance[c] + eps));
      bias.at[c] = shift[c];
    }
  }
};

constexpr long NONE = -1;  // nothing to call for
constexpr long LINE = 16;  // floats of a cache line

// Calls for the cache lines of n floats; an address behind the end is no fault.
INLINE void call_for(const float* p, long n) {
  for (long i = 0; i < n; i += LINE) __builtin_prefetch(p + i, 0, 2);
}

// Pixels that are read as they are, normalised and activated, or the gradient of a norm's input, computed where it is needed.
struct Pixels {
  const float *x, *g;
  const Scales* k;
  long channels;
  void (*some)(const Pixels&, long pixel, long count, long c, long n, float* to, long step, long ahead);
  // channels c to c + n of `count` pixels, `step` floats apart; as many floats from `ahead` on are called for meanwhile
  void fill(long pixel, long count, long c, long n, float* to, long step, long ahead = NONE) const {
    some(*this, pixel, count, c, n, to, step, ahead);
  }
};

static void plain_pixels(const Pixels& p, long pixel, long count, long c, long n, float* to, long step, long ahead) {
  for (long i = 0; i < count; i++) {
    if (ahead != NONE) call_for(p.x + ahead + i * step, step);
    for (long v = 0; v < n; v += LANES)
      store_some(to + i * step + v, load_some(p.x + (pixel + i) * p.channels + c + v, n - v), n - v);
  }
}

template <int ACT>
static void activated_pixels(const Pixels& p, long pixel, long count, long c, long n, float* to, long step, long ahead) {
  for (long i = 0; i < count; i++) {
    if (ahead != NONE) call_for(p.x + ahead + i * step, step);
    for (long v = 0; v < n; v += LANES) {
      const Vec apart = load_some(p.x + (pixel + i) * p.channels + c + v, n - v) - load(p.k->mean.at + c + v);
      const Vec z = apart * load(p.k->scale.at + c + v) + load(p.k->bias.at + c + v);
      store_some(to + i * step + v, activated<ACT>(z), n - v);
    }
  }
}

template <int ACT>
static void gradient_pixels(const Pixels& p, long pixel, long count, long c, long n, float* to, long step, long ahead) {
  for (long i = 0; i < count; i++) {
    if (ahead != NONE) {
      call_for(p.x + ahead + i * step, step);
      call_for(p.g + ahead + i * step, step);
    }
    for (long v = 0; v < n; v += LANES) {
      const long at = (pixel + i) * p.channels + c + v, k = c + v;
      const Vec apart = load_some(p.x + at, n - v) - load(p.k->mean.at + k), scale = load(p.k->scale.at + k);
      const Vec g = through<ACT>(apart * scale + load(p.k->bias.at + k), load_some(p.g + at, n - v));
      store_some(to + i * step + v, scale * (g - load(p.k->first.at + k) - apart * load(p.k->second.at + k)), n - v);
    }
  }
}

static Pixels plain(const float* x, long channels) { return {x, nullptr, nullptr, channels, plain_pixels}; }
static Pixels normalised(const float* x, const Scales& k, long channels, long act) {
  Pixels found{x, nullptr, &k, channels, nullptr};
  with_activation(act, [&]<int ACT>() { found.some = activated_pixels<ACT>; });
  return found;
}
static Pixels gradient(const float* x, const float* g, const Scales& k, long channels, long act) {
  Pixels found{x, g, &k, channels, nullptr};
  with_activation(act, [&]<int ACT>() { found.some = gradient_pixels<ACT>; });
  return found;
}

// Moments of rows.
static void row_moments(const float* x, long rows, long channels, Moments& m, long threads) {
#pragma omp parallel num_threads(threads)
  {
    const long part = thread_here();
    const Share own = share(rows, threads_here(), part);
    float *shift = m.shift.at + part * m.wide, *sum = m.near.at + part * m.wide, *square = m.near_square.at + part * m.wide;
    if (own.from < own.to) std::memcpy(shift, x + own.from * channels, channels * sizeof(float));
    for (long from = own.from; from < own.to; from += 64) {
      const long to = smaller(from + 64, own.to);
      for (long r = from; r < to; r++)
        for (long c = 0; c < channels; c += LANES) {
          const Vec d = load_some(x + r * channels + c, channels - c) - load(shift + c);
          store(sum + c, load(sum + c) + d);
          store(square + c, load(square + c) + d * d);
        }
      m.settle(part, 0, channels, to - from);
    }
  }
}

// out = act((x - mean) * scale + bias) + residual
static void normalise(const float* x, const Scales& k, const float* residual, float* out, long rows, long channels, long act,
                      long threads) {
  with_activation(act, [&]<int ACT>() {
#pragma omp parallel num_threads(threads)
    {
      const Share own = share(rows, threads_here(), thread_here());
      for (long r = own.from; r < own.to; r++)
        for (long c = 0; c < channels; c += LANES) {
          const long i = r * channels + c, n = channels - c;
          const Vec z = (load_some(x + i, n) - load(k.mean.at + c)) * load(k.scale.at + c) + load(k.bias.at + c);
          Vec y = activated<ACT>(z);
          if (residual) y = y + load_some(residual + i, n);
          store_some(out + i, y, n);
        }
    }
  });
}

// For each thread and channel, the sums of the gradient behind a norm, and of it times the distance from the mean.
struct GradientSums {
  long wide, parts;
  Room<double> at;
  GradientSums(long wide, long parts) : wide(wide), parts(parts), at(2 * wide * parts) {}
  double* of(long part) const { return at.at + 2 * wide * part; }
  // gradients of the norm's weight and bias, and the two means that the gradient of its input subtracts (into `k`)
  void join(Scales& k, const float* variance, double eps, float* dweight, float* dbias, long rows, long channels) const {
    for (long c = 0; c < channels; c++) {
      double one = 0, two = 0;
      for (long part = 0; part < parts; part++) {
        one += of(part)[c];
        two += of(part)[wide + c];
      }
      const double inverse = 1 / __builtin_sqrt(variance[c] + eps);
      dbias[c] = static_cast<float>(one);
      dweight[c] = static_cast<float>(two * inverse);
      k.first.at[c] = static_cast<float>(one / rows);
      k.second.at[c] = static_cast<float>(two * inverse * inverse / rows);
    }
  }
};

// What is done with the gradient of an activation's output, for one group of channels while it is in the cache: it is taken
// through the activation in place, and summed for the norm before.
struct Through {
  const float* x;
  const Scales* k;
  const GradientSums* sums;
  long channels;
  void (*run)(const Through&, long pixel, long count, long c, long n, float* g, long part);
};

template <int ACT>
static void through_pixels(const Through& t, long pixel, long count, long c, long n, float* g, long part) {
  for (long v = 0; v < n; v += LANES) {
    const long k = c + v;
    const Vec mean = load(t.k->mean.at + k), scale = load(t.k->scale.at + k), bias = load(t.k->bias.at + k);
    Vec one = {}, two = {};
    for (long i = 0; i < count; i++) {
      const long at = (pixel + i) * t.channels + k;
      const Vec apart = load_some(t.x + at, n - v) - mean;
      const Vec d = through<ACT>(apart * scale + bias, load_some(g + at, n - v));
      store_some(g + at, d, n - v);
      one += d;
      two += d * apart;
    }
    double* total = t.sums->of(part);
    for (long i = 0; i < smaller(LANES, n - v); i++) {
      total[k + i] += one[i];
      total[t.sums->wide + k + i] += two[i];
    }
  }
}

static Through behind(const float* x, const Scales& k, const GradientSums& sums, long channels, long act) {
  Through found{x, &k, &sums, channels, nullptr};
  with_activation(act, [&]<int ACT>() { found.run = through_pixels<ACT>; });
  return found;
}

// Gradients of the norm's weight and bias, and the two means that the gradient of its input subtracts (into `k`).
static void norm_sums(const float* x, const float* g, Scales& k, const float* variance, double eps, float* dweight, float* dbias,
                      long rows, long channels, long act, long threads) {
  GradientSums sums(k.wide, threads);
  with_activation(act, [&]<int ACT>() {
#pragma omp parallel num_threads(threads)
    {
      const long part = thread_here();
      const Share own = share(rows, threads_here(), part);
      Room<float> near(2 * k.wide);
      float *first = near.at, *second = near.at + k.wide;
      double* total = sums.of(part);
      for (long from = own.from; from < own.to; from += 64) {
        const long to = smaller(from + 64, own.to);
        for (long r = from; r < to; r++)
          for (long c = 0; c < channels; c += LANES) {
            const long i = r * channels + c, n = channels - c;
            const Vec apart = load_some(x + i, n) - load(k.mean.at + c);
            const Vec z = apart * load(k.scale.at + c) + load(k.bias.at + c);
            const Vec d = through<ACT>(z, load_some(g + i, n));
            store(first + c, load(first + c) + d);
            store(second + c, load(second + c) + d * apart);
          }
        for (long c = 0; c < 2 * k.wide; c++) {
          total[c] += near.at[c];
          near.at[c] = 0.0f;
        }
      }
    }
  });
  sums.join(k, variance, eps, dweight, dbias, rows, channels);
}
