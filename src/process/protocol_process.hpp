// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/child.hpp"
#include "io/protocol_transport.hpp"
#include "process/spawn_plan.hpp"

#include <asyncio/subprocess_protocols.hpp>

#include <array>
#include <memory>
#include <optional>

namespace asyncio::processes {

/// A child with a protocol. Its pipes are transports of their own, whose protocols pass on what they hear.
///
/// Its life: made, start(): the child runs, connection_made() is called, the pipes begin in the loop's next turn; then
/// what they and the child tell, each from the loop; when the child has ended and no pipe is left, connection_lost(). It
/// shares itself from start() to there, or to the end of the loop, after which nobody is called any more.
class protocol_process final : public subprocess_transport,
                               private io::child_user,
                               public std::enable_shared_from_this<protocol_process> {
 public:
  /// Errors: std::invalid_argument for a protocol of another kind; std::bad_alloc.
  protocol_process(loop::loop& l, std::shared_ptr<base_protocol> p, io::host_ptr host);
  ~protocol_process() override;

  /// Our end of a pipe; before start(). Errors: std::bad_alloc.
  void add_pipe(int number, io::unique_fd fd, io::host_ptr host);
  /// Errors: std::system_error, std::bad_alloc; then there is no child, or it is killed.
  void start(const kernel::spawn_request& request);
  /// Instead of a life: closes the pipes.
  void give_up() noexcept;

  int get_pid() const override;
  std::optional<int> get_returncode() const override;
  std::shared_ptr<transport> get_pipe_transport(int fd) const override;
  void send_signal(int number) override;
  void close() override;
  bool is_closing() const override;
  void set_protocol(std::shared_ptr<base_protocol> p) override;
  std::shared_ptr<base_protocol> get_protocol() const override { return protocol_; }

 private:
  class pipe_end;
  struct owned_hook : detail::close_hook {
    protocol_process* owner = nullptr;
  };
  static void loop_closes(detail::close_hook* self) noexcept;
  void child_ended() noexcept override;
  void pipe_lost(int number, const std::exception_ptr& error) noexcept;
  void finish_if_over() noexcept;
  template <class F>
  void tell(const char* what, F f) noexcept;
  void check_thread(const char* call) const { child_->box().check_thread(call); }

  io::home home_;
  io::ref<io::child> child_;
  io::host_ptr host_;
  std::shared_ptr<base_protocol> protocol_;
  subprocess_protocol* told_ = nullptr;  // the same; null after the end
  std::array<std::shared_ptr<io::protocol_transport>, 3> pipes_;
  std::size_t open_pipes_ = 0;
  bool ended_ = false;
  bool closing_ = false;
  bool over_ = false;  // connection_lost() was called, or nobody will be
  owned_hook hook_;
  std::shared_ptr<protocol_process> self_;
};

}  // namespace asyncio::processes
