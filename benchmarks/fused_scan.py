"""The selective scan fused in C++, forward and backward: a yardstick for `selective_scan`.

One loop over the texts for each thread, and in it over channels, 16 at a time, and over time; what
is expanded stays in the first-level caches. It needs `g++` and is no part of the package.
"""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

SOURCE = r"""
#include <cmath>
#include <vector>
constexpr int W = 16;
// u, delta, y (L, B, D); B, C (L, B, N); A (N, D): contiguous, and D a multiple of W
extern "C" void forward(const float* u, const float* delta, const float* A, const float* Bm,
                        const float* C, float* y, int L, int B, int D, int N) {
  #pragma omp parallel for
  for (int b = 0; b < B; b++)
    for (int d = 0; d < D; d += W) {
      std::vector<float> h(N * W, 0.f);
      for (int t = 0; t < L; t++) {
        const long i = (long(t) * B + b) * D + d, j = (long(t) * B + b) * N;
        float out[W] = {};
        for (int n = 0; n < N; n++)
          #pragma omp simd
          for (int w = 0; w < W; w++) {
            float a = expf(delta[i + w] * A[n * D + d + w]);
            float s = a * h[n * W + w] + delta[i + w] * u[i + w] * Bm[j + n];
            h[n * W + w] = s;
            out[w] += C[j + n] * s;
          }
        for (int w = 0; w < W; w++) y[i + w] = out[w];
      }
    }
}
extern "C" void backward(const float* u, const float* delta, const float* A, const float* Bm,
                         const float* C, const float* dy, float* du, float* ddelta, float* dA,
                         float* dB, float* dC, int L, int B, int D, int N) {
  #pragma omp parallel
  {
    std::vector<float> h((L + 1) * N * W), a(L * N * W), G(N * W), mine(N * D, 0.f);
    #pragma omp for
    for (int b = 0; b < B; b++)
      for (int d = 0; d < D; d += W) {
        for (int k = 0; k < N * W; k++) h[k] = G[k] = 0.f;
        for (int t = 0; t < L; t++) {
          const long i = (long(t) * B + b) * D + d, j = (long(t) * B + b) * N;
          for (int n = 0; n < N; n++)
            #pragma omp simd
            for (int w = 0; w < W; w++) {
              const int k = (t * N + n) * W + w;
              a[k] = expf(delta[i + w] * A[n * D + d + w]);
              h[k + N * W] = a[k] * h[k] + delta[i + w] * u[i + w] * Bm[j + n];
            }
        }
        for (int t = L - 1; t >= 0; t--) {
          const long i = (long(t) * B + b) * D + d, j = (long(t) * B + b) * N;
          float dx[W] = {}, dd[W] = {};
          for (int n = 0; n < N; n++) {
            float sB = 0.f, sC = 0.f;
            #pragma omp simd reduction(+ : sB, sC)
            for (int w = 0; w < W; w++) {
              const int k = (t * N + n) * W + w, g = n * W + w;
              float grad = dy[i + w] * C[j + n] + G[g];
              sC += dy[i + w] * h[k + N * W];
              sB += grad * delta[i + w] * u[i + w];
              dx[w] += grad * Bm[j + n];
              G[g] = grad * a[k];
              float e = G[g] * h[k];
              dd[w] += e * A[n * D + d + w];
              mine[n * D + d + w] += e * delta[i + w];
            }
            dB[j + n] += sB;
            dC[j + n] += sC;
          }
          for (int w = 0; w < W; w++) {
            du[i + w] = dx[w] * delta[i + w];
            ddelta[i + w] = dd[w] + dx[w] * u[i + w];
          }
        }
      }
    #pragma omp critical
    for (int k = 0; k < N * D; k++) dA[k] += mine[k];
  }
}
"""
FLAGS = "-O3 -march=native -ffast-math -fopenmp -shared -fPIC".split()


def available():
    return bool(shutil.which("g++"))


@cache
def library():
    folder = Path(tempfile.mkdtemp())
    (folder / "scan.cpp").write_text(SOURCE, encoding="utf-8")
    subprocess.run(["g++", *FLAGS, folder / "scan.cpp", "-o", folder / "scan.so"], check=True)
    return ctypes.CDLL(str(folder / "scan.so"))


def call(function, *tensors):
    (L, B, D), N = tensors[0].shape, tensors[3].shape[2]
    function(*(ctypes.c_void_p(x.data_ptr()) for x in tensors), *map(ctypes.c_int, (L, B, D, N)))


class FusedScan(torch.autograd.Function):
    """y (B, D, L) of u and delta (B, D, L), A (D, N), B and C (B, N, L), all of them float32."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C):
        u, delta, B, C = (x.permute(2, 0, 1).contiguous() for x in (u, delta, B, C))
        A = A.T.contiguous()
        ctx.save_for_backward(u, delta, A, B, C)
        y = torch.empty_like(u)
        call(library().forward, u, delta, A, B, C, y)
        return y.permute(1, 2, 0)

    @staticmethod
    def backward(ctx, dy):
        u, delta, A, B, C = ctx.saved_tensors
        du, ddelta = torch.empty_like(u), torch.empty_like(delta)
        dA, dB, dC = (torch.zeros_like(x) for x in (A, B, C))
        dy = dy.permute(2, 0, 1).contiguous()
        call(library().backward, u, delta, A, B, C, dy, du, ddelta, dA, dB, dC)
        du, ddelta, dB, dC = (x.permute(1, 2, 0) for x in (du, ddelta, dB, dC))
        return du, ddelta, dA.T, dB, dC


fused_scan = FusedScan.apply
