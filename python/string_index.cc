#include "string_index.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <string>

#include "orrery/base/error.h"
#include "orrery/keyindex/string_index.h"

namespace py = pybind11;
using orrery::keyindex::Cursor;
using orrery::keyindex::StringIndex;

namespace {

// Keys are bytes; a str is taken as its UTF-8.
std::string key_of(const py::object& key) {
  if (py::isinstance<py::bytes>(key) || py::isinstance<py::str>(key)) return key.cast<std::string>();
  throw py::type_error("a key is bytes or str");
}

// A Python loop may run for long and holds nothing between its turns: it takes the entries in pieces, and
// goes on behind the last key of the piece before.
class Items {
 public:
  Items(py::object owner, std::string from, std::string prefix, bool reverse, bool has_from)
      : owner_(std::move(owner)),
        from_(std::move(from)),
        prefix_(std::move(prefix)),
        reverse_(reverse),
        bounded_(has_from) {}
  py::tuple next() {
    if (at_ == piece_.size() && !ended_) fill();
    if (at_ == piece_.size()) throw py::stop_iteration();
    auto& [key, value] = piece_[at_++];
    return py::make_tuple(py::bytes(key), value);
  }

 private:
  static constexpr size_t kPiece = 256;
  void fill() {
    const auto& index = owner_.cast<const StringIndex&>();
    std::string last = piece_.empty() ? std::string() : piece_.back().first;
    bool again = !piece_.empty();
    piece_.clear();
    at_ = 0;
    Cursor cursor = !reverse_  ? index.scan(again ? last : from_)
                    : again    ? index.scan_back(last)
                    : bounded_ ? index.scan_back(from_)
                               : index.scan_back();
    while (piece_.size() < kPiece) {
      if (!cursor.next() || !cursor.key().starts_with(prefix_)) {
        ended_ = true;
        return;
      }
      if (again && cursor.key() == last) continue;
      piece_.emplace_back(cursor.key(), cursor.value());
    }
  }
  py::object owner_;
  std::string from_, prefix_;
  bool reverse_, bounded_, ended_ = false;
  std::vector<std::pair<std::string, uint64_t>> piece_;
  size_t at_ = 0;
};

}  // namespace

void bind_string_index(py::module_& module) {
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const orrery::InputError& wrong) {
      PyErr_SetString(PyExc_ValueError, wrong.what());
    }
  });
  py::class_<Items>(module, "_StringIndexItems")
      .def("__iter__", [](py::object self) { return self; })
      .def("__next__", &Items::next);
  py::class_<StringIndex>(module, "StringIndex",
                          "An ordered map from bytes to integers of 64 bits; a str key is its UTF-8.")
      .def(py::init([](bool point_table) {
             return std::make_unique<StringIndex>(orrery::keyindex::IndexOptions{point_table});
           }),
           py::arg("point_table") = true)
      .def(
          "get",
          [](const StringIndex& index, const py::object& key, py::object otherwise) -> py::object {
            auto value = index.get(key_of(key));
            return value ? py::int_(*value) : otherwise;
          },
          py::arg("key"), py::arg("default") = py::none())
      .def("__getitem__",
           [](const StringIndex& index, const py::object& key) {
             auto value = index.get(key_of(key));
             if (!value) throw py::key_error(key_of(key));
             return *value;
           })
      .def("__setitem__",
           [](StringIndex& index, const py::object& key, uint64_t value) { index.put(key_of(key), value); })
      .def("__delitem__",
           [](StringIndex& index, const py::object& key) {
             if (!index.remove(key_of(key))) throw py::key_error(key_of(key));
           })
      .def("__contains__",
           [](const StringIndex& index, const py::object& key) { return index.get(key_of(key)).has_value(); })
      .def("__len__", &StringIndex::size)
      .def(
          "put",
          [](StringIndex& index, const py::object& key, uint64_t value) {
            return index.put(key_of(key), value);
          },
          "Inserts or overwrites; True where the key is new.")
      .def(
          "insert",
          [](StringIndex& index, const py::object& key, uint64_t value) {
            return index.insert(key_of(key), value);
          },
          "False where the key is there already; it keeps its value.")
      .def("remove", [](StringIndex& index, const py::object& key) { return index.remove(key_of(key)); })
      .def(
          "bulk_load",
          [](StringIndex& index, const py::iterable& pairs) {
            py::iterator at = pairs.begin();
            std::string bytes;
            index.bulk_load([&](std::string_view& key, uint64_t& value) {
              if (at == py::iterator::sentinel()) return false;
              auto pair = at->cast<py::tuple>();
              bytes = key_of(pair[0]);
              value = pair[1].cast<uint64_t>();
              key = bytes;
              ++at;
              return true;
            });
          },
          "Fills an empty index from (key, value) pairs in ascending byte order of the keys.")
      .def(
          "lower_bound",
          [](const StringIndex& index, const py::object& key) -> py::object {
            auto found = index.lower_bound(key_of(key));
            return found ? py::object(py::make_tuple(py::bytes(found->first), found->second)) : py::none();
          },
          "The first (key, value) with a key at or above this one, or None.")
      .def(
          "scan",
          [](py::object self, const py::object& from, const py::object& prefix, bool reverse) {
            if (!prefix.is_none() && (reverse || !from.is_none()))
              throw py::value_error("prefix goes with neither start nor reverse");
            std::string start = !prefix.is_none() ? key_of(prefix)
                                : from.is_none()  ? std::string()
                                                  : key_of(from);
            return Items(std::move(self), start, prefix.is_none() ? std::string() : key_of(prefix), reverse,
                         !from.is_none());
          },
          py::arg("start") = py::none(), py::kw_only(), py::arg("prefix") = py::none(),
          py::arg("reverse") = false, "Iterates over (key, value) in byte order, from `start` on.")
      .def("save",
           [](const StringIndex& index, const std::string& path) {
             py::gil_scoped_release others_may_run;
             index.save(path);
           })
      .def_static("load", [](const std::string& path) { return StringIndex::load(path); })
      .def("verify",
           [](const StringIndex& index) {
             py::gil_scoped_release others_may_run;
             index.verify();
           })
      .def(
          "bytes_per_key", [](const StringIndex& index) { return index.stats().bytes_per_key(); },
          "Memory beyond the keys' own bytes, values included.");
}
