/* The section .vauban.map of objects built with --map: where each instruction that the compiler wrote has come to lie. It is never
 * loaded; `vauban variants build` takes it out of the finished binary. `vauban demap` joins the map of a variant with that of
 * the plain build, by function and instruction number.
 *
 * One record a chunk, which is a run of consecutive instructions of one function, in the order in which they lie in memory:
 *
 *   .quad   address of the chunk's first instruction       (0: the linker has dropped it)
 *   .long   number, within the function, of the first instruction (as the compiler ordered them, from 0)
 *   .long   count of instructions
 *   .quad   identity of the function: the first 8 bytes of its variant_random_fork() key for seed 0 (its text as the compiler wrote it)
 *   .asciz  name of the function's symbol
 *   .2byte  count times: bytes from the instruction's first byte to the next one's (what was inserted between them counts to the former)
 *
 * An inline assembly region (#APP to #NO_APP) is one instruction. Records are not aligned. Little endian. */
#ifndef VARIANT_MAP_H
#define VARIANT_MAP_H

#define VARIANT_MAP_SECTION ".vauban.map"

#endif
