fn main() {
    let a: Vec<_> = std::env::args_os().collect();
    let op = fileops::copy_as(&a[1], &a[2]).start();
    let r = op.wait();
    eprintln!(
        "{:?} {} entries {} bytes {:?} workers {} failures {}",
        r.outcome,
        r.entries,
        r.bytes,
        r.elapsed,
        r.workers,
        r.failures.len()
    );
    for f in r.failures.iter().take(5) {
        eprintln!("{f}: {}", f.source);
    }
    for n in &r.notes {
        eprintln!("{n:?}");
    }
}
