// What the four trainers share: when a memo serves, how columns are put in, and z. Each brings its factor.
#pragma once

#include "orrery/keyindex/training/trainer.h"

namespace orrery::keyindex {

class FactorTrainer : public Trainer {
 protected:
  TrainResult compute(TrainJob& job) final;

  // The factor of all rows into `memo`, and β for y = rank - mean. memo.sums is filled where a memo is kept
  // or needs_z().
  virtual std::vector<double> factorize(const RowMatrix& rows, size_t columns, const TrainOptions& options,
                                        Memo& memo, TrainStats& stats) = 0;
  // The memo's map and sums are up to date; its factor is brought up to date, and β returned.
  virtual std::vector<double> refactorize(TrainJob& job, const RowMatrix& added, const RowMatrix& taken,
                                          const BlockSums::Change& change, TrainStats& stats) = 0;
  virtual void insert_zero_column(Memo& memo, size_t column) const = 0;
  virtual void truncate(Memo& memo, size_t columns) const = 0;
  virtual bool takes_out(const TrainOptions& options) const = 0;  // rows leave the factor exactly
  virtual bool needs_z() const { return false; }                  // also in full training

 private:
  FullReason prepare(TrainJob& job, TrainStats& stats) const;
  void train_in_full(const TrainJob& job, TrainResult& result);
  void train_from_memo(TrainJob& job, TrainResult& result);
  static void finish(const TrainJob& job, FeatureMap map, std::vector<double> beta, TrainResult& result);
};

}  // namespace orrery::keyindex
