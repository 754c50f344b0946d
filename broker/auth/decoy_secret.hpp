#pragma once
/// The secret that made-up salts are derived from: an unknown user name must get the same salt whenever
/// somebody asks, also after a restart, or it could be told from a known one.
#include <mutex>
#include <string>

#include "auth/crypto.hpp"
#include "base/bytes.hpp"
#include "base/keyed_hash.hpp"
#include "base/result.hpp"

namespace sluice::auth {

/// Random at first. Any thread.
class DecoySecret {
  public:
    DecoySecret() { fill_random(secret_); }
    /// From now on the secret of this file, which is made (mode 0600) when it is missing or damaged. The
    /// error is one line that names the file; the secret stays as it was then.
    Result<void, std::string> keep_in(const std::string& path);
    /// A number of 32 bytes that only who has the secret can tell from chance: HMAC of `use` and `name`.
    Sha256 derive(std::string_view use, std::string_view name) const;
    /// One of `count` things, named by `text_of(i)`: another one only when the one that was picked is gone,
    /// or when one has come that is picked instead, which of n befalls one name in n. So a change of the list
    /// shows as rarely as can be. `count` at least 1.
    template <class TextOf>
    std::size_t pick(std::string_view use, std::string_view name, std::size_t count, TextOf&& text_of) const {
        const Sha256 bytes = derive(use, name);
        const HashKey key{read_u64(bytes.data()), read_u64(bytes.data() + 8)};
        std::size_t best = 0;
        std::uint64_t most = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint64_t weight = keyed_hash(key, text_of(i));
            if (i > 0 && weight <= most) continue;
            best = i;
            most = weight;
        }
        return best;
    }

  private:
    mutable std::mutex mutex_;
    Sha256 secret_{};
};

}  // namespace sluice::auth
