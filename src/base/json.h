// SPDX-License-Identifier: GPL-2.0-only
// Reads JSON that people write: every value knows its line and column, the order of members and
// members of the same name are kept, comments and a trailing comma are allowed.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::json {

/// Both count from 1; a column is a byte.
struct Position {
  u32 line = 1;
  u32 column = 1;
};

struct Member;

struct Value {
  enum class Kind : u8 { kNull, kBool, kInteger, kFraction, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  Position at;
  bool boolean = false;
  s64 integer = 0;
  std::string text;             // kString: unescaped; kFraction: as written
  std::vector<Value> items;     // kArray
  std::vector<Member> members;  // kObject, as written

  bool is(Kind k) const { return kind == k; }
  /// The first member of that name, or null.
  const Value* find(std::string_view key) const;
};

struct Member {
  std::string key;
  Position at;
  Value value;
};

/// "a number", "an object" and so on.
std::string_view describe(Value::Kind kind);

struct Document {
  std::string name;  // of the file, for messages
  Value root;
  Error error_at(Position at, std::string_view message) const;
};

inline constexpr u32 kMaxDepth = 64;
inline constexpr std::size_t kMaxBytes = 16U << 20;

/// Errors: "name:line:column: what is wrong".
OrError<Document> parse(std::string name, std::string_view text);
/// Reads and parses a file.
OrError<Document> load(const std::string& path);

/// Takes typed values out of a document and keeps the first error; after one, every further call
/// returns a default. The caller checks error() once, at the end.
class Reader {
 public:
  explicit Reader(const Document& document) : document_(document) {}
  bool failed() const { return error_.has_value(); }
  const Error& error() const { return *error_; }
  void fail(Position at, std::string_view message);

  /// False (and an error) where `value` is of another kind. `what` names it: "'duration'".
  bool expect(const Value& value, Value::Kind kind, std::string_view what);
  s64 integer(const Value& value, std::string_view what, s64 min, s64 max);
  bool boolean(const Value& value, std::string_view what);
  std::string string(const Value& value, std::string_view what);
  /// Errors for members that are not in `known`, and for those that come twice.
  void only(const Value& object, std::string_view what,
            std::initializer_list<std::string_view> known);

 private:
  const Document& document_;
  std::optional<Error> error_;
};

}  // namespace uscx::json
