/* In front of the C library's own with --structs: its structures of functions are laid out as the library has them
 * (cookie_io_functions_t, which fopencookie() takes by value). */
#pragma clang attribute push(__attribute__((no_randomize_layout)), apply_to = record)
#include_next <stdio.h>
#pragma clang attribute pop
