"""Threads with locks, conditions, queues and pools; json, hashlib, decimal, struct, zlib, random and re on their results."""
import concurrent.futures, decimal, hashlib, json, queue, random, re, struct, threading, time, zlib

def worker(todo, done):
    while (n := todo.get()) is not None:
        done.put((n, hashlib.sha256(str(n).encode()).hexdigest()))

todo, done = queue.Queue(), queue.Queue()
threads = [threading.Thread(target=worker, args=(todo, done)) for _ in range(8)]
for t in threads:
    t.start()
for n in range(400):
    todo.put(n)
for t in threads:
    todo.put(None)
for t in threads:
    t.join()
results = sorted(done.get() for _ in range(400))
print(hashlib.md5(json.dumps(results).encode()).hexdigest())

counter, lock, barrier = 0, threading.Lock(), threading.Barrier(5)
def add():
    global counter
    barrier.wait()
    for _ in range(2000):
        with lock:
            counter += 1
threads = [threading.Thread(target=add) for _ in range(5)]
[t.start() for t in threads]
[t.join() for t in threads]
print(counter)

condition, turn, order = threading.Condition(), 0, []
def in_turn(n):
    global turn
    with condition:
        condition.wait_for(lambda: turn == n)
        order.append(n)
        turn += 1
        condition.notify_all()
threads = [threading.Thread(target=in_turn, args=(n,)) for n in reversed(range(20))]
[t.start() for t in threads]
[t.join() for t in threads]
print(order)

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda n: zlib.crc32(bytes([n & 255]) * n), range(300))))
event = threading.Event()
start = time.monotonic()
threading.Timer(0.05, event.set).start()
print(event.wait(5), 0.04 < time.monotonic() - start < 4, event.wait(0.01))

decimal.getcontext().prec = 60
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7, decimal.Decimal("1.1") ** 20)
print(json.dumps({"text": "grün \u2603", "list": [1, 2.5, None, True], "nested": {"a": {}}}, indent=1, sort_keys=True))
random.seed(42)
print([random.randrange(1000) for _ in range(8)], struct.pack("<Ihd", 1, -2, 3.5).hex())
print(re.findall(r"(\w+)@(\w+)\.com", "a@b.com, see c@dd.com"), len(zlib.compress(b"ab" * 5000)))
for name in sorted(hashlib.algorithms_guaranteed):
    h = hashlib.new(name, b"vauban")
    print(name, h.hexdigest(16) if name.startswith("shake") else h.hexdigest())
