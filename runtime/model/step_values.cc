#include "runtime/model/step_values.h"

namespace hotset {
namespace {

// One overload a step.
struct Walk {
  const ModelSpec& spec;
  const ValueFunction& see;

  void all(std::initializer_list<Value> values) const {
    for (const Value& value : values) {
      if (value.exists()) see(value);
    }
  }
  void operator()(const EmbedStep& s) const { all({s.out}); }
  void operator()(const NormStep& s) const { all({s.x, s.out}); }
  void operator()(const MapStep& s) const { all({s.a.value, s.b.value, s.c.value, s.out}); }
  void operator()(const MatmulStep& s) const {
    all({s.x, s.residual});
    for (const ProductSpec& product : s.products) all({product.out});
  }
  void operator()(const HeadsStep& s) const { all({s.x, s.out}); }
  void operator()(const RopeStep& s) const { all({s.x}); }
  void operator()(const StoreKvStep& s) const { all({s.q, s.k, s.v}); }
  void operator()(const StoreRowsStep& s) const { all({s.x}); }
  void operator()(const AttendStep& s) const { all({s.q, s.mask, s.out}); }
  void operator()(const SelectStep& s) const { all({s.q, s.weights, s.mask}); }
  void operator()(const ConvStep& s) const { all({s.x, s.out}); }
  void operator()(const LinearAttentionStep& s) const { all({s.q, s.k, s.v, s.decay, s.beta, s.out}); }
  void operator()(const SelectiveScanStep& s) const { all({s.x, s.dt, s.b, s.c, s.out}); }
  void operator()(const CompressStep& s) const { all({s.values, s.scores, s.out}); }
  void operator()(const StreamWeightsStep& s) const { all({s.mixes, s.out}); }
  void operator()(const MixStreamsStep& s) const { all({s.x, s.weights, s.added, s.added_weights, s.out}); }
  void operator()(const MoeStep& s) const {
    const MoeSpec& moe = spec.moes[s.moe];
    all({moe.router_input, moe.input, moe.out});
  }
};

}  // namespace

void for_each_value(const ModelSpec& spec, const Step& step, const ValueFunction& see) { std::visit(Walk{spec, see}, step); }

}  // namespace hotset
