// 3x3 convolutions of narrow groups (1, 2, 4 or 8 channels) in bfloat16, forward and backward, over channels-last
// tensors.
//
// A vector is 16 channels of one pixel, which are whole groups. Every lane needs the channels of its own group: one
// pair after the other is brought into all lanes of the group by a permutation, and multiplied with the lane's weights.
// So nothing is computed that is not needed, however narrow the groups. A single channel is a pair with a zero.
//
// Images are copied into a frame of zeros first, a few at a time, which leaves no edges to treat. The gradient of the
// images is such a pass too: an input pixel is reached through the taps that its place in the stride allows, so pixels
// of equal places are one part of the pass. The gradient of the weights pairs neighbouring pixels of a row.

#ifdef __AVX512BF16__
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "pairs.h"

namespace {

constexpr int64_t SIDE = 3, TAPS = SIDE * SIDE;
constexpr int64_t PIXELS = 64;  // of as many images as give so many, and of one at least
constexpr int TILE = 16;        // pixels whose sums stay in registers

// Pixels of the output that are reached through the same taps: from which pixel of the framed input, to which of the
// output; and for every tap the number of its weight, and how far it lies from the first pixel.
struct Part {
  std::vector<int64_t> sources, targets, taps, steps;

  // The same for several images: the pixels of the others lie so many behind.
  Part repeated(int64_t images, int64_t source, int64_t target) const {
    Part part{{}, {}, taps, steps};
    for (int64_t image = 0; image < images; ++image) {
      for (int64_t pixel : sources) part.sources.push_back(image * source + pixel);
      for (int64_t pixel : targets) part.targets.push_back(image * target + pixel);
    }
    return part;
  }
};

struct Pass {
  int64_t height, width;  // of the input, in a frame one pixel wide
  int64_t pixels;         // of one output
  std::vector<Part> parts;

  int64_t framed_width() const { return width + 2; }
  int64_t framed() const { return (height + 2) * framed_width(); }
  int64_t images_at_once() const { return std::max<int64_t>(1, PIXELS / pixels); }
};

int64_t strided(int64_t size, int64_t stride) { return (size - 1) / stride + 1; }

Pass forward_pass(int64_t height, int64_t width, int64_t stride) {
  const int64_t out_height = strided(height, stride), out_width = strided(width, stride);
  Pass pass{height, width, out_height * out_width, {Part{}}};
  Part& part = pass.parts[0];
  for (int64_t i = 0; i < pass.pixels; ++i) {
    part.sources.push_back((i / out_width * pass.framed_width() + i % out_width) * stride);
    part.targets.push_back(i);
  }
  for (int64_t tap = 0; tap < TAPS; ++tap) {
    part.taps.push_back(tap);
    part.steps.push_back(tap / SIDE * pass.framed_width() + tap % SIDE);
  }
  return pass;
}

// From the output's gradient to that of an input (height, width).
Pass backward_pass(int64_t height, int64_t width, int64_t stride) {
  Pass pass{strided(height, stride), strided(width, stride), height * width, {}};
  for (int64_t place = 0; place < stride * stride; ++place) {
    const int64_t row = place / stride, column = place % stride;
    Part part;
    for (int64_t h = row; h < height; h += stride) {
      for (int64_t w = column; w < width; w += stride) {
        part.sources.push_back(h / stride * pass.framed_width() + w / stride);
        part.targets.push_back(h * width + w);
      }
    }
    for (int64_t tap = 0; tap < TAPS; ++tap) {
      const int64_t up = row + 1 - tap / SIDE, left = column + 1 - tap % SIDE;
      if (up % stride || left % stride) continue;
      part.taps.push_back(tap);
      part.steps.push_back((up / stride + 1) * pass.framed_width() + left / stride + 1);
    }
    pass.parts.push_back(part);
  }
  return pass;
}

// Copy images into frames whose borders are zero already.
void frame(const Pass& pass, const BFloat16* x, int64_t images, int64_t channels, BFloat16* framed) {
  const int64_t row = pass.width * channels;
  for (int64_t i = 0; i < images; ++i) {
    for (int64_t h = 0; h < pass.height; ++h) {
      BFloat16* to = framed + (i * pass.framed() + (h + 1) * pass.framed_width() + 1) * channels;
      std::memcpy(to, x + (i * pass.height + h) * row, row * sizeof(BFloat16));
    }
  }
}

template <int GROUP>
constexpr int WORDS = GROUP == 1 ? 1 : GROUP / 2;  // pairs of channels in a group

// For every lane, which of the vector's words holds pair (or number) `which` of its group.
template <int GROUP, int PER_GROUP>
__m512i lanes_of(int which) {
  alignas(64) int32_t lanes[LANES];
  for (int lane = 0; lane < LANES; ++lane) lanes[lane] = lane / GROUP * PER_GROUP + which;
  return _mm512_load_si512(lanes);
}

// Weights as [vector of output channels][tap][pair of the group][lane]; `transposed` for the gradient of the images.
template <int GROUP>
std::vector<Word> packed(const Tensor& weight, bool transposed) {
  const int64_t channels = weight.size(0);
  const Tensor rounded = weight.to(at::kBFloat16).contiguous();
  const BFloat16* from = rounded.const_data_ptr<BFloat16>();
  std::vector<Word> found(vectors(channels) * TAPS * WORDS<GROUP> * LANES);
  BFloat16* to = reinterpret_cast<BFloat16*>(found.data());
  for (int64_t channel = 0; channel < channels; ++channel) {
    for (int64_t other = 0; other < GROUP; ++other) {
      const int64_t inside = channel % GROUP, out = transposed ? channel - inside + other : channel;
      const int64_t in = transposed ? inside : other;
      for (int64_t tap = 0; tap < TAPS; ++tap) {
        const int64_t word = (out / LANES * TAPS + tap) * WORDS<GROUP> + in / 2;
        to[(word * LANES + out % LANES) * 2 + in % 2] = from[(channel * GROUP + other) * TAPS + tap];
      }
    }
  }
  return found;
}

template <int GROUP>
void correlate(const Pass& pass, const BFloat16* x, int64_t images, int64_t channels, const std::vector<Word>& weights,
               BFloat16* y) {
  constexpr int W = WORDS<GROUP>;
  const int64_t at_once = pass.images_at_once(), chunks = (images + at_once - 1) / at_once;
  std::vector<Part> parts;
  for (const Part& part : pass.parts) parts.push_back(part.repeated(at_once, pass.framed(), pass.pixels));
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    // A vector may reach beyond the last pixel's channels.
    std::vector<BFloat16> framed(at_once * pass.framed() * channels + LANES);
    __m512i lanes[W];
    for (int w = 0; w < W; ++w) lanes[w] = lanes_of<GROUP, W>(w);
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first_image = chunk * at_once, here = std::min(at_once, images - first_image);
      frame(pass, x + first_image * pass.height * pass.width * channels, here, channels, framed.data());
      BFloat16* to = y + first_image * pass.pixels * channels;
      for (const Part& part : parts) {
        const int64_t pixels = part.sources.size() / at_once * here, taps = part.taps.size();
        for (int64_t vector = 0; vector < vectors(channels); ++vector) {
          for (int64_t tile = 0; tile < pixels; tile += TILE) {
            __m512 sums[TILE] = {};
            const BFloat16* sources[TILE];
            for (int i = 0; i < TILE; ++i) {  // the last pixel again, where there are no more
              sources[i] =
                  framed.data() + part.sources[std::min(tile + i, pixels - 1)] * channels + vector * LANES;
            }
            for (int64_t tap = 0; tap < taps; ++tap) {
              const Word* from = weights.data() + (vector * TAPS + part.taps[tap]) * W * LANES;
              const int64_t step = part.steps[tap] * channels;
              __m512bh columns[W];
#pragma GCC unroll 4
              for (int w = 0; w < W; ++w) columns[w] = words(from + w * LANES);
#pragma GCC unroll 16
              for (int i = 0; i < TILE; ++i) {
                const __m256i pixel = halves(sources[i] + step);
#pragma GCC unroll 4
                for (int w = 0; w < W; ++w) {
                  const __m512i pairs = GROUP == 1
                      ? _mm512_cvtepu16_epi32(pixel)
                      : _mm512_permutexvar_epi32(lanes[w], _mm512_castsi256_si512(pixel));
                  sums[i] = _mm512_dpbf16_ps(sums[i], (__m512bh)pairs, columns[w]);
                }
              }
            }
#pragma GCC unroll 16
            for (int i = 0; i < TILE; ++i) {  // every one by its number, or the sums would live in memory
              if (tile + i >= pixels) continue;
              store(to + part.targets[tile + i] * channels + vector * LANES, sums[i], channels - vector * LANES);
            }
          }
        }
      }
    }
  });
}

// The weights' gradient of images (batch, channels, height, width), by that of their output.
template <int GROUP>
void sum_weights(const BFloat16* x, const BFloat16* grad, const Tensor& images, int64_t stride, float* found) {
  constexpr int AT_ONCE = GROUP <= 2 ? TAPS : SIDE;  // taps whose sums stay in registers
  const int64_t batch = images.size(0), channels = images.size(1), row = vectors(channels) * LANES;
  const Pass pass = forward_pass(images.size(2), images.size(3), stride);
  const int64_t height = strided(pass.height, stride), width = strided(pass.width, stride), half = (width + 1) / 2;
  const int64_t at_once = pass.images_at_once(), chunks = (batch + at_once - 1) / at_once;
  const int64_t pieces = std::min(chunks, pieces_of(batch * pass.pixels));
  const int64_t size = vectors(channels) * TAPS * GROUP * LANES, framed_pixels = at_once * pass.framed();
  std::vector<float> totals(pieces * size);
  at::parallel_for(0, pieces, 1, [&](int64_t piece_begin, int64_t piece_end) {
    std::vector<BFloat16> framed(framed_pixels * channels);
    // Pixels with their right partner; the partner of a row's last may lie beyond the frame, where its pair is zero.
    std::vector<Word> inputs((framed_pixels + 2 * stride) * row), outputs(at_once * height * half * row);
    __m512i lanes[GROUP];
    for (int g = 0; g < GROUP; ++g) lanes[g] = lanes_of<GROUP, GROUP>(g);
    for (int64_t piece = piece_begin; piece < piece_end; ++piece) {
      for (int64_t chunk = chunks * piece / pieces; chunk < chunks * (piece + 1) / pieces; ++chunk) {
        const int64_t first_image = chunk * at_once, here = std::min(at_once, batch - first_image);
        frame(pass, x + first_image * pass.height * pass.width * channels, here, channels, framed.data());
        for (int64_t i = 0; i < here * pass.framed(); ++i) {
          const BFloat16* pixel = framed.data() + i * channels;
          const bool alone = i + stride >= here * pass.framed();
          interleave(pixel, alone ? nullptr : pixel + stride * channels, channels, inputs.data() + i * row);
        }
        for (int64_t h = 0; h < here * height; ++h) {
          for (int64_t pair = 0; pair < half; ++pair) {
            const BFloat16* pixel = grad + (first_image * pass.pixels + h * width + 2 * pair) * channels;
            const bool alone = 2 * pair + 1 == width;
            interleave(pixel, alone ? nullptr : pixel + channels, channels, outputs.data() + (h * half + pair) * row);
          }
        }
        for (int64_t vector = 0; vector < vectors(channels); ++vector) {
          for (int tap = 0; tap < TAPS; tap += AT_ONCE) {
            float* total = totals.data() + piece * size + (vector * TAPS + tap) * GROUP * LANES;
            __m512 sums[AT_ONCE * GROUP];
#pragma GCC unroll 24
            for (int s = 0; s < AT_ONCE * GROUP; ++s) sums[s] = _mm512_loadu_ps(total + s * LANES);
            for (int64_t h = 0; h < here * height; ++h) {
              const int64_t top = h / height * pass.framed() + (h % height * stride + tap / SIDE) * pass.framed_width();
              const Word* in = inputs.data() + top * row + vector * LANES;
              const Word* out = outputs.data() + h * half * row + vector * LANES;
              for (int64_t pair = 0; pair < half; ++pair) {
                const __m512bh gradient = words(out + pair * row);
                const Word* pixel = in + pair * 2 * stride * row;
#pragma GCC unroll 9
                for (int t = 0; t < AT_ONCE; ++t) {
                  const __m512i pairs =
                      _mm512_loadu_si512(pixel + (t / SIDE * pass.framed_width() + t % SIDE) * row);
#pragma GCC unroll 8
                  for (int g = 0; g < GROUP; ++g) {
                    const __m512i own = GROUP == 1 ? pairs : _mm512_permutexvar_epi32(lanes[g], pairs);
                    sums[t * GROUP + g] = _mm512_dpbf16_ps(sums[t * GROUP + g], gradient, (__m512bh)own);
                  }
                }
              }
            }
#pragma GCC unroll 24
            for (int s = 0; s < AT_ONCE * GROUP; ++s) _mm512_storeu_ps(total + s * LANES, sums[s]);
          }
        }
      }
    }
  });
  for (int64_t channel = 0; channel < channels; ++channel) {
    for (int64_t tap = 0; tap < TAPS; ++tap) {
      for (int64_t g = 0; g < GROUP; ++g) {
        const int64_t place = ((channel / LANES * TAPS + tap) * GROUP + g) * LANES + channel % LANES;
        float sum = 0.0f;
        for (int64_t piece = 0; piece < pieces; ++piece) sum += totals[piece * size + place];
        found[(channel * GROUP + g) * TAPS + tap] = sum;
      }
    }
  }
}

// Call work with the width of the groups as a constant. The caller has checked that it is one of these.
template <class Work>
void with_group(const Tensor& weight, Work work) {
  switch (weight.size(1)) {
    case 1: return work(std::integral_constant<int, 1>{});
    case 2: return work(std::integral_constant<int, 2>{});
    case 4: return work(std::integral_constant<int, 4>{});
    case 8: return work(std::integral_constant<int, 8>{});
    default: TORCH_CHECK(false, "groups must be 1, 2, 4 or 8 channels wide");
  }
}

Tensor passed(const Pass& pass, const Tensor& from, const Tensor& weight, bool transposed, Tensor to) {
  with_group(weight, [&](auto group) {
    correlate<group()>(pass, from.const_data_ptr<BFloat16>(), from.size(0), from.size(1),
                       packed<group()>(weight, transposed), to.data_ptr<BFloat16>());
  });
  return to;
}

struct Grouped : torch::autograd::Function<Grouped> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& images, const Tensor& weight,
                        int64_t stride) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    const Tensor x = as_rows(images);
    context->saved_data["stride"] = stride;
    context->save_for_backward({x, weight});
    const int64_t height = x.size(2), width = x.size(3);
    return passed(forward_pass(height, width, stride), x, weight, false,
                  empty_rows(x.size(0), x.size(1), strided(height, stride), strided(width, stride)));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], grad = as_rows(grads[0]);
    const int64_t stride = context->saved_data["stride"].toInt(), height = x.size(2), width = x.size(3);
    Tensor grad_x, grad_weight;
    if (context->needs_input_grad(0)) {
      grad_x = passed(backward_pass(height, width, stride), grad, weight, true,
                      empty_rows(x.size(0), x.size(1), height, width));
    }
    if (context->needs_input_grad(1)) {
      grad_weight = at::empty(weight.sizes(), weight.options());
      with_group(weight, [&](auto group) {
        sum_weights<group()>(x.const_data_ptr<BFloat16>(), grad.const_data_ptr<BFloat16>(), x, stride,
                             grad_weight.data_ptr<float>());
      });
    }
    return {grad_x, grad_weight, Tensor()};
  }
};

Tensor grouped(const Tensor& images, const Tensor& weight, int64_t stride) {
  return Grouped::apply(images, weight, stride);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(netspace, library) {
  library.def("grouped(Tensor images, Tensor weight, int stride) -> Tensor", &grouped);
}
#endif
