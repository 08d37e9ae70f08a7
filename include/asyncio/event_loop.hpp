// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/awaitable.hpp>
#include <asyncio/bytes.hpp>
#include <asyncio/detail/callback_node.hpp>
#include <asyncio/detail/offload.hpp>
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/detail/shared_pointers.hpp>
#include <asyncio/detail/smart_pointers.hpp>
#include <asyncio/future.hpp>
#include <asyncio/net.hpp>
#include <asyncio/task.hpp>
#include <asyncio/time.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

class thread_pool_executor;
class process_pool_executor;
class command;
struct subprocess_options;

/// How a loop reaches the kernel; what a program sees is the same. `io_uring` falls back to epoll, without a word, where the
/// kernel has none or forbids it, as in many containers; event_loop::backend() tells what a loop got. `automatic` is
/// epoll: docs/loop.md says why. The environment variable ASYNCIO_BACKEND goes before what a program says, with the same
/// three words.
enum class backend_kind { automatic, io_uring, epoll };

/// How a loop is made and run. `debug`: default from ASYNCIO_DEBUG. `clock`: a clock of one's own, for tests. `spin`:
/// for how many microseconds the loop goes on looking for I/O and for what other threads post before it sleeps: they are
/// answered sooner, and a processor is busy meanwhile. `watchdog` and `trace` are names that this version does nothing
/// with. `budget`: how many awaits in a row a task may make that need not wait (a full queue, a free lock, a future that
/// is done, a coroutine that never suspends) before everybody else has a turn; 0: as many as it likes, as in Python.
/// `sigterm`: run() and runner treat SIGTERM as they treat Ctrl-C; the keyboard_interrupt says which it was.
struct run_options {
  std::optional<bool> debug = {};
  backend_kind backend = backend_kind::automatic;
  asyncio::clock_source* clock = nullptr;
  unsigned spin = 0;
  timedelta watchdog = {};
  std::string_view trace = {};
  unsigned budget = 128;
  bool sigterm = false;
};
using loop_options = run_options;
static_assert(detail::plain_options<run_options>);

/// What the loop's exception handler is told.  Python: the context dict.
struct exception_context {
  std::string message = {};
  std::exception_ptr exception = {};
  any_task task = {};
  std::source_location where = {};
};

/// A function that a loop calls, shared by whoever holds it. Empty: none is set.
template <class... A>
class loop_hook {
 public:
  loop_hook() noexcept = default;
  template <class F>
    requires std::invocable<F&, A...> && (!std::same_as<F, loop_hook>)
  explicit loop_hook(F f) : shared_(new holder<F>(std::move(f))) {}

  explicit operator bool() const noexcept { return static_cast<bool>(shared_); }
  /// Calls it; it must not be empty.
  void operator()(A... args) const { shared_->call(shared_.get(), static_cast<A>(args)...); }

 private:
  struct node : detail::counted {
    using detail::counted::counted;
    void (*call)(node*, A...) = nullptr;
  };
  template <class F>
  struct holder final : node {
    explicit holder(F f)
        : node([](detail::counted* self) noexcept { delete static_cast<holder*>(self); }), function(std::move(f)) {
      this->call = [](node* self, A... args) {
        static_cast<void>(static_cast<holder*>(self)->function(static_cast<A>(args)...));
      };
    }
    F function;
  };
  detail::counted_ptr<node> shared_;
};
/// Who is told of exceptions that nobody catches: f(loop, context).
using exception_handler = loop_hook<event_loop&, const exception_context&>;
/// Who is asked about every new task of a loop, before its first step: f(loop, task, options). It has its name and
/// context; `options` says how it was asked for, and `options.eager_start` may be changed. An exception of f comes out of
/// create_task(), and the task never runs.
using task_factory = loop_hook<event_loop&, const any_task&, task_options&>;

/// Starts every task at once, up to its first suspension, unless it was asked for with `.eager_start = false`:
/// loop.set_task_factory(eager_task_factory).   Python: asyncio.eager_task_factory.
struct eager_task_factory_t {
  explicit eager_task_factory_t() = default;
  void operator()(event_loop&, const any_task&, task_options& options) const noexcept {
    if (!options.eager_start) options.eager_start = true;
  }
};
inline constexpr eager_task_factory_t eager_task_factory{};

/// Counts of a loop at this moment.
struct loop_metrics {
  std::size_t tasks = 0;     ///< not done
  std::size_t ready = 0;     ///< waiting for their turn
  std::size_t timers = 0;    ///< armed
  std::size_t inflight = 0;  ///< requests given to the kernel and not finished
};

/// A scheduled call: cancel() before its turn and it is not made. Dropping the handle changes nothing.
/// Thread: the loop's, checked but for copies and destruction; of call_soon_threadsafe: any, cancel() then waits while
/// the call is being made.
/// Python: asyncio.Handle.
class callback_handle {
 public:
  explicit callback_handle(detail::callback_node* node) noexcept : node_(node) {}
  callback_handle(const callback_handle& other) noexcept : node_(other.node_) { node_->retain(); }
  callback_handle& operator=(const callback_handle& other) noexcept {
    callback_handle copy(other);
    detail::swap_pointers(node_, copy.node_);
    return *this;
  }
  ~callback_handle() { node_->release(); }

  /// The call will not be made; its function and arguments are destroyed at once. Idempotent.
  void cancel() const {
    node_->check_thread("callback_handle.cancel()");
    node_->cancel();
  }
  bool cancelled() const {
    node_->check_thread("callback_handle.cancelled()");
    return node_->is_cancelled();
  }

 protected:
  detail::callback_node* node_;
};
using handle = callback_handle;

/// A call at a time.  Python: asyncio.TimerHandle.
class timer_handle : public callback_handle {
 public:
  using callback_handle::callback_handle;
  /// Its deadline; stays readable after it fired or was cancelled.
  time_point when() const {
    node_->check_thread("timer_handle.when()");
    return node_->deadline;
  }
};

namespace detail {

#define ASYNCIO_CALLBACK_SENTENCE \
  "a coroutine function given as a callback would never run: write create_task(f, args...) instead"

template <class F, class... A>
concept callback_for = plain_callable<std::decay_t<F>, std::decay_t<A>...>;
template <class... X>
inline constexpr bool callback_any = false;
template <class F, class... A>
inline constexpr bool callback_any<F, A...> = callback_for<F, A...>;

/// A watched descriptor or signal: a closure that is called again and again.
struct repeated_call {
  void (*call)(repeated_call*) = nullptr;
  void (*destroy)(repeated_call*) noexcept = nullptr;
  counted_thing variables = values_for_later();  ///< of the context that it was registered in
};
template <class F>
repeated_call* make_repeated_call(F f) {
  struct node : repeated_call {
    explicit node(F g) : f(std::move(g)) {}
    F f;
  };
  auto* n = new node(std::move(f));
  n->call = [](repeated_call* self) { (void)static_cast<node*>(self)->f(); };
  n->destroy = [](repeated_call* self) noexcept { delete static_cast<node*>(self); };
  return n;
}

/// Waits until a descriptor is ready; see event_loop::readable().
struct ready_wait_state;
class [[nodiscard("it must be awaited")]] ready_operation {
 public:
  using native = void;
  ready_operation(loop_core& loop, int fd, bool for_write) noexcept : loop_(&loop), fd_(fd), for_write_(for_write) {}
  ready_operation(ready_operation&& other) noexcept
      : loop_(other.loop_), fd_(other.fd_), for_write_(other.for_write_) {}
  ready_operation& operator=(const ready_operation&) = delete;
  ~ready_operation();
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> frame);
  void await_resume();

 private:
  loop_core* loop_;
  ready_wait_state* state_ = nullptr;
  int fd_;
  bool for_write_;
};

void run_until_done(event_loop& loop, future_core* core);

}  // namespace detail

/// The loop: runs callbacks and tasks, waits for timers, descriptors, signals and other threads. One thread at a time.
/// Thread: its own; every call but call_soon_threadsafe() is checked and throws std::runtime_error elsewhere.
/// Python: asyncio.AbstractEventLoop.
class event_loop : public detail::spawner<event_loop> {
 public:
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;
  /// As close().
  ~event_loop();

  /// Runs until the awaitable is done; its value, or what it threw. A coroutine becomes a task.
  /// Errors: std::runtime_error when stopped before it was done, when a loop runs in this thread already, when closed.
  template <awaitable A>
  detail::value_t<A> run_until_complete(A&& awaited) {
    using value = detail::value_t<A>;
    if constexpr (detail::is_handle<std::remove_cvref_t<A>> && !std::is_same_v<std::remove_cvref_t<A>, any_task>) {
      const std::remove_cvref_t<A> kept = awaited;  // callbacks may do with the caller's handle what they like
      return finish<value, false>(kept);
    } else {
      check_may_run();
      task<value> t = this->create_task(std::forward<A>(awaited));
      return finish<value, true>(t);
    }
  }
  template <class F>
    requires detail::spawnable_call<F>
  detail::async_result_t<std::decay_t<F>> run_until_complete(F&& async_main) {
    check_may_run();
    task<detail::async_result_t<std::decay_t<F>>> t = this->create_task(std::forward<F>(async_main));
    return finish<detail::async_result_t<std::decay_t<F>>, true>(t);
  }
  /// Runs until stop().
  void run_forever();
  /// Lets the present batch of callbacks finish, then leaves run_forever(). Before run_forever(): one iteration.
  void stop();
  /// Thread: any, and of is_closed().
  bool is_running() const noexcept;
  bool is_closed() const noexcept;
  /// Cancels what is left of tasks and lets them finish, drops pending callbacks, frees all. Idempotent.
  /// Errors: std::runtime_error when running.
  void close();
  /// Closes the asynchronous generators that have begun and not ended; what they throw goes to the exception
  /// handler. run() does it at its end.   Python: loop.shutdown_asyncgens().
  coroutine<> shutdown_asyncgens();
  /// One iteration, waiting at most `timeout` for something to do (nullopt: until there is something).
  /// Returns whether something is left to do at once. For guests of another main loop.
  bool run_once(std::optional<timedelta> timeout = {});
  /// Readable when run_once(0s) would find input, a signal, or what other threads have posted; for another main loop to
  /// watch. Not what its own thread does to the loop between two turns: see next_deadline().
  int poll_fd() const;
  /// The earliest timer's deadline; now, when something is ready; nothing when there is neither.
  std::optional<time_point> next_deadline() const;

  /// Calls f(args...) in the next turn, in order of these calls. Arguments are copied, and passed as rvalues.
  template <class F, class... A>
    requires detail::callback_for<F, A...>
  callback_handle call_soon(F&& f, A&&... args) {
    check_thread("loop.call_soon()");
    return schedule(bind(std::forward<F>(f), std::forward<A>(args)...));
  }
  /// The same from any thread; wakes the loop.  Thread: any.
  template <class F, class... A>
    requires detail::callback_for<F, A...>
  callback_handle call_soon_threadsafe(F&& f, A&&... args) {
    return schedule_threadsafe(bind(std::forward<F>(f), std::forward<A>(args)...));
  }
  /// Calls f(args...) after `delay`, never within this call. Equal deadlines: in order of these calls.
  template <class F, class... A>
    requires detail::callback_for<F, A...>
  timer_handle call_later(timedelta delay, F&& f, A&&... args) {
    check_thread("loop.call_later()");
    return schedule_at(deadline_in(delay), bind(std::forward<F>(f), std::forward<A>(args)...));
  }
  template <class F, class... A>
    requires detail::callback_for<F, A...>
  timer_handle call_at(time_point when, F&& f, A&&... args) {
    check_thread("loop.call_at()");
    return schedule_at(when, bind(std::forward<F>(f), std::forward<A>(args)...));
  }
  /// The present moment on the loop's clock.   Thread: any.
  time_point time() const;

  template <class... X>
    requires(!detail::callback_any<X...>)
  void call_soon(X&&...) {
    static_assert(detail::callback_any<X...>, ASYNCIO_CALLBACK_SENTENCE);
  }
  template <class... X>
    requires(!detail::callback_any<X...>)
  void call_soon_threadsafe(X&&...) {
    static_assert(detail::callback_any<X...>, ASYNCIO_CALLBACK_SENTENCE);
  }
  template <class... X>
    requires(!detail::callback_any<X...>)
  void call_later(timedelta, X&&...) {
    static_assert(detail::callback_any<X...>, ASYNCIO_CALLBACK_SENTENCE);
  }
  template <class... X>
    requires(!detail::callback_any<X...>)
  void call_at(time_point, X&&...) {
    static_assert(detail::callback_any<X...>, ASYNCIO_CALLBACK_SENTENCE);
  }

  template <class T = void>
  future<T> create_future() {
    return future<T>(*this);
  }

  /// Calls f(args...) in a worker process of `pool`; for a function of this program, or a lambda without captures. A future
  /// of this loop with the outcome: see process_pool_executor::submit().
  /// Cancel, of the future: it is cancelled at once; a call that has not begun is never made, one that runs goes on unheard.
  /// Python: loop.run_in_executor().
  template <class R, class... P, class... A>
    requires std::invocable<R (*)(P...), A...>
  future<std::remove_cvref_t<R>> run_in_executor(process_pool_executor& pool, R (*f)(P...), A&&... args);
  template <class F, class... A>
    requires std::is_class_v<F>
  auto run_in_executor(process_pool_executor& pool, F f, A&&... args);

  /// Asks `f` about every task that is made from now on (see asyncio::task_factory); nullptr: nobody is asked.
  /// Python: loop.set_task_factory(), as a hook: the task is made by the library.
  template <std::invocable<event_loop&, const any_task&, task_options&> F>
  void set_task_factory(F f) {
    replace_task_factory(asyncio::task_factory(std::move(f)));
  }
  void set_task_factory(asyncio::task_factory factory) { replace_task_factory(std::move(factory)); }
  void set_task_factory(std::nullptr_t) { replace_task_factory({}); }
  /// The factory that was set; empty when there is none.
  asyncio::task_factory get_task_factory() const;

  /// Calls f(args...) in a thread of `pool`; nullptr: of the loop's default executor, a pool that is made at the first use.
  /// A future of this loop with the outcome. Function and arguments are copied (or moved in) by the call, and die in the
  /// loop's thread, as the result does; what f takes by value dies where it ran. An f that cannot be called without gets a
  /// std::stop_token in front of the arguments.
  /// Cancel, of the future: it is cancelled at once; a call that waits for a thread is never made; one that runs goes on,
  /// asked to stop by its token. So is a call of the default executor that run() waits for at its end.
  /// Errors: std::runtime_error after shutdown; what the executor throws.   Python: loop.run_in_executor().
  template <class F, class... A>
    requires detail::offloadable<F, A...>
  future<detail::offload_result_t<F, A...>> run_in_executor(executor& pool, F&& f, A&&... args) {
    static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
    return offload<detail::offload_result_t<F, A...>>(&pool, std::forward<F>(f), std::forward<A>(args)...);
  }
  template <class F, class... A>
    requires detail::offloadable<F, A...>
  future<detail::offload_result_t<F, A...>> run_in_executor(std::nullptr_t, F&& f, A&&... args) {
    static_assert(closure_has_a_name<F>, ASYNCIO_CLOSURE_SENTENCE);
    return offload<detail::offload_result_t<F, A...>>(nullptr, std::forward<F>(f), std::forward<A>(args)...);
  }
  template <class Pool, class... X>
    requires(std::convertible_to<Pool, executor&> || std::same_as<std::remove_cvref_t<Pool>, std::nullptr_t>) &&
            (!detail::offload_any<X...>)
  detail::refused run_in_executor(Pool&&, X&&...) {
    static_assert(detail::offload_any<X...>, ASYNCIO_OFFLOAD_SENTENCE);
    return {};
  }
  /// What nullptr names from now on, and to_thread() uses. The one before takes nothing more, ends what it has, and is not
  /// waited for. Errors: std::invalid_argument for null.   Python: loop.set_default_executor().
  void set_default_executor(std::unique_ptr<thread_pool_executor> pool);
  /// Waits until the default executor has ended what it has; it is refused from now on. After `timeout` what still runs is
  /// named in a warning, and left alone. Cancel: ends the wait. run() does it at its end, for 300 s at most, and asks calls
  /// that take a std::stop_token to stop.   Python: loop.shutdown_default_executor().
  coroutine<> shutdown_default_executor(std::optional<timedelta> timeout = {});

  /// Calls f() whenever `fd` can be read (end of file and errors count) until remove_reader(fd). One reader a
  /// descriptor: a second call replaces the first. Errors: std::system_error (EPERM for a regular file).
  template <detail::plain_callable F>
  void add_reader(int fd, F f) {
    watch(fd, false, detail::make_repeated_call(std::move(f)));
  }
  bool remove_reader(int fd) { return unwatch(fd, false); }
  template <detail::plain_callable F>
  void add_writer(int fd, F f) {
    watch(fd, true, detail::make_repeated_call(std::move(f)));
  }
  bool remove_writer(int fd) { return unwatch(fd, true); }
  /// Waits until `fd` can be read (or written) without blocking.  Cancel: safe.   Errors: std::system_error; EBADF when it
  /// was closed meanwhile and its number is somebody else's.
  detail::ready_operation readable(int fd);
  detail::ready_operation writable(int fd);

  /// The addresses of a host, each once, in the resolver's order. A name is looked up in a thread of the resolver's own
  /// (getaddrinfo(3)); an address in numbers needs none. An empty host: this machine, or with AI_PASSIVE all its
  /// interfaces. Cancel: safe, the lookup ends unheard. Errors: gai_error; std::invalid_argument for a port out of range,
  /// or what cannot be a host name; std::system_error.   Python: loop.getaddrinfo().
  coroutine<std::vector<socket_address>> getaddrinfo(std::string_view host, int port, getaddrinfo_options options = {});
  /// The names of an IP address and of its port; NI_NUMERICHOST | NI_NUMERICSERV for the numbers. Threads, Cancel and
  /// Errors as getaddrinfo(); std::invalid_argument for other families.   Python: loop.getnameinfo().
  coroutine<std::pair<std::string, std::string>> getnameinfo(const socket_address& address, int flags = 0);

  // Calls on sockets of one's own, non-blocking ones: each tries the system call, and waits only where that would block.
  // The descriptor stays its owner's, to close it when no task waits for it. The kernel never keeps a pointer into a
  // buffer, and what it gave is delivered: a cancelled call has not happened, and one that has happened returns; the
  // cancellation then comes at the next suspension. Several tasks may wait for one descriptor.
  // Errors, of all: std::system_error (EBUSY: a stream of this loop has the descriptor); std::invalid_argument for a
  // blocking socket: sock_connect and sock_accept, which would block, always; the others in debug mode.
  // Python: loop.sock_recv() and the others, which take socket objects.

  /// At most `n` bytes of what is there, once there is something; empty at the end of the stream.
  /// Cancel: safe, no byte is lost.
  coroutine<std::string> sock_recv(int fd, std::size_t n);
  /// The same into memory of the caller's, which must outlive the await; how many bytes. Cancel: safe; the memory is not
  /// touched afterwards.
  coroutine<std::size_t> sock_recv_into(int fd, buffer_view buffer);
  /// One datagram, or its first `n` bytes, and who sent it. Cancel: safe, none is lost.
  coroutine<datagram> sock_recvfrom(int fd, std::size_t n);
  /// The same into memory of the caller's; how many bytes, and who sent them.
  coroutine<std::pair<std::size_t, socket_address>> sock_recvfrom_into(int fd, buffer_view buffer);
  /// Sends all of it; the bytes are copied by the call, or moved from a std::string&&. One sender at a time: several
  /// would mix their bytes. Cancel: ends it in between; what was sent is sent, and nobody knows how much that was. The
  /// same after an error.
  coroutine<> sock_sendall(int fd, bytes_view bytes);
  template <std::same_as<std::string> S>
  coroutine<> sock_sendall(int fd, S&& bytes) {
    return sock_send_owned(fd, static_cast<std::string&&>(bytes));
  }
  /// Sends one datagram, which is copied by the call; how many bytes were taken. Cancel: safe, it was not sent.
  coroutine<std::size_t> sock_sendto(int fd, bytes_view bytes, const socket_address& address);
  /// Connects; waits for room at a Unix server whose backlog is full. Cancel: ends the wait; the kernel goes on
  /// connecting until the socket is closed, and calling this again waits on. Errors: std::system_error with the address
  /// in its text.
  coroutine<> sock_connect(int fd, const socket_address& address);
  /// The next connection of a listening socket: a new descriptor, non-blocking and close-on-exec, which is the caller's to
  /// close, and its peer's address. Cancel: safe, no connection is lost.
  coroutine<std::pair<int, socket_address>> sock_accept(int fd);

  /// Sends a part of a file to a stream socket of one's own, without a copy where the kernel can; how many bytes. The file's
  /// position is behind them afterwards, also after an error. Cancel: ends it in between, as sock_sendall().
  /// Errors, beside those of all: std::invalid_argument for a count of 0, and for what is no stream socket.
  coroutine<std::uint64_t> sock_sendfile(int fd, int file, sendfile_options options = {});
  /// The same on a transport of create_connection() or a server, after what was written before; nobody may write meanwhile.
  /// Over TLS it is always a copy. A transport that is closed meanwhile is closed at its end.
  /// Errors: std::runtime_error when it is closing, or sends a file already; std::system_error when the peer goes.
  coroutine<std::uint64_t> sendfile(transport& t, int file, sendfile_options options = {});

  /// TLS from here on, on a transport in the clear, in place: the transport that is returned is `t`, and `p` the protocol
  /// that it has, whose connection_made() is not called again. What was written before goes out before; what is written
  /// meanwhile waits. Bytes that a client has been sent in the clear and not yet been given are refused, a server takes them
  /// for the peer's beginning. Needs asyncio::tls.
  /// Cancel: the connection is aborted. Errors: std::invalid_argument for another protocol; std::runtime_error when closing;
  /// ssl_error and the others of a handshake, which end the connection too.
  coroutine<std::shared_ptr<transport>> start_tls(transport& t, base_protocol& p, const ssl_context& context,
                                                  start_tls_options options = {});

  // Connections by callbacks; protocols.hpp says how they are called, and defines them. Python: the same names.

  /// As open_connection(): (std::shared_ptr<transport>, std::shared_ptr<P>) for a factory of std::shared_ptr<P>.
  template <class F>
  auto create_connection(F&& factory, std::string_view host, int port, connection_options options = {});
  template <class F>
  auto create_unix_connection(F&& factory, std::string_view path, connection_options options = {});
  /// As start_server(): a server, whose every client has a protocol of its own.
  template <class F>
  auto create_server(F&& factory, std::string_view host, int port, server_options options = {});
  template <class F>
  auto create_unix_server(F&& factory, std::string_view path, server_options options = {});
  /// A protocol for a connection that was accepted elsewhere; the descriptor is taken over.
  template <class F>
  auto connect_accepted_socket(F&& factory, int sock);
  /// As open_datagram_endpoint(): (std::shared_ptr<datagram_transport>, std::shared_ptr<P>).
  template <class F>
  auto create_datagram_endpoint(F&& factory, datagram_options options = {});
  /// A protocol for the reading or the writing end of a pipe, a FIFO, a socket or a character device, which is taken over,
  /// and made non-blocking. Errors: std::invalid_argument for another file.
  template <class F>
  auto connect_read_pipe(F&& factory, int fd);
  template <class F>
  auto connect_write_pipe(F&& factory, int fd);
  /// As create_subprocess_exec() and create_subprocess_shell(): (std::shared_ptr<subprocess_transport>,
  /// std::shared_ptr<P>); subprocess_protocols.hpp. Unlike Python's, no pipe that `.in`, `.out` and `.err` do not ask for.
  template <class F, class O = subprocess_options>
  auto subprocess_exec(F&& factory, command program, O options = {});
  template <class F, class O = subprocess_options>
  auto subprocess_shell(F&& factory, std::string_view text, O options = {});

  /// Calls f() in the loop when the process gets signal `number`; replaces an earlier handler.
  /// Errors: std::invalid_argument for what is not a signal or cannot be caught; std::runtime_error outside the main
  /// thread, or when another loop or a signal_receiver has it.   Python: loop.add_signal_handler().
  template <detail::plain_callable F>
  void add_signal_handler(int number, F f) {
    watch_signal(number, detail::make_repeated_call(std::move(f)));
  }
  /// Back to the action of before. Returns whether there was a handler.
  bool remove_signal_handler(int number);

  /// Who is told of exceptions that nobody catches; nullptr: the default handler, which logs.
  template <std::invocable<event_loop&, const exception_context&> F>
  void set_exception_handler(F f) {
    replace_exception_handler(asyncio::exception_handler(std::move(f)));
  }
  void set_exception_handler(asyncio::exception_handler handler) { replace_exception_handler(std::move(handler)); }
  void set_exception_handler(std::nullptr_t) { replace_exception_handler({}); }
  /// The handler that was set; empty for the default one.
  asyncio::exception_handler get_exception_handler() const;
  void call_exception_handler(const exception_context& context);
  /// Thread: any.
  void default_exception_handler(const exception_context& context) noexcept;

  void set_debug(bool on);
  bool get_debug() const;
  /// In debug mode, what takes longer than this is logged; 100 ms by default.
  std::chrono::nanoseconds slow_callback_duration() const;
  void set_slow_callback_duration(timedelta limit);
  backend_kind backend() const noexcept;
  loop_metrics metrics() const;

  /// The library's own.
  struct impl;
  explicit event_loop(impl* state) noexcept : impl_(state) {}
  impl& state() noexcept { return *impl_; }
  detail::loop_core& core() const noexcept;
  template <class T>
  task<T> adopt_child(coroutine<T> c, task_options options) {
    return detail::start(&core(), std::move(c), options);
  }

 private:
  template <class F, class... A>
  static detail::callback_node* bind(F&& f, A&&... args) {
    return detail::bound_call<std::decay_t<F>, std::decay_t<A>...>::make(std::forward<F>(f), std::forward<A>(args)...);
  }
  template <class R, class F, class... A>
  future<R> offload(executor* pool, F&& f, A&&... args) {
    check_thread("loop.run_in_executor()");
    future<R> outcome(*this);
    detail::send_offload(*this, pool, detail::make_offload<R>(std::forward<F>(f), std::forward<A>(args)...),
                         outcome.raw_core().get());
    return outcome;
  }
  template <class T, bool Owned, class Handle>
  T finish(const Handle& awaited) {
    detail::run_until_done(*this, awaited.raw_core().get());
    awaited.result();
    if constexpr (!std::is_void_v<T>) {
      T& value = *detail::value_of<T>(awaited.raw_core().get());
      if constexpr (Owned || !detail::can_copy<T>)
        return std::move(value);
      else
        return static_cast<const T&>(value);
    }
  }

  void check_thread(const char* call) const;
  void check_owner(const char* call) const;
  void check_may_run() const;
  callback_handle schedule(detail::callback_node* node);
  callback_handle schedule_threadsafe(detail::callback_node* node);
  timer_handle schedule_at(time_point when, detail::callback_node* node);
  time_point deadline_in(timedelta delay);
  void watch(int fd, bool for_write, detail::repeated_call* call);
  bool unwatch(int fd, bool for_write);
  coroutine<> sock_send_owned(int fd, std::string bytes);
  void watch_signal(int number, detail::repeated_call* call);
  void replace_exception_handler(asyncio::exception_handler handler);
  void replace_task_factory(asyncio::task_factory factory);

  impl* impl_;
};

/// The loop that runs in this thread, else the one given to set_event_loop() here; null when there is neither.
event_loop* get_event_loop() noexcept;
/// Names the loop that get_event_loop() gives in this thread while none runs; null: none.
void set_event_loop(event_loop* loop) noexcept;
/// A new loop. Errors: std::system_error.
std::unique_ptr<event_loop> new_event_loop(loop_options options = {});

}  // namespace asyncio
