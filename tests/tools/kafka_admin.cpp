/// kafka_admin HOST:PORT: makes and changes topics of a real cluster, for tests. Each command on standard
/// input is answered with "ok" or "error ..."; it ends when standard input closes. See `help_text`.
#include <librdkafka/rdkafka.h>

#include <array>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr const char* help_text =
    "topic NAME PARTITIONS [KEY=VALUE...] | delete NAME | partitions NAME TOTAL | config NAME KEY=VALUE... | "
    "deny USER NAME [all] (nobody of that name may write to the topic, or even know of it) | allow USER NAME "
    "[all] (ends deny)";
constexpr int timeout_ms = 20'000;
constexpr std::size_t error_bytes = 512;

using ErrorText = std::array<char, error_bytes>;
using Words = std::istringstream;

/// The rest of the words, which are "KEY=VALUE".
template <class Take>
void each_pair(Words& words, Take take) {
    for (std::string pair; words >> pair;) {
        const auto equals = pair.find('=');
        const std::string value = equals == std::string::npos ? "" : pair.substr(equals + 1);
        take(pair.substr(0, equals).c_str(), value.c_str());
    }
}

/// Sends one request and waits for its answer; empty when the cluster has done it, else what was wrong.
class Admin {
  public:
    explicit Admin(rd_kafka_t* handle) : handle_(handle), queue_(rd_kafka_queue_new(handle)) {}
    ~Admin() { rd_kafka_queue_destroy(queue_); }
    Admin(const Admin&) = delete;
    Admin& operator=(const Admin&) = delete;

    std::string topic(Words& words) {
        std::string name;
        int partitions = 0;
        if (!(words >> name >> partitions)) return "expected: topic NAME PARTITIONS [KEY=VALUE...]";
        ErrorText text{};
        rd_kafka_NewTopic_t* topic =
            rd_kafka_NewTopic_new(name.c_str(), partitions, 1, text.data(), text.size());
        if (!topic) return text.data();
        each_pair(words, [&](const char* key, const char* value) {
            rd_kafka_NewTopic_set_config(topic, key, value);
        });
        rd_kafka_CreateTopics(handle_, &topic, 1, nullptr, queue_);
        rd_kafka_NewTopic_destroy(topic);
        return answer([](rd_kafka_event_t* event, std::size_t& count) {
            return rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        });
    }

    std::string remove(Words& words) {
        std::string name;
        if (!(words >> name)) return "expected: delete NAME";
        rd_kafka_DeleteTopic_t* topic = rd_kafka_DeleteTopic_new(name.c_str());
        rd_kafka_DeleteTopics(handle_, &topic, 1, nullptr, queue_);
        rd_kafka_DeleteTopic_destroy(topic);
        return answer([](rd_kafka_event_t* event, std::size_t& count) {
            return rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        });
    }

    std::string partitions(Words& words) {
        std::string name;
        std::size_t total = 0;
        if (!(words >> name >> total)) return "expected: partitions NAME TOTAL";
        ErrorText text{};
        rd_kafka_NewPartitions_t* more =
            rd_kafka_NewPartitions_new(name.c_str(), total, text.data(), text.size());
        if (!more) return text.data();
        rd_kafka_CreatePartitions(handle_, &more, 1, nullptr, queue_);
        rd_kafka_NewPartitions_destroy(more);
        return answer([](rd_kafka_event_t* event, std::size_t& count) {
            return rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event),
                                                           &count);
        });
    }

    /// What is not named goes back to its default. The cluster answers before its servers go by it: what must
    /// hold for the first record is given with `topic`.
    std::string config(Words& words) {
        std::string name;
        if (!(words >> name)) return "expected: config NAME KEY=VALUE...";
        rd_kafka_ConfigResource_t* topic = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str());
        each_pair(words, [&](const char* key, const char* value) {
            rd_kafka_ConfigResource_set_config(topic, key, value);
        });
        rd_kafka_AlterConfigs(handle_, &topic, 1, nullptr, queue_);
        rd_kafka_ConfigResource_destroy(topic);
        std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)> event(wait(),
                                                                                   &rd_kafka_event_destroy);
        if (!event) return "no answer in time";
        if (rd_kafka_event_error(event.get())) return rd_kafka_event_error_string(event.get());
        std::size_t count = 0;
        const auto* const* results =
            rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event.get()), &count);
        if (count == 1 && rd_kafka_ConfigResource_error(results[0]))
            return rd_kafka_ConfigResource_error_string(results[0]);
        return {};
    }

    std::string deny(Words& words, bool denied) {
        std::string user, name, extent;
        if (!(words >> user >> name)) return "expected: USER NAME [all]";
        words >> extent;
        user = "User:" + user;
        ErrorText text{};
        const auto make = denied ? &rd_kafka_AclBinding_new : &rd_kafka_AclBindingFilter_new;
        rd_kafka_AclBinding_t* acl =
            make(RD_KAFKA_RESOURCE_TOPIC, name.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL, user.c_str(), "*",
                 extent == "all" ? RD_KAFKA_ACL_OPERATION_ALL : RD_KAFKA_ACL_OPERATION_WRITE,
                 RD_KAFKA_ACL_PERMISSION_TYPE_DENY, text.data(), text.size());
        if (!acl) return text.data();
        const auto change = denied ? &rd_kafka_CreateAcls : &rd_kafka_DeleteAcls;
        change(handle_, &acl, 1, nullptr, queue_);
        rd_kafka_AclBinding_destroy(acl);
        std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)> event(wait(),
                                                                                   &rd_kafka_event_destroy);
        if (!event) return "no answer in time";
        if (rd_kafka_event_error(event.get())) return rd_kafka_event_error_string(event.get());
        if (!denied) return {};
        std::size_t count = 0;
        const auto* const* results =
            rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event.get()), &count);
        const rd_kafka_error_t* error = count == 1 ? rd_kafka_acl_result_error(results[0]) : nullptr;
        return error ? rd_kafka_error_string(error) : std::string();
    }

  private:
    rd_kafka_event_t* wait() { return rd_kafka_queue_poll(queue_, timeout_ms); }

    /// `results` takes the topics out of the event.
    template <class Results>
    std::string answer(Results results) {
        std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)> event(wait(),
                                                                                   &rd_kafka_event_destroy);
        if (!event) return "no answer in time";
        if (rd_kafka_event_error(event.get())) return rd_kafka_event_error_string(event.get());
        std::size_t count = 0;
        const rd_kafka_topic_result_t** topics = results(event.get(), count);
        if (count != 1) return "an answer without a topic";
        if (!rd_kafka_topic_result_error(topics[0])) return {};
        const char* text = rd_kafka_topic_result_error_string(topics[0]);
        return text ? text : rd_kafka_err2str(rd_kafka_topic_result_error(topics[0]));
    }

    rd_kafka_t* handle_;
    rd_kafka_queue_t* queue_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: kafka_admin HOST:PORT\n" << help_text << '\n';
        return 2;
    }
    ErrorText text{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], text.data(), text.size());
    rd_kafka_conf_set(conf, "log_level", "0", text.data(), text.size());
    rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size());
    if (!handle) {
        std::cerr << "kafka_admin: " << text.data() << '\n';
        return 1;
    }
    {
        Admin admin(handle);
        const std::map<std::string, std::function<std::string(Words&)>> commands{
            {"topic", [&](Words& words) { return admin.topic(words); }},
            {"delete", [&](Words& words) { return admin.remove(words); }},
            {"partitions", [&](Words& words) { return admin.partitions(words); }},
            {"config", [&](Words& words) { return admin.config(words); }},
            {"deny", [&](Words& words) { return admin.deny(words, true); }},
            {"allow", [&](Words& words) { return admin.deny(words, false); }},
        };
        for (std::string line; std::getline(std::cin, line);) {
            Words words(line);
            std::string name;
            words >> name;
            const auto command = commands.find(name);
            const std::string problem = command == commands.end()
                                            ? std::string("unknown command; expected ") + help_text
                                            : command->second(words);
            std::cout << (problem.empty() ? "ok" : "error " + problem) << std::endl;
        }
    }
    rd_kafka_destroy(handle);
    return 0;
}
