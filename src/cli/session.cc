// SPDX-License-Identifier: GPL-2.0-only
#include "cli/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "cli/explore.h"
#include "sched/ext/ext.h"

namespace uscx::cli {

namespace {

/// Where the JSON report takes standard output, messages go to standard error.
observe::MessageLog::Sink print_if(bool wanted, const RunOptions& options) {
  if (!wanted) return {};
  std::FILE* to = options.json_path == "-" ? stderr : stdout;
  return [to](const std::string& line) { std::fputs((line + "\n").c_str(), to); };
}

// SCX_EXIT_*: below kExitError the scheduler left in an orderly way.
constexpr s32 kExitUnreg = 64;
constexpr s32 kExitError = 1024;
constexpr s32 kExitErrorStall = 1026;

observe::Outcome outcome_of(const sched::ext::ExitRecord& exit) {
  if (exit.kind == kExitErrorStall) return observe::Outcome::kStall;
  if (exit.kind >= kExitError) return observe::Outcome::kError;
  if (exit.kind > kExitUnreg) return observe::Outcome::kUnregistered;
  return observe::Outcome::kCompleted;
}

/// The loader process: it runs `main` on its kernel stack, and exits.
class LoaderBehaviour final : public sched::Behaviour {
 public:
  explicit LoaderBehaviour(std::function<void()> main) : main_(std::move(main)) {}
  sched::Step next(sched::Kernel&, sched::Task&) override {
    if (!main_) return sched::Step::exit();
    return sched::Step::system_call(
        [main = std::exchange(main_, nullptr)](sched::Task&) { main(); });
  }

 private:
  std::function<void()> main_;
};

}  // namespace

Session::Session(const RunPlan& plan, machine::MachineSpec machine, workload::Workload workload)
    : plan_(plan),
      machine_name_(machine.topology.description),
      machine_(make_machine(plan.options, machine)),
      workload_(std::move(workload)),
      kernel_({.version = plan.kernel, .seed = plan.options.seed, .engine = plan.engine},
              *machine_),
      observers_(kernel_.trace(), kernel_.nr_cpus()),
      messages_(kernel_.trace(), print_if(plan.options.printk, plan.options),
                print_if(plan.options.dmesg, plan.options)),
      user_half_(kernel_),
      progress_(!plan.options.quiet, plan.duration) {
  machine_->attach(kernel_);
  if (plan.options.check || plan.options.explore_seed != 0) {
    invariants_.emplace(kernel_);
    machine_->set_after_event([this] { invariants_->after_event(); });
  }
  kernel_.trace().kernel_log.subscribe(
      [this](Nanos, CpuId, const sched::Task*, std::string_view line) { kernel_said_ = line; });
  kernel_.trace().scx_exit.subscribe(
      [this](Nanos, s32 kind, s64, std::string_view, std::string_view) { note_exit(kind); });
}

void Session::note_exit(s32 kind) {
  if (kind != kExitErrorStall || stall_) return;
  const Pid pid = kernel_.ext().last_exit().stalled_pid;
  observe::StallReport stall{.pid = pid,
                             .comm = {},
                             .where_queued = "no queue",
                             .last_events = observers_.history.lines(pid)};
  if (const sched::Task* p = kernel_.find_task(pid)) {
    stall.comm = p->comm;
    stall.where_queued = kernel_.ext().where_queued(*p);
  }
  stall_ = std::move(stall);
}

void Session::measure() {
  constexpr Nanos kPoll = Nanos::from_s(1);  // loaders print their statistics every second
  const Nanos end = kernel_.now() + plan_.duration;
  machine_->timer_start(end_, end, kernel_.cpu());
  while (kernel_.now() < end) kernel_.sleep_ns(std::min(end - kernel_.now(), kPoll));
}

void Session::begin_measurement(Nanos now) {
  observers_.metrics.begin(now);
  if (trace_) trace_->mark(now, "measurement begins");
  measuring_ = true;
}

void Session::end_measurement(Nanos now) {
  observers_.metrics.end(now);
  if (trace_) trace_->mark(now, "measurement ends");
  measuring_ = false;
}

u64 Session::callbacks() const {
  return kernel_.ext().nr_callbacks();
}

OrError<void> Session::open_trace() {
  if (plan_.options.trace_path.empty()) return {};
  kernel_.activate();
  auto trace = observe::PerfettoTrace::create(
      kernel_, {.path = plan_.options.trace_path, .callbacks = plan_.options.trace_callbacks});
  if (!trace) return std::unexpected(trace.error());
  trace_ = std::move(*trace);
  return {};
}

OrError<void> Session::close_trace() {
  return trace_ ? trace_->finish() : OrError<void>{};
}

void Session::read_variables() {
  for (const std::string& name : plan_.options.wanted) {
    auto value = loader_.read(name);
    if (!value) {
      load_error_ = LoadError{LoadError::Kind::kInput, value.error().message};
      return;
    }
    variables_.emplace_back(name, std::move(*value));
  }
}

std::expected<void, LoadError> Session::attach_scheduler() {
  kernel_said_.clear();
  auto up = loader_.attach();
  if (!up && !kernel_said_.empty()) {
    up.error().message += fmt::format(" (the kernel's log: {})", kernel_said_);
  }
  return up;
}

void Session::call_programs() {
  for (const std::string& call : plan_.options.calls) {
    const auto value = loader_.call(call, kernel_.current().pid);
    if (!value) {
      load_error_ = LoadError{LoadError::Kind::kInput, value.error().message};
      return;
    }
    variables_.emplace_back(call.substr(0, call.find('=')) + "()",
                            std::to_string(static_cast<s32>(*value)));
  }
}

void Session::loader_main() {
  auto up = loader_.open(plan_.options.scheduler, plan_.settings, plan_.options.wanted,
                         plan_.options.ops);
  if (up) up = loader_.load(plan_.options.filled);
  if (up && !workload_.attaches()) up = attach_scheduler();
  if (!up) {
    load_error_ = up.error();
  } else {
    begin_measurement(kernel_.now());
    call_programs();
    if (!load_error_) measure();
  }
  loader_.detach();
  kernel_.bpf().reap_closed_fds();  // ops.exit() runs in here
  if (!load_error_) read_variables();
  loader_.close();
  kernel_.bpf().reap_closed_fds();
  workload_.stop();
  // A task that is in libbpf returns from there: its stack must not end in the middle of it.
  while (controlling_ != 0) kernel_.sleep_ns(Nanos::from_ms(1));
  done_ = true;
}

OrError<void> Session::control_scheduler(std::string_view action) {
  ++controlling_;
  auto done = control(action);
  --controlling_;
  return done;
}

OrError<void> Session::control(std::string_view action) {
  if (action == "attach") {
    if (const auto up = attach_scheduler(); !up) return error(up.error().message);
    return {};
  }
  if (action == "detach") {
    loader_.detach();
    kernel_.bpf().reap_closed_fds();
    return {};
  }
  const std::string operand(action.substr(action.find(' ') + 1));
  if (action.starts_with("call ")) {
    if (const auto value = loader_.call(operand, kernel_.current().pid); !value) {
      return std::unexpected(value.error());
    }
    return {};
  }
  const auto setting = parse_setting(operand);
  if (!setting) return std::unexpected(setting.error());
  return loader_.write(*setting);
}

std::expected<void, LoadError> Session::start() {
  workload_.set_scheduler_control(
      [this](std::string_view action) { return control_scheduler(action); });
  if (const auto r = workload_.start(kernel_); !r) {
    return std::unexpected(LoadError{LoadError::Kind::kInput, r.error().message});
  }
  sched::TaskSpec loader;
  loader.comm = "uscx";
  loader.behaviour = std::make_unique<LoaderBehaviour>([this] { loader_main(); });
  if (const auto task = kernel_.create_task(std::move(loader)); !task) {
    return std::unexpected(
        LoadError{LoadError::Kind::kInput, "the loader's task cannot be created"});
  }
  constexpr u64 kProgressEvents = 20'000;
  machine_->set_progress(kProgressEvents,
                         [this] { progress_.update(machine_->now(), machine_->events()); });
  return {};
}

std::expected<bool, LoadError> Session::advance(Nanos deadline) {
  const auto started = std::chrono::steady_clock::now();
  user_half_.activate();
  const auto ended = machine_->run_until_done(done_, deadline);
  const auto wall = std::chrono::steady_clock::now() - started;
  wall_ns_ += static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(wall).count());
  if (!ended) return std::unexpected(LoadError{LoadError::Kind::kStuck, ended.error().message});
  return done_;
}

std::expected<observe::RunReport, LoadError> Session::finish() {
  progress_.clear();
  if (invariants_) invariants_->check_all();
  if (load_error_ && load_error_->kind == LoadError::Kind::kInput) {
    return std::unexpected(*load_error_);
  }
  return report();
}

std::expected<observe::RunReport, LoadError> Session::run() {
  if (const auto r = start(); !r) return std::unexpected(r.error());
  // Where the loader does not get to run, its scheduler is ejected for a stall. This is for the
  // case that not even that helps.
  constexpr Nanos kPatience = Nanos::from_s(600);
  const auto over = advance(plan_.duration + kPatience);
  if (!over) return std::unexpected(over.error());
  if (!*over) {
    return std::unexpected(
        LoadError{LoadError::Kind::kStuck, "the loader did not get to its end in time"});
  }
  return finish();
}

void Session::add_exit(observe::RunReport& r) {
  const sched::ext::ExitRecord& exit = kernel_.ext().last_exit();
  if (exit.kind == 0) return;
  r.exit = observe::ExitReport{
      .kind = exit.kind, .code = exit.code, .reason = exit.reason, .msg = exit.msg};
  r.dump = exit.dump;
  r.outcome = outcome_of(exit);
  if (r.outcome == observe::Outcome::kStall) r.stall = stall_;
}

observe::RunReport Session::report() {
  kernel_.activate();
  observe::RunReport r;
  r.file = plan_.options.scheduler;
  r.scheduler = loader_.ops_name().empty() ? r.file : loader_.ops_name();
  r.machine = machine_name_;
  r.workload = plan_.options.workload;
  r.kernel = plan_.kernel.to_string();
  r.seed = plan_.options.seed;
  r.replay = replay_command(plan_.options);
  r.verbose = plan_.options.verbose;
  r.wall_ns = wall_ns_;
  r.events = machine_->events();
  r.unserved = kernel_.bpf().unserved();
  r.faults_to_zero = kernel_.bpf().faults_to_zero();
  r.forks_failed = workload_.troubles().forks_failed;
  r.calls_failed = workload_.troubles().calls_failed;
  if (load_error_) {
    r.outcome = observe::Outcome::kRefused;
    r.message = load_error_->message;
    for (const auto& [name, count] : r.unserved) r.message += "; not served here: " + name;
    return r;
  }
  r.metrics = &observers_.metrics;
  r.virtual_ns = observers_.metrics.duration_ns();
  r.fingerprint = observers_.fingerprint.value();
  r.variables = variables_;
  r.scx_events = kernel_.ext().events();
  add_exit(r);
  return r;
}

}  // namespace uscx::cli
