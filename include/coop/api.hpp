/* coop::api: the library's functions as a table, for code that is not linked with it.
 *
 *     load_my_plugin(&coop::api());
 *
 * A table is of one copy of the library, and objects of one copy mean nothing to another. What a table is given for, a handler in
 * a shared library, is loaded by coop::port::load. */
#ifndef COOP_API_HPP
#define COOP_API_HPP

#include <coop.h>

namespace coop {

/* The functions of the copy that this program is linked with. Lives as long as the program. Any thread. */
inline const coop_api &api() noexcept { return *coop_api_get(); }

}  // namespace coop

#endif  // COOP_API_HPP
