# name: the sources under test, and what stands in for the rest.
fake_platform = files('fake_platform.c')
vfs_sources = []
foreach f : ['dentry', 'file', 'file_table', 'inode', 'inotify', 'locks', 'memfd', 'names', 'page_tree', 'path', 'rootfs', 'rootfs_etc', 'rootfs_file', 'rootfs_xattr', 'uio']
  vfs_sources += files('../../kernel/fs' / f + '.c')
endforeach
p9_client = static_library('unit-p9-client', files('p9.c', '../../kernel/fs/p9.c', '../../kernel/fs/p9_ahead.c', '../../kernel/fs/p9_file.c', '../../kernel/fs/p9_inode.c',
  '../../kernel/fs/p9_page.c'), include_directories: inc, build_by_default: false, pic: false,
  c_args: sanitize + ['-ffreestanding', '-Wno-unused-parameter'])

unit_tests += {
  'elf_closure': files('elf_closure.c', '../../base/elf.c', '../../image/closure.c', '../../image/tree.c', '../../host/error.c'),
  'erofs': files('erofs.c', '../../base/erofs.c'),
  'gdb': files('gdb.c', '../../monitor/gdb.c'),
  'heap': files('heap.c', '../../kernel/mm/heap.c', '../../kernel/mm/page.c') + fake_platform,
  'mm': files('mm.c', '../../kernel/mm/area.c', '../../kernel/mm/extent.c', '../../kernel/mm/fault.c', '../../kernel/mm/mm.c', '../../kernel/mm/page.c',
    '../../kernel/mm/range.c') + fake_platform,
  'p9': volume_sources + files('../../base/p9.c', '../../host/error.c'),
  'rootfs': files('rootfs.c', '../../base/erofs.c', '../../base/format.c', '../../kernel/mm/page.c') + vfs_sources + fake_platform,
  'sites': files('sites.c', '../../image/sites.c', '../../base/elf.c'),
  'timer': files('timer.c', '../../kernel/time/timer.c'),
  'trace': files('trace.c', '../../kernel/syscall/table.c', '../../kernel/debug/task.c', '../../kernel/debug/trace.c', '../../kernel/debug/trace_names.c', '../../kernel/debug/trace_socket.c', '../../kernel/debug/trace_words.c', '../../base/format.c'),
  'volume': volume_sources + files('volume.c', '../../base/p9.c', '../../host/error.c'),
}
# Kernel headers come without the C library's idea of what a feature is.
kernel_like = ['-fno-builtin-printf']
unit_args = { 'heap': kernel_like, 'mm': kernel_like, 'rootfs': kernel_like, 'timer': kernel_like, 'trace': kernel_like }
unit_libraries += {
  'p9': [declare_dependency(link_whole: p9_client)],
  'sites': [meson.get_compiler('c').find_library('Zydis')],
}
