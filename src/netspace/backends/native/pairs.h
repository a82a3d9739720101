// Pairs of bfloat16 numbers, as the processor multiplies them: one instruction takes 16 lanes of two neighbours each,
// and adds both products to 16 sums in float32. A pair is a word, its first number in the lower half.
//
// Numbers that lie beside one another are such pairs already; where a sum goes over rows, two rows are interleaved.

#pragma once
#include <ATen/ATen.h>
#include <immintrin.h>

#include <cstdint>

using Word = uint32_t;
using at::BFloat16;
using at::Tensor;

constexpr int64_t LANES = 16;
constexpr int64_t PIECE = 8192;  // rows that are summed before sums are added, so that threads change no number

inline int64_t vectors(int64_t numbers) { return (numbers + LANES - 1) / LANES; }

inline int64_t pieces_of(int64_t rows) { return std::min(std::max<int64_t>(rows / PIECE, 1), LANES); }

inline __mmask16 first(int64_t lanes) { return lanes >= LANES ? 0xffff : (1u << lanes) - 1; }

inline __m512bh words(const Word* from) { return (__m512bh)_mm512_loadu_si512(from); }

inline __m256i halves(const BFloat16* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

// Round 16 sums and store the first `left`. A store through a mask is slow, and most widths are multiples of 8.
inline void store(BFloat16* to, __m512 sums, int64_t left) {
  const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(sums);
  if (left >= LANES) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), rounded);
  } else if (left == LANES / 2) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(rounded));
  } else {
    _mm256_mask_storeu_epi16(to, first(left), rounded);
  }
}

// Two rows of numbers as one of words, up to whole vectors; a row that is null is one of zeros.
inline void interleave(const BFloat16* low, const BFloat16* high, int64_t numbers, Word* to) {
  for (int64_t i = 0; i < numbers; i += LANES) {
    const __mmask16 mask = first(numbers - i);
    const __m512i lower = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, low + i));
    const __m512i upper =
        high ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, high + i)) : _mm512_setzero_si512();
    _mm512_storeu_si512(to + i, _mm512_or_si512(lower, _mm512_slli_epi32(upper, 16)));
  }
}

inline Tensor as_rows(const Tensor& images) {
  return images.to(at::kBFloat16).contiguous(at::MemoryFormat::ChannelsLast);
}

inline Tensor empty_rows(int64_t batch, int64_t channels, int64_t height, int64_t width) {
  return at::empty({batch, channels, height, width}, at::kBFloat16, at::MemoryFormat::ChannelsLast);
}
