# How each program of tests/programs/run and bench/variants.sh is configured, built and checked; sourced. Functions named PROGRAM_STEP run in
# a copy of the source package, with the compiler command in $cc and its flags in $flags:
#   configure   once a compiler and level; the tree is copied for each seed
#   build       ($targets of it: bench/variants.sh) leaves what binaries_of PROGRAM names
#   check       runs the program's own test suite; its output must be that of the plain build: one line a test or summary, no times
recipes=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
programs=(lua zlib bzip2 coreutils lighttpd nginx redis sqlite openssl)

packages_of() { # source packages; the first one is the tree
	case $1 in
	lua) echo lua5.4 lua-lpeg ;;
	sqlite) echo sqlite3 ;;
	*) echo "$1" ;;
	esac
}

binaries_of() {
	case $1 in
	lua) echo lua luac lpeg.so ;;
	zlib) echo example minigzip ;;
	bzip2) echo bzip2 ;;
	coreutils) echo src/sort src/sha256sum ;;
	lighttpd) echo src/lighttpd ;;
	nginx) echo objs/nginx ;;
	redis) echo src/redis-server ;;
	sqlite) echo testfixture sqlite3 ;;
	openssl) echo apps/openssl ;;
	esac
}

quietly() { # quietly LOG COMMAND...: its output matters only if it fails
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null && return
	echo "failed: ${*:0:3}..."
	tail -n 40 "$log"
	return 1
}

# Debian's package has neither Lua's test suite nor a Makefile without libtool: LPeg's suite, as a shared library of the same seed that
# the program loads, and check.lua take its place.
lua_configure() {
	cp -a "$sources/lua-lpeg" lpeg
	echo '#define DEB_HOST_MULTIARCH "x86_64-linux-gnu"' >src/lua5.4-deb-multiarch.h
	cat >variants.mk <<'END'
CORE = $(filter-out src/lua.o src/luac.o,$(patsubst %.c,%.o,$(wildcard src/*.c)))
LPEG = $(patsubst %.c,%.o,$(wildcard lpeg/*.c))
all: lua luac lpeg.so
$(LPEG): override CFLAGS += -fPIC -Isrc
src/%.o: override CFLAGS += -DLUA_COMPAT_5_3 -DLUA_USE_LINUX
lua: src/lua.o $(CORE)
	$(CC) $(LDFLAGS) -Wl,-E -o $@ $^ -lm -ldl
luac: src/luac.o $(CORE)
	$(CC) $(LDFLAGS) -o $@ $^ -lm -ldl
lpeg.so: $(LPEG)
	$(CC) $(LDFLAGS) -shared -o $@ $^
END
}
lua_build() {
	if [ "$libc" ]; then # a static program loads nothing
		make -f variants.mk CC="$cc" CFLAGS="$flags" LDFLAGS=-static lua luac
	else
		make -f variants.mk CC="$cc" CFLAGS="$flags"
	fi
}
lua_check() {
	./lua "$recipes/check.lua" || return
	./luac -o check.luac "$recipes/check.lua" && ./lua check.luac >check.out || return
	tail -n 1 check.out
	[ "$libc" ] || LUA_PATH="lpeg/?.lua" LUA_CPATH="./?.so" ./lua lpeg/test.lua
}

zlib_configure() {
	CC=$cc CFLAGS=$flags ./configure $([ -z "$libc" ] || echo --static)
}
zlib_build() {
	make ${targets:-} CC="$cc" LDSHARED="$cc -shared -Wl,-soname,libz.so.1,--version-script,zlib.map" CPP="$cc -E" ${libc:+LDFLAGS=-static}
}
zlib_check() {
	make CC="$cc" test >check.log 2>&1 || return
	grep 'zlib.*test\|^inflate\|^large\|^after\|^uncompress\|^gz' check.log
	./minigzip <zlib.h | gzip -dc | cmp - zlib.h || return
	cat ./*.c | gzip -9 | ./minigzip -d | cksum
	cat ./*.c | ./minigzip -1 | cksum
	cat ./*.c | ./minigzip | cksum
}

bzip2_configure() { :; }
bzip2_build() {
	make CC="$cc" CFLAGS="$flags -D_FILE_OFFSET_BITS=64" LDFLAGS="${libc:+-static}" bzip2 bzip2recover libbz2.a
}
bzip2_check() {
	make CC="$cc" CFLAGS="$flags -D_FILE_OFFSET_BITS=64" -o bzip2 test 2>&1 | grep -i 'cmp\|differ\|tests'
	cat ./*.c | ./bzip2 -9 | tee archive | cksum
	./bzip2 -d <archive | cksum
	./bzip2 -ds <archive | cksum
}

coreutils_configure() {
	FORCE_UNSAFE_CONFIGURE=1 ./configure --quiet CC="$cc" CFLAGS="$flags" --disable-nls --disable-dependency-tracking --without-openssl \
		${libc:+LDFLAGS=-static}
}
coreutils_build() {
	# A single target doesn't make what all of them include.
	printf 'include Makefile\nheaders: $(BUILT_SOURCES)\n' >headers.mk
	make -f headers.mk SUBDIRS=. headers
	make CC="$cc" CFLAGS="$flags" SUBDIRS=. MANS= ${targets:-} # its manual wants help2man
}
coreutils_check() { # of about 600 tests those that need neither long nor root nor much memory
	make check CC="$cc" CFLAGS="$flags" SUBDIRS=. MANS= TESTS="$(ls tests/misc/{base64,basename,basenc,cksum,comm,csplit,cut,date,dirname,echo,env,expand,expr,factor,fmt,fold,head,join,md5sum,nl,numfmt,od,paste,printf,seq,sha*sum,shuf,sort,split,stat-fmt,sum,tac,tail,test,tr,tsort,unexpand,uniq,wc}[-.]* 2>/dev/null |
		grep -v 'sort-benchmark\|sort-spinlock\|sort-stale\|compress-hang\|uniq-perf\|wc-parallel\|factor-parallel\|fd-limit' | tr '\n' ' ')" >check.log 2>&1
	local status=$?
	grep '^\(PASS\|FAIL\|SKIP\|XFAIL\|XPASS\|ERROR\):' check.log | sort
	return $status
}

lighttpd_configure() {
	./configure --quiet CC="$cc" CFLAGS="$flags" --without-pcre2 --without-bzip2 --with-zlib --disable-dependency-tracking
}
lighttpd_build() {
	make CC="$cc" CFLAGS="$flags"
}
lighttpd_check() {
	make check CC="$cc" CFLAGS="$flags" >check.log 2>&1
	local status=$?
	grep '^\(PASS\|FAIL\|.*PASS:\|.*FAIL:\|# \(TOTAL\|FAIL\)\|Files=\)\|\.t ' check.log | sed 's/,  *[0-9]* wallclock.*//'
	return $status
}

# Debian has no test suite of nginx: its clients of tests/servers drive it, without a cell.
nginx_configure() {
	./configure --with-cc="$cc" --with-cc-opt="$flags" --with-http_ssl_module --with-http_v2_module --with-http_stub_status_module \
		--with-http_sub_module --with-http_dav_module --with-stream
}
nginx_build() {
	make CC="$cc"
}
nginx_check() {
	mkdir -p servers
	(cd servers && NATIVE=1 NGINX_PROGRAM=$OLDPWD/objs/nginx "$recipes/../servers/nginx.t")
}

redis_configure() { :; }
redis_build() {
	make MALLOC=libc CC="$cc" OPTIMIZATION="$flags" ${libc:+LDFLAGS=-static}
}
redis_check() { # the one test that is left out by name fails in the plain build, too
	local unit units=()
	for unit in type/{string,list,hash,set,zset,incr} sort scripting expire dump bitops hyperloglog geo multi pubsub scan protocol keyspace; do
		units+=(--single "unit/$unit")
	done
	./runtest --clients 2 --skiptest "/.*large.*" --skiptest "RESTORE fail with invalid payload size" "${units[@]}" >check.log 2>&1
	local status=$?
	sed 's/\x1b\[[0-9;]*m//g' check.log | sed -n 's/^\(\[\(ok\|err\|exception\|ignore\|skip\)\]: [^(]*\).*/\1/p' | sort
	return $status
}

sqlite_configure() {
	./configure --quiet CC="$cc" CFLAGS="$flags" --with-tcl=/usr/lib/x86_64-linux-gnu/tcl8.6 --disable-readline \
		${static:+--disable-shared} && make BCC=gcc sqlite3.c
}
sqlite_build() {
	make BCC=gcc CC="$cc" CFLAGS="$flags -DSQLITE_OS_UNIX=1" ${targets:-testfixture sqlite3}
}
sqlite_check() { # its suite refuses to run as root, and io-5.5 counts on a disk
	mkdir -p check && (
		cd check
		ordinary=()
		if [ "$(id -u)" = 0 ]; then
			chown nobody .
			ordinary=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
		fi
		"${ordinary[@]}" ../testfixture ../test/extraquick.test >check.log 2>&1
		status=$?
		grep -a '^Time: \|^!\|errors out of' check.log | sed 's/^\(Time: .*\.test\) .*/\1/; s/^\([0-9]* errors out of [0-9]* tests\).*/\1/'
		[ $status = 0 ] || [ "$(grep -a '^!Failures' check.log)" = '!Failures on these tests: io-5.5' ]
	)
}

# Without assembly, so that what is checked and measured has come from the compiler.
openssl_configure() {
	./Configure linux-x86_64 CC="$cc" CFLAGS="$flags" no-shared no-asm no-engine no-dso no-module no-ssl3 no-cmp no-cms no-ct no-ts no-ocsp \
		no-srp no-gost no-camellia no-aria no-seed no-idea no-sm2 no-sm3 no-sm4 no-whirlpool no-cast no-rc2 no-bf
}
openssl_build() {
	make build_generated
	make CC="$cc" ${targets:-build_sw}
}
openssl_check() { # of 200 tests those that exercise code rather than configurations of TLS
	make run_tests TESTS="test_internal_* test_lhash test_stack test_params* test_bn test_exp test_ec test_ecdsa test_dh test_dsa \
		test_rsa* test_sha test_des test_rc4 test_hmac test_cmac test_evp test_evp_extra test_evp_kdf test_aesgcm test_enc test_dgst \
		test_mac test_kdf test_x509* test_verify test_pkcs12 test_pkcs7 test_constant_time test_ige test_threads test_asn1* \
		test_packet test_wpacket test_sslapi test_cipherlist test_secmem test_conf test_req test_crl test_pem*" >check.log 2>&1
	local status=$?
	grep '^[0-9]*-.*\.t \|^Result' check.log
	return $status
}
