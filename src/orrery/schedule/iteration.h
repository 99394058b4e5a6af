// One iteration of a model over data × tensor × pipeline parallel devices: when every stage computes, what
// the links carry meanwhile, and what of it nothing hides.
//
// A replica is a pipeline of stages (pipeline.h), each a run of whole layers on one tensor-parallel group:
// the embeddings lie with the first, the head with the last, layers are divided as evenly as they go, earlier
// stages taking the rest. Stages are priced from the operator graph of one micro-batch on one device,
// launches, waiting and derating of the plain forecast included in proportion; one device's iteration is that
// forecast exactly. Tensor-parallel collectives stand where the graph has them, on the same stream.
//
// Data parallel (Li et al. 2020, PyTorch Distributed, arXiv 2006.15704): during the backward pass of a
// replica's last micro-batch the gradients of a block (embedding, layer, head) are reduced as soon as they
// are whole, one block after another on the link, beside the computation: end = max(end, ready) + t. The
// iteration ends when both are done, then the optimizer runs. With `bucket_copies` gradients are copied into
// the buckets that travel, and back when all have arrived, as DistributedDataParallel does unless told to
// keep views.
//
// Ranks: tensor-parallel neighbours lie closest, then replicas, then stages (Narayanan et al. 2021, arXiv
// 2104.04473).
#pragma once

#include <vector>

#include "orrery/cost/collective_model.h"
#include "orrery/graph/workload.h"
#include "orrery/hardware/cluster.h"
#include "orrery/schedule/iteration_forecast.h"
#include "orrery/schedule/predictor.h"

namespace orrery::schedule {

struct IterationOptions {
  int micro_batches = 1;  // of each replica
  PipelineSchedule schedule = PipelineSchedule::OneForwardOneBackward;
  bool blocking_sends = false;
  bool overlap_gradients = true;
  bool bucket_copies = true;
  bool timeline = false;
};

// `work`: the batch of the whole iteration, over all replicas and micro-batches; its parallelism names the
// widths. The cluster's first ranks are taken, all of one kind. Throws InputError for widths that do not
// divide the batch or the layers, for more devices than the cluster has, for pipelines of two towers or of
// decoding.
IterationForecast forecast_iteration(const graph::ModelConfig& model, const graph::Workload& work,
                                     const IterationOptions& options, const hardware::Cluster& cluster,
                                     const Predictor& predictor, Driver driver = Driver::Framework);
// The same with collectives of one's own (reproductions, calibrated links).
IterationForecast forecast_iteration(const graph::ModelConfig& model, const graph::Workload& work,
                                     const IterationOptions& options, const hardware::Cluster& cluster,
                                     const Predictor& predictor, Driver driver,
                                     const cost::CollectiveModel& collectives);

// The graph of one micro-batch on one device, as forecast_iteration builds it.
graph::Workload micro_batch_of(const graph::Workload& work, const IterationOptions& options);
// First layer of each of `stages` stages, and the number of layers behind the last.
std::vector<int> divide_layers(int layers, int stages);

}  // namespace orrery::schedule
