"""asyncio without network: tasks, timers, queues, pipes, signals, threads, a pair of sockets."""
import asyncio, os, signal, socket

async def producer(q, n):
    for i in range(n):
        await asyncio.sleep(0.001 * (i % 3))
        await q.put(i)
    await q.put(None)

async def consumer(q):
    total = 0
    while (i := await q.get()) is not None:
        total += i
    return total

async def pipes():
    loop, (r, w) = asyncio.get_running_loop(), os.pipe()
    reader = asyncio.StreamReader(limit=10**6)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, "rb"))
    transport, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(w, "wb"))
    transport.write(b"x" * 300000 + b"\nend\n")
    first = await reader.readuntil(b"\n")
    transport.close()
    return len(first), await reader.read()

async def pair():
    a, b = socket.socketpair()
    ra, wa = await asyncio.open_connection(sock=a)
    rb, wb = await asyncio.open_connection(sock=b)
    for i in range(50):
        wa.write(b"ping %d\n" % i)
        wb.write((await rb.readline()).upper())
        answer = await ra.readline()
    wa.close()
    return answer, await rb.read()

async def main():
    q = asyncio.Queue(3)
    print(await asyncio.gather(producer(q, 40), consumer(q)))
    print(await pipes(), await pair())
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(got.wait(), 5)
    print("signal")
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.02)
    except asyncio.TimeoutError:
        print("timeout")
    print(await asyncio.gather(*(asyncio.to_thread(pow, 3, n, 1009) for n in range(20))))
    task = asyncio.create_task(asyncio.sleep(10))
    await asyncio.sleep(0)
    task.cancel()
    print(await asyncio.gather(task, return_exceptions=True))

asyncio.run(main())
