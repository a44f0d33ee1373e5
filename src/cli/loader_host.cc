// SPDX-License-Identifier: GPL-2.0-only
#include "cli/loader_host.h"

#include <utility>

#include "base/assert.h"
#include "machine/topology_spec.h"
#include "sched/behaviour.h"

namespace uscx::cli {

namespace {

class Loader final : public sched::Behaviour {
 public:
  explicit Loader(std::function<void()> main) : main_(std::move(main)) {}
  sched::Step next(sched::Kernel&, sched::Task&) override {
    if (!main_) return sched::Step::exit();
    return sched::Step::system_call(
        [main = std::exchange(main_, nullptr)](sched::Task&) { main(); });
  }

 private:
  std::function<void()> main_;
};

}  // namespace

LoaderHost::LoaderHost(btf::KernelVersion version, std::span<const std::byte> vmlinux)
    : machine_(machine::load_machine("1n1l4c1t").value()),
      kernel_({.version = version, .vmlinux_btf = vmlinux}, machine_),
      user_half_(kernel_) {
  machine_.attach(kernel_);
  kernel_.trace().kernel_log.subscribe(
      [this](Nanos, CpuId, const sched::Task*, std::string_view line) { log_.emplace_back(line); });
}

void LoaderHost::run(std::function<void()> main) {
  bool done = false;
  sched::TaskSpec loader;
  loader.comm = "loader";
  loader.behaviour = std::make_unique<Loader>([&] {
    main();
    done = true;
  });
  USCX_ASSERT(kernel_.create_task(std::move(loader)).has_value());
  user_half_.activate();
  const auto ended = machine_.run_until_done(done, Nanos::from_s(1'000'000));
  USCX_ASSERT(ended.has_value());
}

std::vector<std::string> LoaderHost::take_kernel_log() {
  return std::exchange(log_, {});
}

}  // namespace uscx::cli
