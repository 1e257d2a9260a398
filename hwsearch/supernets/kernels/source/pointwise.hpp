// 1x1 convolution: products of rows (pixels) with a matrix, blocks of rows at a time, so that what is done with a block finds it in the cache.
#pragma once
#include "norm.hpp"

constexpr long BLOCK_ROWS = 96;
constexpr long PANEL = 2 * LANES;  // columns of a tile

// R rows by NV vectors of sums over `depth`; rows of `a` lie apart (ACROSS: beside each other)
template <int R, int NV, bool ACROSS>
INLINE void tile(long depth, const float* a, long apart, const float* b, long wide, Vec (&sums)[R][NV]) {
  UNROLL for (int i = 0; i < R; i++) UNROLL for (int v = 0; v < NV; v++) sums[i][v] = Vec{};
  for (long k = 0; k < depth; k++) {
    Vec column[NV];
    UNROLL for (int v = 0; v < NV; v++) column[v] = load(b + k * wide + v * LANES);
    UNROLL for (int i = 0; i < R; i++) {
      const Vec x = all(ACROSS ? a[k * apart + i] : a[i * apart + k]);
      UNROLL for (int v = 0; v < NV; v++) sums[i][v] += x * column[v];
    }
  }
}

// Matrix of `depth` rows and `columns` columns as panels of PANEL columns, filled with zeros.
struct Panels {
  long depth, columns;
  Room<float> at;
  Panels(const float* w, long row, long column, long depth, long columns)
      : depth(depth), columns(columns), at(padded(columns, PANEL) * depth) {
    for (long c = 0; c < columns; c++)
      for (long k = 0; k < depth; k++) at.at[(c / PANEL * depth + k) * PANEL + c % PANEL] = w[k * row + c * column];
  }
};

template <int R, int NV, bool MEASURED>
INLINE void product_tile(const float* a, long apart, const float* panel, long depth, float* y, long wide, long n,
                         const float* shift, float* sum, float* square) {
  Vec sums[R][NV];
  tile<R, NV, false>(depth, a, apart, panel, PANEL, sums);
  UNROLL for (int v = 0; v < NV; v++) {
    UNROLL for (int i = 0; i < R; i++) store_some(y + i * wide + v * LANES, sums[i][v], n - v * LANES);
    if (MEASURED) {
      const Vec base = load(shift + v * LANES);
      Vec s = load(sum + v * LANES), q = load(square + v * LANES);
      UNROLL for (int i = 0; i < R; i++) {
        const Vec d = sums[i][v] - base;
        s += d;
        q += d * d;
      }
      store(sum + v * LANES, s);
      store(square + v * LANES, q);
    }
  }
}

// y[rows, columns] = a[rows, depth] times the panels; with `m`, the sums of this block's columns for thread `part`
template <bool MEASURED>
static void product(const float* a, long rows, long apart, const Panels& w, float* y, Moments* m, long part) {
  const long wide = w.columns, depth = w.depth;
  for (long c = 0; c < wide; c += PANEL) {
    const float* panel = w.at.at + c * depth;
    const long n = smaller(PANEL, wide - c), at = MEASURED ? part * m->wide + c : 0;
    const float* shift = MEASURED ? m->shift.at + at : nullptr;
    float *sum = MEASURED ? m->near.at + at : nullptr, *square = MEASURED ? m->near_square.at + at : nullptr;
    long r = 0;
#define TILES(R)                                                                                                       \
  for (; r + R <= rows; r += R) {                                                                                      \
    if (n <= LANES)                                                                                                    \
      product_tile<R, 1, MEASURED>(a + r * apart, apart, panel, depth, y + r * wide + c, wide, n, shift, sum, square); \
    else                                                                                                               \
      product_tile<R, 2, MEASURED>(a + r * apart, apart, panel, depth, y + r * wide + c, wide, n, shift, sum, square); \
  }
    TILES(ROWS)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
  }
}

// dw[outputs, inputs] += dy[rows, outputs]' times x[rows, inputs]
template <int R, int NV>
INLINE void weight_tile(const float* dy, long outputs, const float* x, long inputs, long rows, float* dw, long wide, long n) {
  Vec sums[R][NV];
  tile<R, NV, true>(rows, dy, outputs, x, inputs, sums);
  UNROLL for (int i = 0; i < R; i++) UNROLL for (int v = 0; v < NV; v++) {
    float* at = dw + i * wide + v * LANES;
    store_some(at, load_some(at, n - v * LANES) + sums[i][v], n - v * LANES);
  }
}

static void weight_product(const float* dy, long outputs, const float* x, long inputs, long rows, float* dw, float* rest) {
  for (long c = 0; c < inputs; c += PANEL) {
    const long n = smaller(PANEL, inputs - c);
    const float* b = x + c;
    long wide = inputs;
    if (n % LANES != 0) {  // the last columns, so that nothing is read behind the last row
      for (long r = 0; r < rows; r++) std::memcpy(rest + r * PANEL, x + r * inputs + c, n * sizeof(float));
      b = rest;
      wide = PANEL;
    }
    long o = 0;
#define TILES(R)                                                                                    \
  for (; o + R <= outputs; o += R) {                                                                \
    if (n <= LANES)                                                                                 \
      weight_tile<R, 1>(dy + o, outputs, b, wide, rows, dw + o * inputs + c, inputs, n);            \
    else                                                                                            \
      weight_tile<R, 2>(dy + o, outputs, b, wide, rows, dw + o * inputs + c, inputs, n);            \
  }
    TILES(ROWS)
    TILES(4)
    TILES(2)
    TILES(1)
#undef TILES
  }
}

// y = x w'; with `m`, moments of y on the way
static void pointwise(const float* x, const float* w, long row, long column, float* y, long rows, long inputs, long outputs,
                      Moments* m, long threads) {
  const Panels panels(w, column, row, inputs, outputs);
#pragma omp parallel num_threads(threads)
  {
    const long part = thread_here();
    const Share own = share(rows, threads_here(), part);
    if (m && own.from < own.to)
      product<false>(x + own.from * inputs, 1, inputs, panels, m->shift.at + part * m->wide, nullptr, 0);
    for (long r = own.from; r < own.to; r += BLOCK_ROWS) {
      const long n = smaller(BLOCK_ROWS, own.to - r);
      if (m) {
        product<true>(x + r * inputs, n, inputs, panels, y + r * outputs, m, part);
        m->settle(part, 0, outputs, n);
      } else {
        product<false>(x + r * inputs, n, inputs, panels, y + r * outputs, nullptr, 0);
      }
    }
  }
}

// dx = dy w, dw = dy' x; either may be left out. `dy` is computed a block at a time.
static void pointwise_backward(const Pixels& dy, const float* x, const float* w, long row, long column, float* dx, float* dw,
                               long rows, long inputs, long outputs, long threads) {
  const Panels panels(w, row, column, dx ? outputs : 0, inputs);
  Room<float> parts(dw ? threads * outputs * inputs : 0);
#pragma omp parallel num_threads(threads)
  {
    const long part = thread_here();
    const Share own = share(rows, threads_here(), part);
    Room<float> block(BLOCK_ROWS * outputs), rest(BLOCK_ROWS * PANEL);
    for (long r = own.from; r < own.to; r += BLOCK_ROWS) {
      const long n = smaller(BLOCK_ROWS, own.to - r);
      dy.fill(r, n, 0, outputs, block.at, outputs);
      if (dx) product<false>(block.at, n, outputs, panels, dx + r * inputs, nullptr, 0);
      if (dw) weight_product(block.at, outputs, x + r * inputs, inputs, n, parts.at + part * outputs * inputs, rest.at);
    }
  }
  for (long i = 0; dw && i < outputs * inputs; i++) {
    float sum = 0;
    for (long part = 0; part < threads; part++) sum += parts.at[part * outputs * inputs + i];
    dw[i] = sum;
  }
}
