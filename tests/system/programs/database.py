"""sqlite3 as a library: a file database with WAL, two connections, threads, an index, a backup."""
import os, sqlite3, threading

db = sqlite3.connect("python.db", isolation_level=None)
print(db.execute("pragma journal_mode = wal").fetchone())
db.execute("create table t (id integer primary key, name text, value real)")
db.execute("begin")
db.executemany("insert into t (name, value) values (?, ?)", ((f"name {n}", n / 7) for n in range(20000)))
db.execute("commit")
db.execute("create index by_name on t (name)")
other = sqlite3.connect("python.db", isolation_level=None)
print(other.execute("select count(*), sum(value) from t where name like 'name 1%'").fetchone())
db.execute("begin immediate")
db.execute("update t set value = 0")
print(other.execute("select max(value) > 0 from t").fetchone())  # readers see the old state
try:
    other.execute("pragma busy_timeout = 10")
    other.execute("begin immediate")
except sqlite3.OperationalError as e:
    print(e)
db.execute("rollback")

def insert(n):
    c = sqlite3.connect("python.db", timeout=30)
    for i in range(20):
        with c:
            c.execute("insert into t (name, value) values (?, ?)", (f"thread {n}", i))
    c.close()

threads = [threading.Thread(target=insert, args=(n,)) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(db.execute("select count(*) from t where name like 'thread %'").fetchone())
print(db.execute("pragma integrity_check").fetchone(), db.execute("pragma wal_checkpoint(truncate)").fetchone())
memory = sqlite3.connect(":memory:")
other.backup(memory)
print(memory.execute("select name, value from t order by id desc limit 1 offset 100").fetchone())
other.close()
db.close()
os.unlink("python.db")  # in which order the threads came is chance
