#pragma once
/// Checks passwords on a thread of its own: a hash costs a millisecond or many, and nobody else may wait for
/// it.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

#include "auth/auth.hpp"
#include "auth/password_file.hpp"

namespace sluice::auth {

/// Operation: an exchange (SCRAM) costs the server microseconds and answers at once, on the caller's thread.
/// `authenticate` answers at once what needs no hash (certificates, anonymous clients, a full
/// queue); the rest is answered from the worker thread: the sources take turns, and each one's in their
/// order. Every request is answered exactly once; the destructor answers what still waits with server_busy,
/// so that a client tries again.
class PasswordAuthenticator final : public Authenticator {
  public:
    /// Whatever a hash costs; one source may have half of it. In a full queue the last of whoever has most
    /// gives way to a source that has less. What really bounds the queue is Credentials::patience and the
    /// time that hashes have taken so far: a client that would wait longer is refused at once, and one that
    /// has waited longer, or has gone, costs no hash any more.
    static constexpr std::size_t waiting_max_default = 1024;

    /// `secret` null: one of its own.
    explicit PasswordAuthenticator(PasswordTable table, std::size_t waiting_max = waiting_max_default,
                                   std::shared_ptr<const DecoySecret> secret = nullptr);
    ~PasswordAuthenticator() override;
    PasswordAuthenticator(const PasswordAuthenticator&) = delete;
    PasswordAuthenticator& operator=(const PasswordAuthenticator&) = delete;

    void authenticate(const Credentials& credentials, Answer answer) override;
    std::unique_ptr<AuthExchange> begin_exchange(std::string_view method) override;
    void stop() override;
    /// Hashes computed so far.
    std::uint64_t hashes() const;

  private:
    struct Shared;
    static void work(const std::shared_ptr<Shared>& shared);

    /// Shared with the thread, which may outlive this object: see the destructor.
    std::shared_ptr<Shared> shared_;
    std::thread worker_;
};

}  // namespace sluice::auth
