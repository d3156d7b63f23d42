// The Vulkan devices as they are shown: heaps, budgets, queues, features. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "platform/vulkan/device_report.h"
#include "runtime/api/report_text.h"

namespace hotset {

std::string devices_text(const std::vector<DeviceReport>& devices);  // empty without devices
Json devices_json(const std::vector<DeviceReport>& devices);

}  // namespace hotset
