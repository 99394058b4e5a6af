// A file that torch.save wrote (PyTorch 1.6 and newer: a zip archive of data.pkl and one entry a storage),
// read without PyTorch and without executing anything: the pickle may ask for torch's tensor and storage
// types and for nothing else. Layout: torch/serialization.py and torch/_utils.py of PyTorch 2.8.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "orrery/trace/readers/pickle.h"
#include "orrery/trace/readers/zip_archive.h"

namespace orrery::trace {

// Whole numbers in row-major order, whatever the tensor's strides and type were.
struct IntegerTensor {
  std::vector<int64_t> shape;
  std::vector<int64_t> values;  // size product of shape
};

class TorchFile {
 public:
  // Throws InputError for anything else, naming what a hostile pickle asked for.
  TorchFile(std::string bytes, std::string file);
  TorchFile(const TorchFile&) = delete;
  TorchFile& operator=(const TorchFile&) = delete;

  const Pickle& pickle() const { return pickle_; }
  const PickleValue& root() const { return pickle_.root(); }
  bool is_tensor(const PickleValue& value) const;
  // `what` names the value in errors. Throws InputError where it is no tensor of whole numbers (signed or
  // unsigned, 8 to 64 bits; or floating point that holds whole numbers), or its storage does not hold what it
  // claims.
  IntegerTensor integers(const PickleValue& value, const std::string& what) const;
  [[noreturn]] void fail(const std::string& message) const;

 private:
  struct Storage {
    std::string_view bytes;
    const struct ElementType* type;
  };
  Storage storage(const PickleValue& persistent, const std::string& what) const;

  std::string bytes_, file_;
  ZipArchive archive_;
  std::string folder_;  // the archive's one top folder, with its slash
  Pickle pickle_;
};

TorchFile read_torch_file(const std::string& path);

}  // namespace orrery::trace
