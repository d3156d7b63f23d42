// The link model: what a token costs when its experts come over given links, and so how to serve misses.
//
// Pure functions of measured (or published) rates; any thread. Times are in nanoseconds as doubles, because they are
// expectations; rates are bytes per second. The formulas are those of a roofline with one lane per link: VRAM, bus, CPU,
// RAM, disk. What the GPU, the CPU and the copies do at the same time counts once, as the longest; a stop of the GPU counts in full.
// How many of a layer's top-k experts miss is taken as binomial, so that layers without a miss need no stop.
#pragma once

#include <cstdint>
#include <string_view>

namespace hotset {

// What the links of this machine carry. 0: there is no such path.
struct LinkRates {
  double device_bytes_per_s = 0;    // expert kernels out of VRAM
  double in_place_bytes_per_s = 0;  // expert kernels out of host memory that the GPU reads over the bus; on unified memory as out of VRAM
  double copy_bytes_per_s = 0;      // host RAM to VRAM, per byte,
  uint64_t copy_ns = 0;             // and per batch of copies
  double cpu_bytes_per_s = 0;       // expert kernels on all CPU threads together
  double ram_bytes_per_s = 0;       // shared by CPU, copies, in-place reads and disk DMA; 0: no limit of its own
  double disk_bytes_per_s = 0;      // NVMe to RAM, per byte,
  uint64_t disk_ns = 0;             // and per batch of reads
  uint64_t stop_ns = 0;             // one stop of the GPU: the host sees it, looks, submits again
  bool unified = false;             // VRAM and RAM are one memory
  bool copies_overlap = true;       // copies run beside compute (a transfer queue, or the CPU writes into VRAM)
  // Whatever the bytes; 0: not measured.
  uint64_t operation_ns = 0;        // a small kernel and the barrier after it
  uint64_t submit_ns = 0;           // a submit of nothing and the wait for it
};

// How a missed expert whose bytes are in RAM is served.
enum class MissMode : uint8_t {
  kWait,     // copied to a slot, then run from there
  kInPlace,  // the GPU reads host memory; no stop
  kCpu,      // the CPU runs it while the GPU does the hits
};
std::string_view miss_mode_name(MissMode mode);  // "wait", "gpu", "cpu": the words of --miss

// Which modes this machine and this build can do.
struct MissPaths {
  bool wait = false;
  bool in_place = false;
  bool cpu = false;
  bool split = false;  // copies while the CPU runs the other misses of a layer
  bool allows(MissMode mode) const { return mode == MissMode::kWait ? wait : mode == MissMode::kInPlace ? in_place : cpu; }
};
// Those that `rates` has a rate for.
MissPaths paths_of(const LinkRates& rates);

// What one layer of one token asks for. Hits are in VRAM, misses in RAM, disk misses in neither.
struct LayerWork {
  uint64_t record_bytes = 0;
  uint32_t hits = 0;
  uint32_t misses = 0;
  uint32_t disk_misses = 0;
};

// Where the time of a layer goes. Each part is the time it adds to the parts before it, so they sum to the whole.
struct LayerCost {
  double experts_ns = 0;  // GPU kernels
  double copy_ns = 0;     // the bus: copies, or in-place reads beyond what VRAM would have taken
  double cpu_ns = 0;      // the CPU beyond the GPU's time
  double ram_ns = 0;      // what RAM cannot carry in that time
  double disk_ns = 0;
  double stop_ns = 0;
  double total_ns() const { return experts_ns + copy_ns + cpu_ns + ram_ns + disk_ns + stop_ns; }
};

// The cost of a layer under a mode. `copied`: in kCpu, how many of `misses` are copied meanwhile and run by the GPU. A miss
// that cannot be served, for want of a rate, costs infinity.
LayerCost layer_cost(const LinkRates& rates, MissMode mode, const LayerWork& work, uint32_t copied = 0);

// The best `copied` for layer_cost in kCpu, by trying all.
uint32_t best_copied(const LinkRates& rates, const LayerWork& work);

// The share of many misses that is best copied while the CPU runs the others: copy / (copy + cpu), less where the two
// together would ask more of the RAM than it has (what the CPU alone draws of it needs no copy).
double copied_share(const LinkRates& rates);

// One decode token of a model on a machine.
struct TokenWork {
  uint64_t dense_bytes = 0;      // weights that every token reads from VRAM, and the KV cache it reads
  double dense_bytes_per_s = 0;  // their kernels; 0: device_bytes_per_s
  double fixed_ns = 0;           // launches and the like, whatever the bytes, beside those that are counted here:
  uint32_t operations = 0;       // kernels of a token, each at LinkRates::operation_ns,
  uint32_t submits = 0;          // and submits when nothing misses, each at LinkRates::submit_ns
  uint32_t moe_layers = 0;
  uint32_t top_k = 0;
  uint64_t record_bytes = 0;        // of one expert
  double vram_hit_rate = 0;         // of all lookups
  double ram_hit_share = 1;         // of what misses VRAM
  double promoted_bytes = 0;        // a token copies to VRAM in the background (kInPlace, kCpu)
  double prefetch_recall = 0;       // of what misses VRAM: share that a prefetch brings to VRAM in time,
  double prefetch_precision = 1;    // and share of prefetched experts that are used
  double read_ahead_recall = 0;     // the same from disk to RAM, of what is on disk only
  double read_ahead_precision = 1;
};

// How all misses of a token are served.
struct MissPlan {
  MissMode mode = MissMode::kWait;
  bool split = false;      // kCpu: best_copied of the misses are copied meanwhile
  bool use_cache = true;   // false: hits are worth nothing here, every expert goes the way of the misses
};

struct TokenEstimate {
  double total_ns = 0;
  // Parts that sum to the total: what each adds to those before it.
  double fixed_ns = 0;
  double dense_ns = 0;
  double experts_ns = 0;
  double copy_ns = 0;
  double cpu_ns = 0;
  double ram_ns = 0;
  double disk_ns = 0;
  double stops_ns = 0;
  // How long each link is in use; the difference to the total is idle.
  double link_busy_ns = 0;
  double ram_busy_ns = 0;
  double disk_busy_ns = 0;
  std::string_view limit;  // what takes the most of the token: "VRAM", "bus", "CPU", "RAM", "disk", "stops", "launches"
  double tokens_per_s() const { return total_ns > 0 ? 1e9 / total_ns : 0; }
};
TokenEstimate estimate_token(const LinkRates& rates, const TokenWork& work, const MissPlan& plan);

// The same token when everything takes `factor` times as long: an estimate that was held against a measurement.
TokenEstimate scaled(TokenEstimate token, double factor);

// Reads from disk that began before their expert was chosen, as a run counted them. Those that were late were half done on average.
struct ReadAhead {
  uint64_t lookups = 0;  // experts asked of the RAM tier
  uint64_t hits = 0;     // found there, `useful` among them
  uint64_t reads = 0;    // begun ahead
  uint64_t useful = 0;   // done when the expert was asked for
  uint64_t late = 0;     // under way
};
// Sets ram_hit_share, read_ahead_recall and read_ahead_precision: what reads ahead brought counts as read beside the token, not as
// found in RAM. Without lookups nothing is set.
void set_read_ahead(const ReadAhead& counted, TokenWork& work);

// The cheapest plan of those possible; without any path for a miss, kWait. Going without the cache is weighed only where RAM holds all
// experts (ram_hit_share 1).
MissPlan best_plan(const LinkRates& rates, const TokenWork& work, const MissPaths& possible);

// Most bytes of a submit of copies that should take `slice_ns` of the link; at least so many that the submit itself does not weigh, also where
// the link was not measured. 0, no bound, where there is no slice.
uint64_t slice_bytes(const LinkRates& rates, uint64_t slice_ns);

// The cheapest mode for layers of `top_k` experts of which `misses` are expected to miss, all in RAM.
MissMode best_mode(const LinkRates& rates, uint64_t record_bytes, uint32_t top_k, double misses, const MissPaths& possible);

// What one more hit instead of a RAM miss saves in a layer where `misses` of `top_k` are expected to miss.
double saved_by_hit_ns(const LinkRates& rates, const MissPlan& plan, uint64_t record_bytes, uint32_t top_k, double misses);

// Whether copying a record to VRAM pays back: `extra_uses_per_token` (the candidate's less the victim's) times what a hit saves, over
// `horizon_tokens`, against the time on the link.
bool promotion_pays(const LinkRates& rates, uint64_t record_bytes, double saved_ns, double extra_uses_per_token, double horizon_tokens);

// Bytes a token may copy to VRAM in the background: half of what bus and RAM have idle in `token` (estimated without promotions);
// where copies do not run beside compute, what lengthens it by a twentieth. 0 where there is no copy path.
uint64_t promotion_budget_bytes(const LinkRates& rates, const TokenEstimate& token);

// A prefetch pays when precision > cost / (gain + cost): gain, the time a right one saves; cost, the time a wrong one takes from
// others (0 when its link would be idle).
bool prefetch_pays(double precision, double gain_ns, double cost_ns);

enum class PrefetchTarget : uint8_t { kRam, kVram };
// The least precision at which a prefetch of one record to `target` pays, while `token` runs on these links.
double break_even_precision(const LinkRates& rates, const TokenEstimate& token, uint64_t record_bytes, double saved_ns, PrefetchTarget target);

// The hit rate of a cache that holds `cached_share` of the bank, where none was measured: 1-(1-cached_share)^skew. Measured skews are 2 (routing
// nearly even) to 5; `skew` 3 is in their middle.
double modelled_hit_rate(double cached_share, double skew = 3);

// The share of VRAM misses that RAM serves when it holds `ram_share` of the bank beyond what VRAM holds.
double modelled_ram_hit_share(double vram_share, double ram_share, double skew = 3);

}  // namespace hotset
