#!/bin/bash
# Modbus: a server and a client on Debian's libmodbus, each in a cell.
. "$(dirname "$0")/lib.sh"

free_port port
serve modbus "$port" -- "$build/tests/server-modbus" server "$port"
ready modbus timeout 60 "$build/tests/server-modbus" client 127.0.0.1 "$port" 1
is "$(timeout 100 "$build/tests/server-modbus" client 127.0.0.1 "$port" 100)" "800 of 800" "100 connections from outside"
is "$(client "$build/tests/server-modbus" client "$host" "$port" 50)" "400 of 400" "50 from another cell"
printf 'nonsense nonsense nonsense' | timeout 2 nc -N 127.0.0.1 "$port" >/dev/null
is "$(timeout 100 "$build/tests/server-modbus" client 127.0.0.1 "$port" 2)" "16 of 16" "it serves on after nonsense"
stopped modbus 0
finish
