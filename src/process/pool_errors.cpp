// SPDX-License-Identifier: BSL-1.0
#include "process/pool_errors.hpp"

#include <asyncio/errors.hpp>

#include <algorithm>
#include <any>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <variant>

#include <cxxabi.h>

namespace asyncio::processes {

namespace {

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

/// A type that comes back as itself.
struct known_type {
  const std::type_info* type;
  /// False, and nothing was written: this one cannot be made again.
  bool (*write)(encoder& out, const std::exception_ptr& error);
  /// `text`: what it said there.
  std::exception_ptr (*read)(decoder& in, const std::string& text);
};

template <class E, class F>
auto with_exception(const std::exception_ptr& error, F look) {
  try {
    std::rethrow_exception(error);
  } catch (const E& e) {
    return look(e);
  }
}

/// Gives an exception whose text is its base's, a std::runtime_error or std::logic_error, the text that it had.
template <class Base, class E>
std::exception_ptr saying(const std::string& text, E error) {
  static_cast<Base&>(error) = Base(text);
  return std::make_exception_ptr(std::move(error));
}

bool write_nothing(encoder&, const std::exception_ptr&) { return true; }

template <class E>
constexpr known_type with_text() {
  return {&typeid(E), write_nothing,
          [](decoder&, const std::string& text) { return std::make_exception_ptr(E(text)); }};
}
template <class E>
constexpr known_type without_text() {
  return {&typeid(E), write_nothing, [](decoder&, const std::string&) { return std::make_exception_ptr(E()); }};
}

/// The categories that mean the same in both processes; where another one lies over there nobody knows.
using category_function = const std::error_category& (*)() noexcept;
constexpr category_function categories[] = {&std::generic_category, &std::system_category, &std::iostream_category,
                                            &std::future_category};

bool write_code(encoder& out, const std::error_code& code) {
  std::uint8_t number = 0;
  for (const category_function each : categories) {
    if (code.category() == each()) {
      out.write(number);
      out.write(code.value());
      return true;
    }
    ++number;
  }
  return false;
}

std::error_code read_code(decoder& in) {
  const auto number = in.read<std::uint8_t>();
  if (number >= std::size(categories)) throw codec_error("no category of errors has this number");
  return {in.read<int>(), categories[number]()};
}

template <class E>
bool write_code_of(encoder& out, const std::exception_ptr& error) {
  return with_exception<E>(error, [&out](const E& e) { return write_code(out, e.code()); });
}

/// Its text is put together from its maker's, its code's and the paths: only the first part travels.
bool write_filesystem_error(encoder& out, const std::exception_ptr& error) {
  return with_exception<std::filesystem::filesystem_error>(error, [&out](const std::filesystem::filesystem_error& e) {
    if (!write_code(out, e.code())) return false;
    std::string text = e.std::system_error::what();
    const std::string of_code = ": " + e.code().message();
    if (text.ends_with(of_code)) text.resize(text.size() - of_code.size());
    out.write(text);
    out.write(e.path1().native());
    out.write(e.path2().native());
    return true;
  });
}
std::exception_ptr read_filesystem_error(decoder& in, const std::string&) {
  const std::error_code code = read_code(in);
  const auto text = in.read<std::string>();
  const auto path1 = in.read<std::string>();
  const auto path2 = in.read<std::string>();
  // Without paths of its own it would say " [] []" behind its text.
  if (path2.empty() && path1.empty()) return std::make_exception_ptr(std::filesystem::filesystem_error(text, code));
  if (path2.empty()) return std::make_exception_ptr(std::filesystem::filesystem_error(text, path1, code));
  return std::make_exception_ptr(std::filesystem::filesystem_error(text, path1, path2, code));
}

/// The one that get() throws has a text that nobody else can give it.
std::exception_ptr read_variant_access(decoder&, const std::string& text) {
  try {
    static_cast<void>(std::get<0>(std::variant<int, char>('x')));
  } catch (const std::bad_variant_access& e) {
    if (text == e.what()) return std::current_exception();
  }
  return std::make_exception_ptr(std::bad_variant_access());
}

/// Their order is the language that both sides speak: they are the same program.
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
    without_text<std::bad_weak_ptr>(),
    without_text<std::bad_function_call>(),
    without_text<std::exception>(),
    {&typeid(std::bad_variant_access), write_nothing, read_variant_access},
    {&typeid(std::system_error), write_code_of<std::system_error>,
     [](decoder& in, const std::string& text) {
       return saying<std::runtime_error>(text, std::system_error(read_code(in)));
     }},
    {&typeid(std::ios_base::failure), write_code_of<std::ios_base::failure>,
     [](decoder& in, const std::string& text) {
       return saying<std::runtime_error>(text, std::ios_base::failure("", read_code(in)));
     }},
    {&typeid(std::future_error), write_code_of<std::future_error>,
     [](decoder& in, const std::string& text) {
       return saying<std::logic_error>(text, std::future_error(static_cast<std::future_errc>(read_code(in).value())));
     }},
    {&typeid(std::regex_error),
     [](encoder& out, const std::exception_ptr& error) {
       return with_exception<std::regex_error>(error, [&out](const std::regex_error& e) {
         out.write(static_cast<int>(e.code()));
         return true;
       });
     },
     [](decoder& in, const std::string& text) {
       const auto code = static_cast<std::regex_constants::error_type>(in.read<int>());
       return saying<std::runtime_error>(text, std::regex_error(code));
     }},
    {&typeid(std::filesystem::filesystem_error), write_filesystem_error, read_filesystem_error},
    {&typeid(keyboard_interrupt),
     [](encoder& out, const std::exception_ptr& error) {
       out.write(with_exception<keyboard_interrupt>(error, [](const keyboard_interrupt& e) { return e.signal(); }));
       return true;
     },
     [](decoder& in, const std::string&) { return std::make_exception_ptr(keyboard_interrupt(in.read<int>())); }},
};

constexpr std::uint32_t unknown = std::size(known_types);

/// The number of the type among those that come back as themselves. What streams throw is an heir of theirs, by which the
/// standard library serves programs of its older ABI, too.
std::uint32_t number_of(const portrait& seen) {
  if (seen.type == nullptr) return unknown;
  const std::type_info& sought = seen.type_name == "std::__ios_failure" ? typeid(std::ios_base::failure) : *seen.type;
  const auto* found = std::ranges::find_if(known_types, [&](const known_type& each) { return *each.type == sought; });
  return static_cast<std::uint32_t>(found - std::begin(known_types));
}

}  // namespace

// A known one: its number, its text, and what its type adds. Another one: no number of a type, its name and its text.
void write_exception(encoder& out, const std::exception_ptr& error) {
  const portrait seen = look_at(error);
  const std::uint32_t number = number_of(seen);
  encoder details;
  if (number < unknown && known_types[number].write(details, error)) {
    out.write(number);
    out.write(seen.text);
    out.raw(details.bytes().data(), details.bytes().size());
    return;
  }
  out.write(unknown);
  out.write(seen.type_name);
  out.write(seen.text);
}

std::exception_ptr read_exception(decoder& in) {
  const auto number = in.read<std::uint32_t>();
  const auto text = in.read<std::string>();
  if (number < unknown) return known_types[number].read(in, text);
  if (number > unknown) throw codec_error("no exception has this number");
  return std::make_exception_ptr(remote_error(text, in.read<std::string>()));
}

std::string describe_exception(const std::exception_ptr& error) {
  const portrait seen = look_at(error);
  return seen.text.empty() ? seen.type_name : seen.type_name + ": " + seen.text;
}

}  // namespace asyncio::processes
