// SPDX-License-Identifier: GPL-2.0-only
// conformance_verifier [OPTIONS] OBJECT...: the kernel's BPF selftests, program by program, against
// what their annotations expect. One line a program:
//   FILE <tab> PROGRAM <tab> EXPECTED <tab> VERDICT MESSAGES RETVAL STREAMS <tab> NOTE
// EXPECTED is success, failure, or "left-out" with the reason as the note; the four words are
// agrees, differs or - (not asked for). Programs without annotations, schedulers say, are loaded
// one by one, and their note is "load=ERRNO last line of the log".
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include "bpf/exec/exec.h"
#include "bpf/exec/jit.h"
#include "bpf/impl.h"
#include "cli/loader_host.h"
#include "conformance/verifier/conntrack.h"
#include "conformance/verifier/subject.h"
#include "conformance/verifier/testmod.h"
#include "conformance/verifier/workers.h"

namespace uscx::conformance {
namespace {

struct Options {
  std::vector<std::string> objects;
  std::string only;
  std::string vmlinux;
  std::string module;
  std::string kernel = "7.3";
  u32 jobs = 2;
  bool show_log = false;
};

struct Item {
  const ObjectFile* object;
  std::size_t program;
  const Expectations& spec() const { return object->programs()[program]; }
};

std::string_view word(Agreement a) {
  constexpr std::string_view kWords[] = {"-", "agrees", "differs"};
  return kWords[static_cast<u32>(a)];
}

class Checker final : public Worker {
 public:
  Checker(const Options& options, const std::vector<Item>& items,
          std::span<const std::byte> vmlinux, const std::optional<Testmod>& module,
          std::span<const std::byte> conntrack)
      : options_(options),
        items_(items),
        host_(btf::parse_version(options.kernel).value(), vmlinux) {
    if (!vmlinux.empty()) register_kernel_struct_ops(host_.kernel().bpf());
    if (module) register_testmod(host_.kernel().bpf(), *module).value();
    if (!conntrack.empty()) register_conntrack(host_.kernel().bpf(), conntrack).value();
  }

  std::string check(u32 index) override {
    const Item& item = items_[index];
    Outcome o = load(item);
    if (o.retval == Agreement::kAgrees && bpf::jit_available()) {
      // Run by the JIT so far; the interpreter has to agree.
      bpf::Engine& engine = *host_.kernel().bpf().impl().engine;
      engine.use(bpf::EngineKind::kInterpreter);
      const Outcome interpreted = load(item);
      engine.use(bpf::default_engine());
      o.retval = interpreted.retval;
      if (o.streams == Agreement::kAgrees) o.streams = interpreted.streams;
      if (o.note.empty() && !interpreted.note.empty()) o.note = "interpreter: " + interpreted.note;
    }
    if (options_.show_log) {
      fmt::print("=== {} {}\n{}{}", item.object->name(), item.spec().program, o.log,
                 o.loaded ? "" : o.libbpf);
      std::fflush(stdout);
    }
    if (!item.spec().annotated) o.note = fmt::format("load={} {}", o.errnum, o.last_line);
    return fmt::format("{} {} {} {}\t{}", word(o.verdict), word(o.messages), word(o.retval),
                       word(o.streams), o.note);
  }

 private:
  Outcome load(const Item& item) {
    Outcome o;
    host_.run([&] {
      o = item.object->check(item.program,
                             {.take_log = [this] { return host_.take_kernel_log(); },
                              .pass_time = [this] { host_.kernel().sleep_ns(Nanos::from_ms(1)); }});
      host_.kernel().bpf().reap_closed_fds();
    });
    return o;
  }

  const Options& options_;
  const std::vector<Item>& items_;
  cli::LoaderHost host_;
};

void print_line(const Item& item, std::string_view expected, std::string_view rest) {
  fmt::print("{}\t{}\t{}\t{}\n", item.object->name(), item.spec().program, expected, rest);
  std::fflush(stdout);
}

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  std::vector<std::byte> out(bytes.size());
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

int run(const Options& options) {
  std::vector<std::unique_ptr<ObjectFile>> objects;
  std::vector<Item> items;
  for (const std::string& path : options.objects) {
    objects.push_back(std::make_unique<ObjectFile>());
    const std::string problem = objects.back()->open(path);
    if (!problem.empty()) fmt::print(stderr, "{}: {}\n", path, problem);
    for (std::size_t i = 0; i < objects.back()->programs().size(); ++i) {
      const Item item{objects.back().get(), i};
      const std::string name = item.object->name() + "/" + item.spec().program;
      if (name.find(options.only) == name.npos) continue;
      const std::string reason = item.spec().left_out();
      if (reason.empty()) {
        items.push_back(item);
      } else {
        print_line(item, "left-out", fmt::format("- - - -\t{}", reason));
      }
    }
  }
  const auto vmlinux =
      options.vmlinux.empty() ? std::vector<std::byte>() : read_file(options.vmlinux);
  if (!options.vmlinux.empty() && vmlinux.empty()) {
    fmt::print(stderr, "{}: cannot be read\n", options.vmlinux);
    return 2;
  }
  std::optional<Testmod> module;
  std::vector<std::byte> conntrack;
  if (!options.module.empty()) {
    conntrack = read_file(options.module + "/nf_conntrack.btf");
    auto loaded = load_testmod(options.module, vmlinux);
    if (!loaded) {
      fmt::print(stderr, "{}\n", loaded.error().message);
      return 2;
    }
    module = std::move(*loaded);
  }
  WorkerPool pool;
  pool.jobs = options.jobs;
  pool.make_worker = [&] {
    return std::make_unique<Checker>(options, items, vmlinux, module, conntrack);
  };
  pool.done = [&](u32 index, const std::string& answer, bool lost) {
    const Item& item = items[index];
    const std::string rest =
        lost ? fmt::format("differs {} {} -\t{}", item.spec().messages.empty() ? "-" : "differs",
                           item.spec().retval ? "differs" : "-", answer)
             : answer;
    print_line(item, item.spec().fails ? "failure" : "success", rest);
  };
  pool.run(static_cast<u32>(items.size()));
  return 0;
}

}  // namespace
}  // namespace uscx::conformance

int main(int argc, char** argv) {
  uscx::conformance::Options options;
  CLI::App app{"Loads annotated BPF selftests program by program and compares"};
  app.add_option("objects", options.objects, "Compiled selftests (*.bpf.o)")->required();
  app.add_option("--only", options.only, "Programs whose FILE/PROGRAM contains this");
  app.add_option("--vmlinux", options.vmlinux, "Kernel BTF to verify against");
  app.add_option("--module", options.module,
                 "Directory with bpf_testmod.o and .tsv, nf_conntrack.btf: those modules' types");
  app.add_option("--kernel", options.kernel, "Kernel version to be")->capture_default_str();
  app.add_option("-j,--jobs", options.jobs, "Processes")->capture_default_str();
  app.add_flag("--log", options.show_log, "Print each program's verifier log");
  CLI11_PARSE(app, argc, argv);
  return uscx::conformance::run(options);
}
