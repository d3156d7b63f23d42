/* The one translation unit that holds volk's function table. */
#define VOLK_IMPLEMENTATION
#include <volk.h>
