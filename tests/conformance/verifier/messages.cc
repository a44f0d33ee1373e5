// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/messages.h"

#include <fmt/format.h>
#include <regex.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace uscx::conformance {

namespace {

struct Span {
  std::size_t begin = 0, end = 0;
};

/// The pattern as one POSIX extended regular expression: verbatim outside of {{ }}.
std::string to_regex(std::string_view text) {
  static constexpr std::string_view kSpecial = ".[]\\()*+?{}|^$";
  std::string out;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view mark = inside ? "}}" : "{{";
    if (text.substr(i).starts_with(mark)) {
      inside = !inside;
      ++i;
      continue;
    }
    if (!inside && kSpecial.find(text[i]) != kSpecial.npos) out += '\\';
    out += text[i];
  }
  return out;
}

/// Where `pattern` is first matched in `log` from `from` on.
std::optional<Span> find(const std::string& log, std::size_t from, const std::string& pattern) {
  if (pattern.find("{{") == pattern.npos) {
    const auto at = log.find(pattern, from);
    if (at == log.npos) return std::nullopt;
    return Span{at, at + pattern.size()};
  }
  regex_t regex;
  if (regcomp(&regex, to_regex(pattern).c_str(), REG_EXTENDED | REG_NEWLINE)) return std::nullopt;
  regmatch_t match;
  const bool found = regexec(&regex, log.c_str() + from, 1, &match, 0) == 0;
  regfree(&regex);
  if (!found) return std::nullopt;
  return Span{from + static_cast<std::size_t>(match.rm_so),
              from + static_cast<std::size_t>(match.rm_eo)};
}

}  // namespace

std::string first_mismatch(std::string_view text, const std::vector<Pattern>& patterns) {
  const std::string log(text);
  std::vector<std::optional<Span>> found(patterns.size());
  std::vector<std::ptrdiff_t> line(patterns.size());
  std::size_t at = 0, counted_to = 0;
  std::ptrdiff_t lines = 0;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].negative) continue;
    found[i] = find(log, at, patterns[i].text);
    if (!found[i]) continue;
    at = found[i]->end;
    lines += std::count(log.begin() + static_cast<std::ptrdiff_t>(counted_to),
                        log.begin() + static_cast<std::ptrdiff_t>(found[i]->begin), '\n');
    counted_to = found[i]->begin;
    line[i] = lines;
  }

  std::optional<std::size_t> previous;
  std::size_t start = 0;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const Pattern& p = patterns[i];
    if (p.negative) {
      std::size_t end = log.size();
      for (std::size_t j = i + 1; j < patterns.size(); ++j) {
        if (patterns[j].negative) continue;
        end = found[j] ? found[j]->begin : 0;
        break;
      }
      const auto hit = find(log, start, p.text);
      if (hit && hit->end <= end) return fmt::format("unexpected: {}", p.text);
      continue;
    }
    if (!found[i]) return fmt::format("expected: {}", p.text);
    if (p.on_next_line && previous && line[*previous] + 1 != line[i]) {
      return fmt::format("expected on the next line: {}", p.text);
    }
    previous = i;
    start = found[i]->end;
  }
  return {};
}

}  // namespace uscx::conformance
