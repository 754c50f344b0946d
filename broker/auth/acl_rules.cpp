#include "auth/acl_rules.hpp"

#include <algorithm>

#include "auth/filter_relation.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "wire/topic.hpp"

namespace sluice::auth {
namespace {

bool has_wildcard(std::string_view name) {
    return name.find_first_of("+#") != std::string_view::npos;
}
bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

void log_dangerous_name() {
    static log::RateLimit limit(60'000);
    std::uint64_t suppressed = 0;
    if (limit.allow(Now::read().mono.time_since_epoch().count(), suppressed))
        log::warn("auth: a client with '+' or '#' in its client id or user name is refused by acl patterns");
}

/// Writes the pattern with its %c and %u replaced. False when the outcome is longer than any topic.
bool expand(std::string_view pattern, std::string_view user_name, std::string_view client_id,
            std::string& out) {
    out.clear();
    while (!pattern.empty()) {
        const std::size_t plain = std::min(pattern.find('%'), pattern.size());
        out.append(pattern.substr(0, plain));
        pattern.remove_prefix(plain);
        if (pattern.starts_with("%c") || pattern.starts_with("%u")) {
            out.append(pattern[1] == 'c' ? client_id : user_name);
            pattern.remove_prefix(2);
        } else if (!pattern.empty()) {
            out.push_back('%');
            pattern.remove_prefix(1);
        }
        if (out.size() > wire::topic_bytes_max) return false;
    }
    return true;
}

}  // namespace

struct AclRules::Question {
    Action action;
    std::string_view user_name, client_id, topic;
};

void AclRules::insert(Rules& rules, AclRule rule) {
    (rule.access == AclRule::deny ? rules.denials : rules.grants).push_back(std::move(rule));
}

void AclRules::add_for_anonymous(AclRule rule) {
    insert(anonymous_, std::move(rule));
    ++count_;
}

void AclRules::add_for_user(const std::string& user_name, AclRule rule) {
    insert(users_[user_name], std::move(rule));
    ++count_;
}

void AclRules::add_pattern(AclRule rule) {
    Pattern pattern{std::move(rule)};
    pattern.uses_client_id = contains(pattern.rule.filter, "%c");
    pattern.uses_user_name = contains(pattern.rule.filter, "%u");
    (pattern.rule.access == AclRule::deny ? patterns_.denials : patterns_.grants)
        .push_back(std::move(pattern));
    ++count_;
}

AclRules::Verdict AclRules::judge(const AclRule& rule, std::string_view filter, const Question& question) {
    const bool denies = rule.access == AclRule::deny;
    const std::uint8_t wanted = question.action == Action::publish ? AclRule::write : AclRule::read;
    if (!denies && (rule.access & wanted) == 0) return Verdict::undecided;
    bool applies = false;
    if (question.action != Action::subscribe) {
        applies = wire::filter_matches(filter, question.topic);
    } else if (denies) {
        applies = filter_covers(filter, question.topic);
    } else {
        applies = filters_overlap(filter, question.topic);
    }
    if (!applies) return Verdict::undecided;
    return denies ? Verdict::refused : Verdict::allowed;
}

bool AclRules::is_unsafe(const Pattern& pattern, const Question& question) {
    const auto unsafe = [&](bool used, std::string_view mark, std::string_view value) {
        if (!used) return false;
        return contains(value, "/") || (value.starts_with('$') && pattern.rule.filter.starts_with(mark));
    };
    return unsafe(pattern.uses_client_id, "%c", question.client_id) ||
           unsafe(pattern.uses_user_name, "%u", question.user_name);
}

AclRules::Verdict AclRules::judge_rules(const Rules& rules, const Question& question) {
    for (const auto* part : {&rules.denials, &rules.grants}) {
        for (const AclRule& rule : *part) {
            const Verdict verdict = judge(rule, rule.filter, question);
            if (verdict != Verdict::undecided) return verdict;
        }
    }
    return Verdict::undecided;
}

AclRules::Verdict AclRules::judge_pattern(const Pattern& pattern, const Question& question) {
    // Without a name there is no place of one's own.
    if (pattern.uses_user_name && question.user_name.empty()) return Verdict::undecided;
    if (pattern.uses_client_id && question.client_id.empty()) return Verdict::undecided;
    if (is_unsafe(pattern, question))
        return pattern.rule.access == AclRule::deny ? Verdict::refused : Verdict::undecided;
    if (!pattern.uses_client_id && !pattern.uses_user_name)
        return judge(pattern.rule, pattern.rule.filter, question);
    thread_local std::string filter;  // kept, so that the usual message costs no allocation
    if (!expand(pattern.rule.filter, question.user_name, question.client_id, filter))
        return Verdict::undecided;
    return judge(pattern.rule, filter, question);
}

AclRules::Verdict AclRules::judge_patterns(const Question& question) const {
    if (patterns_.denials.empty() && patterns_.grants.empty()) return Verdict::undecided;
    if (has_wildcard(question.user_name) || has_wildcard(question.client_id)) {
        log_dangerous_name();
        return Verdict::refused;
    }
    for (const auto* part : {&patterns_.denials, &patterns_.grants}) {
        for (const Pattern& pattern : *part) {
            const Verdict verdict = judge_pattern(pattern, question);
            if (verdict != Verdict::undecided) return verdict;
        }
    }
    return Verdict::undecided;
}

bool AclRules::allows(Action action, std::string_view user_name, std::string_view client_id,
                      std::string_view topic) const {
    const Question question{action, user_name, client_id, topic};
    Verdict verdict = Verdict::undecided;
    if (user_name.empty()) {
        verdict = judge_rules(anonymous_, question);
    } else if (const auto found = users_.find(user_name); found != users_.end()) {
        verdict = judge_rules(found->second, question);
    }
    if (verdict == Verdict::undecided) verdict = judge_patterns(question);
    return verdict == Verdict::allowed;
}

}  // namespace sluice::auth
