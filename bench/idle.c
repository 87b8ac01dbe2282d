/* Says that it runs, then waits for ever. */
#include <unistd.h>

int main(void)
{
	if (write(1, "up\n", 3) != 3)
		return 1;
	for (;;)
		pause();
}
