#pragma once
/// The secret that made-up salts are derived from: an unknown user name must get the same salt whenever
/// somebody asks, also after a restart, or it could be told from a known one.
#include <mutex>
#include <string>

#include "auth/crypto.hpp"
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

  private:
    mutable std::mutex mutex_;
    Sha256 secret_{};
};

}  // namespace sluice::auth
