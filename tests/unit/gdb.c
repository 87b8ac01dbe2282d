/* What a cell may say to gdb: answers, whatever they are cut into; never a request for files of the host. */
#include "monitor/cell.h"

#include <stdio.h>
#include <string.h>

static int count, failed;

/* In one piece, and byte by byte. */
static void check(const char *stream, bool want)
{
	unsigned char whole = 0, single = 0;
	bool passes = gdb_may_hear(&whole, stream, strlen(stream)), each = true;
	for (const char *s = stream; *s; s++)
		each &= gdb_may_hear(&single, s, 1);
	bool ok = passes == want && each == want;
	failed += !ok;
	printf("%s %d - %s: %s\n", ok ? "ok" : "not ok", ++count, want ? "passes" : "is stopped", stream);
}

int main(void)
{
	static const char *const good[] = {"+$OK#9a", "$#00", "$F-1,2#..", "$F0#76", "$F13;abc}\x03Fopen#..", "$m1,2#..",
		"$T05thread:1;#..", "$W00#b7", "$qFopen#..", "Fopen", "-+Fopen,1/2#", "%Stop:F#", "$F1c;$F2;Fclose#", "$$OK#9a"};
	static const char *const bad[] = {"$Fopen,1/2,201,1b6#..", "$Fclose,3#..", "$Ffstat,3,4#..", "$Fsystem,1/5#..", "$Funlink,1/2#..",
		"+$OK#9a$Fwrite,1,2,3#..", "$x$Fopen,1/2#..", "$$Fopen,1/2#..", "$#$Frename,1/2,3/4#..", "$Fc*lose,1#..", "$F#..",
		"$F1}open#..", "$F,1#..", "$F-close,3#..", "$FOPEN#"};
	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		check(good[i], true);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		check(bad[i], false);
	printf("1..%d\n", count);
	return failed != 0;
}
