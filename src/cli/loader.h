// SPDX-License-Identifier: GPL-2.0-only
// What the user half of a scheduler does around libbpf: the generic loader of `uscx run`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "cli/variables.h"

struct bpf_link;
struct bpf_map;
struct bpf_object;
struct btf;

namespace uscx::cli {

/// What can be said about an object file before libbpf sees it; empty where nothing is wrong.
std::string object_file_problem(const std::string& path);
/// Puts the kernel's enumerators into the object's __SCX_* variables, as SCX_OPS_OPEN() does; those
/// that the kernel does not have read as 0.
OrError<void> set_scx_enumerators(bpf_object* object, const ::btf* kernel);

/// Why a scheduler did not come up, and whose fault it is.
struct LoadError {
  enum class Kind : unsigned char {
    kInput,    // the command line or the file: exit status 1
    kRefused,  // the kernel (or libbpf, for want of something in the kernel) said no: status 2
    kStuck,    // the simulation cannot go on, nor be taken down: status 1
  };
  Kind kind;
  std::string message;
};

/// One scheduler's object file, through libbpf. Functions that reach the kernel run on a fiber.
class Loader {
 public:
  Loader();
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Opens the object and does what SCX_OPS_OPEN() and the loaders' main() do: enum values of the
  /// kernel into the __SCX_* variables, the hotplug sequence, `--set`. `wanted` are variables that
  /// will be read: refused here where there is no such one.
  std::expected<void, LoadError> open(const std::string& path,
                                      const std::vector<VariableSetting>& settings,
                                      const std::vector<std::string>& wanted,
                                      const std::string& ops_struct = {});
  /// Loads it; on a refusal the message is libbpf's or the verifier's last line. Then makes a map
  /// of the declared kind for each element of the arrays of maps `to_fill`.
  std::expected<void, LoadError> load(const std::vector<std::string>& to_fill = {});
  /// Attaches other programs, then the scheduler. Success as in Linux even where enabling failed:
  /// the kernel's exit record tells.
  std::expected<void, LoadError> attach();
  /// Destroys the links; the maps live on. The kernel notices when it reaps closed descriptors.
  void detach();
  /// A variable of the loaded object, as JSON.
  OrError<std::string> read(const std::string& path) const;
  /// BPF_PROG_TEST_RUN of a SYSCALL program, `call` being its name, name=NUMBER or name=self: what
  /// its user half would give it as context, 8 bytes. Returns what the program returned.
  OrError<u32> call(const std::string& call, Pid self);
  /// Changes a variable of the loaded object.
  OrError<void> write(const VariableSetting& setting) { return write_variable(object_, setting); }
  /// Detaches, and closes everything else.
  void close();

  /// The ops' name member; empty before open().
  const std::string& ops_name() const { return ops_name_; }
  /// All that libbpf and the verifier said, for -v.
  const std::string& log() const;

 private:
  std::expected<void, LoadError> find_struct_ops(const std::string& path,
                                                 const std::string& ops_struct);
  void read_ops_name();
  std::expected<void, LoadError> prepare_variables(const ::btf* kernel);
  std::string refusal(const char* what, int err) const;

  bpf_object* object_ = nullptr;
  bpf_map* ops_map_ = nullptr;
  std::vector<bpf_link*> links_;
  std::string ops_name_;
  bool ops_has_link_ = true;
};

}  // namespace uscx::cli
