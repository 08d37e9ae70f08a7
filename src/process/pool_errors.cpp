// SPDX-License-Identifier: BSL-1.0
#include "process/pool_errors.hpp"

#include <asyncio/errors.hpp>

#include <any>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>

#include <cxxabi.h>

namespace asyncio::processes {

namespace {

/// Types that come back as themselves. Their order is the language that both sides speak: they are the same program.
struct known_type {
  const std::type_info* type;
  std::exception_ptr (*make)(const std::string& text);
};

template <class E>
constexpr known_type with_text() {
  return {&typeid(E), [](const std::string& text) { return std::make_exception_ptr(E(text)); }};
}
template <class E>
constexpr known_type without_text() {
  return {&typeid(E), [](const std::string&) { return std::make_exception_ptr(E()); }};
}

const known_type known_types[] = {
    with_text<std::runtime_error>(),
    with_text<std::logic_error>(),
    with_text<std::invalid_argument>(),
    with_text<std::domain_error>(),
    with_text<std::length_error>(),
    with_text<std::out_of_range>(),
    with_text<std::range_error>(),
    with_text<std::overflow_error>(),
    with_text<std::underflow_error>(),
    with_text<timeout_error>(),
    with_text<codec_error>(),
    with_text<cancelled_error>(),
    with_text<broken_process_pool>(),
    without_text<std::bad_alloc>(),
    without_text<std::bad_array_new_length>(),
    without_text<std::bad_cast>(),
    without_text<std::bad_any_cast>(),
    without_text<std::bad_typeid>(),
    without_text<std::bad_exception>(),
    without_text<std::bad_optional_access>(),
    without_text<std::bad_variant_access>(),
    without_text<std::bad_weak_ptr>(),
    without_text<std::bad_function_call>(),
    without_text<std::exception>(),
    without_text<keyboard_interrupt>(),
};

enum class form : std::uint8_t { known, system, other };
/// The two categories that mean the same everywhere.
enum class category : std::uint8_t { generic, system };

std::string spelled(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                    &std::free);
  return status == 0 ? text.get() : mangled;
}

/// What an exception is called and says, and what is nested in it, the outer one first.
struct portrait {
  const std::type_info* type = nullptr;
  std::string type_name;
  std::string text;
};

constexpr int deepest_nesting = 16;

/// std::throw_with_nested() throws an unnamed heir of what it was given.
std::string without_nesting(std::string name) {
  constexpr std::string_view begin = "std::_Nested_exception<";
  if (name.starts_with(begin) && name.ends_with('>')) return name.substr(begin.size(), name.size() - begin.size() - 1);
  return name;
}

portrait look_at(const std::exception_ptr& error, int depth = 0) {
  portrait seen;
  std::exception_ptr inner;
  const auto name_current = [&seen] {
    seen.type = abi::__cxa_current_exception_type();
    seen.type_name =
        seen.type != nullptr ? without_nesting(spelled(seen.type->name())) : "an exception of no known type";
  };
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    name_current();
    seen.text = e.what();
    if (const auto* nesting = dynamic_cast<const std::nested_exception*>(&e)) inner = nesting->nested_ptr();
  } catch (const cancelled_error& e) {
    name_current();
    seen.text = e.message();
  } catch (const std::string& text) {
    name_current();
    seen.text = text;
  } catch (const char* text) {
    name_current();
    seen.text = text;
  } catch (...) {
    name_current();
  }
  if (inner != nullptr && depth < deepest_nesting) {
    const portrait cause = look_at(inner, depth + 1);
    seen.text += "; caused by " + cause.type_name + (cause.text.empty() ? "" : ": " + cause.text);
  }
  return seen;
}

/// The number of the type among those that come back as themselves.
std::optional<std::uint32_t> number_of(const std::type_info* type) {
  std::uint32_t number = 0;
  for (const known_type& each : known_types) {
    if (type != nullptr && *each.type == *type) return number;
    ++number;
  }
  return std::nullopt;
}

/// Its text is put together from that of its maker and that of its code: only the first part travels.
std::string own_text(const std::system_error& error) {
  std::string text = error.what();
  const std::string of_code = error.code().message();
  if (!text.ends_with(of_code)) return text;
  text.resize(text.size() - of_code.size());
  if (text.ends_with(": ")) text.resize(text.size() - 2);
  return text;
}

bool write_system_error(encoder& out, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& e) {
    const bool generic = e.code().category() == std::generic_category();
    if (typeid(e) != typeid(std::system_error) || (!generic && e.code().category() != std::system_category()))
      return false;
    out.write(form::system);
    out.write(generic ? category::generic : category::system);
    out.write(e.code().value());
    out.write(own_text(e));
    return true;
  } catch (...) {
    return false;
  }
}

std::exception_ptr read_system_error(decoder& in) {
  const auto which = in.read<category>();
  const int value = in.read<int>();
  const auto text = in.read<std::string>();
  const std::error_code code(value, which == category::generic ? std::generic_category() : std::system_category());
  return std::make_exception_ptr(text.empty() ? std::system_error(code) : std::system_error(code, text));
}

}  // namespace

void write_exception(encoder& out, const std::exception_ptr& error) {
  if (write_system_error(out, error)) return;
  const portrait seen = look_at(error);
  if (const auto number = number_of(seen.type)) {
    out.write(form::known);
    out.write(*number);
    out.write(seen.text);
    return;
  }
  out.write(form::other);
  out.write(seen.type_name);
  out.write(seen.text);
}

std::exception_ptr read_exception(decoder& in) {
  switch (in.read<form>()) {
    case form::known: {
      const auto number = in.read<std::uint32_t>();
      if (number >= std::size(known_types)) throw codec_error("no exception has this number");
      return known_types[number].make(in.read<std::string>());
    }
    case form::system: return read_system_error(in);
    case form::other: {
      const auto type_name = in.read<std::string>();
      return std::make_exception_ptr(remote_error(type_name, in.read<std::string>()));
    }
  }
  throw codec_error("an exception has no such form");
}

std::string describe_exception(const std::exception_ptr& error) {
  const portrait seen = look_at(error);
  return seen.text.empty() ? seen.type_name : seen.type_name + ": " + seen.text;
}

}  // namespace asyncio::processes
