// SPDX-License-Identifier: GPL-2.0-only
#include "workload/expression.h"

#include <fmt/format.h>

#include <algorithm>

namespace uscx::workload {
namespace {

constexpr s64 kMaxValue = 1'000'000'000;
constexpr u32 kMaxDepth = 32;

class Evaluator {
 public:
  Evaluator(std::string_view text, const sched::Topology& on) : text_(text), on_(on) {}

  std::expected<u64, std::string> run() {
    const s64 value = sum();
    if (error_.empty() && peek() != '\0') refuse(fmt::format("unexpected '{}'", text_[pos_]));
    if (error_.empty() && value < 0) refuse("less than 0");
    if (!error_.empty()) return std::unexpected(fmt::format("'{}': {}", text_, error_));
    return static_cast<u64>(value);
  }

 private:
  char peek() {
    while (pos_ < text_.size() && text_[pos_] == ' ') ++pos_;
    return pos_ < text_.size() ? text_[pos_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++pos_;
    return true;
  }
  s64 refuse(std::string why) {
    if (error_.empty()) error_ = std::move(why);
    return 0;
  }
  /// Both operands are at most kMaxValue, so that no operation overflows before this check.
  s64 limited(s64 value) {
    return value >= -kMaxValue && value <= kMaxValue ? value : refuse("too large");
  }

  s64 sum() {
    s64 value = product();
    while (error_.empty()) {
      if (take('+')) {
        value = limited(value + product());
      } else if (take('-')) {
        value = limited(value - product());
      } else {
        break;
      }
    }
    return value;
  }

  s64 product() {
    s64 value = factor();
    while (error_.empty()) {
      if (take('*')) {
        value = limited(value * factor());
      } else if (take('/')) {
        const s64 by = factor();
        value = by > 0 && value >= 0 ? value / by : refuse("division by 0, or of less than 0");
      } else {
        break;
      }
    }
    return value;
  }

  s64 factor() {
    if (!error_.empty()) return 0;
    if (depth_ >= kMaxDepth) return refuse("nested too deeply");
    ++depth_;
    const s64 value = operand();
    --depth_;
    return value;
  }

  s64 operand() {
    const char c = peek();
    if (c >= '0' && c <= '9') return number();
    if (take('(')) {
      const s64 value = sum();
      return take(')') ? value : refuse("expected ')'");
    }
    const std::size_t start = pos_;
    while (pos_ < text_.size() && text_[pos_] >= 'a' && text_[pos_] <= 'z') ++pos_;
    const std::string_view name = text_.substr(start, pos_ - start);
    if (name == "cpus") return on_.nr_cpus();
    if (name == "cores") return on_.nr_cores;
    if (name == "llcs") return on_.nr_llcs;
    if (name == "nodes") return on_.nr_nodes - on_.absent_nodes.size();
    if (name == "min" || name == "max") return of_two(name == "min");
    return refuse(name.empty() ? "expected a number, cpus, cores, llcs, nodes, min or max"
                               : fmt::format("unknown name '{}'", name));
  }

  s64 number() {
    s64 value = 0;
    for (; pos_ < text_.size() && text_[pos_] >= '0' && text_[pos_] <= '9'; ++pos_) {
      value = limited(value * 10 + (text_[pos_] - '0'));
    }
    return value;
  }

  s64 of_two(bool smaller) {
    if (!take('(')) return refuse("expected '('");
    const s64 a = sum();
    if (!take(',')) return refuse("expected ','");
    const s64 b = sum();
    if (!take(')')) return refuse("expected ')'");
    return smaller ? std::min(a, b) : std::max(a, b);
  }

  std::string_view text_;
  const sched::Topology& on_;
  std::size_t pos_ = 0;
  u32 depth_ = 0;
  std::string error_;
};

}  // namespace

std::expected<u64, std::string> evaluate(std::string_view expression, const sched::Topology& on) {
  return Evaluator(expression, on).run();
}

}  // namespace uscx::workload
