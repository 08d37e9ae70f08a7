// SPDX-License-Identifier: BSL-1.0
// Types that cereal knows travel to other processes: those with its serialize(), or save() and load(), inside or outside
// of the class, and what the headers <cereal/types/…> add, shared and polymorphic pointers among them. Needs cereal
// (Debian: libcereal-dev), which is headers only. Where asyncio has a codec of its own, for containers and plain structs,
// that is used.
//
//     struct point {
//       double x, y;
//       template <class Archive> void serialize(Archive& archive) { archive(x, y); }
//     };
#pragma once
#include <asyncio/codec.hpp>

#include <cereal/cereal.hpp>

#include <cstddef>
#include <string_view>
#include <type_traits>

namespace asyncio {

/// cereal's archive that writes into an encoder.
class cereal_output : public cereal::OutputArchive<cereal_output, cereal::AllowEmptyClassElision> {
 public:
  explicit cereal_output(encoder& out) : OutputArchive(this), out_(out) {}
  encoder& out() noexcept { return out_; }

 private:
  encoder& out_;
};

/// cereal's archive that reads from a decoder.
class cereal_input : public cereal::InputArchive<cereal_input, cereal::AllowEmptyClassElision> {
 public:
  explicit cereal_input(decoder& in) : InputArchive(this), in_(in) {}
  decoder& in() noexcept { return in_; }

 private:
  decoder& in_;
};

// What cereal asks of an archive, under the names that it looks for.

template <class T>
  requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(cereal_output& archive, const T& value) {
  archive.out().write(value);
}
template <class T>
  requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(cereal_input& archive, T& value) {
  value = archive.in().read<T>();
}

template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(cereal_output& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(cereal_input& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}

// cereal makes a container as large as this says before it reads the first element, so it is checked here.
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(cereal_output& archive, cereal::SizeTag<T>& tag) {
  archive.out().size(static_cast<std::size_t>(tag.size));
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(cereal_input& archive, cereal::SizeTag<T>& tag) {
  tag.size = static_cast<std::decay_t<T>>(archive.in().size());
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(cereal_output& archive, const cereal::BinaryData<T>& block) {
  archive.out().raw(block.data, static_cast<std::size_t>(block.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(cereal_input& archive, cereal::BinaryData<T>& block) {
  const std::string_view bytes = archive.in().raw(static_cast<std::size_t>(block.size));
  if (!bytes.empty()) std::memcpy(block.data, bytes.data(), bytes.size());
}

template <class T>
  requires(!detail::codec_number<T> && !detail::codec_container<T> && !detail::codec_array<T> &&
           !detail::codec_struct<T> && cereal::traits::is_output_serializable<T, cereal_output>::value &&
           cereal::traits::is_input_serializable<T, cereal_input>::value)
struct codec<T> {
  static void encode(encoder& out, const T& value) {
    cereal_output archive(out);
    archive(value);
  }
  static T decode(decoder& in) {
    cereal_input archive(in);
    try {
      T value{};
      archive(value);
      return value;
    } catch (const cereal::Exception& error) {
      throw codec_error(error.what());
    }
  }
};

}  // namespace asyncio

CEREAL_REGISTER_ARCHIVE(asyncio::cereal_output)
CEREAL_REGISTER_ARCHIVE(asyncio::cereal_input)
CEREAL_SETUP_ARCHIVE_TRAITS(asyncio::cereal_input, asyncio::cereal_output)
