// Classes, closures, promises, timers, files, crypto, zlib, workers, JSON, big integers.
const fs = require('fs'), crypto = require('crypto'), zlib = require('zlib'), { Worker } = require('worker_threads'), { EventEmitter } = require('events');
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
console.log(fib(20), 2n ** 200n, [3, 1, 2].sort(), JSON.stringify({ a: [1, { b: null }], c: 'ü' }));
class Stack extends Array { top() { return this[this.length - 1]; } }
console.log(Stack.from([1, 2, 3]).top(), [...'a-b-c'.matchAll(/\w/g)].length, new Date(0).toISOString());
const text = fs.readFileSync('text');
console.log(crypto.createHash('sha256').update(text).digest('hex'), zlib.gunzipSync(zlib.gzipSync(text)).equals(text));
fs.writeFileSync('node.out', Buffer.from(text).reverse());
fs.mkdirSync('deep/er', { recursive: true });
console.log(fs.readdirSync('.').sort().join(' '), fs.statSync('node.out').size);
try { fs.readFileSync('nowhere'); } catch (e) { console.log(e.message); }
const emitter = new EventEmitter();
emitter.once('event', (x) => console.log('event', x));
(async () => {
	const order = [];
	setImmediate(() => { order.push('immediate'); setTimeout(() => order.push('timeout'), 5); });
	process.nextTick(() => order.push('tick'));
	await Promise.resolve().then(() => order.push('promise'));
	while (order.length < 4) await new Promise((done) => setTimeout(done, 5));
	console.log(order.join(' '));
	emitter.emit('event', 7);
	const all = await Promise.all(Array.from({ length: 20 }, (_, i) => fs.promises.writeFile('deep/f' + i, 'x'.repeat(i)).then(() => fs.promises.stat('deep/f' + i))));
	console.log(all.reduce((sum, s) => sum + s.size, 0));
	console.log(await new Promise((done) => crypto.pbkdf2('secret', 'salt', 1000, 16, 'sha1', (e, key) => done(key.toString('hex')))));
	const worker = new Worker(`const { parentPort } = require('worker_threads'); parentPort.on('message', (m) => { parentPort.postMessage(m * 2); parentPort.close(); });`, { eval: true });
	worker.on('message', (m) => console.log('worker', m));
	worker.on('exit', (code) => console.log('worker ended', code));
	worker.postMessage(21);
	let input = '';
	process.stdin.on('data', (d) => (input += d)).on('end', () => { console.log('input', input.trim()); process.exitCode = 4; });
})();
