// SPDX-License-Identifier: BSL-1.0
// process — child processes as coroutines see them: their pipes, their end, their signals; and pools of workers (pool.hpp).
// May include: what stands in its row of ARCHITECTURE.md.      Included by: nobody.
// Thread: the loop's, checked by every public call; a pool's calls: any.
// Owns: this end of the pipes. A child is io's, and reaped by it when nobody here is left.
// Its namespace is `processes`, since `process` is the class.
// Laws: a child is started in one step, between two awaits, so that no cancellation comes in between.
#pragma once
#include "io/channel.hpp"
#include "io/child.hpp"
#include "streams/wait_line.hpp"

#include <asyncio/streams.hpp>
#include <asyncio/subprocess.hpp>

#include <array>
#include <optional>

namespace asyncio::processes {

/// What a process and the calls under way on it share; each has a reference.
class process_core final : public io::counted, private io::child_user {
 public:
  static io::ref<process_core> make(io::ref<io::child> child);

  /// This end of a pipe: where bytes are written to it, and where they are read.
  void set_input(io::ref<io::channel> channel, std::size_t limit);
  void set_output(io::ref<io::channel> channel, std::size_t limit);
  void set_errors(io::ref<io::channel> channel, std::size_t limit);
  /// All three, also those whose streams were moved away.
  void close_pipes() noexcept;

  io::child& child() noexcept { return *child_; }
  streams::line_wait wait_for_end() noexcept { return streams::line_wait(end_line_); }
  /// Errors: std::runtime_error in a thread that is not the loop's.
  void check_thread(const char* call) const { child_->box().check_thread(call); }

  std::optional<stream_writer> input;
  std::optional<stream_reader> output;
  std::optional<stream_reader> errors;

 private:
  explicit process_core(io::ref<io::child> child) noexcept;
  ~process_core() override;
  void child_ended() noexcept override;

  io::ref<io::child> child_;
  std::array<io::ref<io::channel>, 3> channels_;
  streams::wait_line end_line_;
};

/// Errors: std::system_error that names the signal and the child.
void send_signal(io::child& child, int number);

using process_ref = io::ref<process_core>;

}  // namespace asyncio::processes
