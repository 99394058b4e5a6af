#include "orrery/keyindex/training/factor_trainers.h"

#include <algorithm>

#include "orrery/keyindex/training/corrected_step.h"
#include "orrery/keyindex/training/fpga_model.h"
#include "orrery/keyindex/training/gram.h"
#include "orrery/keyindex/training/simd.h"

namespace orrery::keyindex {
namespace {

constexpr double kDoubleTolerance = 1e-12, kSingleTolerance = 1e-6;
constexpr size_t kBlockRows = 64;

ORRERY_CLONES void widen(const int32_t* in, double* out, size_t count) {
  for (size_t j = 0; j < count; ++j) out[j] = in[j];
}
ORRERY_CLONES void widen(const int32_t* in, float* out, size_t count) {
  for (size_t j = 0; j < count; ++j) out[j] = static_cast<float>(in[j]);
}

// Adds rows [begin, end) to the factor; with `mean`, its last column is y = row number - mean.
template <class Real>
void add_rows(QrFactor<Real>& factor, const RowMatrix& rows, size_t begin, size_t end,
              const double* mean = nullptr) {
  alignas(64) Real block[kBlockRows * (kMostColumns + 1)];
  const size_t stride = factor.stride(), columns = factor.columns() - (mean ? 1 : 0);
  for (; begin < end; begin += kBlockRows) {
    const size_t count = std::min(kBlockRows, end - begin);
    for (size_t i = 0; i < count; ++i) {
      Real* row = block + i * stride;
      widen(rows.row(begin + i), row, columns);
      std::fill(row + columns, row + stride, Real{0});
      if (mean) row[columns] = static_cast<Real>(static_cast<double>(begin + i) - *mean);
    }
    factor.add(block, count);
  }
}

template <class Real>
QrFactor<Real> without_last_column(const QrFactor<Real>& factor) {
  QrFactor<Real> out = factor;
  out.truncate(factor.columns() - 1);
  return out;
}

class CpuF64 : public FactorTrainer {
 public:
  TrainerKind kind() const override { return TrainerKind::CpuF64; }

 protected:
  std::vector<double> factorize(const RowMatrix& rows, size_t columns, const TrainOptions& options,
                                Memo& memo, TrainStats&) override {
    if (options.block_tree && options.keep_memo) return factorize_blocks(rows, columns, memo);
    if (columns > kMostColumns) return factorize_widest(rows, columns, memo);
    QrFactor<double> factor(columns + 1);
    const double mean = (static_cast<double>(rows.rows()) - 1) / 2;
    add_rows(factor, rows, 0, rows.rows(), &mean);
    if (options.keep_memo) memo.r = without_last_column(factor).packed();
    return TriangularSolver(factor, 1, kDoubleTolerance).solve_carried();
  }

  std::vector<double> refactorize(TrainJob& job, const RowMatrix& added, const RowMatrix&,
                                  const BlockSums::Change& change, TrainStats& stats) override {
    Memo& memo = job.memo;
    const size_t columns = memo.map.columns();
    if (memo.tree) {
      update_tree(job, change, stats);
      return TriangularSolver(memo.tree->root(), 0, kDoubleTolerance).solve_normal(memo.sums.centred_z());
    }
    QrFactor<double> factor(columns, memo.r);
    add_rows(factor, added, 0, added.rows());
    stats.rows_factorized += added.rows();
    memo.r = factor.packed();
    const TriangularSolver solver(factor, 0, kDoubleTolerance);
    std::vector<double> beta = solver.solve_normal(memo.sums.centred_z());
    if (job.options.corrections > 0)
      correct(rows_of(memo.map, job.keys), columns, solver, job.options.corrections, beta);
    return beta;
  }

  void insert_zero_column(Memo& memo, size_t column) const override {
    if (memo.tree) return memo.tree->insert_zero_column(column);
    QrFactor<double> factor(memo.map.columns() - 1, memo.r);
    factor.insert_zero_column(column);
    memo.r = factor.packed();
  }
  void truncate(Memo& memo, size_t columns) const override {
    if (memo.tree) return memo.tree->truncate(columns);
    QrFactor<double> factor(columns + 1, memo.r);
    factor.truncate(columns);
    memo.r = factor.packed();
  }
  bool takes_out(const TrainOptions& options) const override { return options.block_tree; }

 private:
  // With 63 features no column is left for y.
  static std::vector<double> factorize_widest(const RowMatrix& rows, size_t columns, Memo& memo) {
    QrFactor<double> factor(columns);
    add_rows(factor, rows, 0, rows.rows());
    memo.r = factor.packed();
    const TriangularSolver solver(factor, 0, kDoubleTolerance);
    std::vector<double> beta = solver.solve_normal(BlockSums(rows, columns).centred_z());
    correct(rows, columns, solver, 1, beta);
    return beta;
  }

  static QrFactor<double> factor_of(const RowMatrix& rows, size_t columns, size_t begin, size_t end) {
    QrFactor<double> factor(columns);
    add_rows(factor, rows, begin, end);
    return factor;
  }

  static std::vector<double> factorize_blocks(const RowMatrix& rows, size_t columns, Memo& memo) {
    RTree tree(columns);
    for (size_t begin = 0; begin < rows.rows(); begin += BlockSums::kBlock) {
      const size_t end = std::min(rows.rows(), begin + BlockSums::kBlock);
      tree.insert(tree.blocks(), end - begin, factor_of(rows, columns, begin, end));
    }
    const TriangularSolver solver(tree.root(), 0, kDoubleTolerance);
    memo.tree = std::move(tree);
    return solver.solve_normal(memo.sums.centred_z());
  }

  // Only blocks in which something happened are factorized; where none was split or emptied, only their
  // ancestors are merged anew.
  static void update_tree(TrainJob& job, const BlockSums::Change& change, TrainStats& stats) {
    RTree& tree = *job.memo.tree;
    const size_t columns = job.memo.map.columns();
    RTree next(columns);
    const bool same_places = change.blocks.size() == tree.blocks();
    for (size_t i = 0; i < change.blocks.size(); ++i) {
      const BlockSums::Change::Block& block = change.blocks[i];
      const size_t length = block.last - block.first;
      if (block.before >= 0) {
        if (!same_places) next.insert(i, length, tree.factor_of(static_cast<size_t>(block.before)));
        continue;
      }
      const RowMatrix rows = rows_of(job.memo.map, job.keys.subspan(block.first, length));
      stats.rows_factorized += length;
      const QrFactor<double> factor = factor_of(rows, columns, 0, length);
      same_places ? tree.replace(i, length, factor) : next.insert(i, length, factor);
    }
    if (!same_places) tree = std::move(next);
  }
};

// R in single precision serves as a preconditioner; doubles and all rows make up for what it lacks.
class CpuF32 : public FactorTrainer {
 public:
  TrainerKind kind() const override { return TrainerKind::CpuF32; }

 protected:
  std::vector<double> factorize(const RowMatrix& rows, size_t columns, const TrainOptions& options,
                                Memo& memo, TrainStats&) override {
    QrFactor<float> factor(columns);
    add_rows(factor, rows, 0, rows.rows());
    if (options.keep_memo) memo.r_single = factor.packed();
    return solve(factor, rows, memo.sums, options);
  }
  std::vector<double> refactorize(TrainJob& job, const RowMatrix& added, const RowMatrix&,
                                  const BlockSums::Change&, TrainStats& stats) override {
    QrFactor<float> factor(job.memo.map.columns(), job.memo.r_single);
    add_rows(factor, added, 0, added.rows());
    stats.rows_factorized += added.rows();
    job.memo.r_single = factor.packed();
    return solve(factor, rows_of(job.memo.map, job.keys), job.memo.sums, job.options);
  }
  void insert_zero_column(Memo& memo, size_t column) const override {
    QrFactor<float> factor(memo.map.columns() - 1, memo.r_single);
    factor.insert_zero_column(column);
    memo.r_single = factor.packed();
  }
  void truncate(Memo& memo, size_t columns) const override {
    QrFactor<float> factor(columns + 1, memo.r_single);
    factor.truncate(columns);
    memo.r_single = factor.packed();
  }
  bool takes_out(const TrainOptions&) const override { return false; }
  bool needs_z() const override { return true; }

  static std::vector<double> solve(const QrFactor<float>& factor, const RowMatrix& rows,
                                   const BlockSums& sums, const TrainOptions& options) {
    const TriangularSolver solver(factor, 0, kSingleTolerance);
    std::vector<double> beta = solver.solve_normal(sums.centred_z());
    correct(rows, factor.columns(), solver, 2 + options.corrections, beta);
    return beta;
  }
};

class FpgaModel : public CpuF32 {
 public:
  TrainerKind kind() const override { return TrainerKind::FpgaModel; }

 protected:
  std::vector<double> factorize(const RowMatrix& rows, size_t columns, const TrainOptions& options,
                                Memo& memo, TrainStats& stats) override {
    if (falls_back(columns, rows.rows(), stats))
      return CpuF32::factorize(rows, columns, options, memo, stats);
    const QrFactor<float> factor = fpga_factor(QrFactor<float>(columns), rows);
    account(rows.rows(), columns, stats);
    if (options.keep_memo) memo.r_single = factor.packed();
    return descend(factor, rows, options);
  }
  std::vector<double> refactorize(TrainJob& job, const RowMatrix& added, const RowMatrix& taken,
                                  const BlockSums::Change& change, TrainStats& stats) override {
    const size_t columns = job.memo.map.columns();
    if (falls_back(columns, columns, stats)) return CpuF32::refactorize(job, added, taken, change, stats);
    const QrFactor<float> factor = fpga_factor(QrFactor<float>(columns, job.memo.r_single), added);
    account(columns + added.rows(), columns, stats);  // the old triangle goes in as rows
    stats.rows_factorized += added.rows();
    job.memo.r_single = factor.packed();
    return descend(factor, rows_of(job.memo.map, job.keys), job.options);
  }

 private:
  // The table's square roots leave an R good to about three digits, too coarse to solve with: it is the
  // preconditioner of a descent that starts from nothing.
  static std::vector<double> descend(const QrFactor<float>& factor, const RowMatrix& rows,
                                     const TrainOptions& options) {
    constexpr int kSteps = 60;
    constexpr double kTableTolerance = 0x1p-11;
    std::vector<double> beta(factor.columns());
    correct(rows, factor.columns(), TriangularSolver(factor, 0, kTableTolerance),
            kSteps + options.corrections, beta);
    return beta;
  }

  bool falls_back(size_t columns, size_t rows, TrainStats& stats) const {
    stats.fell_back = columns > static_cast<size_t>(shape_.columns) || rows < columns;
    return stats.fell_back;
  }
  void account(uint64_t rows, uint64_t columns, TrainStats& stats) const {
    const FpgaTime time = fpga_time(shape_, rows, columns);
    stats.cycles += time.cycles;
    stats.bytes_moved += time.bytes;
  }
  FpgaShape shape_;
};

class GramInt64 : public FactorTrainer {
 public:
  TrainerKind kind() const override { return TrainerKind::GramInt64; }

 protected:
  std::vector<double> factorize(const RowMatrix& rows, size_t columns, const TrainOptions&, Memo& memo,
                                TrainStats&) override {
    Gram gram(columns);
    gram.add(rows.data(), rows.rows(), rows.stride());
    std::vector<double> beta = gram.solve(memo.sums.centred_z());
    memo.gram.assign(gram.packed().begin(), gram.packed().end());
    return beta;
  }
  std::vector<double> refactorize(TrainJob& job, const RowMatrix& added, const RowMatrix& taken,
                                  const BlockSums::Change&, TrainStats& stats) override {
    Gram gram(job.memo.map.columns(), std::move(job.memo.gram));
    gram.add(added.data(), added.rows(), added.stride());
    gram.add(taken.data(), taken.rows(), taken.stride(), -1);
    stats.rows_factorized += added.rows() + taken.rows();
    std::vector<double> beta = gram.solve(job.memo.sums.centred_z());
    job.memo.gram = std::move(gram).release();
    return beta;
  }
  void insert_zero_column(Memo& memo, size_t column) const override {
    Gram gram(memo.map.columns() - 1, std::move(memo.gram));
    gram.insert_zero_column(column);
    memo.gram = std::move(gram).release();
  }
  void truncate(Memo& memo, size_t columns) const override {
    Gram gram(columns + 1, std::move(memo.gram));
    gram.truncate(columns);
    memo.gram = std::move(gram).release();
  }
  bool takes_out(const TrainOptions&) const override { return true; }
  bool needs_z() const override { return true; }
};

}  // namespace

std::unique_ptr<Trainer> make_trainer(TrainerKind kind) {
  switch (kind) {
    case TrainerKind::CpuF64:
      return std::make_unique<CpuF64>();
    case TrainerKind::CpuF32:
      return std::make_unique<CpuF32>();
    case TrainerKind::GramInt64:
      return std::make_unique<GramInt64>();
    case TrainerKind::FpgaModel:
      return std::make_unique<FpgaModel>();
  }
  return nullptr;
}

}  // namespace orrery::keyindex
