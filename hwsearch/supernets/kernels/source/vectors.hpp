// Vectors of floats by the compiler's own extension (gcc, clang): one source for SSE, AVX2, AVX-512 and NEON.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int ROWS = 12;  // rows of a tile of a product: 24 of 32 registers hold its sums
#elif defined(__AVX__)
constexpr int LANES = 8;
constexpr int ROWS = 6;  // 12 of 16 registers
#elif defined(__aarch64__)
constexpr int LANES = 4;
constexpr int ROWS = 8;  // 16 of 32 registers
#else
constexpr int LANES = 4;
constexpr int ROWS = 6;
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Mask __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));  // at any address

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

INLINE Vec load(const float* p) { return *reinterpret_cast<const Loose*>(p); }
INLINE void store(float* p, Vec v) { *reinterpret_cast<Loose*>(p) = v; }
INLINE Vec all(float x) { return x - Vec{}; }

// the first n lanes; the others are zero
INLINE Vec load_some(const float* p, long n) {
  if (n >= LANES) return load(p);
  float lanes[LANES] = {};
  std::memcpy(lanes, p, n * sizeof(float));
  return load(lanes);
}
INLINE void store_some(float* p, Vec v, long n) {
  if (n >= LANES) return store(p, v);
  float lanes[LANES];
  store(lanes, v);
  std::memcpy(p, lanes, n * sizeof(float));
}

INLINE long smaller(long a, long b) { return a < b ? a : b; }
INLINE long padded(long n, long to) { return (n + to - 1) / to * to; }

// The share of a thread in a range of n.
struct Share {
  long from, to;
};
INLINE Share share(long n, long parts, long part) { return {n * part / parts, n * (part + 1) / parts}; }

INLINE long threads_here() {
#ifdef _OPENMP
  return omp_get_num_threads();
#else
  return 1;
#endif
}
INLINE long thread_here() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

// Memory of one call, zeroed; whole cache lines, so that threads do not share one.
template <class T>
struct Room {
  T* at;
  explicit Room(long n) {
    long bytes = padded((n > 0 ? n : 1) * static_cast<long>(sizeof(T)), 64);
    at = static_cast<T*>(aligned_alloc(64, bytes));
    if (at == nullptr) abort();  // as little memory as that ends every program
    std::memset(at, 0, bytes);
  }
  ~Room() { free(at); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
};
