// The tables of a latency report: the same rows for the terminal, for Markdown, CSV and JSON, and for the
// page.
#pragma once

#include "orrery/report/table.h"
#include "orrery/schedule/latency_report.h"

namespace orrery::report {

// What a person decides from, one row a device. Serving: fits, longest context x batch, TTFT, TPOT, tokens/s,
// price, energy, what binds, what it was checked on. A single mode: fits, time, tokens/s, share of the peaks,
// what binds, checked on. A device that the model does not fit on has a short row that says why and what
// would fit.
Table decision_table(const schedule::LatencyReport& report);

// Memory of one device by component, GB: a column for each device, then needed, available, and what still
// fits.
Table memory_table(const schedule::LatencyReport& report);

// Time by class of operators, a column for each device; `phase` picks prefill, decode or train.
Table class_table(const schedule::LatencyReport& report, graph::Mode phase);

// An iteration over many devices: a row a stage (layers, time of a micro-batch forwards and backwards, share
// of the iteration that it works, micro-batches whose activations it keeps), and a row a kind of link (what
// it carries, how long, how much of that nothing hides).
Table stage_table(const std::string& device, const schedule::IterationForecast& iteration);
Table link_table(const schedule::IterationForecast& iteration);

// The `most` distinct kernels that take the longest, with bounds and bands.
Table operator_table(const schedule::PhaseForecast& phase, size_t most);

}  // namespace orrery::report
