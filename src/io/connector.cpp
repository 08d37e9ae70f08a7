// SPDX-License-Identifier: BSL-1.0
#include "io/connector.hpp"

#include "io/address.hpp"

#include <algorithm>
#include <array>

namespace asyncio::io {

namespace sys = kernel::sys;

namespace {}  // namespace

std::vector<socket_address> interleave(std::vector<socket_address> addresses, std::size_t first_count) {
  if (first_count == 0 || addresses.empty()) return addresses;
  std::vector<socket_address> first, others, ordered;
  for (const socket_address& a : addresses) (a.family() == addresses.front().family() ? first : others).push_back(a);
  ordered.reserve(addresses.size());
  auto own = first.begin();
  auto other = others.begin();
  for (std::size_t n = 1; n < first_count && own != first.end(); ++n) ordered.push_back(*own++);
  while (own != first.end() || other != others.end()) {
    if (own != first.end()) ordered.push_back(*own++);
    if (other != others.end()) ordered.push_back(*other++);
  }
  return ordered;
}

ref<connector> connector::start(loop::loop& l, connect_query query, callback then, void* context) {
  auto c = ref<connector>::adopt(new connector(l, std::move(query), then, context));
  c->begin();
  return c;
}

void connector::begin() {
  begin_.owner = delay_.owner = this;
  begin_.done = &connector::begin_now;
  delay_.done = &connector::delay_over;
  loop::loop& l = home_.get();
  if (query_.local) {
    if (auto known = resolve_numeric(*query_.local)) {
      local_addresses_ = std::move(*known);
    } else {
      local_lookup_ = name_lookup::start(l, *query_.local, &connector::local_found, this, this);
    }
  }
  if (!query_.address)
    if (const auto known = resolve_numeric(query_.remote)) query_.address = known->front();
  if (query_.address) {
    attempts_ = std::make_unique<attempt[]>(1);
    attempts_[attempt_count_++].target = *query_.address;
  } else {
    try {
      remote_lookup_ = name_lookup::start(l, query_.remote, &connector::remote_found, this, this);
    } catch (...) {
      stop_everything();
      throw;
    }
  }
  if (local_lookup_ == nullptr && remote_lookup_ == nullptr) {
    retain();
    l.post(&begin_);
  }
}

void connector::begin_now(detail::op* self) noexcept {
  connector* me = static_cast<owned<detail::op>*>(self)->owner;
  me->names_known();
  me->release();
}

void connector::remote_found(void* self, std::vector<socket_address> addresses, std::exception_ptr error) noexcept {
  auto* me = static_cast<connector*>(self);
  me->remote_lookup_ = nullptr;
  try {
    if (error != nullptr) std::rethrow_exception(error);
    addresses = interleave(std::move(addresses), me->query_.first_family_count);
    me->attempts_ = std::make_unique<attempt[]>(addresses.size());
    for (const socket_address& a : addresses) me->attempts_[me->attempt_count_++].target = a;
    me->names_known();
  } catch (...) {
    me->finish({}, {}, std::current_exception());
  }
}

void connector::local_found(void* self, std::vector<socket_address> addresses, std::exception_ptr error) noexcept {
  auto* me = static_cast<connector*>(self);
  me->local_lookup_ = nullptr;
  me->local_addresses_ = std::move(addresses);
  if (error != nullptr)
    me->finish({}, {}, std::move(error));
  else
    me->names_known();
}

void connector::names_known() noexcept {
  if (then_ == nullptr || remote_lookup_ != nullptr || local_lookup_ != nullptr) return;
  for (std::size_t i = 0; i < attempt_count_; ++i) {
    attempt& a = attempts_[i];
    a.owner = this;
    a.kind = kernel::io_kind::connect;
    a.done = &connector::attempt_done;
    a.address = reinterpret_cast<sockaddr_storage*>(address_access::data(a.target));
    a.address_size = address_access::size(a.target);
  }
  start_next();
}

// Starts attempts until one is on its way, alone or beside earlier ones.
void connector::start_next() noexcept {
  disarm_delay();
  try {
    while (then_ != nullptr && next_attempt_ < attempt_count_) {
      if (!start_attempt(attempts_[next_attempt_++])) continue;
      const bool more = then_ != nullptr && next_attempt_ < attempt_count_;
      if (more && query_.delay && !delay_.armed()) arm_delay(*query_.delay);
      return;
    }
    if (then_ != nullptr && in_flight_ == 0) finish({}, {}, combined_error());
  } catch (...) {
    finish({}, {}, std::current_exception());
  }
}

// False: it has failed already. A timer that is armed afterwards waits for room at a Unix server.
bool connector::start_attempt(attempt& a) {
  try {
    a.socket = open_stream_socket(a.target.family());
    bind_local(a);
  } catch (const std::system_error& e) {
    failures_.push_back({e.code().value(), e.what()});
    a.socket = {};
    return false;
  }
  a.fd = a.socket.get();
  if (!home_.get().start(a)) {
    retain();
    ++in_flight_;
    return true;
  }
  settle(a, a.result);
  return then_ == nullptr || delay_.armed();
}

void connector::bind_local(attempt& a) const {
  if (!query_.local) return;
  std::optional<std::system_error> last;
  for (const socket_address& local : local_addresses_) {
    if (local.family() != a.target.family()) continue;
    const int error = sys::bind(a.socket.get(), address_access::data(local), address_access::size(local));
    if (error == 0) return;
    last = os_error(-error, "cannot bind to " + local.to_string());
  }
  if (last) throw *last;
  throw os_error(EADDRNOTAVAIL, "no local address of the family of " + a.target.to_string());
}

void connector::attempt_done(detail::op* self) noexcept {
  auto& a = *static_cast<attempt*>(static_cast<kernel::io_op*>(self));
  connector* me = a.owner;
  --me->in_flight_;
  if (me->then_ == nullptr) {
    me->close(a);
  } else if (a.result == -ECANCELED) {  // not by us: the loop is being closed
    me->close(a);
    me->then_ = nullptr;
    me->stop_everything();
  } else {
    me->settle(a, a.result);
    if (me->then_ != nullptr) me->start_next();
  }
  me->release();
}

// What became of an attempt. A connection of a port with itself, which TCP allows on one machine, is none.
void connector::settle(attempt& a, std::int64_t result) noexcept {
  int error = static_cast<int>(-result);
  if (error == EAGAIN && a.target.family() == address_family::unix_) return wait_for_room(a);
  if (error == 0 && local_address(a.socket.get()) == a.target) error = ECONNREFUSED;
  try {
    if (error != 0) failures_.push_back({error, os_error(error, "cannot connect to " + a.target.to_string()).what()});
  } catch (...) {
    finish({}, {}, std::current_exception());
  }
  if (error != 0) return close(a);
  // The transport registers the descriptor anew, with nothing remembered.
  if (!home_.closed()) home_.get().forget(a.socket.get());
  finish(std::move(a.socket), a.target, nullptr);
}

void connector::wait_for_room(attempt& a) noexcept {
  close(a);
  --next_attempt_;
  try {
    arm_delay(room_delay_.next());
  } catch (...) {
    return finish({}, {}, std::current_exception());
  }
}

void connector::arm_delay(timedelta delay) {
  loop::loop& l = home_.get();
  delay_.deadline = l.now() + delay;
  l.add_timer(delay_);
  retain();
}

void connector::disarm_delay() noexcept {
  if (!delay_.armed() || home_.closed()) return;
  home_.get().remove_timer(delay_);
  release();  // never the last one: whoever calls has its own
}

void connector::delay_over(detail::op* self) noexcept {
  connector* me = static_cast<owned<detail::timer_op>*>(self)->owner;
  if (!me->home_.closed() && !me->home_.get().closing()) me->start_next();
  me->release();
}

void connector::close(attempt& a) noexcept {
  if (!home_.closed() && a.socket.get() >= 0) home_.get().forget(a.socket.get());
  a.socket = {};
}

void connector::cancel() noexcept {
  then_ = nullptr;
  stop_everything();
}

// Everything that may still call us: lookups are left to themselves, attempts close their sockets in attempt_done.
void connector::stop_everything() noexcept {
  if (home_.closed()) return;
  const ref<connector> alive = ref<connector>::share(this);
  disarm_delay();
  for (name_lookup** l : std::array{&remote_lookup_, &local_lookup_})
    if (*l != nullptr) std::exchange(*l, nullptr)->abandon();
  for (std::size_t i = 0; i < attempt_count_; ++i)
    if (attempts_[i].in_flight) home_.get().cancel(attempts_[i]);
}

void connector::finish(unique_fd fd, const socket_address& peer, std::exception_ptr error) noexcept {
  const callback then = std::exchange(then_, nullptr);
  if (then == nullptr) return;
  stop_everything();
  then(context_, std::move(fd), peer, std::move(error));
}

std::exception_ptr connector::combined_error() const {
  const auto same = [&](const failure& f) { return f.text == failures_.front().text; };
  const failure& last = failures_.back();
  const auto as_exception = [](int error, std::string text) {
    // what() ends with the words for `error` by itself.
    const std::string words = ": " + std::error_code(error, std::generic_category()).message();
    if (text.ends_with(words)) text.resize(text.size() - words.size());
    return std::make_exception_ptr(os_error(error, text));
  };
  if (std::ranges::all_of(failures_, same)) return as_exception(failures_.front().error, failures_.front().text);
  std::string all = "Multiple exceptions: ";
  for (const failure& f : failures_) all += (&f == &failures_.front() ? "" : ", ") + f.text;
  return as_exception(last.error, all);
}

}  // namespace asyncio::io
