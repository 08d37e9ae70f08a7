// SPDX-License-Identifier: BSL-1.0
#include "process/pool_wire.hpp"

#include "kernel/sys.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace asyncio::processes {

namespace {

namespace sys = kernel::sys;

/// In place of a module's number, for the function that a call does not have.
constexpr std::uint32_t no_module = 0xffffffff;

/// Leaves out what was sent.
void advance(iovec*& first, int& count, std::size_t sent) noexcept {
  while (count > 0 && sent >= first->iov_len) {
    sent -= first->iov_len;
    ++first;
    --count;
  }
  if (count > 0) {
    first->iov_base = static_cast<char*>(first->iov_base) + sent;
    first->iov_len -= sent;
  }
}

iovec part(std::string_view bytes) noexcept { return {const_cast<char*>(bytes.data()), bytes.size()}; }

/// Fills the whole of it.
talk receive_bytes(int fd, char* to, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t n = sys::recv(fd, static_cast<void*>(to), size, 0);
    if (n == -EINTR) continue;
    if (n == 0) return talk::ended;
    if (n < 0) return n == -ECONNRESET ? talk::lost : talk::garbage;
    to += n;
    size -= static_cast<std::size_t>(n);
  }
  return talk::done;
}

}  // namespace

talk send_message(int fd, message_kind kind, std::uint64_t number, std::string_view head,
                  std::string_view body) noexcept {
  message_header header;
  header.kind = kind;
  header.number = number;
  header.size = head.size() + body.size();
  iovec parts[3] = {{&header, sizeof header}, part(head), part(body)};
  iovec* first = parts;
  int count = 3;
  while (count > 0) {
    msghdr out{};
    out.msg_iov = first;
    out.msg_iovlen = static_cast<std::size_t>(count);
    const ssize_t n = sys::sendmsg(fd, static_cast<const msghdr*>(&out), MSG_NOSIGNAL);
    if (n == -EINTR) continue;
    if (n < 0) return talk::lost;
    advance(first, count, static_cast<std::size_t>(n));
  }
  return talk::done;
}

talk receive_message(int fd, message& into) {
  message_header header;
  const talk begin = receive_bytes(fd, reinterpret_cast<char*>(&header), sizeof header);
  if (begin != talk::done) return begin;
  if (header.magic != message_header::right_magic || header.size > largest_message) return talk::garbage;
  into.kind = header.kind;
  into.number = header.number;
  into.size = static_cast<std::size_t>(header.size);
  into.bytes = std::make_unique_for_overwrite<char[]>(into.size);
  return receive_bytes(fd, into.bytes.get(), into.size);
}

bool await_readable(int fd, int milliseconds) noexcept {
  pollfd wanted{fd, POLLIN, 0};
  int n = -EINTR;
  while (n == -EINTR) n = sys::poll(&wanted, nfds_t{1}, milliseconds);
  return n != 0;
}

void function_sender::write(encoder& out, void (*entry)(), void (*target)()) {
  const kernel::code_place entry_place = kernel::place_of(entry);
  const kernel::code_place target_place =
      target != nullptr ? kernel::place_of(target) : kernel::code_place{no_module, 0};
  std::vector<std::uint32_t> fresh;
  for (const std::uint32_t module : {entry_place.module, target_place.module})
    if (module != no_module && std::ranges::find(told_, module) == told_.end()) {
      fresh.push_back(module);
      told_.push_back(module);
    }
  out.size(fresh.size());
  for (const std::uint32_t module : fresh) {
    const kernel::module_description about = kernel::describe_module(module);
    out.write(module);
    out.write(about.name);
    out.write(about.identity);
  }
  for (const kernel::code_place& place : {entry_place, target_place}) {
    out.write(place.module);
    out.write(place.offset);
  }
}

function_receiver::functions function_receiver::read(decoder& in) {
  for (std::size_t fresh = in.size(); fresh > 0; --fresh) {
    known about;
    about.number = in.read<std::uint32_t>();
    kernel::module_description wanted;
    wanted.name = in.read<std::string>();
    wanted.identity = in.read<std::string>();
    try {
      about.module = kernel::find_module(wanted);
    } catch (const std::runtime_error& error) {
      about.trouble = error.what();
    }
    modules_.push_back(std::move(about));
  }
  functions found;
  for (auto* function : {&found.entry, &found.target}) {
    const auto module = in.read<std::uint32_t>();
    const auto offset = in.read<std::uint64_t>();
    if (module != no_module) *function = locate(module, offset);
  }
  if (found.entry == nullptr) throw codec_error("a call names no function");
  return found;
}

void (*function_receiver::locate(std::uint32_t module, std::uint64_t offset) const)() {
  const auto at = std::ranges::find(modules_, module, &known::number);
  if (at == modules_.end()) throw codec_error("a call names a module that nobody has told about");
  if (!at->trouble.empty())
    throw std::runtime_error("the worker process cannot find the function that it is to call: " + at->trouble);
  return at->module.at(offset);
}

}  // namespace asyncio::processes
