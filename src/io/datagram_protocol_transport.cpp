// SPDX-License-Identifier: BSL-1.0
#include "io/datagram_protocol_transport.hpp"

#include "io/address.hpp"

#include <new>
#include <stdexcept>

namespace asyncio::io {

namespace {

constexpr int most_a_turn = 64;

std::error_code code_of(int error) noexcept { return {error, std::generic_category()}; }

}  // namespace

// A protocol may be exchanged, or let the last one go who shares it, in one of its own functions.
template <class F>
void datagram_protocol_transport::call_reporting(F f, const char* message) noexcept {
  const std::shared_ptr<base_protocol> alive = protocol_;
  if (std::exception_ptr error = host_->call(std::move(f)); error != nullptr) host_->report(message, std::move(error));
}

datagram_protocol_transport::datagram_protocol_transport(loop::loop& l, ref<io::datagram_transport> socket,
                                                         host_ptr host) noexcept
    : home_(l),
      socket_(std::move(socket)),
      host_(std::move(host)),
      high_(water_marks::default_high),
      low_(water_marks::default_high / 4) {
  begin_.owner = pump_.owner = hook_.owner = this;
  begin_.done = &datagram_protocol_transport::begin;
  pump_.done = &datagram_protocol_transport::pump_turn;
  hook_.on_close = &datagram_protocol_transport::loop_closes;
}

datagram_protocol_transport::~datagram_protocol_transport() { socket_->set_user(nullptr); }

std::shared_ptr<datagram_protocol_transport> datagram_protocol_transport::make(loop::loop& l,
                                                                               ref<io::datagram_transport> socket,
                                                                               std::shared_ptr<base_protocol> p,
                                                                               host_ptr host) {
  auto made = std::make_shared<datagram_protocol_transport>(l, std::move(socket), std::move(host));
  made->set_protocol(std::move(p));
  return made;
}

void datagram_protocol_transport::set_protocol(std::shared_ptr<base_protocol> p) {
  auto* face = dynamic_cast<datagram_protocol*>(p.get());
  if (face == nullptr) throw std::invalid_argument("a datagram transport needs a datagram_protocol");
  check_thread("datagram_transport.set_protocol()");
  if (lost_) return;
  std::swap(protocol_, p);
  face_ = face;
}

void datagram_protocol_transport::start() {
  self_ = begin_self_ = weak_from_this().lock();
  socket_->set_user(this);
  home_.get().add_close_hook(hook_);
  home_.get().post(&begin_);
}

void datagram_protocol_transport::begin(detail::op* self) noexcept {
  datagram_protocol_transport* me = static_cast<owned<detail::op>*>(self)->owner;
  const auto alive = std::move(me->begin_self_);
  if (me->lost_) return;
  me->begun_ = true;
  me->call_reporting([me] { me->face_->connection_made(*me); }, "datagram_protocol.connection_made() failed");
  me->pump();
}

// The loop is being closed: nobody is called any more.
void datagram_protocol_transport::loop_closes(detail::close_hook* self) noexcept {
  datagram_protocol_transport* me = static_cast<owned<detail::close_hook>*>(self)->owner;
  const auto alive = me->weak_from_this().lock();
  me->lost_ = true;
  me->socket_->set_user(nullptr);
  me->socket_->abort();
  const std::shared_ptr<base_protocol> last = std::move(me->protocol_);
  me->self_.reset();
}

// ---- receiving

void datagram_protocol_transport::schedule_pump() noexcept {
  if (pump_self_ != nullptr || lost_ || home_.closed()) return;
  pump_self_ = weak_from_this().lock();
  home_.get().post(&pump_);
}

void datagram_protocol_transport::pump_turn(detail::op* self) noexcept {
  datagram_protocol_transport* me = static_cast<owned<detail::op>*>(self)->owner;
  const auto alive = std::move(me->pump_self_);
  const std::vector<int> errors = std::exchange(me->errors_, {});
  for (const int error : errors) me->tell_error(error);
  me->pump();
}

void datagram_protocol_transport::pump() noexcept {
  const auto alive = weak_from_this().lock();
  if (!begun_) return;
  for (int left = most_a_turn; !lost_ && !socket_->closing(); --left) {
    if (left == 0) return schedule_pump();
    std::string_view bytes;
    socket_address from;
    const int result = socket_->receive(bytes, from);
    if (result == -EAGAIN) return;
    if (result < 0) {
      tell_error(-result);
      return schedule_pump();
    }
    deliver(bytes, from);
  }
}

void datagram_protocol_transport::received(std::string_view bytes, const socket_address& from) noexcept {
  const auto alive = weak_from_this().lock();
  deliver(bytes, from);
  pump();
}

void datagram_protocol_transport::deliver(std::string_view bytes, const socket_address& from) noexcept {
  const std::span<const std::byte> data(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size());
  const socket_address sender = from;
  call_reporting([&] { face_->datagram_received(data, sender); }, "datagram_protocol.datagram_received() failed");
}

void datagram_protocol_transport::receive_failed(int error) noexcept {
  const auto alive = weak_from_this().lock();
  tell_error(error);
  schedule_pump();
}

void datagram_protocol_transport::send_failed(int error) noexcept { tell_error(error); }

void datagram_protocol_transport::tell_error(int error) noexcept {
  if (lost_) return;
  call_reporting([&] { face_->error_received(code_of(error)); }, "datagram_protocol.error_received() failed");
}

// ---- sending

void datagram_protocol_transport::sendto(bytes_view data, const socket_address& to) {
  check_thread("datagram_transport.sendto()");
  socket_->check_target(to);
  if (lost_ || socket_->closing()) return;
  const int error = -socket_->try_send(std::string_view(data), to);
  if (error == 0) return;
  if (error != EAGAIN) {
    errors_.push_back(error);
    return schedule_pump();
  }
  socket_->queue(std::string(data), to, nullptr);
  note_output();
}

void datagram_protocol_transport::note_output() noexcept {
  if (writing_paused_ || lost_ || !socket_->congested()) return;
  writing_paused_ = true;
  call_reporting([this] { protocol_->pause_writing(); }, "datagram_protocol.pause_writing() failed");
}

void datagram_protocol_transport::output_drained() noexcept {
  const auto alive = weak_from_this().lock();
  if (!std::exchange(writing_paused_, false)) return;
  call_reporting([this] { protocol_->resume_writing(); }, "datagram_protocol.resume_writing() failed");
}

void datagram_protocol_transport::set_write_buffer_limits(std::size_t high, std::size_t low) {
  check_thread("datagram_transport.set_write_buffer_limits()");
  socket_->set_limits(high, low);
  high_ = high;
  low_ = low;
  note_output();
}

std::size_t datagram_protocol_transport::get_write_buffer_size() const {
  check_thread("datagram_transport.get_write_buffer_size()");
  return socket_->buffered();
}

// ---- the end

void datagram_protocol_transport::close() {
  check_thread("datagram_transport.close()");
  socket_->close();
}

void datagram_protocol_transport::abort() {
  check_thread("datagram_transport.abort()");
  socket_->abort();
}

bool datagram_protocol_transport::is_closing() const {
  check_thread("datagram_transport.is_closing()");
  return lost_ || socket_->closing();
}

void datagram_protocol_transport::lost(std::exception_ptr error) noexcept {
  const auto alive = weak_from_this().lock();
  lost_ = true;
  if (!home_.closed()) home_.get().remove_close_hook(hook_);
  call_reporting([this, error] { protocol_->connection_lost(error); }, "datagram_protocol.connection_lost() failed");
  const std::shared_ptr<base_protocol> last = std::move(protocol_);  // one that shares its transport
  self_.reset();
}

socket_address datagram_protocol_transport::peername() const {
  check_thread("datagram_transport.peername()");
  return socket_->remote();
}

socket_address datagram_protocol_transport::sockname() const {
  const int fd = fileno();
  return fd < 0 ? socket_address() : local_address(fd);
}

int datagram_protocol_transport::fileno() const {
  check_thread("datagram_transport.fileno()");
  return socket_->fd();
}

}  // namespace asyncio::io
