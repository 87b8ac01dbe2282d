/* The answers of the CPUID instruction, as every cell of this user on this machine sees them (struct vb_cpuid). */
#ifndef HOST_PROCESSOR_H
#define HOST_PROCESSOR_H

#include <vauban/boot.h>

/* Fills at most max answers, from the file in `folder` (private to the user) if it was made since the host booted, else by asking
 * and then writing the file. Returns how many; 0 if there are more than fit. */
unsigned cpuid_answers(const char *folder, struct vb_cpuid *ret, unsigned max);

#endif
