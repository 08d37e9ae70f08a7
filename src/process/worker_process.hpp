// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "process/pool_wire.hpp"

#include <asyncio/detail/process_call.hpp>

#include <string>

#include <sys/types.h>

namespace asyncio::processes {

/// One worker process, seen from the pool.
///
///     none ──start()──▶ spawned ──hello──▶ known ──ready──▶ ready ⇄ call()
///       ▲                  │                 │               │
///       └──────────────────┴───── end() ─────┴───────────────┘
///
/// The child is this program again, from /proc/self/exe: the very file that runs here, even when another one has taken its
/// name. Its standard input is empty, its output and errors are this process's, and the one thing more that it gets is its
/// end of a pair of sockets, as descriptor 3. It dies with the thread that has started it, and so with this process.
///
/// Of a worker that is gone, its stream tells whether it had taken the call. A closed socket with unread bytes in it says
/// so to its peer: talk::lost, the call was not read to its end and nothing of it has been done. The plain end of the
/// stream comes when all had been read: then nobody knows how much of the task was done.
///
/// Thread: the one that has called start(); it outlives the child.
class worker_process {
 public:
  enum class beginning {
    ready,
    refused,     ///< its initialiser has thrown
    went_past,   ///< it ended by itself, or did something else: main() does not call process_worker()
    died,        ///< a signal has ended it
    impossible,  ///< the system has no process for us
  };

  worker_process() = default;
  ~worker_process() { end(); }
  worker_process(const worker_process&) = delete;
  worker_process& operator=(const worker_process&) = delete;

  /// Starts one, and waits until it is ready for calls. Not ready: why() says more.
  /// `initializer`: null, or what it calls first.
  beginning start(const detail::process_call* initializer);
  const std::string& why() const noexcept { return why_; }

  bool running() const noexcept { return socket_ >= 0; }
  /// Readable when it has come to its end, while it has nothing to do.
  int socket() const noexcept { return socket_; }
  std::size_t calls() const noexcept { return calls_; }

  /// Has it call, and waits for the answer. Errors: std::bad_alloc; std::runtime_error for a function that cannot travel,
  /// and nothing was sent.
  talk call(const detail::process_call& call, message& answer);

  /// end() of one that has nothing to do: a warning when it does not end as main() should.
  void see_off() noexcept;
  /// Asks it to end, waits, and reaps it: kills it when it does not. Says how it ended: "exit status 3".
  std::string end() noexcept;

 private:
  beginning spawn();
  beginning greet(const detail::process_call* initializer);
  beginning explain(const char* instead_of);

  pid_t pid_ = -1;
  int pidfd_ = -1;
  int socket_ = -1;
  std::size_t calls_ = 0;
  function_sender functions_;
  std::string why_;
};

/// The first message of a worker says that it is one, and of which build of the library.
std::string hello_text();

}  // namespace asyncio::processes
