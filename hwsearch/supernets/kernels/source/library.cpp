// The C interface of the training kernels: float32, pixels in rows of channels (channels last), no torch and no Python.
// `threads` is the number of OpenMP threads; sums are joined in the order of the threads, so equal numbers give equal bits.
#include "depthwise.hpp"
#include "pointwise.hpp"
#include "squeeze_excite.hpp"

#pragma GCC visibility push(default)
extern "C" {

// Changes when the interface does.
int64_t hwsearch_interface() { return 2; }
int64_t hwsearch_lanes() { return LANES; }
int64_t hwsearch_openmp() {
#ifdef _OPENMP
  return 1;
#else
  return 0;
#endif
}

// y[rows, outputs] = x[rows, inputs] w', w of any strides
void hwsearch_pointwise(const float* x, const float* w, int64_t row, int64_t column, float* y, int64_t rows, int64_t inputs,
                        int64_t outputs, int64_t threads) {
  pointwise(x, w, row, column, y, rows, inputs, outputs, nullptr, threads);
}

void hwsearch_pointwise_backward(const float* g, const float* x, const float* w, int64_t row, int64_t column, float* dx,
                                 float* dw, int64_t rows, int64_t inputs, int64_t outputs, int64_t threads) {
  pointwise_backward(plain(g, outputs), x, w, row, column, dx, dw, rows, inputs, outputs, threads);
}

// y as above, its mean and variance over the rows, and out = act(norm(y)) + residual
void hwsearch_pointwise_norm(const float* x, const float* w, int64_t row, int64_t column, const float* weight,
                             const float* bias, const float* residual, float* y, float* mean, float* variance, float* out,
                             int64_t rows, int64_t inputs, int64_t outputs, int64_t act, double eps, int64_t threads) {
  Moments m(outputs, threads);
  pointwise(x, w, row, column, y, rows, inputs, outputs, &m, threads);
  m.join(mean, variance);
  const Scales k(outputs, mean, variance, weight, bias, eps);
  normalise(y, k, residual, out, rows, outputs, act, threads);
}

void hwsearch_pointwise_norm_backward(const float* g, const float* x, const float* w, int64_t row, int64_t column,
                                      const float* weight, const float* bias, const float* y, const float* mean,
                                      const float* variance, float* dx, float* dw, float* dweight, float* dbias, int64_t rows,
                                      int64_t inputs, int64_t outputs, int64_t act, double eps, int64_t threads) {
  Scales k(outputs, mean, variance, weight, bias, eps);
  norm_sums(y, g, k, variance, eps, dweight, dbias, rows, outputs, act, threads);
  pointwise_backward(gradient(y, g, k, outputs, act), x, w, row, column, dx, dw, rows, inputs, outputs, threads);
}

// out = act(norm(x)) + residual
void hwsearch_norm(const float* x, const float* weight, const float* bias, const float* residual, float* mean, float* variance,
                   float* out, int64_t rows, int64_t channels, int64_t act, double eps, int64_t threads) {
  Moments m(channels, threads);
  row_moments(x, rows, channels, m, threads);
  m.join(mean, variance);
  const Scales k(channels, mean, variance, weight, bias, eps);
  normalise(x, k, residual, out, rows, channels, act, threads);
}

void hwsearch_norm_backward(const float* g, const float* x, const float* weight, const float* bias, const float* mean,
                            const float* variance, float* dx, float* dweight, float* dbias, int64_t rows, int64_t channels,
                            int64_t act, double eps, int64_t threads) {
  Scales k(channels, mean, variance, weight, bias, eps);
  norm_sums(x, g, k, variance, eps, dweight, dbias, rows, channels, act, threads);
  const Pixels dy = gradient(x, g, k, channels, act);
#pragma omp parallel num_threads(threads)
  {
    const Share own = share(rows, threads_here(), thread_here());
    dy.fill(own.from, own.to - own.from, 0, channels, dx + own.from * channels, channels);
  }
}

void hwsearch_depthwise(const float* x, const float* w, int64_t channel, int64_t tap, float* y, int64_t images, int64_t height,
                        int64_t width, int64_t channels, int64_t kernel, int64_t stride, int64_t threads) {
  const Geometry s{images, height, width, channels, (height - 1) / stride + 1, (width - 1) / stride + 1};
  with_kernel(kernel, stride, [&]<int K, int S>() { depthwise<K, S>(plain(x, channels), w, channel, tap, y, s, nullptr, threads); });
}

void hwsearch_depthwise_backward(const float* g, const float* x, const float* w, int64_t channel, int64_t tap, float* dx,
                                 float* dw, int64_t images, int64_t height, int64_t width, int64_t channels, int64_t kernel,
                                 int64_t stride, int64_t threads) {
  const Geometry s{images, height, width, channels, (height - 1) / stride + 1, (width - 1) / stride + 1};
  with_kernel(kernel, stride, [&]<int K, int S>() {
    depthwise_backward<K, S>(plain(g, channels), plain(x, channels), w, channel, tap, dx, dw, s, threads);
  });
}

void hwsearch_depthwise_norm(const float* x, const float* w, int64_t channel, int64_t tap, const float* weight,
                             const float* bias, float* y, float* mean, float* variance, float* out, int64_t images,
                             int64_t height, int64_t width, int64_t channels, int64_t kernel, int64_t stride, int64_t act,
                             double eps, int64_t threads) {
  const Geometry s{images, height, width, channels, (height - 1) / stride + 1, (width - 1) / stride + 1};
  Moments m(channels, threads);
  with_kernel(kernel, stride, [&]<int K, int S>() { depthwise<K, S>(plain(x, channels), w, channel, tap, y, s, &m, threads); });
  m.join(mean, variance);
  const Scales k(channels, mean, variance, weight, bias, eps);
  normalise(y, k, nullptr, out, images * s.out_height * s.out_width, channels, act, threads);
}

void hwsearch_depthwise_norm_backward(const float* g, const float* x, const float* w, int64_t channel, int64_t tap,
                                      const float* weight, const float* bias, const float* y, const float* mean,
                                      const float* variance, float* dx, float* dw, float* dweight, float* dbias, int64_t images,
                                      int64_t height, int64_t width, int64_t channels, int64_t kernel, int64_t stride,
                                      int64_t act, double eps, int64_t threads) {
  const Geometry s{images, height, width, channels, (height - 1) / stride + 1, (width - 1) / stride + 1};
  Scales k(channels, mean, variance, weight, bias, eps);
  norm_sums(y, g, k, variance, eps, dweight, dbias, images * s.out_height * s.out_width, channels, act, threads);
  const Pixels dy = gradient(y, g, k, channels, act);
  with_kernel(kernel, stride, [&]<int K, int S>() {
    depthwise_backward<K, S>(dy, plain(x, channels), w, channel, tap, dx, dw, s, threads);
  });
}

// Both convolutions, each with norm and activation: what is between them is not written.
void hwsearch_expand(const float* x, const float* w1, int64_t row, int64_t column, const float* weight1, const float* bias1,
                     const float* w2, int64_t channel, int64_t tap, const float* weight2, const float* bias2, float* y1,
                     float* mean1, float* variance1, float* y2, float* mean2, float* variance2, float* out, int64_t inputs,
                     int64_t images, int64_t height, int64_t width, int64_t channels, int64_t kernel, int64_t stride,
                     int64_t act, double eps1, double eps2, int64_t threads) {
  const Geometry s{images, height, width, channels, (height - 1) / stride + 1, (width - 1) / stride + 1};
  Moments first(channels, threads), second(channels, threads);
  pointwise(x, w1, row, column, y1, images * height * width, inputs, channels, &first, threads);
  first.join(mean1, variance1);
  const Scales k1(channels, mean1, variance1, weight1, bias1, eps1);
  const Pixels between = normalised(y1, k1, channels, act);
  with_kernel(kernel, stride, [&]<int K, int S>() { depthwise<K, S>(between, w2, channel, tap, y2, s, &second, threads); });
  second.join(mean2, variance2);
  const Scales k2(channels, mean2, variance2, weight2, bias2, eps2);
  normalise(y2, k2, nullptr, out, images * s.out_height * s.out_width, channels, act, threads);
}

// `between` is room for the gradient of y1's activation
void hwsearch_expand_backward(const float* g, const float* x, const float* w1, int64_t row, int64_t column,
                              const float* weight1, const float* bias1, const float* w2, int64_t channel, int64_t tap,
                              const float* weight2, const float* bias2, const float* y1, const float* mean1,
                              const float* variance1, const float* y2, const float* mean2, const float* variance2,
                              float* between, float* dx, float* dw1, float* dweight1, float* dbias1, float* dw2,
                              float* dweight2, float* dbias2, int64_t inputs, int64_t images, int64_t height, int64_t width,
                              int64_t channels, int64_t kernel, int64_t stride, int64_t act, double eps1, double eps2,
                              int64_t threads) {
  const Geometry s{images, height, width, channels, (height - 1) / stride + 1, (width - 1) / stride + 1};
  const long rows = images * height * width;
  Scales k1(channels, mean1, variance1, weight1, bias1, eps1), k2(channels, mean2, variance2, weight2, bias2, eps2);
  norm_sums(y2, g, k2, variance2, eps2, dweight2, dbias2, images * s.out_height * s.out_width, channels, act, threads);
  const GradientSums sums(k1.wide, threads);
  const Pixels dy2 = gradient(y2, g, k2, channels, act), x2 = normalised(y1, k1, channels, act);
  const Through then = behind(y1, k1, sums, channels, act);
  with_kernel(kernel, stride, [&]<int K, int S>() {
    depthwise_backward<K, S>(dy2, x2, w2, channel, tap, between, dw2, s, threads, &then);
  });
  sums.join(k1, variance1, eps1, dweight1, dbias1, rows, channels);
  pointwise_backward(gradient(y1, between, k1, channels, IDENTITY), x, w1, row, column, dx, dw1, rows, inputs, channels, threads);
}

// out[images, channels] = mean over the pixels
void hwsearch_pool(const float* x, float* out, int64_t images, int64_t pixels, int64_t channels, int64_t threads) {
  image_sums(x, nullptr, out, images, pixels, channels, 1.0f / pixels, threads);
}

void hwsearch_gate(const float* x, const float* gate, float* out, int64_t images, int64_t pixels, int64_t channels,
                   int64_t threads) {
  gated(x, gate, nullptr, out, images, pixels, channels, threads);
}

// gradient of the gates
void hwsearch_gate_sums(const float* x, const float* g, float* out, int64_t images, int64_t pixels, int64_t channels,
                        int64_t threads) {
  image_sums(x, g, out, images, pixels, channels, 1.0f, threads);
}

// dx = g * gate + dpool, where dpool is divided by the pixels already
void hwsearch_gate_backward(const float* g, const float* gate, const float* dpool, float* dx, int64_t images, int64_t pixels,
                            int64_t channels, int64_t threads) {
  gated(g, gate, dpool, dx, images, pixels, channels, threads);
}
}
#pragma GCC visibility pop
