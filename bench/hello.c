/* The smallest ordinary program: a static glibc hello. */
#include <stdio.h>

int main(void)
{
	puts("hello");
	return 0;
}
