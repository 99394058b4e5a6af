// What the side-by-side benchmark asks of every index. One call works through a whole slice of operations, so
// that nothing but the index is called once a key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::bench {

using Keys = std::vector<std::string_view>;

class Contestant {
 public:
  virtual ~Contestant() = default;
  virtual std::string name() const = 0;
  // Sorted keys; key i has value values[i]. The bytes stay where they are as long as the contestant lives.
  virtual void load(const Keys& keys, const std::vector<uint64_t>& values) = 0;
  virtual uint64_t get(const std::string_view* keys, size_t count) = 0;  // the sum of the values found
  virtual uint64_t get_batch(const std::string_view* keys, size_t count) { return get(keys, count); }
  // From each key on, `length` entries: the sum of values, key sizes and first and last bytes.
  virtual uint64_t scan(const std::string_view* keys, size_t count, size_t length) = 0;
  virtual void insert(const std::string_view* keys, const uint64_t* values, size_t count) = 0;
  virtual void put(const std::string_view* keys, const uint64_t* values, size_t count) {
    insert(keys, values, count);
  }
  virtual void remove(const std::string_view* keys, size_t count) = 0;
  virtual bool can_scan() const { return true; }
  virtual bool keeps_keys() const { return true; }  // owns the bytes of its keys
  virtual bool takes_nul() const { return true; }
  virtual bool has_threads() const { return false; }
  virtual double bytes() const { return 0; }  // held, keys included where it keeps them; 0: ask the allocator
};

std::unique_ptr<Contestant> make_contestant(const std::string& name);
// "ours", "ours-tree", "btree", "btree-string", "map", "judy", "hat"
std::vector<std::string> contestant_names();

// What a scan does with an entry, the same for all.
inline uint64_t touch(std::string_view key, uint64_t value) {
  uint64_t sum = value + key.size();
  if (!key.empty()) sum += static_cast<unsigned char>(key.front()) + static_cast<unsigned char>(key.back());
  return sum;
}

}  // namespace orrery::bench
