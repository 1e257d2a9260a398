// Compares each function of the library with plain loops in double; for processors that have no torch here (run under qemu-user).
// Prints the largest error and ends with 0 if it is below 1e-5.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "../../../hwsearch/supernets/kernels/source/library.cpp"

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
static double worst = 0;

static Floats draw(long n) {
  static uint64_t state = 88172645463325252ull;
  Floats found(n);
  for (float& x : found) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    x = static_cast<float>(state % 20001) / 10000.0f - 1.0f;
  }
  return found;
}

static void compare(const char* what, const Floats& found, const Doubles& expected) {
  double most = 0, apart = 0;
  for (size_t i = 0; i < found.size(); i++) {
    most = std::fmax(most, std::fabs(expected[i]));
    const double d = std::fabs(found[i] - expected[i]);
    apart = d <= apart ? apart : d;  // NaN is not <=
  }
  const double error = apart / std::fmax(most, 1.0);
  if (!(error <= 1e-5)) std::printf("%s: %g\n", what, error);
  worst = error <= worst ? worst : error;
}

static double act(double z, long kind) {
  switch (kind) {
    case 1: return z > 0 ? z : 0;
    case 2: return z < 0 ? 0 : z > 6 ? 6 : z;
    case 3: return z * std::fmin(std::fmax(z + 3, 0), 6) / 6;
    case 4: return z / (1 + std::exp(-z));
    default: return z;
  }
}
static double slope(double z, long kind) { return (act(z + 1e-6, kind) - act(z - 1e-6, kind)) / 2e-6; }

static void norm(long rows, long c, long kind, long threads) {
  const Floats x = draw(rows * c), g = draw(rows * c), w = draw(c), b = draw(c), r = draw(rows * c);
  Floats mean(c), var(c), out(rows * c), dx(rows * c), dw(c), db(c);
  hwsearch_norm(x.data(), w.data(), b.data(), r.data(), mean.data(), var.data(), out.data(), rows, c, kind, 1e-5, threads);
  hwsearch_norm_backward(g.data(), x.data(), w.data(), b.data(), mean.data(), var.data(), dx.data(), dw.data(), db.data(), rows, c,
                         kind, 1e-5, threads);
  Doubles eo(rows * c), ex(rows * c), ew(c), eb(c);
  for (long j = 0; j < c; j++) {
    double m = 0, v = 0;
    for (long i = 0; i < rows; i++) m += x[i * c + j];
    m /= rows;
    for (long i = 0; i < rows; i++) v += (x[i * c + j] - m) * (x[i * c + j] - m);
    const double s = 1 / std::sqrt(v / rows + 1e-5);
    for (long i = 0; i < rows; i++) {
      const double h = (x[i * c + j] - m) * s, z = h * w[j] + b[j], d = g[i * c + j] * slope(z, kind);
      eo[i * c + j] = act(z, kind) + r[i * c + j];
      eb[j] += d;
      ew[j] += d * h;
    }
    for (long i = 0; i < rows; i++) {
      const double h = (x[i * c + j] - m) * s, d = g[i * c + j] * slope(h * w[j] + b[j], kind);
      ex[i * c + j] = w[j] * s * (d - eb[j] / rows - h * ew[j] / rows);
    }
  }
  compare("norm", out, eo), compare("norm dx", dx, ex), compare("norm dw", dw, ew), compare("norm db", db, eb);
}

static void point(long rows, long in, long outs, long threads) {
  const Floats x = draw(rows * in), w = draw(outs * in), g = draw(rows * outs);
  Floats y(rows * outs), dx(rows * in), dw(outs * in);
  hwsearch_pointwise(x.data(), w.data(), in, 1, y.data(), rows, in, outs, threads);
  hwsearch_pointwise_backward(g.data(), x.data(), w.data(), in, 1, dx.data(), dw.data(), rows, in, outs, threads);
  Doubles ey(rows * outs), ex(rows * in), ew(outs * in);
  for (long i = 0; i < rows; i++)
    for (long o = 0; o < outs; o++)
      for (long k = 0; k < in; k++) {
        ey[i * outs + o] += double(x[i * in + k]) * w[o * in + k];
        ex[i * in + k] += double(g[i * outs + o]) * w[o * in + k];
        ew[o * in + k] += double(g[i * outs + o]) * x[i * in + k];
      }
  compare("pointwise", y, ey), compare("pointwise dx", dx, ex), compare("pointwise dw", dw, ew);
}

static void deep(long n, long h, long w, long c, long k, long s, long threads) {
  const long oh = (h - 1) / s + 1, ow = (w - 1) / s + 1;
  const Floats x = draw(n * h * w * c), f = draw(c * k * k), g = draw(n * oh * ow * c);
  Floats y(n * oh * ow * c), dx(n * h * w * c), dw(c * k * k);
  hwsearch_depthwise(x.data(), f.data(), k * k, 1, y.data(), n, h, w, c, k, s, threads);
  hwsearch_depthwise_backward(g.data(), x.data(), f.data(), k * k, 1, dx.data(), dw.data(), n, h, w, c, k, s, threads);
  Doubles ey(y.size()), ex(dx.size()), ew(dw.size());
  for (long i = 0; i < n; i++)
    for (long a = 0; a < oh; a++)
      for (long b = 0; b < ow; b++)
        for (long p = 0; p < k; p++)
          for (long q = 0; q < k; q++) {
            const long u = a * s - k / 2 + p, v = b * s - k / 2 + q;
            if (u < 0 || u >= h || v < 0 || v >= w) continue;
            for (long j = 0; j < c; j++) {
              const long at = ((i * h + u) * w + v) * c + j, to = ((i * oh + a) * ow + b) * c + j, tap = (j * k + p) * k + q;
              ey[to] += double(x[at]) * f[tap];
              ex[at] += double(g[to]) * f[tap];
              ew[tap] += double(g[to]) * x[at];
            }
          }
  compare("depthwise", y, ey), compare("depthwise dx", dx, ex), compare("depthwise dw", dw, ew);
}

// the fused functions against their parts
static void fused(long n, long h, long w, long c, long outs, long k, long s, long kind, long threads) {
  const long rows = n * h * w, oh = (h - 1) / s + 1, ow = (w - 1) / s + 1, after = n * oh * ow;
  const Floats x = draw(rows * c), p = draw(outs * c), f = draw(c * k * k), a = draw(outs + c), b = draw(outs + c);
  Floats y(rows * outs), m(outs), v(outs), out(rows * outs), y2(rows * outs), m2(outs), v2(outs), out2(rows * outs);
  hwsearch_pointwise_norm(x.data(), p.data(), c, 1, a.data(), b.data(), nullptr, y.data(), m.data(), v.data(), out.data(), rows, c,
                          outs, kind, 1e-5, threads);
  hwsearch_pointwise(x.data(), p.data(), c, 1, y2.data(), rows, c, outs, threads);
  hwsearch_norm(y2.data(), a.data(), b.data(), nullptr, m2.data(), v2.data(), out2.data(), rows, outs, kind, 1e-5, threads);
  compare("fused pointwise", out, Doubles(out2.begin(), out2.end())), compare("its variance", v, Doubles(v2.begin(), v2.end()));
  Floats z(after * c), dm(c), dv(c), o(after * c), z2(after * c), dm2(c), dv2(c), o2(after * c);
  hwsearch_depthwise_norm(x.data(), f.data(), k * k, 1, a.data(), b.data(), z.data(), dm.data(), dv.data(), o.data(), n, h, w, c, k,
                          s, kind, 1e-5, threads);
  hwsearch_depthwise(x.data(), f.data(), k * k, 1, z2.data(), n, h, w, c, k, s, threads);
  hwsearch_norm(z2.data(), a.data(), b.data(), nullptr, dm2.data(), dv2.data(), o2.data(), after, c, kind, 1e-5, threads);
  compare("fused depthwise", o, Doubles(o2.begin(), o2.end())), compare("its variance", dv, Doubles(dv2.begin(), dv2.end()));
  const Floats g = draw(after * c);
  Floats dx(rows * c), dw(c * k * k), da(c), db(c), dz(after * c), dx2(rows * c), dw2(c * k * k), da2(c), db2(c);
  hwsearch_depthwise_norm_backward(g.data(), x.data(), f.data(), k * k, 1, a.data(), b.data(), z.data(), dm.data(), dv.data(),
                                   dx.data(), dw.data(), da.data(), db.data(), n, h, w, c, k, s, kind, 1e-5, threads);
  hwsearch_norm_backward(g.data(), z.data(), a.data(), b.data(), dm.data(), dv.data(), dz.data(), da2.data(), db2.data(), after, c,
                         kind, 1e-5, threads);
  hwsearch_depthwise_backward(dz.data(), x.data(), f.data(), k * k, 1, dx2.data(), dw2.data(), n, h, w, c, k, s, threads);
  compare("fused depthwise dx", dx, Doubles(dx2.begin(), dx2.end()));
  compare("fused depthwise dw", dw, Doubles(dw2.begin(), dw2.end()));
}

// both convolutions in one against one after the other
static void expand(long n, long h, long w, long in, long c, long k, long s, long kind, long threads) {
  const long rows = n * h * w, oh = (h - 1) / s + 1, ow = (w - 1) / s + 1, after = n * oh * ow;
  const Floats x = draw(rows * in), p = draw(c * in), f = draw(c * k * k), a = draw(c), b = draw(c), g = draw(after * c);
  Floats y[2], z[2], out[2], m1[2], v1[2], m2[2], v2[2], dx[2], dp[2], df[2], da[2], db[2], dc[2], dd[2], o(rows * c), d(rows * c);
  for (int i = 0; i < 2; i++) {
    y[i].resize(rows * c), z[i].resize(after * c), out[i].resize(after * c), dx[i].resize(rows * in), dp[i].resize(c * in);
    df[i].resize(c * k * k);
    for (Floats* t : {&m1[i], &v1[i], &m2[i], &v2[i], &da[i], &db[i], &dc[i], &dd[i]}) t->resize(c);
  }
  hwsearch_expand(x.data(), p.data(), in, 1, a.data(), b.data(), f.data(), k * k, 1, b.data(), a.data(), y[0].data(), m1[0].data(),
                  v1[0].data(), z[0].data(), m2[0].data(), v2[0].data(), out[0].data(), in, n, h, w, c, k, s, kind, 1e-5, 1e-4, threads);
  hwsearch_expand_backward(g.data(), x.data(), p.data(), in, 1, a.data(), b.data(), f.data(), k * k, 1, b.data(), a.data(),
                           y[0].data(), m1[0].data(), v1[0].data(), z[0].data(), m2[0].data(), v2[0].data(), d.data(), dx[0].data(),
                           dp[0].data(), da[0].data(), db[0].data(), df[0].data(), dc[0].data(), dd[0].data(), in, n, h, w, c, k, s,
                           kind, 1e-5, 1e-4, threads);
  hwsearch_pointwise_norm(x.data(), p.data(), in, 1, a.data(), b.data(), nullptr, y[1].data(), m1[1].data(), v1[1].data(), o.data(),
                          rows, in, c, kind, 1e-5, threads);
  hwsearch_depthwise_norm(o.data(), f.data(), k * k, 1, b.data(), a.data(), z[1].data(), m2[1].data(), v2[1].data(), out[1].data(), n,
                          h, w, c, k, s, kind, 1e-4, threads);
  hwsearch_depthwise_norm_backward(g.data(), o.data(), f.data(), k * k, 1, b.data(), a.data(), z[1].data(), m2[1].data(),
                                   v2[1].data(), d.data(), df[1].data(), dc[1].data(), dd[1].data(), n, h, w, c, k, s, kind, 1e-4,
                                   threads);
  hwsearch_pointwise_norm_backward(d.data(), x.data(), p.data(), in, 1, a.data(), b.data(), y[1].data(), m1[1].data(), v1[1].data(),
                                   dx[1].data(), dp[1].data(), da[1].data(), db[1].data(), rows, in, c, kind, 1e-5, threads);
  const char* names[] = {"expand", "its dx", "its dw1", "its dw2", "its norm's weight", "its norm's bias", "second weight", "second bias"};
  int i = 0;
  for (Floats* t : {out, dx, dp, df, da, db, dc, dd}) compare(names[i++], t[0], Doubles(t[1].begin(), t[1].end()));
}

int main() {
  const long channels[] = {1, 5, 8, 19, 33};
  for (long threads = 1; threads <= 3; threads++)
    for (long c : channels) {
      for (long kind = 0; kind < 5; kind++) norm(37, c, kind, threads);
      point(101, c, 29, threads), point(7, 24, c, threads);
      for (long k = 3; k <= 7; k += 2)
        for (long s = 1; s <= 2; s++) deep(2, 5, 8, c, k, s, threads), expand(3, 6, 5, 4, c, k, s, k - 3 + s, threads), fused(3, 6, 5, c, 21, k, s, k - 3 + s, threads);
    }
  std::printf("%ld lanes, largest error %.2g\n", static_cast<long>(LANES), worst);
  return worst <= 1e-5 ? 0 : 1;
}
