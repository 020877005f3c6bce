// What every file but those of core includes. The builds compile it once and include it before each file, which takes
// half of the time of a build.
#include "pg/backend.hpp"
