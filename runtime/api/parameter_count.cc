#include "runtime/api/parameter_count.h"

#include <cstdio>

namespace hotset {

std::string parameters_text(uint64_t count) {
  const double billions = static_cast<double>(count) / 1e9;
  char text[32];
  if (billions >= 999.5) std::snprintf(text, sizeof text, "%.2f T", billions / 1000);
  else if (billions >= 1) std::snprintf(text, sizeof text, "%.1f B", billions);
  else std::snprintf(text, sizeof text, "%.1f M", billions * 1000);
  return text;
}

uint64_t active_parameters(const ModelReport& report) {
  uint64_t of_experts = 0;
  for (const TensorLine& tensor : report.tensors) {
    if (tensor.name.find("_exps.") == std::string::npos) continue;
    uint64_t elements = 1;
    for (const uint64_t extent : tensor.shape) elements *= extent;
    of_experts += elements;
  }
  if (report.experts == 0) return report.parameter_count;
  return report.parameter_count - of_experts + of_experts / report.experts * report.experts_used;
}

}  // namespace hotset
