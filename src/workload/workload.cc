// SPDX-License-Identifier: GPL-2.0-only
#include "workload/workload.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace uscx::workload {

namespace {

/// Forks all tasks one after the other, and waits for their end, as rt-app's main thread does.
class Launcher final : public sched::Behaviour {
 public:
  explicit Launcher(std::shared_ptr<Run> run) : run_(std::move(run)) {}
  ~Launcher() override { run_->set_launcher(nullptr); }

  sched::Step next(sched::Kernel& /*kernel*/, sched::Task& task) override {
    run_->set_launcher(&task);
    if (!run_->stopping() && next_cgroup_ < run_->planned_cgroups().size()) {
      const CgroupSpec& what = run_->planned_cgroups()[next_cgroup_++];
      return sched::Step::system_call([this, &what](sched::Task&) { run_->make_cgroup(what); });
    }
    if (!run_->stopping() && next_ < run_->planned().size()) {
      const Run::Planned& what = run_->planned()[next_++];
      return sched::Step::system_call([this, &what](sched::Task& self) { run_->fork(self, what); });
    }
    if (run_->running() > 0) return sched::Step::block();
    run_->set_launcher(nullptr);
    run_->set_finished();
    return sched::Step::exit();
  }

 private:
  std::shared_ptr<Run> run_;
  std::size_t next_ = 0;
  std::size_t next_cgroup_ = 0;
};

}  // namespace

OrError<Workload> Workload::parse(std::string name, std::string_view text) {
  auto document = json::parse(std::move(name), text);
  if (!document) return std::unexpected(document.error());
  auto spec = parse_workload(std::move(*document));
  if (!spec) return std::unexpected(spec.error());
  return Workload(std::move(*spec));
}

OrError<Workload> Workload::load(const std::string& name_or_path) {
  for (const Builtin& b : builtins()) {
    if (b.name == name_or_path) return parse(name_or_path, b.json);
  }
  if (!name_or_path.ends_with(".json") && name_or_path.find('/') == std::string::npos) {
    std::string names;
    for (const Builtin& b : builtins()) names += fmt::format("{}, ", b.name);
    return error(
        fmt::format("no workload '{}': there are {}or give a FILE.json", name_or_path, names));
  }
  auto document = json::load(name_or_path);
  if (!document) return std::unexpected(document.error());
  auto spec = parse_workload(std::move(*document));
  if (!spec) return std::unexpected(spec.error());
  return Workload(std::move(*spec));
}

Workload::~Workload() {
  if (run_) run_->detach();
}

OrError<void> Workload::start(sched::Kernel& kernel) {
  USCX_ASSERT(run_ == nullptr);
  auto run = std::make_shared<Run>(spec_, kernel);
  run->self = run;
  run->set_scheduler_control(control_);
  if (auto planned = run->plan(); !planned) return planned;
  sched::TaskSpec launcher;
  launcher.comm = "workload";
  launcher.behaviour = std::make_unique<Launcher>(run);
  launcher.affinity = &kernel.possible_mask();
  if (const auto task = kernel.create_task(std::move(launcher)); !task) {
    return error(fmt::format("{}: the workload's first task was refused: errno {}", name(),
                             task.error().value));
  }
  run_ = std::move(run);
  return {};
}

void Workload::stop() {
  USCX_ASSERT(run_ != nullptr);
  sched::Kernel& kernel = run_->kernel();
  // In interrupt context, where waking many is right whatever the caller's is.
  kernel.machine().timer_start(run_->stop_timer, kernel.now(), 0);
}

bool Workload::finished() const {
  return run_ != nullptr && run_->finished();
}

}  // namespace uscx::workload
