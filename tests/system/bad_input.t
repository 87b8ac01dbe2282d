#!/bin/bash
# Bad input of every kind: each is refused with the documented status and a message that says what to do, in time, and
# nothing is left behind. (Options are run.t's.)
. "$(dirname "$0")/lib.sh"
vauban_image=${VAUBAN_IMAGE:-$(dirname "$vauban")/vauban-image}
busybox=$(command -v busybox) || { echo "1..0 # SKIP needs busybox"; exit 0; }

# tally NAME ALLOWED COUNT COMMAND...: the command runs COUNT times (its number is $i); "status: message" must match ALLOWED
tally() {
	local name=$1 allowed=$2 rounds=$3 out status wrong="" wrongs=0
	shift 3
	for ((i = 0; i < rounds; i++)); do
		out=$("$@" 2>&1 >/dev/null </dev/null)
		status=$?
		LC_ALL=C grep -qaE -- "$allowed" <<<"$status: ${out//$'\n'/ }" && continue # a damaged program may say any bytes
		wrongs=$((wrongs + 1))
		wrong+="round $i: $status: $out"$'\n'
	done
	result $((wrongs > 0)) "$name (tried $rounds)" "$wrong"
}

poke() { # poke FILE OFFSET HEX: overwrites bytes
	printf "$(sed 's/../\\x&/g' <<<"$3")" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --- programs ---
v run "$busybox" true # makes its image
cp "$busybox" prog
bad 127 'not found' "no program" v run ./absent
bad 2 'name a program' "an empty name" v run ""
bad 126 'no file that can be run' "a folder" v run ./
mkfifo fifo
bad 126 'no file that can be run' "a fifo does not block" v run ./fifo
bad 126 'no file that can be run' "a device" v run /dev/null
ln -s loop loop
bad 127 'loop: ' "a link to itself" v run ./loop
: >empty && chmod +x empty
bad 126 'neither an ELF program nor a #! script' "an empty file" v run ./empty

one_cut() { head -c $((i * i * i * 40)) prog >cut; chmod +x cut; v run ./cut; }
tally "cut at any length" '^126: vauban image: .*cut: .*(truncated|neither an ELF|broken interpreter|too short)' 20 one_cut

elf() { # elf NAME OFFSET HEX: the program with its header changed
	cp prog elf && poke elf "$2" "$3"
}
elf class 4 01; bad 126 '32-bit|x32' "a 32-bit class" v run ./elf
elf machine 18 0300; bad 126 'i386' "i386" v run ./elf
elf machine 18 b700; bad 126 'aarch64' "aarch64" v run ./elf
elf machine 18 f300; bad 126 'riscv' "riscv" v run ./elf
elf machine 18 ffff; bad 126 'unknown architecture' "an unknown machine" v run ./elf
elf order 5 02 && poke elf 18 0016; bad 126 's390' "s390x, big-endian" v run ./elf
elf type 16 0100; bad 126 'object file' "an object file" v run ./elf
elf type 16 0400; bad 126 'core file' "a core file" v run ./elf
elf phnum 56 0000; bad 126 'no program headers' "no program headers" v run ./elf
elf phnum 56 ffff; bad 126 'too many' "65535 program headers" v run ./elf
elf phoff 32 ffffffffffffff7f; bad 126 'truncated' "program headers far away" v run ./elf
elf phentsize 54 2000; bad 126 'wrong size' "program headers of another size" v run ./elf
load=$(readelf -lW prog | awk '$1 == "LOAD" { print n } /^  [A-Z]/ && $2 ~ /^0x/ { n++ }' | head -1)
header=$((64 + 56 * load))
elf memsz $((header + 40)) ffffffffffffff7f; bad 126 'beyond the end of user addresses' "a segment of 8 EiB" v run ./elf
elf memsz $((header + 40)) 0000000000010000; bad 126 'overlapping|beyond' "overlapping segments" v run ./elf
elf filesz $((header + 32)) ffffffff00000000; bad 126 'truncated|more bytes in the file' "a segment longer than the file" v run ./elf
elf vaddr $((header + 16)) 0000000000800000; bad 126 'user addresses|page|overlapping' "a segment at kernel addresses" v run ./elf

if gcc=$(command -v gcc) && echo 'int main(void) { return 3; }' >p.c && gcc -o dynamic p.c 2>/dev/null; then
	is "$(v run ./dynamic; echo $?)" 3 "a dynamic program runs"
	at=$(grep -abo '/lib64/ld-linux' dynamic | head -1 | cut -d: -f1)
	cp dynamic lost && poke lost $((at + 1)) 78
	bad 127 'needs the interpreter /xib64/ld-linux.*install' "a missing interpreter" v run ./lost
	gcc -o itself -Wl,--dynamic-linker="$PWD/itself" p.c
	tally "an interpreter that is the program itself" '^(126|139|127|3): ' 1 v run ./itself
	gcc -o scripted -Wl,--dynamic-linker="$PWD/script" p.c
	printf '#!/bin/sh\n' >script && chmod +x script
	bad 126 'script|not an ELF|neither' "an interpreter that is a script" v run ./scripted
	gcc -o needy p.c -Wl,--no-as-needed -L. -l:needed.so 2>/dev/null || {
		gcc -shared -o needed.so -x c - <<<'int x;' && gcc -o needy p.c -Wl,--no-as-needed -L. -l:needed.so && rm needed.so
	}
	bad 127 'needed.so' "a missing library" v run ./needy
	v run ./dynamic
	random_header() { cp dynamic hurt; for k in 1 2 3; do poke hurt $((4 + RANDOM % 700)) $(printf %02x $((RANDOM % 256))); done; v run ./hurt; }
	RANDOM=4711
	tally "headers damaged at random" '^(3: |12[67]: .*(hurt|ld\.so)|13[2-9]: )' 40 random_header
else
	skip "dynamic programs" "needs gcc"
fi

script() { printf "$1" >script; chmod +x script; }
script '#!\n'; bad 126 'script' "a script without interpreter" v run ./script
script '#!relative/sh\n'; bad 126 'not an absolute path' "a script with a relative interpreter" v run ./script
script '#!/no/such/interpreter\n'; bad 127 '/no/such/interpreter' "a script with a missing interpreter" v run ./script
script "#!$PWD/script\n"; bad 126 'script' "a script that interprets itself" v run ./script
script "#!$PWD/script2\n"; cp script script2; sed -i 's/script2/script/' script2; bad 126 'script' "two scripts that interpret each other" v run ./script
script "#!/$(printf 'x%.0s' {1..5000})\n"; bad 126 'script' "a script with an endless first line" v run ./script
script '#!/bin/sh\0junk\nexit 0\n'; tally "a script with a NUL in its first line" '^(126|127|0): ' 1 v run ./script

# --- images ---
"$vauban_image" build -o good.img --program "$busybox" >/dev/null
is "$(v run good.img sh -c 'exit 3'; echo $?)" 3 "a good image runs"
size=$(stat -c %s good.img)
image() { cp good.img bad.img; }
u64() { od -An -tu8 -j $((size - 4096 + $1)) -N 8 good.img | tr -d ' '; } # of the trailer
erofs=$(u64 16) manifest=$(u64 24) sites=$(u64 40)
one_cut_image() { head -c $((size * (i + 1) / 16 - 1)) good.img >bad.img; v run ./bad.img; }
tally "images cut" '^125: .*bad.img: an image that was cut short.*again$' 15 one_cut_image
head -c 100000 good.img >bad.img
bad 125 'bad.img: an image that was cut short' "a cut image named without a slash" v run bad.img
bad 1 'bad.img: an image that was cut short' "verify tells of it too" v image verify bad.img
image; poke bad.img $((size - 4096)) 00; bad 125 'cut short' "a trailer without magic" v run bad.img
image; poke bad.img $((size - 4096 + 8)) 63; bad 125 'version 99' "an image of another version" v run bad.img
for at in 16 24 32 40 48; do
	image; poke bad.img $((size - 4096 + at + 4)) ffff; bad 125 'contradicts' "trailer damaged at $at" v run bad.img
done
image; poke bad.img "$manifest" 00; bad 125 'manifest' "a manifest that is no JSON" v run bad.img
image; poke bad.img $((manifest + 4)) ffff; bad 125 'manifest' "a manifest with a bad character" v run bad.img
image; poke bad.img 1024 00; bad 125 'damaged.*vauban image verify' "no superblock" v run bad.img
image; poke bad.img $((1024 + 80)) ffffffff; bad 125 'vauban image verify' "unknown features of EROFS" v run bad.img
image; poke bad.img $((1024 + 14)) ffff; bad 125 'damaged.*vauban image verify' "no root inode" v run bad.img
image; poke bad.img $((1024 + 36)) ffffffff; bad 125 'damaged.*vauban image verify' "more blocks than there are" v run bad.img
RANDOM=815
hurt() { # hurt FROM LENGTH: some bytes changed at random, then run
	local k
	image
	for ((k = 0; k < 6; k++)); do
		poke bad.img $(($1 + (RANDOM * 32768 + RANDOM) % $2)) $(printf %02x $((RANDOM % 256)))
	done
	v run bad.img sh -c 'echo /* >/dev/null; exit 3'
}
tally "file system damaged at random" '^(3: |12[567]: vauban: .*(damaged|image|not a program|permission denied))' 60 hurt 1152 16000
tally "program damaged at random" '^(3: |[0-9]+: .*|13[2-9]: )$' 10 hurt 40000 $((erofs - 40000))
rubbish() { image; head -c $((size - 4096 - sites)) /dev/urandom | dd of=bad.img bs=1 seek="$sites" conv=notrunc status=none; v run bad.img sh -c 'exit 3'; }
tally "call-site table of rubbish: it only fails to help, or crashes the program" '^(3: |13[2-9]: |125: .*verify)' 5 rubbish
image; poke bad.img $((size - 5000)) ff; bad 1 'bad.img' "verify finds a changed byte" v image verify bad.img
for verb in inspect ls verify; do
	bad 1 'not a Vauban image' "image $verb: no image" v image $verb /etc/passwd
	bad 1 'No such file' "image $verb: nothing there" v image $verb absent.img
done
"$vauban_image" build -o bad.img --program ./absent >/dev/null 2>err
result $((! $?)) "image build: no program"
like "$(cat err)" 'absent' "image build says so"
is "$(ls bad.img 2>/dev/null)" bad.img "and the old image stays"
truncate -s 4G huge.img
bad 126 'neither executable nor an image' "an image of zeroes" v run huge.img

# --- places inside ---
for place in /etc/passwd /etc/passwd/x /dev/null; do
	bad 125 "$place: .*where a folder is needed" "a volume on $place" v run -v .:$place "$busybox" true
done
bad 125 '/etc/passwd .*choose another with -w' "-w with a file" v run -w /etc/passwd "$busybox" true
bad 125 '(fifo|absent)' "a volume that is no folder" v run -v ./fifo:/mnt "$busybox" true
bad 125 'absent' "core files into no folder" v run --core ./absent "$busybox" true

# --- Vauban's own parts ---
mkdir own && own=$PWD/own
restore() { cp --remove-destination "$(dirname "$vauban")"/vauban{,-image,-tender,-kernel-process} "$own/"; }
of_own() { timeout -s KILL 200 "$own/vauban" run "$busybox" true; }
restore && ok "a copy of Vauban runs" of_own
for part in vauban-tender vauban-kernel-process; do
	restore; rm "$own/$part"; bad 125 "$part is missing.*build or install" "no $part" of_own
	restore; : >"$own/$part"; bad 125 "$part" "an empty $part" of_own
	restore; truncate -s 3000 "$own/$part"; bad 125 "$part|the tender|SIGBUS" "$part cut" of_own
	restore; cp "$busybox" "$own/$part"; tally "$part is another program" "^125: .*vauban: .*($part|without saying why)" 1 of_own
	restore; head -c 200000 /dev/urandom >"$own/$part"; bad 125 "$part" "$part of rubbish" of_own
done
restore
magic=$(grep -abo 'vbkernel' "$own/vauban-kernel-process" | head -1 | cut -d: -f1)
poke "$own/vauban-kernel-process" $((magic + 8)) 77
bad 125 'not of the same build: build or install' "a kernel of another build" of_own

# --- little of everything ---
bad 2 '-m must be from 4M' "too little memory to start at all" v run -m 3M "$busybox" true
head -c 6000000 /dev/zero >six && "$vauban_image" build -o six.img --program "$busybox" --add "$PWD/six" >/dev/null
bad 137 'out of memory.*-m' "a program that wants more memory than it has" v run -m 16M perl -e '$x = "x" x 400_000; push @y, $x . $_ for 1..1000; print "done"'
args=$(head -c 100000 /dev/zero | tr '\0' x)
bad 125 'too long|too little memory' "arguments longer than memory" v run -m 4M "$busybox" true $(for n in {1..18}; do echo "$args"; done)
limited() { # limited LIMIT COMMAND...
	timeout -s KILL 200 bash -c 'ulimit $0 && exec "$@"' "$@"
}
tally "few descriptors" '^(0: $|125: vauban: .*(descriptor|files))' 14 eval 'limited "-n $((i + 3))" "$vauban" run "$busybox" true'
if [ "$(id -u)" = 0 ]; then
	chmod 755 . "$own"; restore
	few() { timeout -s KILL 200 setpriv --reuid 54322 --clear-groups --regid 54322 env HOME=/ XDG_RUNTIME_DIR= bash -c 'ulimit -u 0; exec "$@"' . "$own/vauban" run "$busybox" true; }
	bad 125 'process' "no process to be had" few
else
	skip "no process to be had" "the limit would count the caller's other processes: needs root, to be a user without any"
fi
tally "little address space" '^(0: |125: vauban: |127: )' 6 eval 'limited "-v $((20000 << i))" "$vauban" run "$busybox" true'

in_mounts() { # in_mounts SETUP COMMAND...: with mounts of its own
	local setup=$1
	shift
	timeout -s KILL 200 unshare --mount sh -c "$setup"' && exec "$@"' sh "$@"
}
if in_mounts true true 2>/dev/null; then
	mkdir full cold && cp prog fresh
	restore
	fill='mount -t tmpfs -o size=64k none full && { head -c 1000000 /dev/zero >full/fill; :; } 2>/dev/null'
	bad 125 'No space left' "cache on a full disk" in_mounts "$fill" env XDG_CACHE_HOME="$PWD/full" "$vauban" run ./fresh true
	small='mount -t tmpfs -o size=1m none full'
	bad 125 'No space left' "cache on a small disk" in_mounts "$small" env XDG_CACHE_HOME="$PWD/full" "$vauban" run ./fresh true
	is "$(in_mounts "$small" sh -c 'XDG_CACHE_HOME=$PWD/full "$0" run "$1" true; find full -size +100k; df --output=used full | tail -1 | awk "\$1 > 200"' "$vauban" "$busybox" 2>/dev/null)" \
		"" "nothing large is left there"
	bad 1 'No space left' "image build -o on a small disk" in_mounts "$small" "$vauban_image" build -o full/x.img --program "$busybox"
	is "$(in_mounts "$small" sh -c '"$0" build -o full/x.img --program "$1"; ls -A full' "$vauban_image" "$busybox" 2>/dev/null)" "" "leaves no file"
	tally "records on a full disk: done without" '^0: $' 1 in_mounts "$fill" env XDG_RUNTIME_DIR="$PWD/full" "$vauban" run "$busybox" true
	bad 125 'No space left' "records on a full disk: -d needs one" in_mounts "mount -t tmpfs -o nr_inodes=3 none full" env XDG_RUNTIME_DIR="$PWD/full" "$vauban" run -d "$busybox" true
	tally "a read-only home: the cache is in /tmp" '^0: $' 1 in_mounts 'mount -t tmpfs -o ro none full && mount --bind own /mnt && mount --bind full /usr/local && mount -t tmpfs none /tmp && cd /' env XDG_CACHE_HOME=/usr/local /mnt/vauban run "$busybox" true
	tally "without /proc" '^0: $' 1 in_mounts 'mount -t tmpfs none /proc' "$vauban" run "$busybox" true
	tally "without /proc, called by name" '^0: $' 1 in_mounts 'umount -l /proc' env PATH="$(dirname "$vauban"):$PATH" vauban run "$busybox" true
	tally "without /proc and cache" '^(0: $|125: .*/proc)' 1 in_mounts 'umount -l /proc' env XDG_CACHE_HOME="$PWD/cold" "$vauban" run "$busybox" true
	tally "without /dev" '^(0: $|125: )' 1 in_mounts 'mount -t tmpfs none /dev' "$vauban" run "$busybox" true
	tally "without /tmp" '^0: $' 1 in_mounts 'mount --bind own /mnt && cd / && mount -t tmpfs -o ro none /tmp' /mnt/vauban run "$busybox" true
else
	skip "full and read-only disks, no /proc" "this user may not make mounts"
fi

# --- verbs ---
for verb in run ps logs inspect top stop kill wait rm trace debug; do
	bad 2 "unknown option --bogus.*vauban $verb --help" "$verb --bogus" v $verb --bogus
	bad 2 "unknown option -Y" "$verb -Y" v $verb -Y
done
for verb in logs inspect stop kill wait rm trace debug; do
	tally "$verb: no such cell" '^(1|125): vauban: there is no cell named nobody' 1 v $verb nobody
	tally "$verb: a path for a name" '^(1|125): vauban: .*no name' 1 v $verb ../../etc
	bad 2 "name (a|one) cell" "$verb without a cell" v $verb
done
for verb in ps top; do
	bad 2 'takes no arguments' "$verb x" v $verb x
done
bad 2 'no signal' "kill -s NONSENSE" v kill -s NONSENSE x
bad 2 'no signal' "kill -s 65" v kill -s 65 x
bad 2 'seconds' "stop -t soon" v stop -t soon x
bad 2 'positive' "top -n 0" v top -n 0

is "$(records)" 0 "no cell is left"
is "$(ls -A "$XDG_RUNTIME_DIR/vauban/cells" 2>/dev/null)" "" "no file of one"
is "$(pgrep -f "$PWD/own/vauban" | wc -l)" 0 "no process of the copy"
finish
