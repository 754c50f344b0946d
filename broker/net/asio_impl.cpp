// The one translation unit that compiles Asio (BOOST_ASIO_SEPARATE_COMPILATION). <utility> first: Boost 1.74
// with GCC 12 forgets it.
#include <utility>

#include <boost/asio/impl/src.hpp>
