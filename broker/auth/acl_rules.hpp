#pragma once
/// The rules of an acl_file, and the judgement by them. Immutable once read: any thread.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/auth.hpp"

namespace sluice::auth {

struct AclRule {
    static constexpr std::uint8_t deny = 0, read = 1, write = 2;
    std::uint8_t access = read | write;  ///< bits; `deny` when none
    std::string filter;                  ///< for a pattern: with %c and %u still in it
};

/// Judges as mosquitto 2.0 does. First the rules of the user (or those of anonymous clients), then the
/// patterns; in both, `deny` rules come before all others, the first rule that applies decides, and what no
/// rule decides is refused. So a `deny` pattern takes nothing away that a `topic` line of the user grants.
///
/// publish needs `write` and deliver `read`, for exactly the topic. subscribe takes a filter: it is allowed
/// when some `read` rule could match something of it, and refused when a `deny` covers all of it; what may
/// not be read of the rest is held back message by message (deliver). That is between mosquitto, which lets
/// everybody subscribe to anything, and demanding that one rule covers the whole filter, which would break
/// `#` for clients that may read a part.
///
/// A name must not widen a pattern. As in mosquitto, a client id or user name with '+' or '#' gets nothing
/// from any pattern. Beyond mosquitto, one with '/' or (in front of a pattern) a '$' gets nothing from a
/// pattern that would put it into the topic, and a `deny` of that kind denies everything.
class AclRules {
  public:
    void add_for_anonymous(AclRule rule);
    void add_for_user(const std::string& user_name, AclRule rule);
    void add_pattern(AclRule pattern);

    bool allows(Action action, std::string_view user_name, std::string_view client_id,
                std::string_view topic) const;
    std::size_t size() const { return count_; }

  private:
    struct Pattern {
        AclRule rule;
        bool uses_client_id = false, uses_user_name = false;
    };
    enum class Verdict : std::uint8_t { allowed, refused, undecided };
    struct Question;

    /// In the order of judgement.
    template <class Rule>
    struct RuleList {
        std::vector<Rule> denials, grants;
    };
    using Rules = RuleList<AclRule>;

    static void insert(Rules& rules, AclRule rule);
    static Verdict judge_rules(const Rules& rules, const Question& question);
    static Verdict judge(const AclRule& rule, std::string_view filter, const Question& question);
    Verdict judge_patterns(const Question& question) const;
    static Verdict judge_pattern(const Pattern& pattern, const Question& question);
    static bool is_unsafe(const Pattern& pattern, const Question& question);

    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
    };
    Rules anonymous_;
    std::unordered_map<std::string, Rules, NameHash, std::equal_to<>> users_;
    RuleList<Pattern> patterns_;
    std::size_t count_ = 0;
};

}  // namespace sluice::auth
