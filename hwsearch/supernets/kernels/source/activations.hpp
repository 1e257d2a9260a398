// Activations and their derivatives; comparisons are written so that NaN stays NaN.
#pragma once
#include "vectors.hpp"

enum Activation { IDENTITY, RELU, RELU6, HARDSWISH, SILU };

// e^x to about 1e-7: 2^k times a polynomial on [-ln 2 / 2, ln 2 / 2] (Taylor's to the 7th power).
INLINE Vec exponential(Vec x) {
  Vec bounded = x < -87.0f ? all(-87.0f) : x;
  bounded = bounded > 88.0f ? all(88.0f) : bounded;
  const Vec scaled = bounded * 1.44269504f;
  const Vec magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec k = (scaled + magic) - magic;
  Vec r = bounded - k * 0.693359375f;
  r = r - k * -2.12194440e-4f;
  Vec p = all(1.0f / 5040);
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Vec finite = k == k ? k : Vec{};  // NaN has no exponent to add; p is NaN then
  const Mask power = (__builtin_convertvector(finite, Mask) + 127) << 23;
  Vec two;
  std::memcpy(&two, &power, sizeof two);
  return p * two;
}

template <int ACT>
INLINE Vec activated(Vec z) {
  if (ACT == RELU) return z < 0.0f ? Vec{} : z;
  if (ACT == RELU6) {
    z = z < 0.0f ? Vec{} : z;
    return z > 6.0f ? all(6.0f) : z;
  }
  if (ACT == HARDSWISH) {
    Vec t = z + 3.0f;
    t = t < 0.0f ? Vec{} : t;
    t = t > 6.0f ? all(6.0f) : t;
    return z * t * (1.0f / 6);
  }
  if (ACT == SILU) return z / (1.0f + exponential(-z));
  return z;
}

// gradient with respect to z, where g is that of the activation's output
template <int ACT>
INLINE Vec through(Vec z, Vec g) {
  if (ACT == RELU) return z <= 0.0f ? Vec{} : g;
  if (ACT == RELU6) {
    g = z <= 0.0f ? Vec{} : g;
    return z >= 6.0f ? Vec{} : g;
  }
  if (ACT == HARDSWISH) {
    const Vec slope = z * (1.0f / 3) + 0.5f;
    const Vec inner = z >= 3.0f ? g : g * slope;
    return z <= -3.0f ? Vec{} : inner;
  }
  if (ACT == SILU) {
    const Vec s = 1.0f / (1.0f + exponential(-z));
    return g * s * (1.0f + z * (1.0f - s));
  }
  return g;
}

// Calls `body` with the activation as a constant of the compiler.
template <class Body>
INLINE void with_activation(long act, Body body) {
  switch (act) {
    case RELU: return body.template operator()<RELU>();
    case RELU6: return body.template operator()<RELU6>();
    case HARDSWISH: return body.template operator()<HARDSWISH>();
    case SILU: return body.template operator()<SILU>();
    default: return body.template operator()<IDENTITY>();
  }
}
