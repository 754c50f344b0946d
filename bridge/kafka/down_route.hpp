#pragma once
/// Which Kafka topics come down, and by which row of `[[bridge.down]]`.
#include <regex.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "bridge/connector.hpp"
#include "bridge/kafka/settings.hpp"

namespace sluice::bridge::kafka {

class DownRoutes {
  public:
    /// `spec` has at least one down route. The error names place, key, problem and expectation.
    static Result<DownRoutes, std::string> make(const ConnectorSpec& spec);

    /// The consumer group of all rows.
    const std::string& group() const { return group_; }
    /// What to subscribe to: names, and patterns as librdkafka has them.
    const std::vector<std::string>& topics() const { return topics_; }
    /// The first row that names the topic or has a pattern that fits it; size() when there is none.
    std::size_t row_of(const std::string& topic) const;
    Start start_of(std::size_t row) const { return rows_.at(row).start; }
    std::size_t size() const { return rows_.size(); }

  private:
    struct RegexDeleter {
        void operator()(regex_t* regex) const {
            ::regfree(regex);
            delete regex;
        }
    };
    using Pattern = std::unique_ptr<regex_t, RegexDeleter>;
    struct Row {
        std::vector<std::string> names;
        std::vector<Pattern> patterns;
        Start start = Start::latest;
    };
    /// Empty, or what is wrong with the entry.
    static std::string add_topic(Row& row, const std::string& entry);

    std::vector<Row> rows_;
    std::vector<std::string> topics_;
    std::string group_;
};

}  // namespace sluice::bridge::kafka
