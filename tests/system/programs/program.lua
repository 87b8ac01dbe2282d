-- Coroutines, closures, strings, tables, files, collection.
local function permutations(list)
	return coroutine.wrap(function()
		local function step(n)
			if n <= 1 then coroutine.yield(table.concat(list, " ")) return end
			for i = 1, n do
				list[n], list[i] = list[i], list[n]
				step(n - 1)
				list[n], list[i] = list[i], list[n]
			end
		end
		step(#list)
	end)
end
for p in permutations({ "a", "b", "c" }) do print(p) end
local counts = {}
for line in io.lines("text") do
	for word in line:gmatch("%a+") do counts[word:lower()] = (counts[word:lower()] or 0) + 1 end
end
local words = {}
for word in pairs(counts) do words[#words + 1] = word end
table.sort(words, function(a, b) return counts[a] > counts[b] or (counts[a] == counts[b] and a < b) end)
for i = 1, 10 do print(words[i], counts[words[i]]) end
local f = assert(io.open("lua.out", "w"))
for i = 1, 1000 do f:write(string.format("%d %.3f\n", i, math.sqrt(i))) end
f:seek("set", 100)
f:write("changed")
f:close()
print(io.open("no/such/file"))
print(pcall(error, { code = 1 }), select("#", table.unpack({}, 1, 200)), 7 // 2, 2 ^ 0.5, 1 << 40, string.pack("<i4", 99):byte(1, 4))
local garbage = {}
for i = 1, 200000 do garbage[i % 100] = { i, tostring(i) } end
collectgarbage()
print(io.read("a"))
os.exit(3)
