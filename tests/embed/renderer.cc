#include "renderer.h"

namespace {

constexpr VkFormat kFormat = VK_FORMAT_R8G8B8A8_UNORM;

const uint32_t kVertexShader[] =
#include "triangle.vert.inc"
    ;
const uint32_t kFragmentShader[] =
#include "triangle.frag.inc"
    ;

void must(VkResult result, const char* what) {
  if (result != VK_SUCCESS) throw std::runtime_error(std::string(what) + " failed: " + std::to_string(result));
}

VKAPI_ATTR VkBool32 VKAPI_CALL complain(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                        const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
  ++*static_cast<uint32_t*>(user);
  std::fprintf(stderr, "validation: %s\n", data->pMessage);
  return VK_FALSE;
}

}  // namespace

Renderer::Renderer(bool validate) {
  make_instance(validate);
  make_device();
  make_target();
  make_pipeline();
  make_commands();
}

void Renderer::make_instance(bool validate) {
  VkApplicationInfo app = {};
  app.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  app.apiVersion = VK_API_VERSION_1_3;
  const char* const layer = "VK_LAYER_KHRONOS_validation";
  const char* const debug = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  const VkValidationFeatureEnableEXT enabled = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
  VkValidationFeaturesEXT features = {};
  features.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
  features.enabledValidationFeatureCount = 1;
  features.pEnabledValidationFeatures = &enabled;
  VkInstanceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pNext = validate ? &features : nullptr;
  info.pApplicationInfo = &app;
  info.enabledLayerCount = info.enabledExtensionCount = validate ? 1 : 0;
  info.ppEnabledLayerNames = &layer;
  info.ppEnabledExtensionNames = &debug;
  must(vkCreateInstance(&info, nullptr, &instance_), "vkCreateInstance");
  if (!validate) return;
  VkDebugUtilsMessengerCreateInfoEXT messenger = {};
  messenger.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
  messenger.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  messenger.pfnUserCallback = complain;
  messenger.pUserData = &complaints_;
  const auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(vkGetInstanceProcAddr(instance_, "vkCreateDebugUtilsMessengerEXT"));
  must(create(instance_, &messenger, nullptr, &messenger_), "vkCreateDebugUtilsMessengerEXT");
}

// The first device; what Hotset needs of it goes in beside what the renderer wants for itself.
void Renderer::make_device() {
  uint32_t count = 1;
  vkEnumeratePhysicalDevices(instance_, &count, &physical_);
  if (count == 0) throw std::runtime_error("there is no Vulkan device");
  vkGetPhysicalDeviceProperties(physical_, &properties_);
  hotset_error error = HOTSET_ERROR_INIT;
  needs_.size = sizeof needs_;
  if (hotset_vulkan_get_needs(vkGetInstanceProcAddr, instance_, physical_, &needs_, &error)) throw std::runtime_error(error.message);
  needs_.features13.dynamicRendering = VK_TRUE;
  static const float priority = 1.0f;
  queues_.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queues_.queueFamilyIndex = needs_.compute_family;  // on all known devices it draws too
  queues_.queueCount = 1;
  queues_.pQueuePriorities = &priority;
  created_with_.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  created_with_.pNext = &needs_.features;
  created_with_.queueCreateInfoCount = 1;
  created_with_.pQueueCreateInfos = &queues_;
  created_with_.enabledExtensionCount = needs_.wanted_extension_count;
  created_with_.ppEnabledExtensionNames = needs_.wanted_extensions;
  must(vkCreateDevice(physical_, &created_with_, nullptr, &device_), "vkCreateDevice");
  vkGetDeviceQueue(device_, needs_.compute_family, 0, &queue_);
}

hotset_vulkan_device Renderer::shared() {
  hotset_vulkan_device out = HOTSET_VULKAN_DEVICE_INIT;
  out.get_instance_proc_addr = vkGetInstanceProcAddr;
  out.instance = instance_;
  out.physical_device = physical_;
  out.device = device_;
  out.created_with = &created_with_;
  out.compute_family = needs_.compute_family;
  out.compute_queue = queue_;
  out.lock = [](void* user, VkQueue) { static_cast<std::mutex*>(user)->lock(); };
  out.unlock = [](void* user, VkQueue) { static_cast<std::mutex*>(user)->unlock(); };
  out.lock_user = &queue_lock_;
  return out;
}

uint32_t Renderer::memory_type(uint32_t allowed, VkMemoryPropertyFlags wanted) {
  VkPhysicalDeviceMemoryProperties memory;
  vkGetPhysicalDeviceMemoryProperties(physical_, &memory);
  for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    if ((allowed & (1u << i)) && (memory.memoryTypes[i].propertyFlags & wanted) == wanted) return i;
  }
  throw std::runtime_error("there is no memory of the kind needed");
}

void Renderer::make_target() {
  VkImageCreateInfo image = {};
  image.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO;
  image.imageType = VK_IMAGE_TYPE_2D;
  image.format = kFormat;
  image.extent = {kWidth, kHeight, 1};
  image.mipLevels = image.arrayLayers = 1;
  image.samples = VK_SAMPLE_COUNT_1_BIT;
  image.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT;
  must(vkCreateImage(device_, &image, nullptr, &image_), "vkCreateImage");
  VkMemoryRequirements needs;
  vkGetImageMemoryRequirements(device_, image_, &needs);
  VkMemoryAllocateInfo memory = {};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  memory.allocationSize = needs.size;
  memory.memoryTypeIndex = memory_type(needs.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
  must(vkAllocateMemory(device_, &memory, nullptr, &image_memory_), "vkAllocateMemory");
  must(vkBindImageMemory(device_, image_, image_memory_, 0), "vkBindImageMemory");
  VkImageViewCreateInfo view = {};
  view.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO;
  view.image = image_;
  view.viewType = VK_IMAGE_VIEW_TYPE_2D;
  view.format = kFormat;
  view.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  must(vkCreateImageView(device_, &view, nullptr, &view_), "vkCreateImageView");
  VkBufferCreateInfo buffer = {};
  buffer.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  buffer.size = sizeof(uint32_t);
  buffer.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  must(vkCreateBuffer(device_, &buffer, nullptr, &buffer_), "vkCreateBuffer");
  vkGetBufferMemoryRequirements(device_, buffer_, &needs);
  memory.allocationSize = needs.size;
  memory.memoryTypeIndex = memory_type(needs.memoryTypeBits, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
  must(vkAllocateMemory(device_, &memory, nullptr, &buffer_memory_), "vkAllocateMemory");
  must(vkBindBufferMemory(device_, buffer_, buffer_memory_, 0), "vkBindBufferMemory");
  void* mapped = nullptr;
  must(vkMapMemory(device_, buffer_memory_, 0, VK_WHOLE_SIZE, 0, &mapped), "vkMapMemory");
  middle_ = static_cast<const uint32_t*>(mapped);
}

VkShaderModule Renderer::make_module(const uint32_t* words, size_t bytes) {
  VkShaderModuleCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  info.codeSize = bytes;
  info.pCode = words;
  VkShaderModule module = VK_NULL_HANDLE;
  must(vkCreateShaderModule(device_, &info, nullptr, &module), "vkCreateShaderModule");
  return module;
}

void Renderer::make_pipeline() {
  const VkPushConstantRange push = {VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof(float)};
  VkPipelineLayoutCreateInfo layout = {};
  layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &push;
  must(vkCreatePipelineLayout(device_, &layout, nullptr, &layout_), "vkCreatePipelineLayout");
  VkPipelineShaderStageCreateInfo stages[2] = {};
  for (auto& stage : stages) {
    stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    stage.pName = "main";
  }
  stages[0].stage = VK_SHADER_STAGE_VERTEX_BIT;
  stages[0].module = make_module(kVertexShader, sizeof kVertexShader);
  stages[1].stage = VK_SHADER_STAGE_FRAGMENT_BIT;
  stages[1].module = make_module(kFragmentShader, sizeof kFragmentShader);
  VkPipelineVertexInputStateCreateInfo input = {};
  input.sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO;
  VkPipelineInputAssemblyStateCreateInfo assembly = {};
  assembly.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO;
  assembly.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST;
  const VkViewport viewport = {0, 0, kWidth, kHeight, 0, 1};
  const VkRect2D scissor = {{0, 0}, {kWidth, kHeight}};
  VkPipelineViewportStateCreateInfo view = {};
  view.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO;
  view.viewportCount = view.scissorCount = 1;
  view.pViewports = &viewport;
  view.pScissors = &scissor;
  VkPipelineRasterizationStateCreateInfo raster = {};
  raster.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO;
  raster.lineWidth = 1;
  VkPipelineMultisampleStateCreateInfo samples = {};
  samples.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO;
  samples.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT;
  VkPipelineColorBlendAttachmentState attachment = {};
  attachment.colorWriteMask = 0xf;
  VkPipelineColorBlendStateCreateInfo blend = {};
  blend.sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO;
  blend.attachmentCount = 1;
  blend.pAttachments = &attachment;
  VkPipelineRenderingCreateInfo rendering = {};
  rendering.sType = VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO;
  rendering.colorAttachmentCount = 1;
  rendering.pColorAttachmentFormats = &kFormat;
  VkGraphicsPipelineCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO;
  info.pNext = &rendering;
  info.stageCount = 2;
  info.pStages = stages;
  info.pVertexInputState = &input;
  info.pInputAssemblyState = &assembly;
  info.pViewportState = &view;
  info.pRasterizationState = &raster;
  info.pMultisampleState = &samples;
  info.pColorBlendState = &blend;
  info.layout = layout_;
  must(vkCreateGraphicsPipelines(device_, VK_NULL_HANDLE, 1, &info, nullptr, &pipeline_), "vkCreateGraphicsPipelines");
  for (const auto& stage : stages) vkDestroyShaderModule(device_, stage.module, nullptr);
}

void Renderer::make_commands() {
  VkCommandPoolCreateInfo pool = {};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = needs_.compute_family;
  must(vkCreateCommandPool(device_, &pool, nullptr, &pool_), "vkCreateCommandPool");
  VkCommandBufferAllocateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  info.commandPool = pool_;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  must(vkAllocateCommandBuffers(device_, &info, &commands_), "vkAllocateCommandBuffers");
  VkFenceCreateInfo fence = {};
  fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
  must(vkCreateFence(device_, &fence, nullptr, &fence_), "vkCreateFence");
}

void Renderer::barrier(VkImageLayout from, VkImageLayout to, VkPipelineStageFlags2 stage, VkAccessFlags2 access) {
  VkImageMemoryBarrier2 image = {};
  image.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER_2;
  image.srcStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  image.srcAccessMask = VK_ACCESS_2_MEMORY_WRITE_BIT;
  image.dstStageMask = stage;
  image.dstAccessMask = access;
  image.oldLayout = from;
  image.newLayout = to;
  image.srcQueueFamilyIndex = image.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
  image.image = image_;
  image.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  VkDependencyInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO;
  info.imageMemoryBarrierCount = 1;
  info.pImageMemoryBarriers = &image;
  vkCmdPipelineBarrier2(commands_, &info);
}

void Renderer::record(uint32_t number) {
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  must(vkBeginCommandBuffer(commands_, &begin), "vkBeginCommandBuffer");
  barrier(VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL, VK_PIPELINE_STAGE_2_COLOR_ATTACHMENT_OUTPUT_BIT,
          VK_ACCESS_2_COLOR_ATTACHMENT_WRITE_BIT);
  VkRenderingAttachmentInfo target = {};
  target.sType = VK_STRUCTURE_TYPE_RENDERING_ATTACHMENT_INFO;
  target.imageView = view_;
  target.imageLayout = VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL;
  target.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR;
  target.storeOp = VK_ATTACHMENT_STORE_OP_STORE;
  VkRenderingInfo rendering = {};
  rendering.sType = VK_STRUCTURE_TYPE_RENDERING_INFO;
  rendering.renderArea = {{0, 0}, {kWidth, kHeight}};
  rendering.layerCount = 1;
  rendering.colorAttachmentCount = 1;
  rendering.pColorAttachments = &target;
  const float angle = static_cast<float>(number) * 0.02f;
  vkCmdBeginRendering(commands_, &rendering);
  vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline_);
  vkCmdPushConstants(commands_, layout_, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof angle, &angle);
  vkCmdDraw(commands_, 3, 1, 0, 0);
  vkCmdEndRendering(commands_);
  barrier(VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_PIPELINE_STAGE_2_COPY_BIT,
          VK_ACCESS_2_TRANSFER_READ_BIT);
  VkBufferImageCopy copy = {};
  copy.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
  copy.imageOffset = {kWidth / 2, kHeight / 2, 0};
  copy.imageExtent = {1, 1, 1};
  vkCmdCopyImageToBuffer(commands_, image_, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer_, 1, &copy);
  must(vkEndCommandBuffer(commands_), "vkEndCommandBuffer");
}

void Renderer::draw(uint32_t number) {
  record(number);
  VkCommandBufferSubmitInfo commands = {};
  commands.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
  commands.commandBuffer = commands_;
  VkSubmitInfo2 submit = {};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
  submit.commandBufferInfoCount = 1;
  submit.pCommandBufferInfos = &commands;
  {
    const std::lock_guard guard(queue_lock_);
    must(vkQueueSubmit2(queue_, 1, &submit, fence_), "vkQueueSubmit2");
  }
  must(vkWaitForFences(device_, 1, &fence_, VK_TRUE, UINT64_MAX), "vkWaitForFences");
  must(vkResetFences(device_, 1, &fence_), "vkResetFences");
}

Renderer::~Renderer() {
  vkDestroyFence(device_, fence_, nullptr);
  vkDestroyCommandPool(device_, pool_, nullptr);
  vkDestroyPipeline(device_, pipeline_, nullptr);
  vkDestroyPipelineLayout(device_, layout_, nullptr);
  vkDestroyBuffer(device_, buffer_, nullptr);
  vkDestroyImageView(device_, view_, nullptr);
  vkDestroyImage(device_, image_, nullptr);
  vkFreeMemory(device_, buffer_memory_, nullptr);
  vkFreeMemory(device_, image_memory_, nullptr);
  vkDestroyDevice(device_, nullptr);
  if (messenger_ != VK_NULL_HANDLE) {
    const auto destroy = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(vkGetInstanceProcAddr(instance_, "vkDestroyDebugUtilsMessengerEXT"));
    destroy(instance_, messenger_, nullptr);
  }
  vkDestroyInstance(instance_, nullptr);
}
