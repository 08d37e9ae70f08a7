// SPDX-License-Identifier: BSL-1.0
#include "kernel/modules.hpp"

#include <cstddef>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string_view>

#include <elf.h>
#include <link.h>

namespace asyncio::kernel {

namespace {

std::size_t rounded_up(std::size_t n) noexcept { return (n + 3) & ~std::size_t{3}; }

std::string hex(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

const unsigned char* address_of(const dl_phdr_info& module, const ElfW(Phdr) & segment) noexcept {
  return reinterpret_cast<const unsigned char*>(module.dlpi_addr + segment.p_vaddr);
}

/// "" when these notes have none.
std::string build_id_in(const unsigned char* notes, std::size_t size) {
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes, sizeof note);
    const std::size_t name_at = sizeof note;
    const std::size_t bytes_at = name_at + rounded_up(note.n_namesz);
    const std::size_t whole = bytes_at + rounded_up(note.n_descsz);
    if (whole > size) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes + name_at, "GNU", 4) == 0)
      return "build id " + hex(notes + bytes_at, note.n_descsz);
    notes += whole;
    size -= whole;
  }
  return {};
}

/// FNV-1a, 64 bits wide.
std::string hash_of_code(const dl_phdr_info& module) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    const auto& segment = module.dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    const unsigned char* code = address_of(module, segment);
    for (std::size_t at = 0; at < segment.p_filesz; ++at) hash = (hash ^ code[at]) * 0x100000001b3u;
  }
  return "hash " + hex(reinterpret_cast<const unsigned char*>(&hash), sizeof hash);
}

std::string identity_of(const dl_phdr_info& module) {
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    const auto& segment = module.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    if (std::string id = build_id_in(address_of(module, segment), segment.p_memsz); !id.empty()) return id;
  }
  return hash_of_code(module);
}

/// The room that its code takes; linkers put it into one piece.
loaded_module room_of(const dl_phdr_info& module) noexcept {
  loaded_module room{module.dlpi_addr, 0, 0};
  for (int i = 0; i < module.dlpi_phnum; ++i) {
    const auto& segment = module.dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    const auto begin = reinterpret_cast<std::uintptr_t>(address_of(module, segment));
    if (room.code_begin == 0 || begin < room.code_begin) room.code_begin = begin;
    if (begin + segment.p_memsz > room.code_end) room.code_end = begin + segment.p_memsz;
  }
  return room;
}

bool holds(const loaded_module& room, std::uintptr_t address) noexcept {
  return address >= room.code_begin && address < room.code_end;
}

/// Calls visit(module) for each, until it answers true.
template <class Visit>
bool any_module(Visit visit) {
  return ::dl_iterate_phdr([](dl_phdr_info* module, std::size_t,
                              void* context) { return (*static_cast<Visit*>(context))(*module) ? 1 : 0; },
                           &visit) != 0;
}

/// How often a module was unloaded so far: its room may be another one's now.
unsigned long long count_unloaded() noexcept {
  unsigned long long count = 0;
  any_module([&](const dl_phdr_info& module) {
    count = module.dlpi_subs;
    return true;
  });
  return count;
}

struct known_module {
  loaded_module room;
  module_description description;
};

struct registry {
  std::mutex mutex;  // guards what follows
  std::deque<known_module> modules;
  unsigned long long unloaded = 0;  // as of when the rooms were last known to be right
};

registry& all() {
  static auto* one = new registry;  // lives as long as the last thread
  return *one;
}

/// Makes it known, or finds that no module has code there.
bool learn(registry& known, std::uintptr_t address) {
  std::exception_ptr failed;
  const bool found = any_module([&](const dl_phdr_info& module) {
    const loaded_module room = room_of(module);
    if (!holds(room, address)) return false;
    try {
      known.modules.push_back({room, {module.dlpi_name, identity_of(module)}});
    } catch (...) {
      failed = std::current_exception();
    }
    return true;
  });
  if (failed != nullptr) std::rethrow_exception(failed);
  return found;
}

}  // namespace

code_place place_of(void (*function)()) {
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  registry& known = all();
  const std::scoped_lock hold(known.mutex);
  if (const auto unloaded = count_unloaded(); unloaded != known.unloaded) {
    for (known_module& module : known.modules) module.room = {};
    known.unloaded = unloaded;
  }
  for (int look = 0; look < 2; ++look) {
    for (std::size_t i = 0; i < known.modules.size(); ++i)
      if (const loaded_module& room = known.modules[i].room; holds(room, address))
        return {static_cast<std::uint32_t>(i), address - room.start};
    if (!learn(known, address)) break;
  }
  throw std::runtime_error("this function lies in no module that another process could load");
}

module_description describe_module(std::uint32_t number) {
  registry& known = all();
  const std::scoped_lock hold(known.mutex);
  return known.modules.at(number).description;
}

loaded_module find_module(const module_description& wanted) {
  loaded_module room;
  std::string identity;
  std::exception_ptr failed;
  const bool found = any_module([&](const dl_phdr_info& module) {
    if (wanted.name != module.dlpi_name) return false;
    try {
      room = room_of(module);
      identity = identity_of(module);
    } catch (...) {
      failed = std::current_exception();
    }
    return true;
  });
  if (failed != nullptr) std::rethrow_exception(failed);
  const std::string name = wanted.name.empty() ? std::string("the executable") : "'" + wanted.name + "'";
  if (!found) throw std::runtime_error(name + " is not loaded there: link it, rather than dlopen() it");
  if (identity != wanted.identity)
    throw std::runtime_error(name + " is another build there: " + identity + " instead of " + wanted.identity);
  return room;
}

void (*loaded_module::at(std::uint64_t offset) const)() {
  const std::uintptr_t address = start + static_cast<std::uintptr_t>(offset);
  if (!holds(*this, address)) throw std::runtime_error("no function lies there");
  return reinterpret_cast<void (*)()>(address);
}

}  // namespace asyncio::kernel
