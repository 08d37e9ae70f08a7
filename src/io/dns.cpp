// SPDX-License-Identifier: BSL-1.0
#include "io/dns.hpp"

#include "io/address.hpp"

#include "base/log.hpp"
#include "threads/process_wide_pool.hpp"

#include <asyncio/errors.hpp>

#include <algorithm>
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

constinit threads::process_wide_pool resolver("asyncio-dns", 4);

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

void check_query(const reverse_query& query) {
  const address_family family = query.address.family();
  if (family != address_family::inet && family != address_family::inet6)
    throw std::invalid_argument("getnameinfo() needs an IPv4 or IPv6 address");
}

std::optional<name_query::answer> resolve_numeric(const name_query& query) {
  constexpr int harmless = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  if (query.protocol != 0 || (query.flags & ~harmless) != 0) return std::nullopt;  // the resolver knows what fits
  if (query.type != 0 && query.type != SOCK_STREAM && query.type != SOCK_DGRAM) return std::nullopt;
  auto address = parse_numeric(query.host, query.port, query.family);
  if (!address) return std::nullopt;
  return name_query::answer{*address};
}

std::optional<reverse_query::answer> resolve_numeric(const reverse_query& query) {
  constexpr int numeric = NI_NUMERICHOST | NI_NUMERICSERV;
  if ((query.flags & ~NI_DGRAM) != numeric) return std::nullopt;
  return reverse_query::answer{query.address.host(), std::to_string(query.address.port())};
}

namespace {

/// Throws what a code of the resolver's says; `system_error` is errno.
void check_code(int code, int system_error, const std::string& text) {
  if (code == EAI_SYSTEM) throw os_error(system_error, text);
  if (code != 0) throw gai_error(std::error_code(code, gai_category()), text);
}

name_query::answer ask_resolver(const name_query& query) {
  addrinfo hints{};
  hints.ai_family = native_family(query.family);
  hints.ai_socktype = query.type;
  hints.ai_protocol = query.protocol;
  hints.ai_flags = AI_NUMERICSERV | query.flags | (query.passive ? AI_PASSIVE : 0);
  const std::string service = std::to_string(query.port);
  addrinfo* found = nullptr;
  const int code =
      kernel::sys::getaddrinfo(query.host.empty() ? nullptr : query.host.c_str(), service.c_str(), &hints, &found);
  const int system_error = errno;
  const std::string text = "cannot resolve '" + base::printable(query.host) + "'";
  check_code(code, system_error, text);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, [](addrinfo* a) { kernel::sys::freeaddrinfo(a); });
  name_query::answer addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const socket_address address = address_of(at->ai_addr, at->ai_addrlen);
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
  }
  if (addresses.empty()) check_code(EAI_NONAME, 0, text);
  return addresses;
}

reverse_query::answer ask_resolver(const reverse_query& query) {
  char host[NI_MAXHOST] = {}, service[NI_MAXSERV] = {};
  const int code = kernel::sys::getnameinfo(address_access::data(query.address), address_access::size(query.address),
                                            host, sizeof host, service, sizeof service, query.flags);
  const int system_error = errno;
  check_code(code, system_error, "cannot name " + query.address.to_string());
  return {host, service};
}

}  // namespace

template <class Query>
lookup<Query>* lookup<Query>::start(loop::loop& l, Query query, callback then, void* context, counted* keeper) {
  auto* self = new lookup(std::move(query), then, context, keeper);
  self->run = [](threads::job* job) noexcept {
    try {
      of(job)->found_ = ask_resolver(of(job)->query_);
    } catch (...) {
      of(job)->error_ = std::current_exception();
    }
  };
  self->finished = [](threads::job* job) noexcept { of(job)->give_answer(); };
  self->dropped = [](threads::job* job) noexcept { delete of(job); };
  try {
    resolver.get().submit(*self, l.box());
  } catch (...) {
    delete self;
    throw;
  }
  return self;
}

template <class Query>
void lookup<Query>::abandon() noexcept {
  if (resolver.get().cancel(*this))
    delete this;
  else
    keeper_ = {};
}

template <class Query>
void lookup<Query>::give_answer() noexcept {
  if (keeper_) then_(context_, std::move(found_), std::move(error_));
  delete this;
}

template class lookup<name_query>;
template class lookup<reverse_query>;

}  // namespace asyncio::io
