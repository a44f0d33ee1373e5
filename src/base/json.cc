// SPDX-License-Identifier: GPL-2.0-only
#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace uscx::json {
namespace {

using Kind = Value::Kind;

/// Recursive descent. Every parse function leaves the position after what it read, or sets error_.
class Parser {
 public:
  Parser(const std::string& name, std::string_view text) : name_(name), text_(text) {}

  OrError<Value> document() {
    if (text_.size() > kMaxBytes) {
      return uscx::error(fmt::format("{}: larger than {} MiB", name_, kMaxBytes >> 20));
    }
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
    Value root;
    if (value(root, 0) && space() && pos_ < text_.size()) fail("unexpected text after the end");
    if (error_) return std::unexpected(*error_);
    return root;
  }

 private:
  bool at_end() const { return pos_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[pos_]; }
  Position here() const { return {line_, static_cast<u32>(pos_ - line_start_ + 1)}; }

  bool fail(std::string_view message) { return fail_at(here(), message); }
  bool fail_at(Position at, std::string_view message) {
    if (!error_) error_ = Error{fmt::format("{}:{}:{}: {}", name_, at.line, at.column, message)};
    return false;
  }
  void advance() {
    if (text_[pos_++] == '\n') {
      ++line_;
      line_start_ = pos_;
    }
  }

  /// White space and comments.
  bool space() {
    while (!at_end()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        advance();
      } else if (text_.substr(pos_, 2) == "//") {
        while (!at_end() && peek() != '\n') advance();
      } else if (text_.substr(pos_, 2) == "/*") {
        const Position start = here();
        const std::size_t end = text_.find("*/", pos_ + 2);
        if (end == std::string_view::npos) return fail_at(start, "unterminated comment");
        while (pos_ < end + 2) advance();
      } else {
        break;
      }
    }
    return true;
  }

  std::string found() const {
    if (at_end()) return "the end of the file";
    const auto c = static_cast<unsigned char>(peek());
    return c >= 0x20 && c < 0x7f ? fmt::format("'{}'", peek()) : fmt::format("byte 0x{:02x}", c);
  }

  bool value(Value& out, u32 depth) {
    if (!space()) return false;
    out.at = here();
    if (depth > kMaxDepth) return fail(fmt::format("nested deeper than {}", kMaxDepth));
    switch (peek()) {
      case '{':
        return object(out, depth);
      case '[':
        return array(out, depth);
      case '"':
        out.kind = Kind::kString;
        return string(out.text);
      case 't':
        out.boolean = true;
        [[fallthrough]];
      case 'f':
        out.kind = Kind::kBool;
        return word(out.boolean ? "true" : "false");
      case 'n':
        return word("null");
      default:
        break;
    }
    if (peek() == '-' || (peek() >= '0' && peek() <= '9')) return number(out);
    return fail(fmt::format("expected a value, found {}", found()));
  }

  bool word(std::string_view expected) {
    if (text_.substr(pos_, expected.size()) != expected) {
      return fail(fmt::format("expected a value, found {}", found()));
    }
    pos_ += expected.size();
    return true;
  }

  bool number(Value& out) {
    const std::size_t start = pos_;
    const bool negative = peek() == '-';
    if (negative) ++pos_;
    if (!(peek() >= '0' && peek() <= '9')) return fail("expected a digit");
    if (peek() == '0' && pos_ + 1 < text_.size() && text_[pos_ + 1] >= '0' &&
        text_[pos_ + 1] <= '9') {
      return fail_at(out.at, "a number must not begin with 0");
    }
    u64 magnitude = 0;
    bool overflow = false;
    for (; peek() >= '0' && peek() <= '9'; ++pos_) {
      const u64 digit = static_cast<u64>(peek() - '0');
      overflow = overflow || magnitude > (~0ULL - digit) / 10;
      magnitude = magnitude * 10 + digit;
    }
    out.kind = Kind::kInteger;
    if (peek() == '.' || peek() == 'e' || peek() == 'E') {
      out.kind = Kind::kFraction;
      while (!at_end() && std::string_view("0123456789.eE+-").find(peek()) != std::string::npos) {
        ++pos_;
      }
      out.text = text_.substr(start, pos_ - start);
      return true;
    }
    constexpr u64 kLargest = static_cast<u64>(INT64_MAX);
    if (overflow || magnitude > kLargest) return fail_at(out.at, "the number is too large");
    out.integer = negative ? -static_cast<s64>(magnitude) : static_cast<s64>(magnitude);
    return true;
  }

  bool string(std::string& out) {
    const Position start = here();
    ++pos_;
    while (true) {
      if (at_end() || peek() == '\n') return fail_at(start, "unterminated string");
      const char c = peek();
      if (static_cast<unsigned char>(c) < 0x20) return fail("control character in a string");
      if (c == '"') {
        ++pos_;
        return true;
      }
      if (c != '\\') {
        out += c;
        ++pos_;
      } else if (!escape(out)) {
        return false;
      }
    }
  }

  bool escape(std::string& out) {
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    const char c = pos_ + 1 < text_.size() ? text_[pos_ + 1] : '\0';
    if (const auto i = kFrom.find(c); c != '\0' && i != std::string_view::npos) {
      out += kTo[i];
      pos_ += 2;
      return true;
    }
    if (c != 'u') return fail("unknown escape in a string");
    u32 code = 0;
    if (!hex4(pos_ + 2, code)) return fail("expected four hexadecimal digits after \\u");
    pos_ += 6;
    u32 low = 0;
    if (code >= 0xd800 && code < 0xdc00 && text_.substr(pos_, 2) == "\\u" && hex4(pos_ + 2, low) &&
        low >= 0xdc00 && low < 0xe000) {
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      pos_ += 6;
    } else if (code >= 0xd800 && code < 0xe000) {
      return fail("half a surrogate pair in a string");
    }
    append_utf8(out, code);
    return true;
  }

  bool hex4(std::size_t from, u32& out) const {
    if (from + 4 > text_.size()) return false;
    out = 0;
    for (const char c : text_.substr(from, 4)) {
      const auto digit =
          std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? c + 32 : c);
      if (digit == std::string_view::npos) return false;
      out = out * 16 + static_cast<u32>(digit);
    }
    return true;
  }

  static void append_utf8(std::string& out, u32 code) {
    const auto tail = [&](u32 shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | (code >> 6));
      tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xe0 | (code >> 12));
      tail(6), tail(0);
    } else {
      out += static_cast<char>(0xf0 | (code >> 18));
      tail(12), tail(6), tail(0);
    }
  }

  bool array(Value& out, u32 depth) {
    out.kind = Kind::kArray;
    ++pos_;
    while (true) {
      if (!space()) return false;
      if (peek() == ']') break;
      if (!value(out.items.emplace_back(), depth + 1) || !separator(']')) return false;
    }
    ++pos_;
    return true;
  }

  bool object(Value& out, u32 depth) {
    out.kind = Kind::kObject;
    ++pos_;
    while (true) {
      if (!space()) return false;
      if (peek() == '}') break;
      Member& member = out.members.emplace_back();
      member.at = here();
      if (peek() != '"') return fail(fmt::format("expected a key in quotes, found {}", found()));
      if (!string(member.key) || !space()) return false;
      if (peek() != ':') return fail(fmt::format("expected ':', found {}", found()));
      ++pos_;
      if (!value(member.value, depth + 1) || !separator('}')) return false;
    }
    ++pos_;
    return true;
  }

  /// A comma, or nothing before the closing bracket.
  bool separator(char close) {
    if (!space()) return false;
    if (peek() == ',') {
      ++pos_;
      return true;
    }
    if (peek() == close) return true;
    return fail(fmt::format("expected ',' or '{}', found {}", close, found()));
  }

  const std::string& name_;
  std::string_view text_;
  std::size_t pos_ = 0;
  std::size_t line_start_ = 0;
  u32 line_ = 1;
  std::optional<Error> error_;
};

}  // namespace

const Value* Value::find(std::string_view key) const {
  for (const Member& m : members) {
    if (m.key == key) return &m.value;
  }
  return nullptr;
}

std::string_view describe(Value::Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "true or false";
    case Kind::kInteger:
      return "a whole number";
    case Kind::kFraction:
      return "a number with a fraction";
    case Kind::kString:
      return "a string";
    case Kind::kArray:
      return "an array";
    case Kind::kObject:
      return "an object";
  }
  return "?";
}

Error Document::error_at(Position at, std::string_view message) const {
  Error e{fmt::format("{}:{}:{}: {}", name, at.line, at.column, message)};
  // A message is one line, whatever the keys it quotes contain.
  for (char& c : e.message) c = static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return e;
}

OrError<Document> parse(std::string name, std::string_view text) {
  Document document{.name = std::move(name), .root = {}};
  auto root = Parser(document.name, text).document();
  if (!root) return std::unexpected(root.error());
  document.root = std::move(*root);
  return document;
}

OrError<Document> load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return uscx::error(fmt::format("{}: cannot be opened", path));
  std::string text;
  char block[65536];
  while (file.read(block, sizeof(block)) || file.gcount() > 0) {
    text.append(block, static_cast<std::size_t>(file.gcount()));
    if (text.size() > kMaxBytes) break;
  }
  if (file.bad()) return uscx::error(fmt::format("{}: cannot be read", path));
  return parse(path, text);
}

void Reader::fail(Position at, std::string_view message) {
  if (!error_) error_ = document_.error_at(at, message);
}

bool Reader::expect(const Value& value, Value::Kind kind, std::string_view what) {
  if (failed()) return false;
  if (value.is(kind)) return true;
  fail(value.at, fmt::format("{} must be {}, not {}", what, describe(kind), describe(value.kind)));
  return false;
}

s64 Reader::integer(const Value& value, std::string_view what, s64 min, s64 max) {
  if (!expect(value, Kind::kInteger, what)) return min;
  if (value.integer < min || value.integer > max) {
    fail(value.at, fmt::format("{} must be {} to {}, not {}", what, min, max, value.integer));
    return min;
  }
  return value.integer;
}

bool Reader::boolean(const Value& value, std::string_view what) {
  return expect(value, Kind::kBool, what) && value.boolean;
}

std::string Reader::string(const Value& value, std::string_view what) {
  return expect(value, Kind::kString, what) ? value.text : std::string();
}

void Reader::only(const Value& object, std::string_view what,
                  std::initializer_list<std::string_view> known) {
  for (auto m = object.members.begin(); m != object.members.end() && !failed(); ++m) {
    if (std::find(known.begin(), known.end(), m->key) == known.end()) {
      fail(m->at, fmt::format("unknown key '{}' in {}", m->key, what));
    }
    const auto same = [&](const Member& other) { return other.key == m->key; };
    if (std::find_if(object.members.begin(), m, same) != m) {
      fail(m->at, fmt::format("key '{}' comes twice in {}", m->key, what));
    }
  }
}

}  // namespace uscx::json
