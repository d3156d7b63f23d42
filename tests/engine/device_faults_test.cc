// Whole sessions on a Vulkan device whose calls fail: memory refused, submits refused, imports refused, the device lost in mid-token.
#include <doctest/doctest.h>
#include "platform/vulkan/functions.h"

#include <array>

#include "tests/engine/fault_rig.h"

using namespace hotset;
using namespace hotset::test;

namespace {

enum Call { kAllocate, kImport, kMap, kBuffer, kSubmit, kWait, kPipeline, kCommands, kBegin, kCalls };

constexpr const char* kNames[kCalls] = {"vkAllocateMemory", "an import",      "vkMapMemory",      "vkCreateBuffer", "vkQueueSubmit2",
                                        "vkWaitSemaphores", "vkCreateComputePipelines", "vkAllocateCommandBuffers", "vkBeginCommandBuffer"};

bool imports(const VkMemoryAllocateInfo& info) {
  for (auto next = static_cast<const VkBaseInStructure*>(info.pNext); next; next = next->pNext) {
    if (next->sType == VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT) return true;
  }
  return false;
}

// Devices that are opened with its seams obey it. One at a time: entry points carry no context of their own. It outlives the engine.
class FaultyDevice {
 public:
  FaultyDevice() {
    REQUIRE(active_ == nullptr);
    active_ = this;
    seams.device = [this](DeviceFunctions& table) { take(table); };
  }
  ~FaultyDevice() { active_ = nullptr; }
  FaultyDevice(const FaultyDevice&) = delete;
  FaultyDevice& operator=(const FaultyDevice&) = delete;

  // The n-th call from now is the first of `times` that fail.
  void fail(Call call, int in, VkResult result, int times = 1) { faults_[call] = {in, times, result}; }
  void heal() { faults_ = {}; }
  bool pending(Call call) const { return faults_[call].in > 0; }

  Seams seams;

 private:
  struct Fault {
    int in = 0;  // 0: none
    int times = 1;
    VkResult result = VK_SUCCESS;
  };

  void take(DeviceFunctions& table) {
    real_ = table;
    lost_ = false;
    table.vkAllocateMemory = [](VkDevice d, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks* a, VkDeviceMemory* out) {
      const VkResult result = active_->next(imports(*info) ? kImport : kAllocate);
      return result != VK_SUCCESS ? result : active_->real_.vkAllocateMemory(d, info, a, out);
    };
    table.vkMapMemory = [](VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize size, VkMemoryMapFlags flags, void** out) {
      const VkResult result = active_->next(kMap);
      return result != VK_SUCCESS ? result : active_->real_.vkMapMemory(d, m, at, size, flags, out);
    };
    table.vkCreateBuffer = [](VkDevice d, const VkBufferCreateInfo* info, const VkAllocationCallbacks* a, VkBuffer* out) {
      const VkResult result = active_->next(kBuffer);
      return result != VK_SUCCESS ? result : active_->real_.vkCreateBuffer(d, info, a, out);
    };
    table.vkCreateComputePipelines = [](VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo* info,
                                        const VkAllocationCallbacks* a, VkPipeline* out) {
      const VkResult result = active_->next(kPipeline);
      return result != VK_SUCCESS ? result : active_->real_.vkCreateComputePipelines(d, c, n, info, a, out);
    };
    table.vkAllocateCommandBuffers = [](VkDevice d, const VkCommandBufferAllocateInfo* info, VkCommandBuffer* out) {
      const VkResult result = active_->next(kCommands);
      return result != VK_SUCCESS ? result : active_->real_.vkAllocateCommandBuffers(d, info, out);
    };
    table.vkBeginCommandBuffer = [](VkCommandBuffer b, const VkCommandBufferBeginInfo* info) {
      const VkResult result = active_->next(kBegin);
      return result != VK_SUCCESS ? result : active_->real_.vkBeginCommandBuffer(b, info);
    };
    take_queue(table);
  }

  void take_queue(DeviceFunctions& table) {
    table.vkQueueSubmit2 = [](VkQueue q, uint32_t n, const VkSubmitInfo2* info, VkFence fence) {
      const VkResult result = active_->next(kSubmit);
      return result != VK_SUCCESS ? result : active_->real_.vkQueueSubmit2(q, n, info, fence);
    };
    table.vkWaitSemaphores = [](VkDevice d, const VkSemaphoreWaitInfo* info, uint64_t timeout_ns) {
      const VkResult result = active_->next(kWait);
      // A lost device is done with all that it was given; this one really has to be waited for.
      if (result == VK_SUCCESS || active_->lost_) {
        const VkResult waited = active_->real_.vkWaitSemaphores(d, info, timeout_ns);
        return active_->lost_ ? VK_ERROR_DEVICE_LOST : waited;
      }
      return result;
    };
    table.vkGetSemaphoreCounterValue = [](VkDevice d, VkSemaphore s, uint64_t* out) {
      return active_->lost_ ? VK_ERROR_DEVICE_LOST : active_->real_.vkGetSemaphoreCounterValue(d, s, out);
    };
  }

  VkResult next(Call call) {
    if (lost_) return VK_ERROR_DEVICE_LOST;
    Fault& fault = faults_[call];
    if (fault.in == 0 || --fault.in > 0) return VK_SUCCESS;
    fault.in = --fault.times > 0 ? 1 : 0;
    lost_ = fault.result == VK_ERROR_DEVICE_LOST;
    return fault.result;
  }

  inline static FaultyDevice* active_ = nullptr;
  DeviceFunctions real_ = {};
  std::array<Fault, kCalls> faults_ = {};
  bool lost_ = false;
};

void check_refused(const Status& status) {
  CAPTURE(status.message());
  CHECK((status.code() == Code::kOutOfMemory || status.code() == Code::kDevice));
  CHECK(status.message().find("vk") != std::string::npos);
}

struct GpuRig {
  FaultModel model;
  FaultyDevice device;
  EngineOptions options = model.options("vulkan");
  Told reference = tell(options);

  GpuRig() {
    options.seams = &device.seams;
    options.vram = ByteSize{least_vram_bytes(options) + (1u << 20), 0, false};
  }
  void serve(MissChoice miss, bool from_disk) {
    options.miss = miss;
    options.ram = from_disk ? std::optional(ByteSize{2u << 20, 0, false}) : std::nullopt;
  }
  VkResult refusal(Call call) const { return call == kMap ? VK_ERROR_MEMORY_MAP_FAILED : VK_ERROR_OUT_OF_DEVICE_MEMORY; }
};

}  // namespace

TEST_CASE("device faults: any call that fails while a model is opened is one clear error, or a measurement less, and the next try opens it") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  GpuRig rig;
  rig.serve(MissChoice::kWait, true);
  for (const Call call : {kAllocate, kMap, kBuffer, kCommands}) {
    int refused = 0;
    for (int at = 1; at < 1000; at += 1 + at / 2) {
      CAPTURE(kNames[call]);
      CAPTURE(at);
      rig.device.fail(call, at, rig.refusal(call));
      const auto engine = Engine::open(rig.options);
      if (rig.device.pending(call)) {
        rig.device.heal();
        CHECK_MESSAGE(engine.ok(), engine.status().message());
        CHECK(refused > 0);
        break;
      }
      if (engine.ok()) {  // it was a measurement that failed
        CHECK(tell(*open_session(**engine)).logits == rig.reference.logits);
        continue;
      }
      check_refused(engine.status());
      ++refused;
    }
  }
  CHECK(tell(rig.options).logits == rig.reference.logits);
}

TEST_CASE("device faults: any call that fails while a session is made is one clear error, and the next try makes it") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  GpuRig rig;
  rig.serve(MissChoice::kWait, false);
  const auto engine = open_engine(rig.options);
  for (const Call call : {kPipeline, kCommands, kBegin}) {
    for (int at = 1; at < 1000; at += 2 + at) {
      CAPTURE(kNames[call]);
      CAPTURE(at);
      rig.device.fail(call, at, rig.refusal(call));
      const auto session = engine->create_session();
      if (rig.device.pending(call)) {
        rig.device.heal();
        REQUIRE_MESSAGE(session.ok(), session.status().message());
        CHECK(at > 1);
        CHECK(tell(**session).logits == rig.reference.logits);
        break;
      }
      check_refused(session.status());
    }
  }
}

TEST_CASE("device faults: a call that fails once costs one try of one token") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  GpuRig rig;
  for (const MissChoice miss : {MissChoice::kWait, MissChoice::kGpu}) {
    rig.serve(miss, miss == MissChoice::kWait);
    const auto engine = open_engine(rig.options);
    const auto session = open_session(*engine);
    for (const Call call : {kSubmit, kWait, kBegin}) {
      for (const int at : {1, 2, 5, 12, 40}) {
        CAPTURE(kNames[call]);
        CAPTURE(at);
        rig.device.fail(call, at, VK_ERROR_OUT_OF_HOST_MEMORY);
        const Told told = tell(*session, 1);
        CHECK(told.logits == rig.reference.logits);
        CHECK(told.failures.size() == (rig.device.pending(call) ? 0 : 1));
        rig.device.heal();
      }
    }
  }
}

TEST_CASE("device faults: with experts on the CPU a failed submit costs one try too") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  GpuRig rig;
  rig.serve(MissChoice::kCpu, false);
  const auto engine = open_engine(rig.options);
  const auto session = open_session(*engine);
  for (const int at : {1, 3, 8, 14, 30}) {
    CAPTURE(at);
    rig.device.fail(kSubmit, at, VK_ERROR_OUT_OF_HOST_MEMORY);
    const Told told = tell(*session, 1);
    // Which experts the CPU runs, and rounds to 8 bits, depends on what VRAM holds by then.
    CHECK(nmse(told.logits, rig.reference.logits) < 5e-3);
    rig.device.heal();
  }
}

TEST_CASE("device faults: a device lost in mid-token says so from then on, and another engine begins anew") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  GpuRig rig;
  const std::vector<TokenId> prompt = {7, 68, 129, 190, 251};
  struct Row {
    MissChoice miss;
    Call call;
    int at;
  };
  for (const Row& row : {Row{MissChoice::kWait, kSubmit, 1}, Row{MissChoice::kWait, kWait, 9}, Row{MissChoice::kGpu, kSubmit, 4}, Row{MissChoice::kCpu, kSubmit, 8}}) {
    CAPTURE(kNames[row.call]);
    CAPTURE(row.at);
    rig.serve(row.miss, row.miss == MissChoice::kWait);
    auto engine = open_engine(rig.options);
    auto session = open_session(*engine);
    REQUIRE(session->feed(prompt).ok());
    rig.device.fail(row.call, row.at, VK_ERROR_DEVICE_LOST);
    Status fed;
    for (TokenId token = 0; fed.ok() && token < 30; ++token) fed = session->feed({&token, 1});
    for (int again = 0; again < 3; ++again) {
      CHECK(fed.code() == Code::kDevice);
      CHECK_MESSAGE(fed.message().find("lost") != std::string::npos, fed.message());
      CHECK_MESSAGE(fed.message().find("open it again") != std::string::npos, fed.message());
      CHECK(session->logits().empty());
      fed = again == 0 ? session->feed(prompt) : session->feed({prompt.data(), 1});
    }
    static_cast<void>(session->stats());
    static_cast<void>(engine->set_vram_budget(rig.options.vram->bytes + (1u << 20)));
    session.reset();
    CHECK_FALSE(engine->create_session().ok());
    engine.reset();
    rig.device.heal();
  }
  rig.serve(MissChoice::kWait, false);
  CHECK(tell(rig.options).logits == rig.reference.logits);
}

TEST_CASE("device faults: without imports misses take another way") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  GpuRig rig;
  rig.serve(MissChoice::kGpu, false);
  const LogLines log;
  rig.device.fail(kImport, 1, VK_ERROR_INVALID_EXTERNAL_HANDLE, 1 << 20);
  CHECK(tell(rig.options).logits == rig.reference.logits);
  CHECK(log.count("the GPU does not reach experts in host memory") == 1);
}

TEST_CASE("device faults: a VRAM budget that cannot grow is an error, and the tokens stay the same") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  GpuRig rig;
  rig.serve(MissChoice::kWait, false);
  const auto engine = open_engine(rig.options);
  const auto session = open_session(*engine);
  const uint64_t more_bytes = rig.options.vram->bytes + (4u << 20);
  for (const int at : {1, 2}) {
    CAPTURE(at);
    const uint64_t slots = session->stats().cache_slots;
    rig.device.fail(kAllocate, at, VK_ERROR_OUT_OF_DEVICE_MEMORY, 1 << 20);
    const Status grown = engine->set_vram_budget(more_bytes);
    CHECK_MESSAGE(grown.code() == Code::kOutOfMemory, grown.message());
    rig.device.heal();
    CHECK((session->stats().cache_slots > slots) == (at > 1));
    CHECK(tell(*session).logits == rig.reference.logits);
    REQUIRE(engine->set_vram_budget(rig.options.vram->bytes).ok());
  }
  REQUIRE(engine->set_vram_budget(more_bytes).ok());
  CHECK(tell(*session).logits == rig.reference.logits);
}

// A shrinking VRAM that held every expert first reads them all into RAM again. After a read that failed, the second try took the layers
// that were read half for whole ones.
TEST_CASE("device faults: a VRAM that shrinks while the disk fails keeps its experts until the disk is back") {
  if (!has_device()) HOTSET_SKIP("no usable Vulkan device");
  GpuRig rig;
  const uint64_t small_bytes = rig.options.vram->bytes;
  rig.options.vram.reset();
  std::atomic<int> left{0};
  rig.device.seams.read = [&](uint64_t, uint64_t) { return left > 0 && --left == 0 ? EIO : 0; };
  const auto engine = open_engine(rig.options);
  const auto session = open_session(*engine);
  for (const int read : {1, 20, 100}) {
    left = read;
    const Status shrunk = engine->set_vram_budget(small_bytes);
    CHECK_MESSAGE(shrunk.code() == Code::kIo, shrunk.message());
    CHECK(tell(*session).logits == rig.reference.logits);
  }
  REQUIRE(engine->set_vram_budget(small_bytes).ok());
  CHECK(tell(*session).logits == rig.reference.logits);
  CHECK(session->stats().vram_used_bytes <= small_bytes);
}
