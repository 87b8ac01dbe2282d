-- Exercises the interpreter, its compiler and its libraries, and prints what it finds: the same from every build.
local lines, sum = {}, 0
local function say(...)
	local parts = table.pack(...)
	for i = 1, parts.n do
		parts[i] = tostring(parts[i])
	end
	lines[#lines + 1] = table.concat(parts, " ")
	print(lines[#lines])
end

-- A generator of its own: math.random's seed differs by run.
local state = 42
local function random(limit)
	state = (state * 6364136223846793005 + 1442695040888963407)
	return ((state >> 33) % limit) + 1
end

local function section(name, run)
	local good, err = pcall(run)
	say(name, good and "ok" or err)
	assert(good, err)
end

section("integers", function()
	assert(math.maxinteger + 1 == math.mininteger and math.mininteger // -1 == math.mininteger and math.mininteger % -1 == 0)
	for i = 1, 2000 do
		local a, b = state, random(1 << 20) - (1 << 19)
		random(3)
		if b ~= 0 then
			assert(a == (a // b) * b + a % b, a .. " " .. b)
			assert(math.ult(a, b) == ((a ~ math.mininteger) < (b ~ math.mininteger)))
		end
		assert((a << 7 >> 7) & 0x1ffffffffffffff == a & 0x1ffffffffffffff and (a ~ b ~ b) == a and ~~a == a)
		sum = (sum * 31 + (a ~ b)) & 0xffffffffffff
	end
	say(sum, 7 // 2, -7 // 2, 7 % -3, -7 % 3, 1 << 63, 1 << 64, 3 | 4 ~ 1, "10" + 5, 2 ^ 53 | 0)
end)

section("floats", function()
	say(0.1 + 0.2, 1 / 3, 1e308 * 10, -1e308 * 10, 2 ^ 0.5, 5.5 // 2, -5.5 % 2, 1e15, 123456789012345678)
	say(string.format("%.14g %.3f %e %g %a %5.1f|%-8d|%+d|%x|%q", math.pi, math.pi, 12345.678, 1e100, 1.5, 2.25, 42, 7, 255, 1 / 3))
	local t = 0
	for i = 1, 1000 do
		t = t + math.sin(i) * math.sqrt(i) / math.exp(i % 7) + math.fmod(i, 3.7) + math.log(i, 2)
	end
	say(string.format("%.9f", t), math.tointeger(3.0), math.type(1), math.type(1.0), math.floor(-3.5), math.ceil(-3.5))
	assert(0 / 0 ~= 0 / 0 and not pcall(function() return 1 % 0 end) and tostring(-0.0) == "-0.0")
end)

section("strings", function()
	local s = {}
	for i = 1, 300 do
		s[i] = string.char(96 + random(26)):rep(random(9))
	end
	s = table.concat(s, ",")
	say(#s, s:find("q+,z"), s:gsub("(%w)%1+", "%1"):sub(1, 60), select(2, s:gsub("%w+", string.upper)))
	say(s:match("^(%w-),(%w*)"), ("%d"):rep(3, "-"), ("x"):byte(), s:reverse():sub(1, 20), ("key = value"):match("^(%w+)%s*=%s*(%w+)$"))
	local words = {}
	for w, p in s:gmatch("()(%w+)") do
		words[#words + 1] = w .. p:len()
	end
	say(#words, words[#words], ("THE (quick) fox"):find("%((%a+)%)"), ("a.b-c"):gsub("%p", "%%%0"), ("f(a(b)c)d"):match("%b()"))
	say(string.pack("<i4>I2zs1", -2, 513, "hi", "there"):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
	say(string.unpack("<i4>I2z", "\254\255\255\255\2\1hi\0"))
	say(utf8.char(72, 228, 8364, 128512), utf8.len("häß€"), utf8.codepoint("€", 1), ("%s"):format(setmetatable({}, {__tostring = function() return "T" end})))
	assert(("a"):rep(0) == "" and "a" < "b" and not ("b" < "a") and "a\0b" ~= "a\0c" and tostring(12):len() == 2)
end)

section("tables", function()
	local t = {}
	for i = 1, 3000 do
		t[i] = random(100000)
	end
	table.sort(t)
	for i = 2, #t do
		assert(t[i - 1] <= t[i])
	end
	table.sort(t, function(a, b) return a % 1000 > b % 1000 or (a % 1000 == b % 1000 and a < b) end)
	say(t[1], t[1500], t[3000], #t, select("#", table.unpack(t, 1, 100)))
	for i = 1, 1000 do
		table.insert(t, random(#t), i)
		table.remove(t, random(#t))
	end
	local hash, count = {}, 0
	for i = 1, 5000 do
		hash[random(2000)], hash["k" .. random(500)], hash[random(100) + 0.5] = i, -i, nil
	end
	for k in pairs(hash) do
		count = count + 1
		hash[k] = nil
	end
	assert(next(hash) == nil)
	say(count, #t, table.concat(table.move({1, 2, 3}, 1, 3, 2), " "), rawlen({1, 2, 3}), #"four")
end)

section("metatables", function()
	local V = {}
	V.__index = V
	local function new(x, y) return setmetatable({x = x, y = y}, V) end
	function V.__add(a, b) return new(a.x + b.x, a.y + b.y) end
	function V.__eq(a, b) return a.x == b.x and a.y == b.y end
	function V.__lt(a, b) return a.x < b.x end
	function V.__le(a, b) return a.x <= b.x end
	function V.__call(self, n) return self.x * n end
	function V.__concat(a, b) return "<" .. tostring(a) .. tostring(b) .. ">" end
	function V.__tostring(a) return a.x .. ":" .. a.y end
	function V.__len() return 2 end
	function V.__unm(a) return new(-a.x, -a.y) end
	local a, b = new(1, 2), new(3, 4)
	say(a + b, a == new(1, 2), a < b, a <= b, a(10), a .. b, a .. "s", #a, -a, a ~= b)
	local log = {}
	local proxy = setmetatable({}, {__index = function(_, k) log[#log + 1] = k return k .. "!" end, __newindex = function(t, k, v) rawset(t, k, v * 2) end,
		__close = function() log[#log + 1] = "closed" end})
	proxy.z = 21
	do
		local c <close> = proxy
		say(proxy.a, proxy.z, c.b)
	end
	say(table.concat(log, ","))
	local weak = setmetatable({}, {__mode = "k"})
	for i = 1, 100 do
		weak[{}] = i
	end
	collectgarbage()
	assert(next(weak) == nil)
end)

section("functions", function()
	local function ackermann(m, n)
		return m == 0 and n + 1 or n == 0 and ackermann(m - 1, 1) or ackermann(m - 1, ackermann(m, n - 1))
	end
	local function loop(n, acc) if n == 0 then return acc end return loop(n - 1, acc + n) end
	local function counter() local n = 0 return function() n = n + 1 return n end, function() return n end end
	local inc, get = counter()
	for _ = 1, 10 do inc() end
	say(ackermann(2, 9), loop(200000, 0), get(), (function(...) return select("#", ...), ... end)(1, nil, 3, nil))
	local fs = {}
	for i = 1, 5 do fs[i] = function() i = i + 1 return i end end
	say(fs[1](), fs[1](), fs[2](), pcall(error, {1}), select(2, pcall(error, "m", 0)), select(2, xpcall(function() local x = nil; return x.y end, function(m) return m:match("field 'y'") or m:match("local 'x'") end)))
	local deep = select(2, pcall(function() local function f() return 1 + f() end return f() end))
	assert(deep:find("stack overflow"))
	for i = 1, 10 do
		if i % 2 == 0 then goto continue end
		sum = sum + i
		::continue::
	end
	say(sum, load("return ...", "c", "t")(9), load("x ="), pcall(load, nil))
	local source = {}
	for i = 1, 400 do source[i] = ("local v%d = (%d * 3 + %d) // 7 %s"):format(i % 150, i, i % 11, i % 3 == 0 and "do local q = 1 end" or "") if i == 149 then break end end
	say(load(table.concat(source, "\n") .. " return v1 + v148")())
	local f = load(string.dump(function(a, b) local t = {a, b, 1.5, "k", true, nil} return #t, a + b end))
	say(f(2, 3))
end)

section("coroutines", function()
	local function permutations(a, n)
		n = n or #a
		if n <= 1 then coroutine.yield(a) else
			for i = 1, n do
				a[n], a[i] = a[i], a[n]
				permutations(a, n - 1)
				a[n], a[i] = a[i], a[n]
			end
		end
	end
	local count, text = 0
	for p in coroutine.wrap(function() permutations({1, 2, 3, 4, 5, 6}) end) do
		count, text = count + 1, table.concat(p)
	end
	say(count, text)
	local co = coroutine.create(function(a) local b = coroutine.yield(a * 2) error("in " .. b) end)
	say(coroutine.resume(co, 21))
	say(select(2, coroutine.resume(co, "here")):match("in here"), coroutine.status(co), coroutine.isyieldable(), coroutine.close(co))
	local primes, source = {}, coroutine.wrap(function() for i = 2, 400 do coroutine.yield(i) end end)
	while true do
		local p = source()
		if not p then break end
		primes[#primes + 1] = p
		local before = source
		source = coroutine.wrap(function() for i in before do if i % p ~= 0 then coroutine.yield(i) end end end)
		if #primes > 60 then break end
	end
	say(#primes, primes[#primes])
end)

section("memory", function()
	local keep, finalised = {}, 0
	for _, mode in ipairs {"incremental", "generational", "incremental"} do
		collectgarbage(mode)
		for i = 1, 20000 do
			keep[i % 100] = {tostring(i), setmetatable({}, i % 1000 == 0 and {__gc = function() finalised = finalised + 1 end} or nil), keep[(i + 1) % 100]}
			if i % 100 == 0 then keep[random(100) - 1] = nil end
			if keep[i % 100] and i % 50 ~= 1 then keep[i % 100][3] = nil end
		end
	end
	keep = nil
	collectgarbage()
	say(finalised, collectgarbage("count") < 20000)
end)

section("programs", function()
	local function queens(n)
		local found, columns, up, down = 0, {}, {}, {}
		local function place(row)
			if row > n then found = found + 1 return end
			for c = 1, n do
				if not (columns[c] or up[row + c] or down[row - c]) then
					columns[c], up[row + c], down[row - c] = true, true, true
					place(row + 1)
					columns[c], up[row + c], down[row - c] = nil, nil, nil
				end
			end
		end
		place(1)
		return found
	end
	local function matrix(n)
		local a, b, c = {}, {}, 0
		for i = 1, n do a[i], b[i] = {}, {} for j = 1, n do a[i][j], b[i][j] = (i * j) % 7 + 0.5, (i + j) % 5 - 1.25 end end
		for i = 1, n do for j = 1, n do local s = 0.0 for k = 1, n do s = s + a[i][k] * b[k][j] end c = c + s * (i - j) end end
		return c
	end
	local sieve, primes = {}, 0
	for i = 2, 20000 do if not sieve[i] then primes = primes + 1 for j = i * i, 20000, i do sieve[j] = true end end end
	say(queens(7), matrix(40), primes)
	local path = os.tmpname()
	local file = assert(io.open(path, "w"))
	for i = 1, 1000 do file:write(i, " ", i * i, " ", i / 8, "\n") end
	file:close()
	local total = 0
	for a, b, c in io.lines(path, "n", "n", "n") do total = total + a + b + c if a == 1000 then break end end
	file = io.open(path)
	file:seek("set", 100)
	say(total, file:read("l"), #file:read("a"), file:seek("end"), file:close(), io.type(file), os.remove(path), io.open("/nonexistent"))
	say(os.date("!%Y-%m-%d %H:%M:%S", 86400 * 365), os.time({year = 2000, month = 1, day = 1, hour = 12}) > 0, tostring(print):match("^builtin") or "function")
end)
print(#lines .. " lines")
