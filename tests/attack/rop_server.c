/* A server with a plain mistake, the victim of rop_exploit.c: one request on its input, an answer on its output, and a copy that
 * doesn't look at the length. It also says where one of its functions lies, as careless logs do. The request itself is at the same
 * address in every variant, so that an attacker has to know nothing but where code is. */
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REQUEST ((char *)0x20000000)
#define REQUEST_BYTES 4096

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Some of what servers do, so that there is some of a C library to find gadgets in. */
__attribute__((noinline)) static void answer(char *line)
{
	char *words[16];
	size_t count = 0;
	regex_t number;
	if (regcomp(&number, "^-?[0-9]+([.][0-9]*)?$", REG_EXTENDED | REG_NOSUB) != 0)
		exit(1);
	for (char *word = strtok(line, " \n"); word && count < 16; word = strtok(NULL, " \n"))
		words[count++] = word;
	qsort(words, count, sizeof(words[0]), compare);
	for (size_t i = 0; i < count; i++) {
		if (regexec(&number, words[i], 0, NULL, 0) == 0)
			printf("%s: %.3f\n", words[i], sqrt(fabs(strtod(words[i], NULL))));
		else
			printf("%s\n", words[i]);
	}
	regfree(&number);
}

__attribute__((noinline)) void serve(const char *request, size_t bytes)
{
	char line[128];
	memcpy(line, request, bytes); /* the mistake */
	line[bytes < sizeof(line) ? bytes : sizeof(line) - 1] = 0;
	answer(line);
}

int main(void)
{
	if (mmap(REQUEST, REQUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != REQUEST)
		return 1;
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("serve at %p\n", (void *)serve);
	size_t bytes = 0;
	ssize_t n;
	while (bytes < REQUEST_BYTES && (n = read(0, REQUEST + bytes, REQUEST_BYTES - bytes)) > 0)
		bytes += (size_t)n;
	serve(REQUEST, bytes);
	puts("bye");
	return 0;
}
