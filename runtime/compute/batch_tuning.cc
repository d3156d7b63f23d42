#include "runtime/compute/batch_tuning.h"

namespace hotset {

BatchTuning batch_tuning(const DeviceLimits& limits) {
  BatchTuning tuning;
  if (limits.software) return tuning;
  // A GPU serves a uniform load from its scalar or first-level cache and has no register left for many columns.
  tuning.shuffle_queries = false;
  tuning.decode_workgroups = 256;
  return tuning;
}

}  // namespace hotset
