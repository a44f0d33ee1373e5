// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace uscx {

/// Lets what this process allocates from now on lie in huge pages, as far as the system has them:
/// what is kept of thousands of CPUs and tasks is more than the TLB covers in small ones. Once, by
/// the main() of a command that simulates.
void put_heap_into_huge_pages();

}  // namespace uscx
