#include "orrery/keyindex/string_index.h"

#include "orrery/base/error.h"
#include "orrery/keyindex/index_impl.h"

namespace orrery::keyindex {

StringIndex::StringIndex(IndexOptions options) : impl_(std::make_unique<Impl>(options)) {}
StringIndex::~StringIndex() = default;
StringIndex::StringIndex(StringIndex&&) noexcept = default;
StringIndex& StringIndex::operator=(StringIndex&&) noexcept = default;

void StringIndex::bulk_load(const std::function<bool(std::string_view&, uint64_t&)>& next,
                            uint64_t expected) {
  try {
    impl_->bulk_load(next, expected);
  } catch (...) {
    if (empty()) impl_ = std::make_unique<Impl>(impl_->options);
    throw;
  }
}

void StringIndex::bulk_load(std::span<const std::string_view> keys, std::span<const uint64_t> values) {
  if (keys.size() != values.size()) throw InputError("bulk load needs as many values as keys");
  size_t at = 0;
  bulk_load(
      [&](std::string_view& key, uint64_t& value) {
        if (at == keys.size()) return false;
        key = keys[at];
        value = values[at++];
        return true;
      },
      keys.size());
}

std::optional<uint64_t> StringIndex::get(std::string_view key) const {
  return impl_->get(key);
}

void StringIndex::get_batch(std::span<const std::string_view> keys, std::span<uint64_t> values,
                            std::span<uint8_t> found) const {
  if (values.size() != keys.size() || found.size() != keys.size())
    throw Error("a batch needs as many places for values and answers as it has keys");
  impl_->get_batch(keys.data(), values.data(), found.data(), keys.size());
}

bool StringIndex::insert(std::string_view key, uint64_t value) {
  return impl_->write(key, value, Impl::Mode::Insert);
}

bool StringIndex::put(std::string_view key, uint64_t value) {
  return impl_->write(key, value, Impl::Mode::Put);
}

bool StringIndex::remove(std::string_view key) {
  return impl_->remove(key);
}

uint64_t StringIndex::size() const {
  return static_cast<uint64_t>(impl_->total(&Impl::Count::keys));
}

IndexStats StringIndex::stats() const {
  return impl_->stats();
}

bool StringIndex::has_point_table() const {
  return impl_->table != nullptr;
}

}  // namespace orrery::keyindex
