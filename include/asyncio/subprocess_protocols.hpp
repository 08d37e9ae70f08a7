// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/detail/shared_pointers.hpp>
#include <asyncio/protocols.hpp>
#include <asyncio/subprocess.hpp>
#include <asyncio/transports.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

// Child processes by callbacks: loop.subprocess_exec(factory, command, options) and loop.subprocess_shell(factory, text,
// options). protocols.hpp says what a factory is and how callbacks are called.

namespace asyncio {

class subprocess_transport;

/// What a child process tells: connection_made() first, connection_lost(nullptr) last, when the child has ended and its
/// pipes are closed; between them in no fixed order. pause_writing() and resume_writing() are about its input. What a
/// callback throws ends nothing.   Python: asyncio.SubprocessProtocol.
class subprocess_protocol : public base_protocol {
 public:
  /// `t` lives until connection_lost() has returned, and longer while somebody shares it.
  virtual void connection_made(subprocess_transport& t) { static_cast<void>(t); }
  /// Some bytes of its output (`fd` is 1) or its errors (2); they are valid during the call.
  virtual void pipe_data_received(int fd, std::span<const std::byte> data) {
    static_cast<void>(fd);
    static_cast<void>(data);
  }
  /// A pipe is closed, its input (0) too. `error`: what broke it; null when it has come to its end, or that was our wish.
  virtual void pipe_connection_lost(int fd, std::exception_ptr error) {
    static_cast<void>(fd);
    static_cast<void>(error);
  }
  /// It has ended, and get_returncode() says how. There may be more in its pipes.
  virtual void process_exited() {}
};

/// A child process as its protocol has it. It keeps itself alive until connection_lost().
/// Thread: the loop's, checked.   Python: asyncio.SubprocessTransport.
class subprocess_transport {
 public:
  subprocess_transport() = default;
  subprocess_transport(const subprocess_transport&) = delete;
  subprocess_transport& operator=(const subprocess_transport&) = delete;
  virtual ~subprocess_transport();

  virtual int get_pid() const = 0;
  /// Nothing while it runs; its exit status, or -N when signal N has ended it. 255 when somebody else has reaped it.
  virtual std::optional<int> get_returncode() const = 0;
  /// The pipe to its input (0), or from its output (1) or errors (2); null where nobody asked for one. They keep the
  /// protocols that they have: with another one, connection_lost() of the child would never come.
  virtual std::shared_ptr<transport> get_pipe_transport(int fd) const = 0;

  /// To one that has ended: nothing. Errors: std::system_error (EINVAL, EPERM).
  virtual void send_signal(int number) = 0;
  void terminate();
  void kill();
  /// Closes the pipes, and kills a child that runs. The protocol hears of all that as of any other end. Idempotent.
  virtual void close() = 0;
  virtual bool is_closing() const = 0;

  /// Who is told from now on, until connection_lost(); its connection_made() is not called.
  /// Errors: std::invalid_argument for null and for other kinds.
  virtual void set_protocol(std::shared_ptr<base_protocol> p) = 0;
  /// Null once connection_lost() was called.
  virtual std::shared_ptr<base_protocol> get_protocol() const = 0;
};

namespace detail {

template <class F>
concept subprocess_factory =
    makes_shared<F> && std::derived_from<typename made_by<F>::element_type, subprocess_protocol>;

#define ASYNCIO_SUBPROCESS_PROTOCOL_SENTENCE \
  "a factory takes nothing and returns std::shared_ptr<P>, P being derived from asyncio::subprocess_protocol"

coroutine<std::shared_ptr<subprocess_transport>> spawn_protocol(event_loop& loop, protocol_factory_ptr factory,
                                                                command program, const subprocess_options& options);
command shell(std::string_view text);

}  // namespace detail

template <class F, class O>
auto event_loop::subprocess_exec(F&& factory, command program, O options) {
  static_assert(detail::subprocess_factory<F>, ASYNCIO_SUBPROCESS_PROTOCOL_SENTENCE);
  static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
  auto typed = detail::make_protocol_factory(std::forward<F>(factory));
  return detail::with_protocol<subprocess_transport, F>(
      detail::spawn_protocol(*this, detail::forget_type<F>(typed), std::move(program), options), typed);
}

template <class F, class O>
auto event_loop::subprocess_shell(F&& factory, std::string_view text, O options) {
  return subprocess_exec(std::forward<F>(factory), detail::shell(text), std::move(options));
}

}  // namespace asyncio
