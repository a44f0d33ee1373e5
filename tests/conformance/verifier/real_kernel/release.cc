// SPDX-License-Identifier: GPL-2.0-only
// A release like "7.3-cloud-amd64" is no x.y.z, and libbpf refuses objects that ask for
// LINUX_KERNEL_VERSION there. Linked with --wrap=uname, which makes it 7.3.0-cloud-amd64.
#include <sys/utsname.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string>

extern "C" int __real_uname(utsname* name);

extern "C" int __wrap_uname(utsname* name) {
  const int result = __real_uname(name);
  std::string release = name->release;
  const auto end = std::find_if(release.begin(), release.end(),
                                [](unsigned char c) { return !std::isdigit(c) && c != '.'; });
  if (std::count(release.begin(), end, '.') == 1) release.insert(end - release.begin(), ".0");
  std::strncpy(name->release, release.c_str(), sizeof(name->release) - 1);
  return result;
}
