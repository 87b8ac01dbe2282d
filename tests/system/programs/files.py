"""A sparse file of 1 GB, mapped files, locks, folders, temporary files, archives."""
import fcntl, mmap, os, shutil, stat, tarfile, tempfile, zipfile

with open("sparse", "wb+") as f:
    f.seek(10**9 - 1)
    f.write(b"!")
    f.seek(500_000_000)
    f.write(b"middle")
    f.flush()
    st = os.fstat(f.fileno())
    print(st.st_size, st.st_blocks * 512 < 10**6)
    f.seek(0)
    print(f.read(3), os.pread(f.fileno(), 8, 499_999_999), os.pread(f.fileno(), 9, 10**9 - 1))
    with mmap.mmap(f.fileno(), 0) as m:
        print(len(m), m[500_000_000:500_000_006], m[-1:], m.find(b"middle", 499_000_000))
        m[700_000_000:700_000_004] = b"mmap"
        m.flush()
    print(os.pread(f.fileno(), 4, 700_000_000))
    f.truncate(5)
    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
print(os.stat("sparse").st_size)

os.makedirs("a/b/c")
for i in range(200):
    with open(f"a/b/file{i:03}", "w") as f:
        f.write("x" * i)
print(sum(e.stat().st_size for e in os.scandir("a/b") if e.is_file()), len(os.listdir("a/b")))
os.symlink("../b/file007", "a/link")
os.link("a/b/file100", "a/hard")
print(os.stat("a/hard").st_nlink, os.readlink("a/link"), stat.filemode(os.lstat("a/link").st_mode))
os.utime("a/hard", ns=(10**18 + 1, 10**18 + 2))
print(os.stat("a/hard").st_mtime_ns)
os.replace("a/b/file001", "a/b/file002")
print(os.path.exists("a/b/file001"), os.stat("a/b/file002").st_size)
shutil.copytree("a", "copy", symlinks=True)
print(sorted(len(files) for _, _, files in os.walk("copy")))
with zipfile.ZipFile("z.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.write("a/b/file150")
with zipfile.ZipFile("z.zip") as z:
    print(z.testzip(), z.namelist())
with tarfile.open("t.tgz", "w:gz") as t:
    t.add("copy")
with tarfile.open("t.tgz") as t:
    print(len(t.getnames()))
shutil.rmtree("copy")
with tempfile.TemporaryDirectory(dir=".") as d, tempfile.NamedTemporaryFile(dir=d) as f:
    f.write(b"temporary")
    f.flush()
    print(open(f.name).read())
for bad in (lambda: os.rmdir("a"), lambda: os.mkdir("a"), lambda: open("a"), lambda: os.readlink("a/hard"), lambda: os.rename("a", "a/b/x")):
    try:
        bad()
    except OSError as e:
        print(e)
os.unlink("z.zip")
os.unlink("t.tgz")
