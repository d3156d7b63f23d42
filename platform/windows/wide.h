// What the files of this folder share: the system's UTF-16, and its errors as values of errno.
#pragma once

#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <string>
#include <string_view>

namespace hotset::os {

// What is no valid text becomes U+FFFD.
std::wstring wide(std::string_view utf8);
std::string narrow(std::wstring_view utf16);

int errno_of(DWORD error);
inline int last_errno() { return errno_of(::GetLastError()); }

}  // namespace hotset::os
