// Clusters from YAML (data/clusters/): which devices, joined by which levels of links, innermost first.
#pragma once

#include <string>

#include "orrery/base/document.h"
#include "orrery/hardware/catalogue.h"
#include "orrery/hardware/cluster.h"

namespace orrery::hardware {

// Throws InputError with the place: unknown fields and devices, wrong units, fan-outs whose product is not
// the number of devices, an unknown kind of sharing.
Cluster read_cluster(const Node& root, const Catalogue& catalogue);
// By path, or by the name of a shipped cluster such as "dgx-h100".
Cluster find_cluster(std::string_view name_or_path, const Catalogue& catalogue = Catalogue::shipped());

}  // namespace orrery::hardware
