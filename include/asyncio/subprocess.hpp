// SPDX-License-Identifier: BSL-1.0
#pragma once
#include <asyncio/bytes.hpp>
#include <asyncio/coroutine.hpp>
#include <asyncio/detail/plain_options.hpp>
#include <asyncio/detail/pointers.hpp>
#include <asyncio/streams.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

namespace processes {
class process_core;
}

/// Where a child's standard input, output or errors come from or go to: one of the four below, or a descriptor of this
/// process, which stays the caller's.
class stdio {
 public:
  constexpr stdio() noexcept = default;
  constexpr stdio(int fd) noexcept : value_(fd) {}
  constexpr int value() const noexcept { return value_; }
  friend constexpr bool operator==(stdio a, stdio b) noexcept = default;

 private:
  int value_ = -1;
};

namespace subprocess {
inline constexpr stdio inherit{-1};    ///< this process's own: the default. Python: None
inline constexpr stdio pipe{-2};       ///< a pipe, see process::stdin_pipe() …
inline constexpr stdio to_stdout{-3};  ///< `.err` only: where the output goes. Python: STDOUT
inline constexpr stdio devnull{-4};    ///< nothing comes, and what is written is dropped
}  // namespace subprocess

/// An environment, seen in any range of pairs of strings: a std::map, a vector of pairs. Borrows it: calls that take one
/// copy it before they return.
class env_view {
 public:
  template <class R>
    requires(!std::same_as<R, env_view>) && requires(const R& range) {
      std::string_view((*std::begin(range)).first);
      std::string_view((*std::begin(range)).second);
      std::end(range);
    }
  constexpr env_view(const R& range) noexcept : range_(&range), each_(&for_each_of<R>) {}

  /// The library's own: takes each pair.
  using taker = void (*)(void* context, std::string_view name, std::string_view value);
  void for_each(taker take, void* context) const { each_(range_, take, context); }

 private:
  template <class R>
  static void for_each_of(const void* range, taker take, void* context) {
    for (const auto& pair : *static_cast<const R*>(range))
      take(context, std::string_view(pair.first), std::string_view(pair.second));
  }
  const void* range_;
  void (*each_)(const void* range, taker take, void* context);
};

/// A program and its arguments, which it gets as they are: no shell reads them. A program without a '/' is looked for along
/// PATH (that of `.env`, when there is one).
class command {
 public:
  template <class... A>
    requires(std::convertible_to<A, std::string_view> && ...)
  explicit command(std::string_view program, A&&... args) {
    add(program);
    (add(std::forward<A>(args)), ...);
  }
  /// The first one is the program.
  explicit command(std::vector<std::string> argv) noexcept : argv_(std::move(argv)) {}

  const std::vector<std::string>& argv() const& noexcept { return argv_; }
  std::vector<std::string>&& argv() && noexcept { return std::move(argv_); }

 private:
  void add(std::string_view word);
  std::vector<std::string> argv_;
};

/// A look at descriptors that stand side by side: a vector, an array, a std::span.
class descriptor_view {
 public:
  constexpr descriptor_view() noexcept = default;
  constexpr descriptor_view(const int* first, std::size_t count) noexcept : first_(first), count_(count) {}
  template <class R>
    requires requires(const R& r) {
      { std::data(r) } -> std::convertible_to<const int*>;
      { std::size(r) } -> std::convertible_to<std::size_t>;
    }
  constexpr descriptor_view(const R& descriptors) noexcept
      : descriptor_view(std::data(descriptors), std::size(descriptors)) {}
  constexpr const int* begin() const noexcept { return first_; }
  constexpr const int* end() const noexcept { return first_ + count_; }
  constexpr std::size_t size() const noexcept { return count_; }

 private:
  const int* first_ = nullptr;
  std::size_t count_ = 0;
};

/// How create_subprocess_exec() and create_subprocess_shell() start a child.
struct subprocess_options {
  stdio in = {};
  stdio out = {};
  stdio err = {};
  std::string_view cwd = {};              ///< its directory; "": this process's
  std::optional<env_view> env = {};       ///< its whole environment; nullopt: this process's
  std::size_t limit = 64 * 1024;          ///< of the readers' buffers: how long a line may be
  bool start_new_session = false;         ///< setsid(): out of reach of the terminal, and a group of its own
  std::optional<int> process_group = {};  ///< setpgid(): 0 makes a group of its own, a number joins one
  descriptor_view pass_fds = {};          ///< descriptors that it has too, under the same numbers; it has no others
};
static_assert(detail::plain_options<subprocess_options>);

/// A child process. Move-only. Its end is seen and it is reaped by the loop, whether somebody waits or not; destroyed while
/// it runs, it closes its pipes and runs on: kill() it, or hand it to async_with, when it should not.
/// A loop that is closed leaves its children running.
/// Thread: the loop's, checked.   Python: asyncio.subprocess.Process.
class process {
 public:
  process(process&& other) noexcept : core_(detail::taken(other.core_)) {}
  process& operator=(process&& other) noexcept;
  ~process();

  int pid() const;
  /// Nothing while it runs; its exit status, or -N when signal N has ended it. 255 when somebody else has reaped it.
  /// Changes between turns of the loop.
  std::optional<int> returncode() const;

  /// The pipes, where `.in`, `.out` and `.err` asked for them. They may be moved away; they are closed when they are
  /// destroyed, or the process is. Errors: std::runtime_error where nobody asked.
  stream_writer& stdin_pipe() const;
  stream_reader& stdout_pipe() const;
  stream_reader& stderr_pipe() const;

  /// Waits until it has ended, and gives its returncode(). Also while a pipe is open, which a child of the child may hold;
  /// but a child that fills a pipe that nobody reads never ends: see communicate().
  /// Cancel: safe, it runs on.   Overlap: any number of tasks.
  coroutine<int> wait();
  /// Writes `input` to its standard input and closes that; reads output and errors to their ends, all at once; waits for
  /// its end. What was not asked for as a pipe comes back empty. A child that does not read its input is no error.
  /// Cancel: safe, it runs on; what was read and not returned stays in the readers.   Errors: std::system_error of a read.
  coroutine<std::pair<std::string, std::string>> communicate(bytes_view input = {});
  /// The same, given away: large strings are not copied.
  template <std::same_as<std::string> S>
  coroutine<std::pair<std::string, std::string>> communicate(S&& input) {
    return communicate_string(std::forward<S>(input));
  }

  /// SIGTERM, SIGKILL, or any other. To one that has ended: nothing. Errors: std::system_error (EINVAL, EPERM).
  void terminate();
  void kill();
  void send_signal(int number);

  /// async_with(std::move(p), body): at its end the pipes are closed and the child is waited for. It is killed when the
  /// body throws, or the wait is cancelled.   Python: with subprocess.Popen(…).
  coroutine<> aenter();
  coroutine<> aexit(std::exception_ptr error);

  /// The library's own: takes over a reference.
  static process from_core(processes::process_core* core) noexcept { return process(owned{core}); }

 private:
  struct owned {
    processes::process_core* core;
  };
  explicit process(owned o) noexcept : core_(o.core) {}
  processes::process_core& core(const char* call) const;
  coroutine<std::pair<std::string, std::string>> communicate_string(std::string&& input);
  processes::process_core* core_;
};

/// Starts a program. Everything is copied by the call: it may be made a task. The child has the descriptors that `options`
/// name and no other, and every signal as a new program has it.
/// Cancel: safe, either nothing was started or the process is here.
/// Errors: std::system_error with the program's name (ENOENT, EACCES, EAGAIN …) or the directory's;
/// std::invalid_argument for options that do not fit, and for a NUL in a string.
/// Python: asyncio.create_subprocess_exec().
coroutine<process> create_subprocess_exec(command program, subprocess_options options = {});
template <class... A>
  requires(sizeof...(A) > 0) && (std::convertible_to<A, std::string_view> && ...)
coroutine<process> create_subprocess_exec(A&&... words) {
  static_assert(sizeof...(A) == 0,
                "create_subprocess_exec takes a command: create_subprocess_exec(command(\"ls\", \"-l\"), options)");
  return create_subprocess_exec(command(words...));
}

/// The same with `/bin/sh -c text`. Never put into it what others have written: the shell does what it says.
/// Python: asyncio.create_subprocess_shell().
coroutine<process> create_subprocess_shell(std::string_view text, subprocess_options options = {});

}  // namespace asyncio
