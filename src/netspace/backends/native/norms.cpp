// Batch norm, the sum with a shortcut and ReLU as one operator, forward and backward, over channels-last tensors.
//
// PyTorch makes three passes of its own over memory for each of the three; here the statistics take one pass and the
// rest one more. A tensor (batch, channels, height, width) in channels-last layout is a matrix of rows of channels.
// Rows are taken several at a time, as wide rows whose length is a multiple of 16 numbers, so that every load fills a
// vector however few the channels are; what is left at the end is done number by number.
//
// Images are float32 or bfloat16; sums and all that is kept per channel are float32 or wider. Work is cut into pieces
// of a fixed size, whose sums are added in their order: the numbers do not depend on how many threads share them.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace {

using at::BFloat16;
using at::Tensor;
using MaybeTensor = std::optional<Tensor>;

constexpr int64_t LANES = 16;
constexpr int64_t BLOCK = 4 * LANES;          // columns whose sums stay in registers
constexpr int64_t PIECE = int64_t{1} << 15;   // numbers per piece of work

typedef float Vector __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

const Vector ZERO = {};

inline Vector load(const float* from) {
  Vector found;
  std::memcpy(&found, from, sizeof found);
  return found;
}

inline Vector load(const BFloat16* from) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  return reinterpret_cast<const Vector&>(words);
}

inline void store(float* to, Vector given) { std::memcpy(to, &given, sizeof given); }

inline void store(BFloat16* to, Vector given) {
#ifdef __AVX512BF16__
  const __m256bh halves = _mm512_cvtneps_pbh(reinterpret_cast<const __m512&>(given));
  std::memcpy(to, &halves, sizeof halves);
#else
  const Words words = reinterpret_cast<const Words&>(given);
  const Words nearest = (words + 0x7fffu + ((words >> 16) & 1u)) >> 16;
  const Halves halves = __builtin_convertvector((given != given) ? (words >> 16 | 0x40u) : nearest, Halves);
  std::memcpy(to, &halves, sizeof halves);
#endif
}

inline Vector relu(Vector given) { return (given < ZERO) ? ZERO : given; }  // keeps what is not a number
inline float relu(float given) { return given < 0.0f ? 0.0f : given; }

// A tensor as wide rows: each of `wide` numbers, which are whole rows of `channels`.
struct Layout {
  int64_t channels, rows, wide, wide_rows, piece_rows, pieces;

  explicit Layout(const Tensor& images) {
    channels = images.size(1);
    rows = images.numel() / channels;
    wide = channels;
    while (wide % LANES || wide < BLOCK) wide += channels;
    wide_rows = rows * channels / wide;
    piece_rows = std::max<int64_t>(1, PIECE / wide);
    pieces = (wide_rows + piece_rows - 1) / piece_rows;
  }

  int64_t numbers() const { return rows * channels; }
  int64_t rest() const { return wide_rows * wide; }  // where the wide rows end

  std::vector<float> widened(const float* per_channel) const {
    std::vector<float> found(wide);
    for (int64_t i = 0; i < wide; ++i) found[i] = per_channel[i % channels];
    return found;
  }

  // Call work(piece, first wide row, wide row behind the last) for every piece.
  template <class Work>
  void for_pieces(Work work) const {
    at::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        work(piece, piece * piece_rows, std::min(wide_rows, (piece + 1) * piece_rows));
      }
    });
  }

  // Call vector(place, column) for every vector of numbers, and scalar(place, channel) for what is left.
  template <class PerVector, class PerScalar>
  void for_all(PerVector vector, PerScalar scalar) const {
    for_pieces([&](int64_t, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        for (int64_t column = 0; column < wide; column += LANES) vector(row * wide + column, column);
      }
    });
    for (int64_t place = rest(); place < numbers(); ++place) scalar(place, place % channels);
  }
};

struct Sums {
  std::vector<double> first, second;  // one number per channel
};

// Two sums per channel: vector(place, column, first, second) adds to two vectors, scalar the same to two numbers.
template <class PerVector, class PerScalar>
Sums sums_of(const Layout& layout, PerVector vector, PerScalar scalar) {
  std::vector<float> partial(layout.pieces * 2 * layout.wide);
  layout.for_pieces([&](int64_t piece, int64_t begin, int64_t end) {
    float* first = partial.data() + piece * 2 * layout.wide;
    float* second = first + layout.wide;
    int64_t column = 0;
    for (; column + BLOCK <= layout.wide; column += BLOCK) {
      Vector a[4] = {}, b[4] = {};
      for (int64_t row = begin; row < end; ++row) {
        const int64_t place = row * layout.wide + column;
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) vector(place + i * LANES, column + i * LANES, a[i], b[i]);
      }
      for (int i = 0; i < 4; ++i) {
        store(first + column + i * LANES, a[i]);
        store(second + column + i * LANES, b[i]);
      }
    }
    for (; column < layout.wide; column += LANES) {
      Vector a = {}, b = {};
      for (int64_t row = begin; row < end; ++row) vector(row * layout.wide + column, column, a, b);
      store(first + column, a);
      store(second + column, b);
    }
  });
  Sums sums{std::vector<double>(layout.channels), std::vector<double>(layout.channels)};
  for (int64_t piece = 0; piece < layout.pieces; ++piece) {
    const float* first = partial.data() + piece * 2 * layout.wide;
    for (int64_t column = 0; column < layout.wide; ++column) {
      sums.first[column % layout.channels] += first[column];
      sums.second[column % layout.channels] += first[layout.wide + column];
    }
  }
  for (int64_t place = layout.rest(); place < layout.numbers(); ++place) {
    float a = 0.0f, b = 0.0f;
    scalar(place, place % layout.channels, a, b);
    sums.first[place % layout.channels] += a;
    sums.second[place % layout.channels] += b;
  }
  return sums;
}

// The norm as it is applied: scale * x + shift per channel.
struct Affine {
  std::vector<float> scale, shift;

  Affine(int64_t channels, const Tensor& weight, const Tensor& bias, const float* mean, const float* inverse)
      : scale(channels), shift(channels) {
    const float *weights = weight.const_data_ptr<float>(), *biases = bias.const_data_ptr<float>();
    for (int64_t c = 0; c < channels; ++c) {
      scale[c] = weights[c] * inverse[c];
      shift[c] = biases[c] - scale[c] * mean[c];
    }
  }
};

// y = scale * x + shift, plus `added` where there is one, through ReLU where `activated`.
template <class T>
void normalise(const Layout& layout, const Affine& affine, const T* x, const T* added, bool activated, T* y) {
  const auto scales = layout.widened(affine.scale.data()), shifts = layout.widened(affine.shift.data());
  const auto pass = [&](auto with_added, auto with_relu) {
    layout.for_all(
        [&](int64_t place, int64_t column) {
          Vector found = load(x + place) * load(scales.data() + column) + load(shifts.data() + column);
          if constexpr (with_added) found += load(added + place);
          if constexpr (with_relu) found = relu(found);
          store(y + place, found);
        },
        [&](int64_t place, int64_t c) {
          float found = static_cast<float>(x[place]) * affine.scale[c] + affine.shift[c];
          if constexpr (with_added) found += static_cast<float>(added[place]);
          if constexpr (with_relu) found = relu(found);
          y[place] = found;
        });
  };
  const std::true_type yes;
  const std::false_type no;
  if (added) {
    activated ? pass(yes, yes) : pass(yes, no);
  } else {
    activated ? pass(no, yes) : pass(no, no);
  }
}

// Statistics of the batch into `kept` (mean, and one over the standard deviation) and into the running ones.
template <class T>
void take_statistics(const Layout& layout, const T* x, Tensor& running_mean, Tensor& running_var, double momentum,
                     double eps, float* kept) {
  // Sums are taken of the distance from the first row, so that a large mean costs no digits.
  std::vector<float> pivot(layout.channels);
  for (int64_t c = 0; c < layout.channels; ++c) pivot[c] = static_cast<float>(x[c]);
  const auto pivots = layout.widened(pivot.data());
  const Sums sums = sums_of(
      layout,
      [&](int64_t place, int64_t column, Vector& first, Vector& second) {
        const Vector distance = load(x + place) - load(pivots.data() + column);
        first += distance;
        second += distance * distance;
      },
      [&](int64_t place, int64_t c, float& first, float& second) {
        const float distance = static_cast<float>(x[place]) - pivot[c];
        first = distance;
        second = distance * distance;
      });
  float *means = running_mean.data_ptr<float>(), *variances = running_var.data_ptr<float>();
  const double n = static_cast<double>(layout.rows);
  for (int64_t c = 0; c < layout.channels; ++c) {
    const double offset = sums.first[c] / n;
    const double difference = sums.second[c] / n - offset * offset;
    const double variance = difference < 0.0 ? 0.0 : difference;  // keeps what is not a number
    const double mean = pivot[c] + offset;
    kept[c] = mean;
    kept[layout.channels + c] = 1.0 / std::sqrt(variance + eps);
    means[c] += momentum * (mean - means[c]);
    variances[c] += momentum * (variance * n / std::max(1.0, n - 1.0) - variances[c]);
  }
}

// Gradients of the norm's input, of its weight and bias, and of `added` where ReLU was applied to the sum.
template <class T>
void differentiate(const Layout& layout, const Affine& affine, const float* kept, const T* grad, const T* x, const T* y,
                   bool activated, T* grad_x, T* grad_added, float* grad_weight, float* grad_bias) {
  const float *mean = kept, *inverse = kept + layout.channels;
  const auto scales = layout.widened(affine.scale.data()), shifts = layout.widened(affine.shift.data());
  const auto means = layout.widened(mean);
  // Where ReLU let a number pass: told by the output where a sum was activated, else by the norm computed anew.
  const auto passed = [&](auto from_output, int64_t place, int64_t column, Vector xs) {
    if constexpr (from_output) return load(y + place) > ZERO;
    return xs * load(scales.data() + column) + load(shifts.data() + column) > ZERO;
  };
  const auto passed_one = [&](auto from_output, int64_t place, int64_t c, float one) {
    if constexpr (from_output) return static_cast<float>(y[place]) > 0.0f;
    return one * affine.scale[c] + affine.shift[c] > 0.0f;
  };
  const auto pass = [&](auto with_relu, auto with_added) {
    const Sums sums = sums_of(
        layout,
        [&](int64_t place, int64_t column, Vector& first, Vector& second) {
          const Vector xs = load(x + place);
          Vector g = load(grad + place);
          if constexpr (with_relu) g = passed(with_added, place, column, xs) ? g : ZERO;
          if constexpr (with_added) store(grad_added + place, g);
          first += g;
          second += g * (xs - load(means.data() + column));
        },
        [&](int64_t place, int64_t c, float& first, float& second) {
          const float one = x[place];
          float g = grad[place];
          if constexpr (with_relu) g = passed_one(with_added, place, c, one) ? g : 0.0f;
          if constexpr (with_added) grad_added[place] = g;
          first = g;
          second = g * (one - mean[c]);
        });
    // dL/dx = scale (g - mean(g) - xhat mean(g xhat)), written as scale g + slope x + constant.
    std::vector<float> slope(layout.channels), constant(layout.channels);
    const double n = static_cast<double>(layout.rows);
    for (int64_t c = 0; c < layout.channels; ++c) {
      grad_bias[c] = sums.first[c];
      grad_weight[c] = sums.second[c] * inverse[c];
      const double along = -double{affine.scale[c]} * inverse[c] * inverse[c] * sums.second[c] / n;
      slope[c] = along;
      constant[c] = -double{affine.scale[c]} * sums.first[c] / n - along * mean[c];
    }
    const auto slopes = layout.widened(slope.data()), constants = layout.widened(constant.data());
    const T* masked = with_added ? grad_added : grad;
    layout.for_all(
        [&](int64_t place, int64_t column) {
          const Vector xs = load(x + place);
          Vector g = load(masked + place);
          if constexpr (with_relu && !with_added) g = passed(with_added, place, column, xs) ? g : ZERO;
          store(grad_x + place,
                g * load(scales.data() + column) + xs * load(slopes.data() + column) + load(constants.data() + column));
        },
        [&](int64_t place, int64_t c) {
          const float one = x[place];
          float g = masked[place];
          if constexpr (with_relu && !with_added) g = passed_one(with_added, place, c, one) ? g : 0.0f;
          grad_x[place] = g * affine.scale[c] + one * slope[c] + constant[c];
        });
  };
  const std::true_type yes;
  const std::false_type no;
  if (activated) {
    grad_added ? pass(yes, yes) : pass(yes, no);
  } else {
    pass(no, no);
  }
}

// Call work with a number of the images' type. The binding has checked that it is one of the two.
template <class Work>
void with_type(const Tensor& images, Work work) {
  TORCH_CHECK(images.scalar_type() == at::kFloat || images.scalar_type() == at::kBFloat16,
              "images must be float32 or bfloat16");
  images.scalar_type() == at::kFloat ? work(float{}) : work(BFloat16{});
}

template <class T>
const T* data(const Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}

Tensor rows(const Tensor& images) { return images.contiguous(at::MemoryFormat::ChannelsLast); }

Tensor like(const MaybeTensor& added, const Tensor& x) {
  return added ? rows(added->to(x.scalar_type())) : Tensor();
}

struct NormAddRelu : torch::autograd::Function<NormAddRelu> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& images, const MaybeTensor& shortcut,
                        const Tensor& weight, const Tensor& bias, Tensor running_mean, Tensor running_var,
                        double momentum, double eps, bool activated) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    const Tensor x = rows(images), added = like(shortcut, x);
    Tensor y = at::empty_like(x), kept = at::empty({2, x.size(1)}, weight.options());
    const Layout layout(x);
    with_type(x, [&](auto number) {
      using T = decltype(number);
      float* numbers = kept.data_ptr<float>();
      take_statistics(layout, data<T>(x), running_mean, running_var, momentum, eps, numbers);
      const Affine affine(layout.channels, weight, bias, numbers, numbers + layout.channels);
      normalise(layout, affine, data<T>(x), data<T>(added), activated, y.data_ptr<T>());
    });
    context->saved_data["activated"] = activated;
    context->saved_data["added"] = shortcut.has_value();
    context->save_for_backward({x, weight, bias, kept, shortcut && activated ? y : Tensor()});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &kept = saved[3], &y = saved[4];
    const bool activated = context->saved_data["activated"].toBool(), added = context->saved_data["added"].toBool();
    const Tensor grad = rows(grads[0].to(x.scalar_type()));
    Tensor grad_x = at::empty_like(x), grad_weight = at::empty_like(weight), grad_bias = at::empty_like(bias);
    Tensor grad_added = added && activated ? at::empty_like(x) : Tensor();
    const Layout layout(x);
    const float* numbers = kept.const_data_ptr<float>();
    const Affine affine(layout.channels, weight, bias, numbers, numbers + layout.channels);
    with_type(x, [&](auto number) {
      using T = decltype(number);
      differentiate(layout, affine, numbers, data<T>(grad), data<T>(x), data<T>(y), activated, grad_x.data_ptr<T>(),
                    grad_added.defined() ? grad_added.data_ptr<T>() : nullptr, grad_weight.data_ptr<float>(),
                    grad_bias.data_ptr<float>());
    });
    const Tensor none;
    return {grad_x, added && !activated ? grad : grad_added, grad_weight, grad_bias, none, none, none, none, none};
  }
};

Tensor train(const Tensor& x, const MaybeTensor& added, const Tensor& weight, const Tensor& bias, Tensor running_mean,
             Tensor running_var, double momentum, double eps, bool relu) {
  return NormAddRelu::apply(x, added, weight, bias, running_mean, running_var, momentum, eps, relu);
}

Tensor evaluate(const Tensor& images, const MaybeTensor& shortcut, const Tensor& weight, const Tensor& bias,
                const Tensor& running_mean, const Tensor& running_var, double eps, bool relu) {
  const Tensor x = rows(images), added = like(shortcut, x);
  Tensor y = at::empty_like(x);
  const Layout layout(x);
  std::vector<float> inverse(layout.channels);
  const float* variances = running_var.const_data_ptr<float>();
  for (int64_t c = 0; c < layout.channels; ++c) inverse[c] = 1.0 / std::sqrt(variances[c] + eps);
  const Affine affine(layout.channels, weight, bias, running_mean.const_data_ptr<float>(), inverse.data());
  with_type(x, [&](auto number) {
    using T = decltype(number);
    normalise(layout, affine, data<T>(x), data<T>(added), relu, y.data_ptr<T>());
  });
  return y;
}

}  // namespace

TORCH_LIBRARY(netspace, library) {
  library.def(
      "norm_add_relu(Tensor x, Tensor? added, Tensor weight, Tensor bias, Tensor(a!) running_mean, "
      "Tensor(b!) running_var, float momentum, float eps, bool relu) -> Tensor",
      &train);
  library.def(
      "known_norm_add_relu(Tensor x, Tensor? added, Tensor weight, Tensor bias, Tensor running_mean, "
      "Tensor running_var, float eps, bool relu) -> Tensor",
      &evaluate);
}
