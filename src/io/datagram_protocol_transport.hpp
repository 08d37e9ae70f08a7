// SPDX-License-Identifier: BSL-1.0
#pragma once
#include "io/datagram_transport.hpp"
#include "io/protocol_host.hpp"

#include <asyncio/transports.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace asyncio::io {

/// A datagram_protocol on a datagram socket: as protocol_transport is on a channel. Datagrams are handed on as they come,
/// so many a turn; errors of sendto() are told in the next turn.
class datagram_protocol_transport final : public asyncio::datagram_transport,
                                          private datagram_user,
                                          public std::enable_shared_from_this<datagram_protocol_transport> {
 public:
  /// Errors: std::invalid_argument for a protocol of another kind.
  static std::shared_ptr<datagram_protocol_transport> make(loop::loop& l, ref<io::datagram_transport> socket,
                                                           std::shared_ptr<base_protocol> p, host_ptr host);
  /// Calls connection_made() in the loop's next turn, then receives.
  void start();

  void sendto(bytes_view data, const socket_address& to) override;
  void close() override;
  void abort() override;
  bool is_closing() const override;
  void set_write_buffer_limits(std::size_t high, std::size_t low) override;
  std::pair<std::size_t, std::size_t> get_write_buffer_limits() const override { return {low_, high_}; }
  std::size_t get_write_buffer_size() const override;
  socket_address peername() const override;
  socket_address sockname() const override;
  int fileno() const override;
  void set_protocol(std::shared_ptr<base_protocol> p) override;
  /// Null after the end.
  std::shared_ptr<base_protocol> get_protocol() const override { return protocol_; }

  /// The library's own: see make().
  datagram_protocol_transport(loop::loop& l, ref<io::datagram_transport> socket, host_ptr host) noexcept;
  ~datagram_protocol_transport() override;

 private:
  template <class Base>
  struct owned : Base {
    datagram_protocol_transport* owner = nullptr;
  };
  static void begin(detail::op* self) noexcept;
  static void pump_turn(detail::op* self) noexcept;
  static void loop_closes(detail::close_hook* self) noexcept;

  void received(std::string_view bytes, const socket_address& from) noexcept override;
  void receive_failed(int error) noexcept override;
  void send_failed(int error) noexcept override;
  void output_drained() noexcept override;
  void lost(std::exception_ptr error) noexcept override;

  void pump() noexcept;
  void deliver(std::string_view bytes, const socket_address& from) noexcept;
  void schedule_pump() noexcept;
  void tell_error(int error) noexcept;
  void note_output() noexcept;
  template <class F>
  void call_reporting(F f, const char* message) noexcept;
  void check_thread(const char* call) const { socket_->box().check_thread(call); }

  home home_;
  ref<io::datagram_transport> socket_;
  host_ptr host_;
  std::shared_ptr<base_protocol> protocol_;
  datagram_protocol* face_ = nullptr;                        // of protocol_
  std::shared_ptr<datagram_protocol_transport> self_;        // from start() to the end
  std::shared_ptr<datagram_protocol_transport> begin_self_;  // while the op stands in the loop's queue
  std::shared_ptr<datagram_protocol_transport> pump_self_;
  owned<detail::op> begin_;
  owned<detail::op> pump_;
  owned<detail::close_hook> hook_;
  std::vector<int> errors_;  // of sendto(), still to be told
  std::size_t high_;
  std::size_t low_;
  bool writing_paused_ = false;
  bool begun_ = false;
  bool lost_ = false;
};

}  // namespace asyncio::io
