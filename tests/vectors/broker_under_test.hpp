#pragma once
/// The two brokers that conversations are held with: the house built in this process, and the real program.
#include <cstdint>
#include <memory>
#include <string>

namespace sluice::test {

class BrokerUnderTest {
  public:
    virtual ~BrokerUnderTest() = default;
    virtual std::uint16_t port() const = 0;
    /// kill -9 and a new start with the same data; the port may change.
    virtual void restart() = 0;
    /// The orderly end; throws Mismatch when it was none.
    virtual void stop() = 0;
};

/// `limits`: lines of the [limits] table. Both throw Mismatch when the broker does not come up.
std::unique_ptr<BrokerUnderTest> make_memory_broker(int threads, const std::string& limits);
std::unique_ptr<BrokerUnderTest> make_process_broker(int threads, const std::string& limits);

}  // namespace sluice::test
