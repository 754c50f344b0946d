#pragma once
/// BadTopics: Kafka's places are topics.
#include "bridge/bad_places.hpp"

namespace sluice::bridge::kafka {

using BadTopics = BadPlaces;

}  // namespace sluice::bridge::kafka
