# The parts variants and costs of bench/run, sourced by it: what `vauban cc` costs programs and their builds.
# VARIANTS=10 (at most 13) VARIANT_ROUNDS=9 VARIANT_CC=gcc VARIANT_OPTIONS= VARIANT_PROGRAMS='lua zlib bzip2 coreutils sqlite'; openssl, too, has a
# job here, but takes long to build
#
# Baselines are the compiler alone, and `vauban cc` with nothing but the order of sections chosen (what -ffunction-sections and a shuffling
# linker give). Jobs are timed by the time of processors that they use, in alternation, and the fastest of all rounds counts: what else the
# machine does adds to times, never takes from them. Programs are linked dynamically against the machine's C library: the same for all.

. tests/programs/recipes.sh

variant_jobs() { # variant_jobs PROGRAM: lines "NAME|BINARY|COMMAND" in its tree; the binary is in a folder @
	case $1 in
	lua) echo "lua|lua|@/lua $recipes/check.lua" ;;
	zlib)
		echo "minigzip|minigzip|@/minigzip -c $variants/text"
		echo "minigzip -d|minigzip|@/minigzip -d -c $variants/text.gz"
		;;
	bzip2) echo "bzip2|bzip2|@/bzip2 -c $variants/text.short" ;;
	coreutils)
		echo "sort|src/sort|@/sort --parallel=1 $variants/text"
		echo "sha256sum|src/sha256sum|@/sha256sum $variants/large"
		;;
	sqlite) echo "sqlite3|sqlite3|@/sqlite3 -batch -init $variants/queries.sql :memory:" ;;
	openssl)
		echo "openssl sha256|apps/openssl|@/openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:vauban -kdfopt salt:bench -kdfopt iter:200000 PBKDF2"
		echo "openssl aes|apps/openssl|@/openssl enc -aes-256-cbc -K 01 -iv 02 -in $variants/large"
		;;
	esac
}

variant_targets() {
	case $1 in
	zlib) echo minigzip ;;
	coreutils) echo src/sort src/sha256sum ;;
	sqlite) echo sqlite3 ;;
	openssl) echo apps/openssl ;;
	esac
}

variant_inputs() {
	find base cli host image include kernel monitor tender tests -name '*.[ch]' | sort | xargs cat | awk '{ print NR % 97 ? $0 : NR * 7919 % 104729 }' >"$variants/text"
	head -c 700000 "$variants/text" >"$variants/text.short"
	for _ in {1..4}; do cat "$variants/text"; done | gzip -9 >"$variants/text.gz"
	for _ in {1..12}; do cat "$variants/text"; done >"$variants/large"
	cat >"$variants/queries.sql" <<'END'
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO t SELECT i, printf('%08x', i * 2654435761 % 4294967296), i / 7.0 FROM n;
CREATE INDEX tb ON t(b);
SELECT sum(a), count(DISTINCT substr(b, 1, 3)), round(avg(c), 3) FROM t WHERE b > '4';
SELECT count(*) FROM t x JOIN t y ON x.b = printf('%08x', y.a * 40503 % 4294967296) WHERE y.a < 20000;
UPDATE t SET c = c * 2 WHERE b LIKE '%a%';
SELECT group_concat(b, '') > '', max(length(b || c)) FROM (SELECT * FROM t ORDER BY c DESC, b LIMIT 20000);
END
}

cpu_of() { # cpu_of FILE COMMAND...: appends the processor time in seconds, user and system
	local TIMEFORMAT='%U %S' file=$1
	shift
	{ time "$@" >"$variants/build.log" 2>&1 </dev/null; } 2>"$variants/time" || { tail -5 "$variants/build.log" >&2; return 1; }
	awk '{ print $1 + $2 }' "$variants/time" >>"$file"
}
fastest() { sort -n "$1" | head -1; }
text_of() { size -A "$1" | awk '$1 == ".text" { print $2 }'; }
geometric() { awk '{ s += log($1); n++ } END { if (n) printf "%.3f", exp(s / n) }' "$@"; }

# variant_build PROGRAM NAME COMMAND: from the configured tree; its binaries go to $variants/PROGRAM/NAME; time to PROGRAM/NAME.time
variant_build() {
	local program=$1 name=$2 targets binary
	cc=$3
	targets=$(variant_targets "$program")
	rm -rf "$variants/tree"
	cp -a "$variants/$program/configured" "$variants/tree"
	export cc targets
	(cd "$variants/tree" && cpu_of "$variants/$program/$name.time" "${program}_build") || return
	mkdir -p "$variants/$program/$name"
	while IFS='|' read -r _ binary _; do
		# Not libtool's script in front of it.
		(cd "$variants/tree" && cp "$([ -e ".libs/$binary" ] && echo ".libs/$binary" || echo "$binary")" "$variants/$program/$name/")
	done < <(variant_jobs "$program")
}

variant_setup() {
	variants=$work/variants
	store=$variants/store
	count=${VARIANTS:-10}
	variant_rounds=${VARIANT_ROUNDS:-9}
	compiler=${VARIANT_CC:-gcc}
	sources=$PWD/deps libc=
	export sources libc recipes variants static=1 flags=${VARIANT_FLAGS:--O2}
	command=$compiler
	[ "$compiler" = clang ] && command=clang-19
	local program
	mkdir -p "$variants" && variant_inputs || return
	for program in ${VARIANT_PROGRAMS:-lua zlib bzip2 coreutils sqlite}; do
		# shellcheck disable=SC2046
		tools/sources deps $(packages_of "$program") >/dev/null 2>&1 || return
		mkdir -p "$variants/$program"
		cp -a "deps/$(packages_of "$program" | cut -d ' ' -f 1)" "$variants/$program/configured"
		cc=$command
		(cd "$variants/$program/configured" && ${program}_configure) >"$variants/configure.log" 2>&1 || { tail -5 "$variants/configure.log" >&2; return 1; }
	done
}

variants_part() {
	local program seed job binary line name nothing all=() metric
	variant_setup || { skip "variants" "programs can't be configured: $(tail -1 "$variants/configure.log")"; return; }
	nothing="--no-padding --no-blocks --no-stack --no-nops --no-encodings --no-registers --no-traps"
	for program in ${VARIANT_PROGRAMS:-lua zlib bzip2 coreutils sqlite}; do
		say "  building $program"
		for _ in 1 2; do
			rm -rf "$store"
			variant_build "$program" plain "$command" || return
			variant_build "$program" shuffled "$built/vauban cc --seed 1 --cc $compiler --store $store $nothing" || return
			rm -rf "$store"
			variant_build "$program" first "$built/vauban cc --seed 1 --cc $compiler --store $store ${VARIANT_OPTIONS:-}" || return
		done
		for ((seed = 2; seed <= count; seed++)); do
			variant_build "$program" "seed$seed" "$built/vauban cc --seed $seed --cc $compiler --store $store ${VARIANT_OPTIONS:-}" || return
		done
		sort -n "$variants/$program"/seed*.time >"$variants/$program/later.time"
		awk -v a="$(fastest "$variants/$program/first.time")" -v b="$(fastest "$variants/$program/plain.time")" 'BEGIN { print a / b }' >>"$variants/build.first"
		awk -v a="$(fastest "$variants/$program/shuffled.time")" -v b="$(fastest "$variants/$program/plain.time")" 'BEGIN { print a / b }' >>"$variants/build.shuffled"
		awk -v a="$(median <"$variants/$program/later.time")" -v b="$(fastest "$variants/$program/first.time")" 'BEGIN { print a / b }' >>"$variants/build.later"
		row "build $program" "$(fastest "$variants/$program/first.time")" s "plain" "$(fastest "$variants/$program/plain.time")" \
			"$(tail -1 "$variants/build.first")" "<=1.5" "processor time; shuffled alone x $(tail -1 "$variants/build.shuffled"); later seeds $(median <"$variants/$program/later.time") s, x $(tail -1 "$variants/build.later") of the first (<=0.5)"
		while IFS='|' read -r name binary line; do
			all=("plain=${line//@/$variants/$program/plain}" "shuffled=${line//@/$variants/$program/shuffled}" "seed1=${line//@/$variants/$program/first}")
			for ((seed = 2; seed <= count; seed++)); do
				all+=("seed$seed=${line//@/$variants/$program/seed$seed}")
			done
			say "  timing $name"
			"$work/pair" cpu "$variant_rounds" "${all[@]}" >"$work/pairs" </dev/null || return
			awk '$1 == "plain" { p = $2 } /^seed/ { print $2 / p }' "$work/pairs" >"$variants/times"
			metric=$(geometric "$variants/times")
			echo "$metric" >>"$variants/all.times"
			ratio "$(field shuffled 2)" "$(field plain 2)" >>"$variants/all.shuffled"
			row "time $name" "$(field seed1 2)" us plain "$(field plain 2)" "$metric" "<=1.03" \
				"$count variants: $(sort -n "$variants/times" | sed -n '1p;$p' | xargs printf '%.3f ' | sed 's/ \(.\)/ to \1/'); shuffled alone x $(awk -v a="$(field shuffled 2)" -v b="$(field plain 2)" 'BEGIN { printf "%.3f", a / b }')"
			binary=${binary##*/}
			for ((seed = 2; seed <= count; seed++)); do
				awk -v a="$(text_of "$variants/$program/seed$seed/$binary")" -v b="$(text_of "$variants/$program/plain/$binary")" 'BEGIN { print a / b }'
			done >"$variants/texts"
			geometric "$variants/texts" >>"$variants/all.texts" && echo >>"$variants/all.texts"
			awk -v a="$(text_of "$variants/$program/shuffled/$binary")" -v b="$(text_of "$variants/$program/plain/$binary")" 'BEGIN { print a / b }' >>"$variants/all.texts.shuffled"
			row "text $name" "$(text_of "$variants/$program/first/$binary")" B plain "$(text_of "$variants/$program/plain/$binary")" "$(geometric "$variants/texts")" "<=1.12" \
				"size of .text; shuffled alone x $(tail -1 "$variants/all.texts.shuffled")"
		done < <(variant_jobs "$program")
	done
	row "time, all" - - plain - "$(geometric "$variants/all.times")" "<=1.03" "geometric mean of $(wc -l <"$variants/all.times") jobs, $count variants, $compiler $flags ${VARIANT_OPTIONS:-}; shuffled alone x $(geometric "$variants/all.shuffled")"
	row "text, all" - - plain - "$(geometric "$variants/all.texts")" "<=1.12" "geometric mean; shuffled alone x $(geometric "$variants/all.texts.shuffled")"
	row "build, all" - - plain - "$(geometric "$variants/build.first")" "<=1.5" "geometric mean; shuffled alone x $(geometric "$variants/build.shuffled")"
	row "build of a later seed, all" - - first - "$(geometric "$variants/build.later")" "<=0.5" "geometric mean"
	rm -rf "$variants"
}

# What each transformation costs: each alone, and all, against shuffled alone; three seeds.
costs_part() {
	local program kind seed name binary line all kinds=(shuffled padding blocks stack nops encodings registers traps everything) off
	variant_setup || return
	for program in ${VARIANT_PROGRAMS:-lua zlib bzip2}; do
		for kind in "${kinds[@]}"; do
			off=" --no-padding --no-blocks --no-stack --no-nops --no-encodings --no-registers --no-traps"
			[ "$kind" = everything ] && off=
			for seed in 1 2 3; do
				variant_build "$program" "$kind$seed" "$built/vauban cc --seed $seed --cc $compiler --store $store ${off/ --no-$kind/} ${VARIANT_OPTIONS:-}" || return
			done
		done
		while IFS='|' read -r name binary line; do
			binary=${binary##*/}
			for seed in 1 2 3; do
				all=()
				for kind in "${kinds[@]}"; do
					all+=("$kind=${line//@/$variants/$program/$kind$seed}")
				done
				"$work/pair" cpu "$variant_rounds" "${all[@]}" </dev/null
			done >"$work/pairs" || return
			for kind in "${kinds[@]:1}"; do
				row "$kind: $name" - - shuffled - "$(awk -v k="$kind" '$1 == "shuffled" { s = $2 } $1 == k { t += log($2 / s); n++ } END { printf "%.3f", exp(t / n) }' "$work/pairs")" - \
					"text x $(awk -v a="$(text_of "$variants/$program/${kind}1/$binary")" -v b="$(text_of "$variants/$program/shuffled1/$binary")" 'BEGIN { printf "%.3f", a / b }')"
			done
		done < <(variant_jobs "$program")
	done
	rm -rf "$variants"
}
