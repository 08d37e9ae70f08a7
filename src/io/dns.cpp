// SPDX-License-Identifier: BSL-1.0
#include "io/dns.hpp"

#include "io/address.hpp"

#include "base/log.hpp"
#include "kernel/process.hpp"

#include <asyncio/errors.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>

namespace asyncio {

namespace {

class resolver_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "getaddrinfo"; }
  std::string message(int code) const override { return gai_strerror(code); }
};

}  // namespace

const std::error_category& gai_category() noexcept {
  static const resolver_category category;
  return category;
}

}  // namespace asyncio

namespace asyncio::io {

namespace {

constexpr std::size_t longest_name = 253;
constexpr std::size_t longest_label = 63;
constexpr std::size_t resolver_threads = 4;

struct process_pool {
  explicit process_pool(process_pool* b) : before(b) {}
  threads::blocking_pool pool{"asyncio-dns", resolver_threads};
  const unsigned made_at = kernel::fork_count();
  process_pool* const before;  // the parent process's, never used here: its threads are missing, its lock may be held
};

/// Never destroyed: a lookup may hang for half a minute, and the end of the program does not wait for it.
threads::blocking_pool& resolver_pool() {
  static std::atomic<process_pool*> latest{nullptr};
  process_pool* known = latest.load(std::memory_order_acquire);
  while (known == nullptr || known->made_at != kernel::fork_count()) {
    auto fresh = std::make_unique<process_pool>(known);
    if (latest.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) known = fresh.release();
  }
  return known->pool;
}

[[noreturn]] void refuse(const std::string& host, const char* reason) {
  throw std::invalid_argument("host name '" + base::printable(host.substr(0, 64)) + "' " + reason);
}

void check_name(const std::string& host) {
  const std::string_view name(host.data(), host.ends_with('.') ? host.size() - 1 : host.size());
  if (name.find('\0') != std::string_view::npos) refuse(host, "has a NUL inside");
  if (name.size() > longest_name) refuse(host, "is longer than 253 bytes");
  if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    refuse(host, "is not ASCII: write its xn-- form");
  for (std::size_t from = 0; from < name.size();) {
    const std::size_t dot = std::min(name.find('.', from), name.size());
    if (dot - from > longest_label) refuse(host, "has a label longer than 63 bytes");
    from = dot + 1;
  }
}

}  // namespace

void check_query(const name_query& query) {
  check_port(query.port);
  if (query.host.find(':') == std::string::npos)
    check_name(query.host);
  else if (query.host.find('\0') != std::string::npos || query.host.size() > longest_name)
    refuse(query.host, "is no address");
}

std::optional<std::vector<socket_address>> resolve_numeric(const name_query& query) {
  auto address = parse_numeric(query.host, query.port, query.family);
  if (!address) return std::nullopt;
  return std::vector<socket_address>{*address};
}

lookup* lookup::start(loop::loop& l, name_query query, callback then, void* context, counted* keeper) {
  auto* self = new lookup(std::move(query), then, context, keeper);
  self->run = [](threads::job* job) noexcept {
    try {
      of(job)->resolve();
    } catch (...) {
      of(job)->error_ = std::current_exception();
    }
  };
  self->finished = [](threads::job* job) noexcept { of(job)->answer(); };
  self->dropped = [](threads::job* job) noexcept { delete of(job); };
  try {
    resolver_pool().submit(*self, l.box());
  } catch (...) {
    delete self;
    throw;
  }
  return self;
}

void lookup::abandon() noexcept {
  if (resolver_pool().cancel(*this))
    delete this;
  else
    keeper_ = {};
}

void lookup::answer() noexcept {
  if (keeper_) then_(context_, std::move(addresses_), std::move(error_));
  delete this;
}

void lookup::resolve() {
  addrinfo hints{};
  hints.ai_family = native_family(query_.family);
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (query_.passive ? AI_PASSIVE : 0);
  const std::string service = std::to_string(query_.port);
  addrinfo* found = nullptr;
  const int code =
      kernel::sys::getaddrinfo(query_.host.empty() ? nullptr : query_.host.c_str(), service.c_str(), &hints, &found);
  const int system_error = errno;
  const std::string text = "cannot resolve '" + base::printable(query_.host) + "'";
  if (code == EAI_SYSTEM) throw os_error(system_error, text);
  if (code != 0) throw gai_error(std::error_code(code, gai_category()), text);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, [](addrinfo* a) { kernel::sys::freeaddrinfo(a); });
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const socket_address address = address_of(at->ai_addr, at->ai_addrlen);
    if (std::ranges::find(addresses_, address) == addresses_.end()) addresses_.push_back(address);
  }
  if (addresses_.empty()) throw gai_error(std::error_code(EAI_NONAME, gai_category()), text);
}

}  // namespace asyncio::io
