/* What a cell may say to its debugger. In gdb's remote protocol a target may also ask: packets such as "$Fopen,..." make gdb
 * open, write and remove files of the host, with the rights of whoever debugs. Answers to gdb's own requests for the cell's
 * files begin with F, too, but go on with a number: those pass. Trusts nothing of the stream, not even its packets. */
#include <string.h>

#include "monitor/cell.h"

enum { ELSEWHERE, PACKET, FILE_ANSWER, NUMBER };

bool gdb_may_hear(unsigned char *state, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];
		bool digit = c && strchr("0123456789abcdef", c);
		if (c == '$') /* never within a packet's data: gdb, too, takes it for the start of another */
			*state = PACKET;
		else if (*state == PACKET)
			*state = c == 'F' ? FILE_ANSWER : ELSEWHERE;
		else if (*state == FILE_ANSWER && (digit || c == '-'))
			*state = digit ? NUMBER : FILE_ANSWER;
		else if (*state == NUMBER && (c == ',' || c == ';' || c == '#'))
			*state = ELSEWHERE;
		else if (*state == FILE_ANSWER || (*state == NUMBER && !digit))
			return false;
	}
	return true;
}
