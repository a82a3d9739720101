// Convolutions of kernel 1x1 as products of matrices in bfloat16, forward and backward, over channels-last tensors.
//
// A tensor (batch, channels, height, width) in channels-last layout is a matrix of rows of channels, and a pointwise
// convolution is its product with a small matrix of weights, by pairs of numbers (pairs.h).
//
// Weights stay float32 and are rounded here; their gradient is float32 and never rounded. Without the processor's
// instruction this file defines nothing.

#ifdef __AVX512BF16__
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "pairs.h"

namespace {

constexpr int64_t MOST = 4;    // vectors of sums beside one another
constexpr int64_t CHUNK = 96;  // rows of a product that one thread takes at a time
constexpr int64_t PAIRS = 64;  // pairs of rows that are interleaved at a time

__m512bh everywhere(Word word) { return (__m512bh)_mm512_set1_epi32(word); }

const Word* as_words(const BFloat16* numbers) { return reinterpret_cast<const Word*>(numbers); }

// Call work with V as a constant, which registers need.
template <class Work>
void with_width(int64_t width, Work work) {
  switch (width) {
    case 1: return work(std::integral_constant<int, 1>{});
    case 2: return work(std::integral_constant<int, 2>{});
    case 3: return work(std::integral_constant<int, 3>{});
    default: return work(std::integral_constant<int, 4>{});
  }
}

// Call work(first vector, V) for blocks of at most MOST vectors, nearly alike.
template <class Work>
void for_blocks(int64_t vectors, Work work) {
  const int64_t blocks = (vectors + MOST - 1) / MOST;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = vectors * block / blocks, end = vectors * (block + 1) / blocks;
    with_width(end - begin, [&](auto width) { work(begin, width); });
  }
}

// sums[r][v] += over pairs p of left(p, r), the same word in every lane, times right(p, v), a vector of words.
template <int R, int V, class Left>
inline void add_products(__m512 (&sums)[R][V], int64_t pairs, Left left, const Word* right, int64_t right_row) {
  for (int64_t p = 0; p < pairs; ++p) {
    __m512bh columns[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) columns[v] = words(right + p * right_row + v * LANES);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512bh one = everywhere(left(p, r));
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], one, columns[v]);
    }
  }
}

// A matrix of words, each row as long as whole vectors need.
struct Packed {
  int64_t row;
  std::vector<Word> numbers;

  Packed(int64_t rows, int64_t columns) : row(vectors(columns) * LANES), numbers(rows * row) {}
  Word* at(int64_t r) { return numbers.data() + r * row; }
  const Word* at(int64_t r) const { return numbers.data() + r * row; }
};

// Weights (out, in) for a sum over channels that come in.
Packed packed_along_rows(const Tensor& rounded) {
  const int64_t out = rounded.size(0), pairs = rounded.size(1) / 2;
  const Word* from = as_words(rounded.const_data_ptr<BFloat16>());
  Packed packed(pairs, out);
  for (int64_t begin = 0; begin < out; begin += LANES) {  // so few rows at a time stay in the cache
    const int64_t end = std::min(out, begin + LANES);
    for (int64_t p = 0; p < pairs; ++p) {
      for (int64_t o = begin; o < end; ++o) packed.at(p)[o] = from[o * pairs + p];
    }
  }
  return packed;
}

// Weights (out, in) for a sum over channels that go out.
Packed packed_along_columns(const Tensor& rounded) {
  const int64_t pairs = rounded.size(0) / 2, in = rounded.size(1);
  const BFloat16* from = rounded.const_data_ptr<BFloat16>();
  Packed packed(pairs, in);
  for (int64_t p = 0; p < pairs; ++p) interleave(from + 2 * p * in, from + (2 * p + 1) * in, in, packed.at(p));
  return packed;
}

template <int V>
constexpr int HEIGHT = V == 1 ? 16 : 24 / V;  // rows whose sums fill the registers

// R rows of x (in numbers each) times V vectors of the weights.
template <int R, int V>
void multiply_rows(const BFloat16* x, int64_t in, const Word* weights, int64_t weight_row, BFloat16* y, int64_t out,
                   int64_t left) {
  __m512 sums[R][V] = {};
  const Word* rows = as_words(x);
  add_products(sums, in / 2, [&](int64_t p, int r) { return rows[r * (in / 2) + p]; }, weights, weight_row);
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) {
      store(y + r * out + v * LANES, sums[r][v], left - v * LANES);
    }
  }
}

// y (rows, out) = x (rows, in) times the weights. The last rows of a chunk are computed twice where they fill no tile.
void multiply(const BFloat16* x, const Packed& weights, int64_t rows, int64_t in, int64_t out, BFloat16* y) {
  if (rows < LANES) {
    std::vector<BFloat16> x_padded(LANES * in), y_padded(LANES * out);
    std::copy(x, x + rows * in, x_padded.begin());
    multiply(x_padded.data(), weights, LANES, in, out, y_padded.data());
    std::copy(y_padded.begin(), y_padded.begin() + rows * out, y);
    return;
  }
  const int64_t chunks = std::max<int64_t>(1, rows / CHUNK);
  at::parallel_for(0, chunks, 16, [&](int64_t chunk_begin, int64_t chunk_end) {
    for (int64_t chunk = chunk_begin; chunk < chunk_end; ++chunk) {
      const int64_t begin = chunk * CHUNK, end = chunk + 1 == chunks ? rows : begin + CHUNK;
      for_blocks(vectors(out), [&](int64_t block, auto width) {
        constexpr int V = width(), R = HEIGHT<V>;
        for (int64_t row = begin; row < end; row += R) {
          const int64_t from = std::min(row, end - R), column = block * LANES;
          multiply_rows<R, V>(x + from * in, in, weights.at(0) + column, weights.row, y + from * out + column, out,
                              out - column);
        }
      });
    }
  });
}

// sums (out, in) += over some rows of grad (row, out) times x (row, in); the sums' rows are whole vectors.
void add_outer(const BFloat16* grad, const BFloat16* x, int64_t rows, int64_t out, int64_t in, Packed& grads,
               Packed& images, float* sums) {
  for (int64_t begin = 0; begin < rows; begin += 2 * PAIRS) {
    const int64_t here = std::min(2 * PAIRS, rows - begin), pairs = (here + 1) / 2;
    for (int64_t p = 0; p < pairs; ++p) {
      const int64_t row = begin + 2 * p;
      const bool odd = row + 1 == rows;
      interleave(grad + row * out, odd ? nullptr : grad + (row + 1) * out, out, grads.at(p));
      interleave(x + row * in, odd ? nullptr : x + (row + 1) * in, in, images.at(p));
    }
    for_blocks(images.row / LANES, [&](int64_t block, auto width) {
      constexpr int V = width(), R = V == 4 ? 4 : 8;
      for (int64_t o = 0; o < out; o += R) {
        float* tile = sums + o * images.row + block * LANES;
        __m512 found[R][V];
        for (int r = 0; r < R; ++r) {
          for (int v = 0; v < V; ++v) found[r][v] = _mm512_loadu_ps(tile + r * images.row + v * LANES);
        }
        const auto left = [&](int64_t p, int r) { return grads.at(p)[o + r]; };
        add_products(found, pairs, left, images.at(0) + block * LANES, images.row);
        for (int r = 0; r < R; ++r) {
          for (int v = 0; v < V; ++v) _mm512_storeu_ps(tile + r * images.row + v * LANES, found[r][v]);
        }
      }
    });
  }
}

Tensor product(const Tensor& images, const Packed& weights, int64_t out) {
  const int64_t in = images.size(1);
  Tensor found = empty_rows(images.size(0), out, images.size(2), images.size(3));
  multiply(images.const_data_ptr<BFloat16>(), weights, images.numel() / in, in, out, found.data_ptr<BFloat16>());
  return found;
}

Tensor weight_gradient(const Tensor& grad, const Tensor& x, const Tensor& weight) {
  const int64_t out = grad.size(1), in = x.size(1), count = x.numel() / in;
  const int64_t pieces = pieces_of(count), row = vectors(in) * LANES;
  const int64_t size = vectors(out) * LANES * row;
  const BFloat16 *grads = grad.const_data_ptr<BFloat16>(), *images = x.const_data_ptr<BFloat16>();
  std::vector<float> sums(pieces * size);
  at::parallel_for(0, pieces, 1, [&](int64_t piece_begin, int64_t piece_end) {
    Packed packed_grads(PAIRS, out), packed_images(PAIRS, in);
    for (int64_t piece = piece_begin; piece < piece_end; ++piece) {
      const int64_t begin = count * piece / pieces, end = count * (piece + 1) / pieces;
      add_outer(grads + begin * out, images + begin * in, end - begin, out, in, packed_grads, packed_images,
                sums.data() + piece * size);
    }
  });
  Tensor found = at::empty(weight.sizes(), weight.options().memory_format(at::MemoryFormat::Contiguous));
  float* to = found.data_ptr<float>();
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      float sum = 0.0f;
      for (int64_t piece = 0; piece < pieces; ++piece) sum += sums[piece * size + o * row + i];
      to[o * in + i] = sum;
    }
  }
  return found;
}

Tensor thinned(const Tensor& images, int64_t stride) {
  return images.slice(2, 0, images.size(2), stride).slice(3, 0, images.size(3), stride);
}

Tensor matrix(const Tensor& weight) {
  return weight.reshape({weight.size(0), weight.size(1)}).to(at::kBFloat16).contiguous();
}

struct Pointwise : torch::autograd::Function<Pointwise> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& images, const Tensor& weight,
                        int64_t stride) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    const Tensor x = as_rows(stride == 1 ? images : thinned(images, stride)), rounded = matrix(weight);
    context->saved_data["stride"] = stride;
    context->saved_data["height"] = images.size(2);
    context->saved_data["width"] = images.size(3);
    context->save_for_backward({x, rounded, weight});
    return product(x, packed_along_rows(rounded), weight.size(0));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &rounded = saved[1], &weight = saved[2];
    const int64_t stride = context->saved_data["stride"].toInt();
    const Tensor grad = as_rows(grads[0]);
    Tensor grad_x, grad_weight;
    if (context->needs_input_grad(1)) grad_weight = weight_gradient(grad, x, weight);
    if (context->needs_input_grad(0)) grad_x = product(grad, packed_along_columns(rounded), x.size(1));
    if (grad_x.defined() && stride != 1) {
      const int64_t height = context->saved_data["height"].toInt(), width = context->saved_data["width"].toInt();
      Tensor spread = empty_rows(x.size(0), x.size(1), height, width);
      thinned(spread.zero_(), stride).copy_(grad_x);
      grad_x = spread;
    }
    return {grad_x, grad_weight, Tensor()};
  }
};

Tensor pointwise(const Tensor& images, const Tensor& weight, int64_t stride) {
  return Pointwise::apply(images, weight, stride);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(netspace, library) {
  library.def("pointwise(Tensor images, Tensor weight, int stride) -> Tensor", &pointwise);
}
#endif
