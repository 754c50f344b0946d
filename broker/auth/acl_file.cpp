#include "auth/acl_file.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "auth/text_file.hpp"
#include "base/log.hpp"
#include "wire/topic.hpp"

namespace sluice::auth {
namespace {

class RulesAuthorizer final : public Authorizer {
  public:
    explicit RulesAuthorizer(AclRules rules) : rules_(std::move(rules)) {}
    bool allows(Action action, std::string_view user_name, std::string_view client_id,
                std::string_view topic) const override {
        return rules_.allows(action, user_name, client_id, topic);
    }

  private:
    const AclRules rules_;
};

class AllowAllAuthorizer final : public Authorizer {
  public:
    bool allows(Action, std::string_view, std::string_view, std::string_view) const override { return true; }
};

std::optional<std::uint8_t> access_of(std::string_view word) {
    if (word == "read") return AclRule::read;
    if (word == "write") return AclRule::write;
    if (word == "readwrite") return AclRule::read | AclRule::write;
    if (word == "deny") return AclRule::deny;
    return std::nullopt;
}

/// Reads "[access] FILTER". The access may be left out when the filter has no blank in it: a single word is a
/// filter, even the word "read".
Result<AclRule, std::string> parse_rule(std::string_view text) {
    AclRule rule;
    std::string_view filter = text;
    const std::string_view word = cut_word(filter);
    if (filter.empty()) {
        filter = word;
    } else if (const auto access = access_of(word)) {
        rule.access = *access;
    } else {
        return Err{fmt::format("unknown access `{}`; expected read, write, readwrite or deny", word)};
    }
    if (filter.empty()) return Err{std::string("the topic is missing; expected `[access] FILTER`")};
    if (!wire::is_topic_filter(filter))
        return Err{fmt::format("`{}` is no topic filter; expected '+' and '#' alone in their level, '#' last",
                               filter)};
    rule.filter = filter;
    return rule;
}

bool has_mark(std::string_view filter) {
    return filter.find("%c") != std::string_view::npos || filter.find("%u") != std::string_view::npos;
}

/// Both are allowed and both are seldom meant.
void warn_of_marks(bool is_pattern, const AclRule& rule, std::string_view file, std::size_t line) {
    if (is_pattern && !has_mark(rule.filter))
        log::warn(at_line(file, line, "this pattern has neither %c nor %u: it applies to all clients alike"));
    if (!is_pattern && has_mark(rule.filter))
        log::warn(at_line(file, line, "%c and %u are plain text in a `topic` line; expected `pattern`?"));
}

}  // namespace

Result<AclRules, std::string> parse_acl(std::string_view text, std::string_view file) {
    AclRules rules;
    std::string user_name;  // of the last `user` line; the lines before the first are for anonymous clients
    LineReader lines(text);
    for (std::string_view line; lines.next(line);) {
        const auto problem = [&](std::string_view what) { return Err{at_line(file, lines.number(), what)}; };
        const std::string_view keyword = cut_word(line);
        if (keyword == "user") {
            if (line.empty()) return problem("the user name is missing; expected `user NAME`");
            user_name = line;
            continue;
        }
        const bool is_pattern = keyword == "pattern";
        if (!is_pattern && keyword != "topic")
            return problem(fmt::format("unknown word `{}`; expected topic, user or pattern", keyword));
        auto rule = parse_rule(line);
        if (!rule) return problem(rule.error());
        warn_of_marks(is_pattern, *rule, file, lines.number());
        if (is_pattern) {
            rules.add_pattern(std::move(rule).value());
        } else if (user_name.empty()) {
            rules.add_for_anonymous(std::move(rule).value());
        } else {
            rules.add_for_user(user_name, std::move(rule).value());
        }
    }
    return rules;
}

Result<std::shared_ptr<const Authorizer>, std::string> load_acl_file(const std::string& path) {
    const auto text = load_text_file(path);
    if (!text) return Err{text.error()};
    auto rules = parse_acl(*text, path);
    if (!rules) return Err{rules.error()};
    return std::shared_ptr<const Authorizer>(std::make_shared<RulesAuthorizer>(std::move(rules).value()));
}

std::shared_ptr<const Authorizer> make_allow_all_authorizer() {
    return std::make_shared<AllowAllAuthorizer>();
}

}  // namespace sluice::auth
