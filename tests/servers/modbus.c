/* A Modbus server for many clients, and a client that checks it: modbus server PORT | client HOST PORT CONNECTIONS. */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 500

static void stop(int sig)
{
	_exit(0);
}

static int serve(int port)
{
	struct pollfd f[300];
	int n = 1;
	modbus_t *m = modbus_new_tcp("0.0.0.0", port);
	modbus_mapping_t *map = modbus_mapping_new(COUNT, COUNT, COUNT, COUNT);

	signal(SIGTERM, stop);
	for (int i = 0; i < COUNT; i++) {
		map->tab_input_registers[i] = (uint16_t)(i * 3);
		map->tab_input_bits[i] = i % 3 == 0;
	}
	f[0] = (struct pollfd){modbus_tcp_listen(m, 256), POLLIN, 0};
	if (f[0].fd < 0) {
		perror("listen");
		return 1;
	}
	for (;;) {
		poll(f, n, -1);
		for (int i = n - 1; i > 0; i--) {
			uint8_t q[MODBUS_TCP_MAX_ADU_LENGTH];
			if (!f[i].revents)
				continue;
			modbus_set_socket(m, f[i].fd);
			int r = modbus_receive(m, q);
			if (r > 0)
				r = modbus_reply(m, q, r, map);
			if (r < 0) {
				close(f[i].fd);
				f[i] = f[--n];
			}
		}
		if (f[0].revents && n < 300) {
			f[n] = (struct pollfd){modbus_tcp_accept(m, &f[0].fd), POLLIN, 0};
			n += f[n].fd >= 0;
		}
	}
}

/* Prints how many checks held. */
static int ask(const char *host, int port, int connections)
{
	modbus_t **m = calloc(connections, sizeof(*m));
	uint16_t in[COUNT], out[100];
	uint8_t bits[COUNT];
	int held = 0, checks = 0;

	for (int i = 0; i < connections; i++) {
		m[i] = modbus_new_tcp(host, port);
		modbus_set_response_timeout(m[i], 60, 0);
		checks++;
		held += modbus_connect(m[i]) == 0;
	}
	for (int i = 0; i < connections; i++) {
		int at = i * 4 % (COUNT - 120);
		for (int k = 0; k < 100; k++)
			out[k] = (uint16_t)(i * 1000 + k);
		checks += 7;
		held += modbus_write_registers(m[i], at, 100, out) == 100;
		held += modbus_read_registers(m[i], at, 100, in) == 100 && !memcmp(in, out, sizeof(out));
		held += modbus_read_input_registers(m[i], at, 120, in) == 120 && in[0] == at * 3 && in[119] == (at + 119) * 3;
		held += modbus_read_input_bits(m[i], 0, COUNT, bits) == COUNT && bits[3] && !bits[4] && bits[498];
		held += modbus_write_bit(m[i], 7, i & 1) == 1 && modbus_read_bits(m[i], 7, 1, bits) == 1 && bits[0] == (i & 1);
		held += modbus_write_and_read_registers(m[i], at, 10, out, at, 10, in) == 10 && !memcmp(in, out, 20);
		held += modbus_read_registers(m[i], COUNT - 1, 2, in) == -1 && errno == EMBXILADD; /* beyond the end */
	}
	for (int i = 0; i < connections; i++) {
		modbus_close(m[i]);
		modbus_free(m[i]);
	}
	printf("%d of %d\n", held, checks);
	return held != checks;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "server"))
		return serve(atoi(argv[2]));
	if (argc == 5 && !strcmp(argv[1], "client"))
		return ask(argv[2], atoi(argv[3]), atoi(argv[4]));
	return 2;
}
