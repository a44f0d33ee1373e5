// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace uscx {

template <class Signature>
class Delegate;

/// What is called some ten times an event: a std::function whose arguments stay in registers (that
/// one passes them by reference) and that moves without a call. Copies share the callable.
template <class R, class... Args>
class Delegate<R(Args...)> {
 public:
  Delegate() = default;
  Delegate(std::nullptr_t) {}
  template <class Fn>
    requires(!std::same_as<std::remove_cvref_t<Fn>, Delegate> &&
             std::is_invocable_r_v<R, std::decay_t<Fn>&, Args...>)
  Delegate(Fn&& fn)
      : callable_(std::make_shared<std::decay_t<Fn>>(std::forward<Fn>(fn))),
        call_([](void* callable, Args... args) -> R {
          return (*static_cast<std::decay_t<Fn>*>(callable))(std::forward<Args>(args)...);
        }) {}

  /// Calls a member of an object, which must outlive the use of the delegate.
  template <auto kMember, class T>
  static Delegate of(T& object) {
    Delegate made;
    made.callable_ = std::shared_ptr<void>(std::shared_ptr<void>(), &object);  // owns nothing
    made.call_ = [](void* callable, Args... args) -> R {
      return (static_cast<T*>(callable)->*kMember)(std::forward<Args>(args)...);
    };
    return made;
  }

  R operator()(Args... args) const { return call_(callable_.get(), std::forward<Args>(args)...); }
  explicit operator bool() const { return callable_ != nullptr; }

 private:
  std::shared_ptr<void> callable_;
  R (*call_)(void* callable, Args... args) = nullptr;
};

}  // namespace uscx
