// What an engine recorded as the profile that placement is planned on.
#pragma once

#include "orrery/trace/expert_recording.h"
#include "orrery/trace/readers/routing.h"

namespace orrery::trace {

// Steps are the recorded ones, and so are phases. Token choices, where the recording has them, give
// transitions and co-activation; it names no requests, so that every token counts as a sequence of its own
// (its home rank is dealt token by token). `path` stands in errors. Throws InputError where the recording has
// more experts than `options.experts` says.
RoutingProfile profile_of(const ExpertRecording& recording, const std::string& path,
                          const RoutingOptions& options);

}  // namespace orrery::trace
