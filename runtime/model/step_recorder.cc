#include "runtime/model/step_recorder.h"

namespace hotset {
namespace {

ExpertShape with_offsets(ExpertShape shape, const ExpertTable& table, uint32_t moe) {
  const auto offset = [&](uint32_t piece) {
    return piece == ExpertShape::kNone ? ExpertShape::kNone : static_cast<uint32_t>(table.piece_offset_bytes(moe, piece));
  };
  shape.gate_offset = offset(shape.gate_piece);
  shape.up_offset = offset(shape.up_piece) + shape.up_piece_offset;
  shape.down_offset = offset(shape.down_piece);
  shape.gate_bias_offset = offset(shape.gate_bias_piece);
  shape.up_bias_offset = offset(shape.up_bias_piece);
  shape.down_bias_offset = offset(shape.down_bias_piece);
  return shape;
}

Tensor row_of(const Tensor& tensor, uint32_t row, uint64_t row_bytes) { return {tensor.address + row * row_bytes, row_bytes}; }

}  // namespace

// One overload a step: looks addresses up and calls the operation.
struct StepRecorder::Record {
  const StepRecorder& r;
  uint32_t n;
  Phase phase;

  uint64_t vector(const TensorInfo* tensor) const { return r.model_.weights.vector(tensor); }
  Weight weight(const MatrixSpec& matrix) const { return r.model_.weights.matrix(matrix); }

  void operator()(const EmbedStep& s) const { r.ops_.embed(weight(s.table), r.ws_.tokens.address, r.tensor(s.out), n); }
  // A whole row with plain weights has an operation of its own.
  void operator()(const NormStep& s) const {
    const Rows x = r.rows(s.x);
    const Rows out = r.rows(s.out);
    const bool plain = s.shape.kind == NormKind::kRms && s.shape.groups == 1 && s.weight != nullptr && s.bias == nullptr && x.stride == s.shape.cols &&
                       out.stride == s.shape.cols;
    if (plain) r.ops_.rms_norm(r.tensor(s.x), vector(s.weight), r.tensor(s.out), n, s.shape.cols, s.shape.eps);
    else r.ops_.norm(s.shape, x, vector(s.weight), vector(s.bias), out, n);
  }
  void operator()(const MapStep& s) const { 
    r.ops_.map(s.glu, s.scale, r.operand(s.a, s.fold), r.operand(s.b, s.fold), r.operand(s.c, s.fold), r.rows(s.out, s.fold), n * s.fold, s.out.width);
  }
  void operator()(const MatmulStep& s) const {
    if (s.residual.exists() || s.products.size() == 1) {
      const Tensor residual = s.residual.exists() ? r.tensor(s.residual) : Tensor{};
      r.ops_.matmul(weight(s.products[0].matrix), r.tensor(s.x), r.tensor(s.products[0].out), n, phase, s.residual.exists() ? &residual : nullptr);
      return;
    }
    std::vector<MatrixProduct> products;
    for (const ProductSpec& product : s.products) products.push_back({weight(product.matrix), r.tensor(product.out)});
    r.ops_.matmul_each(products, r.tensor(s.x), n, phase);
  }
  void operator()(const HeadsStep& s) const { r.ops_.matmul_heads(s.shape, weight(s.matrix), r.rows(s.x), r.rows(s.out), n); }
  void operator()(const RopeStep& s) const { r.ops_.rope(s.shape, r.rows(s.x), r.ws_.rope(s.table).address, n); }
  void operator()(const StoreKvStep& s) const {
    const KvCacheView cache = {r.ws_.state(s.keys), r.ws_.state(s.values)};
    const uint64_t table = s.shape.rope_dim != 0 ? r.ws_.rope(s.table).address : 0;
    r.ops_.store_kv(r.with_session(s.shape), r.tensor(s.q), r.tensor(s.k), r.tensor(s.v), vector(s.q_norm), vector(s.k_norm), table, cache, n);
  }
  void operator()(const StoreRowsStep& s) const {
    const StateSpec& cache = r.model_.spec.states[s.cache];
    const WorkspaceShape& session = r.ws_.shape();
    r.ops_.store_rows(session.kv, r.rows(s.x), r.ws_.state(s.cache), cache.width, session.context_tokens, s.x.width, n, cache.every);
  }
  void operator()(const AttendStep& s) const {
    AttentionInputs inputs = {.sinks = vector(s.sinks)};
    if (s.shape.beside_every != 0) inputs.beside = r.ws_.state(s.beside);
    if (s.mask.exists()) {
      inputs.mask = r.tensor(s.mask).address;
      inputs.mask_words = (r.rows_of(std::max(1u, s.shape.beside_every)) + 31) / 32;
      inputs.mask_heads = s.mask.width;
    }
    const KvCacheView cache = {r.ws_.state(s.keys), r.ws_.state(s.values)};
    r.ops_.attention(r.with_session(s.shape), r.tensor(s.q), cache, r.tensor(s.out), r.ws_.attention_scratch, n, phase, inputs);
  }
  void operator()(const SelectStep& s) const {
    SelectShape shape = s.shape;
    shape.context_tokens = r.rows_of(shape.every);
    shape.kv = r.ws_.shape().kv;
    if (s.spread) shape.spread_tokens = r.ws_.shape().context_tokens;
    r.ops_.select_positions(shape, r.rows(s.q), s.weights.exists() ? r.rows(s.weights) : Rows{}, r.ws_.state(s.keys), r.ws_.select_scores, r.tensor(s.mask), n);
  }
  void operator()(const ConvStep& s) const { r.ops_.conv(s.shape, r.rows(s.x), vector(s.weight), vector(s.bias), r.ws_.state(s.state), r.rows(s.out), n); }
  void operator()(const LinearAttentionStep& s) const {
    const Rows none;
    const Rows decay = s.constant_decay != Value::kNone ? Rows{r.ws_.constant(s.constant_decay).address, 0} : s.decay.exists() ? r.rows(s.decay) : none;
    r.ops_.linear_attention(s.shape, r.rows(s.q), r.rows(s.k), r.rows(s.v), decay, s.beta.exists() ? r.rows(s.beta) : none, r.ws_.state(s.state),
                            r.rows(s.out), n);
  }
  void operator()(const SelectiveScanStep& s) const {
    r.ops_.selective_scan(s.shape, r.rows(s.x), r.rows(s.dt), r.rows(s.b), r.rows(s.c), vector(s.a), vector(s.d), r.ws_.state(s.state), r.rows(s.out), n);
  }
  void operator()(const CompressStep& s) const {
    r.ops_.compress(s.shape, r.rows(s.values), s.scores.exists() ? r.rows(s.scores) : Rows{}, vector(s.bias), r.ws_.state(s.state), r.rows(s.out), n);
  }
  void operator()(const StreamWeightsStep& s) const {
    r.ops_.stream_weights(s.shape, r.rows(s.mixes), vector(s.scale), vector(s.bias), r.rows(s.out), n);
  }
  void operator()(const MixStreamsStep& s) const {
    const bool adds = s.added.exists();
    const Rows weights = s.constant_weights != Value::kNone ? Rows{r.ws_.constant(s.constant_weights).address, 0} : r.rows(s.weights);
    r.ops_.mix_streams(s.shape, r.rows(s.x), weights, adds ? r.rows(s.added) : Rows{}, adds ? r.rows(s.added_weights) : Rows{}, r.rows(s.out), n);
  }
  void operator()(const MoeStep&) const { HOTSET_CHECK(false); }  // a stretch ends before it
};

StepRecorder::StepRecorder(const Model& model, Workspace& workspace, Ops& ops) : model_(model), ws_(workspace), ops_(ops) {
  const std::vector<Step>& steps = model.spec.steps;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (std::holds_alternative<MoeStep>(steps[i])) ends_.push_back(i);
  }
  ends_.push_back(steps.size());
  for (uint32_t i = 0; i < model.spec.moes.size(); ++i) expert_shapes_.push_back(with_offsets(model.spec.moes[i].experts, model.experts, i));
}

void StepRecorder::record(const Step& step, uint32_t n, Phase phase) { std::visit(Record{*this, n, phase}, step); }

void StepRecorder::stretch(uint32_t index, uint32_t n, Phase phase) {
  for (size_t i = index == 0 ? 0 : ends_[index - 1] + 1; i < ends_[index]; ++i) record(model_.spec.steps[i], n, phase);
}

void StepRecorder::head_steps(size_t first, size_t end, const Value& from, uint32_t first_row, uint32_t rows, Phase phase) {
  first_value_ = from.id;
  first_row_ = first_row;
  for (size_t i = first; i < end; ++i) record(model_.spec.head[i], rows, phase);
  first_value_ = Value::kNone;
}

void StepRecorder::head(uint32_t first_row, uint32_t n, Phase phase) {
  head_steps(0, model_.spec.head.size(), model_.spec.head_input, first_row, n, phase);
}

void StepRecorder::hidden(uint32_t rows, Phase phase) { head_steps(0, model_.spec.output_step, model_.spec.head_input, 0, rows, phase); }

void StepRecorder::output(uint32_t row, Phase phase) {
  head_steps(model_.spec.output_step, model_.spec.head.size(), model_.spec.hidden, row, 1, phase);
}

Rows StepRecorder::rows(const Value& value, uint32_t fold) const {
  const uint32_t width = model_.spec.values[value.id].width;
  const uint64_t row = value.id == first_value_ ? first_row_ : 0;
  return {ws_.value(value.id).address + (row * width + value.first) * sizeof(float), width / fold};
}

Tensor StepRecorder::tensor(const Value& value) const {
  HOTSET_CHECK(value.first == 0 && value.width == model_.spec.values[value.id].width);
  const uint64_t skipped = rows(value).address - ws_.value(value.id).address;
  return {ws_.value(value.id).address + skipped, ws_.value(value.id).size_bytes - skipped};
}

Operand StepRecorder::operand(const MapOperand& operand, uint32_t fold) const {
  Operand out;
  out.group = operand.group;
  out.period = operand.period;
  if (operand.vector != nullptr) {
    out.address = model_.weights.vector(operand.vector) + operand.vector_first * sizeof(float);
  } else if (operand.position_scale != Value::kNone) {
    out.address = ws_.position_scale(operand.position_scale).address;
    out.stride = 1;
  } else if (operand.constant != Value::kNone) {
    out.address = ws_.constant(operand.constant).address;
  } else if (operand.value.exists()) {
    const Rows found = rows(operand.value, fold);
    out.address = found.address;
    out.stride = found.stride;
  }
  return out;
}

uint32_t StepRecorder::rows_of(uint32_t every) const { return (ws_.shape().context_tokens + every - 1) / every; }

AttentionShape StepRecorder::with_session(AttentionShape shape) const {
  shape.context_tokens = ws_.shape().context_tokens;
  shape.kv = ws_.shape().kv;
  return shape;
}

// A guess is worth something where the next router reads what this one reads, one layer later.
bool StepRecorder::can_guess(uint32_t moe) const {
  const std::vector<MoeSpec>& moes = model_.spec.moes;
  return moe + 1 < moes.size() && moes[moe + 1].router.cols == moes[moe].router.cols && moes[moe + 1].route.used == moes[moe].route.used &&
         moes[moe + 1].token_experts == nullptr;
}

void StepRecorder::router(uint32_t moe, uint32_t n, Phase phase, bool guess) {
  const std::vector<MoeSpec>& moes = model_.spec.moes;
  const Tensor input = tensor(moes[moe].router_input);
  const MatrixProduct own = {model_.weights.matrix(moes[moe].router), ws_.scores};
  if (!guess || !can_guess(moe)) {
    ops_.matmul(own.weight, input, own.out, n, phase);
    return;
  }
  const MatrixProduct both[] = {own, {model_.weights.matrix(moes[moe + 1].router), ws_.guess_scores}};
  ops_.matmul_each(both, input, n, phase);
}

RouteInputs StepRecorder::route_inputs(const MoeSpec& moe) const {
  const DenseWeights& weights = model_.weights;
  return {weights.vector(moe.logit_bias), weights.vector(moe.choice_bias), weights.vector(moe.expert_scales),
          moe.token_experts != nullptr ? ws_.tokens.address : 0, weights.vector(moe.token_experts)};
}

void StepRecorder::route_decode(uint32_t moe) {
  const MoeSpec& spec = model_.spec.moes[moe];
  const Tensor log = row_of(ws_.route_log, moe, uint64_t{spec.route.used} * sizeof(uint32_t));
  const uint64_t table = model_.device_table + uint64_t{moe} * model_.experts.experts() * sizeof(uint64_t);
  ops_.route(spec.route, ws_.scores, log, ws_.weights, 1, table, &ws_.addresses, stop_value(moe), route_inputs(spec));
}

void StepRecorder::guess_next(uint32_t moe) {
  if (!can_guess(moe)) return;
  const MoeSpec& next = model_.spec.moes[moe + 1];
  const Tensor log = row_of(ws_.guess_log, moe, uint64_t{next.route.used} * sizeof(uint32_t));
  ops_.route(next.route, ws_.guess_scores, log, ws_.guess_weights, 1, 0, nullptr, 0, route_inputs(next));
}

void StepRecorder::export_stopped(uint32_t moe) {
  const MoeSpec& spec = model_.spec.moes[moe];
  ops_.export_stopped(tensor(spec.input), ws_.host_input, spec.experts.embd, stop_value(moe));
  ops_.export_stopped(ws_.weights, ws_.host_weights, spec.route.used, stop_value(moe));
}

void StepRecorder::add_cpu_part(uint32_t moe) { ops_.add(ws_.cpu_part, tensor(model_.spec.moes[moe].out), model_.spec.moes[moe].experts.embd); }

void StepRecorder::route_batch(uint32_t moe, uint32_t n) {
  const MoeSpec& spec = model_.spec.moes[moe];
  ops_.route(spec.route, ws_.scores, ws_.ids, ws_.weights, n, 0, nullptr, 0, route_inputs(spec));
}

void StepRecorder::experts_decode(uint32_t moe) {
  const MoeSpec& spec = model_.spec.moes[moe];
  ops_.expert_up(expert_shapes_[moe], ws_.addresses, ws_.weights, tensor(spec.input), ws_.hidden);
  ops_.expert_down(expert_shapes_[moe], ws_.addresses, ws_.weights, ws_.hidden, tensor(spec.out));
}

void StepRecorder::experts_batch(uint32_t moe, uint32_t first_tile, uint32_t tile_count) {
  const uint64_t tiles = ws_.tiles.address + first_tile * sizeof(shaders::ExpertTile);
  const MoeSpec& spec = model_.spec.moes[moe];
  ops_.expert_up_batch(expert_shapes_[moe], tiles, tile_count, ws_.pairs.address, ws_.weights, tensor(spec.input), ws_.hidden);
  ops_.expert_down_batch(expert_shapes_[moe], tiles, tile_count, ws_.pairs.address, ws_.hidden, ws_.parts);
}

void StepRecorder::combine(uint32_t moe, uint32_t n) { ops_.combine(expert_shapes_[moe], ws_.weights, ws_.parts, tensor(model_.spec.moes[moe].out), n); }

}  // namespace hotset
