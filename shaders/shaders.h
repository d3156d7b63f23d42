// The embedded SPIR-V of every shader, by name: generated from shaders/CMakeLists.txt.
#pragma once

#include <cstdint>
#include <span>

namespace hotset::shaders {

extern const std::span<const uint32_t> add;
extern const std::span<const uint32_t> attention;
extern const std::span<const uint32_t> attention_merge;
extern const std::span<const uint32_t> combine;
extern const std::span<const uint32_t> conv;
extern const std::span<const uint32_t> embed;
extern const std::span<const uint32_t> embed_all;
extern const std::span<const uint32_t> expert_down;
extern const std::span<const uint32_t> expert_down_all;
extern const std::span<const uint32_t> expert_down_batch;
extern const std::span<const uint32_t> expert_down_batch_all;
extern const std::span<const uint32_t> expert_tiled;
extern const std::span<const uint32_t> expert_tiled_all;
extern const std::span<const uint32_t> expert_up;
extern const std::span<const uint32_t> expert_up_all;
extern const std::span<const uint32_t> expert_up_batch;
extern const std::span<const uint32_t> expert_up_batch_all;
extern const std::span<const uint32_t> export_stopped;
extern const std::span<const uint32_t> map;
extern const std::span<const uint32_t> linear_attention;
extern const std::span<const uint32_t> matmul;
extern const std::span<const uint32_t> matmul_heads;
extern const std::span<const uint32_t> matmul_heads_all;
extern const std::span<const uint32_t> matmul_heads_transposed;
extern const std::span<const uint32_t> matmul_heads_transposed_all;
extern const std::span<const uint32_t> matmul_all;
extern const std::span<const uint32_t> matmul_tiled;
extern const std::span<const uint32_t> matmul_tiled_all;
extern const std::span<const uint32_t> matvec;
extern const std::span<const uint32_t> norm;
extern const std::span<const uint32_t> matvec_all;
extern const std::span<const uint32_t> read_sum;
extern const std::span<const uint32_t> rms_norm;
extern const std::span<const uint32_t> rope;
extern const std::span<const uint32_t> route;
extern const std::span<const uint32_t> compress;
extern const std::span<const uint32_t> mix_streams;
extern const std::span<const uint32_t> stream_weights;
extern const std::span<const uint32_t> select_mask;
extern const std::span<const uint32_t> select_scores;
extern const std::span<const uint32_t> selective_scan;
extern const std::span<const uint32_t> store_kv;
extern const std::span<const uint32_t> store_rows;

}  // namespace hotset::shaders
