// SPDX-License-Identifier: BSL-1.0
// io — says what to do to which descriptor: addresses, names, sockets, connections, listeners.
// May include: base, kernel, loop, threads.      Included by: coro, streams, tls, curl, testing.
// Thread: the loop's; the resolver's jobs run in threads of their own.
// Owns: descriptors, the ops in flight on them, and the buffers of those ops. Everything here is counted: an object
//       lives until its owner and its last op have let go of it.
// Laws: no coroutine; nobody is called back from inside a call; after the loop is closed every call is harmless.
#pragma once
#include "loop/loop.hpp"

#include <asyncio/detail/inbox.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace asyncio::io {

/// `error` is an errno. what() is "<text>: <the system's words>".
inline std::system_error os_error(int error, const std::string& text) {
  return std::system_error(error, std::generic_category(), text);
}
/// os_error() as a pointer; std::bad_alloc when there is no memory for it.
std::exception_ptr os_exception(int error, const char* text) noexcept;

/// The base of what lives as long as somebody refers to it: its owner, and each of its ops in flight. The last
/// reference may be dropped in any thread once the loop is closed.
class counted {
 public:
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

 protected:
  counted() = default;
  virtual ~counted() = default;

 private:
  void destroy() noexcept;
  std::atomic<std::uint32_t> references_{1};
};

/// An owner's reference.
template <class T>
class ref {
 public:
  ref() noexcept = default;
  /// Takes over one reference: that of a new object.
  static ref adopt(T* object) noexcept {
    ref r;
    r.object_ = object;
    return r;
  }
  static ref share(T* object) noexcept {
    if (object != nullptr) object->retain();
    return adopt(object);
  }
  ref(const ref& other) noexcept : object_(other.object_) {
    if (object_ != nullptr) object_->retain();
  }
  ref(ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class Derived>
    requires std::is_convertible_v<Derived*, T*>
  ref(ref<Derived> other) noexcept : object_(other.detach()) {}
  ref& operator=(ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~ref() {
    if (object_ != nullptr) object_->release();
  }

  T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  /// Gives the reference away.
  T* detach() noexcept { return std::exchange(object_, nullptr); }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

/// Where an object of this room lives: its loop, for as long as there is one.
class home {
 public:
  explicit home(loop::loop& l) noexcept : box_(&l.box()) { box_->add_user(); }
  ~home() { box_->drop_user(); }
  home(const home&) = delete;
  home& operator=(const home&) = delete;

  bool closed() const noexcept { return box_->closed(); }
  /// The calling thread is the loop's.
  bool owned_here() const noexcept { return box_->owned_here(); }
  /// Not after closed().
  loop::loop& get() const noexcept { return loop::loop::of(*box_->loop()); }
  detail::inbox& box() const noexcept { return *box_; }

 private:
  detail::inbox* box_;
};

}  // namespace asyncio::io
