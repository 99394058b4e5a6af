#include <Judy.h>
#include <absl/container/btree_map.h>

#include <map>
#include <stdexcept>

#include "bench/keyindex/contestant.h"
#include "orrery/keyindex/string_index.h"

extern "C" {
#include <hat-trie/hat-trie.h>
}

namespace orrery::bench {
namespace {

class Ours : public Contestant {
 public:
  explicit Ours(bool table) : table_(table), index_({.point_table = table}) {}
  std::string name() const override { return table_ ? "ours" : "ours-tree"; }
  void load(const Keys& keys, const std::vector<uint64_t>& values) override {
    index_.bulk_load(keys, values);
  }
  uint64_t get(const std::string_view* keys, size_t count) override {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i)
      if (auto value = index_.get(keys[i])) sum += *value;
    return sum;
  }
  uint64_t get_batch(const std::string_view* keys, size_t count) override {
    uint64_t sum = 0, values[16];
    uint8_t found[16];
    for (size_t i = 0; i < count; i += 16) {
      size_t many = std::min<size_t>(16, count - i);
      index_.get_batch({keys + i, many}, {values, many}, {found, many});
      for (size_t k = 0; k < many; ++k)
        if (found[k]) sum += values[k];
    }
    return sum;
  }
  uint64_t scan(const std::string_view* keys, size_t count, size_t length) override {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
      keyindex::Cursor cursor = index_.scan(keys[i]);
      for (size_t k = 0; k < length && cursor.next(); ++k) sum += touch(cursor.key(), cursor.value());
    }
    return sum;
  }
  void insert(const std::string_view* keys, const uint64_t* values, size_t count) override {
    for (size_t i = 0; i < count; ++i) index_.insert(keys[i], values[i]);
  }
  void put(const std::string_view* keys, const uint64_t* values, size_t count) override {
    for (size_t i = 0; i < count; ++i) index_.put(keys[i], values[i]);
  }
  void remove(const std::string_view* keys, size_t count) override {
    for (size_t i = 0; i < count; ++i) index_.remove(keys[i]);
  }
  bool has_threads() const override { return true; }
  double bytes() const override { return static_cast<double>(index_.stats().allocated_bytes); }

 private:
  bool table_;
  keyindex::StringIndex index_;
};

template <class Map>
class OrderedMap : public Contestant {
 public:
  OrderedMap(std::string name, bool keeps) : name_(std::move(name)), keeps_(keeps) {}
  std::string name() const override { return name_; }
  void load(const Keys& keys, const std::vector<uint64_t>& values) override {
    for (size_t i = 0; i < keys.size(); ++i)
      map_.insert(map_.end(), typename Map::value_type(typename Map::key_type(keys[i]), values[i]));
  }
  uint64_t get(const std::string_view* keys, size_t count) override {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
      auto at = map_.find(keys[i]);
      if (at != map_.end()) sum += at->second;
    }
    return sum;
  }
  uint64_t scan(const std::string_view* keys, size_t count, size_t length) override {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
      auto at = map_.lower_bound(keys[i]);
      for (size_t k = 0; k < length && at != map_.end(); ++k, ++at) sum += touch(at->first, at->second);
    }
    return sum;
  }
  void insert(const std::string_view* keys, const uint64_t* values, size_t count) override {
    for (size_t i = 0; i < count; ++i) map_.emplace(keys[i], values[i]);
  }
  void put(const std::string_view* keys, const uint64_t* values, size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      auto [at, fresh] = map_.emplace(keys[i], values[i]);
      if (!fresh) at->second = values[i];
    }
  }
  void remove(const std::string_view* keys, size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      auto at = map_.find(keys[i]);
      if (at != map_.end()) map_.erase(at);
    }
  }
  bool keeps_keys() const override { return keeps_; }

 private:
  std::string name_;
  bool keeps_;
  Map map_;
};

class Judy : public Contestant {
 public:
  ~Judy() override {
    Word_t bytes;
    JSLFA(bytes, array_);
    static_cast<void>(bytes);
  }
  std::string name() const override { return "judy"; }
  void load(const Keys& keys, const std::vector<uint64_t>& values) override {
    insert(keys.data(), values.data(), keys.size());
  }
  uint64_t get(const std::string_view* keys, size_t count) override {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
      void* value;
      JSLG(value, array_, text(keys[i]));
      if (value) sum += *static_cast<Word_t*>(value);
    }
    return sum;
  }
  uint64_t scan(const std::string_view* keys, size_t count, size_t length) override {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
      void* value;
      uint8_t* at = text(keys[i]);
      JSLF(value, array_, at);
      for (size_t k = 0; k < length && value; ++k) {
        sum += touch(reinterpret_cast<const char*>(at), *static_cast<Word_t*>(value));
        JSLN(value, array_, at);
      }
    }
    return sum;
  }
  void insert(const std::string_view* keys, const uint64_t* values, size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      void* value;
      JSLI(value, array_, text(keys[i]));
      *static_cast<Word_t*>(value) = values[i];
    }
  }
  void remove(const std::string_view* keys, size_t count) override {
    for (size_t i = 0; i < count; ++i) {
      int gone;
      JSLD(gone, array_, text(keys[i]));
      static_cast<void>(gone);
    }
  }
  bool takes_nul() const override { return false; }

 private:
  uint8_t* text(std::string_view key) {  // it wants a NUL behind the key
    std::memcpy(text_, key.data(), key.size());
    text_[key.size()] = 0;
    return text_;
  }
  Pvoid_t array_ = nullptr;
  uint8_t text_[70000];
};

class Hat : public Contestant {
 public:
  Hat() : trie_(hattrie_create()) {}
  ~Hat() override { hattrie_free(trie_); }
  std::string name() const override { return "hat"; }
  void load(const Keys& keys, const std::vector<uint64_t>& values) override {
    insert(keys.data(), values.data(), keys.size());
  }
  uint64_t get(const std::string_view* keys, size_t count) override {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; ++i)
      if (value_t* value = hattrie_tryget(trie_, keys[i].data(), keys[i].size())) sum += *value;
    return sum;
  }
  uint64_t scan(const std::string_view*, size_t, size_t) override { return 0; }
  void insert(const std::string_view* keys, const uint64_t* values, size_t count) override {
    for (size_t i = 0; i < count; ++i) *hattrie_get(trie_, keys[i].data(), keys[i].size()) = values[i];
  }
  void remove(const std::string_view* keys, size_t count) override {
    for (size_t i = 0; i < count; ++i) hattrie_del(trie_, keys[i].data(), keys[i].size());
  }
  bool can_scan() const override { return false; }

 private:
  hattrie_t* trie_;
};

}  // namespace

std::vector<std::string> contestant_names() {
  return {"ours", "ours-tree", "btree", "btree-string", "map", "judy", "hat"};
}

std::unique_ptr<Contestant> make_contestant(const std::string& name) {
  if (name == "ours") return std::make_unique<Ours>(true);
  if (name == "ours-tree") return std::make_unique<Ours>(false);
  if (name == "btree")
    return std::make_unique<OrderedMap<absl::btree_map<std::string_view, uint64_t>>>(name, false);
  if (name == "btree-string")
    return std::make_unique<OrderedMap<absl::btree_map<std::string, uint64_t, std::less<>>>>(name, true);
  if (name == "map")
    return std::make_unique<OrderedMap<std::map<std::string, uint64_t, std::less<>>>>(name, true);
  if (name == "judy") return std::make_unique<Judy>();
  if (name == "hat") return std::make_unique<Hat>();
  throw std::runtime_error("no index '" + name + "'");
}

}  // namespace orrery::bench
